"""What was seen on the wire: every attempt is noted, and no body is parsed before it was checked.

botocore's events call this: before a request is sent, before an answer is parsed, and after.
"""

from __future__ import annotations

import datetime as dt
import email.utils
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import msgspec
from botocore.awsrequest import AWSPreparedRequest, AWSResponse

from auditor.questions import Attempt, Failure, SourceFailure
from auditor.sources.aws.operations import AwsOperation
from auditor.sources.aws.strict import check_json, check_xml
from auditor.sources.clock import utcnow

Transport = Callable[[AWSPreparedRequest], AWSResponse | None]

OK = 200
FIRST_ERROR = 301
"""From here on botocore reads a body as an error, below it as the answer that was asked for."""


@dataclass
class Exchange:
    """One call: all its attempts, and what came back to the last of them (status 0: nothing did)."""

    operation: AwsOperation
    attempts: list[Attempt] = field(default_factory=list)
    status: int = 0
    raw: bytes = b""
    server_time: dt.datetime | None = None

    def begin_attempt(self) -> None:
        """Note one more try; what came back to the one before is no answer to this one."""
        self.attempts.append(Attempt(utcnow()))
        self.status, self.raw, self.server_time = 0, b"", None

    def end_attempt(self, *, status: int, reason: str) -> None:
        """Note how the last try ended."""
        self.attempts[-1] = msgspec.structs.replace(self.attempts[-1], status=status, reason=reason)

    def explained(self, failure: Failure | None) -> tuple[Attempt, ...]:
        """Return all attempts; the last says why it was not good enough, where that was found out later."""
        if failure is not None and self.attempts and not self.attempts[-1].reason:
            self.end_attempt(status=self.attempts[-1].status, reason=failure.code)
        return tuple(self.attempts)


class Wire:
    """Watches the calls of every client it is told of; each thread makes one call at a time."""

    def __init__(self, transport: Transport | None) -> None:
        self._transport = transport
        self._thread = threading.local()

    def begin(self, operation: AwsOperation) -> Exchange:
        """Note what this thread's next call is about."""
        exchange = self._thread.exchange = Exchange(operation)
        return exchange

    @property
    def current(self) -> Exchange:
        """The call that this thread is making, or made last."""
        exchange: Exchange = self._thread.exchange
        return exchange

    def watch(self, client: Any) -> None:
        """See everything that a client sends and receives, and keep it to the host that it was made for."""
        events = client.meta.events
        events.register_last("before-parameter-build.s3", _stay)
        events.register_first("before-send", self._before_send)
        events.register_last("before-parse", self._before_parse)
        events.register_first("response-received", self._response_received)

    def _before_send(self, request: AWSPreparedRequest, **_: Any) -> AWSResponse | None:
        self.current.begin_attempt()
        return self._transport(request) if self._transport is not None else None

    def _before_parse(self, operation_model: Any, response_dict: Any, **_: Any) -> None:
        exchange = self.current
        exchange.status = response_dict["status_code"]
        exchange.raw = response_dict["body"]
        exchange.server_time = _http_date(response_dict["headers"].get("Date"))
        exchange.end_attempt(status=exchange.status, reason="")
        if exchange.status >= FIRST_ERROR:
            return
        if exchange.status != OK:
            raise SourceFailure("malformed", f"HTTP {exchange.status} is no answer to {exchange.operation.api}")
        if exchange.operation.root:
            check_xml(
                exchange.raw,
                exchange.operation.root,
                operation_model.output_shape,
                closed=exchange.operation.closed,
                hollow=exchange.operation.hollow,
            )
        else:
            check_json(exchange.raw)

    def _response_received(self, response_dict: Any, parsed_response: Any, exception: Any, **_: Any) -> None:
        if exception is not None:
            self.current.end_attempt(status=0, reason=type(exception).__name__)
            return
        status = self.current.status = response_dict["status_code"]  # S3's errors with 200 were shown as 500 until now
        code = error_word(parsed_response, "Code")
        if status == OK and code.isdigit():
            code = "malformed"  # botocore takes a body of S3 that is not XML for a 500, and tries again
        self.current.end_attempt(status=status, reason=code)


def error_word(response: Any, name: str) -> str:
    """Return a part of a parsed error; "" where it is not one plain text, as in errors with two codes."""
    error = response.get("Error")
    word = error.get(name) if isinstance(error, dict) else None
    return word if isinstance(word, str) else ""


def _stay(context: Any, **_: Any) -> None:
    """Let botocore's S3 redirector do nothing: it would follow an answer to another region, and ask HeadBucket."""
    context.setdefault("s3_redirect", {})["redirected"] = True


def _http_date(text: str | None) -> dt.datetime | None:
    """Return the time that a server sent (RFC 9110 section 5.6.7); None where it cannot be read."""
    try:
        sent = email.utils.parsedate_to_datetime(text) if text else None
        return sent and (sent.astimezone(dt.UTC) if sent.tzinfo else sent.replace(tzinfo=dt.UTC))
    except (ValueError, OverflowError):
        return None
