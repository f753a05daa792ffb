"""What was declared and not asked: LIMITS.md, the pages and a sample name it, so that nothing passes for whole."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pytest
from bs4 import BeautifulSoup

from auditor import plan
from auditor.contents import Directory
from auditor.model import EvidenceError
from auditor.packaging.build import build
from auditor.packaging.opening import verified_runs
from auditor.packaging.run import RunFiles, not_asked
from auditor.packaging.sample import draw
from auditor.plan import Plan, PlannedTest, Selection
from tests import large_run, toy
from tests.cli_process import auditor
from tests.sealing import seal_anew
from tests.test_package import SOURCES, unpack
from tests.test_verify import LOCKED
from tests.toy import World, claim

WHOLE = "All of the declared scope was reached and read to its end."
BOXES = [{"id": "a", "closed": True}, {"id": "b", "closed": False}]
TARGETS = {"targets": [{"id": name, "type": "shelf", "owner": "me"} for name in ("s", "z")]}
REPORT = {"id": "u", "check": "report-fine"}
GONE = "deselected on the command line"


def audited(folder: Path, *tests: dict[str, Any], **selected: tuple[str, ...]) -> Path:
    """A run over two shelves, of which the command line may leave less."""
    return toy.audit(World(BOXES), folder, claim("c", *tests), selection=Selection(**selected), more=TARGETS).run


def packed(folder: Path, run: Path) -> Path:
    build([run], folder / "evidence.zip", None, None, SOURCES, allow_unsigned=True)
    return unpack(folder / "evidence.zip", folder / "unpacked")


def opened(folder: Path) -> RunFiles:
    (run,) = verified_runs(Directory(folder), None, allow_unsigned=True)
    return run


def told(folder: Path) -> list[str]:
    """What the first page says was declared and not asked, and LIMITS.md with it."""
    scope = BeautifulSoup((folder / "index.html").read_text(), "html.parser").select_one("#scope")
    assert scope is not None
    limits = (folder / "LIMITS.md").read_text()
    (_, _, listed) = limits.partition("Declared, and not asked in this run:\n\n")
    lines = [line.removeprefix("- ") for line in listed.partition("\n\n")[0].splitlines()]
    words = [one.get_text() for one in scope.select(".not-asked li")]
    assert [line.replace("<code>", "").replace("</code>", "") for line in lines] == words
    assert (WHOLE in limits) is not bool(words)
    return words


@pytest.mark.parametrize(
    ("selected", "words", "incomplete"),
    [
        ({}, [], ()),
        ({"targets": ("s",)}, [f"target z: {GONE}", f"test t: {GONE}: z", f"test u: {GONE}: z"], (f"{GONE}: z",)),
        ({"tests": ("t",)}, [f"test u: {GONE}"], ()),
        ({"checks": ("boxes-locked",)}, [f"test u: {GONE}"], ()),
        ({"claims": ("c",)}, [], ()),
        ({"tests": ("u",)}, [f"test t: {GONE}"], (GONE,)),
    ],
)
def test_what_was_deselected_is_named(
    tmp_path: Path, selected: dict[str, tuple[str, ...]], words: list[str], incomplete: tuple[str, ...]
) -> None:
    run = audited(tmp_path, LOCKED, REPORT, **selected)
    folder = packed(tmp_path, run)
    assert told(folder) == words
    drawn = draw(opened(folder), "t", 25, "x")
    assert drawn.incomplete == incomplete
    page = BeautifulSoup((folder / f"tests/{run.name}/t/population-1.html").read_text(), "html.parser")
    titles = [title.get_text() for title in page.select("h2")]
    assert ("The population is not complete" in titles) is bool(incomplete)
    whole = page.select_one(".whole")
    assert [one in whole.get_text() for one in incomplete if whole] == [True] * len(incomplete)
    done = auditor("sample", folder, "t", "--seed", "x", "--allow-unsigned", cwd=tmp_path)
    assert (done.code, done.out.count("NOT COMPLETE: ")) == (3 if incomplete else 0, len(incomplete))


def test_a_target_that_no_test_asks_is_named(tmp_path: Path) -> None:
    folder = packed(tmp_path, audited(tmp_path, {**LOCKED, "targets": ["s"]}))
    assert told(folder) == ["target z: no test that was carried out asks it"]
    assert draw(opened(folder), "t", 25, "x").incomplete == ()


def test_a_test_without_a_target_is_named(tmp_path: Path) -> None:
    run = audited(tmp_path, LOCKED)
    planned = msgspec.json.decode((run / "plan.json").read_bytes(), type=Plan)
    assert list(not_asked(planned)) == []
    none = PlannedTest(id="v", claim="c", check="x", targets=(), excluded="no target of type x is y")
    planned = msgspec.structs.replace(planned, tests=(*planned.tests, none))
    assert list(not_asked(planned)) == [("test", "v", "no target of type x is y")]
    (run / "plan.json").write_bytes(plan.to_json(msgspec.to_builtins(planned)))
    seal_anew(run)
    folder = packed(tmp_path, run)
    assert "- test <code>v</code>: no target of type x is y\n" in (folder / "LIMITS.md").read_text()
    assert WHOLE not in (folder / "LIMITS.md").read_text()


def test_a_plan_that_cannot_be_read_is_told(tmp_path: Path) -> None:
    run = large_run.write(tmp_path, large_run.volumes(1))
    (run / "plan.json").write_text("{}\n")
    seal_anew(run)
    with pytest.raises(EvidenceError, match=r"^plan\.json: cannot be read: Object missing required field"):
        packed(tmp_path, run)
