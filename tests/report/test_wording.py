"""Numbers and names as the page writes them."""

import dataclasses

import pytest
from plot_runs import run
from report_content import content

from jaxopt_study.analysis.best import best_of
from jaxopt_study.report import facts, tables, wording
from jaxopt_study.report.page import render


def lifted(one, to):
    """The run with a lowest validation loss of so much."""
    loss = one.curves["val_loss"]
    return dataclasses.replace(one, curves=one.curves | {"val_loss": loss.astype(float) - loss.min() + to})


@pytest.mark.parametrize(
    ("value", "text"), [(319292.765625, "3.193e+05"), (5e9, "5e+09"), (123.456, "123.5"), (9.5, "9.5000")]
)
def test_large_losses_are_written_with_four_digits_everywhere(value, text):
    assert wording.loss(value) == text
    assert wording.cell(value, "min_val_loss") == text
    best = tables.best_configurations([lifted(run("sgd", learning_rate=0.1), value)])
    assert text in str(facts.answers(best.records())[0])
    assert f"validation loss {text}," in repr(best_of([[lifted(run("sgd", learning_rate=0.1), value)]]))


@pytest.mark.parametrize(
    ("count", "text"),
    [
        (512, "0.5 kB"),
        (258_506, "259 kB"),
        (4_752_520, "4.8 MB"),
        (9.99e6, "10 MB"),
        (640e6, "640 MB"),
        (1.5e9, "1.5 GB"),
    ],
)
def test_no_size_is_nothing(count, text):
    assert wording.size(count) == text


def test_one_is_counted_as_one():
    assert ("Runs", "1 run with 1 seed (1 finished)") in facts.facts(
        [], tables.summary([run("sgd", learning_rate=0.1)])
    )


STUCK = [lifted(run("sgd", seed=seed, learning_rate=1.0), 3e5) for seed in (0, 1)]


def test_where_nothing_learned_that_is_the_answer():
    both = [*STUCK, *(run("adam", seed=seed, learning_rate=1.0, diverged=2) for seed in (0, 1))]
    page = render(**content(both, runs=tables.summary(both, 2.3026), chance=2.3026))
    told = "<b>No configuration learned anything.</b> Of 4 runs: 2 worse than guessing, 2 diverged; "
    assert f"{told}guessing has a loss of 2.3026." in page
    assert "gets to" not in page.split("</ul>")[0]


def test_an_optimizer_that_learned_nothing_says_so_and_is_in_no_picture():
    best = tables.best_configurations([*STUCK, run("adam", learning_rate=0.1)], 2.3026).records()
    told = {row["rule"]: row["text"] for row in facts.answers(best, 2.3026)}
    assert told["sgd"].startswith("has learned nothing: its lowest loss is 3e+05; guessing has a loss of 2.3026; ")
    assert [one["rule"] for one in facts.intervals(best)] == ["adam"]


def test_hyperparameters_have_the_names_of_the_explorer():
    assert wording.titled("learning_rate 0.1, b1 0.9, decay 0.95, mine 3") == (
        "learning rate 0.1, beta 1 0.9, decay (rho) 0.95, mine 3"
    )
    assert wording.titled("") == ""
