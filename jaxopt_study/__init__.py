"""Train many optimizer configurations of one network at once, measure them, judge what is claimed of them."""

import importlib
from typing import TYPE_CHECKING, Any

from jaxopt_study.errors import EnvironmentFault, InputError
from jaxopt_study.history import History

if TYPE_CHECKING:  # each named twice: only so type checkers let others import it from here
    from jaxopt_study.api import Study as Study
    from jaxopt_study.api import make_study as make_study
    from jaxopt_study.api.comparison import Comparison as Comparison
    from jaxopt_study.api.comparison import compare as compare
    from jaxopt_study.data import Dataset as Dataset
    from jaxopt_study.data.arrays import arrays as arrays
    from jaxopt_study.data.frame import frame as frame
    from jaxopt_study.data.hugging_face import hf as hf
    from jaxopt_study.data.load import load as load
    from jaxopt_study.engine.watcher import Interrupted as Interrupted
    from jaxopt_study.grids.grid import Grid as Grid
    from jaxopt_study.grids.grid import make_grid as make_grid
    from jaxopt_study.layers.convolution import conv as conv
    from jaxopt_study.layers.pooling import max_pool as max_pool
    from jaxopt_study.models.build import article_model as article_model
    from jaxopt_study.models.own import functions as functions
    from jaxopt_study.models.own import nnx_model
    from jaxopt_study.optimizers import triangular as triangular
    from jaxopt_study.optimizers.family import Hyperparameter as Hyperparameter
    from jaxopt_study.optimizers.foreign import rule as rule
    from jaxopt_study.optimizers.foreign import scheduled as scheduled
    from jaxopt_study.optimizers.wrapped import wrapped as wrapped
    from jaxopt_study.report.problems import OverProblems as OverProblems
    from jaxopt_study.report.problems import over_problems as over_problems
    from jaxopt_study.report.tuning import tuning_curves as tuning_curves
    from jaxopt_study.settings import Execution as Execution
    from jaxopt_study.storage.store import load_runs as load_runs
    from jaxopt_study.storage.weights import load_model as load_model
    from jaxopt_study.training.metrics import Metric as Metric
    from jaxopt_study.training.metrics import macro_f1 as macro_f1
    from jaxopt_study.training.metrics import perplexity as perplexity

    nnx = nnx_model

# Imported when they are first asked for, so that reading results does not wait for JAX.
_LATER = {
    "Comparison": "api.comparison",
    "Dataset": "data",
    "Execution": "settings",
    "Grid": "grids.grid",
    "Hyperparameter": "optimizers.family",
    "Interrupted": "engine.watcher",
    "Metric": "training.metrics",
    "OverProblems": "report.problems",
    "Study": "api",
    "arrays": "data.arrays",
    "article_model": "models.build",
    "compare": "api.comparison",
    "conv": "layers.convolution",
    "frame": "data.frame",
    "functions": "models.own",
    "hf": "data.hugging_face",
    "load": "data",
    "load_model": "storage.weights",
    "load_runs": "storage.store",
    "macro_f1": "training.metrics",
    "make_grid": "grids.grid",
    "make_study": "api",
    "max_pool": "layers.pooling",
    "nnx": "models.own:nnx_model",
    "over_problems": "report.problems",
    "perplexity": "training.metrics",
    "rule": "optimizers.foreign",
    "scheduled": "optimizers.foreign",
    "triangular": "optimizers",
    "tuning_curves": "report.tuning",
    "wrapped": "optimizers.wrapped",
}

__all__ = ["EnvironmentFault", "History", "InputError", *_LATER]


def __getattr__(name: str) -> Any:
    if name in _LATER:
        module, _, other = _LATER[name].partition(":")
        return getattr(importlib.import_module(f"jaxopt_study.{module}"), other or name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
