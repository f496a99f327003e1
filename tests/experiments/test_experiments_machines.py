"""The flags that say on which machines a study trains."""

import socket
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor

import commands
import pytest

from experiments import momentum_grid
from jaxopt_study.errors import EnvironmentFault

BAD = [
    (("--cluster=nowhere",), "--cluster=nowhere: allowed are local, auto"),
    (("--cluster=ray://host",), "--cluster=ray://host: allowed are"),
    (("--cluster=local", "--devices=2"), "--devices=2: not allowed with --cluster"),
    (("--cluster=local", "--distributed"), "--distributed=True: not allowed with --cluster"),
    (("--cpus_per_worker=1",), "--cpus_per_worker=1: allowed with --cluster only"),
    (("--process_id=0",), "--process_id=0: allowed with --distributed only"),
    (("--distributed", "--processes=2", "--process_id=2"), "--process_id=2: allowed is a whole number from 0"),
]


@pytest.mark.parametrize(("flags", "message"), BAD)
def test_flags_that_cannot_be_used_are_refused_in_one_line(flags, message, tmp_path, capsys):
    pytest.importorskip("ray", reason="Ray is the extra 'cluster'")
    assert commands.run(momentum_grid, *commands.TINY, *flags, f"--workdir={tmp_path / 'w'}") == 2
    told = capsys.readouterr().err
    assert told.startswith(f"error: {message}")
    assert told.count("\n") == 1
    assert not (tmp_path / "w").exists()


@pytest.mark.parametrize("cluster", ["auto", "ray"])
def test_an_address_where_nothing_listens_is_refused_at_once(cluster, tmp_path, capsys, monkeypatch):
    pytest.importorskip("ray", reason="Ray is the extra 'cluster'")
    with socket.create_server(("127.0.0.1", 0)) as server:
        place = f"127.0.0.1:{server.getsockname()[1]}"
    monkeypatch.setenv("RAY_ADDRESS", place)
    address = {"auto": "auto", "ray": f"ray://{place}"}[cluster]
    begin = time.monotonic()
    assert commands.run(momentum_grid, *commands.TINY, f"--cluster={address}", f"--workdir={tmp_path / 'w'}") == 1
    assert time.monotonic() - begin < 20
    told = capsys.readouterr().err
    assert told.startswith(f"error: --cluster={address}")
    assert told.endswith("no Ray cluster answers (Connection refused)\n")
    assert place in told


@pytest.fixture
def guarded(tmp_path, monkeypatch):
    """Where something listens that asks for the token "right", as a cluster and as a Ray client's server."""
    pytest.importorskip("ray", reason="Ray is the extra 'cluster'")
    import grpc

    def answer(_, context):
        if ("authorization", "Bearer right") not in context.invocation_metadata():
            context.abort(grpc.StatusCode.UNAUTHENTICATED, "Invalid or missing authentication token")
        return b""

    server = grpc.server(ThreadPoolExecutor(1))
    for service, method in (("RayletDriver", "ClusterInfo"), ("NodeInfoGcsService", "GetClusterId")):
        handlers = {method: grpc.unary_unary_rpc_method_handler(answer)}
        server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(f"ray.rpc.{service}", handlers),))
    place = f"127.0.0.1:{server.add_insecure_port('127.0.0.1:0')}"
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("RAY_ADDRESS", place)
    for name in ("RAY_AUTH_MODE", "RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH"):
        monkeypatch.delenv(name, raising=False)
    server.start()
    yield place
    server.stop(None)


@pytest.mark.parametrize("cluster", ["auto", "ray://{}"])
def test_a_cluster_whose_token_is_another_or_not_set_says_so_at_once(cluster, guarded, monkeypatch):
    from jaxopt_study.cluster import connect

    address = cluster.format(guarded)
    for mode, token, why in (
        ("", "", "which is not set"),
        ("", "right", "which is not set"),  # Ray's client does not show it
        ("token", "wrong", "the one that is set is another"),
    ):
        monkeypatch.setenv("RAY_AUTH_MODE", mode)
        monkeypatch.setenv("RAY_AUTH_TOKEN", token)
        with pytest.raises(EnvironmentFault, match=f"--cluster={address}.*: it asks for a token, {why}: RAY_AUTH_MODE"):
            connect.connect(address)
    monkeypatch.setenv("RAY_AUTH_TOKEN", "right")
    connect._knock(address)


def test_the_token_may_lie_in_a_file(guarded, tmp_path, monkeypatch):
    from jaxopt_study.cluster import connect

    monkeypatch.setenv("RAY_AUTH_MODE", "token")
    for path in (tmp_path / ".ray" / "auth_token", tmp_path / "elsewhere"):
        with pytest.raises(EnvironmentFault, match="which is not set"):
            connect._knock("auto")
        path.parent.mkdir(exist_ok=True)
        path.write_text("right\n")
        connect._knock("auto")
        monkeypatch.setenv("RAY_AUTH_TOKEN_PATH", str(tmp_path / "elsewhere"))


def test_nothing_of_ray_is_imported_unless_a_cluster_is_asked_for():
    code = "import sys, experiments.momentum_grid, experiments.command.flags; sys.exit('ray' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False, timeout=120).returncode == 0
