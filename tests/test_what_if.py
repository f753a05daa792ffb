"""Judging a stored run again: the same to the byte under its own policy whenever it is done, and else a what-if."""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import Any

import msgspec
import pytest
import yaml

from auditor import engine
from auditor.engine import WhatIf
from auditor.model import UsageError
from auditor.results import Head, Tool
from tests import toy
from tests.sealing import scope_of, seal_anew
from tests.toy import NOW, Result, World, audit, claim

REPORT: dict[str, Any] = {"id": "r", "check": "report-fine", "max_age": "P4D"}
"""Its report was generated three and a half days before the run."""
LOCKED: dict[str, Any] = {"id": "t", "check": "boxes-locked", "max_age": "P1D"}
DAY = dt.timedelta(days=1)


@pytest.fixture
def world() -> World:
    return World([{"id": "b0", "closed": True}])


@pytest.fixture
def made(world: World, tmp_path: Path) -> Result:
    return audit(world, tmp_path, claim("c", REPORT, LOCKED))


def again(made: Result, world: World, folder: Path, **other: Any) -> Head:
    world.asked.clear()
    what_if = WhatIf(**other)
    head = engine.evaluate(
        made.run, folder / "again", toy.plugins(world), ["json"], None, allow_unsigned=True, what_if=what_if
    )
    assert not world.asked
    return head


def pack(folder: Path, *claims: dict[str, Any]) -> Path:
    file = {"version": 1, "id": "toys", "title": "Toys?", "source": {"title": "T", "url": "https://example.com"}}
    (folder / "other").mkdir()
    (folder / "other" / "toys.yaml").write_text(yaml.safe_dump({**file, "claims": list(claims)}))
    return folder / "other"


def files(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_years_later_it_is_the_same_to_the_byte(made: Result, world: World, tmp_path: Path) -> None:
    """What was fresh then stays so: now is the end of collection, as it was stored."""
    world.clock += 1000 * DAY
    before = files(made.run)
    head = again(made, world, tmp_path)
    assert head == made.head
    assert head.run.what_if == ""
    made_again = files(tmp_path / "again")
    assert made_again == {name: data for name, data in before.items() if name in made_again}
    assert made_again.keys() == {"report.json", "findings/s.account.jsonl", "findings/s.main.jsonl"}
    assert files(made.run) == before


def test_at_another_time_data_are_of_another_age(made: Result, world: World, tmp_path: Path) -> None:
    head = again(made, world, tmp_path, as_of=made.head.run.as_of + DAY)
    assert head.claims[0].verdict == "unproven"
    (report, locked) = head.claims[0].tests
    assert "stale: report() is of 2026-11-20" in report.reasons[0]
    assert locked.verdict == "error"
    assert head.run.what_if == "judged again as of 2026-11-24 12:00:15 UTC instead of 2026-11-23 12:00:15 UTC"
    assert head.run.as_of == NOW + DAY + (made.head.run.as_of - NOW)


def test_what_was_before_the_evidence_is_not_judged_by_it(made: Result, world: World, tmp_path: Path) -> None:
    collected = made.head.run.as_of
    assert again(made, world, tmp_path, as_of=collected).claims[0].verdict == "supported"
    with pytest.raises(UsageError, match=r"collected until 2026-11-23 12:00:15 UTC: it does not show what was before"):
        again(made, world, tmp_path, as_of=collected - dt.timedelta(microseconds=1))


def test_other_policies_judge_what_was_kept(made: Result, world: World, tmp_path: Path) -> None:
    stricter = pack(tmp_path, claim("stricter", {**REPORT, "max_age": "P3D"}), claim("same", LOCKED))
    head = again(made, world, tmp_path, policies=stricter)
    assert {one.id: one.verdict for one in head.claims} == {"stricter": "unproven", "same": "supported"}
    assert head.run.what_if == "judged again under other policies (other)"
    assert head.run.policy_sha256 != made.head.run.policy_sha256
    assert files(made.run)["report.json"] != files(tmp_path / "again")["report.json"]


def test_what_other_policies_ask_and_nobody_asked_then_is_an_error(world: World, tmp_path: Path) -> None:
    made = audit(world, tmp_path, claim("c", REPORT))
    more = pack(tmp_path, claim("more", LOCKED), claim("c", REPORT))
    head = again(made, world, tmp_path, policies=more)
    assert {one.id: one.verdict for one in head.claims} == {"more": "unproven", "c": "supported"}
    assert "was not reached" in head.claims[0].reasons[0]


def test_other_policies_are_held_against_the_targets_of_the_run(made: Result, world: World, tmp_path: Path) -> None:
    wrong = pack(tmp_path, claim("c", {**LOCKED, "targets": ["shelves"]}))
    with pytest.raises(UsageError, match="did you mean 'shelf'"):
        again(made, world, tmp_path, policies=wrong)


def test_another_version_of_the_tool_is_said(made: Result, world: World, tmp_path: Path) -> None:
    seal_anew(made.run, scope=msgspec.structs.replace(scope_of(made.run), tool=Tool("auditor", "0.0.1")))
    head = again(made, world, tmp_path)
    assert head.run.what_if == f"judged again by auditor {engine.TOOL.version} instead of 0.0.1"
    assert head.run.tool == Tool("auditor", "0.0.1")
