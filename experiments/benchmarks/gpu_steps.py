"""How fast is a device, and what on it? Steps for `gpu_first`; ``tell`` writes a line of numbers, see `stages`."""

import collections
import shutil
import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from experiments.benchmarks import cases, ours, peers_jax
from experiments.benchmarks.cases import Case
from experiments.benchmarks.compiled import step_of
from experiments.benchmarks.gpu_checks import BATCH, Form
from experiments.benchmarks.stages import Tell
from jaxopt_study.engine import devices
from jaxopt_study.storage import workdir

PASSES = 5


def versions(tell: Tell) -> None:
    """What it runs on."""
    found = jax.devices()
    (device, *_) = found
    tell(**workdir.versions(), device=device.device_kind, platform=device.platform, devices=len(found))
    tell(memory=device.memory_stats(), compute_capability=getattr(device, "compute_capability", None))
    query = ["nvidia-smi", "--query-gpu=name,driver_version,clocks.sm,clocks.mem,power.limit", "--format=csv,noheader"]
    try:
        tell(nvidia_smi=subprocess.run(query, capture_output=True, text=True, timeout=20, check=True).stdout.strip())
    except (OSError, subprocess.SubprocessError) as error:
        tell(nvidia_smi=str(error))


def ceilings(tell: Tell, side: int, megabytes: int) -> None:
    """Bytes a second of reading and writing an array; operations a second of a product of two square matrices."""
    x = jnp.asarray(np.random.default_rng(0).random(megabytes * 250_000, np.float32))
    seconds = _seconds(jax.jit(lambda x: x + 1.0), x)
    tell(copy="x + 1", gigabytes=2 * x.nbytes / 1e9, terabytes_a_second=2 * x.nbytes / 1e12 / seconds)
    del x
    rng = np.random.default_rng(1)
    a, b = (jnp.asarray(rng.normal(size=(side, side)), jnp.float32) for _ in range(2))
    for name in ("float32", "float32x3", "tensorfloat32", "bfloat16"):
        one, two = (x.astype(jnp.bfloat16) for x in (a, b)) if name == "bfloat16" else (a, b)
        with jax.default_matmul_precision(devices.precision(name, jax.default_backend())):
            seconds = _seconds(jax.jit(jnp.matmul), one, two)
        tell(product=name, side=side, teraflops=2.0 * side**3 / 1e12 / seconds)


def _seconds(function: Callable[..., jax.Array], *arguments: jax.Array) -> float:
    """The median over some calls, after two."""
    for _ in range(2):
        function(*arguments).block_until_ready()
    seconds = []
    for _ in range(7):
        begin = time.perf_counter()
        function(*arguments).block_until_ready()
        seconds.append(time.perf_counter() - begin)
    return statistics.median(seconds)


def _epoch(form: Form, size: int, slots: int, steps: int) -> ours.Epoch:
    form.must_be_there()
    case = Case("article", size, slots, BATCH, steps, 1)
    study = ours.study_of(
        case, diagnostics=True, kernels=form.kernels, strategy="vmap", precision=form.precision,
        activations=form.activations,
    )  # fmt: skip
    return ours.Epoch(study)


def compile_all(tell: Tell, programs: Sequence[tuple[Sequence[str], int]], size: int, steps: int, threads: int) -> None:
    """Compiles the epochs of forms and numbers of slots, several at a time; the first ones first.

    They are kept on disk, so that the steps that time them find them also where this one ends before all are done.
    """

    def compile_one(program: tuple[Sequence[str], int]) -> None:
        (form, slots), begin = program, time.perf_counter()
        try:
            _epoch(Form(*form), size, slots, steps)
        except Exception as error:  # it is told again by the step that times it; the others go on
            tell(form=Form(*form).name, slots=slots, failed=f"{type(error).__name__}: {str(error)[:300]}")
            return
        tell(form=Form(*form).name, slots=slots, seconds_beside_others=time.perf_counter() - begin)

    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(compile_one, programs))


def epoch(tell: Tell, form: Sequence[str], size: int, slots: int, steps: int) -> None:
    """Microseconds of an example and configuration, kernels a step, bytes, memory, compile time."""
    asked, begin = Form(*form), time.perf_counter()
    made = _epoch(asked, size, slots, steps)
    tell(form=asked.name, size=size, slots=slots, start_seconds=time.perf_counter() - begin)
    try:
        step = step_of(made.executable.as_text(), steps)
        products = dict(step.products)
        tell(kernels_a_step=len(step.kernels), megabytes=step.bytes / slots / BATCH / 1e6, products=products)
    except ValueError as error:  # on a CPU the loop may be another
        tell(kernels_a_step=None, why=str(error))
    made.run(1)
    examples = slots * BATCH * steps
    micros = [1e6 * _of(lambda: made.run(1)) / examples for _ in range(PASSES)]
    tell(
        form=asked.name, size=size, slots=slots, steps=steps, us=statistics.median(micros), us_lowest=min(micros),
        us_highest=max(micros), us_a_step=statistics.median(micros) * slots * BATCH,
        megabytes_a_slot=made.memory_bytes / 1e6, memory=_peak(),
    )  # fmt: skip


def _of(function: Callable[[], object]) -> float:
    begin = time.perf_counter()
    function()
    return time.perf_counter() - begin


def _peak() -> int | None:
    """The most bytes that the device has held in this process."""
    return (jax.devices()[0].memory_stats() or {}).get("peak_bytes_in_use")


def loop(tell: Tell, precision: str, size: int, steps: int) -> None:
    """A single run, a jitted call a step, as it is usually written; ``default`` is JAX's own precision."""
    case = Case("article", size, 1, BATCH, steps, 1)
    with jax.default_matmul_precision(None if precision == "default" else precision):
        _told(tell, peers_jax.build(case, form="loop"), case, program="JAX loop", precision=precision)


def torch(tell: Tell, form: str, size: int, slots: int, steps: int, tf32: bool) -> None:
    """PyTorch, ``eager`` or ``vmap``, with or without TF32."""
    import torch as pytorch

    from experiments.benchmarks import peers_torch

    pytorch.backends.cuda.matmul.allow_tf32 = pytorch.backends.cudnn.allow_tf32 = tf32
    case = Case("article", size, slots, BATCH, steps, 1)
    precision = "tensorfloat32" if tf32 else "float32"
    of = {"version": pytorch.__version__, "on_gpu": pytorch.cuda.is_available()}
    _told(tell, peers_torch.build(case, form=form), case, program=f"PyTorch {form}", precision=precision, **of)


def _told(tell: Tell, ready: cases.Ready, case: Case, **about: Any) -> None:
    ready.run(1)
    examples = case.configs * case.batch_size * case.steps
    micros = [1e6 * _of(lambda: ready.run(1)) / examples for _ in range(PASSES)]
    numbers = {"us": statistics.median(micros), "us_lowest": min(micros), "us_highest": max(micros)}
    tell(**about, size=case.image_size, slots=case.configs, steps=case.steps, **numbers)


def profile(tell: Tell, form: Sequence[str], size: int, slots: int, steps: int, folder: str) -> None:
    """Where the time of a short epoch goes: what the device does, by its seconds; the trace, if it is small."""
    made = _epoch(Form(*form), size, slots, steps)
    made.run(1)
    traces = tempfile.mkdtemp()
    with jax.profiler.trace(traces):
        made.run(1)
    for path in Path(traces).rglob("*.xplane.pb"):
        data = jax.profiler.ProfileData.from_file(str(path))
        planes = list(data.planes)
        for plane in [plane for plane in planes if "GPU" in plane.name] or planes:
            for line in plane.lines:
                spent: collections.Counter[str] = collections.Counter()
                count: collections.Counter[str] = collections.Counter()
                for event in line.events:
                    spent[event.name[:100]] += int(event.duration_ns)
                    count[event.name[:100]] += 1
                if spent:
                    top = {name: [ns / 1e3, count[name]] for name, ns in spent.most_common(40)}
                    whole = {"us_in_all": spent.total() / 1e3, "events": count.total(), "different": len(count)}
                    tell(plane=plane.name, line=line.name, **whole, us_and_count=top)
        if path.stat().st_size < 1 << 23:
            shutil.copy(path, Path(folder) / f"profile_{'_'.join(form)}_{slots}.xplane.pb")
