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


def test_a_cluster_that_asks_for_a_token_which_is_not_set_says_so_at_once(tmp_path, monkeypatch):
    pytest.importorskip("ray", reason="Ray is the extra 'cluster'")
    import grpc

    from jaxopt_study.cluster import connect

    def refuse(_, context):
        context.abort(grpc.StatusCode.UNAUTHENTICATED, "Invalid or missing authentication token")

    refusing = grpc.unary_unary_rpc_method_handler(refuse)
    server = grpc.server(ThreadPoolExecutor(1))
    handlers = {"ClusterInfo": refusing}
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("ray.rpc.RayletDriver", handlers),))
    port = server.add_insecure_port("127.0.0.1:0")
    monkeypatch.setenv("HOME", str(tmp_path))
    server.start()
    try:
        with pytest.raises(EnvironmentFault, match="it asks for a token, which is not set"):
            connect.connect(f"ray://127.0.0.1:{port}")
    finally:
        server.stop(None)


def test_nothing_of_ray_is_imported_unless_a_cluster_is_asked_for():
    code = "import sys, experiments.momentum_grid, experiments.command.flags; sys.exit('ray' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False, timeout=120).returncode == 0
