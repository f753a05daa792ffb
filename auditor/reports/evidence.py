"""`evidence.csv`: one row per evidence item, answers that nobody cites as well, with where each comes from.

For whoever must be satisfied that the evidence is complete and accurate. Cells are those of `report.csv`.
"""

from __future__ import annotations

import re
from typing import IO

from auditor.notices import FACTS
from auditor.reports.csv import write
from auditor.results import ReportFormat, RunView

COLUMNS = ("file", "line", *(re.sub(r"\W+", "_", fact.replace("'s", "").lower()) for fact in FACTS), "run", "what_if")


def render(run: RunView, out: IO[bytes]) -> None:
    """Write the rows as the evidence is read."""
    of_run = (run.head.run.id, run.head.run.what_if)
    write(out, COLUMNS, ((item.file, str(item.line), *item.facts.values(), *of_run) for item in run.items()))


REPORT = ReportFormat(
    name="evidence", filename="evidence.csv", summary="one row per answer, with where it comes from", render=render
)
