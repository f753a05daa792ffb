"""A real PostgreSQL 15 for the tests of password_kdf, and how they ask it."""

import json
import os
import shutil
import signal
import subprocess
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, TypeAlias

import psycopg
import pytest

from auditor.sources.postgres.password_kdf import summary_statement

SERVER = Path("/usr/lib/postgresql/15/bin")
Connection: TypeAlias = psycopg.Connection[tuple[Any, ...]]
Connect: TypeAlias = Callable[..., Connection]


@pytest.fixture(scope="module")
def connect() -> Iterator[Connect]:
    """A server of our own on a Unix socket; call it with a role's name for a connection in autocommit."""
    home = Path(tempfile.mkdtemp())
    user = "postgres" if os.geteuid() == 0 else None  # the server refuses to run as root
    if user:
        shutil.chown(home, user)
    home.chmod(0o755)
    make: list[str | Path] = [SERVER / "initdb", "-D", home / "data", "-U", "postgres", "-A", "trust", "-N"]
    options = {"listen_addresses": "", "fsync": "off", "jit": "off", "log_min_messages": "log"}
    run: list[str | Path] = [SERVER / "postgres", "-D", home / "data", "-k", home]
    run += [part for name, value in options.items() for part in ("-c", f"{name}={value}")]
    subprocess.run(
        [*make, "--encoding=UTF8", "--locale=C.UTF-8"], user=user, cwd=home, check=True, stdout=subprocess.DEVNULL
    )
    opened: list[Connection] = []

    def connect(role: str = "postgres", database: str = "postgres") -> Connection:
        opened.append(psycopg.connect(host=str(home), user=role, dbname=database, autocommit=True))
        return opened[-1]

    with subprocess.Popen(run, user=user, cwd=home, stderr=subprocess.PIPE) as server:
        try:
            assert server.stderr is not None
            assert any(b"ready to accept connections" in line for line in server.stderr)
            yield connect
        finally:
            for connection in opened:
                connection.close()
            server.send_signal(signal.SIGINT)
            server.communicate()
    shutil.rmtree(home)


@pytest.fixture(scope="module")
def admin(connect: Connect) -> Connection:
    """The superuser's connection, with one table to fill."""
    connection = connect()
    connection.execute("CREATE TABLE auth_user (id serial, password text)")
    connection.execute("CREATE ROLE auditor LOGIN")
    connection.execute("CREATE ROLE tenant LOGIN")
    return connection


@pytest.fixture
def place(admin: Connection) -> Iterator[str]:
    """An empty schema, gone afterwards."""
    admin.execute("CREATE SCHEMA place; GRANT USAGE ON SCHEMA place TO PUBLIC")
    yield "place"
    admin.execute("ROLLBACK")  # a script that failed leaves its transaction open
    admin.execute("RESET ALL; DROP SCHEMA place CASCADE; DROP SCHEMA IF EXISTS audit CASCADE")


def one(connection: Connection, statement: str, parameters: Mapping[str, str] | None = None) -> Any:
    """The JSON of the one text of the one row."""
    [[text]] = connection.execute(statement.encode(), parameters).fetchall()
    assert isinstance(text, str)
    return json.loads(text)


def summary(connection: Connection, schema: str = "public", table: str = "auth_user", column: str = "password") -> Any:
    """What the statement says of a column; its groups add up."""
    found = one(connection, summary_statement(schema, table, column))
    assert sum(group["users"] for group in found["groups"]) == found["total"]
    return found


def fill(connection: Connection, values: list[str | None]) -> None:
    connection.execute("TRUNCATE auth_user")
    connection.execute("INSERT INTO auth_user (password) SELECT unnest(%s::text[])", [values])


def readings(found: Any) -> Counter[str]:
    """How many users each group has, by what else it says."""
    members = ("encoding", "scheme", "cost", "digest_bits", "salt")
    for group in found["groups"]:
        assert list(group) == [*members, "users"]
    return Counter({json.dumps([group[name] for name in members]): group["users"] for group in found["groups"]})
