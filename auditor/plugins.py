"""Finds checks, sources and report formats: ours by walking their packages, others' by entry points.

Each is a module with one constant (`CHECK`, `SOURCE` or `REPORT`). Nothing registers itself. Everything is looked at
before anything is used, so that one start names every mistake of every plug-in.
"""

from __future__ import annotations

import importlib
import importlib.metadata
import pkgutil
from collections.abc import Iterator, Mapping
from functools import cache
from typing import TypeVar

import msgspec

from auditor import __version__, plugin_rules
from auditor.checking import Check
from auditor.model import Problem, UsageError
from auditor.plugin_rules import Candidate, Kind, Origin
from auditor.questions import SourceType
from auditor.results import ReportFormat

T = TypeVar("T")
OURS = "auditor"
"""The distribution that this is."""
CONSTANTS: Mapping[Kind, str] = {"checks": "CHECK", "sources": "SOURCE", "reports": "REPORT"}
"""The kinds of plug-in, and the name of the constant in each of our own modules."""


class Installed(msgspec.Struct, frozen=True):
    """Every plug-in of this installation, by its name, and where each comes from."""

    checks: Mapping[str, Check]
    sources: Mapping[str, SourceType]
    reports: Mapping[str, ReportFormat]
    origins: Mapping[tuple[Kind, str], Origin]


def checks() -> Mapping[str, Check]:
    """Every check, by its id."""
    return installed().checks


def sources() -> Mapping[str, SourceType]:
    """Every kind of source, by the `type` of its targets."""
    return installed().sources


def reports() -> Mapping[str, ReportFormat]:
    """Every report format, by its name."""
    return installed().reports


def origin(kind: Kind, name: str) -> Origin:
    """Return which distribution a plug-in comes from."""
    return installed().origins[kind, name]


@cache
def installed() -> Installed:
    """Find all plug-ins; `UsageError` carries everything that is wrong with any of them."""
    candidates: list[Candidate] = []
    problems: list[Problem] = []
    for kind in CONSTANTS:
        candidates += _ours(kind)
        for entry in importlib.metadata.entry_points(group=f"auditor.{kind}"):
            where = _origin(entry)
            try:
                candidates.append(Candidate(kind, entry.load(), where))
            except (Exception, SystemExit) as error:  # noqa: BLE001 - boundary: whatever a stranger's module raises
                said = " ".join(f"{type(error).__name__}: {error}".split())
                problems.append(Problem(f"plug-in {where} cannot be loaded: {said}"))
    problems += plugin_rules.problems(candidates)
    if problems:
        raise UsageError(*problems)
    return Installed(
        checks=_by_name(candidates, Check),
        sources=_by_name(candidates, SourceType),
        reports=_by_name(candidates, ReportFormat),
        origins={(one.kind, plugin_rules.name_of(one.value)): one.origin for one in candidates},
    )


def _ours(kind: Kind) -> Iterator[Candidate]:
    package = importlib.import_module(f"auditor.{kind}")
    for module in pkgutil.iter_modules(package.__path__, f"auditor.{kind}."):
        loaded = importlib.import_module(module.name)
        if hasattr(loaded, CONSTANTS[kind]):
            yield Candidate(kind, getattr(loaded, CONSTANTS[kind]), Origin(OURS, __version__, module.name))


def _origin(entry: importlib.metadata.EntryPoint) -> Origin:
    if entry.dist is None:
        return Origin("unknown", "", entry.value)
    return Origin(entry.dist.name, entry.dist.version, entry.value)


def _by_name(candidates: list[Candidate], kind: type[T]) -> dict[str, T]:
    return {plugin_rules.name_of(one.value): one.value for one in candidates if isinstance(one.value, kind)}
