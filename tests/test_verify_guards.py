"""What verifying says, word for word, and the guards that only one change each goes past."""

from __future__ import annotations

import datetime as dt
import errno
import io
import os
import shutil
from pathlib import Path
from typing import Any

import msgspec
import pytest

from auditor import envelope, keys, seal, verify
from auditor.contents import Directory, ListedOnce, Within, holds, read, sha256
from auditor.model import EvidenceError
from auditor.results import PreviousRun
from auditor.verify import DoesNotVerify, Flaw
from tests import toy
from tests.sealing import finished_of, scope_of, seal_anew
from tests.test_verify import SEGMENT, Sealed, make

SECOND = dt.timedelta(seconds=1)


@pytest.fixture(scope="module")
def once(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("guards")
    make(folder)
    return folder


@pytest.fixture
def sealed(once: Path, tmp_path: Path) -> Sealed:
    folder = shutil.copytree(once, tmp_path / "copy")
    runs = sorted((folder / "reports").glob("2*"))
    key, foreign = (keys.parse_private((folder / name).read_text(), name) for name in ("auditor.key", "foreign.key"))
    return Sealed(runs, keys.load(folder / "auditor.keys.json"), key, foreign)


def flaws(sealed: Sealed, run: Path | None = None, **options: Any) -> list[Flaw]:
    with pytest.raises(DoesNotVerify) as caught:
        verify.verify_run(Directory(run or sealed.run), sealed.ring, **options)
    return list(caught.value.flaws)


def of_chain(sealed: Sealed, **options: Any) -> list[Flaw]:
    with pytest.raises(DoesNotVerify) as caught:
        verify.verify_chain(sealed.run.parent, sealed.ring, **options)
    return list(caught.value.flaws)


def again(sealed: Sealed, path: Path, /, *, finished: dict[str, Any] | None = None, **scope: Any) -> None:
    """Seal a run with the company's own key, saying otherwise."""
    seal_anew(path, sealed.key, msgspec.structs.replace(scope_of(path), **scope))
    if finished:
        seal.seal_run(path, msgspec.structs.replace(finished_of(path), **finished), sealed.key)


def rewrite(sealed: Sealed, name: str, **members: Any) -> None:
    """Change members of a statement, and sign it with the company's own key."""
    decode = seal.decode_evidence if name == seal.EVIDENCE else seal.decode_manifest
    statement = decode(envelope.payload_unverified((sealed.run / name).read_bytes()))
    changed = msgspec.structs.replace(statement, **members)
    (sealed.run / name).write_bytes(envelope.close(msgspec.json.encode(changed), sealed.key))


def test_a_run_is_told_by_its_file_and_the_reason(sealed: Sealed) -> None:
    other, scope, finished = sealed.runs[0].name, scope_of(sealed.run), finished_of(sealed.run)
    number = "number {} and its predecessor do not go together"
    order = Flaw(seal.MANIFEST, 0, "its dates are not in order: start, end of collection, end of the run")
    begin = Flaw(seal.EVIDENCE, 0, "the run's id {} does not go with its start")
    for said, expected in (
        ({"run": other}, [f"is of the run {other}, and stands in {sealed.run.name}", begin.reason.format(other)]),
        ({"sequence": 1}, [number.format(1)]),
        ({"sequence": 0}, [number.format(0)]),
        ({"sequence": -1, "previous_run": None}, [number.format(-1)]),
        ({"previous_run": None}, [number.format(2)]),
    ):
        again(sealed, sealed.run, **said)
        assert flaws(sealed) == [Flaw(seal.EVIDENCE, 0, reason) for reason in expected], said
        again(sealed, sealed.run, **{name: getattr(scope, name) for name in scope.__struct_fields__})
    again(sealed, sealed.run, as_of=scope.started_at - SECOND)
    assert flaws(sealed) == [order]
    again(sealed, sealed.run, as_of=finished.finished_at + SECOND)
    assert flaws(sealed) == [order]
    for at in (scope.started_at, finished.finished_at, scope.as_of):
        again(sealed, sealed.run, as_of=at)
        verify.verify_run(Directory(sealed.run), sealed.ring)  # neither end is excluded
    again(sealed, sealed.run, finished={"sequence": 7})
    assert flaws(sealed) == [Flaw(seal.MANIFEST, 0, f"is of the run {sealed.run.name}, number 7, not of this one")]
    again(sealed, sealed.run, finished={"run": other})
    assert flaws(sealed) == [Flaw(seal.MANIFEST, 0, f"is of the run {other}, number 2, not of this one")]
    again(sealed, sealed.run, finished={"evidence_sha256": "0" * 64})
    assert flaws(sealed) == [Flaw(seal.MANIFEST, 0, "names another evidence statement than it lists")]


def test_the_id_of_a_run_is_one_and_goes_with_its_start(sealed: Sealed) -> None:
    copied = sealed.run.rename(sealed.run.with_name("from-the-vendor"))
    verify.verify_run(Directory(copied), sealed.ring)  # a copy may be called anything
    start = sealed.run.name[:17]
    for name in (f"{start}today", f"{start}0000000", sealed.runs[0].name):
        again(sealed, copied, run=name)
        assert flaws(sealed, copied) == [Flaw(seal.EVIDENCE, 0, f"the run's id {name} does not go with its start")]


def test_statements_are_told_by_their_form(sealed: Sealed) -> None:
    listed = seal.decode_manifest(envelope.payload_unverified((sealed.run / seal.MANIFEST).read_bytes())).subject
    sums = Flaw(seal.SUMS, 0, "is not the list of the manifest statement")
    order = Flaw(seal.MANIFEST, 0, "does not list its files once each, in byte order")
    kind = "is a statement of another kind: {} {}"
    digests = Flaw(seal.MANIFEST, 0, "has other digests than SHA-256")
    other = Flaw(seal.EVIDENCE, 0, "covers other evidence than the manifest statement lists")
    original = (sealed.run / seal.MANIFEST).read_bytes()
    plan = next(index for index, subject in enumerate(listed) if subject.name == "plan.json")
    md5 = seal.Subject("plan.json", {"md5": "0" * 32})
    both = seal.Subject("plan.json", {**listed[plan].digest, "md5": "0" * 32})
    with_md5, with_both = ((*listed[:plan], one, *listed[plan + 1 :]) for one in (md5, both))
    changed = Flaw("plan.json", 0, "is not what was sealed: its SHA-256 differs")
    swapped = (listed[1], listed[0], *listed[2:])
    for members, expected in (
        ({"subject": swapped}, [sums, order]),
        ({"subject": (*listed[:1], *listed)}, [sums, order]),
        ({"type_": "x"}, [Flaw(seal.MANIFEST, 0, kind.format("x", seal.MANIFEST_TYPE))]),
        ({"predicateType": "x"}, [Flaw(seal.MANIFEST, 0, kind.format(seal.STATEMENT_TYPE, "x"))]),
        ({"subject": with_md5}, [sums, other, digests, changed]),
        ({"subject": with_both}, [other, digests]),
    ):
        rewrite(sealed, seal.MANIFEST, **members)
        assert flaws(sealed) == expected, members
        (sealed.run / seal.MANIFEST).write_bytes(original)
    verify.verify_run(Directory(sealed.run), sealed.ring)  # the positive control


def test_evidence_that_one_statement_leaves_out_is_told(sealed: Sealed) -> None:
    for name in ("plan.json", "policy/toys.yaml", SEGMENT):
        original = (sealed.run / seal.EVIDENCE).read_bytes()
        covered = seal.decode_evidence(envelope.payload_unverified(original)).subject
        rewrite(sealed, seal.EVIDENCE, subject=tuple(one for one in covered if one.name != name))
        assert Flaw(seal.EVIDENCE, 0, "covers other evidence than the manifest statement lists") in flaws(sealed)
        (sealed.run / seal.EVIDENCE).write_bytes(original)


def test_a_file_is_told_by_what_became_of_it(sealed: Sealed) -> None:
    (sealed.run / "more.txt").touch()
    (sealed.run / "plan.json").unlink()
    (sealed.run / seal.SUMS).write_bytes(b"")
    with (sealed.run / "report.json").open("ab") as handle:
        handle.write(b" ")
    assert flaws(sealed) == [
        Flaw(seal.SUMS, 0, "is not the list of the manifest statement"),
        Flaw("more.txt", 0, "was not there when the run was sealed"),
        Flaw("plan.json", 0, "is missing"),
        Flaw("report.json", 0, "is not what was sealed: its SHA-256 differs"),
    ]
    (sealed.run / seal.SUMS).unlink()
    assert flaws(sealed) == [Flaw(seal.SUMS, 0, "cannot be read: No such file or directory")]


def test_a_statement_that_is_not_there_is_told(sealed: Sealed) -> None:
    half = "the run was interrupted while it was sealed, or this was taken away; if no later run follows it, remove"
    reasons = {seal.EVIDENCE: "is missing", seal.MANIFEST: f"is missing: {half} the folder"}
    for name, reason in reasons.items():
        moved = (sealed.run / name).rename(sealed.run.with_name("moved"))
        assert flaws(sealed) == [Flaw(name, 0, reason)]
        moved.rename(sealed.run / name)


def test_without_either_statement_a_run_is_not_sealed(sealed: Sealed) -> None:
    for name in (seal.EVIDENCE, seal.MANIFEST):
        (sealed.run / name).unlink()
    why = "the run is not sealed (it is under way, was interrupted, or its seal was taken away)"
    assert flaws(sealed) == [Flaw(seal.EVIDENCE, 0, f"is missing, as is {seal.MANIFEST}: {why}")]


def test_a_statement_that_cannot_be_read_is_not_called_missing(sealed: Sealed) -> None:
    (sealed.run / seal.MANIFEST).unlink()
    (sealed.run / seal.MANIFEST).symlink_to("nowhere")
    (told,) = flaws(sealed)
    assert told.reason == f"cannot be read: {os.strerror(errno.ELOOP)}"


BARE = "interrupted while it was sealed, or its seal was taken away; if no later run follows it, remove the folder"


@pytest.mark.parametrize(
    ("left", "told"),
    [
        ([], ""),
        (["policy", "evidence", "plan.json"], ""),
        (["policy", "evidence", "findings"], "findings"),
        (["report.html"], "report.html"),
        (["evidence", "a", "b", "c", "d"], "a, b, c, …"),
        (["evidence.statement.tsr"], "evidence.statement.tsr"),
        (["evidence.jsonl"], "evidence.jsonl"),
        (["a", "b", "c"], "a, b, c"),
    ],
)
def test_what_a_run_without_a_seal_may_hold(sealed: Sealed, left: list[str], told: str) -> None:
    bare = sealed.run.with_name("20300101T000000Z-00000000")
    bare.mkdir()
    for name in left:
        (bare / name).mkdir()
    if told:
        assert of_chain(sealed) == [Flaw(bare.name, 0, f"is not sealed, and holds {told}: it was {BARE}")]
    else:
        assert len(verify.verify_chain(sealed.run.parent, sealed.ring)) == 3
    assert verify.unsealed(sealed.run.parent) == ([] if told else [bare])


def test_what_only_bears_the_name_of_a_run_is_told_as_well(sealed: Sealed, tmp_path: Path) -> None:
    link = sealed.run.with_name("20300101T000000Z-00000000")
    link.symlink_to(tmp_path)
    assert of_chain(sealed) == [
        Flaw(link.name, 0, "is a link: what it leads to is no part of the folder, and may change")
    ]
    link.unlink()
    link.write_text("a file is no run")
    assert len(verify.verify_chain(link.parent, sealed.ring)) == 3
    assert verify.unsealed(link.parent) == []


def test_a_killed_run_is_told_with_the_runs_before_it(sealed: Sealed) -> None:
    """As kill -9 leaves it, while it is judged: one statement, and no other."""
    for name in (seal.MANIFEST, seal.SUMS):
        (sealed.runs[2] / name).unlink()
    (told,) = of_chain(sealed)
    assert (told.file, told.reason[:30]) == (f"{sealed.runs[2].name}/{seal.MANIFEST}", "is missing: the run was interr")
    shutil.rmtree(sealed.runs[2])
    assert len(verify.verify_chain(sealed.run.parent, sealed.ring)) == 2


def test_digests_alone_are_told_as_well(sealed: Sealed) -> None:
    def told() -> list[Flaw]:
        with pytest.raises(DoesNotVerify) as caught:
            verify.compare_digests(Directory(sealed.run))
        return list(caught.value.flaws)

    (sealed.run / "more").touch()
    (sealed.run / "also").touch()
    assert told() == [Flaw(name, 0, "was not there when the run was sealed") for name in ("also", "more")]
    (sealed.run / seal.MANIFEST).write_bytes(b"{}")
    reason = "is no DSSE envelope: Object missing required field `payload`"
    assert told() == [Flaw(seal.MANIFEST, 0, reason)]
    (sealed.run / seal.MANIFEST).unlink()
    assert told() == [Flaw(seal.MANIFEST, 0, "cannot be read: No such file or directory")]


class Failing(Directory):
    """A folder on a disk that fails for one file, from the nth time it is opened."""

    def __init__(self, path: Path, name: str, good: int = 0) -> None:
        super().__init__(path)
        self._name, self._good = name, good

    def open(self, name: str) -> io.BufferedIOBase:
        self._good -= name == self._name
        if name == self._name and self._good < 0:
            raise OSError(errno.EIO, "Input/output error", name)
        return super().open(name)


def test_a_file_that_cannot_be_read_is_told(sealed: Sealed) -> None:
    (sealed.run / SEGMENT).write_bytes((sealed.run / SEGMENT).read_bytes() + b"\n")
    for good in (0, 1):  # for its digest, and for its lines
        with pytest.raises(DoesNotVerify) as caught:
            verify.verify_run(Failing(sealed.run, SEGMENT, good), sealed.ring)
        assert caught.value.flaws == (Flaw(SEGMENT, 0, "cannot be read: Input/output error"),)
    for name in (seal.EVIDENCE, "plan.json"):
        with pytest.raises(EvidenceError, match=f"^{name}: cannot be read: Input/output error$"):
            read(Failing(sealed.run, name), name)
        with pytest.raises(EvidenceError, match=f"^{name}: cannot be read: Input/output error$"):
            sha256(Failing(sealed.run, name), name)


def test_the_time_a_key_was_valid_is_told(sealed: Sealed) -> None:
    scope, finished = scope_of(sealed.run), finished_of(sealed.run)

    def told(begin: dt.datetime, end: dt.datetime | None) -> list[str]:
        key = msgspec.structs.replace(sealed.ring.keys[0], valid_from=begin, valid_until=end)
        ring = msgspec.structs.replace(sealed.ring, keys=(key,))
        found = flaws(msgspec.structs.replace(sealed, ring=ring))
        assert [(flaw.file, flaw.line) for flaw in found] == [(seal.MANIFEST, 0)]
        return [flaw.reason for flaw in found]

    day = toy.NOW - 24 * 3600 * SECOND
    end, late = finished.finished_at, scope.as_of + SECOND
    until = f"its key {sealed.key.id} was valid from {day:%Y-%m-%d %H:%M:%S} until {end:%Y-%m-%d %H:%M:%S} UTC"
    assert told(day, end) == [f"is of {end:%Y-%m-%d %H:%M:%S} UTC; {until}"]
    since = f"its key {sealed.key.id} was valid from {late:%Y-%m-%d %H:%M:%S} UTC"
    assert told(late, None) == [f"is of {scope.as_of:%Y-%m-%d %H:%M:%S} UTC; {since}"]


def test_a_run_that_nobody_stamped_is_told_where_stamps_are_required(sealed: Sealed) -> None:
    found = verify.verify_chain(sealed.run.parent, sealed.ring)
    with pytest.raises(DoesNotVerify) as caught:
        verify.require_timestamps(found)
    assert caught.value.flaws == tuple(Flaw(f"{run.name}/{seal.STAMP}", 0, verify.NO_STAMP) for run in sealed.runs)


def test_a_flaw_is_one_line_whatever_it_quotes(sealed: Sealed) -> None:
    assert str(Flaw("päth", 3, "why")) == "päth:3: why"
    assert str(Flaw("a\\b", 0, "it's")) == "a\\b: it's"
    assert str(Flaw("a\nb", 0, "why\x1b")) == "a\\nb: why\\x1b"
    made = envelope.Envelope("YQ==", envelope.PAYLOAD_TYPE, (envelope.Signature("k\n20261123: verifies", "YQ=="),))
    (sealed.run / seal.EVIDENCE).write_bytes(msgspec.json.encode(made) + b"\n")
    told = f"{seal.EVIDENCE}: is signed by a key that is not known: k\\n20261123: verifies"
    assert [str(flaw) for flaw in flaws(sealed)] == [told]


# The chain


def test_unsigned_runs_of_a_chain_are_taken_only_where_that_is_said(sealed: Sealed) -> None:
    before: PreviousRun | None = None
    for run in sealed.runs:
        seal_anew(run, None, msgspec.structs.replace(scope_of(run), previous_run=before))
        before = PreviousRun(run.name, _manifest(run))
    assert of_chain(sealed) == [Flaw(f"{run.name}/{seal.MANIFEST}", 0, verify.UNSIGNED) for run in sealed.runs]
    assert len(verify.verify_chain(sealed.run.parent, sealed.ring, allow_unsigned=True)) == 3


def test_a_changed_line_is_told_through_the_chain(sealed: Sealed) -> None:
    rows = (sealed.run / SEGMENT).read_bytes().splitlines(keepends=True)
    (sealed.run / SEGMENT).write_bytes(b"".join([*rows[:2], rows[2].replace(b"boxes", b"foxes"), *rows[3:]]))
    reason = "is not what was sealed: its SHA-256 differs; was changed: the line after it bears the mark of another"
    assert of_chain(sealed) == [Flaw(f"{sealed.run.name}/{SEGMENT}", 3, reason)]


def test_runs_are_in_the_order_of_their_numbers_whatever_their_names(sealed: Sealed) -> None:
    """Two runs that began in the same second are told apart by chance."""
    first, second, third = sealed.runs
    scope, start = scope_of(first), scope_of(first).started_at
    early = first.with_name(f"{first.name[:17]}00000000")
    late = first.rename(first.with_name(f"{first.name[:17]}ffffffff"))
    again(sealed, late, run=late.name)
    shutil.rmtree(third)
    second.rename(early)
    again(sealed, early, run=early.name, started_at=start, previous_run=PreviousRun(late.name, _manifest(late)))
    found = verify.verify_chain(early.parent, sealed.ring)
    assert [(one.scope.sequence, one.run) for one in found] == [(scope.sequence, late.name), (2, early.name)]


def _manifest(run: Path) -> str:
    return seal.sha256_file(run / seal.MANIFEST)


def test_links_are_told(sealed: Sealed) -> None:
    first, second, third = sealed.runs
    shutil.copytree(second, second.with_name("copy-of-the-second"))  # is called otherwise, and is no run of the chain
    assert len(verify.verify_chain(second.parent, sealed.ring)) == 3
    head = f"3:{_manifest(third)}"
    again(sealed, third, finished={"finished_at": finished_of(third).finished_at + SECOND})
    reason = f"the run of the chain head {head} is not there any more, or was changed"
    assert of_chain(sealed, head=head) == [Flaw(str(second.parent), 0, reason)]
    again(sealed, second, finished={"finished_at": finished_of(second).finished_at + SECOND})
    changed = Flaw(f"{third.name}/{seal.EVIDENCE}", 0, f"follows another {second.name} than the one that is there")
    assert of_chain(sealed) == [changed]
    shutil.rmtree(second)
    gone = f"follows {second.name}, which is not there; the run before it is {first.name}"
    assert of_chain(sealed) == [
        Flaw(changed.file, 0, "is number 3 of the chain, after number 1"),
        Flaw(changed.file, 0, gone),
    ]


def test_a_link_to_a_run_is_told_and_what_stands_after_it_is_verified(sealed: Sealed, tmp_path: Path) -> None:
    first, second, third = sealed.runs
    second.rename(tmp_path / second.name)
    second.symlink_to(tmp_path / second.name)
    (third / "more").touch()
    assert of_chain(sealed, head=f"1:{_manifest(first)}") == [
        Flaw(second.name, 0, "is a link: what it leads to is no part of the folder, and may change"),
        Flaw(f"{third.name}/more", 0, "was not there when the run was sealed"),
    ]


def test_a_run_without_a_signature_after_one_of_the_same_organization_is_told(sealed: Sealed) -> None:
    second, third = sealed.runs[1:]
    seal_anew(third)
    reason = "is not signed, and an earlier run of the organization is: anybody could have put it here"
    assert of_chain(sealed, allow_unsigned=True) == [Flaw(f"{third.name}/{seal.EVIDENCE}", 0, reason)]
    seal_anew(third, None, msgspec.structs.replace(scope_of(third), organization="Others"))
    assert len(verify.verify_chain(second.parent, sealed.ring, allow_unsigned=True)) == 3


def test_two_beginnings_are_no_chain(sealed: Sealed) -> None:
    again(sealed, sealed.runs[1], sequence=1, previous_run=None)
    shutil.rmtree(sealed.runs[2])
    told = Flaw(f"{sealed.runs[1].name}/{seal.EVIDENCE}", 0, "is number 1 of the chain, after number 1")
    assert of_chain(sealed) == [told]


# What stands in a run


def test_names_are_those_of_files_in_byte_order(tmp_path: Path) -> None:
    for name in ("b/c/d", "b.x", "b/e", "B", "ä", "\U0001f600", "not-utf8-\udce9"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(name.encode("utf-8", "replace").decode())
    (tmp_path / "empty" / "folder").mkdir(parents=True)
    found = Directory(tmp_path).names()
    assert found == ["B", "b.x", "b/c/d", "b/e", "not-utf8-\udce9", "ä", "\U0001f600"]
    inner = Within(Directory(tmp_path), "b")
    assert (inner.name, inner.names()) == ("b", ["c/d", "e"])
    with inner.open("c/d") as handle:
        assert handle.read() == b"b/c/d"
    deep = Within(Directory(tmp_path), "b/c")
    assert (deep.name, deep.names()) == ("c", ["d"])
    (tmp_path / "b" / "c" / "link").symlink_to("d")
    with pytest.raises(EvidenceError, match=r"^b/c/link: is no ordinary file$"):
        Directory(tmp_path).names()
    with pytest.raises(EvidenceError, match=f"^{tmp_path}/none: cannot be read: No such file or directory$"):
        Directory(tmp_path / "none").names()


def test_whether_something_is_there_is_said_of_what_cannot_be_read_as_well(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "folder").mkdir()
    (tmp_path / "link").symlink_to("nothing")
    os.mkfifo(tmp_path / "pipe")
    there = Directory(tmp_path)
    assert [holds(there, name) for name in ("file", "folder", "link", "pipe", "none", "none/file", "a\0b")] == [
        *([True] * 4),
        *([False] * 3),
    ]
    with pytest.raises(OSError, match="no file can be called so") as caught:
        there.open("a\0b")
    assert (caught.value.errno, caught.value.filename) == (errno.ENOENT, "a\0b")
    before = len(list(Path("/proc/self/fd").iterdir()))
    assert holds(there, "file")
    with pytest.raises(OSError, match="is no ordinary file") as caught:
        there.open("pipe")
    assert (caught.value.errno, caught.value.filename) == (errno.EINVAL, "pipe")
    assert len(list(Path("/proc/self/fd").iterdir())) == before


def test_a_small_file_is_read_up_to_its_limit(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"12345")
    assert read(Directory(tmp_path), "file", 5) == b"12345"
    with pytest.raises(EvidenceError, match=r"^file: is longer than 4 bytes, so it is none of ours$"):
        read(Directory(tmp_path), "file", 4)


def test_names_are_asked_for_once(tmp_path: Path) -> None:
    (tmp_path / "b").write_bytes(b"x")
    once = ListedOnce(Directory(tmp_path))
    (tmp_path / "a").write_bytes(b"y")
    assert (once.names(), once.name) == (["b"], tmp_path.name)
    with once.open("a") as handle:
        assert handle.read() == b"y"


def test_bytes_that_are_no_file_are_never_waited_for(sealed: Sealed) -> None:
    """A pipe that nobody writes into would be opened for ever."""
    for name in (seal.EVIDENCE, seal.MANIFEST, seal.SUMS):
        moved = (sealed.run / name).rename(sealed.run.with_name("moved"))
        for make_it in (os.mkfifo, os.mkdir):
            make_it(sealed.run / name)
            before = len(list(Path("/proc/self/fd").iterdir()))
            told = flaws(sealed)[0]
            assert (told.file, told.line) == (name, 0)
            assert "is no ordinary file" in told.reason or "No such file" in told.reason
            assert len(list(Path("/proc/self/fd").iterdir())) == before
            (sealed.run / name).unlink() if make_it is os.mkfifo else (sealed.run / name).rmdir()
        moved.rename(sealed.run / name)
