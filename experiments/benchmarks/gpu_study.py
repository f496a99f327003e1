"""The article's study on its photographs, for a machine that is there for a quarter of an hour.

    python -m experiments.benchmarks.gpu_study --packs=packs --output=out --minutes=8         # the machine
    python -m experiments.benchmarks.gpu_study --join=out --workdir=workdir/compare           # home again
    python -m experiments.benchmarks.gpu_study --packs=packs --previous=out --output=out2     # and so on

The article's seven best configurations and SGD at 0.01 first, then its whole grid, with the settings of
``--preset=article``, until the minutes are up; OUTPUT/study.jsonl has a line for every run that ends, and the study's
work directory, with what is under way, lies in OUTPUT as files of at most 15 MiB. They are merged into any work
directory: the runs are those that ``experiments.compare`` and ``experiments.replicate`` train there. The photographs
come as `experiments.benchmarks.photographs` packs them. Expected: at 5 us an example and configuration the eight runs
take 6 minutes.
"""

import functools
import time
from pathlib import Path
from typing import Any

from absl import flags

from experiments.benchmarks import snapshot, stages
from experiments.benchmarks.stages import Record, Step, Tell
from experiments.command import flags as command
from experiments.command import place
from jaxopt_study.errors import EnvironmentFault

THIS = "experiments.benchmarks.gpu_study:"
WORKDIR = "workdir/gpu_study"
AT_THE_END = 20.0
"""Seconds for the last epoch, its checkpoint and the snapshot."""
EVERY = 20.0
"""Seconds between two lines on the progress."""


def define_flags() -> None:
    """The command's flags; by the module that is run only."""
    flags.DEFINE_list("packs", [], "Folders with the parts of the photographs.")
    flags.DEFINE_string("output", "gpu_study", "Folder for study.jsonl and the snapshot.")
    flags.DEFINE_string("workdir", WORKDIR, "Folder to train in; with --join the one to merge into.")
    flags.DEFINE_string("previous", None, "Folder with the snapshot to go on from.")
    flags.DEFINE_string("join", None, "Merge the snapshot in this folder into --workdir, and train nothing.")
    flags.DEFINE_float("minutes", 8.0, "After which it ends.", 0.5)
    flags.DEFINE_integer("image_size", 128, "Height and width in pixels.", 2)
    flags.DEFINE_integer("seeds", 1, "Of every configuration.", 1)
    flags.DEFINE_integer("max_epochs", None, "Epochs a run trains at most; the article's preset if not given.", 1)
    flags.DEFINE_integer("slots", 16, "Runs of the grid that train at once: of so many all states can be carried.", 1)
    flags.DEFINE_list("parts", ["best", "grid"], "best, grid or both: which runs, in this order.")


def run() -> None:
    """From the flags to the snapshot."""
    options = flags.FLAGS
    with place.kept(WORKDIR) as workdir:
        follow(workdir, Path(options.output))


def follow(workdir: Path, output: Path) -> None:
    """Trains in a work directory, or adds what was trained elsewhere."""
    options = flags.FLAGS
    for source in filter(None, (options.join, options.previous)):
        print("added: {} finished runs, {} checkpoints".format(*snapshot.joined(Path(source), workdir)))
    if options.join:
        return
    if unknown := set(options.parts) - {"best", "grid"}:
        command.leave(2, f"error: --parts={','.join(sorted(unknown))}: allowed are best, grid")
    record = Record(output / "study.jsonl")
    steps = [
        Step("data", THIS + "data", {"packs": options.packs, "image_size": options.image_size}, 120, "study", True),
        *(_training(part, workdir) for part in options.parts),
    ]
    fine = stages.run(steps, record, options.minutes - AT_THE_END / 240)
    left_out = snapshot.taken(workdir, output) if workdir.exists() else []
    files = {path.name: path.stat().st_size for path in sorted(output.iterdir())}
    record.tell("snapshot", files=files, left_out=left_out, runs=len(list(workdir.glob("runs/*.parquet"))))
    if not fine:
        raise EnvironmentFault(f"there are no photographs to train on: see {record.path}")


def _training(part: str, workdir: Path) -> Step:
    options = flags.FLAGS
    asked = {
        "part": part, "packs": options.packs, "image_size": options.image_size, "workdir": str(workdir),
        "seeds": options.seeds, "max_epochs": options.max_epochs, "slots": options.slots,
        "until": time.time() + 60 * options.minutes - AT_THE_END,
    }  # fmt: skip
    return Step(part, THIS + "train", asked, 3600, "study")


def data(tell: Tell, packs: list[str], image_size: int) -> None:
    """A step: unpacks the photographs, for those that follow in the same process."""
    begin = time.perf_counter()
    dataset = unpacked(tuple(packs), image_size)
    examples = len(dataset.train_labels) + len(dataset.val_labels)
    tell(examples=examples, fingerprint=dataset.fingerprint, unpacking=time.perf_counter() - begin)


@functools.cache
def unpacked(packs: tuple[str, ...], image_size: int) -> Any:
    """The photographs; once a process."""
    from experiments.benchmarks import photographs

    return photographs.unpacked(photographs.read([Path(folder) for folder in packs]), image_size)


def train(
    tell: Tell, part: str, packs: list[str], image_size: int, workdir: str, seeds: int, max_epochs: int | None,
    slots: int, until: float,
) -> None:  # fmt: skip
    """A step: trains the article's best configurations, or its grid, until that time (in seconds since 1970)."""
    from experiments import compare, replicate
    from experiments.command.experiment import PRESETS
    from jaxopt_study.api import make_study
    from jaxopt_study.engine.watcher import Interrupted
    from jaxopt_study.models.build import article_model
    from jaxopt_study.settings import own_switches

    preset = PRESETS["article"]
    study = make_study(
        data=unpacked(tuple(packs), image_size),
        model=article_model(),
        grid=(compare if part == "best" else replicate).make_runs({}, seeds),
        workdir=workdir,
        max_epochs=max_epochs or preset["max_epochs"],
        patience=preset["patience"],
        slots=slots,
        checkpoint_minutes=1.0,
        own=False,
    )
    told = Told(tell, len(study.dataset.train_labels), until)
    try:
        with own_switches():
            study.train(told.watcher())
    except Interrupted:
        tell(ended="the time is up; what is under way is saved")
    tell(finished=len(study.finished), of=len(study.runs), pending=len(study.pending()))


class Told:
    """Tells of runs that end, and from time to time of the progress; asks to stop when the time is up."""

    def __init__(self, tell: Tell, examples: int, until: float) -> None:
        self.tell, self.examples, self.until = tell, examples, until
        self.epochs = 0
        self.begin = self.last = self.asked = time.time()

    def watcher(self) -> Any:
        """For `Trainer.train`."""
        from jaxopt_study.engine.watcher import Watcher

        return Watcher(epoch=self.epoch, end=self.end, interrupted=self.is_over)

    def is_over(self) -> bool:
        """After an epoch of all slots: whether another one that takes as long would end too late."""
        before, self.asked = self.asked, time.time()
        return self.asked + (self.asked - before) > self.until

    def epoch(self, run: Any, number: int, metrics: Any) -> None:
        """After every epoch of every run."""
        self.epochs += 1
        if time.time() - self.last > EVERY:
            self.last = time.time()
            micros = 1e6 * (self.last - self.begin) / (self.epochs * self.examples)
            self.tell(run=_name(run), epoch=number, val_loss=metrics["val_loss"], epochs=self.epochs, us=micros)

    def end(self, run: Any, history: Any) -> None:
        """Once a run."""
        losses = history.curves["val_loss"]
        self.tell(ended_run=_name(run), status=history.status, epochs=len(losses), lowest=float(losses.min()))


def _name(run: Any) -> str:
    numbers = ", ".join(f"{name} {value:g}" for name, value in run.hyperparameters)
    return f"{run.optimizer}, {numbers}, seed {run.seed}"


if __name__ == "__main__":
    define_flags()
    command.start(run)
