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
# ``(carry, fixed, shared) -> carry`` of one run; ``fixed`` is what the run only reads, ``shared`` what all runs read.
OfRun = Callable[[PyTree, PyTree, PyTree], PyTree]


class Strategy(NamedTuple):
    """How a step of many runs is executed.

    Attributes:
        batched: gives a function of one run the rule by which the caller's vmap makes it one of many.
        steps_a_turn: the most training steps that a run takes in one go.
    """

    batched: Callable[[OfRun], OfRun]
    steps_a_turn: int


def together(of_run: OfRun) -> OfRun:
    """Leaves it to the caller's vmap: one batched operation for all runs."""
    return of_run


def in_turn(of_run: OfRun) -> OfRun:
    """Under vmap, the runs take turns in a loop, and only those that are running take one.

    Args:
        of_run: ``(carry, fixed, shared) -> carry`` for one run, where ``fixed[0]`` is whether it is running. What of
            ``shared`` is not batched is used by every run as it is, so that it is made once.

    Returns:
        The same function; under vmap the carry of a run that is not running comes back as it went in.
    """

    @custom_batching.custom_vmap
    def one(carry: PyTree, fixed: PyTree, shared: PyTree) -> PyTree:
        return of_run(carry, fixed, shared)

    @one.def_vmap
    def rule(size: int, batched: Any, carry: PyTree, fixed: PyTree, shared: PyTree) -> tuple[PyTree, PyTree]:
        carry = jax.tree.map(lambda x, b: x if b else jnp.broadcast_to(x, (size, *x.shape)), carry, batched[0])
        running = fixed[0] if batched[1][0] else jnp.broadcast_to(fixed[0], (size,))
        leaves, structure = jax.tree.flatten((fixed, shared))
        per_run = jax.tree.leaves(batched[1:])

        # A loop that reads the carry and writes into it makes XLA copy it: a third of the time at 32 pixels on a CPU.
        def turn(of_slot: tuple[PyTree, jax.Array, list[jax.Array]]) -> PyTree:
            mine, is_running, own = of_slot
            rest = iter(own)
            every = [next(rest) if b else x for x, b in zip(leaves, per_run, strict=True)]
            arguments = jax.tree.unflatten(structure, every)
            return jax.lax.cond(is_running, lambda: of_run(mine, *arguments), lambda: mine)

        owned = [x for x, b in zip(leaves, per_run, strict=True) if b]
        carry = jax.lax.map(turn, (carry, running, owned))
        return carry, jax.tree.map(lambda _: True, carry)

    return one


STRATEGIES = {"vmap": Strategy(together, 1), "map": Strategy(in_turn, 8)}
