"""How Python reads a stored password: by cutting and decoding, where the SQL under test compares patterns."""

import base64
from collections.abc import Mapping
from typing import TypeAlias

Reading: TypeAlias = tuple[str, str, Mapping[str, int] | None, int | None, bool | None]
"""Encoding, scheme, cost, bits of the digest, whether it is salted: the members of one group, in their order."""

ITOA64 = "./0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"


def read(value: str | None) -> Reading:
    """What the database should say of one stored value."""
    if not value:
        return "none", "null" if value is None else "empty", None, None, None
    try:
        return _read(value)
    except ValueError:
        return "none", "unrecognised", None, None, None


def _read(value: str) -> Reading:  # noqa: C901, PLR0911, PLR0912 - one case for each way of writing
    if len(value) > 1024 or not value.isascii() or any(not "!" <= letter <= "~" for letter in value):
        raise ValueError(value)
    match value.split("$"):
        case [mark] if mark.startswith("!") and (mark == "!" or (len(mark) == 41 and mark[1:].isalnum())):
            return "django", "unusable", None, None, None
        case [text]:
            if text not in {text.lower(), text.upper()}:
                raise ValueError(text)
            scheme = {16: "md5_hex", 20: "sha1_hex", 32: "sha256_hex"}.get(len(bytes.fromhex(text)), "")
            return _nonempty("hex", scheme, None, bytes.fromhex(text), salted=False)
        case ["pbkdf2_sha256" | "pbkdf2_sha1" as scheme, rounds, salt, digest]:
            return _pbkdf2("django", scheme, rounds, _octets(digest, padded=True), salt)
        case ["argon2", "argon2id" | "argon2i" | "argon2d" as scheme, "v=19", cost, salt, digest]:
            return _argon2("django", scheme, cost, salt, digest)
        case ["", "argon2id" | "argon2i" | "argon2d" as scheme, "v=19", cost, salt, digest]:
            return _argon2("phc", scheme, cost, salt, digest)
        case ["bcrypt" | "bcrypt_sha256" as scheme, "", "2a" | "2b" | "2y", rounds, tail]:
            return _bcrypt("django", scheme, rounds, tail)
        case ["", "2a" | "2b" | "2y", rounds, tail]:
            return _bcrypt("crypt", "bcrypt", rounds, tail)
        case ["", "bcrypt-sha256", version, salt, digest] if len(salt) == 22 and "," in version:
            head, _, rounds = version.rpartition(",")
            if (head, rounds[:2]) in {("v=2,t=2a", "r="), ("v=2,t=2b", "r=")}:
                rounds = rounds[2:]
            elif head not in {"2a", "2b"}:
                raise ValueError(version)
            return _bcrypt("passlib", "bcrypt_sha256", f"{_number(rounds):02}", salt + digest)
        case ["scrypt", n, salt, r, p, digest]:
            return _scrypt("django", [_number(n), _number(r), _number(p)], salt, _octets(digest, padded=True))
        case ["", "scrypt", cost, salt, digest]:
            log2_n, *others = _named(cost, "ln=", "r=", "p=")
            if log2_n > 31:
                raise ValueError(cost)
            return _scrypt("passlib", [2**log2_n, *others], str(_octets(salt), "latin-1"), _octets(digest))
        case [method, salt, digest] if method.startswith("scrypt:"):
            return _scrypt("werkzeug", [_number(each) for each in method.split(":")[1:]], salt, _hex(digest))
        case [method, salt, digest] if method.startswith("pbkdf2:"):
            _, name, rounds = method.split(":")
            return _pbkdf2("werkzeug", f"pbkdf2_{name}", rounds, _hex(digest), salt)
        case ["md5" | "sha1" as name, salt, digest] if len(digest) == {"md5": 32, "sha1": 40}[name]:
            return _nonempty("django", f"django_{name}", None, _hex(digest), salted=bool(salt))
        case ["", scheme, rounds, salt, digest] if scheme.startswith("pbkdf2"):
            return _adapted("passlib", scheme, rounds, salt, digest)
        case [head, salt, digest] if head.startswith("{PBKDF2"):
            name, rounds = head[1:].split("}")
            if name != name.upper():
                raise ValueError(name)
            return _adapted("ldap", name.lower(), rounds, salt, digest)
        case ["", "5" | "6" as number, *options, salt, digest] if len(options) < 2 and len(salt) <= 16:
            iterations = _named(options[0], "rounds=")[0] if options else 5000
            if iterations < 1000 or len(digest) != {"5": 43, "6": 86}[number]:
                raise ValueError(value)
            scheme, octets = {"5": ("sha256_crypt", 32), "6": ("sha512_crypt", 64)}[number]
            _itoa64(salt + digest)
            return "crypt", scheme, {"iterations": iterations}, octets * 8, bool(salt)
        case ["", "1", salt, digest] if len(salt) <= 8 and len(digest) == 22:
            _itoa64(salt + digest)
            return "crypt", "md5_crypt", None, 128, bool(salt)
        case ["", "P" | "H", tail] if len(tail) == 31 and 7 <= ITOA64.index(tail[0]) <= 30:
            _itoa64(tail)
            return "crypt", "phpass", {"log2_rounds": ITOA64.index(tail[0])}, 128, True
    raise ValueError(value)


def _number(text: str) -> int:
    if not text.isdigit() or text.startswith("0") or len(text) > 9:
        raise ValueError(text)
    return int(text)


def _named(text: str, *names: str) -> list[int]:
    """The numbers of `m=1,t=2`, which must have these names in this order."""
    found = []
    for part, name in zip(text.split(","), names, strict=True):
        if not part.startswith(name):
            raise ValueError(text)
        found.append(_number(part.removeprefix(name)))
    return found


def _octets(text: str, *, padded: bool = False) -> bytes:
    octets = base64.b64decode(text if padded else text + "=" * (-len(text) % 4), validate=True)
    again = base64.b64encode(octets).decode()
    if (again if padded else again.rstrip("=")) != text:
        raise ValueError(text)
    return octets


def _hex(text: str) -> bytes:
    if text != text.lower():
        raise ValueError(text)
    return bytes.fromhex(text)


def _itoa64(text: str) -> None:
    if not set(text) <= set(ITOA64):
        raise ValueError(text)


def _nonempty(encoding: str, scheme: str, cost: Mapping[str, int] | None, digest: bytes, *, salted: bool) -> Reading:
    if not digest or not scheme:
        raise ValueError(scheme)
    return encoding, scheme, cost, len(digest) * 8, salted


def _pbkdf2(encoding: str, scheme: str, rounds: str, digest: bytes, salt: str) -> Reading:
    if scheme not in {"pbkdf2_sha1", "pbkdf2_sha256", "pbkdf2_sha512"}:
        raise ValueError(scheme)
    return _nonempty(encoding, scheme, {"iterations": _number(rounds)}, digest, salted=bool(salt))


def _adapted(encoding: str, scheme: str, rounds: str, salt: str, digest: str) -> Reading:
    """PBKDF2 of passlib: base64 with a dot for the plus, SHA-1 unnamed."""
    if "+" in salt + digest or scheme == "pbkdf2-sha1":
        raise ValueError(salt)
    name = {"pbkdf2": "pbkdf2_sha1"}.get(scheme, scheme.replace("-", "_"))
    decoded = [_octets(text.replace(".", "+")) for text in (salt, digest)]
    return _pbkdf2(encoding, name, rounds, decoded[1], str(decoded[0], "latin-1"))


def _argon2(encoding: str, scheme: str, cost: str, salt: str, digest: str) -> Reading:
    memory, passes, lanes = _named(cost, "m=", "t=", "p=")
    if memory < 8 * lanes or lanes >= 2**24 or len(_octets(salt)) < 8 or len(_octets(digest)) < 4:
        raise ValueError(cost)
    names = {"memory_kib": memory, "iterations": passes, "parallelism": lanes}
    return _nonempty(encoding, scheme, names, _octets(digest), salted=True)


def _scrypt(encoding: str, cost: list[int], salt: str, digest: bytes) -> Reading:
    n, r, p = cost
    if n < 2 or n.bit_count() != 1 or n >= 2 ** (16 * r) or r * p >= 2**30:
        raise ValueError(cost)
    return _nonempty(encoding, "scrypt", {"n": n, "r": r, "p": p}, digest, salted=bool(salt))


def _bcrypt(encoding: str, scheme: str, rounds: str, tail: str) -> Reading:
    if not rounds.isdigit() or len(rounds) != 2 or not 4 <= int(rounds) <= 31 or len(tail) != 53:
        raise ValueError(tail)
    _itoa64(tail)
    return encoding, scheme, {"log2_rounds": int(rounds)}, 184, True
