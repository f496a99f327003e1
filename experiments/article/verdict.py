"""The one rule by which measurements become a verdict.

A claim is made of parts. A part is one number a seed (a difference of two runs with that seed, a ratio, a share) and
the range in which its mean must lie for the part to hold.

1. Its mean over the seeds gets a 95% interval: the wider, on each side, of the bootstrap's (BCa) and Student's. With
   few seeds that is wide, as it should be. Ratios are averaged and bounded on the log scale.
2. A part holds if its interval lies in the range, and fails if its interval lies outside. Otherwise it is open.
3. One seed has no interval: the part is open whatever its size, for nothing in one seed says how far the next would
   be from it. Values that are exactly equal have no spread to judge by either: they need three seeds.
4. A claim of which every part must hold is supported if all hold at 95%, and contradicted if one of its k parts fails
   at 100% - 5%/k (Bonferroni, since there are k chances of failing by luck). A claim that some part must hold for is
   treated the other way round.
5. What is not there cannot speak: a part without runs is open, and so is one that would rest on runs that were still
   improving when their epochs ended (``analysis.settled``), where more epochs could turn it.
6. More, less, faster and slower are judged by direction alone; the effect shows how much. Where a claim needs a
   size ("close together", "about a tenth"), its range stands in the claim's sentence or beside its function.
7. One claim, A2, is an identity of update rules: it is judged pair of runs by pair of runs and needs no interval.

The best of a grid is chosen by its mean over the seeds and compared on the same seeds, which flatters the larger
grid a little. Of 43 claims judged at 95%, one or two can come out wrong by luck alone.
"""

import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

from jaxopt_study.analysis.intervals import Estimate, seed_estimate

LEVEL = 0.95
MIN_EQUAL_SEEDS = 3
SUPPORTED, CONTRADICTED, UNDECIDED = "supported", "contradicted", "undecided"


class Verdict(NamedTuple):
    """What the runs say of a claim.

    Attributes:
        verdict: ``supported``, ``contradicted`` or ``undecided``.
        effect: mean over the seeds of the part that decided, of the first open one, or where all parts agree of the
            one that agrees by least; NaN if nothing was measured.
        low: lower end of its 95% interval; NaN without one.
        high: upper end.
        meaning: what the effect is and in which unit.
        reason: why this verdict, in words.
    """

    verdict: str
    effect: float
    low: float
    high: float
    meaning: str
    reason: str


class Part(NamedTuple):
    """One measurable part of a claim.

    Attributes:
        meaning: what the values are.
        values: one a seed.
        low: the mean must be above this for the part to hold;
        high: and below this.
        ratio: whether the values are ratios.
        no_support: why the part cannot hold even if its interval says so; empty if it can.
        no_contradiction: why it cannot fail.
        note: what a reader must know besides.
    """

    meaning: str
    values: Sequence[float]
    low: float = 0.0
    high: float = math.inf
    ratio: bool = False
    no_support: str = ""
    no_contradiction: str = ""
    note: str = ""

    def open_if(self, reason: str) -> "Part":
        """The part, open whatever its interval says where there is a reason."""
        return self._replace(no_support=self.no_support or reason, no_contradiction=self.no_contradiction or reason)


class Undecided(Exception):
    """A claim, or a part of one, that the runs cannot speak to; its text is the reason."""


class _Outcome(NamedTuple):
    verdict: str
    part: Part
    shown: Estimate
    reason: str


def decide(parts: Sequence[Part], *, some: bool = False) -> Verdict:
    """Applies the rule to the parts of a claim, at least one; with ``some`` one that holds is enough, else all must."""
    strict = 1 - (1 - LEVEL) / len(parts)
    levels = (strict, LEVEL) if some else (LEVEL, strict)
    outcomes = [_judge(part, *levels) for part in parts]
    one, all_of = (SUPPORTED, CONTRADICTED) if some else (CONTRADICTED, SUPPORTED)
    for verdict in (one, UNDECIDED):
        deciding = [outcome for outcome in outcomes if outcome.verdict == verdict]
        if deciding:
            return _verdict(verdict, deciding, len(parts))
    return _verdict(all_of, sorted(outcomes, key=_safety), len(parts))


def both(first: Verdict, second: Verdict) -> Verdict:
    """The verdict on a claim that consists of two, with the effect of the one that decided it."""
    for verdict in (CONTRADICTED, UNDECIDED):
        for candidate in (first, second):
            if candidate.verdict == verdict:
                return candidate
    return first._replace(reason=f"{first.reason}; and {second.meaning}: {second.reason}")


def attempt(make: Callable[..., Part], *args: object, **options: object) -> Part:
    """``make(*args, **options)``, or an open part with the reason where the runs cannot give it."""
    try:
        return make(*args, **options)
    except Undecided as reason:
        return Part("nothing measured", (), no_support=str(reason))


def _judge(part: Part, for_level: float, against_level: float) -> _Outcome:
    shown = _estimate(part, LEVEL)
    if shown.seeds == 0:
        return _Outcome(UNDECIDED, part, shown, part.no_support or "nothing to measure: no finite value in any seed")
    if shown.seeds == 1:
        inside = part.low < shown.value < part.high
        reason = f"too few seeds: one seed has no interval (its value {'fits' if inside else 'does not fit'} the claim)"
        return _Outcome(UNDECIDED, part, shown, reason)
    supporting, opposing = _estimate(part, for_level), _estimate(part, against_level)
    holds, fails = _inside(part, supporting), _outside(part, opposing)
    verdict = SUPPORTED if holds else CONTRADICTED if fails else UNDECIDED
    hindrance = part.no_support if holds else part.no_contradiction if fails else ""
    if (holds or fails) and shown.low == shown.high and shown.seeds < MIN_EQUAL_SEEDS:
        hindrance = f"too few seeds: {shown.seeds} agree exactly, which takes {MIN_EQUAL_SEEDS} to judge"
    if hindrance:
        return _Outcome(UNDECIDED, part, shown, hindrance)
    between = max(for_level, against_level) if _inside(part, shown) or _outside(part, shown) else LEVEL
    level = for_level if holds else against_level if fails else between
    return _Outcome(verdict, part, shown, _reason(part, verdict, _estimate(part, level), level))


def _inside(part: Part, estimate: Estimate) -> bool:
    return part.low < estimate.low and estimate.high < part.high


def _outside(part: Part, estimate: Estimate) -> bool:
    return estimate.low > part.high or estimate.high < part.low


def _estimate(part: Part, level: float) -> Estimate:
    if not part.ratio:
        return seed_estimate(part.values, level=level)
    logs = [math.log(value) if 0 < value < math.inf else math.nan for value in part.values]
    estimate = seed_estimate(logs, level=level)
    with np.errstate(over="ignore", under="ignore"):  # of two seeds far apart the interval may reach to infinity
        value, low, high = np.exp([estimate.value, estimate.low, estimate.high]).tolist()
    return Estimate(value, low, high, estimate.seeds, estimate.note)


def _reason(part: Part, verdict: str, estimate: Estimate, level: float) -> str:
    claimed = f"above {part.low:.3g}" if math.isinf(part.high) else f"between {part.low:.3g} and {part.high:.3g}"
    if math.isinf(part.low) or (part.ratio and part.low == 0):
        claimed = f"below {part.high:.3g}"
    interval = f"the {100 * level:.4g}% interval {estimate.low:.3g} to {estimate.high:.3g} of {estimate.seeds} seeds"
    says = {SUPPORTED: "is", CONTRADICTED: "is not", UNDECIDED: "does not tell whether the mean is"}[verdict]
    return f"{interval} {says} {claimed}"


def _safety(outcome: _Outcome) -> float:
    """How far the interval stays away from the nearer bound, as a share of the mean's distance; 1 without spread."""
    part, shown = outcome.part, outcome.shown
    ends = [(bound, abs(shown.value - bound)) for bound in (part.low, part.high) if math.isfinite(bound)]
    bound, distance = min(ends, key=lambda end: end[1])
    return min(abs(shown.low - bound), abs(shown.high - bound)) / distance


def _verdict(verdict: str, outcomes: Sequence[_Outcome], count: int) -> Verdict:
    """The verdict with the first of the outcomes that gave it."""
    first = outcomes[0]
    word = {SUPPORTED: "held", CONTRADICTED: "failed", UNDECIDED: "open"}[verdict]
    counted = f"{len(outcomes)} of {count} parts {word}, first {first.reason}" if count > 1 else first.reason
    reason = "; ".join(filter(None, [counted, first.part.note, first.shown.note if first.shown.seeds > 1 else ""]))
    return Verdict(verdict, first.shown.value, first.shown.low, first.shown.high, first.part.meaning, reason)
