"""Where evidence comes from: for every answer, whole and in words, out of the sealed segment alone."""

from __future__ import annotations

import csv
import hashlib
import io
import re
import tracemalloc
from pathlib import Path
from typing import Any

import msgspec
import pytest
from msgspec.structs import replace

from auditor import plugins
from auditor.evidence import AnswerLine
from auditor.model import Citation, EvidenceError
from auditor.notices import FACTS
from auditor.provenance import Origin
from auditor.questions import Failure, SourceType
from auditor.redact import MASK
from auditor.reports.evidence import REPORT
from auditor.results import EvidenceItem, ScopeItem
from auditor.stored import StoredRun
from tests import toy
from tests.report_runs import Stored, a_head
from tests.toy import Result, World, audit, claim
from tests.world_runs import Audited, audited

LOCKED: dict[str, Any] = {"id": "t", "check": "boxes-locked"}
EVERYWHERE: dict[str, Any] = {"id": "e", "check": "boxes-locked-everywhere"}
WHO = "p-0123456789abcdef0123@pseudonym.invalid"
DENIED = Failure("AccessDenied", "you may not")
BOXES = [{"id": f"b{number}", "closed": True} for number in range(4)]


def stored(made: Result, world: World) -> StoredRun:
    return StoredRun(made.head, made.run / "evidence", made.run / "findings", toy.plugins(world).sources)


def facts(made: Result, world: World, operation: str) -> list[dict[str, str]]:
    return [dict(item.facts) for item in stored(made, world).items() if item.facts["Operation"] == operation]


def test_every_answer_says_all_of_it(tmp_path: Path) -> None:
    world = World(BOXES, pages=2)
    made = audit(world, tmp_path, claim("c", LOCKED))
    (first, second) = facts(made, world, "boxes")
    line = (made.run / "evidence/s.main.jsonl").read_bytes().splitlines(keepends=True)[2]
    assert first == {
        "System": "the shelf in the cellar",
        "Account": "owner me",
        "Asked as": "whoever comes in",
        "Asked by": f"auditor/{made.head.run.tool.version}",
        "Operation": "boxes",
        "Parameters": "none",
        "Effect": "read: changes nothing",
        "Answer": "ok",
        "Asked at": first["Asked at"],
        "Answered at": first["Answered at"],
        "System's clock": first["System's clock"],
        "Page": "1 of 2",
        "Items": "2, of 4 on all pages",
        "Attempts": first["Attempts"],
        "Scope declared": "s: all of it; owner me, only []",
        "Scope reached": "s.main: read to its end",
        "SHA-256 on the wire": "none: nothing came, or not as bytes",
        "SHA-256 of the line": hashlib.sha256(line).hexdigest(),
        "Redacted": "nothing",
        "Pseudonyms": "none",
    }
    asked = msgspec.json.decode(line, type=AnswerLine)
    assert first["Asked at"] == f"{asked.started_at:%Y-%m-%d %H:%M:%S}.000 UTC"
    assert first["Answered at"] == first["System's clock"] == f"{asked.ended_at:%Y-%m-%d %H:%M:%S}.000 UTC"
    assert first["Asked at"] < first["Answered at"]
    assert first["Attempts"] == f"1: {first['Asked at']}, status 200"
    assert (second["Page"], second["Items"]) == ("2 of 2", "2, of 4 on all pages")


def test_a_list_that_was_not_read_to_its_end_says_so(tmp_path: Path) -> None:
    world = World(BOXES, pages=2, errors={"boxes page 2": DENIED})
    made = audit(world, tmp_path, claim("c", LOCKED))
    first, second = facts(made, world, "boxes")
    cut = "of at least 2: the list was not read to its end"
    assert (first["Page"], second["Page"]) == (f"1 {cut}", f"2 {cut}")
    assert second["Answer"] == "error: AccessDenied: you may not"
    assert first["Items"] == "2, of at least 2 on all pages"
    assert second["Items"] == "none that can be counted, of at least 2 on all pages"
    assert "not read to its end: t: population incomplete" in first["Scope reached"]


def test_who_was_not_told_is_not_proved(tmp_path: Path) -> None:
    world = World(BOXES, errors={"who": DENIED})
    made = audit(world, tmp_path, claim("c", LOCKED))
    for item in stored(made, world).items():
        assert item.facts["Asked as"] == "not proved: who(): AccessDenied: you may not"
        assert item.facts["System"] == "shelf, as declared"
        assert item.facts["Account"] == "not proved; as declared: owner me, only []"
    (asked,) = facts(made, world, "boxes")
    assert asked["Attempts"] == "none: the answer says why"
    assert "not asked, because who asks is not proved" in asked["Answer"]


def test_who_else_answered_is_told_as_it_says(tmp_path: Path) -> None:
    world = World(BOXES, owner="somebody else")
    made = audit(world, tmp_path, claim("c", LOCKED))
    (who,) = facts(made, world, "who")
    assert who["Account"] == "owner somebody else"
    assert "wrong target" in who["Scope reached"]


def test_a_shard_says_which_part_it_is(tmp_path: Path) -> None:
    world = World(BOXES)
    made = audit(world, tmp_path, claim("c", EVERYWHERE), only=["north"])
    declared = {one["Scope declared"].partition(";")[0] for one in facts(made, world, "boxes")}
    assert declared == {"s: north"}


def test_a_further_target_has_no_part_in_the_shard_of_the_task(tmp_path: Path) -> None:
    world = World(BOXES)
    made = audit(world, tmp_path, claim("c", EVERYWHERE), only=["north"])
    path, task = made.run / "evidence/s.north.jsonl", {"target": "further"}
    rows = [msgspec.json.decode(row) for row in path.read_bytes().splitlines()]
    rows[0]["targets"]["further"] = rows[0]["targets"]["s"]
    path.write_bytes(b"".join(msgspec.json.encode(r | (task if r["kind"] == "answer" else {})) + b"\n" for r in rows))
    declared = {item.facts["Scope declared"].partition(";")[0] for item in stored(made, world).items()}
    assert {"further: all of it"} < declared
    assert "further: north" not in declared


def told(made: Result, kind: SourceType, operation: str) -> dict[str, str]:
    """Read a run as an installation would whose source is another."""
    run = StoredRun(made.head, made.run / "evidence", made.run / "findings", {"shelf": kind})
    return next(dict(item.facts) for item in run.items() if item.facts["Operation"] == operation)


def test_what_does_not_depend_on_who_asks_was_asked_by_nobody(tmp_path: Path) -> None:
    """A probe of a door is no proof of the account behind it; whoever asks signs in after it, if ever."""
    world = World(BOXES)
    made = audit(world, tmp_path, claim("c", LOCKED))
    kind = toy.source(world)
    probes = {name: replace(row, needs_identity=False) for name, row in kind.operations.items()}
    lock = told(made, replace(kind, operations=probes), "lock")
    assert lock["System"] == "shelf, as the parameters name it"
    assert lock["Account"] == "not proved by this answer, which does not depend on who asks; of the target: owner me"
    assert lock["Asked as"] == "nobody in particular: the answer does not depend on who asks"
    assert told(made, kind, "lock")["Asked as"] == "whoever comes in"
    assert told(made, kind, "who")["Asked as"] == "whoever comes in", "who asks does depend on it"


@pytest.mark.parametrize("mistake", [lambda *_: 1 / 0, lambda _, who: who.get("/Nobody", str), None])
def test_a_source_that_cannot_tell_who_answered_spoils_no_report(tmp_path: Path, mistake: Any) -> None:
    world = World(BOXES)
    made = audit(world, tmp_path, claim("c", LOCKED))
    lock = told(made, replace(toy.source(world), identified=mistake, where=("/owner", "/only", "/a/b/c")), "lock")
    assert lock["Asked as"].startswith("not proved: ")
    assert (lock["System"], lock["Account"]) == (
        "shelf at me, as declared",
        "not proved; as declared: owner me, only []",
    )


def test_parameters_are_told_to_the_last(tmp_path: Path) -> None:
    world = World(BOXES)
    made = audit(world, tmp_path, claim("c", LOCKED))
    path = made.run / "evidence/s.main.jsonl"
    rows = path.read_bytes().splitlines(keepends=True)
    line = msgspec.json.decode(rows[2], type=AnswerLine)
    many = [f"vol-{number}" for number in range(1000)]
    rows[2] = msgspec.json.encode(msgspec.structs.replace(line, params={"ids": many})) + b"\n"
    path.write_bytes(b"".join(rows))
    cite = Citation("evidence/s.main.jsonl", (3, 3))
    assert msgspec.json.decode(stored(made, world).provenance(cite)["Parameters"]) == {"ids": many}


def test_memory_does_not_grow_with_what_is_in_the_answers(tmp_path: Path) -> None:
    def peak(boxes: int) -> int:
        world = World([{"id": f"b{number}", "closed": True} for number in range(boxes)], pages=10)
        made = audit(world, tmp_path / str(boxes), claim("c", {"id": "t", "check": "boxes-dated"}))
        path = made.run / "evidence/s.main.jsonl"
        lines = [line for line in path.read_bytes().splitlines(keepends=True) if b'"operation":"lock"' not in line]
        path.write_bytes(b"".join(lines))
        tracemalloc.start()
        try:
            assert sum(1 for _ in stored(made, world).items()) == 11
            return tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

    longest = 200 * len('{"id":"b1000","closed":true},')  # of one page, which is read as it stands
    peak(10)
    assert peak(2_000) < peak(100) + 4 * longest


def test_a_source_that_is_not_installed_here_is_said(tmp_path: Path) -> None:
    made = audit(World(BOXES), tmp_path, claim("c", LOCKED))
    bare = StoredRun(made.head, made.run / "evidence", made.run / "findings")
    assert {item.facts["Asked as"] for item in bare.items()} == {
        "not known: no source of the type shelf is installed here"
    }


def test_what_was_concealed_is_named_and_has_no_digest(tmp_path: Path) -> None:
    world = World(BOXES)
    made = audit(world, tmp_path, claim("c", LOCKED))
    path = made.run / "evidence/s.main.jsonl"
    rows = path.read_bytes().splitlines(keepends=True)
    line = msgspec.json.decode(rows[2], type=AnswerLine)
    for changes, wanted in (
        ({}, ("none: nothing came", "nothing", "none")),
        ({"raw_sha256": "ab"}, ("ab", "nothing", "none")),
        ({"redacted": ("/a", "")}, ("not kept: the bytes held something", "/a masked; all of it masked", "none")),
        ({"dropped": ("/b",)}, ("not kept: the bytes held something", "/b left out", "none")),
        ({"params": {"as": MASK}}, ("not kept: the bytes held something", "parts of the parameters masked", "none")),
        ({"params": {"as": WHO}}, ("none: nothing came", "nothing", "in the parameters")),
        ({"error": Failure("x", MASK)}, ("not kept: the bytes held something", "parts of the failure masked", "none")),
        ({"pseudonymised": ("/b",)}, ("not kept: the bytes held something", "nothing", "/b")),
    ):
        rows[2] = msgspec.json.encode(msgspec.structs.replace(line, **changes)) + b"\n"
        path.write_bytes(b"".join(rows))
        told = stored(made, world).provenance(Citation("evidence/s.main.jsonl", (3, 3)))
        assert told["SHA-256 on the wire"].startswith(wanted[0])
        assert (told["Redacted"], told["Pseudonyms"]) == wanted[1:]


def test_a_line_that_is_no_answer_comes_from_nowhere(tmp_path: Path) -> None:
    world = World(BOXES)
    made = audit(world, tmp_path, claim("c", LOCKED))
    assert stored(made, world).provenance(Citation("evidence/s.main.jsonl", (1, 1))) == {}
    path = made.run / "evidence/s.main.jsonl"
    origin = Origin("s", lambda: path.open("rb"), (), toy.plugins(world).sources)
    first = path.read_bytes().splitlines(keepends=True)[0]
    with pytest.raises(EvidenceError, match="is no answer"):
        origin.item(first)
    with pytest.raises(EvidenceError, match="not a line of evidence"):
        origin.item(b"{}\n")


def test_a_scope_that_was_not_reached_is_told_as_the_report_tells_it(tmp_path: Path) -> None:
    world = World(BOXES)
    made = audit(world, tmp_path, claim("c", LOCKED))
    path = made.run / "evidence/s.main.jsonl"
    scope = [ScopeItem(target="s", task="s.main", reached=False, error="wrong target: x")]
    origin = Origin("s", lambda: path.open("rb"), scope, toy.plugins(world).sources)
    told = origin.item(path.read_bytes().splitlines(keepends=True)[2])
    assert told.facts["Scope reached"] == "s.main: wrong target: x"


def test_a_row_for_every_answer_and_a_head_where_there_is_none() -> None:
    out = io.BytesIO()
    item = EvidenceItem("evidence/a.jsonl", 2, dict.fromkeys(FACTS, "=1+1"))
    REPORT.render(Stored(a_head(), items=[item]), out)
    (row,) = csv.DictReader(io.StringIO(out.getvalue().decode()))
    assert row["system"] == "'=1+1"
    assert (row["file"], row["line"]) == ("evidence/a.jsonl", "2")
    assert len(row) == len(FACTS) + 4
    empty = io.BytesIO()
    REPORT.render(Stored(a_head()), empty)
    assert empty.getvalue().splitlines() == out.getvalue().splitlines()[:1]


URL = r"http://127\.0\.0\.1:\d+"
IDENTITIES = {
    "prod.account": (f"Amazon Web Services at {URL}", "account 123456789012", "arn:aws:iam::123456789012:user/auditor"),
    "code.main": (
        f"GitHub at {URL}",
        r"organization explo-co \(id 52110401\)",
        r"explo-auditor \(id 7100001\), admin",
    ),
    "hosting.main": (f"Heroku at {URL}", r"team explo \(id [0-9a-f-]{36}\)", "an account with the role member in .*"),
    "app-db.main": (
        r"PostgreSQL at 127\.0\.0\.1:\d+",
        r"database app of PostgreSQL \d+.* at 127\.0\.0\.1:\d+, as it says of itself",
        "role auditor",
    ),
}
"""Who answered and who asked, in both worlds: what stands in auditor/sandbox/worlds/."""


@pytest.fixture(scope="module", params=["healthy", "broken"])
def world(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Audited:
    with audited(request.param, tmp_path_factory.mktemp(request.param)) as done:
        return done


def test_in_the_demo_worlds_nothing_is_left_open(world: Audited) -> None:
    sources = plugins.sources()
    run = StoredRun(world.head, world.run / "evidence", world.run / "findings", sources)
    found = list(run.items())
    lines = (line for path in (world.run / "evidence").iterdir() for line in path.read_bytes().splitlines())
    assert len(found) == sum(line.startswith(b'{"kind":"answer"') for line in lines) > 50
    assert all(tuple(item.facts) == FACTS and all(item.facts.values()) for item in found)
    accounts = {item.facts["Account"] for item in found if item.facts["Asked as"].startswith("arn:aws:")}
    assert accounts == {"account 123456789012"}
    assert not [item for item in found if "is installed here" in item.facts["Asked as"]]
    for target, wanted in IDENTITIES.items():
        told = {
            tuple(item.facts[name] for name in ("System", "Account", "Asked as"))
            for item in found
            if item.file == f"evidence/{target}.jsonl" and item.facts["Effect"].startswith("read")
        }
        (who,) = {one for one in told if not one[0].startswith("runs at ")}
        assert [one for one, part in zip(who, wanted, strict=True) if not re.fullmatch(part, one)] == []
    probes = {item.facts["Asked as"] for item in found if item.facts["Operation"].startswith("wire.")}
    assert probes == {"nobody in particular: the answer does not depend on who asks"}
    minted = {item.facts["Asked as"] for item in found if item.facts["Operation"] == "mint"}
    assert minted == {"not proved: this system does not say who asks"}
    assert {item.facts["System"] for item in found if item.facts["Operation"] == "distinct"} == {
        f"runs at {world.run.parent}, as declared"
    }
    for finding in run.findings():
        for cite in finding.evidence:
            assert run.provenance(cite) or cite.lines[0] == 1
