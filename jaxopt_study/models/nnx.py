"""Flax NNX modules as networks: split into weights, statistics and a static rest, and merged again in every step."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx

from jaxopt_study.models import switches
from jaxopt_study.models.check import check_network
from jaxopt_study.models.linen import scale
from jaxopt_study.models.network import Example, Network, PyTree, Variables


def from_nnx(factory: Callable[[nnx.Rngs], nnx.Module], image_shape: Example, name: str) -> Network:
    """Wraps an NNX module that maps float images [B, H, W, K] (or examples of another rank) to logits [B, O].

    It is made anew from the run's seed, so that seeds differ in their weights. Dropout is on and batch norm uses the
    batch in training (``module.train()``, and whatever of :data:`~jaxopt_study.models.switches.TRAINING` it takes or
    has); random streams are given anew in every step. All but ``nnx.Param`` and random streams is statistics.

    Args:
        factory: ``rngs -> module``, such as the module's class.
        image_shape: height, width and channels of an image, or the shape of another example.
        name: of the network, for errors.

    Raises:
        InputError: as :func:`~jaxopt_study.models.check.check_network`, or it takes a switch that is not known.
    """
    abstract = nnx.eval_shape(lambda: factory(nnx.Rngs(0)))
    graph, *_ = _split(abstract)
    taken = switches.taken_by(type(abstract).__call__, name)

    def arrays(module: nnx.Module) -> Variables:
        _, params, _, stats = _split(module)
        return Variables(nnx.to_pure_dict(params), nnx.to_pure_dict(stats))

    def merge(variables: Variables, key: jax.Array) -> Any:
        _, params, streams, stats = _split(nnx.eval_shape(lambda: factory(nnx.Rngs(0))))
        nnx.replace_by_pure_dict(params, variables.params)
        nnx.replace_by_pure_dict(stats, variables.stats)
        streams = jax.tree.map(lambda x: _stream(x, key), streams)
        return nnx.merge(graph, params, streams, stats)

    def init(key: jax.Array) -> Variables:
        return arrays(factory(nnx.Rngs(key)))

    def train(variables: Variables, prepared: PyTree, key: jax.Array) -> tuple[jax.Array, PyTree]:
        module = merge(variables, key)
        _switch(module, True)
        logits = module(prepared, **switches.set_to(taken, True))
        return logits, arrays(module).stats

    def evaluate(variables: Variables, prepared: PyTree) -> jax.Array:
        module = merge(variables, jax.random.key(0))
        _switch(module, False)
        logits: jax.Array = module(prepared, **switches.set_to(taken, False))
        return logits

    network = Network(init, scale, train, evaluate)
    check_network(network, image_shape, name)
    return network


def _switch(module: Any, train: bool) -> None:
    """Sets the switches of a module and of those within it."""
    module.train() if train else module.eval()  # which may be the user's own
    for each in [part for _, part in nnx.iter_graph(module) if isinstance(part, nnx.Module)]:
        for name, value in switches.set_to(list(switches.TRAINING), train).items():
            if isinstance(getattr(each, name, None), bool):
                setattr(each, name, value)


def _split(module: nnx.Module) -> Any:
    """Structure, weights, random streams and all other arrays."""
    return nnx.split(module, nnx.Param, nnx.RngState, ...)


def _stream(x: Any, key: jax.Array) -> jax.Array:
    """The key or the count of a random stream at the beginning of a step."""
    return key if jnp.issubdtype(x.dtype, jax.dtypes.prng_key) else jnp.zeros(x.shape, x.dtype)
