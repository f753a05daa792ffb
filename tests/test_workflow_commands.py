"""What GitHub's runner would do with our output, as tests/github_runner.py reads it."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import pytest

from auditor.cli import workflow_commands
from auditor.model import ClaimVerdict
from auditor.policy import Place, Policy
from tests import hostile
from tests.cli_process import Ended, auditor, closed_port, database, policy, runs, settings
from tests.github_runner import Commands, read_outputs
from tests.report_runs import a_claim, a_head


@pytest.fixture
def in_github(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    monkeypatch.delenv("GITHUB_WORKSPACE", raising=False)


def a_policy(**places: Place) -> Policy:
    return Policy((), {}, places)


@pytest.mark.usefixtures("in_github")
def test_refuted_is_an_error_unproven_a_warning_and_supported_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    head = a_head(
        a_claim("a", ClaimVerdict.UNPROVEN, reasons=("x: denied", "y: 100 % unknown")),
        a_claim("b", ClaimVerdict.REFUTED),
        a_claim("c", ClaimVerdict.SUPPORTED),
        a_claim("d", ClaimVerdict.SUPPORTED_WITH_EXCEPTIONS),
    )
    places = {name: Place("policies/a,b:c.yaml", number) for number, name in enumerate("abcd", 7)}
    workflow_commands.show(head, a_policy(**places))
    out = capsys.readouterr().out
    assert out.splitlines()[1] == (
        "::warning file=policies/a%2Cb%3Ac.yaml,line=7,title=claim unproven%3A a::"
        "“the statement of a”%0A- x: denied%0A- y: 100 %25 unknown"
    )
    assert Commands().read(out).commands == [
        (
            "error",
            {"file": "policies/a,b:c.yaml", "line": "8", "title": "claim refuted: b"},
            "“the statement of b”",
        ),
        (
            "warning",
            {"file": "policies/a,b:c.yaml", "line": "7", "title": "claim unproven: a"},
            "“the statement of a”\n- x: denied\n- y: 100 % unknown",
        ),
    ]


@pytest.mark.usefixtures("in_github")
def test_ten_of_a_kind_and_how_many_more(capsys: pytest.CaptureFixture[str]) -> None:
    head = a_head(
        *(a_claim(f"r-{n}", ClaimVerdict.REFUTED) for n in range(13)),
        *(a_claim(f"u-{n}", ClaimVerdict.UNPROVEN, reasons=("x",) * 9) for n in range(10)),
    )
    workflow_commands.show(head, a_policy())
    commands = Commands().read(capsys.readouterr().out).commands
    assert [name for name, _, _ in commands] == ["error"] * 10 + ["notice"] + ["warning"] * 10
    assert commands[10][2] == "3 more claims refuted: see the report"
    assert commands[-1][2].endswith("\nand 4 more")
    assert "file" not in commands[0][1]


@pytest.mark.usefixtures("in_github")
@pytest.mark.parametrize("text", hostile.NAMES)
def test_hostile_text_is_one_command_and_only_text(capsys: pytest.CaptureFixture[str], text: str) -> None:
    claim = a_claim(text, ClaimVerdict.REFUTED, statement=text, reasons=(text,))
    path = "policies/" + text.replace("\0", "").replace("\ud800", "")  # no file can be called that
    workflow_commands.show(a_head(claim), Policy((), {}, {text: Place(path, 3)}))
    out = capsys.readouterr().out
    assert len(out.splitlines()) == 1
    assert not hostile.ACTING & set(out)
    ((name, properties, message),) = Commands().read(out).commands
    assert (name, set(properties)) == ("error", {"file", "line", "title"})
    assert len(message) < 1000


@pytest.mark.parametrize("value", ["", "false", "True"])
def test_elsewhere_nothing_is_printed(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, value: str
) -> None:
    monkeypatch.setenv("GITHUB_ACTIONS", value)
    workflow_commands.show(a_head(a_claim("a", ClaimVerdict.REFUTED)), a_policy())
    with workflow_commands.paused():
        pass
    assert capsys.readouterr().out == ""


@pytest.mark.usefixtures("in_github")
def test_commands_are_read_again_after_an_error(capsys: pytest.CaptureFixture[str]) -> None:
    def fail() -> None:
        with workflow_commands.paused():
            print("::error::forged")
            raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
        fail()
    runner = Commands().read(capsys.readouterr().out)
    assert (runner.commands, runner.token) == ([], "")


@pytest.fixture
def folder(tmp_path: Path) -> Iterable[Path]:
    """A repository whose one claim tries to give the runner commands; wrapping would put one at a line's beginning."""
    policy(tmp_path / "pack", ("tls", "postgres-tls"), statement="x" * 90 + " ::add-mask::secret ##[error]forged")
    with closed_port() as port:
        settings(tmp_path, database("db", port))
        yield tmp_path


def run(folder: Path, cwd: Path, **variables: str) -> Ended:
    arguments = ("-c", folder / "auditor.yaml", "--policies", folder / "pack", "-o", cwd / "out", "-f", "json")
    ended = auditor("run", *arguments, cwd=cwd, **variables)
    assert ended.code == 3, ended
    return ended


def test_a_run_annotates_the_line_of_the_claim(folder: Path) -> None:
    text = (folder / "pack" / "p.yaml").read_text().replace('"claims": [', '"claims":\n\n [')
    (folder / "pack" / "p.yaml").write_text(text)
    run(folder, folder)
    (earlier,) = runs(folder / "out")
    ended = run(folder, folder, GITHUB_ACTIONS="true", GITHUB_WORKSPACE=str(folder))
    runner = Commands().read(ended.out)
    ((name, properties, message),) = runner.commands
    assert (name, properties) == (
        "warning",
        {"file": "pack/p.yaml", "line": "3", "title": "claim unproven: p-claim"},
    )
    assert "- tls: " in message
    assert runner.token == ""
    assert ended.out.splitlines()[-1].startswith(f"since {earlier.name}: ")


def test_without_the_pause_a_statement_would_command_the_runner(folder: Path) -> None:
    """The positive control: the same claims, printed where nothing stops commands."""
    plain = run(folder, folder).out
    assert {name for name, _, _ in Commands().read(plain).commands} == {"add-mask"}


def test_a_file_outside_the_repository_is_named_as_it_was_given(folder: Path) -> None:
    ended = run(folder, folder, GITHUB_ACTIONS="true", GITHUB_WORKSPACE=str(folder / "elsewhere"))
    assert f"file={folder / 'pack' / 'p.yaml'},line=1," in ended.out


def test_a_run_sets_the_outputs_of_its_step(folder: Path) -> None:
    (folder / "outputs").write_text("before=kept\n")
    named = {"GITHUB_OUTPUT": str(folder / "outputs")}
    run(folder, folder, GITHUB_ACTIONS="true", **named)
    (kept,) = runs(folder / "out")
    counts = {"supported": "0", "supported-with-exceptions": "0", "refuted": "0", "unproven": "1"}
    assert read_outputs((folder / "outputs").read_text()) == {"before": "kept", "run": str(kept), **counts}
    (folder / "outputs").unlink()
    run(folder, folder, **named)
    assert not (folder / "outputs").exists(), "only in GitHub Actions"


@pytest.mark.usefixtures("in_github")
def test_an_output_cannot_hold_another(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GITHUB_OUTPUT", str(tmp_path / "outputs"))
    forged = tmp_path / "reports\nrefuted=0\nrefuted<<x\n0\nx"
    workflow_commands.set_outputs(a_head(a_claim("a", ClaimVerdict.REFUTED)), forged)
    outputs = read_outputs((tmp_path / "outputs").read_text())
    assert (outputs["run"], outputs["refuted"]) == (str(forged), "1")


def test_outputs_that_cannot_be_written_are_said(folder: Path) -> None:
    arguments = ("-c", folder / "auditor.yaml", "--policies", folder / "pack", "-f", "json")
    named = {"GITHUB_ACTIONS": "true", "GITHUB_OUTPUT": str(folder)}
    ended = auditor("run", *arguments, cwd=folder, **named)
    assert ended.code == 70
    assert f"cannot go on: {folder}: Is a directory" in ended.err
