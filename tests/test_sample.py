"""`reports/sample/`: the committed run of the broken world says today what it said when it was made.

Whoever changes a message, a check, the policy or a report's look writes it again with `make sample`, and sees in the
diff what changed for a reader.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from auditor import engine, keys, plugins
from auditor.engine import Plugins
from auditor.model import EvidenceError
from tests.world_runs import PACK, ROOT

SAMPLE = ROOT / "reports" / "sample"
KEYS = ROOT / "reports" / "sample.keys.json"
REPORTS = ("evidence.csv", "report.csv", "report.html", "report.json", "report.junit.xml", "report.md")
STALE = "the sample is stale: write it again with `make sample`"


@pytest.fixture
def found() -> Plugins:
    return Plugins(plugins.checks(), plugins.sources(), plugins.reports())


def files(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_it_is_sealed_and_whole() -> None:
    subprocess.run(["sha256sum", "--check", "--strict", "--quiet", "SHA256SUMS"], cwd=SAMPLE, check=True)
    listed = {line.split("  ", 1)[1] for line in (SAMPLE / "SHA256SUMS").read_text().splitlines()}
    assert files(SAMPLE).keys() == listed | {"SHA256SUMS", "manifest.statement.json"}


def test_it_is_judged_again_byte_for_byte(found: Plugins, tmp_path: Path) -> None:
    """Findings and every report, from the sealed answers alone."""
    engine.evaluate(SAMPLE, tmp_path, found, tuple(found.reports), keys.load(KEYS))
    again = files(tmp_path)
    assert again == {name: data for name, data in files(SAMPLE).items() if name in again}, STALE
    assert again.keys() >= {*REPORTS, *(f"findings/{path.name}" for path in (SAMPLE / "findings").iterdir())}


def test_its_reports_are_rendered_again_byte_for_byte(tmp_path: Path) -> None:
    """By the command a reader would use."""
    out = tmp_path / "again"
    report = [sys.executable, "-m", "auditor", "report", str(SAMPLE), "--keys", str(KEYS)]
    command = [*report, "-o", str(out), "-f", "html,junit,markdown,csv,evidence"]
    subprocess.run(command, check=True, capture_output=True)
    assert files(out) == {name: data for name, data in files(SAMPLE).items() if name in REPORTS}, STALE


def test_a_changed_answer_would_be_noticed(found: Plugins, tmp_path: Path) -> None:
    """The positive control: the comparison above does read the evidence."""
    copy = tmp_path / "run"
    shutil.copytree(SAMPLE, copy)
    segment = copy / "evidence" / "code.main.jsonl"
    segment.write_bytes(segment.read_bytes().replace(b'"founder-hugo"', b'"founder-hugh"'))
    with pytest.raises(EvidenceError, match="is not what was sealed"):
        engine.evaluate(copy, tmp_path / "again", found, ("json",), keys.load(KEYS))


def test_it_is_of_the_present_policy_checks_and_formats(found: Plugins) -> None:
    assert files(SAMPLE / "policy") == {path.name: path.read_bytes() for path in PACK.iterdir()}, STALE
    report = json.loads((SAMPLE / "report.json").read_bytes())
    assert {finding["check"] for finding in report["findings"]} == found.checks.keys(), STALE
    assert {report.filename for report in found.reports.values()} <= files(SAMPLE).keys(), STALE
    assert report["run"]["organization"] == "Explo (demo world: broken)"
