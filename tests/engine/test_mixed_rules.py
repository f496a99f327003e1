"""All rules in one program: a run's results are those of its rule's own program, and one program is compiled."""

import numpy as np
import pytest

from jaxopt_study.grids.run import make_run
from tests.helpers import small

RUNS = [
    make_run(name, numbers, seed)
    for name, numbers in [
        ("sgd", {"learning_rate": 0.03}),
        ("momentum", {"learning_rate": 0.03, "momentum": 0.9}),
        ("momentum_ema", {"learning_rate": 0.03}),
        ("nesterov", {"learning_rate": 0.01, "weight_decay": 0.01, "max_norm": 0.5}),
        ("rmsprop", {"learning_rate": 0.003}),
        ("adam", {"learning_rate": 0.003}),
        ("adagrad", {"learning_rate": 0.03}),
        ("cyclical", {"base_learning_rate": 0.01, "max_learning_rate": 0.1, "step_size": 2.0}),
    ]
    for seed in range(2)
]


def curves(histories):
    return {(h.optimizer, h.seed): h for h in histories}


@pytest.mark.parametrize("strategy", ["map", "vmap"])
def test_results_are_those_of_a_rules_own_program(strategy, tmp_path):
    options = {"strategy": strategy, "devices": 1, "slots": 4}
    mixed = curves(small.study(tmp_path / "mixed", RUNS, **options).train())
    for name in dict.fromkeys(run.optimizer for run in RUNS):
        own = small.study(tmp_path / name, [run for run in RUNS if run.optimizer == name], **options)
        for key, history in curves(own.train()).items():
            for curve, values in history.curves.items():
                if strategy == "map":
                    np.testing.assert_array_equal(values, mixed[key].curves[curve], f"{key} {curve}")
                else:
                    np.testing.assert_allclose(values, mixed[key].curves[curve], 2e-4, 1e-6, err_msg=f"{key} {curve}")
