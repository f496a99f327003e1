"""How does RMSprop depend on its learning rate and on its decay rho? (section 5 of the article)

    python -m experiments.rmsprop_grid                      # scikit-learn's digits, a minute on two cores
    python -m experiments.rmsprop_grid --preset=article     # cats_vs_dogs at 128 x 128, until the patience runs out

Expected: without memory (rho 0) it does badly, at 0.001 a larger rho lowers both losses, and large rates do not
converge. Figures 28 and 30 to 32.
"""

from functools import partial

import numpy as np

from experiments.article import facts, figures
from experiments.article.claim import Claim
from experiments.article.find import along, best, cell, family, unsettled
from experiments.article.part import NotApplicable, Part, attempt
from experiments.article.parts import by_seed, converges, higher_minimum, trend
from experiments.article.rates import HALF_STEP, ratio_of_best_rates
from experiments.article.spread import partly_learning
from experiments.article.verdict import Verdict, decide
from experiments.command import flags
from experiments.command.experiment import Axis, Experiment, full_grid
from jaxopt_study.analysis.best import held_out_cell
from jaxopt_study.analysis.minima import lowest
from jaxopt_study.analysis.runs import Cell, Runs

AXES = {
    "learning_rates": Axis("rmsprop", "learning_rate", facts.half_decades(-4, 0)),
    "decays": Axis("rmsprop", "decay", facts.DECAYS),
}

# What the article claims.

_RATE = 0.001
_TENTH = (0.1 / 10**0.5 / HALF_STEP, 0.1 * 10**0.5 * HALF_STEP)
"""A tenth, give or take one step of the half-decade grid: the article's own best rates are a thirtieth apart."""


def r1(runs: Runs) -> Verdict:
    """The best rate at rho 0 against the best run with another rho."""
    zero = best(runs, "rmsprop", decay=0.0)
    others = [config for config in family(runs, "rmsprop") if config.hyperparameters["decay"] > 0]
    if not others:
        raise NotApplicable("grid does not cover it: no run of rmsprop with a decay above 0")
    return decide([higher_minimum(runs, zero, held_out_cell(others))])


def r2(runs: Runs) -> Verdict:
    """Trends of both smallest losses over rho, and the gain up to 0.9 against that from 0.9 to 0.99."""
    cells = along(runs, "rmsprop", "decay", facts.DECAYS, learning_rate=_RATE)
    parts = [
        trend(cells, partial(lowest, runs, curve=curve), f"smallest {curve}", rises=False)
        for curve in ("val_loss", "train_loss")
    ]
    parts.append(attempt(_diminishing, runs))
    mixed = partly_learning(runs, cells)
    return decide([part._replace(no_interval=mixed).open_if(unsettled(cells)) for part in parts])


def _diminishing(runs: Runs) -> Part:
    cells = [cell(runs, "rmsprop", learning_rate=_RATE, decay=decay) for decay in (0.0, 0.9, 0.99)]
    gains = -np.diff(by_seed(cells, lambda run: lowest(runs, run)))
    meaning = "gain in smallest validation loss from decay 0 to 0.9 minus that from 0.9 to 0.99, rmsprop at 0.001"
    return Part(meaning, (gains[:, 0] - gains[:, 1]).tolist(), cells=cells)


def r4(runs: Runs) -> Verdict:
    """The best rho at each of the article's rates from 0.01 up; at least three rates must have been run."""
    at = [cells for rate in facts.half_decades(-2, 0) if (cells := runs.printed("rmsprop", learning_rate=rate))]
    if len(at) < 3:
        raise NotApplicable(f"grid does not cover it: {len(at)} rates of rmsprop from 0.01 up, 3 are needed")
    return decide([_none_converges(runs, cells) for cells in at])


def _none_converges(runs: Runs, cells: list[Cell]) -> Part:
    part = converges(runs, held_out_cell(cells), claimed=False)
    return part._replace(no_support=part.no_support or unsettled(cells))


CLAIMS = (
    Claim("R1", "RMSprop: rho 0 does badly (worse than the best run with another rho).", 28, r1, {"decay": 0.0}),
    Claim("R2", "RMSprop: at 0.001 larger rho lowers both losses, with diminishing returns.", 30, r2,
          {"learning_rate": 0.001}),
    Claim("R3", "RMSprop: at learning rate 0.03 nothing converges.", 31,
          lambda runs: decide([
              _none_converges(runs, along(runs, "rmsprop", "decay", facts.DECAYS, learning_rate=10**-1.5))]),
          {"learning_rate": 0.03}),
    Claim("R4", "RMSprop: no convergence from learning rate 0.01 up.", 32, r4, {"smallest learning_rate": 0.01}),
    Claim("R5", "RMSprop: its best learning rate is about a tenth of SGD's (0.018 to 0.56 of it).", 32,
          lambda runs: decide([ratio_of_best_rates(runs, "rmsprop", *_TENTH)]),
          {"best learning_rate": 0.001, "best learning_rate of SGD": 0.032, "ratio": 0.1}),
    Claim("R6", "RMSprop: rho 0.95 beats the default 0.9 (at 0.001).", 32,
          lambda runs: decide([higher_minimum(runs, *(cell(runs, "rmsprop", learning_rate=_RATE, decay=decay)
                                                      for decay in (0.9, 0.95)))]),
          {"val_loss at decay 0.95": 0.2061, "val_loss at decay 0.9": 0.2226}),
)  # fmt: skip

# Its figures.

FIGURES = (
    figures.curves(28, "rmsprop", "Training loss of RMSprop without memory (rho 0), where a step is the rate times "
                   "the gradient's sign.", figures.Wanted(0.0, "decay", exact=True),
                   shows="train_loss_by_lr", by="learning_rate", metrics=("train_loss",)),
    figures.curves(30, "rmsprop", "Training and validation loss of RMSprop at {}.",
                   figures.Wanted(0.001, others=(0.0316,)), shows="loss_by_rho", by="decay"),
    figures.curves(31, "rmsprop", "Training and validation loss of RMSprop at {}.",
                   figures.Wanted(0.0316, others=(0.001,)), shows="loss_by_rho", by="decay"),
    figures.table(32, "rmsprop", "Minimum training and validation loss of RMSprop over the grid.",
                  shows="minimum_loss_by_lr_and_rho", x="decay"),
)  # fmt: skip

EXPERIMENT = Experiment(
    "rmsprop_grid", "RMSprop", AXES, full_grid(AXES, "rmsprop"),
    section="RMSprop", claims=CLAIMS, figures=FIGURES,
)  # fmt: skip


main = flags.command(EXPERIMENT)

if __name__ == "__main__":
    main()
