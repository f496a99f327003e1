"""Where the package keeps what it can make again."""

from pathlib import Path

import pytest

from jaxopt_study import files


@pytest.mark.parametrize("xdg", [None, ""])
def test_the_cache_lies_in_the_users_home(xdg: str | None, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("XDG_CACHE_HOME")
    if xdg is not None:
        monkeypatch.setenv("XDG_CACHE_HOME", xdg)
    assert files.cache_folder() == tmp_path / ".cache" / "jaxopt_study"
    assert not (tmp_path / ".cache").exists()


def test_the_cache_lies_where_xdg_says(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert files.cache_folder() == tmp_path / "jaxopt_study"
