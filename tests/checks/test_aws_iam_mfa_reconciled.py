"""The users of the credential report, held against the account summary: who came, who went, and who is left out."""

from __future__ import annotations

from typing import Any

import pytest

from auditor.answers import Answer, Listing
from auditor.checking import Reconciled, Subject
from auditor.checks.aws_iam_mfa import CHECK, PATH
from auditor.model import JSON, Unproven, Unreadable
from tests.checks.asking import (
    DENIED,
    InMemory,
    Question,
    paged,
    params,
    question,
    reconciled_by,
    require_agreement,
    unreadable,
)
from tests.checks.iam_report import ACCOUNT, ROOT_ARN, account, root, user, user_arn
from tests.checks.passing import NOW

LONG_AGO, JUST_BEFORE, SINCE = "2024-05-02T09:00:00+00:00", "2026-11-23T08:11:30+00:00", "2026-11-23T08:12:00+00:00"
A_MINUTE_BEFORE, TOO_LONG_BEFORE = "2026-11-23T08:11:00+00:00", "2026-11-23T08:10:59+00:00"
SUMMARY = {"SummaryMap": {"Users": 2, "AccountMFAEnabled": 1}}
ROWS = (user("ada"), user("bao"))


def listed(name: str, created: JSON = LONG_AGO) -> dict[str, JSON]:
    return {"UserName": name, "Arn": user_arn(name), "CreateDate": created}


def account_of(summary: Answer, *users: JSON, rows: tuple[JSON, ...] = ROWS, mfa: str = "true") -> InMemory:
    answers: dict[Question, Answer | Listing] = {
        question("iam.get_credential_report"): Answer.literal(account(root(mfa_active=mfa), *rows)),
        question("iam.get_account_summary"): summary,
        question("iam.list_roles", PathPrefix=PATH): paged([]),
        question("iam.list_saml_providers"): paged([]),
    }
    if users:
        answers[question("iam.list_users")] = paged(*([one] for one in users))
    return InMemory(answers, target=Answer.literal({"account_id": ACCOUNT}))


def counting(users: int) -> Answer:
    return Answer.literal({"SummaryMap": {"Users": users, "AccountMFAEnabled": 1}})


def held(aws: InMemory) -> Reconciled:
    (one,) = reconciled_by(CHECK, params(CHECK), aws)
    return one


def agrees(one: Reconciled) -> bool:
    counted = one.count()
    assert counted is not None
    return abs(one.listed - counted) <= one.allowed


def test_where_the_counts_are_equal_nobody_is_listed() -> None:
    """The root user has a row of the report and is no IAM user."""
    aws = account_of(Answer.literal(SUMMARY))
    one = held(aws)
    assert (one.listed, one.count(), one.allowed, one.note) == (2, 2, 0, "")
    assert question("iam.list_users") not in aws.asked


def test_equal_counts_of_other_users_are_not_noticed_and_the_check_says_so() -> None:
    """The report has ada and bao; there are ada and eve, whom it left out, for bao was deleted since: two users."""
    aws = account_of(counting(2), listed("ada"), listed("eve"))
    assert agrees(held(aws))
    assert question("iam.list_users") not in aws.asked, "the fewest calls, at this price"
    (limit,) = [words for words in CHECK.cannot_prove if "cancel each other out" in words]
    assert limit.startswith("which users the account summary counts: where the numbers are equal")


@pytest.mark.parametrize(
    ("count", "users", "note"),
    [
        pytest.param(
            3,
            [listed("ada"), listed("bao"), listed("new", SINCE)],
            "created since: 1; iam:ListUsers lists 3",
            id="created in the second of the report",
        ),
        pytest.param(
            3,
            [listed("ada"), listed("bao"), listed("new", JUST_BEFORE)],
            "created since: 1; iam:ListUsers lists 3",
            id="created while the report was made",
        ),
        pytest.param(
            3,
            [listed("ada"), listed("bao"), listed("new", A_MINUTE_BEFORE)],
            "created since: 1; iam:ListUsers lists 3",
            id="created a minute before",
        ),
        pytest.param(1, [listed("ada")], "deleted since: 1; iam:ListUsers lists 1", id="deleted since"),
        pytest.param(
            3,
            [listed("ada"), listed("new", SINCE), listed("newer", SINCE)],
            "created since: 2; deleted since: 1; iam:ListUsers lists 3",
            id="both",
        ),
    ],
)
def test_who_came_and_who_went_since_the_report_is_no_mismatch(count: int, users: list[JSON], note: str) -> None:
    one = held(account_of(counting(count), *users))
    assert agrees(one)
    assert (one.listed, one.count(), one.note) == (2, count, note)


@pytest.mark.parametrize(
    ("count", "users", "words"),
    [
        pytest.param(
            3,
            [listed("ada"), listed("bao"), listed("eve")],
            "left out of it though older: eve",
            id="older than the report",
        ),
        pytest.param(
            3,
            [listed("ada"), listed("bao"), listed("eve", TOO_LONG_BEFORE)],
            "left out of it though older: eve",
            id="a minute older than the report",
        ),
        pytest.param(
            7,
            [listed("ada"), listed("bao"), *(listed(f"eve{number}") for number in range(5))],
            "left out of it though older: eve0, eve1, eve2 and 2 more",
            id="many",
        ),
        pytest.param(
            4,
            [listed("ada"), listed("bao"), listed("new", SINCE)],
            "created since: 1; iam:ListUsers lists 3",
            id="the summary counts one whom nobody lists",
        ),
        pytest.param(3, [listed("ada"), listed("bao")], "iam:ListUsers lists 2", id="counted, and not listed"),
        pytest.param(1, [listed("eve")], "left out of it though older: eve; deleted since: 2", id="two for one"),
        pytest.param(
            1, [listed("ada"), listed("bao"), listed("eve")], "left out of it though older: eve", id="all three differ"
        ),
    ],
)
def test_any_other_difference_is_an_error_with_both_numbers(count: int, users: list[JSON], words: str) -> None:
    one = held(account_of(counting(count), *users))
    assert not agrees(one)
    assert (one.listed, one.count(), one.allowed) == (2, count, 0)
    assert one.note.startswith(words)
    assert ("created since" in one.note) is (listed("new", SINCE) in users)


@pytest.mark.parametrize("summary", [DENIED, *(case.values[0] for case in unreadable(SUMMARY, "/SummaryMap/Users"))])
def test_a_count_that_cannot_be_read_is_an_error_and_the_users_stay(summary: Any) -> None:
    found = CHECK.collect(params(CHECK), account_of(summary))
    users = [one.resource.id for one in (next(found), next(found), next(found)) if isinstance(one, Subject)]
    assert users == [ROOT_ARN, user_arn("ada"), user_arn("bao")]
    with pytest.raises(Unreadable):
        require_agreement(next(one for one in found if isinstance(one, Reconciled)))


@pytest.mark.parametrize("created", [None, 7, "yesterday", "2026-11-23T09:00:00"])
def test_a_user_of_unknown_age_explains_nothing(created: JSON) -> None:
    with pytest.raises(Unreadable):
        held(account_of(counting(3), listed("ada"), listed("bao"), listed("new", created)))


# Root


def root_of(aws: InMemory) -> str:
    subject = next(one for one in CHECK.collect(params(CHECK), aws) if isinstance(one, Subject))
    try:
        return CHECK.evaluate(subject.judged(NOW, []), params(CHECK)).outcome.value
    except Unproven as error:
        return error.reason


@pytest.mark.parametrize(
    ("reported", "enabled", "said"),
    [
        ("true", 1, "pass"),
        ("false", 0, "fail"),
        ("true", 0, "has MFA by the report of 2026-11-23 08:12 UTC (3 h 48 min old), and none by the account summary"),
        (
            "false",
            1,
            "has no MFA by the report of 2026-11-23 08:12 UTC (3 h 48 min old), and MFA by the account summary",
        ),
        ("true", 2, "AccountMFAEnabled"),
        ("false", True, "AccountMFAEnabled"),
        ("true", None, "AccountMFAEnabled"),
    ],
)
def test_what_the_newer_summary_says_of_root_is_not_passed_over(reported: str, enabled: JSON, said: str) -> None:
    summary = Answer.literal({"SummaryMap": {"Users": 2, "AccountMFAEnabled": enabled}})
    assert said in root_of(account_of(summary, mfa=reported))


def test_without_the_summary_nothing_is_said_of_root() -> None:
    assert root_of(account_of(DENIED)) not in ("pass", "fail")
