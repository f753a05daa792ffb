"""The users of a demo database: a table as Django makes it, filled with password hashes of many kinds.

Everything is derived from names and numbers, nothing is random: a hash that turns up where it must not can be traced to
its row, and two starts of a world hold the same rows.
"""

import base64
import hashlib
import re
import string
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

import msgspec

# Django's auth_user, but for the password, which may be NULL here: an import outside Django leaves such rows.
CREATE_TABLE = """
CREATE TABLE auth_user (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    password varchar(128),
    last_login timestamptz,
    is_superuser boolean NOT NULL,
    username varchar(150) NOT NULL UNIQUE,
    first_name varchar(150) NOT NULL,
    last_name varchar(150) NOT NULL,
    email varchar(254) NOT NULL,
    is_staff boolean NOT NULL,
    is_active boolean NOT NULL,
    date_joined timestamptz NOT NULL
)"""

FIRST_NAMES = ["Amelia", "Bao", "Chiara", "Dmitri", "Esra", "Farid", "Greta", "Hugo", "Ines", "Jonas"]
LAST_NAMES = ["Abe", "Brandt", "Costa", "Duarte", "Eriksen", "Fontaine", "Gupta", "Haddad", "Ito", "Kowalski", "Lund"]
FIRST_DAY = datetime(2021, 2, 1, 8, 30, tzinfo=UTC)

ALPHANUMERIC = string.ascii_letters + string.digits
BCRYPT_ALPHABET = "./" + ALPHANUMERIC
PLACE = re.compile(r"<(pbkdf2_sha256|alphanumeric|bcrypt|base64|hex):([0-9]+)>")


class UserRows(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Some users whose passwords are stored alike.

    `password` is the stored text (None is NULL), in which `<alphanumeric:22>`, `<bcrypt:53>` (characters of that
    alphabet), `<base64:32>` and `<hex:16>` (that many bytes) are filled in for each row. `<pbkdf2_sha256:390000>` is a
    whole Django hash, computed honestly with that many iterations: about 0.1 s each, so worlds hold a few of them. In
    all others the digest is made up: without its password, nobody can tell.
    """

    password: str | None
    count: int = 1


class User(NamedTuple):
    """One row of auth_user, in the order of its columns after `id`."""

    password: str | None
    last_login: datetime | None
    is_superuser: bool
    username: str
    first_name: str
    last_name: str
    email: str
    is_staff: bool
    is_active: bool
    date_joined: datetime


def users(rows: Iterable[UserRows]) -> Iterator[User]:
    """Yield every user of a table."""
    passwords = (kind.password for kind in rows for _ in range(kind.count))
    for number, password in enumerate(passwords):
        first = FIRST_NAMES[number % len(FIRST_NAMES)]
        last = LAST_NAMES[number % len(LAST_NAMES)]
        username = f"{first}.{last}.{number}".lower()
        joined = FIRST_DAY + timedelta(days=9 * number, minutes=37 * number)
        yield User(
            password=None if password is None else stored_password(password, seed=username),
            last_login=joined + timedelta(days=number % 5 * 50) if number % 5 else None,
            is_superuser=number == 0,
            username=username,
            first_name=first,
            last_name=last,
            email=f"{username}@example.com",
            is_staff=number < 3,  # noqa: PLR2004 - the first three employees
            is_active=number % 11 != 0,
            date_joined=joined,
        )


def stored_password(text: str, *, seed: str) -> str:
    """Fill in the places of a password text (see UserRows); one seed always gives one password."""
    places = iter(range(len(text)))

    def fill(place: re.Match[str]) -> str:
        kind, size = place[1], int(place[2])
        material = f"{seed}/{next(places)}"
        if kind == "pbkdf2_sha256":
            salt = _characters(material, ALPHANUMERIC, 22)
            digest = hashlib.pbkdf2_hmac("sha256", f"password of {seed}".encode(), salt.encode(), size)
            return f"pbkdf2_sha256${size}${salt}${base64.b64encode(digest).decode()}"
        if kind == "base64":
            return base64.b64encode(_octets(material, size)).decode()
        if kind == "hex":
            return _octets(material, size).hex()
        return _characters(material, BCRYPT_ALPHABET if kind == "bcrypt" else ALPHANUMERIC, size)

    return PLACE.sub(fill, text)


def _octets(material: str, size: int) -> bytes:
    return hashlib.shake_256(material.encode()).digest(size)


def _characters(material: str, alphabet: str, size: int) -> str:
    return "".join(alphabet[octet % len(alphabet)] for octet in _octets(material, size))
