"""A data set from one of Hugging Face's ``datasets``, which need not be installed."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from jaxopt_study.data.arrays import arrays
from jaxopt_study.data.dataset import VAL_SHARE, Dataset
from jaxopt_study.errors import InputError

VALIDATION = ("validation", "valid", "val", "dev", "test")
"""Splits that validate, the first that there is; what a set has besides it and ``train`` is not looked at."""


def hf(
    data: Any,
    *,
    inputs: str | Sequence[str],
    labels: str,
    val: Any = None,
    classes: Sequence[str] | None = None,
    task: str | None = None,
    val_share: float = VAL_SHARE,
    split_seed: int = 0,
    name: str = "hf",
) -> Dataset:
    """A data set of columns of a ``datasets.Dataset``, or of the splits of a ``DatasetDict``.

    Args:
        data: with splits ``train`` and, to validate, the first there is of ``VALIDATION``; or one split.
        inputs: the column to predict from: pictures of one size, or numbers and tokens of one length (pad them, and
            give a mask by :func:`~jaxopt_study.data.arrays.arrays`). Several go to the network as a dictionary.
        labels: the column to predict; the names of a ``ClassLabel`` are those of the classes.
        val: another split to validate on; split from ``data`` if there is none.
        classes, task, val_share, split_seed, name: see :func:`~jaxopt_study.data.arrays.arrays`.

    Raises:
        InputError: it is no data set, a column is not there, or its values are not of one shape.
    """
    if isinstance(data, Mapping):
        if "train" not in data:
            raise InputError(
                "data", f"splits {', '.join(map(str, data))}", "allowed is one split, or several with train"
            )
        found = [split for split in VALIDATION if split in data]
        data, val = data["train"], val if val is not None or not found else data[found[0]]
    parts = [data] if val is None else [data, val]
    columns = [inputs] if isinstance(inputs, str) else list(inputs)
    for part, what in zip(parts, ("data", "val"), strict=False):
        if not hasattr(part, "column_names") or not hasattr(part, "features"):
            raise InputError(what, type(part).__name__, "allowed is a datasets.Dataset, or a DatasetDict with train")
        for column in (*columns, labels):
            if column not in part.column_names:
                raise InputError("column", repr(column), f"allowed are {', '.join(part.column_names)}")
    names = getattr(data.features[labels], "names", None)
    given: dict[str, Any] = {"classes": classes if classes is not None else names, "task": task, "name": name}
    read = [_inputs(part, columns, isinstance(inputs, str)) for part in parts]
    targets = [_column(part, labels) for part in parts]
    if val is None:
        return arrays(read[0], targets[0], val_share=val_share, split_seed=split_seed, **given)
    return arrays(read[0], targets[0], read[1], targets[1], **given)


def _inputs(part: Any, columns: Sequence[str], single: bool) -> Any:
    read = {column: _column(part, column) for column in columns}
    return read[columns[0]] if single else read


def _column(part: Any, column: str) -> np.ndarray:
    """The values of a column as one array; of grey pictures ``[N, H, W, 1]``."""
    values = list(part[column])
    if not values or any(value is None for value in values):
        raise InputError(f"column {column!r}", "missing values", "allowed are columns without: filter them out")
    read = [np.asarray(value) for value in values]
    if len(shapes := {each.shape for each in read}) > 1:
        listed = ", ".join(map(str, sorted(shapes)[:3])) + (", .." if len(shapes) > 3 else "")
        allowed = "allowed are values of one shape: pad or cut sequences, resize pictures, before"
        raise InputError(f"column {column!r}", f"values of shapes {listed}", allowed)
    array = np.stack(read)
    is_picture = hasattr(values[0], "getbands")
    return array[..., None] if is_picture and array.ndim == 3 else array
