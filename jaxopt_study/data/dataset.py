"""From the pictures of a source to a data set, split and cut down, and to the batches that are trained on."""

import hashlib
import math
import warnings
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from jaxopt_study.data.trees import Tree, length, mapped, named
from jaxopt_study.errors import InputError
from jaxopt_study.settings import check_whole

Images = NDArray[np.uint8]
Labels = NDArray[np.int32]
Indices = NDArray[np.int64]
Array = Any  # numpy before it is put on a device, jax after

VAL_SHARE = 0.2  # the article's train[80%:]
_NAMED = 10
_ALIGNMENT = 64  # bytes


class Dataset(NamedTuple):
    """Examples and labels of one task, split into a training and a validation part.

    The image arrays may be read-only memory maps of the disk cache. What is not of pictures may be dictionaries and
    tuples of arrays, see :func:`jaxopt_study.data.arrays.arrays`.
    """

    name: str  # as given: "digits", "tfds:cats_vs_dogs", "folder:PATH"
    train_images: Tree  # [N, H, W, K], uint8, 0..255; or other examples [N, ..]
    train_labels: Tree  # [N], 0..len(classes)-1; or what the task has
    val_images: Tree  # [M, H, W, K]
    val_labels: Tree  # [M]
    classes: tuple[str, ...]  # classes[i] is the name of label i
    fingerprint: str  # hex; differs whenever a pixel, a label, the split, a class name or what was left out differs
    left_out: tuple[str, ...] = ()  # names of the source's pictures that cannot be read and are not among these
    task: str = ""  # of losses.TASKS; empty for classes [N], and for numbers, which have no classes
    train_weights: NDArray[np.float32] | None = None  # [N] or, of sequences, [N, T]; None where all count alike
    val_weights: NDArray[np.float32] | None = None
    asked: tuple[tuple[str, Any], ...] = ()  # what `load` was given besides the name, for whoever loads it again

    @property
    def examples(self) -> int:
        """Of the training part."""
        return length(self.train_labels)

    @property
    def val_examples(self) -> int:
        """Of the validation part, with what may be held back of it."""
        return length(self.val_labels)

    def __repr__(self) -> str:
        inputs = ", ".join(
            " ".join(filter(None, [name, " x ".join(map(str, array.shape[1:])), str(array.dtype)]))
            for name, array in named(self.train_images)
        )
        classes = f"; {len(self.classes)} classes" if self.classes else ""
        return f"<{self.name}: {self.examples:,} + {self.val_examples:,} examples of {inputs}{classes}>"


class Source(NamedTuple):
    """All images of a source, decoded, with the indices of the two parts among them."""

    images: Images  # [N, H, W, K]
    labels: Labels  # [N]
    classes: tuple[str, ...]
    train: Indices  # [A], of the training examples, in the order of training
    val: Indices  # [B]
    digest: str  # of the pixels
    left_out: tuple[str, ...] = ()  # names of pictures that cannot be read and are not among these


class Batches(NamedTuple):
    """T steps of B examples, R remaining ones, V validation batches of A.

    Attributes:
        train: images ``[T, B, H, W, K]`` (or other examples, perhaps trees of them) and labels ``[T, B]``, or
            ``[T, B, O]`` of a regression; then float32 weights ``[T, B]``, where examples have them.
        rest: the last, smaller batch, ``[R, H, W, K]`` and ``[R]``; R may be 0.
        val: images ``[V, A, H, W, K]``, labels ``[V, A]``, float32 weights ``[V, A]`` (0 where the last is padded).
        test: the same of the part of the validation split that is held back; empty if there is none.
    """

    train: tuple[Array, ...]
    rest: tuple[Array, ...]
    val: tuple[Array, Array, Array]
    test: tuple[()] | tuple[Array, Array, Array] = ()

    @property
    def steps(self) -> int:
        """T, the number of whole batches."""
        return length(self.train)

    @property
    def remaining(self) -> int:
        """R, the examples of the last, smaller batch."""
        return length(self.rest)


def stratified_split(labels: Labels, seed: int, val_share: float = VAL_SHARE) -> tuple[Indices, Indices]:
    """Splits every class 80/20, then shuffles both parts: indices of the training and of the validation part.

    A class of n >= 2 examples gives round(n / 5), at least one, to validation, a single example none. The training part
    comes shuffled, so that its first so many are a random sample of it.
    """
    rng = np.random.default_rng(seed)
    train, val = [], []
    for label in np.unique(labels):
        members = rng.permutation(np.flatnonzero(labels == label))
        held_out = min(max(1, round(len(members) * val_share)), len(members) - 1)
        val.append(members[:held_out])
        train.append(members[held_out:])
    return rng.permutation(np.concatenate(train)), rng.permutation(np.concatenate(val))


def assemble(
    name: str, source: Source, *, classes: Sequence[str] | None, train_examples: int | None, val_examples: int | None
) -> Dataset:
    """Cuts a source down to the classes and sizes asked for; the arguments are those of `load`.

    InputError: an unknown class, fewer than two classes, or more examples than there are.
    """
    kept = choose_classes(source.classes, classes)
    relabel = np.full(len(source.classes), -1, np.int32)
    relabel[[source.classes.index(label) for label in kept]] = np.arange(len(kept), dtype=np.int32)
    labels = relabel[source.labels]
    train = _first(source.train[labels[source.train] >= 0], train_examples, "--train_examples")
    val = _first(source.val[labels[source.val] >= 0], val_examples, "--val_examples")
    if not len(val):
        raise InputError("--dataset", name, "no example of the chosen classes is left for validation")
    if len(np.unique(labels[train])) < 2:
        if train_examples is not None:
            raise InputError("--train_examples", train_examples, "must leave at least two classes in the training part")
        raise InputError("--dataset", name, "the training part must hold at least two classes")
    warn_of_classes(labels[train], labels[val], kept)
    fingerprint = _fingerprint(source.digest, kept, labels, train, val, source.left_out)
    train_images, val_images = _take(source.images, train), _take(source.images, val)
    return Dataset(name, train_images, labels[train], val_images, labels[val], kept, fingerprint, source.left_out)


def warn_of_classes(train: Labels, val: Labels, classes: Sequence[str], first: str = "") -> None:
    """Warns where the labels ``[N]`` and ``[M]`` leave classes without an example to train on, or one to validate;
    ``first`` is what may be the reason."""
    without = np.flatnonzero(np.bincount(train, minlength=len(classes)) == 0)
    if len(without):
        listed = ", ".join(classes[label] for label in without[:_NAMED]) + (", .." if len(without) > _NAMED else "")
        told = f"no training example of {len(without)} of the {len(classes)} classes {classes[0]} to {classes[-1]}"
        warnings.warn(f"{first}{told}: {listed}", stacklevel=3)
    if len(validated := np.unique(val)) == 1:
        told = f"all {len(val)} validation examples are of one class, {classes[validated[0]]}"
        warnings.warn(f"{told}: the validation loss says nothing of the others", stacklevel=3)


def choose_classes(available: Sequence[str], names: Sequence[str] | None) -> tuple[str, ...]:
    """The classes to keep: those named, in their order, or all (None or "all").

    InputError: a name that is not available, given twice, or fewer than two classes left.
    """
    chosen = tuple(available) if names is None or tuple(names) == ("all",) else tuple(names)
    unknown = [label for label in chosen if label not in available]
    listed = ", ".join(available[:12]) + (f" and {len(available) - 12} more" if len(available) > 12 else "")
    if unknown:
        raise InputError("--classes", ",".join(chosen), f"no class {unknown[0]!r}; there are {listed}")
    if len(set(chosen)) < len(chosen):
        raise InputError("--classes", ",".join(chosen), "each class may be named once")
    if len(chosen) < 2:
        raise InputError("--classes", ",".join(chosen), f"at least two classes of {listed}")
    return chosen


def digest_of(images: Images) -> str:
    """SHA-256 of the shape and the pixels [N, H, W, K]."""
    digest = hashlib.sha256(repr(images.shape).encode())
    digest.update(np.ascontiguousarray(images).reshape(-1).data)
    return digest.hexdigest()


def _first(indices: Indices, count: int | None, flag: str) -> Indices:
    if count is not None:
        check_whole(flag, count, 1, len(indices))
    return indices[:count]


def _take(images: Images, indices: Indices) -> Images:
    """images[indices], without a copy where the indices are a run."""
    if len(indices) and np.array_equal(indices, np.arange(indices[0], indices[0] + len(indices))):
        return images[indices[0] : indices[0] + len(indices)]
    return images[indices]


def _fingerprint(
    digest: str, classes: tuple[str, ...], labels: Labels, train: Indices, val: Indices, left_out: tuple[str, ...]
) -> str:
    whole = hashlib.sha256(repr((digest, classes, len(train), len(val))).encode())
    for part in (train, val):
        whole.update(part.astype("<i8").tobytes())
        whole.update(labels[part].astype("<i4").tobytes())
    if left_out:
        whole.update(ascii(left_out).encode())
    return whole.hexdigest()


def strata(labels: Tree) -> Labels:
    """What a split keeps the shares of: the classes of labels ``[N]``; zeros ``[N]`` where labels are anything else."""
    if isinstance(labels, np.ndarray) and labels.dtype == np.int32 and labels.ndim == 1:
        return labels
    return np.zeros(length(labels), np.int32)


def held_back(labels: Tree, share: float, weights: np.ndarray | None = None) -> tuple[Indices, Indices]:
    """Splits a validation part of labels ``[M]`` in two: indices of what validates, and of the share held back to test.

    Of every class of n round(n * share) are held back, of a regression of all M, but of several at least one and not
    all. Which these are depends on the labels alone, and those of a smaller share are among those of a larger one.

    InputError: there is no class of two, or the weights of one of the parts are all 0.
    """
    rng, classes = np.random.default_rng(0), strata(labels)
    test = []
    for label in np.unique(classes):
        members = rng.permutation(np.flatnonzero(classes == label))
        test.append(members[: min(max(1, round(len(members) * share)), len(members) - 1)])
    held = np.sort(np.concatenate(test))
    kept = np.setdiff1d(np.arange(len(classes)), held)
    if not len(held):
        allowed = f"allowed is 0: no class has two of the {len(classes)} validation examples"
        raise InputError("--test_share", share, allowed)
    if weights is not None and not (weights[kept].any() and weights[held].any()):
        raise InputError("--test_share", share, "allowed is another: weights are all 0 in one of its two parts")
    return kept, held


def batches_of(
    data: Dataset,
    *,
    batch_size: int,
    val_batch_size: int,
    seed: int,
    steps: int | None = None,
    test_share: float = 0.0,
) -> Batches:
    """Lays a data set out in batches, the training part shuffled once from the seed.

    The order is the same in every epoch and for every run, so that it can be the order in memory. With ``steps`` only
    the examples of the first so many batches are taken, and the same share of the others. ``test_share`` is that of the
    validation part which is :func:`held_back`.
    """
    examples = data.examples
    parts: Sequence[Indices] = [np.arange(data.val_examples)]
    if test_share:
        parts = held_back(data.val_labels, test_share, data.val_weights)
    if steps is not None:
        parts = [part[: -(-steps * batch_size * len(part) // examples)] for part in parts]
        examples = steps * batch_size
    order = np.random.default_rng(seed).permutation(examples)
    count = examples // batch_size
    full, rest = order[: count * batch_size], order[count * batch_size :]
    arrays = (data.train_images, data.train_labels, *(() if data.train_weights is None else (data.train_weights,)))
    train = tuple(_taken(each, full, count, batch_size) for each in arrays)
    val, *test = (_padded(data, part, val_batch_size) for part in parts)
    return Batches(train, mapped(lambda x: x[rest], arrays), val, test[0] if test else ())


def _padded(data: Dataset, indices: Indices, batch_size: int) -> tuple[Array, Array, np.ndarray]:
    """Validation examples in batches, with their weights; the last batch is filled up with the last example."""
    examples = len(indices)
    size = min(batch_size, examples)
    count = -(-examples // size)
    places = np.arange(count * size)
    padded = indices[np.minimum(places, examples - 1)]
    weights = (places < examples).astype(np.float32)
    if data.val_weights is not None:
        own = data.val_weights[padded]
        weights = own * weights.reshape(-1, *[1] * (own.ndim - 1))
    in_batches = _taken(data.val_images, padded, count, size), _taken(data.val_labels, padded, count, size)
    return *in_batches, _taken(weights, places, count, size)


def _taken(examples: Tree, indices: Indices, count: int, size: int) -> Array:
    """``examples[indices]``, ``[count * size, ..]``, as batches ``[count, size, ..]``."""

    def of_array(array: np.ndarray) -> np.ndarray:
        taken = aligned((count * size, *array.shape[1:]), array.dtype)
        np.take(array, indices, axis=0, out=taken, mode="clip")  # which, unlike others, fills it without a copy
        return taken.reshape(count, size, *array.shape[1:])

    return mapped(of_array, examples)


def aligned(shape: tuple[int, ...], dtype: np.dtype[Any]) -> np.ndarray:
    """An array that begins where JAX's CPU devices can use it as it is: others are copied, once for every core."""
    size = math.prod(shape) * dtype.itemsize
    room = np.empty(size + _ALIGNMENT, np.uint8)
    start = -room.ctypes.data % _ALIGNMENT
    array: np.ndarray = room[start : start + size].view(dtype).reshape(shape)
    return array
