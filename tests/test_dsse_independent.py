"""Envelopes as an independent library of DSSE (securesystemslib) reads and writes them: it and ours agree."""

from __future__ import annotations

import base64
import datetime as dt
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_public_key
from hypothesis import given
from hypothesis import strategies as st
from securesystemslib.dsse import Envelope
from securesystemslib.exceptions import VerificationError
from securesystemslib.signer import CryptoSigner, SSlibKey

from auditor import envelope, keys, seal
from auditor.keys import PublicKey, SigningKey
from auditor.model import EvidenceError
from tests import toy
from tests.toy import World, claim

PRIVATE = Ed25519PrivateKey.generate()
KEY = SigningKey(PRIVATE)
OURS = PublicKey(id=KEY.id, public=KEY.public, valid_from=dt.datetime(2026, 1, 1, tzinfo=dt.UTC))
PAYLOAD = b'{"_type":"https://in-toto.io/Statement/v1","subject":[]}'


def their_key(pem: str, key_id: str) -> SSlibKey:
    """The key as that library makes it from the PEM that is in a key file."""
    return SSlibKey.from_crypto(load_pem_public_key(pem.encode()), key_id)


THEIRS = their_key(KEY.public, KEY.id)


def they_take(data: bytes, key: SSlibKey = THEIRS) -> bytes | None:
    """The payload that they read from an envelope and verified; None where they refuse it."""
    try:
        read = Envelope.from_dict(json.loads(data))
        read.verify([key], 1)
    except (VerificationError, ValueError, KeyError, TypeError):
        return None
    payload: bytes = read.payload
    return payload


def we_take(data: bytes) -> bytes | None:
    try:
        return envelope.open_envelope(data, {OURS.id: OURS}.get).payload
    except EvidenceError:
        return None


def test_they_verify_what_we_sign(tmp_path: Path) -> None:
    """Both statements of a run, and what they say."""
    signing = keys.generate(tmp_path / "auditor.key", tmp_path / "auditor.keys.json", toy.NOW - dt.timedelta(days=1))
    run = toy.audit(World([]), tmp_path, claim("c", {"id": "t", "check": "boxes-locked"}), key=signing).run
    (public,) = keys.load(tmp_path / "auditor.keys.json").keys
    for name in (seal.EVIDENCE, seal.MANIFEST):
        data = (run / name).read_bytes()
        payload = they_take(data, their_key(public.public, public.id))
        assert payload == envelope.payload_unverified(data)
        assert json.loads(payload or b"")["_type"] == "https://in-toto.io/Statement/v1"
        assert they_take(data) is None  # the key of this module: a foreign one


@given(st.binary(min_size=1, max_size=200))
def test_they_sign_the_same_to_the_byte(payload: bytes) -> None:
    """Ed25519 leaves nothing to chance, so payload and signature of an envelope have one value each."""
    theirs = Envelope(payload, envelope.PAYLOAD_TYPE, {})
    theirs.sign(CryptoSigner(PRIVATE, THEIRS))
    assert theirs.pae() == envelope.pre_authentication(payload)
    ours = json.loads(envelope.close(payload, KEY))
    assert theirs.to_dict() == ours
    written = json.dumps(theirs.to_dict(), separators=(",", ":")).encode() + b"\n"
    assert written == envelope.close(payload, KEY)
    assert we_take(written) == they_take(written) == payload


def altered(change: Callable[[dict[str, Any]], None]) -> bytes:
    members = json.loads(envelope.close(PAYLOAD, KEY))
    change(members)
    return json.dumps(members, separators=(",", ":")).encode() + b"\n"


def put(name: str, value: Any) -> Callable[[dict[str, Any]], None]:
    return lambda members: members.__setitem__(name, value)


def sign_with(name: str, value: Any) -> Callable[[dict[str, Any]], None]:
    return lambda members: members["signatures"][0].__setitem__(name, value)


OTHER = SigningKey(Ed25519PrivateKey.generate())
REFUSED = {
    "another payload": put("payload", base64.b64encode(PAYLOAD + b" ").decode()),
    "another type": put("payloadType", "application/json"),
    "no signature": put("signatures", []),
    "another signature": sign_with("sig", base64.b64encode(bytes(64)).decode()),
    "a short signature": sign_with("sig", base64.b64encode(bytes(63)).decode()),
    "no base64": sign_with("sig", "###"),
    "the signature of another": sign_with(
        "sig", base64.b64encode(OTHER.sign(envelope.pre_authentication(PAYLOAD))).decode()
    ),
    "the id of another": sign_with("keyid", OTHER.id),
    "no payload": lambda members: members.pop("payload"),
    "no type": lambda members: members.pop("payloadType"),
    "no signatures": lambda members: members.pop("signatures"),
    "no key id": lambda members: members["signatures"][0].pop("keyid"),
    "two of one key": lambda members: members.update(signatures=members["signatures"] * 2),
}


@pytest.mark.parametrize("change", REFUSED)
def test_we_refuse_what_they_refuse(change: str) -> None:
    assert they_take(altered(lambda _: None)) == we_take(altered(lambda _: None)) == PAYLOAD
    data = altered(REFUSED[change])
    assert they_take(data) is None
    assert we_take(data) is None


def test_we_refuse_what_the_specification_leaves_open() -> None:
    """What they take, and could be changed unnoticed: another signature, white space, unknown members."""
    members = json.loads(envelope.close(PAYLOAD, KEY))
    more = {"keyid": OTHER.id, "sig": members["signatures"][0]["sig"]}
    taken = (
        altered(lambda members: members["signatures"].append(more)),
        json.dumps(members).encode() + b"\n",
        altered(put("more", 1)),
        envelope.close(PAYLOAD, KEY) + b"\n",
    )
    for data in taken:
        assert they_take(data) == PAYLOAD
        assert we_take(data) is None


@given(st.integers(0, len(envelope.close(PAYLOAD, KEY)) - 1), st.integers(0, 7))
def test_no_changed_bit_is_taken(place: int, bit: int) -> None:
    data = bytearray(envelope.close(PAYLOAD, KEY))
    data[place] ^= 1 << bit
    assert we_take(bytes(data)) is None
    assert they_take(bytes(data)) in (None, PAYLOAD)  # where it means nothing to them
