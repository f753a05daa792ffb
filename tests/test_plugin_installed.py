"""The example of a plug-in, built and installed with pip into an environment of its own, as anybody would."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path
from typing import Any

import pytest

from tests.cli_process import ROOT, Ended, reasons, report, runs
from tests.fresh_environment import Environment
from tests.gitlab_simulator import INVITE_TOKEN, OWNER, Gitlab, Person, running

EXAMPLE = ROOT / "tests" / "plugin_gitlab"
pytestmark = pytest.mark.xdist_group("installed")  # one environment is enough
TOKEN = "glpat-canary_11AB/+=%7f"


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel of the example, built without any network."""
    folder = tmp_path_factory.mktemp("wheel")
    shutil.copytree(EXAMPLE, folder / "source", ignore=shutil.ignore_patterns("__pycache__"))
    build = Environment(folder / "build")
    build.pip("wheel", "--no-deps", "--no-build-isolation", "--no-index", "-w", folder, folder / "source")
    (built,) = folder.glob("*.whl")
    return built


def install(wheel: Path, folder: Path) -> Environment:
    made = Environment(folder)
    made.pip("install", "--no-deps", "--no-index", wheel)
    return made


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Environment:
    """An environment with the example in it, which tests only use."""
    return install(wheel, tmp_path_factory.mktemp("installed"))


def test_it_is_listed_with_where_it_comes_from(installed: Environment, tmp_path: Path) -> None:
    listed = installed.auditor("checks", cwd=tmp_path)
    assert (listed.code, listed.err) == (0, "")
    ours, _, theirs = listed.out.partition("gitlab-mfa  GitLab accounts have MFA\n")
    assert theirs.partition("\n\n")[0].endswith("    comes from auditor-gitlab 0.3.0")
    assert "auditor-gitlab" not in ours
    shown = installed.auditor("checks", "show", "gitlab-mfa", cwd=tmp_path)
    assert "once per target; by configuration\n    comes from auditor-gitlab 0.3.0\n" in shown.out
    assert "    members of gitlab, at least 1: Everybody in the group" in shown.out
    assert "    enforced (default true): true or false\n        whether the group itself must require MFA" in shown.out
    assert max(map(len, shown.out.splitlines())) <= 80


def test_the_schemas_know_it(installed: Environment, tmp_path: Path) -> None:
    schema = json.loads(installed.auditor("policy", "schema", cwd=tmp_path).out)
    assert "gitlab-mfa" in schema["$defs"]["Test"]["properties"]["check"]["enum"]
    of_settings = json.loads(installed.auditor("policy", "schema", "--settings", cwd=tmp_path).out)
    entries = of_settings["properties"]["targets"]["items"]["oneOf"]
    (entry,) = [one for one in entries if one["properties"]["type"] == {"const": "gitlab"}]
    assert {"group", "token"} <= set(entry["required"])


def write(folder: Path, url: str, **params: Any) -> None:
    """Write settings and a policy pack with one claim about GitLab."""
    target = {"id": "code", "type": "gitlab", "group": "explo", "base_url": url, "token": {"env": "GITLAB_TOKEN"}}
    (folder / "auditor.yaml").write_text(json.dumps({"version": 1, "organization": "Explo", "targets": [target]}))
    test = {"id": "everybody", "check": "gitlab-mfa", "targets": ["gitlab"], "max_age": "P1D", "params": params}
    claim = {
        "id": "mfa", "statement": "All accounts have MFA", "interpretation": "in the group",
        "criteria": [{"id": "CC6.1"}], "owner": "me", "tests": [test],
    }  # fmt: skip
    source = {"title": "t", "url": "https://x.example"}
    pack = {"version": 1, "id": "p", "title": "t", "source": source, "claims": [claim]}
    (folder / "pack.yaml").write_text(json.dumps(pack))


def audit(installed: Environment, folder: Path, world: Gitlab, **params: Any) -> tuple[Ended, Path]:
    """Audit a GitLab; return how the command ended, and the run."""
    world.token = TOKEN
    with running(world):
        write(folder, world.url, **params)
        ended = installed.auditor("run", "--policies", "pack.yaml", "-f", "lines", cwd=folder, GITLAB_TOKEN=TOKEN)
    (run,) = runs(folder / "reports")
    return ended, run


ADA = Person(1, "ada", OWNER)


def test_a_group_as_it_should_be_is_supported(installed: Environment, tmp_path: Path) -> None:
    crowd = [
        ADA,
        *(Person(number, f"user-{number}") for number in range(2, 131)),
        Person(500, "old", mfa=False, state="blocked"),
    ]
    world = Gitlab(people=crowd, invited=["new@example.com"])
    ended, run = audit(installed, tmp_path, world)
    assert ended.code == 0, ended
    validated = installed.auditor("policy", "validate", "pack.yaml", "-c", "auditor.yaml", cwd=tmp_path)
    assert (validated.code, validated.out) == (0, "pack.yaml: 1 file, 1 claim, 1 test: valid\n")
    assert (run / "claims.txt").read_text() == "supported mfa: All accounts have MFA\n"
    counts = report(run)["summary"]["findings"]
    assert {name: count for name, count in counts.items() if count} == {"pass": 131, "not_applicable": 2}
    assert world.calls == {
        "/api/v4/groups/explo": 1, "/api/v4/user": 1, "/api/v4/groups/explo/members/all": 2,
        "/api/v4/groups/explo/invitations": 1,
    }  # fmt: skip
    again = installed.auditor("evaluate", run, "--allow-unsigned", "-o", "again", "-f", "lines", cwd=tmp_path)
    assert again.code == 0
    assert (tmp_path / "again/findings/code.main.jsonl").read_bytes() == (run / "findings/code.main.jsonl").read_bytes()
    for path in (path for path in tmp_path.rglob("*") if path.is_file()):
        assert TOKEN.encode() not in path.read_bytes()
        assert INVITE_TOKEN.encode() not in path.read_bytes()


@pytest.mark.parametrize(
    ("world", "params", "failed"),
    [
        (Gitlab(people=[ADA, Person(2, "bao", mfa=False)]), {}, "2"),
        (Gitlab(requires_mfa=False), {}, "explo"),
    ],
)
def test_what_is_not_as_it_should_be_is_refuted(
    world: Gitlab, params: dict[str, Any], failed: str, installed: Environment, tmp_path: Path
) -> None:
    ended, run = audit(installed, tmp_path, world, **params)
    assert ended.code == 1, ended
    assert [one["resource"]["id"] for one in report(run)["findings"] if one["outcome"] == "fail"] == [failed]


@pytest.mark.parametrize(
    ("world", "reason"),
    [
        (Gitlab(people=[Person(1, "ada"), Person(2, "bao", mfa=False)]), "who asks is no owner (access level 30)"),
        (Gitlab(asker=7), "lacks who asked for it"),
        (Gitlab(people=[ADA, Person(2, "bao", mfa=None)]), "two_factor_enabled is missing"),
        (Gitlab(requires_mfa=None), "require_two_factor_authentication is missing"),
        (Gitlab(requires_mfa=False, parent=3), "a group above it may"),
        (Gitlab(people=[ADA, Person(2, "bao", mfa=False)], hidden=1), "x-total says 2"),
        (Gitlab(path="other"), "404 Group Not Found"),
    ],
)
def test_what_cannot_be_told_is_unproven(world: Gitlab, reason: str, installed: Environment, tmp_path: Path) -> None:
    ended, run = audit(installed, tmp_path, world)
    assert ended.code == 3, ended
    findings = report(run)["findings"]
    assert not [one for one in findings if one["outcome"] == "fail"]
    assert reason in reasons(run) + "\n".join(one["message"] for one in findings)


def test_where_it_is_not_installed_nobody_knows_it(wheel: Path, tmp_path: Path) -> None:
    made = install(wheel, tmp_path / "venv")
    write(tmp_path, "http://127.0.0.1:1")
    validate = ("policy", "validate", "pack.yaml", "-c", "auditor.yaml")
    assert made.auditor(*validate, cwd=tmp_path).code == 0
    made.pip("uninstall", "--yes", "auditor-gitlab")
    refused = made.auditor(*validate, cwd=tmp_path)
    assert refused.code == 2
    assert "unknown check 'gitlab-mfa' (did you mean 'github-mfa'?)" in refused.err
    assert "unknown type 'gitlab' (did you mean 'github'?)" in refused.err
    assert made.auditor("checks", "show", "gitlab-mfa", cwd=tmp_path).code == 2
    assert "gitlab" not in made.auditor("checks", cwd=tmp_path).out


def test_it_stands_on_what_is_documented_for_plug_ins_and_nothing_else() -> None:
    documented = set(
        re.findall(r"^\| `(auditor\.[a-z.]+)` \|", (ROOT / ".github/CONTRIBUTING.md").read_text(), re.MULTILINE)
    )
    code = "\n".join(path.read_text(encoding="utf-8") for path in (EXAMPLE / "auditor_gitlab").glob("*.py"))
    assert set(re.findall(r"^from (auditor\.[a-z.]+) import", code, re.MULTILINE)) == documented
    assert not re.findall(r"^from auditor\S* import .*\b_", code, re.MULTILINE)
