"""One training step and one validation step of a single run."""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax

from jaxopt_study.models.network import Network, Variables
from jaxopt_study.training import diagnostics
from jaxopt_study.training.early_stopping import Stopping
from jaxopt_study.training.losses import Loss

PyTree = Any
Hyperparameters = Mapping[str, jax.Array]
MakeOptimizer = Callable[[Hyperparameters], optax.GradientTransformation]


class RunState(NamedTuple):
    """Everything that a run carries from step to step.

    Attributes:
        variables: weights and running statistics.
        opt_state: of the update rule. The rule itself is built from the hyperparameters in every step.
        signs: int8 matrices, of the last update as diagnostics.joined has it; empty without diagnostics.
        seed: uint32 scalar, seeds weights and dropout.
        epoch: int32 scalar, epochs trained.
        status: int32 scalar, see early_stopping.
        stopping: the stopping rule's memory.
        best: the variables at the lowest validation loss; empty unless they are asked for.
    """

    variables: Variables
    opt_state: PyTree
    signs: PyTree
    seed: jax.Array
    epoch: jax.Array
    status: jax.Array
    stopping: Stopping
    best: PyTree


class TrainSums(NamedTuple):
    """Float32 sums over the steps of an epoch."""

    loss: jax.Array
    metrics: dict[str, jax.Array]


class EvalSums(NamedTuple):
    """Float32 sums over examples."""

    loss: jax.Array
    correct: jax.Array


def dropout_key(seed: jax.Array, epoch: jax.Array, step: jax.Array) -> jax.Array:
    """The key of a step: a function of the run's own seed, epoch and step, and of nothing else."""
    key = jax.random.fold_in(jax.random.key(1), seed)
    return jax.random.fold_in(jax.random.fold_in(key, epoch), step)


def train_step(
    state: RunState,
    sums: TrainSums,
    hyperparameters: Hyperparameters,
    prepared: PyTree,
    labels: jax.Array,
    step: jax.Array,
    *,
    network: Network,
    loss: Loss,
    make_optimizer: MakeOptimizer,
) -> tuple[RunState, TrainSums]:
    """Gradient of the mean loss of the batch, update, diagnostics.

    Args:
        state: of the run.
        sums: of the epoch so far.
        hyperparameters: float32 scalars.
        prepared: the batch as ``network.prepare`` gives it.
        labels: ``[B]``.
        step: int32 scalar, counted within the epoch from 0.
        network: static.
        loss: static.
        make_optimizer: static; builds the rule from the traced hyperparameters.
    """
    key = dropout_key(state.seed, state.epoch, step)

    def mean_loss(params: PyTree) -> tuple[jax.Array, PyTree]:
        logits, stats = network.train(Variables(params, state.variables.stats), prepared, key)
        return jnp.mean(loss.per_example(logits, labels)), stats

    params = state.variables.params
    (value, stats), grads = jax.value_and_grad(mean_loss, has_aux=True)(params)
    rule = optax.with_extra_args_support(make_optimizer(hyperparameters))
    updates, opt_state = rule.update(grads, state.opt_state, params, value=value, grad=grads)
    signs, metrics = state.signs, sums.metrics
    if metrics:
        new_params, measured, signs = diagnostics.apply(grads, updates, params, state.signs)
        metrics = jax.tree.map(jnp.add, metrics, measured)
    else:
        new_params = optax.apply_updates(params, updates)
    state = state._replace(variables=Variables(new_params, stats), opt_state=opt_state, signs=signs)
    return state, TrainSums(sums.loss + value, metrics)


def eval_step(
    sums: EvalSums,
    variables: Variables,
    prepared: PyTree,
    labels: jax.Array,
    weights: jax.Array,
    *,
    network: Network,
    loss: Loss,
) -> EvalSums:
    """Adds the losses and hits of a batch, each example times its weight (0 for padding), ``[B]``."""
    logits = network.evaluate(variables, prepared)
    # where, not a product: padding must not bring a NaN in, and a real NaN must not be lost.
    losses = jnp.where(weights > 0, loss.per_example(logits, labels), 0.0)
    correct = jnp.where(weights > 0, loss.correct(logits, labels), 0.0)
    return EvalSums(sums.loss + losses.sum(), sums.correct + correct.sum())
