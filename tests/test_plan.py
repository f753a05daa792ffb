"""The plan: which task asks which target for which test, before anything is asked."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import msgspec

from auditor import plan, plugins, policy, settings
from auditor.plan import PlannedTarget, Selection, Task
from auditor.questions import RegionShards
from tests.policy_words import CHECKS, a_claim, a_pack, a_test

PARAMS = {"params": {"strength": 3}}


def target(name: str, kind: str, *tags: str) -> PlannedTarget:
    return PlannedTarget(id=name, type=kind, tags=tags, declared={"type": kind})


TARGETS = (
    target("cottage", "house", "rented"),
    target("home", "house", "inhabited"),
    target("files", "papers", "inhabited"),
)


def planned(folder: Path, *tests: dict[str, Any], selection: Selection | None = None) -> plan.Plan:
    """The plan of a pack with two claims: the first holds all tests but the last."""
    text = a_pack("p", a_claim("one", *tests[:-1]), a_claim("two", tests[-1]))
    (folder / "a.yaml").write_text(text)
    return plan.make(policy.load(folder, CHECKS), TARGETS, "Explo", CHECKS, selection)


def bound(folder: Path, *names: str) -> tuple[str, ...]:
    return planned(folder, a_test("t", "door-locked", *names, **PARAMS)).tests[0].targets


def test_a_test_is_bound_by_id_type_or_tag(tmp_path: Path) -> None:
    assert bound(tmp_path, "home") == ("home",)
    assert bound(tmp_path, "house") == ("cottage", "home")
    assert bound(tmp_path, "rented") == ("cottage",)


def test_a_tag_binds_only_what_the_check_reads(tmp_path: Path) -> None:
    assert bound(tmp_path, "inhabited") == ("home",)


def test_a_target_that_is_named_twice_is_bound_once_and_in_the_order_of_the_settings(tmp_path: Path) -> None:
    assert bound(tmp_path, "home", "house", "rented") == ("cottage", "home")


def test_no_member_is_said(tmp_path: Path) -> None:
    made = planned(tmp_path, a_test("t", "paper-signed", "rented", "empty"))
    assert made.tests[0].targets == ()
    assert made.tests[0].excluded == "no target of type papers is rented or empty"
    assert made.tasks == ()


def test_tests_of_one_shard_are_gathered_in_policy_order(tmp_path: Path) -> None:
    made = planned(
        tmp_path,
        a_test("d", "door-locked", "house", **PARAMS),
        a_test("a", "rent-paid", "home"),
        a_test("c", "keys-listed", "home", **{"with": {"papers": "files"}}),
        a_test("b", "rent-paid", "home"),
    )
    assert made.tasks == (
        Task(target="cottage", shard="main", tests=("d",)),
        Task(target="home", shard="main", tests=("d", "c")),
        Task(target="home", shard="account", tests=("a", "b")),
    )
    assert [task.id for task in made.tasks] == ["cottage.main", "home.main", "home.account"]
    assert [(test.id, test.claim) for test in made.tests] == [("d", "one"), ("a", "one"), ("c", "one"), ("b", "two")]


def test_region_tests_fan_out_from_the_account_task(tmp_path: Path) -> None:
    made = planned(
        tmp_path,
        a_test("r", "room-tidy", "house"),
        a_test("a", "rent-paid", "home"),
        a_test("s", "room-tidy", "home"),
    )
    accounts = {task.target: task for task in made.tasks}
    assert accounts["home"] == Task(target="home", shard="account", tests=("a",), fan_out=True, region_tests=("r", "s"))
    assert accounts["cottage"] == Task(target="cottage", shard="account", tests=(), fan_out=True, region_tests=("r",))
    assert plan.region_tasks(accounts["home"], RegionShards(("north", "south"), excluded=("west",))) == (
        Task(target="home", shard="north", tests=("r", "s")),
        Task(target="home", shard="south", tests=("r", "s")),
    )


def test_without_region_tests_nothing_fans_out(tmp_path: Path) -> None:
    (task,) = planned(tmp_path, a_test("a", "rent-paid", "home")).tasks
    assert not task.fan_out
    assert task.region_tests == ()


TWO = (a_test("d", "door-locked", "house", **PARAMS), a_test("a", "rent-paid", "home"))


def test_what_is_deselected_is_said_and_not_asked(tmp_path: Path) -> None:
    for selection in (Selection(claims=("one",)), Selection(tests=("d",)), Selection(checks=("door-locked",))):
        made = planned(tmp_path, *TWO, selection=selection)
        assert [(test.id, test.targets, test.excluded) for test in made.tests] == [
            ("d", ("cottage", "home"), ""),
            ("a", (), "deselected on the command line"),
        ]
        assert [task.id for task in made.tasks] == ["cottage.main", "home.main"]
        assert made.selection == selection


def test_a_target_that_is_deselected_is_named(tmp_path: Path) -> None:
    made = planned(tmp_path, *TWO, selection=Selection(targets=("cottage",)))
    assert [(test.id, test.targets, test.excluded) for test in made.tests] == [
        ("d", ("cottage",), "deselected on the command line: home"),
        ("a", (), "deselected on the command line: home"),
    ]
    assert [task.id for task in made.tasks] == ["cottage.main"]


def test_selections_narrow_each_other(tmp_path: Path) -> None:
    made = planned(tmp_path, *TWO, selection=Selection(tests=("d",), targets=("home",)))
    assert [task.id for task in made.tasks] == ["home.main"]
    assert planned(tmp_path, *TWO, selection=Selection(claims=("one",), tests=("a",))).tasks == ()


def test_selectors_are_what_a_policy_may_name() -> None:
    known = plan.selectors(TARGETS, plugins.sources())
    assert known.ids == {"cottage": "house", "home": "house", "files": "papers"}
    assert known.tags == {"rented", "inhabited"}
    assert known.types == set(plugins.sources())


def test_the_declaration_holds_no_secret(tmp_path: Path) -> None:
    path = tmp_path / "auditor.yaml"
    path.write_text(
        "{version: 1, organization: Explo, targets: [{id: db, type: postgres, host: h, dbname: d, user: u, "
        "password: {env: THE_VARIABLE}, client_certificate: {cert: c, key: the-key-file}}]}"
    )
    sources = plugins.sources()
    (declared,) = plan.declare(settings.load(path, sources), sources)
    assert (declared.id, declared.type, declared.declared["type"]) == ("db", "postgres", "postgres")
    assert "THE_VARIABLE" not in str(declared)
    assert "the-key-file" not in str(declared)


def test_the_plan_is_kept_as_json(tmp_path: Path) -> None:
    made = planned(tmp_path, *TWO)
    kept = json.loads(plan.to_json(msgspec.to_builtins(made), reached=["home.main"]))
    assert kept["schema"] == "auditor/plan/1"
    assert kept["reached"] == ["home.main"]
    assert [task["shard"] for task in kept["tasks"]] == ["main", "main", "account"]
    assert made.target("home") == TARGETS[1]
