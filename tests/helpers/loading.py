"""Data sets loaded from a temporary folder, and what refuses to be loaded."""

from pathlib import Path

import pytest

from jaxopt_study.data import Dataset, load
from jaxopt_study.errors import EnvironmentFault, InputError


def load_quietly(name: str, cache_dir: Path, **options: object) -> Dataset:
    """Without a bar, its decoded pictures kept in a folder of the test's own."""
    return load(name, **{"cache_dir": str(cache_dir), "progress": False, **options})


def refusal(name: str, cache_dir: Path, **options: object) -> str:
    """The line that says why this cannot be loaded."""
    with pytest.raises((InputError, EnvironmentFault)) as raised:
        load_quietly(name, cache_dir, **options)
    assert "\n" not in str(raised.value)
    return str(raised.value)
