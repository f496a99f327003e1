"""Which network a study trains: a name for the fingerprints and how to build it for the data at hand."""

import functools
from collections.abc import Callable
from typing import NamedTuple

import jax.numpy as jnp

from jaxopt_study.errors import InputError
from jaxopt_study.kernels import cuda_library
from jaxopt_study.models import article, article_fast
from jaxopt_study.models.network import Example, Inputs, Network

Build = Callable[[Example, int, int], Network]


class Model(NamedTuple):
    """A network before the shape of the data is known.

    Attributes:
        identity: tells two models with different results apart; part of every run's fingerprint.
        build: ``(image_shape (height, width, channels), outputs, batch_size) -> Network``; must give the same object
            for the same arguments, or programs are traced again. Data that are no images have shapes of other ranks.
        factory: makes the same model again; what is sent to the workers of a cluster where networks cannot be.
        code: gives the identity anew, of the user's code as it is now; None of this project's own.
    """

    identity: str
    build: Build
    factory: "Callable[[], Model] | None" = None
    code: Callable[[], str] | None = None


@functools.cache
def article_model(*, notebook: bool = False, kernels: str = "auto", activations: str = "float32") -> Model:
    """The article's network.

    Args:
        notebook: the variant of its public notebook.
        kernels: ``fast`` (this project's layers: in C++ on a CPU with a compiler, else XLA's products), ``cuda`` (the
            same, but in CUDA on a GPU with nvcc), ``cuda_linked`` (in CUDA, where blocks normalize what they read of
            the one before), ``plain`` (Flax's own) or ``auto``, the fastest of them, which was
            ``fast`` wherever it was measured; the results are the same.
        activations: ``float32`` or ``bfloat16``, of what goes into and comes out of its convolutions and dense layers.
    """
    dtype = {"float32": jnp.float32, "bfloat16": jnp.bfloat16}[activations]

    # Nothing here may touch a device: a caller makes the model before the cores are made devices.
    @functools.cache
    def build(image_shape: Example, outputs: int, batch_size: int) -> Network:
        if isinstance(image_shape, Inputs) or len(image_shape) != 3:
            raise InputError("model", f"the article's, on examples {image_shape}", "allowed are images [H, W, K]")
        height, width, channels = image_shape
        shape = (height, width, channels)
        if kernels == "plain":
            return article.plain(shape, outputs=outputs, notebook=notebook, dtype=dtype)
        cuda, linked = kernels in ("cuda", "cuda_linked") and cuda_library.available(), kernels == "cuda_linked"
        return article_fast.fast(
            shape, batch_size, outputs=outputs, notebook=notebook, cuda=cuda, linked=linked, dtype=dtype
        )

    identity = "article, notebook variant" if notebook else "article"
    if activations != "float32":
        identity += f", {activations} activations"
    factory = functools.partial(article_model, notebook=notebook, kernels=kernels, activations=activations)
    return Model(identity, build, factory)
