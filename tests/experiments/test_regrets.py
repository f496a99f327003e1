"""What a random rate and a random optimizer cost, on losses whose answer is known."""

import math

import numpy as np

from experiments.article.regrets import regrets


def test_noise_alone_costs_nothing_to_choose_from_on_average():
    rng = np.random.default_rng(2)
    lost = [regrets([rng.normal(0.3, 0.01, (4, 5)) for _ in range(6)]) for _ in range(500)]
    np.testing.assert_allclose(np.mean(lost, axis=(0, 2)), 0.0, atol=4 * 0.01 / math.sqrt(2000))


def test_what_a_random_rate_and_a_random_optimizer_cost_by_hand():
    # Both seeds agree: the rates cost (1 + 2) / 2 - 1 and (4 + 2) / 2 - 2, the optimizers (1 + 2) / 2 - 1.
    losses = [np.array([[1.0, 2.0], [1.0, 2.0]]), np.array([[4.0, 2.0], [4.0, 2.0]])]
    np.testing.assert_array_equal(regrets(losses), [[0.75, 0.75], [0.5, 0.5]])
