"""The plotting library that the page carries, as it was released: d3, and Observable Plot that draws with it."""

import base64
import hashlib
from importlib import resources
from typing import NamedTuple


class Library(NamedTuple):
    """A released file in ``report/vendor``, unchanged, with its licence beside it.

    Attributes:
        name: on npm.
        version: of the release.
        file: its name, there and here.
        sha256: of the file as it was released.
        licence: by its SPDX name.
    """

    name: str
    version: str
    file: str
    sha256: str
    licence: str

    @property
    def source(self) -> str:
        """The script."""
        return (resources.files("jaxopt_study.report") / "vendor" / self.file).read_text(encoding="utf-8")


LIBRARIES = (
    Library(
        "d3", "7.9.2", "d3.min.js",
        "912111098ea99503a6f4967361d2bbdc9dbf58cf9c678c8e27e5b02d1a07f0c1", "ISC",
    ),
    Library(
        "@observablehq/plot", "0.6.17", "plot.umd.min.js",
        "4358086467740777dd788d6b27a95cebdbaefdd50c730a3060117073bd7134cb", "ISC",
    ),
)  # fmt: skip
"""In the order in which the page needs them."""

PLOT_CLASS = "plot"
"""Class of the pictures that Plot draws."""
PLOT_STYLE = f""":where(.{PLOT_CLASS}) {{
  --plot-background: white;
  display: block;
  height: auto;
  height: intrinsic;
  max-width: 100%;
}}
:where(.{PLOT_CLASS} text),
:where(.{PLOT_CLASS} tspan) {{
  white-space: pre;
}}"""
"""What Plot writes into each picture as a style sheet, which the page's content security policy has to name."""


def policy_hash(source: str) -> str:
    """A script or a style sheet as a content security policy names it."""
    return f"'sha256-{base64.b64encode(hashlib.sha256(source.encode()).digest()).decode('ascii')}'"
