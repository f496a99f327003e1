"""What an experiment leaves in its work directory besides the runs: tables, figures, verdicts and the report."""

import contextlib
import dataclasses
import shlex
from collections.abc import Iterator, Sequence
from pathlib import Path

from experiments.article import tables as article
from experiments.article.claim import judge
from experiments.command import experiment, machine, terminal
from experiments.command.results import Results, configuration
from jaxopt_study.history import History
from jaxopt_study.plots import importance
from jaxopt_study.plots.general import sharpness
from jaxopt_study.plots.picture import Picture, Source, save_pictures
from jaxopt_study.plots.selection import NotDrawable
from jaxopt_study.report import outcome, tables
from jaxopt_study.report.facts import SILENT, Origin
from jaxopt_study.settings import Settings
from jaxopt_study.storage import made


def write(results: Results, output: Path, histories: Sequence[History] | None = None) -> None:
    """Writes all that is made of the runs of work directories, and prints a table of these histories, all if None.

    Raises:
        EnvironmentFault: it cannot be written, or a file of somebody else is in the way; nothing is changed.
    """
    if not results.of_article:
        config, stats = results.origins[0][1:]
        print(outcome.write(results.histories, output, config, stats, results.files))
        best = tables.best_configurations(results.histories, results.chance, outcome.monitor_of(config))
        machine.tell_of(results.histories, results.chance, best, None, output)
        return
    judgements = judge(experiment.claims(), results.runs)
    best_runs, notes = article.best_runs(results.runs), list[str]()
    with made.into(output, whole=outcome.MADE_ANEW) as building:
        saved = save_pictures(pictures(results, notes), building / "figures")
        notes += left_out(results)
        outcome.write_report(
            results.histories,
            building,
            origins(results),
            saved,
            title=title(results),
            chance=results.chance,
            where=results.where,
            best_runs=best_runs,
            reference=article.reference(judgements, experiment.sections()),
            further=further_tables(results),
            notes=notes,
            question=experiment.question(results.drawn),
            files=results.files,
            again=command_again(results),
        )
    shown = results.histories if histories is None else histories
    told = judgements if results.runs.article_data else []
    terminal.show(shown, best_runs, told, notes, output, results.chance)
    applying = [one for one in judgements if one.verdict != SILENT]
    seconds = sum(stats.get("seconds", 0.0) for _, _, stats in results.origins)
    machine.tell(notes=notes, seconds=seconds)
    machine.tell_of(shown, results.chance, best_runs, article.claims(applying), output)


def origins(results: Results) -> list[Origin]:
    """The work directories for the report, by the last parts of their paths, or by all of it where two share that."""
    names = [folder.name for folder, _, _ in results.origins]
    return [
        Origin(folder.name if names.count(folder.name) == 1 else str(folder), config, stats)
        for folder, config, stats in results.origins
    ]


def left_out(results: Results) -> list[str]:
    """A note on the runs in the work directories that are of something else, if there are any."""
    return [f"{results.foreign} runs of other settings in the work directory are left out."] if results.foreign else []


def command_again(results: Results) -> str:
    """The command that trains with the data and settings of these runs; empty where config.json does not say them."""
    config = next((config for _, config, _ in results.origins if {"dataset", "settings"} <= config.keys()), None)
    if config is None or config["identity"]["model"] != "article":
        return ""
    quick = {**dataclasses.asdict(Settings()), **experiment.PRESETS["quick"]}
    data = {"dataset": config["dataset"]["name"], **config["dataset"].get("asked", {})}
    if data["dataset"] != quick["dataset"]:
        data["image_size"] = config["dataset"]["image_shape"][0]
    told = {name: value for name, value in {**data, **config["settings"]}.items() if value != quick.get(name)}
    flags = [_flag(name, value) for name, value in told.items()]
    name = next((name for name in results.drawn if name in experiment.NAMES), experiment.NAMES[0])
    return " ".join([f"python -m experiments.{name}", *map(shlex.quote, flags)])


def _flag(name: str, value: object) -> str:
    if isinstance(value, bool):
        return f"--{'' if value else 'no'}{name}"
    return f"--{name}={','.join(map(str, value)) if isinstance(value, list) else value}"


def further_tables(results: Results) -> dict[str, tables.Table]:
    """The tables that some of the directories' chapters have of their own, by the names of their files."""
    found = {}
    for name in results.drawn:
        make_table = experiment.chapters()[name].table if name in experiment.NAMES else None
        if make_table:
            found[name] = tables.Table(*make_table(Source(runs_of(name, results), results.chance)))
    return found


def pictures(results: Results, notes: list[str]) -> Iterator[Picture]:
    """The figures of the directories' experiments, or all that can be drawn where these are not known.

    A sentence for each that is left out is added to ``notes``.
    """
    if not results.of_article:
        yield from outcome.pictures(results.histories, results.origins[0][1])
        return
    for name in experiment.NAMES:
        if results.drawn and name not in results.drawn:
            continue
        absent, drawn = list[str](), False
        runs = runs_of(name, results)
        for picture in experiment.pictures(name, runs, chance=results.chance, on_absent=absent.append):
            drawn = True
            yield picture
        notes += absent if drawn or results.drawn else []
    yield from sharpness(results.histories, chance=results.chance)
    with contextlib.suppress(NotDrawable):
        yield importance.picture(Source(results.histories, results.chance))


def title(results: Results) -> str:
    """Of the report: what was run, on what data."""
    if not results.of_article:
        return outcome.title_of(results.origins[0][1])
    names = list(results.drawn)
    what = experiment.title(names[0]) if len(names) == 1 else "Optimizers and their hyperparameters"
    return f"{what} on {results.where}" if results.where else what


def runs_of(name: str, results: Results) -> list[History]:
    """The runs that a chapter's figures are drawn from: those of its grid, with all seeds that there are."""
    values = results.drawn.get(name)
    if values is None:
        return list(results.histories)
    runs = experiment.chapters()[name].make_runs(values, 1)
    wanted = {configuration(run.optimizer, dict(run.hyperparameters)) for run in runs}
    return [run for run in results.histories if configuration(run.optimizer, run.hyperparameters) in wanted]
