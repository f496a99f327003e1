"""How many functions a reader passes from a command to the gradient."""

import contextlib
import traceback
from pathlib import Path

import commands

import experiments
import jaxopt_study
from experiments import momentum_grid
from jaxopt_study.training.losses import LOSSES


class Traced(BaseException):
    """The loss has been traced, which is enough."""


def test_ten_functions_lie_from_a_command_to_the_gradient(tmp_path, monkeypatch):
    names = []
    ours = [Path(package.__file__).parent for package in (experiments, jaxopt_study)]

    def loss(logits, labels):
        frames = [frame for frame in traceback.extract_stack() if any(p in Path(frame.filename).parents for p in ours)]
        names.extend(frame.name for frame in frames if frame.name != "<lambda>")
        raise Traced

    monkeypatch.setitem(LOSSES, "sigmoid", LOSSES["sigmoid"]._replace(per_example=loss))
    grid = ("--momenta=0", "--learning_rates=0.1", f"--workdir={tmp_path / 'w'}")
    with contextlib.suppress(Traced):
        commands.run(momentum_grid, *commands.TINY, *grid)
    assert names[-2:] == ["train_step", "mean_loss"]  # which is what the gradient is taken of
    assert len(names[:-1]) <= 10, " ".join(names)
