"""What a hyperparameter matters is what made losses were made with."""

import numpy as np
import pytest
from made_runs import history

from jaxopt_study.analysis.importance import effects, importance
from jaxopt_study.analysis.runs import Runs


def grid(losses, optimizer="adam", names=("learning_rate", "b1"), **more):
    """Runs of losses ``[L, M, S]``; NaN of one that diverged."""
    return [
        history(
            optimizer, s, val=[loss], status="diverged" if np.isnan(loss) else "finished",
            **{names[0]: 0.1 * (i + 1), names[1]: 0.2 * (j + 1)}, **more,
        )
        for i, of_rate in enumerate(losses)
        for j, of_beta in enumerate(of_rate)
        for s, loss in enumerate(of_beta)
    ]  # fmt: skip


def by_source(found):
    return {one.source: one for one in found}


def test_shares_are_those_of_the_variances_that_the_losses_were_made_with():
    """Of a sum of one's effect and the other's there is nothing together; a product has it."""
    rate, beta = np.array([-0.1, 0.0, 0.1]), np.array([-0.02, 0.02])
    losses = 0.4 + rate[:, None] + beta + 0 * rate[:, None]
    found = by_source(importance(Runs(grid(losses[..., None]))))
    assert [found[name].sd for name in ("learning_rate", "b1")] == pytest.approx([rate.std(), beta.std()], rel=1e-5)
    assert found["learning_rate"].share == pytest.approx(rate.var() / (rate.var() + beta.var()), rel=1e-5)
    assert found["learning_rate with b1"].share == pytest.approx(0, abs=1e-9)
    assert (found["learning_rate"].levels, found["learning_rate with b1"].levels) == (3, 6)
    assert sum(one.share for one in found.values()) == pytest.approx(1)
    product = 0.4 + 10 * rate[:, None] * beta
    assert by_source(importance(Runs(grid(product[..., None]))))["learning_rate with b1"].share == pytest.approx(1)


def test_noise_of_the_seeds_is_told_as_such_and_not_as_a_hyperparameters():
    rng, sums = np.random.default_rng(0), np.zeros(4)
    rate, noise = np.array([-0.05, 0.0, 0.05, 0.02]), 0.04
    for _ in range(400):
        values = 0.4 + rate[:, None, None] + noise * rng.standard_normal((4, 3, 3))
        found = effects(values)
        sums += [found[0,], found[1,], found[0, 1], found[()]]
    assert sums[0] / 400 == pytest.approx(rate.var(), rel=0.05)
    assert sums[3] / 400 == pytest.approx(noise**2, rel=0.05)
    assert sums[1] / 400 < 0.1 * noise**2  # of nothing, half of the estimates are 0
    assert sums[2] / 400 < 0.15 * noise**2


def test_a_value_that_cannot_be_trained_with_counts_as_guessing():
    losses = np.full((2, 2, 2), 0.3)
    losses[1] = np.nan
    found = by_source(importance(Runs(grid(losses), chance=0.7)))
    assert found["learning_rate"].share == pytest.approx(1)
    assert found["learning_rate"].sd == pytest.approx(0.2)
    assert by_source(importance(Runs(grid(np.where(np.isnan(losses), 9.0, losses)), chance=0.7)))[
        "learning_rate"
    ].sd == (pytest.approx(0.2))


@pytest.mark.filterwarnings("error")
def test_where_guessing_is_not_known_the_worst_of_the_grid_stands_for_what_diverged():
    losses = np.full((2, 2, 2), 0.3)
    losses[0] += 0.2
    losses[1, 0, 0] = np.nan
    found = by_source(importance(Runs(grid(losses), chance=np.inf)))
    filled = by_source(importance(Runs(grid(np.where(np.isnan(losses), 0.5, losses)), chance=np.inf)))
    assert {name: one.sd for name, one in found.items()} == pytest.approx({n: one.sd for n, one in filled.items()})
    assert importance(Runs(grid(np.full((2, 2, 2), np.nan)), chance=np.inf)) == []


def test_plain_sgd_is_momentum_0_of_the_grids_of_both_rules():
    losses = 0.3 + 0.01 * np.arange(4).reshape(2, 2, 1)
    runs = grid(losses, "momentum", ("learning_rate", "momentum"))
    runs += [history("sgd", val=[0.5], learning_rate=rate) for rate in (0.1, 0.2)]
    found = importance(Runs(runs))
    assert {one.optimizer for one in found} == {"momentum"}  # one rate and one seed of sgd tell nothing
    assert by_source(found)["momentum"].levels == 3
    more = importance(Runs([*runs, history("sgd", val=[0.4], learning_rate=0.5)]))  # it would leave holes
    assert by_source(more)["momentum"].levels == 2


def test_grids_that_are_not_one_are_told_each_with_what_it_holds():
    """The article's of Adam: rates at the default betas, and betas at one rate."""
    rates = [history("adam", s, val=[0.3 + r], learning_rate=r, b1=0.9, b2=0.999) for r in (0.1, 0.2) for s in (0, 1)]
    betas = [
        history("adam", s, val=[0.3 + b1 / 10 + 0.01 * s], learning_rate=0.1, b1=b1, b2=b2)
        for b1 in (0.5, 0.9) for b2 in (0.99, 0.999) for s in (0, 1)
    ]  # fmt: skip
    found = importance(Runs([*rates, *betas]))
    assert {(one.source, tuple(sorted(one.held))) for one in found} == {
        ("b1", ("learning_rate",)), ("b2", ("learning_rate",)), ("b1 with b2", ("learning_rate",)),
        ("seed", ("learning_rate",)), ("learning_rate", ("b1", "b2")), ("seed", ("b1", "b2")),
    }  # fmt: skip


def test_a_grid_with_a_hole_is_told_as_far_as_it_is_full():
    runs = grid(np.random.default_rng(0).uniform(0.2, 0.5, (3, 3, 2)))
    kept = [run for run in runs if (run.hyperparameters["learning_rate"], run.hyperparameters["b1"]) != (0.1, 0.2)]
    assert {one.source for one in importance(Runs(kept))} == {"learning_rate", "b1", "seed"}
    assert importance(Runs([])) == []
