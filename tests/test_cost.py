"""What a run costs at least: by literals, and against what runs really asked."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import msgspec
import pytest

from auditor import plan, plugins, policy, settings
from auditor.cost import EACH_REGION, Cost, TaskCost, estimate
from auditor.plan import PlannedTarget, Selection
from auditor.questions import Operation, SourceType
from tests.audit_fixture import audit, retry_at_once, sign_in
from tests.cli_process import auditor, database
from tests.cli_process import policy as write_policy
from tests.cli_process import settings as write_settings
from tests.github_account import SECRET, github, organization
from tests.paging_aws import PagingAws, State
from tests.policy_words import CHECKS, a_claim, a_pack, a_test
from tests.test_github_run import audit as audit_github
from tests.world_runs import Audited

DECLARED = {
    "door-locked": {"house": {"doors": 1, "lock": 0}},
    "keys-listed": {"house": {"doors": 2}, "papers": {"lists": 3, "seal": 0}},
    "room-tidy": {"house": {"rooms": 1}},
    "rent-paid": {"house": {"who": 1, "bills": 1}},
    "paper-signed": {"papers": {"seal": 1}},
}
PARAMS = {"params": {"strength": 3}}


def source(name: str, *operations: Operation, identity: str = "", fan_out: str = "") -> SourceType:
    return SourceType(
        name=name,
        settings=msgspec.defstruct(f"{name}_settings", []),
        operations={row.name: row for row in operations},
        declare=lambda _: {},
        open=lambda _settings, _opening: None,  # type: ignore[arg-type,return-value]  # nobody is asked
        identity=identity,
        fan_out=fan_out,
    )


SOURCES = {
    "house": source(
        "house",
        Operation(name="who", summary="Who asks."),
        Operation(name="regions", summary="Which floors."),
        Operation(name="doors", summary="Every door."),
        Operation(name="lock", summary="One lock.", effect="probe"),
        Operation(name="rooms", summary="Every room."),
        Operation(name="bills", summary="Every bill."),
        identity="who",
        fan_out="regions",
    ),
    "papers": source(
        "papers",
        Operation(name="lists", summary="Every list."),
        Operation(name="seal", summary="One seal.", effect="create"),
    ),
}


def cost(folder: Path, *tests: dict[str, object], selection: Selection | None = None) -> Cost:
    """What a pack of these tests costs on two houses and a folder of papers."""
    checks = {
        name: msgspec.structs.replace(check, sources=DECLARED[name]) if name in DECLARED else check
        for name, check in CHECKS.items()
    }
    (folder / "a.yaml").write_text(a_pack("p", a_claim("one", *tests)))
    pack = policy.load(folder, checks)
    targets = tuple(
        PlannedTarget(id=name, type=kind, tags=(), declared={"type": kind})
        for name, kind in (("home", "house"), ("cottage", "house"), ("files", "papers"))
    )
    planned = plan.make(pack, targets, "Explo", checks, selection)
    return estimate(planned, {test.id: test for _, test in pack.tests()}, checks, SOURCES)


def counts(task: TaskCost) -> dict[str, int]:
    return {f"{question.target}:{question.operation}": question.least for question in task.questions}


def test_who_asks_comes_first_and_what_has_no_minimum_costs_nothing(tmp_path: Path) -> None:
    (task,) = cost(tmp_path, a_test("t", "door-locked", "home", **PARAMS)).tasks
    assert list(counts(task).items()) == [("home:who", 1), ("home:doors", 1), ("home:lock", 0)]
    assert (task.target, task.type, task.shard, task.tests, task.calls) == ("home", "house", "main", ("t",), 2)
    assert [question.effect for question in task.questions] == ["read", "read", "probe"]
    assert task.questions[1].summary == "Every door."


def test_a_question_counts_once_with_the_largest_minimum(tmp_path: Path) -> None:
    (task,) = cost(
        tmp_path,
        a_test("a", "door-locked", "home", **PARAMS),
        a_test("b", "keys-listed", "home", **{"with": {"papers": "files"}}),
        a_test("c", "door-locked", "home", params={"strength": 4}),
    ).tasks
    assert counts(task) == {
        "home:who": 1, "home:doors": 2, "home:lock": 0, "files:lists": 3, "files:seal": 0,
    }  # fmt: skip
    assert task.calls == 6


def test_a_check_that_asks_who_asks_makes_it_no_second_question(tmp_path: Path) -> None:
    (task,) = cost(tmp_path, a_test("t", "rent-paid", "home")).tasks
    assert counts(task) == {"home:who": 1, "home:bills": 1}


def test_regions_are_asked_for_once_and_each_then_costs_the_same(tmp_path: Path) -> None:
    found = cost(tmp_path, a_test("a", "room-tidy", "house"), a_test("b", "rent-paid", "home"))
    shards = {(task.target, task.shard): counts(task) for task in found.tasks}
    assert shards == {
        ("home", "account"): {"home:who": 1, "home:regions": 1, "home:bills": 1},
        ("home", EACH_REGION): {"home:who": 1, "home:rooms": 1},
        ("cottage", "account"): {"cottage:who": 1, "cottage:regions": 1},
        ("cottage", EACH_REGION): {"cottage:who": 1, "cottage:rooms": 1},
    }
    assert found.calls == 5
    assert found.calls_each_region == {"home": 2, "cottage": 2}


def test_what_is_not_carried_out_costs_nothing_and_is_said(tmp_path: Path) -> None:
    tests = a_test("a", "door-locked", "house", **PARAMS), a_test("b", "paper-signed", "house")
    found = cost(tmp_path, *tests, selection=Selection(targets=("home",)))
    assert [task.target for task in found.tasks] == ["home"]
    assert {one.test: one.reason for one in found.excluded} == {
        "a": "deselected on the command line: cottage",
        "b": "no target of type papers is house",
    }
    assert cost(tmp_path, *tests, selection=Selection(checks=("paper-signed",))).tasks == ()


# Against what was asked


def asked(run: Path) -> dict[str, Counter[str]]:
    """How many calls each task made, by operation; further pages are not counted."""
    found: dict[str, Counter[str]] = {}
    for path in (run / "evidence").glob("*.jsonl"):
        lines = map(json.loads, path.read_bytes().splitlines())
        first = [line for line in lines if line["kind"] == "answer" and line.get("page", {}).get("i", 1) == 1]
        found[path.stem] = Counter()
        for line in first:
            found[path.stem][f"{line['target']}:{line['operation']}"] += len(line.get("attempts", [0]))
    return found


def of_run(folder: Path) -> Cost:
    """What the audit in a folder (of `audit_fixture`, or its like) costs at least."""
    checks, sources = plugins.checks(), plugins.sources()
    loaded = settings.load(folder / "auditor.yaml", sources)
    targets = plan.declare(loaded, sources)
    pack = policy.load(folder / "pack.yaml", checks, plan.selectors(targets, sources))
    planned = plan.make(pack, targets, "Explo", checks)
    return estimate(planned, {test.id: test for _, test in pack.tests()}, checks, sources)


def test_the_healthy_world_is_asked_no_less(healthy: Audited) -> None:
    tests = {test.id: test for _, test in healthy.policy.tests()}
    found = estimate(healthy.plan, tests, healthy.plugins.checks, healthy.plugins.sources)
    questions = asked(healthy.run)
    costs = {f"{task.target}.{task.shard}": task for task in found.tasks}
    for name, really in questions.items():
        target, _, shard = name.rpartition(".")
        task = costs[name] if name in costs else costs[f"{target}.{EACH_REGION}"]
        least = counts(task)
        assert really.keys() <= least.keys(), name
        assert not [question for question, count in least.items() if really[question] < count], name
        assert really.total() >= task.calls > 0
        assert shard
    regions = sum(name.startswith("prod.") for name in questions) - 1
    least_of_all = found.calls + regions * found.calls_each_region["prod"]
    assert sum(counter.total() for counter in questions.values()) >= least_of_all > found.calls


def test_an_empty_account_is_asked_exactly_that(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sign_in(monkeypatch)
    retry_at_once(monkeypatch)
    with PagingAws(State(volumes={"us-east-1": [], "eu-west-1": [], "eu-north-1": []})) as aws:
        run = audit(aws, tmp_path, "ebs", "ebs-customer", "expiry", "encryption").run
        found = of_run(tmp_path)
        assert aws.calls.total() == found.calls + 3 * found.calls_each_region["prod"] == 12
    for name, really in asked(run).items():
        shard = EACH_REGION if name != "prod.account" else "account"
        (task,) = [task for task in found.tasks if task.shard == shard]
        assert really == {question: least for question, least in counts(task).items() if least}


def test_an_organization_of_nobody_else_is_asked_exactly_that(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GITHUB_CANARY", SECRET)
    with github(organization()) as server:
        audit_github(server, tmp_path, {"allow_insecure": True})
        assert server.calls.total() == of_run(tmp_path).calls == 8


# As a command


def test_the_plan_reads_as_a_text_and_asks_nobody(tmp_path: Path) -> None:
    """Without any secret set, of a host that does not exist."""
    write_settings(tmp_path, database("db", 1, host="nowhere.invalid", password={"env": "NOT_SET"}))
    write_policy(tmp_path / "pack", ("tls", "postgres-tls"), ("kdf", "postgres-client-certificate"))
    shown = auditor("plan", "--policies", "pack", "--check", "postgres-client-certificate", cwd=tmp_path)
    assert (shown.code, shown.err) == (0, "")
    assert shown.out == (
        "db (postgres): at least 3 calls\n"
        "    for kdf\n"
        "      1  Which role, in which database, of which server. (sql.identity)\n"
        "      2  probe: Ask an endpoint for a session over TLS, with or without the client certificate;\n"
        "         stops at the answer. (wire.tls_startup)\n"
        "\n"
        "at least: where all can be asked and answered, and the parameters that ask least\n"
        "probe: tries something as any client could: a handshake, an expired token\n"
        "at least 3 calls in all\n"
        "\n"
        "not carried out, or not everywhere:\n"
        "    tls: deselected on the command line\n"
    )
    assert sorted(path.name for path in tmp_path.iterdir()) == ["auditor.yaml", "pack"]


def test_the_plan_as_json_has_the_documented_shape(tmp_path: Path) -> None:
    write_settings(tmp_path, database("db", 1))
    write_policy(tmp_path / "pack", ("tls", "postgres-tls"))
    shown = auditor("plan", "--policies", "pack", "-f", "json", cwd=tmp_path)
    found = msgspec.json.decode(shown.out, type=Cost, strict=True)
    assert (found.schema, found.organization, found.calls) == ("auditor/cost/1", "Explo", 6)
    assert {question.operation: question.least for question in found.tasks[0].questions}["wire.old_tls"] == 2


def test_a_plan_for_nothing_says_so(tmp_path: Path) -> None:
    write_settings(tmp_path)
    write_policy(tmp_path / "pack", ("tls", "postgres-tls"))
    shown = auditor("plan", "--policies", "pack", cwd=tmp_path)
    assert (shown.code, shown.err) == (0, "")
    assert shown.out == (
        "nobody would be asked anything\n"
        "\n"
        "not carried out, or not everywhere:\n"
        "    tls: no target of type postgres is postgres\n"
    )
