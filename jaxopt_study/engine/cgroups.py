"""What a container may use: the CPU quotas and memory limits of Linux's control groups, of either version.

A group's limits hold for all groups in it, so those of its parents count too. In a container the path of its own group
may not be there; the limits then stand at the root of what is.
"""

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeVar

_Read = TypeVar("_Read")


def cores(root: Path = Path("/")) -> float | None:
    """How many cores' worth of time this process may take, such as 1.5; None: as many as it likes."""
    return min(_all("cpu", root, _quota), default=None)


def memory_left(root: Path = Path("/")) -> int | None:
    """Bytes that this process may still take, droppable caches of files counted as free; None: no limit."""
    return min(_all("memory", root, _left), default=None)


def _all(controller: str, root: Path, read: Callable[[Path], _Read | None]) -> Iterator[_Read]:
    for folder in _groups(controller, root):
        with contextlib.suppress(OSError, ValueError, ZeroDivisionError):  # none is set there, or it cannot be read
            if (found := read(folder)) is not None:
                yield found


def _groups(controller: str, root: Path) -> Iterator[Path]:
    """The folders of this process's group and of its parents, for a controller."""
    mounted = root / "sys/fs/cgroup"
    try:
        lines = (root / "proc/self/cgroup").read_text(encoding="utf-8").splitlines()
    except (OSError, ValueError):
        return
    for _, controllers, path in (line.split(":", 2) for line in lines if line.count(":") >= 2):
        parts = [part for part in path.split("/") if part not in ("", "..")]
        bases = [mounted / controller] if controller in controllers.split(",") else []
        for base in bases if controllers else [mounted, mounted / "unified"]:
            yield from (base.joinpath(*parts[:depth]) for depth in range(len(parts), -1, -1))


def _quota(group: Path) -> float | None:
    if (group / "cpu.max").exists():
        quota, period = (group / "cpu.max").read_text().split()
    else:
        quota, period = ((group / f"cpu.cfs_{name}_us").read_text() for name in ("quota", "period"))
    return None if quota == "max" or int(quota) <= 0 else int(quota) / int(period)


def _left(group: Path) -> int | None:
    second = (group / "memory.max").exists()
    limit, used = ("memory.max", "memory.current") if second else ("memory.limit_in_bytes", "memory.usage_in_bytes")
    if (most := (group / limit).read_text().strip()) == "max":
        return None
    caches = dict(line.split() for line in (group / "memory.stat").read_text().splitlines())
    dropped = int(caches.get("inactive_file" if second else "total_inactive_file", 0))
    return max(int(most) - int((group / used).read_text()) + dropped, 0)
