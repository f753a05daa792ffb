"""The classification of stored passwords, on a real PostgreSQL 15."""

import itertools
import json
import re
from collections import Counter

import psycopg
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from psycopg import sql

from auditor.sources.postgres.password_kdf import quote_identifier, summary_statement
from tests.password_kdf_oracle import Reading, read
from tests.password_kdf_samples import ARGON2, BCRYPT, DJANGO, GENUINE, NASTY, WEAK
from tests.password_kdf_server import Connection, admin, connect, fill, place, readings, summary

__all__ = ["admin", "connect", "place"]  # the fixtures this module uses

EVERY_VALUE: list[str | None] = [*(value for value, _ in [*GENUINE, *WEAK]), *NASTY]
WORDS = {"none", "null", "empty", "unrecognised"} | {word for _, reading in [*GENUINE, *WEAK] for word in reading[:2]}


def expected(values: list[Reading]) -> Counter[str]:
    return Counter(json.dumps(list(value)) for value in values)


@pytest.mark.parametrize(("value", "reading"), [*GENUINE, *WEAK], ids=itertools.count())
def test_a_known_encoding_is_read_with_all_its_parameters(
    admin: Connection, value: str | None, reading: Reading
) -> None:
    fill(admin, [value])
    assert readings(summary(admin)) == expected([reading])


@pytest.mark.parametrize("value", NASTY, ids=itertools.count())
def test_what_no_library_writes_is_unrecognised(admin: Connection, value: str) -> None:
    fill(admin, [value])
    assert readings(summary(admin)) == expected([("none", "unrecognised", None, None, None)])


def test_groups_add_up_in_a_fixed_order(admin: Connection) -> None:
    fill(admin, EVERY_VALUE * 3)
    found = summary(admin)
    assert found["total"] == 3 * len(EVERY_VALUE)
    assert readings(found) == expected([read(value) for value in EVERY_VALUE * 3])
    fill(admin, EVERY_VALUE[::-1] * 3)
    assert summary(admin) == found
    keys = [(group["encoding"], group["scheme"]) for group in found["groups"]]
    assert keys == sorted(keys)


def test_an_empty_table_is_a_total_of_zero(admin: Connection) -> None:
    fill(admin, [])
    assert summary(admin) == {
        "schema": "public", "table": "auth_user", "column": "password", "type": "text", "kind": "r", "children": False,
        "rls": False, "rls_active": False, "total": 0, "groups": [],
    }  # fmt: skip


def test_nothing_of_a_stored_value_leaves_the_database(admin: Connection) -> None:
    fill(admin, EVERY_VALUE)
    for group in summary(admin)["groups"]:
        assert {group["encoding"], group["scheme"]} <= WORDS
        assert group["cost"] is None or set(group["cost"]) in (
            {"iterations"}, {"memory_kib", "iterations", "parallelism"}, {"log2_rounds"}, {"n", "r", "p"},
        )  # fmt: skip
        assert all(type(number) is int for number in (group["cost"] or {}).values())
        assert type(group["digest_bits"]) in (int, type(None))
        assert group["salt"] in (True, False, None)
        assert type(group["users"]) is int


NUMBERS = ("", "99", "100", "1234567890", "9" * 30)
LETTERS = "$\n0aA=+.é"


@pytest.mark.parametrize("value", [value for value, _ in [*GENUINE, *WEAK] if value], ids=itertools.count())
def test_no_edit_of_one_character_or_number_is_read_as_more_than_python_reads_in_it(
    admin: Connection, value: str
) -> None:
    cuts = [(value[:place], value[place:]) for place in range(len(value) + 1)]
    edits = {head + tail[1:] for head, tail in cuts}
    edits |= {head + letter + tail[skip:] for head, tail in cuts for letter in LETTERS for skip in (0, 1)}
    numbers = re.finditer(r"(?<=[$=:,}])[0-9]+(?=[$:,])", value)
    edits |= {value[: old.start()] + new + value[old.end() :] for old in numbers for new in NUMBERS}
    fill(admin, list(edits))
    assert readings(summary(admin)) == expected([read(edit) for edit in edits])


pieces = st.sampled_from([piece for value in EVERY_VALUE if value for piece in re.split(r"(?<=[$:,=])", value[:500])])
letters = st.sampled_from(list("$:,=!{}./+aAfFgGZz019 \n\r\té٣\N{FULLWIDTH DIGIT ONE}\\'%"))


@st.composite
def mutations(draw: st.DrawFn) -> str:
    """A genuine hash with one to three of its characters or fields replaced, added or taken away."""
    value = draw(st.sampled_from([text for text, _ in GENUINE]))
    for _ in range(draw(st.integers(1, 3))):
        start = draw(st.integers(0, len(value)))
        end = start + draw(st.integers(0, 2))
        value = value[:start] + draw(st.one_of(st.just(""), letters, pieces)) + value[end:]
    return value


@settings(max_examples=50, deadline=None)
@given(
    st.lists(
        st.one_of(
            mutations(),
            st.lists(pieces, max_size=7).map("".join),
            st.text(st.characters(exclude_characters="\0", codec="utf-8"), max_size=80),
        ),
        max_size=60,
    )
)
def test_no_value_is_read_as_more_than_python_reads_in_it(admin: Connection, values: list[str]) -> None:
    fill(admin, list(values))
    assert readings(summary(admin)) == expected([read(value) for value in values])


@pytest.mark.usefixtures("place")
@pytest.mark.parametrize("kind", ["char(200)", "varchar(200)", "citext", "stored", "text COLLATE blind", "name"])
def test_every_character_type_is_read(admin: Connection, kind: str) -> None:
    admin.execute("CREATE EXTENSION citext SCHEMA place; CREATE DOMAIN place.stored AS varchar(200)")
    admin.execute("CREATE COLLATION place.blind (provider = icu, locale = 'und-u-ks-level1', deterministic = false)")
    admin.execute("SET search_path = place")
    values = [BCRYPT, BCRYPT.upper()] if kind == "name" else [BCRYPT, DJANGO, ARGON2.upper(), "", DJANGO + "\n"]
    admin.execute(f"CREATE TABLE users (p {kind})".encode())
    admin.execute("INSERT INTO users SELECT unnest(%s::text[])", [values])
    assert readings(summary(admin, "place", "users", "p")) == expected([read(value) for value in values])


@pytest.mark.usefixtures("place")
@pytest.mark.parametrize("output", ["hex", "escape"])
@pytest.mark.parametrize("kind", ["bytea", "text[]", "json", "varbit", "users_row"])
def test_a_column_that_holds_no_characters_is_unrecognised(admin: Connection, kind: str, output: str) -> None:
    admin.execute("SET search_path = place; CREATE TYPE users_row AS (password text)")
    admin.execute(f"SET bytea_output = {output}; CREATE TABLE users (p {kind})".encode())
    value = {"bytea": DJANGO, "text[]": "{}", "json": json.dumps(DJANGO), "varbit": "", "users_row": f"({DJANGO})"}[
        kind
    ]
    admin.execute(sql.SQL("INSERT INTO users VALUES ({}), (NULL)").format(sql.Literal(value)))
    found = summary(admin, "place", "users", "p")
    assert found["type"] == {"text[]": "_text", "users_row": "place.users_row"}.get(kind, kind)
    assert readings(found) == expected([("none", "unrecognised", None, None, None), read(None)])


@pytest.mark.usefixtures("place")
def test_a_missing_column_is_an_error_even_if_a_function_has_its_name(admin: Connection) -> None:
    admin.execute("SET search_path = place; CREATE TABLE users (id int); INSERT INTO users VALUES (1)")
    admin.execute(f"CREATE FUNCTION password(users) RETURNS text LANGUAGE sql AS 'SELECT $${DJANGO}$$::text'".encode())
    assert admin.execute("SELECT u.password FROM users AS u").fetchall() == [(DJANGO,)]  # the trap is set
    with pytest.raises(psycopg.errors.UndefinedColumn):
        summary(admin, "place", "users", "password")
    whole_row = summary(admin, "place", "users", "users")
    assert (whole_row["type"], whole_row["groups"][0]["scheme"]) == (None, "unrecognised")


def test_a_backslash_or_quote_in_a_name_is_the_name(admin: Connection, place: str) -> None:
    table, column = """we"ird'\\ %s :"column" table""", """pa''ss"\\' :'column' $1 --"""
    admin.execute(
        sql.SQL("CREATE TABLE {}.{} ({} text)").format(
            sql.Identifier(place), sql.Identifier(table), sql.Identifier(column)
        )
    )
    for strings in ("on", "off"):
        admin.execute(f"SET standard_conforming_strings = {strings}; SET escape_string_warning = off".encode())
        found = summary(admin, "place", table, column)
        assert (found["schema"], found["table"], found["column"]) == ("place", table, column)
        assert found["type"] == "text"
        fill(admin, EVERY_VALUE)
        assert readings(summary(admin)) == expected([read(value) for value in EVERY_VALUE])


@pytest.mark.parametrize("name", ["", "a\0b", "n" * 64, "é" * 32, "\ud800"])
def test_what_is_no_identifier_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match=r"identifier|surrogates"):
        quote_identifier(name)
    for names in ((name, "t", "c"), ("s", name, "c"), ("s", "t", name)):
        with pytest.raises(ValueError, match=r"identifier|surrogates"):
            summary_statement(*names)
    assert quote_identifier("n" * 63) == f'"{"n" * 63}"'
