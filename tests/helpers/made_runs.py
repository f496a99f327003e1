"""Made histories with known truth: the article's grids as the article describes them, and changes to them."""

import dataclasses
import functools
import itertools
import math
import zlib
from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from experiments.article import facts as article
from jaxopt_study.analysis.runs import stands_for
from jaxopt_study.history import CURVES, History


class Grid(NamedTuple):
    """A full grid of one optimizer: the product of the values of its hyperparameters, by their Optax names."""

    optimizer: str
    axes: Mapping[str, tuple[float, ...]]


GRIDS: Mapping[str, tuple[Grid, ...]] = {
    "sgd_learning_rates": (Grid("sgd", {"learning_rate": article.SGD_RATES}),),
    "momentum_grid": (Grid("momentum", {"learning_rate": article.SGD_RATES, "momentum": article.MOMENTA}),),
    "momentum_formulations": (
        Grid("momentum", {"learning_rate": (0.01,), "momentum": article.MOMENTA}),
        Grid("momentum_ema", {"learning_rate": (0.01,), "momentum": article.MOMENTA}),
    ),
    "nesterov_grid": (
        Grid("momentum", {"learning_rate": article.SGD_RATES, "momentum": article.MOMENTA}),
        Grid("nesterov", {"learning_rate": article.SGD_RATES, "momentum": article.MOMENTA}),
    ),
    "rmsprop_grid": (Grid("rmsprop", {"learning_rate": article.half_decades(-4, 0), "decay": article.DECAYS}),),
    "adam_learning_rates": (Grid("adam", {"learning_rate": article.half_decades(-4, 0)}),),
    "adam_betas": (Grid("adam", {"learning_rate": (0.001,), "b1": (0.5, 0.9, 0.95), "b2": (0.9, 0.99, 0.999)}),),
    "adagrad_learning_rates": (
        Grid("adagrad", {"learning_rate": article.half_decades(-3, 0)}),
        Grid("sgd", {"learning_rate": (article.SMALL_RATE, article.LARGE_ADAGRAD_RATE)}),
    ),
    "cyclical_learning_rate": (Grid("cyclical", {name: (value,) for name, value in article.CYCLE.items()}),),
}
"""By the name of the experiment."""

CHANCE = math.log(2)
EPOCHS = 120


@dataclasses.dataclass(frozen=True)
class Truth:
    """What a made run does; losses fall from guessing to ``floor`` by ``exp(-speed * epoch)``, rise after ``turn``."""

    floor: float
    speed: float = 0.1
    turn: int = 80
    train_gap: float = 0.02
    oscillation: float = 0.4
    first_update: float = 1e-3
    last_update: float = 1e-4
    distance: float = 0.1
    diverges: int | None = None
    train_wave: float = 0.0
    val_wave: float = 0.0
    other_wave: float = 0.0
    train_noise: float = 0.0


def history(optimizer="sgd", seed=0, status="stopped", val=None, train=None, diverged_epoch=None, **numbers):
    """A history with the given loss curves; the other curves are ones."""
    val = np.asarray([0.5] if val is None else val, np.float32)
    curves = {name: np.ones(len(val), np.float32) for name in CURVES}
    curves["val_loss"] = val
    curves["train_loss"] = val if train is None else np.asarray(train, np.float32)
    return History(optimizer, numbers or {"learning_rate": 0.01}, seed, status, curves, diverged_epoch)


def made(truth, optimizer, numbers, seed, *, epochs=EPOCHS, noise=0.002, status="stopped"):
    """A run of a truth whose numbers move by ``noise`` (relative) from seed to seed."""
    rng = np.random.default_rng([zlib.crc32(repr(_key(optimizer, numbers)).encode()), seed])
    shaken = {name: getattr(truth, name) * (1 + noise * rng.standard_normal()) for name in _SHAKEN}
    t = dataclasses.replace(truth, **shaken)
    e = np.arange(1, epochs + 1)
    fall = np.exp(-t.speed * e)
    wave, other = np.cos(2 * math.pi * e / 8), np.cos(2 * math.pi * e / 3)
    val = t.floor + (CHANCE - t.floor) * fall + t.val_wave * wave + t.other_wave * other
    val = val + 0.002 * np.maximum(0, e - t.turn) - 1e-5 * np.minimum(e, t.turn)
    train = t.floor + t.train_gap + (CHANCE - t.floor - t.train_gap) * fall + t.train_wave * wave
    train = train + (0.0 if t.train_wave else t.other_wave) * other + t.train_noise * rng.standard_normal(epochs)
    update = t.first_update * (t.last_update / t.first_update) ** ((e - 1) / (epochs - 1))
    curves = {name: np.ones(epochs) for name in CURVES}
    curves |= {"val_loss": val, "train_loss": train, "update_size": update}
    curves |= {"oscillation": np.full(epochs, t.oscillation), "distance": np.full(epochs, t.distance)}
    if t.diverges:
        status = "diverged"
        curves = {name: np.append(curve[: t.diverges - 1], np.nan) for name, curve in curves.items()}
    curves = {name: curve.astype(np.float32) for name, curve in curves.items()}
    return History(optimizer, dict(numbers), seed, status, curves, t.diverges)


_SHAKEN = ("floor", "speed", "oscillation", "first_update", "last_update", "distance")
_SPEED_UP = {0.0: 1.0, 0.5: 1.5, 0.9: 3.0, 0.95: 2.5, 0.99: 0.5}


def _nearest(table, value):
    return next(kept for rate, kept in table.items() if math.isclose(rate, value, rel_tol=0.02))


def _sgd(rate):
    floors = {0.001: 0.5, 0.00316: 0.25, 0.01: 0.21, 0.0316: 0.1899, 0.1: 0.26, 0.316: 0.5}
    slow = 0.25 if rate > 0.2 else 1.0
    return Truth(_nearest(floors, rate), slow * _rate_speed(rate), turn=110)


def _rate_speed(rate):
    return 0.2 * min(1.0, rate / 10**-1.5) ** 0.7


def _momentum(rate, momentum):
    step = article.MOMENTA.index(momentum)
    reach = rate / (1 - momentum)
    best = math.isclose(rate, 0.01) and momentum == 0.5
    return Truth(
        floor=(0.2046 if best else 0.215) if reach < 0.35 else 0.68,
        speed=_SPEED_UP[momentum] * _rate_speed(rate),
        oscillation=0.4 - 0.05 * step,
        first_update=1e-3 * (1 + step),
        last_update=1e-4 / (1 + step),
        distance=0.1 * (1 + step),
        diverges=5 if rate > 0.09 and momentum >= 0.9 else None,
    )


def _nesterov(rate, momentum):
    plain = _momentum(rate, momentum)
    best = math.isclose(rate, 10**-2.5) and momentum == 0.95
    floor = (0.2020 if best else 0.2035) if plain.floor < 0.5 else plain.floor
    return dataclasses.replace(plain, floor=floor, speed=plain.speed * 1.3)


def _rmsprop(rate, decay):
    floor = {0.0: 0.40, 0.5: 0.28, 0.9: 0.2226, 0.95: 0.2061, 0.99: 0.2075}[decay]
    worse = {1e-4: 0.05, 10**-3.5: 0.02, 0.001: 0.0, 10**-2.5: 0.05}
    off = next((extra for at, extra in worse.items() if math.isclose(at, rate)), None)
    return Truth(0.685 if off is None else floor + off, 0.12)


def _adam(rate, b1, b2):
    if (b1, b2) != (0.9, 0.999):
        return Truth(0.2021 if (b1, b2) == (0.5, 0.999) else 0.21, 0.6, turn=40)
    floors = {1e-4: 0.24, 10**-3.5: 0.22, 0.001: 0.2059, 10**-2.5: 0.24, 0.01: 0.3}
    floor = next((value for at, value in floors.items() if math.isclose(at, rate)), 0.69)
    return Truth(floor, 0.6, turn=40, train_gap=0.0018)


def _adagrad(rate):
    floors = {0.001: 0.6, 0.00316: 0.4, 0.01: 0.32, 0.0316: 0.27, 0.1: 0.25, 0.316: 0.2310, 1.0: 0.3}
    return Truth(_nearest(floors, rate), _rate_speed(rate) if rate < 0.2 else 0.12)


def truth(optimizer, numbers):
    """What the article says of a configuration, in numbers."""
    rate = numbers.get("learning_rate", 0.1)
    if optimizer == "cyclical":
        return Truth(0.245, 0.15, train_wave=0.02, val_wave=0.003, other_wave=0.01)
    if optimizer == "sgd" or numbers.get("momentum") == 0.0:
        return _sgd(rate)
    if optimizer == "momentum_ema":
        return _momentum(rate * (1 - numbers["momentum"]), numbers["momentum"])
    if optimizer == "adam":
        return _adam(rate, numbers.get("b1", 0.9), numbers.get("b2", 0.999))
    rules = {"momentum": _momentum, "nesterov": _nesterov, "rmsprop": _rmsprop, "adagrad": _adagrad}
    return rules[optimizer](*numbers.values())


def configurations():
    """All configurations of the article, each once."""
    grids = itertools.chain(*GRIDS.values())
    points = [
        (grid.optimizer, dict(zip(grid.axes, point, strict=True)))
        for grid in grids
        for point in itertools.product(*grid.axes.values())
    ]
    return [point for at, point in enumerate(points) if point not in points[:at]]


def matches(optimizer, numbers, where):
    """Whether a configuration is of ``where``: a rule's name and the values some of its numbers may have."""
    full = {**article.DEFAULTS.get(optimizer, {}), **numbers}
    rule, wanted = where
    return rule == optimizer and all(stands_for(name, full[name], value) for name, value in wanted.items())


@functools.cache
def _article_runs(seeds, epochs, noise, status):
    return tuple(
        made(truth(rule, numbers), rule, numbers, seed, epochs=epochs, noise=noise, status=status)
        for rule, numbers in configurations()
        for seed in range(seeds)
    )


def _key(rule, numbers):
    """One and the same run has one noise, whatever it is called."""
    if rule == "momentum_ema":
        rate = numbers["learning_rate"] * (1 - numbers["momentum"])
        return "momentum", round(math.log10(rate), 3), numbers["momentum"]
    if rule == "momentum":
        return rule, round(math.log10(numbers["learning_rate"]), 3), numbers["momentum"]
    return rule, numbers


def world(*changes, seeds=5, epochs=EPOCHS, noise=0.002, status="stopped"):
    """The article's runs, with changes ``((rule, numbers), fields of Truth)``; a field may be a function of numbers."""
    runs = []
    for run in _article_runs(seeds, epochs, noise, status):
        numbers = dict(run.hyperparameters)
        new = {}
        for where, fields in changes:
            if matches(run.optimizer, numbers, where):
                new |= {name: value(numbers) if callable(value) else value for name, value in fields.items()}
        if new:
            changed = dataclasses.replace(truth(run.optimizer, numbers), **new)
            run = made(changed, run.optimizer, numbers, run.seed, epochs=epochs, noise=noise, status=status)
        runs.append(run)
    return runs
