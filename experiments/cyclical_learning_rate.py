"""What does a learning rate that goes up and down do to SGD? (section 8 of the article)

    python -m experiments.cyclical_learning_rate                      # scikit-learn's digits, seconds
    python -m experiments.cyclical_learning_rate --preset=article     # cats_vs_dogs at 128 x 128

Expected: the training loss goes up and down with the cycle, the validation loss less so. Figures 43 and 44.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from experiments.article import facts
from experiments.article.claim import Claim
from experiments.article.find import best
from experiments.article.part import NotApplicable, Part, attempt
from experiments.article.parts import higher_minimum
from experiments.article.verdict import Verdict, decide
from experiments.command import flags
from experiments.command.experiment import Axis, Experiment, Values, full_grid
from jaxopt_study import plots
from jaxopt_study.analysis.runs import Runs
from jaxopt_study.errors import InputError
from jaxopt_study.grids.run import Run
from jaxopt_study.plots import labels

if TYPE_CHECKING:
    from matplotlib.figure import Figure

AXES = {
    "base_learning_rates": Axis("cyclical", "base_learning_rate", (0.1,)),
    "max_learning_rates": Axis("cyclical", "max_learning_rate", (0.4,)),
    "step_sizes": Axis("cyclical", "step_size", (4.0,)),
}


def make_runs(values: Values, seeds: int) -> list[Run]:
    """Bases x maxima x half-cycles x seeds. Raises InputError: a base is above a maximum."""
    lowest = min(values["max_learning_rates"])
    for base in values["base_learning_rates"]:
        if base > lowest:
            raise InputError("--base_learning_rates", base, f"allowed is at most {lowest}, of --max_learning_rates")
    return full_grid(AXES, "cyclical")(values, seeds)


# What the article claims.

OSCILLATES = 0.5
"""Share of a curve's variance around its trend above which it oscillates with the cycle: most of it."""
CYCLES = 4
"""Fewest cycles that a curve must have: one is skipped, one is lost to the trend, two are looked at."""


def c1(runs: Runs) -> Verdict:
    """Whether a wave of the cycle's length is most of what the training loss does around its trend, and the larger."""
    ours = best(runs, "cyclical")
    period = 2 * ours.hyperparameters["step_size"]
    shortest = min(run.epochs for run in ours.by_seed.values())
    if shortest < CYCLES * period or period < 3:
        raise NotApplicable(f"too few epochs: {shortest} trained, {CYCLES} cycles of {period:g} (at least 3) are due")
    train, val = (
        [fit_cycle(run.curves[curve], period) for run in ours.histories] for curve in ("train_loss", "val_loss")
    )
    cycle = f"the cycle of {period:g} epochs"
    share = f"share of the variance around the trend that follows {cycle}, training loss"
    larger = f"amplitude of {cycle} in the training loss minus that in the validation loss"
    differences = [of_train.amplitude - of_val.amplitude for of_train, of_val in zip(train, val, strict=True)]
    parts = [Part(share, [one.share for one in train], low=OSCILLATES), Part(larger, differences)]
    return decide([part._replace(cells=[ours]) for part in parts])


class Cycle(NamedTuple):
    """A wave that was fitted to a curve: half its height, and its share of the variance around the trend, 0 to 1."""

    amplitude: float
    share: float


def fit_cycle(curve: ArrayLike, period: float) -> Cycle:
    """Fits a wave of the given period to what a curve ``[E]`` does around its trend.

    The trend is the moving average over one period, and the first period, where losses fall steeply, is left out. Of M
    values of noise the wave explains about a share of 2 / M. NaN for a curve that is, up to its first value that is not
    finite, shorter than :data:`CYCLES` periods (of at least 3 epochs); so is the share of one that does not vary.
    """
    values = np.asarray(curve, np.float64)
    bad = ~np.isfinite(values)
    values = values[: int(np.argmax(bad))] if bad.any() else values
    half = round(period / 2)
    if period < 3 or len(values) < CYCLES * period:
        return Cycle(math.nan, math.nan)
    window = np.ones(2 * half + 1)
    window[[0, -1]] = 0.5
    epoch = np.arange(len(values))[half:-half]
    around = values[half:-half] - np.convolve(values, window / window.sum(), "valid")
    epoch, around = epoch[round(period) :], around[round(period) :]
    phase = 2 * math.pi * epoch / period
    waves = np.stack([np.cos(phase), np.sin(phase), np.ones_like(phase)], axis=1)
    factors = np.linalg.lstsq(waves, around, rcond=None)[0]
    total = float(np.var(around))
    varies = total > (1e-9 * float(np.abs(values).max())) ** 2
    share = min(1.0, float(np.var(waves @ factors)) / total) if varies else math.nan
    return Cycle(float(np.hypot(*factors[:2])), share)


CLAIMS = (
    Claim("C1", "Cyclical rate: the training loss oscillates with the cycle, the validation loss less so.", 44, c1,
          {"cycle in epochs": 8}),
    Claim("C2", "Cyclical rate: it does not match the tuned optimizers (all others but Adagrad).", 45,
          lambda runs: decide([attempt(lambda o: higher_minimum(runs, best(runs, "cyclical"), best(runs, o)), o)
                               for o in ("sgd", "momentum", "nesterov", "rmsprop", "adam")]),
          {"val_loss": 0.2318, "worst val_loss of the tuned": 0.2061}),
)  # fmt: skip

# Its figures.

_SHOWN_CYCLES = 40


def _cycle(source: plots.picture.Source) -> plots.picture.Picture:
    has = any(h.optimizer == "cyclical" for h in source.histories)
    numbers = plots.picture.best(source, "cyclical").hyperparameters if has else facts.CYCLE
    base, top, step = (numbers[name] for name in facts.CYCLE)
    rises = _rise(base, top, step)
    caption = f"Computed, no training: the learning rate rises {rises}, falls back in as many, and so on."
    alt = f"Line chart of the learning rate over three cycles: it rises {rises} and falls back in as many."
    return plots.picture.Picture("fig43_cyclical_learning_rate", cycle(base, top, step), caption, alt)


def _cyclical_losses(source: plots.picture.Source) -> plots.picture.Picture:
    chosen = plots.picture.best(source, "cyclical")
    numbers, runs = chosen.hyperparameters, chosen.histories
    period, last = 2 * numbers["step_size"], max(h.epochs for h in runs)
    # The rate is at its base where one epoch ends and the next begins.
    events = [k * period + 0.5 for k in range(1, math.ceil(last / period))]
    shown = events if len(events) <= _SHOWN_CYCLES else []
    lead = "Training and validation loss under the cyclical learning rate."
    lead += " Dotted: the rate is back at its base." if shown else ""
    title = f"Cyclical learning rate: training loss and validation loss, {labels.configuration(numbers)}"
    return plots.picture.groups_picture(
        44, {"cyclical": runs}, lead, chance=source.chance, shows="cyclical_loss", title=title, events=shown
    )


def cycle(base: float, top: float, step_size: float) -> Figure:
    """The learning rate over the first three cycles; ``step_size`` is half a cycle, in epochs."""
    corners = np.arange(7) * step_size
    with plots.style.applied():
        title = f"Triangular cycle of the learning rate, {_rise(base, top, step_size)}"
        figure, (axes,) = plots.style.panels(1, title, width=5.2, height=2.6, right=0.3)
        axes.plot(corners, triangle(corners, base, top, step_size), color="#0072b2", marker="o")
        axes.set_xticks(corners, [labels.number(c) for c in corners])
        axes.set_yticks([base, top], [labels.number(base), labels.number(top)])
        axes.set_ylim(0, 1.12 * top)
        axes.set_xlabel("epochs trained")
        axes.set_ylabel("learning rate")
    return figure


def _rise(base: float, top: float, step_size: float) -> str:
    return f"from {labels.number(base)} to {labels.number(top)} in {labels.number(step_size)} epochs"


def triangle(epochs: np.ndarray, base: float, top: float, step_size: float) -> np.ndarray:
    """The rate after ``epochs`` (fractions allowed): from ``base`` up to ``top`` in ``step_size`` and down again."""
    return base + (top - base) * (1 - np.abs(epochs / step_size % 2 - 1))


FIGURES = ((43, _cycle), (44, _cyclical_losses))

EXPERIMENT = Experiment(
    "cyclical_learning_rate", "The cyclical learning rate", AXES, make_runs,
    section="Cyclical learning rate", claims=CLAIMS, figures=FIGURES,
)  # fmt: skip

main = flags.command(EXPERIMENT)

if __name__ == "__main__":
    main()
