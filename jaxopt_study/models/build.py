"""Which network a study trains: a name for the fingerprints and how to build it for the data at hand."""

import functools
from collections.abc import Callable, Mapping
from typing import NamedTuple

import jax
import jax.numpy as jnp

from jaxopt_study.kernels import library
from jaxopt_study.layers.conv_pool import Formulation
from jaxopt_study.layers.convolution import conv
from jaxopt_study.layers.pooling import max_pool
from jaxopt_study.models import article, article_fast
from jaxopt_study.models.network import Network

Build = Callable[[tuple[int, ...], int, int], Network]


class Model(NamedTuple):
    """A network before the shape of the data is known.

    Attributes:
        identity: tells two models with different results apart; part of every run's fingerprint.
        build: ``(image_shape (height, width, channels), outputs, batch_size) -> Network``; must give the same object
            for the same arguments, or programs are traced again. Data that are no images have shapes of other ranks.
        forms: formulations with equal results to choose from, by name, the one that is usual on a CPU first; empty if
            ``build`` is the only one.
        usual_elsewhere: which of them is usual on accelerators, if it is not the first.
        factory: makes the same model again; what is sent to the workers of a cluster where networks cannot be.
    """

    identity: str
    build: Build
    forms: Mapping[str, Build] = {}
    usual_elsewhere: str = ""
    factory: "Callable[[], Model] | None" = None

    def forms_on(self, platform: str) -> list[str]:
        """Names of the forms, the usual one first; if there are none, the empty one."""
        usual = "" if platform == "cpu" else self.usual_elsewhere
        possible = [form for form in self.forms if form != "native" or (platform == "cpu" and library.available())]
        return sorted(possible, key=lambda form: form != usual) or [""]


@functools.cache
def article_model(*, notebook: bool = False, kernels: str = "auto", activations: str = "float32") -> Model:
    """The article's network.

    Args:
        notebook: the variant of its public notebook.
        kernels: ``fast`` (this project's layers), ``plain`` (Flax's own) or ``auto``; the results are the same.
        activations: ``float32`` or ``bfloat16``, of what goes into and comes out of its convolutions and dense layers.
    """
    dtype = {"float32": jnp.float32, "bfloat16": jnp.bfloat16}[activations]

    def fast(formulation: Formulation | None = None) -> Build:
        return functools.cache(
            lambda image_shape, outputs, batch_size: article_fast.fast(
                image_shape, batch_size, outputs=outputs, notebook=notebook, dtype=dtype, formulation=formulation
            )
        )

    def plain(**layers: Callable[..., jax.Array]) -> Build:
        return functools.cache(
            lambda image_shape, outputs, batch_size: article.plain(
                image_shape, outputs=outputs, notebook=notebook, dtype=dtype, **layers
            )
        )

    # Nothing here may touch a device: a caller makes the model before the cores are made devices.
    if kernels == "plain":
        build = plain()
        forms = {"plain": build}
    else:
        build = fast()
        forms = {"native": fast("native"), "phases": fast("phases"), "im2col": fast("im2col")}
    if kernels == "auto":
        forms["flax"] = plain(conv=conv, pool=max_pool)
    identity = "article, notebook variant" if notebook else "article"
    if activations != "float32":
        identity += f", {activations} activations"
    factory = functools.partial(article_model, notebook=notebook, kernels=kernels, activations=activations)
    return Model(identity, build, forms, "im2col" if "im2col" in forms else "", factory)
