"""Which network a study trains: a name for the fingerprints and how to build it for the data at hand."""

import functools
from collections.abc import Callable
from typing import NamedTuple

from jaxopt_study.models import article, article_fast
from jaxopt_study.models.network import Network


class Model(NamedTuple):
    """A network before the shape of the data is known.

    Attributes:
        identity: tells two models with different results apart; part of every run's fingerprint.
        build: ``(image_shape (height, width, channels), outputs, batch_size) -> Network``; must give the same object
            for the same arguments, or programs are traced again.
    """

    identity: str
    build: Callable[[tuple[int, int, int], int, int], Network]


@functools.cache
def article_model(*, notebook: bool = False, kernels: str = "auto") -> Model:
    """The article's network.

    Args:
        notebook: the variant of its public notebook.
        kernels: ``fast`` (this project's layers), ``plain`` (Flax's own) or ``auto``; the results are the same.
    """

    @functools.cache
    def build(image_shape: tuple[int, int, int], outputs: int, batch_size: int) -> Network:
        if kernels == "plain":
            return article.plain(image_shape, outputs=outputs, notebook=notebook)
        return article_fast.fast(image_shape, batch_size, outputs=outputs, notebook=notebook)

    return Model("article, notebook variant" if notebook else "article", build)
