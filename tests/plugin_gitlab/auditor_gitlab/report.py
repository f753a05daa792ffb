"""`claims.txt`: one line per claim, for a message or a terminal."""

from __future__ import annotations

from typing import IO

from auditor.results import ReportFormat, RunView
from auditor.wording import harmless


def render(run: RunView, out: IO[bytes]) -> None:
    """Write the claims; findings are not read."""
    for claim in run.head.claims:
        out.write(f"{claim.verdict.value} {claim.id}: {harmless(claim.statement)}\n".encode())


REPORT = ReportFormat(name="lines", filename="claims.txt", summary="one line per claim", render=render)
