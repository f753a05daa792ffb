"""Verifying runs and their chain: whoever holds no key changes nothing unnoticed, and every guard is needed."""

from __future__ import annotations

import datetime as dt
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from auditor import envelope, keys, seal, verify
from auditor.contents import Directory
from auditor.keys import KeyRing, SigningKey
from auditor.model import EvidenceError
from auditor.verify import DoesNotVerify, Verified
from tests import toy
from tests.sealing import finished_of, marked, scope_of, seal_anew
from tests.toy import World, claim

LOCKED = {"id": "t", "check": "boxes-locked"}
HOUR = dt.timedelta(hours=1)


def boxes(*closed: int) -> list[dict[str, Any]]:
    return [{"id": f"b{number}", "closed": bool(one)} for number, one in enumerate(closed)]


class Sealed(msgspec.Struct, frozen=True):
    """A chain of three signed runs, oldest first, and the keys that count."""

    runs: list[Path]
    ring: KeyRing
    key: SigningKey
    foreign: SigningKey

    @property
    def run(self) -> Path:
        return self.runs[1]


def make(folder: Path) -> Sealed:
    at = toy.NOW - HOUR
    key = keys.generate(folder / "auditor.key", folder / "auditor.keys.json", at)
    foreign = keys.generate(folder / "foreign.key", folder / "foreign.json", at)
    runs = []
    for number in range(3):
        world = World(boxes(1, 0, 1))
        world.clock += number * HOUR
        runs.append(toy.audit(world, folder, claim("c", LOCKED), key=key).run)
    return Sealed(runs, keys.load(folder / "auditor.keys.json"), key, foreign)


@pytest.fixture(scope="module")
def once(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("chain")
    make(folder)
    return folder


@pytest.fixture
def sealed(once: Path, tmp_path: Path) -> Sealed:
    folder = tmp_path / "copy"
    shutil.copytree(once, folder)
    runs = sorted((folder / "reports").glob("2*"))
    key, foreign = (keys.parse_private((folder / name).read_text(), name) for name in ("auditor.key", "foreign.key"))
    return Sealed(runs, keys.load(folder / "auditor.keys.json"), key, foreign)


def check(sealed: Sealed, run: Path | None = None, **options: Any) -> Verified:
    return verify.verify_run(Directory(run or sealed.run), sealed.ring, **options)


def flaws(sealed: Sealed, run: Path | None = None, **options: Any) -> list[str]:
    with pytest.raises(DoesNotVerify) as caught:
        check(sealed, run, **options)
    assert str(caught.value) == "\n".join(map(str, caught.value.flaws))
    return [str(flaw) for flaw in caught.value.flaws]


def chain(sealed: Sealed, **options: Any) -> list[Verified]:
    return verify.verify_chain(sealed.run.parent, sealed.ring, **options)


def broken_links(sealed: Sealed, **options: Any) -> str:
    with pytest.raises(DoesNotVerify) as caught:
        chain(sealed, **options)
    return str(caught.value)


def test_what_was_sealed_verifies(sealed: Sealed) -> None:
    found = chain(sealed)
    assert [one.run for one in found] == [run.name for run in sealed.runs]
    assert [one.scope.sequence for one in found] == [1, 2, 3]
    assert {one.key.id for one in found if one.key} == {sealed.key.id}
    assert found[2].head == f"3:{seal.sha256_file(sealed.runs[2] / seal.MANIFEST)}"
    assert check(sealed) == found[1]


SEGMENT = "evidence/s.main.jsonl"


def rewrite(run: Path, name: str, change: Callable[[bytes], bytes]) -> None:
    data = (run / name).read_bytes()
    assert change(data) != data
    (run / name).write_bytes(change(data))


@pytest.mark.parametrize(
    "name", ["plan.json", "policy/toys.yaml", SEGMENT, "findings/s.main.jsonl", "report.json", seal.EVIDENCE]
)
def test_a_file_that_was_changed_or_removed_is_named(sealed: Sealed, name: str) -> None:
    path = sealed.run / name
    original = path.read_bytes()
    path.write_bytes(original.replace(b'"', b"'", 1) if name != "policy/toys.yaml" else original + b"#")
    assert flaws(sealed)[0].startswith(f"{name}:")
    path.unlink()
    assert any(flaw.startswith(f"{name}: ") for flaw in flaws(sealed))
    path.write_bytes(original)
    check(sealed)  # the positive control


@pytest.mark.parametrize(
    "name", ["more.txt", "evidence/s.more.jsonl", "policy/deep/er.yaml", ".hidden", "evidence/s.main.jsonl.partial"]
)
def test_a_file_that_was_added_is_named(sealed: Sealed, name: str) -> None:
    (sealed.run / name).parent.mkdir(parents=True, exist_ok=True)
    (sealed.run / name).touch()
    assert flaws(sealed) == [f"{name}: was not there when the run was sealed"]


def test_links_and_odd_files_are_refused(sealed: Sealed, tmp_path: Path) -> None:
    segment = sealed.run / SEGMENT
    moved = segment.rename(tmp_path / "elsewhere.jsonl")
    segment.symlink_to(moved)
    assert flaws(sealed) == [f"{SEGMENT}: is no ordinary file"]
    segment.unlink()
    os.mkfifo(segment)
    assert flaws(sealed) == [f"{SEGMENT}: is no ordinary file"]
    segment.unlink()
    moved.rename(segment)
    check(sealed)


def test_a_statement_behind_a_link_is_not_read(sealed: Sealed, tmp_path: Path) -> None:
    statement = sealed.run / seal.MANIFEST
    moved = statement.rename(tmp_path / "manifest.json")
    statement.symlink_to(moved)
    assert flaws(sealed)[0].startswith(f"{seal.MANIFEST}: cannot be read")


LINES: list[tuple[Callable[[list[bytes]], list[bytes]], int, str]] = [
    (lambda rows: [*rows[:2], rows[2].replace(b"boxes", b"foxes"), *rows[3:]], 3, "was changed"),
    (lambda rows: [rows[0].replace(b"shelf", b"shelv"), *rows[1:]], 1, "was changed"),
    (lambda rows: [*rows[:3], rows[3].replace(b'"prev":"', b'"prev":"0'), *rows[4:]], 4, "was changed"),
    (lambda rows: [*rows[:-1], rows[-1].replace(b"2026", b"2025")], -1, "the lines before it agree"),
    (lambda rows: [*rows[:2], *rows[3:]], 3, "dropped, added or re-ordered"),
    (lambda rows: [*rows[:3], rows[2], *rows[3:]], 4, "dropped, added or re-ordered"),
    (lambda rows: [*rows[:2], rows[3], rows[2], *rows[4:]], 3, "dropped, added or re-ordered"),
    (lambda rows: rows[:-1], 0, "the last line is missing"),
    (lambda rows: [*rows, rows[-1]], 0, "stands after the last line"),
    (lambda rows: [*rows[:2], b"{}\n", *rows[3:]], 3, "not a line of evidence"),
    (lambda rows: [*rows[:-1], rows[-1].rstrip(b"\n")], -1, "the last line is cut"),
    (lambda rows: marked([*rows[:2], rows[2].replace(b"boxes", b"foxes"), *rows[3:]]), -1, "every mark was made anew"),
]


@pytest.mark.parametrize(("change", "line", "reason"), LINES)
def test_a_changed_segment_is_told_to_the_line(
    sealed: Sealed, change: Callable[[list[bytes]], list[bytes]], line: int, reason: str
) -> None:
    path = sealed.run / SEGMENT
    rows = path.read_bytes().splitlines(keepends=True)
    after = change(list(rows))
    assert after != rows
    path.write_bytes(b"".join(after))
    (told,) = flaws(sealed)
    number = {0: len(rows) + (len(after) > len(rows)), -1: len(rows)}.get(line, line)
    assert told.startswith(f"{SEGMENT}:{number}: is not what was sealed: its SHA-256 differs; ")
    assert reason in told


def test_who_makes_all_digests_anew_is_refused_for_want_of_the_key(sealed: Sealed) -> None:
    rewrite(sealed.run, SEGMENT, lambda data: data.replace(b'"b1"', b'"b9"'))
    for key, reason in ((None, "is not signed"), (sealed.foreign, "key that is not known")):
        seal_anew(sealed.run, key)
        assert reason in flaws(sealed)[0]
    seal_anew(sealed.run, None)
    assert check(sealed, allow_unsigned=True).key is None  # and says so
    seal_anew(sealed.run, sealed.key)
    assert check(sealed).key  # who holds the key can seal anything


def test_one_signed_and_one_bare_statement_are_refused(sealed: Sealed) -> None:
    for name, read in ((seal.EVIDENCE, seal.decode_evidence), (seal.MANIFEST, seal.decode_manifest)):
        signed = (sealed.run / name).read_bytes()
        (sealed.run / name).write_bytes(msgspec.json.encode(read(envelope.payload_unverified(signed))) + b"\n")
        told = f"{seal.EVIDENCE}: is not signed by the key that signed the manifest statement"
        assert flaws(sealed) == flaws(sealed, allow_unsigned=True) == [told]
        (sealed.run / name).write_bytes(signed)


def test_a_signed_run_is_not_read_without_keys_even_where_unsigned_ones_are(sealed: Sealed) -> None:
    for ring, reason in ((None, "no key file was given"), (KeyRing(keys=()), "key that is not known")):
        with pytest.raises(DoesNotVerify, match=reason):
            verify.verify_run(Directory(sealed.run), ring, allow_unsigned=True)


@pytest.mark.parametrize(
    ("begin", "end", "valid"),
    [
        (-HOUR, None, True),
        (-HOUR, HOUR, True),
        (dt.timedelta(seconds=30), None, False),
        (-HOUR, dt.timedelta(seconds=-30), False),
        (-HOUR, dt.timedelta(microseconds=0), False),
        (-HOUR, dt.timedelta(microseconds=1), True),
        (dt.timedelta(0), None, False),
    ],
)
def test_a_key_counts_while_it_was_in_use(
    sealed: Sealed, begin: dt.timedelta, end: dt.timedelta | None, valid: object
) -> None:
    """Until is exclusive; both the end of collection and the end of the run count."""
    finished = finished_of(sealed.run).finished_at
    until = None if end is None else finished + end
    key = msgspec.structs.replace(sealed.ring.keys[0], valid_from=finished + begin, valid_until=until)
    dated = msgspec.structs.replace(sealed, ring=KeyRing(keys=(key,)))
    if valid:
        check(dated)
    else:
        (told,) = flaws(dated)
        assert f"its key {key.id} was valid from" in told


def reseal(sealed: Sealed, *, finished: dict[str, Any] | None = None, **scope: Any) -> None:
    """Seal with the company's own key something that contradicts itself."""
    changed = msgspec.structs.replace(scope_of(sealed.run), **scope)
    seal_anew(sealed.run, sealed.key, changed)
    if finished:
        said = msgspec.structs.replace(finished_of(sealed.run), **finished)
        seal.seal_run(sealed.run, said, sealed.key)


def test_a_run_that_contradicts_itself_is_refused(sealed: Sealed) -> None:
    scope, finished = scope_of(sealed.run), finished_of(sealed.run)
    for said, reason in (
        ({"run": sealed.runs[0].name}, "stands in"),
        ({"run": "today"}, "does not go with its start"),
        ({"started_at": scope.started_at - 24 * HOUR}, "does not go with its start"),
        ({"as_of": scope.started_at - HOUR}, "dates are not in order"),
        ({"as_of": finished.finished_at + HOUR}, "dates are not in order"),
        ({"previous_run": None}, "do not go together"),
        ({"sequence": 1}, "do not go together"),
        ({"sequence": 0, "previous_run": None}, "do not go together"),
        ({"finished": {"run": sealed.runs[0].name}}, "not of this one"),
        ({"finished": {"sequence": 3}}, "not of this one"),
        ({"finished": {"evidence_sha256": "0" * 64}}, "names another evidence statement"),
    ):
        reseal(sealed, **said)
        assert reason in "; ".join(flaws(sealed)), said
        reseal(sealed, **{name: getattr(scope, name) for name in scope.__struct_fields__})
        check(sealed)  # the positive control


def statements(sealed: Sealed, name: str, change: Callable[[Any], Any]) -> None:
    """Change a statement and sign it with the company's own key."""
    read = seal.decode_evidence if name == seal.EVIDENCE else seal.decode_manifest
    statement = read(envelope.payload_unverified((sealed.run / name).read_bytes()))
    data = envelope.close(msgspec.json.encode(change(statement)), sealed.key)
    (sealed.run / name).write_bytes(data)


def drop(index: int) -> Callable[[Any], Any]:
    return lambda one: msgspec.structs.replace(one, subject=one.subject[:index] + one.subject[index + 1 :])


@pytest.mark.parametrize(
    ("name", "change", "reason"),
    [
        (seal.EVIDENCE, drop(0), "covers other evidence"),
        (seal.MANIFEST, drop(0), "names another evidence statement"),
        (seal.MANIFEST, drop(-1), "is not the list of the manifest"),
        (seal.MANIFEST, lambda one: msgspec.structs.replace(one, subject=one.subject[::-1]), "in byte order"),
        (seal.MANIFEST, lambda one: msgspec.structs.replace(one, subject=one.subject * 2), "once each"),
        (seal.MANIFEST, lambda one: msgspec.structs.replace(one, predicateType="x"), "of another kind"),
        (seal.EVIDENCE, lambda one: msgspec.structs.replace(one, type_="x"), "of another kind"),
        (
            seal.MANIFEST,
            lambda one: msgspec.structs.replace(
                one,
                subject=tuple(msgspec.structs.replace(s, digest={**s.digest, "md5": "0"}) for s in one.subject),
            ),
            "other digests than SHA-256",
        ),
    ],
)
def test_statements_that_do_not_go_together_are_refused(
    sealed: Sealed, name: str, change: Callable[[Any], Any], reason: str
) -> None:
    statements(sealed, name, change)
    assert reason in "; ".join(flaws(sealed))


def test_the_list_for_sha256sum_is_that_of_the_manifest(sealed: Sealed) -> None:
    rewrite(sealed.run, seal.SUMS, lambda data: data.replace(b"  plan.json", b" *plan.json"))
    assert flaws(sealed) == [f"{seal.SUMS}: is not the list of the manifest statement"]
    (sealed.run / seal.SUMS).unlink()
    assert flaws(sealed)[0].startswith(f"{seal.SUMS}: cannot be read")


def test_white_space_in_a_bare_statement_is_refused(sealed: Sealed) -> None:
    for run in sealed.runs:
        seal_anew(run)
    assert check(sealed, allow_unsigned=True).key is None
    for name in (seal.EVIDENCE, seal.MANIFEST):
        original = (sealed.run / name).read_bytes()
        for change in (original.replace(b",", b", ", 1), original + b"\n", original.rstrip(b"\n"), original + b" "):
            (sealed.run / name).write_bytes(change)
            assert name in flaws(sealed, allow_unsigned=True)[0]
        (sealed.run / name).write_bytes(original)


# The chain


def test_a_run_taken_out_of_the_chain_is_noticed(sealed: Sealed) -> None:
    shutil.rmtree(sealed.runs[1])
    told = broken_links(sealed)
    assert f"{sealed.runs[2].name}/{seal.EVIDENCE}: is number 3 of the chain, after number 1" in told
    assert f"follows {sealed.runs[1].name}, which is not there" in told


def test_the_first_run_taken_away_is_noticed_unless_it_is_said(sealed: Sealed) -> None:
    shutil.rmtree(sealed.runs[0])
    assert "is number 2 of the chain, after number 0" in broken_links(sealed)
    assert [one.scope.sequence for one in chain(sealed, since=2)] == [2, 3]


def test_the_last_run_taken_away_is_noticed_by_whoever_has_the_head(sealed: Sealed) -> None:
    head = chain(sealed)[-1].head
    assert chain(sealed, head=head)
    shutil.rmtree(sealed.runs[2])
    assert chain(sealed)  # as the limits of the seal say
    assert f"the run of the chain head {head} is not there any more" in broken_links(sealed, head=head)


def test_runs_that_were_swapped_or_replaced_are_noticed(sealed: Sealed) -> None:
    first, second, _ = sealed.runs
    spare = first.rename(first.with_name("spare"))
    second.rename(first)
    spare.rename(second)
    told = broken_links(sealed)
    assert f"is of the run {first.name}, and stands in {second.name}" in told
    assert f"is of the run {second.name}, and stands in {first.name}" in told


def test_a_file_of_another_run_is_noticed(sealed: Sealed) -> None:
    for name in (SEGMENT, "report.json", seal.EVIDENCE, seal.MANIFEST, seal.SUMS):
        original = (sealed.run / name).read_bytes()
        shutil.copyfile(sealed.runs[0] / name, sealed.run / name)
        assert any(flaw.startswith((f"{name}:", seal.EVIDENCE, seal.MANIFEST)) for flaw in flaws(sealed))
        (sealed.run / name).write_bytes(original)
    check(sealed)


def test_a_run_that_was_sealed_again_breaks_the_chain_after_it(sealed: Sealed) -> None:
    """Even by the holder of the key: the next run names the manifest as it was."""
    rewrite(sealed.runs[1], "report.json", lambda data: data.replace(b"fail", b"pass"))
    seal_anew(sealed.runs[1], sealed.key)
    check(sealed)
    assert f"follows another {sealed.runs[1].name} than the one that is there" in broken_links(sealed)


def test_two_runs_of_the_same_number_are_noticed(sealed: Sealed) -> None:
    scope = scope_of(sealed.runs[2])
    before = scope_of(sealed.runs[1])
    seal_anew(sealed.runs[2], sealed.key, msgspec.structs.replace(scope, sequence=2, previous_run=before.previous_run))
    told = broken_links(sealed)
    assert "is number 2 of the chain, after number 2" in told
    assert f"the run before it is {sealed.runs[1].name}" in told


def test_every_flaw_of_every_run_is_told(sealed: Sealed) -> None:
    for run in sealed.runs:
        (run / "plan.json").unlink()
        (run / "report.json").unlink()
    assert len(broken_links(sealed).splitlines()) == 6


def test_a_run_without_its_manifest_is_noticed_and_an_interrupted_one_is_none(sealed: Sealed) -> None:
    interrupted = sealed.run.with_name("20261201T000000Z-00000000")
    (interrupted / "evidence").mkdir(parents=True)
    (interrupted / SEGMENT).touch()
    assert len(chain(sealed)) == 3
    (sealed.runs[2] / seal.MANIFEST).unlink()
    assert f"{sealed.runs[2].name}/{seal.MANIFEST}: is missing: the run was interrupted" in broken_links(sealed)


def test_a_folder_that_cannot_be_read_is_refused(sealed: Sealed, tmp_path: Path) -> None:
    with pytest.raises(EvidenceError, match="cannot be read"):
        verify.verify_chain(tmp_path / "none", sealed.ring)
    assert verify.verify_chain(sealed.run / "evidence", sealed.ring) == []


def test_digests_alone_are_compared_for_reading(sealed: Sealed) -> None:
    verify.compare_digests(Directory(sealed.run))
    rewrite(sealed.run, "report.json", lambda data: data + b" ")
    with pytest.raises(DoesNotVerify, match=r"report\.json"):
        verify.compare_digests(Directory(sealed.run))
    (sealed.run / seal.MANIFEST).write_bytes(b"{}")
    with pytest.raises(DoesNotVerify, match=seal.MANIFEST):
        verify.compare_digests(Directory(sealed.run))
