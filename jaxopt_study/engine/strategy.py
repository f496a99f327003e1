"""Which strategy executes a study: the fastest on the device at hand, by a few timed steps, kept on disk.

Timing compiles a program for each, which takes a minute on a CPU. So it is done for studies that take many times that,
once for each device, network and shape; a short study takes what is most often the best.
"""

import hashlib
import json
import math
import platform
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import jax
import numpy as np

from jaxopt_study.engine import memory
from jaxopt_study.engine.sweep import Sweep
from jaxopt_study.errors import EnvironmentFault
from jaxopt_study.grids.run import Run
from jaxopt_study.storage import workdir
from jaxopt_study.training.early_stopping import Limits
from jaxopt_study.training.step import STRATEGIES

STEPS, STEPS_OF_RUNS = 16, 256
"""Of each run, two chunks at least, and of all runs together, so that what a call costs hides no difference."""
REPEATS = 5
HOPELESS = 3.0
"""What takes so many times the best one's seconds is not timed again."""

SHORT = 3e10
"""Numbers in a training example x examples x epochs x runs for which two cores take ten minutes, roughly, with the
article's network."""


def steps_for(slots: int) -> int:
    """Steps that a strategy is timed on with so many runs."""
    return max(STEPS, STEPS_OF_RUNS // slots)


def usual_first(platform: str) -> list[str]:
    """The names of the strategies to choose from, the one that is most often the best on a platform first.

    On an accelerator it is one alone: runs in turn would launch each kernel once for every run.
    """
    return sorted(STRATEGIES, key=lambda name: name != "map") if platform == "cpu" else ["vmap"]


def is_short(work: float) -> bool:
    """Whether so much work, in numbers of all training examples x epochs x runs, is not worth the timing."""
    return work < SHORT


def fastest(
    names: Sequence[str], timer_of: Callable[[str], Callable[[], float]], about: Mapping[str, Any], folder: Path
) -> str:
    """The fastest of several strategies, from the folder if it was found there before.

    Args:
        names: of the strategies.
        timer_of: makes a function that returns the seconds of a few steps; it may run out of memory.
        about: what the answer depends on besides device and versions; JSON values.
        folder: where answers are kept. Where it cannot be written the answer is the first, so that a study that goes on
            after a kill goes on by the same.
    """
    path = folder / f"{key(names, about)}.json"
    try:
        if (found := workdir.read_json(path)["fastest"]) in names:
            return str(found)
    except (EnvironmentFault, KeyError, TypeError):
        pass  # not there yet, or damaged: time them
    seconds = timed(names, timer_of)
    best = min(seconds, key=lambda name: seconds[name])
    table = {name: value for name, value in seconds.items() if math.isfinite(value)}
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        workdir.write_json(path, {"fastest": best, "seconds": table, "about": {**about, **machine()}})
    except (OSError, EnvironmentFault):
        return names[0]
    return best


def timed(names: Sequence[str], timer_of: Callable[[str], Callable[[], float]]) -> dict[str, float]:
    """The least seconds of each over some repeats, taken in turns; infinite where memory does not suffice."""
    seconds = dict.fromkeys(names, math.inf)
    timers: dict[str, Callable[[], float]] = {}
    for name in names:
        try:
            timer = timer_of(name)
            seconds[name] = timer()
            timers[name] = timer
        except jax.errors.JaxRuntimeError as error:
            if not memory.ran_out(error):
                raise
    for _ in range(REPEATS):
        best = min(seconds.values())
        for name, timer in timers.items():
            if seconds[name] < HOPELESS * best:
                seconds[name] = min(seconds[name], timer())
    return seconds


def epoch_timer(sweep: Sweep, run: Run, slots: int) -> Callable[[], float]:
    """Compiles the epoch, fills all slots with one run; returns what trains them for an epoch and tells its seconds."""
    padded = sweep.padded(slots)
    numbers, seeds = sweep.stacked([run] * padded), np.zeros(padded, np.uint32)
    bounds: Any = np.full(padded, 1_000_000, np.int32)
    states = sweep.fill(sweep.idle(padded), *sweep.put((numbers, seeds, np.arange(padded) < slots)))
    numbers, limits = sweep.put((numbers, Limits(bounds, bounds)))
    epoch = sweep.compiled("epoch", padded)

    def seconds() -> float:
        nonlocal states
        begin = time.perf_counter()
        states, report = epoch(states, numbers, limits, sweep.batches)
        jax.block_until_ready(report)
        return time.perf_counter() - begin

    return seconds


def key(names: Sequence[str], about: Mapping[str, Any]) -> str:
    """20 hex digits for strategies, work, device and versions."""
    text = json.dumps([list(names), about, machine()], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:20]


def machine() -> dict[str, Any]:
    """What makes one machine as fast as another: device, its kind, number, versions."""
    device = jax.devices()[0]
    versions = workdir.versions()
    return {
        "platform": device.platform,
        "kind": processor() if device.platform == "cpu" else device.device_kind,
        # A checkout that is not installed has no version of its own.
        "versions": [versions.get(name) for name in ("jaxopt-study", "jax", "jaxlib")],
    }


def processor() -> str:
    """The name of the processor."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor()
    return next((line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), platform.machine())
