"""The figures of several problems: how the rules stand over all of them, and performance profiles."""

import math
from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from jaxopt_study.analysis.intervals import Estimate
from jaxopt_study.analysis.problems import SHARE, Standing
from jaxopt_study.analysis.profiles import Profile
from jaxopt_study.plots import estimates, labels, style
from jaxopt_study.plots.picture import Picture

MOST_LINES = 8
"""Rules that have a line of their own in profiles; further ones are thin and grey."""
_ROW = 0.24
"""Inches."""
_LOG_FROM = 3.0
_SHOWN_RATIO = 20.0
"""Ratios to the best up to which profiles are drawn."""


def pictures(
    standings: Sequence[Standing], profiles: Mapping[str, Sequence[Profile]], reference: str, problems: Sequence[str]
) -> list[Picture]:
    """Both figures; the rules in the order of their standings, the lowest losses first."""
    over = f"{labels.counted(len(problems), 'problem')} ({labels.listing(problems)})"
    seeds = min((one.rank.seeds for one in standings), default=0)
    bars = "bars are 95% intervals over the seeds" if seeds else "one seed, so there are no intervals"
    near = [labels.optimizer(one.optimizer) for one in standings if one.verdict not in ("", "behind")]
    verdict = f"Orange: {labels.listing(near)}, the best or not told from it." if near else ""
    of = labels.optimizer(reference)
    alt = "; ".join(
        f"{labels.optimizer(one.optimizer)} {estimates.interval(one.ratio)}, rank {estimates.interval(one.rank, '.1f')}"
        for one in standings
    )
    first = Picture(
        "over_problems",
        standing(standings, reference),
        f"Geometric mean of lowest losses over those of {of}, and mean rank, over {over}; {bars}. {verdict}".strip(),
        f"Points, the lowest loss first. {alt}.",
    )
    order = [one.optimizer for one in standings]
    ends = "; ".join(
        f"{labels.optimizer(one.optimizer)} {one.at(1).value:.2f} at 1, {one.shares[-1].value:.2f} in the end"
        for one in sorted(profiles["epochs"], key=lambda one: order.index(one.optimizer))
    )
    second = Picture(
        "performance_profiles",
        profile_lines(profiles, order),
        f"Share of problems and seeds on which a rule is within a factor of the best of them, over {over}. Left: "
        f"epochs until the validation loss is {SHARE:.0%} of the way from guessing to the best rule's. Right: the "
        "lowest loss; runs that diverge or learn nothing are within no factor.",
        f"Step lines of epochs to the target: {ends}.",
    )
    return [first, second]


def standing(standings: Sequence[Standing], reference: str) -> Figure:
    """A row a rule: its losses over those of the reference on the left, its mean rank on the right."""
    names = [labels.optimizer(one.optimizer) for one in standings]
    with style.applied():
        figure, (ratio, rank) = style.panels(
            2, "Rules over several problems", width=3.4, height=max(_ROW * len(names), 0.8), left=2.1, right=0.4
        )
        for axes, of in ((ratio, [one.ratio for one in standings]), (rank, [one.rank for one in standings])):
            _points(axes, of, [one.verdict != "behind" and one.verdict != "" for one in standings])
            axes.set_yticks(range(len(names)), names, fontsize=8.5)
            axes.set_ylim(len(names) - 0.5, -0.5)
            axes.tick_params(axis="y", length=0)
        ratio.axvline(1.0, color=style.MUTED, linewidth=0.8, linestyle=":", zorder=1)
        means = [one.ratio.value for one in standings]
        low, high = min(means) / 1.5, max(means) * 1.5  # bars of few seeds are wide: the means have the room
        style.log_axis(ratio, "x", low, high)
        ratio.set_xlim(low, high)
        ratio.set_xlabel(f"loss over that of {labels.optimizer(reference)}")
        rank.set_xlim(0.8, len(names) + 0.2)
        rank.set_xlabel("mean rank")
    return figure


def _points(axes: Axes, of: Sequence[Estimate], marked: Sequence[bool]) -> None:
    for row, (one, best) in enumerate(zip(of, marked, strict=True)):
        color = style.BEST if best else style.INK
        axes.plot(one.value, row, "o", color=color, markersize=4.5)
        if math.isfinite(one.low):
            axes.hlines(row, one.low, one.high, color=color, linewidth=1.1)


def profile_lines(profiles: Mapping[str, Sequence[Profile]], order: Sequence[str]) -> Figure:
    """The profiles of epochs to the target and of the loss, a line each of the first few rules of an order."""
    titles = {"epochs": "epochs to the target, over the fewest", "loss": "loss, over the lowest"}
    looks = style.looks(order[:MOST_LINES])
    with style.applied():
        figure, panels = style.panels(len(profiles), "Performance profiles", width=3.4, height=3.0, left=0.9, right=2.7)
        for axes, (measure, of) in zip(panels, profiles.items(), strict=True):
            by_name = {one.optimizer: one for one in of}
            last = min(max(1.1, *(1.05 * max(one.taus) for one in of)), _SHOWN_RATIO)
            for name in order:
                _step(axes, by_name[name], looks.get(name), last)
            if last > _LOG_FROM:
                style.log_axis(axes, "x", 1.0, last)
            axes.set_xlim(1.0, last)
            axes.set_ylim(0, 1.03)
            axes.set_xlabel(titles[measure])
        panels[0].set_ylabel("share of problems and seeds")
        style.legend(figure, panels[-1], "optimizer, lowest losses first", width=2.6)
    return figure


def _step(axes: Axes, profile: Profile, look: style.Look | None, last: float) -> None:
    taus = np.array([*profile.taus, max(last, profile.taus[-1])])
    values = np.array([one.value for one in (*profile.shares, profile.shares[-1])])
    if look is None:
        axes.plot(taus, values, drawstyle="steps-post", color=style.GRID, linewidth=0.9, zorder=1)
        return
    name = labels.optimizer(profile.optimizer)
    axes.plot(taus, values, drawstyle="steps-post", color=look.color, linestyle=look.linestyle, label=name, zorder=3)
