"""`report.junit.xml` as CI servers read it: by a strict checker, which refuses what they would."""

from __future__ import annotations

import io
import re
import tracemalloc
from typing import Any
from xml.etree import ElementTree as ET

import pytest

from auditor.model import ClaimVerdict, Outcome
from auditor.reports.junit import MOST_NAME, REPORT, xml_text
from auditor.results import Waiver
from tests import hostile
from tests.report_runs import Stored, a_claim, a_finding, a_head, a_run, a_test

CHILDREN = {
    "testsuites": {"testsuite"},
    "testsuite": {"properties", "testcase"},
    "testcase": {"failure", "error", "skipped", "system-out"},
    "properties": {"property"},
}
ATTRIBUTES = {
    "testsuites": {"name", "tests", "failures", "errors"},
    "testsuite": {"name", "tests", "failures", "errors", "skipped", "timestamp"},
    "testcase": {"classname", "name"},
    "property": {"name", "value"},
    "failure": {"type", "message"},
    "error": {"type", "message"},
    "skipped": {"type", "message"},
    "properties": set(),
    "system-out": set(),
}
"""What Jenkins' junit-10.xsd allows; of its optional attributes, those that are always written."""


def checked(data: bytes) -> ET.Element:
    """Parse a report; whatever its readers would stumble over is an error here."""
    root = ET.fromstring(data)  # noqa: S314 - our own bytes
    assert root.tag == "testsuites"
    for element in root.iter():
        assert element.attrib.keys() == ATTRIBUTES[element.tag], element.tag
        assert {child.tag for child in element} <= CHILDREN.get(element.tag, set()), element.tag
        if element.tag in CHILDREN:
            assert not (element.text or "").strip()
        assert not (element.tail or "").strip()
    whole = dict.fromkeys(("tests", "failures", "errors"), 0)
    for suite in root:
        cases = suite.findall("testcase")
        counts = {"tests": len(cases)}
        for tag, plural in (("failure", "failures"), ("error", "errors"), ("skipped", "skipped")):
            counts[plural] = len(suite.findall(f"testcase/{tag}"))
        assert {name: int(suite.attrib[name]) for name in counts} == counts, suite.get("name")
        assert all(len(case.findall("*")) <= 2 for case in cases), "a case ends in one way"
        for name in whole:
            whole[name] += counts[name]
    assert {name: int(root.attrib[name]) for name in whole} == whole
    return root


def rendered(run: Stored) -> bytes:
    out = io.BytesIO()
    REPORT.render(run, out)
    return out.getvalue()


def suites(run: Stored) -> dict[str, ET.Element]:
    return {suite.attrib["name"]: suite for suite in checked(rendered(run))}


def properties(suite: ET.Element) -> dict[str, str]:
    return {one.attrib["name"]: one.attrib["value"] for one in suite.findall("properties/property")}


def details(case: ET.Element) -> dict[str, str]:
    """Read what a case says of itself: `name: text`, a line each."""
    return dict(line.split(": ", 1) for line in (case.findtext("system-out") or "").split("\n"))


def test_suites_are_claims_and_cases_are_findings() -> None:
    found = suites(a_run())
    assert list(found) == ["at-rest", "tls", "short", "kdf"]
    counts = {
        name: [int(suite.attrib[key]) for key in ("tests", "failures", "errors")] for name, suite in found.items()
    }
    assert counts == {"at-rest": [204, 61, 3], "tls": [3, 0, 0], "short": [1, 0, 1], "kdf": [1, 0, 0]}
    assert found["tls"].attrib["timestamp"] == "2026-11-23T14:19:44Z"
    about = properties(found["tls"])
    assert (about["verdict"], about["criteria"]) == ("supported", "CC6.1 (direct)")
    assert "only the service auditor concludes" in about["disclaimer"]
    failed = next(case for case in found["at-rest"].findall("testcase") if "vol-00003001" in case.attrib["name"])
    assert failed.attrib["classname"] == "at-rest.volumes"
    assert details(failed)["outcome"] == "fail"
    assert details(failed)["evidence 1"] == "evidence/prod.us-east-1.jsonl:7-7 /Volumes/3001/Encrypted"
    failure = failed.find("failure")
    assert failure is not None
    assert failure.attrib == {"type": "fail", "message": "is not encrypted"}


def test_a_claim_without_findings_is_seen() -> None:
    (case,) = suites(a_run())["short"].findall("testcase")
    error = case.find("error")
    assert error is not None
    assert error.attrib["message"] == "the claim is unproven: the statement of short"
    assert "no test bears on this claim" in (error.text or "")


@pytest.mark.parametrize(
    ("outcome", "tag"),
    [
        (Outcome.PASS, None),
        (Outcome.FAIL, "failure"),
        (Outcome.ERROR, "error"),
        (Outcome.MANUAL, "error"),
        (Outcome.NOT_APPLICABLE, "skipped"),
    ],
)
def test_each_outcome_ends_its_case(outcome: Outcome, tag: str | None) -> None:
    run = Stored(a_head(a_claim("at-rest", ClaimVerdict.SUPPORTED)), [a_finding(1, outcome)])
    _, case = suites(run)["at-rest"].findall("testcase")
    assert [child.tag for child in case if child.tag != "system-out"] == ([tag] if tag else [])


@pytest.mark.parametrize(
    ("verdict", "tag"),
    [
        (ClaimVerdict.SUPPORTED, None),
        (ClaimVerdict.SUPPORTED_WITH_EXCEPTIONS, None),
        (ClaimVerdict.REFUTED, "failure"),
        (ClaimVerdict.UNPROVEN, "error"),
    ],
)
def test_each_verdict_ends_the_case_of_its_claim(verdict: ClaimVerdict, tag: str | None) -> None:
    (case,) = suites(Stored(a_head(a_claim("c", verdict))))["c"].findall("testcase")
    assert [child.tag for child in case if child.tag != "system-out"] == ([tag] if tag else [])


def test_an_accepted_fail_remains_a_failure_and_names_its_waiver() -> None:
    waiver = Waiver(id="W-1", approved_by="cto@example.com", expires="2027-01-31")
    run = Stored(a_head(a_claim("at-rest", ClaimVerdict.SUPPORTED)), [a_finding(1, Outcome.FAIL, waiver=waiver)])
    failure = suites(run)["at-rest"].find("testcase/failure")
    assert failure is not None
    assert failure.attrib["type"] == "waived"
    assert "accepted until 2027-01-31 by waiver W-1 of cto@example.com; it remains a fail" in failure.attrib["message"]


def test_findings_of_a_claim_stay_together_however_they_come() -> None:
    mixed = [a_finding(n, claim="at-rest" if n % 2 else "tls", message="m" * n) for n in range(200)]
    head = a_head(a_claim("tls", ClaimVerdict.SUPPORTED), a_claim("at-rest", ClaimVerdict.SUPPORTED))
    found = suites(Stored(head, mixed))
    for name, odd in (("tls", 0), ("at-rest", 1)):
        ids = [details(case)["finding"] for case in found[name].findall("testcase")[1:]]
        assert ids == [f"{n:016x}" for n in range(200) if n % 2 == odd]


def test_hostile_names_are_whole_but_short_in_headlines() -> None:
    root = checked(rendered(hostile.run()))
    names = {details(case).get("resource id") for case in root.iter("testcase")}
    assert {hostile.SCRIPT, hostile.LONG, hostile.MARKDOWN} <= names
    assert "nul\\u0000 \\u000b \\ufffe\\uffff \\ud800 ]]> <!-- --> <![CDATA[" in names
    for case in root.iter("testcase"):
        assert len(case.attrib["name"]) <= MOST_NAME
        assert "\n" not in case.attrib["name"]


@pytest.mark.parametrize("damage", ["\x00", "<b>", '"', "&", "\ufffe"])
def test_the_checker_refuses_what_is_not_escaped(monkeypatch: pytest.MonkeyPatch, damage: str) -> None:
    """The positive control: without our escaping, the same names do break the report."""
    finding = a_finding(1, Outcome.FAIL, message=f"x{damage}y")
    run = Stored(a_head(a_claim("at-rest", ClaimVerdict.SUPPORTED)), [finding])
    checked(rendered(run))
    monkeypatch.setattr("auditor.reports.junit.xml_text", str)
    with pytest.raises((ET.ParseError, AssertionError)):
        checked(rendered(run))


@pytest.mark.parametrize("wrong", [b'tests="3"', b'errors="9"', b'skipped="7"', b'extra="1"'])
def test_the_checker_refuses_wrong_counts_and_attributes(wrong: bytes) -> None:
    name = wrong.partition(b"=")[0]
    data = rendered(a_run())
    changed = (
        data.replace(b"<testcase ", b'<testcase extra="1" ', 1)
        if name == b"extra"
        else re.sub(b"(<testsuite .*?)" + name + b'="[0-9]+"', b"\\1" + wrong, data, count=1)
    )
    assert changed != data
    with pytest.raises(AssertionError):
        checked(changed)


def test_xml_text_keeps_what_may_stand() -> None:
    assert xml_text("é 語 😀 a-b") == "é 語 😀 a-b"
    assert xml_text("a\tb") == "a\\u0009b"


def test_findings_are_read_once_and_memory_does_not_grow_with_them() -> None:
    class Discard(io.RawIOBase):
        def writable(self) -> bool:
            return True

        def write(self, data: Any) -> int:
            return len(data)

    def peak(count: int) -> int:
        reads = 0

        def findings() -> Any:
            nonlocal reads
            reads += 1
            return (a_finding(n, Outcome.FAIL, message="m" * 500) for n in range(count))

        claim = a_claim("at-rest", ClaimVerdict.REFUTED, a_test("volumes", Outcome.FAIL, fail=count))
        tracemalloc.start()
        try:
            REPORT.render(Stored(a_head(claim), findings), io.BufferedWriter(Discard()))
            return tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
            assert reads == 1

    peak(10)
    assert peak(1_600) < 1.3 * peak(400)
