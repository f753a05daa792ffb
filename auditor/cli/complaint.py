"""What goes to stderr when something is wrong: one line each, wrapped for a person, whole for a program."""

from __future__ import annotations

import shutil
import sys
import textwrap

import click

from auditor.wording import harmless


def complain(*lines: str) -> None:
    """Print lines that cannot command a terminal; on one, they are wrapped between words and indented."""
    width = shutil.get_terminal_size().columns if sys.stderr.isatty() else 0
    for line in lines:
        text = harmless(line)
        if width:
            text = textwrap.fill(text, width, subsequent_indent="    ", break_long_words=False, break_on_hyphens=False)
        click.echo(text, err=True)
