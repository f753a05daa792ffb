"""Statements signed with Ed25519 in a DSSE envelope (github.com/secure-systems-lab/dsse, v1), or bare.

There is one way to write an envelope: compact JSON in this order of members, standard base64, one signature, a newline.
Anything else is refused, for unused bits of base64, white space, an unauthenticated key id or a further signature could
otherwise be changed unnoticed.
"""

from __future__ import annotations

import base64
from collections.abc import Callable

import msgspec
from cryptography.exceptions import InvalidSignature

from auditor.keys import PublicKey, SigningKey
from auditor.model import EvidenceError

PAYLOAD_TYPE = "application/vnd.in-toto+json"


class Signature(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Which key signed, by the digest of its public half, and the 64 octets of the signature (RFC 8032), in base64."""

    keyid: str
    sig: str


class Envelope(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A signed statement; `payload` is its bytes in base64."""

    payload: str
    payloadType: str  # noqa: N815 - DSSE's name
    signatures: tuple[Signature, ...]


_DECODER = msgspec.json.Decoder(Envelope)


class Opened(msgspec.Struct, frozen=True):
    """The bytes of a statement, and the key that signed them; None: nobody did."""

    payload: bytes
    key: PublicKey | None


def pre_authentication(payload: bytes, payload_type: str = PAYLOAD_TYPE) -> bytes:
    """Return what is signed: DSSE's pre-authentication encoding."""
    kind = payload_type.encode()
    return b"DSSEv1 %d %b %d %b" % (len(kind), kind, len(payload), payload)


def close(payload: bytes, key: SigningKey | None) -> bytes:
    """Return a statement as it is kept: in a signed envelope, or bare where there is no key."""
    if key is None:
        return payload + b"\n"
    signature = Signature(key.id, base64.b64encode(key.sign(pre_authentication(payload))).decode())
    return _encode(Envelope(base64.b64encode(payload).decode(), PAYLOAD_TYPE, (signature,)))


def is_signed(data: bytes) -> bool:
    """Whether these bytes are anything else than a bare statement, which is known by its first member."""
    return not data.startswith(b'{"_type"')


def open_envelope(data: bytes, find: Callable[[str], PublicKey | None]) -> Opened:
    """Return what a kept statement says and who signed it; `EvidenceError` where it is not as `close` writes it."""
    if not is_signed(data):
        if not data.endswith(b"\n"):
            raise EvidenceError("does not end with a newline")
        return Opened(data[:-1], None)
    try:
        envelope = _DECODER.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise EvidenceError(f"is no DSSE envelope: {error}") from None
    if _encode(envelope) != data:
        raise EvidenceError("is not written canonically: white space, order of members or escapes differ")
    if envelope.payloadType != PAYLOAD_TYPE:
        raise EvidenceError(f"its payloadType is {envelope.payloadType!r}, not {PAYLOAD_TYPE!r}")
    if len(envelope.signatures) != 1:
        raise EvidenceError(f"bears {len(envelope.signatures)} signatures, not one")
    payload, signature = _base64(envelope.payload, "payload"), _base64(envelope.signatures[0].sig, "signature")
    keyid = envelope.signatures[0].keyid
    key = find(keyid)
    if key is None:
        raise EvidenceError(f"is signed by a key that is not known: {keyid}")
    try:
        key.verify(signature, pre_authentication(payload))
    except InvalidSignature:
        raise EvidenceError(f"its signature is not that of key {keyid}") from None
    return Opened(payload, key)


def payload_unverified(data: bytes) -> bytes:
    """Return what a kept statement says, whoever signed it: enough to find one's way, never to rely on."""
    if not is_signed(data):
        return data.removesuffix(b"\n")
    try:
        return base64.b64decode(_DECODER.decode(data).payload, validate=True)
    except ValueError as error:  # of msgspec, of UTF-8, of base64
        raise EvidenceError(f"is no DSSE envelope: {error}") from None


def _encode(envelope: Envelope) -> bytes:
    return msgspec.json.encode(envelope) + b"\n"


def _base64(text: str, what: str) -> bytes:
    try:
        data = base64.b64decode(text, validate=True)
    except ValueError:  # binascii.Error is one
        raise EvidenceError(f"its {what} is not base64") from None
    if base64.b64encode(data).decode() != text:
        raise EvidenceError(f"its {what} is not canonical base64: bits that mean nothing are set")
    return data
