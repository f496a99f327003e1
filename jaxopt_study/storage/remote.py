"""Work directories in object storage (``s3://``, ``gs://``): a mirror here that is kept equal while a study goes on.

All else in this package works on files of this machine. What it writes to the mirror is sent at once a while and at the
end; a study that is begun elsewhere under the same URL fetches it first and goes on.
"""

import contextlib
import hashlib
import json
import os
import socket
import threading
import time
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil

from jaxopt_study import files
from jaxopt_study.errors import EnvironmentFault, InputError
from jaxopt_study.storage.objects import Objects

SEND_SECONDS = 30.0
"""Between two sendings: what a lost machine can take with it, beside the minutes since the last checkpoint."""
STALE_SECONDS = 10 * SEND_SECONDS
"""After which a holder that has not been heard of is taken for dead."""

_HOLDER = ".holder.json"
_KEPT: set[Path] = set()
"""Mirrors that this process keeps equal; who asks for one again meanwhile shares it."""


def is_url(workdir: str | Path) -> bool:
    """Whether a work directory is in object storage."""
    return isinstance(workdir, str) and "://" in workdir


def place(workdir: str | Path, *, shared: bool = False) -> Path:
    """The folder on this machine where a work directory is: itself, or the mirror of a URL, the same every time.

    Raises:
        InputError: no storage has such a URL, or it is one where several processes are to share a folder.
        EnvironmentFault: its storage's package is missing.
    """
    if not is_url(workdir):
        return Path(workdir)
    if shared:
        raise InputError("--workdir", workdir, "allowed with --distributed is a folder that all processes share")
    return _objects(str(workdir)).folder


@contextlib.contextmanager
def kept(workdir: str | Path, *, shared: bool = False) -> Iterator[Path]:
    """Gives :func:`place`; of a URL it is fetched first, and what changes there is sent until the context ends.

    Raises:
        InputError: as above.
        EnvironmentFault: as above, or the storage does not answer, or another machine is at work there.
    """
    folder = place(workdir, shared=shared)
    if not is_url(workdir) or folder in _KEPT:
        yield folder
        return
    objects = _objects(str(workdir))
    holder = f"{socket.gethostname()} process {os.getpid()}"
    _take(objects, holder)
    _KEPT.add(objects.folder)
    try:
        objects.fetch()
        with _sending(objects, holder), _told_of(objects):
            yield objects.folder
    finally:
        _KEPT.remove(objects.folder)
        try:
            objects.send()
        except EnvironmentFault as error:
            raise EnvironmentFault(
                f"{error}; all is kept in {objects.folder}, and the same command sends it"
            ) from error
        objects.remove(_HOLDER)


@contextlib.contextmanager
def _told_of(objects: Objects) -> Iterator[None]:
    """Errors that name the mirror, which nobody has given, say whose it is."""
    folder = str(objects.folder)
    try:
        yield
    except InputError as error:
        if folder not in str(error):
            raise
        given, allowed = (str(text).replace(folder, objects.url) for text in (error.given, error.allowed))
        raise InputError(error.name, given, allowed) from error
    except EnvironmentFault as error:
        if folder not in str(error):
            raise
        raise EnvironmentFault(f"{error} ({folder} is the mirror of {objects.url})") from error


@contextlib.contextmanager
def _sending(objects: Objects, holder: str) -> Iterator[None]:
    """Sends now and then, and says that this process is still there."""
    ended = threading.Event()

    def send_now_and_then() -> None:
        while not ended.wait(SEND_SECONDS):
            try:
                _hold(objects, holder)
                objects.send()
            except (EnvironmentFault, OSError) as error:  # a file may go while it is read; the network may come back
                warnings.warn(f"--workdir={objects.url}: not sent yet ({error}); trying again", stacklevel=2)

    sender = threading.Thread(target=send_now_and_then, daemon=True)
    sender.start()
    try:
        yield
    finally:
        ended.set()
        sender.join()


def _objects(url: str) -> Objects:
    name = hashlib.sha256(url.rstrip("/").encode()).hexdigest()[:16]
    return Objects(url, files.cache_folder() / "mirrors" / name)


def _take(objects: Objects, holder: str) -> None:
    """Takes hold of the work directory.

    Object storage has no locks: of two that begin in the same second, the one whose name stands there in the end wins.

    Raises:
        EnvironmentFault: another has it.
    """
    _refuse_if_held(objects, holder)
    _hold(objects, holder)
    time.sleep(0.2)
    _refuse_if_held(objects, holder)


def _hold(objects: Objects, holder: str) -> None:
    objects.put(_HOLDER, json.dumps({"holder": holder, "time": time.time()}).encode())


def _refuse_if_held(objects: Objects, holder: str) -> None:
    content = objects.get(_HOLDER)
    if content is None:
        return
    try:
        holding: dict[str, Any] = json.loads(content)
        other, since = str(holding["holder"]), time.time() - float(holding["time"])
    except (ValueError, TypeError, KeyError):
        return  # half a line of a machine that went down
    if other != holder and since < STALE_SECONDS and not _is_dead(other):
        raise EnvironmentFault(
            f"--workdir={objects.url}: another process ({other}, heard of {since:.0f} s ago) is at work there; wait "
            f"for it or choose another (one that is not heard of for {STALE_SECONDS:.0f} s is taken for dead)"
        )


def _is_dead(holder: str) -> bool:
    """Whether it was a process of this machine that is no more."""
    host, _, process = holder.partition(" process ")
    return host == socket.gethostname() and process.isdigit() and not psutil.pid_exists(int(process))
