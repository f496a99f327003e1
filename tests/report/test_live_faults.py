"""What the served page says where something is wrong."""

import urllib.request
from urllib.error import HTTPError

import pytest
from plot_runs import momentum_grid

from experiments.command.live import LivePage
from jaxopt_study.report.server import Server
from jaxopt_study.storage.store import Store


def test_a_damaged_run_is_left_out_with_a_note(tmp_path):
    for at, history in enumerate(momentum_grid()):
        Store(tmp_path / "runs").write(f"{at:064x}", history)
    path = tmp_path / "runs" / f"{3:064x}.parquet"
    path.write_bytes(path.read_bytes()[:-60])
    html = LivePage([tmp_path])().html
    assert "11 finished, none under way" in html
    assert f"A run is left out: {path} is damaged (" in html
    for other in (tmp_path / "runs").iterdir():
        other.write_bytes(b"")
    assert "0 finished, none under way" in LivePage([tmp_path])().html


def test_a_page_that_cannot_be_made_says_why_in_a_line(capfd):
    def page():
        raise RuntimeError("one\ntwo")

    with Server(page) as server, pytest.raises(HTTPError) as answer:
        urllib.request.urlopen(server.address, timeout=10)
    assert answer.value.code == 500
    assert answer.value.read() == b"the page cannot be made now: one two"
    assert capfd.readouterr().err == ""
