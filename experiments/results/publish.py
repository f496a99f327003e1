"""The small part of a study's results, to be kept beside the code: runs, tables, figures, settings, a page to read.

    python -m experiments.results.publish --workdir=W --output=experiments/results/NAME
    python -m experiments.results.publish --workdir=W --output=experiments/results/NAME --weights --checkpoint
    python -m experiments.report --workdir=experiments/results/NAME --output=workdir/again

Copies the finished runs, makes everything again from them (as experiments.report does) and keeps the tables as CSV and
the figures as PNG; README.md says what ran where and for how long, with the best run of each optimizer beside the
article's and a verdict on each of its claims. What comes out is a work directory: reports are made of it, and a copy of
it is trained further, of several work directories as one. With --weights the weights that --save_best_weights kept go
with it, with --checkpoint what is under way, so that another machine goes on with it. Nothing is trained.
"""

import contextlib
import io
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from absl import flags

from experiments import report
from experiments.article import tables as article
from experiments.article.claim import counted, judge
from experiments.command import flags as command
from experiments.command import machine
from jaxopt_study import files
from jaxopt_study.analysis.runs import describe
from jaxopt_study.errors import InputError
from jaxopt_study.plots import labels
from jaxopt_study.report import tables, wording
from jaxopt_study.storage import made, store, workdir

if TYPE_CHECKING:
    from experiments.command.results import Results
    from jaxopt_study.grids.run import Run

BEST = ("optimizer", "article_val_loss", "val_loss", "val_low", "val_high", "article_train_loss", "train_loss",
        "article_epoch", "epoch", "hyperparameters", "seeds", "method")  # fmt: skip
CLAIMS = ("id", "claim", "verdict", "effect", "low", "high", "method", "q", "reason")


def main(argv: Sequence[str] | None = None) -> None:
    """The command."""
    report.define("Folder for the results; its figures are made anew.")
    flags.DEFINE_bool("weights", False, "Copy the best weights of the runs, too.")
    flags.DEFINE_bool("checkpoint", False, "Copy the newest checkpoint, too: of the runs that are under way.")
    command.start(body, argv)


def body() -> None:
    """Everything between the flags and the exit status."""
    if flags.FLAGS.workdir and not flags.FLAGS.output:
        raise InputError("--output", "", "allowed is a folder")
    with report.read() as (results, folder):
        if not results.of_article:
            own = "allowed are the article's experiments; a study of one's own has report()"
            raise InputError("--workdir", results.origins[0][0], own)
        publish(results, folder, flags.FLAGS.weights, flags.FLAGS.checkpoint)


def publish(results: "Results", into: Path, weights: bool = False, checkpoint: bool = False) -> None:
    """Makes a folder of what is made of work directories, all of it or nothing.

    Of what an earlier call made there figures and checkpoints are made anew; files of anybody else are never touched.

    Raises:
        InputError: the folder is one of the work directories, or a study's own, or holds runs of something else; no
            weights were kept, or not one of the work directories has runs under way.
        EnvironmentFault: it cannot be written, another process is at work there, or a file is in the way.
    """
    folders = [folder for folder, _, _ in results.origins]
    if into.resolve() in [folder.resolve() for folder in folders]:
        raise InputError("--output", into, "allowed is a folder that is none of --workdir")
    begun = _newest_checkpoint(folders) if checkpoint else None
    found = {name: next(at for at in folders if (at / "runs" / f"{name}.parquet").exists()) for name in results.files}
    kept = [name for name, at in found.items() if weights and (at / WEIGHTS / name).is_dir()]
    if weights and not kept:
        raise InputError("--weights", "given", "allowed is a study trained with --save_best_weights")
    made.check(into, [made.README])
    anew = ("figures/*", f"{CHECKPOINTS}/*", *(f"{WEIGHTS}/{name}/*" for name in kept))

    @contextlib.contextmanager
    def held() -> Iterator[None]:
        with workdir.locked(into, "--output"):
            _check_own(into, found)
            yield

    _check_own(into, found)
    with made.into(into, whole=anew, held=held) as building:
        for name, at in found.items():
            made.copy(at / "runs" / f"{name}.parquet", building / "runs" / f"{name}.parquet")
        for name in kept:
            made.copy(found[name] / WEIGHTS / name, building / WEIGHTS / name, without=NOTES)
        if begun:
            made.copy(begun, building / CHECKPOINTS / begun.name, without=NOTES)
        _describe(results, building)
        _draw(results, building)
        files.write_text(building / made.README, _page(results, into, len(kept)))
    finished, left = labels.counted(len(results.histories), "run"), len(results.pending)
    print(f"{into}: README.md, tables, figures, {finished}; {left} not trained yet")
    machine.tell(workdir=str(into), runs=len(results.histories) + left, files=machine.files_of(into))


def _page(results: "Results", into: Path, kept: int) -> str:
    from experiments.command import experiment, outputs  # takes its time to import

    judgements = judge(experiment.claims(), results.runs)
    best_runs = article.best_runs(results.runs)
    left = results.pending
    beside = "article_val_loss" in best_runs.columns
    parts = [
        f"# {outputs.title(results)}",
        "\n".join(f"- {line}" for line in [*facts(results.origins), *([unfinished(left)] if left else [])]),
        f"## Best run of each optimizer ({results.where})",
        ("The article trained on cats_vs_dogs at 128 x 128 pixels, up to 1000 epochs. " if beside else "")
        + "Losses are a run's lowest validation and its lowest training cross-entropy (nats), each in an epoch of its "
        "own; `epoch` is that of the validation loss. Intervals are over seeds.",
        tables.to_markdown(best_runs.select([name for name in BEST if name in best_runs.columns])).rstrip(),
        f"## The article's claims ({results.where})",
        f"{counted(judgements)}.",
        tables.to_markdown(article.claims(judgements).select(CLAIMS)).rstrip(),
        *(
            ["## Its weights", LOAD.format(folder=into, kept=kept, rule=results.histories[-1].optimizer)]
            if kept
            else []
        ),
    ]
    return "\n\n".join(parts) + "\n"


def unfinished(left: "Sequence[Run]") -> str:
    """A line that names the runs of the grid that are not finished."""
    named = [f"{describe(run.optimizer, dict(run.hyperparameters), {})} with seed {run.seed}" for run in left[:NAMED]]
    more = f" and {len(left) - NAMED} more" if len(left) > NAMED else ""
    return f"**Not all of it is trained yet**: {labels.counted(len(left), 'run')} to come: {'; '.join(named)}{more}."


NAMED = 8
"""Runs that are named at most."""

CHECKPOINTS, WEIGHTS = "checkpoints", "weights"
"""The folders of a work directory with them."""


LOAD = """{kept} runs' weights at their lowest validation loss. What the best run of all says of a photograph:

```python
import jaxopt_study as js

model = js.load_model("{folder}")
print(model.classify("photograph.jpg"))
```

Another run: `js.load_model("{folder}", {{"optimizer": "{rule}"}})`, with its numbers where a rule has several."""


def _check_own(into: Path, found: Mapping[str, Path]) -> None:
    """Refuses a folder with runs or checkpoints that no earlier call published there."""
    others = sorted({path.stem for path in store.run_files(into)} - found.keys())
    if others:
        raise InputError("--output", into, f"allowed is a folder without runs of anything else; it holds {others[0]}")
    known = made.note(into)
    for path in (*store.run_files(into), *sorted((into / CHECKPOINTS).rglob("*"))):
        if path.is_file() and (name := path.relative_to(into).as_posix()) not in known:
            raise InputError("--output", into, f"allowed is no study's own work directory; it holds {name}")


def _draw(results: "Results", building: Path) -> None:
    """The tables as CSV, and the figures as PNG."""
    from experiments.command import outputs  # takes its time to import

    with tempfile.TemporaryDirectory() as again:
        with contextlib.redirect_stdout(io.StringIO()):  # of a folder that will not be there
            outputs.write(results, Path(again))
        for path in sorted(Path(again).glob("figures/*.png")):
            made.copy(path, building / "figures" / path.name)
        for path in [*Path(again).glob("*.csv"), *Path(again).glob("tables/*.csv")]:
            made.copy(path, building / path.name)


def _describe(results: "Results", building: Path) -> None:
    """config.json and stats.json, of all work directories together."""
    from jaxopt_study.engine.stats import totals  # takes its time to import

    first = dict(results.origins[0][1])
    if "asked" in first.get("dataset", {}):  # where the data lay is that machine's own affair
        asked = {name: value for name, value in first["dataset"]["asked"].items() if name != "data_dir"}
        first["dataset"] = {**first["dataset"], "asked": asked}
    grid = [run for _, config, _ in results.origins for run in config.get("grid", ())]
    unlike = [run for at, run in enumerate(grid) if run not in grid[:at]]
    workdir.write_json(building / "config.json", {**first, "grid": unlike, "experiments": results.drawn})
    parts = [part for _, _, told in results.origins for part in told.get("parts", ())]
    costs = {rule: cost for _, _, told in results.origins for rule, cost in told.get("costs", {}).items()}
    if parts:
        total = {**totals(parts), **({"costs": costs} if costs else {}), "parts": parts}
        workdir.write_json(building / "stats.json", total)


NOTES = ("commit_success.txt",)
"""Of Orbax: they name a path of the machine that wrote; nobody reads them, what they are of has a digest."""


def _newest_checkpoint(folders: Sequence[Path]) -> Path:
    """The one of the work directory, of several, of which one process has runs under way."""
    steps = [[at for at in (folder / CHECKPOINTS).glob("*") if at.name.isdigit()] for folder in folders]
    if len(found := [max(of_folder, key=lambda at: int(at.name)) for of_folder in steps if of_folder]) != 1:
        allowed = "allowed is one work directory with runs that one process has under way"
        raise InputError("--checkpoint", f"given, with {len(found)} of them", allowed)
    return found[0]


def facts(origins: Sequence[tuple[Path, Mapping[str, Any], Mapping[str, Any]]]) -> list[str]:
    """What ran, on what, how long, and how to make it again."""
    lines = []
    for folder, config, stats in origins:
        versions = config.get("versions", {})
        lines += [
            f"{stats.get('runs', '?')} runs, {stats.get('epochs_trained', '?')} epochs of training in "
            f"{stats.get('seconds', 0) / 60:.0f} minutes on {wording.hardware(config, stats)} "
            f"({stats.get('examples_per_second', 0):,.0f} examples a second, goodput {stats.get('goodput', 0):.3f}); "
            f"jax {versions.get('jax')}, flax {versions.get('flax')}, optax {versions.get('optax')}.",
            f"Made from the runs in `{folder.name}` by `python -m experiments.results.publish`.",
        ]
    return lines


if __name__ == "__main__":
    main()
