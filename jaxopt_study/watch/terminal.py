"""A terminal that comes and goes: output that outlives its reader, and being asked to stop, answered at once."""

import contextlib
import io
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from typing import Any, TextIO

STOPS = tuple(getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name))
"""Signals that ask a process to stop: from the keyboard, from a scheduler, from a terminal that is gone."""


class Lasting:
    """A text stream that goes on without a word when its reader is gone: a pipe is closed, a terminal hangs up.

    What its encoding does not have is written escaped.
    """

    def __init__(self, stream: TextIO | None) -> None:
        self._stream: Any = stream or io.StringIO()  # a program without a console has none
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")

    def write(self, text: str) -> int:
        """Writes the text, or drops it."""
        with self._dropping():
            self._stream.write(text)
        return len(text)

    def flush(self) -> None:
        """Flushes, or drops what is left."""
        with self._dropping():
            self._stream.flush()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    @contextlib.contextmanager
    def _dropping(self) -> Iterator[None]:
        try:
            yield
        except OSError:
            with contextlib.suppress(OSError):  # the stream has no number
                nowhere = os.open(os.devnull, os.O_WRONLY)
                os.dup2(nowhere, self._stream.fileno())  # what is buffered has somewhere to go
                os.close(nowhere)


@contextlib.contextmanager
def lasting() -> Iterator[None]:
    """Makes the program's output lasting while the context lasts."""
    out, err = Lasting(sys.stdout), Lasting(sys.stderr)
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            yield
        finally:
            out.flush()
            err.flush()


@contextlib.contextmanager
def answered(line: str, stop: Callable[[int], object]) -> Iterator[None]:
    """While the context lasts a signal to stop is answered with a line on stderr, and ``stop`` is called with it.

    The line comes at once, from a thread: the main thread, which alone hears signals and calls ``stop``, may be in a
    compilation for minutes. The second signal ends the process. SIGHUP stays ignored where it is (nohup).
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    heard = [n for n in STOPS if n != getattr(signal, "SIGHUP", None) or signal.getsignal(n) is not signal.SIG_IGN]
    reading, writing = os.pipe()
    os.set_blocking(writing, False)

    def listen() -> None:
        told = False
        while number := os.read(reading, 1):
            if number[0] not in heard:
                continue
            if told:
                os._exit(128 + number[0])
            told = True
            with contextlib.suppress(OSError, ValueError):  # nobody reads it
                print(line, file=sys.stderr, flush=True)

    listener = threading.Thread(target=listen, daemon=True)
    listener.start()
    before = {number: signal.signal(number, lambda got, _: stop(got)) for number in heard}
    wakeup = signal.set_wakeup_fd(writing, warn_on_full_buffer=False)
    try:
        yield
    finally:
        signal.set_wakeup_fd(wakeup)
        for number, handler in before.items():
            signal.signal(number, handler)
        os.close(writing)
        listener.join()
        os.close(reading)
