"""Who asks AWS, and who is asked: the declared account under the declared identity, and nobody else."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from botocore.awsrequest import AWSPreparedRequest, AWSResponse

from auditor.model import Outcome
from auditor.sources.aws.target import AwsTarget
from tests import paging_aws_words as words
from tests.audit_fixture import REGION, SHORT_LIVED, Audited, account, asking, audit, canned, retry_at_once, sign_in
from tests.aws_malformed import IDENTITY, PORTAL, READERS, XML
from tests.paging_aws import Bucket, PagingAws


@pytest.fixture(autouse=True)
def _signed_in(monkeypatch: pytest.MonkeyPatch) -> None:
    sign_in(monkeypatch)
    retry_at_once(monkeypatch)


@pytest.fixture
def aws() -> Iterator[PagingAws]:
    """An account in which every test passes, of one volume and one bucket."""
    with PagingAws(account(buckets=[Bucket("exports", REGION, SHORT_LIVED, tags={"data": "export"})])) as server:
        yield server


def without(text: str, part: str) -> str:
    assert part in text
    return text.replace(part, "")


# Other hosts, other questions


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
        return canned(request, *MOVES[move])

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
        return canned(request, 200, IDENTITY, {})

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
        "<ErrorResponse><Error><Code>ExpiredToken</Code><Message>It is expired</Message></Error></ErrorResponse>",
        "ExpiredToken: It is expired",
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


@pytest.mark.parametrize("role", [None, ROLE["role_arn"]])
def test_a_mistake_of_ours_is_no_answer_of_aws(aws: PagingAws, role: str | None) -> None:
    """It goes on to the recorder, which writes `internal` and keeps the traceback in the log."""

    def transport(_: AWSPreparedRequest) -> AWSResponse:
        raise ZeroDivisionError

    with asking(aws, transport=transport, role_arn=role) as ask, pytest.raises(ZeroDivisionError):
        ask("sts.get_caller_identity")


@pytest.mark.parametrize("url", ["http://127.0.0.1:1", "http://localhost:1", "http://[::1]:1", "https://example.com"])
def test_an_endpoint_is_encrypted_or_loopback(url: str) -> None:
    assert AwsTarget(account_id="123456789012", endpoint_url=url).endpoint_url == url
    with pytest.raises(ValueError, match="http:// is only for loopback"):
        AwsTarget(account_id="123456789012", endpoint_url="http://example.com")
