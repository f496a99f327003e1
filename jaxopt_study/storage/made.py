"""What is made of runs, put into a folder as one: all of it or nothing, and never over a file of somebody else.

``made.json`` says what was made in a folder, each file with a digest. Only that is replaced, and removed where it is
not made any more; all else that lies there is a person's own.
"""

import contextlib
import fnmatch
import hashlib
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

from jaxopt_study.errors import EnvironmentFault
from jaxopt_study.files import reason, temporary_folder
from jaxopt_study.storage.workdir import read_json, write_json

NOTE = "made.json"
PAGE, README, PAPER = "report.html", "README.md", "paper/figures.tex"
_OF_PAGE = ("*.csv", "tables/*", "figures/*")
_EARLIER: Mapping[str, tuple[Sequence[str], Sequence[str]]] = {
    PAGE: (('href="#answer">Skip to the answer',), _OF_PAGE),
    README: (
        ("by `python -m experiments.results.publish`", "## How to read it\n\nLosses are the lowest validation losses"),
        (*_OF_PAGE, "*.json", "runs/*.parquet", "weights/**/*"),
    ),
    PAPER: ((r"% Needs \usepackage{graphicx} and \graphicspath{{paper/}}",), ("paper/*.pdf",)),
}
"""Of versions that left no note: what tells their pages from others of these names, and what they made beside them."""


@contextlib.contextmanager
def into(
    folder: Path,
    *,
    whole: Sequence[str] = (),
    held: Callable[[], contextlib.AbstractContextManager[object]] = contextlib.nullcontext,
) -> Iterator[Path]:
    """Gives a temporary folder; what it holds at the end takes its place in ``folder``, which is made if need be.

    Args:
        folder: may hold other files.
        whole: patterns of names, seen from ``folder``, of what is made anew altogether: what was made of it earlier,
            is not made now and was not changed since, is removed.
        held: what is entered while files take their places.

    Raises:
        EnvironmentFault: it cannot be written, or a file that was not made here is in the way; nothing is changed.
    """
    absent = [path for path in (folder, *folder.parents) if not path.exists()]
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with temporary_folder(folder) as building:
            with _told_as(building, folder):
                yield building
            new = {path.relative_to(building).as_posix(): _digest(path) for path in _files(building)}
            new.pop(NOTE, None)  # of what was made there by way of this, too
            check(folder, [*new])
            with held():
                _move(building, folder, new, whole)
    except BaseException as error:
        for path in absent:
            with contextlib.suppress(OSError):  # it holds something
                path.rmdir()
        if isinstance(error, OSError):
            raise EnvironmentFault(f"cannot write {folder}: {reason(error)}") from error
        raise


def check(folder: Path, names: Sequence[str]) -> None:
    """Refuses, before any work, a folder where one of these files is somebody else's; EnvironmentFault says which."""
    known = note(folder)
    for name in names:
        above = [folder / part for part in list(Path(name).parents)[:-1]]
        blocked = [part for part in above if part.exists() and not part.is_dir()]
        if (folder / name).exists() and name not in known:
            blocked.append(folder / name)
        if blocked:
            what = f"{folder} holds {blocked[0].relative_to(folder)}, which was not made by this command"
            raise EnvironmentFault(f"{what}: move it, or choose another folder")


def note(folder: Path) -> dict[str, str]:
    """The digests of what was made in a folder and is there, by its name; empty ones of what an earlier version made.

    Raises:
        EnvironmentFault: the file of that name is none of this project's, or damaged.
    """
    path = folder / NOTE
    if not path.exists():
        return _of_earlier(folder)
    try:
        made: dict[str, str] = read_json(path)["made"]
        return {name: digest for name, digest in made.items() if (folder / name).is_file()}
    except (EnvironmentFault, TypeError, KeyError, AttributeError) as error:
        allowed = "it is none of this project's, or damaged: move it, or choose another folder"
        raise EnvironmentFault(f"{path} says nothing of what was made there; {allowed}") from error


def _of_earlier(folder: Path) -> dict[str, str]:
    made = dict[str, str]()
    for page, (marks, patterns) in _EARLIER.items():
        try:
            text = (folder / page).read_text(encoding="utf-8")
        except (OSError, ValueError):
            continue
        if any(mark in text for mark in marks):
            beside = {path.relative_to(folder).as_posix() for each in patterns for path in folder.glob(each)}
            made |= dict.fromkeys([page, *beside], "")
    return {name: digest for name, digest in made.items() if (folder / name).is_file()}


def _move(building: Path, folder: Path, new: Mapping[str, str], whole: Sequence[str]) -> None:
    earlier = note(folder)
    _write(folder, {**earlier, **new})  # first: what a kill leaves between is known
    for name in new:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.move(building / name, folder / name)  # a folder in it may be a link to another disk
    gone = [name for name in earlier.keys() - new.keys() if any(fnmatch.fnmatch(name, each) for each in whole)]
    for name in gone:
        if _digest(folder / name) == earlier[name]:
            (folder / name).unlink()
            _remove_empty((folder / name).parent, folder)
    if gone:
        _write(folder, {name: digest for name, digest in earlier.items() if name not in gone} | dict(new))


def _write(folder: Path, digests: Mapping[str, str]) -> None:
    write_json(folder / NOTE, {"made": dict(sorted(digests.items()))})


def _remove_empty(path: Path, folder: Path) -> None:
    with contextlib.suppress(OSError):  # it holds something
        while path != folder:
            path.rmdir()
            path = path.parent


def _files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file())


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@contextlib.contextmanager
def _told_as(building: Path, folder: Path) -> Iterator[None]:
    """Errors that name the temporary folder name the one that was given."""
    try:
        yield
    except EnvironmentFault as error:
        if str(building) not in str(error):
            raise
        raise EnvironmentFault(str(error).replace(str(building), str(folder))) from error


def copy(source: Path, target: Path, *, without: Sequence[str] = ()) -> None:
    """Copies a file, or a folder but for files of these names; OSError as the system has it."""
    for path in _files(source) if source.is_dir() else [source]:
        if path.name not in without:
            copied = target / path.relative_to(source)
            copied.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(path, copied)
