"""How a step of many runs is executed: as one batched program, or run after run.

Both mean the same; which is faster depends on the device. An accelerator wants one large program. A CPU core wants the
arrays of one run in its cache, so there the runs take turns inside the step, and a slot without a run costs nothing.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import custom_batching

PyTree = Any
Step = Callable[..., PyTree]
"""``(state, *inputs) -> state`` of one run."""
BatchedStep = Callable[..., PyTree]
"""``(running, state, *inputs) -> state``; ``running`` is whether the run is, a bool scalar."""


class Strategy(NamedTuple):
    """How a step of many runs is executed.

    Attributes:
        batched: gives a step of one run the rule by which the caller's vmap makes it one of many.
        chunk: the most training steps that a run takes in one go.
    """

    batched: Callable[[Step], BatchedStep]
    chunk: int


def vmapped(step: Step) -> BatchedStep:
    """Leaves it to the caller's vmap: one batched operation for all runs, running or not."""
    return lambda running, state, *inputs: step(state, *inputs)


def in_turn(step: Step) -> BatchedStep:
    """Under vmap, the runs take turns in a loop, and only those that are running take one.

    Args:
        step: of one run. What of its inputs is not batched is used by every run as it is, so that it is made once.

    Returns:
        The same step; under vmap the state of a run that is not running comes back as it went in.
    """

    @custom_batching.custom_vmap
    def batched(running: jax.Array, state: PyTree, *inputs: PyTree) -> PyTree:
        return step(state, *inputs)

    @batched.def_vmap
    def rule(size: int, is_batched: Any, running: jax.Array, state: PyTree, *inputs: PyTree) -> tuple[PyTree, PyTree]:
        def by_run(x: jax.Array, batched: bool) -> jax.Array:
            return x if batched else jnp.broadcast_to(x, (size, *x.shape))

        running, state = jax.tree.map(by_run, (running, state), tuple(is_batched[:2]))
        leaves, structure = jax.tree.flatten(inputs)
        is_own = jax.tree.leaves(is_batched[2:])

        # A loop that reads the state and writes into it makes XLA copy it: a third of the time at 32 pixels on a CPU.
        def step_of_slot(slot: tuple[PyTree, jax.Array, list[jax.Array]]) -> PyTree:
            state, running, own_leaves = slot
            own = iter(own_leaves)
            inputs = jax.tree.unflatten(structure, [next(own) if o else x for x, o in zip(leaves, is_own, strict=True)])
            return jax.lax.cond(running, lambda: step(state, *inputs), lambda: state)

        own_leaves = [x for x, o in zip(leaves, is_own, strict=True) if o]
        state = jax.lax.map(step_of_slot, (state, running, own_leaves))
        return state, jax.tree.map(lambda _: True, state)

    return batched


STRATEGIES = {"vmap": Strategy(vmapped, 1), "map": Strategy(in_turn, 8)}
