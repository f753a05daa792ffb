"""Heroku teams and enterprise accounts, asked through the Platform API.

A list is a bare array on the wire; it is kept as `{"items": [...]}`, a page to a line. Status 200 says that it ends
here, 206 that it goes on: the next page is what the header `Next-Range` says, sent back to the letter as `Range`.

Sources: devcenter.heroku.com/articles/platform-api-reference ("Ranges", "Rate limits", "Errors"), the JSON schema that
Heroku publishes (github.com/heroku/platform-api, schema.json, 4f4f592), and how Heroku's own CLI reads pages and
invitations (github.com/heroku/cli, src/lib/utils/paginator.ts, src/lib/members/).
"""

from __future__ import annotations

import re
import time
import urllib.parse
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from types import MappingProxyType
from typing import Annotated, Any, Literal

import msgspec

from auditor.answers import Answer, pointer_join
from auditor.conversion import convert
from auditor.model import JSON
from auditor.questions import (
    Allowance,
    Failure,
    Identified,
    Need,
    Opening,
    Operation,
    Reply,
    SecretRef,
    SourceFailure,
    SourceType,
)
from auditor.sources.clock import utcnow
from auditor.sources.http import Https, Received, check_base_url, describe_status, in_header, read_json, refuse

EVERY_MEMBER = "email ..; max=1000;"
"""The first range of a team's members: they can be ranged by e-mail only, and 1,000 is the most a page may hold."""
WAIT_BUDGET = 300.0
"""Seconds that all questions of one task may wait for the rate limit, together."""
REFILL_SECONDS = 10.0
"""First wait where Heroku names none, doubled each time: about 75 questions a minute are given back ("Rate limits"),
so this is worth a dozen, and others who use the account take some of them."""
OK, PARTIAL, MOVED, UNAUTHORIZED, FORBIDDEN, NOT_FOUND, TOO_MANY = 200, 206, range(300, 400), 401, 403, 404, 429
SCOPE = "OAuth scope read"  # the least that is not about the account alone; which one lists members is not documented
IN_TEAM = f"{SCOPE}; of an account in the team (viewer, member or admin)"
IN_ENTERPRISE = f"{SCOPE}; of an account with the permission view in the enterprise account"
_COUNT = re.compile(r"[0-9]{1,9}")

Name = Annotated[
    str,
    msgspec.Meta(
        pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$",
        description="a name on Heroku: letters, digits, ., - and _",
        examples=["your-team"],
    ),
]


class HerokuTarget(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A Heroku team, and the enterprise account above it.

    `team`: by its name; `enterprise_account`: where its members are to be looked at too; `base_url`: the Platform API;
    `data_base_url`: where Heroku's databases are asked about, which no check does yet; `token`: of an account in the
    team, for collaborators see no members.
    """

    team: Name
    enterprise_account: Name | None = None
    base_url: str = "https://api.heroku.com"
    data_base_url: str = "https://api.data.heroku.com"
    token: SecretRef

    def __post_init__(self) -> None:
        for name in ("base_url", "data_base_url"):
            check_base_url(getattr(self, name), name)


class _Team(msgspec.Struct):
    """What is read of a team (`team`); the role is that of who asks."""

    id: str
    name: str
    role: str | msgspec.UnsetType | None = msgspec.UNSET
    type: Literal["enterprise", "team"] | msgspec.UnsetType = msgspec.UNSET
    membership_limit: float | msgspec.UnsetType | None = msgspec.UNSET


class _User(msgspec.Struct):
    """Whose membership or invitation it is."""

    email: str
    id: str | msgspec.UnsetType = msgspec.UNSET


class _Member(msgspec.Struct):
    """A membership of a team (`team-member`): Heroku's schema requires these four members and no other."""

    created_at: str
    email: str
    federated: bool
    updated_at: str
    two_factor_authentication: bool | msgspec.UnsetType | None = msgspec.UNSET
    identity_provider: dict[str, Any] | msgspec.UnsetType | None = msgspec.UNSET


class _Invitation(msgspec.Struct):
    """A pending invitation (`team-invitation`)."""

    id: str
    created_at: str
    user: _User | msgspec.UnsetType = msgspec.UNSET


class _EnterpriseAccount(msgspec.Struct):
    """What is read of an enterprise account (`enterprise-account`); the permissions are those of who asks."""

    id: str
    name: str
    permissions: list[str]


class _EnterpriseMember(msgspec.Struct):
    """A membership of an enterprise account (`enterprise-account-member`), which has no `federated`."""

    id: str
    user: _User
    two_factor_authentication: bool | msgspec.UnsetType | None = msgspec.UNSET
    identity_provider: dict[str, Any] | msgspec.UnsetType | None = msgspec.UNSET


class _Refused(msgspec.Struct):
    """The body of every error."""

    id: str = ""
    message: str = ""


class HerokuOperation(Operation, frozen=True, kw_only=True):
    """A question: its path, the msgspec type of its answer, the variant of version 3, and the first range.

    `dropped` is a member of an item that is a secret, and never kept.
    """

    path: str
    shape: Any
    variant: str = ""
    range: str = ""
    dropped: str = ""


_ROWS = (
    HerokuOperation(
        name="team",
        summary="The team, and what who asks is in it.",
        permission=IN_TEAM,
        needs_identity=False,
        path="/teams/{team}",
        shape=_Team,
    ),
    HerokuOperation(
        name="members",
        summary="The members of the team, and whether each has MFA.",
        permission=IN_TEAM,
        items="/items",
        path="/teams/{team}/members",
        shape=list[_Member],
        range=EVERY_MEMBER,
    ),
    HerokuOperation(
        name="invitations",
        summary="Invitations to the team that nobody has accepted yet.",
        permission=IN_TEAM,
        items="/items",
        path="/teams/{team}/invitations",
        shape=list[_Invitation],
        variant="team-invitations",
        dropped="token",  # who has it may accept the invitation; the schema names it, though in no answer
    ),
    HerokuOperation(
        name="enterprise_account",
        summary="The enterprise account, and what who asks may do in it.",
        permission=IN_ENTERPRISE,
        path="/enterprise-accounts/{enterprise_account}",
        shape=_EnterpriseAccount,
    ),
    HerokuOperation(
        name="enterprise_members",
        summary="The members of the enterprise account, and whether each has MFA.",
        permission=IN_ENTERPRISE,
        items="/items",
        path="/enterprise-accounts/{enterprise_account}/members",
        shape=list[_EnterpriseMember],
    ),
)
OPERATIONS: Mapping[str, HerokuOperation] = MappingProxyType({row.name: row for row in _ROWS})


class HerokuConnection:
    """One team and its enterprise account, asked for one task."""

    def __init__(self, target: HerokuTarget, opening: Opening, *, sleep: Callable[[float], None] = time.sleep) -> None:
        names = {"team": target.team, "enterprise_account": target.enterprise_account}
        self._names = {kind: urllib.parse.quote(name, safe="") for kind, name in names.items() if name is not None}
        self._https = Https(
            target.base_url,
            credential=in_header(lambda: opening.secret(target.token)),
            transport=opening.transport,
            patience=seconds_to_wait,
            budget=WAIT_BUDGET if opening.patient else 0.0,
            allowance=allowance,
            sleep=sleep,
        )

    def ask(self, operation: Operation, params: Mapping[str, Any]) -> Iterator[Reply]:
        """Ask one question, page by page."""
        if not isinstance(operation, HerokuOperation):
            raise TypeError(f"{operation.name} is no operation of Heroku")
        if params:
            raise ValueError(f"{operation.name} knows no parameter")
        try:
            url = self._https.url(operation.path.format_map(self._names))
        except KeyError as missing:
            now, failure = utcnow(), Failure("not_declared", f"not asked: the target names no {missing.args[0]}")
            yield Reply(status="error", started_at=now, ended_at=now, error=failure)
            return
        wanted: str | None = operation.range
        seen: set[str] = set()
        while wanted is not None:
            seen.add(wanted)
            reply, wanted = self._page(operation, url, wanted, seen)
            yield reply

    def close(self) -> None:
        """Close every connection."""
        self._https.close()

    def _page(self, operation: HerokuOperation, url: str, wanted: str, seen: set[str]) -> tuple[Reply, str | None]:
        """Return one page, and the range of the next; `seen` are those that were asked for."""
        following: list[str] = []
        dropped: list[str] = []

        def read(received: Received) -> JSON:
            body = _read(operation, received)
            if not operation.items:
                return body
            following.extend(_next_range(received, seen))
            for index, item in enumerate(body):
                if operation.dropped in item:
                    del item[operation.dropped]
                    dropped.append(pointer_join("/items", index, operation.dropped))
            return {"items": body}

        version = "3." + operation.variant if operation.variant else "3"
        headers = {"Accept": f"application/vnd.heroku+json; version={version}"} | ({"Range": wanted} if wanted else {})
        reply = msgspec.structs.replace(self._https.ask(url, read, headers=headers).reply, dropped=tuple(dropped))
        return (msgspec.structs.replace(reply, last=False), following[0]) if following else (reply, None)


def _read(operation: HerokuOperation, received: Received) -> JSON:
    """Return the body of an answer; `SourceFailure` says why it is none."""
    if received.status != OK and not (operation.items and received.status == PARTIAL):
        raise _refusal(operation, received)
    return read_json(received, operation.shape)


def _next_range(received: Received, seen: set[str]) -> tuple[str, ...]:
    """Return the range of the next page, none on the last; `malformed` where status and header do not agree."""
    text = received.headers.get("next-range", "")
    if received.status == OK:
        if text:
            refuse("status 200 says that the list ends here, and Next-Range that it goes on")
        return ()
    if not text:
        refuse("status 206 says that the list goes on, and no Next-Range says where")
    if text in seen:
        refuse("the next page is one that was read before, so the pages never end")
    return (text,)


def _refusal(operation: HerokuOperation, received: Received) -> SourceFailure:
    """Say what Heroku refused, with the id it gives the error and what can be done."""
    status, stated = received.status, _stated(received)
    said = ": ".join(filter(None, (stated.id, stated.message))) or describe_status(status)
    if status == TOO_MANY:
        return SourceFailure("rate_limit", said)
    if stated.id == "two_factor":
        hint = "a second factor is asked for, and an audit has none; use a token (heroku authorizations:create)"
        return SourceFailure("two_factor", f"{said} ({hint})")
    if status in MOVED:
        return SourceFailure(str(status), "moved elsewhere, and a token does not follow; is base_url right?")
    if status < MOVED.start:
        return SourceFailure("malformed", f"{describe_status(status)} is no answer to this question")
    hints = {
        UNAUTHORIZED: "the token is unknown, expired or revoked",
        FORBIDDEN: f"needs {operation.permission}",
        NOT_FOUND: f"there is none of this name, or none that the token may see; needs {operation.permission}",
    }
    return SourceFailure(str(status), f"{said} ({hints[status]})" if status in hints else said)


def _stated(received: Received) -> _Refused:
    """Return id and message of an error's body; "" where there is none."""
    try:
        return convert(msgspec.json.decode(received.raw), _Refused)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return _Refused()


def seconds_to_wait(received: Received, attempt: int) -> float | None:
    """Return how long to wait before the next try; None where this was no rate limit.

    Heroku documents no header that says how long: one in `Retry-After` is honoured all the same (RFC 9110 section
    10.2.3), else the wait is what its pool takes to fill up a little, and longer each time.
    """
    if received.status != TOO_MANY:
        return None
    after = received.headers.get("retry-after", "")
    if _COUNT.fullmatch(after):
        return max(1.0, float(after))
    return float(REFILL_SECONDS * 2 ** (attempt - 1))


def allowance(received: Received) -> Allowance | None:
    """Return what the rate limit leaves ("Rate limits"): the header names neither the pool's size nor a time."""
    remaining = received.headers.get("ratelimit-remaining", "")
    return Allowance(int(remaining)) if _COUNT.fullmatch(remaining) else None


def declare(target: HerokuTarget) -> dict[str, JSON]:
    """Return what may be known of the team without any secret."""
    above = {} if target.enterprise_account is None else {"enterprise_account": target.enterprise_account}
    return {"team": target.team, **above, "base_url": target.base_url}


def identified(declared: Answer, identity: Answer) -> Identified:
    """Say which team answered; Heroku names the asker's role in it only (Platform API, "Team")."""
    role = identity.get("", dict).get("role")  # null, or not there, for somebody who is not in the team
    return Identified(
        system=f"Heroku at {declared.get('/base_url', str)}",
        account=f"team {identity.get('/name', str)} (id {identity.get('/id', str)})",
        asker=f"an account with {f'the role {role}' if role else 'no role'} in the team; Heroku does not name it here",
    )


def contradiction(declared: Answer, identity: Answer) -> str | None:
    """Say which other team answered; None where it is the declared one."""
    expected, actual = declared.get("/team", str), identity.get("/name", str)
    if expected.casefold() == actual.casefold():
        return None
    return f"declared team {expected}, but {actual} answered"


def grant(settings: HerokuTarget | None, needs: Sequence[Need], /) -> str:
    """Return the commands of Heroku's CLI that make a token for these operations, and what is not certain of it."""
    names = {"team": "TEAM", "enterprise_account": "ENTERPRISE_ACCOUNT"}
    asked = [need.operation for need in needs if isinstance(need.operation, HerokuOperation)]
    if settings is not None:
        names = {"team": settings.team, "enterprise_account": settings.enterprise_account or ""}
        asked = [row for row in asked if settings.enterprise_account or row.permission != IN_ENTERPRISE]
    lines = [
        "# An account for the audit alone. To be a member of the team is enough; in an",
        "# enterprise team, to be a viewer.",
        f"heroku members:add AUDITOR@EXAMPLE.COM --team {names['team']} --role member",
    ]
    if any(row.permission == IN_ENTERPRISE for row in asked):
        lines += [f"# In the enterprise account {names['enterprise_account']} it needs the permission view."]
    lines += [
        "# Signed in as that account:",
        "heroku authorizations:create --description auditor --scope read --short",
        "# Heroku does not document which scope lists members. Where this one is refused",
        "# (403), the next is global, which may do whatever the account may: one more",
        "# reason for an account that is no admin. What is asked:",
        *(f"#   GET {row.path.format_map(names)}" for row in asked),
    ]
    return "\n".join(lines) + "\n"


SOURCE = SourceType(
    name="heroku",
    settings=HerokuTarget,
    operations=OPERATIONS,
    declare=declare,
    open=lambda target, opening: closing(HerokuConnection(target, opening)),
    where=("/base_url",),
    identity="team",
    identified=identified,
    contradiction=contradiction,
    parallel_questions=1,  # one pool of questions for the whole account
    denied=("403", "404", "two_factor"),
    grants=MappingProxyType({"heroku": grant}),
)
