"""GitHub organizations, asked through the REST API; what that does not count, through the GraphQL API.

A list is a bare array on the wire; it is kept as `{"items": [...]}`, a page to a line. GitHub shows other things to
other people, and says so with 200: so who asks comes first (`membership`), and a check that needs an owner reads it.

Sources: docs.github.com/rest (version 2026-03-10), "Members", "Outside collaborators", "Rate limits for the REST API".
"""

from __future__ import annotations

import datetime as dt
import time
import urllib.parse
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from functools import partial
from typing import Annotated, Any

import msgspec

from auditor.answers import Answer
from auditor.model import JSON
from auditor.questions import (
    Allowance,
    Identified,
    Opening,
    Operation,
    Reply,
    SecretRef,
    SourceFailure,
    SourceType,
    Trouble,
)
from auditor.sources import github_graphql
from auditor.sources.clock import utcnow
from auditor.sources.github_grants import write_token
from auditor.sources.github_operations import OPERATIONS, GithubOperation
from auditor.sources.http import (
    Https,
    Received,
    check_base_url,
    describe_status,
    in_header,
    next_link,
    read_json,
    refuse,
    stated_message,
)

API_VERSION = "2026-03-10"
PER_PAGE = 100
WAIT_BUDGET = 300.0
"""Seconds that all questions of one task may wait for rate limits, together."""
SECONDARY_SECONDS = 60.0
"""Least wait where GitHub names none; doubled each time ("Rate limits for the REST API")."""
OK, MOVED, FORBIDDEN, TOO_MANY = 200, range(300, 400), 403, 429


Login = Annotated[
    str,
    msgspec.Meta(
        pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]{0,99}$",
        description="a login on GitHub: letters, digits, - and _",
        examples=["your-organization"],
    ),
]


class GithubTarget(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A GitHub organization.

    `organization`: its login, as in its URL; `base_url`: the API, of GitHub Enterprise Server
    https://HOST/api/v3; `token`: of an owner of the organization, for GitHub shows others less, and says so with 200.
    """

    organization: Login
    base_url: str = "https://api.github.com"
    token: SecretRef

    def __post_init__(self) -> None:
        check_base_url(self.base_url)


class GithubConnection:
    """One organization, asked for one task."""

    def __init__(self, target: GithubTarget, opening: Opening, *, sleep: Callable[[float], None] = time.sleep) -> None:
        self._organization = target.organization
        self._graphql = github_graphql.endpoint(target.base_url)
        self._https = Https(
            target.base_url,
            credential=in_header(lambda: opening.secret(target.token)),
            headers={"Accept": "application/vnd.github+json", "X-GitHub-Api-Version": API_VERSION},
            transport=opening.transport,
            patience=seconds_to_wait,
            budget=WAIT_BUDGET if opening.patient else 0.0,
            allowance=allowance,
            sleep=sleep,
        )

    def ask(self, operation: Operation, params: Mapping[str, Any]) -> Iterator[Reply]:
        """Ask one question, page by page."""
        if not isinstance(operation, GithubOperation):
            raise TypeError(f"{operation.name} is no operation of GitHub")
        for name, value in params.items():
            if value not in operation.choices.get(name, ()):
                raise ValueError(f"{operation.name} does not know {name}={value}")
        if operation.query:
            body = {"query": operation.query, "variables": {"login": self._organization}}
            yield self._https.ask(self._graphql, partial(_read, operation), method="POST", body=body).reply
            return
        path = operation.path.format(organization=urllib.parse.quote(self._organization, safe=""))
        query = {**params, "per_page": PER_PAGE} if operation.items else params
        url: str | None = self._https.url(path, query)
        seen: set[str] = set()
        while url is not None:
            seen.add(url)
            reply, url = self._page(operation, url, seen)
            yield reply

    def close(self) -> None:
        """Close every connection."""
        self._https.close()

    def _page(self, operation: GithubOperation, url: str, seen: set[str]) -> tuple[Reply, str | None]:
        """Return one page, and the URL of the next; `seen` are those that were asked for."""
        following: list[str] = []

        def read(received: Received) -> JSON:
            body = _read(operation, received)
            if not operation.items:
                return body
            link = next_link(received)
            if link in seen:
                refuse("the next page is one that was read before, so the pages never end")
            following.extend([] if link is None else [link])
            return {"items": body}

        reply = self._https.ask(url, read).reply
        return (msgspec.structs.replace(reply, last=False), following[0]) if following else (reply, None)


def _read(operation: GithubOperation, received: Received) -> JSON:
    """Return the body of an answer; `SourceFailure` says why it is none."""
    if received.status != OK:
        raise _refusal(operation, received)
    if "x-github-sso" in received.headers:  # partial-results: 200, and what SSO guards is left out
        raise _sso()
    if operation.query:
        github_graphql.refuse_errors(operation, received)
    return read_json(received, operation.shape)


def _refusal(operation: GithubOperation, received: Received) -> SourceFailure:
    """Say what GitHub refused; a 403 may be a rate limit, single sign-on or a permission: its headers tell."""
    status, message = received.status, stated_message(received) or describe_status(received.status)
    if seconds_to_wait(received, 1) is not None:
        return SourceFailure("rate_limit", message)
    if status == FORBIDDEN and "x-github-sso" in received.headers:
        return _sso()
    if status in MOVED:
        return SourceFailure(str(status), "moved elsewhere, and a token does not follow; was the organization renamed?")
    if status < MOVED.start:
        return SourceFailure("malformed", f"{describe_status(status)} is no answer to this question")
    needs = f" (needs {operation.permission})" if status in (401, FORBIDDEN, 404, 422) else ""
    return SourceFailure(str(status), message + needs)


def _sso() -> SourceFailure:
    return SourceFailure("sso", "SAML single sign-on guards the organization, and the token is not authorized for it")


def seconds_to_wait(received: Received, attempt: int) -> float | None:
    """Return how long GitHub asks to wait before the next try; None where this was no rate limit.

    Primary limit: nothing remains, until the epoch second `x-ratelimit-reset`. Secondary: `retry-after` seconds, or
    else a minute at least, and longer each time ("Rate limits for the REST API", docs.github.com). The GraphQL API
    says either with 200 as well.
    """
    is_limit = received.status == OK and github_graphql.is_limited(received)
    if received.status not in (FORBIDDEN, TOO_MANY) and not is_limit:
        return None
    after = received.headers.get("retry-after", "")
    if _is_count(after):
        return max(1.0, float(after))
    reset = received.headers.get("x-ratelimit-reset", "")
    if received.headers.get("x-ratelimit-remaining") == "0" and _is_count(reset):
        now = received.server_time or utcnow()  # GitHub's own clock, where it says the time
        return max(1.0, int(reset) - now.timestamp() + 1)
    if is_limit or received.status == TOO_MANY or "secondary rate limit" in stated_message(received).lower():
        return float(SECONDARY_SECONDS * 2 ** (attempt - 1))
    return None


def allowance(received: Received) -> Allowance | None:
    """Return what the primary rate limit leaves ("Rate limits for the REST API"); None where GitHub does not say.

    The GraphQL API has a limit of its own, which is never near: one question a task goes there.
    """
    if received.headers.get("x-ratelimit-resource", "core") != "core":
        return None
    figures = [received.headers.get(f"x-ratelimit-{name}", "") for name in ("remaining", "limit", "reset")]
    if not all(map(_is_count, figures)):
        return None
    remaining, limit, reset = map(int, figures)
    try:
        return Allowance(remaining, limit, dt.datetime.fromtimestamp(reset, dt.UTC))
    except (ValueError, OverflowError):  # a year that no calendar has
        return None


def _is_count(text: str) -> bool:
    """Whether a header holds a sensible number: a few digits, nothing else."""
    return text.isascii() and text.isdigit() and len(text) <= 15  # noqa: PLR2004 - milliseconds of this age have 13


def declare(target: GithubTarget) -> dict[str, JSON]:
    """Return what may be known of the organization without any secret."""
    return {"organization": target.organization, "base_url": target.base_url}


def identified(declared: Answer, identity: Answer) -> Identified:
    """Say which organization answered, and as whom it was asked (REST, "Get an organization membership")."""
    return Identified(
        system=f"GitHub at {declared.get('/base_url', str)}",
        account=f"organization {identity.get('/organization/login', str)} (id {identity.get('/organization/id', int)})",
        asker=f"{identity.get('/user/login', str)} (id {identity.get('/user/id', int)}), {identity.get('/role', str)}",
    )


def contradiction(declared: Answer, identity: Answer) -> str | None:
    """Say which other organization answered; None where it is the declared one. Logins know no case."""
    expected, actual = declared.get("/organization", str), identity.get("/organization/login", str)
    if expected.casefold() == actual.casefold():
        return None
    return f"declared organization {expected}, but {actual} answered"


SOURCE = SourceType(
    name="github",
    settings=GithubTarget,
    operations=OPERATIONS,
    declare=declare,
    open=lambda target, opening: closing(GithubConnection(target, opening)),
    where=("/base_url",),
    identity="membership",
    identified=identified,
    contradiction=contradiction,
    denied=("403", "404", "422", *github_graphql.DENIED),
    troubles={Trouble.DENIED: ("sso",)},
    grants={"github": write_token},
    parallel_questions=1,  # "make requests serially" ("Best practices for using the REST API")
)
