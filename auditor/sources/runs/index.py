"""What earlier runs saw, by resource: a temporary index on disk, so that no population is ever held in memory."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from typing import Self

import msgspec


class Seen(msgspec.Struct, frozen=True, kw_only=True):
    """One distinct value of one resource: where it was seen first, and in how many runs.

    `value` is its JSON, and empty where the resource was there without it. `run` counts the runs that were looked at,
    from 0; `file`, `line` and `pointer` say where in it the resource stands.
    """

    value: bytes
    runs: int
    run: int
    file: str
    line: int
    pointer: str


class Index:
    """The distinct values of all resources. SQLite keeps it in a file without a name, which is gone when it is closed.

    Runs are added in their order, one after another.
    """

    def __init__(self) -> None:
        self._database = sqlite3.connect("", check_same_thread=False, isolation_level=None)
        self._database.execute("PRAGMA journal_mode = OFF")  # what cannot be finished is thrown away
        self._database.execute(
            "CREATE TABLE seen (resource TEXT, value BLOB, runs INTEGER, first INTEGER, last INTEGER, file TEXT,"
            " line INTEGER, pointer TEXT, PRIMARY KEY (resource, value)) WITHOUT ROWID"
        )

    def add(self, resource: str, value: bytes, run: int, place: tuple[str, int, str]) -> None:
        """Note that a run saw a value; `place` is the file, the line and the pointer of the resource."""
        self._database.execute(
            "INSERT INTO seen VALUES (?, ?, 1, ?, ?, ?, ?, ?)"
            " ON CONFLICT DO UPDATE SET runs = runs + (last <> excluded.last), last = excluded.last",
            (resource, value, run, run, *place),
        )

    def find(self, resources: Sequence[str]) -> Iterator[tuple[str, Seen]]:
        """Yield what was seen of these resources, each value once, the first that was seen first. One query."""
        rows = self._database.execute(
            "SELECT resource, seen.value, runs, first, file, line, pointer FROM seen JOIN json_each(?) AS wanted"
            " ON resource = wanted.value ORDER BY resource, first, line",
            (msgspec.json.encode(list(resources)).decode(),),
        )
        for resource, value, runs, run, file, line, pointer in rows:
            yield resource, Seen(value=value, runs=runs, run=run, file=file, line=line, pointer=pointer)

    def close(self) -> None:
        """Let go of it; nothing stays behind."""
        self._database.close()

    def __enter__(self) -> Self:
        self._database.execute("BEGIN")
        return self

    def __exit__(self, *_: object) -> None:
        self._database.execute("COMMIT")
