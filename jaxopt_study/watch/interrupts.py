"""Training with somebody watching: a progress line, and an interrupt that saves before it stops."""

import contextlib
import signal
import threading
from collections.abc import Iterator, Mapping, Sequence

from jaxopt_study.engine.watcher import Watcher
from jaxopt_study.grids.run import Run
from jaxopt_study.history import History
from jaxopt_study.watch.callbacks import Callback
from jaxopt_study.watch.progress import TrainingProgress


@contextlib.contextmanager
def watched(callbacks: Sequence[Callback] = ()) -> Iterator[Watcher]:
    """A watcher with a progress line on stderr and callbacks, who asks to stop once a signal has come.

    An interrupt or a termination signal saves what was begun; the second one ends the process.
    """
    with asked_to_stop() as asked, TrainingProgress() as progress:

        def epoch(run: Run, number: int, metrics: Mapping[str, float]) -> None:
            progress.epoch(run, number, metrics)
            for callback in callbacks:
                callback.on_epoch(run, number, metrics)

        def end(run: Run, history: History) -> None:
            progress.end(run, history)
            for callback in callbacks:
                callback.on_run_end(run, history)

        yield Watcher(progress.begin, epoch, end, progress.tick, lambda: bool(asked), workers=progress.workers)


@contextlib.contextmanager
def asked_to_stop() -> Iterator[list[int]]:
    """A list that SIGINT and SIGTERM are put into while the context lasts; only in the main thread."""
    asked: list[int] = []

    def ask(number: int, _: object) -> None:
        asked.append(number)
        signal.signal(number, signal.SIG_DFL)  # the second one ends the process at once

    if threading.current_thread() is not threading.main_thread():  # Python hears signals nowhere else
        yield asked
        return
    before = {number: signal.signal(number, ask) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield asked
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
