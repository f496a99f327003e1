"""Every test runs on CPU with four devices, with warnings and silent rank promotion as errors.

``TEST_PLATFORM=cuda pytest -m gpu`` runs those that hold on a GPU there.
"""

import os
import shutil
import tempfile
from pathlib import Path

import pytest

os.environ["JAX_PLATFORMS"] = PLATFORM = os.environ.get("TEST_PLATFORM", "cpu")
os.environ.setdefault("MPLBACKEND", "agg")
# What commands keep between runs - compiled programs, decoded images - is for these tests alone, one for all workers
# of pytest-xdist, who inherit it: what one has compiled, the others need not.
os.environ["XDG_CACHE_HOME"] = (
    os.environ["XDG_CACHE_HOME"]
    if "PYTEST_XDIST_WORKER" in os.environ
    else tempfile.mkdtemp(prefix="jaxopt_study-tests-")
)

import hypothesis
import jax  # after the environment is set

from jaxopt_study.optimizers import registry

OURS = dict(registry.OPTIMIZERS)

# The first example of a test compiles; how long that takes says nothing of the property.
hypothesis.settings.register_profile("no_deadline", deadline=None)
hypothesis.settings.load_profile("no_deadline")
jax.config.update("jax_num_cpu_devices", 4)
jax.config.update("jax_numpy_rank_promotion", "raise")
if PLATFORM != "cpu":  # what tests compare with is computed by JAX's own layers, whose default there is coarser
    jax.config.update("jax_default_matmul_precision", "float32")


def pytest_unconfigure() -> None:
    if "PYTEST_XDIST_WORKER" not in os.environ:
        shutil.rmtree(os.environ["XDG_CACHE_HOME"], ignore_errors=True)


@pytest.fixture(autouse=True)
def only_our_rules(monkeypatch: pytest.MonkeyPatch) -> None:
    """Rules that a test adds (a doctest, say) are not there for the next one."""
    monkeypatch.setattr(registry, "OPTIMIZERS", dict(OURS))


@pytest.fixture(scope="session")
def cats_vs_dogs() -> Path:
    """The prepared photographs beside the checkout; a test that needs them is skipped elsewhere."""
    folder = Path(__file__).parents[2] / "shared" / "data" / "tfds"
    if not (folder / "cats_vs_dogs").is_dir():
        pytest.skip("the prepared cats_vs_dogs data set is not there")
    return folder
