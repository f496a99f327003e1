"""The kernels in C++ against the layers they stand for, and what happens where there is no compiler."""

import os
import shutil
import subprocess
import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from blocks import EPSILON, arrays, assert_close, both, reference
from hypothesis import given, settings
from hypothesis import strategies as st

from jaxopt_study.kernels import calls, chain, library
from jaxopt_study.kernels.calls import Form
from jaxopt_study.layers.batch_norm import inference_norm
from jaxopt_study.models.article_fast import fast
from jaxopt_study.training import diagnostics

needs_compiler = pytest.mark.skipif(
    not any(map(shutil.which, ("c++", "g++", "clang++"))), reason="there is no C++ compiler"
)


def test_where_there_is_a_compiler_there_are_kernels():
    assert library.available() == any(map(shutil.which, ("c++", "g++", "clang++")))


@needs_compiler
@pytest.mark.parametrize(
    "sides",
    [
        (3, 4, 8, 8, 18),
        (1, 4, 9, 7, 1),
        (8, 16, 4, 4, 33),
        (3, 4, 8, 8, 32),
        (1, 4, 9, 7, 16),
        (4, 6, 5, 8, 16),
        (8, 16, 4, 4, 32),
        (16, 32, 3, 2, 16),
        (5, 48, 2, 2, 48),
    ],
)
@pytest.mark.parametrize("first", [False, True])
def test_a_block_is_its_layers(sides, first):
    assert_close(*both(*sides, first=first))


@pytest.mark.slow
@needs_compiler
@settings(max_examples=6, deadline=None)
@given(
    sides=st.tuples(st.integers(1, 6), st.integers(1, 20), st.integers(2, 9), st.integers(2, 9)),
    batch=st.integers(1, 50),
    rate=st.sampled_from([0.0, 0.1, 0.6]),
    padded=st.booleans(),
    seed=st.integers(0, 2**32 - 1),
)
def test_any_block_is_its_layers(sides, batch, rate, padded, seed):
    assert_close(*both(*sides, batch, rate=rate, padded=padded, seed=seed % 1000, layer=seed % 7))


@needs_compiler
def test_the_border_of_a_result_is_zero_and_of_a_gradient_too():
    form = Form(EPSILON, 0, 0.5, True, False)
    x, parameters, _ = arrays(3, 5, 7, 6, 16, False)
    words = jnp.zeros(2, jnp.uint32)
    y, back = jax.vjp(lambda x: calls.block(form, x, parameters, words)[0], calls.pad(x))
    gradient = back(jnp.ones_like(y))[0]
    for image in (y, gradient):
        assert float(jnp.abs(image).sum()) > 0
        inner = image[:, 1:-1, 1:-1]
        assert float(jnp.abs(image).sum()) == pytest.approx(float(jnp.abs(inner).sum()), rel=1e-6)


@needs_compiler
def test_evaluation_is_by_running_statistics_and_drops_nothing():
    form = Form(EPSILON, 0, 0.6, False, False)
    x, parameters, _ = arrays(4, 8, 6, 6, 32, False)
    mean, variance = jnp.linspace(0.1, 0.8, 8), jnp.linspace(0.5, 2.0, 8)
    ours = chain.evaluate((form,), calls.pad(x), [parameters], [(mean, variance)])
    active = reference(form, x, parameters, jnp.zeros(2, jnp.uint32))[3]
    assert_close(ours, inference_norm(active, parameters.scale, parameters.offset, mean, variance, EPSILON))


@needs_compiler
@pytest.mark.parametrize("place", [(0, 1, 1, 3), (1, 4, 4, 15)])
@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_what_is_not_finite_is_not_lost(place, bad):
    """Pooling, ReLU and the statistics carry it on, so that a run that diverges is seen to."""
    x, parameters, _ = arrays(2, 4, 6, 6, 16, False)
    x = x.at[place].set(bad)
    form = Form(EPSILON, 0, 0.2, False, False)
    y, mean, _ = calls.block(form, calls.pad(x), parameters, jnp.zeros(2, jnp.uint32))
    assert not bool(jnp.isfinite(mean).all())
    assert bool(jnp.isnan(y).any())


@needs_compiler
def test_runs_of_a_vmap_are_each_their_own():
    form = Form(EPSILON, 1, 0.3, True, False)
    x, parameters, _ = arrays(3, 4, 6, 6, 16, False)
    many = jax.tree.map(lambda p: jnp.stack([p, 2 * p, -p]), parameters)
    words = jnp.array([[1, 2], [3, 4], [1, 2]], jnp.uint32)

    def run(parameters, words):
        return calls.block(form, calls.pad(x), parameters, words)[0]

    together = jax.jit(jax.vmap(run))(many, words)
    for i in range(3):
        alone = jax.jit(run)(jax.tree.map(lambda p, i=i: p[i], many), words[i])
        np.testing.assert_array_equal(together[i], alone)


@needs_compiler
@pytest.mark.parametrize(
    "shapes", [((200, 100), (7,), (130, 130), (3, 3, 2, 5)), ((256, 64), (128, 128)), ((1,), (33,), ())]
)
def test_measures_are_those_of_xla(shapes, monkeypatch):
    """Arrays large and small, all large, all small; updates of zero have no sign; twice, so that signs are used."""
    rng = np.random.default_rng(0)

    def draw():
        moves = [rng.normal(size=shape) * rng.integers(0, 2, shape) for shape in shapes]
        return {str(i): jnp.asarray(x, jnp.float32) for i, x in enumerate(moves)}

    steps = [(draw(), draw(), draw()) for _ in range(3)]

    def through():
        signs, rows = diagnostics.no_signs(steps[0][2]), []
        for step in steps:
            params, row, signs = jax.jit(lambda *trees: diagnostics.apply(*trees))(*step, signs)
            rows.append((row, params))
        return rows, signs

    ours = through()
    assert calls.fits_update(list(steps[0][0].values()))
    monkeypatch.setattr(library, "available", lambda: False)
    jax.clear_caches()
    theirs = through()
    assert sum(float(row["oscillation"]) for row, _ in theirs[0]) > 0
    for (row, params), (other_row, other_params) in zip(ours[0], theirs[0], strict=True):
        assert row["oscillation"] == other_row["oscillation"]
        jax.tree.map(np.testing.assert_array_equal, params, other_params)
    for one, other in zip(jax.tree.leaves(ours), jax.tree.leaves(theirs), strict=True):
        assert one.dtype == other.dtype
        np.testing.assert_allclose(one, other, rtol=1e-5)


@pytest.mark.parametrize(("batch", "dtype"), [(5, jnp.float32), (32, jnp.bfloat16)])
def test_what_the_kernels_do_not_take_goes_another_way(batch, dtype):
    assert not calls.fits_block(batch, dtype)
    network = fast((8, 8, 1), batch, native=True, dtype=dtype)
    prepared = jax.eval_shape(lambda x: network.prepare(x, True), jnp.zeros((batch, 8, 8, 1), jnp.uint8))
    assert prepared.columns.ndim == 2


def process(code, said="", **environment):
    done = subprocess.run(
        [sys.executable, "-c", code], env={**os.environ, **environment}, capture_output=True, text=True, check=True
    )
    assert said in done.stderr
    assert len(done.stderr.splitlines()) == bool(said)
    return done.stdout.split()


ASK = """
import jax
from jaxopt_study.kernels import library
from jaxopt_study.models.build import article_model
network = article_model().build((8, 8, 1), 1, 16)
images = jax.ShapeDtypeStruct((16, 8, 8, 1), "uint8")
prepared = jax.eval_shape(lambda x: network.prepare(x, True), images)
print(library.lanes(), "native" if prepared.columns.ndim == 4 else "xla")
"""


@pytest.mark.parametrize(("compiler", "said"), [("", ""), ("no-such-compiler", "no-such-compiler"), ("false", "false")])
def test_without_a_working_compiler_xla_does_the_work(compiler, said, tmp_path):
    found = process(ASK, said, CXX=compiler, XDG_CACHE_HOME=str(tmp_path))
    assert found == ["0", "xla"]
    assert not list(tmp_path.rglob("*.so*"))


@pytest.mark.slow
@needs_compiler
def test_a_compiler_that_spells_the_processor_otherwise(tmp_path):
    compiler = tmp_path / "clang-for-arm"
    words = 'case "$*" in *-march=native*) exit 1;; esac; exec c++ $(echo "$@" | sed s/-mcpu=native/-march=native/)'
    compiler.write_text(f"#!/bin/sh\n{words}\n")
    compiler.chmod(0o700)
    assert process(ASK, CXX=str(compiler), XDG_CACHE_HOME=str(tmp_path))[1] == "native"


@needs_compiler
def test_kernels_are_compiled_once_and_kept_for_their_owner(tmp_path):
    assert process(ASK, XDG_CACHE_HOME=str(tmp_path))[1] == "native"
    (kept,) = tmp_path.rglob("*.so")
    assert kept.parent == tmp_path / "jaxopt_study" / "native"
    assert kept.parent.stat().st_mode & 0o777 == 0o700
    before = kept.stat().st_mtime_ns
    assert process(ASK, XDG_CACHE_HOME=str(tmp_path))[1] == "native"
    assert kept.stat().st_mtime_ns == before


@needs_compiler
def test_a_cache_that_cannot_be_written_is_done_without(tmp_path):
    (tmp_path / "jaxopt_study").write_text("a file where the folder would be")
    assert process(ASK, XDG_CACHE_HOME=str(tmp_path))[1] == "native"


def test_accelerators_have_no_use_for_them(monkeypatch):
    monkeypatch.setattr(jax, "default_backend", lambda: "gpu")
    network = fast((8, 8, 1), 16)
    prepared = jax.eval_shape(lambda x: network.prepare(x, True), jnp.zeros((16, 8, 8, 1), jnp.uint8))
    assert prepared.columns.ndim == 2
