"""The statement that classifies a password column inside the database, and the function that lends it.

No hash, salt or password leaves the database: the statement of `password_kdf.sql` answers one row of one text, JSON:

    {"schema": "public", "table": "auth_user", "column": "password", "type": "varchar",
     "kind": "r", "children": false, "rls": false, "rls_active": false, "total": 29,
     "groups": [{"encoding": "django", "scheme": "pbkdf2_sha256", "cost": {"iterations": 390000},
                 "digest_bits": 256, "salt": true, "users": 29}]}

`encoding` django, passlib, phc, werkzeug, ldap, crypt, hex, or none.
`scheme`   pbkdf2_sha1|sha256|sha512, argon2id|i|d, scrypt, bcrypt, bcrypt_sha256, sha256_crypt, sha512_crypt,
           md5_crypt, phpass, django_md5, django_sha1, md5_hex, sha1_hex, sha256_hex, unusable (Django's mark for "no
           password"); with encoding none: null, empty, unrecognised. The hex schemes go by length alone.
`cost`     {"iterations"}, {"memory_kib", "iterations", "parallelism"}, {"log2_rounds"}, {"n", "r", "p"} (n itself,
           never its logarithm), or null where the scheme has none or a fixed one.
`digest_bits`  whole octets of the stored digest, in bits; null without one.
`salt`     whether one is present and not empty; null for unusable and for encoding none.
`users`    rows. Their sum must be `total`, which is counted apart in the same snapshot.

A value that is not in every character what a library writes is `unrecognised`: never dropped, never better than it is.

What the caller must refuse, because rows may be missing or may not be the ones people log in with: a `kind` other than
r (table) and p (partitioned table), `rls_active` true, a sum that differs from `total`. Run the statement under
`SET row_security = off`, so that a policy which would hide rows raises insufficient_privilege (42501); the function
sets this itself. `type` is the column's type as pg_type names it, with its schema unless that is pg_catalog, null if
there is no such column; values of a column that holds no characters (bytea, json) are all unrecognised. `children`
tells that rows of inheriting tables or partitions may be among those counted.

Verified against PostgreSQL 15; uses nothing newer than 13. https://www.postgresql.org/docs/13/functions-matching.html
"""

import re
from importlib import resources
from typing import Final

_TEMPLATE: Final = resources.files(__package__).joinpath("password_kdf.sql").read_text("utf-8")
_PLACE: Final = re.compile(r""":"(?P<identifier>schema|table|column)"|:'(?P<literal>column)'""")
_QUOTED_IDENTIFIER: Final = r'"(?:[^"]|"")+"'
_DOLLAR_TAG: Final = "$function$"
_MAX_IDENTIFIER_OCTETS: Final = 63  # NAMEDATALEN - 1: a longer one is cut off with a notice, and names another table

FUNCTION_SETTINGS: Final = ("search_path=pg_catalog, pg_temp", "row_security=off")
"""What `settings` of DEFINITION_STATEMENT holds for our function, in the order of its definition."""

DEFINITION_STATEMENT: Final = """\
WITH named AS (
    SELECT p.*, l.lanname, t.typname, h.nspname AS typhome
    FROM pg_catalog.pg_proc AS p
    JOIN pg_catalog.pg_namespace AS n ON n.oid OPERATOR(pg_catalog.=) p.pronamespace
    JOIN pg_catalog.pg_language AS l ON l.oid OPERATOR(pg_catalog.=) p.prolang
    JOIN pg_catalog.pg_type AS t ON t.oid OPERATOR(pg_catalog.=) p.prorettype
    JOIN pg_catalog.pg_namespace AS h ON h.oid OPERATOR(pg_catalog.=) t.typnamespace
    WHERE pg_catalog.concat(n.nspname, '.', p.proname) OPERATOR(pg_catalog.=) %(function)s::pg_catalog.text
)
SELECT COALESCE((
    SELECT pg_catalog.json_build_object(
        'source', prosrc,
        'language', lanname,
        'kind', prokind,
        'security_definer', prosecdef,
        'settings', COALESCE(proconfig, '{}'),
        'owner', pg_catalog.pg_get_userbyid(proowner),
        'volatility', provolatile,
        'arguments', pronargs,
        'result_type', pg_catalog.concat(CASE WHEN proretset THEN 'SETOF ' END,
            CASE WHEN typhome OPERATOR(pg_catalog.<>) 'pg_catalog' THEN pg_catalog.concat(typhome, '.') END, typname),
        'can_execute', pg_catalog.has_schema_privilege(pronamespace, 'USAGE')
            AND pg_catalog.has_function_privilege(oid, 'EXECUTE'),
        'overloads', (SELECT pg_catalog.count(*) FROM named)
    )::pg_catalog.text
    FROM named ORDER BY pronargs, oid LIMIT 1
), 'null')
"""
"""What is needed to trust a function before it is called: parameter `function` is its 'schema.name', as stored.

One row of one text, JSON: null if there is none, else `source` (prosrc), `language`, `kind` (prokind: f), `settings`
(list of text, see FUNCTION_SETTINGS), `security_definer`, `owner`, `volatility` (provolatile: s), `arguments` (their
number), `result_type` (text; `SETOF text` is another), `can_execute` (by the current role, its schema included),
`overloads` (functions of that name, this one included). Of several, the one with the fewest arguments is described.
Any role may ask: pg_proc is public. Trust only `overloads` 1, `arguments` 0 and a source that recognise_source knows.
"""


def quote_identifier(name: str) -> str:
    """`name` as a quoted SQL identifier; ValueError if PostgreSQL could not hold exactly that name."""
    if not name or "\0" in name:
        raise ValueError(f"{name!r} is no PostgreSQL identifier: it is empty or holds NUL.")
    if len(name.encode()) > _MAX_IDENTIFIER_OCTETS:
        raise ValueError(f"{name!r} is no PostgreSQL identifier: it is longer than {_MAX_IDENTIFIER_OCTETS} octets.")
    return '"' + name.replace('"', '""') + '"'


def _quote_literal(text: str) -> str:
    """`text` as an SQL literal that means the same whatever standard_conforming_strings says."""
    quoted = "'" + text.replace("'", "''").replace("\\", "\\\\") + "'"
    return "E" + quoted if "\\" in text else quoted


def summary_statement(schema: str, table: str, column: str) -> str:
    """One SELECT of one row of one text: the JSON described above. ValueError for what is no identifier.

    Takes no parameters (a `%` in an identifier is meant). Needs SELECT on the column only. Nothing it means depends on
    search_path; see the module's text for row_security.
    """
    identifiers = {
        name: quote_identifier(value) for name, value in (("schema", schema), ("table", table), ("column", column))
    }
    # One pass: an identifier that looks like a place of the template is not replaced in its turn.
    return _PLACE.sub(
        lambda place: identifiers[place["identifier"]] if place["identifier"] else _quote_literal(column), _TEMPLATE
    )


def published_source(schema: str, table: str, column: str) -> str:
    """Exactly what pg_proc.prosrc holds once the administrator has run `function_definition`."""
    return "\n" + summary_statement(schema, table, column)


def function_definition(
    schema: str,
    table: str,
    column: str,
    *,
    function: str = "audit.password_kdf",
    owner: str | None = None,
    grantee: str = "auditor",
) -> str:
    """The SQL script an administrator runs so that `grantee` gets the summary without SELECT on the table.

    `function` is 'schema.name'. `owner` (default: who runs the script) must be able to read every row: the table's
    owner fits, a superuser is more than is needed. It fails where the function exists: replacing one would keep the
    owner and the grants of whoever made it. ValueError for what is no identifier or would end the dollar quote.
    """
    source = published_source(schema, table, column)
    if _DOLLAR_TAG in source:
        raise ValueError(f"No name may contain {_DOLLAR_TAG}, which would end the text of the function.")
    home, name = _function_name(function)
    grants = quote_identifier(grantee)
    return "\n".join(
        [
            "BEGIN;",
            f"CREATE SCHEMA IF NOT EXISTS {home};",
            f"CREATE FUNCTION {home}.{name}() RETURNS pg_catalog.text",
            "    LANGUAGE sql STABLE SECURITY DEFINER",
            "    SET search_path = pg_catalog, pg_temp",
            "    SET row_security = off",
            f"AS {_DOLLAR_TAG}{source}{_DOLLAR_TAG};",
            f"REVOKE ALL ON FUNCTION {home}.{name}() FROM PUBLIC;",
            f"GRANT USAGE ON SCHEMA {home} TO {grants};",
            f"GRANT EXECUTE ON FUNCTION {home}.{name}() TO {grants};",
            # Last: after it, who runs the script may no longer grant.
            *([f"ALTER FUNCTION {home}.{name}() OWNER TO {quote_identifier(owner)};"] if owner else []),
            "COMMIT;",
            "",
        ]
    )


def call_statement(function: str = "audit.password_kdf") -> str:
    """One SELECT of one row of one text: what the function 'schema.name' answers."""
    home, name = _function_name(function)
    return f"SELECT {home}.{name}()"


def recognise_source(prosrc: str) -> tuple[str, str, str] | None:
    """(schema, table, column) if `prosrc` is our published text for exactly these names, else None."""
    match = _SOURCE.fullmatch(prosrc)
    if match is None:
        return None
    schema, table, column = (match[name][1:-1].replace('""', '"') for name in ("schema", "table", "column"))
    try:
        published = published_source(schema, table, column)
    except ValueError:
        return None
    # The pattern only finds the names; this comparison is the proof.
    return (schema, table, column) if published == prosrc else None


def _function_name(function: str) -> tuple[str, str]:
    """Quoted schema and name of 'schema.name'; ValueError unless there are exactly two parts."""
    parts = function.split(".")
    if len(parts) != 2:  # noqa: PLR2004
        raise ValueError(f"{function!r} is no function name: write it as schema.name.")
    return quote_identifier(parts[0]), quote_identifier(parts[1])


def _source_pattern() -> re.Pattern[str]:
    """Our template as a pattern that captures the quoted identifiers at their first place and wants them again."""
    pattern, end, seen = re.escape("\n"), 0, set[str]()
    for place in _PLACE.finditer(_TEMPLATE):
        pattern += re.escape(_TEMPLATE[end : place.start()])
        end = place.end()
        name = place["identifier"]
        if not name:
            pattern += r"E?'(?:[^']|'')*'"
        elif name in seen:
            pattern += f"(?P={name})"
        else:
            seen.add(name)
            pattern += f"(?P<{name}>{_QUOTED_IDENTIFIER})"
    return re.compile(pattern + re.escape(_TEMPLATE[end:]))


_SOURCE: Final = _source_pattern()
