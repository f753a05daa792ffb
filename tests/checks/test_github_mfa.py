"""MFA on GitHub: who is listed as without it, who asks, what the organization requires, and who is only invited."""

from __future__ import annotations

from typing import Any

import pytest

from auditor.answers import Answer, Listing
from auditor.checking import Subject
from auditor.checks.github_mfa import CHECK, COUNT
from auditor.model import JSON, Outcome, Unproven, Verdict, failed, not_applicable, passed
from tests.checks.asking import (
    DENIED,
    InMemory,
    Question,
    paged,
    params,
    question,
    reconciled_by,
    subjects_of,
    unreadable,
)
from tests.checks.passing import NOW

TARGET = Answer.literal({"organization": "explo"})
FLAG = {"id": 5, "login": "explo", "two_factor_requirement_enabled": True}
OWNER = {
    "state": "active",
    "role": "admin",
    "organization": {"id": 5, "login": "explo"},
    "user": {"id": 1, "login": "ada"},
}
ADA, BAO, EVE, MAX = ({"id": i, "login": name} for i, name in enumerate(("ada", "bao", "eve", "max"), 1))
INVITED = {"id": 90, "login": None, "email": "x@example.com", "role": "admin", "created_at": "2026-11-20T09:12:44Z"}


def accounts(operation: str, everybody: Any, without: Any = (), insecure: Any = ()) -> dict[Question, Any]:
    lists = {"all": everybody, "2fa_disabled": without, "2fa_insecure": insecure}
    return {
        question(operation, filter=name): found if isinstance(found, Listing) else paged(list(found))
        for name, found in lists.items()
    }


def counting(members: Any) -> Answer:
    """An answer of the GraphQL API."""
    return Answer.literal({"data": {"organization": {"login": "explo", "membersWithRole": {"totalCount": members}}}})


def answers(**parts: Any) -> dict[Question, Any]:
    """A GitHub; `members` and `outside` are the three lists of each."""
    return {
        question("organization"): parts.get("organization", Answer.literal(FLAG)),
        question("membership"): parts.get("membership", Answer.literal(OWNER)),
        **accounts("members", *parts.get("members", ([ADA, BAO],))),
        question("members_count"): parts.get("count", counting(2)),
        **accounts("outside_collaborators", *parts.get("outside", ([EVE],))),
        question("invitations"): parts.get("invitations", paged([])),
    }


def found(given: JSON = None, **parts: Any) -> dict[str, Any]:
    """Return the verdict on each subject by its id, and under "" why the population is incomplete."""
    whole = params(CHECK, **(given or {}))
    verdicts: dict[str, Any] = {}
    try:
        for subject in subjects_of(CHECK, whole, InMemory(answers(**parts), target=TARGET)):
            assert subject.resource.id not in verdicts
            verdicts[subject.resource.id] = judged(subject, whole)
    except Unproven as error:
        verdicts[""] = error.reason
    return verdicts


def judged(subject: Subject, given: Any) -> Any:
    try:
        return CHECK.evaluate(subject.judged(NOW, []), given)
    except Unproven as error:
        return error.reason


def outcomes(verdicts: dict[str, Any]) -> dict[str, str]:
    return {name: one.outcome.value if isinstance(one, Verdict) else "error" for name, one in verdicts.items()}


def test_where_nobody_is_without_mfa_everybody_passes() -> None:
    verdicts = found()
    assert outcomes(verdicts) == {"explo": "pass", "1": "pass", "2": "pass", "3": "pass"}
    assert verdicts["1"].message == "member: neither among those without MFA nor among those with insecure MFA only"
    assert verdicts["3"].message.startswith("outside collaborator: ")


def test_absence_cites_the_account_and_every_page_of_both_lists() -> None:
    lists = [Listing(lambda: iter(()), "/items", "evidence/code.main.jsonl", lines) for lines in ((5, 7), (8, 8))]
    verdict = found(members=([ADA], *lists))["1"]
    assert [cite.lines for cite in verdict.cites] == [(1, 1), (5, 7), (8, 8)]
    assert verdict.cites[0].pointer == "/Items/0"


def test_presence_cites_both_places() -> None:
    verdict = found(members=([ADA, BAO], [BAO]))["2"]
    assert verdict.outcome is Outcome.FAIL
    assert [cite.pointer for cite in verdict.cites] == ["/Items/1", "/Items/0"]


@pytest.mark.parametrize(
    ("parts", "who", "message"),
    [
        ({"members": ([ADA, BAO], [BAO])}, "2", "member without MFA"),
        ({"members": ([ADA, BAO], [], [BAO])}, "2", "member with insecure MFA only, such as SMS"),
        ({"members": ([ADA, BAO], [BAO], [BAO])}, "2", "member without MFA"),
        ({"outside": ([EVE], [EVE])}, "3", "outside collaborator without MFA"),
        ({"outside": ([EVE], [], [EVE])}, "3", "outside collaborator with insecure MFA only, such as SMS"),
        ({"members": (paged([ADA], [BAO]), paged([], [BAO]))}, "2", "member without MFA"),
    ],
)
def test_a_listed_account_fails_and_no_other(parts: dict[str, Any], who: str, message: str) -> None:
    verdicts = found(**parts)
    assert {name for name, one in outcomes(verdicts).items() if one == "fail"} == {who}
    assert verdicts[who].message == message
    assert verdicts[who].advice


def test_insecure_methods_may_be_allowed_and_are_then_not_asked_for() -> None:
    github = InMemory(answers(members=([ADA, BAO], [], [BAO])), target=TARGET)
    given = params(CHECK, allow_insecure=True)
    verdicts = {one.resource.id: judged(one, given) for one in subjects_of(CHECK, given, github)}
    assert set(outcomes(verdicts).values()) == {"pass"}
    assert verdicts["2"].message == "member: not among those without MFA"
    assert not [asked for asked in github.asked if ("filter", "2fa_insecure") in asked[1]]
    assert outcomes(found({"allow_insecure": True}, members=([ADA, BAO], [BAO])))["2"] == "fail"


def test_an_account_that_only_the_filtered_list_has_is_not_lost() -> None:
    assert outcomes(found(members=([ADA], [MAX], [BAO]))) == {
        "explo": "pass", "1": "pass", "4": "fail", "2": "fail", "3": "pass",
    }  # fmt: skip


def test_each_question_is_asked_once() -> None:
    github = InMemory(answers(), target=TARGET)
    list(subjects_of(CHECK, params(CHECK), github))
    assert len(github.asked) == len(set(github.asked)) == 10


# Two counts of the members


def counts(**parts: Any) -> tuple[int, int | None]:
    """Return how many members are listed, and how many are counted."""
    (one,) = reconciled_by(CHECK, params(CHECK), InMemory(answers(**parts), target=TARGET))
    return one.listed, one.count()


def test_the_members_are_counted_a_second_time_and_nobody_else_is() -> None:
    assert counts() == (2, 2)
    assert counts(count=counting(13)) == (2, 13)
    assert counts(outside=([EVE, MAX],)) == (2, 2)


def test_a_member_whom_two_pages_list_counts_once() -> None:
    assert counts(members=(paged([ADA, BAO], [BAO, EVE]),)) == (3, 2)


def test_who_only_a_filtered_list_has_was_not_listed() -> None:
    assert counts(members=([ADA], [MAX])) == (1, 2)


@pytest.mark.parametrize("count", [DENIED, *unreadable(counting(2).record.body, COUNT)])
def test_a_count_that_cannot_be_read_hides_no_verdict(count: Answer) -> None:
    assert outcomes(found(count=count, outside=([EVE], [EVE]))) == {
        "explo": "pass", "1": "pass", "2": "pass", "3": "fail",
    }  # fmt: skip
    with pytest.raises(Unproven):
        counts(count=count)


def test_the_count_is_asked_between_the_list_and_what_is_looked_up_in_it() -> None:
    github = InMemory(answers(), target=TARGET)
    list(subjects_of(CHECK, params(CHECK), github))
    asked = [name for name, _ in github.asked]
    assert asked.index("members_count") == asked.index("members") + 1


# Who asks


@pytest.mark.parametrize(
    ("state", "role"), [("active", "member"), ("active", "billing_manager"), ("pending", "admin"), ("x", "admin")]
)
def test_who_is_no_owner_cannot_tell(state: str, role: str) -> None:
    """GitHub would answer with less, and 200."""
    verdicts = found(membership=Answer.literal(OWNER | {"state": state, "role": role}))
    assert verdicts.keys() == {"explo", ""}
    assert verdicts[""].startswith("who asks is no owner")


@pytest.mark.parametrize("pointer", ["/state", "/role", "/user/id"])
def test_a_membership_that_cannot_be_read_proves_nobody(pointer: str) -> None:
    for case in unreadable(OWNER, pointer):
        assert found(membership=case.values[0]).keys() == {"explo", ""}


def test_a_list_of_members_without_the_asker_is_not_whole() -> None:
    verdicts = found(members=([BAO],))
    assert "lacks the owner who asked" in verdicts[""]
    assert "3" not in verdicts


def test_an_empty_list_of_members_proves_nothing() -> None:
    assert found(members=([],)).keys() == {"explo", ""}


# Lists that cannot be read


@pytest.mark.parametrize("operation", ["members", "outside"])
@pytest.mark.parametrize("place", [0, 1, 2])
@pytest.mark.parametrize("bad", [paged(None), paged([], None)], ids=["refused", "second page refused"])
def test_a_list_that_is_not_whole_passes_nobody_of_its_kind(operation: str, place: int, bad: Listing) -> None:
    everybody = [ADA, BAO] if operation == "members" else [EVE]
    lists: list[Any] = [everybody, [], []]
    lists[place] = bad
    verdicts = found(**{operation: tuple(lists)})
    assert "" in verdicts
    assert not {str(one["id"]) for one in everybody} & verdicts.keys()


@pytest.mark.parametrize("item", [{}, {"id": "2", "login": "bao"}, {"id": None, "login": "bao"}, {"login": "bao"}])
def test_an_item_without_a_number_stops_the_list(item: JSON) -> None:
    several: tuple[Any, ...] = (([ADA, item],), ([ADA], [item]), ([ADA], [], [item]))
    for lists in several:
        verdicts = found(members=lists)
        assert "" in verdicts
        assert Outcome.FAIL.value not in outcomes(verdicts).values()


def test_invitations_that_cannot_be_read_leave_the_population_open() -> None:
    assert "" in found(invitations=paged(None))


# What the organization requires


def test_what_the_organization_requires() -> None:
    assert found()["explo"] == passed("requires MFA of everyone in it")
    verdict = found(organization=Answer.literal(FLAG | {"two_factor_requirement_enabled": False}))["explo"]
    assert verdict == failed(
        "does not require MFA", advice="require it: organization settings, Authentication security"
    )


@pytest.mark.parametrize("answer", [*unreadable(FLAG, "/two_factor_requirement_enabled"), DENIED])
def test_a_requirement_that_is_not_said_is_an_error(answer: Answer) -> None:
    assert outcomes(found(organization=answer)) == {"explo": "error", "1": "pass", "2": "pass", "3": "pass"}


# Invitations


def test_a_pending_invitation_is_out_of_scope_with_the_proof() -> None:
    verdicts = found(invitations=paged([INVITED]))
    expected = "invited as admin at 2026-11-20T09:12:44Z, and not accepted: it gives no access yet"
    assert verdicts["90"] == not_applicable(expected)


@pytest.mark.parametrize("pointer", ["/role", "/created_at"])
def test_an_invitation_that_cannot_be_read_is_an_error(pointer: str) -> None:
    for case in unreadable(INVITED, pointer):
        answer: Any = case.values[0]
        if answer.readable and "redacted" not in str(case.id):
            assert outcomes(found(invitations=paged([answer.record.body])))["90"] == "error"
