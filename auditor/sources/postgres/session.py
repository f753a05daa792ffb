"""TLS through Python's ssl, over memory: every byte passes the transport of the probe.

What a session trusts, what it shows, and, when it fails, whose fault that was: the peer's, or the local OpenSSL's.
"""

from __future__ import annotations

import ipaddress
import re
import ssl
from collections.abc import Callable
from pathlib import Path
from typing import TypeAlias, TypeVar

import msgspec

from auditor.model import JSON
from auditor.sources.postgres import hello
from auditor.sources.postgres.certificate import describe_certificate
from auditor.sources.postgres.wire import CHUNK, Peer, ProbeError

T = TypeVar("T")

# Whatever both sides can do, however weak: a refusal must be the peer's. Without a certificate (aNULL) nothing could be
# verified, and OpenSSL would call that verified.
ANY_CIPHER = "ALL:!aNULL:!eNULL:@SECLEVEL=0"
# Level 2 (keys of 112 bits, no SHA-1 signatures) is Python's and Debian's own; said here so that no platform differs.
_SOUND_CIPHER = "ALL:!aNULL:!eNULL:@SECLEVEL=2"

ANY_VERSION = (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3)
_TLS_1_2, _TLS_1_3 = "TLSv1.2", "TLSv1.3"

# Every reason of OpenSSL that begins like this is an alert the peer sent (SSL_R_… above 1000, sslerr.h).
_ALERT_REASON = re.compile(r"(?:SSLV3|TLSV1|TLSV13)_(?:ALERT_)?(\w+)")
_ALERT_NUMBERS = {name.upper(): number for number, name in hello.ALERTS.items()}
_DOWNGRADES = frozenset({"UNSUPPORTED_PROTOCOL", "WRONG_SSL_VERSION"})
_OUR_POLICY = frozenset(
    {"DH_KEY_TOO_SMALL", "LEGACY_SIGALG_DISALLOWED_OR_UNSUPPORTED", "UNSAFE_LEGACY_RENEGOTIATION_DISABLED"}
)


class CaFile(msgspec.Struct, frozen=True):
    """Trust the certificate authorities in this PEM file, and no others."""

    path: Path


class SystemStore(msgspec.Struct, frozen=True):
    """Trust what this machine's OpenSSL trusts (SSL_CERT_FILE and SSL_CERT_DIR included)."""


Trust: TypeAlias = CaFile | SystemStore | None


class ClientCertificate(msgspec.Struct, frozen=True):
    """A certificate to show (PEM, with its intermediates) and its unencrypted private key (PEM)."""

    cert: Path
    key: Path


class Session:
    """TLS through Python's ssl over memory, every byte going by way of `peer`. Failures of TLS are ssl.SSLError."""

    def __init__(self, peer: Peer, context: ssl.SSLContext, host: str, asked: str) -> None:
        self._peer = peer
        self._peer.asked = asked
        self._skip = len(peer.received)
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls = context.wrap_bio(self._incoming, self._outgoing, server_hostname=server_name(host))
        self._spoken: str | None = None  # asked again after an error, OpenSSL no longer knows

    @property
    def flight(self) -> hello.Flight:
        """What the peer has said in the clear since TLS began."""
        return hello.read_flight(self._peer.received[self._skip :])

    def handshake(self) -> None:
        """Complete our side of the handshake: in TLS 1.3 the peer may still reject our certificate afterwards."""
        self._drive(self._tls.do_handshake)
        self._spoken = self._tls.version()

    def write(self, data: bytes) -> None:
        """Send application data."""
        self._drive(lambda: self._tls.write(data))

    def more(self) -> bytes:
        """Return at least one more decrypted byte; ProbeError `closed` where the peer says that none will come."""
        data = self._drive(lambda: self._tls.read(CHUNK))
        if not data:
            raise self._peer.error("closed", "the peer closed TLS before a complete answer")
        return data

    def _drive(self, step: Callable[[], T]) -> T:
        """Run `step`, carrying bytes both ways for as long as it wants more. Our own alerts are delivered too."""
        while True:
            try:
                return step()
            except ssl.SSLWantReadError:
                pass
            finally:
                self._flush()
            self._incoming.write(self._peer.more())

    def _flush(self) -> None:
        if data := self._outgoing.read():
            self._peer.send(data)

    def alert(self, error: ssl.SSLError) -> int | None:
        """Return the number of the alert the peer ended the handshake with; None where it was something else."""
        matched = _ALERT_REASON.fullmatch(error.reason or "")
        return _ALERT_NUMBERS.get(matched[1]) if matched else None

    def has_shown_certificate(self) -> bool:
        """Whether we have shown a certificate, or that we have none: only then can an alert be about it.

        In TLS 1.2 that is known from the wire; in TLS 1.3 only that our turn has passed, not whether we were asked.
        """
        return self._spoken == _TLS_1_3 or self._certificate_requested() is True

    def _certificate_requested(self) -> bool | None:
        """Whether the server of a TLS 1.2 session asked for a certificate; None as long as it has not come to that."""
        flight = self.flight
        done = flight.find(hello.SERVER_HELLO_DONE) is not None
        return flight.find(hello.CERTIFICATE_REQUEST) is not None if done else None

    def trouble(self, error: ssl.SSLError) -> ProbeError:
        """Say whose fault a failure was that is no verdict."""
        alert = self.alert(error)
        if alert is not None:
            return self._peer.error("handshake", f"the peer sent alert {alert} ({hello.alert_name(alert)})")
        if isinstance(error, ssl.SSLZeroReturnError):
            return self._peer.error("closed", "the peer closed TLS before a complete answer")
        # Before the peer has said a word, only our own side can have failed.
        if len(self._peer.received) == self._skip or error.reason in _OUR_POLICY:
            return self._peer.error("local", f"the local {ssl.OPENSSL_VERSION} cannot do this: {error}")
        if error.reason in _DOWNGRADES:
            return self._peer.error("malformed", f"the peer chose a version that was not offered: {error}")
        return self._peer.error("malformed", f"what came back is not the TLS that was asked for: {error}")

    def describe(self, version: str | None = None) -> dict[str, JSON]:
        """Describe a finished handshake; `malformed` where it is not of `version` or showed no certificate."""
        cipher, der = self._tls.cipher(), self._tls.getpeercert(binary_form=True)
        if cipher is None or der is None or version not in (None, self._spoken):
            ended = f"the handshake ended as {self._spoken} with {cipher}"
            raise self._peer.error("malformed", f"{ended}, which was not asked for")
        name, _, bits = cipher
        return {"version": self._spoken, "cipher": name, "bits": bits, "certificate": describe_certificate(der)}

    def describe_version(self) -> dict[str, JSON]:
        """Return `tls_version` and, in TLS 1.2, where the wire shows it, `certificate_requested`."""
        if self._spoken == _TLS_1_3:
            return {"tls_version": _TLS_1_3}
        # A handshake that ended early was of 1.2: in 1.3 our side is always done before the server judges.
        return {"tls_version": _TLS_1_2, "certificate_requested": self._certificate_requested()}


def make_context(ciphers: str, versions: tuple[ssl.TLSVersion, ssl.TLSVersion] = ANY_VERSION) -> ssl.SSLContext:
    """Build a client of these versions, from and to, that verifies nothing; `local` where OpenSSL cannot."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    try:
        context.minimum_version, context.maximum_version = versions
        context.set_ciphers(ciphers)
    except (ssl.SSLError, ValueError) as error:
        wanted = f"{versions[0].name} to {versions[1].name} with {ciphers}"
        raise ProbeError("local", f"the local {ssl.OPENSSL_VERSION} cannot do {wanted}: {error}") from error
    return context


def verifying_context(trust: Trust) -> ssl.SSLContext:
    """Build a client that verifies chain and name; `local` where it would have nothing to trust."""
    context = make_context(_SOUND_CIPHER)
    context.verify_mode = ssl.CERT_REQUIRED
    context.check_hostname = True
    match trust:
        case CaFile(path=path):
            try:
                context.load_verify_locations(cafile=path)
            except OSError as error:  # ssl.SSLError is one
                raise ProbeError("local", f"no certificate authorities can be read from {path}: {error}") from error
            found = context.cert_store_stats()["x509"] > 0
            where = str(path)
        case SystemStore():
            context.load_default_certs()
            paths = ssl.get_default_verify_paths()
            # A directory of certificates is read only when one is needed, by the hash in its file's name.
            hashed = Path(paths.capath).glob("[0-9a-f]" * 8 + ".[0-9]") if paths.capath else ()
            found = context.cert_store_stats()["x509"] > 0 or any(hashed)
            where = f"the system's store ({paths.openssl_cafile}, {paths.openssl_capath})"
        case None:
            raise ProbeError("local", "nothing says which certificate authorities to trust")
    if not found:  # everything would be "unknown authority", as if that were the server's doing
        raise ProbeError("local", f"there are no certificates in {where}")
    return context


def show_certificate(context: ssl.SSLContext, certificate: ClientCertificate) -> None:
    """Make `context` show this certificate; `local`, naming the file, where that cannot be."""
    for path in (certificate.cert, certificate.key):
        try:
            path.read_bytes()
        except OSError as error:
            raise ProbeError("local", f"{path} cannot be read: {error}") from error

    def encrypted() -> str:  # without this OpenSSL would ask at the terminal
        raise ProbeError("local", f"the private key {certificate.key} is encrypted; a probe needs it in the clear")

    try:
        context.load_cert_chain(certificate.cert, certificate.key, password=encrypted)
    except OSError as error:  # ssl.SSLError is one
        both = f"the certificate {certificate.cert} and the private key {certificate.key}"
        raise ProbeError("local", f"{both} cannot be used together: {error}") from error


def is_address(name: str) -> bool:
    """Whether this is an IP address, which is verified as such and never sent as a server name."""
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


def server_name(host: str) -> str:
    """Return the name to ask for and to find in the certificate: ASCII, no root dot, no zone of an IPv6 address."""
    name = host.partition("%")[0] if ":" in host else host.removesuffix(".")
    try:
        return name if is_address(name) else name.encode("idna").decode("ascii")
    except UnicodeError as error:
        raise ProbeError("local", f"{host!r} is no host name: {error}") from error
