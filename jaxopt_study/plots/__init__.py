"""Figures of runs: curves, heat maps, comparisons, and the machinery that gives them their words.

A module is imported when it is first asked for, as ``plots.picture``: Matplotlib takes its time, and a chapter, whose
figures stand beside its grid, need not wait for it before it trains.
"""

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from jaxopt_study.plots import (
        captions,
        comparison,
        epoch_curves,
        estimates,
        labels,
        picture,
        selection,
        style,
        tuning,
    )

__all__ = ["captions", "comparison", "epoch_curves", "estimates", "labels", "picture", "selection", "style", "tuning"]


def __getattr__(name: str) -> object:
    if name in __all__:
        return importlib.import_module(f"{__name__}.{name}")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
