"""Everything a person wrote, read at once: all mistakes of all files are told together."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from auditor import plan, policy, settings
from auditor.checking import Check
from auditor.model import Problem, UsageError
from auditor.plan import PlannedTarget
from auditor.policy import Policy, Selectors
from auditor.questions import SourceType
from auditor.settings import Reading, Settings


def read(
    config: Path, policies: Path, checks: Mapping[str, Check], sources: Mapping[str, SourceType]
) -> tuple[Settings, Policy]:
    """Return settings and policy; `UsageError` carries every mistake of either."""
    reading = settings.read(config, sources)
    pack, problems = _policy(policies, checks, _selectors(reading, sources))
    if reading.settings is None or pack is None:
        raise UsageError(*reading.problems, *problems)
    return reading.settings, pack


def _policy(
    path: Path, checks: Mapping[str, Check], selectors: Selectors | None
) -> tuple[Policy | None, tuple[Problem, ...]]:
    try:
        return policy.load(path, checks, selectors), ()
    except UsageError as error:
        return None, error.problems


def _selectors(reading: Reading, sources: Mapping[str, SourceType]) -> Selectors | None:
    """Return what a policy may name, as far as the settings say it: a mistake elsewhere in them hides none here."""
    if reading.names is None:
        return None
    named = (PlannedTarget(id=one.id, type=one.type, tags=one.tags, declared={}) for one in reading.names)
    return plan.selectors(tuple(named), sources)
