"""A data set from arrays that the user has: what they are is told by their types, and said."""

import hashlib
import sys
from collections.abc import Sequence
from typing import Any

import numpy as np

from jaxopt_study.data import labels as of_labels
from jaxopt_study.data.dataset import VAL_SHARE, Dataset, strata, stratified_split, warn_of_classes
from jaxopt_study.data.trees import Tree, described, is_tree, leaves, length, mapped, named
from jaxopt_study.errors import InputError
from jaxopt_study.settings import check_whole

Part = tuple[Tree, Tree, np.ndarray | None]
"""Examples, labels and perhaps weights."""


def arrays(
    inputs: Any,
    labels: Any,
    val_inputs: Any = None,
    val_labels: Any = None,
    *,
    weights: Any = None,
    val_weights: Any = None,
    classes: Sequence[str] | None = None,
    task: str | None = None,
    val_share: float = VAL_SHARE,
    split_seed: int = 0,
    name: str = "arrays",
) -> Dataset:
    """A data set of arrays: of classes where the labels are whole numbers or text, of a regression where they are
    floats.

    Args:
        inputs: examples ``[N, ..]``: uint8 images, which networks get as numbers from 0 to 1; floats, which they get as
            they are; other whole numbers, such as tokens and codes of categories, which they get as int32. A dictionary
            or a tuple of such arrays, which may then be ``[N]``, goes to the network as one argument.
        labels: ints ``[N]`` from 0, below the number of names or, without names, below ``MOST_CLASSES``; text ``[N]``;
            floats ``[N]`` or ``[N, O]``, numbers to predict; ints ``[N, T]`` with token inputs ``[N, T]``, a class at
            every place; else ints ``[N, O]`` of 0 and 1: one-hot rows, which are classes, or rows of several labels. A
            dictionary or a tuple of arrays goes to a loss of your own.
        val_inputs: ``[M, ..]``, the validation part; split from the others if it is not given.
        val_labels: ``[M]`` or ``[M, O]``.
        weights: of the examples, ``[N]``, or of every place of their sequences, ``[N, T]``: numbers from 0, or a mask.
        val_weights: of the validation part.
        classes: names of the labels 0, 1, ..; their numbers if not given.
        task: what the labels are, where it is not what their type tells: ``classes``, ``multi_label``, ``sequences`` or
            ``numbers``.
        val_share: of the examples, of every class alike, that validate where they are split here.
        split_seed: of that split.
        name: what config and report call it.

    What is given may be changed in place afterwards: the data set has copies, which are read-only. It has none of uint8
    with a validation part that nobody can write to, as ``np.load("images.npy", mmap_mode="r")``, of which memory would
    not hold two; such a file must stay as it is.

    Says in a line on stderr how it was split, and what labels were taken for that are neither numbers nor whole numbers
    ``[N]``. Warns where it may not be what was meant: of classes without an example, such as 0 where labels begin with
    1, and of floats that are all whole.

    Raises:
        InputError: the arrays do not fit together, or hold what is no number.
    """
    if (val_inputs is None) != (val_labels is None):
        missing = "val_inputs" if val_inputs is None else "val_labels"
        raise InputError(missing, None, "allowed are val_inputs and val_labels together, or neither, and it is split")
    both = val_inputs is not None
    examples = [_inputs(inputs, "inputs"), *([_inputs(val_inputs, "val_inputs")] if both else [])]
    counts = [length(each) for each in examples]
    given = [(labels, "labels"), *([(val_labels, "val_labels")] if both else [])]
    targets, names, kind = of_labels.understood(given, counts, examples[0], classes, task)
    own = [
        _weights(weights, "weights", targets[0]),
        *([_weights(val_weights, "val_weights", targets[1])] if both else []),
    ]
    if not both:
        train, val, said = _split((examples[0], targets[0], own[0]), val_share, split_seed)
    else:
        _check_alike(examples, "inputs")
        _check_alike(targets, "labels")
        examples = [mapped(_lasting, each) for each in examples]
        weighted = next((each for each in own if each is not None), None)
        if weighted is not None:  # where one part has none all its examples count alike
            own = [_ones(count, weighted) if w is None else w for w, count in zip(own, counts, strict=True)]
        (train, val), said = zip(examples, targets, own, strict=True), ""
    if names and not kind:
        warn_of_classes(train[1], val[1], names, "" if classes is not None else _from_one(train[1], val[1]))
    if said or kind or (names and classes is None and (np.ndim(labels) > 1 or names[0] != "0")):
        understood = of_labels.told(train[1], names, kind)
        print("; ".join(filter(None, (f"{name}: {said}" if said else name, understood))), file=sys.stderr)
    for array in (leaf for part in (*train, *val) if part is not None for leaf in leaves(part)):
        array.flags.writeable = False  # the fingerprint is of what they hold now
    fingerprint = _digest(train, val, names, kind)
    return Dataset(name, train[0], train[1], val[0], val[1], names, fingerprint, (), kind, train[2], val[2])


def _inputs(values: Any, name: str) -> Tree:
    if not is_tree(values):
        array = _array(values, name)
        if array.ndim < 2 or not array.size:
            raise InputError(name, f"shape {array.shape}", "allowed are examples [N, ..] of at least one number each")
        return array
    if not named(values):
        raise InputError(name, values, "allowed is at least one array")
    tree: Any = mapped(lambda x: x, values)
    tree = _read_tree(tree, name)
    counts = {leaf: array.shape[:1] for leaf, array in named(tree, name)}
    first = next(iter(counts.values()))
    for leaf, count in counts.items():
        if count != first or not first or not first[0]:
            allowed = f"allowed are arrays of as many examples as {next(iter(counts))}, {list(first)}"
            raise InputError(leaf, f"shape {count}", allowed)
    return tree


def _read_tree(tree: Tree, name: str) -> Tree:
    if isinstance(tree, dict):
        for key in tree:
            if not isinstance(key, str):
                raise InputError(name, repr(key), "allowed are names of inputs that are text")
        return {key: _read_tree(part, f"{name}[{key!r}]") for key, part in tree.items()}
    if isinstance(tree, tuple):
        return tuple(_read_tree(part, f"{name}[{place}]") for place, part in enumerate(tree))
    return _array(tree, name)


def _array(values: Any, name: str) -> np.ndarray:
    """Pixels as uint8, other whole numbers as int32, truth values and floats as float32."""
    array = of_labels.array_of(values, name)
    if array.dtype == np.uint8:
        return array
    return of_labels.whole(array, name) if array.dtype.kind in "iu" else array.astype(np.float32)


def _lasting(array: np.ndarray) -> np.ndarray:
    """The array, or a copy where somebody else may write to it: what was converted is nobody else's."""
    whole: Any = array
    while isinstance(whole, np.ndarray):
        if whole.flags.writeable and array.dtype == np.uint8:
            return array.copy()
        whole = whole.base
    return array


def _weights(values: Any, name: str, labels: Tree) -> np.ndarray | None:
    if values is None:
        return None
    array = of_labels.array_of(values, name).astype(np.float32)
    shapes = {leaf.shape[:rank] for leaf in leaves(labels) for rank in (1, 2) if leaf.ndim >= rank}
    if array.shape not in shapes or (array < 0).any() or not array.any():
        listed = " or ".join(map(str, map(list, sorted(shapes, key=len))))
        given = f"{list(array.shape)} of {array.min():.3g} to {array.max():.3g}" if array.size else "an empty array"
        raise InputError(name, given, f"allowed are numbers from 0, some above, {listed}")
    return array


def _ones(count: int, like: np.ndarray) -> np.ndarray:
    return np.ones((count, *like.shape[1:]), np.float32)


def _split(part: Part, val_share: float, seed: int) -> tuple[Part, Part, str]:
    """Both parts of examples, of every class alike, and what is said of it."""
    if not isinstance(val_share, int | float) or isinstance(val_share, bool) or not 0 < val_share < 1:
        raise InputError("val_share", repr(val_share), "allowed is a number above 0 and below 1")
    check_whole("split_seed", seed, 0)
    classes = strata(part[1])
    train, val = stratified_split(classes, seed, val_share)
    if not len(val):
        once = len(classes) > 1 and classes.any()
        given = f"{len(classes)} examples, each of a class of its own" if once else f"{len(classes)} example"
        numbers = ', or task="numbers"' if once else ""
        several = f"two or more{' of a class' if once else ''}"
        raise InputError("labels", given, f"allowed are {several}, or a validation part{numbers}")
    of_train, of_val = (mapped(lambda x, at=at: x[at], part[:2]) for at in (train, val))
    own = (None, None) if part[2] is None else (part[2][train], part[2][val])
    for what, weights in zip(("training", "validation"), own, strict=True):
        if weights is not None and not weights.any():
            allowed = f"allowed are some above 0 in both parts, or another split_seed or val_share than {val_share:.3g}"
            raise InputError("weights", f"all 0 in the {what} part of split_seed {seed}", allowed)
    how = "of every class alike" if classes.any() else "at random"
    said = f"split into {len(train):,} training and {len(val):,} validation examples, {how}, by split_seed {seed}"
    return (*of_train, own[0]), (*of_val, own[1]), said


def _check_alike(parts: Sequence[Tree], what: str) -> None:
    """Refuses parts whose arrays differ in more than the number of examples."""
    train, val = (dict(named(part, "")) for part in parts)
    if list(train) != list(val):
        given = ", ".join(val) or "one array"
        raise InputError(f"val_{what}", given, f"allowed are arrays as in {what}: {', '.join(train) or 'one'}")
    for leaf, first in train.items():
        second = val[leaf]
        if first.shape[1:] != second.shape[1:] or first.dtype != second.dtype:
            tails = ["".join(f", {size}" for size in array.shape[1:]) for array in (first, second)]
            allowed = f"allowed is {first.dtype} [M{tails[0]}], as in {what}{leaf}"
            raise InputError(f"val_{what}{leaf}", f"{second.dtype} [{len(second)}{tails[1]}]", allowed)


def _from_one(train: np.ndarray, val: np.ndarray) -> str:
    """What is said of labels that do not begin with 0."""
    low, high = (int(of([of(train), of(val)])) for of in (np.min, np.max))
    return f"labels are from {low} to {high}, and classes from 0: labels - {low} would be; " if low else ""


def _digest(train: Part, val: Part, names: tuple[str, ...], task: str) -> str:
    """Of all of it; of single arrays without weights as it always was."""
    several = not isinstance(train[0], np.ndarray) or not isinstance(train[1], np.ndarray)
    if several or task or train[2] is not None:
        trees = [described(each) for part in (train, val) for each in part[:2]]
        header = repr((trees, length(train[0]), length(val[0]), names, task, train[2] is not None))
    else:
        header = repr((train[0].shape, val[0].shape, train[1].shape, names))
    digest = hashlib.sha256(header.encode())
    parts = [each for at in range(3) for each in (train[at], val[at]) if each is not None]
    for array in (leaf for each in parts for leaf in leaves(each)):
        digest.update(str(array.dtype).encode())
        digest.update(np.ascontiguousarray(array).reshape(-1).data)
    return digest.hexdigest()
