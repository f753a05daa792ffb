"""TLS records in the clear: a ClientHello for versions OpenSSL no longer speaks, and reading what comes back.

No cryptography and no I/O of its own: a server's choice of version, or its refusal, travels in the clear, so asking
for TLS 1.0 does not depend on what the local OpenSSL still dares. Formats: RFC 2246, 4346, 5246 and 8446; numbers of
alerts, cipher suites and extensions: IANA "Transport Layer Security (TLS) Parameters".
"""

from __future__ import annotations

import secrets
import struct
from collections.abc import Iterator

import msgspec

from auditor.sources.postgres.wire import ProbeError, Reader

VERSIONS = {0x0301: "TLSv1.0", 0x0302: "TLSv1.1", 0x0303: "TLSv1.2", 0x0304: "TLSv1.3"}

WARNING, FATAL = 1, 2
CLOSE_NOTIFY = 0
PROTOCOL_VERSION = 70
ALERTS = {
    0: "close_notify",
    10: "unexpected_message",
    20: "bad_record_mac",
    21: "decryption_failed",
    22: "record_overflow",
    30: "decompression_failure",
    40: "handshake_failure",
    41: "no_certificate",
    42: "bad_certificate",
    43: "unsupported_certificate",
    44: "certificate_revoked",
    45: "certificate_expired",
    46: "certificate_unknown",
    47: "illegal_parameter",
    48: "unknown_ca",
    49: "access_denied",
    50: "decode_error",
    51: "decrypt_error",
    60: "export_restriction",
    70: "protocol_version",
    71: "insufficient_security",
    80: "internal_error",
    86: "inappropriate_fallback",
    90: "user_canceled",
    100: "no_renegotiation",
    109: "missing_extension",
    110: "unsupported_extension",
    112: "unrecognized_name",
    113: "bad_certificate_status_response",
    115: "unknown_psk_identity",
    116: "certificate_required",
    120: "no_application_protocol",
}

SERVER_HELLO, CERTIFICATE, SERVER_KEY_EXCHANGE, CERTIFICATE_REQUEST, SERVER_HELLO_DONE = 2, 11, 12, 13, 14
CERTIFICATE_STATUS = 22

# What servers of that time may share with us, best first: a server that has none of them answers handshake_failure,
# which says nothing about the version. The anonymous and unencrypted ones at the end are never used, only heard of.
CIPHER_SUITES = {
    0xC00A: "ECDHE-ECDSA-AES256-SHA",
    0xC014: "ECDHE-RSA-AES256-SHA",
    0x0039: "DHE-RSA-AES256-SHA",
    0x0038: "DHE-DSS-AES256-SHA",
    0x0088: "DHE-RSA-CAMELLIA256-SHA",
    0x0035: "AES256-SHA",
    0x0084: "CAMELLIA256-SHA",
    0xC009: "ECDHE-ECDSA-AES128-SHA",
    0xC013: "ECDHE-RSA-AES128-SHA",
    0x0033: "DHE-RSA-AES128-SHA",
    0x0032: "DHE-DSS-AES128-SHA",
    0x0045: "DHE-RSA-CAMELLIA128-SHA",
    0x002F: "AES128-SHA",
    0x0041: "CAMELLIA128-SHA",
    0x0096: "SEED-SHA",
    0xC008: "ECDHE-ECDSA-DES-CBC3-SHA",
    0xC012: "ECDHE-RSA-DES-CBC3-SHA",
    0x0016: "DHE-RSA-DES-CBC3-SHA",
    0x0013: "DHE-DSS-DES-CBC3-SHA",
    0x000A: "DES-CBC3-SHA",
    0xC007: "ECDHE-ECDSA-RC4-SHA",
    0xC011: "ECDHE-RSA-RC4-SHA",
    0x0005: "RC4-SHA",
    0x0004: "RC4-MD5",
    0x0009: "DES-CBC-SHA",
    0xC019: "AECDH-AES256-SHA",
    0x003A: "ADH-AES256-SHA",
    0xC018: "AECDH-AES128-SHA",
    0x0034: "ADH-AES128-SHA",
    0xC006: "ECDHE-ECDSA-NULL-SHA",
    0xC010: "ECDHE-RSA-NULL-SHA",
    0x0002: "NULL-SHA",
}
_RENEGOTIATION_SCSV = 0x00FF

_CHANGE_CIPHER_SPEC, _ALERT, _HANDSHAKE, _APPLICATION_DATA = 20, 21, 22, 23
_MAJOR, _MAX_MINOR = 3, 4
_MAX_RECORD = 2**14 + 2048
_MAX_HANDSHAKE = 128 * 1024
_MAX_SESSION_ID = 32
_SUPPORTED_VERSIONS = 0x002B


class Alert(msgspec.Struct, frozen=True):
    """One alert: level 1 (warning) or 2 (fatal), and its number."""

    level: int
    number: int


class Handshake(msgspec.Struct, frozen=True):
    """One whole handshake message."""

    kind: int
    body: bytes


class ServerHello(msgspec.Struct, frozen=True):
    """What the server chose. `version` is the real one: TLS 1.3 calls itself 1.2 and is honest in an extension."""

    version: int
    cipher: int
    compression: int


def alert_name(number: int) -> str:
    """Return IANA's name of an alert."""
    return ALERTS.get(number, f"unknown_{number}")


def version_name(version: int) -> str:
    """Return the name of a protocol version."""
    return VERSIONS.get(version, f"0x{version:04x}")


def client_hello(version: int, server_name: str | None) -> bytes:
    """Return the record of a ClientHello that offers `version` (0x0301 or 0x0302) and nothing else."""
    suites = struct.pack(f">{len(CIPHER_SUITES) + 1}H", *CIPHER_SUITES, _RENEGOTIATION_SCSV)
    extensions = b""
    if server_name is not None:
        name = server_name.encode("ascii")
        extensions += _extension(0x0000, _counted(b"\0" + _counted(name)))
    extensions += _extension(0x000A, _counted(struct.pack(">5H", 0x001D, 0x0017, 0x0018, 0x0019, 0x0016)))
    extensions += _extension(0x000B, b"\x01\x00")  # uncompressed points
    extensions += _extension(0x0017, b"")  # extended master secret, without which a FIPS server may balk
    body = struct.pack(">H", version) + secrets.token_bytes(32) + b"\0" + _counted(suites) + b"\x01\x00"
    body += _counted(extensions)
    message = b"\x01" + len(body).to_bytes(3, "big") + body
    return struct.pack(">BH", _HANDSHAKE, 0x0301) + _counted(message)


def _counted(data: bytes) -> bytes:
    return struct.pack(">H", len(data)) + data


def _extension(kind: int, data: bytes) -> bytes:
    return struct.pack(">H", kind) + _counted(data)


def clear_messages(reader: Reader) -> Iterator[Alert | Handshake]:
    """Yield alerts and handshake messages in order, until encryption begins; raises `malformed` for what is not TLS.

    Messages may be cut anywhere by records, and records by TCP.
    """
    pending = {_ALERT: b"", _HANDSHAKE: b""}
    while True:
        kind, major, minor, length = struct.unpack(">BBBH", reader.exactly(5))
        if major != _MAJOR or minor > _MAX_MINOR or not 0 < length <= _MAX_RECORD:
            raise reader.malformed("what came back is no TLS record")
        if kind in (_CHANGE_CIPHER_SPEC, _APPLICATION_DATA):
            return
        if kind not in pending:
            raise reader.malformed(f"a TLS record of unknown type {kind} came back")
        pending[kind] += reader.exactly(length)
        if kind == _ALERT:
            while len(pending[_ALERT]) >= struct.calcsize("BB"):
                alert = Alert(*struct.unpack_from("BB", pending[_ALERT]))
                pending[_ALERT] = pending[_ALERT][2:]
                if alert.level not in (WARNING, FATAL):
                    raise reader.malformed(f"an alert of unknown level {alert.level} came back")
                yield alert
        else:
            yield from _whole(reader, pending)


def _whole(reader: Reader, pending: dict[int, bytes]) -> Iterator[Handshake]:
    """Cut the complete handshake messages off `pending`."""
    head = 4
    while len(pending[_HANDSHAKE]) >= head:
        size = int.from_bytes(pending[_HANDSHAKE][1:head], "big")
        if size > _MAX_HANDSHAKE:
            raise reader.malformed(f"a TLS handshake message with the impossible length {size} came back")
        if len(pending[_HANDSHAKE]) < head + size:
            return
        message = Handshake(pending[_HANDSHAKE][0], pending[_HANDSHAKE][head : head + size])
        pending[_HANDSHAKE] = pending[_HANDSHAKE][head + size :]
        yield message


def parse_server_hello(body: bytes) -> ServerHello | None:
    """Read the body of a ServerHello exactly to its end; None where it does not parse."""
    fixed = 2 + 32 + 1
    session = body[fixed - 1] if len(body) >= fixed else _MAX_SESSION_ID + 1
    rest = body[fixed + session :]
    chosen = struct.calcsize(">HB")
    if session > _MAX_SESSION_ID or len(rest) < chosen:
        return None
    cipher, compression = struct.unpack(">HB", rest[:chosen])
    extensions = _extensions(rest[chosen:])
    if extensions is None:
        return None
    version = extensions.get(_SUPPORTED_VERSIONS, body[:2])
    return ServerHello(int.from_bytes(version, "big"), cipher, compression)


def _extensions(data: bytes) -> dict[int, bytes] | None:
    """Read an optional block of extensions exactly to its end; None where it does not parse."""
    found: dict[int, bytes] = {}
    if not data:
        return found
    count, rest = data[:2], data[2:]
    if len(count) != struct.calcsize(">H") or len(rest) != int.from_bytes(count, "big"):
        return None
    head = struct.calcsize(">HH")
    while rest:
        if len(rest) < head:
            return None
        kind, size = struct.unpack(">HH", rest[:head])
        if kind in found or len(rest) < head + size:
            return None
        found[kind], rest = rest[head : head + size], rest[head + size :]
    return found


class Flight(msgspec.Struct, frozen=True):
    """What a server said in the clear: its handshake messages, and the fatal alert that ended them."""

    messages: tuple[Handshake, ...] = ()
    alert: int | None = None

    def find(self, kind: int) -> Handshake | None:
        """Return the first message of this kind."""
        return next((message for message in self.messages if message.kind == kind), None)


def read_flight(records: bytes) -> Flight:
    """Read again, from the records of a handshake that OpenSSL conducted, what went over the wire in the clear."""
    messages: list[Handshake] = []
    source = iter((records,))

    def more() -> bytes:
        for data in source:
            return data
        raise ProbeError("closed", "no more records")

    try:
        for message in clear_messages(Reader(more, ProbeError)):
            if isinstance(message, Handshake):
                messages.append(message)
            elif message.level == FATAL:
                return Flight(tuple(messages), message.number)
    except ProbeError:
        pass  # the rest is cut off, or is no TLS: what was said before it stands
    return Flight(tuple(messages))
