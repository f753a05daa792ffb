"""Never a false verdict: whatever happens to any one answer, nothing is supported by it and no fail is invented.

One test over every check and every answer of both worlds (design: "Never a false verdict"). It knows no check by name:
a check added later is covered as it stands.
"""

from __future__ import annotations

import itertools
import os
import shutil
import threading
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

import msgspec
import pytest

from auditor import judge, verdicts
from auditor.evidence import AnswerLine, Segment
from auditor.model import ClaimVerdict, Outcome, Unproven
from auditor.notebook import Questions
from auditor.plan import Task
from auditor.policy import Test
from auditor.questions import Reply, SourceType
from auditor.redact import Redactor
from auditor.results import Finding
from auditor.scope import reach
from auditor.sources.aws import connection as aws_connection
from auditor.sources.aws import wire as aws_wire
from auditor.sources.clock import utcnow
from auditor.sources.secrets import resolve
from auditor.stored import StoredRun
from auditor.tasks import Context, run_task
from tests.fault_kinds import FAULTS, Fault, Harness, key
from tests.faults import HARNESSES, playing
from tests.world_runs import Audited, environment

SUPPORTED = (ClaimVerdict.SUPPORTED, ClaimVerdict.SUPPORTED_WITH_EXCEPTIONS)


class Experiment:
    """One recorded world, in which one answer at a time is changed."""

    def __init__(self, world: Audited, folder: Path) -> None:
        self.world = world
        self.context = _context(world, folder)
        self.fails = {finding.id for finding in world.findings() if finding.outcome is Outcome.FAIL}
        self.folder = folder

    def tasks(self) -> Iterator[Task]:
        for reached in reach(self.world.run / "evidence", self.world.plan, self.world.plugins.sources):
            if not reached.problem:
                yield reached.task

    def violations(self, task: Task, faults: tuple[Fault, ...] = FAULTS, *, every: int = 1) -> list[str]:
        """Put every fault into every answer of a task; return what must not have happened."""
        path = self.world.run / "evidence" / f"{task.id}.jsonl"
        with environment(self.world.world.environment), ExitStack() as stack:  # the other world may have set the same
            harnesses = {}
            for target in dict.fromkeys(line.target for line in _answers(path)):
                harnesses[target] = HARNESSES[self._kind(target).name](self.context, target, task.shard)
                stack.callback(harnesses[target].close)
            return list(self._violations(task, path, harnesses, faults, every))

    def _kind(self, target: str) -> SourceType:
        return self.world.plugins.sources[self.world.plan.target(target).type]

    def _violations(
        self, task: Task, path: Path, harnesses: Mapping[str, Harness], faults: tuple[Fault, ...], every: int
    ) -> Iterator[str]:
        recorded = _replies(path)
        asking = self._asking(task, path)
        number = itertools.count()
        for question, (target, name, params, _) in recorded.items():
            operation, harness = self._kind(target).operations[name], harnesses[target]
            pieces = harness.record(operation, params)
            for page, fault in itertools.product(range(pieces), faults):
                if next(number) % every:
                    continue
                try:
                    changed = harness.tampered(operation, params, page, fault)
                except Exception as error:  # noqa: BLE001 - whatever it is, a source must not raise it
                    yield f"{task.id}: {fault} of piece {page + 1} of {question}: raised {error!r}"
                    continue
                if changed is None:
                    continue
                played = {name: found for name, (*_, found) in recorded.items()} | {question: changed}
                found = self._audited_with(task, played)
                for problem in self._compare(found, asking[question]):
                    yield f"{task.id}: {fault} of piece {page + 1} of {question}: {problem}"

    def _asking(self, task: Task, path: Path) -> dict[str, set[str]]:
        """Return which tests asked each question; what identifies the target and its regions is asked for all."""
        by_line = {line.n: key(line.operation, line.params) for line in _answers(path)}
        kind = self._kind(task.target)
        tests = {test.id: test for _, test in self.world.policy.tests()}
        asking: dict[str, set[str]] = {question: set() for question in by_line.values()}
        needs_identity: set[str] = set(task.region_tests)
        with _reading(path) as segment:
            for name in task.tests:
                sources = self._collected(task, tests[name], segment)
                for line in (line for one in sources for first, last in one.read for line in range(first, last + 1)):
                    question = by_line[line]
                    asking[question].add(name)
                    row = kind.operations.get(question.partition("{")[0])
                    if row is not None and row.needs_identity:
                        needs_identity.add(name)
        for question, names in asking.items():
            if kind.identity and question.startswith(kind.identity):
                names.update(needs_identity)
            if kind.fan_out and question.startswith(kind.fan_out):
                names.update(task.region_tests)
        return asking

    def _collected(self, task: Task, test: Test, segment: Segment) -> list[Questions]:
        check = self.world.plugins.checks[test.check]
        sources = judge.bind(check, test, task.target, segment, self.world.plan, self.world.plugins.sources)
        with suppress(Unproven):  # a population that is incomplete in this world, as its truth says
            list(check.collect(msgspec.convert(test.params, check.params), *sources))
        return sources

    def _audited_with(self, task: Task, played: Mapping[str, list[Reply]]) -> tuple[list[Finding], Any]:
        """Carry the task out over the played answers, and judge the whole run again."""
        world = self.world
        run = self.folder / "run"
        shutil.rmtree(run, ignore_errors=True)
        (run / "evidence").mkdir(parents=True)
        for path in (world.run / "evidence").iterdir():
            os.link(path, run / "evidence" / path.name)
        (run / "evidence" / f"{task.id}.jsonl").unlink()
        kinds = world.plugins.sources.items()
        sources = {name: msgspec.structs.replace(kind, open=playing(played)) for name, kind in kinds}
        context = Context(**{**vars(self.context), "run": run, "sources": sources})
        run_task(task, context)
        scope = reach(run / "evidence", world.plan, world.plugins.sources)
        tallies = judge.judge(
            run,
            run / "findings",
            world.policy,
            world.plan,
            scope,
            max(world.head.run.as_of, utcnow()),  # what is played now is asked now
            world.plugins.checks,
            world.plugins.sources,
        )
        claims = verdicts.claims(world.policy, world.plan, tallies, world.plugins.checks)
        stored = StoredRun(world.head, run / "evidence", run / "findings")
        return list(stored.findings()), claims

    def _compare(self, found: tuple[list[Finding], Any], asking: set[str]) -> Iterator[str]:
        findings, claims = found
        for finding in findings:
            if finding.outcome is Outcome.FAIL and finding.id not in self.fails:
                yield f"invented fail: {finding.resource.id}: {finding.message}"
        for claim in claims:
            for test in claim.tests:
                if test.id in asking and test.verdict is Outcome.PASS:
                    yield f"test {test.id} passes although it asked"
            if claim.verdict in SUPPORTED and asking & {test.id for test in claim.tests}:
                yield f"claim {claim.id} is {claim.verdict}"


def _context(world: Audited, folder: Path) -> Context:
    return Context(
        run=folder,
        plan=world.plan,
        settings=world.settings,
        tests={test.id: test for _, test in world.policy.tests()},
        checks=world.plugins.checks,
        sources=world.plugins.sources,
        redactor=Redactor(),
        secret=lambda ref: resolve(ref, world.settings.folder),
        clock=utcnow,
        cancelled=threading.Event(),
    )


@contextmanager
def _reading(path: Path) -> Iterator[Segment]:
    segment = Segment.read(path)
    try:
        yield segment
    finally:
        segment.release()


def _answers(path: Path) -> Iterator[AnswerLine]:
    decoder = msgspec.json.Decoder(AnswerLine)
    for line in path.read_bytes().splitlines():
        if line.startswith(b'{"kind":"answer"'):
            yield decoder.decode(line)


def _replies(path: Path) -> dict[str, tuple[str, str, dict[str, Any], list[Reply]]]:
    """Return the recorded replies of a segment with their targets, by question: no two sources ask the same."""
    found: dict[str, tuple[str, str, dict[str, Any], list[Reply]]] = {}
    for line in _answers(path):
        question = key(line.operation, line.params)
        *_, replies = found.setdefault(question, (line.target, line.operation, line.params, []))
        replies.append(
            Reply(
                status=line.status,
                started_at=line.started_at,
                ended_at=line.ended_at,
                body=line.body,
                attempts=line.attempts,
                error=line.error,
                server_time=line.server_time,
                redacted=line.redacted,
                last=line.page.last if line.page else True,
            )
        )
    return found


@pytest.mark.parametrize("name", ["healthy", "broken"])
def test_no_fault_in_any_answer_gives_a_false_verdict(
    name: str, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    """Every fault in every answer; in the broken world every fifth, the others in the long tests."""
    experiment = Experiment(request.getfixturevalue(name), tmp_path)
    every = 1 if name == "healthy" else 5  # no divisor of the number of faults: every kind has its turn
    problems = [line for task in experiment.tasks() for line in experiment.violations(task, every=every)]
    assert not problems, "\n".join(problems[:20])


@pytest.mark.long
def test_no_fault_in_any_answer_of_the_broken_world(broken: Audited, tmp_path: Path) -> None:
    experiment = Experiment(broken, tmp_path)
    problems = [line for task in experiment.tasks() for line in experiment.violations(task)]
    assert not problems, "\n".join(problems[:20])


def test_playing_the_record_back_changes_nothing(healthy: Audited, tmp_path: Path) -> None:
    """The positive control: without a fault the same claims are supported."""
    experiment = Experiment(healthy, tmp_path)
    for task in experiment.tasks():
        recorded = _replies(healthy.run / "evidence" / f"{task.id}.jsonl")
        findings, claims = experiment._audited_with(task, {name: found for name, (*_, found) in recorded.items()})
        assert {claim.verdict for claim in claims} == {ClaimVerdict.SUPPORTED}
        assert {f.id: f.outcome for f in findings} == {f.id: f.outcome for f in healthy.findings()}


def test_without_the_guard_on_the_wire_it_fails(
    healthy: Audited, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The test above notices: with AWS's bodies believed unchecked, faults become verdicts."""
    monkeypatch.setattr(aws_wire, "check_xml", lambda *_, **__: None)
    monkeypatch.setattr(aws_connection, "require", lambda *_: None)
    experiment = Experiment(healthy, tmp_path)
    problems = [line for task in experiment.tasks() if task.target == "prod" for line in experiment.violations(task)]
    assert any("invented fail" in line for line in problems), problems[:9]
    assert any("passes although it asked" in line or "is supported" in line for line in problems)
