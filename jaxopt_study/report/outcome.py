"""What a study leaves in its work directory besides the runs: tables, figures and the report."""

import html
import math
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jaxopt_study.analysis.equal_time import costs_in
from jaxopt_study.analysis.guessing import guessing_in
from jaxopt_study.analysis.minima import Monitor
from jaxopt_study.analysis.runs import by_rule
from jaxopt_study.analysis.tuning import tuning_curves
from jaxopt_study.files import write_text
from jaxopt_study.history import History
from jaxopt_study.plots import labels
from jaxopt_study.report import page, tables, tuning
from jaxopt_study.report.data import study_data
from jaxopt_study.report.facts import Origin, Reference, directions
from jaxopt_study.report.tables import Table
from jaxopt_study.storage import made

if TYPE_CHECKING:
    from jaxopt_study.plots.picture import Picture, SavedFigure

_BEST_IN_PRINT = (
    "val_loss",
    "val_low",
    "val_high",
    "val_accuracy",
    "train_loss",
    "epoch",
    "hyperparameters",
    "seeds",
    "method",
)
_CLAIMS_IN_PRINT = ("id", "verdict", "effect", "low", "high", "meaning", "method", "q")
FIGURES = ("figures/*",)
MADE_ANEW = (*FIGURES, "tables/*")
"""What a report makes anew altogether; see ``storage.made.into``."""
CROSS_ENTROPIES = ("sigmoid", "softmax", "multi_label")
COSTS = ("cost", "equal_time_val_loss")
UNITS = {"squared_error": "mean squared error"}
"""Of losses that are no cross-entropies; one of the user's own is its name."""


def unit_of(config: Mapping[str, Any]) -> str:
    """Of the loss, by a config.json."""
    loss = config.get("loss", CROSS_ENTROPIES[0])
    return labels.LOSS_UNIT if loss in CROSS_ENTROPIES else UNITS.get(loss, loss.replace("_", " "))


def title_of(config: Mapping[str, Any]) -> str:
    """Of the page of a study of one's own: its network and its data."""
    return f"{config['identity']['model'].split()[0]} on {config['dataset']['name']}"


def monitor_of(config: Mapping[str, Any]) -> Monitor | None:
    """What runs are judged by, by a config.json; None for the validation loss."""
    return Monitor(config["monitor"], config["mode"]) if "monitor" in config else None


def pictures(histories: Sequence[History], config: Mapping[str, Any]) -> Iterator["Picture"]:
    """The figures of a study's finished runs; ``config`` is what config.json says."""
    from jaxopt_study.plots.general import general  # Matplotlib is slow to import; no epoch waits for it

    return general(histories, unit=unit_of(config), chance=guessing_in(config))


def draw(histories: Sequence[History], folder: Path, config: Mapping[str, Any]) -> list["SavedFigure"]:
    """Makes ``folder/figures`` anew, with the :func:`pictures` of a study; EnvironmentFault: it cannot be written."""
    from jaxopt_study.plots.picture import save_pictures

    with made.into(folder, whole=FIGURES) as building:
        saved = save_pictures(pictures(histories, config), building / "figures")
    at = folder / "figures"
    return [one._replace(png=at / one.png.name, svg=at / one.svg.name) for one in saved]


def write_paper(
    histories: Sequence[History], folder: Path, config: Mapping[str, Any], widths: Sequence[float]
) -> list[Path]:
    """Writes the :func:`pictures` of a study to ``folder/paper``, see ``report.paper.write``.

    Raises:
        InputError: there are no such widths.
        EnvironmentFault: a file cannot be written.
    """
    from jaxopt_study.plots.paper import paper_of
    from jaxopt_study.report import paper

    return paper.write(pictures(histories, config), folder, paper_of(widths))


def write(
    histories: Sequence[History],
    folder: Path,
    config: Mapping[str, Any],
    stats: Mapping[str, Any],
    files: Sequence[str] = (),
) -> Path:
    """Writes tables, figures and report.html of a study of whatever kind and returns the path of the page.

    ``config`` is what config.json says, ``stats`` what stats.json says, perhaps nothing; ``files`` as in
    :func:`write_report`.

    Raises:
        EnvironmentFault: a file cannot be written.
    """
    from jaxopt_study.plots.picture import save_pictures

    title = title_of(config)
    origins = [Origin(folder.name, config, stats)]
    monitor, chance = monitor_of(config), guessing_in(config)
    best = tables.best_configurations(histories, chance, monitor) if monitor else None
    with made.into(folder, whole=MADE_ANEW) as building:
        figures = save_pictures(pictures(histories, config), building / "figures")
        written = write_report(
            histories, building, origins, figures, title=title, chance=chance, best_runs=best, files=files
        )
    return folder / written.name


def html_of(text: str, histories: Sequence[History], chance: float) -> str:
    """What a notebook shows of a study: a text, and the best configurations of its finished runs, if there are any."""
    best = tables.best_configurations(histories, chance)
    return f"<p>{html.escape(text)}</p>" + (tables.to_html(best) if best.rows else "")


def write_report(
    histories: Sequence[History],
    folder: Path,
    origins: Sequence[Origin],
    figures: Sequence["SavedFigure"],
    *,
    title: str,
    chance: float = math.inf,
    where: str = "",
    best_runs: Table | None = None,
    question: str = "",
    reference: Reference | None = None,
    further: Mapping[str, Table] | None = None,
    notes: Sequence[str] = (),
    files: Sequence[str] = (),
    again: str = "",
) -> Path:
    """Writes the tables as CSV and as LaTeX (of wide ones the columns that a page has room for) and report.html.

    Args:
        histories: the runs.
        folder: where to write.
        origins: what was run, on what, how long.
        figures: as they were written.
        title: of the page.
        chance: the loss of guessing; infinite where it is not known.
        where: on what the runs were trained, for the titles of tables.
        best_runs: the best configurations; those of ``tables.best_configurations`` if None. Those of a
            reference, if its losses compare, are columns that begin with its name.
        reference: a publication that the study is set beside; its claims are written as well.
        further: tables of their own by the names of their files.
        notes: sentences for the page, such as why a figure is left out.
        question: that the study asks; empty if nobody said so.
        files: the name of each run's file in runs/, without its ending; none if that is not known.
        again: the command that trains the study; empty if there is none.

    Returns:
        The path of the page.

    Raises:
        EnvironmentFault: a file cannot be written.
    """
    runs = tables.summary(histories, chance)
    best = best_runs or tables.best_configurations(histories, chance)
    costs = costs_in([origin.stats for origin in origins])
    epochs = max((origin.config.get("settings", {}).get("max_epochs", 1) for origin in origins), default=1)
    monitors = [monitor for origin in origins if (monitor := monitor_of(origin.config)) is not None]
    watched, names = monitors[0] if monitors else None, reference.rules if reference else None
    best = tables.with_costs(best, histories, costs, epochs, watched, names)
    beside = [f"{reference.name}_val_loss"] if reference and f"{reference.name}_val_loss" in best.columns else []
    on = f" ({where})" if where else ""
    printed = {
        "best_runs": (
            best.select(
                ("optimizer", *beside, *_BEST_IN_PRINT, *(n for n in (*tables.TESTED, *COSTS) if n in best.columns))
            ),
            f"Best configuration of each optimizer{on}.",
        ),
        "summary": (runs, f"Every run{on}."),
    }
    in_full = {"summary": runs, "tables/best_runs": best}
    if reference:
        in_full["claims"] = reference.claims
        printed["claims"] = (
            reference.claims.select(_CLAIMS_IN_PRINT),
            f"Verdicts, with 95% intervals{on}.",
        )
    sources = tables.variance_components(histories, chance, _orders(origins))
    if sources.rows:
        in_full["tables/variance_components"] = sources
    importance = tables.importance(histories, chance)
    if importance.rows:
        in_full["tables/importance"] = importance
    in_full |= {f"tables/{name}": table for name, table in (further or {}).items()}
    if curves := tuning_curves(by_rule(histories), chance):
        in_full["tables/tuning_curves"] = tuning.table(curves)
    for name, table in in_full.items():
        write_text(folder / f"{name}.csv", tables.to_csv(table))
    for name, (table, caption) in printed.items():
        write_text(folder / "tables" / f"{name}.tex", tables.to_latex(table, caption=caption, label=f"tab:{name}"))
    html = page.render(
        title=title, chance=chance, where=where, origins=origins, best_runs=best, reference=reference, runs=runs,
        figures=figures, notes=notes, sources=sources, importance=importance, question=question,
        data=study_data(
            histories, chance, files=files, unit=losses_unit(origins), again=again,
            directions=directions(origins), costs=costs,
        ),
    )  # fmt: skip
    write_text(folder / "report.html", html)
    return folder / "report.html"


def losses_unit(origins: Sequence[Origin]) -> str:
    """The unit of the losses; empty if it is nats."""
    units = (unit_of(origin.config) for origin in origins)
    return next((unit for unit in units if unit != labels.LOSS_UNIT), "")


def _orders(origins: Sequence[Origin]) -> str:
    """What a study's data seeds are of: where its data are split here, every one has a split of its own."""
    split = any(len(set(origin.config.get("data_seeds", {}).values())) > 1 for origin in origins)
    return "order and split of the data" if split else "order of the data"
