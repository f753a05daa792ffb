"""All that somebody can do who knows the format and has every file, but not the key."""

from __future__ import annotations

import base64
from collections.abc import Callable
from pathlib import Path
from random import Random

import msgspec

from auditor import envelope, seal
from auditor.keys import SigningKey
from tests.sealing import seal_anew
from tests.tampering.chain import STATEMENTS, Chain

KEPT = (*STATEMENTS, seal.SUMS)


def _bare(run: Path, chain: Chain, old: dict[str, bytes]) -> None:
    del chain, old
    seal_anew(run, None)


def _foreign(run: Path, chain: Chain, old: dict[str, bytes]) -> None:
    """Sign with a key of one's own, of which nobody was told."""
    del old
    seal_anew(run, chain.foreign)


def _foreign_in_disguise(run: Path, chain: Chain, old: dict[str, bytes]) -> None:
    """Sign with a key of one's own, under the id of the company's."""
    seal_anew(run, disguised(chain, old))


def disguised(chain: Chain, old: dict[str, bytes]) -> SigningKey:
    """Return the foreign key, calling itself by the id of the one that signed a run."""
    return disguised_as(chain.foreign, parts(old[seal.MANIFEST]))


def disguised_as(foreign: SigningKey, of: envelope.Envelope) -> SigningKey:
    """Return a key, calling itself by the id of the one that signed."""
    key = SigningKey(foreign._private)
    key.id = of.signatures[0].keyid
    return key


def _old_signatures(run: Path, chain: Chain, old: dict[str, bytes]) -> None:
    """Put the signatures as they were over what the statements now say."""
    seal_anew(run, chain.foreign)
    for name in STATEMENTS:
        new = msgspec.structs.replace(parts((run / name).read_bytes()), signatures=parts(old[name]).signatures)
        (run / name).write_bytes(written(new))


def _both_signatures(run: Path, chain: Chain, old: dict[str, bytes]) -> None:
    seal_anew(run, chain.foreign)
    for name in STATEMENTS:
        new = parts((run / name).read_bytes())
        both = msgspec.structs.replace(new, signatures=(*parts(old[name]).signatures, *new.signatures))
        (run / name).write_bytes(written(both))


def _no_signature(run: Path, chain: Chain, old: dict[str, bytes]) -> None:
    del old
    seal_anew(run, chain.foreign)
    for name in STATEMENTS:
        new = msgspec.structs.replace(parts((run / name).read_bytes()), signatures=())
        (run / name).write_bytes(written(new))


def _only_the_manifest(run: Path, chain: Chain, old: dict[str, bytes]) -> None:
    """Leave the evidence statement as it was."""
    seal_anew(run, chain.foreign)
    (run / seal.EVIDENCE).write_bytes(old[seal.EVIDENCE])


def _only_the_evidence(run: Path, chain: Chain, old: dict[str, bytes]) -> None:
    """Leave the manifest statement as it was."""
    seal_anew(run, chain.foreign)
    (run / seal.MANIFEST).write_bytes(old[seal.MANIFEST])


def _bare_manifest(run: Path, chain: Chain, old: dict[str, bytes]) -> None:
    _only_the_manifest(run, chain, old)
    (run / seal.MANIFEST).write_bytes(payload((run / seal.MANIFEST).read_bytes()) + b"\n")


def _only_the_sums(run: Path, chain: Chain, old: dict[str, bytes]) -> None:
    """Make only that anew which `sha256sum -c` reads."""
    seal_anew(run, chain.foreign)
    for name in STATEMENTS:
        (run / name).write_bytes(old[name])


WAYS: tuple[Callable[[Path, Chain, dict[str, bytes]], None], ...] = (
    _bare,
    _foreign,
    _foreign_in_disguise,
    _old_signatures,
    _both_signatures,
    _no_signature,
    _only_the_manifest,
    _only_the_evidence,
    _bare_manifest,
    _only_the_sums,
)


def seal_without_the_key(run: Path, chain: Chain, rng: Random) -> None:
    """Make every digest and statement of a run anew, as far as that goes."""
    old = {name: (run / name).read_bytes() for name in KEPT}
    rng.choice(WAYS)(run, chain, old)


def parts(data: bytes) -> envelope.Envelope:
    """Read an envelope."""
    return msgspec.json.decode(data, type=envelope.Envelope)


def written(of: envelope.Envelope) -> bytes:
    """Write an envelope as it is written."""
    return msgspec.json.encode(of) + b"\n"


def payload(data: bytes) -> bytes:
    """Return what an envelope says."""
    return base64.b64decode(parts(data).payload)
