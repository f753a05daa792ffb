"""Logs: to stderr as -v asks, and to a file once there is something worth keeping. Secrets are masked in both."""

from __future__ import annotations

import logging
import os
import tempfile
import traceback
from pathlib import Path

from auditor.cli.complaint import inert
from auditor.redact import Redactor

LEVELS = {0: logging.ERROR, 1: logging.INFO}
FORMAT = "%(asctime)s %(levelname)s %(name)s: %(message)s"


class RedactingFormatter(logging.Formatter):
    """Masks every known secret in the finished text, tracebacks included."""

    def __init__(self, redactor: Redactor) -> None:
        super().__init__(FORMAT)
        self._redactor = redactor

    def format(self, record: logging.LogRecord) -> str:
        """Return the masked line."""
        return self._redactor.text(super().format(record))


class ScreenFormatter(RedactingFormatter):
    """One harmless line for each record: a traceback is for the file."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the masked line, and the name of the error where there is one."""
        kind = record.exc_info[0] if record.exc_info else None
        record.message = record.getMessage() + (f": {kind.__name__}" if kind else "")
        record.asctime = self.formatTime(record)
        return inert(self._redactor.text(self.formatMessage(record)))


class _State:
    """What the process logs to; there is one command per process."""

    redactor = Redactor()
    file: Path | None = None


def set_up(verbosity: int, redactor: Redactor, file: Path | None) -> None:
    """Send our log to stderr (-v: information, -vv: everything) and warnings and worse to `file` when there are any.

    Without a file nothing is kept.
    """
    _State.redactor, _State.file = redactor, file
    root = logging.getLogger()
    for handler in list(root.handlers):
        root.removeHandler(handler)
        handler.close()
    logging.captureWarnings(capture=True)  # nor are those of libraries for people
    logging.raiseExceptions = False  # a log that cannot be written must not spill tracebacks
    if verbosity:
        screen = logging.StreamHandler()
        screen.setLevel(LEVELS.get(verbosity, logging.DEBUG))
        screen.setFormatter(ScreenFormatter(redactor))
        root.addHandler(screen)
    kept = logging.FileHandler(file, encoding="utf-8", delay=True) if file else logging.NullHandler()
    kept.setLevel(logging.WARNING)
    kept.setFormatter(RedactingFormatter(redactor))
    root.addHandler(kept)
    root.setLevel(logging.DEBUG if verbosity > 1 else logging.INFO)


def concealed(text: str) -> str:
    """Return text for the screen with every secret masked that this command knows."""
    return _State.redactor.text(text)


def where_the_log_is(error: Exception) -> str:
    """Write the traceback of an unforeseen error to the log; return where it can be read."""
    text = _State.redactor.text("".join(traceback.format_exception(error)))
    for place in (_State.file, None):
        try:
            path = place or _temporary()
            with path.open("a", encoding="utf-8", errors="backslashreplace") as handle:
                handle.write(text)
        except OSError:
            continue
        return f"the log is {path}"
    return "no log could be written"


def _temporary() -> Path:
    """Return a new file that nobody else can have put there."""
    number, name = tempfile.mkstemp(prefix="auditor-", suffix=".log")
    os.close(number)
    return Path(name)
