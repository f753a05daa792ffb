"""Every account in a Heroku team, and in the enterprise account above it, has MFA enabled.

On the basis of configuration: what each account has set, as Heroku tells the members of a team. Nobody tried to sign in
without a second factor, so it is no behaviour; and it is the state of now, not a record of the past.

A membership is named by its e-mail address: Heroku's schema requires no other name of a member, and who writes a waiver
or an attestation knows it. Somebody in both the team and the enterprise account has two memberships, with a flag each.

Heroku counts members nowhere. What it lists twice is compared: who is invited is not in the team yet, and who is in an
enterprise team, but as a collaborator, is in the enterprise account above it.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

import msgspec

from auditor.answers import Answer, Listing
from auditor.checking import Check, Reconciled, Source, Subject
from auditor.model import Basis, Resource, Unproven, Verdict, failed, manual, not_applicable, passed

MEMBER, ENTERPRISE_MEMBER, INVITATION = "heroku.team.member", "heroku.enterprise.member", "heroku.team.invitation"
KINDS = {MEMBER: "team member", ENTERPRISE_MEMBER: "enterprise member"}
MAY_LIST = ("admin", "owner", "member", "viewer")
TEAM = "members of the team (collaborators apart)"
REMOVE = "have MFA enabled (Account settings, Multi-Factor Authentication), or remove the account"
ATTEST = "attest that the identity provider asks this account for a second factor"


class Params(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """None: MFA is on or off, and by which method Heroku does not say."""


def collect(params: Params, heroku: Source) -> Iterator[Subject | Reconciled]:  # noqa: ARG001 - as in every check
    """Every membership of the team, its pending invitations, and every membership of a declared enterprise account.

    Only a team that is no enterprise team has invitations; members of an enterprise team are added at once.
    """
    team = heroku.ask("team")
    role = team.get("", dict).get("role")  # null for somebody who is not in the team
    if role not in MAY_LIST:
        raise Unproven(f"who asks has the role {role} in the team, and Heroku lists members to members only", [team])
    members = heroku.listing("members")
    yield from _memberships(members, MEMBER, "/email")
    has_invitations = team.get("/type", Literal["enterprise", "team"]) == "team"
    if has_invitations:
        invitations = heroku.listing("invitations")
        for invitation in invitations:
            resource = Resource(INVITATION, invitation.get("/id", str), invitation.find("/user/email", str) or "")
            yield Subject(resource, invitation=invitation)
        yield _with_invitations(members, invitations)
    declared = heroku.target.find("/enterprise_account", str)
    if declared is not None:
        _seen_by_asker(heroku.ask("enterprise_account"), declared)
        above = heroku.listing("enterprise_members")
        yield from _memberships(above, ENTERPRISE_MEMBER, "/user/email")
        yield _with_enterprise_account(team, members, declared, above)
    elif not has_invitations:
        note = "an enterprise team has no invitations, and the target declares no enterprise account"
        yield Reconciled(what=TEAM, listed=len(_insiders(members)), counted=None, note=note)


def _insiders(members: Listing) -> set[str]:
    """The addresses of those in the team. A collaborator is on some apps only, and may be invited to more."""
    roles = ((member.get("", dict).get("role"), member.get("/email", str)) for member in members)
    return {email.casefold() for role, email in roles if role in MAY_LIST}


def _with_invitations(members: Listing, invitations: Listing) -> Reconciled:
    """Hold those in the team against those invited to it: nobody is both."""
    inside = _insiders(members)
    invited = {email.casefold() for one in invitations if (email := one.find("/user/email", str))}
    return Reconciled(
        what=TEAM,
        listed=len(inside),
        counted=len(inside - invited),
        source="the pending invitations to it",
        compared="of them are in no invitation that names an address",
        parts=(members, invitations),
    )


def _with_enterprise_account(team: Answer, members: Listing, declared: str, above: Listing) -> Reconciled:
    """Hold those in an enterprise team against the members of the enterprise account, which has them all."""
    inside = _insiders(members)
    is_below = team.get("", dict).get("enterprise_account") is not None  # null for a team without one
    if not is_below or team.get("/enterprise_account/name", str).casefold() != declared.casefold():
        note = f"the team does not belong to the enterprise account {declared}, as Heroku says"
        return Reconciled(what=TEAM, listed=len(inside), counted=None, note=note)
    there = {one.get("/user/email", str).casefold() for one in above}
    return Reconciled(
        what=TEAM,
        listed=len(inside),
        counted=len(inside & there),
        source="the enterprise account's list of members",
        compared="of them are in it",
        parts=(members, above),
    )


def _memberships(listing: Listing, kind: str, email: str) -> Iterator[Subject]:
    """One subject for each item. Who asks is a member, so that a list of nobody is not the whole."""
    nobody = True
    for membership in listing:
        nobody = False
        yield Subject(Resource(kind, membership.get(email, str)), membership=membership)
    if nobody:
        raise Unproven(f"no {KINDS[kind]} is listed, not even who asks, so the list is not whole", [listing])


def _seen_by_asker(account: Answer, declared: str) -> None:
    """Raise unless this is the declared enterprise account, and who asks may see its members."""
    name = account.get("/name", str)
    if name.casefold() != declared.casefold():
        raise Unproven(f"declared enterprise account {declared}, but {name} answered", [account])
    permissions = account.get("/permissions", list[str])
    if "view" not in permissions:
        held = ", ".join(permissions) or "none"
        raise Unproven(f"who asks lacks the permission view in the enterprise account (has: {held})", [account])


def evaluate(subject: Subject, params: Params) -> Verdict:  # noqa: ARG001 - every check has the same shape
    """Fail a membership whose account has no MFA; leave it to people where an identity provider signs it in."""
    if subject.resource.type == INVITATION:
        since = subject.invitation.get("/created_at", str)
        return not_applicable(f"invited at {since}, and not accepted: it gives no access yet")
    kind = KINDS[subject.resource.type]
    if provider := _provider(subject.membership, subject.resource.type):
        return manual(f"{kind} whom {provider} signs in: its MFA is that provider's evidence", advice=ATTEST)
    if subject.membership.get("/two_factor_authentication", bool):
        return passed(f"{kind} with MFA enabled")
    return failed(f"{kind} without MFA", advice=REMOVE)


def _provider(membership: Answer, kind: str) -> str:
    """Return the identity provider that signs the account in, in words; "" where Heroku itself does.

    A member of a team is said to be federated or not. One of an enterprise account is by its provider only, so that
    there a missing provider says nothing, and null says none.
    """
    federated = kind == MEMBER and membership.get("/federated", bool)
    if membership.has("/identity_provider"):
        if membership.get("", dict)["identity_provider"] is not None:
            if membership.find("/identity_provider/redacted", bool):
                return "an identity provider that Heroku does not name"
            return f"identity provider {membership.get('/identity_provider/name', str)}"
    elif kind == ENTERPRISE_MEMBER:
        raise Unproven("Heroku does not say whether an identity provider signs the account in", [membership])
    return "an identity provider" if federated else ""


CHECK = Check(
    id="heroku-mfa",
    title="Heroku accounts have MFA",
    sources={
        "heroku": {"team": 1, "members": 1, "invitations": 0, "enterprise_account": 0, "enterprise_members": 0},
    },
    shard="target",
    basis=Basis.CONFIGURATION,
    params=Params,
    collect=collect,
    evaluate=evaluate,
    population="every membership of the team, and of the enterprise account where one is declared, as Heroku lists it",
    proves="each of these accounts has MFA enabled, by Heroku's own flag",
    cannot_prove=(
        "that a second factor was asked for at a sign-in, or for what is done with an API token",
        "collaborators on single apps, from outside the team: Heroku does not say whether they have MFA",
        "members whom an identity provider signs in: their MFA is the provider's evidence",
        "a list that is short and well-formed: this API has no second count; it must not be empty",
    ),
    second_source=(
        "members with invitations, of which nobody is in both; members of an enterprise team with the members of the "
        "enterprise account, who are all of them and more"
    ),
    no_second_source=(
        "Heroku counts no members: somebody whom a list leaves out is found only where another list has them"
    ),
    criteria=("CC6.1", "CC6.3", "CC6.6"),
)
