"""One epoch of one run: all training steps, the validation split, the stopping rule, in one compiled call."""

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from jaxopt_study.data.dataset import Batches
from jaxopt_study.history import CURVES, TEST_CURVES
from jaxopt_study.identity import traced_as
from jaxopt_study.models.network import Variables
from jaxopt_study.training import diagnostics, early_stopping
from jaxopt_study.training.early_stopping import RUNNING, Limits
from jaxopt_study.training.judged import judged
from jaxopt_study.training.metrics import TEST, value
from jaxopt_study.training.rules import Hyperparameters
from jaxopt_study.training.sharpness import measure
from jaxopt_study.training.step import (
    Batch,
    EvalMetrics,
    Program,
    RunState,
    TrainMetrics,
    eval_step,
    train_step,
)

PyTree = Any
CHUNK_BYTES = 1 << 24
"""For the batches that are prepared at a time: half of what the last cache of a laptop's processor holds."""


class EpochReport(NamedTuple):
    """What the host reads after an epoch.

    Attributes:
        trained: bool, whether the run was running when the epoch began.
        status: int32, after the epoch.
        metrics: float32, what :func:`measured` names, in that order.
    """

    trained: jax.Array
    status: jax.Array
    metrics: jax.Array


class Start(NamedTuple):
    """Of a run before the first step of an epoch: the weights, and the single numbers among them and in the rule's
    state."""

    params: PyTree
    scalars: list[jax.Array]


class Part(NamedTuple):
    """Sums over the examples of the validation or the test part, and how many ``examples`` these are, float32."""

    sums: EvalMetrics
    examples: jax.Array


class Progress(NamedTuple):
    """A run within an epoch: its state, and sums over the steps so far."""

    state: RunState
    sums: TrainMetrics


def epoch(
    state: RunState, hyperparameters: Hyperparameters, limits: Limits, batches: Batches, program: Program
) -> tuple[RunState, EpochReport]:
    """Trains one run for one epoch and decides whether it goes on.

    A run that is not running comes back with its epoch, status, stopping memory and best weights unchanged (its other
    arrays may have changed: nothing reads them any more).

    Args:
        state: of the run.
        hyperparameters: its rule and its numbers.
        limits: of the run.
        batches: the data, the same for all runs.
        program: static.
    """
    running, start = state.status == RUNNING, Start(state.variables.params, _scalars(state))
    (inputs, *targets), prepare = batches.train, program.network.prepare
    steps, chunk = batches.steps, chunk_of(inputs, program)

    @program.strategy.batched
    def train_steps(progress: Progress, hyperparameters: Hyperparameters, batches: Batch, count: jax.Array) -> Progress:
        def add_step(i: jax.Array, progress: Progress) -> Progress:
            of_chunk = batches.prepared, batches.labels, batches.weights
            prepared, labels, weights = jax.tree.map(lambda x: x[i], of_chunk)
            batch = Batch(prepared, labels, batches.step + i, weights)
            state, metrics = train_step(progress.state, hyperparameters, batch, program)
            return Progress(state, jax.tree.map(jnp.add, progress.sums, metrics))

        progress = jax.lax.fori_loop(0, count, add_step, progress)
        return progress

    def chunk_from(first: jax.Array) -> tuple[Batch, Any]:
        indices = jnp.minimum(first + jnp.arange(chunk), steps - 1)
        prepared = jax.lax.map(lambda i: prepare(jax.tree.map(lambda x: x[i], inputs), True), indices)
        labels, *weights = jax.tree.map(lambda x: x[indices], targets)
        return Batch(prepared, labels, first, *weights), jnp.minimum(chunk, steps - first) if chunk > 1 else 1

    names = diagnostics.STEP_METRICS if program.diagnostics else diagnostics.ALWAYS
    # What all runs share of a batch is prepared outside of a run's steps, once for all of them.
    # The default precision of GPUs and TPUs is coarser than float32.
    with jax.default_matmul_precision(program.precision), traced_as(program.code):
        progress = Progress(state, TrainMetrics(jnp.float32(0), dict.fromkeys(names, jnp.float32(0))))
        if steps:
            progress, _ = jax.lax.scan(
                lambda progress, first: (train_steps(running, progress, hyperparameters, *chunk_from(first)), None),
                progress,
                jnp.arange(0, steps, chunk),
            )
        if batches.remaining:
            prepared, labels, *weights = jax.tree.map(
                lambda x: x[None], (prepare(batches.rest[0], True), *batches.rest[1:])
            )
            last = Batch(prepared, labels, jnp.int32(steps), *weights)
            progress = train_steps(running, progress, hyperparameters, last, 1)
        sharpness: jax.Array | tuple[()] = ()
        if program.sharpness:
            state, sharpness = measure(progress.state, hyperparameters, running, batches, program)
            progress = progress._replace(state=state)
        variables = judged(progress.state, hyperparameters.rule, running, batches, program)
        parts = [
            Part(evaluate(variables, running, part, program), part[2].sum())
            for part in (batches.val, batches.test)
            if part
        ]
        return conclude(progress, running, start, variables, parts, sharpness, limits, program)


def measured(batches: Batches, program: Program) -> tuple[str, ...]:
    """The names of the curves that an epoch reports on."""
    optional = (*(TEST_CURVES if batches.test else ()), *(("sharpness",) if program.sharpness else ()))
    own = [name for name, _ in program.metrics]
    return (*CURVES, *optional, *own, *(f"{TEST}{name}" for name in own if batches.test))


def chunk_of(inputs: PyTree, program: Program) -> int:
    """How many steps a run takes before it is the next one's turn, of training examples ``[T, B, ..]``: as many as
    there is room for the prepared batches, so that a run's arrays are fetched and put back less often."""
    batch = jax.tree.map(lambda x: jax.ShapeDtypeStruct(x.shape[1:], x.dtype), inputs)
    prepared = jax.eval_shape(lambda x: program.network.prepare(x, True), batch)
    size: int = sum(math.prod(x.shape) * x.dtype.itemsize for x in jax.tree.leaves(prepared))
    steps = len(jax.tree.leaves(inputs)[0])
    return max(min(program.strategy.chunk, steps, CHUNK_BYTES // max(size, 1)), 1)


def evaluate(
    variables: Variables, running: jax.Array, part: tuple[PyTree, PyTree, jax.Array], program: Program
) -> EvalMetrics:
    """Losses, hits and metrics over a part: examples, labels and weights in batches."""

    def of_batch(variables: Variables, prepared: PyTree, labels: PyTree, weights: jax.Array) -> EvalMetrics:
        return eval_step(variables, prepared, labels, weights, program)

    @program.strategy.batched
    def add_batch(
        sums: EvalMetrics, variables: Variables, prepared: PyTree, labels: PyTree, weights: jax.Array
    ) -> EvalMetrics:
        added: EvalMetrics = jax.tree.map(jnp.add, sums, of_batch(variables, prepared, labels, weights))
        return added

    def add_next(sums: EvalMetrics, batch: tuple[PyTree, PyTree, jax.Array]) -> tuple[EvalMetrics, None]:
        inputs, labels, weights = batch
        return add_batch(running, sums, variables, program.network.prepare(inputs, False), labels, weights), None

    none = EvalMetrics(jnp.float32(0), jnp.float32(0), {})
    if program.metrics:
        inputs, *targets = jax.tree.map(lambda x: x[0], part)
        shapes = jax.eval_shape(lambda x: of_batch(variables, program.network.prepare(x, False), *targets), inputs)
        none = jax.tree.map(lambda x: jnp.zeros(x.shape, x.dtype), shapes)
    sums, _ = jax.lax.scan(add_next, none, part)
    return sums


def conclude(
    progress: Progress,
    running: jax.Array,
    start: Start,
    variables: Variables,
    parts: Sequence[Part],
    sharpness: jax.Array | tuple[()],
    limits: Limits,
    program: Program,
) -> tuple[RunState, EpochReport]:
    """The end of an epoch: its row of figures, the stopping rule, the best weights.

    ``running`` and ``start`` are as they were before the first step; ``parts`` are the validation part and, if some of
    it is held back, the test part, of the ``variables`` that are judged.
    """
    trained = variables is progress.state.variables
    others = () if trained or not program.keep_best else variables

    # A run's turn like any step: what is computed for one run is then the same code however many runs there are.
    @program.strategy.batched
    def end_of_run(
        end: tuple[RunState, jax.Array],
        running: jax.Array,
        start: Start,
        others: Variables | tuple[()],
        train_sums: TrainMetrics,
        parts: Sequence[Part],
        sharpness: jax.Array | tuple[()],
        limits: Limits,
    ) -> tuple[RunState, jax.Array]:
        state, _ = end
        train_loss = train_sums.loss / program.steps
        (val_loss, val_accuracy), *test = [(sums.loss / count, sums.correct / count) for sums, count in parts]
        own = [{name: value(each, sums.own[name], count) for name, each in program.metrics} for sums, count in parts]
        nan = jnp.float32(jnp.nan)
        distance = diagnostics.distance(start.params, state.variables.params) if program.diagnostics else nan
        oscillation, update_size, *norms = (
            train_sums.diagnostics[name] / program.steps if program.diagnostics else nan
            for name in diagnostics.STEP_METRICS
        )
        optional = [*(number for of_part in test for number in of_part), *jax.tree.leaves(sharpness)]
        optional += [of_part[name] for of_part in own for name, _ in program.metrics]
        row = jnp.stack([train_loss, val_loss, val_accuracy, oscillation, update_size, distance, *norms, *optional])

        number = state.epoch + 1
        finite = jnp.isfinite(train_loss) & jnp.isfinite(val_loss)
        finite &= sound(state, start) & ~stuck(state, start, train_sums)
        monitored = {"val_loss": val_loss, "val_accuracy": val_accuracy, **own[0]}[program.monitor]
        cost = -monitored if program.maximize else monitored
        stopping, improved = early_stopping.observe(state.stopping, number, cost)
        status = early_stopping.verdict(stopping, number, finite, limits, stop_on_nonfinite=program.stop_on_nonfinite)
        state = state._replace(
            epoch=jnp.where(running, number, state.epoch),
            status=jnp.where(running, status, state.status),
            stopping=select(running, stopping, state.stopping),
            best=select(running & improved, others or state.variables, state.best) if program.keep_best else (),
        )
        return state, row

    more = len(TEST_CURVES) * (len(parts) - 1) + bool(program.sharpness) + len(program.metrics) * len(parts)
    end = (progress.state, jnp.zeros(len(CURVES) + more, jnp.float32))
    state, row = end_of_run(running, end, running, start, others, progress.sums, parts, sharpness, limits)
    return state, EpochReport(running, state.status, row)


def sound(state: RunState, start: Start) -> jax.Array:
    """Whether a run's weights and what its rule remembers are finite, as its losses alone do not tell: where the square
    of a gradient is beyond float32 a second moment becomes infinite and every later update 0.

    A single number may be infinite if it was so before the epoch: rules begin with an infinite least loss, and take a
    limit that is none.
    """
    kept = [jnp.isfinite(x) | ~jnp.isfinite(old) for x, old in zip(_scalars(state), start.scalars, strict=True)]
    arrays = [jnp.isfinite(x).all() for x in _numbers(state) if x.ndim]
    return jnp.stack([*kept, *arrays]).all() if kept or arrays else jnp.bool_(True)


def stuck(state: RunState, start: Start, sums: TrainMetrics) -> jax.Array:
    """Whether an array of weights has not moved in an epoch in which the norm of a gradient is beyond float32.

    Rules that divide by a norm, of all or of one array, as those that clip by it, then make updates 0 and need not
    remember why.
    """
    pairs = zip(jax.tree.leaves(state.variables.params), jax.tree.leaves(start.params), strict=True)
    still = [(new == old).all() for new, old in pairs if new.size]
    return jnp.stack([*still, jnp.bool_(False)]).any() & ~jnp.isfinite(sums.diagnostics["grad_norm"])


def _numbers(state: RunState) -> list[jax.Array]:
    leaves = jax.tree.leaves((state.variables.params, state.opt_state))
    return [x for x in leaves if jnp.issubdtype(x.dtype, jnp.inexact)]


def _scalars(state: RunState) -> list[jax.Array]:
    return [x for x in _numbers(state) if not x.ndim]


def select(condition: jax.Array, new: PyTree, old: PyTree) -> PyTree:
    """``new`` where the scalar condition holds, else ``old``."""
    return jax.tree.map(lambda a, b: jnp.where(condition, a, b), new, old)
