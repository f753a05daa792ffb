"""`evidence.csv`: one row per evidence item, answers that nobody cites as well, with where each comes from.

For whoever must be satisfied that the evidence is complete and accurate. Cells are those of `report.csv`.
"""

from __future__ import annotations

import re
from typing import IO

from auditor.notices import FACTS
from auditor.reports.csv import write
from auditor.results import EvidenceItem, ReportFormat, RunInfo, RunView

COLUMNS = ("file", "line", *(re.sub(r"\W+", "_", fact.replace("'s", "").lower()) for fact in FACTS), "run", "what_if")


def render(run: RunView, out: IO[bytes]) -> None:
    """Write the rows as the evidence is read."""
    write(out, COLUMNS, (values(item, run.head.run) for item in run.items()))


def values(item: EvidenceItem, run: RunInfo) -> tuple[str, ...]:
    """Return the values of an answer, one for each of the columns."""
    return (item.file, str(item.line), *item.facts.values(), run.id, run.what_if)


REPORT = ReportFormat(
    name="evidence", filename="evidence.csv", summary="one row per answer, with where it comes from", render=render
)
