"""GitHub's REST API as far as organizations go, on loopback: who may see what, paging, limits and refusals.

The GraphQL API is beside it, at /graphql. After docs.github.com/rest, version 2026-03-10. Where GitHub's documents
leave a refusal open, the comment says so.
"""

import json
import math
import re
import secrets
import urllib.parse
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

from auditor.sandbox import github_graphql
from auditor.sandbox.github_bodies import full_organization, simple_organization, simple_user
from auditor.sandbox.github_graphql import Graphql, GraphqlRefusal
from auditor.sandbox.github_world import GithubWorld, Organization, Person, Token, read_world
from auditor.sandbox.http_server import HttpServer, reply
from auditor.sandbox.part import Expected
from auditor.sources.clock import utcnow

VERSIONS = ("2022-11-28", "2026-03-10")
MOST_PER_PAGE, USUAL_PER_PAGE = 100, 30
DOCUMENTATION = "https://docs.github.com/rest"
NOT_AN_OWNER = "Only owners can use this filter."
_PATH = re.compile(r"/(?:orgs|organizations)/([^/]+)(?:/(members|outside_collaborators|invitations))?")
_MEMBERSHIP = re.compile(r"/user/memberships/orgs/([^/]+)")


class Refusal(Exception):
    """An answer that is not the one asked for."""

    def __init__(self, status: int, message: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.headers = dict(headers or {})


class Asking:
    """One request: its account, its query, and the headers its answer will have."""

    def __init__(self, token: Token, path: str, query: Mapping[str, str]) -> None:
        self.token = token
        self.path = path
        self.query = query
        self.headers: dict[str, str] = {}

    def refuse_without_permission(self) -> None:
        """Refuse a fine-grained token without the permission; GitHub names it in a header."""
        if not self.token.members_read:
            accepted = {"X-Accepted-GitHub-Permissions": "members=read"}
            raise Refusal(403, "Resource not accessible by personal access token", accepted)


class GithubSimulator:
    """GitHub over a world that tests may change while it runs. `tokens` maps the secret texts to their accounts."""

    def __init__(self, world: GithubWorld, tokens: Mapping[str, Token]) -> None:
        self.organizations = {one.login.casefold(): one for one in world.organizations}
        self.tokens = dict(tokens)
        self.calls: Counter[str] = Counter()  # by path, without the query
        self.used: Counter[int] = Counter()
        self.points: Counter[int] = Counter()  # of the GraphQL API
        self.limit = world.limit
        self.reset_at = math.floor(utcnow().timestamp()) + 3600
        self.secondary: list[int | None] = []  # refusals to come: seconds of Retry-After, None where GitHub names none
        self.intervene: Callable[[Asking, Any], Any] = lambda _, body: body
        self._graphql = Graphql(self._counted)
        self._server = HttpServer("github.com", self.answer, methods=("GET", "POST"))
        self.url = self._server.url

    def stop(self) -> None:
        """End the server. A second call does nothing."""
        self._server.stop()

    def answer(self, handler: BaseHTTPRequestHandler) -> None:
        """Answer one request, in the order in which GitHub refuses."""
        parts = urllib.parse.urlsplit(handler.path)
        query = dict(urllib.parse.parse_qsl(parts.query))
        sent = handler.rfile.read(int(handler.headers.get("Content-Length", 0)))
        self.calls[parts.path] += 1
        headers: dict[str, str] = {}
        try:
            token = self._authenticated(handler.headers)
            asking = Asking(token, parts.path, query)
            if handler.command == "POST":
                status, body = 200, self.intervene(asking, self._answer_query(asking, sent))
            else:
                headers = self._limited(token)
                status, body = 200, self.intervene(asking, self._answer(asking))
            headers |= asking.headers
        except Refusal as refusal:
            status = refusal.status
            body = {"message": refusal.message, "documentation_url": DOCUMENTATION, "status": str(status)}
            headers |= refusal.headers
        headers["Content-Type"] = "application/json; charset=utf-8"
        reply(handler, status, headers, json.dumps(body).encode())

    def _authenticated(self, headers: Any) -> Token:
        if not headers.get("User-Agent"):
            raise Refusal(
                403, "Request forbidden by administrative rules. Please make sure your request has a User-Agent"
            )
        version = headers.get("X-GitHub-Api-Version", VERSIONS[0])
        if version not in VERSIONS:
            raise Refusal(400, f"{version} is not a supported version")
        kind, _, text = headers.get("Authorization", "").partition(" ")
        if not text:
            raise Refusal(401, "Requires authentication")
        if kind.lower() not in ("bearer", "token") or text not in self.tokens:
            raise Refusal(401, "Bad credentials")
        return self.tokens[text]

    def _limited(self, token: Token) -> dict[str, str]:
        """Count one request; refuse it over the primary limit, or where a secondary one is to come."""
        headers = self._counting(self.used, token, "core")
        if self.used[token.id] > self.limit:
            raise Refusal(403, f"API rate limit exceeded for user ID {token.id}.", headers)
        self._refuse_for_a_while(headers)
        return headers

    def _counting(self, used: Counter[int], token: Token, resource: str) -> dict[str, str]:
        """Count one request, and return what the headers say of the limit."""
        used[token.id] += 1
        return {
            "x-ratelimit-limit": str(self.limit),
            "x-ratelimit-remaining": str(max(0, self.limit - used[token.id])),
            "x-ratelimit-used": str(used[token.id]),
            "x-ratelimit-reset": str(self.reset_at),
            "x-ratelimit-resource": resource,
        }

    def _refuse_for_a_while(self, headers: Mapping[str, str]) -> None:
        if self.secondary:
            seconds = self.secondary.pop(0)
            after = {} if seconds is None else {"retry-after": str(seconds)}
            text = "You have exceeded a secondary rate limit. Please wait a few minutes."
            raise Refusal(403, text, {**headers, **after})

    def _answer_query(self, asking: Asking, sent: bytes) -> Any:
        """Answer the GraphQL API, the only one to be posted to. Its primary limit is its own, and refuses with 200."""
        if asking.path != "/graphql":
            raise Refusal(404, "Not Found")
        asking.headers |= self._counting(self.points, asking.token, "graphql")
        if self.points[asking.token.id] > self.limit:
            return github_graphql.limit_exceeded(asking.token.id)
        self._refuse_for_a_while(asking.headers)
        try:
            body = json.loads(sent)
        except ValueError:
            raise Refusal(400, "Problems parsing JSON", asking.headers) from None
        return self._graphql.answer(asking, body)

    def _counted(self, asking: Asking, login: str) -> dict[str, Any]:
        """Find an organization for the GraphQL API, which counts whom its REST API lists."""
        try:
            organization = self._organization(urllib.parse.quote(login, safe=""))
            _single_sign_on(asking, organization)
        except Refusal as refusal:
            raise _as_error(refusal, login) from None

        def members(*_: Any, **__: Any) -> dict[str, Any]:
            if not asking.token.members_read:
                raise GraphqlRefusal("FORBIDDEN", "Resource not accessible by personal access token")
            return {"totalCount": len(_seen(asking, organization))}

        number = organization.id
        return {"id": f"O_{number}", "databaseId": number, "login": organization.login, "membersWithRole": members}

    def _answer(self, asking: Asking) -> Any:
        if match := _MEMBERSHIP.fullmatch(asking.path):
            return self._membership(asking, self._organization(match[1]))
        if match := _PATH.fullmatch(asking.path):
            organization = self._organization(match[1])
            _single_sign_on(asking, organization)
            if match[2] is None:
                return self._details(asking, organization)
            asking.refuse_without_permission()
            items = {
                "members": self._members,
                "outside_collaborators": self._outside,
                "invitations": self._invitations,
            }[match[2]](asking, organization)
            return self._page(asking, organization, match[2], items)
        raise Refusal(404, "Not Found")

    def _organization(self, name: str) -> Organization:
        """Find an organization by login or, as in the links of pages, by number."""
        name = urllib.parse.unquote(name).casefold()
        found = self.organizations.get(name)
        found = found or next((one for one in self.organizations.values() if str(one.id) == name), None)
        if found is None:
            raise Refusal(404, "Not Found")
        return found

    def _membership(self, asking: Asking, organization: Organization) -> dict[str, Any]:
        asking.refuse_without_permission()
        _single_sign_on(asking, organization)
        person = organization.person(asking.token.login)
        if person is None:
            raise Refusal(404, "Not Found")
        url = f"{self.url}/orgs/{organization.login}"
        return {
            "url": f"{url}/memberships/{person.login}",
            "state": person.state,
            "role": person.role,
            "organization_url": url,
            "organization": simple_organization(self.url, organization.login, organization.id),
            "user": simple_user(self.url, person.login, person.id),
        }

    def _details(self, asking: Asking, organization: Organization) -> dict[str, Any]:
        body = full_organization(self.url, organization.login, organization.id)
        if _is_owner(asking, organization):
            body |= {"default_repository_permission": "read", "members_can_create_repositories": False}
            if organization.requires_mfa != "absent":
                body["two_factor_requirement_enabled"] = organization.requires_mfa
        return body

    def _members(self, asking: Asking, organization: Organization) -> list[dict[str, Any]]:
        """Owners see everybody and may filter; members see everybody; strangers those who want to be seen."""
        wanted = _filter(asking, organization)
        role = asking.query.get("role", "all")
        seen = [one for one in _seen(asking, organization) if wanted(one) and role in ("all", one.role)]
        return [simple_user(self.url, one.login, one.id) for one in seen]

    def _outside(self, asking: Asking, organization: Organization) -> list[dict[str, Any]]:
        """Outside collaborators; the documents do not say how others than owners are refused without a filter."""
        wanted = _filter(asking, organization)
        if not _is_owner(asking, organization):
            raise Refusal(403, "Must be an organization owner.")
        return [simple_user(self.url, one.login, one.id) for one in organization.outside_collaborators if wanted(one)]

    def _invitations(self, asking: Asking, organization: Organization) -> list[dict[str, Any]]:
        if not _is_owner(asking, organization):
            raise Refusal(404, "Not Found")  # documented for "not found" only
        role = asking.query.get("role", "all")
        return [
            {
                "id": one.id,
                "login": one.login,
                "email": one.email,
                "role": one.role,
                "created_at": one.created_at,
                "failed_at": None,
                "failed_reason": None,
                "inviter": simple_user(self.url, one.inviter, getattr(organization.person(one.inviter), "id", 1)),
                "team_count": 0,
                "node_id": f"OI_{one.id}",
                "invitation_teams_url": f"{self.url}/organizations/{organization.id}/invitations/{one.id}/teams",
                "invitation_source": "member",
            }
            for one in organization.invitations
            if role in ("all", one.role)
        ]

    def _page(self, asking: Asking, organization: Organization, name: str, items: list[Any]) -> list[Any]:
        """Cut out one page; the links name the organization by number, as GitHub's do."""
        size = min(MOST_PER_PAGE, max(1, int(asking.query.get("per_page", USUAL_PER_PAGE))))
        page = max(1, int(asking.query.get("page", 1)))
        last = max(1, math.ceil(len(items) / size))
        relations = {"prev": page - 1, "next": page + 1, "last": last, "first": 1}
        if page == 1:
            del relations["prev"], relations["first"]
        if page >= last:
            del relations["next"], relations["last"]
        base = f"{self.url}/organizations/{organization.id}/{name}"
        links = [
            f'<{base}?{urllib.parse.urlencode({**asking.query, "page": number})}>; rel="{relation}"'
            for relation, number in relations.items()
        ]
        if links:
            asking.headers["Link"] = ", ".join(links)
        return items[(page - 1) * size : page * size]


def _seen(asking: Asking, organization: Organization) -> list[Person]:
    """Return the members whom the account may see."""
    caller = organization.person(asking.token.login)
    seen = [one for one in organization.members if one.state == "active" and one.role != "billing_manager"]
    if caller is None or caller.state != "active":
        seen = [one for one in seen if one.public]
    return seen


def _as_error(refusal: Refusal, login: str) -> GraphqlRefusal:
    """Return a refusal in the words of the GraphQL API."""
    if "X-GitHub-SSO" in refusal.headers:
        return GraphqlRefusal("FORBIDDEN", refusal.message, {"saml_failure": True})
    return GraphqlRefusal("NOT_FOUND", f"Could not resolve to an Organization with the login of '{login}'.")


def _is_owner(asking: Asking, organization: Organization) -> bool:
    person = organization.person(asking.token.login)
    return person is not None and (person.role, person.state) == ("admin", "active")


def _single_sign_on(asking: Asking, organization: Organization) -> None:
    if organization.saml and not asking.token.sso:
        wall = {"X-GitHub-SSO": f"required; url=https://github.com/orgs/{organization.login}/sso"}
        text = "Resource protected by organization SAML enforcement. You must grant your Personal Access token access"
        raise Refusal(403, text, wall)


def _filter(asking: Asking, organization: Organization) -> Callable[[Person], bool]:
    """Return which accounts a filter lets through; filters are for owners."""
    name = asking.query.get("filter", "all")
    if name == "all":
        return lambda _: True
    if not _is_owner(asking, organization):
        raise Refusal(422, NOT_AN_OWNER)
    wanted = {"2fa_disabled": "none", "2fa_insecure": "insecure"}.get(name)
    if wanted is None:
        raise Refusal(422, "Validation Failed")
    return lambda one: one.mfa == wanted


class GithubPart:
    """A Part (see part.py), with its simulator for tests that ask it directly."""

    def __init__(self, world: GithubWorld) -> None:
        self.environment = {token.variable: new_token() for token in world.tokens}
        self.simulator = GithubSimulator(world, {self.environment[one.variable]: one for one in world.tokens})
        self.targets: list[dict[str, object]] = [
            {
                "id": one.target,
                "type": "github",
                "organization": one.login,
                "base_url": self.simulator.url,
                "token": {"env": one.token},
                "tags": ["production"],
            }
            for one in world.organizations
        ]
        self.expected = [line for one in world.organizations for line in _expected(one)]

    def stop(self) -> None:
        """End the simulator. A second call does nothing."""
        self.simulator.stop()


def new_token() -> str:
    """A token nobody knows, with the characters that a header may carry and careless code mangles."""
    return f"github_pat_{secrets.token_urlsafe(12)}/+=@'%{secrets.token_urlsafe(12)}"


def start_github(world: Path, folder: Path) -> GithubPart:
    """Start the GitHub that `world`/github.yaml describes. It writes no file."""
    del folder
    return GithubPart(read_world(world))


def _expected(organization: Organization) -> Iterator[Expected]:
    truths = [(organization.login, organization.expected), (organization.target, organization.expected_of_target)]
    people = [*organization.members, *organization.outside_collaborators]
    truths += [(str(one.id), one.expected) for one in people]
    truths += [(str(one.id), one.expected) for one in organization.invitations]
    for resource, expected in truths:
        for check, truth in expected.items():
            yield Expected(check, organization.target, resource, truth.outcome, truth.why)
