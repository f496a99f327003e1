"""What a comparison over several problems leaves: tables, figures and a page in Markdown, small enough to be kept."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from experiments.command import machine
from experiments.suite.problems import PROBLEMS
from jaxopt_study import files
from jaxopt_study.analysis.runs import by_rule
from jaxopt_study.analysis.tuning import tuning_curves
from jaxopt_study.engine.costs import Cost
from jaxopt_study.plots import labels
from jaxopt_study.plots.picture import Source, save_pictures
from jaxopt_study.plots.selection import NotDrawable
from jaxopt_study.plots.tuning import picture
from jaxopt_study.report import tables, tuning
from jaxopt_study.report.problems import OverProblems, over_problems
from jaxopt_study.report.problems_page import READ
from jaxopt_study.report.tables import Table
from jaxopt_study.report.wording import hardware
from jaxopt_study.storage import made, workdir

if TYPE_CHECKING:
    from jaxopt_study.api import Study


COSTS = """Each rule has the time in which SGD trains all epochs. What a step costs is processor seconds of the rule
alone, the median of seven turns (`--costs`); the minutes above are of the clock, whatever else the machine did."""


def write(
    title: str, studies: Mapping[str, "Study"], reference: str, into: Path, *, missing: Sequence[str], small: bool
) -> None:
    """Writes and prints it all; ``missing`` are problems without a finished run, ``small`` is without SVG."""
    there = all(any(run.optimizer == reference for run in study.histories) for study in studies.values())
    found = over_problems(studies, reference=reference if there else None)  # of what is finished so far
    notes = [f"{name} is left out: it has no finished run" for name in missing]
    for name, study in studies.items():
        if len(study.histories) < len(study.runs):
            notes.append(f"{name}: {len(study.histories)} of {len(study.runs)} runs are finished")
    with made.into(into, whole=("figures/*", made.PAGE)) as building:
        losses = _make(title, studies, found, building, notes=notes, small=small)
    print(f"{found!r}\n{losses}")
    of = f"{into}: {'' if small else 'report.html, '}README.md, *.csv, figures/"
    print("\n".join([*notes, f"{of}; a study a problem: {', '.join(studies)}"]))
    machine.tell(
        finished=sum(len(study.histories) for study in studies.values()), verdict=found.verdict(),
        among_the_best=found.best, rules=found.overall().records(), best=found.by_problem().records(), notes=notes,
        files=machine.files_of(into),
    )  # fmt: skip


def _make(
    title: str, studies: Mapping[str, "Study"], found: OverProblems, into: Path, *, notes: Sequence[str], small: bool
) -> str:
    """Makes all files; the losses as they are shown."""
    html = found.report(into, title=title, notes=notes)
    curves = {name: tuning_curves(by_rule(study.histories), study.guessing) for name, study in studies.items()}
    every = {name: tuning.table(of_problem) for name, of_problem in curves.items() if of_problem}
    if every:
        columns = next(iter(every.values())).columns
        rows = [(name, *row) for name, table in every.items() for row in table.rows]
        files.write_text(into / "tuning_curves.csv", tables.to_csv(Table(("problem", *columns), rows)))
    figures = ["over_problems", "performance_profiles"]
    figures += [drawn for name, study in studies.items() if (drawn := draw(name, study, into))]
    equal_time = at_equal_time(studies, found.reference, into)
    page = [f"# {title}", told(studies), labels.sentence(f"{found.verdict()}."), shown(found)]
    if equal_time:
        page += ["## At equal time", labels.sentence(f"{equal_time.verdict()}."), COSTS, shown(equal_time)]
    losses = tables.to_markdown(found.losses()).rstrip()
    page += ["## How to read it", READ, "## Mean loss on each problem", losses]
    page += [f"![{labels.sentence(name.replace('_', ' '))}](figures/{name}.png)" for name in figures]
    if small:  # README.md has what the page has
        html.unlink()
        for name in figures:
            (into / "figures" / f"{name}.svg").unlink()
    files.write_text(into / "README.md", "\n\n".join([*page[:2], *notes, *page[2:]]) + "\n")
    return losses


def draw(name: str, study: "Study", into: Path) -> str:
    """Draws what tuning buys on a problem; the name of the figure, empty if there is nothing to draw."""
    try:
        drawn = picture(Source(study.histories, study.guessing))
    except NotDrawable:
        return ""
    drawn = drawn._replace(name=f"tuning_curves_{name}")
    save_pictures([drawn], into / "figures")
    return drawn.name


def at_equal_time(studies: Mapping[str, "Study"], reference: str, into: Path) -> OverProblems | None:
    """The same where each rule has as much time as SGD, written too; None where a cost was not measured."""
    for study in studies.values():
        known = workdir.usable(workdir.written_stats, study.folder / "stats.json").get("costs", {})
        if not known.keys() >= set(study.rules):
            return None
    costs = [
        (name, rule, *cost) for name, study in studies.items() for rule, cost in study.costs().items()
    ]  # as they were measured
    files.write_text(into / "costs.csv", tables.to_csv(Table(("problem", "optimizer", *Cost._fields), costs)))
    found = over_problems(studies, reference=reference, equal_time=True)
    files.write_text(into / "over_problems_equal_time.csv", tables.to_csv(found.overall()))
    return found


def told(studies: Mapping[str, "Study"]) -> str:
    """What ran, on what, for how long."""
    lines = []
    for name, study in studies.items():
        stats = workdir.usable(workdir.read_stats, study.folder / "stats.json")
        config = workdir.usable(workdir.read_config, study.folder / "config.json")
        seconds = f" in {stats['seconds'] / 60:.1f} minutes" if stats else ""
        lines.append(
            f"- `{name}`: {PROBLEMS[name].about}; {len(study.histories)} runs of {study.settings.max_epochs} epochs"
            f"{seconds} on {hardware(config, stats)}."
        )
    if others := [name for name in PROBLEMS if name not in studies]:
        lines.append(f"- Not trained here: {', '.join(f'`{name}`' for name in others)}.")
    versions: Mapping[str, Any] = config.get("versions", {})
    lines.append("- " + ", ".join(f"{package} {version}" for package, version in versions.items()) + ".")
    return "\n".join(lines)


def shown(found: OverProblems) -> str:
    """The verdict as Markdown."""
    return tables.to_markdown(found.shown()).rstrip()
