"""At which of its values a grid shows what the article shows at one of its own."""

import math
from collections.abc import Sequence

from jaxopt_study.analysis.runs import nearest, stands_for
from jaxopt_study.history import History
from jaxopt_study.plots import labels, selection
from jaxopt_study.plots.picture import Held


def at(
    histories: Sequence[History], wanted: float, *, others: Sequence[float] = (), name: str = "learning_rate"
) -> Held:
    """The value of a grid to draw a figure at.

    Args:
        histories: runs of the grid.
        wanted: the article's value.
        others: the values that sister figures want; a value that stands nearer to one of them is theirs.
        name: of the hyperparameter.

    Raises:
        NotDrawable: if the figure would repeat a sister.
    """
    present = selection.values(histories, name)
    used = nearest(present, wanted)
    for other in others:
        if nearest(present, other) == used and _distance(used, other) < _distance(used, wanted):
            has = labels.listing(labels.number(v) for v in present)
            raise selection.NotDrawable(
                f"the article draws it at {labels.hyperparameter(name)} {labels.number(wanted)}, the grid has {has}, "
                f"and the nearest of these is shown in the figure for {labels.number(other)}"
            )
    near = stands_for(name, used, wanted)
    return Held(name, used, "" if near else f"nearest to the article's {labels.number(wanted)}")


def _distance(used: float, wanted: float) -> float:
    return abs(math.log(used / wanted)) if used > 0 < wanted else abs(used - wanted)
