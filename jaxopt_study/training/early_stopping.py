"""When a run ends: the article's patience on the validation loss, kept on the device for each run."""

from typing import NamedTuple

import jax
import jax.numpy as jnp

RUNNING, STOPPED, FINISHED, DIVERGED, IDLE = range(5)
STATUS_NAMES = {STOPPED: "stopped", FINISHED: "finished", DIVERGED: "diverged"}


class Limits(NamedTuple):
    """Bounds of one run, int32 scalars (arguments of the compiled program, never constants of it)."""

    max_epochs: jax.Array
    patience: jax.Array


class Stopping(NamedTuple):
    """What the rule remembers: the lowest validation loss so far and the epoch, from 1, that had it.

    Or the lowest of what is monitored in its place, negative where that is to be large.
    """

    best_loss: jax.Array
    best_epoch: jax.Array


def start() -> Stopping:
    """Before the first epoch; any finite loss is an improvement."""
    return Stopping(jnp.float32(jnp.inf), jnp.int32(0))


def observe(stopping: Stopping, epoch: jax.Array, loss: jax.Array) -> tuple[Stopping, jax.Array]:
    """Takes in the loss of an epoch; also says whether it improved. NaN never improves."""
    improved = loss < stopping.best_loss
    best_loss, best_epoch = (jnp.where(improved, x, best) for x, best in zip((loss, epoch), stopping, strict=True))
    return Stopping(best_loss, best_epoch), improved


def verdict(
    stopping: Stopping, epoch: jax.Array, finite: jax.Array, limits: Limits, *, stop_on_nonfinite: bool
) -> jax.Array:
    """The status after ``epoch``: running, stopped, finished or diverged (int32 scalar).

    A run that is not finite at its end is diverged whatever ended it.
    """
    out_of_patience = epoch - stopping.best_epoch >= limits.patience
    ended = jnp.where(out_of_patience, STOPPED, jnp.where(epoch >= limits.max_epochs, FINISHED, RUNNING))
    diverged = ~finite if stop_on_nonfinite else ~finite & (ended != RUNNING)
    return jnp.where(diverged, DIVERGED, ended).astype(jnp.int32)
