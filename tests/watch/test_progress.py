"""The line that a person sees while a study trains."""

import io
from types import SimpleNamespace

import numpy as np
import small
from made_runs import history
from rich.console import Console

from jaxopt_study.watch.progress import TrainingProgress

FIRST, SECOND, THIRD = small.grid()[:3]
LOSS = {"val_loss": 0.5}


def said(act) -> str:
    """The last plain line after the watcher was told of things."""
    stream = io.StringIO()
    progress = TrainingProgress(stream)
    progress.PLAIN_SECONDS = -1.0  # speaks at once
    with progress:
        progress.begin(3, 1, {FIRST: 10, SECOND: 10})
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


def test_each_run_is_expected_as_long_as_its_own_budget():
    def act(progress):
        progress.begin(2, 0, {FIRST: 3, SECOND: 100})
        progress.end(SECOND, history(val=[0.5] * 40, status="stopped"))

    assert said(act).startswith("epoch 0/43: ")


def lines(act, **console) -> list[str]:
    stream = io.StringIO()
    progress = TrainingProgress(stream)
    act(progress)
    progress.console = Console(file=io.StringIO(), record=True, **console)
    progress.console.print(progress.bar.get_renderable())
    return stream.getvalue().splitlines() + progress.console.export_text().splitlines()


def test_a_store_that_has_all_is_not_compiled_for():
    assert lines(lambda progress: progress.begin(3, 3, {})) == [
        "3 runs, 3 of them already in the store; nothing is left to train"
    ]


def test_a_resumed_start_says_where_it_goes_on_and_the_bar_begins_there():
    def act(progress):
        progress.begin(3, 0, {FIRST: 10, SECOND: 10, THIRD: 30})
        progress.resumed({FIRST: 4, SECOND: 7})
        assert progress.epochs == 11
        progress.epoch(FIRST, 5, LOSS)
        assert progress.epochs == 12

    assert lines(act)[:2] == ["3 runs; compiling", "2 runs to go on with, from epoch 4 to 7"]


def test_eighty_columns_show_the_bar_the_time_left_and_the_runs():
    def act(progress):
        progress.begin(2000, 0, {FIRST: 2_000_000})
        progress.epochs, progress.ended["diverged"], progress.best = 1234567, 321, 0.6931
        progress.tick(SimpleNamespace(active=256))

    _, bar, runs = lines(act, width=80)
    assert bar.startswith("training " + "━" * 14)
    assert "epoch 1234567/2000000" in bar
    assert bar.split()[-2] == "left"
    assert runs == "256 active, 0/2000 runs done, 321 diverged, best val loss 0.6931"


def test_the_best_loss_is_of_the_study_and_not_of_what_was_trained_since_a_resume():
    def act(progress):
        progress.known(np.array([0.7, 0.31, np.nan]))
        progress.known(np.array([np.nan, np.inf]))
        progress.epoch(FIRST, 1, LOSS)

    assert said(act).endswith("best val loss 0.3100")
