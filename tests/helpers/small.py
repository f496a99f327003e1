"""A study small enough to compile in a second or two: made images, a small network with batch norm and dropout."""

import functools
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

import jax
import numpy as np
from flax import linen as nn

from jaxopt_study.data import Dataset
from jaxopt_study.engine.trainer import Trainer
from jaxopt_study.grids.run import Run, product
from jaxopt_study.models.build import Model
from jaxopt_study.models.linen import from_linen
from jaxopt_study.models.network import Network, Variables
from jaxopt_study.settings import Execution, Settings


class SmallNet(nn.Module):
    @nn.compact
    def __call__(self, x: jax.Array, train: bool) -> jax.Array:
        x = x.reshape(x.shape[0], -1)
        x = nn.BatchNorm(use_running_average=not train, momentum=0.9)(nn.relu(nn.Dense(8)(x)))
        return nn.Dense(1)(nn.Dropout(0.2, deterministic=not train)(x))


@functools.cache
def network(shape: tuple[int, int, int], outputs: int, batch_size: int) -> Network:
    return from_linen(SmallNet(), shape)


MODEL = Model("small", network)
QUICK = {"xla_backend_optimization_level": "0"}
"""Compiler options for what runs once: compiled in a fraction of the time."""


def initial(network: Network, seed: int = 0) -> Variables:
    """A network's variables at the start of a run."""
    variables: Variables = jax.jit(network.init, compiler_options=QUICK)(jax.random.key(seed))
    return variables


def dataset(train: int = 70, val: int = 21) -> Dataset:
    """Two classes of noisy 4 x 4 images; neither number is a multiple of the batch."""
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 2, train + val).astype(np.int32)
    images = np.clip(rng.normal(110 + 30 * labels[:, None, None, None], 40, (train + val, 4, 4, 1)), 0, 255)
    images = images.astype(np.uint8)
    parts = images[:train], labels[:train], images[train:], labels[train:]
    return Dataset("made", *parts, ("dark", "light"), f"made-{train}-{val}")


def grid(
    rates: tuple[float, ...] = (0.001, 0.03, 0.3), momenta: tuple[float, ...] = (0.0, 0.9), seeds: int = 1
) -> list[Run]:
    return product("momentum", {"learning_rate": rates, "momentum": momenta}, seeds)


def study(
    folder: Path,
    runs: list[Run],
    *,
    epochs: int = 6,
    patience: int = 50,
    data: Dataset | None = None,
    settings: Mapping[str, Any] = MappingProxyType({}),
    **execution: object,
) -> Trainer:
    shared = Settings(batch_size=16, max_epochs=epochs, patience=patience, **settings)
    return Trainer(shared, data or dataset(), runs, folder, model=MODEL, execution=Execution(**execution))


def model() -> Model:
    """The small network, made where it is called: a worker of a cluster."""
    return MODEL
