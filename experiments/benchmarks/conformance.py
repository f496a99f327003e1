"""Does every first-order optimizer of the installed Optax, every rule of ours and every wrapper work in the engine?

    python -m experiments.benchmarks.conformance
    python -m experiments.benchmarks.conformance --output=docs/conformance.md

Two minutes on two cores. For each function of ``optax`` and ``optax.contrib``, partials included, that takes a learning
rate and returns a transformation, for each rule of the registry and for wrappers around some of them: two runs trained
together equal each trained alone, the state keeps its shapes, other numbers compile nothing, and an epoch after a
checkpoint is the epoch without it to the bit. Those that cannot are listed with a reason.
"""

import inspect
import tempfile
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

import jax
import numpy as np
import optax
from absl import flags
from rich.console import Console
from rich.table import Table

import jaxopt_study as js
from experiments.benchmarks import common
from experiments.command import flags as command
from jaxopt_study.data.arrays import arrays
from jaxopt_study.engine import devices
from jaxopt_study.engine.sweep import Sweep
from jaxopt_study.engine.trainer import Trainer
from jaxopt_study.errors import InputError
from jaxopt_study.grids.run import make_run
from jaxopt_study.optimizers import cautious, registry, sam
from jaxopt_study.optimizers.family import Family
from jaxopt_study.optimizers.foreign import rule
from jaxopt_study.optimizers.parts import Factory, label
from jaxopt_study.optimizers.wrapped import wrapped
from jaxopt_study.settings import Execution, Settings
from jaxopt_study.storage.checkpoint import Checkpoints
from jaxopt_study.storage.parked import Parked
from jaxopt_study.training.early_stopping import Limits
from jaxopt_study.training.step import Batch, Program, RunState, init_run, train_step

PyTree = Any
OUTPUT = flags.DEFINE_string("output", None, "File for the page of the documents.", allow_override=True)
BATCH, STEPS = 4, 3
RATES, OTHER_RATES = (0.003, 0.1), (0.02, 0.3)


class Row(NamedTuple):
    """What was found of one optimizer: whether each property holds; or ``reason``, why it cannot be run at all."""

    name: str
    equals_alone: bool = False
    keeps_shapes: bool = False
    compiles_once: bool = False
    resumes: bool = False
    numbers: tuple[str, ...] = ()
    reason: str = ""

    @property
    def conforms(self) -> bool:
        """Whether all properties hold."""
        return self.equals_alone and self.keeps_shapes and self.compiles_once and self.resumes


def aliases(module: ModuleType = optax) -> dict[str, Factory]:
    """The functions of a module that take a learning rate and return a transformation, by name; wrappers are
    :data:`WRAPPERS`."""

    def is_function(value: object) -> bool:
        return inspect.isfunction(value) or isinstance(value, partial)

    return {
        name: function
        for name, function in inspect.getmembers(module, is_function)
        if not name.startswith(("_", "scale_by_")) and _has_rate(function) and not _is_wrapper(function)
    }


def _has_rate(function: Factory) -> bool:
    return any(argument.endswith("learning_rate") for argument in inspect.signature(function).parameters)


def _is_wrapper(function: Factory) -> bool:
    return next(iter(inspect.signature(function).parameters)).endswith("optimizer")


WRAPPERS: Mapping[str, Mapping[str, Any]] = {
    "lookahead": {"wrapper": optax.lookahead, "static": {"sync_period": 2, "slow_step_size": 0.5}},
    "sam": {"wrapper": sam},
    "schedule_free": {"wrapper": optax.contrib.schedule_free},
    "cautious": {"wrapper": cautious},
    "mechanize": {"wrapper": optax.contrib.mechanize, "static": {"eps": 1e-8}},
}
"""By their names, as :func:`jaxopt_study.wrapped` takes them."""
WITHIN: Mapping[str, Mapping[str, float]] = {"sgd": {}, "adam": {"b1": 0.0, "eps": 1e-7}, "muon": {}}
"""Rules that they go around, with values of numbers that a wrapper's take the place of."""


def candidates() -> Iterator[tuple[str, Callable[[], Family]]]:
    """Everything that is examined: its name, and what makes a rule of it."""
    yield from ((name, partial(registry.family, name)) for name in registry.OPTIMIZERS)
    for name, wrapper in WRAPPERS.items():
        for of, numbers in WITHIN.items():
            yield f"{name} of {of}", partial(wrapped, optimizer=of, inner=numbers, **wrapper)
    for module in (optax, optax.contrib):
        for function in aliases(module).values():
            static = {"key": 0} if "key" in inspect.signature(function).parameters else {}  # noise needs one
            yield label(function), partial(rule, function, static=static)


def rate_of(family: Family) -> str:
    """The name of its learning rate."""
    return next(name for name in family.known() if name.endswith("learning_rate"))


def examined(name: str, make: Callable[[], Family], folder: Path) -> Row:
    """Runs one optimizer through the engine."""
    try:
        family = make()
    except InputError as error:
        return Row(name, reason=str(error).partition(": ")[2])
    study = study_of(family, RATES, folder)
    program = study.program(study.groups[0], "vmap")
    sweep = Sweep(program, study.batches(BATCH), devices.choose(1))
    states, numbers = filled(sweep, study)
    before = shapes_of(states)
    first = jax.device_get(trained(sweep, states, numbers))
    other = Sweep(program, study.batches(BATCH), devices.choose(1))
    other_states, other_numbers = filled(other, study_of(family, OTHER_RATES, folder))
    trained(other, other_states, other_numbers)
    return Row(
        name,
        equals_alone=all(close(run_alone(program, sweep, study, i), slot(first, i)) for i in range(2)),
        keeps_shapes=before == shapes_of(first),
        compiles_once=other.compile_seconds == 0,
        resumes=resumes(sweep, study, first, numbers, folder),
        numbers=tuple(number.name for number in (*family.hyperparameters, *family.optional)),
    )


def study_of(family: Family, rates: tuple[float, ...], folder: Path) -> Trainer:
    """Two runs of a linear model on made examples."""
    runs = [make_run(family.name, {rate_of(family): rate}, seed) for seed, rate in enumerate(rates)]
    settings = Settings(batch_size=BATCH, max_epochs=9, patience=9, diagnostics=False)
    return Trainer(settings, DATA, runs, folder, model=MODEL, execution=Execution(devices=1, strategy="vmap"))


def filled(sweep: Sweep, study: Trainer) -> tuple[RunState, PyTree]:
    """Both runs at their beginning, and what an epoch of theirs takes."""
    numbers = sweep.stacked(study.runs)
    bounds: Any = np.full(2, 9, np.int32)
    states = sweep.fill(sweep.idle(2), *sweep.put((numbers, np.arange(2, dtype=np.uint32), np.ones(2, bool))))
    return states, sweep.put((numbers, Limits(bounds, bounds)))


def trained(sweep: Sweep, states: RunState, numbers: PyTree) -> RunState:
    """Both runs after an epoch."""
    after: RunState = sweep.compiled("epoch", 2)(states, *numbers, sweep.batches)[0]
    return after


def run_alone(program: Program, sweep: Sweep, study: Trainer, i: int) -> RunState:
    """An epoch of one run: the plain step, step after step."""
    numbers = jax.tree.map(lambda x: jax.numpy.asarray(x[i]), sweep.stacked(study.runs))

    def step(state: RunState, images: jax.Array, labels: jax.Array, index: jax.Array) -> RunState:
        batch = Batch(program.network.prepare(images, True), labels, index)
        return train_step(state, numbers, batch, program)[0]

    state, compiled = init_run(jax.numpy.uint32(i), numbers, program), jax.jit(step)
    for index in range(STEPS):
        state = compiled(state, *(x[index] for x in sweep.batches.train), jax.numpy.int32(index))
    return state


def resumes(sweep: Sweep, study: Trainer, states: RunState, numbers: PyTree, folder: Path) -> bool:
    """Whether the next epoch is the same after a checkpoint was written and read."""
    checkpoints = Checkpoints(folder / "checkpoints", study.identity, study.fingerprint)
    rows = np.zeros((1, 9), np.float32)
    checkpoints.save({run: Parked(rows, sweep.own_state(run, slot(states, i))) for i, run in enumerate(study.runs)})
    checkpoints.wait()
    parked = checkpoints.load(study.runs, sweep.own_shapes())
    checkpoints.clear()
    checkpoints.close()
    incoming = {i: sweep.slot_state(run, parked[run].state) for i, run in enumerate(study.runs)}
    inserted = sweep.insert(sweep.idle(2), incoming)
    resumed, straight = (leaves(trained(sweep, x, numbers)) for x in (inserted, sweep.put(states)))
    return all(np.array_equal(a, b, equal_nan=True) for a, b in zip(resumed, straight, strict=True))


def leaves(tree: PyTree) -> list[np.ndarray]:
    """Its arrays."""
    return [np.asarray(x) for x in jax.tree.leaves(tree)]


def slot(states: RunState, i: int) -> RunState:
    """One run of several."""
    run: RunState = jax.tree.map(lambda x: x[i], states)
    return run


def shapes_of(tree: PyTree) -> list[tuple[Any, Any]]:
    """Of all arrays."""
    return [(x.shape, x.dtype) for x in jax.tree.leaves(tree)]


def close(one: RunState, other: RunState) -> bool:
    """Whether weights agree to rounding."""
    pairs = zip(leaves(one.variables.params), leaves(other.variables.params), strict=True)
    return all(np.allclose(a, b, rtol=1e-4, atol=1e-6) for a, b in pairs)


def _data() -> js.Dataset:
    rng = np.random.default_rng(0)
    images = rng.normal(size=(BATCH * STEPS + 4, 5)).astype(np.float32)
    labels = np.arange(len(images)) % 3
    return arrays(images[:-4], labels[:-4], images[-4:], labels[-4:])


def _start(key: jax.Array, x: jax.Array) -> Mapping[str, jax.Array]:
    return {"w": jax.random.normal(key, (x.shape[-1], 3)), "b": jax.numpy.full(3, 0.1)}


def _apply(params: Mapping[str, jax.Array], x: jax.Array) -> jax.Array:
    return x @ params["w"] + params["b"][None]


DATA = _data()
MODEL = js.functions(_start, _apply, "linear")


def table(rows: list[Row]) -> Table:
    """A row an optimizer."""
    columns = ("optimizer", "equals alone", "keeps shapes", "compiles once", "resumes", "numbers that may be axes")
    cells = []
    for row in rows:
        marks = (row.equals_alone, row.keeps_shapes, row.compiles_once, row.resumes)
        shown = [""] * 4 if row.reason else ["yes" if mark else "NO" for mark in marks]
        cells.append((row.name, *shown, row.reason or ", ".join(row.numbers)))
    conforming = sum(row.conforms for row in rows)
    title = f"Optax {optax.__version__} in the engine: {conforming} of {len(rows)} conform"
    return common.table(title, columns, cells, left=columns)


def page(rows: list[Row]) -> str:
    """The page of the documents: which optimizers can be used, with which axes, and why others cannot."""
    lines = [
        "# Which optimizers run",
        "",
        f"Made by `python -m experiments.benchmarks.conformance --output=docs/conformance.md` with Optax "
        f"{optax.__version__}: {sum(row.conforms for row in rows)} of {len(rows)} conform.",
        "",
        "An optimizer conforms if two runs of it in one program equal each trained alone, its state keeps its shapes,",
        "other numbers compile nothing, and an epoch after a checkpoint is the epoch without it, bit for bit.",
        '`lookahead of adam` is `js.wrapped(optax.lookahead, "adam", ..)`; names without a dot are rules of ours.',
        "",
        "| optimizer | conforms | numbers that may be axes, or why it cannot run |",
        "| --- | --- | --- |",
    ]
    lines += [f"| `{row.name}` | {'yes' if row.conforms else 'no'} | {told(row)} |" for row in rows]
    return "\n".join([*lines, ""])


def told(row: Row) -> str:
    """The numbers of an optimizer that may be axes, or why it cannot run, as the page has them."""
    return row.reason.replace("|", "/") or ", ".join(f"`{number}`" for number in row.numbers)


def run() -> None:
    """From the optimizers to the table, and to the page if there is a place for it."""
    with tempfile.TemporaryDirectory() as folder:
        rows = [examined(name, make, Path(folder) / str(i)) for i, (name, make) in enumerate(candidates())]
    Console(width=150).print(table(rows))
    if OUTPUT.value:
        Path(OUTPUT.value).write_text(page(rows))


if __name__ == "__main__":
    command.start(run)
