"""Whose signatures count and who signed: what every command says that verifies evidence before it reads it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import click

from auditor.wording import harmless

if TYPE_CHECKING:
    from auditor.contents import Contents
    from auditor.keys import KeyRing, PublicKey
    from auditor.verify import Verified

UNSIGNED = "UNSIGNED: anybody could have made or changed it"


@dataclass(frozen=True)
class Known:
    """The keys that count, the file they are in ("" where there is none), and whether somebody named it."""

    ring: KeyRing | None
    file: str = ""
    named: bool = False

    @property
    def source(self) -> tuple[str, ...]:
        """The line that tells of a file that nobody named: whoever made the evidence may have put it there."""
        if not self.file or self.named:
            return ()
        return (f"keys: {harmless(self.file)}; compare their fingerprints with those that the company gave you",)


@contextmanager
def known(given: Path | None, place: Path, files: Contents | None = None) -> Iterator[Known]:
    """Give the keys that count: those of the file named, of the one here or beside `place`, or a package's own.

    Where evidence does not verify by keys that nobody named, it is said where they were found.
    """
    from auditor.model import EvidenceError

    keys = _find(given, place, files)
    try:
        yield keys
    except EvidenceError as error:
        if keys.source:
            error.add_note(f"keys: {harmless(keys.file)} (another: --keys FILE)")
        raise


def _find(given: Path | None, place: Path, files: Contents | None) -> Known:
    from auditor import keys

    if given is not None:
        return Known(keys.load(given), str(given), named=True)
    for folder in (Path(), place.parent, place.resolve().parent, place):  # "." is its own parent
        if (path := folder / keys.PUBLIC).is_file():
            return Known(keys.load(path), str(path))
    if files is not None:
        from auditor.packaging.statement import KEYS, own_keys

        if (own := own_keys(files)) is not None:
            return Known(own, f"{place}: {KEYS}")
    return Known(None)


def in_words(one: Verified) -> str:
    """Return what is known of a run that verifies: its number, who signed it, and who says when it was."""
    stamped = f", {one.dated}" if one.finished.timestamp else ""
    return f"{signed(one.run, one.scope.sequence, one.key)}{stamped}"


def unsealed(folder: Path) -> list[str]:
    """Return a line for each run in a folder that is not sealed, and so is none that verifies."""
    from auditor import verify

    return [f"{path.name}: not sealed: under way or interrupted; not verified" for path in verify.unsealed(folder)]


def signed(run: str, sequence: int, key: PublicKey | None) -> str:
    """Return by whom a run that verifies was signed."""
    return f"{run}: verifies, number {sequence}, {f'signed by key {key.id}' if key else UNSIGNED}"


def signer(run: Path, ring: KeyRing | None) -> PublicKey | None:
    """Return the key that signed a run that was verified with these keys; None where nobody did."""
    from auditor import contents, envelope, seal

    find = ring.find if ring is not None else lambda _: None
    return envelope.open_envelope(contents.read(contents.Directory(run), seal.MANIFEST), find).key


def is_run(path: Path) -> bool:
    """Whether a folder is that of a run, also of one that lost its statements: by its name, or by what is left in it.

    Where runs are in it, only a statement makes it one itself.
    """
    from auditor import evidence, seal, verify

    if any((path / name).exists() for name in (seal.EVIDENCE, seal.MANIFEST)):
        return True
    if seal.RUN_ID.fullmatch(path.resolve().name):
        return True
    return any((path / name).exists() for name in (seal.PLAN, evidence.FOLDER)) and not verify.runs_of(path)


def refuse_no_run(path: Path, hint: str = "RUN") -> None:
    """Refuse a folder that was never that of a run: another was meant, and nothing is wrong with any evidence."""
    from auditor import verify
    from auditor.packaging.opening import IS_A_RUN

    if is_run(path):
        return
    if runs := verify.runs_of(path):
        raise click.BadParameter(f"{path} is a folder of runs; name one of them, such as {runs[-1]}", param_hint=hint)
    raise click.BadParameter(f"{path} is no run; {IS_A_RUN}", param_hint=hint)
