"""What an X.509 certificate says, as JSON."""

from __future__ import annotations

import base64
import contextlib
import datetime as dt
from typing import TYPE_CHECKING

from auditor.model import JSON

if TYPE_CHECKING:  # cryptography takes 40 ms to import: only where a certificate came
    from cryptography import x509


def describe_certificate(der: bytes) -> dict[str, JSON]:
    """Return the fields of a certificate.

    `{"der_b64", "subject", "issuer" (RFC 4514), "serial_number" (hex), "sans": ["DNS:db.example.com", "IP:10.0.0.1"],
    "not_before", "not_after" (RFC 3339, UTC), "public_key": {"algorithm", "bits"}, "signature_algorithm",
    "self_signed": bool}`. Algorithms we have no name for are dotted object identifiers, without bits. Where it does not
    parse: `{"der_b64", "unreadable": reason}`, so that reading any other member fails.
    """
    from cryptography import x509  # noqa: PLC0415 - see above
    from cryptography.exceptions import UnsupportedAlgorithm  # noqa: PLC0415

    kept: dict[str, JSON] = {"der_b64": base64.b64encode(der).decode("ascii")}
    try:
        return kept | _fields(x509.load_der_x509_certificate(der))
    except (
        ValueError,
        TypeError,
        UnsupportedAlgorithm,
        x509.DuplicateExtension,
        x509.UnsupportedGeneralNameType,
    ) as error:
        return kept | {"unreadable": f"{type(error).__name__}: {error}"}


def _fields(certificate: x509.Certificate) -> dict[str, JSON]:
    from cryptography.x509.oid import SignatureAlgorithmOID  # noqa: PLC0415 - see above

    oid = certificate.signature_algorithm_oid
    names = {value: name for name, value in vars(SignatureAlgorithmOID).items() if not name.startswith("_")}
    return {
        "subject": certificate.subject.rfc4514_string(),
        "issuer": certificate.issuer.rfc4514_string(),
        "serial_number": f"{certificate.serial_number:x}",
        "sans": _alternative_names(certificate),
        "not_before": _rfc3339(certificate.not_valid_before_utc),
        "not_after": _rfc3339(certificate.not_valid_after_utc),
        "public_key": _public_key(certificate),
        "signature_algorithm": names.get(oid, oid.dotted_string),
        "self_signed": _is_self_signed(certificate),
    }


def _rfc3339(moment: dt.datetime) -> str:
    return moment.replace(tzinfo=None).isoformat() + "Z"


def _alternative_names(certificate: x509.Certificate) -> list[JSON]:
    from cryptography import x509  # noqa: PLC0415 - see above

    labels = {"DNSName": "DNS", "IPAddress": "IP", "RFC822Name": "email", "UniformResourceIdentifier": "URI"}
    try:
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return []
    return [f"{labels.get(type(name).__name__, type(name).__name__)}:{name.value}" for name in names]


def _public_key(certificate: x509.Certificate) -> dict[str, JSON]:
    from cryptography.exceptions import UnsupportedAlgorithm  # noqa: PLC0415 - see above
    from cryptography.hazmat.primitives.asymmetric import dsa, ec, ed448, ed25519, rsa  # noqa: PLC0415 - see above

    with contextlib.suppress(UnsupportedAlgorithm):
        match key := certificate.public_key():
            case rsa.RSAPublicKey():
                return {"algorithm": "RSA", "bits": key.key_size}
            case ec.EllipticCurvePublicKey():
                return {"algorithm": "EC", "bits": key.key_size}
            case dsa.DSAPublicKey():
                return {"algorithm": "DSA", "bits": key.key_size}
            case ed25519.Ed25519PublicKey():
                return {"algorithm": "Ed25519", "bits": 256}
            case ed448.Ed448PublicKey():
                return {"algorithm": "Ed448", "bits": 456}
    return {"algorithm": certificate.public_key_algorithm_oid.dotted_string}


def _is_self_signed(certificate: x509.Certificate) -> bool:
    """Whether it is its own issuer, by name and by signature."""
    from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm  # noqa: PLC0415 - see above

    try:
        certificate.verify_directly_issued_by(certificate)
    except (InvalidSignature, TypeError, UnsupportedAlgorithm, ValueError):
        return False
    return True
