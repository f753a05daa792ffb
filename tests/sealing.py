"""What somebody does who knows the format of runs: make digests, marks and statements anew, with or without a key."""

from __future__ import annotations

import datetime as dt
import re
import shutil
from pathlib import Path

import msgspec

from auditor import envelope, seal
from auditor.evidence import mark_of
from auditor.keys import SigningKey
from auditor.results import PreviousRun


def scope_of(run: Path) -> seal.Scope:
    """What the evidence statement of a run says, whoever signed it."""
    return seal.decode_evidence(envelope.payload_unverified((run / seal.EVIDENCE).read_bytes())).predicate


def finished_of(run: Path) -> seal.Finished:
    """What the manifest statement of a run says, whoever signed it."""
    return seal.decode_manifest(envelope.payload_unverified((run / seal.MANIFEST).read_bytes())).predicate


def seal_anew(run: Path, key: SigningKey | None = None, scope: seal.Scope | None = None) -> None:
    """Seal the files of a run as they now are."""
    finished = finished_of(run)
    scope = scope or scope_of(run)
    digest = seal.seal_evidence(run, scope, key)
    as_said = msgspec.structs.replace(finished, run=scope.run, sequence=scope.sequence, evidence_sha256=digest)
    seal.seal_run(run, as_said, key)


def follow(run: Path, at: dt.datetime, ended: dt.datetime, key: SigningKey) -> Path:
    """Make a run once more, as the one after it, begun and ended at these times."""
    after = run.with_name(f"{at:%Y%m%dT%H%M%SZ}-00000000")
    shutil.copytree(run, after)
    (after / seal.STAMP).unlink(missing_ok=True)
    said = msgspec.structs.replace(
        scope_of(run),
        run=after.name,
        sequence=scope_of(run).sequence + 1,
        started_at=at,
        as_of=at,
        previous_run=PreviousRun(run.name, seal.sha256_file(run / seal.MANIFEST)),
    )
    seal_anew(after, key, said)
    seal.seal_run(after, msgspec.structs.replace(finished_of(after), finished_at=ended, timestamp=None), key)
    return after


def marked(rows: list[bytes]) -> list[bytes]:
    """Make every mark of the line before anew."""
    result: list[bytes] = []
    for row in rows:
        mark = mark_of(result[-1]) if result else ""
        result.append(re.sub(rb'"prev":"[0-9a-f]*"', b'"prev":"%s"' % mark.encode(), row, count=1))
    return result
