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
from collections.abc import Mapping, Sequence
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
from absl import flags
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from rich.console import Console
from rich.table import Table

from experiments.benchmarks import cases, common
from experiments.benchmarks.cases import Case, Peer
from experiments.benchmarks.measure import Plan, Row, measure, missing
from experiments.command import flags as command
from jaxopt_study.errors import InputError
from jaxopt_study.files import write_text
from jaxopt_study.plots import picture, style
from jaxopt_study.storage import workdir

PROGRAMS = {peer.name: peer for peer in (*cases.OURS, *cases.FIXED, *cases.PEERS)}
OURS = [peer.name for peer in (*cases.OURS, *cases.FIXED)]
OTHERS = [peer.name for peer in cases.PEERS]
FLAGS = flags.FLAGS


def define_flags() -> None:
    """The command's flags; by the module that is run only."""
    texts, number = flags.DEFINE_list, flags.DEFINE_float
    texts("image_size", ["32", "64", "128"], "Heights and widths in pixels, each at least 2.")
    texts("configs", ["1", "4", "16", "64"], "Numbers of configurations, each at least 1.")
    texts("batch_size", ["32"], "Examples a step, each at least 2.")
    texts("devices", None, "Devices that this project uses (CPU: cores); all if not given.")
    texts("models", ["article"], "article, resnet.")
    texts("peers", ["all"], f"all, none, or some of {', '.join(OTHERS)}.")
    texts("ours", [peer.name for peer in cases.OURS], f"Which forms of this project: {', '.join(OURS)}.")
    flags.DEFINE_integer("steps", None, "Batches of data; a good number for each program if not given.", 1)
    flags.DEFINE_integer("repeats", 5, "Turns of every program, at least 1.", 1)
    number("seconds", 0.5, "That a turn takes at least.", 0.0)
    number("longest", 30.0, "Leave a program out where a pass takes more seconds.", 0.0)
    flags.DEFINE_string("output", "throughput.json", "File for the numbers; the figures go beside it.")


def run() -> None:
    """From the flags to the table, the figures and the file."""
    sizes, batches = unique("image_size", FLAGS.image_size, 2), unique("batch_size", FLAGS.batch_size, 2)
    counts = sorted(unique("configs", FLAGS.configs))
    devices = unique("devices", FLAGS.devices) if FLAGS.devices else [0]
    models = chosen("models", FLAGS.models, ["article", "resnet"])
    console = Console(width=130)
    peers = programs(console)
    plan = Plan(FLAGS.repeats, FLAGS.seconds, FLAGS.longest)
    rows: list[Row] = []
    begin, load = time.time(), os.getloadavg()
    for model, size in itertools.product(models, sizes):
        console.rule(f"{model}, {size} pixels")
        works = [
            Case(model, size, configs, batch, FLAGS.steps or 0, count)
            for batch, count, configs in itertools.product(batches, devices, counts)
        ]
        rows += measure([*peers, cases.GEMM], works, plan, console.print)
        write(rows, plan, begin, load)
    for group in grouped(rows):
        console.print(table(group))


def unique(flag: str, texts: Sequence[str], least: int = 1) -> list[int]:
    """A list flag of whole numbers, each once."""
    return list(dict.fromkeys(common.whole_numbers(flag, texts, least)))


def programs(console: Console) -> list[Peer]:
    """What is asked for and installed; of the others a line on how to install them."""
    asked = {"all": OTHERS, "none": [], "": []}.get(",".join(FLAGS.peers), FLAGS.peers)
    found = []
    for peer in (PROGRAMS[name] for name in [*chosen("ours", FLAGS.ours, OURS), *chosen("peers", asked, OTHERS)]):
        if lacking := missing(peer):
            console.print(f"{peer.title}: skipped; pip install {' '.join(lacking)} (extra: benchmark)")
        else:
            found.append(peer)
    return found


def chosen(flag: str, names: Sequence[str], known: Sequence[str]) -> list[str]:
    """A list flag of names. Raises InputError: a name that is not known."""
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
    path = Path(FLAGS.output).expanduser()
    measured = [{**row._asdict(), "case": row.case._asdict(), "median": row.median} for row in rows]
    about = {"begun": begin, "load": list(load), "load_after": list(os.getloadavg()), **machine()}
    write_text(path, json.dumps({**about, "plan": plan._asdict(), "rows": measured}, indent=1))
    for model, batch in dict.fromkeys((row.case.model, row.case.batch_size) for row in rows):
        of_model = [row for row in rows if (row.case.model, row.case.batch_size) == (model, batch)]
        most = max(row.case.devices for row in of_model)
        drawn = [row for row in of_model if row.name != "gemm" and row.case.devices in (0, most)]
        ceilings = {size: ceiling(of_model, size) for size in {row.case.image_size for row in drawn}}
        title = f"Training speed, {model}, batch {batch}: median and range of {plan.repeats} turns"
        picture.save(figure(drawn, ceilings, title), path.parent, f"{path.stem}_{model}_{batch}")


def figure(rows: Sequence[Row], ceilings: Mapping[int, float], title: str) -> Figure:
    """Medians with their range, of one model, batch size and number of devices, both axes logarithmic.

    ``ceilings`` are examples x configurations a second that the matrix products of a step allow, by image size.
    """
    sizes = sorted({row.case.image_size for row in rows})
    measured = {row.name for row in rows}
    looks = style.looks(name for name in PROGRAMS if name in measured)
    with style.applied():
        drawn, panels = style.panels(len(sizes), title, height=3.4, right=2.7)
        for axes, size in zip(panels, sizes, strict=True):
            panel(axes, [row for row in rows if row.case.image_size == size and row.rates], ceilings[size], looks)
            axes.set_title(f"{size} x {size} pixels", loc="left")
        panels[0].set_ylabel("examples x configurations a second")
        style.legend(drawn, panels[-1], "", width=2.6)
    return drawn


def panel(axes: Axes, rows: Sequence[Row], ceiling: float, looks: Mapping[str, style.Look]) -> None:
    """One image size, with the look of each program by its name."""
    counts = sorted({row.case.configs for row in rows})
    for name, look in looks.items():
        mine = sorted((row for row in rows if row.name == name), key=lambda row: row.case.configs)
        if not mine:
            continue
        alone = not PROGRAMS[name].together
        x = counts if alone else [row.case.configs for row in mine]
        points = [mine[0]] * len(counts) if alone else mine
        medians, low, high = np.array([(row.median, min(row.rates), max(row.rates)) for row in points]).T
        marker = "None" if alone and len(counts) > 1 else look.marker
        axes.plot(x, medians, color=look.color, linestyle=look.linestyle, marker=marker, label=mine[0].title)
        axes.fill_between(x, low, high, color=look.color, alpha=0.15, linewidth=0)
    axes.axhline(ceiling, color=style.MUTED, linewidth=1.0, linestyle=":", label="ceiling of the matrix products")
    rates = [rate for row in rows for rate in row.rates] + [ceiling]
    style.log_axis(axes, "y", min(rates), max(rates))
    axes.yaxis.set_major_formatter("{x:,.0f}")
    axes.set_xscale("log", base=2)
    axes.set_xticks(counts, [str(count) for count in counts])
    axes.set_xlabel("configurations")


def machine() -> dict[str, Any]:
    """What it ran on."""
    peers = [package for package in ("torch", "keras", "tensorflow") if find_spec(package)]
    versions = {**workdir.versions(), **{package: metadata.version(package) for package in peers}}
    return {"machine": platform.machine(), "cores": os.cpu_count(), **versions}


if __name__ == "__main__":
    define_flags()
    command.start(run)
