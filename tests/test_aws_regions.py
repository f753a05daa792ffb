"""The fan-out over regions: which are asked, and what one that cannot be asked means for the others."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from auditor.cli.options import exit_code
from auditor.model import Outcome
from tests import paging_aws_words as words
from tests.audit_fixture import KEY, REGION, account, audit, sign_in
from tests.paging_aws import PagingAws, Volume

REGIONS = ("ap-south-1", "eu-west-1", REGION)
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


def three_regions(aws: PagingAws) -> None:
    aws.state.volumes = {region: volumes(2, f"vol-{region}") for region in REGIONS}


def test_exactly_the_enabled_regions_are_asked(aws: PagingAws, tmp_path: Path) -> None:
    three_regions(aws)
    aws.state.disabled_regions = ["eu-south-1"]
    found = audit(aws, tmp_path, "ebs")
    asked = [call.region for call in aws.requests if call.operation == "DescribeVolumes"]
    assert sorted(asked) == sorted(REGIONS)
    assert {finding.resource.region for finding in found.findings()} == set(REGIONS)
    assert [item.task for item in found.head.run.scope] == ["prod.account", *(f"prod.{name}" for name in REGIONS)]
    assert found.scope == {}
    assert found.claims == {"ebs": "supported"}


def test_excluded_regions_are_not_asked_and_stand_in_the_scope(aws: PagingAws, tmp_path: Path) -> None:
    three_regions(aws)
    found = audit(aws, tmp_path, "ebs", regions={"only": ["eu-west-1"], "reason": "the others are empty by policy"})
    assert [call.region for call in aws.requests if call.operation == "DescribeVolumes"] == ["eu-west-1"]
    assert found.scope == {
        "prod.ap-south-1": "excluded by the settings: the others are empty by policy",
        f"prod.{REGION}": "excluded by the settings: the others are empty by policy",
    }
    assert found.claims == {"ebs": "supported"}


def test_a_wanted_region_that_is_not_enabled_is_an_error(aws: PagingAws, tmp_path: Path) -> None:
    found = audit(aws, tmp_path, "ebs", regions={"only": [REGION, "eu-south-1"], "reason": "r"})
    assert found.outcomes() == {"vol-1": Outcome.PASS, "prod.eu-south-1": Outcome.ERROR}
    assert found.message("prod.eu-south-1") == "is not a region that is enabled in this account"
    assert found.scope == {"prod.eu-south-1": "is not a region that is enabled in this account"}
    assert found.claims == {"ebs": "unproven"}
    assert "eu-south-1" not in [call.region for call in aws.requests]


def test_without_the_regions_every_region_test_is_an_error(aws: PagingAws, tmp_path: Path) -> None:
    aws.deny("DescribeRegions")
    found = audit(aws, tmp_path, *EBS, "expiry")
    assert {finding.outcome for test in EBS for finding in found.findings(test)} == {Outcome.ERROR}
    for test in EBS:
        (finding,) = found.findings(test)
        assert finding.message.startswith("the regions could not be listed: ec2.describe_regions(): Unauthorized")
        assert "(needs ec2:DescribeRegions)" in finding.message
        assert finding.evidence
    assert found.claims == {"ebs": "unproven", "ebs-customer": "unproven", "expiry": "supported"}
    assert exit_code(found.head, "unproven") == 3
    assert exit_code(found.head, "refuted") == 0
    assert aws.calls["DescribeVolumes"] == 0


@pytest.mark.parametrize(
    ("names", "cause"),
    [
        ([], "no region is listed as enabled"),
        (["account"], "/Regions/0/RegionName"),
        (["../../../tmp/us-east-1"], "/Regions/0/RegionName"),
        (["us-east-1", "US-EAST-2"], "/Regions/1/RegionName"),
    ],
)
def test_region_names_that_cannot_be_are_an_error(aws: PagingAws, tmp_path: Path, names: list[str], cause: str) -> None:
    """They become names of files: `account` would overwrite the account's own segment."""
    aws.respond("DescribeRegions", 200, None, words.regions([(name, "opted-in") for name in names]).body)
    found = audit(aws, tmp_path, "ebs")
    (finding,) = found.findings()
    assert finding.outcome is Outcome.ERROR
    assert cause in finding.message
    assert found.claims == {"ebs": "unproven"}
    assert [path.name for path in (found.run / "evidence").iterdir()] == ["prod.account.jsonl"]


def test_a_region_that_is_listed_twice_is_asked_once(aws: PagingAws, tmp_path: Path) -> None:
    twice = words.regions([(REGION, "opted-in"), (REGION, "opted-in")])
    aws.respond("DescribeRegions", 200, None, twice.body)
    found = audit(aws, tmp_path, "ebs")
    assert found.claims == {"ebs": "supported"}
    assert aws.calls["DescribeVolumes"] == 1


def test_one_region_that_is_denied_takes_nothing_from_the_others(aws: PagingAws, tmp_path: Path) -> None:
    three_regions(aws)
    aws.deny("DescribeVolumes", only="eu-west-1")
    found = audit(aws, tmp_path, "ebs")
    outcomes = found.outcomes()
    assert outcomes.pop("prod.eu-west-1") is Outcome.ERROR
    assert outcomes == {
        f"vol-{region}-{number}": Outcome.PASS for region in ("ap-south-1", REGION) for number in range(2)
    }
    assert found.claims == {"ebs": "unproven"}


def test_one_region_that_is_silent_takes_nothing_from_the_others(
    aws: PagingAws, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("auditor.sources.aws.clients.READ_SECONDS", 1.5)
    three_regions(aws)
    aws.hold("DescribeVolumes", only="eu-west-1")
    found = audit(aws, tmp_path, "ebs")
    assert Counter(found.outcomes().values()) == {Outcome.PASS: 4, Outcome.ERROR: 1}
    assert found.message("prod.eu-west-1").startswith("population incomplete: ec2.describe_volumes(): timeout: Read")
    assert found.claims == {"ebs": "unproven"}


def test_one_region_with_another_account_takes_nothing_from_the_others(aws: PagingAws, tmp_path: Path) -> None:
    three_regions(aws)
    aws.respond("GetCallerIdentity", 200, None, words.caller_identity("999999999999", "auditor").body, only="eu-west-1")
    found = audit(aws, tmp_path, "ebs")
    assert Counter(found.outcomes().values()) == {Outcome.PASS: 4, Outcome.ERROR: 1}
    assert found.scope == {"prod.eu-west-1": "wrong target: declared account 123456789012, but 999999999999 answered"}
    assert "eu-west-1" not in [call.region for call in aws.requests if call.operation == "DescribeVolumes"]
