"""How does plain SGD depend on its learning rate? (section 1 of the article)

    python -m experiments.sgd_learning_rates                      # scikit-learn's digits, seconds
    python -m experiments.sgd_learning_rates --preset=article     # cats_vs_dogs at 128 x 128

Expected: the smallest rate is slow, the largest does not reach the lowest loss, and the best lies between them.
Figures 5 to 7.
"""

import numpy as np

from experiments.article import facts, figures
from experiments.article.claim import Claim
from experiments.article.find import cell, family, horizon
from experiments.article.part import NotApplicable, Part
from experiments.article.parts import by_seed, higher_minimum, slower
from experiments.article.verdict import Verdict, decide
from experiments.command import flags
from experiments.command.experiment import Axis, Experiment, full_grid
from jaxopt_study.analysis.best import held_out_cell
from jaxopt_study.analysis.runs import Cell, Runs
from jaxopt_study.history import History

AXES = {"learning_rates": Axis("sgd", "learning_rate", facts.SGD_RATES)}

# What the article claims.

_LOW, _HIGH = facts.SGD_RATES[0], facts.SGD_RATES[-1]


def s1(runs: Runs) -> Verdict:
    """0.001 against the rate with the best validation loss among the others."""
    small = cell(runs, "sgd", learning_rate=_LOW)
    others = [config for config in family(runs, "sgd") if config is not small]
    if not others:
        raise NotApplicable(f"grid does not cover it: no rate of sgd but {_LOW:g}")
    return decide([slower(runs, small, held_out_cell(others))])


def s3(runs: Runs) -> Verdict:
    """Both ends against the best rate between them."""
    inside = held_out_cell(_between(runs, _LOW, _HIGH))
    ends = [cell(runs, "sgd", learning_rate=rate) for rate in (_LOW, _HIGH)]
    return decide([higher_minimum(runs, end, inside) for end in ends])


def s4(runs: Runs) -> Verdict:
    """Share of the epochs with the validation loss below the training loss, mean over the article's rates."""
    cells = [printed[0] for rate in facts.SGD_RATES if (printed := runs.printed("sgd", learning_rate=rate))]
    if not cells:
        raise NotApplicable("grid does not cover it: no run of sgd at the article's rates")
    epochs = horizon(cells)
    meaning = f"share of epochs with the validation loss below the training loss, sgd, mean of {len(cells)} rates"
    step = 1 / (epochs * len(cells))
    return decide([Part(meaning, by_seed(cells, _below).mean(axis=1).tolist(), low=0.25, step=step, cells=cells)])


def _below(history: History) -> float:
    train, val = history.curves["train_loss"], history.curves["val_loss"]
    finite = np.isfinite(train) & np.isfinite(val)
    return float((val[finite] < train[finite]).mean()) if finite.any() else 0.0


def _between(runs: Runs, low: float, high: float) -> list[Cell]:
    ends = (np.float32(low), np.float32(high))
    cells = [
        cell for cell in family(runs, "sgd") if ends[0] < np.float32(cell.hyperparameters["learning_rate"]) < ends[1]
    ]
    if not cells:
        raise NotApplicable(f"grid does not cover it: no rate of sgd between {low:g} and {high:g}")
    return cells


CLAIMS = (
    Claim("S1", "SGD: too small a learning rate (0.001) converges slower than the best one, or not at all.", 5, s1,
          {"learning_rate": 0.001}),
    Claim("S2", "SGD: too large a learning rate (0.1) does not reach the minimum that smaller rates reach.", 7,
          lambda runs: decide([
              higher_minimum(runs, cell(runs, "sgd", learning_rate=_HIGH), held_out_cell(_between(runs, 0.0, _HIGH)))]),
          {"learning_rate": 0.1}),
    Claim("S3", "SGD: the best learning rate is in the interior of the range 0.001 to 0.1.", 7, s3,
          {"best learning_rate": 0.032, "val_loss": 0.1899, "train_loss": 0.1945, "epoch": 535}),
    Claim("S4", "SGD: the validation loss is often (more than a quarter of epochs) below the training loss.", 6, s4),
)  # fmt: skip

# Its figures.

FIGURES = (
    figures.curves(5, "sgd", "Training loss of plain SGD, one line a learning rate.",
                   shows="train_loss_by_lr", by="learning_rate", metrics=("train_loss",)),
    figures.curves(6, "sgd", "Validation loss of plain SGD, one line a learning rate.",
                   shows="val_loss_by_lr", by="learning_rate", metrics=("val_loss",)),
    figures.minima(7, "sgd", "Minimum training and validation loss of plain SGD at each learning rate."),
)  # fmt: skip

EXPERIMENT = Experiment(
    "sgd_learning_rates", "SGD over its learning rate", AXES, full_grid(AXES, "sgd"),
    section="SGD", claims=CLAIMS, figures=FIGURES,
)  # fmt: skip

main = flags.command(EXPERIMENT)

if __name__ == "__main__":
    main()
