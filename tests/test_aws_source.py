"""What AWS may send, as bytes over HTTP: a refusal or a body that cannot be believed is an error, never a verdict."""

from __future__ import annotations

import logging
import threading
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
from tests.audit_fixture import (
    KEY,
    REGION,
    SHORT_LIVED,
    Audited,
    account,
    asking,
    audit,
    retry_at_once,
    sign_in,
)
from tests.paging_aws import Bucket, PagingAws, State, Volume

XML = {"Content-Type": "text/xml"}
HTML = {"Content-Type": "text/html"}
PORTAL = "<html><head><title>Welcome</title></head><body>Please sign in to use the network</body></html>"
WHOLE = words.volumes(REGION, [vars(Volume("vol-1", kms_key_id=KEY))], None).body.decode()
KEY_ANSWER = words.key("123456789012", KEY, "CUSTOMER", "Enabled").body.decode()
LIFECYCLE = words.lifecycle(SHORT_LIVED).body.decode()
IDENTITY = words.caller_identity("123456789012", "auditor").body.decode()
ABSENT = "<Error><Code>NoSuchLifecycleConfiguration</Code><Message>none</Message></Error>"
NO_DEFAULT = "<Error><Code>ServerSideEncryptionConfigurationNotFoundError</Code><Message>none</Message></Error>"

# The tests that read an answer of each operation, and the operation's name in the evidence.
READERS = {
    "DescribeRegions": ("ebs", "ec2.describe_regions"),
    "DescribeVolumes": ("ebs", "ec2.describe_volumes"),
    "DescribeKey": ("ebs", "kms.describe_key"),
    "ListBuckets": ("expiry", "s3.list_buckets"),
    "GetBucketTagging": ("expiry", "s3.get_bucket_tagging"),
    "GetBucketLifecycleConfiguration": ("expiry", "s3.get_bucket_lifecycle_configuration"),
    "GetBucketVersioning": ("expiry", "s3.get_bucket_versioning"),
    "GetBucketEncryption": ("encryption", "s3.get_bucket_encryption"),
}


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


def without(text: str, part: str) -> str:
    assert part in text
    return text.replace(part, "")


def encrypted(text: str) -> str:
    assert "<encrypted>true</encrypted>" in WHOLE
    return WHOLE.replace("<encrypted>true</encrypted>", text)


def rule(text: str, instead_of: str) -> str:
    assert instead_of in LIFECYCLE
    return LIFECYCLE.replace(instead_of, text)


FILTER = "<Filter><Prefix>exports/</Prefix></Filter>"
Fault = tuple[str, int, str, str]  # operation, status, body, what the finding must say
MALFORMED: dict[str, Fault] = {
    **{
        f"encrypted {text}": ("DescribeVolumes", 200, encrypted(f"<encrypted>{text}</encrypted>"), "is no boolean")
        for text in ("banana", "TRUE", "1", "")
    },
    "encrypted twice": (
        "DescribeVolumes",
        200,
        encrypted("<encrypted>true</encrypted><encrypted>false</encrypted>"),
        "stands twice",
    ),
    "encrypted left out": ("DescribeVolumes", 200, encrypted(""), "/Volumes/0/Encrypted is missing"),
    "no volumeSet": (
        "DescribeVolumes",
        200,
        words.ec2("DescribeVolumes", "").body.decode(),
        "malformed: the answer has no /Volumes",
    ),
    "volumes in HTML": ("DescribeVolumes", 200, PORTAL, "expected <DescribeVolumesResponse>, got <html>"),
    "volumes of another root": (
        "DescribeVolumes",
        200,
        WHOLE.replace("DescribeVolumesResponse", "DescribeSnapshotsResponse"),
        "got <DescribeSnapshotsResponse>",
    ),
    "volumes empty": ("DescribeVolumes", 200, "", "malformed: not XML"),
    "volumes with a document type": (
        "DescribeVolumes",
        200,
        WHOLE.replace("<Describe", "<!DOCTYPE a><Describe", 1),
        "declares the document type a",
    ),
    "volumes with status 203": ("DescribeVolumes", 203, WHOLE, "HTTP 203 is no answer to DescribeVolumes"),
    "volumes with status 206": ("DescribeVolumes", 206, WHOLE, "HTTP 206 is no answer to DescribeVolumes"),
    "volumes with status 300": ("DescribeVolumes", 300, WHOLE, "HTTP 300 is no answer to DescribeVolumes"),
    "volumes with status 302": ("DescribeVolumes", 302, WHOLE, "302: "),
    "volumes refused, well-formed": ("DescribeVolumes", 403, WHOLE, "403: HTTP 403 Forbidden"),
    "volumes refused, empty": ("DescribeVolumes", 403, "", "403: HTTP 403 Forbidden"),
    "volumes refused in HTML": ("DescribeVolumes", 403, PORTAL, "(needs ec2:DescribeVolumes)"),
    "volumes: 500": ("DescribeVolumes", 500, "", "500: Internal Server Error"),
    "volumes: 503 in HTML": ("DescribeVolumes", 503, PORTAL, "503: Service Unavailable"),
    "regions in HTML": ("DescribeRegions", 200, PORTAL, "expected <DescribeRegionsResponse>, got <html>"),
    "no regionInfo": (
        "DescribeRegions",
        200,
        words.ec2("DescribeRegions", "").body.decode(),
        "the answer has no /Regions",
    ),
    "key not JSON": ("DescribeKey", 200, PORTAL, "malformed: not JSON"),
    "key empty": ("DescribeKey", 200, "", "malformed: not JSON"),
    "key in a list": ("DescribeKey", 200, f"[{KEY_ANSWER}]", "expected a JSON object"),
    "key without metadata": ("DescribeKey", 200, "{}", "the answer has no /KeyMetadata/KeyId"),
    "key metadata null": ("DescribeKey", 200, '{"KeyMetadata": null}', "the answer has no /KeyMetadata/KeyId"),
    "key state twice": (
        "DescribeKey",
        200,
        KEY_ANSWER.replace('"KeyState":', '"KeyState":"Disabled","KeyState":'),
        "a member stands twice",
    ),
    "key state unknown": ("DescribeKey", 200, KEY_ANSWER.replace('"Enabled"', '"Resting"'), "/KeyMetadata/KeyState"),
    "key state a number": ("DescribeKey", 200, KEY_ANSWER.replace('"Enabled"', "7"), "/KeyMetadata/KeyState"),
    "key date a word": ("DescribeKey", 200, KEY_ANSWER.replace("1767323045.0", '"soon"'), "malformed: the body cannot"),
    "key refused, empty": ("DescribeKey", 403, "", "403: HTTP 403 Forbidden"),
    "key refused in HTML": ("DescribeKey", 400, PORTAL, "400: "),
    "key with an odd type": ("DescribeKey", 400, '{"__type": 7}', "400: "),
    "buckets in HTML": ("ListBuckets", 200, PORTAL, "expected <ListAllMyBucketsResult>, got <html>"),
    "buckets empty": ("ListBuckets", 200, "", "malformed: not XML"),
    "no Buckets": ("ListBuckets", 200, words.s3("ListAllMyBucketsResult", "").body.decode(), "has no /Buckets"),
    "bucket without a region": (
        "ListBuckets",
        200,
        words.buckets([("exports", None)], None, None).body.decode(),
        "/Buckets/0/BucketRegion is missing",
    ),
    "tags in HTML": ("GetBucketTagging", 200, PORTAL, "expected <Tagging>, got <html>"),
    "no TagSet": ("GetBucketTagging", 200, words.s3("Tagging", "").body.decode(), "the answer has no /TagSet"),
    "tag without a value": (
        "GetBucketTagging",
        200,
        words.s3("Tagging", "<TagSet><Tag><Key>data</Key></Tag></TagSet>").body.decode(),
        "/TagSet/0/Value is missing",
    ),
    "unknown filter": (
        "GetBucketLifecycleConfiguration",
        200,
        rule("<Filter><NewThing/></Filter>", FILTER),
        "<NewThing> is unknown",
    ),
    "unknown member in And": (
        "GetBucketLifecycleConfiguration",
        200,
        rule("<Filter><And><Prefix>exports/</Prefix><NewThing/></And></Filter>", FILTER),
        "<NewThing> is unknown",
    ),
    "empty And": (
        "GetBucketLifecycleConfiguration",
        200,
        rule("<Filter><And/></Filter>", FILTER),
        "Filter/And: is empty",
    ),
    "days a word": (
        "GetBucketLifecycleConfiguration",
        200,
        rule("<Days>abc</Days>", "<Days>7</Days>"),
        "'abc' is no integer",
    ),
    "empty expiration": (
        "GetBucketLifecycleConfiguration",
        200,
        rule("<Expiration/>", "<Expiration><Days>7</Days></Expiration>"),
        "Rule/Expiration: is empty",
    ),
    "rule status unknown": (
        "GetBucketLifecycleConfiguration",
        200,
        rule("<Status>Paused</Status>", "<Status>Enabled</Status>"),
        "/Rules/0/Status",
    ),
    "no rules": (
        "GetBucketLifecycleConfiguration",
        200,
        words.s3("LifecycleConfiguration", "").body.decode(),
        "the answer has no /Rules",
    ),
    "lifecycle in HTML": ("GetBucketLifecycleConfiguration", 200, PORTAL, "expected <LifecycleConfiguration>"),
    "lifecycle empty": ("GetBucketLifecycleConfiguration", 200, "", "malformed: not XML"),
    "lifecycle: 404 in HTML": ("GetBucketLifecycleConfiguration", 404, PORTAL, "404: "),
    "lifecycle: 404 empty": ("GetBucketLifecycleConfiguration", 404, "", "404: Not Found"),
    "lifecycle absent with 200": ("GetBucketLifecycleConfiguration", 200, ABSENT, "not as AWS says it (HTTP 200)"),
    "lifecycle absent with 403": ("GetBucketLifecycleConfiguration", 403, ABSENT, "not as AWS says it (HTTP 403)"),
    "lifecycle absent with 500": ("GetBucketLifecycleConfiguration", 500, ABSENT, "not as AWS says it (HTTP 500)"),
    "lifecycle absent in a page": (
        "GetBucketLifecycleConfiguration",
        404,
        f"<html>{ABSENT}</html>",
        "not as AWS says it (HTTP 404)",
    ),
    "lifecycle absent with a document type": (
        "GetBucketLifecycleConfiguration",
        404,
        f"<!DOCTYPE a>{ABSENT}",
        "not as AWS says it (HTTP 404)",
    ),
    "two error codes": (
        "GetBucketLifecycleConfiguration",
        404,
        ABSENT.replace("<Message>", "<Code>AccessDenied</Code><Message>"),
        "404: ",
    ),
    "an error that is a text": ("GetBucketLifecycleConfiguration", 404, "<a><Error>none</Error></a>", "404: "),
    "no such bucket": (
        "GetBucketLifecycleConfiguration",
        404,
        ABSENT.replace("NoSuchLifecycleConfiguration", "NoSuchBucket"),
        "NoSuchBucket: none",
    ),
    "another thing absent": ("GetBucketLifecycleConfiguration", 404, NO_DEFAULT, "NotFoundError: none"),
    "lifecycle denied": (
        "GetBucketLifecycleConfiguration",
        403,
        ABSENT.replace("NoSuchLifecycleConfiguration", "AccessDenied"),
        "AccessDenied: none (needs s3:GetLifecycleConfiguration)",
    ),
    "lifecycle throttled": (
        "GetBucketLifecycleConfiguration",
        503,
        ABSENT.replace("NoSuchLifecycleConfiguration", "SlowDown"),
        "SlowDown: none",
    ),
    "versioning in HTML": ("GetBucketVersioning", 200, PORTAL, "expected <VersioningConfiguration>, got <html>"),
    "versioning empty": ("GetBucketVersioning", 200, "", "malformed: not XML"),
    "versioning misspelt": (
        "GetBucketVersioning",
        200,
        words.s3("VersioningConfiguration", "<State>Enabled</State>").body.decode(),
        "<State> is unknown",
    ),
    "versioning status empty": (
        "GetBucketVersioning",
        200,
        words.s3("VersioningConfiguration", "<Status/>").body.decode(),
        "/Status",
    ),
    "versioning refused, well-formed": (
        "GetBucketVersioning",
        403,
        words.versioning(None).body.decode(),
        "403: HTTP 403 Forbidden",
    ),
    "encryption absent with 403": ("GetBucketEncryption", 403, NO_DEFAULT, "not as AWS says it (HTTP 403)"),
    "encryption in HTML": ("GetBucketEncryption", 200, PORTAL, "expected <ServerSideEncryptionConfiguration>"),
    "encryption empty": ("GetBucketEncryption", 200, "", "malformed: not XML"),
    "encryption without a rule": (
        "GetBucketEncryption",
        200,
        words.s3("ServerSideEncryptionConfiguration", "").body.decode(),
        "the answer has no /ServerSideEncryptionConfiguration/Rules",
    ),
    "encryption without an algorithm": (
        "GetBucketEncryption",
        200,
        words.s3("ServerSideEncryptionConfiguration", "<Rule/>").body.decode(),
        "SSEAlgorithm is missing",
    ),
}


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
    monkeypatch.setattr("auditor.sources.aws.clients.READ_SECONDS", 0.4)
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
    ("date", "time"),
    [
        ("Mon, 23 Nov 2026 10:00:00 GMT", "2026-11-23T10:00:00Z"),
        ("Mon, 23 Nov 2026 10:00:00 -0000", "2026-11-23T10:00:00Z"),
        ("Mon, 23 Nov 2026 10:00:00 +0200", "2026-11-23T08:00:00Z"),
        ("Mon, 01 Jan 0001 00:00:00 +1400", None),
        ("yesterday", None),
        ("", None),
    ],
)
def test_the_time_of_the_server_is_read_as_utc(
    aws: PagingAws, date: str, time: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TZ", "Asia/Tokyo")

    def transport(request: AWSPreparedRequest) -> AWSResponse:
        return answer(request, 200, IDENTITY, {"Date": date} if date else {})

    with asking(aws, transport=transport) as ask:
        (reply,) = ask("sts.get_caller_identity")
    assert reply.status == "ok"
    assert msgspec.to_builtins(reply.server_time) == time


def test_a_long_message_is_cut_between_words(aws: PagingAws) -> None:
    """So that a secret in it is either whole, and masked, or not there."""
    aws.respond("DescribeKey", 400, XML, f'{{"__type": "X", "message": "{"word " * 500}{"secret" * 500}"}}')
    with asking(aws) as ask:
        (reply,) = ask("kms.describe_key", KeyId=KEY)
    assert reply.error.message == "word " * 199 + "…"


def test_no_other_question_can_be_asked(aws: PagingAws) -> None:
    opening = Opening(shard="account", secret=lambda _: "x", conceal=lambda _: None, folder=Path())
    with (
        connect(AwsTarget(account_id="123456789012", endpoint_url=aws.url), opening) as connection,
        pytest.raises(TypeError, match=r"s3\.delete_bucket is no AWS operation"),
    ):
        list(connection.ask(Operation(name="s3.delete_bucket", summary=""), {}))


# Other hosts, other questions


class _Raw:
    def __init__(self, body: bytes) -> None:
        self._body = body

    def stream(self) -> Iterator[bytes]:
        yield self._body


def answer(request: AWSPreparedRequest, status: int, body: str, headers: dict[str, str]) -> AWSResponse:
    return AWSResponse(request.url, status, headers, _Raw(body.encode()))


REDIRECT = words.redirect("eu-west-1", "exports")
MOVES: dict[str, tuple[int, str, dict[str, str]]] = {
    "permanent": (301, REDIRECT.body.decode(), REDIRECT.headers),
    "permanent, without a region": (301, REDIRECT.body.decode(), {}),
    "empty": (301, "", {}),
    "temporary": (307, REDIRECT.body.decode().replace("Permanent", "Temporary"), REDIRECT.headers),
    "found": (302, "", {"x-amz-bucket-region": "eu-west-1"}),
    "wrong signing region": (
        400,
        "<Error><Code>AuthorizationHeaderMalformed</Code><Message>m</Message><Region>eu-west-1</Region></Error>",
        {},
    ),
    "wrong location": (400, "<Error><Code>IllegalLocationConstraintException</Code><Message>m</Message></Error>", {}),
}


@pytest.mark.parametrize("move", MOVES)
def test_no_answer_makes_us_ask_anybody_else(aws: PagingAws, move: str) -> None:
    """Nobody is sent our signature, and no HeadBucket or second call is made: a bucket's region is in its listing."""
    status, body, headers = MOVES[move]
    with PagingAws() as decoy:
        aws.respond("GetBucketVersioning", status, {**headers, "Location": f"{decoy.url}/exports?versioning"}, body)
        with asking(aws, max_attempts=3) as ask:
            (reply,) = ask("s3.get_bucket_versioning", Bucket="exports", BucketRegion=REGION)
        assert decoy.requests == []
    assert reply.status == "error"
    assert len(reply.attempts) == 1
    assert [(call.operation, call.region) for call in aws.requests] == [("GetBucketVersioning", REGION)]


@pytest.mark.parametrize("move", MOVES)
def test_no_answer_makes_us_ask_another_host_of_amazon(aws: PagingAws, move: str) -> None:
    """Botocore's redirector would go to the host of the region that an answer names."""
    asked: list[str] = []

    def transport(request: AWSPreparedRequest) -> AWSResponse:
        asked.append(request.url)
        return answer(request, *MOVES[move])

    with asking(aws, transport=transport, endpoint_url=None) as ask:
        ask("s3.get_bucket_versioning", Bucket="exports", BucketRegion="eu-central-1")
    assert asked == ["https://exports.s3.eu-central-1.amazonaws.com/?versioning"]


def test_a_bucket_is_asked_in_its_own_region(aws: PagingAws) -> None:
    aws.state.buckets = [Bucket("exports", "eu-west-1")]
    with asking(aws) as ask:
        assert ask("s3.get_bucket_versioning", Bucket="exports", BucketRegion="eu-west-1")[0].status == "ok"
        assert ask("s3.get_bucket_versioning", Bucket="exports", BucketRegion=REGION)[0].error.code == (
            "PermanentRedirect"
        )
        assert ask("s3.get_bucket_versioning", Bucket="exports", BucketRegion="../x")[0].error.code == (
            "InvalidRegionError"
        )


def test_a_directory_bucket_makes_botocore_create_no_session(aws: PagingAws) -> None:
    """CreateSession has no row, so it must not be asked."""
    asked: list[str] = []
    with asking(aws, transport=lambda request: asked.append(request.url)) as ask:
        ask("s3.get_bucket_versioning", Bucket="a--use1-az4--x-s3", BucketRegion=REGION)
    assert asked == [f"{aws.url}/a--use1-az4--x-s3?versioning"]


def test_who_is_asked_stands_in_the_settings_alone(aws: PagingAws, monkeypatch: pytest.MonkeyPatch) -> None:
    """The environment cannot put another server in AWS's place, of which the evidence would say nothing."""
    monkeypatch.setenv("AWS_ENDPOINT_URL", aws.url)
    monkeypatch.setenv("AWS_ENDPOINT_URL_STS", aws.url)
    asked: list[str] = []

    def transport(request: AWSPreparedRequest) -> AWSResponse:
        asked.append(request.url)
        return answer(request, 200, IDENTITY, {})

    with asking(aws, transport=transport, endpoint_url=None) as ask:
        ask("sts.get_caller_identity")
    assert asked == ["https://sts.us-east-1.amazonaws.com/"]


def test_the_owner_of_every_bucket_is_checked(aws: PagingAws, tmp_path: Path) -> None:
    """A bucket of another account is refused by S3; every call about a bucket names the account."""
    found = audit(aws, tmp_path, "expiry", "encryption", "expiry-named", "encryption-named")
    assert set(found.claims.values()) == {"supported"}
    about = [call for call in aws.requests if call.operation.startswith("GetBucket")]
    assert {call.operation for call in about} == {name for name in READERS if name.startswith("GetBucket")}
    assert {call.expected_owner for call in about} == {"123456789012"}


# Who asks


def test_the_wrong_account_is_asked_nothing_else(aws: PagingAws, tmp_path: Path) -> None:
    aws.state.account_id = "999999999999"
    found = audit(aws, tmp_path, "ebs", "expiry")
    assert aws.calls == {"GetCallerIdentity": 1}
    assert set(found.claims.values()) == {"unproven"}
    assert {(finding.outcome, finding.message) for finding in found.findings()} == {
        (Outcome.ERROR, "wrong target: declared account 123456789012, but 999999999999 answered")
    }


IDENTITIES = {
    "denied": (403, "<ErrorResponse><Error><Code>AccessDenied</Code></Error></ErrorResponse>", "AccessDenied"),
    "expired": (
        403,
        "<ErrorResponse><Error><Code>ExpiredToken</Code><Message>The token is expired</Message></Error></ErrorResponse>",
        "ExpiredToken: The token is expired",
    ),
    "invalid": (
        403,
        "<ErrorResponse><Error><Code>InvalidClientTokenId</Code><Message>m</Message></Error></ErrorResponse>",
        "InvalidClientTokenId: m",
    ),
    "a portal": (200, PORTAL, "expected <GetCallerIdentityResponse>, got <html>"),
    "no account": (200, without(IDENTITY, "<Account>123456789012</Account>"), "the answer has no /Account"),
    "two accounts": (
        200,
        IDENTITY.replace("<Account>", "<Account>999999999999</Account><Account>", 1),
        "<Account> stands twice",
    ),
}


@pytest.mark.parametrize("identity", IDENTITIES)
def test_where_nobody_knows_who_asks_nothing_else_is_asked(aws: PagingAws, tmp_path: Path, identity: str) -> None:
    status, body, cause = IDENTITIES[identity]
    aws.respond("GetCallerIdentity", status, XML, body)
    found = audit(aws, tmp_path, "ebs", "expiry")
    assert aws.calls == {"GetCallerIdentity": 1}
    assert_unproved(found, cause)


def assert_unproved(found: Audited, cause: str) -> None:
    assert set(found.claims.values()) == {"unproven"}
    assert {finding.outcome for finding in found.findings()} == {Outcome.ERROR}
    for finding in found.findings():
        assert "who asks is not proved" in finding.message
        assert cause in finding.message


def test_missing_credentials_are_an_error(aws: PagingAws, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    found = audit(aws, tmp_path, "ebs", "expiry")
    assert aws.requests == []
    assert_unproved(found, "credentials: Unable to locate credentials")


def test_half_of_the_credentials_are_an_error(aws: PagingAws, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    found = audit(aws, tmp_path, "ebs", "expiry")
    assert aws.requests == []
    assert_unproved(found, "credentials: Partial credentials found in env")


def test_a_profile_that_is_not_there_is_an_error(
    aws: PagingAws, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_PROFILE", "nobody")
    assert_unproved(audit(aws, tmp_path, "ebs", "expiry"), "credentials: The config profile (nobody)")


ROLE: dict[str, Any] = {
    "role_arn": "arn:aws:iam::123456789012:role/auditor",
    "external_id": {"env": "EXTERNAL_ID"},
}


def test_the_role_is_assumed_and_then_used(aws: PagingAws, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EXTERNAL_ID", "external-id")
    found = audit(aws, tmp_path, "ebs", "expiry", **ROLE)
    assert set(found.claims.values()) == {"supported"}
    assumed = [call for call in aws.requests if call.operation == "AssumeRole"]
    assert len(assumed) == 2  # one for each segment
    for call in assumed:
        assert (call.access_key, call.session_token) == ("AKIAEXAMPLE", None)
        assert call.parameters == {
            "RoleArn": ROLE["role_arn"],
            "RoleSessionName": "auditor",
            "ExternalId": "external-id",
        }
    others = [call for call in aws.requests if call.operation != "AssumeRole"]
    assert {(call.access_key, call.session_token) for call in others} == {(words.ROLE_KEY, aws.state.role_token)}
    evidence = "".join(path.read_text() for path in (found.run / "evidence").iterdir())
    assert "assume_role" not in evidence.lower()
    assert words.ROLE_KEY not in evidence


def role_answer(part: str, instead: str) -> str:
    whole = words.assumed_role("role-SECRET-canary", "role-TOKEN-canary").body.decode()
    assert part in whole
    return whole.replace(part, instead, 1)


ROLES = {
    "denied": (
        403,
        "<ErrorResponse><Error><Code>AccessDenied</Code><Message>not you</Message></Error></ErrorResponse>",
        "AccessDenied: not you (needs sts:AssumeRole)",
    ),
    "a portal": (200, PORTAL, "malformed: expected <AssumeRoleResponse>, got <html>"),
    "cut": (200, role_answer("</SessionToken>", ""), "malformed: not XML"),
    "no token": (
        200,
        role_answer("<SessionToken>role-TOKEN-canary</SessionToken>", ""),
        "malformed: the answer has no /Credentials/SessionToken",
    ),
    "no date": (200, role_answer("2099-01-01T00:00:00Z", "soon"), "malformed: AssumeRoleResponse"),
    "two keys": (
        200,
        role_answer("<SecretAccessKey>", "<SecretAccessKey>x</SecretAccessKey><SecretAccessKey>"),
        "twice",
    ),
    "refused in what is not XML": (403, "role-SECRET-canary", "403: HTTP 403 Forbidden"),
}


@pytest.mark.parametrize("role", ROLES)
def test_a_role_that_cannot_be_assumed_makes_every_question_an_error(
    aws: PagingAws, tmp_path: Path, role: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """And nothing of what came back is quoted: it may hold the credentials."""
    caplog.set_level(logging.DEBUG)
    monkeypatch.setenv("EXTERNAL_ID", "external-id")
    status, body, cause = ROLES[role]
    aws.respond("AssumeRole", status, XML, body)
    found = audit(aws, tmp_path, "ebs", "expiry", **ROLE)
    assert aws.calls == {"AssumeRole": 1}
    assert_unproved(found, f"assume_role: {ROLE['role_arn']}: ")
    assert_unproved(found, cause)
    (line,) = found.answers("sts.get_caller_identity")
    assert [attempt["status"] for attempt in line["attempts"]] == [status]
    assert "raw_sha256" not in line
    written = "".join(path.read_text() for path in found.run.rglob("*") if path.is_file()) + caplog.text
    assert "canary" not in written


def test_an_external_id_that_is_not_set_is_an_error(aws: PagingAws, tmp_path: Path) -> None:
    assert_unproved(
        audit(aws, tmp_path, "ebs", "expiry", **ROLE), "secret: environment variable EXTERNAL_ID is not set"
    )
    assert aws.requests == []


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


def test_a_timeout_of_the_transport_is_one_attempt(aws: PagingAws) -> None:
    """The seam that other tests put their faults into."""

    def transport(request: AWSPreparedRequest) -> AWSResponse:
        raise ReadTimeoutError(endpoint_url=request.url)

    with asking(aws, transport=transport, max_attempts=2) as ask:
        noted, error = attempts(ask, "sts.get_caller_identity")
    assert noted == [(0, "ReadTimeoutError")] * 2
    assert error is not None
    assert error.code == "timeout"
