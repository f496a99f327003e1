"""The library's front: a user's own network, data, optimizer and grid in, tables, figures and a report out."""

import dataclasses
import warnings
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import jax
import optax

from jaxopt_study.data import Dataset, load
from jaxopt_study.engine import devices
from jaxopt_study.engine.plan import Part, plan
from jaxopt_study.engine.study import Execution, Study
from jaxopt_study.errors import InputError
from jaxopt_study.grids import points as space
from jaxopt_study.grids.points import Point, When
from jaxopt_study.grids.ranges import Spec
from jaxopt_study.grids.run import Run, make_run
from jaxopt_study.history import History
from jaxopt_study.models.build import Model
from jaxopt_study.models.own import model_of
from jaxopt_study.optimizers import foreign as rules
from jaxopt_study.optimizers import registry
from jaxopt_study.optimizers.family import Family
from jaxopt_study.report import outcome
from jaxopt_study.settings import Settings
from jaxopt_study.storage import remote, workdir
from jaxopt_study.storage.store import tidy
from jaxopt_study.watch import callbacks as watching
from jaxopt_study.watch import interrupts as attended

Optimizer = str | Family | Callable[..., optax.GradientTransformation]


class Grid(NamedTuple):
    """Configurations of one rule: its name in the registry, and the numbers of each that are not its defaults."""

    optimizer: str
    points: tuple[Point, ...]


def make_grid(
    optimizer: Optimizer,
    *,
    points: Sequence[Mapping[str, float]] = (),
    paired: Sequence[str] | Sequence[Sequence[str]] = (),
    when: Mapping[str, When] | None = None,
    where: When | None = None,
    samples: int | None = None,
    sampler: str = "random",
    sampler_seed: int = 0,
    **axes: Spec,
) -> Grid:
    """A grid of one rule.

    >>> len(make_grid("momentum", learning_rate="1e-3:1e-1:half_decade", momentum=[0, 0.9]).points)
    10
    >>> make_grid(optax.adamw, learning_rate=0.001, weight_decay=[0, 0.01]).optimizer
    'optax.adamw'

    Besides the rule's own numbers any grid may have ``weight_decay`` (L2: added to the gradient, unless the rule has a
    number of that name), ``max_norm`` (of the gradient; larger ones are scaled down) and ``batch_size``.

    Args:
        optimizer: a name of the registry such as ``"momentum"``, an alias of Optax such as ``optax.adamw``, a function
            of numbers that returns an Optax transformation, or what :func:`jaxopt_study.optimizers.foreign.rule` or
            :func:`jaxopt_study.optimizers.foreign.scheduled` returned.
        points: configurations besides those of the axes.
        paired: names of axes that go together, value by value.
        when: axes that a configuration has only where a condition holds.
        where: a condition that leaves configurations out.
        samples: number of configurations drawn from ranges without a step.
        sampler: ``random`` or ``sobol``.
        sampler_seed: of the sampler.
        **axes: values by the names of hyperparameters; see :func:`jaxopt_study.grids.ranges.values`.

    Raises:
        InputError: the message says what was given and what is allowed.
    """
    family = family_of(optimizer)
    if when is not None and not isinstance(when, Mapping):
        raise InputError("when", repr(when), "allowed is a table of conditions by the names of axes")
    if isinstance(points, str) or not isinstance(points, Sequence):
        raise InputError("points", repr(points), "allowed is a list of tables of numbers by their names")
    for name, value in axes.items():
        if name not in family.known():
            registry.check(family, {name: value})  # which says why
    found = space.points(
        axes, paired=paired, when=when, where=where, listed=points, samples=samples, sampler=sampler, seed=sampler_seed,
        hyperparameters=family.known(), context={"optimizer": family.name},
    )  # fmt: skip
    if points and not axes:  # the configurations and nothing else
        found = [each for each in found if each]
    for each in found:
        registry.check(family, each)
    return Grid(family.name, tuple(found))


def family_of(optimizer: Optimizer) -> Family:
    """The rule that ``optimizer`` stands for.

    Raises:
        InputError: there is none of that name, or the function cannot be used.
    """
    if isinstance(optimizer, str):
        return registry.family(optimizer)
    return registry.add(optimizer) if isinstance(optimizer, Family) else rules.rule(optimizer)


def make_study(
    *,
    model: Any,
    data: str | Dataset,
    grid: Grid | Sequence[Grid],
    seeds: int = 1,
    batch_size: int | Sequence[int] = 32,
    max_epochs: int = 100,
    patience: int = 10,
    loss: str | None = None,
    data_seed: int = 0,
    workdir: str | Path = "workdir",
    execution: Execution | None = None,
) -> "UserStudy":
    """A study of one's own; nothing is trained before :meth:`UserStudy.run`.

    Args:
        model: a Linen module; the class of an NNX module, or ``js.nnx(function of rngs)``; ``js.functions(init,
            apply)``; ``js.article_model()``. It maps float32 examples [B, ..] to logits [B, O].
        data: ``digits``, ``tfds:NAME``, ``folder:PATH``, what ``js.load`` returned with more to say, or ``js.arrays``.
        grid: one or several of :func:`make_grid`.
        seeds: 0 to this less 1 for every configuration.
        batch_size: training examples a step; several are an axis, each compiled by itself.
        max_epochs: a run trains at most.
        patience: epochs without a lower validation loss after which a run ends.
        loss: ``softmax``, ``sigmoid`` or ``squared_error``; chosen by the labels if not given.
        data_seed: of the order of the examples, and of the split of digits and folders.
        workdir: folder for results, or a URL of object storage (``s3://..``, ``gs://..``).
        execution: how to compute it.

    Raises:
        InputError: the message says what was given and what is allowed.
        EnvironmentFault: the machine cannot do it.
    """
    for name, value in {"seeds": seeds, "max_epochs": max_epochs, "patience": patience}.items():
        _whole(name, value, 1)
    _whole("data_seed", data_seed, 0)
    sizes = [batch_size] if isinstance(batch_size, int) else list(_sequence("batch_size", batch_size))
    for size in sizes:
        _whole("batch_size", size, 1)
    runs = _runs(_grids(grid), seeds, sizes)
    chosen = model_of(model)
    folder = _folder(workdir)
    _use_all_cores(execution)
    dataset = load(data, split_seed=data_seed) if isinstance(data, str) else data
    if not isinstance(dataset, Dataset):
        allowed = "allowed are digits, tfds:NAME, folder:PATH, or what js.load or js.arrays returned"
        raise InputError("data", type(data).__name__, allowed)
    settings = Settings(max_epochs=max_epochs, patience=patience, data_seed=data_seed)
    if len(sizes) == 1:
        settings = dataclasses.replace(settings, batch_size=sizes[0])
    made = Study(settings, dataset, runs, folder, model=chosen, execution=execution, loss=loss, own=True)
    _check_outputs(made, chosen)
    return UserStudy(made, workdir)


class UserStudy:
    """A study and what is made of it; see :func:`make_study`.

    Attributes:
        study: the study itself.
    """

    def __init__(self, study: Study, workdir: str | Path | None = None) -> None:
        self.study = study
        self._workdir = study.folder if workdir is None else workdir

    @property
    def runs(self) -> list[Run]:
        """All runs, trained or not."""
        return self.study.runs

    @property
    def histories(self) -> list[History]:
        """The finished runs."""
        return self.study.histories()

    def plan(self) -> list[Part]:
        """What would be trained, in how much memory and time: a part for every rule and batch size."""
        return plan(self.study)

    def run(self, *callbacks: watching.Callback) -> Any:
        """Trains what the work directory does not have yet.

        Args:
            *callbacks: who else wants to hear of epochs and runs; see jaxopt_study.watch.callbacks.

        Returns:
            All runs as one tidy table, as :func:`jaxopt_study.load_runs` gives it.

        Raises:
            EnvironmentFault: the work directory cannot be used, or the memory does not suffice.
            Interrupted: an interrupt came; what was begun is saved, and the next call goes on from there.
        """
        with remote.kept(self._workdir):
            attended.train(self.study.run, callbacks)
        names = self.study.fingerprints
        done = [run for run in self.runs if names[run] in self.study.store]
        return tidy(zip((names[run] for run in done), self.histories, strict=True))

    def figures(self) -> list[Path]:
        """Draws the finished runs into figures/, PNG and SVG: curves, the lowest loss over each axis and pair of axes.

        Returns:
            The PNG files.

        Raises:
            InputError: no run is finished.
            EnvironmentFault: a file cannot be written.
        """
        with remote.kept(self._workdir):
            return [each.png for each in outcome.draw(self._finished(), self.study.folder, self.study.describe())]

    def report(self) -> Path:
        """Writes summary.csv, tables/, figures/ and report.html, one page with all of it.

        Returns:
            The page.

        Raises:
            InputError: no run is finished.
            EnvironmentFault: a file cannot be written.
        """
        with remote.kept(self._workdir):
            histories, config = self._finished(), self.study.describe()
            workdir.write_json(self.study.folder / "config.json", config)
            path = self.study.folder / "stats.json"
            stats = workdir.read_json(path) if path.exists() else {}
            return outcome.write(histories, self.study.folder, config, stats)

    def _finished(self) -> list[History]:
        histories = self.histories
        if not histories:
            raise InputError("workdir", self.study.folder, "it holds no finished run of this study: call run() first")
        return histories


def _runs(grids: Sequence[Grid], seeds: int, sizes: Sequence[int]) -> list[Run]:
    """All runs; the batch size is a number of theirs where there are several."""
    several = [{"batch_size": float(size)} for size in dict.fromkeys(sizes)] if len(sizes) > 1 else [{}]
    return [
        make_run(each.optimizer, {**size, **point}, seed)
        for each in grids
        for size in several
        for point in each.points
        for seed in range(seeds)
    ]


def _grids(given: Grid | Sequence[Grid]) -> list[Grid]:
    found = [given] if isinstance(given, Grid) else list(_sequence("grid", given))
    if not all(isinstance(each, Grid) for each in found):
        raise InputError("grid", repr(given), "allowed is what js.make_grid returned, or a list of that")
    if not any(each.points for each in found):
        raise InputError("grid", "no configuration", "allowed is at least one")
    return found


def _sequence(name: str, value: Any) -> Sequence[Any]:
    if isinstance(value, str) or not isinstance(value, Sequence) or not value:
        raise InputError(name, repr(value), "allowed is one, or a list of them")
    return value


def _whole(name: str, value: object, least: int) -> None:
    if not isinstance(value, int) or isinstance(value, bool) or value < least:
        raise InputError(name, repr(value), f"allowed is a whole number from {least}")


def _folder(given: object) -> Path:
    if not isinstance(given, str | Path) or not str(given):
        raise InputError("workdir", repr(given), "allowed is the path of a folder, or a URL of object storage")
    return workdir.check(remote.place(given).expanduser())


def _use_all_cores(execution: Execution | None) -> None:
    """Makes the cores devices, as the commands do, unless somebody chose or JAX has begun its work."""
    config: Any = jax.config  # whose options have no types
    if config.jax_num_cpu_devices >= 1:
        return
    asked, cores = execution.devices if execution else None, devices.cpu_cores()
    try:
        devices.configure(cpu_devices=asked)
    except RuntimeError:
        if asked is None and jax.default_backend() == "cpu" and jax.local_device_count() < cores:
            warnings.warn(
                f"JAX was used before the study was made, so that it has {jax.local_device_count()} of {cores} cores; "
                f'begin with jax.config.update("jax_num_cpu_devices", {cores})',
                stacklevel=3,
            )


def _check_outputs(study: Study, model: Model) -> None:
    network = study.network(study.batch_size(study.groups[0]))
    images = jax.ShapeDtypeStruct((2, *study.dataset.train_images.shape[1:]), study.dataset.train_images.dtype)
    logits = jax.eval_shape(
        lambda key, x: network.evaluate(network.init(key), network.prepare(x, False)), jax.random.key(0), images
    )
    if logits.shape != (2, study.outputs):
        given = f"{model.identity.split()[0]} with output shape {logits.shape} for 2 examples"
        allowed = f"allowed is (2, {study.outputs}), for the loss {study.loss} on {study.dataset.name}"
        raise InputError("model", given, allowed)
