"""Time stamps (RFC 3161): what a time-stamp authority is asked, and whether what it answered stamps some data.

Nothing here is asked of anybody. What is kept is the authority's whole response in DER, as `openssl ts -verify -in`
reads it. Its token is signed, with the time and the digest of the data; around that stand octets that no signature
covers (the words of the status, certificates that are not needed, attributes that are not signed). They mean nothing
here, and in a run the digest of the whole file is in the manifest statement.

Whether the authority's certificate was revoked is asked of nobody, for evidence is verified offline.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import re
from collections.abc import Sequence
from typing import TYPE_CHECKING

import msgspec

from auditor.model import EvidenceError

if TYPE_CHECKING:
    from cryptography.x509 import Certificate
    from rfc3161_client import TimeStampResponse

CLOCKS_APART = dt.timedelta(seconds=60)
"""How far our clock and the authority's may be apart; as for `time_based` checks."""
LATEST = dt.timedelta(hours=1)
"""How long after the end of collection evidence is stamped at the latest: it is sealed and stamped at once."""
_DIGESTS = {"2.16.840.1.101.3.4.2.1": "sha256", "2.16.840.1.101.3.4.2.2": "sha384", "2.16.840.1.101.3.4.2.3": "sha512"}
_CHAIN = re.compile(r"Verify error: ?([\w ,'()-]+)")


class Query(msgspec.Struct, frozen=True):
    """What an authority is asked (TimeStampReq in DER), and the number that its answer must repeat."""

    der: bytes
    nonce: int


class Stamped(msgspec.Struct, frozen=True, kw_only=True):
    """A time stamp that holds: when (UTC), by whom (the certificate's subject, RFC 4514), and its number there."""

    at: dt.datetime
    authority: str
    serial: int


def query(data: bytes) -> Query:
    """Return the query for a stamp on data: its SHA-256, a fresh nonce, and the request for the certificate."""
    from rfc3161_client import HashAlgorithm, TimestampRequestBuilder  # noqa: PLC0415 - a tenth of a second

    request = TimestampRequestBuilder().data(data).hash_algorithm(HashAlgorithm.SHA256).build()
    if request.nonce is None:
        raise AssertionError("the library makes a nonce unless told otherwise")
    return Query(request.as_bytes(), request.nonce)


def check(tsr: bytes, data: bytes, authorities: Sequence[str], *, nonce: int | None = None) -> Stamped:
    """Return when data was stamped and by whom; `EvidenceError` says why it was not.

    `tsr` is a TimeStampResp in DER; `authorities` are the certificates (PEM) that the signer's own must be issued
    under, all of them valid at the time it says; `nonce` is what was asked with, where that is known.
    """
    from rfc3161_client import VerificationError, VerifierBuilder  # noqa: PLC0415 - a tenth of a second

    response = _parse(tsr)
    info = response.tst_info
    imprint = info.message_imprint
    digest = _DIGESTS.get(imprint.hash_algorithm.dotted_string)
    if digest is None:
        raise EvidenceError(f"its digest is of an algorithm that is not taken: {imprint.hash_algorithm.dotted_string}")
    if imprint.message != hashlib.new(digest, data).digest():
        raise EvidenceError(f"it stamps other data: its {digest} is {imprint.message.hex()}")
    if nonce is not None and info.nonce != nonce:
        raise EvidenceError("it does not repeat the nonce of the query, so it may be an old one")
    roots = [certificate for pem in authorities for certificate in certificates(pem)]
    if not roots:
        raise EvidenceError("there is no authority to hold it against")
    signer = _signer(response)
    try:
        VerifierBuilder(roots=roots).build().verify_message(response, data)
    except VerificationError as error:
        raise EvidenceError(_in_words(error)) from None
    return Stamped(at=info.gen_time, authority=signer.subject.rfc4514_string(), serial=info.serial_number)


def certificates(pem: str) -> list[Certificate]:
    """Return the certificates of a PEM text; ValueError where there is none, or one cannot be read."""
    from cryptography.x509 import load_pem_x509_certificates  # noqa: PLC0415 - a tenth of a second

    return load_pem_x509_certificates(pem.encode())


def check_time(at: dt.datetime, as_of: dt.datetime, finished_at: dt.datetime) -> None:
    """Raise `EvidenceError` where a stamped time goes against the run's own dates: end of collection, and end.

    Whoever has the key can set the clock back; an authority stamps no time but its own.
    """
    said = f"it says {_utc(at)}"
    if at < as_of - CLOCKS_APART:
        raise EvidenceError(f"{said}, before the end of collection ({_utc(as_of)}): one of the two clocks is wrong")
    if at > finished_at + CLOCKS_APART:
        raise EvidenceError(f"{said}, after the end of the run ({_utc(finished_at)}): one of the two clocks is wrong")
    if at > as_of + LATEST:
        raise EvidenceError(f"{said}, more than an hour after the end of collection ({_utc(as_of)})")


def _parse(tsr: bytes) -> TimeStampResponse:
    """Return a granted response; octets after it, and other ways to write it than DER, are refused by the library."""
    from rfc3161_client import decode_timestamp_response  # noqa: PLC0415 - a tenth of a second

    try:
        response = decode_timestamp_response(tsr)
    except ValueError as error:
        raise EvidenceError(f"is no time stamp (TimeStampResp of RFC 3161, in DER): {error}") from None
    if response.status != 0:
        words = ", ".join(response.status_string)
        raise EvidenceError(
            f"the authority did not grant it as asked: status {response.status}{words and f' ({words})'}"
        )
    try:
        response.tst_info, response.signed_data  # noqa: B018 - parsed when they are looked at
    except ValueError as error:
        raise EvidenceError(f"its token cannot be read: {error}") from None
    return response


def _signer(response: TimeStampResponse) -> Certificate:
    """Return the certificate that the token is signed with: the only one of the issuer and number that it names.

    A second one that nobody issued, of another subject, could be the one whose name is told.
    """
    from cryptography.x509 import load_der_x509_certificate  # noqa: PLC0415 - a tenth of a second

    data = response.signed_data
    infos = list(data.signer_infos)
    if len(infos) != 1:
        raise EvidenceError(f"bears {len(infos)} signatures, not one")
    try:
        there = [load_der_x509_certificate(one) for one in data.certificates]
        named = [one for one in there if (one.issuer, one.serial_number) == (infos[0].issuer, infos[0].serial_number)]
    except Exception as error:  # boundary: the library has many words for a certificate that is none  # noqa: BLE001
        raise EvidenceError(f"holds a certificate that cannot be read: {type(error).__name__}") from None
    if len(named) != 1:
        raise EvidenceError(f"holds {len(named)} certificates of the one that signed it")
    return named[0]


def _in_words(error: Exception) -> str:
    """Say why the library takes a token for none."""
    found = _CHAIN.search(str(error))
    if found:
        return f"its certificate is not of an authority that counts: {found[1].strip()}"
    return "its signature does not hold" if "pkcs7" in str(error) else f"does not hold: {error}"


def _utc(at: dt.datetime) -> str:
    return f"{at:%Y-%m-%d %H:%M:%S} UTC"
