"""Finished runs as literals, for the tests of report formats."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

import msgspec

from auditor.model import JSON, Basis, Citation, ClaimVerdict, Outcome, Resource, Severity
from auditor.notices import FACTS
from auditor.results import (
    ClaimCounts,
    ClaimResult,
    Counts,
    Criterion,
    CriterionSupport,
    EvidenceItem,
    Finding,
    Head,
    PreviousRun,
    Procedure,
    Reference,
    Registers,
    RunInfo,
    ScopeItem,
    Summary,
    TestResult,
    Tool,
    Waiver,
)


class Stored:
    """A run held in memory, read as reports read one."""

    def __init__(
        self,
        head: Head,
        findings: Callable[[], Iterable[Finding]] | Iterable[Finding] = (),
        fragment: Callable[[Citation], JSON] = lambda _: None,
        items: Iterable[EvidenceItem] = (),
    ) -> None:
        self._items = tuple(items)
        self._head = head
        self._findings = findings
        self._fragment = fragment

    @property
    def head(self) -> Head:
        return self._head

    def findings(self) -> Iterator[Finding]:
        return iter(self._findings() if callable(self._findings) else self._findings)

    def fragment(self, citation: Citation) -> JSON:
        return self._fragment(citation)

    def provenance(self, citation: Citation) -> Mapping[str, str]:
        where = (citation.file, citation.lines[0])
        return next((item.facts for item in self._items if (item.file, item.line) == where), {})

    def items(self) -> Iterator[EvidenceItem]:
        return iter(self._items)


def population(counts: Counts) -> int:
    """Count what is in scope."""
    return counts.passed + counts.fail + counts.error + counts.manual


def a_test(name: str, verdict: Outcome = Outcome.PASS, **counts: int) -> TestResult:
    counted = Counts(
        passed=counts.get("passed", 0),
        fail=counts.get("fail", 0),
        error=counts.get("error", 0),
        manual=counts.get("manual", 0),
    )
    return TestResult(
        id=name,
        check="aws-ebs-volume-encryption",
        verdict=verdict,
        severity=Severity.HIGH,
        basis=Basis.CONFIGURATION,
        targets=("prod",),
        procedure=Procedure(
            population_source="every volume that is listed",
            extent="every member, not a sample",
            proves="blocks are encrypted",
            cannot_prove=("disks of other kinds", "the time before"),
        ),
        population=population(counted),
        tested=counted.passed + counted.fail,
        counts=counted,
    )


def a_claim(name: str, verdict: ClaimVerdict, *tests: TestResult, **changes: Any) -> ClaimResult:
    claim = ClaimResult(
        id=name,
        statement=f"the statement of {name}",
        source=Reference(title="Trust Center", url="https://example.com/trust", retrieved="2026-11-20"),
        interpretation=f"what {name} means",
        not_tested=(),
        criteria=(Criterion("CC6.1", "direct"),),
        owner="security@example.com",
        verdict=verdict,
        basis=Basis.CONFIGURATION if tests else None,
        reasons=(),
        tests=tests,
    )
    return msgspec.structs.replace(claim, **changes)


def a_head(*claims: ClaimResult, registers: Registers | None = None, **run: Any) -> Head:
    moment = dt.datetime(2026, 11, 23, 14, 19, 44, tzinfo=dt.UTC)
    info = RunInfo(
        id="20261123T141502Z-9f3a1c07",
        sequence=4,
        started_at=moment,
        as_of=moment,
        finished_at=moment,
        tool=Tool("auditor", "0.1"),
        organization="Explo",
        policy_sha256="a1" * 32,
        evidence_sha256="b2" * 32,
        previous_run=PreviousRun("20261122T141502Z-00000000", "c3" * 32),
        scope=(
            ScopeItem(target="prod", task="prod.us-east-1", reached=True),
            ScopeItem(target="prod", task="prod.eu-west-1", reached=False, error="timed out"),
        ),
    )
    tally = ClaimCounts()
    findings = Counts()
    for claim in claims:
        setattr(tally, claim.verdict.value, getattr(tally, claim.verdict.value) + 1)
        for test in claim.tests:
            findings.merge(test.counts)
    return Head(
        run=msgspec.structs.replace(info, **run),
        summary=Summary(claims=tally, findings=findings, population=population(findings)),
        claims=claims,
        registers=registers or Registers(),
    )


def a_finding(number: int, outcome: Outcome = Outcome.PASS, **changes: Any) -> Finding:
    finding = Finding(
        id=f"{number:016x}",
        claim="at-rest",
        test="volumes",
        check="aws-ebs-volume-encryption",
        target="prod",
        resource=Resource("aws.ec2.volume", f"vol-{number:08}", region="us-east-1"),
        outcome=outcome,
        basis=Basis.CONFIGURATION,
        message="is encrypted" if outcome is Outcome.PASS else "is not encrypted",
        severity=Severity.HIGH,
        evidence=(Citation("evidence/prod.us-east-1.jsonl", (7, 7), f"/Volumes/{number}/Encrypted"),),
    )
    return msgspec.structs.replace(finding, **changes)


def several() -> list[Finding]:
    """60 fails (one accepted), 2 errors, a manual and 140 passes of one test; 2 passes of another."""
    accepted = Waiver(id="W-1", approved_by="cto@example.com", expires="2027-01-31")
    return [
        *(a_finding(n, waiver=accepted if n == 0 else None) for n in range(140)),
        *(a_finding(1000 + n, Outcome.MANUAL) for n in range(1)),
        *(a_finding(2000 + n, Outcome.ERROR, message="AccessDenied") for n in range(2)),
        *(a_finding(3000 + n, Outcome.FAIL, waiver=accepted if n == 0 else None) for n in range(60)),
        a_finding(
            4000, claim="tls", test="versions", target="app-db", severity=Severity.CRITICAL, advice="Prefer 1.3."
        ),
        a_finding(4001, claim="tls", test="versions", target="app-db", severity=Severity.CRITICAL),
    ]


def an_item(line: int, file: str = "evidence/prod.us-east-1.jsonl") -> EvidenceItem:
    facts = {
        "System": "Amazon Web Services",
        "Account": "account 123456789012",
        "Asked as": "arn:aws:iam::123456789012:user/auditor",
        "Operation": "ec2.describe_volumes",
        "Parameters": '{"VolumeIds":["' + '","'.join(f"vol-{number:08}" for number in range(200)) + '"]}',
        "Page": f"{line - 5} of 9",
        "SHA-256 of the line": f"{line:064x}",
    }
    return EvidenceItem(file, line, {name: facts.get(name, f"{name} of line {line}") for name in FACTS})


def a_run() -> Stored:
    head = a_head(
        a_claim(
            "at-rest",
            ClaimVerdict.REFUTED,
            a_test("volumes", Outcome.FAIL, passed=140, fail=60, error=2, manual=1),
            reasons=("volumes: 60 fail",),
        ),
        a_claim("tls", ClaimVerdict.SUPPORTED, a_test("versions", passed=2)),
        a_claim("short", ClaimVerdict.UNPROVEN, not_tested=("short-lived",), reasons=("no test bears on this claim",)),
        a_claim("kdf", ClaimVerdict.SUPPORTED_WITH_EXCEPTIONS, a_test("digests", passed=1)),
        registers=Registers(
            cuecs=({"id": "rotate", "statement": "Rotate your password"},),
            criteria=(CriterionSupport(id="CC6.1", support="direct", claims=("at-rest", "tls")),),
        ),
    )
    return Stored(head, several(), lambda cite: {"Encrypted": False, "at": cite.pointer}, [an_item(7)])
