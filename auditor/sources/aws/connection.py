"""Asking AWS: every attempt noted, and every body checked on the wire before it is believed."""

from __future__ import annotations

import datetime as dt
import email.utils
import hashlib
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import boto3
import botocore.session
import msgspec
from botocore.awsrequest import AWSPreparedRequest, AWSResponse
from botocore.config import Config
from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    ConnectTimeoutError,
    EndpointConnectionError,
    NoCredentialsError,
    PartialCredentialsError,
    ReadTimeoutError,
)
from botocore.loaders import Loader

from auditor import __version__
from auditor.answers import Answer
from auditor.model import JSON, Unreadable
from auditor.questions import Attempt, Failure, Opening, Operation, Reply, SourceFailure
from auditor.sources.aws.operations import AwsOperation
from auditor.sources.aws.strict import check_xml
from auditor.sources.aws.target import AwsTarget
from auditor.sources.clock import utcnow

Transport = Callable[[AWSPreparedRequest], AWSResponse | None]

NOT_FOUND = 404
SUCCESS = range(200, 300)
CONNECT_SECONDS, READ_SECONDS = 10, 30
SESSION_NAME = "auditor"


@cache
def _loader() -> Loader:
    """Return the service models of the process: one loader for all sessions, or each region would load its own."""
    return Loader(include_default_search_paths=True)


@dataclass
class _Wire:
    """What was seen on the wire during one call; botocore's events fill it."""

    operation: AwsOperation | None = None
    attempts: list[Attempt] = field(default_factory=list)
    raw: bytes = b""
    status: int = 0
    server_time: dt.datetime | None = None


class _Current(threading.local):
    """The call that this thread is making."""

    wire = _Wire()


class AwsConnection:
    """One account, asked for one task. Clients are made when they are first needed, and shared between threads."""

    def __init__(self, target: AwsTarget, opening: Opening) -> None:
        self._target = target
        self._opening = opening
        self._transport: Transport | None = opening.transport
        self._region = target.home_region if opening.shard == "account" else opening.shard
        self._lock = threading.Lock()
        self._session: boto3.session.Session | None = None
        self._clients: dict[tuple[str, str], Any] = {}
        self._current = _Current()

    def ask(self, operation: Operation, params: Mapping[str, Any]) -> Iterator[Reply]:
        """Ask one API operation, page by page. The parameter `BucketRegion` says which region to ask."""
        if not isinstance(operation, AwsOperation):
            raise TypeError(f"{operation.name} is no AWS operation")
        request = {**operation.fixed, **params}
        region = request.pop("BucketRegion", self._region)
        if operation.owned:
            request["ExpectedBucketOwner"] = self._target.account_id
        seen: set[str] = set()
        while True:
            reply = self._once(operation, region, request)
            token = None
            if reply.status == "ok" and operation.paging is not None:
                reply, token = _next_page(reply, operation.paging.token, seen)
            yield reply
            if token is None or operation.paging is None:
                return
            request[operation.paging.parameter] = token

    def close(self) -> None:
        """Close every pooled connection."""
        for client in self._clients.values():
            client.close()

    def _once(self, operation: AwsOperation, region: str, request: Mapping[str, Any]) -> Reply:
        started = utcnow()
        wire = self._current.wire = _Wire()
        body: JSON = None
        failure: Failure | None = None
        absent = False
        try:
            client = self._client(operation.service, region)  # signs in first, whose answer is a secret, not evidence
            wire = self._current.wire = _Wire(operation)
            response = getattr(client, operation.method)(**request)
            body = _json(response)
            _require(body, operation)
        except ClientError as error:
            body = _json({name: part for name, part in error.response.items() if name != "ResponseMetadata"})
            absent = wire.status == NOT_FOUND and error.response["Error"].get("Code") in operation.absent
            failure = None if absent else _denied(operation, error)
        except SourceFailure as error:
            failure = Failure(error.code, error.message)
        except (NoCredentialsError, PartialCredentialsError) as error:
            failure = Failure("credentials", str(error))
        except (ConnectTimeoutError, ReadTimeoutError) as error:
            failure = Failure("timeout", str(error))
        except EndpointConnectionError as error:
            failure = Failure("unreachable", str(error))
        except BotoCoreError as error:
            failure = Failure("malformed" if wire.status else type(error).__name__, str(error))
        except Exception as error:
            # boundary: botocore's parsers raise whatever their parts raise (ValueError, KeyError, ResponseParserError)
            if not wire.status:
                raise
            failure = Failure("malformed", f"{type(error).__name__}: {error}")
        return Reply(
            status="absent" if absent else "error" if failure else "ok",
            started_at=started,
            ended_at=utcnow(),
            body=body if failure is None else None,
            raw_sha256=hashlib.sha256(wire.raw).hexdigest() if wire.status else "",
            attempts=tuple(wire.attempts),
            error=failure,
            server_time=wire.server_time,
        )

    def _client(self, service: str, region: str) -> Any:
        with self._lock:  # making clients is not thread-safe, using them is
            if (service, region) not in self._clients:
                self._clients[service, region] = self._new_client(self._signed_in(), service, region)
            return self._clients[service, region]

    def _new_client(self, session: boto3.session.Session, service: str, region: str) -> Any:
        make: Any = session.client  # the stubs know services by literal names only
        client = make(
            service,
            region_name=region,
            endpoint_url=self._target.endpoint_url,
            config=Config(
                retries={"mode": "standard", "total_max_attempts": self._target.max_attempts},
                connect_timeout=CONNECT_SECONDS,
                read_timeout=READ_SECONDS,
                user_agent_extra=f"auditor/{__version__}",
                s3={"addressing_style": "path"} if self._target.endpoint_url else None,
            ),
        )
        client.meta.events.register_first("before-send", self._before_send)
        client.meta.events.register_last("before-parse", self._before_parse)
        client.meta.events.register_first("response-received", self._response_received)
        return client

    def _signed_in(self) -> boto3.session.Session:
        if self._session is None:
            base = _new_session()
            self._conceal(base)
            self._session = self._assume(base) if self._target.role_arn else base
        return self._session

    def _assume(self, base: boto3.session.Session) -> boto3.session.Session:
        request: dict[str, Any] = {"RoleArn": self._target.role_arn, "RoleSessionName": SESSION_NAME}
        if self._target.external_id is not None:
            request["ExternalId"] = self._opening.secret(self._target.external_id)
        try:
            answer = self._new_client(base, "sts", self._target.home_region).assume_role(**request)["Credentials"]
        except (ClientError, BotoCoreError, KeyError) as error:
            raise SourceFailure("assume_role", f"{self._target.role_arn}: {error}") from None
        assumed = botocore.session.get_session()
        assumed.set_credentials(answer["AccessKeyId"], answer["SecretAccessKey"], answer["SessionToken"])
        session = _new_session(assumed)
        self._conceal(session)
        return session

    def _conceal(self, session: boto3.session.Session) -> None:
        credentials = session.get_credentials()
        if credentials is not None:
            frozen = credentials.get_frozen_credentials()
            for secret in (frozen.secret_key, frozen.token):
                if secret:
                    self._opening.conceal(secret)

    def _before_send(self, request: AWSPreparedRequest, **_: Any) -> AWSResponse | None:
        self._current.wire.attempts.append(Attempt(utcnow()))
        return self._transport(request) if self._transport is not None else None

    def _before_parse(self, operation_model: Any, response_dict: Any, **_: Any) -> None:
        wire = self._current.wire
        wire.raw = response_dict["body"]
        wire.status = response_dict["status_code"]
        wire.server_time = _http_date(response_dict["headers"].get("Date"))
        operation = wire.operation
        if operation is None or response_dict["status_code"] not in SUCCESS:
            return
        if operation.root:
            wrapper = operation_model.output_shape.serialization.get("resultWrapper", "")
            check_xml(wire.raw, operation.root, operation_model.output_shape, closed=operation.closed, wrapper=wrapper)
        else:
            _check_json(wire.raw)

    def _response_received(self, parsed_response: Any, exception: Exception | None, **_: Any) -> None:
        code = (parsed_response or {}).get("Error", {}).get("Code", "")
        status = (parsed_response or {}).get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
        reason = type(exception).__name__ if exception is not None else str(code)
        attempts = self._current.wire.attempts
        attempts[-1] = msgspec.structs.replace(attempts[-1], status=status, reason=reason)


def _new_session(core: botocore.session.Session | None = None) -> boto3.session.Session:
    core = core or botocore.session.get_session()
    core.register_component("data_loader", _loader())
    return boto3.session.Session(botocore_session=core)


def _json(response: Mapping[str, Any]) -> JSON:
    """Return a parsed response as JSON: timestamps as RFC 3339 text, the transport's own metadata left out."""
    return msgspec.to_builtins({name: part for name, part in response.items() if name != "ResponseMetadata"})


def _check_json(raw: bytes) -> None:
    try:
        decoded = msgspec.json.decode(raw)
    except msgspec.DecodeError as error:
        raise SourceFailure("malformed", f"not JSON: {error}") from None
    if not isinstance(decoded, dict):
        raise SourceFailure("malformed", "expected a JSON object")


def _require(body: JSON, operation: AwsOperation) -> None:
    answer = Answer.literal(body)
    for pointer in operation.required:
        try:
            answer.get(pointer, object)
        except Unreadable:
            raise SourceFailure("malformed", f"{operation.api} answered without {pointer}") from None


def _next_page(reply: Reply, pointer: str, seen: set[str]) -> tuple[Reply, str | None]:
    """Return the reply, marked as last or not, and the token of the next page; a token that repeats is malformed."""
    token = Answer.literal(reply.body).find(pointer, str)
    if not token:
        return reply, None
    if token in seen:
        failure = Failure("malformed", "a page token was given twice, so the pages never end")
        return msgspec.structs.replace(reply, status="error", body=None, error=failure), None
    seen.add(token)
    return msgspec.structs.replace(reply, last=False), token


def _denied(operation: AwsOperation, error: ClientError) -> Failure:
    code = error.response["Error"].get("Code", "") or "unknown"
    message = error.response["Error"].get("Message", "")
    needs = f" (needs {operation.permission})" if operation.permission and _is_denial(code) else ""
    return Failure(code, message + needs)


def _is_denial(code: str) -> bool:
    return code.startswith(("AccessDenied", "UnauthorizedOperation", "403"))


def _http_date(text: str | None) -> dt.datetime | None:
    try:
        return email.utils.parsedate_to_datetime(text).astimezone(dt.UTC) if text else None
    except (ValueError, TypeError):
        return None
