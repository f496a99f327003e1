"""A command's outer side: flags that cannot be parsed and work that cannot be done end it with one line on stderr."""

import contextlib
import logging
import sys
from collections.abc import Callable, Iterator, Sequence
from typing import NoReturn

from absl import app, flags

from jaxopt_study.errors import EnvironmentFault, InputError


class Stopped(Exception):  # not an error: the person asked for it
    """The command was asked to stop; the message says what is kept."""


@contextlib.contextmanager
def exit_status() -> Iterator[None]:
    """What a command's work raises, as its exit status: 0 if nothing.

    2 for input that cannot be used; 1 for what the machine cannot do; 130 if it was asked to stop.
    """
    logging.getLogger("matplotlib").setLevel(logging.WARNING)  # it tells at INFO that it looks for fonts
    try:
        yield
    except InputError as error:
        flag = f"--{error.name}" if error.name in flags.FLAGS else error.name  # the library's name of its argument
        leave(2, f"error: {InputError(flag, error.given, error.allowed)}")
    except EnvironmentFault as error:
        leave(1, f"error: {error}")
    except Stopped as stopped:
        leave(130, str(stopped))


def start(body: Callable[[], None], argv: Sequence[str] | None = None) -> None:
    """Parses the flags (of the program's own command line if None), runs ``body`` and ends the program."""
    with exit_status():
        app.run(lambda _: body(), argv=None if argv is None else list(argv), flags_parser=parse)


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
