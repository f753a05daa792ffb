"""`report.csv` as a spreadsheet and as a program read it."""

from __future__ import annotations

import csv
import io

import pytest

from auditor.model import Citation
from auditor.reports.csv import COLUMNS, MOST_IN_CELL, REPORT, cell
from auditor.results import Finding, Waiver
from tests import hostile
from tests.report_runs import Stored, a_finding, a_head, a_run


def rendered(run: Stored) -> bytes:
    out = io.BytesIO()
    REPORT.render(run, out)
    return out.getvalue()


def rows_of(data: bytes) -> list[dict[str, str]]:
    """Read a report; a row that is not as wide as the heading is an error."""
    found = list(csv.DictReader(io.StringIO(data.decode("utf-8"), newline=""), strict=True))
    assert all(row.keys() == set(COLUMNS) and None not in row.values() for row in found)
    return found


def rows(run: Stored) -> list[dict[str, str]]:
    return rows_of(rendered(run))


def test_every_finding_is_one_row_and_one_line() -> None:
    found = rows(a_run())
    assert len(found) == 205
    assert {row["id"] for row in found} == {finding.id for finding in a_run().findings()}
    waived = next(row for row in found if row["waiver"])
    assert (waived["outcome"], waived["waiver"], waived["waiver_expires"]) == ("pass", "W-1", "2027-01-31")
    assert waived["evidence"] == "evidence/prod.us-east-1.jsonl:7-7 /Volumes/0/Encrypted"
    assert (waived["run"], waived["as_of"]) == ("20261123T141502Z-9f3a1c07", "2026-11-23T14:19:44Z")
    raw = rendered(a_run())
    assert raw.count(b"\r\n") == raw.count(b"\n") == 206
    assert raw.startswith(b'"id","outcome",')


def test_without_findings_there_is_a_heading() -> None:
    assert rendered(Stored(a_head())) == ",".join(f'"{name}"' for name in COLUMNS).encode() + b"\r\n"


@pytest.mark.parametrize("text", hostile.FORMULAS)
def test_a_formula_becomes_text(text: str) -> None:
    assert cell(text).startswith("'")
    assert not cell(text).isspace()


@pytest.mark.parametrize(
    "text", ["vol-1", "1+1", "a=b", "", "é=1", "\u200b=1", "'=1", "(1)", "5 - 3", "arn:aws:s3:::x"]
)
def test_what_is_no_formula_stays_as_it_is(text: str) -> None:
    assert not cell(text).startswith("''")
    assert cell(text) == text.replace("\u200b", "\\u200b")


@pytest.mark.parametrize("text", ["x" * 40_000, "=" + "x" * 40_000, "\U0001f600" * 20_000, "a" + "\U0001f600" * 20_000])
def test_a_long_cell_is_cut_where_excel_would_and_says_so(text: str) -> None:
    shown = cell(text)
    assert MOST_IN_CELL - 1 <= len(shown.encode("utf-16-le")) // 2 <= MOST_IN_CELL
    assert shown.endswith("…")
    assert shown.removeprefix("'")[:-1] == text[: len(shown.removeprefix("'")) - 1]
    assert cell("x" * MOST_IN_CELL) == "x" * MOST_IN_CELL


def test_findings_are_read_once_and_never_held() -> None:
    alive = 0

    def findings() -> list[Finding]:
        nonlocal alive
        alive += 1
        return [a_finding(1, waiver=Waiver(id="W", approved_by="me", expires="2027-01-01"))]

    rendered(Stored(a_head(), findings))
    assert alive == 1


def test_several_citations_stand_in_one_cell() -> None:
    cites = (Citation("evidence/a.jsonl", (1, 3)), Citation("evidence/b.jsonl", (2, 2), "/x"))
    (row,) = rows(Stored(a_head(), [a_finding(1, evidence=cites)]))
    assert row["evidence"] == "evidence/a.jsonl:1-3; evidence/b.jsonl:2-2 /x"
