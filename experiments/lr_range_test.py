"""Which learning rates can each rule be trained with at all? (Smith's learning rate range test, for all rules at once)

    python -m experiments.lr_range_test                           # scikit-learn's digits, minutes on two cores
    python -m experiments.lr_range_test --learning_rates=1e-6:10:third_decade --seeds=5
    python -m experiments.lr_range_test --where="optimizer in ('adam', 'rmsprop')"

Leslie Smith (Cyclical learning rates for training neural networks, https://arxiv.org/abs/1506.01186, section 3.3)
lets the rate of one run grow from step to step and watches the loss. Here every rate has a run of its own, for one
epoch, all rules, rates and seeds in one sweep. That answers the same question - does this rate lower the loss, does it
raise it? - without what blurs the growing rate: each loss belongs to one rate alone, not to the weights and moments
that smaller rates have left behind, there is no lag between a rate that is too large and the loss that shows it, and
the seeds give a band. It costs as many epochs as there are rates, which is what training many runs at once is for.

The loss is that of training, as in the paper: after one epoch the moving averages of batch normalisation, which the
validation loss uses, still lag behind. Each rule keeps its own defaults; the cyclical rate is left out, whose rate is
what the test is for. Expected: the rules that divide by the size of the gradient learn from rates a hundred times
smaller than plain SGD, and break down earlier. Leaves figures/lr_range_test.png and
tables/lr_range_test.csv.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from experiments.command import flags
from experiments.command.experiment import Answer, Axis, Experiment, Values, first_as_momentum
from jaxopt_study import plots
from jaxopt_study.analysis.intervals import seed_rows
from jaxopt_study.grids import ranges
from jaxopt_study.grids.run import Run, product
from jaxopt_study.history import History
from jaxopt_study.optimizers import registry
from jaxopt_study.plots import labels
from jaxopt_study.plots.selection import NotDrawable

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

AXES = {"learning_rates": Axis("sgd", "learning_rate", tuple(ranges.values("1e-6:10:half_decade")), "every rule")}
PRESETS = {name: {"max_epochs": 1, "seeds": 2} for name in ("quick", "article")}


def make_runs(values: Values, seeds: int) -> list[Run]:
    """Rules with a learning rate x rates x seeds."""
    rules = [name for name in registry.OF_ARTICLE if registry.family(name).has("learning_rate")]
    axes = {"learning_rate": values["learning_rates"]}
    return first_as_momentum([run for rule in rules for run in product(rule, axes, seeds)])


# The analysis.

FALLEN = 0.05
"""Share of the way from the loss at the smallest rate to the lowest that counts as a fall."""
LEAST_RATES = 5


class RangeTest(NamedTuple):
    """The loss over the learning rate of one rule, and what to take from it. Rates are NaN where there is none.

    Attributes:
        optimizer: name in the registry.
        numbers: its other hyperparameters.
        rates: rising, ``[R]``.
        losses: after the last epoch, by rate and seed, infinite where the run diverged, ``[R, S]``.
        falls_from: the smallest rate at which the loss has begun to fall.
        suggested: the rate at which the loss falls most steeply over the logarithm of the rate.
        lowest: the rate with the lowest loss.
        diverges_from: the smallest rate above it with a loss above that of the smallest rate, or a seed that diverged.
    """

    optimizer: str
    numbers: tuple[tuple[str, float], ...]
    rates: np.ndarray
    losses: np.ndarray
    falls_from: float
    suggested: float
    lowest: float
    diverges_from: float


def range_tests(histories: Iterable[History]) -> list[RangeTest]:
    """A test for each rule, with its other numbers, that has ``LEAST_RATES`` rates with the same seeds."""
    groups: dict[tuple[str, tuple[tuple[str, float], ...]], dict[float, dict[int, float]]] = {}
    for run in histories:
        if "learning_rate" in run.hyperparameters:
            rest = tuple((name, value) for name, value in run.hyperparameters.items() if name != "learning_rate")
            at_rate = groups.setdefault((run.optimizer, rest), {}).setdefault(run.hyperparameters["learning_rate"], {})
            at_rate[run.replicate] = _last(run)
    return [_test(*key, group) for key, group in groups.items() if len(group) >= LEAST_RATES]


def _last(run: History) -> float:
    last = float(run.curves["train_loss"][-1]) if run.epochs else math.nan
    return last if math.isfinite(last) and run.diverged_epoch is None else math.inf


def _test(optimizer: str, numbers: tuple[tuple[str, float], ...], group: dict[float, dict[int, float]]) -> RangeTest:
    rates = np.array(sorted(group))
    rows = seed_rows([group[rate] for rate in rates])
    losses = np.reshape([*rows.values()], (len(rows), len(rates))).T
    landmarks = _landmarks(rates, losses.mean(1)) if losses.size else (math.nan,) * 4
    return RangeTest(optimizer, numbers, rates, losses, *landmarks)


def _landmarks(rates: np.ndarray, loss: np.ndarray) -> tuple[float, float, float, float]:
    first, best = loss[0], int(np.argmin(loss))
    above = np.flatnonzero(~(loss[best + 1 :] <= first)) + best + 1
    diverges = float(rates[above[0]]) if above.size else math.nan
    if best == 0 or not math.isfinite(first):
        return math.nan, math.nan, float(rates[best]) if math.isfinite(loss[best]) else math.nan, diverges
    fallen = np.flatnonzero(loss[: best + 1] < first - FALLEN * (first - loss[best]))
    # The slope at each rate is that between its neighbours; the lowest rate itself is where it has ended.
    slopes = np.gradient(loss[: best + 1], np.log(rates[: best + 1]))[:best]
    return float(rates[fallen[0]]), float(rates[int(np.argmin(slopes))]), float(rates[best]), diverges


# The figure.

ACROSS = 4
_WIDTH, _HEIGHT = 2.9, 2.3


def range_test(source: plots.picture.Source) -> plots.picture.Picture:
    """The figure of runs at many constant rates. Raises NotDrawable: no rule has enough rates."""
    tests = range_tests(source.histories)
    if not tests:
        raise NotDrawable("no rule has five learning rates with the same seeds")
    lead = (
        "Training loss of the last epoch over the constant learning rate of all epochs. Dashed: where the loss "
        "falls most steeply, the suggested rate; dotted: from here runs diverge or end above where they began."
    )
    caption = f"{lead} {plots.captions.seeds(source.histories)}"
    return plots.picture.Picture("lr_range_test", draw(tests, 1.5 * source.chance), caption, alt_text(tests))


def draw(tests: Sequence[RangeTest], ceiling: float) -> Figure:
    """A panel a test, all with the same axes; losses above ``ceiling`` are cut off."""
    from matplotlib.figure import Figure  # Matplotlib takes its time to import
    from matplotlib.lines import Line2D

    across = min(ACROSS, len(tests))
    down = -(-len(tests) // across)
    losses = np.concatenate([test.losses.ravel() for test in tests])
    losses = losses[np.isfinite(losses)]
    with plots.style.applied():
        figure = Figure(figsize=(0.7 + _WIDTH * across, 1.1 + _HEIGHT * down), layout="constrained")
        grid = figure.subplots(down, across, squeeze=False, sharex=True, sharey=True)
        figure.suptitle(
            "Learning rate range test", x=0.01, ha="left", fontsize=11, fontweight="bold", gid=plots.style.TITLE
        )
        for axes, test in zip(grid.flat, tests, strict=False):
            _panel(axes, test)
        for axes in list(grid.flat)[len(tests) :]:
            axes.set_visible(False)
        if losses.size:  # the panels share their axes
            grid[0, 0].set_ylim(0.9 * losses.min(), min(ceiling, 1.05 * losses.max()))
        for axes in grid[:, 0]:
            axes.set_ylabel(labels.axis("train_loss"))
        figure.supxlabel("learning rate", fontsize=9)
        key = [
            Line2D([], [], color=plots.style.BEST, linestyle="--", label="suggested"),
            Line2D([], [], color=plots.style.BEST, linestyle=":", label="too large from here"),
            Line2D([], [], color=plots.style.INK, linestyle="", marker="x", label="a seed diverged"),
        ]
        figure.legend(handles=key, loc="upper right", ncols=3)
    return figure


def _panel(axes: Axes, test: RangeTest) -> None:
    look = plots.style.looks([test.optimizer])[test.optimizer]
    finite = np.isfinite(test.losses).all(1)
    shown = np.where(finite[:, None], test.losses, np.nan)
    axes.plot(test.rates, shown.mean(1), color=look.color, marker=".")
    axes.fill_between(test.rates, shown.min(1), shown.max(1), color=look.color, alpha=0.2, linewidth=0)
    plots.style.log_axis(axes, "x", test.rates[0], test.rates[-1])
    low, high = (math.floor(math.log10(rate) + 1e-9) for rate in (test.rates[0], test.rates[-1]))
    axes.set_xticks([10.0**power for power in range(low, high + 1, 1 + (high - low) // 4)])
    if not finite.all():
        axes.plot(
            test.rates[~finite], np.full((~finite).sum(), 0.95), "x", color=plots.style.INK, markersize=5,
            transform=axes.get_xaxis_transform(),
        )  # fmt: skip
    for rate, line in ((test.suggested, "--"), (test.diverges_from, ":")):
        if math.isfinite(rate):
            axes.axvline(rate, color=plots.style.BEST, linestyle=line, linewidth=1.3)
    suggested = labels.number(test.suggested) if math.isfinite(test.suggested) else "no fall"
    axes.set_title(f"{labels.optimizer(test.optimizer)}: {suggested}", loc="left", fontsize=9)


def alt_text(tests: Sequence[RangeTest]) -> str:
    """What the figure shows, a sentence a rule."""
    sentences = []
    for test in tests:
        landmarks = {
            "falls from": test.falls_from,
            "most steeply at": test.suggested,
            "is lowest at": test.lowest,
            "is too large from": test.diverges_from,
        }
        found = [f"{what} {labels.number(rate)}" for what, rate in landmarks.items() if math.isfinite(rate)]
        sentences.append(f"{labels.optimizer(test.optimizer)}: the loss {', '.join(found) or 'does not fall'}")
    return "Line charts, one a rule. " + ". ".join(sentences) + "."


# The table.


def table(source: plots.picture.Source) -> Answer:
    """One row a rule; see :class:`RangeTest`."""
    columns = ("optimizer", "hyperparameters", "falls_from", "suggested", "lowest", "diverges_from", "rates", "seeds")
    return columns, [
        (test.optimizer, ", ".join(f"{name} {labels.number(value)}" for name, value in test.numbers), test.falls_from,
         test.suggested, test.lowest, test.diverges_from, len(test.rates), test.losses.shape[1])
        for test in range_tests(source.histories)
    ]  # fmt: skip


EXPERIMENT = Experiment(
    "lr_range_test", "The learning rate range test", AXES, make_runs,
    figures=((0, range_test),), table=table, presets=PRESETS,
)  # fmt: skip

main = flags.command(EXPERIMENT)

if __name__ == "__main__":
    main()
