"""One epoch of one run: all training steps, the validation split, the stopping rule, in one compiled call."""

import functools
import math
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from jaxopt_study.data.batches import Batches
from jaxopt_study.history import CURVES
from jaxopt_study.models.network import Network, Variables
from jaxopt_study.training import diagnostics, early_stopping
from jaxopt_study.training.batching import Strategy
from jaxopt_study.training.early_stopping import RUNNING, Limits
from jaxopt_study.training.losses import Loss
from jaxopt_study.training.step import (
    EvalSums,
    Hyperparameters,
    MakeOptimizer,
    RunState,
    TrainSums,
    eval_step,
    train_step,
)

PyTree = Any
TURN_BYTES = 1 << 24
"""For the batches that are prepared at a time: half of what the last cache of a laptop's processor holds."""


class EpochReport(NamedTuple):
    """What the host reads after an epoch.

    Attributes:
        trained: bool, whether the run was running when the epoch began.
        status: int32, after the epoch.
        metrics: float32 ``[len(history.CURVES)]``, in that order.
    """

    trained: jax.Array
    status: jax.Array
    metrics: jax.Array


class Program(NamedTuple):
    """The static parts that an epoch is compiled from; ``hyperparameters`` are the names that the rule
    takes, ``steps`` is the number of training steps in it, ``precision`` is that of products, as JAX names it."""

    network: Network
    loss: Loss
    make_optimizer: MakeOptimizer
    hyperparameters: tuple[str, ...]
    diagnostics: bool
    stop_on_nonfinite: bool
    keep_best: bool
    steps: int
    strategy: Strategy
    precision: str = "float32"


def init_run(seed: jax.Array, hyperparameters: Hyperparameters, program: Program) -> RunState:
    """The state of a run before its first epoch; the weights depend on the seed alone."""
    variables = program.network.init(jax.random.fold_in(jax.random.key(0), seed))
    return RunState(
        variables=variables,
        opt_state=program.make_optimizer(hyperparameters).init(variables.params),
        signs=diagnostics.no_signs(variables.params) if program.diagnostics else (),
        seed=seed,
        epoch=jnp.int32(0),
        status=jnp.int32(RUNNING),
        stopping=early_stopping.start(),
        best=variables if program.keep_best else (),
    )


def shapes(program: Program) -> tuple[RunState, Hyperparameters]:
    """Shapes and types of a run's state and of its hyperparameters."""
    number = jax.ShapeDtypeStruct((), jnp.float32)
    numbers: Any = dict.fromkeys(program.hyperparameters, number)
    seed = jax.ShapeDtypeStruct((), jnp.uint32)
    state: RunState = jax.eval_shape(lambda seed, numbers: init_run(seed, numbers, program), seed, numbers)
    return state, numbers


def epoch(
    state: RunState, hyperparameters: Hyperparameters, limits: Limits, batches: Batches, program: Program
) -> tuple[RunState, EpochReport]:
    """Trains one run for one epoch and decides whether it goes on.

    A run that is not running comes back with its epoch, status, stopping memory and best weights unchanged (its other
    arrays may have changed: nothing reads them any more).
    """
    running = state.status == RUNNING
    start = state.variables.params
    state, train_sums = train_epoch(state, running, hyperparameters, batches, program)
    val_sums = validate(state.variables, running, batches, program)

    # A run's turn like any step: what is computed for one run is then the same code however many runs there are.
    @program.strategy.batched
    def end_of_run(carry: PyTree, fixed: PyTree, shared: PyTree) -> PyTree:
        running, start, train_sums, val_sums, limits = fixed
        return conclude(carry[0], running, start, train_sums, val_sums, limits, shared, program)

    row = jnp.zeros(len(CURVES), jnp.float32)
    count = batches.val[2].sum()
    after, row = end_of_run((state, row), (running, start, train_sums, val_sums, limits), count)
    return after, EpochReport(running, after.status, row)


def conclude(
    state: RunState,
    running: jax.Array,
    start: PyTree,
    train_sums: TrainSums,
    val_sums: EvalSums,
    limits: Limits,
    count: jax.Array,
    program: Program,
) -> tuple[RunState, jax.Array]:
    """The end of an epoch: its row of figures, the stopping rule, the best weights.

    Args:
        state: after the last step.
        running: whether it was at the start.
        start: the weights then.
        train_sums: of the epoch.
        val_sums: over the validation split, of ``count`` examples.
        limits: of the run.
        count: float32 scalar.
        program: static.
    """
    train_loss, metrics = train_sums.loss / program.steps, train_sums.metrics
    val_loss, val_accuracy = val_sums.loss / count, val_sums.correct / count
    nan = jnp.float32(jnp.nan)
    distance = diagnostics.distance(start, state.variables.params) if program.diagnostics else nan
    oscillation, update_size, *norms = (
        metrics[name] / program.steps if program.diagnostics else nan for name in diagnostics.STEP_METRICS
    )
    row = jnp.stack([train_loss, val_loss, val_accuracy, oscillation, update_size, distance, *norms])

    number = state.epoch + 1
    finite = jnp.isfinite(train_loss) & jnp.isfinite(val_loss)
    stopping, improved = early_stopping.observe(state.stopping, number, val_loss)
    status = early_stopping.verdict(stopping, number, finite, limits, stop_on_nonfinite=program.stop_on_nonfinite)
    after = state._replace(
        epoch=jnp.where(running, number, state.epoch),
        status=jnp.where(running, status, state.status),
        stopping=select(running, stopping, state.stopping),
        best=select(running & improved, state.variables, state.best) if program.keep_best else (),
    )
    return after, row


def train_epoch(
    state: RunState, running: jax.Array, hyperparameters: Hyperparameters, batches: Batches, program: Program
) -> tuple[RunState, TrainSums]:
    """All steps of an epoch; sums over them."""
    network = program.network
    one: Callable[..., PyTree] = functools.partial(
        train_step, network=network, loss=program.loss, make_optimizer=program.make_optimizer
    )

    @program.strategy.batched
    def steps_of_run(carry: PyTree, fixed: PyTree, shared: PyTree) -> PyTree:
        prepared, labels, start, count = shared

        def step(i: jax.Array, carry: PyTree) -> PyTree:
            batch, label = jax.tree.map(lambda x: x[i], (prepared, labels))
            return one(*carry, fixed[1], batch, label, start + i)

        return jax.lax.fori_loop(0, count, step, carry)

    images, labels = batches.train
    steps = images.shape[0]
    stride = steps_a_turn(images, program)

    def turns(carry: PyTree, start: jax.Array) -> tuple[PyTree, None]:
        places = jnp.minimum(start + jnp.arange(stride), steps - 1)
        prepared = jax.lax.map(lambda place: network.prepare(images[place], True), places)
        count = jnp.minimum(stride, steps - start) if stride > 1 else 1
        return steps_of_run(carry, (running, hyperparameters), (prepared, labels[places], start, count)), None

    zero = jnp.float32(0)
    names = diagnostics.STEP_METRICS if program.diagnostics else ()
    carry = (state, TrainSums(zero, dict.fromkeys(names, zero)))
    if steps:
        carry, _ = jax.lax.scan(turns, carry, jnp.arange(0, steps, stride))
    if batches.rest[0].shape[0]:
        rest = jax.tree.map(lambda x: x[None], (network.prepare(batches.rest[0], True), batches.rest[1]))
        carry = steps_of_run(carry, (running, hyperparameters), (*rest, jnp.int32(steps), 1))
    return carry


def steps_a_turn(images: jax.Array, program: Program) -> int:
    """How many steps a run takes before it is the next one's turn, of training images ``[T, B, ..]``: as many as there
    is room for the prepared batches, so that a run's arrays are fetched and put back less often."""
    batch = jax.ShapeDtypeStruct(images.shape[1:], images.dtype)
    prepared = jax.eval_shape(lambda x: program.network.prepare(x, True), batch)
    size = sum(math.prod(x.shape) * x.dtype.itemsize for x in jax.tree.leaves(prepared))
    fitting: int = min(program.strategy.steps_a_turn, images.shape[0], TURN_BYTES // max(size, 1))
    return max(fitting, 1)


def validate(variables: Variables, running: jax.Array, batches: Batches, program: Program) -> EvalSums:
    """Losses and hits over the whole validation split."""
    network = program.network

    @program.strategy.batched
    def step_of_run(sums: PyTree, fixed: PyTree, shared: PyTree) -> PyTree:
        return eval_step(sums, fixed[1], *shared, network=network, loss=program.loss)

    def step(sums: EvalSums, batch: tuple[jax.Array, jax.Array, jax.Array]) -> tuple[EvalSums, None]:
        images, labels, weights = batch
        return step_of_run(sums, (running, variables), (network.prepare(images, False), labels, weights)), None

    sums, _ = jax.lax.scan(step, EvalSums(jnp.float32(0), jnp.float32(0)), batches.val)
    return sums


def select(condition: jax.Array, new: PyTree, old: PyTree) -> PyTree:
    """``new`` where the scalar condition holds, else ``old``."""
    return jax.tree.map(lambda a, b: jnp.where(condition, a, b), new, old)
