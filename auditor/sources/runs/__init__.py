"""Earlier runs, asked what their sealed evidence says: so a check can compare what is with what was.

Every run of the folder is verified first, and that none was taken out of their chain; else there is no answer.
"""

from __future__ import annotations

from contextlib import AbstractContextManager, closing

from auditor.questions import Connection, Opening, SourceType
from auditor.sources.runs.operations import OPERATIONS, text
from auditor.sources.runs.target import RunsTarget, declare


def _open(target: RunsTarget, opening: Opening) -> AbstractContextManager[Connection]:
    from auditor.sources.runs.connection import RunsConnection  # noqa: PLC0415 - cryptography: only an audit needs it

    return closing(RunsConnection(target, opening))


SOURCE = SourceType(
    name="runs",
    settings=RunsTarget,
    operations=OPERATIONS,
    declare=declare,
    open=_open,
    where=("/path",),
    parallel_questions=1,  # every answer comes from the same index, which the first question builds
    denied=("denied",),
    grants={"runs": text},
)
