"""Completion in real shells: what is typed is completed, from what is there, and nothing heavy is loaded for it."""

from __future__ import annotations

import os
import pty
import select
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest

from auditor import plugins
from auditor.cli import COMMANDS
from tests.cli_process import PATIENCE, auditor, database, environment, policy, settings
from tests.test_cli import HEAVY, WHAT_IS_LOADED

NEVER = {
    "boto3",
    "botocore",
    "psycopg",
    "requests",
    "jinja2",
    "rich",
    "jsonschema",
    "cryptography",
    "bs4",
    "markdown_it",
}
SHELLS = {
    "bash": (["bash", "--norc", "--noprofile", "-i"], 'bind -x \'"\\C-x": echo "LINE<$READLINE_LINE>"\''),
    "zsh": (
        ["zsh", "-f", "-i"],
        "autoload -U compinit; compinit -u -D; show() print -r -- LINE'<'$BUFFER'>'; zle -N show; bindkey '^X' show",
    ),
}
"""How each shell is started, and told to print the line as it is at Ctrl-X."""
FISH = ["fish", "--no-config", "-c", 'auditor completion fish | source; for text in $argv; complete -C "$text"; end']


def in_our_path() -> dict[str, str]:
    """The environment of a shell that finds the command under test, and has no settings of its own."""
    return environment(
        PATH=f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}", TERM="dumb", LC_ALL="C.UTF-8"
    )


@contextmanager
def terminal(command: Sequence[str], folder: Path) -> Iterator[int]:
    """A shell on a terminal of its own."""
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        command, cwd=folder, env={**in_our_path(), "HOME": str(folder)}, stdin=theirs, stdout=theirs, stderr=theirs,
        start_new_session=True,
    )  # fmt: skip
    os.close(theirs)
    try:
        yield ours
    finally:
        process.kill()
        process.wait(PATIENCE)
        os.close(ours)


def read_until(screen: int, mark: str) -> str:
    """What is shown up to a mark that only output can hold."""
    shown = ""
    while mark not in shown:
        assert select.select([screen], [], [], PATIENCE)[0], shown
        shown += os.read(screen, 65536).decode(errors="replace")
    return shown


def typed(shell: str, texts: Sequence[str], folder: Path) -> Iterator[str]:
    """What becomes of each text when Tab is pressed after it; then it is taken away."""
    command, setup = SHELLS[shell]
    with terminal(command, folder) as screen:
        os.write(screen, f"{setup}; eval \"$(auditor completion {shell})\"; echo REA'DY'\n".encode())
        read_until(screen, "\nREADY")
        for text in texts:
            os.write(screen, f"{text}\t\x18".encode())
            shown = read_until(screen, "LINE<")
            shown += read_until(screen, ">") if ">" not in shown.rpartition("LINE<")[2] else ""
            os.write(screen, b"\x15")
            yield shown.rpartition("LINE<")[2].partition(">")[0]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with settings, a pack and two runs."""
    policy(tmp_path / "pack", ("tls-everywhere", "postgres-tls"))
    settings(tmp_path, database("db-of-ours", 1))
    for run in ("20261122T141502Z-0123abcd", "20261123T141502Z-0123abcd"):
        (tmp_path / "reports" / run).mkdir(parents=True)
    (tmp_path / "reports" / "notes").mkdir()
    return tmp_path


TYPED = [
    ("auditor eva", "auditor evaluate "),
    ("auditor run --fail-on ref", "auditor run --fail-on refuted "),
    ("auditor run --policies pack --claim p-", "auditor run --policies pack --claim p-claim "),
    ("auditor run --policies pack --test tls", "auditor run --policies pack --test tls-everywhere "),
    ("auditor run --target db", "auditor run --target db-of-ours "),
    ("auditor run --check github-m", "auditor run --check github-mfa "),
    ("auditor run --format json,htm", "auditor run --format json,html "),
    ("auditor report reports/20261123", "auditor report reports/20261123T141502Z-0123abcd "),
    ("auditor policy val", "auditor policy validate "),
    ("auditor run --check zz", "auditor run --check zz"),
]
"""The last one has nothing to be completed to."""


@pytest.mark.parametrize("shell", SHELLS)
def test_the_shell_completes_what_is_typed(shell: str, folder: Path) -> None:
    texts = [text for text, _ in TYPED]
    assert list(zip(texts, typed(shell, texts, folder), strict=True)) == TYPED


def test_fish_offers_the_same(folder: Path) -> None:
    done = subprocess.run(
        [*FISH, *(text for text, _ in TYPED)], cwd=folder, env={**in_our_path(), "HOME": str(folder)},
        capture_output=True, text=True, timeout=PATIENCE, check=True,
    )  # fmt: skip
    names = [completed.rpartition(" ")[2] or completed.split(" ")[-2] for _, completed in TYPED[:-1]]
    assert [line.partition("\t")[0] for line in done.stdout.splitlines()] == names
    assert "evaluate\tJudge a stored run again, offline.\n" in done.stdout


def offered(text: str, folder: Path, **variables: str) -> list[str]:
    """What bash's script is told; the last word of the text is the one that is begun."""
    words = text.split(" ")
    asked = {"COMP_WORDS": text, "COMP_CWORD": str(len(words) - 1), "_AUDITOR_COMPLETE": "bash_complete"}
    done = auditor(cwd=folder, **asked, **variables)
    assert (done.code, done.err) == (0, "")
    return done.out.split()


def test_every_command_option_and_id_is_offered(folder: Path) -> None:
    assert offered("auditor ", folder) == [f"plain,{name}" for name in COMMANDS]
    assert offered("auditor completion ", folder) == ["plain,bash", "plain,zsh", "plain,fish"]
    assert {"plain,new", "plain,validate", "plain,coverage", "plain,schema"} == set(offered("auditor policy ", folder))
    assert offered("auditor --", folder) == ["plain,--version", "plain,--help"]
    assert "plain,--check" in offered("auditor run --", folder)
    assert offered("auditor run --check ", folder) == [f"plain,{name}" for name in sorted(plugins.checks())]
    assert offered("auditor run --format ", folder) == [f"plain,{name}" for name in sorted(plugins.reports())]
    assert offered("auditor run --format json,", folder) == [
        f"plain,json,{name}" for name in sorted(plugins.reports()) if name != "json"
    ]
    assert offered("auditor policy new x --type ", folder) == [f"plain,{name}" for name in sorted(plugins.sources())]


def test_runs_are_offered_the_newest_first_and_else_folders(folder: Path) -> None:
    assert offered("auditor evaluate ", folder) == [
        "plain,reports/20261123T141502Z-0123abcd", "plain,reports/20261122T141502Z-0123abcd",
    ]  # fmt: skip
    assert offered("auditor evaluate elsew", folder) == ["dir,elsew"]
    assert offered("auditor evaluate nowhere/2026", folder) == ["dir,nowhere/2026"]


@pytest.mark.parametrize(
    "text", ["claims: [{id: }]", "[", "- a", "claims: 7", "claims: [7, {id: 7}, {id: '$(rm)'}]", "\t"]
)
def test_what_cannot_be_read_offers_nothing_and_says_nothing(text: str, tmp_path: Path) -> None:
    (tmp_path / "pack").mkdir()
    (tmp_path / "pack" / "p.yaml").write_text(text)
    (tmp_path / "pack" / "q.yaml").write_bytes(b"\xff")
    (tmp_path / "pack" / "r.yaml").mkdir()
    assert offered("auditor run --policies pack --claim ", tmp_path) == []
    assert offered("auditor run --policies pack --test ", tmp_path) == []
    assert offered("auditor run --policies nowhere --claim ", tmp_path) == []
    assert offered("auditor run --target ", tmp_path) == []
    assert offered("auditor rnu --", tmp_path) == []


NOISY = """\
import sys
import msgspec
from auditor.checks.github_mfa import CHECK
print("hello", file=sys.stderr)
{more}
CHECK = msgspec.structs.replace(CHECK, id="noisy")
"""


@pytest.mark.parametrize(("more", "names"), [("", ["plain,noisy"]), ("raise SystemError", [])])
def test_a_plug_in_cannot_disturb_what_is_typed(more: str, names: list[str], tmp_path: Path) -> None:
    info = tmp_path / "noisy-1.0.dist-info"
    info.mkdir()
    (tmp_path / "noisy.py").write_text(NOISY.format(more=more))
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: noisy\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[auditor.checks]\nx = noisy:CHECK\n")
    path = os.pathsep.join([str(tmp_path), environment()["PYTHONPATH"]])
    assert offered("auditor run --check noi", tmp_path, PYTHONPATH=path) == names


def test_an_unknown_instruction_is_answered_with_nothing(tmp_path: Path) -> None:
    for instruction in ("tcsh_complete", "bash_complete", "bash", "x"):
        done = auditor("run", cwd=tmp_path, _AUDITOR_COMPLETE=instruction)
        assert (done.code, done.out.strip(), done.err) == (0, "", "")


def loaded(text: str, folder: Path) -> set[str]:
    words = text.split(" ")
    asked = {"COMP_WORDS": text, "COMP_CWORD": str(len(words) - 1), "_AUDITOR_COMPLETE": "bash_complete"}
    done = subprocess.run(
        [sys.executable, "-c", WHAT_IS_LOADED], cwd=folder, env=environment(**asked), capture_output=True, text=True,
        timeout=PATIENCE, check=True,
    )  # fmt: skip
    offer, _, modules = done.stdout.partition("LOADED")
    assert "plain," in offer
    assert "click" in modules.split()
    return set(modules.split())


@pytest.mark.parametrize(
    "text", ["auditor ", "auditor run --", "auditor run --fail-on ", "auditor run --format ", "auditor policy "]
)
def test_completing_imports_nothing_heavy(text: str, folder: Path) -> None:
    assert not loaded(text, folder) & HEAVY


@pytest.mark.parametrize(
    "text", [f"auditor run --policies pack --{kind} " for kind in ("claim", "test", "check", "target")]
)
def test_completing_ids_imports_no_source_and_no_validator(text: str, folder: Path) -> None:
    assert not loaded(text, folder) & NEVER


def test_the_command_says_how_to_install_it(tmp_path: Path) -> None:
    for arguments in (("completion",), ("completion", "--help")):
        shown = auditor(*arguments, cwd=tmp_path)
        assert (shown.code, shown.err) == (0, "")
        assert "  bash   echo 'eval \"$(auditor completion bash)\"' >> ~/.bashrc\n" in shown.out
        assert "  zsh    echo 'eval \"$(auditor completion zsh)\"' >> ~/.zshrc\n" in shown.out
        assert "  fish   auditor completion fish > ~/.config/fish/completions/auditor.fish\n" in shown.out
    assert auditor("completion", "tcsh", cwd=tmp_path).code == 2
