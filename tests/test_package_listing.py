"""Populations in a package are the frozen listings: what an auditor re-performs is what `auditor sample` draws."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import msgspec
import pytest
from bs4 import BeautifulSoup

from auditor import keys, plugins
from auditor.contents import Directory
from auditor.model import Outcome, Resource
from auditor.packaging.build import build
from auditor.packaging.opening import verified_runs
from auditor.packaging.run import RunFiles
from auditor.packaging.sample import draw
from auditor.questions import Failure
from auditor.results import Finding
from tests import large_run, toy
from tests.sealing import seal_anew
from tests.test_package import refuse_dead_links, rows, unpack
from tests.test_package_recipe import blocks, sh
from tests.toy import World, claim

SOURCES = plugins.sources()
SEED, SIZE = "2026-Q4", 25


def packed(run: Path, folder: Path) -> Path:
    """The package of one unsigned run, unpacked."""
    build([run], folder / "evidence.zip", None, None, SOURCES, allow_unsigned=True)
    return unpack(folder / "evidence.zip", folder / "unpacked")


def run_of(folder: Path) -> RunFiles:
    """The only run of an unpacked package."""
    ring = keys.load(folder / "keys.json") if (folder / "keys.json").exists() else None
    (found,) = verified_runs(Directory(folder), ring, allow_unsigned=True)
    return found


def figures(page: Path, test: str = "") -> dict[str, int]:
    """The figures of a test as they stand on a page."""
    parsed = BeautifulSoup(page.read_text(), "html.parser")
    (found,) = parsed.select(f"#test-{test} .counts") if test else parsed.select("main > .test .counts")
    terms = zip(found.select("dt"), found.select("dd"), strict=True)
    return {term.get_text(): int(value.get_text().replace(",", "")) for term, value in terms}


def by_hand(folder: Path, table: str) -> list[str]:
    """The ids that the block of VERIFY.md draws of a table, carried out as it is printed but for the table's name."""
    script, times = re.subn(r"tests/\S+/population\.csv", table, blocks(folder, "sh")[-1])
    assert times == 1
    done = sh(folder, script)
    assert done.stderr == ""
    return [line.partition("  ")[2] for line in done.stdout.splitlines()]


def digest_by_hand(folder: Path, table: str) -> str:
    """The digest of a listing by the command that VERIFY.md prints."""
    (command,) = re.findall(r"^`(tr .* sha256sum)`$", (folder / "VERIFY.md").read_text(), re.MULTILINE)
    script, times = re.subn(r"tests/\S+/population\.csv", table, command)
    assert times == 1
    return sh(folder, script).stdout.partition("  ")[0]


def expect_the_frozen_listing(folder: Path, run: RunFiles, test: str) -> None:
    """What a package says of a population is what was listed, in every place in which it says something of it."""
    sample = draw(run, test, SIZE, SEED)
    pages = folder / "tests" / run.id / test
    name = f"tests/{run.id}/{test}/population.csv"
    assert by_hand(folder, name) == [one.id for one in sample.drawn]

    table = rows((pages / "population.csv").read_bytes())
    ids = {row["id"] for row in table}
    digest = hashlib.sha256("".join(f"{one}\n" for one in sorted(ids)).encode()).hexdigest()
    shown = BeautifulSoup((pages / "population-1.html").read_text(), "html.parser")
    assert [one.get_text() for one in shown.select("code") if re.fullmatch("[0-9a-f]{64}", one.get_text())] == [digest]
    assert (sample.population.sha256, sample.population.size) == (digest, len(ids))
    assert digest_by_hand(folder, name) == digest
    assert {int(row["number"]) for row in table} == set(range(1, len(ids) + 1))
    assert len({(row["number"], row["id"]) for row in table}) == len(ids)

    asked = {row["file"]: row["request"] for row in rows((folder / "index.csv").read_bytes()) if row["test"] == test}
    exceptions = rows((pages / "exceptions.csv").read_bytes())
    members = "1 member" if len(ids) == 1 else f"{len(ids):,} members"
    assert asked[name].startswith(f"Population ({members}): ")
    assert asked[f"tests/{run.id}/{test}/exceptions.csv"] == f"Exceptions noted ({len(exceptions):,})"

    found = figures(pages / "population-1.html")
    outcomes = [row["outcome"] for row in table]
    gaps = [row for row in exceptions if not row["number"]]
    assert {word: value for word, value in found.items() if word != "Accepted by waiver"} == {
        "Members listed": len(ids),
        "Tested": outcomes.count("pass") + outcomes.count("fail"),
        **{word: outcomes.count(word.lower().replace(" ", "_"))
           for word in ("Fail", "Error", "Manual", "Pass", "Not applicable")},
        **({"Not judged": outcomes.count("not_judged")} if "not_judged" in outcomes else {}),
        **({"Judged once more": len(outcomes) - len(ids)} if len(outcomes) > len(ids) else {}),
        **({"Gaps in the population": len(gaps)} if gaps else {}),
    }  # fmt: skip
    assert found == figures(folder / "index.html", test)
    assert len(exceptions) == sum(found[word] for word in ("Fail", "Error", "Manual")) + len(gaps)
    block = [one.get_text(" ", strip=True) for one in shown.select(".whole .members > li")]
    assert len(block) >= len(gaps)
    for gap in gaps:
        assert gap["resource_type"] == "target"
        assert any(gap["message"] in one for one in block), block
        assert any(gap["message"] in reason for reason in sample.incomplete)
    assert bool(gaps) is ("The population is not complete" in shown.get_text())
    for one in sample.drawn:
        page, _, place = one.page.partition("#")
        parsed = BeautifulSoup((folder / page).read_text(), "html.parser")
        (member,) = parsed.select(f"#{place}")
        assert one.member.resource.id in member.get_text()


def numbered(*names: object) -> list[dict[str, Any]]:
    return [{"id": f"b{name}", "closed": True} for name in names]


@pytest.mark.parametrize("fails", [False, True])
def test_gaps_duplicates_and_shards_change_no_sample(tmp_path: Path, fails: bool) -> None:  # noqa: FBT001 - a case
    """Two regions, boxes that come twice, one that does not apply, and with `fails` a page that nobody could read."""
    world = World([*numbered(*range(20), 3, 7), *numbered(*range(30, 40), 3)], pages=3)
    world.boxes[5]["closed"] = False
    if fails:
        world.errors["boxes page 3"] = Failure("denied", "no")
    everywhere = {"id": "t", "check": "boxes-locked-everywhere", "params": {"ignore": ["b1"]}}
    run = toy.audit(world, tmp_path, claim("c", everywhere, {"id": "u", "check": "boxes-locked"})).run
    folder = packed(run, tmp_path)
    for test in ("t", "u"):
        expect_the_frozen_listing(folder, run_of(folder), test)
    pages = folder / "tests" / run.name / "t"
    found = figures(pages / "population-1.html")
    regions = 2
    assert (found["Members listed"], found["Not applicable"]) == (regions * (20 if fails else 30), regions)
    assert found.get("Gaps in the population", 0) == (regions if fails else 0)
    assert refuse_dead_links(folder.resolve())


def test_an_empty_population_that_is_expected_is_no_member(tmp_path: Path) -> None:
    """`population: min: 0`: that there is nothing is a finding on the target, which passes."""
    nothing = {"population": {"min": 0, "reason": "the shelf is new"}}
    run = toy.audit(World(), tmp_path, claim("c", {"id": "t", "check": "boxes-locked", **nothing})).run
    folder = packed(run, tmp_path)
    expect_the_frozen_listing(folder, run_of(folder), "t")
    page = (folder / "tests" / run.name / "t" / "population-1.html").read_text()
    assert "Nothing was listed." in page
    assert "there is nothing in scope, as the policy expects: the shelf is new" in page


def rewritten(folder: Path, resources: list[Resource], keep: Iterable[int]) -> Path:
    """A large run of which only some findings are kept, sealed anew."""
    run = large_run.write(folder, resources)
    found = list(large_run.findings(resources))
    with (run / "findings" / "prod.us-east-1.jsonl").open("wb") as out:
        out.writelines(msgspec.json.encode(found[number]) + b"\n" for number in keep)
    seal_anew(run)
    return run


def test_a_member_that_nobody_judged_is_listed_all_the_same(tmp_path: Path) -> None:
    resources = large_run.volumes(2_300)
    run = rewritten(tmp_path, resources, (number for number in range(2_300) if not 4 <= number < 1_500))
    folder = packed(run, tmp_path)
    expect_the_frozen_listing(folder, run_of(folder), "volumes")
    table = rows((folder / "tests" / run.name / "volumes" / "population.csv").read_bytes())
    assert [row["resource_id"] for row in table] == [
        one.id for one in (*resources[:4], *resources[1_500:], *resources[4:1_500])
    ]
    last = table[-1]
    assert (last["outcome"], last["message"]) == ("not_judged", "was listed, and not judged")
    assert last["evidence"] == f"{large_run.SEGMENT}:1506-1506"
    pages = [folder / "tests" / run.name / "volumes" / f"population-{number}.html" for number in (1, 2, 3)]
    assert [page.read_text().count('id="m') for page in pages] == [1_000, 1_000, 300]
    assert "was listed, and not judged" in pages[2].read_text()
    assert refuse_dead_links(folder.resolve())


def test_a_member_that_is_judged_twice_is_one_member(tmp_path: Path) -> None:
    """Listed twice, it may come to two results: here the hundredth of the list fails, and is the first as well."""
    resources = [*large_run.volumes(99), large_run.volumes(1)[0], *large_run.volumes(1_000)[99:]]
    folder = packed(large_run.write(tmp_path, resources), tmp_path)
    run = run_of(folder)
    expect_the_frozen_listing(folder, run, "volumes")
    table = rows((folder / "tests" / run.id / "volumes" / "population.csv").read_bytes())
    twice = [(row["number"], row["outcome"]) for row in table if row["resource_id"] == resources[0].id]
    assert twice == [("1", "pass"), ("1", "fail")]
    assert len(table) == 1_001
    assert not (folder / "tests" / run.id / "volumes" / "population-2.html").exists(), "a thousand are one page"


def a_gap(number: int) -> Finding:
    finding = next(iter(large_run.findings(large_run.volumes(1))))
    return msgspec.structs.replace(
        finding,
        id=f"{number:016x}",
        resource=Resource("target", f"prod.{number}"),
        outcome=Outcome.ERROR,
        message=f"population incomplete: no {number}.",
    )


def test_gaps_that_come_after_thousands_of_members_stand_on_the_first_page(tmp_path: Path) -> None:
    """And of very many the first only, the rest with the exceptions."""
    run = large_run.write(tmp_path, large_run.volumes(2_100))
    with (run / "findings" / "prod.us-west-1.jsonl").open("wb") as out:
        out.writelines(msgspec.json.encode(a_gap(number)) + b"\n" for number in range(30))
    seal_anew(run)
    folder = packed(run, tmp_path)
    pages = folder / "tests" / run.name / "volumes"
    text = (pages / "population-1.html").read_text()
    assert figures(pages / "population-1.html")["Gaps in the population"] == 30
    assert [text.count(f"population incomplete: no {number}.") for number in (0, 19, 20)] == [1, 1, 0]
    assert "and 10 more" in text
    assert "population incomplete" not in (pages / "population-2.html").read_text()
    exceptions = rows((pages / "exceptions.csv").read_bytes())
    assert [row["number"] for row in exceptions if row["resource_type"] == "target"] == [""] * 30
    assert refuse_dead_links(folder.resolve())
