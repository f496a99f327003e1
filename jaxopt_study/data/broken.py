"""Pictures that cannot be read: all are named at once, and refused, or left out where that was asked for."""

from collections.abc import Collection, Mapping, Sequence

import numpy as np

from jaxopt_study.data.cache import Allocate
from jaxopt_study.data.dataset import Images, Indices

_NAMED = 10


def listed(names: Sequence[str]) -> str:
    """The first of some names, and how many there are beside them."""
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return ", ".join(names[:_NAMED]) + more


def told(broken: Collection[int], count: int, names: Sequence[str]) -> str:
    """Which of ``count`` pictures cannot be read, and the way out; what is broken has these names and reasons."""
    return f"cannot read {len(broken)} of {count} pictures (--leave_out_broken leaves them out): {listed(names)}"


def ranges(broken: Mapping[int, str]) -> list[str]:
    """Numbers and why as ``record 3 (why)`` and ``records 7 to 12 (why the first)``."""
    numbers = np.array(sorted(broken))
    runs = np.split(numbers, np.flatnonzero(np.diff(numbers) > 1) + 1)
    return [
        f"record {run[0]} ({broken[run[0]]})" if len(run) == 1 else f"records {run[0]} to {run[-1]} ({broken[run[0]]})"
        for run in runs
    ]


def others(images: Images, broken: Collection[int], allocate: Allocate) -> tuple[Images, Indices]:
    """The images ``[N, H, W, K]`` without the broken ones, in an array of their own, and their numbers."""
    kept = np.setdiff1d(np.arange(len(images)), list(broken))
    fewer = allocate((len(kept), *images.shape[1:]))
    np.take(images, kept, axis=0, out=fewer, mode="clip")  # which, unlike others, fills it without a copy
    return fewer, kept
