"""Update rules as Optax transformations, the article's and those of later years; every number may be traced."""

from jaxopt_study.optimizers.adagrad import adagrad
from jaxopt_study.optimizers.adam import adam
from jaxopt_study.optimizers.adamw import adamw
from jaxopt_study.optimizers.adan import adan
from jaxopt_study.optimizers.ademamix import ademamix
from jaxopt_study.optimizers.adopt import adopt
from jaxopt_study.optimizers.cautious import cautious, cautious_adamw, cautious_lion
from jaxopt_study.optimizers.cyclical import triangular
from jaxopt_study.optimizers.lion import lion
from jaxopt_study.optimizers.mars import mars_adamw, mars_lion, variance_reduced
from jaxopt_study.optimizers.momentum import momentum, momentum_ema
from jaxopt_study.optimizers.muon import muon
from jaxopt_study.optimizers.nesterov import nesterov
from jaxopt_study.optimizers.prodigy import prodigy
from jaxopt_study.optimizers.rmsprop import rmsprop
from jaxopt_study.optimizers.sam import sam
from jaxopt_study.optimizers.schedule_free import schedule_free_adamw, schedule_free_sgd
from jaxopt_study.optimizers.sgd import sgd
from jaxopt_study.optimizers.soap import soap
from jaxopt_study.optimizers.sophia import sophia

__all__ = [
    "adagrad",
    "adam",
    "adamw",
    "adan",
    "ademamix",
    "adopt",
    "cautious",
    "cautious_adamw",
    "cautious_lion",
    "lion",
    "mars_adamw",
    "mars_lion",
    "momentum",
    "momentum_ema",
    "muon",
    "nesterov",
    "prodigy",
    "rmsprop",
    "sam",
    "schedule_free_adamw",
    "schedule_free_sgd",
    "sgd",
    "soap",
    "sophia",
    "triangular",
    "variance_reduced",
]
