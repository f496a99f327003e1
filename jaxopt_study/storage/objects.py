"""A folder and the objects under a URL, made equal both ways: what changed on one side since they last were.

A file is an object; a checkpoint, which is a folder, is one object too, so that it is there whole or not at all.
"""

import contextlib
import io
import json
import logging
import shutil
import tarfile
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path, PurePosixPath
from typing import Any, TypeVar

from jaxopt_study.errors import EnvironmentFault, InputError, one_line
from jaxopt_study.files import temporary_folder, write_atomically, write_text

T = TypeVar("T")
EXTRAS = {"s3": "s3", "s3a": "s3", "gs": "gcs", "gcs": "gcs"}
_STAMPS = ("ETag", "etag", "LastModified", "updated", "mtime", "created")
_KNOWN = ".known.json"
_CHECKPOINTS = "checkpoints"


class Objects:
    """The objects under a URL, with a folder that mirrors them, made at the first fetch.

    InputError: no storage has such a URL (as ``s3://BUCKET/FOLDER``). EnvironmentFault: the package for it is missing.
    """

    def __init__(self, url: str, folder: Path) -> None:
        self.url, self.folder = url, folder
        protocol, _, within = url.partition("://")
        if not within.strip("/"):
            raise InputError("--workdir", url, "allowed is a URL with a folder in it, such as s3://BUCKET/FOLDER")
        extra = EXTRAS.get(protocol, "")
        try:
            import fsspec

            for chatty in ("botocore", "aiobotocore"):  # they tell at INFO where they found what
                logging.getLogger(chatty).setLevel(logging.WARNING)
            self._storage: Any
            self._storage, root = fsspec.core.url_to_fs(url, use_listings_cache=False)
        except ImportError as error:
            hint = f"pip install 'jaxopt-study[{extra}]'" if extra else " ".join(str(error).split())
            raise EnvironmentFault(f"--workdir={url}: the package for {protocol}:// is missing; {hint}") from None
        except OSError as error:
            raise EnvironmentFault(f"--workdir={url}: the storage cannot be used ({one_line(error)})") from error
        except Exception as error:  # no such storage, or one that wants more than a URL: each says it in its own way
            allowed = "allowed are a folder, s3://BUCKET/FOLDER, gs://BUCKET/FOLDER, or what else fsspec knows"
            raise InputError("--workdir", url, f"{allowed} ({one_line(error)})") from None
        self._root = root.rstrip("/")

    def get(self, name: str) -> bytes | None:
        """An object's bytes; None if there is none."""
        return self._ask(lambda: bytes(self._storage.cat_file(self._path(name))))

    def put(self, name: str, content: bytes) -> None:
        """Writes an object."""
        self._ask(lambda: self._storage.pipe_file(self._path(name), content), may_miss=False)  # no bucket is an error

    def remove(self, name: str) -> None:
        """Removes an object, if it is there."""
        self._ask(lambda: self._storage.rm_file(self._path(name)))

    def fetch(self) -> None:
        """Brings what is new or changed there, and what was lost here; what was not sent yet from here stays.

        The mirror lies in a cache folder, which may be cleared at any time: what is missing here is no reason to remove
        it there. What somebody has removed there goes here too, unless nothing at all is left there.

        Raises:
            EnvironmentFault: the storage does not answer, has what is none of a work directory, or a file cannot be
                written.
        """
        known, here, there = self._known(), self._here(), self._there()
        for name in sorted(there):
            if name not in here or known.get(name, [None, None])[1] != there[name]:
                content = self.get(name)
                if content is not None:
                    self._write(name, content)
        for name in set(known) & set(here) - set(there) if there else ():
            if known[name][0] == here[name]:  # it was sent
                self._forget(name)
        now = self._here()
        self._remember({name: [now[name], stamp] for name, stamp in there.items() if name in now})

    def send(self) -> None:
        """Sends what is new or changed here, finished runs first, and removes there what is gone since the fetch.

        Finished runs are never removed there.

        Raises:
            EnvironmentFault: the storage does not answer.
        """
        known, here = self._known(), self._here()
        changed = [name for name, stamp in here.items() if known.get(name, [None])[0] != stamp]
        gone = [name for name in known if name not in here and not name.startswith("runs/")]
        if not changed and not gone:
            return
        for name in sorted(changed, key=lambda name: (not name.startswith("runs/"), name)):
            content = self._read(name)
            if content is not None:
                self.put(name, content)
        for name in gone:
            self.remove(name)
        there = self._there()
        self._remember({name: [stamp, there[name]] for name, stamp in here.items() if name in there})

    def _path(self, name: str) -> str:
        return f"{self._root}/{name}"

    def _ask(self, request: Callable[[], T], *, may_miss: bool = True) -> T | None:
        """What the storage answers; None where it may, and does, have nothing of that name."""
        try:
            return request()
        except Exception as error:  # each storage has errors of its own: rights, names, network
            if may_miss and isinstance(error, FileNotFoundError):
                return None
            raise EnvironmentFault(f"--workdir={self.url}: the storage cannot be used ({one_line(error)})") from error

    def _there(self) -> dict[str, str]:
        """The objects' stamps by their names."""
        start = len(self._root.lstrip("/")) + 1
        infos: dict[str, Any] = self._ask(lambda: self._storage.find(self._root, detail=True)) or {}
        named = {path.lstrip("/")[start:]: info for path, info in infos.items()}
        # Some tools leave an empty object with a slash at the end where there is a folder.
        files = {
            name: _stamp(info) for name, info in named.items() if not _is_hidden(name) and name.rstrip("/") == name
        }
        for name in files:
            self._check(name)
        return files

    def _check(self, name: str) -> None:
        """Refuses a name that leads out of the mirror, or is another way to write a file's: EnvironmentFault."""
        path = PurePosixPath(name)
        inside = (self.folder / name).resolve().is_relative_to(self.folder.resolve())
        if not inside or path.as_posix() != name or ".." in path.parts or "\0" in name:
            what = f"the object {name!r} there is no file of a work directory; remove it"
            raise EnvironmentFault(f"--workdir={self.url}: {what}")

    def _here(self) -> dict[str, str]:
        """The stamps of what is to be kept, by the objects' names."""
        return {name: _stamp_of_files(paths) for name, paths in self._units()}

    def _units(self) -> Iterator[tuple[str, list[Path]]]:
        for path in sorted(self.folder.glob("*")) if self.folder.is_dir() else []:
            if path.name == _CHECKPOINTS:
                for step in path.iterdir():
                    if step.name.isdigit():  # finished: Orbax gives it this name at the end
                        yield f"{_CHECKPOINTS}/{step.name}.tar", sorted(x for x in step.rglob("*") if x.is_file())
            else:
                for file in sorted(path.rglob("*")) if path.is_dir() else [path]:
                    name = file.relative_to(self.folder).as_posix()
                    if not _is_hidden(name) and file.is_file():
                        yield name, [file]

    def _read(self, name: str) -> bytes | None:
        """What to send; None if it is gone by now."""
        try:
            if not name.startswith(f"{_CHECKPOINTS}/"):
                return (self.folder / name).read_bytes()
            packed = io.BytesIO()
            with tarfile.open(fileobj=packed, mode="w") as tar:
                tar.add(self.folder / name.removesuffix(".tar"), arcname=".")
            return packed.getvalue()
        except FileNotFoundError:
            return None

    def _write(self, name: str, content: bytes) -> None:
        target = self.folder / name
        if not name.startswith(f"{_CHECKPOINTS}/"):
            write_atomically(target, lambda path: path.write_bytes(content))
            return
        target = target.with_suffix("")
        target.parent.mkdir(parents=True, exist_ok=True)
        with temporary_folder(self.folder) as unpacked:
            try:
                with tarfile.open(fileobj=io.BytesIO(content), mode="r:") as tar:
                    tar.extractall(unpacked, filter="data")
            except (tarfile.TarError, ValueError, EOFError) as error:
                warnings.warn(f"{self.url}/{name} is damaged ({error}); it is left out", stacklevel=2)
                return
            shutil.rmtree(target, ignore_errors=True)
            shutil.copytree(unpacked, target)

    def _forget(self, name: str) -> None:
        if name.startswith(f"{_CHECKPOINTS}/"):
            shutil.rmtree((self.folder / name).with_suffix(""), ignore_errors=True)
        else:
            (self.folder / name).unlink(missing_ok=True)

    def _known(self) -> dict[str, list[str]]:
        """Both stamps of everything, as they were when both sides last were equal."""
        try:
            known = json.loads((self.folder / _KNOWN).read_bytes())
            return {str(name): [str(here), str(there)] for name, (here, there) in known.items()}
        except (OSError, ValueError, TypeError, AttributeError, RecursionError):
            return {}

    def _remember(self, known: dict[str, list[str]]) -> None:
        write_text(self.folder / _KNOWN, json.dumps(known))


def _is_hidden(name: str) -> bool:
    return any(part.startswith(".") and part != ".." for part in name.split("/"))


def _stamp(info: dict[str, Any]) -> str:
    return " ".join(str(info[key]) for key in ("size", *_STAMPS) if key in info)


def _stamp_of_files(paths: list[Path]) -> str:
    stamps = []
    for path in paths:
        with contextlib.suppress(FileNotFoundError):
            status = path.stat()
            stamps.append(f"{status.st_size} {status.st_mtime_ns}")
    return ";".join(stamps)
