"""Parts of a package: the rows of a raw line and its pages, the sample, and the bill of materials."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import msgspec
import pytest
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
from hypothesis import given
from hypothesis import strategies as st

from auditor import __version__, keys, plugins, seal
from auditor.contents import Directory
from auditor.judge import finding_id
from auditor.model import Citation, EvidenceError, Outcome, Resource, UsageError
from auditor.packaging import sbom
from auditor.packaging.answers import Places, anchor, paginate, rows_of
from auditor.packaging.build import build
from auditor.packaging.opening import chosen, opened, verified_runs
from auditor.packaging.run import RunFiles
from auditor.packaging.sample import draw
from auditor.questions import Failure
from auditor.reports.html import visible
from tests import large_run, toy
from tests.test_package import Packed, once, rows, unpack
from tests.test_verify import HOUR, LOCKED
from tests.toy import World, claim

__all__ = ["once"]  # a fixture

JSONS = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=20,
)

SOURCES = plugins.sources()


def answer(body: object, number: int = 7) -> bytes:
    return msgspec.json.encode({"kind": "answer", "n": number, "body": body})


@given(JSONS)
def test_rows_are_the_line_character_by_character(body: object) -> None:
    line = answer(body)
    rows = list(rows_of(line, set()))
    assert "".join(row.text for row in rows) == line.decode()
    assert sum(row.opens - row.closes for row in rows) == 0
    assert len(rows) > 3, "and it was understood, not shown as one row"


@given(JSONS, st.integers(1, 300))
def test_pages_are_the_lines_however_small_they_are(body: object, most: int) -> None:
    lines = [answer(body, number) for number in (1, 2, 3)]
    pages = list(paginate([line + b"\n" for line in lines], {}, most))
    texts: dict[int, str] = {}
    for page in pages:
        for part in page.parts:
            texts[part.number] = texts.get(part.number, "") + "".join(row.text for row in part.rows)
    shown = [visible(line.decode(), keep="").replace("&", "&amp;").replace("<", "&lt;") for line in lines]
    assert [text for _, text in sorted(texts.items())] == [text.replace(">", "&gt;") for text in shown]
    assert [page.number for page in pages] == list(range(1, len(pages) + 1))
    assert [page.last for page in pages] == [False] * (len(pages) - 1) + [True]
    depth = 0
    for part in (part for page in pages for part in page.parts):
        assert part.before == depth
        depth += sum(row.opens - row.closes for row in part.rows)
        assert part.after == depth


def test_what_is_cited_has_a_place_of_its_own() -> None:
    body = {"a~/b": [{"x": 1}, {"x": 2}], "": None}
    rows = list(rows_of(answer(body), {"/a~0~1b/1/x", "/a~0~1b/0", "/", "/missing", ""}))
    assert {row.text.rstrip(",{"): row.anchor for row in rows if row.anchor} == {
        '"x":2': anchor(7, "/a~0~1b/1/x"), "": anchor(7, "/a~0~1b/0"), '"":null': anchor(7, "/"),
    }  # fmt: skip
    opened_line = msgspec.json.encode({"kind": "open", "n": 1, "targets": {"prod": {"type": "aws"}}})
    (row,) = (row for row in rows_of(opened_line, {"/targets/prod/type"}) if row.anchor)
    assert row.text == '"type":"aws"'


def test_what_is_no_json_is_shown_as_it_is() -> None:
    for line in (b'{"kind":"answer","n":1', b"\xff\xfe", b"", b'{"kind": "answer", "n": 1}'):
        assert [row.text for row in rows_of(line, set())] == [line.decode("utf-8", "surrogateescape")]


def test_addresses_lead_to_the_page_that_holds_the_value() -> None:
    lines = [answer({"Items": [{"id": number} for number in range(200)]}, number) for number in (1, 2, 3)]
    cited = {2: {f"/Items/{number}/id" for number in range(200)} | {"/none"}}
    places = Places("answers/r/s t")
    pages = list(paginate([line + b"\n" for line in lines], cited, 4_000))
    assert len(pages) > 5
    for page in pages:
        places.add(page)
    where = {row.anchor: page.number for page in pages for part in page.parts for row in part.rows if row.anchor}
    assert len(where) == 200
    for number in (0, 57, 199):
        name = anchor(2, f"/Items/{number}/id")
        cite = Citation("evidence/s t.jsonl", (2, 2), f"/Items/{number}/id")
        assert places.href(cite) == f"answers/r/s%20t/{where[name]}.html#{name}"
    first = {part.number: page.number for page in reversed(pages) for part in page.parts if part.is_first}
    for line in (1, 2, 3):
        for pointer in ("", "/none"):
            assert places.href(Citation("x", (line, line), pointer)) == f"answers/r/s%20t/{first[line]}.html#L{line}"


# The sample


def a_run(folder: Path, count: int) -> RunFiles:
    run = large_run.write(folder, large_run.volumes(count))
    (found,) = verified_runs(Directory(run), None, allow_unsigned=True)
    return found


def test_a_sample_is_drawn_by_the_rule_that_is_told(tmp_path: Path) -> None:
    run = a_run(tmp_path, 300)
    sample = draw(run, "volumes", 25, "2026-Q4")
    ids = {finding_id("at-rest", "volumes", "prod", one): one for one in large_run.volumes(300)}
    wanted = sorted(ids, key=lambda one: hashlib.sha256(f"2026-Q4\n{one}".encode()).hexdigest())[:25]
    assert [one.id for one in sample.drawn] == wanted
    assert [one.member.resource for one in sample.drawn] == [ids[one] for one in wanted]
    assert sample.population.size == 300
    assert sample.population.sha256 == hashlib.sha256("".join(f"{one}\n" for one in sorted(ids)).encode()).hexdigest()
    for one in sample.drawn:
        number = large_run.volumes(300).index(one.member.resource)
        assert one.findings[0].resource == one.member.resource
        assert one.page == f"tests/{run.id}/volumes/population-1.html#m{number + 1}"
        assert one.member.line == number + 3
    assert {one.findings[0].outcome for one in draw(run, "volumes", 300, "x").drawn} == {Outcome.PASS, Outcome.FAIL}


def test_seeds_differ_and_samples_grow(tmp_path: Path) -> None:
    run = a_run(tmp_path, 300)
    ids = {seed: [one.id for one in draw(run, "volumes", 25, seed).drawn] for seed in ("a", "b", "a ", "ä")}
    assert len({tuple(found) for found in ids.values()}) == 4
    assert [one.id for one in draw(run, "volumes", 60, "a").drawn][:25] == ids["a"]
    assert len(draw(run, "volumes", 1_000, "a").drawn) == 300


def test_a_member_that_is_listed_twice_is_one(tmp_path: Path) -> None:
    one = Resource("aws.ec2.volume", "vol-1", region="us-east-1")
    run = large_run.write(tmp_path, [one, one, *large_run.volumes(3)])
    (found,) = verified_runs(Directory(run), None, allow_unsigned=True)
    sample = draw(found, "volumes", 10, "s")
    assert sample.population.size == len(sample.drawn) == 4
    assert sorted(len(one.findings) for one in sample.drawn) == [1, 1, 1, 2]


def test_an_incomplete_population_is_never_drawn_from_without_saying_so(tmp_path: Path) -> None:
    complete = toy.audit(World([{"id": "a", "closed": True}]), tmp_path / "1", claim("c", LOCKED)).run
    broken = World([{"id": f"b{number}", "closed": True} for number in range(4)], pages=2)
    broken.errors["boxes page 2"] = Failure("denied", "no")
    incomplete = toy.audit(broken, tmp_path / "2", claim("c", LOCKED)).run
    for run, wanted in ((complete, False), (incomplete, True)):
        (found,) = verified_runs(Directory(run), None, allow_unsigned=True)
        sample = draw(found, "t", 5, "s")
        assert bool(sample.incomplete) is wanted
    assert "population incomplete" in sample.incomplete[0]
    assert sample.population.size == 2


def test_scope_that_was_not_reached_is_said(tmp_path: Path) -> None:
    """The head of the run says that prod.eu-west-1 timed out."""
    assert draw(a_run(tmp_path, 5), "volumes", 1, "s").incomplete == ("prod.eu-west-1: timed out",)


def test_a_run_is_chosen_by_its_id_else_the_newest(once: Packed, tmp_path: Path) -> None:
    with opened(once.path) as files:
        runs = verified_runs(files, once.ring, allow_unsigned=False)
        assert chosen(runs, "").id == once.sealed.runs[-1].name
        assert chosen(runs, once.sealed.runs[0].name).id == once.sealed.runs[0].name
        with pytest.raises(UsageError, match="there is no run 'x' here; known here"):
            chosen(runs, "x")
        with pytest.raises(UsageError, match=r"has no test 'tt' \(did you mean 't'"):
            draw(runs[0], "tt", 1, "s")
        drawn = draw(runs[0], "t", 2, "s")
    (run,) = verified_runs(Directory(once.sealed.runs[0]), once.ring, allow_unsigned=False)
    assert draw(run, "t", 2, "s") == drawn, "a run alone gives the same as the run in its package"
    for one in drawn.drawn:
        page, _, place = one.page.partition("#")
        assert f'id="{place}"' in (once.folder / page).read_text()
    changed = tmp_path / "evidence.zip"
    changed.write_bytes(once.path.read_bytes().replace(b'"resource":{"type":"shelf.box","id":"b1"', b"x" * 40))
    with pytest.raises(EvidenceError), opened(changed) as files:
        verified_runs(files, once.ring, allow_unsigned=False)


# The bill of materials


def test_the_bill_of_materials_is_valid_and_always_the_same() -> None:
    bill = sbom.render()
    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(bill.decode()) is None
    assert bill == sbom.render()
    found = json.loads(bill)
    assert found["metadata"]["component"]["name"] == "auditor"
    assert "timestamp" not in found["metadata"]
    named = {one["name"]: one for one in found["components"]}
    assert {"boto3", "botocore", "cryptography", "jinja2", "markupsafe", "psycopg-binary"} <= named.keys()
    assert not {"pytest", "moto", "ruff"} & named.keys(), "only what it needs to run"
    assert all(one.get("licenses") and one["purl"].startswith("pkg:pypi/") for one in named.values())
    needs = {one["ref"]: one.get("dependsOn", []) for one in found["dependencies"]}
    assert needs[named["jinja2"]["bom-ref"]] == [named["markupsafe"]["bom-ref"]]
    assert needs.keys() == {one["bom-ref"] for one in (*named.values(), found["metadata"]["component"])}


def test_a_bill_that_is_none_would_be_noticed() -> None:
    bill = json.loads(sbom.render())
    bill["components"][0]["type"] = "nonsense"
    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(json.dumps(bill)) is not None


def test_the_bill_is_said_to_be_that_of_the_package(once: Packed, tmp_path: Path) -> None:
    """What produced the evidence is another question: the runs name a version of auditor, and nothing more."""
    build([large_run.write(tmp_path, large_run.volumes(1))], path := tmp_path / "e.zip", None, None, SOURCES,
          allow_unsigned=True)  # fmt: skip
    old = unpack(path, tmp_path / "old")
    for folder, made in (
        (once.folder, f"auditor {__version__}, the version that its runs name as well"),
        (old, f"auditor {__version__}; its runs name auditor 0.1"),
    ):
        said = {row["file"]: row["request"] for row in rows((folder / "index.csv").read_bytes())}
        assert said["sbom.cdx.json"] == f"Inventory of the software that made this package (CycloneDX): {made}"
        text = " ".join((folder / "VERIFY.md").read_text().split())
        assert "by the same version of auditor with the dependencies of `sbom.cdx.json`, make the same package" in text


def test_keys_of_the_package_are_those_it_was_verified_with(once: Packed, tmp_path: Path) -> None:
    assert (once.folder / "keys.json").read_bytes() == keys.to_json(once.ring)
    other = keys.generate(tmp_path / "other.key", tmp_path / "other.json", toy.NOW - HOUR)
    both = msgspec.structs.replace(once.ring, keys=(*once.ring.keys, *keys.load(tmp_path / "other.json").keys))
    build(once.sealed.runs, tmp_path / "evidence.zip", both, other, SOURCES)
    with opened(tmp_path / "evidence.zip") as files:
        assert {f"keys/{once.sealed.key.id}.pem", f"keys/{other.id}.pem"} < set(files.names())
        assert seal.sums([]) == b""
