"""What a run carries, one training step and one validation step of a single run, and how a step of many is executed.

As one batched program, or run after run: both mean the same; which is faster depends on the device. An accelerator
wants one large program. A CPU core wants the arrays of one run in its cache, so there the runs take turns inside the
step, and a slot without a run costs nothing.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from jax import custom_batching

from jaxopt_study.identity import traced_as
from jaxopt_study.kernels import calls
from jaxopt_study.models.network import Network, Variables
from jaxopt_study.training import diagnostics, early_stopping
from jaxopt_study.training.early_stopping import RUNNING, Stopping
from jaxopt_study.training.losses import Loss, batch_mean, weighted_sum
from jaxopt_study.training.metrics import Metric, sums
from jaxopt_study.training.rules import Hyperparameters, Memory, Moved, Rules

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
        in_turn: whether the runs take turns, so that a step is one of a single run.
    """

    batched: Callable[[Step], BatchedStep]
    chunk: int
    in_turn: bool


class Program(NamedTuple):
    """The static parts that an epoch is compiled from.

    Attributes:
        network: of all runs.
        loss: what is minimised.
        rules: of the runs, each of which has one of them.
        diagnostics: whether to measure the steps.
        stop_on_nonfinite: whether a run ends in the epoch in which it stops being finite (`epoch.sound`).
        keep_best: whether a run keeps its variables at the lowest validation loss.
        steps: training steps in an epoch.
        strategy: how many runs are executed.
        precision: of products, as JAX names it.
        sharpness: epochs from one measurement to the next; 0 is none at all.
        metrics: of the user's own, by name.
        monitor: the name of what the stopping rule and the best weights go by.
        maximize: whether that is to be large.
        weighted: whether examples have weights of their own.
        code: identities of the user's own code in it, since the same function may have become another by its globals.
    """

    network: Network
    loss: Loss
    rules: Rules
    diagnostics: bool
    stop_on_nonfinite: bool
    keep_best: bool
    steps: int
    strategy: Strategy
    precision: str = "float32"
    sharpness: int = 0
    metrics: tuple[tuple[str, Metric], ...] = ()
    monitor: str = "val_loss"
    maximize: bool = False
    weighted: bool = False
    code: tuple[str, ...] = ()


class RunState(NamedTuple):
    """Everything that a run carries from step to step.

    Attributes:
        variables: weights and running statistics.
        opt_state: of the update rule, in a memory that any rule of the program fits into (see rules.py). The rule
            itself is built from the hyperparameters in every step.
        signs: int8 matrices, of the last update as diagnostics.joined has it; empty without diagnostics.
        seed: uint32 scalar, seeds weights and dropout.
        epoch: int32 scalar, epochs trained.
        status: int32 scalar, see early_stopping.
        stopping: the stopping rule's memory.
        best: the variables at the lowest validation loss; empty unless they are asked for.
        direction: where to look for the largest curvature, float32 [weights]; empty unless it is measured.
    """

    variables: Variables
    opt_state: Memory
    signs: PyTree
    seed: jax.Array
    epoch: jax.Array
    status: jax.Array
    stopping: Stopping
    best: PyTree
    direction: PyTree = ()


class Batch(NamedTuple):
    """Training examples of one step: as ``network.prepare`` gives them, labels ``[B]``, the number of the step within
    the epoch from 0, int32, and perhaps weights ``[B]``. Of a chunk of steps all have a leading axis ``[T]`` but
    ``step``, its first."""

    prepared: PyTree
    labels: PyTree
    step: jax.Array
    weights: jax.Array | None = None


class TrainMetrics(NamedTuple):
    """Float32 scalars of a step, or their sums over an epoch: mean loss of the batch; what diagnostics measure, where
    the norm of the gradient is always."""

    loss: jax.Array
    diagnostics: dict[str, jax.Array]


class EvalMetrics(NamedTuple):
    """Float32 sums over examples; those of metrics of the user's own by name."""

    loss: jax.Array
    correct: jax.Array
    own: dict[str, PyTree]


def init_run(seed: jax.Array, hyperparameters: Hyperparameters, program: Program) -> RunState:
    """The state of a run before its first epoch; the weights depend on the seed alone."""
    with traced_as(program.code):
        variables = program.network.init(jax.random.fold_in(jax.random.key(0), seed))
        opt_state = program.rules.init(hyperparameters, variables.params)
    return RunState(
        variables=variables,
        opt_state=opt_state,
        signs=diagnostics.no_signs(variables.params) if program.diagnostics else (),
        seed=seed,
        epoch=jnp.int32(0),
        status=jnp.int32(RUNNING),
        stopping=early_stopping.start(),
        best=variables if program.keep_best else (),
        direction=random_direction(seed, variables.params) if program.sharpness else (),
    )


def random_direction(seed: jax.Array, params: PyTree) -> jax.Array:
    """Where the first search for the largest curvature begins, float32 [weights]."""
    size = sum(x.size for x in jax.tree.leaves(params))
    return jax.random.normal(jax.random.fold_in(jax.random.key(2), seed), (size,))


def shapes(program: Program) -> tuple[RunState, Hyperparameters]:
    """Shapes and types of a run's state and of its hyperparameters."""
    scalar = jax.ShapeDtypeStruct((), jnp.float32)
    numbers: Any = dict.fromkeys(program.rules.names, scalar)
    own: Any = Hyperparameters(scalar.update(dtype=jnp.int32), numbers)
    seed = scalar.update(dtype=jnp.uint32)
    state: RunState = jax.eval_shape(lambda seed, own: init_run(seed, own, program), seed, own)
    return state, own


def dropout_key(seed: jax.Array, epoch: jax.Array, step: jax.Array) -> jax.Array:
    """The key of a step: a function of the run's own seed, epoch and step, and of nothing else."""
    key = jax.random.fold_in(jax.random.key(1), seed)
    return jax.random.fold_in(jax.random.fold_in(key, epoch), step)


def train_step(
    state: RunState, hyperparameters: Hyperparameters, batch: Batch, program: Program
) -> tuple[RunState, TrainMetrics]:
    """Gradient of the mean loss of the batch, update, diagnostics.

    A rule that asks for extra arguments, as Optax names them, gets the loss ``value``, its gradient ``grad``, and
    functions of the weights, with the batch and the dropout of this step: ``value_fn`` and ``grad_fn``, for line
    searches and ascents, and ``obj_fn``, the same loss, which can be differentiated twice.

    Args:
        state: of the run.
        hyperparameters: its rule and its numbers.
        batch: of one step.
        program: static.
    """
    params = state.variables.params
    key = dropout_key(state.seed, state.epoch, batch.step)

    def mean_loss(params: PyTree) -> tuple[jax.Array, PyTree]:
        logits, stats = program.network.train(Variables(params, state.variables.stats), batch.prepared, key)
        return batch_mean(program.loss.per_example(logits, batch.labels), batch.weights), stats

    (loss, stats), grads = jax.value_and_grad(mean_loss, has_aux=True)(params)

    def value_fn(params: PyTree, obj_fn: object = None, grad_fn: object = None) -> jax.Array:
        del obj_fn, grad_fn  # line searches hand on whatever they do not take themselves
        return mean_loss(params)[0]

    def obj_fn(params: PyTree) -> jax.Array:
        with calls.switched_off():
            return value_fn(params)

    def grad_fn(params: PyTree, step: object = None) -> PyTree:
        del step  # SAM counts its ascents, all of them on this batch
        return jax.grad(value_fn)(params)

    def move(updates: PyTree, moved: Moved) -> Moved:
        if not program.diagnostics:
            return moved._replace(params=optax.apply_updates(moved.params, updates))
        params, measured, signs = diagnostics.apply(
            grads, updates, moved.params, moved.signs, cuda=program.network.cuda
        )
        return Moved(params, signs, measured)

    if program.diagnostics:
        measured = dict.fromkeys(diagnostics.STEP_METRICS, jnp.float32(0))
    else:
        measured = {"grad_norm": diagnostics.norm(diagnostics.joined(grads))}
    moved = Moved(params, state.signs, measured)
    asked = {"value": loss, "grad": grads, "value_fn": value_fn, "obj_fn": obj_fn, "grad_fn": grad_fn}
    if program.strategy.in_turn:
        step = program.rules.update_in_turn(hyperparameters, grads, state.opt_state, moved, move, **asked)
        moved, opt_state = step
    else:
        updates, opt_state = program.rules.update(hyperparameters, grads, state.opt_state, params, **asked)
        moved = move(updates, moved)
    state = state._replace(variables=Variables(moved.params, stats), opt_state=opt_state, signs=moved.signs)
    return state, TrainMetrics(loss, moved.measured)


def eval_step(
    variables: Variables, prepared: PyTree, labels: PyTree, weights: jax.Array, program: Program
) -> EvalMetrics:
    """The losses, hits and metrics of a batch, each example times its weight (0 for padding), ``[B]``."""
    logits = program.network.evaluate(variables, prepared)
    losses, correct = (
        weighted_sum(measure(logits, labels), weights, weighted=program.weighted) for measure in program.loss
    )
    return EvalMetrics(losses, correct, {name: sums(own, logits, labels, weights) for name, own in program.metrics})


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


STRATEGIES = {"vmap": Strategy(vmapped, 1, in_turn=False), "map": Strategy(in_turn, 8, in_turn=True)}
