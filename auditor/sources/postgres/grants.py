"""The SQL that makes a role which may do what the audit asks of a database, and nothing else."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from auditor.model import JSON, Problem, UsageError
from auditor.questions import Need
from auditor.sources.postgres.password_kdf import function_definition, quote_identifier
from auditor.wording import harmless, quoted

ROLE = "auditor"
COLUMN = {"table": "public.auth_user", "column": "password", "function": "audit.password_kdf"}
"""What is written where no policy says which column is meant."""
BY_FUNCTION, BY_COLUMN = "sql.password_kdf_function", "sql.password_kdf"


def write_sql(settings: Any, needs: Sequence[Need], /) -> str:
    """Return the script for psql or any other client; `settings` are those of a PostgreSQL target, or None."""
    user = settings.user if settings is not None else ROLE
    names = [user] if settings is None else [user, settings.dbname]
    for name in [*names, *(str(value) for need in needs for one in need.params for value in one.values())]:
        if name != harmless(name):  # a line feed would end a comment, and what follows would be SQL
            raise ValueError(f"{quoted(name)} holds a character that nobody can see")
    functions = (_function(*named, user) for named in sorted(_functions(needs)))
    columns = (_column(*named, user) for named in sorted(_columns(needs)))
    return "\n".join([*_role(settings, quote_identifier(user)), *functions, *columns])


def _role(settings: Any, role: str) -> Iterator[str]:
    yield "-- Run this in the audited database, as a role that may create roles and owns the table.\n"
    yield f"CREATE ROLE {role} LOGIN;"
    if settings is None or settings.password is not None:
        yield "-- psql asks for its password, and sends no more than a digest:"
        yield f"--   \\password {role}"
    if settings is None:
        yield f"-- GRANT CONNECT ON DATABASE … TO {role};  -- where it was revoked from PUBLIC\n"
    else:
        yield f"GRANT CONNECT ON DATABASE {quote_identifier(settings.dbname)} TO {role};\n"


def _function(function: str, table: str, column: str, user: str) -> str:
    schema, _, name = table.partition(".")
    text = function_definition(schema, name, column, function=function, grantee=user)
    return (
        f"-- Counts how the passwords of {harmless(table)} are stored; no digest leaves the database, and\n"
        f"-- {harmless(user)} cannot read the table. It reads with the rights of its owner: let that be the\n"
        f"-- owner of the table, not a superuser.\n{text}"
    )


def _column(table: str, column: str, user: str) -> str:
    schema, _, name = table.partition(".")
    home, role = quote_identifier(schema), quote_identifier(user)
    return (
        f"-- The role reads the digests themselves. Name a function in the test's params (function:\n"
        f"-- {COLUMN['function']}) and print this again, and it need not.\n"
        f"GRANT USAGE ON SCHEMA {home} TO {role};\n"
        f"GRANT SELECT ({quote_identifier(column)}) ON {home}.{quote_identifier(name)} TO {role};\n"
    )


def _functions(needs: Sequence[Need]) -> set[tuple[str, str, str]]:
    """Return each function that the tests name, with its table and column; no two may mean the same function."""
    named = {
        (str(params["function"]), str(params["table"]), str(params["column"]))
        for params in _params(needs, BY_FUNCTION)
        if params.get("function") is not None
    }
    names = [function for function, _, _ in named]
    for function in sorted({name for name in names if names.count(name) > 1}):
        raise UsageError(Problem(f"two tests name the function {quoted(function)} for different columns"))
    return named


def _columns(needs: Sequence[Need]) -> set[tuple[str, str]]:
    params = [one for one in _params(needs, BY_COLUMN) if one.get("function") is None]
    return {(str(one["table"]), str(one["column"])) for one in params}


def _params(needs: Sequence[Need], operation: str) -> Sequence[Mapping[str, JSON]]:
    need = next((need for need in needs if need.operation.name == operation), None)
    if need is None:
        return ()
    return need.params or (COLUMN,)
