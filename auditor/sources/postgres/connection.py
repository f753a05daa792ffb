"""Asking PostgreSQL: SQL questions by one session, wire probes each by a connection of its own."""

from __future__ import annotations

import datetime as dt
import hashlib
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import msgspec

from auditor.answers import Answer
from auditor.model import JSON, Unreadable
from auditor.questions import Attempt, Failure, Opening, Operation, Reply, SourceFailure
from auditor.sources.clock import utcnow
from auditor.sources.postgres import tls, wire
from auditor.sources.postgres.session import CaFile, ClientCertificate, SystemStore, Trust
from auditor.sources.postgres.sql import SqlSession
from auditor.sources.postgres.target import CaTrust, PostgresTarget

REQUIRED = {
    "sql.identity": ("/user", "/database", "/server_time"),
    "sql.password_kdf": ("/summary/total", "/summary/groups"),
    "sql.password_kdf_function": ("/definition",),
}


class Transport:
    """What carries the bytes: TCP for the probes, libpq's answers for SQL. Tests put faults here."""

    def dial(self, host: str, port: int, timeout: float) -> wire.Connection:
        """Open a byte stream to an endpoint."""
        return wire.dial_tcp(host, port, timeout)

    def fetch(self, answer: Callable[[], bytes]) -> bytes:
        """Return the text that one statement answers; psycopg's errors pass through."""
        return answer()


class PostgresConnection:
    """One database, asked for one task."""

    def __init__(self, target: PostgresTarget, opening: Opening) -> None:
        self._target = target
        self._folder = opening.folder
        self._transport: Transport = opening.transport or Transport()
        self._sql = SqlSession(target, opening, self._transport.fetch)

    def ask(self, operation: Operation, params: Mapping[str, Any]) -> Iterator[Reply]:
        """Ask one question: a probe of an endpoint, or a statement."""
        started = utcnow()
        raw = b""
        body: JSON = None
        failure: Failure | None = None
        try:
            if operation.name.startswith("wire."):
                transcript = self._probe(operation.name, params)
                raw, body = transcript.received, {"hex": transcript.received.hex(), "parsed": transcript.parsed}
            else:
                raw = self._statement(operation.name, params)()
                body = _decode(raw, REQUIRED[operation.name])
        except SourceFailure as error:
            raw = error.received if isinstance(error, wire.ProbeError) else b""
            needs = f" (needs {operation.permission})" if error.code == "42501" else ""
            failure = Failure(error.code, error.message + needs)
        yield Reply(
            status="error" if failure else "ok",
            started_at=started,
            ended_at=utcnow(),
            body=None if failure else body,
            raw_sha256=hashlib.sha256(raw).hexdigest() if raw else "",
            attempts=(Attempt(started, reason=failure.code if failure else ""),),
            error=failure,
            server_time=None if failure else _server_time(operation.name, body),
        )

    def close(self) -> None:
        """End the SQL session."""
        self._sql.close()

    def _statement(self, name: str, params: Mapping[str, Any]) -> Callable[[], bytes]:
        if name == "sql.identity":
            return self._sql.identity
        if name == "sql.password_kdf":
            return lambda: self._sql.password_kdf(params["table"], params["column"])
        return lambda: self._sql.password_kdf_function(params["function"])

    def _probe(self, name: str, params: Mapping[str, Any]) -> wire.Transcript:
        target = self._target
        where: dict[str, Any] = {
            "host": params["host"],
            "port": params["port"],
            "timeout": target.timeout,
            "dial": self._transport.dial,
        }
        if name == "wire.plaintext_startup":
            return wire.plaintext_startup(user=target.user, database=target.dbname, **where)
        if name == "wire.old_tls":
            return tls.old_tls(version=params["version"], **where)
        if name == "wire.tls_handshake":
            return tls.tls_handshake(version=params["version"], **where)
        if name == "wire.certificate_trust":
            return tls.certificate_trust(trust=self._trust(), **where)
        certificate = self._client_certificate() if params["certificate"] == "declared" else None
        return tls.tls_startup(user=target.user, database=target.dbname, client_certificate=certificate, **where)

    def _trust(self) -> Trust:
        if isinstance(self._target.trust, CaTrust):
            return CaFile(self._folder / self._target.trust.ca)
        return SystemStore() if self._target.trust == "system" else None

    def _client_certificate(self) -> ClientCertificate:
        files = self._target.client_certificate
        if files is None:
            raise SourceFailure("local", "the target declares no client_certificate, so there is none to show")
        folder: Path = self._folder
        return ClientCertificate(folder / files.cert, folder / files.key)


def _decode(raw: bytes, required: tuple[str, ...]) -> JSON:
    try:
        body = msgspec.json.decode(raw)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise SourceFailure("malformed", f"not JSON: {error}") from None
    answer = Answer.literal(body)
    for pointer in required:
        try:
            found = answer.has(pointer)
        except Unreadable:
            found = False
        if not found:
            raise SourceFailure("malformed", f"answered without {pointer}")
    return body


def _server_time(name: str, body: JSON) -> dt.datetime | None:
    if name != "sql.identity":
        return None
    try:
        return Answer.literal(body).get("/server_time", dt.datetime).astimezone(dt.UTC)
    except Unreadable:
        return None
