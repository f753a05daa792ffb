"""Faults put into any one answer of a recorded world, as bytes where the source takes them from its transport.

Each source has a harness: it records what the world sent in answer to each question, and can let the real source read
the same bytes again with one of them refused, broken, cut, mistyped or late. A source without a harness fails the test.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from functools import partial
from typing import Any
from xml.etree import ElementTree as ET

import msgspec
import psycopg
from botocore.awsrequest import AWSPreparedRequest, AWSResponse, HeadersDict
from botocore.exceptions import ReadTimeoutError
from botocore.httpsession import URLLib3Session
from botocore.session import get_session

from auditor.questions import Connection, Opening, Operation, Reply, SourceFailure
from auditor.sources.aws.connection import AwsConnection
from auditor.sources.aws.operations import AwsOperation
from auditor.sources.aws.target import AwsTarget
from auditor.sources.github import GithubConnection
from auditor.sources.heroku import HerokuConnection
from auditor.sources.postgres import wire
from auditor.sources.postgres.connection import PostgresConnection, Transport
from auditor.sources.postgres.target import PostgresTarget
from auditor.tasks import Context
from tests.fault_kinds import PORTAL, Exchange, Fault, Harness, key, mistype_json
from tests.faults_http import HttpHarness
from tests.faults_runs import RunsHarness
from tests.faults_tokens import TokensHarness


def _headers(items: Mapping[str, str]) -> Any:
    return HeadersDict(items)  # what botocore itself uses; its stubs want requests' class


class _Raw:
    def __init__(self, body: bytes) -> None:
        self._body = body

    def stream(self, *_: object, **__: object) -> Iterator[bytes]:
        yield self._body

    def read(self, *_: object, **__: object) -> bytes:
        return self._body


class AwsHarness:
    """AWS, over HTTP responses."""

    def __init__(self, context: Context, target: str, shard: str) -> None:
        settings = next(one.settings for one in context.settings.targets if one.id == target)
        self._http = URLLib3Session()
        self._kept: dict[str, list[Exchange]] = {}
        self._send: Callable[[AWSPreparedRequest], AWSResponse] = self._http.send
        opening = Opening(
            shard=shard,
            secret=context.secret,
            conceal=lambda _: None,
            folder=context.settings.folder,
            transport=lambda request: self._send(request),  # noqa: PLW0108 - it changes between questions
        )
        assert isinstance(settings, AwsTarget)
        settings = msgspec.structs.replace(settings, max_attempts=1)
        self._connection = AwsConnection(settings, opening, sleep=lambda _: None)

    def record(self, operation: Operation, params: Mapping[str, Any]) -> int:
        assert isinstance(operation, AwsOperation)
        kept = self._kept.setdefault(key(operation.name, params), [])

        def send(request: AWSPreparedRequest) -> AWSResponse:
            response = self._http.send(request)
            exchange = Exchange(response.status_code, dict(response.headers), response.content)
            kept.append(exchange if kept or not operation.steps else _not_yet(exchange))
            return _response(request, kept[-1])

        self._send = send
        list(self._connection.ask(operation, params))
        return len(kept)

    def tampered(self, operation: Operation, params: Mapping[str, Any], page: int, fault: Fault) -> list[Reply] | None:
        kept = list(self._kept[key(operation.name, params)])
        assert isinstance(operation, AwsOperation)
        changed = None if fault == "timeout" else _change_http(_call(operation, kept[page]), kept[page], fault)
        if fault != "timeout" and changed is None:
            return None
        served = iter(range(len(kept)))

        def send(request: AWSPreparedRequest) -> AWSResponse:
            index = next(served)
            if index == page and changed is None:
                raise ReadTimeoutError(endpoint_url=request.url)
            return _response(request, changed if index == page and changed is not None else kept[index])

        self._send = send
        return list(self._connection.ask(operation, params))

    def close(self) -> None:
        self._connection.close()


def _response(request: AWSPreparedRequest, exchange: Exchange) -> AWSResponse:
    return AWSResponse(request.url, exchange.status, _headers(exchange.headers), _Raw(exchange.body))


def _not_yet(exchange: Exchange) -> Exchange:
    """Return what IAM says while it still makes what was asked for: so that there is a poll to put faults into."""
    return Exchange(exchange.status, exchange.headers, exchange.body.replace(b">COMPLETE<", b">INPROGRESS<"))


def _call(operation: AwsOperation, exchange: Exchange) -> AwsOperation:
    """Return which call of a question of several an exchange belongs to."""
    return next((step for step in operation.steps if f"<{step.root}".encode() in exchange.body), operation)


def _change_http(operation: AwsOperation, exchange: Exchange, fault: Fault) -> Exchange | None:
    headers = {name: value for name, value in exchange.headers.items() if name.lower() != "content-length"}
    if fault == "refuse":
        empty = f"<{operation.root}/>".encode() if operation.root else b"{}"
        return Exchange(403, headers, empty)
    if fault == "break":
        return Exchange(200, {**headers, "Content-Type": "text/html"}, PORTAL)
    if fault == "truncate":
        return Exchange(exchange.status, headers, exchange.body[: len(exchange.body) // 2])
    body = _mistype_xml(operation, exchange.body, fault) if operation.root else mistype_json(exchange.body, fault)
    return None if body is None else Exchange(exchange.status, headers, body)


WORDS, NUMBERS = ("boolean", "enum"), ("integer", "long", "timestamp")


def _mistype_xml(operation: AwsOperation, body: bytes, fault: Fault) -> bytes | None:
    """Write `banana` into every boolean and enumeration, or every number and timestamp; None where there is none.

    One kind at a time: botocore chokes on a number that is none, and hides what is wrong with a boolean. Where a file
    is sent (base64), that goes for the booleans in it; the answer around it stays as it was.
    """
    model = get_session().get_service_model(operation.service)
    kinds = WORDS if fault == "mistype_word" else NUMBERS
    shape = model.operation_model(operation.api).output_shape
    root = ET.fromstring(body)  # noqa: S314 - our own world's
    files = _leaves(root, _elements(shape, ("blob",), set())) if fault == "mistype_word" else []
    for element in files:
        text = base64.b64decode(element.text or "").decode()
        element.text = base64.b64encode(re.sub(r"\b(true|false)\b", "banana", text).encode()).decode()
    found = [] if files else _leaves(root, _elements(shape, kinds, set()))
    for element in found:
        element.text = "banana"
    return ET.tostring(root) if files or found else None


def _leaves(root: ET.Element, names: set[str]) -> list[ET.Element]:
    return [element for element in root.iter() if element.tag.rpartition("}")[2] in names and not len(element)]


def _elements(shape: Any, kinds: tuple[str, ...], seen: set[str]) -> set[str]:
    """Return the names of the elements of these kinds, anywhere in an answer."""
    if shape.name in seen:
        return set()
    seen.add(shape.name)
    if shape.type_name == "list":
        return _elements(shape.member, kinds, seen)
    names: set[str] = set()
    for name, member in shape.members.items() if shape.type_name == "structure" else ():
        if ("enum" if getattr(member, "enum", None) else member.type_name) in kinds:
            names.add(member.serialization.get("name", name))
        else:
            names |= _elements(member, kinds, seen)
    return names


class _Tampered:
    """A connection to the real server whose bytes arrive changed."""

    def __init__(self, real: wire.Connection, fault: Fault) -> None:
        self._real = real
        self._fault = fault
        self._left = 3

    def sendall(self, data: bytes) -> None:
        self._real.sendall(data)

    def recv(self, size: int) -> bytes:
        if self._fault == "timeout":
            raise TimeoutError
        data = self._real.recv(size)
        if self._fault == "break":
            return PORTAL[:size]
        if self._fault == "mistype_word":
            return bytes(octet ^ 0x55 for octet in data)
        data = data[: self._left]
        self._left -= len(data)
        return data

    def close(self) -> None:
        self._real.close()


@dataclass
class _PostgresTransport(Transport):
    """The real thing, unless a fault is set."""

    fault: Fault | None = None
    tampered: int = 0
    statement: int = 0
    changed: bool = True

    def dial(self, host: str, port: int, timeout: float) -> wire.Connection:
        if self.fault == "refuse":
            raise ConnectionRefusedError(111, "Connection refused")
        real = super().dial(host, port, timeout)
        return _Tampered(real, self.fault) if self.fault else real

    def fetch(self, answer: Callable[[], bytes]) -> bytes:
        self.statement += 1
        if self.fault is None or self.statement != self.tampered + 1:
            return super().fetch(answer)
        if self.fault == "timeout":
            raise psycopg.errors.QueryCanceled("canceling statement due to statement timeout")
        if self.fault == "refuse":
            raise psycopg.errors.InsufficientPrivilege("permission denied")
        raw = super().fetch(answer)
        if self.fault == "break":
            return PORTAL
        if self.fault == "truncate":
            return raw[: len(raw) // 2]
        if self.fault in ("mistype_word", "mistype_number"):
            mistyped = mistype_json(raw, self.fault)
            self.changed = mistyped is not None
            return mistyped or raw
        return raw


class PostgresHarness:
    """PostgreSQL, over TCP and the texts of its answers; the server is asked anew, for TLS cannot be played back."""

    def __init__(self, context: Context, target: str, shard: str) -> None:
        settings = next(one.settings for one in context.settings.targets if one.id == target)
        self._transport = _PostgresTransport()
        opening = Opening(
            shard=shard,
            secret=context.secret,
            conceal=lambda _: None,
            folder=context.settings.folder,
            transport=self._transport,
        )
        assert isinstance(settings, PostgresTarget)
        settings = msgspec.structs.replace(settings, timeout=0.5)  # a fault that leaves the server waiting is no news
        self._connection = PostgresConnection(settings, opening)

    def record(self, operation: Operation, params: Mapping[str, Any]) -> int:
        """Count the statements; nothing is kept."""
        self._transport.fault, self._transport.statement = None, 0
        list(self._connection.ask(operation, params))
        return max(1, self._transport.statement)

    def tampered(self, operation: Operation, params: Mapping[str, Any], page: int, fault: Fault) -> list[Reply] | None:
        if fault == "mistype_number" and operation.name.startswith("wire."):
            return None
        self._transport.fault, self._transport.tampered, self._transport.statement = fault, page, 0
        self._transport.changed = True
        replies = list(self._connection.ask(operation, params))
        return replies if self._transport.changed else None

    def close(self) -> None:
        self._connection.close()


HARNESSES: dict[str, Callable[[Context, str, str], Harness]] = {
    "aws": AwsHarness,
    "github": partial(HttpHarness, lambda target, opening: GithubConnection(target, opening, sleep=lambda _: None)),
    "heroku": partial(HttpHarness, lambda target, opening: HerokuConnection(target, opening, sleep=lambda _: None)),
    "postgres": PostgresHarness,
    "runs": RunsHarness,
    "tokens": TokensHarness,
}


class Played:
    """A connection that plays replies back, by question; what the record does not have was never answered."""

    def __init__(self, replies: Mapping[str, list[Reply]]) -> None:
        self._replies = replies

    def ask(self, operation: Operation, params: Mapping[str, Any]) -> Iterator[Reply]:
        found = self._replies.get(key(operation.name, params))
        if found is None:
            raise SourceFailure("unrecorded", "asked only because another answer was changed")
        yield from found


def playing(replies: Mapping[str, list[Reply]]) -> Callable[[Any, Opening], AbstractContextManager[Connection]]:
    """Return what a source type opens instead of the real thing."""
    return lambda settings, opening: nullcontext(Played(replies))  # noqa: ARG005 - the shape of SourceType.open
