"""How does Adam depend on the decays of its two moments? (section 6 of the article)

    python -m experiments.adam_betas                      # scikit-learn's digits, half a minute on two cores
    python -m experiments.adam_betas --preset=article     # cats_vs_dogs at 128 x 128, until the patience runs out

Expected: small differences; beta 1 = 0.5 with beta 2 = 0.999 is slightly better than the default. Figures 36 and 37.
"""

from __future__ import annotations

from functools import partial

from experiments.article import figures
from experiments.command import flags
from experiments.command.experiment import Axis, Experiment, full_grid
from jaxopt_study import plots
from jaxopt_study.history import History
from jaxopt_study.plots import selection

AXES = {
    "learning_rates": Axis("adam", "learning_rate", (0.001,)),
    "b1s": Axis("adam", "b1", (0.5, 0.9, 0.95)),
    "b2s": Axis("adam", "b2", (0.9, 0.99, 0.999)),
}

# Its figures.


def _adam_betas(source: plots.picture.Source) -> tuple[list[History], plots.picture.Held]:
    runs = selection.of_rule(source.histories, "adam")
    rate = figures.at(runs, 0.001)
    return selection.matching(runs, {"learning_rate": rate.used}), rate


def _adam_losses_by_betas(source: plots.picture.Source) -> plots.picture.Picture:
    runs, rate = _adam_betas(source)
    lead = f"Training and validation loss of Adam at {rate.title}, one line a pair of beta 1 and beta 2."
    return plots.picture.curve_picture(36, source.of(runs), lead, shows="loss_by_betas", by=("b1", "b2"), held=[rate])


def _adam_table(source: plots.picture.Source) -> plots.picture.Picture:
    runs, rate = _adam_betas(source)
    lead = f"Minimum training and validation loss of Adam over its betas at {rate.title}."
    return plots.picture.table_picture(
        37, source.of(runs), lead, shows="minimum_loss_by_betas", x="b2", y="b1", held=[rate]
    )


FIGURES = ((36, _adam_losses_by_betas), (37, _adam_table))


EXPERIMENT = Experiment(
    "adam_betas", "Adam over its betas", AXES, full_grid(AXES, "adam"),
    section="Adam", figures=FIGURES,
)  # fmt: skip


main = partial(flags.main, EXPERIMENT)

if __name__ == "__main__":
    main()
