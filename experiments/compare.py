"""How do the optimizers compare, each at its best? (section 9 of the article)

    python -m experiments.compare                      # scikit-learn's digits, a minute on two cores
    python -m experiments.compare --preset=article     # cats_vs_dogs at 128 x 128, until the patience runs out

The best configuration of an optimizer is the one with the lowest validation loss, mean over its seeds, among the runs
that the work directory holds; give it the one in which the grids were run. Of an optimizer without runs there it is
the article's best. SGD at 0.01 is trained besides, for figure 49. With --best_of=article it is the article's best for
every optimizer, whatever the directory holds: these seven and SGD at 0.01 at 128 pixels, weights kept, are

    python -m experiments.compare --preset=article --save_best_weights --best_of=article

Expected: the losses lie close together, Adam is the first to get there. Figures 45 to 49.
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Mapping, Sequence
from functools import partial

import absl.flags
import numpy as np

from experiments.article import best_figures, facts, figures
from experiments.article.claim import Claim
from experiments.article.find import best, cell, common_seeds, family, unsettled
from experiments.article.part import NotApplicable, Part, Undecided, attempt
from experiments.article.parts import by_seed, higher_minimum, later_minimum, slower, slower_to
from experiments.article.rates import rates
from experiments.article.regrets import near_best, regrets
from experiments.article.spread import partly_learning
from experiments.article.verdict import Verdict, both, decide
from experiments.command import flags
from experiments.command.experiment import Experiment, Values, first_as_momentum
from jaxopt_study import plots
from jaxopt_study.analysis.best import best_cell, mean_lowest
from jaxopt_study.analysis.halves import folds
from jaxopt_study.analysis.minima import lowest, minimum
from jaxopt_study.analysis.runs import Cell, Runs, same_value, stands_for
from jaxopt_study.grids.run import Run, make_run
from jaxopt_study.plots import labels, selection

BESIDES = ("sgd", {"learning_rate": 0.01})


def make_runs(values: Values, seeds: int) -> list[Run]:
    """The article's best configurations x seeds."""
    return _compared([(row.optimizer, numbers_of(row)) for row in facts.BEST_RUNS], seeds)


def choose(finished: Runs, runs: list[Run], seeds: int) -> list[Run]:
    """The best configurations of the finished runs, the article's where an optimizer has none, x seeds."""
    if absl.flags.FLAGS.best_of == "article":
        return runs
    chosen = []
    for row in facts.BEST_RUNS:
        cells = finished.family(row.optimizer)
        chosen.append((row.optimizer, best_cell(cells).hyperparameters if cells else numbers_of(row)))
    return _compared(chosen, seeds)


def _compared(chosen: Sequence[tuple[str, Mapping[str, float]]], seeds: int) -> list[Run]:
    runs = [make_run(rule, numbers, seed) for rule, numbers in (*chosen, BESIDES) for seed in range(seeds)]
    return first_as_momentum(runs)


def numbers_of(row: facts.BestRun) -> dict[str, float]:
    """The numbers of a row, its printed rate as the half decade that it stands for: the run is one with a grid's."""
    printed = row.hyperparameters.get("learning_rate", math.nan)
    meant = [rate for rate in facts.half_decades(-4, 0) if stands_for("learning_rate", rate, printed)]
    return {**row.hyperparameters, **({"learning_rate": meant[0]} if meant else {})}


# What the article claims.

_ALL = tuple(run.optimizer for run in facts.BEST_RUNS)
_FOLLOWERS = ("nesterov", "adam", "momentum", "rmsprop")
_LAST = ("adagrad", "cyclical")
CLOSE = 0.05
"""Relative distance from their geometric mean within which losses are close together."""


def x1(runs: Runs) -> Verdict:
    """Every other optimizer against SGD."""
    first = best(runs, "sgd")
    return decide([attempt(lambda o: higher_minimum(runs, best(runs, o), first), o) for o in _without("sgd")])


def x2(runs: Runs) -> Verdict:
    """Each of the four over their mean, and their mean against SGD."""
    cells = [best(runs, optimizer) for optimizer in _FOLLOWERS]
    plain = best(runs, "sgd")
    lows = by_seed([*cells, plain], lambda run: lowest(runs, run))
    losses, first = lows[:, :-1], lows[:, -1]
    centre = np.exp(np.log(np.maximum(losses, np.finfo(np.float64).tiny)).mean(axis=1))
    meaning = "smallest validation loss over the mean of nesterov, adam, momentum and rmsprop"
    limits = (1 / (1 + CLOSE), 1 + CLOSE)
    parts = [
        Part(f"{meaning}: {config.label}", (column / centre).tolist(), *limits, ratio=True, cells=cells)
        for config, column in zip(cells, losses.T, strict=True)
    ]
    behind = "mean smallest validation loss of nesterov, adam, momentum and rmsprop minus sgd's"
    parts.append(Part(behind, (losses.mean(axis=1) - first).tolist(), cells=[*cells, plain]))
    mixed = partly_learning(runs, [*cells, plain])
    return decide([part._replace(no_interval=mixed).open_if(unsettled([*cells, plain])) for part in parts])


def x3(runs: Runs) -> Verdict:
    """Each of the two against each of the other five."""
    return decide([
        attempt(lambda last, other: higher_minimum(runs, best(runs, last), best(runs, other)), last, other)
        for last in _LAST for other in _without(*_LAST)
    ])  # fmt: skip


def x4(runs: Runs) -> Verdict:
    """Every other optimizer against Adam, and SGD against every other but Adam."""
    first = [attempt(lambda o: later_minimum(runs, best(runs, o), best(runs, "adam")), o) for o in _without("adam")]
    last = [
        attempt(lambda o: later_minimum(runs, best(runs, "sgd"), best(runs, o)), o) for o in _without("adam", "sgd")
    ]
    return decide([*first, *last])


def x5(runs: Runs) -> Verdict:
    """Epochs to the worst of the optimizers' lowest losses in the other half of the seeds, each other over Adam."""
    cells = {optimizer: best(runs, optimizer) for optimizer in _ALL}
    targets = {
        seed: max(mean_lowest(runs, _of_seeds(cell, choosing)) for cell in cells.values())
        for told, choosing in folds(common_seeds([*cells.values()]))
        for seed in told
    }
    what = "the worst of the optimizers' smallest validation losses"
    parts = [attempt(lambda o: slower_to(runs, targets, what, cells[o], cells["adam"]), o) for o in _without("adam")]
    return decide(parts)


def _of_seeds(cell: Cell, seeds: Sequence[int]) -> Cell:
    return cell._replace(by_seed={seed: cell.by_seed[seed] for seed in seeds})


def x7(runs: Runs) -> Verdict:
    """What a rate costs that is taken at random near the best one, less what an optimizer taken at random costs."""
    windows: dict[str, list[Cell]] = {}
    for optimizer in _without("cyclical"):
        with contextlib.suppress(Undecided):
            windows[optimizer] = near_best(rates(runs, optimizer))
    if len(windows) < 4:
        raise NotApplicable(f"grid does not cover it: {len(windows)} optimizers with a range of rates, 4 are needed")
    cells = [config for window in windows.values() for config in window]
    losses_SN = by_seed(cells, partial(lowest, runs))
    ends = np.cumsum([len(window) for window in windows.values()])[:-1]
    of_rates, of_optimizers = regrets(np.split(losses_SN, ends, axis=1))
    values = (of_rates - of_optimizers).tolist()
    meaning = "mean loss lost by a random learning rate (within a decade of the best) minus that lost by a random "
    meaning += f"optimizer (at its best rate), of {', '.join(windows)}"
    part = Part(meaning, values, cells=cells, no_interval=partly_learning(runs, cells))
    return decide([part.open_if(unsettled(cells))])


def x8(runs: Runs) -> Verdict:
    """Whether some other rho and some other betas beat the default; every one that was run is a part."""
    rho = _some_better(runs, "rmsprop", cell(runs, "rmsprop", learning_rate=0.001))
    betas = _some_better(runs, "adam", cell(runs, "adam", learning_rate=0.001))
    return both(rho, betas)


def _some_better(runs: Runs, optimizer: str, default: Cell) -> Verdict:
    eps = default.hyperparameters["eps"]
    others = [config for config in family(runs, optimizer, learning_rate=0.001, eps=eps) if config is not default]
    if not others:
        raise NotApplicable(f"grid does not cover it: {optimizer} at 0.001 was run with the default numbers only")
    return decide([attempt(higher_minimum, runs, default, other) for other in others], some=True, of=2)


def _without(*names: str) -> list[str]:
    return [optimizer for optimizer in _ALL if optimizer not in names]


CLAIMS = (
    Claim("X1", "Comparison: plain SGD has the best validation loss, clearly.", 45, x1,
          {"val_loss of SGD": 0.1899, "next": 0.202}),
    Claim("X2", "Comparison: Nesterov, Adam, momentum and RMSprop follow close together (within 5%).", 45, x2,
          {"smallest val_loss": 0.202, "largest val_loss": 0.2061}),
    Claim("X3", "Comparison: Adagrad and the cyclical rate are last.", 45, x3,
          {"val_loss of Adagrad": 0.231, "val_loss of CLR": 0.2318, "next": 0.2061}),
    Claim("X4", "Comparison: Adam needs the fewest epochs to its minimum, SGD the most.", 47, x4,
          {"epochs of Adam": 255, "epochs of SGD": 535}),
    Claim("X5", "Comparison: Adam is first to reach the worst of the seven minima (0.2318 in the article).", 48, x5,
          {"val_loss": 0.2318}),
    Claim("X6", "Comparison: at the same rate (0.01) momentum does speed SGD up.", 49,
          lambda runs: decide([
              slower(runs, cell(runs, "sgd", learning_rate=0.01), best(runs, "momentum", learning_rate=0.01))]),
          {"learning_rate": 0.01, "momentum": 0.5}),
    Claim("X7", "Comparison: the learning rate matters more than the choice of optimizer.", 45, x7),
    Claim("X8", "Comparison: non-default rho and beta values are worth trying (some beat the default).", 37, x8,
          {"decay": 0.95, "b1": 0.5}),
)  # fmt: skip

# Its figures.


def _sgd_and_momentum(source: plots.picture.Source) -> plots.picture.Picture:
    sgd, momentum = plots.picture.best(source, "sgd"), plots.picture.best(source, "momentum")
    runs = selection.of_rule(source.histories, "sgd")
    low = figures.at(runs, 0.01)
    groups = {f"SGD (its best)\n{labels.configuration(sgd.hyperparameters)}": sgd.histories}
    if not same_value(low.used, sgd.hyperparameters["learning_rate"]):
        groups[f"SGD\nlr {labels.number(low.used)}"] = selection.matching(runs, {"learning_rate": low.used})
    numbers = labels.configuration(momentum.hyperparameters).replace(", ", "\n")
    groups[f"momentum (its best)\n{numbers}"] = momentum.histories
    lead = f"SGD at its best rate and at {low.title}, and momentum at its best."
    title = "SGD and momentum: training loss and validation loss"
    return plots.picture.groups_picture(49, groups, lead, chance=source.chance, shows="sgd_and_momentum", title=title)


FIGURES = (
    (45, partial(best_figures.bars, number=45, shows="best_validation_loss", what="minimum validation loss",
                 measured=lambda run: minimum(run.curves["val_loss"]).value)),
    (46, partial(best_figures.bars, number=46, shows="best_training_loss", what="minimum training loss",
                 measured=lambda run: minimum(run.curves["train_loss"]).value)),
    (47, partial(best_figures.bars, number=47, shows="epoch_of_minimum", what="epoch of the minimum validation loss",
                 measured=lambda run: float(minimum(run.curves["val_loss"]).epoch or math.nan),
                 unit="epoch", whole=True)),
    (48, partial(best_figures.epochs_to_worst, number=48)),
    (49, _sgd_and_momentum),
    (0, partial(best_figures.curves, shows="best_losses", what="training loss and validation loss",
                metrics=["train_loss", "val_loss"])),
    (0, best_figures.accuracies),
    (0, lambda source: plots.tuning.picture(source)),  # Matplotlib waits until it is drawn
)  # fmt: skip

EXPERIMENT = Experiment(
    "compare", "Each optimizer at its best", {}, make_runs,
    section="Comparison", claims=CLAIMS, figures=FIGURES, choose=choose, parts={"compare": None},
)  # fmt: skip


def main(argv: Sequence[str] | None = None) -> None:
    """The command."""
    absl.flags.DEFINE_enum(
        "best_of", "grid", ["grid", "article"],
        "Whose best configurations are compared: those of the runs in the work directory, or the article's.",
        allow_override=True,
    )  # fmt: skip
    flags.command(EXPERIMENT)(argv)


if __name__ == "__main__":
    main()
