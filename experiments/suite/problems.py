"""The problems of the suite: each a network, data and a number of epochs, small enough for minutes on two cores."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np
from flax import linen as nn

import jaxopt_study as js
from jaxopt_study.data import Dataset

HERE = Path(__file__).parent
LENGTH = 32
"""Characters of a sequence."""


class Problem(NamedTuple):
    """A problem.

    Attributes:
        about: what is learnt, by what.
        model: as ``js.make_study`` takes it, of the data.
        data: given ``split_seed``, and folders as ``js.load`` takes them: ``data_dir`` and ``cache_dir``.
        max_epochs: of a run, all of which are trained: a decay to zero ends there.
        batch_size: training examples a step.
    """

    about: str
    model: Callable[[Dataset], Any]
    data: Callable[..., Dataset]
    max_epochs: int
    batch_size: int = 32


class Perceptron(nn.Module):
    """A hidden layer and dropout, for ten digits of 8 x 8 pixels."""

    @nn.compact
    def __call__(self, x: jax.Array, train: bool) -> jax.Array:
        """Logits [B, 10] of images [B, 8, 8, 1]."""
        x = nn.relu(nn.Dense(64)(x.reshape(len(x), -1)))
        return nn.Dense(10)(nn.Dropout(0.1, deterministic=not train)(x))


class Regressor(nn.Module):
    """A hidden layer, for a number."""

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        """Numbers [B, 1] of rows [B, 10]."""
        return nn.Dense(1)(nn.tanh(nn.Dense(16)(x)))


class Transformer(nn.Module):
    """Two blocks of attention with 32 channels, for the next character."""

    letters: int

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        """Logits [B, T, letters] of characters [B, T]."""
        position = self.param("position", nn.initializers.normal(0.02), (1, LENGTH, 32))
        h = nn.Embed(self.letters, 32)(x) + position
        mask = nn.make_causal_mask(x)
        for _ in range(2):
            h += nn.MultiHeadDotProductAttention(4)(nn.LayerNorm()(h), mask=mask)
            h += nn.Dense(32)(nn.gelu(nn.Dense(64)(nn.LayerNorm()(h))))
        return nn.Dense(self.letters)(nn.LayerNorm()(h))


def table(split_seed: int = 0, **_: Any) -> Dataset:
    """Ten measurements of 442 people, standardized, and how far their diabetes came in a year; diabetes.txt."""
    values = np.loadtxt(HERE / "diabetes.csv.gz", delimiter=",")
    values = (values - values.mean(0)) / values.std(0)
    return js.arrays(values[:, :-1], values[:, -1], split_seed=split_seed, name="diabetes")


def characters(split_seed: int = 0, **_: Any) -> Dataset:
    """The licence of this project, a text that stays as it is, in sequences of :data:`LENGTH` characters."""
    text = (HERE.parents[1] / "LICENSE").read_text(encoding="utf-8")
    letters, codes = np.unique(list(text), return_inverse=True)
    sequences = codes[: len(codes) // (LENGTH + 1) * (LENGTH + 1)].reshape(-1, LENGTH + 1)
    names = [repr(str(letter)) for letter in letters]
    return js.arrays(sequences[:, :-1], sequences[:, 1:], classes=names, split_seed=split_seed, name="licence")


PROBLEMS: Mapping[str, Problem] = {
    "digits_cnn": Problem(
        "even or odd digits, by the article's convolutional network",
        lambda _: js.article_model(),
        lambda **of: js.load("digits", **of),
        10,
    ),
    "digits_mlp": Problem(
        "ten digits, by a perceptron with one hidden layer",
        lambda _: Perceptron(),
        lambda **of: js.load("digits", classes=["all"], **of),
        10,
    ),
    "table": Problem(
        "a number from ten measurements, by a perceptron with one hidden layer",
        lambda _: Regressor(),
        table,
        40,
    ),
    "characters": Problem(
        "the next character of a text, by a transformer of two blocks",
        lambda data: Transformer(len(data.classes)),
        characters,
        10,
        16,
    ),
    "cats_vs_dogs_32": Problem(
        "cats or dogs at 32 x 32 pixels, by the article's convolutional network",
        lambda _: js.article_model(),
        lambda **of: js.load("tfds:cats_vs_dogs", image_size=32, **of),
        10,
    ),
}
SUITE = tuple(name for name in PROBLEMS if name != "cats_vs_dogs_32")
"""Those that need no download: the suite."""
