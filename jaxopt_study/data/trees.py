"""Inputs and labels of several arrays: dictionaries and tuples of arrays, which have the same first axis."""

from collections.abc import Callable, Mapping
from typing import Any

Tree = Any
"""An array, or a dictionary or tuple of trees. Without JAX, whose own are the same: data are read without it."""


def is_tree(values: object) -> bool:
    """Whether it is several arrays: a dictionary, or a tuple of arrays; lists and tuples of numbers are arrays."""
    return isinstance(values, Mapping) or (
        isinstance(values, tuple) and bool(values) and all(hasattr(x, "shape") or is_tree(x) for x in values)
    )


def mapped(function: Callable[..., Any], tree: Tree, *others: Tree) -> Tree:
    """The tree of ``function(leaf, *leaves of the others)``."""
    if isinstance(tree, Mapping):
        return {name: mapped(function, tree[name], *(other[name] for other in others)) for name in tree}
    if isinstance(tree, tuple):
        return tuple(mapped(function, *parts) for parts in zip(tree, *others, strict=True))
    return function(tree, *others)


def named(tree: Tree, name: str = "") -> list[tuple[str, Any]]:
    """The arrays of a tree with what errors call them: ``inputs['age']``, ``inputs[0]``, or the name alone."""
    if isinstance(tree, Mapping):
        return [leaf for key in tree for leaf in named(tree[key], f"{name}[{key!r}]")]
    if isinstance(tree, tuple):
        return [leaf for place, part in enumerate(tree) for leaf in named(part, f"{name}[{place}]")]
    return [(name, tree)]


def leaves(tree: Tree) -> list[Any]:
    """The arrays of a tree."""
    return [leaf for _, leaf in named(tree)]


def length(tree: Tree) -> int:
    """The size of the first axis, which all arrays of a tree share."""
    return len(leaves(tree)[0])


def size(tree: Tree) -> int:
    """The numbers in a tree."""
    return sum(int(leaf.size) for leaf in leaves(tree))


def nbytes(tree: Tree) -> int:
    """The bytes of a tree."""
    return sum(int(leaf.nbytes) for leaf in leaves(tree))


def described(tree: Tree) -> Any:
    """Shape and type of an example's arrays as JSON, without the axis of the examples."""
    if isinstance(tree, Mapping):
        return {"dict": {name: described(part) for name, part in tree.items()}}
    if isinstance(tree, tuple):
        return {"tuple": [described(part) for part in tree]}
    return {"shape": list(tree.shape[1:]), "dtype": str(tree.dtype)}
