"""No program for a CPU decomposes a batch of matrices: such calls may wait for each other for ever."""

import os
import subprocess
import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import small
from flax import linen as nn
from threadpoolctl import threadpool_info, threadpool_limits

import jaxopt_study as js
from jaxopt_study.engine import devices
from jaxopt_study.engine.decompositions import DECOMPOSITIONS, has_decompositions
from jaxopt_study.engine.watcher import Watcher
from jaxopt_study.training.step import STRATEGIES


class Solving(nn.Module):
    """Begins with orthogonal matrices, and solves linear equations."""

    @nn.compact
    def __call__(self, x):
        matrix = self.param("matrix", nn.initializers.orthogonal(), (3, 3))
        solved = jnp.linalg.solve(matrix + 4 * jnp.eye(3), x.reshape(len(x), -1)[:, :3].T)
        return nn.Dense(1, kernel_init=nn.initializers.orthogonal())(solved.T)


def decomposed(jaxpr):
    """The shapes of all arguments of decompositions, in loops and branches too."""
    for equation in jaxpr.eqns:
        if equation.primitive.name in DECOMPOSITIONS:
            yield from (x.aval.shape for x in equation.invars)
        for value in jax.tree.leaves(equation.params, is_leaf=lambda x: hasattr(x, "eqns")):
            if hasattr(value, "eqns"):
                yield from decomposed(value)


def sweep_of(tmp_path, model, rule):
    study = js.make_study(
        model=model, data=small.dataset(), grid=js.make_grid(rule, learning_rate=[0.01, 0.1]), workdir=tmp_path,
        max_epochs=2, batch_size=16, slots=4, devices=1, strategy="vmap",
    )  # fmt: skip
    [group] = study.groups
    return study, study.sweep(group, study.batches(16))


@pytest.mark.parametrize(
    ("model", "rule"), [(small.SmallNet, "soap"), pytest.param(Solving, "adam", marks=pytest.mark.slow)]
)
def test_runs_with_decompositions_take_turns_however_they_are_asked_to_train(model, rule, tmp_path):
    study, sweep = sweep_of(tmp_path, model(), rule)
    states, numbers, limits, batches = sweep.arguments(4)
    seeds = jax.ShapeDtypeStruct((4,), jnp.uint32)
    traced = [
        sweep.calls.epoch.trace(states, numbers, limits, batches),
        sweep.calls.fill.trace(states, numbers, seeds, seeds.update(dtype=bool)),
    ]
    shapes = [shape for each in traced for shape in decomposed(each.jaxpr.jaxpr)]
    assert shapes
    assert max(map(len, shapes)) == 2
    study.run()
    assert all(np.isfinite(history.curves["train_loss"]).all() for history in study.histories)


def test_other_runs_are_batched_as_they_are_asked_to(tmp_path):
    _, sweep = sweep_of(tmp_path, small.SmallNet(), "adam")
    assert sweep.program.strategy == STRATEGIES["vmap"]


def blas_threads():
    """Of SciPy's, which is there once a decomposition was compiled."""
    return {library["num_threads"] for library in threadpool_info() if "scipy" in library["filepath"]}


def test_what_decomposes_has_no_more_cores_than_its_device_has(tmp_path, monkeypatch):
    """Threads of OpenBLAS that wait for each other take the time of other devices' runs."""
    monkeypatch.setattr(devices, "cpu_cores", lambda: 4)
    jax.jit(jnp.linalg.qr).lower(jnp.eye(3))
    with threadpool_limits(3, user_api="blas"):
        for count, threads in ((1, 4), (4, 1)):
            seen = []
            study = js.make_study(
                model=small.SmallNet(), data=small.dataset(), grid=js.make_grid("soap"), max_epochs=1,
                workdir=tmp_path / str(count), devices=count,
            )  # fmt: skip
            study.train(Watcher(epoch=lambda *_, seen=seen: seen.append(blas_threads())))
            assert seen == [{threads}]
            assert blas_threads() == {3}


def test_a_study_that_decomposes_nothing_does_not_load_what_does(tmp_path):
    """It takes an eighth of a second; in a process of its own, and without the disk's compiled programs."""
    code = """if True:
        import sys, small, jaxopt_study as js
        how = {"model": small.SmallNet(), "data": small.dataset(), "max_epochs": 1, "workdir": sys.argv[1]}
        for rule in ("sgd", "soap"):
            js.make_study(grid=js.make_grid(rule), **how).run()
            print("scipy.linalg" in sys.modules)
    """
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    line = [sys.executable, "-c", code, str(tmp_path)]
    ran = subprocess.run(line, env=environment, capture_output=True, text=True, check=True, timeout=300)
    assert [word for word in ran.stdout.split() if word in ("True", "False")] == ["False", "True"]


def test_a_decomposition_is_found_in_a_branch_of_a_loop():
    def looked_for(x):
        return jax.lax.fori_loop(0, 3, lambda i, x: jax.lax.cond(i > 1, lambda: jnp.linalg.qr(x)[0], lambda: x), x)

    assert has_decompositions(looked_for, jnp.eye(3))
    assert not has_decompositions(lambda x: x @ x, jnp.eye(3))
