"""All rules in one program: a run's results are those of its rule's own program, and one program is compiled."""

import functools
import itertools
import json
from pathlib import Path

import jax
import numpy as np
import optax
import pytest
import small
from compared import assert_identical

import jaxopt_study as js
from jaxopt_study.engine import sweep
from jaxopt_study.engine.groups import rule_of
from jaxopt_study.engine.watcher import Interrupted, Watcher
from jaxopt_study.grids.run import make_run, signature

# With a small eps RMSprop and Adam make full steps of gradients that are rounding alone.
RUNS = [
    make_run(name, numbers, seed)
    for name, numbers in [
        ("sgd", {"learning_rate": 0.03}),
        ("momentum", {"learning_rate": 0.03, "momentum": 0.9}),
        ("momentum_ema", {"learning_rate": 0.03}),
        ("nesterov", {"learning_rate": 0.01, "weight_decay": 0.01, "max_norm": 0.5}),
        ("rmsprop", {"learning_rate": 0.003, "eps": 1e-3}),
        ("adam", {"learning_rate": 0.003, "eps": 1e-3}),
        ("adagrad", {"learning_rate": 0.03}),
        ("cyclical", {"base_learning_rate": 0.01, "max_learning_rate": 0.1, "step_size": 2.0}),
    ]
    for seed in range(2)
]


def by_rule(histories):
    return {(h.optimizer, h.seed): h for h in histories}


@pytest.fixture(scope="module")
def mixed(tmp_path_factory):
    """By strategy all of them in one program: its histories, and how many epochs were compiled."""

    @functools.cache
    def trained(strategy):
        sweep._EXECUTABLES.clear()
        folder = tmp_path_factory.mktemp("mixed")
        histories = by_rule(small.study(folder, RUNS, strategy=strategy, devices=1, slots=4).train())
        compiled = sum(call == "epoch" for call, *_ in sweep._EXECUTABLES)
        assert json.loads((folder / "stats.json").read_text())["compilations"] == compiled
        return histories, compiled

    return trained


@pytest.mark.parametrize("strategy", ["map", pytest.param("vmap", marks=pytest.mark.slow)])
def test_the_epoch_is_compiled_once_for_all_rules(mixed, strategy):
    histories, compiled = mixed(strategy)
    assert len(histories) == len(RUNS)
    assert compiled == 1


NAMES = tuple(dict.fromkeys(run.optimizer for run in RUNS))
QUICK = {("map", "nesterov"), ("map", "adam"), ("vmap", "adam")}
EACH = [
    pytest.param(*each, marks=[] if each in QUICK else pytest.mark.slow)
    for each in itertools.product(("map", "vmap"), NAMES)
]


@pytest.mark.parametrize(("strategy", "name"), EACH)
def test_results_are_those_of_a_rules_own_program(name, strategy, mixed, tmp_path):
    """Bit for bit where runs take turns, to rounding where they are batched."""
    runs = [run for run in RUNS if run.optimizer == name]
    own = small.study(tmp_path, runs, strategy=strategy, devices=1, slots=4)
    together, _ = mixed(strategy)
    for key, history in by_rule(own.train()).items():
        if strategy == "map":
            assert_identical(history, together[key])
            continue
        for curve in ("train_loss", "val_loss"):  # the sign of an update may be rounding's
            np.testing.assert_allclose(history.curves[curve], together[key].curves[curve], rtol=5e-4)


def test_the_memory_of_a_run_is_that_of_the_largest_state():
    study = small.study(Path("unused"), RUNS)
    program = study.program(study.groups[0], "map")
    params = {"w": np.zeros((5, 3), np.float32), "b": np.zeros(3, np.float32)}
    memory, layouts = program.rules.layouts(params)
    assert sorted((x.shape, str(x.dtype)) for x in memory) == sorted(
        [((), "int32"), *[((3,), "float32")] * 2, *[((5, 3), "float32")] * 2]
    )
    assert max(len(layout.places) for layout in layouts) == len(memory)


def test_where_runs_are_batched_costly_rules_have_programs_of_their_own():
    """More than arithmetic on each number, or more than two moments, would be computed for every run."""
    runs = [*RUNS, make_run("soap", {}, 0), make_run("adan", {}, 0)]
    light = list(dict.fromkeys(run.optimizer for run in RUNS))
    for strategy, rules in (("map", [[*light, "soap", "adan"]]), ("vmap", [light, ["soap"], ["adan"]])):
        study = small.study(Path("unused"), runs, strategy=strategy)
        programs = [study.program(group, strategy) for group in study.groups]
        assert [[rule.name for rule in program.rules.each] for program in programs] == rules
    assert sum(map(len, study.by_group(runs).values())) == len(runs)


def test_a_rule_of_matrix_products_or_of_more_losses_is_not_light():
    params = {"hidden": np.zeros((4, 4), np.float32), "last": np.zeros((4, 2), np.float32)}

    def searching(learning_rate):
        return optax.chain(optax.sgd(learning_rate), optax.scale_by_backtracking_linesearch(5))

    def rotated(learning_rate):
        def update(grads, state, params=None):
            return jax.tree.map(lambda g: -learning_rate * ((g @ g.T) @ g if g.ndim == 2 else g), grads), state

        return optax.GradientTransformation(lambda params: (), update)

    for factory, light in ((optax.adam, True), (optax.lion, True), (searching, False), (rotated, False)):
        run = make_run(js.rule(factory).name, {"learning_rate": 0.1}, 0)
        assert rule_of(signature(run), 1).is_light(params) == light, factory


def test_a_state_with_an_array_of_no_elements_trains_on_several_devices_and_goes_on_after_an_interrupt(tmp_path):
    def with_nothing(learning_rate):
        sgd = optax.sgd(learning_rate)

        def init(params):
            return {
                "nothing": jax.tree.map(lambda w: np.zeros((0, w.ndim), np.float32), params),
                "sgd": sgd.init(params),
            }

        def update(grads, state, params=None):
            assert all(x.shape[0] == 0 for x in jax.tree.leaves(state["nothing"]))
            updates, inner = sgd.update(grads, state["sgd"], params)
            return updates, {**state, "sgd": inner}

        return optax.GradientTransformation(init, update)

    rule = js.rule(with_nothing, name="with_nothing").name
    rates = (0.1, 0.03)
    plain = small.study(tmp_path / "sgd", [make_run("sgd", {"learning_rate": rate}, 0) for rate in rates], devices=2)
    study = small.study(tmp_path / "own", [make_run(rule, {"learning_rate": rate}, 0) for rate in rates], devices=2)
    asked = iter([False, False, True])
    with pytest.raises(Interrupted):
        study.train(Watcher(interrupted=lambda: next(asked)))
    resumed: list[dict] = []
    found = study.train(Watcher(resumed=resumed.append))
    assert list(resumed[0].values()) == [2, 2]
    for one, other in zip(found, plain.train(), strict=True):
        for name, curve in one.curves.items():
            np.testing.assert_array_equal(curve, other.curves[name], err_msg=name)
