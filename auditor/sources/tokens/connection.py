"""One token service, asked for one task. The tokens stay in here; evidence names them by their SHA-256."""

from __future__ import annotations

import datetime as dt
import hashlib
import math
import time
import urllib.parse
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Literal

import msgspec

from auditor.conversion import convert
from auditor.model import JSON
from auditor.questions import Failure, Opening, Operation, Reply, SecretRef, SourceFailure
from auditor.sources.clock import utcnow
from auditor.sources.http import (
    Https,
    Received,
    describe_status,
    in_header,
    media_type,
    read_json,
    refuse,
    stated_message,
)
from auditor.sources.tokens import content
from auditor.sources.tokens.reading import Keys, Token, handle, read_token
from auditor.sources.tokens.target import Mint, TokensTarget, Verify
from auditor.sources.tokens.variants import foreign, garbage, tampered

MOST_SKEW = 60.0
"""Seconds that the service's clock and ours may differ where one is compared with the other."""
MOST_SAMPLES, MOST_SAMPLE_BYTES = 1000, 4 * 1024 * 1024
SHORTEST_SECRET = 32
"""A line of the samples with fewer characters is no token, and masking it would mask words of ours."""
MINTED = (200, 201)
Moment = Literal["fresh", "expired", "tampered", "foreign", "garbage"]
VARIANTS = MappingProxyType({"tampered": tampered, "foreign": foreign, "garbage": garbage})


class _Minted(msgspec.Struct):
    """What the mint answers ("Generate Embed JWT")."""

    success: Literal[1]
    jwt: str


class _KeySet(msgspec.Struct):
    """A JSON Web Key Set (RFC 7517 section 5)."""

    keys: list[dict[str, Any]]


@dataclass(frozen=True, repr=False)
class Held:
    """A token that was minted, and how far the service's clock was ahead of ours then; None: it told no time.

    `until` is when the lifetime that was asked for is over, counted from when the token was there: whoever wrote the
    `exp` may have another clock than whoever tells the time, a proxy perhaps, and then goes by it alone.
    """

    token: Token
    skew: float | None
    until: float


class TokensConnection:
    """One token service. `clock` and `sleep` stand in for the real ones where nobody wants to wait."""

    def __init__(
        self,
        target: TokensTarget,
        opening: Opening,
        *,
        clock: Callable[[], dt.datetime] = utcnow,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._target = target
        self._opening = opening
        self._clock = clock
        self._sleep = sleep
        self._held: dict[str, Held] = {}
        self._public: Sequence[Mapping[str, Any]] | SourceFailure | None = None
        self._open: list[Https] = []
        self._keys = Keys(
            secret=_resolver(opening, target.secret) if target.secret else None,
            public=self._public_keys if target.jwks_url else None,
        )

    def ask(self, operation: Operation, params: Mapping[str, Any]) -> Iterator[Reply]:
        """Ask one question; every one has one reply."""
        began = self._clock()
        answers: Mapping[str, Callable[..., Reply]] = {
            "mint": self._mint,
            "verify": self._verify,
            "samples": self._samples,
        }
        try:
            reply = answers[operation.name](**params)
        except SourceFailure as failure:
            error = Failure(failure.code, failure.message)
            reply = Reply(status="error", started_at=began, ended_at=self._clock(), error=error)
        yield reply

    def close(self) -> None:
        """Close every connection."""
        for https in self._open:
            https.close()

    # Minting

    def _mint(self, *, lifetime: str = "") -> Reply:
        """Create a token that lives as long as `lifetime` says, an ISO 8601 duration; "": the service's default."""
        mint = self._allowed_mint()
        https = self._https(mint.url, in_header(lambda: self._opening.secret(mint.token), **_header_of(mint)))
        wanted = {"provided_id": mint.customer, "embed_id": mint.embed, "key_id": mint.key_id, "expiration": lifetime}
        lives = _seconds(lifetime) if lifetime else 0.0
        before = self._clock()

        def read(received: Received) -> JSON:
            after = self._clock()
            if received.status not in MINTED:
                raise SourceFailure(str(received.status), _said(received))
            text = read_json(received, _Minted)["jwt"]
            self._opening.conceal(text)
            token = read_token(text, self._keys)
            told = received.server_time
            skew = (told - after).total_seconds() if told else None
            self._held[token.handle] = Held(token, skew, (told or after).timestamp() + lives)
            times = {"minted_at": {"before": before, "after": after}, **({"server_time": told} if told else {})}
            return {"token": token.kept(), "requested": lifetime, **msgspec.to_builtins(times)}

        body = {name: value for name, value in wanted.items() if value}
        return https.ask(mint.url, read, method="POST", body=body).reply

    def _allowed_mint(self) -> Mint:
        mint = self._target.mint
        if mint is None:
            raise _not_declared("mint")
        if "mint" not in self._target.allow:
            raise SourceFailure("not allowed", "a token would be created: the target must say `allow: [mint]`")
        if not mint.customer.strip():
            raise SourceFailure(
                "not allowed", "a token would be created for nobody: name a test customer, mint.customer"
            )
        return mint

    # Presenting

    def _verify(self, *, token: str, moment: Moment, leeway: str = "", max_wait: str = "", purpose: str = "") -> Reply:
        """Present a minted token, named by its handle. `purpose` tells questions apart that are otherwise the same."""
        del purpose
        verify, held = self._target.verify, self._held.get(token)
        if verify is None:
            raise _not_declared("verify")
        if held is None:
            raise SourceFailure("unknown", "no such token was minted by this task")
        began = self._clock()
        due = self._wait(held, _seconds(leeway), _seconds(max_wait)) if moment == "expired" else None
        text = VARIANTS[moment](held.token) if moment in VARIANTS else held.token.text
        self._opening.conceal(text)

        def read(received: Received) -> JSON:
            outcome = _outcome(verify, received)
            _timely(received, held.token, due)
            kind = content.describe(received) if outcome == "accepted" else media_type(received)
            return {"status": received.status, "outcome": outcome, "content": kind}

        reply = self._present(verify, text, read)
        return msgspec.structs.replace(reply, started_at=began)

    def _present(self, verify: Verify, text: str, read: Callable[[Received], JSON]) -> Reply:
        https = self._https(verify.url)
        headers = {"Cache-Control": "no-cache, no-store"}
        if verify.in_ == "header":
            headers[verify.name] = f"{verify.scheme} {text}".strip()
        body = {verify.name: text} if verify.in_ == "body" else None
        url = f"{verify.url}?{urllib.parse.urlencode({verify.name: text})}" if verify.in_ == "query" else verify.url
        return https.ask(url, read, method=verify.method, headers=headers, body=body).reply

    def _wait(self, held: Held, leeway: float, max_wait: float) -> float:
        """Wait until the token is expired by every clock of the service, and the leeway over; return when that is."""
        if held.token.expires is None:
            raise SourceFailure(
                "unreadable", "the token has no `exp` that says when it expires, so none can be waited for"
            )
        if held.skew is None:
            raise SourceFailure(
                "clock", "the service told no time when it minted the token, so nobody knows how long to wait"
            )
        if abs(held.skew) > MOST_SKEW:
            raise SourceFailure("clock", f"the service's clock and ours differ by {held.skew:+,.0f} s")
        due = math.ceil(max(held.token.expires, held.until) + leeway)  # the times that services tell are whole seconds
        wait = due - self._clock().timestamp() - held.skew
        if wait > max_wait:
            raise SourceFailure(
                "max_wait", f"the token is expired in {wait:,.0f} s, and the wait may be {max_wait:,.0f} s"
            )
        if wait > 0:
            self._sleep(wait)
        return due

    # Reading a file

    def _samples(self) -> Reply:
        if not self._target.samples:
            raise _not_declared("samples")
        path = self._opening.folder / self._target.samples
        began = self._clock()
        try:
            raw = path.read_bytes()
            modified = dt.datetime.fromtimestamp(path.stat().st_mtime, dt.UTC)
        except OSError as error:
            raise SourceFailure("file", f"{path} cannot be read: {error.strerror}") from None
        lines = raw.decode("utf-8", "replace").splitlines()
        lines = list(dict.fromkeys(line.strip() for line in lines if line.strip() and not line.startswith("#")))
        if len(lines) > MOST_SAMPLES or len(raw) > MOST_SAMPLE_BYTES:
            raise SourceFailure("file", f"{path} holds more than {MOST_SAMPLES:,} tokens, or is too long")
        return Reply(
            status="ok",
            started_at=began,
            ended_at=self._clock(),
            body={"items": [self._sample(line) for line in lines], "modified_at": modified.isoformat()},
            raw_sha256=hashlib.sha256(raw).hexdigest(),
        )

    def _sample(self, text: str) -> dict[str, JSON]:
        """Return one item: the token, or why it is none."""
        if len(text) >= SHORTEST_SECRET:
            self._opening.conceal(text)
        try:
            return {"sha256": handle(text), "token": read_token(text, self._keys).kept()}
        except SourceFailure as failure:
            return {"sha256": handle(text), "unreadable": str(failure)}

    # What all of it stands on

    def _public_keys(self) -> Sequence[Mapping[str, Any]]:
        """Return the public keys, asked for once; where they cannot be had, no token is read without them."""
        if self._public is None:
            asked = self._https(self._target.jwks_url).ask(self._target.jwks_url, _read_keys)
            error = asked.reply.error
            self._public = (
                SourceFailure(error.code, f"jwks_url: {error.message}") if error else asked.reply.body["keys"]
            )
        if isinstance(self._public, SourceFailure):
            raise self._public
        return self._public

    def _https(self, url: str, credential: Callable[[], Mapping[str, str]] = dict) -> Https:
        https = Https(url, credential=credential, transport=self._opening.transport)
        self._open.append(https)
        return https


def _resolver(opening: Opening, ref: SecretRef) -> Callable[[], str]:
    return lambda: opening.secret(ref)


def _header_of(mint: Mint) -> dict[str, str]:
    return {"header": mint.header, "scheme": mint.scheme}


def _read_keys(received: Received) -> JSON:
    if received.status != MINTED[0]:
        raise SourceFailure(str(received.status), _said(received))
    return read_json(received, _KeySet)


def _said(received: Received) -> str:
    return stated_message(received) or describe_status(received.status)


def _not_declared(part: str) -> SourceFailure:
    return SourceFailure("not declared", f"the target has no `{part}`")


def _seconds(duration: str) -> float:
    return convert(duration, dt.timedelta).total_seconds()


def _outcome(verify: Verify, received: Received) -> Literal["accepted", "refused"]:
    """Say what a status means; one that the target does not name means nothing."""
    if received.headers.get("age", "0") != "0":
        refuse("the answer comes from a cache, and not from the service")
    if received.status in verify.accepted:
        return "accepted"
    if received.status in verify.refused:
        return "refused"
    lists = f"accepted {list(verify.accepted)}, refused {list(verify.refused)}"
    raise SourceFailure(str(received.status), f"{describe_status(received.status)} means nothing here: {lists}")


def _timely(received: Received, token: Token, due: float | None) -> None:
    """Raise unless the answer was given while the token was what it should be, by the service's own clock.

    Before `exp`, or where a token is presented because it is expired, from `due` on. A token without a readable `exp`
    is never known to be expired.
    """
    told = received.server_time
    if told is None:
        raise SourceFailure("clock", "the answer tells no time (Date), so nobody knows whether the token was expired")
    if due is not None and told.timestamp() < due:
        raise SourceFailure(
            "clock", f"the token was to be expired, and by the service's clock it was not: {told:%H:%M:%S}"
        )
    if due is None and token.expires is not None and told.timestamp() + 1 > token.expires:
        raise SourceFailure("expired", "the token may have been expired when it was presented, so this proves nothing")
