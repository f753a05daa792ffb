"""A population that is counted twice: both numbers, as reports show them."""

from __future__ import annotations

import msgspec

from auditor.model import Citation


class Reconciliation(msgspec.Struct, frozen=True, kw_only=True):
    """A population as it was listed in one shard of a target, held against the count of a second source.

    `counted` is None where there is none (`note` says why) and where it could not be read (`problem` says why).
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
    evidence: tuple[Citation, ...] = ()

    @property
    def agrees(self) -> bool:
        """Whether nothing here speaks against the population."""
        within = self.counted is None or abs(self.listed - self.counted) <= self.allowed
        return within and not self.problem

    @property
    def where(self) -> str:
        """The target, and its shard where it has several."""
        return self.target if self.shard == "main" else f"{self.target} {self.shard}"

    @property
    def words(self) -> str:
        """Both numbers, in one line."""
        if self.problem:
            return f"{self.what}: {self.listed:,} listed, not held against {self.source}: {self.problem}"
        if self.counted is None:
            return f"{self.what}: {self.listed:,} listed; no second source: {self.note}"
        note = f" ({self.note})" if self.note else ""
        if self.agrees:
            return f"{self.what}: {self.listed:,} listed, {self.counted:,} counted by {self.source}{note}"
        return f"{self.what}: the list has {self.listed:,}, but {self.source} counts {self.counted:,}{note}"
