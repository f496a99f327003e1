"""The variables that a run is judged by: those that it trains, or, of a rule that says so, others from its state.

Batch norm's statistics belong to the weights that were trained. For other weights they are estimated again, from
training batches, since nothing else in training looks at these weights.
"""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from jaxopt_study.data.dataset import Batches
from jaxopt_study.models.network import Variables
from jaxopt_study.training.step import Program, RunState, dropout_key

PyTree = Any
BATCHES = 64
"""Training batches that the statistics are estimated from, at most: 2,048 examples of the usual size."""


def judged(state: RunState, rule: jax.Array, running: jax.Array, batches: Batches, program: Program) -> Variables:
    """What the validation loss is of, and what is kept as the best: ``state.variables`` themselves for most rules.

    Args:
        state: of a run, after the steps of an epoch.
        rule: the place of the run's among the program's, int32 [].
        running: whether the run is, bool [].
        batches: the data.
        program: static.
    """
    params = state.variables.params
    others = program.rules.judge_others(params)
    if not any(others):
        return state.variables

    @program.strategy.batched
    def weights(params: PyTree, opt_state: PyTree, rule: jax.Array) -> PyTree:
        return program.rules.eval_params(rule, opt_state, params)

    is_other = jnp.array(others)[rule]
    variables = Variables(weights(running, params, state.opt_state, rule), state.variables.stats)
    estimated = estimated_again(variables, state, running & is_other, batches, program)
    chosen: Variables = jax.tree.map(lambda new, old: jnp.where(is_other, new, old), estimated, state.variables)
    return chosen


def estimated_again(
    variables: Variables, state: RunState, running: jax.Array, batches: Batches, program: Program
) -> Variables:
    """The variables with the mean over training batches of each batch's statistics, as training has them.

    A step moves an average to ``m * average + (1 - m) * batch``, with a momentum ``m`` that only the network knows: the
    derivative by the average. From an average of 0 what it comes to is ``(1 - m) * batch``. Nothing but averages called
    ``mean`` and ``var``, as in Flax, is changed.

    References:
        "PreciseBN" in Wu and Johnson, Rethinking "batch" in BatchNorm, 2021, https://arxiv.org/abs/2105.07576
    """
    averages, replaced = _averages(variables.stats)
    count = min(batches.steps, BATCHES)
    if not averages or not count:
        return variables

    @program.strategy.batched
    def add_batch(
        sums: PyTree, variables: Variables, prepared: PyTree, seed: jax.Array, epoch: jax.Array, step: jax.Array
    ) -> PyTree:
        averages, replaced = _averages(variables.stats)

        def after(averages: list[jax.Array]) -> list[jax.Array]:
            before = Variables(variables.params, replaced(averages))
            return _averages(program.network.train(before, prepared, dropout_key(seed, epoch, step))[1])[0]

        zeros, ones = ([of(x) for x in averages] for of in (jnp.zeros_like, jnp.ones_like))
        moved, momenta = jax.jvp(after, (zeros,), (ones,))
        return jax.tree.map(jnp.add, sums, (moved, momenta))

    def add_next(sums: PyTree, batch: tuple[PyTree, jax.Array]) -> tuple[PyTree, None]:
        inputs, step = batch
        prepared = program.network.prepare(inputs, True)
        return add_batch(running, sums, variables, prepared, state.seed, state.epoch, step), None

    zeros = [jnp.zeros_like(x) for x in averages]
    first = jax.tree.map(lambda x: x[:count], batches.train[0])
    sums, _ = jax.lax.scan(add_next, (zeros, zeros), (first, jnp.arange(count)))

    @program.strategy.batched
    def solved(averages: list[jax.Array], sums: PyTree) -> list[jax.Array]:
        moved, momenta = jax.tree.map(lambda total: total / count, sums)
        shares = [1 - m for m in momenta]
        return [
            jnp.where(share > 0, new / jnp.where(share > 0, share, 1), old)
            for old, new, share in zip(averages, moved, shares, strict=True)
        ]

    return variables._replace(stats=replaced(solved(running, averages, sums)))


def _averages(stats: PyTree) -> tuple[list[jax.Array], Callable[[list[jax.Array]], PyTree]]:
    """The moving averages among the statistics, and what puts others in their place."""
    leaves, structure = jax.tree_util.tree_flatten_with_path(stats)
    named = [getattr(path[-1], "key", getattr(path[-1], "name", None)) in ("mean", "var") for path, _ in leaves]

    def replaced(averages: list[jax.Array]) -> PyTree:
        rest = iter(averages)
        new = [next(rest) if is_average else x for is_average, (_, x) in zip(named, leaves, strict=True)]
        return jax.tree.unflatten(structure, new)

    return [x for is_average, (_, x) in zip(named, leaves, strict=True) if is_average], replaced
