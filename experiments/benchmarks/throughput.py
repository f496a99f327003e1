"""How fast does this project train many configurations, against what else there is?

    python -m experiments.benchmarks.throughput      # all peers, about an hour on two cores
    python -m experiments.benchmarks.throughput --image_size=32 --peers=none --configs=16

All programs of an image size run in one go, in turns; what is told is the median of the repeats with the lowest and the
highest, and the time of tracing and compiling apart. Every program trains the same network with SGD with momentum on
the same number of examples, without validation. Programs that train one configuration after another are measured with
one. Expected: see the README beside this file.
"""

import itertools
import json
import os
import platform
import time
from collections.abc import Sequence
from importlib import metadata
from pathlib import Path
from typing import Any

from absl import flags
from rich.console import Console
from rich.table import Table

from experiments.benchmarks import cases, common
from experiments.benchmarks.cases import Case, Peer
from experiments.benchmarks.measure import Plan, Row, measure, missing
from experiments.command import start as command
from jaxopt_study.errors import InputError
from jaxopt_study.files import write_text

NAMES = {peer.name: peer for peer in cases.PEERS}
IMAGE_SIZE = flags.DEFINE_list("image_size", ["32", "64", "128"], "Heights and widths in pixels, each at least 2.")
CONFIGS = flags.DEFINE_list("configs", ["1", "4", "16", "64"], "Numbers of configurations, each at least 1.")
BATCH_SIZE = flags.DEFINE_list("batch_size", ["32"], "Examples a step, each at least 2.")
DEVICES = flags.DEFINE_list("devices", None, "Devices that this project uses (CPU: cores); all if not given.")
MODELS = flags.DEFINE_list("models", ["article"], "article, resnet.")
PEERS = flags.DEFINE_list("peers", ["all"], f"all, none, or some of {', '.join(NAMES)}.")
OURS = flags.DEFINE_list(
    "ours",
    [peer.name for peer in cases.OURS],
    f"Which forms of this project: {', '.join(peer.name for peer in (*cases.OURS, *cases.FIXED))}.",
)
STEPS = flags.DEFINE_integer("steps", None, "Batches of data; a good number for each program if not given.", 1)
REPEATS = flags.DEFINE_integer("repeats", 5, "Turns of every program, at least 1.", 1)
SECONDS = flags.DEFINE_float("seconds", 0.5, "That a turn takes at least.", 0.0)
LONGEST = flags.DEFINE_float("longest", 30.0, "Leave a program out where a pass takes more seconds.", 0.0)
JSON = flags.DEFINE_string("json", "throughput.json", "File for the numbers; the figures go beside it.")


def main(argv: Sequence[str] | None = None) -> None:
    """The command."""
    command.start(run, argv)


def run() -> None:
    """From the flags to the table, the figures and the file."""
    sizes, batches = unique("image_size", IMAGE_SIZE.value, 2), unique("batch_size", BATCH_SIZE.value, 2)
    counts = sorted(unique("configs", CONFIGS.value))
    devices = unique("devices", DEVICES.value) if DEVICES.value else [0]
    models = chosen("models", MODELS.value, ["article", "resnet"])
    console = Console(width=130)
    peers = [*programs(), *available(console)]
    plan = Plan(REPEATS.value, SECONDS.value, LONGEST.value)
    rows: list[Row] = []
    begin, load = time.time(), os.getloadavg()
    for model, size in itertools.product(models, sizes):
        console.rule(f"{model}, {size} pixels")
        works = [
            Case(model, size, configs, batch, STEPS.value or 0, count)
            for batch, count, configs in itertools.product(batches, devices, counts)
        ]
        rows += measure([*peers, cases.GEMM], works, plan, console.print)
        write(rows, plan, begin, load)
    for group in grouped(rows):
        console.print(table(group))


def unique(flag: str, texts: Sequence[str], least: int = 1) -> list[int]:
    """A list flag of whole numbers, each once."""
    return list(dict.fromkeys(common.whole_numbers(flag, texts, least)))


def programs() -> list[Peer]:
    """The forms of this project that are asked for."""
    known = {peer.name: peer for peer in (*cases.OURS, *cases.FIXED)}
    return [known[name] for name in chosen("ours", OURS.value, list(known))]


def available(console: Console) -> list[Peer]:
    """The peers that are asked for and installed; of the others a line on how to install them."""
    names = {"all": list(NAMES), "none": []}.get(",".join(PEERS.value)) if PEERS.value else []
    found = []
    for name in chosen("peers", PEERS.value, list(NAMES)) if names is None else names:
        if lacking := missing(NAMES[name]):
            console.print(f"{NAMES[name].title}: skipped; pip install {' '.join(lacking)} (extra: benchmark)")
        else:
            found.append(NAMES[name])
    return found


def chosen(flag: str, names: Sequence[str], known: Sequence[str]) -> list[str]:
    """A list flag of names.

    Raises:
        InputError: a name that is not known.
    """
    for name in names:
        if name not in known:
            raise InputError(f"--{flag}", name, f"allowed are {', '.join(known)}")
    return list(names)


def grouped(rows: Sequence[Row]) -> list[list[Row]]:
    """The rows of each model, image size and batch, with the ceiling's."""
    keys = dict.fromkeys((row.case.model, row.case.image_size, row.case.batch_size) for row in rows)
    return [[r for r in rows if (r.case.model, r.case.image_size, r.case.batch_size) == key] for key in keys]


def ceiling(rows: Sequence[Row], size: int) -> float:
    """Examples x configurations a second at the best matrix product of the run."""
    fastest = max((rate for row in rows if row.name == "gemm" for rate in row.rates), default=float("nan"))
    return fastest / cases.operations(rows[0].case.model, size)


def table(rows: Sequence[Row]) -> Table:
    """One image size, a row a program and number of configurations, fastest last."""
    case = rows[0].case
    limit = ceiling(rows, case.image_size)
    title = f"{case.model}, {case.image_size} px, batch {case.batch_size}; ceiling {limit:,.0f} ex/s"
    cells = []
    timed = [row for row in rows if row.name != "gemm"]
    for row in sorted(timed, key=lambda row: (row.case.configs, row.median if row.rates else 0.0)):
        measured = [row.error[:60]]
        if row.rates:
            memory = f"{row.memory_bytes / 1e6:.1f}" if row.memory_bytes else ""
            measured = [f"{rate:,.0f}" for rate in common.spread(row.rates)]
            measured += [f"{row.median / limit:.0%}", f"{row.start_seconds:.1f}", memory]
        cells.append((row.title, row.case.configs, row.case.devices or "", *measured))
    columns = ("program", "runs", "devices", "ex/s", "lowest", "highest", "of ceiling", "start, s", "MB a run")
    return common.table(title, columns, cells, left=["program"])


def write(rows: Sequence[Row], plan: Plan, begin: float, load: Sequence[float]) -> None:
    """The file and the figures, after each image size anew, so that an interrupted run leaves what it has."""
    from experiments.benchmarks import picture  # Matplotlib takes a second to import
    from jaxopt_study.plots.picture import save

    path = Path(JSON.value).expanduser()
    measured = [{**row._asdict(), "case": row.case._asdict(), "median": row.median} for row in rows]
    about = {"begun": begin, "load": list(load), "load_after": list(os.getloadavg()), **machine()}
    write_text(path, json.dumps({**about, "plan": plan._asdict(), "rows": measured}, indent=1))
    for model, batch in dict.fromkeys((row.case.model, row.case.batch_size) for row in rows):
        of_model = [row for row in rows if (row.case.model, row.case.batch_size) == (model, batch)]
        most = max(row.case.devices for row in of_model)
        drawn = [row for row in of_model if row.name != "gemm" and row.case.devices in (0, most)]
        ceilings = {size: ceiling(of_model, size) for size in {row.case.image_size for row in drawn}}
        title = f"Training speed, {model}, batch {batch}: median and range of {plan.repeats} turns"
        save(picture.figure(drawn, ceilings, title), path.parent, f"{path.stem}_{model}_{batch}")


def machine() -> dict[str, Any]:
    """What it ran on."""
    versions = {}
    for package in ("jax", "jaxlib", "flax", "optax", "torch", "keras", "tensorflow"):
        try:
            versions[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    return {"machine": platform.machine(), "cores": os.cpu_count(), "python": platform.python_version(), **versions}


if __name__ == "__main__":
    main()
