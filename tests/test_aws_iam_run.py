"""Whole audits of who has MFA in an AWS account: calls, the report's age, roles and providers in pages."""

from __future__ import annotations

import datetime as dt
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from auditor.model import Outcome
from tests import paging_aws_iam as iam
from tests.audit_fixture import audit, retry_at_once, sign_in
from tests.paging_aws import PagingAws
from tests.paging_aws_words import Answer

GENERATE, GET = "GenerateCredentialReport", "GetCredentialReport"


@pytest.fixture(autouse=True)
def _signed_in(monkeypatch: pytest.MonkeyPatch) -> None:
    sign_in(monkeypatch)
    retry_at_once(monkeypatch)


@pytest.fixture
def aws() -> Iterator[PagingAws]:
    """An account in which root and one console user have MFA."""
    with PagingAws() as server:
        yield server


def test_a_whole_run_makes_exactly_these_calls(aws: PagingAws, tmp_path: Path) -> None:
    found = audit(aws, tmp_path, "mfa")
    assert found.claims == {"mfa": "supported"}
    assert Counter(found.outcomes().values()) == {Outcome.PASS: 2, Outcome.NOT_APPLICABLE: 2}
    once = ("GetCallerIdentity", GENERATE, GET, "GetAccountSummary", "ListRoles", "ListSAMLProviders")
    assert aws.calls == dict.fromkeys(once, 1)
    (asked,) = [call.parameters for call in aws.requests if call.operation == "ListRoles"]
    assert asked == {"PathPrefix": "/aws-reserved/sso.amazonaws.com/", "MaxItems": "1000"}
    (line,) = found.answers("iam.list_roles")
    assert line["params"] == {"PathPrefix": "/aws-reserved/sso.amazonaws.com/"}


@pytest.mark.parametrize(("hours", "verdict"), [(0, "supported"), (23, "supported"), (25, "unproven")])
def test_the_report_is_as_old_as_it_says(aws: PagingAws, tmp_path: Path, hours: int, verdict: str) -> None:
    """`max_age` of the test is a day; the answer itself is seconds old."""
    aws.state.iam.generated -= dt.timedelta(hours=hours)
    found = audit(aws, tmp_path, "mfa")
    assert found.claims == {"mfa": verdict}
    message = found.message("arn:aws:iam::123456789012:root")
    assert ("stale" in message) is (verdict == "unproven")
    assert f"{aws.state.iam.generated:%Y-%m-%d %H:%M} UTC" in message


def test_a_report_from_the_future_is_an_error(aws: PagingAws, tmp_path: Path) -> None:
    aws.state.iam.generated += dt.timedelta(hours=2)
    found = audit(aws, tmp_path, "mfa")
    assert found.claims == {"mfa": "unproven"}
    assert "dated ahead: iam.get_credential_report() is of" in found.message("arn:aws:iam::123456789012:root")


def test_a_clock_that_differs_makes_ages_unproven(aws: PagingAws, tmp_path: Path) -> None:
    aws.date = dt.datetime.now(dt.UTC) - dt.timedelta(minutes=3)
    found = audit(aws, tmp_path, "mfa")
    assert found.claims == {"mfa": "unproven"}
    assert "clock" in found.message("arn:aws:iam::123456789012:root")


# Roles and providers


def test_the_roles_of_identity_center_come_in_pages(aws: PagingAws, tmp_path: Path) -> None:
    aws.page_size = 2
    aws.state.iam.roles = [f"/aws-reserved/sso.amazonaws.com/AWSReservedSSO_Set{number}_0" for number in range(5)]
    found = audit(aws, tmp_path, "mfa")
    assert found.outcomes()["123456789012"] is Outcome.MANUAL
    assert "roles of permission sets: 5;" in found.message("123456789012")
    assert found.claims == {"mfa": "unproven"}
    assert aws.calls["ListRoles"] == 3
    lines = found.answers("iam.list_roles")
    assert [(line["page"]["i"], line["page"]["last"], line["items"]) for line in lines] == [
        *((1, False, 2), (2, False, 2), (3, True, 1)),
    ]


def test_an_empty_page_of_roles_is_not_the_last(aws: PagingAws, tmp_path: Path) -> None:
    aws.state.iam.roles = ["/aws-reserved/sso.amazonaws.com/AWSReservedSSO_Set_0"]
    aws.empty_page("ListRoles")
    assert audit(aws, tmp_path, "mfa").outcomes()["123456789012"] is Outcome.MANUAL


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (iam.roles([], truncated=True), "what it says of further pages contradicts itself"),
        (iam.roles([], truncated=True, marker=""), "what it says of further pages contradicts itself"),
        (iam.roles([], truncated=False, marker="next"), "what it says of further pages contradicts itself"),
        (iam.roles([], truncated="banana"), "is no boolean"),
        (iam.answer("ListRoles", "<IsTruncated>false</IsTruncated>"), "the answer has no /Roles"),
        (iam.answer("ListRoles", "<Roles/>"), "the answer has no /IsTruncated"),
    ],
)
def test_a_list_of_roles_that_may_not_be_whole_is_an_error(
    aws: PagingAws, tmp_path: Path, answer: Answer, message: str
) -> None:
    aws.respond("ListRoles", answer.status, answer.headers, answer.body)
    found = audit(aws, tmp_path, "mfa")
    assert found.claims == {"mfa": "unproven"}
    assert message in found.message("123456789012")
    (line,) = found.answers("iam.list_roles")
    assert message in line["error"]["message"]


@pytest.mark.parametrize("operation", ["ListRoles", "ListSAMLProviders"])
def test_what_may_not_be_listed_is_unproven(aws: PagingAws, tmp_path: Path, operation: str) -> None:
    aws.deny(operation)
    found = audit(aws, tmp_path, "mfa")
    assert found.claims == {"mfa": "unproven"}
    assert f"(needs iam:{operation})" in found.message("123456789012")
    assert Outcome.FAIL not in found.outcomes().values()


def test_no_list_of_providers_is_malformed(aws: PagingAws, tmp_path: Path) -> None:
    aws.respond("ListSAMLProviders", body=iam.answer("ListSAMLProviders", "").body)
    assert "has no /SAMLProviderList" in audit(aws, tmp_path, "mfa").message("123456789012")
