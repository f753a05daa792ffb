"""What comes back to SSLRequest and a ClientHello: which bytes are acceptance, which refusal, and that no others."""

from __future__ import annotations

import struct
from collections.abc import Callable

import pytest

from auditor.sources.postgres import hello
from auditor.sources.postgres.tls import old_tls
from auditor.sources.postgres.wire import Dial, Transcript
from tests.postgres_bytes import (
    ACCEPTANCE,
    FLIGHT,
    REFUSAL,
    REFUSED,
    REST,
    error,
    failing,
    failure,
    handshake,
    new,
    old,
    record,
    server_hello,
    session,
)
from tests.postgres_servers import Scripted, saying

# --- the reply to SSLRequest ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("probe", [old, new, session])
@pytest.mark.parametrize(
    ("reply", "code"),
    [
        (b"E", "server_error"),
        (error(b"SFATAL", b"C53300", b"Msorry"), "server_error"),
        (b"S" + REFUSED, "malformed"),
        (b"SSH-2.0-OpenSSH_9.2\r\n", "malformed"),
        (b"N" + REFUSAL, "malformed"),
        (b"G", "malformed"),
        (b"\0", "malformed"),
        (REFUSED, "malformed"),
        (b"HTTP/1.1 400 Bad Request", "malformed"),
        (b"", "closed"),
    ],
)
def test_only_one_single_byte_answers_an_ssl_request(
    probe: Callable[[Dial], Transcript], reply: bytes, code: str
) -> None:
    caught = failing(probe, reply)
    assert (caught.code, caught.received) == (code, reply)
    assert "asked SSLRequest" in str(caught)


@pytest.mark.parametrize("probe", [old, new])
def test_n_says_that_there_is_no_tls(probe: Callable[[Dial], Transcript]) -> None:
    assert probe(saying(b"N")) == Transcript(b"N", {"result": "no_tls"})


def test_n_is_no_answer_where_tls_is_needed() -> None:
    assert failing(session, b"N").code == "no_tls"


# --- the answer to a raw ClientHello ----------------------------------------------------------------------------------


def test_a_server_hello_and_the_rest_of_the_flight_is_acceptance() -> None:
    answer = old(saying(b"S", ACCEPTANCE))
    assert answer.parsed == {"result": "accepted", "version": "TLSv1.0", "cipher": "ECDHE-RSA-AES256-SHA"}
    assert answer.received == b"S" + ACCEPTANCE
    without_extensions = record(22, server_hello(tail=b"") + REST)
    assert old(saying(b"S", without_extensions)).parsed == answer.parsed


def test_alert_70_is_refusal_whatever_follows_it() -> None:
    answer = old(saying(b"S", REFUSED + record(21, b"\x01\x00")))
    assert answer.parsed == {"result": "refused", "alert": 70, "alert_name": "protocol_version"}
    assert answer.received == b"S" + REFUSED


@pytest.mark.parametrize(("number", "name"), [(40, "handshake_failure"), (80, "internal_error"), (250, "unknown_250")])
def test_any_other_alert_is_no_refusal_of_the_version(number: int, name: str) -> None:
    alert = record(21, bytes([2, number]))
    expected = {"result": "other_alert", "alert": number, "alert_name": name}
    assert old(saying(b"S", alert)).parsed == {**expected, "server_hello": False}
    assert old(saying(b"S", record(22, server_hello()), alert)).parsed == {**expected, "server_hello": True}


def test_messages_may_be_cut_anywhere() -> None:
    shreds = b"".join(record(22, bytes([byte])) for byte in FLIGHT)
    for stream in (ACCEPTANCE, shreds, record(21, b"\x01\x70") + ACCEPTANCE):
        assert old(saying(b"S", *(bytes([byte]) for byte in stream))).parsed["result"] == "accepted"
        for size in range(len(stream)):
            assert failing(old, b"S", stream[:size]).code == "closed"
    for size in range(len(REFUSED)):
        assert failing(old, b"S", REFUSED[:size]).code == "closed"
    halves = record(21, b"\x02") + record(21, b"\x46")
    assert old(saying(b"S", halves)).parsed["result"] == "refused"


@pytest.mark.parametrize(
    "stream",
    [
        pytest.param(record(22, server_hello(version=0x0302) + REST), id="another version"),
        pytest.param(record(22, server_hello(version=0x0300) + REST), id="SSL 3"),
        pytest.param(record(22, server_hello(version=0x0303) + REST), id="TLS 1.2"),
        pytest.param(record(22, server_hello(tail=b"\0\x06\0\x2b\0\x02\x03\x04") + REST), id="TLS 1.3 in disguise"),
        pytest.param(record(22, server_hello(cipher=0x1301) + REST), id="a cipher not offered"),
        pytest.param(record(22, server_hello(cipher=0x00FF) + REST), id="a signal as a cipher"),
        pytest.param(record(22, server_hello(compression=1) + REST), id="a compression not offered"),
        pytest.param(record(22, server_hello(tail=b"\0") + REST), id="half a length of extensions"),
        pytest.param(record(22, server_hello(tail=b"\0\x05\xff\x01\0\x01") + REST), id="extensions too short"),
        pytest.param(record(22, server_hello(tail=b"\0\x09\xff\x01\0\x01\0") + REST), id="extensions miscounted"),
        pytest.param(record(22, server_hello(tail=b"\0\x03\xff\x01\0") + REST), id="extension head cut"),
        pytest.param(record(22, server_hello(tail=b"\0\x04\xff\x01\0\x01") + REST), id="extension body cut"),
        pytest.param(record(22, server_hello(tail=b"\0\x08" + b"\xff\x01\0\0" * 2) + REST), id="extension twice"),
        pytest.param(record(22, handshake(2, b"\x03\x01" + bytes(32)) + REST), id="hello too short"),
        pytest.param(record(22, handshake(2, b"\x03\x01" + bytes(32) + b"\0\xc0\x14") + REST), id="no compression"),
        pytest.param(
            record(22, handshake(2, b"\x03\x01" + bytes(32) + b"\x21" + bytes(33) + b"\xc0\x14\0") + REST),
            id="session id too long",
        ),
        pytest.param(record(22, server_hello() + FLIGHT), id="two hellos"),
        pytest.param(record(22, handshake(14, b"") + FLIGHT), id="done before hello"),
        pytest.param(record(22, handshake(11, b"c") + FLIGHT), id="certificate before hello"),
        pytest.param(record(22, server_hello() + handshake(14, b"x")), id="done with a body"),
        pytest.param(record(22, server_hello() + handshake(20, bytes(12)) + REST), id="finished too early"),
        pytest.param(record(22, handshake(1, b"x")), id="our own kind of message"),
        pytest.param(record(22, b"\x0b\xff\xff\xff" + FLIGHT), id="giant message"),
        pytest.param(record(22, server_hello()) + REFUSED, id="a version chosen, then refused"),
        pytest.param(record(20, b"\x01") + REFUSED, id="encryption at once"),
        pytest.param(record(22, server_hello()) + record(23, b"data"), id="data at once"),
        pytest.param(record(24, b"\x01") + REFUSED, id="a heartbeat"),
        pytest.param(record(22, b"") + ACCEPTANCE, id="an empty record"),
        pytest.param(struct.pack(">BHH", 22, 0x0301, 0xFFFF) + ACCEPTANCE, id="a giant record"),
        pytest.param(record(22, FLIGHT, version=0x0201), id="SSL 2 record"),
        pytest.param(record(21, b"\x02\x46", version=0x0305), id="a record of no known version"),
        pytest.param(record(21, b"\x03\x46"), id="an alert of no known level"),
        pytest.param(record(21, b"\x00\x46"), id="an alert of no level"),
        pytest.param(REFUSAL, id="a PostgreSQL error"),
        pytest.param(b"\x01" * 64, id="garbage"),
        pytest.param(record(21, b"\x01\x70" * 8000) * 20, id="warnings without end"),
    ],
)
def test_anything_else_is_malformed_tls(stream: bytes) -> None:
    assert failing(old, b"S", stream).code == "malformed"


def test_a_warning_decides_nothing() -> None:
    assert failing(old, b"S", record(21, b"\x01\x46")).code == "closed"
    assert failing(new, b"S", record(21, b"\x01\x46")).code == "closed"
    assert failing(new, b"S", record(21, b"\x01\x00")).code == "closed"


def test_the_hello_names_the_server_unless_it_is_an_address() -> None:
    def asked(host: str) -> bytes:
        connection = Scripted([b"S", REFUSED])
        old_tls(host=host, port=1, timeout=5, version="TLSv1.1", dial=lambda _host, _port, _timeout: connection)
        return connection.sent

    assert b"\0\0\0\x11\0\x0f\0\0\x0cxn--db-cja.e\0\x0a" in asked("dbé.e.")
    assert b"127.0.0.1" not in asked("127.0.0.1")
    assert b"::1" not in asked("::1%lo")
    assert asked("::1")[8:11] == b"\x16\x03\x01"
    assert asked("::1")[17:19] == b"\x03\x02"
    assert failure(lambda: Transcript(asked("a" * 64), {})).code == "local"


def test_a_downgrade_is_not_acceptance_and_not_refusal() -> None:
    caught = failing(new, b"S", record(22, server_hello(version=0x0302)))
    assert caught.code == "malformed"
    assert "not offered" in str(caught)


def test_alert_70_is_believed_only_as_the_first_word() -> None:
    assert new(saying(b"S", REFUSED)).parsed == {"result": "refused", "alert": 70, "alert_name": "protocol_version"}
    # What OpenSSL and our own reading do not agree on: an alert in two records, one in a record of no known version.
    assert failing(new, b"S", record(21, b"\x02") + record(21, b"\x46")).code == "malformed"
    assert failing(new, b"S", record(21, b"\x02\x46", 0x0309)).code in ("malformed", "handshake")
    greeting = record(22, server_hello(version=0x0303, cipher=0xC02F), 0x0303)
    assert failing(new, b"S", greeting, record(21, b"\x02\x46", 0x0303)).code == "handshake"


def test_the_flight_is_read_again_as_far_as_it_goes() -> None:
    flight = hello.read_flight(ACCEPTANCE + record(20, b"\x01") + record(22, b"encrypted"))
    assert [part.kind for part in flight.messages] == [2, 11, 12, 14]
    assert flight.alert is None
    assert hello.read_flight(record(22, server_hello()) + ACCEPTANCE[:70]).find(2) is not None
    assert hello.read_flight(record(21, b"\x01\x00") + REFUSED).alert == 70
    assert hello.read_flight(b"garbage") == hello.Flight()
