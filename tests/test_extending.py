"""Where a new piece goes, as BUILD.md says it: one of each is added to a copy of the sources, and trained with."""

import csv
import os
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]

OPTIMIZER = '''
"""Sign descent: every weight moves by the rate."""

import jax
import jax.numpy as jnp
import optax

from jaxopt_study.optimizers.family import Family, by_numbers, learning_rate as rate


def signs(learning_rate):
    def update(grads, state, params=None):
        return jax.tree.map(lambda g: -learning_rate * jnp.sign(g), grads), state

    return optax.GradientTransformation(lambda params: optax.EmptyState(), update)


FAMILIES = (Family("signs", by_numbers(signs), (rate(0.01),), "Sign descent"),)
'''

DATA = '''
"""Images of noise, bright in one class and dark in the other."""

import numpy as np

from jaxopt_study.data.arrays import arrays


def read_noise():
    labels = np.arange(64) % 2
    images = np.random.default_rng(0).integers(0, 100, (64, 8, 8, 1)) + 100 * labels[:, None, None, None]
    return arrays(images[:48].astype("uint8"), labels[:48], images[48:].astype("uint8"), labels[48:])
'''

NETWORK = '''
"""A line through the pixels."""

from flax import linen as nn


class Line(nn.Module):
    @nn.compact
    def __call__(self, x):
        return nn.Dense(1)(x.reshape(x.shape[0], -1))
'''

EXPERIMENT = '''
"""Does the sign alone train? (nobody's section)

    python -m experiments.sign_rates
"""


from experiments.article.claim import Claim
from experiments.article.find import cell
from experiments.article.parts import higher_minimum
from experiments.article.verdict import decide
from experiments.command import flags
from experiments.command.experiment import Axis, Experiment
from jaxopt_study.grids import run as grid
from jaxopt_study.plots.picture import Picture, curve_picture

AXES = {"learning_rates": Axis("signs", "learning_rate", (0.0001, 0.01))}


def make_runs(values, seeds):
    return grid.product("signs", {"learning_rate": values["learning_rates"]}, seeds)


def z1(runs):
    small, large = (cell(runs, "signs", learning_rate=rate) for rate in (0.0001, 0.01))
    return decide([higher_minimum(runs, small, large)])


CLAIMS = (Claim("Z1", "Signs: the small rate ends higher.", 99, z1),)
FIGURES = ((99, lambda source: curve_picture(99, source, "Losses.", shows="losses", by="learning_rate")),)
EXPERIMENT = Experiment("sign_rates", "Signs", AXES, make_runs, section="Signs", claims=CLAIMS, figures=FIGURES)
main = flags.command(EXPERIMENT)

if __name__ == "__main__":
    main()
'''

OWN = """
import jaxopt_study as js
from jaxopt_study.data.noise import read_noise
from jaxopt_study.models.line import Line

grid = js.make_grid("signs", learning_rate=[0.001, 0.01])
study = js.make_study(model=Line(), data=read_noise(), grid=grid, max_epochs=2, workdir="own")
print(study.run().num_rows, study.report())
"""


def listed(path: Path, before: str, name: str) -> None:
    """Adds a name behind the last one in a tuple of names."""
    text = path.read_text()
    assert text.count(f'"{before}")') == 1
    path.write_text(text.replace(f'"{before}")', f'"{before}", "{name}")'))


def test_one_of_each_is_one_file_and_at_most_a_name_in_a_list(tmp_path):
    for package in ("jaxopt_study", "experiments"):
        shutil.copytree(ROOT / package, tmp_path / package, ignore=shutil.ignore_patterns("results", "__pycache__"))
    (tmp_path / "jaxopt_study" / "optimizers" / "signs.py").write_text(OPTIMIZER)
    listed(tmp_path / "jaxopt_study" / "optimizers" / "registry.py", "cyclical", "signs")
    (tmp_path / "jaxopt_study" / "data" / "noise.py").write_text(DATA)
    (tmp_path / "jaxopt_study" / "models" / "line.py").write_text(NETWORK)
    (tmp_path / "experiments" / "sign_rates.py").write_text(EXPERIMENT)
    listed(tmp_path / "experiments" / "command" / "experiment.py", "lr_range_test", "sign_rates")

    def python(*arguments: str) -> str:
        paths = {"PYTHONPATH": str(tmp_path)}
        command = [sys.executable, *arguments]
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, env={**os.environ, **paths})
        assert done.returncode == 0, done.stderr
        return done.stdout

    python("-m", "experiments.sign_rates", "--seeds=2", "--max_epochs=2", "--train_examples=64", "--workdir=w")
    rows = list(csv.DictReader((tmp_path / "w" / "summary.csv").open()))
    assert {row["optimizer"] for row in rows} == {"signs"}
    assert len(rows) == 4
    assert "Z1" in {row["id"] for row in csv.DictReader((tmp_path / "w" / "claims.csv").open())}
    assert list((tmp_path / "w" / "figures").glob("fig99_*.png"))
    assert "sign_rates" in python("-m", "experiments")

    assert python("-c", OWN).split()[0] == "4"
    assert (tmp_path / "own" / "report.html").exists()
