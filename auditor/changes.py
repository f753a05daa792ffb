"""What changed between two runs: the claims whose verdict is another, and the exceptions that opened or closed. Pure.

An exception is a failing finding over time, by its id. It is closed only where the later run looked and does not find
it failing: the subject was judged otherwise, or is gone from a population that was read to its end. One that the later
run could not see (denied, deselected, no longer in the policy) is neither open nor closed, and is counted apart: losing
a permission must not look like mending something.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

import msgspec

from auditor.model import ClaimVerdict, EvidenceError, Outcome
from auditor.results import Head, RunView, TestResult
from auditor.wording import counted

Place = tuple[str, str, str]
"""The claim, test and target of a finding."""


class VerdictChange(msgspec.Struct, frozen=True):
    """A claim whose verdict changed; None stands for not being in the policy."""

    claim: str
    before: ClaimVerdict | None
    after: ClaimVerdict | None


class Changes(msgspec.Struct, frozen=True, kw_only=True):
    """What is otherwise in a later run. `unseen`: exceptions of the earlier run that the later one could not judge."""

    since: str
    verdicts: tuple[VerdictChange, ...] = ()
    opened: int = 0
    closed: int = 0
    unseen: int = 0


def compare(before: RunView, after: RunView) -> Changes:
    """Compare two runs, reading the findings of each once; holds the ids of the earlier run's failing findings.

    Raises EvidenceError where the earlier run's findings are not those its report counts.
    """
    was_failing = _failing(before)
    complete = {
        (claim.id, test.id, target)
        for claim in after.head.claims
        for test in claim.tests
        if _is_complete(test)
        for target in test.targets
    }
    opened: set[str] = set()
    open_still: set[str] = set()
    unclear: set[str] = set()
    judged: set[str] = set()
    for finding in after.findings():
        known = finding.id in was_failing
        if finding.outcome is Outcome.FAIL:
            (open_still if known else opened).add(finding.id)
        elif known:
            (unclear if finding.outcome in (Outcome.ERROR, Outcome.MANUAL) else judged).add(finding.id)
    not_failing = was_failing.keys() - open_still
    closed = {one for one in not_failing - unclear if one in judged or was_failing[one] in complete}
    return Changes(
        since=before.head.run.id,
        verdicts=tuple(_verdicts(before.head, after.head)),
        opened=len(opened),
        closed=len(closed),
        unseen=len(not_failing) - len(closed),
    )


def in_words(changes: Changes) -> str:
    """Return one line: `since 20261122T…: 1 claim refuted that was supported; 3 exceptions opened, 2 closed`."""
    kinds = Counter((change.before, change.after) for change in changes.verdicts)
    parts = [_kind(before, after, count) for (before, after), count in kinds.items()]
    exceptions = [f"{counted(changes.opened, 'exception')} opened"] if changes.opened else []
    for count, what in ((changes.closed, "closed"), (changes.unseen, "could not be judged again")):
        if count:
            exceptions.append(f"{count:,} {what}" if exceptions else f"{counted(count, 'exception')} {what}")
    said = "; ".join([*parts, *([", ".join(exceptions)] if exceptions else [])])
    return f"since {changes.since}: {said or 'no verdict changed, no exception opened or closed'}"


def _failing(run: RunView) -> dict[str, Place]:
    """Return the failing findings of a run by id, each with one of few shared places."""
    places: dict[Place, Place] = {}
    failing: dict[str, Place] = {}
    count = 0
    for finding in run.findings():
        if finding.outcome is Outcome.FAIL:
            place = (finding.claim, finding.test, finding.target)
            failing[finding.id] = places.setdefault(place, place)
            count += 1
    said = run.head.summary.findings.fail
    if count != said:
        raise EvidenceError(f"{counted(count, 'failing finding')} found, but its report counts {said:,}")
    return failing


def _is_complete(test: TestResult) -> bool:
    """Whether the test's populations were read to their end: any error may hide a subject, and so may deselection."""
    return not test.counts.error and test.verdict is not Outcome.ERROR


def _verdicts(before: Head, after: Head) -> Iterator[VerdictChange]:
    was = {claim.id: claim.verdict for claim in before.claims}
    now = {claim.id: claim.verdict for claim in after.claims}
    for name in [*now, *(name for name in was if name not in now)]:
        if was.get(name) is not now.get(name):
            yield VerdictChange(name, was.get(name), now.get(name))


def _kind(before: ClaimVerdict | None, after: ClaimVerdict | None, count: int) -> str:
    claims = counted(count, "claim")
    if after is None:
        return f"{claims} no longer in the policy"
    verdict = after.value.replace("_", " ")
    if before is None:
        return f"{claims} new and {verdict}"
    return f"{claims} {verdict} that {'was' if count == 1 else 'were'} {before.value.replace('_', ' ')}"
