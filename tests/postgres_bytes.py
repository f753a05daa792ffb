"""The bytes of PostgreSQL and TLS peers, made by hand, and short ways to put them before a probe."""

from __future__ import annotations

import struct
from collections.abc import Callable

import pytest

from auditor.sources.postgres.tls import old_tls, tls_handshake, tls_startup
from auditor.sources.postgres.wire import Dial, ProbeError, Transcript, plaintext_startup
from tests.postgres_servers import saying


def startup(dial: Dial, *, user: str = "auditor", database: str = "app") -> Transcript:
    return plaintext_startup(host="127.0.0.1", port=5432, timeout=5, user=user, database=database, dial=dial)


def old(dial: Dial) -> Transcript:
    return old_tls(host="127.0.0.1", port=5432, timeout=5, version="TLSv1.0", dial=dial)


def new(dial: Dial) -> Transcript:
    return tls_handshake(host="127.0.0.1", port=5432, timeout=5, version="TLSv1.2", dial=dial)


def session(dial: Dial) -> Transcript:
    return tls_startup(
        host="127.0.0.1", port=5432, timeout=5, user="u", database="d", client_certificate=None, dial=dial
    )


def failure(probe: Callable[[], Transcript]) -> ProbeError:
    with pytest.raises(ProbeError) as caught:
        probe()
    return caught.value


def failing(probe: Callable[[Dial], Transcript], *items: bytes | OSError) -> ProbeError:
    return failure(lambda: probe(saying(*items)))


def message(kind: bytes, body: bytes) -> bytes:
    return kind + struct.pack(">i", len(body) + 4) + body


def error(*fields: bytes) -> bytes:
    return message(b"E", b"".join(field + b"\0" for field in fields) + b"\0")


REFUSAL = error(
    b"SFATAL", b"VFATAL", b"C28000", b"Mno pg_hba.conf entry", b"Fauth.c", b"L544", b"RClientAuthentication"
)
SASL = message(b"R", b"\0\0\0\x0aSCRAM-SHA-256-PLUS\0SCRAM-SHA-256\0\0")


def record(kind: int, payload: bytes, version: int = 0x0301) -> bytes:
    return struct.pack(">BHH", kind, version, len(payload)) + payload


def handshake(kind: int, body: bytes) -> bytes:
    return bytes([kind]) + len(body).to_bytes(3, "big") + body


def server_hello(
    version: int = 0x0301, cipher: int = 0xC014, compression: int = 0, tail: bytes = b"\0\x05\xff\x01\0\x01\0"
) -> bytes:
    body = struct.pack(">H", version) + bytes(32) + b"\x04sess" + struct.pack(">HB", cipher, compression) + tail
    return handshake(2, body)


REST = handshake(11, b"certificate") + handshake(12, b"key exchange") + handshake(14, b"")
FLIGHT = server_hello() + REST
ACCEPTANCE = record(22, FLIGHT)
REFUSED = record(21, b"\x02\x46")
