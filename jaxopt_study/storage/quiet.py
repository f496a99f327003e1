"""What Orbax says of itself: kept from the log, and where it fails said in a line."""

import errno
import logging

from jaxopt_study.errors import one_line


def why(error: Exception) -> str:
    """Why Orbax could not write, in a line: it and its storage raise many kinds for a full disk."""
    text = str(error)
    full = "No space left" in text or "RESOURCE_EXHAUSTED" in text or getattr(error, "errno", 0) == errno.ENOSPC
    return "the disk is full" if full else one_line(error)


def quieten_orbax() -> None:
    """Keeps Orbax's steps, and its failures with their tracebacks, from the log: what matters is raised in a line."""
    logging.getLogger("absl").addFilter(_not_orbax)
    logging.getLogger("asyncio").addFilter(_not_orbax)  # of several parts that fail it waits for one only


def _not_orbax(record: logging.LogRecord) -> bool:
    text = record.pathname if record.name == "absl" else record.getMessage()
    return "orbax" not in text and "tensorstore" not in text
