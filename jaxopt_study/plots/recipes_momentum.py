"""Figures of the article's sections 1 to 3: SGD, momentum and momentum's other form."""

from collections.abc import Sequence
from functools import partial

from jaxopt_study.history import History
from jaxopt_study.plots import illustrations, labels, recipes, selection
from jaxopt_study.plots.recipes import Picture, Recipe

ARTICLE_MOMENTA = (0.0, 0.5, 0.9, 0.95, 0.99)
_RATES = (0.001, 0.01, 0.1)


def _velocity(histories: Sequence[History], *, number: int, ema: bool) -> Picture:
    momenta = selection.values(histories, "momentum") or ARTICLE_MOMENTA
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


def _losses(histories: Sequence[History], *, number: int, wanted: float) -> Picture:
    runs = selection.of_rule(histories, "momentum")
    at = recipes.rate(runs, wanted, others=_RATES)
    lead = f"Training and validation loss of momentum at {at.title}."
    return recipes.curve_picture(number, runs, lead, shows="loss_by_momentum", by="momentum", at=at)


def _diagnostic(histories: Sequence[History], *, number: int, metric: str, lead: str) -> Picture:
    runs = selection.of_rule(histories, "momentum")
    at = recipes.rate(runs, 0.01)
    return recipes.curve_picture(
        number, runs, f"{lead} At {at.title}.", shows=f"{metric}_by_momentum", by="momentum", at=at, metrics=(metric,)
    )


def _momentum_table(histories: Sequence[History]) -> Picture:
    lead = "Least training and validation loss of momentum over the grid."
    runs = selection.of_rule(histories, "momentum")
    return recipes.table_picture(17, runs, lead, shows="minimum_loss_by_lr_and_momentum", x="momentum")


MOMENTUM_GRID: tuple[tuple[int, Recipe], ...] = (
    (9, partial(_velocity, number=9, ema=False)),
    (11, partial(_losses, number=11, wanted=0.01)),
    (12, partial(_diagnostic, number=12, metric="oscillation",
                 lead="Share of the parameters whose update changed its sign since the step before.")),
    (13, partial(_diagnostic, number=13, metric="update_size", lead="Mean absolute update of a parameter in a step.")),
    (14, partial(_diagnostic, number=14, metric="distance",
                 lead="Euclidean distance between the weights at the start and at the end of each epoch.")),
    (15, partial(_losses, number=15, wanted=0.001)),
    (16, partial(_losses, number=16, wanted=0.1)),
    (17, _momentum_table),
)  # fmt: skip
