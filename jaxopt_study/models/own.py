"""What a user gives as a model, as a :class:`~jaxopt_study.models.build.Model`."""

import functools
import inspect
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import jax
from flax import linen

from jaxopt_study.errors import InputError, one_line
from jaxopt_study.identity import identity, is_still, known_now, traced_as
from jaxopt_study.models import switches
from jaxopt_study.models.build import Model
from jaxopt_study.models.check import check_network
from jaxopt_study.models.linen import from_linen, scale
from jaxopt_study.models.network import Example, Inputs, Network, PyTree, Variables, zeros

if TYPE_CHECKING:
    from flax import nnx

ALLOWED = (
    "allowed are a Linen module, an NNX module's class or js.nnx(function of rngs), js.functions(init, apply), or "
    "js.article_model()"
)


def model_of(model: Any) -> Model:
    """The model that a user's ``model`` stands for; its identity holds the code and attributes of what it is made of,
    as they are now.

    Raises:
        InputError: it is none of what is allowed.
    """
    if isinstance(model, Model):
        if model.factory and model.code and not is_still(model.identity, known_now(model.code)):
            return model.factory()
        return model
    is_class = isinstance(model, type)
    name = model.__name__ if is_class else type(model).__name__
    again = functools.partial(model_of, model)
    if isinstance(model, linen.Module):
        return _built(name, (model,), lambda shape: from_linen(model, shape), again)
    from flax import nnx  # slow to import, with IPython where that is installed; a study of Linen does without

    if is_class and issubclass(model, nnx.Module):
        return _of_nnx(name, model, lambda rngs: model(rngs=rngs), again)
    if isinstance(model, nnx.Module):
        why = "it has its weights already, and every seed is to have its own"
        raise InputError("model", name, f"{why}: give js.nnx(lambda rngs: {name}(.., rngs=rngs))")
    if is_class and issubclass(model, linen.Module):
        raise InputError("model", name, f"allowed is a module, {name}(..), not its class")
    raise InputError("model", repr(model), ALLOWED)


def nnx_model(factory: "Callable[[nnx.Rngs], nnx.Module]", name: str | None = None, *, code: object = None) -> Model:
    """A network of a function that makes an NNX module from its random streams.

    Args:
        factory: ``rngs -> module``.
        name: what errors and config call it; the function's name if not given.
        code: what its identity is taken of; the factory if not given.

    Raises:
        InputError: it is no function.
    """
    if not callable(factory):
        raise InputError("model", repr(factory), "allowed is a function of rngs that returns an NNX module")
    text = name or str(getattr(factory, "__qualname__", type(factory).__name__))
    again = functools.partial(nnx_model, factory, name, code=code)
    return _of_nnx(text, code or factory, factory, again)


def _of_nnx(name: str, code: object, factory: "Callable[[nnx.Rngs], nnx.Module]", again: Callable[[], Model]) -> Model:
    from jaxopt_study.models.nnx import from_nnx  # with NNX, which is slow to import

    return _built(name, (code,), lambda shape: from_nnx(factory, shape, name), again)


def _built(
    name: str, code: tuple[object, ...], network: Callable[[Example], Network], factory: Callable[[], Model]
) -> Model:
    """A model; whatever the network raises on such data is told in one line."""

    def identified() -> str:
        return f"{name} {identity(*code, of='model')}"

    @functools.cache
    def build(image_shape: Example, outputs: int, batch_size: int) -> Network:
        try:
            with traced_as((known,)):
                return network(image_shape)
        except InputError:
            raise
        except Exception as error:  # a user's module raises what it likes
            of_types = isinstance(image_shape, Inputs)
            examples = f"{name} on examples of {image_shape if of_types else f'shape {image_shape}'}"
            several = isinstance(image_shape, Inputs) and not jax.tree_util.treedef_is_leaf(image_shape.structure)
            hint = "; such inputs are one argument, a dictionary or a tuple" if several else ""
            why = f"it fails with {type(error).__name__}: {one_line(error)}{hint}"
            raise InputError("model", examples, why) from error

    known = identified()
    return Model(known, build, factory, identified)


def functions(init: Callable[..., PyTree], apply: Callable[..., jax.Array], name: str | None = None) -> Model:
    """A network of two functions.

    Args:
        init: ``(key, x) -> params``, the weights drawn with a key for examples like ``x``, float32 ``[1, ..]``.
        apply: ``(params, x) -> logits [B, O]``. It may take ``key``, which is None in validation (for dropout), and
            ``train`` or another of :data:`~jaxopt_study.models.switches.TRAINING`.
        name: what errors and config call it; that of ``apply`` if not given.

    Raises:
        InputError: one of them is no function.
    """
    for what, function in (("init", init), ("apply", apply)):
        if not callable(function):
            raise InputError(what, repr(function), "allowed is a function")
    text = name or str(getattr(apply, "__qualname__", type(apply).__name__))
    again = functools.partial(functions, init, apply, name)
    return _built(text, (init, apply), lambda shape: _of_functions(init, apply, shape, text), again)


def _of_functions(
    init: Callable[..., PyTree], apply: Callable[..., jax.Array], image_shape: Example, name: str
) -> Network:
    owner = getattr(apply, "__self__", None)
    of_linen = isinstance(owner, linen.Module)  # whose apply passes on what it is given
    called = type(owner).__call__ if isinstance(owner, linen.Module) else apply
    taken = switches.taken_by(called, name)
    takes_key = not of_linen and "key" in inspect.signature(apply).parameters

    def flags(key: jax.Array | None) -> dict[str, Any]:
        return {**({"key": key} if takes_key else {}), **switches.set_to(taken, key is not None)}

    def start(key: jax.Array) -> Variables:
        return Variables(init(key, scale(zeros(image_shape, 1), False)), ())

    def train(variables: Variables, prepared: PyTree, key: jax.Array) -> tuple[jax.Array, PyTree]:
        return apply(variables.params, prepared, **flags(key)), ()

    def evaluate(variables: Variables, prepared: PyTree) -> jax.Array:
        return apply(variables.params, prepared, **flags(None))

    network = Network(start, scale, train, evaluate)
    check_network(network, image_shape, name)
    return network
