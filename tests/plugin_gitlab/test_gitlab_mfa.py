"""MFA on GitLab, from literals: what is tested without any GitLab, and with nothing but what auditor installs."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from auditor.answers import Answer, Listing
from auditor.checking import Subject
from auditor.model import Outcome, Resource, Unproven
from auditor_gitlab.check import CHECK, GROUP, INVITATION, MEMBER, Params

ADA = {"id": 1, "username": "ada", "state": "active", "access_level": 50, "two_factor_enabled": True}
BAO = {"id": 2, "username": "bao", "state": "active", "access_level": 30, "two_factor_enabled": True}
GROUP_BODY = {"id": 9, "full_path": "explo", "parent_id": None, "require_two_factor_authentication": True}
INVITED = {"invite_email": "new@example.com", "access_level": 30, "created_at": "2026-11-20T09:12:44.000Z"}


class Written:
    """A source that answers what is written here."""

    target = Answer.literal({"group": "explo"})
    shard = "main"

    def __init__(self, **answers: Answer | Listing) -> None:
        self._answers: dict[str, Any] = {
            "group": Answer.literal(GROUP_BODY),
            "user": Answer.literal({"id": 1, "username": "ada"}),
            "members": Listing.literal(ADA, BAO),
            "invitations": Listing.literal(INVITED),
            **answers,
        }

    def ask(self, operation: str, /, **params: Any) -> Answer:
        assert not params
        answer: Answer = self._answers[operation]
        return answer

    def listing(self, operation: str, /, **params: Any) -> Listing:
        assert not params
        listing: Listing = self._answers[operation]
        return listing


def judge(kind: str, **parts: Any) -> Outcome:
    return CHECK.evaluate(Subject(Resource(kind, "x"), **parts), Params()).outcome


def member(**changed: Any) -> Outcome:
    return judge(MEMBER, member=Answer.literal({**BAO, **changed}))


def test_a_member_passes_with_mfa_and_fails_without() -> None:
    assert member() is Outcome.PASS
    assert member(two_factor_enabled=False) is Outcome.FAIL
    assert member(two_factor_enabled=False, state="deactivated") is Outcome.FAIL


def test_who_is_blocked_or_only_invited_is_apart() -> None:
    assert member(two_factor_enabled=False, state="blocked") is Outcome.NOT_APPLICABLE
    assert judge(INVITATION, invitation=Answer.literal(INVITED)) is Outcome.NOT_APPLICABLE


@pytest.mark.parametrize("flag", [None, "true", 1, "missing"])
def test_a_flag_that_is_not_there_says_nothing(flag: Any) -> None:
    body = {name: value for name, value in {**BAO, "two_factor_enabled": flag}.items() if value != "missing"}
    with pytest.raises(Unproven, match="two_factor_enabled"):
        judge(MEMBER, member=Answer.literal(body))


def test_a_group_must_require_mfa() -> None:
    assert judge(GROUP, group=Answer.literal(GROUP_BODY)) is Outcome.PASS
    off = {**GROUP_BODY, "require_two_factor_authentication": False}
    assert judge(GROUP, group=Answer.literal(off)) is Outcome.FAIL
    with pytest.raises(Unproven, match="a group above it may"):
        judge(GROUP, group=Answer.literal({**off, "parent_id": 3}))
    with pytest.raises(Unproven, match="is missing"):
        judge(GROUP, group=Answer.literal({"id": 9, "full_path": "explo", "parent_id": None}))


def collect(source: Written, **params: Any) -> Iterator[Subject]:
    return (found for found in CHECK.collect(Params(**params), source) if isinstance(found, Subject))


def names(source: Written, **params: Any) -> list[str]:
    return [subject.resource.id for subject in collect(source, **params)]


def test_the_population_is_the_group_its_members_and_its_invitations() -> None:
    assert names(Written()) == ["explo", "1", "2", "new@example.com"]
    assert names(Written(), enforced=False) == ["1", "2", "new@example.com"]


@pytest.mark.parametrize(
    ("members", "reason"),
    [
        (Listing.literal(BAO), "lacks who asked"),
        (Listing.literal({**ADA, "access_level": 40}, BAO), "is no owner"),
        (Listing.literal(status="error", reason="403"), "403"),
    ],
)
def test_a_list_that_is_no_owners_is_no_population(members: Listing, reason: str) -> None:
    subjects = collect(Written(members=members))
    assert next(subjects).resource.type == GROUP
    with pytest.raises(Unproven, match=reason):
        next(subjects)
