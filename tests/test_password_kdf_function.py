"""Who may ask what of a password column: the published function, its recognition, and what a database could hide."""

import itertools
import re
from typing import Any

import psycopg
import pytest

from auditor.sources.postgres import password_kdf
from auditor.sources.postgres.password_kdf import (
    DEFINITION_STATEMENT,
    FUNCTION_SETTINGS,
    call_statement,
    function_definition,
    published_source,
    recognise_source,
    summary_statement,
)
from tests.password_kdf_oracle import read
from tests.password_kdf_samples import BCRYPT, DJANGO, GENUINE, NASTY
from tests.password_kdf_server import Connect, Connection, admin, connect, fill, one, place, readings, summary

__all__ = ["admin", "connect", "place"]  # the fixtures this module uses

NAMES = ("place", "users", "password")
USERS = f"CREATE TABLE place.users (password text); INSERT INTO place.users VALUES ('{DJANGO}'), ('{BCRYPT}'), (NULL)"  # noqa: S608


def definition(connection: Connection, function: str = "audit.password_kdf") -> Any:
    return one(connection, DEFINITION_STATEMENT, {"function": function})


@pytest.fixture
def users(admin: Connection, place: str) -> Connection:
    """Three users in place.users; the administrator's connection."""
    assert place == NAMES[0]
    admin.execute(USERS.encode())
    return admin


def test_a_role_with_nothing_but_execute_gets_the_summary(users: Connection, connect: Connect) -> None:
    users.execute(function_definition(*NAMES).encode())
    auditor = connect("auditor")
    assert one(auditor, call_statement()) == summary(users, *NAMES)
    for statement in (summary_statement(*NAMES), "SELECT count(password) FROM place.users"):
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            auditor.execute(statement.encode())
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        connect("tenant").execute(call_statement().encode())


def test_select_on_the_column_is_enough_for_the_statement(users: Connection, connect: Connect) -> None:
    users.execute("GRANT SELECT (password) ON place.users TO auditor")
    assert summary(connect("auditor"), *NAMES) == summary(users, *NAMES)


def test_the_definition_says_what_is_needed_to_trust_the_function(users: Connection, connect: Connect) -> None:
    auditor = connect("auditor")
    assert definition(auditor) is None
    users.execute("GRANT CREATE ON SCHEMA place TO tenant")
    users.execute(function_definition(*NAMES, function="place.kdf", owner="tenant").encode())
    found = definition(auditor, "place.kdf")
    assert recognise_source(found.pop("source")) == NAMES
    assert tuple(found.pop("settings")) == FUNCTION_SETTINGS
    assert found == {
        "language": "sql", "kind": "f", "security_definer": True, "owner": "tenant", "volatility": "s", "arguments": 0,
        "result_type": "text", "can_execute": True, "overloads": 1,
    }  # fmt: skip
    users.execute("CREATE FUNCTION place.kdf(text DEFAULT '') RETURNS text LANGUAGE sql AS 'SELECT ''''::text'")
    found = definition(auditor, "place.kdf")
    assert (found["overloads"], found["arguments"]) == (2, 0)
    users.execute("CREATE FUNCTION place.many() RETURNS SETOF place.users LANGUAGE sql AS 'TABLE place.users'")
    assert definition(auditor, "place.many")["result_type"] == "SETOF place.users"
    users.execute("REVOKE EXECUTE ON FUNCTION place.kdf() FROM auditor")
    assert definition(auditor, "place.kdf")["can_execute"] is False
    for other in ("place.KDF", "kdf", "place", "", "place.kdf()", "other.kdf"):
        assert definition(auditor, other) is None


def test_the_schema_counts_as_a_right_to_execute(users: Connection, connect: Connect) -> None:
    users.execute(function_definition(*NAMES).encode())
    users.execute("REVOKE USAGE ON SCHEMA audit FROM auditor")
    assert definition(connect("auditor"))["can_execute"] is False


def test_the_function_is_never_put_in_the_place_of_another(users: Connection) -> None:
    users.execute(function_definition(*NAMES).encode())
    with pytest.raises(psycopg.errors.DuplicateFunction):
        users.execute(function_definition(*NAMES).encode())


@pytest.mark.parametrize(
    "names",
    [
        NAMES,
        ("a b", 'qu"ote', "pass'word"),
        ('"', '""', '"""'),
        ("back\\slash", "%s", "c\\'"),
        ('s"."t', ' AS value FROM "x"."y" -- ', ':"table"'),
        ('"; --', "/*", ":'column'"),
        ("é" * 31, "\n", "\t"),
    ],
    ids=itertools.count(),
)
def test_our_source_is_recognised_for_any_names(users: Connection, names: tuple[str, str, str]) -> None:
    schema, table, column = (psycopg.sql.Identifier(name) for name in names)
    users.execute(psycopg.sql.SQL("CREATE SCHEMA IF NOT EXISTS {}").format(schema))
    users.execute(psycopg.sql.SQL("CREATE TABLE IF NOT EXISTS {}.{} ({} text)").format(schema, table, column))
    users.execute(function_definition(*names, function="place.kdf").encode())
    source = definition(users, "place.kdf")["source"]
    assert source == published_source(*names)
    assert recognise_source(source) == names
    found = one(users, call_statement("place.kdf"))
    assert (found["schema"], found["table"], found["column"]) == names
    if names != NAMES:
        users.execute(psycopg.sql.SQL("DROP SCHEMA {} CASCADE").format(schema))


PUBLISHED = published_source(*NAMES)


@pytest.mark.parametrize(
    "source",
    [
        "",
        "SELECT '{}'",
        PUBLISHED + " ",
        " " + PUBLISHED,
        PUBLISHED[1:],
        PUBLISHED.rstrip("\n"),
        PUBLISHED.replace("\n", "\r\n"),
        PUBLISHED + "WHERE false",
        PUBLISHED + "; SELECT '{}'",
        PUBLISHED.replace('FROM "place"."users"', 'FROM "place"."users" WHERE id < 9', 1),
        PUBLISHED.replace('FROM "place"."users"', 'FROM "place"."users" /* */', 1),
        PUBLISHED.replace('FROM "place"."users"', 'FROM "place"."others"', 1),
        PUBLISHED.replace('FROM "place"."users")', 'FROM "place"."others")'),
        PUBLISHED.replace('FROM "place"."users"', 'FROM place."users"'),
        PUBLISHED.replace('"password"', '"name"'),
        PUBLISHED.replace("'password'", "'name'"),
        PUBLISHED.replace("'password'", "E'password'"),
        PUBLISHED.replace("r.holds_text AND", "true AND"),
        PUBLISHED.replace('"place"', '""'),
        PUBLISHED.replace('"place"', f'"{"p" * 64}"'),
        PUBLISHED.replace('"users"', '"users" AS u, "place"."x"'),
        PUBLISHED.replace('"users"', '"us"ers"'),
        PUBLISHED.replace("'password'", "'pass'word'"),
    ],
    ids=itertools.count(),
)
def test_any_other_source_is_not_ours(source: str) -> None:
    assert source != PUBLISHED
    assert recognise_source(source) is None


def test_a_name_that_ends_the_dollar_quote_is_refused() -> None:
    with pytest.raises(ValueError, match="would end"):
        function_definition("public", "x$function$; DROP TABLE users; --", "password")
    for function in ("password_kdf", "a.b.c", "audit.", ".x"):
        with pytest.raises(ValueError, match=r"name|identifier"):
            function_definition(*NAMES, function=function)
        with pytest.raises(ValueError, match=r"name|identifier"):
            call_statement(function)


def test_row_level_security_raises_instead_of_hiding_users(users: Connection, connect: Connect) -> None:
    users.execute("ALTER TABLE place.users ENABLE ROW LEVEL SECURITY; GRANT SELECT ON place.users TO auditor")
    auditor = connect("auditor")
    hidden = summary(auditor, *NAMES)
    assert (hidden["total"], hidden["rls"], hidden["rls_active"]) == (0, True, True)
    auditor.execute("SET row_security = off")
    with pytest.raises(psycopg.errors.InsufficientPrivilege, match="row-level security"):
        summary(auditor, *NAMES)
    whole = summary(users, *NAMES)
    assert (whole["total"], whole["rls"], whole["rls_active"]) == (3, True, False)


def test_the_function_raises_under_a_policy_that_binds_its_owner(users: Connection, connect: Connect) -> None:
    users.execute("ALTER TABLE place.users OWNER TO tenant; ALTER TABLE place.users ENABLE ROW LEVEL SECURITY")
    users.execute("CREATE SCHEMA audit; GRANT CREATE ON SCHEMA audit TO tenant")
    users.execute(function_definition(*NAMES, owner="tenant").encode())
    auditor = connect("auditor")
    auditor.execute("SET row_security = on")
    assert one(auditor, call_statement())["total"] == 3
    users.execute("ALTER TABLE place.users FORCE ROW LEVEL SECURITY")
    with pytest.raises(psycopg.errors.InsufficientPrivilege, match="row-level security"):
        auditor.execute(call_statement().encode())


@pytest.mark.parametrize(
    ("kind", "statement"),
    [
        ("r", "CREATE TABLE place.seen AS TABLE place.users"),
        ("v", "CREATE VIEW place.seen AS SELECT * FROM place.users WHERE password IS NOT NULL"),
        ("m", "CREATE MATERIALIZED VIEW place.seen AS TABLE place.users"),
        ("p", "CREATE TABLE place.seen (password text) PARTITION BY LIST (password)"),
        ("f", ("CREATE EXTENSION postgres_fdw SCHEMA place; CREATE SERVER far FOREIGN DATA WRAPPER postgres_fdw"
              " OPTIONS (host '{0}'); CREATE USER MAPPING FOR postgres SERVER far;"
              " CREATE FOREIGN TABLE place.seen (password text) SERVER far"
              " OPTIONS (schema_name 'place', table_name 'users')")),
    ],
)  # fmt: skip
def test_the_kind_of_relation_is_told(users: Connection, kind: str, statement: str) -> None:
    users.execute(statement.format(users.info.host).encode())
    found = summary(users, "place", "seen", "password")
    assert (found["kind"], found["children"]) == (kind, False)
    assert found["total"] == {"v": 2, "p": 0}.get(kind, 3)


def test_rows_of_inheriting_tables_are_counted_and_told(users: Connection) -> None:
    users.execute("CREATE TABLE place.more () INHERITS (place.users); INSERT INTO place.more VALUES ('plain')")
    found = summary(users, *NAMES)
    assert (found["kind"], found["children"], found["total"]) == ("r", True, 4)


TEMPLATE = password_kdf._TEMPLATE + DEFINITION_STATEMENT
EVIL = "LANGUAGE plpgsql AS $$BEGIN RAISE 'a shadow'; END$$"


def shadow(connection: Connection) -> None:
    """Put before pg_catalog, in schema place, one of all that our text uses: functions, operators, tables, types."""
    used = {
        "functions": re.findall(r"pg_catalog\.(\w+)\(", TEMPLATE),
        "operators": re.findall(r"OPERATOR\(pg_catalog\.(.+?)\)", TEMPLATE),
    }
    functions = connection.execute(
        """SELECT proname, pg_get_function_identity_arguments(oid), pg_get_function_result(oid) FROM pg_proc
        WHERE pronamespace = 'pg_catalog'::regnamespace AND prokind = 'f' AND proname = ANY (%(functions)s)
        AND NOT proargtypes::regtype[] && ARRAY['"any"', 'internal', 'cstring']::regtype[]""",
        used,
    ).fetchall()
    operators = connection.execute(
        """SELECT oprname, oprleft::regtype::text, oprright::regtype::text, oprresult::regtype::text FROM pg_operator
        WHERE oprname = ANY (%(operators)s) AND oprkind = 'b'
        AND ARRAY[oprleft, oprright]::regtype[] <@ '{text, name, oid, int2, int4, int8, "char"}' """,
        used,
    ).fetchall()
    assert len(functions) > 20
    assert {name for name, *_ in operators} == set(used["operators"])
    for name, arguments, result in functions:
        connection.execute(f"CREATE FUNCTION place.{name}({arguments}) RETURNS {result} {EVIL}".encode())
    for number, (name, left, right, result) in enumerate(operators):
        connection.execute(f"CREATE FUNCTION place.evil{number}({left}, {right}) RETURNS {result} {EVIL}".encode())
        operands = f"LEFTARG = {left}, RIGHTARG = {right}"
        connection.execute(f"CREATE OPERATOR place.{name} (FUNCTION = place.evil{number}, {operands})".encode())
    connection.execute(f"CREATE FUNCTION place.step(int8) RETURNS int8 {EVIL}".encode())
    connection.execute("CREATE AGGREGATE place.count(*) (SFUNC = place.step, STYPE = int8, INITCOND = '0')")
    for table in re.findall(r"(?:FROM|JOIN) pg_catalog\.(\w+)", TEMPLATE):
        connection.execute(f"CREATE TABLE IF NOT EXISTS place.{table} (evil int)".encode())
    for domain in ("text", "name", "int2", "int4", "int8", "oid", "json"):
        connection.execute(f"CREATE DOMAIN place.{domain} AS pg_catalog.bool".encode())
    connection.execute(
        "CREATE COLLATION place.\"C\" (provider = icu, locale = 'und-u-ks-level1', deterministic = false)"
    )


@pytest.mark.parametrize("kind", ["varchar", "text"])
def test_a_hostile_search_path_changes_nothing(admin: Connection, place: str, connect: Connect, kind: str) -> None:
    fill(admin, [value for value, _ in GENUINE] + NASTY + [None])
    admin.execute(f"ALTER TABLE auth_user ALTER password TYPE {kind}".encode())
    admin.execute(function_definition("public", "auth_user", "password").encode())
    auditor = connect("auditor")
    before = summary(admin), definition(auditor), one(auditor, call_statement())
    assert readings(before[0])[str(list(read("x"))).replace("'", '"').replace("None", "null")] == len(NASTY)
    shadow(admin)
    for role in (admin, auditor):
        role.execute(f"SET search_path = {place}, pg_catalog, public".encode())
        for trap in ("SELECT split_part('a', 'b', 1), starts_with('a', 'a')", "SELECT 1 = 1", "SELECT count(*)"):
            with pytest.raises(psycopg.errors.RaiseException, match="a shadow"):
                role.execute(trap.encode())
    assert (summary(admin), definition(auditor), one(auditor, call_statement())) == before
    for path in ("pg_catalog", "pg_catalog, pg_temp", "''"):
        admin.execute(f"SET search_path = {path}".encode())
        assert summary(admin) == before[0]


def test_every_name_of_the_text_carries_its_schema() -> None:
    text = re.sub(r"--.*|'(?:[^']|'')*'", "", summary_statement(*NAMES) + DEFINITION_STATEMENT)
    text = re.sub(r"OPERATOR\(pg_catalog\.[^)]+\)|pg_catalog\.count\(\*\)|\w+\.\*|%\(function\)s", "", text)
    assert not re.findall(r"[-+*/<>=~!@#%^&|`?]", text)
    assert not re.findall(
        r"\b(?:LIKE|ILIKE|SIMILAR|BETWEEN|IN|DISTINCT|NULLIF|USING|OVERLAPS|ANY|ALL)\b|CASE (?!WHEN)\w+", text
    )
    assert set(re.findall(r"(?<![.\w])([A-Za-z]\w*) ?\(", text)) <= {
        "AND", "AS", "CAST", "COALESCE", "FROM", "LATERAL", "MATERIALIZED", "VALUES",
        "formats", "schemes", "short", "n",
    }  # fmt: skip
    assert all(name.startswith("pg_catalog.") for name in re.findall(r"(?:::|COLLATE ) ?(\S+)", text))
    assert "\\" not in password_kdf._TEMPLATE
    assert "%" not in password_kdf._TEMPLATE.replace("%-~", "")
    assert "$function$" not in password_kdf._TEMPLATE
