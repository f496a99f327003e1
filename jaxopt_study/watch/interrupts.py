"""Training with somebody watching: a progress line, and an interrupt that saves before it stops."""

import contextlib
import signal
import threading
from collections.abc import Callable, Iterator, Sequence

from jaxopt_study.engine.study import Watcher
from jaxopt_study.history import History
from jaxopt_study.watch import callbacks as watching
from jaxopt_study.watch.progress import TrainingProgress


def train(run: Callable[[Watcher], list[History]], callbacks: Sequence[watching.Callback] = ()) -> list[History]:
    """Trains with a progress line on stderr; ``run`` is a study's own, or another that tells a watcher.

    Raises:
        Interrupted: an interrupt or a termination signal came; what was begun is saved. The second ends the process.
    """
    with asked_to_stop() as asked, TrainingProgress() as progress:
        watcher = Watcher(
            begin=progress.begin,
            epoch=progress.epoch,
            end=progress.end,
            tick=progress.tick,
            interrupted=lambda: bool(asked),
            workers=progress.workers,
        )
        return run(watching.watcher(*callbacks, also=watcher))


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
