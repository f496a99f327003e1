"""Makes tables, figures, claims.csv and report.html again from finished runs; nothing is trained.

    python -m experiments.report --workdir=workdir/replicate
    python -m experiments.report --workdir=workdir/momentum_grid,workdir/adam_betas --output=workdir/both

Several work directories must be of the same data, network and settings. A few seconds a dozen figures.
"""

import contextlib
from collections.abc import Sequence
from pathlib import Path

from absl import flags

from experiments.command import start as command
from jaxopt_study.errors import InputError
from jaxopt_study.storage import remote, workdir


def main(argv: Sequence[str] | None = None) -> None:
    """The command."""
    flags.DEFINE_list("workdir", None, "Work directories with finished runs, comma-separated.", allow_override=True)
    flags.DEFINE_string("output", None, "Folder to write into; the first work directory if not given.")
    command.start(body, argv)


def body() -> None:
    """Everything between the flags and the exit status."""
    given = flags.FLAGS["workdir"].value
    if not given:
        raise InputError("--workdir", "", "allowed are work directories with finished runs, comma-separated")
    for name in given:
        folder = remote.place(name).expanduser()
        if not remote.is_url(name) and not folder.is_dir():
            raise InputError("--workdir", folder, "there is no such folder")
    output = flags.FLAGS["output"].value
    into = workdir.check(Path(output) if output else remote.place(given[0]))
    from experiments.command import (  # takes its time to import: not before the flags are known to be good
        outputs,
        results,
    )

    with contextlib.ExitStack() as held:
        folders = [held.enter_context(remote.kept(name)).expanduser() for name in given]
        outputs.write(results.read(folders), into)


if __name__ == "__main__":
    main()
