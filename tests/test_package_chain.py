"""Runs that were left out of a package: it says so on its first page, in LIMITS.md, and when it is verified."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import msgspec
import pytest
from bs4 import BeautifulSoup

from auditor import verify
from auditor.contents import Directory
from auditor.packaging.build import build
from auditor.packaging.chain import left_out
from auditor.packaging.opening import opened
from auditor.packaging.statement import verify_package
from auditor.results import PreviousRun
from auditor.verify import Verified
from tests.cli_process import auditor
from tests.test_package import SOURCES, unpack
from tests.test_verify import Sealed, make

UNTOLD = "without %s nobody can tell whether the runs before are of the same chain"
NUMBER_2 = f"not in this package: at least number 2 of the chain of RUN, which is BEFORE; {UNTOLD % 'it'}"
NUMBER_1 = "not in this package: number 1 of the chain, before the first run that is"
SEVERAL = "the runs in this package are of more than one chain"


@pytest.fixture(scope="module")
def company(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Sealed]:
    folder = tmp_path_factory.mktemp("company")
    return folder, make(folder)


@pytest.fixture(scope="module")
def chain(company: tuple[Path, Sealed]) -> list[Verified]:
    _, sealed = company
    return [verify.verify_run(Directory(run), sealed.ring) for run in sealed.runs]


@pytest.mark.parametrize(
    ("numbers", "said"),
    [
        ((1, 2, 3), []),
        ((1, 2), []),
        ((1,), []),
        ((1, 3), [NUMBER_2]),
        ((2, 3), [NUMBER_1]),
        ((3,), ["not in this package: numbers 1 to 2 of the chain, before the first run that is"]),
    ],
)
@pytest.mark.parametrize("unpacked", [False, True], ids=["zip", "folder"])
def test_a_package_says_which_runs_are_not_in_it(
    company: tuple[Path, Sealed], tmp_path: Path, numbers: Sequence[int], said: list[str], *, unpacked: bool
) -> None:
    folder, sealed = company
    path = tmp_path / "evidence.zip"
    said = [one.replace("RUN", sealed.runs[2].name).replace("BEFORE", sealed.runs[1].name) for one in said]
    build([sealed.runs[number - 1] for number in numbers], path, sealed.ring, sealed.key, SOURCES)
    package = unpack(path, tmp_path / "unpacked")
    runs = BeautifulSoup((package / "index.html").read_text(), "html.parser").select_one("#runs")
    assert runs is not None
    assert [one.get_text() for one in runs.select(".left-out li")] == said
    limits = (package / "LIMITS.md").read_text().splitlines()
    assert [line for line in limits if line.startswith("- **not in this package")] == [f"- **{one}**" for one in said]
    where = package if unpacked else path
    with opened(where) as files:
        assert verify_package(files, sealed.ring).left_out == tuple(said)
    done = auditor("verify", where, "--keys", "auditor.keys.json", cwd=folder)
    assert (done.code, done.err) == (0, "")
    assert [line for line in done.out.splitlines() if "not in this package" in line] == said
    assert (f"the chain is whole, from number 1 to {numbers[-1]}; only --head" in done.out) is (not said)
    assert ("the chain is whole" in done.out) is (not said)
    assert done.out.count(": verifies, number ") == len(numbers)


def test_runs_of_a_folder_are_still_said_to_be_a_whole_chain(company: tuple[Path, Sealed]) -> None:
    folder, _ = company
    done = auditor("verify", "reports", cwd=folder)
    assert (done.code, done.err) == (0, "")
    assert "the chain is whole, from number 1 to 3; only --head" in done.out


def numbered(run: Verified, number: int, name: str, before: str) -> Verified:
    previous = PreviousRun(before, "0" * 64) if before else None
    return msgspec.structs.replace(
        run, scope=msgspec.structs.replace(run.scope, run=name, sequence=number, previous_run=previous)
    )


def test_several_gaps_are_each_told(chain: list[Verified]) -> None:
    runs = [numbered(chain[0], *one) for one in ((9, "i", "h\x1b"), (2, "b", "a"), (3, "c", "b"), (7, "g", "f"))]
    assert list(left_out(runs)) == [
        NUMBER_1,
        f"not in this package: at least numbers 4 to 6 of the chain of g, the last of which is f; {UNTOLD % 'them'}",
        f"not in this package: at least number 8 of the chain of i, which is h\\u001b; {UNTOLD % 'it'}",
    ]


def test_two_chains_are_not_told_as_one_for_their_numbers(chain: list[Verified]) -> None:
    """Numbers 1 and 2 of one chain, 4 and 5 of another: nothing here says so, and nothing says the contrary."""
    runs = [numbered(chain[0], *one) for one in ((1, "a", ""), (2, "b", "a"), (4, "D", "C"), (5, "E", "D"))]
    assert list(left_out(runs)) == [NUMBER_2.replace("2", "3").replace("RUN", "D").replace("BEFORE", "C")]


def test_two_chains_are_packed_as_what_they_may_be(company: tuple[Path, Sealed], tmp_path: Path) -> None:
    """The first run of one chain, and the third of another."""
    _, sealed = company
    other = make(tmp_path)
    ring = msgspec.structs.replace(sealed.ring, keys=(*sealed.ring.keys, *other.ring.keys))
    build([sealed.runs[0], other.runs[2]], tmp_path / "evidence.zip", ring, None, SOURCES)
    said = NUMBER_2.replace("RUN", other.runs[2].name).replace("BEFORE", other.runs[1].name)
    folder = unpack(tmp_path / "evidence.zip", tmp_path / "unpacked")
    limits = (folder / "LIMITS.md").read_text()
    assert f"- **{said}**\n" in limits
    assert "Of their chains, as far as these runs tell:\n" in limits
    assert "between runs that are" not in limits + (folder / "index.html").read_text()


@pytest.mark.parametrize(
    ("other", "said"),
    [
        (((1, "A", ""), (2, "B", "A")), []),
        (((2, "B", "A"),), ["not in this package: run A, number 1 of its chain, which B follows"]),
        (((4, "D", "C"),), ["not in this package: run C, number 3 of its chain, which D follows"]),
        (
            ((3, "C", "2\x1b[2J"),),
            ["not in this package: run 2\\u001b[2J, number 2 of its chain, which C follows"],
        ),
    ],
)
def test_runs_of_several_chains_are_told_by_their_ids(
    chain: list[Verified], other: Sequence[tuple[int, str, str]], said: list[str]
) -> None:
    """Their numbers say nothing of each other; the last but one has the number that follows, and follows another."""
    assert list(left_out(chain)) == []
    assert list(left_out([*chain, *(numbered(chain[0], *one) for one in other)])) == [SEVERAL, *said]


def test_two_chains_are_packed_and_told(company: tuple[Path, Sealed], tmp_path: Path) -> None:
    _, sealed = company
    other = make(tmp_path)
    ring = msgspec.structs.replace(sealed.ring, keys=(*sealed.ring.keys, *other.ring.keys))
    path = tmp_path / "evidence.zip"
    build([*sealed.runs, *other.runs[1:]], path, ring, None, SOURCES)
    missing, first = (run.name for run in other.runs[:2])
    said = (SEVERAL, f"not in this package: run {missing}, number 1 of its chain, which {first} follows")
    with opened(path) as files:
        assert verify_package(files, ring, allow_unsigned=True).left_out == said
