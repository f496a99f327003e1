"""What is asked of a user's network before anything is trained."""

from typing import Any

import jax
import jax.numpy as jnp

from jaxopt_study.errors import InputError, one_line
from jaxopt_study.models.network import Example, Inputs, Network, PyTree, Variables, zeros


def check_network(network: Network, image_shape: Example, name: str) -> None:
    """Traces an evaluation and a training step of a network for two examples.

    Raises:
        InputError: the output is not [B, ..], or not the same in training as in evaluation; there are no weights, or
            some are no floats; training fails, or changes the shapes or types of the statistics.
    """
    images, key = zeros(image_shape, 2), jax.random.key(0)

    def evaluate(key: jax.Array) -> tuple[Variables, Any]:
        variables = network.init(key)
        return variables, network.evaluate(variables, network.prepare(images, False))

    def train(variables: Variables, key: jax.Array) -> Any:
        def loss(params: PyTree) -> Any:
            found = network.train(Variables(params, variables.stats), network.prepare(images, True), key)
            return sum(jnp.sum(x).astype(jnp.float32) for x in jax.tree.leaves(found[0])), found

        return jax.grad(loss, has_aux=True)(variables.params)[1]

    variables, evaluated = jax.eval_shape(evaluate, key)
    outputs = jax.tree.leaves(evaluated)
    if not outputs or any(getattr(x, "shape", ())[:1] != (2,) for x in outputs):
        raise InputError(
            "model", f"{name} with output {_shape(evaluated)} for 2 examples", "an output of shape (2, outputs)"
        )
    _check_weights(variables.params, name)
    try:
        trained, stats = jax.eval_shape(train, variables, key)
    except Exception as error:  # a user's module raises what it likes
        given = f"{name} on examples of {image_shape if isinstance(image_shape, Inputs) else f'shape {image_shape}'}"
        why = f"in training it fails with {type(error).__name__}: {one_line(error)}"
        raise InputError(
            "model", given, f"{why}; random streams are called dropout, and there are no named axes"
        ) from error
    if _shape(trained) != _shape(evaluated):
        given = f"{name} with output {_shape(trained)} in training and {_shape(evaluated)} in evaluation"
        raise InputError("model", given, "allowed is one shape")
    if shapes(stats) != shapes(variables.stats):
        raise InputError(
            "model", name, "its statistics change their shapes or types in training; allowed are fixed ones"
        )


def _check_weights(params: PyTree, name: str) -> None:
    leaves = jax.tree_util.tree_leaves_with_path(params)
    if not any(leaf.size for _, leaf in leaves):
        raise InputError("model", name, "it has no weights to train")
    for path, leaf in leaves:
        if not jnp.issubdtype(leaf.dtype, jnp.floating):
            weights = f"{name} with {leaf.dtype} at {jax.tree_util.keystr(path)} of its weights"
            raise InputError("model", weights, "allowed are floats; numbers that are not trained are constants")


def shapes(tree: PyTree) -> tuple[Any, list[tuple[Any, Any]]]:
    """Structure, and shapes and types of the leaves."""
    return jax.tree.structure(tree), [(x.shape, x.dtype) for x in jax.tree.leaves(tree)]


def _shape(output: Any) -> str:
    if hasattr(output, "shape"):
        return f"shape {output.shape}"
    return f"of type {type(output).__name__}"
