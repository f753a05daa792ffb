"""What `auditor run` prints of names that mean harm: in a pipe, in a step of GitHub Actions, and on a terminal.

The terminal has 80 columns, and pyte plays it. The names stand in real systems: they are tags of volumes in moto,
logins on the GitHub of the demo worlds, and a database that PostgreSQL is asked for.
"""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyte
import pytest
import yaml

from auditor.sandbox.aws import start_account
from auditor.sandbox.aws_world import AwsWorld, Volume
from auditor.sandbox.github import GithubSimulator
from auditor.sandbox.github_world import GithubWorld, Organization, Person, Token
from auditor.sources.aws.operations import OPERATIONS
from auditor.wording import harmless
from tests import hostile
from tests.cli_process import Ended, auditor, database, on_a_terminal, policy, settings
from tests.github_runner import Commands
from tests.world_runs import Audited

pytestmark = pytest.mark.xdist_group("hostile-terminal")  # what it starts is started once
REGION = "eu-central-1"
TOKEN = "gate_canary_pat"
NAMES = [*hostile.SENT, "a\u0301" * 40, "\U000e0041hidden"]
TAGS = [hostile.WIDE, hostile.RTL, hostile.MENTION]
EACH = 3
"""Examples that a test shows of an outcome: so many names for each organization."""
OURS = re.compile(
    r"(refuted|unproven)  (accounts|volumes|database)-claim  (by [a-z]+|no basis)"
    r"| {4}.*|| *[0-9]+ claims?: .*|out/[0-9TZ]+-[0-9a-f]{8}/report\.[a-z.]+|since .*"
    r"|sealed as number [0-9]+ of the chain, not signed \(auditor keys generate makes a key\)"
)
"""What a line may be: nothing but claims, figures and files begins at its left edge."""


@dataclass(frozen=True)
class Hostile:
    """A folder with settings and policies for systems in which everything is called as it should not be."""

    folder: Path
    variables: dict[str, str]

    def arguments(self) -> list[str]:
        return ["run", "--policies", "pack", "-o", "out", "-f", "json,junit"]

    def run(self, *more: str, **variables: str) -> Ended:
        return auditor(*self.arguments(), *more, cwd=self.folder, **{**self.variables, **variables})


@pytest.fixture(scope="module")
def systems(broken: Audited, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hostile]:
    folder = tmp_path_factory.mktemp("hostile")
    volumes = [Volume(name=tag, region=REGION, size=1, encrypted=False, expected={}) for tag in TAGS]
    may = sorted({row.permission for row in OPERATIONS.values() if row.permission})
    world = AwsWorld(enabled_regions=[REGION], auditor_may=may, keys=[], volumes=volumes, buckets=[])
    aws = start_account(world, folder / "aws")
    chunks = [NAMES[at : at + EACH] for at in range(0, len(NAMES), EACH)]
    organizations = [
        Organization(
            login=f"o-{number}", id=number, target=f"code-{number}", token="T", requires_mfa=True,
            members=[Person(login="ada", id=1, role="admin")],
            outside_collaborators=[
                Person(login=name, id=1000 * number + place, mfa="none") for place, name in enumerate(chunk)
            ],
        )
        for number, chunk in enumerate(chunks, 1)
    ]  # fmt: skip
    account = Token(variable="T", login="ada", id=1)
    github = GithubSimulator(GithubWorld(tokens=[account], organizations=organizations), {TOKEN: account})
    try:
        targets = [
            {
                "id": one.target, "type": "github", "organization": one.login,
                "base_url": github.url, "token": {"env": "T"},
            }
            for one in organizations
        ]  # fmt: skip
        settings(folder, *targets, *aws.targets, a_database(broken))
        write_policies(folder / "pack", [one.target for one in organizations])
        yield Hostile(folder, {**aws.environment, **broken.world.environment, **aws.environment, "T": TOKEN})
    finally:
        github.stop()
        aws.stop()


def a_database(broken: Audited) -> dict[str, Any]:
    """PostgreSQL itself, asked for a database whose name it repeats in its refusal."""
    declared = yaml.safe_load(broken.world.config.read_text(encoding="utf-8"))["targets"]
    port = next(target["port"] for target in declared if target["id"] == "app-db")
    return {**database("db", port), "dbname": hostile.ANSI, "password": {"env": "APP_DB_AUDITOR_PASSWORD"}}


def write_policies(folder: Path, targets: list[str]) -> None:
    policy(folder, ("db", "postgres-password-kdf"), statement=hostile.MENTION, name="database")
    policy(folder, ("volumes", "aws-ebs-volume-encryption"), statement=hostile.FORGED, name="volumes")
    policy(folder, *((f"mfa-{target}", "github-mfa") for target in targets), statement=hostile.WIDE, name="accounts")
    for path in folder.iterdir():
        pack = json.loads(path.read_text())
        for test in pack["claims"][0]["tests"]:
            kind = test["check"].partition("-")[0]
            test["targets"] = [test["id"].removeprefix("mfa-")] if kind == "github" else [kind]
            if kind == "postgres":
                test["params"] = {"table": "a.b", "column": "c", "function": "a.f", "min_bits": 256, "accept": {}}
        path.write_text(json.dumps(pack))


def squeezed(text: str) -> str:
    return re.sub(r"\s", "", text)


def everything_is_shown(text: str) -> None:
    """Nothing is lost: each name is there, in the form in which it does nothing."""
    found = unicodedata.normalize("NFC", squeezed(text))
    for name in [*NAMES, *TAGS]:
        assert unicodedata.normalize("NFC", squeezed(harmless(name)[:60])) in found, name
    assert 'FATAL:database"\\u001b[31m' in found, "PostgreSQL names the database that it refuses"


def test_a_pipe_gets_lines_of_ours_and_text(systems: Hostile) -> None:
    ended = systems.run("-vv")
    assert ended.code == 1
    everything_is_shown(ended.out)
    for line in ended.out.split("\n"):
        assert OURS.fullmatch(line), line
    for line in ended.err.split("\n")[:-1]:
        assert re.match(r"[0-9]{4}-[0-9]{2}-[0-9]{2} [0-9:,]+ [A-Z]+ ", line), line
    assert not hostile.ACTING & set(ended.out + ended.err)


def test_a_step_of_github_gets_no_command_but_ours(systems: Hostile) -> None:
    ended = systems.run("-vv", GITHUB_ACTIONS="true")
    assert ended.code == 1
    assert not hostile.ACTING & set(ended.out + ended.err)
    commands = Commands().read(ended.out).commands
    assert {name for name, _, _ in commands} <= {"error", "warning"}
    assert sorted(properties["title"].rpartition(" ")[2] for _, properties, _ in commands) == [
        "accounts-claim",
        "database-claim",
        "volumes-claim",
    ]
    assert Commands().read(ended.err).commands == []


def test_without_the_pause_names_would_command_the_runner(systems: Hostile) -> None:
    """The positive control: the same run where nothing stops commands."""
    assert Commands().read(systems.run().out).commands


def test_mistakes_in_files_of_strangers_are_told_without_commands(tmp_path: Path) -> None:
    """A pull request may write what it likes into a policy; the runner reads stderr as well."""
    policy(tmp_path, ("tls", "postgres-tls"))
    settings(tmp_path, database("db", 1))
    pack = json.loads((tmp_path / "p.yaml").read_text())
    wrong = dict.fromkeys(("##[error]x ::add-mask::y", hostile.COMMANDS, hostile.ANSI), 1)
    (tmp_path / "p.yaml").write_text(json.dumps({**pack, **wrong}))
    ended = auditor("run", "--policies", "p.yaml", cwd=tmp_path, GITHUB_ACTIONS="true")
    assert (ended.code, ended.out) == (2, "")
    assert "##\\u005berror]x ::add-mask::y" in ended.err
    assert Commands().read(ended.err).commands == []
    assert not hostile.ACTING & set(ended.err)
    for line in ended.err.splitlines()[:-1]:
        assert line.startswith("p.yaml:1:"), line


class Terminal(pyte.Screen):
    """A terminal of 80 columns, so high that nothing is scrolled away."""

    def __init__(self) -> None:
        super().__init__(80, 2000)

    def bell(self, *_: object) -> None:
        raise AssertionError("it rang")

    def set_title(self, param: str) -> None:
        raise AssertionError(f"its title became {param!r}")


def shown(text: str) -> Terminal:
    terminal = Terminal()
    pyte.Stream(terminal).feed(text)
    return terminal


def test_a_terminal_shows_lines_of_ours_and_colours_verdicts_only(systems: Hostile) -> None:
    ended = on_a_terminal(*systems.arguments(), cwd=systems.folder, columns=80, **systems.variables)
    assert ended.code == 1
    terminal = shown(ended.out)
    lines = [line.rstrip() for line in terminal.display]
    everything_is_shown("\n".join(lines))
    for number, line in enumerate(lines):
        assert OURS.fullmatch(line), line
        coloured = [x for x, cell in terminal.buffer[number].items() if cell.fg != "default" and cell.data.strip()]
        assert coloured == [] or line[: coloured[-1] + 1] in ("supported", "refuted", "unproven"), line


def test_the_terminal_would_show_what_names_do() -> None:
    """The positive controls: colour, title, bell, and a claim of a name's own at the left edge."""
    for text in ("\x1b]0;title\x07", "\a"):
        with pytest.raises(AssertionError):
            shown(text)
    assert shown("    \x1b[31mred").buffer[0][4].fg == "red"
    first, second = shown(f"      - {'語' * 36}supported  every-claim  by behaviour").display[:2]
    assert first.rstrip().endswith("語")
    assert second.rstrip() == "supported  every-claim  by behaviour"
    assert not OURS.fullmatch(second.rstrip())
