"""The demo worlds end to end: what the report says is compared with the truth, subject by subject."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections import Counter
from pathlib import Path

import jsonschema
import pytest

from auditor import keys
from auditor.model import Citation, ClaimVerdict, Outcome
from auditor.results import json_schema
from auditor.scope import reach
from auditor.stored import StoredRun
from tests.world_runs import ROOT, Audited

BOTH = pytest.mark.parametrize("name", ["healthy", "broken"])

UNASKED = {"postgres-password-kdf": {"sql.password_kdf"}}  # neither world has a role that may read the column itself

TOPICS = {
    "aws-ebs-volume-encryption": ("fail", "is not encrypted"),
    "aws-ebs-key-stability": ("fail", "was under arn:aws:kms:eu-west-1:123456789012:key/"),
    "aws-s3-object-expiry": ("fail", "no enabled rule for the whole prefix expires objects"),
    "postgres-tls": ("fail", "accepts TLSv1.0"),
    "postgres-client-certificate": ("fail", "lets a client without a certificate go on to authentication"),
    "github-mfa": ("fail", "member without MFA"),
    "heroku-mfa": ("fail", "team member without MFA"),
    "aws-iam-mfa": ("fail", "has a console password and no MFA"),
    "jwt-lifetime": ("fail", "has no exp: it never expires"),
    "jwt-expiry-enforced": ("fail", "the token once it was expired was accepted"),
    "postgres-password-kdf": ("fail", "260,000, less than 390,000"),
    "aws-s3-encryption": (
        "error",
        "needs s3:GetEncryptionConfiguration",
    ),  # where AWS is asked, all is encrypted
}
"""What every check finds in the broken world, and in which words: the right reason."""

NO_SOCKETS = """\
import os, sys
def refuse(event, arguments):
    if event.startswith("socket."):
        os.write(2, b"a socket was opened: " + event.encode())
        os._exit(97)
sys.addaudithook(refuse)
from auditor.cli import main
main()
"""


@pytest.fixture
def audited(name: str, request: pytest.FixtureRequest) -> Audited:
    found: Audited = request.getfixturevalue(name)
    return found


@BOTH
def test_the_report_says_of_every_subject_what_is_true(audited: Audited) -> None:
    """Both ways: nothing true is missing from the report, and nothing is in it that is not true."""
    tests = {test.id: test.check for _, test in audited.policy.tests()}
    truth: dict[tuple[str, str, str], str] = {}
    for test, check in tests.items():
        for line in audited.world.expected:
            if line.check == check:
                truth.setdefault((test, line.target, line.resource), line.outcome)
    for line in audited.world.expected:
        if line.check in tests:  # a line about one test alone goes before those about its check
            truth[line.check, line.target, line.resource] = line.outcome
    found = {(f.test, f.target, f.resource.id): f.outcome.value for f in audited.findings()}
    assert found == truth


def test_healthy_supports_every_claim(healthy: Audited) -> None:
    assert {claim.id: claim.verdict for claim in healthy.head.claims} == {
        claim.id: ClaimVerdict.SUPPORTED for claim in healthy.head.claims
    }
    outcomes = {finding.outcome for finding in healthy.findings()}
    assert outcomes == {Outcome.PASS, Outcome.NOT_APPLICABLE}


def test_broken_supports_no_claim(broken: Audited) -> None:
    """Several realistic faults for each check: none gets away with `supported`."""
    assert not [claim.id for claim in broken.head.claims if claim.verdict is ClaimVerdict.SUPPORTED]
    for check in {finding.check for finding in broken.findings()}:
        wrong = [f.resource.id for f in broken.findings() if f.check == check and f.outcome in ("fail", "error")]
        assert len(wrong) > 1, check


def test_each_topic_is_supported_in_healthy_and_not_in_broken_for_the_right_reason(
    healthy: Audited, broken: Audited
) -> None:
    assert TOPICS.keys() == healthy.plugins.checks.keys()
    for check, (verdict, words) in TOPICS.items():
        of_healthy = [claim for claim in healthy.head.claims if check in {test.check for test in claim.tests}]
        assert {claim.verdict for claim in of_healthy} == {ClaimVerdict.SUPPORTED}, check
        of_broken = [claim for claim in broken.head.claims if check in {test.check for test in claim.tests}]
        expected = ClaimVerdict.REFUTED if verdict == "fail" else ClaimVerdict.UNPROVEN
        assert {claim.verdict for claim in of_broken} == {expected}, check
        assert verdict in {test.verdict for claim in of_broken for test in claim.tests if test.check == check}
        assert [f for f in broken.findings() if (f.check, f.outcome) == (check, verdict) and words in f.message], check


@BOTH
def test_nothing_is_asked_that_no_check_declares(audited: Audited) -> None:
    """And, where all is well, no fewer questions than the check says a complete population takes at least."""
    checks = {test.id: audited.plugins.checks[test.check] for _, test in audited.policy.tests()}
    for reached in reach(audited.run / "evidence", audited.plan, audited.plugins.sources):
        path = audited.run / "evidence" / f"{reached.task.id}.jsonl"
        kind = audited.plugins.sources[audited.plan.target(reached.task.target).type]
        lines = map(json.loads, path.read_bytes().splitlines())
        first = [line for line in lines if line["kind"] == "answer" and line.get("page", {}).get("i", 1) == 1]
        asked = Counter((audited.plan.target(line["target"]).type, line["operation"]) for line in first)
        declared = [
            ((source, name), least)
            for test in reached.task.tests
            for source, operations in checks[test].sources.items()
            for name, least in operations.items()
        ]
        of_the_engine = {(kind.name, kind.identity), (kind.name, kind.fan_out)}
        assert asked.keys() <= {name for name, _ in declared} | of_the_engine, path
        if audited.world.name == "healthy":
            assert not [(name, least) for name, least in declared if asked[name] < least], path


def test_every_question_that_a_check_declares_is_asked_in_a_world(healthy: Audited, broken: Audited) -> None:
    """What nobody ever asks must not be in the permissions that people are told to grant."""
    asked: dict[str, set[str]] = {}
    for world in (healthy, broken):
        for path in (world.run / "evidence").glob("*.jsonl"):
            for line in map(json.loads, path.read_bytes().splitlines()):
                if line["kind"] == "answer":
                    asked.setdefault(world.plan.target(line["target"]).type, set()).add(line["operation"])
    for check in healthy.plugins.checks.values():
        for source, operations in check.sources.items():
            assert operations.keys() - asked[source] <= UNASKED.get(check.id, set()), check.id


@BOTH
def test_what_was_not_read_to_its_end_is_not_told_as_reached(audited: Audited) -> None:
    """A token that was refused, single sign-on, a certificate that does not verify: asked in vain is not reached."""
    cut: dict[str, str] = {}
    for path in (audited.run / "evidence").glob("*.jsonl"):
        close = json.loads(path.read_bytes().splitlines()[-1])
        cut |= {} if close["complete"] else {path.stem: close["error"]}
    assert {item.task: item.incomplete for item in audited.head.run.scope if item.incomplete} == cut
    assert not [item for item in audited.head.run.scope if item.task in cut and item.is_whole]
    if audited.world.name == "broken":
        assert "401: unauthorized" in cut["hosting-staging.main"]
        assert {"code-enterprise.main", "crm-db.main", "reports-db.main"} < cut.keys()
    else:
        assert not cut


@BOTH
def test_report_json_follows_its_published_schema(audited: Audited) -> None:
    document = json.loads((audited.run / "report.json").read_bytes())
    published = json.loads((ROOT / "auditor/reports/report.schema.json").read_bytes())
    assert published == json_schema(), "stale: write it again with `make schemas`"
    jsonschema.Draft202012Validator.check_schema(published)
    jsonschema.validate(document, published)
    with pytest.raises(jsonschema.ValidationError):  # the positive control of the schema itself
        jsonschema.validate({**document, "claims": [{"id": "no verdict"}]}, published)


@BOTH
def test_every_citation_leads_to_what_was_read(audited: Audited) -> None:
    """Each finding cites at least one line, and each cited pointer is there in that line."""
    stored = StoredRun(audited.head, audited.run / "evidence", audited.run / "findings")
    for finding in stored.findings():
        assert finding.evidence, finding
        for citation in finding.evidence:
            stored.fragment(citation)  # LookupError where it is not there
    with pytest.raises(LookupError):  # the positive control
        stored.fragment(Citation(citation.file, citation.lines, "/no/such/place"))


@BOTH
def test_sums_verify_with_the_ordinary_tool(audited: Audited) -> None:
    subprocess.run(["sha256sum", "--check", "--strict", "--quiet", "SHA256SUMS"], cwd=audited.run, check=True)


@BOTH
def test_evaluate_says_the_same_to_the_byte_and_opens_no_socket(audited: Audited, tmp_path: Path) -> None:
    again = tmp_path / "again"
    command = [sys.executable, "-c", NO_SOCKETS, "evaluate", str(audited.run), "-o", str(again), "--fail-on", "never"]
    subprocess.run(command, check=True, capture_output=True)
    stored = sorted((audited.run / "findings").iterdir())
    assert [path.name for path in stored] == sorted(path.name for path in (again / "findings").iterdir())
    for path in stored:
        assert path.read_bytes() == (again / "findings" / path.name).read_bytes()


def test_the_socket_guard_would_notice(tmp_path: Path, healthy: Audited) -> None:
    """The positive control of the test above: an audit does open sockets, and the guard says so."""
    arguments = [
        "run",
        "-c",
        str(healthy.world.config),
        "--policies",
        str(ROOT / "policies/explo"),
        "-o",
        str(tmp_path),
    ]
    result = subprocess.run([sys.executable, "-c", NO_SOCKETS, *arguments], capture_output=True, text=True, check=False)
    assert "a socket was opened" in result.stderr


def test_evaluate_refuses_evidence_that_was_touched(broken: Audited, tmp_path: Path) -> None:
    copy = tmp_path / "run"
    shutil.copytree(broken.run, copy)
    segment = next(path for path in (copy / "evidence").iterdir() if b'"ok"' in path.read_bytes())
    data = segment.read_bytes()
    segment.write_bytes(data.replace(b'"ok"', b'"OK"', 1))
    evaluate = [sys.executable, "-m", "auditor", "evaluate", str(copy), "--keys", str(broken.run.parent / keys.PUBLIC)]
    command = [*evaluate, "-o", str(tmp_path / "again")]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    assert result.returncode == 4
    assert segment.name in result.stderr
    segment.write_bytes(data)
    shutil.rmtree(tmp_path / "again", ignore_errors=True)
    assert subprocess.run(command, capture_output=True, check=False).returncode == 1
