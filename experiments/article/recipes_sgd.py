"""Figures of the article's section 1: SGD over the learning rate."""

from functools import partial

from jaxopt_study.plots import picture, selection
from jaxopt_study.plots.picture import Picture, Recipe, Source


def _losses(source: Source, *, number: int, metric: str) -> Picture:
    runs = selection.of_rule(source.histories, "sgd")
    lead = f"{'Training' if metric == 'train_loss' else 'Validation'} loss of plain SGD, one line a learning rate."
    return picture.curve_picture(
        number, source.of(runs), lead, shows=f"{metric}_by_lr", by="learning_rate", metrics=(metric,)
    )


def _minimum(source: Source) -> Picture:
    runs = selection.of_rule(source.histories, "sgd")
    lead = "Minimum training and validation loss of plain SGD at each learning rate."
    return picture.minimum_picture(7, source.of(runs), lead, shows="minimum_loss_by_lr", by="learning_rate")


SGD_LEARNING_RATES: tuple[tuple[int, Recipe], ...] = (
    (5, partial(_losses, number=5, metric="train_loss")),
    (6, partial(_losses, number=6, metric="val_loss")),
    (7, _minimum),
)
