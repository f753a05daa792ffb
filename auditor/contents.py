"""What stands in a run, by name: read in the same way from a folder and from a package."""

from __future__ import annotations

import errno
import hashlib
import io
import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

from auditor.model import EvidenceError

MOST_READ = 1 << 28
"""Bytes of a file that is read as a whole: enough for the digests of two million files."""


class Contents(Protocol):
    """Files by name. Names are relative, with `/` between their parts."""

    @property
    def name(self) -> str:
        """What the whole is called: the last part of its path."""
        ...

    def names(self) -> list[str]:
        """The names of all files, in byte order; `EvidenceError` where anything stands there that is no file."""
        ...

    def open(self, name: str) -> io.BufferedIOBase:
        """Open one file for reading; `OSError` where it is not there, or cannot be read."""
        ...


class Directory:
    """The files below a folder; a folder without any says nothing.

    Links are refused: what they lead to is no part of it, and may change.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    @property
    def name(self) -> str:
        """The name of the folder, wherever it was reached from."""
        return self.path.resolve().name

    def names(self) -> list[str]:
        """The names of all files, by code points: which is the order of their bytes in UTF-8."""
        try:
            return sorted(self._walk())
        except OSError as error:
            raise EvidenceError(f"{error.filename}: cannot be read: {error.strerror}") from None

    def open(self, name: str) -> io.BufferedIOBase:
        """Open one file, and never through a link."""
        if "\0" in name:
            raise FileNotFoundError(errno.ENOENT, "no file can be called so", name)
        # Whoever opens a pipe otherwise waits until somebody writes into it.
        descriptor = os.open(self.path / name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            os.close(descriptor)
            raise OSError(errno.EINVAL, "is no ordinary file", name)
        return os.fdopen(descriptor, "rb")

    def _walk(self) -> Iterator[str]:
        """Yield the names of all files; folders wait in a list, for they may be nested deeper than functions can be."""
        waiting = [""]
        while waiting:
            prefix = waiting.pop()
            with os.scandir(self.path / prefix) as entries:
                for entry in entries:
                    name = prefix + entry.name
                    mode = entry.stat(follow_symlinks=False).st_mode
                    if stat.S_ISDIR(mode):
                        waiting.append(f"{name}/")
                    elif stat.S_ISREG(mode):
                        yield name
                    else:
                        raise EvidenceError(f"{name}: is no ordinary file")


class Within:
    """The files below one folder of a larger whole, by their names in that folder."""

    def __init__(self, whole: Contents, folder: str) -> None:
        self._whole = whole
        self._prefix = f"{folder}/"

    @property
    def name(self) -> str:
        """The name of the folder."""
        return self._prefix.split("/")[-2]

    def names(self) -> list[str]:
        """The names of all files in it."""
        names = self._whole.names()
        return [name.removeprefix(self._prefix) for name in names if name.startswith(self._prefix)]

    def open(self, name: str) -> io.BufferedIOBase:
        """Open one file of it."""
        return self._whole.open(self._prefix + name)


class ListedOnce:
    """The files of a whole, whose names are asked for once: for whoever looks at each of many parts of it."""

    def __init__(self, whole: Contents) -> None:
        self._whole = whole
        self._names = whole.names()

    @property
    def name(self) -> str:
        """The name of the whole."""
        return self._whole.name

    def names(self) -> list[str]:
        """The names of all files, as they were at first."""
        return self._names

    def open(self, name: str) -> io.BufferedIOBase:
        """Open one file."""
        return self._whole.open(name)


def holds(contents: Contents, name: str) -> bool:
    """Whether anything of that name is there, even what cannot be read; the rest is not looked at."""
    try:
        contents.open(name).close()
    except FileNotFoundError:
        return False
    except OSError:
        return True
    return True


def sha256(contents: Contents, name: str) -> str:
    """Return the SHA-256 of a file, in hex; `EvidenceError` where it cannot be read."""
    try:
        with contents.open(name) as handle:
            return hashlib.file_digest(handle, "sha256").hexdigest()
    except OSError as error:
        raise EvidenceError(f"{name}: cannot be read: {error.strerror}") from None


def read(contents: Contents, name: str, most: int = MOST_READ) -> bytes:
    """Return the bytes of a small file; `EvidenceError` where it cannot be read, or is no small one."""
    try:
        with contents.open(name) as handle:
            size = handle.seek(0, os.SEEK_END)
            if size > most:
                raise EvidenceError(f"{name}: is longer than {most:,} bytes, so it is none of ours")
            handle.seek(0)
            return handle.read()
    except OSError as error:
        raise EvidenceError(f"{name}: cannot be read: {error.strerror}") from None
