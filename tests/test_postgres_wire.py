"""The PostgreSQL wire: what is a definite answer to a probe, and that nothing else passes for one."""

from __future__ import annotations

import contextlib
import itertools
import socket
import struct
import time
from collections.abc import Callable, Iterator

import pytest
import trustme
from hypothesis import given, settings
from hypothesis import strategies as st

from auditor.sources.postgres.wire import Connection, Dial, ProbeError, Transcript, dial_tcp, plaintext_startup
from tests.postgres_bytes import (
    ACCEPTANCE,
    REFUSAL,
    REFUSED,
    SASL,
    error,
    failing,
    failure,
    message,
    new,
    old,
    record,
    session,
    startup,
)
from tests.postgres_servers import Scripted, clusters, listening, saying

# --- what the server says to a StartupMessage -------------------------------------------------------------------------


def test_an_error_is_read_field_by_field() -> None:
    answer = startup(saying(REFUSAL))
    assert answer.received == REFUSAL
    assert answer.parsed == {
        "message": "error",
        "severity": "FATAL",
        "sqlstate": "28000",
        "text": "no pg_hba.conf entry",
        "file": "auth.c",
        "line": "544",
        "routine": "ClientAuthentication",
    }


def test_text_of_unknown_encoding_and_unknown_fields_are_no_obstacle() -> None:
    answer = startup(saying(error("SÉCHEC".encode("latin-1"), b"C28000", b"M", b"Zfuture")))
    assert answer.parsed == {"message": "error", "severity": "\\xc9CHEC", "sqlstate": "28000", "text": ""}


@pytest.mark.parametrize(
    ("body", "name"),
    [
        (b"\0\0\0\0", "ok"),
        (b"\0\0\0\x02", "kerberos_v5"),
        (b"\0\0\0\x03", "password"),
        (b"\0\0\0\x05salt", "md5"),
        (b"\0\0\0\x06", "scm"),
        (b"\0\0\0\x07", "gss"),
        (b"\0\0\0\x09", "sspi"),
    ],
)
def test_an_authentication_request_is_named(body: bytes, name: str) -> None:
    answer = startup(saying(message(b"R", body)))
    assert answer.parsed == {"message": "authentication", "method": body[3], "name": name}


def test_sasl_lists_its_mechanisms() -> None:
    assert startup(saying(SASL)).parsed["mechanisms"] == ["SCRAM-SHA-256-PLUS", "SCRAM-SHA-256"]


def test_what_follows_the_first_request_is_not_kept() -> None:
    key_data = message(b"K", b"\0\0\0\x01\xde\xad\xbe\xef")
    answer = startup(saying(message(b"R", bytes(4)) + key_data))
    assert answer.received == message(b"R", bytes(4))


def test_a_negotiation_is_noted_and_the_answer_awaited() -> None:
    negotiation = message(b"v", struct.pack(">ii", 3 << 16, 1) + b"_pq_.x\0")
    answer = startup(saying(negotiation + SASL))
    assert answer.parsed["name"] == "sasl"
    assert answer.parsed["negotiated"] == {"version": 3 << 16, "unsupported_options": ["_pq_.x"]}
    assert answer.received == negotiation + SASL
    assert failing(startup, negotiation).code == "closed"
    assert failing(startup, negotiation + negotiation + SASL).code == "malformed"


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param(b"HTTP/1.1 400 Bad Request\r\n\r\n", id="HTTP"),
        pytest.param(b"N", id="a reply to another question"),
        pytest.param(message(b"N", b"SNOTICE\0\0"), id="a notice"),
        pytest.param(b"Esorry, too many clients already\n\0", id="an error of protocol 2"),
        pytest.param(b"E\0\0\0\x03", id="too short for its own length"),
        pytest.param(b"R\0\0\0\x02\0\0\0\0xx", id="too short, though what follows would do"),
        pytest.param(b"E\xff\xff\xff\xff", id="negative length"),
        pytest.param(b"E\x7f\xff\xff\xff", id="giant length"),
        pytest.param(message(b"E", b"SFATAL\0C28000\0M" + b"x" * 30000 + b"\0\0"), id="longer than libpq takes"),
        pytest.param(message(b"E", b""), id="no fields, no end"),
        pytest.param(message(b"E", b"\0"), id="no fields"),
        pytest.param(message(b"E", b"SFATAL\0C28000\0Mtext\0"), id="no final NUL"),
        pytest.param(message(b"E", b"SFATAL\0C28000\0Mtext\0Rroutine\0"), id="no final NUL behind a field to spare"),
        pytest.param(message(b"E", b"SFATAL\0C28000\0Mtext\0x"), id="something else at the end"),
        pytest.param(message(b"E", b"SFATAL\0C28000\0Mtext\0\0\0"), id="one NUL too many"),
        pytest.param(message(b"E", b"SFATAL\0\0C28000\0Mtext\0\0"), id="end in the middle"),
        pytest.param(error(b"SFATAL", b"C28000", b"Mtext", b"C00000"), id="a field twice"),
        pytest.param(error(b"SFATAL", b"C28000", b"Mtext", b"1text"), id="a field type that is no letter"),
        pytest.param(error(b"C28000", b"Mtext"), id="no severity"),
        pytest.param(error(b"SFATAL", b"Mtext"), id="no SQLSTATE"),
        pytest.param(error(b"SFATAL", b"C28000"), id="no message"),
        pytest.param(error(b"SFATAL", b"C2800", b"Mtext"), id="short SQLSTATE"),
        pytest.param(error(b"SFATAL", b"C28-00", b"Mtext"), id="SQLSTATE with a dash"),
        pytest.param(error(b"SFATAL", b"C280001", b"Mtext"), id="long SQLSTATE"),
        pytest.param(error(b"SFATAL", b"VNOTICE", b"C28000", b"Mtext"), id="an error that is none"),
        pytest.param(message(b"R", b"\0\0\0"), id="request too short"),
        pytest.param(message(b"R", b"\0\0\0\0\0"), id="ok too long"),
        pytest.param(message(b"R", b"\0\0\0\x05sal"), id="salt too short"),
        pytest.param(message(b"R", b"\0\0\0\x04sa"), id="crypt, unknown since 8.4"),
        pytest.param(message(b"R", b"\0\0\0\x0bdata"), id="SASL continued before it began"),
        pytest.param(message(b"R", b"\xff\xff\xff\xff"), id="request of negative kind"),
        pytest.param(message(b"R", b"\0\0\0\x0a"), id="SASL without a list"),
        pytest.param(message(b"R", b"\0\0\0\x0a\0"), id="SASL with an empty list"),
        pytest.param(message(b"R", b"\0\0\0\x0aSCRAM-SHA-256\0"), id="SASL list without end"),
        pytest.param(message(b"R", b"\0\0\0\x0aSCRAM\0\0SHA\0\0"), id="SASL list with two ends"),
        pytest.param(message(b"v", b"\0\3\0") + SASL, id="negotiation too short"),
        pytest.param(message(b"v", struct.pack(">ii", 3 << 16, 2) + b"a\0") + SASL, id="negotiation miscounted"),
        pytest.param(message(b"v", struct.pack(">ii", 3 << 16, 1) + b"a\0b") + SASL, id="negotiation without end"),
        pytest.param(message(b"v", struct.pack(">ii", 3 << 16, 1) + b"\0") + SASL, id="negotiation of nothing"),
    ],
)
def test_anything_else_is_malformed(answer: bytes) -> None:
    caught = failing(startup, answer)
    assert caught.code == "malformed"
    assert answer.startswith(caught.received)
    assert "127.0.0.1:5432, asked to start a session in the clear" in str(caught)


@pytest.mark.parametrize("answer", [REFUSAL, SASL, message(b"R", bytes(4))])
def test_cut_off_at_any_byte_it_is_no_answer(answer: bytes) -> None:
    for size in range(len(answer)):
        assert failing(startup, answer[:size]).code == "closed"
        broken = failing(startup, answer[:size], ConnectionResetError("reset"))
        assert (broken.code, broken.received) == ("closed", answer[:size])
        late = failing(startup, answer[:size], TimeoutError())
        assert (late.code, late.received) == ("timeout", answer[:size])
    assert startup(saying(*(bytes([byte]) for byte in answer))) == startup(saying(answer))


def test_the_question_is_exactly_a_startup_message_and_the_connection_is_closed() -> None:
    connection = Scripted([SASL])
    startup(lambda _host, _port, _timeout: connection, user="zoë", database="app")
    assert connection.sent == b"\0\0\0\x20\0\3\0\0user\0zo\xc3\xab\0database\0app\0\0"
    assert connection.closed
    broken = Scripted([b"X"])
    failure(lambda: startup(lambda _host, _port, _timeout: broken))
    assert broken.closed


@pytest.mark.parametrize("name", ["", "a\0options\0-c x=y", "\ud800"])
def test_a_name_the_message_cannot_carry_is_never_asked(name: str) -> None:
    dialled: list[str] = []

    def dial(host: str, _port: int, _timeout: float) -> Scripted:
        dialled.append(host)
        return Scripted([SASL])

    assert failure(lambda: startup(dial, user=name)).code == "local"
    assert failure(lambda: startup(dial, database=name)).code == "local"
    assert not dialled


# --- the connection ---------------------------------------------------------------------------------------------------


def test_no_connection_is_a_refusal_only_where_the_peer_refused() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    where = {"host": "127.0.0.1", "port": port, "timeout": 5.0}
    caught = failure(lambda: plaintext_startup(**where, user="u", database="d"))
    assert (caught.code, caught.received) == ("refused", b"")
    assert f"127.0.0.1:{port}" in str(caught)
    caught = failure(lambda: plaintext_startup(**where | {"host": "x" * 64 + ".test"}, user="u", database="d"))
    assert caught.code == "unresolved"
    assert failure(lambda: plaintext_startup(**where | {"host": ""}, user="u", database="d")).code == "unresolved"


@pytest.mark.parametrize("port", [65536 + 5432, 0, -1])
def test_a_port_that_cannot_be_is_not_taken_for_another(port: int) -> None:
    # getaddrinfo cuts 70968 down to 5432: some other service would answer.
    caught = failure(
        lambda: plaintext_startup(host="h", port=port, timeout=1, user="u", database="d", dial=saying(REFUSAL))
    )
    assert caught.code == "local"


@pytest.mark.parametrize(
    ("trouble", "code"),
    [
        (socket.gaierror(socket.EAI_NONAME, "no such name"), "unresolved"),
        (TimeoutError("timed out"), "timeout"),
        (ConnectionRefusedError("refused"), "refused"),
        (OSError("network is unreachable"), "refused"),
    ],
)
def test_what_a_dial_raises_is_told_apart(trouble: OSError, code: str) -> None:
    def dial(_host: str, _port: int, _timeout: float) -> Scripted:
        raise trouble

    assert failure(lambda: startup(dial)).code == code


def test_an_answer_is_read_even_where_our_question_came_too_late() -> None:
    class Hasty(Scripted):
        def sendall(self, data: bytes) -> None:  # noqa: ARG002 - the signature of a connection
            raise BrokenPipeError("they hung up")

    class Stuck(Scripted):
        def sendall(self, data: bytes) -> None:  # noqa: ARG002 - the signature of a connection
            raise TimeoutError

    assert startup(lambda _host, _port, _timeout: Hasty([REFUSAL])).parsed["sqlstate"] == "28000"
    assert failure(lambda: startup(lambda _host, _port, _timeout: Hasty([]))).code == "closed"
    assert failure(lambda: startup(lambda _host, _port, _timeout: Stuck([REFUSAL]))).code == "timeout"


def test_the_first_address_that_answers_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        closed = listener.getsockname()[1]

    def script(connection: socket.socket) -> None:
        connection.recv(100)
        connection.sendall(SASL)

    with listening(script) as port, monkeypatch.context() as patch:
        candidates = [
            (12345, socket.SOCK_STREAM, 6, "", ("no such family", 1)),
            (socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", closed)),
            (socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", port)),
        ]
        patch.setattr(socket, "getaddrinfo", lambda *_args, **_kwargs: candidates)
        assert startup(dial_tcp).parsed["name"] == "sasl"
        candidates[2:] = []
        assert failure(lambda: startup(dial_tcp)).code == "refused"
        candidates.clear()
        assert failure(lambda: startup(dial_tcp)).code == "unresolved"


def hang_up(_connection: socket.socket) -> None:
    """Say nothing."""


def reset(connection: socket.socket) -> None:
    connection.recv(8)
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def wait(connection: socket.socket) -> None:
    while connection.recv(100):
        pass


@pytest.mark.parametrize(("script", "code"), [(hang_up, "closed"), (reset, "closed"), (wait, "timeout")])
@pytest.mark.parametrize("probe", [startup, old, new, session])
def test_silence_is_no_answer(
    probe: Callable[[Dial], Transcript], script: Callable[[socket.socket], None], code: str
) -> None:
    with listening(script) as port:
        assert failure(lambda: probe(lambda _host, _port, _timeout: dial_tcp("127.0.0.1", port, 0.2))).code == code


def test_one_deadline_bounds_a_peer_that_drips(monkeypatch: pytest.MonkeyPatch) -> None:
    class Dripping:
        """Every byte arrives just when it is asked for, so no single wait is ever long."""

        def __init__(self, connection: Connection, peer: socket.socket) -> None:
            self._connection = connection
            self._peer = peer
            self._drops = iter(REFUSAL)
            self.sendall = connection.sendall

        def recv(self, size: int) -> bytes:
            self._peer.sendall(bytes([next(self._drops)]))
            return self._connection.recv(size)

        def close(self) -> None:
            self._connection.close()
            self._peer.close()

    def drip(seconds: float) -> Transcript:
        clock = itertools.count()  # a second passes at every look at it
        with socket.create_server(("127.0.0.1", 0)) as listener, monkeypatch.context() as patch:
            patch.setattr(time, "monotonic", lambda: float(next(clock)))

            def dial(_host: str, _port: int, timeout: float) -> Dripping:
                connection = dial_tcp("127.0.0.1", listener.getsockname()[1], timeout)
                return Dripping(connection, listener.accept()[0])

            return plaintext_startup(host="h", port=1, timeout=seconds, user="u", database="d", dial=dial)

    assert drip(1000).parsed["sqlstate"] == "28000"
    caught = failure(lambda: drip(10))
    assert (caught.code, caught.received) == ("timeout", REFUSAL[:7])


@pytest.fixture(scope="module")
def server() -> Iterator[int]:
    ca = trustme.CA()
    with clusters() as made:
        yield made.start("default", ca, ca.issue_cert("localhost"))


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_a_real_server_refuses_plaintext_where_only_tls_is_allowed(server: int, host: str) -> None:
    refused = plaintext_startup(host=host, port=server, timeout=5, user="scram_user", database="app").parsed
    assert refused["sqlstate"] == "28000"
    assert "no encryption" in refused["text"]
    assert refused["routine"] == "ClientAuthentication"


@pytest.mark.parametrize(("user", "name"), [("clear_user", "ok"), ("open_user", "ok"), ("md5_user", "sasl")])
def test_a_real_server_accepts_plaintext_where_it_is_allowed(server: int, user: str, name: str) -> None:
    answer = plaintext_startup(host="127.0.0.1", port=server, timeout=5, user=user, database="app")
    assert (answer.parsed["message"], answer.parsed["name"]) == ("authentication", name)
    assert len(answer.received) == 1 + int.from_bytes(answer.received[1:5], "big")


# --- whatever comes ---------------------------------------------------------------------------------------------------

TLS_LIKE = st.builds(
    record, st.sampled_from([20, 21, 22, 23]), st.binary(max_size=80), st.sampled_from([0x0301, 0x0302, 0x0303])
)
ANYTHING = st.lists(
    st.one_of(st.binary(max_size=40), TLS_LIKE, st.sampled_from([REFUSAL, SASL, ACCEPTANCE])), max_size=6
)


@given(chunks=ANYTHING, tls=st.booleans())
@settings(max_examples=300, deadline=None)
def test_no_bytes_lead_to_anything_but_an_answer_or_a_probe_error(chunks: list[bytes], tls: bool) -> None:  # noqa: FBT001
    dial = saying(*([b"S"] if tls else []), *chunks)
    with contextlib.suppress(ProbeError):
        assert startup(dial).parsed["message"] in ("error", "authentication")
    with contextlib.suppress(ProbeError):
        assert old(dial).parsed["result"] in ("refused", "other_alert", "no_tls", "accepted")
    with contextlib.suppress(ProbeError):
        assert new(dial).parsed["result"] in ("refused", "no_tls")
    with contextlib.suppress(ProbeError):
        raise AssertionError(session(dial))  # without keys no answer can be made up


EDITS = st.lists(st.tuples(st.integers(0, 200), st.integers(0, 255)), min_size=1, max_size=4)


@given(edits=EDITS)
@settings(max_examples=300, deadline=None)
def test_no_corruption_turns_a_refusal_into_an_acceptance(edits: list[tuple[int, int]]) -> None:
    for refusal, probe, accepted in (
        (REFUSAL, startup, ("message", "authentication")),
        (b"S" + REFUSED, old, ("result", "accepted")),
        (b"S" + record(21, b"\x02\x28"), old, ("result", "accepted")),
    ):
        damaged = bytearray(refusal)
        for position, value in edits:
            damaged[position % len(damaged)] = value
        with contextlib.suppress(ProbeError):
            key, word = accepted
            first, rest = bytes(damaged[:1]), bytes(damaged[1:])
            assert probe(saying(first, rest)).parsed.get(key) != word
