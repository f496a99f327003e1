"""A block of the article's network by kernels and by the layers they stand for, on numbers drawn for it."""

import jax
import jax.numpy as jnp
import numpy as np
import small

from jaxopt_study.kernels import calls, library
from jaxopt_study.kernels.calls import Form, Parameters
from jaxopt_study.layers.batch_norm import batch_norm, per_channel
from jaxopt_study.layers.conv_pool import conv_pool, shared_columns, shared_conv_pool
from jaxopt_study.layers.dropout import dropout

EPSILON = 1e-3


def arrays(channels, outputs, height, width, batch, shifted, seed=0):
    rng = np.random.default_rng(seed)

    def normal(*shape, mean=0.0, deviation=1.0):
        return jnp.asarray(rng.normal(mean, deviation, shape).astype(np.float32))

    n, m = height // 2, width // 2
    parameters = Parameters(
        normal(3, 3, channels, outputs, deviation=1 / 3),
        normal(outputs),
        normal(outputs, mean=1.0, deviation=1 / 5),
        normal(outputs),
        normal(outputs, 4, n, m) if shifted else jnp.zeros(0),
    )
    return normal(channels, height, width, batch), parameters, normal(outputs, n, m, batch)


def reference(form, x, parameters, seed):
    """The block from the other layers."""
    if form.first and parameters.shift.size:
        pooled = shared_conv_pool(shared_columns(x), parameters.kernel, parameters.shift)
    else:
        pooled = conv_pool(x, parameters.kernel)
    active = jax.nn.relu(pooled + per_channel(parameters.bias, pooled))
    y, mean, variance = batch_norm(active, parameters.scale, parameters.offset, form.epsilon)
    return dropout(y, seed, form.layer, form.rate), mean, variance, active


def assert_close(one, two):
    # Batch norm multiplies rounding by up to 1 / sqrt(epsilon), where hardly an activation is above zero.
    for a, b in zip(jax.tree.leaves(one), jax.tree.leaves(two), strict=True):
        assert a.shape == b.shape
        np.testing.assert_allclose(a, b, rtol=0, atol=2e-4 * max(1.0, float(jnp.abs(b).max()) if b.size else 0))


def both(channels, outputs, height, width, batch, *, cuda=False, first=False, rate=0.25, padded=True, layer=2, seed=0):
    """Result, statistics and gradients of kernels and reference, whose masks are the same."""
    form = Form(EPSILON, layer, rate, padded, first, cuda)
    whole = -(-batch // library.lanes()) * library.lanes()
    if not cuda and batch < whole:
        form = form._replace(examples=batch)
    x, parameters, weights = arrays(channels, outputs, height, width, batch, first and not cuda, seed)
    words = jnp.array([seed, 77], jnp.uint32)

    def ours(x, parameters):
        y, mean, variance = calls.block(form, calls.pad(x if cuda else calls.whole(x)), parameters, words)
        if padded:
            assert y.shape == (outputs, height // 2 + 2, width // 2 + 2, batch if cuda else whole)
            y = y[:, 1:-1, 1:-1]
        y = y[..., :batch]
        return (y * weights).sum(), (y, mean, variance)

    def theirs(x, parameters):
        y, mean, variance, _ = reference(form, x, parameters, words)
        return (y * weights).sum(), (y, mean, variance)

    of = (1,) if first else (0, 1)
    graded = [jax.value_and_grad(f, of, has_aux=True) for f in (ours, theirs)]
    found = [jax.jit(f, compiler_options=small.QUICK)(x, parameters) for f in graded]
    one, two = ((results, gradients) for (_, results), gradients in found)
    np.testing.assert_array_equal(one[0][0] == 0, two[0][0] == 0)  # the masks, bit for bit
    return one, two
