"""What the article reports, as data: the values of its grids and its best runs.

Daryl Chang and Apurva Pathak, "Effect of gradient descent optimizers on neural net training", 2020.
Every number has one seed and no error bar.
"""

from collections.abc import Mapping
from typing import NamedTuple


class BestRun(NamedTuple):
    """A row of the article's comparison.

    Attributes:
        optimizer: its name in the registry.
        title: what the article calls it.
        val_loss: smallest validation loss, binary cross-entropy.
        train_loss: smallest training loss, with dropout on.
        epoch: of the smallest validation loss, counted from 1.
        hyperparameters: by their Optax names; rates rounded as the article rounds them.
    """

    optimizer: str
    title: str
    val_loss: float
    train_loss: float
    epoch: int
    hyperparameters: Mapping[str, float]


def half_decades(low: int, high: int) -> tuple[float, ...]:
    """The rates ``10^low, 10^(low + 1/2), .., 10^high``: the same floats wherever two grids share a rate."""
    return tuple(10.0 ** (half / 2) for half in range(2 * low, 2 * high + 1))


SGD_RATES = half_decades(-3, -1)
MOMENTA = (0.0, 0.5, 0.9, 0.95, 0.99)
DECAYS = (0.0, 0.5, 0.9, 0.95, 0.99)
SMALL_RATE = 0.001
LARGE_ADAGRAD_RATE = half_decades(-1, 0)[1]
"""0.316, where figure 41 sets Adagrad against SGD."""

DEFAULTS: Mapping[str, Mapping[str, float]] = {
    "rmsprop": {"decay": 0.9, "eps": 1e-7},
    "adam": {"b1": 0.9, "b2": 0.999, "eps": 1e-7},
    "adagrad": {"initial_accumulator_value": 0.1, "eps": 1e-7},
}
"""Keras's values of the numbers that a grid leaves alone; the other rules have none."""

CYCLE = {"base_learning_rate": 0.1, "max_learning_rate": 0.4, "step_size": 4.0}

BEST_RUNS = (
    BestRun("sgd", "SGD", 0.1899, 0.1945, 535, {"learning_rate": 0.032}),
    BestRun("momentum", "Momentum", 0.2046, 0.2252, 402, {"learning_rate": 0.01, "momentum": 0.5}),
    BestRun("nesterov", "Nesterov", 0.2020, 0.1945, 414, {"learning_rate": 0.003, "momentum": 0.95}),
    BestRun("rmsprop", "RMSprop", 0.2061, 0.2408, 338, {"learning_rate": 0.001, "decay": 0.95}),
    BestRun("adam", "Adam", 0.2021, 0.2071, 255, {"learning_rate": 0.001, "b1": 0.5, "b2": 0.999}),
    BestRun("adagrad", "Adagrad", 0.2310, 0.2057, 406, {"learning_rate": 0.316}),
    BestRun("cyclical", "CLR", 0.2318, 0.2267, 280, CYCLE),
)
"""In the article's order; the optimizers of its comparison."""
