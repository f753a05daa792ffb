"""A finished run as reports read it: its head, its findings as a stream, and the fragments they cite."""

from __future__ import annotations

import io
from array import array
from collections.abc import Iterator, Mapping
from functools import cached_property, partial
from pathlib import Path
from types import MappingProxyType

import msgspec

from auditor.answers import resolve_pointer
from auditor.contents import Directory
from auditor.evidence import AnswerLine, CloseLine, OpenLine, SubjectLine
from auditor.model import JSON, Citation, EvidenceError
from auditor.provenance import Origin, is_answer
from auditor.questions import SourceType
from auditor.results import EvidenceItem, Finding, Head
from auditor.wording import quoted

FINDINGS = "findings"


class StoredRun:
    """Reads findings and evidence from disk as they are asked for; holds one offset per line of evidence, no bodies.

    What a finding cites is opened only where it is a segment of the run: whoever seals a run can let it cite anything.
    """

    def __init__(
        self, head: Head, evidence: Path, findings: Path, sources: Mapping[str, SourceType] = MappingProxyType({})
    ) -> None:
        self._head = head
        self._sources = sources
        self._origins: dict[str, Origin] = {}
        self._evidence = evidence
        self._findings = findings
        self._offsets: dict[str, array[int]] = {}
        self._last: tuple[str, int, JSON] = ("", 0, None)

    @property
    def head(self) -> Head:
        """The run, its summary, claims and registers."""
        return self._head

    def findings(self) -> Iterator[Finding]:
        """Yield every finding, files in byte order of their names."""
        decoder = msgspec.json.Decoder(Finding)
        for path in sorted(self._findings.glob("*.jsonl"), key=lambda path: path.name.encode()):
            with path.open("rb") as handle:
                for line in handle:
                    try:
                        yield decoder.decode(line)
                    except msgspec.DecodeError as error:
                        raise EvidenceError(f"{path.name}: not a line of findings: {error}") from None

    def fragment(self, citation: Citation) -> JSON:
        """Return the cited value, which may be null, out of the first cited line; LookupError where it is not there."""
        try:
            value = resolve_pointer(self._body(citation.file, citation.lines[0]), citation.pointer)
        except TypeError as error:
            raise LookupError(f"{citation.pointer} {error}") from None
        if value is not None and not isinstance(value, dict | list | str | int | float | bool):
            raise LookupError(f"{citation.pointer} is missing")
        return value

    def provenance(self, citation: Citation) -> Mapping[str, str]:
        """Return where the cited answer comes from (of several lines, the first); nothing where it is no answer."""
        row = self._row(citation.file, citation.lines[0])
        return self._origin(citation.file).item(row).facts if is_answer(row) else {}

    def items(self) -> Iterator[EvidenceItem]:
        """Yield every answer and where it comes from, files in byte order of their names."""
        for path in sorted(self._evidence.glob("*.jsonl"), key=lambda path: path.name.encode()):
            origin = self._origin(f"{self._evidence.name}/{path.name}")
            with self._open(f"{self._evidence.name}/{path.name}") as handle:
                yield from (origin.item(row) for row in handle if is_answer(row))

    def _origin(self, name: str) -> Origin:
        if name not in self._origins:
            self._origins[name] = Origin(name, partial(self._open, name), self._head.run.scope, self._sources)
        return self._origins[name]

    @cached_property
    def _segments(self) -> frozenset[str]:
        return frozenset(f"{self._evidence.name}/{name}" for name in Directory(self._evidence).names())

    def _open(self, name: str) -> io.BufferedIOBase:
        if name not in self._segments:
            raise EvidenceError(f"a finding cites {quoted(name)}, which is no segment of the run")
        return Directory(self._evidence.parent).open(name)

    def _body(self, name: str, number: int) -> JSON:
        if self._last[:2] != (name, number):
            self._last = (name, number, self._read(name, number))
        return self._last[2]

    def _read(self, name: str, number: int) -> JSON:
        try:
            line = msgspec.json.decode(self._row(name, number), type=OpenLine | AnswerLine | SubjectLine | CloseLine)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise EvidenceError(f"{name}: not a line of evidence: {error}") from None
        if isinstance(line, AnswerLine):
            return line.body if line.error is None else {"error": msgspec.to_builtins(line.error)}
        return msgspec.to_builtins(line)

    def _row(self, name: str, number: int) -> bytes:
        if name not in self._offsets:
            with self._open(name) as handle:
                self._offsets[name] = _line_offsets(handle)
        offsets = self._offsets[name]
        if not 1 <= number <= len(offsets):
            raise EvidenceError(f"{name}: has no line {number}, which a finding cites")
        with self._open(name) as handle:
            handle.seek(offsets[number - 1])
            return handle.readline()


def _line_offsets(lines: io.BufferedIOBase) -> array[int]:
    offsets = array("Q")
    position = 0
    for line in lines:
        offsets.append(position)
        position += len(line)
    return offsets
