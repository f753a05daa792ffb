"""The PostgreSQL half of a demo world, running: servers, users, certificates, and the truth about them."""

import secrets
import shutil
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

import msgspec
import psycopg
from psycopg import sql

from auditor.sandbox.certificates import Authority, write_private
from auditor.sandbox.part import Expected, SandboxError, password_group_id
from auditor.sandbox.postgres import PostgresServer, find_postgres, initialised
from auditor.sandbox.postgres_world import Database, PostgresWorld, Server, Target, read_world
from auditor.sandbox.user_table import CREATE_TABLE, User, users
from auditor.sources.postgres.password_kdf import function_definition

SCHEMA, TABLE, COLUMN = "public", "auth_user", "password"
PASSWORD_COLUMN = f"{SCHEMA}.{TABLE}.{COLUMN}"
PASSWORD_CHECK = "postgres-password-kdf"  # noqa: S105 - the id of a check


class PostgresPart:
    """A Part (see part.py), with its servers by id for tests that ask them directly."""

    def __init__(
        self,
        world: PostgresWorld,
        servers: dict[str, PostgresServer],
        environment: dict[str, str],
        folder: Path,
        cleanup: ExitStack,
    ) -> None:
        self.servers = servers
        self.environment = environment
        self.targets = [_target_entry(target, servers[target.server].port, folder) for target in world.targets]
        self.expected = list(_expected(world, servers))
        self._cleanup = cleanup

    def stop(self) -> None:
        """End every server and remove every file of this part. A second call does nothing."""
        self._cleanup.close()


def start_postgres(world: Path, folder: Path) -> PostgresPart:
    """Start the PostgreSQL servers of a world (its folder, with `postgres.yaml`).

    Certificates and keys for the auditor go into `folder`/postgres; the servers' own files live elsewhere, where their
    account can reach them. Raises SandboxError, and then leaves no process and no file behind.
    """
    described = read_world(world)
    binaries = find_postgres()
    environment = {role.password: _secret() for server in described.servers for role in server.roles if role.password}
    authorities = {"own": Authority("Authority of the company"), "foreign": Authority("Authority of someone else")}
    with ExitStack() as cleanup:
        files = folder / "postgres"
        files.mkdir(mode=0o700, parents=True)
        cleanup.callback(shutil.rmtree, files)
        for name, authority in authorities.items():
            write_private(files / f"{name}-ca.crt", authority.certificate)
        for client in described.client_certificates:
            issuer = authorities[client.issuer]
            issuer.client(client.role, expired=client.expired).write(files, client.name)
        servers: dict[str, PostgresServer] = {}
        # Hashes that are computed honestly take a second: meanwhile initdb runs.
        with ThreadPoolExecutor() as executor:
            tables = {
                (server.id, database.name): executor.submit(lambda rows: list(users(rows)), database.users)
                for server in described.servers
                for database in server.databases
            }
            with initialised(binaries, len(described.servers)) as folders:
                for server, data in zip(described.servers, folders, strict=True):
                    running = _start_server(server, binaries, data, authorities)
                    cleanup.callback(running.stop)
                    servers[server.id] = running
                for server in described.servers:
                    rows = {database.name: tables[server.id, database.name].result() for database in server.databases}
                    _fill(servers[server.id], server, rows, environment)
        return PostgresPart(described, servers, environment, files, cleanup.pop_all())


def _secret() -> str:
    """A password nobody knows, with every character that careless code gets wrong in a URL, in SQL or in JSON."""
    return f"{secrets.token_urlsafe(12)}\"@/'\\é漢%{secrets.token_urlsafe(12)}"


def _start_server(server: Server, binaries: Path, data: Path, authorities: Mapping[str, Authority]) -> PostgresServer:
    described = server.certificate
    pair = authorities[described.issuer].server(described.names, expired=described.expired)
    return PostgresServer.start(
        binaries,
        data=data,
        settings={**server.settings, "cluster_name": f"auditor demo {server.id}"},
        hba=server.hba,
        files={
            "server.crt": pair.certificate,
            "server.key": pair.key,
            "clients-ca.crt": authorities["own"].certificate,
        },
    )


def _fill(
    running: PostgresServer, server: Server, tables: Mapping[str, Sequence[User]], environment: Mapping[str, str]
) -> None:
    """Create the roles, databases and users of a server."""
    try:
        with running.connect() as connection:
            for role in server.roles:
                password = environment[role.password] if role.password else None
                connection.execute(
                    sql.SQL("CREATE ROLE {} LOGIN PASSWORD {}").format(sql.Identifier(role.name), sql.Literal(password))
                )
            for database in server.databases:
                connection.execute(
                    sql.SQL("CREATE DATABASE {} OWNER {}").format(
                        sql.Identifier(database.name), sql.Identifier(database.owner)
                    )
                )
        for database in server.databases:
            with running.connect(database.name) as connection:
                _fill_database(connection, database, tables[database.name])
    except psycopg.Error as error:
        message = " ".join(str(error).split())
        raise SandboxError(f"The server {server.id} cannot be filled as its world says: {message}") from error


def _fill_database(connection: psycopg.Connection, database: Database, table: Sequence[User]) -> None:
    # The application owns its tables: the role auditor has no right on them at all.
    connection.execute(sql.SQL("SET ROLE {}").format(sql.Identifier(database.owner)))
    connection.execute(CREATE_TABLE)
    columns = sql.SQL(", ").join(map(sql.Identifier, User._fields))
    with (
        connection.cursor() as cursor,
        cursor.copy(sql.SQL("COPY {} ({}) FROM STDIN").format(sql.Identifier(SCHEMA, TABLE), columns)) as copy,
    ):
        for row in table:
            copy.write_row(row)
    connection.execute("RESET ROLE")
    connection.execute(_function_text(database).encode())


def _function_text(database: Database) -> str:
    """The published function as an administrator runs it, or as someone altered it by hand."""
    # The function reads with its owner's rights: those of the table's owner are all it needs.
    text = function_definition(SCHEMA, TABLE, COLUMN, owner=database.owner)
    altered = database.function_altered
    if altered is None:
        return text
    if altered.find not in text:
        raise SandboxError(f"The published function has no {altered.find!r} to alter in database {database.name}")
    return text.replace(altered.find, altered.replace)


def _target_entry(target: Target, port: int, folder: Path) -> dict[str, object]:
    """An entry of auditor.yaml (design 5.2)."""
    host, *further = target.hosts
    own = target.trust in ("own", "foreign")
    return {
        "id": target.id,
        "type": "postgres",
        "host": host,
        "port": port,
        "dbname": target.dbname,
        "user": target.user,
        "password": {"env": target.password},
        "trust": {"ca": str(folder / f"{target.trust}-ca.crt")} if own else target.trust,
        "client_certificate": {
            "cert": str(folder / f"{target.client_certificate}.crt"),
            "key": str(folder / f"{target.client_certificate}.key"),
        },
        "endpoints": [{"host": name, "port": port} for name in further],
        "tags": target.tags,
    }


def _expected(world: PostgresWorld, servers: Mapping[str, PostgresServer]) -> Iterator[Expected]:
    targets = {target.id: target for target in world.targets}
    for truth in world.expect.endpoints:
        target = targets[truth.target]
        for host in truth.hosts or target.hosts:
            for subject in truth.subjects:
                resource = f"{host}:{servers[target.server].port}" + (f"/{subject}" if subject else "")
                yield Expected(truth.check, target.id, resource, truth.outcome, truth.why)
    for group in world.expect.passwords:
        resource = password_group_id(PASSWORD_COLUMN, msgspec.to_builtins(group.group))
        yield Expected(PASSWORD_CHECK, group.target, resource, group.outcome, group.why)
    for whole in world.expect.targets:
        yield Expected(whole.check, whole.target, whole.target, whole.outcome, whole.why)
