"""Lines for people: harmless to a terminal, wrapped between words on one, whole where a program reads them."""

from __future__ import annotations

import os
import shutil
import sys
import textwrap
from typing import TextIO

import click

DEFAULT = 80
"""Columns, where a terminal does not say how many it has."""


def inert(text: str) -> str:
    """Return text that commands neither a terminal nor GitHub's runner, which reads `##[name]` anywhere in a line."""
    from auditor.wording import harmless

    return harmless(text).replace("##[", "##\\u005b")


def complain(*lines: str) -> None:
    """Print lines on stderr: what is wrong, one line each; on a terminal the continued ones are indented."""
    for line in lines:
        _print(line, "    ", err=True)


def say(line: str, indent: str = "") -> None:
    """Print one line of a result on stdout; on a terminal it is continued under `indent`."""
    _print(line, indent, err=False)


def _columns(terminal: TextIO) -> int:
    """Return the width of a terminal; COLUMNS counts, and stdout may be something else than stderr."""
    return shutil.get_terminal_size((0, 0)).columns or os.get_terminal_size(terminal.fileno()).columns or DEFAULT


def _print(line: str, indent: str, *, err: bool) -> None:
    text = inert(line)
    stream = sys.stderr if err else sys.stdout
    if stream.isatty() and len(text) > (width := _columns(stream)):
        begin = text[: len(text) - len(text.lstrip())]
        text = textwrap.fill(
            text.lstrip(), width, initial_indent=begin, subsequent_indent=indent,
            break_long_words=False, break_on_hyphens=False,
        )  # fmt: skip
    click.echo(text, err=err)
