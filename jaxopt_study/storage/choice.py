"""Which run's weights are meant, and what they are of: never those of another network, study or data."""

import itertools
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from jaxopt_study.analysis.best import best_run
from jaxopt_study.analysis.minima import Monitor
from jaxopt_study.analysis.runs import has
from jaxopt_study.errors import EnvironmentFault, InputError
from jaxopt_study.grids.run import of_model
from jaxopt_study.history import History
from jaxopt_study.models.build import Model, article_model
from jaxopt_study.models.own import model_of
from jaxopt_study.storage import workdir
from jaxopt_study.storage.belonging import Belonging, registered
from jaxopt_study.storage.store import numbers_of, read_runs

NOTES = "digest.json"
"""Beside a run's weights: their digest and, since it is written there, what they are of."""
_RUN = (
    "allowed is a fingerprint, the name of a file in runs/ without its ending, or a dictionary of what singles it out"
)


class Choice(NamedTuple):
    """A run whose weights are there.

    Attributes:
        run: its fingerprint.
        model: its network.
        outputs: of that.
        batch_size: of its training.
        loss: the name of what it was trained to lower.
        data: of its data what config.json says of ``classes``, ``image_shape`` and perhaps ``inputs``.
    """

    run: str
    model: Model
    outputs: int
    batch_size: int
    loss: str
    data: Mapping[str, Any]


def choose(folder: Path, run: object, model: Any) -> Choice:
    """The run meant by what :func:`jaxopt_study.storage.weights.load_model` is given; with its errors."""
    config = workdir.read_config(folder / "config.json")
    if not config.keys() >= {"dataset", "identity", "loss"}:
        raise EnvironmentFault(f"{folder / 'config.json'} does not say what network was trained")
    if not (run is None or isinstance(run, Mapping) or (isinstance(run, str) and re.fullmatch("[0-9a-f]{20}", run))):
        raise InputError("run", repr(run), _RUN)
    runs, own = read_runs(folder), Belonging(config)
    given = None if model is None else model_of(model)
    if isinstance(run, str):
        known, theirs = run, _networks(folder, run, own, runs.get(run))
        if not theirs:
            allowed = "allowed is one of the study that config.json tells of, or with weights that say what they are of"
            raise InputError("run", f"{run}, of other data, network or settings", allowed)
        chosen = given or _of_article(theirs)
        _check_network(chosen, theirs)
    else:
        networks = {each: _networks(folder, each, own, runs[each]) for each in runs if own.has(each, runs[each])}
        chosen = given or _of_article([own.identity["model"]])
        _check_network(chosen, list(dict.fromkeys(itertools.chain(*networks.values()))))
        fitting = {each: runs[each] for each, theirs in networks.items() if chosen.identity in theirs}
        known = _found(fitting, run, config, len(runs))
    if not (folder / "weights" / known).is_dir():
        raise EnvironmentFault(f"{folder} holds no weights of run {known}: {_why_none(config, runs.get(known))}")
    usual = {name: own.identity[name] for name in ("outputs", "batch_size")}
    of = _notes(folder, known) or {**usual, "loss": config["loss"], "dataset": config["dataset"]}
    return Choice(known, chosen, of["outputs"], of["batch_size"], of["loss"], of["dataset"])


def _notes(folder: Path, known: str) -> Mapping[str, Any] | None:
    """What a run's weights are of, None where they do not say: those of earlier versions."""
    path = folder / "weights" / known / NOTES
    of = workdir.read_json(path).get("of") if path.exists() else None
    return of if isinstance(of, dict) else None


def _networks(folder: Path, known: str, own: Belonging, history: History | None) -> list[str]:
    """Identities of the networks that a run may have been trained with; none of one that is another study's and does
    not say."""
    if notes := _notes(folder, known):
        return [notes["model"]]
    if history and not own.has(known, history):
        return []
    models = own.config.get("models", [own.identity["model"]])
    if history and len(models) > 1:
        run = registered(history.optimizer, history.hyperparameters, history.seed, history.data_seed)
        return [own.models[of_model(run)]] if run and of_model(run) in own.models else models
    return list(models)


def _of_article(identities: Iterable[str]) -> Model:
    """The variant of the article's network that is known by one of these names; the usual one if none is."""
    kinds = itertools.product((False, True), ("float32", "bfloat16"))
    known = [article_model(notebook=notebook, activations=activations) for notebook, activations in kinds]
    return next((model for model in known if model.identity in identities), known[0])


def _check_network(chosen: Model, allowed: list[str]) -> None:
    if chosen.identity not in allowed:
        told = "allowed is the network that was trained, " if len(allowed) == 1 else "allowed are those that were, "
        raise InputError("model", chosen.identity, told + ", ".join(allowed))


def _found(runs: Mapping[str, History], asked: Mapping[Any, Any] | None, config: Mapping[str, Any], count: int) -> str:
    if asked is None:
        monitor = Monitor(config["monitor"], config["mode"]) if config.keys() >= {"monitor", "mode"} else None
        return list(runs)[best_run(list(runs.values()), monitor)]
    rule, choices = asked.get("optimizer"), config.get("model_choices", {})
    numbers = {name: _number(name, value, choices) for name, value in asked.items() if name != "optimizer"}
    fitting = [
        name
        for name, history in runs.items()
        if rule in (None, history.optimizer) and has({**numbers_of(history), "seed": history.seed}, numbers)
    ]
    if len(fitting) != 1:
        among = f"{len(runs)}{' of this study and network' if len(runs) < count else ''}"
        raise InputError("run", dict(asked), f"allowed is what singles one run out; {len(fitting)} of {among} fit")
    return fitting[0]


def _number(name: str, value: Any, choices: Mapping[str, list[str]]) -> float:
    """A number, or the place of one of an axis' choices."""
    if isinstance(value, str) and value in choices.get(name, ()):
        return float(choices[name].index(value))
    try:
        return float(value)
    except (TypeError, ValueError, OverflowError) as error:
        allowed = f"allowed are {', '.join(choices[name])}" if name in choices else "allowed is a number"
        raise InputError(f"run[{name!r}]", repr(value), allowed) from error


def _why_none(config: Mapping[str, Any], history: History | None) -> str:
    if history is None:
        return "it is not in runs/"
    monitor = config.get("monitor", "val_loss")
    if not np.isfinite(history.curves.get(monitor, np.zeros(1))).any():
        return f"its {monitor} was never a number, so that none were the best"
    return (
        "it was trained without --save_best_weights, and what is finished is not trained again for them: allowed is a "
        "new work directory, or this one without its file in runs/"
    )
