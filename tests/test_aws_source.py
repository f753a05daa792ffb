"""What AWS may send, as bytes over HTTP: a refusal or a body that cannot be believed is an error, never a verdict."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from botocore.awsrequest import AWSPreparedRequest, AWSResponse
from botocore.exceptions import ReadTimeoutError

from auditor.evidence import Segment
from auditor.model import Outcome
from auditor.notebook import Questions, Recorder
from auditor.questions import Failure, Opening, Operation
from auditor.redact import Redactor
from auditor.sources.aws import SOURCE, connect
from auditor.sources.aws.target import AwsTarget
from auditor.sources.clock import utcnow
from tests import paging_aws_words as words
from tests.audit_fixture import REGION, SHORT_LIVED, account, asking, audit, canned, retry_at_once, sign_in
from tests.aws_malformed import (
    ABSENT,
    IDENTITY,
    KEY_ANSWER,
    LIFECYCLE,
    MALFORMED,
    NO_DEFAULT,
    PORTAL,
    READERS,
    WHOLE,
    XML,
)
from tests.paging_aws import Bucket, PagingAws, State


@pytest.fixture(autouse=True)
def _signed_in(monkeypatch: pytest.MonkeyPatch) -> None:
    sign_in(monkeypatch)
    retry_at_once(monkeypatch)


@pytest.fixture
def aws() -> Iterator[PagingAws]:
    """An account in which every test passes, of one volume and one bucket."""
    with PagingAws(account(buckets=[Bucket("exports", REGION, SHORT_LIVED, tags={"data": "export"})])) as server:
        yield server


def judged(aws: PagingAws, folder: Path, operation: str, **target: Any) -> str:
    """Audit; assert that nothing but errors came of it; return the message that names the operation."""
    test, name = READERS[operation]
    found = audit(aws, folder, test, **target)
    assert found.claims == {test: "unproven"}
    messages = [finding.message for finding in found.findings() if finding.outcome is Outcome.ERROR]
    assert [finding.outcome for finding in found.findings()] == [Outcome.ERROR] * len(messages)
    assert messages
    assert name in messages[0]
    return messages[0]


def test_without_a_fault_every_test_passes(aws: PagingAws, tmp_path: Path) -> None:
    """The positive control of all tests below."""
    found = audit(aws, tmp_path, "ebs", "expiry", "encryption")
    assert set(found.claims.values()) == {"supported"}
    assert {finding.outcome for finding in found.findings()} == {Outcome.PASS}


@pytest.mark.parametrize("fault", MALFORMED)
def test_what_cannot_be_believed_is_an_error_with_its_cause(aws: PagingAws, tmp_path: Path, fault: str) -> None:
    operation, status, body, message = MALFORMED[fault]
    aws.respond(operation, status, XML, body)
    found = judged(aws, tmp_path, operation)
    assert message in found
    assert "\n" not in found
    assert "internal" not in found


@pytest.mark.parametrize(
    ("operation", "absent", "test"),
    [
        ("GetBucketLifecycleConfiguration", ABSENT, "expiry"),
        ("GetBucketEncryption", NO_DEFAULT, "encryption"),
    ],
)
def test_what_s3_says_is_absent_is_a_fail(
    aws: PagingAws, tmp_path: Path, operation: str, absent: str, test: str
) -> None:
    """The positive control of all the absences that are not believed."""
    aws.respond(operation, 404, XML, absent)
    found = audit(aws, tmp_path, test)
    assert found.outcomes() == {"exports": Outcome.FAIL}
    (line,) = found.answers(READERS[operation][1])
    assert line["status"] == "absent"
    assert line["attempts"][0]["status"] == 404
    assert line["attempts"][0]["reason"] == absent.partition("<Code>")[2].partition("</Code>")[0]


def test_a_bucket_without_tags_is_out_of_scope(aws: PagingAws, tmp_path: Path) -> None:
    aws.state.buckets[0].tags = {}
    found = audit(aws, tmp_path, "expiry")
    assert found.outcomes()["exports"] is Outcome.NOT_APPLICABLE


@pytest.mark.parametrize("operation", READERS)
def test_half_a_body_is_an_error(aws: PagingAws, tmp_path: Path, operation: str) -> None:
    """Content-Length says more than comes; botocore does not compare the two."""
    bodies = {
        "DescribeRegions": words.regions([(REGION, "opted-in")]).body,
        "DescribeVolumes": WHOLE.encode(),
        "DescribeKey": KEY_ANSWER.encode(),
        "ListBuckets": words.buckets([("exports", REGION)], None, None).body,
        "GetBucketTagging": words.tagging({"data": "export"}).body,
        "GetBucketLifecycleConfiguration": LIFECYCLE.encode(),
        "GetBucketVersioning": words.versioning("Enabled").body,
        "GetBucketEncryption": words.encryption("AES256", None).body,
    }
    aws.respond(operation, 200, XML, bodies[operation], cut=True)
    assert "malformed: not " in judged(aws, tmp_path, operation)


@pytest.mark.parametrize("operation", ["DescribeVolumes", "DescribeKey", "GetBucketVersioning"])
def test_a_connection_that_ends_without_a_word_is_an_error(aws: PagingAws, tmp_path: Path, operation: str) -> None:
    aws.hang_up(operation)
    assert "ConnectionClosedError: Connection was closed" in judged(aws, tmp_path, operation, max_attempts=2)
    assert aws.calls[operation] == 2


@pytest.mark.parametrize("operation", ["DescribeKey", "GetBucketVersioning"])
def test_an_answer_that_does_not_come_in_time_is_an_error(
    aws: PagingAws, tmp_path: Path, operation: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("auditor.sources.aws.clients.READ_SECONDS", 1.5)
    aws.hold(operation)
    assert "timeout: Read timeout on endpoint URL" in judged(aws, tmp_path, operation)


def test_a_port_that_refuses_makes_every_question_an_error(tmp_path: Path) -> None:
    with PagingAws() as gone:
        pass
    found = audit(gone, tmp_path, "ebs", "expiry")
    assert set(found.claims.values()) == {"unproven"}
    assert {finding.outcome for finding in found.findings()} == {Outcome.ERROR}
    (line,) = found.answers("sts.get_caller_identity")
    assert line["error"]["code"] == "unreachable"
    assert line["attempts"][0]["reason"] == "EndpointConnectionError"
    assert "raw_sha256" not in line
    (regions,) = found.answers("ec2.describe_regions")
    assert regions["error"]["code"] == "identity"
    assert "attempts" not in regions


# Attempts


def attempts(ask: Callable[..., Any], operation: str, **params: Any) -> tuple[list[tuple[int, str]], Failure | None]:
    (reply,) = ask(operation, **params)
    return [(attempt.status, attempt.reason) for attempt in reply.attempts], reply.error


def test_the_last_answer_counts_and_every_attempt_is_noted(aws: PagingAws) -> None:
    """An answer to an earlier attempt says nothing of the last: a silence after a 503 is no malformed answer."""
    aws.respond("DescribeVolumes", 503, XML, PORTAL, times=1)
    aws.hang_up("DescribeVolumes", times=1)
    aws.respond("DescribeVolumes", 200, XML, PORTAL, times=1)
    aws.respond("DescribeVolumes", 500, XML, "", times=1)
    aws.hang_up("DescribeVolumes", times=1)
    with asking(aws, max_attempts=2) as ask:
        noted, error = attempts(ask, "ec2.describe_volumes")
        assert noted == [(503, "503"), (0, "ConnectionClosedError")]
        assert error is not None
        assert error.code == "ConnectionClosedError"
        noted, error = attempts(ask, "ec2.describe_volumes")  # malformed: no second attempt
        assert noted == [(200, "malformed")]
        (reply,) = ask("ec2.describe_volumes")
        assert [attempt.status for attempt in reply.attempts] == [500, 0]
        assert (reply.raw_sha256, reply.server_time) == ("", None)
        noted, error = attempts(ask, "ec2.describe_volumes")
        assert (noted, error) == ([(200, "")], None)


def test_an_error_in_an_answer_of_200_is_noted_as_what_it_was(aws: PagingAws) -> None:
    """S3 sends errors with status 200; botocore takes them for 500 and tries again."""
    aws.respond("GetBucketVersioning", 200, XML, "<Error><Code>InternalError</Code></Error>", times=1)
    with asking(aws, max_attempts=2) as ask:
        noted, error = attempts(ask, "s3.get_bucket_versioning", Bucket="exports")
    assert (noted, error) == ([(200, "InternalError"), (200, "")], None)


@pytest.mark.parametrize(
    ("date", "sent"),
    [
        ("Mon, 23 Nov 2026 10:00:00 GMT", "2026-11-23T10:00:00Z"),
        ("Mon, 23 Nov 2026 10:00:00 -0000", "2026-11-23T10:00:00Z"),
        ("Mon, 23 Nov 2026 10:00:00 +0200", "2026-11-23T08:00:00Z"),
        ("Fri, 31 Dec 9999 23:59:59 -1400", None),
        ("yesterday", None),
        ("", None),
    ],
)
def test_the_time_of_the_server_is_read_as_utc(
    aws: PagingAws, date: str, sent: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:

    def transport(request: AWSPreparedRequest) -> AWSResponse:
        return canned(request, 200, IDENTITY, {"Date": date} if date else {})

    with asking(aws, transport=transport) as ask:
        with monkeypatch.context() as here:
            here.setenv("TZ", "Asia/Tokyo")
            time.tzset()
            (reply,) = ask("sts.get_caller_identity")
        time.tzset()
    assert reply.status == "ok"
    assert msgspec.to_builtins(reply.server_time) == sent


def test_no_other_question_can_be_asked(aws: PagingAws) -> None:
    opening = Opening(shard="account", secret=lambda _: "x", conceal=lambda _: None, folder=Path())
    with (
        connect(AwsTarget(account_id="123456789012", endpoint_url=aws.url), opening) as connection,
        pytest.raises(TypeError, match=r"s3\.delete_bucket is no AWS operation"),
    ):
        list(connection.ask(Operation(name="s3.delete_bucket", summary=""), {}))


def test_a_timeout_of_the_transport_is_one_attempt(aws: PagingAws) -> None:
    """The seam that other tests put their faults into."""

    def transport(request: AWSPreparedRequest) -> AWSResponse:
        raise ReadTimeoutError(endpoint_url=request.url)

    with asking(aws, transport=transport, max_attempts=2) as ask:
        noted, error = attempts(ask, "sts.get_caller_identity")
    assert noted == [(0, "ReadTimeoutError")] * 2
    assert error is not None
    assert error.code == "timeout"


# Threads


def test_answers_of_eight_threads_are_in_order_and_not_mixed_up(tmp_path: Path) -> None:
    """200 buckets, every seventh refused, every fifth throttled once: each answer has its own attempts and body."""
    names = [f"bucket-{number:03}" for number in range(200)]
    buckets = [Bucket(name, ("eu-west-1", REGION)[n % 2], tags={"n": name}) for n, name in enumerate(names)]
    with PagingAws(State(buckets=buckets)) as aws:
        for name in names[::5]:
            aws.throttle("GetBucketTagging", only=name)
        for name in names[::7]:
            aws.deny("GetBucketTagging", only=name)
        target = AwsTarget(account_id="123456789012", endpoint_url=aws.url, max_attempts=3)
        opening = Opening(shard="account", secret=lambda _: "x", conceal=lambda _: None, folder=tmp_path)
        segment = Segment.create(
            tmp_path / "s.jsonl", task="t", shard="account", targets={"prod": {}}, tool="t", started_at=utcnow()
        )
        with connect(target, opening) as connection:
            recorder = Recorder(segment, connection, Redactor(), clock=utcnow, cancelled=threading.Event(), parallel=8)
            source = Questions(segment, "prod", SOURCE, recorder)
            where = [{"Bucket": bucket.name, "BucketRegion": bucket.region} for bucket in buckets]
            found = list(source.ask_each("s3.get_bucket_tagging", where))
        segment.close(complete=True, error="", at=utcnow())
        segment.release()
    for index, (name, got) in enumerate(zip(names, found, strict=True)):
        assert got.record.question.startswith(f"s3.get_bucket_tagging(Bucket={name},")
        assert got.readable is bool(index % 7)
        if got.readable:
            assert got.get("/TagSet/0/Value", str) == name
    lines = [msgspec.json.decode(line) for line in (tmp_path / "s.jsonl").read_bytes().splitlines()][1:-1]
    assert [line["params"]["Bucket"] for line in lines] == names
    for index, line in enumerate(lines):
        statuses = ([503] if index % 5 == 0 else []) + [200 if index % 7 else 403]
        assert [attempt["status"] for attempt in line["attempts"]] == statuses
    assert aws.calls == {"GetBucketTagging": 240}
