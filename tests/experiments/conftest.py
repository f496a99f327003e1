import commands
import pytest

from experiments import momentum_grid, nesterov_grid


@pytest.fixture(scope="session")
def made(tmp_path_factory):
    """Two work directories of the same data, network and settings."""
    folder = tmp_path_factory.mktemp("made")
    assert commands.run(momentum_grid, *commands.TINY, *commands.GRID, f"--workdir={folder / 'momentum'}") == 0
    assert commands.run(nesterov_grid, *commands.TINY, *commands.GRID, f"--workdir={folder / 'nesterov'}") == 0
    return folder
