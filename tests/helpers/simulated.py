"""Simulated studies with known truth: realistic curves with noise over seeds and epochs, and the worlds of each claim.

A world says what every configuration does in truth (``made_runs.Truth``); a study draws runs of it. Claims are true,
false or at their bound in a world by construction, so that each verdict can be counted as right, wrong or open.
"""

import dataclasses
import functools
import math
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import made_runs
import numpy as np
from made_runs import CHANCE, Truth

from experiments.article.find import ArticleRuns
from jaxopt_study.history import CURVES, History

EPOCHS = 120
SEED_NOISE = 0.005
"""Relative standard deviation of what a run does over seeds; that of a configuration is some 0.5 to 2 times as much."""
EPOCH_NOISE = 0.002
"""Of the losses from epoch to epoch, in nats."""
_SHAKEN = ("floor", "speed", "train_gap", "oscillation", "first_update", "last_update", "distance")


class World(NamedTuple):
    """What is true.

    Attributes:
        truths: by rule and numbers.
        epoch_noise: of the validation loss, by rule and numbers where it is not :data:`EPOCH_NOISE`.
        stuck: share of the runs of a configuration that stay at guessing, by rule and numbers.
        below: probability that a validation loss lies below the training loss, of plain SGD; else as the truth has it.
        flat: whether losses that have fallen stay where they are; else they go on falling a little up to their turn
            and rise then.
    """

    truths: Mapping[tuple[str, tuple[tuple[str, float], ...]], Truth]
    epoch_noise: Mapping[tuple[str, tuple[tuple[str, float], ...]], float] = {}
    stuck: Mapping[tuple[str, tuple[tuple[str, float], ...]], float] = {}
    below: float | None = None
    flat: bool = False


@functools.cache
def configurations() -> tuple[tuple[str, tuple[tuple[str, float], ...]], ...]:
    """All of the article's; momentum 0 is there as plain SGD alone."""
    points = made_runs.configurations()
    return tuple((rule, tuple(numbers.items())) for rule, numbers in points if numbers.get("momentum") != 0.0)


def article_world(*changes: tuple) -> World:
    """The article's, with changes as of ``made_runs.world``."""
    truths = {}
    for rule, items in configurations():
        numbers = dict(items)
        new = {}
        for where, fields in changes:
            if made_runs.matches(rule, numbers, where):
                new |= {name: value(numbers) if callable(value) else value for name, value in fields.items()}
        truths[rule, items] = dataclasses.replace(made_runs.truth(rule, numbers), **new)
    return World(truths)


def flat_world(truth: Callable[[str, Mapping[str, float]], Truth]) -> World:
    """One in which a rule and its numbers do what the function says."""
    return World({(rule, items): truth(rule, dict(items)) for rule, items in configurations()})


def study(world: World, seeds: int, rng: np.random.Generator, epochs: int = EPOCHS) -> ArticleRuns:
    """A study of runs that are drawn."""
    return ArticleRuns(draw(world, seeds, rng, epochs), article_setup=True)


def draw(world: World, seeds: int, rng: np.random.Generator, epochs: int = EPOCHS) -> list[History]:
    """Draws the runs of all configurations with seeds 0 to ``seeds`` - 1."""
    keys = list(world.truths)
    runs = [(key, seed) for key in keys for seed in range(seeds)]
    fields = {
        f.name: np.repeat(np.float32([_number(getattr(t, f.name)) for t in world.truths.values()]), seeds)[:, None]
        for f in dataclasses.fields(Truth)
    }
    spread = np.repeat(np.float32(SEED_NOISE) * np.exp(0.3 * _normal(rng, len(keys))), seeds)[:, None]
    for name in _SHAKEN:
        fields[name] = fields[name] * (1 + spread * _normal(rng, (len(runs), 1)))
    curves = _curves(fields, world, runs, rng, epochs)
    at_guessing = rng.random(len(runs)) < np.repeat([world.stuck.get(key, 0.0) for key in keys], seeds)
    noise = np.float32(EPOCH_NOISE) * np.abs(_normal(rng, (int(at_guessing.sum()), epochs)))
    for name in ("train_loss", "val_loss"):
        curves[name][at_guessing] = np.float32(CHANCE + 0.001) + noise
    ones = np.ones(epochs, np.float32)
    histories = []
    for place, ((rule, items), seed) in enumerate(runs):
        of_run = {name: curves[name][place] if name in curves else ones for name in CURVES}
        histories.append(_ended(History(rule, dict(items), seed, "stopped", of_run), world.truths[rule, items]))
    return histories


def _normal(rng: np.random.Generator, shape: int | tuple[int, ...]) -> np.ndarray:
    return rng.standard_normal(shape, np.float32)


def _number(value: float | None) -> float:
    return math.nan if value is None else value


def _curves(
    t: Mapping[str, np.ndarray], world: World, runs: Sequence, rng: np.random.Generator, epochs: int
) -> dict[str, np.ndarray]:
    e = np.arange(1, epochs + 1, dtype=np.float32)
    fall = np.exp(-t["speed"] * e)
    wave, other = np.cos(2 * math.pi * e / 8), np.cos(2 * math.pi * e / 3)
    sizes = np.array([world.epoch_noise.get(key, EPOCH_NOISE) for key, _ in runs], np.float32)[:, None]
    noise = sizes * _normal(rng, (2, len(runs), epochs))
    val = t["floor"] + (CHANCE - t["floor"]) * fall + t["val_wave"] * wave + t["other_wave"] * other + noise[0]
    before, after = (0.0 if world.flat else np.maximum(0, away) for away in (t["turn"] - e, e - t["turn"]))
    before, after = 0.0005 * before, 0.002 * after
    val = val + before + after
    low = t["floor"] + t["train_gap"]
    train = low + before + (CHANCE - low) * fall + t["train_wave"] * wave + noise[1]
    train = train + np.where(t["train_wave"] > 0, 0.0, t["other_wave"]) * other + t["train_noise"] * noise[1] / sizes
    if world.below is not None:
        share = np.clip(world.below + 0.05 * _normal(rng, (len(runs), 1)), 0, 1)
        above = np.where(rng.random(val.shape) < share, 0.01, -0.01)
        train = np.where(np.array([rule == "sgd" for (rule, _), _ in runs])[:, None], val + above, train)
    update = t["first_update"] * (t["last_update"] / t["first_update"]) ** ((e - 1) / (epochs - 1))
    flat = {name: np.broadcast_to(t[name], val.shape) for name in ("oscillation", "distance")}
    return {"val_loss": np.maximum(val, 0.01), "train_loss": np.maximum(train, 0.01), "update_size": update, **flat}


def _ended(history: History, truth: Truth) -> History:
    if not truth.diverges:
        return history
    nan = np.float32(np.nan)
    curves = {name: np.append(curve[: truth.diverges - 1], nan) for name, curve in history.curves.items()}
    return dataclasses.replace(history, curves=curves, status="diverged", diverged_epoch=truth.diverges)
