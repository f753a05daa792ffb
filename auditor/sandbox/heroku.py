"""Heroku's Platform API as far as members go, on loopback: who may see what, ranges, the rate limit and refusals.

After devcenter.heroku.com/articles/platform-api-reference and the schema that Heroku publishes (heroku/platform-api,
schema.json, 4f4f592). Where Heroku's documents leave something open, the comment says so.
"""

import base64
import json
import re
import secrets
import urllib.parse
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

from auditor.sandbox.heroku_ranges import Unsatisfiable, cut
from auditor.sandbox.heroku_world import EnterpriseAccount, HerokuWorld, Person, Team, Token, read_world, uuid_of
from auditor.sandbox.http_server import HttpServer, reply
from auditor.sandbox.part import Expected

REFERENCE = "https://devcenter.heroku.com/articles/platform-api-reference"
MEMBERS_SEEN_BY = ("admin", "owner", "member")  # a collaborator sees the team and not its users ("Team Permissions")
WIDE_ENOUGH = {"read", "write", "read-protected", "write-protected", "global"}  # `identity` is the account alone
SINCE = "2024-05-02T09:00:00Z"
_ACCEPT = re.compile(r"application/vnd\.heroku\+json;\s*version=3(?:\.([\w-]+))?")
_TEAM = re.compile(r"/teams/([^/]+)(?:/(members|invitations))?")
_ENTERPRISE = re.compile(r"/enterprise-accounts/([^/]+)(/members)?")


class Refusal(Exception):
    """An answer that is not the one asked for, with the id that Heroku gives it."""

    def __init__(self, status: int, error: str, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.body = {"id": error, "message": message, "url": f"{REFERENCE}#errors"}


class Asking:
    """One request: its account, its path, the variant of version 3, its range, and what its answer will have."""

    def __init__(self, token: Token, path: str, variant: str, wanted: str) -> None:
        self.token = token
        self.path = path
        self.variant = variant
        self.wanted = wanted
        self.status = 200
        self.headers: dict[str, str] = {}


class HerokuSimulator:
    """Heroku over a world that tests may change while it runs. `tokens` maps the secret texts to their accounts."""

    def __init__(self, world: HerokuWorld, tokens: Mapping[str, Token]) -> None:
        self.teams = {one.name: one for one in world.teams}
        self.enterprise_accounts = {one.name: one for one in world.enterprise_accounts}
        self.tokens = dict(tokens)
        self.calls: Counter[str] = Counter()  # by path
        self.limit = world.limit
        self.used: Counter[str] = Counter()  # by account
        self.intervene: Callable[[Asking, Any], Any] = lambda _, body: body
        self._server = HttpServer("Heroku", self.answer)
        self.url = self._server.url

    def stop(self) -> None:
        """End the server. A second call does nothing."""
        self._server.stop()

    def answer(self, handler: BaseHTTPRequestHandler) -> None:
        """Answer one request; nothing says in which order Heroku refuses."""
        path = urllib.parse.urlsplit(handler.path).path
        self.calls[path] += 1
        headers: dict[str, str] = {}
        body: Any
        try:
            token = self._authenticated(handler.headers)
            if path == "/account/rate-limits":  # does not count
                status, body = 200, {"remaining": self._remaining(token)}
            else:
                headers = self._limited(token)
                asking = Asking(token, path, _variant(handler.headers), handler.headers.get("Range", ""))
                body = self.intervene(asking, self._answer(asking))
                status = asking.status
                headers |= asking.headers
        except Refusal as refusal:
            status, body = refusal.status, refusal.body
        headers |= {"Request-Id": secrets.token_hex(16), "Content-Type": "application/json;charset=utf-8"}
        reply(handler, status, headers, json.dumps(body).encode())

    def _authenticated(self, headers: Any) -> Token:
        """Find who asks: by a bearer token, or by one as the password of Basic authentication."""
        kind, _, text = headers.get("Authorization", "").partition(" ")
        if kind.lower() == "basic":
            text = base64.b64decode(text).decode().partition(":")[2]
        token = self.tokens.get(text)
        if token is None or token.revoked:
            raise Refusal(401, "unauthorized", "Invalid credentials provided.")
        return token

    def _remaining(self, token: Token) -> int:
        return max(0, self.limit - self.used[token.email])

    def _limited(self, token: Token) -> dict[str, str]:
        """Take one question from the account's pool, and say what is left. Heroku names no time to wait."""
        if not self._remaining(token):
            raise Refusal(429, "rate_limit", "Your account reached the API rate limit")
        self.used[token.email] += 1
        return {"RateLimit-Remaining": str(self._remaining(token))}

    def _answer(self, asking: Asking) -> Any:
        if asking.token.challenged:
            raise Refusal(403, "two_factor", "A second authentication factor or pre-authorization is required")
        if WIDE_ENOUGH.isdisjoint(asking.token.scope):  # which scope lists members is not documented
            raise Refusal(403, "forbidden", "The scope of this OAuth authorization does not allow this.")
        if match := _TEAM.fullmatch(asking.path):
            return self._of_team(asking, urllib.parse.unquote(match[1]), match[2])
        if match := _ENTERPRISE.fullmatch(asking.path):
            return self._of_enterprise(asking, urllib.parse.unquote(match[1]), members=bool(match[2]))
        raise Refusal(404, "not_found", "The requested API endpoint was not found.")

    def _of_team(self, asking: Asking, name: str, what: str | None) -> Any:
        team = self.teams.get(name) or next(
            (one for one in self.teams.values() if uuid_of("team", one.name) == name), None
        )
        if team is None:
            raise Refusal(404, "not_found", "Couldn't find that team.")
        role = team.role(asking.token.email)
        if role is None or (what and role not in MEMBERS_SEEN_BY):  # or 404: not documented
            raise Refusal(403, "forbidden", f"You do not have access to the team {team.name}.")
        if what is None:
            return _team(team, role)
        if what == "members":
            return _ranged(asking, [_member(team, one) for one in team.members], "email")
        if asking.variant != "team-invitations" or team.type == "enterprise":  # not documented
            raise Refusal(404, "not_found", "The requested API endpoint was not found.")
        return _ranged(asking, _invitations(team), "id")

    def _of_enterprise(self, asking: Asking, name: str, *, members: bool) -> Any:
        account = self.enterprise_accounts.get(name)
        if account is None:
            raise Refusal(404, "not_found", "Couldn't find that enterprise account.")
        asker = next((one for one in account.members if one.email == asking.token.email), None)
        if asker is None or (members and "view" not in asker.permissions):
            raise Refusal(403, "forbidden", f"You do not have access to the enterprise account {name}.")
        if members:
            return _ranged(asking, [_enterprise_member(account, one) for one in account.members], "id")
        return {
            **_named("enterprise-account", account.name),
            "created_at": SINCE,
            "updated_at": SINCE,
            "permissions": asker.permissions,
            "trial": False,
            "partner_benefits": False,
            "identity_provider": None,
        }


def _variant(headers: Any) -> str:
    match = _ACCEPT.fullmatch(headers.get("Accept", ""))
    if match is None:
        raise Refusal(406, "not_acceptable", "Set the header Accept: application/vnd.heroku+json; version=3")
    return match[1] or ""


def _ranged(asking: Asking, items: list[dict[str, Any]], attribute: str) -> list[dict[str, Any]]:
    """Return the part of a list that is asked for."""
    try:
        page = cut(asking.wanted, items, attribute)
    except Unsatisfiable as error:
        raise Refusal(416, "requested_range_not_satisfiable", str(error)) from None
    asking.status = page.status
    asking.headers |= page.headers
    return page.items


def _named(kind: str, name: str) -> dict[str, Any]:
    return {"id": uuid_of(kind, name), "name": name}


def _account(email: str, *, name: bool = True) -> dict[str, Any]:
    user = {"email": email, "id": uuid_of("account", email)}
    return user | {"name": email.partition("@")[0].replace(".", " ").title()} if name else user


def _team(team: Team, role: str) -> dict[str, Any]:
    above = _named("enterprise-account", team.enterprise_account) if team.enterprise_account else None
    return {
        **_named("team", team.name),
        "created_at": SINCE,
        "credit_card_collections": above is None,
        "default": False,
        "enterprise_account": above,
        "identity_provider": None,
        "membership_limit": 25,
        "provisioned_licenses": above is not None,
        "role": role,
        "type": team.type,
        "updated_at": SINCE,
    }


def _flag(person: Person) -> dict[str, Any]:
    return {} if person.mfa == "absent" else {"two_factor_authentication": person.mfa}


def _provider(person: Person, owner: dict[str, Any]) -> dict[str, Any]:
    if person.provider == "absent":
        return {}
    if person.provider is None:
        return {"identity_provider": None}
    return {"identity_provider": {**_named("identity-provider", person.provider), "redacted": False, "owner": owner}}


def _member(team: Team, person: Person) -> dict[str, Any]:
    return {
        "created_at": SINCE,
        "email": person.email,
        "federated": person.provider not in (None, "absent"),
        "id": uuid_of(f"member/{team.name}", person.email),
        **_provider(person, {**_named("team", team.name), "type": "team"}),
        "role": person.role,
        **_flag(person),
        "updated_at": SINCE,
        "user": _account(person.email),
    }


def _enterprise_member(account: EnterpriseAccount, person: Person) -> dict[str, Any]:
    named = _named("enterprise-account", account.name)
    return {
        "enterprise_account": named,
        "id": uuid_of(f"enterprise-member/{account.name}", person.email),
        **_provider(person, {**named, "type": "enterprise-account"}),
        "permissions": [
            {"description": f"{name} in the enterprise account", "name": name} for name in person.permissions
        ],
        **_flag(person),
        "user": _account(person.email, name=False),
    }


def _invitations(team: Team) -> list[dict[str, Any]]:
    return [
        {
            "created_at": one.created_at,
            "id": one.id,
            "invited_by": _account(one.invited_by),
            "role": one.role,
            "team": _named("team", team.name),
            "updated_at": one.created_at,
            "user": _account(one.email),
        }
        for one in team.invitations
    ]


class HerokuPart:
    """A Part (see part.py), with its simulator for tests that ask it directly."""

    def __init__(self, world: HerokuWorld) -> None:
        self.environment = {token.variable: new_token() for token in world.tokens}
        self.simulator = HerokuSimulator(world, {self.environment[one.variable]: one for one in world.tokens})
        self.targets: list[dict[str, object]] = [
            {
                "id": one.target,
                "type": "heroku",
                "team": one.name,
                **({"enterprise_account": one.enterprise_account} if one.enterprise_account else {}),
                "base_url": self.simulator.url,
                "token": {"env": one.token},
                "tags": ["production"],
            }
            for one in world.teams
        ]
        accounts = self.simulator.enterprise_accounts
        self.expected = [line for one in world.teams for line in _expected(one, accounts)]

    def stop(self) -> None:
        """End the simulator. A second call does nothing."""
        self.simulator.stop()


def new_token() -> str:
    """A token nobody knows, with the characters that a header may carry and careless code mangles."""
    return f"HRKU-{secrets.token_urlsafe(12)}/+=@'%{secrets.token_urlsafe(12)}"


def start_heroku(world: Path, folder: Path) -> HerokuPart:
    """Start the Heroku that `world`/heroku.yaml describes. It writes no file."""
    del folder
    return HerokuPart(read_world(world))


def _expected(team: Team, accounts: Mapping[str, EnterpriseAccount]) -> Iterator[Expected]:
    truths = [(team.target, team.expected_of_target)]
    above = accounts[team.enterprise_account].members if team.enterprise_account else []
    truths += [(one.email, one.expected) for one in [*team.members, *above]]
    truths += [(one.id, one.expected) for one in team.invitations]
    for resource, expected in truths:
        for check, truth in expected.items():
            yield Expected(check, team.target, resource, truth.outcome, truth.why)
