"""Which runs a study has: hyperparameter axes times seeds, each run known by a fingerprint."""

import hashlib
import itertools
import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from jaxopt_study.optimizers import registry
from jaxopt_study.optimizers.family import PRECISION
from jaxopt_study.settings import PRECISIONS, of_precision


class Run(NamedTuple):
    """One configuration with one seed.

    Attributes:
        optimizer: name in the registry.
        hyperparameters: all numbers of the rule, defaults included, as ``(name, value)`` in the registry's order; then
            those of the network's own axes, see :func:`of_model`.
        seed: of weights and dropout.
        data_seed: of the order of the examples and, without a fixed split, of that; None for the study's own.
    """

    optimizer: str
    hyperparameters: tuple[tuple[str, float], ...]
    seed: int
    data_seed: int | None = None


OF_STUDY = ("batch_size", "max_epochs", "patience", PRECISION)
"""What a study says of all its runs, and a run may say of itself, unless its rule has a number of that name; of the
precision the place in ``settings.PRECISIONS``."""


class Signature(NamedTuple):
    """What a program must know of a run's rule beforehand.

    Attributes:
        optimizer: name in the registry.
        names: of the numbers that it is given: the rule's, and the most epochs of the run where it wants to know them.
    """

    optimizer: str
    names: tuple[str, ...]


class Group(NamedTuple):
    """Runs that train together on the same batches: of one size, in one order, of one network and one precision.

    Attributes:
        batch_size: None for the study's own.
        data_seed: likewise.
        rule: that all of them have; None where it is no matter.
        model: values of the network's own axes.
        precision: place of that of its products in ``settings.PRECISIONS``; None for the study's own.
    """

    batch_size: int | None = None
    data_seed: int | None = None
    rule: Signature | None = None
    model: tuple[tuple[str, float], ...] = ()
    precision: int | None = None


def group(run: Run) -> Group:
    """The group that a run is in."""
    size, precision = of_study(run, "batch_size"), of_study(run, PRECISION)
    return Group(size, run.data_seed, model=of_model(run), precision=precision)


def signature(run: Run) -> Signature:
    """What a program must know of a run's rule."""
    family = registry.OPTIMIZERS.get(run.optimizer)  # None of a checkpoint's runs whose rule is not there any more
    has = family.has if family else OF_STUDY.__contains__
    own = [name for name, _ in of_model(run)]
    names = [name for name, _ in run.hyperparameters if name not in own and (name not in OF_STUDY or has(name))]
    return Signature(run.optimizer, (*names, *["max_epochs"] * (family is not None and family.whole_run)))


def of_model(run: Run) -> tuple[tuple[str, float], ...]:
    """The values of the network's own axes, see ``models.variants``: numbers that are none of the rule's."""
    family = registry.OPTIMIZERS.get(run.optimizer)
    known = family.known() if family else {name for name, _ in run.hyperparameters}
    return tuple(each for each in run.hyperparameters if each[0] not in known)


def of_study(run: Run, name: str) -> int | None:
    """What a run says of itself where else the study says it, one of :data:`OF_STUDY`; None where it does not."""
    value = dict(run.hyperparameters).get(name)
    return None if value is None or registry.family(run.optimizer).has(name) else int(value)


def said(runs: Sequence[Run]) -> list[str]:
    """What all of some runs say of themselves, by its names in the identity of their study, see :func:`fingerprint`."""
    names = [name for name in OF_STUDY if all(of_study(run, name) is not None for run in runs)]
    has_data_seed, has_model = (all(run.data_seed is not None for run in runs), all(map(of_model, runs)))
    return [*names, *["data", "data_seed"] * has_data_seed, *["model"] * has_model]


def make_run(optimizer: str, hyperparameters: Mapping[str, float], seed: int) -> Run:
    """A checked run, defaults filled in; InputError: rule or hyperparameter unknown, or a value out of its range."""
    checked = registry.check(registry.family(optimizer), hyperparameters)
    return Run(optimizer, tuple(checked.items()), seed)


def with_seeds(optimizer: str, points: Iterable[Mapping[str, float]], seeds: int) -> list[Run]:
    """Each point with every seed ``0 .. seeds - 1``; the seed varies fastest."""
    runs = (make_run(optimizer, point, 0) for point in points)
    return [run._replace(seed=seed) for run in runs for seed in range(seeds)]


def product(optimizer: str, axes: Mapping[str, Sequence[float]], seeds: int) -> list[Run]:
    """Every combination of the axes' values with every seed ``0 .. seeds - 1``; the seed varies fastest."""
    points = itertools.product(*axes.values())
    return with_seeds(optimizer, (dict(zip(axes, point, strict=True)) for point in points), seeds)


def fingerprint(
    run: Run,
    study: Mapping[str, Any],
    data: Mapping[int, str] | None = None,
    models: Mapping[tuple[tuple[str, float], ...], str] | None = None,
) -> str:
    """20 hex digits that are the same for two runs exactly if they compute the same thing.

    Numbers count as the float32 that they are computed with; a rule that its numbers reduce to another (momentum 0)
    counts as that other.

    Args:
        run: the run.
        study: what all runs share and the result depends on; JSON values.
        data: fingerprints of the data by the data seeds of runs that have one. Such a run is the same as one of a study
            whose only data seed it is.
        models: identities of the networks by the values of their axes, of runs that have any. Such a run is the same as
            one of a study whose only network it is.
    """
    if axes := of_model(run):
        study = {**study, "model": (models or {}).get(axes)}
        run = run._replace(hyperparameters=tuple(each for each in run.hyperparameters if each not in axes))
    if run.data_seed is not None:
        study = {**study, "data_seed": run.data_seed, "data": (data or {}).get(run.data_seed)}
    optimizer, numbers = registry.canonical(run.optimizer, dict(run.hyperparameters))
    for name in OF_STUDY:  # the same run as one of a study that says this of all
        if name in numbers and not registry.family(optimizer).has(name):
            study = {**study, name: int(numbers.pop(name))}
    if isinstance(study.get(PRECISION), int):
        own = PRECISIONS[study[PRECISION]]
        study = {name: value for name, value in study.items() if name != PRECISION} | of_precision(own)
    exact = {name: np.float32(value).tobytes().hex() for name, value in numbers.items()}
    described = {"study": study, "optimizer": optimizer, "numbers": exact, "seed": run.seed}
    if registry.family(optimizer).identity:
        described["rule"] = registry.family(optimizer).identity
    text = json.dumps(described, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:20]


def digest(fingerprints: Iterable[str]) -> str:
    """20 hex digits of a set of runs, in any order."""
    return hashlib.sha256(" ".join(sorted(fingerprints)).encode()).hexdigest()[:20]
