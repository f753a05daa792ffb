"""Asking AWS: one question in, its pages out, and an error where an answer cannot be believed."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Any

import msgspec

from auditor.answers import Answer
from auditor.model import JSON
from auditor.questions import Failure, Opening, Operation, Reply
from auditor.sources.aws.clients import Clients
from auditor.sources.aws.failures import failure_of, is_absent
from auditor.sources.aws.operations import AwsOperation, Caller, Paging
from auditor.sources.aws.strict import require
from auditor.sources.aws.target import AwsTarget
from auditor.sources.aws.wire import Wire
from auditor.sources.clock import utcnow


class AwsConnection:
    """One account, asked for one task. Safe to share between threads."""

    def __init__(self, target: AwsTarget, opening: Opening, *, sleep: Callable[[float], None] = time.sleep) -> None:
        self._account_id = target.account_id
        self._region = target.home_region if opening.shard == "account" else opening.shard
        self._wire = Wire(opening.transport)
        self._clients = Clients(target, opening, self._wire)
        self._sleep = sleep

    def ask(self, operation: Operation, params: Mapping[str, Any]) -> Iterator[Reply]:
        """Ask one API operation, page by page. The parameter `BucketRegion` says which region to ask."""
        if not isinstance(operation, AwsOperation):
            raise TypeError(f"{operation.name} is no AWS operation")
        request = {**operation.fixed, **params}
        region = request.pop("BucketRegion", self._region)
        if operation.owned:
            request["ExpectedBucketOwner"] = self._account_id
        if operation.recipe is not None:
            call = partial(self._once, region=region, request=request)
            yield operation.recipe(operation, Caller(self._account_id, call, self._sleep))
            return
        seen: set[str] = set()
        while True:
            reply = self._once(operation, region, request)
            token = None
            if reply.status == "ok" and operation.paging is not None:
                reply, token = _next_page(reply, operation.paging, seen)
            yield reply
            if token is None or operation.paging is None:
                return
            request[operation.paging.parameter] = token

    def close(self) -> None:
        """Close every pooled connection."""
        self._clients.close()

    def _once(self, operation: AwsOperation, region: str, request: Mapping[str, Any]) -> Reply:
        started = utcnow()
        body: JSON = None
        failure: Failure | None = None
        absent = False
        self._wire.begin(operation)
        try:
            client = self._clients.get(operation.service, region)  # signs in first, which is a call of its own
            self._wire.begin(operation)
            body = _json(getattr(client, operation.method)(**request))
            require(body, operation.required)
        except Exception as error:  # boundary: botocore's parsers raise whatever their parts raise
            absent = is_absent(error, self._wire.current)
            body = _json(getattr(error, "response", {})) if absent else None
            failure = None if absent else failure_of(error, self._wire.current)
            if failure is None and not absent:
                raise
        exchange = self._wire.current
        return Reply(
            status="absent" if absent else "error" if failure else "ok",
            started_at=started,
            ended_at=utcnow(),
            body=body,
            raw_sha256=hashlib.sha256(exchange.raw).hexdigest()
            if exchange.status and exchange.operation is operation
            else "",
            attempts=exchange.explained(failure),
            error=failure,
            server_time=exchange.server_time,
        )


def _json(response: Mapping[str, Any]) -> JSON:
    """Return a parsed response as JSON: timestamps as RFC 3339 text, the transport's own metadata left out."""
    return msgspec.to_builtins({name: part for name, part in response.items() if name != "ResponseMetadata"})


def _next_page(reply: Reply, paging: Paging, seen: set[str]) -> tuple[Reply, str | None]:
    """Return the reply, marked as last or not, and the token of the next page; a token that repeats is malformed."""
    page = Answer.literal(reply.body)
    token = page.find(paging.token, str)
    if paging.truncated and page.get(paging.truncated, bool) is not bool(token):
        return _malformed(reply, "what it says of further pages contradicts itself"), None
    if not token:
        return reply, None
    if token in seen:
        return _malformed(reply, "a page token was given twice, so the pages never end"), None
    seen.add(token)
    return msgspec.structs.replace(reply, last=False), token


def _malformed(reply: Reply, message: str) -> Reply:
    return msgspec.structs.replace(reply, status="error", body=None, error=Failure("malformed", message))
