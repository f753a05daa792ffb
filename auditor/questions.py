"""What a source is: a table of operations, and a connection that turns each question into replies.

A source asks a target questions and changes nothing. It never raises for what a system did: a refusal, a timeout or a
body that cannot be trusted is a reply with status `error`, naming the cause.
"""

from __future__ import annotations

import datetime as dt
import enum
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal, Protocol

import msgspec

from auditor.answers import Answer, Status
from auditor.model import JSON, AuditorError

Effect = Literal["read", "probe", "create"]


class SecretRef(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Where a secret is found when it is needed: an environment variable, or a file. Never the secret itself."""

    env: str | None = None
    file: str | None = None

    def __post_init__(self) -> None:
        if (self.env is None) == (self.file is None):
            raise ValueError("a secret is either {env: NAME} or {file: PATH}")


class SourceFailure(AuditorError):
    """A question could not be answered. `code` is the system's own, or a word of ours (`timeout`, `malformed`)."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(f"{code}: {message}" if message else code)
        self.code = code
        self.message = message


class Failure(msgspec.Struct, frozen=True):
    """Why an answer is an error, as kept."""

    code: str
    message: str


class Attempt(msgspec.Struct, frozen=True, omit_defaults=True):
    """One try to get an answer: when, the protocol's status (0 where none came), and why it was not good enough."""

    at: dt.datetime
    status: int = 0
    reason: str = ""


class Allowance(msgspec.Struct, frozen=True):
    """What a system's rate limit leaves: questions, of how many, until when. None where it does not say."""

    remaining: int
    limit: int | None = None
    resets_at: dt.datetime | None = None


class Reply(msgspec.Struct, frozen=True, kw_only=True):
    """What came back to one question, or one page of it.

    `body` is JSON; secrets in it were already masked at the pointers in `redacted`, which cannot be read, and members
    that hold nothing but a secret were left out at those in `dropped`; `raw_sha256` is the digest of the bytes on the
    wire; `last` says that no further page follows; `allowance` is for whoever plans a run, and is not evidence.
    """

    status: Status
    started_at: dt.datetime
    ended_at: dt.datetime
    body: JSON = None
    raw_sha256: str = ""
    attempts: tuple[Attempt, ...] = ()
    error: Failure | None = None
    server_time: dt.datetime | None = None
    redacted: tuple[str, ...] = ()
    dropped: tuple[str, ...] = ()
    last: bool = True
    allowance: Allowance | None = None


class Trouble(enum.StrEnum):
    """What kind of thing keeps a question from being answered, for the person who has to do something about it."""

    DENIED = "denied"
    UNREACHABLE = "unreachable"
    WRONG_TARGET = "wrong target"
    CLOCK_SKEW = "clock skew"
    CERTIFICATE = "certificate"
    CREDENTIALS = "credentials"
    RATE_LIMIT = "rate limit"
    ERROR = "error"


class Operation(msgspec.Struct, frozen=True, kw_only=True):
    """One row of a source's table: a question it may ask.

    `permission` is what the asking identity needs, in the system's own words; `items` the pointer of a page's list for
    operations that are read as a listing; `needs_identity` is off for questions whose answer does not depend on who
    asks (wire probes); `dated` points at the datum's own time where that is not the time of asking; `like` names an
    operation that takes the same parameters: by its question this one can be tried where no subject asks for it. Where
    `asks_evidence` is set, it is asked of what was kept, by the names that were: pseudonyms are not turned back for it.
    """

    name: str
    summary: str
    effect: Effect = "read"
    permission: str = ""
    items: str = ""
    needs_identity: bool = True
    dated: str = ""
    like: str = ""
    asks_evidence: bool = False

    @property
    def calls(self) -> int:
        """How many calls one question takes at least."""
        return 1

    @property
    def permissions(self) -> tuple[str, ...]:
        """Every permission that the question needs, each by itself."""
        return (self.permission,) if self.permission else ()


class Opening(msgspec.Struct, frozen=True, kw_only=True):
    """What a source is given to connect with: its shard, the secrets it may resolve, where relative paths start.

    `transport` replaces what carries the bytes (an HTTP send, a TCP dial), None being the real thing; `patient` says
    whether to wait where a rate limit asks for it.
    """

    shard: str
    secret: Callable[[SecretRef], str]
    conceal: Callable[[str], None]
    folder: Path
    transport: Any = None
    patient: bool = True


class Connection(Protocol):
    """An open source: one question in, its replies out, one per page."""

    def ask(self, operation: Operation, params: Mapping[str, Any]) -> Iterator[Reply]:
        """Ask and yield each page; the last reply has `last` set, and so does any error."""
        ...


class Identified(msgspec.Struct, frozen=True, kw_only=True):
    """Which system answered, which account of it, and as whom it was asked, in words: as the system itself says."""

    system: str
    account: str
    asker: str


class SourceType(msgspec.Struct, frozen=True, kw_only=True):
    """A kind of target, and everything the rest of the house needs to know of it.

    `name` is its `type` in auditor.yaml and `settings` the shape of its entry; `declare` gives what may be known of the
    target without any secret, and `where` are the pointers into it that say where the system is. `identity` is the
    operation that proves who asks; `identified` tells from the declaration and that answer who answered whom, and
    `contradiction` says how the two differ (None: the right target). `fan_out` is the operation whose answer names the
    region shards, read by `shards`. `denied` are how the codes of failures begin that mean a missing permission,
    `troubles` those that mean something else than the words that all sources share, and `grants` how to give what is
    needed, by the name of a format (`auditor permissions --format`), the most usual one first. `example` are the
    settings that a new auditor.yaml begins with, beside those that are required. `ambient` are environment variables
    whose secrets are used though no settings refer to them.
    """

    name: str
    settings: type[msgspec.Struct]
    operations: Mapping[str, Operation]
    declare: Callable[[Any], dict[str, JSON]]
    open: Callable[[Any, Opening], AbstractContextManager[Connection]]
    where: tuple[str, ...] = ()
    identity: str = ""
    identified: Callable[[Answer, Answer], Identified] | None = None
    contradiction: Callable[[Answer, Answer], str | None] | None = None
    fan_out: str = ""
    shards: Callable[[Answer, Answer], RegionShards] | None = None
    parallel_questions: int = 8
    denied: tuple[str, ...] = ()
    troubles: Mapping[Trouble, tuple[str, ...]] = MappingProxyType({})
    grants: Mapping[str, Grant] = MappingProxyType({})
    example: Mapping[str, JSON] = {}
    ambient: tuple[str, ...] = ()


class Need(msgspec.Struct, frozen=True, kw_only=True):
    """An operation that an audit of one target may ask: for which tests, with which parameters of theirs."""

    operation: Operation
    checks: tuple[str, ...]
    params: tuple[Mapping[str, JSON], ...] = ()


class Grant(Protocol):
    """Writes what grants exactly these operations, in one format: a policy, a script, a text."""

    def __call__(self, settings: Any, needs: Sequence[Need], /) -> str:
        """Return the text; `settings` are the target's own, None where there is no auditor.yaml."""
        ...


class RegionShards(msgspec.Struct, frozen=True):
    """The regions to look at, those excluded by the settings, and those asked for that the account does not have."""

    regions: tuple[str, ...]
    excluded: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()
    reason: str = ""
