"""What a user's study leaves in its work directory besides the runs: tables, figures and the report."""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from jaxopt_study import report
from jaxopt_study.history import History
from jaxopt_study.plots import SavedFigure, labels
from jaxopt_study.plots.general import general
from jaxopt_study.plots.picture import save_pictures
from jaxopt_study.report import tables

_IN_PRINT = ("optimizer", "val_loss", "val_low", "val_high", "train_loss", "epoch", "hyperparameters", "seeds")
UNITS = {"squared_error": "mean squared error"}


def draw(histories: Sequence[History], folder: Path, config: Mapping[str, Any]) -> list[SavedFigure]:
    """Draws a study's finished runs and writes them to ``folder/figures``; ``config`` is what config.json says.

    Raises:
        EnvironmentFault: a file cannot be written.
    """
    classes = len(config["dataset"]["classes"])
    chance = math.log(classes) if classes else math.inf
    pictures = general(histories, unit=UNITS.get(config["loss"], labels.LOSS_UNIT), chance=chance)
    return save_pictures(pictures, folder / "figures")


def write(histories: Sequence[History], folder: Path, config: Mapping[str, Any], stats: Mapping[str, Any]) -> Path:
    """Writes tables, figures and report.html of a study's finished runs.

    Args:
        histories: the runs.
        folder: where to write.
        config: what config.json says.
        stats: what stats.json says; may be empty.

    Returns:
        The page.

    Raises:
        EnvironmentFault: a file cannot be written.
    """
    runs, best = tables.summary(histories), tables.best_configurations(histories)
    tables.write_csv(folder / "summary.csv", runs)
    tables.write_csv(folder / "tables" / "best_runs.csv", best)
    for name, table, caption in (
        ("best_runs", tables.select(best, _IN_PRINT), "Best configuration of each optimizer."),
        ("summary", runs, "Every run."),
    ):
        tables.write_latex(folder / "tables" / f"{name}.tex", table, caption=caption, label=f"tab:{name}")
    saved = draw(histories, folder, config)
    return report.write(
        folder / "report.html",
        title=f"{config['identity']['model'].split()[0]} on {config['dataset']['name']}",
        origins=[report.Origin(folder.name, config, stats)],
        best_runs=best,
        runs=runs,
        figures=report.illustrations(saved),
    )
