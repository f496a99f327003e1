"""Points drawn from ranges, at random or as Sobol points."""

import math
from collections.abc import Mapping

import numpy as np

from jaxopt_study.errors import InputError
from jaxopt_study.grids.ranges import Range

SAMPLERS = ("random", "sobol")
MOST_POINTS = 100_000
"""Of one grid, and runs: more is a slip of the keyboard."""


def drawn(
    specs: Mapping[str, list[float] | Range], samples: int | None, sampler: str, seed: int
) -> list[list[dict[str, float]]]:
    """The samples of all ranges without a step, as one block of points; no block if there is no such range.

    Raises:
        InputError: ranges without samples or the reverse, or one of the arguments is not what it must be.
    """
    ranges = {name: each for name, each in specs.items() if isinstance(each, Range)}
    if not isinstance(sampler, str) or sampler not in SAMPLERS:
        raise InputError("sampler", sampler, f"allowed are {', '.join(SAMPLERS)}")
    if samples is None and not ranges:
        return []
    if samples is None:
        raise InputError("samples", "none", f"{', '.join(ranges)} can only be sampled: say how many samples")
    if not _whole(samples) or not 1 <= samples <= MOST_POINTS:
        raise InputError("samples", samples, f"allowed is a whole number from 1 to {MOST_POINTS}")
    if not _whole(seed) or seed < 0:
        raise InputError("seed", seed, "allowed is a whole number from 0")
    if not ranges:
        raise InputError("samples", samples, "no axis is a range without a step, such as 1e-4:1:log or 0:0.99:linear")
    shares = _shares(samples, len(ranges), sampler, seed)
    return [[{name: each.at(u) for (name, each), u in zip(ranges.items(), row, strict=True)} for row in shares]]


def _whole(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _shares(samples: int, axes: int, sampler: str, seed: int) -> list[list[float]]:
    """Points of the unit cube ``[samples][axes]``."""
    if sampler == "random":
        found: list[list[float]] = np.random.default_rng(seed).random((samples, axes)).tolist()
        return found
    from scipy.stats import qmc  # takes its time to import

    # Whole powers of two are drawn, which Sobol points are balanced at, and the first of them taken.
    cube = qmc.Sobol(axes, rng=np.random.default_rng(seed)).random_base2(math.ceil(math.log2(samples)))
    found = cube[:samples].tolist()
    return found
