"""Figures of runs: curves, heat maps, comparisons, and the machinery that gives them their words.

Everything is imported when it is first asked for: Matplotlib takes its time, and a training need not wait for it.
"""

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from jaxopt_study.plots import (
        captions,
        comparison,
        epoch_curves,
        heatmaps,
        labels,
        minima,
        picture,
        selection,
        style,
    )
    from jaxopt_study.plots.comparison import Bar, bars
    from jaxopt_study.plots.epoch_curves import curves, lines
    from jaxopt_study.plots.heatmaps import heat_map
    from jaxopt_study.plots.minima import minimum_by
    from jaxopt_study.plots.picture import Picture, SavedFigure, Source, save
    from jaxopt_study.plots.selection import NotDrawable

__all__ = [
    "Bar",
    "NotDrawable",
    "Picture",
    "SavedFigure",
    "Source",
    "bars",
    "captions",
    "comparison",
    "curves",
    "epoch_curves",
    "heat_map",
    "heatmaps",
    "labels",
    "lines",
    "minima",
    "minimum_by",
    "picture",
    "save",
    "selection",
    "style",
]

_OF_MODULE = {
    "Bar": "comparison",
    "NotDrawable": "selection",
    "Picture": "picture",
    "SavedFigure": "picture",
    "Source": "picture",
    "bars": "comparison",
    "curves": "epoch_curves",
    "heat_map": "heatmaps",
    "lines": "epoch_curves",
    "minimum_by": "minima",
    "save": "picture",
}


def __getattr__(name: str) -> object:
    if name in _OF_MODULE:
        return getattr(importlib.import_module(f"{__name__}.{_OF_MODULE[name]}"), name)
    if name in __all__:
        return importlib.import_module(f"{__name__}.{name}")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
