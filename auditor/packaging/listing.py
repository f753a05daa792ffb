"""The population of each test as pages and as tables: every member with its outcome and the raw answers it rests on."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from typing import NamedTuple

import msgspec

from auditor.model import Citation
from auditor.packaging.answers import Places
from auditor.packaging.run import RunFiles
from auditor.packaging.site import Site
from auditor.reports.csv import COLUMNS, values
from auditor.reports.html import EXCEPTIONS
from auditor.results import ClaimResult, Finding, TestResult

ROWS = 1_000
"""Members on one page of a population."""
FIRST_EXCEPTIONS = 5
"""Exceptions that stand with their test on the first page of the package."""
COUNTED = ("number", *COLUMNS)


Hrefs = tuple[str, ...]
"""The address of each place that is cited, from the root of the package; "" of what is no line of a segment."""


class Shown(NamedTuple):
    """A member as it stands on a page: its place in the population, and the address of each place it cites."""

    number: int
    finding: Finding
    hrefs: Hrefs


class Frozen(msgspec.Struct, frozen=True):
    """The listing of a test as it was sealed before anyone judged: how many different members, and its digest."""

    size: int
    sha256: str


class Listed(NamedTuple):
    """What the package holds of a test: where its pages are, and the first exceptions."""

    folder: str
    size: int
    exceptions: int
    frozen: Frozen
    first: tuple[Shown, ...]
    reconciled: tuple[Hrefs, ...]


def freeze(ids: Iterable[str]) -> Frozen:
    """Return the size and digest of a listing: the SHA-256 of the different ids, sorted, one a line."""
    different = sorted(set(ids))
    return Frozen(len(different), hashlib.sha256("".join(f"{one}\n" for one in different).encode()).hexdigest())


def pages(count: int) -> int:
    """Return how many pages so many members take."""
    return max(1, -(-count // ROWS))


def page_of(number: int) -> str:
    """Return the address of a member of a population within the folder of its test."""
    return f"population-{(number - 1) // ROWS + 1}.html#m{number}"


def folder_of(run: str, test: str) -> str:
    """Return the folder of a test's population."""
    return f"tests/{run}/{test}"


def write(site: Site, run: RunFiles, places: Mapping[str, Places], claim_page: str) -> dict[str, Listed]:
    """Write the populations and exceptions of every test of a run; return what there is of each, by test."""
    ids: dict[str, list[str]] = {name: [] for name in run.tests}
    for test, member in run.members():
        ids[test].append(member.id)
    frozen = {name: freeze(found) for name, found in ids.items()}

    def hrefs(cites: Iterable[Citation]) -> Hrefs:
        return tuple(places[cite.file].href(cite) if cite.file in places else "" for cite in cites)

    listings = {
        name: _Listing(
            site, run, claim, test, claim_page, frozen[name], tuple(hrefs(row.evidence) for row in test.reconciled)
        )
        for name, (claim, test) in run.tests.items()
    }
    for finding in run.findings():
        listings[finding.test].add(finding, hrefs(finding.evidence))
    return {name: listing.close() for name, listing in listings.items()}


class _Listing:
    """Takes in the findings of one test, and writes a page whenever one is full."""

    def __init__(
        self,
        site: Site,
        run: RunFiles,
        claim: ClaimResult,
        test: TestResult,
        claim_page: str,
        frozen: Frozen,
        reconciled: tuple[Hrefs, ...],
    ) -> None:
        self._site = site
        self._run = run
        self._claim = claim
        self._test = test
        self._claim_page = claim_page
        self._frozen = frozen
        self._reconciled = reconciled
        counts = test.counts
        exceptions = counts.fail + counts.error + counts.manual
        total = exceptions + counts.passed + counts.not_applicable
        self.folder = folder_of(run.id, test.id)
        self._kinds = {
            "population": _Kind(total, []),
            "exceptions": _Kind(exceptions, []),
        }
        self._number = 0
        self._first: list[Shown] = []

    def add(self, finding: Finding, hrefs: Hrefs) -> None:
        self._number += 1
        shown = Shown(self._number, finding, hrefs)
        self._put("population", shown)
        if finding.outcome in EXCEPTIONS:
            self._put("exceptions", shown)
            self._first.append(shown)
            self._first.sort(key=lambda one: (EXCEPTIONS.index(one.finding.outcome), one.finding.waiver is not None))
            del self._first[FIRST_EXCEPTIONS:]

    def close(self) -> Listed:
        for name, kind in self._kinds.items():
            if kind.shown or not kind.written:
                self._write(name)
        exceptions = self._kinds["exceptions"].total
        first = tuple(self._first)
        return Listed(self.folder, self._number, exceptions, self._frozen, first, self._reconciled)

    def _put(self, name: str, shown: Shown) -> None:
        kind = self._kinds[name]
        kind.shown.append(shown)
        if len(kind.shown) == ROWS:
            self._write(name)

    def _write(self, name: str) -> None:
        kind = self._kinds[name]
        page = kind.written + 1
        self._site.page(
            f"{self.folder}/{name}-{page}.html",
            "listing.html.j2",
            self._run.head.run,
            kind=name,
            claim=self._claim,
            test=self._test,
            claim_page=self._claim_page,
            frozen=self._frozen,
            reconciled=self._reconciled,
            members=kind.shown,
            total=kind.total,
            page=page,
            pages=pages(kind.total),
            exceptions=self._kinds["exceptions"].total,
        )
        rows = ([str(one.number), *values(one.finding, self._run.head.run)] for one in kind.shown)
        self._site.table(f"{self.folder}/{name}.csv", COUNTED, rows, more=page > 1)
        self._kinds[name] = _Kind(kind.total, [], page)


class _Kind(NamedTuple):
    total: int
    shown: list[Shown]
    written: int = 0
