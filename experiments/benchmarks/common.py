"""What the benchmarks share: list flags, tables, medians with their range, commands in processes of their own."""

import statistics
import subprocess
import sys
import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

from rich.table import Table

from experiments.command import machine
from jaxopt_study.errors import InputError
from jaxopt_study.storage import workdir


class Spread(NamedTuple):
    """Numbers of several turns."""

    median: float
    lowest: float
    highest: float

    @property
    def span(self) -> str:
        """Lowest to highest."""
        return f"{self.lowest:.1f} - {self.highest:.1f}"


def spread(values: Sequence[float]) -> Spread:
    """The median of at least one number, and the range."""
    return Spread(statistics.median(values), min(values), max(values))


def table(title: str, columns: Iterable[str], rows: Iterable[Sequence[object]], left: Sequence[str] = ()) -> Table:
    """For the terminal, and for the line of --json; cells stand on the right, but for the columns ``left``.

    A row may have cells missing.
    """
    columns, texts = list(columns), [list(map(str, row)) for row in rows]
    machine.tell_table(title, columns, texts)
    result = Table(title=title)
    for name in columns:
        result.add_column(name, justify="left" if name in left else "right")
    for row in texts:
        result.add_row(*row)
    return result


def run_command(module: str, *arguments: str) -> float:
    """Runs a command to its end; seconds. Raises RuntimeError: it failed."""
    begin = time.monotonic()
    if status := start_command(module, *arguments).wait():
        raise RuntimeError(f"python -m {' '.join([module, *arguments])} ended with status {status}")
    return time.monotonic() - begin


def start_command(module: str, *arguments: str) -> subprocess.Popen[bytes]:
    """Starts ``python -m module`` with its arguments, silent."""
    command = [sys.executable, "-m", module, *arguments]
    return subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def training_seconds(folder: Path) -> float:
    """Seconds that a study trained, compilation apart."""
    return float(sum(part["training_seconds"] for part in workdir.read_json(folder / "stats.json")["parts"]))


def whole_numbers(flag: str, texts: Sequence[str], least: int = 1) -> list[int]:
    """A list flag of whole numbers. Raises InputError: no number, another text, or a number below ``least``."""
    for text in texts or [""]:
        if not text.strip().isdecimal() or int(text) < least:
            raise InputError(f"--{flag}", text, f"allowed is a comma-separated list of whole numbers from {least}")
    return list(map(int, texts))
