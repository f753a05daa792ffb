"""What changed since the last run of the same organization in the same output folder, in one line.

It is a service to the reader: whatever is wrong with the earlier run is said, and never fails the one that is done.
"""

from __future__ import annotations

import logging
from pathlib import Path

import msgspec
from rich.console import Console

from auditor import changes, engine, seal, verify
from auditor.cli.complaint import inert
from auditor.cli.screen import show_line
from auditor.contents import Directory
from auditor.model import EvidenceError

LOG = logging.getLogger(__name__)
_TROUBLE = (EvidenceError, OSError, msgspec.MsgspecError, UnicodeError)


class Unknown(msgspec.Struct, frozen=True):
    """There are earlier runs, but which is the last of this organization cannot be told."""

    reason: str


def find(output: Path, organization: str) -> Path | Unknown | None:
    """Return the folder of the last run; to be asked before the next one begins."""
    try:
        latest = seal.latest_run(output, organization=organization, strict=True)
    except _TROUBLE as error:
        return Unknown(str(error))
    return output / latest[0].id if latest else None


def show(console: Console, previous: Path | Unknown | None, run: Path) -> None:
    """Print what changed between two runs; nothing after the first one."""
    if previous is not None:
        show_line(console, inert(_in_words(previous, run)))


def _in_words(previous: Path | Unknown, run: Path) -> str:
    if isinstance(previous, Unknown):
        return f"what changed since the last run is unknown: {previous.reason}"
    try:
        verify.compare_digests(Directory(previous))
        return changes.in_words(changes.compare(engine.open_run(previous), engine.open_run(run)))
    except _TROUBLE as error:
        LOG.info("comparing with %s", previous, exc_info=True)
        return f"what changed since {previous.name} is unknown: {_first_line(error)}"


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]
