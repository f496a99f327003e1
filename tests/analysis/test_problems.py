"""Several problems, one verdict: what is told of made problems is what their losses say, by hand."""

import csv
import dataclasses
import html
import math
from types import SimpleNamespace

import numpy as np
import pytest
from made_runs import history
from scipy import stats

import jaxopt_study as js
from jaxopt_study.analysis.best import held_out
from jaxopt_study.analysis.intervals import Sample, stratified_mean, student_interval
from jaxopt_study.analysis.minima import unchosen_loss
from jaxopt_study.analysis.problems import standings, told
from jaxopt_study.analysis.profiles import profiles, ratios
from jaxopt_study.errors import InputError
from jaxopt_study.plots import labels
from jaxopt_study.report import tables
from jaxopt_study.storage.store import tidy


def runs(losses, epochs=1):
    """Runs of one configuration a rule with these losses of the seeds, by the rule; NaN is a run that diverged."""
    return [
        history(rule, seed=s, val=[loss] * epochs, status="diverged" if math.isnan(loss) else "finished")
        for rule, of_seeds in losses.items()
        for s, loss in enumerate(of_seeds)
    ]


def study(losses, guessing=2.0, **others):
    return SimpleNamespace(histories=runs(losses), guessing=guessing, **others)


def rows(found):
    return {row["optimizer"]: row for row in found.table.to_pylist()}


ONE = study({"a": [0.2, 0.25], "b": [0.4, 0.5], "c": [0.2, 1.0]})
TWO = study({"a": [1.0, 1.0], "b": [0.5, 0.5], "c": [1.5, 1.25]})


def test_ranks_geometric_means_and_lowest_shares_are_those_counted_by_hand():
    found = rows(js.over_problems({"one": ONE, "two": TWO}))
    # Seed by seed, one: a 1.5 and 1, b 3 and 2, c 1.5 and 3; two: b 1, a 2, c 3.
    assert [found[rule]["rank"] for rule in "abc"] == [(1.25 + 2) / 2, (2.5 + 1) / 2, (2.25 + 3) / 2]
    assert found["a"]["loss_ratio"] == 1
    assert found["a"]["loss_ratio_low"] is None
    assert found["b"]["loss_ratio"] == pytest.approx(math.sqrt(2 * 0.5))
    of_c = math.sqrt(math.sqrt(1 * 4) * math.sqrt(1.5 * 1.25))
    assert found["c"]["loss_ratio"] == pytest.approx(of_c)
    assert [found[rule]["lowest"] for rule in "abc"] == [0.5, 0.5, 0.25]  # the tie of a and c counts for both
    assert {row["seeds"] for row in found.values()} == {row["problems"] for row in found.values()} == {2}
    assert next(one for one in js.over_problems({"one": ONE}).standings if one.optimizer == "a").behind.value == 1
    of_a = rows(js.over_problems({"one": ONE, "two": TWO}, reference="c"))["a"]
    assert of_a["loss_ratio"] == pytest.approx(1 / of_c)


def test_profiles_are_those_counted_by_hand():
    of = js.over_problems({"one": ONE, "two": TWO}).profiles["loss"]
    assert [one.optimizer for one in of] == ["a", "b", "c"]
    a, b, c = of
    assert a.taus == [1, 2]
    assert [one.value for one in a.shares] == [0.5, 1]  # 1, 1; 2, 2
    assert b.taus == pytest.approx([1, 2])
    assert [b.at(tau).value for tau in (1, 1.99, 2, 9)] == [0.5, 0.5, 1, 1]
    assert c.taus == pytest.approx([1, 2.5, 3, 4])  # 1, 4; 3, 2.5
    assert [one.value for one in c.shares] == [0.25, 0.5, 0.75, 1]
    assert all(one.low <= one.value <= one.high for profile in of for one in profile.shares)


def test_costs_over_the_smallest_are_infinite_where_a_rule_fails_and_where_all_do():
    costs = np.array([[2.0, math.inf, math.inf], [4.0, 3.0, math.inf]])
    np.testing.assert_array_equal(ratios(costs), [[1, math.inf, math.inf], [2, 1, math.inf]])


def test_epochs_are_counted_to_nine_tenths_of_the_way_from_guessing_to_the_best():
    slow = history("slow", val=[1.8, 1.2, 0.6, 0.29, 0.1, 0.09, 0.1], status="finished")
    fast = history("fast", val=[1.0, 0.28, 0.1, 0.1, 0.1, 0.09, 0.1], status="finished")
    never = history("never", val=[1.9] * 7, status="finished")
    guess = history("guess", val=[2.5] * 7, status="finished")
    made = [slow, fast, never, guess]
    problem = told("p", {run.optimizer: [[run]] for run in made}, [run.optimizer for run in made], 2.0)
    assert problem.target == pytest.approx(0.1 + 0.1 * 1.9)  # 0.29
    assert problem.epochs[:2, 0] == pytest.approx([4, 1 + (1 - 0.29) / (1 - 0.28)])
    assert np.isinf(problem.epochs[2:]).all()
    assert problem.losses[3, 0] == 2.0
    assert problem.learns[:, 0].tolist() == [True, True, True, False]
    of = {one.optimizer: one for one in profiles([problem], ["slow", "fast", "never", "guess"])["epochs"]}
    assert [of["slow"].at(1).value, of["slow"].at(3).value, of["fast"].at(1).value] == [0, 1, 1]
    assert of["never"].shares[-1].value == of["guess"].shares[-1].value == 0
    assert np.isnan(of["fast"].shares[0].low)  # one seed


def test_a_run_that_diverged_counts_as_guessing_and_is_within_no_factor_of_the_best():
    lost = study({"a": [0.5, 0.5], "b": [0.25, math.nan]})
    found = rows(js.over_problems({"one": lost, "two": lost}))
    assert found["b"]["loss_ratio"] == pytest.approx(math.sqrt(0.5 * 4))
    assert (found["b"]["lowest"], found["b"]["reaches"]) == (0.5, 0.5)
    assert js.over_problems({"one": lost}).profiles["loss"][1].shares[-1].value == 0.5
    unknown = rows(js.over_problems({"one": lost.histories}))  # the highest loss told stands for guessing
    assert unknown["b"]["loss_ratio"] == pytest.approx(math.sqrt(0.5 * 1))


def test_a_rule_that_is_not_on_all_problems_is_last_and_changes_nothing():
    more = study({**{"d": [0.01, 0.01]}, "a": [1.0, 1.0], "b": [0.5, 0.5], "c": [1.5, 1.25]})
    found = js.over_problems({"one": ONE, "two": more})
    alone = js.over_problems({"one": ONE, "two": TWO})
    assert tables.to_csv(found.overall()).splitlines()[:4] == tables.to_csv(alone.overall()).splitlines()
    last = found.table.to_pylist()[-1]
    assert (last["optimizer"], last["verdict"], last["problems"]) == ("d", "not on one", 1)
    assert last["rank"] is last["loss_ratio"] is last["lowest"] is None
    assert "d" not in [row[1] for row in found.by_problem().rows]


def test_half_of_the_seeds_chooses_the_configuration_and_the_other_is_told():
    rng = np.random.default_rng(0)
    made = rng.uniform(0.2, 0.6, (2, 5, 3))
    rules = {
        rule: [
            [history(rule, seed=s, val=[loss], learning_rate=c + 1.0) for s, loss in enumerate(row)]
            for c, row in enumerate(of)
        ]
        for rule, of in zip("ab", made, strict=True)
    }
    problem = told("p", rules, ["a", "b"], 2.0)
    for at, rule in enumerate("ab"):
        expected = [unchosen_loss(run) for run in held_out(rules[rule])]
        np.testing.assert_array_equal(problem.losses[at], expected)
    assert (problem.losses.mean(1) > made.mean(2).min(1)).any()  # not of the same numbers that chose


def test_on_one_problem_of_one_configuration_the_interval_is_students():
    rng = np.random.default_rng(1)
    a, b = rng.uniform(0.2, 0.6, (2, 5)).astype(np.float32)
    found = rows(js.over_problems({"one": study({"a": a, "b": b})}))["b"]
    expected = np.exp(student_interval(dict(enumerate(np.log(b) - np.log(a)))))
    np.testing.assert_allclose([found["loss_ratio_low"], found["loss_ratio_high"]], expected, rtol=1e-5)
    two = js.over_problems({"one": study({"a": a, "b": b})}).standings
    p = stats.ttest_rel(np.log(a), np.log(b)).pvalue
    assert next(one.p for one in two if not math.isnan(one.p)) == pytest.approx(p, rel=1e-5)


def test_equal_rules_are_told_apart_in_at_most_a_twentieth_of_studies():
    """Four times the same rule, three configurations each, on two problems whose seeds lie differently far apart."""
    rng, studies = np.random.default_rng(3), 120
    names, wrong, behind = list("abcd"), 0, 0
    for _ in range(studies):
        found = [
            told("p", {rule: _equal(rule, rng.normal(0, sd, (3, 4))) for rule in names}, names, math.inf)
            for sd in (0.03, 0.1)
        ]
        order = standings(found, names, "a")
        b = next(one for one in order if one.optimizer == "b")
        wrong += not b.ratio.low <= 1 <= b.ratio.high
        behind += any(one.verdict == "behind" for one in order)
    most = studies * 0.05 + 2 * math.sqrt(studies * 0.05 * 0.95)
    assert wrong <= most
    assert behind <= most


def _equal(rule, logs):
    return [
        [history(rule, seed=s, val=[math.exp(log)], learning_rate=c + 1.0) for s, log in enumerate(row)]
        for c, row in enumerate(logs)
    ]


def test_a_rule_that_is_clearly_better_is_the_best_and_one_close_to_it_is_not_told_from_it():
    rng = np.random.default_rng(4)
    low, near, far = (np.exp(rng.normal(mean, 0.03, (2, 4))) for mean in (-1, -0.99, 0))
    of = [study({"far": far[at], "low": low[at], "near": near[at]}) for at in (0, 1)]
    found = js.over_problems({"one": of[0], "two": of[1]})
    assert sorted(found.best) == ["low", "near"]
    assert "the best is one of" in repr(found)
    assert rows(found)["far"]["verdict"] == "behind"
    many = js.over_problems({"one": study({name: np.exp(rng.normal(-1, 0.03, 4)) for name in "abcdef"})})
    assert f"the lowest losses are those of {many.best[0]}, and 5 of 5 others are not told from it" in many.verdict()
    alone = [study({"far": far[at], "low": low[at]}) for at in (0, 1)]
    best = js.over_problems({"one": alone[0], "two": alone[1]})
    assert best.best == ["low"]
    assert repr(best).startswith("<over 2 problems, 4 seeds each: the best is low; the losses of low are 0.3")


def test_one_seed_gives_numbers_without_intervals_or_verdict():
    found = js.over_problems({"one": study({"a": [0.5], "b": [0.25]})})
    row = rows(found)["b"]
    assert (row["loss_ratio"], row["rank"], row["verdict"]) == (0.5, 1, "")
    assert all(row[name] is None or math.isnan(row[name]) for name in ("loss_ratio_low", "rank_high"))
    assert "one seed tells no rule from another" in found.verdict()


def test_at_equal_time_a_dear_rule_counts_only_as_far_as_it_comes():
    made = [history(rule, val=[1.0, 0.8, 0.4, 0.2]) for rule in ("sgd", "dear")]
    costs = {"sgd": SimpleNamespace(seconds_over_sgd=1.0), "dear": SimpleNamespace(seconds_over_sgd=2.0)}
    of = SimpleNamespace(histories=made, guessing=2.0, costs=lambda: costs, settings=SimpleNamespace(max_epochs=4))
    assert rows(js.over_problems({"one": of}))["dear"]["loss_ratio"] == pytest.approx(1)
    assert rows(js.over_problems({"one": of}, equal_time=True))["dear"]["loss_ratio"] == pytest.approx(0.8 / 0.4)


def test_the_report_has_tables_figures_and_a_page_of_all_rules(tmp_path):
    found = js.over_problems({"one": ONE, "two": tidy((str(at), run) for at, run in enumerate(TWO.histories))})
    page = found.report(tmp_path, title="Two & more")
    assert page == tmp_path / "report.html"
    names = {"over_problems.csv", "by_problem.csv", "performance_profiles.csv"}
    assert {path.name for path in tmp_path.glob("*.csv")} == names
    text = page.read_text()
    assert "<title>Two &amp; more</title>" in text
    assert f"{labels.sentence(found.verdict())}." in text
    assert text.count("data:image/png;base64,") == 2
    for row in found.shown().rows:
        assert f'<th scope="row">{row[0]}</th>' in text
        assert html.escape(row[2], quote=True) in text
    with (tmp_path / "by_problem.csv").open(newline="") as file:
        table = list(csv.DictReader(file))
    assert [(row["problem"], row["optimizer"]) for row in table[:3]] == [("one", "a"), ("one", "b"), ("one", "c")]
    assert float(table[1]["over_lowest"]) == pytest.approx(0.45 / 0.225)
    assert table[1]["hyperparameters"] == "learning_rate 0.01"
    assert "<table>" in found._repr_html_()


@pytest.mark.parametrize(
    ("problems", "options", "message"),
    [
        ({}, {}, "problems={}: allowed is a dictionary with a study"),
        ({"one": study({"a": [1.0]}), "two": study({"b": [1.0]})}, {}, "0 of 2 rules on all problems"),
        ({"one": ONE}, {"reference": "sgd"}, "reference=sgd: allowed are rules on all problems: a, b, c"),
        ({"one": ONE.histories}, {"equal_time": True}, "allowed where all problems are studies, and one is none"),
        ({"one": 3}, {}, "problems=one, int: allowed are a study, its work directory"),
        ({"one": study({"a": [0.5, 0.5], "b": [-0.5, 0.5]})}, {}, "one, loss -0.5: allowed are problems whose losses"),
        ({"one": runs({"a": [0.5], "b": [0.5]}) * 2}, {}, "several runs of a .* with one seed"),
        ({"one": study({"a": [math.nan], "b": [math.nan]})}, {}, "one: allowed are problems on which a run has a loss"),
    ],
)
def test_what_cannot_be_compared_is_refused_in_a_line(problems, options, message):
    with pytest.raises(InputError, match=message):
        js.over_problems(problems, **options)


def test_rules_without_a_common_seed_are_refused():
    apart = [history("a", seed=0), dataclasses.replace(history("b", seed=1))]
    with pytest.raises(InputError, match="one: allowed are problems whose rules share a seed"):
        js.over_problems({"one": apart})


def test_runs_of_several_orders_of_the_data_are_refused():
    several = [
        dataclasses.replace(run, data_seed=order)
        for run in runs({"a": [0.2, 0.3], "b": [0.3, 0.4]})
        for order in (0, 1)
    ]
    with pytest.raises(InputError, match="one, runs of several data_seeds: allowed are the runs of one order"):
        js.over_problems({"one": several})


def test_a_problem_with_few_seeds_is_as_uncertain_as_its_own_seeds_leave_it():
    """First on all 2 seeds of one and 10 of another: as first on 2 of each, for both problems count the same."""
    shares = [Sample(np.ones(seeds)) for seeds in (2, 10)]
    low = 1 - stratified_mean(shares, step=1.0).half_width()
    assert low == pytest.approx(1 - (1 - 0.025 ** (1 / 4)))
    # A share of 0.158 of the one and all of the other give these seeds with a probability of 2.5%.
    assert low <= (math.sqrt(0.025) + 1) / 2
    assert stratified_mean(shares, step=1.0).seeds == 12
