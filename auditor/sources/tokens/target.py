"""What auditor.yaml says of a token service, and what of it may be published."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec

from auditor.conversion import convert
from auditor.model import JSON
from auditor.questions import SecretRef
from auditor.sources.http import check_base_url

HeaderName = Annotated[  # RFC 9110 section 5.6.2
    str,
    msgspec.Meta(
        pattern=r"^[A-Za-z0-9!#$%&'*+.^_`|~-]+$", description="the name of a header", examples=["Authorization"]
    ),
]
Word = Annotated[str, msgspec.Meta(pattern=r"^[!-~]*$", description="one word")]
Status = Annotated[int, msgspec.Meta(ge=200, le=599)]
Text = Annotated[str, msgspec.Meta(pattern=r"\S", description="text that says something", examples=["Authorization"])]


class Mint(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Where a token is created, as whom, and for whom: a test customer of one's own.

    After Explo's API ("Generate Embed JWT"): POST of provided_id, embed_id, key_id and expiration, answered by
    {"success": 1, "jwt": "…"}.

    `url`: where tokens are minted; `token`: the API token that may do so; `customer`: the provided id of the test
    customer; `embed`: the id of what is embedded; `key_id`: of the target's secret, where there are several; `header`
    and `scheme`: where the API token is put.
    """

    url: str
    token: SecretRef
    customer: str = ""
    embed: str = ""
    key_id: str = ""
    header: HeaderName = "Explo-Authorization"
    scheme: Word = "Token"

    def __post_init__(self) -> None:
        check_base_url(self.url, "mint.url")


class Verify(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Something that a valid token opens: where the token is put, and which statuses mean what.

    `url` and `method`: what is asked; `in` and `name`: where the token is put; `scheme`: what stands before it in a
    header, such as Bearer; `accepted` and `refused`: the statuses that mean so, and one in neither list is an error.
    """

    url: str
    method: Literal["GET", "POST"] = "GET"
    in_: Annotated[Literal["header", "query", "body"], msgspec.Meta(examples=["header"])] = msgspec.field(name="in")
    name: Text
    scheme: Word = ""
    accepted: Annotated[tuple[Status, ...], msgspec.Meta(min_length=1)] = (200,)
    refused: Annotated[tuple[Status, ...], msgspec.Meta(min_length=1)] = (401, 403)

    def __post_init__(self) -> None:
        check_base_url(self.url, "verify.url")
        if self.in_ == "body" and self.method != "POST":
            raise ValueError("verify: a token in the body takes method: POST")
        if self.in_ == "header":
            _check_header(self.name)
        elif self.scheme:
            raise ValueError("verify: a scheme is for a token in a header")
        if not set(self.accepted).isdisjoint(self.refused):
            raise ValueError("verify: a status means either accepted or refused")


def _check_header(name: str) -> None:
    try:
        convert(name, HeaderName)
    except msgspec.ValidationError:
        raise ValueError("verify: name is not the name of a header (letters, digits and -)") from None


class TokensTarget(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A token service; every part is optional, and what is not there is not tested.

    `mint`: where a token is created; `verify`: something that a valid token opens; `jwks_url`: where the public keys
    stand; `secret`: the key that tokens are signed (HS256, HS384, HS512) or encrypted (dir with A256GCM) with, as text;
    `samples`: a file with a token on each line; `allow`: what may be created, and [mint] permits tokens for the test
    customer.
    """

    mint: Mint | None = None
    verify: Verify | None = None
    jwks_url: str = ""
    secret: SecretRef | None = None
    samples: str = ""
    allow: tuple[Literal["mint"], ...] = ()

    def __post_init__(self) -> None:
        if self.jwks_url:
            check_base_url(self.jwks_url, "jwks_url")


def declare(target: TokensTarget) -> dict[str, JSON]:
    """Return what may be known of the service without any secret; what is not declared is left out."""
    declared: dict[str, JSON] = {"allow": list(target.allow), "secret": target.secret is not None}
    if target.mint is not None:
        declared["mint"] = {name: getattr(target.mint, name) for name in ("url", "customer", "embed", "key_id")}
    if target.verify is not None:
        declared["verify"] = msgspec.json.decode(msgspec.json.encode(target.verify))
    if target.jwks_url:
        declared["jwks_url"] = target.jwks_url
    if target.samples:
        declared["samples"] = target.samples
    return declared
