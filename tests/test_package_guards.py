"""What verifying says of a package, word for word; its own keys are believed only where they are whole."""

from __future__ import annotations

import io
import shutil
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from auditor import envelope, keys, seal
from auditor.contents import Directory
from auditor.model import EvidenceError
from auditor.packaging import statement
from auditor.packaging.build import build
from auditor.packaging.statement import KEYS, PACKAGE_TYPE, RUNS, STATEMENT, PackageStatement
from auditor.stored_zip import StoredZip
from auditor.verify import NO_KEYS, DoesNotVerify, Flaw
from tests.sealing import scope_of, seal_anew
from tests.test_package import SOURCES, Packed, unpack
from tests.test_verify import make

DEPTH = "maximum recursion depth exceeded while deserializing an object"
NO_UTF8 = "'utf-8' codec can't decode byte 0xff in position 0: invalid start byte"


@pytest.fixture(scope="module")
def once(tmp_path_factory: pytest.TempPathFactory) -> Packed:
    folder = tmp_path_factory.mktemp("packed")
    sealed = make(folder)
    path = folder / "evidence.zip"
    build(sealed.runs, path, sealed.ring, sealed.key, SOURCES)
    return Packed(sealed, path, unpack(path, folder / "unpacked"))


@pytest.fixture
def packed(once: Packed, tmp_path: Path) -> Packed:
    return Packed(once.sealed, once.path, shutil.copytree(once.folder, tmp_path / "unpacked"))


def flaws(packed: Packed, **options: Any) -> list[Flaw]:
    with pytest.raises(DoesNotVerify) as caught:
        statement.verify_package(Directory(packed.folder), options.pop("ring", packed.ring), **options)
    return list(caught.value.flaws)


def sign(packed: Packed, change: Callable[[PackageStatement], PackageStatement]) -> PackageStatement:
    """Let the statement say otherwise, signed with the company's own key; return what it said."""
    path = packed.folder / STATEMENT
    said = msgspec.json.decode(envelope.payload_unverified(path.read_bytes()), type=PackageStatement)
    path.write_bytes(envelope.close(msgspec.json.encode(change(said)), packed.sealed.key))
    return said


def replaced(**members: Any) -> Callable[[PackageStatement], PackageStatement]:
    return lambda said: msgspec.structs.replace(said, **members)


def predicate(**members: Any) -> Callable[[PackageStatement], PackageStatement]:
    return lambda said: msgspec.structs.replace(said, predicate=msgspec.structs.replace(said.predicate, **members))


def relisted(packed: Packed, said: PackageStatement) -> PackageStatement:
    """List the files as they now are."""
    there = Directory(packed.folder)
    listed = seal.subjects(there, [name for name in there.names() if name not in (STATEMENT, seal.SUMS)])
    (packed.folder / seal.SUMS).write_bytes(seal.sums(listed))
    return msgspec.structs.replace(said, subject=listed)


def test_what_was_packed_verifies(packed: Packed) -> None:
    found = statement.verify_package(Directory(packed.folder), packed.ring)
    assert [one.run for one in found.runs] == [run.name for run in packed.sealed.runs]
    assert (found.key, found.packaged.organization) == (packed.ring.keys[0], "Toys")
    assert found.files == len(Directory(packed.folder).names()) - 2
    assert found.left_out == ()
    assert statement.is_package(Directory(packed.folder))
    assert not statement.is_package(Directory(packed.sealed.run))


def test_the_statement_is_told_by_what_is_wrong_with_it(packed: Packed) -> None:
    path = packed.folder / STATEMENT
    original = path.read_bytes()
    payload = envelope.payload_unverified(original)
    key, foreign = packed.sealed.key, packed.sealed.foreign
    canonically = "is not written canonically: its bytes are not those that its content gives"
    for data, reason in (
        (payload, "does not end with a newline"),
        (b"{}", "is no DSSE envelope: Object missing required field `payload`"),
        (envelope.close(payload + b" ", key), canonically),
        (envelope.close(b"{}", key), "is no statement of a package: Object missing required field `subject`"),
        (envelope.close(b"[" * 9_999, key), "is no statement of a package: Expected `object`, got `array`"),
        (envelope.close(payload, None), statement.UNSIGNED),
        (envelope.close(payload, foreign), f"is signed by a key that is not known: {foreign.id}"),
        (envelope.close(b'{"_type":"\xff"}', key), f"is no statement of a package: {NO_UTF8}"),
        (b'{"_type":"x","more":' + b"[" * 9_999 + b"\n", f"is no statement of a package: {DEPTH}"),
    ):
        path.write_bytes(data)
        assert flaws(packed) == [Flaw(STATEMENT, 0, reason)]
    path.write_bytes(original)
    assert flaws(packed, ring=None) == [Flaw(STATEMENT, 0, NO_KEYS)]
    path.write_bytes(envelope.close(payload, None))
    assert statement.verify_package(Directory(packed.folder), packed.ring, allow_unsigned=True).key is None
    path.unlink()
    assert flaws(packed) == [Flaw(STATEMENT, 0, "cannot be read: No such file or directory")]


def test_what_the_statement_says_is_held_against_what_is_there(packed: Packed) -> None:
    original = (packed.folder / STATEMENT).read_bytes()
    first, second, third = packed.sealed.runs
    said = sign(packed, lambda one: one)
    runs, listed = said.predicate.runs, said.subject
    md5 = tuple(msgspec.structs.replace(one, digest={**one.digest, "md5": "0"}) for one in listed)
    other = "is another run than the one that the package statement names"
    unnamed = "is a run that the package statement does not name"
    order = "does not list its files once each, in byte order"
    for change, expected in (
        (replaced(type_="x"), [(STATEMENT, f"is a statement of another kind: x {PACKAGE_TYPE}")]),
        (replaced(predicateType="x"), [(STATEMENT, f"is a statement of another kind: {seal.STATEMENT_TYPE} x")]),
        (
            replaced(subject=(listed[1], listed[0], *listed[2:])),
            [(seal.SUMS, "is not the list of the package statement"), (STATEMENT, order)],
        ),
        (replaced(subject=md5), [(STATEMENT, "has other digests than SHA-256")]),
        (predicate(runs=runs[:2]), [(f"{RUNS}/{third.name}", unnamed)]),
        (
            predicate(runs=()),
            [
                (STATEMENT, "does not name its runs once each"),
                *((f"{RUNS}/{run.name}", unnamed) for run in (first, second, third)),
            ],
        ),
        (predicate(runs=(*runs, runs[0])), [(STATEMENT, "does not name its runs once each")]),
        (predicate(runs=(msgspec.structs.replace(runs[0], sequence=9), *runs[1:])), [(f"{RUNS}/{first.name}", other)]),
        (
            predicate(runs=(msgspec.structs.replace(runs[0], manifest_sha256="0"), *runs[1:])),
            [(f"{RUNS}/{first.name}", other)],
        ),
        (
            predicate(organization="Others"),
            [(f"{RUNS}/{run.name}", "is of 'Toys', and the package of 'Others'") for run in (first, second, third)],
        ),
    ):
        sign(packed, change)
        assert flaws(packed) == [Flaw(file, 0, reason) for file, reason in expected]
        (packed.folder / STATEMENT).write_bytes(original)
    missing = msgspec.structs.replace(runs[0], run="20200101T000000Z-00000000")
    sign(packed, predicate(runs=(missing, *runs)))
    told = flaws(packed)
    assert Flaw(f"{RUNS}/{missing.run}", 0, "is a run that the package statement names, and is missing") in told
    assert any(flaw.file == f"{RUNS}/{missing.run}/{seal.EVIDENCE}" for flaw in told)


def test_files_of_runs_and_pages_are_told_by_their_names(packed: Packed) -> None:
    run = f"{RUNS}/{packed.sealed.runs[1].name}"
    segment = f"{run}/evidence/s.main.jsonl"
    rows = (packed.folder / segment).read_bytes().splitlines(keepends=True)
    (packed.folder / segment).write_bytes(b"".join([*rows[:2], rows[2].replace(b"boxes", b"foxes"), *rows[3:]]))
    (packed.folder / "index.html").write_bytes(b"")
    (packed.folder / f"{run}/more").touch()
    (packed.folder / f"{run}/plan.json").unlink()
    changed = "is not what was sealed: its SHA-256 differs"
    told = flaws(packed)
    assert {(flaw.file, flaw.line, flaw.reason) for flaw in told} >= {
        ("index.html", 0, changed),
        (f"{run}/more", 0, "was not there when the run was sealed"),
        (f"{run}/plan.json", 0, "is missing"),
        (segment, 3, f"{changed}; was changed: the line after it bears the mark of another"),
    }
    assert {flaw.file for flaw in told} == {"index.html", f"{run}/more", f"{run}/plan.json", segment}


def test_a_run_that_follows_another_one_is_told(packed: Packed) -> None:
    second, third = (packed.folder / RUNS / run.name for run in packed.sealed.runs[1:])
    following = Flaw(f"{RUNS}/{third.name}", 0, f"follows another {second.name} than the one that is in the package")
    seal_anew(second, packed.sealed.key, msgspec.structs.replace(scope_of(second), sequence=4))
    sign(packed, lambda said: relisted(packed, said))
    assert following in flaws(packed)
    seal_anew(second, packed.sealed.key, msgspec.structs.replace(scope_of(second), sequence=2))
    sign(packed, lambda said: relisted(packed, said))
    statement.verify_package(Directory(packed.folder), packed.ring)  # it was sealed again, byte for byte
    seal_anew(third, packed.sealed.key, msgspec.structs.replace(scope_of(third), sequence=5))
    sign(packed, lambda said: relisted(packed, said))
    assert following in flaws(packed)


def test_a_key_given_up_before_the_newest_run_ended_signs_no_package(packed: Packed) -> None:
    newest = scope_of(packed.sealed.runs[-1]).as_of
    (key,) = packed.ring.keys
    said = sign(packed, lambda one: one).predicate
    assert statement.given_up(said, key) == ""
    assert statement.given_up(said, msgspec.structs.replace(key, valid_until=newest.replace(year=2030))) == ""
    ended = msgspec.structs.replace(key, valid_until=newest)
    reason = f"({key.id}) was given up ({newest:%Y-%m-%d %H:%M:%S} UTC) before the newest run ended"
    assert statement.given_up(said, ended) == reason
    assert statement.given_up(msgspec.structs.replace(said, runs=()), ended) == ""
    ring = msgspec.structs.replace(packed.ring, keys=(ended,))
    assert Flaw(STATEMENT, 0, f"the key that signed it {reason}") in flaws(packed, ring=ring)


def test_the_keys_that_came_with_a_package_are_read_or_told(packed: Packed) -> None:
    assert statement.own_keys(Directory(packed.folder)) == packed.ring
    with StoredZip(packed.path) as archive:
        assert statement.own_keys(archive) == packed.ring
    (packed.folder / KEYS).write_bytes(b"{}")
    with pytest.raises(DoesNotVerify) as caught:
        statement.own_keys(Directory(packed.folder))
    reason = "is no key file: Object missing required field `keys`"
    assert caught.value.flaws == (Flaw(KEYS, 0, reason),)
    (packed.folder / KEYS).write_bytes(keys.to_json(msgspec.structs.replace(packed.ring, keys=packed.ring.keys * 2)))
    with pytest.raises(EvidenceError, match=f"^{KEYS}: names a key twice$"):
        statement.own_keys(Directory(packed.folder))
    (packed.folder / KEYS).unlink()
    (packed.folder / KEYS).mkdir()
    with pytest.raises(DoesNotVerify) as caught:
        statement.own_keys(Directory(packed.folder))
    assert caught.value.flaws == (Flaw(KEYS, 0, "cannot be read: is no ordinary file"),)
    (packed.folder / KEYS).rmdir()
    assert statement.own_keys(Directory(packed.folder)) is None


class Counting(Directory):
    """A folder that counts how often each of its files is opened."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self.opened: Counter[str] = Counter()

    def open(self, name: str) -> io.BufferedIOBase:
        self.opened[name] += 1
        return super().open(name)


def test_every_file_is_read_once(packed: Packed) -> None:
    """Those of runs are listed by two statements, and may be large."""
    files = Counting(packed.folder)
    statement.verify_package(files, packed.ring)
    small = (seal.EVIDENCE, seal.MANIFEST, seal.SUMS, STATEMENT)
    assert {name: times for name, times in files.opened.items() if not name.endswith(small)} == {
        name: 1 for name in files.names() if not name.endswith(small)
    }


def test_a_file_of_a_run_is_held_against_both_statements(packed: Packed) -> None:
    name = f"{RUNS}/{packed.sealed.runs[0].name}/plan.json"
    said = sign(packed, lambda one: one).subject

    def sealed_with(listed: tuple[seal.Subject, ...]) -> list[Flaw]:
        (packed.folder / seal.SUMS).write_bytes(seal.sums(listed))
        sign(packed, replaced(subject=listed))
        return flaws(packed)

    other = tuple(seal.Subject(name, {"sha256": "0" * 64}) if one.name == name else one for one in said)
    assert sealed_with(other) == [Flaw(name, 0, "is not what was sealed: its SHA-256 differs")]
    assert sealed_with(tuple(one for one in said if one.name != name)) == [
        Flaw(name, 0, "was not there when the package was sealed")
    ]
