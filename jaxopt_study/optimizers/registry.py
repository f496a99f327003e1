"""Which optimizers there are, and the checks of the numbers that they are given."""

import importlib
import math
from collections.abc import Iterable, Mapping
from difflib import get_close_matches

import optax

from jaxopt_study.analysis.minima import Summary
from jaxopt_study.errors import InputError
from jaxopt_study.history import CURVES, OPTIONAL_CURVES, plain_name
from jaxopt_study.optimizers import protocol
from jaxopt_study.optimizers.family import COMMON, Family, as_used
from jaxopt_study.optimizers.preconditioner import PRECONDITIONERS, Preconditioner
from jaxopt_study.optimizers.scalars import Scalar

ARTICLE = ("sgd", "momentum", "nesterov", "rmsprop", "adam", "adagrad", "cyclical")
"""Modules of this package with the article's rules; each says in ``FAMILIES`` which. Tables and figures follow this
order, and then that of :data:`RECENT`."""

RECENT = (
    "adamw",
    "lion",
    "adan",
    "ademamix",
    "adopt",
    "prodigy",
    "schedule_free",
    "sophia",
    "muon",
    "soap",
    "cautious",
    "mars",
)
"""Modules with rules from 2016 on."""

TAKEN = {
    "epoch",
    *CURVES,
    *OPTIONAL_CURVES,
    "optimizer",
    "seed",
    "data_seed",
    "reason",
    "fingerprint",
    "batch_size",
    "matmul_precision",
} | {*Summary._fields}
"""What every run has in its file, in summary.csv or in config.json: no number of a rule may have such a name."""


def _families(modules: Iterable[str]) -> dict[str, Family]:
    found = (importlib.import_module(f"jaxopt_study.optimizers.{module}").FAMILIES for module in modules)
    return {family.name: family for families in found for family in families}


# Defaults are Keras's, but for momentum, which is off there and would make three families plain SGD; those of recent
# rules are their authors'.
OF_ARTICLE = tuple(_families(ARTICLE))
"""The names of the article's rules."""
OPTIMIZERS: dict[str, Family] = _families((*ARTICLE, *RECENT))


def check_name(what: str, name: str, known: Iterable[str], owner: str = "") -> None:
    """Refuses a name that is none of those known: InputError with the nearest of them."""
    names = list(known)
    if name not in names:
        nearest = get_close_matches(str(name)[:99], names, n=1, cutoff=0.5)
        hint = f"did you mean {nearest[0]}? " if nearest else ""
        raise InputError(what, name, f"{hint}allowed{owner} are {', '.join(names)}")


def family(name: str) -> Family:
    """Returns the optimizer of that name; InputError, with the nearest name, if there is none."""
    if isinstance(name, str) and name not in OPTIMIZERS and callable(getattr(optax, name, None)):
        allowed = f"did you mean Optax's function, optax.{name}? allowed by name are {', '.join(OPTIMIZERS)}"
        raise InputError("optimizer", name, allowed)
    check_name("optimizer", name, OPTIMIZERS)
    return OPTIMIZERS[name]


def add(family: Family) -> Family:
    """Makes a rule known under its name; adding the same one again changes nothing, an edited one takes its place.

    Returns:
        The rule that has the name now.

    Raises:
        InputError: another rule has the name, and what differs; or a hyperparameter has that of what is measured of
            every run.
    """
    for number in (*family.hyperparameters, *family.optional):
        if number.name.lower() in TAKEN:
            allowed = f"every run has this beside the numbers of {family.name}; allowed is another name, or one value"
            raise InputError("hyperparameter", number.name, f"{allowed}, static={{{number.name!r}: ..}}")
    known = OPTIMIZERS.get(family.name)
    if known is None or (known.identity and known.identity == family.identity):
        return OPTIMIZERS.setdefault(family.name, family)
    if not known.identity or not family.same_but_edited(known):
        allowed = 'allowed is another name: js.rule(.., name="..") or js.scheduled(..) makes what js.make_grid takes'
        differing = f"there is another rule of this name, which differs in {family.differs_in(known)}"
        raise InputError("name", family.name, f"{differing}; {allowed}")
    OPTIMIZERS[family.name] = family
    return family


def build(family: Family, numbers: Mapping[str, Scalar], steps_per_epoch: int) -> optax.GradientTransformationExtraArgs:
    """The rule with its numbers, preceded by what :data:`COMMON` names: gradients clipped, then decayed weights added.

    Args:
        family: the rule.
        numbers: floats or traced float32 [], without the batch size.
        steps_per_epoch: for schedules.
    """
    before, rest = [], dict(numbers)
    for name, make in (("max_norm", optax.clip_by_global_norm), ("weight_decay", optax.add_decayed_weights)):
        if not family.has(name) and name in rest:
            before.append(make(rest.pop(name)))
    rule = protocol.adapted(family.make(rest, steps_per_epoch))
    return optax.with_extra_args_support(optax.chain(*before, rule) if before else rule)


def eval_params(family: Family, names: Iterable[str]) -> protocol.EvalParams:
    """How the weights to be judged come from the state of what :func:`build` makes of numbers of these names."""
    own = family.eval_params
    if own is None:
        return protocol.eval_params
    if all(family.has(name) for name in names if name in ("max_norm", "weight_decay")):
        return own
    return lambda state, params: own(state[-1], params)  # the last of a chain


def preconditioner(family: Family, names: Iterable[str]) -> Preconditioner | None:
    """What a rule given numbers of these names divides by, from the state of what :func:`build` makes; None if it is
    not known."""
    own = PRECONDITIONERS.get(family.name)
    if own is None or all(family.has(name) for name in names if name in ("max_norm", "weight_decay")):
        return own
    return lambda numbers, state: own(numbers, state[-1])  # the last of a chain


def check(family: Family, hyperparameters: Mapping[str, object]) -> dict[str, float]:
    """Returns all numbers of ``family`` in its own order, defaults filled in, then the others that are given.

    Raises:
        InputError: if a name is unknown, or a value is not a finite number in its range or not in order with another.
    """
    known, fixed = family.known(), dict(family.fixed)
    for name, value in hyperparameters.items():
        if name not in known and name in fixed:
            raise InputError(name, value, fixed[name])
        check_name("hyperparameter", name, known, f" for {family.name}")
    numbers = {number.name: number.default for number in family.hyperparameters} | dict(hyperparameters)
    for number in family.hyperparameters:
        if number.name not in hyperparameters and math.isnan(number.default):
            allowed = f"{family.name} has no default for it; allowed is {number.allowed}"
            raise InputError(number.name, "nothing", allowed)
    values = {name: known[name].check(value) for name, value in numbers.items()}
    for low, high in family.ordered:
        if values[low] > values[high]:
            raise InputError(low, values[low], f"allowed is at most {high}={values[high]}")
    return values


def canonical(optimizer: str, hyperparameters: Mapping[str, object]) -> tuple[str, dict[str, float]]:
    """Returns the one name and the numbers of a run that other names lead to as well.

    Momentum 0 in any formulation is SGD, and so is a cycle from a rate to itself: their updates are equal bit for bit.
    L2 regularisation times 0 is none.
    Whoever asks whether a run was trained before must ask for this name.

    Raises:
        InputError: as :func:`family` and :func:`check`.
    """
    rule = family(optimizer)
    values = check(rule, hyperparameters)
    if values.get("weight_decay") == 0.0 and not rule.has("weight_decay"):
        del values["weight_decay"]
    extra = {n.name: values[n.name] for n in COMMON if n.name in values and not rule.has(n.name)}
    base, top = (as_used(values.get(name, 0.0)) for name in ("base_learning_rate", "max_learning_rate"))
    if optimizer == "cyclical" and base == top:
        return "sgd", {"learning_rate": values["base_learning_rate"], **extra}
    return plain_name(optimizer, values)
