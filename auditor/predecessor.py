"""The run that a new one follows. Nothing is hung on a run that does not verify: the chain would stay broken."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import msgspec

from auditor import seal, verify
from auditor.contents import Directory
from auditor.keys import KeyRing
from auditor.model import EvidenceError
from auditor.results import PreviousRun
from auditor.wording import quoted

AWAY = "take that run away, or write to another folder (-o)"


class Predecessor(msgspec.Struct, frozen=True, kw_only=True):
    """The last run of a folder, and the organizations of which a run there is signed, by whomever."""

    run: PreviousRun
    sequence: int
    organization: str
    finished_at: dt.datetime
    is_signed: bool
    signing: frozenset[str]


def find(folder: Path, ring: KeyRing | None) -> Predecessor | None:
    """Return the last run of a folder, once its statements are what was sealed; None where there is no run.

    Its other files are not compared: what follows it names its manifest statement, which holds their digests. `ring`
    are the keys whose signatures count; without them it is not asked who signed. Raises `EvidenceError`.
    """
    found = seal.survey(folder)
    try:
        last = found.last(strict=True)
    except EvidenceError as error:
        raise EvidenceError(f"{error}: this may be the run before; restore it, {AWAY}") from None
    if last is None:
        return None
    try:
        finished, digest = verify.verify_statements(Directory(folder / last.name), ring)
    except verify.DoesNotVerify as error:
        flaws = "; ".join(map(str, error.flaws))
        raise EvidenceError(f"{folder / last.name}, the run before: {flaws}: restore it, {AWAY}") from None
    return Predecessor(
        run=PreviousRun(last.name, digest),
        sequence=last.sequence,
        organization=last.organization,
        finished_at=finished.finished_at,
        is_signed=last.is_signed,
        signing=frozenset(one.organization for one in found.found if one.is_signed),
    )


def objection(previous: Predecessor | None, organization: str, now: dt.datetime, *, signs: bool) -> str:
    """Say why a run of an organization that ends now cannot follow that one; "" where it can."""
    if previous is None:
        return ""
    run, ended = previous.run.id, previous.finished_at
    if verify.dated_back(now, ended):
        times = f"{ended:%Y-%m-%d %H:%M:%S} UTC, and now it is {now:%Y-%m-%d %H:%M:%S} UTC"
        return f"{run}, the run before, ended {times}: a clock was wrong; {AWAY}"
    if not previous.is_signed and previous.organization in previous.signing:
        return f"{run}, the run before, is not signed, and earlier ones are: anybody could have put it there; {AWAY}"
    if not signs and organization in previous.signing:
        mend = "name their key in the settings (seal), or write to another folder (-o)"
        return f"the runs of {quoted(organization)} here are signed, and this one would not be: {mend}"
    return ""
