"""GitLab's REST API as far as the example of a plug-in asks it, on loopback: who may see what, paging and refusals.

After docs.gitlab.com: /api/groups, /api/group_members, /api/invitations, /api/users, /api/rest.
"""

from __future__ import annotations

import json
import math
import re
import urllib.parse
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from typing import Any

from auditor.sandbox.http_server import HttpServer, reply

OWNER, DEVELOPER = 50, 30
INVITE_TOKEN = "glit-canary-7f3a2b"
_PATH = re.compile(r"/api/v4/groups/([^/]+)(/members/all|/invitations)?")


@dataclass
class Person:
    """A member; `mfa` None: GitLab leaves the flag out, whoever asks."""

    id: int
    username: str
    level: int = DEVELOPER
    mfa: bool | None = True
    state: str = "active"


@dataclass
class Gitlab:
    """One group, and the token of the person who asks. Tests change it while it runs."""

    path: str = "explo"
    people: list[Person] = field(default_factory=lambda: [Person(1, "ada", OWNER)])
    asker: int = 1
    token: str = "glpat-canary_11AB"
    invited: list[str] = field(default_factory=list)
    requires_mfa: bool | None = True
    parent: int | None = None
    limited: list[dict[str, str]] = field(default_factory=list)  # headers of refusals to come
    without: tuple[str, ...] = ()  # headers that are left out
    hidden: int = 0  # members of the last page that are not sent
    calls: Counter[str] = field(default_factory=Counter)
    url: str = ""

    def person(self) -> Person | None:
        """Return the member who asks."""
        return next((one for one in self.people if one.id == self.asker), None)

    def answer(self, target: str, token: str) -> tuple[int, dict[str, str], Any]:
        """Return status, headers and body for one request."""
        parts = urllib.parse.urlsplit(target)
        self.calls[parts.path] += 1
        if self.limited:
            return 429, self.limited.pop(0), "Retry later\n"
        if token != self.token:
            return 401, {}, {"message": "401 Unauthorized"}
        if parts.path == "/api/v4/user":
            asker = self.person()
            return 200, {}, {"id": self.asker, "username": asker.username if asker else "stranger", "state": "active"}
        match = _PATH.fullmatch(parts.path)
        if match is None or urllib.parse.unquote(match[1]).casefold() != self.path.casefold():
            return 404, {}, {"message": "404 Group Not Found"}
        return self._of_group(match[2], parts)

    def _of_group(self, part: str | None, parts: urllib.parse.SplitResult) -> tuple[int, dict[str, str], Any]:
        if part is None:
            return 200, {}, self._group()
        if part == "/members/all":
            return self._page(parts, self._members())
        if not self._asked_by_an_owner():
            return 403, {}, {"message": "403 Forbidden"}
        return self._page(parts, self._invitations())

    def _asked_by_an_owner(self) -> bool:
        asker = self.person()
        return asker is not None and asker.level >= OWNER

    def _group(self) -> dict[str, Any]:
        body: dict[str, Any] = {"id": 9, "name": "Explo", "full_path": self.path, "parent_id": self.parent}
        return body if self.requires_mfa is None else {**body, "require_two_factor_authentication": self.requires_mfa}

    def _members(self) -> list[dict[str, Any]]:
        """`two_factor_enabled` stands there for owners only."""
        shown = self._asked_by_an_owner()
        return [
            {
                "id": one.id,
                "username": one.username,
                "name": one.username.title(),
                "state": one.state,
                "web_url": f"{self.url}/{one.username}",
                "access_level": one.level,
                "created_at": "2025-02-03T16:40:01.000Z",
                "expires_at": None,
                **({"two_factor_enabled": one.mfa} if shown and one.mfa is not None else {}),
            }
            for one in self.people
        ]

    def _invitations(self) -> list[dict[str, Any]]:
        return [
            {
                "access_level": DEVELOPER,
                "created_at": "2026-11-20T09:12:44.000Z",
                "expires_at": None,
                "invite_email": email,
                "invite_token": INVITE_TOKEN,
                "created_by_name": "Ada",
            }
            for email in self.invited
        ]

    def _page(self, parts: urllib.parse.SplitResult, items: list[Any]) -> tuple[int, dict[str, str], Any]:
        query = dict(urllib.parse.parse_qsl(parts.query))
        size, page = min(100, int(query.get("per_page", 20))), int(query.get("page", 1))
        last = max(1, math.ceil(len(items) / size))
        pages = {"prev": page - 1, "next": page + 1, "first": 1, "last": last}
        base = f"{self.url}{parts.path}"
        links = [
            f'<{base}?{urllib.parse.urlencode({**query, "page": number})}>; rel="{relation}"'
            for relation, number in pages.items()
            if 1 <= number <= last
        ]
        headers = {
            "Link": ", ".join(links),
            "X-Next-Page": str(page + 1) if page < last else "",
            "X-Page": str(page),
            "X-Per-Page": str(size),
            "X-Total": str(len(items)),
            "X-Total-Pages": str(last),
            "RateLimit-Limit": "2000",
            "RateLimit-Remaining": "1999",
            "RateLimit-Reset": "1795000000",
        }
        end = page * size if page < last else len(items) - self.hidden
        return 200, headers, items[(page - 1) * size : end]


@contextmanager
def running(world: Gitlab) -> Iterator[Gitlab]:
    """Serve a GitLab on loopback; its `url` is where."""

    def answer(handler: BaseHTTPRequestHandler) -> None:
        given = handler.headers
        token = given.get("PRIVATE-TOKEN") or given.get("Authorization", "").removeprefix("Bearer ")
        status, headers, body = world.answer(handler.path, token)
        plain = isinstance(body, str)
        headers = {name: value for name, value in headers.items() if name not in world.without}
        headers["Content-Type"] = "text/plain" if plain else "application/json"
        reply(handler, status, headers, body.encode() if plain else json.dumps(body).encode())

    server = HttpServer("nginx", answer)
    world.url = server.url
    try:
        yield world
    finally:
        server.stop()
