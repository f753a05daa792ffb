"""Everybody in a GitLab group has MFA enabled, and the group requires it.

On the basis of configuration: what accounts and group have set, as GitLab tells an owner. Nobody tried to sign in
without a second factor.

GitLab tells owners only who has MFA; to others it leaves the flag out, with 200. A flag that is not there is an error,
never a pass and never a fail. Who asks must stand in the list of members as an owner: that proves as well that the list
is the one that owners see.
"""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from auditor.answers import Answer, Listing
from auditor.checking import Check, Source, Subject
from auditor.model import Basis, Resource, Unproven, Verdict, failed, not_applicable, passed

GROUP, MEMBER, INVITATION = "gitlab.group", "gitlab.member", "gitlab.invitation"
OWNER = 50
"""The access level of owners ("Roles", docs.gitlab.com/api/group_members)."""


class Params(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`enforced`: whether the group itself must require MFA, beside everybody having it."""

    enforced: bool = True


def collect(params: Params, gitlab: Source) -> Iterator[Subject]:
    """The group where it must require MFA, every member of it, and its pending invitations."""
    if params.enforced:
        yield Subject(Resource(GROUP, gitlab.target.get("/group", str)), group=gitlab.ask("group"))
    members = gitlab.listing("members")
    _require_owner(members, gitlab.ask("user"))
    for member in members:
        yield Subject(Resource(MEMBER, str(member.get("/id", int)), member.get("/username", str)), member=member)
    for invitation in gitlab.listing("invitations"):
        yield Subject(Resource(INVITATION, invitation.get("/invite_email", str)), invitation=invitation)


def _require_owner(members: Listing, user: Answer) -> None:
    """Refuse a list that was not asked for by an owner, or that lacks who asked."""
    asker = user.get("/id", int)
    levels = [member.get("/access_level", int) for member in members if member.get("/id", int) == asker]
    if not levels:
        raise Unproven("the list of members lacks who asked for it, so it is not whole, or not an owner's", [members])
    if max(levels) < OWNER:
        raise Unproven(f"who asks is no owner (access level {max(levels)}), and GitLab tells owners only", [members])


def evaluate(subject: Subject, params: Params) -> Verdict:  # noqa: ARG001 - every check has the same shape
    """Fail a member without MFA, and a group that does not require it."""
    if subject.resource.type == GROUP:
        return _group(subject.group)
    if subject.resource.type == INVITATION:
        level, since = subject.invitation.get("/access_level", int), subject.invitation.get("/created_at", str)
        return not_applicable(f"invited with access level {level} at {since}, and not accepted: it gives no access yet")
    if subject.member.get("/state", str) == "blocked":
        return not_applicable("is blocked: the account cannot sign in")
    if subject.member.get("/two_factor_enabled", bool):
        return passed("has MFA")
    return failed("has no MFA", advice="have MFA enabled, or remove the account from the group")


def _group(group: Answer) -> Verdict:
    if group.get("/require_two_factor_authentication", bool):
        return passed("requires MFA of everyone in it")
    if group.get("", dict)["parent_id"] is not None:  # null: there is no group above; the source knows that it is there
        raise Unproven("does not require MFA itself, but a group above it may", [group])
    return failed("does not require MFA", advice="require it: group settings, Permissions and group features")


CHECK = Check(
    id="gitlab-mfa",
    title="GitLab accounts have MFA",
    sources={"gitlab": {"group": 0, "user": 1, "members": 1, "invitations": 1}},
    shard="target",
    basis=Basis.CONFIGURATION,
    params=Params,
    collect=collect,
    evaluate=evaluate,
    population="the group, and everybody whom GitLab lists for an owner as a member, inherited and invited included",
    proves="GitLab says of each of these accounts that MFA is enabled, and of the group that it requires MFA",
    cannot_prove=(
        "that a second factor was asked for at a sign-in: access tokens, SSH and deploy keys act without one",
        "accounts that are members of a subgroup or a project only, and not of the group",
        "accounts that sign in through an identity provider (SAML): their MFA is the provider's evidence",
        "that a member is a person: the bot of an access token is listed as an account without MFA",
    ),
    no_second_source="the members are not counted a second time; who asks must be among them, as an owner",
)
