"""The line that a person sees while a study trains."""

import io
from types import SimpleNamespace

import small
from made_runs import history

from jaxopt_study.watch.progress import TrainingProgress

FIRST, SECOND = small.grid()[:2]
LOSS = {"val_loss": 0.5}


def said(act) -> str:
    """The last plain line after the watcher was told of things."""
    stream = io.StringIO()
    progress = TrainingProgress(stream)
    progress.PLAIN_SECONDS = -1.0  # speaks at once
    with progress:
        progress.begin(3, 1, 10)
        act(progress)
        progress.tick(SimpleNamespace(active=1))
    return [line for line in stream.getvalue().splitlines() if line][-1]


def test_epochs_are_counted_out_of_those_of_the_runs_to_train():
    def act(progress):
        for number in (1, 2, 3):
            progress.epoch(FIRST, number, LOSS)

    assert said(act) == "epoch 3/20: 1 active, 1/3 runs done, best val loss 0.5000"


def test_a_run_that_goes_on_from_a_checkpoint_counts_with_the_epochs_before_it():
    def act(progress):
        progress.epoch(FIRST, 7, LOSS)
        progress.epoch(SECOND, 1, LOSS)

    assert said(act).startswith("epoch 8/20: ")


def test_epochs_that_are_trained_again_count_once():
    def act(progress):
        for number in (1, 2, 3, 2, 3, 4):
            progress.epoch(FIRST, number, LOSS)

    assert said(act).startswith("epoch 4/20: ")


def test_a_run_that_stops_early_is_expected_no_longer():
    def act(progress):
        for number in range(1, 5):
            progress.epoch(FIRST, number, LOSS)
        progress.end(FIRST, history(val=[0.5] * 4, status="diverged"))

    assert said(act) == "epoch 4/14: 1 active, 2/3 runs done, 1 diverged, best val loss 0.5000"
