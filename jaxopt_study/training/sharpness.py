"""How sharply the loss bends where a run is: the largest eigenvalue of the Hessian, once an epoch.

It is that of the training loss of one fixed batch, the first, with one fixed mask of dropout and batch norm by the
batch's statistics. Of a rule with a preconditioner ``P`` it is that of ``P^-1/2 H P^-1/2``, see
:mod:`jaxopt_study.optimizers.preconditioner`. Weight decay is no part of it.

Gradient descent on a quadratic diverges along directions in which this is more than 2 / learning_rate (Cohen et al.,
Gradient descent on neural networks typically occurs at the edge of stability, 2021, https://arxiv.org/abs/2103.00065);
what it may be with other rules: :mod:`jaxopt_study.analysis.edge`.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax.flatten_util import ravel_pytree

from jaxopt_study.data.dataset import Batches
from jaxopt_study.errors import InputError, one_line
from jaxopt_study.kernels import calls
from jaxopt_study.models.network import Network, Variables
from jaxopt_study.training.losses import Loss, batch_mean
from jaxopt_study.training.rules import Hyperparameters
from jaxopt_study.training.step import Program, RunState

PyTree = Any
Product = Callable[[jax.Array], jax.Array]
"""A symmetric matrix ``[P, P]`` as what it makes of a vector ``[P]``."""
MOST_PRODUCTS = 100
"""With the Hessian, in an epoch."""
TOLERANCE = 0.01
"""The residual at which a search ends, relative to the value: an eigenvalue is no further from the value than that, and
no further than its square over the distance to the next one, relative too: 0.1% where that is 0.1."""
AT_FIRST = 0.003
"""The same in the first epoch, where the search begins anywhere and may come near the second largest first."""


class Eigenpair(NamedTuple):
    """The largest eigenvalue of a matrix, float32 [], its vector [P] and the products that it took, int32 []."""

    value: jax.Array
    vector: jax.Array
    products: jax.Array


def measure(
    state: RunState, hyperparameters: Hyperparameters, running: jax.Array, batches: Batches, program: Program
) -> tuple[RunState, jax.Array]:
    """The sharpness after the steps of an epoch, float32 [], and the state with its direction, where the next begins.

    Args:
        state: of a run; its direction is where the search begins.
        hyperparameters: its rule and its numbers.
        running: whether the run is, bool [].
        batches: the data.
        program: static.
    """
    batch = jax.tree.map(lambda x: x[0], batches.train) if batches.steps else batches.rest
    inputs, labels, weights = (*batch, None)[:3]

    @program.strategy.batched
    def of_run(
        found: tuple[jax.Array, jax.Array],
        variables: Variables,
        opt_state: PyTree,
        hyperparameters: Hyperparameters,
        epoch: jax.Array,
        prepared: PyTree,
        labels: PyTree,
        weights: jax.Array | None,
    ) -> tuple[jax.Array, jax.Array]:
        direction, _ = found
        product = hessian(variables, prepared, labels, program.network, program.loss, weights)
        scale = program.rules.scale(hyperparameters, opt_state, variables.params)
        tolerance = jnp.where(epoch == 0, AT_FIRST, TOLERANCE)
        pair = largest(product if scale is None else lambda v: scale * product(scale * v), direction, tolerance)
        return pair.vector, pair.value

    with calls.switched_off(), jax.default_matmul_precision("float32"):
        prepared = program.network.prepare(inputs, True)
        found = (state.direction, jnp.float32(jnp.nan))
        of_state = state.variables, state.opt_state, hyperparameters, state.epoch
        direction, value = of_run(running, found, *of_state, prepared, labels, weights)
    return state._replace(direction=direction), value


def hessian(
    variables: Variables,
    prepared: PyTree,
    labels: PyTree,
    network: Network,
    loss: Loss,
    weights: jax.Array | None = None,
) -> Product:
    """The Hessian of the mean loss of a batch by the weights, as one vector in the order of ``ravel_pytree``."""
    flat, unraveled = ravel_pytree(variables.params)

    def loss_at(flat: jax.Array) -> jax.Array:
        at = Variables(unraveled(flat), variables.stats)
        logits, _ = network.train(at, prepared, jax.random.key(3))
        return batch_mean(loss.per_example(logits, labels), weights)

    def product(v: jax.Array) -> jax.Array:
        with calls.switched_off():
            bent: jax.Array = jax.jvp(jax.grad(loss_at), (flat,), (v,))[1]
        return bent

    return product


class _Search(NamedTuple):
    """Where a search is, and the way that it came: unit vectors [P], and what the matrix makes of them.

    ``uphill`` is where it looks next: the direction of the residual ``A v - value * v``, whose norm is ``rest``.
    """

    at: jax.Array
    image: jax.Array
    way: jax.Array
    image_of_way: jax.Array
    uphill: jax.Array
    value: jax.Array
    rest: jax.Array
    products: jax.Array


def largest(product: Product, start: jax.Array, tolerance: jax.Array | float = TOLERANCE) -> Eigenpair:
    """The largest eigenvalue of a symmetric matrix, by conjugate gradients on the Rayleigh quotient.

    A power iteration takes ``A v`` for the next ``v``. This takes the best of what ``v``, ``A v`` and the step before
    span, for the same product, and so converges as Lanczos' iteration does; and to the largest eigenvalue even where
    another has the larger size. What is not finite ends it.

    References:
        Knyazev, Toward the optimal preconditioned eigensolver: locally optimal block preconditioned conjugate gradient
        method, 2001, https://doi.org/10.1137/S1064827500366124, section 4, here of one vector
    """

    def unsettled(search: _Search) -> jax.Array:
        far = search.rest > tolerance * jnp.abs(search.value)
        return jnp.logical_and(far, search.products < MOST_PRODUCTS)

    none, zero = jnp.zeros_like(start), jnp.float32(0)
    uphill = start / jnp.linalg.norm(start)
    begin = _Search(none, none, none, none, uphill, zero, jnp.float32(jnp.inf), jnp.int32(0))
    end = jax.lax.while_loop(unsettled, lambda search: _step(search, product), begin)
    return Eigenpair(end.value, end.at, end.products)


def _step(search: _Search, product: Product) -> _Search:
    """To the best in the span of where it is, uphill, and the way that it came; of uphill alone in the first step."""
    vectors, images = [search.at, search.uphill], [search.image, product(search.uphill)]
    way, image_of_way = search.way, search.image_of_way
    for v, image in zip(vectors, images, strict=True):
        part = v @ way
        way, image_of_way = way - part * v, image_of_way - part * image
    norm = jnp.linalg.norm(way)
    apart = norm > 1e-3  # else rounding is all that is left of it
    inverse = jnp.where(apart, 1 / jnp.where(apart, norm, 1), 0.0)
    basis, of_basis = jnp.stack([*vectors, way * inverse]), jnp.stack([*images, image_of_way * inverse])
    seen = basis @ of_basis.T
    below_all = -2 * jnp.abs(seen).max() - 1
    absent = jnp.where(jnp.stack([search.products > 0, jnp.bool_(True), apart]), 0.0, below_all)
    best = jnp.linalg.eigh((seen + seen.T) / 2 + jnp.diag(absent))[1][:, -1]
    at, image = best @ basis, best @ of_basis
    onward = best.at[0].set(0.0)
    way, image_of_way = onward @ basis, onward @ of_basis
    size, length = jnp.linalg.norm(at), jnp.linalg.norm(way)
    at, image, length = at / size, image / size, jnp.where(length > 0, length, 1)
    value = at @ image
    residual = image - value * at
    rest = jnp.linalg.norm(residual)
    uphill = residual / jnp.where(rest > 0, rest, 1)
    return _Search(at, image, way / length, image_of_way / length, uphill, value, rest, search.products + 1)


def check(network: Network, loss: Loss, images: Any, labels: Any, name: str) -> None:
    """Refuses a network whose loss cannot be differentiated twice, or not in float32.

    Args:
        network: of batches of this size.
        loss: of its logits.
        images: shape and type of a training batch's.
        labels: of the same.
        name: of the network, for the error.

    Raises:
        InputError: the message says why.
    """

    def product(images: jax.Array, labels: jax.Array) -> jax.Array:
        variables = network.init(jax.random.key(0))
        size = ravel_pytree(variables.params)[0].size
        return hessian(variables, network.prepare(images, True), labels, network, loss)(jnp.ones(size))

    try:
        with calls.switched_off():
            traced = str(jax.make_jaxpr(product)(images, labels))
    except Exception as error:  # whatever a user's network raises
        why = f"{name} cannot be differentiated twice: {type(error).__name__}: {one_line(error)}"
        raise InputError("--sharpness", True, why) from error
    for short in (x for x in ("bf16", "f16") if f":{x}[" in traced):
        why = f"allowed with networks that compute in float32 throughout; {name} computes in {short}"
        raise InputError("--sharpness", True, why)
