"""Does Nesterov's look-ahead make momentum faster, and where? (section 4 of the article)

    python -m experiments.nesterov_grid                      # scikit-learn's digits, a minute on two cores
    python -m experiments.nesterov_grid --preset=article     # cats_vs_dogs at 128 x 128, until the patience runs out

Expected: in most cells of the grid it reaches the loss that plain momentum has after 50 epochs in fewer of them.
Figures 22 to 26.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from experiments.article import facts, figures, ratios
from experiments.article.claim import Claim
from experiments.article.find import cell, common_seeds, family, horizon, require_learning
from experiments.article.ratios import AFTER, FASTER, NEITHER, TOO_SHORT, Ratio, convergence_ratio, convergence_table
from experiments.article.verdict import Part, Undecided, Verdict, decide
from experiments.command import flags
from experiments.command.experiment import Axis, Experiment, full_grid
from jaxopt_study import plots
from jaxopt_study.analysis.minima import losses
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
    """Convergence ratio on training loss of one configuration."""
    numbers = {"learning_rate": facts.SMALL_RATE, "momentum": 0.95}
    plain, ours = cell(runs, "momentum", **numbers), cell(runs, "nesterov", **numbers)
    epochs = horizon([plain, ours])
    values = []
    for seed in common_seeds([plain, ours]):
        curves = [losses(config.by_seed[seed], "train_loss") for config in (plain, ours)]
        ratio = convergence_ratio(curves[0], curves[1], after=epochs).ratio
        values.append(min(ratio, (len(curves[1]) + 1) / epochs))
    meaning = f"convergence ratio on training loss after {epochs} epochs: {ours.label} over momentum"
    return decide([Part(meaning, values, low=0.0, high=1.0, ratio=True, cells=[plain, ours])])


def most_cells(runs: Runs, *, curve: str) -> Verdict:
    """Share of the cells, without those where neither converges, in which it is faster on a loss curve."""
    require_learning(runs, curve)
    epochs = horizon(_shared(runs))
    table = convergence_table(runs, curve, after=epochs)
    if len(table) < _LEAST:
        raise Undecided(f"grid does not cover it: {len(table)} cells with momentum, {_LEAST} are needed")
    seeds = sorted(set.intersection(*(set(by_seed) for by_seed in table.values())))
    if not seeds:
        raise Undecided("too few seeds: none in common for all cells")
    shares = [_share([by_seed[seed] for by_seed in table.values()]) for seed in seeds]
    meaning = f"share of {len(table)} cells in which Nesterov is faster, {curve} after {epochs} epochs"
    return decide([Part(meaning, shares, low=0.5, note="cells where neither converges are left out")])


def _shared(runs: Runs) -> list[Cell]:
    pairs = [[*runs.cells("momentum", **config.hyperparameters), config] for config in family(runs, "nesterov")]
    shared = [config for pair in pairs if len(pair) > 1 for config in pair]
    if not shared:
        raise Undecided("grid does not cover it: no configuration run with both momentum and nesterov")
    return shared


def _share(ratios: Sequence[Ratio]) -> float:
    judged = [ratio.category for ratio in ratios if ratio.category not in (NEITHER, TOO_SHORT)]
    return judged.count(FASTER) / len(judged) if judged else float("nan")


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


def _ratios(source: plots.picture.Source) -> plots.picture.Picture:
    nesterov, plain = (selection.of_rule(source.histories, rule) for rule in ("nesterov", "momentum"))
    epochs = min(AFTER, max(h.epochs for h in plain))
    after = labels.counted(epochs, "epoch") + ("" if epochs == AFTER else f" (in the article {AFTER})")
    runs = Runs([*nesterov, *plain], chance=source.chance)
    tables = {curve: convergence_table(runs, curve, after=epochs) for curve in labels.LOSSES}
    title = f"Convergence ratio of Nesterov momentum against plain momentum after {after}"
    figure = ratios.convergence_ratios(tables, title=title)
    seeds = plots.captions.over_seeds(nesterov, "Cells give the median over {} seeds, each paired with itself.")
    caption = (
        f"Epochs that Nesterov momentum needs to reach the loss that plain momentum has after {after}, divided by "
        f"{epochs}: below 1 (green, triangle down) it is faster, above 1 (red, triangle up) slower. Yellow: neither "
        "got halfway from guessing to the best loss of the grid. Momentum 0, where both are SGD, is left out. "
        f"{seeds}"
    )
    return plots.picture.Picture("fig25_convergence_ratio", figure, caption, f"Table in colour. {ratios.told(tables)}")


FIGURES = (
    (22, _bowl),
    _against_momentum(23, 0.95),
    _against_momentum(24, 0.99),
    (25, _ratios),
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
