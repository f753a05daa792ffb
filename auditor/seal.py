"""The seal of a run: the files it holds, with digests, as in-toto Statements (v1) made before and after judging.

The evidence statement is written before anyone judges: it covers the policies, the plan and the segments. The manifest
statement is written last and covers every file except itself and SHA256SUMS, which lists the same for `sha256sum -c`.
Both are signed where there is a key. Each run names the one before it, so that none can be taken out unnoticed.
"""

from __future__ import annotations

import datetime as dt
import fcntl
import hashlib
import logging
import os
import re
import shutil
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple, TypeVar

import msgspec

from auditor import contents, envelope
from auditor.contents import Contents, Directory
from auditor.keys import Moment, SigningKey
from auditor.model import EvidenceError, Problem, UsageError
from auditor.results import PreviousRun, ScopeItem, TimeStamp, Tool

LOG = logging.getLogger(__name__)
EVIDENCE, MANIFEST, SUMS = "evidence.statement.json", "manifest.statement.json", "SHA256SUMS"
STAMP = "evidence.statement.tsr"
PLAN = "plan.json"
RUN_ID = re.compile(r"[0-9]{8}T[0-9]{6}Z-[0-9a-f]{8}")
STATEMENT_TYPE = "https://in-toto.io/Statement/v1"
EVIDENCE_TYPE, MANIFEST_TYPE = "urn:auditor:evidence:1", "urn:auditor:manifest:1"
LOCK = ".auditor.lock"
"""In the folder of runs: held while a run takes its place in the chain."""


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
    started_at: Moment
    as_of: Moment
    previous_run: PreviousRun | None
    scope: tuple[ScopeItem, ...]


class Finished(msgspec.Struct, frozen=True, kw_only=True):
    """What the manifest statement says of the run (its predicate)."""

    run: str
    sequence: int
    evidence_sha256: str
    finished_at: Moment
    timestamp: TimeStamp | None


class EvidenceStatement(msgspec.Struct, frozen=True, kw_only=True):
    """The evidence statement."""

    type_: str = msgspec.field(default=STATEMENT_TYPE, name="_type")
    subject: tuple[Subject, ...]
    predicateType: str = EVIDENCE_TYPE  # noqa: N815 - in-toto's name
    predicate: Scope


class ManifestStatement(msgspec.Struct, frozen=True, kw_only=True):
    """The manifest statement."""

    type_: str = msgspec.field(default=STATEMENT_TYPE, name="_type")
    subject: tuple[Subject, ...]
    predicateType: str = MANIFEST_TYPE  # noqa: N815 - in-toto's name
    predicate: Finished


Statement = TypeVar("Statement", EvidenceStatement, ManifestStatement)
_EVIDENCE = msgspec.json.Decoder(EvidenceStatement)
_MANIFEST = msgspec.json.Decoder(ManifestStatement)


def sha256_file(path: Path) -> str:
    """Return the SHA-256 of a file, in hex."""
    with path.open("rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()


def seal_evidence(run: Path, scope: Scope, key: SigningKey | None = None) -> str:
    """Write the evidence statement; return its SHA-256."""
    names = [name for name in Directory(run).names() if is_evidence(name)]
    return _write(run / EVIDENCE, EvidenceStatement(subject=subjects(Directory(run), names), predicate=scope), key)


def seal_run(run: Path, finished: Finished, key: SigningKey | None = None) -> str:
    """Write SHA256SUMS and the manifest statement over everything in the run; return the latter's SHA-256."""
    listed = subjects(Directory(run), [name for name in Directory(run).names() if name not in (MANIFEST, SUMS)])
    (run / SUMS).write_bytes(sums(listed))
    return _write(run / MANIFEST, ManifestStatement(subject=listed, predicate=finished), key)


def give_up(run: Path) -> None:
    """Leave nothing but the evidence of a run that was interrupted: no place in the chain, nothing that was judged."""
    for path in run.iterdir():
        if any(map(is_evidence, (path.name, f"{path.name}/"))):
            continue
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink()


def is_evidence(name: str) -> bool:
    """Whether the evidence statement covers a file of this name."""
    return name == PLAN or name.startswith(("policy/", "evidence/"))


def subjects(files: Contents, names: Iterable[str]) -> tuple[Subject, ...]:
    """Return files with their digests, in byte order of their names."""
    return tuple(Subject(name, {"sha256": contents.sha256(files, name)}) for name in sorted(names))


def sums(listed: Iterable[Subject]) -> bytes:
    """Return the listing that `sha256sum -c` reads."""
    return "".join(f"{subject.digest.get('sha256', '')}  {subject.name}\n" for subject in listed).encode()


def decode_evidence(payload: bytes) -> EvidenceStatement:
    """Return an evidence statement; `EvidenceError` unless its bytes are exactly those that would be written for it."""
    return _decode(payload, _EVIDENCE)


def decode_manifest(payload: bytes) -> ManifestStatement:
    """Return a manifest statement; `EvidenceError` unless its bytes are exactly those that would be written for it."""
    return _decode(payload, _MANIFEST)


def _decode(payload: bytes, decoder: msgspec.json.Decoder[Statement]) -> Statement:
    try:
        statement = decoder.decode(payload)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise EvidenceError(f"is no statement of a run: {error}") from None
    if msgspec.json.encode(statement) != payload:
        raise EvidenceError("is not written canonically: its bytes are not those that its content gives")
    return statement


def policy_sha256(files: Mapping[str, str]) -> str:
    """Return one digest for all policy files, by name: of their listing in the run as sha256sum prints it."""
    digests = {f"policy/{name}": hashlib.sha256(text.encode()).hexdigest() for name, text in files.items()}
    listed = (Subject(name, {"sha256": digests[name]}) for name in sorted(digests))
    return hashlib.sha256(sums(listed)).hexdigest()


@contextmanager
def place_in_chain(folder: Path) -> Iterator[None]:
    """Hold the end of the chain of runs in a folder, so that two runs at once do not both follow the same one."""
    descriptor = os.open(folder / LOCK, os.O_RDWR | os.O_CREAT, 0o644)
    try:
        _wait(descriptor, fcntl.LOCK_EX, folder)
        yield
    finally:
        os.close(descriptor)


@contextmanager
def at_rest(folder: Path) -> Iterator[None]:
    """Wait for whoever holds the end of the chain, and keep it from changing: a run that is judged is half-sealed."""
    try:
        descriptor = os.open(folder / LOCK, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError:  # nobody has made a run here, or it is somebody else's copy
        yield
        return
    try:
        _wait(descriptor, fcntl.LOCK_SH, folder)
        yield
    finally:
        os.close(descriptor)


def _wait(descriptor: int, kind: int, folder: Path) -> None:
    """Take a lock, and wait for whoever has it."""
    try:
        fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        LOG.info("a run is being sealed in %s: waiting until it is", folder)
        fcntl.flock(descriptor, kind)


class Found(NamedTuple):
    """A finished run, by what its evidence statement says, whoever signed that."""

    sequence: int
    name: str
    organization: str
    is_signed: bool


class Survey(NamedTuple):
    """The finished runs of a folder, and those that are damaged, each with the reason."""

    found: list[Found]
    damaged: dict[str, EvidenceError]

    def last(self, *, strict: bool) -> Found | None:
        """Return the one with the highest number; `strict` raises `EvidenceError` where a damaged one may have it."""
        last = max(self.found, default=None)
        if strict and (odd := max(self.damaged, default="")) and _second(odd) >= _second(last.name if last else ""):
            raise self.damaged[odd]
        return last


def survey(folder: Path) -> Survey:
    """Look at the runs of a folder; those that were interrupted before their end are none."""
    found, damaged = [], {}
    for run in folder.glob("*"):
        if RUN_ID.fullmatch(run.name) and (run / MANIFEST).is_file():
            try:
                found.append(_found(run))
            except EvidenceError as error:
                reason = str(error).removeprefix(f"{EVIDENCE}: ")
                damaged[run.name] = EvidenceError(f"{run / EVIDENCE}: {reason}")
    return Survey(found, damaged)


def latest_run(
    folder: Path, *, organization: str | None = None, strict: bool = False
) -> tuple[PreviousRun, int] | None:
    """Return the last finished run in a folder (of an organization, where one is named), and its sequence number.

    `strict` raises `EvidenceError` where a damaged run may have been the last.
    """
    found, damaged = survey(folder)
    last = Survey([one for one in found if organization in (None, one.organization)], damaged).last(strict=strict)
    return (PreviousRun(last.name, sha256_file(folder / last.name / MANIFEST)), last.sequence) if last else None


def ended_at(run: Path) -> dt.datetime | None:
    """Return when a run says that it ended, whoever signed it; None where that cannot be read."""
    try:
        payload = envelope.payload_unverified(contents.read(Directory(run), MANIFEST))
        return decode_manifest(payload).predicate.finished_at
    except EvidenceError:
        return None


def refuse_before_last_end(folder: Path, now: dt.datetime) -> None:
    """Raise `UsageError` where a run of the folder says that it ended later than now: a clock is wrong."""
    ends = ((ended, run.name) for run in folder.glob("*") if RUN_ID.fullmatch(run.name) and (ended := ended_at(run)))
    ended, run = max(ends, default=(now, ""))
    if ended > now:
        times = f"{ended:%Y-%m-%d %H:%M:%S} UTC, and now it is {now:%Y-%m-%d %H:%M:%S} UTC"
        raise UsageError(
            Problem(f"{run} ended {times}: a clock is wrong, and its key would not have been valid", str(folder))
        )


def _second(run: str) -> str:
    """When a run began, as its name says; the rest of the name says nothing of who came first."""
    return run.partition("-")[0]


def _found(run: Path) -> Found:
    """Return what a run says of itself; `EvidenceError` where it is damaged, or a copy under another name."""
    data = contents.read(Directory(run), EVIDENCE)
    scope = decode_evidence(envelope.payload_unverified(data)).predicate
    if scope.run != run.name:
        raise EvidenceError(f"is of the run {scope.run}, and stands in {run.name}")
    return Found(scope.sequence, scope.run, scope.organization, envelope.is_signed(data))


def _write(path: Path, statement: msgspec.Struct, key: SigningKey | None) -> str:
    data = envelope.close(msgspec.json.encode(statement), key)
    waiting = path.with_name(f"{path.name}.partial")
    with waiting.open("wb") as handle:  # half a statement would be a link that the chain hangs on
        handle.write(data)
        handle.flush()
        os.fsync(handle.fileno())
    waiting.replace(path)
    return hashlib.sha256(data).hexdigest()
