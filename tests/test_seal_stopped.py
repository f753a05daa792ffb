"""Runs and keys whose writing is stopped half-way, by a person or a full disk: nothing later hangs on what is left."""

from __future__ import annotations

import os
import resource
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import IO

import pytest

from auditor import keys, seal, verify
from auditor.engine import Plugins
from auditor.model import UsageError
from auditor.results import ReportFormat, RunView
from tests import toy
from tests.sealing import finished_of, scope_of
from tests.test_verify import HOUR, LOCKED, Sealed, make
from tests.toy import World, audit, claim


@pytest.fixture
def sealed(tmp_path: Path) -> Sealed:
    return make(tmp_path)


@contextmanager
def files_no_longer_than(size: int) -> Iterator[None]:
    """As a disk that is full: what is written beyond is refused."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_half_a_statement_is_none(sealed: Sealed) -> None:
    run = sealed.runs[2]
    last, finished = (run / seal.MANIFEST).read_bytes(), finished_of(run)
    (run / seal.MANIFEST).unlink()
    with files_no_longer_than(len(last) - 1), pytest.raises(OSError, match="File too large"):
        seal.seal_run(run, finished, sealed.key)
    assert not (run / seal.MANIFEST).exists()
    latest = seal.latest_run(run.parent)
    assert latest is not None
    assert latest[0].id == sealed.runs[1].name
    (run / f"{seal.MANIFEST}.partial").unlink()
    seal.seal_run(run, finished, sealed.key)  # the positive control
    assert (run / seal.MANIFEST).read_bytes() == last


def test_whoever_stops_a_run_while_it_is_judged_stops_no_other(sealed: Sealed) -> None:
    def stop(_view: RunView, _out: IO[bytes]) -> None:
        raise KeyboardInterrupt

    folder = sealed.run.parent.parent
    world = World([{"id": "b", "closed": True}], clock=scope_of(sealed.runs[2]).as_of)
    job = audit(world, folder, claim("c", LOCKED), key=sealed.key).audit
    found = job.plugins
    stopping = ReportFormat(name="json", filename="report.json", summary="", render=stop)
    job.plugins = Plugins(found.checks, found.sources, {"json": stopping})
    with ThreadPoolExecutor(1) as pool, pytest.raises(KeyboardInterrupt):
        job.run(pool)
    stopped = max(path for path in folder.glob("reports/2*"))
    assert list((stopped / "evidence").iterdir())
    assert sorted(path.name for path in stopped.iterdir()) == ["evidence", "plan.json", "policy"]
    assert len(verify.verify_chain(folder / "reports", sealed.ring)) == 4
    audit(world, folder, claim("c", LOCKED), key=sealed.key)
    assert len(verify.verify_chain(folder / "reports", sealed.ring)) == 5


def test_a_key_that_could_not_be_written_whole_is_not_left_behind(tmp_path: Path) -> None:
    private, public = tmp_path / "auditor.key", tmp_path / "auditor.keys.json"
    for most in (50, 150):  # the private key has 119 octets, the key file more
        with files_no_longer_than(most), pytest.raises(OSError, match="File too large"):
            keys.generate(private, public, toy.NOW)
        assert not private.exists()
        assert not public.exists()
    keys.generate(private, public, toy.NOW)


def test_a_rotation_that_was_not_finished_is_told(tmp_path: Path) -> None:
    private, public = tmp_path / "auditor.key", tmp_path / "auditor.keys.json"
    keys.generate(private, public, toy.NOW)
    waiting = tmp_path / "auditor.key.new"
    waiting.touch()
    with pytest.raises(UsageError, match=r"auditor\.key\.new: is of a rotation that was not finished"):
        keys.rotate(private, public, toy.NOW + HOUR)
    waiting.unlink()
    keys.rotate(private, public, toy.NOW + HOUR)


def test_a_pipe_in_place_of_a_private_key_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe", 0o600)
    with pytest.raises(UsageError, match="is no file"):
        keys.read_private(tmp_path / "pipe")
