"""The engine over a toy source: asking once, sealing, replaying, reaching, judging, rolling up."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest

from auditor import engine, seal
from auditor.model import ClaimVerdict, EvidenceError
from auditor.plan import Selection
from auditor.questions import Failure
from tests import toy
from tests.sealing import marked, seal_anew
from tests.toy import World, audit, claim

DENIED = Failure("AccessDenied", "you may not")
LOCKED: dict[str, Any] = {"id": "t", "check": "boxes-locked"}
EVERYWHERE: dict[str, Any] = {"id": "e", "check": "boxes-locked-everywhere"}
REPORT: dict[str, Any] = {"id": "r", "check": "report-fine"}


WAIVERS = [
    {
        "id": "w",
        "test": "t",
        "resource": "b0",
        "reason": "it is empty",
        "ticket": "T-1",
        "requested_by": "a@example.com",
        "approved_by": "b@example.com",
        "approved_on": "2026-11-01",
        "expires": "2027-01-01",
    }
]


def boxes(*closed: int) -> list[dict[str, Any]]:
    return [{"id": f"b{index}", "closed": bool(value)} for index, value in enumerate(closed)]


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_bytes().splitlines()]


def test_a_claim_is_supported_when_every_subject_passes(tmp_path: Path) -> None:
    result = audit(World(boxes(1, 1)), tmp_path, claim("c", LOCKED))
    assert result.claim().verdict is ClaimVerdict.SUPPORTED
    assert result.outcomes() == {"t/main/b0": "pass", "t/main/b1": "pass"}
    assert result.claim().tests[0].population == 2


def test_one_fail_refutes_whatever_else_could_not_be_told(tmp_path: Path) -> None:
    world = World(boxes(1, 0, 1), errors={'lock{"id": "b0"}': DENIED})
    result = audit(world, tmp_path, claim("c", LOCKED))
    assert result.claim().verdict is ClaimVerdict.REFUTED
    assert result.outcomes() == {"t/main/b0": "error", "t/main/b1": "fail", "t/main/b2": "pass"}


def test_one_unreadable_answer_makes_the_claim_unproven_and_names_the_cause(tmp_path: Path) -> None:
    world = World(boxes(1, 1), errors={'lock{"id": "b1"}': DENIED})
    result = audit(world, tmp_path, claim("c", LOCKED))
    assert result.claim().verdict is ClaimVerdict.UNPROVEN
    (error,) = [finding for finding in result.findings() if finding.outcome == "error"]
    assert error.message == "lock(id=b1): AccessDenied: you may not"
    assert error.evidence


def test_a_page_that_fails_leaves_the_findings_before_it(tmp_path: Path) -> None:
    world = World(boxes(0, 1, 1, 1), pages=2, errors={"boxes page 2": DENIED})
    result = audit(world, tmp_path, claim("c", LOCKED))
    assert result.outcomes() == {"t/main/b0": "fail", "t/main/b1": "pass", "t/-/s": "error"}
    assert result.claim().verdict is ClaimVerdict.REFUTED
    assert any("population incomplete" in finding.message for finding in result.findings())


def test_the_same_question_is_asked_once_however_many_tests_want_it(tmp_path: Path) -> None:
    world = World(boxes(1, 1), errors={'lock{"id": "b1"}': DENIED})
    audit(world, tmp_path, claim("c", LOCKED, {**LOCKED, "id": "t2"}), claim("d", {**LOCKED, "id": "t3"}))
    assert set(world.asked.values()) == {1}
    assert world.asked["main:boxes"] == 1


def test_words_that_nothing_tests_cap_a_claim_at_unproven(tmp_path: Path) -> None:
    result = audit(World(boxes(1)), tmp_path, claim("c", LOCKED, not_tested=["all"]), claim("d"))
    assert result.claim("c").verdict is ClaimVerdict.UNPROVEN
    assert "not tested: all" in result.claim("c").reasons
    assert result.claim("d").verdict is ClaimVerdict.UNPROVEN
    assert result.claim("d").reasons == ("no test bears on this claim",)


def test_nothing_found_is_an_error_unless_the_policy_says_why(tmp_path: Path) -> None:
    nothing = audit(World([]), tmp_path / "a", claim("c", LOCKED))
    assert nothing.claim().verdict is ClaimVerdict.UNPROVEN
    expected = {**LOCKED, "population": {"min": 0, "reason": "we sold the shelf"}}
    stated = audit(World([]), tmp_path / "b", claim("c", expected))
    assert stated.claim().verdict is ClaimVerdict.SUPPORTED
    (finding,) = stated.findings()
    assert "we sold the shelf" in finding.message
    listing = [line for line in lines(stated.run / "evidence/s.main.jsonl") if line.get("operation") == "boxes"]
    assert finding.evidence[0].lines == (listing[0]["n"], listing[0]["n"])


def test_nothing_found_is_not_believed_where_it_could_not_be_asked(tmp_path: Path) -> None:
    expected = {**LOCKED, "population": {"min": 0, "reason": "we sold the shelf"}}
    result = audit(World([], errors={"boxes page 1": DENIED}), tmp_path, claim("c", expected))
    assert result.claim().verdict is ClaimVerdict.UNPROVEN


def test_a_population_below_the_minimum_is_an_error(tmp_path: Path) -> None:
    enough = {**LOCKED, "population": {"min": 2}}
    assert audit(World(boxes(1, 1)), tmp_path / "a", claim("c", enough)).claim().verdict == "supported"
    assert audit(World(boxes(1)), tmp_path / "b", claim("c", enough)).claim().verdict == "unproven"


def test_what_is_out_of_scope_does_not_count(tmp_path: Path) -> None:
    ignoring = {**LOCKED, "params": {"ignore": ["b0"]}}
    result = audit(World(boxes(0, 1)), tmp_path / "a", claim("c", ignoring))
    assert result.claim().verdict == "supported"
    assert result.claim().tests[0].counts.not_applicable == 1
    assert result.claim().tests[0].population == 1
    only = audit(World(boxes(0)), tmp_path / "b", claim("c", ignoring))
    assert only.claim().verdict == "unproven"


def test_the_wrong_target_is_asked_nothing_more(tmp_path: Path) -> None:
    world = World(boxes(0), owner="somebody else")
    result = audit(world, tmp_path, claim("c", LOCKED, REPORT, EVERYWHERE))
    assert set(result.outcomes().values()) == {"error"}
    assert all("wrong target: declared owner me, but somebody else answered" in f.message for f in result.findings())
    assert {question.partition(":")[2] for question in world.asked} == {"who"}
    assert not result.head.run.scope[0].reached


def test_who_asks_must_be_proved_for_what_depends_on_it(tmp_path: Path) -> None:
    world = World(boxes(1), errors={"who": DENIED})
    result = audit(world, tmp_path, claim("c", LOCKED))
    assert result.claim().verdict == "unproven"
    assert "who asks is not proved" in result.findings()[0].message
    assert set(world.asked) == {"main:who"}


def test_regions_follow_from_the_answer(tmp_path: Path) -> None:
    result = audit(World(boxes(1)), tmp_path, claim("c", EVERYWHERE))
    assert result.outcomes() == {"e/north/b0": "pass", "e/south/b0": "pass"}
    assert sorted(path.name for path in (result.run / "evidence").iterdir()) == [
        "s.account.jsonl",
        "s.north.jsonl",
        "s.south.jsonl",
    ]


def test_regions_that_cannot_be_listed_are_unproven(tmp_path: Path) -> None:
    result = audit(World(boxes(1), errors={"regions": DENIED}), tmp_path, claim("c", EVERYWHERE))
    assert result.claim().verdict == "unproven"
    assert "regions could not be listed" in result.findings()[0].message


def test_a_region_that_is_not_there_is_unproven_and_one_left_out_is_said(tmp_path: Path) -> None:
    result = audit(World(boxes(1)), tmp_path, claim("c", EVERYWHERE), only=["north", "atlantis"])
    assert result.outcomes() == {"e/north/b0": "pass", "e/atlantis/s.atlantis": "error"}
    scope = {item.task: item.error for item in result.head.run.scope}
    assert scope["s.south"] == "excluded by the settings: on purpose"
    assert scope["s.north"] == ""


def test_the_fan_out_is_not_asked_where_no_test_needs_it(tmp_path: Path) -> None:
    world = World(boxes(1))
    audit(world, tmp_path, claim("c", LOCKED, REPORT))
    assert not [question for question in world.asked if "regions" in question]


def test_a_task_without_a_closed_segment_counts_as_not_reached(tmp_path: Path) -> None:
    world = World(boxes(1))
    result = audit(world, tmp_path, claim("c", EVERYWHERE))
    (result.run / "evidence/s.south.jsonl").rename(result.run / "evidence/s.south.jsonl.partial")
    with pytest.raises(EvidenceError):
        engine.evaluate(result.run, tmp_path / "again", toy.plugins(world), ["json"], None, allow_unsigned=True)


@pytest.mark.parametrize("where", ["collect", "evaluate"])
def test_a_mistake_in_a_check_is_a_finding_and_the_run_goes_on(tmp_path: Path, where: str) -> None:
    crashing = {**LOCKED, "params": {"crash": where}}
    result = audit(World(boxes(1)), tmp_path, claim("c", crashing), claim("d", {**LOCKED, "id": "fine"}))
    assert result.claim("c").verdict == "unproven"
    assert result.claim("d").verdict == "supported"
    assert any("internal: RuntimeError" in finding.message for finding in result.findings())


def test_a_check_can_ask_only_what_it_declares(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What an audit must be allowed is known beforehand, because nothing else is ever asked."""
    sly = msgspec.structs.replace(toy.CHECKS["boxes-locked"], sources={"shelf": {"boxes": 1}})
    monkeypatch.setitem(toy.CHECKS, "boxes-locked", sly)
    world = World(boxes(1))
    result = audit(world, tmp_path, claim("c", LOCKED))
    assert list(result.outcomes().values()) == ["error"]
    assert "internal: LookupError" in result.claim().reasons[0]
    assert not [question for question in world.asked if ":lock" in question]


def test_a_mistake_in_a_source_is_an_answer_nobody_can_read(tmp_path: Path) -> None:
    result = audit(World(boxes(1), explode={"lock"}), tmp_path, claim("c", LOCKED))
    assert result.outcomes() == {"t/main/b0": "error"}
    assert "internal: RuntimeError" in result.findings()[0].message


def test_a_datum_is_as_old_as_it_says_itself(tmp_path: Path) -> None:
    """The report was generated three and a half days before, whenever it was fetched."""
    fresh = audit(World(), tmp_path / "a", claim("c", {**REPORT, "max_age": "P4D"}))
    assert fresh.claim().verdict == "supported"
    stale = audit(World(), tmp_path / "b", claim("c", {**REPORT, "max_age": "P3D"}))
    assert stale.claim().verdict == "unproven"
    assert "stale: report() is of 2026-11-20 00:00 UTC, older than max_age P3D" in stale.findings()[0].message


@pytest.mark.parametrize(("ahead", "verdict"), [(0, "supported"), (60, "supported"), (61, "unproven")])
def test_a_datum_that_is_of_the_future_is_not_fresh(tmp_path: Path, ahead: int, verdict: str) -> None:
    """As far as two clocks may be apart it is believed."""
    generated = datetime(2026, 11, 20, tzinfo=UTC)
    world = World(clock=generated - timedelta(seconds=ahead + 7))  # until the end of collection it ticks seven times
    result = audit(world, tmp_path, claim("c", {**REPORT, "max_age": "P1D"}))
    assert (generated - result.head.run.as_of).total_seconds() == ahead
    assert result.claim().verdict == verdict
    if verdict == "unproven":
        told = "dated ahead: report() is of 2026-11-20 00:00 UTC, after it was collected"
        assert told in result.findings()[0].message
    without = audit(world, tmp_path / "any-age", claim("c", REPORT))
    assert without.claim().verdict == "supported"


@pytest.mark.parametrize(
    ("seconds", "verdict"), [(0, "supported"), (60, "supported"), (61, "unproven"), (-61, "unproven")]
)
def test_where_the_clocks_differ_no_date_is_believed(tmp_path: Path, seconds: int, verdict: str) -> None:
    world = World(boxes(1), skew=timedelta(seconds=seconds))
    result = audit(world, tmp_path, claim("c", {**LOCKED, "check": "boxes-dated"}), claim("d", {**LOCKED, "id": "u"}))
    assert result.claim("c").verdict == verdict
    assert result.claim("d").verdict == "supported"  # it compares no dates
    if verdict == "unproven":
        assert f"differ by {seconds:+} seconds" in result.claim("c").reasons[0]


def test_every_task_stands_in_the_scope_once_and_findings_only_where_a_segment_is(tmp_path: Path) -> None:
    cases: tuple[tuple[str, World, Any], ...] = (
        ("denied", World(boxes(1), errors={"regions": DENIED}), {}),
        ("missing", World(boxes(1)), {"only": ["north", "atlantis"]}),
        ("wrong", World(boxes(1), owner="somebody else"), {}),
    )
    for name, world, target in cases:
        result = audit(world, tmp_path / name, claim("c", EVERYWHERE, REPORT), **target)
        tasks = [item.task for item in result.head.run.scope]
        assert len(tasks) == len(set(tasks)), tasks
        segments = {path.name for path in (result.run / "evidence").iterdir()}
        assert {path.name for path in (result.run / "findings").iterdir()} <= segments


def test_a_segment_says_why_it_is_not_complete(tmp_path: Path) -> None:
    world = World(boxes(1, 1), pages=2, errors={"boxes page 2": DENIED})
    result = audit(world, tmp_path, claim("c", LOCKED))
    closing = lines(result.run / "evidence/s.main.jsonl")[-1]
    assert closing["complete"] is False
    assert "population incomplete" in closing["error"]


def test_a_waiver_that_is_not_applied_is_said(tmp_path: Path) -> None:
    """Until waivers are applied, a policy that has one must not look as if they were."""
    result = audit(World(boxes(0)), tmp_path, claim("c", LOCKED), waivers=WAIVERS)
    assert result.claim().verdict == "refuted"
    assert any("waiver w is not applied" in reason for reason in result.claim().reasons)


def test_what_is_deselected_is_said_and_never_a_pass(tmp_path: Path) -> None:
    world = World(boxes(1))
    claims = claim("c", LOCKED), claim("d", {**LOCKED, "id": "t2"})
    result = audit(world, tmp_path, *claims, selection=Selection(claims=("c",)))
    assert result.claim("c").verdict == "supported"
    assert result.claim("d").verdict == "unproven"
    assert "deselected" in result.claim("d").reasons[0]


NOT_WHOLE = "; the population is not known to be complete"


@pytest.mark.parametrize(
    ("closed", "world", "test", "extent"),
    [
        ((1, 0, 1), {}, {}, "every member, not a sample; 3 of 3 could be judged"),
        ((1, 1), {"errors": {'lock{"id": "b1"}': DENIED}}, {}, "every member, not a sample; 1 of 2 could be judged"),
        (
            (1, 1),
            {"pages": 2, "errors": {"boxes page 2": DENIED}},
            {},
            f"every member, not a sample; 1 of 1 could be judged{NOT_WHOLE}",
        ),
        (
            (1,),
            {"census": 2},
            {"check": "boxes-counted"},
            f"every member, not a sample; 2 of 2 could be judged{NOT_WHOLE}",
        ),
        ((1,), {}, {"population": {"min": 2}}, f"every member, not a sample; 1 of 1 could be judged{NOT_WHOLE}"),
        (
            (),
            {},
            {"population": {"min": 0, "reason": "sold"}},
            "no member was found in scope, so none was judged",
        ),
        ((1,), {}, {"params": {"ignore": ["b0"]}}, f"no member was found in scope, so none was judged{NOT_WHOLE}"),
        (
            (1,),
            {"errors": {"boxes page 1": DENIED}},
            {},
            f"no member was found in scope, so none was judged{NOT_WHOLE}",
        ),
        ((1,), {"owner": "you"}, {}, f"no member was found in scope, so none was judged{NOT_WHOLE}"),
    ],
)
def test_the_extent_is_what_was_judged_of_what_was_found(
    tmp_path: Path, closed: tuple[int, ...], world: dict[str, Any], test: dict[str, Any], extent: str
) -> None:
    result = audit(World(boxes(*closed), **world), tmp_path, claim("c", {**LOCKED, **test}))
    assert result.claim().tests[0].procedure.extent == extent


def test_the_extent_of_what_was_deselected_is_nothing(tmp_path: Path) -> None:
    targets = [{"id": name, "type": "shelf", "owner": "me"} for name in ("s", "other")]
    claims = claim("c", LOCKED), claim("d", {**LOCKED, "id": "t2"})
    selection = Selection(claims=("c",), targets=("s",))
    result = audit(World(boxes(1)), tmp_path, *claims, selection=selection, more={"targets": targets})
    extents = {name: result.claim(name).tests[0].procedure.extent for name in ("c", "d")}
    assert extents == {
        "c": "every member, not a sample; 1 of 1 could be judged; deselected on the command line: other",
        "d": "nothing was looked at: deselected on the command line",
    }


def test_evaluate_is_the_same_function_over_the_same_files(tmp_path: Path) -> None:
    world = World(boxes(1, 0), errors={'lock{"id": "b0"}': DENIED})
    result = audit(world, tmp_path, claim("c", LOCKED, EVERYWHERE, REPORT))
    world.asked.clear()
    engine.evaluate(result.run, tmp_path / "again", toy.plugins(world), ["json"], None, allow_unsigned=True)
    assert not world.asked
    for path in (result.run / "findings").iterdir():
        assert path.read_bytes() == (tmp_path / "again/findings" / path.name).read_bytes()


def test_a_question_that_was_never_asked_is_an_error_when_judged_again(tmp_path: Path) -> None:
    world = World(boxes(1))
    result = audit(world, tmp_path, claim("c", LOCKED))
    path = result.run / "evidence/s.main.jsonl"
    kept = [line for line in lines(path) if line.get("operation") != "lock"]
    for number, line in enumerate(kept, 1):
        line["n"] = number
    kept[-1]["answers"] -= 1
    path.write_bytes(b"".join(marked([msgspec.json.encode(line) + b"\n" for line in kept])))
    seal_anew(result.run)
    head = engine.evaluate(result.run, tmp_path / "again", toy.plugins(world), ["json"], None, allow_unsigned=True)
    assert head.claims[0].verdict == "unproven"
    assert "not asked" in head.claims[0].reasons[0]


def test_runs_in_one_folder_name_their_predecessor(tmp_path: Path) -> None:
    first = audit(World(boxes(1)), tmp_path, claim("c", LOCKED))
    later = World(boxes(1))
    later.clock += timedelta(hours=1)
    second = audit(later, tmp_path, claim("c", LOCKED))
    assert (first.head.run.sequence, second.head.run.sequence) == (1, 2)
    assert first.head.run.previous_run is None
    assert second.head.run.previous_run is not None
    assert second.head.run.previous_run.id == first.run.name
    assert second.head.run.previous_run.manifest_sha256 == seal.sha256_file(first.run / "manifest.statement.json")


def test_finding_ids_are_stable_over_runs(tmp_path: Path) -> None:
    first = audit(World(boxes(1)), tmp_path / "a", claim("c", LOCKED))
    second = audit(World(boxes(0)), tmp_path / "b", claim("c", LOCKED))
    assert [f.id for f in first.findings()] == [f.id for f in second.findings()]
    assert len({f.id for f in audit(World(boxes(1, 1)), tmp_path / "d", claim("c", LOCKED)).findings()}) == 2


def test_a_subject_listed_twice_is_judged_once(tmp_path: Path) -> None:
    world = World([*boxes(1), *boxes(1)])
    assert audit(world, tmp_path, claim("c", LOCKED)).claim().tests[0].population == 1


def test_secrets_resolve_only_by_reference_and_a_missing_one_is_an_answer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SHELF_SECRET", "b0 is a secret name")
    world = World([{"id": "b0 is a secret name", "closed": True}])
    result = audit(world, tmp_path, claim("c", LOCKED), secret={"env": "SHELF_SECRET"})
    everything = b"".join(path.read_bytes() for path in result.run.rglob("*") if path.is_file())
    assert b"b0 is a secret name" not in everything
    assert result.claim().verdict == "unproven"  # what was masked cannot be read, so nothing rests on it


def test_the_report_counts_what_the_findings_say(tmp_path: Path) -> None:
    world = World(boxes(1, 0, 1), errors={'lock{"id": "b0"}': DENIED})
    result = audit(world, tmp_path, claim("c", LOCKED, {**LOCKED, "id": "i", "params": {"ignore": ["b1"]}}))
    counts = result.head.summary.findings
    outcomes = [finding.outcome.value for finding in result.findings()]
    assert counts.passed == outcomes.count("pass") == 2
    assert (counts.fail, counts.error, counts.not_applicable) == (1, 2, 1)
    assert result.head.summary.population == 5
