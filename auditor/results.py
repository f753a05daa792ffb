"""What an audit says: findings, the verdicts of tests and claims, and the document they make (`auditor/report/1`)."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterator, Mapping
from typing import IO, Any, Protocol

import msgspec

from auditor.model import JSON, Basis, Citation, ClaimVerdict, Outcome, Privacy, Resource, Severity
from auditor.notices import DISCLAIMER, PSEUDONYMOUS
from auditor.reconciliation import NotHeld, Reconciliation
from auditor.schemas import published

SCHEMA = "auditor/report/1"
RUN_FILES = (
    "policy",
    "plan.json",
    "evidence",
    "evidence.statement.json",
    "evidence.statement.tsr",
    "findings",
    "SHA256SUMS",
    "manifest.statement.json",
    "auditor.log",
)
"""What stands beside the reports of a run, and so can be no report's name."""


class Waiver(msgspec.Struct, frozen=True, kw_only=True):
    """The accepted exception that stands on a failing finding."""

    id: str
    approved_by: str
    expires: str


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """The outcome of one test for one subject. `id` is stable over runs: of claim, test, target and resource."""

    id: str
    claim: str
    test: str
    check: str
    target: str
    resource: Resource
    outcome: Outcome
    basis: Basis
    message: str
    severity: Severity
    advice: str = ""
    evidence: tuple[Citation, ...] = ()
    waiver: Waiver | None = None


class Counts(msgspec.Struct, kw_only=True):
    """How many findings ended how."""

    passed: int = msgspec.field(default=0, name="pass")
    fail: int = 0
    error: int = 0
    not_applicable: int = 0
    manual: int = 0
    waived: int = 0

    def add(self, outcome: Outcome, *, waived: bool = False) -> None:
        """Count one finding."""
        name = "passed" if outcome is Outcome.PASS else outcome.value
        setattr(self, name, getattr(self, name) + 1)
        self.waived += waived

    def merge(self, other: Counts) -> None:
        """Add another count to this one."""
        for name in self.__struct_fields__:
            setattr(self, name, getattr(self, name) + getattr(other, name))


class Procedure(msgspec.Struct, frozen=True, kw_only=True):
    """How a test was done, in words for the person who has to rely on it."""

    population_source: str
    extent: str
    proves: str
    cannot_prove: tuple[str, ...]
    second_source: str = ""
    no_second_source: str = ""


_OUTCOMES = {Outcome.FAIL: "fail", Outcome.ERROR: "could not be told", Outcome.MANUAL: "need evidence from elsewhere"}


class Examples(msgspec.Struct, frozen=True, kw_only=True):
    """The findings of one outcome in a test: how many there are, and the first that differ, in words."""

    outcome: Outcome
    count: int
    first: tuple[str, ...]

    @property
    def heading(self) -> str:
        """`5 fail`, `2 could not be told`."""
        return f"{self.count:,} {_OUTCOMES[self.outcome]}"

    @property
    def more(self) -> str:
        """`and 3 more`; nothing where all are named."""
        left = self.count - len(self.first)
        return f"and {left:,} more" if left else ""

    @property
    def reason(self) -> str:
        """All of it in one line."""
        return f"{self.heading}: {'; '.join(filter(None, [*self.first, self.more]))}"


class TestResult(msgspec.Struct, frozen=True, kw_only=True):
    """One test over all its targets. `tested` is the part of the population that came to pass or fail.

    `reconciled` holds every population that differs from what its second source counts, then the first of those that
    agree, then the first of those without a second source; `reconciled_more` is how many more agree, `uncounted_more`
    how many more have none (the first of them for the reason `uncounted_why`). `not_held` is every shard in which
    nothing came to be held against the second source.
    """

    __test__ = False  # pytest: this is a noun of auditing

    id: str
    check: str
    verdict: Outcome
    severity: Severity
    basis: Basis
    targets: tuple[str, ...]
    procedure: Procedure
    population: int
    tested: int
    counts: Counts
    reasons: tuple[str, ...] = ()
    examples: tuple[Examples, ...] = ()
    reconciled: tuple[Reconciliation, ...] = ()
    reconciled_more: int = 0
    uncounted_more: int = 0
    uncounted_why: str = ""
    not_held: tuple[NotHeld, ...] = ()

    @property
    def unreconciled(self) -> tuple[str, ...]:
        """What there is to say of the populations that `reconciled` does not show, each in one line."""
        method = self.procedure
        lines = [f"and {self.reconciled_more:,} more that agree"] if self.reconciled_more else []
        if self.uncounted_more:
            lines.append(f"and {self.uncounted_more:,} more without a second source, the first: {self.uncounted_why}")
        if method.second_source and not self.reconciled:
            lines.append(f"not held against the second source: {method.second_source}")
        lines += [one.words for one in self.not_held]
        if method.no_second_source:
            lines.append(f"no second source: {method.no_second_source}")
        return tuple(lines)

    @property
    def completeness(self) -> tuple[str, ...]:
        """What the populations were held against, and what they could not be held against: at least one line."""
        return (*(f"{row.where}: {row.words}" for row in self.reconciled), *self.unreconciled)


class Reference(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Where a statement was published."""

    title: str
    url: str = ""
    document: str = ""
    retrieved: str = ""


class Criterion(msgspec.Struct, frozen=True):
    """A Trust Services Criterion and how much a claim supports it."""

    id: str
    support: str


class ClaimResult(msgspec.Struct, frozen=True, kw_only=True):
    """One published statement and what the evidence says of it."""

    id: str
    statement: str
    source: Reference
    interpretation: str
    not_tested: tuple[str, ...]
    criteria: tuple[Criterion, ...]
    owner: str
    verdict: ClaimVerdict
    basis: Basis | None
    reasons: tuple[str, ...]
    tests: tuple[TestResult, ...]

    @property
    def other_reasons(self) -> tuple[str, ...]:
        """The reasons that no example of a test stands for: words nothing tests, what was deselected."""
        told = {f"{test.id}: {one.reason}" for test in self.tests for one in test.examples}
        return tuple(reason for reason in self.reasons if reason not in told)


class ScopeItem(msgspec.Struct, frozen=True, kw_only=True):
    """One task that was declared, whether it was reached (`error` says why not), and read to its end.

    `incomplete` says why what was reached was not read to its end; "" where it was, and where it was not reached.
    """

    target: str
    task: str
    reached: bool
    error: str = ""
    incomplete: str = ""

    @property
    def is_whole(self) -> bool:
        """Whether it was reached, and read to its end."""
        return self.reached and not self.incomplete

    @property
    def state(self) -> str:
        """How far it was reached, in words."""
        if not self.reached:
            return "not reached"
        return "not read to its end" if self.incomplete else "reached and read to its end"


class Tool(msgspec.Struct, frozen=True):
    """Which program made this."""

    name: str
    version: str


class PreviousRun(msgspec.Struct, frozen=True):
    """The run before this one in the same folder, by the digest of its manifest."""

    id: str
    manifest_sha256: str


class TimeStamp(msgspec.Struct, frozen=True, kw_only=True):
    """When a time-stamp authority saw the evidence statement, and which one; or why none did (`error`)."""

    at: dt.datetime | None = None
    authority: str = ""
    error: str = ""

    @property
    def words(self) -> str:
        """All of it in one line."""
        if self.at is None:
            return f"no time stamp: {self.error}"
        return f"time-stamped {self.at:%Y-%m-%d %H:%M:%S} UTC by {self.authority}"


class RunInfo(msgspec.Struct, frozen=True, kw_only=True):
    """The head of a report: what was run, when, and over what.

    `timestamp` is None where no time-stamp authority was to be asked. `privacy` says whether e-mail addresses are
    pseudonyms. `what_if` says how the judging differs from the run's own (other policies, another date): then these are
    no results of the run.
    """

    id: str
    sequence: int
    started_at: dt.datetime
    as_of: dt.datetime
    finished_at: dt.datetime
    tool: Tool
    organization: str
    policy_sha256: str
    evidence_sha256: str
    previous_run: PreviousRun | None
    scope: tuple[ScopeItem, ...]
    timestamp: TimeStamp | None = None
    privacy: Privacy = "plain"
    what_if: str = ""
    disclaimer: str = DISCLAIMER

    @property
    def privacy_note(self) -> str:
        """What must be known of the addresses in the findings; "" where they are as the systems gave them."""
        return PSEUDONYMOUS if self.privacy == "pseudonymous" else ""


class ClaimCounts(msgspec.Struct, kw_only=True):
    """How many claims ended how."""

    supported: int = 0
    supported_with_exceptions: int = 0
    refuted: int = 0
    unproven: int = 0


class Summary(msgspec.Struct, frozen=True, kw_only=True):
    """The run in figures."""

    claims: ClaimCounts
    findings: Counts
    population: int


class CriterionSupport(msgspec.Struct, frozen=True, kw_only=True):
    """Which claims bear on a criterion, and how much."""

    id: str
    support: str
    claims: tuple[str, ...]


class Registers(msgspec.Struct, frozen=True, kw_only=True):
    """What the claims rest on beside the tests: duties of customers and vendors, and the criteria touched."""

    cuecs: tuple[dict[str, JSON], ...] = ()
    subservice_organizations: tuple[dict[str, JSON], ...] = ()
    criteria: tuple[CriterionSupport, ...] = ()


class Head(msgspec.Struct, frozen=True, kw_only=True):
    """Everything of the report but its findings, which are streamed."""

    run: RunInfo
    summary: Summary
    claims: tuple[ClaimResult, ...]
    registers: Registers


class Document(msgspec.Struct, frozen=True, kw_only=True):
    """The whole of `report.json`, for its JSON Schema; it is written piece by piece, never held."""

    schema: str
    run: RunInfo
    summary: Summary
    claims: tuple[ClaimResult, ...]
    findings: tuple[Finding, ...]
    registers: Registers


class EvidenceItem(msgspec.Struct, frozen=True):
    """One answer, or one page of it: where it stands, and where it comes from, by what each fact is called."""

    file: str
    line: int
    facts: Mapping[str, str]


class RunView(Protocol):
    """What a report format may read."""

    @property
    def head(self) -> Head:
        """The run, its summary, claims and registers."""
        ...

    def findings(self) -> Iterator[Finding]:
        """Every finding, in the order of the run's files."""
        ...

    def fragment(self, citation: Citation) -> JSON:
        """The cited value, read out of the evidence; LookupError where it is not there."""
        ...

    def provenance(self, citation: Citation) -> Mapping[str, str]:
        """Where the cited answer comes from (of several lines, the first); nothing where it is no answer."""
        ...

    def items(self) -> Iterator[EvidenceItem]:
        """Every answer of the run and where it comes from, in the order of the run's files."""
        ...


class ReportFormat(msgspec.Struct, frozen=True, kw_only=True):
    """One way to write a report. `render` is given an open binary file and writes to it as it reads."""

    name: str
    filename: str
    summary: str
    render: Callable[[RunView, IO[bytes]], None]


def json_schema() -> dict[str, Any]:
    """Return the JSON Schema (2020-12) of `report.json`."""
    schema = msgspec.json.schema(Document)
    schema["$schema"] = "https://json-schema.org/draft/2020-12/schema"
    schema["$id"] = f"urn:{SCHEMA.replace('/', ':')}"
    plain: dict[str, Any] = published(schema)
    return plain
