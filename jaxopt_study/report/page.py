"""The page: what the template shows, from plain data, with the figures in it."""

import base64
import functools
import hashlib
import json
import math
from collections import Counter
from collections.abc import Sequence
from importlib import resources
from typing import TYPE_CHECKING, Any

from jaxopt_study.errors import EnvironmentFault
from jaxopt_study.report import wording
from jaxopt_study.report.facts import SILENT, VERDICTS, Origin, Reference, facts
from jaxopt_study.report.tables import Table, to_html

if TYPE_CHECKING:
    from jinja2 import Environment

    from jaxopt_study.plots.picture import SavedFigure

LARGEST_SVG = 400_000
"""Bytes of an SVG above which the PNG goes into the page: curves of many epochs would make it slow to open."""


def address(figure: "SavedFigure") -> str:
    """A written figure as a ``data:`` address; EnvironmentFault: its file cannot be read."""
    try:
        large = figure.svg.stat().st_size > LARGEST_SVG
        content = (figure.png if large else figure.svg).read_bytes()
    except OSError as error:
        raise EnvironmentFault(f"{error.filename} cannot be read ({error.strerror})") from error
    return f"data:image/{'png' if large else 'svg+xml'};base64,{base64.b64encode(content).decode('ascii')}"


def render(
    *,
    title: str,
    origins: Sequence[Origin],
    best_runs: Table,
    runs: Table,
    chance: float = math.inf,
    where: str = "",
    reference: Reference | None = None,
    figures: Sequence["SavedFigure"] = (),
    notes: Sequence[str] = (),
    sources: Table | None = None,
) -> str:
    """The page as HTML. Every text is escaped; nothing is loaded from outside it.

    Args:
        title: of the page.
        origins: what was run, on what, how long; one or several work directories.
        chance: the loss of guessing; infinite where it is not known.
        where: on what the runs were trained, for the tables' titles.
        best_runs: as ``tables.best_configurations`` gives it, with the columns of the reference if its losses compare.
        runs: as ``tables.summary`` gives it.
        reference: the publication that the study is set beside; the page does not speak of any if None.
        figures: in any order; they are shown by their numbers, those without a number last.
        notes: sentences, such as why a figure is left out.
        sources: as ``tables.variance_components`` gives it; no section without rows.

    Raises:
        EnvironmentFault: a figure cannot be read.
    """
    numbered = sorted(figures, key=lambda one: (one.number is None, one.number or 0))
    listed = _with_configuration(runs)
    has_accuracy = not all(map(wording.empty, best_runs.column("val_accuracy")))
    tested = ["test loss"] if "test_loss" in best_runs.columns else []
    script = _source("report.js")
    claims = reference.claims.records() if reference else []
    return _environment().get_template("report.html.j2").render(
        title=title,
        where=where,
        style=_source("report.css"),
        script=script,
        script_hash=base64.b64encode(hashlib.sha256(script.encode()).digest()).decode("ascii"),
        reference=reference,
        beside=reference is not None and f"{reference.name}_val_loss" in best_runs.columns,
        facts=facts(origins, runs, best_runs, reference, chance),
        best=best_runs.records(),
        measures=("val loss", *(["accuracy"] if has_accuracy else []), *tested, "train loss", "epoch"),
        claims=_decided_first(claims),
        silent=_silent(claims),
        verdicts=VERDICTS,
        shown={one.number: one.name for one in reversed(numbered) if one.number is not None},
        sections=_sections(numbered, reference.sections if reference else ()),
        notes=notes,
        sources=to_html(sources) if sources and sources.rows else "",
        runs=listed,
        numeric=listed.numeric(),
        texts={name: wording.apart(listed.column(name)) for name in runs.columns if name not in wording.FIXED_COLUMNS},
        statuses=sorted(set(map(str, runs.column("status")))),
        origins=[_origin(origin) for origin in origins],
    )  # fmt: skip


def _decided_first(claims: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """The claims that apply, in the order of their verdicts."""
    place = {verdict: at for at, verdict in enumerate(VERDICTS)}
    applying = [claim for claim in claims if claim["verdict"] != SILENT]
    return sorted(applying, key=lambda claim: place.get(claim["verdict"], len(place)))


def _silent(claims: Sequence[dict[str, Any]]) -> str:
    """Which claims do not apply, and how many for which kind of reason, in a sentence; empty if all do."""
    silent = [claim for claim in claims if claim["verdict"] == SILENT]
    if not silent:
        return ""
    kinds = Counter(str(claim["reason"]).split(":")[0] for claim in silent)
    why = ", ".join(f"{count} {kind}" for kind, count in kinds.most_common())
    names = ", ".join(str(claim["id"]) for claim in silent)
    return f"{len(silent)} of {len(claims)} claims do not apply to this study ({why}): {names}."


@functools.cache
def _environment() -> "Environment":
    from jinja2 import Environment, PackageLoader, StrictUndefined  # slow to import; no epoch waits for it

    environment = Environment(
        loader=PackageLoader("jaxopt_study.report"), autoescape=True, undefined=StrictUndefined, trim_blocks=True,
        lstrip_blocks=True,
    )  # fmt: skip
    environment.globals.update(wording=wording, address=address)
    return environment


def _source(name: str) -> str:
    return (resources.files("jaxopt_study.report") / "templates" / name).read_text(encoding="utf-8")


def _sections(
    figures: Sequence["SavedFigure"], sections: Sequence[tuple[int, str]]
) -> list[tuple[str, list["SavedFigure"]]]:
    """Figures under the headings of the reference's sections; those without a number under one of their own."""
    numbered = any(figure.number for figure in figures)
    by_heading: dict[str, list[SavedFigure]] = {}
    for figure in figures:
        headings = [heading for first, heading in sections if first <= (figure.number or 0)]
        heading = [*(["Further figures"] if numbered else ["Loss and hyperparameters"]), *headings][-1]
        by_heading.setdefault(heading, []).append(figure)
    return list(by_heading.items())


def _with_configuration(runs: Table) -> Table:
    """The runs with their hyperparameters in one column in front, and each again at the end, to be sorted by.

    What was measured of no run has no column.
    """
    filled = {name for name in runs.columns if not all(map(wording.empty, runs.column(name)))}
    fixed = [name for name in wording.FIXED_COLUMNS if name in filled]
    hyperparameters = [name for name in runs.columns if name not in wording.FIXED_COLUMNS]
    texts = [wording.apart(runs.column(name)) for name in hyperparameters]
    rows = []
    for at, row in enumerate(runs.records()):
        named = [(name, of[at]) for name, of in zip(hyperparameters, texts, strict=True) if of[at]]
        front = ", ".join(f"{wording.column(name)} {text}" for name, text in named)
        values = [row[name] for name in (*fixed, *hyperparameters)]
        rows.append((values[0], front, *values[1:]))
    return Table((*fixed[:1], "configuration", *fixed[1:], *hyperparameters), rows) if fixed else runs


def _origin(origin: Origin) -> dict[str, Any]:
    versions = origin.config.get("versions") or {}
    rest = {name: value for name, value in origin.config.items() if name != "versions"}
    return {
        "name": origin.name,
        "settings": list(wording.flat(rest)),
        "versions": list(wording.flat(versions)),
        "stats": list(wording.flat({n: v for n, v in origin.stats.items() if n != "parts"})),
        "json": json.dumps({"config": origin.config, "stats": origin.stats}, indent=1, default=str),
    }
