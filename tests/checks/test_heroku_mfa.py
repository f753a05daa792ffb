"""MFA on Heroku: what each membership says, who signs the account in, who asks, and who is only invited."""

from __future__ import annotations

from typing import Any

import pytest

from auditor.answers import Answer
from auditor.checking import Subject
from auditor.checks.heroku_mfa import ATTEST, CHECK, REMOVE
from auditor.model import JSON, Outcome, Unproven, Verdict, failed, manual, not_applicable, passed
from tests.checks.asking import (
    DENIED,
    InMemory,
    Question,
    drop,
    paged,
    params,
    question,
    reconciled_by,
    subjects_of,
    unreadable,
)
from tests.checks.passing import NOW

TEAM = {"id": "t", "name": "explo", "role": "member", "type": "team"}
ADA = {
    "created_at": "2024-05-02T09:00:00Z",
    "email": "ada@explo.co",
    "federated": False,
    "id": "m1",
    "identity_provider": None,
    "role": "admin",
    "two_factor_authentication": True,
    "updated_at": "2024-05-02T09:00:00Z",
}
BAO = ADA | {"email": "bao@explo.co", "id": "m2"}
SSO = {"id": "p", "name": "acme-sso", "redacted": False, "owner": {"id": "t", "type": "team"}}
INVITED = {"id": "i1", "created_at": "2026-11-20T09:12:44Z", "role": "member", "user": {"email": "new@explo.co"}}
ACME = {"id": "e", "name": "acme", "permissions": ["view"]}
EVE = {"id": "x1", "user": {"email": "eve@explo.co"}, "two_factor_authentication": True, "identity_provider": None}
PROVIDERS: list[tuple[JSON, str]] = [
    (SSO, "identity provider acme-sso"),
    ({"redacted": True}, "an identity provider that Heroku does not name"),
    ({**SSO, "redacted": True, "name": None}, "an identity provider that Heroku does not name"),
]


def answers(**parts: Any) -> dict[Question, Any]:
    """A Heroku: without an enterprise account unless `above` lists its members."""
    found = {
        question("team"): parts.get("team", Answer.literal(TEAM)),
        question("members"): parts.get("members", paged([ADA, BAO])),
        question("invitations"): parts.get("invitations", paged([])),
    }
    if "above" in parts:
        found[question("enterprise_account")] = parts.get("account", Answer.literal(ACME))
        found[question("enterprise_members")] = parts["above"]
    return found


def asking(**parts: Any) -> InMemory:
    target = {"team": "explo"} | ({"enterprise_account": "acme"} if "above" in parts else {})
    return InMemory(answers(**parts), target=Answer.literal(target))


def found(**parts: Any) -> dict[str, Any]:
    """Return the verdict on each subject by its id, and under "" why the population is incomplete."""
    verdicts: dict[str, Any] = {}
    try:
        for subject in subjects_of(CHECK, params(CHECK), asking(**parts)):
            verdicts[subject.resource.id] = judged(subject)
    except Unproven as error:
        verdicts[""] = error.reason
    return verdicts


def judged(subject: Subject) -> Any:
    try:
        return CHECK.evaluate(subject.judged(NOW, []), params(CHECK))
    except Unproven as error:
        return error.reason


def outcomes(verdicts: dict[str, Any]) -> dict[str, str]:
    return {name: one.outcome.value if isinstance(one, Verdict) else "error" for name, one in verdicts.items()}


def of(member: JSON) -> Any:
    """Return the verdict on one member of a team."""
    return found(members=paged([member]))["ada@explo.co"]


def above(member: JSON) -> Any:
    """Return the verdict on one member of an enterprise account."""
    return found(above=paged([member]))["eve@explo.co"]


# One membership


def test_the_flag_decides() -> None:
    assert of(ADA) == passed("team member with MFA enabled")
    assert of(ADA | {"two_factor_authentication": False}) == failed("team member without MFA", advice=REMOVE)
    assert above(EVE) == passed("enterprise member with MFA enabled")
    assert above(EVE | {"two_factor_authentication": False}) == failed("enterprise member without MFA", advice=REMOVE)


@pytest.mark.parametrize("answer", unreadable(ADA, "/two_factor_authentication"))
def test_a_flag_that_is_not_said_is_an_error_of_that_member_alone(answer: Answer) -> None:
    if not answer.readable or answer.record.redacted:
        return  # then the whole list cannot be read
    verdicts = found(members=paged([answer.record.body, BAO]))
    assert outcomes(verdicts) == {"ada@explo.co": "error", "bao@explo.co": "pass"}


@pytest.mark.parametrize("flag", [True, False, None, "absent"])
def test_where_a_provider_signs_in_the_flag_says_nothing(flag: Any) -> None:
    """Heroku lets nobody of single sign-on turn MFA on, so false is what it says of them."""
    for provider, words in PROVIDERS:
        parts = {"identity_provider": provider, "two_factor_authentication": flag}
        member, other = ADA | {"federated": True} | parts, EVE | parts
        if flag == "absent":
            member, other = drop(member, "/two_factor_authentication"), drop(other, "/two_factor_authentication")
        rest = f"whom {words} signs in: its MFA is that provider's evidence"
        assert of(member) == manual(f"team member {rest}", advice=ATTEST)
        assert above(other) == manual(f"enterprise member {rest}", advice=ATTEST)


def test_federated_is_manual_whatever_is_said_of_the_provider() -> None:
    for member in (ADA | {"federated": True}, drop(ADA | {"federated": True}, "/identity_provider")):
        assert of(member).outcome is Outcome.MANUAL
        assert "an identity provider" in of(member).message


def test_a_provider_is_manual_even_where_federated_is_false() -> None:
    assert of(ADA | {"identity_provider": SSO}).outcome is Outcome.MANUAL


def test_a_missing_provider_says_nothing_of_an_enterprise_member() -> None:
    """A team's member has `federated` for that."""
    assert of(drop(ADA, "/identity_provider")).outcome is Outcome.PASS
    for flag in (True, False):
        verdict = above(drop(EVE | {"two_factor_authentication": flag}, "/identity_provider"))
        assert verdict == "Heroku does not say whether an identity provider signs the account in"


@pytest.mark.parametrize("provider", [{}, {"name": 7}, {"name": None}, [], "acme", 0, False, {"redacted": "yes"}])
def test_a_provider_that_cannot_be_read_is_an_error(provider: JSON) -> None:
    assert isinstance(of(ADA | {"identity_provider": provider}), str)
    assert isinstance(above(EVE | {"identity_provider": provider}), str)


@pytest.mark.parametrize("federated", [None, 0, "false", "absent"])
def test_a_member_of_whom_it_is_not_said_whether_federated_is_an_error(federated: JSON) -> None:
    member = drop(ADA, "/federated") if federated == "absent" else ADA | {"federated": federated}
    assert isinstance(of(member), str)


# The population


def test_every_page_of_every_list_is_in_it_and_nobody_twice_in_a_list() -> None:
    verdicts = found(members=paged([ADA], [BAO]), invitations=paged([INVITED]), above=paged([EVE], [EVE | {"id": "x"}]))
    assert outcomes(verdicts) == {
        "ada@explo.co": "pass",
        "bao@explo.co": "pass",
        "i1": "not_applicable",
        "eve@explo.co": "pass",
    }


def test_somebody_in_both_has_two_memberships_and_each_is_judged() -> None:
    here, there = ADA, EVE | {"user": {"email": "ada@explo.co"}, "two_factor_authentication": False}
    subjects = list(subjects_of(CHECK, params(CHECK), asking(members=paged([here]), above=paged([there]))))
    assert [(one.resource.type, one.resource.id, judged(one).outcome.value) for one in subjects] == [
        ("heroku.team.member", "ada@explo.co", "pass"),
        ("heroku.enterprise.member", "ada@explo.co", "fail"),
    ]


def test_the_fewest_questions_are_asked_and_each_once() -> None:
    for parts, expected in (
        ({}, ["team", "members", "invitations"]),
        ({"team": Answer.literal(TEAM | {"type": "enterprise"})}, ["team", "members"]),
        ({"above": paged([EVE])}, ["team", "members", "invitations", "enterprise_account", "enterprise_members"]),
    ):
        heroku = asking(**parts)
        list(subjects_of(CHECK, params(CHECK), heroku))
        assert [name for name, _ in heroku.asked] == expected


def test_a_pending_invitation_is_out_of_scope_with_the_proof() -> None:
    verdicts = found(invitations=paged([INVITED]))
    expected = "invited at 2026-11-20T09:12:44Z, and not accepted: it gives no access yet"
    assert verdicts["i1"] == not_applicable(expected)
    assert isinstance(found(invitations=paged([drop(INVITED, "/created_at")]))["i1"], str)


@pytest.mark.parametrize("part", ["members", "invitations", "above"])
@pytest.mark.parametrize("bad", [paged(None), paged([], None)], ids=["refused", "second page refused"])
def test_a_list_that_is_not_whole_leaves_the_population_open(part: str, bad: Any) -> None:
    whole = {"above": paged([EVE])}
    assert "" not in found(**whole)
    assert "cut off" in found(**whole | {part: bad})[""]


@pytest.mark.parametrize("part", ["members", "above"])
def test_a_list_of_nobody_proves_nothing(part: str) -> None:
    verdicts = found(**{"above": paged([EVE]), part: paged([])})
    assert "not even who asks" in verdicts[""]
    assert "fail" not in outcomes(verdicts).values()


@pytest.mark.parametrize("email", [None, 7, "absent"])
def test_an_item_without_an_address_stops_the_list(email: JSON) -> None:
    member = drop(ADA, "/email") if email == "absent" else ADA | {"email": email}
    assert "" in found(members=paged([BAO, member]))
    assert "" in found(above=paged([EVE | {"user": {"email": email} if email != "absent" else {}}]))


# Lists that know of one another


def counts(**parts: Any) -> list[tuple[int, int | None]]:
    """Return what is listed, and what is counted, of each population."""
    return [(one.listed, one.count()) for one in reconciled_by(CHECK, params(CHECK), asking(**parts))]


def invited(email: str | None) -> JSON:
    return INVITED | {"user": {"email": email}} if email else drop(INVITED, "/user")


def test_nobody_is_both_invited_and_in_the_team() -> None:
    assert counts() == [(2, 2)]
    assert counts(invitations=paged([INVITED])) == [(2, 2)]
    assert counts(invitations=paged([INVITED], [invited("Bao@Explo.co")])) == [(2, 1)]
    shouting = paged([ADA, BAO | {"email": "BAO@EXPLO.CO"}])
    assert counts(members=shouting, invitations=paged([invited("bao@explo.co")])) == [(2, 1)]


def test_who_is_listed_or_invited_twice_counts_once() -> None:
    twice = paged([invited("bao@explo.co"), invited("Bao@explo.co")])
    assert counts(members=paged([ADA, BAO], [BAO]), invitations=paged([INVITED, INVITED])) == [(2, 2)]
    assert counts(members=paged([ADA, BAO], [BAO]), invitations=twice) == [(2, 1)]


def test_a_comparison_of_two_lists_is_not_told_as_a_count() -> None:
    """What either list leaves out, the other does not count."""
    for parts in ({}, {"team": Answer.literal(BELOW), "above": paged(THERE)}):
        (one,) = reconciled_by(CHECK, params(CHECK), asking(**parts))
        assert one.compared.startswith("of them are in ")


def test_an_invitation_that_names_nobody_is_compared_with_nobody() -> None:
    assert counts(invitations=paged([invited(None)])) == [(2, 2)]


@pytest.mark.parametrize("role", ["collaborator", None, 7, "absent"])
def test_a_collaborator_may_be_invited_to_the_team(role: JSON) -> None:
    outside = drop(BAO, "/role") if role == "absent" else BAO | {"role": role}
    assert counts(members=paged([ADA, outside]), invitations=paged([invited("bao@explo.co")])) == [(1, 1)]


BELOW = TEAM | {"type": "enterprise", "enterprise_account": {"id": "e", "name": "Acme"}}
THERE = [EVE | {"user": {"email": email}} for email in ("ada@explo.co", "BAO@explo.co", "cfo@explo.co")]


def test_who_is_in_an_enterprise_team_is_in_the_enterprise_account() -> None:
    below = Answer.literal(BELOW)
    assert counts(team=below, above=paged(THERE)) == [(2, 2)]
    assert counts(team=below, above=paged(THERE[:1], THERE[2:])) == [(2, 1)]
    collaborator = paged([ADA, BAO | {"role": "collaborator"}])
    assert counts(team=below, members=collaborator, above=paged(THERE[:1])) == [(1, 1)]


@pytest.mark.parametrize("enterprise_account", [None, {"id": "e", "name": "other"}, "absent"])
def test_a_team_of_no_or_another_enterprise_account_has_no_second_list(enterprise_account: JSON) -> None:
    team = drop(BELOW, "/enterprise_account") if enterprise_account == "absent" else BELOW
    team = team if enterprise_account == "absent" else team | {"enterprise_account": enterprise_account}
    (one,) = reconciled_by(CHECK, params(CHECK), asking(team=Answer.literal(team), above=paged(THERE)))
    assert (one.count(), one.note) == (None, "the team does not belong to the enterprise account acme, as Heroku says")
    assert counts(team=Answer.literal(team | {"type": "team"}), above=paged(THERE)) == [(2, 2), (2, None)]


@pytest.mark.parametrize("enterprise_account", [{}, {"name": None}, {"name": 7}, "acme", ["acme"]])
def test_an_enterprise_account_of_the_team_that_cannot_be_read_is_an_error(enterprise_account: JSON) -> None:
    team = Answer.literal(BELOW | {"enterprise_account": enterprise_account})
    assert "" in found(team=team, above=paged(THERE))


def test_an_enterprise_team_without_its_account_has_no_second_list() -> None:
    (one,) = reconciled_by(CHECK, params(CHECK), asking(team=Answer.literal(BELOW)))
    assert one.count() is None
    assert "declares no enterprise account" in one.note


# Who asks


@pytest.mark.parametrize("role", ["admin", "owner", "member", "viewer"])
def test_members_may_list_members(role: str) -> None:
    assert "" not in found(team=Answer.literal(TEAM | {"role": role}))


@pytest.mark.parametrize("role", ["collaborator", None, "absent", "guest", 7, []])
def test_who_is_no_member_cannot_tell(role: JSON) -> None:
    team = drop(TEAM, "/role") if role == "absent" else TEAM | {"role": role}
    verdicts = found(team=Answer.literal(team))
    assert verdicts.keys() == {""}
    assert verdicts[""].startswith("who asks has the role ")


@pytest.mark.parametrize("team", [DENIED, *unreadable(TEAM, "/role")])
def test_a_team_that_cannot_be_read_proves_nobody(team: Answer) -> None:
    assert found(team=team).keys() == {""}


@pytest.mark.parametrize("answer", unreadable(TEAM, "/type", "guild"))
def test_a_team_of_an_unknown_kind_may_have_invitations(answer: Answer) -> None:
    assert "" in found(team=answer)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"name": "other"}, "declared enterprise account acme, but other answered"),
        ({"permissions": ["billing"]}, "lacks the permission view in the enterprise account (has: billing)"),
        ({"permissions": []}, "(has: none)"),
    ],
)
def test_an_enterprise_account_that_is_another_or_not_shown_proves_nothing(change: JSON, reason: str) -> None:
    assert "" not in found(above=paged([EVE]), account=Answer.literal(ACME | {"name": "ACME"}))
    verdicts = found(above=paged([EVE]), account=Answer.literal(ACME | change))
    assert reason in verdicts[""]
    assert "eve@explo.co" not in verdicts


@pytest.mark.parametrize("answer", [*unreadable(ACME, "/name"), *unreadable(ACME, "/permissions")])
def test_an_enterprise_account_that_cannot_be_read_proves_nothing(answer: Answer) -> None:
    verdicts = found(above=paged([EVE]), account=answer)
    assert "" in verdicts
    assert "eve@explo.co" not in verdicts
