"""The walk-through in CONTRIBUTING is carried out to the letter, in a copy of the tree, so that it cannot rot."""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli_process import ROOT, environment
from tests.fresh_environment import Environment

TEXT = (ROOT / ".github/CONTRIBUTING.md").read_text(encoding="utf-8")
WALK = TEXT.partition("\n## Add a check")[2].partition("\n## ")[0]
STEPS = re.compile(
    r"^(?P<how>Write|In) `(?P<path>[^`]+)`:\n\n```(?P<kind>\w+)\n(?P<block>.*?)^```$|^ {4}(?P<command>\S[^\n]*)$",
    re.MULTILINE | re.DOTALL,
)
PATIENCE = 120
COPIED = (".github", "auditor", "docs", "policies", "tests", "Makefile", "README.md", "pyproject.toml")


def changed(text: str, diff: str) -> str:
    """Return text with one piece of it changed: lines with ` ` or `-` before them stand there, once."""
    lines = diff.splitlines()
    before = "".join(f"{line[1:]}\n" for line in lines if line[0] in " -")
    after = "".join(f"{line[1:]}\n" for line in lines if line[0] in " +")
    assert text.count(before) == 1, before
    return text.replace(before, after)


def carry_out(command: str, folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        shlex.split(command), cwd=folder, capture_output=True, text=True, timeout=PATIENCE, check=False,
        env=environment(PYTHONPATH=str(folder), PYTHONDONTWRITEBYTECODE="1"),
    )  # fmt: skip


def test_the_walk_through_leads_to_a_green_new_check(tmp_path: Path) -> None:
    tree = tmp_path / "auditor"
    tree.mkdir()
    for name in COPIED:
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, tree / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy2(ROOT / name, tree)
    made = Environment(tree / ".venv")  # never the one we run in: whatever make installs must not end up there
    made.command("auditor")
    made.command("pytest")
    (tree / ".venv/.dev").touch()  # for make: everything is installed
    commands = []
    for step in STEPS.finditer(WALK):
        if command := step["command"]:
            done = carry_out(command, tree)
            assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
            commands.append(command)
            continue
        path = tree / step["path"]
        if step["how"] == "Write":
            assert not path.exists(), path
            path.write_text(step["block"])
        else:
            assert step["kind"] == "diff"
            path.write_text(changed(path.read_text(), step["block"]))
    assert len(commands) == 6, commands
    style = f"{sys.executable} -m ruff check --no-cache auditor/checks tests/checks"
    assert carry_out(style, tree).returncode == 0
    assert carry_out(style.replace("check --no-cache", "format --no-cache --check"), tree).returncode == 0
    check = tree / "auditor/checks/github_owner_invitations.py"
    check.write_text(check.read_text().replace("if role in params.roles", "if role"))
    literals = commands[1].removesuffix(" tests/checks/test_no_false_verdict.py")
    assert literals != commands[1]
    assert carry_out(literals, tree).returncode == 1, "the tests of the walk-through can fail"


def test_every_block_of_the_walk_through_belongs_to_a_step() -> None:
    blocks = len(re.findall(r"^```\w", WALK, re.MULTILINE))
    assert blocks == len([step for step in STEPS.finditer(WALK) if step["path"]])
    assert "`" not in "".join(step["command"] or "" for step in STEPS.finditer(WALK))


def test_a_change_that_does_not_fit_is_noticed() -> None:
    assert changed("a\nb\nc\n", " a\n-b\n+B\n") == "a\nB\nc\n"
    for text in ("a\nx\n", "a\nb\na\nb\n"):
        with pytest.raises(AssertionError):
            changed(text, " a\n-b\n+B\n")


def test_its_links_lead_somewhere() -> None:
    for target in re.findall(r"\]\(((?!http)[^)]+)\)", TEXT):
        assert (ROOT / ".github" / target).exists(), target
