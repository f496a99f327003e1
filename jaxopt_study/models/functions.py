"""Any pair of functions (init, apply) as a :class:`~jaxopt_study.models.build.Model`."""

import functools
import inspect
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from jaxopt_study.errors import InputError
from jaxopt_study.identity import identity
from jaxopt_study.models.build import Model
from jaxopt_study.models.linen import check_output, scale
from jaxopt_study.models.network import Network, PyTree, Variables


def functions(init: Callable[..., PyTree], apply: Callable[..., jax.Array], name: str | None = None) -> Model:
    """A network of two functions.

    Args:
        init: ``(key, x) -> params``, the weights drawn with a key for examples like ``x``, float32 ``[1, ..]``.
        apply: ``(params, x) -> logits [B, O]``. It may take ``key``, which is None in validation (for dropout), and
            ``train``.
        name: what errors and config call it; that of ``apply`` if not given.

    Raises:
        InputError: one of them is no function.
    """
    for what, function in (("init", init), ("apply", apply)):
        if not callable(function):
            raise InputError(what, repr(function), "allowed is a function")
    text = name or str(getattr(apply, "__qualname__", type(apply).__name__))

    @functools.cache
    def build(image_shape: tuple[int, ...], outputs: int, batch_size: int) -> Network:
        return _network(init, apply, image_shape, text)

    factory = functools.partial(functions, init, apply, name)
    return Model(f"{text} {identity(init, apply)}", build, factory=factory)


def _network(
    init: Callable[..., PyTree], apply: Callable[..., jax.Array], image_shape: tuple[int, ...], name: str
) -> Network:
    taken = inspect.signature(apply).parameters

    def flags(key: jax.Array | None) -> dict[str, Any]:
        return {n: v for n, v in {"key": key, "train": key is not None}.items() if n in taken}

    def start(key: jax.Array) -> Variables:
        return Variables(init(key, jnp.zeros((1, *image_shape), jnp.float32)), ())

    def train(variables: Variables, prepared: PyTree, key: jax.Array) -> tuple[jax.Array, PyTree]:
        return apply(variables.params, prepared, **flags(key)), ()

    def evaluate(variables: Variables, prepared: PyTree) -> jax.Array:
        return apply(variables.params, prepared, **flags(None))

    network = Network(start, scale, train, evaluate)
    check_output(network, image_shape, name)
    return network
