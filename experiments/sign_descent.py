"""Why does RMSprop fail at rho = 0: is it sign descent with a fixed step, and does a falling rate mend it? (left open)

    python -m experiments.sign_descent                        # scikit-learn's digits, about two minutes on two cores
    python -m experiments.sign_descent --preset=article --max_epochs=200 --decay_epochs=200     # cats_vs_dogs

RMSprop with rho 0 and with the usual 0.9, its rate constant, falling with one over the root of the steps, exponentially
to a hundredth, and in a line to zero over ``--decay_epochs``, which should be ``--max_epochs``; besides plain sign
descent. Expected: sign descent is RMSprop with rho 0, and a rate that falls mends what rho 0 loses at large rates.
Figure sign_descent and tables/sign_descent.csv.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from experiments.article import facts
from experiments.article.falling_rates import CONSTANT, COURSES, FALLING, SIGN, add_rules, course
from experiments.command import flags
from experiments.command.experiment import Answer, Axis, Experiment, Values
from jaxopt_study import plots
from jaxopt_study.analysis.best import best_cell
from jaxopt_study.analysis.intervals import Estimate, paired_differences, seed_estimate, seed_rows
from jaxopt_study.analysis.minima import lowest
from jaxopt_study.analysis.runs import Cell, Runs, same_value
from jaxopt_study.analysis.speed import losses
from jaxopt_study.grids.run import Run, product
from jaxopt_study.history import History
from jaxopt_study.plots import labels
from jaxopt_study.plots.selection import NotDrawable

if TYPE_CHECKING:
    from matplotlib.axes import Axes

AXES = {
    "learning_rates": Axis("rmsprop", "learning_rate", facts.half_decades(-4, -1)),
    "decays": Axis("rmsprop", "decay", (0.0, 0.9)),
    "decay_epochs": Axis("rmsprop_falling", "decay_epochs", (20.0,)),
}


def make_runs(values: Values, seeds: int) -> list[Run]:
    """Rates x decays x seeds with each course of the rate, and rates x seeds of sign descent."""
    add_rules()
    usual = {"learning_rate": values["learning_rates"], "decay": values["decays"]}
    return [
        *product("rmsprop", usual, seeds),
        *product("sign_sgd", {"learning_rate": values["learning_rates"]}, seeds),
        *(run for course in FALLING.values() for run in _falling(usual, values, course, seeds)),
    ]


def _falling(usual: Values, values: Values, course: Mapping[str, float], seeds: int) -> list[Run]:
    epochs = values["decay_epochs"] if not course["root"] else (1.0,)  # over the root of the steps it has no end
    fixed = {name: (number,) for name, number in course.items()}
    return product("rmsprop_falling", {**usual, "decay_epochs": epochs, **fixed}, seeds)


# The analysis.

RULES = ("rmsprop", "rmsprop_falling", "sign_sgd")


class Loss(NamedTuple):
    """Smallest and last validation loss of a course of the rate at one rho, or how much less another's is.

    Attributes:
        course: one of ``COURSES``, or ``SIGN``.
        decay: rho; 0 for sign descent.
        lowest: smallest validation loss without its own luck, at most that of guessing.
        last: that of the last epoch, likewise; a run that diverged has that of guessing.
    """

    course: str
    decay: float
    lowest: Estimate
    last: Estimate


def by_course(runs: Runs) -> dict[tuple[str, float], list[Cell]]:
    """The configurations by course and rho, each by ascending rate; rules other than ``RULES`` are passed over."""
    courses: dict[tuple[str, float], list[Cell]] = {}
    for cell in (cell for rule in RULES for cell in runs.cells(rule)):
        if course(cell):
            courses.setdefault((course(cell), cell.hyperparameters.get("decay", 0.0)), []).append(cell)
    order = (*COURSES, SIGN)
    keys = sorted(courses, key=lambda key: (order.index(key[0]), key[1]))
    return {key: sorted(courses[key], key=_rate) for key in keys}


def _last(runs: Runs, history: History) -> float:
    """Validation loss of the last epoch, at most that of guessing, which is also that of a diverged run."""
    last = float(losses(history)[-1])
    return min(last, runs.chance) if math.isfinite(last) else runs.chance


def loss(runs: Runs, key: tuple[str, float], cell: Cell, less: Cell | None = None) -> Loss:
    """The losses of a configuration of the course and rho ``key``, less those of another, paired by seed."""
    estimates = []
    for measure in (partial(lowest, runs), partial(_last, runs)):
        values = cell.measured(measure)
        values = paired_differences(values, less.measured(measure)) if less else values
        estimates.append(seed_estimate(values, positive=less is None))
    return Loss(*key, *estimates)


def best(runs: Runs) -> dict[tuple[str, float], Cell]:
    """Each course and rho at its best rate. The rate is chosen by the same runs, so the losses are a little too low."""
    return {key: best_cell(cells) for key, cells in by_course(runs).items()}


def gaps(runs: Runs) -> list[Loss]:
    """What rho 0 loses under each course to each other rho under the same course, both at their best rates."""
    cells = best(runs)
    zeros = {key: cells.get((key[0], 0.0)) for key in cells if key[1] > 0}
    return [loss(runs, key, zero, less=cells[key]) for key, zero in zeros.items() if zero]


def against_constant(runs: Runs) -> list[Loss]:
    """What each other course has less than the constant rate, at one rho."""
    cells = best(runs)
    constants = {key: cells.get((CONSTANT, key[1])) for key in cells if key[0] != CONSTANT}
    return [loss(runs, key, cells[key], less=constant) for key, constant in constants.items() if constant]


def at_equal_rates(runs: Runs) -> list[tuple[float, Loss]]:
    """What each course at each rho has less than rho 0 at the same first rate held constant, by that rate."""
    courses = by_course(runs)
    constant = courses.pop((CONSTANT, 0.0), [])
    return [
        (_rate(base), loss(runs, key, cell, less=base))
        for base in constant
        for key, cells in courses.items()
        for cell in cells
        if same_value(_rate(cell), _rate(base))
    ]


def _rate(cell: Cell) -> float:
    return cell.hyperparameters["learning_rate"]


def sign_apart(runs: Runs) -> tuple[Estimate, Estimate]:
    """How far RMSprop with rho 0 is from sign descent at the same rate and seed, mean over the rates.

    The mean absolute difference of the first epoch's training loss, and that of the smallest validation loss; NaN if
    there are no such two.
    """
    courses = by_course(runs)
    zero, sign = (courses.get((name, 0.0), []) for name in (CONSTANT, SIGN))
    twins = [(one, other) for one in zero for other in sign if same_value(_rate(one), _rate(other))]
    return _apart(twins, lambda run: float(run.curves["train_loss"][0])), _apart(twins, partial(lowest, runs))


def _apart(twins: Sequence[tuple[Cell, Cell]], measure: Callable[[History], float]) -> Estimate:
    differences = seed_rows(
        [paired_differences(one.measured(measure), other.measured(measure)) for one, other in twins]
    )
    return seed_estimate({seed: float(np.abs(row).mean()) for seed, row in differences.items()})


# The figure.

Grouped = Mapping[tuple[str, float], Sequence[Cell]]


def picture(source: plots.picture.Source) -> plots.picture.Picture:
    """Lowest losses over the first rate, for rho 0 and the largest one, and the losses of each course at its best rate.

    Raises:
        NotDrawable: there is no RMSprop with rho 0.
    """
    runs = source.runs
    courses = by_course(runs)
    if (CONSTANT, 0.0) not in courses:
        raise NotDrawable("there is no run of RMSprop with rho 0 and a constant rate")
    decays = [0.0, *sorted({decay for _, decay in courses if decay > 0})[-1:]]
    looks = plots.style.looks((*COURSES, SIGN))
    estimates = [loss(runs, key, cell).lowest for key, cells in courses.items() for cell in cells]
    with plots.style.applied():
        title = "RMSprop with and without memory: constant and falling rates"
        figure, axes = plots.style.panels(len(decays) + 1, title, width=3.3, right=2.0)
        for panel, decay in zip(axes, decays, strict=False):
            _over_rates(panel, runs, courses, decay, looks)
            plots.estimates.losses(panel, estimates, source.chance)
            panel.set_title(f"rho {labels.number(decay)}", loc="left")
        _over_epochs(axes[-1], runs, looks, source.chance)
        plots.style.legend(figure, axes[0], "course of the rate", width=1.95)
    caption = (
        "Left: lowest validation loss, of the epochs beside it, over the rate of the first step, by rho; right: by "
        f"epoch, each course at its best rate, rho 0 and (grey) the largest rho at a constant rate. {_numbers(runs)} "
        f"The dotted line is guessing, a cross marks where a seed diverged. {plots.estimates.seeds(estimates)}"
    )
    shown = labels.listing(labels.numbers(decays))
    alt = f"Line charts, a line a course of the rate, for rho {shown}. {_numbers(runs)}"
    return plots.picture.Picture("sign_descent", figure, caption, alt)


def _over_rates(axes: Axes, runs: Runs, courses: Grouped, decay: float, looks: Mapping[str, plots.style.Look]) -> None:
    shown = {key: cells for key, cells in courses.items() if key[1] == decay}
    for key, cells in shown.items():
        look = looks[key[0]]._asdict()
        if key[0] == SIGN:  # lies upon the constant one
            look |= {"linestyle": "none", "markerfacecolor": "none", "markersize": 10}
        lows = [loss(runs, key, cell).lowest for cell in cells]
        plots.estimates.marks(axes, list(map(_rate, cells)), lows, label=key[0], **look)
    every = [cell for cells in shown.values() for cell in cells]
    lost = {_rate(cell) for cell in every if any(run.status == "diverged" for run in cell.histories)}
    plots.estimates.crosses(axes, sorted(lost))
    plots.estimates.positions(axes, list(map(_rate, every)), "rate of the first step")
    axes.set_ylabel(f"lowest validation loss, without\nits own luck ({labels.LOSS_UNIT})")


def _over_epochs(axes: Axes, runs: Runs, looks: Mapping[str, plots.style.Look], chance: float) -> None:
    cells = best(runs)
    largest = max(decay for _, decay in cells)
    means = list[np.ndarray]()
    for (name, decay), cell in cells.items():
        if name != SIGN and (decay == 0 or (name, decay) == (CONSTANT, largest)):
            mean = plots.epoch_curves.band(cell.histories, "val_loss").mean
            color = "#9a9a9a" if decay else looks[name].color
            axes.plot(np.arange(1, len(mean) + 1), mean, color=color, linestyle=looks[name].linestyle)
            means.append(mean)
    plots.style.epochs_axis(axes, max(map(len, means)))
    values = np.concatenate(means)
    plots.style.scale(axes, values[np.isfinite(values)], 1.05 * chance)
    axes.set_ylabel(f"validation loss\n({labels.LOSS_UNIT})")
    axes.set_title("each at its best rate", loc="left")


def _numbers(runs: Runs) -> str:
    lost = gaps(runs)
    several = len({gap.decay for gap in lost}) > 1
    parts = [
        f"{gap.course}{f' against rho {labels.number(gap.decay)}' * several}"
        f" {plots.estimates.interval(gap.last, '.3f')}"
        for gap in lost
    ]
    return f"What rho 0 loses in the last epoch, each at its best rate: {'; '.join(parts)}." if parts else ""


# The table.


def table(source: plots.picture.Source) -> Answer:
    """Each course of the rate at its best first rate, what rho 0 loses under it, and how near sign descent is."""
    runs = source.runs
    at_same_rate = " less that of rho 0 at the same rate held constant"
    measured: list[tuple[str, float | None, Loss]] = [
        *(("", _rate(cell), loss(runs, key, cell)) for key, cell in best(runs).items()),
        *((" less the other rho's, of rho 0", None, gap) for gap in gaps(runs)),
        *((" less that of the constant rate", None, gap) for gap in against_constant(runs)),
        *((at_same_rate, rate, gap) for rate, gap in at_equal_rates(runs)),
    ]
    rows: list[tuple[str | float | None, ...]] = []
    for what, rate, one in measured:
        rows.append((f"lowest loss without its own luck{what}", one.course, one.decay, rate, *one.lowest))
        rows.append((f"last loss{what}", one.course, one.decay, rate, *one.last))
    measures = ("training loss of epoch 1", "lowest loss without its own luck")
    for what, apart in zip(measures, sign_apart(runs), strict=True):
        rows.append((f"rho 0 and sign descent apart, {what}", CONSTANT, 0.0, None, *apart))
    return ("quantity", "course", "decay", "learning_rate", *Estimate._fields), rows


EXPERIMENT = Experiment(
    "sign_descent", "RMSprop without memory and sign descent", AXES, make_runs,
    figures=((0, picture),), table=table,
)  # fmt: skip


def main(argv: Sequence[str] | None = None) -> None:
    """The command."""
    add_rules()  # the flags' ranges are the rules'
    flags.command(EXPERIMENT)(argv)


if __name__ == "__main__":
    main()
