"""Segments: one file of JSON lines per task, holding every answer it got, written once and read back by line.

A segment is `open`, then `answer` and `subject` lines, then `close`; without `close` it is not evidence. It is written
under the name `….partial`, and renamed when it is closed. Each line bears a mark of the one before it (`prev`), by
which a change can be told to the line; what proves that there is none is the seal of the run.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import io
import os
from collections import OrderedDict
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import IO, Any

import msgspec

from auditor.answers import Record, Status
from auditor.model import JSON, EvidenceError, Resource
from auditor.questions import Attempt, Effect, Failure

FOLDER = "evidence"
MARK_DIGITS = 16
MOST_LINE = 1 << 28
"""Bytes of a line that are looked at where a segment was changed: what no line ends would fill the memory."""
MOST_SHOWN = 3
"""Members of a list that a message shows: a question may be about a thousand resources."""
CACHED_RECORDS = 4
"""Decoded answers kept in memory per segment: a page being walked, and what is asked about each of its items."""


class OpenLine(msgspec.Struct, frozen=True, kw_only=True, tag_field="kind", tag="open"):
    """The first line: which task, over which targets as declared (never with secrets), by which tool."""

    n: int
    prev: str = ""
    task: str
    shard: str
    targets: dict[str, dict[str, JSON]]
    tool: str
    started_at: dt.datetime


class Page(msgspec.Struct, frozen=True):
    """Which page of a listing a line holds: `i` counts from 1, `last` says that no further page follows."""

    i: int
    last: bool


class AnswerLine(msgspec.Struct, frozen=True, kw_only=True, tag_field="kind", tag="answer", omit_defaults=True):
    """One answer, or one page of it, as it came back: question, times, attempts, body, digest of the raw bytes.

    `redacted` are the pointers of what was masked and cannot be read, `pseudonymised` those of texts in which e-mail
    addresses became pseudonyms, and which can; `dropped` those of members that hold nothing but a secret and were left
    out. With any of them the digest is left out, too.
    """

    n: int
    prev: str = ""
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
    dropped: tuple[str, ...] = ()
    pseudonymised: tuple[str, ...] = ()
    body: JSON = None


class _AnswerHead(msgspec.Struct, frozen=True, kw_only=True, tag_field="kind", tag="answer"):
    """The part of an answer line that is needed to find it again."""

    n: int
    prev: str = ""
    target: str
    operation: str
    params: dict[str, JSON]


class SubjectLine(msgspec.Struct, frozen=True, kw_only=True, tag_field="kind", tag="subject"):
    """One member of a test's population: a listing for people, never read when judging."""

    n: int
    prev: str = ""
    test: str
    resource: Resource


class CloseLine(msgspec.Struct, frozen=True, kw_only=True, tag_field="kind", tag="close"):
    """The last line: whether the task was carried out to its end, and if not, why."""

    n: int
    prev: str = ""
    complete: bool
    error: str
    answers: int
    subjects: int
    closed_at: dt.datetime


Line = OpenLine | AnswerLine | SubjectLine | CloseLine
_ENCODER = msgspec.json.Encoder()
_LINE = msgspec.json.Decoder(Line)
_HEAD = msgspec.json.Decoder(OpenLine | _AnswerHead | SubjectLine | CloseLine)
_KEY = msgspec.json.Encoder(order="sorted")


def question_key(target: str, operation: str, params: Mapping[str, Any]) -> bytes:
    """Return what makes a question the same question: 16 octets, whatever the order of its parameters."""
    return hashlib.sha256(_KEY.encode([target, operation, params])).digest()[:16]


def mark_of(line: bytes) -> str:
    """Return what the following line bears of this one: the first digits of its SHA-256, its newline included."""
    return hashlib.sha256(line).hexdigest()[:MARK_DIGITS]


def describe_question(operation: str, params: Mapping[str, Any]) -> str:
    """Return a question in words for messages: its operation and parameters, long lists by their first members."""
    return f"{operation}({', '.join(f'{name}={_shown(value)}' for name, value in sorted(params.items()))})"


def _shown(value: Any) -> str:
    if not isinstance(value, list | tuple) or len(value) <= MOST_SHOWN:
        return str(value)
    return f"[{', '.join(map(str, value[:MOST_SHOWN]))}, … {len(value):,} in all]"


class Segment:
    """One segment on disk: appended to while collecting, read back by question. Keeps offsets, not bodies."""

    def __init__(self, path: Path, handle: IO[bytes]) -> None:
        self.path = path
        self.name = f"{FOLDER}/{path.name}"
        self._handle = handle
        self._asked: dict[bytes, list[int]] = {}
        self._recent: OrderedDict[int, Record] = OrderedDict()
        self._end = 0
        self._lines = 0
        self._mark = ""
        self.answers = 0
        self.subjects = 0
        self._opened: OpenLine | None = None
        self.closed: CloseLine | None = None

    @classmethod
    def create(
        cls,
        path: Path,
        *,
        task: str,
        shard: str,
        targets: dict[str, dict[str, JSON]],
        tool: str,
        started_at: dt.datetime,
    ) -> Segment:
        """Begin a new segment that will stand at `path` once it is closed."""
        segment = cls(path, path.with_name(path.name + ".partial").open("w+b"))
        segment._begin(OpenLine(n=1, task=task, shard=shard, targets=targets, tool=tool, started_at=started_at))
        return segment

    @classmethod
    def in_memory(cls, opened: OpenLine) -> Segment:
        """Begin a segment that stands on no disk: it can be read back while it lasts, and is never evidence."""
        segment = cls(Path(f"{opened.task}.jsonl"), io.BytesIO())
        segment._begin(opened)
        return segment

    @classmethod
    def read(cls, path: Path) -> Segment:
        """Open a closed segment; `EvidenceError` where it is cut, out of order or not closed."""
        try:
            segment = cls(path, path.open("rb"))
        except OSError as error:
            raise EvidenceError(f"{path}: cannot be read: {error.strerror}") from None
        try:
            segment._index()
        except BaseException:
            segment.release()
            raise
        return segment

    def add_answer(self, key: bytes, line: AnswerLine) -> None:
        """Append one answer (its `n` from `next_line`); it can be read back at once."""
        self._asked.setdefault(key, []).append(self._end)
        self.answers += 1
        self._append(line)

    def add_subject(self, test: str, resource: Resource) -> None:
        """Append one line of the population listing."""
        self.subjects += 1
        self._append(SubjectLine(n=self.next_line, test=test, resource=resource))

    def close(self, *, complete: bool, error: str, at: dt.datetime) -> None:
        """Write the last line and give the segment its name; only from now on it is evidence."""
        self.closed = CloseLine(
            n=self.next_line,
            complete=complete,
            error=error,
            answers=self.answers,
            subjects=self.subjects,
            closed_at=at,
        )
        self._append(self.closed)
        self._handle.flush()
        os.fsync(self._handle.fileno())
        self.path.with_name(self.path.name + ".partial").rename(self.path)

    def release(self) -> None:
        """Let go of the file."""
        self._handle.close()

    @property
    def next_line(self) -> int:
        """The number of the line that is written next (1-based)."""
        return self._lines + 1

    def asked(self, key: bytes) -> tuple[int, ...] | None:
        """Return where the answer to a question stands, one offset per page; None where it was never asked."""
        offsets = self._asked.get(key)
        return tuple(offsets) if offsets is not None else None

    def record(self, offset: int) -> Record:
        """Read one answer back."""
        if offset in self._recent:
            self._recent.move_to_end(offset)
            return self._recent[offset]
        position = self._handle.tell()
        self._handle.seek(offset)
        line = _decode(self._handle.readline(), self.name)
        self._handle.seek(position)
        if not isinstance(line, AnswerLine):
            raise EvidenceError(f"{self.name}: offset {offset} is not an answer")
        record = Record(
            file=self.name,
            line=line.n,
            question=describe_question(line.operation, line.params),
            status=line.status,
            body=line.body,
            reason=f"{line.error.code}: {line.error.message}" if line.error else "",
            redacted=line.redacted,
            dated=line.ended_at,
            server_time=line.server_time,
        )
        self._recent[offset] = record
        if len(self._recent) > CACHED_RECORDS:
            self._recent.popitem(last=False)
        return record

    def records(self) -> Iterator[Record]:
        """Read every answer back."""
        return (self.record(offset) for offsets in self._asked.values() for offset in offsets)

    @property
    def opened(self) -> OpenLine:
        """The first line."""
        if self._opened is None:
            raise EvidenceError(f"{self.name}: has no first line")
        return self._opened

    def declaration(self) -> Record:
        """The first line, to be read and cited like an answer."""
        opened = self.opened
        body = {"targets": opened.targets}
        return Record(self.name, 1, "the declared targets", "ok", body, dated=opened.started_at)

    def _begin(self, line: OpenLine) -> None:
        self._opened = line
        self._append(line)

    def _append(self, line: Line) -> None:
        data = _ENCODER.encode(msgspec.structs.replace(line, prev=self._mark)) + b"\n"
        self._handle.write(data)
        self._mark = mark_of(data)
        self._end += len(data)
        self._lines += 1

    def _index(self) -> None:
        for data in self._handle:
            line = _decode_head(data, self.name)
            if line.n != self._lines + 1:
                raise EvidenceError(f"{self.name}:{self._lines + 1}: is numbered {line.n}")
            if line.prev != self._mark:
                raise EvidenceError(f"{self.name}:{line.n}: does not follow the line before it, or that was changed")
            if self.closed is not None or isinstance(line, OpenLine) is not (self._lines == 0):
                raise EvidenceError(f"{self.name}:{line.n}: stands where it cannot stand")
            if isinstance(line, OpenLine):
                self._opened = line
            elif isinstance(line, CloseLine):
                self.closed = line
            elif isinstance(line, _AnswerHead):
                self._asked.setdefault(question_key(line.target, line.operation, line.params), []).append(self._end)
                self.answers += 1
            else:
                self.subjects += 1
            self._mark = mark_of(data)
            self._lines += 1
            self._end += len(data)
        if self.closed is None:
            raise EvidenceError(f"{self.name}: is not closed, so it is not evidence")
        if (self.closed.answers, self.closed.subjects) != (self.answers, self.subjects):
            raise EvidenceError(f"{self.name}: holds other counts than its last line says")


def _decode(data: bytes, name: str) -> Line:
    try:
        line: Line = _LINE.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise EvidenceError(f"{name}: not a line of evidence: {error}") from None
    return line


def _decode_head(data: bytes, name: str) -> OpenLine | _AnswerHead | SubjectLine | CloseLine:
    if not data.endswith(b"\n"):
        raise EvidenceError(f"{name}: the last line is cut")
    try:
        head: OpenLine | _AnswerHead | SubjectLine | CloseLine = _HEAD.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise EvidenceError(f"{name}: not a line of evidence: {error}") from None
    return head


def changed_line(handle: io.BufferedIOBase) -> tuple[int, str]:
    """Return the first line of a segment that is not as it was written, and why.

    For a segment whose digest differs: who recomputes every mark after a change is found by the digest only.
    """
    before, mark, number = b"", "", 0
    for number, data in enumerate(iter(lambda: handle.readline(MOST_LINE), b""), 1):
        try:
            head = _decode_head(data, "")
        except EvidenceError as error:
            return number, str(error).removeprefix(": ")
        if head.n != number:
            return number, f"is numbered {head.n}: lines were dropped, added or re-ordered here"
        if head.prev != mark:
            # The mark is of the line before; where this line was changed itself, the next does not follow it either.
            following = handle.readline(MOST_LINE)
            is_itself = bool(following) and _mark_in(following) != mark_of(data)
            line = number if is_itself or not before else number - 1
            return line, "was changed: the line after it bears the mark of another"
        if isinstance(head, CloseLine):
            if handle.readline(MOST_LINE):
                return number + 1, "stands after the last line"
            return number, "the lines before it agree: this one was changed, or every mark was made anew"
        before, mark = data, mark_of(data)
    return number + 1, "the last line is missing"


def _mark_in(data: bytes) -> str:
    try:
        return _decode_head(data, "").prev
    except EvidenceError:
        return ""
