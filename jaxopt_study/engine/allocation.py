"""Which runs a study needs next: one more seed of the configurations that decide what is still open.

Nothing here knows what the questions are: they come from a function of the finished runs.
"""

import json
from collections.abc import Callable, Iterable, Sequence

from jaxopt_study.analysis.looking import Question, promise
from jaxopt_study.analysis.runs import Configuration, configuration_of
from jaxopt_study.engine.config import entry
from jaxopt_study.engine.trainer import Trainer
from jaxopt_study.grids.run import Run
from jaxopt_study.history import History
from jaxopt_study.storage import workdir

WORTH = 0.027
"""A question gets one more seed if the most decide it with this probability, times the configurations that lack one."""

Questions = Callable[[Sequence[History], int], Iterable[Question]]
"""``(histories, most_seeds)`` to what the finished runs of a study leave open when each configuration may have so many
seeds."""


def next_runs(runs: Sequence[Run], questions: Iterable[Question], most: int) -> list[Run]:
    """The next seed of each configuration that an open question lacks it of.

    A question counts the seeds that all of its configurations have, and asks for one more if it is likely enough to be
    decided by ``most`` for what it costs.

    Args:
        runs: of the study, all finished; of each configuration those of seeds from 0 on.
        questions: that are open.
        most: seeds of a configuration at most.

    Returns:
        Runs in the order of the number of questions that they are expected to help to decide; none when nothing is
        open any more that more seeds are likely to decide.
    """
    names = by_configuration(runs)
    seeds = {key: 1 + max(run.seed for run in of_key) for key, of_key in names.items()}
    weights: dict[Configuration, float] = {}
    for question in questions:
        there = [key for key in question.configurations if key in names]
        fewest = min((seeds[key] for key in there), default=most)
        worth = promise(question.p, fewest, most)
        lacking = [key for key in there if seeds[key] == fewest]
        if fewest < most and worth >= WORTH * len(lacking):
            for key in lacking:
                weights[key] = weights.get(key, 0.0) + worth
    ordered = sorted(weights, key=lambda key: -weights[key])
    return [run._replace(seed=seeds[key]) for key in ordered for run in names[key] if run.seed == 0]


def asked_before(study: Trainer, most: int) -> list[Run]:
    """The further seeds of a study's configurations that its store has, or that its config.json says were asked for."""
    config = workdir.usable(workdir.written_config, study.folder / "config.json")
    of_study = config.get("identity") == json.loads(json.dumps(study.identity))
    known = {json.dumps(each) for each in config.get("grid", ())} if of_study else set()
    found = []
    for of_key in by_configuration(study.runs).values():
        names, first = [run for run in of_key if run.seed == 0], 1 + max(run.seed for run in of_key)
        for seed in range(first, most):
            more = [run._replace(seed=seed) for run in names]
            if not any(json.dumps(entry(run)) in known or study.is_stored(run) for run in more):
                break  # seeds are added one after another
            found += more
    return found


def by_configuration(runs: Iterable[Run]) -> dict[Configuration, list[Run]]:
    """Runs by what they have in common with their other seeds; one computation may have several names."""
    configurations: dict[Configuration, list[Run]] = {}
    for run in runs:
        key = configuration_of(run.optimizer, dict(run.hyperparameters))
        configurations.setdefault(key, []).append(run)
    return configurations
