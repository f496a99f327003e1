"""One verdict on rules over several problems: mean ranks, geometric means of losses, and which rule is the best.

Every number is one a seed and problem, of the run in the configuration that the other half of the problem's seeds
chooses for the rule, averaged over the seeds of a problem, then over the problems, which count alike. Seeds of
different problems share nothing, so that the intervals are those of ``intervals.stratified_mean``; the problems are
these, and no sample of others. Ranks as in J. Demsar, "Statistical comparisons of classifiers over multiple data sets",
2006, section 3.2.2; geometric means of ratios as in P. J. Fleming, J. J. Wallace, "How not to lie with statistics: the
correct way to summarize benchmark results", 1986.
"""

import itertools
import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from jaxopt_study.analysis.best import best_first, held_out
from jaxopt_study.analysis.guessing import fails, worst_counted
from jaxopt_study.analysis.intervals import LEVEL, Estimate, Mean, Sample, stratified_mean
from jaxopt_study.analysis.minima import unchosen_loss
from jaxopt_study.analysis.moderated import Prior, prior_of
from jaxopt_study.analysis.runs import describe
from jaxopt_study.analysis.speed import crossing, losses
from jaxopt_study.errors import InputError
from jaxopt_study.history import History, several_orders

SHARE = 0.9
"""Of the way from guessing to the best rule's loss: there is the target to which epochs are counted."""


class Problem(NamedTuple):
    """What is told of the rules on one problem, ``[K, S]`` each: rules in a given order, seeds that all of them have.

    Attributes:
        name: of the problem.
        losses: lowest validation losses without their own luck, at most that of guessing, which is also what a run
            that diverged or failed counts as.
        learns: whether the run ended otherwise, below the loss of guessing.
        epochs: to the target; infinite of a run that does not get there, or does not learn.
        target: the loss ``best + (1 - SHARE) (guessing - best)``, with the lowest mean loss of a rule as the best.
        chosen: whether a rule has several configurations, one half of the seeds choosing for the other.
        prior: of the variances of differences of logarithms of losses, from all configurations that learn.
        best: hyperparameters of the configuration that all seeds choose for each rule.
    """

    name: str
    losses: np.ndarray
    learns: np.ndarray
    epochs: np.ndarray
    target: float
    chosen: bool
    prior: Prior | None
    best: Sequence[Mapping[str, float]]

    def log_ratio(self, first: int, second: int) -> Sample:
        """Logarithms of the losses of a rule over those of another, a seed each."""
        values = np.log(self.losses[first]) - np.log(self.losses[second])
        if self.prior is None or not self.learns[[first, second]].all():  # these are spread otherwise
            return Sample(values, self.chosen)
        return Sample(values, self.chosen, self.prior)

    @property
    def ranks(self) -> np.ndarray:
        """Of the losses of each seed ``[K, S]``, from 1; equals share the mean of their places."""
        first, second = self.losses[:, None], self.losses[None]
        places: np.ndarray = 1 + (second < first).sum(1) + ((second == first).sum(1) - 1) / 2
        return places


class Standing(NamedTuple):
    """How a rule stands over all problems.

    Attributes:
        optimizer: its name.
        rank: mean rank, 1 the lowest loss of all rules.
        ratio: geometric mean of its losses over those of the reference.
        behind: geometric mean of its losses over those of the rule with the lowest; 1 of that.
        p: of no difference to that rule, adjusted for all pairs of rules; NaN of that rule, and where nothing is known.
        verdict: ``best`` or ``lowest``, ``undecided``, ``behind`` or, with one seed, empty.
    """

    optimizer: str
    rank: Estimate
    ratio: Estimate
    behind: Estimate
    p: float
    verdict: str


def told(name: str, rules: Mapping[str, Sequence[Sequence[History]]], common: Sequence[str], chance: float) -> Problem:
    """What is told of some rules on a problem.

    Args:
        name: of the problem.
        rules: the runs of each configuration, by the name of the rule.
        common: the rules to tell of, in their order.
        chance: the loss of guessing; where it is not known the highest loss told of any run stands for it.

    Raises:
        InputError: they are not of one study and one order of the data, or share no seed, no run has a loss, or one has
            a loss of 0 or less.
    """
    for runs in itertools.chain.from_iterable(rules[rule] for rule in common):
        if len({run.replicate for run in runs}) < len(runs):
            given = f"{name}, several runs of {describe(runs[0].optimizer, runs[0].hyperparameters, {})} with one seed"
            raise InputError("problems", given, "allowed are the runs of one study")
    if several_orders(run.replicate for runs in itertools.chain(*rules.values()) for run in runs):
        allowed = "allowed are the runs of one order of the data: those of several are not independent"
        raise InputError("problems", f"{name}, runs of several data_seeds", allowed)
    members = [{run.replicate for runs in rules[rule] for run in runs} for rule in common]
    seeds = set.intersection(*members)
    if not seeds:
        raise InputError("problems", name, "allowed are problems whose rules share a seed")
    chosen = [held_out([kept for runs in rules[rule] if (kept := _of(runs, seeds))]) for rule in common]
    found = np.array([[unchosen_loss(run) for run in runs] for runs in chosen])
    if not np.isfinite(found).any():
        raise InputError("problems", name, "allowed are problems on which a run has a loss that counts")
    if np.nanmin(found) <= 0:
        allowed = "allowed are problems whose losses are above 0: ratios are told of them"
        raise InputError("problems", f"{name}, loss {np.nanmin(found):.4g}", allowed)
    worst = worst_counted(chance, found.ravel().tolist())
    learns = np.array([[not fails(run, chance) for run in runs] for runs in chosen]) & np.isfinite(found)
    capped = np.fmin(found, worst)
    lowest = float(capped.mean(1).min())
    target = lowest + (1 - SHARE) * (worst - lowest)
    epochs = np.array([[crossing(losses(run), target) or math.inf for run in runs] for runs in chosen])
    several = max(len(rules[rule]) for rule in common) > 1
    prior = _prior(list(itertools.chain(*rules.values())), sorted(seeds), chance)
    best = [best_first(rules[rule])[0][0].hyperparameters for rule in common]
    return Problem(name, capped, learns, np.where(learns, epochs, math.inf), target, several, prior, best)


def _prior(configurations: Sequence[Sequence[History]], seeds: Sequence[int], chance: float) -> Prior | None:
    learning = [runs for runs in configurations if not any(fails(run, chance) for run in runs)]
    found = [{run.replicate: unchosen_loss(run) for run in runs} for runs in learning]
    logs = [{seed: math.log(loss) for seed, loss in of.items() if loss > 0} for of in found]
    return prior_of(logs, seeds, (1.0, -1.0))


def _of(runs: Sequence[History], seeds: set[int]) -> list[History]:
    return [run for run in runs if run.replicate in seeds]


def standings(problems: Sequence[Problem], rules: Sequence[str], reference: str) -> list[Standing]:
    """How the rules stand over the problems, the one with the lowest geometric mean of losses first.

    That one is compared with every other, and p multiplied by the number of all pairs of rules (Bonferroni), since it
    was not chosen beforehand: of equal rules, however many, one is told from the lowest in at most 5% of studies. It is
    ``best`` if all others are told from it and ``behind``; else it is the ``lowest``, and those not told from it
    are ``undecided``: as good perhaps, perhaps a good deal worse.
    """
    logs = np.mean([np.log(problem.losses).mean(1) for problem in problems], axis=0)
    lead, anchor = int(logs.argmin()), rules.index(reference)
    order = np.argsort(logs, kind="stable").tolist()
    pairs = len(rules) * (len(rules) - 1) // 2
    apart = {at: stratified_mean([p.log_ratio(at, lead) for p in problems]) for at in order if at != lead}
    p_values = {at: math.nan if mean is None else _adjusted(mean, pairs) for at, mean in apart.items()}
    near = {at for at, p in p_values.items() if not p <= 1 - LEVEL}
    known = min(problem.losses.shape[1] for problem in problems) > 1
    found = []
    for at in order:
        rank = over([Sample(problem.ranks[at], problem.chosen) for problem in problems], step=1.0)
        ratio, behind = (_over_other(problems, at, other) for other in (anchor, lead))
        verdict = ("lowest" if near else "best") if at == lead else "undecided" if at in near else "behind"
        found.append(
            Standing(
                rules[at], _clipped(rank, 1.0, len(rules)), ratio, behind, p_values.get(at, math.nan),
                verdict if known else "",
            )
        )  # fmt: skip
    return found


def _over_other(problems: Sequence[Problem], rule: int, other: int) -> Estimate:
    """The geometric mean of a rule's losses over another's; of itself 1, without an interval."""
    found = over([problem.log_ratio(rule, other) for problem in problems])
    return _exp(found._replace(low=math.nan, high=math.nan) if rule == other else found)


def _adjusted(mean: Mean, pairs: int) -> float:
    return min(1.0, 2 * pairs * min(mean.p_above(0.0), mean.p_below(0.0)))


def share(reached: Sequence[np.ndarray], chosen: Sequence[bool]) -> Estimate:
    """The mean over problems of the share of seeds, ``[S]`` each, of which something holds, with its interval."""
    pairs = zip(reached, chosen, strict=True)
    return _clipped(over([Sample(np.asarray(of, np.float64), by) for of, by in pairs], step=1.0), 0.0, 1.0)


def over(samples: Sequence[Sample], step: float = 0.0) -> Estimate:
    """The mean of the samples' means with its 95% interval."""
    centre = float(np.mean([one.values.mean() for one in samples]))
    mean = stratified_mean(samples, step)
    if mean is None:
        return Estimate(centre, math.nan, math.nan, sum(len(one.values) for one in samples))
    half = mean.half_width()
    return Estimate(centre, centre - half, centre + half, mean.seeds, "", mean.method)


def _exp(one: Estimate) -> Estimate:
    value, low, high = (math.exp(min(end, 700.0)) for end in one[:3])
    return one._replace(value=value, low=low, high=high)


def _clipped(one: Estimate, least: float, most: float) -> Estimate:
    if math.isnan(one.low):
        return one
    return one._replace(low=max(one.low, least), high=min(one.high, most))
