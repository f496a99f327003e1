"""The article's chapters, a file each, as commands: python -m experiments lists them.

A command's process is made ready here, before anything slow is imported, so that whatever comes later finds it so.
"""

import os
import signal
import sys
from typing import NoReturn


def prepare() -> None:
    """Texts in UTF-8 whatever the locale, three open streams whatever was closed, and one line for Ctrl-C.

    What is imported takes a second or two, has nothing to put in order, and may swallow a KeyboardInterrupt.
    """
    if sys.getfilesystemencoding() != "utf-8" and os.environ.get("PYTHONUTF8") != "1":
        os.execve(sys.executable, [sys.executable, *sys.orig_argv[1:]], {**os.environ, "PYTHONUTF8": "1"})
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        if getattr(sys, name) is None:  # closed: the next file that is opened would be taken for it
            os.open(os.devnull, os.O_RDWR)  # takes the lowest number that is free
            setattr(sys, name, os.fdopen(number, "w" if number else "r", encoding="utf-8", closefd=False))
    signal.signal(signal.SIGINT, _leave)


def _leave(*_: object) -> NoReturn:
    print("interrupted", file=sys.stderr, flush=True)
    os._exit(130)


if sys.argv[0] == "-m":  # a command, of which nothing else is imported yet
    prepare()
