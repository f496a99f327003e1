"""A data set from a table: a pandas or polars frame, of which neither package needs to be installed."""

import numbers
import sys
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from jaxopt_study.data.arrays import arrays
from jaxopt_study.data.dataset import VAL_SHARE, Dataset
from jaxopt_study.errors import InputError

NUMBERS = "numbers"
"""The input that holds all columns of numbers, where there are others."""


def frame(
    table: Any,
    labels: str | Sequence[str],
    *,
    inputs: Iterable[str] | None = None,
    val: Any = None,
    weights: str | None = None,
    classes: Sequence[str] | None = None,
    task: str | None = None,
    val_share: float = VAL_SHARE,
    split_seed: int = 0,
    name: str = "frame",
) -> Dataset:
    """A data set of the columns of a pandas or polars frame.

    A network gets the columns of numbers as one float32 array ``[N, F]``, as they are. Where there are columns of text,
    categories or truth values it gets a dictionary: that array as ``numbers``, and of each such column the int32 codes
    ``[N]`` of its values in ascending order, under the column's name. A line on stderr says which these are.

    Args:
        table: the examples, a row each.
        labels: the column to predict, as :func:`~jaxopt_study.data.arrays.arrays` takes it: text and whole numbers are
            classes, floats numbers; or several columns of floats.
        inputs: the columns to predict from; all others if not given.
        val: a frame of the same columns to validate on; split from ``table`` if not given.
        weights: the column of the examples' weights.
        classes, task, val_share, split_seed, name: see :func:`~jaxopt_study.data.arrays.arrays`.

    Raises:
        InputError: it is no frame, a column is not there, or holds what is missing or neither number nor text.
    """
    frames = [table] if val is None else [table, val]
    for each, what in zip(frames, ("table", "val"), strict=False):
        if not hasattr(each, "columns") or not hasattr(each, "__getitem__"):
            raise InputError(what, type(each).__name__, "allowed is a frame of pandas or polars")
    columns = [str(column) for column in table.columns]
    if len(twice := [column for column in columns if columns.count(column) > 1]):
        raise InputError("column", repr(twice[0]), "allowed are names that differ; several columns have this one")
    single = isinstance(labels, str) or not isinstance(labels, Iterable)
    targets = [str(column) for column in ([labels] if single else labels)]
    held = [*targets, *([] if weights is None else [weights])]
    chosen = [column for column in columns if column not in held] if inputs is None else _names(inputs)
    for column in (*held, *chosen):
        for each in frames:
            if column not in map(str, each.columns):
                raise InputError("column", repr(column), f"allowed are {', '.join(columns)}")
    if not chosen:
        raise InputError("inputs", inputs, "allowed is at least one column besides the labels")
    categories = _categories(frames, chosen)
    examples = [_examples(each, chosen, categories) for each in frames]
    of_labels = [_labels(each, targets) for each in frames]
    own = [None if weights is None else _column(each, weights) for each in frames]
    if categories:
        told = ", ".join(f"{column} ({len(values)})" for column, values in categories.items())
        print(f"{name}: columns of categories, as their codes: {told}", file=sys.stderr)
    given: dict[str, Any] = {"classes": classes, "task": task, "val_share": val_share, "split_seed": split_seed}
    if val is None:
        return arrays(examples[0], of_labels[0], weights=own[0], name=name, **given)
    return arrays(
        examples[0], of_labels[0], examples[1], of_labels[1], weights=own[0], val_weights=own[1], name=name, **given
    )


def _names(columns: Any) -> list[str]:
    """A list of names; InputError: it is none."""
    if isinstance(columns, str) or not isinstance(columns, Iterable):
        raise InputError("inputs", repr(columns), "allowed is a list of columns")
    return [str(column) for column in columns]


def _series(table: Any, column: str) -> Any:
    """A column by its name as text: pandas has others, such as numbers."""
    return table[next(name for name in table.columns if str(name) == column)]


def _column(table: Any, column: str) -> np.ndarray:
    """The values of a column, none of them missing."""
    series = _series(table, column)
    missing = int((series.isna() if hasattr(series, "isna") else series.is_null()).sum())
    if missing:
        allowed = "allowed are columns without missing values: fill them, or leave the rows out"
        raise InputError(f"column {column!r}", f"{missing} of {len(series)} values missing", allowed)
    values = np.asarray(series.to_numpy())
    if values.dtype.kind == "O" and all(isinstance(value, str) for value in values):
        return values.astype(str)
    if values.dtype.kind == "O" and all(isinstance(value, numbers.Real) for value in values):  # pandas' nullable types
        values = np.array(values.tolist())
    if values.dtype.kind not in "biufU":
        hint = "dates are made numbers, such as days since a day" if values.dtype.kind in "mM" else "numbers and text"
        raise InputError(f"column {column!r}", f"values of {series.dtype}", f"allowed are {hint}")
    return values


def _categories(frames: Sequence[Any], columns: Sequence[str]) -> dict[str, list[Any]]:
    """The values, ascending, of the columns that are no numbers."""
    found = {}
    for column in columns:
        values = [_column(each, column) for each in frames]
        are_categories = any(str(_series(each, column).dtype) == "category" for each in frames)  # also of numbers
        if are_categories or any(each.dtype.kind in "Ub" for each in values):
            found[column] = sorted(np.unique(np.concatenate(values)).tolist())
    return found


def _examples(table: Any, columns: Sequence[str], categories: dict[str, list[Any]]) -> Any:
    plain = [_column(table, column).astype(np.float32) for column in columns if column not in categories]
    matrix = np.stack(plain, axis=1) if plain else None
    if not categories:
        return matrix
    if NUMBERS in categories and plain:
        raise InputError("column", repr(NUMBERS), "allowed is another name: all columns of numbers are the input of it")
    codes = {
        column: np.searchsorted(np.array(values), _column(table, column)).astype(np.int32)
        for column, values in categories.items()
    }
    return {**({} if matrix is None else {NUMBERS: matrix}), **codes}


def _labels(table: Any, columns: Sequence[str]) -> np.ndarray:
    values = [_column(table, column) for column in columns]
    if len(values) == 1:
        return values[0]
    if any(each.dtype.kind == "U" for each in values):
        raise InputError("labels", ", ".join(columns), "allowed is one column of text, or several of numbers")
    return np.stack([each.astype(np.float64 if each.dtype.kind == "f" else np.int64) for each in values], axis=1)
