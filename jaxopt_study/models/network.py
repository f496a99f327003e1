"""What the training step needs of a network: four pure functions, written for a single run."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax

PyTree = Any


class Variables(NamedTuple):
    """All arrays of a network: what the optimizer changes and what the forward pass updates."""

    params: PyTree
    stats: PyTree


class Network(NamedTuple):
    """A network as the engine sees it; runs are batched by the caller's vmap.

    Axis letters: B batch, H height, W width, K channels of the image, O outputs.

    Attributes:
        init: ``key -> Variables``, the initial arrays, a function of the key alone.
        prepare: ``(images uint8 [B, H, W, K], train: bool) -> prepared``: whatever depends on the batch and not on the
            run (decoding, patches, batch statistics of the input). Computed once a step and shared by all runs.
        train: ``(Variables, prepared, key) -> (logits float32 [B, O], stats)``; ``key`` draws the dropout masks.
        evaluate: ``(Variables, prepared) -> logits float32 [B, O]``, without dropout, batch norm in inference mode.
        cuda: whether it is computed by the kernels in CUDA, which then measure its updates too.
    """

    init: Callable[[jax.Array], Variables]
    prepare: Callable[[jax.Array, bool], PyTree]
    train: Callable[[Variables, PyTree, jax.Array], tuple[jax.Array, PyTree]]
    evaluate: Callable[[Variables, PyTree], jax.Array]
    cuda: bool = False
