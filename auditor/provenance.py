"""Where an answer comes from: what makes it complete and accurate in the eyes of somebody who has to rely on it.

Everything is read out of the sealed segment that holds the answer, and the scope that the run's head states: which
system and account answered, as whom it was asked and by which tool, what was asked, when, which page of how many this
is, how often it was tried, how far the declared scope was reached, and what was left out. Nothing is asked again.

`Origin` reads a segment once, holding a few numbers for each of its lists; then `item` tells of any of its lines.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import logging
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager

import msgspec

from auditor.answers import Answer, Record, pointer_join, resolve_pointer
from auditor.evidence import AnswerLine, CloseLine, OpenLine, SubjectLine, describe_question, question_key
from auditor.model import JSON, EvidenceError, Unproven
from auditor.notices import FACTS
from auditor.pseudonyms import PSEUDONYM
from auditor.questions import Attempt, Effect, Identified, SourceType
from auditor.redact import MASK
from auditor.results import EvidenceItem, ScopeItem

LOG = logging.getLogger(__name__)
Lines = Callable[[], AbstractContextManager[Iterable[bytes]]]
"""Opens a segment, to be read line by line."""
_EFFECTS: Mapping[Effect, str] = {
    "read": "read: changes nothing",
    "probe": "probe: tries something out as any client could",
    "create": "create: makes something, as the settings allow",
}


class _Answered(AnswerLine, frozen=True, kw_only=True, tag_field="kind", tag="answer", omit_defaults=True):
    """An answer whose body is left as it stands: it may be long, and only that of the identity is read."""

    body: msgspec.Raw = msgspec.Raw(b"null")


_Line = OpenLine | _Answered | SubjectLine | CloseLine
_LINE = msgspec.json.Decoder(_Line)


class _List(msgspec.Struct):
    """A question whose answer comes in pages: how many were read, the items on them, and whether they are all."""

    pages: int = 0
    items: int = 0
    is_whole: bool = False


class Origin:
    """What the answers of one segment have in common, found in one pass: who answered, how many pages each list has.

    `name` is that of the segment in the run, `scope` what the run's head says was reached, and `sources` the types of
    source, by name. `EvidenceError` where a line is none of a segment.
    """

    def __init__(self, name: str, lines: Lines, scope: Iterable[ScopeItem], sources: Mapping[str, SourceType]) -> None:
        self._name = name
        self._sources = sources
        self._scope = {item.task: item for item in scope}
        self._lists: dict[bytes, _List] = {}
        self._identified: dict[str, Identified] = {}
        self._opened: OpenLine | None = None
        self._closed: CloseLine | None = None
        with lines() as rows:
            for row in rows:
                self._take(row)

    def item(self, row: bytes) -> EvidenceItem:
        """Return what is known of the answer on a line, its newline included; `EvidenceError` where it is none."""
        line = self._decode(row)
        opened, closed = self._opened, self._closed
        if not isinstance(line, _Answered) or opened is None or closed is None:
            raise EvidenceError(f"{self._name}:{line.n}: is no answer of a segment that was closed")
        listed = self._lists.get(_key(line)) if line.page is not None else None
        return EvidenceItem(self._name, line.n, dict(zip(FACTS, (
            *msgspec.structs.astuple(self._who(opened, line)),
            opened.tool,
            line.operation,
            msgspec.json.encode(line.params, order="sorted").decode() if line.params else "none",
            _EFFECTS[line.effect],
            line.status if line.error is None else f"{line.status}: {line.error.code}: {line.error.message}",
            _utc(line.started_at),
            _utc(line.ended_at),
            _utc(line.server_time) if line.server_time else "told no time",
            _page(line, listed),
            _items(line, listed),
            _attempts(line),
            f"{line.target}: {_part(opened, line.target)}; {_declared(opened.targets.get(line.target, {}))}",
            f"{opened.task}: {self._reached(opened, closed)}",
            line.raw_sha256 or _no_digest(line),
            hashlib.sha256(row).hexdigest(),
            "; ".join(_redacted(line)) or "nothing",
            "; ".join(_pseudonyms(line)) or "none",
        ), strict=True)))  # fmt: skip

    def _take(self, row: bytes) -> None:
        if row.startswith(b'{"kind":"subject"'):
            return  # as many as there are members, and nothing of theirs is needed
        line = self._decode(row)
        if isinstance(line, OpenLine):
            self._opened = line
        elif isinstance(line, CloseLine):
            self._closed = line
        elif isinstance(line, _Answered) and self._opened is not None:
            if line.page is not None:
                listed = self._lists.setdefault(_key(line), _List())
                listed.pages += 1
                listed.items += line.items or 0
                listed.is_whole = line.page.last and line.status != "error"
            kind = self._kind(self._opened, line.target)
            if kind is not None and kind.identity == line.operation and line.target not in self._identified:
                self._identified[line.target] = _identify(kind, self._opened, line, self._name)

    def _kind(self, opened: OpenLine, target: str) -> SourceType | None:
        return self._sources.get(str(opened.targets.get(target, {}).get("type", "")))

    def _who(self, opened: OpenLine, line: _Answered) -> Identified:
        """Return who answered; a target without an identity is what the settings say it is."""
        declared = opened.targets.get(line.target, {})
        kind = self._kind(opened, line.target)
        if kind is None:
            name = str(declared.get("type", "unknown"))
            return _unproved(name, (), declared, f"not known: no source of the type {name} is installed here")
        if not kind.identity:
            return _unproved(kind.name, kind.where, declared, "not proved: this system does not say who asks")
        known = self._identified.get(line.target)
        if known is None:
            known = _unproved(kind.name, kind.where, declared, "not proved: it was not asked who is asking")
        row = kind.operations.get(line.operation)
        if row is None or row.needs_identity or row.name == kind.identity:
            return known
        return Identified(
            system=f"{kind.name}, as the parameters name it" if line.params else known.system,
            account=f"not proved by this answer, which does not depend on who asks; of the target: {known.account}",
            asker="nobody in particular: the answer does not depend on who asks",
        )

    def _reached(self, opened: OpenLine, closed: CloseLine) -> str:
        item = self._scope.get(opened.task)
        if item is not None and item.error:
            return item.error
        return "read to its end" if closed.complete else f"not read to its end: {closed.error}"

    def _decode(self, row: bytes) -> _Line:
        try:
            line: _Line = _LINE.decode(row)
        except msgspec.DecodeError as error:
            raise EvidenceError(f"{self._name}: not a line of evidence: {error}") from None
        return line


def is_answer(row: bytes) -> bool:
    """Whether a line of a segment is an answer, by how it begins."""
    return row.startswith(b'{"kind":"answer"')


def _key(line: _Answered) -> bytes:
    return question_key(line.target, line.operation, line.params)


def _identify(kind: SourceType, opened: OpenLine, line: _Answered, name: str) -> Identified:
    """Return who answered, as the source reads it out of the answer about the identity."""
    declared = opened.targets.get(line.target, {})
    if kind.identified is None:
        return _unproved(kind.name, kind.where, declared, "not proved: this source does not say who asks")
    failure = f"{line.error.code}: {line.error.message}" if line.error else ""
    body, question = msgspec.json.decode(line.body), describe_question(line.operation, line.params)
    record = Record(name, line.n, question, line.status, body, failure, line.redacted)
    whole = Record(name, 1, "the declared targets", "ok", {"targets": opened.targets})
    try:
        return kind.identified(Answer(whole, pointer_join("", "targets", line.target)), Answer(record))
    except Unproven as error:
        reason = error.reason
    except Exception as error:  # boundary: a mistake in a source leaves a report that says so
        LOG.exception("source %s failed to say who answered", kind.name)
        reason = f"internal: {type(error).__name__}"
    return _unproved(kind.name, kind.where, declared, f"not proved: {reason}")


def _unproved(kind: str, where: Iterable[str], declared: Mapping[str, JSON], asker: str) -> Identified:
    """Return what the settings say in place of what the system would."""
    places = list(filter(None, (_text_at(declared, pointer) for pointer in where)))
    return Identified(
        system=f"{kind}{' at ' if places else ''}{', '.join(places)}, as declared",
        account=f"not proved; as declared: {_declared(declared)}",
        asker=asker,
    )


def _text_at(declared: Mapping[str, JSON], pointer: str) -> str:
    try:
        value = resolve_pointer(declared, pointer)
    except TypeError:
        return ""
    return str(value) if isinstance(value, str | int) else ""


def _declared(declared: Mapping[str, JSON]) -> str:
    """Return the settings of a target in words."""
    pairs = ((name, value) for name, value in declared.items() if name != "type")
    words = (
        f"{name} {value if isinstance(value, str) else msgspec.json.encode(value).decode()}" for name, value in pairs
    )
    return ", ".join(words) or "nothing but its type"


def _part(opened: OpenLine, target: str) -> str:
    """Return the part of a target that was looked at: the shard is that of the task's own target, not of others."""
    is_own = opened.task == f"{target}.{opened.shard}"
    return opened.shard if is_own and opened.shard != "main" else "all of it"


def _page(line: _Answered, listed: _List | None) -> str:
    if line.page is None or listed is None:
        return "the whole answer"
    if listed.is_whole:
        return f"{line.page.i:,} of {listed.pages:,}"
    return f"{line.page.i:,} of at least {listed.pages:,}: the list was not read to its end"


def _items(line: _Answered, listed: _List | None) -> str:
    if line.page is None or listed is None:
        return "no list"
    here = f"{line.items:,}" if line.items is not None else "none that can be counted"
    return f"{here}, of {'' if listed.is_whole else 'at least '}{listed.items:,} on all pages"


def _attempts(line: _Answered) -> str:
    if line.attempts:
        return f"{len(line.attempts):,}: {'; '.join(map(_attempt, line.attempts))}"
    return "none: the answer says why" if line.status == "error" else "1, and the source notes nothing of it"


def _attempt(attempt: Attempt) -> str:
    said = [_utc(attempt.at), *([f"status {attempt.status}"] if attempt.status else []), attempt.reason]
    return ", ".join(filter(None, said))


def _no_digest(line: _Answered) -> str:
    """Say why no digest of the bytes on the wire was kept."""
    if next(_redacted(line), "") or line.pseudonymised:
        return "not kept: the bytes held something that is concealed here"
    return "none: nothing came, or not as bytes"


def _redacted(line: _Answered) -> Iterator[str]:
    """Yield what is not to be read here: values that were masked, members that were left out, and where else."""
    yield from (f"{pointer or 'all of it'} masked" for pointer in line.redacted)
    yield from (f"{pointer} left out" for pointer in line.dropped)
    yield from (f"parts of the {name} masked" for name, text in _beside(line) if MASK in text)


def _pseudonyms(line: _Answered) -> Iterator[str]:
    yield from (pointer or "all of it" for pointer in line.pseudonymised)
    yield from (f"in the {name}" for name, text in _beside(line) if PSEUDONYM.search(text))


def _beside(line: _Answered) -> Iterator[tuple[str, str]]:
    """Yield what stands beside the body, where nothing is noted of what was masked."""
    yield "parameters", msgspec.json.encode(line.params).decode()
    yield "failure", f"{line.error.code} {line.error.message}" if line.error else ""
    yield "attempts", " ".join(attempt.reason for attempt in line.attempts)


def _utc(moment: dt.datetime) -> str:
    return f"{moment.astimezone(dt.UTC):%Y-%m-%d %H:%M:%S.%f}"[:-3] + " UTC"
