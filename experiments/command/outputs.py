"""What an experiment leaves in its work directory besides the runs: tables, figures, verdicts and the report."""

from collections.abc import Sequence
from pathlib import Path

from experiments.article import answers
from experiments.article import tables as article
from experiments.article.claim import Judgement
from experiments.article.figures import save_figures
from experiments.article.judge import judge
from experiments.command import catalogue, results, terminal
from experiments.command.results import Results
from jaxopt_study import report
from jaxopt_study.analysis.range_test import range_tests
from jaxopt_study.history import History
from jaxopt_study.plots import SavedFigure
from jaxopt_study.report import outcome, tables

SECTIONS = (
    (1, "SGD"),
    (8, "SGD with momentum"),
    (18, "The other formulation of momentum"),
    (21, "Nesterov momentum"),
    (27, "RMSprop"),
    (33, "Adam"),
    (38, "Adagrad"),
    (43, "Cyclical learning rate"),
    (45, "Comparison"),
)
"""First figure of each of the article's sections."""
_BEST_IN_PRINT = ("optimizer", "article_val_loss", "val_loss", "val_low", "val_high", "train_loss", "epoch",
                  "hyperparameters", "seeds")  # fmt: skip
_CLAIMS_IN_PRINT = ("id", "verdict", "effect", "low", "high", "meaning")


def write(folders: Sequence[Path], output: Path, histories: Sequence[History] | None = None) -> None:
    """Reads work directories, writes everything that is made of their runs, and prints a table.

    Args:
        folders: of one set of data, network and settings.
        output: where to write; may be one of them.
        histories: those of the printed table; all if None.

    Raises:
        InputError: the directories cannot be reported on together.
        EnvironmentFault: a file cannot be read or written.
    """
    found = results.read(folders)
    if not found.of_article:
        print(outcome.write(found.histories, output, found.origins[0][1], found.origins[0][2]))
        return
    judgements = judge(found.runs)
    best_runs = article.best_runs(found.runs)
    write_tables(output, found, best_runs, judgements)
    saved, notes = draw(found, output / "figures")
    if found.foreign:
        notes.append(f"{found.foreign} runs of other settings in the work directory are left out.")
    report.write(
        output / "report.html",
        title=title(found),
        where=found.where,
        origins=[report.Origin(folder.name, config, stats) for folder, config, stats in found.origins],
        best_runs=best_runs,
        reference=article.reference(judgements, SECTIONS),
        runs=tables.summary(found.histories),
        figures=report.illustrations(saved),
        notes=notes,
    )
    terminal.show(found.histories if histories is None else histories, best_runs, judgements, notes, output)


def write_tables(output: Path, found: Results, best_runs: tables.Table, judgements: Sequence[Judgement]) -> None:
    """The tables as CSV and as LaTeX; of wide ones the columns that a page has room for."""
    runs, verdicts = tables.summary(found.histories), article.claims(judgements)
    tables.write_csv(output / "summary.csv", runs)
    article.write_claims(output / "claims.csv", judgements)
    folder, where = output / "tables", f" ({found.where})" if found.where else ""
    tables.write_csv(folder / "best_runs.csv", best_runs)
    for name in answers.ANSWERS.keys() & found.drawn.keys():
        tables.write_csv(folder / f"{name}.csv", answers.ANSWERS[name](found.runs))
    if "lr_range_test" in found.drawn:
        runs_of_test = catalogue.runs_of("lr_range_test", found)
        tables.write_csv(folder / "lr_range_test.csv", range_test_table(runs_of_test))
    for name, table, caption in (
        ("best_runs", tables.select(best_runs, _BEST_IN_PRINT), f"Best configuration of each optimizer{where}."),
        ("claims", tables.select(verdicts, _CLAIMS_IN_PRINT), f"Verdicts, with 95% intervals{where}."),
        ("summary", runs, f"Every run{where}."),
    ):
        tables.write_latex(folder / f"{name}.tex", table, caption=caption, label=f"tab:{name}")


def range_test_table(histories: Sequence[History]) -> tables.Table:
    """One row a rule of the learning rate range test: see :class:`jaxopt_study.analysis.range_test.RangeTest`."""
    columns = ("optimizer", "hyperparameters", "falls_from", "suggested", "lowest", "diverges_from", "rates", "seeds")
    return tables.Table(
        columns,
        [
            (each.optimizer, tables.numbers(each.numbers), *each[4:], len(each.rates), each.losses.shape[1])
            for each in range_tests(histories)
        ],
    )


def draw(found: Results, folder: Path) -> tuple[list[SavedFigure], list[str]]:
    """Draws the figures of the directories' experiments, or all that can be drawn where these are not known.

    Figures of earlier runs that are not drawn any more are removed.

    Returns:
        What was written, and a sentence for each figure that was left out.
    """
    saved, notes = list[SavedFigure](), list[str]()
    for name in catalogue.NAMES:
        if found.drawn and name not in found.drawn:
            continue
        drawn, absent = save_figures(name, catalogue.runs_of(name, found), folder, chance=found.chance)
        saved += drawn
        notes += absent if drawn or found.drawn else []
    kept = {path for figure in saved for path in (figure.png, figure.svg)}
    for path in folder.glob("fig[0-9][0-9]_*.*"):
        if path.suffix in (".png", ".svg") and path not in kept:
            path.unlink(missing_ok=True)
    return saved, notes


def title(found: Results) -> str:
    """Of the report: what was run, on what data."""
    names = list(found.drawn)
    what = catalogue.title(names[0]) if len(names) == 1 else "Optimizers and their hyperparameters"
    return f"{what} on {found.where}" if found.where else what
