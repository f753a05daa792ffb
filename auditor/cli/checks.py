"""`auditor checks`: what this installation can test."""

from __future__ import annotations

import click


@click.command(name="checks")
def command() -> int:
    """List the checks: what each proves, on what basis, and what it asks for."""
    from rich.text import Text

    from auditor import plugins
    from auditor.cli import screen

    console = screen.console(color=False)
    for check in sorted(plugins.checks().values(), key=lambda check: check.id):
        console.print(Text(check.id, style="bold"), Text(f"  {check.title}", style=""), sep="")
        console.print(f"    reads {', '.join(check.sources)}, once per {check.shard}; by {check.basis.value}")
        console.print(Text(f"    proves: {check.proves}"))
    return 0
