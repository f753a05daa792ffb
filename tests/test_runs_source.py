"""The source of earlier runs: what it answers from real, sealed runs, and when it answers nothing."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec
import pytest

from auditor import envelope, keys, seal, verify
from auditor.evidence import AnswerLine, describe_question
from auditor.questions import Failure, Need, Opening, Reply
from auditor.sources.runs import SOURCE
from auditor.sources.runs.connection import Read, RunsConnection, What, read_answer
from auditor.sources.runs.operations import OPERATIONS, text
from auditor.sources.runs.target import RunsTarget, declare
from tests import toy
from tests.fault_kinds import FAULTS, Fault
from tests.faults_runs import spoil
from tests.sealing import scope_of, seal_anew
from tests.toy import World, claim

LOCKED = {"id": "t", "check": "boxes-locked"}
WHAT: dict[str, Any] = {
    "operation": "boxes",
    "target": {"type": "shelf", "owner": "me"},
    "items": "/Boxes",
    "id": "/id",
    "value": "/closed",
}
Runs = list[Path]


def box(name: Any, **members: Any) -> dict[str, Any]:
    return {"id": name, "closed": True, **members}


def audit(folder: Path, *boxes: dict[str, Any], world: World | None = None) -> Path:
    """Audit a shelf with these boxes, signed."""
    key, ring = folder / "auditor.key", folder / "auditor.keys.json"
    if not key.exists():
        keys.generate(key, ring, toy.NOW)
    world = world or World(list(boxes))
    signing = keys.parse_private(keys.read_private(key), "key")
    return toy.audit(world, folder, claim("c", LOCKED), key=signing).run


@contextmanager
def source(folder: Path, **more: Any) -> Iterator[RunsConnection]:
    target = RunsTarget(**{"path": "reports", "keys": "auditor.keys.json", **more})
    opening = Opening(shard="main", secret=lambda _: "", conceal=lambda _: None, folder=folder)
    with SOURCE.open(target, opening) as connection:
        assert isinstance(connection, RunsConnection)
        yield connection


def ask(connection: RunsConnection, *ids: str, **other: Any) -> Reply:
    (reply,) = connection.ask(OPERATIONS["distinct"], {**WHAT, **other, "ids": list(ids)})
    assert reply.started_at <= reply.ended_at
    return reply


def values(reply: Reply, name: str) -> list[Any]:
    """What was seen of a resource: each value, and in how many runs."""
    assert reply.status == "ok", reply.error
    return [(seen.get("value", "absent"), seen["runs"]) for seen in reply.body["resources"][name]]


def refused(folder: Path, **more: Any) -> tuple[str, str]:
    with source(folder, **more) as connection:
        reply = ask(connection, "a")
    assert (reply.status, reply.body) == ("error", None)
    assert reply.error is not None
    return reply.error.code, reply.error.message


def test_distinct_values_are_counted_oldest_first(tmp_path: Path) -> None:
    audit(tmp_path, box("a"), box("b", closed=False))
    second = audit(tmp_path, box("a", closed=False), box("b", closed=False))
    third = audit(tmp_path, box("a"), box("c", closed={"y": [1], "x": None}))
    with source(tmp_path) as connection:
        reply = ask(connection, "a", "b", "c", "d", "a")
    assert values(reply, "a") == [(True, 2), (False, 1)]
    assert values(reply, "b") == [(False, 2)]
    assert values(reply, "c") == [({"x": None, "y": [1]}, 1)]
    assert values(reply, "d") == []
    assert [run["sequence"] for run in reply.body["runs"]] == [1, 2, 3]
    (seen,) = reply.body["resources"]["c"]
    digest = seal.sha256_file(third / seal.MANIFEST)
    line = (third / "evidence/s.main.jsonl").read_bytes().splitlines()[seen["line"] - 1]
    assert (seen["run"], seen["manifest_sha256"], seen["file"]) == (third.name, digest, "evidence/s.main.jsonl")
    assert msgspec.json.decode(line)["body"]["Boxes"][1] == box("c", closed={"x": None, "y": [1]})
    assert reply.body["resources"]["a"][1]["run"] == second.name


def test_a_member_that_is_missing_is_something_else_than_null(tmp_path: Path) -> None:
    audit(tmp_path, {"id": "a", "note": 1}, box("b", note=None))
    with source(tmp_path) as connection:
        reply = ask(connection, "a", "b", value="/closed")
        assert reply.body["resources"]["a"][0]["absent"] is True
        assert "value" not in reply.body["resources"]["a"][0]
        assert reply.body["resources"]["b"][0]["absent"] is False
        assert values(ask(connection, "a", "b", value="/note"), "b") == [(None, 1)]
        assert values(ask(connection, "a", "b", value="/note"), "a") == [(1, 1)]
        assert values(ask(connection, "a", value="/note/deeper"), "a") == [("absent", 1)]


def test_a_member_that_contradicts_itself_is_not_read(tmp_path: Path) -> None:
    audit(tmp_path, box("a", key="k"), box("b", closed=False), box("c"), box("d", closed=False, key="k"), {"id": "e"})
    with source(tmp_path) as connection:
        reply = ask(connection, *"abcde", value="/key", flag="/closed")
        assert [values(reply, name) for name in "abcde"] == [[("k", 1)], [("absent", 1)], [], [], []]
        assert reply.body["unread"] == {"answers": 0, "items": 3}
        assert values(ask(connection, "c", value="/key"), "c") == [("absent", 1)]  # where nothing says so twice


def test_a_resource_on_two_pages_of_one_run_was_seen_by_one_run(tmp_path: Path) -> None:
    for _ in range(2):
        audit(tmp_path, world=World([box("a"), box("a"), box("b"), box("a", closed=False)], pages=4))
    with source(tmp_path) as connection:
        assert values(ask(connection, "a"), "a") == [(True, 2), (False, 2)]


def test_an_error_says_nothing_whatever_came_with_it() -> None:
    """A source of somebody else's may keep what it could not believe."""
    sent = msgspec.convert(
        {
            "kind": "answer", "n": 2, "target": "s", "operation": "boxes", "params": {}, "effect": "read",
            "status": "error", "started_at": toy.NOW, "ended_at": toy.NOW, "body": {"Boxes": [box("a")]},
        },
        AnswerLine,
    )  # fmt: skip
    what = msgspec.convert(WHAT, What)
    for status, expected in (("error", (1, 0)), ("absent", (0, 0)), ("ok", (0, 1))):
        read = Read()
        read_answer(what, 0, "f", msgspec.structs.replace(sent, status=status), read)
        assert (read.unread.answers, len(list(read.index.find(["a"])))) == expected
        read.index.close()


def test_members_without_a_name_and_answers_of_another_shape_are_counted(tmp_path: Path) -> None:
    audit(tmp_path, box("a"), box(7), {"closed": True})
    world = World([box("a"), box("b")], pages=2)
    world.errors["boxes page 2"] = Failure("denied", "no")
    audit(tmp_path, world=world)
    with source(tmp_path) as connection:
        reply = ask(connection, "a", "b")
        assert reply.body["unread"] == {"answers": 1, "items": 2}
        assert values(reply, "a") == [(True, 2)]
        assert values(reply, "b") == []
        assert ask(connection, "a", items="/Crates").body["unread"] == {"answers": 3, "items": 0}


@pytest.mark.parametrize(
    ("secret", "hidden"),
    [("s3cret-value", {"b": box("b", closed="s3cret-value")}), ("b-s3cret-name", {"b": box("b-s3cret-name")})],
)
def test_what_was_redacted_then_is_not_compared(tmp_path: Path, secret: str, hidden: dict[str, Any]) -> None:
    (tmp_path / "secret").write_text(secret)
    key = keys.generate(tmp_path / "auditor.key", tmp_path / "auditor.keys.json", toy.NOW)
    world = World([box("a"), hidden["b"]])
    run = toy.audit(world, tmp_path, claim("c", LOCKED), key=key, secret={"file": "secret"}).run
    assert secret.encode() not in (run / "evidence/s.main.jsonl").read_bytes()
    with source(tmp_path) as connection:
        reply = ask(connection, "a", "b", "b-s3cret-name")
    assert reply.body["unread"] == {"answers": 0, "items": 1}
    assert [values(reply, name) for name in ("a", "b", "b-s3cret-name")] == [[(True, 1)], [], []]


@pytest.mark.parametrize(
    "target", [{"type": "shelf", "owner": "you"}, {"type": "box"}, {"owner": "me", "kind": "x"}, {"only": ["north"]}]
)
def test_targets_are_told_by_what_they_were_declared_as(tmp_path: Path, target: dict[str, Any]) -> None:
    audit(tmp_path, box("a"))
    with source(tmp_path) as connection:
        assert values(ask(connection, "a", target=target), "a") == []
        for same in (WHAT["target"], {"owner": "me"}, {}):
            assert values(ask(connection, "a", target=same), "a") == [(True, 1)]


def test_other_operations_are_not_looked_at(tmp_path: Path) -> None:
    audit(tmp_path, box("a"))
    with source(tmp_path) as connection:
        assert values(ask(connection, "a", operation="who"), "a") == []
        assert values(ask(connection, "a", operation="no such"), "a") == []


def test_without_earlier_runs_nothing_was_seen(tmp_path: Path) -> None:
    (tmp_path / "reports").mkdir()
    with source(tmp_path, keys="") as connection:
        reply = ask(connection, "a")
    assert reply.body == {"runs": [], "unread": {"answers": 0, "items": 0}, "resources": {"a": []}}


def test_a_run_in_progress_is_none_yet(tmp_path: Path) -> None:
    audit(tmp_path, box("a"))
    folder = tmp_path / "reports" / "20261123T120000Z-ffffffff"
    (folder / "evidence").mkdir(parents=True)
    (folder / "evidence/s.main.jsonl.partial").write_text("half a line")
    with source(tmp_path) as connection:
        assert len(ask(connection, "a").body["runs"]) == 1


def seal_last(runs: Runs, organization: str) -> None:
    """Seal the last run again, without a key, as one of that organization."""
    seal_anew(runs[-1], None, msgspec.structs.replace(scope_of(runs[-1]), organization=organization))


def test_runs_of_another_organization_are_looked_at(tmp_path: Path) -> None:
    """Else another name in auditor.yaml would hide what the same folder holds of the same target."""
    run = audit(tmp_path, box("a"))
    key = keys.parse_private((tmp_path / "auditor.key").read_text(), "key")
    seal_anew(run, key, msgspec.structs.replace(scope_of(run), organization="Toys and more"))
    with source(tmp_path) as connection:
        reply = ask(connection, "a")
    assert [seen["run"] for seen in reply.body["runs"]] == [run.name]
    assert values(reply, "a") == [(True, 1)]


@pytest.mark.parametrize("organization", ["Toys", "Toys and more"])
def test_an_unsigned_run_after_a_signed_one_counts_for_nobody(tmp_path: Path, organization: str) -> None:
    """Whoever holds no key can call the organization anything."""
    runs = [audit(tmp_path, box("a")) for _ in range(2)]
    seal_last(runs, organization)
    code, message = refused(tmp_path, allow_unsigned=True)
    assert code == "unverified"
    assert f"{runs[1].name}/{seal.EVIDENCE}: is not signed, and an earlier run" in message
    seal_anew(runs[0])
    seal_last(runs, organization)
    shutil.rmtree(runs[1])
    with source(tmp_path, allow_unsigned=True) as connection:
        assert values(ask(connection, "a"), "a") == [(True, 1)]


@pytest.mark.parametrize(
    ("other", "said"),
    [
        ({"ids": ["a"] * 1001}, "ids"),
        ({"ids": [7]}, "ids"),
        ({"items": "Boxes"}, "items"),
        ({"value": 7}, "value"),
        ({"since": 2}, "since"),
    ],
)
def test_questions_are_read_strictly(tmp_path: Path, other: dict[str, Any], said: str) -> None:
    audit(tmp_path, box("a"))
    with source(tmp_path) as connection:
        (reply,) = connection.ask(OPERATIONS["distinct"], {**WHAT, "ids": ["a"], **other})
        assert reply.error is not None
        assert (reply.status, reply.error.code) == ("error", "parameters")
        assert said in reply.error.message
        assert values(ask(connection, *(f"box-{number}" for number in range(1000))), "box-7") == []


FILES = ("evidence/s.main.jsonl", "findings/s.main.jsonl", "plan.json", "policy/toys.yaml", "report.json")
ALL = (*FILES, "SHA256SUMS", "evidence.statement.json", "manifest.statement.json")


@pytest.mark.parametrize("name", ALL)
@pytest.mark.parametrize("fault", [fault for fault in FAULTS if fault != "timeout"])
def test_any_file_that_is_not_as_it_was_sealed_is_an_error(tmp_path: Path, name: str, fault: Fault) -> None:
    runs = [audit(tmp_path, box("a")) for _ in range(2)]
    assert {path.relative_to(runs[0]).as_posix() for path in runs[0].rglob("*") if path.is_file()} == set(ALL)
    assert spoil(runs[0] / name, fault)
    code, message = refused(tmp_path)
    assert code == "unverified"
    assert f"{runs[0].name}/{name}" in message or "evidence" in message


def change_the_segment(runs: Runs) -> None:
    segment = runs[0] / "evidence/s.main.jsonl"
    segment.write_bytes(segment.read_bytes().replace(b'"closed":true', b'"closed":fals', 1))


def take_the_segment_away(runs: Runs) -> None:
    (runs[0] / "evidence/s.main.jsonl").unlink()


def hide_the_target(runs: Runs) -> None:
    """So that its first line says that it is about something else."""
    segment = runs[0] / "evidence/s.main.jsonl"
    segment.write_bytes(segment.read_bytes().replace(b'"owner":"me"', b'"owner":"it"', 1))


def empty_the_manifest(runs: Runs) -> None:
    """So that it names no evidence at all."""
    path = runs[0] / seal.MANIFEST
    statement = seal.decode_manifest(envelope.payload_unverified(path.read_bytes()))
    path.write_bytes(msgspec.json.encode(msgspec.structs.replace(statement, subject=())) + b"\n")


def take_the_run_away(runs: Runs) -> None:
    shutil.rmtree(runs[0])


@pytest.mark.parametrize(
    "harm", [change_the_segment, take_the_segment_away, hide_the_target, empty_the_manifest, take_the_run_away]
)
def test_what_changes_between_verifying_and_reading_is_an_error(
    tmp_path: Path, harm: Callable[[Runs], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    runs = [audit(tmp_path, box("a")) for _ in range(2)]
    real = verify.verify_chain

    def verified_and_then_harmed(*arguments: Any, **more: Any) -> Any:
        found = real(*arguments, **more)
        harm(runs)
        return found

    monkeypatch.setattr(verify, "verify_chain", verified_and_then_harmed)
    code, message = refused(tmp_path)
    assert code == "unreadable"
    assert "an earlier run that verified cannot be read" in message


def test_verified_once_and_read_once_for_each_pointer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Later questions see what the first one saw, whatever becomes of the files; and a refusal stays one."""
    run = audit(tmp_path, box("a"), box("b", closed=False))
    calls: list[Path] = []
    real = verify.verify_chain

    def counted(folder: Path, *arguments: Any, **more: Any) -> Any:
        calls.append(folder)
        return real(folder, *arguments, **more)

    monkeypatch.setattr(verify, "verify_chain", counted)
    with source(tmp_path) as connection:
        assert values(ask(connection, "a"), "a") == [(True, 1)]
        take_the_run_away([run])
        assert values(ask(connection, "b"), "b") == [(False, 1)]
        later = ask(connection, "b", value="/id")  # another pointer: the runs are read again, and there is none
        assert later.error is not None
        assert later.error.code == "unreadable"
    assert calls == [tmp_path / "reports"]
    seal_anew(audit(tmp_path))
    with source(tmp_path) as connection:
        first = ask(connection, "a").error
        assert first is not None
        assert first == ask(connection, "b").error == ask(connection, "a", value="/id").error
    assert len(calls) == 2


def test_nothing_stays_behind_on_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    audit(tmp_path, box("a"))
    (tmp_path / "tmp").mkdir()
    for name in ("TMPDIR", "SQLITE_TMPDIR"):
        monkeypatch.setenv(name, str(tmp_path / "tmp"))
    before = sorted(tmp_path.rglob("*"))
    with source(tmp_path) as connection:
        ask(connection, "a")
    assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.parametrize("name", ['a"b', "ä/~ \U0001f600", "'; DROP TABLE seen; --", "", " "])
def test_names_are_only_names(tmp_path: Path, name: str) -> None:
    audit(tmp_path, box(name), box("other"))
    with source(tmp_path) as connection:
        assert values(ask(connection, name, "other"), name) == [(True, 1)]


def rename_the_keys(run: Path) -> None:
    ring = run.parent.parent / "auditor.keys.json"
    ring.rename(ring.with_name("elsewhere.json"))


@pytest.mark.parametrize(
    ("damage", "more", "expected"),
    [
        (
            lambda _: None,
            {"path": "nowhere"},
            ("folder", "nowhere is not there; where it is the folder that runs go to"),
        ),
        (lambda _: None, {"path": "auditor.yaml"}, ("folder", "auditor.yaml cannot be read: Not a directory")),
        (lambda _: None, {"keys": "none.json"}, ("keys", "none.json: cannot be read")),
        (lambda _: None, {"keys": "auditor.yaml"}, ("keys", "is no key file")),
        (rename_the_keys, {"keys": ""}, ("unverified", "no key file to hold that against (keys of this target)")),
        (seal_anew, {}, ("unverified", "(to read it: allow_unsigned of this target)")),
        (lambda _: None, {"since": 2}, ("unverified", "is number 1 of the chain, after number 1")),
        (shutil.rmtree, {}, ("unverified", "is number 2 of the chain, after number 0")),
    ],
)
def test_why_there_is_no_answer_is_said(
    tmp_path: Path, damage: Callable[[Path], None], more: dict[str, Any], expected: tuple[str, str]
) -> None:
    first, _ = [audit(tmp_path, box("a")) for _ in range(2)]
    damage(first)
    code, message = refused(tmp_path, **more)
    assert code == expected[0]
    assert expected[1] in message
    assert "--" not in message  # `auditor run` has no such options


def test_where_no_key_file_is_named_the_one_beside_the_settings_counts(tmp_path: Path) -> None:
    run = audit(tmp_path, box("a"))
    with source(tmp_path, keys="") as connection:
        reply = ask(connection, "a")
    assert values(reply, "a") == [(True, 1)]
    assert [one["signed_by"] for one in reply.body["runs"]] == [keys.load(tmp_path / "auditor.keys.json").keys[0].id]
    foreign = keys.generate(tmp_path / "foreign.key", tmp_path / "foreign.json", toy.NOW)
    seal_anew(run, foreign)
    assert "is signed by a key that is not known" in refused(tmp_path, keys="")[1]
    (tmp_path / "auditor.keys.json").write_text("{")
    assert refused(tmp_path, keys="")[0] == "keys"


def test_many_flaws_are_told_by_the_first(tmp_path: Path) -> None:
    runs = [audit(tmp_path, box("a")) for _ in range(5)]
    for run in runs:
        (run / "note").write_text("x")
    _, message = refused(tmp_path)
    assert message.endswith("; and 2 more")
    assert message.count("was not there when the run was sealed") == 3


def test_settings_are_declared_and_permissions_are_said() -> None:
    whole = RunsTarget(path="./reports", keys="keys.json", since=7)
    assert declare(whole) == {"path": "./reports", "allow_unsigned": False, "since": 7, "keys": "keys.json"}
    assert "keys" not in declare(RunsTarget(path="./reports"))
    need = Need(operation=OPERATIONS["distinct"], checks=("c",))
    assert "Let the audit read ./reports" in text(whole, [need])
    assert "keys.json" in text(whole, [need])
    assert "the public keys, where runs are signed: keys, or auditor.keys.json" in text(RunsTarget(path="x"), [need])
    assert "the folder of earlier runs" in text(None, [need])
    assert text(whole, []) == ""


@pytest.mark.parametrize("wrong", [{}, {"path": ""}, {"path": "x", "since": 0}, {"path": "x", "allow_unsigned": "yes"}])
def test_settings_are_strict(wrong: dict[str, Any]) -> None:
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert(wrong, RunsTarget, strict=True)


def test_long_questions_are_short_in_words() -> None:
    many = [f"vol-{number}" for number in range(1000)]
    assert describe_question("distinct", {"ids": many}) == "distinct(ids=[vol-0, vol-1, vol-2, … 1,000 in all])"
    assert describe_question("distinct", {"ids": many[:3]}) == "distinct(ids=['vol-0', 'vol-1', 'vol-2'])"
