"""Figures of the article's sections 8 and 9: the cyclical rate, and all optimizers at their best."""

import math
from collections.abc import Callable
from functools import partial

from experiments.article import facts as article
from experiments.article import recipes, schedule
from jaxopt_study.analysis import minimum, same_value
from jaxopt_study.analysis.speed import epochs_to
from jaxopt_study.history import History
from jaxopt_study.plots import captions, comparison, labels, picture, selection
from jaxopt_study.plots.picture import Best, Picture, Recipe, Source, best

COMPARED = tuple(run.optimizer for run in article.BEST_RUNS)
_CYCLE = next(run.hyperparameters for run in article.BEST_RUNS if run.optimizer == "cyclical")
_SHOWN_CYCLES = 40


def _cycle(source: Source) -> Picture:
    has = any(h.optimizer == "cyclical" for h in source.histories)
    numbers = best(source, "cyclical").numbers if has else _CYCLE
    base, top, step = (numbers[name] for name in _CYCLE)
    rises = f"from {labels.number(base)} to {labels.number(top)} in {labels.number(step)} epochs"
    figure = schedule.cycle(base, top, step, title=f"Triangular cycle of the learning rate, {rises}")
    caption = f"Computed, no training: the learning rate rises {rises}, falls back in as many, and so on."
    alt = f"Line chart of the learning rate over three cycles: it rises {rises} and falls back in as many."
    return Picture("fig43_cyclical_learning_rate", figure, caption, alt)


def _cyclical_losses(source: Source) -> Picture:
    chosen = best(source, "cyclical")
    period, last = 2 * chosen.numbers["step_size"], max(h.epochs for h in chosen.runs)
    # The rate is at its base where one epoch ends and the next begins.
    events = [k * period + 0.5 for k in range(1, math.ceil(last / period))]
    shown = events if len(events) <= _SHOWN_CYCLES else []
    lead = "Training and validation loss under the cyclical learning rate."
    lead += " Dotted: the rate is back at its base." if shown else ""
    title = f"Cyclical learning rate: training loss and validation loss, {chosen.text}"
    return picture.groups_picture(
        44, {"cyclical": chosen.runs}, lead, chance=source.chance, shows="cyclical_loss", title=title, events=shown
    )


def _all_best(source: Source) -> list[Best]:
    found = []
    for rule in COMPARED:
        try:
            found.append(best(source, rule))
        except selection.NotDrawable:
            continue
    if len(found) < 2:
        raise selection.NotDrawable("it compares optimizers, and there are runs of fewer than two")
    return found


def _bars(
    source: Source,
    *,
    number: int,
    shows: str,
    what: str,
    unit: str,
    measured: Callable[[History], float],
    whole: bool = False,
) -> Picture:
    entries = [comparison.Bar(b.rule, b.text, [measured(h) for h in b.runs]) for b in _all_best(source)]
    title = labels.sentence(f"{what}, each optimizer at its best configuration")
    figure = comparison.bars(entries, unit=unit, whole=whole, title=title)
    chosen = "The best configuration has the lowest mean of the minimum validation losses over its seeds."
    caption = f"{title}. {chosen} {captions.dots(source.histories)} The lowest is starred."
    return Picture(f"fig{number}_{shows}", figure, caption, f"Bar chart. {title}: {comparison.told(entries, whole)}.")


def _minimum(history: History, *, curve: str) -> float:
    return minimum(history.curves[curve]).value


def _epoch_of_minimum(history: History) -> float:
    return float(minimum(history.curves["val_loss"]).epoch or math.nan)


def _epochs_to_worst(source: Source) -> Picture:
    target = max(b.value for b in _all_best(source))
    return _bars(
        source,
        number=48,
        shows="epochs_to_worst_minimum",
        what=f"epochs until the validation loss is at most {labels.loss(target)}, the worst of the minima",
        unit="epochs",
        measured=partial(_epochs_to, target=target),
        whole=True,
    )


def _epochs_to(history: History, *, target: float) -> float:
    return float(epochs_to(history.curves["val_loss"], target) or math.nan)


def _sgd_and_momentum(source: Source) -> Picture:
    sgd, momentum = best(source, "sgd"), best(source, "momentum")
    runs = selection.of_rule(source.histories, "sgd")
    low = recipes.at(runs, 0.01)
    groups = {f"SGD (its best)\n{sgd.text}": sgd.runs}
    if not same_value(low.used, sgd.numbers["learning_rate"]):
        groups[f"SGD\nlr {labels.number(low.used)}"] = selection.matching(runs, {"learning_rate": low.used})
    groups["\n".join(["momentum (its best)", *momentum.text.split(", ")])] = momentum.runs
    lead = f"SGD at its best rate and at {low.title}, and momentum at its best."
    title = "SGD and momentum: training loss and validation loss"
    return picture.groups_picture(49, groups, lead, chance=source.chance, shows="sgd_and_momentum", title=title)


CYCLICAL_LEARNING_RATE: tuple[tuple[int, Recipe], ...] = ((43, _cycle), (44, _cyclical_losses))
COMPARE: tuple[tuple[int, Recipe], ...] = (
    (45, partial(_bars, number=45, shows="best_validation_loss", what="minimum validation loss",
                 unit=f"loss ({labels.LOSS_UNIT})", measured=partial(_minimum, curve="val_loss"))),
    (46, partial(_bars, number=46, shows="best_training_loss", what="minimum training loss",
                 unit=f"loss ({labels.LOSS_UNIT})", measured=partial(_minimum, curve="train_loss"))),
    (47, partial(_bars, number=47, shows="epoch_of_minimum", what="epoch of the minimum validation loss",
                 unit="epoch", measured=_epoch_of_minimum, whole=True)),
    (48, _epochs_to_worst),
    (49, _sgd_and_momentum),
)  # fmt: skip
