"""What must be refused: a token with one bit turned, one of the same content under another key, and no token at all."""

from __future__ import annotations

import secrets
from typing import Any

import msgspec

from auditor.sources.tokens.compact import decode, encode, unreadable
from auditor.sources.tokens.reading import KEY_BYTES, PUBLIC, SHARED, Token

RSA_BITS = 2048


def tampered(token: Token) -> str:
    """Return the token with the last bit of its signature, or authentication tag, turned.

    All else stands, so that nothing but a look at the whole signature can refuse it: not a payload that is no JSON
    any more, not a comparison of the first bytes. The bit is one of the decoded bytes, not of base64's unused ones.
    """
    *others, last = token.compact.segments
    raw = decode(last)
    if not raw:
        raise unreadable("the token has no signature, so none can be tampered with")
    return ".".join([*others, encode(raw[:-1] + bytes([raw[-1] ^ 1]))])


def garbage(token: Token) -> str:
    """Return a text of the same shape and length that is no token at all."""
    return ".".join(encode(secrets.token_bytes(len(decode(segment)))) for segment in token.compact.segments)


def foreign(token: Token) -> str:
    """Return a token of the same header and claims under a key made for it.

    A public key in the header is replaced by that of the new key: a service that trusts it opens to everybody.
    """
    if token.compact.format == "jwe":
        return _encrypted(token)
    if token.compact.algorithm in SHARED:
        return _signed(token, secrets.token_bytes(64))
    if token.compact.algorithm in PUBLIC:
        return _signed(token, _private_key(token.compact.algorithm))
    raise unreadable(f"a token of {token.compact.algorithm} is under no key, so there is no other")


def _encrypted(token: Token) -> str:
    from joserfc import jwe  # noqa: PLC0415 - only an audit of tokens needs it
    from joserfc.jwk import OctKey  # noqa: PLC0415

    registry = jwe.JWERegistry(algorithms=["dir", "A256GCM"], strict_check_header=False)
    key = OctKey.import_key(secrets.token_bytes(KEY_BYTES))
    return jwe.encrypt_compact(dict(token.compact.header), token.payload, key, registry=registry)


def _signed(token: Token, key: Any) -> str:
    from jwt.algorithms import get_default_algorithms  # noqa: PLC0415 - only an audit of tokens needs it

    algorithm = get_default_algorithms()[token.compact.algorithm]
    header, payload, _ = token.compact.segments
    if "jwk" in token.compact.header:
        shown = {**token.compact.header, "jwk": algorithm.to_jwk(key.public_key(), as_dict=True)}
        header = encode(msgspec.json.encode(shown))
    signed = f"{header}.{payload}"
    return f"{signed}.{encode(algorithm.sign(signed.encode(), key))}"


def _private_key(algorithm: str) -> Any:
    from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa  # noqa: PLC0415 - only an audit needs it

    curves = {"ES256": ec.SECP256R1(), "ES384": ec.SECP384R1(), "ES512": ec.SECP521R1()}
    if algorithm in curves:
        return ec.generate_private_key(curves[algorithm])
    if algorithm == "EdDSA":
        return ed25519.Ed25519PrivateKey.generate()
    return rsa.generate_private_key(public_exponent=65537, key_size=RSA_BITS)
