"""An AWS account as a target: its settings, what may be known of it, its identity and its regions."""

from __future__ import annotations

import urllib.parse
from typing import Annotated

import msgspec

from auditor.answers import Answer
from auditor.model import JSON, Unproven
from auditor.questions import Identified, RegionShards, SecretRef

Region = Annotated[
    str, msgspec.Meta(pattern=r"^[a-z]{2,}(-[a-z]+)+-\d+$", description="the name of a region, such as us-east-1")
]
Account = Annotated[
    str, msgspec.Meta(pattern=r"^\d{12}$", description="an account id: 12 digits", examples=["123456789012"])
]
Role = Annotated[
    str,
    msgspec.Meta(
        pattern=r"^arn:[\w-]+:iam::\d{12}:role/.+$",
        description="the ARN of a role, arn:aws:iam::<account>:role/<name>",
        examples=["arn:aws:iam::123456789012:role/auditor"],
    ),
]
Url = Annotated[
    str,
    msgspec.Meta(pattern=r"^https?://.+$", description="a URL of https or http", examples=["http://127.0.0.1:5000"]),
]
LOOPBACK = ("127.0.0.1", "::1", "localhost")


class Regions(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Look only at some of the enabled regions; the others are printed in the scope.

    `only`: their names; `reason`: why not the others.
    """

    only: Annotated[list[Region], msgspec.Meta(min_length=1)]
    reason: Annotated[str, msgspec.Meta(min_length=1, examples=["the others are disabled by an SCP"])]


class AwsTarget(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An AWS account. Credentials come from boto3's usual chain (environment, profile, instance role).

    `account_id`: its twelve digits; `role_arn`: the role that is assumed first; `external_id`: what the trust policy of
    that role asks for; `endpoint_url`: something else that speaks AWS, http:// only on loopback; `home_region`: the
    region that is asked for what is not regional; `max_attempts`: most tries of each call, the first one included.
    """

    account_id: Account
    role_arn: Role | None = None
    external_id: SecretRef | None = None
    endpoint_url: Url | None = None
    regions: Regions | None = None
    home_region: Region = "us-east-1"
    max_attempts: Annotated[int, msgspec.Meta(ge=1, le=20)] = 5

    def __post_init__(self) -> None:
        url = urllib.parse.urlsplit(self.endpoint_url or "https:")
        if url.scheme == "http" and url.hostname not in LOOPBACK:
            raise ValueError("endpoint_url: http:// is only for loopback; use https://")


def declare(target: AwsTarget) -> dict[str, JSON]:
    """Return what may be known of the account without any secret."""
    declared: dict[str, JSON] = {"account_id": target.account_id, "home_region": target.home_region}
    if target.regions is not None:
        declared["regions"] = {"only": list(target.regions.only), "reason": target.regions.reason}
    for name in ("role_arn", "endpoint_url"):
        if getattr(target, name) is not None:
            declared[name] = getattr(target, name)
    return declared


def identified(declared: Answer, identity: Answer) -> Identified:
    """Say which account answered, and as whom it was asked (STS API Reference, GetCallerIdentity)."""
    endpoint = declared.find("/endpoint_url", str)
    return Identified(
        system="Amazon Web Services" + (f" at {endpoint}" if endpoint else ""),
        account=f"account {identity.get('/Account', str)}",
        asker=identity.get("/Arn", str),
    )


def contradiction(declared: Answer, identity: Answer) -> str | None:
    """Say what differs between the declared account and the one that answered; None where they agree."""
    expected, actual = declared.get("/account_id", str), identity.get("/Account", str)
    return None if expected == actual else f"declared account {expected}, but {actual} answered"


def shards(declared: Answer, regions: Answer) -> RegionShards:
    """Read the enabled regions, as far as the settings want them looked at; their names become names of files."""
    enabled = tuple(sorted({item.get("/RegionName", Region) for item in regions.items("/Regions")}))
    if not enabled:
        raise Unproven("no region is listed as enabled, which no account is without", [regions])
    only = declared.find("/regions/only", list[str])
    if only is None:
        return RegionShards(enabled)
    return RegionShards(
        regions=tuple(region for region in enabled if region in only),
        excluded=tuple(region for region in enabled if region not in only),
        missing=tuple(sorted(set(only) - set(enabled))),
        reason=declared.get("/regions/reason", str),
    )
