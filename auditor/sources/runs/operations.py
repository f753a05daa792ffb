"""What may be asked of earlier runs, and what that takes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any

from auditor.questions import Need, Operation
from auditor.sources.runs.target import RunsTarget

_ROWS = (
    Operation(
        name="distinct",
        summary="The distinct values that earlier runs saw at a pointer, for up to 1,000 resources.",
        permission="read access to the folder of earlier runs",
        needs_identity=False,
        asks_evidence=True,
    ),
)
OPERATIONS: Mapping[str, Operation] = MappingProxyType({row.name: row for row in _ROWS})


def text(settings: Any, needs: Sequence[Need], /) -> str:
    """Return what to set up before earlier runs are read, as sentences, one to a line."""
    if not needs:
        return ""
    path = settings.path if isinstance(settings, RunsTarget) else "the folder of earlier runs"
    keys = settings.keys if isinstance(settings, RunsTarget) else ""
    lines = [
        f"Let the audit read {path} and everything below it; it writes nothing there for this.",
        f"Let it read the public keys, {keys}."
        if keys
        else "Let it read the public keys, where runs are signed: keys, or auditor.keys.json beside auditor.yaml.",
        "Keep every run there: one that is missing from the chain, or was changed, makes every answer an error.",
    ]
    return "".join(f"{line}\n" for line in lines)
