"""How many seeds an effect needs and which effect is visible: simulated; and false discoveries by hand."""

import math

import numpy as np
import pytest

from jaxopt_study.analysis.intervals import Mean, seed_mean
from jaxopt_study.analysis.power import false_discoveries, power, seeds_needed, smallest_visible


def simulated(effect, seeds, sd=1.0, studies=4000):
    """Share of studies in which Student's 95% interval lies above 0."""
    samples = effect + sd * np.random.default_rng(seeds).standard_normal((studies, seeds))
    means = [seed_mean(dict(enumerate(values))) for values in samples]
    return np.mean([mean.value > mean.half_width() for mean in means])


@pytest.mark.parametrize("effect", [0.7, 1.5, 3.0])
def test_the_seeds_needed_have_a_power_of_80_percent(effect):
    pilot = Mean(effect, 1.0, 2, 3, 0.0, "Student's t")
    needed = seeds_needed(pilot, effect)
    assert simulated(effect, needed) >= 0.78
    assert simulated(effect, needed - 1) < 0.81


def test_known_numbers_of_seeds():
    # A t test at 5%, two-sided, of an effect of half a standard deviation needs 34 (Cohen 1988, one sample).
    assert seeds_needed(Mean(0.5, 1.0, 2, 3, 0.0, ""), 0.5) == 34
    # With the variance known the normal says 32: ((1.96 + 0.8416) / 0.5)^2 = 31.4.
    assert seeds_needed(Mean(0.5, 1.0, 1e6, 3, 0.0, ""), 0.5) == 32
    assert seeds_needed(Mean(0.0, 1.0, 2, 3, 0.0, ""), 0.0) is None


def test_the_smallest_visible_effect_is_the_one_that_needs_the_seeds_there_are():
    for seeds, dof in ((3, 2), (3, 10), (8, 7), (40, 1e6)):
        mean = Mean(0.0, 0.3, dof, seeds, 0.0, "")
        visible = smallest_visible(mean)
        assert power(mean, visible, seeds) == pytest.approx(0.8, abs=1e-6)
        assert seeds_needed(mean, visible * (1 + 1e-9)) == seeds


def test_on_a_grid_equal_seeds_see_no_less_than_the_grid_leaves_open():
    mean = Mean(2.0, 0.0, 2, 3, 1.0, "")
    assert smallest_visible(mean) == pytest.approx(1 - 0.025 ** (1 / 3))
    assert seeds_needed(mean, 0.5) == 6  # 0.025^(1/6) > 0.5 > 0.025^(1/5)


def test_false_discoveries_by_hand_and_verdicts_without_a_p_value():
    found = false_discoveries([0.01, math.nan, 0.04, 0.03, 0.5])
    np.testing.assert_allclose(found, [0.04, math.nan, 0.16 / 3, 0.16 / 3, 0.5])
    assert all(map(math.isnan, false_discoveries([math.nan])))
    assert false_discoveries([]) == []
