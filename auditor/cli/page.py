"""Plain text for a person: wrapped between words to the width of the terminal, and unable to command it."""

from __future__ import annotations

import shutil
import sys
import textwrap

import click

from auditor.wording import harmless

USUAL_WIDTH = 100


def width() -> int:
    """Return how many columns there are."""
    return shutil.get_terminal_size().columns if sys.stdout.isatty() else USUAL_WIDTH


def line(text: str = "", *, indent: int = 0, hanging: int = 0) -> None:
    """Print a paragraph: `indent` columns in, its further lines `hanging` more."""
    click.echo(wrapped(text, width(), indent=indent, hanging=hanging))


def wrapped(text: str, columns: int, *, indent: int = 0, hanging: int = 0) -> str:
    """Return a paragraph as `line` prints it."""
    return textwrap.fill(
        harmless(text),
        columns,
        initial_indent=" " * indent,
        subsequent_indent=" " * (indent + hanging),
        break_long_words=False,
        break_on_hyphens=False,
    )
