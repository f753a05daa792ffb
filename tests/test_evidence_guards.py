"""What a segment says when it is read back, line for line, and what it keeps in memory."""

from __future__ import annotations

import datetime as dt
import io
from pathlib import Path
from typing import Any

import pytest

from auditor.answers import Record
from auditor.evidence import (
    CACHED_RECORDS,
    MOST_LINE,
    AnswerLine,
    OpenLine,
    Segment,
    changed_line,
    describe_question,
    mark_of,
    question_key,
)
from auditor.model import EvidenceError, Resource
from auditor.questions import Failure
from tests.sealing import marked

NOW = dt.datetime(2026, 11, 23, 12, 0, tzinfo=dt.UTC)
SECOND = dt.timedelta(seconds=1)
NAME = "evidence/s.main.jsonl"
OPENED = OpenLine(n=1, task="s.main", shard="main", targets={"s": {"owner": "me"}}, tool="t/1", started_at=NOW)


def segment(path: Path) -> Segment:
    return Segment.create(path, task="s.main", shard="main", targets=OPENED.targets, tool="t/1", started_at=NOW)


def add(to: Segment, number: int, **more: Any) -> int:
    """Add an answer; return where it stands."""
    key = question_key("s", "get", {"a": number})
    common: dict[str, Any] = {"effect": "read", "status": "ok", "started_at": NOW, "ended_at": NOW + number * SECOND}
    line = AnswerLine(n=to.next_line, target="s", operation="get", params={"a": number}, **{**common, **more})
    to.add_answer(key, line)
    (offset,) = to.asked(key) or ()
    return offset


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "s.main.jsonl"


@pytest.fixture
def rows(path: Path) -> list[bytes]:
    """The lines of a closed segment: the first, five answers, a subject, the last."""
    live = segment(path)
    for number in range(5):
        add(live, number, body={"x": number})
    live.add_subject("t", Resource("x", "y"))
    live.close(complete=True, error="", at=NOW)
    written = path.read_bytes()  # before it is let go: what is closed is written
    live.release()
    assert written == path.read_bytes()
    return written.splitlines(keepends=True)


def test_an_answer_is_read_back_as_it_was_given(path: Path) -> None:
    live = segment(path)
    failure = Failure("AccessDenied", "not for you")
    offset = add(live, 7, status="error", error=failure, server_time=NOW + SECOND, redacted=("/a",))
    record = Record(
        file=NAME, line=2, question="get(a=7)", status="error", body=None, reason="AccessDenied: not for you",
        redacted=("/a",), dated=NOW + 7 * SECOND, server_time=NOW + SECOND,
    )  # fmt: skip
    assert live.record(offset) == record
    fine = live.record(add(live, 8, body=[1]))
    assert fine == Record(NAME, 3, "get(a=8)", "ok", [1], dated=NOW + 8 * SECOND)
    assert list(live.records()) == [record, fine]
    assert live.asked(question_key("s", "get", {"a": 9})) is None
    live.release()


def test_the_first_line_is_read_like_an_answer(path: Path) -> None:
    live = segment(path)
    assert live.opened == OPENED
    declared = Record(NAME, 1, "the declared targets", "ok", {"targets": OPENED.targets}, dated=NOW)
    assert live.declaration() == declared
    live.close(complete=True, error="", at=NOW)
    live.release()
    again = Segment.read(path)
    assert (again.opened, again.declaration()) == (OPENED, declared)
    again.release()
    with pytest.raises(EvidenceError, match=f"^{NAME}: has no first line$"):
        _ = Segment(path, io.BytesIO()).opened


def test_a_segment_in_memory_is_read_back_and_stands_nowhere() -> None:
    live = Segment.in_memory(OPENED)
    assert (live.name, live.path, live.opened) == (NAME, Path("s.main.jsonl"), OPENED)
    offset = add(live, 1, body="x")
    assert live.record(offset) == Record(NAME, 2, "get(a=1)", "ok", "x", dated=NOW + SECOND)
    live.release()
    assert not live.path.exists()


def test_a_few_answers_are_kept_in_memory_those_read_last(path: Path) -> None:
    live = segment(path)
    offsets = [add(live, number) for number in range(CACHED_RECORDS + 1)]
    first, *more, last = offsets
    kept = {offset: live.record(offset) for offset in (first, *more)}
    assert all(live.record(offset) is record for offset, record in kept.items())
    live.record(first)
    live.record(last)  # one too many: it takes the place of the one that was not read for longest
    assert all(live.record(offset) is kept[offset] for offset in (first, *more[1:]))
    assert live.record(more[0]) is not kept[more[0]]
    live.release()


def test_what_is_written_after_an_answer_was_read_stands_after_all_others(path: Path) -> None:
    live = segment(path)
    live.record(add(live, 1))
    add(live, 2)
    live.close(complete=True, error="", at=NOW)
    live.release()
    Segment.read(path).release()


def test_questions_are_told_apart_by_target_operation_and_parameters() -> None:
    key = question_key("s", "get", {"a": 1, "b": 2})
    assert len(key) == 16
    assert key == question_key("s", "get", {"b": 2, "a": 1})
    others: list[tuple[str, str, dict[str, Any]]] = [
        ("t", "get", {"a": 1, "b": 2}),
        ("s", "put", {"a": 1, "b": 2}),
        ("s", "get", {"a": 1, "b": "2"}),
    ]
    assert len({key, *(question_key(*other) for other in others)}) == 4


def test_a_question_in_words() -> None:
    assert describe_question("get", {}) == "get()"
    assert describe_question("get", {"b": 1, "a": [1, 2, 3]}) == "get(a=[1, 2, 3], b=1)"
    assert describe_question("get", {"a": list(range(4))}) == "get(a=[0, 1, 2, … 4 in all])"
    assert describe_question("get", {"a": tuple(range(1234))}) == "get(a=[0, 1, 2, … 1,234 in all])"
    assert describe_question("get", {"a": "text"}) == "get(a=text)"


def read(path: Path, rows: list[bytes]) -> str:
    path.write_bytes(b"".join(rows))
    with pytest.raises(EvidenceError) as caught:
        Segment.read(path).release()
    return str(caught.value)


def test_a_damaged_segment_is_told_by_its_name_and_line(path: Path, rows: list[bytes]) -> None:
    assert read(path, [rows[0], *rows[2:]]) == f"{NAME}:2: is numbered 3"
    assert read(path, rows[1:]) == f"{NAME}:1: is numbered 2"
    changed = [*rows[:2], rows[2].replace(b'"x":1', b'"x":9'), *rows[3:]]
    assert read(path, changed) == f"{NAME}:4: does not follow the line before it, or that was changed"
    assert read(path, [rows[0].replace(b'"prev":""', b'"prev":"0"'), *rows[1:]]).startswith(f"{NAME}:1: does not")
    twice = marked([*rows, rows[-1].replace(b'"n":8', b'"n":9')])
    assert read(path, twice) == f"{NAME}:9: stands where it cannot stand"
    late = marked([rows[0], rows[0].replace(b'"n":1', b'"n":2'), *rows[2:]])
    assert read(path, late) == f"{NAME}:2: stands where it cannot stand"
    headless = marked([rows[1].replace(b'"n":2', b'"n":1'), *rows[1:]])
    assert read(path, headless) == f"{NAME}:1: stands where it cannot stand"
    assert read(path, [*rows[:-1], rows[-1][:-1]]) == f"{NAME}: the last line is cut"
    assert read(path, rows[:-1]) == f"{NAME}: is not closed, so it is not evidence"
    for count, other in ((b'"answers":5', b'"answers":6'), (b'"subjects":1', b'"subjects":2')):
        miscounted = marked([*rows[:-1], rows[-1].replace(count, other)])
        assert read(path, miscounted) == f"{NAME}: holds other counts than its last line says"
    path.unlink()
    with pytest.raises(EvidenceError, match=f"^{path}: cannot be read: No such file or directory$"):
        Segment.read(path)


NESTED = b'{"kind":"answer","n":2,"target":"s","operation":"get","params":{},"body":' + b"[" * 9_999


@pytest.mark.parametrize(
    "line",
    [
        b'{"kind":"answer","\xff":1}\n',
        b'{"kind":"answer","n":2,"target":"\xff"}\n',
        b"\xff\n",
        b"{}\n",
        b"\n",
        NESTED + b"\n",
    ],
)
def test_a_line_that_is_no_json_or_endless_is_refused(path: Path, rows: list[bytes], line: bytes) -> None:
    damaged = [rows[0], line, *rows[2:]]
    assert read(path, damaged).startswith(f"{NAME}: not a line of evidence: ")
    number, reason = changed_line(io.BytesIO(b"".join(damaged)))
    assert (number, reason.partition(": ")[0]) == (2, "not a line of evidence")


def test_a_line_of_which_only_the_head_can_be_read_is_refused_when_it_is_read(path: Path, rows: list[bytes]) -> None:
    for change in ((b'"effect":"read"', b'"effect":"none"'), (b'"x":0', b'"\xff":0')):
        path.write_bytes(b"".join(marked([rows[0], rows[1].replace(*change), *rows[2:]])))
        again = Segment.read(path)
        (offset,) = again.asked(question_key("s", "get", {"a": 0})) or ()
        with pytest.raises(EvidenceError, match=f"^{NAME}: not a line of evidence: "):
            again.record(offset)
        again.release()
    path.write_bytes(b"".join(rows))
    again = Segment.read(path)
    with pytest.raises(EvidenceError, match=f"^{NAME}: offset 0 is not an answer$"):
        again.record(0)
    again.release()


class Bounded(io.BytesIO):
    """A file that is not read without a bound: what was added to it may be one endless line."""

    def readline(self, size: int | None = -1, /) -> bytes:
        assert size == MOST_LINE
        return super().readline(size)


def told(rows: list[bytes]) -> tuple[int, str]:
    return changed_line(Bounded(b"".join(rows)))


CHANGED = "was changed: the line after it bears the mark of another"
AGREE = "the lines before it agree: this one was changed, or every mark was made anew"


def test_the_changed_line_is_told(rows: list[bytes]) -> None:
    def with_line(number: int, old: bytes, new: bytes) -> list[bytes]:
        assert old in rows[number - 1]
        return [row.replace(old, new, 1) if index == number else row for index, row in enumerate(rows, 1)]

    assert told(rows) == (8, AGREE)
    assert told(with_line(1, b"me", b"you")) == (1, CHANGED)
    for number in range(2, 7):
        assert told(with_line(number, b'"x":', b'"y":')) == (number, CHANGED)
        mark = mark_of(rows[number - 2]).encode()
        assert told(with_line(number, mark, b"0" * 16)) == (number, CHANGED)  # its own mark, which is of no other line
    assert told(with_line(1, b'"prev":""', b'"prev":"0123456789abcdef"')) == (1, CHANGED)
    assert told([rows[0].replace(b'"prev":""', b'"prev":"0123456789abcdef"')]) == (1, CHANGED)
    assert told(with_line(7, b'"y"', b'"z"')) == (7, CHANGED)
    assert told(with_line(8, b"true", b"false")) == (8, AGREE)
    assert told(with_line(8, mark_of(rows[6]).encode(), b"0" * 16)) == (7, CHANGED)  # nothing follows that could tell
    garbled = with_line(3, mark_of(rows[1]).encode(), b"0" * 16)
    assert told([*garbled[:3], b"garbage\n", *garbled[4:]]) == (3, CHANGED)


def test_lines_that_are_missing_or_too_many_are_told(rows: list[bytes]) -> None:
    order = "is numbered {}: lines were dropped, added or re-ordered here"
    assert told([*rows[:2], *rows[3:]]) == (3, order.format(4))
    assert told([*rows[:3], *rows[2:]]) == (4, order.format(3))
    assert told([*rows[:3], rows[4], rows[3], *rows[5:]]) == (4, order.format(5))
    assert told([]) == (1, "the last line is missing")
    assert told(rows[:1]) == (2, "the last line is missing")
    assert told(rows[:-1]) == (8, "the last line is missing")
    assert told([*rows, b"\n"]) == (9, "stands after the last line")
    assert told([*rows[:-1], rows[-1][:-1]]) == (8, "the last line is cut")
    reason = "not a line of evidence: JSON is malformed: invalid character (byte 0)"
    assert told([rows[0], b"garbage\n", *rows[2:]]) == (2, reason)
