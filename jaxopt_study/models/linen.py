"""Any Flax Linen module as a :class:`~jaxopt_study.models.network.Network`."""

from typing import Any, cast

import jax
import jax.numpy as jnp
from flax import linen as nn

from jaxopt_study.models import switches
from jaxopt_study.models.check import check_network
from jaxopt_study.models.network import Example, Network, PyTree, Variables, zeros


def from_linen(module: nn.Module, image_shape: Example) -> Network:
    """Wraps a Linen module that maps float images [B, H, W, K] (or examples of another rank) to logits [B, O].

    The module may take a ``train`` argument (True turns dropout on and batch norm to batch statistics) or another of
    :data:`~jaxopt_study.models.switches.TRAINING`, have it as a field, or have none; it may or may not have dropout
    (random stream ``dropout``), batch norm or other mutable collections. ``stats`` of the network is the dict of all
    its collections but ``params``, empty for a module that has parameters only.

    Args:
        module: the module; it is called on a batch as :func:`scale` returns it, a dictionary or tuple of inputs as one
            argument.
        image_shape: height, width and channels of an image, or what another example is.

    Raises:
        InputError: as :func:`~jaxopt_study.models.check.check_network`, or it takes a switch that is not known.
    """
    name = type(module).__name__
    fields = switches.fields_of(module)
    taken = [each for each in switches.taken_by(type(module).__call__, name) if each not in fields]

    def called(train: bool) -> tuple[nn.Module, dict[str, Any]]:
        values: Any = switches.set_to(fields, train)
        return module.clone(**values) if fields else module, switches.set_to(taken, train)

    def init(key: jax.Array) -> Variables:
        images = scale(zeros(image_shape, 1), False)
        each, flags = called(False)
        collections = dict(each.init({"params": key}, images, **flags))
        params = collections.pop("params", {})
        return Variables(params, collections)

    def train(variables: Variables, prepared: PyTree, key: jax.Array) -> tuple[jax.Array, PyTree]:
        collections = {"params": variables.params, **variables.stats}
        each, flags = called(True)
        logits, stats = each.apply(collections, prepared, **flags, rngs={"dropout": key}, mutable=list(variables.stats))
        return logits, stats

    def evaluate(variables: Variables, prepared: PyTree) -> jax.Array:
        each, flags = called(False)
        logits = each.apply({"params": variables.params, **variables.stats}, prepared, **flags)
        return cast(jax.Array, logits)

    network = Network(init, scale, train, evaluate)
    check_network(network, image_shape, name)
    return network


def scale(inputs: PyTree, train: bool) -> PyTree:
    """Turns uint8 pixels into float32 in [0, 1]; floats and whole numbers stay as they are; the same in training and
    evaluation, of every array of a tree."""
    del train

    def of_array(x: jax.Array) -> jax.Array:
        if x.dtype == jnp.uint8:
            return x.astype(jnp.float32) / 255.0
        return x if x.dtype == jnp.int32 else x.astype(jnp.float32)

    return jax.tree.map(of_array, inputs)
