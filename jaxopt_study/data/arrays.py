"""A data set from arrays that the user has."""

import hashlib
from collections.abc import Sequence
from typing import Any

import numpy as np

from jaxopt_study.data.dataset import Dataset
from jaxopt_study.errors import InputError


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
        train_labels: ints ``[N]`` from 0, or floats ``[N]`` or ``[N, O]``.
        val_images: ``[M, ..]``, the validation part; its labels likewise.
        val_labels: ``[M]`` or ``[M, O]``.
        classes: names of the labels 0, 1, ..; their numbers if not given.
        name: what config and report call it.

    Raises:
        InputError: the arrays do not fit together, or hold what is no number.
    """
    images = _images(train_images, "train_images"), _images(val_images, "val_images")
    labels = _labels(train_labels, len(images[0]), "train_labels"), _labels(val_labels, len(images[1]), "val_labels")
    for part, (first, second) in (("images", images), ("labels", labels)):
        if first.shape[1:] != second.shape[1:] or first.dtype != second.dtype:
            allowed = f"allowed is {first.dtype} [M{_tail(first)}], as in train_{part}"
            raise InputError(f"val_{part}", f"{second.dtype} [{len(second)}{_tail(second)}]", allowed)
    names = _classes(labels[0], labels[1], classes)
    digest = hashlib.sha256(repr((images[0].shape, images[1].shape, labels[0].shape, names)).encode())
    for array in (*images, *labels):
        digest.update(str(array.dtype).encode())
        digest.update(np.ascontiguousarray(array).reshape(-1).data)
    return Dataset(name, images[0], labels[0], images[1], labels[1], names, digest.hexdigest())


def _images(given: Any, name: str) -> np.ndarray:
    array = _array(given, name)
    if array.ndim < 2 or not array.size:
        raise InputError(name, f"shape {array.shape}", "allowed are examples [N, ..] of at least one number each")
    return array if array.dtype == np.uint8 else _finite(array, name)


def _labels(given: Any, examples: int, name: str) -> np.ndarray:
    array = _array(given, name)
    if array.ndim not in (1, 2) or len(array) != examples or not array.size:
        allowed = f"allowed are {examples} labels: ints [{examples}], or floats [{examples}] or [{examples}, O]"
        raise InputError(name, f"shape {array.shape}", allowed)
    if array.dtype.kind == "f":
        return _finite(array, name)
    if array.ndim > 1 or array.min() < 0:
        raise InputError(name, f"{array.dtype} {array.shape}", "whole numbers are classes: allowed is [N], from 0")
    return array.astype(np.int32)


def _array(given: Any, name: str) -> np.ndarray:
    try:
        array = np.asarray(given)
    except (TypeError, ValueError) as error:
        raise InputError(name, type(given).__name__, "allowed is an array of numbers") from error
    if array.dtype.kind not in "biuf":
        raise InputError(name, f"an array of {array.dtype}", "allowed is an array of numbers")
    return array


def _finite(array: np.ndarray, name: str) -> np.ndarray:
    with np.errstate(over="ignore"):
        array = array.astype(np.float32)
    if not np.isfinite(array).all():
        raise InputError(name, "an array with NaN or infinity", "allowed are numbers that float32 can hold")
    return array


def _classes(train: np.ndarray, val: np.ndarray, given: Sequence[str] | None) -> tuple[str, ...]:
    if train.dtype != np.int32:
        if given is not None:
            raise InputError("classes", list(given), "labels that are floats have none")
        return ()
    count = max(int(train.max()), int(val.max())) + 1
    if isinstance(given, str) or (given is not None and (len(given) < count or len(set(given)) < len(given))):
        raise InputError("classes", given, f"allowed is a list of {count} or more different names, one a label")
    names = tuple(map(str, range(count) if given is None else given))
    if len(names) < 2:
        raise InputError("train_labels", "one class", "allowed are labels of at least two classes")
    return names


def _tail(array: np.ndarray) -> str:
    return "".join(f", {size}" for size in array.shape[1:])
