"""The credential report over real HTTP: what is polled, what is believed of it, and what it costs."""

from __future__ import annotations

import base64
import datetime as dt
import hashlib
import itertools
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from auditor.model import Outcome
from auditor.questions import Reply
from auditor.sources.aws.credential_report import WAITS
from auditor.sources.aws.operations import OPERATIONS
from tests import paging_aws_iam as iam
from tests import paging_aws_words as words
from tests.audit_fixture import asking, audit, retry_at_once, sign_in
from tests.aws_malformed import PORTAL, XML
from tests.fault_kinds import FAULTS
from tests.faults import HARNESSES
from tests.paging_aws import PagingAws
from tests.paging_aws_iam import ROOT, csv, report, state, user
from tests.paging_aws_words import Answer
from tests.test_never_false import Experiment
from tests.world_runs import Audited, environment

REPORT = "iam.get_credential_report"
GENERATE, GET = "GenerateCredentialReport", "GetCredentialReport"
HEADER, ADA = csv(ROOT).encode(), f"\n{user('ada')}".encode()


@pytest.fixture(autouse=True)
def _signed_in(monkeypatch: pytest.MonkeyPatch) -> None:
    sign_in(monkeypatch)
    retry_at_once(monkeypatch)


@pytest.fixture
def aws() -> Iterator[PagingAws]:
    """An account in which root and one console user have MFA."""
    with PagingAws() as server:
        yield server


def ask(aws: PagingAws, **target: Any) -> tuple[Reply, list[float]]:
    """Ask for the report; return the reply, and what was waited for between two attempts."""
    waits: list[float] = []
    with asking(aws, sleep=waits.append, **target) as question:
        (reply,) = question(REPORT)
    return reply, [wait for wait in waits if wait]


def noted(reply: Reply) -> list[tuple[int, str]]:
    return [(attempt.status, attempt.reason) for attempt in reply.attempts]


def say(aws: PagingAws, operation: str, *answers: Answer) -> None:
    """Give these answers first."""
    for answer in answers:
        aws.respond(operation, answer.status, answer.headers, answer.body, times=1)


def gone(code: str, status: int) -> Answer:
    return words.error(GET, status, code, "Unknown")


# Polling


def test_a_report_that_is_there_takes_two_calls(aws: PagingAws) -> None:
    reply, waits = ask(aws)
    assert (noted(reply), waits) == ([(200, ""), (200, "")], [])
    assert aws.calls == {GENERATE: 1, GET: 1}
    wire = report(aws.state.iam.report.encode(), aws.state.iam.generated).body
    assert reply.raw_sha256 == hashlib.sha256(wire).hexdigest()
    assert reply.server_time is not None


def test_the_report_is_kept_as_rows_by_column(aws: PagingAws) -> None:
    aws.state.iam.generated = dt.datetime(2026, 11, 23, 8, 9, 10, tzinfo=dt.UTC)
    reply, _ = ask(aws)
    assert reply.status == "ok"
    assert reply.body.keys() == {"GeneratedTime", "ReportFormat", "columns", "rows"}
    assert (reply.body["GeneratedTime"], reply.body["ReportFormat"]) == ("2026-11-23T08:09:10Z", "text/csv")
    assert reply.body["columns"] == iam.COLUMNS.split(",")
    assert [row["user"] for row in reply.body["rows"]] == ["<root_account>", "ada", "deploy"]
    assert reply.body["rows"][1] == dict(zip(iam.COLUMNS.split(","), user("people/ada").split(","), strict=True))


def test_a_report_that_is_not_ready_is_polled_and_every_poll_is_noted(aws: PagingAws) -> None:
    say(aws, GENERATE, state("STARTED"), state("INPROGRESS"), state("INPROGRESS"))
    reply, waits = ask(aws)
    assert reply.status == "ok"
    assert noted(reply) == [(200, "STARTED"), (200, "INPROGRESS"), (200, "INPROGRESS"), (200, ""), (200, "")]
    assert waits == list(WAITS[:3])
    assert aws.calls == {GENERATE: 4, GET: 1}
    assert reply.started_at <= reply.attempts[0].at <= reply.attempts[-1].at <= reply.ended_at


@pytest.mark.parametrize(
    ("code", "status"), [("ReportInProgress", 404), ("ReportNotPresent", 410), ("ReportExpired", 410)]
)
def test_a_report_that_went_away_in_between_is_generated_again(aws: PagingAws, code: str, status: int) -> None:
    say(aws, GET, gone(code, status))
    reply, waits = ask(aws)
    assert reply.status == "ok"
    assert noted(reply) == [(200, ""), (status, code), (200, ""), (200, "")]
    assert waits == list(WAITS[:1])


@pytest.mark.parametrize("word", ["STARTED", "INPROGRESS"])
def test_a_report_that_is_never_ready_is_an_error_within_two_minutes(aws: PagingAws, word: str) -> None:
    say(aws, GENERATE, *[state(word)] * 100)
    reply, waits = ask(aws)
    assert (sum(waits), max(waits)) == (120, 5)
    assert reply.status == "error"
    assert reply.body is None
    assert reply.error is not None
    assert reply.error.code == "timeout"
    assert reply.error.message == f"no report within 120 seconds: the last answer was {word}"
    assert noted(reply) == [(200, word)] * (len(WAITS) + 1)
    assert aws.calls == {GENERATE: len(WAITS) + 1}


def test_a_report_that_goes_away_each_time_is_an_error_too(aws: PagingAws) -> None:
    say(aws, GET, *[gone("ReportExpired", 410)] * 100)
    reply, waits = ask(aws)
    assert sum(waits) == 120
    assert reply.error is not None
    assert reply.error.message.endswith("the last answer was ReportExpired")
    assert aws.calls == {GENERATE: len(WAITS) + 1, GET: len(WAITS) + 1}


@pytest.mark.parametrize("word", ["complete", "DONE", "", "banana"])
def test_a_state_that_iam_does_not_have_is_malformed(aws: PagingAws, word: str) -> None:
    say(aws, GENERATE, state(word))
    reply, waits = ask(aws)
    assert reply.error is not None
    assert (reply.error.code, waits) == ("malformed", [])
    assert noted(reply) == [(200, "malformed")]
    assert aws.calls[GET] == 0


# Refusals


@pytest.mark.parametrize("operation", [GENERATE, GET])
def test_a_refusal_names_the_permission_of_the_call_that_was_refused(
    aws: PagingAws, tmp_path: Path, operation: str
) -> None:
    aws.deny(operation)
    found = audit(aws, tmp_path, "mfa")
    assert found.claims == {"mfa": "unproven"}
    (finding,) = found.findings()
    assert finding.outcome is Outcome.ERROR
    assert finding.message.startswith(f"population incomplete: {REPORT}(): AccessDenied")
    assert finding.message.endswith(f"(needs iam:{operation})")


def test_the_permissions_of_the_question_are_those_of_both_calls() -> None:
    assert OPERATIONS[REPORT].permissions == (f"iam:{GENERATE}", f"iam:{GET}")
    assert OPERATIONS["sts.get_caller_identity"].permissions == ()
    assert OPERATIONS["ec2.describe_volumes"].permissions == ("ec2:DescribeVolumes",)


@pytest.mark.parametrize("operation", [GENERATE, GET])
@pytest.mark.parametrize("body", ["", PORTAL, f"<{GENERATE}Response/>", f"<{GET}Response/>", "<a/>"])
def test_what_is_no_answer_to_the_call_is_malformed(aws: PagingAws, operation: str, body: str) -> None:
    aws.respond(operation, 200, XML, body)
    reply, _ = ask(aws)
    assert reply.error is not None
    assert reply.error.code == "malformed"
    assert noted(reply)[-1] == (200, "malformed")


@pytest.mark.parametrize("operation", [GENERATE, GET])
def test_one_call_is_no_answer_to_the_other(aws: PagingAws, operation: str) -> None:
    other = report(HEADER) if operation == GENERATE else state("COMPLETE")
    say(aws, operation, other)
    reply, _ = ask(aws)
    assert reply.error is not None
    assert f"malformed: expected <{operation}Response>" in f"{reply.error.code}: {reply.error.message}"


@pytest.mark.parametrize("operation", [GENERATE, GET])
def test_a_failure_of_iam_is_tried_again_and_noted(aws: PagingAws, operation: str) -> None:
    say(aws, operation, words.error(operation, 500, "ServiceFailure", "failed"))
    reply, _ = ask(aws, max_attempts=2)
    assert reply.status == "ok"
    assert (500, "ServiceFailure") in noted(reply)


# What is believed

BASE64 = base64.b64encode(HEADER + ADA).decode()
FOLDED = "\n".join(BASE64[start : start + 76] for start in range(0, len(BASE64), 76))


@pytest.mark.parametrize(
    "content",
    [
        HEADER + ADA,
        HEADER + ADA + b"\n",
        (HEADER + ADA).replace(b"\n", b"\r\n"),
        FOLDED,
        b"\n".join(line + b",more" for line in (HEADER + ADA).split(b"\n")),
        HEADER + f"\n{user('jörg')}".encode(),
        HEADER + b'\n"a,b","arn:aws:iam::123456789012:user/a,b",' + ADA.split(b",", 2)[2],
        HEADER.replace(b"arn:aws:", b"arn:aws-us-gov:") + ADA,
        HEADER + f"\n{user('a/very/deep/path/ada')}".encode(),
        HEADER + f"\n{user('Ada')}".encode() + ADA,
    ],
)
def test_what_iam_writes_is_believed(aws: PagingAws, content: bytes | str) -> None:
    say(aws, GET, report(content))
    reply, _ = ask(aws)
    assert reply.status == "ok", reply.error
    assert {len(row) for row in reply.body["rows"]} == {len(reply.body["columns"])}


def without(column: str) -> bytes:
    """The report with another name for a column."""
    return (HEADER + ADA).replace(f"{column},".encode(), b"x,", 1)


ELSEWHERE = "999999999999"
MALFORMED: dict[str, tuple[bytes | str, str]] = {
    "cut base64": (BASE64[:-3], "Content: is no base64"),
    "a word in the base64": (f"!{BASE64}", "Content: is no base64"),
    "base64 without padding": (base64.b64encode(HEADER).decode().rstrip("=") + "A", "Content: is no base64"),
    "bits that base64 does not use": ("dXNlcm==", "Content: is no base64"),
    "the alphabet of URLs": ("__-_", "Content: is no base64"),
    "nothing": (b"", "the report is empty"),
    "no UTF-8": (HEADER + b"\n\xff", "the report is not UTF-8"),
    "UTF-16": ((HEADER + ADA).decode().encode("utf-16"), "the report is not UTF-8"),
    "an open quotation": (HEADER + b'\n"ada', "the report is not CSV"),
    "a broken quotation": (HEADER + b'\n"a"da,b', "the report is not CSV"),
    "a web page": (PORTAL.encode(), "the report has no column user"),
    "a byte order mark": (b"\xef\xbb\xbf" + HEADER + ADA, "the report has no column user"),
    **{f"no {name}": (without(name), f"the report has no column {name}") for name in ("user", "arn", "mfa_active")},
    **{f"no {n}": (without(n), f"the report has no column {n}") for n in ("password_enabled", "access_key_2_active")},
    "a column twice": (
        without("user_creation_time").replace(b"x,", b"mfa_active,", 1),
        "the report has a column twice",
    ),
    "a field too few": (HEADER + ADA.rpartition(b",")[0], "row 2 of the report has 21 fields, its header 22"),
    "a field too many": (HEADER + ADA + b",", "row 2 of the report has 23 fields, its header 22"),
    "an empty line": (HEADER + b"\n" + ADA, "row 2 of the report has 0 fields, its header 22"),
    "a user twice": (HEADER + ADA + ADA, "row 3 of the report names a user for the second time"),
    "root twice": (HEADER + f"\n{ROOT}".encode(), "row 2 of the report names a user for the second time"),
    "no root": (csv(user("ada")).encode(), "the report has no row of the root user"),
    "a header only": (csv().encode(), "the report has no row of the root user"),
    "a user of another account": (
        csv(ROOT, user("ada", account=ELSEWHERE)).encode(),
        "row 2 of the report names no user of account 123456789012",
    ),
    "root of another account": (
        csv(ROOT.replace("123456789012", ELSEWHERE)).encode(),
        "row 1 of the report names no user of account 123456789012",
    ),
    "a role": (HEADER + ADA.replace(b":user/", b":role/"), "row 2 of the report names no user"),
    "another user's ARN": (HEADER + ADA.replace(b"user/ada", b"user/adam"), "row 2 of the report names no user"),
    "a user with root's ARN": (HEADER + ADA.replace(b"user/ada", b"root"), "row 2 of the report names no user"),
    "root with a user's ARN": (
        csv(ROOT.replace(":root,", ":user/<root_account>,")).encode(),
        "row 1 of the report names no user",
    ),
    "no name": (HEADER + ADA.replace(b"\nada,", b"\n,").replace(b"user/ada", b"user/"), "row 2 of the report names no"),
    "no ARN": (HEADER + ADA.replace(b"arn:aws:iam::123456789012:user/ada", b""), "row 2 of the report names no user"),
}


@pytest.mark.parametrize("fault", MALFORMED)
def test_what_is_no_report_of_this_account_is_malformed(aws: PagingAws, fault: str) -> None:
    content, message = MALFORMED[fault]
    say(aws, GET, report(content))
    reply, _ = ask(aws)
    assert reply.error is not None, reply.body
    assert reply.error.code == "malformed"
    assert message in reply.error.message
    assert reply.body is None
    assert noted(reply) == [(200, ""), (200, "malformed")]


def test_another_format_is_malformed(aws: PagingAws) -> None:
    say(aws, GET, report(HEADER, form="text/html"))
    reply, _ = ask(aws)
    assert reply.error is not None
    assert reply.error.message == "the report is not text/csv"


@pytest.mark.parametrize("moment", ["", "yesterday", "2026-11-23T08:09:10"])
def test_a_report_without_its_time_is_malformed(aws: PagingAws, moment: str) -> None:
    say(aws, GET, report(HEADER, moment))
    reply, _ = ask(aws)
    assert reply.error is not None
    assert "is no timestamp" in reply.error.message


# The standing test


def test_faults_reach_every_call_and_the_file_itself(healthy: Audited, tmp_path: Path) -> None:
    """What tests/test_never_false.py does to this question: a poll, the call that says it is ready, and the report."""
    experiment = Experiment(healthy, tmp_path)
    with environment(healthy.world.environment):
        harness = HARNESSES["aws"](experiment.context, "prod", "account")
        try:
            pieces = harness.record(OPERATIONS[REPORT], {})
            changed = {
                (piece, fault): harness.tampered(OPERATIONS[REPORT], {}, piece, fault)
                for piece, fault in itertools.product(range(pieces), FAULTS)
            }
        finally:
            harness.close()
    assert pieces == 3
    tried = {place: found[0] for place, found in changed.items() if found}
    assert {fault for piece, fault in tried if piece == 2} == set(FAULTS)
    assert {fault for piece, fault in tried if piece < 2} == set(FAULTS) - {"mistype_number"}
    assert {place for place, reply in tried.items() if reply.status == "ok"} == {(2, "mistype_word")}
    words_of_report = msgspec.json.encode(tried[2, "mistype_word"].body).decode()
    assert "banana" in words_of_report
    assert "true" not in words_of_report
