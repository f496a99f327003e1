"""Numbers and names as the page writes them."""

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from jaxopt_study.analysis import numbers
from jaxopt_study.analysis.minima import Summary
from jaxopt_study.plots import labels

FIXED_COLUMNS = tuple(
    dict.fromkeys(
        ("optimizer", "seed", "data_seed", "status", "min_val_loss", "val_accuracy_at_min_val", *Summary._fields)
    )
)
"""Of the table of runs, in the page's order; every other column is a hyperparameter."""
COLUMNS: Mapping[str, str] = {
    "min_val_epoch": "at epoch",
    "val_accuracy_at_min_val": "accuracy there",
    "max_val_accuracy": "highest accuracy",
    "train_loss_at_min_val": "train loss there",
    "min_train_epoch": "at epoch (train)",
    "diverged_epoch": "diverged at",
}
"""Headings that are other than the name in words."""
_LONGEST_LIST = 24
_UNITS = ((1e9, "GB"), (1e6, "MB"), (1e3, "kB"))


def empty(value: object) -> bool:
    """Whether there is nothing to show: None, NaN or an empty text."""
    return value is None or value == "" or (isinstance(value, float) and math.isnan(value))


def cell(value: object, name: str = "") -> str:
    """A value for a table, of the column ``name``; an empty one is empty."""
    if empty(value):
        return ""
    if "accuracy" in name and isinstance(value, float):
        return f"{value:.1%}"
    if name.endswith("_loss") and isinstance(value, float):
        return loss(value)
    if name == "share" and isinstance(value, float):
        return f"{value:.1%}"
    if name in ("variance", "sd") and isinstance(value, float):  # whose estimates are good to a digit or two
        return f"{value:.2g}"
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def loss(value: float | None) -> str:
    """A loss as ``analysis.numbers.loss`` and the page's script (``show``) write it, an en dash where there is none."""
    return "\N{EN DASH}" if value is None or math.isnan(value) else numbers.loss(value)


def interval(low: float | None, high: float | None, digits: str | None = None) -> str:
    """``0.2010 to 0.2095``, as losses if no digits are given; empty without one."""
    if low is None or high is None or math.isnan(low) or math.isnan(high):
        return ""
    return " to ".join(loss(end) if digits is None else f"{end:{digits}}" for end in (low, high))


def titled(told: str) -> str:
    """``learning_rate 0.1, b1 0.9`` of a table as the page says it: ``learning rate 0.1, beta 1 0.9``."""
    parts = (part.rpartition(" ") for part in told.split(", "))
    return ", ".join(f"{labels.hyperparameter(name)}{space}{value}" for name, space, value in parts)


def apart(values: Sequence[object]) -> list[str]:
    """The cells of a column of a hyperparameter, its numbers with as many digits as tell them apart."""
    texts = iter(numbers.numbers([value for value in values if isinstance(value, float) and not empty(value)]))
    return [next(texts) if isinstance(value, float) and not empty(value) else cell(value) for value in values]


def column(name: str) -> str:
    """A column's heading."""
    return COLUMNS.get(name, labels.hyperparameter(name))


def duration(seconds: float) -> str:
    """``41 s``, ``12 min 5 s``, ``3 h 20 min``."""
    whole = round(seconds)
    if whole < 60:
        return f"{seconds:.3g} s"
    minutes, rest = divmod(whole, 60)
    return f"{minutes} min {rest} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"


def hardware(config: Mapping[str, Any], stats: Mapping[str, Any]) -> str:
    """What a study was trained on: ``2 x AMD EPYC``, and several that had parts of it as ``2 x AMD EPYC, 1 x H100``."""
    devices = config.get("devices") or ["unknown"]
    last = config.get("processor", "CPU core") if devices[0] == "cpu" else devices[0]
    parts = stats.get("parts") or [{}]
    return ", ".join(dict.fromkeys(f"{p.get('devices', len(devices))} x {p.get('device_kind', last)}" for p in parts))


def size(count: float) -> str:
    """Bytes as ``640 MB``; of less than ten of a unit with a decimal."""
    unit, name = next((each for each in _UNITS if count >= 0.9995 * each[0]), _UNITS[-1])
    return f"{count / unit:.{1 if count < 9.95 * unit else 0}f} {name}"


def flat(value: Any, name: str = "") -> Iterator[tuple[str, str]]:
    """Nested settings as lines ``settings.batch_size``, ``32``; long lists by their length."""
    if isinstance(value, Mapping):
        for key, inner in value.items():
            yield from flat(inner, f"{name}.{key}" if name else str(key))
    elif isinstance(value, Sequence) and not isinstance(value, str):
        short = len(value) <= _LONGEST_LIST and not any(isinstance(one, Mapping) for one in value)
        yield name, ", ".join(map(str, value)) if short else f"{len(value)} entr{'y' if len(value) == 1 else 'ies'}"
    else:
        yield name, "none" if value is None else f"{value:.6g}" if isinstance(value, float) else str(value)
