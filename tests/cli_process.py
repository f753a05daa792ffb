"""The command line as a process of its own: what a shell or a CI job sees of it."""

from __future__ import annotations

import json
import os
import pty
import socket
import subprocess
import sys
import termios
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from auditor import seal
from tests.sealing import scope_of

ROOT = Path(__file__).resolve().parent.parent
PACK = ROOT / "policies" / "explo"
COMMAND = [sys.executable, "-m", "auditor"]
PATIENCE = 60
"""Seconds after which a process that hangs is given up; none needs them."""


@dataclass(frozen=True)
class Ended:
    """How a process ended, and what it said."""

    code: int
    out: str
    err: str

    def __post_init__(self) -> None:
        for text in (self.out, self.err):
            assert "Traceback" not in text, text


def environment(**more: str) -> dict[str, str]:
    """The environment of a process: ours, without what would colour its output or lend it credentials."""
    unwanted = ("AWS_", "PG", "NO_COLOR", "FORCE_COLOR", "COLUMNS", "COVERAGE_", "PYTHONUNBUFFERED")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(unwanted)}
    return {**kept, "PYTHONPATH": str(ROOT), "PYTHONWARNINGS": "error::ResourceWarning", **more}


def auditor(*arguments: object, cwd: Path, command: Sequence[str] = COMMAND, **variables: str) -> Ended:
    """Run a command to its end."""
    done = subprocess.run(
        [*command, *map(str, arguments)],
        cwd=cwd,
        env=environment(**variables),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=PATIENCE,
        check=False,
    )
    return Ended(done.returncode, done.stdout.decode(), done.stderr.decode())


def on_a_terminal(
    *arguments: object, cwd: Path, columns: int = 0, command: Sequence[str] = COMMAND, **variables: str
) -> Ended:
    """Run a command with stdout and stderr on one terminal (0 columns: it does not say); what it showed is `out`."""
    ours, theirs = pty.openpty()
    termios.tcsetwinsize(theirs, (24 if columns else 0, columns))
    process = subprocess.Popen(
        [*command, *map(str, arguments)],
        cwd=cwd,
        env=environment(TERM="xterm-256color", **variables),
        stdin=subprocess.DEVNULL,
        stdout=theirs,
        stderr=theirs,
    )
    os.close(theirs)
    shown = b""
    while chunk := _read(ours):
        shown += chunk
    os.close(ours)
    return Ended(process.wait(PATIENCE), shown.decode(), "")


def _read(terminal: int) -> bytes:
    try:
        return os.read(terminal, 65536)
    except OSError:  # how Linux says that nobody is on the other side any more
        return b""


def settings(folder: Path, *targets: dict[str, Any]) -> Path:
    """Write an auditor.yaml into the folder."""
    path = folder / "auditor.yaml"
    path.write_text(json.dumps({"version": 1, "organization": "Explo", "targets": list(targets)}))
    return path


def database(name: str, port: int, **more: object) -> dict[str, Any]:
    """A PostgreSQL target on loopback."""
    return {
        "id": name, "type": "postgres", "host": "127.0.0.1", "port": port,
        "dbname": "app", "user": "auditor", "trust": "none", **more,
    }  # fmt: skip


@contextmanager
def closed_port() -> Iterator[int]:
    """A port on which nobody listens, and which nobody else is given meanwhile."""
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        yield bound.getsockname()[1]


def policy(folder: Path, *tests: tuple[str, str], statement: str = "we speak TLS", name: str = "p") -> Path:
    """Write a policy file of one claim whose tests are (id, check); their targets are of type postgres."""
    folder.mkdir(exist_ok=True)
    claim = {
        "id": f"{name}-claim",
        "statement": statement,
        "interpretation": "at every endpoint",
        "criteria": [{"id": "CC6.7"}],
        "owner": "me",
        "tests": [{"id": test, "check": check, "targets": ["postgres"]} for test, check in tests],
    }
    source = {"title": "s", "url": "https://x.example"}
    pack = {"version": 1, "id": name, "title": "t", "source": source, "claims": [claim]}
    (folder / f"{name}.yaml").write_text(json.dumps(pack))
    return folder


def runs(output: Path) -> list[Path]:
    """The run folders in an output folder, by their number in the chain; names of one second are in no order."""

    def place(run: Path) -> tuple[int, str]:
        return scope_of(run).sequence if (run / seal.EVIDENCE).is_file() else 0, run.name

    return sorted((path for path in output.glob("*Z-*") if path.is_dir()), key=place)


def report(run: Path) -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads((run / "report.json").read_bytes())
    return loaded


def reasons(run: Path) -> str:
    """Why the claims of a run are what they are."""
    claims = report(run)["claims"]
    return "\n".join(reason for claim in claims for test in claim["tests"] for reason in test["reasons"])
