"""Training with somebody watching: one line on stderr, in a terminal or not, and an interrupt that saves."""

import contextlib
import math
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Self, TextIO, cast

import numpy as np
from rich.console import Console, RenderableType
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.text import Text

from jaxopt_study.analysis import numbers
from jaxopt_study.engine.watcher import AtWork, OutOfTime, Watcher
from jaxopt_study.grids.run import Run
from jaxopt_study.history import History
from jaxopt_study.plots import labels
from jaxopt_study.watch.callbacks import Callback
from jaxopt_study.watch.notebook import NotebookBar
from jaxopt_study.watch.terminal import Lasting, answered


class _Bar(Progress):
    """The bar of a task, and below it what becomes of the runs: both fit into 80 columns."""

    def get_renderables(self) -> Iterator[RenderableType]:
        for task in self.tasks:
            if task.visible:
                yield self.make_tasks_table([task])
                yield Text(task.fields["runs"], no_wrap=True, overflow="ellipsis")


class TrainingProgress:
    """A bar over epochs: done, runs active and finished, diverged, best validation loss, time left.

    In a notebook an element of its own; where stderr is no terminal, a plain line every half minute. To be
    used as a context; ``begin``, ``epoch``, ``end`` and ``tick`` are a study's Watcher.
    """

    PLAIN_SECONDS = 30.0

    def __init__(self, stream: TextIO | None = None) -> None:
        self.console = Console(file=cast(TextIO, Lasting(stream or sys.stderr)), highlight=False)
        self.bar = _Bar(
            TextColumn("{task.description}"),
            BarColumn(bar_width=24),
            TextColumn("epoch {task.completed:.0f}/{task.total:.0f}"),
            TimeElapsedColumn(),
            TextColumn("left"),
            TimeRemainingColumn(),
            console=self.console,
            refresh_per_second=4,
        )
        self.notebook = NotebookBar() if stream is None and self.console.is_jupyter else None
        self.task = self.bar.add_task("training", total=1, runs="", visible=False)
        self.total_runs = self.finished = self.epochs = self.expected = 0
        self.budgets: Mapping[Run, int] = {}
        self.ended: Counter[str] = Counter()
        self.reached: dict[Run, int] = {}
        self.there: int | None = None
        self.best = math.inf
        self.spoke = time.monotonic()

    def __enter__(self) -> Self:
        if self.console.is_terminal:
            self.bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.bar.stop()
        if self.notebook:
            self.notebook.draw()

    def begin(self, total: int, stored: int, budgets: Mapping[Run, int]) -> None:
        """The study is known: how many runs, how many of them are in the store, the most epochs of each other one."""
        self.total_runs, self.finished, self.budgets = total, stored, budgets
        self.expected = sum(budgets.values())
        self.epochs = 0
        self.reached.clear()
        kept = f", {stored} of them already in the store" if stored else ""
        todo = "; compiling" if stored < total else "; nothing is left to train"
        self.console.print(f"{labels.counted(total, 'run')}{kept}{todo}")
        self.bar.update(self.task, total=max(self.expected, 1), visible=total > stored)

    def resumed(self, trained: Mapping[Run, int]) -> None:
        """Runs go on from a checkpoint, where they had so many epochs."""
        first, last = min(trained.values()), max(trained.values())
        at = f"epoch {first}" + (f" to {last}" if last > first else "")
        self.console.print(f"{labels.counted(len(trained), 'run')} to go on with, from {at}")
        for run, epochs in trained.items():
            self._reach(run, epochs)

    def _reach(self, run: Run, number: int) -> None:
        before = self.reached.get(run, 0)
        self.reached[run] = max(number, before)
        self.epochs += self.reached[run] - before

    def epoch(self, run: Run, number: int, metrics: Mapping[str, float]) -> None:
        """A run has trained an epoch."""
        self._reach(run, number)  # a run that goes back to a checkpoint repeats some
        if metrics["val_loss"] < self.best:
            self.best = metrics["val_loss"]

    def known(self, losses: np.ndarray) -> None:
        """A run had these validation losses ``[E]`` before; NaN is no loss."""
        self.best = float(np.fmin.reduce(losses, initial=self.best))

    def end(self, run: Run, history: History) -> None:
        """A run has ended: what it did not train is no longer expected."""
        self.finished += 1
        self.ended[history.status] += 1
        self.reached.pop(run, None)
        self.expected -= self.budgets[run] - history.epochs

    def left(self, minutes: float, again: str) -> str:
        """What is left when the minutes are over, and that ``again`` goes on with it."""
        begun = f"{len(self.reached)} begun ({'and kept' if self.there is None else 'to begin again'})"
        others = self.total_runs - self.finished - len(self.reached)
        counts = f"{self.finished} of {self.total_runs} runs are finished, {begun}, {others} not begun"
        most = max(self.expected - self.epochs, 0)
        return f"{minutes:g} minutes are over: {counts}; at most {most} epochs are left, {again} goes on from here"

    def tell(self, line: str) -> None:
        """Something was done beside the training."""
        self.console.print(line, soft_wrap=True)

    def workers(self, count: int) -> None:
        """So many workers of a cluster are ready."""
        self.there = count

    def tick(self, at_work: AtWork) -> None:
        """All reports of an epoch have been read."""
        workers = [] if self.there is None else [f"{self.there} workers"]
        done = [f"{at_work.active} active", f"{self.finished}/{self.total_runs} runs done"]
        lost = [f"{self.ended[status]} {status}" for status in ("diverged", "failed") if self.ended[status]]
        best = f"best val loss {numbers.loss(self.best)}" if self.best < math.inf else "no finite loss yet"
        runs = ", ".join([*workers, *done, *lost, best])
        self.bar.update(self.task, completed=self.epochs, total=max(self.expected, 1), runs=runs)
        if self.notebook:
            self.notebook.show(self.epochs, max(self.expected, 1), runs)
        elif not self.console.is_terminal and time.monotonic() - self.spoke > self.PLAIN_SECONDS:
            self.spoke = time.monotonic()
            self.console.print(f"epoch {self.epochs}/{self.expected}: {runs}")


STOPPING = "interrupted: what was begun is saved after the epoch or compilation under way; once more ends it at once"


class Deadline:
    """The end of the time that a study was given, in minutes from now; None is without end."""

    def __init__(self, minutes: float | None, clock: Callable[[], float] = time.monotonic) -> None:
        self.clock, self.asked = clock, clock()
        self.end = math.inf if minutes is None else self.asked + 60 * minutes
        self.between = (0.0, 0.0)

    def near(self) -> bool:
        """To be asked before every epoch, while the one before is under way: whether there is no time for both.

        An epoch is taken to last as long as the shorter of the last two, since one may have waited for a compilation.
        """
        now = self.clock()
        self.between, self.asked = (self.between[1], now - self.asked), now
        return now + 2 * min(self.between) > self.end


@contextlib.contextmanager
def watched(
    callbacks: Sequence[Callback] = (), *, max_minutes: float | None = None, again: str = "the same command"
) -> Iterator[Watcher]:
    """A watcher with a progress line on stderr and callbacks, who asks to stop once a signal has come.

    An interrupt or a termination signal saves what was begun; the second one ends the process. So does the end of
    ``max_minutes``, which ends the context without an error: a line says what is left, and that ``again`` goes on.
    """
    asked: list[int] = []
    deadline = Deadline(max_minutes)
    with answered(STOPPING, asked.append), TrainingProgress() as progress:

        def epoch(run: Run, number: int, metrics: Mapping[str, float]) -> None:
            progress.epoch(run, number, metrics)
            for callback in callbacks:
                callback.on_epoch(run, number, metrics)

        def end(run: Run, history: History) -> None:
            progress.end(run, history)
            for callback in callbacks:
                callback.on_run_end(run, history)

        watcher = Watcher(progress.begin, epoch, end, progress.tick, lambda: bool(asked))
        try:
            yield watcher._replace(
                resumed=progress.resumed,
                known=progress.known,
                workers=progress.workers,
                tell=progress.tell,
                out_of_time=deadline.near,
            )
        except OutOfTime:
            progress.console.print(progress.left(max_minutes or 0.0, again), soft_wrap=True)
