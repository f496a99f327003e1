"""How a step of many runs is executed: as one batched program, or run after run.

Both mean the same; which is faster depends on the device. An accelerator wants one large program. A CPU core wants the
arrays of one run in its cache, so there the runs take turns inside the step, and a slot without a run costs nothing.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
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

    # Mapped, from old states to new ones: a loop that reads the state and writes into it makes XLA copy it, a third of
    # the time at 32 pixels on a CPU.
    def step_of_slot(running: jax.Array, state: PyTree, *inputs: PyTree) -> PyTree:
        return jax.lax.cond(running, lambda: step(state, *inputs), lambda: state)

    mapped: BatchedStep = custom_batching.sequential_vmap(step_of_slot)
    return mapped


STRATEGIES = {"vmap": Strategy(vmapped, 1), "map": Strategy(in_turn, 8)}
