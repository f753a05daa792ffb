"""Whole audits of AWS in which populations are held against a second source: calls, differences, refusals."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from pathlib import Path

import pytest

from auditor.engine import Plugins, evaluate
from auditor.model import Outcome
from auditor.plugins import checks, reports, sources
from auditor.results import TestResult
from tests import paging_aws_config, paging_aws_iam
from tests.audit_fixture import KEY, REGION, Audited, account, audit, retry_at_once, sign_in
from tests.paging_aws import PagingAws, Volume
from tests.paging_aws_config import Config

EBS = ("ebs", "ebs-customer")
RECORDERS, STATUS = "DescribeConfigurationRecorders", "DescribeConfigurationRecorderStatus"
KNOWN = "ListDiscoveredResources"
OTHER = "eu-west-1"
LONG_AGO = "2026-01-02T03:04:05Z"


@pytest.fixture(autouse=True)
def _signed_in(monkeypatch: pytest.MonkeyPatch) -> None:
    sign_in(monkeypatch)
    retry_at_once(monkeypatch)


@pytest.fixture
def aws() -> Iterator[PagingAws]:
    """An account in which every test passes, with three volumes, which AWS Config knows, and a region without it."""
    volumes = [Volume(f"vol-{number}", kms_key_id=KEY) for number in range(3)]
    with PagingAws(account(volumes={REGION: volumes, OTHER: [Volume("vol-x", kms_key_id=KEY)]})) as server:
        server.state.config[REGION] = Config([volume.volume_id for volume in volumes])
        yield server


def lately() -> str:
    return f"{dt.datetime.now(dt.UTC) - dt.timedelta(minutes=5):%Y-%m-%dT%H:%M:%SZ}"


def result(found: Audited) -> TestResult:
    return found.head.claims[0].tests[0]


def said(found: Audited) -> str:
    return "\n".join(result(found).completeness)


# Volumes


def test_config_is_asked_once_for_all_tests_and_once_where_it_is_off(aws: PagingAws, tmp_path: Path) -> None:
    found = audit(aws, tmp_path, *EBS)
    assert found.claims == {"ebs": "supported", "ebs-customer": "supported"}
    asked = [(call.operation, call.region) for call in aws.requests if call.operation in paging_aws_config.ANSWERS]
    assert sorted(asked) == sorted([(RECORDERS, REGION), (STATUS, REGION), (KNOWN, REGION), (RECORDERS, OTHER)])
    assert aws.calls["DescribeVolumes"] == 2
    for claim in found.head.claims:
        rows = {row.shard: (row.listed, row.counted, row.source) for row in claim.tests[0].reconciled}
        assert rows == {REGION: (3, 3, "AWS Config"), OTHER: (1, None, "")}
    assert f"prod {REGION}: volumes: 3 listed, 3 counted by AWS Config" in said(found)
    none = f"prod {OTHER}: volumes: 1 listed; no second source: AWS Config does not record volumes in {OTHER}"
    assert none in said(found)


def test_judging_again_reconciles_again(aws: PagingAws, tmp_path: Path) -> None:
    found = audit(aws, tmp_path, *EBS)
    calls = len(aws.requests)
    plugins = Plugins(checks(), sources(), reports())
    again = evaluate(found.run, tmp_path / "again", plugins, ("json",), None, allow_unsigned=True)
    assert again.claims == found.head.claims
    assert len(aws.requests) == calls


def test_what_config_knows_comes_in_pages(aws: PagingAws, tmp_path: Path) -> None:
    aws.state.volumes[REGION] = [Volume(f"vol-{number:03}", kms_key_id=KEY) for number in range(230)]
    aws.state.config[REGION].knows = [volume.volume_id for volume in aws.state.volumes[REGION]]
    found = audit(aws, tmp_path, "ebs")
    assert "volumes: 230 listed, 230 counted by AWS Config" in said(found)
    lines = found.answers("config.list_discovered_resources", REGION)
    assert [(line["page"]["last"], line["items"]) for line in lines] == [(False, 100), (False, 100), (True, 30)]
    assert lines[0]["params"] == {"resourceType": "AWS::EC2::Volume"}
    assert found.claims == {"ebs": "supported"}


def test_a_volume_that_ec2_does_not_list_is_an_error_with_both_numbers(aws: PagingAws, tmp_path: Path) -> None:
    aws.state.volumes[REGION][1].hidden = True
    found = audit(aws, tmp_path, "ebs")
    assert found.claims == {"ebs": "unproven"}
    message = found.message(f"prod.{REGION}")
    assert message.startswith("population not reconciled: volumes: the list has 2, but AWS Config counts 3 (EC2's list")
    assert "vol-1" in message
    assert found.outcomes()["vol-0"] is Outcome.PASS


def test_so_it_is_where_the_whole_list_is_short_and_well_formed(aws: PagingAws, tmp_path: Path) -> None:
    for volume in aws.state.volumes[REGION]:
        volume.hidden = True
    found = audit(aws, tmp_path, "ebs")
    assert found.claims == {"ebs": "unproven"}
    assert "the list has 0, but AWS Config counts 3" in found.message(f"prod.{REGION}")


def test_a_fail_stays_a_fail_where_the_counts_differ(aws: PagingAws, tmp_path: Path) -> None:
    aws.state.volumes[REGION][0].encrypted = False
    aws.state.volumes[REGION][1].hidden = True
    found = audit(aws, tmp_path, "ebs")
    assert found.claims == {"ebs": "refuted"}
    assert found.outcomes()[f"prod.{REGION}"] is Outcome.ERROR


def test_deleted_and_new_volumes_are_known_and_no_mismatch(aws: PagingAws, tmp_path: Path) -> None:
    aws.state.config[REGION].knows.append("vol-deleted")
    aws.state.volumes[REGION].append(Volume("vol-new", kms_key_id=KEY, create_time=lately()))
    aws.state.volumes[REGION].append(Volume("vol-newer", kms_key_id=KEY, create_time=lately()))
    found = audit(aws, tmp_path, *EBS)
    assert set(found.claims.values()) == {"supported"}
    assert "5 listed, 4 counted by AWS Config (too new for AWS Config or being deleted: 2; still in" in said(found)
    assert aws.calls["DescribeVolumes"] == 3  # two regions, and one question for the id that Config still has


def test_a_volume_that_config_should_know_is_an_error(aws: PagingAws, tmp_path: Path) -> None:
    aws.state.config[REGION].knows.remove("vol-2")
    found = audit(aws, tmp_path, "ebs")
    assert found.claims == {"ebs": "unproven"}
    assert "unknown to AWS Config, though not new: vol-2" in found.message(f"prod.{REGION}")


@pytest.mark.parametrize("operation", [RECORDERS, STATUS, KNOWN])
def test_config_that_may_not_be_asked_is_an_error(aws: PagingAws, tmp_path: Path, operation: str) -> None:
    aws.deny(operation)
    found = audit(aws, tmp_path, "ebs")
    assert found.claims == {"ebs": "unproven"}
    message = found.message(f"prod.{REGION}")
    assert f"(needs config:{operation})" in message
    assert "3 listed, not held against AWS Config" in message
    assert found.outcomes()["vol-0"] is Outcome.PASS


@pytest.mark.parametrize(
    ("operation", "body", "words"),
    [
        (RECORDERS, "{}", "the answer has no /ConfigurationRecorders"),
        (RECORDERS, '{"ConfigurationRecorders": null}', "the answer has no /ConfigurationRecorders"),
        (RECORDERS, '{"ConfigurationRecorders": [{"name": "a", "recordingGroup": {}}]}', "allSupported is missing"),
        (STATUS, '{"ConfigurationRecordersStatus": []}', "does not say whether its recorder default is recording"),
        (STATUS, '{"ConfigurationRecordersStatus": [{"name": "default", "recording": "true"}]}', "/recording"),
        (KNOWN, "[]", "expected a JSON object"),
        (KNOWN, '{"resourceIdentifiers": [{"resourceId": null}]}', "resourceId"),
        (KNOWN, '{"resourceIdentifiers": [], "resourceIdentifiers": []}', "a member stands twice"),
    ],
)
def test_config_that_cannot_be_believed_is_an_error(
    aws: PagingAws, tmp_path: Path, operation: str, body: str, words: str
) -> None:
    aws.respond(operation, headers={"Content-Type": "application/x-amz-json-1.1"}, body=body)
    found = audit(aws, tmp_path, "ebs")
    assert found.claims == {"ebs": "unproven"}
    assert words in found.message(f"prod.{REGION}")


@pytest.mark.parametrize(
    ("config", "words"),
    [
        (Config(recording=False), f"AWS Config's recorder in {REGION} is stopped"),
        (Config(last_status="Failure"), f"AWS Config's recorder in {REGION} says of its last work Failure"),
        (Config(group={"allSupported": False, "resourceTypes": ["AWS::S3::Bucket"]}), "does not record volumes in"),
    ],
)
def test_config_that_is_not_at_work_is_no_second_source(
    aws: PagingAws, tmp_path: Path, config: Config, words: str
) -> None:
    aws.state.config[REGION] = config
    found = audit(aws, tmp_path, "ebs")
    assert found.claims == {"ebs": "supported"}
    assert "3 listed; no second source: AWS Config" in said(found)
    assert words in said(found)
    assert aws.calls[KNOWN] == 0


# Users


def test_users_who_came_and_went_since_the_report_are_known(aws: PagingAws, tmp_path: Path) -> None:
    iam = aws.state.iam
    iam.users = ["/people/ada", "/people/new", "/people/newer"]  # deploy is gone
    iam.created = {"new": lately(), "newer": lately()}
    iam.generated -= dt.timedelta(hours=1)
    aws.page_size = 2
    found = audit(aws, tmp_path, "mfa")
    assert found.claims == {"mfa": "supported"}
    assert said(found).startswith(
        "prod account: IAM users of the credential report: 2 listed, 3 counted by IAM's account summary "
        "(created since: 2; deleted since: 1; iam:ListUsers lists 3)"
    )
    assert aws.calls["ListUsers"] == 2


def test_where_the_counts_agree_it_takes_one_call(aws: PagingAws, tmp_path: Path) -> None:
    found = audit(aws, tmp_path, "mfa")
    assert "2 listed, 2 counted by IAM's account summary" in said(found)
    assert (aws.calls["GetAccountSummary"], aws.calls["ListUsers"]) == (1, 0)


def test_a_user_whom_the_report_leaves_out_is_an_error_with_both_numbers(aws: PagingAws, tmp_path: Path) -> None:
    aws.state.iam.users = ["/people/ada", "/deploy", "/people/eve"]
    found = audit(aws, tmp_path, "mfa")
    assert found.claims == {"mfa": "unproven"}
    message = found.message("prod")
    assert "the list has 2, but IAM's account summary counts 3 (left out of it though older: eve" in message


def test_so_is_one_whom_only_the_summary_counts(aws: PagingAws, tmp_path: Path) -> None:
    aws.state.iam.counted = 3
    found = audit(aws, tmp_path, "mfa")
    assert found.claims == {"mfa": "unproven"}
    assert "counts 3 (iam:ListUsers lists 2)" in found.message("prod")


def test_root_whose_mfa_changed_since_the_report_is_an_error(aws: PagingAws, tmp_path: Path) -> None:
    aws.state.iam.root_has_mfa = False
    found = audit(aws, tmp_path, "mfa")
    assert found.claims == {"mfa": "unproven"}
    assert "none by the account summary, which is newer" in found.message("arn:aws:iam::123456789012:root")


@pytest.mark.parametrize("operation", ["GetAccountSummary", "ListUsers"])
def test_what_may_not_be_counted_is_unproven(aws: PagingAws, tmp_path: Path, operation: str) -> None:
    aws.state.iam.users = ["/people/ada", "/people/new"]
    aws.state.iam.users.append("/people/newer")
    aws.deny(operation)
    found = audit(aws, tmp_path, "mfa")
    assert found.claims == {"mfa": "unproven"}
    message = found.message("prod")
    assert f"(needs iam:{operation})" in message
    if operation == "GetAccountSummary":
        assert "2 listed, not held against IAM's account summary" in message
    assert Outcome.FAIL not in found.outcomes().values()


@pytest.mark.parametrize(
    ("users", "mfa", "words"),
    [
        ("banana", 1, "is no integer"),
        ("", 1, "is no integer"),
        (2, "true", "is no integer"),
        (2, 2, "AccountMFAEnabled"),
    ],
)
def test_a_summary_that_cannot_be_believed_is_an_error(
    aws: PagingAws, tmp_path: Path, users: int | str, mfa: int | str, words: str
) -> None:
    aws.respond("GetAccountSummary", body=paging_aws_iam.summary(users, mfa).body)
    found = audit(aws, tmp_path, "mfa")
    assert found.claims == {"mfa": "unproven"}
    assert words in found.message("arn:aws:iam::123456789012:root")


def test_a_summary_without_the_count_is_malformed(aws: PagingAws, tmp_path: Path) -> None:
    aws.respond("GetAccountSummary", body=paging_aws_iam.answer("GetAccountSummary", "<SummaryMap/>").body)
    found = audit(aws, tmp_path, "mfa")
    assert "the answer has no /SummaryMap/Users" in found.message("prod")


# Buckets


def test_buckets_say_that_nothing_counts_them(aws: PagingAws, tmp_path: Path) -> None:
    assert said(audit(aws, tmp_path, "encryption")).startswith("no second source: S3 counts an account's buckets")
