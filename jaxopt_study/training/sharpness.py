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
from jaxopt_study.training.losses import Loss
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
    images, labels = (x[0] for x in batches.train) if len(batches.train[0]) else batches.rest

    @program.strategy.batched
    def of_run(
        found: tuple[jax.Array, jax.Array],
        variables: Variables,
        opt_state: PyTree,
        hyperparameters: Hyperparameters,
        prepared: PyTree,
        labels: jax.Array,
    ) -> tuple[jax.Array, jax.Array]:
        direction, _ = found
        product = hessian(variables, prepared, labels, program.network, program.loss)
        scale = program.rules.scale(hyperparameters, opt_state, variables.params)
        pair = largest(product if scale is None else lambda v: scale * product(scale * v), direction)
        return pair.vector, pair.value

    with calls.switched_off(), jax.default_matmul_precision("float32"):
        prepared = program.network.prepare(images, True)
        found = (state.direction, jnp.float32(jnp.nan))
        direction, value = of_run(running, found, state.variables, state.opt_state, hyperparameters, prepared, labels)
    return state._replace(direction=direction), value


def hessian(variables: Variables, prepared: PyTree, labels: jax.Array, network: Network, loss: Loss) -> Product:
    """The Hessian of the mean loss of a batch by the weights, as one vector in the order of ``ravel_pytree``."""
    flat, unraveled = ravel_pytree(variables.params)

    def mean_loss(flat: jax.Array) -> jax.Array:
        at = Variables(unraveled(flat), variables.stats)
        logits, _ = network.train(at, prepared, jax.random.key(3))
        return jnp.mean(loss.per_example(logits, labels))

    def product(v: jax.Array) -> jax.Array:
        with calls.switched_off():
            bent: jax.Array = jax.jvp(jax.grad(mean_loss), (flat,), (v,))[1]
        return bent

    return product


class _Search(NamedTuple):
    """Unit vectors and what the matrix makes of them, [P] each: where the search is, and the way that it came."""

    at: jax.Array
    product_at: jax.Array
    way: jax.Array
    product_way: jax.Array
    products: jax.Array

    @property
    def value(self) -> jax.Array:
        """The Rayleigh quotient."""
        return self.at @ self.product_at

    @property
    def residual(self) -> jax.Array:
        """``A v - value * v``, [P]."""
        return self.product_at - self.value * self.at


def largest(product: Product, start: jax.Array) -> Eigenpair:
    """The largest eigenvalue of a symmetric matrix, by conjugate gradients on the Rayleigh quotient.

    A power iteration takes ``A v`` for the next ``v``. This takes the best of what ``v``, ``A v`` and the step before
    span, for the same product, and so converges as Lanczos' iteration does; and to the largest eigenvalue even where
    another has the larger size. What is not finite ends it.

    References:
        Knyazev, Toward the optimal preconditioned eigensolver: locally optimal block preconditioned conjugate gradient
        method, 2001, https://doi.org/10.1137/S1064827500366124, section 4, here of one vector
    """

    def unsettled(search: _Search) -> jax.Array:
        far = jnp.linalg.norm(search.residual) > TOLERANCE * jnp.abs(search.value)
        return jnp.logical_and(far, search.products < MOST_PRODUCTS)

    at = start / jnp.linalg.norm(start)
    begin = _Search(at, product(at), jnp.zeros_like(at), jnp.zeros_like(at), jnp.int32(1))
    end = jax.lax.while_loop(unsettled, lambda search: _step(search, product), begin)
    return Eigenpair(end.value, end.at, end.products)


def _step(search: _Search, product: Product) -> _Search:
    """To the best of three vectors' span: where it is, the residual, the way that it came."""
    uphill = search.residual / jnp.linalg.norm(search.residual)
    vectors = [search.at, uphill]
    products = [search.product_at, product(uphill)]
    way, product_way = search.way, search.product_way
    for v, of_v in zip(vectors, products, strict=True):
        part = v @ way
        way, product_way = way - part * v, product_way - part * of_v
    norm = jnp.linalg.norm(way)
    there = norm > 1e-3  # of a way that nearly lies in the others' span rounding is left; at first there is none
    inverse = jnp.where(there, 1 / jnp.where(there, norm, 1), 0.0)
    basis = jnp.stack([*vectors, way * inverse])
    products_of_basis = jnp.stack([*products, product_way * inverse])
    seen = basis @ products_of_basis.T
    lowest = -2 * jnp.abs(seen).max() - 1
    seen = (seen + seen.T) / 2 + jnp.diag(jnp.array([0.0, 0.0, 1.0])) * jnp.where(there, 0.0, lowest)
    best = jnp.linalg.eigh(seen)[1][:, -1]
    at, product_at = best @ basis, best @ products_of_basis
    onward = best.at[0].set(0.0)
    way, product_way = onward @ basis, onward @ products_of_basis
    size, length = jnp.linalg.norm(at), jnp.linalg.norm(way)
    length = jnp.where(length > 0, length, 1)
    return _Search(at / size, product_at / size, way / length, product_way / length, search.products + 1)


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
