"""Populations held against a second source, by the real engine: both numbers, and never a verdict they do not carry."""

from __future__ import annotations

import html
import io
from pathlib import Path
from typing import Any

import msgspec
import pytest

from auditor import plugins
from auditor.answers import Answer
from auditor.checking import Reconciled
from auditor.judge import MOST_AGREEING, MOST_UNCOUNTED
from auditor.model import ClaimVerdict, Outcome, Unreadable
from auditor.questions import Failure
from auditor.reconciliation import NotHeld, Reconciliation
from auditor.reports import markdown
from auditor.results import Finding, TestResult
from tests.checks.asking import paged
from tests.report_runs import Stored, a_claim, a_head, a_test
from tests.test_engine import boxes
from tests.toy import Result, World, audit, claim

COUNTED: dict[str, Any] = {"id": "n", "check": "boxes-counted"}
DENIED = Failure("AccessDenied", "you may not")


def on_target(result: Result) -> list[Finding]:
    return [finding for finding in result.findings() if finding.resource.type == "target"]


def counted(folder: Path, *closed: int, test: dict[str, Any] | None = None, **world: Any) -> Result:
    return audit(World(boxes(*closed), **world), folder, claim("c", {**COUNTED, **(test or {})}))


def test_two_counts_that_agree_are_printed_with_both_numbers(tmp_path: Path) -> None:
    result = counted(tmp_path, 1, 1, census=2)
    (test,) = result.claim().tests
    assert result.claim().verdict is ClaimVerdict.SUPPORTED
    (row,) = test.reconciled
    assert (row.target, row.shard, row.listed, row.counted, row.source) == ("s", "main", 2, 2, "the census")
    assert row.words == "boxes: 2 listed, 2 counted by the census"
    assert [cite.pointer for cite in row.evidence] == ["", "/Boxes"]
    assert test.procedure.second_source == "the census counts the boxes"
    assert not on_target(result)


@pytest.mark.parametrize("census", [1, 3, 0])
def test_a_difference_is_one_error_on_the_target_with_both_numbers(tmp_path: Path, census: int) -> None:
    result = counted(tmp_path, 1, 1, census=census)
    assert result.claim().verdict is ClaimVerdict.UNPROVEN
    (finding,) = on_target(result)
    assert finding.outcome is Outcome.ERROR
    assert finding.message == f"population not reconciled: boxes: the list has 2, but the census counts {census}"
    assert [cite.pointer for cite in finding.evidence] == ["", "/Boxes"]
    (row,) = result.claim().tests[0].reconciled
    assert (row.agrees, row.listed, row.counted) == (False, 2, census)
    assert result.outcomes()["n/-/report"] == "pass"  # what comes after it is judged


def test_a_difference_leaves_a_fail_a_fail(tmp_path: Path) -> None:
    result = counted(tmp_path, 1, 0, census=3)
    assert result.claim().verdict is ClaimVerdict.REFUTED
    assert result.outcomes() == {"n/main/b0": "pass", "n/main/b1": "fail", "n/-/report": "pass", "n/-/s": "error"}


def test_a_difference_that_the_check_expects_is_told_and_no_error(tmp_path: Path) -> None:
    result = counted(tmp_path / "a", 1, 1, census=3, test={"params": {"new": 1}})
    assert result.claim().verdict is ClaimVerdict.SUPPORTED
    (row,) = result.claim().tests[0].reconciled
    assert row.words == "boxes: 2 listed, 3 counted by the census (the newest are not counted yet)"
    beyond = counted(tmp_path / "b", 1, 1, census=4, test={"params": {"new": 1}})
    assert beyond.claim().verdict is ClaimVerdict.UNPROVEN


@pytest.mark.parametrize(
    ("world", "reason"),
    [
        ({"census": 2, "errors": {"census": DENIED}}, "census(): AccessDenied: you may not"),
        ({"census": None}, "census(): /Boxes: Expected `int`, got `null`"),
        ({"census": "2"}, "census(): /Boxes: Expected `int`, got `str`"),
        ({"census": True}, "census(): /Boxes: Expected `int`, got `bool`"),
    ],
)
def test_a_second_source_that_cannot_be_read_is_an_error_and_what_follows_is_judged(
    tmp_path: Path, world: dict[str, Any], reason: str
) -> None:
    result = counted(tmp_path, 1, 0, **world)
    (finding,) = on_target(result)
    assert finding.message == f"population not reconciled: boxes: 2 listed, not held against the census: {reason}"
    assert result.outcomes()["n/main/b1"] == "fail"
    assert result.outcomes()["n/-/report"] == "pass"
    (row,) = result.claim().tests[0].reconciled
    assert (row.counted, row.problem) == (None, reason)
    only_passes = counted(tmp_path / "passes", 1, 1, **world)
    assert only_passes.claim().verdict is ClaimVerdict.UNPROVEN


def test_a_second_count_is_as_fresh_as_the_test_wants_its_evidence(tmp_path: Path) -> None:
    result = counted(tmp_path, 1, 1, census=2, test={"max_age": "P1D"})
    (finding,) = on_target(result)
    assert "not held against the census: stale: census() is of 2026-11-20 00:00 UTC" in finding.message
    (row,) = result.claim().tests[0].reconciled
    assert not row.agrees


def test_a_list_that_stops_is_incomplete_and_nothing_is_said_of_its_count(tmp_path: Path) -> None:
    world = World(boxes(1, 1, 1, 1), pages=2, census=4, errors={"boxes page 2": DENIED})
    result = audit(world, tmp_path, claim("c", COUNTED))
    (finding,) = on_target(result)
    assert finding.message.startswith("population incomplete: ")
    assert result.claim().tests[0].reconciled == ()
    told = result.claim().tests[0].completeness
    assert told[0] == "not held against the second source: the census counts the boxes"
    assert told[1].startswith("s: not held against the second source: population incomplete: boxes()")


def test_who_is_listed_twice_counts_once(tmp_path: Path) -> None:
    twice = [{"id": "b0", "closed": True}, {"id": "b1", "closed": True}, {"id": "b0", "closed": True}]
    result = audit(World(twice, census=2), tmp_path, claim("c", COUNTED))
    assert result.claim().verdict is ClaimVerdict.SUPPORTED
    (row,) = result.claim().tests[0].reconciled
    assert (row.listed, row.counted) == (2, 2)


def test_an_empty_population_is_held_against_its_count_before_it_passes(tmp_path: Path) -> None:
    everywhere = {
        "id": "e",
        "check": "boxes-uncounted-everywhere",
        "population": {"min": 0, "reason": "there are none"},
    }
    empty = audit(World([]), tmp_path / "a", claim("c", everywhere))
    assert empty.claim().verdict is ClaimVerdict.SUPPORTED
    hidden = audit(
        World([], census=1),
        tmp_path / "b",
        claim("c", {**COUNTED, "population": {"min": 0, "reason": "there are none"}}),
    )
    assert hidden.claim().verdict is ClaimVerdict.UNPROVEN
    (finding,) = on_target(hidden)  # and not a second one about the minimum
    assert finding.message == "population not reconciled: boxes: the list has 0, but the census counts 1"


def test_where_nothing_counts_the_report_says_so(tmp_path: Path) -> None:
    test = {"id": "e", "check": "boxes-uncounted-everywhere"}
    result = audit(World(boxes(1)), tmp_path, claim("c", test))
    assert result.claim().verdict is ClaimVerdict.SUPPORTED
    assert result.claim().tests[0].completeness == (
        "s north: boxes: 1 listed; no second source: no census here",
        "s south: boxes: 1 listed; no second source: no census here",
        "no second source: nobody counts the reports",
    )


def test_a_check_that_promises_a_second_source_and_asks_none_is_an_error(tmp_path: Path) -> None:
    result = audit(World(boxes(1)), tmp_path, claim("c", {"id": "n", "check": "boxes-never-counted"}))
    (finding,) = on_target(result)
    assert finding.outcome is Outcome.ERROR
    assert "held no population against its second source (the census counts the boxes)" in finding.message
    assert f"s: not held against the second source: {finding.message}" in result.claim().tests[0].completeness


def test_every_shard_that_differs_is_in_the_report_and_of_the_others_a_few(tmp_path: Path) -> None:
    regions = [f"r{number:03}" for number in range(60)]
    everywhere = {"id": "e", "check": "boxes-counted-everywhere"}
    agreeing = audit(World(boxes(1), census=1, regions=regions), tmp_path / "a", claim("c", everywhere))
    (test,) = agreeing.claim().tests
    assert len(test.reconciled) == MOST_AGREEING
    assert test.reconciled_more == 60 - MOST_AGREEING
    assert f"and {60 - MOST_AGREEING} more that agree" in test.completeness
    differing = audit(World(boxes(1), census=2, regions=regions), tmp_path / "b", claim("c", everywhere))
    (test,) = differing.claim().tests
    assert [row.shard for row in test.reconciled] == regions
    assert [finding.resource.region for finding in on_target(differing)] == regions


def test_a_difference_among_many_that_agree_is_never_lost_and_stands_first(tmp_path: Path) -> None:
    regions = [f"r{number:03}" for number in range(40)]
    world = World(boxes(1), census=1, regions=regions)

    def before(question: str) -> None:
        if question == "census":
            world.census = 2 if len([asked for asked in world.asked if asked.endswith(":census")]) == 40 else 1

    world.before = before
    result = audit(world, tmp_path, claim("c", {"id": "e", "check": "boxes-counted-everywhere"}))
    (test,) = result.claim().tests
    assert [row.agrees for row in test.reconciled] == [False] + [True] * MOST_AGREEING
    assert test.reconciled_more == 39 - MOST_AGREEING
    assert (test.reconciled[0].shard, test.reconciled[0].counted) == ("r039", 2)
    assert result.claim().verdict is ClaimVerdict.UNPROVEN


SOME = {"id": "e", "check": "boxes-counted-in-some"}


def test_what_was_held_against_nothing_is_counted_apart(tmp_path: Path) -> None:
    regions = [f"r{number:03}" for number in range(30)]
    result = audit(World(boxes(1), regions=regions), tmp_path, claim("c", SOME))
    (test,) = result.claim().tests
    assert {(row.is_counted, row.agrees, row.differs) for row in test.reconciled} == {(False, False, False)}
    assert (len(test.reconciled), test.reconciled_more, test.uncounted_more) == (MOST_UNCOUNTED, 0, 10)
    assert test.completeness[MOST_UNCOUNTED] == "and 10 more without a second source, the first: no census in r020"
    assert "agree" not in " ".join(test.completeness)
    assert result.claim().verdict is ClaimVerdict.SUPPORTED


def test_what_was_held_against_nothing_pushes_out_nothing_that_was_compared(tmp_path: Path) -> None:
    regions = [f"r{number:03}" for number in range(60)]
    world = World(boxes(1), regions=regions)

    def before(question: str) -> None:
        if question == "census":  # 30 regions without one come first, then 29 that agree, then one that differs
            done = len([asked for asked in world.asked if asked.endswith(":census")])
            world.census = None if done <= 30 else 1 if done < 60 else 2

    world.before = before
    result = audit(world, tmp_path, claim("c", SOME))
    (test,) = result.claim().tests
    assert [row.differs for row in test.reconciled] == [True] + [False] * (MOST_AGREEING + MOST_UNCOUNTED)
    assert [row.agrees for row in test.reconciled[1:]] == [True] * MOST_AGREEING + [False] * MOST_UNCOUNTED
    assert [row.shard for row in test.reconciled[:3]] == ["r059", "r030", "r031"]
    assert test.completeness[-3:] == (
        "and 9 more that agree",
        "and 10 more without a second source, the first: no census in r020",
        "no second source: nobody counts the reports",
    )
    (finding,) = on_target(result)
    assert finding.message == "population not reconciled: boxes: the list has 1, but the census counts 2"


def two_shelves(folder: Path, world: World, owner: str = "me") -> Result:
    names = ("first", "second")
    targets = [{"id": name, "type": "shelf", "owner": owner if name == "second" else "me"} for name in names]
    return audit(world, folder, claim("c", COUNTED), more={"targets": targets})


def test_each_target_that_was_not_held_against_the_second_source_is_named(tmp_path: Path) -> None:
    """What was reconciled on one says nothing of the other."""
    world = World(boxes(1, 1), pages=2, census=2)

    def before(question: str) -> None:
        if question == "boxes" and world.asked["main:boxes"] == 2:
            world.errors = {"boxes page 2": DENIED}

    world.before = before
    result = two_shelves(tmp_path / "stopped", world)
    (test,) = result.claim().tests
    (finding,) = on_target(result)
    assert finding.target == "second"
    assert test.completeness == (
        "first: boxes: 2 listed, 2 counted by the census",
        f"second: not held against the second source: {finding.message}",
        "no second source: nobody counts the reports",
    )
    assert finding.message.startswith("population incomplete: boxes()")
    whole = two_shelves(tmp_path / "whole", World(boxes(1, 1), census=2)).claim().tests[0]
    assert (len(whole.reconciled), whole.not_held) == (2, ())


def test_a_target_that_was_not_reached_was_not_held_against_the_second_source(tmp_path: Path) -> None:
    (test,) = two_shelves(tmp_path, World(boxes(1), census=1), owner="you").claim().tests
    assert [row.target for row in test.reconciled] == ["first"]
    (line,) = [line for line in test.completeness if line.startswith("second")]
    assert line.startswith("second: not held against the second source: wrong target: declared owner you")


def test_where_no_check_promises_a_second_source_nothing_is_said_of_one(tmp_path: Path) -> None:
    world = World(boxes(1), errors={"boxes page 1": DENIED})
    (test,) = audit(world, tmp_path, claim("c", {"id": "n", "check": "boxes-locked"})).claim().tests
    assert test.completeness == ("no second source: nobody else counts the boxes",)


@pytest.mark.parametrize("part", [Answer.literal(status="error", reason="refused"), paged([{}], None), paged(None)])
def test_what_a_count_rests_on_must_be_readable(part: Any) -> None:
    sound = (Answer.literal({}), Answer.literal(status="absent"), paged([{}], []))
    assert Reconciled(what="boxes", listed=1, counted=1, source="the census", parts=sound).count() == 1
    with pytest.raises(Unreadable, match=r"refused|cut off"):
        Reconciled(what="boxes", listed=1, counted=1, source="the census", parts=(*sound, part)).count()


def test_a_population_that_is_counted_is_no_subject_and_the_segment_is_whole(tmp_path: Path) -> None:
    result = counted(tmp_path, 1, 1, census=3)
    assert [(item.reached, item.error) for item in result.head.run.scope] == [(True, "")]
    lines = (result.run / "evidence" / "s.main.jsonl").read_text().splitlines()
    assert len([line for line in lines if line.startswith('{"kind":"subject"')]) == 3
    assert '"complete":true' in lines[-1]


@pytest.mark.parametrize(
    "parts",
    [
        {"counted": None},
        {"counted": 1},
        {"counted": 1, "source": "the census", "allowed": 1},
        {"counted": 1, "source": "the census", "what": ""},
    ],
)
def test_what_is_said_of_a_population_says_something(parts: dict[str, Any]) -> None:
    assert Reconciled(what="boxes", listed=1, counted=1, source="the census").count() == 1
    with pytest.raises(ValueError, match=r"a note that says why|has a source"):
        Reconciled(**{"what": "boxes", "listed": 1, **parts})


@pytest.mark.parametrize(
    ("there", "words"),
    [
        (4, "boxes: 4 listed, held against the list of lids: 4 of them are in it"),
        (3, "boxes: 4 listed, but held against the list of lids: 3 of them are in it"),
    ],
)
def test_two_lists_that_are_compared_are_told_as_that(there: int, words: str) -> None:
    row = Reconciliation(
        target="prod",
        shard="main",
        what="boxes",
        listed=4,
        counted=there,
        source="the list of lids",
        compared="of them are in it",
    )
    assert (row.words, row.agrees) == (words, there == 4)
    unread = msgspec.structs.replace(row, counted=None, problem="denied")
    assert unread.words == "boxes: 4 listed, not held against the list of lids: denied"


def a_reconciled_test(**changes: Any) -> TestResult:
    test = a_test("counted")
    method = msgspec.structs.replace(test.procedure, second_source="the census counts <boxes>", no_second_source="")
    return msgspec.structs.replace(test, procedure=msgspec.structs.replace(method, **changes))


def written(name: str, test: TestResult) -> str:
    """Write a report of one claim with one test; return its text as a reader sees it."""
    out = io.BytesIO()
    plugins.reports()[name].render(Stored(a_head(a_claim("c", ClaimVerdict.SUPPORTED, test))), out)
    return html.unescape(html.unescape(out.getvalue().decode()))


FORMATS = pytest.mark.parametrize("name", ["html", "markdown", "junit"])


@FORMATS
def test_every_format_that_shows_how_a_test_was_done_shows_both_numbers(name: str) -> None:
    rows = (
        Reconciliation(target="prod", shard="main", what="boxes", listed=1200, counted=1300, source="the census"),
        Reconciliation(target="prod", shard="eu", what="lids", listed=4, counted=None, note="no census <here>"),
    )
    test = msgspec.structs.replace(
        a_reconciled_test(),
        reconciled=rows,
        reconciled_more=3,
        uncounted_more=4,
        uncounted_why="no <census>",
        not_held=(NotHeld(target="prod", shard="us", why="population incomplete: <cut>"),),
    )
    text = written(name, test)
    assert "prod: boxes: the list has 1,200, but the census counts 1,300" in text
    assert "prod eu: lids: 4 listed; no second source: no census <here>" in text
    assert "and 3 more that agree" in text
    assert "and 4 more without a second source, the first: no <census>" in text
    assert "prod us: not held against the second source: population incomplete: <cut>" in text
    assert "census counts <boxes>" not in text


@FORMATS
def test_where_nothing_was_counted_every_format_says_why(name: str) -> None:
    assert "not held against the second source: the census counts <boxes>" in written(name, a_reconciled_test())
    without = a_reconciled_test(second_source="", no_second_source="nobody counts <boxes>")
    text = written(name, without)
    assert "no second source: nobody counts <boxes>" in text
    assert "not held against" not in text


def test_a_summary_names_the_first_that_differ_and_how_many_more_there_are() -> None:
    rows = tuple(
        Reconciliation(target="prod", shard=f"r{number}", what="boxes", listed=1, counted=2, source="the census")
        for number in range(500)
    )
    text = written("markdown", msgspec.structs.replace(a_reconciled_test(), reconciled=rows))
    assert text.count("the list has 1, but the census counts 2") == markdown.MOST_RECONCILED
    assert f"and {500 - markdown.MOST_RECONCILED} more in report.json" in text
