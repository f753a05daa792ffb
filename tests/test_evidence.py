"""Segments and the notebook over them: what cannot be read back is refused."""

from __future__ import annotations

import datetime as dt
import json
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import msgspec
import pytest

from auditor.evidence import Segment
from auditor.model import EvidenceError, Resource, Unreadable
from auditor.notebook import Cancelled, Questions, Recorder
from auditor.questions import Operation, Reply, SourceType
from auditor.redact import Redactor
from tests import toy
from tests.sealing import marked

NOW = dt.datetime(2026, 11, 23, 12, 0, tzinfo=dt.UTC)
ROWS = (
    Operation(name="get", summary=""),
    Operation(name="many", summary="", items="/Items"),
)


class Echo:
    """Answers with what it was asked; counts, and remembers which thread asked."""

    def __init__(self) -> None:
        self.asked: list[dict[str, Any]] = []
        self.threads: set[int] = set()

    def ask(self, operation: Operation, params: Mapping[str, Any]) -> Iterator[Reply]:
        del operation
        self.asked.append(dict(params))
        self.threads.add(threading.get_ident())
        pages = params.get("pages", 1)
        for page in range(pages):
            body = {"Items": [{"id": f"{page}-{i}"} for i in range(3)], "echo": dict(params)}
            yield Reply(status="ok", started_at=NOW, ended_at=NOW, body=body, last=page == pages - 1)


def kind() -> SourceType:
    shelf = toy.source(toy.World())
    return SourceType(
        name="echo", settings=shelf.settings, operations={row.name: row for row in ROWS}, declare=dict, open=shelf.open
    )


def segment(path: Path) -> Segment:
    targets: dict[str, dict[str, Any]] = {"s": {"owner": "me"}}
    return Segment.create(path, task="s.main", shard="main", targets=targets, tool="auditor/test", started_at=NOW)


def recorder(of: Segment, echo: Echo, redactor: Redactor | None = None) -> Recorder:
    return Recorder(of, echo, redactor or Redactor(), clock=lambda: NOW, cancelled=threading.Event(), parallel=4)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "s.main.jsonl"


def test_members_that_were_left_out_are_named_and_their_bytes_have_no_digest(path: Path) -> None:
    """Nobody can try what a short secret was, against the digest of bytes of which all else is known."""

    class Dropping(Echo):
        def ask(self, operation: Operation, params: Mapping[str, Any]) -> Iterator[Reply]:
            for reply in super().ask(operation, params):
                yield msgspec.structs.replace(reply, raw_sha256="ab", dropped=params.get("dropped", ()))

    live = segment(path)
    asking = Questions(live, "s", kind(), recorder(live, Dropping(), Redactor(["hunter2hunter2"])))
    for dropped in ((), ("/a/hunter2hunter2", "/b")):
        assert asking.ask("get", dropped=dropped).get("/Items", list), "what was left out makes nothing unreadable"
    live.close(complete=True, error="", at=NOW)
    live.release()
    whole, rest = (json.loads(line) for line in path.read_bytes().splitlines()[1:3])
    assert (whole["raw_sha256"], rest["dropped"]) == ("ab", ["/a/[redacted]", "/b"])
    assert "raw_sha256" not in rest
    assert "dropped" not in whole


def test_what_was_asked_live_is_read_back_the_same(path: Path) -> None:
    live = segment(path)
    asking = Questions(live, "s", kind(), recorder(live, Echo()))
    before = asking.ask("get", a=1).get("/echo", dict)
    items = [item.get("/id", str) for item in asking.listing("many", pages=3)]
    live.close(complete=True, error="", at=NOW)
    live.release()
    again = Segment.read(path)
    replayed = Questions(again, "s", kind())
    assert replayed.ask("get", a=1).get("/echo", dict) == before
    listing = replayed.listing("many", pages=3)
    assert [item.get("/id", str) for item in listing] == items
    assert len(items) == 9
    assert listing.cite().lines == (3, 5)
    assert replayed.target.get("/owner", str) == "me"
    again.release()


def test_a_segment_is_evidence_only_once_it_is_closed(path: Path) -> None:
    live = segment(path)
    Questions(live, "s", kind(), recorder(live, Echo())).ask("get", a=1)
    assert not path.exists()
    assert path.with_name(path.name + ".partial").exists()
    live.close(complete=True, error="", at=NOW)
    live.release()
    assert path.exists()
    Segment.read(path).release()


def closed(path: Path) -> list[bytes]:
    live = segment(path)
    asking = Questions(live, "s", kind(), recorder(live, Echo()))
    asking.ask("get", a=1)
    asking.ask("get", a=2)
    live.add_subject("t", Resource("x", "y"))
    live.close(complete=True, error="", at=NOW)
    live.release()
    return path.read_bytes().splitlines(keepends=True)


@pytest.mark.parametrize(
    ("damage", "reason"),
    [
        (lambda rows: rows[:-1], "not closed"),
        (lambda rows: [*rows[:-1], rows[-1][:-1]], "is cut"),
        (lambda rows: [*rows[:-1], rows[-1][:-20]], "is cut"),
        (lambda rows: [rows[0], *rows[2:]], "is numbered"),
        (lambda rows: [rows[0], rows[2], rows[1], *rows[3:]], "is numbered"),
        (lambda rows: rows[1:], "is numbered"),
        (lambda rows: marked([*rows, rows[-1].replace(b'"n":5', b'"n":6')]), "cannot stand"),
        (lambda rows: marked([rows[0], rows[0].replace(b'"n":1', b'"n":2'), *rows[2:]]), "cannot stand"),
        (lambda rows: [*rows[:2], rows[2].replace(b'"a":2', b'"a":3'), *rows[3:]], ":4: does not follow"),
        (lambda rows: [*rows[:-1], rows[-1].replace(b'"answers":2', b'"answers":3')], "other counts"),
        (lambda rows: [*rows[:-1], rows[-1].replace(b'"subjects":1', b'"subjects":0')], "other counts"),
        (lambda rows: [*rows[:1], b"garbage\n", *rows[2:]], "not a line of evidence"),
        (lambda rows: [*rows[:1], b'{"kind":"other","n":2}\n', *rows[2:]], "not a line of evidence"),
        (lambda _: [], "not closed"),
    ],
)
def test_a_damaged_segment_is_refused(path: Path, damage: Any, reason: str) -> None:
    rows = closed(path)
    Segment.read(path).release()  # the positive control
    path.write_bytes(b"".join(damage(rows)))
    with pytest.raises(EvidenceError, match=reason):
        Segment.read(path)


def test_a_segment_that_is_not_there_is_refused(path: Path) -> None:
    with pytest.raises(EvidenceError, match="cannot be read"):
        Segment.read(path)


def test_many_questions_are_asked_at_once_and_answered_in_order(path: Path) -> None:
    live = segment(path)
    echo = Echo()
    asking = Questions(live, "s", kind(), recorder(live, echo))
    questions = [{"a": index % 40} for index in range(100)]  # every one but the first forty is a repetition
    answers = [answer.get("/echo/a", int) for answer in asking.ask_each("get", questions)]
    assert answers == [question["a"] for question in questions]
    assert len(echo.asked) == 40
    assert len(echo.threads) > 1
    live.release()


def test_the_order_of_parameters_does_not_make_another_question(path: Path) -> None:
    live = segment(path)
    echo = Echo()
    asking = Questions(live, "s", kind(), recorder(live, echo))
    asking.ask("get", a=1, b=2)
    asking.ask("get", b=2, a=1)
    assert len(echo.asked) == 1
    asking.ask("get", a=1, b="2")
    assert len(echo.asked) == 2
    live.release()


def test_a_parameter_that_cannot_be_read_makes_that_answer_an_error_and_asks_nothing(path: Path) -> None:
    live = segment(path)
    echo = Echo()
    asking = Questions(live, "s", kind(), recorder(live, echo))
    first = asking.ask("get", a=1)
    second = asking.ask("get", a=first.at("/nothing/here", str))
    assert not second.readable
    with pytest.raises(Unreadable, match=r"a parameter cannot be read: .*nothing"):
        second.get("/echo", dict)
    assert len(echo.asked) == 1
    assert asking.ask("get", a=first.at("/echo/a", int)).readable
    live.release()


def test_secrets_are_masked_before_the_line_is_written_and_reading_them_raises(path: Path) -> None:
    live = segment(path)
    asking = Questions(live, "s", kind(), recorder(live, Echo(), Redactor(["s3cret/wörd"])))
    answer = asking.ask("get", a="my s3cret/wörd is out", b="fine")
    assert answer.get("/echo/b", str) == "fine"
    with pytest.raises(Unreadable, match="was redacted"):
        answer.get("/echo/a", str)
    with pytest.raises(Unreadable, match="was redacted"):
        answer.get("/echo", dict)
    live.close(complete=True, error="", at=NOW)
    live.release()
    text = path.read_text(encoding="utf-8")
    assert "[redacted]" in text
    body = next(json.loads(line) for line in text.splitlines() if '"answer"' in line)
    assert body["redacted"] == ["/echo/a"]
    assert "raw_sha256" not in body


def test_nothing_is_asked_once_the_run_is_cancelled(path: Path) -> None:
    live = segment(path)
    stop = threading.Event()
    asking = Questions(
        live, "s", kind(), Recorder(live, Echo(), Redactor(), clock=lambda: NOW, cancelled=stop, parallel=2)
    )
    asking.ask("get", a=1)
    stop.set()
    assert asking.ask("get", a=1).readable  # it stands in the notebook
    with pytest.raises(Cancelled):
        asking.ask("get", a=2)
    live.release()


def test_a_questions_parameters_are_masked_too(path: Path) -> None:
    live = segment(path)
    Questions(live, "s", kind(), recorder(live, Echo(), Redactor(["canary-secret"]))).ask("get", a="canary-secret")
    live.close(complete=True, error="", at=NOW)
    live.release()
    assert "canary-secret" not in path.read_text(encoding="utf-8")
