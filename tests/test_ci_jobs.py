"""The action and the recipes of docs/ci.md carried out, step by step, against the demo worlds.

What bash, pip and auditor do is real. The actions of other people are left out: OTHERS names them and what stands for
them here (setup-python: the Python that runs the tests; configure-aws-credentials: the environment that the world came
with; upload-artifact: what it would have kept is looked at).
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from auditor.cli.workflow_commands import MOST_OF_A_KIND
from tests.ci_recipes import GITLAB, WORKFLOW, load
from tests.cli_process import PATIENCE, environment, runs
from tests.github_runner import Commands, Expression, Job, read_outputs
from tests.test_report_junit import checked
from tests.world_runs import PACK, ROOT, Audited

pytestmark = pytest.mark.xdist_group("ci-jobs")  # what it starts is started once
OTHERS: dict[str, dict[str, str]] = {
    "actions/checkout": {},
    "aws-actions/configure-aws-credentials": {},
    "actions/setup-python": {"python-path": sys.executable},
    "actions/upload-artifact": {},
}
CODES = {"healthy": 0, "broken": 1}
SECRETS = {"AUDITOR_GITHUB_TOKEN": "GITHUB_TOKEN", "APP_DB_AUDITOR_PASSWORD": "APP_DB_AUDITOR_PASSWORD"}
"""The secrets of the recipes, and the variable of the worlds that has their value."""


@dataclass(frozen=True)
class Repository:
    """Somebody's repository with an auditor.yaml and policies, in a folder whose name has a blank.

    `environment` is the runner's: the world's, but for what the recipe itself gives from `secrets`.
    """

    folder: Path
    environment: dict[str, str]
    secrets: dict[str, str]

    @property
    def run(self) -> Path:
        (found,) = runs(self.folder / "reports")
        return found

    def report(self) -> Any:
        return json.loads((self.run / "report.json").read_bytes())


@pytest.fixture(scope="module")
def quick(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """What makes `pip install` quick, its text untouched: all dependencies are there already, but not auditor."""
    folder = tmp_path_factory.mktemp("dependencies")
    for place in (Path(path) for path in sys.path if path.endswith("-packages")):
        for found in place.iterdir():
            if not re.match(r"_editable|auditor|.*\.pth$", found.name) and not (folder / found.name).exists():
                (folder / found.name).symlink_to(found)
    return {"PYTHONPATH": str(folder), "PIP_NO_DEPS": "1", "PIP_NO_BUILD_ISOLATION": "0"}


def repository(world: Audited, folder: Path, quick: dict[str, str]) -> Repository:
    workspace = folder / "some repository"
    shutil.copytree(PACK, workspace / "policies")
    shutil.copy(world.world.config, workspace / "auditor.yaml")
    given = dict(world.world.environment)
    secrets = {secret: given.pop(name) for secret, name in SECRETS.items()}
    return Repository(workspace, {**environment(), **given, **quick}, secrets)


@dataclass(frozen=True)
class Done:
    """The workflow of docs/ci.md, carried out in a world."""

    world: str
    repository: Repository
    job: Job
    temporary: Path

    @property
    def code(self) -> int:
        return CODES[self.world]


@pytest.fixture(scope="module", params=sorted(CODES))
def done(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, quick: dict[str, str]) -> Done:
    folder = tmp_path_factory.mktemp("github")
    repo = repository(request.getfixturevalue(request.param), folder, quick)
    temporary = folder / "runner's temp"
    temporary.mkdir()
    job = Job(ROOT, repo.folder, temporary, repo.environment, OTHERS)
    well = job.carry_out(load(WORKFLOW)["jobs"]["audit"]["steps"], {"secrets": repo.secrets})
    assert well is (request.param == "healthy")
    return Done(request.param, repo, job, temporary)


def test_the_workflow_ends_as_the_audit_does(done: Done) -> None:
    command, action = [step for step in done.job.done if step.name == "Audit"]
    assert (command.code, bool(action.code)) == (done.code, done.code != 0)
    assert not [step.name for step in done.job.done if step.skipped]
    assert (done.job["Install auditor"].out, command.err) == ("", "")
    claims = done.repository.report()["summary"]["claims"]
    assert action.outputs == {
        "exit-code": str(done.code),
        "run": str(done.repository.run),
        **{verdict.replace("_", "-"): str(count) for verdict, count in claims.items()},
    }
    assert done.job["Say what came of it"].out == f"{claims['refuted']} refuted, {claims['unproven']} unproven\n"


def test_the_summary_is_the_markdown_report_whatever_the_exit_code(done: Done) -> None:
    summary = done.job["Show the claims"].summary
    assert summary == (done.repository.run / "report.md").read_text(encoding="utf-8")
    assert summary.startswith("## Security claims of Explo")


def test_the_whole_run_is_kept(done: Done) -> None:
    run = done.repository.run
    given = done.job["Keep the run"].given
    assert given == {"name": "auditor-run", "path": str(run), "if-no-files-found": "error", "retention-days": ""}
    names = {path.name for path in run.iterdir()}
    assert names >= {"report.json", "report.html", "report.junit.xml", "report.md", "report.csv", "SHA256SUMS"}
    checked((run / "report.junit.xml").read_bytes())
    subprocess.run(["sha256sum", "--check", "--strict", "--quiet", "SHA256SUMS"], cwd=run, check=True)


def test_claims_are_annotated_where_they_stand(done: Done) -> None:
    command = next(step for step in done.job.done if step.name == "Audit")
    commands = Commands().read(command.out).commands
    by_verdict: dict[str, list[str]] = {}
    for claim in done.repository.report()["claims"]:
        by_verdict.setdefault(claim["verdict"], []).append(claim["id"])
    shown = [name for verdict in ("refuted", "unproven") for name in by_verdict.get(verdict, [])[:MOST_OF_A_KIND]]
    assert (shown == []) is (done.world == "healthy")
    annotations = [properties for name, properties, _ in commands if name != "notice"]
    assert [properties["title"].rpartition(" ")[2] for properties in annotations] == shown
    left_out = sum(map(len, by_verdict.values())) - len(by_verdict.get("supported", [])) - len(shown)
    assert sum(int(text.split()[0]) for name, _, text in commands if name == "notice") == left_out
    for properties in annotations:
        text = (done.repository.folder / properties["file"]).read_text(encoding="utf-8")
        line = text.splitlines()[int(properties["line"]) - 1]
        assert line.strip() == f"- id: {properties['title'].rpartition(' ')[2]}"


def test_what_is_installed_is_the_actions_own_checkout(done: Done, tmp_path: Path) -> None:
    python = done.temporary / "auditor" / "bin" / "python"
    code = "import auditor.cli.demo; print(auditor.cli.demo.__file__)"
    shown = subprocess.run(
        [python, "-c", code], cwd=tmp_path, env=done.repository.environment, capture_output=True, text=True, check=True
    ).stdout.strip()
    assert Path(shown).is_relative_to(done.temporary)
    assert Path(shown).read_bytes() == (ROOT / "auditor" / "cli" / "demo.py").read_bytes()


def test_inputs_are_text_and_never_shell(tmp_path: Path) -> None:
    """Each tries to break out of its quotes, of its line and of its option; auditor gets it as it was written."""
    evil = "$(touch broken-out) `touch broken-out` '; touch broken-out; \" * \\ ${{ secrets.X }}"
    temporary = tmp_path / "temp"
    programs = temporary / "auditor" / "bin"
    programs.mkdir(parents=True)
    for name in ("auditor", "python"):
        (programs / name).write_text(f'#!/bin/sh\nprintf "%s\\0" "$@" >"$RUNNER_TEMP/given to {name}"\n')
        (programs / name).chmod(0o755)
    job = Job(ROOT, tmp_path, temporary, environment(), {**OTHERS, "actions/setup-python": {"python-path": "true"}})
    names = ("config", "policies", "output", "formats", "fail-on", "install")
    given = {name: f"{name} {evil}" for name in names} | {"arguments": f"--claim={evil}\n\n--test=a b"}
    step = {"uses": "OWNER/auditor/.github/actions/audit@COMMIT", "with": given}
    assert job.carry_out([step], {"secrets": {"X": "x"}})
    plain = evil.replace("${{ secrets.X }}", "x")
    assert (temporary / "given to auditor").read_text().split("\0")[:-1] == [
        "run",
        *(f"--{name}={name} {plain}" for name in ("config", "policies", "output")),
        f"--format=formats {plain},markdown",
        f"--fail-on=fail-on {plain}",
        f"--claim={plain}",
        "--test=a b",
    ]
    assert (temporary / "given to python").read_text().split("\0")[-3:-1] == ["--", f"install {plain}"]
    assert not list(tmp_path.rglob("broken-out"))


def test_where_nothing_was_run_there_is_nothing_to_show_or_keep(tmp_path: Path) -> None:
    temporary = tmp_path / "temp"
    (temporary / "auditor" / "bin").mkdir(parents=True)
    (temporary / "auditor" / "bin" / "auditor").write_text("#!/bin/sh\nexit 2\n")
    (temporary / "auditor" / "bin" / "auditor").chmod(0o755)
    (temporary / "auditor" / "bin" / "python").symlink_to("/bin/true")
    job = Job(ROOT, tmp_path, temporary, environment(), {**OTHERS, "actions/setup-python": {"python-path": "true"}})
    step = {"name": "ours", "uses": "OWNER/auditor/.github/actions/audit@COMMIT", "with": {"policies": "p"}}
    assert not job.carry_out([step], {})
    assert (job["Audit"].code, job["ours"].outputs["exit-code"], job["ours"].outputs["run"]) == (2, "2", "")
    assert job["Show the claims"].skipped
    assert job["Keep the run"].skipped


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The programs of a Python image: pip, and nothing that was installed with it."""
    folder = tmp_path_factory.mktemp("image")
    subprocess.run([sys.executable, "-m", "venv", folder], check=True, env=environment(), capture_output=True)
    return folder / "bin"


def gitlab(repo: Repository, image: Path, folder: Path) -> subprocess.CompletedProcess[str]:
    """Carry out the job's script as GitLab's runner does: its lines are one script, which ends at the first error."""
    job = load(GITLAB)["audit"]
    (folder / "script").write_text("set -eo pipefail\nset +o noclobber\n" + "\n".join(job["script"]), encoding="utf-8")
    return subprocess.run(
        ["bash", folder / "script"],
        cwd=repo.folder,
        env={
            "CI": "true",
            "GITLAB_CI": "true",
            "CI_PROJECT_DIR": str(repo.folder),
            "CI_PIPELINE_SOURCE": "schedule",
            "TMPDIR": str(folder),
            **job["variables"],
            **dict.fromkeys(job["id_tokens"], "an.id.token"),
            **repo.environment,
            **{name: repo.secrets[secret] for secret, name in SECRETS.items()},
            "AUDITOR": str(ROOT),  # a variable of the project goes before one of the job
            "PATH": f"{image}{os.pathsep}{os.environ['PATH']}",
        },
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )


@pytest.mark.parametrize("world", sorted(CODES))
def test_the_gitlab_job_ends_as_the_audit_does(
    world: str, image: Path, quick: dict[str, str], tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    repo = repository(request.getfixturevalue(world), tmp_path, quick)
    ended = gitlab(repo, image, tmp_path)
    assert (ended.returncode, ended.stderr) == (CODES[world], "")
    assert "\x1b" not in ended.stdout
    assert not re.search("^::", ended.stdout, re.MULTILINE), "commands are GitHub's"
    artifacts = load(GITLAB)["audit"]["artifacts"]
    (kept,) = artifacts["paths"]
    assert repo.run.is_relative_to(repo.folder / kept)
    (junit,) = repo.folder.glob(artifacts["reports"]["junit"])
    assert (int(checked(junit.read_bytes()).attrib["failures"]) > 0) is (world == "broken")
    (token,) = tmp_path.glob("tmp.*")
    assert token.read_text() == "an.id.token"


def test_the_gitlab_job_says_where_nothing_was_run(
    image: Path, quick: dict[str, str], healthy: Audited, tmp_path: Path
) -> None:
    repo = repository(healthy, tmp_path, quick)
    (repo.folder / "auditor.yaml").unlink()
    ended = gitlab(repo, image, tmp_path)
    assert ended.returncode == 2
    assert "auditor.yaml" in ended.stderr


def test_the_runner_of_these_tests_reads_as_github_does() -> None:
    """The positive controls of tests/github_runner.py."""
    contexts = {"inputs": {"a-b": "x"}, "steps": {"s": {"outputs": {}}}}
    for text, value in (
        ("!cancelled() && steps.s.outputs.run != '' && inputs.a-b == 'X'", False),
        ("always() && (inputs.a-b == 'X' || failure())", True),
        ("inputs.a-b || 'it''s'", "x"),
    ):
        assert Expression(text, contexts, failed=False).value() == value
    for wrong in ("inputs.c", "secrets.X", "steps.t.outputs.x", "inputs.a-b ==", "inputs.a-b 'x'", "hashFiles('x')"):
        with pytest.raises((KeyError, ValueError, AssertionError)):
            Expression(wrong, contexts, failed=False).value()
    assert read_outputs("a=b=c\nd<<E\n1\n2\nE\n") == {"a": "b=c", "d": "1\n2"}
    with pytest.raises(ValueError, match="never came"):
        read_outputs("d<<E\n1\n")
