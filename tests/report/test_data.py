import json
import math

import numpy as np
import pytest
from made_runs import history, world
from plot_runs import momentum_grid, run

from jaxopt_study.analysis.best import best_places
from jaxopt_study.analysis.minima import seed_minima
from jaxopt_study.analysis.runs import by_configuration
from jaxopt_study.report import data
from jaxopt_study.report.data import study_data, to_json, unpack

CHANCE = math.log(2)


def numbers(told):
    """Scores [2, M, R] and curves [M, R, E] of a page's data."""
    measures, runs, epochs = len(told["measures"]), len(told["runs"]["of"]), len(told["epochs"])
    flat = unpack(told["numbers"])
    scores, curves = flat[: 2 * measures * runs], flat[2 * measures * runs :]
    return scores.reshape(2, measures, runs), curves.reshape(measures, runs, epochs)


def test_curves_of_few_epochs_are_all_there_to_five_digits_and_minima_exactly():
    runs = momentum_grid()
    told = study_data(runs, CHANCE, files=[str(at) for at in range(len(runs))])
    scores, curves = numbers(told)
    at = [one["name"] for one in told["measures"]].index("val_loss")
    assert told["epochs"] == [1, 2, 3, 4, 5, 6]
    for place, one in enumerate(runs):
        np.testing.assert_allclose(curves[at, place], one.curves["val_loss"], rtol=1e-5)
        assert scores[0, at, place] == one.curves["val_loss"].min()
        assert scores[1, at, place] == one.curves["val_loss"][-1]


def test_other_measures_are_read_where_the_validation_loss_is_lowest():
    one = history(val=[0.5, 0.2, 0.4])
    one.curves["distance"] = np.float32([7, 8, 9])
    told = study_data([one], CHANCE)
    at = [each["name"] for each in told["measures"]].index("distance")
    assert list(numbers(told)[0][:, at, 0]) == [8, 9]


def test_sharpness_is_that_which_was_measured_last():
    one = history(val=[0.5, 0.2, 0.4, 0.5])
    one.curves["sharpness"] = np.float32([7, np.nan, 9, np.nan])
    told = study_data([one], CHANCE)
    at = [each["name"] for each in told["measures"]].index("sharpness")
    assert list(numbers(told)[0][:, at, 0]) == [7, 9]


def test_a_run_that_diverged_has_no_value_but_its_curve_and_its_epoch():
    told = study_data([run(diverged=3, learning_rate=0.1)], CHANCE)
    scores, curves = numbers(told)
    assert np.isnan(scores).all()
    assert np.isfinite(curves[0, 0]).tolist() == [True, True, False]
    assert told["runs"]["diverged"] == [3]


def test_the_best_of_the_page_is_the_best_of_the_study():
    runs = world(seeds=2)
    told = study_data(runs, CHANCE)
    for rule in {one.optimizer for one in runs}:
        groups = by_configuration(one for one in runs if one.optimizer == rule)
        wanted = best_places([seed_minima(group, chance=CHANCE) for group in groups])[:1]
        of_rule = [one for one in told["configurations"] if one["rule"] == rule]
        assert [at for at, one in enumerate(of_rule) if one["best"]] == wanted
        assert all(of_rule[at]["usable"] for at in wanted)
        assert {one["rank"] for one in told["configurations"]} == set(range(len(told["configurations"])))


def test_many_runs_keep_fewer_epochs_from_the_first_to_the_last(monkeypatch):
    monkeypatch.setattr(data, "MOST_NUMBERS", 1000)
    told = study_data(world(seeds=1)[:12], CHANCE)
    assert len(told["epochs"]) == data.FEWEST_EPOCHS
    assert (told["epochs"][0], told["epochs"][-1]) == (1, 120)


def test_of_a_metric_to_be_maximized_more_is_better_and_it_is_no_share():
    one = history()
    one.curves["f1"] = one.curves["lowest"] = np.linspace(0, 1, one.epochs)
    told = {each["name"]: each for each in study_data([one], CHANCE, directions={"f1": True})["measures"]}
    names = ("f1", "lowest", "distance", "val_accuracy", "val_loss")
    assert {name: (told[name]["more"], told[name]["share"]) for name in names} == {
        "f1": (True, False),
        "lowest": (None, False),  # nobody said which way is better
        "distance": (None, False),
        "val_accuracy": (True, True),
        "val_loss": (False, False),
    }


def test_what_was_not_measured_is_no_measure():
    regression = history()
    regression.curves["val_accuracy"][:] = 0
    regression.curves["grad_norm"][:] = np.nan
    names = [one["name"] for one in study_data([regression], math.inf)["measures"]]
    assert "val_accuracy" not in names
    assert "grad_norm" not in names


@pytest.mark.parametrize("text", ["</script><b>", "<!--", "\u2028", "\u202eabc", "=cmd()", "'\"" + "x" * 10_000])
def test_texts_stay_texts_in_a_script_element(text):
    written = to_json(study_data([run(text, learning_rate=0.1)], math.inf))
    assert not {"<", "\u2028"} & set(written)
    assert json.loads(written)["configurations"][0]["rule"] == text
