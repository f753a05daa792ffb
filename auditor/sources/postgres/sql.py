"""One read-only SQL session as the auditor's role. Every answer is one JSON text, so that its bytes can be kept."""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, cast

import msgspec
import psycopg

from auditor.questions import Opening, SourceFailure
from auditor.sources.postgres.password_kdf import (
    DEFINITION_STATEMENT,
    FUNCTION_SETTINGS,
    call_statement,
    recognise_source,
    summary_statement,
)
from auditor.sources.postgres.target import CaTrust, PostgresTarget
from auditor.sources.postgres.troubles import code_of

IDENTITY = """\
SELECT json_build_object(
    'user', current_user, 'database', current_database(), 'server_version', current_setting('server_version'),
    'server', concat(inet_server_addr(), ':', inet_server_port()), 'server_time', clock_timestamp()
)::text"""


SETTINGS = ("row_security = off", "search_path = pg_catalog")
GRACE_SECONDS = 2.0
"""How much longer than the server's own statement_timeout we wait before we hang up."""
UNSET: Mapping[str, str] = {"hostaddr": "", "options": "", "password": "", "passfile": f"{os.devnull}/none"}
"""What libpq would else take from PGHOSTADDR, PGOPTIONS, PGPASSWORD and ~/.pgpass: another server, another secret."""


class Deadline:
    """Hangs up on a server that falls silent: statement_timeout is only the server's own promise."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self.passed = False

    @contextmanager
    def over(self, connection: psycopg.Connection[Any]) -> Iterator[None]:
        """Watch one transaction."""
        descriptor = os.dup(connection.fileno())
        timer = threading.Timer(self._seconds, self._hang_up, [descriptor])
        timer.daemon = True
        timer.start()
        try:
            yield
        finally:
            timer.cancel()
            timer.join()
            os.close(descriptor)

    def _hang_up(self, descriptor: int) -> None:
        self.passed = True
        with suppress(OSError), socket.socket(fileno=os.dup(descriptor)) as connection:
            connection.shutdown(socket.SHUT_RDWR)


class SqlSession:
    """A lazily opened connection; used by one thread at a time."""

    def __init__(self, target: PostgresTarget, opening: Opening, fetch: Callable[[Callable[[], bytes]], bytes]) -> None:
        self._target = target
        self._fetch = fetch
        self._opening = opening
        self._lock = threading.Lock()
        self._connection: psycopg.Connection[Any] | None = None

    def identity(self) -> bytes:
        """Return who answers."""
        with self._transaction() as connection:
            return self._text(connection, IDENTITY)

    def password_kdf(self, table: str, column: str) -> bytes:
        """Return the summary of a password column; `table` is schema.name."""
        schema, _, name = table.partition(".")
        with self._transaction() as connection:
            return b'{"summary":' + self._text(connection, summary_statement(schema, name, column)) + b"}"

    def password_kdf_function(self, function: str) -> bytes:
        """Return the definition of the function and, only where that is the published one, what it answers."""
        with self._transaction() as connection:
            definition = self._text(connection, DEFINITION_STATEMENT, {"function": function})
            parts = [b'{"definition":' + definition]
            mismatch = _mismatch(definition)
            if mismatch:
                parts.append(b'"mismatch":' + msgspec.json.encode(mismatch))
            else:
                parts.append(b'"summary":' + self._text(connection, call_statement(function)))
            return b",".join(parts) + b"}"

    def close(self) -> None:
        """End the session."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    @contextmanager
    def _transaction(self) -> Iterator[psycopg.Connection[Any]]:
        """Give a transaction that can change nothing, sees one snapshot, and errs where a policy would hide rows."""
        with self._lock:
            deadline = Deadline(self._target.timeout + GRACE_SECONDS)
            try:
                if self._connection is None:
                    self._connection = self._connect()
                with deadline.over(self._connection):
                    self._connection.execute("BEGIN TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY")
                    for setting in (f"statement_timeout = {int(self._target.timeout * 1000)}", *SETTINGS):
                        self._connection.execute(f"SET LOCAL {setting}".encode())
                    yield self._connection
                    self._connection.execute("ROLLBACK")
            except psycopg.Error as error:
                self.close()  # whatever state it is in, the next question starts anew
                if deadline.passed:
                    raise SourceFailure("timeout", "the server fell silent, so we hung up") from None
                raise SourceFailure(error.sqlstate or code_of(str(error)), _words(error)) from None
            except BaseException:
                self.close()
                raise

    def _text(
        self, connection: psycopg.Connection[Any], statement: str, params: Mapping[str, Any] | None = None
    ) -> bytes:
        """Return the one text of the one row a statement answers, as the bytes that came."""
        return self._fetch(lambda: _ask(connection, statement, params))

    def _connect(self) -> psycopg.Connection[Any]:
        target = self._target
        options: dict[str, str | int] = {
            **UNSET,
            "host": target.host,
            "port": target.port,
            "dbname": target.dbname,
            "user": target.user,
            "connect_timeout": max(2, round(target.timeout)),
            "gssencmode": "disable",
            "client_encoding": "utf8",
            "application_name": "auditor",
            "sslmode": "require" if target.trust == "none" else "verify-full",
        }
        if isinstance(target.trust, CaTrust):
            options["sslrootcert"] = str(self._file(target.trust.ca))
        elif target.trust == "system":
            options["sslrootcert"] = "system"
        if target.client_certificate is None:
            options["sslcertmode"] = "disable"
        else:
            options["sslcert"] = str(self._file(target.client_certificate.cert))
            options["sslkey"] = str(self._file(target.client_certificate.key))
        if target.password is not None:
            options["password"] = self._opening.secret(target.password)
        return psycopg.connect("", autocommit=True, prepare_threshold=None, **cast("dict[str, Any]", options))

    def _file(self, name: str) -> Path:
        path = self._opening.folder / name
        try:
            path.open("rb").close()
        except OSError as error:
            raise SourceFailure("local", f"{path} cannot be read: {error.strerror}") from None
        return path


def _ask(connection: psycopg.Connection[Any], statement: str, params: Mapping[str, Any] | None) -> bytes:
    with connection.cursor() as cursor:
        cursor.execute(statement.encode(), params)
        result = cursor.pgresult
        if result is None or (result.ntuples, result.nfields) != (1, 1):
            raise SourceFailure("malformed", "expected one row of one value")
        value = result.get_value(0, 0)
        if value is None:
            raise SourceFailure("malformed", "expected a text, got NULL")
        return bytes(value)


def _mismatch(raw: bytes) -> str:
    """Say why a function is not the published one, "" where it is: then, and only then, it may be called."""
    try:
        definition = msgspec.json.decode(raw, type=dict[str, Any] | None)
    except msgspec.DecodeError as error:
        raise SourceFailure("malformed", f"the definition of the function is not what was asked for: {error}") from None
    if definition is None:
        return "there is no such function"
    expected = {
        "kind": "f",
        "language": "sql",
        "arguments": 0,
        "overloads": 1,
        "result_type": "text",
        "security_definer": True,
        "settings": list(FUNCTION_SETTINGS),
    }
    for name, value in expected.items():
        if definition.get(name) != value:
            return f"its {name} is {definition.get(name)!r}, not {value!r}"
    if recognise_source(str(definition.get("source"))) is None:
        return "its source is not the published text"
    return ""


def _words(error: psycopg.Error) -> str:
    return error.diag.message_primary or str(error).strip()
