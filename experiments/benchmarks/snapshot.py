"""A work directory as a few files of bounded size, to be carried from a machine that may be left soon, and merged.

What is finished comes first; what is under way, if it fits. See `gpu_study`.
"""

import functools
import io
import shutil
import tarfile
import tempfile
from collections.abc import Sequence
from pathlib import Path

from jaxopt_study.errors import EnvironmentFault
from jaxopt_study.files import write_atomically

MOST_BYTES, MOST_FILES = 15 << 20, 6
_SMALL = ("config.json", "stats.json")


def taken(workdir: Path, output: Path, *, most_bytes: int = MOST_BYTES, most_files: int = MOST_FILES) -> list[str]:
    """Writes ``study.000`` and so on into a folder: the runs of a work directory, and its newest checkpoint if it fits.

    Args:
        workdir: nobody writes there meanwhile.
        output: the files of an earlier snapshot there are replaced.
        most_bytes: of a file.
        most_files: that there may be.

    Returns:
        What had to be left out.
    """
    finished = [*sorted(workdir.glob("runs/*.parquet")), *(workdir / name for name in _SMALL)]
    checkpoints = sorted((path for path in workdir.glob("checkpoints/*") if path.name.isdigit()), key=_step)[-1:]
    left_out = []
    content = _archive(workdir, [path for path in (*finished, *checkpoints) if path.exists()])
    if len(content) > most_bytes * most_files:
        content = _archive(workdir, [path for path in finished if path.exists()])
        left_out = [str(path.relative_to(workdir)) for path in checkpoints]
    if len(content) > most_bytes * most_files:
        raise EnvironmentFault(f"the {len(content)} bytes of finished runs are more than {most_files} files may hold")
    output.mkdir(parents=True, exist_ok=True)
    for old in output.glob("study.[0-9][0-9][0-9]"):
        old.unlink()
    for number, start in enumerate(range(0, len(content), most_bytes)):
        part = content[start : start + most_bytes]
        write_atomically(output / f"study.{number:03d}", functools.partial(Path.write_bytes, data=part))
    return left_out


def joined(folder: Path, workdir: Path) -> tuple[int, int]:
    """Merges a snapshot into a work directory: what it has already stays.

    Returns:
        How many finished runs and how many checkpoints were added.

    Raises:
        EnvironmentFault: there is no snapshot, or not all of it.
    """
    parts = sorted(folder.glob("study.[0-9][0-9][0-9]"))
    if [path.name for path in parts] != [f"study.{number:03d}" for number in range(len(parts))] or not parts:
        raise EnvironmentFault(f"{folder} holds no whole snapshot: {len(parts)} files study.000 and so on")
    with tempfile.TemporaryDirectory() as temporary:
        try:
            with tarfile.open(fileobj=io.BytesIO(b"".join(path.read_bytes() for path in parts))) as archive:
                archive.extractall(temporary, filter="data")
        except (tarfile.TarError, OSError, EOFError) as error:
            raise EnvironmentFault(f"the snapshot in {folder} cannot be read ({error})") from error
        return _merged(Path(temporary), workdir)


def _merged(source: Path, workdir: Path) -> tuple[int, int]:
    added = []
    for pattern in ("runs/*.parquet", "checkpoints/*"):
        new = [path for path in source.glob(pattern) if not (workdir / path.relative_to(source)).exists()]
        added.append(len(new))
        for path in new:
            _copied(path, workdir / path.relative_to(source))
    for name in _SMALL:
        if (source / name).exists() and not (workdir / name).exists():
            _copied(source / name, workdir / name)
    return added[0], added[1]


def _copied(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    if source.is_dir():
        shutil.copytree(source, target)
    else:
        write_atomically(target, lambda path: shutil.copyfile(source, path))


def _archive(workdir: Path, paths: Sequence[Path]) -> bytes:
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w") as archive:
        for path in paths:
            archive.add(path, path.relative_to(workdir))
    return content.getvalue()


def _step(path: Path) -> int:
    return int(path.name)
