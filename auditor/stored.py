"""A finished run as reports read it: its head, its findings as a stream, and the fragments they cite."""

from __future__ import annotations

from array import array
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import MappingProxyType

import msgspec

from auditor.answers import resolve_pointer
from auditor.evidence import AnswerLine, CloseLine, OpenLine, SubjectLine
from auditor.model import JSON, Citation, EvidenceError
from auditor.provenance import Origin, is_answer
from auditor.questions import SourceType
from auditor.results import EvidenceItem, Finding, Head

FINDINGS = "findings"


class StoredRun:
    """Reads findings and evidence from disk as they are asked for; holds one offset per line of evidence, no bodies."""

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
            with path.open("rb") as handle:
                yield from (origin.item(row) for row in handle if is_answer(row))

    def _origin(self, name: str) -> Origin:
        if name not in self._origins:
            path = self._evidence.parent / name
            self._origins[name] = Origin(name, lambda: path.open("rb"), self._head.run.scope, self._sources)
        return self._origins[name]

    def _body(self, name: str, number: int) -> JSON:
        if self._last[:2] != (name, number):
            self._last = (name, number, self._read(name, number))
        return self._last[2]

    def _read(self, name: str, number: int) -> JSON:
        line = msgspec.json.decode(self._row(name, number), type=OpenLine | AnswerLine | SubjectLine | CloseLine)
        if isinstance(line, AnswerLine):
            return line.body if line.error is None else {"error": msgspec.to_builtins(line.error)}
        return msgspec.to_builtins(line)

    def _row(self, name: str, number: int) -> bytes:
        path = self._evidence.parent / name
        if name not in self._offsets:
            self._offsets[name] = _line_offsets(path)
        offsets = self._offsets[name]
        if not 1 <= number <= len(offsets):
            raise EvidenceError(f"{name}: has no line {number}, which a finding cites")
        with path.open("rb") as handle:
            handle.seek(offsets[number - 1])
            return handle.readline()


def _line_offsets(path: Path) -> array[int]:
    offsets = array("Q")
    position = 0
    with path.open("rb") as handle:
        for line in handle:
            offsets.append(position)
            position += len(line)
    return offsets
