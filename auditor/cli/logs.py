"""Logs: to stderr as -v asks, and to a file once there is something worth keeping. Secrets are masked in both."""

from __future__ import annotations

import logging
import tempfile
import traceback
from pathlib import Path

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


class _State:
    """What the process logs to; there is one command per process."""

    redactor = Redactor()
    file: Path | None = None


def set_up(verbosity: int, redactor: Redactor, file: Path) -> None:
    """Send our log to stderr (-v: information, -vv: everything) and warnings and worse to `file` when there are any."""
    _State.redactor, _State.file = redactor, file
    root = logging.getLogger()
    for handler in list(root.handlers):
        root.removeHandler(handler)
        handler.close()
    formatter = RedactingFormatter(redactor)
    if verbosity:
        screen = logging.StreamHandler()
        screen.setLevel(LEVELS.get(verbosity, logging.DEBUG))
        screen.setFormatter(formatter)
        root.addHandler(screen)
    kept = logging.FileHandler(file, encoding="utf-8", delay=True)
    kept.setLevel(logging.WARNING)
    kept.setFormatter(formatter)
    root.addHandler(kept)
    root.setLevel(logging.DEBUG if verbosity > 1 else logging.INFO)


def where_the_log_is(error: Exception) -> str:
    """Write the traceback of an unforeseen error to the log; return where it can be read."""
    text = _State.redactor.text("".join(traceback.format_exception(error)))
    for path in (_State.file, Path(tempfile.gettempdir()) / "auditor.log"):
        try:
            if path is not None:
                with path.open("a", encoding="utf-8") as handle:
                    handle.write(text)
                return f"the log is {path}"
        except OSError:
            continue
    return "no log could be written"
