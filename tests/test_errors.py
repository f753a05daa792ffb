"""Every mistake that a newcomer can make, at a terminal of 80 columns and through a pipe.

Each says what was asked for, what came back and what to do. On the terminal no line is longer than the screen and no
word or path is broken; through a pipe each problem is one line.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from auditor import plugins
from auditor import policy as policies
from auditor.settings import json_schema as settings_schema
from tests.cli_process import COMMAND, auditor, database, on_a_terminal, policy, settings

COLUMNS = 80
LONG = "a-pack-about-encryption-in-transit-and-at-rest-of-everything-we-have"
DROPPED = """\
import ctypes, os, sys
prctl = getattr(ctypes.CDLL(None), "prctl", None)
for capability in (1, 2):  # reading whatever root may not (CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH)
    prctl and prctl(24, capability, 0, 0, 0)
os.execv(sys.executable, [sys.executable, "-m", "auditor", *sys.argv[1:]])
"""
WITHOUT_TRUSTME = "import sys\nsys.modules['trustme'] = None\nfrom auditor.cli import main\nmain()"


class Mistake(NamedTuple):
    """A command line, what its message must name (asked, came back, do), its exit code, and what it is run by."""

    line: str
    named: tuple[str, ...]
    code: int = 2
    by: tuple[str, ...] = tuple(COMMAND)


BY_AN_ACCOUNT = (sys.executable, "-c", DROPPED)
TRY = "--help' for help."
LAY_OUT = "auditor policy new FOLDER"
MISTAKES = [
    # the command line
    Mistake("rnu", ("'rnu'", "there is no command", "did you mean 'run'?", TRY)),
    Mistake("policy vaildate", ("'vaildate'", "No such command", "Did you mean 'validate'?", TRY)),
    Mistake("run --clame x", ("'--clame'", "No such option", "Did you mean '--claim'?", TRY)),
    Mistake("run extra", ("extra", "unexpected", TRY)),
    Mistake("run -c", ("'-c'", "requires an argument")),
    Mistake("run --fail-on always", ("'--fail-on'", "'always'", "'unproven', 'refuted', 'never'", TRY)),
    Mistake("run --format htlm", ("--format", "'htlm'", "did you mean 'html'?", TRY)),
    Mistake("run --format zzz", ("--format", "'zzz'", "known here: csv, evidence, html, json, junit, markdown", TRY)),
    Mistake("run --workers 0", ("--workers '0'", "expected threads:N", "from 1 to 256")),
    Mistake("demo --world sick", ("'--world'", "'sick'", "'healthy', 'broken'", TRY)),
    Mistake("completion tcsh", ("'SHELL'", "'tcsh'", "'bash', 'zsh', 'fish'", TRY)),
    Mistake("evaluate pack", ("'-o'", "Missing option", TRY)),
    Mistake("evaluate nowhere -o out", ("nowhere does not exist", "reports/<run id>", TRY)),
    Mistake("report good.yaml -o out", ("good.yaml is a file", "reports/<run id>", TRY)),
    Mistake("report pack -o out", ("pack is no run", "reports/<run id>", TRY)),
    Mistake("policy new", ("'FOLDER'", "Missing argument", TRY)),
    # settings
    Mistake("run", ("auditor.yaml: there is no such file", "name it with -c", LAY_OUT, "policies/explo: there is no")),
    Mistake("run -c pack --policies pack", ("pack: cannot be read: Is a directory", "name a file")),
    Mistake("run -c pack/p.yaml --policies pack", ("pack/p.yaml: is a policy file", "settings name the systems")),
    Mistake("run -c closed/x.yaml --policies pack", ("closed/x.yaml", "denied", "allow your"), by=BY_AN_ACCOUNT),
    Mistake("run -c closed.yaml --policies pack", ("closed.yaml", "denied", "allow your account"), by=BY_AN_ACCOUNT),
    Mistake(
        "run -c wrong.yaml --policies pack",
        (
            "wrong.yaml:4:", "port: must be a whole number, not text: take the quotes away",
            "password: a secret is never written here", "{env: NAME} or {file: PATH}",
            "account_id: '12' is not an account id: 12 digits", "role_arn: 'x' is not the ARN of a role",
            "endpoint_url: http:// is only for loopback; use https://", "'us' is not the name of a region",
            "'Web' is not a target id: a small letter", "unknown type 'postgress' (did you mean 'postgres'?)",
            "'a b' is not a login on GitHub", "token: a secret is either {env: NAME} or {file: PATH}",
            "begins with 0: put it in quotes",
        ),
    ),
    # policies
    Mistake("policy validate", ("policies/explo: there is no such file or folder", LAY_OUT)),
    Mistake("policy validate here", ("here: there is no such file or folder", "there is closed/, pack/ or")),
    Mistake("policy validate pak", ("pak: there is no such file or folder", "did you mean pack/?")),
    Mistake("policy validate more/nowhere", ("more/nowhere: there is no such", f"there is more/{LONG}/")),
    Mistake("policy validate more", ("more: holds no policy file", f"did you mean more/{LONG}/?")),
    Mistake("policy validate good.yaml", ("good.yaml: is a settings file", "name it with -c")),
    Mistake("policy validate closed", ("closed: cannot be read", "denied", "allow your account"), by=BY_AN_ACCOUNT),
    Mistake("policy validate closed/p.yaml", ("closed/p.yaml: cannot be read", "allow your"), by=BY_AN_ACCOUNT),
    Mistake("policy validate closed.yaml", ("closed.yaml: cannot be read", "allow your account"), by=BY_AN_ACCOUNT),
    Mistake(f"policy validate {'x' * 300}", ("x" * 300, "cannot be read: File name too long")),
    Mistake(
        f"policy validate more/{LONG} -c good.yaml",
        (
            f"more/{LONG}/p.yaml:9:21: unknown criterion 'CC6.99' (did you mean 'CC6.",
            "unknown check 'postgres-tsl' (did you mean 'postgres-tls'?)",
            "unknown target id, type or tag 'dbb' (did you mean 'db'?)", "'sevrity' (did you mean 'severity'?)",
            "cadence: 'daily' is not a length of time such as P1D (a day)", "max_days: must be a whole number",
            "table: 'users' is not a name with its schema: schema.name", "approved_by: nobody approves a waiver of",
            "expires: is more than a year after", "source: needs a url or a document", "missing 'owner'",
        ),
    ),
    Mistake(
        "policy validate yaml",
        (
            "yaml/alias.yaml:1:4: an alias to nothing", "yaml/binary.yaml:1:1: character U+0000 is not allowed",
            "yaml/colon.yaml:1:5: a second `: ` in one line", "put in quotes", "yaml/empty.yaml:1:1: the file is empty",
            "yaml/latin.yaml:1:7: is not UTF-8 text; save it as UTF-8", "yaml/list.yaml:1:1: must be a mapping",
            "yaml/quote.yaml:2:5: a text in quotes that begins on line 1 does not end",
            "yaml/tab.yaml:2:1: a tab: YAML is indented with spaces",
            "yaml/twice.yaml:2:1: duplicate key 'id', first on line 1",
        ),
    ),
    # selections
    Mistake(
        "run -c good.yaml --policies pack --claim p-clam --test zz --check postgres-tsl --target dbb",
        (
            "--claim: there is no claim 'p-clam' (did you mean 'p-claim'?)", "there is no test 'zz'; known here: tls",
            "did you mean 'postgres-tls'?", "--target: there is no target 'dbb' (did you mean 'db'?)",
        ),
    ),
    # output
    Mistake("run -c good.yaml --policies pack -o good.yaml", ("good.yaml: File exists", "another folder with -o"), 70),
    Mistake("run -c good.yaml --policies pack -o closed/x", ("closed/x", "denied", "with -o"), 70, BY_AN_ACCOUNT),
    Mistake("policy new good.yaml", ("good.yaml: is no folder", "choose another one")),
    Mistake("policy new closed/x", ("cannot write closed/x", "denied", "choose another folder"), 70, BY_AN_ACCOUNT),
    Mistake("policy new taken --type aws", ("taken/auditor.yaml: exists", "nothing is overwritten", "choose another")),
    Mistake("policy new x --type postgers", ("--type", "'postgers'", "did you mean 'postgres'?")),
    Mistake("policy new x --organization \x1b", ("--organization", "printed on one line", TRY)),
    # pages
    Mistake("policy coverage nowhere.html --policies pack", ("nowhere.html: there is no such file", "save the page")),
    Mistake("policy coverage pack --policies pack", ("pack: cannot be read: Is a directory", "name a file")),
    Mistake("policy coverage - --policies pack", ("the page on stdin: holds no sentence", "saved from the browser")),
    Mistake("policy coverage page.html --policies pack --source y", ("--source", "'y'", "known here: https://x.example")),
    # the demo
    Mistake("demo", ("needs trustme", "pip install 'auditor[sandbox]'"), by=(sys.executable, "-c", WITHOUT_TRUSTME)),
]  # fmt: skip


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which everything is wrong that can be."""
    path = tmp_path_factory.mktemp("errors")
    policy(path / "pack", ("tls", "postgres-tls"))
    settings(path, database("db", 1)).rename(path / "good.yaml")
    (path / "page.html").write_text("<p>We speak TLS.")
    (path / "wrong.yaml").write_text(WRONG_SETTINGS)
    (path / "more" / LONG).mkdir(parents=True)
    (path / "more" / LONG / "p.yaml").write_text(WRONG_POLICY)
    (path / "yaml").mkdir()
    for name, raw in YAML.items():
        (path / "yaml" / f"{name}.yaml").write_bytes(raw)
    policy(path / "closed", ("tls", "postgres-tls"))
    (path / "closed.yaml").write_text("version: 1")
    (path / "taken").mkdir()
    settings(path / "taken", database("db", 1))
    for closed in ("closed", "closed.yaml"):
        (path / closed).chmod(0)
    return path


WRONG_SETTINGS = """\
version: 1
organization: Explo
targets:
  - {id: db, type: postgres, host: h, dbname: a, user: u, port: "1", password: hunter2}
  - {id: prod, type: aws, account_id: "12", role_arn: x, endpoint_url: http://x.example, home_region: us}
  - {id: other, type: aws, account_id: 012345670123}
  - {id: local, type: aws, account_id: "123456789012", endpoint_url: http://x.example}
  - {id: Web, type: postgress, host: h}
  - {id: code, type: github, organization: "a b", token: {env: X, file: y}}
"""
WRONG_POLICY = """\
version: 1
id: first
title: t
source: {title: s}
claims:
  - id: c
    statement: we lock
    interpretation: every door
    criteria: [{id: CC6.99}]
    tests:
      - {id: one, check: postgres-tsl, targets: [db]}
      - {id: two, check: postgres-tls, targets: [dbb], sevrity: high, cadence: daily}
      - {id: three, check: aws-s3-object-expiry, targets: [aws], params: {buckets: [b], max_days: "7"}}
      - {id: four, check: postgres-password-kdf, targets: [db],
         params: {table: users, column: c, accept: {}, min_bits: 1}}
waivers:
  - {id: w, test: two, resource: x, reason: r, ticket: t, requested_by: ann, approved_by: Ann,
     approved_on: 2026-01-01, expires: 2027-01-02}
"""
YAML = {
    "alias": b"a: *x", "binary": b"\0", "colon": b"a: b: c", "empty": b"", "latin": b"a: caf\xe9", "list": b"- 1",
    "quote": b'a: "x\nb: 1', "tab": b"a:\n\t- b", "twice": b"id: a\nid: b",
}  # fmt: skip


@pytest.mark.parametrize("mistake", MISTAKES, ids=lambda mistake: mistake.line[:60])
def test_a_mistake_is_told_so_that_a_newcomer_can_mend_it(mistake: Mistake, folder: Path) -> None:
    before = sorted(folder.rglob("*"))
    arguments = [part for part in mistake.line.split(" ") if part]
    piped = auditor(*arguments, cwd=folder, command=mistake.by)
    assert (piped.code, piped.out) == (mistake.code, ""), piped.err
    shown = on_a_terminal(*arguments, cwd=folder, command=mistake.by, columns=COLUMNS)
    assert shown.code == mistake.code
    assert sorted(folder.rglob("*")) == before

    lines = shown.out.replace("\r\n", "\n").splitlines()
    assert [line for line in lines if len(line) > COLUMNS and " " in line.strip()] == []
    assert (
        re.sub(r"auditor-\w+\.log", "LOG", shown.out).split() == re.sub(r"auditor-\w+\.log", "LOG", piped.err).split()
    )
    for part in mistake.named:
        assert part in " ".join(shown.out.split()), shown.out
        assert any(part in line for line in piped.err.splitlines()), piped.err
    if told := re.search(r"(\d+) problems?; nothing was run\n\Z", piped.err):
        assert len(piped.err.splitlines()) == int(told[1]) + 1


def test_the_terminal_is_as_wide_as_it_says(folder: Path) -> None:
    narrow = on_a_terminal("run", cwd=folder, columns=44)
    assert max(len(line) for line in narrow.out.splitlines()) <= 44
    assert len(narrow.out.splitlines()) > len(on_a_terminal("run", cwd=folder, columns=120).out.splitlines())
    silent = on_a_terminal("run", cwd=folder)
    assert 60 < max(len(line) for line in silent.out.splitlines()) <= 80


def test_what_is_valid_is_said_on_lines_that_fit(folder: Path) -> None:
    shown = on_a_terminal("policy", "validate", "pack", cwd=folder, columns=COLUMNS)
    assert shown.code == 0
    assert max(len(line) for line in shown.out.splitlines()) <= COLUMNS
    assert " ".join(shown.out.split()).endswith("valid; targets not compared (name the settings with -c)")


def patterns(schema: Any) -> Iterator[dict[str, Any]]:
    """Every part of a JSON Schema that wants a text of a certain form."""
    for part in schema.values() if isinstance(schema, dict) else schema if isinstance(schema, list) else ():
        yield from patterns(part)
    if isinstance(schema, dict) and isinstance(schema.get("pattern"), str):
        yield schema


def test_no_message_shows_a_regular_expression() -> None:
    """A type with a pattern says in `description` what the text is, for that is what a person is told."""
    schemas = (policies.json_schema(list(plugins.checks().values())), settings_schema(plugins.sources()))
    found = [one for schema in schemas for one in patterns(schema)]
    assert len(found) > 8
    assert [one["pattern"] for one in found if not one.get("description")] == []
