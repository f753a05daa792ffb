"""How the token services of a demo world are described: `tokens.yaml`, read strictly."""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import Literal

import msgspec

from auditor.sandbox.description import Truth, read

Protection = Literal["dir/A256GCM", "RS256", "ES256", "HS256", "none"]
Fault = Literal[
    "accepts_expired",  # looks at no exp
    "checks_no_signature",  # nor at an authentication tag
    "trusts_header_key",  # checks with the public key that the token itself brings (CVE-2018-0114)
    "no_exp",
    "milliseconds",
    "text",
    "ignores_lifetime",  # every token lives as long as the default
    "refuses_all",
    "crashes",
    "signs_in",  # answers a token that is not valid with a page to sign in, and 200
]
Name = Literal["minted", "minted as requested", "tampered", "foreign", "expired"]
NAMES: tuple[Name, ...] = ("minted", "minted as requested", "tampered", "foreign", "expired")


class Record(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Part of a world's description: a misspelt key is an error."""


class Sample(Record, frozen=True, kw_only=True):
    """A token in the file of samples, issued an hour ago; `iat`: whether it says so."""

    lifetime: dt.timedelta
    iat: bool = True
    expected: Truth = Truth(outcome="pass")


class Service(Record, frozen=True, kw_only=True):
    """A token service, and the target that looks at it.

    `key` is the variable of the secret it works with, `secret` of the one that the target refers to ("" for none).
    `float_exp` and `iat`: how the times are written into its tokens. `offset`: seconds that its exp is off.
    `presented`: where the token goes. What is not `expected` otherwise passes.
    """

    target: str
    protection: Protection
    key: str = ""
    secret: str = ""
    allow: bool = True
    default_lifetime: dt.timedelta = dt.timedelta(hours=24)
    float_exp: bool = False
    iat: bool = False
    offset: int = 0
    presented: Literal["header", "query", "body"] = "header"
    faults: tuple[Fault, ...] = ()
    samples: tuple[Sample, ...] = ()
    expected: dict[Name, Truth] = {}


class TokensWorld(Record, frozen=True, kw_only=True):
    """The services. `api_token` and `secrets` are the variables that hold the token to mint with, and the keys."""

    api_token: str
    secrets: list[str]
    services: list[Service]


def read_world(world: Path) -> TokensWorld:
    """Read `tokens.yaml` of a world; `SandboxError` says what is wrong with it."""
    return read(world / "tokens.yaml", TokensWorld)
