"""To a Ray cluster and back, and what its machines have for workers."""

import contextlib
import logging
import os
import re
import secrets
import socket
import urllib.parse
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple, cast

from jaxopt_study.engine import devices
from jaxopt_study.errors import EnvironmentFault, InputError, one_line
from jaxopt_study.files import reason

try:
    import ray
    from ray._private import ray_constants, services
except ImportError as missing:
    raise EnvironmentFault(
        "a cluster needs Ray, which is not installed: run pip install 'jaxopt-study[cluster]'"
    ) from missing

KNOCK_SECONDS = 5.0
ALLOWED = "allowed are local, auto (a cluster that this machine is part of) and ray://HOST:PORT"


class Resources(NamedTuple):
    """What each worker takes of a machine: a GPU, or so many cores."""

    gpus: int
    cores: int


@contextlib.contextmanager
def connected(address: str) -> Iterator[None]:
    """Holds a connection to a cluster; ``local`` is one that lives no longer than the connection.

    One that is there already is used and kept. InputError: not an address; EnvironmentFault: no cluster answers there.
    """
    is_new = connect(address)
    try:
        yield
    finally:
        if is_new:
            ray.shutdown()


def connect(address: str) -> bool:
    """Connects to a cluster, unless that was done; best before JAX has threads, since Ray starts processes.

    Returns whether the connection is a new one; the errors are those of :func:`connected`.
    """
    if address not in ("local", "auto") and not re.fullmatch(r"ray://[^/:]+:[0-9]+", address):
        raise InputError("--cluster", address, ALLOWED)
    if ray.is_initialized():
        return False
    options: dict[str, Any] = {"log_to_driver": False, "logging_level": logging.ERROR}
    if address == "local":
        _keep_private()
        options |= {"include_dashboard": False, "num_cpus": devices.cpu_cores()}
    else:
        _knock(address)
    # Workers without a GPU see none: what Ray will do in time, and warns about until then.
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "1")
    try:
        ray.init(address=address, **options)
    except KeyboardInterrupt:
        ray.shutdown()  # of what it had started
        raise
    except (ConnectionError, RuntimeError, ValueError, OSError, ImportError) as error:
        line = next(iter(str(error).splitlines()), type(error).__name__)
        raise EnvironmentFault(f"--cluster={address}: no Ray cluster answers ({line[:200]})") from error
    return True


def _keep_private() -> None:
    """An instance of this command alone listens on this machine alone, has a token that no file holds, tells nobody."""
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    if "RAY_AUTH_TOKEN_PATH" not in os.environ:
        os.environ.setdefault("RAY_AUTH_TOKEN", secrets.token_hex(32))
    os.environ["RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER"] = "0"  # Ray's way to ask for the loopback, where that is not usual
    ray_constants.ENABLE_RAY_CLUSTER = False  # as the variable says; read when Ray was imported


def _knock(address: str) -> None:
    """Refuses where nothing listens or the token is another, which Ray tries for a minute; EnvironmentFault."""
    given = os.environ.get("RAY_ADDRESS", "") if address == "auto" else address
    found = given or _of_this_machine()
    place = urllib.parse.urlsplit(found if "://" in found else f"//{found}")
    told = f"--cluster={address}" + (f" (RAY_ADDRESS={given})" if address == "auto" and given else "")
    try:
        if not place.hostname or place.port is None:  # Ray says that there is none
            return
        socket.create_connection((place.hostname, place.port), timeout=KNOCK_SECONDS).close()
    except (OSError, ValueError) as error:  # the latter of a port that is no number
        why = reason(error) if isinstance(error, OSError) else one_line(error)
        raise EnvironmentFault(f"{told}: no Ray cluster answers ({why})") from error
    if os.environ.get("RAY_AUTH_MODE", "").lower() not in ("", "disabled", "token"):  # of an orchestrator's, say
        return
    token = _token()
    if _refuses(place, token):
        what = "the one that is set is another" if token else "which is not set"
        raise EnvironmentFault(f"{told}: it asks for a token, {what}: RAY_AUTH_MODE=token and RAY_AUTH_TOKEN")


def _of_this_machine() -> str:
    """``HOST:PORT`` of the instance that this machine is part of; empty if there is none, or several."""
    try:
        return services.canonicalize_bootstrap_address("auto") or ""
    except Exception:  # Ray's own ways to say so
        return ""


def _token() -> str:
    """What Ray's client shows a cluster, from where Ray looks for it; empty if there is none or it shows none."""
    if os.environ.get("RAY_AUTH_MODE", "").lower() != "token":
        return ""
    if token := os.environ.get("RAY_AUTH_TOKEN"):
        return token
    path = os.environ.get("RAY_AUTH_TOKEN_PATH") or os.path.expanduser("~/.ray/auth_token")  # there may be no home
    try:
        return Path(path).read_text(encoding="utf-8").strip()
    except (OSError, ValueError):
        return ""


def _refuses(place: urllib.parse.SplitResult, token: str) -> bool:
    """Whether a cluster asks for another token than this."""
    import grpc  # with Ray's client, of the extra
    from ray.core.generated import gcs_service_pb2, gcs_service_pb2_grpc, ray_client_pb2, ray_client_pb2_grpc

    with grpc.insecure_channel(place.netloc) as channel:
        client: Any = ray_client_pb2  # generated, without types, as the others
        gcs: Any = gcs_service_pb2
        stub: Any
        if place.scheme == "ray":
            stub = cast(Any, ray_client_pb2_grpc).RayletDriverStub(channel)
            ask, question = stub.ClusterInfo, client.ClusterInfoRequest(type=client.ClusterInfoType.PING)
        else:
            stub = cast(Any, gcs_service_pb2_grpc).NodeInfoGcsServiceStub(channel)
            ask, question = stub.GetClusterId, gcs.GetClusterIdRequest()
        try:
            ask(question, timeout=KNOCK_SECONDS, metadata=[("authorization", f"Bearer {token}")] if token else [])
        except grpc.RpcError as error:
            return bool(error.code() == grpc.StatusCode.UNAUTHENTICATED)
    return False


def resources(cpus_per_worker: int | None) -> Resources:
    """What a worker takes: a GPU where the cluster has any and no cores are asked for, else cores; all of the smallest
    machine's if not given.

    Raises:
        InputError: no machine has so many cores.
    """
    machines = [node["Resources"] for node in live_nodes()]
    if cpus_per_worker is None and any(machine.get("GPU", 0) >= 1 for machine in machines):
        return Resources(1, 1)
    cores = [int(machine["CPU"]) for machine in machines if machine.get("CPU", 0) >= 1]
    if not cores or (cpus_per_worker or 1) > max(cores):
        allowed = f"allowed is a whole number from 1 to {max(cores, default=0)}, the cores of the largest machine"
        raise InputError("--cpus_per_worker", cpus_per_worker or 1, allowed)
    return Resources(0, cpus_per_worker or min(cores))


def workers(resources: Resources) -> int:
    """How many workers the cluster has room for now."""
    kind, count = ("GPU", resources.gpus) if resources.gpus else ("CPU", resources.cores)
    return sum(int(node["Resources"].get(kind, 0) // count) for node in live_nodes())


def alive(node: str) -> bool:
    """Whether a machine is still part of the cluster."""
    return node in (live["NodeID"] for live in live_nodes())


def live_nodes() -> list[dict[str, Any]]:
    """The machines that the cluster has now, as Ray describes them."""
    return [node for node in ray.nodes() if node["Alive"]]  # type: ignore[no-untyped-call]  # Ray's are partial
