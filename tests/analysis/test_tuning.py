"""What is to be expected of the best of n configurations is what drawing all sets of n gives."""

import dataclasses
import itertools
import math

import numpy as np
import pyarrow as pa
import pytest
from made_runs import history

import jaxopt_study as js
from jaxopt_study.analysis.best import held_out
from jaxopt_study.analysis.halves import folds
from jaxopt_study.analysis.minima import unchosen_loss
from jaxopt_study.analysis.tuning import chances, tuning_curves, winners
from jaxopt_study.errors import InputError
from jaxopt_study.plots import tuning
from jaxopt_study.plots.picture import Source
from jaxopt_study.plots.selection import NotDrawable
from jaxopt_study.storage.store import histories_of, tidy


def grid(losses, optimizer="sgd"):
    """Configurations of made losses ``[K, S]``; NaN is a run that diverged."""
    ended = {True: "diverged", False: "stopped"}
    return [
        [
            history(optimizer, seed=s, val=[value], status=ended[math.isnan(value)], learning_rate=k + 1.0)
            for s, value in enumerate(row)
        ]
        for k, row in enumerate(losses)
    ]


def by_enumeration(told, chosen_by):
    """Over all sets of n, what is told of the one with the smallest choosing loss."""
    count = len(told)
    return [
        np.mean([told[min(drawn, key=lambda k: chosen_by[k])] for drawn in itertools.combinations(range(count), n)])
        for n in range(1, count + 1)
    ]


@pytest.mark.parametrize("count", [1, 2, 5, 9])
def test_one_seed_gives_what_enumeration_gives(count):
    losses = np.random.default_rng(count).uniform(0.1, 0.9, count).astype(np.float32)
    (curve,) = tuning_curves({"sgd": grid(losses[:, None])})
    np.testing.assert_allclose(curve.losses[0], by_enumeration(losses, losses), rtol=1e-6)
    assert all(math.isnan(one.low) for one in curve.expected)


@pytest.mark.parametrize("seeds", [2, 3, 5])
def test_several_seeds_choose_for_one_another(seeds):
    losses = np.random.default_rng(seeds).uniform(0.1, 0.9, (6, seeds)).astype(np.float32)
    (curve,) = tuning_curves({"sgd": grid(losses)})
    for of, choosing in folds(range(seeds)):
        for seed in of:
            expected = by_enumeration(losses[:, seed], losses[:, choosing].mean(1))
            np.testing.assert_allclose(curve.losses[seed], expected, rtol=1e-6)
    told = [unchosen_loss(run) for run in held_out(grid(losses))]
    np.testing.assert_allclose(curve.losses[:, -1], told)  # with all tried it is the best of the grid
    assert all(one.low < one.value < one.high for one in curve.expected)


def test_chances_are_those_of_draws_and_do_not_overflow():
    for n in (1, 2, 2500, 5000):
        assert chances(5000, n).sum() == pytest.approx(1)
    for n in range(1, 8):
        expected = [math.comb(7 - k, n - 1) / math.comb(7, n) for k in range(1, 8)]
        np.testing.assert_allclose(chances(7, n), expected, rtol=1e-12)


def test_which_optimizer_wins_depends_on_how_many_are_tried():
    safe, sharp = [[0.4, 0.4], [0.41, 0.41]], [[0.3, 0.3], [0.6, 0.6], [0.6, 0.6], [0.6, 0.6]]
    curves = tuning_curves({"safe": grid(safe, "safe"), "sharp": grid(sharp, "sharp")})
    assert winners(curves) == ["safe", "safe", "sharp", "sharp"]  # 0.525, 0.45, 0.375, 0.3 against 0.405, 0.4
    first, second = curves
    np.testing.assert_allclose([one.value for one in first.expected], [0.405, 0.4, 0.4, 0.4], rtol=1e-6)
    np.testing.assert_allclose([one.value for one in first.behind], [0, 0, 0.025, 0.1], atol=1e-6)
    np.testing.assert_allclose([one.value for one in second.behind], [0.12, 0.05, 0, 0], atol=1e-6)


def test_a_run_that_diverged_is_chosen_last_and_counts_as_guessing():
    losses = [[0.3, math.nan], [0.5, 0.5]]
    (curve,) = tuning_curves({"sgd": grid(losses)}, chance=0.69)
    np.testing.assert_allclose(curve.losses, [[0.4, 0.5], [0.595, 0.69]], rtol=1e-6)
    (curve,) = tuning_curves({"sgd": grid(losses)})
    np.testing.assert_allclose(curve.losses[1], [0.5, 0.5], rtol=1e-6)


def test_only_seeds_that_all_have_are_told_of():
    (curve,) = tuning_curves({"sgd": [grid([[0.3, 0.2, 0.4]])[0], grid([[0.5, 0.6]])[0]]})
    assert curve.losses.shape == (2, 2)
    apart = [[history(seed=0, learning_rate=1.0)], [history(seed=1, learning_rate=2.0)]]
    assert tuning_curves({"sgd": apart}) == tuning_curves({}) == []


def test_no_loss_counts_as_worse_than_guessing():
    (curve,) = tuning_curves({"sgd": grid([[0.3], [80.0]])}, chance=0.69)
    np.testing.assert_allclose(curve.losses, [[0.495, 0.3]], rtol=1e-6)


def two_rules(seeds=3):
    """Runs of two rules with 2 and 4 configurations."""
    rng = np.random.default_rng(0)
    made = [grid(rng.uniform(0.2, 0.6, (count, seeds)), rule) for rule, count in (("sgd", 2), ("adam", 4))]
    return [run for configurations in made for runs in configurations for run in runs]


def test_a_table_of_runs_in_any_order_gives_the_curves_of_its_runs():
    runs = two_rules()
    table = tidy((str(at), run) for at, run in enumerate(runs))
    shuffled = table.take(np.random.default_rng(1).permutation(len(table)))
    of_runs = js.tuning_curves(runs)
    key = [("optimizer", "ascending"), ("tried", "ascending")]
    assert js.tuning_curves(shuffled).sort_by(key).equals(of_runs.sort_by(key))
    assert len(of_runs) == 2 * 4
    first = tuning_curves({"sgd": [runs[:3], runs[3:6]], "adam": [runs[6 + 3 * k : 9 + 3 * k] for k in range(4)]})
    assert of_runs["loss"].to_pylist() == [one.value for curve in first for one in curve.expected]
    lowest = [row["optimizer"] for row in of_runs.sort_by("tried").to_pylist() if row["winner"]]
    assert lowest == winners(first)


@pytest.mark.parametrize("runs", [3, "workdir", [1, 2], None])
def test_what_are_no_runs_is_refused_in_a_line(runs):
    with pytest.raises(InputError) as refused:
        js.tuning_curves(runs)
    assert str(refused.value) == f"runs={runs!r}: allowed are a study, a table of its runs, or histories"


@pytest.mark.parametrize(("count", "bands"), [(8, 8), (9, 2)])
def test_of_many_lines_those_have_a_band_that_are_the_lowest_somewhere(count, bands):
    """Each of two configurations alike but for the last, of which one is bad and one is good."""
    middle = np.linspace(0.4, 0.5, count - 1)[:, None, None] * np.ones((1, 2, 3)) * [0.99, 1.0, 1.01]
    losses = [*middle, np.array([[0.1], [0.9]]) * [0.99, 1.0, 1.01]]
    curves = tuning_curves({f"rule{at}": grid(each, f"rule{at}") for at, each in enumerate(losses)})
    figure = tuning.lines(curves)
    (axes,) = figure.axes
    assert len(axes.collections) == bands


@pytest.mark.parametrize("count", [3, 23])
def test_the_names_of_all_lines_are_within_the_figure(count):
    losses = np.linspace(0.4, 0.5, count)[:, None, None] * np.ones((1, 2, 3)) * [0.99, 1.0, 1.01]
    names = [f"a rule of rather many words {at}" for at in range(count)]
    figure = tuning.lines(tuning_curves({name: grid(each, name) for name, each in zip(names, losses, strict=True)}))
    (legend,) = figure.legends
    figure.draw_without_rendering()
    assert legend.get_window_extent().y0 >= 0


def test_orders_of_the_data_in_a_table_are_told_apart():
    runs = [dataclasses.replace(run, data_seed=order) for order in (3, 4) for run in two_rules()]
    table = tidy((str(at), run) for at, run in enumerate(runs))
    again = histories_of(table)
    assert [(run.data_seed, run.seed, run.hyperparameters) for run in again] == [
        (run.data_seed, run.seed, run.hyperparameters) for run in runs
    ]
    assert set(js.tuning_curves(table)["seeds"].to_pylist()) == {6}


def test_runs_that_are_no_study_are_refused():
    table = tidy((str(at), run) for at, run in enumerate(two_rules()))
    with pytest.raises(InputError, match=r"several runs of sgd with seed 0 .* one study"):
        js.tuning_curves(pa.concat_tables([table, table]))
    with pytest.raises(InputError, match="a table without status"):
        js.tuning_curves(table.drop_columns(["status"]))
    with pytest.raises(InputError, match="0 runs"):
        js.tuning_curves([])


@pytest.mark.parametrize(("seeds", "words"), [(3, "One half of the seeds chooses"), (1, "One seed: it chooses and is")])
def test_the_figure_says_who_is_the_lowest_and_how_it_was_chosen(seeds, words):
    picture = tuning.picture(Source(two_rules(seeds)))
    assert words in picture.caption
    assert "with 1 to 4 tried" in picture.alt_text
    (axes,) = picture.figure.axes
    texts = [text.get_text() for text in picture.figure.legends[0].get_texts()]
    assert texts[:2] == ["SGD (2)", "Adam (4)"]
    assert axes.get_xlabel() == "configurations tried"


def test_one_rule_or_one_configuration_each_is_no_figure():
    runs = two_rules()
    with pytest.raises(NotDrawable):
        tuning.picture(Source(runs[:6]))
    with pytest.raises(NotDrawable):
        tuning.picture(Source([*runs[:3], *runs[6:9]]))
