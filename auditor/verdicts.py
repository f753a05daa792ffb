"""From tallies to verdicts: of a test, then of its claim. Pure, and a claim is as good as its worst test."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import msgspec

from auditor.checking import Check
from auditor.judge import MOST_AGREEING, MOST_UNCOUNTED, Tally
from auditor.model import ClaimVerdict, Outcome, weakest
from auditor.plan import Plan, PlannedTest
from auditor.policy import Claim, Pack, Policy, Test, criteria_of
from auditor.results import (
    ClaimCounts,
    ClaimResult,
    Counts,
    CriterionSupport,
    Examples,
    Procedure,
    Registers,
    Summary,
    TestResult,
)


def verdict_of_test(counts: Counts, *, carried_out: bool) -> Outcome:
    """Return the verdict of one test from the counts of its findings; error where it was not carried out everywhere."""
    if counts.fail > counts.waived:
        return Outcome.FAIL
    if counts.error or not carried_out:
        return Outcome.ERROR
    if counts.manual:
        return Outcome.MANUAL
    return Outcome.PASS if counts.passed or counts.waived else Outcome.ERROR


def verdict_of_claim(tests: Sequence[TestResult], not_tested: Sequence[str]) -> ClaimVerdict:
    """Return the verdict of one claim from those of its tests; words nothing tests cap it at unproven."""
    verdicts = {test.verdict for test in tests}
    if Outcome.FAIL in verdicts:
        return ClaimVerdict.REFUTED
    if not tests or not_tested or verdicts != {Outcome.PASS}:
        return ClaimVerdict.UNPROVEN
    if any(test.counts.waived for test in tests):
        return ClaimVerdict.SUPPORTED_WITH_EXCEPTIONS
    return ClaimVerdict.SUPPORTED


def extent(planned: PlannedTest, tally: Tally) -> str:
    """Return how much of its population a test looked at, in words: never a sample, and not always all of it."""
    if not planned.targets:
        return f"nothing was looked at: {planned.excluded}"
    if tally.population:
        parts = ["every member, not a sample", f"{tally.tested:,} of {tally.population:,} could be judged"]
    else:
        parts = ["no member was found in scope, so none was judged"]
    if tally.has_gaps:
        parts.append("the population is not known to be complete")
    return "; ".join([*parts, *filter(None, [planned.excluded])])


def claims(
    policy: Policy, plan: Plan, tallies: Mapping[str, Tally], checks: Mapping[str, Check]
) -> tuple[ClaimResult, ...]:
    """Return every claim with its tests, in policy order."""
    planned = {test.id: test for test in plan.tests}
    return tuple(
        _claim(
            pack, claim, [_test(test, planned[test.id], tallies[test.id], checks[test.check]) for test in claim.tests]
        )
        for pack, claim in policy.claims()
    )


def _test(test: Test, planned: PlannedTest, tally: Tally, check: Check) -> TestResult:
    counts = tally.counts
    verdict = verdict_of_test(counts, carried_out=not planned.excluded)
    examples = tuple(
        Examples(outcome=outcome, count=count, first=tuple(tally.examples.get(outcome, ())))
        for outcome in (Outcome.FAIL, Outcome.ERROR, Outcome.MANUAL)
        if (count := getattr(counts, outcome.value))
    )
    reasons = [planned.excluded] if planned.excluded else []
    return TestResult(
        id=test.id,
        check=test.check,
        verdict=verdict,
        severity=test.severity,
        basis=weakest(tally.bases) or check.basis,
        targets=planned.targets,
        procedure=Procedure(
            population_source=check.population,
            extent=extent(planned, tally),
            proves=check.proves,
            cannot_prove=check.cannot_prove,
            second_source=check.second_source,
            no_second_source=check.no_second_source,
        ),
        population=tally.population,
        tested=tally.tested,
        counts=counts,
        reasons=(*reasons, *(one.reason for one in examples)),
        examples=examples,
        reconciled=tuple(sorted(tally.reconciled, key=lambda row: (not row.differs, not row.agrees))),
        reconciled_more=max(tally.agreeing - MOST_AGREEING, 0),
        uncounted_more=max(tally.uncounted - MOST_UNCOUNTED, 0),
        uncounted_why=tally.uncounted_why,
        not_held=tuple(tally.not_held),
    )


def _claim(pack: Pack, claim: Claim, tests: Sequence[TestResult]) -> ClaimResult:
    reasons = [f"{test.id}: {reason}" for test in tests for reason in test.reasons]
    reasons += [f"not tested: {words}" for words in claim.not_tested]
    if not tests:
        reasons.append("no test bears on this claim")
    names = {test.id for test in tests}
    reasons += [
        f"waiver {waiver.id} is not applied: this version judges without waivers"
        for waiver in pack.waivers
        if waiver.test in names
    ]
    return ClaimResult(
        id=claim.id,
        statement=claim.statement,
        source=pack.source,
        interpretation=claim.interpretation,
        not_tested=tuple(claim.not_tested),
        criteria=criteria_of(claim),
        owner=claim.owner,
        verdict=verdict_of_claim(tests, claim.not_tested),
        basis=weakest(test.basis for test in tests),
        reasons=tuple(reasons),
        tests=tuple(tests),
    )


def summary(results: Iterable[ClaimResult]) -> Summary:
    """Return the run in figures."""
    verdicts = ClaimCounts()
    findings = Counts()
    population = 0
    for claim in results:
        setattr(verdicts, claim.verdict.value, getattr(verdicts, claim.verdict.value) + 1)
        for test in claim.tests:
            findings.merge(test.counts)
            population += test.population
    return Summary(claims=verdicts, findings=findings, population=population)


def registers(policy: Policy) -> Registers:
    """Return the duties of customers and vendors, and which claims bear on which criterion."""
    rows: dict[tuple[str, str], list[str]] = {}
    for _, claim in policy.claims():
        for criterion in claim.criteria:
            rows.setdefault((criterion.id, criterion.support), []).append(claim.id)
    return Registers(
        cuecs=tuple(msgspec.to_builtins(row) for pack in policy.packs for row in pack.registers.cuecs),
        subservice_organizations=tuple(
            msgspec.to_builtins(row) for pack in policy.packs for row in pack.registers.subservice_organizations
        ),
        criteria=tuple(
            CriterionSupport(id=name, support=support, claims=tuple(found))
            for (name, support), found in sorted(rows.items())
        ),
    )
