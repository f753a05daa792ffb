"""What the population of a test is: the members that were listed and sealed before anyone judged, each with a number.

What was found of a population as a whole (that it is not complete) is a finding, too, and is no member.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping

import msgspec

from auditor.packaging.run import RunFiles
from auditor.reports.html import EXCEPTIONS
from auditor.results import Counts, Finding

FIRST_OF_WHOLE = 20
"""Findings about a population as a whole that stand on its first page."""


class Frozen(msgspec.Struct, frozen=True):
    """The listing of a test as it was sealed before anyone judged: how many different members, and its digest."""

    size: int
    sha256: str


class Figures(msgspec.Struct, frozen=True, kw_only=True):
    """How many members were listed, and what became of them.

    `counts` are the findings of members: they come to `listed`, less those that were not judged, and more those that
    were judged once more, with another result, because they were listed once more. `gaps` are the findings that no
    member stands for: why the population is not complete.
    """

    listed: int = 0
    counts: Counts = msgspec.field(default_factory=Counts)
    not_judged: int = 0
    again: int = 0
    gaps: int = 0

    @property
    def tested(self) -> int:
        """The findings that came to pass or fail."""
        return self.counts.passed + self.counts.fail

    @property
    def exceptions(self) -> int:
        """The findings that are to be looked at, gaps included."""
        return self.counts.fail + self.counts.error + self.counts.manual + self.gaps


class Population:
    """The members of a test, numbered in the order in which they were judged; those that were not come last.

    `of_whole` are the first findings that no member stands for, `more_of_whole` is how many further ones there are.
    """

    def __init__(self, members: Iterable[str]) -> None:
        self._numbers = dict.fromkeys(members, 0)
        self.frozen = freeze(self._numbers)
        self.of_whole: list[Finding] = []
        self.more_of_whole = 0
        self._counts = Counts()
        self._judged = self._again = self._gaps = 0

    def take(self, finding: Finding) -> None:
        """Take in the next finding of the test."""
        number = self._numbers.get(finding.id)
        if number is None:
            self._take_of_whole(finding)
            return
        self._counts.add(finding.outcome, waived=finding.waiver is not None)
        if number:
            self._again += 1
        else:
            self._judged += 1
            self._numbers[finding.id] = self._judged

    def _take_of_whole(self, finding: Finding) -> None:
        self._gaps += finding.outcome in EXCEPTIONS
        if len(self.of_whole) < FIRST_OF_WHOLE:
            self.of_whole.append(finding)
        else:
            self.more_of_whole += 1

    def close(self) -> None:
        """Number the members of which there was no finding."""
        left = [member for member, number in self._numbers.items() if not number]
        self._numbers.update(zip(left, range(self._judged + 1, self.frozen.size + 1), strict=True))

    def number(self, member: str) -> int:
        """Return the number of a member, from 1; 0 of what is none."""
        return self._numbers.get(member, 0)

    @property
    def figures(self) -> Figures:
        """What all of it comes to."""
        return Figures(
            listed=self.frozen.size,
            counts=self._counts,
            not_judged=self.frozen.size - self._judged,
            again=self._again,
            gaps=self._gaps,
        )


def freeze(ids: Iterable[str]) -> Frozen:
    """Return the size and digest of a listing: the SHA-256 of the different ids, sorted, one a line."""
    different = sorted(set(ids))
    return Frozen(len(different), hashlib.sha256("".join(f"{one}\n" for one in different).encode()).hexdigest())


def read(run: RunFiles) -> Mapping[str, Population]:
    """Return the population of every test of a run."""
    ids: dict[str, dict[str, None]] = {name: {} for name in run.tests}
    for test, member in run.members():
        ids[test][member.id] = None
    populations = {name: Population(found) for name, found in ids.items()}
    for finding in run.findings():
        populations[finding.test].take(finding)
    for population in populations.values():
        population.close()
    return populations


def total(figures: Iterable[Figures]) -> Figures:
    """Return what several tests come to together."""
    counts = Counts()
    listed = not_judged = again = gaps = 0
    for one in figures:
        counts.merge(one.counts)
        listed, not_judged = listed + one.listed, not_judged + one.not_judged
        again, gaps = again + one.again, gaps + one.gaps
    return Figures(listed=listed, counts=counts, not_judged=not_judged, again=again, gaps=gaps)
