"""What decides when Nesterov's look-ahead helps? (left open by the article)

    python -m experiments.nesterov_gain                      # scikit-learn's digits, about two minutes on two cores
    python -m experiments.nesterov_gain --preset=article     # cats_vs_dogs at 128 x 128, until the patience runs out

The gain is the logarithm of plain momentum's loss over Nesterov's after the same epochs, both with the same seed. Its
rank correlation with what may decide it - the rate, the momentum, the effective rate, how much plain momentum
oscillates - is taken over the grid. Expected: the gain is clear only where the effective rate is so large that plain
momentum is about to fail. Figure nesterov_gain and tables/nesterov_gain.csv.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from experiments.article import facts
from experiments.article.gains import Gain, compared_after, gains
from experiments.article.rates import effective_rate
from experiments.command import flags
from experiments.command.experiment import Answer, Axis, Experiment, full_grid
from jaxopt_study import plots
from jaxopt_study.analysis.intervals import Estimate, seed_estimate
from jaxopt_study.plots import labels
from jaxopt_study.plots.selection import NotDrawable

if TYPE_CHECKING:
    from matplotlib.axes import Axes

AXES = {
    "learning_rates": Axis("nesterov", "learning_rate", facts.half_decades(-3, 0)[:-1]),
    "momenta": Axis("nesterov", "momentum", facts.MOMENTA[1:]),
}

# The analysis.

LEAST_CELLS = 4
"""Configurations below which a rank correlation is not given."""


Candidate = Callable[[Gain, int], float]
"""Something that may decide the gain: its value for a configuration and seed."""

CANDIDATES: Mapping[str, Candidate] = {
    "effective rate": lambda gain, seed: effective_rate(gain.rate, gain.momentum),
    "learning rate": lambda gain, seed: gain.rate,
    "1 / (1 - momentum)": lambda gain, seed: 1 / (1 - gain.momentum),
    "oscillation of plain momentum": lambda gain, seed: gain.oscillation[seed],
}


def rank_correlation(compared: Sequence[Gain], candidate: Candidate) -> Estimate:
    """Spearman's rank correlation of gain and candidate over the configurations: of each seed by itself, then mean.

    Configurations in which neither rule converged are passed over, since there nothing is gained or lost, and so are
    seeds that one of the others lacks. NaN with fewer than ``LEAST_CELLS``, or where the candidate does not vary.
    """
    kept = [gain for gain in compared if gain.converged]
    if len(kept) < LEAST_CELLS:
        return seed_estimate({})
    seeds = sorted(set.intersection(*(set(gain.gains) for gain in kept)))
    return seed_estimate({seed: _spearman(kept, candidate, seed) for seed in seeds})


def _spearman(kept: Sequence[Gain], candidate: Candidate, seed: int) -> float:
    pairs = np.array([(candidate(gain, seed), gain.gains[seed]) for gain in kept])
    pairs = pairs[np.isfinite(pairs).all(axis=1)]
    if len(pairs) < LEAST_CELLS or (np.ptp(pairs, axis=0) == 0).any():
        return math.nan
    from scipy import stats  # takes its time to import

    return float(stats.spearmanr(*pairs.T).statistic)


# The figure.


def picture(source: plots.picture.Source) -> plots.picture.Picture:
    """The gain in training loss, a panel a candidate, a point a configuration.

    Raises:
        NotDrawable: no configuration was run with both rules.
    """
    compared = gains(source.runs)
    if not compared:
        raise NotDrawable("no momentum above 0 was run with both rules at the same rate and seed")
    after = labels.counted(compared_after(source.runs), "epoch")
    with plots.style.applied():
        title = f"Nesterov's gain over plain momentum in training loss after {after}, over what may decide it"
        figure, axes = plots.style.panels(len(CANDIDATES), title, width=2.7, left=0.75, right=1.6)
        for panel, name in zip(axes, CANDIDATES, strict=True):
            _panel(panel, compared, name)
        axes[0].set_ylabel("log(plain / Nesterov loss)")
        plots.style.legend(figure, axes[-1], "momentum", width=1.55)
    ranks = [
        f"{name} {plots.estimates.interval(rank_correlation(compared, candidate))}"
        for name, candidate in CANDIDATES.items()
    ]
    estimates = [gain.estimate for gain in compared if gain.converged]
    helped, hurt = sum(one.low > 0 for one in estimates), sum(one.high < 0 for one in estimates)
    numbers = (
        f"Of {len(estimates)} configurations in which one of the rules converged, {helped} have an interval above 0 "
        f"and {hurt} one below. Rank correlation of the gain with each, over these: {'; '.join(ranks)}."
    )
    caption = (
        f"Above 0 Nesterov is ahead. {numbers} Open, pale points: neither got halfway from guessing to the best loss. "
        f"{plots.estimates.seeds([gain.estimate for gain in compared])}"
    )
    alt = f"Scatter plots in {len(CANDIDATES)} panels. {numbers}"
    return plots.picture.Picture("nesterov_gain", figure, caption, alt)


def _panel(axes: Axes, compared: Sequence[Gain], name: str) -> None:
    momenta = sorted({gain.momentum for gain in compared})
    places = list[float]()
    for momentum, look in zip(momenta, plots.style.ordered_looks(len(momenta)), strict=True):
        for converged in (True, False):
            shown = [gain for gain in compared if gain.momentum == momentum and gain.converged == converged]
            at = [float(np.nanmean([CANDIDATES[name](gain, seed) for seed in gain.gains])) for gain in shown]
            places += at
            plots.estimates.marks(
                axes, at, [gain.estimate for gain in shown], linestyle="none", color=look.color, marker=look.marker,
                markerfacecolor=look.color if converged else "none", alpha=1.0 if converged else 0.45,
                label=labels.number(momentum) if converged else None,
            )  # fmt: skip
    axes.axhline(0, color=plots.style.MUTED, linewidth=0.8, zorder=1)
    plots.estimates.positions(axes, places, name)
    rank = rank_correlation(compared, CANDIDATES[name])
    axes.set_title(f"rank correlation {plots.estimates.interval(rank)}", loc="left", fontsize=8)


# The table.


def table(source: plots.picture.Source) -> Answer:
    """Rank correlations of Nesterov's gain with what may decide it, and the gain of each configuration."""
    rows: list[tuple[str | float | None, ...]] = []
    for curve, averaged in itertools.product(("train_loss", "val_loss"), (False, True)):
        compared = gains(source.runs, curve, averaged=averaged)
        which = "mean log loss ratio" if averaged else "log loss ratio"
        for name, candidate in CANDIDATES.items():
            estimate = rank_correlation(compared, candidate)
            rows.append((f"rank correlation of {which}", curve, name, None, None, None, *estimate))
        for gain in compared:
            rows.append((which, curve, None, gain.rate, gain.momentum, gain.converged, *gain.estimate))
    return ("quantity", "curve", "candidate", "learning_rate", "momentum", "converged", *Estimate._fields), rows


EXPERIMENT = Experiment(
    "nesterov_gain", "What Nesterov momentum gains", AXES, full_grid(AXES, "momentum", "nesterov"),
    figures=((0, picture),), table=table,
)  # fmt: skip

main = flags.command(EXPERIMENT)

if __name__ == "__main__":
    main()
