"""The PostgreSQL half of each demo world: what its description says is what its servers do."""

import base64
import hashlib
import json
import os
import stat
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import psycopg
import pytest
from cryptography import x509

from auditor.sandbox import postgres, postgres_part
from auditor.sandbox.certificates import EXPIRED_ON, Authority
from auditor.sandbox.part import Part, SandboxError, password_group_id
from auditor.sandbox.postgres_part import PostgresPart, start_postgres
from auditor.sandbox.postgres_world import Alteration, PostgresWorld, read_world
from auditor.sandbox.user_table import UserRows, stored_password, users
from auditor.sources.postgres.password_kdf import DEFINITION_STATEMENT, call_statement, recognise_source

WORLDS = Path(postgres.__file__).parent / "worlds"
TLS_SUBJECTS = ["TLSv1.0", "TLSv1.1", "TLSv1.2+", "certificate", "plaintext"]
CLIENT = "postgres-client-certificate"


@pytest.fixture(scope="module")
def healthy(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PostgresPart]:
    part = start_postgres(WORLDS / "healthy", tmp_path_factory.mktemp("healthy"))
    yield part
    part.stop()


@pytest.fixture(scope="module")
def broken(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PostgresPart]:
    part = start_postgres(WORLDS / "broken", tmp_path_factory.mktemp("broken"))
    yield part
    part.stop()


def connect(part: PostgresPart, target: str, **changes: Any) -> psycopg.Connection:
    """Connect as a careful client of a target would, but for the changes."""
    entry: Any = next(entry for entry in part.targets if entry["id"] == target)
    options = {
        "host": entry["host"],
        "port": entry["port"],
        "dbname": entry["dbname"],
        "user": entry["user"],
        "password": part.environment[entry["password"]["env"]],
        "sslmode": "verify-full",
        "sslrootcert": entry["trust"]["ca"],
        "sslcert": entry["client_certificate"]["cert"],
        "sslkey": entry["client_certificate"]["key"],
    }
    return psycopg.connect(**{**options, **changes}, connect_timeout=10)


# --- certificates


def test_certificates(tmp_path: Path) -> None:
    own, foreign = Authority("own"), Authority("foreign")
    issuer = x509.load_pem_x509_certificate(own.certificate)
    good = x509.load_pem_x509_certificate(own.server(["127.0.0.1", "localhost"]).certificate)
    names = good.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert [str(name.value) for name in names] == ["127.0.0.1", "localhost"]
    good.verify_directly_issued_by(issuer)
    with pytest.raises(ValueError, match=r"[Ii]ssuer"):
        x509.load_pem_x509_certificate(foreign.server(["localhost"]).certificate).verify_directly_issued_by(issuer)
    client = own.client("auditor", expired=True)
    expired = x509.load_pem_x509_certificate(client.certificate)
    assert expired.not_valid_after_utc == EXPIRED_ON
    assert expired.subject.get_attributes_for_oid(x509.NameOID.COMMON_NAME)[0].value == "auditor"
    for path in client.write(tmp_path, "auditor"):
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        assert path.stat().st_uid == os.geteuid()


# --- users


def test_users_are_the_same_at_every_start() -> None:
    rows = [UserRows("a$<alphanumeric:22>$<hex:4>", 20), UserRows(None), UserRows("")]
    once, again = list(users(rows)), list(users(rows))
    assert once == again
    assert len({user.username for user in once}) == 22
    assert len({user.password for user in once}) == 22
    assert once[20].password is None
    assert once[21].password == ""


def test_computed_hashes_are_honest_and_others_look_like_them() -> None:
    kind, iterations, salt, digest = stored_password("<pbkdf2_sha256:1000>", seed="x").split("$")
    assert (kind, iterations, len(salt)) == ("pbkdf2_sha256", "1000", 22)
    assert base64.b64decode(digest) == hashlib.pbkdf2_hmac("sha256", b"password of x", salt.encode(), 1000)
    made_up = stored_password("pbkdf2_sha256$1000$<alphanumeric:22>$<base64:32>", seed="x")
    assert [len(part) for part in made_up.split("$")] == [len(kind), 4, 22, 44]
    assert len(stored_password("$2b$12$<bcrypt:53>", seed="x")) == 60


# --- the description


@pytest.mark.parametrize("name", ["healthy", "broken"])
def test_the_truth_of_a_world_is_complete(name: str, request: pytest.FixtureRequest) -> None:
    part: PostgresPart = request.getfixturevalue(name)
    world = read_world(WORLDS / name)
    said = Counter((line.check, line.target, line.resource) for line in part.expected)
    assert set(said.values()) == {1}
    for target in world.targets:
        port = part.servers[target.server].port
        tls = sorted(resource for check, owner, resource in said if (check, owner) == ("postgres-tls", target.id))
        assert tls == sorted(f"{host}:{port}/{subject}" for host in target.hosts for subject in TLS_SUBJECTS)
        client = {resource for check, owner, resource in said if (check, owner) == (CLIENT, target.id)}
        assert client == {f"{host}:{port}" for host in target.hosts}
        assert_passwords_are_counted(world, target.id)
    assert all(bool(line.why) == (line.outcome in ("fail", "error")) for line in part.expected)


def assert_passwords_are_counted(world: PostgresWorld, target_id: str) -> None:
    target = next(target for target in world.targets if target.id == target_id)
    server = next(server for server in world.servers if server.id == target.server)
    database = next(database for database in server.databases if database.name == target.dbname)
    groups = [truth.users for truth in world.expect.passwords if truth.target == target_id]
    whole = [truth for truth in world.expect.targets if truth.target == target_id]
    # Either every user is in one group, or the target cannot be judged at all.
    assert (sum(groups) == sum(rows.count for rows in database.users)) != bool(whole)


def test_every_fault_of_the_healthy_world_is_none(healthy: PostgresPart) -> None:
    assert {line.outcome for line in healthy.expected} == {"pass", "not_applicable"}


@pytest.mark.parametrize(
    ("group", "text"),
    [
        ({"encoding": "django", "scheme": "pbkdf2_sha256", "cost": {"iterations": 390000}, "digest_bits": 256},
         "django:pbkdf2_sha256:iterations=390000:256"),
        ({"encoding": "hex", "scheme": "md5_hex", "cost": {}, "digest_bits": 128, "salt": False},
         "hex:md5_hex:128:unsalted"),
        ({"encoding": "phc", "scheme": "argon2id", "cost": {"m": 65536, "t": 3}, "digest_bits": None, "salt": True},
         "phc:argon2id:m=65536,t=3"),
    ],
)  # fmt: skip
def test_password_group_id(group: dict[str, object], text: str) -> None:
    assert password_group_id("public.auth_user.password", group) == f"public.auth_user.password/{text}"


def test_a_mistake_in_a_description_is_found_with_its_line(tmp_path: Path) -> None:
    with pytest.raises(SandboxError, match="cannot be read"):
        read_world(tmp_path)
    text = (WORLDS / "healthy" / "postgres.yaml").read_text()
    (tmp_path / "postgres.yaml").write_text(text.replace("hba:", "hbaa:"))
    with pytest.raises(SandboxError, match=r"postgres\.yaml:\d+:5: unknown key 'hbaa' \(did you mean 'hba'\?\)"):
        read_world(tmp_path)
    (tmp_path / "postgres.yaml").write_text("version: 1\nversion: 1\n")
    with pytest.raises(SandboxError, match="duplicate key"):
        read_world(tmp_path)


def test_an_alteration_that_alters_nothing_is_a_mistake() -> None:
    world = read_world(WORLDS / "broken")
    crm = next(database for database in world.servers[0].databases if database.function_altered)
    stale = msgspec.structs.replace(crm, function_altered=Alteration(find="FROM nowhere", replace=""))
    with pytest.raises(SandboxError, match="no 'FROM nowhere' to alter in database crm"):
        postgres_part._function_text(stale)


# --- the worlds, asked


def test_the_healthy_server_lets_a_careful_client_in(healthy: PostgresPart) -> None:
    as_part: Part = healthy
    assert [entry["id"] for entry in as_part.targets] == ["app-db"]
    for host in ("127.0.0.1", "localhost"):
        with connect(healthy, "app-db", host=host) as connection:
            shown = connection.execute("SELECT version FROM pg_stat_ssl WHERE pid = pg_backend_pid()").fetchone()
        assert shown in [("TLSv1.2",), ("TLSv1.3",)]
    with connect(healthy, "app-db", ssl_max_protocol_version="TLSv1.2") as connection:
        assert connection.execute("SELECT current_user").fetchone() == ("auditor",)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"sslmode": "disable"}, "no pg_hba.conf entry .* no encryption"),
        ({"sslcert": "", "sslkey": ""}, "connection requires a valid client certificate"),
        ({"password": "wrong"}, "password authentication failed"),
    ],
)
def test_the_healthy_server_refuses_everyone_else(
    healthy: PostgresPart, tmp_path: Path, changes: dict[str, str], message: str
) -> None:
    if "sslcert" in changes:
        # Named, but not there: libpq would otherwise look into the home folder.
        changes = {"sslcert": str(tmp_path / "none"), "sslkey": str(tmp_path / "none")}
    with pytest.raises(psycopg.OperationalError, match=message):
        connect(healthy, "app-db", **changes)


def test_the_auditor_may_run_the_function_and_nothing_else(healthy: PostgresPart) -> None:
    with connect(healthy, "app-db") as connection:
        definition = json.loads(only_value(connection, DEFINITION_STATEMENT % {"function": "'audit.password_kdf'"}))
        assert recognise_source(definition["source"]) == ("public", "auth_user", "password")
        assert (definition["can_execute"], definition["owner"]) == (True, "app")
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            connection.execute("SELECT count(password) FROM auth_user")


@pytest.mark.parametrize("name", ["healthy", "broken"])
def test_the_published_function_sees_the_groups_of_the_description(name: str, request: pytest.FixtureRequest) -> None:
    part: PostgresPart = request.getfixturevalue(name)
    with connect(part, "app-db") as connection:
        groups = json.loads(only_value(connection, call_statement()))["groups"]
    said = {
        password_group_id("t", msgspec.to_builtins(truth.group)): truth.users
        for truth in read_world(WORLDS / name).expect.passwords
        if truth.target == "app-db"
    }
    assert {password_group_id("t", group): group["users"] for group in groups} == said


def only_value(connection: psycopg.Connection, statement: str) -> str:
    row = connection.execute(statement.encode()).fetchone()
    assert row is not None
    return str(row[0])


def test_secrets_have_the_characters_careless_code_gets_wrong(healthy: PostgresPart) -> None:
    (secret,) = healthy.environment.values()
    assert set("\"@/'\\%") < set(secret)
    assert not secret.isascii()


def test_the_broken_app_server_lets_anyone_in(broken: PostgresPart, tmp_path: Path) -> None:
    nothing = {"sslcert": str(tmp_path / "none"), "sslkey": str(tmp_path / "none")}
    for target in ("app-db", "crm-db"):
        connect(broken, target, sslmode="disable").close()
        connect(broken, target, **nothing).close()
    with pytest.raises(psycopg.OperationalError, match="does not match host name"):
        connect(broken, "app-db", host="localhost")
    with broken.servers["app"].connect() as connection:
        assert connection.execute("SHOW ssl_min_protocol_version").fetchone() == ("TLSv1",)


def test_the_broken_reports_server(broken: PostgresPart, tmp_path: Path) -> None:
    with pytest.raises(psycopg.OperationalError, match=r"certificate has expired|certificate verify failed"):
        connect(broken, "reports-db")
    with pytest.raises(psycopg.OperationalError, match="no encryption"):
        connect(broken, "reports-db", sslmode="disable")
    nothing = {"sslcert": str(tmp_path / "none"), "sslkey": str(tmp_path / "none")}
    connect(broken, "reports-db", sslmode="require", sslrootcert="", **nothing).close()


def test_the_altered_function_counts_fewer_users_and_still_reconciles(broken: PostgresPart) -> None:
    with connect(broken, "crm-db") as connection:
        definition = json.loads(only_value(connection, DEFINITION_STATEMENT % {"function": "'audit.password_kdf'"}))
        answer = json.loads(only_value(connection, call_statement()))
    assert recognise_source(definition["source"]) is None
    assert 0 < answer["total"] < 27
    assert sum(group["users"] for group in answer["groups"]) == answer["total"]
