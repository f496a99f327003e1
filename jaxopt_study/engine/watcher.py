"""Who is told how a study goes on, and may stop it."""

from collections.abc import Callable, Mapping
from typing import NamedTuple, Protocol

import numpy as np

from jaxopt_study.grids.run import Run
from jaxopt_study.history import History


class Interrupted(Exception):  # not an error: what was begun is saved
    """The study was asked to stop and has saved what was under way."""


class OutOfTime(Interrupted):
    """The time that the study was given is over; what was under way is saved."""


class AtWork(Protocol):
    """Who trains: a scheduler, or the driver of a cluster."""

    @property
    def active(self) -> int:
        """Slots with a run."""


class Watcher(NamedTuple):
    """Who wants to hear of the training.

    Attributes:
        begin: ``(runs, those in the store already, {run: its most epochs} of the others)``, once.
        epoch: ``(run, number of the epoch, {curve: value})`` after every epoch of every run.
        end: ``(run, history)``, once a run.
        tick: ``(scheduler or driver)``, whenever a report has been read.
        interrupted: asked before every epoch; if it says so, what is under way is saved and Interrupted raised.
        more: asked before every epoch for runs to add to those that wait; None when none will come any more.
        resumed: ``{run: epochs that it has}`` of runs that go on from a checkpoint.
        known: validation losses ``[E]`` of a run, as far as the store or a checkpoint has it already.
        workers: on a cluster, the number of those that are ready.
        tell: a line about what was done beside the training.
        out_of_time: asked before every epoch like ``interrupted``; OutOfTime is raised then.
    """

    begin: Callable[[int, int, Mapping[Run, int]], None] = lambda total, stored, budgets: None
    epoch: Callable[[Run, int, Mapping[str, float]], None] = lambda run, number, metrics: None
    end: Callable[[Run, History], None] = lambda run, history: None
    tick: Callable[[AtWork], None] = lambda at_work: None
    interrupted: Callable[[], bool] = lambda: False
    more: Callable[[], list[Run] | None] = lambda: None
    resumed: Callable[[Mapping[Run, int]], None] = lambda epochs: None
    known: Callable[[np.ndarray], None] = lambda losses: None
    workers: Callable[[int], None] = lambda count: None
    tell: Callable[[str], None] = lambda line: None
    out_of_time: Callable[[], bool] = lambda: False

    def stop(self) -> type[Interrupted] | None:
        """What is to be raised, once what is under way is saved; None if the training goes on."""
        return Interrupted if self.interrupted() else OutOfTime if self.out_of_time() else None
