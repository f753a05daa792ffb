"""The SQL that `auditor permissions --format postgres` prints, run on a real server; then the role asks."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg import sql

from auditor.questions import Opening, Reply, SecretRef
from auditor.sandbox.certificates import Authority, write_private
from auditor.sandbox.postgres import ADMINISTRATOR, PostgresServer, find_postgres, initialised
from auditor.sources.postgres.connection import PostgresConnection
from auditor.sources.postgres.operations import OPERATIONS
from auditor.sources.postgres.target import CaTrust, PostgresTarget
from tests.cli_process import auditor, database, settings
from tests.policy_words import a_claim, a_pack, a_test

AUTHORITY = Authority("Authority of the company")
PASSWORD = "made-up for this test"
DATABASE, USER = 'the "app"', "Mr. O'Auditor"
COLUMN = {"table": 'ten ants.us"ers', "column": "pass word", "function": "au dit.count'er"}
ACCEPT = {"min_bits": 256, "accept": {"pbkdf2_sha256": {"iterations": 390_000}}}
HASH = "pbkdf2_sha256$390000$aaaaaaaaaaaaaaaaaaaaaa$" + "A" * 43 + "="


@pytest.fixture(scope="module")
def server() -> Iterator[PostgresServer]:
    binaries = find_postgres()
    pair = AUTHORITY.server(["127.0.0.1"])
    with initialised(binaries) as (data,):
        running = PostgresServer.start(
            binaries,
            data=data,
            settings={"ssl": "on"},
            hba=["hostssl all all 127.0.0.1/32 scram-sha-256"],
            files={"server.crt": pair.certificate, "server.key": pair.key},
        )
        try:
            yield running
        finally:
            running.stop()


@pytest.fixture
def app(server: PostgresServer) -> Iterator[psycopg.Connection]:
    """The administrator in a database with a table of one user, under names that need quotes."""
    name = sql.Identifier(DATABASE)
    with server.connect() as connection:
        connection.execute(sql.SQL("CREATE DATABASE {}").format(name))
    with server.connect(DATABASE) as connection:
        schema, table = COLUMN["table"].split(".")
        where = sql.Identifier(schema, table)
        connection.execute(sql.SQL("CREATE SCHEMA {}").format(sql.Identifier(schema)))
        connection.execute(sql.SQL('CREATE TABLE {} ("pass word" text, email text)').format(where))
        connection.execute(sql.SQL("INSERT INTO {} VALUES (%s, 'ada@example.com')").format(where), [HASH])
        yield connection
    with server.connect() as connection:
        connection.execute(sql.SQL("DROP DATABASE {}").format(name))
        connection.execute(sql.SQL("DROP ROLE IF EXISTS {}").format(sql.Identifier(USER)))


def script(folder: Path, port: int, *params: dict[str, Any], user: str = USER) -> str:
    """What the command prints for a database and one test for each set of parameters."""
    settings(folder, database("db", port, dbname=DATABASE, user=user, password={"env": "NOT_SET"}))
    tests = [
        a_test(f"kdf-{number}", "postgres-password-kdf", "db", params={**ACCEPT, **one})
        for number, one in enumerate(params)
    ]
    (folder / "pack.yaml").write_text(a_pack("p", a_claim("c", *tests, a_test("tls", "postgres-tls", "db"))))
    shown = auditor("permissions", "--format", "postgres", "--policies", "pack.yaml", cwd=folder)
    assert shown.code == 0, shown.err
    return shown.out


class Role:
    """The role that the script made, asking as an audit does."""

    def __init__(self, server: PostgresServer, folder: Path) -> None:
        with server.connect() as connection:
            command = sql.SQL("ALTER ROLE {} PASSWORD {}").format(sql.Identifier(USER), sql.Literal(PASSWORD))
            connection.execute(command)
        write_private(folder / "ca.crt", AUTHORITY.certificate)
        self._folder = folder
        self._target = PostgresTarget(
            host="127.0.0.1",
            port=server.port,
            dbname=DATABASE,
            user=USER,
            password=SecretRef(env="X"),
            trust=CaTrust(ca="ca.crt"),
        )

    def ask(self, operation: str, **params: Any) -> Reply:
        opening = Opening(shard="main", secret=lambda _: PASSWORD, conceal=lambda _: None, folder=self._folder)
        connection = PostgresConnection(self._target, opening)
        try:
            (reply,) = connection.ask(OPERATIONS[operation], params)
        finally:
            connection.close()
        return reply

    def reads(self, columns: str) -> bool:
        """Whether it may read these columns of the table itself."""
        schema, table = COLUMN["table"].split(".")
        options: dict[str, Any] = {
            "host": "127.0.0.1", "port": self._target.port, "dbname": DATABASE, "user": USER, "password": PASSWORD,
            "sslmode": "require", "gssencmode": "disable",
        }  # fmt: skip
        with psycopg.connect(**options) as connection:
            statement = sql.SQL("SELECT {} FROM {}").format(sql.SQL(columns), sql.Identifier(schema, table))
            try:
                connection.execute(statement)
            except psycopg.errors.InsufficientPrivilege:
                return False
        return True


def test_the_role_counts_through_the_function_and_cannot_read_the_table(
    server: PostgresServer, app: psycopg.Connection, tmp_path: Path
) -> None:
    app.execute(script(tmp_path, server.port, COLUMN).encode())
    role = Role(server, tmp_path)
    assert role.ask("sql.identity").body["user"] == USER
    reply = role.ask("sql.password_kdf_function", function=COLUMN["function"])
    assert reply.error is None
    assert reply.body["summary"]["total"] == 1
    assert not role.reads('"pass word"')
    assert role.ask("sql.password_kdf", table=COLUMN["table"], column=COLUMN["column"]).error is not None
    # Each of the two grants is needed.
    for revoked in ('EXECUTE ON FUNCTION "au dit"."count\'er"()', 'USAGE ON SCHEMA "au dit"'):
        app.execute(sql.SQL("REVOKE " + revoked + " FROM {}").format(sql.Identifier(USER)))
        denied = role.ask("sql.password_kdf_function", function=COLUMN["function"]).error
        assert denied is not None
        assert denied.code == "42501"
        app.execute(sql.SQL("GRANT " + revoked + " TO {}").format(sql.Identifier(USER)))
    app.execute(sql.SQL("DROP OWNED BY {}").format(sql.Identifier(USER)))


def test_without_a_function_the_role_reads_that_column_and_no_other(
    server: PostgresServer, app: psycopg.Connection, tmp_path: Path
) -> None:
    column = {name: COLUMN[name] for name in ("table", "column")}
    app.execute(script(tmp_path, server.port, column).encode())
    role = Role(server, tmp_path)
    assert role.ask("sql.password_kdf", **column).body["summary"]["total"] == 1
    assert role.reads('"pass word"')
    assert not role.reads("email")
    app.execute(sql.SQL("DROP OWNED BY {}").format(sql.Identifier(USER)))


def test_probes_alone_need_a_role_and_nothing_in_the_database(
    server: PostgresServer, app: psycopg.Connection, tmp_path: Path
) -> None:
    text = script(tmp_path, server.port)
    assert "FUNCTION" not in text
    app.execute(text.encode())
    role = Role(server, tmp_path)
    assert role.ask("sql.identity").error is None
    assert not role.reads('"pass word"')
    app.execute(sql.SQL("DROP OWNED BY {}").format(sql.Identifier(USER)))


def test_two_columns_get_two_functions_and_one_function_is_not_for_two(
    server: PostgresServer, app: psycopg.Connection, tmp_path: Path
) -> None:
    other = {**COLUMN, "column": "email", "function": "au dit.mails"}
    text = script(tmp_path, server.port, COLUMN, other, COLUMN)
    assert text.count("CREATE FUNCTION") == 2
    app.execute(text.encode())
    role = Role(server, tmp_path)
    for one in (COLUMN, other):
        reply = role.ask("sql.password_kdf_function", function=one["function"])
        assert reply.body["summary"]["column"] == one["column"]
    app.execute(sql.SQL("DROP OWNED BY {}").format(sql.Identifier(USER)))
    tests = [
        a_test(f"t{number}", "postgres-password-kdf", "db", params={**ACCEPT, **one})
        for number, one in enumerate((COLUMN, {**COLUMN, "column": "email"}))
    ]
    (tmp_path / "pack.yaml").write_text(a_pack("p", a_claim("c", *tests)))
    shown = auditor("permissions", "--format", "postgres", "--policies", "pack.yaml", cwd=tmp_path)
    assert (shown.code, shown.out) == (2, "")
    assert "two tests name the function 'au dit.count'er' for different columns" in shown.err


def test_what_is_printed_without_settings_goes_through_psql(server: PostgresServer, tmp_path: Path) -> None:
    """With the names of the README; psql reads the script as an administrator would have it read."""
    text = auditor("permissions", "--format", "postgres", cwd=tmp_path).out
    with server.connect() as connection:
        connection.execute("CREATE TABLE public.auth_user (password text)")
        command = ["psql", "-X", "-v", "ON_ERROR_STOP=1", "-h", str(server.folder), "-p", str(server.port)]
        done = subprocess.run(
            [*command, "-U", ADMINISTRATOR, "-d", "postgres"], input=text, text=True, capture_output=True, check=False
        )
        assert done.returncode == 0, done.stderr
        ((may,),) = connection.execute(
            "SELECT has_function_privilege('auditor', 'audit.password_kdf()', 'EXECUTE')"
            " AND NOT has_table_privilege('auditor', 'public.auth_user', 'SELECT')"
        ).fetchall()
        assert may
        connection.execute("DROP OWNED BY auditor; DROP ROLE auditor; DROP SCHEMA audit CASCADE; DROP TABLE auth_user")


@pytest.mark.parametrize("name", ["a\u202eb", "a\x1b[31m", "x" * 64, "a\nb"])
def test_names_that_nobody_could_check_are_refused(tmp_path: Path, name: str) -> None:
    """A line feed would even end a comment, and what follows it would be run."""
    for user, params in ((name, COLUMN), ("auditor", {**COLUMN, "column": name})):
        settings(tmp_path, database("db", 1, user=user))
        kdf = a_test("kdf", "postgres-password-kdf", "db", params={**ACCEPT, **params})
        (tmp_path / "pack.yaml").write_text(a_pack("p", a_claim("c", kdf)))
        shown = auditor("permissions", "--format", "postgres", "--policies", "pack.yaml", cwd=tmp_path)
        assert (shown.code, shown.out) == (2, "")
        assert "db (postgres): '" in shown.err
