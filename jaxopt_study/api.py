"""The library's front: a user's own network, data, optimizer and grid in, tables, figures and a report out."""

import dataclasses
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import jax

from jaxopt_study.analysis.best import Best, best_of
from jaxopt_study.analysis.equal_time import at_equal_time
from jaxopt_study.analysis.guessing import status
from jaxopt_study.analysis.minima import Monitor
from jaxopt_study.analysis.ranking import ranking
from jaxopt_study.analysis.runs import by_configuration
from jaxopt_study.cluster import hosts, ready
from jaxopt_study.data import Dataset, load
from jaxopt_study.engine import branching
from jaxopt_study.engine.allocation import Questions, asked_before, next_runs
from jaxopt_study.engine.branching import Branch
from jaxopt_study.engine.costs import Cost, known_costs
from jaxopt_study.engine.outputs import check_outputs
from jaxopt_study.engine.plan import Part, plan
from jaxopt_study.engine.trainer import Trainer
from jaxopt_study.engine.watcher import Watcher
from jaxopt_study.errors import InputError
from jaxopt_study.grids.grid import Grid, runs_of
from jaxopt_study.grids.run import Run
from jaxopt_study.history import History
from jaxopt_study.models.own import model_of
from jaxopt_study.models.variants import Variants, variants
from jaxopt_study.optimizers import registry
from jaxopt_study.report import outcome
from jaxopt_study.settings import Execution, Machines, Settings, check_sequence, check_until, check_whole, own_switches
from jaxopt_study.storage import remote
from jaxopt_study.storage import workdir as folders
from jaxopt_study.storage.store import tidy
from jaxopt_study.training.objective import objective
from jaxopt_study.watch.callbacks import Callback, TensorBoard
from jaxopt_study.watch.progress import watched


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
    matmul_precision: str = Settings.matmul_precision,
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
    questions: Questions = ranking,
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
) -> "Study":
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
        diagnostics, matmul_precision, test_share, sharpness, sharpness_every: likewise.
        data_seeds: so many orders of the examples, of the seeds from ``data_seed`` on, and for data that are split here
            (digits, folders) so many splits: every configuration is trained with each, and ``data``, if it is a
            function, called with ``split_seed``. A run is that of a study with its data seed alone.
        loss: ``softmax``, ``sigmoid``, ``squared_error`` or ``multi_label``, chosen by the labels if not given; or a
            function of a batch's outputs and labels that returns the losses of its examples, ``[B]`` (or ``[B, T]``).
        metrics: of your own, by name: ``js.macro_f1``, ``js.perplexity``, ``js.Metric(per_example, value)``, or a
            function like a loss, of which the mean is told. Measured on the validation split after every epoch.
        monitor: what the stopping rule, the best weights and :meth:`Study.best` go by: ``val_loss`` if not given,
            ``val_accuracy``, or a metric's name.
        mode: whether that is to be small, ``min``, or large, ``max``; a metric of your own needs it.
        workdir: folder for results, or a URL of object storage (``s3://..``, ``gs://..``).
        execution: how to compute it, instead of slots, devices, strategy, checkpoint_minutes, save_best_weights,
            max_minutes, until, max_seeds: see :class:`~jaxopt_study.settings.Execution`.
        questions: with ``until``, what is to be decided: a function of the finished runs and the most seeds of a
            configuration that says what is open and on which configurations it hangs, see
            :data:`jaxopt_study.engine.allocation.Questions`; the ranking of the best few if not given.
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
    settings = Settings(
        sizes[0] if len(sizes) == 1 else Settings.batch_size, max_epochs, patience, data_seed,
        stop_on_nonfinite, halving, diagnostics, matmul_precision, test_share, sharpness, sharpness_every,
    )  # fmt: skip
    said = Execution(slots, devices, strategy, checkpoint_minutes, save_best_weights, max_minutes, until, max_seeds)
    if execution is not None and said != Execution():
        raise InputError("execution", execution, "allowed is either it or slots, devices and so on beside it")
    machines = Machines(cluster, cpus_per_worker, workers, distributed, coordinator, processes, process_id)
    runs = runs_of(grid, seeds, sizes)
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
    if not goal.is_usual and (execution or said).until is not None:
        raise InputError("until", (execution or said).until, "allowed where the monitor is val_loss alone")
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
        models=networks, execution=execution or said, objective=goal, own=own, questions=questions, datasets=datasets,
    )  # fmt: skip
    check_outputs(study)
    return study


class Study(Trainer):
    """A study: what is computed (see :class:`jaxopt_study.engine.trainer.Trainer`), where, and what is made of it.

    Made by :func:`make_study`.

    Attributes:
        settings: what all runs share.
        execution: how it is computed.
        machines: where it is computed.
        callbacks: who hears of epochs and runs.
        questions: what is to be decided, where seeds are added.
        workdir: the work directory as it was given, a folder or a URL; ``folder`` is the one on this machine.
        runs: all of them, trained or not.
        histories: the finished ones.
    """

    def __init__(
        self,
        settings: Settings,
        dataset: Dataset,
        runs: Sequence[Run],
        workdir: str | Path,
        *,
        machines: Machines,
        callbacks: Sequence[Callback],
        questions: Questions = ranking,
        **computed: Any,
    ) -> None:
        super().__init__(settings, dataset, runs, remote.place(workdir).expanduser(), **computed)
        self.workdir, self.machines, self.callbacks, self.questions = workdir, machines, callbacks, questions

    @own_switches()
    def plan(self) -> list[Part]:
        """What would be trained, in how much memory and time: a part for every batch size and order of the data."""
        return plan(self)

    @own_switches()
    def run(self, *callbacks: Callback) -> Any:
        """Trains what the work directory does not have yet.

        Args:
            *callbacks: who else wants to hear of epochs and runs; see jaxopt_study.watch.callbacks.

        Returns:
            All finished runs as one tidy table, as :func:`jaxopt_study.load_runs` gives it: where ``max_minutes`` are
            over perhaps not all of the study; a line on stderr says what is left then. A notebook shows it unless it is
            given a name, or the line ends with a semicolon.

        Raises:
            EnvironmentFault: the work directory cannot be used, or the memory does not suffice.
            Interrupted: an interrupt came; what was begun is saved, and the next call goes on from there.
        """
        again = "run()" if self.own else "the same command"
        heard, minutes = [*self.callbacks, *callbacks], self.execution.max_minutes
        with remote.kept(self.workdir), watched(heard, max_minutes=minutes, again=again) as watcher:
            for train in self._rounds():
                train(watcher)
            for board in (each for each in heard if isinstance(each, TensorBoard)):
                finished = self.finished
                missing = {run: finished[run] for run in self.computations if run in finished}
                if jax.process_index() == 0 and (count := board.fill(missing)):
                    watcher.tell(f"{count} runs that were trained before are now in {board.folder}")
        return tidy((self.fingerprints[run], history) for run, history in self.finished.items())

    def _rounds(self) -> Iterator[Callable[[Watcher], object]]:
        """What trains the runs, again for those that are added as long as something is undecided."""
        most = self.execution.most_seeds
        if most is not None:
            self.add(asked_before(self, most))
        yield self._trained_by
        while most is not None and (more := next_runs(self.runs, self.questions(self.histories, most), most)):
            self.add(more)
            yield self._trained_by

    @property
    def _trained_by(self) -> Callable[[Watcher], object]:
        if self.machines.cluster is not None:
            from jaxopt_study.cluster import driver  # Ray is an extra

            return partial(driver.train, self, self.machines)
        return partial(hosts.train, self) if self.machines.distributed else self.train

    @own_switches()
    def branch(
        self,
        run: Run | Sequence[Run],
        epoch: int,
        grid: Grid | Sequence[Grid | Run],
        *,
        reset: bool = False,
        max_epochs: int | None = None,
        patience: int | None = None,
        workdir: str | Path | None = None,
    ) -> "Study":
        """A study of what becomes of a finished run that goes on otherwise after an epoch.

        Each configuration of the grid goes on from the run's state: its weights, statistics, dropout, what the stopping
        rule remembers, and what its update rule remembers where the configuration has the same rule with numbers of the
        same names; else the rule begins anew, and a schedule of its own with it. Histories have the epochs of the run
        before their own. The state is not kept: the run is trained again up to the epoch, once for all that go on.

        Adam for 100 epochs, then SGD at two rates:
        ``study.branch(study.runs[0], 100, js.make_grid("sgd", learning_rate=[0.01, 0.1])).run()``

        Args:
            run: of this study, finished; or several that differ in nothing but their seeds: a branch of each.
            epoch: after which they go on.
            grid: as of :func:`make_study`, without batch sizes; the seeds are those of the runs.
            reset: whether what a rule remembers begins anew in any case.
            max_epochs: counted from the first epoch of the run; the study's if not given.
            patience: the study's if not given.
            workdir: folder for results; beside the study's if not given.

        Raises:
            InputError: the message says what was given and what is allowed.
        """
        if self.machines.cluster is not None or self.machines.distributed or self.branch_of:
            allowed = "allowed is one of a study on one machine that is no branch itself"
            raise InputError("branch", self.workdir, allowed)
        if len(self.variants.models) > 1:
            raise InputError(
                "branch", self.workdir, "allowed is one of a study without model_axes: of that network alone"
            )
        settings = dataclasses.replace(
            self.settings,
            halving=None,
            max_epochs=self.settings.max_epochs if max_epochs is None else max_epochs,
            patience=self.settings.patience if patience is None else patience,
        )
        parents = [run] if isinstance(run, Run) else list(check_sequence("run", run))
        branching.check(parents, self.finished, epoch)
        named = self.fingerprint(parents[0]._replace(seed=0))
        branch = Branch(tuple(parents), named, self.budget(parents[0]), epoch, reset)
        runs = branching.runs_from(parents, runs_of(grid, 1, [1]), epoch, settings.max_epochs)
        folder = workdir or f"{str(self.workdir).rstrip('/')}_branch_{named[:8]}_{epoch}{'_reset' * reset}"
        execution = dataclasses.replace(self.execution, until=None, max_seeds=None)
        study = Study(
            settings, self.dataset, runs, folder, machines=self.machines, callbacks=(), model=self.model,
            execution=execution, objective=self.objective, own=self.own, datasets=self.datasets, branch_of=branch,
        )  # fmt: skip
        check_outputs(study)
        return study

    @own_switches()
    def costs(self) -> dict[str, Cost]:
        """What a step of each rule costs over SGD's; measured if stats.json does not say, and written there.

        Each rule alone, in turns, by the processor's time: what else runs on the machine hardly counts. It takes about
        as long as compiling the study once for every rule.
        """
        with remote.kept(self.workdir):
            return known_costs(self)

    def best(self, optimizer: str | None = None, *, equal_time: bool = False) -> Best:
        """The best configuration of what is finished, with means over the seeds and an interval.

        It is chosen by all seeds, by what is monitored; what is told of each half of them is of what the other half
        chooses.

        Args:
            optimizer: name of a rule of the study, to choose among its configurations alone.
            equal_time: whether each run counts only as far as it comes in the time in which SGD trains ``max_epochs``,
                by :meth:`costs`.

        Raises:
            InputError: no run is finished, or none of that rule.
        """
        histories = self._some_histories()
        if equal_time:
            seconds = {rule: cost.seconds_over_sgd for rule, cost in self.costs().items()}
            histories = at_equal_time(histories, seconds, self.settings.max_epochs)
        rules = dict.fromkeys(history.optimizer for history in histories)
        if optimizer is not None:
            registry.check_name("optimizer", optimizer, rules)
        chosen = [history for history in histories if optimizer in (None, history.optimizer)]
        among, goal = by_configuration(histories), self.objective
        monitor = None if goal.is_usual else Monitor(goal.monitor, goal.mode)
        return best_of(by_configuration(chosen), self.guessing, among=among, monitor=monitor)

    def __repr__(self) -> str:
        ended = Counter(status(history, self.guessing) for history in self.histories)
        counts = ", ".join(f"{count} {name}" for name, count in ended.items()) or "none trained yet"
        of = f"{self.model.identity.split()[0]} on {self.dataset.name}"
        return f"<{of}, {len(self.runs)} runs: {counts}; {self.workdir}>"

    def _repr_html_(self) -> str:
        return outcome.html_of(repr(self), self.histories, self.guessing)

    def figures(self) -> list[Path]:
        """Draws the finished runs into figures/, PNG and SVG: curves, the lowest loss over each axis and pair of axes.

        Returns:
            The PNG files.

        Raises:
            InputError: no run is finished.
            EnvironmentFault: a file cannot be written.
        """
        with remote.kept(self.workdir):
            return [each.png for each in outcome.draw(self._some_histories(), self.folder, self.describe())]

    def report(self, *, paper: Sequence[float] | None = None) -> Path:
        """Writes summary.csv, tables/, figures/ and report.html, one page with all of it.

        Args:
            paper: inches of a paper's column and of its text, such as ``(3.35, 6.9)``: paper/ then has the figures as
                PDF of these widths, and figures.tex.

        Returns:
            The page.

        Raises:
            InputError: no run is finished, or there are no such widths.
            EnvironmentFault: a file cannot be written.
        """
        with remote.kept(self.workdir):
            histories = self._some_histories()
            if paper is not None:
                outcome.write_paper(histories, self.folder, self.describe(), paper)
            self.write_config()
            stats = folders.usable(folders.read_stats, self.folder / "stats.json")
            files = [self.fingerprints[run] for run in self.finished]
            return outcome.write(histories, self.folder, self.describe(), stats, files)

    def _some_histories(self) -> list[History]:
        if not self.histories:
            raise InputError("workdir", self.folder, "it holds no finished run of this study: call run() first")
        return self.histories


def _networks(model: Any, axes: Any, runs: Sequence[Run], machines: Machines) -> Variants:
    """The network, or those of the axes' values, of which choices are told."""
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
    for name, texts in networks.choices.items():
        print(f"{name}: {', '.join(f'{place} is {text}' for place, text in enumerate(texts))}", file=sys.stderr)
    return networks


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


def _folder(workdir: object, machines: Machines) -> Path:
    if not isinstance(workdir, str | Path) or not str(workdir):
        raise InputError("workdir", repr(workdir), "allowed is the path of a folder, or a URL of object storage")
    return folders.check(remote.place(workdir, shared=machines.distributed).expanduser())
