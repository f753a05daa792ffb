"""A Heroku on loopback for one test, and ways to ask the source itself."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from auditor.questions import Opening, Reply, SecretRef
from auditor.sandbox.heroku import HerokuSimulator
from auditor.sandbox.heroku_world import EnterpriseAccount, HerokuWorld, Invitation, Person, Team, Token
from auditor.sources.heroku import OPERATIONS, HerokuConnection, HerokuTarget

API = "https://api.heroku.com"
SECRET = "HRKU-canary_11AB/+=@'%7f"
ADA = Person(email="ada@explo.co", role="admin", permissions=("view", "manage"))


def team(*members: Person, **parts: Any) -> Team:
    """A team one of whose members asks."""
    return Team(**{"name": "explo", "target": "hosting", "token": "T", "members": [ADA, *members], **parts})


def enterprise(*members: Person, name: str = "acme") -> EnterpriseAccount:
    """An enterprise account one of whose members asks."""
    return EnterpriseAccount(name=name, members=[ADA, *members])


def people(count: int, **parts: Any) -> list[Person]:
    return [Person(email=f"user-{number:05}@explo.co", **parts) for number in range(count)]


def invitation(email: str, **parts: Any) -> Invitation:
    return Invitation(email=email, invited_by="ada@explo.co", created_at="2026-11-20T09:12:44Z", **parts)


@contextmanager
def heroku(*parts: Team | EnterpriseAccount, limit: int = 4500, **token: Any) -> Iterator[HerokuSimulator]:
    """Run a Heroku on which SECRET is a token of ada's, unless `token` says otherwise."""
    account = Token(**{"variable": "T", "email": "ada@explo.co", **token})
    world = HerokuWorld(
        tokens=[account],
        teams=[one for one in parts if isinstance(one, Team)],
        enterprise_accounts=[one for one in parts if isinstance(one, EnterpriseAccount)],
        limit=limit,
    )
    simulator = HerokuSimulator(world, {SECRET: account})
    try:
        yield simulator
    finally:
        simulator.stop()


@dataclass
class Source:
    """The source, asked one operation at a time; `slept` is what it waited."""

    connection: HerokuConnection
    slept: list[float] = field(default_factory=list)

    def ask(self, operation: str, **params: Any) -> list[Reply]:
        return list(self.connection.ask(OPERATIONS[operation], params))

    def one(self, operation: str) -> Reply:
        (reply,) = self.ask(operation)
        return reply

    def error(self, operation: str) -> tuple[str, str]:
        """Return code and message of the last page's error."""
        reply = self.ask(operation)[-1]
        assert reply.status == "error"
        assert reply.error is not None
        assert reply.body is None
        assert reply.last
        assert reply.attempts == () or reply.attempts[-1].reason == reply.error.code
        return reply.error.code, reply.error.message


@contextmanager
def source(
    url: str, *, secret: str = SECRET, transport: Any = None, name: str = "explo", above: str | None = "acme"
) -> Iterator[Source]:
    slept: list[float] = []
    target = HerokuTarget(team=name, enterprise_account=above, base_url=url, token=SecretRef(env="T"))
    opening = Opening(shard="main", secret=lambda _: secret, conceal=lambda _: None, folder=Path(), transport=transport)
    connection = HerokuConnection(target, opening, sleep=slept.append)
    try:
        yield Source(connection, slept)
    finally:
        connection.close()
