"""The small part of a study's results, to be kept beside the code: tables, figures, settings, a page to read.

    python -m experiments.publish --workdir=W --output=experiments/results/NAME

Makes everything again from the finished runs in the work directory (as experiments.report does) and copies the tables
as CSV, the figures as PNG, config.json and stats.json; README.md beside them says what ran where and for how long, with
the best run of each optimizer beside the article's and a verdict on each of its claims. Nothing is trained.
"""

import contextlib
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from absl import flags

from experiments.article import tables as article
from experiments.article.claim import judge
from experiments.command import start as command
from jaxopt_study import files
from jaxopt_study.errors import InputError
from jaxopt_study.report import tables
from jaxopt_study.report.facts import VERDICTS
from jaxopt_study.storage import remote, workdir

BEST = ("optimizer", "article_val_loss", "val_loss", "val_low", "val_high", "article_train_loss", "train_loss",
        "article_epoch", "epoch", "hyperparameters", "seeds")  # fmt: skip
CLAIMS = ("id", "claim", "verdict", "effect", "low", "high", "reason")


def main(argv: Sequence[str] | None = None) -> None:
    """The command."""
    flags.DEFINE_list("workdir", None, "Work directories with finished runs, comma-separated.", allow_override=True)
    flags.DEFINE_string("output", None, "Folder for the results; made anew.", allow_override=True)
    command.start(body, argv)


def body() -> None:
    """Everything between the flags and the exit status."""
    given: list[str] = flags.FLAGS["workdir"].value or []
    output: str = flags.FLAGS["output"].value or ""
    for name, value in (("--workdir", given), ("--output", output)):
        if not value:
            raise InputError(name, "", "allowed is a folder")
    into = workdir.check(Path(output))
    with contextlib.ExitStack() as held:
        folders = [held.enter_context(remote.kept(name)).expanduser() for name in given]
        for folder in folders:
            if not (folder / "runs").is_dir():
                raise InputError("--workdir", folder, "allowed is a work directory with finished runs (runs/*.parquet)")
        publish(folders, into)


def publish(folders: Sequence[Path], into: Path) -> None:
    """Writes the results of work directories into a folder, of which only the figures are removed before."""
    from experiments.command import catalogue, outputs, results

    found = results.read(folders)
    if not found.of_article:
        raise InputError(
            "--workdir", folders[0], "allowed are the article's experiments; a study of one's own has report()"
        )
    with tempfile.TemporaryDirectory() as made:
        outputs.write(found, Path(made))
        shutil.rmtree(into / "figures", ignore_errors=True)
        (into / "figures").mkdir(parents=True)
        for path in sorted(Path(made).glob("figures/*.png")):
            shutil.copy(path, into / "figures")
        for path in [*Path(made).glob("*.csv"), *Path(made).glob("tables/*.csv")]:
            shutil.copy(path, into)
    judged = article.claims(judge(catalogue.claims(), found.runs))
    workdir.write_json(into / "config.json", [config for _, config, _ in found.origins])
    workdir.write_json(into / "stats.json", [stats for _, _, stats in found.origins])
    best = article.best_runs(found.runs).select(BEST)
    heading = f"# {outputs.title(found)}"
    counts = [f"{judged.column('verdict').count(verdict)} {verdict}" for verdict in VERDICTS]
    parts = [
        heading,
        "\n".join(f"- {line}" for line in facts(found.origins)),
        f"## Best run of each optimizer ({found.where})",
        "The article trained on cats_vs_dogs at 128 x 128 pixels, up to 1000 epochs. Losses are validation and "
        "training cross-entropy in nats, `epoch` is that of the lowest validation loss, intervals are over seeds.",
        tables.to_markdown(best).rstrip(),
        f"## The article's claims ({found.where})",
        ", ".join(counts) + ".",
        tables.to_markdown(judged.select(CLAIMS)).rstrip(),
    ]
    files.write_text(into / "README.md", "\n\n".join(parts) + "\n")


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
