"""A population that is counted twice, as reports show it: both numbers, or why there is only one, or none."""

from __future__ import annotations

import msgspec

from auditor.model import Citation


class Reconciliation(msgspec.Struct, frozen=True, kw_only=True):
    """A population as it was listed in one shard of a target, held against the count of a second source.

    `counted` is None where there is none (`note` says why) and where it could not be read (`problem` says why). Where
    the second source is another list, it is no count of its own: so many of the first are what `compared` says.
    """

    target: str
    shard: str
    what: str
    listed: int
    counted: int | None
    source: str = ""
    allowed: int = 0
    note: str = ""
    problem: str = ""
    compared: str = ""
    evidence: tuple[Citation, ...] = ()

    @property
    def is_counted(self) -> bool:
        """Whether there is a second source at all, readable or not."""
        return self.counted is not None or bool(self.problem)

    @property
    def agrees(self) -> bool:
        """Whether a second source counted the population, and came to the same."""
        return self.counted is not None and not self.problem and abs(self.listed - self.counted) <= self.allowed

    @property
    def differs(self) -> bool:
        """Whether something here speaks against the population."""
        return self.is_counted and not self.agrees

    @property
    def where(self) -> str:
        """The target, and its shard where it has several."""
        return _where(self.target, self.shard)

    @property
    def words(self) -> str:
        """Both numbers, in one line."""
        if self.problem:
            return f"{self.what}: {self.listed:,} listed, not held against {self.source}: {self.problem}"
        if self.counted is None:
            return f"{self.what}: {self.listed:,} listed; no second source: {self.note}"
        note = f" ({self.note})" if self.note else ""
        if self.compared:
            held = f"{'' if self.agrees else 'but '}held against {self.source}: {self.counted:,} {self.compared}"
            return f"{self.what}: {self.listed:,} listed, {held}{note}"
        if self.agrees:
            return f"{self.what}: {self.listed:,} listed, {self.counted:,} counted by {self.source}{note}"
        return f"{self.what}: the list has {self.listed:,}, but {self.source} counts {self.counted:,}{note}"


class NotHeld(msgspec.Struct, frozen=True, kw_only=True):
    """A shard of a target in which nothing came to be held against the second source, and why."""

    target: str
    shard: str
    why: str

    @property
    def words(self) -> str:
        """All of it in one line."""
        return f"{_where(self.target, self.shard)}: not held against the second source: {self.why}"


def _where(target: str, shard: str) -> str:
    return target if shard == "main" else f"{target} {shard}"
