"""What would XLA make of the study's epoch on an H100? (compiled on a machine without one)

    pip install "jax-cuda13-plugin==VERSION" "jax-cuda13-pjrt==VERSION"      # of jaxlib's version; no more of CUDA
    python -m experiments.benchmarks.described --slots=1,64

A minute a program on two cores. The kernels of a training step, the bytes that they read and write for an example and
configuration, the memory of a slot, and the precisions of the products. What cannot be told here is time: XLA chooses
among kernels by timing them, which is left out without the device. Expected: see the README beside this file.
"""

import json
import os
import time
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from absl import flags
from jax.experimental import topologies
from jax.sharding import AxisType, Mesh, NamedSharding, PartitionSpec
from rich.console import Console

from experiments.benchmarks import common
from experiments.benchmarks.compiled import Step, step_of
from experiments.command import flags as command
from jaxopt_study.data.dataset import Batches
from jaxopt_study.engine import devices
from jaxopt_study.engine.definition import VAL_BATCH
from jaxopt_study.engine.groups import rule_of
from jaxopt_study.engine.sweep import AXIS, jitted
from jaxopt_study.errors import EnvironmentFault, InputError
from jaxopt_study.files import write_text
from jaxopt_study.grids.run import Signature
from jaxopt_study.kernels import compiled, cuda_library
from jaxopt_study.models import article, article_fast
from jaxopt_study.optimizers import registry
from jaxopt_study.settings import PRECISIONS
from jaxopt_study.training.early_stopping import Limits
from jaxopt_study.training.losses import LOSSES
from jaxopt_study.training.rules import Rules
from jaxopt_study.training.step import STRATEGIES, Program, shapes

WITHOUT_DEVICE = {"xla_gpu_autotune_level": "0"}
OWN = ("cuda", "cuda_linked")
TRAINING, VALIDATION, BATCH = 18_610, 4_652, 32
"""The photographs, and the article's batch."""
H100 = {
    "threads_per_block_limit": 1024, "threads_per_warp": 32, "shared_memory_per_block": 49152,
    "shared_memory_per_core": 233472, "shared_memory_per_block_optin": 232448, "threads_per_core_limit": 2048,
    "core_count": 132, "fpus_per_core": 128, "registers_per_core_limit": 65536, "registers_per_block_limit": 65536,
    "block_dim_limit_x": 2147483647, "block_dim_limit_y": 65535, "block_dim_limit_z": 65535,
    "thread_dim_limit_x": 1024, "thread_dim_limit_y": 1024, "thread_dim_limit_z": 64,
    "memory_bandwidth": 3352320000000, "l2_cache_size": 52428800, "clock_rate_ghz": 1.98,
    "device_memory_size": 84942979072, "device_address_bits": 64, "pcie_bandwidth": 34359738368,
    "ecc_enabled": "true", "name": '"NVIDIA H100 80GB HBM3"', "device_vendor": '"NVIDIA Corporation"',
    "platform_version": '"Compute Capability 9.0a"', "driver_version": '"13.0.0"', "runtime_version": '"13.0.0"',
    "compile_time_toolkit_version": '"13.0.0"', "dnn_version": '"9.10.0"',
    "cuda_compute_capability": "{ major: 9 feature_extension: ACCELERATED_FEATURES }",
}  # fmt: skip
"""The card's numbers as OpenXLA's specifications have them (xla/backends/gpu/target_config/specs/h100_sxm.txtpb)."""


class Made(NamedTuple):
    """A program for the described device: its training step, bytes of temporaries, seconds of compiling, its text."""

    step: Step
    temporary_bytes: int
    seconds: float
    text: str


def device() -> Any:
    """The described H100; RuntimeError: the CUDA plugin is not installed."""
    described = "\n".join(f"  {name}: {value}" for name, value in H100.items())
    target = (
        f'gpu_device_info {{\n{described}\n}}\nplatform_name: "CUDA"\ndnn_version_info {{ major: 9 minor: 10 }}\n'
        f"device_description_str: {H100['name']}\n"
    )
    topology = topologies.get_topology_desc(platform="cuda", target_config=target, topology="1x1x1")
    return topology.devices[0]


def lowered(
    on: Any,
    slots: int,
    *,
    rule: str = "momentum",
    pixels: int = 128,
    kernels: str = "fast",
    precision: str = "float32",
    activations: str = "float32",
) -> Any:
    """The epoch of so many runs of a rule over the photographs, for CUDA, before XLA compiles it.

    Args:
        on: a described device, or any: what was lowered for another platform than its own cannot be compiled.
        slots: runs that train at once.
        rule: name of the optimizer, or names of several with commas between them.
        pixels: height and width of an image.
        kernels: ``fast`` (this project's layers, as XLA's products), ``cuda`` or ``cuda_linked`` (its kernels,
            see :func:`known`) or ``plain`` (Flax's).
        precision: one of ``settings.PRECISIONS``.
        activations: ``float32`` or ``bfloat16``.
    """
    shape, dtype = (pixels, pixels, 3), jnp.dtype(activations)
    network = (
        article.plain(shape, dtype=dtype)
        if kernels == "plain"
        else article_fast.fast(
            shape, BATCH, native=False, cuda=kernels in OWN, linked=kernels == "cuda_linked", dtype=dtype
        )
    )
    steps = -(-TRAINING // BATCH)
    signatures = [
        Signature(name, tuple(number.name for number in registry.family(name).hyperparameters))
        for name in rule.split(",")
    ]
    program = Program(
        network=network,
        loss=LOSSES["sigmoid"],
        rules=Rules(tuple(rule_of(known, steps) for known in signatures)),
        diagnostics=True,
        stop_on_nonfinite=True,
        keep_best=False,
        steps=steps,
        strategy=STRATEGIES["vmap"],
        precision=devices.precision(precision, "gpu"),
    )
    mesh = Mesh(np.array([on]), (AXIS,), axis_types=(AxisType.Auto,))
    by_run, everywhere = (NamedSharding(mesh, PartitionSpec(*axes)) for axes in ([AXIS], []))

    def of_run(x: Any) -> jax.ShapeDtypeStruct:
        return jax.ShapeDtypeStruct((slots, *x.shape), x.dtype, sharding=by_run)

    def array(dtype: Any, *shape: int) -> jax.ShapeDtypeStruct:
        return jax.ShapeDtypeStruct(shape, dtype, sharding=everywhere)

    def examples(*leading: int) -> tuple[jax.ShapeDtypeStruct, jax.ShapeDtypeStruct]:
        return array(jnp.uint8, *leading, pixels, pixels, 3), array(jnp.int32, *leading)

    val = (-(-VALIDATION // VAL_BATCH), VAL_BATCH)
    batches = Batches(
        examples(TRAINING // BATCH, BATCH), examples(TRAINING % BATCH), (*examples(*val), array(jnp.float32, *val))
    )
    whole: Any = jax.ShapeDtypeStruct((), jnp.int32)
    arguments = jax.tree.map(of_run, (*shapes(program), Limits(whole, whole)))
    return jitted(program, mesh).epoch.trace(*arguments, batches).lower(lowering_platforms=("cuda",))


def known() -> None:
    """Tells XLA of the kernels in CUDA, as the C++ compiler makes them: what is compiled here is never run.

    Raises:
        FileNotFoundError: there is no C++ compiler.
    """
    cuda_library.register(compiled.load(cuda_library.host_recipe()), "CUDA")


def made(program: Any) -> Made:
    """Compiles what was lowered; 30 s of a core and more."""
    begin = time.perf_counter()
    executable = program.compile(compiler_options=WITHOUT_DEVICE)
    text = executable.as_text()
    temporary = executable.memory_analysis().temp_size_in_bytes
    return Made(step_of(text, TRAINING // BATCH), temporary, time.perf_counter() - begin, text)


def define_flags() -> None:
    """The command's flags; by the module that is run only."""
    flags.DEFINE_list("slots", ["1", "64"], "Runs that train at once, each at least 1.")
    flags.DEFINE_list("precisions", ["float32"], f"Of {', '.join(PRECISIONS)}.")
    flags.DEFINE_integer("image_size", 128, "Height and width in pixels.", 2)
    flags.DEFINE_enum("kernels", "fast", ["fast", *OWN, "plain"], "This project's layers, its kernels, Flax's own.")
    flags.DEFINE_enum("activations", "float32", ["float32", "bfloat16"], "Of convolutions and dense layers.")
    flags.DEFINE_string("rule", "momentum", "Name of the optimizer.")
    flags.DEFINE_string("output", None, "File for the numbers too.")


def run() -> None:
    """From the flags to the table."""
    options = flags.FLAGS
    if unknown := set(options.precisions) - set(PRECISIONS):
        raise InputError("--precisions", ",".join(sorted(unknown)), f"allowed are {', '.join(PRECISIONS)}")
    try:
        on = device()
        if options.kernels in OWN:
            known()
    except (RuntimeError, FileNotFoundError) as error:
        raise EnvironmentFault(f"no GPU can be described: {error}") from error
    os.environ["CXX"] = ""  # this machine's kernels are not that one's
    rows, numbers = [], []
    for slots in common.whole_numbers("slots", options.slots):
        for precision in options.precisions:
            program = lowered(
                on, slots, rule=options.rule, pixels=options.image_size, kernels=options.kernels, precision=precision,
                activations=options.activations,
            )  # fmt: skip
            numbers.append(numbers_of(made(program), slots, precision))
            rows.append(
                [", ".join(f"{n} {p}" for p, n in x.items()) if isinstance(x, dict) else x for x in numbers[-1]]
            )
    if options.output:
        write_text(Path(options.output), json.dumps([row._asdict() for row in numbers]))
    columns = [name.replace("_", " ") for name in Numbers._fields]
    title = f"{options.kernels}, {options.image_size} pixels, {H100['name']}"
    Console(width=130).print(common.table(title, columns, rows))


class Numbers(NamedTuple):
    """A row of the table.

    Attributes:
        slots: runs that train at once.
        precision: asked for.
        kernels_a_step: of training.
        megabytes: read and written by them for an example and configuration.
        megabytes_a_slot: of temporaries.
        products: how many of each precision the program has.
        convolutions: that it has.
        seconds: of compiling.
    """

    slots: int
    precision: str
    kernels_a_step: int
    megabytes: float
    megabytes_a_slot: float
    products: dict[str, int]
    convolutions: int
    seconds: float


def numbers_of(program: Made, slots: int, precision: str) -> Numbers:
    """Of a compiled program."""
    step, megabytes = program.step, round(program.step.bytes / slots / BATCH / 1e6, 2)
    memory, seconds = round(program.temporary_bytes / slots / 1e6, 1), round(program.seconds, 1)
    products = dict(step.products)
    return Numbers(slots, precision, len(step.kernels), megabytes, memory, products, step.convolutions, seconds)


if __name__ == "__main__":
    define_flags()
    command.start(run)
