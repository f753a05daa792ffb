"""When a run was: nothing is sealed with dates that do not verify, and no date gets a run past those after it."""

from __future__ import annotations

import dataclasses
import datetime as dt
import logging
import shutil
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import IO

import msgspec
import pytest

from auditor import keys, seal, verify
from auditor.contents import Directory
from auditor.keys import KeyRing, SigningKey
from auditor.model import EvidenceError, Problem, UsageError
from auditor.packaging.statement import not_following
from auditor.reports import json as json_report
from auditor.results import RunView
from tests import toy
from tests.sealing import finished_of, follow
from tests.toy import NOW, World, audit, claim

LOCKED = {"id": "t", "check": "boxes-locked"}
DAY, SECOND = dt.timedelta(days=1), dt.timedelta(seconds=1)


class Keys(msgspec.Struct, frozen=True):
    """A private key and the file of public ones."""

    private: Path
    public: Path

    @property
    def key(self) -> SigningKey:
        return keys.parse_private(keys.read_private(self.private), "auditor.key")

    @property
    def ring(self) -> KeyRing:
        return keys.load(self.public)


@pytest.fixture
def own(tmp_path: Path) -> Keys:
    made = Keys(tmp_path / "auditor.key", tmp_path / "auditor.keys.json")
    keys.generate(made.private, made.public, NOW - 30 * DAY)
    return made


def world(at: dt.datetime = NOW, before: Callable[[str], None] = lambda _: None) -> World:
    return World([{"id": "b0", "closed": True}], clock=at, before=before)


def test_whoever_has_a_key_that_was_given_up_dates_nothing_back_into_its_time(own: Keys, tmp_path: Path) -> None:
    """By itself such a run verifies: its key was valid when it says it was."""
    old = own.key
    audit(world(NOW), tmp_path, claim("c", LOCKED), key=old)
    keys.rotate(own.private, own.public, NOW + DAY)
    run = audit(world(NOW + 2 * DAY), tmp_path, claim("c", LOCKED), key=own.key).run
    reports = tmp_path / "reports"
    assert len(verify.verify_chain(reports, own.ring)) == 2
    forged = follow(run, NOW + 60 * SECOND, NOW + 61 * SECOND, old)
    alone = verify.verify_run(Directory(forged), own.ring)
    ended = finished_of(run).finished_at
    told = f"ended 2026-11-23 12:01:01 UTC, before the run that it follows ({ended:%Y-%m-%d %H:%M:%S} UTC)"
    with pytest.raises(verify.DoesNotVerify) as caught:
        verify.verify_chain(reports, own.ring)
    assert caught.value.flaws == (verify.Flaw(f"{forged.name}/{seal.MANIFEST}", 0, told),)
    packed = [verify.verify_run(Directory(run), own.ring), alone]
    assert list(not_following(packed)) == [verify.Flaw(f"runs/{forged.name}", 0, told)]
    shutil.rmtree(forged)
    honest = follow(run, ended, ended, own.key)  # the positive control: at the same moment, and not before
    assert len(verify.verify_chain(reports, own.ring)) == 3
    assert not list(not_following([packed[0], verify.verify_run(Directory(honest), own.ring)]))


def test_a_clock_that_is_set_back_meanwhile_seals_nothing(tmp_path: Path) -> None:
    """At whichever of its readings: at the first, the start is before the end of the run that went before."""
    made = audit(world(), tmp_path, claim("c", LOCKED))
    reports = tmp_path / "reports"

    def again(back_at: int) -> int:
        """Run with a clock that is set back by a day at one of its readings; return how often it was read."""
        read, now = 0, finished_of(made.run).finished_at

        def clock() -> dt.datetime:
            nonlocal read
            read += 1
            return now + read * SECOND - (DAY if read >= back_at else 0 * DAY)

        with ThreadPoolExecutor(1) as pool:
            dataclasses.replace(made.audit, clock=clock).run(pool)
        return read

    readings = again(back_at=1000)
    assert readings > 3
    assert len(verify.verify_chain(reports, None, allow_unsigned=True)) == 2
    for back_at in range(1, readings + 1):
        with pytest.raises(
            (UsageError, EvidenceError), match=r"would not verify: its dates are not in order|: a clock was wrong"
        ):
            again(back_at)
        assert len(verify.verify_chain(reports, None, allow_unsigned=True)) == 2


def test_nothing_is_asked_where_the_run_before_ended_later_than_now(tmp_path: Path) -> None:
    made = audit(world(NOW + 9 * 365 * DAY), tmp_path, claim("c", LOCKED))
    asked = world()
    job = dataclasses.replace(made.audit, plugins=toy.plugins(asked), clock=asked.tick)
    what = f"{made.run.name}, the run before, ended 2035-11-21 12:00:1"
    with ThreadPoolExecutor(1) as pool, pytest.raises(UsageError, match=what):
        job.run(pool)
    assert not asked.asked
    assert [path.name for path in (tmp_path / "reports").glob("2*")] == [made.run.name]
    (made.run / seal.MANIFEST).write_bytes(b"{}")  # of which nobody can say when it ended
    assert seal.ended_at(made.run) is None


def test_a_run_that_ended_meanwhile_and_later_than_now_is_not_followed(tmp_path: Path) -> None:
    """Of two machines that share a folder one has a clock that is ahead."""
    others: list[Path] = []

    def other(_question: str) -> None:
        if not others:
            others.append(tmp_path)
            others[0] = audit(world(NOW + DAY), tmp_path, claim("c", LOCKED)).run

    with pytest.raises(EvidenceError, match=r"the run before, ended 2026-11-24 12:00:1.* UTC: a clock was wrong"):
        audit(world(before=other), tmp_path, claim("c", LOCKED))
    (found,) = verify.verify_chain(tmp_path / "reports", None, allow_unsigned=True)
    assert found.run == others[0].name


def test_runs_are_verified_when_none_is_half_sealed(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Whoever verifies meanwhile waits, instead of saying that a run has no manifest statement."""
    caplog.set_level(logging.INFO, "auditor")
    reports = tmp_path / "reports"
    found: list[verify.Verified] = []

    def look() -> None:
        found.extend(verify.verify_chain(reports, None, allow_unsigned=True))

    made = audit(world(), tmp_path, claim("c", LOCKED))
    looking = threading.Thread(target=look)

    def judge(view: RunView, out: IO[bytes]) -> None:
        looking.start()
        looking.join(0.2)
        assert looking.is_alive()
        json_report.REPORT.render(view, out)

    made.audit.plugins = dataclasses.replace(
        made.audit.plugins, reports={"json": msgspec.structs.replace(json_report.REPORT, render=judge)}
    )
    with ThreadPoolExecutor(1) as pool:
        made.audit.run(pool)
    looking.join()
    assert len(found) == 2
    assert caplog.messages == [f"a run is being sealed in {reports}: waiting until it is"]


def test_a_key_given_up_meanwhile_seals_nothing(own: Keys, tmp_path: Path) -> None:
    key, asked = own.key, 0

    def rotate(_question: str) -> None:
        nonlocal asked
        asked += 1
        if asked == 1:
            keys.rotate(own.private, own.public, NOW + 2 * SECOND)

    told = f"the run was not sealed, for it would not verify: is of .*; its key {key.id} was valid from .* until "
    with pytest.raises(EvidenceError, match=told):
        audit(world(before=rotate), tmp_path, claim("c", LOCKED), key=key, key_file=own.public)
    assert verify.verify_chain(tmp_path / "reports", own.ring) == []
    audit(world(NOW + DAY), tmp_path, claim("c", LOCKED), key=own.key, key_file=own.public)
    (found,) = verify.verify_chain(tmp_path / "reports", own.ring)
    assert found.key is not None
    assert found.key.id == own.key.id


def test_a_key_taken_out_of_the_key_file_meanwhile_seals_nothing(own: Keys, tmp_path: Path) -> None:
    key = own.key
    own.public.unlink()
    keys.generate(tmp_path / "other.key", own.public, NOW - DAY)
    with pytest.raises(EvidenceError, match=f"its key {key.id} is not in {own.public} any more"):
        audit(world(), tmp_path, claim("c", LOCKED), key=key, key_file=own.public)
    assert verify.verify_chain(tmp_path / "reports", own.ring) == []


def test_what_ended_later_than_now_shows_that_a_clock_is_wrong(tmp_path: Path) -> None:
    run = audit(world(), tmp_path, claim("c", LOCKED)).run
    reports, ended = run.parent, finished_of(run).finished_at
    copy = shutil.copytree(run, reports / "backup")  # by its name no run
    seal.seal_run(copy, msgspec.structs.replace(finished_of(run), finished_at=ended + DAY))
    (shutil.copytree(run, reports / f"{run.name[:17]}00000000") / seal.MANIFEST).unlink()
    seal.refuse_before_last_end(reports, ended)
    seal.refuse_before_last_end(tmp_path / "none", ended - DAY)
    with pytest.raises(UsageError) as caught:
        seal.refuse_before_last_end(reports, ended - DAY)
    ends, now = (f"{at:%Y-%m-%d %H:%M:%S} UTC" for at in (ended, ended - DAY))
    reason = f"{run.name} ended {ends}, and now it is {now}: a clock is wrong, and its key would not have been valid"
    assert caught.value.problems == (Problem(reason, str(reports)),)
