"""What a person sees: progress on stderr while it runs, the claims on stdout when it is done."""

from __future__ import annotations

import re
import sys
import textwrap
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from rich.cells import cell_len
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.text import Text

from auditor.engine import Progress as Silent
from auditor.model import ClaimVerdict
from auditor.results import ClaimResult, Head, RunInfo
from auditor.wording import counted, harmless

STYLES = {
    ClaimVerdict.SUPPORTED: "bold green",
    ClaimVerdict.SUPPORTED_WITH_EXCEPTIONS: "bold green",
    ClaimVerdict.REFUTED: "bold red",
    ClaimVerdict.UNPROVEN: "bold yellow",
}
MOST_WORDS = 320
"""Characters of one reason or example: four lines of an ordinary terminal. The reports have the rest."""
QUESTION = re.compile(r"(?<=\w)\((\w+=[^()]{20})[^()]+\): ")
"""The parameters of a long question, as `describe_question` puts them; a name in brackets stands after a space."""
LEAST_WIDTH = 20
FILLER = "\0"
"""Stands for the second column of a wide character while lines are counted; harmless text has none."""


def console(*, color: bool) -> Console:
    """Return a console on stdout; no escape codes but on a terminal, and none at all without colour."""
    return Console(
        color_system="auto" if color else None,
        width=None if sys.stdout.isatty() else 100,
        highlight=False,
        emoji=False,
        markup=False,
    )


class _Shown(Silent):
    def __init__(self, bar: Progress) -> None:
        self._bar = bar
        self._task = bar.add_task("asking", total=0)
        self._total = 0

    def planned(self, tasks: int) -> None:
        """So many more tasks are known."""
        self._total += tasks
        self._bar.update(self._task, total=self._total)

    def done(self, task: str) -> None:
        """A task was carried out."""
        self._bar.update(self._task, advance=1, description=f"asked {task}")

    def judging(self) -> None:
        """Collection is over."""
        self._bar.update(self._task, description="judging")


@contextmanager
def progress(*, color: bool) -> Iterator[Silent]:
    """Show progress on stderr, where that is a terminal."""
    if not sys.stderr.isatty():
        yield Silent()
        return
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True, no_color=not color), transient=True) as bar:
        yield _Shown(bar)


def show_claims(screen: Console, head: Head) -> None:
    """Print every claim with its verdict, its basis and why."""
    for claim in head.claims:
        verdict = (claim.verdict.value.replace("_", " "), STYLES[claim.verdict])
        basis = f"by {claim.basis.value}" if claim.basis else "no basis"
        screen.print(Text.assemble(verdict, "  ", (harmless(claim.id), "bold"), (f"  {basis}", "dim")))
        show_indented(screen, f"“{harmless(claim.statement)}”", hang=1)
        _show_why(screen, claim)
        screen.print()
    counts = head.summary.claims
    figures = (
        (counts.supported, "supported"),
        (counts.supported_with_exceptions, "supported with exceptions"),
        (counts.refuted, "refuted"),
        (counts.unproven, "unproven"),
    )
    parts = ", ".join(f"{count} {name}" for count, name in figures if count)
    screen.print(
        f"{counted(len(head.claims), 'claim')}: {parts}; {counted(head.summary.population, 'subject')} in scope"
    )


def _show_why(screen: Console, claim: ClaimResult) -> None:
    """Print what the claim's tests found, an example to a line, then what else there is to say of it."""
    for test in claim.tests:
        for examples in test.examples:
            show_indented(screen, f"{harmless(test.id)}: {examples.heading}")
            for words in filter(None, [*examples.first, examples.more]):
                show_indented(screen, f"- {_cut(words)}", "dim", indent=6)
    for reason in claim.other_reasons:
        show_indented(screen, _cut(reason))


def show_seal(screen: Console, run: RunInfo, key_id: str) -> None:
    """Print the run's place in the chain, who signed it, and who else says when it was."""
    signed = f"signed by key {key_id[:16]}…" if key_id else "not signed (auditor keys generate makes a key)"
    show_indented(screen, f"sealed as number {run.sequence} of the chain, {signed}", indent=0, hang=4)
    if run.timestamp is not None:
        show_indented(screen, harmless(run.timestamp.words), indent=0, hang=4)


def show_line(screen: Console, text: str) -> None:
    """Print one line that is harmless already; on a terminal it is wrapped between words and indented."""
    if screen.is_terminal:
        show_indented(screen, text, indent=0, hang=4)
    else:
        screen.print(text, soft_wrap=True)


def show_files(screen: Console, files: Iterable[Path]) -> None:
    """Print where the reports are, one path a line, whole however long."""
    for file in files:
        screen.print(harmless(str(file)), soft_wrap=True)


def show_indented(screen: Console, text: str, style: str = "", *, indent: int = 4, hang: int = 2) -> None:
    """Print a paragraph, harmless already, wrapped between words and indented, its further lines by some columns more.

    Columns are counted as the terminal does: names in wide characters must not spill into a line that looks like ours.
    """
    filled = "".join(char + FILLER * (cell_len(char) - 1) for char in text)
    width = screen.width - (filled != text)  # a break may fall inside of a wide character
    before, after = " " * indent, " " * (indent + hang)
    lines = textwrap.wrap(
        filled,
        max(width, len(after) + LEAST_WIDTH),
        initial_indent=before,
        subsequent_indent=after,
        break_on_hyphens=False,
    )
    for line in lines:
        screen.print(Text(line.replace(FILLER, ""), style=style), no_wrap=True, overflow="ignore", crop=False)


def _cut(text: str) -> str:
    """Return text that is not too long, of questions less than of what came back."""
    shown = harmless(text)
    if len(shown) > MOST_WORDS:
        shown = QUESTION.sub(r"(\1…): ", shown)
    return shown if len(shown) <= MOST_WORDS else shown[: MOST_WORDS - 1] + "…"
