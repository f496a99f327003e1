"""Training with somebody watching: a progress line, and an interrupt that saves before it stops."""

import contextlib
from collections.abc import Iterator, Mapping, Sequence

from jaxopt_study.engine.watcher import Watcher
from jaxopt_study.grids.run import Run
from jaxopt_study.history import History
from jaxopt_study.watch.callbacks import Callback
from jaxopt_study.watch.progress import TrainingProgress
from jaxopt_study.watch.terminal import answered

STOPPING = "interrupted: what was begun is saved after the epoch or compilation under way; once more ends it at once"


@contextlib.contextmanager
def watched(callbacks: Sequence[Callback] = ()) -> Iterator[Watcher]:
    """A watcher with a progress line on stderr and callbacks, who asks to stop once a signal has come.

    An interrupt or a termination signal saves what was begun; the second one ends the process.
    """
    asked: list[int] = []
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
        yield watcher._replace(resumed=progress.resumed, workers=progress.workers)
