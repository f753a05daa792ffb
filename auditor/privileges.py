"""Least privilege: which operations the enabled checks may ask, of which kind of target, for what. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

import msgspec

from auditor.checking import Check
from auditor.model import JSON
from auditor.plan import Plan
from auditor.policy import Policy, Test
from auditor.questions import Need, SourceType


class Use(msgspec.Struct, frozen=True, kw_only=True):
    """A check that is carried out: by which test, with which parameters; None where no policy says."""

    check: Check
    params: Mapping[str, JSON] | None = None


def needs(kind: SourceType, uses: Iterable[Use]) -> tuple[Need, ...]:
    """Return what these checks may ask of one kind of target, in the order of its table.

    Who asks is asked wherever anything is, and which regions there are wherever a check looks at each of them.
    """
    asked: dict[str, list[Use]] = {}
    for use in uses:
        operations = [*use.check.sources.get(kind.name, ())]
        if operations and kind.identity:
            operations.append(kind.identity)
        if use.check.shard == "region" and use.check.target_type == kind.name:
            operations.append(kind.fan_out)
        for operation in dict.fromkeys(operations):
            asked.setdefault(operation, []).append(use)
    return tuple(
        Need(
            operation=row,
            checks=tuple(dict.fromkeys(use.check.id for use in asked[name])),
            params=tuple(_distinct(use.params for use in asked[name] if use.params is not None)),
        )
        for name, row in kind.operations.items()
        if name in asked
    )


def of_targets(plan: Plan, policy: Policy, checks: Mapping[str, Check]) -> dict[str, list[Use]]:
    """Return what is carried out on each target of a plan, by its id, in the order of the settings."""
    tests = {test.id: test for _, test in policy.tests()}
    found: dict[str, list[Use]] = {target.id: [] for target in plan.targets}
    for planned in plan.tests:
        test = tests[planned.id]
        use = Use(check=checks[test.check], params=test.params)
        for target in dict.fromkeys([*planned.targets, *(test.with_.values() if planned.targets else ())]):
            found[target].append(use)
    return {target: uses for target, uses in found.items() if uses}


def of_types(uses: Sequence[Use], sources: Mapping[str, SourceType]) -> dict[str, list[Use]]:
    """Return what is carried out on each kind of target, by its name."""
    found = {name: [use for use in uses if name in use.check.sources] for name in sources}
    return {name: concerned for name, concerned in found.items() if concerned}


def of_tests(tests: Iterable[Test], checks: Mapping[str, Check]) -> list[Use]:
    """Return what the tests of a policy carry out."""
    return [Use(check=checks[test.check], params=test.params) for test in tests]


def _distinct(params: Iterable[Mapping[str, JSON]]) -> Iterator[Mapping[str, JSON]]:
    seen = set()
    for one in params:
        key = msgspec.json.encode(one, order="sorted")
        if key not in seen:
            seen.add(key)
            yield one
