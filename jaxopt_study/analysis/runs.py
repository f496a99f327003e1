"""The runs of a study: found by their numbers, gathered by configuration, whatever label they came under."""

import dataclasses
import math
from collections.abc import Iterable, Mapping
from typing import NamedTuple

from jaxopt_study.history import MOMENTUM_RULES, History, plain_name

RELATIVE_TOLERANCE = 0.02
"""Two numbers of a hyperparameter are one within this: 0.0316 and 0.032 are 10^-1.5 rounded."""

DECAYS = ("momentum", "decay", "b1", "b2")
"""Hyperparameters in [0, 1) of which one minus the value counts: 0.99 and 0.999 are ten times apart."""


def same_value(name: str, first: float, second: float) -> bool:
    """Whether two values of the hyperparameter ``name`` are one up to rounding in print."""
    close = math.isclose(first, second, rel_tol=RELATIVE_TOLERANCE)
    if name in DECAYS:
        return close and math.isclose(1 - first, 1 - second, rel_tol=RELATIVE_TOLERANCE)
    return close


def describe(optimizer: str, hyperparameters: Mapping[str, float], defaults: Mapping[str, float]) -> str:
    """``momentum (learning_rate 0.01, momentum 0.9)``; numbers at their defaults are left out."""
    shown = [
        f"{name} {value:.3g}"
        for name, value in hyperparameters.items()
        if name in ("learning_rate", "decay") or name not in defaults or not same_value(name, value, defaults[name])
    ]
    return f"{optimizer} ({', '.join(shown)})" if shown else optimizer


class Cell(NamedTuple):
    """The runs of one configuration, one a seed."""

    optimizer: str
    hyperparameters: Mapping[str, float]
    by_seed: Mapping[int, History]
    defaults: Mapping[str, float] = {}
    """Numbers that its label leaves out where they have these values."""

    @property
    def seeds(self) -> list[int]:
        """In ascending order."""
        return sorted(self.by_seed)

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
        self._cells: dict[str, list[Cell]] = {}
        for history in histories:
            if history.status == "failed" or history.epochs == 0:
                self.failed.append(history)
            else:
                self._add(self._canonical(history))

    def _add(self, history: History) -> None:
        cells = self._cells.setdefault(history.optimizer, [])
        cell = next((each for each in cells if _same_numbers(each.hyperparameters, history.hyperparameters)), None)
        if cell is None:
            usual = self.defaults.get(history.optimizer, {})
            cells.append(Cell(history.optimizer, history.hyperparameters, {history.seed: history}, usual))
            return
        kept = cell.by_seed.get(history.seed)
        if kept is None or history.epochs > kept.epochs:
            cells[cells.index(cell)] = cell._replace(by_seed={**cell.by_seed, history.seed: history})

    def _canonical(self, history: History) -> History:
        optimizer, numbers = plain_name(history.optimizer, history.hyperparameters)
        numbers = {name: float(value) for name, value in numbers.items()}
        usual = {n: v for n, v in self.defaults.get(optimizer, {}).items() if n not in numbers}
        return dataclasses.replace(history, optimizer=optimizer, hyperparameters=numbers | usual)

    @property
    def optimizers(self) -> list[str]:
        """Names of the rules that have runs, momentum 0 counted as ``sgd``."""
        return list(self._cells)

    def cells(self, optimizer: str, **hyperparameters: float) -> list[Cell]:
        """The configurations of a rule with the numbers given, any value where none is given.

        Args:
            optimizer: name in the registry. For a rule with momentum, the runs of plain SGD stand for momentum 0;
                for ``sgd``, a ``momentum`` of 0 may be asked for.
            **hyperparameters: by their Optax names; compared by :func:`same_value`.

        Returns:
            Configurations in ascending order of their numbers; empty if there are none.
        """
        found = list(self._cells.get(optimizer, []))
        if optimizer in MOMENTUM_RULES:
            found += [_as_momentum_zero(cell, optimizer) for cell in self._cells.get("sgd", [])]
        if optimizer == "sgd" and hyperparameters.get("momentum") == 0.0:
            hyperparameters = {name: value for name, value in hyperparameters.items() if name != "momentum"}
        matching = [cell for cell in found if _has(cell.hyperparameters, hyperparameters)]
        return sorted(matching, key=lambda cell: [value for _, value in sorted(cell.hyperparameters.items())])

    def family(self, optimizer: str, **hyperparameters: float) -> list[Cell]:
        """As :meth:`cells`, but momentum 0 belongs to ``sgd`` alone: what a rule with momentum has for its own."""
        found = self.cells(optimizer, **hyperparameters)
        return [c for c in found if optimizer not in MOMENTUM_RULES or c.hyperparameters["momentum"] > 0]

    def select(self, optimizer: str, *, seed: int | None = None, **hyperparameters: float) -> list[History]:
        """The runs of :meth:`cells`, of one seed or of all, labelled as they were asked for."""
        return [
            cell.by_seed[each]
            for cell in self.cells(optimizer, **hyperparameters)
            for each in cell.seeds
            if seed in (None, each)
        ]

    def describe(self, optimizer: str, hyperparameters: Mapping[str, float]) -> str:
        """A rule and numbers in words, as in the labels of cells."""
        return describe(optimizer, hyperparameters, self.defaults.get(optimizer, {}))

    def axis(self, optimizer: str, name: str) -> list[float]:
        """The values of a hyperparameter that a rule has runs at, ascending, values that differ by rounding once."""
        values: list[float] = []
        for value in sorted(c.hyperparameters[name] for c in self.cells(optimizer) if name in c.hyperparameters):
            if not values or not same_value(name, values[-1], value):
                values.append(value)
        return values


def _as_momentum_zero(cell: Cell, optimizer: str) -> Cell:
    numbers = {**cell.hyperparameters, "momentum": 0.0}
    relabelled = {
        seed: dataclasses.replace(history, optimizer=optimizer, hyperparameters=numbers)
        for seed, history in cell.by_seed.items()
    }
    return Cell(optimizer, numbers, relabelled)


def _has(numbers: Mapping[str, float], wanted: Mapping[str, float]) -> bool:
    return all(name in numbers and same_value(name, numbers[name], value) for name, value in wanted.items())


def _same_numbers(first: Mapping[str, float], second: Mapping[str, float]) -> bool:
    return first.keys() == second.keys() and _has(first, second)
