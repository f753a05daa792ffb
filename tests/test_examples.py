"""The first findings of a kind, in words: in the report, and on the screen a line each."""

from __future__ import annotations

import msgspec
import pytest

from auditor.cli import screen
from auditor.model import ClaimVerdict, Outcome
from auditor.results import Examples
from tests.report_runs import a_claim, a_head, a_test
from tests.world_runs import Audited


@pytest.mark.parametrize(
    ("outcome", "count", "first", "reason"),
    [
        (Outcome.FAIL, 1, ("a: b",), "1 fail: a: b"),
        (Outcome.FAIL, 1_204, ("a", "b", "c"), "1,204 fail: a; b; c; and 1,201 more"),
        (Outcome.ERROR, 2, ("a", "b"), "2 could not be told: a; b"),
        (Outcome.MANUAL, 3, ("a",), "3 need evidence from elsewhere: a; and 2 more"),
    ],
)
def test_in_one_line(outcome: Outcome, count: int, first: tuple[str, ...], reason: str) -> None:
    assert Examples(outcome=outcome, count=count, first=first).reason == reason


def test_they_differ_are_few_and_are_counted(broken: Audited) -> None:
    tests = [(claim, test) for claim in broken.head.claims for test in claim.tests]
    assert [test for _, test in tests if any(len(one.first) == 3 < one.count for one in test.examples)]
    for claim, test in tests:
        assert {one.outcome.value: one.count for one in test.examples} == {
            name: count for name in ("fail", "error", "manual") if (count := getattr(test.counts, name))
        }
        for one in test.examples:
            assert 1 <= len(one.first) == len(set(one.first)) <= 3
            assert f"{test.id}: {one.reason}" in claim.reasons


def test_the_screen_shows_one_a_line_and_nothing_twice(capsys: pytest.CaptureFixture[str]) -> None:
    failing = Examples(outcome=Outcome.FAIL, count=3, first=("vol-1: is not encrypted", f"vol-2: {'m ' * 200}"))
    test = msgspec.structs.replace(a_test("volumes", Outcome.FAIL, fail=3), examples=(failing,))
    reasons = (f"volumes: {failing.reason}", "not tested: short-lived")
    claim = a_claim("at-rest", ClaimVerdict.REFUTED, test, statement="s " * 50, reasons=reasons)
    screen.show_claims(screen.console(color=False), a_head(claim))
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "refuted  at-rest  by configuration"
    assert lines[1].startswith("    “s s ")
    assert lines[2].startswith("     s s ")
    at = lines.index("    volumes: 3 fail")
    assert lines[at + 1] == "      - vol-1: is not encrypted"
    assert lines[at + 2].startswith("      - vol-2: m m ")
    assert lines[at + 3].startswith("        m m ")
    end = lines.index("      - and 1 more")
    assert lines[end - 1].endswith("…")
    assert lines[end + 1 : end + 3] == ["    not tested: short-lived", ""]
    assert lines[-1].startswith("1 claim: 1 refuted")
    assert max(map(len, lines)) <= 100
