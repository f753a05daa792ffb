"""Archives: any program reads them, and ours reads none that was made or changed otherwise, by a single bit."""

from __future__ import annotations

import io
import random
import stat
import subprocess
import zipfile
import zlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from auditor import stored_zip
from auditor.model import EvidenceError
from auditor.stored_zip import StoredZip, Writer, unsafe

FILES = {"a.txt": b"hello", "runs/r/empty": b"", "runs/r/x.jsonl": b'{"n":1}\n' * 50, "z/für.html": b"<p>" * 100}
HEADER = 30
"""Bytes of a local header before its name."""


def archive(files: Mapping[str, bytes]) -> bytes:
    out = io.BytesIO()
    writer = Writer(out)
    for name in sorted(files, key=str.encode):
        writer.add(name, len(files[name]), [files[name][:3], files[name][3:]])
    writer.close()
    return out.getvalue()


def contents(data: bytes, folder: Path) -> dict[str, bytes]:
    path = folder / "evidence.zip"
    path.write_bytes(data)
    with StoredZip(path) as opened:
        return {name: opened.open(name).read() for name in opened.names()}


def by_zipfile(*entries: tuple[str, bytes], change: Callable[[zipfile.ZipInfo], Any] = lambda _: None) -> bytes:
    """An archive as Python's zipfile writes it; `change` makes of an entry what it should not be."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as zipped:
        for name, data in entries:
            info = zipfile.ZipInfo(name)
            info.create_system = 3
            info.create_version = info.extract_version = stored_zip.PLAIN
            info.external_attr = stored_zip.MODE
            change(info)
            zipped.writestr(info, data)
    return out.getvalue()


def test_what_was_written_is_read(tmp_path: Path) -> None:
    assert contents(archive(FILES), tmp_path) == FILES
    assert contents(archive({}), tmp_path) == {}


def test_the_same_files_give_the_same_bytes_and_other_programs_read_them(tmp_path: Path) -> None:
    data = archive(FILES)
    assert data == archive(dict(reversed(FILES.items())))
    with zipfile.ZipFile(io.BytesIO(data)) as zipped:
        assert zipped.testzip() is None
        assert {name: zipped.read(name) for name in zipped.namelist()} == FILES
        assert {info.date_time for info in zipped.infolist()} == {(1980, 1, 1, 0, 0, 0)}
        assert {info.external_attr >> 16 for info in zipped.infolist()} == {stat.S_IFREG | 0o644}
    (tmp_path / "a.zip").write_bytes(data)
    tested = subprocess.run(["unzip", "-t", tmp_path / "a.zip"], capture_output=True, check=True)
    assert (tested.returncode, tested.stderr) == (0, b"")


def test_an_archive_as_zipfile_writes_it_is_taken_where_it_is_as_ours(tmp_path: Path) -> None:
    """The positive control of every refusal below: it is not for having been written by another program."""
    made = by_zipfile(("a.txt", b"hello"), ("b", b""))
    assert made == archive({"a.txt": b"hello", "b": b""})
    assert contents(made, tmp_path) == {"a.txt": b"hello", "b": b""}


def test_any_single_flipped_bit_is_noticed(tmp_path: Path) -> None:
    data = archive({"a": b"hello", "b/ü": b"x" * 9, "c": b""})
    for bit in range(8 * len(data)):
        changed = bytearray(data)
        changed[bit // 8] ^= 1 << bit % 8
        with pytest.raises(EvidenceError):
            contents(bytes(changed), tmp_path)


@settings(max_examples=100, deadline=None)
@given(seed=st.integers(min_value=0), kind=st.sampled_from(["flip", "cut", "drop", "double", "swap", "add"]))
def test_any_other_change_is_noticed(tmp_path_factory: pytest.TempPathFactory, seed: int, kind: str) -> None:
    data = archive(FILES)
    where = random.Random(seed)  # noqa: S311 - where to change something, no secret
    first, last = sorted(where.sample(range(len(data) + 1), 2))
    changed = {
        "flip": lambda: data[:first] + bytes(byte ^ 0xFF for byte in data[first:last]) + data[last:],
        "cut": lambda: data[:first],
        "drop": lambda: data[:first] + data[last:],
        "double": lambda: data[:last] + data[first:],
        "swap": lambda: data[last:] + data[first:last] + data[:first],
        "add": lambda: data[:first] + where.randbytes(last - first) + data[first:],
    }[kind]()
    if changed != data:
        with pytest.raises(EvidenceError):
            contents(changed, tmp_path_factory.mktemp("changed"))


UNSAFE = [
    "",
    "/etc/passwd",
    "../up",
    "a/../../up",
    "a/./b",
    "a//b",
    "a/",
    "..",
    "C:/x",
    "a:stream",
    "a\\..\\b",
    "a\nb",
    "a\x00b",
    "a\x7fb",
    "a\u202eb",
    "a. /b",
    "dir./b",
    "x" * 70_000,
]


@pytest.mark.parametrize("name", UNSAFE, ids=range(len(UNSAFE)))
def test_names_that_lead_elsewhere_are_neither_written_nor_read(tmp_path: Path, name: str) -> None:
    assert unsafe(name)
    with pytest.raises(EvidenceError, match="its name"):
        archive({name: b"x"})
    if "\x00" not in name and len(name) < 1000:  # zipfile cuts the one, and cannot write the other
        with pytest.raises(EvidenceError):
            contents(by_zipfile((name, b"x")), tmp_path)


@pytest.mark.parametrize("name", ["a", "a/b.c", "..a", "a..b/c", ".hidden", "für/x", "a b", "日本"])
def test_other_names_may_stand_there(tmp_path: Path, name: str) -> None:
    assert contents(archive({name: b"x"}), tmp_path) == {name: b"x"}


def test_a_name_stands_there_once_whatever_the_system(tmp_path: Path) -> None:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as zipped:
        zipped.writestr(zipfile.ZipInfo("a"), "one")
        with pytest.warns(UserWarning, match="Duplicate"):
            zipped.writestr(zipfile.ZipInfo("a"), "two")
    with pytest.raises(EvidenceError, match="twice"):
        contents(out.getvalue(), tmp_path)
    with pytest.raises(EvidenceError, match="out of order"):
        contents(by_zipfile(("b", b""), ("a", b"")), tmp_path)
    for one, other in (("A", "a"), ("\u00e9", "e\u0301")):
        with pytest.raises(EvidenceError, match="the same name"):
            archive({one: b"", other: b""})
    with pytest.raises(EvidenceError, match="a file and a folder"):
        archive({"a": b"", "a/b": b""})
    assert set(contents(archive({"a": b"", "b/a": b"", "b/b": b""}), tmp_path)) == {"a", "b/a", "b/b"}


def _a_link(info: zipfile.ZipInfo) -> None:
    info.external_attr = (stat.S_IFLNK | 0o777) << 16


def _runnable(info: zipfile.ZipInfo) -> None:
    info.external_attr = (stat.S_IFREG | 0o755) << 16


def _deflated(info: zipfile.ZipInfo) -> None:
    info.compress_type = zipfile.ZIP_DEFLATED


def _commented(info: zipfile.ZipInfo) -> None:
    info.comment = b"read me"


def _dated(info: zipfile.ZipInfo) -> None:
    info.date_time = (2026, 11, 23, 0, 0, 0)


def _with_extra(info: zipfile.ZipInfo) -> None:
    info.extra = b"\xfe\xca\x02\x00hi"


def _of_dos(info: zipfile.ZipInfo) -> None:
    info.create_system = 0


@pytest.mark.parametrize("change", [_a_link, _runnable, _deflated, _commented, _dated, _with_extra, _of_dos])
def test_files_that_are_more_than_bytes_are_refused(tmp_path: Path, change: Callable[[zipfile.ZipInfo], None]) -> None:
    with pytest.raises(EvidenceError):
        contents(by_zipfile(("a.txt", b"hello"), change=change), tmp_path)


def test_a_bomb_is_refused_before_anything_is_unpacked(tmp_path: Path) -> None:
    bomb = by_zipfile(("a.txt", b"0" * 50_000_000), change=_deflated)
    assert len(bomb) < 100_000
    with pytest.raises(EvidenceError):
        contents(bomb, tmp_path)


def test_files_that_share_their_bytes_are_refused(tmp_path: Path) -> None:
    """As in a bomb of overlapping files: the directory names one file many times, each under another name."""
    data = bytearray(archive({"a": b"x" * 1000, "b": b"y"}))
    second = data.index(b"PK\1\2", data.index(b"PK\1\2") + 1)
    data[second + 16 : second + 28] = data[data.index(b"PK\1\2") + 16 :][:12]  # its CRC-32 and sizes
    data[second + 42 : second + 46] = bytes(4)  # it stands where the first one does
    with pytest.raises(EvidenceError, match="before its bytes"):
        contents(bytes(data), tmp_path)


def test_nothing_stands_before_between_or_after(tmp_path: Path) -> None:
    data = archive(FILES)
    for changed in (b"#!/bin/sh\n" + data, data + b"\n", data[:-1], b"", data[100:]):
        with pytest.raises(EvidenceError):
            contents(changed, tmp_path)
    out = io.BytesIO(data)
    with zipfile.ZipFile(out, "a") as zipped:
        zipped.comment = b"a comment"
    with pytest.raises(EvidenceError, match="after it"):
        contents(out.getvalue(), tmp_path)


def test_nothing_stands_between_the_files_and_their_directory(tmp_path: Path) -> None:
    data = archive(FILES)
    start = data.index(b"PK\1\2")
    end = bytearray(data[-22:])
    end[16:20] = (start + 4).to_bytes(4, "little")
    with pytest.raises(EvidenceError, match="bytes that belong to no file"):
        contents(data[:start] + b"more" + data[start:-22] + end, tmp_path)
    end[16:20] = start.to_bytes(4, "little")
    assert contents(data[:start] + data[start:-22] + end, tmp_path) == FILES


def test_names_that_lead_out_of_the_folder_are_said_to() -> None:
    assert {unsafe(name) for name in ("../up", "a/../../up", "a/./b", "..")} == {
        "leads out of the folder it is unpacked into"
    }


def test_an_encrypted_file_or_one_with_a_data_descriptor_is_refused(tmp_path: Path) -> None:
    for flag in (0x0001, 0x0008, 0x0800):
        data = bytearray(archive({"a": b"hello"}))
        data[6] |= flag & 0xFF
        data[7] |= flag >> 8
        central = data.index(b"PK\1\2")
        data[central + 8] |= flag & 0xFF
        data[central + 9] |= flag >> 8
        with pytest.raises(EvidenceError, match="before its bytes"):
            contents(bytes(data), tmp_path)


def test_bytes_and_checksum_of_a_file_go_together(tmp_path: Path) -> None:
    data = archive({"a": b"hello"}).replace(b"hello", b"hallo")
    with pytest.raises(EvidenceError, match="CRC-32"):
        contents(data, tmp_path)
    (tmp_path / "b.zip").write_bytes(data)
    with StoredZip(tmp_path / "b.zip") as opened, opened.open("a") as handle:
        handle.seek(3)
        assert handle.read() == b"lo", "a part can be read, and says nothing of the whole"
    empty = bytearray(archive({"a": b""}))
    for place in (14, empty.index(b"PK\1\2") + 16):
        empty[place] = 1
    with pytest.raises(EvidenceError, match="is empty"):
        contents(bytes(empty), tmp_path)


def test_a_file_that_changes_while_it_is_written_is_refused() -> None:
    for chunks in ([b"hell"], [b"hello", b"!"]):
        with pytest.raises(EvidenceError, match="changed while it was read"):
            Writer(io.BytesIO()).add("a", 5, chunks)


def test_more_files_than_the_old_format_counts(tmp_path: Path) -> None:
    for count in (65_534, 65_535, 65_536):
        many = {f"{number:05}": b"" for number in range(count)}
        data = archive(many)
        assert (b"PK\6\6" in data) is (count > 65_534)
        assert contents(data, tmp_path) == many
        with zipfile.ZipFile(io.BytesIO(data)) as zipped:
            assert len(zipped.namelist()) == count


def test_a_file_beyond_32_bits(tmp_path: Path) -> None:
    """5 GB of holes: the sizes and places of the 64-bit format, read by zipfile as well."""
    size = 5 << 30
    path = tmp_path / "large.zip"
    with path.open("wb") as out:
        header = stored_zip._local(stored_zip.Entry("a", size, 0))
        assert len(header) == HEADER + 1 + 20
        out.write(header)
        out.seek(size, io.SEEK_CUR)
        small = stored_zip.Entry("b", 5, zlib.crc32(b"hello"))
        offset = out.tell()
        out.write(stored_zip._local(small) + b"hello")
        start = out.tell()
        out.write(stored_zip._central(stored_zip.Entry("a", size, 0), 0) + stored_zip._central(small, offset))
        out.write(stored_zip._end(2, out.tell() - start, start))
    with StoredZip(path) as opened:
        assert opened.names() == ["a", "b"]
        assert opened.open("b").read() == b"hello"
        with opened.open("a") as handle:
            assert handle.seek(-3, io.SEEK_END) == size - 3
            assert handle.read() == bytes(3)
    with zipfile.ZipFile(path) as zipped:
        assert [(info.filename, info.file_size) for info in zipped.infolist()] == [("a", size), ("b", 5)]
        assert zipped.read("b") == b"hello"
    for place in range(start, path.stat().st_size):
        with path.open("r+b") as changed:
            changed.seek(place)
            byte = changed.read(1)
            changed.seek(place)
            changed.write(bytes([byte[0] ^ 0x10]))
            changed.flush()
            with pytest.raises(EvidenceError):
                StoredZip(path)
            changed.seek(place)
            changed.write(byte)


@pytest.mark.parametrize(
    ("made", "said"),
    [
        (by_zipfile(("a/", b""), ("a/b", b"x")), "'a/': is the entry of a folder"),
        (by_zipfile((f"{'x' * 200}/", b"")), f"'{'x' * 100}': is the entry of a folder"),
        (by_zipfile(("b", b""), ("a", b"")), "'a': stands there twice, or out of order"),
        (by_zipfile(("a", b"hello"), change=_deflated), "'a': what stands before its bytes is not as it has to be"),
        (by_zipfile(("a", b"hello"), change=_runnable), "the archive's directory is not as it has to be"),
    ],
)
def test_who_packed_again_is_told_what_to_do(tmp_path: Path, made: bytes, said: str) -> None:
    """As `zip -r` does: with entries of folders, in the order of the disk, deflated, and with attributes."""
    with pytest.raises(EvidenceError, match="the folder verified") as caught:
        contents(made, tmp_path)
    assert str(caught.value).startswith(said)
    assert str(caught.value).endswith(f"; {stored_zip.REPACKED}")


@pytest.mark.parametrize("name", ["/", "../", "a/../", "a//", "C:/"])
def test_nobody_is_told_to_unpack_what_leads_elsewhere(tmp_path: Path, name: str) -> None:
    with pytest.raises(EvidenceError, match="its name") as caught:
        contents(by_zipfile((name, b"")), tmp_path)
    assert stored_zip.REPACKED not in str(caught.value)
