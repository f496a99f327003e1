"""A command's outer side: flags that cannot be parsed and work that cannot be done end it with one line on stderr."""

import logging
import sys
from collections.abc import Callable, Sequence
from typing import NoReturn

from absl import app, flags

from jaxopt_study.errors import EnvironmentFault, InputError


class Stopped(Exception):  # not an error: the person asked for it
    """The command was asked to stop; the message says what is kept."""


def start(body: Callable[[], None], argv: Sequence[str] | None = None) -> NoReturn:
    """Parses the flags, runs ``body`` and ends the program.

    Exit status: 0; 2 for input that cannot be used; 1 for what the machine cannot do; 130 if it was asked to stop.

    Args:
        body: reads the flags.
        argv: the command line, its name first; the program's own if None.
    """

    def guarded(_: Sequence[str]) -> None:
        try:
            body()
        except InputError as error:
            leave(2, f"error: {error}")
        except EnvironmentFault as error:
            leave(1, f"error: {error}")
        except Stopped as stopped:
            leave(130, str(stopped))

    logging.getLogger("matplotlib").setLevel(logging.WARNING)  # it tells at INFO that it looks for fonts
    app.run(guarded, argv=None if argv is None else list(argv), flags_parser=parse)
    raise AssertionError("app.run ends the program")


def parse(arguments: Sequence[str]) -> list[str]:
    """Parses flags; what cannot be parsed ends the program with one line and exit status 2."""
    try:
        rest: list[str] = flags.FLAGS(arguments)
        if len(rest) > 1:
            raise flags.Error(f"{rest[1]!r} is not a flag")
    except flags.Error as error:
        leave(2, "error: " + " ".join(str(error).split()))
    return rest


def leave(status: int, line: str) -> NoReturn:
    """Ends the program with one line on stderr."""
    print(" ".join(line.splitlines()), file=sys.stderr)
    sys.exit(status)
