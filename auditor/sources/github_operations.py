"""The questions GitHub may be asked, and what each answer must hold.

Permissions: docs.github.com/rest, "Permissions required for fine-grained personal access tokens", and "Scopes for OAuth
apps" for classic ones; docs.github.com/graphql, "Organization" (`membersWithRole`) for the one that counts.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Annotated, Any, Literal

import msgspec

from auditor.questions import Operation


class _Account(msgspec.Struct):
    """What every account has (`simple-user`)."""

    id: int
    login: str


class _Organization(_Account):
    """What is read of an organization; GitHub leaves the flag out, or null, for those who may not see it."""

    two_factor_requirement_enabled: bool | msgspec.UnsetType | None = msgspec.UNSET


class _Connection(msgspec.Struct):
    """A list of the GraphQL API, of which only the length is asked for (`OrganizationMemberConnection`)."""

    totalCount: Annotated[int, msgspec.Meta(ge=0)]  # noqa: N815 - its name there


class _Counted(msgspec.Struct):
    """An organization of the GraphQL API, as far as `MEMBERS_COUNT` asks."""

    login: str
    membersWithRole: _Connection  # noqa: N815 - as above


class _CountedData(msgspec.Struct):
    """What `MEMBERS_COUNT` asks for; GitHub answers null for an organization that it does not show."""

    organization: _Counted


class _MembersCount(msgspec.Struct):
    """The answer to `MEMBERS_COUNT`."""

    data: _CountedData


class _Membership(msgspec.Struct):
    """What the caller is in an organization (`org-membership`)."""

    state: Literal["active", "pending"]
    role: Literal["admin", "member", "billing_manager"]
    organization: _Account
    user: _Account


class _Invitation(msgspec.Struct):
    """A pending invitation (`organization-invitation`); one by e-mail has no login."""

    id: int
    role: str
    login: str | None
    created_at: str


NEEDED = "fine-grained token: Members: read; classic token: read:org"
OWNER = f"{NEEDED}; of an owner of the organization"
MEMBERS_COUNT = "query ($login: String!) { organization(login: $login) { login membersWithRole { totalCount } } }"


class GithubOperation(Operation, frozen=True, kw_only=True):
    """A question: its path, the msgspec type its answer must have, and the values each parameter may take.

    One to the GraphQL API has a `query` of the variable `$login`, the organization's, instead of a path.

    `members_read` is the permission of a fine-grained token, where GitHub lists one; `scope` that of a classic one.
    """

    path: str = ""
    query: str = ""
    shape: Any
    choices: Mapping[str, tuple[str, ...]] = MappingProxyType({})
    members_read: bool = True
    scope: str = "read:org"


_FILTER = {"filter": ("all", "2fa_disabled", "2fa_insecure")}
_ROWS = (
    GithubOperation(
        name="membership",
        summary="Who is asking, and what they are in the organization.",
        permission=NEEDED,
        needs_identity=False,
        path="/user/memberships/orgs/{organization}",
        shape=_Membership,
    ),
    GithubOperation(
        name="organization",
        summary="The organization and, for its owners, what it requires of its members.",
        permission="an owner's token; classic: admin:org; fine-grained: GitHub lists no permission for it",
        like="membership",
        path="/orgs/{organization}",
        shape=_Organization,
        members_read=False,
        scope="admin:org",
    ),
    GithubOperation(
        name="members",
        summary="The members, or those of them without MFA, or with insecure methods only.",
        permission=OWNER,
        items="/items",
        path="/orgs/{organization}/members",
        shape=list[_Account],
        choices=_FILTER,
    ),
    GithubOperation(
        name="members_count",
        summary="How many members there are, as the GraphQL API counts them.",
        permission=OWNER,
        like="membership",
        query=MEMBERS_COUNT,
        shape=_MembersCount,
    ),
    GithubOperation(
        name="outside_collaborators",
        summary="People from outside with access to a repository, or those of them without (secure) MFA.",
        permission=OWNER,
        items="/items",
        like="members",
        path="/orgs/{organization}/outside_collaborators",
        shape=list[_Account],
        choices=_FILTER,
    ),
    GithubOperation(
        name="invitations",
        summary="Invitations that nobody has accepted yet.",
        permission=OWNER,
        items="/items",
        like="membership",
        path="/orgs/{organization}/invitations",
        shape=list[_Invitation],
    ),
)
OPERATIONS: Mapping[str, GithubOperation] = MappingProxyType({row.name: row for row in _ROWS})
