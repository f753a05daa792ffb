"""The composite action and the recipes of docs/ci.md as published schemas and known checkers see them."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from check_jsonschema.builtin_schemas import get_builtin_schema
from jsonschema.validators import validator_for

from tests.ci_recipes import ACTION, ALLOWED, BLOCKS, DOCS, GITLAB, WORKFLOW, action, load
from tests.cli_process import environment
from tests.github_runner import Expression
from tests.world_runs import ROOT

SHA = "0123456789abcdef0123456789abcdef01234567"
BIN = Path(sys.executable).parent
ALLOWED_IN_PLACE = GITLAB + re.sub("^", "  ", ALLOWED, flags=re.MULTILINE)


def test_every_block_is_looked_at() -> None:
    assert {WORKFLOW, GITLAB, ALLOWED} == set(BLOCKS)


def mistakes(schema: str, text: str) -> list[str]:
    published = get_builtin_schema(schema)
    return [error.message for error in validator_for(published)(published).iter_errors(load(text))]


@pytest.mark.parametrize(
    ("schema", "text"),
    [
        pytest.param("vendor.github-actions", ACTION.read_text(encoding="utf-8"), id="action"),
        pytest.param("vendor.github-workflows", WORKFLOW, id="workflow"),
        pytest.param("vendor.gitlab-ci", GITLAB, id="gitlab"),
        pytest.param("vendor.gitlab-ci", ALLOWED_IN_PLACE, id="allowed"),
        *[
            pytest.param("vendor.github-workflows", path.read_text(encoding="utf-8"), id=path.name)
            for path in (ROOT / ".github" / "workflows").iterdir()
        ],
    ],
)
def test_it_follows_the_published_schema(schema: str, text: str) -> None:
    assert mistakes(schema, text) == []
    key = re.search(r"^ +(using|runs-on|script|exit_codes):", text, re.MULTILINE)
    assert key
    assert mistakes(schema, text.replace(key[0], key[0].replace(":", "x:"), 1)), "the schema would notice nothing"


def zizmor(folder: Path) -> set[str]:
    command = [str(BIN / "zizmor"), "--offline", "--no-progress", "--format=json", "--pedantic", str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment())
    return {found["ident"] for found in json.loads(done.stdout)}


def test_no_known_weakness_of_workflows_is_in_them(tmp_path: Path) -> None:
    """Zizmor's audits: injection, unpinned actions, too many permissions, credentials left behind, and more."""
    shutil.copytree(ROOT / ".github", tmp_path / ".github")
    recipe = tmp_path / ".github" / "workflows" / "recipe.yml"
    recipe.write_text(WORKFLOW.replace("COMMIT", SHA))
    assert zizmor(tmp_path) == set()
    recipe.write_text(WORKFLOW.replace("COMMIT", "main").replace("$REFUTED refuted", "${{ github.head_ref }}"))
    assert zizmor(tmp_path) >= {"unpinned-uses", "template-injection"}, "it would notice nothing"


def scripts() -> list[Any]:
    named = {step["name"]: step["run"] for step in action()["runs"]["steps"] if "run" in step}
    steps = load(WORKFLOW)["jobs"]["audit"]["steps"]
    named |= {f"workflow: {step['name']}": step["run"] for step in steps if "run" in step}
    named["gitlab"] = "\n".join(load(GITLAB)["audit"]["script"])
    return [pytest.param(script, id=name) for name, script in named.items()]


@pytest.mark.parametrize("script", scripts())
def test_shell_can_be_parsed(script: str, tmp_path: Path) -> None:
    """Whether it is quoted right is seen where it is carried out, with blanks and commands in every input."""

    def parsed(text: str) -> bool:
        (tmp_path / "script").write_text(text)
        return subprocess.run(["bash", "-n", "script"], cwd=tmp_path, capture_output=True, check=False).returncode == 0

    assert parsed(script)
    assert not parsed(f'{script}\necho "')


def test_steps_of_the_action_end_at_the_first_mistake() -> None:
    for step in action()["runs"]["steps"]:
        if "run" in step:
            assert step["run"].startswith("set -euo pipefail\n"), step["name"]


def test_the_page_says_what_the_action_does() -> None:
    rows = dict(re.findall(r"^\| `([a-z-]+)` \| (?:`([^`]*)`)? ?\|", DOCS, re.MULTILINE))
    assert rows == {name: one.get("default", "") for name, one in action()["inputs"].items()}
    listed = re.search(r"Its outputs are (.*?)\. A", DOCS, re.DOTALL)
    assert listed
    assert re.findall("`([a-z-]+)`", listed[1]) == list(action()["outputs"])


def test_the_page_says_what_each_exit_code_does() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    rows = re.compile(r"^\| ([0-9]+(?:, [0-9]+)*) \|", re.MULTILINE)
    here, there = ({code for row in rows.findall(page) for code in row.split(", ")} for page in (DOCS, readme))
    assert here == there


def test_only_unproven_may_be_allowed() -> None:
    assert load(ALLOWED) == {"allow_failure": {"exit_codes": [3]}}


def test_a_job_runs_on_a_schedule_for_changes_and_by_hand_with_no_more_than_it_needs() -> None:
    assert [rule["if"] for rule in load(GITLAB)["audit"]["rules"]] == [
        f'$CI_PIPELINE_SOURCE == "{source}"' for source in ("schedule", "merge_request_event", "web")
    ]
    workflow = load(WORKFLOW)
    assert workflow["on"].keys() == {"schedule", "pull_request", "workflow_dispatch"}
    assert workflow["permissions"] == {}
    assert workflow["jobs"]["audit"]["permissions"] == {"contents": "read", "id-token": "write"}


def test_a_fork_is_not_audited() -> None:
    condition = load(WORKFLOW)["jobs"]["audit"]["if"]

    def wanted(event: str, head: str) -> bool:
        head_repo = {"head": {"repo": {"full_name": head}}}
        github = {"event_name": event, "repository": "us/it", "event": {"pull_request": head_repo}}
        return bool(Expression(condition, {"github": github}, failed=False).value())

    assert wanted("schedule", "")
    assert wanted("pull_request", "us/it")
    assert not wanted("pull_request", "them/it")
