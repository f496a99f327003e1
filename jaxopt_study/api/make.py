"""A study from what a user says of network, data, optimizers and grid; it is checked here, nothing is trained."""

import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import jax

from jaxopt_study.analysis.ranking import ranking
from jaxopt_study.api.study import Study, check_workdir
from jaxopt_study.cluster import ready
from jaxopt_study.data import Dataset, load
from jaxopt_study.engine.allocation import Questions
from jaxopt_study.engine.groups import lacking
from jaxopt_study.engine.outputs import check_outputs
from jaxopt_study.errors import InputError
from jaxopt_study.grids.grid import Grid, runs_of
from jaxopt_study.grids.run import Run
from jaxopt_study.models.own import model_of
from jaxopt_study.models.variants import Variants, variants
from jaxopt_study.optimizers import registry
from jaxopt_study.settings import (
    PRECISIONS,
    Execution,
    Machines,
    Settings,
    check_one_of,
    check_sequence,
    check_until,
    check_whole,
    own_switches,
)
from jaxopt_study.storage import remote
from jaxopt_study.storage import workdir as folders
from jaxopt_study.training.objective import objective
from jaxopt_study.watch.callbacks import Callback, TensorBoard
from jaxopt_study.watch.callbacks import check as check_callbacks


@own_switches()
def make_study(
    *,
    model: Any,
    data: str | Dataset | Callable[[], Dataset],
    grid: Grid | Sequence[Grid | Run],
    model_axes: Mapping[str, Sequence[Any]] | None = None,
    seeds: int = 1,
    batch_size: int | Sequence[int] = Settings.batch_size,
    max_epochs: int = Settings.max_epochs,
    patience: int = Settings.patience,
    loss: str | Callable[[Any, Any], jax.Array] | None = None,
    metrics: Mapping[str, Any] | None = None,
    monitor: str | None = None,
    mode: str | None = None,
    data_seed: int = Settings.data_seed,
    data_seeds: int | None = None,
    stop_on_nonfinite: bool = Settings.stop_on_nonfinite,
    halving: int | None = Settings.halving,
    diagnostics: bool = Settings.diagnostics,
    matmul_precision: str | Sequence[str] = Settings.matmul_precision,
    test_share: float = Settings.test_share,
    sharpness: bool = Settings.sharpness,
    sharpness_every: int | None = Settings.sharpness_every,
    workdir: str | Path = "workdir",
    execution: Execution | None = None,
    slots: int | None = Execution.slots,
    devices: int | None = Execution.devices,
    strategy: str = Execution.strategy,
    checkpoint_minutes: float = Execution.checkpoint_minutes,
    save_best_weights: bool = Execution.save_best_weights,
    max_minutes: float | None = Execution.max_minutes,
    until: str | None = Execution.until,
    max_seeds: int | None = Execution.max_seeds,
    questions: Questions | None = None,
    cluster: str | None = Machines.cluster,
    cpus_per_worker: int | None = Machines.cpus_per_worker,
    workers: int | None = Machines.workers,
    distributed: bool = Machines.distributed,
    coordinator: str | None = Machines.coordinator,
    processes: int | None = Machines.processes,
    process_id: int | None = Machines.process_id,
    tensorboard: bool = False,
    callbacks: Sequence[Callback] = (),
    own: bool = True,
) -> Study:
    """A study; nothing is trained before :meth:`Study.run`.

    The names are those of the commands' flags.

    Args:
        model: a Linen module; the class of an NNX module, or ``js.nnx(function of rngs)``; ``js.functions(init,
            apply)``; ``js.article_model()``. It maps float32 examples [B, ..] to logits [B, O].
        data: ``digits``, ``tfds:NAME``, ``folder:PATH``, what ``js.load`` returned with more to say, or ``js.arrays``;
            or a function that returns one of the latter, called when all else is known to be good.
        grid: one or several of :func:`~jaxopt_study.grids.grid.make_grid`; also runs, with their own seeds.
        model_axes: axes of the network: ``{"width": [16, 64], "activation": [nn.relu, nn.gelu]}``. ``model`` is then
            its class, or a function, and called with a value of each; every combination is compiled by itself. A run is
            that of a study with this network alone. What is no number is told by its place in the list.
        seeds: 0 to this less 1 for every configuration.
        batch_size: training examples a step; several are an axis, each compiled by itself.
        max_epochs, patience, data_seed, stop_on_nonfinite, halving: see :class:`~jaxopt_study.settings.Settings`; the
            seed is also that of the split of digits and folders.
        diagnostics, test_share, sharpness, sharpness_every: likewise.
        matmul_precision: likewise; several are an axis, each compiled by itself. A run tells its own by the place in
            :data:`jaxopt_study.settings.PRECISIONS`.
        data_seeds: so many orders of the examples, of the seeds from ``data_seed`` on, and for data that are split here
            (digits, folders) so many splits: every configuration is trained with each, and ``data``, if it is a
            function, called with ``split_seed``. A run is that of a study with its data seed alone.
        loss: ``softmax``, ``sigmoid``, ``squared_error`` or ``multi_label``, chosen by the labels if not given; or a
            function of a batch's outputs and labels that returns the losses of its examples, ``[B]`` (or ``[B, T]``).
        metrics: of your own, by name: ``js.macro_f1``, ``js.perplexity``, ``js.Metric(per_example, value)``, or a
            function like a loss, of which the mean is told. Measured on the validation split after every epoch.
        monitor: what the stopping rule, the best weights and :meth:`Study.best` go by: ``val_loss`` if not given,
            ``val_accuracy``, or a metric's name.
        mode: whether that is to be small, ``min``, or large, ``max``; a metric that does not say it needs it.
        workdir: folder for results, or a URL of object storage (``s3://..``, ``gs://..``).
        execution: how to compute it, instead of slots, devices, strategy, checkpoint_minutes, save_best_weights,
            max_minutes, until, max_seeds: see :class:`~jaxopt_study.settings.Execution`.
        questions: with ``until``, what is to be decided: a function of the finished runs and the most seeds of a
            configuration that says what is open and on which configurations it hangs, see
            :data:`jaxopt_study.engine.allocation.Questions`; the ranking of the best few, by the monitor, if None.
        cluster, cpus_per_worker, workers, distributed, coordinator, processes, process_id: on which machines; see
            :class:`~jaxopt_study.settings.Machines`.
        tensorboard: write TensorBoard event files, a run each, into the work directory; also of runs in its store.
        callbacks: who else wants to hear of epochs and runs; see jaxopt_study.watch.callbacks.
        own: whether config.json calls it somebody's own: a report is then made of it as :meth:`Study.report` does.

    Raises:
        InputError: the message says what was given and what is allowed.
        EnvironmentFault: the machine cannot do it.
    """
    check_whole("seeds", seeds, 1)
    sizes = [batch_size] if isinstance(batch_size, int) else list(check_sequence("batch_size", batch_size))
    for size in sizes:
        check_whole("batch_size", size, 1)
    exact: list[Any] = [*matmul_precision] if isinstance(matmul_precision, list | tuple) else [matmul_precision]
    for name in check_sequence("matmul_precision", exact):
        check_one_of("matmul_precision", name, PRECISIONS)
    settings = Settings(
        sizes[0] if len(sizes) == 1 else Settings.batch_size, max_epochs, patience, data_seed,
        stop_on_nonfinite, halving, diagnostics, exact[0] if len(exact) == 1 else Settings.matmul_precision,
        test_share, sharpness, sharpness_every,
    )  # fmt: skip
    said = Execution(slots, devices, strategy, checkpoint_minutes, save_best_weights, max_minutes, until, max_seeds)
    if execution is not None and said != Execution():
        raise InputError("execution", execution, "allowed is either it or slots, devices and so on beside it")
    if execution is not None and not isinstance(execution, Execution):
        raise InputError("execution", repr(execution), "allowed is a js.Execution(..)")
    if questions is not None and not callable(questions):
        raise InputError("questions", repr(questions), "allowed is a function of finished runs and the most seeds")
    check_callbacks(callbacks)
    machines = Machines(cluster, cpus_per_worker, workers, distributed, coordinator, processes, process_id)
    runs = runs_of(grid, seeds, sizes, exact)
    for run in grid if isinstance(grid, list | tuple) else ():
        if isinstance(run, Run) and run.data_seed is not None:
            allowed = "allowed is None: data_seed and data_seeds of the study say it of all runs"
            raise InputError("grid: data_seed", run.data_seed, allowed)
    if data_seeds is not None:
        check_whole("data_seeds", data_seeds, 1)
        if machines.cluster is not None:
            raise InputError("--data_seeds", data_seeds, "not allowed with --cluster; --distributed is")
        orders = range(data_seed, data_seed + data_seeds)
        runs = [run._replace(data_seed=order) for order in orders for run in runs]
    check_until(execution or said, seeds, data_seeds, settings, machines)
    networks = _networks(model, model_axes, runs, machines)
    runs = [run._replace(hyperparameters=run.hyperparameters + values) for values in networks.models for run in runs]
    goal = objective(loss, metrics, monitor, mode)
    _check_metrics(goal.metrics, runs)
    folder = _folder(workdir, machines)
    if tensorboard:
        callbacks = [*callbacks, TensorBoard(folder / "tensorboard")]
    ready.prepare(execution or said, machines)
    dataset = _dataset(data, data_seed, named=data_seeds is not None)
    datasets = {data_seed: dataset} if data_seeds else {}
    for order in range(data_seed + 1, data_seed + (data_seeds or 1)):
        other = _dataset(data, order, named=True)
        datasets[order] = dataset if other.fingerprint == dataset.fingerprint else other  # in memory once
    study = Study(
        settings, dataset, runs, workdir, machines=machines, callbacks=callbacks,
        models=networks, execution=execution or said, objective=goal, own=own, datasets=datasets,
        questions=questions or partial(ranking, monitor=goal.watched),
    )  # fmt: skip
    check_outputs(study)
    for sentence in lacking(study.runs, [study.network(study.settings.batch_size, each) for each in networks.models]):
        print(sentence, file=sys.stderr)
    for name, texts in study.choices.items():
        print(f"{name}: {', '.join(f'{place} is {text}' for place, text in enumerate(texts))}", file=sys.stderr)
    return study


def _networks(model: Any, axes: Any, runs: Sequence[Run], machines: Machines) -> Variants:
    """The network, or those of the axes' values."""
    if axes is None:
        return Variants({(): model_of(model)}, {})
    if machines.cluster is not None:
        raise InputError("model_axes", list(axes), "not allowed with --cluster; --distributed is")
    networks = variants(model, axes)
    for run in runs:
        for name in axes:
            if name in registry.TAKEN or name in registry.family(run.optimizer).known():
                allowed = f"allowed is a name that no run and no number of {run.optimizer} has"
                raise InputError("model_axes", name, allowed)
    return networks


def _check_metrics(metrics: Iterable[str], runs: Sequence[Run]) -> None:
    """Refuses a metric with the name of a number of the runs: the store would have two columns of it."""
    numbers = {name: run.optimizer for run in runs for name, _ in run.hyperparameters}
    numbers |= {name: rule for rule in {run.optimizer for run in runs} for name in registry.family(rule).known()}
    for name in metrics:
        if name in numbers:
            allowed = f"allowed is a name that no number of {numbers[name]} and no axis of the network has"
            raise InputError("metrics", repr(name), allowed)


def _dataset(data: object, seed: int, *, named: bool) -> Dataset:
    """The data, split by the seed if they are split here; a function is told it where it is ``named``."""
    if isinstance(data, str):
        data = load(data, split_seed=seed)
    elif callable(data):
        data = data(split_seed=seed) if named else data()
    if not isinstance(data, Dataset):
        allowed = "allowed are digits, tfds:NAME, folder:PATH, or what js.load, js.arrays, js.frame or js.hf returned"
        raise InputError("data", type(data).__name__, allowed)
    return data


def _folder(workdir: str | Path, machines: Machines) -> Path:
    check_workdir(workdir)
    return folders.check(remote.place(workdir, shared=machines.distributed).expanduser())
