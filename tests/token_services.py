"""Token services on loopback for one test, and ways to ask the source itself."""

from __future__ import annotations

import datetime as dt
import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec

from auditor.questions import Opening, Reply, SecretRef
from auditor.sandbox.token_issuer import Issuer
from auditor.sandbox.tokens import TokenService, TokenServices, settings_of
from auditor.sandbox.tokens_world import Service
from auditor.sources.clock import utcnow
from auditor.sources.tokens.connection import TokensConnection
from auditor.sources.tokens.operations import OPERATIONS
from auditor.sources.tokens.target import TokensTarget
from tests.fault_kinds import Exchange

API_TOKEN = "canary_api_/+=@'%7f"
KEY = "canary-embed-secret/+=@%7f-01234"
SECRETS = {"API_TOKEN": API_TOKEN, "KEY": KEY}
HOST = "https://api.explo.example"
MINT = {"url": f"{HOST}/api/generate_jwt/", "token": {"env": "API_TOKEN"}, "customer": "test", "embed": "d7x2k9"}
VERIFY = {"url": f"{HOST}/dashboard", "in": "header", "name": "X-Token"}
ISSUER = Issuer("HS256", KEY)


def service(name: str = "embed", **parts: Any) -> Service:
    """A service that encrypts its tokens, unless `parts` say otherwise."""
    whole = {"target": name, "protection": "dir/A256GCM", "key": "KEY", "secret": "KEY"}
    return Service(**{**whole, **parts})


class Clock:
    """A clock that goes on when somebody waits, for the source and the services."""

    def __init__(self) -> None:
        self.ahead = 0.0

    def now(self) -> dt.datetime:
        return utcnow() + dt.timedelta(seconds=self.ahead)

    def seconds(self) -> float:
        return self.now().timestamp()

    def sleep(self, seconds: float) -> None:
        self.ahead += seconds


@contextmanager
def running(*services: Service, clock: Callable[[], float] = time.time) -> Iterator[TokenServices]:
    started = {one.target: TokenService(one, KEY, clock) for one in services or (service(),)}
    simulator = TokenServices(started, API_TOKEN, clock)
    try:
        yield simulator
    finally:
        simulator.stop()


def target(simulator: TokenServices, name: str = "embed", **changes: Any) -> TokensTarget:
    """The target of a service, some of its settings changed (None: left out)."""
    entry = settings_of(simulator.services[name], simulator.url, "API_TOKEN")
    entry = {key: value for key, value in {**entry, **changes}.items() if key not in ("id", "type", "tags")}
    return msgspec.convert({key: value for key, value in entry.items() if value is not None}, TokensTarget)


@dataclass
class Source:
    """The source, asked one operation at a time; `slept` is what it waited, `concealed` what it called a secret."""

    connection: TokensConnection
    slept: list[float] = field(default_factory=list)
    concealed: list[str] = field(default_factory=list)

    def ask(self, operation: str, **params: Any) -> Reply:
        (reply,) = self.connection.ask(OPERATIONS[operation], params)
        return reply

    def mint(self, **params: Any) -> str:
        """Mint a token, and return its handle."""
        reply = self.ask("mint", **params)
        assert reply.status == "ok", reply.error
        handle: str = reply.body["token"]["sha256"]
        return handle

    def error(self, operation: str, **params: Any) -> tuple[str, str]:
        """Return code and message of an error."""
        reply = self.ask(operation, **params)
        assert reply.status == "error"
        assert reply.error is not None
        assert reply.body is None
        for secret in self.concealed:
            assert secret not in str(reply)
        return reply.error.code, reply.error.message


@contextmanager
def source(
    settings: TokensTarget,
    *,
    transport: Any = None,
    folder: Path = Path(),
    clock: Callable[[], dt.datetime] = utcnow,
    sleep: Callable[[float], None] = lambda _: None,
    secrets: dict[str, str] | None = None,
) -> Iterator[Source]:
    slept: list[float] = []
    concealed: list[str] = []

    def wait(seconds: float) -> None:
        slept.append(seconds)
        sleep(seconds)

    def secret(ref: SecretRef) -> str:
        return (secrets or SECRETS)[str(ref.env)]

    opening = Opening(shard="main", secret=secret, conceal=concealed.append, folder=folder, transport=transport)
    connection = TokensConnection(settings, opening, clock=clock, sleep=wait)
    try:
        yield Source(connection, slept, concealed)
    finally:
        connection.close()


def answer(body: Any, status: int = 200, **headers: str) -> Exchange:
    """An answer in JSON that tells the time, unless `Date` says otherwise ("" for none)."""
    named = {"Content-Type": "application/json", "Date": f"{utcnow():%a, %d %b %Y %H:%M:%S GMT}"}
    named |= {name.replace("_", "-"): value for name, value in headers.items()}
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    return Exchange(status, {name: value for name, value in named.items() if value}, raw)


def settings(**parts: Any) -> TokensTarget:
    whole: dict[str, Any] = {"mint": MINT, "verify": VERIFY, "secret": {"env": "KEY"}, "allow": ["mint"]}
    return msgspec.convert({**whole, **parts}, TokensTarget)


def token(lives: float = 3600, **claims: Any) -> str:
    """Return a signed token that lives so many seconds from now."""
    return ISSUER.issue({"exp": utcnow().timestamp() + lives, **claims})


def minted(text: str | None = None, **headers: str) -> Exchange:
    return answer({"success": 1, "jwt": text or token()}, 200, **headers)


def at(moment: dt.datetime) -> str:
    return f"{moment:%a, %d %b %Y %H:%M:%S GMT}"
