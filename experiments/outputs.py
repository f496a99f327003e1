"""What an experiment leaves: summary.csv, the figures, and a table for the person at the terminal."""

import os
import sys
from collections.abc import Sequence

import numpy as np
from rich.console import Console
from rich.table import Table

from jaxopt_study import registry, summary, workdir
from jaxopt_study.history import History
from jaxopt_study.plots import save_figures
from jaxopt_study.study import Study


def write(experiment: str, study: Study, histories: Sequence[History]) -> None:
    """Writes the files into the work directory and prints the table."""
    summary.write_csv(study.folder / "summary.csv", histories)
    _, notes = save_figures(experiment, histories, study.folder / "figures")
    console = Console(width=None if sys.stdout.isatty() else int(os.environ.get("COLUMNS", "120")), highlight=False)
    console.print(table(histories))
    for note in notes:
        console.print(note)
    console.print(closing_line(study))


def closing_line(study: Study) -> str:
    """Where it is and how fast it went."""
    path = study.folder / "stats.json"
    speed = ""
    if path.exists():
        stats = workdir.read_json(path)
        speed = (
            f"; {stats['seconds']:.0f} s ({stats['compile_seconds']:.0f} s compiling), "
            f"{stats['examples_per_second']:,.0f} examples/s, goodput {stats['goodput']:.2f}"
        )
    return f"{study.folder}: summary.csv, figures/, runs/*.parquet{speed}"


def table(histories: Sequence[History]) -> Table:
    """A row a configuration, over its seeds: lowest validation loss, its epoch, how the runs ended."""
    configurations: dict[tuple[str, tuple[tuple[str, float], ...]], list[History]] = {}
    for history in histories:
        key = (history.optimizer, tuple(history.hyperparameters.items()))
        configurations.setdefault(key, []).append(history)
    names = varied(histories)
    result = Table(title="Lowest validation loss of each configuration (mean over seeds, lowest to highest)")
    for name in names:
        result.add_column(name, justify="right")
    for name in ("min val loss", "range", "at epoch", "train loss there", "epochs", "status"):
        result.add_column(name, justify="left" if name == "status" else "right")
    cells = {key: figures(group) for key, group in configurations.items()}
    best = min((c[0] for c in cells.values() if np.isfinite(c[0])), default=np.nan)
    for (optimizer, numbers), group in configurations.items():
        loss, low, high, epoch, train = cells[optimizer, numbers]
        values = {"optimizer": registry.family(optimizer).title, **{n: f"{v:.4g}" for n, v in numbers}}
        mark = " *" if loss == best else ""
        result.add_row(
            *(values.get(name, "") for name in names),
            f"{loss:.4f}{mark}" if np.isfinite(loss) else "none",
            f"{low:.4f} - {high:.4f}" if len(group) > 1 and np.isfinite(loss) else "",
            f"{epoch:.0f}" if np.isfinite(loss) else "",
            f"{train:.4f}" if np.isfinite(loss) else "",
            "-".join(dict.fromkeys(str(f(h.epochs for h in group)) for f in (min, max))),
            endings(group),
            style="bold" if mark else None,
        )
    result.caption = "* the lowest"
    return result


def varied(histories: Sequence[History]) -> list[str]:
    """Names of what differs between the configurations."""
    names = dict.fromkeys(name for history in histories for name in history.hyperparameters)
    several = [n for n in names if len({history.hyperparameters.get(n) for history in histories}) > 1]
    optimizers = {history.optimizer for history in histories}
    return (["optimizer"] if len(optimizers) > 1 or not several else []) + several


def figures(group: Sequence[History]) -> tuple[float, float, float, float, float]:
    """Mean, lowest and highest of the minima over seeds, mean epoch of the minimum, mean training loss there."""
    rows = [row for row in map(summary.row, group) if row["min_val_loss"] is not None]
    if not rows:
        return (np.nan,) * 5
    losses = [row["min_val_loss"] for row in rows]
    epochs, train = ([row[name] for row in rows] for name in ("min_val_epoch", "train_loss_at_min_val"))
    return float(np.mean(losses)), min(losses), max(losses), float(np.mean(epochs)), float(np.mean(train))


def endings(group: Sequence[History]) -> str:
    """How the runs of a configuration ended; divergence with its epoch."""
    words = [f"diverged in epoch {h.diverged_epoch}" if h.status == "diverged" else h.status for h in group]
    return ", ".join(f"{words.count(w)} x {w}" if len(set(words)) > 1 else w for w in dict.fromkeys(words))
