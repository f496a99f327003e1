"""A part of a claim: one number a seed, and the range in which its mean must lie."""

import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

from jaxopt_study.analysis.agreement import Agreement
from jaxopt_study.analysis.moderated import Prior
from jaxopt_study.analysis.runs import Cell


class Undecided(Exception):
    """A claim, or a part of one, that the seeds there are cannot speak to; its text is the reason."""


class NotApplicable(Undecided):
    """One that the study cannot speak to, however many seeds: its grid, its epochs or its data do not allow it."""


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
        step: of values on a grid, between neighbours: 1 of epochs, 1 / n of a share of n; of ratios that of their
            logarithms, such as log(10) / 2 of rates half a decade apart. 0 of values that are on no grid.
        prior: of the variance of the values, of ratios of their logarithms; see ``analysis.moderated``.
        agreement: of a configuration of which every run fails, where ``step`` is from such a run to one that learns.
        no_interval: why the values have no interval, such as that some are of runs that are stuck at guessing.
        cells: the configurations whose runs the values are of.
        least: variance that a value has at least, since its own curves are so noisy, whatever the prior says.
    """

    meaning: str
    values: Sequence[float]
    low: float = 0.0
    high: float = math.inf
    ratio: bool = False
    no_support: str = ""
    no_contradiction: str = ""
    note: str = ""
    step: float = 0.0
    prior: Prior | None = None
    agreement: Agreement | None = None
    no_interval: str = ""
    cells: Sequence[Cell] = ()
    least: float = 0.0

    def open_if(self, reason: str) -> "Part":
        """The part, open whatever its interval says where there is a reason."""
        return self._replace(no_support=self.no_support or reason, no_contradiction=self.no_contradiction or reason)

    @property
    def halves(self) -> bool:
        """Whether each half of the seeds has chosen for the other what the values are of."""
        return any(cell.held_out for cell in self.cells)

    @property
    def bounds(self) -> tuple[float, float]:
        """The range on the scale on which the part is judged; of a ratio that of logarithms."""
        return (_log(self.low), _log(self.high)) if self.ratio else (self.low, self.high)

    @property
    def is_equivalence(self) -> bool:
        """Whether the range has two ends: then the part holds by two one-sided tests."""
        return all(map(math.isfinite, self.bounds))

    def scaled(self) -> list[float]:
        """The values on the scale on which the part is judged."""
        return [_log(value) for value in self.values] if self.ratio else list(self.values)

    def finite(self) -> list[float]:
        """Those of them that have a place there."""
        return [value for value in self.scaled() if math.isfinite(value)]

    def told(self, value: float) -> float:
        """A number of the scale on which the part is judged, in the unit of the values."""
        with np.errstate(over="ignore", under="ignore"):  # of two seeds far apart the interval may reach to infinity
            return float(np.exp(value)) if self.ratio else value


def attempt(make: Callable[..., Part], *args: object, **options: object) -> Part:
    """``make(*args, **options)``, or an open part with the reason where the runs cannot give it."""
    try:
        return make(*args, **options)
    except Undecided as reason:
        return Part("nothing measured", (), no_support=str(reason))


def _log(value: float) -> float:
    """Natural logarithm; minus infinity of 0, NaN of what has none."""
    if value == 0:
        return -math.inf
    return math.log(value) if 0 < value < math.inf else value if value == math.inf else math.nan
