"""Made runs for the tests of figures: losses that fall, with what a test asks for."""

from collections.abc import Sequence

import numpy as np

from jaxopt_study.history import CURVES, History


def run(
    optimizer: str = "momentum", *, seed: int = 0, epochs: int = 6, low: float = 0.3, diverged: int | None = None,
    status: str = "finished", **hyperparameters: float,
) -> History:  # fmt: skip
    """A run whose losses fall from 0.7 towards ``low`` (validation: 0.02 above), 0.01 higher a seed."""
    length = diverged or epochs
    fall = (0.7 - low) * 0.5 ** np.arange(length)
    curves = {name: (0.1 + fall).astype(np.float32) for name in CURVES}
    curves["train_loss"] = (low + 0.01 * seed + fall).astype(np.float32)
    curves["val_loss"] = (low + 0.02 + 0.01 * seed + fall).astype(np.float32)
    if diverged:
        for curve in curves.values():
            curve[-1] = np.nan
        status = "diverged"
    return History(optimizer, hyperparameters, seed, status, curves, diverged)


def momentum_grid(
    rates: Sequence[float] = (0.001, 0.01, 0.1), momenta: Sequence[float] = (0.0, 0.9), *, seeds: int = 2,
    optimizer: str = "momentum",
) -> list[History]:  # fmt: skip
    """Runs of a rule with momentum over a grid, none diverged."""
    return [
        run(optimizer, seed=seed, learning_rate=rate, momentum=momentum, low=0.3 + rate)
        for rate in rates
        for momentum in momenta
        for seed in range(seeds)
    ]


def everything(seeds: int = 2) -> list[History]:
    """Runs for every figure of the article."""
    rates = [10.0 ** (k / 2) for k in range(-6, -1)]
    per_seed = [
        run("cyclical", seed=s, epochs=30, base_learning_rate=0.1, max_learning_rate=0.4, step_size=4.0)
        for s in range(seeds)
    ]
    for s in range(seeds):
        per_seed += [run("sgd", seed=s, learning_rate=rate) for rate in [*rates, 10**-0.5]]
        per_seed += [
            run("rmsprop", seed=s, learning_rate=rate, decay=decay, eps=1e-7) for rate in rates for decay in (0.0, 0.9)
        ]
        per_seed += [run("adam", seed=s, learning_rate=rate, b1=0.9, b2=0.999, eps=1e-7) for rate in rates]
        per_seed += [run("adam", seed=s, learning_rate=0.001, b1=0.5, b2=b2, eps=1e-7) for b2 in (0.99, 0.999)]
        per_seed += [
            run("adagrad", seed=s, learning_rate=rate, initial_accumulator_value=0.1, eps=1e-7)
            for rate in [*rates, 10**-0.5]
        ]
    momenta = (0.5, 0.95, 0.99)
    return per_seed + [
        one
        for rule in ("momentum", "momentum_ema", "nesterov")
        for one in momentum_grid(rates, momenta, seeds=seeds, optimizer=rule)
    ]
