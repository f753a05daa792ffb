"""`report.md`: a summary for a pull request or a CI job, cut before GitHub would refuse it ($GITHUB_STEP_SUMMARY).

GitHub aborts the upload of a summary of more than 1,024 KiB, so the text ends at 1,000,000 bytes, between two rows, and
says how much was left out; the claims come first. Findings are read once for each kind of exception.

Names come from systems that strangers write to. Each is one line; everything that Markdown or HTML reads as more than
text is a character reference, which cannot stand for structure (CommonMark 0.31, 2.5), and what GitHub makes links and
mentions of after that (`@name`, `#1`, `www.`, `://`) is in a `<code>` element, where it looks for none.
"""

from __future__ import annotations

import re
import string
from collections.abc import Iterable, Iterator, Sequence
from typing import IO

from auditor.model import Outcome
from auditor.results import ClaimResult, Finding, Head, ReportFormat, RunView, TestResult
from auditor.wording import counted, harmless

MOST_BYTES = 1_000_000
RESERVED = 10_000
"""Bytes kept back for headings and for what is said of what was left out."""
MOST_NAME, MOST_TEXT, MOST_REASONS, MOST_RECONCILED = 200, 600, 4, 8

EXCEPTIONS = (
    (Outcome.FAIL, "Exceptions"),
    (Outcome.ERROR, "Could not be told"),
    (Outcome.MANUAL, "Need evidence from elsewhere"),
)
_STRUCTURE = {ord(char): f"&#{ord(char)};" for char in set(string.punctuation) - set(",.()/'-+:;=?%")}
_LINKED = re.compile(r"@|://|#(?=[0-9])|www\.|gh-(?=[0-9])|mailto:|xmpp:", re.IGNORECASE)


class _Page:
    """Writes lines while they fit, and counts those that do not."""

    def __init__(self, out: IO[bytes]) -> None:
        self._out = out
        self._left = MOST_BYTES

    def say(self, line: str = "") -> None:
        """Write a line of ours: short, and always written."""
        data = f"{line}\n".encode()
        self._left -= len(data)
        self._out.write(data)

    def rows(self, rows: Iterable[str]) -> int:
        """Write rows up to the first that does not fit; return how many were left out."""
        left_out = 0
        for row in rows:
            if left_out or len(row.encode()) + 1 > self._left - RESERVED:
                left_out += 1
            else:
                self.say(row)
        return left_out


def render(run: RunView, out: IO[bytes]) -> None:
    """Write the claims, the exceptions, and what the populations were held against, as far as they fit."""
    head = run.head
    page = _Page(out)
    counts = head.summary.claims
    page.say(f"## Security claims of {safe(head.run.organization, MOST_NAME)}")
    page.say()
    if head.run.what_if:
        page.say(
            f"**What-if**: this evidence was {safe(head.run.what_if, MOST_TEXT)}. These are no results of the run."
        )
        page.say()
    page.say(
        f"**{counted(len(head.claims), 'claim')}**: {counts.supported} supported, {counts.supported_with_exceptions} "
        f"supported with exceptions, {counts.refuted} refuted, {counts.unproven} unproven; "
        f"{counted(head.summary.population, 'subject')} in scope."
    )
    page.say()
    page.say("| Verdict | Claim | Statement | Basis | Why |")
    page.say("|---|---|---|---|---|")
    _say_left_out(page, page.rows(map(_claim, head.claims)), "claim")
    for outcome, title in EXCEPTIONS:
        _say_exceptions(page, run, outcome, title)
    populations = [row for claim in head.claims for test in claim.tests for row in _completeness(claim, test)]
    if populations:
        page.say()
        page.say("### Completeness of the populations")
        page.say()
        page.say("| Claim, test | Held against |")
        page.say("|---|---|")
        _say_left_out(page, page.rows(populations), "test")
    scope = head.run.scope
    _say_scope(page, "Not reached", [(item.task, item.error) for item in scope if not item.reached], len(scope))
    unread = [(item.task, item.incomplete) for item in scope if item.incomplete]
    _say_scope(page, "Not read to the end", unread, len(scope))
    for line in _foot(head):
        page.say()
        page.say(line)


def _say_exceptions(page: _Page, run: RunView, outcome: Outcome, title: str) -> None:
    total = getattr(run.head.summary.findings, outcome.value)
    if not total:
        return
    page.say()
    page.say(f"### {title}: {total:,}")
    page.say()
    page.say("| Claim, test | Severity | Resource | What was found | Evidence |")
    page.say("|---|---|---|---|---|")
    rows = (_finding(finding) for finding in run.findings() if finding.outcome is outcome)
    _say_left_out(page, page.rows(rows), "finding")


def _say_scope(page: _Page, title: str, tasks: Sequence[tuple[str, str]], declared: int) -> None:
    if not tasks:
        return
    page.say()
    page.say(f"### {title}: {counted(len(tasks), 'task')} of {declared:,}")
    page.say()
    page.say("| Task | Why |")
    page.say("|---|---|")
    _say_left_out(page, page.rows(f"| {name(task)} | {safe(why, MOST_TEXT)} |" for task, why in tasks), "task")


def _say_left_out(page: _Page, count: int, noun: str) -> None:
    if count:
        page.say()
        page.say(f"_{counted(count, noun)} left out here, for a summary may have 1 MiB: see report.json._")


def _claim(claim: ClaimResult) -> str:
    verdict = claim.verdict.value.replace("_", " ")
    reasons = [safe(reason, MOST_TEXT) for reason in claim.reasons[:MOST_REASONS]]
    if len(claim.reasons) > MOST_REASONS:
        reasons.append(f"and {len(claim.reasons) - MOST_REASONS:,} more")
    basis = claim.basis.value if claim.basis else "none"
    why = "<br>".join(reasons)
    return f"| **{verdict}** | {name(claim.id)} | {safe(claim.statement, MOST_TEXT)} | {basis} | {why} |"


def _completeness(claim: ClaimResult, test: TestResult) -> Iterator[str]:
    lines = [f"{row.where}: {row.words}" for row in test.reconciled[:MOST_RECONCILED]]
    if left := len(test.reconciled) - len(lines):
        lines.append(f"and {left:,} more in report.json")
    if lines := [*lines, *test.unreconciled]:
        yield f"| {name(claim.id)}<br>{name(test.id)} | {'<br>'.join(safe(line, MOST_TEXT) for line in lines)} |"


def _finding(finding: Finding) -> str:
    resource = finding.resource
    parts = [f"{safe(resource.type, MOST_NAME)} {name(resource.id)}"]
    if resource.name:
        parts.append(f"called {name(resource.name)}")
    parts.append(" ".join(["on", name(finding.target), *([f"in {name(resource.region)}"] if resource.region else [])]))
    message = safe(finding.message, MOST_TEXT)
    if finding.waiver:
        message += f"<br>accepted by waiver {name(finding.waiver.id)} until {safe(finding.waiver.expires, 40)}"
    place = next((f"{cite.file}:{cite.lines[0]} {cite.pointer}".rstrip() for cite in finding.evidence), "")
    of = f"{name(finding.claim)}<br>{name(finding.test)}"
    found_in = name(place) if place else ""
    return f"| {of} | {finding.severity.value} | {'<br>'.join(parts)} | {message} | {found_in} |"


def _foot(head: Head) -> Iterator[str]:
    run = head.run
    tool = safe(f"{run.tool.name} {run.tool.version}", 80)
    yield f"Run {name(run.id)}, as of {run.as_of:%Y-%m-%d %H:%M:%S} UTC, by {tool}."
    yield f"_{safe(run.disclaimer, 1000)}_"
    if run.privacy_note:
        yield f"_{safe(run.privacy_note, 1000)}_"


def safe(text: str, most: int) -> str:
    """Return text that is only text to Markdown, to HTML and to GitHub, on one line, cut to so many characters."""
    shown = _shown(text, most)
    parts = []
    done = 0
    for found in _LINKED.finditer(shown):
        parts += [_refer(shown[done : found.start()]), f"<code>{_refer(found[0])}</code>"]
        done = found.end()
    return "".join([*parts, _refer(shown[done:])])


def name(text: str) -> str:
    """Return a name as code: nothing in it is formatted, linked or notified."""
    return f"<code>{_refer(_shown(text, MOST_NAME))}</code>"


def _shown(text: str, most: int) -> str:
    shown = harmless(text[: most + 1])  # a character never becomes less than one
    return shown if len(shown) <= most else shown[: most - 1] + "…"


def _refer(text: str) -> str:
    return text.translate(_STRUCTURE)


REPORT = ReportFormat(
    name="markdown", filename="report.md", summary="a summary under 1 MiB, for GitHub's step summary", render=render
)
