"""What an auditor asks for ("provided by client", PBC), each with the file that answers it; once more by criterion."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import PurePosixPath

from auditor import __version__, seal
from auditor.evidence import FOLDER
from auditor.packaging.site import Site
from auditor.packaging.view import View, answers_of, criteria_of
from auditor.results import ClaimResult
from auditor.wording import counted

COLUMNS = ("request", "criterion", "support", "claim", "test", "run", "as_of", "file")


def write(site: Site, views: Sequence[View]) -> None:
    """Write the list, and a folder with a page and a list for every criterion; `views` are newest first."""
    by_criterion = {one: [row for view in views for row in _of_criterion(view, one)] for one in criteria_of(views)}
    general = [row for view in views for row in _of_run(view)]
    everything = [*_of_package(views), *general, *(row for rows in by_criterion.values() for row in rows)]
    site.table("index.csv", COLUMNS, everything)
    for criterion, rows in by_criterion.items():
        folder = f"criteria/{criterion}"
        site.table(f"{folder}/index.csv", COLUMNS, rows)
        site.page(f"{folder}/index.html", "criterion.html.j2", views[0].head.run, criterion=criterion, runs=views)


Row = tuple[str, ...]


def _row(view: View, request: str, file: str, *, of: Sequence[str] = ("", ""), claim: str = "", test: str = "") -> Row:
    return (request, *of, claim, test, view.run.id, f"{view.head.run.as_of:%Y-%m-%dT%H:%M:%SZ}", file)


def _of_package(views: Sequence[View]) -> Iterator[Row]:
    newest = views[0]
    yield _row(newest, "Overview of claims, tests, exceptions and cited answers", "index.html")
    yield _row(newest, "How completeness, accuracy and origin can be verified", "VERIFY.md")
    yield _row(newest, "Limits of the seal, of each test, and of the scope", "LIMITS.md")
    yield _row(newest, f"Inventory of the software that made this package (CycloneDX): {_made(views)}", "sbom.cdx.json")


def _made(views: Sequence[View]) -> str:
    """Say what the inventory has to do with the evidence, which names the version of auditor and nothing beside it."""
    versions = sorted({view.run.verified.scope.tool.version for view in views})
    if versions == [__version__]:
        return f"auditor {__version__}, the version that its runs name as well"
    return f"auditor {__version__}; its runs name auditor {', '.join(versions)}"


def _of_run(view: View) -> Iterator[Row]:
    folder = f"runs/{view.run.id}"
    yield _row(view, "Seal of the run: digests of all its files", f"{folder}/{seal.MANIFEST}")
    yield _row(view, "Plan: systems, scope and tests as they were reached", f"{folder}/plan.json")
    yield _row(
        view, "Information produced by the entity: every answer, and where it comes from", answers_of(view.run.id)
    )
    for name in view.run.files.names():
        if name.startswith("policy/"):
            yield _row(view, "Policy: claims, tests and parameters as they were in force", f"{folder}/{name}")
        elif name.startswith(f"{FOLDER}/"):
            yield _row(view, f"Raw answers of the systems: {PurePosixPath(name).stem}", f"{folder}/{name}")


def _of_criterion(view: View, criterion: str) -> Iterator[Row]:
    for claim, support in view.bearing_on(criterion):
        verdict = claim.verdict.value.replace("_", " ")
        yield _row(
            view,
            f"Statement and result ({verdict}): {claim.statement}",
            view.page,
            of=(criterion, support),
            claim=claim.id,
        )
        yield from _of_claim(view, claim, (criterion, support))


def _of_claim(view: View, claim: ClaimResult, of: Sequence[str]) -> Iterator[Row]:
    for test in claim.tests:
        listed = view.listed[test.id]
        population = f"Population ({counted(listed.figures.listed, 'member')}): {test.procedure.population_source}"
        exceptions = f"Exceptions noted ({listed.figures.exceptions:,})"
        for request, file in (
            ("Procedure, results and cited answers, member by member", "population-1.html"),
            (population, "population.csv"),
            (exceptions, "exceptions.csv"),
        ):
            yield _row(view, request, f"{listed.folder}/{file}", of=of, claim=claim.id, test=test.id)
