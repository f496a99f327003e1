"""JAX as it is usually written: nn.Conv and Optax; one configuration in a loop or a scan, or a vmap over all.

And the ceiling: a large matrix product on all cores.
"""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax import linen as nn

from experiments.benchmarks import cases
from experiments.benchmarks.cases import Case, Ready
from jaxopt_study.engine.sweep import memory_of

PyTree = Any


def configure() -> None:
    """One device, whose threads are all cores."""
    jax.config.update("jax_num_cpu_devices", 1)


class ArticleNet(nn.Module):
    """The article's network from Flax's layers, images ``[B, H, W, K]`` to logits ``[B, 1]``."""

    @nn.compact
    def __call__(self, x: jax.Array, train: bool) -> jax.Array:
        """Applies it."""

        def norm(x: jax.Array) -> jax.Array:
            normalized: jax.Array = nn.BatchNorm(not train, momentum=0.99, epsilon=1e-3)(x)
            return normalized

        def drop(x: jax.Array, rate: float) -> jax.Array:
            dropped: jax.Array = nn.Dropout(rate, deterministic=not train)(x)
            return dropped

        x = norm(x)
        for filters, rate in cases.ARTICLE_BLOCKS:
            if min(x.shape[1:3]) < 2:
                break
            x = nn.max_pool(nn.Conv(filters, (3, 3))(x), (2, 2), (2, 2))
            x = drop(norm(nn.relu(x)), rate)
        x = drop(norm(nn.relu(nn.Dense(256)(x.reshape(x.shape[0], -1)))), 0.6)
        return nn.Dense(1)(norm(nn.relu(nn.Dense(256)(x))))


class Block(nn.Module):
    """Two convolutions and a shortcut; ``[B, H, W, K]`` to ``[B, H / stride, W / stride, channels]``."""

    channels: int
    stride: int
    conv: Any

    @nn.compact
    def __call__(self, x: jax.Array, train: bool) -> jax.Array:
        """Applies it."""
        strides = (self.stride, self.stride)
        y = nn.Conv(self.channels, (3, 3), strides, padding=1, use_bias=False, conv_general_dilated=self.conv)(x)
        y = nn.relu(nn.BatchNorm(use_running_average=not train)(y))
        y = nn.Conv(self.channels, (3, 3), padding=1, use_bias=False, conv_general_dilated=self.conv)(y)
        y = nn.BatchNorm(use_running_average=not train)(y)
        if x.shape != y.shape:
            x = nn.Conv(self.channels, (1, 1), strides, use_bias=False, conv_general_dilated=self.conv)(x)
            x = nn.BatchNorm(use_running_average=not train)(x)
        return nn.relu(x + y)


class ResNet(nn.Module):
    """A stem, three stages of one block, global mean, dense; images ``[B, H, W, K]`` to logits ``[B, outputs]``.

    ``conv`` is what convolves, as ``jax.lax.conv_general_dilated`` does; None is that.
    """

    outputs: int = 1
    conv: Any = None

    @nn.compact
    def __call__(self, x: jax.Array, train: bool = False) -> jax.Array:
        """Applies it."""
        x = nn.Conv(cases.RESNET_CHANNELS[0], (3, 3), padding=1, use_bias=False, conv_general_dilated=self.conv)(x)
        x = nn.relu(nn.BatchNorm(use_running_average=not train)(x))
        for i, channels in enumerate(cases.RESNET_CHANNELS):
            x = Block(channels, 1 if i == 0 else 2, self.conv)(x, train)
        return nn.Dense(self.outputs)(x.mean((1, 2)))


def build(case: Case, *, form: str) -> Ready:
    """Args: form: ``loop`` (a call a step), ``scan`` (a pass), ``vmap`` (the scan, over configurations) or ``gemm``."""
    if form == "gemm":
        return gemm()
    net = ArticleNet() if case.model == "article" else ResNet()
    images, labels = (jnp.asarray(x) for x in cases.data(case))
    rates = jnp.asarray(cases.learning_rates(case.configs))
    variables = net.init(jax.random.key(0), jnp.zeros((1, *images.shape[2:])), False)
    weights = sum(x.size for x in jax.tree.leaves(variables["params"]))
    state = (variables, optax.sgd(0.0, cases.MOMENTUM).init(variables["params"]), jax.random.key(1))
    train_step = step_of(net)

    def epoch(state: PyTree, rate: jax.Array, images: jax.Array, labels: jax.Array) -> PyTree:
        return jax.lax.scan(lambda state, batch: (train_step(state, rate, *batch), None), state, (images, labels))[0]

    if form == "loop":
        return Ready(loop(jax.jit(train_step, donate_argnums=0), state, rates[0], images, labels), weights)
    function: Callable[..., PyTree] = epoch
    if form == "vmap":
        state = jax.vmap(lambda _: state)(rates)
        function = jax.vmap(epoch, in_axes=(0, 0, None, None))
    else:
        rates = rates[0]
    compiled = jax.jit(function, donate_argnums=0).lower(state, rates, images, labels).compile()

    def run(passes: int) -> None:
        nonlocal state
        for _ in range(passes):
            state = compiled(state, rates, images, labels)
        jax.block_until_ready(state)

    configs = case.configs if form == "vmap" else 1
    memory = memory_of(compiled)
    return Ready(run, weights, (memory - images.nbytes - labels.nbytes) // configs if memory else 0)


def step_of(net: nn.Module) -> Callable[..., PyTree]:
    """``(state, rate, images uint8 [B, H, W, K], labels [B]) -> state``, a step of SGD with momentum."""

    def step(state: PyTree, rate: jax.Array, images: jax.Array, labels: jax.Array) -> PyTree:
        variables, opt_state, key = state
        x = images.astype(jnp.float32) / 255.0
        key, dropout = jax.random.split(key)

        def loss(params: PyTree) -> tuple[jax.Array, PyTree]:
            all_variables = {**variables, "params": params}
            logits, stats = net.apply(all_variables, x, True, mutable=["batch_stats"], rngs={"dropout": dropout})
            return optax.sigmoid_binary_cross_entropy(logits[:, 0], labels.astype(jnp.float32)).mean(), stats

        grads, stats = jax.grad(loss, has_aux=True)(variables["params"])
        updates, opt_state = optax.sgd(rate, cases.MOMENTUM).update(grads, opt_state)
        params = optax.apply_updates(variables["params"], updates)
        return {"params": params, **stats}, opt_state, key

    return step


def loop(
    step: Callable[..., PyTree], state: PyTree, rate: jax.Array, images: jax.Array, labels: jax.Array
) -> Callable[[int], None]:
    """Calls the jitted step for every batch; the batches are on the device one by one."""
    batches = [(images[i], labels[i]) for i in range(len(images))]

    def run(passes: int) -> None:
        nonlocal state
        for _ in range(passes):
            for batch in batches:
                state = step(state, rate, *batch)
        jax.block_until_ready(state)

    return run


def gemm() -> Ready:
    """A product of two square matrices in full float32 precision."""
    size = 2048 if jax.default_backend() == "cpu" else 8192
    rng = np.random.default_rng(0)
    a, b = (jnp.asarray(rng.normal(size=(size, size)), jnp.float32) for _ in range(2))
    product = jax.jit(lambda a, b: jnp.matmul(a, b, precision=jax.lax.Precision.HIGHEST))

    def run(passes: int) -> None:
        for _ in range(passes):
            result = product(a, b)
        result.block_until_ready()

    return Ready(run, operations=2.0 * size**3)
