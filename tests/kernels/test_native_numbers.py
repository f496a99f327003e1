"""The kernels in C++, and the layers and measures they stand for, against sums in float64; what NaN and Inf reach."""

import functools

import emulated
import jax
import jax.numpy as jnp
import numpy as np
import pytest
import small
from flax import linen as nn

from jaxopt_study.kernels import calls, library
from jaxopt_study.kernels.calls import Form, Parameters
from jaxopt_study.layers.batch_norm import batch_norm, per_channel
from jaxopt_study.layers.conv_pool import conv_pool, shared_columns, shared_conv_pool
from jaxopt_study.layers.dropout import dropout
from jaxopt_study.layers.pooling import relu
from jaxopt_study.training import diagnostics

EPSILON = 1e-3
WORDS = jnp.array([1, 77], jnp.uint32)
needs_kernels = pytest.mark.skipif(not library.available(), reason="there is no C++ compiler")
needs_emulation = pytest.mark.skipif(not emulated.available(), reason="there is no C++ compiler")


def native(form, x, parameters):
    return calls.block(form, calls.pad(x), parameters, WORDS)


def cuda(form, x, parameters):
    """The block in CUDA, emulated, which takes no shift."""
    return calls.block(form._replace(cuda=True), calls.pad(x), parameters, WORDS)


def products(form, x, parameters):
    """The block as it is without a compiler."""
    first = form.first and parameters.shift.size
    pooled = (
        shared_conv_pool(shared_columns(x), parameters.kernel, parameters.shift)
        if first
        else conv_pool(x, parameters.kernel)
    )
    active = relu(pooled + per_channel(parameters.bias, pooled))
    y, mean, variance = batch_norm(active, parameters.scale, parameters.offset, form.epsilon)
    return dropout(y, WORDS, form.layer, form.rate), mean, variance


BLOCKS = [pytest.param(native, marks=needs_kernels), pytest.param(cuda, marks=needs_emulation), products]


def plain(form, x, parameters):
    """The block of Flax's own layers."""
    y = jax.lax.conv_general_dilated(
        x.transpose(3, 1, 2, 0), parameters.kernel, (1, 1), "SAME", dimension_numbers=("NHWC", "HWIO", "NHWC")
    )
    if form.first and parameters.shift.size:
        n, m = x.shape[1] // 2, x.shape[2] // 2
        shift = parameters.shift.reshape(-1, 2, 2, n, m).transpose(3, 1, 4, 2, 0).reshape(1, 2 * n, 2 * m, -1)
        y = y[:, : 2 * n, : 2 * m] + jnp.broadcast_to(shift, (y.shape[0], *shift.shape[1:]))
    y = nn.relu(nn.max_pool(y + parameters.bias.reshape(1, 1, 1, -1), (2, 2), (2, 2)))
    norm = nn.BatchNorm(use_running_average=False, momentum=0.0, epsilon=EPSILON)
    zeros = jnp.zeros(parameters.scale.shape)
    weights = {"scale": parameters.scale, "bias": parameters.offset}
    y, new = norm.apply({"params": weights, "batch_stats": {"mean": zeros, "var": zeros}}, y, mutable=["batch_stats"])
    y = dropout(y.transpose(3, 1, 2, 0), WORDS, form.layer, form.rate)
    return y, new["batch_stats"]["mean"], new["batch_stats"]["var"]


@functools.cache
def compiled_results(block, form):
    def loss(x, parameters, weights):
        found = block(form, x, parameters)
        return (found[0] * weights).sum(), found

    return jax.jit(jax.value_and_grad(loss, (1,) if form.first else (0, 1), has_aux=True), compiler_options=small.QUICK)


def results(block, form, *operands):
    """Result, mean, variance and the gradients of the input, if it has one, and of the parameters."""
    (_, found), gradients = compiled_results(block, form)(*operands)
    return jax.tree.leaves((found, gradients))


@pytest.mark.parametrize("block", BLOCKS)
@pytest.mark.parametrize("mean", [1.0, 10.0, 100.0])
def test_a_deviation_small_beside_the_mean_is_not_lost(block, mean):
    """The first activation is far from the others, so that it would not do to shift by it."""
    rng = np.random.default_rng(0)
    x = rng.normal(mean, 0.1, (1, 32, 32, 64)).astype(np.float32)
    x[0, :2, :2, 0] = 0
    identity = np.zeros((3, 3, 1, 2), np.float32)
    identity[1, 1] = 1
    scale = np.array([0.7, 1.3], np.float32)
    parameters = Parameters(*map(jnp.asarray, (identity, np.zeros(2, np.float32), scale, -scale, np.zeros(0))))
    weights = rng.normal(size=(2, 16, 16, 64)).astype(np.float32)
    found = results(block, Form(EPSILON, 0, 0.0, False, False), jnp.asarray(x), parameters, weights)
    y, found_mean, variance, dx, _, _, d_scale, d_offset, _ = map(np.asarray, found)

    active = x.astype(np.float64).reshape(16, 2, 16, 2, 64).max((1, 3))
    inverse = 1 / np.sqrt(active.var() + EPSILON)
    normal = (active - active.mean()) * inverse
    gradients = weights.astype(np.float64)
    np.testing.assert_allclose(found_mean, active.mean(), rtol=1e-6)
    np.testing.assert_allclose(variance, active.var(), rtol=1e-5)
    per_filter = scale[:, None, None, None].astype(np.float64)
    np.testing.assert_allclose(y, per_filter * (normal - 1), rtol=0, atol=1e-6 * mean * inverse + 1e-5)
    np.testing.assert_allclose(d_offset, gradients.sum((1, 2, 3)), rtol=1e-4)
    np.testing.assert_allclose(d_scale, (gradients * normal).sum((1, 2, 3)), rtol=1e-4, atol=1e-2)
    centered = gradients - gradients.mean((1, 2, 3), keepdims=True)
    centered -= normal * (gradients * normal).mean((1, 2, 3), keepdims=True)
    through = (per_filter * inverse * centered).sum(0) * (active > 0)
    np.testing.assert_allclose(dx[0].reshape(16, 2, 16, 2, 64).sum((1, 3)), through, rtol=0, atol=1e-4 * inverse)


@pytest.mark.parametrize("compiled", [pytest.param(True, marks=needs_kernels), False])
@pytest.mark.parametrize("draw", [lambda rng, n: np.full(n, 0.7123), lambda rng, n: rng.normal(size=n)])
def test_measures_of_many_parameters_are_right_to_a_millionth(compiled, draw, monkeypatch):
    """Each another number, so that none can stand for another; one array, and what is left of whole vectors."""
    monkeypatch.setattr(library, "available", lambda: compiled)
    jax.clear_caches()
    rng = np.random.default_rng(0)
    shapes = {"large": 5_000_001, "small": 4321}

    def tree(factor):
        return {name: (factor * draw(rng, size)).astype(np.float32) for name, size in shapes.items()}

    def joined(arrays):
        return np.concatenate([np.asarray(x, np.float64) for x in jax.tree.leaves(arrays)])

    grads, first, second, params = tree(3.0), tree(0.01), tree(-0.02), tree(1.0)
    apply = jax.jit(lambda *trees: diagnostics.apply(*trees))
    moved, _, signs = apply(grads, first, params, diagnostics.no_signs(params))
    start = jax.device_get(moved)
    moved, measured, _ = apply(grads, second, moved, signs)
    expected = {
        "oscillation": np.mean(joined(first) * joined(second) < 0),
        "update_size": np.abs(joined(second)).mean(),
        "grad_norm": np.sqrt((joined(grads) ** 2).sum()),
        "update_norm": np.sqrt((joined(second) ** 2).sum()),
        "param_norm": np.sqrt((joined(moved) ** 2).sum()),
    }
    assert set(measured) == set(expected) == set(diagnostics.STEP_METRICS)
    for name, value in expected.items():
        np.testing.assert_allclose(measured[name], value, rtol=1e-6, err_msg=name)
    far = np.sqrt(((joined(moved) - joined(start)) ** 2).sum())
    np.testing.assert_allclose(jax.jit(diagnostics.distance)(start, moved), far, rtol=1e-6)
    jax.clear_caches()


BAD = (np.nan, np.inf, -np.inf)


@pytest.mark.parametrize(
    ("block", "first"),
    [
        pytest.param(native, False, marks=needs_kernels),
        pytest.param(native, True, marks=needs_kernels),
        pytest.param(cuda, False, marks=needs_emulation),
    ],
)
def test_what_is_not_finite_reaches_all_that_it_reaches_in_the_plain_layers(block, first):
    """In each operand, forward and backward: the same numbers in the kernels and in products, and at least those of
    Flax, whose ReLU and pooling send zeros back to some that depend on them."""
    rng = np.random.default_rng(0)
    channels, outputs, rows, columns, batch = 1, 4, 6, 5, 16

    def normal(*shape, deviation=1.0):
        return jnp.asarray(rng.normal(0, deviation, shape), jnp.float32)

    n, m = rows // 2, columns // 2
    shift = normal(outputs, 4, n, m) if first else jnp.zeros(0)
    kernel = normal(3, 3, channels, outputs, deviation=1 / 3)
    parameters = Parameters(kernel, normal(outputs), 1 + normal(outputs, deviation=0.2), normal(outputs), shift)
    whole = (normal(channels, rows, columns, batch), parameters, normal(outputs, n, m, batch))
    form = Form(EPSILON, 2, 0.25, False, first)
    operands = ["x", *(name for name in Parameters._fields if getattr(parameters, name).size), "gradient"]
    reached = {}
    for name in operands:
        for bad in BAD:
            x, changed, weights = whole
            if name == "x":
                x = x.at[0, 2, 2, 3].set(bad)
            elif name == "gradient":
                weights = weights.at[0, 1, 0, 3].set(bad)
            else:
                old = getattr(parameters, name)
                changed = parameters._replace(**{name: old.at[(0,) * old.ndim].set(bad)})
            ours, theirs, flax = (
                [~np.isfinite(each) for each in results(of, form, x, changed, weights)]
                for of in (block, products, plain)
            )
            for one, two, three in zip(ours, theirs, flax, strict=True):
                np.testing.assert_array_equal(one, two, err_msg=f"{name} {bad}")
                assert (one | ~three).all(), (name, bad)
            np.testing.assert_array_equal(ours[0], flax[0])  # what comes out is the same in all
            reached[name, bad] = int(ours[3].sum()), ours[3].size
    if not first:
        assert [reached[name, np.nan] for name in ("x", "kernel", "bias")] == [(480, 480)] * 3


@pytest.mark.parametrize("block", BLOCKS)
def test_a_variance_beyond_float32_is_seen(block):
    """An infinite one would make the activations zero, and the loss finite for ever."""
    x = jnp.asarray(np.random.default_rng(0).normal(size=(1, 4, 4, 16)), jnp.float32)
    one = jnp.ones(2)
    parameters = Parameters(jnp.full((3, 3, 1, 2), 1e22), one, one, one, jnp.zeros(0))
    y, _, variance = block(Form(EPSILON, 0, 0.0, False, False), x, parameters)
    assert np.isnan(variance).all()
    assert np.isnan(y).all()
