"""What is said of a certificate, and that what cannot be read is never made up."""

from __future__ import annotations

import base64
import datetime as dt
import ipaddress
import ssl
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import dsa, ec, ed448, ed25519, rsa, x25519
from cryptography.hazmat.primitives.asymmetric.types import (
    CertificateIssuerPrivateKeyTypes,
    CertificatePublicKeyTypes,
)

from auditor.sources.postgres.certificate import describe_certificate
from auditor.sources.postgres.tls import CaFile, certificate_trust
from tests.postgres_bytes import SASL
from tests.postgres_servers import listening, tls_proxy

NOW = dt.datetime(2020, 2, 29, 12, 30, 1, tzinfo=dt.UTC)
NAME = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "db.example.test")])


def issue(
    public: CertificatePublicKeyTypes,
    signer: CertificateIssuerPrivateKeyTypes,
    *names: x509.GeneralName,
    issuer: x509.Name = NAME,
) -> x509.Certificate:
    builder = x509.CertificateBuilder(issuer, NAME, public, 0xABCDEF, NOW, NOW.replace(year=2999, day=28))
    if names:
        builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
    plain = isinstance(signer, ed25519.Ed25519PrivateKey | ed448.Ed448PrivateKey)
    return builder.sign(signer, None if plain else hashes.SHA256())


def der(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(serialization.Encoding.DER)


EC_KEY, OTHER_KEY = ec.generate_private_key(ec.SECP384R1()), ec.generate_private_key(ec.SECP384R1())


def test_names_of_every_kind_are_told_apart() -> None:
    names = (
        x509.DNSName("*.example.test"),
        x509.IPAddress(ipaddress.ip_address("::1")),
        x509.RFC822Name("a@example.test"),
        x509.UniformResourceIdentifier("spiffe://db"),
        x509.RegisteredID(x509.ObjectIdentifier("1.2.3")),
    )
    described = describe_certificate(der(issue(EC_KEY.public_key(), EC_KEY, *names)))
    assert described["sans"][:4] == ["DNS:*.example.test", "IP:::1", "email:a@example.test", "URI:spiffe://db"]
    assert described["sans"][4].startswith("RegisteredID:")
    assert described["serial_number"] == "abcdef"
    assert (described["not_before"], described["not_after"]) == ("2020-02-29T12:30:01Z", "2999-02-28T12:30:01Z")
    assert describe_certificate(der(issue(EC_KEY.public_key(), EC_KEY)))["sans"] == []


@pytest.mark.parametrize(
    ("public", "expected"),
    [
        (rsa.generate_private_key(65537, 2048).public_key(), {"algorithm": "RSA", "bits": 2048}),
        (EC_KEY.public_key(), {"algorithm": "EC", "bits": 384}),
        (dsa.generate_private_key(2048).public_key(), {"algorithm": "DSA", "bits": 2048}),
        (ed25519.Ed25519PrivateKey.generate().public_key(), {"algorithm": "Ed25519", "bits": 256}),
        (ed448.Ed448PrivateKey.generate().public_key(), {"algorithm": "Ed448", "bits": 456}),
        (x25519.X25519PrivateKey.generate().public_key(), {"algorithm": "1.3.101.110"}),
    ],
)
def test_a_key_is_named_with_its_size(public: CertificatePublicKeyTypes, expected: dict[str, object]) -> None:
    described = describe_certificate(der(issue(public, EC_KEY)))
    assert described["public_key"] == expected
    assert described["signature_algorithm"] == "ECDSA_WITH_SHA256"


def test_only_its_own_signature_makes_a_certificate_self_signed() -> None:
    elsewhere = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "authority")])
    assert describe_certificate(der(issue(EC_KEY.public_key(), EC_KEY)))["self_signed"] is True
    assert describe_certificate(der(issue(EC_KEY.public_key(), OTHER_KEY)))["self_signed"] is False
    assert describe_certificate(der(issue(EC_KEY.public_key(), EC_KEY, issuer=elsewhere)))["self_signed"] is False
    odd = ed25519.Ed25519PrivateKey.generate().public_key()
    assert describe_certificate(der(issue(odd, EC_KEY)))["self_signed"] is False


def test_a_certificate_that_does_not_parse_has_no_fields_to_read() -> None:
    good = der(issue(EC_KEY.public_key(), EC_KEY, x509.DNSName("db.example.test")))
    twice = good.replace(b"\x82\x0fdb.example.test", b"\x82\x0fdb.example.tes\xff")
    for bad in (b"", b"garbage", good[:-1], twice):
        described = describe_certificate(bad)
        assert set(described) == {"der_b64", "unreadable"}
        assert base64.b64decode(described["der_b64"]) == bad


def test_a_key_too_weak_is_not_trusted_even_by_its_own_authority(tmp_path: Path) -> None:
    weak = rsa.generate_private_key(65537, 1024)  # noqa: S505 - weak on purpose
    sound = rsa.generate_private_key(65537, 2048)
    for key, code in ((sound, None), (weak, 66)):
        certificate = issue(key.public_key(), key, x509.IPAddress(ipaddress.ip_address("127.0.0.1")))
        pem, secret = tmp_path / "cert.pem", tmp_path / "key.pem"
        pem.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
        plain = (serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        secret.write_bytes(key.private_bytes(serialization.Encoding.PEM, *plain))
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.set_ciphers("ALL:@SECLEVEL=0")
        context.load_cert_chain(pem, secret)
        with listening(tls_proxy(context, SASL)) as port:
            parsed = certificate_trust(host="127.0.0.1", port=port, timeout=5, trust=CaFile(pem)).parsed
        assert parsed.get("verify_code") == code
        assert parsed["verified"] is (code is None)
        assert parsed["certificate"]["public_key"]["bits"] == key.key_size
