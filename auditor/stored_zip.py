"""Zip archives of which every bit is determined by the files in them: written so, and read only if written so.

An archive (PKWARE's APPNOTE 6.3.10) holds its files in byte order of their names, stored and not deflated: what deflate
makes differs between versions of zlib, and nothing that is stored can grow when it is unpacked. Dates, attributes and
every other field are fixed, nothing stands before, between or after, and there are no comments, extra fields (but for
sizes beyond 32 bits) or data descriptors. So an archive can be read by any program, the same files give the same bytes,
and a reader need not judge what odd archives mean: it compares each byte with the one that has to stand there.
"""

from __future__ import annotations

import io
import os
import struct
import unicodedata
import zlib
from collections.abc import Iterable, Iterator
from pathlib import Path, PurePosixPath
from types import TracebackType
from typing import IO, TYPE_CHECKING, NamedTuple, Self

from auditor.model import EvidenceError

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

CHUNK = 1 << 20
MOST_DIRECTORY = 1 << 28
"""Bytes of a directory, which is read as a whole: enough for two million files."""
MOST_32, MOST_16 = 0xFFFFFFFF, 0xFFFF
DATE = 0x0021  # 1 January 1980, the first that an archive can name
MODE = 0o100644 << 16  # an ordinary file, in the attributes that Unix gives it
MADE_BY_UNIX = 3 << 8
UTF8 = 0x0800
PLAIN, ZIP64 = 10, 45
"""The versions of the format that are needed to read: stored files, and sizes beyond 32 bits."""
REPACKED = (
    "only the very file that was made verifies; one that was packed again is to be unpacked, and the folder verified"
)
_END = struct.Struct("<4s4H2LH")
_END64 = struct.Struct("<4sQ2H2L4Q")
_LOCATOR64 = struct.Struct("<4sLQL")
_LOCAL = struct.Struct("<4s5H3L2H")
_CENTRAL = struct.Struct("<4s6H3L5H2L")


class Entry(NamedTuple):
    """One file: its name, size in bytes, and CRC-32."""

    name: str
    size: int
    crc: int


def unsafe(name: str) -> str:
    """Say why a name may stand in no archive; "" where it may: unpacked anywhere, it stays below the folder."""
    parts = name.split("/")
    if "" in parts:
        return "is absolute, or has an empty part"
    if not {".", ".."}.isdisjoint(parts):
        return "leads out of the folder it is unpacked into"
    if "\\" in name or ":" in name:
        return "has a backslash or a colon, which name another place on some systems"
    if any(unicodedata.category(char) in ("Cc", "Cf", "Cs", "Zl", "Zp") for char in name):
        return "has a control character"
    if any(part.endswith((".", " ")) for part in parts):
        return "has a part that ends with a dot or a space, which some systems drop"
    return "is longer than an archive can say" if len(name.encode()) > MOST_16 else ""


def _refuse_names(names: Iterable[str]) -> None:
    """Refuse names that are unsafe, out of order, or would be the same file somewhere."""
    before = b""
    seen: dict[str, str] = {}
    folders: set[str] = set()
    for name in names:
        if name.endswith("/") and not unsafe(name[:-1]):
            raise EvidenceError(f"{name[:100]!r}: is the entry of a folder; {REPACKED}")
        if reason := unsafe(name):
            raise EvidenceError(f"{name[:100]!r}: its name {reason}")
        if name.encode() <= before:
            raise EvidenceError(f"{name!r}: stands there twice, or out of order; {REPACKED}")
        before = name.encode()
        alike = _alike(name)
        if alike in seen:
            raise EvidenceError(f"{name!r}: is the same name as {seen[alike]!r} to some systems")
        seen[alike] = name
        folders.update(_alike(str(parent)) for parent in PurePosixPath(name).parents)
    if both := sorted(folders & seen.keys()):
        raise EvidenceError(f"{seen[both[0]]!r}: is a file and a folder")


def _alike(name: str) -> str:
    return unicodedata.normalize("NFC", name).casefold()


def _flags(name: str) -> int:
    return 0 if name.isascii() else UTF8


def _local(entry: Entry) -> bytes:
    """Return what stands before the bytes of a file."""
    name, is_large = entry.name.encode(), entry.size >= MOST_32
    size = MOST_32 if is_large else entry.size
    extra = struct.pack("<2H2Q", 1, 16, entry.size, entry.size) if is_large else b""
    version = ZIP64 if is_large else PLAIN
    fixed = (b"PK\3\4", version, _flags(entry.name), 0, 0, DATE, entry.crc, size, size, len(name), len(extra))
    return _LOCAL.pack(*fixed) + name + extra


def _central(entry: Entry, offset: int) -> bytes:
    """Return what the directory at the end says of a file whose local header stands at `offset`."""
    name = entry.name.encode()
    sizes = [entry.size, entry.size] if entry.size >= MOST_32 else []
    far = [*sizes, *([offset] if offset >= MOST_32 else [])]
    extra = struct.pack(f"<2H{len(far)}Q", 1, 8 * len(far), *far) if far else b""
    version = ZIP64 if far else PLAIN
    size = MOST_32 if sizes else entry.size
    fixed = (b"PK\1\2", MADE_BY_UNIX | version, version, _flags(entry.name), 0, 0, DATE, entry.crc, size, size)
    place = (len(name), len(extra), 0, 0, 0, MODE, min(offset, MOST_32))
    return _CENTRAL.pack(*fixed, *place) + name + extra


def _end(count: int, size: int, offset: int) -> bytes:
    """Return what ends an archive: how many files there are, and where their directory stands."""
    is_large = count >= MOST_16 or size >= MOST_32 or offset >= MOST_32
    end = _END.pack(
        b"PK\5\6", 0, 0, min(count, MOST_16), min(count, MOST_16), min(size, MOST_32), min(offset, MOST_32), 0
    )
    if not is_large:
        return end
    end64 = _END64.pack(b"PK\6\6", 44, MADE_BY_UNIX | ZIP64, ZIP64, 0, 0, count, count, size, offset)
    return end64 + _LOCATOR64.pack(b"PK\6\7", 0, offset + size, 1) + end


class Writer:
    """Writes an archive into a new file that can be sought; files come in byte order of their names."""

    def __init__(self, out: IO[bytes]) -> None:
        self._out = out
        self._offset = 0
        self._entries: list[tuple[Entry, int]] = []

    def add(self, name: str, size: int, chunks: Iterable[bytes]) -> None:
        """Write one file of that size; `EvidenceError` where it turns out to have another, or the name is unsafe."""
        if reason := unsafe(name):
            raise EvidenceError(f"{name[:100]!r}: its name {reason}")
        start, crc, written = self._offset, 0, 0
        self._write(_local(Entry(name, size, 0)))
        for chunk in chunks:
            crc = zlib.crc32(chunk, crc)
            written += len(chunk)
            self._write(chunk)
        if written != size:
            raise EvidenceError(f"{name}: changed while it was read")
        entry = Entry(name, size, crc)
        self._out.seek(start)
        self._out.write(_local(entry))
        self._out.seek(self._offset)
        self._entries.append((entry, start))

    def close(self) -> None:
        """Write the directory; `EvidenceError` where the names can stand in no archive."""
        _refuse_names(entry.name for entry, _ in self._entries)
        offset = self._offset
        for entry, start in self._entries:
            self._write(_central(entry, start))
        self._write(_end(len(self._entries), self._offset - offset, offset))

    def _write(self, data: bytes) -> None:
        self._out.write(data)
        self._offset += len(data)


class StoredZip:
    """The files of an archive (a `contents.Contents`), which is compared with what `Writer` makes before any is read.

    Only the files' own bytes are left to be compared: each file that is read to its end is, with its CRC-32.
    """

    def __init__(self, path: Path) -> None:
        """Open an archive; `EvidenceError` where a single byte is not as it has to be, `OSError` as `open` raises."""
        self._path = path
        self._descriptor = os.open(path, os.O_RDONLY)
        try:
            self._places = self._compare()
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Let go of the file."""
        os.close(self._descriptor)

    @property
    def name(self) -> str:
        """The name of the file."""
        return self._path.name

    def names(self) -> list[str]:
        """The names of all files, in byte order."""
        return list(self._places)

    def open(self, name: str) -> io.BufferedIOBase:
        """Open one file for reading; `FileNotFoundError` where it is not there."""
        if name not in self._places:
            raise FileNotFoundError(2, "is not in the archive", name)
        return io.BufferedReader(_Stored(self._descriptor, *self._places[name]), CHUNK)

    def _compare(self) -> dict[str, tuple[int, Entry]]:
        """Return where each file's bytes stand, once everything else is as it has to be."""
        length = os.fstat(self._descriptor).st_size
        count, offset = self._directory(length)
        if length - offset > MOST_DIRECTORY:
            raise EvidenceError(f"the archive's directory is longer than {MOST_DIRECTORY:,} bytes")
        directory = self._read(offset, length - offset)
        entries = list(_parse(directory, count))
        _refuse_names(entry.name for entry in entries)
        places: dict[str, tuple[int, Entry]] = {}
        wanted, position = [], 0
        for entry in entries:
            local = _local(entry)
            if entry.size > length:  # what comes after it could not even be asked for
                raise EvidenceError(f"{entry.name!r}: is larger than the archive that it is in")
            wanted.append(_central(entry, position))
            if self._read(position, len(local)) != local:
                raise EvidenceError(f"{entry.name!r}: what stands before its bytes is not as it has to be; {REPACKED}")
            if entry.size == 0 and entry.crc != 0:
                raise EvidenceError(f"{entry.name!r}: is empty, and its CRC-32 is of something else")
            places[entry.name] = (position + len(local), entry)
            position += len(local) + entry.size
        if position != offset:
            raise EvidenceError("the archive holds bytes that belong to no file")
        wanted.append(_end(len(entries), sum(map(len, wanted)), offset))
        if b"".join(wanted) != directory:
            raise EvidenceError(
                f"the archive's directory is not as it has to be (files are stored, without attributes); {REPACKED}"
            )
        return places

    def _directory(self, length: int) -> tuple[int, int]:
        """Return how many files the archive says it holds, and where it says their directory begins."""
        if length < _END.size:
            raise EvidenceError("is no archive, or is cut short")
        mark, *_, count, _, offset, _ = _END.unpack(self._read(length - _END.size, _END.size))
        if mark != b"PK\5\6":
            raise EvidenceError("is no archive, is cut short, or something stands after it")
        before = _END64.size + _LOCATOR64.size + _END.size
        end = self._read(length - before, before) if length >= before else b""
        if end.startswith(b"PK\6\6") and end.startswith(b"PK\6\7", _END64.size):
            *_, count, _, offset = _END64.unpack_from(end)
        if offset > length:
            raise EvidenceError("the archive's directory is not where it has to be")
        return count, offset

    def _read(self, offset: int, size: int) -> bytes:
        parts = []
        while size and (part := os.pread(self._descriptor, size, offset)):
            parts.append(part)
            offset += len(part)
            size -= len(part)
        return b"".join(parts)


def _parse(directory: bytes, count: int) -> Iterator[Entry]:
    """Yield what a directory says of each file; whether it says so in the one way it may is for others to compare."""
    position = 0
    for _ in range(count):
        if len(directory) < position + _CENTRAL.size:
            raise EvidenceError("the archive's directory is cut short")
        mark, _, _, _, _, _, _, crc, _, size, length, more, *_ = _CENTRAL.unpack_from(directory, position)
        if mark != b"PK\1\2":
            raise EvidenceError("the archive's directory names fewer files than it says")
        start = position + _CENTRAL.size
        position = start + length + more
        extra = directory[start + length : position]
        if size == MOST_32 and len(extra) >= 12:  # noqa: PLR2004 - its head, and one size of 64 bits
            (size,) = struct.unpack_from("<Q", extra, 4)
        try:
            yield Entry(directory[start : start + length].decode(), size, crc)
        except UnicodeDecodeError:
            raise EvidenceError("the archive has a name that is not UTF-8") from None


class _Stored(io.RawIOBase):
    """The bytes of one file, whose CRC-32 is compared when they were all read in order."""

    def __init__(self, descriptor: int, start: int, entry: Entry) -> None:
        self._descriptor = descriptor
        self._start = start
        self._entry = entry
        self._position = 0
        self._compared = 0
        self._crc = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        base = {os.SEEK_SET: 0, os.SEEK_CUR: self._position, os.SEEK_END: self._entry.size}[whence]
        self._position = max(0, base + offset)
        return self._position

    def readinto(self, buffer: WriteableBuffer, /) -> int:
        whole = memoryview(buffer).cast("B")
        wanted = min(len(whole), self._entry.size - self._position)
        if wanted <= 0:
            return 0
        done = os.preadv(self._descriptor, [whole[:wanted]], self._start + self._position)
        if done == 0:
            raise EvidenceError(f"{self._entry.name}: the archive was cut short while it was read")
        if self._position == self._compared:
            self._crc = zlib.crc32(whole[:done], self._crc)
            self._compared += done
            if self._compared == self._entry.size and self._crc != self._entry.crc:
                raise EvidenceError(f"{self._entry.name}: its bytes are not those that were stored (CRC-32)")
        self._position += done
        return done
