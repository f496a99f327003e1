"""The library's front: a user's own network, data, optimizers and grid in, tables, figures and a report out."""

from jaxopt_study.api.make import make_study
from jaxopt_study.api.study import Study

__all__ = ["Study", "make_study"]
