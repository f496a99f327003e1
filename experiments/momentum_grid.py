"""How does momentum change training, and how does it depend on the learning rate? (section 2 of the article)

    python -m experiments.momentum_grid                      # scikit-learn's digits, under a minute on two cores
    python -m experiments.momentum_grid --preset=article     # cats_vs_dogs at 128 x 128, until the patience runs out

Expected: at a small rate momentum up to 0.9 speeds training up; the larger the rate, the narrower the range of momentum
that still converges. Figures 9 and 11 to 17.
"""

from absl import flags

from experiments import common
from jaxopt_study import grid
from jaxopt_study.grid import Run

LEARNING_RATES = flags.DEFINE_list("learning_rates", None, "Learning rates, comma-separated, each above 0.")
MOMENTA = flags.DEFINE_list("momenta", None, "Momenta, comma-separated, each in [0, 1).")

RATES = [str(10**exponent) for exponent in (-3, -2.5, -2, -1.5, -1)]
AXES = {"learning_rates": RATES, "momenta": ["0", "0.5", "0.9", "0.95", "0.99"]}
PRESETS = {
    "quick": {"dataset": "digits", "max_epochs": 30, "patience": 50, "seeds": 2, **AXES},
    "article": {
        "dataset": "tfds:cats_vs_dogs",
        "image_size": 128,
        "max_epochs": 1000,
        "patience": 50,
        "seeds": 1,
        **AXES,
    },
}


def make_runs(preset: common.Preset, seeds: int) -> list[Run]:
    """The grid: rates x momenta x seeds."""
    axes = {
        "learning_rate": common.axis(LEARNING_RATES, preset, "momentum", "learning_rate"),
        "momentum": common.axis(MOMENTA, preset, "momentum", "momentum"),
    }
    return grid.product("momentum", axes, seeds)


def main() -> None:
    """The command."""
    common.main("momentum_grid", PRESETS, make_runs)


if __name__ == "__main__":
    main()
