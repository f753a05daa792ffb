"""Peers for the PostgreSQL probes: real servers on loopback, and scripted ones for what PostgreSQL never does."""

from __future__ import annotations

import contextlib
import os
import pwd
import shutil
import signal
import socket
import ssl
import subprocess
import tempfile
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import trustme

from auditor.sources.postgres.wire import Connection, Dial, dial_tcp

BINARIES = Path("/usr/lib/postgresql/15/bin")
# PostgreSQL refuses to run as root.
OWNER = "postgres" if os.geteuid() == 0 else None
# A thousand small files for each server: in memory, where there is such a place.
MEMORY = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None

SETTINGS = {
    "listen_addresses": "127.0.0.1",
    "unix_socket_directories": "",
    "max_connections": "20",
    "shared_buffers": "1MB",
    "dynamic_shared_memory_type": "mmap",
    "fsync": "off",
    "autovacuum": "off",
    "logging_collector": "off",
    "ssl": "on",
    "ssl_cert_file": "server.crt",
    "ssl_key_file": "server.key",
    "ssl_ca_file": "ca.crt",
}
HBA = """
hostssl   all scram_user 127.0.0.1/32 scram-sha-256
hostssl   all cert_user  127.0.0.1/32 cert
hostssl   all mtls_user  127.0.0.1/32 scram-sha-256 clientcert=verify-full
hostnossl all clear_user 127.0.0.1/32 trust
host      all md5_user   127.0.0.1/32 md5
host      all open_user  127.0.0.1/32 trust
"""


class Clusters:
    """Starts servers, each a copy of one initdb; stops exactly those it started."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self._running: list[subprocess.Popen[bytes]] = []
        self._threads: list[threading.Thread] = []
        self._own(root)
        self._run(
            "initdb", "-N", "--wal-segsize=1", "-A", "trust", "-E", "UTF8", "--locale=C.UTF-8", "-D", root / "template"
        )

    def start(self, name: str, ca: trustme.CA, certificate: trustme.LeafCert, **settings: str) -> int:
        """Start a server with this certificate and these settings; return its port once it accepts connections."""
        data = self.root / name
        shutil.copytree(self.root / "template", data)
        ca.cert_pem.write_to_path(data / "ca.crt")
        certificate.private_key_pem.write_to_path(data / "server.key")
        for blob in certificate.cert_chain_pems:
            blob.write_to_path(data / "server.crt", append=True)
        (data / "pg_hba.conf").write_text(HBA)
        for path in (data, *data.rglob("*")):
            self._own(path)
            path.chmod(0o700 if path.is_dir() else 0o600)
        for _ in range(3):  # a free port may be taken by another before the server has it
            with socket.create_server(("127.0.0.1", 0)) as probe:
                port: int = probe.getsockname()[1]
            if self._listens(data, SETTINGS | settings | {"port": str(port)}):
                return port
        raise RuntimeError(f"{name} does not start")

    def stop(self) -> None:
        for process in self._running:
            process.send_signal(signal.SIGQUIT)
        for process in self._running:
            process.wait(30)
        for thread in self._threads:
            thread.join(30)

    def _listens(self, data: Path, settings: dict[str, str]) -> bool:
        options = [part for key, value in settings.items() for part in ("-c", f"{key}={value}")]
        process = subprocess.Popen(
            [BINARIES / "postgres", "-D", data, *options], cwd=data, stderr=subprocess.PIPE, user=OWNER, group=OWNER
        )
        assert process.stderr is not None
        stderr = process.stderr
        if not any(b"ready to accept connections" in line for line in stderr):
            process.wait(30)
            stderr.close()
            return False

        def drain() -> None:
            with stderr:
                stderr.read()

        self._running.append(process)
        self._threads.append(threading.Thread(target=drain))
        self._threads[-1].start()
        return True

    def _run(self, program: str, *arguments: str | Path) -> None:
        done = subprocess.run(
            [BINARIES / program, *arguments], cwd=self.root, capture_output=True, user=OWNER, group=OWNER, check=False
        )
        assert done.returncode == 0, done.stderr.decode()

    @staticmethod
    def _own(path: Path) -> None:
        if OWNER is not None:
            entry = pwd.getpwnam(OWNER)
            os.chown(path, entry.pw_uid, entry.pw_gid)


@contextlib.contextmanager
def clusters() -> Iterator[Clusters]:
    """A place for clusters whose parents the server's user may pass through; all gone at the end."""
    root = Path(tempfile.mkdtemp(prefix="auditor-pg-", dir=MEMORY))
    try:
        root.chmod(0o755)
        made = Clusters(root)
        try:
            yield made
        finally:
            made.stop()
    finally:
        shutil.rmtree(root)


class Scripted:
    """A connection in memory: each item is what one recv gives, bytes or an error; then the end of the stream."""

    def __init__(self, items: Iterable[bytes | OSError]) -> None:
        self._items = deque(items)
        self._rest = b""
        self.sent = b""
        self.closed = False

    def sendall(self, data: bytes) -> None:
        self.sent += data

    def recv(self, size: int) -> bytes:
        if not self._rest and self._items:
            item = self._items.popleft()
            if isinstance(item, OSError):
                raise item
            self._rest = item
        data, self._rest = self._rest[:size], self._rest[size:]
        return data or (self.recv(size) if self._items else b"")

    def close(self) -> None:
        self.closed = True


def saying(*items: bytes | OSError) -> Dial:
    """A dial at which every connection says the same."""
    return lambda _host, _port, _timeout: Scripted(items)


class Cut:
    """A connection that breaks after a number of bytes came."""

    def __init__(self, inner: Connection, after: int) -> None:
        self._inner = inner
        self._left = after
        self.sendall, self.close = inner.sendall, inner.close

    def recv(self, size: int) -> bytes:
        if not self._left:
            raise ConnectionResetError("cut by the test")
        data = self._inner.recv(min(size, self._left))
        self._left -= len(data)
        return data


class Flipped:
    """A connection on which one byte is not what the peer sent."""

    def __init__(self, inner: Connection, position: int) -> None:
        self._inner = inner
        self._position = position
        self.sendall, self.close = inner.sendall, inner.close

    def recv(self, size: int) -> bytes:
        data = bytearray(self._inner.recv(size))
        if 0 <= self._position < len(data):
            data[self._position] ^= 0x01
        self._position -= len(data)
        return bytes(data)


def cutting(after: int) -> Dial:
    """A dial that lets `after` bytes of every connection come through."""
    return lambda host, port, timeout: Cut(dial_tcp(host, port, timeout), after)


def flipping(position: int) -> Dial:
    """A dial that changes one byte of every connection. A longer length makes us wait for what never comes: briefly."""
    return lambda host, port, _timeout: Flipped(dial_tcp(host, port, 0.3), position)


def as_if_at(port: int) -> Dial:
    """A dial that reaches this port of loopback whatever name is asked for: for host names that exist nowhere."""
    return lambda _host, _port, timeout: dial_tcp("127.0.0.1", port, timeout)


def first_only(first: Dial, *, then: Dial = dial_tcp) -> Dial:
    """A dial that is `first` once, and `then` from the second connection on."""
    dials = iter([first])

    def dial(host: str, port: int, timeout: float) -> Connection:
        return next(dials, then)(host, port, timeout)

    return dial


@contextlib.contextmanager
def listening(script: Callable[[socket.socket], None], *, host: str = "127.0.0.1") -> Iterator[int]:
    """A loopback server that runs `script` for each connection, one after another, and hangs up; gives its port."""
    stopping = threading.Event()
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.create_server((host, 0), family=family) as listener:
        port: int = listener.getsockname()[1]

        def serve() -> None:
            while True:
                connection, _ = listener.accept()
                with connection:
                    if stopping.is_set():
                        return
                    connection.settimeout(10)
                    with contextlib.suppress(OSError):  # the probe hung up: its own report says why
                        script(connection)

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield port
        finally:
            stopping.set()
            with socket.socket(family) as knock:
                knock.connect((host, port))
            thread.join(30)


def tls_proxy(context: ssl.SSLContext, answer: bytes, *, close: bool = False) -> Callable[[socket.socket], None]:
    """A script: agree to TLS, shake hands, read a StartupMessage, answer; close TLS, or wait for the other side to."""

    def script(connection: socket.socket) -> None:
        connection.recv(8)
        connection.sendall(b"S")
        with context.wrap_socket(connection, server_side=True) as protected:
            protected.recv(4096)
            protected.sendall(answer)
            if close:
                protected.unwrap()
            protected.recv(1)

    return script
