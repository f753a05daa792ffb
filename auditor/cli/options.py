"""Options that several commands share, and what follows from them."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import click

from auditor.results import Head

FAIL_ON = ("unproven", "refuted", "never")
REFUTED, UNPROVEN = 1, 3
ExistingFolder = click.Path(exists=True, file_okay=False, path_type=Path)

Decorator = Callable[[Callable[..., Any]], Callable[..., Any]]


def together(*decorators: Decorator) -> Decorator:
    """Apply several options as one decorator."""

    def apply(function: Callable[..., Any]) -> Callable[..., Any]:
        for decorator in reversed(decorators):
            function = decorator(function)
        return function

    return apply


output = click.option(
    "-o", "--output", type=click.Path(path_type=Path), default=Path("reports"), show_default=True, help="Where runs go."
)
formats = click.option(
    "-f", "--format", "formats", default="json,html", show_default=True, help="Reports to write, comma-separated."
)
workers = click.option("--workers", default="threads:16", show_default=True, help="Where tasks run: threads:N.")
fail_on = click.option(
    "--fail-on",
    type=click.Choice(FAIL_ON),
    default="unproven",
    show_default=True,
    help="What exits non-zero: unproven (3) and refuted (1); only refuted: then blindness passes; or never.",
)
verbose = click.option("-v", "--verbose", count=True, help="More on stderr; twice for everything.")
no_color = click.option("--no-color", is_flag=True, help="No colours (also: NO_COLOR).")
policies = click.option(
    "--policies",
    type=click.Path(path_type=Path),
    default=Path("policies/explo"),
    show_default=True,
    help="A policy pack: a folder of YAML files, or one file.",
)


def wants_color(*, no_color: bool) -> bool:
    """Whether colours may be used at all."""
    return not no_color and not os.environ.get("NO_COLOR")


def is_terminal() -> bool:
    """Whether a person looks at stdout."""
    return sys.stdout.isatty()


def chosen_formats(text: str, known: Sequence[str]) -> tuple[str, ...]:
    """Return the formats named; `report.json` is always among them, for it is what the other commands read."""
    names = dict.fromkeys(["json", *(name.strip() for name in text.split(",") if name.strip())])
    for name in names:
        if name not in known:
            raise click.BadParameter(
                f"unknown format {name!r}; known: {', '.join(sorted(known))}", param_hint="--format"
            )
    return tuple(names)


def exit_code(head: Head, fail_on: str) -> int:
    """Return the exit code that a report stands for."""
    if head.summary.claims.refuted and fail_on != "never":
        return REFUTED
    if head.summary.claims.unproven and fail_on == "unproven" and not head.summary.claims.refuted:
        return UNPROVEN
    return 0


def new_folder(path: Path) -> Path:
    """Return a folder to write results into; one that holds findings already would mix two results."""
    if path.exists() and (not path.is_dir() or any(path.iterdir())):
        raise click.BadParameter(f"{path} is not an empty folder", param_hint="--output")
    return path
