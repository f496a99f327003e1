"""What the article reports, as data: its grids, its best runs and the numbers behind its claims.

Daryl Chang and Apurva Pathak, "Effect of gradient descent optimizers on neural net training", 2020.
Every number has one seed and no error bar.
"""

from collections.abc import Mapping
from typing import NamedTuple


class Grid(NamedTuple):
    """A full grid of one optimizer: the product of the values of its hyperparameters, by their Optax names."""

    optimizer: str
    axes: Mapping[str, tuple[float, ...]]


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

_CYCLE = {"base_learning_rate": 0.1, "max_learning_rate": 0.4, "step_size": 4.0}

GRIDS: Mapping[str, tuple[Grid, ...]] = {
    "sgd_learning_rates": (Grid("sgd", {"learning_rate": SGD_RATES}),),
    "momentum_grid": (Grid("momentum", {"learning_rate": SGD_RATES, "momentum": MOMENTA}),),
    "momentum_formulations": (
        Grid("momentum", {"learning_rate": (0.01,), "momentum": MOMENTA}),
        Grid("momentum_ema", {"learning_rate": (0.01,), "momentum": MOMENTA}),
    ),
    "nesterov_grid": (
        Grid("momentum", {"learning_rate": SGD_RATES, "momentum": MOMENTA}),
        Grid("nesterov", {"learning_rate": SGD_RATES, "momentum": MOMENTA}),
    ),
    "rmsprop_grid": (Grid("rmsprop", {"learning_rate": half_decades(-4, 0), "decay": DECAYS}),),
    "adam_learning_rates": (Grid("adam", {"learning_rate": half_decades(-4, 0)}),),
    "adam_betas": (Grid("adam", {"learning_rate": (0.001,), "b1": (0.5, 0.9, 0.95), "b2": (0.9, 0.99, 0.999)}),),
    "adagrad_learning_rates": (
        Grid("adagrad", {"learning_rate": half_decades(-3, 0)}),
        Grid("sgd", {"learning_rate": (SMALL_RATE, LARGE_ADAGRAD_RATE)}),
    ),
    "cyclical_learning_rate": (Grid("cyclical", {name: (value,) for name, value in _CYCLE.items()}),),
}
"""By the name of the experiment."""

BEST_RUNS = (
    BestRun("sgd", "SGD", 0.1899, 0.1945, 535, {"learning_rate": 0.032}),
    BestRun("momentum", "Momentum", 0.2046, 0.2252, 402, {"learning_rate": 0.01, "momentum": 0.5}),
    BestRun("nesterov", "Nesterov", 0.2020, 0.1945, 414, {"learning_rate": 0.003, "momentum": 0.95}),
    BestRun("rmsprop", "RMSprop", 0.2061, 0.2408, 338, {"learning_rate": 0.001, "decay": 0.95}),
    BestRun("adam", "Adam", 0.2021, 0.2071, 255, {"learning_rate": 0.001, "b1": 0.5, "b2": 0.999}),
    BestRun("adagrad", "Adagrad", 0.2310, 0.2057, 406, {"learning_rate": 0.316}),
    BestRun("cyclical", "CLR", 0.2318, 0.2267, 280, _CYCLE),
)
"""In the article's order; the optimizers of its comparison."""

NUMBERS: Mapping[str, Mapping[str, float]] = {
    "S1": {"learning_rate": 0.001},
    "S2": {"learning_rate": 0.1},
    "S3": {"best learning_rate": 0.032, "val_loss": 0.1899, "train_loss": 0.1945, "epoch": 535},
    "M1": {"learning_rate": 0.01, "largest momentum": 0.9},
    "M2": {"learning_rate": 0.01, "momentum": 0.99},
    "M6": {"learning_rate": 0.001},
    "M7": {"learning_rate": 0.1, "smallest momentum": 0.9, "largest momentum": 0.95},
    "M9": {"best val_loss with momentum": 0.2046, "best val_loss of SGD": 0.1899},
    "A1": {"learning_rate": 0.01},
    "N1": {"faster": 10, "of": 14},
    "N2": {"faster": 8, "of": 12},
    "N3": {"learning_rate": 0.001, "momentum": 0.95},
    "R1": {"decay": 0.0},
    "R2": {"learning_rate": 0.001},
    "R3": {"learning_rate": 0.03},
    "R4": {"smallest learning_rate": 0.01},
    "R5": {"best learning_rate": 0.001, "best learning_rate of SGD": 0.032, "ratio": 0.1},
    "R6": {"val_loss at decay 0.95": 0.2061, "val_loss at decay 0.9": 0.2226},
    "D1": {"best learning_rate": 0.001},
    "D2": {"val_loss": 0.2059, "train_loss": 0.2077},
    "D3": {"val_loss at b1 0.5": 0.2021, "val_loss at b1 0.9": 0.2059},
    "D4": {"best val_loss of Adam": 0.2021, "best val_loss of SGD": 0.1899},
    "G1": {"learning_rate": 0.001},
    "G2": {"learning_rate": 0.316},
    "G3": {"best learning_rate": 0.316, "best learning_rate of SGD": 0.032, "smallest ratio": 10},
    "C1": {"cycle in epochs": 8},
    "C2": {"val_loss": 0.2318, "worst val_loss of the tuned": 0.2061},
    "X1": {"val_loss of SGD": 0.1899, "next": 0.2020},
    "X2": {"smallest val_loss": 0.2020, "largest val_loss": 0.2061},
    "X3": {"val_loss of Adagrad": 0.2310, "val_loss of CLR": 0.2318, "next": 0.2061},
    "X4": {"epochs of Adam": 255, "epochs of SGD": 535},
    "X5": {"val_loss": 0.2318},
    "X6": {"learning_rate": 0.01, "momentum": 0.5},
    "X8": {"decay": 0.95, "b1": 0.5},
}
"""What the article gives for a claim, by the claim's id; a claim that is not here has no number."""
