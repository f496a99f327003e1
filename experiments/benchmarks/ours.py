"""This project, as a study runs it: the epoch of a Sweep, without validation data."""

import tempfile
import time
from pathlib import Path

import jax
import numpy as np

from experiments.benchmarks import cases
from experiments.benchmarks.cases import Case, Ready
from experiments.benchmarks.peers_jax import ResNet
from jaxopt_study.data import Dataset
from jaxopt_study.engine import devices
from jaxopt_study.engine.sweep import memory_of
from jaxopt_study.engine.trainer import Trainer
from jaxopt_study.grids import run as grid
from jaxopt_study.layers.convolution import conv
from jaxopt_study.models.build import article_model
from jaxopt_study.models.own import model_of
from jaxopt_study.settings import Execution, Settings
from jaxopt_study.training.early_stopping import Limits

FOREVER = 1_000_000_000


def configure() -> None:
    """Every core a device; no compilation cache, so that the start is what it is the first time."""
    devices.configure(compilation_cache=False)


def study_of(case: Case, *, diagnostics: bool, kernels: str, strategy: str = "auto") -> Trainer:
    """A study of the case: its grid has a learning rate a configuration."""
    images, labels = (x.reshape(-1, *x.shape[2:]) for x in cases.data(case))
    dataset = Dataset("made", images, labels, images[:1], labels[:1], ("dark", "light"), repr(case))
    rates = [float(rate) for rate in cases.learning_rates(case.configs)]
    runs = grid.product("momentum", {"learning_rate": rates, "momentum": [cases.MOMENTUM]}, 1)
    # The residual network as a user brings it, with this project's convolution or, if plain, without.
    resnet = ResNet(conv=None if kernels == "plain" else conv)
    model = article_model(kernels=kernels) if case.model == "article" else model_of(resnet)
    settings = Settings(
        batch_size=case.batch_size,
        max_epochs=FOREVER,
        patience=FOREVER,
        diagnostics=diagnostics,
        stop_on_nonfinite=False,  # without validation data its loss is NaN
    )
    execution = Execution(slots=case.configs, devices=case.devices or None, strategy=strategy)
    return Trainer(settings, dataset, runs, Path(tempfile.gettempdir()), model=model, execution=execution)


def build(case: Case, *, diagnostics: bool, kernels: str = "auto", strategy: str = "auto") -> Ready:
    """The epoch of the study's sweep."""
    study = study_of(case, diagnostics=diagnostics, kernels=kernels, strategy=strategy)
    begin = time.perf_counter()
    study.strategy  # noqa: B018  # found here, so that its seconds are known
    choosing = time.perf_counter() - begin
    batches = study.batches(case.batch_size)
    images, labels, example_weights = batches.val
    training_only = batches._replace(val=(images[:0], labels[:0], example_weights[:0]))
    sweep = study.sweep(study.groups[0], training_only)
    slots = sweep.padded(case.configs)
    padded = [*study.runs, *[study.runs[-1]] * (slots - case.configs)]
    bounds = np.full(slots, FOREVER, np.int32)
    filling = (grid.stack(padded), np.zeros(slots, np.uint32), np.arange(slots) < case.configs)
    states = sweep.fill(sweep.idle(slots), *sweep.put(filling))
    numbers, limits = sweep.put((grid.stack(padded), Limits(*sweep.put((bounds, bounds)))))

    epoch = sweep.compiled("epoch", slots)

    def run(passes: int) -> None:
        nonlocal states
        for _ in range(passes):
            states, report = epoch(states, numbers, limits, sweep.batches)
        trained = int(np.sum(jax.device_get(report.trained)))
        if trained != case.configs:
            raise RuntimeError(f"{trained} of {case.configs} configurations trained")

    weights = sum(x[0].size for x in jax.tree.leaves(states.variables.params))
    memory = memory_of(epoch)
    data = sum(x.nbytes for x in jax.tree.leaves(sweep.batches))
    memory = (memory - data) * len(sweep.devices) // slots if memory else 0
    return Ready(run, weights, memory, choosing_seconds=choosing)
