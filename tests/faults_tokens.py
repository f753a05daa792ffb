"""Faults in the answers of token services, and in files of sample tokens.

Asked again, a service mints another token: each question is recorded with a token of its own, and played back to a new
connection that gets the same token first. Nothing waits: for `expired` the token is expired when it is minted.
"""

from __future__ import annotations

import datetime as dt
import email.utils
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec
import requests
import requests.adapters

from auditor.questions import Opening, Operation, Reply
from auditor.sources.clock import utcnow
from auditor.sources.tokens.connection import TokensConnection
from auditor.sources.tokens.operations import OPERATIONS
from auditor.sources.tokens.target import TokensTarget
from auditor.tasks import Context
from tests.fault_kinds import PORTAL, Exchange, Fault, key
from tests.faults_http import change_json, response_of

LONG_AGO = "-PT60S"  # a lifetime: expired for longer than any leeway


@dataclass
class _Recorded:
    """What came back to one question, and to the minting before it where there was one."""

    minting: list[Exchange] = field(default_factory=list)
    kept: list[Exchange] = field(default_factory=list)


class TokensHarness:
    """Token services, over HTTP responses and the bytes of a file."""

    def __init__(self, context: Context, target: str, shard: str) -> None:
        settings = next(one.settings for one in context.settings.targets if one.id == target)
        assert isinstance(settings, TokensTarget)
        self._settings, self._context, self._shard = settings, context, shard
        self._adapter = requests.adapters.HTTPAdapter()
        self._recorded: dict[str, _Recorded] = {}

    def record(self, operation: Operation, params: Mapping[str, Any]) -> int:
        found = self._recorded[key(operation.name, params)] = _Recorded()
        if operation.name == "samples":
            return 1
        into = found.kept

        def send(request: requests.PreparedRequest, **how: Any) -> requests.Response:
            response = self._adapter.send(request, **how)
            into.append(Exchange(response.status_code, dict(response.headers), response.content))
            return response

        with self._connection(send) as connection:
            if operation.name == "verify":
                into = found.minting
                params = _with_token(connection, params)
                into = found.kept
            list(connection.ask(operation, params))
        return len(found.kept)

    def tampered(self, operation: Operation, params: Mapping[str, Any], page: int, fault: Fault) -> list[Reply] | None:
        if operation.name == "samples":
            return self._tampered_file(operation, fault)
        found = self._recorded[key(operation.name, params)]
        changed = None if fault == "timeout" else self._change(operation, found.kept[page], fault)
        if fault != "timeout" and changed is None:
            return None
        script: Iterator[Exchange | None] = iter([*found.minting, *found.kept[:page], changed, *found.kept[page + 1 :]])

        def send(request: requests.PreparedRequest, **how: Any) -> requests.Response:
            del how
            exchange = next(script)
            if exchange is None:
                raise requests.exceptions.ReadTimeout(request=request)
            return response_of(exchange)

        first = (found.minting or found.kept)[0]
        with self._connection(send, clock=lambda: _date(first)) as connection:
            if operation.name == "verify":
                params = _with_token(connection, params)
            return list(connection.ask(operation, params))

    def close(self) -> None:
        self._adapter.close()

    def _change(self, operation: Operation, exchange: Exchange, fault: Fault) -> Exchange | None:
        """Put a fault into an answer; what leaves a refusal a refusal is none, for its status is all there is to it."""
        verify = self._settings.verify
        if operation.name == "verify" and verify is not None and exchange.status in verify.refused and fault != "break":
            return None
        return change_json(exchange, fault)

    def _tampered_file(self, operation: Operation, fault: Fault) -> list[Reply] | None:
        raw = (self._context.settings.folder / self._settings.samples).read_bytes()
        with tempfile.TemporaryDirectory() as name:
            path = Path(name) / "samples.txt"
            if fault == "refuse":
                path.mkdir()
            elif fault == "break":
                path.write_bytes(PORTAL)
            elif fault == "truncate":
                path.write_bytes(raw[: len(raw) // 2])
            else:
                return None  # no types in a file of lines, and nobody waits for it
            with self._connection(self._adapter.send, samples=path) as connection:
                return list(connection.ask(operation, {}))

    @contextmanager
    def _connection(
        self,
        transport: Callable[..., requests.Response],
        *,
        samples: Path | None = None,
        clock: Callable[[], dt.datetime] = utcnow,
    ) -> Iterator[TokensConnection]:
        opening = Opening(
            shard=self._shard,
            secret=self._context.secret,
            conceal=lambda _: None,
            folder=self._context.settings.folder,
            transport=transport,
        )
        settings = msgspec.structs.replace(self._settings, samples=str(samples)) if samples else self._settings
        connection = TokensConnection(settings, opening, clock=clock, sleep=_never)
        try:
            yield connection
        finally:
            connection.close()


def _with_token(connection: TokensConnection, params: Mapping[str, Any]) -> dict[str, Any]:
    """Mint a token for a question, and return its parameters with that token's handle."""
    lifetime = {"lifetime": LONG_AGO} if params["moment"] == "expired" else {}
    (minted,) = connection.ask(OPERATIONS["mint"], lifetime)
    return {**params, "token": minted.body["token"]["sha256"] if minted.status == "ok" else "none"}


def _date(exchange: Exchange) -> dt.datetime:
    return email.utils.parsedate_to_datetime(exchange.headers["Date"])


def _never(seconds: float) -> None:
    raise AssertionError(f"a test would wait {seconds} s")
