"""What stands with a line of evidence on its page: what was asked of whom, when, how it went, and what came back."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator

import msgspec

from auditor.answers import Status
from auditor.evidence import CloseLine, OpenLine, Page, describe_question
from auditor.model import JSON
from auditor.questions import Attempt, Effect, Failure
from auditor.wording import counted


class _Answer(msgspec.Struct, frozen=True, kw_only=True, tag_field="kind", tag="answer"):
    """An answer line without its body, which the page shows as it is."""

    target: str
    operation: str
    params: dict[str, JSON]
    effect: Effect
    status: Status
    started_at: dt.datetime
    ended_at: dt.datetime
    server_time: dt.datetime | None = None
    attempts: tuple[Attempt, ...] = ()
    page: Page | None = None
    items: int | None = None
    error: Failure | None = None
    raw_sha256: str = ""
    redacted: tuple[str, ...] = ()


class _Subject(msgspec.Struct, frozen=True, tag_field="kind", tag="subject"):
    """A line of the listing, which says everything itself."""


_LINE = msgspec.json.Decoder(OpenLine | _Answer | _Subject | CloseLine)


def facts(line: bytes) -> list[tuple[str, str]]:
    """Return terms and what is to be said of each; nothing of a line that cannot be read."""
    try:
        found = _LINE.decode(line)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return []
    if isinstance(found, OpenLine):
        return [("Task", found.task), ("By", found.tool), ("Begun", _moment(found.started_at))]
    if isinstance(found, CloseLine):
        how = "carried out to its end" if found.complete else f"not carried out to its end: {found.error}"
        held = f"{counted(found.answers, 'answer')}, {counted(found.subjects, 'line')} of populations"
        return [("Task", how), ("Holds", held), ("Closed", _moment(found.closed_at))]
    return list(_of_answer(found)) if isinstance(found, _Answer) else []


def _of_answer(line: _Answer) -> Iterator[tuple[str, str]]:
    yield "Asked", describe_question(line.operation, line.params)
    yield "Of", f"{line.target} ({line.effect})"
    yield "When", f"{_moment(line.started_at)} to {_moment(line.ended_at)}"
    if line.server_time is not None:
        yield "Its own clock", _moment(line.server_time)
    if line.attempts:
        yield "Attempts", "; ".join(map(_attempt, line.attempts))
    yield "Outcome", f"{line.status}: {line.error.code}: {line.error.message}" if line.error else line.status
    if line.page is not None:
        items = f", {counted(line.items, 'item')}" if line.items is not None else ""
        yield "Page", f"{line.page.i:,}{', the last' if line.page.last else ', more follow'}{items}"
    yield "On the wire", f"SHA-256 {line.raw_sha256}" if line.raw_sha256 else "no digest of what came"
    yield "Left out", ", ".join(line.redacted) if line.redacted else "nothing"


def _attempt(attempt: Attempt) -> str:
    status = f" status {attempt.status}" if attempt.status else ""
    return f"{_moment(attempt.at)}{status}{f' ({attempt.reason})' if attempt.reason else ''}"


def _moment(at: dt.datetime) -> str:
    return f"{at.astimezone(dt.UTC):%Y-%m-%d %H:%M:%S.%f} UTC"
