"""Many runs at once: the only place with jit, vmap and shard_map.

The run axis, length K, is split over the devices; each device trains its K / D slots with no word to the others.
"""

import functools
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import AxisType, Mesh, NamedSharding, PartitionSpec

from jaxopt_study.data.dataset import Batches
from jaxopt_study.engine.decompositions import never_waiting, one_by_one
from jaxopt_study.grids.run import Run, Signature, signature
from jaxopt_study.identity import traced_as
from jaxopt_study.optimizers import registry
from jaxopt_study.training import early_stopping
from jaxopt_study.training.early_stopping import Limits
from jaxopt_study.training.epoch import epoch, measured, select
from jaxopt_study.training.rules import Hyperparameters
from jaxopt_study.training.step import Program, RunState, init_run, shapes

PyTree = Any
AXIS = "runs"


class Calls(NamedTuple):
    """The jitted functions over K runs; ``states`` are donated.

    Attributes:
        fill: ``(states, hyperparameters [K], seeds [K], mask [K]) -> states`` with new runs where the mask is true.
        insert: ``(states, incoming, mask [K]) -> states`` with the incoming states where the mask is true.
        epoch: ``(states, hyperparameters, limits, batches) -> states, report``, all with axis K.
        move: ``(states, slots [L]) -> states`` with axis L: slot i holds what slot ``slots[i]`` held, or is idle where
            that is negative.
    """

    fill: Callable[..., RunState]
    insert: Callable[..., RunState]
    epoch: Any
    move: Callable[..., RunState]


class Sweep:
    """K slots on devices of one platform, each of which holds the data; ``batches`` are on the host.

    ``span`` says of a run how many epochs a schedule over all of it has, where its rule asks for them.

    On a CPU the devices share the host's arrays (see ``data.dataset.aligned``), which must not change from then on.
    """

    def __init__(
        self,
        program: Program,
        batches: Batches,
        devices: Sequence[jax.Device],
        span: Callable[[Run], int] = lambda run: 1,
    ) -> None:
        self.devices = tuple(devices)
        self.program, self.span = never_waiting(program, batches, self.devices[0]), span
        self.mesh = Mesh(np.array(self.devices), (AXIS,), axis_types=(AxisType.Auto,))
        self.calls = jitted(self.program, self.mesh)
        self.batches: Batches = jax.device_put(batches, NamedSharding(self.mesh, PartitionSpec()))
        self.curves = measured(batches, self.program)
        self.by_run = NamedSharding(self.mesh, PartitionSpec(AXIS))
        with traced_as(program.code):
            params = jax.eval_shape(lambda: program.network.init(jax.random.key(0))).params
            self.memory, layouts = program.rules.layouts(params)
        signatures = [Signature(rule.name, rule.names) for rule in program.rules.each]
        self.places = {known: place for place, known in enumerate(signatures)}
        self.layouts = dict(zip(signatures, layouts, strict=True))
        self._compiled: dict[tuple[str, int], Any] = {}
        self.compile_seconds = 0.0
        self.compilations = 0
        self.memory_bytes = 0

    def peak_bytes(self) -> int:
        """Of all devices while they train; what CPU devices share is counted once."""
        shared = sum(x.nbytes for x in jax.tree.leaves(self.batches)) if self.devices[0].platform == "cpu" else 0
        return max(0, len(self.devices) * (self.memory_bytes - shared) + shared) if self.memory_bytes else 0

    def padded(self, slots: int) -> int:
        """The number of slots that ``slots`` become, so that every device has the same number."""
        return -(-slots // len(self.devices)) * len(self.devices)

    def stacked(self, runs: Sequence[Run], span: Callable[[Run], int] | None = None) -> Hyperparameters:
        """The rules and numbers of runs, on the host, with axis K; a number that a run's rule does not take is 1.
        ``span`` takes the place of the sweep's."""
        span = span or self.span
        whole = [registry.family(run.optimizer).whole_run for run in runs]
        spans = [{"max_epochs": span(run)} if of_run else {} for run, of_run in zip(runs, whole, strict=True)]
        given = [dict(run.hyperparameters) | of_run for run, of_run in zip(runs, spans, strict=True)]
        numbers: Any = {
            name: np.array([of_run.get(name, 1.0) for of_run in given], np.float32) for name in self.program.rules.names
        }
        rules: Any = np.array([self.places[signature(run)] for run in runs], np.int32)
        return Hyperparameters(rules, numbers)

    def own_shapes(self) -> dict[Signature, RunState]:
        """Shapes and types of a run's state as it is kept, by the signature of its rule."""
        state, _ = shapes(self.program)
        return {known: state._replace(opt_state=own.state(self.memory)) for known, own in self.layouts.items()}

    def own_state(self, run: Run, state: RunState) -> RunState:
        """A host state out of a slot with the state of its rule itself, as it is kept."""
        return state._replace(opt_state=self.layouts[signature(run)].state(state.opt_state))

    def slot_state(self, run: Run, state: RunState) -> RunState:
        """A kept state as it is in a slot."""
        empty = [np.zeros(x.shape, x.dtype) for x in self.memory]
        return state._replace(opt_state=self.layouts[signature(run)].stored(state.opt_state, empty))

    def put(self, tree: PyTree) -> PyTree:
        """Host arrays with a leading run axis, laid out over the devices."""
        return jax.device_put(tree, self.by_run)

    def arguments(self, slots: int) -> tuple[RunState, Hyperparameters, Limits, Batches]:
        """Shapes, types and layout of what an epoch of so many slots takes."""

        def of_run(x: Any) -> jax.ShapeDtypeStruct:
            return jax.ShapeDtypeStruct((slots, *x.shape), x.dtype, sharding=self.by_run)

        whole: Any = jax.ShapeDtypeStruct((), jnp.int32)
        arguments = jax.tree.map(of_run, (*shapes(self.program), Limits(whole, whole)))
        return (*arguments, self.batches)

    def idle(self, slots: int) -> RunState:
        """States of ``slots`` slots without a run."""
        zeros: RunState = jax.tree.map(lambda x: np.zeros(x.shape, x.dtype), self.arguments(slots)[0])
        idle: Any = np.full(slots, early_stopping.IDLE, np.int32)
        placed: RunState = self.put(zeros._replace(status=idle))
        return placed

    def fill(self, states: RunState, hyperparameters: Hyperparameters, seeds: PyTree, mask: PyTree) -> RunState:
        """Begins new runs in the slots where the mask is true."""
        filled: RunState = self.compiled("fill", len(states.status))(states, hyperparameters, seeds, mask)
        return filled

    def insert(self, states: RunState, incoming: Mapping[int, RunState]) -> RunState:
        """Puts host states, by slot, into their slots."""
        slots = len(states.status)
        mask = np.isin(np.arange(slots), list(incoming))

        def stacked(*leaves: np.ndarray) -> np.ndarray:
            rows = np.zeros((slots, *leaves[0].shape), leaves[0].dtype)
            rows[list(incoming)] = np.stack(leaves)
            return rows

        return self.calls.insert(states, *self.put((jax.tree.map(stacked, *incoming.values()), mask)))

    def move(self, states: RunState, slots: np.ndarray) -> RunState:
        """Rearranges slots: slot i of the result is ``slots[i]`` of the old, or idle where that is negative."""
        return self.calls.move(states, self.put(slots.astype(np.int32)))

    def compiled(self, call: str, slots: int) -> Any:
        """The executable of ``epoch`` or ``fill`` of so many slots; compiled once a process, whatever the numbers."""
        if (call, slots) in self._compiled:  # asked for at every epoch
            return self._compiled[call, slots]
        states, hyperparameters, limits, batches = self.arguments(slots)
        of_run = jax.ShapeDtypeStruct((slots,), jnp.uint32, sharding=self.by_run)
        arguments = {
            "epoch": (states, hyperparameters, limits, batches),
            "fill": (states, hyperparameters, of_run, of_run.update(dtype=jnp.bool_)),
        }[call]
        program = self.program
        if slots == len(self.devices):  # runs that have a device each wait for none: a chunk would only leave the cache
            program = program._replace(strategy=program.strategy._replace(chunk=1))
        key = (call, program, self.mesh, *((x.shape, str(x.dtype)) for x in jax.tree.leaves(arguments)))
        if key not in _EXECUTABLES:
            begin = time.perf_counter()
            options = COMPILER_OPTIONS.get((self.devices[0].platform, call))
            calls = jitted(program, self.mesh)
            _EXECUTABLES[key] = getattr(calls, call).lower(*arguments).compile(compiler_options=options)
            self.compile_seconds += time.perf_counter() - begin
            self.compilations += call == "epoch"
        executable = self._compiled[call, slots] = _EXECUTABLES[key]
        if call == "epoch":
            self.memory_bytes = max(self.memory_bytes, memory_of(executable))
        return executable


_EXECUTABLES: dict[Any, Any] = {}
COMPILER_OPTIONS: dict[tuple[str, str], dict[str, str]] = {
    # XLA leaves half of a CPU's 512-bit vectors unused where they are there: 3 to 5% of an epoch.
    ("cpu", "epoch"): {"xla_cpu_prefer_vector_width": "512"},
    # Optimized as usual, the random numbers of a dozen arrays take a CPU 17 s to compile instead of 3, and the program
    # that comes out is no faster.
    ("cpu", "fill"): {"xla_backend_optimization_level": "1"},
}
"""By platform and call, where they differ from XLA's own."""


@functools.cache
def jitted(program: Program, mesh: Mesh) -> Calls:
    """The jitted functions for a program; made once, so that a second grid finds them traced."""
    runs, everywhere = PartitionSpec(AXIS), PartitionSpec()
    by_run = NamedSharding(mesh, runs)

    def fill(states: RunState, hyperparameters: Hyperparameters, seeds: jax.Array, mask: jax.Array) -> RunState:
        begin = one_by_one(functools.partial(init_run, program=program), program, mesh.devices.flat[0])
        fresh = jax.vmap(begin)(seeds, hyperparameters)
        filled: RunState = jax.vmap(select)(mask, fresh, states)
        return filled

    def insert(states: RunState, incoming: RunState, mask: jax.Array) -> Any:
        return jax.vmap(select)(mask, incoming, states)

    def move(states: RunState, slots: jax.Array) -> RunState:
        moved: RunState = jax.tree.map(lambda x: x[jnp.maximum(slots, 0)], states)
        return moved._replace(status=jnp.where(slots < 0, early_stopping.IDLE, moved.status))

    sharded = jax.shard_map(
        jax.vmap(functools.partial(epoch, program=program), in_axes=(0, 0, 0, None)),
        mesh=mesh,
        in_specs=(runs, runs, runs, everywhere),
        out_specs=runs,
        check_vma=False,
    )
    return Calls(
        fill=jax.jit(fill, donate_argnums=0, out_shardings=by_run),
        insert=jax.jit(insert, donate_argnums=0, out_shardings=by_run),
        epoch=jax.jit(sharded, donate_argnums=0, out_shardings=by_run),
        move=jax.jit(move, out_shardings=by_run),
    )


def memory_of(executable: Any) -> int:
    """Bytes that a device holds while the executable runs: arguments, results and temporaries, aliases once."""
    analysis = executable.memory_analysis()
    if analysis is None:  # not every backend tells
        return 0
    sizes = analysis.argument_size_in_bytes + analysis.output_size_in_bytes + analysis.temp_size_in_bytes
    return int(sizes - analysis.alias_size_in_bytes)
