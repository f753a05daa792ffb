"""Judging: every test's `collect` is run again over the sealed segments, then `evaluate` on each subject.

Nothing here asks anybody anything. The live audit and a re-evaluation next year are this one function.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import logging
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

import msgspec

from auditor.checking import Check, Reconciled, Subject
from auditor.conversion import convert
from auditor.evidence import FOLDER, Segment
from auditor.model import Basis, Citation, Outcome, Resource, Unproven
from auditor.notebook import Questions
from auditor.plan import Plan, Task
from auditor.policy import Policy, Test
from auditor.questions import SourceType
from auditor.reconciliation import NotHeld, Reconciliation
from auditor.results import Counts, Finding
from auditor.scope import REGIONS, Reached

LOG = logging.getLogger(__name__)
MOST_CITES = 20
MOST_TROUBLES = 10
MOST_SKEW = dt.timedelta(seconds=60)
EXAMPLES = 3
MOST_AGREEING = 20
"""Reconciliations of a test that are reported one by one where they agree; those that differ always are."""
MOST_UNCOUNTED = 20
"""The same of populations without a second source, counted apart: they take no room from those that were compared."""


@dataclass
class Tally:
    """What a test came to, over all shards of its targets: counts and a few examples, never the findings themselves.

    `has_gaps`: whether anything says of a target that its population is not whole, or not to be relied on.
    """

    counts: Counts = field(default_factory=Counts)
    population: int = 0
    tested: int = 0
    has_gaps: bool = False
    bases: set[Basis] = field(default_factory=set)
    examples: dict[Outcome, list[str]] = field(default_factory=dict)
    seen: set[tuple[int, Outcome]] = field(default_factory=set)
    empty_cites: dict[str, list[Citation]] = field(default_factory=dict)
    reconciled: list[Reconciliation] = field(default_factory=list)
    agreeing: int = 0
    uncounted: int = 0
    uncounted_why: str = ""
    not_held: list[NotHeld] = field(default_factory=list)

    def is_new(self, finding: Finding) -> bool:
        """Count the finding of a subject, unless it was listed twice, as pages without a stable order do."""
        mark = (int(finding.id, 16), finding.outcome)
        if mark in self.seen:
            return False
        self.seen.add(mark)
        self.population += finding.outcome is not Outcome.NOT_APPLICABLE
        self.tested += finding.outcome in (Outcome.PASS, Outcome.FAIL)
        return True

    def reconcile(self, row: Reconciliation) -> None:
        """Keep a reconciliation: those that agree, and those without a second source, as far as there is room."""
        self.agreeing += row.agrees
        self.uncounted += not row.is_counted
        if row.agrees and self.agreeing > MOST_AGREEING:
            return
        if not row.is_counted and self.uncounted > MOST_UNCOUNTED:
            self.uncounted_why = self.uncounted_why or row.note
            return
        self.reconciled.append(row)


def finding_id(claim: str, test: str, target: str, resource: Resource) -> str:
    """Return the id a finding keeps over all runs."""
    where = f"{target}\n{resource.region}"
    text = f"{claim}\n{test}\n{where}\n{resource.type}\n{resource.id}"
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def judge(
    run: Path,
    output: Path,
    policy: Policy,
    plan: Plan,
    scope: Iterable[Reached],
    as_of: dt.datetime,
    checks: Mapping[str, Check],
    sources: Mapping[str, SourceType],
) -> Mapping[str, Tally]:
    """Judge the evidence of `run` as far as its scope was reached; write one findings file per task into `output`."""
    return _Judge(run, output, policy, plan, as_of, checks, sources).all(scope)


class _Judge:
    def __init__(
        self,
        run: Path,
        output: Path,
        policy: Policy,
        plan: Plan,
        as_of: dt.datetime,
        checks: Mapping[str, Check],
        sources: Mapping[str, SourceType],
    ) -> None:
        self._evidence = run / FOLDER
        self._output = output
        self._plan = plan
        self._as_of = as_of
        self._checks = checks
        self._sources = sources
        self._tests = {test.id: (claim.id, test) for claim, test in policy.tests()}
        self._tallies = {test.id: Tally() for test in plan.tests}
        self._targets = {test.id: test.targets for test in plan.tests}
        self._encoder = msgspec.json.Encoder()

    def all(self, scope: Iterable[Reached]) -> Mapping[str, Tally]:
        """Judge every task, then what can only be said of a whole test."""
        self._output.mkdir(parents=True, exist_ok=True)
        first: dict[str, Reached] = {}
        for reached in scope:
            self._write(reached, self._task(reached))
            for test in reached.task.tests:
                first.setdefault(test, reached)
        for test, reached in first.items():
            self._write(reached, self._population(reached.task, test))
        return self._tallies

    def _write(self, reached: Reached, findings: Iterator[Finding]) -> None:
        with (self._output / reached.findings).open("ab") as handle:
            for finding in findings:
                tally = self._tallies[finding.test]
                tally.counts.add(finding.outcome)
                tally.bases.add(finding.basis)
                tally.has_gaps |= finding.outcome is Outcome.ERROR and finding.resource.type == "target"
                examples = tally.examples.setdefault(finding.outcome, [])
                if len(examples) < EXAMPLES and (words := self._example(finding)) not in examples:
                    examples.append(words)
                handle.write(self._encoder.encode(finding) + b"\n")

    def _task(self, reached: Reached) -> Iterator[Finding]:
        task = reached.task
        if reached.problem:
            for test in task.tests:
                self._not_held(task, test, reached.problem)
                yield self._of_target(task, test, reached.problem, reached.cites)
            return
        segment = Segment.read(self._evidence / f"{task.id}.jsonl")
        try:
            for test in task.tests:
                yield from self._test(task, test, segment)
        finally:
            segment.release()

    def _test(self, task: Task, name: str, segment: Segment) -> Iterator[Finding]:
        _, test = self._tests[name]
        check = self._checks[test.check]
        tally = self._tallies[name]
        sources = bind(check, test, task.target, segment, self._plan, self._sources)
        params = convert(test.params, check.params)
        skew = self._skew(task, segment) if check.time_based else None
        rows: list[Reconciliation] = []
        troubles: list[Unproven] = []
        try:
            for found in check.collect(params, *sources):
                if isinstance(found, Reconciled):
                    rows.append(self._reconciliation(task, name, found, skew))
                    continue
                finding = self._subject(task, name, check, params, found, skew)
                if tally.is_new(finding):
                    yield finding
        except Unproven as error:
            troubles.append(Unproven(f"population incomplete: {error.reason}", error.cites))
        except Exception as error:  # boundary: a mistake in a check is a finding, and the run goes on
            LOG.exception("check %s failed to collect", check.id)
            troubles.append(Unproven(f"internal: {type(error).__name__} while collecting"))
        for row in rows:
            tally.reconcile(row)
        troubles += _not_reconciled(check, rows, is_whole=not troubles)
        if troubles:
            cites = tuple(cite for one in troubles for cite in one.cites)
            if not rows:
                self._not_held(task, name, _together(troubles))
            yield self._of_target(task, name, _together(troubles), cites)
        read = (Citation(segment.name, lines) for source in sources for lines in source.read)
        if not tally.population:
            tally.empty_cites.setdefault(task.target, []).extend(islice(read, MOST_CITES))

    def _skew(self, task: Task, segment: Segment) -> Unproven | None:
        """Say how far the target's clock and ours differ, where its identity told the time and they differ too much."""
        kind = self._sources[self._plan.target(task.target).type]
        if not kind.identity:
            return None
        identity = Questions(segment, task.target, kind).ask(kind.identity)
        theirs, ours = identity.record.server_time, identity.record.dated
        if theirs is None or ours is None or abs(theirs - ours) <= MOST_SKEW:
            return None
        seconds = (theirs - ours).total_seconds()
        return Unproven(f"the target's clock and ours differ by {seconds:+,.0f} seconds", [identity])

    def _subject(
        self, task: Task, name: str, check: Check, params: Any, subject: Subject, skew: Unproven | None
    ) -> Finding:
        trail: list[Citation] = []
        judged = subject.judged(self._as_of, trail)
        basis, advice = check.basis, ""
        try:
            self._believable(name, subject, skew)
            verdict = check.evaluate(judged, params)
        except Unproven as error:
            outcome, message, cites = Outcome.ERROR, error.reason, error.cites or tuple(trail)
        except Exception as error:  # boundary: a mistake in a check is a finding, and the run goes on
            LOG.exception("check %s failed to evaluate %s", check.id, subject.resource)
            outcome, message, cites = Outcome.ERROR, f"internal: {type(error).__name__} while evaluating", tuple(trail)
        else:
            outcome, message, advice = verdict.outcome, verdict.message, verdict.advice
            basis = verdict.basis or basis
            cites = verdict.cites or tuple(trail)
        return self._finding(task, name, subject.resource, outcome, message, cites, basis, advice)

    def _reconciliation(self, task: Task, name: str, found: Reconciled, skew: Unproven | None) -> Reconciliation:
        """Hold the two counts of a population against each other; what cannot be read becomes its problem."""
        counted, problem, cites = None, "", found.cites()
        try:
            self._believable(name, found, skew)
            counted = found.count()
        except Unproven as error:
            problem, cites = error.reason, (*error.cites, *cites)
        return Reconciliation(
            target=task.target,
            shard=task.shard,
            what=found.what,
            listed=found.listed,
            counted=counted,
            source=found.source,
            allowed=found.allowed,
            note=found.note,
            problem=problem,
            compared=found.compared,
            evidence=tuple(dict.fromkeys(cites))[:MOST_CITES],
        )

    def _not_held(self, task: Task, name: str, why: str) -> None:
        """Note that nothing of a task was held against the second source, where the check has one."""
        if self._checks[self._tests[name][1].check].second_source:
            self._tallies[name].not_held.append(NotHeld(target=task.target, shard=task.shard, why=why))

    def _believable(self, name: str, subject: Subject | Reconciled, skew: Unproven | None) -> None:
        """Raise where the clocks differ, or an answer is older than the test allows."""
        if skew is not None:
            raise skew
        limit = self._tests[name][1].max_age
        if limit is None:
            return
        for record in subject.records():
            if record.status == "error":
                continue  # evaluate says what is wrong with it, where it matters
            where = Citation(record.file, (record.line, record.line))
            since = f"of {record.dated:%Y-%m-%d %H:%M} UTC" if record.dated else "of unknown age"
            if record.dated is None or self._as_of - record.dated > limit:
                older = f"older than max_age {msgspec.to_builtins(limit)}"
                raise Unproven(f"stale: {record.question} is {since}, {older}", [where])
            if record.dated - self._as_of > MOST_SKEW:
                raise Unproven(f"dated ahead: {record.question} is {since}, after it was collected", [where])

    def _population(self, task: Task, name: str) -> Iterator[Finding]:
        """Say, once per test, whether its population is as large as it must be."""
        claim, test = self._tests[name]
        tally = self._tallies[name]
        wanted = test.population
        if tally.counts.error or tally.population >= max(wanted.min, 1):
            return
        cites = tuple(cite for found in tally.empty_cites.values() for cite in found)[:MOST_CITES]
        if tally.population == 0 and wanted.min == 0:
            message = f"there is nothing in scope, as the policy expects: {wanted.reason}"
            outcome = Outcome.PASS
        else:
            message = f"a population of {tally.population} is below the minimum of {wanted.min}"
            outcome = Outcome.ERROR
        LOG.info("%s/%s: %s", claim, name, message)
        basis = self._checks[test.check].basis
        yield self._finding(task, name, self._target(task), outcome, message, cites, basis, "")

    def _example(self, finding: Finding) -> str:
        """Return a finding in one line; where the test has several targets, which of them it is about."""
        resource = finding.resource
        name = f"{resource.id} ({resource.name})" if resource.name else resource.id
        if len(self._targets[finding.test]) > 1 and resource.type != "target":
            name = f"{finding.target}: {name}"
        return f"{name}: {finding.message}"

    def _of_target(self, task: Task, name: str, message: str, cites: tuple[Citation, ...]) -> Finding:
        basis = self._checks[self._tests[name][1].check].basis
        return self._finding(task, name, self._target(task), Outcome.ERROR, message, cites, basis, "")

    def _target(self, task: Task) -> Resource:
        region = task.shard if task.shard not in ("main", "account", REGIONS) else ""
        return Resource("target", task.id if region else task.target, region=region)

    def _finding(
        self,
        task: Task,
        name: str,
        resource: Resource,
        outcome: Outcome,
        message: str,
        cites: tuple[Citation, ...],
        basis: Basis,
        advice: str,
    ) -> Finding:
        claim, test = self._tests[name]
        return Finding(
            id=finding_id(claim, name, task.target, resource),
            claim=claim,
            test=name,
            check=test.check,
            target=task.target,
            resource=resource,
            outcome=outcome,
            basis=basis,
            message=message,
            severity=test.severity,
            advice=advice,
            evidence=tuple(dict.fromkeys(cites))[:MOST_CITES],
        )


def _not_reconciled(check: Check, rows: Sequence[Reconciliation], *, is_whole: bool) -> list[Unproven]:
    """Return what speaks against the populations of a task: a difference, or a promise of the check it did not keep."""
    if is_whole and check.second_source and not rows:
        return [Unproven(f"internal: the check held no population against its second source ({check.second_source})")]
    return [Unproven(f"population not reconciled: {row.words}", row.evidence) for row in rows if row.differs]


def _together(troubles: Sequence[Unproven]) -> str:
    """Return all that is wrong with a population in one message: it is one finding, on the target."""
    first = [one.reason for one in troubles[:MOST_TROUBLES]]
    left = len(troubles) - len(first)
    return "; ".join([*first, *([f"and {left:,} more"] if left else [])])


def bind(
    check: Check,
    test: Test,
    target: str,
    segment: Segment,
    plan: Plan,
    sources: Mapping[str, SourceType],
    recorders: Mapping[str, Any] | None = None,
) -> list[Questions]:
    """Return the sources a check asks: its own target first, then those its test binds under `with`."""
    names = [target, *(test.with_[name] for name in check.further_sources)]
    return [
        Questions(segment, name, sources[plan.target(name).type], (recorders or {}).get(name), frozenset(operations))
        for name, operations in zip(names, check.sources.values(), strict=True)
    ]
