"""The article's figures: which there are, at which values they are drawn, and those that are computed from no run."""

import re

import numpy as np
import pytest
from plot_runs import everything, momentum_grid, run

from experiments.article import figures
from experiments.article.figures import CURVATURES, START, bowl, constant_gradient, descend, velocity
from experiments.command import experiment as catalogue
from jaxopt_study.plots.selection import NotDrawable

NUMBERS = {
    "sgd_learning_rates": [5, 6, 7],
    "momentum_grid": [9, 11, 12, 13, 14, 15, 16, 17],
    "momentum_formulations": [19, 20],
    "nesterov_grid": [22, 23, 24, 25, 26],
    "rmsprop_grid": [28, 30, 31, 32],
    "adam_learning_rates": [34, 35],
    "adam_betas": [36, 37],
    "adagrad_learning_rates": [39, 40, 41, 42],
    "cyclical_learning_rate": [43, 44],
    "compare": [45, 46, 47, 48, 49, 0, 0, 0],
}
"""By chapter; 0 is one that the article does not have."""


def number_in(text, pattern):
    found = re.match(pattern, text)
    return int(found[1]) if found else 0


def test_every_figure_of_the_article_has_its_place():
    numbers = {name: [number for number, _ in chapter.figures] for name, chapter in catalogue.chapters().items()}
    assert {name: of_article for name, of_article in numbers.items() if of_article != [0]} == NUMBERS


@pytest.mark.parametrize("experiment", NUMBERS)
def test_every_figure_is_drawn_in_the_articles_order_with_its_number_and_its_words(experiment):
    notes = []
    pictures = list(catalogue.pictures(experiment, everything(), on_absent=notes.append))
    assert notes == []
    assert [number_in(p.name, r"fig(\d\d)_[a-z]") for p in pictures] == NUMBERS[experiment]
    assert all(p.caption.endswith(".") and p.alt_text.endswith(".") for p in pictures)
    assert all(axes.get_xlabel() for p in pictures for axes in p.figure.axes if axes.get_ylabel() != "loss (nats)")


@pytest.mark.parametrize("experiment", NUMBERS)
@pytest.mark.parametrize("runs", [[], [run("sgd", learning_rate=0.02)], [run("sgd", learning_rate=0.02, diverged=1)]])
def test_what_cannot_be_drawn_is_left_out_with_a_sentence(experiment, runs):
    notes = []
    drawn = [int(p.name[3:5]) for p in catalogue.pictures(experiment, runs, on_absent=notes.append)]
    assert all(re.match(r"(Figure \d+|compare) is left out: .+\.$", note) for note in notes)
    left_out = [number_in(note, r"Figure (\d+)") for note in notes]
    assert sorted(drawn + left_out) == sorted(NUMBERS[experiment])


def test_a_grid_without_the_articles_rate_is_drawn_at_the_nearest_and_says_so():
    notes = []
    pictures = list(catalogue.pictures("momentum_grid", momentum_grid(rates=(0.02,)), on_absent=notes.append))
    assert [p.name for p in pictures][1] == "fig11_loss_by_momentum_lr0.02"
    assert "nearest to the article's 0.01" in pictures[1].caption
    assert [note[:9] for note in notes] == ["Figure 15", "Figure 16"]


def test_one_seed_says_that_there_is_no_band():
    pictures = {p.name[:5]: p for p in catalogue.pictures("momentum_grid", momentum_grid(seeds=1))}
    assert "One seed" in pictures["fig11"].caption
    assert "2 seeds" in {p.name[:5]: p for p in catalogue.pictures("momentum_grid", momentum_grid())}["fig11"].caption


def test_divergence_is_in_the_words():
    runs = [*momentum_grid(rates=(0.01,)), run(learning_rate=0.01, momentum=0.99, diverged=3)]
    pictures = {p.name[:5]: p for p in catalogue.pictures("momentum_grid", runs)}
    assert "1 run of 5 diverged" in pictures["fig11"].caption
    assert "no finite" not in pictures["fig11"].alt_text
    assert "Hatched" in pictures["fig17"].caption


def test_a_value_is_used_by_the_figure_it_is_nearest_to_alone():
    runs = momentum_grid(rates=(0.02,))
    assert figures.at(runs, 0.01, others=(0.001, 0.01, 0.1)).used == 0.02
    for wanted in (0.001, 0.1):
        with pytest.raises(NotDrawable, match=r"the grid has 0.02"):
            figures.at(runs, wanted, others=(0.001, 0.01, 0.1))


def test_a_figure_that_no_run_can_be_in_is_left_out_and_said_so():
    runs = [run("sgd", learning_rate=0.5), run("adagrad", learning_rate=0.001, initial_accumulator_value=0.1, eps=1e-7)]
    notes = []
    drawn = list(catalogue.pictures("adagrad_learning_rates", runs, on_absent=notes.append))
    assert len(drawn) + len(notes) == 4
    assert any("no run that it could show" in note for note in notes)


def test_a_substitute_is_named_in_title_and_file_but_rounding_is_none():
    far, near = (figures.at(momentum_grid(rates=(rate,)), wanted) for rate, wanted in ((0.02, 0.01), (10**-1.5, 0.03)))
    assert far.title == "learning rate 0.02 (nearest to the article's 0.01)"
    assert far.file == "lr0.02"
    assert near.title == "learning rate 0.0316"


@pytest.mark.parametrize("momentum", [0.0, 0.5, 0.99])
@pytest.mark.parametrize("ema", [False, True])
def test_the_velocity_is_that_of_the_recurrence(momentum, ema):
    value, expected = 0.0, []
    for _ in range(50):
        value = momentum * value + ((1 - momentum) if ema else 1.0)
        expected.append(value)
    np.testing.assert_allclose(velocity(momentum, 50, ema=ema), expected, rtol=1e-12)


def test_the_velocity_tends_to_its_limit_and_the_average_never_exceeds_the_gradient():
    assert velocity(0.9, 1000, ema=False)[-1] == pytest.approx(10)
    assert (velocity(0.99, 2000, ema=True) <= 1).all()


@pytest.mark.parametrize("ema", [False, True])
def test_a_line_for_each_momentum(ema):
    axes = constant_gradient([0.9, 0.0], ema=ema).axes[0]
    assert [line.get_label().split()[0] for line in axes.lines if not line.get_label().startswith("_")] == ["0", "0.9"]


def test_nesterov_at_momentum_zero_is_plain_descent():
    both = [descend(0.03, 0.0, 20, nesterov=nesterov) for nesterov in (False, True)]
    np.testing.assert_array_equal(*both)


def test_the_first_steps_into_the_bowl_are_those_worked_out_by_hand():
    points = descend(0.1, 0.5, 2, nesterov=True)
    x0 = START[0]
    v1 = -0.1 * CURVATURES[0] * x0
    x1 = x0 + v1
    v2 = 0.5 * v1 - 0.1 * CURVATURES[0] * (x1 + 0.5 * v1)
    np.testing.assert_allclose(points[:, 0], [x0, x1, x1 + v2], rtol=1e-12)


def test_both_paths_into_the_bowl_are_drawn():
    plane, losses = bowl().axes
    assert len(losses.lines) == 2
    assert all(axes.get_xlabel() and axes.get_ylabel() for axes in (plane, losses))
