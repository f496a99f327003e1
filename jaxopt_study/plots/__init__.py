"""Figures of runs: curves, heat maps, comparisons, and the machinery that gives them their words."""

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
    "curves",
    "heat_map",
    "lines",
    "minimum_by",
    "save",
]
