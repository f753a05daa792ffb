"""The population of each test as pages and as tables: every member with its outcome and the raw answers it rests on.

What was found of the population as a whole stands in a block of its own, and among the exceptions.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import NamedTuple

from auditor.model import Citation
from auditor.packaging import population
from auditor.packaging.answers import Places
from auditor.packaging.population import Figures, Frozen, Population
from auditor.packaging.run import Member, RunFiles
from auditor.packaging.site import Site
from auditor.reports.csv import COLUMNS, values
from auditor.reports.html import EXCEPTIONS
from auditor.results import ClaimResult, Finding, TestResult

ROWS = 1_000
"""Members on one page of a population, and exceptions on one of theirs."""
FIRST_EXCEPTIONS = 5
"""Exceptions that stand with their test on the first page of the package."""
COUNTED = ("number", *COLUMNS)
NOT_JUDGED = "was listed, and not judged"


Hrefs = tuple[str, ...]
"""The address of each place that is cited, from the root of the package; "" of what is no line of a segment."""


class Shown(NamedTuple):
    """A finding as it stands on a page, with the address of each place it cites; or a member that nobody judged.

    `number` is that of the member (0 of what is none), and `anchor` whether it is the first to bear it.
    """

    number: int
    about: Finding | Member
    hrefs: Hrefs
    anchor: bool

    @property
    def finding(self) -> Finding | None:
        """The finding, where there is one."""
        return self.about if isinstance(self.about, Finding) else None

    @property
    def message(self) -> str:
        """What there is to say."""
        return self.about.message if isinstance(self.about, Finding) else NOT_JUDGED

    @property
    def evidence(self) -> tuple[Citation, ...]:
        """What is cited; of a member that nobody judged, the line that lists it."""
        return _cites(self.about)


class Listed(NamedTuple):
    """What the package holds of a test: where its pages are, its figures, and the first exceptions."""

    folder: str
    figures: Figures
    frozen: Frozen
    first: tuple[Shown, ...]
    reconciled: tuple[Hrefs, ...]


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

    def hrefs(cites: Iterable[Citation]) -> Hrefs:
        return tuple(places[cite.file].href(cite) if cite.file in places else "" for cite in cites)

    populations = population.read(run)
    listings = {}
    for name, (claim, test) in run.tests.items():
        whole = tuple(Shown(0, one, hrefs(one.evidence), anchor=False) for one in populations[name].of_whole)
        reconciled = tuple(hrefs(row.evidence) for row in test.reconciled)
        listings[name] = _Listing(site, run, claim, test, claim_page, populations[name], whole, reconciled)
    for test_id, about in _in_order(run, populations):
        listings[test_id].add(about, hrefs(_cites(about)))
    return {name: listing.close() for name, listing in listings.items()}


def _in_order(run: RunFiles, populations: Mapping[str, Population]) -> Iterator[tuple[str, Finding | Member]]:
    """Yield every finding with its test, then the members that nobody judged."""
    for finding in run.findings():
        yield finding.test, finding
    judged = {name: one.figures.listed - one.figures.not_judged for name, one in populations.items()}
    if any(one.figures.not_judged for one in populations.values()):
        for test, member in run.members():
            if populations[test].number(member.id) > judged[test]:
                yield test, member


def _cites(about: Finding | Member) -> tuple[Citation, ...]:
    return about.evidence if isinstance(about, Finding) else (Citation(about.file, (about.line, about.line)),)


class _Listing:
    """Takes in the findings of one test, and writes a page whenever one is full."""

    def __init__(
        self,
        site: Site,
        run: RunFiles,
        claim: ClaimResult,
        test: TestResult,
        claim_page: str,
        members: Population,
        whole: tuple[Shown, ...],
        reconciled: tuple[Hrefs, ...],
    ) -> None:
        self._site = site
        self._run = run
        self._claim = claim
        self._test = test
        self._claim_page = claim_page
        self._members = members
        self._whole = whole
        self._reconciled = reconciled
        self._figures = members.figures
        self.folder = folder_of(run.id, test.id)
        self._kinds = {
            "population": _Kind(self._figures.listed, []),
            "exceptions": _Kind(self._figures.exceptions, []),
        }
        self._last = 0
        self._first: list[tuple[int, bool, Shown]] = []

    def add(self, about: Finding | Member, hrefs: Hrefs) -> None:
        """Take in the next finding, or the next member that nobody judged."""
        number = self._members.number(about.id)
        shown = Shown(number, about, hrefs, anchor=number > self._last)
        if shown.anchor:
            self._last = number
            if number > 1 and number % ROWS == 1:
                self._write("population")
        elif isinstance(about, Member):
            return  # is listed twice
        if number:
            self._kinds["population"].shown.append(shown)
        if isinstance(about, Finding) and about.outcome in EXCEPTIONS:
            self._except(about, shown)

    def close(self) -> Listed:
        for name, kind in self._kinds.items():
            if kind.shown or not kind.written:
                self._write(name)
        first = tuple(shown for _, _, shown in self._first)
        return Listed(self.folder, self._figures, self._members.frozen, first, self._reconciled)

    def _except(self, finding: Finding, shown: Shown) -> None:
        self._kinds["exceptions"].shown.append(shown)
        if len(self._kinds["exceptions"].shown) == ROWS:
            self._write("exceptions")
        self._first.append((EXCEPTIONS.index(finding.outcome), finding.waiver is not None, shown))
        self._first.sort(key=lambda one: one[:2])
        del self._first[FIRST_EXCEPTIONS:]

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
            figures=self._figures,
            frozen=self._members.frozen,
            whole=self._whole if name == "population" and page == 1 else (),
            excluded=self._run.excluded(self._test.id) if name == "population" and page == 1 else "",
            more_of_whole=self._members.more_of_whole,
            reconciled=self._reconciled,
            members=kind.shown,
            page=page,
            pages=pages(kind.total),
        )
        self._site.table(f"{self.folder}/{name}.csv", COUNTED, map(self._row, kind.shown), more=page > 1)
        self._kinds[name] = _Kind(kind.total, [], page)

    def _row(self, shown: Shown) -> tuple[str, ...]:
        number = str(shown.number) if shown.number else ""
        run = self._run.head.run
        if isinstance(shown.about, Finding):
            return (number, *values(shown.about, run))
        member, test = shown.about, self._test
        known = {
            "id": member.id,
            "outcome": "not_judged",
            "claim": self._claim.id,
            "test": test.id,
            "check": test.check,
            "severity": test.severity.value,
            "target": member.target,
            "resource_type": member.resource.type,
            "resource_id": member.resource.id,
            "resource_name": member.resource.name,
            "region": member.resource.region,
            "message": NOT_JUDGED,
            "evidence": f"{member.file}:{member.line}-{member.line}",
            "run": run.id,
            "as_of": f"{run.as_of:%Y-%m-%dT%H:%M:%SZ}",
        }
        return (number, *(known.get(column, "") for column in COLUMNS))


class _Kind(NamedTuple):
    total: int
    shown: list[Shown]
    written: int = 0
