"""The runs of a study: found by their numbers, gathered by configuration, whatever label they came under."""

import dataclasses
import functools
import math
from collections.abc import Callable, Iterable, Mapping
from typing import NamedTuple

import numpy as np

from jaxopt_study.analysis.numbers import number
from jaxopt_study.history import MOMENTUM_RULES, History, plain_name, remembered

PRINTED = 0.06
"""How far a number in print may be from the one meant, relative: 0.03 and 0.032 are 10^-1.5 rounded."""

DECAYS = ("momentum", "decay", "b1", "b2")
"""Hyperparameters in [0, 1) of which one minus the value counts: 0.99 and 0.999 are ten times apart."""


@functools.lru_cache(maxsize=10_000)
def as_trained(value: float) -> float:
    """The shortest number that trains as ``value`` does: training computes in float32.

    Two values of a hyperparameter are the same where this is.
    """
    return float(str(np.float32(value)))


def same_value(first: float, second: float) -> bool:
    """Whether two values of a hyperparameter are one and the same: equal in float32."""
    return bool(np.float32(first) == np.float32(second))


def has(numbers: Mapping[str, float], wanted: Mapping[str, float]) -> bool:
    """Whether hyperparameters have the values wanted."""
    return all(name in numbers and same_value(numbers[name], value) for name, value in wanted.items())


def stands_for(name: str, value: float, printed: float) -> bool:
    """Whether ``value`` of the hyperparameter ``name`` may be meant by a number in print."""
    close = math.isclose(value, printed, rel_tol=PRINTED, abs_tol=1e-9)
    return close and (name not in DECAYS or math.isclose(1 - value, 1 - printed, rel_tol=PRINTED))


def nearest(present: Iterable[float], wanted: float) -> float:
    """The value of a grid, which must have one, nearest to ``wanted``, by ratio where all are positive."""
    values = list(present)
    if wanted > 0 and min(values) > 0:
        return min(values, key=lambda value: abs(math.log(value / wanted)))
    return min(values, key=lambda value: abs(value - wanted))


Configuration = tuple[object, ...]
"""What a run has in common with its other seeds, whatever it is called; see :func:`configuration_of`."""


def configuration_of(optimizer: str, hyperparameters: Mapping[str, float]) -> Configuration:
    """The rule and its numbers as they are trained with; those with a momentum of 0 are plain SGD's."""
    rule, numbers = plain_name(optimizer, hyperparameters)
    return rule, *sorted((name, as_trained(value)) for name, value in numbers.items())


@remembered
def configuration(history: History) -> tuple[object, ...]:
    """What a run has in common with its other seeds alone."""
    numbers = sorted((name, as_trained(value)) for name, value in history.hyperparameters.items())
    return history.optimizer, *numbers


def by_configuration(histories: Iterable[History]) -> list[list[History]]:
    """Runs that differ in nothing but their seed, in the order in which they come."""
    groups: dict[tuple[object, ...], list[History]] = {}
    for history in histories:
        groups.setdefault(configuration(history), []).append(history)
    return list(groups.values())


def by_rule(histories: Iterable[History]) -> dict[str, list[list[History]]]:
    """The configurations of each rule, as :func:`by_configuration` gives them, in the order in which they come."""
    rules: dict[str, list[list[History]]] = {}
    for runs in by_configuration(histories):
        rules.setdefault(runs[0].optimizer, []).append(runs)
    return rules


def describe(optimizer: str, hyperparameters: Mapping[str, float], defaults: Mapping[str, float]) -> str:
    """``momentum (learning_rate 0.01, momentum 0.9)``; numbers at their defaults are left out."""
    shown = [
        f"{name} {number(value)}"
        for name, value in hyperparameters.items()
        if name in ("learning_rate", "decay") or name not in defaults or not same_value(value, defaults[name])
    ]
    return f"{optimizer} ({', '.join(shown)})" if shown else optimizer


class Cell(NamedTuple):
    """The runs of one configuration, one a seed, or of several orders of the data one a :attr:`History.replicate`."""

    optimizer: str
    hyperparameters: Mapping[str, float]
    by_seed: Mapping[int, History]
    defaults: Mapping[str, float] = {}
    """Numbers that its label leaves out where they have these values."""
    held_out: bool = False
    """Whether its runs are those that :func:`jaxopt_study.analysis.best.held_out` tells of it, perhaps of others."""

    @property
    def seeds(self) -> list[int]:
        """In ascending order."""
        return sorted(self.by_seed)

    @property
    def histories(self) -> list[History]:
        """In the order of the seeds."""
        return [self.by_seed[seed] for seed in self.seeds]

    def measured(self, measure: Callable[[History], float]) -> dict[int, float]:
        """A measure of its runs, by seed."""
        return {seed: measure(history) for seed, history in self.by_seed.items()}

    @property
    def label(self) -> str:
        """Optimizer and numbers in words."""
        return describe(self.optimizer, self.hyperparameters, self.defaults)


class Runs:
    """All runs of a study, which must share data, model and stopping rule.

    A rule with momentum 0 is plain SGD; such a run is found under either name and kept once. Where two histories are
    of one configuration and seed, the longer is kept.

    Args:
        histories: in any order; failed runs are set aside in ``failed``.
        chance: loss of guessing, the natural logarithm of the number of classes. No loss counts as worse than this.
        defaults: by rule, the numbers that a history need not give and that labels leave out.
    """

    def __init__(
        self,
        histories: Iterable[History],
        *,
        chance: float = math.log(2),
        defaults: Mapping[str, Mapping[str, float]] | None = None,
    ) -> None:
        self.chance = chance
        self.defaults = defaults or {}
        self.failed: list[History] = []
        trained: dict[tuple[object, ...], dict[int, History]] = {}
        for history in histories:
            if history.status == "failed" or history.epochs == 0:
                self.failed.append(history)
                continue
            run = self.canonical(history)
            by_seed = trained.setdefault(configuration(run), {})
            seed = run.replicate
            if seed not in by_seed or run.epochs > by_seed[seed].epochs:
                by_seed[seed] = run
        self._cells: dict[str, list[Cell]] = {}
        for by_seed in trained.values():
            first = next(iter(by_seed.values()))
            usual = self.defaults.get(first.optimizer, {})
            cell = Cell(first.optimizer, first.hyperparameters, by_seed, usual)
            self._cells.setdefault(first.optimizer, []).append(cell)
        self._axes: dict[tuple[str, str], list[float]] = {}
        self._sorted = {rule: self._in_order(rule) for rule in (*self._cells, *MOMENTUM_RULES)}

    def _in_order(self, rule: str) -> list[tuple[Mapping[str, float], Cell]]:
        """The configurations of a rule by ascending numbers, and these in float32; plain SGD's for momentum 0."""
        cells = list(self._cells.get(rule, []))
        if rule in MOMENTUM_RULES:
            cells += [_as_momentum_zero(cell, rule) for cell in self._cells.get("sgd", [])]
        cells.sort(key=lambda cell: [value for _, value in sorted(cell.hyperparameters.items())])
        return [(_in_float32(cell.hyperparameters), cell) for cell in cells]

    def canonical(self, history: History) -> History:
        """A history as it is kept: under the plain name of its rule, with the numbers that it need not give.

        Given in this form, histories keep what was remembered of them from one study to the next.
        """
        optimizer, numbers = plain_name(history.optimizer, history.hyperparameters)
        usual = {n: v for n, v in self.defaults.get(optimizer, {}).items() if n not in numbers}
        numbers |= usual
        if optimizer == history.optimizer and numbers == history.hyperparameters:
            return history  # what was remembered of it is kept
        return dataclasses.replace(history, optimizer=optimizer, hyperparameters=numbers)

    @property
    def optimizers(self) -> list[str]:
        """Names of the rules that have runs, momentum 0 counted as ``sgd``."""
        return list(self._cells)

    @property
    def configurations(self) -> list[Cell]:
        """All configurations, each once: momentum 0 as ``sgd`` alone."""
        return [cell for optimizer in self.optimizers for cell in self.family(optimizer)]

    def cells(self, optimizer: str, **hyperparameters: float) -> list[Cell]:
        """The configurations of a rule with exactly the numbers given, any value where none is given.

        Args:
            optimizer: name in the registry. For a rule with momentum, the runs of plain SGD stand for momentum 0;
                for ``sgd``, a ``momentum`` of 0 may be asked for.
            **hyperparameters: by their Optax names; compared by :func:`same_value`.

        Returns:
            Configurations in ascending order of their numbers; empty if there are none.
        """
        if optimizer == "sgd" and hyperparameters.get("momentum") == 0.0:
            hyperparameters = {name: value for name, value in hyperparameters.items() if name != "momentum"}
        wanted = _in_float32(hyperparameters).items()
        return [cell for numbers, cell in self._sorted.get(optimizer, []) if wanted <= numbers.items()]

    def family(self, optimizer: str, **hyperparameters: float) -> list[Cell]:
        """As :meth:`cells`, but momentum 0 belongs to ``sgd`` alone: what a rule with momentum has for its own."""
        cells = self.cells(optimizer, **hyperparameters)
        return [c for c in cells if optimizer not in MOMENTUM_RULES or c.hyperparameters.get("momentum") != 0]

    def meant(self, optimizer: str, printed: Mapping[str, float]) -> dict[str, float]:
        """What is meant by numbers in print: of each the nearest value that a rule was run at, 10^-0.5 for 0.316.

        A number that no value :func:`stands_for` is left as it is.
        """
        meant = dict(printed)
        for name, wanted in printed.items():
            near = [value for value in self.axis(optimizer, name) if stands_for(name, value, wanted)]
            meant[name] = nearest(near, wanted) if near else wanted
        return meant

    def printed(self, optimizer: str, **hyperparameters: float) -> list[Cell]:
        """As :meth:`cells`, of numbers as they stand in print, see :meth:`meant`."""
        return self.cells(optimizer, **self.meant(optimizer, hyperparameters))

    def describe(self, optimizer: str, hyperparameters: Mapping[str, float]) -> str:
        """A rule and numbers in words, as in the labels of cells."""
        return describe(optimizer, hyperparameters, self.defaults.get(optimizer, {}))

    def axis(self, optimizer: str, name: str) -> list[float]:
        """The different values of a hyperparameter that a rule has runs at, ascending."""
        if (optimizer, name) not in self._axes:
            numbers = [cell.hyperparameters for cell in self.cells(optimizer)]
            self._axes[optimizer, name] = sorted({as_trained(each[name]) for each in numbers if name in each})
        return list(self._axes[optimizer, name])


def _in_float32(numbers: Mapping[str, float]) -> dict[str, float]:
    return {name: float(np.float32(value)) for name, value in numbers.items()}


def _as_momentum_zero(cell: Cell, rule: str) -> Cell:
    relabelled = {seed: _with_momentum_zero(history, rule) for seed, history in cell.by_seed.items()}
    return Cell(rule, {**cell.hyperparameters, "momentum": 0.0}, relabelled)


@remembered
def _with_momentum_zero(history: History, rule: str) -> History:
    return dataclasses.replace(history, optimizer=rule, hyperparameters={**history.hyperparameters, "momentum": 0.0})
