"""A data set from arrays that the user has."""

import hashlib
import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np

from jaxopt_study.data.dataset import Dataset, warn_of_classes
from jaxopt_study.errors import InputError
from jaxopt_study.settings import MOST_WHOLE

MOST_CLASSES = 30_000
"""That labels imply by their largest number, without names: more than the largest image sets have, and few for ids."""


def arrays(
    train_images: Any,
    train_labels: Any,
    val_images: Any,
    val_labels: Any,
    *,
    classes: Sequence[str] | None = None,
    name: str = "arrays",
) -> Dataset:
    """A data set of arrays: of classes where the labels are whole numbers, of a regression where they are floats.

    Args:
        train_images: examples ``[N, ..]``: uint8 images, which networks get as numbers from 0 to 1, or floats, which
            they get as they are.
        train_labels: ints ``[N]`` from 0, below the number of names or, without names, below ``MOST_CLASSES``; or
            floats ``[N]`` or ``[N, O]``.
        val_images: ``[M, ..]``, the validation part; its labels likewise.
        val_labels: ``[M]`` or ``[M, O]``.
        classes: names of the labels 0, 1, ..; their numbers if not given.
        name: what config and report call it.

    Warns where it may not be what was meant: of classes without an example, such as 0 where labels begin with 1, and of
    floats that are all whole.

    Raises:
        InputError: the arrays do not fit together, or hold what is no number.
    """
    images = _images(train_images, "train_images"), _images(val_images, "val_images")
    most = (MOST_CLASSES if classes is None else MOST_WHOLE) - 1
    parts = (train_labels, images[0], "train_labels"), (val_labels, images[1], "val_labels")
    labels: Any = tuple(_labels(values, len(examples), part, most) for values, examples, part in parts)
    for part, (train, val) in (("images", images), ("labels", labels)):
        if train.shape[1:] != val.shape[1:] or train.dtype != val.dtype:
            tails = ["".join(f", {size}" for size in array.shape[1:]) for array in (train, val)]
            allowed = f"allowed is {train.dtype} [M{tails[0]}], as in train_{part}"
            raise InputError(f"val_{part}", f"{val.dtype} [{len(val)}{tails[1]}]", allowed)
    names = _classes(np.concatenate(labels), classes)
    if names:
        warn_of_classes(labels[0], labels[1], names)
    elif labels[0].ndim == 1 and not (labels[0] % 1).any():
        told = (
            "train_labels are floats, taken as numbers to predict; classes would be whole numbers: labels.astype(int)"
        )
        warnings.warn(told, stacklevel=2)
    digest = hashlib.sha256(repr((images[0].shape, images[1].shape, labels[0].shape, names)).encode())
    for array in (*images, *labels):
        digest.update(str(array.dtype).encode())
        digest.update(np.ascontiguousarray(array).reshape(-1).data)
    return Dataset(name, images[0], labels[0], images[1], labels[1], names, digest.hexdigest())


def _images(values: Any, name: str) -> np.ndarray:
    array = _array(values, name)
    if array.ndim < 2 or not array.size:
        raise InputError(name, f"shape {array.shape}", "allowed are examples [N, ..] of at least one number each")
    return array if array.dtype == np.uint8 else array.astype(np.float32)


def _labels(values: Any, examples: int, name: str, most: int) -> np.ndarray:
    array = _array(values, name)
    if array.ndim not in (1, 2) or len(array) != examples or not array.size:
        allowed = f"allowed are {examples} labels: ints [{examples}], or floats [{examples}] or [{examples}, O]"
        raise InputError(name, f"shape {array.shape}", allowed)
    if array.dtype.kind == "f" and not (isinstance(values, Sequence) and all(isinstance(v, int) for v in values)):
        return array
    low, high = int(array.min()), int(array.max())
    if array.ndim > 1 or low < 0 or high > most:
        given = f"{array.dtype} {list(array.shape)} of {low} to {high}"
        ids = "; np.unique(labels, return_inverse=True)[1] makes them of ids" if high > most else ""
        raise InputError(name, given, f"whole numbers are classes: allowed is [N], from 0 to {most}{ids}")
    return array.astype(np.int32)


def _array(values: Any, name: str) -> np.ndarray:
    try:
        array = np.asarray(values)
    except (TypeError, ValueError) as error:
        raise InputError(name, type(values).__name__, "allowed is an array of numbers") from error
    if array.dtype.kind not in "biuf":
        raise InputError(name, f"an array of {array.dtype}", "allowed is an array of numbers")
    if array.dtype.kind == "f":
        with np.errstate(over="ignore"):
            array = array.astype(np.float32)
        if not np.isfinite(array).all():
            raise InputError(name, "an array with NaN or infinity", "allowed are numbers that float32 can hold")
    return array


def _classes(labels: np.ndarray, classes: Sequence[str] | None) -> tuple[str, ...]:
    if labels.dtype != np.int32:
        if classes is not None:
            allowed = "labels that are floats have none; classes are whole numbers, such as labels.astype(int)"
            raise InputError("classes", classes, allowed)
        return ()
    count = int(labels.max()) + 1
    listed = range(count) if classes is None else classes
    names = tuple(map(str, listed)) if isinstance(listed, Sequence | np.ndarray) else ()
    if isinstance(classes, str) or not count <= len(names) == len(set(names)):
        raise InputError("classes", classes, f"allowed is a list of {count} or more different names, one a label")
    if len(names) < 2:
        raise InputError("train_labels", "one class", "allowed are labels of at least two classes")
    return names
