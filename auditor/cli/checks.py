"""`auditor checks`: what this installation can test."""

from __future__ import annotations

import shutil
import sys
import textwrap
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, NamedTuple

import click

from auditor.cli.exit_codes import epilog

if TYPE_CHECKING:
    from auditor.checking import Check
    from auditor.questions import Operation, SourceType

LISTED, SHOWN = 100, 80
"""Columns of the list and of one check, where no terminal says how many it has."""


class Question(NamedTuple):
    """An operation that a check may ask, and the least number of times that a complete population takes."""

    source: str
    operation: Operation
    least: int

    @property
    def times(self) -> str:
        """How often it is asked, in words."""
        return f"at least {self.least}" if self.least else "as needed"


def questions(check: Check, sources: Mapping[str, SourceType]) -> Iterator[Question]:
    """Yield every question of a check, those to its target first."""
    for name, operations in check.sources.items():
        for operation, least in operations.items():
            yield Question(name, sources[name].operations[operation], least)


@click.group(name="checks", invoke_without_command=True)
@click.pass_context
def group(ctx: click.Context) -> None:
    """List the checks: what each proves, what it cannot, on what basis, and where it comes from.

    `auditor checks show ID` says everything about one of them.
    """
    if ctx.invoked_subcommand is not None:
        return
    from auditor import plugins
    from auditor.policy_rules import required_params
    from auditor.wording import harmless

    for check in sorted(plugins.checks().values(), key=lambda check: check.id):
        required = required_params(check)
        names = [name if name in required else f"{name} (optional)" for name in check.params.__struct_encode_fields__]
        click.echo(f"{check.id}  {harmless(check.title)}")
        for line in (
            _procedure(check),
            *([f"params: {', '.join(names)}"] if names else []),
            f"population: {check.population}",
            f"proves: {check.proves}",
            *(f"cannot prove: {limit}" for limit in check.cannot_prove),
            *_held_against(check),
            f"comes from {plugins.origin('checks', check.id).release}",
        ):
            click.echo(_filled(line, 4, 8, LISTED))
        click.echo()


@group.command(epilog=epilog(done="the check is shown"))
@click.argument("name", metavar="ID")
def show(name: str) -> int:
    """Say everything about one check, with an entry for a policy pack."""
    from auditor import plugins
    from auditor.model import Problem, UsageError
    from auditor.wording import or_known, quoted

    checks = plugins.checks()
    if name not in checks:
        raise UsageError(Problem(f"there is no check {quoted(name)}{or_known(name, checks)}"))
    for line in _everything(checks[name], plugins.sources(), plugins.origin("checks", name).release):
        click.echo(line)
    return 0


def _everything(check: Check, sources: Mapping[str, SourceType], release: str) -> Iterator[str]:
    """Yield the lines about one check."""
    yield _filled(f"{check.id}: {check.title}", 0, 4)
    yield _filled(_procedure(check), 4, 4)
    yield _filled(f"comes from {release}", 4, 4)
    for title, texts in (
        ("Population", [check.population]),
        ("Proves", [check.proves]),
        ("Cannot prove", [f"- {limit}" for limit in check.cannot_prove]),
        ("Completeness", list(_held_against(check))),
    ):
        yield from ("", title)
        yield from (_filled(text, 4, 6 if text.startswith("- ") else 4) for text in texts)
    yield from ("", "Asks")
    for question in questions(check, sources):
        row = question.operation
        yield _filled(f"{row.name} of {question.source}, {question.times}: {row.summary}", 4, 8)
        yield _filled("; ".join([row.effect, *([f"needs {row.permission}"] if row.permission else [])]), 8, 8)
    yield from _params(check)
    yield from _entry(check)


def _held_against(check: Check) -> Iterator[str]:
    """Yield what the population is held against, and where there is nothing to hold it against."""
    if check.second_source:
        yield f"second source: {check.second_source}"
    if check.no_second_source:
        yield f"no second source: {check.no_second_source}"


def _procedure(check: Check) -> str:
    """Say what a check reads, how often, and how strong the evidence is."""
    return f"reads {', '.join(check.sources)}, once per {check.shard}; by {check.basis.value}"


def _params(check: Check) -> Iterator[str]:
    from auditor.shapes import every_key, in_yaml

    keys = list(every_key(check.params))
    if keys:
        yield from ("", "Parameters")
    for key in keys:
        default = "none" if key.default is None else in_yaml(key.default)
        yield _filled(f"{key.name} ({'required' if key.required else f'default {default}'}): {key.kind}", 4, 8)
        if key.description:
            yield _filled(key.description, 8, 8)


def _entry(check: Check) -> Iterator[str]:
    from auditor.entries import policy_entry
    from auditor.shapes import NoExample

    yield from ("", "In a policy pack, below tests:")
    try:
        yield from policy_entry(check, "    ")
    except NoExample as error:
        yield _filled(f"none could be made up ({error}); the parameters are above", 4, 4)


def _filled(text: str, first: int, other: int, columns: int = SHOWN) -> str:
    from auditor.wording import harmless

    width = min(shutil.get_terminal_size().columns, 100) if sys.stdout.isatty() else columns
    return textwrap.fill(
        harmless(text),
        width,
        initial_indent=" " * first,
        subsequent_indent=" " * other,
        break_on_hyphens=False,
    )
