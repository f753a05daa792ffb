"""Doctor over a toy source: what is asked, once, and what the answers are taken for."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest
import yaml

from auditor import plugins
from auditor.checking import Check, Subject
from auditor.doctor import Examination, trouble_of
from auditor.model import Resource, Unproven
from auditor.questions import Failure, SourceType, Trouble
from tests import toy
from tests.examined import examine, of, reasons, states
from tests.toy import World, claim

DENIED = Failure("AccessDenied", "you may not")
LOCKED: dict[str, Any] = {"id": "t", "check": "boxes-locked"}
EVERYWHERE: dict[str, Any] = {"id": "e", "check": "boxes-locked-everywhere"}
REPORT: dict[str, Any] = {"id": "r", "check": "report-fine"}
DATED: dict[str, Any] = {"id": "d", "check": "boxes-dated"}
LEAST = {"main:who": 1, "main:boxes": 1, 'main:lock{"id": "b0"}': 1}


def doctor(world: World, folder: Path, *tests: dict[str, Any], **parts: Any) -> Examination:
    """Examine one shelf for these tests. `checks`, `source` and `entry` replace the usual, `more` is of the file."""
    kind = source(world, **parts.get("source", {}))
    entry = {"id": "s", "type": "shelf", "owner": "me", **parts.get("entry", {})}
    config = folder / "auditor.yaml"
    whole = {"version": 1, "organization": "Toys", "targets": [entry], **parts.get("more", {})}
    config.write_text(yaml.safe_dump(whole))
    file = {"version": 1, "id": "toys", "title": "Toys?", "source": {"title": "T", "url": "https://example.com"}}
    (folder / "pack.yaml").write_text(yaml.safe_dump({**file, "claims": [claim("c", *tests)]}))
    before = sorted(folder.iterdir())
    found = examine(
        config,
        folder / "pack.yaml",
        checks=parts.get("checks", toy.CHECKS),
        sources={"shelf": kind},
        clock=world.tick,
    )
    assert sorted(folder.iterdir()) == before
    return found["s"]


def source(world: World, **parts: Any) -> SourceType:
    """The toy source; its codes of denial are those of AWS."""
    whole: dict[str, Any] = {"denied": ("AccessDenied",), "grants": {"key": lambda *_: ""}, **parts}
    return msgspec.structs.replace(toy.source(world), **whole)


def boxes(count: int) -> list[dict[str, Any]]:
    return [{"id": f"b{index}", "closed": True} for index in range(count)]


# What is asked


def test_each_operation_is_asked_once_and_its_first_page_only(tmp_path: Path) -> None:
    world = World(boxes(50), pages=5)
    found = doctor(world, tmp_path, LOCKED, {**LOCKED, "id": "again", "params": {"ignore": ["b1"]}}, DATED)
    assert world.asked == LEAST
    assert found.ready
    assert states(found) == {"boxes-locked": "ready", "boxes-dated": "ready"}
    assert of(found, "boxes-locked").tried == ("boxes", "lock")


def test_somebody_is_asked_about_by_address_and_spoken_of_by_pseudonym(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And a check that stops at a list that was cut, or at a question that was not put, is still not in the way."""
    monkeypatch.setenv("KEY", "0123456789abcdef")
    more = {"privacy": "pseudonymous", "pseudonym_key": {"env": "KEY"}}
    people = [{"id": f"p{index}@explo.co", "closed": True} for index in range(9)]
    world = World(people, pages=3)
    found = doctor(world, tmp_path, LOCKED, more=more)
    assert world.asked == {"main:who": 1, "main:boxes": 1, 'main:lock{"id": "p0@explo.co"}': 1}
    assert found.ready
    world = World(people, errors={"lock": Failure("odd", "p0@explo.co is unknown")})
    found = doctor(world, tmp_path, LOCKED, more=more)
    assert "p0@explo.co" not in reasons(found)
    assert "@pseudonym.invalid is unknown" in reasons(found)


def test_a_check_that_stops_at_a_list_of_somebody_that_was_cut_is_not_in_the_way(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was put names the address, and what was kept the pseudonym: it is the same question."""
    monkeypatch.setenv("KEY", "0123456789abcdef")
    more = {"privacy": "pseudonymous", "pseudonym_key": {"env": "KEY"}}

    def collect(params: Any, shelf: Any) -> Any:
        del params
        listing = shelf.listing("boxes", owner=shelf.ask("who").get("/Owner", str))
        yield from (Subject(Resource("shelf.box", box.get("/id", str)), box=box) for box in listing)
        raise Unproven("who asks is not listed", [listing])

    sources = {"shelf": {"who": 1, "boxes": 1, "lock": 0}}
    check = msgspec.structs.replace(toy.CHECKS["boxes-locked"], collect=collect, sources=sources)
    parts: dict[str, Any] = {"more": more, "checks": {check.id: check}, "entry": {"owner": "me@explo.co"}}
    world = World(boxes(9), pages=3, owner="me@explo.co")
    assert doctor(world, tmp_path, LOCKED, **parts).ready
    assert 'main:boxes{"owner": "me@explo.co"}' in world.asked
    assert not doctor(World(boxes(9), owner="me@explo.co"), tmp_path, LOCKED, **parts).ready  # the control: whole


def test_the_second_page_is_not_even_fetched(tmp_path: Path) -> None:
    """Its refusal would otherwise be seen: the toy source makes each page when it is read."""
    world = World(boxes(50), pages=5, errors={"boxes page 2": DENIED})
    assert doctor(world, tmp_path, LOCKED).ready


def test_only_the_first_region_is_looked_at(tmp_path: Path) -> None:
    world = World(boxes(3), regions=["north", "south", "west"])
    found = doctor(world, tmp_path, EVERYWHERE, REPORT)
    assert world.asked == {
        "account:who": 1, "account:regions": 1, "account:report": 1, "north:boxes": 1, 'north:lock{"id": "b0"}': 1,
    }  # fmt: skip
    assert (found.region, found.ready) == ("north", True)


def test_what_no_subject_needs_is_not_tried_and_not_in_the_way(tmp_path: Path) -> None:
    found = doctor(World([]), tmp_path, LOCKED)
    assert found.ready
    assert (of(found, "boxes-locked").tried, of(found, "boxes-locked").untried) == (("boxes",), ("lock",))


def test_an_operation_may_be_tried_by_the_question_of_one_like_it(tmp_path: Path) -> None:
    """The check asks for a report only of open boxes; `report` takes the parameters that `who` takes: none."""
    check = msgspec.structs.replace(toy.CHECKS["boxes-locked"], sources={"shelf": {"boxes": 1, "lock": 0, "report": 0}})
    world = World(boxes(1))
    assert of(doctor(world, tmp_path, LOCKED, checks={check.id: check}), check.id).untried == ("report",)
    rows = dict(toy.source(world).operations)
    rows["report"] = msgspec.structs.replace(rows["report"], like="who")
    parts: dict[str, Any] = {"checks": {check.id: check}, "source": {"operations": rows}}
    world = World(boxes(1), errors={"report": DENIED})
    found = doctor(world, tmp_path, LOCKED, **parts)
    assert world.asked["main:report"] == 1
    assert states(found) == {"boxes-locked": "denied"}
    rows["report"] = msgspec.structs.replace(rows["report"], like="lock")
    world = World(boxes(1), errors={"lock": DENIED})  # what is like it was refused itself
    found = doctor(world, tmp_path, LOCKED, **parts)
    assert world.asked == LEAST
    assert of(found, check.id).untried == ("report",)


# What it is taken for


def test_a_denied_question_names_its_permission_and_the_way_to_grant_it(tmp_path: Path) -> None:
    rows = dict(toy.source(World()).operations)
    rows["lock"] = msgspec.structs.replace(rows["lock"], permission="shelf:Rattle")
    world = World(boxes(2), errors={"lock": DENIED})
    found = doctor(world, tmp_path, LOCKED, REPORT, source={"operations": rows})
    assert states(found) == {"boxes-locked": "denied", "report-fine": "ready"}
    (symptom,) = of(found, "boxes-locked").symptoms
    assert (symptom.operation, symptom.permission, symptom.reason) == (
        "lock", "shelf:Rattle", "AccessDenied: you may not",
    )  # fmt: skip
    assert (found.remedy, found.ready) == ("key", False)


def test_where_the_wrong_system_answers_nothing_else_is_asked(tmp_path: Path) -> None:
    world = World(boxes(1), owner="somebody else")
    found = doctor(world, tmp_path, LOCKED, EVERYWHERE)
    assert states(found) == {"boxes-locked": "wrong target", "boxes-locked-everywhere": "wrong target"}
    assert "declared owner me, but somebody else answered" in reasons(found)
    assert world.asked == {"main:who": 1}


def test_where_nobody_knows_who_asks_only_what_does_not_depend_on_it_is_asked(tmp_path: Path) -> None:
    rows = dict(toy.source(World()).operations)
    rows["report"] = msgspec.structs.replace(rows["report"], needs_identity=False)
    world = World(boxes(1), errors={"who": Failure("timeout", "nobody answered")})
    found = doctor(world, tmp_path, LOCKED, REPORT, EVERYWHERE, source={"operations": rows})
    assert world.asked == {"main:who": 1, "account:report": 1}
    assert states(found) == {
        "boxes-locked": "unreachable", "report-fine": "ready", "boxes-locked-everywhere": "unreachable",
    }  # fmt: skip
    assert set(reasons(found).splitlines()) == {"who: timeout: nobody answered"}


@pytest.mark.parametrize(("seconds", "state"), [(60, "ready"), (70, "clock skew"), (-70, "clock skew")])
def test_a_clock_that_is_wrong_is_in_the_way_of_what_compares_dates(tmp_path: Path, seconds: int, state: str) -> None:
    world = World(boxes(1), skew=timedelta(seconds=seconds))
    found = doctor(world, tmp_path, LOCKED, DATED)
    assert states(found) == {"boxes-locked": "ready", "boxes-dated": state}
    assert found.skew == timedelta(seconds=seconds)
    assert found.ready is (state == "ready")


def test_regions_that_cannot_be_listed_or_are_missing_are_in_the_way(tmp_path: Path) -> None:
    found = doctor(World(boxes(1), errors={"regions": DENIED}), tmp_path, EVERYWHERE, REPORT)
    assert states(found) == {"boxes-locked-everywhere": "denied", "report-fine": "ready"}
    assert "regions: AccessDenied" in reasons(found)
    found = doctor(World(boxes(1)), tmp_path, EVERYWHERE, entry={"only": ["atlantis", "north"]})
    assert (states(found), found.region) == ({"boxes-locked-everywhere": "error"}, "north")
    assert "atlantis is not a region that is enabled" in reasons(found)


def test_a_check_that_stops_for_a_reason_of_its_own_is_not_ready(tmp_path: Path) -> None:
    def stop(params: Any, shelf: Any) -> Any:
        del params
        yield Subject(Resource("shelf.box", "b"), box=shelf.ask("report"))
        raise Unproven("it is the wrong shelf", [shelf.ask("report")])

    check: Check = msgspec.structs.replace(toy.CHECKS["report-fine"], collect=stop)
    found = doctor(World(), tmp_path, REPORT, checks={check.id: check})
    assert states(found) == {"report-fine": "error"}
    (symptom,) = of(found, "report-fine").symptoms
    assert (symptom.operation, symptom.reason) == ("", "it is the wrong shelf")


def test_a_check_that_stops_at_what_doctor_left_out_is_ready(tmp_path: Path) -> None:
    """At a question that was not asked, and at a list of which only the first page was read."""

    def second(params: Any, shelf: Any) -> Any:
        del params
        for number in (0, 1):
            yield Subject(Resource("shelf.box", "b"), closed=shelf.ask("lock", id=f"b{number}").get("/Closed", bool))

    def whole(params: Any, shelf: Any) -> Any:
        del params
        listing = shelf.listing("boxes")
        yield from ()
        if len(list(listing)) < 50:
            raise Unproven("boxes are missing", [listing])

    for collect, pages in ((second, 1), (whole, 5)):
        check: Check = msgspec.structs.replace(toy.CHECKS["boxes-locked"], collect=collect)
        assert doctor(World(boxes(50), pages=pages), tmp_path, LOCKED, checks={check.id: check}).ready
    short = doctor(World(boxes(49)), tmp_path, LOCKED, checks={check.id: check})  # a whole list that lacks one
    assert states(short) == {"boxes-locked": "error"}


def test_mistakes_of_ours_are_said_and_end_nothing(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    found = doctor(World(boxes(1)), tmp_path, {**LOCKED, "params": {"crash": "collect"}}, REPORT)
    assert states(found) == {"boxes-locked": "error", "report-fine": "ready"}
    assert "internal: RuntimeError" in reasons(found)
    found = doctor(World(boxes(1), explode={"lock"}), tmp_path, LOCKED)
    assert "lock: internal: RuntimeError" in reasons(found)
    assert "Traceback" in caplog.text


def test_a_source_that_cannot_even_be_opened_is_said(tmp_path: Path) -> None:
    def broken(_settings: Any, _opening: Any) -> Any:
        raise RuntimeError("no")

    found = doctor(World(), tmp_path, LOCKED, REPORT, source={"open": broken})
    assert states(found) == {"boxes-locked": "error", "report-fine": "error"}
    assert "internal: RuntimeError" in reasons(found)


def test_what_a_system_says_is_told_without_secrets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SHELF", "canary-of-the-shelf")
    secret = Failure("odd", "you said canary-of-the-shelf")
    for operation in ("who", "lock"):
        world = World(boxes(1), errors={operation: secret})
        found = doctor(world, tmp_path, LOCKED, entry={"secret": {"env": "SHELF"}})
        assert f"{operation}: odd: you said [redacted]" in reasons(found)
    found = doctor(World(owner="canary-of-the-shelf"), tmp_path, LOCKED, entry={"secret": {"env": "SHELF"}})
    assert "/Owner was redacted" in reasons(found)


CODES = {
    "AccessDeniedException": Trouble.DENIED,
    "timeout": Trouble.UNREACHABLE,
    "unreachable": Trouble.UNREACHABLE,
    "unresolved": Trouble.UNREACHABLE,
    "refused": Trouble.UNREACHABLE,
    "closed": Trouble.UNREACHABLE,
    "proxy": Trouble.UNREACHABLE,
    "tls": Trouble.CERTIFICATE,
    "no_tls": Trouble.CERTIFICATE,
    "secret": Trouble.CREDENTIALS,
    "credentials": Trouble.CREDENTIALS,
    "401": Trouble.CREDENTIALS,
    "rate_limit": Trouble.RATE_LIMIT,
    "malformed": Trouble.ERROR,
    "": Trouble.ERROR,
}


@pytest.mark.parametrize("code", CODES)
def test_codes_mean_what_they_say(code: str) -> None:
    assert trouble_of(source(World()), code) is CODES[code]


@pytest.mark.parametrize("name", ["github", "heroku", "tokens"])
def test_a_token_that_is_not_valid_lacks_no_permission(name: str) -> None:
    kind = plugins.sources()[name]
    assert trouble_of(kind, "401") is Trouble.CREDENTIALS
    assert trouble_of(kind, "403") is Trouble.DENIED


def test_the_words_of_a_source_go_before_those_of_all() -> None:
    kind = source(World(), troubles={Trouble.CLOCK_SKEW: ("timeout",)})
    assert trouble_of(kind, "timeout") is Trouble.CLOCK_SKEW
    assert trouble_of(source(World(), denied=()), "AccessDenied") is Trouble.ERROR
