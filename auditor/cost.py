"""What a run would ask of whom, and how many calls that takes at least: arithmetic over what checks declare. Pure.

A question is asked once however many tests of a task want it, so an operation counts with the largest minimum among
them; who asks (identity) is asked by every task, of every target that it reads.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import msgspec

from auditor.checking import Check
from auditor.plan import Plan, Task
from auditor.policy import Test
from auditor.questions import Effect, Operation, SourceType

SCHEMA = "auditor/cost/1"
EACH_REGION = "each region"
"""The shard of tasks of which nobody knows yet how many there are."""


class Question(msgspec.Struct, frozen=True, kw_only=True):
    """An operation that a task may ask of a target, and its least number of calls; 0: as many as there are subjects."""

    target: str
    operation: str
    summary: str
    effect: Effect
    least: int


class TaskCost(msgspec.Struct, frozen=True, kw_only=True):
    """A task, or one for each enabled region: its tests, what they may ask, and the least number of calls."""

    target: str
    type: str
    shard: str
    tests: tuple[str, ...]
    questions: tuple[Question, ...]
    calls: int


class Excluded(msgspec.Struct, frozen=True, kw_only=True):
    """A test that is not carried out, or not everywhere, and why."""

    test: str
    claim: str
    reason: str


class Cost(msgspec.Struct, frozen=True, kw_only=True):
    """A whole run: `calls` at least, and `calls_each_region` more in each enabled region of the target.

    As JSON (`auditor plan -f json`): {schema, organization, tasks[{target, type, shard, tests[], questions[{target,
    operation, summary, effect, least}], calls}], calls, calls_each_region{target: calls}, excluded[{test, claim,
    reason}]}.
    """

    organization: str
    tasks: tuple[TaskCost, ...]
    calls: int
    calls_each_region: dict[str, int]
    excluded: tuple[Excluded, ...]
    schema: str = SCHEMA


def estimate(
    plan: Plan, tests: Mapping[str, Test], checks: Mapping[str, Check], sources: Mapping[str, SourceType]
) -> Cost:
    """Return what the plan costs at least; `tests` are those of the policy, by id."""
    kinds = {target.id: sources[target.type] for target in plan.targets}
    tasks = []
    for task in plan.tasks:
        tasks.append(_task(task, kinds, tests, checks))
        if task.fan_out:
            region = Task(target=task.target, shard=EACH_REGION, tests=task.region_tests)
            tasks.append(_task(region, kinds, tests, checks))
    return Cost(
        organization=plan.organization,
        tasks=tuple(tasks),
        calls=sum(task.calls for task in tasks if task.shard != EACH_REGION),
        calls_each_region={task.target: task.calls for task in tasks if task.shard == EACH_REGION},
        excluded=tuple(
            Excluded(test=test.id, claim=test.claim, reason=test.excluded) for test in plan.tests if test.excluded
        ),
    )


def _task(
    task: Task, kinds: Mapping[str, SourceType], tests: Mapping[str, Test], checks: Mapping[str, Check]
) -> TaskCost:
    declared = [one for name in task.tests for one in _declared(task.target, tests[name], checks)]
    least: dict[tuple[str, str], int] = {}
    for target in dict.fromkeys([task.target, *(target for target, _, _ in declared)]):
        if kinds[target].identity:
            least[target, kinds[target].identity] = 1
    if task.fan_out:
        least[task.target, kinds[task.target].fan_out] = 1
    for target, operation, count in declared:
        least[target, operation] = max(least.get((target, operation), 0), count)
    questions = tuple(
        _question(target, kinds[target].operations[operation], count) for (target, operation), count in least.items()
    )
    return TaskCost(
        target=task.target,
        type=kinds[task.target].name,
        shard=task.shard,
        tests=task.tests,
        questions=questions,
        calls=sum(question.least for question in questions),
    )


def _declared(target: str, test: Test, checks: Mapping[str, Check]) -> Iterator[tuple[str, str, int]]:
    """Yield what a test may ask: target, operation and least number of questions."""
    check = checks[test.check]
    for kind, operations in check.sources.items():
        name = target if kind == check.target_type else test.with_[kind]
        for operation, count in operations.items():
            yield name, operation, count


def _question(target: str, row: Operation, least: int) -> Question:
    return Question(target=target, operation=row.name, summary=row.summary, effect=row.effect, least=least * row.calls)
