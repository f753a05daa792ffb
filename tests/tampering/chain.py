"""What is tampered with: a folder of three signed runs, and a second such folder to take things from."""

from __future__ import annotations

import datetime as dt
import shutil
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random

import msgspec

from auditor import keys, plugins, seal, verify
from auditor.evidence import FOLDER
from auditor.keys import KeyRing, SigningKey
from auditor.packaging.build import build
from auditor.packaging.opening import opened
from auditor.packaging.statement import verify_package
from auditor.sources.timestamp_authority import Authority
from auditor.verify import Flaw, Verified
from tests import toy
from tests.toy import World, claim
from tests.tsa_server import Issuer, Query, Signer, authority

HOUR = dt.timedelta(hours=1)
STATEMENTS = (seal.EVIDENCE, seal.MANIFEST)
PACKAGE = "evidence.zip"
STAMPED = 2
"""How many runs bear a time stamp; the last does not."""
CHECKS = ("boxes-locked", "boxes-locked-everywhere", "report-fine")


@dataclass(frozen=True)
class Told:
    """What has to be said of it: a flaw of one of these files (none: of any), on one of these lines (none: any)."""

    files: frozenset[str] = frozenset()
    lines: frozenset[int] = frozenset()

    def by(self, flaws: Iterable[Flaw]) -> bool:
        """Whether one of the flaws says so."""
        return not self.files or any(
            (not self.files or flaw.file in self.files) and (not self.lines or flaw.line in self.lines)
            for flaw in flaws
        )


@dataclass
class Chain:
    """A copy that may be changed. `spare` holds another chain by the same key; the foreign key is an attacker's own."""

    folder: Path
    spare: Path
    ring: KeyRing
    foreign: SigningKey
    head: str
    whole_package: Path
    """The package of its runs, as it was made."""
    package: Path | None = None
    """A copy of the package, where that is what is tampered with: an archive or a folder."""
    heads_known: bool = False
    """Whether the verifier has the head of the chain, without which its end can be taken away."""

    @property
    def runs(self) -> list[Path]:
        """The runs of the chain, oldest first."""
        return runs_in(self.folder)

    @property
    def spares(self) -> list[Path]:
        """The runs of the other chain."""
        return runs_in(self.spare)

    def run(self, rng: Random) -> Path:
        """One of the runs."""
        return rng.choice(self.runs)

    def other(self, rng: Random, run: Path) -> Path:
        """Another run by the same key, of this chain or of the spare one."""
        return rng.choice([path for path in (*self.runs, *self.spares) if path != run])

    def packed(self) -> Path:
        """A copy of the package, which from now on is what is verified."""
        if self.package is None:
            self.package = self.folder.with_name(self.whole_package.name)
            shutil.copyfile(self.whole_package, self.package)
        return self.package

    def verify(self) -> Sequence[Verified]:
        """Verify all of it as somebody does who was given the key file; `EvidenceError` where it is not as it was."""
        if self.package is not None:
            with opened(self.package) as files:
                return verify_package(files, self.ring).runs
        return verify.verify_chain(self.folder, self.ring, head=self.head if self.heads_known else "")


Tampering = Callable[[Chain, Random], Told]


def told(run: Path, *names: str, lines: Iterable[int] = ()) -> Told:
    """Say that a flaw has to be found in one of these files of the run."""
    return Told(frozenset(f"{run.name}/{name}" for name in names), frozenset(lines))


def runs_in(folder: Path) -> list[Path]:
    """The runs of a folder, oldest first."""
    return sorted(path for path in folder.iterdir() if seal.RUN_ID.fullmatch(path.name))


def files(run: Path) -> list[str]:
    """The names of a run's files."""
    return sorted(path.relative_to(run).as_posix() for path in run.rglob("*") if path.is_file())


def segments(run: Path) -> list[str]:
    """The names of a run's segments."""
    return [name for name in files(run) if name.startswith(f"{FOLDER}/")]


def make(folder: Path) -> None:
    """Audit a small world three times, twice over, sealing with one key and stamping the first two runs; pack it.

    A foreign key lies beside it.
    """
    at = toy.NOW - 2 * HOUR
    key = keys.generate(folder / "auditor.key", folder / "auditor.keys.json", at)
    keys.generate(folder / "foreign.key", folder / "foreign.keys.json", at)
    signer = Signer(folder / "signer", Issuer())
    (folder / "authority.pem").write_text(signer.issuer.pem)
    keys.add_authorities(folder / "authority.pem", folder / "auditor.keys.json")
    claims = [claim(f"claim-{check}", {"id": f"test-{check}", "check": check}) for check in CHECKS]
    for name in ("chain", "spare"):
        for number in range(3):
            world = World([{"id": f"b{index}", "closed": index != number} for index in range(3)])
            world.clock += number * HOUR
            stamped_at = world.clock + dt.timedelta(seconds=30)
            with authority(_stamping(signer, stamped_at)) as asked:
                who = Authority(url=asked.url, certificates=(signer.issuer.pem,)) if number < STAMPED else None
                toy.audit(world, folder / name, *claims, key=key, authority=who)
    ring = keys.load(folder / "auditor.keys.json")
    build(runs_in(folder / "chain" / "reports"), folder / PACKAGE, ring, key, plugins.sources())


def _stamping(signer: Signer, at: dt.datetime) -> Callable[[bytes], bytes]:
    return lambda raw: signer.stamp(Query.of(raw).digest, at, Query.of(raw).nonce)


class Original:
    """A chain as it was made, of which each tampering gets its own copy."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder / "chain" / "reports"
        self.spare = folder / "spare" / "reports"
        self.package = folder / PACKAGE
        self.ring = keys.load(folder / "auditor.keys.json")
        self.key, self.foreign = (
            keys.parse_private((folder / name).read_text(), name) for name in ("auditor.key", "foreign.key")
        )
        self.head = verify.verify_chain(self.folder, self.ring)[-1].head

    def copy(self, to: Path) -> Chain:
        """Copy the chain into a folder."""
        folder = shutil.copytree(self.folder, to / "reports")
        return Chain(folder, self.spare, self.ring, self.foreign, self.head, self.package)

    def is_like(self, chain: Chain) -> bool:
        """Whether a copy is still what it was, and verified by the same keys."""
        as_made = chain.package is None or digest_of(chain.package) == digest_of(self.package)
        return as_made and digest_of(chain.folder) == digest_of(self.folder) and chain.ring == self.ring


def digest_of(place: Path) -> dict[str, bytes | str]:
    """Everything below a folder, or one file: what was applied has changed it."""
    found: dict[str, bytes | str] = {}
    for path in place.rglob("*") if place.is_dir() else [place]:
        name = path.relative_to(place).as_posix()
        if path.is_symlink():
            found[name] = f"link to {path.readlink()}"
        elif path.is_file():
            found[name] = path.read_bytes()
        else:
            found[name] = "folder" if path.is_dir() else "odd"
    return found


def with_dates(ring: KeyRing, begin: dt.datetime, end: dt.datetime | None) -> KeyRing:
    """The same keys, in use at other times."""
    return msgspec.structs.replace(
        ring,
        keys=tuple(msgspec.structs.replace(key, valid_from=begin, valid_until=end) for key in ring.keys),
    )
