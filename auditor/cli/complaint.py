"""Lines for people: harmless to a terminal, wrapped between words on one, whole where a program reads them."""

from __future__ import annotations

import shutil
import sys
import textwrap

import click


def complain(*lines: str) -> None:
    """Print lines on stderr: what is wrong, one line each; on a terminal the continued ones are indented."""
    for line in lines:
        _print(line, "    ", err=True)


def say(line: str, indent: str = "") -> None:
    """Print one line of a result on stdout; on a terminal it is continued under `indent`."""
    _print(line, indent, err=False)


def _print(line: str, indent: str, *, err: bool) -> None:
    from auditor.wording import harmless

    text = harmless(line)
    if (sys.stderr if err else sys.stdout).isatty() and len(text) > (width := shutil.get_terminal_size().columns):
        begin = text[: len(text) - len(text.lstrip())]
        text = textwrap.fill(
            text.lstrip(), width, initial_indent=begin, subsequent_indent=indent,
            break_long_words=False, break_on_hyphens=False,
        )  # fmt: skip
    click.echo(text, err=err)
