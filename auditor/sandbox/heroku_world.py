"""How the Heroku part of a demo world is described: `heroku.yaml`, read strictly."""

import uuid
from pathlib import Path
from typing import Literal

import msgspec

from auditor.sandbox.description import Truth, read

Scope = Literal["identity", "read", "write", "read-protected", "write-protected", "global"]


class Record(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Part of a world's description: a misspelt key is an error."""


class Person(Record, frozen=True, kw_only=True):
    """An account with a membership, and the name of the identity provider that signs it in, where there is one.

    `mfa` or `provider` "absent": Heroku leaves it out.
    """

    email: str
    mfa: bool | Literal["absent"] | None = True
    provider: str | None = None
    role: Literal["admin", "collaborator", "member", "owner"] | None = "member"  # in a team
    permissions: tuple[Literal["view", "create", "manage", "billing"], ...] = ("view",)  # in an enterprise account
    expected: dict[str, Truth] = {}  # by check id

    @property
    def account_id(self) -> str:
        """The id of the account, the same wherever it is a member."""
        return uuid_of("account", self.email)


class Invitation(Record, frozen=True, kw_only=True):
    """An invitation that nobody accepted yet."""

    email: str
    role: Literal["admin", "member"] = "member"
    invited_by: str
    created_at: str
    expected: dict[str, Truth] = {}

    @property
    def id(self) -> str:
        """The id of the invitation."""
        return uuid_of("invitation", self.email)


class Token(Record, frozen=True, kw_only=True):
    """A token: whose it is, the environment variable it stands in, and what it may do.

    `revoked`: Heroku knows it no more. `challenged`: Heroku asks for a second factor beside it.
    """

    variable: str
    email: str
    scope: tuple[Scope, ...] = ("read",)
    revoked: bool = False
    challenged: bool = False


class EnterpriseAccount(Record, frozen=True, kw_only=True):
    """An enterprise account, to which teams may belong."""

    name: str
    members: list[Person] = []


class Team(Record, frozen=True, kw_only=True):
    """A team, and the target that looks at it. `collaborators` are from outside: no list of members has them."""

    name: str
    target: str
    token: str  # its variable
    enterprise_account: str | None = None
    members: list[Person] = []
    collaborators: list[str] = []
    invitations: list[Invitation] = []
    expected_of_target: dict[str, Truth] = {}  # where the whole cannot be told

    @property
    def type(self) -> str:
        """What kind of team it is."""
        return "enterprise" if self.enterprise_account else "team"

    def role(self, email: str) -> str | None:
        """Return what somebody is in the team."""
        found = next((one.role for one in self.members if one.email.casefold() == email.casefold()), None)
        return found or ("collaborator" if email in self.collaborators else None)


class HerokuWorld(Record, frozen=True, kw_only=True):
    """What is on this Heroku. `limit` is how many questions an account's pool holds when it is full."""

    tokens: list[Token]
    teams: list[Team]
    enterprise_accounts: list[EnterpriseAccount] = []
    limit: int = 4500


def uuid_of(kind: str, name: str) -> str:
    """Return an id that is the same in every run."""
    return str(uuid.uuid5(uuid.NAMESPACE_URL, f"https://heroku.example/{kind}/{name.casefold()}"))


def read_world(world: Path) -> HerokuWorld:
    """Read `heroku.yaml` of a world; `SandboxError` says what is wrong with it."""
    return read(world / "heroku.yaml", HerokuWorld)
