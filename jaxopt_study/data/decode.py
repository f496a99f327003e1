"""From encoded pictures to pixels, many at a time."""

import io
import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import contextmanager, nullcontext
from pathlib import Path

import numpy as np
import PIL
from PIL import Image, ImageOps, UnidentifiedImageError

from jaxopt_study.data.dataset import Images
from jaxopt_study.data.resize import resize

VERSION = 1  # raise it whenever the pixels of a picture would come out differently: it is part of the cache's key
_CHUNK = 256
_MOST_THREADS = 16  # beyond, they wait for the interpreter's lock
_MODES = {1: "L", 3: "RGB", 4: "RGBA"}


class UnreadableImage(Exception):
    """A picture that Pillow cannot decode; the message is one line."""


def pixels(encoded: bytes | Path, channels: int, height: int, width: int) -> Images:
    """Decodes one picture and resizes it.

    Args:
      encoded: JPEG or PNG, as bytes or as a file. Of a file the orientation in its EXIF data is applied.
      channels: 1 (grey), 3 (RGB) or 4 (RGBA).
      height, width: Of the result.

    Returns:
      uint8 [height, width, channels].

    Raises:
      UnreadableImage: not a picture, cut short, or too large to be one.
    """
    try:
        with Image.open(io.BytesIO(encoded) if isinstance(encoded, bytes) else encoded) as picture:
            upright = ImageOps.exif_transpose(picture) if isinstance(encoded, Path) else picture
            flat = np.asarray(_eight_bits(upright).convert(_MODES[channels]))
    except UnidentifiedImageError as error:
        raise UnreadableImage("not an image") from error
    except Exception as error:  # Pillow's readers fail in many types: OSError, SyntaxError, ValueError, struct.error
        text = getattr(error, "strerror", None) or str(error) or type(error).__name__
        raise UnreadableImage(" ".join(text.split())) from error
    return resize(flat.reshape(*flat.shape[:2], channels), height, width)


def in_threads(count: int, work: Callable[[range], None], *, title: str, progress: bool) -> None:
    """Calls work on consecutive ranges that make up 0..count-1, in threads (Pillow decodes without holding the lock).

    Args:
      count: Number of items.
      work: Called with a range of items; called from several threads at once.
      title: What the progress bar says.
      progress: Whether to show it, on stderr.

    Raises:
      What the first failing call raised; calls not yet begun are dropped.
    """
    chunks = [range(start, min(start + _CHUNK, count)) for start in range(0, count, _CHUNK)]
    with (
        _bar(title, count) if progress else nullcontext(lambda advance: None) as advance,
        ThreadPoolExecutor(min(max(2, os.cpu_count() or 1), _MOST_THREADS)) as pool,
    ):
        running = {pool.submit(work, chunk): len(chunk) for chunk in chunks}
        try:
            for done in as_completed(running):
                done.result()
                advance(running[done])
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise


@contextmanager
def _bar(title: str, count: int) -> Iterator[Callable[[int], None]]:
    from rich.console import Console  # slow to import, and only needed here
    from rich.progress import Progress

    with Progress(console=Console(stderr=True)) as progress:
        task = progress.add_task(title, total=count)
        yield lambda advance: progress.advance(task, advance)


def _eight_bits(picture: Image.Image) -> Image.Image:
    # Pillow's conversion of 16-bit greys clips at 255 instead of scaling, which leaves a white picture.
    if not picture.mode.startswith("I"):
        return picture
    return Image.fromarray((np.asarray(picture).astype(np.uint32) >> 8).clip(0, 255).astype(np.uint8))


def key(image_size: int | None) -> dict[str, object]:
    """The part of a cache key that every decoded source shares."""
    return {"image_size": image_size, "decoder": VERSION, "pillow": PIL.__version__}
