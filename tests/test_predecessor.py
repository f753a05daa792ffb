"""Which run a new one follows: none that does not verify, and none that would leave the chain broken for good."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from auditor import seal, verify
from auditor.model import EvidenceError, UsageError
from tests import toy
from tests.sealing import finished_of, scope_of, seal_anew
from tests.test_verify import LOCKED, Sealed, boxes, make
from tests.toy import World, claim

AWAY = "take that run away, or write to another folder (-o)"


@pytest.fixture
def sealed(tmp_path: Path) -> Sealed:
    return make(tmp_path)


def folder(sealed: Sealed) -> Path:
    return sealed.run.parent.parent


def again(sealed: Sealed, world: World | None = None, *, key_file: bool = True, **more: Any) -> Path:
    """Audit once more, after the runs that are there."""
    world = world or World(boxes(1), clock=finished_of(sealed.runs[-1]).finished_at)
    ring = folder(sealed) / "auditor.keys.json" if key_file else None
    return toy.audit(world, folder(sealed), claim("c", LOCKED), **{"key": sealed.key, "key_file": ring, **more}).run


def refused(sealed: Sealed, kind: type[Exception] = EvidenceError, **more: Any) -> str:
    """Audit once more in vain: nobody was asked, and the chain is what it was."""
    world = World(boxes(1), clock=finished_of(sealed.runs[1]).finished_at)
    before = sorted(sealed.run.parent.iterdir())
    with pytest.raises(kind) as caught:
        again(sealed, world, **more)
    assert not world.asked
    assert sorted(sealed.run.parent.iterdir()) == before
    return str(caught.value)


def chain(sealed: Sealed, count: int) -> None:
    found = verify.verify_chain(sealed.run.parent, sealed.ring)
    assert [one.scope.sequence for one in found] == list(range(1, count + 1))


def test_a_whole_chain_is_followed(sealed: Sealed) -> None:
    again(sealed)
    again(sealed, key_file=False)
    chain(sealed, 5)


def test_a_run_that_nobody_signed_gets_no_place_behind_signed_ones(sealed: Sealed) -> None:
    told = refused(sealed, UsageError, key=None, key_file=False)
    mend = "name their key in the settings (seal), or write to another folder (-o)"
    assert told == f"the runs of 'Toys' here are signed, and this one would not be: {mend}"
    for run in sealed.runs:
        seal_anew(run, sealed.key, msgspec.structs.replace(scope_of(run), organization="Others"))
    again(sealed, key=None, key_file=False)  # it is another organization that signs
    assert refused(sealed, UsageError, organization="Others", key=None, key_file=False)


def test_unsigned_runs_follow_each_other_and_a_signed_one_follows_them(tmp_path: Path) -> None:
    for key in (None, None):
        toy.audit(World(boxes(1)), tmp_path, claim("c", LOCKED), key=key)
    sealed = make(tmp_path)
    assert [scope_of(run).sequence for run in sealed.runs] == [3, 4, 5]


@pytest.mark.parametrize("key_file", [True, False])
def test_a_run_put_there_by_whoever_has_no_key_is_not_followed(sealed: Sealed, key_file: object) -> None:
    forged = shutil.copytree(sealed.runs[2], sealed.runs[2].with_name("20261123T090000Z-0000dead"))
    said = msgspec.structs.replace(scope_of(forged), run=forged.name, sequence=1000)
    said = msgspec.structs.replace(said, started_at=said.started_at.replace(hour=9, minute=0, second=0, microsecond=0))
    seal_anew(forged, None, said)
    told = f"{forged.name}, the run before, is not signed, and earlier ones are: anybody could have put it there"
    assert refused(sealed, UsageError, key_file=key_file) == f"{told}; {AWAY}"
    seal_anew(forged, sealed.foreign, said)
    told = f"{seal.EVIDENCE}: is signed by a key that is not known: {sealed.foreign.id}"
    if key_file:  # else nobody can tell whose keys count
        assert refused(sealed) == f"{forged}, the run before: {told}: restore it, {AWAY}"
    shutil.rmtree(forged)
    again(sealed)
    chain(sealed, 4)


def test_a_copy_under_another_name_is_not_followed(sealed: Sealed) -> None:
    last = sealed.runs[2]
    copy = shutil.copytree(last, last.with_name("20261123T193000Z-00000000"))
    told = f"{copy / seal.EVIDENCE}: is of the run {last.name}, and stands in {copy.name}"
    assert refused(sealed) == f"{told}: this may be the run before; restore it, {AWAY}"
    shutil.rmtree(copy)
    again(sealed)
    chain(sealed, 4)


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-100])


@pytest.mark.parametrize("key_file", [True, False])
@pytest.mark.parametrize(("harm", "name"), [(cut, seal.EVIDENCE), (cut, seal.MANIFEST), (Path.unlink, seal.EVIDENCE)])
def test_a_damaged_last_run_is_not_passed_over(
    sealed: Sealed, harm: Callable[[Path], None], name: str, key_file: object
) -> None:
    """It may be restored: then two runs would have one number."""
    path = sealed.runs[2] / name
    kept = path.read_bytes()
    harm(path)
    told = refused(sealed, key_file=key_file)
    assert str(sealed.runs[2]) in told
    assert f"{name}: " in told
    assert told.endswith(f"restore it, {AWAY}")
    path.write_bytes(kept)
    again(sealed)
    chain(sealed, 4)


@pytest.mark.parametrize("key_file", [True, False])
def test_a_last_run_whose_statements_contradict_each_other_is_not_followed(sealed: Sealed, key_file: object) -> None:
    """Though each is signed by a key that counts."""
    last = sealed.runs[2]
    kept = (last / seal.EVIDENCE).read_bytes()
    seal.seal_evidence(last, msgspec.structs.replace(scope_of(last), organization="Others"), sealed.key)
    changed = f"{seal.EVIDENCE}: is not what was sealed: its SHA-256 differs"
    assert refused(sealed, key_file=key_file) == f"{last}, the run before: {changed}: restore it, {AWAY}"
    seal.seal_evidence(last, msgspec.structs.replace(scope_of(last), sequence=9), sealed.key)
    of_another = f"{seal.MANIFEST}: is of the run {last.name}, number 3, not of this one"
    assert refused(sealed, key_file=key_file) == f"{last}, the run before: {changed}; {of_another}: restore it, {AWAY}"
    (last / seal.EVIDENCE).write_bytes(kept)
    again(sealed)
    chain(sealed, 4)
