"""Budget and patience of a run: axes of a grid, beside each other in one program, and schedules that end with them."""

import numpy as np
import optax
import pytest
import small

import jaxopt_study as js
from jaxopt_study.engine.halving import Halving
from jaxopt_study.errors import InputError
from jaxopt_study.grids import file as grid_file
from jaxopt_study.grids.grid import runs_of
from jaxopt_study.grids.run import make_run, of_study, product, signature
from jaxopt_study.history import CURVES
from jaxopt_study.optimizers import registry

RATES = {"learning_rate": (0.03, 0.3)}
LINEAR = {"end_value": 0.0, "transition_steps": 1.0}


def falling():
    """SGD with a rate that falls to 0 over the run."""
    return js.scheduled(optax.sgd, optax.linear_schedule, "falling", static=LINEAR, in_runs=["transition_steps"])


@pytest.fixture(autouse=True)
def known():
    """The rule is in the registry, which each test leaves as it was."""
    falling()


def grid():
    plain = product("momentum", {**RATES, "max_epochs": (2.0, 5.0)}, 1)
    patient = product("sgd", {"learning_rate": (1.0,), "patience": (1.0,), "max_epochs": (40.0,)}, 1)
    return [*plain, *patient, *product(falling().name, {"init_value": (0.3,), "max_epochs": (2.0, 5.0)}, 1)]


@pytest.fixture(scope="module")
def mixed(tmp_path_factory):
    falling()
    study = small.study(tmp_path_factory.mktemp("budgets"), grid(), epochs=3, slots=3)
    return study, dict(zip(study.runs, study.train(), strict=True))


def test_each_run_trains_to_its_own_budget_in_one_program(mixed):
    study, histories = mixed
    assert len({study.program(group, "map") for group in study.groups}) == 1
    for run, history in histories.items():
        if of_study(run, "patience") is None:
            assert (history.epochs, history.status) == (of_study(run, "max_epochs"), "finished")
        else:
            losses = history.curves["val_loss"]
            assert (history.epochs, history.status) == (losses.argmin() + 2, "stopped")
            assert history.epochs < 40


def test_it_is_the_run_of_a_study_that_says_it_of_all_and_no_other_fingerprint_changes(mixed, tmp_path):
    study, histories = mixed
    for budget in (2, 5):
        plain, other = product("momentum", RATES, 1), product("sgd", {"learning_rate": (0.1,)}, 1)
        runs = [*plain, *other, *product(falling().name, {"init_value": (0.3,)}, 1)]  # the rules of one program
        whole = small.study(tmp_path / str(budget), runs, epochs=budget, slots=3)
        mine = [run for run in study.runs if of_study(run, "max_epochs") == budget]
        same = [run for run in whole.runs if run not in other]
        assert [study.fingerprints[run] for run in mine] == [whole.fingerprints[run] for run in same]
        whole.train()
        for run, twin in zip(mine, same, strict=True):
            for name in CURVES:
                np.testing.assert_array_equal(histories[run].curves[name], whole.finished[twin].curves[name])
    three = small.study(tmp_path, product("momentum", {**RATES, "max_epochs": (3.0,)}, 1), epochs=3)
    plain = small.study(tmp_path, product("momentum", RATES, 1), epochs=3)
    assert list(three.fingerprints.values()) == list(plain.fingerprints.values())


def test_a_budget_stands_in_the_store_and_in_its_tables(mixed):
    study, _ = mixed
    table = js.load_runs(study.folder)
    assert set(table["max_epochs"].to_pylist()) == {2.0, 5.0, 40.0}
    assert set(table["patience"].to_pylist()) == {1.0, None}


@pytest.mark.parametrize("epochs", [2, 5])
def test_a_schedule_over_the_run_ends_where_its_budget_does(epochs):
    rule, steps = registry.build(falling(), {"init_value": 0.5, "max_epochs": float(epochs)}, 7), 7 * epochs
    weights = np.zeros(1, np.float32)
    state, rates = rule.init(weights), []
    for _ in range(steps + 1):
        updates, state = rule.update(np.ones(1, np.float32), state, weights)
        rates.append(-float(updates[0]))
    np.testing.assert_allclose(rates, 0.5 * (1 - np.arange(steps + 1) / steps), atol=1e-6)


def test_optax_schedules_that_branch_on_their_length_end_with_the_run_too():
    numbers = {"init_value": 0.0, "warmup_steps": 0.25, "decay_steps": 1.0}
    schedule = optax.warmup_cosine_decay_schedule
    rule = js.scheduled(optax.sgd, schedule, static=numbers, in_runs=["warmup_steps", "decay_steps"], peak="peak_value")
    built = registry.build(rule, {"learning_rate": 2.0, "max_epochs": 3.0}, 40)
    weights, want = np.zeros(1, np.float32), schedule(0.0, 2.0, 30, 120)
    state = built.init(weights)
    for step in range(120):
        updates, state = built.update(np.ones(1, np.float32), state, weights)
        assert -float(updates[0]) == pytest.approx(float(want(step)), abs=1e-5)


def test_a_number_of_the_rule_of_that_name_stays_the_rules():
    def impatient(learning_rate, patience=3.0):
        return optax.chain(optax.scale(patience), optax.sgd(learning_rate))

    run = make_run(js.rule(impatient).name, {"learning_rate": 0.1, "patience": 7}, 0)
    assert of_study(run, "patience") is None
    assert signature(run).names == ("learning_rate", "patience")
    assert signature(make_run("sgd", {"patience": 7, "max_epochs": 3}, 0)).names == ("learning_rate",)


def test_they_are_axes_in_python_and_in_files(tmp_path):
    listed = js.make_grid("adam", learning_rate=[0.001, 0.01], max_epochs=[10, 100])
    (tmp_path / "grid.toml").write_text(
        '[[grid]]\noptimizer = "adam"\naxes.learning_rate = [0.001, 0.01]\naxes.max_epochs = [10, 100]\n'
    )
    assert runs_of(listed, 2, [32]) == grid_file.read(tmp_path / "grid.toml", 2)
    assert {of_study(run, "max_epochs") for run in runs_of(listed, 1, [32])} == {10, 100}


@pytest.mark.parametrize("value", [0, -1, 1.5, 2**24 + 2, float("inf"), float("nan"), "many"])
def test_what_is_no_budget_is_refused_in_a_line(value):
    for name in ("max_epochs", "patience"):
        with pytest.raises(InputError, match=f"^{name}=.*allowed") as refused:
            js.make_grid("sgd", **{name: [value]})
        assert "\n" not in str(refused.value)


def test_halving_is_refused_with_budgets_of_their_own(tmp_path):
    with pytest.raises(InputError, match="halving=3: not allowed where runs have max_epochs of their own"):
        small.study(tmp_path, grid(), settings={"halving": 3})
    with pytest.raises(InputError, match=r"in_runs=.*not allowed with in_epochs"):
        js.scheduled(optax.sgd, optax.linear_schedule, in_epochs=["transition_steps"], in_runs=["transition_steps"])


def test_without_halving_a_run_trains_to_its_budget_or_the_studys():
    plain, own = make_run("sgd", {}, 0), make_run("sgd", {"max_epochs": 4}, 0)
    halving = Halving(9, None, {signature(plain): 2})
    assert [halving.until(run) for run in (plain, own)] == [9, 4]
