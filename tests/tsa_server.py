"""A time-stamp authority on loopback that openssl runs, and others that are not honest: theirs are signed lies."""

from __future__ import annotations

import datetime as dt
import subprocess
import tempfile
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from types import MappingProxyType
from typing import Any

import msgspec
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from auditor.sandbox.http_server import HttpServer, reply

QUERY, REPLY = "application/timestamp-query", "application/timestamp-reply"
REAL_NAME, REAL_SUBJECT = "Clock 1", "CN=Clock 1"
LONG_AGO, LATER = (dt.datetime(year, 1, 1, tzinfo=dt.UTC) for year in (2020, 2060))
TST_INFO = "1.2.840.113549.1.9.16.1.4"
SHA256 = bytes.fromhex("300d06096086480165030402010500")
POLICY = bytes.fromhex("06042a030401")

CONFIGURATION = """
[tsa]
default_tsa = this
[this]
serial = serial
signer_digest = sha256
default_policy = 1.2.3.4.1
other_policies = 1.2.3.4.2
digests = sha256,sha384,sha512
accuracy = secs:1
tsa_name = yes
ess_cert_id_alg = sha256
"""


class Issuer:
    """A certificate authority that issues the certificates of time-stamp authorities: good ones and others."""

    def __init__(self, name: str = "Stamps of the World") -> None:
        self._key = ec.generate_private_key(ec.SECP256R1())
        self.name = _name(name)
        self.certificate = self.signed(self.name, self._key.public_key(), ca=True)
        self.pem = self.certificate.public_bytes(Encoding.PEM).decode()

    def issue(
        self,
        folder: Path,
        *,
        until: dt.datetime = LATER,
        usage: x509.ObjectIdentifier | None = ExtendedKeyUsageOID.TIME_STAMPING,
        critical: bool = True,
    ) -> x509.Certificate:
        """Write signer.crt and signer.key into a folder."""
        key = ec.generate_private_key(ec.SECP256R1())
        issued = self.signed(_name(REAL_NAME), key.public_key(), until=until, usage=usage, critical=critical)
        (folder / "signer.crt").write_bytes(issued.public_bytes(Encoding.PEM))
        (folder / "signer.key").write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
        return issued

    def signed(
        self,
        subject: x509.Name,
        key: Any,
        *,
        until: dt.datetime = LATER,
        usage: x509.ObjectIdentifier | None = None,
        critical: bool = True,
        ca: bool = False,
        number: int | None = None,
    ) -> x509.Certificate:
        """Return a certificate for a public key."""
        number = number or x509.random_serial_number()
        builder = x509.CertificateBuilder(self.name, subject, key, number, LONG_AGO, until)
        builder = builder.add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
        if usage is not None:
            builder = builder.add_extension(x509.ExtendedKeyUsage([usage]), critical=critical)
        return builder.sign(self._key, hashes.SHA256())


def _name(common: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common)])


class Signer:
    """What stamps: a folder with a certificate, its key and the configuration of openssl."""

    def __init__(self, folder: Path, issuer: Issuer, **certificate: Any) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        self.issuer = issuer
        self.certificate = issuer.issue(folder, **certificate)
        (folder / "serial").write_text("4E55\n")
        (folder / "ts.cnf").write_text(CONFIGURATION)
        self._lock = threading.Lock()

    def answer(self, query: bytes) -> bytes:
        """Answer a query as a time-stamp authority does: stamped now, or a refusal."""
        with self._lock, tempfile.NamedTemporaryFile() as file:
            file.write(query)
            file.flush()
            signer = ("-signer", "signer.crt", "-inkey", "signer.key")
            return self._openssl("ts", "-reply", "-config", "ts.cnf", "-queryfile", file.name, *signer)

    def stamp(
        self,
        digest: bytes,
        at: dt.datetime | str,
        nonce: int | None = None,
        *,
        algorithm: bytes = SHA256,
        certificates: Callable[[bytes], bytes] = lambda pem: pem,
        also: Signer | None = None,
    ) -> bytes:
        """Return a granted time stamp that says whatever is asked of it, and is signed all the same."""
        return granted(self.sign(info(digest, at, nonce, algorithm), certificates, also))

    def sign(
        self,
        content: bytes,
        certificates: Callable[[bytes], bytes] = lambda pem: pem,
        also: Signer | None = None,
    ) -> bytes:
        """Return the content as a signed token (CMS, with the certificate's digest among what is signed)."""
        with tempfile.NamedTemporaryFile() as file, tempfile.NamedTemporaryFile() as more:
            file.write(content)
            file.flush()
            more.write(certificates((self.folder / "signer.crt").read_bytes()))
            more.flush()
            kind = ("-econtent_type", TST_INFO, "-nodetach", "-binary", "-cades", "-md", "sha256", "-outform", "DER")
            signers = [self, also] if also else [self]
            by = [
                part
                for one in signers
                for part in ("-signer", f"{one.folder}/signer.crt", "-inkey", f"{one.folder}/signer.key")
            ]
            there = ("-certfile", more.name) if more.tell() else ()
            return self._openssl("cms", "-sign", *kind, *by, "-nocerts", *there, "-in", file.name)

    def _openssl(self, *arguments: str) -> bytes:
        return subprocess.run(
            ["openssl", *arguments], cwd=self.folder, capture_output=True, check=True, timeout=30
        ).stdout


def pem_of(certificate: x509.Certificate) -> bytes:
    """Return a certificate as PEM."""
    return certificate.public_bytes(Encoding.PEM)


def der(tag: int, *parts: bytes) -> bytes:
    """Return a value of ASN.1 in DER."""
    body = b"".join(parts)
    size = len(body).to_bytes((len(body).bit_length() + 7) // 8 or 1, "big")
    return bytes([tag]) + (size if len(body) < 0x80 else bytes([0x80 | len(size)]) + size) + body


def integer(value: int) -> bytes:
    """Return a whole number that is not negative, in DER."""
    return der(0x02, value.to_bytes(value.bit_length() // 8 + 1, "big"))


def info(digest: bytes, at: dt.datetime | str, nonce: int | None = None, algorithm: bytes = SHA256) -> bytes:
    """Return what a token says (TSTInfo): version 1, a policy, the digest, number 78, the time and the nonce."""
    time = at if isinstance(at, str) else f"{at:%Y%m%d%H%M%S}Z"
    imprint = der(0x30, algorithm, der(0x04, digest))
    said = (integer(1), POLICY, imprint, integer(78), der(0x18, time.encode()))
    return der(0x30, *said, integer(nonce) if nonce is not None else b"")


def unsigned(content: bytes) -> bytes:
    """Return the content as a token that nobody signed."""
    inner = der(0x30, bytes.fromhex("060b2a864886f70d0109100104"), der(0xA0, der(0x04, content)))
    data = der(0x30, integer(3), der(0x31), inner, der(0x31))
    return der(0x30, bytes.fromhex("06092a864886f70d010702"), der(0xA0, data))


def granted(token: bytes) -> bytes:
    """Return the response that bears a token."""
    return der(0x30, der(0x30, integer(0)), token)


def rejected(reason: str = "not today") -> bytes:
    """Return a refusal: status 2, and why."""
    return der(0x30, der(0x30, integer(2), der(0x30, der(0x0C, reason.encode()))))


class Query(msgspec.Struct, frozen=True):
    """What was asked: the whole of it, the digest that is to be stamped, and the nonce."""

    raw: bytes
    digest: bytes
    nonce: int

    @classmethod
    def of(cls, raw: bytes) -> Query:
        """Read a query of SHA-256 with a nonce of eight octets, as ours are."""
        _, _, digest_and_more = raw.partition(SHA256 + b"\x04\x20")
        digest, more = digest_and_more[:32], digest_and_more[32:]
        assert more[0] == 0x02
        return cls(raw, digest, int.from_bytes(more[2 : 2 + more[1]], "big"))


class Asked(msgspec.Struct):
    """Where the authority is, and what it was asked: method, path, headers and body."""

    url: str
    queries: list[tuple[str, str, dict[str, str], bytes]]


@contextmanager
def authority(
    answer: Callable[[bytes], bytes],
    *,
    status: int = 200,
    kind: str = REPLY,
    headers: Mapping[str, str] = MappingProxyType({}),
) -> Iterator[Asked]:
    """Serve a time-stamp authority over HTTP (RFC 3161 section 3.4)."""
    asked = Asked("", [])

    def serve(handler: BaseHTTPRequestHandler) -> None:
        body = handler.rfile.read(int(handler.headers.get("Content-Length", 0)))
        names = {name.lower(): value for name, value in handler.headers.items()}
        asked.queries.append((handler.command, handler.path, names, body))
        with suppress(ConnectionError):  # whoever asks may have had enough
            reply(handler, status, {**({"Content-Type": kind} if kind else {}), **headers}, answer(body))

    server = HttpServer("stamps", serve, methods=("GET", "POST"))
    asked.url = f"{server.url}/tsa"
    try:
        yield asked
    finally:
        server.stop()
