"""What a study is, for config.json, from which whoever opens its work directory learns what was run, and on what."""

import dataclasses
import math
from typing import TYPE_CHECKING, Any

import jax

from jaxopt_study.data.trees import described, length
from jaxopt_study.engine import strategy
from jaxopt_study.engine.groups import treatments
from jaxopt_study.grids.run import Run, group
from jaxopt_study.kernels import library
from jaxopt_study.models.network import Inputs
from jaxopt_study.storage import workdir

if TYPE_CHECKING:
    from jaxopt_study.engine.definition import Definition


def describe(study: "Definition") -> dict[str, Any]:
    """Its identity, settings, data, network, runs, and what it is computed with."""
    objective, models = study.objective, study.variants.models
    modes = {name: metric.mode for name, metric in objective.metrics.items() if metric.mode}
    treated = treatments(study.runs, study.network(study.settings.batch_size))
    return {
        "identity": study.identity,
        "own": study.own,
        "loss": study.loss,
        **({"guessing": study.guessing} if math.isfinite(study.guessing) else {}),
        **({"metrics": list(objective.metrics)} if objective.metrics else {}),
        **({"metric_modes": modes} if modes else {}),
        **({} if objective.is_usual else {"monitor": objective.monitor, "mode": objective.mode}),
        **({"branch": study.branch_of.describe()} if study.branch_of else {}),
        "settings": dataclasses.asdict(study.settings),
        "execution": dataclasses.asdict(study.execution),
        "dataset": _data(study),
        **({"data_seeds": study.data} if study.data else {}),
        **({"model_choices": study.choices} if study.choices else {}),
        **({"models": [each.identity for each in models.values()]} if len(models) > 1 else {}),
        **({"treatments": treated} if treated else {}),
        "grid": [entry(run) for run in study.runs],
        "devices": [str(device.device_kind) for device in jax.devices()],
        "processor": strategy.processor(),
        "native_kernels": jax.default_backend() == "cpu" and library.available(),
        "versions": workdir.versions(),
        "git_commit": workdir.git_commit(),
    }


def trained_with(study: "Definition", run: Run) -> dict[str, Any]:
    """What a run's weights are of, to be kept with them: the directory may be another study's when they are read."""
    key, data = group(run), _data(study)
    model = study.variants.models.get(key.model, study.model)
    return {
        "model": model.identity,
        "outputs": study.outputs,
        "batch_size": study.batch_size(key),
        "loss": study.loss,
        "dataset": {name: data[name] for name in ("classes", "image_shape", "inputs") if name in data},
    }


def _data(study: "Definition") -> dict[str, Any]:
    share, plain = study.settings.test_share, not isinstance(study.example, Inputs)
    return {
        "name": study.dataset.name,
        "classes": list(study.dataset.classes),
        "train_examples": study.dataset.examples,
        "val_examples": length(study.val_labels),
        **({"test_examples": study.dataset.val_examples - length(study.val_labels)} if share else {}),
        "image_shape": list(study.example) if plain else [],
        **({} if plain else {"inputs": described(study.dataset.train_images)}),
        **({"task": study.dataset.task} if study.dataset.task else {}),
        "fingerprint": study.dataset.fingerprint,
        "left_out": list(study.dataset.left_out),
        **({"asked": dict(study.dataset.asked)} if study.dataset.asked else {}),
    }


def entry(run: Run) -> dict[str, Any]:
    """What config.json says of a run of the grid."""
    of_data = {} if run.data_seed is None else {"data_seed": run.data_seed}
    return {"optimizer": run.optimizer, **dict(run.hyperparameters), "seed": run.seed, **of_data}
