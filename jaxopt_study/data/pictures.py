"""From encoded pictures to pixels of one size, many at a time."""

import contextlib
import functools
import io
import os
import threading
import warnings
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import PIL
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError

from jaxopt_study.data.dataset import Images
from jaxopt_study.errors import one_line

VERSION = 1  # raise it whenever the pixels of a picture would come out differently: it is part of the cache's key
DEFAULT_SIZE = 128  # the article's
_CHUNK = 16  # of large pictures half a second or two, for which an interrupt waits
_MOST_THREADS = 16  # beyond, they wait for the interpreter's lock
_MODES = {1: "L", 3: "RGB", 4: "RGBA"}
_STRANGE = {"EPS", "BUFR", "GRIB", "HDF5", "MPEG", "WMF"}  # Pillow runs Ghostscript, or knows the name alone
MOST_PIXELS = 89_478_485
"""Of one picture: from there on Pillow warns of files that are made to fill the memory."""
_LARGE = 1 << 24
_one_large_picture = threading.Lock()


class UnreadableImage(Exception):
    """A picture that Pillow cannot decode; the message is one line."""


def decode(encoded: bytes | Path, height: int, width: int, channels: int) -> Images:
    """One picture, decoded and resized: uint8 ``[height, width, channels]``.

    It is of any kind in :func:`suffixes`, of 1 (grey), 3 (RGB) or 4 (RGBA) channels; of several frames the first is
    taken. Of a file the orientation in its EXIF data is applied.

    Raises:
        UnreadableImage: not a picture, cut short, or of more than ``MOST_PIXELS``, which is known before it is decoded.
    """
    try:
        with Image.open(io.BytesIO(encoded) if isinstance(encoded, bytes) else encoded, formats=_formats()) as picture:
            count = picture.width * picture.height
            if count > MOST_PIXELS:
                raise Image.DecompressionBombError
            with _one_large_picture if count > _LARGE else contextlib.nullcontext():
                upright = ImageOps.exif_transpose(picture) if isinstance(encoded, Path) else picture
                pixels = np.asarray(_eight_bits(upright).convert(_MODES[channels]))
    except UnidentifiedImageError as error:
        raise UnreadableImage("not an image") from error
    except Image.DecompressionBombError as error:
        raise UnreadableImage(f"more than {MOST_PIXELS} pixels") from error
    except Exception as error:  # Pillow's readers fail in many types: OSError, SyntaxError, ValueError, struct.error
        raise UnreadableImage(getattr(error, "strerror", None) or one_line(error)) from error
    return resize(pixels.reshape(*pixels.shape[:2], channels), height, width)


@functools.cache
def _formats() -> tuple[str, ...]:
    Image.init()
    return tuple(name for name in Image.ID if name not in _STRANGE)


@functools.cache
def suffixes() -> frozenset[str]:
    """Of the files that are read as pictures, such as ``.jpg``, in lower case."""
    return frozenset(suffix for suffix, name in Image.registered_extensions().items() if name in _formats())


def _eight_bits(picture: Image.Image) -> Image.Image:
    # Pillow's conversion of 16-bit greys clips at 255 instead of scaling, which leaves a white picture.
    if picture.mode == "F":
        raise UnreadableImage("its pixels are floats, and nothing says which of them is white")
    if not picture.mode.startswith("I"):
        return picture
    return Image.fromarray((np.asarray(picture).astype(np.uint32) >> 8).clip(0, 255).astype(np.uint8))


def resize(image: Images, height: int, width: int) -> Images:
    """Bilinear, ``[h, w, K]`` to ``[height, width, K]``, the aspect ratio not kept, without antialiasing.

    Each output pixel samples the four input pixels around its centre, output pixel i lying at
    (i + 1/2) * in / out - 1/2, and is rounded to the nearest whole number. This is `tf.image.resize(.., "bilinear")`
    with its defaults, which the article used. Pillow's `Image.resize` widens the filter when it shrinks (antialiases)
    and would give smoother, different pictures; its `Image.transform` samples the same points but rounds down, which
    darkens by half a level.
    """
    if image.shape[:2] == (height, width):
        return image
    above, below, down = _neighbours(image.shape[0], height)
    left, right, across = _neighbours(image.shape[1], width)

    def blend_columns(rows: Images) -> NDArray[np.float32]:
        at_left, at_right = rows[:, left].astype(np.float32), rows[:, right].astype(np.float32)
        return at_left + (at_right - at_left) * across[None, :, None]

    upper, lower = blend_columns(image[above]), blend_columns(image[below])
    return (upper + (lower - upper) * down[:, None, None] + np.float32(0.5)).astype(np.uint8)


@functools.lru_cache(maxsize=1024)
def _neighbours(size: int, out: int) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float32]]:
    """For each of ``out`` pixels its neighbour before, the one after, and the share of the one after."""
    centre = (np.arange(out, dtype=np.float32) + np.float32(0.5)) * np.float32(size / out) - np.float32(0.5)
    before = np.floor(centre)
    low, high = (np.clip(before + step, 0, size - 1).astype(np.int64) for step in (0, 1))
    return low, high, (centre - before).astype(np.float32)


def in_threads(count: int, work: Callable[[range], None], *, title: str, progress: bool) -> None:
    """Calls ``work`` on consecutive ranges that make up 0..count-1, in threads (Pillow decodes without the lock).

    With ``progress`` a bar under this title runs on stderr. Whatever the first failing call raises comes out, or an
    interrupt; calls not yet begun are dropped then.
    """
    from rich.console import Console  # slow to import, and only needed here
    from rich.progress import Progress

    chunks = [range(start, min(start + _CHUNK, count)) for start in range(0, count, _CHUNK)]
    with (
        warnings.catch_warnings(),
        Progress(console=Console(stderr=True, quiet=not progress), disable=not progress) as bar,
        ThreadPoolExecutor(min(max(2, os.cpu_count() or 1), _MOST_THREADS)) as pool,
    ):
        warnings.filterwarnings("ignore", module="PIL")  # of what is decoded nonetheless, or refused by its size
        task = bar.add_task(title, total=count)
        for chunk, _ in zip(chunks, pool.map(work, chunks), strict=True):  # a failure cancels what has not begun
            bar.advance(task, len(chunk))


def cache_key(source: str, folder: Path, files: list[Path], image_size: int | None) -> dict[str, object]:
    """What a folder's decoded pictures depend on; files count by name, size and time of change; OSError: no access."""
    stamps = [(str(file.relative_to(folder)), (stat := file.stat()).st_size, stat.st_mtime_ns) for file in files]
    decoder = {"image_size": image_size, "decoder": VERSION, "pillow": PIL.__version__}
    return {"source": source, "path": str(folder.resolve()), "files": stamps, **decoder}
