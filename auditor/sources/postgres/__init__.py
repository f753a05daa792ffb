"""PostgreSQL databases: asked by SQL through psycopg, and on the wire by probes of our own."""

from __future__ import annotations

from contextlib import AbstractContextManager, closing
from typing import TYPE_CHECKING

from auditor.questions import Opening, SourceType
from auditor.sources.postgres.grants import write_sql
from auditor.sources.postgres.operations import OPERATIONS
from auditor.sources.postgres.target import PostgresTarget, contradiction, declare, identified
from auditor.sources.postgres.troubles import DENIED, TROUBLES

if TYPE_CHECKING:
    from auditor.sources.postgres.connection import PostgresConnection


def connect(target: PostgresTarget, opening: Opening) -> AbstractContextManager[PostgresConnection]:
    """Open a database for one task; nothing is connected before it is asked."""
    from auditor.sources.postgres.connection import PostgresConnection  # noqa: PLC0415 - psycopg is heavy

    return closing(PostgresConnection(target, opening))


SOURCE = SourceType(
    name="postgres",
    settings=PostgresTarget,
    operations=OPERATIONS,
    declare=declare,
    open=connect,
    where=("/endpoints/0/host", "/endpoints/0/port"),
    identity="sql.identity",
    identified=identified,
    contradiction=contradiction,
    denied=DENIED,
    troubles=TROUBLES,
    grants={"postgres": write_sql},
    example={"password": {"env": "POSTGRES_PASSWORD"}},
)
