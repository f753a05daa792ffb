"""`report.json`: the whole report for programs (schema `auditor/report/1`), written as it is read, never held."""

from __future__ import annotations

from typing import IO

import msgspec

from auditor.results import SCHEMA, ReportFormat, RunView


def render(run: RunView, out: IO[bytes]) -> None:
    """Write the report; one line per finding, so that it can be read with grep as well."""
    encode = msgspec.json.Encoder().encode
    head = run.head
    out.write(b'{"schema":' + encode(SCHEMA))
    for name in ("run", "summary", "claims"):
        out.write(b',\n"' + name.encode() + b'":' + encode(getattr(head, name)))
    out.write(b',\n"findings":[')
    for index, finding in enumerate(run.findings()):
        out.write((b",\n" if index else b"\n") + encode(finding))
    out.write(b'\n],\n"registers":' + encode(head.registers) + b"}\n")


REPORT = ReportFormat(name="json", filename="report.json", summary="everything, for programs", render=render)
