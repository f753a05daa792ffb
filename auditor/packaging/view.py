"""A run as the pages about a whole package show it, beside the others."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping

import msgspec

from auditor.packaging.listing import Listed
from auditor.packaging.run import RunFiles
from auditor.results import ClaimResult, Head

INDEX = "index.html"
REPORT = "report.html"


class View(msgspec.Struct, frozen=True, kw_only=True):
    """A run, what is listed of its tests, the page that it has, and what is to be said of its seal.

    `missing` is the run before it, where that is not in the package; `key` the id of the key that signed it; `stamped`
    whether a time-stamp authority that counts saw it, and `dated` what is to be said of that.
    """

    run: RunFiles
    listed: Mapping[str, Listed]
    page: str
    key: str
    stamped: bool
    dated: str
    missing: str
    report: str

    @classmethod
    def of(cls, run: RunFiles, listed: Mapping[str, Listed], page: str, there: Collection[str]) -> View:
        """Return the view of a run in a package with the runs that are `there`."""
        verified = run.verified
        previous = verified.scope.previous_run
        return cls(
            run=run,
            listed=listed,
            page=page,
            key=verified.key.id if verified.key else "",
            stamped=verified.stamped is not None,
            dated=verified.dated,
            missing=previous.id if previous and previous.id not in there else "",
            report=f"runs/{run.id}/{REPORT}" if REPORT in run.files.names() else "",
        )

    @property
    def head(self) -> Head:
        """The run, its summary, claims and registers."""
        return self.run.head

    def bearing_on(self, criterion: str) -> Iterator[tuple[ClaimResult, str]]:
        """Yield the claims that bear on a criterion, and how much."""
        for claim in self.head.claims:
            for one in claim.criteria:
                if one.id == criterion:
                    yield claim, one.support


def page_of(run: str, *, newest: bool) -> str:
    """Return the page of a run: the newest is what a reader sees first."""
    return INDEX if newest else f"earlier/{run}.html"


def answers_of(run: str) -> str:
    """Return the table of a run's answers."""
    return f"answers/{run}.csv"


def criteria_of(views: Collection[View]) -> list[str]:
    """Return the criteria that any claim of any run bears on."""
    return sorted({one.id for view in views for claim in view.head.claims for one in claim.criteria})
