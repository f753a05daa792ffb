"""A GitHub on loopback for one test, and ways to ask the source itself."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import requests

from auditor.questions import Opening, Reply, SecretRef
from auditor.sandbox.github import GithubSimulator
from auditor.sandbox.github_world import GithubWorld, Invitation, Organization, Person, Token
from auditor.sources.github import GithubConnection, GithubTarget
from auditor.sources.github_operations import OPERATIONS
from tests.fault_kinds import Exchange
from tests.faults_http import response_of

API = "https://api.github.com"
JSON_TYPE = {"Content-Type": "application/json; charset=utf-8"}
SECRET = "canary_pat_11AB/+=@'%7f"
OWNER = Person(login="ada", id=1, role="admin")


def organization(*members: Person, **parts: Any) -> Organization:
    """An organization whose owner asks."""
    whole: dict[str, Any] = {"login": "explo", "id": 5, "target": "code", "token": "T", "requires_mfa": True}
    return Organization(**{**whole, "members": [OWNER, *members], **parts})


def people(count: int, first: int = 100, **parts: Any) -> list[Person]:
    return [Person(login=f"user-{number}", id=number, **parts) for number in range(first, first + count)]


def invitation(number: int, **parts: Any) -> Invitation:
    return Invitation(id=number, inviter="ada", created_at="2026-11-20T09:12:44Z", **parts)


@contextmanager
def github(*organizations: Organization, limit: int = 5000, **token: Any) -> Iterator[GithubSimulator]:
    """Run a GitHub on which SECRET is a token of the owner, unless `token` says otherwise."""
    account = Token(**{"variable": "T", "login": "ada", "id": 1, **token})
    simulator = GithubSimulator(GithubWorld(tokens=[account], organizations=[*organizations], limit=limit), {})
    simulator.tokens[SECRET] = account
    try:
        yield simulator
    finally:
        simulator.stop()


@dataclass
class Source:
    """The source, asked one operation at a time; `slept` is what it waited."""

    connection: GithubConnection
    slept: list[float] = field(default_factory=list)

    def ask(self, operation: str, **params: Any) -> list[Reply]:
        return list(self.connection.ask(OPERATIONS[operation], params))

    def one(self, operation: str, **params: Any) -> Reply:
        (reply,) = self.ask(operation, **params)
        return reply

    def error(self, operation: str, **params: Any) -> tuple[str, str]:
        """Return code and message of the last page's error."""
        reply = self.ask(operation, **params)[-1]
        assert reply.status == "error"
        assert reply.error is not None
        assert reply.body is None
        assert reply.last
        assert reply.attempts == () or reply.attempts[-1].reason == reply.error.code
        return reply.error.code, reply.error.message


@contextmanager
def source(url: str, *, secret: str = SECRET, transport: Any = None, name: str = "explo") -> Iterator[Source]:
    slept: list[float] = []
    target = GithubTarget(organization=name, base_url=url, token=SecretRef(env="T"))
    opening = Opening(shard="main", secret=lambda _: secret, conceal=lambda _: None, folder=Path(), transport=transport)
    connection = GithubConnection(target, opening, sleep=slept.append)
    try:
        yield Source(connection, slept)
    finally:
        connection.close()


class Canned:
    """A transport that gives written answers, one after another, and keeps what it was sent."""

    def __init__(self, *answers: Exchange | Exception) -> None:
        self._answers = list(answers)
        self.sent: list[requests.PreparedRequest] = []

    def __call__(self, request: requests.PreparedRequest, **how: Any) -> requests.Response:
        assert how["timeout"]
        self.sent.append(request)
        answer = self._answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return response_of(answer)


def answer(body: Any, status: int = 200, **headers: str) -> Exchange:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Exchange(status, {**JSON_TYPE, **named}, body if isinstance(body, bytes) else json.dumps(body).encode())
