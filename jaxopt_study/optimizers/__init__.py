"""The article's update rules as Optax transformations; every number of theirs may be traced."""

from jaxopt_study.optimizers.adagrad import adagrad
from jaxopt_study.optimizers.adam import adam
from jaxopt_study.optimizers.cyclical import triangular
from jaxopt_study.optimizers.momentum import momentum, momentum_ema
from jaxopt_study.optimizers.nesterov import nesterov
from jaxopt_study.optimizers.rmsprop import rmsprop
from jaxopt_study.optimizers.sgd import sgd

__all__ = ["adagrad", "adam", "momentum", "momentum_ema", "nesterov", "rmsprop", "sgd", "triangular"]
