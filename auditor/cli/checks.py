"""`auditor checks`: what this installation can test."""

from __future__ import annotations

import shutil
import sys
import textwrap

import click


@click.command(name="checks")
def command() -> int:
    """List the checks: what each proves, what it cannot, on what basis, and what it asks for."""
    from auditor import plugins
    from auditor.policy_rules import required_params
    from auditor.wording import harmless

    width = shutil.get_terminal_size().columns if sys.stdout.isatty() else 100
    for check in sorted(plugins.checks().values(), key=lambda check: check.id):
        required = required_params(check)
        names = [name if name in required else f"{name} (optional)" for name in check.params.__struct_encode_fields__]
        click.echo(f"{check.id}  {harmless(check.title)}")
        for line in (
            f"reads {', '.join(check.sources)}, once per {check.shard}; by {check.basis.value}",
            *([f"params: {', '.join(names)}"] if names else []),
            f"population: {check.population}",
            f"proves: {check.proves}",
            *(f"cannot prove: {limit}" for limit in check.cannot_prove),
        ):
            click.echo(textwrap.fill(harmless(line), width, initial_indent=" " * 4, subsequent_indent=" " * 8))
        click.echo()
    return 0
