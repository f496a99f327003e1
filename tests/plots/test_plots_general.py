"""The figures of any study: their names, their words, what is left of many configurations."""

from dataclasses import replace

import numpy as np
import pytest
from plot_runs import momentum_grid, run

from jaxopt_study.plots import labels
from jaxopt_study.plots.general import general
from jaxopt_study.plots.picture import save_pictures


def test_each_rule_has_its_curves_its_axes_and_their_pairs_and_the_rules_are_compared():
    runs = [*momentum_grid(), *(run("sgd", seed=seed, learning_rate=rate) for rate in (0.1, 0.2) for seed in (0, 1))]
    assert [picture.name for picture in general(runs)] == [
        "best_of_each_optimizer",
        "accuracy_best_of_each_optimizer",
        "tuning_curves",
        "importance",
        "momentum_curves",
        "momentum_accuracy",
        "momentum_by_learning_rate",
        "momentum_by_momentum",
        "momentum_by_learning_rate_and_momentum",
        "sgd_curves",
        "sgd_accuracy",
        "sgd_by_learning_rate",
    ]


def test_a_dollar_in_the_name_of_a_rule_or_an_axis_is_a_letter(tmp_path):
    odd = r"a $\frac{1$ b"
    runs = [run(odd, learning_rate=rate, **{"$x$": at}) for rate in (0.1, 0.2) for at in (1.0, 2.0)]
    runs += [run("sgd", learning_rate=rate) for rate in (0.1, 0.2)]
    assert len(save_pictures(general(runs), tmp_path)) > 5


def without_accuracy(runs):
    """The runs of a regression."""
    return [replace(run, curves={**run.curves, "val_accuracy": run.curves["val_loss"] * np.nan}) for run in runs]


def test_accuracy_has_curves_where_it_was_measured():
    runs = [run(learning_rate=rate) for rate in (0.1, 0.2)]
    (figure,) = (each.figure for each in general(runs) if each.name == "momentum_accuracy")
    (axes,) = figure.axes
    assert axes.get_ylabel() == "validation accuracy\n(share of examples)"
    np.testing.assert_array_equal(axes.lines[0].get_ydata(), runs[0].curves["val_accuracy"])
    assert not any("accuracy" in each.name for each in general(without_accuracy(runs)))


def test_only_the_best_of_many_configurations_have_a_place_in_the_legend():
    curves = next(general([run("sgd", learning_rate=0.01 * k, low=0.2 + 0.01 * k) for k in range(1, 12)]))
    (legend,) = curves.figure.legends
    assert [text.get_text() for text in legend.get_texts()][:2] == ["0.01", "0.02"]
    assert len(legend.get_texts()) == 8
    assert "the other 3" in curves.caption
    assert len([line for line in curves.figure.axes[0].lines if line.get_color() == "#b8b8b8"]) == 3


def test_a_heat_map_marks_one_best_and_says_so():
    maps = [picture for picture in general(momentum_grid()) if picture.name.endswith("_and_momentum")]
    (stars,) = ([text for text in p.figure.axes[1].texts if "\N{BLACK STAR}" in text.get_text()] for p in maps)
    assert len(stars) == 2  # momentum 0 and 0.9 are equal there
    assert "The best is framed and starred." in maps[0].caption


@pytest.mark.parametrize("unit", ["mean squared error", "cross-entropy, nats"])
def test_the_losses_have_their_unit(unit):
    for picture in general(without_accuracy(momentum_grid()), unit=unit):
        shares = picture.name == "importance"  # which have none
        assert shares or any(unit in axes.get_ylabel() for axes in picture.figure.axes), picture.name


def test_rules_of_ones_own_have_looks_of_their_own():
    compared = next(general([run(name, learning_rate=0.1) for name in ("adamw", "lion")]))
    assert len({line.get_color() for line in compared.figure.axes[0].lines}) == 2


def test_rates_that_are_nearly_alike_are_told_apart_wherever_they_are_written():
    rates = (1.00001, 1.00002, 10**-0.5, 10**-0.5001, 1.000011)
    texts = {"1.00001", "1.00002", "0.31623", "0.31615", "1.000011"}
    runs = [run("sgd", learning_rate=rate, low=0.2 + 0.1 * k) for k, rate in enumerate(rates)]
    curves, _, by_rate = general(runs)
    assert {text.get_text() for text in curves.figure.legends[0].get_texts()} == texts
    assert {text.get_text() for text in by_rate.figure.axes[0].get_xticklabels()} == texts
    assert all(text in curves.alt_text and text in by_rate.alt_text for text in texts)


@pytest.mark.parametrize(
    "names",
    [
        ("\N{GREEK SMALL LETTER ALPHA}sgd", "\N{GREEK SMALL LETTER BETA}sgd", "sgd"), ("my rule", "my-rule", "my_rule"),
        ("Rule", "rule", "RULE"), ("a" * 240, "a" * 241, "a" * 40), ("\N{CJK UNIFIED IDEOGRAPH-732B}", "-", "_"),
    ],
)  # fmt: skip
def test_figures_of_rules_with_like_names_have_files_of_their_own(names):
    found = [
        each.name for name in names for each in general([run(name, **{f"{name} {k}": k} | {"x": k}) for k in (1, 2)])
    ]
    assert len({name.lower() for name in found}) == len(found)
    assert all(name.isascii() and len(name) < 200 for name in found)


def test_sharpness_has_a_figure_where_it_was_measured_with_the_edge_where_that_is_known():
    edges = {"sgd": {"learning_rate": 0.5}, "cyclical": {"base_learning_rate": 0.1}}
    runs = [
        replace(each, curves={**each.curves, "sharpness": np.linspace(1, 6, each.epochs, dtype=np.float32)})
        for each in (run(name, **numbers) for name, numbers in edges.items())
    ]
    figures = {each.name: each for each in general([*runs, run("adam", learning_rate=0.1, b1=0.9)])}
    assert [name for name in figures if name.endswith("sharpness")] == ["sgd_sharpness", "cyclical_sharpness"]
    raw, multiple = figures["sgd_sharpness"].figure.axes
    np.testing.assert_allclose(raw.lines[0].get_ydata(), np.linspace(1, 6, 6))
    np.testing.assert_allclose(multiple.lines[0].get_ydata(), np.linspace(0.25, 1.5, 6))  # the edge is at 2 / 0.5
    assert multiple.lines[-1].get_ydata() == [1.0, 1.0]
    assert "edge of stability" in figures["sgd_sharpness"].caption
    assert len(figures["cyclical_sharpness"].figure.axes) == 1
    assert "edge of stability" not in figures["cyclical_sharpness"].caption


def test_a_line_goes_on_over_epochs_in_which_sharpness_was_not_measured():
    sometimes = np.array([1, np.nan, np.nan, 4, np.nan, np.nan], np.float32)
    whole = run("sgd", learning_rate=0.5)
    *_, picture = general([replace(whole, curves={**whole.curves, "sharpness": sometimes})])
    line = picture.figure.axes[0].lines[0]
    np.testing.assert_array_equal(line.get_xydata(), [[1, 1], [4, 4]])


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("momentum_ema", "SGD with averaged momentum"),
        ("momentum_cosine", "SGD with momentum, cosine"),
        ("adam2", "adam2"),
        ("my_adam", "my adam"),
    ],
)
def test_a_rule_that_begins_as_another_is_a_kind_of_it(name, told):
    assert labels.optimizer(name) == told
