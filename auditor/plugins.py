"""Finds checks, sources and report formats: ours by walking their packages, others' by entry points.

Each is a module with one constant (`CHECK`, `SOURCE` or `REPORT`). Nothing registers itself.
"""

from __future__ import annotations

import importlib
import importlib.metadata
import pkgutil
from collections.abc import Mapping
from functools import cache
from typing import TypeVar

from auditor.checking import Check
from auditor.model import Problem, UsageError
from auditor.questions import SourceType
from auditor.results import ReportFormat
from auditor.wording import quoted

T = TypeVar("T")


def checks() -> Mapping[str, Check]:
    """Every check, by its id."""
    return {check.id: check for check in _found("checks", "CHECK", Check).values()}


def sources() -> Mapping[str, SourceType]:
    """Every kind of source, by the `type` of its targets."""
    return {source.name: source for source in _found("sources", "SOURCE", SourceType).values()}


def reports() -> Mapping[str, ReportFormat]:
    """Every report format, by its name."""
    return {report.name: report for report in _found("reports", "REPORT", ReportFormat).values()}


@cache
def _found(kind: str, constant: str, expected: type[T]) -> dict[str, T]:
    package = importlib.import_module(f"auditor.{kind}")
    found: dict[str, T] = {}
    problems: list[Problem] = []
    for module in pkgutil.iter_modules(package.__path__, f"auditor.{kind}."):
        loaded = importlib.import_module(module.name)
        if hasattr(loaded, constant):
            found[module.name] = getattr(loaded, constant)
    for entry in importlib.metadata.entry_points(group=f"auditor.{kind}"):
        origin = f"{entry.dist.name if entry.dist else 'unknown'}: {entry.value}"
        try:
            found[origin] = entry.load()
        except Exception as error:  # noqa: BLE001 - boundary: whatever a stranger's module raises becomes one line
            problems.append(Problem(f"plug-in {origin} cannot be loaded: {type(error).__name__}: {error}"))
    problems.extend(_mistakes(found, expected))
    if problems:
        raise UsageError(*problems)
    return found


def _mistakes(found: Mapping[str, object], expected: type[object]) -> list[Problem]:
    problems = []
    names: dict[str, str] = {}
    for origin, plugin in found.items():
        if not isinstance(plugin, expected):
            problems.append(
                Problem(f"plug-in {origin} must be a {expected.__name__}, not a value of type {type(plugin).__name__}")
            )
            continue
        name = plugin.id if isinstance(plugin, Check) else str(getattr(plugin, "name", ""))
        if name in names:
            problems.append(Problem(f"plug-in {origin} has the name {quoted(name)}, which {names[name]} already has"))
        names.setdefault(name, origin)
    return problems
