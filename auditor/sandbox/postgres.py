"""A real PostgreSQL server on loopback: found on this machine, started for one demo world, gone without a trace.

It runs as the caller, or, where the caller is root (PostgreSQL refuses root), as `postgres` or else `nobody`.
"""

import contextlib
import os
import pwd
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from glob import glob
from pathlib import Path
from typing import IO

import psycopg

from auditor.sandbox.certificates import Account, write_private
from auditor.sandbox.part import SandboxError

OLDEST = 15
# Debian, Homebrew on Apple silicon, Homebrew on Intel: where packages put the server outside PATH.
PACKAGE_FOLDERS = (
    "/usr/lib/postgresql/*/bin",
    "/opt/homebrew/opt/postgresql*/bin",
    "/usr/local/opt/postgresql*/bin",
)
INSTALL = "`apt-get install postgresql` (Debian, Ubuntu) or `brew install postgresql@17` (macOS)"

QUOTE = "'"
ADMINISTRATOR = "postgres"
READY_SECONDS = 60.0
STOP_SECONDS = 20.0
POLL_SECONDS = 0.02
LOG_LINES = 6
LONGEST_SOCKET_PATH = 103  # bytes; the smallest sun_path of the systems we run on (macOS) is 104 with its NUL
PORT_ATTEMPTS = 3

# A throw-away cluster: nothing it holds needs to survive a power cut, and nothing outside this machine may reach it.
SETTINGS = {
    "listen_addresses": "127.0.0.1",
    "fsync": "off",
    "synchronous_commit": "off",
    "full_page_writes": "off",
    "wal_level": "minimal",
    "max_wal_senders": "0",
    "autovacuum": "off",
    "shared_buffers": "16MB",
    "password_encryption": "scram-sha-256",
    "lc_messages": "C",
    "timezone": "UTC",
    "log_timezone": "UTC",
}
# The administrator comes in through the socket, whose folder only the server's account (and root) can enter.
ADMINISTRATOR_LINE = f"local all {ADMINISTRATOR} trust"
# Waits for a line or for the end of its input. The end without a line means that we were killed: then it does our work.
LIFELINE = 'read -r _ && exit; "$1/pg_ctl" stop --mode=fast --pgdata="$2/data"; rm -rf "$2"'
# Nothing of the caller's PG* variables, locale or OpenSSL settings may change what a world is.
ENVIRONMENT = {"PATH": "/usr/local/bin:/usr/bin:/bin", "LC_ALL": "C", "TZ": "UTC"}


class _PortTakenError(SandboxError):
    """Between our asking for a free port and the server's using it, someone else took it."""


def find_postgres(path: str | None = None, package_folders: Sequence[str] = PACKAGE_FOLDERS) -> Path:
    """Find the folder with the programs of version 15 or later: PATH first, then packages, newest first.

    `path` stands for PATH (None: the caller's). Raises SandboxError saying what to install where there is none.
    """
    candidates = [Path(folder) for folder in (os.environ.get("PATH", "") if path is None else path).split(os.pathsep)]
    for pattern in package_folders:
        candidates += sorted(map(Path, glob(pattern)), key=_numbers, reverse=True)  # noqa: PTH207 - absolute pattern
    account = server_account()
    older = []
    for folder in candidates:
        version = _version(folder, account)
        if version is not None and version >= OLDEST:
            return folder
        if version is not None:
            older.append(f"{version} in {folder}")
    found = f"found only {', '.join(older)}" if older else "found none"
    raise SandboxError(f"The demo world needs PostgreSQL {OLDEST} or later, {found}. Install it: {INSTALL}")


def server_account() -> Account | None:
    """The account servers run as: None is the caller's own, which will do unless the caller is root."""
    if os.geteuid() != 0:
        return None
    for name in ("postgres", "nobody"):
        with contextlib.suppress(KeyError):
            entry = pwd.getpwnam(name)
            return Account(entry.pw_uid, entry.pw_gid, name)
    raise SandboxError("PostgreSQL refuses to run as root, and there is no account `postgres` or `nobody`: add one")


@contextlib.contextmanager
def initialised(binaries: Path, count: int = 1) -> Iterator[list[Path]]:
    """Give the data folders of so many empty clusters. Servers take theirs; what is not taken is removed at the end."""
    account = server_account()
    folder = _private_folder(account)
    try:
        data = [folder / str(number) for number in range(count)]
        _initialise(binaries, data[0], account)
        for copy in data[1:]:
            # A tenth of the time of another initdb.
            _run(["cp", "-R", str(data[0]), str(copy)], account)
        yield data
    finally:
        shutil.rmtree(folder)


class PostgresServer:
    """One running cluster: listens on 127.0.0.1 and on a socket only its administrator can reach."""

    def __init__(
        self, folder: Path, port: int, process: subprocess.Popen[bytes], lifeline: subprocess.Popen[bytes]
    ) -> None:
        self.folder = folder
        self.port = port
        self.pid = process.pid
        self._process = process
        self._lifeline = lifeline

    @classmethod
    def start(
        cls,
        binaries: Path,
        *,
        data: Path | None = None,
        settings: Mapping[str, str] | None = None,
        hba: Sequence[str] = (),
        files: Mapping[str, bytes] | None = None,
    ) -> "PostgresServer":
        """Start a cluster and return once it answers.

        `data` is a folder of `initialised`, which the server takes (None: it makes its own); `settings` are lines of
        postgresql.conf over our own, `hba` those of pg_hba.conf after the administrator's; `files` (certificates,
        keys) go into the data folder, readable by the server alone. Raises SandboxError with the end of the server's
        log, and leaves nothing behind.
        """
        account = server_account()
        folder = _private_folder(account)
        lifeline = _spawn(["/bin/sh", "-c", LIFELINE, "lifeline", str(binaries), str(folder)], account, subprocess.PIPE)
        try:
            own = folder / "data"
            if data is None:
                _initialise(binaries, own, account)
            else:
                data.rename(own)
            for name, content in (files or {}).items():
                write_private(own / name, content, account)
            lines = [ADMINISTRATOR_LINE, *hba]
            (own / "pg_hba.conf").write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
            text = {**SETTINGS, **(settings or {}), "unix_socket_directories": str(folder)}
            for _ in range(PORT_ATTEMPTS - 1):
                with contextlib.suppress(_PortTakenError):
                    return cls._launch(binaries, folder, text, account, lifeline)
            return cls._launch(binaries, folder, text, account, lifeline)
        except BaseException:
            shutil.rmtree(folder)
            _let_go(lifeline)
            raise

    @classmethod
    def _launch(
        cls,
        binaries: Path,
        folder: Path,
        settings: Mapping[str, str],
        account: Account | None,
        lifeline: subprocess.Popen[bytes],
    ) -> "PostgresServer":
        port = _free_port()
        lines = (f"{name} = '{value.replace(QUOTE, QUOTE * 2)}'\n" for name, value in settings.items())
        (folder / "data" / "postgresql.conf").write_text(f"{''.join(lines)}port = {port}\n", encoding="utf-8")
        with (folder / "log").open("wb") as log:
            process = _spawn([str(binaries / "postgres"), "-D", str(folder / "data")], account, output=log)
        server = cls(folder, port, process, lifeline)
        try:
            server._await_ready()
        except BaseException:
            server._end()
            raise
        return server

    def connect(self, dbname: str = "postgres") -> psycopg.Connection:
        """Connect as the administrator, in autocommit mode."""
        return psycopg.connect(
            host=str(self.folder),
            port=self.port,
            user=ADMINISTRATOR,
            dbname=dbname,
            sslmode="disable",
            client_encoding="UTF8",
            connect_timeout=10,
            autocommit=True,
        )

    def stop(self) -> None:
        """End the server and remove its files. A second call does nothing."""
        self._end()
        if self.folder.exists():
            shutil.rmtree(self.folder)
        _let_go(self._lifeline)

    def log_tail(self) -> str:
        """The last lines of the server's log, on one line."""
        lines = (self.folder / "log").read_text(encoding="utf-8", errors="replace").splitlines()
        return " | ".join(line.strip() for line in lines[-LOG_LINES:] if line.strip())

    def _await_ready(self) -> None:
        deadline = time.monotonic() + READY_SECONDS
        while time.monotonic() < deadline:
            with contextlib.suppress(psycopg.OperationalError):
                self.connect().close()
                return
            # The pause between two attempts ends early when the server does.
            with contextlib.suppress(subprocess.TimeoutExpired):
                code, log = self._process.wait(POLL_SECONDS), self.log_tail()
                error = _PortTakenError if "Address already in use" in log else SandboxError
                raise error(f"PostgreSQL ended with code {code} while starting: {log}")
        raise SandboxError(f"PostgreSQL did not answer within {READY_SECONDS:.0f} s: {self.log_tail()}")

    def _end(self) -> None:
        """Fast shutdown, then immediate, then the last resort: each only if the one before took too long."""
        for how in (signal.SIGINT, signal.SIGQUIT, signal.SIGKILL):
            self._process.send_signal(how)
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(STOP_SECONDS)
                return


def _initialise(binaries: Path, data: Path, account: Account | None) -> None:
    # The C locale exists everywhere; small WAL segments are quick to write.
    options = ["--no-sync", "--no-instructions", "--encoding=UTF8", "--locale=C", "--auth=trust", "--wal-segsize=1"]
    _run([str(binaries / "initdb"), *options, f"--username={ADMINISTRATOR}", f"--pgdata={data}"], account)


def _spawn(
    arguments: Sequence[str], account: Account | None, stdin: int = subprocess.DEVNULL, output: IO[bytes] | None = None
) -> subprocess.Popen[bytes]:
    """Start a program that stays, as the server's account."""
    return subprocess.Popen(
        arguments,
        stdin=stdin,
        stdout=output or subprocess.DEVNULL,
        stderr=output or subprocess.DEVNULL,
        env=ENVIRONMENT,
        cwd="/",
        umask=0o077,
        start_new_session=True,  # Ctrl-C is for us: we end the server after the audit has closed its files
        user=account.uid if account else None,
        group=account.gid if account else None,
        extra_groups=[] if account else None,
    )


def _let_go(lifeline: subprocess.Popen[bytes]) -> None:
    """Tell the lifeline that there is nothing left to do."""
    if lifeline.returncode is None:
        lifeline.communicate(b"\n")


def _run(arguments: Sequence[str], account: Account | None) -> str:
    """Run a program to its end as the server's account and give its output."""
    try:
        done = subprocess.run(
            arguments,
            check=False,
            capture_output=True,
            text=True,
            errors="replace",
            stdin=subprocess.DEVNULL,
            env=ENVIRONMENT,
            cwd="/",
            umask=0o077,
            user=account.uid if account else None,
            group=account.gid if account else None,
            extra_groups=[] if account else None,
        )
    except OSError as error:
        raise SandboxError(f"{arguments[0]} cannot be run: {error}") from error
    if done.returncode:
        tail = " | ".join((done.stdout + done.stderr).strip().splitlines()[-LOG_LINES:])
        raise SandboxError(f"{arguments[0]} ended with code {done.returncode}: {tail}")
    return done.stdout


def _version(folder: Path, account: Account | None) -> int | None:
    """The major version of the server in a folder; None where there is none that the server's account can run."""
    programs = [shutil.which(name, path=str(folder)) for name in ("postgres", "initdb", "pg_ctl")]
    if not folder.is_absolute() or None in programs:
        return None
    try:
        stated = re.search(r"\(PostgreSQL\) (\d+)", _run([str(folder / "postgres"), "--version"], account))
    except SandboxError:
        return None
    return int(stated[1]) if stated else None


def _numbers(folder: Path) -> list[int]:
    """The numbers in a path: 9 sorts before 15."""
    return [int(number) for number in re.findall(r"\d+", str(folder))]


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _private_folder(account: Account | None) -> Path:
    """Make a folder only the server's account can enter, where it can be reached and its socket path is short enough.

    The caller's own folder may be neither: root's is closed to others, and a test's path is long.
    """
    for parent in (Path(tempfile.gettempdir()).resolve(), Path("/tmp").resolve()):  # noqa: S108 - mkdtemp below
        longest = parent / "auditor-pg-12345678" / ".s.PGSQL.65535"
        # Another account enters a folder only where everyone may (the others-execute bit of each on the way).
        reachable = account is None or all(step.stat().st_mode & 0o001 for step in (parent, *parent.parents))
        if reachable and len(os.fsencode(longest)) <= LONGEST_SOCKET_PATH:
            folder = Path(tempfile.mkdtemp(prefix="auditor-pg-", dir=parent))
            if account is not None:
                os.chown(folder, account.uid, account.gid)
            return folder
    raise SandboxError(
        "No temporary folder is open to the server's account and short enough for its socket: set TMPDIR"
    )
