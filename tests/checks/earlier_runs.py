"""What the source `runs` answers about volumes."""

from __future__ import annotations

from typing import Any

from tests.checks.asking import Question, question
from tests.checks.iam_report import ACCOUNT

RUN = "20261122T141502Z-00000001"


def earlier(*ids: str) -> Question:
    """The question about these volumes."""
    return question(
        "distinct",
        operation="ec2.describe_volumes",
        target={"type": "aws", "account_id": ACCOUNT},
        items="/Volumes",
        id="/VolumeId",
        value="/KmsKeyId",
        flag="/Encrypted",
        ids=list(ids),
    )


def seen(key: str | None, *, runs: int = 1, run: str = RUN) -> dict[str, Any]:
    """One value that earlier runs saw; None: they saw a volume without a key."""
    value = {"absent": True} if key is None else {"absent": False, "value": key}
    where = {"file": "evidence/prod.eu-central-1.jsonl", "line": 3, "pointer": "/Volumes/0"}
    return {**value, "runs": runs, "run": run, "manifest_sha256": "5e" * 32, **where}
