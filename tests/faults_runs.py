"""Faults in the files of earlier runs: what carries the bytes of the source `runs` is the file system."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

from auditor import seal
from auditor.questions import Opening, Operation, Reply
from auditor.sources.runs.connection import RunsConnection
from auditor.sources.runs.target import RunsTarget
from auditor.tasks import Context
from tests.fault_kinds import PORTAL, Fault


def spoil(file: Path, fault: Fault) -> bool:
    """Put a fault into a file; False where there is none of this kind: nobody waits for a file.

    `refuse`: something that cannot be read as a file stands in its place; `mistype_word`: one bit is turned;
    `mistype_number`: the file is gone.
    """
    data = file.read_bytes()
    middle = len(data) // 2
    if fault == "refuse":
        file.unlink()
        (file / "something").mkdir(parents=True)
    elif fault == "mistype_number":
        file.unlink()
    elif fault != "timeout":
        file.write_bytes(
            {
                "break": PORTAL,
                "truncate": data[:middle],
                "mistype_word": data[:middle] + bytes([data[middle] ^ 1]) + data[middle + 1 :],
            }[fault]
        )
    return fault != "timeout"


class RunsHarness:
    """Earlier runs, in a copy of their folder without the run that is looked at, which is the last one there.

    A piece is a file of the last of them: its statements, its list of digests, and each segment that it could answer
    from. What faults in its other files do is tested at the source itself.
    """

    def __init__(self, context: Context, target: str, shard: str) -> None:
        del shard
        settings = next(one.settings for one in context.settings.targets if one.id == target)
        assert isinstance(settings, RunsTarget)
        latest = seal.latest_run(context.settings.folder / settings.path)
        assert latest is not None
        self._temporary = Path(tempfile.mkdtemp())
        self._original = self._temporary / "original"
        shutil.copytree(settings.path, self._original, ignore=shutil.ignore_patterns(latest[0].id))
        self._settings, self._context = settings, context
        newest = seal.latest_run(self._original)
        assert newest is not None
        segments = sorted((self._original / newest[0].id / "evidence").iterdir())
        names = [f"evidence/{path.name}" for path in segments if b'"ec2.describe_volumes"' in path.read_bytes()]
        self._files = [f"{newest[0].id}/{name}" for name in (seal.EVIDENCE, seal.MANIFEST, seal.SUMS, *names[:1])]

    def record(self, operation: Operation, params: Mapping[str, Any]) -> int:
        """Count the files; the control is that without a fault the answer can be had."""
        (reply,) = self._ask(self._original, operation, params)
        assert reply.status == "ok", reply.error
        assert reply.body["runs"]
        return len(self._files)

    def tampered(self, operation: Operation, params: Mapping[str, Any], page: int, fault: Fault) -> list[Reply] | None:
        copy = self._temporary / "copy"
        shutil.rmtree(copy, ignore_errors=True)
        shutil.copytree(self._original, copy)
        return self._ask(copy, operation, params) if spoil(copy / self._files[page], fault) else None

    def close(self) -> None:
        shutil.rmtree(self._temporary)

    def _ask(self, folder: Path, operation: Operation, params: Mapping[str, Any]) -> list[Reply]:
        opening = Opening(
            shard="main",
            secret=self._context.secret,
            conceal=lambda _: None,
            folder=self._context.settings.folder,
        )
        connection = RunsConnection(msgspec.structs.replace(self._settings, path=str(folder)), opening)
        try:
            return list(connection.ask(operation, params))
        finally:
            connection.close()
