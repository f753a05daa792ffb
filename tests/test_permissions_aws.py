"""The printed IAM policy is enough for a whole audit of AWS, and nothing in it is too much: moto enforces it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import yaml

from auditor import plan, plugins, policy, settings
from auditor.engine import Audit, Plugins
from auditor.redact import Redactor
from auditor.sandbox.aws import AwsPart, start_aws
from auditor.sandbox.world import WORLDS
from tests.cli_process import auditor
from tests.examined import examine, reasons
from tests.world_runs import PACK, environment

ACTIONS = sorted({action for row in plugins.sources()["aws"].operations.values() for action in row.permissions})


@pytest.fixture(scope="module")
def account(tmp_path_factory: pytest.TempPathFactory) -> Iterator[AwsPart]:
    """The healthy world's account, for this module alone: what its auditor may do is changed here."""
    part = start_aws(WORLDS / "healthy", tmp_path_factory.mktemp("moto"))
    try:
        yield part
    finally:
        part.stop()


@pytest.fixture
def config(account: AwsPart, tmp_path: Path) -> Path:
    path = tmp_path / "auditor.yaml"
    (tmp_path / "runs").mkdir()
    targets = [*account.targets, {"id": "past", "type": "runs", "path": "./runs"}]
    path.write_text(yaml.safe_dump({"version": 1, "organization": "Explo", "targets": targets}))
    return path


@pytest.fixture
def printed(config: Path) -> str:
    """What the command prints for this account and the pack."""
    shown = auditor("permissions", "--format", "aws", "-c", config, "--policies", PACK, cwd=config.parent)
    assert shown.code == 0, shown.err
    return shown.out


@contextmanager
def allowed(account: AwsPart, document: str) -> Iterator[None]:
    """Give the auditor's user this policy, and no other; act as that user."""
    iam = account.client("iam", "us-east-1")
    for name in iam.list_user_policies(UserName="auditor")["PolicyNames"]:
        iam.delete_user_policy(UserName="auditor", PolicyName=name)
    iam.put_user_policy(UserName="auditor", PolicyName="printed", PolicyDocument=document)
    with environment(account.environment):
        yield


def audit(config: Path, output: Path) -> list[dict[str, Any]]:
    """Audit the account by the real engine; return every answer of AWS that it kept."""
    found = Plugins(plugins.checks(), plugins.sources(), plugins.reports())
    loaded = settings.load(config, found.sources)
    targets = plan.declare(loaded, found.sources)
    pack = policy.load(PACK, found.checks, plan.selectors(targets, found.sources))
    planned = plan.make(pack, targets, loaded.organization, found.checks)
    one = Audit(loaded, pack, planned, found, output, formats=("json",), redactor=Redactor())
    with ThreadPoolExecutor(8) as pool:
        run, _ = one.run(pool)
    lines = (line for path in (run / "evidence").glob("*.jsonl") for line in path.read_bytes().splitlines())
    return [line for line in map(json.loads, lines) if line["kind"] == "answer" and line["target"] == "prod"]


def without(document: str, action: str) -> str:
    """The same policy with one action less."""
    changed: dict[str, Any] = json.loads(document)
    changed["Statement"][0]["Action"].remove(action)
    return json.dumps(changed)


def test_with_exactly_this_policy_nothing_is_denied(
    account: AwsPart, config: Path, printed: str, tmp_path: Path
) -> None:
    with allowed(account, printed):
        answers = audit(config, tmp_path / "reports")
        found = examine(config, PACK)["prod"]
    assert {line["operation"] for line in answers} == set(plugins.sources()["aws"].operations)
    assert [line["error"] for line in answers if line["status"] == "error"] == []
    assert found.ready, reasons(found)


@pytest.mark.parametrize("action", ACTIONS)
def test_without_one_action_something_is_denied_and_doctor_says_which(
    account: AwsPart, config: Path, printed: str, tmp_path: Path, action: str
) -> None:
    with allowed(account, without(printed, action)):
        answers = audit(config, tmp_path / "reports")
        found = examine(config, PACK)["prod"]
    denied = [line["error"]["message"] for line in answers if line["status"] == "error"]
    assert denied
    assert all("(needs " in message and action in message for message in denied)
    symptoms = [symptom for checkup in found.checkups for symptom in checkup.symptoms]
    assert {symptom.trouble.value for symptom in symptoms} == {"denied"}
    assert all(action in symptom.permission.split(", ") for symptom in symptoms)
    assert found.remedy == "aws"


def test_a_policy_that_allows_nothing_denies_everything_but_who_asks(
    account: AwsPart, config: Path, printed: str
) -> None:
    document = json.loads(printed)
    document["Statement"][0]["Effect"] = "Deny"
    with allowed(account, json.dumps(document)):
        found = examine(config, PACK)["prod"]
    assert {one.symptoms[0].trouble.value for one in found.checkups} == {"denied"}
