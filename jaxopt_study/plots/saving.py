"""Writing figures: PNG for looking at, SVG for print, each whole or not at all."""

import os
from pathlib import Path

from matplotlib.figure import Figure

from jaxopt_study.files import write_atomically
from jaxopt_study.plots import style

FORMATS = ("png", "svg")


def save(figure: Figure, folder: str | os.PathLike[str], name: str) -> list[Path]:
    """Writes ``folder/name.png`` (150 dots an inch) and ``folder/name.svg``; a reader never sees half a file.

    Args:
        figure: the figure.
        folder: is made if it is not there.
        name: file name without its ending.

    Returns:
        The paths, in the order of ``FORMATS``.

    Raises:
        EnvironmentFault: the folder cannot be written or the disk is full.
    """
    paths = [Path(folder) / f"{name}.{kind}" for kind in FORMATS]
    for path in paths:
        write_atomically(path, lambda temporary: _draw(figure, temporary))
    return paths


def _draw(figure: Figure, path: Path) -> None:
    # Without its date the same runs give the same file.
    metadata = {"Date": None} if path.suffix == ".svg" else None
    with style.applied():
        figure.savefig(path, format=path.suffix[1:], metadata=metadata)
