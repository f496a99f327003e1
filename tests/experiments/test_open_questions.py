"""What the article leaves open, on made runs whose answer is known."""

import math

import numpy as np
import pytest
from made_runs import history

from experiments import effective_rate, nesterov_gain, sign_descent
from experiments.article import facts as article
from experiments.article import falling_rates
from experiments.article.rates import effective_rate as effective
from experiments.command import experiment as catalogue
from jaxopt_study.analysis.intervals import seed_estimate
from jaxopt_study.analysis.runs import Runs
from jaxopt_study.plots.picture import Source

CHANCE = math.log(2)
RATES = article.half_decades(-3, 0)


def source(runs):
    """What figures and tables are made from."""
    cells = [cell for rule in runs.optimizers for cell in runs.cells(rule)]
    return Source([history for cell in cells for history in cell.histories], runs.chance)


def bent(rate):
    """A loss that has its minimum within the range of rates, as real ones have."""
    return 0.2 + 0.05 * math.log10(rate / 0.03) ** 2


def momentum_world(loss, *, noise=0.0, seeds=4):
    """Both formulations over the grid; ``loss`` is a function of the effective and the plain rate and the momentum."""
    rng = np.random.default_rng(5)
    runs = []
    for rule in ("momentum", "momentum_ema"):
        for rate in RATES:
            for momentum in article.MOMENTA:
                effective = rate if rule == "momentum_ema" else rate / (1 - momentum)
                for seed in range(seeds):
                    value = loss(effective, rate, momentum) + noise * rng.standard_normal()
                    runs.append(history(rule, seed, val=[value], learning_rate=rate, momentum=momentum))
    return Runs(runs, chance=10.0)


def plain(found):
    return [point for point in found if point.optimizer == "momentum"]


def by_effective(point):
    return point.effective


def by_rate(point):
    return point.rate


def test_where_the_effective_rate_alone_matters_it_explains_everything_and_is_preferred():
    found = effective_rate.points(momentum_world(lambda effective, rate, beta: bent(effective), noise=1e-4))
    for ranks in (False, True):
        for points in (found, plain(found)):
            assert effective_rate.explained_by(points, by_effective, ranks=ranks).value > 0.98
            assert effective_rate.explained_by(points, by_rate, ranks=ranks).value < 0.5
        assert effective_rate.explained_by(points, by_effective).low > 0.98
        assert effective_rate.explained_by(points, by_rate).high < 0.5
    assert effective_rate.preference(found).low > 0.999
    assert effective_rate.formulations_apart(found).value < 3e-4


def test_where_the_plain_rate_alone_matters_the_effective_rate_is_not_preferred():
    found = effective_rate.points(momentum_world(lambda effective, rate, beta: bent(rate), noise=1e-4))
    assert effective_rate.explained_by(found, by_rate).low > 0.99
    assert effective_rate.explained_by(plain(found), by_effective).high < 0.5
    assert effective_rate.preference(found).high < 0.001


def test_where_nothing_matters_neither_rate_explains_anything_and_neither_is_preferred():
    found = effective_rate.points(momentum_world(lambda *_: 0.5, noise=0.05, seeds=20))
    for by in (by_effective, by_rate):
        estimate = effective_rate.explained_by(plain(found), by)
        assert estimate.low < 0 < estimate.high
    preference = effective_rate.preference(found)
    assert preference.low < 0.5 < preference.high


def test_what_a_momentum_costs_at_equal_effective_rate_is_found():
    found = effective_rate.points(momentum_world(lambda effective, rate, beta: bent(effective) + 0.1 * (beta == 0.99)))
    told = effective_rate.differences(found)
    pairs = {(point.momentum, base.momentum) for point, base, _ in told}
    assert pairs == {(0.9, 0.0), (0.95, 0.5), (0.99, 0.0), (0.99, 0.9)}
    for point, _, more in told:
        np.testing.assert_allclose(more.value, 0.1 * (point.momentum == 0.99), atol=1e-7)
        assert math.isnan(more.low)  # equal seeds have no spread to judge by


def test_equal_effective_rates_of_the_default_grid_compare_equal():
    assert effective(0.01, 0.99) == effective(1.0, 0.0)
    assert effective(RATES[1], 0.9) == effective(RATES[3], 0.0)
    (point,) = effective_rate.points(Runs([history("momentum_ema", learning_rate=0.01, momentum=0.99)]))
    assert point.effective == 0.01


@pytest.mark.parametrize(
    ("values", "groups", "share"),
    [([1, 1, 2, 2], [0, 0, 1, 1], 1.0), ([1, 1, 1], [0, 0, 1], math.nan), ([1, 2, 3], [0, 1, 2], math.nan)],
)
def test_the_explained_share_of_small_samples(values, groups, share):
    np.testing.assert_equal(effective_rate.explained(values, groups), share)


def test_the_explained_share_of_unrelated_groups_is_zero_in_the_mean_however_many_there_are():
    rng = np.random.default_rng(0)
    for count in (2, 10, 20):
        shares = [effective_rate.explained(rng.standard_normal(40), np.arange(40) % count) for _ in range(400)]
        assert abs(np.mean(shares)) < 0.03


COURSES = {
    falling_rates.CONSTANT: {},
    falling_rates.ROOT: {"root": 1.0, "last_share": 1.0, "line": 0.0},
    falling_rates.EXPONENTIAL: {"root": 0.0, "last_share": 0.01, "line": 0.0},
    falling_rates.LINE: {"root": 0.0, "last_share": 1.0, "line": 1.0},
}


def sign_world(cost, seeds=3):
    """RMSprop with each course: rho 0 costs ``cost[course]`` at the best rate, 0.001, and sign descent is the same."""
    runs = []
    for rate in (0.0001, 0.001, 0.01):
        for seed in range(seeds):
            base = 0.2 + 0.1 * abs(math.log10(rate / 0.001)) + 0.01 * seed
            for course, numbers in COURSES.items():
                for decay in (0.0, 0.9):
                    rule = "rmsprop_falling" if numbers else "rmsprop"
                    value = base + cost[course] * (decay == 0.0)
                    own = {"learning_rate": rate, "decay": decay, "eps": 1e-7, **numbers}
                    runs.append(history(rule, seed, val=[value, value + 0.1], **own))
            value = base + cost[falling_rates.CONSTANT]
            runs.append(history("sign_sgd", seed, val=[value, value + 0.1], learning_rate=rate))
    return Runs(runs, chance=CHANCE)


COST = {falling_rates.CONSTANT: 0.1, falling_rates.ROOT: 0.05, falling_rates.EXPONENTIAL: 0.02, falling_rates.LINE: 0.0}


def test_what_rho_zero_loses_under_each_course_is_found():
    runs = sign_world(COST)
    found = {gap.course: gap for gap in sign_descent.gaps(runs)}
    assert list(found) == list(COST)
    for course, gap in found.items():
        np.testing.assert_allclose([gap.lowest.value, gap.last.value], COST[course], atol=1e-6)


def test_what_a_course_gains_over_the_constant_rate_is_found():
    found = {(gap.course, gap.decay): gap.lowest.value for gap in sign_descent.against_constant(sign_world(COST))}
    assert found[falling_rates.LINE, 0.0] == pytest.approx(-0.1, abs=1e-6)
    assert found[falling_rates.LINE, 0.9] == pytest.approx(0.0, abs=1e-6)
    assert found[falling_rates.SIGN, 0.0] == pytest.approx(0.0, abs=1e-6)


def test_what_a_course_gains_at_the_same_rate_is_found():
    found = {(rate, g.course, g.decay): g.last.value for rate, g in sign_descent.at_equal_rates(sign_world(COST))}
    assert {rate for rate, _, _ in found} == {0.0001, 0.001, 0.01}
    assert found[0.01, falling_rates.EXPONENTIAL, 0.0] == pytest.approx(-0.08, abs=1e-6)
    assert found[0.01, falling_rates.CONSTANT, 0.9] == pytest.approx(-0.1, abs=1e-6)


def test_sign_descent_is_told_from_what_it_is_not():
    runs = sign_world(COST)
    assert [estimate.value for estimate in sign_descent.sign_apart(runs)] == [0.0, 0.0]
    assert math.isnan(sign_descent.sign_apart(Runs([history("sgd")]))[0].value)


def test_a_course_that_is_two_at_once_has_no_name():
    numbers = {"learning_rate": 0.1, "decay": 0.0, "root": 1.0, "last_share": 0.1, "line": 0.0}
    (cell,) = Runs([history("rmsprop_falling", **numbers)]).cells("rmsprop_falling")
    assert falling_rates.course(cell) == ""


def nesterov_world(gain, *, seeds=3, epochs=8):
    """Plain momentum and Nesterov's, whose loss after all epochs is lower by ``exp(gain(rate, momentum))``."""
    runs = []
    for rate in RATES[:5]:
        for momentum in article.MOMENTA[1:]:
            for seed in range(seeds):
                for rule in ("momentum", "nesterov"):
                    last = 0.2 * math.exp(-gain(rate, momentum) * (rule == "nesterov")) * (1 + 0.01 * seed)
                    curve = np.geomspace(0.6, last, epochs)
                    numbers = {"learning_rate": rate, "momentum": momentum}
                    runs.append(history(rule, seed, val=curve, train=curve, **numbers))
    return Runs(runs, chance=CHANCE)


def correlations(runs):
    found = nesterov_gain.gains(runs)
    return {name: nesterov_gain.rank_correlation(found, value) for name, value in nesterov_gain.CANDIDATES.items()}


def test_where_the_effective_rate_decides_the_gain_its_rank_correlation_is_one():
    found = correlations(nesterov_world(lambda rate, momentum: 0.1 * math.log(rate / (1 - momentum))))
    assert found["effective rate"].value == pytest.approx(1.0)
    assert all(abs(found[name].value) < 0.9 for name in ("learning rate", "1 / (1 - momentum)"))
    assert math.isnan(found["oscillation of plain momentum"].value)  # the same in all these runs


def test_where_momentum_decides_the_gain_the_rate_does_not():
    found = correlations(nesterov_world(lambda rate, momentum: -0.1 * momentum))
    assert found["1 / (1 - momentum)"].value == pytest.approx(-1.0)
    assert abs(found["learning rate"].value) < 1e-6


def test_the_gain_is_the_logarithm_of_the_losses_ratio():
    runs = nesterov_world(lambda rate, momentum: 0.3)
    assert all(g.estimate.value == pytest.approx(0.3, abs=1e-6) and g.converged for g in nesterov_gain.gains(runs))
    way = [g.estimate.value for g in nesterov_gain.gains(runs, averaged=True)]
    np.testing.assert_allclose(way, 0.15, atol=1e-6)  # on a line from 0 to 0.3 over the epochs


def test_a_run_that_diverged_has_the_loss_of_guessing_and_pairs_without_any_convergence_do_not_count():
    numbers = {"learning_rate": 0.1, "momentum": 0.9}
    best = [history(rule, val=[0.6, 0.1], learning_rate=0.01, momentum=0.9) for rule in ("momentum", "nesterov")]
    lost = history("momentum", val=[0.6, math.nan], status="diverged", diverged_epoch=2, **numbers)
    for last, converged in ((0.1, True), (0.65, False)):
        gain = nesterov_gain.gains(Runs([*best, lost, history("nesterov", val=[0.6, last], **numbers)]))[-1]
        assert gain.converged == converged
        assert gain.gains[0] == pytest.approx(math.log(CHANCE / last), abs=1e-6)


@pytest.mark.parametrize("name", catalogue.OPEN_QUESTIONS)
def test_one_seed_gives_numbers_without_intervals_and_no_run_gives_a_sentence(name):
    worlds = {
        "effective_rate": momentum_world(lambda effective, *_: bent(effective), seeds=1),
        "sign_descent": sign_world(COST, seeds=1),
        "nesterov_gain": nesterov_world(lambda rate, momentum: momentum, seeds=1),
    }
    columns, rows = catalogue.chapters()[name].table(source(worlds[name]))
    low = columns.index("low")
    assert rows
    assert all(math.isnan(row[low]) for row in rows)
    notes = []
    assert list(catalogue.pictures(name, [], on_absent=notes.append)) == []
    assert len(notes) == 1
    assert notes[0].startswith(f"{name} is left out: ")
    assert math.isnan(seed_estimate({}).value)


def test_the_figures_say_the_numbers():
    cells = {
        "effective_rate": momentum_world(lambda effective, *_: bent(effective), noise=1e-3),
        "sign_descent": sign_world(COST),
        "nesterov_gain": nesterov_world(lambda rate, momentum: momentum),
    }
    for name, runs in cells.items():
        (picture,) = catalogue.pictures(name, source(runs).histories, chance=runs.chance)
        assert picture.name == name
        assert picture.caption.endswith("95% intervals.")
        assert " to " in picture.alt_text or "equal seeds, no interval" in picture.alt_text
