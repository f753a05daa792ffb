"""Token services on loopback: an API that mints tokens as Explo's does, and a dashboard that they open.

After docs.explo.co, "Generate Embed JWT" and "Embed secrets (JWTs)". How that API refuses is not documented; the
refusals are those of Django REST framework, which its `Token` scheme is known from. One server has all the services of
a world, each below a path of its name.
"""

import datetime as dt
import hashlib
import json
import secrets
import time
import urllib.parse
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import msgspec

from auditor.sandbox.http_server import HttpServer, reply
from auditor.sandbox.part import Expected
from auditor.sandbox.token_issuer import Issuer, NotValid
from auditor.sandbox.tokens_world import NAMES, Service, TokensWorld, read_world

CUSTOMER, EMBED = "auditor-test-customer", "d7x2k9"
HEADER, MEMBER = "Explo-Embed-Token", "jwt"
SIGN_IN = b"<!DOCTYPE html><html><head><title>Sign in to Explo</title></head><body><form></form></body></html>"
TESTS = {"minted": "tokens-short-lived", "minted as requested": "tokens-lifetime-configured"}
"""Which test of the pack looks at which minted token: its truth is about that test alone."""


class Refusal(Exception):
    """An answer that is not the one asked for."""

    def __init__(self, status: int, detail: str) -> None:
        super().__init__(detail)
        self.status = status
        self.detail = detail


class TokenService:
    """One service: what it mints, and what its dashboard accepts. `clock` tells it the seconds since 1970."""

    def __init__(self, service: Service, secret: str = "", clock: Callable[[], float] = time.time) -> None:
        self.service = service
        self.clock = clock
        self.issuer = Issuer(service.protection, secret, service.faults)
        self.issued: list[str] = []

    def mint(self, asked: Mapping[str, Any]) -> dict[str, Any]:
        """Mint a token, as "Generate Embed JWT" says."""
        for name in ("provided_id", "embed_id"):
            if not isinstance(asked.get(name), str) or not asked[name]:
                raise Refusal(400, f"{name}: This field is required.")
        try:
            lifetime = msgspec.convert(asked.get("expiration", self.service.default_lifetime), dt.timedelta)
        except msgspec.ValidationError:
            raise Refusal(400, "expiration: Duration has wrong format.") from None
        if "ignores_lifetime" in self.service.faults:
            lifetime = self.service.default_lifetime
        claims = self.claims(self.clock(), lifetime, iat=self.service.iat)
        text = self.issuer.issue({"cst": asked["provided_id"], "dsh": asked["embed_id"], **claims})
        self.issued.append(text)
        return {"success": 1, "jwt": text}

    def claims(self, issued: float, lifetime: dt.timedelta, *, iat: bool) -> dict[str, Any]:
        """Return the claims that say how long a token lives, as this service writes them."""
        exp = issued + lifetime.total_seconds() + self.service.offset
        claims: dict[str, Any] = {"exp": exp if self.service.float_exp else int(exp)}
        if iat:
            claims["iat"] = int(issued)
        if "milliseconds" in self.service.faults:
            claims["exp"] = int(exp * 1000)
        if "text" in self.service.faults:
            claims["exp"] = str(int(exp))
        if "no_exp" in self.service.faults:
            del claims["exp"]
        return claims

    def dashboard(self, text: str) -> tuple[int, str, bytes]:
        """Return what a token opens: status, media type and body."""
        if "crashes" in self.service.faults:
            return 500, "text/html", b"<h1>Server Error (500)</h1>"
        try:
            claims = self._accepted(text)
        except NotValid:
            if "signs_in" in self.service.faults:
                return 200, "text/html; charset=utf-8", SIGN_IN
            return 401, "application/json", json.dumps({"detail": "Invalid or expired token."}).encode()
        body = {"customer": claims["cst"], "dashboard": claims["dsh"], "rows": 12, "editable": False}
        return 200, "application/json", json.dumps(body).encode()

    def _accepted(self, text: str) -> dict[str, Any]:
        claims = self.issuer.open(text)
        expired = self.clock() >= float(claims.get("exp", "inf"))
        if "refuses_all" in self.service.faults or (expired and "accepts_expired" not in self.service.faults):
            raise NotValid("nobody, or no more")
        return claims


class TokenServices:
    """All services of a world on one server, by name. `api_token` mints at each of them."""

    def __init__(
        self, services: Mapping[str, TokenService], api_token: str, clock: Callable[[], float] = time.time
    ) -> None:
        self.services = dict(services)
        self.api_token = api_token
        self.calls: Counter[str] = Counter()  # by path, without the query
        self._server = HttpServer("explo", self.answer, methods=("GET", "POST"), clock=clock)
        self.url = self._server.url

    def stop(self) -> None:
        """End the server. A second call does nothing."""
        self._server.stop()

    def answer(self, handler: BaseHTTPRequestHandler) -> None:
        """Answer one request."""
        parts = urllib.parse.urlsplit(handler.path)
        self.calls[parts.path] += 1
        try:
            status, media, raw = self._answer(handler, parts.path, dict(urllib.parse.parse_qsl(parts.query)))
        except Refusal as refusal:
            status, media = refusal.status, "application/json"
            raw = json.dumps({"detail": refusal.detail}).encode()
        reply(handler, status, {"Content-Type": media}, raw)

    def _answer(self, handler: BaseHTTPRequestHandler, path: str, query: Mapping[str, str]) -> tuple[int, str, bytes]:
        body = handler.rfile.read(int(handler.headers.get("Content-Length", 0)))
        name, _, what = path[1:].partition("/")
        one = self.services.get(name)
        if one is not None:
            if (handler.command, what) == ("POST", "api/generate_jwt/"):
                self._authenticated(handler)
                return 200, "application/json", json.dumps(one.mint(_members(body))).encode()
            if what == "dashboard":
                given = {"header": handler.headers.get(HEADER), "query": query.get(MEMBER)}
                given["body"] = _members(body).get(MEMBER) if body else None
                return one.dashboard(str(given[one.service.presented] or ""))
            if what == "jwks.json" and one.issuer.protection in ("RS256", "ES256"):
                return 200, "application/json", json.dumps({"keys": [one.issuer.public_key()]}).encode()
            if what == "issued":  # no service has that: it tells a test what it must find nowhere
                self._authenticated(handler)
                return 200, "application/json", json.dumps(one.issued).encode()
        raise Refusal(404, "Not found.")

    def _authenticated(self, handler: BaseHTTPRequestHandler) -> None:
        given = handler.headers.get("Explo-Authorization", "")
        if given != f"Token {self.api_token}":
            raise Refusal(401, "Invalid token." if given else "Authentication credentials were not provided.")


def _members(body: bytes) -> dict[str, Any]:
    try:
        found = json.loads(body)
    except ValueError:
        raise Refusal(400, "JSON parse error") from None
    if not isinstance(found, dict):
        raise Refusal(400, "Invalid data. Expected a dictionary.")
    return found


def settings_of(one: TokenService, base_url: str, api_token: str) -> dict[str, object]:
    """Return the entry of auditor.yaml that looks at a service; `api_token` names the variable of the API token."""
    service, url = one.service, f"{base_url}/{one.service.target}"
    verify: dict[str, object] = {"url": f"{url}/dashboard", "in": service.presented, "name": MEMBER}
    if service.presented == "header":
        verify["name"] = HEADER
    if service.presented == "body":
        verify["method"] = "POST"
    target: dict[str, object] = {
        "id": service.target,
        "type": "tokens",
        "mint": {
            "url": f"{url}/api/generate_jwt/",
            "token": {"env": api_token},
            "customer": CUSTOMER,
            "embed": EMBED,
            **({"key_id": one.issuer.kid} if service.key else {}),
        },
        "verify": verify,
        "allow": ["mint"] if service.allow else [],
        "tags": ["production"],
    }
    if service.secret:
        target["secret"] = {"env": service.secret}
    if service.protection in ("RS256", "ES256"):
        target["jwks_url"] = f"{url}/jwks.json"
    return target


class TokensPart:
    """A Part (see part.py), with its simulator for tests that ask it directly."""

    def __init__(self, world: TokensWorld, folder: Path) -> None:
        self.environment = {name: secrets.token_hex(16) for name in world.secrets}  # 32 characters, as an embed secret
        self.environment[world.api_token] = secrets.token_urlsafe(32)
        services = {one.target: TokenService(one, self.environment.get(one.key, "")) for one in world.services}
        self.simulator = TokenServices(services, self.environment[world.api_token])
        self.targets: list[dict[str, object]] = []
        self.expected: list[Expected] = []
        for one in services.values():
            target = settings_of(one, self.simulator.url, world.api_token)
            self.expected += _expected(one.service)
            if one.service.samples:
                samples = folder / f"tokens-{one.service.target}.txt"
                target["samples"] = str(samples)
                self._write_samples(one, samples)
            self.targets.append(target)

    def stop(self) -> None:
        """End the simulator. A second call does nothing."""
        self.simulator.stop()

    def _write_samples(self, one: TokenService, path: Path) -> None:
        """Write the file of samples: what somebody at the company copied out of a browser."""
        lines = ["# tokens of customers, one to a line"]
        for sample in one.service.samples:
            claims = one.claims(one.clock() - 3600, sample.lifetime, iat=sample.iat)
            text = one.issuer.issue({"cst": "customer_1", "dsh": EMBED, **claims})
            one.issued.append(text)
            lines.append(text)
            truth = sample.expected
            name = hashlib.sha256(text.encode()).hexdigest()
            self.expected.append(Expected(TESTS["minted"], one.service.target, name, truth.outcome, truth.why))
        path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")


def start_tokens(world: Path, folder: Path) -> TokensPart:
    """Start the token services that `world`/tokens.yaml describes; their samples go to `folder`."""
    return TokensPart(read_world(world), folder)


def _expected(service: Service) -> Iterator[Expected]:
    for name in NAMES:
        truth = service.expected.get(name)
        test = TESTS.get(name, "jwt-expiry-enforced")
        yield Expected(test, service.target, name, truth.outcome if truth else "pass", truth.why if truth else "")
