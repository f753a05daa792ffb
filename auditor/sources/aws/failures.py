"""Why a question got no answer, in words for the person who has to do something about it."""

from __future__ import annotations

import http.client

from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    ConnectTimeoutError,
    CredentialRetrievalError,
    EndpointConnectionError,
    NoCredentialsError,
    PartialCredentialsError,
    ProfileNotFound,
    ProxyConnectionError,
    ReadTimeoutError,
    SSLError,
)

from auditor.questions import Failure, SourceFailure
from auditor.sources.aws.operations import AwsOperation
from auditor.sources.aws.strict import read_xml
from auditor.sources.aws.troubles import DENIED
from auditor.sources.aws.wire import OK, Exchange, error_word

NOT_FOUND = 404

_CODES = {
    NoCredentialsError: "credentials",
    PartialCredentialsError: "credentials",
    CredentialRetrievalError: "credentials",
    ProfileNotFound: "credentials",
    ConnectTimeoutError: "timeout",
    ReadTimeoutError: "timeout",
    EndpointConnectionError: "unreachable",
    ProxyConnectionError: "proxy",
    SSLError: "tls",
}


def is_absent(error: Exception, exchange: Exchange) -> bool:
    """Whether the service said plainly, and in its own words, that there is none."""
    if not isinstance(error, ClientError) or exchange.status != NOT_FOUND:
        return False
    if error_word(error.response, "Code") not in exchange.operation.absent:
        return False
    try:
        return read_xml(exchange.raw).tag == "Error"
    except SourceFailure:
        return False


def failure_of(error: Exception, exchange: Exchange) -> Failure | None:
    """Return why a call failed, never quoting a body; None where AWS has no part in it."""
    if isinstance(error, SourceFailure):
        return Failure(error.code, error.message)
    if isinstance(error, ClientError):
        return _refusal(error, exchange)
    if isinstance(error, BotoCoreError) and not exchange.status:
        return Failure(_CODES.get(type(error), type(error).__name__), str(error))
    if not exchange.status:
        return None
    if exchange.status != OK:
        return Failure(str(exchange.status), _status(exchange) + _needs(str(exchange.status), exchange.operation))
    return Failure("malformed", f"the body cannot be read: {type(error).__name__}")  # botocore's parsers raise anything


def _refusal(error: ClientError, exchange: Exchange) -> Failure:
    code = exchange.attempts[-1].reason or str(exchange.status)
    if code == "malformed":
        return Failure(code, "not XML")
    if code in exchange.operation.absent:  # and yet it is not absent
        return Failure("malformed", f"{code}, but not as AWS says it (HTTP {exchange.status})")
    message = error_word(error.response, "Message") or _status(exchange)
    return Failure(code, message + _needs(code, exchange.operation))


def _needs(code: str, operation: AwsOperation) -> str:
    return f" (needs {operation.permission})" if operation.permission and code.startswith(DENIED) else ""


def _status(exchange: Exchange) -> str:
    reason = http.client.responses.get(exchange.status, "")
    return f"HTTP {exchange.status} {reason}".strip() + ", and nothing in the body that explains it"
