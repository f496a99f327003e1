"""Figures as they stand in the page: inside it, with their words."""

import base64
import re
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from jaxopt_study.errors import EnvironmentFault
from jaxopt_study.plots import SavedFigure

LARGEST_SVG = 400_000
"""Bytes of an SVG above which the PNG goes into the page: curves of many epochs would make it slow to open."""


class Illustration(NamedTuple):
    """A figure of the page.

    Attributes:
        name: as its file is named; ``figNN`` at its beginning is its number.
        caption: a sentence or a few, plain text.
        alt_text: what it shows, for those who do not see it.
        source: a ``data:`` address.
    """

    name: str
    caption: str
    alt_text: str
    source: str

    @property
    def number(self) -> int | None:
        """The figure's number, where its name has one."""
        found = re.match(r"fig(\d+)", self.name)
        return int(found[1]) if found else None


def illustrations(saved: Sequence[SavedFigure]) -> list[Illustration]:
    """Reads written figures.

    Raises:
        EnvironmentFault: a file cannot be read.
    """
    return [Illustration(one.name, one.caption, one.alt_text, _address(one.svg, one.png)) for one in saved]


def _address(svg: Path, png: Path) -> str:
    try:
        large = svg.stat().st_size > LARGEST_SVG
        content = (png if large else svg).read_bytes()
    except OSError as error:
        raise EnvironmentFault(f"{error.filename} cannot be read ({error.strerror})") from error
    kind = "image/png" if large else "image/svg+xml"
    return f"data:{kind};base64,{base64.b64encode(content).decode('ascii')}"
