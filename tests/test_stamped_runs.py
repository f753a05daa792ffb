"""Runs whose evidence a time-stamp authority saw: sealed with its word or without it, and what verify makes of that."""

from __future__ import annotations

import datetime as dt
import hashlib
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from auditor import keys, seal, timestamps, verify
from auditor.contents import Directory
from auditor.engine import evaluate
from auditor.keys import KeyRing, SigningKey
from auditor.results import TimeStamp
from auditor.sources.timestamp_authority import Authority
from auditor.verify import DoesNotVerify, Verified
from tests import toy
from tests.cli_process import closed_port
from tests.sealing import finished_of, scope_of, seal_anew
from tests.toy import World, claim
from tests.tsa_server import REAL_SUBJECT, Issuer, Query, Signer, authority, rejected

ISSUER = Issuer()
AT = toy.NOW + dt.timedelta(seconds=30)
DAY, MINUTE = dt.timedelta(days=1), dt.timedelta(minutes=1)
LOCKED = {"id": "t", "check": "boxes-locked"}


class Stamped(msgspec.Struct, frozen=True):
    """A signed and stamped run, the keys and authority that count, and who can sign and stamp."""

    run: Path
    ring: KeyRing
    key: SigningKey
    signer: Signer


def audit(folder: Path, key: SigningKey | None, url: str = "", *, at: dt.datetime = toy.NOW, **more: Any) -> toy.Result:
    """Audit the toy world; at `url` is the authority that is asked, if any."""
    world = World([{"id": "b0", "closed": True}])
    world.clock = at
    asked = Authority(url=url, certificates=(ISSUER.pem,)) if url else None
    return toy.audit(world, folder, claim("c", LOCKED), key=key, authority=asked, **more)


def stamping(signer: Signer, at: dt.datetime = AT) -> Callable[[bytes], bytes]:
    return lambda raw: signer.stamp(Query.of(raw).digest, at, Query.of(raw).nonce)


@pytest.fixture(scope="module")
def once(tmp_path_factory: pytest.TempPathFactory) -> Stamped:
    folder = tmp_path_factory.mktemp("stamped")
    key = keys.generate(folder / "auditor.key", folder / "auditor.keys.json", toy.NOW - 90 * DAY)
    (folder / "ca.pem").write_text(ISSUER.pem)
    keys.add_authorities(folder / "ca.pem", folder / "auditor.keys.json")
    signer = Signer(folder / "signer", ISSUER)
    with authority(stamping(signer)) as server:
        run = audit(folder, key, server.url).run
    return Stamped(run, keys.load(folder / "auditor.keys.json"), key, signer)


@pytest.fixture
def stamped(once: Stamped, tmp_path: Path) -> Stamped:
    """A copy that a test may change."""
    run = shutil.copytree(once.run, tmp_path / once.run.name)
    return Stamped(run, once.ring, once.key, once.signer)


def check(one: Stamped, run: Path | None = None) -> Verified:
    return verify.verify_run(Directory(run or one.run), one.ring)


def flaws(one: Stamped, ring: KeyRing | None = None) -> list[str]:
    with pytest.raises(DoesNotVerify) as caught:
        verify.verify_run(Directory(one.run), ring or one.ring)
    assert {flaw.line for flaw in caught.value.flaws} == {0}  # none is of a line
    return [str(flaw) for flaw in caught.value.flaws]


def refused_for_lack(found: Verified) -> str:
    with pytest.raises(DoesNotVerify) as caught:
        verify.require_timestamps([found])
    return str(caught.value)


def test_the_evidence_is_stamped_and_every_place_says_so(stamped: Stamped, tmp_path: Path) -> None:
    found = check(stamped)
    said = TimeStamp(at=AT, authority=REAL_SUBJECT)
    assert (found.stamped, found.dated) == (timestamps.Stamped(at=AT, authority=REAL_SUBJECT, serial=78), said.words)
    assert finished_of(stamped.run).timestamp == said
    assert msgspec.json.decode((stamped.run / "report.json").read_bytes())["run"]["timestamp"] == msgspec.to_builtins(
        said
    )
    assert said.words == "time-stamped 2026-11-23 12:00:30 UTC by CN=Clock 1"
    verify.require_timestamps([found])
    (tmp_path / "ca.pem").write_text(ISSUER.pem)
    command = [
        "openssl",
        "ts",
        "-verify",
        "-in",
        seal.STAMP,
        "-data",
        seal.EVIDENCE,
        "-CAfile",
        str(tmp_path / "ca.pem"),
    ]
    assert subprocess.run(command, cwd=stamped.run, capture_output=True, check=True).stdout == b"Verification: OK\n"
    evidence = stamped.run / seal.EVIDENCE
    evidence.write_bytes(evidence.read_bytes() + b" ")
    assert subprocess.run(command, cwd=stamped.run, capture_output=True, check=False).returncode != 0


def test_an_authority_of_openssl_stamps_as_well(once: Stamped, tmp_path: Path) -> None:
    """By its own clock, which is ours."""
    now = dt.datetime.now(dt.UTC)
    with authority(once.signer.answer) as server:
        run = audit(tmp_path, once.key, server.url, at=now - 10 * dt.timedelta(seconds=1)).run
    found = check(once, run)
    assert found.stamped is not None
    assert found.stamped.authority == REAL_SUBJECT
    assert abs(found.stamped.at - now) < MINUTE


def test_judging_again_gives_the_same_to_the_byte(stamped: Stamped, tmp_path: Path) -> None:
    world = World([])
    evaluate(stamped.run, tmp_path / "again", toy.plugins(world), ("json",), stamped.ring)
    assert (tmp_path / "again" / "report.json").read_bytes() == (stamped.run / "report.json").read_bytes()
    assert world.asked.total() == 0


def test_a_run_that_nobody_was_to_stamp_says_nothing_of_it(once: Stamped, tmp_path: Path) -> None:
    run = audit(tmp_path, once.key).run
    assert finished_of(run).timestamp is None
    assert not (run / seal.STAMP).exists()
    found = check(once, run)
    assert (found.stamped, found.dated) == (None, verify.NO_STAMP)
    assert refused_for_lack(found) == f"{run.name}/{seal.STAMP}: {verify.NO_STAMP}"


LIES: dict[str, tuple[Callable[[Signer, bytes], bytes], str]] = {
    "garbage": (lambda *_: b"no", "is no time stamp"),
    "a refusal": (lambda *_: rejected("sold out"), "did not grant it as asked: status 2 (sold out)"),
    "an old answer": (lambda signer, raw: signer.stamp(Query.of(raw).digest, AT, 1), "does not repeat the nonce"),
    "a clock that is late": (lambda signer, raw: stamping(signer, toy.NOW - DAY)(raw), "before the end of collection"),
    "a clock that is early": (lambda signer, raw: stamping(signer, toy.NOW + DAY)(raw), "after the end of the run"),
    "long words": (lambda *_: rejected("x" * 9000), "…"),
}


@pytest.mark.parametrize("lie", LIES)
def test_an_authority_that_lies_fails_no_audit(lie: str, once: Stamped, tmp_path: Path) -> None:
    answer, reason = LIES[lie]
    with authority(lambda raw: answer(once.signer, raw)) as server:
        made = audit(tmp_path, once.key, server.url)
    said = finished_of(made.run).timestamp
    assert said is not None
    assert (said.at, said.authority) == (None, "")
    assert reason in said.error
    assert len(said.error) <= 1000
    assert made.head.run.timestamp == said
    assert made.outcomes() == {"t/main/b0": "pass"}
    assert not (made.run / seal.STAMP).exists()
    found = check(once, made.run)
    assert (found.stamped, found.dated) == (None, f"no time stamp: {said.error}")
    assert reason in refused_for_lack(found)


def test_an_authority_that_cannot_be_reached_fails_no_audit(once: Stamped, tmp_path: Path) -> None:
    with closed_port() as port:
        run = audit(tmp_path, once.key, f"http://127.0.0.1:{port}/").run
    assert "cannot be reached" in refused_for_lack(check(once, run))


def test_no_secret_comes_back_in_the_words_of_an_authority(
    once: Stamped, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SHELF", "open-sesame-4711")
    with authority(lambda _: rejected("because open-sesame-4711")) as server:
        run = audit(tmp_path, once.key, server.url, secret={"env": "SHELF"}).run
    said = finished_of(run).timestamp
    assert said is not None
    assert "status 2 (because " in said.error
    assert "sesame" not in said.error


def test_without_authorities_in_the_key_file_the_stamp_counts_for_nothing(stamped: Stamped) -> None:
    ring = msgspec.structs.replace(stamped.ring, timestamp_authorities=())
    found = verify.verify_run(Directory(stamped.run), ring)
    assert found.stamped is None
    assert found.dated == f"time-stamped 2026-11-23 12:00:30 UTC by {REAL_SUBJECT}; {verify.UNHELD}"
    assert verify.UNHELD in refused_for_lack(found)


def test_without_keys_the_stamp_of_an_unsigned_run_counts_for_nothing(once: Stamped, tmp_path: Path) -> None:
    with authority(stamping(once.signer, AT)) as server:
        run = audit(tmp_path, None, server.url).run
    assert (run / seal.STAMP).exists()
    found = verify.verify_run(Directory(run), None, allow_unsigned=True)
    assert (found.key, found.stamped) == (None, None)


def test_a_stamp_that_cannot_be_read_is_told(stamped: Stamped) -> None:
    (stamped.run / seal.STAMP).unlink()
    assert set(flaws(stamped)) == {
        f"{seal.STAMP}: is missing",
        f"{seal.STAMP}: cannot be read: No such file or directory",
    }


def test_by_foreign_authorities_a_stamped_run_does_not_verify(stamped: Stamped) -> None:
    ring = msgspec.structs.replace(stamped.ring, timestamp_authorities=(Issuer("Nobody").pem,))
    (flaw,) = flaws(stamped, ring)
    assert flaw.startswith(f"{seal.STAMP}: its certificate is not of an authority that counts")


def test_every_bit_of_a_stamp_is_covered_by_the_manifest(stamped: Stamped) -> None:
    """Also those that nobody signed: of each octet one bit."""
    path = stamped.run / seal.STAMP
    tsr = path.read_bytes()
    for place in range(len(tsr)):
        changed = bytearray(tsr)
        changed[place] ^= 1 << place % 8
        path.write_bytes(changed)
        assert f"{seal.STAMP}: is not what was sealed: its SHA-256 differs" in flaws(stamped)
    path.write_bytes(tsr)
    check(stamped)


def seal_with(one: Stamped, said: TimeStamp | None, tsr: bytes | None) -> None:
    """Seal the run anew, as whoever has the key can: with this stamp beside it, and telling of that one."""
    (one.run / seal.STAMP).unlink(missing_ok=True)
    if tsr is not None:
        (one.run / seal.STAMP).write_bytes(tsr)
    finished = msgspec.structs.replace(finished_of(one.run), timestamp=said)
    seal.seal_run(one.run, finished, one.key)


def test_the_holder_of_the_key_cannot_tell_of_a_stamp_that_is_not_there(stamped: Stamped) -> None:
    said, tsr = finished_of(stamped.run).timestamp, (stamped.run / seal.STAMP).read_bytes()
    assert said is not None
    differ = f"{seal.MANIFEST}: lists a time stamp and tells of none, or the other way round"
    for told, there in ((said, None), (None, tsr), (TimeStamp(error="was out"), tsr)):
        seal_with(stamped, told, there)
        assert flaws(stamped) == [differ]
    another = f"{seal.MANIFEST}: tells of another time stamp than the one that is there"
    for told in (
        msgspec.structs.replace(said, at=AT - dt.timedelta(seconds=1)),
        msgspec.structs.replace(said, authority="CN=Swiss Time"),
    ):
        seal_with(stamped, told, tsr)
        assert flaws(stamped) == [another]
    seal_with(stamped, said, tsr)
    check(stamped)  # the positive control


def test_a_stamp_of_another_run_does_not_do(stamped: Stamped) -> None:
    said = finished_of(stamped.run).timestamp
    other = stamped.signer.stamp(hashlib.sha256(b"the evidence of another run").digest(), AT)
    seal_with(stamped, said, other)
    (flaw,) = flaws(stamped)
    assert flaw.startswith(f"{seal.STAMP}: it stamps other data")


def date_back(one: Stamped, days: int) -> None:
    """Make the run as if it had been made earlier, and have it stamped when it really was."""
    shift = days * DAY
    scope, finished = scope_of(one.run), finished_of(one.run)
    started = scope.started_at - shift
    name = f"{started:%Y%m%dT%H%M%SZ}{one.run.name[16:]}"
    scope = msgspec.structs.replace(scope, run=name, started_at=started, as_of=scope.as_of - shift)
    digest = seal.seal_evidence(one.run, scope, one.key)
    tsr = one.signer.stamp(hashlib.sha256((one.run / seal.EVIDENCE).read_bytes()).digest(), AT)
    (one.run / seal.STAMP).write_bytes(tsr)
    ended = finished.finished_at - shift
    said = msgspec.structs.replace(finished, run=name, evidence_sha256=digest, finished_at=ended)
    seal.seal_run(one.run, said, one.key)
    one.run.rename(one.run.with_name(name))


def moved(one: Stamped) -> Stamped:
    (run,) = one.run.parent.glob("2*")
    return msgspec.structs.replace(one, run=run)


def test_the_holder_of_the_key_cannot_date_a_run_back(stamped: Stamped) -> None:
    date_back(stamped, 0)
    check(moved(stamped))  # the positive control
    date_back(moved(stamped), 30)
    (flaw,) = flaws(moved(stamped))
    assert flaw.startswith(
        f"{seal.STAMP}: it says 2026-11-23 12:00:30 UTC, after the end of the run (2026-10-24 12:00:"
    )


def test_a_key_that_was_given_up_seals_nothing_that_is_stamped_later(stamped: Stamped) -> None:
    """A thief has the old key: dated truly, the key is over; dated back into its time, the stamp says otherwise."""
    over = toy.NOW - 10 * DAY
    old = msgspec.structs.replace(stamped.ring.keys[0], valid_until=over)
    ring = msgspec.structs.replace(stamped.ring, keys=(old,))
    assert any("its key" in flaw and "was valid from" in flaw for flaw in flaws(stamped, ring))
    date_back(stamped, 30)
    (flaw,) = flaws(moved(stamped), ring)
    assert flaw.startswith(f"{seal.STAMP}: it says 2026-11-23 12:00:30 UTC")


def test_an_unsigned_run_can_be_stamped_too(once: Stamped, tmp_path: Path) -> None:
    """Whoever takes unsigned runs learns at least when the evidence stood."""
    with authority(stamping(once.signer)) as server:
        run = audit(tmp_path, None, server.url).run
    found = verify.verify_run(Directory(run), once.ring, allow_unsigned=True)
    assert found.stamped is not None
    seal_anew(run)
    assert verify.verify_run(Directory(run), once.ring, allow_unsigned=True) == found
