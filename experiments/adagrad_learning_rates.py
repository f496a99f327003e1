"""How does Adagrad depend on its learning rate, and how does it compare with SGD? (section 7 of the article)

    python -m experiments.adagrad_learning_rates                      # scikit-learn's digits, half a minute
    python -m experiments.adagrad_learning_rates --preset=article     # cats_vs_dogs at 128 x 128

Expected: its best rate is at least ten times SGD's; at a small rate it falls behind SGD, since its updates shrink.
Figures 39 to 42.
"""

from __future__ import annotations

import math

import numpy as np

from experiments.article import facts, figures
from experiments.article.claim import Claim
from experiments.article.find import best, cell, common_seeds, diverged, horizon
from experiments.article.part import Part
from experiments.article.parts import early, late, over, slower, tenth
from experiments.article.rates import HALF_STEP, ratio_of_best_rates
from experiments.article.spread import room_for_others
from experiments.article.verdict import Verdict, decide
from experiments.command import flags
from experiments.command.experiment import Axis, Experiment, Values
from jaxopt_study import plots
from jaxopt_study.analysis.runs import Runs
from jaxopt_study.analysis.speed import losses
from jaxopt_study.grids.run import Run, product
from jaxopt_study.history import History
from jaxopt_study.plots import labels, selection

AXES = {
    "learning_rates": Axis("adagrad", "learning_rate", facts.half_decades(-3, 0)),
    "sgd_learning_rates": Axis(
        "sgd", "learning_rate", (facts.SMALL_RATE, facts.LARGE_ADAGRAD_RATE), "the SGD runs beside it"
    ),
}


def make_runs(values: Values, seeds: int) -> list[Run]:
    """Rates x seeds of Adagrad and of SGD."""
    sgd = product("sgd", {"learning_rate": values["sgd_learning_rates"]}, seeds)
    return sgd + product("adagrad", {"learning_rate": values["learning_rates"]}, seeds)


# What the article claims.


def g1(runs: Runs) -> Verdict:
    """Training loss over SGD's in the first and the last tenth of the epochs that both have."""
    cells = [cell(runs, optimizer, learning_rate=facts.SMALL_RATE) for optimizer in ("adagrad", "sgd")]
    horizon(cells)
    pairs = [[config.by_seed[seed] for config in cells] for seed in common_seeds(cells)]
    meaning = "training loss of adagrad over that of sgd at 0.001, {} tenth of the epochs"
    first, last = zip(*(_ratios(runs, *pair) for pair in pairs), strict=True)
    falls_behind = Part(meaning.format("last"), last, low=1.0, ratio=True, note=diverged(cells), cells=cells)
    falls_behind = falls_behind._replace(**room_for_others(runs, cells, falls_behind.finite()))
    keeps_up = Part(meaning.format("first"), first, low=0.0, high=1.05, ratio=True, cells=cells)
    return decide([falls_behind, keeps_up])


def _ratios(runs: Runs, ours: History, plain: History) -> tuple[float, float]:
    epochs = min(ours.epochs, plain.epochs)
    curves = np.stack([losses(run, "train_loss")[:epochs] for run in (ours, plain)])
    curves = np.where(np.isfinite(curves), curves, runs.chance)
    few = tenth(epochs)
    return over(*curves[:, :few].mean(axis=1).tolist()), over(*curves[:, -few:].mean(axis=1).tolist())


def g4(runs: Runs) -> Verdict:
    """Update size of the best rate in the last tenth of the epochs over that in the first."""
    ours = best(runs, "adagrad")
    horizon([ours])
    values = [over(late(run, "update_size"), early(run, "update_size", tenth(run.epochs))) for run in ours.histories]
    meaning = f"update size in the last tenth of the epochs over that in the first: {ours.label}"
    note = diverged([ours])
    return decide([Part(meaning, values, low=0.0, high=1.0, ratio=True, note=note, cells=[ours])])


CLAIMS = (
    Claim("G1", "Adagrad: at 0.001 it keeps up with SGD at first (within 5%), then falls behind.", 40, g1,
          {"learning_rate": 0.001}),
    Claim("G2", "Adagrad: at learning rate 0.316 it converges faster than SGD.", 41,
          lambda runs: decide([slower(runs, *(cell(runs, rule, learning_rate=facts.LARGE_ADAGRAD_RATE)
                                              for rule in ("sgd", "adagrad")))]),
          {"learning_rate": 0.316}),
    Claim("G3", "Adagrad: its best learning rate is at least 10 times SGD's.", 42,
          lambda runs: decide([ratio_of_best_rates(runs, "adagrad", 10 / HALF_STEP, math.inf)]),
          {"best learning_rate": 0.316, "best learning_rate of SGD": 0.032, "smallest ratio": 10}),
    Claim("G4", "Adagrad: its updates shrink over time.", 39, g4),
)  # fmt: skip

# Its figures.


def _adagrad_against_sgd(source: plots.picture.Source) -> plots.picture.Picture:
    adagrad, sgd = (selection.of_rule(source.histories, rule) for rule in ("adagrad", "sgd"))
    rate = figures.at([h for h in adagrad if _rate(h) in set(map(_rate, sgd))], facts.SMALL_RATE)
    lead = f"Adagrad and SGD at the same small {rate.title}."
    shows = "adagrad_against_sgd"
    return plots.picture.curve_picture(40, source.of([*adagrad, *sgd]), lead, shows=shows, by="optimizer", held=[rate])


def _rate(history: History) -> float:
    return float(selection.value_of(history, "learning_rate"))


def _adagrad_large_rate(source: plots.picture.Source) -> plots.picture.Picture:
    adagrad, sgd = (selection.of_rule(source.histories, rule) for rule in ("adagrad", "sgd"))
    rate = figures.at(adagrad, facts.LARGE_ADAGRAD_RATE, others=(facts.SMALL_RATE,))
    same = [h for h in sgd if _rate(h) == rate.used]
    chosen = same or plots.picture.best(source, "sgd").histories
    which = "at the same rate" if same else "at its best rate, as it was not run at this one"
    groups = {
        f"Adagrad, lr {labels.number(rate.used)}": selection.matching(adagrad, {"learning_rate": rate.used}),
        f"SGD, lr {labels.number(_rate(chosen[0]))}" + ("" if same else " (its best)"): chosen,
    }
    title = f"Adagrad and SGD: training loss and validation loss, Adagrad at {rate.title}"
    lead = f"Adagrad at {rate.title} beside SGD {which}."
    return plots.picture.groups_picture(
        41, groups, lead, chance=source.chance, shows=f"adagrad_against_sgd_{rate.file}", title=title
    )


FIGURES = (
    figures.curves(39, "adagrad", "Training and validation loss of Adagrad, one line a learning rate.",
                   shows="loss_by_lr", by="learning_rate"),
    (40, _adagrad_against_sgd),
    (41, _adagrad_large_rate),
    figures.minima(42, "adagrad", "Minimum training and validation loss of Adagrad at each learning rate."),
)  # fmt: skip

EXPERIMENT = Experiment(
    "adagrad_learning_rates", "Adagrad over its learning rate", AXES, make_runs,
    section="Adagrad", claims=CLAIMS, figures=FIGURES,
)  # fmt: skip

main = flags.command(EXPERIMENT)

if __name__ == "__main__":
    main()
