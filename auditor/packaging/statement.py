"""The seal of a package: an in-toto Statement over every file in it, beside the seals of the runs it holds."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import msgspec

from auditor import contents, envelope, keys, seal, verify
from auditor.contents import Contents, ListedOnce, Within
from auditor.keys import KeyRing, PublicKey
from auditor.model import EvidenceError, UsageError
from auditor.packaging import chain
from auditor.results import Tool
from auditor.seal import Subject
from auditor.verify import NO_KEYS, DoesNotVerify, Flaw, Verified

STATEMENT = "package.statement.json"
KEYS = "keys.json"
RUNS = "runs"
PACKAGE_TYPE = "urn:auditor:package:1"
UNSIGNED = (
    "is not signed: anybody could have changed the pages around the runs (to read them nevertheless: --allow-unsigned)"
)


class PackagedRun(msgspec.Struct, frozen=True, kw_only=True):
    """One run of the package, by the digest of its manifest statement."""

    run: str
    sequence: int
    as_of: keys.Moment
    manifest_sha256: str


class Packaged(msgspec.Struct, frozen=True, kw_only=True):
    """What the statement says of the package (its predicate): runs in the order of their ends, and who made it."""

    organization: str
    tool: Tool
    runs: tuple[PackagedRun, ...]


class PackageStatement(msgspec.Struct, frozen=True, kw_only=True):
    """The package statement."""

    type_: str = msgspec.field(default=seal.STATEMENT_TYPE, name="_type")
    subject: tuple[Subject, ...]
    predicateType: str = PACKAGE_TYPE  # noqa: N815 - in-toto's name
    predicate: Packaged


class VerifiedPackage(msgspec.Struct, frozen=True, kw_only=True):
    """A package that is what was sealed, with its runs. `key` is the one that signed it (None: nobody did)."""

    packaged: Packaged
    files: int
    key: PublicKey | None
    runs: tuple[Verified, ...]

    @property
    def left_out(self) -> tuple[str, ...]:
        """What of the chain of its runs is not in it, in words."""
        return tuple(chain.left_out(self.runs))


_DECODER = msgspec.json.Decoder(PackageStatement)


def is_package(files: Contents) -> bool:
    """Whether these files are those of a package."""
    return contents.holds(files, STATEMENT)


def own_keys(package: Contents) -> KeyRing | None:
    """Return the keys that came with a package, which prove only that it is one piece; None where there are none."""
    if not contents.holds(package, KEYS):
        return None
    try:
        return keys.parse(contents.read(package, KEYS), KEYS)
    except EvidenceError as error:
        raise DoesNotVerify([Flaw(KEYS, 0, str(error).removeprefix(f"{KEYS}: "))]) from None
    except UsageError as error:
        raise DoesNotVerify([Flaw(KEYS, 0, problem.message) for problem in error.problems]) from None


def within(package: Contents, run: str) -> Within:
    """Return the files of one run of the package."""
    return Within(package, f"{RUNS}/{run}")


def verify_package(package: Contents, ring: KeyRing | None, *, allow_unsigned: bool = False) -> VerifiedPackage:
    """Return what a package says of itself, once every byte of it and of its runs is what was sealed.

    Raises `DoesNotVerify`. `ring` holds the keys whose signatures count, of the package as of each run.
    """
    statement, key = _open(package, ring, allow_unsigned=allow_unsigned)
    package = ListedOnce(package)
    runs: list[Verified] = []
    flaws = list(_said(package, statement))
    told: set[str] = set()
    for name in dict.fromkeys(one.run for one in statement.predicate.runs):
        try:
            runs.append(verify.verify_run(within(package, name), ring, allow_unsigned=allow_unsigned))
        except DoesNotVerify as error:
            of_run = [Flaw(f"{RUNS}/{name}/{flaw.file}", flaw.line, flaw.reason) for flaw in error.flaws]
            told.update(flaw.file for flaw in of_run)
            flaws += of_run
    flaws += _runs(statement.predicate, runs)
    flaws += not_following(runs)
    compared = verify.compare(package, statement.subject, STATEMENT, _compared(package, statement, runs))
    flaws += (flaw for flaw in compared if flaw.file not in told)
    if key is not None and (reason := given_up(statement.predicate, key)):
        flaws.append(Flaw(STATEMENT, 0, f"the key that signed it {reason}"))
    if flaws:
        raise DoesNotVerify(sorted(set(flaws)))
    return VerifiedPackage(packaged=statement.predicate, files=len(statement.subject), key=key, runs=tuple(runs))


def _open(
    package: Contents, ring: KeyRing | None, *, allow_unsigned: bool
) -> tuple[PackageStatement, PublicKey | None]:
    def find(key_id: str) -> PublicKey | None:
        if ring is None:
            raise EvidenceError(NO_KEYS)
        return ring.find(key_id)

    try:
        opened = envelope.open_envelope(contents.read(package, STATEMENT), find)
        statement = _decode(opened.payload)
    except EvidenceError as error:
        raise DoesNotVerify([Flaw(STATEMENT, 0, str(error).removeprefix(f"{STATEMENT}: "))]) from None
    if opened.key is None and not allow_unsigned:
        raise DoesNotVerify([Flaw(STATEMENT, 0, UNSIGNED)])
    return statement, opened.key


def _decode(payload: bytes) -> PackageStatement:
    try:
        statement = _DECODER.decode(payload)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise EvidenceError(f"is no statement of a package: {error}") from None
    if msgspec.json.encode(statement) != payload:
        raise EvidenceError("is not written canonically: its bytes are not those that its content gives")
    return statement


def _said(package: Contents, statement: PackageStatement) -> Iterator[Flaw]:
    """Yield where the statement is of another kind, or does not go with what is there."""
    if (statement.type_, statement.predicateType) != (seal.STATEMENT_TYPE, PACKAGE_TYPE):
        yield Flaw(STATEMENT, 0, f"is a statement of another kind: {statement.type_} {statement.predicateType}")
    names = [subject.name for subject in statement.subject]
    if names != sorted(set(names)):
        yield Flaw(STATEMENT, 0, "does not list its files once each, in byte order")
    if any(subject.digest.keys() != {"sha256"} for subject in statement.subject):
        yield Flaw(STATEMENT, 0, "has other digests than SHA-256")
    said = [one.run for one in statement.predicate.runs]
    there = {name.split("/")[1] for name in package.names() if name.startswith(f"{RUNS}/")}
    if not said or len(set(said)) != len(said):
        yield Flaw(STATEMENT, 0, "does not name its runs once each")
    for run in sorted(there - set(said)):
        yield Flaw(f"{RUNS}/{run}", 0, "is a run that the package statement does not name")
    for run in sorted(set(said) - there):
        yield Flaw(f"{RUNS}/{run}", 0, "is a run that the package statement names, and is missing")


def _runs(packaged: Packaged, runs: Sequence[Verified]) -> Iterator[Flaw]:
    """Yield where the runs are not those that the package names."""
    said = {one.run: one for one in packaged.runs}
    for run in runs:
        if said[run.run] != packaged_run(run):
            yield Flaw(f"{RUNS}/{run.run}", 0, "is another run than the one that the package statement names")
        if run.scope.organization != packaged.organization:
            reason = f"is of {run.scope.organization!r}, and the package of {packaged.organization!r}"
            yield Flaw(f"{RUNS}/{run.run}", 0, reason)


def not_following(runs: Sequence[Verified]) -> Iterator[Flaw]:
    """Yield where a run follows another one than that of the same name which is here."""
    here = {run.run: run for run in runs}
    for run in runs:
        if not (previous := run.scope.previous_run) or not (before := here.get(previous.id)):
            continue
        if (previous.manifest_sha256, run.scope.sequence) != (before.manifest_sha256, before.scope.sequence + 1):
            yield Flaw(f"{RUNS}/{run.run}", 0, f"follows another {previous.id} than the one that is in the package")
        if back := verify.dated_back(run.finished.finished_at, before.finished.finished_at):
            yield Flaw(f"{RUNS}/{run.run}", 0, back)


def _compared(package: Contents, statement: PackageStatement, runs: Sequence[Verified]) -> set[str]:
    """Return the files whose digests were compared with a run's manifest, which lists them as this statement does."""
    wanted = {subject.name: subject for subject in statement.subject}
    return {
        f"{RUNS}/{run.run}/{listed.name}"
        for run in runs
        for listed in manifest_of(within(package, run.run))
        if getattr(wanted.get(f"{RUNS}/{run.run}/{listed.name}"), "digest", None) == listed.digest
    }


def given_up(packaged: Packaged, key: PublicKey) -> str:
    """Say that a key was given up before the newest run ended: a package has no date, but is younger than its runs."""
    newest = max((run.as_of for run in packaged.runs), default=None)
    if newest is None or key.valid_until is None or key.valid_until > newest:
        return ""
    return f"({key.id}) was given up ({key.valid_until:%Y-%m-%d %H:%M:%S} UTC) before the newest run ended"


def packaged_run(run: Verified) -> PackagedRun:
    """Return what a package's statement says of a run."""
    scope = run.scope
    return PackagedRun(run=scope.run, sequence=scope.sequence, as_of=scope.as_of, manifest_sha256=run.manifest_sha256)


def manifest_of(run: Contents) -> tuple[Subject, ...]:
    """Return the files that a verified run's manifest statement lists."""
    return seal.decode_manifest(envelope.payload_unverified(contents.read(run, seal.MANIFEST))).subject
