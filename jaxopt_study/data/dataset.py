"""What a data source hands on, and what the rest of the program receives."""

import hashlib
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from jaxopt_study.errors import InputError

Images = NDArray[np.uint8]
Labels = NDArray[np.int32]
Indices = NDArray[np.int64]


class Dataset(NamedTuple):
    """Images and labels of one task, split into a training and a validation part.

    The image arrays may be read-only memory maps of the disk cache.
    """

    name: str  # as given: "digits", "tfds:cats_vs_dogs", "folder:PATH"
    train_images: Images  # [N, H, W, K], 0..255
    train_labels: Labels  # [N], 0..len(classes)-1
    val_images: Images  # [M, H, W, K]
    val_labels: Labels  # [M]
    classes: tuple[str, ...]  # classes[i] is the name of label i
    fingerprint: str  # hex; differs whenever a pixel, a label, the split or a class name differs


class Source(NamedTuple):
    """All images of a source, decoded, with the places of the two parts among them."""

    images: Images  # [N, H, W, K]
    labels: Labels  # [N]
    classes: tuple[str, ...]
    train: Indices  # [A], where the training examples lie, in the order of training
    val: Indices  # [B]
    digest: str  # of the pixels


def assemble(
    name: str,
    source: Source,
    *,
    classes: Sequence[str] | None,
    train_examples: int | None,
    val_examples: int | None,
) -> Dataset:
    """Cuts a source down to the classes and sizes asked for.

    Args:
      name: The name of the data set as the user gave it.
      source: Images [N, H, W, K], labels [N] and the split.
      classes: Names of the classes to keep, in the order of their new labels; None keeps all.
      train_examples: Keeps the first so many of the training part; None keeps all.
      val_examples: The same for the validation part.

    Raises:
      InputError: an unknown class, fewer than two classes, or more examples than there are.
    """
    kept = choose_classes(source.classes, classes)
    relabel = np.full(len(source.classes), -1, np.int32)
    relabel[[source.classes.index(label) for label in kept]] = np.arange(len(kept), dtype=np.int32)
    labels = relabel[source.labels]
    train = _first(source.train[labels[source.train] >= 0], train_examples, "--train_examples")
    val = _first(source.val[labels[source.val] >= 0], val_examples, "--val_examples")
    _check_parts(name, labels, train, val, train_examples)
    return Dataset(
        name=name,
        train_images=_take(source.images, train),
        train_labels=labels[train],
        val_images=_take(source.images, val),
        val_labels=labels[val],
        classes=kept,
        fingerprint=_fingerprint(source.digest, kept, labels, train, val),
    )


def choose_classes(available: Sequence[str], asked: Sequence[str] | None) -> tuple[str, ...]:
    """The classes to keep: those asked for, in their order, or all (None or "all").

    Raises:
      InputError: a name that is not available, given twice, or fewer than two classes left.
    """
    chosen = tuple(available) if asked is None or tuple(asked) == ("all",) else tuple(asked)
    given = ",".join(chosen)
    unknown = [label for label in chosen if label not in available]
    if unknown:
        raise InputError("--classes", given, f"no class {unknown[0]!r}; there are {_enumerate(available)}")
    if len(set(chosen)) < len(chosen):
        raise InputError("--classes", given, "each class may be named once")
    if len(chosen) < 2:
        raise InputError("--classes", given, f"at least two classes of {_enumerate(available)}")
    return chosen


def digest_of(images: Images) -> str:
    """SHA-256 of the shape and the pixels [N, H, W, K]."""
    digest = hashlib.sha256(repr(images.shape).encode())
    digest.update(np.ascontiguousarray(images).reshape(-1).data)
    return digest.hexdigest()


def _first(indices: Indices, count: int | None, flag: str) -> Indices:
    if count is None:
        return indices
    if not 1 <= count <= len(indices):
        raise InputError(flag, count, f"a whole number from 1 to {len(indices)}")
    return indices[:count]


def _check_parts(name: str, labels: Labels, train: Indices, val: Indices, train_examples: int | None) -> None:
    if not len(val):
        raise InputError("--dataset", name, "no example of the chosen classes is left for validation")
    if len(np.unique(labels[train])) < 2:
        if train_examples is not None:
            raise InputError("--train_examples", train_examples, "must leave at least two classes in the training part")
        raise InputError("--dataset", name, "the training part must hold at least two classes")


def _take(images: Images, indices: Indices) -> Images:
    """images[indices], without a copy where the indices are a run."""
    if len(indices) and np.array_equal(indices, np.arange(indices[0], indices[0] + len(indices))):
        return images[indices[0] : indices[0] + len(indices)]
    return images[indices]


def _fingerprint(digest: str, classes: tuple[str, ...], labels: Labels, train: Indices, val: Indices) -> str:
    whole = hashlib.sha256(repr((digest, classes, len(train), len(val))).encode())
    for part in (train, val):
        whole.update(part.astype("<i8").tobytes())
        whole.update(labels[part].astype("<i4").tobytes())
    return whole.hexdigest()


def _enumerate(classes: Sequence[str]) -> str:
    shown = ", ".join(classes[:12])
    return shown if len(classes) <= 12 else f"{shown} and {len(classes) - 12} more"
