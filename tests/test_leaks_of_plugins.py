"""No secret leaks through a plug-in that lets secrets slip wherever it can: source, check and report format."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Mapping
from pathlib import Path

import pytest
import yaml

from auditor import plugins
from auditor.redact import MASK
from tests.canaries import found, texts
from tests.cli_process import COMMAND, ROOT, environment

LEAKY = '''\
"""A source and a report format that let secrets slip wherever they can."""

import logging
import os
import warnings
from contextlib import contextmanager

import msgspec

from auditor.checking import Check, Subject
from auditor.model import Basis, Resource, Unproven, passed
from auditor.questions import Attempt, Failure, Operation, Reply, SecretRef, SourceFailure, SourceType
from auditor.results import ReportFormat
from auditor.sources.clock import utcnow


class Inner(msgspec.Struct, frozen=True):
    """Nested."""

    ref: SecretRef


class Target(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Refers to secrets everywhere. `one`, `many`, `named` and `pair`: secrets."""

    one: SecretRef
    many: list[Inner]
    named: dict[str, Inner]
    pair: tuple[SecretRef, ...]


class Connection:
    def __init__(self):
        self.secrets = [os.environ[name] for name in ("ONE", "MANY", "NAMED", "PAIR")]

    def ask(self, operation, params):
        one, many, named, pair = self.secrets
        unknown_to_all = "a-local-" + "variable"
        now = utcnow()
        said = f"{one} {many} {named} {pair}"
        logging.getLogger("leaky").warning("asked with %s", said)
        warnings.warn(f"deprecated: {said}", stacklevel=1)
        if operation.name == "raise":
            try:
                raise KeyError(one)
            except KeyError as error:
                raise RuntimeError(f"cannot {many}", {"token": named, "unknown": len(unknown_to_all)}) from error
        if operation.name == "fail":
            raise SourceFailure(one, said)
        failed = operation.name == "refuse"
        yield Reply(
            status="error" if failed else "ok",
            started_at=now,
            ended_at=now,
            body={"id": "x", one: {many: [named, {"deep": pair}]}, "all": said},
            raw_sha256="00",
            attempts=(Attempt(now, 500, said), Attempt(now, 200, pair)),
            error=Failure(named, "so it goes " * 90 + said) if failed else None,
            redacted=(f"/dropped/{one}", "/escaped/" + one.replace("~", "~0").replace("/", "~1")),
        )


@contextmanager
def connect(target, opening):
    yield Connection()


OPERATIONS = {name: Operation(name=name, summary=name) for name in ("ask", "raise", "fail", "refuse")}
SOURCE = SourceType(
    name="leaky", settings=Target, operations=OPERATIONS, open=connect,
    declare=lambda target: {"secret": os.environ["ONE"]},
)


class Params(msgspec.Struct, frozen=True):
    """None."""


def collect(params, leaky):
    """Everything."""
    for name in OPERATIONS:
        answer = leaky.ask(name)
        yield Subject(Resource("leaky", f"{name} {answer.record.body or answer.record.reason}"), answer=answer)
    if os.environ.get("LEAKY") == "collect":
        raise RuntimeError(answer.record.reason)
    raise Unproven(f"not the whole: {answer.record.reason}")


def evaluate(subject, params):
    """Nothing."""
    return passed("fine") if subject.answer.get("/id", str) == "x" else None


CHECK = Check(
    id="leaky", title="leaky", sources={"leaky": {name: 0 for name in OPERATIONS}}, shard="target",
    basis=Basis.CONFIGURATION, params=Params, collect=collect, evaluate=evaluate, population="all", proves="nothing",
    cannot_prove=("anything",), no_second_source="nothing counts leaks",
)


def render(run, out):
    one = os.environ["ONE"]
    unknown_to_all = "a-local-" + "variable"
    raise ValueError(f"no report for {one} and {os.environ['PAIR']}, {len(unknown_to_all)}")


REPORT = ReportFormat(name="crash", filename="crash.txt", summary="fails", render=render)
'''
OF_LEAKY = {
    "ONE": 'one-cánary-"1"@/+%\\7f',
    "MANY": "many-kanary-'2' of&<them>;",
    "NAMED": "named-canary-3=/+~`x`",
    "PAIR": "pair kanary of  blanks\tand-4",
}


@pytest.fixture
def leaky(tmp_path: Path) -> dict[str, str]:
    """An installed plug-in that leaks, a target of its type, a policy over it; the variables to run with."""
    installed = tmp_path / "installed"
    about = installed / "leaky-1.dist-info"
    about.mkdir(parents=True)
    (installed / "leaky.py").write_text(LEAKY)
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: leaky\nVersion: 1\n")
    points = "".join(f"[auditor.{kind}s]\nleaky = leaky:{kind.upper()}\n" for kind in ("check", "source", "report"))
    (about / "entry_points.txt").write_text(points)
    target = {
        "id": "t", "type": "leaky", "one": {"env": "ONE"}, "many": [{"ref": {"env": "MANY"}}],
        "named": {"x": {"ref": {"env": "NAMED"}}}, "pair": [{"env": "PAIR"}],
    }  # fmt: skip
    (tmp_path / "auditor.yaml").write_text(yaml.safe_dump({"version": 1, "organization": "E", "targets": [target]}))
    test = {"id": "t", "check": "leaky", "targets": ["leaky"]}
    stated = {"id": "c", "statement": "s", "interpretation": "i", "criteria": [{"id": "CC6.1"}], "owner": "me"}
    source = {"title": "t", "url": "https://x.example"}
    pack = {"version": 1, "id": "p", "title": "t", "source": source, "claims": [{**stated, "tests": [test]}]}
    (tmp_path / "pack.yaml").write_text(json.dumps(pack))
    return {**OF_LEAKY, "PYTHONPATH": f"{ROOT}{os.pathsep}{installed}"}


def run_leaky(folder: Path, formats: str, variables: Mapping[str, str]) -> tuple[int, bytes]:
    arguments = ["run", "-vv", "-c", "auditor.yaml", "--policies", "pack.yaml", "-o", "out", "-f", formats]
    done = subprocess.run(
        [*COMMAND, *arguments], cwd=folder, env=environment(**variables), capture_output=True, check=False, timeout=100
    )
    return done.returncode, done.stdout + done.stderr


@pytest.mark.parametrize("how", ["", "collect"])
def test_a_source_and_a_check_that_let_secrets_slip_everywhere_leak_none(
    leaky: dict[str, str], tmp_path: Path, how: str
) -> None:
    """In names and values of bodies, attempts, codes, messages, parameters, resources, logs, warnings, tracebacks."""
    code, said = run_leaky(tmp_path, ",".join(plugins.reports()), {**leaky, "LEAKY": how})
    assert code == 3, said.decode()
    assert found(OF_LEAKY, ("stdout and stderr", said), *texts(tmp_path / "out")) == []
    log = (tmp_path / "out" / "auditor.log").read_text()
    assert log.count("Traceback") >= 2
    assert "a-local-variable" not in log
    segment = next((tmp_path / "out").glob("*/evidence/*")).read_text()
    lines = [json.loads(line) for line in segment.splitlines()]
    opened, asked, raised, failed, refused = lines[0], *[line for line in lines if line["kind"] == "answer"]
    assert opened["targets"]["t"]["secret"] == MASK
    assert asked["body"][MASK] == {MASK: [MASK, {"deep": MASK}]}
    assert [one["reason"] for one in asked["attempts"]] == [" ".join([MASK] * 4), MASK]
    assert {f"/dropped/{MASK}", f"/escaped/{MASK}"} <= set(asked["redacted"])
    assert "raw_sha256" not in asked
    assert raised["error"] == {"code": "internal", "message": "RuntimeError"}
    assert failed["error"] == {"code": MASK, "message": " ".join([MASK] * 4)}
    assert refused["error"]["code"] == MASK
    assert sum(MASK in line["resource"]["id"] for line in lines if line["kind"] == "subject") == 3
    assert (MASK if not how else "RuntimeError") in lines[-1]["error"]


def test_a_crash_leaks_none_and_shows_no_local_variables(leaky: dict[str, str], tmp_path: Path) -> None:
    code, said = run_leaky(tmp_path, "html,crash", leaky)
    assert code == 70
    assert b"internal error: ValueError" in said
    log = (tmp_path / "out" / "auditor.log").read_text()
    assert f"ValueError: no report for {MASK} and {MASK}, 16" in log
    assert "Traceback" in log
    for text in (log, said.decode()):
        assert "a-local-variable" not in text
    assert found(OF_LEAKY, ("stdout and stderr", said), *texts(tmp_path / "out")) == []
