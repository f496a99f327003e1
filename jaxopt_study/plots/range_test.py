"""The learning rate range test: the loss after a few steps over the rate, a panel a rule."""

import math
from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from jaxopt_study.analysis.range_test import RangeTest, range_tests
from jaxopt_study.plots import captions, labels, style
from jaxopt_study.plots.picture import Picture, Recipe, Source
from jaxopt_study.plots.selection import NotDrawable

ACROSS = 4
_WIDTH, _HEIGHT = 2.9, 2.3


def range_test(source: Source) -> Picture:
    """The figure of runs at many constant rates.

    Raises:
        NotDrawable: no rule has enough rates.
    """
    tests = range_tests(source.histories)
    if not tests:
        raise NotDrawable("no rule has five learning rates with the same seeds")
    lead = (
        "Training loss of the last epoch over the constant learning rate of all epochs. Dashed: where the loss "
        "falls most steeply, the suggested rate; dotted: from here runs diverge or end above where they began."
    )
    seeds = captions.seeds(source.histories)
    return Picture("lr_range_test", draw(tests, ceiling=1.5 * source.chance), f"{lead} {seeds}", alt_text(tests))


def draw(tests: Sequence[RangeTest], *, ceiling: float = math.inf) -> Figure:
    """A panel a test, all with the same axes.

    Args:
        tests: of the rules.
        ceiling: losses above it are cut off.
    """
    across = min(ACROSS, len(tests))
    down = -(-len(tests) // across)
    losses = np.concatenate([test.losses.ravel() for test in tests])
    losses = losses[np.isfinite(losses)]
    with style.applied():
        figure = Figure(figsize=(0.7 + _WIDTH * across, 1.1 + _HEIGHT * down), layout="constrained")
        grid = figure.subplots(down, across, squeeze=False, sharex=True, sharey=True)
        figure.suptitle("Learning rate range test", x=0.01, ha="left", fontsize=11, fontweight="bold")
        for axes, test in zip(grid.flat, tests, strict=False):
            _panel(axes, test)
        for axes in list(grid.flat)[len(tests) :]:
            axes.set_visible(False)
        if losses.size:  # the panels share their axes
            grid[0, 0].set_ylim(0.9 * losses.min(), min(ceiling, 1.05 * losses.max()))
        for axes in grid[:, 0]:
            axes.set_ylabel(labels.axis("train_loss"))
        figure.supxlabel("learning rate", fontsize=9)
        figure.legend(handles=_key(), loc="upper right", ncols=3)
    return figure


def _panel(axes: Axes, test: RangeTest) -> None:
    look = style.named_look(test.optimizer)
    finite = np.isfinite(test.losses).all(1)
    shown = np.where(finite[:, None], test.losses, np.nan)
    axes.plot(test.rates, shown.mean(1), color=look.color, marker=".")
    axes.fill_between(test.rates, shown.min(1), shown.max(1), color=look.color, alpha=0.2, linewidth=0)
    style.log_axis(axes, "x", test.rates[0], test.rates[-1])
    low, high = (math.floor(math.log10(rate) + 1e-9) for rate in (test.rates[0], test.rates[-1]))
    axes.set_xticks([10.0**power for power in range(low, high + 1, 1 + (high - low) // 4)])
    if not finite.all():
        axes.plot(
            test.rates[~finite], np.full((~finite).sum(), 0.95), "x", color=style.INK, markersize=5,
            transform=axes.get_xaxis_transform(),
        )  # fmt: skip
    for rate, line in ((test.suggested, "--"), (test.diverges_from, ":")):
        if math.isfinite(rate):
            axes.axvline(rate, color=style.BEST, linestyle=line, linewidth=1.3)
    told = f": {labels.number(test.suggested)}" if math.isfinite(test.suggested) else ": no fall"
    axes.set_title(name(test) + told, loc="left", fontsize=9)


def name(test: RangeTest) -> str:
    """The rule."""
    return labels.optimizer(test.optimizer)


def _key() -> list[Line2D]:
    return [
        Line2D([], [], color=style.BEST, linestyle="--", label="suggested"),
        Line2D([], [], color=style.BEST, linestyle=":", label="too large from here"),
        Line2D([], [], color=style.INK, linestyle="", marker="x", label="a seed diverged"),
    ]


def alt_text(tests: Sequence[RangeTest]) -> str:
    """What the figure shows, a sentence a rule."""
    told = []
    for test in tests:
        found = [
            f"{what} {labels.number(rate)}"
            for what, rate in (
                ("falls from", test.falls_from),
                ("most steeply at", test.suggested),
                ("is lowest at", test.lowest),
                ("is too large from", test.diverges_from),
            )
            if math.isfinite(rate)
        ]
        told.append(f"{name(test)}: the loss {', '.join(found) or 'does not fall'}")
    return "Line charts, one a rule. " + ". ".join(told) + "."


LR_RANGE_TEST: tuple[tuple[int, Recipe], ...] = ((0, range_test),)
"""Not a figure of the article: it has no number there."""
