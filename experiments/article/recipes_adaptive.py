"""Figures of the article's sections 5 to 7: RMSprop, Adam and Adagrad."""

from functools import partial

from experiments.article import facts as article
from experiments.article import recipes
from jaxopt_study.history import History
from jaxopt_study.plots import labels, picture, selection
from jaxopt_study.plots.picture import Held, Picture, Recipe, Source, best

ADAM_SHOWN_UP_TO = 0.034
"""The article leaves Adam's curves above a rate of 0.03 (0.0316) out."""


def _rmsprop_without_memory(source: Source) -> Picture:
    runs = selection.of_rule(source.histories, "rmsprop")
    rho = recipes.at(runs, 0.0, name="decay")
    if rho.used != 0:
        raise selection.NotDrawable("it shows RMSprop at decay (rho) 0, which the grid does not have")
    lead = "Training loss of RMSprop without memory (rho 0), where a step is the rate times the gradient's sign."
    return picture.curve_picture(
        28, source.of(runs), lead, shows="train_loss_by_lr", by="learning_rate", held=[rho], metrics=("train_loss",)
    )


def _rmsprop_by_decay(source: Source, *, number: int, wanted: float) -> Picture:
    runs = selection.of_rule(source.histories, "rmsprop")
    rate = recipes.at(runs, wanted, others=(0.001, 0.0316))
    lead = f"Training and validation loss of RMSprop at {rate.title}."
    return picture.curve_picture(number, source.of(runs), lead, shows="loss_by_rho", by="decay", held=[rate])


def _rmsprop_table(source: Source) -> Picture:
    runs = selection.of_rule(source.histories, "rmsprop")
    lead = "Minimum training and validation loss of RMSprop over the grid."
    return picture.table_picture(32, source.of(runs), lead, shows="minimum_loss_by_lr_and_rho", x="decay")


def _adam_at_default_betas(source: Source) -> tuple[list[History], str]:
    runs = selection.of_rule(source.histories, "adam")
    b1 = recipes.at(runs, 0.9, name="b1")
    b2 = recipes.at(selection.matching(runs, {"b1": b1.used}), 0.999, name="b2")
    return selection.matching(runs, {"b1": b1.used, "b2": b2.used}), f"{b1.title}, {b2.title}"


def _adam_losses(source: Source) -> Picture:
    runs, betas = _adam_at_default_betas(source)
    shown = [h for h in runs if h.hyperparameters["learning_rate"] <= ADAM_SHOWN_UP_TO] or runs
    left_out = "" if len(shown) == len(runs) else " Rates above 0.0316 are left out, as in the article."
    lead = f"Training and validation loss of Adam ({betas}), one line a learning rate.{left_out}"
    return picture.curve_picture(34, source.of(shown), lead, shows="loss_by_lr", by="learning_rate")


def _adam_minimum(source: Source) -> Picture:
    runs, betas = _adam_at_default_betas(source)
    lead = f"Minimum training and validation loss of Adam at each learning rate ({betas})."
    return picture.minimum_picture(35, source.of(runs), lead, shows="minimum_loss_by_lr", by="learning_rate")


def _adam_betas(source: Source) -> tuple[list[History], Held]:
    runs = selection.of_rule(source.histories, "adam")
    rate = recipes.at(runs, 0.001)
    return selection.matching(runs, {"learning_rate": rate.used}), rate


def _adam_losses_by_betas(source: Source) -> Picture:
    runs, rate = _adam_betas(source)
    lead = f"Training and validation loss of Adam at {rate.title}, one line a pair of beta 1 and beta 2."
    return picture.curve_picture(36, source.of(runs), lead, shows="loss_by_betas", by=("b1", "b2"), held=[rate])


def _adam_table(source: Source) -> Picture:
    runs, rate = _adam_betas(source)
    lead = f"Minimum training and validation loss of Adam over its betas at {rate.title}."
    return picture.table_picture(37, source.of(runs), lead, shows="minimum_loss_by_betas", x="b2", y="b1", held=[rate])


def _adagrad_losses(source: Source) -> Picture:
    runs = selection.of_rule(source.histories, "adagrad")
    lead = "Training and validation loss of Adagrad, one line a learning rate."
    return picture.curve_picture(39, source.of(runs), lead, shows="loss_by_lr", by="learning_rate")


def _adagrad_against_sgd(source: Source) -> Picture:
    adagrad, sgd = (selection.of_rule(source.histories, rule) for rule in ("adagrad", "sgd"))
    rate = recipes.at([h for h in adagrad if _rate(h) in set(map(_rate, sgd))], article.SMALL_RATE)
    lead = f"Adagrad and SGD at the same small {rate.title}."
    shows = "adagrad_against_sgd"
    return picture.curve_picture(40, source.of([*adagrad, *sgd]), lead, shows=shows, by="optimizer", held=[rate])


def _rate(history: History) -> float:
    return float(selection.value_of(history, "learning_rate"))


def _adagrad_large_rate(source: Source) -> Picture:
    adagrad, sgd = (selection.of_rule(source.histories, rule) for rule in ("adagrad", "sgd"))
    rate = recipes.at(adagrad, article.LARGE_ADAGRAD_RATE, others=(article.SMALL_RATE,))
    same = [h for h in sgd if _rate(h) == rate.used]
    chosen = same or best(source, "sgd").runs
    which = "at the same rate" if same else "at its best rate, as it was not run at this one"
    groups = {
        f"Adagrad, lr {labels.number(rate.used)}": selection.matching(adagrad, {"learning_rate": rate.used}),
        f"SGD, lr {labels.number(_rate(chosen[0]))}" + ("" if same else " (its best)"): chosen,
    }
    title = f"Adagrad and SGD: training loss and validation loss, Adagrad at {rate.title}"
    lead = f"Adagrad at {rate.title} beside SGD {which}."
    return picture.groups_picture(
        41, groups, lead, chance=source.chance, shows=f"adagrad_against_sgd_{rate.file}", title=title
    )


def _adagrad_minimum(source: Source) -> Picture:
    runs = selection.of_rule(source.histories, "adagrad")
    lead = "Minimum training and validation loss of Adagrad at each learning rate."
    return picture.minimum_picture(42, source.of(runs), lead, shows="minimum_loss_by_lr", by="learning_rate")


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
