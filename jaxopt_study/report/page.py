"""The page: what the template shows, from plain data, with the figures in it."""

import base64
import functools
import io
import json
import math
from collections import Counter
from collections.abc import Mapping, Sequence
from importlib import resources
from typing import TYPE_CHECKING, Any, NamedTuple

from jaxopt_study.errors import EnvironmentFault
from jaxopt_study.plots import labels
from jaxopt_study.report import wording
from jaxopt_study.report.data import to_json
from jaxopt_study.report.facts import (
    NOT_RUN,
    SILENT,
    VERDICTS,
    Origin,
    Reference,
    answers,
    facts,
    intervals,
    verdict_line,
)
from jaxopt_study.report.libraries import LIBRARIES, PLOT_STYLE, policy_hash
from jaxopt_study.report.tables import Table, to_html

if TYPE_CHECKING:
    from jinja2 import Environment

    from jaxopt_study.plots.picture import SavedFigure

SCRIPTS = (
    "data.js", "address.js", "words.js", "filter.js", "chosen.js", "pictures.js", "map.js", "overview.js",
    "parallel.js", "curves.js", "compare.js", "runs.js", "controls.js", "best.js", "page.js",
)  # fmt: skip
"""In the page one after the other, as one module."""
STEP = "step time (SGD:\N{NO-BREAK SPACE}1)"
"""The heading of what a step costs."""
COLOURS = 128
"""Of a figure in the page, where it takes a third of the bytes that the file has."""


def address(figure: "SavedFigure") -> str:
    """A written figure as a ``data:`` address: its PNG with fewer colours; EnvironmentFault: it cannot be read."""
    from PIL import Image  # no epoch waits for it

    content = io.BytesIO()
    try:
        with Image.open(figure.png) as image:
            image.convert("RGB").quantize(COLOURS, dither=Image.Dither.NONE).save(content, "PNG")
    except OSError as error:
        raise EnvironmentFault(f"{figure.png} cannot be read ({error.strerror or 'no picture'})") from error
    return f"data:image/png;base64,{base64.b64encode(content.getvalue()).decode('ascii')}"


class Progress(NamedTuple):
    """How far a study is.

    Attributes:
        share: of the epochs that are trained at most, from 0 to 1.
        text: a sentence.
    """

    share: float
    text: str


def render(
    *,
    title: str,
    origins: Sequence[Origin],
    best_runs: Table,
    runs: Table,
    data: Mapping[str, Any],
    chance: float = math.inf,
    where: str = "",
    question: str = "",
    reference: Reference | None = None,
    figures: Sequence["SavedFigure"] = (),
    notes: Sequence[str] = (),
    sources: Table | None = None,
    importance: Table | None = None,
    progress: Progress | None = None,
) -> str:
    """The page as HTML. Every text is escaped; nothing is loaded from outside it.

    Args:
        title: of the page.
        origins: what was run, on what, how long; one or several work directories.
        chance: the loss of guessing; infinite where it is not known.
        where: on what the runs were trained, for the tables' titles.
        question: that the study asks; empty if nobody said so.
        best_runs: as ``tables.best_configurations`` gives it, with the columns of the reference if its losses compare.
        runs: as ``tables.summary`` gives it.
        data: as ``data.study_data`` gives it, for the explorer.
        reference: the publication that the study is set beside; the page does not speak of any if None.
        figures: in any order; they are shown by their numbers, those without a number last.
        notes: sentences, such as why a figure is left out.
        sources: as ``tables.variance_components`` gives it; no section without rows.
        importance: as ``tables.importance`` gives it, likewise.
        progress: of a study that trains: the page then asks its server for news. None of one that has ended.

    Raises:
        EnvironmentFault: a figure cannot be read.
    """
    numbered = sorted(figures, key=lambda one: (one.number is None, one.number or 0))
    tried = [
        {**row, "optimizer": labels.optimizer(row["optimizer"])}
        | {name: wording.titled(row[name]) for name in row if name.endswith("hyperparameters") and row[name]}
        for row in best_runs.records()
        if row["note"] != NOT_RUN
    ]
    has_accuracy = not all(map(wording.empty, best_runs.column("val_accuracy")))
    tested = ["test loss"] if "test_loss" in best_runs.columns else []
    costs = [STEP] if "cost" in best_runs.columns else []
    script, style = "\n".join(map(source, SCRIPTS)), source("page.css")
    claims = reference.claims.records() if reference else []
    live = progress is not None
    return environment().get_template("report.html.j2").render(
        title=title,
        where=where,
        question=question,
        style=style,
        script=script,
        libraries=LIBRARIES,
        policy=policy([*(one.source for one in LIBRARIES), script], [style, PLOT_STYLE], live=live),
        live=live,
        progress=progress,
        data=to_json({**data, "best": intervals(tried)}),
        reference=reference,
        beside=reference is not None and f"{reference.name}_val_loss" in best_runs.columns,
        answers=answers(tried, chance, [] if live else [str(status) for status in runs.column("status")]),
        verdict_line=verdict_line(reference),
        facts=facts(origins, runs, chance, best_runs),
        best=tried,
        not_run=", ".join(row["optimizer"] for row in best_runs.records() if row["note"] == NOT_RUN),
        measures=("val loss", *(["accuracy"] if has_accuracy else []), *tested, "train loss", "epoch", *costs),
        claims=_decided_first(claims),
        silent=_silent(claims),
        step=STEP,
        verdicts=VERDICTS,
        shown={one.number: one.name for one in reversed(numbered) if one.number is not None},
        sections=_sections(numbered, reference.sections if reference else ()),
        notes=notes,
        sources=to_html(sources) if sources and sources.rows else "",
        importance=to_html(_in_words(importance)) if importance and importance.rows else "",
        runs=len(runs.rows),
        origins=[_origin(origin) for origin in origins],
    )  # fmt: skip


def _in_words(importance: Table) -> Table:
    """The table with the names that the page has for rules and hyperparameters; without ``held`` where nothing is."""
    rows = [
        (labels.optimizer(str(rule)), labels.together(str(source)), *rest) for rule, source, *rest in importance.rows
    ]
    return Table(importance.columns, rows).without_empty(("held",))


def policy(scripts: Sequence[str], styles: Sequence[str], *, live: bool) -> str:
    """What the page may do: run and style itself with these texts, show pictures that it holds, and no more."""
    connect = ["connect-src 'self'"] if live else []
    return "; ".join([
        "default-src 'none'", "img-src data:", f"style-src {' '.join(map(policy_hash, styles))}",
        f"script-src {' '.join(map(policy_hash, scripts))}", *connect, "base-uri 'none'", "form-action 'none'",
    ])  # fmt: skip


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
def environment() -> "Environment":
    """What fills the templates in."""
    from jinja2 import Environment, PackageLoader, StrictUndefined  # slow to import; no epoch waits for it

    environment = Environment(
        loader=PackageLoader("jaxopt_study.report"), autoescape=True, undefined=StrictUndefined, trim_blocks=True,
        lstrip_blocks=True,
    )  # fmt: skip
    environment.globals.update(wording=wording, address=address)
    return environment


def source(name: str) -> str:
    """A template, script or style sheet."""
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
