"""Train many optimizer configurations of one network at once, measure them, judge what is claimed of them."""

from jaxopt_study.errors import EnvironmentFault, InputError
from jaxopt_study.history import History
from jaxopt_study.store import load_runs

__all__ = ["EnvironmentFault", "History", "InputError", "load_runs"]
