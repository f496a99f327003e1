"""Figures of the article's sections 8 and 9: the cyclical rate, and all optimizers at their best."""

from collections.abc import Callable, Sequence
from functools import partial

import numpy as np

from jaxopt_study.history import History
from jaxopt_study.plots import captions, comparison, heatmaps, labels, recipes, schedule, selection
from jaxopt_study.plots.recipes import Best, Picture, Recipe

COMPARED = ("sgd", "momentum", "nesterov", "rmsprop", "adam", "adagrad", "cyclical")
"""The article's seven, in its order."""
_CYCLE = {"base_learning_rate": 0.1, "max_learning_rate": 0.4, "step_size": 4.0}


def _cycle(histories: Sequence[History]) -> Picture:
    own = [h for h in histories if h.optimizer == "cyclical"]
    values = recipes.best(own).values if own else _CYCLE
    base, top, step = (values[name] for name in _CYCLE)
    rises = f"from {labels.number(base)} to {labels.number(top)} in {labels.number(step)} epochs"
    figure = schedule.cycle(base, top, step, title=f"Triangular cycle of the learning rate, {rises}")
    caption = f"Computed, no training: the learning rate rises {rises}, falls back in as many, and so on."
    alt = f"Line chart of the learning rate over three cycles: it rises {rises} and falls back in as many."
    return Picture("fig43_cyclical_learning_rate", figure, caption, alt)


def _cyclical_losses(histories: Sequence[History]) -> Picture:
    best = recipes.best(selection.of_rule(histories, "cyclical"))
    label = "\n".join(f"{labels.hyperparameter(name)} {labels.number(best.values[name])}" for name in _CYCLE)
    lead = "Training and validation loss under the cyclical learning rate."
    return recipes.groups_picture(44, {label: best.runs}, lead, shows="cyclical_loss", title="Cyclical rate: losses")


def _all_best(histories: Sequence[History]) -> list[Best]:
    present = {h.optimizer for h in histories}
    found = [recipes.best(_own(histories, rule)) for rule in COMPARED if rule in present]
    if len(found) < 2:
        raise selection.NotDrawable("it compares optimizers, and there are runs of fewer than two")
    return found


def _own(histories: Sequence[History], rule: str) -> list[History]:
    # At momentum 0 the rules with momentum are SGD, and would be compared with themselves.
    runs = [h for h in selection.of_rule(histories, rule) if rule == "sgd" or h.hyperparameters.get("momentum") != 0]
    return runs or selection.of_rule(histories, rule)


def _bars(
    histories: Sequence[History],
    *,
    number: int,
    shows: str,
    what: str,
    unit: str,
    measured: Callable[[History], float],
    whole: bool = False,
) -> Picture:
    chosen = _all_best(histories)
    entries = [comparison.Bar(b.rule, b.text, [measured(h) for h in b.runs]) for b in chosen]
    title = labels.sentence(f"{what}, each optimizer at its best configuration")
    figure = comparison.bars(entries, unit=unit, whole=whole, title=title)
    caption = (
        f"{title} (the least mean validation loss over its seeds). {captions.dots(histories)} The least is starred."
    )
    return Picture(f"fig{number}_{shows}", figure, caption, f"Bar chart. {title}: {comparison.told(entries, whole)}.")


def _epoch_of_minimum(history: History) -> float:
    values = np.asarray(history.curves["val_loss"], np.float64)
    return float(np.nanargmin(np.where(np.isfinite(values), values, np.inf)) + 1) if values.size else float("nan")


def _epochs_to_worst(histories: Sequence[History]) -> Picture:
    target = max(b.value for b in _all_best(histories))
    return _bars(
        histories,
        number=48,
        shows="epochs_to_worst_minimum",
        what=f"epochs until the validation loss is at most {labels.loss(target)}, the worst of the minima",
        unit="epochs",
        measured=partial(_epochs_to, target=target),
        whole=True,
    )


def _epochs_to(history: History, *, target: float) -> float:
    values = np.asarray(history.curves["val_loss"], np.float64)
    reached = np.flatnonzero(np.where(np.isfinite(values), values, np.inf) <= target)
    return float(reached[0] + 1) if reached.size else float("nan")


def _sgd_and_momentum(histories: Sequence[History]) -> Picture:
    sgd = selection.of_rule(histories, "sgd")
    best, momentum = recipes.best(sgd), recipes.best(_own(histories, "momentum"))
    low = recipes.at(sgd, 0.01)
    groups = {f"SGD, {best.text}\n(its best)": best.runs}
    if low.used != best.values["learning_rate"]:
        groups[f"SGD, {low.file}"] = selection.matching(sgd, {"learning_rate": low.used})
    groups[f"momentum, {momentum.text}\n(its best)"] = momentum.runs
    lead = f"SGD at its best rate and at {low.title}, and momentum at its best."
    return recipes.groups_picture(49, groups, lead, shows="sgd_and_momentum", title="SGD and momentum: losses")


CYCLICAL_LEARNING_RATE: tuple[tuple[int, Recipe], ...] = ((43, _cycle), (44, _cyclical_losses))
COMPARE: tuple[tuple[int, Recipe], ...] = (
    (45, partial(_bars, number=45, shows="best_validation_loss", what="least validation loss",
                 unit=f"loss ({labels.LOSS_UNIT})", measured=partial(heatmaps.minimum, curve="val_loss"))),
    (46, partial(_bars, number=46, shows="best_training_loss", what="least training loss",
                 unit=f"loss ({labels.LOSS_UNIT})", measured=partial(heatmaps.minimum, curve="train_loss"))),
    (47, partial(_bars, number=47, shows="epoch_of_minimum", what="epoch of the least validation loss",
                 unit="epoch", measured=_epoch_of_minimum, whole=True)),
    (48, _epochs_to_worst),
    (49, _sgd_and_momentum),
)  # fmt: skip
