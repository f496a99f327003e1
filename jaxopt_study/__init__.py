"""Train many optimizer configurations of one network at once, measure them, judge what is claimed of them."""

import importlib
from typing import TYPE_CHECKING, Any

from jaxopt_study.errors import EnvironmentFault, InputError
from jaxopt_study.history import History

if TYPE_CHECKING:
    from jaxopt_study.store import load_runs
    from jaxopt_study.weights import load_model

__all__ = ["EnvironmentFault", "History", "InputError", "load_model", "load_runs"]

# Imported when they are first asked for, so that reading results does not wait for JAX.
_LATER = {"load_runs": "jaxopt_study.store", "load_model": "jaxopt_study.weights"}


def __getattr__(name: str) -> Any:
    if name in _LATER:
        return getattr(importlib.import_module(_LATER[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
