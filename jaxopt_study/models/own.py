"""What a user gives as a model, as a :class:`~jaxopt_study.models.build.Model`."""

import functools
import inspect
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp
from flax import linen

from jaxopt_study.errors import InputError
from jaxopt_study.identity import identity
from jaxopt_study.models.build import Model
from jaxopt_study.models.linen import check_output, from_linen, scale
from jaxopt_study.models.network import Network, PyTree, Variables

if TYPE_CHECKING:
    from flax import nnx

ALLOWED = (
    "allowed are a Linen module, an NNX module's class or js.nnx(function of rngs), js.functions(init, apply), or "
    "js.article_model()"
)


def model_of(given: Any) -> Model:
    """The model that ``given`` stands for; its identity holds the code and the attributes of what it is made of.

    Raises:
        InputError: it is none of what is allowed.
    """
    if isinstance(given, Model):
        return given
    if isinstance(given, linen.Module):
        linen_model = _built(type(given).__name__, given, lambda shape: from_linen(given, shape))
        return linen_model._replace(factory=functools.partial(model_of, given))
    from flax import (
        nnx,  # slow to import, with IPython where that is installed; a study of another network does without
    )

    if isinstance(given, type) and issubclass(given, nnx.Module):
        made: Callable[..., nnx.Module] = given
        nnx_class_model = nnx_model(lambda rngs: made(rngs=rngs), given.__name__, code=given)
        return nnx_class_model._replace(factory=functools.partial(model_of, given))
    if isinstance(given, nnx.Module):
        why = "it has its weights already, and every seed is to have its own"
        raise InputError(
            "model", type(given).__name__, f"{why}: give js.nnx(lambda rngs: {type(given).__name__}(.., rngs=rngs))"
        )
    if isinstance(given, type) and issubclass(given, linen.Module):
        raise InputError("model", given.__name__, f"allowed is a module, {given.__name__}(..), not its class")
    raise InputError("model", repr(given), ALLOWED)


def nnx_model(factory: "Callable[[nnx.Rngs], nnx.Module]", name: str | None = None, *, code: Any = None) -> Model:
    """A network of a function that makes an NNX module from its random streams.

    Args:
        factory: ``rngs -> module``.
        name: what errors and config call it; the function's name if not given.
        code: what its identity is taken of; the factory if not given.

    Raises:
        InputError: it is no function.
    """
    from jaxopt_study.models.nnx import from_nnx  # as above

    if not callable(factory):
        raise InputError("model", repr(factory), "allowed is a function of rngs that returns an NNX module")
    text = name or str(getattr(factory, "__qualname__", type(factory).__name__))
    made = _built(text, code or factory, lambda shape: from_nnx(factory, shape, text))
    return made._replace(factory=functools.partial(nnx_model, factory, name, code=code))


def _built(name: str, code: Any, network: Callable[[tuple[int, ...]], Network]) -> Model:
    """A model; whatever the network raises on such data is told in one line."""

    @functools.cache
    def build(image_shape: tuple[int, ...], outputs: int, batch_size: int) -> Network:
        try:
            return network(image_shape)
        except InputError:
            raise
        except Exception as error:  # a user's module raises what it likes
            text = " ".join(str(error).split())[:200]
            given = f"{name} on examples of shape {image_shape}"
            raise InputError("model", given, f"it fails with {type(error).__name__}: {text}") from error

    return Model(f"{name} {identity(code)}", build)


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
        return _of_functions(init, apply, image_shape, text)

    factory = functools.partial(functions, init, apply, name)
    return Model(f"{text} {identity(init, apply)}", build, factory=factory)


def _of_functions(
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
