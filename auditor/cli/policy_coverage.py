"""`auditor policy coverage`: a published page against the pack."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from auditor.cli import options
from auditor.cli.complaint import say
from auditor.cli.exit_codes import UNPROVEN, epilog

if TYPE_CHECKING:
    from auditor.coverage import Coverage, Passage, Trace
    from auditor.policy import Quote
    from auditor.results import Reference

MOST_BYTES = 10_000_000
STDIN = "-"
LABELS = {"claim": "claimed", "cuec": "customer", "subservice": "vendor", "not_claim": "no claim"}
"""How a sentence is labelled, by what speaks of it; the first that applies."""
EXIT_CODES = epilog(
    done="every sentence has a row, and every quote is on the page",
    unproven="a sentence has no row, or a quote changed or vanished",
)


@click.command(name="coverage", epilog=EXIT_CODES)
@click.argument("page", metavar="PAGE")
@options.policies
@click.option("--source", metavar="URL", default="", help="The source that PAGE is, where the pack quotes several.")
@click.option(
    "-f",
    "--format",
    "form",
    type=click.Choice(("text", "json")),
    default="text",
    show_default=True,
    help="What to print.",
)
def command(page: str, policies: Path, source: str, form: str) -> int:
    """Hold a saved copy of the published page against the pack.

    PAGE is a file in HTML, Markdown or plain text; - is stdin. Every sentence is told apart: covered by a row of the
    pack (and which words are not quoted), or without one; and every quote: found, changed or vanished. Words are
    compared, not punctuation. Pictures are not read.
    """
    from auditor import coverage, plugins, policy
    from auditor import page as pages

    pack = policy.load(policies, plugins.checks())
    reference, quotes = coverage.published(pack, source)
    found = coverage.compare(pages.read(_read(page), "" if page == STDIN else page), quotes)
    if form == "json":
        import msgspec

        click.echo(json.dumps(msgspec.to_builtins(found), indent=2, ensure_ascii=False))
    else:
        _show(found, reference)
    return 0 if found.complete else UNPROVEN


def _read(page: str) -> bytes:
    from auditor.model import Problem, UsageError
    from auditor.wording import unreadable

    try:
        if page == STDIN:
            raw = sys.stdin.buffer.read(MOST_BYTES + 1)
        else:
            with Path(page).open("rb") as handle:
                raw = handle.read(MOST_BYTES + 1)
    except FileNotFoundError:
        raise UsageError(Problem("there is no such file; save the page and name its file", page)) from None
    except OSError as error:
        raise UsageError(Problem(unreadable(error), page)) from None
    if len(raw) > MOST_BYTES:
        raise UsageError(Problem(f"is larger than {MOST_BYTES:,} bytes", page))
    return raw


def _show(found: Coverage, reference: Reference) -> None:
    """Print the page sentence by sentence, then the quotes that are not on it, then the sums."""
    for passage in found.passages:
        if passage.state != "apart":
            _show_passage(passage)
    told_apart = [passage for passage in found.passages if passage.state == "apart" and passage.kind != "question"]
    if told_apart:
        say("")
        say("Headings and links, which are not compared; one may be a claim:")
        say("  " + " | ".join(passage.text for passage in told_apart), "  ")
    missing = [trace for trace in found.traces if trace.fate != "found"]
    if missing:
        say("")
    for trace in missing:
        _show_trace(trace)
    say("")
    retrieved = f", retrieved {reference.retrieved}" if reference.retrieved else ""
    say(f"{reference.title} ({reference.url or reference.document}{retrieved})")
    say(_sums(found))


def _show_passage(passage: Passage) -> None:
    say(f"{_label(passage):<10}{passage.text}", " " * 10)
    if passage.quotes:
        rows = ", ".join(dict.fromkeys(_row(quote) for quote in passage.quotes))
        left = "; not quoted: " + " | ".join(passage.left_over) if passage.left_over else ""
        say(f"{'':<10}- {rows}{left}", " " * 12)


def _label(passage: Passage) -> str:
    roles = {quote.role for quote in passage.quotes}
    return next((label for role, label in LABELS.items() if role in roles), passage.state.upper())


def _row(quote: Quote) -> str:
    return f"({quote.row})" if quote.role == "not_claim" else quote.row


def _show_trace(trace: Trace) -> None:
    file, line = trace.quote.place
    say(f"{trace.fate.upper():<10}{_row(trace.quote)}  {file}:{line}", " " * 10)
    if trace.fate == "changed":
        say(f"{'':<10}{trace.difference}", " " * 10)
        say(f"{'':<10}in: {trace.nearest}", " " * 12)
    else:
        say(f"{'':<10}“{trace.quote.text}”: no sentence is like it", " " * 10)


def _sums(found: Coverage) -> str:
    from auditor.wording import counted

    labels = [_label(passage) for passage in found.passages if passage.state != "apart"]
    sentences = ", ".join(f"{labels.count(label)} {label.lower()}" for label in dict.fromkeys(labels))
    fates = [trace.fate for trace in found.traces]
    quotes = ", ".join(f"{fates.count(fate)} {fate}" for fate in dict.fromkeys(fates))
    return f"{counted(len(labels), 'sentence')}: {sentences}; {counted(len(fates), 'quote')}: {quotes}"
