"""How does Adam depend on its learning rate? (section 6 of the article)

    python -m experiments.adam_learning_rates                      # scikit-learn's digits, half a minute on two cores
    python -m experiments.adam_learning_rates --preset=article     # cats_vs_dogs at 128 x 128

Expected: the best rate is about 0.001, and it gets worse above. Figures 34 and 35.
"""

from __future__ import annotations

from experiments.article import facts, figures
from experiments.article.claim import Claim
from experiments.article.find import best, cell, require_learning, unsettled
from experiments.article.part import Part, attempt
from experiments.article.parts import higher_minimum, slower_to
from experiments.article.verdict import Verdict, decide
from experiments.command import flags
from experiments.command.experiment import Axis, Experiment, full_grid
from jaxopt_study import plots
from jaxopt_study.analysis.best import halfway
from jaxopt_study.analysis.minima import minimum
from jaxopt_study.analysis.runs import Cell, Runs

AXES = {"learning_rates": Axis("adam", "learning_rate", facts.half_decades(-4, 0))}

# What the article claims.

_RATES = facts.half_decades(-4, 0)
_REACHED = {"val_loss": 0.2059, "train_loss": 0.2077}
CLOSE = 0.05
"""Relative difference up to which a loss is the article's, which has one seed and no error bar."""


def d1(runs: Runs) -> Verdict:
    """Every other rate that was run against 0.001; its neighbours on the grid must be there."""
    ours = _RATES.index(0.001)
    tried = [
        rate
        for index, rate in enumerate(_RATES)
        if index != ours and (abs(index - ours) == 1 or runs.printed("adam", learning_rate=rate))
    ]
    return decide([attempt(lambda rate: higher_minimum(runs, _at(runs, rate), _at(runs)), rate) for rate in tried])


def _at(runs: Runs, rate: float = 0.001) -> Cell:
    return cell(runs, "adam", learning_rate=rate)


def d2(runs: Runs) -> Verdict:
    """Both losses over the article's; not comparable on other data."""
    ours = _at(runs)
    return decide([_near(runs, ours, curve, _REACHED[curve]) for curve in ("val_loss", "train_loss")])


def _near(runs: Runs, ours: Cell, curve: str, loss: float) -> Part:
    values = [minimum(history.curves[curve]).value / loss for history in ours.histories]
    meaning = f"smallest {curve} over the article's {loss}: {ours.label}"
    part = Part(meaning, values, 1 / (1 + CLOSE), 1 + CLOSE, ratio=True, cells=[ours])
    return part.open_if(unsettled([ours]))


def d5(runs: Runs) -> Verdict:
    """Epochs to the loss half-way from guessing to the best of the study, every other optimizer over Adam."""
    require_learning(runs)
    ahead = best(runs, "adam")
    targets = dict.fromkeys(ahead.seeds, halfway(runs))
    what = f"a validation loss of {halfway(runs):.4f}"
    others = [run.optimizer for run in facts.BEST_RUNS if run.optimizer != "adam"]
    return decide([attempt(lambda o: slower_to(runs, targets, what, best(runs, o), ahead), o) for o in others])


CLAIMS = (
    Claim("D1", "Adam: the best learning rate is 0.001 (default betas), and it gets worse above.", 35, d1,
          {"best learning_rate": 0.001}),
    Claim("D2", "Adam: at the default betas it reaches val 0.2059 and train 0.2077 (within 5%).", 34, d2,
          _REACHED, of_size=True),
    Claim("D3", "Adam: beta_1 0.5 with beta_2 0.999 is slightly better than the default.", 37,
          lambda runs: decide([
              higher_minimum(runs, _at(runs), cell(runs, "adam", learning_rate=0.001, b1=0.5, b2=0.999))]),
          {"val_loss at b1 0.5": 0.2021, "val_loss at b1 0.9": 0.2059}),
    Claim("D4", "Adam: it does not beat the best SGD run.", 45,
          lambda runs: decide([higher_minimum(runs, best(runs, "adam"), best(runs, "sgd"))]),
          {"best val_loss of Adam": 0.2021, "best val_loss of SGD": 0.1899}),
    Claim("D5", "Adam: it reaches a given loss first of all (half-way from guessing to the study's best).", 48, d5),
)  # fmt: skip

# Its figures.

_DEFAULT_BETAS = figures.Wanted(0.9, "b1"), figures.Wanted(0.999, "b2")


def _adam_losses(source: plots.picture.Source) -> plots.picture.Picture:
    runs, betas = figures.chosen(source, "adam", _DEFAULT_BETAS)
    shown = [run for run in runs if run.hyperparameters["learning_rate"] <= 0.034] or runs
    left_out = "" if len(shown) == len(runs) else " Rates above 0.0316 are left out, as in the article."
    at_betas = ", ".join(beta.title for beta in betas)
    lead = f"Training and validation loss of Adam ({at_betas}), one line a learning rate.{left_out}"
    return plots.picture.curve_picture(34, source.of(shown), lead, shows="loss_by_lr", by="learning_rate")


FIGURES = (
    (34, _adam_losses),
    figures.minima(35, "adam", "Minimum training and validation loss of Adam at each learning rate ({}, {}).",
                   *_DEFAULT_BETAS),
)  # fmt: skip

EXPERIMENT = Experiment(
    "adam_learning_rates", "Adam over its learning rate", AXES, full_grid(AXES, "adam"),
    section="Adam", claims=CLAIMS, figures=FIGURES,
)  # fmt: skip

main = flags.command(EXPERIMENT)

if __name__ == "__main__":
    main()
