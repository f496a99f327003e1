"""What a study is: data, networks, rules and runs, what each program computes, and by what its results are known."""

import functools
import math
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import jax

from jaxopt_study.analysis.guessing import loss_of_guessing
from jaxopt_study.data import Dataset
from jaxopt_study.data.dataset import Batches, batches_of, held_back
from jaxopt_study.data.trees import described, mapped
from jaxopt_study.engine import config, devices, own_code
from jaxopt_study.engine.branching import Branch
from jaxopt_study.engine.groups import by_group, rule_of
from jaxopt_study.errors import InputError
from jaxopt_study.grids import run as grid
from jaxopt_study.grids.run import Group, Run
from jaxopt_study.models.build import Model, article_model
from jaxopt_study.models.network import Example, Network, example_of
from jaxopt_study.models.variants import Values, Variants
from jaxopt_study.optimizers.family import PRECISION
from jaxopt_study.settings import PRECISIONS, Execution, Settings
from jaxopt_study.training.objective import Objective
from jaxopt_study.training.rules import Rules
from jaxopt_study.training.sharpness import every
from jaxopt_study.training.step import STRATEGIES, Program

# On CPU 32 and 64 were level and 128 to 512 slower (16 runs, 32 pixels). On a GPU more would take more memory than the
# training: activations of 64 examples to evaluate are as large as of 32 to train on, with all that gradients need.
VAL_BATCH = 64


class Definition:
    """A study, of which nothing is trained or stored here.

    Args:
        settings: what all runs share.
        dataset: the data.
        runs: in the order in which they are to be trained, of any rules; the same run may be named more than once.
        folder: the work directory.
        model: the network; the article's if None.
        models: networks by the values of their axes, of runs that have any, instead of one.
        execution: how to compute it.
        objective: the loss, metrics of the user's own, and what runs are judged by.
        own: whether it is somebody's own, so that its report says nothing of the article.
        datasets: of runs with a data seed, by it: ``dataset``, or the same split otherwise.
        branch_of: what the runs go on from; None where they begin with their seeds.
        may_part: whether rules may have programs of their own, see :attr:`apart`.

    Raises:
        InputError: a batch is larger than the training part, the loss does not fit the labels, or data of several seeds
            differ in more than their examples.
    """

    def __init__(
        self,
        settings: Settings,
        dataset: Dataset,
        runs: Sequence[Run],
        folder: Path,
        *,
        model: Model | None = None,
        models: Variants | None = None,
        execution: Execution | None = None,
        objective: Objective | None = None,
        own: bool = False,
        datasets: Mapping[int, Dataset] | None = None,
        branch_of: Branch | None = None,
        may_part: bool = True,
    ) -> None:
        self.settings, self.dataset, self.folder, self.own = settings, dataset, folder, own
        self.branch_of, self.may_part = branch_of, may_part
        self.experiments: Mapping[str, Any] = {}  # those of the command that trains it, for config.json
        self.datasets = dict(datasets or {})
        self.data = {seed: each.fingerprint for seed, each in self.datasets.items()}
        self.variants = models or Variants({(): model or article_model()}, {})
        self.model = next(iter(self.variants.models.values()))
        self.execution = execution or Execution()
        self.runs = list(dict.fromkeys(runs))
        self.rules = tuple(dict.fromkeys(run.optimizer for run in self.runs))
        self.objective = objective or Objective()
        labels = dataset.train_labels, len(dataset.classes), dataset.task
        self.loss, self.outputs, self.loss_function = self.objective.fitted(*labels)
        for seed, other in self.datasets.items():
            if other is not dataset:
                self._check_alike(seed, other)
        if settings.halving and any(grid.of_study(run, "max_epochs") for run in self.runs):
            allowed = "not allowed where runs have max_epochs of their own: it compares them at the same epochs"
            raise InputError("--halving", settings.halving, allowed)
        self.totals = {
            group: Counter(map(grid.signature, of_group)) for group, of_group in self.by_group(self.runs).items()
        }
        if branch_of:  # whose parents' rule is in the program, too
            for of_group in self.totals.values():
                of_group.setdefault(grid.signature(branch_of.parents[0]), 0)
        self.groups = list(self.totals)
        for group in sorted(self.groups, key=self.batch_size, reverse=True) or [Group()]:
            size, data = self.batch_size(group), self.dataset_of(group)
            if size > data.examples:
                allowed = f"allowed is a whole number from 1 to the {data.examples} training examples of {data.name}"
                raise InputError("--batch_size", size, allowed)
        self.val_labels, self.val_weights = dataset.val_labels, dataset.val_weights
        if settings.test_share:
            kept, _ = held_back(dataset.val_labels, settings.test_share, dataset.val_weights)
            self.val_labels = mapped(lambda x: x[kept], dataset.val_labels)
            self.val_weights = None if dataset.val_weights is None else dataset.val_weights[kept]
        known = [each.identity for each in self.variants.models.values()]
        network = known[0] if len(known) == 1 else f"{known[0].split()[0]} {grid.digest(known)}"
        self.identity = {"data": dataset.fingerprint, "model": network, "outputs": self.outputs, **settings.identity()}
        self.usual_loss = self.loss if callable(self.objective.loss) else Objective().fitted(*labels).name
        self.identity |= self.objective.identity(self.loss, self.usual_loss)
        if branch_of:
            self.identity["branch"] = branch_of.identity()
        self.fingerprints = {run: self.fingerprint(run) for run in self.runs}
        if settings.halving:  # who goes on depends on the others: such runs are theirs alone
            self.identity["grid"] = grid.digest(self.fingerprints.values())
            self.fingerprints = {run: self.fingerprint(run) for run in self.runs}
        self.code = own_code.identities(self)

    def _check_alike(self, seed: int, other: Dataset) -> None:
        """Refuses data of another seed of which a network, loss and metrics would be others."""

        def kind(data: Dataset) -> dict[str, Any]:
            loss = self.objective.fitted(data.train_labels, len(data.classes), data.task)[:2]
            weights = None if data.train_weights is None else described(data.train_weights)
            inputs, labels = described(data.train_images), described(data.train_labels)
            return {"inputs": inputs, "labels": labels, "weights": weights, "classes": data.classes, "loss": loss}

        first, this = kind(self.dataset), kind(other)
        for what in (what for what in this if this[what] != first[what]):
            allowed = f"its data have {what} {this[what]}; allowed are {first[what]}, as the first data seed's have"
            raise InputError("data_seed", seed, allowed)

    def by_group(self, runs: Sequence[Run]) -> dict[Group, list[Run]]:
        """The runs of each program. Where they are batched all rules of a program are computed for all of its runs:
        there those that cost more than some arithmetic have one of their own."""
        return by_group(runs, self.apart)

    @functools.cached_property
    def apart(self) -> frozenset[grid.Signature]:
        """The rules whose runs are batched with none of another rule."""
        batched = self.execution.strategy == "vmap"
        batched |= self.execution.strategy == "auto" and jax.default_backend() != "cpu"
        if not (batched and self.may_part):
            return frozenset()
        params = jax.eval_shape(lambda: self.network(self.settings.batch_size).init(jax.random.key(0)).params)
        rules = dict.fromkeys(map(grid.signature, self.runs))
        return frozenset(rule for rule in rules if not rule_of(rule, 1).is_light(params))

    def add(self, runs: Sequence[Run]) -> None:
        """Adds runs of configurations that the study has, of other seeds. They train in the programs of the first."""
        self.runs = list(dict.fromkeys([*self.runs, *runs]))
        self.fingerprints |= {run: self.fingerprint(run) for run in runs}

    def fingerprint(self, run: Run) -> str:
        """Of a run of the study, or like one of it."""
        models = {values: each.identity for values, each in self.variants.models.items()}
        return grid.fingerprint(run, self.identity, self.data, models)

    @property
    def computations(self) -> list[Run]:
        """The runs, each computation once: under the first of its names."""
        first = {self.fingerprints[run]: run for run in reversed(self.runs)}
        return [run for run in self.runs if first[self.fingerprints[run]] == run]

    def budget(self, run: Run) -> int:
        """The most epochs of a run."""
        return grid.of_study(run, "max_epochs") or self.settings.max_epochs

    def span(self, run: Run) -> int:
        """The epochs that a schedule over the whole run has, when its rule begins."""
        return self.budget(run) - (self.branch_of.epoch - self.branch_of.begun(run) if self.branch_of else 0)

    @functools.cached_property
    def guessing(self) -> float:
        """The validation loss of guessing; infinite where it is not known, as of a loss of the user's own."""
        if callable(self.objective.loss):
            return math.inf
        data = self.dataset
        labels, weights = (data.train_labels, self.val_labels), (data.train_weights, self.val_weights)
        return loss_of_guessing(self.loss, len(data.classes), *labels, *weights)

    @functools.cached_property
    def example(self) -> Example:
        """What an example is."""
        return example_of(self.dataset.train_images)

    def dataset_of(self, group: Group) -> Dataset:
        """The data of a group's runs, of which those of another data seed may have more examples or fewer."""
        return self.dataset if group.data_seed is None else self.datasets[group.data_seed]

    def batch_size(self, group: Group) -> int:
        """Training examples in a step of a group's runs."""
        return group.batch_size or self.settings.batch_size

    def precision(self, group: Group) -> str:
        """Of the products of a group's runs, one of ``settings.PRECISIONS``."""
        return self.settings.matmul_precision if group.precision is None else PRECISIONS[group.precision]

    @property
    def choices(self) -> dict[str, Sequence[str]]:
        """Of axes that are no numbers, what each place stands for, by their names."""
        chosen = any(group.precision is not None for group in self.groups)
        return {**self.variants.choices, **({PRECISION: PRECISIONS} if chosen else {})}

    def batches(self, size: int, steps: int | None = None, *, data_seed: int | None = None) -> Batches:
        """The data in the order of training, in batches of ``size``; only the first ``steps`` of them and the same
        share of the validation data, if given. The order, and the split, are those of ``data_seed``, if given."""
        dataset, seed = self.dataset, self.settings.data_seed
        if data_seed is not None:
            dataset, seed = self.datasets[data_seed], data_seed
        share = self.settings.test_share
        return batches_of(dataset, batch_size=size, val_batch_size=VAL_BATCH, seed=seed, steps=steps, test_share=share)

    def program(self, group: Group, strategy: str) -> Program:
        """The static parts of an epoch for one group; equal for equal arguments, so that nothing is traced twice."""
        size = self.batch_size(group)
        steps = -(-self.dataset_of(group).examples // size)
        return Program(
            network=self.network(size, group.model),
            loss=self.loss_function,
            rules=Rules(tuple(rule_of(known, steps) for known in self.totals[group])),
            diagnostics=self.settings.diagnostics,
            stop_on_nonfinite=self.settings.stop_on_nonfinite,
            keep_best=self.execution.save_best_weights,
            steps=steps,
            strategy=STRATEGIES[strategy],
            precision=devices.precision(self.precision(group), jax.default_backend()),
            sharpness=every(self.settings, steps),
            metrics=tuple(self.objective.metrics.items()),
            monitor=self.objective.monitor,
            maximize=self.objective.mode == "max",
            weighted=self.dataset.train_weights is not None,
            code=own_code.of_group(self, group),
        )

    def network(self, batch_size: int, values: Values = ()) -> Network:
        """The network for batches of this size, with these values of its axes; the first if there are none."""
        model = self.variants.models.get(values, self.model)
        return model.build(self.example, self.outputs, batch_size)

    def describe(self) -> dict[str, Any]:
        """What is being run, for config.json."""
        return config.describe(self)
