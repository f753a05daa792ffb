"""The PostgreSQL source against a real server: silence, a shell's own settings, and what only SQL can tell."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

import msgspec
import pytest

from auditor.questions import Opening, Reply
from auditor.sources.postgres import connection as postgres_connection
from auditor.sources.postgres import sql
from auditor.sources.postgres.connection import PostgresConnection
from auditor.sources.postgres.operations import OPERATIONS
from auditor.sources.postgres.target import PostgresTarget
from auditor.sources.secrets import resolve
from tests.world_runs import Audited, environment


class Proxy:
    """Passes bytes on to a server until it is told to fall silent."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._silent = threading.Event()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._open: list[socket.socket] = [self._listener]
        self.port = self._listener.getsockname()[1]
        threading.Thread(target=self._serve, daemon=True).start()

    def fall_silent(self) -> None:
        self._silent.set()

    def close(self) -> None:
        for one in self._open:
            with suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
            one.close()

    def _serve(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                server = socket.create_connection(("127.0.0.1", self._port))
                self._open += [client, server]
                for source, sink in ((client, server), (server, client)):
                    threading.Thread(target=self._pass_on, args=(source, sink), daemon=True).start()

    def _pass_on(self, source: socket.socket, sink: socket.socket) -> None:
        with suppress(OSError):
            while data := source.recv(65536):
                if not self._silent.is_set():
                    sink.sendall(data)
            sink.shutdown(socket.SHUT_RDWR)


def target_of(world: Audited) -> PostgresTarget:
    settings = next(target.settings for target in world.settings.targets if target.id == "app-db")
    assert isinstance(settings, PostgresTarget)
    return settings


@contextmanager
def connected(world: Audited, **changes: Any) -> Iterator[PostgresConnection]:
    opening = Opening(
        shard="main",
        secret=lambda ref: resolve(ref, world.settings.folder),
        conceal=lambda _: None,
        folder=world.settings.folder,
    )
    with environment(world.world.environment):
        connection = PostgresConnection(msgspec.structs.replace(target_of(world), **changes), opening)
        try:
            yield connection
        finally:
            connection.close()


def ask(connection: PostgresConnection, operation: str, **params: Any) -> Reply:
    (reply,) = connection.ask(OPERATIONS[operation], params)
    return reply


def test_a_server_that_falls_silent_is_hung_up_on(healthy: Audited, monkeypatch: pytest.MonkeyPatch) -> None:
    """statement_timeout is the server's own promise; a black hole keeps none."""
    monkeypatch.setattr(sql, "GRACE_SECONDS", 0.1)
    proxy = Proxy(target_of(healthy).port)
    try:
        with connected(healthy, port=proxy.port, timeout=2.0) as connection:
            assert ask(connection, "sql.identity").status == "ok"  # the positive control
            proxy.fall_silent()
            reply = ask(connection, "sql.identity")
            assert reply.error is not None
            assert reply.error.code == "timeout"
    finally:
        proxy.close()


def test_a_server_that_dies_is_an_error_and_the_next_question_starts_anew(healthy: Audited) -> None:
    proxy = Proxy(target_of(healthy).port)
    with connected(healthy, port=proxy.port) as connection:
        assert ask(connection, "sql.identity").status == "ok"
        proxy.close()
        reply = ask(connection, "sql.identity")
        assert reply.status == "error"
        connection._target = target_of(healthy)
        connection._sql._target = target_of(healthy)
        assert ask(connection, "sql.identity").status == "ok"


def test_the_shells_own_settings_do_not_redirect_the_session(healthy: Audited, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PGHOSTADDR", "127.0.0.1")
    monkeypatch.setenv("PGOPTIONS", "-c row_security=on -c nonsense=1")
    monkeypatch.setenv("PGPASSWORD", "not-the-one")
    with connected(healthy) as connection:
        assert ask(connection, "sql.identity").status == "ok"
    with connected(healthy, host="no-such-host.invalid", trust="none") as connection:
        assert ask(connection, "sql.identity").status == "error"


def test_without_a_password_none_is_taken_from_the_shell(healthy: Audited, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PGPASSWORD", healthy.world.environment["APP_DB_AUDITOR_PASSWORD"])
    with connected(healthy, password=None) as connection:
        reply = ask(connection, "sql.identity")
        assert reply.error is not None
        assert "password" in reply.error.message


def test_nothing_is_called_that_is_not_the_published_function(broken: Audited) -> None:
    """The altered function of the broken world is described, and not called."""
    settings = next(target.settings for target in broken.settings.targets if target.id == "crm-db")
    assert isinstance(settings, PostgresTarget)
    fields = {name: getattr(settings, name) for name in settings.__struct_fields__}
    with connected(broken, **fields) as connection:
        reply = ask(connection, "sql.password_kdf_function", function="audit.password_kdf")
        assert reply.status == "ok"
        assert reply.body["mismatch"] == "its source is not the published text"
        assert "summary" not in reply.body
        missing = ask(connection, "sql.password_kdf_function", function="audit.nothing")
        assert missing.body["mismatch"] == "there is no such function"


def test_a_denied_statement_names_what_it_needs(healthy: Audited) -> None:
    with connected(healthy) as connection:
        reply = ask(connection, "sql.password_kdf", table="public.auth_user", column="password")
        assert reply.error is not None
        assert reply.error.code == "42501"
        assert "needs SELECT on the password column" in reply.error.message


def test_an_answer_without_its_members_is_malformed(healthy: Audited, monkeypatch: pytest.MonkeyPatch) -> None:
    with connected(healthy) as connection:
        monkeypatch.setitem(postgres_connection.REQUIRED, "sql.identity", ("/what/is/not/there",))
        reply = ask(connection, "sql.identity")
        assert reply.error is not None
        assert reply.error.code == "malformed"
