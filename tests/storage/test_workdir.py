"""What the small files of a work directory say is what was written, or is left out."""

import contextlib
import warnings
from pathlib import Path

import pytest

from jaxopt_study.errors import Damaged
from jaxopt_study.storage import workdir


def test_a_bit_that_flips_is_noticed(tmp_path: Path) -> None:
    path = tmp_path / "config.json"
    content = {"own": True, "devices": ["cpu"], "settings": {"max_epochs": 1000}}
    workdir.write_json(path, content)
    assert workdir.read_config(path) == content
    whole = path.read_bytes()
    for bit in range(0, 8 * len(whole), 3):
        flipped = bytearray(whole)
        flipped[bit // 8] ^= 1 << bit % 8
        path.write_bytes(flipped)
        with warnings.catch_warnings(record=True) as told, contextlib.suppress(Damaged):
            found = workdir.read_config(path)
            assert told or found | content == found  # a space, or the name of the digest, that became another
        with contextlib.suppress(Damaged):
            assert workdir.read_json(path) | content == workdir.read_json(path)


def test_what_people_change_in_config_json_is_shown_as_changed_and_never_written_again(tmp_path: Path) -> None:
    path = tmp_path / "config.json"
    workdir.write_json(path, {"own": True})
    path.write_text(path.read_text().replace("true", "false"))
    with pytest.warns(UserWarning, match=r"config\.json was changed since it was written"):
        assert workdir.read_config(path) == {"own": False, "edited": True}
    with pytest.raises(Damaged, match="its content is not what was written"):
        workdir.written_config(path)
    with pytest.warns(UserWarning, match=r"it is left out, and made anew"):
        assert workdir.usable(workdir.written_config, path) == {}
    assert not path.exists()
    assert workdir.written_config(path) == {}
    workdir.write_json(path, {"own": True})
    assert workdir.written_config(path) == {"own": True}


def test_what_is_damaged_is_set_aside_and_nothing_is_found(tmp_path: Path) -> None:
    path = tmp_path / "stats.json"
    assert workdir.usable(workdir.read_stats, path) == {}
    path.write_text("[]")
    with pytest.warns(UserWarning, match=r"stats\.json is damaged \(it is no table\)"):
        assert workdir.usable(workdir.read_stats, path) == {}
    assert [str(file.relative_to(tmp_path)) for file in tmp_path.glob("*/*")] == ["damaged/stats.json.damaged"]
    assert not path.exists()
