"""Your own network, data and optimizers in a few lines: a small residual network on the ten digits; under a minute."""

from functools import partial

import jax
import optax
from flax import linen as nn

import jaxopt_study as js


class ResNet(nn.Module):
    """Two residual blocks of 16 channels."""

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        """Logits [B, 10] of images [B, 8, 8, 1]."""
        conv = partial(nn.Conv, 16, (3, 3), conv_general_dilated=js.conv)
        x = nn.relu(conv()(x))
        for _ in range(2):
            x = nn.relu(x + conv()(nn.relu(conv()(x))))
        return nn.Dense(10)(x.mean((1, 2)))


def main() -> js.Study:
    """Trains, draws, reports."""
    adamw = js.make_grid(optax.adamw, learning_rate="1e-3:1e-1:decade", weight_decay=[0.0, 0.01])
    lion = js.make_grid(optax.lion, learning_rate="1e-4:1e-2:decade")
    data = js.load("digits", classes=["all"])
    study = js.make_study(
        model=ResNet(), data=data, grid=[adamw, lion], seeds=2, max_epochs=5, workdir="workdir/own_model"
    )
    study.run()
    print(study.report())
    return study


if __name__ == "__main__":
    from experiments.command import flags

    flags.start(main)  # --help and --json, as of all commands here; yours may call main()
