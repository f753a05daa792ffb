"""Every account with access to the organization's repositories has MFA enabled, and the organization requires it.

On the basis of configuration: what the accounts and the organization have set, as GitHub tells an owner. Nobody tried
to sign in without a second factor, so it is no behaviour; and it is the state of now, not a record of the past.

GitHub says of no account whether it has MFA: an account has it if it is missing from the list of those without. So
the lists must be whole: asked by an owner (others get a short list, with 200), all pages read, the asker in them, and
as many members as GitHub's GraphQL API counts.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

import msgspec

from auditor.answers import Answer
from auditor.checking import Check, Reconciled, Source, Subject
from auditor.model import Basis, Citation, Outcome, Resource, Unproven, Verdict, failed, not_applicable, passed

ACCOUNT, INVITATION, ORGANIZATION = "github.account", "github.invitation", "github.organization"
KINDS = {"members": "member", "outside_collaborators": "outside collaborator"}
REMOVE = "have MFA enabled, or remove the account; where MFA is required, GitHub locks members out until they comply"
COUNT = "/data/organization/membersWithRole/totalCount"
Filter = Literal["2fa_disabled", "2fa_insecure"]


class Params(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`allow_insecure`: whether MFA by insecure methods only (SMS) counts as MFA."""

    allow_insecure: bool = False


class Lists(msgspec.Struct, frozen=True):
    """The filtered lists, each read once: where an account stands in them, by id, and where each list stands."""

    found: dict[Filter, dict[int, Citation]]
    whole: tuple[Citation, ...]


def collect(params: Params, github: Source) -> Iterator[Subject | Reconciled]:
    """The organization, its members and outside collaborators once each by id, and its pending invitations."""
    name = github.target.get("/organization", str)
    yield Subject(Resource(ORGANIZATION, name), organization=github.ask("organization"))
    asker = _owner(github.ask("membership"))
    filters: tuple[Filter, ...] = ("2fa_disabled",) if params.allow_insecure else ("2fa_disabled", "2fa_insecure")
    for operation in KINDS:
        yield from _accounts(github, operation, filters, asker if operation == "members" else None)
    for invitation in github.listing("invitations"):
        login = invitation.get("", dict).get("login")  # null where somebody was invited by e-mail
        resource = Resource(INVITATION, str(invitation.get("/id", int)), login if isinstance(login, str) else "")
        yield Subject(resource, invitation=invitation)


def _owner(membership: Answer) -> int:
    """Return the id of who asks, once they are proved to be an owner: to others GitHub shows less, and says 200."""
    state, role = membership.get("/state", str), membership.get("/role", str)
    if (state, role) != ("active", "admin"):
        raise Unproven(
            f"who asks is no owner ({state}, {role}), and GitHub shows the lists to owners only", [membership]
        )
    return membership.get("/user/id", int)


def _accounts(
    github: Source, operation: str, filters: tuple[Filter, ...], asker: int | None
) -> Iterator[Subject | Reconciled]:
    """The accounts of one kind, then those that only a filtered list has: somebody added them meanwhile.

    Everybody is asked for first, so that an account is never fresher than the lists it is looked up in. Members, among
    whom the asker must be, are counted at once: whoever comes or goes between the two makes a difference.
    """
    everybody = github.listing(operation, filter="all")
    everybody.complete()
    counted = github.ask("members_count").at(COUNT, int) if asker is not None else None
    found: dict[Filter, dict[int, Citation]] = {}
    unseen: dict[int, Answer] = {}
    whole = []
    for name in filters:
        listing = github.listing(operation, filter=name)
        found[name] = {}
        for account in listing:
            found[name][account.get("/id", int)] = account.cite()
            unseen[account.get("/id", int)] = account
        whole.append(listing.cite())
    lists = Lists(found, tuple(whole))
    listed: set[int] = set()
    for account in everybody:
        unseen.pop(account.get("/id", int), None)
        listed.add(account.get("/id", int))
        yield _subject(account, operation, lists)
    for account in unseen.values():
        yield _subject(account, operation, lists)
    if counted is not None:
        what, source = "members of the organization", "GitHub's GraphQL API"
        yield Reconciled(what=what, listed=len(listed), counted=counted, source=source, parts=(everybody,))
    if asker is not None and asker not in listed:
        raise Unproven("the list of members lacks the owner who asked for it, so it is not whole", [everybody])


def _subject(account: Answer, operation: str, lists: Lists) -> Subject:
    resource = Resource(ACCOUNT, str(account.get("/id", int)), account.get("/login", str))
    return Subject(resource, account=account, kind=KINDS[operation], lists=lists)


def evaluate(subject: Subject, params: Params) -> Verdict:
    """Fail an account that is listed as without (secure) MFA, and an organization that does not require it."""
    if subject.resource.type == ORGANIZATION:
        if subject.organization.get("/two_factor_requirement_enabled", bool):
            return passed("requires MFA of everyone in it")
        return failed("does not require MFA", advice="require it: organization settings, Authentication security")
    if subject.resource.type == INVITATION:
        role, since = subject.invitation.get("/role", str), subject.invitation.get("/created_at", str)
        return not_applicable(f"invited as {role} at {since}, and not accepted: it gives no access yet")
    return _account(subject, params)


def _account(subject: Subject, params: Params) -> Verdict:
    number, lists = subject.account.get("/id", int), subject.lists
    here = subject.account.cite()
    if cite := lists.found["2fa_disabled"].get(number):
        return Verdict(Outcome.FAIL, f"{subject.kind} without MFA", REMOVE, cites=(here, cite))
    if params.allow_insecure:
        return Verdict(Outcome.PASS, f"{subject.kind}: not among those without MFA", cites=(here, *lists.whole))
    if cite := lists.found["2fa_insecure"].get(number):
        return Verdict(Outcome.FAIL, f"{subject.kind} with insecure MFA only, such as SMS", REMOVE, cites=(here, cite))
    message = f"{subject.kind}: neither among those without MFA nor among those with insecure MFA only"
    return Verdict(Outcome.PASS, message, cites=(here, *lists.whole))


CHECK = Check(
    id="github-mfa",
    title="GitHub accounts have MFA",
    sources={
        "github": {
            "organization": 1,
            "membership": 1,
            "members": 2,
            "members_count": 1,
            "outside_collaborators": 2,
            "invitations": 1,
        }
    },
    shard="target",
    basis=Basis.CONFIGURATION,
    params=Params,
    collect=collect,
    evaluate=evaluate,
    population="the organization, and every member and outside collaborator that GitHub lists for an owner of it",
    proves="each of these accounts has MFA, by GitHub's own lists of those without, and the organization requires it",
    cannot_prove=(
        "that a second factor was asked for at a sign-in: tokens, SSH keys, deploy keys and apps act without one",
        "billing managers, whom GitHub does not list as members",
        "accounts of an identity provider (SAML, managed users): their MFA is the provider's evidence",
        "a list of outside collaborators, or of those without MFA, that is short and well-formed: nothing counts them",
    ),
    second_source="GitHub's GraphQL API counts the members (membersWithRole)",
    no_second_source="GitHub counts outside collaborators for a single repository only, and those without MFA nowhere",
    criteria=("CC6.1", "CC6.3", "CC6.6"),
)
