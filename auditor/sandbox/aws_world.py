"""What the AWS half of a world is made of: the shape of worlds/*/aws.yaml."""

from pathlib import Path
from typing import Any, Literal

import msgspec

from auditor.sandbox.description import Truth, read
from auditor.sandbox.part import SandboxError

ACCOUNT_ID = "123456789012"  # moto's only account
AWS = "aws"
"""Stands for the key of volumes that AWS manages."""


class CustomerKey(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A KMS key that the customer manages. Volumes and buckets of its region name it."""

    name: str
    region: str
    state: Literal["enabled", "disabled", "pending_deletion"] = "enabled"


class KeyOfVolume(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A volume that is from now on under another key. EC2 does this to no volume: a demo world alone needs it."""

    region: str
    volume_id: str
    kms_key_id: str


class Volume(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """An EBS volume. Encrypted without `key` means: by the account's AWS managed key (alias/aws/ebs).

    `earlier_key`: the key it was under when an earlier run looked at it, `aws` for the one that AWS manages. EC2
    changes the key of no volume: this is what the company's claim says cannot happen.
    """

    name: str
    region: str
    size: int  # GiB
    encrypted: bool
    expected: dict[str, Truth]  # by check id
    state: Literal["available", "in-use"] = "available"  # in-use: the root volume of an instance
    key: str | None = None
    earlier_key: str | None = None


class DefaultEncryption(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A bucket's default encryption, where it was set."""

    algorithm: Literal["AES256", "aws:kms", "aws:kms:dsse"]
    key: str | None = None


class Bucket(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """An S3 bucket. `lifecycle` holds rules as boto3 takes them: boto3 refuses what is not a rule."""

    name: str
    region: str
    expected: dict[str, Truth]  # by check id
    tags: dict[str, str] = {}
    versioning: Literal["never", "enabled", "suspended"] = "never"
    lifecycle: list[dict[str, Any]] = []
    encryption: DefaultEncryption | None = None


class Root(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The root user. `console`: whether it has a password, as reports say it; older ones do not."""

    expected: dict[str, Truth] = {}  # by check id
    mfa: bool = True
    console: Literal["yes", "no", "unsaid"] = "yes"
    access_key: bool = False
    last_sign_in: str = ""  # RFC 3339; "": never


class IamUser(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """An IAM user. Without `password` there is no way into the console."""

    name: str
    expected: dict[str, Truth]  # by check id
    path: str = "/"
    password: bool = False
    mfa: bool = False
    access_key: bool = False
    last_sign_in: str = ""  # RFC 3339; "": never
    after_report: bool = False  # created when IAM had made its report already, which does not have this user

    @property
    def arn(self) -> str:
        """The name that findings have."""
        return f"arn:aws:iam::{ACCOUNT_ID}:user{self.path}{self.name}"


class IdentityCenter(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What IAM Identity Center made in the account: a role for each permission set, and its SAML provider."""

    expected: dict[str, Truth] = {}  # by check id
    region: str = "us-east-1"
    permission_sets: list[str] = []


class SamlProvider(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """An identity provider whose people sign in through roles."""

    name: str
    expected: dict[str, Truth]  # by check id

    @property
    def arn(self) -> str:
        """The name that findings have."""
        return f"arn:aws:iam::{ACCOUNT_ID}:saml-provider/{self.name}"


class Recorder(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What AWS Config records in a region: `only` these types of resources, or everything."""

    region: str
    since: str  # RFC 3339
    only: list[str] = []
    stopped: bool = False


class AwsWorld(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One AWS account, and the truth about it."""

    # Far fewer than a real account has (17 regions need no opt-in), so that a demo is quick.
    enabled_regions: list[str]
    auditor_may: list[str]  # IAM actions that the auditor's own user is allowed
    keys: list[CustomerKey]
    volumes: list[Volume]
    buckets: list[Bucket]
    auditor_may_not: dict[str, list[str]] = {}  # actions that somebody denied him, on these buckets
    root: Root = Root()
    users: list[IamUser] = []
    identity_center: IdentityCenter = IdentityCenter()
    saml_providers: list[SamlProvider] = []
    recorders: list[Recorder] = []  # of AWS Config, at most one in a region
    expected_of_our_users: dict[str, Truth] = {}  # of the administrator and the auditor, by check id


def read_aws_world(path: Path) -> AwsWorld:
    """Read a world's aws.yaml, or raise SandboxError saying where it is wrong."""
    world = read(path, AwsWorld)
    _check(world, path)
    return world


def _check(world: AwsWorld, path: Path) -> None:
    """Raise SandboxError for what the types cannot say."""
    keys = {(key.region, key.name) for key in world.keys}
    items: list[Volume | Bucket] = [*world.volumes, *world.buckets]
    for recorder in world.recorders:
        if recorder.region not in world.enabled_regions:
            raise SandboxError(f"{path}: AWS Config records in {recorder.region}, which is not an enabled region")
    for item in items:
        if item.region not in world.enabled_regions:
            raise SandboxError(f"{path}: {item.name} is in {item.region}, which is not an enabled region")
        for key in _named_keys(item):
            if key and (item.region, key) not in keys:
                raise SandboxError(f"{path}: {item.name} names the key {key}, which {item.region} does not have")
    names = [item.name for item in items] + [user.arn for user in world.users]
    for name in set(names):
        if names.count(name) > 1:
            raise SandboxError(f"{path}: there are two {name}")


def _named_keys(item: Volume | Bucket) -> tuple[str | None, ...]:
    if isinstance(item, Volume):
        return item.key, None if item.earlier_key == AWS else item.earlier_key
    return (item.encryption.key if item.encryption else None,)
