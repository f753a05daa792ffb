"""`auditor completion`: the script that makes a shell complete commands, options and ids."""

from __future__ import annotations

import click
from click.shell_completion import FishComplete, add_completion_class, get_completion_class

from auditor.cli import COMPLETE

INSTALL = """\
\b
To have it in every new shell:
  bash   echo 'eval "$(auditor completion bash)"' >> ~/.bashrc
  zsh    echo 'eval "$(auditor completion zsh)"' >> ~/.zshrc
         (below the line with compinit)
  fish   auditor completion fish > ~/.config/fish/completions/auditor.fish
"""
SHELLS = ("bash", "zsh", "fish")


@add_completion_class
class Fish(FishComplete):
    """click's script for fish, which takes what follows a second comma for no part of the name."""

    source_template = FishComplete.source_template.replace('string split ","', 'string split --max 1 ","')


@click.command(name="completion", epilog=INSTALL)
@click.argument("shell", type=click.Choice(SHELLS), metavar="SHELL", required=False)
@click.pass_context
def command(context: click.Context, shell: str | None) -> int:
    """Print the script that makes a shell complete.

    SHELL is bash, zsh or fish; without it this text is printed. Completed are commands, options, choices, and the ids
    of your checks, claims, tests and targets.
    """
    from auditor.cli import auditor

    chosen = get_completion_class(shell or "")
    click.echo(chosen(auditor, {}, "auditor", COMPLETE).source() if chosen else context.get_help())
    return 0
