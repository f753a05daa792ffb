"""Probes of PostgreSQL's TLS: which versions it speaks, whom its certificate convinces, whom it lets ask for a session.

TLS 1.0 and 1.1 are asked for by hand (`hello.py`): the local OpenSSL may be unable to, and then says "no protocols" or
"no ciphers" as if the server had refused. 1.2 and 1.3 run through Python's ssl (`session.py`). A verdict is only what
the peer said; what our own side could not do is ProbeError `local`.
"""

from __future__ import annotations

import ssl
import time
from typing import Literal

from auditor.model import JSON
from auditor.sources.postgres import hello
from auditor.sources.postgres.session import (
    ANY_CIPHER,
    CaFile,
    ClientCertificate,
    Session,
    SystemStore,
    Trust,
    is_address,
    make_context,
    server_name,
    show_certificate,
    verifying_context,
)
from auditor.sources.postgres.wire import (
    Dial,
    Peer,
    ProbeError,
    Reader,
    Transcript,
    connected,
    dial_tcp,
    first_message,
    request_tls,
    startup_message,
)

__all__ = [
    "CaFile",
    "ClientCertificate",
    "SystemStore",
    "Trust",
    "certificate_trust",
    "old_tls",
    "tls_handshake",
    "tls_startup",
]

_OLD = {"TLSv1.0": 0x0301, "TLSv1.1": 0x0302}
_NEW = {"TLSv1.2": ssl.TLSVersion.TLSv1_2, "TLSv1.3": ssl.TLSVersion.TLSv1_3}

# Alerts by which a server says what it thinks of our certificate, or of our having none.
_ABOUT_CERTIFICATES = frozenset({40, 41, 42, 43, 44, 45, 46, 48, 49, 116})
# X509_V_ERR_UNSPECIFIED, OUT_OF_MEM, INVALID_CALL and STORE_LOOKUP say that verifying failed, not what it found.
_NOT_VERIFIED = frozenset({1, 17, 69, 70})


def old_tls(
    *, host: str, port: int, timeout: float, version: Literal["TLSv1.0", "TLSv1.1"], dial: Dial = dial_tcp
) -> Transcript:
    """Offer one outdated version of TLS, by a raw ClientHello with every cipher suite of its time.

    `{"result": "accepted", "version", "cipher"}`: the server chose it and finished its part of the handshake.
    `{"result": "refused", "alert": 70, "alert_name": "protocol_version"}`: refused for the version, and nothing else.
    `{"result": "other_alert", "alert", "alert_name", "server_hello": bool}`: refused for another reason (40: no cipher
    suite in common; 80: OpenSSL's security level); the version may well be enabled. `server_hello` says whether the
    server had chosen the version before it gave up. `{"result": "no_tls"}`: it speaks no TLS at all.
    """
    offered = _OLD[version]
    name = server_name(host)
    with connected(host, port, timeout, dial) as peer:
        if request_tls(peer) == "N":
            return Transcript(peer.received, {"result": "no_tls"})
        reader = Reader(peer.more, peer.error, taken=peer.received)
        record = hello.client_hello(offered, None if is_address(name) else name)
        peer.send(record, f"SSLRequest and a ClientHello that offers {version} only")
        parsed = _answer_to_old(reader, offered)
        return Transcript(reader.taken, parsed)


def _answer_to_old(reader: Reader, offered: int) -> dict[str, JSON]:
    """Read the server's part of the handshake up to its end or a fatal alert."""
    chosen: hello.ServerHello | None = None
    after = (hello.CERTIFICATE, hello.CERTIFICATE_STATUS, hello.SERVER_KEY_EXCHANGE, hello.CERTIFICATE_REQUEST)
    for message in hello.clear_messages(reader):
        match message:
            case hello.Alert(level=hello.WARNING):
                continue  # it goes on, or hangs up; "unrecognized_name" is sent like this before a good ServerHello
            case hello.Alert(number=hello.PROTOCOL_VERSION) if chosen is not None:
                raise reader.malformed("a server that had chosen the version then refused it")
            case hello.Alert(number=hello.PROTOCOL_VERSION as number):
                return {"result": "refused", "alert": number, "alert_name": hello.alert_name(number)}
            case hello.Alert(number=number):
                what: dict[str, JSON] = {"alert": number, "alert_name": hello.alert_name(number)}
                return {"result": "other_alert", **what, "server_hello": chosen is not None}
            case hello.Handshake(kind=hello.SERVER_HELLO, body=body) if chosen is None:
                chosen = _chosen(reader, offered, body)
            case hello.Handshake(kind=hello.SERVER_HELLO_DONE, body=b"") if chosen is not None:
                version, cipher = hello.version_name(chosen.version), hello.CIPHER_SUITES[chosen.cipher]
                return {"result": "accepted", "version": version, "cipher": cipher}
            case hello.Handshake(kind=kind) if chosen is not None and kind in after:
                continue
            case hello.Handshake(kind=kind):
                raise reader.malformed(f"a handshake message of type {kind} came where it cannot")
    raise reader.malformed("encryption began before the handshake was done")


def _chosen(reader: Reader, offered: int, body: bytes) -> hello.ServerHello:
    chosen = hello.parse_server_hello(body)
    if chosen is None:
        raise reader.malformed("a ServerHello that does not parse came back")
    if chosen.version != offered:
        name = hello.version_name(chosen.version)
        raise reader.malformed(f"the ServerHello chose {name}, which was not offered (a downgrade, or no TLS server)")
    if chosen.cipher not in hello.CIPHER_SUITES or chosen.compression != 0:
        raise reader.malformed("the ServerHello chose a cipher suite or compression that was not offered")
    return chosen


def tls_handshake(
    *, host: str, port: int, timeout: float, version: Literal["TLSv1.2", "TLSv1.3"], dial: Dial = dial_tcp
) -> Transcript:
    """Complete a handshake of exactly this version; whose certificate it is does not matter here.

    `{"result": "accepted", "version", "cipher", "bits", "certificate": {…}}` (fields: `describe_certificate`);
    `{"result": "refused", "alert": 70, "alert_name": "protocol_version"}`, read from the wire; `{"result": "no_tls"}`.
    Any other alert is ProbeError `handshake`.
    """
    context = make_context(ANY_CIPHER, (_NEW[version], _NEW[version]))
    with connected(host, port, timeout, dial) as peer:
        if request_tls(peer) == "N":
            return Transcript(peer.received, {"result": "no_tls"})
        session = Session(peer, context, host, f"SSLRequest and a handshake of {version} only")
        try:
            session.handshake()
        except ssl.SSLError as error:
            # Both must say so: the first thing on the wire, and OpenSSL, which read it strictly.
            first = session.flight
            if not first.messages and first.alert == session.alert(error) == hello.PROTOCOL_VERSION:
                name = hello.alert_name(hello.PROTOCOL_VERSION)
                refusal: dict[str, JSON] = {"alert": hello.PROTOCOL_VERSION, "alert_name": name}
                return Transcript(peer.received, {"result": "refused", **refusal})
            raise session.trouble(error) from error
        return Transcript(peer.received, {"result": "accepted", **session.describe(version)})


def certificate_trust(*, host: str, port: int, timeout: float, trust: Trust, dial: Dial = dial_tcp) -> Transcript:
    """Verify the server's certificate and name as a careful client does (chain, dates, host name or IP address).

    `{"verified": true, "version", "cipher", "bits", "certificate": {…}}`, or `{"verified": false, "verify_code",
    "reason"}` with OpenSSL's X509_V_ERR number (10 expired, 18 self-signed, 19 and 20 unknown authority, 62 wrong host
    name, 64 wrong IP address). OpenSSL does not show a certificate it rejected: `certificate` is then that of a second
    handshake a moment later, or `certificate_error` the code of why that gave none. As in libpq, the common name counts
    where there is no subject alternative name. Raises `no_tls` where the server declines TLS.
    """
    deadline = time.monotonic() + timeout
    context = verifying_context(trust)
    asked = "SSLRequest and a handshake that verifies its certificate"
    with connected(host, port, timeout, dial) as peer:
        session = _require_tls(peer, context, host, asked)
        try:
            session.handshake()
        except ssl.SSLCertVerificationError as error:
            if error.verify_code in _NOT_VERIFIED:
                raise peer.error("local", f"the certificate could not be verified: {error.verify_message}") from error
            verdict: dict[str, JSON] = {"verify_code": error.verify_code, "reason": error.verify_message}
            in_clear = session.flight.find(hello.CERTIFICATE)
        except ssl.SSLError as error:
            raise session.trouble(error) from error
        else:
            return Transcript(peer.received, {"verified": True, **session.describe()})
        received = peer.received
    shown: dict[str, JSON]
    try:
        shown = {"certificate": _unverified_certificate(host, port, deadline - time.monotonic(), dial, in_clear)}
    except ProbeError as error:
        if in_clear is not None:
            raise
        shown = {"certificate_error": error.code}
    return Transcript(received, {"verified": False, **verdict, **shown})


def _unverified_certificate(
    host: str, port: int, timeout: float, dial: Dial, expected: hello.Handshake | None
) -> dict[str, JSON]:
    """Shake hands again without verifying, to the end, and describe the certificate that was shown.

    In TLS 1.2 a certificate travels in the clear, and is rejected before anything proves that it came unaltered; the
    finished handshake proves it. `malformed` where that does not show the `expected` one.
    """
    with connected(host, port, timeout, dial) as peer:
        session = _require_tls(peer, make_context(ANY_CIPHER), host, "SSLRequest and a handshake to see a certificate")
        try:
            session.handshake()
        except ssl.SSLError as error:
            raise session.trouble(error) from error
        if expected is not None and session.flight.find(hello.CERTIFICATE) != expected:
            raise peer.error("malformed", "this is not the certificate that was rejected a moment ago")
        certificate: dict[str, JSON] = session.describe()["certificate"]
        return certificate


def tls_startup(
    *,
    host: str,
    port: int,
    timeout: float,
    user: str,
    database: str,
    client_certificate: ClientCertificate | None,
    dial: Dial = dial_tcp,
) -> Transcript:
    """Ask to start a session over TLS, with or without a certificate, and read the first answer.

    The server's certificate is deliberately not verified: the question is whom the *server* refuses, and nothing secret
    is said. Parsed as `wire.first_message`, or `{"message": "alert", "alert", "alert_name"}` where TLS itself ended the
    matter, in the handshake (1.2) or only at the first read (1.3): 116 certificate_required, 48 unknown_ca and so on.
    An alert before our turn to show a certificate, or where we were not asked for one, cannot be about it: ProbeError
    `handshake`, as are alerts about other things. Always `tls_version`; `certificate_requested` only for TLS 1.2, where
    the wire shows it. `received` is the decrypted answer; for an alert, the bytes of the peer as they came.
    """
    context = make_context(ANY_CIPHER)
    if client_certificate is not None:
        show_certificate(context, client_certificate)
    startup = startup_message(user, database)
    shown = "without a certificate" if client_certificate is None else f"with certificate {client_certificate.cert}"
    asked = f"to start a session over TLS {shown} (user {user!r}, database {database!r})"
    with connected(host, port, timeout, dial) as peer:
        session = _require_tls(peer, context, host, asked)
        reader = Reader(session.more, peer.error)
        try:
            session.handshake()
            session.write(startup)
            parsed = first_message(reader)
        except ssl.SSLError as error:
            alert = session.alert(error)
            if alert not in _ABOUT_CERTIFICATES or not session.has_shown_certificate() or reader.taken:
                raise session.trouble(error) from error
            what: dict[str, JSON] = {"message": "alert", "alert": alert, "alert_name": hello.alert_name(alert)}
            return Transcript(peer.received, what | session.describe_version())
        return Transcript(reader.taken, parsed | session.describe_version())


def _require_tls(peer: Peer, context: ssl.SSLContext, host: str, asked: str) -> Session:
    if request_tls(peer) == "N":
        raise peer.error("no_tls", "the server declined TLS (N)")
    return Session(peer, context, host, asked)
