"""`report.json`: the whole report for programs (schema `auditor/report/1`), written as it is read, never held.

People look at it too, on terminals and in editors: what would act there stands as an escape, which means the same.
"""

from __future__ import annotations

import json
import re
from typing import IO, Any

import msgspec

from auditor.results import SCHEMA, ReportFormat, RunView

_ENCODER = msgspec.json.Encoder()
_ACTING = re.compile(
    "[\x7f-\x9f\xad\u061c\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb\U000e0000-\U000e0fff]"
)
"""Controls and what changes the direction of text or is not seen; JSON itself escapes only the first 32."""


def render(run: RunView, out: IO[bytes]) -> None:
    """Write the report; one line per finding, so that it can be read with grep as well."""
    head = run.head
    out.write(b'{"schema":' + _encoded(SCHEMA))
    for name in ("run", "summary", "claims"):
        out.write(b',\n"' + name.encode() + b'":' + _encoded(getattr(head, name)))
    out.write(b',\n"findings":[')
    for index, finding in enumerate(run.findings()):
        out.write((b",\n" if index else b"\n") + _encoded(finding))
    out.write(b'\n],\n"registers":' + _encoded(head.registers) + b"}\n")


def _encoded(value: Any) -> bytes:
    data = _ENCODER.encode(value)
    if data.isascii() and b"\x7f" not in data:
        return data
    return _ACTING.sub(lambda found: json.dumps(found[0])[1:-1], data.decode()).encode()


REPORT = ReportFormat(name="json", filename="report.json", summary="everything, for programs", render=render)
