"""How far the declared scope was reached: no report says of a system that was asked in vain that it was reached."""

from __future__ import annotations

import io
import json
import re
from pathlib import Path
from typing import Any

import msgspec
import pytest

from auditor import plugins
from auditor.evidence import Segment
from auditor.model import ClaimVerdict
from auditor.packaging.build import build
from auditor.questions import Failure
from auditor.results import ScopeItem
from auditor.scope import reach
from auditor.stored import StoredRun
from tests import toy
from tests.report_runs import Stored, a_claim, a_head
from tests.test_package import SOURCES, unpack
from tests.toy import NOW, Result, World, claim

BOXES = [{"id": f"b{number}", "closed": True} for number in range(4)]
LOCKED = {"id": "t", "check": "boxes-locked"}
EVERYWHERE = {"id": "e", "check": "boxes-locked-everywhere"}
REFUSED = Failure("401", "unauthorized")


def asked(folder: Path, world: World, *tests: dict[str, Any]) -> Result:
    return toy.audit(world, folder, claim("c", *(tests or (LOCKED,))))


def test_what_was_asked_in_vain_was_not_read_to_its_end(tmp_path: Path) -> None:
    world = World(BOXES, pages=2, errors={"boxes page 2": REFUSED})
    result = asked(tmp_path, world)
    (item,) = result.head.run.scope
    close = json.loads((result.run / "evidence/s.main.jsonl").read_text().splitlines()[-1])
    assert (item.reached, item.error, item.incomplete) == (True, "", close["error"])
    assert item.incomplete.startswith("t: population incomplete: boxes()")
    assert (item.is_whole, item.state) == (False, "not read to its end")
    sealed = json.loads((result.run / "evidence.statement.json").read_text())["predicate"]["scope"]
    assert sealed == json.loads((result.run / "report.json").read_text())["run"]["scope"]
    assert sealed[0]["incomplete"] == close["error"]


def test_what_was_read_to_its_end_says_nothing_else(tmp_path: Path) -> None:
    (item,) = asked(tmp_path, World(BOXES)).head.run.scope
    assert item == ScopeItem(target="s", task="s.main", reached=True)
    assert (item.is_whole, item.state) == (True, "reached and read to its end")


def test_one_region_that_was_not_read_is_one_task(tmp_path: Path) -> None:
    world = World(BOXES)

    def before(question: str) -> None:
        is_south = world.asked["south:boxes"] > 0
        world.errors = {"boxes page 1": REFUSED} if question == "boxes" and is_south else {}

    world.before = before
    scope = asked(tmp_path, world, EVERYWHERE).head.run.scope
    assert {item.task: item.state for item in scope} == {
        "s.account": "reached and read to its end",
        "s.north": "reached and read to its end",
        "s.south": "not read to its end",
    }


def test_the_wrong_target_is_not_reached_and_nothing_more(tmp_path: Path) -> None:
    (item,) = asked(tmp_path, World(BOXES, owner="somebody else")).head.run.scope
    assert (item.reached, item.state, item.incomplete) == (False, "not reached", "")
    assert item.error.startswith("wrong target: ")


def test_a_last_line_that_does_not_say_why_is_no_good_news(tmp_path: Path) -> None:
    result = asked(tmp_path, World(BOXES))
    evidence = result.run / "evidence"
    targets = {"s": {"type": "shelf", "owner": "me", "only": []}}
    segment = Segment.create(
        evidence / "s.main.jsonl", task="s.main", shard="main", targets=targets, tool="t", started_at=NOW
    )
    segment.close(complete=False, error="", at=NOW)
    segment.release()
    (reached,) = reach(evidence, result.audit.plan, result.audit.plugins.sources)
    assert reached.item.incomplete == "its last line does not say why"


def report(name: str, result: Result) -> str:
    out = io.BytesIO()
    plugins.reports()[name].render(StoredRun(result.head, result.run / "evidence", result.run / "findings"), out)
    return " ".join(out.getvalue().decode().split())


@pytest.mark.parametrize("is_whole", [True, False])
def test_every_page_that_tells_the_scope_tells_it(tmp_path: Path, *, is_whole: bool) -> None:
    """The controls are in the same test: with all that was declared, the same pages say so."""
    world = World(BOXES, errors={} if is_whole else {"boxes page 1": REFUSED})
    result = asked(tmp_path / "run", world)
    build([result.run], tmp_path / "evidence.zip", None, None, SOURCES, allow_unsigned=True)
    package = unpack(tmp_path / "evidence.zip", tmp_path / "unpacked")
    why = result.head.run.scope[0].incomplete
    pages = {name: " ".join((package / name).read_text().split()) for name in ("index.html", "LIMITS.md")}
    pages["report.html"] = report("html", result)
    for name in ("index.html", "report.html"):
        found = pages[name][pages[name].index('<section id="scope"') :].partition("</section>")[0]
        assert re.search(rf"{int(is_whole)} of 1 (?:planned )?tasks were reached and read to their end\.", found)
        assert ("not read to its end</span>" in found, bool(why) and why in found) == (not is_whole, not is_whole)
        assert ("<td>reached and read to its end</td>" in found) is is_whole
    assert ("All of the declared scope was reached and read to its end." in pages["LIMITS.md"]) is is_whole
    told = "- <code>s.main</code>: not read to its end: t: population incomplete: "
    assert (told in pages["LIMITS.md"]) is not is_whole
    assert ("### Not read to the end: 1 task of 1" in report("markdown", result)) is not is_whole
    assert "Not reached" not in report("markdown", result)


def test_a_summary_tells_what_was_not_reached_apart_from_what_was_not_read() -> None:
    scope = (
        ScopeItem(target="a", task="a.main", reached=False, error="wrong target"),
        ScopeItem(target="b", task="b.main", reached=True, incomplete="t: <cut>"),
        ScopeItem(target="c", task="c.main", reached=True),
    )
    head = a_head(a_claim("c", ClaimVerdict.UNPROVEN))
    head = msgspec.structs.replace(head, run=msgspec.structs.replace(head.run, scope=scope))
    out = io.BytesIO()
    plugins.reports()["markdown"].render(Stored(head), out)
    unreached, unread = out.getvalue().decode().split("### Not re")[1:]
    assert "1 task of 3" in unreached
    assert "| <code>a.main</code> | wrong target |" in unreached
    assert "| <code>b.main</code> | t: &#60;cut&#62; |" in unread
    assert "c.main" not in unread
