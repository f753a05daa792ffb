"""DSSE envelopes: one way to write them, and no bit of one can be changed unnoticed."""

from __future__ import annotations

import base64
import datetime as dt
import json
from contextlib import suppress
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from auditor import envelope
from auditor.keys import PublicKey, SigningKey
from auditor.model import EvidenceError

KEY, OTHER = (SigningKey(Ed25519PrivateKey.generate()) for _ in range(2))
KNOWN = {key.id: PublicKey(id=key.id, public=key.public, valid_from=dt.datetime.now(dt.UTC)) for key in (KEY,)}
PAYLOAD = b'{"_type":"https://in-toto.io/Statement/v1"}'


def opened(data: bytes) -> envelope.Opened:
    return envelope.open_envelope(data, KNOWN.get)


def test_what_is_signed_is_read_back_with_its_signer() -> None:
    found = opened(envelope.close(PAYLOAD, KEY))
    assert (found.payload, found.key) == (PAYLOAD, KNOWN[KEY.id])
    bare = opened(envelope.close(PAYLOAD, None))
    assert (bare.payload, bare.key) == (PAYLOAD, None)


def test_the_encoding_is_the_one_of_the_specification() -> None:
    """The test vector of the DSSE protocol: type http://example.com/HelloWorld, body hello world."""
    said = envelope.pre_authentication(b"hello world", "http://example.com/HelloWorld")
    assert said == b"DSSEv1 29 http://example.com/HelloWorld 11 hello world"


def changed(change: Any, key: SigningKey = KEY) -> bytes:
    members = json.loads(envelope.close(PAYLOAD, key))
    change(members)
    return json.dumps(members, separators=(",", ":")).encode() + b"\n"


def put(**members: Any) -> Any:
    return lambda envelope: envelope.update(members)


def in_signature(**members: Any) -> Any:
    return lambda envelope: envelope["signatures"][0].update(members)


def second(envelope: dict[str, Any]) -> None:
    envelope["signatures"] *= 2


def tail(envelope: dict[str, Any]) -> None:
    """Set a bit of the payload's base64 that means nothing."""
    text = envelope["payload"]
    assert text.endswith("=")
    stem = text.rstrip("=")
    last = stem[:-1] + chr(ord(stem[-1]) + 1) + "=" * (len(text) - len(stem))
    assert base64.b64decode(last) == base64.b64decode(text)
    envelope["payload"] = last


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (put(payload=base64.b64encode(PAYLOAD + b" ").decode()), "signature is not that"),
        (put(payloadType="application/json"), "payloadType"),
        (put(payload="%%%"), "not base64"),
        (tail, "canonical base64"),
        (put(signatures=[]), "0 signatures"),
        (second, "2 signatures"),
        (put(extra=1), "no DSSE envelope"),
        (in_signature(keyid="0" * 64), "not known"),
        (in_signature(sig=base64.b64encode(bytes(64)).decode()), "signature is not that"),
        (in_signature(sig=""), "signature is not that"),
        (in_signature(cert="x"), "no DSSE envelope"),
    ],
)
def test_a_changed_envelope_is_refused(change: Any, reason: str) -> None:
    assert opened(changed(lambda _: None)).key  # the positive control
    with pytest.raises(EvidenceError, match=reason):
        opened(changed(change))


def test_a_foreign_key_is_refused_even_under_a_known_id() -> None:
    with pytest.raises(EvidenceError, match="not known"):
        opened(envelope.close(PAYLOAD, OTHER))
    with pytest.raises(EvidenceError, match="signature is not that"):
        opened(changed(in_signature(keyid=KEY.id), OTHER))


@pytest.mark.parametrize(
    "rewrite",
    [
        lambda data: data.rstrip(b"\n"),
        lambda data: data + b"\n",
        lambda data: json.dumps(json.loads(data)).encode() + b"\n",
        lambda data: json.dumps(dict(reversed(json.loads(data).items())), separators=(",", ":")).encode() + b"\n",
        lambda data: data.replace(b"keyid", b"\\u006beyid"),
        lambda data: data.replace(b"/", b"\\/"),
    ],
)
def test_another_way_to_write_the_same_is_refused(rewrite: Any) -> None:
    with pytest.raises(EvidenceError):
        opened(rewrite(envelope.close(PAYLOAD, KEY)))


def test_every_single_bit_counts() -> None:
    data = envelope.close(PAYLOAD, KEY)
    for position in range(len(data) * 8):
        flipped = bytearray(data)
        flipped[position // 8] ^= 1 << position % 8
        with pytest.raises(EvidenceError):
            opened(bytes(flipped))


@given(st.binary(max_size=200))
def test_garbage_is_refused_in_words_or_said_to_be_unsigned(data: bytes) -> None:
    for start in (b"", b'{"payload"', b'{"_type"'):
        with suppress(EvidenceError):
            assert opened(start + data).key is None
        with suppress(EvidenceError):
            assert envelope.payload_unverified(start + data) is not None


def test_an_unverified_payload_is_only_read() -> None:
    assert envelope.payload_unverified(envelope.close(PAYLOAD, OTHER)) == PAYLOAD
    assert envelope.payload_unverified(envelope.close(PAYLOAD, None)) == PAYLOAD
    with pytest.raises(EvidenceError, match="no DSSE envelope"):
        envelope.payload_unverified(b'{"payload":"%","payloadType":"x","signatures":[]}\n')
