"""What the page's first screen says: what came out, whether the reference holds, on what, how long."""

import math
import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any, NamedTuple

from jaxopt_study.analysis.guessing import UNLEARNT
from jaxopt_study.plots import labels
from jaxopt_study.report import wording
from jaxopt_study.report.tables import Table

VERDICTS = {"supported": "\N{CHECK MARK}", "contradicted": "\N{MULTIPLICATION SIGN}", "undecided": "?"}
"""With their signs, so that colour is not all that tells them apart; in the order in which they are shown."""
SILENT = "does not apply"
"""The verdict on a claim that the study cannot speak to."""
NOT_RUN = "not run"
"""The note on an optimizer of the reference that the study has no run of."""


class Origin(NamedTuple):
    """A work directory that runs came from: its name, config.json and stats.json (empty if nothing was trained)."""

    name: str
    config: Mapping[str, Any]
    stats: Mapping[str, Any]


class Reference(NamedTuple):
    """A publication whose best runs and claims the page sets beside those of the study.

    Attributes:
        name: what the page calls it, such as ``article``; its columns in the table of best runs begin with it.
        note: what a reader must know of its best runs, where they stand beside those of the study.
        claims: a row a claim: id, claim, verdict, effect, low, high, meaning, reason, figure and, under the name of
            the publication, what it says; without rows the page says so.
        sections: the number of the first figure of each of its sections and the section's heading, ascending.
        discoveries: how many of its decided verdicts are expected to be chance, in a sentence; empty if none is.
        rules: the names of rules by what the table of best runs calls them, where that is another name.
    """

    name: str
    note: str
    claims: Table
    sections: Sequence[tuple[int, str]]
    discoveries: str = ""
    rules: Mapping[str, str] = MappingProxyType({})


def facts(
    origins: Sequence[Origin], runs: Table, chance: float = math.inf, best: Table | None = None
) -> list[tuple[str, str]]:
    """What the first screen says of how the numbers came about, as pairs of a heading and a sentence."""
    parts = [
        ("Changed by hand", _by_origin(origins, _edited)),
        *(_monitored(best) if best else []),
        ("Runs", _run_counts(runs)),
        ("Data", _by_origin(origins, _data)),
        ("Network", _by_origin(origins, _choices)),
        ("Layers", _by_origin(origins, _treatments)),
        ("Loss of guessing", wording.loss(chance) if math.isfinite(chance) else ""),
        ("Time", _by_origin(origins, _time)),
        ("Speed", _by_origin(origins, _speed)),
        ("Device", _by_origin(origins, _device)),
    ]
    return [(heading, text) for heading, text in parts if text]


def verdict_line(reference: Reference | None) -> str:
    """Whether what the reference says holds, in a sentence; empty without claims."""
    if reference is None or not reference.claims.rows:
        return ""
    counts = Counter(reference.claims.column("verdict"))
    judged, all_of = len(reference.claims.rows) - counts[SILENT], labels.counted(len(reference.claims.rows), "claim")
    if not judged:
        return f"None of the {reference.name}'s {all_of} applies to this study."
    parts = ", ".join(f"{counts[name]} {name}" for name in VERDICTS)
    silent = f"; {counts[SILENT]} do not apply to this study" if counts[SILENT] else ""
    return f"Of the {reference.name}'s {all_of}: {parts}{silent}."


def _monitored(best: Table) -> list[tuple[str, str]]:
    """What runs are judged by in place of the validation loss, and the best of it in each rule."""
    names = [name for name in best.columns if {f"{name}_low", f"{name}_high"} <= set(best.columns)]
    told = []
    for name in names:
        rows = [row for row in best.records() if not wording.empty(row[name])]
        between = [wording.interval(row[f"{name}_low"], row[f"{name}_high"]) for row in rows]
        texts = [
            f"{wording.loss(row[name])}{f' (95% interval {ends})' if ends else ''}: "
            f"{labels.optimizer(row['optimizer'])}, {wording.titled(row['hyperparameters'])}"
            for row, ends in zip(rows, between, strict=True)
        ]
        told.append((name.replace("_", " ").capitalize(), "; ".join(texts)))
    return told


def answers(
    best: Sequence[Mapping[str, Any]], chance: float = math.inf, statuses: Sequence[str] = ()
) -> list[dict[str, str]]:
    """What came out, the best optimizer first: its name and a sentence; ``best`` are rows of the best configurations.

    A configuration with a run that diverged comes after all others: it is the best only where there is no other. Where
    none of the runs, which ended with ``statuses``, has learnt anything, that is the answer.
    """
    guessing = f"guessing has a loss of {wording.loss(chance)}" if math.isfinite(chance) else ""
    if statuses and set(statuses) <= set(UNLEARNT):
        counts = ", ".join(f"{count} {status}" for status, count in Counter(statuses).most_common())
        told = f"Of {labels.counted(len(statuses), 'run')}: {counts}"
        return [{"rule": "No configuration learned anything.", "text": f"{'; '.join(filter(None, [told, guessing]))}."}]
    texts = [{"rule": str(row["optimizer"]), "text": _answer(row, guessing)} for row in sorted(best, key=_place)]
    if texts:  # what the numbers are of is said once
        texts[0]["text"] = texts[0]["text"].replace("gets to ", "gets to a validation loss of ", 1)
    return texts


def intervals(best: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """For a picture, what has learnt of the same rows, in the same order: rule, value, low and high, perhaps None."""
    rows = [
        (row["optimizer"], *(_finite(row[name]) for name in ("val_loss", "val_low", "val_high")))
        for row in sorted(best, key=_place)
        if not _is_unlearnt(row)
    ]
    told = [dict(zip(("rule", "value", "low", "high"), row, strict=True)) for row in rows]
    return [one for one in told if one["value"] is not None]


def _finite(value: Any) -> float | None:
    return None if wording.empty(value) or not math.isfinite(value) else float(value)


def _place(row: Mapping[str, Any]) -> tuple[bool, bool, float]:
    lost = wording.empty(row["val_loss"])
    return (
        lost,
        any(how in (row["note"] or "") for how in ("diverged", "failed")),
        math.inf if lost else row["val_loss"],
    )


def _is_unlearnt(row: Mapping[str, Any]) -> bool:
    """Whether each of the seeds that are told diverged, failed or is no better than guessing."""
    found = set(re.findall(rf"(\d+) of \d+ seeds ({'|'.join(UNLEARNT)})", row["note"] or ""))
    return bool(0 < row["seeds"] <= sum(int(count) for count, _ in found))


def _answer(row: Mapping[str, Any], guessing: str) -> str:
    if wording.empty(row["val_loss"]):
        return f"has no loss that counts{': ' if row['note'] else ''}{row['note'] or ''}"
    if _is_unlearnt(row):
        told = [f"its lowest loss is {wording.loss(row['val_loss'])}", guessing, row["note"]]
        return f"has learned nothing: {'; '.join(filter(None, told))}"
    between = wording.interval(row["val_low"], row["val_high"])
    seeds = labels.counted(row["seeds"], "seed")
    spread = f"{between}, 95% interval, {seeds}" if between else f"{seeds}, no interval"
    accuracy = wording.cell(row["val_accuracy"], "val_accuracy")
    note = row["note"] or ""
    told = [
        f"accuracy {accuracy}" if accuracy else "",
        note if any(how in note for how in UNLEARNT) else "",
    ]
    at = f" at {row['hyperparameters']}" if row["hyperparameters"] else ""
    return "; ".join(filter(None, [f"gets to {wording.loss(row['val_loss'])} ({spread}){at}", *told]))


def _run_counts(runs: Table) -> str:
    counts = Counter(map(str, runs.column("status")))
    seeds = labels.counted(len(set(runs.column("seed"))), "seed")
    parts = ", ".join(f"{count} {status}" for status, count in counts.most_common())
    return f"{labels.counted(len(runs.rows), 'run')} with {seeds} ({parts})" if runs.rows else "none"


def directions(origins: Sequence[Origin]) -> dict[str, bool]:
    """Whether more is better, of each metric of the user's own of which the work directories say so."""
    modes = dict[str, str]()
    for config in (origin.config for origin in origins):
        modes |= config.get("metric_modes", {})
        modes |= {config["monitor"]: config["mode"]} if config.keys() >= {"monitor", "mode"} else {}
    return {name: mode == "max" for name, mode in modes.items()}


def _by_origin(origins: Sequence[Origin], say: Callable[[Origin], str]) -> str:
    """What is true of every work directory, once; else each by its name."""
    parts = [(origin.name, text) for origin in origins if (text := say(origin))]
    texts = list(dict.fromkeys(text for _, text in parts))
    if len(texts) < 2:
        return "".join(texts)
    return "; ".join(f"{name}: {text}" for name, text in parts)


def _edited(origin: Origin) -> str:
    tables = {"config.json": origin.config, "stats.json": origin.stats}
    names = [name for name, table in tables.items() if table.get("edited")]
    shown = "what it says of data, settings, guessing, time and speed is as it was changed"
    return f"{' and '.join(names)} since it was written: {shown}" if names else ""


def _choices(origin: Origin) -> str:
    choices = origin.config.get("model_choices") or {}
    return "; ".join(
        f"{name}: {', '.join(f'{i} is {t}' for i, t in enumerate(each))}" for name, each in choices.items()
    )


def _data(origin: Origin) -> str:
    data = origin.config.get("dataset") or {}
    if not isinstance(data, Mapping):
        return str(data)
    shape = " x ".join(map(str, data.get("image_shape", ())))
    counts = f"{data.get('train_examples', '?')} training and {data.get('val_examples', '?')} validation examples"
    if "test_examples" in data:
        counts += f" (and {data['test_examples']} held back for testing)"
    without = len(data.get("left_out") or ())
    told = f"; {without} pictures that cannot be read are left out" if without else ""
    return f"{data['name']}: {counts}" + (f" of {shape}" if shape else "") + told if "name" in data else ""


def _treatments(origin: Origin) -> str:
    return "; ".join(f"{rule}: {told}" for rule, told in (origin.config.get("treatments") or {}).items())


def _time(origin: Origin) -> str:
    stats = origin.stats
    if "seconds" not in stats:
        return ""
    compiling = f", {wording.duration(stats['compile_seconds'])} of it compiling" if "compile_seconds" in stats else ""
    return wording.duration(stats["seconds"]) + compiling


def _speed(origin: Origin) -> str:
    stats = origin.stats
    parts = []
    if "examples_per_second" in stats:
        parts.append(f"{stats['examples_per_second']:,.0f} examples x configurations a second")
    if "goodput" in stats:
        parts.append(f"{stats['goodput']:.0%} of the epochs computed were of use")
    if stats.get("peak_memory_bytes"):
        parts.append(f"{wording.size(stats['peak_memory_bytes'])} at most")
    return ", ".join(parts)


def _device(origin: Origin) -> str:
    counts = Counter(map(str, origin.config.get("devices") or ()))
    return ", ".join(f"{count} x {name}" for name, count in counts.items())
