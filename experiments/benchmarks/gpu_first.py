"""What is true of this project on a GPU? The first quarter of an hour with one.

    python -m experiments.benchmarks.gpu_first --output=gpu --minutes=5
    CXX= JAX_PLATFORMS=cpu python -m experiments.benchmarks.gpu_first --output=gpu --rehearse     # on a CPU, small

OUTPUT/first.jsonl has a line for every number as soon as it is known: versions; what the card can do (bytes and
products a second); whether what it computes is right (if not, nothing more is done, and OUTPUT has what differs);
microseconds of an example and configuration by form, precision and slots, kernels a step, memory, compile time; whether
bits repeat; where the time goes; the single-run loop of JAX and PyTorch for comparison. Steps that raise, crash or hang
leave the others theirs. The most important come first, so that a shorter time takes the last ones. See `stages`.
"""

import os
import shutil
import tempfile
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple

from absl import flags

from experiments.benchmarks import common, stages
from experiments.benchmarks.stages import Record, Step
from experiments.command import flags as command
from jaxopt_study.engine.devices import cpu_cores

STEPS, CHECKS = "experiments.benchmarks.gpu_steps:", "experiments.benchmarks.gpu_checks:"
FAST, PLAIN = ("fast", "float32"), ("plain", "float32")
OWN = (("cuda", "float32"), ("cuda_linked", "float32"))
"""The kernels in CUDA, and these with normalization where the next block reads: the same bits, told by their times."""
OWN_COARSER = (("cuda", "float32x3"), ("cuda", "tensorfloat32"))
"""The last three blocks on tensor cores."""
UNITS = (2, 3, 4)
"""These blocks, from 0."""
COARSER = (("fast", "tensorfloat32"), ("fast", "float32x3"), ("fast", "float32", "bfloat16"))
SAME_BITS = "--xla_gpu_exclude_nondeterministic_ops=true --xla_gpu_autotune_level=0"
"""XLA's flags under which it chooses no kernel by timing it, and none that adds in an order that is not fixed."""
Form = tuple[str, ...]


class Sizes(NamedTuple):
    """How much is measured: on a GPU, and in a rehearsal.

    Attributes:
        side: of the matrices that are multiplied for the ceiling.
        megabytes: that are copied for it.
        checked: pixels at which it is looked whether all is right.
        pixels: of what is timed.
        slots: what is timed most often first.
        steps: of the epochs that are timed.
        patience: times as long as on a GPU's machine each step may take.
    """

    side: int = 8192
    megabytes: int = 2048
    checked: tuple[int, ...] = (16, 128)
    pixels: int = 128
    slots: tuple[int, ...] = (64, 16, 123, 1)
    steps: int = 64
    patience: float = 1.0


REHEARSAL = Sizes(side=256, megabytes=8, checked=(8,), pixels=16, slots=(2,), steps=2, patience=6.0)


def define_flags() -> None:
    """The command's flags; by the module that is run only."""
    flags.DEFINE_string("output", "gpu_first", "Folder for first.jsonl and what else there is.")
    flags.DEFINE_float("minutes", 5.0, "After which it ends, whatever is left.", 0.1)
    flags.DEFINE_bool("rehearse", False, "Everything small, as for a CPU.")
    flags.DEFINE_list("image_size", None, "Height and width in pixels of what is timed, one number.")
    flags.DEFINE_list("slots", None, "Runs that train at once in what is timed, the most important first.")
    flags.DEFINE_list("only", None, "Steps to take, by the beginnings of their names; all if not given.")


def run() -> None:
    """From the flags to the lines."""
    options = flags.FLAGS
    sizes = REHEARSAL if options.rehearse else Sizes()
    if options.slots:
        sizes = sizes._replace(slots=tuple(common.whole_numbers("slots", options.slots)))
    if options.image_size:
        sizes = sizes._replace(pixels=common.whole_numbers("image_size", options.image_size, 2)[0])
    folder = Path(options.output)
    chosen = [step._replace(seconds=step.seconds * sizes.patience) for step in steps(sizes, folder)]
    if options.only:
        chosen = [step for step in chosen if step.name.startswith(tuple(options.only))]
    with tempfile.TemporaryDirectory() as programs:  # what one process has compiled, another finds there
        os.environ["JAX_COMPILATION_CACHE_DIR"] = programs
        os.environ["JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS"] = "0.2"
        right = stages.run(chosen, Record(folder / "first.jsonl"), options.minutes)
    if not right:
        command.leave(1, f"error: what is computed here is not right, or it cannot be told: {folder / 'first.jsonl'}")


def steps(sizes: Sizes, folder: Path) -> list[Step]:
    """All of them, the most important first."""
    most, *others = sizes.slots
    timed = [(FAST, most), *((form, most) for form in COARSER), *((FAST, slots) for slots in others), (PLAIN, 1)]
    size, where = {"size": sizes.pixels}, {"folder": str(folder)}
    short = {**size, "steps": sizes.steps}
    compiled = {"programs": timed, "threads": _threads(), **short}
    profiled = {"form": FAST, "slots": most, "steps": min(8, sizes.steps), **size, **where}
    right = [(pixels, {"size": pixels, **where}) for pixels in sizes.checked]
    return [
        _step("versions", STEPS + "versions", 60, vital=True),
        _step("ceilings", STEPS + "ceilings", 60, {"side": sizes.side, "megabytes": sizes.megabytes}),
        _step("masks", CHECKS + "masks", 60, {"sizes": sizes.checked}, vital=True),
        *(
            _step(f"right at {pixels}", CHECKS + "network", 120, {**of, "forms": [FAST, PLAIN]}, vital=True)
            for pixels, of in right
        ),
        _step("right epoch", CHECKS + "epoch", 90, {"size": sizes.checked[0], "steps": 2}, vital=True),
        _step("compile", STEPS + "compile_all", 150, compiled),
        *(_epoch_step(form, slots, sizes) for form, slots in timed),
        *(
            _step(f"coarser right at {pixels}", CHECKS + "network", 90, {**of, "forms": COARSER})
            for pixels, of in right[-1:]
        ),
        *(
            _step(f"JAX loop, {name}", STEPS + "loop", 60, {**size, "steps": 4 * sizes.steps, "precision": name})
            for name in ("default", "float32")
        ),
        _step("profile", STEPS + "profile", 60, profiled),
        _step("bits", CHECKS + "bits", 90, _bits(sizes)),
        *_own_kernels(sizes, folder),
        *_torch(sizes),
        *_same_bits(sizes),
    ]


def _threads() -> int:
    """In which programs are compiled beside each other."""
    return max(1, min(cpu_cores() - 2, 6))


def _bits(sizes: Sizes, form: Form = FAST) -> dict[str, Any]:
    """The numbers of slots in which the same run is to give the same bits, and what else that step takes."""
    slots = (4, 16) if max(sizes.slots) >= 16 else (2, 4)
    kernels, precision = form
    return {"kernels": kernels, "precision": precision, "size": sizes.pixels, "steps": sizes.steps, "slots": slots}


def _step(
    name: str, function: str, seconds: float, options: Mapping[str, Any] = {}, *, vital: bool = False,
    worker: str = "jax", flag: str = "",
) -> Step:  # fmt: skip
    environment = {
        "XLA_PYTHON_CLIENT_PREALLOCATE": "false",  # a device's memory is for PyTorch too
        **({"XLA_FLAGS": flag} if flag else {}),
    }
    return Step(name, function, options, seconds, worker, vital, environment)


def _epoch_step(form: Form, slots: int, sizes: Sizes, worker: str = "jax", flag: str = "") -> Step:
    name = f"epoch, {', '.join(form)}, {slots}" + (", same bits" if flag else "")
    options = {"form": form, "size": sizes.pixels, "slots": slots, "steps": sizes.steps}
    return _step(name, STEPS + "epoch", 120, options, worker=worker, flag=flag)


def _own_kernels(sizes: Sizes, folder: Path) -> list[Step]:
    """The kernels in CUDA, in a process of their own: what they do wrong is theirs alone."""
    most, short = sizes.slots[0], {"size": sizes.pixels, "steps": sizes.steps}
    checked = {"size": sizes.checked[-1], "forms": OWN, "folder": str(folder)}
    timed = [(form, slots) for slots in sizes.slots for form in OWN]
    timed[len(OWN) : len(OWN)] = [(form, most) for form in OWN_COARSER]
    compiled = {"programs": timed, "threads": _threads(), **short}
    profiled = {**short, "slots": most, "steps": min(8, sizes.steps), "folder": str(folder)}
    return [
        _step("own kernels", "experiments.benchmarks.gpu_kernels:check", 120, worker="own"),
        *_own_blocks(sizes),
        _step("own right", CHECKS + "network", 90, checked, worker="own"),
        _step("own compile", STEPS + "compile_all", 150, compiled, worker="own"),
        _step("own coarser right", CHECKS + "network", 90, {**checked, "forms": OWN_COARSER}, worker="own"),
        *(_epoch_step(form, slots, sizes, "own") for form, slots in timed),
        *(
            _step(f"own profile, {', '.join(form)}", STEPS + "profile", 60, {**profiled, "form": form}, worker="own")
            for form in (*OWN, OWN_COARSER[0])
        ),
        _step("own forms alike", CHECKS + "alike", 90, {**short, "forms": OWN, "slots": most}, worker="own"),
        *(
            _step(f"own bits, {', '.join(form)}", CHECKS + "bits", 90, _bits(sizes, form), worker="own")
            for form in (*OWN, OWN_COARSER[0])
        ),
    ]


def _own_blocks(sizes: Sizes) -> list[Step]:
    """A block of the network after the other; those on tensor cores in three products, too."""
    steps = []
    for layer, products in (*((i, 0) for i in range(5)), *((i, 3) for i in UNITS)):
        if sizes.pixels >> layer > 1:
            name = f"own block {layer + 1}" + (", on tensor cores" if products else "")
            options = {"layer": layer, "size": sizes.pixels, "slots": sizes.slots[0], "batch": 32, "products": products}
            steps.append(_step(name, "experiments.benchmarks.gpu_kernels:block", 60, options, worker="own"))
    return steps


def _torch(sizes: Sizes) -> list[Step]:
    """PyTorch's, where it is installed."""
    if find_spec("torch") is None:
        return []
    eager = {"form": "eager", "slots": 1, "size": sizes.pixels, "steps": sizes.steps}
    vmapped = {**eager, "form": "vmap", "slots": min(16, max(sizes.slots)), "tf32": False}
    return [
        _step("PyTorch eager", STEPS + "torch", 60, {**eager, "tf32": False}, worker="torch"),
        _step("PyTorch eager, TF32", STEPS + "torch", 60, {**eager, "tf32": True}, worker="torch"),
        _step("PyTorch vmap", STEPS + "torch", 90, vmapped, worker="torch"),
    ]


def _same_bits(sizes: Sizes) -> list[Step]:
    """What it costs that XLA chooses no kernels by timing them, and whether bits repeat then."""
    if not shutil.which("nvidia-smi"):  # a CPU's XLA does not know the flags
        return []
    flag = f"{os.environ.get('XLA_FLAGS', '')} {SAME_BITS}".strip()
    bits = _step("bits, same bits", CHECKS + "bits", 120, _bits(sizes), worker="same_bits", flag=flag)
    return [_epoch_step(FAST, sizes.slots[0], sizes, "same_bits", flag), bits]


if __name__ == "__main__":
    define_flags()
    command.start(run)
