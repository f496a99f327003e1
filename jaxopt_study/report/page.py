"""The page: what the template shows, from plain data, with the figures in it."""

import base64
import functools
import hashlib
import json
import os
import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from jaxopt_study.errors import EnvironmentFault
from jaxopt_study.files import write_text
from jaxopt_study.report import wording
from jaxopt_study.report.facts import (
    VERDICTS,
    Origin,
    Reference,
    column,
    facts,
    records,
)
from jaxopt_study.report.tables import Table

if TYPE_CHECKING:
    from jaxopt_study.plots.picture import SavedFigure

LARGEST_SVG = 400_000
"""Bytes of an SVG above which the PNG goes into the page: curves of many epochs would make it slow to open."""


class Illustration(NamedTuple):
    """A figure of the page.

    Attributes:
        name: as its file is named; ``figNN`` at its beginning is its number.
        caption: a sentence or a few, plain text.
        alt_text: what it shows, for those who do not see it.
        source: a ``data:`` address.
    """

    name: str
    caption: str
    alt_text: str
    source: str

    @property
    def number(self) -> int | None:
        """The figure's number, where its name has one."""
        number = re.match(r"fig(\d+)", self.name)
        return int(number[1]) if number else None


def illustrations(saved: Sequence["SavedFigure"]) -> list[Illustration]:
    """Reads written figures.

    Raises:
        EnvironmentFault: a file cannot be read.
    """
    return [Illustration(one.name, one.caption, one.alt_text, _address(one.svg, one.png)) for one in saved]


def _address(svg: Path, png: Path) -> str:
    try:
        large = svg.stat().st_size > LARGEST_SVG
        content = (png if large else svg).read_bytes()
    except OSError as error:
        raise EnvironmentFault(f"{error.filename} cannot be read ({error.strerror})") from error
    kind = "image/png" if large else "image/svg+xml"
    return f"data:{kind};base64,{base64.b64encode(content).decode('ascii')}"


def render(
    *,
    title: str,
    origins: Sequence[Origin],
    best_runs: Table,
    runs: Table,
    where: str = "",
    reference: Reference | None = None,
    figures: Sequence[Illustration] = (),
    notes: Sequence[str] = (),
) -> str:
    """The page as HTML. Every text is escaped; nothing is loaded from outside it.

    Args:
        title: of the page.
        where: on what the runs were trained, for the tables' titles.
        origins: what was run, on what, how long; one or several work directories.
        best_runs: as ``tables.best_configurations`` gives it, with the columns of the reference where there is one.
        runs: as ``tables.summary`` gives it.
        reference: the publication that the study is set beside; the page does not speak of any if None.
        figures: in any order; they are shown by their numbers, those without a number last.
        notes: sentences, such as why a figure is left out.
    """
    numbered = sorted(figures, key=lambda one: (one.number is None, one.number or 0))
    listed = _with_configuration(runs)
    script = _source("report.js")
    return _environment().get_template("report.html.j2").render(
        title=title,
        where=where,
        style=Markup(_source("report.css")),  # the package's own file
        script=Markup(script),
        script_hash=base64.b64encode(hashlib.sha256(script.encode()).digest()).decode("ascii"),
        reference=reference,
        facts=facts(origins, runs, best_runs, reference),
        best=records(best_runs),
        claims=records(reference.claims) if reference else [],
        verdicts=VERDICTS,
        shown={one.number: one.name for one in reversed(numbered) if one.number is not None},
        sections=_sections(numbered, reference.sections if reference else ()),
        notes=notes,
        runs=listed,
        numeric=[_numeric(listed, at) for at in range(len(listed.columns))],
        statuses=_statuses(runs),
        origins=[_origin(origin) for origin in origins],
    )  # fmt: skip


def write(path: str | os.PathLike[str], **content: Any) -> Path:
    """Writes the page atomically; the arguments are those of ``render``.

    Raises:
        EnvironmentFault: it cannot be written.
    """
    write_text(Path(path), render(**content))
    return Path(path)


@functools.cache
def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("jaxopt_study.report"), autoescape=True, undefined=StrictUndefined, trim_blocks=True,
        lstrip_blocks=True,
    )  # fmt: skip
    environment.globals.update(wording=wording, isinstance=isinstance)
    return environment


def _source(name: str) -> str:
    loader = _environment().loader
    assert loader is not None
    return loader.get_source(_environment(), name)[0]


def _sections(
    figures: Sequence[Illustration], sections: Sequence[tuple[int, str]]
) -> list[tuple[str, list[Illustration]]]:
    """Figures under the headings of the reference's sections; those without a number under one of their own."""
    by_heading: dict[str, list[Illustration]] = {}
    for one in figures:
        heading = "Further figures"
        for first, name in sections:
            if one.number is not None and one.number >= first:
                heading = name
        if all(other.number is None for other in figures):
            heading = "Loss and hyperparameters"
        by_heading.setdefault(heading, []).append(one)
    return list(by_heading.items())


def _with_configuration(runs: Table) -> Table:
    """The runs with their hyperparameters in one column in front, and each again at the end, to be sorted by."""
    fixed = [name for name in runs.columns if name in wording.FIXED_COLUMNS]
    hyperparameters = [name for name in runs.columns if name not in wording.FIXED_COLUMNS]
    rows = []
    for row in records(runs):
        front = wording.numbers({name: row[name] for name in hyperparameters})
        values = [row[name] for name in (*fixed, *hyperparameters)]
        rows.append((values[0], front, *values[1:]))
    return Table((*fixed[:1], "configuration", *fixed[1:], *hyperparameters), rows) if fixed else runs


def _numeric(table: Table, at: int) -> bool:
    return all(wording.empty(row[at]) or isinstance(row[at], int | float) for row in table.rows)


def _statuses(runs: Table) -> list[str]:
    return sorted({str(status) for status in column(runs, "status")})


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
