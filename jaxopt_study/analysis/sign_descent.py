"""What RMSprop loses without memory (rho 0), and how much of it a falling rate mends."""

import math
from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from jaxopt_study.analysis.best import best_cell
from jaxopt_study.analysis.intervals import Estimate, paired_differences, seed_estimate
from jaxopt_study.analysis.minima import losses, lowest
from jaxopt_study.analysis.runs import Cell, Runs, same_value

CONSTANT, ROOT, EXPONENTIAL, LINE, SIGN = "constant", "1 / root of steps", "exponential", "linear to 0", "sign descent"
COURSES = (CONSTANT, ROOT, EXPONENTIAL, LINE)
RULES = ("rmsprop", "rmsprop_falling", "sign_sgd")


class Best(NamedTuple):
    """A course of the rate at one rho, at its best first rate.

    Attributes:
        course: one of ``COURSES``, or ``SIGN``.
        decay: rho; 0 for sign descent.
        cell: the configuration with the smallest mean of its smallest validation losses.
        lowest: smallest validation loss.
        last: validation loss of the last epoch, at most that of guessing.
    """

    course: str
    decay: float
    cell: Cell
    lowest: Estimate
    last: Estimate


class Gap(NamedTuple):
    """What rho 0 loses to the other rho under one course: smallest and last validation loss, less, paired by seed."""

    course: str
    decay: float
    lowest: Estimate
    last: Estimate


def course(cell: Cell) -> str:
    """How a configuration's rate goes, from its numbers; empty where it goes in more than one of the ways."""
    if cell.optimizer == "sign_sgd":
        return SIGN
    numbers = cell.hyperparameters
    ways = (
        (ROOT, numbers.get("root", 0.0) > 0),
        (EXPONENTIAL, numbers.get("last_share", 1.0) < 1),
        (LINE, numbers.get("line", 0.0) > 0),
    )
    found = [name for name, taken in ways if taken]
    return CONSTANT if not found else found[0] if len(found) == 1 else ""


def by_course(runs: Runs) -> dict[tuple[str, float], list[Cell]]:
    """The configurations by course and rho, each by ascending rate; rules other than ``RULES`` are passed over."""
    found: dict[tuple[str, float], list[Cell]] = {}
    for cell in (cell for rule in RULES for cell in runs.cells(rule)):
        if course(cell):
            found.setdefault((course(cell), cell.hyperparameters.get("decay", 0.0)), []).append(cell)
    return {
        key: sorted(found[key], key=lambda cell: cell.hyperparameters["learning_rate"])
        for name in (*COURSES, SIGN)
        for key in sorted(found)
        if key[0] == name
    }


def lowest_by_seed(runs: Runs, cell: Cell) -> dict[int, float]:
    """Smallest validation loss of each seed, at most that of guessing."""
    return {seed: lowest(runs, history) for seed, history in cell.by_seed.items()}


def last_by_seed(runs: Runs, cell: Cell) -> dict[int, float]:
    """Validation loss of each seed's last epoch, at most that of guessing, which is also that of a diverged run."""
    last = {seed: float(losses(history)[-1]) for seed, history in cell.by_seed.items()}
    return {seed: min(value, runs.chance) if math.isfinite(value) else runs.chance for seed, value in last.items()}


def best(runs: Runs) -> list[Best]:
    """Each course and rho at its best rate. The rate is chosen by the same runs, so the losses are a little too low."""
    told = []
    for (name, decay), cells in by_course(runs).items():
        cell = best_cell(cells)
        estimates = [seed_estimate(list(of(runs, cell).values())) for of in (lowest_by_seed, last_by_seed)]
        told.append(Best(name, decay, cell, *estimates))
    return told


def gaps(runs: Runs) -> list[Gap]:
    """What rho 0 loses under each course to each other rho under the same course, both at their best rates."""
    found = {(one.course, one.decay): one.cell for one in best(runs)}
    return [
        Gap(
            name, decay, *(_paired(of(runs, found[name, 0.0]), of(runs, cell)) for of in (lowest_by_seed, last_by_seed))
        )
        for (name, decay), cell in found.items()
        if decay > 0 and (name, 0.0) in found
    ]


def against_constant(runs: Runs) -> list[Gap]:
    """What each other course has less than the constant rate, at one rho: smallest and last validation loss."""
    found = {(one.course, one.decay): one.cell for one in best(runs)}
    return [
        Gap(
            name,
            decay,
            *(_paired(of(runs, cell), of(runs, found[CONSTANT, decay])) for of in (lowest_by_seed, last_by_seed)),
        )
        for (name, decay), cell in found.items()
        if name != CONSTANT and (CONSTANT, decay) in found
    ]


def at_equal_rates(runs: Runs) -> list[tuple[float, Gap]]:
    """What each course at each rho has less than rho 0 at the same first rate held constant, by that rate."""
    found = by_course(runs)
    return [
        (rate, Gap(name, decay, *(_paired(of(runs, cell), of(runs, base)) for of in (lowest_by_seed, last_by_seed))))
        for base in found.get((CONSTANT, 0.0), [])
        for rate in [base.hyperparameters["learning_rate"]]
        for (name, decay), cells in found.items()
        for cell in cells
        if (name, decay) != (CONSTANT, 0.0) and same_value(cell.hyperparameters["learning_rate"], rate)
    ]


def sign_apart(runs: Runs) -> tuple[Estimate, Estimate]:
    """How far RMSprop with rho 0 is from sign descent at the same rate and seed, mean over the rates.

    Returns:
        The mean absolute difference of the first epoch's training loss, and that of the smallest validation loss.
        NaN if there are no such two.
    """
    found = by_course(runs)
    twins = [
        (one, other)
        for one in found.get((CONSTANT, 0.0), [])
        for other in found.get((SIGN, 0.0), [])
        if same_value(*(cell.hyperparameters["learning_rate"] for cell in (one, other)))
    ]
    first = [_apart(_first(one), _first(other)) for one, other in twins]
    low = [_apart(lowest_by_seed(runs, one), lowest_by_seed(runs, other)) for one, other in twins]
    return _mean_over_rates(first), _mean_over_rates(low)


def _first(cell: Cell) -> dict[int, float]:
    return {seed: float(history.curves["train_loss"][0]) for seed, history in cell.by_seed.items()}


def _apart(first: Mapping[int, float], second: Mapping[int, float]) -> dict[int, float]:
    return {seed: abs(value) for seed, value in paired_differences(first, second).items()}


def _mean_over_rates(rates: list[dict[int, float]]) -> Estimate:
    seeds = sorted(set[int].intersection(*map(set, rates))) if rates else []
    return seed_estimate([float(np.mean([rate[seed] for rate in rates])) for seed in seeds])


def _paired(first: Mapping[int, float], second: Mapping[int, float]) -> Estimate:
    return seed_estimate(list(paired_differences(first, second).values()))
