"""A sample of a test's frozen listing, drawn with the auditor's seed by a rule that anybody can perform again.

Each member has an id, which `population.csv` lists too: the first 16 hex digits of the SHA-256 of claim, test, target,
region, resource type and resource id, joined by newlines. Members are put in the order of the SHA-256 of seed, newline
and id, in UTF-8; the first so many are the sample. It rests on nothing but the listing, which was sealed before anyone
judged, and on a seed that only the auditor knows beforehand.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

import msgspec

from auditor.model import Problem, UsageError
from auditor.packaging.listing import folder_of, page_of
from auditor.packaging.population import Frozen, Population
from auditor.packaging.run import Member, RunFiles, gaps
from auditor.results import Finding
from auditor.wording import or_known, quoted


class Drawn(msgspec.Struct, frozen=True, kw_only=True):
    """One member of the sample: where it is listed, and what was found.

    `page` is its address in the package; "" where it was drawn from a run, which has no such pages.
    """

    place: int
    id: str
    digest: str
    member: Member
    findings: tuple[Finding, ...]
    page: str


class Sample(msgspec.Struct, frozen=True, kw_only=True):
    """What was drawn from which listing. `incomplete` says why the listing is not the whole population."""

    run: str
    test: str
    seed: str
    asked: int
    population: Frozen
    incomplete: tuple[str, ...]
    drawn: tuple[Drawn, ...]


def draw(run: RunFiles, test: str, size: int, seed: str, *, in_package: bool = True) -> Sample:
    """Draw so many members of a test's listing; of a smaller one, all. `UsageError` where there is no such test.

    `in_package` says whether the run is one of a package, which has pages.
    """
    if test not in run.tests:
        raise UsageError(Problem(f"run {run.id} has no test {quoted(test)}{or_known(test, run.tests)}"))
    members = {member.id: member for of, member in run.members() if of == test}
    order = sorted((digest_of(seed, member), member) for member in members)[:size]
    chosen = {member for _, member in order}
    found: dict[str, list[Finding]] = {member: [] for member in chosen}
    missing: list[str] = list(_unreached(run, test))
    population = Population(members)
    for finding in run.findings():
        if finding.test == test:
            population.take(finding)
            if finding.id in chosen:
                found[finding.id].append(finding)
            if gaps(finding):
                missing.append(f"{finding.target}: {finding.message}")
    population.close()
    return Sample(
        run=run.id,
        test=test,
        seed=seed,
        asked=size,
        population=population.frozen,
        incomplete=tuple(dict.fromkeys(missing)),
        drawn=tuple(
            Drawn(
                place=place,
                id=member,
                digest=digest,
                member=members[member],
                findings=tuple(found[member]),
                page=f"{folder_of(run.id, test)}/{page_of(population.number(member))}" if in_package else "",
            )
            for place, (digest, member) in enumerate(order, 1)
        ),
    )


def digest_of(seed: str, member: str) -> str:
    """Return what members are ordered by."""
    return hashlib.sha256(f"{seed}\n{member}".encode()).hexdigest()


def _unreached(run: RunFiles, test: str) -> Iterable[str]:
    """Yield what was not looked at although the test is about it."""
    result = run.tests[test][1]
    if excluded := run.excluded(test):
        yield excluded
    for item in run.head.run.scope:
        if item.target in result.targets and not item.reached:
            yield f"{item.task}: {item.error}"
    if not result.population and result.verdict.value == "error":
        yield from result.reasons
