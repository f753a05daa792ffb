"""A verified run as its pages are made from it: its head, its findings, and the raw lines of its evidence."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator, Mapping
from functools import cached_property
from typing import NamedTuple

import msgspec

from auditor import contents, seal
from auditor.contents import Contents
from auditor.evidence import FOLDER, SubjectLine
from auditor.judge import finding_id
from auditor.model import EvidenceError, Outcome, Resource
from auditor.plan import DESELECTED, Plan
from auditor.results import ClaimResult, Finding, Head, TestResult
from auditor.stored import FINDINGS
from auditor.verify import Verified

REPORT = "report.json"
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
"""Ids that become names of files, and stand in the commands of VERIFY.md."""
_SUBJECT = b'{"kind":"subject"'


class Member(msgspec.Struct, frozen=True):
    """One member of a test's frozen listing: `id` is that of its finding; where the line of the listing stands."""

    id: str
    target: str
    resource: Resource
    file: str
    line: int


class NotAsked(NamedTuple):
    """A target or a test (`kind`) that was declared, and why it was not asked, or not carried out everywhere."""

    kind: str
    id: str
    why: str


class RunFiles:
    """Reads what a run holds, from a folder or out of a package."""

    def __init__(self, files: Contents, verified: Verified) -> None:
        self.files = files
        self.verified = verified
        try:
            self.head = msgspec.json.decode(contents.read(files, REPORT, sys.maxsize), type=Head)
        except msgspec.DecodeError as error:
            raise EvidenceError(f"{REPORT}: cannot be read: {error}") from None
        criteria = [one.id for claim in self.head.claims for one in claim.criteria]
        for name in (*self.tests, *(claim.id for claim in self.head.claims), *criteria):
            if not NAME.fullmatch(name):
                raise EvidenceError(f"{REPORT}: {name!r} is no id of a claim, test or criterion")

    @property
    def id(self) -> str:
        """The id of the run."""
        return self.verified.run

    @cached_property
    def tests(self) -> Mapping[str, tuple[ClaimResult, TestResult]]:
        """Every test with its claim, in the order of the policy."""
        return {test.id: (claim, test) for claim in self.head.claims for test in claim.tests}

    @cached_property
    def not_asked(self) -> tuple[NotAsked, ...]:
        """What was declared and not asked."""
        try:
            plan = msgspec.json.decode(contents.read(self.files, seal.PLAN), type=Plan)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise EvidenceError(f"{seal.PLAN}: cannot be read: {error}") from None
        return tuple(not_asked(plan))

    def excluded(self, test: str) -> str:
        """Why a test was not carried out, or not on all its targets; "" where it was."""
        return next((one.why for one in self.not_asked if (one.kind, one.id) == ("test", test)), "")

    @property
    def segments(self) -> list[str]:
        """The names of the segments, in byte order."""
        return [name for name in self.files.names() if name.startswith(f"{FOLDER}/")]

    def lines(self, name: str) -> Iterator[bytes]:
        """Yield the lines of a file, each with its newline."""
        with self.files.open(name) as handle:
            yield from handle

    def findings(self) -> Iterator[Finding]:
        """Yield every finding, files in byte order of their names."""
        decoder = msgspec.json.Decoder(Finding)
        for name in self.files.names():
            if name.startswith(f"{FINDINGS}/"):
                for line in self.lines(name):
                    try:
                        yield decoder.decode(line)
                    except msgspec.DecodeError as error:
                        raise EvidenceError(f"{name}: not a line of findings: {error}") from None

    def members(self) -> Iterator[tuple[str, Member]]:
        """Yield every line of the frozen listings, with the test it is of."""
        decoder = msgspec.json.Decoder(SubjectLine)
        for name in self.segments:
            target = ""
            for line in self.lines(name):
                if not target:
                    target = _target(line, name)
                if not line.startswith(_SUBJECT):
                    continue
                try:
                    subject = decoder.decode(line)
                except msgspec.DecodeError as error:
                    raise EvidenceError(f"{name}: not a line of evidence: {error}") from None
                if subject.test in self.tests:
                    claim = self.tests[subject.test][0].id
                    member = finding_id(claim, subject.test, target, subject.resource)
                    yield subject.test, Member(member, target, subject.resource, name, subject.n)


def not_asked(plan: Plan) -> Iterator[NotAsked]:
    """Yield the targets that were asked nothing, then the tests that were not carried out, or not everywhere."""
    asked = {task.target for task in plan.tasks}
    chosen = plan.selection.targets
    for target in plan.targets:
        if target.id not in asked:
            deselected = chosen and target.id not in chosen
            yield NotAsked("target", target.id, DESELECTED if deselected else "no test that was carried out asks it")
    for test in plan.tests:
        if test.excluded:
            yield NotAsked("test", test.id, test.excluded)


def gaps(finding: Finding) -> bool:
    """Whether a finding says that a population is not complete, or not to be relied on as it was listed."""
    return finding.outcome is Outcome.ERROR and finding.resource.type == "target"


def _target(opened: bytes, name: str) -> str:
    """Return the target that a segment is of, from its first line."""
    try:
        first = msgspec.json.decode(opened, type=_Opened)
    except msgspec.DecodeError as error:
        raise EvidenceError(f"{name}: not a line of evidence: {error}") from None
    return first.task.removesuffix(f".{first.shard}")


class _Opened(msgspec.Struct, frozen=True):
    task: str
    shard: str
