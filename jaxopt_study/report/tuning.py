"""Tuning curves as a table: which optimizer, if so many configurations can be tried?"""

import math
from collections.abc import Sequence
from typing import Any, Protocol

import pyarrow as pa

from jaxopt_study.analysis.runs import by_rule
from jaxopt_study.analysis.tuning import TuningCurve, winners
from jaxopt_study.analysis.tuning import tuning_curves as curves_of
from jaxopt_study.errors import InputError
from jaxopt_study.history import History
from jaxopt_study.report.tables import Table
from jaxopt_study.storage.store import histories_of


class Finished(Protocol):
    """What is asked of a study: its finished runs and the loss of guessing."""

    @property
    def histories(self) -> list[History]:
        """The finished runs."""

    @property
    def guessing(self) -> float:
        """The validation loss of guessing."""


def tuning_curves(runs: pa.Table | Finished | Sequence[History], *, chance: float | None = None) -> pa.Table:
    """The loss to be expected of the best of n configurations of a rule, drawn from its grid, for every n.

    The grid as it was chosen is what is drawn from: a wide one makes a rule look hard to tune, a narrow one easy.
    ``docs/statistics.md`` has the formula.

    Args:
        runs: a study, what its ``run()`` or ``load_runs`` returned, or histories; of any number of rules.
        chance: the loss of guessing, which a run that diverged counts as; the study's, or the highest loss told of any
            run, if not given.

    Returns:
        A pyarrow table, a row a rule and number of configurations tried, with the columns of :func:`table`.

    Raises:
        InputError: there is no seed that all configurations have, or no run.
    """
    if isinstance(runs, pa.Table):
        histories, known = histories_of(runs), math.inf
    elif isinstance(runs, Sequence) and all(isinstance(run, History) for run in runs):
        histories, known = list(runs), math.inf
    elif not hasattr(runs, "histories") or not hasattr(runs, "guessing"):
        raise InputError("runs", repr(runs), "allowed are a study, a table of its runs, or histories")
    else:
        histories, known = runs.histories, runs.guessing
    curves = curves_of(by_rule(histories), known if chance is None else chance)
    if not curves:
        raise InputError("runs", f"{len(histories)} runs", "allowed are runs of which all configurations share a seed")
    return pa.Table.from_pylist(table(curves).records())


def table(curves: Sequence[TuningCurve]) -> Table:
    """A row a rule and number of configurations tried.

    Columns: optimizer; tried; configurations, of its grid (with more tried, all of them are); loss, the mean expected
    over the seeds, with the ends of its 95% interval; seeds; winner, whether it is the lowest; behind, the mean
    difference to the winner, with the ends of its interval. Ends are empty with one seed.
    """
    columns = (
        "optimizer", "tried", "configurations", "loss", "loss_low", "loss_high", "seeds", "winner",
        "behind", "behind_low", "behind_high",
    )  # fmt: skip
    first = winners(curves)
    rows: list[tuple[Any, ...]] = []
    for curve in curves:
        for at, (loss, behind) in enumerate(zip(curve.expected, curve.behind, strict=True)):
            wins = first[at] == curve.optimizer
            ends = (None, None) if wins else (behind.low, behind.high)
            told = (loss.value, loss.low, loss.high, loss.seeds, wins, behind.value, *ends)
            rows.append((curve.optimizer, at + 1, curve.configurations, *told))
    return Table(columns, rows)
