"""How far Nesterov is ahead, on losses whose answer is known."""

import math

import numpy as np
import pytest
from made_runs import history

from experiments.article import gains
from experiments.article.gains import FASTER, NEITHER, ONE_SEED, SAME, SLOWER, Gain, Shown, shown
from jaxopt_study.analysis.runs import Runs

NUMBERS = {"learning_rate": 0.1, "momentum": 0.9}
FALL = 0.1 + 0.5 * np.exp(-0.2 * np.arange(30))


def noisy(rule, seed, curve, rng):
    values = curve + 0.02 * rng.standard_normal(len(curve))
    return history(rule, seed, val=values, train=values, **NUMBERS)


def test_one_rule_under_two_names_is_ahead_of_itself_as_often_as_behind():
    """The article's ratio has a rule faster than itself, once its curve has flattened: see the share below."""
    rng = np.random.default_rng(0)
    runs = Runs([noisy(rule, seed, FALL, rng) for seed in range(200) for rule in ("momentum", "nesterov")])
    [gain] = gains.gains(runs, averaged=True)
    ahead = np.mean([value > 0 for value in gain.gains.values()])
    assert 0.4 < ahead < 0.6
    plain, nesterov = ([run.curves["train_loss"] for run in runs.cells(rule)[0].histories]
                       for rule in ("momentum", "nesterov"))  # fmt: skip
    touched_early = np.mean([(two[:29] <= one[29]).any() for one, two in zip(plain, nesterov, strict=True)])
    assert touched_early > 0.75


def test_the_gain_turns_its_sign_where_the_rules_change_places():
    pair = [history(rule, 0, val=curve, train=curve, **NUMBERS)
            for rule, curve in (("momentum", FALL), ("nesterov", 0.8 * FALL))]  # fmt: skip
    swapped = [history(rule, 0, val=curve, train=curve, **NUMBERS)
               for rule, curve in (("nesterov", FALL), ("momentum", 0.8 * FALL))]  # fmt: skip
    [ahead], [behind] = (gains.gains(Runs(runs), averaged=True) for runs in (pair, swapped))
    assert ahead.gains[0] == pytest.approx(math.log(1 / 0.8), rel=1e-5)
    assert behind.gains[0] == pytest.approx(-ahead.gains[0])


def of(*values, converged=True, rate=0.1):
    return Gain(rate, 0.9, dict(enumerate(values)), {}, converged)


@pytest.mark.parametrize(
    ("gain", "category", "ratio"),
    [
        (of(0.1, 0.11, 0.09), FASTER, math.exp(-0.1)),
        (of(-0.1, -0.11, -0.09), SLOWER, math.exp(0.1)),
        (of(0.1, -0.1, 0.0), SAME, 1.0),
        (of(0.1), ONE_SEED, math.exp(-0.1)),
        (of(0.1, 0.1, 0.1, converged=False), NEITHER, math.nan),
    ],
)
def test_a_cell_is_coloured_where_the_interval_of_its_seeds_says_so(gain, category, ratio):
    [one] = shown([gain]).values()
    assert one.category == category
    assert one.ratio == pytest.approx(ratio, nan_ok=True)


def test_of_one_rule_twice_few_cells_are_coloured():
    rng = np.random.default_rng(1)
    coloured = []
    for _ in range(40):
        cells = [of(*rng.normal(0, 0.02, 3), rate=rate) for rate in range(20)]
        coloured += [one.category in (FASTER, SLOWER) for one in shown(cells).values()]
    assert np.mean(coloured) < 0.08


def test_categories_are_told_by_text_and_not_by_colour_alone():
    table = {(0.1, 0.5): Shown(0.5, FASTER), (0.1, 0.9): Shown(2.0, SLOWER), (0.2, 0.5): Shown(math.nan, NEITHER)}
    figure = gains.gain_table({"val_loss": table})
    texts = {text.get_text() for axes in figure.axes for text in axes.texts}
    assert {"faster", "slower", "neither\nconverged", "not\nrun"} <= texts
    assert gains.told({"val_loss": table}).endswith("1 faster, 1 slower, 1 neither converged.")
