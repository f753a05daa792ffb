"""Where an answer comes from: what makes it complete and accurate in the eyes of somebody who has to rely on it.

Everything is read out of the sealed segment that holds the answer, and the scope that the run's head states: which
system and account answered, as whom it was asked and by which tool, what was asked, when, which page of how many this
is, how often it was tried, how far the declared scope was reached, and what was left out. Nothing is asked again.
"""

from __future__ import annotations

import datetime as dt
import hashlib
from collections.abc import Callable, Iterable, Mapping
from contextlib import AbstractContextManager

import msgspec

from auditor.answers import Answer, Record, pointer_join
from auditor.evidence import AnswerLine, CloseLine, OpenLine, Page, SubjectLine, describe_question, question_key
from auditor.model import JSON, EvidenceError, Unproven
from auditor.notices import FACTS
from auditor.questions import Attempt, Effect, Identified, SourceType
from auditor.results import EvidenceItem, ScopeItem

Lines = Callable[[], AbstractContextManager[Iterable[bytes]]]
"""Opens a segment, to be read line by line."""

_LINE = msgspec.json.Decoder(OpenLine | AnswerLine | SubjectLine | CloseLine)


_EFFECTS: Mapping[Effect, str] = {
    "read": "which only reads",
    "probe": "which tries something out",
    "create": "which creates something",
}


class Origin:
    """What the answers of one segment have in common, found in one pass: who answered, how many pages each list has."""

    def __init__(self, name: str, lines: Lines, scope: Iterable[ScopeItem], sources: Mapping[str, SourceType]) -> None:
        self._name = name
        self._sources = sources
        self._scope = {item.task: item for item in scope}
        self._pages: dict[bytes, tuple[int, bool]] = {}
        self._identified: dict[str, Identified] = {}
        self._opened: OpenLine | None = None
        self._closed: CloseLine | None = None
        with lines() as rows:
            for row in rows:
                self._take(row)

    def item(self, row: bytes) -> EvidenceItem:
        """Return what is known of the answer on a line; `EvidenceError` where it is none."""
        line = self._decode(row)
        opened, closed = self._opened, self._closed
        if not isinstance(line, AnswerLine) or opened is None or closed is None:
            raise EvidenceError(f"{self._name}:{line.n}: is no answer of a segment that was closed")
        where = "all of it" if opened.shard == "main" else opened.shard
        return EvidenceItem(self._name, line.n, dict(zip(FACTS, (
            *msgspec.structs.astuple(self._who(line.target)),
            opened.tool,
            f"{describe_question(line.operation, line.params)}, {_EFFECTS[line.effect]}",
            line.status if line.error is None else f"{line.status}: {line.error.code}: {line.error.message}",
            f"{_utc(line.started_at)}, answered at {_utc(line.ended_at)}",
            _utc(line.server_time) if line.server_time else "it told no time",
            self._page(line),
            "no list" if line.items is None else f"{line.items:,}",
            "; ".join(map(_attempt, line.attempts)) or "one, and nothing is noted of it",
            f"{line.target}: {where}; {_declared(opened.targets.get(line.target, {}))}",
            f"{opened.task}: {self._reached(opened, closed)}",
            line.raw_sha256 or _no_digest(line),
            hashlib.sha256(row).hexdigest(),
            ", ".join(pointer or "all of it" for pointer in line.redacted) or "nothing",
            ", ".join(pointer or "all of it" for pointer in line.pseudonymised) or "none",
        ), strict=True)))  # fmt: skip

    def _page(self, line: AnswerLine) -> str:
        if line.page is None:
            return "the whole answer"
        pages, whole = self._pages[question_key(line.target, line.operation, line.params)]
        return f"{line.page.i:,} of {pages:,}" + ("" if whole else ", and the list goes on")

    def _reached(self, opened: OpenLine, closed: CloseLine) -> str:
        item = self._scope.get(opened.task)
        if item is not None and item.error:
            return item.error
        return "read to its end" if closed.complete else f"not read to its end: {closed.error}"

    def _take(self, row: bytes) -> None:
        if row.startswith(b'{"kind":"subject"'):
            return  # as many as there are members, and nothing of theirs is needed
        line = self._decode(row)
        if isinstance(line, OpenLine):
            self._opened = line
        elif isinstance(line, CloseLine):
            self._closed = line
        elif isinstance(line, AnswerLine) and self._opened is not None:
            if isinstance(line.page, Page):
                key = question_key(line.target, line.operation, line.params)
                self._pages[key] = (self._pages.get(key, (0, False))[0] + 1, line.page.last and line.status != "error")
            kind = self._kind(line.target)
            if kind is not None and kind.identity == line.operation and line.target not in self._identified:
                self._identified[line.target] = _identify(kind, self._opened, line, self._name)

    def _kind(self, target: str) -> SourceType | None:
        declared = self._opened.targets.get(target, {}) if self._opened else {}
        return self._sources.get(str(declared.get("type", "")))

    def _who(self, target: str) -> Identified:
        """Return who answered; a target without an identity is what the settings say it is."""
        if target in self._identified:
            return self._identified[target]
        declared = self._opened.targets.get(target, {}) if self._opened else {}
        kind = self._kind(target)
        name = str(declared.get("type", "unknown"))
        if kind is None:
            return _unknown(name, f"not known: no source of the type {name} is installed here", declared)
        if kind.identity:
            return _unknown(name, "not proved: it was not asked who is asking", declared)
        return _unknown(name, "nobody in particular: this system does not say who asks", declared)

    def _decode(self, row: bytes) -> OpenLine | AnswerLine | SubjectLine | CloseLine:
        try:
            line: OpenLine | AnswerLine | SubjectLine | CloseLine = _LINE.decode(row)
        except msgspec.DecodeError as error:
            raise EvidenceError(f"{self._name}: not a line of evidence: {error}") from None
        return line


def is_answer(row: bytes) -> bool:
    """Whether a line of a segment is an answer, by how it begins."""
    return row.startswith(b'{"kind":"answer"')


def _identify(kind: SourceType, opened: OpenLine, line: AnswerLine, name: str) -> Identified:
    declared = opened.targets.get(line.target, {})
    if kind.identified is None:
        return _unknown(kind.name, "nobody in particular: this source does not say who asks", declared)
    failure = f"{line.error.code}: {line.error.message}" if line.error else ""
    record = Record(name, line.n, describe_question(line.operation, line.params), line.status, line.body, failure)
    whole = Record(name, 1, "the declared targets", "ok", {"targets": opened.targets})
    try:
        return kind.identified(Answer(whole, pointer_join("", "targets", line.target)), Answer(record))
    except Unproven as error:
        return _unknown(kind.name, f"not proved: {error.reason}", declared)


def _unknown(kind: str, asker: str, declared: Mapping[str, JSON]) -> Identified:
    return Identified(system=f"{kind}, as declared", account=f"as declared: {_declared(declared)}", asker=asker)


def _declared(declared: Mapping[str, JSON]) -> str:
    """Return the settings of a target in words."""
    pairs = ((name, value) for name, value in declared.items() if name != "type")
    words = (
        f"{name} {value if isinstance(value, str) else msgspec.json.encode(value).decode()}" for name, value in pairs
    )
    return ", ".join(words) or "nothing but its type"


def _no_digest(line: AnswerLine) -> str:
    """Say why no digest of the bytes on the wire was kept."""
    concealed = line.redacted or line.pseudonymised
    return "not kept: the bytes held something that is concealed here" if concealed else "none: no answer came as bytes"


def _attempt(attempt: Attempt) -> str:
    said = [_utc(attempt.at), *([f"status {attempt.status}"] if attempt.status else []), attempt.reason]
    return ", ".join(filter(None, said))


def _utc(moment: dt.datetime) -> str:
    return f"{moment.astimezone(dt.UTC):%Y-%m-%d %H:%M:%S.%f}"[:-3] + " UTC"
