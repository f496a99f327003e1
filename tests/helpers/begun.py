"""Studies that are interrupted, and go on."""

import pytest

from jaxopt_study.engine.trainer import Trainer
from jaxopt_study.engine.watcher import Interrupted, Watcher


def interrupt(study: Trainer, ticks: int) -> list[int]:
    """Lets the study go on for some ticks, then stops it as a signal would; the epochs that it has trained."""
    seen, numbers = [], []
    told = Watcher(
        epoch=lambda run, number, metrics: numbers.append(number),
        tick=lambda _: seen.append(1),
        interrupted=lambda: len(seen) >= ticks,
    )
    with pytest.raises(Interrupted):
        study.train(told)
    return numbers


def resumed(study: Trainer) -> list[int]:
    """Trains a study to its end; the epochs that it has trained."""
    numbers = []
    study.train(Watcher(epoch=lambda run, number, metrics: numbers.append(number)))
    return numbers
