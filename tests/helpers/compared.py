"""Two histories of the same run beside each other."""

import numpy as np

from jaxopt_study.history import CURVES, History


def assert_identical(left: History, right: History) -> None:
    assert (left.status, left.epochs, left.diverged_epoch) == (right.status, right.epochs, right.diverged_epoch)
    assert left.curves.keys() == right.curves.keys()
    for name in left.curves:
        np.testing.assert_array_equal(left.curves[name], right.curves[name], err_msg=name)


def assert_close(left: History, right: History, *, rtol: float = 2e-5) -> None:
    assert (left.status, left.epochs) == (right.status, right.epochs)
    for name in CURVES:
        atol = 0.02 if name == "oscillation" else 1e-6  # a sign that rounding decides moves it by a parameter
        np.testing.assert_allclose(left.curves[name], right.curves[name], rtol=rtol, atol=atol, err_msg=name)


def by_run(histories: list[History]) -> dict[tuple[float, float, int], History]:
    return {(h.hyperparameters["learning_rate"], h.hyperparameters["momentum"], h.seed): h for h in histories}
