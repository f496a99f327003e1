"""Two rules, one answer: tunes both on the same problem, adds seeds until it is decided, and says which is better."""

import inspect
import math
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from jaxopt_study.analysis.best import Best, best_of
from jaxopt_study.analysis.looking import Question
from jaxopt_study.analysis.minima import Monitor
from jaxopt_study.analysis.runs import Configuration, by_configuration, configuration_of, describe
from jaxopt_study.analysis.versus import versus
from jaxopt_study.api.make import make_study
from jaxopt_study.api.study import Study
from jaxopt_study.errors import InputError
from jaxopt_study.grids.grid import Grid, Optimizer, make_grid, runs_of
from jaxopt_study.history import History
from jaxopt_study.models.build import article_model
from jaxopt_study.settings import MOST_SEEDS, check_whole

RATES = "1e-4:1:half_decade"
"""Learning rates of a rule that is given without a grid."""


class Comparison(NamedTuple):
    """What came of :func:`compare`.

    Attributes:
        verdict: ``NAME is better``, or ``undecided``.
        effect: how far the first rule's lowest validation loss is above the second's: -0.1 is 10% below; of what is
            monitored in its place, the difference of the best values. See
            :class:`jaxopt_study.analysis.versus.Versus`.
        low, high: its interval, valid though it was looked at after every seed.
        p: two-sided p-value of no difference.
        first, second: the best configuration of each; None without a finished run.
        runs: that are finished.
        seconds: that the call took.
        reason: why nothing can be said, or what a reader must know; empty if all is well.
        workdir: with the runs; ``Study.report`` of the same arguments makes a page.
        monitor: what it was judged by.
    """

    verdict: str
    effect: float
    low: float
    high: float
    p: float
    first: Best | None
    second: Best | None
    runs: int
    seconds: float
    reason: str
    workdir: str
    monitor: str = "val_loss"

    def __repr__(self) -> str:
        what, digits = ("loss", "+.1%") if self.monitor == "val_loss" else (self.monitor, "+.4g")
        interval = "" if math.isnan(self.low) else f" ({self.low:{digits}} to {self.high:{digits}})"
        effect = "" if math.isnan(self.effect) else f": {what} {self.effect:{digits}}{interval}"
        told = f"{self.runs} runs, {self.seconds:.0f} s{f'; {self.reason}' if self.reason else ''}"
        return f"<{self.verdict}{effect}; {told}>"


def compare(
    first: Optimizer | Grid,
    second: Optimizer | Grid,
    *,
    on: Any,
    model: Any = None,
    until: str | None = "decided",
    minutes: float | None = None,
    seeds: int = 3,
    max_seeds: int = MOST_SEEDS,
    max_epochs: int = 20,
    workdir: str | Path = "workdir/compare",
    **options: Any,
) -> Comparison:
    """Says which of two rules gets to the lower validation loss, or the better ``monitor``, each at its best.

    What chooses a configuration does not tell of it (see :func:`jaxopt_study.analysis.best.held_out`), and seeds are
    compared pair by pair.

    Args:
        first: a rule, as :func:`~jaxopt_study.grids.grid.make_grid` takes it, at learning rates of ``RATES``; or what
            that returned.
        second: the other.
        on: the data, as ``data`` of :func:`~jaxopt_study.api.make.make_study`.
        model: the network; the article's, for images, if None.
        until: ``decided`` adds seeds to the configurations that matter, one at a time, until it is decided or unlikely
            to be; None trains ``seeds`` and looks once.
        minutes: after so many training ends; None is as long as it takes. The same call goes on.
        seeds: of every configuration to begin with.
        max_seeds: of a configuration at most.
        max_epochs, workdir: see :func:`~jaxopt_study.api.make.make_study`.
        **options: more of its arguments.

    Raises:
        InputError: the message says what was given and what is allowed.
        EnvironmentFault: the machine cannot do it.
    """
    begin = time.monotonic()
    for name, own in (("questions", "first"), ("grid", "first"), ("data", "on"), ("max_minutes", "minutes")):
        if name in options:
            raise InputError(name, options[name], f"not allowed in compare; {own} is")
    for name in options:
        if name not in (known := inspect.signature(make_study).parameters):
            raise InputError(name, repr(options[name]), f"allowed beside compare's own are {', '.join(known)}")
    if until:
        check_whole("max_seeds", max_seeds, 1)
    grids = [each if isinstance(each, Grid) else make_grid(each, learning_rate=RATES) for each in (first, second)]
    if grids[0] == grids[1]:
        raise InputError("second", grids[1].optimizer, "allowed is another rule, or another grid, than the first")
    most = max(max_seeds, 2) if until else None
    sides = [
        {configuration_of(run.optimizer, dict(run.hyperparameters)) for run in runs_of(grid, 1, [1])} for grid in grids
    ]
    try:
        study = make_study(
            model=article_model() if model is None else model, data=on, grid=grids, seeds=seeds, max_epochs=max_epochs,
            workdir=workdir, until=until, max_seeds=max_seeds if until else None, max_minutes=minutes, **options,
        )  # fmt: skip
    except InputError as error:
        if error.name not in (ours := {"data": "on", "max_minutes": "minutes"}):
            raise
        raise InputError(ours[error.name], error.given, error.allowed) from None
    study.questions = _questions(sides, study.objective.watched, study.guessing)
    study.run()
    return _concluded(study, sides, [grid.optimizer for grid in grids], most, time.monotonic() - begin)


def _side(histories: Sequence[History], side: set[Configuration]) -> list[list[History]]:
    return by_configuration(h for h in histories if configuration_of(h.optimizer, h.hyperparameters) in side)


def _questions(
    sides: Sequence[set[Configuration]], monitor: Monitor | None, chance: float
) -> Callable[[Sequence[History], int], list[Question]]:
    """The one question, which hangs on the best configurations of both sides."""

    def questions(histories: Sequence[History], most: int) -> list[Question]:
        both = [_side(histories, side) for side in sides]
        found = versus(both[0], both[1], most, monitor, chance)
        if found.better is not None or not all(both):
            return []
        chosen = [best_of(side, chance, monitor=monitor) for side in both]
        return [Question([configuration_of(best.optimizer, best.hyperparameters) for best in chosen], found.p)]

    return questions


def _concluded(
    study: Study, sides: Sequence[set[Configuration]], names: Sequence[str], most: int | None, seconds: float
) -> Comparison:
    both = [_side(study.histories, side) for side in sides]
    monitor = study.objective.watched
    found = versus(both[0], both[1], most, monitor, study.guessing)
    best = [best_of(side, study.guessing, monitor=monitor) if side else None for side in both]
    labels = list(names)
    if names[0] == names[1]:
        labels = [describe(one.optimizer, one.hyperparameters, {}) if one else names[0] for one in best]
    verdict = "undecided" if found.better is None else f"{labels[found.better]} is better"
    notes = [found.reason, *(_at_edge(one, side) for one, side in zip(best, both, strict=True) if one)]
    return Comparison(
        verdict, found.effect, found.low, found.high, found.p, best[0], best[1], len(study.histories), seconds,
        "; ".join(filter(None, notes)), str(study.workdir), study.objective.monitor,
    )  # fmt: skip


def _at_edge(best: Best, side: Sequence[Sequence[History]]) -> str:
    """Whether the best learning rate is the lowest or the highest that was tried."""
    rates = sorted({runs[0].hyperparameters.get("learning_rate", math.nan) for runs in side})
    rate = best.hyperparameters.get("learning_rate")
    if len(rates) < 2 or rate not in (rates[0], rates[-1]):
        return ""
    end = "lowest" if rate == rates[0] else "highest"
    return f"{best.optimizer} is the best at the {end} learning rate tried, {rate:g}"
