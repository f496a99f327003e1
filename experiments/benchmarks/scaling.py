"""Do two workers train twice as much, and what does a fault cost? On this machine, one core a worker.

    python -m experiments.benchmarks.scaling --output=scaling.json          # ten minutes or so on two cores

Momentum grids on digits, on a Ray cluster of two machines of one core each that lives on this one. Strong scaling: the
same runs on one worker and on two. Weak scaling: twice the runs on two. Seconds are those of the training: from the
first worker that is ready, without compilation. Then the fault table: what was killed when, how many runs of the
undisturbed study are missing or different in the end, and how many were trained to the end twice. Expected: both
efficiencies above 0.9 on two quiet cores, nothing lost, nothing repeated.
"""

import contextlib
import json
import logging
import math
import os
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from absl import flags
from rich.console import Console
from rich.table import Table

from experiments.benchmarks import common
from experiments.benchmarks.kill_and_resume import identical
from experiments.command import flags as command
from jaxopt_study import files
from jaxopt_study.data import load
from jaxopt_study.engine import devices
from jaxopt_study.engine.trainer import Trainer
from jaxopt_study.engine.watcher import Watcher
from jaxopt_study.grids.run import product
from jaxopt_study.models.build import article_model
from jaxopt_study.settings import Execution, Machines, Settings
from jaxopt_study.storage.workdir import read_json

REPEATS = flags.DEFINE_integer("repeats", 3, "Of each, in turns, after one that fills the compilation cache.", 1)
RUNS = flags.DEFINE_integer("runs", 32, "Of one worker's study.", 2)
EPOCHS = flags.DEFINE_integer("max_epochs", 40, "Of a run.", 1)
EXAMPLES = flags.DEFINE_integer("train_examples", None, "Use only the first so many training examples.", 32)
FAULTS = flags.DEFINE_bool("faults", True, "Make the fault table.")
OUTPUT = flags.DEFINE_string("output", None, "Where the numbers go.")
DRIVE = flags.DEFINE_string("drive", None, "For this command itself: only train the fault table's study there.")
SLOTS = 8


class Fault(NamedTuple):
    """A row of the fault table: what was killed when, runs lost and trained twice, epochs trained twice, seconds."""

    what: str
    second: float
    lost: int
    repeated: int
    epochs_repeated: float | None
    seconds: float


@contextlib.contextmanager
def machines() -> Iterator[Any]:
    """Two machines of a core each, beside one without cores for the driver."""
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    import ray  # an extra
    from ray.cluster_utils import Cluster

    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 0, "include_dashboard": False})
    try:
        for _ in range(2):
            cluster.add_node(num_cpus=1)
        ray.init(address=cluster.address, log_to_driver=False, logging_level=logging.ERROR)
        yield cluster
    finally:
        ray.shutdown()
        cluster.shutdown()  # type: ignore[no-untyped-call]  # Ray's own annotations are partial


def study_of(folder: Path, runs: int) -> Trainer:
    """A momentum grid of so many runs."""
    axes = {"learning_rate": (0.001, 0.01), "momentum": (0.0, 0.9)}
    chosen = product("momentum", axes, -(-runs // 4))[:runs]
    settings = Settings(max_epochs=EPOCHS.value, patience=EPOCHS.value)
    dataset = load("digits", train_examples=EXAMPLES.value)
    return Trainer(settings, dataset, chosen, folder, model=article_model(), execution=Execution(slots=SLOTS))


def trained(folder: Path, runs: int, workers: int, watcher: Watcher | None = None) -> dict[str, float]:
    """Trains a study on the cluster; its part of stats.json."""
    from jaxopt_study.cluster import driver  # Ray is an extra

    driver.train(study_of(folder, runs), Machines(cluster="auto", cpus_per_worker=1, workers=workers), watcher)
    return last_part(folder)


def last_part(folder: Path) -> dict[str, float]:
    """What stats.json says of the last training."""
    part: dict[str, float] = read_json(folder / "stats.json")["parts"][-1]
    return part


def scaling(folder: Path) -> dict[str, list[dict[str, float]]]:
    """Medians of the repeats: strong and weak, on one worker and on two."""
    cases = {("strong", 1): RUNS.value, ("strong", 2): RUNS.value, ("weak", 2): 2 * RUNS.value}
    parts: dict[tuple[str, int], list[dict[str, float]]] = {case: [] for case in cases}
    for repeat in range(REPEATS.value + 1):
        for (kind, workers), runs in cases.items():
            part = trained(folder / f"{kind}_{workers}_{repeat}", runs, workers)
            print(f"{repeat}: {kind}, {workers} workers: {part['training_seconds']:.1f} s", file=sys.stderr)
            if repeat:
                parts[kind, workers].append(part)
    alone = parts["weak", 1] = parts["strong", 1]
    return {
        kind: [summed(parts[kind, workers], alone, workers, kind == "weak") for workers in (1, 2)]
        for kind in ("strong", "weak")
    }


def summed(
    parts: list[dict[str, float]], alone: list[dict[str, float]], workers: int, more_runs: bool
) -> dict[str, float]:
    """Median, range and efficiency, turn by turn."""

    def median(measure: Callable[[dict[str, float]], float]) -> float:
        return common.spread([measure(part) for part in parts]).median

    seconds = common.spread([part["training_seconds"] for part in parts])
    pairs = zip(alone, parts, strict=True)
    speedup = common.spread([one["training_seconds"] / part["training_seconds"] for one, part in pairs]).median
    return {
        "workers": workers,
        "runs": parts[0]["runs"],
        "seconds": seconds.median,
        "lowest": seconds.lowest,
        "highest": seconds.highest,
        "efficiency": speedup / (1 if more_runs else workers),
        "idle_share": median(lambda part: part["idle_share"]),
        "epoch_seconds": median(lambda part: part["training_seconds"] * part["devices"] / part["epochs_computed"]),
    }


def faults(folder: Path, cluster: Any) -> list[Fault]:
    """Kills a worker, takes a machine away, kills the driver; each at a third of the time of the undisturbed study."""
    whole = trained(folder / "whole", RUNS.value, 2)
    second = whole["training_seconds"] / 3

    def kill_worker(at_work: Any) -> None:
        os.kill(next(member.hello.process for member in at_work.members.values() if member.active), signal.SIGKILL)

    def remove_machine(_: Any) -> None:
        cluster.remove_node(cluster.list_all_nodes()[-1], allow_graceful=False)
        cluster.add_node(num_cpus=1)

    return [
        disturbed(folder, "nothing", lambda _: None, second),
        disturbed(folder, "a worker (SIGKILL)", kill_worker, second),
        disturbed(folder, "a machine", remove_machine, second),
        driver_killed(folder, second),
    ]


def disturbed(folder: Path, what: str, act: Callable[[Any], None], second: float) -> Fault:
    """Trains the study again and disturbs it once."""
    ends: Counter[Any] = Counter()
    began, acted = math.inf, 0.0

    def tick(at_work: Any) -> None:
        nonlocal began, acted
        now = time.monotonic()
        if at_work.active:
            began = min(began, now)
        if not acted and now - began > second:
            acted = now - began
            act(at_work)

    workdir = folder / what.split()[-1].strip("()")
    part = trained(workdir, RUNS.value, 2, Watcher(tick=tick, end=lambda run, history: ends.update([run])))
    lost = RUNS.value - identical(folder / "whole", workdir)
    return Fault(what, acted, lost, ends.total() - len(ends), part["epochs_repeated"], part["training_seconds"])


def driver_killed(folder: Path, second: float) -> Fault:
    """The same with a driver in a process of its own, which is killed and started again."""
    workdir = folder / "driver"
    study = [f"--drive={workdir}", f"--runs={RUNS.value}", f"--max_epochs={EPOCHS.value}"]
    study += [f"--train_examples={EXAMPLES.value}"] if EXAMPLES.value else []
    process = common.start_command("experiments.benchmarks.scaling", *study)
    while process.poll() is None and not list((workdir / "runs").glob("*.parquet")):
        time.sleep(0.05)
    process.kill()
    process.wait()
    kept = {path: path.stat().st_mtime_ns for path in (workdir / "runs").glob("*.parquet")}
    common.run_command("experiments.benchmarks.scaling", *study)
    twice = sum(path.stat().st_mtime_ns != written for path, written in kept.items())
    lost = RUNS.value - identical(folder / "whole", workdir)
    what = f"the driver, {len(kept)} runs stored"
    return Fault(what, second, lost, twice, None, last_part(workdir)["training_seconds"])


def tables(numbers: dict[str, list[dict[str, float]]], found: list[Fault]) -> list[Table]:
    """For the terminal."""
    names = ("scaling", "workers", "runs", "seconds, median", "lowest to highest", "efficiency", "idle")
    rows: list[Sequence[object]] = []
    for scale, measured in numbers.items():
        for row in measured:
            span = f"{row['lowest']:.1f} - {row['highest']:.1f}"
            shares = (f"{row['efficiency']:.3f}", f"{row['idle_share']:.3f}")
            rows.append((scale, f"{row['workers']:.0f}", f"{row['runs']:.0f}", f"{row['seconds']:.1f}", span, *shares))
    title = f"{EPOCHS.value} epochs a run, one core a worker, {REPEATS.value} repeats"
    scales = common.table(title, names, rows)
    columns = ("killed", "after, s", "runs lost", "runs repeated", "epochs repeated", "seconds")
    rows = []
    for fault in found:
        again = "" if fault.epochs_repeated is None else f"{fault.epochs_repeated:.0f}"
        rows.append((fault.what, f"{fault.second:.1f}", fault.lost, fault.repeated, again, f"{fault.seconds:.1f}"))
    return [scales, common.table(f"{RUNS.value} runs on two workers", columns, rows)] if found else [scales]


def drive(folder: Path) -> None:
    """The study of the fault table on a local cluster of its own."""
    from jaxopt_study.cluster import connect, driver  # Ray is an extra

    connect.connect("local")
    devices.configure(only_cpu=True)
    driver.train(study_of(folder, RUNS.value), Machines(cluster="local", cpus_per_worker=1, workers=2))


def run() -> None:
    """From the flags to the tables and the file."""
    if DRIVE.value:
        drive(Path(DRIVE.value))
        return
    with machines() as cluster, tempfile.TemporaryDirectory() as name:
        devices.configure(only_cpu=True)
        folder = Path(name)
        numbers = scaling(folder)
        found = faults(folder, cluster) if FAULTS.value else []
    if OUTPUT.value:
        text = json.dumps({**numbers, "faults": [fault._asdict() for fault in found]}, indent=2)
        files.write_text(Path(OUTPUT.value), text + "\n")
    for table in tables(numbers, found):
        Console(width=120).print(table)
    sys.exit(any(fault.lost or fault.repeated for fault in found))


if __name__ == "__main__":
    command.start(run)
