"""Claims of section 6: Adam over the learning rate and its two decays."""

import functools

from experiments.article import facts as article
from experiments.article.claim import Claim
from experiments.article.find import ArticleRuns, best, cell, require_learning, unsettled
from experiments.article.parts import higher_minimum, more_epochs_to
from experiments.article.verdict import Part, Verdict, attempt, decide
from jaxopt_study.analysis import Cell, Runs, halfway, minimum

_RATES = article.half_decades(-4, 0)
_BEST = _RATES.index(0.001)
_OTHERS = tuple(run.optimizer for run in article.BEST_RUNS if run.optimizer != "adam")

CLOSE = 0.05
"""Relative difference up to which a loss is the article's, which has one seed and no error bar."""


def d1(runs: Runs) -> Verdict:
    """Every other rate that was run against 0.001; its neighbours on the grid must be there."""
    tried = [
        rate
        for index, rate in enumerate(_RATES)
        if index != _BEST and (abs(index - _BEST) == 1 or runs.printed("adam", learning_rate=rate))
    ]
    return decide([attempt(_worse_than_best_rate, runs, rate) for rate in tried])


def _worse_than_best_rate(runs: Runs, rate: float) -> Part:
    return higher_minimum(runs, cell(runs, "adam", learning_rate=rate), cell(runs, "adam", learning_rate=0.001))


def d2(runs: ArticleRuns) -> Verdict:
    """Both losses over the article's; not comparable on other data."""
    ours = cell(runs, "adam", learning_rate=0.001)
    return decide([_near(runs, ours, curve, article.NUMBERS["D2"][curve]) for curve in ("val_loss", "train_loss")])


def _near(runs: ArticleRuns, ours: Cell, curve: str, loss: float) -> Part:
    other = "" if runs.article_setup else "not comparable: data, image size or model are not the article's"
    hindrance = other or unsettled([ours])
    values = [minimum(history.curves[curve]).value / loss for history in ours.by_seed.values()]
    meaning = f"smallest {curve} over the article's {loss}: {ours.label}"
    return Part(meaning, values, 1 / (1 + CLOSE), 1 + CLOSE, True, hindrance, hindrance, note=other)


def d3(runs: Runs) -> Verdict:
    """The default betas against beta_1 0.5."""
    ours = cell(runs, "adam", learning_rate=0.001, b1=0.5, b2=0.999)
    return decide([higher_minimum(runs, cell(runs, "adam", learning_rate=0.001), ours)])


def d4(runs: Runs) -> Verdict:
    """Best against best."""
    return decide([higher_minimum(runs, best(runs, "adam"), best(runs, "sgd"))])


def d5(runs: Runs) -> Verdict:
    """Epochs to the loss half-way from guessing to the best of the study, every other optimizer over Adam."""
    require_learning(runs)
    behind = functools.partial(slower_to, runs, halfway(runs))
    return decide([attempt(behind, other) for other in _OTHERS])


def slower_to(runs: Runs, target: float, optimizer: str) -> Part:
    """That an optimizer's best run needs more epochs to a validation loss than Adam's best run."""
    return more_epochs_to(target, best(runs, optimizer), best(runs, "adam"))


CLAIMS = (
    Claim("D1", "Adam: the best learning rate is 0.001 (default betas), and it gets worse above.", 35, d1),
    Claim("D2", "Adam: at the default betas it reaches val 0.2059 and train 0.2077 (within 5%).", 34, d2),
    Claim("D3", "Adam: beta_1 0.5 with beta_2 0.999 is slightly better than the default.", 37, d3),
    Claim("D4", "Adam: it does not beat the best SGD run.", 45, d4),
    Claim("D5", "Adam: it reaches a given loss first of all (half-way from guessing to the study's best).", 48, d5),
)
