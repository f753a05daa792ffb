"""What a check asks through: every question is looked up in the task's segment first, and asked at most once.

Live, a `Recorder` stands behind it and asks what is not yet there; replayed, nobody does, and a question that was never
asked is an error. A check cannot tell the difference, which is why judging again next year is the same function.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from typing import Any

import msgspec

from auditor.answers import Answer, Listing, Record, Reference, pointer_join, pointer_tokens
from auditor.checking import in_batches
from auditor.evidence import AnswerLine, Page, Segment, describe_question, question_key
from auditor.model import AuditorError, Unreadable
from auditor.questions import Connection, Failure, Operation, Reply, SourceFailure, SourceType
from auditor.redact import Redactor

LOG = logging.getLogger(__name__)
MOST_PAGES = 10_000
"""No list is as long; a system whose every page names another one would be asked for ever."""


class Cancelled(AuditorError):
    """The run was interrupted: no further question is asked."""


class Recorder:
    """Asks one connection and writes what came back, redacted, before anyone reads it."""

    def __init__(
        self,
        segment: Segment,
        connection: Connection,
        redactor: Redactor,
        *,
        clock: Callable[[], datetime],
        cancelled: threading.Event,
        parallel: int,
    ) -> None:
        self._segment = segment
        self._connection = connection
        self._redactor = redactor
        self._clock = clock
        self._cancelled = cancelled
        self._parallel = parallel
        self.identity_unproved = ""
        """Why nobody knows who is asking; questions whose answer depends on it are then not asked."""

    @property
    def batch(self) -> int:
        """How many questions are worth asking at once."""
        return self._parallel * 4

    def record(self, target: str, operation: Operation, params: Mapping[str, Any]) -> None:
        """Ask one question and keep all its pages."""
        key = question_key(target, operation.name, params)
        for index, reply in enumerate(self._replies(operation, params), 1):
            self._keep(key, target, operation, params, reply, index)

    def record_each(self, target: str, operation: Operation, questions: Iterable[Mapping[str, Any]]) -> None:
        """Ask several different questions at once, and keep their answers in the order of the questions."""
        unasked = {question_key(target, operation.name, params): params for params in questions}
        unasked = {key: params for key, params in unasked.items() if self._segment.asked(key) is None}
        if not unasked:
            return
        with ThreadPoolExecutor(min(self._parallel, len(unasked))) as pool:
            answers = pool.map(lambda params: list(self._replies(operation, params)), unasked.values())
            for (key, params), replies in zip(unasked.items(), answers, strict=True):
                for index, reply in enumerate(replies, 1):
                    self._keep(key, target, operation, params, reply, index)

    def _replies(self, operation: Operation, params: Mapping[str, Any]) -> Iterator[Reply]:
        if self._cancelled.is_set():
            raise Cancelled("interrupted")
        if self.identity_unproved and operation.needs_identity:
            yield self._failed("identity", f"not asked, because who asks is not proved: {self.identity_unproved}")
            return
        try:
            asked = params if operation.asks_evidence else self._redactor.reveal(params)
            for number, reply in enumerate(self._connection.ask(operation, asked), 1):
                if number > MOST_PAGES:
                    yield self._failed("malformed", f"more than {MOST_PAGES:,} pages, so the list has no end")
                    return
                yield reply
        except SourceFailure as failure:
            yield self._failed(failure.code, failure.message)
        except Exception as error:  # boundary: a mistake in a source is an answer nobody can read, not a dead run
            LOG.exception("source failed at %s", describe_question(operation.name, params))
            yield self._failed("internal", type(error).__name__)

    def _failed(self, code: str, message: str) -> Reply:
        now = self._clock()
        return Reply(status="error", started_at=now, ended_at=now, error=Failure(code, message))

    def _keep(
        self, key: bytes, target: str, operation: Operation, params: Mapping[str, Any], reply: Reply, index: int
    ) -> None:
        body, masked, pseudonymised = self._redactor.keep(reply.body)
        redacted = tuple(sorted({*map(self._pointer, reply.redacted), *masked}))
        error = reply.error and Failure(*map(self._redactor.message, (reply.error.code, reply.error.message)))
        is_whole = not (redacted or reply.dropped or pseudonymised)
        is_raw = is_whole and (reply.error is None or self._is_clean(reply.error))
        listed = operation.items and reply.status == "ok"
        line = AnswerLine(
            n=self._segment.next_line,
            target=target,
            operation=operation.name,
            params=self._redactor.scrub(params)[0],
            effect=operation.effect,
            status=reply.status,
            started_at=reply.started_at,
            ended_at=reply.ended_at,
            server_time=reply.server_time,
            attempts=tuple(
                msgspec.structs.replace(attempt, reason=self._redactor.message(attempt.reason))
                for attempt in reply.attempts
            ),
            page=Page(index, reply.last) if operation.items else None,
            items=_count(body, operation.items) if listed else None,
            error=error,
            raw_sha256=reply.raw_sha256 if is_raw else "",
            redacted=redacted,
            dropped=tuple(map(self._pointer, reply.dropped)),
            pseudonymised=pseudonymised,
            body=body,
        )
        self._segment.add_answer(key, line)

    def _pointer(self, pointer: str) -> str:
        """Return a pointer with the names that were kept, in whichever way they stand in it."""
        return pointer_join("", *map(self._redactor.text, pointer_tokens(self._redactor.text(pointer))))

    def _is_clean(self, error: Failure) -> bool:
        return self._redactor.text(error.code) == error.code and self._redactor.text(error.message) == error.message


class Questions:
    """The source as a check sees it: one target of one segment, asked live or replayed.

    `allowed` are the operations that the check declares; None: any, for the engine's own questions.
    """

    def __init__(
        self,
        segment: Segment,
        target: str,
        kind: SourceType,
        recorder: Recorder | None = None,
        allowed: frozenset[str] | None = None,
    ) -> None:
        self._segment = segment
        self._allowed = allowed
        self._target = target
        self._kind = kind
        self._recorder = recorder
        self.read: dict[tuple[int, int], None] = {}
        """The line ranges that were asked for, in order: what proves an empty population."""

    @property
    def target(self) -> Answer:
        """The target as declared in the first line of the segment."""
        return Answer(self._segment.declaration(), pointer_join("", "targets", self._target))

    @property
    def shard(self) -> str:
        """The shard of the segment."""
        return self._segment.opened.shard

    def ask(self, operation: str, /, **params: Any) -> Answer:
        """Ask one question; an answer that could not be had raises when it is read."""
        row, asked, problem = self._prepare(operation, params)
        if problem is not None:
            return Answer(problem)
        if self._recorder is not None and self._offsets(row, asked) is None:
            self._recorder.record(self._target, row, asked)
        return self._answer(row, asked)

    def ask_each(self, operation: str, questions: Iterable[Mapping[str, Any]], /) -> Iterator[Answer]:
        """Ask many questions, several at once; answers come in the order of the questions."""
        row = self._row(operation)
        for batch in in_batches(questions, self._recorder.batch if self._recorder else 1):
            prepared = [self._prepare(operation, params) for params in batch]
            if self._recorder is not None:
                self._recorder.record_each(self._target, row, [asked for _, asked, bad in prepared if bad is None])
            for _, asked, problem in prepared:
                yield Answer(problem) if problem is not None else self._answer(row, asked)

    def listing(self, operation: str, /, **params: Any) -> Listing:
        """Ask one question and read all its pages, before the first item is seen."""
        row, asked, problem = self._prepare(operation, params)
        if problem is not None:
            return Listing(lambda: iter([problem]), row.items, problem.file, (problem.line, problem.line))
        if self._recorder is not None and self._offsets(row, asked) is None:
            self._recorder.record(self._target, row, asked)
        offsets = self._offsets(row, asked)
        if offsets is None:
            missing = self._answer(row, asked).record
            return Listing(lambda: iter([missing]), row.items, missing.file, (missing.line, missing.line))
        lines = (self._record(row, offsets[0]).line, self._record(row, offsets[-1]).line)
        self.read[lines] = None
        return Listing(lambda: self._pages(row, offsets), row.items, self._segment.name, lines)

    def _pages(self, row: Operation, offsets: tuple[int, ...]) -> Iterator[Record]:
        return (self._record(row, offset) for offset in offsets)

    def _prepare(self, operation: str, params: Mapping[str, Any]) -> tuple[Operation, dict[str, Any], Record | None]:
        """Resolve the parameters; the third part is the unreadable answer that stands in where one cannot be read."""
        row = self._row(operation)
        try:
            resolved = {name: p.value() if isinstance(p, Reference) else p for name, p in params.items()}
        except Unreadable as error:
            origin = error.cites[0]
            reason = f"not asked, because a parameter cannot be read: {error.reason}"
            return row, {}, Record(origin.file, origin.lines[0], operation, "error", reason=reason)
        return row, resolved, None

    def _row(self, operation: str) -> Operation:
        if self._allowed is not None and operation not in self._allowed:
            raise LookupError(f"the check asks {operation}, which it does not declare")
        return self._kind.operations[operation]

    def _offsets(self, row: Operation, params: Mapping[str, Any]) -> tuple[int, ...] | None:
        return self._segment.asked(question_key(self._target, row.name, params))

    def _answer(self, row: Operation, params: Mapping[str, Any]) -> Answer:
        offsets = self._offsets(row, params)
        if offsets is None:
            question = describe_question(row.name, params)
            return Answer(Record(self._segment.name, 1, question, "error", reason="not asked"))
        record = self._record(row, offsets[0])
        self.read[record.line, record.line] = None
        return Answer(record)

    def _record(self, row: Operation, offset: int) -> Record:
        record = self._segment.record(offset)
        if not row.dated or record.status != "ok":
            return record
        return msgspec.structs.replace(record, dated=_own_date(record, row.dated))


def _own_date(record: Record, pointer: str) -> datetime | None:
    """Return the datum's own time; None where it cannot be read, which counts as too old for any limit."""
    try:
        return Answer(record).get(pointer, datetime)
    except Unreadable:
        return None


def _count(body: Any, pointer: str) -> int | None:
    try:
        return len(Answer.literal(body).items(pointer))
    except Unreadable:
        return None
