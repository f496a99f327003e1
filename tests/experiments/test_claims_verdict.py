"""The rule that makes measurements a verdict."""

import math

import numpy as np
import pytest
from made_runs import history

from experiments.article.claim import Claim, discoveries, judge
from experiments.article.part import Part, Undecided, attempt
from experiments.article.parts import less
from experiments.article.verdict import Verdict, both, decide, looking
from jaxopt_study.analysis.intervals import student_interval
from jaxopt_study.analysis.runs import Cell

CLEAR, AGAINST, OPEN = [1.0, 1.1, 0.9], [-1.0, -1.1, -0.9], [1.0, -1.0, 0.5]


def verdict(*values, **options):
    return decide([Part("m", each) for each in values], **options).verdict


@pytest.mark.parametrize(
    ("parts", "expected"),
    [
        ([CLEAR], "supported"),
        ([AGAINST], "contradicted"),
        ([OPEN], "undecided"),
        ([CLEAR, CLEAR], "supported"),
        ([CLEAR, OPEN], "undecided"),
        ([OPEN, CLEAR, AGAINST], "contradicted"),
        ([CLEAR, ()], "undecided"),
    ],
)
def test_every_part_must_hold_and_one_that_fails_is_enough(parts, expected):
    assert verdict(*parts) == expected


@pytest.mark.parametrize(
    ("parts", "expected"),
    [
        ([AGAINST, CLEAR], "supported"),
        ([AGAINST, AGAINST], "contradicted"),
        ([AGAINST, OPEN], "undecided"),
        ([AGAINST, ()], "undecided"),
    ],
)
def test_one_part_that_holds_is_enough_where_some_will_do(parts, expected):
    assert verdict(*parts, some=True) == expected


def test_many_parts_do_not_make_it_easier_to_fail_by_luck_nor_harder_to_hold():
    weak = [0.15, 0.2, 0.25]
    assert verdict(weak) == "supported"
    assert verdict(*[weak] * 10) == "supported"
    assert verdict([-each for each in weak]) == "contradicted"
    assert verdict(*[[-each for each in weak]] + [CLEAR] * 9) == "undecided"
    assert verdict(*[weak] + [AGAINST] * 9, some=True) == "undecided"


def test_the_level_is_95_percent():
    values = [0.0, 1.0, 2.0, 3.0, 4.0]  # mean 2, standard error 0.5^0.5; Student's t with 4 degrees: 2.776445
    found = decide([Part("m", values, low=0.0)])
    np.testing.assert_allclose((found.effect, found.low), (2.0, 2 - 2.776445 * 0.5**0.5), rtol=1e-5)
    # At 90% (t 2.131847) these would reach 0.49 and hold.
    assert decide([Part("m", values, low=0.3)]).verdict == "undecided"
    assert decide([Part("m", values, low=0.03)]).verdict == "supported"


def test_configurations_are_compared_on_the_same_seeds():
    """Seeds differ by far more than configurations, as they do in practice."""

    def cell(rate, shift):
        return Cell("sgd", {"learning_rate": rate}, {
            seed: history("sgd", seed=seed, val=[0.9, level + shift], learning_rate=rate)
            for seed, level in ((3, 0.3), (0, 0.6), (7, 0.5), (1, 0.4), (2, 0.35))
        })  # fmt: skip

    worse, better = cell(0.1, 0.01), cell(0.2, 0.0)
    part = less(worse, better, lambda run: float(min(run.curves["val_loss"])), "smallest validation loss")
    np.testing.assert_allclose(part.values, 5 * [0.01], atol=1e-6)
    assert decide([part]).verdict == "supported"


def test_one_seed_is_undecided_however_large_but_its_effect_is_shown():
    found = decide([Part("m", [1e6])])
    assert (found.verdict, found.effect) == ("undecided", 1e6)
    assert math.isnan(found.low)
    assert "its value fits the claim" in found.reason
    assert "does not fit" in decide([Part("m", [-1.0])]).reason


def test_seeds_that_agree_exactly_on_no_grid_decide_nothing():
    assert verdict([1.0, 1.0]) == "undecided"
    assert verdict([1.0, 1.0, 1.0]) == "undecided"
    assert "no spread to judge by" in decide([Part("m", [1.0, 1.0, 1.0])]).reason
    assert verdict([1.0, 1.000001]) == "supported"


def test_a_mean_on_the_bound_is_undecided():
    assert verdict([0.0, 0.0, 0.0]) == "undecided"


def test_ratios_are_averaged_on_the_log_scale():
    found = decide([Part("m", [2.0, 8.0, 4.0], low=1.0, ratio=True)])
    assert found.effect == pytest.approx(4.0)
    assert found.low * found.high == pytest.approx(16.0, rel=1e-6)


def test_a_grid_asks_of_equal_seeds_that_the_next_value_lies_on_the_same_side():
    for seeds, unseen in ((3, 4.30265 / 6), (5, 1 - 0.025 ** (1 / 5))):  # that of rounding; that of the next value
        found = decide([Part("m", seeds * [1.0], step=1.0)])
        assert (found.low, found.high) == pytest.approx((1 - unseen, 1 + unseen), abs=1e-4)
        assert found.verdict == "supported"
        assert decide([Part("m", seeds * [1.0], low=0.5, step=1.0)]).verdict == "undecided"


def test_the_p_value_is_that_of_the_interval_that_ends_at_the_bound():
    from jaxopt_study.analysis.intervals import seed_mean

    for values, step in (([1.0, 1.3, 0.2], 0.0), ([1.0, 1.0, 1.0], 1.0), ([1.0, 1.0, 2.0], 3.0)):
        mean = seed_mean(dict(enumerate(values)), step=step)
        bound = mean.value - mean.half_width(0.9)
        assert 2 * mean.p_above(bound) == pytest.approx(0.1, rel=1e-6)
        assert mean.p_below(bound) == pytest.approx(0.95, rel=1e-6)


def test_equivalence_is_two_one_sided_tests_at_half_of_the_level_each():
    found = decide([Part("m", [1.0, 1.01, 0.99], 0.9, 1.1)])
    half = 4.30265 * 0.01 / math.sqrt(3)  # Student's t with 2 degrees at 97.5%
    assert (found.low, found.high) == pytest.approx((1 - half, 1 + half), rel=1e-5)
    assert found.method == "two one-sided tests, Student's t"
    assert "95% interval" in found.reason


def test_runs_of_which_some_are_stuck_have_no_interval_and_say_why():
    found = decide([Part("m", CLEAR, no_interval="1 of 3 runs diverged")])
    assert (found.verdict, found.effect) == ("undecided", pytest.approx(1.0))
    assert math.isnan(found.low)
    assert "1 of 3 runs diverged" in found.reason


def test_an_undecided_claim_says_how_many_seeds_it_needs():
    found = decide([Part("m", [1.0, -1.0, 0.5, 2.0, -0.2])])
    assert found.seeds_needed > 5
    assert f"needs about {found.seeds_needed} seeds" in found.reason
    hindered = decide([Part("m", [1.0, -1.0, 0.5, 2.0, -0.2], no_support="too few epochs")])
    assert hindered.seeds_needed is None
    assert math.isnan(hindered.p)  # it does not apply, and is not counted among the chances of a false verdict
    assert decide([Part("m", CLEAR)]).seeds_needed is None


@pytest.mark.parametrize(
    ("values", "expected"),
    [([1.0, 1.01, 0.99], "supported"), ([2.0, 2.01, 1.99], "contradicted"), ([1.0, 1.4, 0.8], "undecided")],
)
def test_a_range_must_hold_the_whole_interval(values, expected):
    assert decide([Part("m", values, 0.9, 1.1)]).verdict == expected


def test_a_hindrance_stops_only_the_verdict_it_is_for():
    part = Part("m", CLEAR, no_support="too few epochs: x")
    assert decide([part]).reason == "too few epochs: x"
    assert decide([part._replace(values=AGAINST)]).verdict == "contradicted"
    assert decide([Part("m", AGAINST, no_contradiction="y")]).reason == "y"


def test_seeds_without_a_value_are_said_in_the_reason():
    assert "1 of 4 seeds have no finite value" in decide([Part("m", [*CLEAR, math.nan])]).reason


def test_where_all_parts_hold_the_effect_is_of_the_one_that_holds_by_least():
    found = decide([Part("safe", [1.0, 1.01, 0.99]), Part("close", [1.0, 1.3, 0.7])])
    assert found.meaning == "close"
    assert found.reason.startswith("2 of 2 parts held")


def test_what_cannot_be_measured_is_an_open_part_with_its_reason():
    def missing(name):
        raise Undecided(f"no run of {name}")

    part = attempt(missing, "adam")
    assert decide([part]).reason == "no run of adam"
    assert decide([part, Part("m", AGAINST)]).verdict == "contradicted"


def test_whoever_looks_after_every_seed_needs_more_to_decide_and_is_told_where():
    cells = [Cell("sgd", {"learning_rate": 0.1}, {}), Cell("sgd", {"learning_rate": 0.2}, {})]
    close, sure = Part("m", [1.0, 1.3, 0.7], cells=cells[:1]), Part("m", [1.0, 1.001, 0.999], cells=cells[1:])
    assert decide([close, sure]).verdict == "supported"
    with looking(10):
        found = decide([close, sure])
    assert (found.verdict, found.cells) == ("undecided", tuple(cells[:1]))
    assert "1 of 2 parts open, first the 99.9" in found.reason
    with looking(3):
        assert decide([close, sure]).verdict == "supported"
    with looking(10):
        assert decide([close.open_if("too few epochs"), sure]).cells == ()  # more seeds would not help


def test_of_several_orders_of_the_data_the_interval_is_over_the_orders():
    replicates = [(order << 32) + seed for order in range(3) for seed in range(2)]
    values = [1.0, 1.1, 0.2, 0.3, 2.0, 2.1]
    assert decide([Part("m", values)]).verdict == "supported"
    with looking(None, replicates):
        found, short = decide([Part("m", values)]), decide([Part("m", values[:5])])
    assert found.verdict == "undecided"
    assert "of 3 orders of the data does not tell" in found.reason
    assert "needs about 8 orders of the data" in found.reason
    assert found.seeds_needed is None  # more seeds of these orders would show no more
    assert found[2:4] == pytest.approx(student_interval(dict(enumerate([1.05, 0.25, 2.05]))))
    assert "several orders of the data, and not every one with every seed" in short.reason
    with looking(None, replicates[:2]):
        one = decide([Part("m", values[:2])])
    assert one == decide([Part("m", values[:2])])


def halves(first, second):
    """A claim of two, in either order."""
    pair = [decide([Part(name, values)], some=True, of=2) for name, values in (("one", first), ("two", second))]
    there, back = both(*pair), both(*pair[::-1])
    assert there.verdict == back.verdict
    assert there.p == pytest.approx(back.p, nan_ok=True)
    return there


def test_two_verdicts_together_are_only_as_good_as_the_worse():
    better = [2.0, 2.1, 1.9]
    assert halves(CLEAR, better).verdict == "supported"
    assert halves(CLEAR, better).p == decide([Part("m", CLEAR)]).p  # the larger one
    assert halves(OPEN, AGAINST).verdict == "contradicted"
    assert halves(OPEN, AGAINST).p == pytest.approx(2 * decide([Part("m", AGAINST)]).p)
    assert halves(CLEAR, OPEN).verdict == "undecided"
    assert halves(CLEAR, OPEN).p == decide([Part("m", CLEAR), Part("m", OPEN)]).p
    assert math.isnan(halves([1.0], [2.0]).p)
    assert halves([1.0], CLEAR).p == 1.0
    silent = Verdict("does not apply", 1.0, 0.0, 2.0, "m", "no runs")
    assert both(decide([Part("m", CLEAR)], of=2), silent) == silent


def test_one_of_two_verdicts_that_fails_at_95_percent_alone_does_not_contradict_the_claim():
    """Two chances of failing by luck: each is taken at 2.5%."""
    weak = [-1.0, -0.5, -0.7]
    alone = decide([Part("m", weak)])
    assert alone.verdict == "contradicted"
    assert 0.025 < alone.p <= 0.05
    found = halves(weak, CLEAR)
    assert found.verdict == "undecided"
    assert found.p == pytest.approx(2 * alone.p)


def test_of_two_open_verdicts_both_are_told_and_the_configurations_of_both_are_open():
    cells = [Cell("adam", {"learning_rate": rate}, [history()]) for rate in (0.1, 0.2)]
    parts = [Part(name, OPEN, cells=[cell]) for name, cell in zip(("rho", "betas"), cells, strict=True)]
    found = both(*(decide([part], some=True, of=2) for part in parts))
    assert found.cells == tuple(cells)
    assert "; and betas: the 9" in found.reason
    assert found.seeds_needed is not None


def test_the_page_says_how_many_decided_verdicts_are_expected_to_be_chance():
    def claimed(name, values):
        return Claim(name, name, 1, lambda runs: decide([Part("m", values)]), of_rules=True)

    silent = Claim("Z", "Z", 1, lambda runs: decide([Part("m", [1.0])]), of_rules=True)
    claims = [claimed("A", CLEAR), claimed("B", OPEN), claimed("C", AGAINST)]
    found = judge([*claims, silent], [])
    p_values = [one.p for one in found]
    assert [one.verdict for one in found] == ["supported", "undecided", "contradicted", "undecided"]
    assert math.isnan(p_values[3])
    assert math.isnan(found[3].q)
    assert found[0].q == pytest.approx(1.5 * p_values[0])  # two of three claims have so small a p-value
    largest = 1.5 * p_values[0]
    assert discoveries(found).startswith(f"Of the 2 decided verdicts at most {2 * largest:.2g} are expected")
    assert "over the 3 claims" in discoveries(found)
    assert discoveries(found[1:2]) == ""
