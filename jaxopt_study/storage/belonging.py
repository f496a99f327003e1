"""Which finished runs are of the data, network and settings that a config.json tells."""

import copy
import functools
import hashlib
import json
from collections.abc import Mapping
from typing import Any

from jaxopt_study.grids.run import Run, fingerprint, make_run, of_model
from jaxopt_study.history import History
from jaxopt_study.optimizers import registry

OWN_RULES = "own_rules"
"""In config.json, of the runs that were asked for of rules of the user's own: their fingerprints by what their studies
depend on, the rule's name and its code, the last of which is today's. Where the rule is not in the process that reads,
nothing else tells whose its runs are."""


class Belonging:
    """Which runs are those of a work directory with this config.json; where that is empty, all."""

    def __init__(self, config: Mapping[str, Any]) -> None:
        self.config = config
        self.identity: Mapping[str, Any] = config.get("identity", {})

    @functools.cached_property
    def named(self) -> dict[str, Run]:
        """As :func:`named`."""
        return named(self.config) if self.identity else {}

    @functools.cached_property
    def models(self) -> dict[tuple[tuple[str, float], ...], str]:
        """As :func:`models_of`."""
        return models_of(self.config) if self.identity else {}

    @functools.cached_property
    def _data(self) -> dict[int, str]:
        return data_of(self.config)

    @functools.cached_property
    def _told(self) -> set[str]:
        studies = self.config.get(OWN_RULES, {}).values()
        return {known for rules in studies for codes in rules.values() for runs in codes.values() for known in runs}

    def has(self, known: str, history: History) -> bool:
        """Whether the run with the fingerprint ``known`` is of this data, network and settings.

        Of a rule that is not in this process so is one that earlier versions did not tell of.
        """
        if not self.identity or known in self.named:
            return True
        run = registered(history.optimizer, history.hyperparameters, history.seed, history.data_seed)
        if run:
            return fingerprint(run, self.identity, self._data, self.models) == known
        codes = self.config.get(OWN_RULES, {}).get(_key(self.identity), {}).get(history.optimizer, {})
        return known not in self._told or (bool(codes) and known in list(codes.values())[-1])


def own_rules(
    config: Mapping[str, Any], identity: Mapping[str, Any], fingerprints: Mapping[Run, str]
) -> dict[str, dict[str, dict[str, list[str]]]]:
    """:data:`OWN_RULES` of a config.json, with those of the runs of a study."""
    studies: dict[str, dict[str, dict[str, list[str]]]] = copy.deepcopy(config.get(OWN_RULES, {}))
    for rule in dict.fromkeys(run.optimizer for run in fingerprints):
        if code := registry.family(rule).identity:
            codes = studies.setdefault(_key(identity), {}).setdefault(rule, {})
            runs = [known for run, known in fingerprints.items() if run.optimizer == rule]
            codes[code] = list(dict.fromkeys([*codes.pop(code, ()), *runs]))
    return studies


def _key(identity: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(identity, sort_keys=True).encode()).hexdigest()[:20]


def named(config: Mapping[str, Any]) -> dict[str, Run]:
    """The name of each computation in the grid of a config.json: the canonical one where the grid has it, else the
    first."""
    names: dict[str, Run] = {}
    data, models = data_of(config), models_of(config)
    for run in runs_in(config):
        key = fingerprint(run, config["identity"], data, models)
        own = {name: value for name, value in run.hyperparameters if (name, value) not in of_model(run)}
        if key not in names or registry.canonical(run.optimizer, own)[0] == run.optimizer:
            names[key] = run
    return names


def runs_in(config: Mapping[str, Any]) -> list[Run]:
    """The runs of the grid of a config.json, but those of a rule that was put into the registry elsewhere."""
    runs = []
    for entry in config.get("grid", ()):
        numbers = {name: value for name, value in entry.items() if name not in ("optimizer", "seed", "data_seed")}
        runs.append(registered(entry["optimizer"], numbers, entry["seed"], entry.get("data_seed")))
    return [run for run in runs if run]


def data_of(config: Mapping[str, Any]) -> dict[int, str]:
    """The fingerprints of the data of a config.json by the data seeds of runs that have one."""
    return {int(seed): each for seed, each in config.get("data_seeds", {}).items()}


def models_of(config: Mapping[str, Any]) -> dict[tuple[tuple[str, float], ...], str]:
    """The identities of the networks of a config.json by the values of the axes of runs that have any."""
    axes = dict.fromkeys(of_model(run) for run in runs_in(config))  # in the order of the networks
    return dict(zip(axes, config.get("models", [config["identity"]["model"]]), strict=False))


def registered(optimizer: str, numbers: Mapping[str, float], seed: int, data_seed: int | None) -> Run | None:
    """The run with these numbers, those of the network's own axes last; None of a rule that was put into the registry
    elsewhere."""
    if optimizer not in registry.OPTIMIZERS:
        return None
    known = registry.family(optimizer).known()
    run = make_run(optimizer, {name: value for name, value in numbers.items() if name in known}, seed)
    of_network = tuple((name, float(value)) for name, value in numbers.items() if name not in known)
    return run._replace(hyperparameters=run.hyperparameters + of_network, data_seed=data_seed)
