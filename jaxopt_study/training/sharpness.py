"""How sharply the loss bends where a run is: the largest eigenvalue of the Hessian, after every so many epochs.

It is that of the training loss of one fixed batch, the first, with one fixed mask of dropout and batch norm by the
batch's statistics. Of a rule with a preconditioner ``P`` it is that of ``P^-1/2 H P^-1/2``, see
:mod:`jaxopt_study.optimizers.preconditioner`. Weight decay is no part of it.

Gradient descent on a quadratic diverges along directions in which this is more than 2 / learning_rate (Cohen et al.,
Gradient descent on neural networks typically occurs at the edge of stability, 2021, https://arxiv.org/abs/2103.00065);
what it may be with other rules: :mod:`jaxopt_study.analysis.edge`.
"""

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax.flatten_util import ravel_pytree

from jaxopt_study.data.dataset import Batches
from jaxopt_study.errors import InputError, one_line
from jaxopt_study.kernels import calls
from jaxopt_study.models.network import Network, Variables
from jaxopt_study.settings import Settings
from jaxopt_study.training.losses import Loss, batch_mean
from jaxopt_study.training.rules import Hyperparameters
from jaxopt_study.training.step import Program, RunState

PyTree = Any
Product = Callable[[jax.Array], jax.Array]
"""A symmetric matrix ``[P, P]`` as what it makes of a vector ``[P]``."""
MOST_PRODUCTS = 100
"""With the Hessian, in an epoch."""
TOLERANCE = 0.001
"""How far a search expects to be from the eigenvalue when it ends, relative to it."""
FEWEST, FEWEST_AT_FIRST = 6, 10
"""Its fewest products, for that is no bound; and in the first epoch, where it begins anywhere and may come near the
second largest first."""
ROOM, KEPT = 12, 4
"""Vectors that a search remembers, and the best of them, which it goes on from when there are as many, and which the
next epoch's begins with."""
COST = 10 * 6 / 0.05
"""Training steps, of which a measurement takes 5%: some 10 products, each as long as 6 steps with the kernels."""
_EXHAUSTED = 1e-5
"""Of the largest eigenvalue: where a product has less than this that is new, rounding is all that there is."""


class Eigenvalue(NamedTuple):
    """The largest eigenvalue of a matrix, float32 [], where to look for it once that has changed a little [P], and the
    products that it took, int32 []."""

    value: jax.Array
    direction: jax.Array
    products: jax.Array


def every(settings: Settings, steps: int) -> int:
    """Epochs of so many steps from one measurement to the next; 0 where there is none."""
    return (settings.sharpness_every or math.ceil(COST / steps)) if settings.sharpness else 0


def measure(
    state: RunState, hyperparameters: Hyperparameters, running: jax.Array, batches: Batches, program: Program
) -> tuple[RunState, jax.Array]:
    """The sharpness after the steps of an epoch, float32 [], and the state with its direction, where the next begins.

    Not a number, and the state as it was, after epochs in which it is not due: the first is.

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
        fewest = jnp.where(epoch == 0, FEWEST_AT_FIRST, FEWEST)
        scaled = product if scale is None else lambda v: scale * product(scale * v)
        search = largest(scaled, direction, fewest, jnp.where(_is_due(epoch, program), MOST_PRODUCTS, 0))
        return search.direction, search.value

    with calls.switched_off(), jax.default_matmul_precision("float32"):
        prepared = program.network.prepare(inputs, True)
        found = (state.direction, jnp.float32(jnp.nan))
        of_state = state.variables, state.opt_state, hyperparameters, state.epoch
        due = running & _is_due(state.epoch, program)
        direction, value = of_run(due, found, *of_state, prepared, labels, weights)
    return state._replace(direction=direction), value


def _is_due(epoch: jax.Array, program: Program) -> jax.Array:
    return epoch % program.sharpness == 0


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
    """A space that a search has seen, and what the matrix is in it.

    Attributes:
        basis: orthonormal rows [ROOM + 1, P]: ``size`` of which the products are known, the next one, zeros.
        seen: the matrix in this basis [ROOM, ROOM].
        size: int32 [].
        values: the eigenvalues of what was seen, the largest first [ROOM], far below these what there is none of.
        vectors: theirs, columns [ROOM, ROOM].
        error: how far the largest is expected to be from that of the matrix.
        products: int32 [].
    """

    basis: jax.Array
    seen: jax.Array
    size: jax.Array
    values: jax.Array
    vectors: jax.Array
    error: jax.Array
    products: jax.Array


def largest(
    product: Product, start: jax.Array, fewest: jax.Array | int = FEWEST, most: jax.Array | int = MOST_PRODUCTS
) -> Eigenvalue:
    """The largest eigenvalue of a symmetric matrix, by Lanczos' iteration.

    The best of all that ``start`` and its products span, whatever the size of the smallest eigenvalues. It ends when
    the error is expected to be small: at most the residual, at most its square over the distance to the second value.
    The next search begins with the sum of the best vectors, and not with the best alone: where the second eigenvalue
    has overtaken the first, its vector is in there. What is not finite ends the search, and leaves its start.

    Args:
        product: the matrix.
        start: where to look first [P].
        fewest: products at least, but where they show nothing new.
        most: products at most; of none the value is not a number.

    References:
        Wu and Simon, Thick-restart Lanczos method for large symmetric eigenvalue problems, 2000,
        https://doi.org/10.1137/S0895479898334605; Parlett, The symmetric eigenvalue problem, 1998, section 11.7 (error)
    """

    def unsettled(search: _Search) -> jax.Array:
        new = jnp.any(search.basis[search.size] != 0)
        far = (search.error > TOLERANCE * jnp.abs(search.values[0])) | (search.products < fewest)
        return far & new & (search.products < most)

    basis = jnp.zeros((ROOM + 1, start.size)).at[0].set(start / jnp.linalg.norm(start))
    nothing, zero = jnp.zeros((ROOM, ROOM)), jnp.int32(0)
    begin = _Search(basis, nothing, zero, jnp.full(ROOM, jnp.nan), nothing, jnp.float32(jnp.inf), zero)
    end = jax.lax.while_loop(unsettled, lambda search: _step(search, product), begin)
    best = end.vectors.T[:KEPT]
    peaks = jnp.take_along_axis(best, jnp.abs(best).argmax(axis=1, keepdims=True), axis=1)
    signs = jnp.where(jnp.arange(KEPT) < end.size, jnp.sign(peaks[:, 0]), 0)  # eigh may give either
    mixed = signs @ best @ end.basis[:ROOM]
    return Eigenvalue(end.values[0], jnp.where(jnp.isfinite(end.values[0]), mixed, start), end.products)


def _step(search: _Search, product: Product) -> _Search:
    """One more product; where there is no room for it, only the best vectors are kept before."""
    full = search.size == ROOM
    best = jnp.zeros_like(search.basis).at[:KEPT].set(search.vectors[:, :KEPT].T @ search.basis[:ROOM])
    best = best.at[KEPT].set(search.basis[ROOM])
    of_best = jnp.diag(jnp.where(jnp.arange(ROOM) < KEPT, search.values, 0))
    basis, seen = jnp.where(full, best, search.basis), jnp.where(full, of_best, search.seen)
    at = jnp.where(full, KEPT, search.size)
    new, column = product(basis[at]), jnp.zeros(ROOM + 1)
    for _ in range(2):  # once leaves what rounding makes of the difference
        part = basis @ new
        new, column = new - part @ basis, column + part
    seen = seen.at[at].set(column[:ROOM]).at[:, at].set(column[:ROOM])
    size, length = at + 1, jnp.linalg.norm(new)
    reach = jnp.abs(seen).sum(axis=1).max()  # no eigenvalue of it is larger
    absent = jnp.where(jnp.arange(ROOM) < size, 0, -2 * reach - 1)
    values, vectors = (x[..., ::-1] for x in jnp.linalg.eigh(seen + jnp.diag(absent)))
    exhausted = length <= _EXHAUSTED * reach
    residual = length * jnp.abs(vectors[at, 0])
    apart = jnp.where(size > 1, values[0] - values[1], 0)
    error = jnp.where(apart > residual, residual * residual / jnp.where(apart > 0, apart, 1), residual)
    onward = jnp.where(exhausted, 0, new / jnp.where(exhausted, 1, length))
    return _Search(basis.at[size].set(onward), seen, size, values, vectors, error, search.products + 1)


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
