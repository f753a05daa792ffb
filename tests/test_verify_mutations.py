"""None of 10,000 ways of tampering with sealed runs goes unnoticed; a failing one says how to make it again."""

from __future__ import annotations

import shutil
from pathlib import Path
from random import Random

import pytest

from auditor.model import EvidenceError
from auditor.verify import DoesNotVerify, Flaw
from tests.cli_process import auditor
from tests.tampering import KINDS
from tests.tampering.chain import Chain, Original, make

ALL, SAMPLE, STEP = 10_000, 400, 200
NAMES = tuple(KINDS)


@pytest.fixture(scope="session")
def original(tmp_path_factory: pytest.TempPathFactory) -> Original:
    folder = tmp_path_factory.mktemp("tampering")
    make(folder)
    return Original(folder)


def apply(original: Original, folder: Path, number: int) -> tuple[str, Chain, str]:
    """Tamper with a copy; return the kind, the copy, and what is wrong with what verifying says of it ("": nothing)."""
    kind = NAMES[number % len(NAMES)]
    chain = original.copy(folder)
    expected = KINDS[kind](chain, Random(number))
    if original.is_like(chain):
        return kind, chain, "nothing was changed"
    try:
        chain.verify()
    except EvidenceError as error:
        file, _, reason = str(error).partition(": ")
        flaws = error.flaws if isinstance(error, DoesNotVerify) else (Flaw(file, 0, reason),)
        return kind, chain, "" if expected.by(flaws) else f"{expected} was expected, and told was: {error}"
    return kind, chain, "it verifies"


def tamper(original: Original, folder: Path, numbers: range) -> list[str]:
    wrong = []
    for number in numbers:
        kind, chain, reason = apply(original, folder / f"{number}", number)
        if reason:
            wrong.append(f"number {number} ({kind}), kept in {chain.folder}: {reason}")
        else:
            shutil.rmtree(folder / f"{number}")
    return wrong


def steps(begin: int, end: int) -> list[range]:
    return [range(first, min(first + STEP, end)) for first in range(begin, end, STEP)]


@pytest.mark.parametrize("numbers", steps(0, SAMPLE), ids=str)
def test_no_tampering_goes_unnoticed(original: Original, tmp_path: Path, numbers: range) -> None:
    """Each is told in the file it was made in, and on the line where it is a segment's."""
    assert tamper(original, tmp_path, numbers) == []


@pytest.mark.long
@pytest.mark.parametrize("numbers", steps(SAMPLE, ALL), ids=str)
def test_none_of_all_goes_unnoticed(original: Original, tmp_path: Path, numbers: range) -> None:
    assert tamper(original, tmp_path, numbers) == []


def test_what_was_not_tampered_with_verifies(original: Original, tmp_path: Path) -> None:
    """The positive control: so does every copy, with and without the head of the chain."""
    chain = original.copy(tmp_path / "copy")
    assert [one.run for one in chain.verify()] == [run.name for run in chain.runs]
    chain.heads_known = True
    assert len(chain.verify()) == 3
