"""Figures of the article's sections 5 to 7: RMSprop, Adam and Adagrad."""

from collections.abc import Sequence
from functools import partial

from jaxopt_study.history import History
from jaxopt_study.plots import labels, recipes, selection
from jaxopt_study.plots.recipes import Picture, Recipe

ADAM_SHOWN_UP_TO = 0.034
"""The article leaves Adam's curves above a rate of 0.03 (0.0316) out."""


def _rmsprop_without_memory(histories: Sequence[History]) -> Picture:
    runs = selection.of_rule(histories, "rmsprop")
    rho = recipes.at(runs, 0.0, name="decay")
    if rho.used != 0:
        raise selection.NotDrawable("it shows RMSprop at decay (rho) 0, which the grid does not have")
    lead = "Training loss of RMSprop without memory (rho 0), where a step is the rate times the gradient's sign."
    return recipes.curve_picture(
        28, runs, lead, shows="train_loss_by_lr", by="learning_rate", held=[rho], metrics=("train_loss",)
    )


def _rmsprop_by_decay(histories: Sequence[History], *, number: int, wanted: float) -> Picture:
    runs = selection.of_rule(histories, "rmsprop")
    rate = recipes.at(runs, wanted, others=(0.001, 0.0316))
    lead = f"Training and validation loss of RMSprop at {rate.title}."
    return recipes.curve_picture(number, runs, lead, shows="loss_by_rho", by="decay", held=[rate])


def _rmsprop_table(histories: Sequence[History]) -> Picture:
    runs = selection.of_rule(histories, "rmsprop")
    lead = "Least training and validation loss of RMSprop over the grid."
    return recipes.table_picture(32, runs, lead, shows="minimum_loss_by_lr_and_rho", x="decay")


def _adam_at_default_betas(histories: Sequence[History]) -> tuple[list[History], str]:
    runs = selection.of_rule(histories, "adam")
    b1 = recipes.at(runs, 0.9, name="b1")
    b2 = recipes.at(selection.matching(runs, {"b1": b1.used}), 0.999, name="b2")
    return selection.matching(runs, {"b1": b1.used, "b2": b2.used}), f"{b1.title}, {b2.title}"


def _adam_losses(histories: Sequence[History]) -> Picture:
    runs, betas = _adam_at_default_betas(histories)
    shown = [h for h in runs if h.hyperparameters["learning_rate"] <= ADAM_SHOWN_UP_TO] or runs
    left_out = "" if len(shown) == len(runs) else " Rates above 0.0316 are left out, as in the article."
    lead = f"Training and validation loss of Adam ({betas}), one line a learning rate.{left_out}"
    return recipes.curve_picture(34, shown, lead, shows="loss_by_lr", by="learning_rate")


def _adam_minimum(histories: Sequence[History]) -> Picture:
    runs, betas = _adam_at_default_betas(histories)
    lead = f"Least training and validation loss of Adam at each learning rate ({betas})."
    return recipes.minimum_picture(35, runs, lead, shows="minimum_loss_by_lr", by="learning_rate")


def _adam_betas(histories: Sequence[History]) -> tuple[list[History], recipes.Held]:
    runs = selection.of_rule(histories, "adam")
    rate = recipes.at(runs, 0.001)
    return selection.matching(runs, {"learning_rate": rate.used}), rate


def _adam_losses_by_betas(histories: Sequence[History]) -> Picture:
    runs, rate = _adam_betas(histories)
    lead = f"Training and validation loss of Adam at {rate.title}, one line a pair of beta 1 and beta 2."
    return recipes.curve_picture(36, runs, lead, shows="loss_by_betas", by=("b1", "b2"), held=[rate])


def _adam_table(histories: Sequence[History]) -> Picture:
    runs, rate = _adam_betas(histories)
    lead = f"Least training and validation loss of Adam over its betas at {rate.title}."
    return recipes.table_picture(37, runs, lead, shows="minimum_loss_by_betas", x="b2", y="b1", held=[rate])


def _adagrad_losses(histories: Sequence[History]) -> Picture:
    runs = selection.of_rule(histories, "adagrad")
    lead = "Training and validation loss of Adagrad, one line a learning rate."
    return recipes.curve_picture(39, runs, lead, shows="loss_by_lr", by="learning_rate")


def _adagrad_against_sgd(histories: Sequence[History]) -> Picture:
    adagrad, sgd = (selection.of_rule(histories, rule) for rule in ("adagrad", "sgd"))
    common = set(selection.values(adagrad, "learning_rate")) & set(selection.values(sgd, "learning_rate"))
    if not common:
        raise selection.NotDrawable("Adagrad and SGD have no learning rate in common")
    rate = labels.number(min(common))
    held = recipes.Held("learning_rate", min(common), min(common))
    lead = f"Adagrad and SGD at the same small learning rate ({rate}, the least that both were run with)."
    shows = "adagrad_against_sgd"
    return recipes.curve_picture(40, [*adagrad, *sgd], lead, shows=shows, by="optimizer", held=[held])


def _adagrad_large_rate(histories: Sequence[History]) -> Picture:
    adagrad, sgd = (selection.of_rule(histories, rule) for rule in ("adagrad", "sgd"))
    rate = recipes.at(adagrad, 0.316)
    if not selection.stands_for(rate.used, 0.316) and rate.used < 0.1:
        raise selection.NotDrawable("it shows Adagrad at the learning rate 0.316, and the grid ends far below")
    best = recipes.best(sgd)
    groups = {
        f"Adagrad, lr {labels.number(rate.used)}": selection.matching(adagrad, {"learning_rate": rate.used}),
        f"SGD, lr {labels.number(best.values['learning_rate'])} (its best)": best.runs,
    }
    title = f"Adagrad at {rate.title}, and SGD at its best rate"
    lead = f"Adagrad at {rate.title} beside SGD at its best rate of this grid."
    return recipes.groups_picture(41, groups, lead, shows=f"adagrad_{rate.file}_against_best_sgd", title=title)


def _adagrad_minimum(histories: Sequence[History]) -> Picture:
    runs = selection.of_rule(histories, "adagrad")
    lead = "Least training and validation loss of Adagrad at each learning rate."
    return recipes.minimum_picture(42, runs, lead, shows="minimum_loss_by_lr", by="learning_rate")


RMSPROP_GRID: tuple[tuple[int, Recipe], ...] = (
    (28, _rmsprop_without_memory),
    (30, partial(_rmsprop_by_decay, number=30, wanted=0.001)),
    (31, partial(_rmsprop_by_decay, number=31, wanted=0.0316)),
    (32, _rmsprop_table),
)
ADAM_LEARNING_RATES: tuple[tuple[int, Recipe], ...] = ((34, _adam_losses), (35, _adam_minimum))
ADAM_BETAS: tuple[tuple[int, Recipe], ...] = ((36, _adam_losses_by_betas), (37, _adam_table))
ADAGRAD_LEARNING_RATES: tuple[tuple[int, Recipe], ...] = (
    (39, _adagrad_losses),
    (40, _adagrad_against_sgd),
    (41, _adagrad_large_rate),
    (42, _adagrad_minimum),
)
