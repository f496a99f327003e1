"""The article's convergence ratio and the learning rate's share of the variance, on losses whose answers are known."""

import math

import numpy as np
import pytest
from made_runs import history

from experiments.article.ratios import convergence_ratio, convergence_table
from experiments.compare import share_of_rates
from jaxopt_study.analysis.runs import Runs

NAN, INF = math.nan, math.inf
SLOW = np.linspace(1.0, 0.1, 10)
FAST = np.linspace(1.0, 0.1, 5)


@pytest.mark.parametrize(
    ("reference", "other", "ratio", "category"),
    [
        (SLOW, np.append(FAST, [0.1] * 5), 0.5, "faster"),
        (np.append(FAST, [0.1] * 5), np.append(SLOW, [0.05] * 5), 1.0, "same"),
        (FAST, SLOW, 2.0, "slower"),
        (FAST, SLOW + 0.1, INF, "slower"),
        ([0.9, NAN], SLOW, 0.2, "faster"),
        (SLOW, [0.9, NAN], INF, "slower"),
        ([0.9, NAN], [0.8, NAN], NAN, "neither converged"),
        (SLOW + 0.5, SLOW + 0.5, NAN, "neither converged"),
        (FAST[:3] - 0.5, SLOW, NAN, "too few epochs"),
    ],
)
def test_convergence_ratio_and_its_category(reference, other, ratio, category):
    after = 5 if len(reference) < 10 else 10
    found = convergence_ratio(reference, other, after=after, converged_below=0.5)
    assert found.category == category
    assert found.ratio == pytest.approx(ratio, nan_ok=True)


def test_convergence_table_pairs_seeds_and_leaves_momentum_zero_out():
    runs = [
        history(r, s, val=c, train=c, learning_rate=0.1, momentum=0.9)
        for r, c in (("momentum", SLOW), ("nesterov", np.append(FAST, [0.1] * 5)))
        for s in (0, 1)
    ]
    runs += [
        history("sgd", 0, val=SLOW, learning_rate=0.1),
        history("nesterov", 2, val=SLOW, learning_rate=0.1, momentum=0.9),
    ]
    table = convergence_table(Runs(runs), after=10)
    assert table == {(0.1, 0.9): {0: (0.5, "faster"), 1: (0.5, "faster")}}


def test_variance_is_the_rates_where_optimizers_tuned_are_equal_and_the_optimizers_where_rates_do_not_matter():
    assert share_of_rates([[1.0, 2.0], [2.0, 1.0]]) == 1.0
    assert share_of_rates([[1.0, 1.0], [2.0, 2.0]]) == 0.0
    assert math.isnan(share_of_rates([[1.0, 1.0], [1.0, 1.0]]))


def test_the_share_of_the_rates_by_hand():
    # Variances over rates 0.5 and 2, mean 1.25; between the bests 1 and 2 it is 0.5.
    assert share_of_rates([[1.0, 2.0], [4.0, 2.0]]) == pytest.approx(1.25 / 1.75)
