"""Figures of runs: curves, heat maps, comparisons and the counterparts of the article's figures."""

from jaxopt_study.plots.epoch_curves import curves, lines
from jaxopt_study.plots.figures import EXPERIMENTS, SavedFigure, figures_for, save_figures
from jaxopt_study.plots.heatmaps import heat_map
from jaxopt_study.plots.illustrations import constant_gradient
from jaxopt_study.plots.recipes import Picture
from jaxopt_study.plots.saving import save
from jaxopt_study.plots.selection import NotDrawable

__all__ = [
    "EXPERIMENTS",
    "NotDrawable",
    "Picture",
    "SavedFigure",
    "constant_gradient",
    "curves",
    "figures_for",
    "heat_map",
    "lines",
    "save",
    "save_figures",
]
