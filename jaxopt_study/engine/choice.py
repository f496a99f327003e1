"""How a study is executed: the fastest of the equal ways on the device at hand, by a few timed steps kept on disk.

Timing compiles a program for each way, which takes a minute on a CPU. So it is done for studies that take many times
that, once for each device, network and shape; a short study takes the way that is most often the best.
"""

import hashlib
import itertools
import json
import math
import platform
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import jax

from jaxopt_study.errors import EnvironmentFault
from jaxopt_study.files import write_text
from jaxopt_study.storage import workdir

STEPS, STEPS_OF_RUNS = 16, 256
"""Of each run, two turns at least, and of all runs together, so that what a call costs hides no difference."""
TURNS = 5
HOPELESS = 3.0
"""A way that takes so many times the best one's seconds is not timed again, nor its form in another strategy."""

# Numbers in a training example x examples x epochs x runs that ten minutes are enough for, roughly: for the article's
# network on two cores, and, by estimate, on a large GPU.
SHORT = {"cpu": 3e10}
SHORT_ELSEWHERE = 3e12


def steps_for(slots: int) -> int:
    """Steps that a way is timed on with so many runs."""
    return max(STEPS, STEPS_OF_RUNS // slots)


class Way(NamedTuple):
    """A way to execute a study: ``strategy`` is a key of execution.STRATEGIES, ``form`` one of Model.forms."""

    strategy: str
    form: str


def ways(strategies: Sequence[str], forms: Sequence[str], platform: str) -> list[Way]:
    """All ways, the most promising first."""
    usual = "map" if platform == "cpu" else "vmap"
    ordered = sorted(strategies, key=lambda strategy: strategy != usual)
    return [Way(strategy, form) for form, strategy in itertools.product(forms, ordered)]


def is_short(work: float, platform: str) -> bool:
    """Whether so much work, in numbers of all training examples x epochs x runs, is not worth the timing."""
    return work < SHORT.get(platform, SHORT_ELSEWHERE)


def fastest(
    found: Sequence[Way], timer_of: Callable[[Way], Callable[[], float]], about: Mapping[str, Any], folder: Path
) -> Way:
    """The fastest of several ways, from the folder if it was found there before.

    Args:
        found: the ways.
        timer_of: makes a function that returns the seconds of a few steps; it may run out of memory.
        about: what the answer depends on besides device and versions; JSON values.
        folder: where answers are kept. Where it cannot be written the answer is the first way, so that a study that
            goes on after a kill goes on in the same way.
    """
    path = folder / f"{key(found, about)}.json"
    try:
        kept = json.loads(path.read_text())
        return Way(*kept["fastest"])
    except (OSError, ValueError, KeyError, TypeError):
        pass  # not there yet, or damaged: time them
    seconds = timed(found, timer_of)
    best = min(seconds, key=lambda way: seconds[way])
    table = {"/".join(way): value for way, value in seconds.items() if math.isfinite(value)}
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        write_text(path, json.dumps({"fastest": best, "seconds": table, "about": {**about, **machine()}}, indent=1))
    except (OSError, EnvironmentFault):
        return found[0]
    return best


def timed(found: Sequence[Way], timer_of: Callable[[Way], Callable[[], float]]) -> dict[Way, float]:
    """The least seconds of each way over some turns, taken in turns; infinite where memory does not suffice, and for a
    form that is hopeless already."""
    seconds = dict.fromkeys(found, math.inf)
    timers: dict[Way, Callable[[], float]] = {}
    for way in found:
        best = min(seconds.values())
        if any(seconds[other] > HOPELESS * best for other in timers if other.form == way.form):
            continue
        try:
            timers[way] = timer_of(way)
            seconds[way] = timers[way]()
        except jax.errors.JaxRuntimeError as error:
            if "RESOURCE_EXHAUSTED" not in str(error):
                raise
            timers.pop(way, None)
    for _ in range(TURNS):
        best = min(seconds.values())
        for way, timer in timers.items():
            if seconds[way] < HOPELESS * best:
                seconds[way] = min(seconds[way], timer())
    return seconds


def key(found: Sequence[Way], about: Mapping[str, Any]) -> str:
    """20 hex digits for ways, work, device and versions."""
    text = json.dumps([list(found), about, machine()], sort_keys=True)
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
