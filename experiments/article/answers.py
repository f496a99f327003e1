"""Tables that answer what the article leaves open, a row a number with its interval over the seeds."""

import itertools
from collections.abc import Callable, Mapping

from jaxopt_study.analysis import (
    Estimate,
    Runs,
    effective_rate,
    nesterov_gain,
    sign_descent,
)
from jaxopt_study.report.tables import Table, Value

_MEASURED = ("value", "low", "high", "seeds", "note")


def effective_rates(runs: Runs) -> Table:
    """Shares of variance that the effective and the plain rate explain, and each momentum against plain SGD."""
    found = effective_rate.points(runs)
    plain = [point for point in found if point.optimizer == effective_rate.PLAIN]
    rows: list[tuple[Value, ...]] = []
    for of, which in (("momentum", plain), ("both formulations", found)):
        for ranks in (False, True):
            what = f"share of variance of {'ranks' if ranks else 'losses'} explained"
            by_effective = effective_rate.explained_by(which, lambda point: point.effective, ranks=ranks)
            by_rate = effective_rate.explained_by(which, lambda point: point.rate, ranks=ranks)
            rows.append(_row((f"{what} by effective rate", of, None, None, None), by_effective))
            rows.append(_row((f"{what} by learning rate", of, None, None, None), by_rate))
    rows.append(_row(("preference for effective rate", "momentum", None, None, None), effective_rate.preference(found)))
    apart = effective_rate.formulations_apart(found)
    rows.append(_row(("formulations apart", "both formulations", None, None, None), apart))
    for one in effective_rate.differences(found):
        keys = ("difference at equal effective rate", "momentum", one.momentum, one.against, one.effective)
        rows.append(_row(keys, one.estimate))
    return Table(("quantity", "of", "momentum", "against", "effective_rate", *_MEASURED), rows)


def sign_descents(runs: Runs) -> Table:
    """Each course of the rate at its best first rate, what rho 0 loses under it, and how near sign descent is."""
    rows: list[tuple[Value, ...]] = []
    for one in sign_descent.best(runs):
        rate = one.cell.hyperparameters["learning_rate"]
        rows.append(_row(("lowest loss", one.course, one.decay, rate), one.lowest))
        rows.append(_row(("last loss", one.course, one.decay, rate), one.last))
    for what, found in (
        ("less the other rho's, of rho 0", sign_descent.gaps(runs)),
        ("less that of the constant rate", sign_descent.against_constant(runs)),
    ):
        for gap in found:
            rows.append(_row((f"lowest loss {what}", gap.course, gap.decay, None), gap.lowest))
            rows.append(_row((f"last loss {what}", gap.course, gap.decay, None), gap.last))
    for rate, gap in sign_descent.at_equal_rates(runs):
        what = "less that of rho 0 at the same rate held constant"
        rows.append(_row((f"lowest loss {what}", gap.course, gap.decay, rate), gap.lowest))
        rows.append(_row((f"last loss {what}", gap.course, gap.decay, rate), gap.last))
    first, lowest = sign_descent.sign_apart(runs)
    rows.append(_row(("rho 0 and sign descent apart, training loss of epoch 1", "constant", 0.0, None), first))
    rows.append(_row(("rho 0 and sign descent apart, lowest loss", "constant", 0.0, None), lowest))
    return Table(("quantity", "course", "decay", "learning_rate", *_MEASURED), rows)


def nesterov_gains(runs: Runs) -> Table:
    """Rank correlations of Nesterov's gain with what may decide it, and the gain of each configuration."""
    rows: list[tuple[Value, ...]] = []
    for curve, averaged in itertools.product(("train_loss", "val_loss"), (False, True)):
        found = nesterov_gain.gains(runs, curve, averaged=averaged)
        which = "mean log loss ratio" if averaged else "log loss ratio"
        for candidate in nesterov_gain.CANDIDATES:
            estimate = nesterov_gain.rank_correlation(found, candidate)
            rows.append(_row((f"rank correlation of {which}", curve, candidate.name, None, None, None), estimate))
        for gain in found:
            rows.append(_row((which, curve, None, gain.rate, gain.momentum, gain.converged), gain.estimate))
    return Table(("quantity", "curve", "candidate", "learning_rate", "momentum", "converged", *_MEASURED), rows)


def _row(keys: tuple[Value, ...], estimate: Estimate) -> tuple[Value, ...]:
    return (*keys, estimate.value, estimate.low, estimate.high, estimate.seeds, estimate.note)


ANSWERS: Mapping[str, Callable[[Runs], Table]] = {
    "effective_rate": effective_rates,
    "sign_descent": sign_descents,
    "nesterov_gain": nesterov_gains,
}
"""By the name of the experiment."""
