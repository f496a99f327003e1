"""A study: trained, continued, branched; its best configuration, figures and report."""

import dataclasses
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import jax

from jaxopt_study.analysis.best import Best, best_of
from jaxopt_study.analysis.equal_time import at_equal_time
from jaxopt_study.analysis.guessing import status
from jaxopt_study.analysis.ranking import ranking
from jaxopt_study.analysis.runs import by_configuration
from jaxopt_study.cluster import hosts
from jaxopt_study.data import Dataset
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
from jaxopt_study.optimizers import registry
from jaxopt_study.report import outcome
from jaxopt_study.settings import Machines, Settings, check_sequence, own_switches
from jaxopt_study.storage import remote
from jaxopt_study.storage import workdir as folders
from jaxopt_study.storage.store import tidy
from jaxopt_study.watch.callbacks import Callback, TensorBoard
from jaxopt_study.watch.callbacks import check as check_callbacks
from jaxopt_study.watch.progress import watched


def check_workdir(workdir: object) -> None:
    """Refuses what names no folder, with an InputError."""
    if not isinstance(workdir, str | Path) or not str(workdir):
        raise InputError("workdir", repr(workdir), "allowed is the path of a folder, or a URL of object storage")


class Study(Trainer):
    """A study: what is computed (see :class:`jaxopt_study.engine.trainer.Trainer`), where, and what is made of it.

    Made by :func:`~jaxopt_study.api.make.make_study`.

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
        heard, minutes = [*self.callbacks, *check_callbacks(callbacks)], self.execution.max_minutes
        with remote.kept(self.workdir), watched(heard, max_minutes=minutes, again=again) as watcher:
            for train in self._rounds():
                train(watcher)
            if unlike := self._never_judged(self.histories):
                watcher.tell(unlike)
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
            grid: as of :func:`~jaxopt_study.api.make.make_study`, without batch sizes or precisions, with the seeds
                of the runs.
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
        if not isinstance(reset, bool):
            raise InputError("reset", repr(reset), "allowed are True and False")
        if workdir is not None:
            check_workdir(workdir)
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
        best = best_of(by_configuration(chosen), self.guessing, among=among, monitor=goal.watched)
        return best._replace(note="; ".join(filter(None, [best.note, self._never_judged(chosen)])))

    def _never_judged(self, histories: Sequence[History]) -> str:
        """What is said of runs that ended like others though nothing told which epoch was their best."""
        ended = [history for history in histories if history.status not in ("diverged", "failed")]
        count = sum(not self.judged(history) for history in ended)
        why = "so that no epoch of theirs was the best, and they have no best weights"
        return f"{self.objective.monitor} was never a number in {count} of {len(ended)} runs, {why}" if count else ""

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
            if paper is not None and (isinstance(paper, str) or not isinstance(paper, Sequence)):
                raise InputError("paper", repr(paper), "allowed are two widths in inches: of a column, and of the text")
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
