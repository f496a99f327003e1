"""Which of two tuned rules is better: what is said holds as often as it claims, and looking often costs nothing."""

import numpy as np

from jaxopt_study.analysis.versus import versus
from jaxopt_study.history import CURVES, History


def side(losses, name="adam"):
    """Configurations with these lowest losses, ``[C, S]``."""
    return [
        [
            History(name, {"learning_rate": 0.1 * (c + 1)}, s, "finished", dict.fromkeys(CURVES, np.array([loss])))
            for s, loss in enumerate(row)
        ]
        for c, row in enumerate(losses)
    ]


def test_a_side_whose_every_loss_is_a_tenth_lower_is_better_by_a_tenth():
    seeds = np.random.default_rng(0).uniform(0.9, 1.1, 6)
    noise = np.random.default_rng(1).uniform(0.999, 1.001, 6)
    found = versus(side([0.9 * seeds * noise, 2 * seeds]), side([seeds, 3 * seeds]), 10)
    assert found.better == 0
    assert abs(found.effect + 0.1) < 0.002
    assert found.low < -0.1 < found.high < 0
    other = versus(side([seeds]), side([0.9 * seeds * noise]), 10)
    assert other.better == 1
    assert abs(other.effect - 1 / 0.9 + 1) < 0.002


def test_nothing_is_said_of_fewer_than_two_seeds_and_lost_ones_are_told():
    assert versus(side([[1.0]]), side([[0.5]])).better is None
    assert versus(side([[1.0]]), side([[0.5]])).reason == "fewer than two seeds of both"
    assert versus([], side([[0.5, 0.5]])).better is None
    lost = versus(side([[1.0, np.nan, 1.1, 1.05]]), side([[0.5, 0.5, 0.51, 0.5]]))
    assert lost.seeds == 3
    assert lost.reason == "1 of 4 seeds have no loss that counts: a run diverged or failed"


def test_equal_rules_are_told_apart_in_at_most_a_twentieth_of_all_studies_though_looked_at_after_every_seed():
    rng = np.random.default_rng(5)
    wrong, studies = 0, 400
    for _ in range(studies):
        losses = np.exp(rng.normal(0, 0.1, (2, 3, 6)))
        wrong += any(
            versus(side(losses[0, :, :seeds]), side(losses[1, :, :seeds]), 6).better is not None
            for seeds in range(2, 7)
        )
    assert wrong <= 0.05 * studies + 2 * np.sqrt(0.05 * 0.95 * studies)


def test_losses_that_are_not_positive_are_compared_by_their_difference():
    rng = np.random.default_rng(3)
    found = versus(side([rng.normal(-1, 0.01, 6)]), side([rng.normal(-2, 0.01, 6)]))
    assert found.better == 1
    assert abs(found.effect - 1) < 0.02
