"""Any Flax Linen module as a :class:`~jaxopt_study.models.network.Network`."""

import inspect
from typing import Any, cast

import jax
import jax.numpy as jnp
from flax import linen as nn

from jaxopt_study.errors import InputError
from jaxopt_study.models.network import Network, PyTree, Variables


def from_linen(module: nn.Module, image_shape: tuple[int, ...]) -> Network:
    """Wraps a Linen module that maps float images [B, H, W, K] (or examples of another rank) to logits [B, O].

    The module may take a ``train`` argument (True turns dropout on and batch norm to batch statistics) or none, and
    may or may not have dropout (random stream ``dropout``), batch norm or other mutable collections. ``stats`` of the
    network is the dict of all its collections but ``params``, empty for a module that has parameters only.

    Args:
        module: the module; it is called on a float32 batch, as :func:`scale` returns it.
        image_shape: height, width and channels of an image, or the shape of another example.

    Raises:
        InputError: if the output is not of shape [B, O].
    """
    takes_train = "train" in inspect.signature(type(module).__call__).parameters

    def flags(train: bool) -> dict[str, Any]:
        return {"train": train} if takes_train else {}

    def init(key: jax.Array) -> Variables:
        images = scale(jnp.zeros((1, *image_shape), jnp.uint8), False)
        collections = dict(module.init({"params": key}, images, **flags(False)))
        params = collections.pop("params", {})
        return Variables(params, collections)

    def train(variables: Variables, prepared: PyTree, key: jax.Array) -> tuple[jax.Array, PyTree]:
        collections = {"params": variables.params, **variables.stats}
        logits, stats = module.apply(
            collections, prepared, **flags(True), rngs={"dropout": key}, mutable=list(variables.stats)
        )
        return logits, stats

    def evaluate(variables: Variables, prepared: PyTree) -> jax.Array:
        logits = module.apply({"params": variables.params, **variables.stats}, prepared, **flags(False))
        return cast(jax.Array, logits)

    network = Network(init, scale, train, evaluate)
    check_output(network, image_shape, type(module).__name__)
    return network


def scale(images: jax.Array, train: bool) -> jax.Array:
    """Turns uint8 pixels into float32 in [0, 1]; floats stay as they are; the same in training and evaluation."""
    del train
    return images.astype(jnp.float32) / 255.0 if images.dtype == jnp.uint8 else images.astype(jnp.float32)


def check_output(network: Network, image_shape: tuple[int, ...], name: str) -> None:
    """Refuses a network whose output is not [B, O] with an InputError that names the shape."""

    def logits(key: jax.Array) -> jax.Array:
        images = jnp.zeros((2, *image_shape), jnp.uint8)
        return network.evaluate(network.init(key), network.prepare(images, False))

    shape = jax.eval_shape(logits, jax.random.key(0)).shape
    if len(shape) != 2 or shape[0] != 2:
        raise InputError("model", f"{name} with output shape {shape} for 2 images", "an output of shape (2, outputs)")
