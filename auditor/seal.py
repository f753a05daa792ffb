"""The seal of a run: the files it holds, with digests, as in-toto Statements (v1) made before and after judging.

The evidence statement is written before anyone judges: it covers the policies, the plan and the segments. The manifest
statement is written last and covers every file except itself and SHA256SUMS, which lists the same for `sha256sum -c`.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import re
from collections.abc import Iterable
from itertools import groupby
from pathlib import Path
from typing import Any

import msgspec

from auditor.model import EvidenceError
from auditor.results import PreviousRun, ScopeItem, Tool

EVIDENCE, MANIFEST, SUMS = "evidence.statement.json", "manifest.statement.json", "SHA256SUMS"
RUN_ID = re.compile(r"[0-9]{8}T[0-9]{6}Z-[0-9a-f]{8}")
STATEMENT_TYPE = "https://in-toto.io/Statement/v1"
EVIDENCE_TYPE, MANIFEST_TYPE = "urn:auditor:evidence:1", "urn:auditor:manifest:1"


class Subject(msgspec.Struct, frozen=True):
    """One file, by its name within the run and its SHA-256."""

    name: str
    digest: dict[str, str]


class Scope(msgspec.Struct, frozen=True, kw_only=True):
    """What the evidence statement says of the run (its predicate)."""

    run: str
    sequence: int
    tool: Tool
    organization: str
    started_at: dt.datetime
    as_of: dt.datetime
    previous_run: PreviousRun | None
    scope: tuple[ScopeItem, ...]


class EvidenceStatement(msgspec.Struct, frozen=True, kw_only=True):
    """The evidence statement."""

    type_: str = msgspec.field(default=STATEMENT_TYPE, name="_type")
    subject: tuple[Subject, ...]
    predicateType: str = EVIDENCE_TYPE  # noqa: N815 - in-toto's name
    predicate: Scope


class ManifestStatement(msgspec.Struct, frozen=True, kw_only=True):
    """The manifest statement: `predicate` names the run and the digest of its evidence statement."""

    type_: str = msgspec.field(default=STATEMENT_TYPE, name="_type")
    subject: tuple[Subject, ...]
    predicateType: str = MANIFEST_TYPE  # noqa: N815 - in-toto's name
    predicate: dict[str, Any]


def sha256_file(path: Path) -> str:
    """Return the SHA-256 of a file, in hex."""
    with path.open("rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()


def seal_evidence(run: Path, scope: Scope) -> str:
    """Write the evidence statement; return its SHA-256."""
    names = ["plan.json", *_names(run, ("policy", "evidence"))]
    statement = EvidenceStatement(subject=_subjects(run, names), predicate=scope)
    return _write(run / EVIDENCE, statement)


def seal_run(run: Path, scope: Scope, evidence_sha256: str) -> None:
    """Write SHA256SUMS and the manifest statement over everything in the run."""
    names = [name for name in _names(run, ("",)) if name not in (MANIFEST, SUMS)]
    subjects = _subjects(run, names)
    sums = "".join(f"{subject.digest['sha256']}  {subject.name}\n" for subject in subjects)
    (run / SUMS).write_text(sums, encoding="utf-8")
    predicate = {"run": scope.run, "sequence": scope.sequence, "evidence_sha256": evidence_sha256}
    _write(run / MANIFEST, ManifestStatement(subject=subjects, predicate=predicate))


def read_evidence(run: Path) -> EvidenceStatement:
    """Return the evidence statement of a run, every file it covers compared with its digest."""
    statement = _decode(run / EVIDENCE)
    covered = {subject.name for subject in statement.subject}
    for name in ["plan.json", *_names(run, ("policy", "evidence"))]:
        if name not in covered:
            raise EvidenceError(f"{name}: is not covered by {EVIDENCE}")
    for subject in statement.subject:
        try:
            actual = sha256_file(run / subject.name)
        except OSError as error:
            raise EvidenceError(f"{subject.name}: cannot be read: {error.strerror}") from None
        if actual != subject.digest.get("sha256"):
            raise EvidenceError(f"{subject.name}: is not what was sealed (its SHA-256 differs)")
    return statement


def policy_sha256(run: Path) -> str:
    """Return one digest for all policy files: of their listing as sha256sum prints it."""
    listing = "".join(f"{s.digest['sha256']}  {s.name}\n" for s in _subjects(run, _names(run, ("policy",))))
    return hashlib.sha256(listing.encode()).hexdigest()


def latest_run(
    folder: Path, *, organization: str | None = None, strict: bool = False
) -> tuple[PreviousRun, int] | None:
    """Return the newest finished run in a folder (of an organization, where one is named), and its sequence number.

    Of runs that began in the same second, the one with the highest sequence number is the newest. A damaged run is
    nobody's predecessor, and does not keep others from running; `strict` raises `EvidenceError` for it instead.
    """
    runs = (path for path in folder.glob("*") if RUN_ID.fullmatch(path.name) and (path / MANIFEST).is_file())
    for _, of_second in groupby(sorted(runs, reverse=True), key=lambda run: run.name.partition("-")[0]):
        found = [
            (scope.sequence, run)
            for run in of_second
            if (scope := _scope(run, strict=strict)) is not None and organization in (None, scope.organization)
        ]
        if found:
            sequence, newest = max(found)
            return PreviousRun(newest.name, sha256_file(newest / MANIFEST)), sequence
    return None


def _scope(run: Path, *, strict: bool) -> Scope | None:
    try:
        return _decode(run / EVIDENCE).predicate
    except EvidenceError:
        if strict:
            raise
        return None


def _decode(path: Path) -> EvidenceStatement:
    try:
        return msgspec.json.decode(path.read_bytes(), type=EvidenceStatement)
    except OSError as error:
        raise EvidenceError(f"{path}: cannot be read: {error.strerror}; is {path.parent} a run?") from None
    except msgspec.DecodeError as error:
        raise EvidenceError(f"{path}: is not an evidence statement: {error}") from None


def _names(run: Path, folders: Iterable[str]) -> list[str]:
    files = (file for folder in folders for file in (run / folder).rglob("*") if file.is_file())
    names = (file.relative_to(run).as_posix() for file in files)
    return sorted((name for name in names if not name.endswith(".partial")), key=str.encode)


def _subjects(run: Path, names: Iterable[str]) -> tuple[Subject, ...]:
    ordered = sorted(names, key=str.encode)
    return tuple(Subject(name, {"sha256": sha256_file(run / name)}) for name in ordered)


def _write(path: Path, statement: msgspec.Struct) -> str:
    data = msgspec.json.encode(statement) + b"\n"
    path.write_bytes(data)
    return hashlib.sha256(data).hexdigest()
