"""Figures of the article's sections 2 to 4: momentum, its other form, and Nesterov's momentum."""

from collections.abc import Sequence
from functools import partial

from experiments.article import facts as article
from experiments.article import illustrations, ratios, recipes, trajectories
from jaxopt_study.analysis.runs import Runs
from jaxopt_study.analysis.speed import AFTER as RATIO_EPOCHS
from jaxopt_study.analysis.speed import convergence_table
from jaxopt_study.history import History
from jaxopt_study.plots import captions, labels, picture, selection
from jaxopt_study.plots.picture import Held, Picture, Recipe, Source

_RATES = (0.001, 0.01, 0.1)


def _velocity(source: Source, *, number: int, ema: bool) -> Picture:
    momenta = sorted({0.0, *selection.values(source.histories, "momentum")})
    momenta = momenta if len(momenta) > 1 else list(article.MOMENTA)
    form = "average form" if ema else "rate inside the velocity"
    title = f"Velocity of momentum under a constant gradient ({form})"
    figure = illustrations.constant_gradient(momenta, ema=ema, title=title)
    grows = "tends to the gradient and never exceeds it" if ema else "grows to rate x gradient / (1 - momentum)"
    caption = f"Computed, no training: under a constant gradient the velocity {grows} (dotted)."
    chosen = labels.listing(map(labels.number, momenta))
    alt = (
        f"Line chart of the velocity over 300 steps, momentum {chosen}: it {grows}; the higher the momentum, the later."
    )
    return Picture(f"fig{number:02d}_velocity_constant_gradient", figure, caption, alt)


def _losses(source: Source, *, number: int, rule: str, wanted: float, others: Sequence[float]) -> Picture:
    runs = selection.of_rule(source.histories, rule)
    held = recipes.at(runs, wanted, others=others)
    lead = f"Training and validation loss of {labels.optimizer(rule)} at {held.title}."
    return picture.curve_picture(number, source.of(runs), lead, shows="loss_by_momentum", by="momentum", held=[held])


def _diagnostic(source: Source, *, number: int, metric: str, lead: str) -> Picture:
    runs = selection.of_rule(source.histories, "momentum")
    held = recipes.at(runs, 0.01)
    told = f"{lead} Drawn at {held.title}."
    shows = f"{metric}_by_momentum"
    return picture.curve_picture(
        number, source.of(runs), told, shows=shows, by="momentum", held=[held], metrics=(metric,)
    )


def _table(source: Source, *, number: int, rule: str) -> Picture:
    lead = f"Minimum training and validation loss of {labels.optimizer(rule)} over the grid."
    runs = selection.of_rule(source.histories, rule)
    return picture.table_picture(number, source.of(runs), lead, shows="minimum_loss_by_lr_and_momentum", x="momentum")


def _bowl(source: Source) -> Picture:
    del source  # computed, from no run
    title = "Momentum and Nesterov momentum on a bowl-shaped loss (rate 0.03, momentum 0.9)"
    caption = (
        "Computed, no training: on a bowl twelve times steeper in y than in x both overshoot the minimum (star); "
        "Nesterov's look-ahead damps the swings."
    )
    alt = "Two panels: the ways of both over the bowl's contours, and their losses by step; Nesterov's falls faster."
    return Picture("fig22_bowl_trajectories", trajectories.bowl(title=title), caption, alt)


def _against_momentum(source: Source, *, number: int, momentum: float) -> Picture:
    nesterov, plain = _both(source)
    held = [recipes.at(nesterov, 0.001), _momentum(nesterov, momentum)]
    lead = f"Nesterov momentum and plain momentum at {labels.listing(h.title for h in held)}."
    return picture.curve_picture(
        number, source.of([*plain, *nesterov]), lead, shows="nesterov_against_momentum", by="optimizer", held=held
    )


def _momentum(runs: Sequence[History], wanted: float) -> Held:
    return recipes.at(runs, wanted, name="momentum", others=(0.95, 0.99))


def _both(source: Source) -> tuple[list[History], list[History]]:
    return selection.of_rule(source.histories, "nesterov"), selection.of_rule(source.histories, "momentum")


def _ratios(source: Source) -> Picture:
    nesterov, plain = _both(source)
    epochs = min(RATIO_EPOCHS, max(h.epochs for h in plain))
    after = labels.counted(epochs, "epoch") + ("" if epochs == RATIO_EPOCHS else f" (in the article {RATIO_EPOCHS})")
    runs = Runs([*nesterov, *plain], chance=source.chance)
    tables = {curve: convergence_table(runs, curve, after=epochs) for curve in picture.LOSSES}
    title = f"Convergence ratio of Nesterov momentum against plain momentum after {after}"
    figure = ratios.convergence_ratios(tables, x="momentum", y="learning_rate", title=title)
    caption = (
        f"Epochs that Nesterov momentum needs to reach the loss that plain momentum has after {after}, divided by "
        f"{epochs}: below 1 (green, triangle down) it is faster, above 1 (red, triangle up) slower. Yellow: neither "
        "got halfway from guessing to the best loss of the grid. Momentum 0, where both are SGD, is left out. "
        f"{captions.medians(nesterov)}"
    )
    return Picture("fig25_convergence_ratio", figure, caption, f"Table in colour. {ratios.told(tables)}")


MOMENTUM_GRID: tuple[tuple[int, Recipe], ...] = (
    (9, partial(_velocity, number=9, ema=False)),
    (11, partial(_losses, number=11, rule="momentum", wanted=0.01, others=_RATES)),
    (12, partial(_diagnostic, number=12, metric="oscillation",
                 lead="Share of the parameters whose update changed its sign since the step before.")),
    (13, partial(_diagnostic, number=13, metric="update_size", lead="Mean absolute update of a parameter in a step.")),
    (14, partial(_diagnostic, number=14, metric="distance",
                 lead="Euclidean distance between the weights at the start and at the end of each epoch.")),
    (15, partial(_losses, number=15, rule="momentum", wanted=0.001, others=_RATES)),
    (16, partial(_losses, number=16, rule="momentum", wanted=0.1, others=_RATES)),
    (17, partial(_table, number=17, rule="momentum")),
)  # fmt: skip
MOMENTUM_FORMULATIONS: tuple[tuple[int, Recipe], ...] = (
    (19, partial(_losses, number=19, rule="momentum_ema", wanted=0.01, others=())),
    (20, partial(_velocity, number=20, ema=True)),
)
NESTEROV_GRID: tuple[tuple[int, Recipe], ...] = (
    (22, _bowl),
    (23, partial(_against_momentum, number=23, momentum=0.95)),
    (24, partial(_against_momentum, number=24, momentum=0.99)),
    (25, _ratios),
    (26, partial(_table, number=26, rule="nesterov")),
)
