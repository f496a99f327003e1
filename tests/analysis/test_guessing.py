"""Runs that are no better than guessing: one definition, told wherever runs are shown."""

import math

import numpy as np
import pytest
from made_runs import history
from report_content import content

from experiments.command import terminal
from jaxopt_study.analysis.best import best_places
from jaxopt_study.analysis.guessing import WORSE, guessing_in, is_worse, loss_of_guessing, status
from jaxopt_study.analysis.minima import seed_minima
from jaxopt_study.analysis.runs import by_configuration
from jaxopt_study.plots import picture
from jaxopt_study.report import page, tables

CHANCE = math.log(2)


def exploded(seed=0, **numbers):
    """A run that was trained to its end, at a loss of 22,700."""
    return history("momentum", seed, val=[0.75, 22700.0], train=[0.5, 0.6], status="finished", **numbers)


def grid():
    """Of the four configurations one is no better than guessing, and in one a seed is not."""
    bad = [exploded(seed, learning_rate=0.1, momentum=0.99) for seed in (0, 1)]
    mixed = [exploded(0, learning_rate=0.1, momentum=0.5), run(1, learning_rate=0.1, momentum=0.5)]
    good = [run(seed, learning_rate=0.01, momentum=m) for m in (0.5, 0.99) for seed in (0, 1)]
    return [*bad, *mixed, *good]


def run(seed=0, **numbers):
    return history("momentum", seed, val=[0.5, 0.25], train=[0.5, 0.3], status="finished", **numbers)


def test_the_lowest_validation_loss_decides_not_the_last():
    assert status(exploded(), CHANCE) == WORSE
    assert status(history(val=[0.25, 22700.0], status="stopped"), CHANCE) == "stopped"
    assert is_worse(history(val=[CHANCE], status="stopped"), CHANCE)  # no better is enough
    assert not is_worse(exploded(), math.inf)


@pytest.mark.parametrize("ended", ["diverged", "failed", "halved"])
def test_runs_that_were_not_trained_to_their_end_keep_their_status(ended):
    assert status(history(val=[9.0], status=ended, diverged_epoch=1), CHANCE) == ended


def test_guessing_is_the_same_probability_for_each_class_or_the_mean_of_the_training_labels():
    assert loss_of_guessing("softmax", 10, np.arange(10), np.arange(10)) == math.log(10)
    train, val = np.array([0.0, 2.0]), np.array([1.0, 4.0])
    assert loss_of_guessing("squared_error", 0, train, val) == (0 + 9) / 2
    both = np.stack([train, 10 * train], axis=1), np.stack([val, 10 * val], axis=1)
    assert loss_of_guessing("squared_error", 0, *both) == (0 + 9 + 0 + 900) / 4


def test_weights_count_in_guessing_as_they_do_in_training_and_validation():
    train, val = np.array([0.0, 2.0, 9.0]), np.array([1.0, 4.0])
    weights = np.array([1.0, 3.0, 0.0]), np.array([3.0, 1.0])  # the mean is 1.5
    assert loss_of_guessing("squared_error", 0, train, val, *weights) == (3 * 0.5**2 + 2.5**2) / 4
    assert loss_of_guessing("squared_error", 0, train, val, None, weights[1]) == pytest.approx(
        (3 * (8 / 3) ** 2 + (1 / 3) ** 2) / 4
    )
    of_outputs = [np.stack([weight, 0 * weight], axis=1) for weight in weights]  # an example's is their sum
    both = np.stack([train, train], axis=1), np.stack([val, val], axis=1)
    assert loss_of_guessing("squared_error", 0, *both, *of_outputs) == (3 * 0.5**2 + 2.5**2) / 4


def test_an_older_config_says_it_by_its_classes():
    three = {"dataset": {"classes": ["a", "b", "c"]}}
    assert guessing_in({"guessing": 7.5, **three}) == 7.5
    assert guessing_in(three) == math.log(3)
    assert guessing_in({"loss": "squared_error", **three}) == guessing_in({"dataset": {"classes": []}}) == math.inf


def test_tables_tell_it_and_the_store_does_not():
    runs = grid()
    assert tables.summary(runs, CHANCE).column("status") == [WORSE] * 3 + ["finished"] * 5
    assert {run.status for run in runs} == {"finished"}
    (best,) = tables.best_configurations(runs[:2], CHANCE).records()
    assert best["note"] == f"no interval: 2 of 2 seeds {WORSE}"


def test_the_terminal_tells_it_and_marks_no_best_that_has_not_learnt():
    table = terminal.table(by_configuration(grid()), CHANCE)
    cells = {column.header: list(column.cells) for column in table.columns}
    assert cells["status"] == [WORSE, f"1 x {WORSE}, 1 x finished", "finished", "finished"]
    alone = terminal.table(by_configuration(grid()[:2]), CHANCE)
    assert not any("*" in cell for cell in alone.columns[1].cells)


def test_the_page_counts_them_and_says_the_loss_of_guessing():
    html = page.render(**content(grid(), runs=tables.summary(grid(), CHANCE), chance=CHANCE))
    assert f"5 finished, 3 {WORSE}" in html
    assert html.count(f'"{WORSE}"') >= 3  # of each run, for the explorer
    assert "<dt>Loss of guessing</dt><dd>0.6931</dd>" in html


def test_no_star_on_what_has_not_learnt():
    bad, mixed, good, _ = (seed_minima(runs, chance=CHANCE) for runs in by_configuration(grid()))
    assert [one.worse for one in (bad, mixed, good)] == [2, 1, 0]
    assert best_places([bad, good]) == [1]
    assert best_places([bad]) == []
    overfit = seed_minima(grid()[:2], "train_loss", CHANCE)  # by the validation loss, whatever the curve
    assert best_places([overfit]) == []


def test_figures_mark_them_and_say_so_in_words():
    source = picture.Source(grid(), CHANCE)
    made = picture.table_picture(0, source, "Lead.", shows="map", x="momentum")
    dotted = [[p.get_hatch() for p in axes.patches if p.get_hatch()] for axes in made.figure.axes[:2]]
    assert dotted == [["...", "..."]] * 2
    assert f"3 runs of 8 are {WORSE} (0.693). Their cells are dotted" in made.caption
    assert f"(2 cells {WORSE})" in made.alt_text
    curves = picture.curve_picture(0, source.of(grid()[:4]), "Lead.", shows="curves", by="momentum")
    (legend,) = curves.figure.legends
    named = [text.get_text() for text in legend.get_texts()]
    assert named[:2] == ["0.5\n(1 of 2 worse\nthan guessing)", f"0.99\n({WORSE})"]
    assert f"3 runs of 4 are {WORSE}" in curves.caption
    assert f"0.5 from 0.5 to 0.45, 1 of 2 {WORSE}" in curves.alt_text.replace("0.500", "0.5").replace("0.450", "0.45")
