"""What labels are, told by their type and shape: classes, sequences of them, rows of several, numbers."""

import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np

from jaxopt_study.data.trees import Tree, is_tree, mapped, named
from jaxopt_study.errors import InputError
from jaxopt_study.settings import MOST_WHOLE

MOST_CLASSES = 30_000
"""That labels imply by their largest number, without names: more than the largest image sets have, and few for ids."""
TASKS = ("classes", "multi_label", "sequences", "numbers")
"""See ``training.losses.TASKS``."""
_ROWS = (
    "whole numbers [N, O] are classes at every place of inputs [N, T, ..], one-hot rows or rows of 0 and 1; numbers to "
    "predict are floats"
)


def array_of(values: Any, name: str) -> np.ndarray:
    """An array of numbers, floats as float32.

    Raises:
        InputError: it is none, or holds what float32 cannot.
    """
    try:
        array = np.asarray(values)
    except (TypeError, ValueError) as error:
        raise InputError(name, type(values).__name__, "allowed is an array of numbers") from error
    if array.dtype.kind not in "biuf":
        hint = "; of text js.frame, or np.unique(x, return_inverse=True)[1], makes whole numbers"
        told = hint if array.dtype.kind in "USO" else ""
        raise InputError(name, f"an array of {array.dtype}", f"allowed is an array of numbers{told}")
    if array.dtype.kind == "f":
        with np.errstate(over="ignore"):
            array = array.astype(np.float32)
        if not np.isfinite(array).all():
            raise InputError(name, "an array with NaN or infinity", "allowed are numbers that float32 can hold")
    return array


def whole(array: np.ndarray, name: str) -> np.ndarray:
    """Whole numbers as int32; InputError: it cannot hold them."""
    if array.size and not -MOST_WHOLE <= int(array.min()) <= int(array.max()) <= MOST_WHOLE:
        given = f"{array.dtype} of {array.min()} to {array.max()}"
        raise InputError(name, given, f"allowed are whole numbers from {-MOST_WHOLE} to {MOST_WHOLE}")
    return array.astype(np.int32)


def understood(
    parts: Sequence[tuple[Any, str]], counts: Sequence[int], inputs: Tree, classes: Any, task: str | None
) -> tuple[list[Tree], tuple[str, ...], str]:
    """The labels of both parts, or of one, as they are trained on.

    Args:
        parts: labels as they were given, and what errors call them.
        counts: examples of each.
        inputs: of the first.
        classes: names of classes, or None.
        task: one of :data:`TASKS`, or None where it is to be told by the labels.

    Returns:
        The labels of each part, int32 or float32; names of the classes, none of numbers; the task, empty for
        ``classes`` and ``numbers``.

    Raises:
        InputError: they do not fit the examples, or each other, or the task.
    """
    if task is not None and task not in TASKS:
        raise InputError("task", task, f"allowed are {', '.join(TASKS)}")
    if any(is_tree(values) for values, _ in parts):
        return [_tree(*part, count) for part, count in zip(parts, counts, strict=True)], (), ""
    read = [_read(*part, count) for part, count in zip(parts, counts, strict=True)]
    if any(array.dtype.kind == "U" for array in read):
        read, classes = _of_text(read, parts, classes)
    if {array.dtype.kind == "f" for array in read} == {True, False}:
        given = " and ".join(f"{array.dtype}" for array in read)
        raise InputError(parts[1][1], given, "allowed are labels of one kind in both parts")
    if read[0].dtype.kind == "f":
        return _floats(read, parts, classes, task)
    return _whole_numbers(read, parts, inputs, classes, task)


def told(labels: Tree, names: tuple[str, ...], task: str) -> str:
    """What labels were taken for, in words."""
    if not isinstance(labels, np.ndarray):
        return f"labels {', '.join(name for name, _ in named(labels))}, for a loss of your own"
    listed = f"{names[0]} to {names[-1]}" if len(names) > 2 else " and ".join(names)
    if task == "sequences":
        return f"labels are sequences [N, {labels.shape[1]}] of {len(names)} classes, {listed}"
    if task == "multi_label":
        return f"labels are rows of {len(names)}, each 0 or 1 by itself: {listed}"
    if names:
        return f"labels are {len(names)} classes, {listed}"
    return f"labels are numbers to predict, {labels.shape[-1] if labels.ndim > 1 else 1} an example"


def _read(values: Any, name: str, count: int) -> np.ndarray:
    """Labels as an array of numbers or of text, ``[N, ..]``."""
    try:
        array = np.asarray(values)
    except (TypeError, ValueError) as error:
        raise InputError(name, type(values).__name__, "allowed is an array of numbers or text") from error
    is_text = array.dtype.kind in "UST" or (
        array.dtype.kind == "O" and array.size and all(isinstance(each, str) for each in array.ravel())
    )
    if is_text and all(array.shape):
        array = array.astype(str)
    else:
        kept = array.astype(np.float64) if array.dtype.kind == "O" and _are_whole(values) else values
        array = array_of(kept, name)
    if not array.ndim or len(array) != count or not array.size:
        allowed = f"allowed are {count} labels: ints or text [{count}], or floats [{count}] or [{count}, O]"
        raise InputError(name, f"shape {array.shape}", allowed)
    array = array[:, 0] if array.ndim == 2 and array.shape[1] == 1 and array.dtype.kind != "f" else array
    if array.dtype.kind == "f" and _are_whole(values):  # more digits than NumPy's whole numbers have
        _refuse(array, name, MOST_CLASSES - 1)
    return array


def _are_whole(values: Any) -> bool:
    return isinstance(values, Sequence) and not isinstance(values, str) and all(isinstance(v, int) for v in values)


def _tree(values: Any, name: str, count: int) -> Tree:
    def leaf(array: Any) -> np.ndarray:
        found = array_of(array, name)
        if not found.ndim or len(found) != count:
            raise InputError(name, f"shape {found.shape}", f"allowed are {count} labels in every array")
        return found if found.dtype.kind == "f" else whole(found, name)

    return mapped(leaf, values)


def _of_text(
    read: list[np.ndarray], parts: Sequence[tuple[Any, str]], classes: Any
) -> tuple[list[np.ndarray], tuple[str, ...]]:
    names = _names(classes, 0) if classes is not None else tuple(np.unique(np.concatenate([*map(np.ravel, read)])))
    names = tuple(str(name) for name in names)
    place = {name: at for at, name in enumerate(names)}
    found = []
    for array, (_, name) in zip(read, parts, strict=True):
        if array.dtype.kind != "U" or array.ndim > 1:
            raise InputError(name, f"{array.dtype} {list(array.shape)}", "allowed is text [N] in both parts")
        if unknown := sorted({*array.tolist()} - set(names)):
            raise InputError(name, repr(unknown[0]), f"allowed are the classes {', '.join(names)}")
        found.append(np.array([place[each] for each in array.tolist()], np.int32))
    return found, names


def _floats(
    read: list[np.ndarray], parts: Sequence[tuple[Any, str]], classes: Any, task: str | None
) -> tuple[list[Tree], tuple[str, ...], str]:
    all_whole = not any((array % 1).any() for array in read)
    if task in ("classes", "multi_label", "sequences"):
        if not all_whole:
            raise InputError("task", task, "allowed for labels that are no whole numbers is numbers")
        return _whole_numbers([array.astype(np.int64) for array in read], parts, None, classes, task)
    if classes is not None:
        allowed = "labels that are floats have none; classes are whole numbers, such as labels.astype(int)"
        raise InputError("classes", classes, allowed)
    one_hot = read[0].ndim == 2 and read[0].shape[1] > 1 and all(map(_is_one_hot, read))
    if task is None and all_whole and (read[0].ndim == 1 or one_hot):
        kind = "one-hot rows of floats" if one_hot else "floats"
        message = (
            f"labels are {kind}, taken as numbers to predict; classes would be whole numbers: labels.astype(int); "
            'task="numbers" says that it is meant'
        )
        warnings.warn(message, stacklevel=4)
    return list(read), (), ""


def _whole_numbers(
    read: list[np.ndarray], parts: Sequence[tuple[Any, str]], inputs: Tree, classes: Any, task: str | None
) -> tuple[list[Tree], tuple[str, ...], str]:
    if task == "numbers":
        return [array.astype(np.float32) for array in read], (), ""
    rank = read[0].ndim
    if task is None:
        task = "classes" if rank == 1 else _task_of_rows(read, parts, inputs)
    most = (MOST_CLASSES if classes is None else MOST_WHOLE) - 1
    if task == "classes" and rank == 2 and all(map(_is_one_hot, read)):
        names = _names(classes, read[0].shape[1], exactly=True)
        return [np.argmax(array, axis=1).astype(np.int32) for array in read], names, ""
    if task == "multi_label":
        if rank != 2 or any(not np.isin(array, (0, 1)).all() for array in read):
            raise InputError(
                parts[0][1], f"{read[0].dtype} {list(read[0].shape)}", "allowed are rows [N, O] of 0 and 1"
            )
        return [a.astype(np.int32) for a in read], _names(classes, read[0].shape[1], exactly=True), task
    if rank != (2 if task == "sequences" else 1):
        given = f"{read[0].dtype} {list(read[0].shape)}"
        raise InputError(parts[0][1], given, f"allowed for the task {task} is {'[N, T]' if rank == 1 else '[N]'}")
    for array, (_, name) in zip(read, parts, strict=True):
        if int(array.min()) < 0 or int(array.max()) > most:
            _refuse(array, name, most)
    count = max(int(array.max()) for array in read) + 1
    return [array.astype(np.int32) for array in read], _names(classes, count), task if task == "sequences" else ""


def _task_of_rows(read: list[np.ndarray], parts: Sequence[tuple[Any, str]], inputs: Tree) -> str:
    """What whole numbers ``[N, O]`` are."""
    shapes = [read[0].shape[1:]]
    of_places = isinstance(inputs, np.ndarray) and inputs.ndim > 1 and inputs.shape[1:2] == read[0].shape[1:2]
    if read[0].ndim == 2 and of_places and isinstance(inputs, np.ndarray) and inputs.dtype == np.int32:
        return "sequences"
    if read[0].ndim == 2 and all(np.isin(array, (0, 1)).all() for array in read):
        return "classes" if all(map(_is_one_hot, read)) else "multi_label"
    if read[0].ndim == 2 and of_places:
        return "sequences"
    low, high = int(read[0].min()), int(read[0].max())
    given = f"{read[0].dtype} {['N', *shapes[0]]} of {low} to {high}".replace("'", "")
    raise InputError(parts[0][1], given, _ROWS)


def _is_one_hot(rows: np.ndarray) -> bool:
    return bool(np.isin(rows, (0, 1)).all() and (rows.sum(axis=-1) == 1).all())


def _refuse(array: np.ndarray, name: str, most: int) -> None:
    low, high = int(array.min()), int(array.max())
    given = f"{array.dtype} {list(array.shape)} of {low} to {high}"
    ids = "; np.unique(labels, return_inverse=True)[1] makes them of ids" if high > most else ""
    raise InputError(name, given, f"whole numbers are classes: allowed is [N], from 0 to {most}{ids}")


def _names(classes: Any, count: int, *, exactly: bool = False) -> tuple[str, ...]:
    """The names of so many classes."""
    listed = range(count) if classes is None else classes
    names = tuple(map(str, listed)) if isinstance(listed, Sequence | np.ndarray) else ()
    enough = count == len(names) if exactly else count <= len(names)
    if isinstance(classes, str) or not enough or len(set(names)) < len(names):
        more = "" if exactly else " or more"
        raise InputError("classes", classes, f"allowed is a list of {count}{more} different names, one a label")
    if len(names) < 2:
        raise InputError("labels", "one class", "allowed are labels of at least two classes")
    return names
