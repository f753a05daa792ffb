"""MFA of AWS accounts: root, console users, users without a password, Identity Center and SAML providers."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest

from auditor.answers import Answer, Listing
from auditor.checking import Subject
from auditor.checks.aws_iam_mfa import CHECK, PATH
from auditor.model import JSON, Outcome, Unproven, Verdict
from tests.checks.asking import DENIED, InMemory, Question, drop, paged, params, put, question, subjects_of, unreadable
from tests.checks.iam_report import ACCOUNT, GENERATED, ROOT_ARN, SAID, account, provider, role, root, user, user_arn
from tests.checks.passing import NOW

TARGET = Answer.literal({"account_id": ACCOUNT})
ADA = user_arn("ada")


def summary(users: JSON = 0, mfa: JSON = 1) -> Answer:
    return Answer.literal({"SummaryMap": {"Users": users, "AccountMFAEnabled": mfa, "Roles": 7}})


def summary_of(rows: tuple[JSON, ...]) -> Answer:
    """The account summary that says the same as the report."""
    (mfa,) = [row["mfa_active"] for row in rows if row["user"] == "<root_account>"] or ["true"]
    return summary(len(rows) - 1, int(mfa in ("true", "TRUE")))


def found(*rows: JSON, roles: Any = (), providers: Any = (), report: Answer | None = None) -> dict[str, Any]:
    """Return the verdict on each subject by its id, or why there is none; under "" why the population is incomplete."""
    answers: dict[Question, Answer | Listing] = {
        question("iam.get_credential_report"): report or Answer.literal(account(*rows)),
        question("iam.get_account_summary"): summary_of(rows),
        question("iam.list_users"): paged(None),
        question("iam.list_roles", PathPrefix=PATH): roles if isinstance(roles, Listing) else paged(list(roles)),
        question("iam.list_saml_providers"): providers if isinstance(providers, Listing) else paged(list(providers)),
    }
    verdicts: dict[str, Any] = {}
    try:
        for subject in subjects_of(CHECK, params(CHECK), InMemory(answers, target=TARGET)):
            assert subject.resource.id not in verdicts
            verdicts[subject.resource.id] = judged(subject)
    except Unproven as error:
        verdicts[""] = error.reason
    return verdicts


def judged(subject: Subject, now: dt.datetime = NOW) -> Any:
    try:
        return CHECK.evaluate(subject.judged(now, []), params(CHECK))
    except Unproven as error:
        return error.reason


def outcome(verdict: Any) -> str:
    return verdict.outcome.value if isinstance(verdict, Verdict) else "error"


# Users


def test_a_console_user_with_mfa_passes() -> None:
    verdict = found(root(), user("ada"))[ADA]
    assert (outcome(verdict), verdict.advice) == ("pass", "")
    assert verdict.message == f"has a console password and MFA, {SAID}"


def test_a_console_user_without_mfa_fails() -> None:
    verdict = found(root(), user("ada", mfa_active="false"))[ADA]
    assert (outcome(verdict), verdict.advice) == ("fail", "enable MFA, or remove the console password")
    assert verdict.message == f"has a console password and no MFA, {SAID}"


@pytest.mark.parametrize("mfa", ["true", "false", "banana"])
@pytest.mark.parametrize("key", ["true", "false"])
def test_a_user_without_a_console_password_is_apart(mfa: str, key: str) -> None:
    """Whatever keys it has: requests signed with them need no MFA, and nobody signs in."""
    row = user("ada", password_enabled="false", password_last_used="N/A", mfa_active=mfa, access_key_1_active=key)
    verdict = found(root(), row)[ADA]
    assert outcome(verdict) == "not_applicable"
    assert verdict.message == f"has no console password, {SAID}"


@pytest.mark.parametrize("word", ["no_information", "N/A", "", "not_supported", "True", "yes", "1", " true", "banana"])
@pytest.mark.parametrize("column", ["password_enabled", "mfa_active"])
def test_any_other_word_is_an_error(column: str, word: str) -> None:
    verdicts = found(root(), user("ada", **{column: word}), user("bao"))
    assert outcome(verdicts[ADA]) == "error"
    assert column in verdicts[ADA]
    assert outcome(verdicts[user_arn("bao")]) == outcome(verdicts[ROOT_ARN]) == "pass"


@pytest.mark.parametrize(
    ("password", "mfa", "expected"),
    [("TRUE", "TRUE", "pass"), ("TRUE", "FALSE", "fail"), ("FALSE", "FALSE", "not_applicable")],
)
def test_the_words_of_the_documentation_are_read_too(password: str, mfa: str, expected: str) -> None:
    assert outcome(found(root(), user("ada", password_enabled=password, mfa_active=mfa))[ADA]) == expected


def test_a_password_that_was_never_used_is_advised_against_and_changes_nothing() -> None:
    verdict = found(root(), user("ada", password_last_used="no_information"))[ADA]
    assert outcome(verdict) == "pass"
    assert verdict.advice == "remove the console password if nobody needs it: AWS knows of no use"
    verdict = found(root(), user("ada", password_last_used="no_information", mfa_active="false"))[ADA]
    assert outcome(verdict) == "fail"
    assert verdict.advice == "enable MFA, or remove the console password: AWS knows of no use of it"


# Root


def test_root_with_mfa_passes() -> None:
    verdict = found(root())[ROOT_ARN]
    assert (outcome(verdict), verdict.message, verdict.advice) == ("pass", f"has MFA, {SAID}", "")


@pytest.mark.parametrize("password", ["true", "TRUE", "not_supported"])
def test_root_without_mfa_fails(password: str) -> None:
    """`not_supported` is what older reports say of a root user that can sign in."""
    verdict = found(root(mfa_active="false", password_enabled=password))[ROOT_ARN]
    assert (outcome(verdict), verdict.message) == ("fail", f"has no MFA, {SAID}")
    assert verdict.advice == "enable MFA for the root user"


NONE = {"mfa_active": "false", "password_enabled": "false", "password_last_used": "N/A"}


@pytest.mark.parametrize("word", ["false", "FALSE"])
def test_root_without_any_credentials_is_apart(word: str) -> None:
    verdict = found(root(**NONE | {"password_enabled": word}))[ROOT_ARN]
    assert outcome(verdict) == "not_applicable"
    assert verdict.message == f"has no password, no active access key and no active certificate, {SAID}"


@pytest.mark.parametrize("column", ["access_key_1_active", "access_key_2_active", "cert_1_active", "cert_2_active"])
def test_one_credential_is_enough_for_root_to_need_mfa(column: str) -> None:
    assert outcome(found(root(**NONE, **{column: "true"}))[ROOT_ARN]) == "fail"
    assert outcome(found(root(**NONE, **{column: "N/A"}))[ROOT_ARN]) == "error"


@pytest.mark.parametrize("word", ["no_information", "N/A", "", "NOT_SUPPORTED", "banana"])
def test_any_other_word_about_root_is_an_error(word: str) -> None:
    for column in ("mfa_active", "access_key_1_active", "access_key_2_active"):
        assert outcome(found(root(**{column: word}))[ROOT_ARN]) == "error"
    assert outcome(found(root(mfa_active="false", password_enabled=word))[ROOT_ARN]) == "error"
    assert outcome(found(root(mfa_active="not_supported"))[ROOT_ARN]) == "error"


@pytest.mark.parametrize("column", ["access_key_1_active", "access_key_2_active"])
def test_an_access_key_of_root_is_advised_against_and_changes_nothing(column: str) -> None:
    verdict = found(root(**{column: "true"}))[ROOT_ARN]
    assert outcome(verdict) == "pass"
    assert verdict.advice == "delete its access key: requests signed with it need no MFA"
    verdict = found(root(mfa_active="false", **{column: "true"}))[ROOT_ARN]
    assert outcome(verdict) == "fail"
    assert verdict.advice.endswith("root user; delete its access key: requests signed with it need no MFA")


# The report


@pytest.mark.parametrize("column", ["mfa_active", "password_enabled", "password_last_used"])
def test_a_row_that_cannot_be_read_is_an_error_of_its_user(column: str) -> None:
    for case in unreadable(account(root(), user("ada"))["rows"][1], f"/{column}"):
        answer: Any = case.values[0]
        if answer.readable and "redacted" not in str(case.id):
            verdicts = found(root(), answer.record.body)
            assert (outcome(verdicts[ADA]), outcome(verdicts[ROOT_ARN])) == ("error", "pass"), case.id


@pytest.mark.parametrize("pointer", ["/rows", "/rows/1/user", "/rows/1/arn"])
def test_a_report_that_cannot_be_read_leaves_the_population_open(pointer: str) -> None:
    for case in unreadable(account(root(), user("ada")), pointer):
        answer: Any = case.values[0]
        verdicts = found(report=answer)
        assert verdicts.keys() <= {"", ROOT_ARN}, case.id
        assert "" in verdicts, case.id


@pytest.mark.parametrize("moment", ["", "yesterday", "2026-11-23T08:12:00", None, 7])
def test_a_report_of_unknown_age_proves_nothing(moment: JSON) -> None:
    body = put(account(root(), user("ada")), "/GeneratedTime", moment)
    assert outcome(found(report=Answer.literal(body))[ADA]) == "error"
    assert outcome(found(report=Answer.literal(drop(body, "/GeneratedTime")))[ROOT_ARN]) == "error"


@pytest.mark.parametrize(
    ("moment", "age"),
    [
        ("2026-11-23T12:00:00Z", "2026-11-23 12:00 UTC (0 h 0 min old)"),
        ("2026-11-23T12:01:00Z", "2026-11-23 12:01 UTC (0 h 0 min old)"),
        ("2026-11-23T11:59:01Z", "2026-11-23 11:59 UTC (0 h 0 min old)"),
        ("2026-11-23T10:30:00+01:00", "2026-11-23 09:30 UTC (2 h 30 min old)"),
        ("2026-11-20T11:00:00Z", "2026-11-20 11:00 UTC (73 h 0 min old)"),
    ],
)
def test_its_age_is_said(moment: str, age: str) -> None:
    body = put(account(root()), "/GeneratedTime", moment)
    assert found(report=Answer.literal(body))[ROOT_ARN].message == f"has MFA, by the report of {age}"


def test_a_report_of_after_it_was_read_is_an_error() -> None:
    body = put(account(root(mfa_active="false")), "/GeneratedTime", "2026-11-23T12:01:01Z")
    assert "after it was read" in found(report=Answer.literal(body))[ROOT_ARN]


def test_a_verdict_cites_the_row_and_the_time() -> None:
    answers = {
        question("iam.get_credential_report"): Answer.literal(account(root(), user("ada"))),
        question("iam.get_account_summary"): summary(1),
    }
    subjects = subjects_of(CHECK, params(CHECK), InMemory(answers, target=TARGET))
    trail: list[Any] = []
    next(subjects)
    CHECK.evaluate(next(subjects).judged(NOW, trail), params(CHECK))
    assert {cite.pointer for cite in trail} == {
        "/GeneratedTime",
        "/rows/1/password_enabled",
        "/rows/1/password_last_used",
        "/rows/1/mfa_active",
    }


# Identity Center and SAML providers

RESERVED = role(f"{PATH}eu-central-1/", "AWSReservedSSO_AdministratorAccess_0123456789abcdef")
OWN = provider("AWSSSO_0123456789abcdef_DO_NOT_DELETE")


def test_where_nobody_signs_in_elsewhere_both_whole_lists_are_cited() -> None:
    lists = [Listing(lambda: iter(()), "/Items", "evidence/prod.account.jsonl", lines) for lines in ((5, 7), (8, 8))]
    verdict = found(root(), roles=lists[0], providers=lists[1])[ACCOUNT]
    assert outcome(verdict) == "not_applicable"
    assert [cite.lines for cite in verdict.cites] == [(5, 7), (8, 8)]


@pytest.mark.parametrize(
    ("roles", "providers", "counted"),
    [
        ([RESERVED], [OWN], "roles of permission sets: 1; SAML providers of its own: 1"),
        ([RESERVED, role(PATH, "AWSReservedSSO_ViewOnly_0")], [], "roles of permission sets: 2; SAML"),
        ([], [OWN], "roles of permission sets: 0; SAML providers of its own: 1"),
        ([], [provider("AWSSSO_DO_NOT_DELETE")], "SAML providers of its own: 1"),
    ],
)
def test_identity_center_in_use_is_manual(roles: list[JSON], providers: list[JSON], counted: str) -> None:
    verdicts = found(root(), roles=roles, providers=providers)
    assert verdicts.keys() == {ROOT_ARN, ACCOUNT}
    assert outcome(verdicts[ACCOUNT]) == "manual"
    assert counted in verdicts[ACCOUNT].message
    assert len(verdicts[ACCOUNT].cites) == 2


@pytest.mark.parametrize("path", ["/", "/service-role/", "/aws-reserved/", "/x/aws-reserved/sso.amazonaws.com/"])
def test_a_role_of_another_path_is_not_one_of_identity_center(path: str) -> None:
    """Where the service did not look at the prefix."""
    assert outcome(found(root(), roles=[role(path, "AWSReservedSSO_Admin_0")])[ACCOUNT]) == "not_applicable"


@pytest.mark.parametrize("name", ["okta", "AWSSSO_other", "my_AWSSSO_0_DO_NOT_DELETE", "awssso_0_do_not_delete"])
def test_every_other_provider_is_manual(name: str) -> None:
    verdicts = found(root(), providers=[provider(name), OWN])
    arn = provider(name)["Arn"]
    assert verdicts.keys() == {ROOT_ARN, ACCOUNT, arn}
    assert outcome(verdicts[arn]) == "manual"
    assert name in verdicts[arn].message


@pytest.mark.parametrize("bad", [paged(None), paged([], None)], ids=["refused", "second page refused"])
def test_a_list_that_is_not_whole_says_nothing(bad: Listing) -> None:
    assert outcome(found(root(), roles=bad)[ACCOUNT]) == "error"
    verdicts = found(root(), providers=bad)
    assert outcome(verdicts[ACCOUNT]) == "error"
    assert "" in verdicts


@pytest.mark.parametrize("item", [{}, {"Path": 7, "RoleName": "x"}, {"Path": None}, {"RoleName": "AWSReservedSSO_x"}])
def test_a_role_that_cannot_be_read_says_nothing(item: JSON) -> None:
    assert outcome(found(root(), roles=[item])[ACCOUNT]) == "error"


@pytest.mark.parametrize("item", [{}, {"Arn": 7}, {"Arn": None}])
def test_a_provider_that_cannot_be_read_leaves_the_population_open(item: JSON) -> None:
    verdicts = found(root(), providers=[item])
    assert (outcome(verdicts[ACCOUNT]), "" in verdicts) == ("error", True)


def test_each_question_is_asked_once() -> None:
    answers: dict[Question, Answer | Listing] = {
        question("iam.get_credential_report"): Answer.literal(account(root(), *(user(f"u{n}") for n in range(50)))),
        question("iam.get_account_summary"): summary(50),
        question("iam.list_roles", PathPrefix=PATH): paged([RESERVED]),
        question("iam.list_saml_providers"): paged([OWN]),
    }
    aws = InMemory(answers, target=TARGET)
    assert len(list(subjects_of(CHECK, params(CHECK), aws))) == 52
    assert aws.asked == list(answers)


def test_nothing_passes_where_nothing_may_be_asked() -> None:
    verdicts = found(roles=paged(None), providers=paged(None), report=DENIED)
    assert Outcome.PASS not in {verdict.outcome for verdict in verdicts.values() if isinstance(verdict, Verdict)}
    assert verdicts.keys() == {""}


def test_the_generated_time_of_these_tests_is_before_now() -> None:
    assert dt.datetime.fromisoformat(GENERATED) < NOW
