"""Opens what an auditor was given: a package as one file or unpacked, or a run."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from auditor import verify
from auditor.contents import Contents, Directory
from auditor.keys import KeyRing
from auditor.model import EvidenceError, Problem, UsageError
from auditor.packaging.run import RunFiles
from auditor.packaging.statement import is_package, verify_package, within
from auditor.stored_zip import StoredZip
from auditor.wording import or_known, quoted

IS_A_RUN = "a run is a folder such as reports/<run id>"


@contextmanager
def opened(path: Path) -> Iterator[Contents]:
    """Give the files of an archive or a folder; `EvidenceError` names the archive that is none of ours.

    `UsageError` where it is neither: then somebody named the wrong file, and nothing is wrong with any evidence.
    """
    if path.is_dir():
        yield Directory(path)
        return
    if not path.is_file() or not _seems_an_archive(path):
        raise UsageError(Problem(f"{path} is a file, and no package; {IS_A_RUN}"))
    try:
        archive = StoredZip(path)
    except EvidenceError as error:
        raise EvidenceError(f"{path}: {error}") from None
    with archive:
        yield archive


def _seems_an_archive(path: Path) -> bool:
    """Whether a file is called an archive, begins as one, or ends as one: one change does not undo all three."""
    with path.open("rb") as handle:
        begins = handle.read(4) == b"PK\3\4"
        handle.seek(max(0, handle.seek(0, os.SEEK_END) - 22))
        return begins or path.suffix == ".zip" or handle.read(4) == b"PK\5\6"


def verified_runs(files: Contents, keys: KeyRing | None, *, allow_unsigned: bool) -> list[RunFiles]:
    """Return the runs of a package, or the one run that this is, oldest first; each was verified."""
    if is_package(files):
        package = verify_package(files, keys, allow_unsigned=allow_unsigned)
        return [RunFiles(within(files, one.run), one) for one in package.runs]
    return [RunFiles(files, verify.verify_run(files, keys, allow_unsigned=allow_unsigned))]


def chosen(runs: list[RunFiles], name: str) -> RunFiles:
    """Return the run of that id; without one, the newest."""
    if not name:
        return runs[-1]
    for run in runs:
        if run.id == name:
            return run
    ids = [run.id for run in runs]
    raise UsageError(Problem(f"--run: there is no run {quoted(name)} here{or_known(name, ids)}"))
