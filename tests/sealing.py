"""What somebody does who knows the format of runs: make digests, marks and statements anew, with or without a key."""

from __future__ import annotations

import re
from pathlib import Path

import msgspec

from auditor import envelope, seal
from auditor.evidence import mark_of
from auditor.keys import SigningKey


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


def marked(rows: list[bytes]) -> list[bytes]:
    """Make every mark of the line before anew."""
    result: list[bytes] = []
    for row in rows:
        mark = mark_of(result[-1]) if result else ""
        result.append(re.sub(rb'"prev":"[0-9a-f]*"', b'"prev":"%s"' % mark.encode(), row, count=1))
    return result
