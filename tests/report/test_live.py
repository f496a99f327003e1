"""The page while a study trains: its file, its server, and the browser that follows it."""

import http.client
import itertools
import json
import math
import socket
import struct
import threading
import time
import urllib.request
from urllib.error import HTTPError

import numpy as np
import pytest
from browser import Browser, installed
from plot_runs import everything, momentum_grid, run
from report_content import content

from experiments.command import live as live_page
from experiments.command.live import LivePage, progress
from experiments.command.results import Results
from jaxopt_study.grids.run import make_run
from jaxopt_study.history import CURVES
from jaxopt_study.report import wording
from jaxopt_study.report.page import Progress, render
from jaxopt_study.report.server import Served, Server
from jaxopt_study.storage.store import Store
from jaxopt_study.storage.workdir import write_json
from jaxopt_study.watch.live import Live, UnderWay, read_live

RUN = make_run("momentum", {"learning_rate": 0.5, "momentum": 0.9}, 0)
METRICS = dict.fromkeys(CURVES, 0.5)


def test_what_is_under_way_is_read_as_it_was_heard_and_is_gone_in_the_end(tmp_path, monkeypatch):
    monkeypatch.setattr("jaxopt_study.watch.live.SECONDS", 0.0)
    live = Live(tmp_path)
    for epoch in (1, 2, 3, 2):  # it went back to a checkpoint
        live._next = 0.0
        live.on_epoch(RUN, epoch, METRICS | {"val_loss": 1 / epoch, "train_loss": math.nan})
    (told,) = read_live(tmp_path)
    (history,) = told.histories
    assert history.status == "running"
    assert (history.optimizer, history.hyperparameters, history.seed) == ("momentum", dict(RUN.hyperparameters), 0)
    np.testing.assert_array_equal(history.curves["val_loss"], np.float32([1, 1 / 2]))
    assert told.epochs == 3  # since the first
    live._next = 0.0
    live.on_run_end(RUN, history)
    assert [told.histories for told in read_live(tmp_path)] == [()]
    live.close()
    assert read_live(tmp_path) == []
    assert list(tmp_path.iterdir()) == []


def test_a_run_that_goes_on_from_a_checkpoint_has_nothing_before_it(tmp_path):
    live = Live(tmp_path)
    live.on_epoch(RUN, 3, METRICS)
    ((history,),) = (told.histories for told in read_live(tmp_path))
    assert np.isnan(history.curves["val_loss"][:2]).all()
    assert history.curves["val_loss"][2] == 0.5


@pytest.mark.parametrize("text", ["", "{", "[]", '{"runs": 1}'])
def test_a_file_that_is_not_whole_says_nothing(tmp_path, text):
    (tmp_path / ".live.json").write_text(text)
    assert read_live(tmp_path) == []


def test_what_several_processes_have_under_way_is_put_together(tmp_path):
    (tmp_path / ".live-7.json").write_text("of an earlier start")
    first, second = Live(tmp_path), Live(tmp_path, process=1)
    assert not (tmp_path / ".live-7.json").exists()
    first.on_epoch(RUN, 1, METRICS)
    second.on_epoch(RUN._replace(seed=1), 1, METRICS)
    assert {run.seed for told in read_live(tmp_path) for run in told.histories} == {0, 1}
    assert "0 finished, 2 under way" in LivePage([tmp_path])().html
    first.close()
    second.close()
    assert list(tmp_path.iterdir()) == []


def test_the_time_left_is_of_each_runs_own_budget(tmp_path):
    shares = []
    for own in ({}, {"max_epochs": 4}):
        entries = [{"optimizer": "sgd", "learning_rate": rate, "seed": 0, **own} for rate in (0.1, 0.2, 0.3)]
        again = {
            "optimizer": "momentum",
            "learning_rate": 0.1,
            "momentum": 0.0,
            "seed": 0,
            **own,
        }  # the first once more
        config = {"settings": {"max_epochs": 100}, "grid": [*entries, again], "dataset": {}}
        results = Results([(tmp_path, config, {})], [run("sgd", learning_rate=0.1, **own)], 0, {})
        at_work = UnderWay(
            (run("sgd", epochs=2, learning_rate=0.2, **own),), seconds=10.0, epochs=5, written=time.time()
        )
        told = progress(results, [at_work])
        shares.append(told.share)
        assert "1 of 3 runs finished, 1 under way" in told.text
        left = {100: 2 * (98 + 100), 4: 2 * (2 + 4)}[own.get("max_epochs", 100)]
        assert f"at most {wording.duration(left)} left." in told.text
    assert shares == [pytest.approx(1 - 198 / 300), pytest.approx(1 - 6 / 12)]


def status(server, path, host=None):
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=10)
    connection.request("GET", path, headers={"Host": host or f"127.0.0.1:{server.port}"})
    return connection.getresponse().status


def test_only_who_has_the_token_and_asks_for_this_machine_is_answered():
    with Server(lambda: Served("1", "<p>page")) as server:
        token = f"token={server.token}"
        assert status(server, f"/?{token}") == 200
        assert status(server, f"/update?{token}&have=0") == 200
        assert status(server, f"/update?{token}&have=1") == 204
        assert status(server, f"/other?{token}") == 404
        assert status(server, "/") == status(server, "/?token=") == status(server, f"/?{token}x") == 403
        assert status(server, f"/?{token}", host="attacker.example") == 403
        assert status(server, "/?token=%C3%A9") == 403
        assert server._server.server_address[0] == "127.0.0.1"
        with urllib.request.urlopen(server.address, timeout=10) as answer:
            assert answer.headers["Cache-Control"] == "no-store"
        with pytest.raises(HTTPError, match="403"):
            urllib.request.urlopen(server.address.split("?")[0], timeout=10)


def test_a_tab_that_is_closed_while_it_is_answered_leaves_no_word_in_the_terminal(capfd):
    asked, gone = threading.Event(), threading.Event()

    def page():
        asked.set()
        gone.wait(10)
        return Served("1", "<p>" * 100_000)

    with Server(page) as server:
        tab = socket.create_connection(("127.0.0.1", server.port))
        tab.sendall(f"GET /?token={server.token} HTTP/1.1\r\nHost: 127.0.0.1:{server.port}\r\n\r\n".encode())
        assert asked.wait(10)
        tab.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))  # resets the connection
        tab.close()
        gone.set()
        others = [one for one in threading.enumerate() if "process_request" in one.name]
        for thread in others:
            thread.join(10)
    assert others
    assert capfd.readouterr().err == ""


@pytest.fixture
def folder(tmp_path):
    store = Store(tmp_path / "runs")
    for at, history in enumerate(momentum_grid()):
        store.write(f"{at:064x}", history)
    return tmp_path


def test_the_live_page_has_what_is_finished_and_what_is_under_way(folder):
    live = Live(folder)
    live.on_epoch(RUN, 1, METRICS)
    page = LivePage([folder])
    first = page()
    assert "12 finished, 1 under way, lowest validation loss so far 0.3" in first.html
    data = json.loads(first.html.split('id="study">')[1].split("</script>")[0])
    assert data["runs"]["status"].count("running") == 1
    assert page() is first
    again = Store(folder / "runs").read("0" * 64)
    live._rows = {make_run(again.optimizer, dict(again.hyperparameters), again.seed): [METRICS]}
    live._next = 0.0
    live._write()
    assert "12 finished, none under way" in page().html  # it has ended since
    Store(folder / "runs").write("f" * 64, run(learning_rate=0.7, momentum=0.9))
    assert page().version != first.version


def test_the_live_page_of_ones_own_study_ranks_by_what_is_monitored(tmp_path, monkeypatch):
    about = {"identity": {"model": "Net 1", "max_epochs": 6}, "dataset": {"name": "mine", "image_shape": [8, 8, 1]}}
    runs = [run("adam", learning_rate=0.1 + at, low=0.2 + 0.1 * at) for at in range(2)]
    for one, score in zip(runs, (0.3, 0.9), strict=True):
        one.curves["f1"] = np.full(one.epochs, score, np.float32)
    origin = tmp_path, {"own": True, "guessing": 1.0, "monitor": "f1", "mode": "max", **about}, {}
    monkeypatch.setattr(LivePage, "_read", lambda _: Results([origin], runs, 2, {}, ["a", "b"]))
    html = LivePage([tmp_path])().html
    assert '<h1 id="title">Net on mine</h1>' in html
    assert "Best f1</dt><dd>0.9000: Adam, learning rate 1.1<" in html
    assert "2 runs of other settings in the work directory are left out." in html
    data = json.loads(html.split('id="study">')[1].split("</script>")[0])
    assert {one["name"]: one["more"] for one in data["measures"]}["f1"] is True


def test_making_the_page_takes_a_twentieth_of_the_time_at_most(folder, monkeypatch):
    page, now = LivePage([folder]), [100.0]
    monkeypatch.setattr(live_page.time, "monotonic", lambda: now[0])
    monkeypatch.setattr(live_page.time, "thread_time", lambda: now[0])

    def make():
        now[0] += 3.0
        return "<p>"

    monkeypatch.setattr(page, "_make", make)
    versions = []
    for at, wait in enumerate((0, 1, 59, 1, 1)):
        Store(folder / "runs").write(f"{100 + at:064x}", run(learning_rate=0.7 + at, momentum=0.9))
        now[0] += wait
        versions.append(page().version)
    # The first, which imports, does not count; the next is made one second later, the one after that sixty later.
    assert [a == b for a, b in itertools.pairwise(versions)] == [False, True, False, True]


def test_before_anything_is_finished_there_is_a_page(tmp_path):
    (tmp_path / "runs").mkdir()
    assert "0 finished, none under way." in LivePage([tmp_path])().html
    write_json(tmp_path / "config.json", {"grid": [{"optimizer": "sgd", "learning_rate": 0.1, "seed": 0}]})
    assert "0 of 1 run finished, none under way yet: " in LivePage([tmp_path])().html


@pytest.mark.skipif(not installed(), reason="no Chromium is installed (Debian: apt-get install chromium)")
def test_an_open_page_follows_the_study_and_keeps_what_is_chosen(folder, tmp_path_factory):
    with Server(LivePage([folder])) as server, Browser(tmp_path_factory.mktemp("profile")) as browser:
        page = browser.open(server.address)
        page.choose("#measure", "train_loss")
        cells = "document.querySelectorAll('.cell').length"
        assert page.get(cells) == 6
        Store(folder / "runs").write("f" * 64, run(learning_rate=0.5, momentum=0.9))
        page.until(f"{cells} === 7")
        assert page.get("document.querySelector('#measure').value") == "train_loss"
        assert "13 finished" in page.get("document.querySelector('#progress').innerText")
        assert page.complaints() == []


@pytest.mark.skipif(not installed(), reason="no Chromium is installed (Debian: apt-get install chromium)")
def test_what_is_open_and_has_the_focus_stays_so_while_the_page_is_made_anew(tmp_path_factory):
    given, done = content(everything(3)), iter(range(9))

    def page():
        return Served(str(now), render(**given, progress=Progress(0.5, f"{now} finished.")))

    now = next(done)
    with Server(page) as server, Browser(tmp_path_factory.mktemp("profile")) as browser:
        tab = browser.open(server.address)
        claim = tab.get("document.querySelectorAll('.claim')[1].id")
        opened = f"document.querySelector('#{claim}')"
        for focus in (f"{opened}.querySelector('summary')", "document.querySelector('nav a[href=\"#runs\"]')"):
            tab.get(f"{opened}.open = true; {focus}.focus()")
            now = next(done)
            tab.until(f"document.querySelector('#progress').innerText.includes('{now} finished')")
            assert tab.get(f"{opened}.open && document.activeElement === {focus}")
        assert tab.complaints() == []


@pytest.mark.skipif(not installed(), reason="no Chromium is installed (Debian: apt-get install chromium)")
def test_a_server_that_refuses_the_page_is_lost(folder, tmp_path_factory):
    with Server(LivePage([folder])) as server, Browser(tmp_path_factory.mktemp("profile")) as browser:
        page = browser.open(server.address)
        assert page.get("document.querySelector('#lost').hidden")
        server.token, token = "that of another study on this port", server.token
        page.until("!document.querySelector('#lost').hidden")
        server.token = token
        page.until("document.querySelector('#lost').hidden")


@pytest.mark.skipif(not installed(), reason="no Chromium is installed (Debian: apt-get install chromium)")
def test_a_page_that_was_opened_first_of_all_gets_its_title_and_its_claims(tmp_path, tmp_path_factory):
    with Server(LivePage([tmp_path])) as server, Browser(tmp_path_factory.mktemp("profile")) as browser:
        page = browser.open(server.address)
        assert not page.get("document.querySelector('#claims')")
        write_json(tmp_path / "config.json", {"experiments": {"momentum_grid": {"momenta": [0.9]}}})
        page.until("document.querySelector('h1').innerText === 'SGD with momentum'")
        assert page.get("document.title") == "SGD with momentum"
        Store(tmp_path / "runs").write("f" * 64, run(learning_rate=0.5, momentum=0.9))
        page.until("document.querySelector('#claims')")
        assert page.get("document.querySelector('nav a[href=\"#claims\"]').innerText") == "Claims"
        assert page.complaints() == []


@pytest.mark.skipif(not installed(), reason="no Chromium is installed (Debian: apt-get install chromium)")
def test_a_page_that_was_opened_before_the_first_epoch_shows_the_first_run(tmp_path, tmp_path_factory):
    with Server(LivePage([tmp_path])) as server, Browser(tmp_path_factory.mktemp("profile")) as browser:
        page = browser.open(server.address)
        assert page.get("document.querySelector('#explore').hidden")
        Live(tmp_path).on_epoch(RUN, 1, METRICS)
        page.until("!document.querySelector('#explore').hidden")
        assert "running" in page.get("document.querySelector('#runs-table').innerText")
        curves = "document.querySelectorAll('.legend-table tbody tr').length"
        assert page.get(curves) == 1  # of what is under way
        Store(tmp_path / "runs").write("e" * 64, run(learning_rate=0.1, momentum=0.9))
        page.until("document.querySelectorAll('.cell').length === 2")
        page.click("#unpin")
        Store(tmp_path / "runs").write("f" * 64, run(learning_rate=0.2, momentum=0.9))
        page.until("document.querySelectorAll('.cell').length === 3")
        assert page.get(curves) == 0  # as it was chosen
        page.click("#runs-table tbody button")
        assert page.get("document.querySelector('#card').open")
        assert page.complaints() == []
