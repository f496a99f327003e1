"""Where a command works, the same of all: --workdir is a folder or a URL of object storage, --output a folder."""

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from absl import flags

from jaxopt_study.errors import InputError
from jaxopt_study.storage import remote, workdir

FLAGS: Any = flags.FLAGS


def given(usual: str = "") -> str:
    """--workdir, the usual one where none is given; InputError: there is neither."""
    name: str = FLAGS.workdir or usual
    if not name:
        raise InputError("--workdir", "", "allowed is a work directory, a folder or a URL of object storage")
    return name


@contextlib.contextmanager
def kept(usual: str = "", *, shared: bool = False) -> Iterator[Path]:
    """The folder on this machine of --workdir: one to write into where there is a ``usual`` one, else to be read.

    Raises:
        InputError: it can be none.
        EnvironmentFault: its storage does not answer, or another machine is at work there.
    """
    name = given(usual)
    if usual:
        workdir.check(remote.place(name, shared=shared))
    with remote.kept(name, shared=shared) as folder:
        yield folder.expanduser()


def output(usual: str | Path) -> Path:
    """--output to write into, the usual folder where none is given; InputError: it is no folder of this machine."""
    name: str = FLAGS.output
    if name and remote.is_url(name):
        raise InputError("--output", name, "allowed is a folder of this machine that can be written")
    return workdir.check(Path(name), "--output") if name else workdir.check(Path(usual))
