"""What Nesterov momentum gains over plain momentum, over what may decide it."""

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes

from jaxopt_study.analysis import Runs, nesterov_gain
from jaxopt_study.analysis.nesterov_gain import CANDIDATES, Candidate, Gain
from jaxopt_study.plots import labels, open_questions, style
from jaxopt_study.plots.picture import Picture, Recipe, Source
from jaxopt_study.plots.selection import NotDrawable


def picture(source: Source) -> Picture:
    """The gain in training loss, a panel a candidate, a point a configuration.

    Raises:
        NotDrawable: no configuration was run with both rules.
    """
    runs = Runs(source.histories, chance=source.chance)
    found = nesterov_gain.gains(runs)
    if not found:
        raise NotDrawable("no momentum above 0 was run with both rules at the same rate and seed")
    after = labels.counted(nesterov_gain.compared_after(runs), "epoch")
    with style.applied():
        title = f"Nesterov's gain over plain momentum in training loss after {after}, over what may decide it"
        figure, axes = style.panels(len(CANDIDATES), title, width=2.7, left=0.75, right=1.6)
        for panel, candidate in zip(axes, CANDIDATES, strict=True):
            _panel(panel, found, candidate)
        axes[0].set_ylabel("log(plain / Nesterov loss)")
        style.legend(figure, axes[-1], "momentum", width=1.55)
    told = "; ".join(
        f"{each.name} {open_questions.interval(nesterov_gain.rank_correlation(found, each))}" for each in CANDIDATES
    )
    helped = sum(gain.estimate.low > 0 for gain in found if gain.converged)
    hurt = sum(gain.estimate.high < 0 for gain in found if gain.converged)
    numbers = (
        f"Of {sum(gain.converged for gain in found)} configurations in which one of the rules converged, {helped} have "
        f"an interval above 0 and {hurt} one below. Rank correlation of the gain with each, over these: {told}."
    )
    caption = (
        f"Above 0 Nesterov is ahead. {numbers} Open, pale points: neither got halfway from guessing to the best loss. "
        f"{open_questions.seeds([gain.estimate for gain in found])}"
    )
    return Picture("nesterov_gain", figure, caption, f"Scatter plots in {len(CANDIDATES)} panels. {numbers}")


def _panel(axes: Axes, found: Sequence[Gain], candidate: Candidate) -> None:
    momenta = sorted({gain.momentum for gain in found})
    places = list[float]()
    for momentum, look in zip(momenta, style.ordered_looks(len(momenta)), strict=True):
        for converged in (True, False):
            own = [gain for gain in found if gain.momentum == momentum and gain.converged == converged]
            at = [float(np.nanmean([candidate.value(gain, seed) for seed in gain.gains])) for gain in own]
            places += at
            open_questions.marks(
                axes, at, [gain.estimate for gain in own], linestyle="none", color=look.color, marker=look.marker,
                markerfacecolor=look.color if converged else "none", alpha=1.0 if converged else 0.45,
                label=labels.number(momentum) if converged else None,
            )  # fmt: skip
    axes.axhline(0, color=style.MUTED, linewidth=0.8, zorder=1)
    open_questions.positions(axes, places, candidate.name)
    rank = nesterov_gain.rank_correlation(found, candidate)
    axes.set_title(f"rank correlation {open_questions.interval(rank)}", loc="left", fontsize=8)


NESTEROV_GAIN: tuple[tuple[int, Recipe], ...] = ((0, picture),)
"""Not a figure of the article: it has no number there."""
