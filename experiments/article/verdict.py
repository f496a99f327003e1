"""The one rule by which measurements become a verdict.

A claim is made of parts. A part is one number a seed (a difference of two runs with that seed, a ratio, a share) and
the range in which its mean must lie for the part to hold.

1. Its mean over the seeds gets a 95% interval: moderated t where other configurations of the study say how far seeds
   lie apart (``analysis.moderated``), else Student's. Ratios are averaged and bounded on the log scale. Of a measure
   on a grid the interval is no narrower than the grid's step allows.
2. A part holds if its interval lies in the range, and fails if its interval lies outside. Otherwise it is open. Where
   the range has two ends ("close together", "about a tenth") that are two one-sided tests (TOST) at 2.5% each: at a
   bound a part holds by luck as seldom as any other.
3. One seed has no interval: the part is open whatever its size, for nothing in one seed says how far the next would
   be from it. Neither have values that are exactly equal, on no grid and without other configurations, nor those of
   runs of which some are stuck at guessing and others are not.
4. A claim of which every part must hold is supported if all hold at 95%, and contradicted if one of its k parts fails
   at 100% - 5%/k (Bonferroni, since there are k chances of failing by luck). A claim that some part must hold for is
   treated the other way round. So a claim has a p-value, the smaller of two: of being supported, and contradicted.
5. What is not there cannot speak: a part without runs is open, and so is one that would rest on runs that were still
   improving when their epochs ended (``analysis.settled``), where more epochs could turn it. Where no number of seeds
   could support a claim for that reason, and nothing contradicts it, it does not apply to the study; nor does one that
   speaks of other data.
6. More, less, faster and slower are judged by direction alone; the effect shows how much. Where a claim needs a
   size ("close together", "about a tenth"), its range stands in the claim's sentence or beside its function.

docs/statistics.md has the formulas.
"""

import contextlib
import math
from collections.abc import Iterator, Sequence
from contextvars import ContextVar
from typing import NamedTuple

import numpy as np

from experiments.article.part import Part
from jaxopt_study.analysis import power
from jaxopt_study.analysis.halves import chosen_by_halves
from jaxopt_study.analysis.intervals import LEVEL, Mean, independent, seed_mean, student_interval
from jaxopt_study.analysis.looking import allowed
from jaxopt_study.analysis.runs import Cell
from jaxopt_study.history import several_orders

ALPHA = 1 - LEVEL
SUPPORTED, CONTRADICTED, UNDECIDED, NOT_APPLICABLE = "supported", "contradicted", "undecided", "does not apply"
TOST = "two one-sided tests"


class Verdict(NamedTuple):
    """What the runs say of a claim.

    Attributes:
        verdict: ``supported``, ``contradicted``, ``undecided`` or ``does not apply``.
        effect: mean over the seeds of the part that decided, of the first open one, or where all parts agree of the
            one that agrees by least; NaN if nothing was measured.
        low: lower end of its 95% interval; NaN without one.
        high: upper end.
        meaning: what the effect is and in which unit.
        reason: why this verdict, in words.
        method: which interval it is; empty without one.
        student_low: lower end of Student's interval of the same values, without other configurations or a grid's step.
        student_high: upper end.
        p: of the claim, two-sided; at most 0.05 where it is decided; NaN where it does not apply, or no part has an
            interval.
        seeds_needed: fewest seeds that would decide an undecided claim with a power of 80% if the effect is as seen;
            None where seeds alone would not, or too many would be needed to count.
        smallest_visible: the smallest distance from the bound that the seeds there are would show with that power,
            in the unit of the effect, of a ratio as a factor; NaN without an interval.
        cells: of an undecided claim the configurations of which more seeds may decide it.
        values: of the part that the effect is of, one a seed.
        holds, fails: p-values of its being supported and contradicted, of which ``p`` is the smaller; NaN as that.
    """

    verdict: str
    effect: float
    low: float
    high: float
    meaning: str
    reason: str
    method: str = ""
    student_low: float = math.nan
    student_high: float = math.nan
    p: float = math.nan
    seeds_needed: int | None = None
    smallest_visible: float = math.nan
    cells: tuple[Cell, ...] = ()
    values: tuple[float, ...] = ()
    holds: float = math.nan
    fails: float = math.nan


_LOOK: ContextVar[tuple[int | None, Sequence[int]]] = ContextVar("look", default=(None, ()))


@contextlib.contextmanager
def looking(most_seeds: int | None, replicates: Sequence[int] = ()) -> Iterator[None]:
    """Within it claims are judged as whoever looks after every seed, of at most so many, must judge them.

    Of the level of a part only what ``analysis.looking.allowed`` grants to its number of seeds is left. None: one look.
    ``replicates`` are those that the values of parts are of: of several orders of the data an interval is over these.
    """
    token = _LOOK.set((most_seeds, replicates))
    try:
        yield
    finally:
        _LOOK.reset(token)


class _Outcome(NamedTuple):
    """A part judged.

    Attributes:
        part: it.
        mean: of its values, on the scale on which it is judged; None without an interval.
        holds: p-value of its holding: at most 0.05 where it holds at 95%.
        fails: p-value of its failing.
        verdict: at the levels of its claim.
        reason: why.
        seeds_needed: see :class:`Verdict`.
        inside: whether its mean lies in the range; not, without one.
    """

    part: Part
    mean: Mean | None
    holds: float
    fails: float
    verdict: str
    reason: str
    seeds_needed: int | None = None
    inside: bool = False


def decide(parts: Sequence[Part], *, some: bool = False, of: int = 1) -> Verdict:
    """Applies the rule to the parts of a claim, at least one; with ``some`` one that holds is enough, else all must.

    ``of``: how many such verdicts the claim needs, see :func:`both`; each of them can fail by luck.
    """
    strict = ALPHA / len(parts)
    holding, failing = (strict, ALPHA) if some else (ALPHA, strict)
    outcomes = [_judge(part, holding, failing / of) for part in parts]
    one, all_of = (SUPPORTED, CONTRADICTED) if some else (CONTRADICTED, SUPPORTED)
    for verdict in (one, UNDECIDED):
        deciding = [outcome for outcome in outcomes if outcome.verdict == verdict]
        silent = [outcome._replace(reason=outcome.part.no_support) for outcome in deciding if outcome.part.no_support]
        if verdict == UNDECIDED and silent and (not some or len(silent) == len(deciding)):
            return _verdict(NOT_APPLICABLE, silent, outcomes, some)
        if deciding:
            told = _verdict(verdict, deciding, outcomes, some)
            return told._replace(cells=_open_cells(deciding)) if verdict == UNDECIDED else told
    weakest = sorted(outcomes, key=lambda outcome: -(outcome.fails if some else outcome.holds))
    return _verdict(all_of, weakest, outcomes, some)


def _open_cells(outcomes: Sequence[_Outcome]) -> tuple[Cell, ...]:
    """The configurations of open parts, but for those that no number of seeds decides."""
    parts = [one.part for one in outcomes if not (one.part.no_support and one.part.no_contradiction)]
    return tuple({id(cell): cell for part in parts for cell in part.cells}.values())


def both(first: Verdict, second: Verdict) -> Verdict:
    """The verdict on a claim that needs two, each decided as one ``of`` 2, told by the first that has it."""
    pair = (first, second)
    verdict = min((one.verdict for one in pair), key=(CONTRADICTED, NOT_APPLICABLE, UNDECIDED, SUPPORTED).index)
    deciding = [one for one in pair if one.verdict == verdict]
    if verdict == NOT_APPLICABLE:
        return deciding[0]
    holds = 1.0 if any(math.isnan(one.p) for one in pair) else max(first.holds, second.holds)
    fails = min(2 * float(np.fmin(first.fails, second.fails)), 1.0)  # NaN where neither has an interval
    needed = [one.seeds_needed for one in deciding if one.seeds_needed]
    return deciding[0]._replace(
        reason="; and ".join([deciding[0].reason, *(f"{one.meaning}: {one.reason}" for one in deciding[1:])]),
        p=min(fails, holds), holds=holds, fails=fails,
        seeds_needed=max(needed) if len(needed) == len(deciding) else None,
        cells=tuple({id(cell): cell for one in deciding for cell in one.cells}.values()),
    )  # fmt: skip


def _judge(part: Part, hold_alpha: float, fail_alpha: float) -> _Outcome:
    values, part = _by_replicate(part)
    mean = None if part.no_interval else seed_mean(values, part.prior, part.step, part.agreement, part.halves)
    if mean is None:
        return _Outcome(part, None, 1.0, 1.0, UNDECIDED, _silence(part, independent(values)))
    grows = chosen_by_halves(mean.seeds).mean if part.halves else 1.0
    mean = mean._replace(sd=max(mean.sd, math.sqrt(grows * part.least)))
    if most := _LOOK.get()[0]:
        hold_alpha, fail_alpha = (allowed(mean.seeds, most, alpha, part.halves) for alpha in (hold_alpha, fail_alpha))
    low, high = part.bounds
    inside = [p for bound, p in ((low, mean.p_above(low)), (high, mean.p_below(high))) if math.isfinite(bound)]
    outside = [p for bound, p in ((low, mean.p_below(low)), (high, mean.p_above(high))) if math.isfinite(bound)]
    holds, fails = max(inside) * 2, min(outside) * 2
    verdict = SUPPORTED if holds <= hold_alpha else CONTRADICTED if fails <= fail_alpha else UNDECIDED
    holds, fails = (
        1.0 if why else min(p, 1.0) for why, p in ((part.no_support, holds), (part.no_contradiction, fails))
    )
    if hindrance := {SUPPORTED: part.no_support, CONTRADICTED: part.no_contradiction}.get(verdict, ""):
        return _Outcome(part, mean, holds, fails, UNDECIDED, hindrance)
    is_in = low < mean.value < high
    level = 1 - (hold_alpha if is_in else fail_alpha)
    needed = None
    if verdict == UNDECIDED and not (part.no_support if is_in else part.no_contradiction):
        needed = power.seeds_needed(mean, _distance(part, mean), level)
    return _Outcome(part, mean, holds, fails, verdict, _reason(part, mean, verdict, level), needed, is_in)


def _by_replicate(part: Part) -> tuple[dict[int, float], Part]:
    """The values of a part of which the interval is, and the part; with a reason why there is none."""
    _, replicates = _LOOK.get()
    if several_orders(replicates) and len(replicates) == len(part.values):
        return dict(zip(replicates, part.scaled(), strict=True)), part
    if several_orders(replicates):
        why = "the study has several orders of the data, and not every one with every seed"
        part = part._replace(no_interval=part.no_interval or why)
    return dict(enumerate(part.scaled())), part


def _silence(part: Part, values: np.ndarray) -> str:
    """Why a part has no interval."""
    if not len(values):
        return part.no_support or "nothing to measure: no finite value in any seed"
    if part.no_interval:
        return f"no interval: {part.no_interval}"
    fits = "fits" if part.bounds[0] < float(np.mean(values)) < part.bounds[1] else "does not fit"
    if len(values) == 1:
        return f"too few seeds: one seed has no interval (its value {fits} the claim)"
    agree = f"{len(values)} {_units()} agree exactly and have no spread to judge by"
    return f"no interval: {agree} (their value {fits} the claim)"


def _units() -> str:
    """What an interval is over."""
    return "orders of the data" if several_orders(_LOOK.get()[1]) else "seeds"


def _distance(part: Part, mean: Mean) -> float:
    return min(abs(mean.value - bound) for bound in part.bounds if math.isfinite(bound))


def _interval(part: Part, mean: Mean, level: float) -> tuple[float, float]:
    half = mean.half_width(level)
    return part.told(mean.value - half), part.told(mean.value + half)


def _reason(part: Part, mean: Mean, verdict: str, level: float) -> str:
    claimed = f"above {part.low:.3g}" if math.isinf(part.high) else f"between {part.low:.3g} and {part.high:.3g}"
    if math.isinf(part.bounds[0]):
        claimed = f"below {part.high:.3g}"
    low, high = _interval(part, mean, level)
    says = {SUPPORTED: "is", CONTRADICTED: "is not", UNDECIDED: "does not tell whether the mean is"}[verdict]
    return f"the {100 * level:.4g}% interval {low:.3g} to {high:.3g} of {mean.seeds} {_units()} {says} {claimed}"


def _verdict(verdict: str, deciding: Sequence[_Outcome], outcomes: Sequence[_Outcome], some: bool) -> Verdict:
    """The verdict, told by the first of the outcomes that gave it."""
    first, count = deciding[0], len(outcomes)
    part, mean = first.part, first.mean
    word = {SUPPORTED: "held", CONTRADICTED: "failed"}.get(verdict, "open")
    counted = f"{len(deciding)} of {count} parts {word}, first {first.reason}"
    if count == 1 or verdict == NOT_APPLICABLE:
        counted = first.reason
    needed = _seeds_needed(outcomes, some) if verdict == UNDECIDED else None
    lost = len(part.values) - len(part.finite())
    reason = "; ".join(filter(None, [
        counted, f"needs about {needed} {_units()}" if needed else "", part.note,
        f"{lost} of {len(part.values)} seeds have no finite value" if lost and mean else "",
    ]))  # fmt: skip
    holds, fails = _p_values(verdict, outcomes, some)
    if _units() != "seeds":
        needed = None  # more of them, of the same orders, would show no more
    if mean is None:
        values = part.finite()
        value = part.told(float(np.mean(values))) if values else math.nan
        told = Verdict(verdict, value, math.nan, math.nan, part.meaning, reason, values=tuple(part.values))
        return told._replace(p=min(holds, fails), holds=holds, fails=fails)
    student_low, student_high = map(part.told, student_interval(_by_replicate(part)[0], halves=part.halves))
    method = f"{TOST}, {mean.method}" if part.is_equivalence else mean.method
    visible = part.told(power.smallest_visible(mean))
    return Verdict(
        verdict, part.told(mean.value), *_interval(part, mean, LEVEL), part.meaning, reason, method,
        student_low, student_high, min(holds, fails), needed, visible, values=tuple(part.values), holds=holds,
        fails=fails,
    )  # fmt: skip


def _p_values(verdict: str, outcomes: Sequence[_Outcome], some: bool) -> tuple[float, float]:
    """Of a claim, that all its parts hold and that one fails; with ``some`` that one holds and that all fail."""
    if verdict == NOT_APPLICABLE or all(outcome.mean is None for outcome in outcomes):
        return math.nan, math.nan
    holds, fails = [outcome.holds for outcome in outcomes], [outcome.fails for outcome in outcomes]
    one, all_of = (holds, fails) if some else (fails, holds)
    lone, joint = min(1.0, len(outcomes) * min(one)), max(all_of)
    return (lone, joint) if some else (joint, lone)


def _seeds_needed(outcomes: Sequence[_Outcome], some: bool) -> int | None:
    """Seeds until one part decides the claim, or until all of them do."""
    if lone := [o.seeds_needed for o in outcomes if o.seeds_needed and o.inside == some]:
        return min(lone)
    open_ones = [outcome for outcome in outcomes if outcome.verdict == UNDECIDED]
    needed = [o.seeds_needed for o in open_ones if o.seeds_needed]
    return max(needed) if len(needed) == len(open_ones) else None
