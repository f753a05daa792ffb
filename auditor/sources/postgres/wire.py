"""PostgreSQL's protocol up to the first authentication request, and the connection all probes share.

A probe says something, reads one answer, and closes: nothing is ever authenticated. What the peer sent is kept up to
its first authentication request, never beyond: an exchange that went on could be cracked from disk, and the bytes
behind an AuthenticationOk hold the key that cancels queries. Formats: PostgreSQL documentation, "Message Formats" and
"Error and Notice Message Fields".
"""

from __future__ import annotations

import contextlib
import re
import socket
import struct
import time
from collections.abc import Callable, Iterator
from typing import Literal, Protocol, TypeAlias

import msgspec

from auditor.model import JSON
from auditor.questions import SourceFailure

ProbeCode: TypeAlias = Literal[
    "refused", "unresolved", "timeout", "closed", "malformed", "server_error", "no_tls", "local", "handshake"
]

SSL_REQUEST = struct.pack(">ii", 8, 80877103)
PROTOCOL_3_0 = 3 << 16

# More than any answer up to the first authentication request needs, chains with all their certificate authorities
# included; a peer that goes on sending is not answering.
MAX_RECEIVED = 256 * 1024
# libpq's own bound for an error before authentication (PQconnectPoll); it takes at most 2000 for the others.
MAX_MESSAGE = 30_000
CHUNK = 16 * 1024
_LAST_PORT = 65535

_AUTHENTICATION = {
    0: "ok",
    2: "kerberos_v5",
    3: "password",
    5: "md5",
    6: "scm",
    7: "gss",
    9: "sspi",
    10: "sasl",
}
_METHOD_SIZE = 4
_SALTED = {5: _METHOD_SIZE + 4}
_SASL = 10
_ERROR_FIELDS = {
    b"C": "sqlstate",
    b"M": "text",
    b"D": "detail",
    b"H": "hint",
    b"F": "file",
    b"L": "line",
    b"R": "routine",
}
_SQLSTATE = re.compile(rb"[0-9A-Z]{5}")
_FATAL_ENOUGH = (b"ERROR", b"FATAL", b"PANIC")


class Connection(Protocol):
    """A byte stream to the peer. Methods raise TimeoutError past the deadline and other OSErrors when it breaks."""

    def sendall(self, data: bytes) -> None:
        """Send everything."""

    def recv(self, size: int) -> bytes:
        """Return one to `size` bytes, or none at the end of the stream."""

    def close(self) -> None:
        """Let go of it."""


Dial: TypeAlias = Callable[[str, int, float], Connection]


class ProbeError(SourceFailure):
    """A probe got no definite answer. `received` is what the peer sent until then.

    Codes: `refused` no TCP connection; `unresolved` no address; `timeout`; `closed` end or reset where an answer was
    due; `malformed` bytes that are no answer to what was asked; `server_error` an error in reply to SSLRequest;
    `no_tls` TLS was declined; `local` our side cannot ask (OpenSSL, certificate files); `handshake` a TLS alert that
    decides nothing.
    """

    def __init__(self, code: ProbeCode, message: str, received: bytes = b"") -> None:
        super().__init__(code, message)
        self.received = received


class Transcript(msgspec.Struct, frozen=True):
    """A definite answer: the bytes the peer sent, and what they say (each probe documents its shape)."""

    received: bytes
    parsed: dict[str, JSON]


class _TcpConnection:
    """A socket of which every operation ends by one deadline, however slowly bytes drip in."""

    def __init__(self, sock: socket.socket, deadline: float) -> None:
        self._socket = sock
        self._deadline = deadline

    def sendall(self, data: bytes) -> None:
        self._socket.settimeout(_remaining(self._deadline))
        self._socket.sendall(data)

    def recv(self, size: int) -> bytes:
        self._socket.settimeout(_remaining(self._deadline))
        return self._socket.recv(size)

    def close(self) -> None:
        self._socket.close()


def _remaining(deadline: float) -> float:
    """Seconds left until `deadline`; TimeoutError when none are (a timeout of 0 would mean "do not block")."""
    seconds = deadline - time.monotonic()
    if seconds <= 0:
        raise TimeoutError("the time of the probe is used up")
    return seconds


def dial_tcp(host: str, port: int, timeout: float) -> Connection:
    """Connect to the first address of `host` that answers; `timeout` seconds bound the connection's whole life.

    Only the name lookup has its own bounds, the resolver's. Raises OSError (socket.gaierror where there is no address).
    """
    deadline = time.monotonic() + timeout
    addresses = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    trouble: OSError = socket.gaierror(socket.EAI_NONAME, "no address")
    for index, (family, _, _, _, address) in enumerate(addresses):
        try:
            # One address that swallows packets must not use up the time of the others.
            sock = _open(family, address, _remaining(deadline) / (len(addresses) - index))
        except OSError as error:
            trouble = error
        else:
            return _TcpConnection(sock, deadline)
    raise trouble


def _open(family: int, address: tuple[object, ...], seconds: float) -> socket.socket:
    sock = socket.socket(family, socket.SOCK_STREAM)
    try:
        sock.settimeout(seconds)
        sock.connect(address)
    except BaseException:
        sock.close()
        raise
    return sock


class Peer:
    """The other end of one probe: what was asked of it last, and every byte it has sent so far."""

    def __init__(self, connection: Connection, name: str) -> None:
        self._connection = connection
        self.name = name
        self.asked = "nothing"
        self._broken = ""
        self.received = b""

    def send(self, data: bytes, asked: str = "") -> None:
        """Send `data`; `asked` names it in messages. A broken pipe is left for `more` to report.

        A peer that refuses and hangs up may do so before our last bytes reach it: its answer still waits to be read.
        """
        self.asked = asked or self.asked
        try:
            self._connection.sendall(data)
        except TimeoutError:
            raise self.error("timeout", "the question was not taken in time") from None
        except OSError as error:
            self._broken = f" ({error})"

    def more(self) -> bytes:
        """Return at least one more byte; raises `timeout`, `closed`, or `malformed` when they become too many."""
        try:
            data = self._connection.recv(CHUNK)
        except TimeoutError:
            raise self.error("timeout", f"no complete answer in time ({len(self.received)} bytes came)") from None
        except OSError as error:
            raise self.error("closed", f"the connection broke before a complete answer: {error}") from error
        self.received += data
        if not data:
            came = f"{len(self.received)} bytes came{self._broken}"
            raise self.error("closed", f"the peer hung up before a complete answer ({came})")
        if len(self.received) > MAX_RECEIVED:
            raise self.error("malformed", f"more than {MAX_RECEIVED} bytes and no complete answer")
        return data

    def error(self, code: ProbeCode, message: str, received: bytes | None = None) -> ProbeError:
        """Build the error that names the peer, what it was asked, and what came back."""
        return ProbeError(
            code, f"{self.name}, asked {self.asked}: {message}", self.received if received is None else received
        )


@contextlib.contextmanager
def connected(host: str, port: int, timeout: float, dial: Dial) -> Iterator[Peer]:
    """Dial, and hang up at the end whatever happens; ProbeError `unresolved`, `timeout`, `refused`, `local`."""
    name = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    if not 0 < port <= _LAST_PORT:  # the resolver would take 70000 for 4464: another server would answer
        raise ProbeError("local", f"{name}: there is no such port")
    try:
        connection = dial(host, port, timeout)
    except (socket.gaierror, ValueError) as error:  # ValueError: not a possible name (a NUL, a label too long)
        raise ProbeError("unresolved", f"{name}: no address for this name: {error}") from error
    except TimeoutError as error:
        raise ProbeError("timeout", f"{name}: no TCP connection in time") from error
    except OSError as error:
        raise ProbeError("refused", f"{name}: no TCP connection: {error}") from error
    try:
        yield Peer(connection, name)
    finally:
        with contextlib.suppress(OSError):
            connection.close()


class Reader:
    """Bytes in order, fetched by `more` as they are needed. `taken` are those that were consumed.

    `error` builds what is raised for bytes that do not parse, from a code, a message and the bytes taken.
    """

    def __init__(
        self, more: Callable[[], bytes], error: Callable[[ProbeCode, str, bytes], ProbeError], taken: bytes = b""
    ) -> None:
        self._more = more
        self._error = error
        self._buffer = b""
        self.taken = taken

    def exactly(self, size: int) -> bytes:
        """Consume `size` bytes; what `more` raises goes through."""
        while len(self._buffer) < size:
            self._buffer += self._more()
        data, self._buffer = self._buffer[:size], self._buffer[size:]
        self.taken += data
        return data

    def malformed(self, message: str) -> ProbeError:
        """Build the error for what was consumed so far."""
        return self._error("malformed", message, self.taken)


def request_tls(peer: Peer) -> Literal["S", "N"]:
    """Send SSLRequest and return the reply: S (TLS may begin) or N (the server declines).

    Raises `server_error` for E: an error before TLS, whose text nobody vouches for (CVE-2024-10977). Raises `malformed`
    for anything else, bytes behind the reply included: a server has nothing to say before our next move, so they were
    slipped in to be taken for its own (CVE-2021-23222).
    """
    peer.send(SSL_REQUEST, "SSLRequest")
    reply = peer.more()
    if reply == b"S":
        return "S"
    if reply == b"N":
        return "N"
    if reply[:1] == b"E":
        raise peer.error("server_error", "an error instead of S or N: the server failed before TLS")
    if reply[:1] in (b"S", b"N"):
        raise peer.error("malformed", f"{len(reply) - 1} bytes behind the reply {reply[:1].decode()}, before TLS began")
    raise peer.error("malformed", f"neither S nor N came back but {reply[:8].hex(' ')}")


def startup_message(user: str, database: str) -> bytes:
    """Return a StartupMessage of protocol 3.0; ProbeError `local` for names it cannot carry (empty, or with a NUL)."""
    try:
        names = {"user": user.encode(), "database": database.encode()}
    except UnicodeEncodeError as error:
        raise ProbeError("local", f"user {user!r}, database {database!r}: no text: {error}") from error
    body = struct.pack(">i", PROTOCOL_3_0)
    for what, name in names.items():
        if not name or b"\0" in name:  # a NUL would smuggle in other parameters
            raise ProbeError("local", f"{what} {name!r} cannot be asked for: it is empty or holds a NUL")
        body += what.encode() + b"\0" + name + b"\0"
    return _counted(body + b"\0")


def _counted(body: bytes) -> bytes:
    return struct.pack(">i", len(body) + 4) + body


def first_message(reader: Reader) -> dict[str, JSON]:
    """Read the answer to a StartupMessage, up to the first ErrorResponse or authentication request.

    An error is `{"message": "error", "severity", "sqlstate", "text"}` and, where given, `detail`, `hint`, `file`,
    `line`, `routine`; texts are in the server's language. A request is `{"message": "authentication", "method": 10,
    "name": "sasl", "mechanisms": [...]}` (mechanisms for SASL only); names are ok, kerberos_v5, password, md5, scm,
    gss, sspi, sasl. `ok` says that pg_hba.conf asks for nothing more; whether the role exists is decided only after it.
    Where the server first negotiates the protocol, `negotiated` is `{"version", "unsupported_options"}`. Anything else
    is `malformed`.
    """
    kind, body = _message(reader, (b"E", b"R", b"v"))
    negotiated: dict[str, JSON] = {}
    if kind == b"v":
        negotiated = {"negotiated": _negotiation(reader, body)}
        kind, body = _message(reader, (b"E", b"R"))
    parsed = _error(reader, body) if kind == b"E" else _authentication(reader, body)
    return parsed | negotiated


def plaintext_startup(
    *, host: str, port: int, timeout: float, user: str, database: str, dial: Dial = dial_tcp
) -> Transcript:
    """Ask to start a session in the clear; parsed as `first_message` says. Raises ProbeError."""
    startup = startup_message(user, database)
    with connected(host, port, timeout, dial) as peer:
        peer.send(startup, f"to start a session in the clear (user {user!r}, database {database!r})")
        reader = Reader(peer.more, peer.error)
        parsed = first_message(reader)
        return Transcript(reader.taken, parsed)


def _message(reader: Reader, allowed: tuple[bytes, ...]) -> tuple[bytes, bytes]:
    kind = reader.exactly(1)
    if kind not in allowed:
        raise reader.malformed(f"a message of type {kind!r} came back, which cannot answer that")
    (length,) = struct.unpack(">i", reader.exactly(4))
    if not _METHOD_SIZE <= length <= MAX_MESSAGE:
        raise reader.malformed(f"a message {kind!r} with the impossible length {length} came back")
    return kind, reader.exactly(length - 4)


def _error(reader: Reader, body: bytes) -> dict[str, JSON]:
    # Type byte, text, NUL, for each field; then one more NUL. So no item is empty but the one behind the last field.
    *items, rest = body[:-1].split(b"\0")
    fields: dict[bytes, bytes] = {item[:1]: item[1:] for item in items}
    if body[-1:] != b"\0" or rest or len(fields) != len(items) or not all(kind.isalpha() for kind in fields):
        raise reader.malformed("an ErrorResponse whose fields do not parse came back")
    severity = fields.get(b"V", fields.get(b"S"))  # V is never translated, but older than 9.6 there is only S
    if severity is None or b"M" not in fields or not _SQLSTATE.fullmatch(fields.get(b"C", b"")):
        raise reader.malformed("an ErrorResponse without severity, SQLSTATE or message came back")
    if b"V" in fields and severity not in _FATAL_ENOUGH:
        raise reader.malformed(f"an ErrorResponse of severity {_text(severity)!r} came back")
    return {"message": "error", "severity": _text(severity)} | {
        name: _text(fields[kind]) for kind, name in _ERROR_FIELDS.items() if kind in fields
    }


def _authentication(reader: Reader, body: bytes) -> dict[str, JSON]:
    method = int.from_bytes(body[:_METHOD_SIZE], "big") if len(body) >= _METHOD_SIZE else -1
    if method not in _AUTHENTICATION:
        raise reader.malformed(f"an authentication request of unknown kind {method} came back")
    parsed: dict[str, JSON] = {"message": "authentication", "method": method, "name": _AUTHENTICATION[method]}
    if method == _SASL:
        mechanisms = body[_METHOD_SIZE:-2].split(b"\0")  # each ends with a NUL, the list with another
        if not body.endswith(b"\0\0") or not all(mechanisms):
            raise reader.malformed("a SASL request whose list of mechanisms does not parse came back")
        return parsed | {"mechanisms": [_text(mechanism) for mechanism in mechanisms]}
    if len(body) != _SALTED.get(method, _METHOD_SIZE):
        raise reader.malformed(f"an authentication request {parsed['name']} of the wrong length came back")
    return parsed


def _negotiation(reader: Reader, body: bytes) -> dict[str, JSON]:
    head = 8
    if len(body) >= head:
        version, count = struct.unpack(">ii", body[:head])
        *options, rest = body[head:].split(b"\0")
        if not rest and len(options) == count and all(options):
            return {"version": version, "unsupported_options": [_text(option) for option in options]}
    raise reader.malformed("a NegotiateProtocolVersion that does not parse came back")


def _text(value: bytes) -> str:
    """Decode text whose encoding nobody states before a session exists; what is not UTF-8 stays visible as escapes."""
    return value.decode("utf-8", "backslashreplace")
