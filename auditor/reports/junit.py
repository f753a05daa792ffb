"""`report.junit.xml`: what every CI server shows as test results (JUnit XML).

There is no standard. This is what the junit-10.xsd of Jenkins' xUnit plug-in allows, the strictest reader in use:
`testsuites` > `testsuite` > `testcase` > `failure`, `error` or `skipped`; what else there is to say of a case is in its
`system-out`, for only suites may have properties. A suite is a claim, a case is a finding: fail is a failure, error and
manual ("cannot tell") are errors, not applicable is skipped. An accepted fail remains a failure and names its waiver.
Each suite begins with a case for the claim itself, so that one without findings is seen as well.

Findings come file by file, suites claim by claim, and a suite begins with its counts. So findings are read once, and
their cases wait in one temporary file; memory holds only where the cases of each claim stand in it.
"""

from __future__ import annotations

import re
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from typing import IO

import msgspec

from auditor.model import ClaimVerdict, Outcome
from auditor.results import ClaimResult, Finding, Head, ReportFormat, RunView
from auditor.wording import harmless

MOST_NAME = 300
"""Characters of a name or headline; the whole text stands in the body and in the output of the case."""
BLOCK = 1 << 16
_NOT_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""What XML 1.0 cannot hold, not even as a reference (its production 2, Char)."""
_ESCAPES = {ord("&"): "&amp;", ord("<"): "&lt;", ord(">"): "&gt;", ord('"'): "&quot;"}

RESULTS = {Outcome.FAIL: "failure", Outcome.ERROR: "error", Outcome.MANUAL: "error", Outcome.NOT_APPLICABLE: "skipped"}
CLAIM_RESULTS = {ClaimVerdict.REFUTED: "failure", ClaimVerdict.UNPROVEN: "error"}
"""What a case holds; a pass, and a claim that is supported, hold nothing."""


class _Totals(msgspec.Struct):
    tests: int = 0
    failure: int = 0
    error: int = 0
    skipped: int = 0

    def add(self, result: str) -> None:
        self.tests += 1
        if result:
            setattr(self, result, getattr(self, result) + 1)

    def attributes(self) -> dict[str, str]:
        return {"tests": str(self.tests), "failures": str(self.failure), "errors": str(self.error)}


class _Cases:
    """The cases of all findings in one temporary file, and which parts of it belong to which claim."""

    def __init__(self, handle: IO[bytes]) -> None:
        self._handle = handle
        self._end = 0
        self._last = ""
        self._parts: dict[str, list[tuple[int, int]]] = {}
        self.totals: dict[str, _Totals] = {}

    def add(self, claim: str, result: str, case: bytes) -> None:
        self._handle.write(case)
        parts = self._parts.setdefault(claim, [])
        if parts and claim == self._last:
            parts[-1] = (parts[-1][0], parts[-1][1] + len(case))
        else:
            parts.append((self._end, len(case)))
        self._last = claim
        self._end += len(case)
        self.totals.setdefault(claim, _Totals()).add(result)

    def of(self, claim: str) -> Iterator[bytes]:
        for start, length in self._parts.get(claim, ()):
            self._handle.seek(start)
            left = length
            while left and (block := self._handle.read(min(left, BLOCK))):
                left -= len(block)
                yield block


def render(run: RunView, out: IO[bytes]) -> None:
    """Write the suites, claim by claim."""
    head = run.head
    with tempfile.TemporaryFile() as handle:
        cases = _Cases(handle)
        for finding in run.findings():
            cases.add(finding.claim, RESULTS.get(finding.outcome, ""), _case_of_finding(finding).encode())
        for claim in head.claims:
            cases.totals.setdefault(claim.id, _Totals()).add(CLAIM_RESULTS.get(claim.verdict, ""))
        whole = _Totals()
        for claim in head.claims:
            for name in whole.__struct_fields__:
                setattr(whole, name, getattr(whole, name) + getattr(cases.totals[claim.id], name))
        what = "auditor, what-if" if head.run.what_if else "auditor"
        attributes = {"name": f"{what}: {head.run.organization}", **whole.attributes()}
        out.write(b'<?xml version="1.0" encoding="UTF-8"?>\n')
        out.write(_open("testsuites", attributes).encode() + b"\n")
        for claim in head.claims:
            _write_suite(out, head, claim, cases)
        out.write(b"</testsuites>\n")


def _write_suite(out: IO[bytes], head: Head, claim: ClaimResult, cases: _Cases) -> None:
    totals = cases.totals[claim.id]
    attributes = {
        "name": claim.id,
        **totals.attributes(),
        "skipped": str(totals.skipped),
        "timestamp": f"{head.run.as_of:%Y-%m-%dT%H:%M:%SZ}",
    }
    properties = {
        "statement": claim.statement,
        "interpretation": claim.interpretation,
        "not tested": "; ".join(claim.not_tested),
        "verdict": claim.verdict.value,
        "basis": claim.basis.value if claim.basis else "",
        "criteria": ", ".join(f"{criterion.id} ({criterion.support})" for criterion in claim.criteria),
        "owner": claim.owner,
        "run": head.run.id,
        "what if": head.run.what_if,
        "disclaimer": head.run.disclaimer,
        "privacy": head.run.privacy_note,
    }
    out.write((_open("testsuite", attributes) + "\n" + _properties(properties)).encode())
    out.write(_case_of_claim(claim).encode())
    out.writelines(cases.of(claim.id))
    out.write(b"</testsuite>\n")


def _case_of_claim(claim: ClaimResult) -> str:
    verdict = claim.verdict.value.replace("_", " ")
    result = CLAIM_RESULTS.get(claim.verdict, "")
    headline = f"the claim is {verdict}: {claim.statement}"
    body = _result(result, claim.verdict.value, headline, (headline, *claim.reasons))
    details = {"verdict": verdict}
    for test in claim.tests:
        details |= {f"completeness of {test.id} {number}": line for number, line in enumerate(test.completeness, 1)}
    return _case(f"{claim.id}.claim", f"the claim: {claim.statement}", details, body)


def _case_of_finding(finding: Finding) -> str:
    resource = finding.resource
    waiver = finding.waiver
    called = f" ({resource.name})" if resource.name else ""
    region = f" in {resource.region}" if resource.region else ""
    accepted = f"accepted until {waiver.expires} by waiver {waiver.id} of {waiver.approved_by}" if waiver else ""
    places = [f"{cite.file}:{cite.lines[0]}-{cite.lines[1]} {cite.pointer}".rstrip() for cite in finding.evidence]
    details = {
        "finding": finding.id,
        "outcome": finding.outcome.value,
        "check": finding.check,
        "target": finding.target,
        "resource type": resource.type,
        "resource id": resource.id,
        "resource name": resource.name,
        "region": resource.region,
        "severity": finding.severity.value,
        "basis": finding.basis.value,
        "advice": finding.advice,
        "waiver": accepted,
        **{f"evidence {number}": place for number, place in enumerate(places, 1)},
    }
    message = f"{finding.message} ({accepted}; it remains a fail)" if waiver else finding.message
    kind = "waived" if waiver else finding.outcome.value
    body = _result(RESULTS.get(finding.outcome, ""), kind, message, (message, *places))
    name = f"{finding.target}: {resource.type} {resource.id}{called}{region}"
    return _case(f"{finding.claim}.{finding.test}", name, details, body)


def _case(classname: str, name: str, details: Mapping[str, str], body: str) -> str:
    lines = "\n".join(f"{label}: {xml_text(text)}" for label, text in details.items() if text)
    begin = _open("testcase", {"classname": classname, "name": name})
    return f"{begin}\n{body}<system-out>{lines}</system-out>\n</testcase>\n"


def _result(tag: str, kind: str, message: str, lines: Iterable[str]) -> str:
    """Return the element that says how a case ended; nothing where it passed."""
    if not tag:
        return ""
    text = "\n".join(xml_text(line) for line in lines)
    return f"{_open(tag, {'type': kind, 'message': message})}{text}</{tag}>\n"


def _properties(properties: Mapping[str, str]) -> str:
    pairs = ((xml_text(name), xml_text(text)) for name, text in properties.items() if text)
    rows = "".join(f'<property name="{name}" value="{text}"/>\n' for name, text in pairs)
    return f"<properties>\n{rows}</properties>\n"


def _open(tag: str, attributes: Mapping[str, str]) -> str:
    pairs = (f'{name}="{xml_text(_cut(_visible(text)))}"' for name, text in attributes.items())
    return f"<{tag} {' '.join(pairs)}>"


def _cut(text: str) -> str:
    return text if len(text) <= MOST_NAME else text[: MOST_NAME - 1] + "…"


def xml_text(text: str) -> str:
    """Return text for an element or an attribute: what acts or cannot stand in XML is visible, the rest escaped."""
    return _visible(text).translate(_ESCAPES)


def _visible(text: str) -> str:
    return _NOT_XML.sub(lambda found: f"\\u{ord(found[0]):04x}", harmless(text))


REPORT = ReportFormat(
    name="junit", filename="report.junit.xml", summary="test results, for CI servers (JUnit XML)", render=render
)
