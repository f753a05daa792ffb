"""None of 10,000 ways of tampering with sealed runs goes unnoticed; one that does says how to make it again."""

from __future__ import annotations

import shutil
from pathlib import Path
from random import Random

import pytest

from auditor.model import EvidenceError
from auditor.verify import DoesNotVerify, Flaw
from tests.cli_process import auditor
from tests.tampering import KINDS
from tests.tampering.chain import Chain, Original, Told, digest_of, make

ALL, SAMPLE, STEP = 10_000, 414, 138  # the sample holds three of each kind
NAMES = tuple(KINDS)


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Original:
    folder = tmp_path_factory.mktemp("tampering")
    make(folder)
    return Original(folder)


def tampered(original: Original, folder: Path, number: int) -> tuple[Chain, Told]:
    """Tamper with a copy; the kind and everything that is left to chance follow from the number."""
    chain = original.copy(folder)
    told = KINDS[NAMES[number % len(NAMES)]](chain, Random(number))  # noqa: S311 - to be made again, not to be secret
    return chain, told


def unnoticed(original: Original, chain: Chain, expected: Told) -> str:
    """Say what is wrong with what verifying makes of it; nothing where it tells of it where it was done."""
    if original.is_like(chain):
        return "nothing was changed"
    try:
        chain.verify()
    except EvidenceError as error:
        file, _, reason = str(error).partition(": ")
        flaws = error.flaws if isinstance(error, DoesNotVerify) else (Flaw(file, 0, reason),)
        return "" if expected.by(flaws) else f"{expected} was expected, and this was told: {error}"
    return "it verifies"


def all_unnoticed(original: Original, folder: Path, numbers: range) -> list[str]:
    """Tamper so many times; what goes unnoticed is kept, and told by its number."""
    found = []
    for number in numbers:
        place = folder / f"{number}"
        if reason := unnoticed(original, *tampered(original, place, number)):
            found.append(f"number {number} ({NAMES[number % len(NAMES)]}), kept in {place}: {reason}")
        else:
            shutil.rmtree(place)
    return found


def steps(begin: int, end: int) -> list[range]:
    return [range(first, min(first + STEP, end)) for first in range(begin, end, STEP)]


def test_what_was_not_tampered_with_verifies(original: Original, tmp_path: Path) -> None:
    """The positive control: every copy does, with and without the head of the chain, and so does the package."""
    chain = original.copy(tmp_path)
    runs = [run.name for run in chain.runs]
    assert [(one.run, one.stamped is None) for one in chain.verify()] == list(
        zip(runs, (False, False, True), strict=True)
    )
    chain.heads_known = True
    assert len(chain.verify()) == 3
    chain.packed()
    assert [one.run for one in chain.verify()] == runs
    assert unnoticed(original, chain, Told()) == "nothing was changed"


@pytest.mark.parametrize("numbers", steps(0, SAMPLE), ids=str)
def test_no_tampering_goes_unnoticed(original: Original, tmp_path: Path, numbers: range) -> None:
    """Each is told in the file where it was done, and on the line where that is one of a segment."""
    assert all_unnoticed(original, tmp_path, numbers) == []


@pytest.mark.long
@pytest.mark.parametrize("numbers", steps(SAMPLE, ALL), ids=str)
def test_no_tampering_of_all_goes_unnoticed(original: Original, tmp_path: Path, numbers: range) -> None:
    assert all_unnoticed(original, tmp_path, numbers) == []


def test_the_same_number_makes_the_same_change(original: Original, tmp_path: Path) -> None:
    for number in range(0, len(NAMES), 7):
        first, second = (tampered(original, tmp_path / f"{number}-{time}", number) for time in (1, 2))
        assert first[1] == second[1], NAMES[number]
        assert digest_of(first[0].folder) == digest_of(second[0].folder), NAMES[number]
        if (package := first[0].package) is not None:
            assert second[0].package is not None
            assert digest_of(package) == digest_of(second[0].package), NAMES[number]


@pytest.mark.parametrize(
    "kind",
    [
        "bytes of a segment: flip_bit",
        "bytes of a statement: drop_byte",
        "envelope: base64_tail",
        "envelope: both_stripped",
        "lines of a segment: swap",
        "places: add_file",
        "places: folder_instead",
        "places: take_out",
        "package: flip_bit",
        "package: hostile",
        "package: change_page",
    ],
)
def test_the_command_refuses_it_as_well(original: Original, tmp_path: Path, kind: str) -> None:
    """Exit code 4, with file, line and reason."""
    chain, expected = tampered(original, tmp_path, NAMES.index(kind))
    head = ["--head", chain.head] if chain.heads_known else []
    what = [chain.package] if chain.package is not None else [chain.folder, *head]
    ended = auditor("verify", *what, "--keys", original.keys, cwd=tmp_path)
    assert (ended.code, ended.out) == (4, "")
    assert ended.err.startswith("evidence does not verify: ")
    assert not expected.files or any(str(Flaw(file, 0, ""))[:-2] in ended.err for file in expected.files)
    assert not expected.lines or any(f":{line}: " in ended.err for line in expected.lines)


def test_names_that_are_no_text_are_told_by_the_command(original: Original, tmp_path: Path) -> None:
    chain = original.copy(tmp_path)
    names = ("not-utf8-\udce9", "new\nline: verifies", "\x1b[2Jcleared", "\u202etxt.exe")
    for name in names:
        (chain.runs[0] / name).touch()
    ended = auditor("verify", chain.folder, "--keys", original.keys, cwd=tmp_path)
    assert ended.code == 4
    told = "{}/{}: was not there when the run was sealed"
    lines = [told.format(chain.runs[0].name, repr(name)[1:-1]) for name in sorted(names)]
    assert ended.err.splitlines() == [f"evidence does not verify: {lines[0]}", *lines[1:]]
