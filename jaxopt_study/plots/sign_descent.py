"""RMSprop without memory, with constant and with falling rates, beside RMSprop with memory and sign descent."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes

from jaxopt_study.analysis import Cell, Runs, seed_estimate, sign_descent
from jaxopt_study.analysis.sign_descent import CONSTANT, COURSES, SIGN
from jaxopt_study.plots import epoch_curves, labels, open_questions, style
from jaxopt_study.plots.picture import Picture, Recipe, Source
from jaxopt_study.plots.selection import NotDrawable

Grouped = Mapping[tuple[str, float], Sequence[Cell]]


def picture(source: Source) -> Picture:
    """Lowest losses over the first rate, for rho 0 and the largest one, and the losses of each course at its best rate.

    Raises:
        NotDrawable: there is no RMSprop with rho 0.
    """
    runs = Runs(source.histories, chance=source.chance)
    found = sign_descent.by_course(runs)
    if (CONSTANT, 0.0) not in found:
        raise NotDrawable("there is no run of RMSprop with rho 0 and a constant rate")
    decays = [0.0, *sorted({decay for _, decay in found if decay > 0})[-1:]]
    looks = {name: style.named_look("", i) for i, name in enumerate((*COURSES, SIGN))}
    estimates = [
        seed_estimate(list(sign_descent.lowest_by_seed(runs, c).values())) for own in found.values() for c in own
    ]
    with style.applied():
        title = "RMSprop with and without memory: constant and falling rates"
        figure, axes = style.panels(len(decays) + 1, title, width=3.3, right=2.0)
        for panel, decay in zip(axes, decays, strict=False):
            _over_rates(panel, runs, found, decay, looks)
            open_questions.losses(panel, estimates, source.chance)
            panel.set_title(f"rho {labels.number(decay)}", loc="left")
        _over_epochs(axes[-1], runs, looks, source.chance)
        style.legend(figure, axes[0], "course of the rate", width=1.95)
    caption = (
        "Left: lowest validation loss over the rate of the first step, by rho; right: validation loss by epoch, each "
        f"course at its best rate, rho 0 and (grey) the largest rho at a constant rate. {_numbers(runs)} The dotted "
        f"line is guessing, a cross marks where a seed diverged. {open_questions.seeds(estimates)}"
    )
    shown = labels.listing(map(labels.number, decays))
    alt = f"Line charts, a line a course of the rate, for rho {shown}. {_numbers(runs)}"
    return Picture("sign_descent", figure, caption, alt)


def _over_rates(axes: Axes, runs: Runs, found: Grouped, decay: float, looks: Mapping[str, style.Look]) -> None:
    lost, rates = set[float](), list[float]()
    for (name, own), cells in found.items():
        if own != decay:
            continue
        places = [cell.hyperparameters["learning_rate"] for cell in cells]
        estimates = [seed_estimate(list(sign_descent.lowest_by_seed(runs, cell).values())) for cell in cells]
        look = looks[name]._asdict()
        if name == SIGN:  # lies upon the constant one
            look |= {"linestyle": "none", "markerfacecolor": "none", "markersize": 10}
        open_questions.marks(axes, places, estimates, label=name, **look)
        rates += places
        lost |= {
            p for p, c in zip(places, cells, strict=True) if any(h.status == "diverged" for h in c.by_seed.values())
        }
    open_questions.crosses(axes, sorted(lost))
    open_questions.positions(axes, rates, "rate of the first step")
    axes.set_ylabel(f"lowest validation loss\n({labels.LOSS_UNIT})")


def _over_epochs(axes: Axes, runs: Runs, looks: Mapping[str, style.Look], chance: float) -> None:
    found = sign_descent.best(runs)
    largest = max(one.decay for one in found)
    values, last = list[np.ndarray](), 1
    for one in found:
        if one.course != SIGN and (one.decay == 0 or (one.course == CONSTANT and one.decay == largest)):
            look = looks[one.course]
            mean = epoch_curves.band(list(one.cell.by_seed.values()), "val_loss").mean
            color, marker = ("#9a9a9a", "") if one.decay else (look.color, "")
            axes.plot(np.arange(1, len(mean) + 1), mean, color=color, linestyle=look.linestyle, marker=marker)
            values.append(mean[np.isfinite(mean)])
            last = max(last, len(mean))
    style.epochs_axis(axes, last)
    style.scale(axes, np.concatenate(values), 1.05 * chance)
    axes.set_ylabel(f"validation loss\n({labels.LOSS_UNIT})")
    axes.set_title("each at its best rate", loc="left")


def _numbers(runs: Runs) -> str:
    gaps = sign_descent.gaps(runs)
    several = len({gap.decay for gap in gaps}) > 1
    told = [
        f"{gap.course}{f' against rho {labels.number(gap.decay)}' * several} {open_questions.interval(gap.last, '.3f')}"
        for gap in gaps
    ]
    if not told:
        return ""
    return f"What rho 0 loses in the last epoch, each at its best rate: {'; '.join(told)}."


SIGN_DESCENT: tuple[tuple[int, Recipe], ...] = ((0, picture),)
"""Not a figure of the article: it has no number there."""
