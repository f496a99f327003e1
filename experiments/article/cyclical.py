"""Claims of section 8: the cyclical learning rate."""

from experiments.article.claim import Claim
from experiments.article.cycles import CYCLES, cycle_share
from experiments.article.find import best
from experiments.article.parts import higher_minimum
from experiments.article.verdict import (
    Part,
    Undecided,
    Verdict,
    attempt,
    decide,
)
from jaxopt_study.analysis import Runs

OSCILLATES = 0.5
"""Share of a curve's variance around its trend above which it oscillates with the cycle: most of it."""

_TUNED = ("sgd", "momentum", "nesterov", "rmsprop", "adam")


def c1(runs: Runs) -> Verdict:
    """Share of the variance around the trend that a wave of the cycle's length explains, in both losses."""
    ours = best(runs, "cyclical")
    period = 2 * ours.hyperparameters["step_size"]
    shortest = min(run.epochs for run in ours.by_seed.values())
    if shortest < CYCLES * period or period < 3:
        raise Undecided(f"too few epochs: {shortest} trained, {CYCLES} cycles of {period:g} (at least 3) are needed")
    shares = [
        [cycle_share(run.curves[curve], period) for curve in ("train_loss", "val_loss")]
        for run in ours.by_seed.values()
    ]
    meaning = f"share of the variance around the trend that follows the cycle of {period:g} epochs"
    return decide(
        [
            Part(f"{meaning}, training loss", [train for train, _ in shares], low=OSCILLATES),
            Part(f"{meaning}, training loss minus validation loss", [train - val for train, val in shares]),
        ]
    )


def c2(runs: Runs) -> Verdict:
    """Against the best run of each of the five others."""
    return decide([attempt(lambda o: higher_minimum(runs, best(runs, "cyclical"), best(runs, o)), o) for o in _TUNED])


CLAIMS = (
    Claim("C1", "Cyclical rate: the training loss oscillates with the cycle, the validation loss less so.", 44, c1),
    Claim("C2", "Cyclical rate: it does not match the tuned optimizers (all others but Adagrad).", 45, c2),
)
