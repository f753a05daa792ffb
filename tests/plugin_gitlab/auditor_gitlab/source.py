"""GitLab groups, asked through the REST API.

A list is a bare array on the wire; it is kept as `{"items": [...]}`, a page to a line. GitLab leaves out what the
caller may not see, and says 200: `two_factor_enabled` is shown to owners of the group and administrators only, and
before 19.4 to nobody. The `invite_token` of an invitation is a secret: it is dropped before anything is kept.

Sources: docs.gitlab.com/api/groups, /api/group_members, /api/invitations, /api/users ("Get the current user"),
/api/rest ("Offset-based pagination"), /security/rate_limits and /administration/settings/user_and_ip_rate_limits.
"""

from __future__ import annotations

import datetime as dt
import urllib.parse
from collections.abc import Iterator, Mapping
from contextlib import closing
from types import MappingProxyType
from typing import Annotated, Any

import msgspec

from auditor.answers import Answer
from auditor.model import JSON
from auditor.questions import Allowance, Identified, Opening, Operation, Reply, SecretRef, SourceFailure, SourceType
from auditor.sources.clock import utcnow
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

PER_PAGE = 100
WAIT_BUDGET = 300.0
"""Seconds that all questions of one task may wait for rate limits, together."""
LIMITED_SECONDS = 60.0
"""How long to wait where GitLab names no time: most of its limits are for a minute."""
OK, MOVED, TOO_MANY = 200, range(300, 400), 429
SECRET = "invite_token"
SCOPE = "a token with the scope read_api"
OWNER = f"{SCOPE}, of an owner of the group"


class GitlabTarget(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A GitLab group.

    `group`: its full path, as in its URL; `base_url`: GitLab itself, without /api/v4; `token`: of an owner of the
    group, with the scope read_api.
    """

    group: Annotated[str, msgspec.Meta(pattern=r"^[\w.-]+(/[\w.-]+)*$")]
    base_url: str = "https://gitlab.com"
    token: SecretRef

    def __post_init__(self) -> None:
        check_base_url(self.base_url)


class _User(msgspec.Struct):
    """Who is asking."""

    id: int
    username: str


class _Group(msgspec.Struct):
    """What is read of a group; `parent_id` is null for a top-level group."""

    id: int
    full_path: str
    parent_id: int | None
    require_two_factor_authentication: bool | msgspec.UnsetType | None = msgspec.UNSET


class _Member(_User):
    """What is read of a member; the flag is missing where the caller may not see it."""

    state: str
    access_level: int
    two_factor_enabled: bool | msgspec.UnsetType | None = msgspec.UNSET


class _Invitation(msgspec.Struct):
    """A pending invitation by e-mail."""

    invite_email: str
    access_level: int
    created_at: str


class GitlabOperation(Operation, frozen=True, kw_only=True):
    """A question: its path below /api/v4, and the msgspec type its answer must have."""

    path: str
    shape: Any


_ROWS = (
    GitlabOperation(
        name="group",
        summary="The group, and what it requires of its members.",
        permission=SCOPE,
        needs_identity=False,
        path="/groups/{group}",
        shape=_Group,
    ),
    GitlabOperation(name="user", summary="Who is asking.", permission=SCOPE, path="/user", shape=_User),
    GitlabOperation(
        name="members",
        summary="Everybody in the group, by whatever group above or invited, and whether they have MFA.",
        permission=f"{OWNER}; GitLab 19.4 or later",
        items="/items",
        path="/groups/{group}/members/all",
        shape=list[_Member],
    ),
    GitlabOperation(
        name="invitations",
        summary="Invitations that nobody has accepted yet.",
        permission=OWNER,
        items="/items",
        path="/groups/{group}/invitations",
        shape=list[_Invitation],
    ),
)
OPERATIONS: Mapping[str, GitlabOperation] = MappingProxyType({row.name: row for row in _ROWS})


class GitlabConnection:
    """One group, asked for one task."""

    def __init__(self, target: GitlabTarget, opening: Opening) -> None:
        self._group = urllib.parse.quote(target.group, safe="")
        self._https = Https(
            f"{target.base_url.rstrip('/')}/api/v4",
            credential=in_header(lambda: opening.secret(target.token)),
            transport=opening.transport,
            patience=seconds_to_wait,
            budget=WAIT_BUDGET,
            allowance=allowance,
        )

    def ask(self, operation: Operation, params: Mapping[str, Any]) -> Iterator[Reply]:
        """Ask one question, page by page; no question takes parameters."""
        if not isinstance(operation, GitlabOperation) or params:
            raise TypeError(f"{operation.name} is no question to GitLab with {sorted(params)}")
        pages = _Pages(operation)
        query: Mapping[str, str | int] = {"per_page": PER_PAGE} if operation.items else {}
        url: str | None = self._https.url(operation.path.format(group=self._group), query)
        while url is not None:
            pages.seen.add(url)
            pages.following, pages.dropped = None, ()
            reply = self._https.ask(url, pages.read).reply
            url = pages.following if reply.status == "ok" else None
            yield msgspec.structs.replace(reply, dropped=pages.dropped, last=url is None)

    def close(self) -> None:
        """Close every connection."""
        self._https.close()


class _Pages:
    """Reads the pages of one question, and knows whether they are all."""

    def __init__(self, operation: GitlabOperation) -> None:
        self._operation = operation
        self._count = 0
        self.seen: set[str] = set()
        self.following: str | None = None
        self.dropped: tuple[str, ...] = ()

    def read(self, received: Received) -> JSON:
        """Return the body that is kept; `SourceFailure` says why it is no answer."""
        if received.status != OK:
            raise _refusal(self._operation, received)
        body = read_json(received, self._operation.shape)
        if not self._operation.items:
            return body
        self.following = next_link(received)
        if self.following in self.seen:
            refuse("the next page is one that was read before, so the pages never end")
        if self.following is None and received.headers.get("x-next-page"):
            refuse("x-next-page names a page that the Link header does not")
        self._count += len(body)
        total = received.headers.get("x-total", "")  # left out beyond 10,000
        if self.following is None and total and total != str(self._count):
            refuse(f"the pages hold {self._count} items, but x-total says {total}")
        self.dropped = tuple(f"/items/{index}/{SECRET}" for index, item in enumerate(body) if SECRET in item)
        return {"items": [{name: value for name, value in item.items() if name != SECRET} for item in body]}


def _refusal(operation: GitlabOperation, received: Received) -> SourceFailure:
    """Say what GitLab refused. It answers 404 as well where the caller may not know that there is something."""
    if received.status == TOO_MANY:
        return SourceFailure("rate_limit", "too many requests")
    if received.status in MOVED:
        return SourceFailure(str(received.status), "moved elsewhere, and a token does not follow; was it renamed?")
    if received.status < MOVED.start:
        return SourceFailure("malformed", f"{describe_status(received.status)} is no answer to this question")
    message = stated_message(received) or describe_status(received.status)
    needs = f" (needs {operation.permission})" if received.status in (401, 403, 404) else ""
    return SourceFailure(str(received.status), message + needs)


def seconds_to_wait(received: Received, attempt: int) -> float | None:
    """Return how long GitLab asks to wait before the next try; None where this was no rate limit.

    `retry-after` in seconds, or else until the epoch second `ratelimit-reset` ("Response headers" of
    /administration/settings/user_and_ip_rate_limits); some limits name neither.
    """
    del attempt
    if received.status != TOO_MANY:
        return None
    after, reset = (received.headers.get(name, "") for name in ("retry-after", "ratelimit-reset"))
    if _is_count(after):
        return max(1.0, float(after))
    if _is_count(reset):
        return max(1.0, int(reset) - (received.server_time or utcnow()).timestamp() + 1)
    return LIMITED_SECONDS


def allowance(received: Received) -> Allowance | None:
    """Return what the rate limit leaves; None where GitLab does not say."""
    figures = [received.headers.get(f"ratelimit-{name}", "") for name in ("remaining", "limit", "reset")]
    if not all(map(_is_count, figures)):
        return None
    remaining, limit, reset = map(int, figures)
    return Allowance(remaining, limit, dt.datetime.fromtimestamp(reset, dt.UTC))


def _is_count(text: str) -> bool:
    """Whether a header holds a sensible number: a few digits, nothing else."""
    return text.isascii() and text.isdigit() and len(text) <= 10


def declare(target: GitlabTarget) -> dict[str, JSON]:
    """Return what may be known of the group without any secret."""
    return {"group": target.group, "base_url": target.base_url}


def identified(declared: Answer, identity: Answer) -> Identified:
    """Say which group answered; GitLab does not say here who asks."""
    return Identified(
        system=f"GitLab at {declared.get('/base_url', str)}",
        account=f"group {identity.get('/full_path', str)} (id {identity.get('/id', int)})",
        asker="the owner of the token; GitLab does not name it here",
    )


def contradiction(declared: Answer, identity: Answer) -> str | None:
    """Say which other group answered; None where it is the declared one. Paths know no case."""
    expected, actual = declared.get("/group", str), identity.get("/full_path", str)
    if expected.casefold() == actual.casefold():
        return None
    return f"declared group {expected}, but {actual} answered"


SOURCE = SourceType(
    name="gitlab",
    settings=GitlabTarget,
    operations=OPERATIONS,
    declare=declare,
    open=lambda target, opening: closing(GitlabConnection(target, opening)),
    where=("/base_url",),
    identity="group",
    identified=identified,
    contradiction=contradiction,
    parallel_questions=1,
    denied=("401", "403", "404"),
)
