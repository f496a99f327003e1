"""Which weights rules for matrices treat as such, and how a convolution's kernel is one."""

import re
from collections.abc import Callable
from typing import Any

import jax

from jaxopt_study.optimizers.scalars import PyTree

Hidden = Callable[[PyTree], PyTree]
"""``weights -> a bool for each array of them``."""

HEADS = frozenset({"head", "heads", "out", "output", "logits", "classifier", "lm_head"})
"""Names that a last layer has whatever its place in the alphabet."""


def as_matrix(w: jax.Array) -> jax.Array:
    """A kernel [.., inputs, outputs] as [all that goes into an output, outputs]: [3, 3, 8, 16] as [72, 16]."""
    return w.reshape(-1, w.shape[-1])


def hidden_matrices(params: PyTree) -> PyTree:
    """Of each array of weights, whether it is a matrix between two hidden layers, a convolution's kernel included.

    Arrays of less than two axes are none, nor is an embedding, nor the first and the last layer. The order of layers is
    that of their names, numbers in them counted (``Dense_2`` before ``Dense_10``), as Flax gives them to layers without
    a name, convolutions before dense ones; the last layer may have one of :data:`HEADS` as its name. Where there is an
    embedding, it is the first layer. A network named otherwise wants a function of its own.
    """
    leaves, structure = jax.tree_util.tree_flatten_with_path(params)
    names = [tuple(_name(part) for part in path) for path, _ in leaves]
    kernels = [i for i, (_, w) in enumerate(leaves) if w.ndim >= 2 and not _is_embedding(names[i])]
    ordered = sorted(kernels, key=lambda i: [_by_number(part) for part in names[i]])
    heads = [i for i in ordered if HEADS & {part.lower() for part in names[i]}] or ordered[-1:]
    within = [i for i in ordered if i not in heads]
    if not any(_is_embedding(name) for name in names):
        within = within[1:]
    return jax.tree.unflatten(structure, [i in within for i in range(len(leaves))])


def treats(params: PyTree) -> str:
    """Which arrays of weights :func:`hidden_matrices` takes, in a sentence; their shapes suffice."""
    leaves, _ = jax.tree_util.tree_flatten_with_path(params)
    chosen = jax.tree.leaves(hidden_matrices(params))
    names = [".".join(map(_name, path)) for (path, _), is_hidden in zip(leaves, chosen, strict=True) if is_hidden]
    return f"{', '.join(names) or 'no array'} as matrices; all else by AdamW, the first and the last layer too"


def lacks(params: PyTree) -> str:
    """What becomes of weights of which :func:`hidden_matrices` takes none; empty where it takes any."""
    if any(jax.tree.leaves(hidden_matrices(params))):
        return ""
    return "the network has no hidden matrix, so that all of it is trained by its AdamW at adam_share of the rate"


def _name(part: Any) -> str:
    return str(next(getattr(part, name) for name in ("key", "name", "idx") if hasattr(part, name)))


def _is_embedding(path: tuple[str, ...]) -> bool:
    return any("embed" in part.lower() for part in path)


def _by_number(name: str) -> list[tuple[bool, int, str]]:
    """What to sort a name by: ``Dense_2`` before ``Dense_10``."""
    return [(part.isdigit(), int(part) if part.isdigit() else 0, part) for part in re.split(r"(\d+)", name)]
