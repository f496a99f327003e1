"""This project, as a study runs it: the epoch of a Sweep, without validation data."""

import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import jax
import numpy as np

from experiments.benchmarks import cases
from experiments.benchmarks.cases import Case, Ready
from experiments.benchmarks.peers_jax import ResNet
from jaxopt_study.data import Dataset
from jaxopt_study.engine import devices
from jaxopt_study.engine.sweep import Sweep, memory_of
from jaxopt_study.engine.trainer import Trainer
from jaxopt_study.grids import run as grid
from jaxopt_study.layers.convolution import conv
from jaxopt_study.models.build import article_model
from jaxopt_study.models.own import model_of
from jaxopt_study.settings import Execution, Settings
from jaxopt_study.training.early_stopping import Limits
from jaxopt_study.training.epoch import EpochReport

FOREVER = 1_000_000_000


def configure() -> None:
    """Every core a device; no compilation cache, so that the start is what it is the first time."""
    devices.configure(compilation_cache=False)


def study_of(
    case: Case,
    *,
    diagnostics: bool,
    kernels: str,
    strategy: str = "auto",
    precision: str = "float32",
    activations: str = "float32",
) -> Trainer:
    """A study of the case: its grid has a learning rate a configuration."""
    images, labels = (x.reshape(-1, *x.shape[2:]) for x in cases.data(case))
    dataset = Dataset("made", images, labels, images[:1], labels[:1], ("dark", "light"), repr(case))
    rates = [float(rate) for rate in cases.learning_rates(case.configs)]
    runs = grid.product("momentum", {"learning_rate": rates, "momentum": [cases.MOMENTUM]}, 1)
    # The residual network as a user brings it, with this project's convolution or, if plain, without.
    resnet = ResNet(conv=None if kernels == "plain" else conv)
    article = case.model == "article"
    model = article_model(kernels=kernels, activations=activations) if article else model_of(resnet)
    settings = Settings(
        batch_size=case.batch_size,
        max_epochs=FOREVER,
        patience=FOREVER,
        diagnostics=diagnostics,
        stop_on_nonfinite=False,  # without validation data its loss is NaN
        matmul_precision=precision,
    )
    execution = Execution(slots=case.configs, devices=case.devices or None, strategy=strategy)
    return Trainer(settings, dataset, runs, Path(tempfile.gettempdir()), model=model, execution=execution)


class Epoch:
    """The epoch of a study's sweep over its training data alone, compiled, its runs begun in as many slots.

    On the devices of the study, or those that are given.
    """

    def __init__(self, study: Trainer, on: Sequence[jax.Device] | None = None) -> None:
        batches = study.batches(study.settings.batch_size)
        images, labels, example_weights = batches.val
        training_only = batches._replace(val=(images[:0], labels[:0], example_weights[:0]))
        program = study.program(study.groups[0], study.strategy)
        self.sweep = Sweep(program, training_only, on or devices.choose(study.execution.devices))
        self.runs = study.runs
        self.slots = self.sweep.padded(len(self.runs))
        self.executable = self.sweep.compiled("epoch", self.slots)
        self.begin()

    def begin(self) -> None:
        """Begins all runs anew."""
        padded = [*self.runs, *[self.runs[-1]] * (self.slots - len(self.runs))]
        bounds = np.full(self.slots, FOREVER, np.int32)
        filling = (self.sweep.stacked(padded), np.zeros(self.slots, np.uint32), np.arange(self.slots) < len(self.runs))
        self.states = self.sweep.fill(self.sweep.idle(self.slots), *self.sweep.put(filling))
        self.numbers, self.limits = self.sweep.put(
            (self.sweep.stacked(padded), Limits(*self.sweep.put((bounds, bounds))))
        )

    def run(self, passes: int) -> EpochReport:
        """Trains so many epochs and returns the last one's report when all is computed."""
        for _ in range(passes):
            self.states, report = self.executable(self.states, self.numbers, self.limits, self.sweep.batches)
        host: EpochReport = jax.device_get(report)
        trained = int(np.sum(host.trained))
        if trained != len(self.runs):
            raise RuntimeError(f"{trained} of {len(self.runs)} configurations trained")
        return host

    @property
    def memory_bytes(self) -> int:
        """Of a configuration, data apart; 0 if unknown."""
        memory = memory_of(self.executable)
        data = sum(x.nbytes for x in jax.tree.leaves(self.sweep.batches))
        return (memory - data) * len(self.sweep.devices) // self.slots if memory else 0


def build(case: Case, *, diagnostics: bool, kernels: str = "auto", strategy: str = "auto") -> Ready:
    """The epoch of the study's sweep."""
    study = study_of(case, diagnostics=diagnostics, kernels=kernels, strategy=strategy)
    begin = time.perf_counter()
    study.strategy  # noqa: B018  # found here, so that its seconds are known
    choosing = time.perf_counter() - begin
    epoch = Epoch(study)
    weights = sum(x[0].size for x in jax.tree.leaves(epoch.states.variables.params))
    return Ready(lambda passes: epoch.run(passes) and None, weights, epoch.memory_bytes, choosing_seconds=choosing)
