"""How the GitHub part of a demo world is described: `github.yaml`, read strictly."""

from pathlib import Path
from typing import Literal

import msgspec

from auditor.sandbox.description import Truth, read


class Record(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Part of a world's description: a misspelt key is an error."""


class Person(Record, frozen=True, kw_only=True):
    """An account with access to an organization. `public`: whether strangers see the membership."""

    login: str
    id: int
    mfa: Literal["secure", "insecure", "none"] = "secure"
    role: Literal["admin", "member", "billing_manager"] = "member"
    state: Literal["active", "pending"] = "active"
    public: bool = False
    expected: dict[str, Truth] = {}  # by check id


class Invitation(Record, frozen=True, kw_only=True):
    """An invitation that nobody accepted yet; by e-mail to somebody without an account where `login` is null."""

    id: int
    login: str | None = None
    email: str | None = None
    role: Literal["direct_member", "admin", "billing_manager", "hiring_manager"] = "direct_member"
    inviter: str
    created_at: str
    expected: dict[str, Truth] = {}


class Token(Record, frozen=True, kw_only=True):
    """A personal access token: whose it is, the environment variable it stands in, and what it may do.

    `members_read` is the permission of a fine-grained token; `sso` whether SAML single sign-on authorized it, which
    matters where an organization asks for that.
    """

    variable: str
    login: str
    id: int
    members_read: bool = True
    sso: bool = True


class Organization(Record, frozen=True, kw_only=True):
    """An organization, and the target that looks at it. `requires_mfa` "absent": GitHub leaves the flag out."""

    login: str
    id: int
    target: str
    token: str  # its variable
    requires_mfa: bool | Literal["absent"] | None
    saml: bool = False
    members: list[Person] = []
    outside_collaborators: list[Person] = []
    invitations: list[Invitation] = []
    expected: dict[str, Truth] = {}  # about the requirement, by check id
    expected_of_target: dict[str, Truth] = {}  # where the whole cannot be told

    def person(self, login: str) -> Person | None:
        """Return who is affiliated under this login (which knows no case); outside collaborators are not."""
        return next((one for one in self.members if one.login.casefold() == login.casefold()), None)


class GithubWorld(Record, frozen=True, kw_only=True):
    """What is on this GitHub. `limit` is the primary rate limit, in requests an hour for each account."""

    tokens: list[Token]
    organizations: list[Organization]
    limit: int = 5000


def read_world(world: Path) -> GithubWorld:
    """Read `github.yaml` of a world; `SandboxError` says what is wrong with it."""
    return read(world / "github.yaml", GithubWorld)
