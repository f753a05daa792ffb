"""Whole audits of an AWS account: paging, regions, the number of calls, secrets, and the same again."""

from __future__ import annotations

import json
import logging
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from auditor.engine import Plugins, evaluate
from auditor.model import Outcome
from auditor.plugins import checks, reports, sources
from tests import paging_aws_words as words
from tests.audit_fixture import (
    KEY,
    REGION,
    SECRET,
    SHORT_LIVED,
    TESTS,
    account,
    audit,
    retry_at_once,
    sign_in,
)
from tests.paging_aws import Bucket, Key, PagingAws, Volume

NONE = {"path": "."}
"""Where no earlier run is."""
REGIONS = ("ap-south-1", "eu-west-1", REGION)
TOKEN = 'FwoGZXIvYXdzE//+"@=="token-für-alle'
EBS = ("ebs", "ebs-customer")


@pytest.fixture(autouse=True)
def _signed_in(monkeypatch: pytest.MonkeyPatch) -> None:
    sign_in(monkeypatch)


@pytest.fixture
def aws() -> Iterator[PagingAws]:
    """An account in which every test passes."""
    with PagingAws(account()) as server:
        yield server


def volumes(count: int, prefix: str = "vol", **parts: Any) -> list[Volume]:
    return [Volume(f"{prefix}-{number}", **{"kms_key_id": KEY, **parts}) for number in range(count)]


def pages(found: list[dict[str, Any]]) -> list[tuple[int, bool, int | None]]:
    return [(line["page"]["i"], line["page"]["last"], line.get("items")) for line in found]


# Paging


def test_every_volume_of_every_page_becomes_a_finding(aws: PagingAws, tmp_path: Path) -> None:
    aws.state.volumes = {REGION: volumes(1203)}
    aws.state.volumes[REGION][1202].encrypted = False  # the very last one
    found = audit(aws, tmp_path, "ebs")
    outcomes = found.outcomes()
    assert outcomes.keys() == {f"vol-{number}" for number in range(1203)}
    assert Counter(outcomes.values()) == {Outcome.PASS: 1202, Outcome.FAIL: 1}
    assert outcomes["vol-1202"] is Outcome.FAIL
    assert found.claims == {"ebs": "refuted"}
    assert found.head.claims[0].tests[0].population == 1203
    assert pages(found.answers("ec2.describe_volumes", REGION)) == [(1, False, 500), (2, False, 500), (3, True, 203)]
    assert aws.calls["DescribeVolumes"] == 3


def test_an_empty_page_is_not_the_last_one(aws: PagingAws, tmp_path: Path) -> None:
    aws.state.volumes = {REGION: volumes(7)}
    aws.page_size = 5
    aws.empty_page("DescribeVolumes", times=2)
    found = audit(aws, tmp_path, "ebs")
    assert len(found.findings()) == 7
    assert found.claims == {"ebs": "supported"}
    lines = found.answers("ec2.describe_volumes", REGION)
    assert pages(lines) == [(1, False, 0), (2, False, 0), (3, False, 5), (4, True, 2)]


def test_a_token_that_repeats_ends_the_listing_as_an_error(aws: PagingAws, tmp_path: Path) -> None:
    aws.state.volumes = {REGION: volumes(7)}
    aws.page_size = 5
    aws.repeat_token("DescribeVolumes")
    found = audit(aws, tmp_path, "ebs")
    assert aws.calls["DescribeVolumes"] == 2
    assert found.claims == {"ebs": "unproven"}
    message = found.message(f"prod.{REGION}")
    assert message.startswith("population incomplete: ec2.describe_volumes")
    assert "a page token was given twice" in message
    assert pages(found.answers("ec2.describe_volumes", REGION)) == [(1, False, 5), (2, True, None)]


def test_tokens_that_go_in_a_circle_end_as_well(aws: PagingAws, tmp_path: Path) -> None:
    for token in ("a", "b", "a"):
        aws.respond("DescribeVolumes", 200, None, words.volumes(REGION, [], token).body, times=1)
    found = audit(aws, tmp_path, "ebs")
    assert aws.calls["DescribeVolumes"] == 3
    assert found.claims == {"ebs": "unproven"}


def test_a_page_that_fails_leaves_the_findings_before_it(aws: PagingAws, tmp_path: Path) -> None:
    """What was seen stays, what was not is one error, and nothing is invented."""
    aws.state.volumes = {REGION: volumes(12)}
    aws.page_size = 5
    first = [vars(volume) for volume in volumes(5)]
    aws.respond("DescribeVolumes", 200, None, words.volumes(REGION, first, "next").body, times=1)
    aws.respond("DescribeVolumes", 500, None, "<Response/>")
    found = audit(aws, tmp_path, "ebs")
    outcomes = found.outcomes()
    assert outcomes.pop(f"prod.{REGION}") is Outcome.ERROR
    assert outcomes == {f"vol-{number}": Outcome.PASS for number in range(5)}
    assert found.message(f"prod.{REGION}").startswith("population incomplete: ec2.describe_volumes(): 500")
    assert found.claims == {"ebs": "unproven"}
    assert pages(found.answers("ec2.describe_volumes", REGION)) == [(1, False, 5), (2, True, None)]


def test_a_fail_that_was_seen_stays_where_a_later_page_fails(aws: PagingAws, tmp_path: Path) -> None:
    first = [vars(volume) for volume in [*volumes(4), Volume("vol-open", encrypted=False)]]
    aws.respond("DescribeVolumes", 200, None, words.volumes(REGION, first, "next").body, times=1)
    aws.deny("DescribeVolumes")
    found = audit(aws, tmp_path, "ebs")
    assert Counter(found.outcomes().values()) == {Outcome.PASS: 4, Outcome.FAIL: 1, Outcome.ERROR: 1}
    assert found.claims == {"ebs": "refuted"}


def test_a_volume_that_two_pages_list_is_counted_once(aws: PagingAws, tmp_path: Path) -> None:
    first, second = ([vars(volume) for volume in volumes(count)] for count in (3, 5))
    aws.respond("DescribeVolumes", 200, None, words.volumes(REGION, first, "next").body, times=1)
    aws.respond("DescribeVolumes", 200, None, words.volumes(REGION, second, None).body, times=1)
    found = audit(aws, tmp_path, "ebs")
    assert len(found.findings()) == found.head.summary.population == 5


def test_buckets_come_in_pages_too(aws: PagingAws, tmp_path: Path) -> None:
    aws.state.buckets = [Bucket(f"bucket-{number:03}", REGION) for number in range(25)]
    aws.state.buckets[24] = Bucket("exports", "eu-west-1", SHORT_LIVED, tags={"data": "export"})
    aws.page_size = 10
    found = audit(aws, tmp_path, "expiry")
    assert pages(found.answers("s3.list_buckets")) == [(1, False, 10), (2, False, 10), (3, True, 5)]
    assert Counter(found.outcomes().values()) == {Outcome.NOT_APPLICABLE: 24, Outcome.PASS: 1}
    asked = [call.parameters for call in aws.requests if call.operation == "ListBuckets"]
    assert [parameters["max-buckets"] for parameters in asked] == ["1000"] * 3
    assert ["continuation-token" in parameters for parameters in asked] == [False, True, True]


@pytest.mark.parametrize("test", ["expiry", "expiry-named"])
def test_a_page_of_buckets_that_fails_leaves_the_findings_before_it(aws: PagingAws, tmp_path: Path, test: str) -> None:
    aws.state.buckets = [Bucket("exports", REGION, SHORT_LIVED, tags={"data": "export"})]
    first = words.buckets([("exports", REGION), ("exports-2", REGION)], "next", None)
    aws.state.buckets.append(Bucket("exports-2", REGION))
    aws.respond("ListBuckets", 200, None, first.body, times=1)
    aws.deny("ListBuckets")
    found = audit(aws, tmp_path, test)
    assert found.outcomes() == {
        "exports": Outcome.PASS,
        "exports-2": Outcome.NOT_APPLICABLE,
        "prod": Outcome.ERROR,
    }
    assert found.message("prod").startswith("population incomplete: s3.list_buckets(): AccessDenied")
    assert found.claims == {test: "unproven"}


# Calls


def test_the_calls_are_exactly_those_the_facts_need(aws: PagingAws, tmp_path: Path) -> None:
    """Two tests over 1,503 volumes in three regions: pages, and keys, are asked for once."""
    keys = [f"arn:aws:kms:{region}:123456789012:key/{number}" for region in REGIONS for number in range(2)]
    aws.state.keys = [Key(key) for key in keys]
    aws.state.volumes = {
        region: [Volume(f"vol-{region}-{n}", kms_key_id=keys[2 * place + n % 2]) for n in range(501)]
        for place, region in enumerate(REGIONS)
    }
    found = audit(aws, tmp_path, *EBS)
    assert len(found.findings()) == 2 * 1503
    assert set(found.claims.values()) == {"supported"}
    assert aws.calls == {
        "GetCallerIdentity": 4,
        "DescribeRegions": 1,
        "DescribeVolumes": 6,
        "DescribeKey": 6,
        "DescribeConfigurationRecorders": 3,
    }
    asked = Counter((call.region, call.of) for call in aws.requests if call.operation == "DescribeKey")
    assert asked == Counter((key.split(":")[3], key) for key in keys)


def test_buckets_are_asked_only_for_what_their_tests_need(aws: PagingAws, tmp_path: Path) -> None:
    """Tags once for each bucket, whatever the tests; the rest once for each bucket that is in scope."""
    aws.state.buckets = [Bucket(f"b-{number}", REGIONS[number % 3]) for number in range(30)]
    for number in (3, 7):
        aws.state.buckets[number].tags = {"data": "export"}
        aws.state.buckets[number].lifecycle = SHORT_LIVED
    found = audit(aws, tmp_path, "expiry", "encryption")
    assert set(found.claims.values()) == {"supported"}
    assert aws.calls == {
        "GetCallerIdentity": 1,
        "ListBuckets": 1,
        "GetBucketTagging": 30,
        "GetBucketLifecycleConfiguration": 2,
        "GetBucketVersioning": 2,
        "GetBucketEncryption": 2,
    }
    asked = [call for call in aws.requests if call.operation.startswith("GetBucket")]
    assert {call.expected_owner for call in asked} == {"123456789012"}
    assert {call.of: call.region for call in asked} == {bucket.name: bucket.region for bucket in aws.state.buckets}


def test_named_buckets_need_no_tags(aws: PagingAws, tmp_path: Path) -> None:
    audit(aws, tmp_path, "expiry-named", "encryption-named")
    assert aws.calls == {
        "GetCallerIdentity": 1,
        "ListBuckets": 1,
        "GetBucketLifecycleConfiguration": 1,
        "GetBucketVersioning": 1,
        "GetBucketEncryption": 1,
    }


def test_evaluate_asks_nothing(aws: PagingAws, tmp_path: Path) -> None:
    found = audit(aws, tmp_path, *TESTS, past=NONE)
    before = aws.calls
    plugins = Plugins(checks(), sources(), reports())
    head = evaluate(found.run, tmp_path / "again", plugins, ("json",), None, allow_unsigned=True)
    assert aws.calls == before
    assert head.claims == found.head.claims


# Throttling

THROTTLED = [
    ("DescribeVolumes", "ec2.describe_volumes", REGION, "ebs", (503, "RequestLimitExceeded")),
    ("DescribeKey", "kms.describe_key", REGION, "ebs", (400, "ThrottlingException")),
    ("ListBuckets", "s3.list_buckets", "account", "expiry", (503, "SlowDown")),
    ("GetBucketTagging", "s3.get_bucket_tagging", "account", "expiry", (503, "SlowDown")),
    ("GetBucketVersioning", "s3.get_bucket_versioning", "account", "expiry", (503, "SlowDown")),
]


@pytest.mark.parametrize(("api", "operation", "shard", "test", "refusal"), THROTTLED)
def test_throttling_is_waited_for_and_every_attempt_is_evidence(
    aws: PagingAws,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    api: str,
    operation: str,
    shard: str,
    test: str,
    refusal: tuple[int, str],
) -> None:
    retry_at_once(monkeypatch)
    del aws.state.buckets[1:]
    aws.throttle(api, times=2)
    found = audit(aws, tmp_path, test, max_attempts=3)
    assert found.claims == {test: "supported"}
    (line,) = found.answers(operation, shard)
    attempts = [(attempt["status"], attempt.get("reason", "")) for attempt in line["attempts"]]
    assert attempts == [refusal, refusal, (200, "")]
    assert aws.calls[api] == 3


@pytest.mark.parametrize(("api", "operation", "shard", "test", "refusal"), THROTTLED)
def test_throttled_out_is_an_error_that_names_the_cause(
    aws: PagingAws,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    api: str,
    operation: str,
    shard: str,
    test: str,
    refusal: tuple[int, str],
) -> None:
    retry_at_once(monkeypatch)
    del aws.state.buckets[1:]
    aws.throttle(api, times=3)
    found = audit(aws, tmp_path, test, max_attempts=3)
    assert found.claims == {test: "unproven"}
    (finding,) = found.findings()
    assert finding.outcome is Outcome.ERROR
    assert operation in finding.message
    assert f"{refusal[1]}: " in finding.message
    (line,) = found.answers(operation, shard)
    assert [(attempt["status"], attempt["reason"]) for attempt in line["attempts"]] == [refusal] * 3
    assert aws.calls[api] == 3


# Secrets


def test_no_secret_is_in_any_file_or_log(
    aws: PagingAws, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Not even where the system sends them back; and not in what the libraries log, masked or not."""
    caplog.set_level(logging.DEBUG)
    sign_in(monkeypatch, token=TOKEN)
    monkeypatch.setenv("EXTERNAL_ID", "external/id+canary")
    aws.state.role_secret, aws.state.role_token = 'role/SECRET+"@key-größe', 'role/TOKEN+"@value-größe'
    secrets = [SECRET, TOKEN, "external/id+canary", aws.state.role_secret, aws.state.role_token]
    echoed = " and ".join(secrets)
    aws.state.buckets[1].tags["echo"] = echoed
    aws.respond(
        "GetBucketEncryption", 403, None, f"<Error><Code>AccessDenied</Code><Message>{echoed}</Message></Error>"
    )
    role: dict[str, Any] = {"role_arn": "arn:aws:iam::123456789012:role/auditor", "external_id": {"env": "EXTERNAL_ID"}}
    found = audit(aws, tmp_path, *TESTS, past=NONE, **role)
    assert "[redacted]" in found.message("exports", "encryption")
    assert found.answers("s3.get_bucket_tagging")[1]["redacted"]
    places = {str(path): path.read_bytes().decode() for path in tmp_path.rglob("*") if path.is_file()}
    assert len(places) > 5
    places["the log"] = "\n".join(f"{record.getMessage()} {record.exc_info}" for record in caplog.records)
    assert "urllib3" in {record.name.partition(".")[0] for record in caplog.records}  # the log was on
    for secret in secrets:
        quoted = [json.dumps(secret, ensure_ascii=ascii_only)[1:-1] for ascii_only in (True, False)]
        for form in (secret, *quoted, secret.encode().hex(), repr(secret.encode())[2:-1]):
            for place, text in places.items():
                assert form not in text, place


# Again

VOLATILE = re.compile(
    r'"(prev|started_at|ended_at|server_time|at|closed_at)":"[^"]*",?|"raw_sha256":"[^"]*",?|127\.0\.0\.1:[0-9]+'
    r'|"(NextToken|ContinuationToken)":"[^"]*",?'
)


def test_two_runs_over_the_same_account_write_the_same_evidence(tmp_path: Path) -> None:
    """Whatever the threads did: after removing times, ports and tokens, and the digests of bodies that hold them."""
    segments: list[dict[str, str]] = []
    for number, workers in enumerate((8, 1)):
        state = account(volumes={region: volumes(12, f"vol-{region}") for region in REGIONS})
        state.buckets += [Bucket(f"b-{index:03}", REGIONS[index % 3]) for index in range(40)]
        folder = tmp_path / str(number)
        folder.mkdir()
        with PagingAws(state, page_size=5) as aws:
            found = audit(aws, folder, *TESTS, workers=workers, past=NONE)
        paths = sorted((found.run / "evidence").iterdir())
        segments.append({path.name: VOLATILE.sub("", path.read_text()) for path in paths})
    assert segments[0] == segments[1]
    assert len(segments[0]) == 4
