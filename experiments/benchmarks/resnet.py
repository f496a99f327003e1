"""A small residual network as people write them in Flax; what convolves can be passed in, as Flax allows."""

from typing import Any

import jax
from flax import linen as nn

CHANNELS = (16, 32, 64)


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
        x = nn.Conv(CHANNELS[0], (3, 3), padding=1, use_bias=False, conv_general_dilated=self.conv)(x)
        x = nn.relu(nn.BatchNorm(use_running_average=not train)(x))
        for i, channels in enumerate(CHANNELS):
            x = Block(channels, 1 if i == 0 else 2, self.conv)(x, train)
        return nn.Dense(self.outputs)(x.mean((1, 2)))
