"""Reading tokens, and making those that must be refused: held against jwcrypto, which shares no code with either."""

from __future__ import annotations

import hmac
import json
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from jwcrypto import jwe, jwk, jws

from auditor.questions import SourceFailure
from auditor.sources.tokens.compact import decode, encode
from auditor.sources.tokens.reading import Keys, Token, date, handle, read_token
from auditor.sources.tokens.variants import foreign, garbage, tampered

SECRET = "0123456789abcdef0123456789abcdef"
OTHER = SECRET[::-1]
CLAIMS = {"cst": "test", "exp": 1_795_600_000.5}
KINDS: dict[str, dict[str, Any]] = {
    **{name: {"kty": "RSA", "size": 2048} for name in ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512")},
    "ES256": {"kty": "EC", "crv": "P-256"},
    "ES384": {"kty": "EC", "crv": "P-384"},
    "ES512": {"kty": "EC", "crv": "P-521"},
    "EdDSA": {"kty": "OKP", "crv": "Ed25519"},
}
SHARED = ("HS256", "HS384", "HS512")


def key(algorithm: str, kid: str = "k1") -> jwk.JWK:
    return jwk.JWK.generate(kid=kid, **KINDS[algorithm])


RSA = key("RS256")


def octets(secret: str) -> jwk.JWK:
    return jwk.JWK(kty="oct", k=encode(secret.encode()))


def signed(algorithm: str, by: jwk.JWK, payload: Any = CLAIMS, **header: Any) -> str:
    token = jws.JWS(payload if isinstance(payload, bytes) else json.dumps(payload).encode())
    token.allowed_algs = [algorithm]
    token.add_signature(by, alg=algorithm, protected=json.dumps({"alg": algorithm, **header}))
    text: str = token.serialize(compact=True)
    return text


def encrypted(payload: Any = CLAIMS, secret: str = SECRET, **header: Any) -> str:
    raw = payload if isinstance(payload, bytes) else json.dumps(payload).encode()
    protected = {"alg": "dir", "enc": "A256GCM", **header}
    token = jwe.JWE(raw, protected=json.dumps(protected), recipient=octets(secret))
    text: str = token.serialize(compact=True)
    return text


def compact(header: Any, payload: Any, signature: bytes = b"x") -> str:
    parts = [part if isinstance(part, bytes) else json.dumps(part).encode() for part in (header, payload)]
    return ".".join(map(encode, [*parts, signature]))


def public(*keys: jwk.JWK, **more: Any) -> Callable[[], list[dict[str, Any]]]:
    exported = [{**one.export_public(as_dict=True), **more} for one in keys]
    return lambda: exported


def keys(secret: str | None = None, known: Callable[[], list[dict[str, Any]]] | None = None) -> Keys:
    return Keys(None if secret is None else lambda: secret, known)


def refused(text: str, known: Keys) -> str:
    with pytest.raises(SourceFailure) as error:
        read_token(text, known)
    assert error.value.code in ("unreadable", "secret")
    assert text not in str(error.value) or len(text) < 9
    return error.value.message


def states(text: str, *known: Keys) -> list[str]:
    return [read_token(text, one).signature for one in known]


# Encrypted


@pytest.mark.parametrize("algorithm", ["dir/A256GCM", "RS256/x", "/"])
def test_a_signed_token_never_looks_like_an_encrypted_one(algorithm: str) -> None:
    """Whoever reads `dir/A256GCM` in a report takes it that nobody can read the token."""
    text = compact({"alg": algorithm, "enc": "A256GCM"}, CLAIMS)
    for known in (keys(), keys(SECRET)):
        assert "no algorithm of a signed token" in refused(text, known)
    assert read_token(compact({"alg": "RS256", "enc": "A256GCM"}, CLAIMS), keys()).compact.algorithm == "RS256"


def test_a_token_as_explo_documents_it_is_decrypted() -> None:
    text = encrypted(kid="7c1b")
    token = read_token(text, keys(SECRET))
    assert (token.claims, token.signature, token.compact.algorithm) == (CLAIMS, "decrypted", "dir/A256GCM")
    assert token.kept() == {
        "sha256": handle(text),
        "format": "jwe",
        "algorithm": "dir/A256GCM",
        "signature": "decrypted",
        "header": {"alg": "dir", "enc": "A256GCM", "kid": "7c1b"},
        "claims": CLAIMS,
        "dates": {"exp": {"type": "number", "seconds": 1_795_600_000.5}, "iat": {"type": "missing"}},
    }
    assert text not in repr(token)
    assert read_token(encrypted(customer="header"), keys(SECRET)).claims == CLAIMS


def test_what_does_not_decrypt_is_unreadable() -> None:
    text = encrypted()
    assert "does not decrypt" in refused(text, keys(OTHER))
    assert "names no secret" in refused(text, keys())
    assert "32 bytes" in refused(text, keys("short"))
    header, key_part, iv, body, tag = text.split(".")
    assert "does not decrypt" in refused(tampered(read_token(text, keys(SECRET))), keys(SECRET))
    flipped = encode(bytes([decode(body)[0] ^ 1]) + decode(body)[1:])
    assert "does not decrypt" in refused(f"{header}..{iv}.{flipped}.{tag}", keys(SECRET))
    for parts in ([header, "AAAA", iv, body, tag], [header, "", iv[:4], body, tag], [header, "", iv, body, tag[:8]]):
        assert "its parts are not those" in refused(".".join(parts), keys(SECRET))
    assert key_part == ""


@pytest.mark.parametrize("enc", ["A128GCM", "A256CBC-HS512"])
def test_only_the_documented_encryption_is_read(enc: str) -> None:
    secret = "x" * {"A128GCM": 16, "A256CBC-HS512": 64}[enc]
    assert f"dir/{enc}" in refused(encrypted(secret=secret, enc=enc), keys(secret))


def test_a_compressed_or_nested_token_is_unreadable() -> None:
    refused(encrypted(zip="DEF"), keys(SECRET))
    refused(encrypted(signed("HS256", octets(SECRET)).encode(), cty="JWT"), keys(SECRET))


# Signed


@pytest.mark.parametrize("algorithm", KINDS)
def test_signatures_are_checked_with_the_public_keys(algorithm: str) -> None:
    own, another = key(algorithm), key(algorithm)
    text = signed(algorithm, own, kid="k1")
    assert states(text, keys(), keys(None, public(own)), keys(None, public(another))) == [
        "unchecked",
        "verified",
        "invalid",
    ]
    assert states(text, keys(None, public(another, own)), keys(None, public(own, another))) == ["verified"] * 2
    assert read_token(text, keys()).claims == CLAIMS
    token = read_token(text, keys(None, public(own)))
    assert states(tampered(token), keys(None, public(own))) == ["invalid"]
    assert states(foreign(token), keys(None, public(own))) == ["invalid"]


@pytest.mark.parametrize("algorithm", SHARED)
@pytest.mark.parametrize("secret", [SECRET, "short", SECRET * 3])
def test_signatures_are_checked_with_the_shared_secret_however_short(algorithm: str, secret: str) -> None:
    """Services make signatures with short keys as well, where jwcrypto does not."""
    head = encode(json.dumps({"alg": algorithm}).encode()) + "." + encode(json.dumps(CLAIMS).encode())
    text = f"{head}.{encode(hmac.new(secret.encode(), head.encode(), 'sha' + algorithm[2:]).digest())}"
    assert states(text, keys(secret), keys(OTHER), keys()) == ["verified", "invalid", "unchecked"]
    if secret == SECRET * 3:
        verifier = jws.JWS()
        verifier.allowed_algs = [algorithm]
        verifier.deserialize(text, octets(secret))


@pytest.mark.parametrize("algorithm", ["RS256", "PS256", "ES256", "EdDSA"])
def test_a_key_set_that_gives_a_private_key_away_is_read_as_the_public_one(algorithm: str) -> None:
    own = key(algorithm)
    (state,) = states(signed(algorithm, own), keys(None, lambda: [own.export_private(as_dict=True)]))
    assert state == "verified"
    (state,) = states(signed(algorithm, key(algorithm)), keys(None, lambda: [own.export_private(as_dict=True)]))
    assert state == "invalid"


def test_a_key_is_used_for_the_algorithms_it_is_a_key_of() -> None:
    """A public key is no shared secret, a shared secret no public key, and none of them a key of another kind."""
    exported = RSA.export_to_pem().decode()
    for secret in (exported, json.dumps(RSA.export_public(as_dict=True)), SECRET):
        text = compact({"alg": "HS256"}, CLAIMS)
        assert states(text, keys(None, public(RSA))) == ["no_key"]
        assert states(signed("RS256", RSA), keys(secret)) == ["no_key"]
    assert states(compact({"alg": "HS256"}, CLAIMS), keys(exported)) == ["no_key"]  # PyJWT takes no PEM as a secret
    shared = {"kty": "oct", "k": encode(SECRET.encode())}
    assert states(signed("RS256", RSA), keys(None, lambda: [shared])) == ["no_key"]
    assert states(signed("HS256", octets(SECRET)), keys(None, lambda: [shared])) == ["no_key"]
    assert states(signed("ES256", key("ES256")), keys(None, public(key("ES384")))) == ["no_key"]
    for more in ({"use": "enc"}, {"alg": "PS256"}, {"kid": "k2"}, {"kty": "EC"}):
        assert states(signed("RS256", RSA, kid="k1"), keys(None, public(RSA, **more))) == ["no_key"], more
    for broken in ({"n": 7}, {"e": "*"}, {"n": ""}):
        assert states(signed("RS256", RSA, kid="k1"), keys(None, public(RSA, **broken))) in (["no_key"], ["invalid"])
    assert states(signed("RS256", RSA, kid="k1"), keys(None, list)) == ["no_key"]
    assert states(compact({"alg": "ES256K"}, CLAIMS), keys(SECRET, public(RSA))) == ["no_key"]
    assert states(compact({"alg": "nonsense"}, CLAIMS), keys(SECRET, public(RSA))) == ["no_key"]


@pytest.mark.parametrize("name", ["none", "None", "NONE", "nOnE"])
@pytest.mark.parametrize("signature", [b"", b"x"])
def test_none_is_read_so_that_it_can_be_judged(name: str, signature: bytes) -> None:
    token = read_token(compact({"alg": name}, CLAIMS, signature), keys(SECRET, public(RSA)))
    assert (token.kept()["algorithm"], token.signature) == ("none", "unchecked")


# What is no token

RAW = b'{"exp": 1, "exp": 2}'


@pytest.mark.parametrize(
    "text",
    [
        "",
        "garbage",
        "a.b",
        "a.b.c",
        "a.b.c.d",
        "....",
        "..",
        "é.é.é",
        "<html><head>.</head>.</html>",
        compact({"alg": "HS256"}, [1]),
        compact({"alg": "HS256"}, b"7"),
        compact({"alg": "HS256"}, b"null"),
        compact({"alg": "HS256"}, b""),
        compact({"alg": "HS256"}, RAW),
        compact({"alg": "HS256"}, b'{"exp": NaN}'),
        compact({"alg": "HS256"}, b'{"exp": Infinity}'),
        compact({"alg": "HS256"}, b'{"exp": 1e999}'),
        compact({"alg": "HS256"}, b'{"exp": ' + b"9" * 5000 + b"}"),
        compact({"alg": "HS256"}, b'{"a": "\xff"}'),
        compact({"alg": "HS256"}, b'{"a": ' * 1000),
        compact(b'{"alg": "none", "alg": "HS256"}', CLAIMS),
        compact({}, CLAIMS),
        compact([], CLAIMS),
        compact({"alg": ""}, CLAIMS),
        compact({"alg": 7}, CLAIMS),
        compact({"alg": None}, CLAIMS),
        compact({"alg": ["HS256"]}, CLAIMS),
        compact({"alg": "HS256", "crit": ["exp"]}, CLAIMS),
        compact({"alg": "HS256", "b64": False, "crit": ["b64"]}, CLAIMS),
        compact({"alg": "HS256"}, CLAIMS) + "=",
        compact({"alg": "HS256"}, CLAIMS) + "\n",
        compact({"alg": "HS256"}, CLAIMS, b"xx")[:-1] + "B",  # the same bytes, another text
        compact({"alg": "HS256"}, CLAIMS) + "AAA",
        compact({"alg": "HS256"}, CLAIMS) + "+/",
        compact({"alg": "dir"}, CLAIMS) + ".x.x",
        compact({"alg": "HS256"}, {"a": "x" * 70_000}),
    ],
)
def test_what_is_no_token_is_unreadable(text: str) -> None:
    refused(text, keys(SECRET, public(RSA)))


@given(st.text(alphabet=st.sampled_from("eyJhbGci.=-_A \n{}é"), max_size=60) | st.binary(max_size=60).map(encode))
def test_nothing_else_is_ever_raised(text: str) -> None:
    with suppress(SourceFailure):
        read_token(text, keys(SECRET, public(RSA)))


@pytest.mark.parametrize(
    ("value", "kind"),
    [
        (1_795_600_000, "number"),
        (1.5, "number"),
        (-1, "number"),
        (0, "number"),
        (1e15, "number"),
        (1.1e15, "out_of_range"),
        (10**40, "out_of_range"),
        (-(10**400), "out_of_range"),
        (1e308, "out_of_range"),
        (float("nan"), "out_of_range"),
        (float("inf"), "out_of_range"),
        (True, "boolean"),
        (False, "boolean"),
        ("1795600000", "string"),
        (None, "null"),
        ([], "array"),
        ({}, "object"),
    ],
)
def test_a_date_is_a_number_of_seconds_and_nothing_else(value: Any, kind: str) -> None:
    found = date({"exp": value}, "exp")
    assert found["type"] == kind
    assert ("seconds" in found) is (kind == "number")
    assert isinstance(found.get("seconds", 0.0), float)
    assert date({}, "exp") == {"type": "missing"}


def test_a_number_of_any_size_can_be_kept() -> None:
    token = read_token(compact({"alg": "none"}, b'{"exp": ' + b"9" * 400 + b"}"), keys())
    assert token.expires is None
    assert msgspec.json.decode(msgspec.json.encode(token.kept()))["dates"]["exp"] == {"type": "out_of_range"}


# What must be refused


def bits_changed(before: str, after: str) -> int:
    return sum((a ^ b).bit_count() for a, b in zip(decode(before), decode(after), strict=True))


@pytest.mark.parametrize("text", [encrypted(), signed("RS256", RSA), signed("HS256", octets(SECRET))])
def test_tampering_turns_one_bit_of_the_decoded_signature_or_tag(text: str) -> None:
    token = read_token(text, keys(SECRET))
    *head, last = text.split(".")
    *changed_head, changed_last = tampered(token).split(".")
    assert head == changed_head
    assert bits_changed(last, changed_last) == 1


def test_jwcrypto_refuses_a_tampered_and_a_foreign_encrypted_token() -> None:
    text = encrypted(kid="a", iss="x")
    token = read_token(text, keys(SECRET))
    for changed in (tampered(token), foreign(token)):
        with pytest.raises(jwe.InvalidJWEData):
            jwe.JWE().deserialize(changed, octets(SECRET))
        assert json.loads(decode(changed.split(".")[0])) == token.compact.header
        assert [len(part) for part in changed.split(".")][1:] == [len(part) for part in text.split(".")][1:]
    opened = jwe.JWE()
    opened.deserialize(text, octets(SECRET))  # the positive control
    assert json.loads(opened.payload) == CLAIMS


@pytest.mark.parametrize("algorithm", [*KINDS, *SHARED])
def test_a_foreign_token_says_the_same_under_another_key(algorithm: str) -> None:
    own = octets(SECRET * 2) if algorithm in SHARED else key(algorithm)
    text = signed(algorithm, own)
    made = foreign(read_token(text, keys()))
    assert made.split(".")[:2] == text.split(".")[:2]
    for candidate, good in ((made, False), (text, True)):
        verifier = jws.JWS()
        verifier.allowed_algs = [algorithm]
        try:
            verifier.deserialize(candidate, own)
        except jws.InvalidJWSSignature:
            assert not good
        else:
            assert good


@pytest.mark.parametrize("algorithm", ["RS256", "ES256", "EdDSA"])
def test_a_key_in_the_header_is_replaced_so_that_who_trusts_it_is_found(algorithm: str) -> None:
    own = key(algorithm)
    token = read_token(signed(algorithm, own, jwk=own.export_public(as_dict=True)), keys())
    made = foreign(token)
    shown = json.loads(decode(made.split(".")[0]))["jwk"]
    assert shown["kty"] == KINDS[algorithm]["kty"]
    verifier = jws.JWS()
    verifier.allowed_algs = [algorithm]
    verifier.deserialize(made, jwk.JWK(**shown))
    with pytest.raises(jws.InvalidJWSSignature):
        verifier.deserialize(made, own)


def test_what_nothing_protects_cannot_be_tampered_with_nor_be_foreign() -> None:
    token = read_token(compact({"alg": "none"}, CLAIMS, b""), keys())
    for change in (tampered, foreign):
        with pytest.raises(SourceFailure, match="unreadable"):
            change(token)


def test_garbage_is_of_the_same_shape_and_no_token() -> None:
    for text in (encrypted(), signed("RS256", RSA)):
        made = garbage(read_token(text, keys(SECRET)))
        assert [len(part) for part in made.split(".")] == [len(part) for part in text.split(".")]
        refused(made, keys(SECRET))
        assert isinstance(read_token(text, keys(SECRET)), Token)  # the positive control


@pytest.mark.parametrize("text", [encrypted(), signed("HS256", octets(SECRET)), signed("ES256", key("ES256"))])
def test_each_is_made_anew_under_a_key_that_nobody_can_know(text: str) -> None:
    token = read_token(text, keys(SECRET))
    assert foreign(token) != foreign(token)
    assert garbage(token) != garbage(token)
    assert tampered(token) == tampered(token)
