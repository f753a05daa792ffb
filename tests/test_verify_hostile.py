"""What somebody puts in the place of evidence so that verifying it stops, crashes or takes everything there is."""

from __future__ import annotations

import os
import re
import shutil
from pathlib import Path

import pytest

from auditor import contents, envelope, evidence, seal, stored_zip, verify
from auditor.contents import Directory
from auditor.model import EvidenceError
from auditor.packaging import statement
from auditor.verify import DoesNotVerify
from tests.sealing import seal_anew
from tests.test_verify import SEGMENT, Sealed, make

DEEP = b"[" * 100_000 + b"]" * 100_000


@pytest.fixture
def sealed(tmp_path: Path) -> Sealed:
    return make(tmp_path)


def told(sealed: Sealed, *, allow_unsigned: bool = False) -> str:
    with pytest.raises(DoesNotVerify) as caught:
        verify.verify_run(Directory(sealed.run), sealed.ring, allow_unsigned=allow_unsigned)
    return str(caught.value)


@pytest.mark.parametrize("name", [seal.EVIDENCE, seal.MANIFEST])
def test_a_pipe_in_place_of_a_statement_is_not_waited_for(sealed: Sealed, name: str) -> None:
    (sealed.run / name).unlink()
    os.mkfifo(sealed.run / name)
    assert told(sealed).startswith(f"{name}: cannot be read: is no ordinary file")
    assert seal.latest_run(sealed.run.parent) is not None


def test_folders_may_be_nested_deeper_than_functions(sealed: Sealed, tmp_path: Path) -> None:
    outermost = tmp_path / "nested"
    outermost.mkdir()
    (outermost / "file").touch()
    for _ in range(1_199):
        outer = tmp_path / "outer"
        outer.mkdir()
        outermost.rename(outer / "d")
        outer.rename(outermost)
    outermost.rename(sealed.run / "d")
    try:
        assert told(sealed) == f"{'d/' * 1_200}file: was not there when the run was sealed"
    finally:
        _remove(sealed.run / "d", tmp_path / "inner")


def _remove(folder: Path, aside: Path) -> None:
    """Remove folders one by one, as nobody's `rmtree` can."""
    (folder / "file").unlink(missing_ok=True)
    while (folder / "d").exists():
        (folder / "d").rename(aside)
        folder.rmdir()
        aside.rename(folder)
    shutil.rmtree(folder)


def test_a_name_that_no_file_can_have_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        Directory(tmp_path).open("a\0b")


@pytest.mark.parametrize("name", [seal.EVIDENCE, seal.MANIFEST])
def test_a_statement_nested_deeper_than_any_is_refused(sealed: Sealed, name: str) -> None:
    (sealed.run / name).write_bytes(b'{"_type":"x","more":%s}\n' % DEEP)
    assert f"{name}: is no statement of a run" in told(sealed)
    assert seal.latest_run(sealed.run.parent) is not None


def test_a_line_nested_deeper_than_any_is_told(sealed: Sealed) -> None:
    lines = (sealed.run / SEGMENT).read_bytes().splitlines(keepends=True)
    lines[2] = b'{"kind":"answer","n":3,"body":%s}\n' % DEEP
    (sealed.run / SEGMENT).write_bytes(b"".join(lines))
    assert told(sealed).startswith(f"{SEGMENT}:3: is not what was sealed")


def test_moments_without_a_zone_are_refused(sealed: Sealed) -> None:
    said = envelope.payload_unverified((sealed.run / seal.EVIDENCE).read_bytes())
    bare = re.sub(rb'("started_at":"[^"]*)Z"', rb'\1"', said)
    assert bare != said
    (sealed.run / seal.EVIDENCE).write_bytes(bare + b"\n")
    (sealed.run / seal.MANIFEST).write_bytes(
        envelope.payload_unverified((sealed.run / seal.MANIFEST).read_bytes()) + b"\n"
    )
    assert told(sealed, allow_unsigned=True).startswith(f"{seal.EVIDENCE}: is no statement of a run")


def test_a_run_without_a_signature_follows_none_that_has_one(sealed: Sealed) -> None:
    seal_anew(sealed.runs[0])  # whoever has no key can do that with the first runs, or with the last
    runs = sealed.run.parent
    with pytest.raises(DoesNotVerify, match="follows another"):
        verify.verify_chain(runs, sealed.ring, allow_unsigned=True)
    seal_anew(sealed.runs[0], sealed.key)
    assert len(verify.verify_chain(runs, sealed.ring, allow_unsigned=True)) == 3
    seal_anew(sealed.runs[2])
    with pytest.raises(
        DoesNotVerify, match=f"{sealed.runs[2].name}/{seal.EVIDENCE}: is not signed, and an earlier run"
    ):
        verify.verify_chain(runs, sealed.ring, allow_unsigned=True)


def test_a_package_whose_statement_is_a_link_is_a_package(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").touch()
    (tmp_path / statement.STATEMENT).symlink_to("elsewhere")
    assert statement.is_package(Directory(tmp_path))
    with pytest.raises(DoesNotVerify, match=f"{statement.STATEMENT}: cannot be read"):
        statement.verify_package(Directory(tmp_path), None)


def test_a_directory_of_an_archive_that_fills_the_memory_is_not_read(tmp_path: Path) -> None:
    path = tmp_path / "evidence.zip"
    size = stored_zip.MOST_DIRECTORY + 1
    with path.open("wb") as out:
        out.truncate(size)  # takes no place on the disk
        out.seek(size)
        out.write(stored_zip._end(2**40, size, 0))
    with pytest.raises(EvidenceError, match="directory is longer than"):
        stored_zip.StoredZip(path)


def test_a_segment_that_is_one_endless_line_is_told(sealed: Sealed, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(evidence, "MOST_LINE", 1 << 20)
    path = sealed.run / SEGMENT
    first = path.read_bytes().splitlines(keepends=True)[0]
    path.write_bytes(first)
    os.truncate(path, 1 << 32)  # takes no place on the disk
    with path.open("rb") as handle:
        assert evidence.changed_line(handle) == (2, "the last line is cut")
        assert handle.tell() < 1 << 22


@pytest.mark.parametrize("name", [seal.EVIDENCE, seal.MANIFEST, seal.SUMS])
def test_a_statement_that_fills_the_memory_is_not_read(sealed: Sealed, name: str) -> None:
    os.truncate(sealed.run / name, contents.MOST_READ + 1)
    assert "is longer than 268,435,456 bytes" in told(sealed)
