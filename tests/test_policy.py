"""Policy packs: what is accepted, and every mistake that must be told before anything is run."""

from __future__ import annotations

import contextlib
import copy
import datetime as dt
import functools
import json
import operator
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from auditor import policy
from auditor.model import Severity, UsageError
from tests.policy_words import CHECKS, KNOWN, a_claim, a_pack, a_test, a_waiver

LOCKED = a_test("front", "door-locked", "home", params={"strength": 3})


def places(tree: Any, path: tuple[str | int, ...] = ()) -> Iterator[tuple[tuple[str | int, ...], Any]]:
    """Every place below the top of a JSON value."""
    members = tree.items() if isinstance(tree, dict) else enumerate(tree) if isinstance(tree, list) else ()
    for name, value in members:
        yield (*path, name), value
        yield from places(value, (*path, name))


def problems_of(folder: Path, *texts: str, known: policy.Selectors | None = KNOWN) -> list[str]:
    """What is told about a pack of these files (a.yaml, b.yaml …); nothing where it is accepted."""
    for name, text in zip("abc", texts, strict=False):
        (folder / f"{name}.yaml").write_text(text, encoding="utf-8")
    try:
        policy.load(folder, CHECKS, known)
    except UsageError as error:
        return [str(problem).replace(f"{folder}/", "") for problem in error.problems]
    return []


def messages(folder: Path, *texts: str) -> list[str]:
    return [line.split(": ", 1)[1] for line in problems_of(folder, *texts)]


def test_a_pack_is_read_as_it_is_written(tmp_path: Path) -> None:
    text = a_pack("p", a_claim("c", LOCKED), waivers=[a_waiver("w", "front")])
    assert problems_of(tmp_path, text, a_pack("q", a_claim("d"))) == []
    pack = policy.load(tmp_path, CHECKS)
    assert pack.files == {"a.yaml": text, "b.yaml": (tmp_path / "b.yaml").read_text()}
    assert [(owner.id, claim.id) for owner, claim in pack.claims()] == [("p", "c"), ("q", "d")]
    ((claim, test),) = pack.tests()
    assert (claim.id, test.id, test.params, test.severity) == ("c", "front", {"strength": 3}, Severity.HIGH)
    assert policy.criteria_of(claim)[0].id == "CC6.1"


def test_durations_are_lengths_of_time(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text(a_pack("p", a_claim("c", {**LOCKED, "cadence": "P1D", "max_age": "PT12H"})))
    ((_, test),) = policy.load(tmp_path, CHECKS).tests()
    assert (test.cadence, test.max_age) == (dt.timedelta(days=1), dt.timedelta(hours=12))


TESTS: list[tuple[dict[str, Any], str]] = [
    ({"check": "door-loked"}, "unknown check 'door-loked' (did you mean 'door-locked'?)"),
    ({"check": "nothing-like-it"}, "unknown check 'nothing-like-it'"),
    ({"targets": ["hme"]}, "unknown target id, type or tag 'hme' (did you mean 'home'?)"),
    ({"targets": ["Inhabited"]}, "unknown target id, type or tag 'Inhabited' (did you mean 'inhabited'?)"),
    ({"targets": ["files"]}, "door-locked reads house targets; 'files' is of type papers"),
    ({"targets": ["papers"]}, "door-locked reads house targets; 'papers' is of type papers"),
    ({"targets": []}, "targets: must not be empty"),
    ({"targets": "home"}, "targets: must be a list, not text"),
    ({"params": {}}, "params: missing 'strength'"),
    ({"params": {"strength": "3"}}, "strength: must be a whole number, not text: take the quotes away"),
    ({"params": {"strength": 0}}, "strength: must be at least 1, not 0"),
    ({"params": {"strength": 3, "maker": "yal"}}, "maker: must be abus or yale; not 'yal' (did you mean 'yale'?)"),
    ({"params": {"strength": 3, "makr": "yale"}}, "unknown key 'makr' (did you mean 'maker'?)"),
    ({"params": None}, "params: must be a mapping (key: value), not nothing"),
    ({"severity": "hihg"}, "severity: must be critical, high, info, low or medium; not 'hihg' (did you mean 'high'?)"),
    ({"cadence": "daily"}, "cadence: 'daily' is not a length of time such as P1D (a day) or PT12H (12 hours)"),
    ({"max_age": "P0D"}, "max_age: 'P0D' is not a length of time such as P1D (a day) or PT12H (12 hours)"),
    ({"population": {"min": 0}}, "population: min: 0 is only believed with a reason"),
    ({"population": {"min": -1}}, "min: must be at least 0, not -1"),
    (
        {"id": "Front"},
        "id: 'Front' is not an id: a small letter, then small letters, digits and -, 80 characters at most",
    ),
    (
        {"id": "a" * 81},
        f"id: '{'a' * 59}…' is not an id: a small letter, then small letters, digits and -, 80 characters at most",
    ),
    ({"with": {"papers": "files"}}, "door-locked reads no further source 'papers'; it reads house only"),
    ({"severty": "high"}, "unknown key 'severty' (did you mean 'severity'?)"),
]


@pytest.mark.parametrize(("change", "message"), TESTS)
def test_a_mistake_in_a_test_is_told(tmp_path: Path, change: dict[str, Any], message: str) -> None:
    assert messages(tmp_path, a_pack("p", a_claim("c", {**LOCKED, **change}))) == [message]


@pytest.mark.parametrize(
    ("test", "message"),
    [
        (a_test("t", "door-locked", "home"), "door-locked needs params: strength"),
        (a_test("t", "keys-listed", "home"), "keys-listed also reads papers: bind it, with: {papers: <target id>}"),
        (
            a_test("t", "keys-listed", "home", **{"with": {"papers": "fils"}}),
            "no papers target has the id 'fils' (did you mean 'files'?)",
        ),
        (
            a_test("t", "keys-listed", "home", **{"with": {"papers": "home"}}),
            "no papers target has the id 'home'; known here: files",
        ),
        (
            a_test("t", "keys-listed", "home", **{"with": {"papers": 3}}),
            "papers: must be text, not a number: put it in quotes",
        ),
    ],
)
def test_what_a_check_needs_is_asked_for(tmp_path: Path, test: dict[str, Any], message: str) -> None:
    assert messages(tmp_path, a_pack("p", a_claim("c", test))) == [message]


def test_a_further_source_is_bound(tmp_path: Path) -> None:
    assert (
        messages(
            tmp_path,
            a_pack("p", a_claim("c", a_test("t", "keys-listed", "inhabited", **{"with": {"papers": "files"}}))),
        )
        == []
    )


def test_an_empty_population_is_believed_with_a_reason(tmp_path: Path) -> None:
    assert (
        messages(tmp_path, a_pack("p", a_claim("c", {**LOCKED, "population": {"min": 0, "reason": "no doors"}}))) == []
    )


CLAIMS: list[tuple[dict[str, Any], str]] = [
    ({"criteria": [{"id": "CC6.9"}]}, "unknown criterion 'CC6.9' (did you mean 'CC6.8'?)"),
    ({"criteria": [{"id": "cc6.1"}]}, "unknown criterion 'cc6.1' (did you mean 'CC6.1'?)"),
    ({"criteria": [{"id": "A1.4"}]}, "unknown criterion 'A1.4' (did you mean 'A1.3'?)"),
    ({"criteria": []}, "criteria: must not be empty"),
    ({"criteria": [{"id": "CC6.1", "support": "some"}]}, "support: must be direct or partial; not 'some'"),
    ({"statement": ""}, "statement: must not be empty"),
    ({"statement": " \n"}, "statement: must not be empty"),
    ({"statement": None}, "statement: must be text, not nothing"),
    ({"owner": 3}, "owner: must be text, not a number: put it in quotes"),
    ({"not_tested": "all"}, "not_tested: must be a list, not text"),
    ({"not_tested": [""]}, "not_tested (item 1): must not be empty"),
    ({"interpretaion": "x"}, "unknown key 'interpretaion' (did you mean 'interpretation'?)"),
]


@pytest.mark.parametrize(("change", "message"), CLAIMS)
def test_a_mistake_in_a_claim_is_told(tmp_path: Path, change: dict[str, Any], message: str) -> None:
    assert messages(tmp_path, a_pack("p", a_claim("c", LOCKED, **change))) == [message]


def without(row: dict[str, Any], name: str) -> dict[str, Any]:
    return {key: value for key, value in row.items() if key != name}


WAIVER = a_waiver("w", "front")
WAIVERS: list[tuple[dict[str, Any], str]] = [
    (without(WAIVER, "approved_by"), "waivers (item 1): missing 'approved_by'"),
    (WAIVER | {"approved_by": ""}, "approved_by: must not be empty"),
    (WAIVER | {"approved_by": "  "}, "approved_by: must not be empty"),
    (WAIVER | {"approved_by": "ann"}, "approved_by: nobody approves a waiver of their own"),
    (WAIVER | {"approved_by": " ANN "}, "approved_by: nobody approves a waiver of their own"),
    (WAIVER | {"expires": "2027-02-01"}, "expires: is more than a year after the day of approval"),
    (
        WAIVER | {"approved_on": "2028-02-29", "expires": "2029-03-02"},
        "expires: is more than a year after the day of approval",
    ),
    (WAIVER | {"expires": "2026-01-30"}, "expires: is before the day of approval"),
    (WAIVER | {"expires": "soon"}, "expires: 'soon' is not a day such as 2026-11-23"),
    (WAIVER | {"expires": "2026-02-30"}, "expires: '2026-02-30' is not a day such as 2026-11-23"),
    (WAIVER | {"expires": "2026-2-3"}, "expires: '2026-2-3' is not a day such as 2026-11-23"),
    (WAIVER | {"expires": 2026}, "expires: must be text, not a number: put it in quotes"),
    (without(WAIVER, "expires"), "waivers (item 1): missing 'expires'"),
    (WAIVER | {"test": "fornt"}, "unknown test 'fornt' (did you mean 'front'?)"),
    (WAIVER | {"resource": "door-*"}, "resource: a pattern (*) needs max_matches beside it"),
    (WAIVER | {"max_matches": 0}, "max_matches: must be at least 1, not 0"),
]


@pytest.mark.parametrize(("waiver", "message"), WAIVERS)
def test_a_mistake_in_a_waiver_is_told(tmp_path: Path, waiver: dict[str, Any], message: str) -> None:
    assert messages(tmp_path, a_pack("p", a_claim("c", LOCKED), waivers=[waiver])) == [message]


@pytest.mark.parametrize(
    "change",
    [
        {},
        {"approved_on": "2027-12-31", "expires": "2028-12-31"},
        {"approved_on": "2028-02-29", "expires": "2029-03-01"},
        {"resource": "door-*", "max_matches": 3},
        {"approved_on": "2026-01-31", "expires": "2026-01-31"},
    ],
)
def test_a_waiver_of_a_year_is_accepted(tmp_path: Path, change: dict[str, Any]) -> None:
    assert messages(tmp_path, a_pack("p", a_claim("c", LOCKED), waivers=[WAIVER | change])) == []


PACKS: list[tuple[dict[str, Any], str]] = [
    ({"version": 2}, "version: must be 1; not 2"),
    ({"claims": []}, "claims: must not be empty"),
    ({"clams": []}, "unknown key 'clams' (did you mean 'claims'?)"),
    ({"source": {"title": "s"}}, "source: needs a url or a document"),
    (
        {"source": {"title": "s", "url": "javascript:alert(1)"}},
        "url: 'javascript:alert(1)' does not begin with https://",
    ),
    (
        {"source": {"title": "s", "document": "d", "retreived": "2026-01-01"}},
        "unknown key 'retreived' (did you mean 'retrieved'?)",
    ),
    (
        {"source": {"title": "s", "document": "d", "retrieved": "today"}},
        "retrieved: 'today' is not a day such as 2026-11-23",
    ),
    (
        {"registers": {"cuecs": [{"id": "q", "statement": "s", "criteria": ["CC0.1"]}]}},
        "unknown criterion 'CC0.1' (did you mean 'CC9.1'?)",
    ),
    ({"registers": {"cuecs": [{"id": "q", "statement": "s", "criteria": [], "claims": ["x"]}]}}, "unknown claim 'x'"),
    (
        {
            "registers": {
                "subservice_organizations": [{"name": "n", "services": "s", "controls": [], "criteria": ["C1"]}]
            }
        },
        "unknown criterion 'C1' (did you mean 'C1.2'?)",
    ),
]


@pytest.mark.parametrize(("change", "message"), PACKS)
def test_a_mistake_in_the_frame_is_told(tmp_path: Path, change: dict[str, Any], message: str) -> None:
    assert messages(tmp_path, a_pack("p", a_claim("c", LOCKED), **change)) == [message]


@pytest.mark.parametrize("name", [b"a\\b.yaml", b"a\nb.yaml", b"a:b.yaml", b"\xff.yaml", b"\xe2\x80\xae.yaml"])
def test_a_file_whose_name_is_not_kept_alike_everywhere_is_refused(tmp_path: Path, name: bytes) -> None:
    """Names stand in lists of digests and in archives, where such a one would be another."""
    path = tmp_path / os.fsdecode(name)
    path.write_text(a_pack("p", a_claim("c", LOCKED)))
    with pytest.raises(UsageError, match="rename it"):
        policy.load(tmp_path, CHECKS)
    path.rename(tmp_path / "ein Übergang (1).yaml")
    assert policy.load(tmp_path, CHECKS).packs


def test_every_id_is_given_once_over_all_files(tmp_path: Path) -> None:
    cuecs = {"cuecs": [{"id": "q", "statement": "s", "criteria": []}]}
    text = a_pack("p", a_claim("c", LOCKED), waivers=[WAIVER], registers=cuecs)
    assert messages(tmp_path, text, text) == [
        "duplicate pack id 'p', first at a.yaml:3",
        "duplicate claim id 'c', first at a.yaml:11",
        "duplicate test id 'front', first at a.yaml:22",
        "duplicate waiver id 'w', first at a.yaml:36",
        "duplicate CUEC id 'q', first at a.yaml:50",
    ]


def test_places_are_those_of_the_mistake(tmp_path: Path) -> None:
    text = """\
version: 1
id: p
title: t
source: {title: s, url: https://x}
claims:
  - id: c
    statement: we lock
    interpretation: every door
    criteria:
      - {id: CC6.1, suport: direct}
    owner: me
    tests:
      - id: front
        check: door-locked
        targets: [home, hme]
        params: {strength: x}
"""
    assert problems_of(tmp_path, text) == [
        "a.yaml:10:21: unknown key 'suport' (did you mean 'support'?)",
        "a.yaml:15:25: unknown target id, type or tag 'hme' (did you mean 'home'?)",
        "a.yaml:16:28: strength: must be a whole number, not text",
    ]


def test_no_mistake_hides_another(tmp_path: Path) -> None:
    """A file that is no YAML, one of the wrong shape and one with unknown names are all told at once."""
    wrong_shape = a_pack("q", a_claim("d", a_test("t", "door-loked", "hme"), criteria=[{"id": "CC99.1"}], owner=3))
    names = a_pack("r", a_claim("e", LOCKED), waivers=[a_waiver("w", "t"), a_waiver("x", "tt")])
    assert [line.split(":")[0] for line in problems_of(tmp_path, "a: [", wrong_shape, names)] == [
        "a.yaml", "b.yaml", "b.yaml", "b.yaml", "b.yaml", "c.yaml",
    ]  # fmt: skip


def test_a_test_in_a_file_of_wrong_shape_is_still_known(tmp_path: Path) -> None:
    """A waiver for it is no second mistake."""
    broken = a_pack("p", a_claim("c", LOCKED, owner=3))
    assert messages(tmp_path, broken, a_pack("q", a_claim("d"), waivers=[WAIVER])) == [
        "owner: must be text, not a number: put it in quotes"
    ]


def test_a_target_of_unknown_type_is_one_mistake_not_two(tmp_path: Path) -> None:
    """Its type is told where it is declared."""
    known = policy.Selectors(ids={"home": "huose", "files": "ppaers"}, tags=frozenset(), types=KNOWN.types)
    test = a_test("t", "keys-listed", "home", **{"with": {"papers": "files"}})
    assert problems_of(tmp_path, a_pack("p", a_claim("c", test)), known=known) == []


def test_a_further_source_is_missed_only_where_there_is_something_to_look_at(tmp_path: Path) -> None:
    """A pack is for every system of a company; who audits one of them needs nothing for the others."""
    text = a_pack("p", a_claim("c", a_test("t", "keys-listed", "house", **{"with": {"papers": "files"}})))
    types = KNOWN.types
    nothing = policy.Selectors(ids={"wood": "garden"}, tags=frozenset(), types=types)
    assert problems_of(tmp_path, text, known=nothing) == []
    house = policy.Selectors(ids={"home": "house"}, tags=frozenset(), types=types)
    (problem,) = problems_of(tmp_path, text, known=house)
    assert problem.endswith("no papers target has the id 'files'; auditor.yaml has no target of that type")


def test_without_settings_targets_are_not_compared(tmp_path: Path) -> None:
    text = a_pack("p", a_claim("c", a_test("t", "keys-listed", "anything", **{"with": {"papers": "whatever"}})))
    assert problems_of(tmp_path, text, known=None) == []


def test_only_files_of_the_pack_are_read(tmp_path: Path) -> None:
    (tmp_path / ".#a.yaml").write_text("not: [a policy")
    (tmp_path / "notes.txt").write_text("not: [a policy")
    (tmp_path / "b.yml").write_text(a_pack("p", a_claim("c", LOCKED)))
    assert [file.name for file in policy.find_files(tmp_path)] == ["b.yml"]
    assert policy.find_files(tmp_path / "b.yml") == [tmp_path / "b.yml"]


def test_a_folder_without_policies_is_told(tmp_path: Path) -> None:
    (tmp_path / "inner").mkdir()
    for path, message in (
        (tmp_path / "no", f"{tmp_path}/no: there is no such file or folder; {policy.A_PACK}"),
        (tmp_path, f"{tmp_path}: holds no policy file (*.yaml); {policy.A_PACK}"),
    ):
        with pytest.raises(UsageError) as caught:
            policy.load(path, CHECKS)
        assert str(caught.value) == message
    (tmp_path / "inner" / "a.yaml").write_text("x")
    with pytest.raises(UsageError, match=f"did you mean {tmp_path}/inner/"):
        policy.load(tmp_path, CHECKS)


def test_a_file_that_cannot_be_read_hides_no_other(tmp_path: Path) -> None:
    (tmp_path / "b.yaml").write_bytes(b"\xff")
    assert problems_of(tmp_path, "x") == [
        "a.yaml:1:1: must be a mapping (key: value), not text",
        "b.yaml:1:1: is not UTF-8 text; save it as UTF-8",
    ]


FULL = json.loads(
    a_pack(
        "p",
        a_claim("c", {**LOCKED, "population": {"min": 0, "reason": "none"}, "max_age": "P1D"}),
        a_claim("d", a_test("t", "keys-listed", "home", **{"with": {"papers": "files"}})),
        waivers=[WAIVER],
        registers={
            "cuecs": [{"id": "q", "statement": "s", "criteria": ["CC6.1"], "claims": ["c"]}],
            "subservice_organizations": [{"name": "n", "services": "s", "controls": ["x"], "criteria": ["CC6.1"]}],
        },
    )
)
PLACES = [path for path, _ in places(FULL)]
STRANGE: st.SearchStrategy[Any] = st.sampled_from(
    [None, True, 0, 2.5, "", " ", "x", "home", "2026-01-01", [], {}, [None], ["x"], [[]], [{}], {"x": 1}]
)


@settings(deadline=None)
@given(st.lists(st.tuples(st.sampled_from(PLACES), STRANGE), min_size=1, max_size=4))
def test_whatever_stands_where_is_accepted_or_told(
    tmp_path_factory: pytest.TempPathFactory, changes: list[tuple[tuple[str | int, ...], Any]]
) -> None:
    tree = copy.deepcopy(FULL)
    for (*above, last), value in changes:
        with contextlib.suppress(KeyError, IndexError, TypeError):  # an earlier change took the place away
            functools.reduce(operator.getitem, above, tree)[last] = copy.deepcopy(value)  # or it could hold itself
    path = tmp_path_factory.getbasetemp() / "strange.yaml"
    path.write_text(json.dumps(tree))
    with contextlib.suppress(UsageError):
        policy.load(path, CHECKS, KNOWN)
