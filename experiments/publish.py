"""The small part of a study's results, to be kept beside the code: tables, figures, settings, a page to read.

    python -m experiments.publish --workdir=W --output=experiments/results/NAME

Makes everything again from the finished runs in the work directory (as experiments.report does) and copies the tables
as CSV, the figures as PNG, config.json and stats.json; README.md beside them says what ran where and for how long, with
the best run of each optimizer beside the article's and a verdict on each of its claims. Nothing is trained.
"""

import shutil
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from absl import flags

from experiments import report
from experiments.article import tables as article
from experiments.article.claim import counted, judge
from experiments.command import flags as command
from experiments.command import machine
from jaxopt_study import files
from jaxopt_study.errors import InputError
from jaxopt_study.report import tables
from jaxopt_study.storage import workdir

if TYPE_CHECKING:
    from experiments.command.results import Results

BEST = ("optimizer", "article_val_loss", "val_loss", "val_low", "val_high", "article_train_loss", "train_loss",
        "article_epoch", "epoch", "hyperparameters", "seeds", "method")  # fmt: skip
CLAIMS = ("id", "claim", "verdict", "effect", "low", "high", "method", "q", "reason")


def main(argv: Sequence[str] | None = None) -> None:
    """The command."""
    report.define("Folder for the results; made anew.")
    command.start(body, argv)


def body() -> None:
    """Everything between the flags and the exit status."""
    if flags.FLAGS.workdir and not flags.FLAGS.output:
        raise InputError("--output", "", "allowed is a folder")
    with report.read() as (results, folder):
        if not results.of_article:
            own = "allowed are the article's experiments; a study of one's own has report()"
            raise InputError("--workdir", results.origins[0][0], own)
        publish(results, folder)


def publish(results: "Results", into: Path) -> None:
    """Writes what is made of work directories into a folder, of which only the figures are removed before."""
    from experiments.command import experiment, outputs  # takes its time to import

    with tempfile.TemporaryDirectory() as made:
        outputs.write(results, Path(made))
        shutil.rmtree(into / "figures", ignore_errors=True)
        (into / "figures").mkdir(parents=True)
        for path in sorted(Path(made).glob("figures/*.png")):
            shutil.copy(path, into / "figures")
        for path in [*Path(made).glob("*.csv"), *Path(made).glob("tables/*.csv")]:
            shutil.copy(path, into)
    judgements = judge(experiment.claims(), results.runs)
    best_runs = article.best_runs(results.runs)
    workdir.write_json(into / "config.json", [config for _, config, _ in results.origins])
    workdir.write_json(into / "stats.json", [stats for _, _, stats in results.origins])
    beside = "article_val_loss" in best_runs.columns
    parts = [
        f"# {outputs.title(results)}",
        "\n".join(f"- {line}" for line in facts(results.origins)),
        f"## Best run of each optimizer ({results.where})",
        ("The article trained on cats_vs_dogs at 128 x 128 pixels, up to 1000 epochs. " if beside else "")
        + "Losses are validation and training cross-entropy in nats, `epoch` is that of the lowest validation loss, "
        "intervals are over seeds.",
        tables.to_markdown(best_runs.select([name for name in BEST if name in best_runs.columns])).rstrip(),
        f"## The article's claims ({results.where})",
        f"{counted(judgements)}.",
        tables.to_markdown(article.claims(judgements).select(CLAIMS)).rstrip(),
    ]
    files.write_text(into / "README.md", "\n\n".join(parts) + "\n")
    machine.tell(workdir=str(into), files=machine.files_of(into))


def facts(origins: Sequence[tuple[Path, Mapping[str, Any], Mapping[str, Any]]]) -> list[str]:
    """What ran, on what, how long, and how to make it again."""
    lines = []
    for folder, config, stats in origins:
        versions, devices = config.get("versions", {}), config.get("devices", ["unknown"])
        device = config.get("processor", "CPU core") if devices[0] == "cpu" else devices[0]
        lines += [
            f"{stats.get('runs', '?')} runs, {stats.get('epochs_trained', '?')} epochs of training in "
            f"{stats.get('seconds', 0) / 60:.0f} minutes on {len(devices)} x {device} "
            f"({stats.get('examples_per_second', 0):,.0f} examples a second, goodput {stats.get('goodput', 0):.3f}); "
            f"jax {versions.get('jax')}, flax {versions.get('flax')}, optax {versions.get('optax')}.",
            f"Made from the runs in `{folder.name}` by `python -m experiments.publish`.",
        ]
    return lines


if __name__ == "__main__":
    main()
