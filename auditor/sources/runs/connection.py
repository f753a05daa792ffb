"""One folder of earlier runs, asked for one task: verified once, read once, then answered from an index."""

from __future__ import annotations

import datetime as dt
import hashlib
import sqlite3
from collections.abc import Callable, Iterator, Mapping
from itertools import islice
from pathlib import Path
from typing import Annotated, Any

import msgspec

from auditor import contents, envelope, keys, seal, verify
from auditor.answers import pointer_join, resolve_pointer
from auditor.contents import Directory
from auditor.conversion import convert
from auditor.evidence import FOLDER, AnswerLine, OpenLine
from auditor.model import JSON, EvidenceError, UsageError
from auditor.questions import Failure, Opening, Operation, Reply, SourceFailure
from auditor.sources.clock import utcnow
from auditor.sources.runs.index import Index, Seen
from auditor.sources.runs.target import RunsTarget
from auditor.verify import Verified

MOST_RESOURCES = 1000
MOST_FLAWS = 3
IN_SETTINGS = {
    verify.NO_KEYS: "is signed, and there is no key file to hold that against (keys of this target)",
    verify.UNSIGNED: "is not signed: anybody could have made or changed it (to read it: allow_unsigned of this target)",
}
"""What verifying says of its options, as it is mended in auditor.yaml."""
Pointer = Annotated[str, msgspec.Meta(pattern=r"^(/.*)?$")]


class What(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is looked at in earlier runs: the answers to `operation` of targets that were declared like `target`.

    `items` points at the list in an answer's body; `id` and `value`, in each member of it, at the name of the resource
    and at what is compared. `flag` points at a boolean that says whether there is a value, where the system says so
    twice: a member that contradicts itself is not read.
    """

    operation: str
    target: dict[str, JSON]
    items: Pointer
    id: Pointer
    value: Pointer
    flag: Pointer = ""


class Question(What, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The parameters of `distinct`: what is looked at, and the resources it is about."""

    ids: Annotated[list[str], msgspec.Meta(max_length=MOST_RESOURCES)]

    @property
    def what(self) -> What:
        """The question without its resources."""
        return What(**{name: getattr(self, name) for name in What.__struct_fields__})


class Unread(msgspec.Struct):
    """What earlier runs could not say: answers that are errors or of another shape, members redacted or odd."""

    answers: int = 0
    items: int = 0


class _Line(msgspec.Struct, frozen=True):
    """What tells whether a line of a segment has to be read at all."""

    kind: str
    target: str = ""
    operation: str = ""


_LINE = msgspec.json.Decoder(_Line)
_OPEN = msgspec.json.Decoder(OpenLine)
_ANSWER = msgspec.json.Decoder(AnswerLine)


class Read:
    """The index of one thing that was looked at, and what had no place in it."""

    def __init__(self) -> None:
        self.index = Index()
        self.unread = Unread()


class RunsConnection:
    """Answers from the runs of a folder, whose every byte is what was sealed."""

    def __init__(self, target: RunsTarget, opening: Opening, *, clock: Callable[[], dt.datetime] = utcnow) -> None:
        self._target = target
        self._folder = opening.folder / target.path
        self._keys = _key_file(target, opening.folder)
        self._clock = clock
        self._runs: list[Verified] | SourceFailure | None = None
        self._read: dict[bytes, Read | SourceFailure] = {}

    def ask(self, operation: Operation, params: Mapping[str, Any]) -> Iterator[Reply]:
        """Answer one question: {runs[{run, sequence, manifest_sha256, signed_by}], unread{answers, items}, resources}.

        `resources` maps each id that was asked for to its distinct values, oldest first: {absent, value, runs, run,
        manifest_sha256, file, line, pointer}; `absent` says that the resource was there without the value, which is
        then left out; `runs` counts those that saw it so, and the others say where it was seen first.
        """
        del operation  # there is one
        began = self._clock()
        try:
            body = self._distinct(convert(dict(params), Question))
        except (SourceFailure, msgspec.ValidationError) as problem:
            failure = problem if isinstance(problem, SourceFailure) else SourceFailure("parameters", str(problem))
            error = Failure(failure.code, failure.message)
            yield Reply(status="error", started_at=began, ended_at=self._clock(), error=error)
        else:
            yield Reply(status="ok", started_at=began, ended_at=self._clock(), body=body)

    def close(self) -> None:
        """Throw every index away."""
        for read in self._read.values():
            if isinstance(read, Read):
                read.index.close()

    def _distinct(self, question: Question) -> JSON:
        runs = self._verified()
        read = self._indexed(question.what, runs)
        found: dict[str, list[JSON]] = {name: [] for name in question.ids}
        for resource, seen in read.index.find(list(found)):
            found[resource].append(_in_words(seen, runs[seen.run]))
        return {
            "runs": [_looked_at(run) for run in runs],
            "unread": msgspec.to_builtins(read.unread),
            "resources": found,
        }

    # Verifying

    def _verified(self) -> list[Verified]:
        """Return the runs of the folder, oldest first, once all of it is verified."""
        if self._runs is None:
            try:
                self._runs = self._chain()
            except SourceFailure as failure:
                self._runs = failure
        if isinstance(self._runs, SourceFailure):
            raise self._runs
        return self._runs

    def _chain(self) -> list[Verified]:
        target = self._target
        try:
            next(self._folder.iterdir(), None)
            ring = keys.load(self._keys) if self._keys else None
            runs = verify.verify_chain(self._folder, ring, allow_unsigned=target.allow_unsigned, since=target.since)
            _refuse_unsigned(runs)
        except verify.DoesNotVerify as problem:
            raise SourceFailure("unverified", _said(self._folder, problem)) from None
        except EvidenceError as problem:
            raise SourceFailure("folder", str(problem)) from None
        except UsageError as problem:
            raise SourceFailure("keys", str(problem)) from None
        except PermissionError as problem:
            raise SourceFailure("denied", f"{self._folder} cannot be read: {problem.strerror}") from None
        except FileNotFoundError:
            hint = "where it is the folder that runs go to, the first run makes it"
            raise SourceFailure("folder", f"{self._folder} is not there; {hint}") from None
        except OSError as problem:
            raise SourceFailure("folder", f"{self._folder} cannot be read: {problem.strerror}") from None
        return runs

    # Reading

    def _indexed(self, what: What, runs: list[Verified]) -> Read:
        """Return the index of what is looked at; the first question about it reads every run, once."""
        key = msgspec.json.encode(what, order="sorted")
        if key not in self._read:
            self._read[key] = self._read_all(what, runs)
        read = self._read[key]
        if isinstance(read, SourceFailure):
            raise read
        return read

    def _read_all(self, what: What, runs: list[Verified]) -> Read | SourceFailure:
        read = Read()
        try:
            with read.index:
                for number, run in enumerate(runs):
                    self._read_run(what, number, run, read)
        except (EvidenceError, OSError, sqlite3.Error, msgspec.MsgspecError) as problem:
            read.index.close()
            return SourceFailure(
                "unreadable", f"{self._folder}: an earlier run that verified cannot be read: {problem}"
            )
        return read

    def _read_run(self, what: What, number: int, run: Verified, read: Read) -> None:
        """Read a run's segments, and that they are still those that were verified."""
        files = Directory(self._folder / run.run)
        manifest = contents.read(files, seal.MANIFEST)
        if hashlib.sha256(manifest).hexdigest() != run.manifest_sha256:
            raise EvidenceError(f"{run.run}/{seal.MANIFEST}: changed while it was read")
        for subject in seal.decode_manifest(envelope.payload_unverified(manifest)).subject:
            if subject.name.startswith(f"{FOLDER}/"):
                digest = self._read_segment(what, number, files, subject.name, read)
                if digest != subject.digest["sha256"]:
                    raise EvidenceError(f"{run.run}/{subject.name}: changed while it was read")

    def _read_segment(self, what: What, number: int, files: Directory, name: str, read: Read) -> str:
        """Put what one segment saw into the index; return the SHA-256 of the bytes that were read."""
        digest = hashlib.sha256()
        targets: set[str] = set()
        with files.open(name) as handle:
            for data in handle:
                digest.update(data)
                line = _LINE.decode(data)
                if line.kind == "open":
                    targets = {
                        one for one, said in _OPEN.decode(data).targets.items() if what.target.items() <= said.items()
                    }
                elif line.kind == "answer" and line.operation == what.operation and line.target in targets:
                    read_answer(what, number, name, _ANSWER.decode(data), read)
        return digest.hexdigest()


def _key_file(target: RunsTarget, folder: Path) -> Path | None:
    """Return the file of public keys; None where none is named, and there is none."""
    path = folder / (target.keys or keys.PUBLIC)
    return path if target.keys or path.exists() else None


def _refuse_unsigned(runs: list[Verified]) -> None:
    """Refuse an unsigned run after a signed one: whoever holds no key can call the organization anything."""
    signed = False
    for run in runs:
        signed = signed or run.key is not None
        if signed and run.key is None:
            reason = "is not signed, and an earlier run is: anybody could have put it here"
            raise verify.DoesNotVerify([verify.Flaw(f"{run.run}/{seal.EVIDENCE}", 0, reason)])


def read_answer(what: What, run: int, file: str, answer: AnswerLine, read: Read) -> None:
    """Put what one answer of an earlier run says into the index, and count what it does not."""
    items = _at(answer.body, what.items) if answer.status == "ok" else None
    if answer.status == "absent":
        return
    if not isinstance(items, list):
        read.unread.answers += 1
        return
    for position, item in enumerate(items):
        where = pointer_join(what.items, position)
        name, value = _at(item, what.id), _encoded(_at(item, what.value))
        if (
            not isinstance(name, str)
            or any(_is_redacted(answer, where + pointer) for pointer in (what.id, what.value, what.flag or what.id))
            or (what.flag and _at(item, what.flag) is not bool(value))
        ):
            read.unread.items += 1
        else:
            read.index.add(name, value, run, (file, answer.n, where))


def _at(body: JSON, pointer: str) -> JSON:
    """Return the value at a pointer, something that is no JSON where there is none."""
    try:
        return resolve_pointer(body, pointer)
    except TypeError:
        return ...


def _encoded(value: JSON) -> bytes:
    there = value is None or isinstance(value, dict | list | str | int | float | bool)
    return msgspec.json.encode(value, order="sorted") if there else b""


def _is_redacted(answer: AnswerLine, pointer: str) -> bool:
    return any(f"{pointer}/".startswith(f"{masked}/") or masked.startswith(f"{pointer}/") for masked in answer.redacted)


def _in_words(seen: Seen, run: Verified) -> JSON:
    value = {"value": msgspec.json.decode(seen.value)} if seen.value else {}
    return {
        "absent": not seen.value,
        **value,
        "runs": seen.runs,
        "run": run.run,
        "manifest_sha256": run.manifest_sha256,
        "file": seen.file,
        "line": seen.line,
        "pointer": seen.pointer,
    }


def _looked_at(run: Verified) -> JSON:
    return {
        "run": run.run,
        "sequence": run.scope.sequence,
        "manifest_sha256": run.manifest_sha256,
        "signed_by": run.key.id if run.key else "",
    }


def _said(folder: Path, problem: verify.DoesNotVerify) -> str:
    flaws = (msgspec.structs.replace(one, reason=IN_SETTINGS.get(one.reason, one.reason)) for one in problem.flaws)
    first = "; ".join(map(str, islice(flaws, MOST_FLAWS)))
    more = f"; and {len(problem.flaws) - MOST_FLAWS:,} more" if len(problem.flaws) > MOST_FLAWS else ""
    return f"earlier runs in {folder} do not verify: {first}{more}"
