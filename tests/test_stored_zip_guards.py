"""The fields of archives that no small file reaches, literally (APPNOTE 4.3.7, 4.3.12, 4.3.14 to 4.3.16, 4.5.3)."""

from __future__ import annotations

import errno
import io
import os
import struct
import zipfile
from pathlib import Path

import pytest

from auditor.model import EvidenceError
from auditor.stored_zip import CHUNK, MOST_16, Entry, StoredZip, Writer, _central, _end, _local, unsafe

LARGE = 0xFFFFFFFF
"""What stands in a field of 32 bits where the number is in one of 64; so the number itself is the first that does."""
DATED = "0000 0000 2100"  # stored, at midnight, on 1 January 1980
WHOLE = "ffffffff"


def octets(*parts: str | int) -> bytes:
    """Hexadecimal as it stands; a number as 64 bits, little end first."""
    return b"".join(struct.pack("<Q", part) if isinstance(part, int) else bytes.fromhex(part) for part in parts)


def test_a_local_header() -> None:
    crc, name = "07000000", b"a".hex()
    plain = octets("504b0304", "0a00 0000", DATED, crc, "feffffff feffffff", "0100 0000", name)
    assert _local(Entry("a", LARGE - 1, 7)) == plain
    for size in (LARGE, LARGE + 1):
        expected = octets("504b0304", "2d00 0000", DATED, crc, WHOLE, WHOLE, "0100 1400", name, "0100 1000", size, size)
        assert _local(Entry("a", size, 7)) == expected


def test_an_entry_of_the_directory() -> None:
    crc, name, rest = "07000000", b"a".hex(), "0000 0000 0000 0000 a481"  # no comment, an ordinary file, 0644
    plain = octets("504b0102", "0a03 0a00 0000", DATED, crc, "feffffff" * 2, "0100 0000", rest, "feffffff", name)
    assert _central(Entry("a", LARGE - 1, 7), LARGE - 1) == plain
    begin = octets("504b0102", "2d03 2d00 0000", DATED, crc)
    for large in (LARGE, LARGE + 1):
        size = octets(WHOLE, WHOLE, "0100 1400", rest, "05000000", name, "0100 1000", large, large)
        assert _central(Entry("a", large, 7), 5) == begin + size
        place = octets("05000000" * 2, "0100 0c00", rest, WHOLE, name, "0100 0800", large)
        assert _central(Entry("a", 5, 7), large) == begin + place
        both = octets(WHOLE, WHOLE, "0100 1c00", rest, WHOLE, name, "0100 1800", large, large, large)
        assert _central(Entry("a", large, 7), large) == begin + both


@pytest.mark.parametrize(
    ("count", "size", "offset", "fields"),
    [
        (0xFFFF, 5, 6, "ffff ffff 05000000 06000000"),
        (0x10000, 5, 6, "ffff ffff 05000000 06000000"),
        (4, LARGE, 6, "0400 0400 ffffffff 06000000"),
        (4, LARGE + 1, 6, "0400 0400 ffffffff 06000000"),
        (4, 5, LARGE, "0400 0400 05000000 ffffffff"),
        (4, 5, LARGE + 1, "0400 0400 05000000 ffffffff"),
    ],
)
def test_an_end_that_needs_64_bits(count: int, size: int, offset: int, fields: str) -> None:
    record = octets("504b0606", 44, "2d03 2d00", "00000000 00000000", count, count, size, offset)
    locator = octets("504b0607", "00000000", offset + size, "01000000")
    assert _end(count, size, offset) == record + locator + octets("504b0506", "0000 0000", fields, "0000")


def test_an_end_that_needs_no_more_than_32_bits() -> None:
    fields = "feff feff feffffff feffffff"
    assert _end(0xFFFE, LARGE - 1, LARGE - 1) == octets("504b0506", "0000 0000", fields, "0000")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """An archive of one file that is read in several pieces."""
    data = b"x" * (3 * CHUNK)
    with (tmp_path / "a.zip").open("wb") as out:
        writer = Writer(out)
        writer.add("a", len(data), [data])
        writer.close()
    return tmp_path / "a.zip"


def test_a_changed_byte_is_noticed_in_any_piece_of_a_file(path: Path) -> None:
    with zipfile.ZipFile(path) as zipped:
        assert len(zipped.read("a")) == 3 * CHUNK  # the positive control
    for place in (100, CHUNK + 100, 3 * CHUNK):
        with path.open("r+b") as handle:
            handle.seek(place)
            handle.write(b"y")
        with StoredZip(path) as archive, pytest.raises(EvidenceError, match=r"^a: its bytes are not those that were"):
            archive.open("a").read()
        with path.open("r+b") as handle:
            handle.seek(place)
            handle.write(b"x")
    with StoredZip(path) as archive:
        assert archive.open("a").read() == b"x" * (3 * CHUNK)


def test_an_archive_that_is_cut_while_it_is_read_is_noticed(path: Path) -> None:
    with StoredZip(path) as archive:
        handle = archive.open("a")
        assert handle.read(CHUNK) == b"x" * CHUNK
        os.truncate(path, CHUNK + 50)
        with pytest.raises(EvidenceError, match=r"^a: the archive was cut short while it was read$"):
            handle.read()


def test_a_file_that_is_not_there_is_said_to_be_missing(path: Path) -> None:
    with StoredZip(path) as archive, pytest.raises(FileNotFoundError) as caught:
        archive.open("b")
    said = caught.value
    assert (said.errno, said.strerror, said.filename) == (errno.ENOENT, "is not in the archive", "b")


def test_an_archive_is_let_go_of(path: Path) -> None:
    with StoredZip(path) as archive:
        handle = archive.open("a")
    with pytest.raises(OSError, match="Bad file descriptor"):
        handle.read()
    assert isinstance(handle, io.BufferedReader)


def test_an_archive_that_is_refused_is_let_go_of(path: Path) -> None:
    with StoredZip(path) as archive:
        assert archive.name == "a.zip"
    before = len(list(Path("/dev/fd").iterdir()))
    path.write_bytes(path.read_bytes() + b"x")
    for _ in range(3):
        with pytest.raises(EvidenceError):
            StoredZip(path)
    assert len(list(Path("/dev/fd").iterdir())) == before


@pytest.mark.parametrize("size", [2**64 - 1, 2**63 - 16, LARGE, 2**32 + 5])
def test_an_entry_that_is_larger_than_its_archive_is_refused(path: Path, size: int) -> None:
    """The first says that it has so many bytes; what comes after it would stand where no number reaches."""
    entries = [Entry("a", size, 0), Entry("b", 0, 0)]
    local = _local(entries[0])
    directory = _central(entries[0], 0) + _central(entries[1], 0)
    path.write_bytes(local + directory + _end(2, len(directory), len(local)))
    with pytest.raises(EvidenceError, match=r"^'a': is larger than the archive that it is in$"):
        StoredZip(path)


def test_an_entry_as_large_as_its_archive_is_refused_for_what_it_is(path: Path) -> None:
    whole = 147  # bytes of this archive, whatever its first entry claims
    for size, reason in ((whole, "'b': what stands before its bytes"), (whole + 1, "'a': is larger than the archive")):
        entries = [Entry("a", size, 0), Entry("b", 0, 0)]
        directory = _central(entries[0], 0) + _central(entries[1], 0)
        path.write_bytes(_local(entries[0]) + directory + _end(2, len(directory), len(_local(entries[0]))))
        assert path.stat().st_size == whole
        with pytest.raises(EvidenceError, match=f"^{reason}"):
            StoredZip(path)


def test_names_that_are_just_unsafe_and_just_not() -> None:
    assert unsafe("x" * MOST_16) == ""
    assert unsafe("x" * (MOST_16 + 1)) == "is longer than an archive can say"
    for char in ("\u2028", "\u2029", "\ud800", "\x00", "\u202e"):
        assert unsafe(f"a{char}b") == "has a control character"


def test_the_other_of_two_names_that_are_alike_is_named() -> None:
    writer = Writer(io.BytesIO())
    for name in ("A", "a"):
        writer.add(name, 0, [])
    with pytest.raises(EvidenceError, match=r"^'a': is the same name as 'A' to some systems$"):
        writer.close()
