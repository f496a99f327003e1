"""What the training step needs of a network: four pure functions, written for a single run."""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from jaxopt_study.errors import InputError

PyTree = Any


class Inputs(NamedTuple):
    """What an example is, where it is no single array of floats or pixels: hashable, so that networks are built once.

    Attributes:
        structure: of the tree of its arrays.
        leaves: shape and type of each, without the axis of the examples.
    """

    structure: Any
    leaves: tuple[tuple[tuple[int, ...], str], ...]

    def __repr__(self) -> str:
        arrays = [f"{dtype} {list(shape)}" for shape, dtype in self.leaves]
        return str(jax.tree.unflatten(self.structure, arrays)).replace("'", "")


Example = tuple[int, ...] | Inputs
"""The shape of an image (height, width, channels) or of other floats, or :class:`Inputs`."""


def example_of(inputs: PyTree) -> Example:
    """What the examples of a tree of arrays ``[N, ..]`` are."""
    if getattr(inputs, "dtype", None) in ("uint8", "float32"):
        return tuple(inputs.shape[1:])
    leaves, structure = jax.tree.flatten(inputs)
    return Inputs(structure, tuple((tuple(x.shape[1:]), str(x.dtype)) for x in leaves))


def example_from(described: Mapping[str, Any]) -> Example:
    """The same from what config.json says, see ``data.trees.described``."""

    def tree(part: Mapping[str, Any]) -> PyTree:
        if "dict" in part:
            return {name: tree(each) for name, each in part["dict"].items()}
        if "tuple" in part:
            return tuple(map(tree, part["tuple"]))
        return jax.ShapeDtypeStruct((1, *part["shape"]), part["dtype"])

    return example_of(tree(described))


def zeros(example: Example, count: int) -> PyTree:
    """So many examples of nothing but 0, as data has them: those of a shape alone are pixels."""
    if not isinstance(example, Inputs):
        return jnp.zeros((count, *example), jnp.uint8)
    arrays = [jnp.zeros((count, *shape), dtype) for shape, dtype in example.leaves]
    return jax.tree.unflatten(example.structure, arrays)


def check_inputs(example: Example, inputs: PyTree) -> None:
    """Refuses, with an InputError, what are no arrays of such examples ``[N, ..]``."""
    wanted = example if isinstance(example, Inputs) else Inputs(jax.tree.structure(0), ((example, "N"),))
    leaves, structure = jax.tree.flatten(inputs)
    shapes = [getattr(leaf, "shape", ()) for leaf in leaves]
    if structure != wanted.structure or not all(
        len(shape) and tuple(shape[1:]) == own for shape, (own, _) in zip(shapes, wanted.leaves, strict=True)
    ):
        arrays = all(hasattr(leaf, "shape") for leaf in leaves)
        told = str(jax.tree.unflatten(structure, [list(shape) for shape in shapes])) if arrays else "no array"
        allowed = jax.tree.unflatten(wanted.structure, [["N", *shape] for shape, _ in wanted.leaves])
        text = str(allowed).replace("'N'", "N")
        raise InputError("inputs", told, f"allowed are arrays {text}, of the type that was trained on")


class Variables(NamedTuple):
    """All arrays of a network: what the optimizer changes and what the forward pass updates."""

    params: PyTree
    stats: PyTree


class Network(NamedTuple):
    """A network as the engine sees it; runs are batched by the caller's vmap.

    Axis letters: B batch, H height, W width, K channels of the image, O outputs.

    Attributes:
        init: ``key -> Variables``, the initial arrays, a function of the key alone.
        prepare: ``(images uint8 [B, H, W, K] or other examples, train: bool) -> prepared``: whatever depends on the
            batch and not on the run (decoding, patches, batch statistics of the input). Computed once a step and shared
            by all runs.
        train: ``(Variables, prepared, key) -> (logits float32 [B, O], stats)``; ``key`` draws the dropout masks. With a
            loss of the user's own what comes out is any tree of arrays ``[B, ..]``.
        evaluate: ``(Variables, prepared) -> logits float32 [B, O]``, without dropout, batch norm in inference mode.
        cuda: whether it is computed by the kernels in CUDA, which then measure its updates too.
    """

    init: Callable[[jax.Array], Variables]
    prepare: Callable[[jax.Array, bool], PyTree]
    train: Callable[[Variables, PyTree, jax.Array], tuple[jax.Array, PyTree]]
    evaluate: Callable[[Variables, PyTree], jax.Array]
    cuda: bool = False
