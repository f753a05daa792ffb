"""How far the declared scope was reached: which tasks have evidence, of the right target, in which regions.

Read from closed segments only, so that a re-evaluation comes to the same.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

import msgspec

from auditor.evidence import Segment
from auditor.model import Citation, Unproven
from auditor.notebook import Questions
from auditor.plan import Plan, Task, region_tasks
from auditor.questions import RegionShards, SourceType
from auditor.results import ScopeItem

REGIONS = "regions"
"""The shard that stands for all regions of a target, where nobody knows which these are."""


class Reached(msgspec.Struct, frozen=True):
    """A task, and why nothing can be judged from it ("" where it can).

    `incomplete` is why it was not read to its end, as its segment says of itself. `segment` is the task whose segment
    says so, where this one has none: its findings stand there.
    """

    task: Task
    problem: str = ""
    cites: tuple[Citation, ...] = ()
    segment: str = ""
    incomplete: str = ""

    @property
    def findings(self) -> str:
        """The name of its findings file."""
        return f"{self.segment or self.task.id}.jsonl"

    @property
    def item(self) -> ScopeItem:
        """The line of the report's scope."""
        return ScopeItem(
            target=self.task.target,
            task=self.task.id,
            reached=not self.problem,
            error=self.problem,
            incomplete=self.incomplete,
        )


def reach(evidence: Path, plan: Plan, sources: Mapping[str, SourceType]) -> list[Reached]:
    """Return every task of the plan, with the region tasks that the sealed answers ask for."""
    found: list[Reached] = []
    for task in plan.tasks:
        kind = sources[plan.target(task.target).type]
        found.append(_one(evidence, task, kind))
        if task.fan_out:
            found.extend(_regions(evidence, task, kind, found[-1]))
    return found


def wrong_target(questions: Questions, kind: SourceType) -> str:
    """Return how the identity that answered contradicts the declaration; "" where it agrees, or could not be asked."""
    if kind.contradiction is None:
        return ""
    identity = questions.ask(kind.identity)
    if not identity.readable:
        return ""  # then every answer that depends on it is an error by itself
    try:
        difference = kind.contradiction(questions.target, identity)
    except Unproven as error:
        difference = error.reason
    return f"wrong target: {difference}" if difference else ""


def read_regions(questions: Questions, kind: SourceType) -> tuple[RegionShards, tuple[Citation, ...]]:
    """Read the answer to the fan-out question; `Unproven` where it cannot be read."""
    if kind.shards is None:
        return RegionShards(()), ()
    answer = questions.ask(kind.fan_out)
    return kind.shards(questions.target, answer), (answer.cite(),)


def _one(evidence: Path, task: Task, kind: SourceType) -> Reached:
    path = evidence / f"{task.id}.jsonl"
    if not path.is_file():
        return Reached(task, "was not reached: there is no closed segment of it")
    segment = Segment.read(path)
    try:
        questions = Questions(segment, task.target, kind)
        problem = wrong_target(questions, kind)
        if problem:
            return Reached(task, problem, tuple(Citation(segment.name, lines) for lines in questions.read))
        return Reached(task, incomplete=_unread(segment))
    finally:
        segment.release()


def _unread(segment: Segment) -> str:
    """Return why a segment was not read to its end, by its last line; "" where it was."""
    closed = segment.closed
    if closed is not None and closed.complete:
        return ""
    return (closed.error if closed is not None else "") or "its last line does not say why"


def _regions(evidence: Path, task: Task, kind: SourceType, account: Reached) -> Iterator[Reached]:
    unknown = Task(target=task.target, shard=REGIONS, tests=task.region_tests)
    if account.problem:
        yield Reached(unknown, account.problem, account.cites, task.id)
        return
    segment = Segment.read(evidence / f"{task.id}.jsonl")
    try:
        shards, cites = read_regions(Questions(segment, task.target, kind), kind)
    except Unproven as error:
        yield Reached(unknown, f"the regions could not be listed: {error.reason}", error.cites, task.id)
        return
    finally:
        segment.release()
    for region in region_tasks(task, shards):
        yield _one(evidence, region, kind)
    for name in shards.missing:
        missing = Task(target=task.target, shard=name, tests=task.region_tests)
        yield Reached(missing, "is not a region that is enabled in this account", cites, task.id)
    for name in shards.excluded:
        excluded = Task(target=task.target, shard=name, tests=())
        yield Reached(excluded, f"excluded by the settings: {shards.reason}", cites, task.id)
