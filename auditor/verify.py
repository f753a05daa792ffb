"""Whether a run, or a folder of runs, is what was sealed: every byte of it, who sealed it, and its place in the chain.

Nothing here is asked of anybody: only files are read, each once. All flaws of a run are found, not only the first.
"""

from __future__ import annotations

import datetime as dt
import hashlib
from collections.abc import Callable, Collection, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NoReturn

import msgspec

from auditor import contents, envelope, seal, timestamps
from auditor.contents import Contents, Directory
from auditor.envelope import Opened
from auditor.evidence import FOLDER, changed_line
from auditor.keys import KeyRing, PublicKey
from auditor.model import EvidenceError
from auditor.seal import EvidenceStatement, ManifestStatement, Scope, Statement, Subject
from auditor.timestamps import Stamped

READERS = 4
UNSIGNED = "is not signed: anybody could have made or changed it (to read it nevertheless: --allow-unsigned)"
NO_STAMP = "no time-stamp authority says when this was; its dates rest on the clock of the machine that made it"
UNHELD = "the key file names no time-stamp authority to hold that against (auditor keys authority FILE)"
CHANGED = "is not what was sealed: its SHA-256 differs"
NO_KEYS = "is signed, and no key file was given to hold its signature against (--keys FILE)"
UNSEALED = "the run is not sealed (it is under way, was interrupted, or its seal was taken away)"
HALF_SEALED = "interrupted while it was sealed, or {} was taken away; if no later run follows it, remove the folder"
MOST_NAMED = 3
"""Of what stands in a folder that is no run: enough to see what it is."""


class Flaw(msgspec.Struct, frozen=True, order=True):
    """One thing that is not as it was sealed: in which file, on which line of it (0: unknown), and what."""

    file: str
    line: int
    reason: str

    def __str__(self) -> str:
        """One line, whatever the file is called and whatever an envelope calls its key."""
        said = f"{self.file}:{self.line}: {self.reason}" if self.line else f"{self.file}: {self.reason}"
        return said if said.isprintable() else repr(said)[1:-1]


class DoesNotVerify(EvidenceError):
    """Something is not as it was sealed; carries everything that was found."""

    def __init__(self, flaws: Sequence[Flaw]) -> None:
        super().__init__("\n".join(map(str, flaws)))
        self.flaws = tuple(flaws)


class Verified(msgspec.Struct, frozen=True, kw_only=True):
    """A run that is what was sealed. `key` is the one that signed it (None: nobody did).

    `stamped` is the time stamp on its evidence, held against the authorities that count; None where there is none, or
    nothing to hold it against.
    """

    scope: Scope
    finished: seal.Finished
    manifest_sha256: str
    key: PublicKey | None
    stamped: Stamped | None = None

    @property
    def dated(self) -> str:
        """Who else says when the run was, or why nobody does."""
        said = self.finished.timestamp
        if said is None:
            return NO_STAMP
        return f"{said.words}; {UNHELD}" if said.at and self.stamped is None else said.words

    @property
    def run(self) -> str:
        """The id of the run."""
        return self.scope.run

    @property
    def head(self) -> str:
        """The run's place in the chain, as it is sent to the auditor: `sequence:digest of the manifest`."""
        return f"{self.scope.sequence}:{self.manifest_sha256}"


class _Statements(msgspec.Struct, frozen=True):
    evidence: EvidenceStatement
    manifest: ManifestStatement
    evidence_sha256: str
    manifest_sha256: str
    key: PublicKey | None


def verify_run(run: Contents, keys: KeyRing | None, *, allow_unsigned: bool = False) -> Verified:
    """Return what a run says of itself, once every byte of it is what was sealed; raises `DoesNotVerify`.

    `keys` are those whose signatures count. `allow_unsigned` is for runs that were made without a key: then only their
    digests are compared, which whoever changed a file could have made anew.
    """
    statements = _statements(run, keys, allow_unsigned=allow_unsigned)
    stamped, doubts = _stamp(run, statements, keys)
    flaws = [*_said(run, statements), *doubts, *compare(run, statements.manifest.subject)]
    if flaws:
        raise DoesNotVerify(sorted(set(flaws)))
    return Verified(
        scope=statements.evidence.predicate,
        finished=statements.manifest.predicate,
        manifest_sha256=statements.manifest_sha256,
        key=statements.key,
        stamped=stamped,
    )


def verify_statements(run: Contents, keys: KeyRing | None) -> tuple[seal.Finished, str]:
    """Return the end of a run and its manifest's SHA-256, once both statements are what was sealed.

    No other file is compared. Without `keys` it is not asked who signed. Raises `DoesNotVerify`.
    """
    statements = _opened(run, _unverified) if keys is None else _statements(run, keys, allow_unsigned=True)
    flaws = set(_said(run, statements))
    if statements.evidence_sha256 != statements.manifest.predicate.evidence_sha256:
        flaws.add(Flaw(seal.EVIDENCE, 0, CHANGED))
    if flaws:
        raise DoesNotVerify(sorted(flaws))
    return statements.manifest.predicate, statements.manifest_sha256


def require_timestamps(runs: Sequence[Verified]) -> None:
    """Raise `DoesNotVerify` unless a time-stamp authority that counts says of each run when it was."""
    if flaws := [Flaw(f"{one.run}/{seal.STAMP}", 0, one.dated) for one in runs if one.stamped is None]:
        raise DoesNotVerify(flaws)


def compare_digests(run: Contents) -> None:
    """Compare a run with its own manifest, whoever signed that: enough to read it with, and no proof of anything."""
    try:
        payload = envelope.payload_unverified(contents.read(run, seal.MANIFEST))
        manifest = seal.decode_manifest(payload)
    except EvidenceError as error:
        _refuse(seal.MANIFEST, str(error).removeprefix(f"{seal.MANIFEST}: "))
    if flaws := sorted(compare(run, manifest.subject)):
        raise DoesNotVerify(flaws)


def verify_chain(
    folder: Path, keys: KeyRing | None, *, allow_unsigned: bool = False, since: int = 1, head: str = ""
) -> list[Verified]:
    """Verify every run of a folder, and that each follows the one before; return them in their order.

    What looks like a finished run and is not sealed is a flaw; what was only collected is passed over (see `unsealed`).
    `since` is the number of the first run that is kept there, where older ones were moved away. `head` is the chain
    head that was sent away earlier (see `Verified.head`): that run must still be there.
    """
    found: list[Verified] = []
    flaws: list[Flaw] = []
    with seal.at_rest(folder):
        for path in runs_of(folder):
            if path.is_symlink():
                flaws.append(Flaw(path.name, 0, "is a link: what it leads to is no part of the folder, and may change"))
                continue
            try:
                found.append(verify_run(Directory(path), keys, allow_unsigned=allow_unsigned))
            except DoesNotVerify as error:
                flaws += (Flaw(f"{path.name}/{flaw.file}", flaw.line, flaw.reason) for flaw in error.flaws)
        flaws += (Flaw(path.name, 0, why) for path in _unsealed(folder) if (why := _made_later(path)))
    found.sort(key=lambda one: (one.scope.sequence, one.run))
    if not flaws:  # a run that does not verify has no place that could be relied on
        flaws += _links(found, since)
    if head and head not in {one.head for one in found}:
        flaws.append(Flaw(str(folder), 0, f"the run of the chain head {head} is not there any more, or was changed"))
    if flaws:
        raise DoesNotVerify(flaws)
    return found


def runs_of(folder: Path) -> list[Path]:
    """Return the runs in a folder, oldest first: what bears the name of one, and is sealed, or leads elsewhere."""
    return [path for path in _named(folder) if path.is_symlink() or _has_statement(path)]


def unsealed(folder: Path) -> list[Path]:
    """Return the runs in a folder of which there is only what was collected: under way, or interrupted."""
    return [path for path in _unsealed(folder) if not _made_later(path)]


def _unsealed(folder: Path) -> list[Path]:
    return [path for path in _named(folder) if path.is_dir() and not path.is_symlink() and not _has_statement(path)]


def _named(folder: Path) -> list[Path]:
    try:
        return sorted(path for path in folder.iterdir() if seal.RUN_ID.fullmatch(path.name))
    except OSError as error:
        raise EvidenceError(f"{folder}: cannot be read: {error.strerror}") from None


def _has_statement(path: Path) -> bool:
    return any((path / name).exists() for name in (seal.EVIDENCE, seal.MANIFEST))


def _made_later(path: Path) -> str:
    """Say what stands in a run without a seal that is made only once the evidence is sealed; "" where nothing does.

    Only the names in the folder itself are looked at: below, a run that is under way still changes.
    """
    made = sorted(one.name for one in path.iterdir() if not any(map(seal.is_evidence, (one.name, f"{one.name}/"))))
    names = ", ".join([*made[:MOST_NAMED], *(["…"] if len(made) > MOST_NAMED else [])])
    return f"is not sealed, and holds {names}: it was {HALF_SEALED.format('its seal')}" if made else ""


def _statements(run: Contents, keys: KeyRing | None, *, allow_unsigned: bool) -> _Statements:
    """Open both statements; without them there is nothing to hold the files against."""

    def find(key_id: str) -> PublicKey | None:
        if keys is None:
            raise EvidenceError(NO_KEYS)
        return keys.find(key_id)

    statements = _opened(run, lambda data: envelope.open_envelope(data, find))
    if statements.key is None and not allow_unsigned:
        _refuse(seal.MANIFEST, UNSIGNED)
    return statements


def _unverified(data: bytes) -> Opened:
    return Opened(envelope.payload_unverified(data), None)


def _opened(run: Contents, opening: Callable[[bytes], Opened]) -> _Statements:
    evidence, evidence_key, evidence_sha256 = _open(run, seal.EVIDENCE, seal.decode_evidence, opening)
    manifest, key, manifest_sha256 = _open(run, seal.MANIFEST, seal.decode_manifest, opening)
    if key != evidence_key:
        _refuse(seal.EVIDENCE, "is not signed by the key that signed the manifest statement")
    return _Statements(evidence, manifest, evidence_sha256, manifest_sha256, key)


def _open(
    run: Contents, name: str, decode: Callable[[bytes], Statement], opening: Callable[[bytes], Opened]
) -> tuple[Statement, PublicKey | None, str]:
    try:
        data = contents.read(run, name)
    except EvidenceError as error:
        _refuse(name, str(error).removeprefix(f"{name}: ") if contents.holds(run, name) else _missing(run, name))
    try:
        opened = opening(data)
        return decode(opened.payload), opened.key, hashlib.sha256(data).hexdigest()
    except EvidenceError as error:
        _refuse(name, str(error))


def _missing(run: Contents, name: str) -> str:
    """Say that a statement is not there, and why that may be: the other one is written first, or last."""
    if name == seal.MANIFEST:
        return f"is missing: the run was {HALF_SEALED.format('this')}"
    return "is missing" if contents.holds(run, seal.MANIFEST) else f"is missing, as is {seal.MANIFEST}: {UNSEALED}"


def _refuse(file: str, reason: str) -> NoReturn:
    raise DoesNotVerify([Flaw(file, 0, reason)])


def _said(run: Contents, statements: _Statements) -> Iterator[Flaw]:
    """Yield where the statements are of another kind, contradict each other, or do not go with the run's name."""
    yield from _form(seal.EVIDENCE, seal.EVIDENCE_TYPE, statements.evidence)
    yield from _form(seal.MANIFEST, seal.MANIFEST_TYPE, statements.manifest)
    scope, finished = statements.evidence.predicate, statements.manifest.predicate
    if not seal.RUN_ID.fullmatch(scope.run) or not scope.run.startswith(f"{scope.started_at:%Y%m%dT%H%M%SZ}-"):
        yield Flaw(seal.EVIDENCE, 0, f"the run's id {scope.run} does not go with its start")
    if seal.RUN_ID.fullmatch(run.name) and run.name != scope.run:
        yield Flaw(seal.EVIDENCE, 0, f"is of the run {scope.run}, and stands in {run.name}")
    if (finished.run, finished.sequence) != (scope.run, scope.sequence):
        yield Flaw(seal.MANIFEST, 0, f"is of the run {finished.run}, number {finished.sequence}, not of this one")
    if scope.sequence < 1 or (scope.previous_run is None) is not (scope.sequence == 1):
        yield Flaw(seal.EVIDENCE, 0, f"number {scope.sequence} and its predecessor do not go together")
    listed = {subject.name: subject for subject in statements.manifest.subject}
    if seal.EVIDENCE not in listed or listed[seal.EVIDENCE].digest.get("sha256") != finished.evidence_sha256:
        yield Flaw(seal.MANIFEST, 0, "names another evidence statement than it lists")
    if statements.evidence.subject != tuple(one for name, one in listed.items() if seal.is_evidence(name)):
        yield Flaw(seal.EVIDENCE, 0, "covers other evidence than the manifest statement lists")
    yield from (Flaw(seal.MANIFEST, 0, reason) for reason in dates(statements.key, scope, finished))


def _form(name: str, kind: str, statement: EvidenceStatement | ManifestStatement) -> Iterator[Flaw]:
    if (statement.type_, statement.predicateType) != (seal.STATEMENT_TYPE, kind):
        yield Flaw(name, 0, f"is a statement of another kind: {statement.type_} {statement.predicateType}")
    names = [subject.name for subject in statement.subject]
    if names != sorted(set(names)):
        yield Flaw(name, 0, "does not list its files once each, in byte order")
    if any(subject.digest.keys() != {"sha256"} for subject in statement.subject):
        yield Flaw(name, 0, "has other digests than SHA-256")


def dates(key: PublicKey | None, scope: Scope, finished: seal.Finished) -> Iterator[str]:
    """Yield what speaks against the dates of a run, by themselves and by the time its key was valid."""
    if not scope.started_at <= scope.as_of <= finished.finished_at:
        yield "its dates are not in order: start, end of collection, end of the run"
    if key is None:
        return
    for at in (scope.as_of, finished.finished_at):
        if not key.was_valid(at):
            until = f" until {key.valid_until:%Y-%m-%d %H:%M:%S}" if key.valid_until else ""
            valid = f"from {key.valid_from:%Y-%m-%d %H:%M:%S}{until} UTC"
            yield f"is of {at:%Y-%m-%d %H:%M:%S} UTC; its key {key.id} was valid {valid}"
            return


def dated_back(finished_at: dt.datetime, before: dt.datetime) -> str:
    """Say that a run ended before the one that it follows, when that one ended; "" where it did not.

    A run ends while it holds the end of the chain, so that only a wrong clock can do so, or whoever has a key that was
    given up, and dates a run back to when it was valid.
    """
    if finished_at >= before:
        return ""
    return f"ended {finished_at:%Y-%m-%d %H:%M:%S} UTC, before the run that it follows ({before:%Y-%m-%d %H:%M:%S} UTC)"


def _stamp(run: Contents, statements: _Statements, keys: KeyRing | None) -> tuple[Stamped | None, list[Flaw]]:
    """Return the time stamp that the manifest statement tells of, and what speaks against it.

    It lies between the end of collection and the end of the run, as far as clocks go, and the key was valid at both: so
    it was at the time that is stamped.
    """
    scope, finished = statements.evidence.predicate, statements.manifest.predicate
    said = finished.timestamp
    told = (said.at, said.authority) if said is not None and said.at is not None else None
    there = any(subject.name == seal.STAMP for subject in statements.manifest.subject)
    if there is not (told is not None):
        return None, [Flaw(seal.MANIFEST, 0, "lists a time stamp and tells of none, or the other way round")]
    if not there or keys is None or not keys.timestamp_authorities:
        return None, []
    try:
        tsr, data = contents.read(run, seal.STAMP), contents.read(run, seal.EVIDENCE)
        stamped = timestamps.check(tsr, data, keys.timestamp_authorities)
        timestamps.check_time(stamped.at, scope.as_of, finished.finished_at)
    except EvidenceError as error:
        return None, [Flaw(seal.STAMP, 0, str(error).removeprefix(f"{seal.STAMP}: "))]
    if told != (stamped.at, stamped.authority):
        return None, [Flaw(seal.MANIFEST, 0, "tells of another time stamp than the one that is there")]
    return stamped, []


def compare(
    files: Contents, listed: Sequence[Subject], statement: str = seal.MANIFEST, known: Collection[str] = ()
) -> Iterator[Flaw]:
    """Yield every file that is changed, missing or not listed by a statement; those `known` were compared before."""
    wanted = {subject.name: subject.digest.get("sha256", "") for subject in listed}
    what = "run" if statement == seal.MANIFEST else statement.partition(".")[0]
    try:
        present = [name for name in files.names() if name not in (statement, seal.SUMS)]
        if contents.read(files, seal.SUMS) != seal.sums(listed):
            yield Flaw(seal.SUMS, 0, f"is not the list of the {statement.partition('.')[0]} statement")
    except EvidenceError as error:
        name, _, reason = str(error).partition(": ")
        yield Flaw(name, 0, reason)
        return
    for name in present:
        if name not in wanted:
            yield Flaw(name, 0, f"was not there when the {what} was sealed")
    for name in wanted.keys() - set(present):
        yield Flaw(name, 0, "is missing")
    both = [name for name in present if name in wanted and name not in known]
    with ThreadPoolExecutor(READERS) as pool:
        yield from filter(None, pool.map(lambda name: _changed(files, name, wanted[name]), both))


def _changed(run: Contents, name: str, digest: str) -> Flaw | None:
    try:
        if contents.sha256(run, name) == digest:
            return None
        line, reason = 0, CHANGED
        if name.startswith(f"{FOLDER}/"):
            with run.open(name) as handle:
                line, why = changed_line(handle)
                reason = f"{reason}; {why}"
    except EvidenceError as error:
        return Flaw(name, 0, str(error).removeprefix(f"{name}: "))
    except OSError as error:
        return Flaw(name, 0, f"cannot be read: {error.strerror}")
    return Flaw(name, line, reason)


def _links(runs: Sequence[Verified], since: int) -> Iterator[Flaw]:
    """Yield where one run does not follow the one before."""
    before: Verified | None = None
    signing: set[str] = set()
    for run in runs:
        file = f"{run.run}/{seal.EVIDENCE}"
        if run.key is not None:
            signing.add(run.scope.organization)
        elif run.scope.organization in signing:
            yield Flaw(
                file, 0, "is not signed, and an earlier run of the organization is: anybody could have put it here"
            )
        expected = before.scope.sequence + 1 if before else since
        previous = run.scope.previous_run
        if run.scope.sequence != expected:
            yield Flaw(file, 0, f"is number {run.scope.sequence} of the chain, after number {expected - 1}")
        if before is not None and previous is not None and previous.id != before.run:
            yield Flaw(file, 0, f"follows {previous.id}, which is not there; the run before it is {before.run}")
        elif before is not None and previous is not None and previous.manifest_sha256 != before.manifest_sha256:
            yield Flaw(file, 0, f"follows another {previous.id} than the one that is there")
        if before is not None and (back := dated_back(run.finished.finished_at, before.finished.finished_at)):
            yield Flaw(f"{run.run}/{seal.MANIFEST}", 0, back)
        before = run
