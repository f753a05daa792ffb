"""Packages: what is in them, that they are always the same, and that nothing in them changes unnoticed."""

from __future__ import annotations

import csv
import datetime as dt
import io
import json
import random
import re
import shutil
import threading
import zipfile
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote

import msgspec
import pytest

from auditor import envelope, keys, plugins, seal
from auditor.contents import Directory
from auditor.keys import KeyRing, SigningKey
from auditor.model import EvidenceError, UsageError
from auditor.notices import SEAL_LIMITS
from auditor.packaging import archive
from auditor.packaging.build import build
from auditor.packaging.opening import opened
from auditor.packaging.statement import STATEMENT, VerifiedPackage, verify_package
from auditor.verify import DoesNotVerify
from tests import large_run, toy
from tests.sealing import scope_of, seal_anew
from tests.test_verify import HOUR, LOCKED, Sealed, make
from tests.toy import World, claim

LATER = toy.NOW + 10 * HOUR

SOURCES = plugins.sources()


class Packed(msgspec.Struct, frozen=True):
    """A signed package of a chain of three runs, and the same unpacked."""

    sealed: Sealed
    path: Path
    folder: Path

    @property
    def ring(self) -> KeyRing:
        return self.sealed.ring


def unpack(path: Path, folder: Path) -> Path:
    with zipfile.ZipFile(path) as zipped:
        zipped.extractall(folder)
    return folder


@pytest.fixture(scope="module")
def once(tmp_path_factory: pytest.TempPathFactory) -> Packed:
    folder = tmp_path_factory.mktemp("packed")
    sealed = make(folder)
    path = folder / "evidence.zip"
    build(sealed.runs, path, sealed.ring, sealed.key, SOURCES)
    return Packed(sealed, path, unpack(path, folder / "unpacked"))


@pytest.fixture
def packed(once: Packed, tmp_path: Path) -> Packed:
    """A copy that a test may change."""
    shutil.copy(once.path, tmp_path / "evidence.zip")
    return Packed(once.sealed, tmp_path / "evidence.zip", shutil.copytree(once.folder, tmp_path / "unpacked"))


def check(path: Path, ring: KeyRing | None, *, allow_unsigned: bool = False) -> VerifiedPackage:
    with opened(path) as files:
        return verify_package(files, ring, allow_unsigned=allow_unsigned)


def flaws(path: Path, ring: KeyRing | None, *, allow_unsigned: bool = False) -> str:
    with pytest.raises(DoesNotVerify) as caught:
        check(path, ring, allow_unsigned=allow_unsigned)
    return str(caught.value)


def files_of(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def test_a_package_verifies_as_a_file_and_unpacked(once: Packed) -> None:
    for path in (once.path, once.folder):
        found = check(path, once.ring)
        assert [run.run for run in found.runs] == [run.name for run in once.sealed.runs]
        assert found.key is not None
        assert found.key.id == once.sealed.key.id
        assert found.files == len(files_of(once.folder)) - 2


def test_the_runs_are_in_it_byte_for_byte_and_were_not_touched(once: Packed) -> None:
    for run in once.sealed.runs:
        assert files_of(once.folder / "runs" / run.name) == files_of(run)


def test_the_same_runs_and_keys_make_the_same_bytes(once: Packed, tmp_path: Path) -> None:
    again = tmp_path / "elsewhere" / "other.zip"
    again.parent.mkdir()
    build(list(reversed(once.sealed.runs)), again, once.ring, once.sealed.key, SOURCES)
    assert again.read_bytes() == once.path.read_bytes()
    from_itself = tmp_path / "from-itself.zip"
    build(sorted((once.folder / "runs").iterdir()), from_itself, once.ring, once.sealed.key, SOURCES)
    assert from_itself.read_bytes() == once.path.read_bytes()
    other = tmp_path / "unsigned.zip"
    build(once.sealed.runs, other, once.ring, None, SOURCES)
    differ = {
        name
        for name, data in files_of(unpack(other, tmp_path / "u")).items()
        if (once.folder / name).read_bytes() != data
    }
    assert differ == {STATEMENT, "LIMITS.md", "VERIFY.md", "SHA256SUMS"}


def test_what_an_auditor_looks_for_is_there(once: Packed) -> None:
    names = set(files_of(once.folder))
    newest, *earlier = [run.name for run in reversed(once.sealed.runs)]
    assert {
        "index.html", "index.csv", "LIMITS.md", "VERIFY.md", "SHA256SUMS", STATEMENT, "keys.json", "sbom.cdx.json",
        f"keys/{once.sealed.key.id}.pem", "criteria/CC6.1/index.html", "criteria/CC6.1/index.csv",
        *(f"earlier/{run}.html" for run in earlier),
        *(f"tests/{newest}/t/{name}" for name in ("population-1.html", "population.csv", "exceptions-1.html",
                                                  "exceptions.csv")),
        f"answers/{newest}/s.main/1.html",
    } <= names  # fmt: skip


def rows(text: bytes) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text.decode(), newline=""), strict=True))


def test_every_request_names_a_file_that_is_there(once: Packed) -> None:
    listed = rows((once.folder / "index.csv").read_bytes())
    assert all((once.folder / row["file"]).is_file() for row in listed)
    assert {row["run"] for row in listed} == {run.name for run in once.sealed.runs}
    wanted = {"population.csv", "exceptions.csv", "population-1.html", "index.html"}
    newest = [row for row in listed if row["run"] == once.sealed.runs[-1].name and row["criterion"] == "CC6.1"]
    assert {Path(row["file"]).name for row in newest} == wanted
    assert rows((once.folder / "criteria/CC6.1/index.csv").read_bytes()) == [row for row in listed if row["criterion"]]


def test_populations_and_exceptions_are_tables(once: Packed) -> None:
    folder = once.folder / "tests" / once.sealed.runs[0].name / "t"
    population = rows((folder / "population.csv").read_bytes())
    assert [(row["number"], row["outcome"], row["resource_id"]) for row in population] == [
        ("1", "pass", "b0"), ("2", "fail", "b1"), ("3", "pass", "b2"),
    ]  # fmt: skip
    assert rows((folder / "exceptions.csv").read_bytes()) == population[1:2]


class _Links(HTMLParser):
    """Every address and every name of a place on a page."""

    def __init__(self) -> None:
        super().__init__()
        self.hrefs: list[str] = []
        self.ids: list[str] = []
        self.tags: set[str] = set()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        for name, value in attrs:
            assert not name.startswith("on")
            assert name not in ("style", "src", "action")
            if name == "href" and tag == "a":
                self.hrefs.append(value or "")
            elif name == "id":
                self.ids.append(value or "")


def links_of(path: Path) -> _Links:
    page = _Links()
    page.feed(path.read_text())
    page.close()
    return page


def refuse_dead_links(folder: Path) -> int:
    """Follow every link of every page; return how many there are."""
    pages = {path: links_of(path) for path in folder.rglob("*.html") if "runs" not in path.relative_to(folder).parts}
    count = 0
    for path, page in pages.items():
        assert len(page.ids) == len(set(page.ids)), path
        assert not page.tags & {"script", "img", "iframe", "form", "link", "object", "base"}, path
        for href in page.hrefs:
            where, _, fragment = href.partition("#")
            target = (path.parent / unquote(where)).resolve() if where else path
            assert target.is_relative_to(folder.resolve()), (path, href)
            assert target.is_file(), (path, href)
            if fragment:
                assert unquote(fragment) in pages[target].ids, (path, href)
            count += 1
    return count


def test_every_link_leads_somewhere_in_the_package(once: Packed) -> None:
    assert refuse_dead_links(once.folder.resolve()) > 100


def test_pages_ask_nothing_of_any_network(once: Packed) -> None:
    for path in once.folder.rglob("*.html"):
        text = path.read_text()
        policy = re.search(r'Content-Security-Policy" content="([^"]*)"', text)
        assert policy is not None
        assert policy[1].startswith("default-src 'none'; style-src 'sha256-")
        assert "unsafe" not in policy[1]
        assert "script-src" not in policy[1]


def test_limits_name_what_the_seal_and_the_tests_cannot_show(once: Packed, tmp_path: Path) -> None:
    limits = (once.folder / "LIMITS.md").read_text()
    assert f"\n\n{SEAL_LIMITS}\n\n" in limits
    assert "(`auditor keys head`)" in limits, "our own text is Markdown"
    for text in (
        "best of three",
        "not that no other run was thrown away",
        "cannot prove: what is in it",
        "no second source: nobody else counts",
    ):
        assert text in limits
    assert "not in this package" not in limits
    alone = tmp_path / "last.zip"
    build(once.sealed.runs[2:], alone, once.ring, once.sealed.key, SOURCES)
    limits = (unpack(alone, tmp_path / "last") / "LIMITS.md").read_text()
    assert f"<code>{once.sealed.runs[1].name}</code>, which is **not in this package**" in limits


# What is refused when a package is made


def test_limits_tell_which_seals_an_unsigned_package_has(once: Packed, tmp_path: Path) -> None:
    bare = toy.audit(World([{"id": "a", "closed": True}]), tmp_path, claim("c", LOCKED)).run
    ours = "**This package is not signed.** Anybody could have changed its pages; "
    for runs, words in (
        (once.sealed.runs, "its runs have seals of their own, as named below.\n"),
        ([bare, *once.sealed.runs], "those of its runs that are signed have seals of their own, as named below.\n"),
    ):
        build(runs, tmp_path / "evidence.zip", once.ring, None, SOURCES, allow_unsigned=True)
        folder = unpack(tmp_path / "evidence.zip", tmp_path / str(len(runs)))
        assert ours + words in (folder / "LIMITS.md").read_text()


def test_a_run_that_does_not_verify_is_not_packed(once: Packed, tmp_path: Path) -> None:
    runs = [shutil.copytree(run, tmp_path / run.name) for run in once.sealed.runs]
    (runs[1] / "findings" / "s.main.jsonl").write_text("")
    with pytest.raises(DoesNotVerify, match=r"findings/s.main.jsonl: is not what was sealed"):
        build(runs, tmp_path / "evidence.zip", once.ring, None, SOURCES)
    with pytest.raises(DoesNotVerify, match="no key file was given"):
        build(once.sealed.runs, tmp_path / "evidence.zip", None, None, SOURCES)
    assert {path.name for path in tmp_path.iterdir()} == {run.name for run in runs}, "and nothing is left behind"


def test_unsigned_runs_are_packed_when_that_is_wanted(tmp_path: Path) -> None:
    run = toy.audit(World([{"id": "a", "closed": True}]), tmp_path, claim("c", LOCKED)).run
    path = tmp_path / "evidence.zip"
    with pytest.raises(DoesNotVerify, match="is not signed"):
        build([run], path, None, None, SOURCES)
    build([run], path, None, None, SOURCES, allow_unsigned=True)
    assert check(path, None, allow_unsigned=True).key is None
    assert "is not signed" in flaws(path, None)
    folder = unpack(path, tmp_path / "unpacked")
    assert not (folder / "keys.json").exists()
    limits = (folder / "LIMITS.md").read_text()
    assert "**not signed: anybody could have made or changed it**" in limits
    assert "**This package is not signed.** Anybody could have made or changed all of it.\n" in limits
    assert "seals of their own" not in limits
    assert refuse_dead_links(folder.resolve())


def test_a_run_that_is_being_sealed_is_waited_for(once: Packed, tmp_path: Path) -> None:
    """In each folder of the runs that are named."""
    runs = [shutil.copytree(run, tmp_path / f"of {run.name}" / run.name) for run in once.sealed.runs]
    for run in runs:
        (run.parent / seal.LOCK).touch()
    manifest = (runs[2] / seal.MANIFEST).read_bytes()
    made: list[int] = []

    def pack() -> None:
        made.append(build(runs, tmp_path / "evidence.zip", once.ring, once.sealed.key, SOURCES).files)

    packing = threading.Thread(target=pack)
    with seal.place_in_chain(runs[2].parent):
        (runs[2] / seal.MANIFEST).unlink()
        packing.start()
        packing.join(0.5)
        assert packing.is_alive()
        (runs[2] / seal.MANIFEST).write_bytes(manifest)
    packing.join()
    assert len(made) == 1
    assert (tmp_path / "evidence.zip").read_bytes() == once.path.read_bytes()


def test_a_run_is_named_once_and_all_are_of_one_organization(once: Packed, tmp_path: Path) -> None:
    path = tmp_path / "evidence.zip"
    with pytest.raises(UsageError, match="named twice"):
        build([once.sealed.runs[0], *once.sealed.runs], path, once.ring, None, SOURCES)
    other = shutil.copytree(once.sealed.runs[1], tmp_path / once.sealed.runs[1].name)
    scope = msgspec.structs.replace(scope_of(other), organization="Others")
    seal_anew(other, once.sealed.key, scope)
    with pytest.raises(UsageError, match="different organizations: 'Others', 'Toys'"):
        build([once.sealed.runs[0], other], path, once.ring, None, SOURCES)
    with pytest.raises(UsageError, match="no run"):
        build([], path, once.ring, None, SOURCES)


def test_nothing_is_written_into_a_run(once: Packed) -> None:
    before = files_of(once.sealed.run)
    with pytest.raises(UsageError, match="inside the run"):
        build([once.sealed.run], once.sealed.run / "findings" / "evidence.zip", once.ring, None, SOURCES)
    assert files_of(once.sealed.run) == before


def test_a_key_that_would_not_verify_signs_no_package(once: Packed, tmp_path: Path) -> None:
    path = tmp_path / "evidence.zip"
    with pytest.raises(UsageError, match="not among the public keys"):
        build(once.sealed.runs, path, once.ring, once.sealed.foreign, SOURCES)
    given_up = expired(once.ring, once.sealed.key, LATER)
    build(once.sealed.runs, path, given_up, once.sealed.key, SOURCES)
    newest = scope_of(once.sealed.runs[-1]).as_of
    early = build(once.sealed.runs[:1], path, expired(once.ring, once.sealed.key, newest), once.sealed.key, SOURCES)
    assert len(early.runs) == 1
    rotated, new = with_new_key(once.ring, tmp_path, newest)
    with pytest.raises(DoesNotVerify, match="was valid"):
        build(once.sealed.runs, path, expired(once.ring, once.sealed.key, newest), once.sealed.key, SOURCES)
    build(once.sealed.runs[:2], path, rotated, new, SOURCES)
    assert check(path, rotated).key == rotated.find(new.id)


def expired(ring: KeyRing, key: SigningKey, at: dt.datetime) -> KeyRing:
    ended = (msgspec.structs.replace(one, valid_until=at) if one.id == key.id else one for one in ring.keys)
    return msgspec.structs.replace(ring, keys=tuple(ended))


def with_new_key(ring: KeyRing, folder: Path, at: dt.datetime) -> tuple[KeyRing, SigningKey]:
    new = keys.generate(folder / "new.key", folder / "new.json", at)
    added = keys.load(folder / "new.json").keys
    return msgspec.structs.replace(ring, keys=(*ring.keys, *added)), new


def test_a_package_is_not_signed_by_a_key_given_up_before_its_newest_run(once: Packed, tmp_path: Path) -> None:
    """The older key sealed nothing in it, and can only have signed it afterwards."""
    old = keys.generate(tmp_path / "old.key", tmp_path / "old.json", toy.NOW - 5 * HOUR)
    ring = keys.load(tmp_path / "old.json")
    both = msgspec.structs.replace(once.ring, keys=(*once.ring.keys, *ring.keys))
    path = tmp_path / "evidence.zip"
    build(once.sealed.runs, path, both, old, SOURCES)
    assert check(path, both).key is not None
    ended = expired(both, old, toy.NOW - HOUR)
    with pytest.raises(UsageError, match="was given up"):
        build(once.sealed.runs, path, ended, old, SOURCES)
    assert "was given up" in flaws(path, ended)


def test_a_file_that_changes_while_it_is_packed_is_refused(once: Packed, tmp_path: Path) -> None:
    run = shutil.copytree(once.sealed.run, tmp_path / once.sealed.run.name)
    parts = list(archive.parts_of_run(run, check(once.path, once.ring).runs[1]))
    (run / "plan.json").write_bytes((run / "plan.json").read_bytes().swapcase())
    with pytest.raises(EvidenceError, match=r"plan\.json: changed while it was packed"):
        archive.write(tmp_path / "archive", parts)


def test_ids_that_are_no_ids_are_refused(tmp_path: Path) -> None:
    """They become names of files, and stand in the commands of VERIFY.md."""
    run = large_run.write(tmp_path, large_run.volumes(1))
    report = run / "report.json"
    report.write_bytes(report.read_bytes().replace(b'"id":"volumes"', b'"id":"$(id)/../x"'))
    seal_anew(run)
    with pytest.raises(EvidenceError, match="is no id of a claim, test or criterion"):
        build([run], tmp_path / "evidence.zip", None, None, SOURCES, allow_unsigned=True)


# What is noticed when a package is verified


def test_any_change_of_any_file_is_noticed(packed: Packed) -> None:
    where = random.Random(4)  # noqa: S311 - where to change something, no secret
    assert check(packed.folder, packed.ring).files
    for name, data in files_of(packed.folder).items():
        path = packed.folder / name
        for _ in range(3):
            bit = where.randrange(8 * len(data))
            changed = bytearray(data)
            changed[bit // 8] ^= 1 << bit % 8
            path.write_bytes(changed)
            assert name.rpartition("/")[2] in flaws(packed.folder, packed.ring), (name, bit)
        path.unlink()
        assert name.rpartition("/")[2] in flaws(packed.folder, packed.ring), name
        path.write_bytes(data)
    assert check(packed.folder, packed.ring).files


def test_files_that_were_added_are_noticed(packed: Packed) -> None:
    for name, what in (
        ("extra.txt", "package"),
        ("answers/extra.html", "package"),
        (f"runs/{packed.sealed.run.name}/extra", "run"),
    ):
        (packed.folder / name).write_text("x")
        told = [line for line in flaws(packed.folder, packed.ring).splitlines() if line.startswith(f"{name}: ")]
        assert told == [f"{name}: was not there when the {what} was sealed"]
        (packed.folder / name).unlink()
    for name in ("runs/extra", f"runs/{packed.sealed.run.name}/extra"):
        (packed.folder / name).write_text("x")
        assert "was not there when" in flaws(packed.folder, packed.ring)
        (packed.folder / name).unlink()
    (packed.folder / "link").symlink_to("index.html")
    with pytest.raises(EvidenceError, match="no ordinary file"):
        check(packed.folder, packed.ring)


def test_a_run_taken_out_or_put_in_or_exchanged_is_noticed(packed: Packed, tmp_path: Path) -> None:
    runs = packed.folder / "runs"
    first, second = (runs / run.name for run in packed.sealed.runs[:2])
    kept = first.rename(tmp_path / "kept")
    assert f"runs/{first.name}: is a run that the package statement names, and is missing" in flaws(
        packed.folder, packed.ring
    )
    shutil.copytree(second, first)
    assert f"is of the run {second.name}, and stands in {first.name}" in flaws(packed.folder, packed.ring)
    shutil.rmtree(first)
    kept.rename(first)
    shutil.copytree(first, runs / "20261123T000000Z-00000000")
    assert "is a run that the package statement does not name" in flaws(packed.folder, packed.ring)


def resign(packed: Packed, change: Callable[[dict[str, object]], object], key: SigningKey | None = None) -> None:
    """Write the statement anew, as the holder of a key can."""
    path = packed.folder / STATEMENT
    statement = json.loads(envelope.payload_unverified(path.read_bytes()))
    change(statement)
    path.write_bytes(envelope.close(json.dumps(statement, separators=(",", ":")).encode(), key or packed.sealed.key))


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda one: one.update(predicateType="urn:other"), "statement of another kind"),
        (lambda one: one.update(_type="urn:other"), "statement of another kind"),
        (lambda one: one["subject"].reverse(), "in byte order"),
        (lambda one: one["subject"].pop(), "was not there when"),
        (lambda one: one["subject"][0]["digest"].update(sha256="0" * 64), "is not what was sealed"),
        (lambda one: one["subject"][0]["digest"].update(md5="0"), "other digests than SHA-256"),
        (lambda one: one["predicate"]["runs"].pop(), "does not name"),
        (lambda one: one["predicate"]["runs"].append(one["predicate"]["runs"][0]), "once each"),
        (lambda one: one["predicate"].update(runs=[]), "once each"),
        (lambda one: one["predicate"]["runs"][0].update(manifest_sha256="0" * 64), "another run than"),
        (lambda one: one["predicate"]["runs"][0].update(sequence=9), "another run than"),
        (lambda one: one["predicate"].update(organization="Others"), "and the package of 'Others'"),
        (lambda one: one.update(more=1), "canonical"),
        (lambda one: one.pop("predicate"), "is no statement of a package"),
    ],
)  # fmt: skip
def test_a_statement_that_says_something_else_is_refused(
    packed: Packed, change: Callable[[dict[str, object]], object], reason: str
) -> None:
    resign(packed, lambda _: None)
    assert check(packed.folder, packed.ring).files, "the positive control: signed anew, and not changed"
    resign(packed, change)
    assert reason in flaws(packed.folder, packed.ring)


def test_a_foreign_key_seals_no_package(packed: Packed) -> None:
    resign(packed, lambda _: None, packed.sealed.foreign)
    assert "signed by a key that is not known" in flaws(packed.folder, packed.ring)
    assert "no key file was given" in flaws(packed.folder, None)


def test_a_package_whose_signature_was_taken_away_is_unsigned(packed: Packed) -> None:
    path = packed.folder / STATEMENT
    path.write_bytes(envelope.payload_unverified(path.read_bytes()) + b"\n")
    assert "is not signed" in flaws(packed.folder, packed.ring)
    assert check(packed.folder, packed.ring, allow_unsigned=True).key is None


def test_runs_that_do_not_follow_each_other_are_no_package(
    once: Packed, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The newest run is sealed anew, by the key, as if it followed another one."""
    runs = [shutil.copytree(run, tmp_path / run.name) for run in once.sealed.runs]
    scope = scope_of(runs[2])
    assert scope.previous_run is not None
    before = msgspec.structs.replace(scope.previous_run, manifest_sha256="0" * 64)
    seal_anew(runs[2], once.sealed.key, msgspec.structs.replace(scope, previous_run=before))
    path = tmp_path / "evidence.zip"
    with pytest.raises(DoesNotVerify, match="follows another"):
        build(runs, path, once.ring, once.sealed.key, SOURCES)
    monkeypatch.setattr("auditor.packaging.build.not_following", lambda _: ())
    build(runs, path, once.ring, once.sealed.key, SOURCES)
    assert f"follows another {runs[1].name} than the one that is in the package" in flaws(path, once.ring)
    build([runs[0], runs[2]], path, once.ring, once.sealed.key, SOURCES)
    assert len(check(path, once.ring).runs) == 2


def test_the_archive_and_the_folder_are_judged_alike(packed: Packed, tmp_path: Path) -> None:
    data = packed.path.read_bytes()
    where = random.Random(5)  # noqa: S311 - where to change something, no secret
    for _ in range(60):
        bit = where.randrange(8 * len(data))
        changed = bytearray(data)
        changed[bit // 8] ^= 1 << bit % 8
        packed.path.write_bytes(changed)
        with pytest.raises(EvidenceError):
            check(packed.path, packed.ring)
    packed.path.write_bytes(data)
    assert check(packed.path, packed.ring).files
    (tmp_path / "text.zip").write_text("hello")
    with pytest.raises(EvidenceError, match="is no archive"):
        check(tmp_path / "text.zip", packed.ring)
    with pytest.raises(UsageError, match="is a file, and no package"):
        check((tmp_path / "text.zip").rename(tmp_path / "text"), packed.ring)


def test_large_populations_are_paged(tmp_path: Path) -> None:
    run = large_run.write(tmp_path, large_run.volumes(2_500))
    path = tmp_path / "evidence.zip"
    build([run], path, None, None, SOURCES, allow_unsigned=True)
    folder = unpack(path, tmp_path / "unpacked")
    pages = folder / "tests" / run.name / "volumes"
    assert {file.name for file in pages.iterdir()} == {
        "population-1.html", "population-2.html", "population-3.html", "population.csv", "exceptions-1.html",
        "exceptions.csv",
    }  # fmt: skip
    assert refuse_dead_links(folder.resolve()) > 5_000
    assert len(rows((pages / "population.csv").read_bytes())) == 2_500
    assert max(file.stat().st_size for file in folder.rglob("*.html")) < 1_000_000
    assert [line.count(b'id="m') for line in ((pages / f"population-{n}.html").read_bytes() for n in (1, 2, 3))] == [
        1_000, 1_000, 500,
    ]  # fmt: skip


def test_the_digests_are_those_of_sha256sum(once: Packed) -> None:
    listed = [line.split("  ", 1) for line in (once.folder / "SHA256SUMS").read_text().splitlines()]
    names = [name for name in files_of(once.folder) if name not in ("SHA256SUMS", STATEMENT)]
    assert {name: digest for digest, name in listed} == {name: seal.sha256_file(once.folder / name) for name in names}


class _Counting(Directory):
    listed = 0

    def names(self) -> list[str]:
        self.listed += 1
        return super().names()


def test_a_folder_is_listed_once_however_many_runs_it_holds(once: Packed) -> None:
    files = _Counting(once.folder)
    assert len(verify_package(files, once.ring).runs) == 3
    assert files.listed == 1
