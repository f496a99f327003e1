"""How the work went: stats.json, a part for every program and call, and their totals."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from jaxopt_study.engine import strategy
from jaxopt_study.engine.slots import Scheduler
from jaxopt_study.storage import workdir


def add(path: Path, scheduler: Scheduler, *, examples: int, seconds: float) -> None:
    """Adds to stats.json what a scheduler has trained on so many examples, in so many seconds with compilation; of its
    runs those that have ended."""
    sweep, work = scheduler.sweep, scheduler.work
    part = {
        "seconds": seconds,
        "compile_seconds": sweep.compile_seconds,
        "compilations": sweep.compilations,
        "training_seconds": work.seconds,
        "examples": work.epochs_trained * examples,
        "epochs_trained": work.epochs_trained,
        "epochs_computed": work.epochs_computed,
        "runs": scheduler.work.runs,
        "slots": scheduler.most,
        "devices": len(sweep.devices),
        "device_kind": strategy.machine()["kind"],
        "peak_memory_bytes": sweep.peak_bytes(),
    }
    add_part(path, part)


def add_part(path: Path, part: Mapping[str, Any]) -> None:
    """Adds a part, its names as above, and brings the totals up to date."""
    old = workdir.usable(workdir.written_stats, path)
    parts = [*old.get("parts", ()), part]
    kept = {name: old[name] for name in ("costs",) if name in old}
    workdir.write_json(path, {**totals(parts), **kept, "parts": parts})


COUNTS = ("epochs_trained", "epochs_computed", "runs", "compilations")


def totals(parts: Sequence[Mapping[str, Any]]) -> dict[str, float]:
    """Sums, rates and maxima over the parts.

    ``examples_per_second`` is training examples times configurations over the time of the epochs, validation included,
    compilation apart; ``compilations`` counts the epochs that were compiled (parts of before do not tell); ``goodput``
    is epochs trained over epochs that the devices had room for.
    """
    summed = ("seconds", "compile_seconds", "training_seconds", "examples", *COUNTS)
    sums = {name: sum(part.get(name, 0) for part in parts) for name in summed}
    largest = ("slots", "devices", "peak_memory_bytes", "workers", "idle_share")  # the last two of clusters only
    return {
        "seconds": sums["seconds"],
        "compile_seconds": sums["compile_seconds"],
        "examples_per_second": sums["examples"] / max(sums["training_seconds"], 1e-9),
        "goodput": sums["epochs_trained"] / max(sums["epochs_computed"], 1),
        **{name: sums[name] for name in COUNTS if any(name in part for part in parts)},
        **{name: max(most) for name in largest if (most := [part[name] for part in parts if name in part])},
    }
