"""Claims of section 1: plain SGD over the learning rate."""

import numpy as np

from experiments.article import facts as article
from experiments.article.claim import Claim
from experiments.article.find import cell, common_seeds, family, horizon
from experiments.article.parts import higher_minimum, slower
from experiments.article.verdict import Part, Undecided, Verdict, decide
from jaxopt_study.analysis import Cell, Runs, best_cell
from jaxopt_study.history import History

_LOW, _HIGH = article.SGD_RATES[0], article.SGD_RATES[-1]

OFTEN = 0.25
"""Share of the epochs above which something happens often."""


def s1(runs: Runs) -> Verdict:
    """0.001 against the rate with the best validation loss among the others."""
    small = cell(runs, "sgd", learning_rate=_LOW)
    others = [each for each in family(runs, "sgd") if each is not small]
    if not others:
        raise Undecided(f"grid does not cover it: no rate of sgd but {_LOW:g}")
    return decide([slower(runs, small, best_cell(others))])


def s2(runs: Runs) -> Verdict:
    """0.1 against the best of the smaller rates."""
    large = cell(runs, "sgd", learning_rate=_HIGH)
    return decide([higher_minimum(runs, large, best_cell(_between(runs, 0.0, _HIGH)))])


def s3(runs: Runs) -> Verdict:
    """Both ends against the best rate between them."""
    inside = best_cell(_between(runs, _LOW, _HIGH))
    ends = [cell(runs, "sgd", learning_rate=rate) for rate in (_LOW, _HIGH)]
    return decide([higher_minimum(runs, end, inside) for end in ends])


def s4(runs: Runs) -> Verdict:
    """Share of the epochs with the validation loss below the training loss, mean over the article's rates."""
    cells = [found[0] for rate in article.SGD_RATES if (found := runs.printed("sgd", learning_rate=rate))]
    if not cells:
        raise Undecided("grid does not cover it: no run of sgd at the article's rates")
    horizon(cells)
    values = [float(np.mean([_below(each.by_seed[seed]) for each in cells])) for seed in common_seeds(cells)]
    meaning = f"share of epochs with the validation loss below the training loss, sgd, mean of {len(cells)} rates"
    return decide([Part(meaning, values, low=OFTEN)])


def _below(history: History) -> float:
    train, val = history.curves["train_loss"], history.curves["val_loss"]
    finite = np.isfinite(train) & np.isfinite(val)
    return float((val[finite] < train[finite]).mean()) if finite.any() else 0.0


def _between(runs: Runs, low: float, high: float) -> list[Cell]:
    ends = (np.float32(low), np.float32(high))
    found = [
        cell for cell in family(runs, "sgd") if ends[0] < np.float32(cell.hyperparameters["learning_rate"]) < ends[1]
    ]
    if not found:
        raise Undecided(f"grid does not cover it: no rate of sgd between {low:g} and {high:g}")
    return found


CLAIMS = (
    Claim("S1", "SGD: too small a learning rate (0.001) converges slower than the best one, or not at all.", 5, s1),
    Claim("S2", "SGD: too large a learning rate (0.1) does not reach the minimum that smaller rates reach.", 7, s2),
    Claim("S3", "SGD: the best learning rate is in the interior of the range 0.001 to 0.1.", 7, s3),
    Claim("S4", "SGD: the validation loss is often (more than a quarter of epochs) below the training loss.", 6, s4),
)
