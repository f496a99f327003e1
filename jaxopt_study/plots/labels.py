"""Words and numbers as the figures write them: names of measures with their units, values, ranges."""

from collections.abc import Iterable, Mapping, Sequence

from jaxopt_study.analysis.numbers import number as number
from jaxopt_study.analysis.numbers import numbers as numbers

LOSSES = ("train_loss", "val_loss")
LOSS_UNIT = "cross-entropy, nats"
MEASURES: Mapping[str, tuple[str, str]] = {
    "train_loss": ("training loss", LOSS_UNIT),
    "val_loss": ("validation loss", LOSS_UNIT),
    "val_accuracy": ("validation accuracy", "share of examples"),
    "test_loss": ("test loss", LOSS_UNIT),
    "test_accuracy": ("test accuracy", "share of examples"),
    "oscillation": ("oscillation", "share of parameters"),
    "update_size": ("update size", "mean absolute value in a step"),
    "distance": ("distance per epoch", "Euclidean, of the weights"),
    "grad_norm": ("gradient norm", "Euclidean"),
    "update_norm": ("update norm", "Euclidean"),
    "param_norm": ("parameter norm", "Euclidean"),
    "sharpness": ("sharpness", "largest eigenvalue of the Hessian"),
    "over_edge": ("sharpness over its edge", "multiple of the edge of stability"),
}
"""By the name of the curve: what it is called, and its unit."""
HYPERPARAMETERS: Mapping[str, str] = {
    "learning_rate": "learning rate",
    "decay": "decay (rho)",
    "b1": "beta 1",
    "b2": "beta 2",
    "eps": "epsilon",
    "initial_accumulator_value": "initial accumulator",
    "base_learning_rate": "base rate",
    "max_learning_rate": "maximum rate",
    "step_size": "step size (epochs)",
}
SHORT: Mapping[str, str] = {
    "learning_rate": "lr",
    "decay": "rho",
    "base_learning_rate": "base",
    "max_learning_rate": "max",
    "step_size": "step",
}
GUARDS = ("eps", "initial_accumulator_value")
"""Hyperparameters that only guard against division by zero."""
OPTIMIZERS: Mapping[str, str] = {
    "sgd": "SGD",
    "momentum": "SGD with momentum",
    "momentum_ema": "SGD with averaged momentum",
    "nesterov": "Nesterov momentum",
    "rmsprop": "RMSprop",
    "adam": "Adam",
    "adagrad": "Adagrad",
    "cyclical": "cyclical learning rate",
    "adamw": "AdamW",
    "nadamw": "NAdamW",
    "lion": "Lion",
    "adan": "Adan",
    "ademamix": "AdEMAMix",
    "adopt": "ADOPT",
    "prodigy": "Prodigy",
    "schedule_free_sgd": "schedule-free SGD",
    "schedule_free_adamw": "schedule-free AdamW",
    "sophia": "Sophia",
    "muon": "Muon",
    "soap": "SOAP",
    "cautious_adamw": "cautious AdamW",
    "cautious_lion": "cautious Lion",
    "mars_adamw": "MARS-AdamW",
    "mars_lion": "MARS-Lion",
}


def measure(name: str) -> str:
    """Name of a measure in words."""
    return MEASURES[name][0] if name in MEASURES else name.replace("_", " ")


def minimum(loss: str) -> str:
    """Name of the minimum of a loss."""
    return f"minimum {measure(loss)}"


def axis(name: str) -> str:
    """Label of an axis: the measure and, on a second line, its unit."""
    return f"{measure(name)}\n({MEASURES[name][1]})" if name in MEASURES else measure(name)


def hyperparameter(name: str) -> str:
    """Name of a hyperparameter in words."""
    return HYPERPARAMETERS.get(name, name.replace("_", " "))


def short(name: str) -> str:
    """Name of a hyperparameter for file names and small print."""
    return SHORT.get(name, name)


def optimizer(name: str) -> str:
    """Name of an optimizer in words; one that begins as another is a kind of it: ``adamw_cosine``."""
    of = max((known for known in OPTIMIZERS if f"{name}_".startswith(f"{known}_")), key=len, default="")
    kind = name[len(of) :].strip("_").replace("_", " ")
    return ", ".join(filter(None, [OPTIMIZERS.get(of), kind]))


def shown(hyperparameters: Mapping[str, float]) -> dict[str, float]:
    """The numbers that a short text names: all but :data:`GUARDS`."""
    return {name: value for name, value in hyperparameters.items() if name not in GUARDS}


def together(names: str) -> str:
    """``learning_rate with b1`` of a table of importance, in the words of figures and pages."""
    return " with ".join(map(hyperparameter, names.split(" with ")))


def configuration(hyperparameters: Mapping[str, float]) -> str:
    """``lr 0.01, momentum 0.5``, without the numbers that only guard against division by zero."""
    return ", ".join(f"{short(name)} {number(value)}" for name, value in shown(hyperparameters).items())


def values(values: Sequence[float | str]) -> list[str]:
    """As :func:`numbers`, or as :func:`optimizer`."""
    texts = iter(numbers([value for value in values if not isinstance(value, str)]))
    return [optimizer(value) if isinstance(value, str) else next(texts) for value in values]


def loss(value: float) -> str:
    """A loss to three decimals, or two or three significant digits where it is small or large."""
    return f"{value:.3f}" if 0.01 <= abs(value) < 100 else f"{value:.{2 if abs(value) < 1 else 3}g}"


def listing(items: Iterable[str]) -> str:
    """``a, b and c``."""
    *head, last = list(items) or [""]
    return f"{', '.join(head)} and {last}" if head else last


def counted(count: int, noun: str) -> str:
    """``1 seed``, ``3 seeds``."""
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


def spread(values: Iterable[int]) -> str:
    """``3`` for one value, ``3-7`` for several."""
    low, *rest = sorted(set(values))
    return f"{low}-{rest[-1]}" if rest else f"{low}"


def sentence(text: str) -> str:
    """``text`` with a capital at its beginning and the rest as it is."""
    return text[:1].upper() + text[1:]
