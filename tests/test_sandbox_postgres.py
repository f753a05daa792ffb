"""The PostgreSQL half of the demo world: found, started, as described, and gone without a trace."""

import os
import pwd
import shutil
import signal
import socket
import stat
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest

from auditor.sandbox import postgres
from auditor.sandbox.certificates import Account
from auditor.sandbox.part import SandboxError
from auditor.sandbox.postgres import PostgresServer, find_postgres
from auditor.sandbox.postgres_part import start_postgres

WORLDS = Path(postgres.__file__).parent / "worlds"
TLS_SUBJECTS = ["TLSv1.0", "TLSv1.1", "TLSv1.2+", "certificate", "plaintext"]
FUNCTION = "SELECT audit.password_kdf()"


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """A folder that every account can enter and write to, as pytest's own are not where root runs the tests."""
    folder = Path(tempfile.mkdtemp(prefix="auditor-test-", dir="/tmp")).resolve()
    folder.chmod(0o777)
    yield folder
    shutil.rmtree(folder)


@pytest.fixture
def temporary(open_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder that servers put their files into, empty: whatever they leave is seen."""
    # pytest asks for the temporary folder once, at the first tmp_path: that must not be ours.
    assert open_folder not in tmp_path.parents
    monkeypatch.setattr(tempfile, "tempdir", str(open_folder))
    return open_folder


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> list[subprocess.Popen[bytes]]:
    """Every process that is started, in order."""
    processes: list[subprocess.Popen[bytes]] = []
    popen = subprocess.Popen

    def record(*arguments: Any, **options: Any) -> Any:
        process = popen(*arguments, **options)
        processes.append(process)
        return process

    monkeypatch.setattr(subprocess, "Popen", record)
    return processes


def fake_postgres(folder: Path, version: str) -> Path:
    """A folder with programs that only know their version."""
    folder.mkdir(parents=True)
    for name in ("postgres", "initdb", "pg_ctl"):
        (folder / name).write_text(f"#!/bin/sh\necho '{name} (PostgreSQL) {version}'\n")
        (folder / name).chmod(0o755)
    return folder


def fake_server(folder: Path, script: str) -> Path:
    """A folder with an initdb that only makes its folder, and a server that does as the script says."""
    fake_postgres(folder, "17.1")
    (folder / "initdb").write_text('#!/bin/sh\nfor last; do :; done\nmkdir "${last#--pgdata=}"\n')
    (folder / "postgres").write_text(f"#!/bin/sh\n{script}\n")
    return folder


# --- finding PostgreSQL


def test_path_goes_before_packages(open_folder: Path) -> None:
    first = fake_postgres(open_folder / "first", "15.2")
    fake_postgres(open_folder / "second", "17.1")
    path = f"relative:{open_folder}/empty:{first}:{open_folder}/second"
    assert find_postgres(path, [f"{open_folder}/sec*"]) == first


def test_packages_newest_first_when_path_has_only_an_old_one(open_folder: Path) -> None:
    fake_postgres(open_folder / "old", "14.9")
    for version in ("9.6", "15.1", "18beta1"):
        fake_postgres(open_folder / "lib" / version.partition(".")[0] / "bin", version)
    found = find_postgres(str(open_folder / "old"), [f"{open_folder}/none/*/bin", f"{open_folder}/lib/*/bin"])
    assert found == open_folder / "lib" / "18beta1" / "bin"


def test_none_found_says_what_to_install(open_folder: Path) -> None:
    old = fake_postgres(open_folder / "old", "13.4")
    with pytest.raises(SandboxError) as raised:
        find_postgres(str(old), [])
    assert "apt-get install postgresql" in str(raised.value)
    assert "brew install postgresql@17" in str(raised.value)
    assert f"found only 13 in {old}" in str(raised.value)
    assert "\n" not in str(raised.value)
    with pytest.raises(SandboxError, match="found none"):
        find_postgres("", [])


def test_a_server_that_cannot_be_run_is_passed_over(open_folder: Path) -> None:
    broken = fake_postgres(open_folder / "broken", "17.1")
    (broken / "postgres").write_text("#!/nonexistent/interpreter\n")
    failing = fake_postgres(open_folder / "failing", "17.1")
    (failing / "postgres").write_text("#!/bin/sh\nexit 1\n")
    strange = fake_postgres(open_folder / "strange", "unknown")
    good = fake_postgres(open_folder / "good", "17.1")
    assert find_postgres(":".join(map(str, (broken, failing, strange, good))), []) == good


def test_this_machine_has_one() -> None:
    assert (find_postgres() / "initdb").exists()


def test_server_account(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    assert postgres.server_account() is None
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    entries = {"postgres": (101, 104), "nobody": (65534, 65534)}

    def getpwnam(name: str) -> pwd.struct_passwd:
        uid, gid = entries[name]
        return pwd.struct_passwd((name, "x", uid, gid, "", "/", "/bin/sh"))

    monkeypatch.setattr(pwd, "getpwnam", getpwnam)
    assert postgres.server_account() == (101, 104, "postgres")
    del entries["postgres"]
    assert postgres.server_account() == (65534, 65534, "nobody")
    entries.clear()
    with pytest.raises(SandboxError, match="refuses to run as root"):
        postgres.server_account()


# --- starting and stopping


def test_start_and_stop(temporary: Path) -> None:
    server = PostgresServer.start(
        find_postgres(), settings={"cluster_name": "it's ours"}, hba=["host all all all trust"]
    )
    try:
        owner = postgres.server_account()
        assert server.folder.parent == temporary
        assert server.folder.stat().st_uid == (owner.uid if owner else os.geteuid()) != 0
        assert stat.S_IMODE(server.folder.stat().st_mode) == 0o700
        with server.connect() as connection:
            shown = connection.execute("SELECT current_setting('cluster_name'), getdatabaseencoding(), '漢'").fetchone()
            listening = connection.execute("SHOW listen_addresses").fetchone()
        assert shown == ("it's ours", "UTF8", "漢")
        assert listening == ("127.0.0.1",)
        psycopg.connect(f"host=127.0.0.1 port={server.port} user=postgres dbname=postgres sslmode=disable").close()
    finally:
        server.stop()
    assert_gone(server.pid, server.port)
    assert list(temporary.iterdir()) == []
    server.stop()


def assert_gone(pid: int, port: int) -> None:
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", port), timeout=5)


ORDINARY = """
import encodings.idna, os, pwd, sys
from pathlib import Path
from auditor.sandbox.postgres_part import start_postgres
if os.geteuid() == 0:
    # Only now: the interpreter may live where nobody cannot read it.
    nobody = pwd.getpwnam("nobody")
    os.setgroups([]), os.setgid(nobody.pw_gid), os.setuid(nobody.pw_uid)
part = start_postgres(Path(sys.argv[1]), Path(sys.argv[2]))
for server in part.servers.values():
    with server.connect() as connection:
        connection.execute("SELECT 1")
    print(os.geteuid(), server.folder.stat().st_uid, server.pid, server.port, server.folder)
part.stop()
"""


def test_as_an_ordinary_user(open_folder: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", ORDINARY, WORLDS / "healthy", open_folder / "part"],
        check=False,
        capture_output=True,
        text=True,
        env={"PYTHONPATH": str(WORLDS.parents[2]), "PATH": os.environ["PATH"], "PYTHONDONTWRITEBYTECODE": "1"},
    )
    assert (done.returncode, done.stderr) == (0, "")
    caller, owner, pid, port, folder = done.stdout.split()
    assert caller == owner != "0"
    assert not Path(folder).exists()
    assert list((open_folder / "part").iterdir()) == []
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", int(port)), timeout=5)
    with pytest.raises(ProcessLookupError):
        os.kill(int(pid), 0)


def test_a_failed_start_shows_the_log_and_leaves_nothing(
    temporary: Path, started: list[subprocess.Popen[bytes]]
) -> None:
    with pytest.raises(SandboxError, match=r"while starting.*ssl_min_protocol_version") as raised:
        PostgresServer.start(find_postgres(), settings={"ssl_min_protocol_version": "TLSv9"})
    assert "\n" not in str(raised.value)
    assert_nothing_left(temporary, started)


def test_a_server_that_does_not_answer_is_ended(
    temporary: Path, started: list[subprocess.Popen[bytes]], monkeypatch: pytest.MonkeyPatch
) -> None:
    binaries = fake_server(temporary / "bin", "exec tail -f /dev/null")
    monkeypatch.setattr(postgres, "READY_SECONDS", 0.0)
    with pytest.raises(SandboxError, match="did not answer within 0 s"):
        PostgresServer.start(binaries)
    shutil.rmtree(binaries)
    assert_nothing_left(temporary, started)


def test_an_interrupted_start_leaves_nothing(
    temporary: Path, tmp_path: Path, started: list[subprocess.Popen[bytes]], monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(_server: PostgresServer, _dbname: str = "") -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(PostgresServer, "connect", interrupt)
    with pytest.raises(KeyboardInterrupt):
        start_postgres(WORLDS / "healthy", tmp_path)
    assert_nothing_left(temporary, started)
    assert list(tmp_path.iterdir()) == []


def test_an_initdb_that_fails_leaves_nothing(temporary: Path) -> None:
    binaries = fake_postgres(temporary / "bin", "17.1")
    (binaries / "initdb").write_text("#!/bin/sh\necho no space left >&2\nexit 3\n")
    with pytest.raises(SandboxError, match="initdb ended with code 3: no space left"):
        PostgresServer.start(binaries)
    assert list(temporary.iterdir()) == [binaries]


def test_a_world_that_cannot_be_filled_leaves_nothing(
    temporary: Path, tmp_path: Path, started: list[subprocess.Popen[bytes]]
) -> None:
    text = (WORLDS / "healthy" / "postgres.yaml").read_text()
    world = tmp_path / "world"
    world.mkdir()
    (world / "postgres.yaml").write_text(text.replace("owner: app", "owner: someone"))
    with pytest.raises(SandboxError, match='server app cannot be filled as its world says: role "someone" does not ex'):
        start_postgres(world, tmp_path / "part")
    assert_nothing_left(temporary, started)
    assert list((tmp_path / "part").iterdir()) == []


def assert_nothing_left(temporary: Path, started: list[subprocess.Popen[bytes]]) -> None:
    assert started
    assert all(process.returncode is not None for process in started)
    assert list(temporary.iterdir()) == []


def test_a_port_that_is_taken_meanwhile_is_no_failure(temporary: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    free_port = postgres._free_port
    with socket.create_server(("127.0.0.1", 0)) as other:
        taken = other.getsockname()[1]
        ports = [taken]
        monkeypatch.setattr(postgres, "_free_port", lambda: ports.pop() if ports else free_port())
        server = PostgresServer.start(find_postgres())
        server.stop()
    assert (server.port != taken, ports) == (True, [])
    assert list(temporary.iterdir()) == []


def test_three_ports_that_are_taken_are_a_failure(temporary: Path, started: list[subprocess.Popen[bytes]]) -> None:
    binaries = fake_server(temporary / "bin", "echo could not bind: Address already in use; exit 1")
    with pytest.raises(SandboxError, match="ended with code 1 while starting: could not bind: Address already in use"):
        PostgresServer.start(binaries)
    assert len([process for process in started if "-D" in str(process.args)]) == 3
    assert list(temporary.iterdir()) == [binaries]


def test_a_server_that_will_not_stop_is_killed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(postgres, "STOP_SECONDS", 0.05)
    deaf = "import signal; signal.signal(2, 1); signal.signal(3, 1); print(flush=True); signal.pause()"
    with (
        subprocess.Popen(["cat"], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL) as lifeline,
        subprocess.Popen([sys.executable, "-c", deaf], stdout=subprocess.PIPE) as process,
    ):
        assert process.stdout
        process.stdout.readline()
        try:
            PostgresServer(tmp_path / "gone", 1, process, lifeline).stop()
            assert process.returncode == -signal.SIGKILL
        finally:
            process.kill()


KILLED = """
import sys
from auditor.sandbox.postgres import PostgresServer, find_postgres
server = PostgresServer.start(find_postgres(), hba=["host all all all trust"])
print(server.port, server.folder, flush=True)
sys.stdin.read()
"""


def test_a_server_ends_when_its_starter_is_killed() -> None:
    with subprocess.Popen(
        [sys.executable, "-c", KILLED],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={"PYTHONPATH": str(WORLDS.parents[2]), "PATH": os.environ["PATH"]},
    ) as starter:
        assert starter.stdout
        port, folder = starter.stdout.readline().split()
        client = psycopg.connect(host="127.0.0.1", port=port, user="postgres", dbname="postgres", autocommit=True)
        starter.kill()
        # Waits for the end of the server: nothing else ends this statement early.
        with client, pytest.raises(psycopg.errors.AdminShutdown):
            client.execute("SELECT pg_sleep(60)")
    for _ in range(600):
        if not Path(folder).exists():
            break
        threading.Event().wait(0.05)
    assert not Path(folder).exists()


def test_a_folder_its_account_cannot_reach_is_not_used(monkeypatch: pytest.MonkeyPatch, open_folder: Path) -> None:
    closed = open_folder / "closed"
    closed.mkdir(mode=0o700)
    deep = open_folder / ("long" * 20)
    deep.mkdir()
    account = Account(os.geteuid(), os.getegid(), "someone else")
    for unsuitable in (closed, deep):
        monkeypatch.setattr(tempfile, "tempdir", str(unsuitable))
        folder = postgres._private_folder(account)
        folder.rmdir()
        assert folder.parent == Path("/tmp").resolve()
