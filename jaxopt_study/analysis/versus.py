"""Which of two rules, each tuned over its own configurations, gets to the lower loss, or the better metric."""

import math
from collections.abc import Sequence
from typing import NamedTuple

from jaxopt_study.analysis.best import held_out
from jaxopt_study.analysis.guessing import worst_counted
from jaxopt_study.analysis.intervals import LEVEL, independent, paired_differences, seed_mean
from jaxopt_study.analysis.looking import allowed
from jaxopt_study.analysis.minima import COST, Monitor, lowest_loss
from jaxopt_study.history import History, several_orders

Side = Sequence[Sequence[History]]
"""Configurations, each the runs of its seeds."""


class Versus(NamedTuple):
    """How the first side's lowest validation loss, or its best value of what is monitored, compares with the second's.

    Attributes:
        better: 0 or 1, the side that is; None where it is undecided.
        effect: how far the first side's loss is above the second's: 0.1 is 10% above, -0.1 below; where a loss is not
            positive, and of anything else that is monitored, the difference itself. NaN without two seeds.
        low, high: its interval, which leaves 0 out exactly where it is decided.
        p: two-sided p-value of no difference.
        seeds: that both sides have.
        reason: why nothing can be said, or how many runs diverged or failed; empty if all is well.
    """

    better: int | None
    effect: float
    low: float
    high: float
    p: float
    seeds: int
    reason: str = ""


def versus(
    first: Side,
    second: Side,
    most_seeds: int | None = None,
    monitor: Monitor | None = None,
    chance: float = math.inf,
) -> Versus:
    """Compares two sides seed by seed, by the logarithms of the losses of what the other half of the seeds chooses.

    By the values themselves where something else is monitored. A run that diverged or failed counts as guessing: were
    its seed passed over, a rule would be told by the seeds that it survived.

    Args:
        first: configurations of one side.
        second: of the other.
        most_seeds: of a configuration where it is looked at after every seed, so that a p-value decides that is below
            what :func:`jaxopt_study.analysis.looking.allowed` says; None where it is looked at once: below 5%.
        monitor: what runs are judged by; the validation loss if None.
        chance: the loss of guessing, as which any that is higher counts; where it is not known, and of what is
            monitored, the worst value told of any run stands for that of one that diverged or failed.
    """
    sides, curve = [first, second], "val_loss"
    if monitor is not None:
        sides, curve = [[[monitor.added(run) for run in runs] for runs in side] for side in sides], COST
    losses = [
        {run.replicate: lowest_loss(run, curve) for run in held_out(side, curve)} if side else {} for side in sides
    ]
    both = losses[0].keys() & losses[1].keys()
    lost = sum(not all(math.isfinite(side[seed]) for side in losses) for seed in both)
    known_at_all = monitor is None and math.isfinite(chance)
    worst = worst_counted(chance if known_at_all else math.inf, [side[seed] for side in losses for seed in both])
    losses = [
        {seed: min(side[seed], worst) if math.isfinite(side[seed]) else worst for seed in both} for side in losses
    ]
    relative = monitor is None and not any(side[seed] <= 0 for side in losses for seed in both)
    known = [{seed: math.log(side[seed]) if relative else side[seed] for seed in both} for side in losses]
    paired = paired_differences(*known)
    values = independent(paired)
    seeds = len(values)
    what, sign = ("loss", 1) if monitor is None else (monitor.name, monitor.sign)
    counts = f"guessing, {worst:.4g}" if known_at_all else f"the worst {what} told, {sign * worst:.4g}"
    reason = f"in {lost} of {len(both)} seeds a run diverged or failed, which counts as {counts}" if lost else ""
    chosen = max(len(first), len(second)) > 1
    mean = seed_mean(paired, halves=chosen)

    def told(difference: float) -> float:
        return math.expm1(min(difference, 700.0)) if relative else sign * difference

    if mean is None:
        nan, short = math.nan, seeds < 2
        unit = "order" if several_orders(paired) else "seed"
        why = f"fewer than two {unit}s of both" if short else f"all {unit}s differ by exactly the same"
        effect = nan if short else told(float(values.mean()))
        return Versus(None, effect, nan, nan, nan, seeds, "; ".join(filter(None, [why, reason])))
    p = 2 * min(mean.p_above(0.0), mean.p_below(0.0))
    enough = 1 - LEVEL
    if most_seeds is not None:
        enough = allowed(seeds, most_seeds, enough, chosen)
    half = mean.half_width(1 - enough)
    low, high = sorted([told(mean.value - half), told(mean.value + half)])
    better = None if p > enough else int(mean.value > 0)
    return Versus(better, told(mean.value), low, high, p, seeds, reason)
