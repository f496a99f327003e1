"""Bilinear resizing as the article's input pipeline does it."""

import functools
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from jaxopt_study.data.dataset import Images


class _Taps(NamedTuple):
    low: NDArray[np.int64]  # [out], the neighbour before
    high: NDArray[np.int64]  # [out], the neighbour after
    weight: NDArray[np.float32]  # [out], share of the neighbour after


def resize(image: Images, height: int, width: int) -> Images:
    """Bilinear, the aspect ratio not kept, without antialiasing.

    Each output pixel samples the four input pixels around its centre, output pixel i lying at
    (i + 1/2) * in / out - 1/2, and is rounded to the nearest whole number. This is `tf.image.resize(.., "bilinear")`
    with its defaults, which the article used. Pillow's `Image.resize` widens the filter when it shrinks (antialiases)
    and would give smoother, different pictures; its `Image.transform` samples the same points but rounds down, which
    darkens by half a level.

    Args:
      image: uint8 [h, w, K].
      height, width: Of the result, in pixels, at least 1.

    Returns:
      uint8 [height, width, K].
    """
    if image.shape[:2] == (height, width):
        return image
    rows, columns = _taps(image.shape[0], height), _taps(image.shape[1], width)
    upper = _blend_columns(image[rows.low], columns)
    lower = _blend_columns(image[rows.high], columns)
    blended = upper + (lower - upper) * rows.weight[:, None, None]
    return (blended + np.float32(0.5)).astype(np.uint8)


@functools.lru_cache(maxsize=1024)
def _taps(size: int, out: int) -> _Taps:
    centre = (np.arange(out, dtype=np.float32) + np.float32(0.5)) * np.float32(size / out) - np.float32(0.5)
    before = np.floor(centre)
    low, high = (np.clip(before + step, 0, size - 1).astype(np.int64) for step in (0, 1))
    return _Taps(low, high, (centre - before).astype(np.float32))


def _blend_columns(rows: Images, columns: _Taps) -> NDArray[np.float32]:
    left = rows[:, columns.low].astype(np.float32)
    right = rows[:, columns.high].astype(np.float32)
    return left + (right - left) * columns.weight[None, :, None]
