"""`report.csv`: one row per finding, for spreadsheets (RFC 4180, UTF-8 without a byte order mark).

A spreadsheet runs what looks like a formula, whoever wrote it: a bucket called `=HYPERLINK(…)` would act on whoever
opens the file (OWASP: CSV injection). Such a cell gets a quotation mark `'` before it, which makes it text. Every cell
is in double quotes, so that no separator of any locale can begin a new one inside, and holds no line break: one
finding, one line. Excel cuts a cell at 32,767 characters and says nothing; here the cut is visible.
"""

from __future__ import annotations

import csv
import io
import unicodedata
from collections.abc import Iterable
from typing import IO

from auditor.results import Finding, ReportFormat, RunInfo, RunView
from auditor.wording import harmless

COLUMNS = (
    "id",
    "outcome",
    "claim",
    "test",
    "check",
    "severity",
    "basis",
    "target",
    "resource_type",
    "resource_id",
    "resource_name",
    "region",
    "message",
    "advice",
    "waiver",
    "waiver_expires",
    "evidence",
    "run",
    "as_of",
    "what_if",
)
MOST_IN_CELL = 32_767
"""UTF-16 units that Excel keeps of a cell."""
FORMULA = frozenset("=+-@\u2212")
"""What begins a formula, after compatible forms (full width, small) were made plain."""


def render(run: RunView, out: IO[bytes]) -> None:
    """Write the rows as the findings are read."""
    write(out, COLUMNS, (values(finding, run.head.run) for finding in run.findings()))


def write(out: IO[bytes], columns: Iterable[str] | None, rows: Iterable[Iterable[str]]) -> None:
    """Write a heading, where there is one, and rows as they are read, their values made harmless."""
    text = io.TextIOWrapper(out, encoding="utf-8", newline="", write_through=True)
    try:
        writer = csv.writer(text, quoting=csv.QUOTE_ALL, lineterminator="\r\n")
        if columns is not None:
            writer.writerow(columns)
        writer.writerows(map(cell, row) for row in rows)
    finally:
        text.detach()  # the file stays open: it is the caller's


def values(finding: Finding, run: RunInfo) -> tuple[str, ...]:
    """Return the values of a finding, one for each of the columns; `cell` makes them harmless."""
    resource = finding.resource
    places = (f"{cite.file}:{cite.lines[0]}-{cite.lines[1]} {cite.pointer}".rstrip() for cite in finding.evidence)
    return (
        finding.id,
        finding.outcome.value,
        finding.claim,
        finding.test,
        finding.check,
        finding.severity.value,
        finding.basis.value,
        finding.target,
        resource.type,
        resource.id,
        resource.name,
        resource.region,
        finding.message,
        finding.advice,
        finding.waiver.id if finding.waiver else "",
        finding.waiver.expires if finding.waiver else "",
        "; ".join(places),
        run.id,
        f"{run.as_of:%Y-%m-%dT%H:%M:%SZ}",
        run.what_if,
    )


def cell(text: str) -> str:
    """Return text that no spreadsheet takes for a formula, with what acts made visible, cut to what Excel keeps."""
    shown = harmless(text)
    return _cut(f"'{shown}" if _acts(text) or _acts(shown) else shown)


def _acts(text: str) -> bool:
    if text.startswith(("\t", "\r", "\n")):
        return True
    first = unicodedata.normalize("NFKC", text.lstrip()[:1])
    return first[:1] in FORMULA


def _cut(text: str) -> str:
    if 2 * len(text) <= MOST_IN_CELL or len(text.encode("utf-16-le")) <= 2 * MOST_IN_CELL:
        return text
    return text.encode("utf-16-le")[: 2 * (MOST_IN_CELL - 1)].decode("utf-16-le", errors="ignore") + "…"


REPORT = ReportFormat(name="csv", filename="report.csv", summary="one row per finding, for spreadsheets", render=render)
