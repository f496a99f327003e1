"""What a step of a rule costs: measured once a rule alone, and loss at equal time from it."""

import itertools
import json
import math

import jax.numpy as jnp
import numpy as np
import pytest
import small
from plot_runs import run as made_run

import jaxopt_study as js
from experiments.article import tables as article_tables
from experiments.article.find import ArticleRuns
from jaxopt_study.analysis.equal_time import at_equal_time
from jaxopt_study.analysis.minima import Monitor
from jaxopt_study.engine import costs, stats
from jaxopt_study.grids.run import make_run
from jaxopt_study.report import tables

PART = {
    "seconds": 1.0, "compile_seconds": 0.5, "training_seconds": 0.5, "examples": 10, "epochs_trained": 1,
    "epochs_computed": 1, "runs": 1, "slots": 1, "devices": 1, "peak_memory_bytes": 0,
}  # fmt: skip


@pytest.fixture(scope="module")
def measured(tmp_path_factory):
    folder = tmp_path_factory.mktemp("costs")
    stats.add_part(folder / "stats.json", PART)
    study = small.study(folder, [make_run(name, {}, 0) for name in ("adam", "soap")], epochs=2)
    return folder, study, costs.known_costs(study)


def test_a_rule_s_memory_is_counted_to_the_byte(measured):
    found = measured[2]
    weights = 16 * 8 + 8 + 8 * 1 + 1 + 8 + 8  # two dense layers and a batch norm's scale and bias
    averages, count = 2 * 8, 1
    sgd = 4 * (weights + averages + count)
    assert found["adam"].state_bytes == sgd + 2 * 4 * weights
    assert found["adam"].bytes_over_sgd == pytest.approx(found["adam"].state_bytes / sgd)
    sides = 2 * (16**2 + 8**2 + 8**2 + 1)  # moments and bases of both matrices
    assert found["soap"].state_bytes == sgd + 2 * 4 * weights + 4 * sides


def test_seconds_are_measured_and_kept_in_stats_json(measured, monkeypatch):
    folder, study, found = measured
    assert all(cost.step_seconds > 0 and math.isfinite(cost.seconds_over_sgd) for cost in found.values())
    assert found["soap"].step_bytes > found["adam"].step_bytes > 0
    kept = json.loads((folder / "stats.json").read_text())["costs"]
    assert kept.keys() == {"sgd", "adam", "soap"}
    assert kept["sgd"]["seconds_over_sgd"] == kept["sgd"]["bytes_over_sgd"] == 1
    monkeypatch.setattr(costs, "costs", lambda study: pytest.fail("they were measured before"))
    assert costs.known_costs(study) == found


def test_labels_of_several_arrays_are_examples_too(tmp_path, monkeypatch):
    monkeypatch.setattr(costs, "LEAST", 0.0)
    rng = np.random.default_rng(0)
    inputs = {"x": rng.normal(size=(40, 3)).astype(np.float32)}
    labels = {"height": rng.normal(size=40).astype(np.float32), "depth": rng.normal(size=40).astype(np.float32)}
    data = js.arrays(inputs, labels, val_share=0.2)
    model = js.functions(lambda key, x: jnp.zeros(3), lambda w, x: x["x"] @ w)
    study = js.make_study(
        model=model, data=data, grid=js.make_grid("sgd"), workdir=tmp_path, batch_size=8, max_epochs=1, devices=1,
        loss=lambda outputs, labels: (outputs - labels["height"]) ** 2 + (outputs - labels["depth"]) ** 2,
    )  # fmt: skip
    assert study.costs()["sgd"].step_seconds > 0
    study.run()
    assert study.best("sgd", equal_time=True).hyperparameters["learning_rate"] == 0.01


def test_a_short_call_is_timed_over_many_and_a_long_one_alone(monkeypatch):
    now = [0.0]
    monkeypatch.setattr(costs.time, "process_time", lambda: now[0] // 0.01 * 0.01)  # a clock that goes by hundredths

    def call(seconds):
        now[0] += seconds
        called.append(seconds)

    called = []
    short = costs.timer(lambda: call(0.0004))
    assert short() == pytest.approx(0.0004, rel=0.1)
    long = costs.timer(lambda: call(0.5))
    called.clear()
    assert long() == pytest.approx(0.5, rel=0.05)
    assert called == [0.5]


def test_more_training_keeps_the_costs(measured):
    folder, _, _ = measured
    stats.add_part(folder / "stats.json", PART)
    written = json.loads((folder / "stats.json").read_text())
    assert written["costs"].keys() == {"sgd", "adam", "soap"}
    assert written["seconds"] == 2.0


def test_the_median_of_several_turns_counts_and_all_take_every_turn():
    order = []

    def timer(name, seconds):
        values = iter(seconds)
        return lambda: (order.append(name), next(values))[1]

    timers = {"a": timer("a", [3.0, 1.0, 2.0]), "b": timer("b", [0.5, 9.0, 9.0])}
    assert costs.medians(timers, 3) == {"a": 2.0, "b": 9.0}
    assert order == ["a", "b"] * 3


def test_at_equal_time_a_rule_that_costs_twice_as_much_has_half_of_the_epochs():
    falling = made_run("adam", epochs=9, learning_rate=0.1)
    plain = made_run("sgd", epochs=9, learning_rate=0.1)
    cut, whole = at_equal_time([falling, plain], {"adam": 2.0, "sgd": 1.0}, 9)
    assert (cut.epochs, whole) == (4, plain)
    np.testing.assert_array_equal(cut.curves["val_loss"], falling.curves["val_loss"][:4])
    late = made_run("adam", epochs=9, diverged=6, learning_rate=0.1)
    early = made_run("adam", epochs=9, diverged=3, learning_rate=0.1)
    late_cut, early_cut = at_equal_time([late, early], {"adam": 2.0}, 9)
    assert (late_cut.status, late_cut.diverged_epoch) == ("finished", None)
    assert early_cut is early
    assert at_equal_time([falling], {"adam": 1000.0}, 9)[0].epochs == 1


def test_the_table_of_best_runs_has_the_cost_and_the_loss_at_equal_time():
    rules, seeds = ("sgd", "adam"), (0, 1)
    runs = [made_run(r, seed=s, epochs=6, learning_rate=0.1) for r, s in itertools.product(rules, seeds)]
    best = tables.best_configurations(runs)
    assert tables.with_costs(best, runs, {}, 6) is best
    sgd, adam = tables.with_costs(best, runs, {"sgd": 1.0, "adam": 3.0}, 6).records()
    assert (sgd["cost"], adam["cost"]) == (1.0, 3.0)
    assert sgd["equal_time_val_loss"] == sgd["val_loss"]
    assert adam["equal_time_val_loss"] > adam["val_loss"]  # of the first two epochs


def test_costs_stand_beside_rules_that_the_table_calls_otherwise_and_go_by_what_is_monitored():
    runs = [made_run(rule, seed=s, epochs=6, learning_rate=0.1) for rule in ("sgd", "adam") for s in (0, 1)]
    named = article_tables.best_runs(ArticleRuns(runs))
    names = article_tables.reference([], ()).rules
    rows = {row["optimizer"]: row for row in tables.with_costs(named, runs, {"adam": 3.0}, 6, names=names).records()}
    plain = tables.with_costs(tables.best_configurations(runs), runs, {"adam": 3.0}, 6).records()
    assert rows["Adam"]["cost"] == 3.0
    assert rows["Adam"]["equal_time_val_loss"] == plain[1]["equal_time_val_loss"]
    assert rows["SGD"]["cost"] is None
    low, right = (made_run("adam", epochs=2, learning_rate=rate) for rate in (0.1, 0.2))
    for run, losses, shares in ((low, [0.2, 0.1], [0.1, 0.1]), (right, [0.6, 0.5], [0.8, 0.9])):
        run.curves.update(val_loss=np.array(losses), f1=np.array(shares))
    monitor = Monitor("f1", "max")
    best = tables.best_configurations([low, right], monitor=monitor)
    (row,) = tables.with_costs(best, [low, right], {"adam": 1.0}, 2, monitor).records()
    assert row["equal_time_val_loss"] == row["val_loss"]
    assert row["hyperparameters"] == "learning_rate 0.2"
