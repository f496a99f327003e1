"""How does Adam depend on the decays of its two moments? (section 6 of the article)

    python -m experiments.adam_betas                      # scikit-learn's digits, half a minute on two cores
    python -m experiments.adam_betas --preset=article     # cats_vs_dogs at 128 x 128, until the patience runs out

Expected: small differences; beta 1 = 0.5 with beta 2 = 0.999 is slightly better than the default. Figures 36 and 37.
"""

from experiments.article import figures
from experiments.command import flags
from experiments.command.experiment import Axis, Experiment, full_grid

AXES = {
    "learning_rates": Axis("adam", "learning_rate", (0.001,)),
    "b1s": Axis("adam", "b1", (0.5, 0.9, 0.95)),
    "b2s": Axis("adam", "b2", (0.9, 0.99, 0.999)),
}

# Its figures.

FIGURES = (
    figures.curves(36, "adam", "Training and validation loss of Adam at {}, one line a pair of beta 1 and beta 2.",
                   figures.Wanted(0.001), shows="loss_by_betas", by=("b1", "b2")),
    figures.table(37, "adam", "Minimum training and validation loss of Adam over its betas at {}.",
                  figures.Wanted(0.001), shows="minimum_loss_by_betas", x="b2", y="b1"),
)  # fmt: skip

EXPERIMENT = Experiment(
    "adam_betas", "Adam over its betas", AXES, full_grid(AXES, "adam"),
    section="Adam", figures=FIGURES,
)  # fmt: skip

main = flags.command(EXPERIMENT)

if __name__ == "__main__":
    main()
