"""Which task asks which target for which test: policies by targets, before anything is asked. Pure."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from auditor.checking import Check
from auditor.model import JSON, Privacy, Problem, UsageError
from auditor.policy import Policy, Selectors, Test
from auditor.pseudonyms import holds_address
from auditor.questions import RegionShards, SourceType
from auditor.settings import Settings

SCHEMA = "auditor/plan/1"
SHARDS = {"target": "main", "account": "account"}
DESELECTED = "deselected on the command line"


class PlannedTarget(msgspec.Struct, frozen=True, kw_only=True):
    """A target as declared, without any secret."""

    id: str
    type: str
    tags: tuple[str, ...]
    declared: dict[str, JSON]


class Selection(msgspec.Struct, frozen=True, kw_only=True):
    """What the command line left of the policy; empty means everything."""

    claims: tuple[str, ...] = ()
    tests: tuple[str, ...] = ()
    checks: tuple[str, ...] = ()
    targets: tuple[str, ...] = ()


class PlannedTest(msgspec.Struct, frozen=True, kw_only=True):
    """A test bound to targets; `excluded` says why it is not carried out at all, or not everywhere."""

    id: str
    claim: str
    check: str
    targets: tuple[str, ...]
    excluded: str = ""


class Task(msgspec.Struct, frozen=True, kw_only=True):
    """One shard of one target, with every test that reads it.

    Where `fan_out` is set, the source's question for its regions is asked here, and `region_tests` follow in tasks
    of their own.
    """

    target: str
    shard: str
    tests: tuple[str, ...]
    fan_out: bool = False
    region_tests: tuple[str, ...] = ()

    @property
    def id(self) -> str:
        """The name of the task, and of its segment's file."""
        return f"{self.target}.{self.shard}"


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """What is asked of whom. `tasks` are those known before the first answer; region tasks come of an answer."""

    organization: str
    targets: tuple[PlannedTarget, ...]
    tests: tuple[PlannedTest, ...]
    tasks: tuple[Task, ...]
    selection: Selection
    privacy: Privacy = "plain"
    schema: str = SCHEMA

    def target(self, name: str) -> PlannedTarget:
        """Return a target by its id."""
        return next(target for target in self.targets if target.id == name)


def declare(settings: Settings, sources: Mapping[str, SourceType]) -> tuple[PlannedTarget, ...]:
    """Return the targets of the settings as they may be published."""
    return tuple(
        PlannedTarget(
            id=target.id,
            type=target.type,
            tags=target.tags,
            declared={"type": target.type, **sources[target.type].declare(target.settings)},
        )
        for target in settings.targets
    )


def selectors(targets: tuple[PlannedTarget, ...], sources: Mapping[str, SourceType]) -> Selectors:
    """Return what a policy may name as a target."""
    return Selectors(
        ids={target.id: target.type for target in targets},
        tags=frozenset(tag for target in targets for tag in target.tags),
        types=frozenset(sources),
    )


def make(
    policy: Policy,
    targets: tuple[PlannedTarget, ...],
    organization: str,
    checks: Mapping[str, Check],
    selection: Selection | None = None,
    privacy: Privacy = "plain",
) -> Plan:
    """Bind every test to its targets, and gather the tests of each shard into one task, in policy order.

    `UsageError` where answers will hold pseudonyms and a test is given an address to compare with them.
    """
    if privacy == "pseudonymous":
        _refuse_addresses(policy)
    chosen = selection or Selection()
    planned = []
    by_task: dict[tuple[str, str], list[str]] = {}
    by_region: dict[str, list[str]] = {}
    for claim, test in policy.tests():
        check = checks[test.check]
        bound, excluded = _bind(claim.id, test, check, targets, chosen)
        planned.append(PlannedTest(id=test.id, claim=claim.id, check=check.id, targets=bound, excluded=excluded))
        for target in bound:
            if check.shard == "region":
                by_region.setdefault(target, []).append(test.id)
            else:
                by_task.setdefault((target, SHARDS[check.shard]), []).append(test.id)
    for target in by_region:
        by_task.setdefault((target, "account"), [])
    tasks = tuple(
        Task(
            target=target,
            shard=shard,
            tests=tuple(tests),
            fan_out=shard == "account" and target in by_region,
            region_tests=tuple(by_region.get(target, ())) if shard == "account" else (),
        )
        for (target, shard), tests in by_task.items()
    )
    return Plan(
        organization=organization,
        targets=targets,
        tests=tuple(planned),
        tasks=tasks,
        selection=chosen,
        privacy=privacy,
    )


def region_tasks(task: Task, shards: RegionShards) -> tuple[Task, ...]:
    """Return the tasks that follow from the answer to the fan-out question."""
    return tuple(Task(target=task.target, shard=region, tests=task.region_tests) for region in shards.regions)


def _refuse_addresses(policy: Policy) -> None:
    """Refuse parameters that no answer can be equal to: what they stand for would be judged as missing."""
    problems = [
        Problem(f"test {test.id}: params name an e-mail address, but answers hold pseudonyms: write its own there")
        for _, test in policy.tests()
        if holds_address(msgspec.json.encode(test.params).decode())
    ]
    if problems:
        raise UsageError(*problems)


def _bind(
    claim: str, test: Test, check: Check, targets: tuple[PlannedTarget, ...], selection: Selection
) -> tuple[tuple[str, ...], str]:
    for chosen, name in ((selection.claims, claim), (selection.tests, test.id), (selection.checks, check.id)):
        if chosen and name not in chosen:
            return (), DESELECTED
    members = [
        target
        for target in targets
        if target.type == check.target_type and not {target.id, target.type, *target.tags}.isdisjoint(test.targets)
    ]
    if not members:
        return (), f"no target of type {check.target_type} is {' or '.join(test.targets)}"
    bound = tuple(target.id for target in members if not selection.targets or target.id in selection.targets)
    left_out = [target.id for target in members if target.id not in bound]
    return bound, f"{DESELECTED}: {', '.join(left_out)}" if left_out else ""


def to_json(plan: Mapping[str, JSON], **more: JSON) -> bytes:
    """Return the plan, in builtin types, as it is kept in the run."""
    return msgspec.json.format(msgspec.json.encode({**plan, **more}), indent=2) + b"\n"
