"""Is anything lost when a study is killed? Kills it at random moments, resumes it, compares every run bit for bit.

    python -m experiments.benchmarks.kill_and_resume --kills=50

Each trial starts a small momentum grid in an empty work directory, sends SIGKILL at a moment drawn uniformly from the
time that the undisturbed study takes, gives the same command again, and compares the store with the undisturbed one.
Expected: all runs of all trials identical.
"""

import math
import random
import sys
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

from absl import flags
from rich.console import Console
from rich.table import Table

from experiments.benchmarks import common
from experiments.command import flags as command

KILLS = flags.DEFINE_integer("kills", 50, "Trials, at least 1.", 1)
SEED = flags.DEFINE_integer("seed", 0, "Of the moments.")
COMMAND = (
    "experiments.momentum_grid",
    "--learning_rates=0.003,0.03",
    "--momenta=0,0.9",
    "--seeds=2",
    "--slots=4",
    "--max_epochs=30",
    "--checkpoint_minutes=0.02",
)


class Trial(NamedTuple):
    """One kill: when, how many runs had ended by then, whether a checkpoint was there, how many runs came out equal."""

    second: float
    ended: int
    checkpoint: bool
    identical: int
    resume_seconds: float


def finish(workdir: Path) -> float:
    """Runs the study to its end; seconds."""
    return common.run_command(*COMMAND, f"--workdir={workdir}")


def trial(whole: Path, workdir: Path, second: float) -> Trial:
    """Kills a study after so many seconds, resumes it and compares."""
    process = common.start_command(*COMMAND, f"--workdir={workdir}")
    time.sleep(second)
    process.kill()
    process.wait()
    ended = len(list((workdir / "runs").glob("*.parquet")))
    checkpoints = workdir / "checkpoints"
    checkpoint = checkpoints.is_dir() and any(path.name.isdigit() for path in checkpoints.iterdir())
    seconds = finish(workdir)
    return Trial(second, ended, checkpoint, identical(whole, workdir), seconds)


def identical(one: Path, other: Path) -> int:
    """How many runs are in both stores with equal bits; the schema's metadata counts too."""
    left, right = ({path.name: path for path in (folder / "runs").glob("*.parquet")} for folder in (one, other))
    if left.keys() != right.keys():
        return len(left.keys() & right.keys()) - len(left.keys() ^ right.keys())
    return sum(left[name].read_bytes() == right[name].read_bytes() for name in left)


def run() -> None:
    """From the flags to the table."""
    moments = random.Random(SEED.value)
    console = Console(width=100)
    with tempfile.TemporaryDirectory() as folder:
        whole = Path(folder) / "whole"
        finish(Path(folder) / "warm")  # fills the compilation cache
        seconds = finish(whole)
        runs = len(list((whole / "runs").glob("*.parquet")))
        trials = []
        for i in range(KILLS.value):
            trials.append(trial(whole, Path(folder) / str(i), moments.uniform(0, seconds)))
            console.print(f"{i + 1}: {trials[-1]}")
    console.print(summary(trials, runs, seconds))
    sys.exit(any(t.identical != runs for t in trials))


def summary(trials: list[Trial], runs: int, seconds: float) -> Table:
    """Trials by what there was to resume from."""
    groups = {
        "before anything was saved": [t for t in trials if not t.checkpoint and not t.ended],
        "with a checkpoint": [t for t in trials if t.checkpoint and not t.ended],
        "with finished runs": [t for t in trials if t.ended],
        "in all": trials,
    }
    rows = []
    for name, group in groups.items():
        median = common.spread([t.resume_seconds for t in group]).median if group else math.nan
        rows.append((name, len(group), sum(t.identical == runs for t in group), f"{median:.1f}"))
    columns = ("killed", "trials", "all runs identical", "resuming took, s (median)")
    return common.table(f"{runs} runs, undisturbed {seconds:.1f} s", columns, rows)


if __name__ == "__main__":
    command.start(run)
