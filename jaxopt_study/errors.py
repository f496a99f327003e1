"""The two ways in which a command can be refused, told apart by who can mend it."""

import re
from pathlib import Path

_LONGEST = 400


class InputError(ValueError):
    """The user's input cannot be used: exit status 2.

    The message is one line: the argument, the value that was given, what is allowed. A command says it of its flags,
    which are the same names behind ``--``.
    """

    def __init__(self, name: str, given: object, allowed: str) -> None:
        self.name = name.removeprefix("--")
        self.given = given
        self.allowed = allowed
        super().__init__(self.line(self.name, re.sub(r"--(?=[a-z])", "", allowed)))

    def line(self, name: str, allowed: str) -> str:
        """The message, with these spellings."""
        return " ".join(f"{name}={_short(self.given)}: {allowed}".splitlines())


class EnvironmentFault(RuntimeError):
    """The machine cannot do it (missing package, unwritable folder, full disk): exit status 1."""


class Damaged(EnvironmentFault):
    """A file is not what was written.

    Attributes:
        path: which.
        why: what is wrong with it.
    """

    def __init__(self, path: Path, why: str, advice: str) -> None:
        self.path, self.why = path, why
        super().__init__(f"{path} is damaged ({why}); {advice}")


def one_line(error: Exception, *, most: int = 200) -> str:
    """What an exception says, as one line of at most so many characters; its type where it says nothing."""
    return " ".join(str(error).split())[:most] or type(error).__name__


def _short(given: object) -> str:
    """As text of one screen line or two."""
    try:
        text = re.sub(r" at 0x[0-9a-f]+", "", str(given))  # where a function lies in memory says nothing
    except Exception:  # whole numbers of more digits than Python writes, lists in themselves
        return f"something of type {type(given).__name__}"
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST // 2]} .. {text[-_LONGEST // 4 :]}"
