"""The network of a study, from its settings."""

import functools

from jaxopt_study.models import article
from jaxopt_study.models.network import Network


@functools.cache
def build(image_shape: tuple[int, int, int], outputs: int, notebook: bool, batch_size: int, kernels: str) -> Network:
    """The article's network for images ``(height, width, channels)``; the same object for the same arguments."""
    return article.plain(image_shape, outputs=outputs, notebook=notebook)
