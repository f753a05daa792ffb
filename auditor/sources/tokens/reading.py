"""Reading tokens: signatures checked with the keys they can be of, encrypted ones decrypted, claims kept as they are.

No clock looks at them here, and no claim decides whether a token may be read: that is what the checks are about.
PyJWT's algorithms check signatures, joserfc decrypts. A key is used for the algorithms it can be a key of and no others
(RFC 8725 section 3.1): a shared secret never for RS256, a public key never for HS256.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from auditor.model import JSON
from auditor.questions import SourceFailure
from auditor.sources.tokens.compact import Compact, decode, read_object, take_apart, unreadable

Signature = Literal["verified", "invalid", "no_key", "unchecked", "decrypted"]
ENCRYPTED = "dir/A256GCM"
KEY_BYTES, IV_BYTES, TAG_BYTES = 32, 12, 16
SHARED = ("HS256", "HS384", "HS512")
PUBLIC: Mapping[str, tuple[str, str]] = {
    **dict.fromkeys(("RS256", "RS384", "RS512", "PS256", "PS384", "PS512"), ("RSA", "")),
    "ES256": ("EC", "P-256"),
    "ES384": ("EC", "P-384"),
    "ES512": ("EC", "P-521"),
    "EdDSA": ("OKP", "Ed25519"),
}
"""Type and curve of the keys of each algorithm (RFC 7518 section 3.1, RFC 8037)."""
PRIVATE = frozenset({"d", "p", "q", "dp", "dq", "qi", "oth"})
"""What only a private key has (RFC 7518 sections 6.2.2 and 6.3.2). No key set should show it; some do."""
MOST_SECONDS = 1e15
_NAMES = {bool: "boolean", str: "string", list: "array", dict: "object", type(None): "null"}


@dataclass(frozen=True)
class Keys:
    """What tokens may be checked with: a shared secret, and where public keys come from. None: not declared."""

    secret: Callable[[], str] | None = None
    public: Callable[[], Sequence[Mapping[str, Any]]] | None = None


@dataclass(frozen=True, repr=False)
class Token:
    """A token that was read. It is a secret: only what `kept` returns may be written down."""

    text: str
    compact: Compact
    payload: bytes
    claims: Mapping[str, JSON]
    signature: Signature

    @property
    def handle(self) -> str:
        """What it is called in evidence: the SHA-256 of its text, in hexadecimal."""
        return handle(self.text)

    @property
    def expires(self) -> float | None:
        """Its `exp`, in seconds since 1970; None where that is no such number."""
        seconds = date(self.claims, "exp").get("seconds")
        return float(seconds) if seconds is not None else None

    def kept(self) -> dict[str, JSON]:
        """Return what is evidence of it."""
        return {
            "sha256": self.handle,
            "format": self.compact.format,
            "algorithm": "none" if is_none(self.compact) else self.compact.algorithm,
            "signature": self.signature,
            "header": self.compact.header,
            "claims": dict(self.claims),
            "dates": {name: date(self.claims, name) for name in ("exp", "iat")},
        }


def handle(text: str) -> str:
    """Return the SHA-256 of a token's text."""
    return hashlib.sha256(text.encode()).hexdigest()


def read_token(text: str, keys: Keys) -> Token:
    """Read a token; `SourceFailure` where it is none, or encrypted and not under this secret."""
    compact = take_apart(text)
    if compact.format == "jwe":
        payload = _decrypt(text, compact, keys)
        return Token(text, compact, payload, read_object(payload, "payload"), "decrypted")
    payload = decode(compact.segments[1])
    return Token(text, compact, payload, read_object(payload, "payload"), _check(compact, keys))


def is_none(compact: Compact) -> bool:
    """Whether a token says that nothing protects it, in whatever case some reader may take it."""
    return compact.format == "jws" and compact.algorithm.casefold() == "none"


def date(claims: Mapping[str, JSON], name: str) -> dict[str, JSON]:
    """Say what a claim is that should be a NumericDate (RFC 7519 section 2): its type, and its seconds if a number.

    `out_of_range` is a number that no calendar and no float has room for.
    """
    if name not in claims:
        return {"type": "missing"}
    value = claims[name]
    if isinstance(value, bool) or not isinstance(value, int | float):
        return {"type": _NAMES[type(value)]}
    if abs(value) <= MOST_SECONDS:  # neither NaN nor infinity is
        return {"type": "number", "seconds": float(value)}
    return {"type": "out_of_range"}


def _decrypt(text: str, compact: Compact, keys: Keys) -> bytes:
    """Decrypt with the shared secret as the key itself (RFC 7518 section 4.5)."""
    from joserfc import errors, jwe  # noqa: PLC0415 - only an audit of tokens needs it
    from joserfc.jwk import OctKey  # noqa: PLC0415

    if compact.algorithm != ENCRYPTED:
        raise unreadable(f"encrypted with {compact.algorithm}, and only {ENCRYPTED} is read here")
    if keys.secret is None:
        raise unreadable("encrypted, and the target names no secret to read it with")
    _, key, iv, _, tag = map(decode, compact.segments)
    if key or len(iv) != IV_BYTES or len(tag) != TAG_BYTES:
        raise unreadable(f"its parts are not those of {ENCRYPTED}")
    secret = secret_key(keys.secret())
    registry = jwe.JWERegistry(algorithms=["dir", "A256GCM"], strict_check_header=False)
    try:
        plaintext = jwe.decrypt_compact(text, OctKey.import_key(secret), registry=registry).plaintext
    except (errors.JoseError, ValueError) as error:
        raise unreadable(f"does not decrypt under the secret ({type(error).__name__}): is it the right one?") from None
    return plaintext or b""


def secret_key(secret: str) -> bytes:
    """Return the key of dir with A256GCM that a secret's text is, as Explo's documents use an embed secret."""
    raw = secret.encode("utf-8", "surrogateescape")
    if len(raw) != KEY_BYTES:
        raise SourceFailure(
            "secret", f"a token of {ENCRYPTED} takes a secret of {KEY_BYTES} bytes, and this is of another length"
        )
    return raw


def _check(compact: Compact, keys: Keys) -> Signature:
    """Check a signature with every declared key that can be of its algorithm."""
    import jwt  # noqa: PLC0415 - only an audit of tokens needs it
    from jwt.algorithms import get_default_algorithms  # noqa: PLC0415

    signature, name = decode(compact.segments[2]), compact.algorithm
    if is_none(compact) or (keys.secret is None and keys.public is None):
        return "unchecked"
    candidates: list[Any] = []
    if name in SHARED and keys.secret is not None:
        candidates = [keys.secret().encode("utf-8", "surrogateescape")]
    elif name in PUBLIC and keys.public is not None:
        fitting = [key for key in keys.public() if _fits(key, compact)]
        candidates = [{part: value for part, value in key.items() if part not in PRIVATE} for key in fitting]
    result: Signature = "no_key"
    for candidate in candidates:
        algorithm = get_default_algorithms()[name]
        try:
            key = algorithm.prepare_key(candidate) if name in SHARED else jwt.PyJWK(candidate, algorithm=name).key
            verified = algorithm.verify(compact.signed, key, signature)
        except (jwt.PyJWTError, ValueError, TypeError, KeyError):  # no key, whatever it looks like
            continue
        if verified:
            return "verified"
        result = "invalid"
    return result


def _fits(key: Mapping[str, Any], compact: Compact) -> bool:
    """Whether a key of a key set (RFC 7517) may have signed this."""
    kind, curve = PUBLIC[compact.algorithm]
    return (
        key.get("kty") == kind
        and (not curve or key.get("crv") == curve)
        and key.get("use", "sig") == "sig"
        and key.get("alg", compact.algorithm) == compact.algorithm
        and ("kid" not in compact.header or key.get("kid") == compact.header["kid"])
    )
