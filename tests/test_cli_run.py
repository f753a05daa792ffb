"""Whole commands as a CI job sees them: exit codes, what is said, what stays on disk, and being stopped."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from threading import Event

import pytest

from tests.cli_process import (
    COMMAND,
    PATIENCE,
    Ended,
    auditor,
    closed_port,
    database,
    environment,
    on_a_terminal,
    policy,
    reasons,
    report,
    runs,
    settings,
)

CANARY = 'c4n@ry/"ä"-secret'
HOSTILE = "we\x1b]0;pwned\x07 speak \u202eSLT\u2066 and\nunproven  nothing else"


@dataclass(frozen=True)
class Dead:
    """An audit of a database that nobody can reach."""

    folder: Path
    ended: Ended
    run: Path

    @property
    def said(self) -> str:
        """What whoever judges it again is told of its seal."""
        return f"{self.run.name}: verifies, number 1, UNSIGNED: anybody could have made or changed it\n"


@pytest.fixture(scope="module")
def dead(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Dead]:
    folder = tmp_path_factory.mktemp("dead")
    policy(folder / "pack", ("tls", "postgres-tls"), statement=HOSTILE)
    policy(folder / "pack", ("certificate", "postgres-client-certificate"), name="q")
    with closed_port() as port:
        settings(
            folder, database("db", port, password={"env": "DB_PASSWORD"}), {**database("other", port), "tags": ["x"]}
        )
        ended = auditor("run", "--policies", "pack", "-vv", cwd=folder, DB_PASSWORD=CANARY)
        (run,) = runs(folder / "reports")
        yield Dead(folder, ended, run)


def test_what_cannot_be_reached_is_unproven_and_says_why(dead: Dead) -> None:
    assert dead.ended.code == 3
    assert {claim["verdict"] for claim in report(dead.run)["claims"]} == {"unproven"}
    why = reasons(dead.run)
    assert "wire.tls_startup(certificate=none, host=127.0.0.1, port=" in why
    assert "Connection refused" in why
    assert "    certificate: 2 could not be told\n      - db: 127.0.0.1:" in dead.ended.out
    assert "2 claims: 2 unproven; " in dead.ended.out
    listed = dead.ended.out.splitlines()[-2:]
    assert [dead.folder / line for line in listed] == [dead.run / "report.json", dead.run / "report.html"]
    assert all((dead.folder / line).is_file() for line in listed)


def test_no_secret_is_in_any_file_or_log(dead: Dead) -> None:
    texts = [dead.ended.out, dead.ended.err, *(path.read_text() for path in dead.folder.rglob("*") if path.is_file())]
    for form in (CANARY, json.dumps(CANARY)[1:-1], json.dumps(CANARY, ensure_ascii=False)[1:-1]):
        assert not [text for text in texts if form in text]


def test_a_pipe_gets_no_escape_and_nothing_hostile(dead: Dead) -> None:
    """The statement would retitle the window, turn the line around and forge a line of its own."""
    assert not set(dead.ended.out + dead.ended.err) & set("\x1b\x07\u202e\u2066")
    assert "“we\\u001b]0;pwned\\u0007 speak \\u202eSLT\\u2066 and\\u000aunproven" in dead.ended.out
    assert not [line for line in dead.ended.out.splitlines() if line.startswith("unproven  nothing")]


UNSIGNED = ("--allow-unsigned",)


def evaluated(dead: Dead, folder: Path, *arguments: object, **variables: str) -> Ended:
    return auditor("evaluate", dead.run, *UNSIGNED, "-o", folder / "again", *arguments, cwd=folder, **variables)


@pytest.mark.parametrize(("mode", "code"), [("unproven", 3), ("refuted", 0), ("never", 0)])
def test_evaluating_again_says_the_same(dead: Dead, tmp_path: Path, mode: str, code: int) -> None:
    again = evaluated(dead, tmp_path, "--fail-on", mode)
    assert again.code == code
    assert again.out.splitlines()[:-2] == dead.ended.out.splitlines()[:-3]
    kept, made = (sorted((folder / "findings").iterdir()) for folder in (dead.run, tmp_path / "again"))
    assert [path.read_bytes() for path in kept] == [path.read_bytes() for path in made]


def test_a_terminal_gets_colour_unless_it_is_unwanted(dead: Dead, tmp_path: Path) -> None:
    shown = on_a_terminal("evaluate", dead.run, *UNSIGNED, "-o", "colour", cwd=tmp_path)
    assert shown.code == 3
    assert "\x1b[1;33munproven\x1b[0m" in shown.out
    assert "\x1b]0;" not in shown.out
    plain = on_a_terminal("evaluate", dead.run, *UNSIGNED, "-o", "plain", "--no-color", cwd=tmp_path)
    assert plain.code == 3
    assert "unproven" in plain.out
    assert "\x1b" not in plain.out
    assert "\x1b" not in on_a_terminal("evaluate", dead.run, *UNSIGNED, "-o", "env", cwd=tmp_path, NO_COLOR="1").out


def test_output_in_another_encoding_is_no_reason_to_fail(dead: Dead, tmp_path: Path) -> None:
    shown = evaluated(dead, tmp_path, PYTHONIOENCODING="ascii")
    assert (shown.code, shown.err) == (3, dead.said)
    assert "\\u201c" in shown.out


def test_a_reader_that_leaves_does_not_make_a_claim_refuted(dead: Dead, tmp_path: Path) -> None:
    """By itself, rich would exit with 1, the code for a refuted claim."""
    process = subprocess.Popen(
        [*COMMAND, "evaluate", dead.run, *UNSIGNED, "-o", "again"],
        cwd=tmp_path, env=environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip
    assert process.stdout is not None
    process.stdout.close()
    _, said = process.communicate(timeout=PATIENCE)
    assert (process.returncode, said.decode()) == (70, dead.said)


def change_a_byte(run: Path) -> None:
    path = run / "evidence" / "db.main.jsonl"
    path.write_bytes(path.read_bytes().replace(b'"refused', b'"allowed', 1))


def remove_the_statement(run: Path) -> None:
    (run / "evidence.statement.json").unlink()


def change_the_policy(run: Path) -> None:
    path = run / "policy" / "q.yaml"
    path.write_text(path.read_text().replace("every endpoint", "most endpoints"))


@pytest.mark.parametrize("tamper", [change_a_byte, remove_the_statement, change_the_policy])
def test_evidence_that_was_changed_is_not_judged(dead: Dead, tmp_path: Path, tamper: Callable[[Path], None]) -> None:
    run = tmp_path / dead.run.name
    shutil.copytree(dead.run, run)
    tamper(run)
    shown = auditor("evaluate", run, *UNSIGNED, "-o", tmp_path / "again", cwd=tmp_path)
    assert (shown.code, shown.out) == (4, "")
    assert shown.err.startswith("evidence does not verify: ")
    assert len(shown.err.splitlines()) == 1


def test_results_go_into_an_empty_folder_outside_the_run(dead: Dead, tmp_path: Path) -> None:
    for command in ("evaluate", "report"):
        inside = auditor(command, dead.run, "-o", dead.run / "more", cwd=tmp_path)
        assert (inside.code, (dead.run / "more").exists()) == (2, False)
        assert "is inside the run, which stays as it is" in inside.err
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "file").touch()
    full = auditor("evaluate", dead.run, *UNSIGNED, "-o", "full", cwd=tmp_path)
    assert full.code == 2
    assert "full is not an empty folder" in full.err


def test_reports_are_written_again(dead: Dead, tmp_path: Path) -> None:
    shown = auditor("report", dead.run, *UNSIGNED, "-o", "again", "-f", "html", cwd=tmp_path)
    assert (shown.code, shown.out, shown.err) == (0, "again/report.json\nagain/report.html\n", dead.said)
    assert (tmp_path / "again" / "report.json").read_bytes() == (dead.run / "report.json").read_bytes()


def test_what_is_deselected_is_said_and_never_passes(dead: Dead, tmp_path: Path) -> None:
    arguments = ("-c", dead.folder / "auditor.yaml", "--policies", dead.folder / "pack", "-f", "json")
    shown = auditor("run", *arguments, "--claim", "p-claim", cwd=tmp_path, DB_PASSWORD="x")
    assert shown.code == 3
    assert "certificate: deselected on the command line" in shown.out
    (run,) = runs(tmp_path / "reports")
    assert [claim["verdict"] for claim in report(run)["claims"]] == ["unproven", "unproven"]
    assert [path.name for path in sorted((run / "evidence").iterdir())] == ["db.main.jsonl", "other.main.jsonl"]
    shown = auditor("run", *arguments, "--target", "other", "-o", "one", cwd=tmp_path)
    assert shown.code == 3
    assert "deselected on the command line: db" in shown.out
    assert [path.name for path in (runs(tmp_path / "one")[0] / "evidence").iterdir()] == ["other.main.jsonl"]


@pytest.mark.parametrize("command", ["run", "evaluate", "report"])
def test_output_that_cannot_be_made_is_one_line(dead: Dead, tmp_path: Path, command: str) -> None:
    (tmp_path / "file").touch()
    inputs = (
        ["-c", dead.folder / "auditor.yaml", "--policies", dead.folder / "pack"] if command == "run" else [dead.run]
    )
    unsigned = UNSIGNED if command != "run" else ()
    shown = auditor(command, *inputs, *unsigned, "-o", "file/below", cwd=tmp_path)
    assert (shown.code, shown.out) == (70, "")
    assert shown.err == "cannot write to file/below: Not a directory; choose another folder with -o\n"


CRASHING = """\
from auditor.results import ReportFormat
def render(run, handle):
    raise RuntimeError("nobody expected this, nor %s" % __import__("os").environ["DB_PASSWORD"])
REPORT = ReportFormat(name="crash", filename="report.crash", summary="crashes", render=render)
"""


def test_a_crash_outside_checks_is_one_line_and_a_log(dead: Dead, tmp_path: Path) -> None:
    plugin = tmp_path / "plugin"
    (plugin / "crashing-1.0.dist-info").mkdir(parents=True)
    (plugin / "crashing.py").write_text(CRASHING)
    (plugin / "crashing-1.0.dist-info" / "METADATA").write_text("Metadata-Version: 2.1\nName: crashing\nVersion: 1.0\n")
    (plugin / "crashing-1.0.dist-info" / "entry_points.txt").write_text("[auditor.reports]\nx = crashing:REPORT\n")
    path = os.pathsep.join([str(plugin), environment()["PYTHONPATH"]])
    arguments = ("-c", dead.folder / "auditor.yaml", "--policies", dead.folder / "pack", "-f", "crash")
    shown = auditor("run", *arguments, cwd=tmp_path, DB_PASSWORD=CANARY, PYTHONPATH=path)
    assert (shown.code, shown.out) == (70, "")
    assert shown.err == "internal error: RuntimeError; the log is reports/auditor.log\n"
    log = (tmp_path / "reports" / "auditor.log").read_text()
    assert "Traceback" in log
    assert "nobody expected this" in log
    assert CANARY not in log


@pytest.mark.parametrize(
    ("target", "cause"),
    [
        ({"password": {"env": "NOT_SET_ANYWHERE"}}, "environment variable NOT_SET_ANYWHERE is not set"),
        ({"password": {"file": "no-password"}}, "no-password cannot be read"),
        ({"client_certificate": {"cert": "no-cert.pem", "key": "k.pem"}}, "no-cert.pem"),
        ({"trust": {"ca": "no-ca.pem"}}, "no-ca.pem"),
    ],
)
def test_what_the_settings_point_at_but_is_not_there_is_named(
    tmp_path: Path, target: dict[str, object], cause: str
) -> None:
    folder = policy(tmp_path / "pack", ("kdf", "postgres-tls"), ("mtls", "postgres-client-certificate"))
    text = (folder / "p.yaml").read_text()
    kdf = '"check": "postgres-password-kdf", "params": {"table": "a.b", "column": "c", "min_bits": 256, "accept": {}}'
    (folder / "p.yaml").write_text(text.replace('"check": "postgres-tls"', kdf))
    with closed_port() as port:
        settings(tmp_path, database("db", port, **target))
        shown = auditor("run", "--policies", "pack", "-f", "json", cwd=tmp_path)
    assert (shown.code, shown.err) == (3, "")
    (run,) = runs(tmp_path / "reports")
    assert cause in reasons(run)


@pytest.mark.parametrize(
    ("number", "code", "said"), [(signal.SIGINT, 130, "interrupted"), (signal.SIGTERM, 143, "terminated")]
)
def test_being_stopped_while_a_target_hangs(tmp_path: Path, number: signal.Signals, code: int, said: str) -> None:
    """The process goes at once, although an answer is awaited for minutes; what was closed stays."""
    policy(tmp_path / "pack", ("tls", "postgres-tls"))
    with closed_port() as port, socket.socket() as hanging:
        hanging.bind(("127.0.0.1", 0))
        hanging.listen()
        hanging.settimeout(PATIENCE)
        settings(tmp_path, database("gone", port), database("hangs", hanging.getsockname()[1], timeout=300))
        process = subprocess.Popen(
            [*COMMAND, "run", "--policies", "pack"],
            cwd=tmp_path, env=environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip
        connection, _ = hanging.accept()
        with connection:
            closed = wait_for(tmp_path / "reports", "*/evidence/gone.main.jsonl", process)
            process.send_signal(number)
            out, err = process.communicate(timeout=PATIENCE)
    assert (process.returncode, out, err.lstrip("\n")) == (code, "", f"{said}: the segments closed so far stay\n")
    assert json.loads(closed.read_text().splitlines()[-1])["kind"] == "close"
    assert not (closed.parent / "hangs.main.jsonl").exists()
    assert not (closed.parent.parent / "report.json").exists()


@pytest.mark.parametrize(
    ("number", "code", "said"), [(signal.SIGINT, 130, "interrupted"), (signal.SIGTERM, 143, "terminated")]
)
def test_a_command_that_makes_no_run_promises_no_segments(
    tmp_path: Path, number: signal.Signals, code: int, said: str
) -> None:
    policy(tmp_path / "pack", ("tls", "postgres-tls"))
    os.mkfifo(tmp_path / "page")
    process = subprocess.Popen(
        [*COMMAND, "policy", "coverage", "page", "--policies", "pack"],
        cwd=tmp_path, env=environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    with (tmp_path / "page").open("wb", buffering=0) as page:
        page.write(bytes(1 << 17))  # more than a pipe holds: it is being read
        process.send_signal(number)
    out, err = process.communicate(timeout=PATIENCE)
    assert (process.returncode, out, err.lstrip("\n")) == (code, "", f"{said}\n")


def wait_for(folder: Path, pattern: str, process: subprocess.Popen[str]) -> Path:
    """Wait until a file is there; the process must live as long."""
    pause = Event()
    for _ in range(PATIENCE * 50):
        for path in folder.glob(pattern):
            return path
        assert process.poll() is None, process.communicate()
        pause.wait(0.02)
    raise AssertionError(f"{pattern} never came")
