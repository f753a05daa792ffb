"""What a shell may offer next: commands and options by click, ids from the policies, settings and runs that are there.

Whatever goes wrong here, nothing is offered and nothing is said: it would be said in the middle of somebody's typing.
"""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import click
from click.shell_completion import CompletionItem, shell_complete

from auditor.cli import COMPLETE

RUN = re.compile(r"\d{8}T\d{6}Z-[0-9a-f]{8}")
PLAIN = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
"""Names that no shell takes for anything but text."""

Completer = Callable[[click.Context, click.Parameter, str], list[CompletionItem[str]]]


def complete(group: click.Group, instruction: str) -> int:
    """Carry out what a shell's script asks for; the exit code is 0 also where nothing can be offered."""
    with open(os.devnull, "w", encoding="utf-8") as nowhere, contextlib.redirect_stderr(nowhere):  # noqa: PTH123
        try:
            shell_complete(group, {}, "auditor", COMPLETE, instruction)
        except Exception:  # noqa: BLE001 - boundary: a traceback would stand in the line that somebody is typing
            return 0
    return 0


def _of(names: Callable[[click.Context], Iterable[str]]) -> Completer:
    """Return what offers the names that begin as the word does."""

    def offer(context: click.Context, parameter: click.Parameter, incomplete: str) -> list[CompletionItem[str]]:
        del parameter
        found = dict.fromkeys(name for name in names(context) if PLAIN.fullmatch(name))
        return [CompletionItem(name) for name in found if name.startswith(incomplete)]

    return offer


def _checks(context: click.Context) -> Iterable[str]:
    del context
    from auditor import plugins

    return sorted(plugins.checks())


def _types(context: click.Context) -> Iterable[str]:
    del context
    from auditor import plugins

    return sorted(plugins.sources())


def _targets(context: click.Context) -> Iterator[str]:
    config = Path(context.params.get("config") or "auditor.yaml")
    return _ids(_read([config]), "targets")


def _claims(context: click.Context) -> Iterator[str]:
    return _ids(_read(_files(context)), "claims")


def _tests(context: click.Context) -> Iterator[str]:
    claims = (claim for data in _read(_files(context)) for claim in _rows(data, "claims"))
    return _ids(claims, "tests")


def _files(context: click.Context) -> Sequence[Path]:
    path = Path(context.params.get("policies") or "policies/explo")
    return sorted(path.glob("[!.]*.y*ml")) if path.is_dir() else [path]


def _read(files: Iterable[Path]) -> Iterator[Any]:
    """Yield what the files hold, as far as they can be read; nobody asks here whether it is valid."""
    from auditor.yamlcore import Reading

    for file in files:
        with contextlib.suppress(OSError, UnicodeDecodeError):
            yield Reading(file.read_text(encoding="utf-8")).data


def _rows(data: Any, key: str) -> list[Any]:
    rows = data.get(key) if isinstance(data, dict) else None
    return rows if isinstance(rows, list) else []


def _ids(holders: Iterable[Any], key: str) -> Iterator[str]:
    found = (row.get("id") for holder in holders for row in _rows(holder, key) if isinstance(row, dict))
    return (name for name in found if isinstance(name, str))


def formats(context: click.Context, parameter: click.Parameter, incomplete: str) -> list[CompletionItem[str]]:
    """Offer the names of report formats, each after those that are already there."""
    del context, parameter
    import importlib.metadata
    import pkgutil

    before, comma, begun = incomplete.rpartition(",")
    ours = Path(__file__).parent.parent / "reports"
    names = {module.name for module in pkgutil.iter_modules([str(ours)])}
    names |= {entry.name for entry in importlib.metadata.entry_points(group="auditor.reports")}
    left = sorted(names - set(before.split(",")))
    return [CompletionItem(f"{before}{comma}{name}") for name in left if name.startswith(begun)]


def runs(context: click.Context, parameter: click.Parameter, incomplete: str) -> list[CompletionItem[str]]:
    """Offer the run folders, the newest first; where there are none, any folder."""
    del context, parameter
    folder = Path(incomplete).parent if "/" in incomplete else Path("reports")
    there = sorted(folder.iterdir(), reverse=True) if folder.is_dir() else []
    found = [str(path) for path in there if RUN.fullmatch(path.name) and str(path).startswith(incomplete)]
    return [CompletionItem(path) for path in found] or [CompletionItem(incomplete, type="dir")]


checks, types, targets, claims, tests = map(_of, (_checks, _types, _targets, _claims, _tests))
