"""Does Nesterov's look-ahead make momentum faster, and where? (section 4 of the article)

    python -m experiments.nesterov_grid                      # scikit-learn's digits, a minute on two cores
    python -m experiments.nesterov_grid --preset=article     # cats_vs_dogs at 128 x 128, until the patience runs out

Expected: in most cells of the grid its loss is lower than plain momentum's over the first 50 epochs.
Figures 22 to 26.
"""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from functools import partial

import numpy as np

from experiments.article import facts, figures
from experiments.article.claim import Claim
from experiments.article.find import cell, common_seeds, family, horizon, require_learning
from experiments.article.gains import compared_after, gain_table, gains, shown, told
from experiments.article.part import NotApplicable, Part, Undecided
from experiments.article.spread import room_for_others
from experiments.article.verdict import Verdict, decide
from experiments.command import flags
from experiments.command.experiment import Axis, Experiment, full_grid
from jaxopt_study import plots
from jaxopt_study.analysis.intervals import independent
from jaxopt_study.analysis.runs import Cell, Runs
from jaxopt_study.plots import labels, selection

AXES = {
    "learning_rates": Axis("nesterov", "learning_rate", facts.SGD_RATES),
    "momenta": Axis("nesterov", "momentum", facts.MOMENTA),
}

# What the article claims.

_LEAST = len(facts.SGD_RATES) * (len(facts.MOMENTA) - 1) // 2
"""Half of the article's cells with momentum: fewer say nothing of "most cases"."""


def n3(runs: Runs) -> Verdict:
    """One configuration's losses, Nesterov's over plain momentum's, on the way."""
    numbers = {"learning_rate": facts.SMALL_RATE, "momentum": 0.95}
    plain, ours = cell(runs, "momentum", **numbers), cell(runs, "nesterov", **numbers)
    horizon([plain, ours])
    pair = Runs([*plain.histories, *ours.histories], chance=runs.chance)
    [gain] = gains(pair, averaged=True)
    after = compared_after(pair)
    meaning = f"training loss of {ours.label} over that of plain momentum, mean of the first {after} epochs"
    part = _ahead(meaning, [gain.gains[seed] for seed in common_seeds([plain, ours])])
    return decide([part._replace(cells=[plain, ours], **room_for_others(runs, [plain, ours], part.finite()))])


def most_cells(runs: Runs, *, curve: str) -> Verdict:
    """The median of the gains over the cells in which one of the rules converges: above 0 if most are."""
    require_learning(runs, curve)
    cells = _shared(runs)
    horizon(cells)
    compared = gains(runs, curve, averaged=True)
    if len(compared) < _LEAST:
        raise NotApplicable(f"grid does not cover it: {len(compared)} cells with momentum, {_LEAST} are needed")
    kept = [gain for gain in compared if gain.converged]
    if not kept:
        raise NotApplicable("nothing converges: neither rule gets halfway from guessing to the best loss in any cell")
    seeds = sorted(set.intersection(*(set(gain.gains) for gain in kept)))
    if not seeds:
        raise Undecided("too few seeds: none in common for all cells")
    values = [statistics.median(gain.gains[seed] for gain in kept) for seed in seeds]
    meaning = f"{labels.measure(curve)} of Nesterov over that of plain momentum, mean of the first "
    meaning += f"{compared_after(runs)} epochs, median of {len(kept)} cells"
    ahead = sum(independent(gain.gains).mean() > 0 for gain in kept)
    note = f"{ahead} of {len(kept)} cells ahead in the mean over the seeds"
    return decide([_ahead(meaning, values)._replace(note=note, cells=cells)])


def _ahead(meaning: str, logarithms: Sequence[float]) -> Part:
    return Part(meaning, np.exp(np.negative(logarithms)).tolist(), low=0.0, high=1.0, ratio=True)


def _shared(runs: Runs) -> list[Cell]:
    pairs = [[*runs.cells("momentum", **config.hyperparameters), config] for config in family(runs, "nesterov")]
    shared = [config for pair in pairs if len(pair) > 1 for config in pair]
    if not shared:
        raise NotApplicable("grid does not cover it: no configuration run with both momentum and nesterov")
    return shared


CLAIMS = (
    Claim("N1", "Nesterov: faster than momentum on training loss in most cases (more than half).", 25,
          partial(most_cells, curve="train_loss"), {"faster": 10, "of": 14}),
    Claim("N2", "Nesterov: faster than momentum on validation loss in most cases (more than half).", 25,
          partial(most_cells, curve="val_loss"), {"faster": 8, "of": 12}),
    Claim("N3", "Nesterov: at learning rate 0.001 and momentum 0.95, faster than momentum.", 23, n3,
          {"learning_rate": 0.001, "momentum": 0.95}),
)  # fmt: skip

# Its figures.


def _bowl(source: plots.picture.Source) -> plots.picture.Picture:
    del source  # computed, from no run
    caption = (
        "Computed, no training: on a bowl twelve times steeper in y than in x both overshoot the minimum (star); "
        "Nesterov's look-ahead damps the swings."
    )
    alt = "Two panels: the ways of both over the bowl's contours, and their losses by step; Nesterov's falls faster."
    return plots.picture.Picture("fig22_bowl_trajectories", figures.bowl(), caption, alt)


def _against_momentum(number: int, momentum: float) -> figures.Row:
    wanted = figures.Wanted(0.001), figures.Wanted(momentum, "momentum", others=(0.95, 0.99))
    lead = "Nesterov momentum and plain momentum at {} and {}."
    shows = "nesterov_against_momentum"
    return figures.curves(number, "nesterov", lead, *wanted, shows=shows, by="optimizer", beside="momentum")


def _gains(source: plots.picture.Source) -> plots.picture.Picture:
    nesterov, plain = (selection.of_rule(source.histories, rule) for rule in ("nesterov", "momentum"))
    runs = Runs([*nesterov, *plain], chance=source.chance)
    epochs = labels.counted(compared_after(runs), "epoch")
    tables = {curve: shown(gains(runs, curve, averaged=True)) for curve in labels.LOSSES}
    figure = gain_table(tables, title=f"Loss of Nesterov momentum over that of plain momentum in the first {epochs}")
    seeds = plots.captions.over_seeds(nesterov, "Intervals are over {} seeds, each paired with itself.")
    caption = (
        f"Loss of Nesterov momentum over that of plain momentum, geometric mean of the first {epochs}: green (triangle "
        "down) where its 95% interval lies below 1 and Nesterov is faster, red (triangle up) where above, white where "
        "seeds do not tell. Yellow: neither got halfway from guessing to the best loss of the grid. Momentum 0, where "
        "both are SGD, is left out. The article has the epochs to one noisy loss instead, by which a rule is faster "
        f"than itself. {seeds}"
    )
    return plots.picture.Picture("fig25_convergence_ratio", figure, caption, f"Table in colour. {told(tables)}")


FIGURES = (
    (22, _bowl),
    _against_momentum(23, 0.95),
    _against_momentum(24, 0.99),
    (25, _gains),
    figures.table(26, "nesterov", "Minimum training and validation loss of Nesterov momentum over the grid.",
                  shows="minimum_loss_by_lr_and_momentum", x="momentum"),
)  # fmt: skip

EXPERIMENT = Experiment(
    "nesterov_grid", "Nesterov momentum", AXES, full_grid(AXES, "momentum", "nesterov"),
    section="Nesterov momentum", claims=CLAIMS, figures=FIGURES,
)  # fmt: skip

main = flags.command(EXPERIMENT)

if __name__ == "__main__":
    main()
