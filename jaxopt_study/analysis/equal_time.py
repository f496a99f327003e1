"""Runs as they were when each rule had had as much time as SGD for all epochs."""

import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from jaxopt_study.history import History


def at_equal_time(histories: Iterable[History], costs: Mapping[str, float], epochs: int) -> list[History]:
    """The runs, each cut off after ``epochs / cost`` epochs, rounded down, but at least one.

    Args:
        histories: of rules whose cost is not known, or is at most 1, as they are.
        costs: seconds of a step over SGD's, by the rule.
        epochs: for which the time is that of SGD.
    """
    return [_until(run, max(1, int(epochs / costs.get(run.optimizer, 1.0)))) for run in histories]


def _until(run: History, epochs: int) -> History:
    if run.epochs <= epochs:
        return run
    curves = {name: curve[:epochs] for name, curve in run.curves.items()}
    if run.diverged_epoch is None or run.diverged_epoch > epochs:
        return dataclasses.replace(run, curves=curves, diverged_epoch=None, status="finished")
    return dataclasses.replace(run, curves=curves)


def costs_in(stats: Sequence[Mapping[str, Any]]) -> dict[str, float]:
    """Seconds of a step over SGD's by the rule, as stats.json of some work directories say."""
    tables = [part.get("costs") or {} for part in stats]
    return {rule: cost["seconds_over_sgd"] for table in tables for rule, cost in table.items()}
