"""A command in the surroundings that users have: it trains and reports as anywhere, or says why not in one line."""

import gc
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import jax
import optax
import pyarrow.parquet as pq
import pytest
from commands import TINY

from experiments.command import flags
from jaxopt_study.optimizers.foreign import rule

COMMAND = ("-m", "experiments.momentum_grid", "--learning_rates=0.01,1e30", "--momenta=0.9", *TINY)
ODD = {
    "COLUMNS": "", "TERM": "dumb", "MPLBACKEND": "module://not_installed.backend_inline",
    "TMPDIR": "/nonexistent", "MPLCONFIGDIR": "/proc",
    "LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0", "PYTHONIOENCODING": "ascii",
    "JAX_ENABLE_X64": "1", "JAX_DEBUG_NANS": "1", "JAX_DEBUG_INFS": "1", "JAX_DISABLE_JIT": "1",
    "JAX_DEFAULT_PRNG_IMPL": "rbg", "JAX_RANDOM_SEED_OFFSET": "3", "JAX_THREEFRY_PARTITIONABLE": "0",
    "JAX_TRANSFER_GUARD": "disallow", "JAX_DEBUG_KEY_REUSE": "1", "JAX_DEFAULT_MATMUL_PRECISION": "bfloat16",
    "JAX_NUMPY_DTYPE_PROMOTION": "strict", "JAX_LEGACY_PRNG_KEY": "error", "JAX_ENABLE_CUSTOM_PRNG": "1",
}  # fmt: skip
"""All at once: none is allowed to matter."""


def start(folder: Path, *flags: str, **surroundings: str) -> "subprocess.Popen[str]":
    """The command in a folder of its own, with the tests' caches unless the surroundings have others."""
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2]), **surroundings}
    command = [sys.executable, *COMMAND, *flags]
    pipe = subprocess.PIPE
    return subprocess.Popen(command, cwd=folder, env=environment, stdout=pipe, stderr=pipe, text=True)


def ended(folder: Path, *flags: str, **surroundings: str) -> tuple[int, str, str]:
    """Exit status, stdout and stderr of the command."""
    with start(folder, *flags, **surroundings) as process:
        out, err = process.communicate(timeout=300)
    assert "Traceback" not in out + err
    return process.returncode, out, err


def runs(workdir: Path) -> list[str]:
    """What is stored, of each run."""
    return [str(pq.read_table(path).to_pydict()) for path in sorted((workdir / "runs").glob("*.parquet"))]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Of the tests of this file: what one has trained there the next need not."""
    return tmp_path_factory.mktemp("surroundings")


NAME = "wü[/b] [bold]x"


@pytest.fixture(scope="module")
def odd(folder: Path) -> tuple[int, str, str]:
    return ended(folder, f"--workdir={NAME}", **ODD)


def test_no_surroundings_change_what_is_trained_or_keep_it_from_its_report(
    folder: Path, odd: tuple[int, str, str]
) -> None:
    status, out, err = odd
    assert status == 0, err
    assert (folder / NAME / "report.html").exists()
    assert out.splitlines()[-1].startswith(ascii(NAME)[1:-1] + ": report.html, claims.csv")
    assert ended(folder, "--workdir=plain")[0] == 0
    assert runs(folder / NAME) == runs(folder / "plain")
    assert "diverged" in runs(folder / "plain")[1] + runs(folder / "plain")[0]


def test_what_nobody_reads_is_reported_all_the_same(folder: Path, odd: tuple[int, str, str]) -> None:
    page = folder / NAME / "report.html"
    page.unlink()
    with start(folder, f"--workdir={NAME}") as process:
        process.stdout.close()
        process.stderr.close()
    assert process.returncode == 0
    assert page.exists()


def test_rules_are_tried_as_they_are_trained() -> None:
    with jax.numpy_dtype_promotion("strict"), jax.debug_nans(True), jax.transfer_guard("disallow"), jax.disable_jit():
        family = rule(optax.adamw, name="tried")
    assert family.hyperparameters == rule(optax.adamw, name="tried again").hyperparameters


@pytest.mark.parametrize("platform", ["cuda", "nonsense"])
def test_a_platform_that_is_not_there_is_one_line(platform: str, folder: Path) -> None:
    status, out, err = ended(folder, "--workdir=none", JAX_PLATFORMS=platform)
    assert (status, out) == (1, "")
    assert err.startswith(f"error: JAX_PLATFORMS={platform}: JAX finds no such device here")
    assert err.count("\n") == 1


def test_an_interrupt_that_python_could_not_pass_on_is_not_lost(capsys: pytest.CaptureFixture[str]) -> None:
    def body() -> None:
        gc.callbacks.append(interrupted)
        gc.collect()
        flags.unless_interrupted()

    def interrupted(*_: object) -> None:
        gc.callbacks.remove(interrupted)
        flags.interrupt(signal.SIGINT)

    with pytest.raises(SystemExit, match="130"):
        flags.exit_status()(body)()
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("seconds", [0.3, 2.0])
def test_an_early_interrupt_is_one_line(seconds: float, folder: Path) -> None:
    with start(folder, "--workdir=early", "--max_epochs=100000") as process:
        time.sleep(seconds)
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=60)
    assert process.returncode == 130
    told = [line for line in err.splitlines() if line]
    if told[0].startswith("2 runs"):  # a fast machine was training by then: what is saved is told as well
        told = told[2:]
    assert len(told) == 1
    assert told[0].startswith("interrupted")
