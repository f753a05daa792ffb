"""Makes and opens the tokens of the demo worlds, with nothing but `cryptography` and the standard library.

What the audit reads them with (PyJWT, joserfc) is not used here: one reading must not confirm itself.
RFC 7515 (JWS), 7516 (JWE), 7517 (keys), 7518 (algorithms).
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import secrets
from typing import Any

from cryptography.exceptions import InvalidSignature, InvalidTag
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa, utils
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from auditor.sandbox.tokens_world import Fault, Protection

HALF = 32  # bytes of r, and of s, in an ES256 signature (RFC 7518 section 3.4)


class NotValid(Exception):
    """A token that the service does not accept."""


class Issuer:
    """One service's key, and what it does with it. `secret` is the text of a shared one."""

    def __init__(self, protection: Protection, secret: str = "", faults: tuple[Fault, ...] = ()) -> None:
        self.protection = protection
        self._secret = secret.encode()
        self._faults = faults
        self.kid = secrets.token_hex(8)
        self._rsa = rsa.generate_private_key(public_exponent=65537, key_size=2048) if protection == "RS256" else None
        self._ec = ec.generate_private_key(ec.SECP256R1()) if protection == "ES256" else None

    def issue(self, claims: dict[str, Any]) -> str:
        """Return a token of these claims."""
        payload = json.dumps(claims).encode()
        if self.protection == "dir/A256GCM":
            header = _encoded(json.dumps({"alg": "dir", "enc": "A256GCM", "kid": self.kid}).encode())
            iv = secrets.token_bytes(12)
            sealed = AESGCM(self._secret).encrypt(iv, payload, header.encode())
            return f"{header}..{_encoded(iv)}.{_encoded(sealed[:-16])}.{_encoded(sealed[-16:])}"
        names: dict[str, Any] = {"alg": self.protection, "typ": "JWT", "kid": self.kid}
        if "trusts_header_key" in self._faults:
            names["jwk"] = self.public_key()
        signed = f"{_encoded(json.dumps(names).encode())}.{_encoded(payload)}"
        return f"{signed}.{_encoded(self._sign(signed.encode()))}"

    def open(self, text: str) -> dict[str, Any]:
        """Return the claims of a token of this service; `NotValid` where it is none."""
        try:
            parts = text.split(".")
            payload = self._decrypt(parts) if self.protection == "dir/A256GCM" else self._verified(parts)
            claims = json.loads(payload)
        except (ValueError, InvalidSignature, InvalidTag) as error:
            raise NotValid(type(error).__name__) from None
        if not isinstance(claims, dict):
            raise NotValid("no claims")
        return claims

    def public_key(self) -> dict[str, str]:
        """Return the public key as a JWK."""
        if self._rsa:
            numbers = self._rsa.public_key().public_numbers()
            return {"kty": "RSA", "kid": self.kid, "n": _number(numbers.n), "e": _number(numbers.e)}
        if self._ec:
            point = self._ec.public_key().public_numbers()
            return {
                "kty": "EC",
                "kid": self.kid,
                "crv": "P-256",
                "x": _number(point.x, HALF),
                "y": _number(point.y, HALF),
            }
        raise ValueError("a shared secret has no public key")

    def _sign(self, signed: bytes) -> bytes:
        if self._rsa:
            return self._rsa.sign(signed, padding.PKCS1v15(), hashes.SHA256())
        if self._ec:
            r, s = utils.decode_dss_signature(self._ec.sign(signed, ec.ECDSA(hashes.SHA256())))
            return r.to_bytes(HALF, "big") + s.to_bytes(HALF, "big")
        if self.protection == "HS256":
            return hmac.new(self._secret, signed, hashlib.sha256).digest()
        return b""

    def _verified(self, parts: list[str]) -> bytes:
        header_text, payload, signature_text = parts
        header, signature = json.loads(_decoded(header_text)), _decoded(signature_text)
        signed = f"{header_text}.{payload}".encode()
        if header["alg"] != self.protection:
            raise NotValid("another algorithm")
        if "checks_no_signature" in self._faults:
            return _decoded(payload)
        if self._rsa:
            key = self._rsa.public_key()
            if "trusts_header_key" in self._faults:
                n, e = (int.from_bytes(_decoded(header["jwk"][name]), "big") for name in ("n", "e"))
                key = rsa.RSAPublicNumbers(e, n).public_key()
            key.verify(signature, signed, padding.PKCS1v15(), hashes.SHA256())
        elif self._ec:
            r, s = (int.from_bytes(half, "big") for half in (signature[:HALF], signature[HALF:]))
            der = utils.encode_dss_signature(r, s)
            self._ec.public_key().verify(der, signed, ec.ECDSA(hashes.SHA256()))
        elif not hmac.compare_digest(signature, self._sign(signed)):
            raise InvalidSignature
        return _decoded(payload)

    def _decrypt(self, parts: list[str]) -> bytes:
        header, key, iv, text, tag = parts
        if key or json.loads(_decoded(header)).get("kid") != self.kid:
            raise NotValid("another key")
        if "checks_no_signature" in self._faults:  # GCM is counter mode, from 2 on (NIST SP 800-38D section 7.1)
            counter = modes.CTR(_decoded(iv) + (2).to_bytes(4, "big"))
            return Cipher(algorithms.AES(self._secret), counter).decryptor().update(_decoded(text))
        return AESGCM(self._secret).decrypt(_decoded(iv), _decoded(text) + _decoded(tag), header.encode())


def _encoded(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def _decoded(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def _number(value: int, size: int = 0) -> str:
    return _encoded(value.to_bytes(size or (value.bit_length() + 7) // 8, "big"))
