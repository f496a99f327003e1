"""The article's network for telling cats from dogs, in plain Flax.

Batch norm on the input; five blocks of [convolution 3 x 3 (same padding) -> max pool 2 x 2 -> ReLU -> batch norm ->
dropout]; dense 256 -> ReLU -> batch norm -> dropout; dense 256 -> ReLU -> batch norm; dense. Daryl Chang and Apurva
Pathak, "Effect of gradient descent optimizers on neural net training", 2020.
"""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from flax import linen as nn

from jaxopt_study.errors import InputError
from jaxopt_study.layers.dropout import dropout_batch_first, mask_seed
from jaxopt_study.models.linen import from_linen
from jaxopt_study.models.network import Network

FILTERS = (4, 8, 16, 32, 64)
BLOCK_DROPOUT = (0.2, 0.2, 0.2, 0.2, 0.6)
DENSE_UNITS = 256
DENSE_DROPOUT = 0.6
MOMENTUM = 0.99
EPSILON = 1e-3


class ArticleNet(nn.Module):
    """Maps images [B, H, W, K], floats in [0, 1], to logits [B, outputs].

    Kernels are Glorot-uniform, biases zero, batch norm has momentum 0.99 and epsilon 1e-3. Every block halves the
    image, odd sides rounded down; blocks that would bring a side below one pixel are left out.

    Attributes:
        outputs: units of the last layer: 1 for a sigmoid head, the number of classes for a softmax head.
        second_dropout: the notebook's variant: dropout 0.6 instead of batch norm after the second dense layer.
        conv: what convolves, as ``jax.lax.conv_general_dilated`` does; None is that.
        pool: what pools, as ``nn.max_pool`` does.
        dtype: of what goes into and comes out of convolutions and dense layers but the last; parameters and batch norm
            stay float32.
    """

    outputs: int = 1
    second_dropout: bool = False
    conv: Callable[..., jax.Array] | None = None
    pool: Callable[..., jax.Array] = nn.max_pool
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(self, x: jax.Array, train: bool = False) -> jax.Array:
        """Applies the network; `train` turns on dropout (stream ``dropout``) and the statistics of the batch."""
        seed = self.mask_seed() if train else None
        x = self._norm(x, train)
        for layer in range(blocks(x.shape[1:3])):
            glorot = nn.initializers.glorot_uniform()
            convolution = nn.Conv(
                FILTERS[layer], (3, 3), dtype=self.dtype, kernel_init=glorot, conv_general_dilated=self.conv
            )
            x = convolution(x)
            x = nn.relu(self.pool(x, (2, 2), strides=(2, 2)))
            x = self._norm(x, train)
            x = _drop(x, seed, layer, BLOCK_DROPOUT[layer])
        x = x.reshape(x.shape[0], -1)
        x = self._norm(self._dense(x), train)
        x = _drop(x, seed, len(FILTERS), DENSE_DROPOUT)
        x = self._dense(x)
        x = _drop(x, seed, len(FILTERS) + 1, DENSE_DROPOUT) if self.second_dropout else self._norm(x, train)
        return nn.Dense(self.outputs, kernel_init=nn.initializers.glorot_uniform())(x)

    def mask_seed(self) -> jax.Array:
        """Draws the seed of all dropout masks of one application, uint32 [2]."""
        seed: jax.Array = mask_seed(self.make_rng("dropout"))
        return seed

    def _dense(self, x: jax.Array) -> jax.Array:
        return nn.relu(nn.Dense(DENSE_UNITS, kernel_init=nn.initializers.glorot_uniform(), dtype=self.dtype)(x))

    def _norm(self, x: jax.Array, train: bool) -> jax.Array:
        norm = nn.BatchNorm(use_running_average=not train, momentum=MOMENTUM, epsilon=EPSILON)
        normalized: jax.Array = norm(x)
        return normalized


def blocks(image_size: tuple[int, ...]) -> int:
    """Returns how many of the five blocks fit an image of this height and width."""
    return min(len(FILTERS), min(image_size).bit_length() - 1)


def plain(
    image_shape: tuple[int, int, int],
    *,
    outputs: int = 1,
    notebook: bool = False,
    conv: Callable[..., jax.Array] | None = None,
    pool: Callable[..., jax.Array] = nn.max_pool,
    dtype: Any = jnp.float32,
) -> Network:
    """Builds the article's network from plain Flax layers.

    Args:
        image_shape: height, width and channels of an image, each at least 1.
        outputs: logits an image: 1 for a sigmoid head, the number of classes for a softmax head.
        notebook: the variant of the article's notebook, with dropout 0.6 instead of batch norm after the second dense
            layer.
        conv: see ArticleNet.
        pool: see ArticleNet.
        dtype: see ArticleNet.

    Raises:
        InputError: if a size is not positive.
    """
    if min(image_shape) < 1:
        raise InputError("image_shape", image_shape, "height, width and channels of at least 1")
    if outputs < 1:
        raise InputError("outputs", outputs, "an integer of at least 1")
    module = ArticleNet(outputs=outputs, second_dropout=notebook, conv=conv, pool=pool, dtype=dtype)
    return from_linen(module, image_shape)


def _drop(x: jax.Array, seed: jax.Array | None, layer: int, rate: float) -> jax.Array:
    return x if seed is None else dropout_batch_first(x, seed, layer, rate)
