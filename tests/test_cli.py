"""The command line before anything is run: help, arguments, and every mistake in what people wrote."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Protocol

import jsonschema
import pytest

from auditor.cli import COMMANDS, guarded, options, screen
from auditor.cli import auditor as main_group
from auditor.results import ClaimCounts, Counts, Summary
from tests.cli_process import COMMAND, PACK, PATIENCE, ROOT, Ended, auditor, database, environment, policy, settings

HEAVY = {
    "boto3", "botocore", "psycopg", "jinja2", "rich", "yaml", "jsonschema", "msgspec", "cryptography", "requests",
}  # fmt: skip
WHAT_IS_LOADED = """\
import sys
from auditor.cli import main
try:
    main()
except SystemExit:
    print("LOADED", *sorted({name.partition(".")[0] for name in sys.modules}))
"""


@pytest.mark.parametrize(
    "arguments",
    [("--help",), ("--version",), *((name, "--help") for name in ("run", "policy", "plan", "doctor", "permissions"))],
)
def test_help_imports_nothing_heavy(arguments: tuple[str, ...], tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", WHAT_IS_LOADED, *arguments],
        env=environment(), cwd=tmp_path, capture_output=True, text=True, timeout=PATIENCE, check=True,
    )  # fmt: skip
    loaded = done.stdout.partition("LOADED")[2].split()
    assert "click" in loaded
    assert not set(loaded) & HEAVY


class Shell(Protocol):
    def __call__(self, *arguments: object) -> Ended: ...


@pytest.fixture
def shell(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Shell:
    """The command line within this process, for what ends before anything is run."""
    monkeypatch.chdir(tmp_path)

    def run(*arguments: object) -> Ended:
        code = guarded(lambda: main_group.main([*map(str, arguments)], prog_name="auditor", standalone_mode=False))
        return Ended(code, *capsys.readouterr())

    return run


def test_help_lists_every_command_as_it_describes_itself(tmp_path: Path, shell: Shell) -> None:
    shown = auditor("--help", cwd=tmp_path)
    assert (shown.code, shown.err) == (0, "")
    for name, (_, summary) in COMMANDS.items():
        assert f"{name} " in shown.out
        assert summary in shown.out
        assert shell(name, "--help").out.startswith(f"Usage: auditor {name}")


def test_without_a_command_help_is_shown_as_a_mistake(shell: Shell) -> None:
    for arguments in ((), ("policy",)):
        shown = shell(*arguments)
        assert shown.code == 2
        assert shown.err.startswith("Usage: auditor")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["rnu"], "Error: there is no command 'rnu' (did you mean 'run'?)"),
        (["run", "--clame", "x"], "Error: No such option '--clame'. Did you mean '--claim'?"),
        (["run", "--format", "htlm"], "unknown format 'htlm' (did you mean 'html'?)"),
        (["run", "--format", "json,zzz"], "unknown format 'zzz'; known here: csv, evidence, html, json, junit,"),
        (["run", "--workers", "0"], "--workers '0': expected threads:N with N from 1 to 256"),
        (["run", "--workers", "threads:1000"], "--workers 'threads:1000': expected threads:N with N from 1 to 256"),
        (["run", "--fail-on", "always"], "'always' is not one of 'unproven', 'refuted', 'never'"),
        (["evaluate", "no-run", "-o", "x"], "no-run does not exist; a run is a folder such as reports/<run id>"),
        (["evaluate", "."], "Missing option '-o' / '--output'"),
        (["report", "no-run", "-o", "x"], "no-run does not exist; a run is a folder such as reports/<run id>"),
        (
            ["run", "-c", "no.yaml", "--policies", str(PACK)],
            "no.yaml: there is no such file; name it with -c, or have one",
        ),
        (["policy", "validate", "nowhere"], "nowhere: there is no such file or folder"),
        (["policy", "validate", str(PACK.parent)], f"holds no policy file (*.yaml); did you mean {PACK}/?"),
    ],
)
def test_a_wrong_command_line_is_told(arguments: list[str], said: str, tmp_path: Path, shell: Shell) -> None:
    shown = shell(*arguments)
    assert shown.code == 2
    assert said in shown.err
    assert shown.out == ""
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("flag", "value", "said"),
    [
        ("--claim", "p-clam", "--claim: there is no claim 'p-clam' (did you mean 'p-claim'?)"),
        ("--test", "tsl", "--test: there is no test 'tsl' (did you mean 'tls'?)"),
        ("--check", "postgres-tsl", "--check: there is no check 'postgres-tsl' (did you mean 'postgres-tls'?)"),
        ("--target", "zzzzz", "--target: there is no target 'zzzzz'; known here: db"),
    ],
)
def test_a_selection_of_nothing_is_told(flag: str, value: str, said: str, tmp_path: Path, shell: Shell) -> None:
    settings(tmp_path, database("db", 1))
    shown = shell("run", "--policies", policy(tmp_path / "p", ("tls", "postgres-tls")), flag, value)
    assert (shown.code, shown.err) == (2, f"{said}\n1 problem; nothing was run\n")
    assert not (tmp_path / "reports").exists()


SETTINGS = """\
version: 1
organization: Explo
targets:
  - {id: db, type: postgres, host: h, dbname: a, user: u, port: "1", password: hunter2}
  - {id: prod, type: aws, account_id: 012345670123, endpoint_url: http://x.example}
  - {id: Web, type: postgress, host: h}
"""
FIRST = """\
version: 1
id: first
title: t
source: {title: s, url: https://x}
claims:
  - id: c
    statement: we lock
    interpretation: every door
    criteria: [{id: CC6.99}]
    owner: me
    tests:
      - {id: one, check: postgres-tsl, targets: [db]}
      - {id: two, check: postgres-tls, targets: [dbb], sevrity: high}
waivers:
  - {id: w, test: two, resource: x, reason: r, ticket: t, requested_by: ann, approved_by: Ann,
     approved_on: 2026-01-01, expires: 2027-01-02}
"""
SECOND = """\
version: 1
id: second
title: t
source: {title: s, url: https://x}
title: again
claims:
  - id: c
    statement: we lock
    interpretation: every door
    criteria: [{id: CC6.1}]
    owner: me
    tests:
      - {id: three, check: aws-s3-object-expiry, targets: [prod], params: {buckets: [b], max_days: "7"}}
"""
TARGET_ID = "a small letter, then small letters, digits and -, 41 characters at most"
FIFTEEN = [
    "auditor.yaml:4:65: port: must be a whole number, not text: take the quotes away",
    "auditor.yaml:4:80: password: a secret is never written here, only where it is found: {env: NAME} or {file: PATH}",
    "auditor.yaml:5:39: begins with 0: put it in quotes if it is text, leave the 0 out if it is a number",
    "auditor.yaml:5:67: endpoint_url: http:// is only for loopback; use https://",
    f"auditor.yaml:6:10: id: 'Web' is not a target id: {TARGET_ID}",
    "auditor.yaml:6:21: unknown type 'postgress' (did you mean 'postgres'?)",
    "pack/a.yaml:9:21: unknown criterion 'CC6.99' (did you mean 'CC6.8'?)",
    "pack/a.yaml:12:26: unknown check 'postgres-tsl' (did you mean 'postgres-tls'?)",
    "pack/a.yaml:13:50: unknown target id, type or tag 'dbb' (did you mean 'db'?)",
    "pack/a.yaml:13:56: unknown key 'sevrity' (did you mean 'severity'?)",
    "pack/a.yaml:15:91: approved_by: nobody approves a waiver of their own",
    "pack/a.yaml:16:40: expires: is more than a year after the day of approval",
    "pack/b.yaml:5:1: duplicate key 'title', first on line 3",
    "pack/b.yaml:7:9: duplicate claim id 'c', first at pack/a.yaml:6",
    "pack/b.yaml:13:100: max_days: must be a whole number, not text: take the quotes away",
]


def test_fifteen_mistakes_in_three_files_are_told_in_fifteen_lines(tmp_path: Path, shell: Shell) -> None:
    (tmp_path / "pack").mkdir()
    (tmp_path / "auditor.yaml").write_text(SETTINGS)
    (tmp_path / "pack" / "a.yaml").write_text(FIRST)
    (tmp_path / "pack" / "b.yaml").write_text(SECOND)
    shown = auditor("run", "--policies", "pack", cwd=tmp_path)
    assert shown.err.splitlines() == [*FIFTEEN, "15 problems; nothing was run"]
    assert (shown.code, shown.out) == (2, "")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["auditor.yaml", "pack"]
    validated = shell("policy", "validate", "pack", "-c", "auditor.yaml")
    assert (validated.code, validated.err) == (2, shown.err)


def test_hostile_names_in_mistakes_command_no_terminal(tmp_path: Path, shell: Shell) -> None:
    (tmp_path / "\x1b[31m\x07\u202e.yaml").write_text('{"a\\e]0;x\\a\\u202e\\n": 1}')
    shown = shell("policy", "validate", "\x1b[31m\x07\u202e.yaml")
    assert shown.code == 2
    assert "unknown key 'a\\u001b]0;x\\u0007\\u202e\\u000a'" in shown.err
    assert "\n\\u001b[31m\\u0007\\u202e.yaml:1:" in shown.err
    assert not set(shown.err) & set("\x1b\x07\u202e")


def test_a_valid_pack_is_counted(tmp_path: Path, shell: Shell) -> None:
    policy(tmp_path / "pack", ("tls", "postgres-tls"))
    settings(tmp_path, database("db", 1))
    alone = shell("policy", "validate", "pack")
    assert (alone.code, alone.err) == (0, "")
    assert alone.out == "pack: 1 file, 1 claim, 1 test: valid; targets not compared (name the settings with -c)\n"
    both = shell("policy", "validate", "pack", "-c", "auditor.yaml")
    assert (both.code, both.out) == (0, "pack: 1 file, 1 claim, 1 test: valid\n")


def test_the_schemas_are_printed(shell: Shell) -> None:
    shown = shell("policy", "schema")
    assert shown.out == (ROOT / "policies" / "policy.schema.json").read_text()
    of_settings = json.loads(shell("policy", "schema", "--settings").out)
    validator = jsonschema.Draft202012Validator(of_settings)
    validator.validate({"version": 1, "organization": "x", "targets": [database("db", 1)]})
    with pytest.raises(jsonschema.ValidationError):
        validator.validate({"version": 1, "organization": "x", "targets": [{**database("db", 1), "type": "x"}]})


def test_checks_are_listed_with_what_they_prove(shell: Shell) -> None:
    shown = shell("checks")
    assert (shown.code, shown.err) == (0, "")
    assert "postgres-tls  " in shown.out
    assert "    reads postgres, once per target; by behaviour\n" in shown.out
    assert "    params: buckets, max_days, prefix (optional)\n" in shown.out
    assert "    cannot prove: " in shown.out
    assert all(line == line.rstrip() and len(line) <= 100 for line in shown.out.splitlines())


def test_a_reader_that_leaves_is_no_error_to_talk_about(tmp_path: Path) -> None:
    process = subprocess.Popen(
        [*COMMAND, "checks"], cwd=tmp_path, env=environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    assert process.stdout is not None
    assert process.stderr is not None
    process.stdout.close()  # before the process has printed anything
    assert process.stderr.read() == b""
    process.stderr.close()
    assert process.wait(PATIENCE) == 70


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="Linux only")
def test_output_that_cannot_be_written_is_one_line(tmp_path: Path) -> None:
    with Path("/dev/full").open("wb") as full:
        done = subprocess.run(
            [*COMMAND, "checks"], cwd=tmp_path, env=environment(TMPDIR=str(tmp_path)), stdout=full,
            stderr=subprocess.PIPE, text=True, timeout=PATIENCE, check=False,
        )  # fmt: skip
    assert done.returncode == 70
    (log,) = tmp_path.glob("auditor-*.log")
    assert done.stderr == f"cannot go on: No space left on device; the log is {log}\n"
    assert "Traceback" in log.read_text()


def test_closed_streams_are_no_reason_to_fail(tmp_path: Path) -> None:
    shell = ["sh", "-c", f"exec '{sys.executable}' -m auditor checks >&- 2>&-"]
    assert subprocess.run(shell, cwd=tmp_path, env=environment(), timeout=PATIENCE, check=False).returncode == 0


@pytest.mark.parametrize(
    ("counts", "codes"),
    [
        ((1, 0, 0, 0), (0, 0, 0)),
        ((1, 1, 0, 0), (0, 0, 0)),
        ((0, 0, 0, 0), (0, 0, 0)),
        ((1, 0, 0, 1), (3, 0, 0)),
        ((1, 0, 1, 0), (1, 1, 0)),
        ((1, 0, 1, 1), (1, 1, 0)),
    ],
)
def test_the_exit_code_is_what_the_claims_say(counts: tuple[int, int, int, int], codes: tuple[int, int, int]) -> None:
    claims = ClaimCounts(
        **dict(zip(("supported", "supported_with_exceptions", "refuted", "unproven"), counts, strict=True))
    )
    head: Any = SimpleNamespace(summary=Summary(claims=claims, findings=Counts(), population=0))
    assert tuple(options.exit_code(head, mode) for mode in ("unproven", "refuted", "never")) == codes


def test_a_console_without_colour_writes_no_escape(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NO_COLOR", raising=False)
    assert options.wants_color(no_color=False)
    assert not options.wants_color(no_color=True)
    assert screen.console(color=False).color_system is None
    monkeypatch.setenv("NO_COLOR", "1")
    assert not options.wants_color(no_color=False)
    monkeypatch.setenv("NO_COLOR", "")
    assert options.wants_color(no_color=False)
