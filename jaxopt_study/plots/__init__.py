"""Figures of runs: curves, heat maps, comparisons and the counterparts of the article's figures."""

from experiments.article.figures import EXPERIMENTS, SavedFigure, figures_for, save_figures
from experiments.article.illustrations import constant_gradient
from experiments.article.ratios import convergence_ratios
from experiments.article.recipes import Picture
from experiments.article.schedule import cycle
from experiments.article.trajectories import bowl
from jaxopt_study.plots.comparison import Bar, bars
from jaxopt_study.plots.epoch_curves import curves, lines
from jaxopt_study.plots.heatmaps import heat_map
from jaxopt_study.plots.minima import minimum_by
from jaxopt_study.plots.saving import save
from jaxopt_study.plots.selection import NotDrawable

__all__ = [
    "EXPERIMENTS",
    "Bar",
    "NotDrawable",
    "Picture",
    "SavedFigure",
    "bars",
    "bowl",
    "constant_gradient",
    "convergence_ratios",
    "curves",
    "cycle",
    "figures_for",
    "heat_map",
    "lines",
    "minimum_by",
    "save",
    "save_figures",
]
