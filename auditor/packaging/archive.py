"""The files of a package, with their digests, and the archive they go into."""

from __future__ import annotations

import hashlib
import io
import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

from auditor import contents, seal
from auditor.contents import Contents, Directory
from auditor.model import EvidenceError
from auditor.packaging.statement import RUNS, manifest_of
from auditor.seal import Subject
from auditor.stored_zip import CHUNK, Writer
from auditor.verify import Verified


class Part(NamedTuple):
    """A file: where it is read from, and its name and digest in the package."""

    files: Contents
    name: str
    subject: Subject


def parts_of(pages: Directory, names: Iterable[str] | None = None) -> list[Part]:
    """Return the pages (those named, else all)."""
    wanted = pages.names() if names is None else names
    return [Part(pages, subject.name, subject) for subject in seal.subjects(pages, wanted)]


def parts_of_run(path: Path, verified: Verified) -> Iterator[Part]:
    """Yield the files of a verified run, with the digests that its seal bears."""
    files = Directory(path)
    sealed = {subject.name: subject.digest for subject in manifest_of(files)}
    sealed[seal.MANIFEST] = {"sha256": verified.manifest_sha256}
    sealed[seal.SUMS] = {"sha256": contents.sha256(files, seal.SUMS)}
    for name, digest in sealed.items():
        yield Part(files, name, Subject(f"{RUNS}/{verified.run}/{name}", digest))


def write(path: Path, parts: Iterable[Part]) -> None:
    """Write the archive; `EvidenceError` where a file is no longer what it was when its digest was taken."""
    with path.open("xb") as out:
        writer = Writer(out)
        for part in sorted(parts, key=lambda part: part.subject.name):
            with part.files.open(part.name) as handle:
                size = handle.seek(0, os.SEEK_END)
                handle.seek(0)
                digest = hashlib.sha256()
                writer.add(part.subject.name, size, _digested(handle, digest))
            if digest.hexdigest() != part.subject.digest["sha256"]:
                raise EvidenceError(f"{part.subject.name}: changed while it was packed")
        writer.close()
        out.flush()
        os.fsync(out.fileno())


def _digested(handle: io.BufferedIOBase, digest: hashlib._Hash) -> Iterator[bytes]:
    while chunk := handle.read(CHUNK):
        digest.update(chunk)
        yield chunk
