"""Every EBS volume is encrypted, under a key that can be used.

EBS encrypts with AES-256 whenever `Encrypted` is true (AWS EBS User Guide, "Amazon EBS encryption"); the key itself is
asked of KMS. On the basis of configuration: what AWS says of the volume, not the bits on its disks.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

import msgspec

from auditor.answers import Answer
from auditor.checking import Check, Reconciled, Source, Subject
from auditor.checks import aws_config_volumes
from auditor.model import Basis, Resource, Unproven, Verdict, failed, passed

USABLE = ("Enabled", "Updating")
KeyState = Literal[
    "Enabled",
    "Updating",
    "Disabled",
    "PendingDeletion",
    "PendingReplicaDeletion",
    "PendingImport",
    "Unavailable",
    "Creating",
]


class Params(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`key_manager`: who must manage the keys: AWS, the CUSTOMER, or any of the two."""

    key_manager: Literal["AWS", "CUSTOMER", "any"] = "any"


def collect(params: Params, aws: Source) -> Iterator[Subject | Reconciled]:  # noqa: ARG001 - as in every check
    """Every EBS volume of the region, whatever its state, and the key of each that has one."""
    volumes = aws.listing("ec2.describe_volumes")
    for volume in volumes:
        key = aws.ask("kms.describe_key", KeyId=volume.at("/KmsKeyId", str)) if volume.has("/KmsKeyId") else None
        resource = Resource("aws.ec2.volume", volume.get("/VolumeId", str), _name(volume), aws.shard)
        yield Subject(resource, volume=volume, key=key)
    yield aws_config_volumes.reconciled(aws, volumes)


def evaluate(subject: Subject, params: Params) -> Verdict:
    """Fail what is not encrypted, or whose key cannot be used or has another manager."""
    if not subject.volume.get("/Encrypted", bool):
        return failed("is not encrypted")
    if subject.key is None:
        raise Unproven("is encrypted, but names no key", [subject.volume])
    state = subject.key.get("/KeyMetadata/KeyState", KeyState)
    if state not in USABLE:
        return failed(f"is encrypted under a key that cannot be used: its state is {state}")
    manager = subject.key.get("/KeyMetadata/KeyManager", Literal["AWS", "CUSTOMER"])
    if params.key_manager not in (manager, "any"):
        return failed(f"is encrypted under a key managed by {manager}, not {params.key_manager}")
    return passed(f"is encrypted (AES-256) under a key managed by {manager}")


def _name(volume: Answer) -> str:
    tags = volume.items("/Tags") if volume.has("/Tags") else []
    return next((tag.get("/Value", str) for tag in tags if tag.get("/Key", str) == "Name"), "")


CHECK = Check(
    id="aws-ebs-volume-encryption",
    title="EBS volumes are encrypted",
    sources={"aws": {"ec2.describe_volumes": 1, "kms.describe_key": 0, **aws_config_volumes.QUESTIONS}},
    shard="region",
    basis=Basis.CONFIGURATION,
    params=Params,
    collect=collect,
    evaluate=evaluate,
    population="every EBS volume that ec2:DescribeVolumes lists in every enabled region, in whatever state",
    proves="AWS encrypts the volume's blocks with AES-256, under a KMS key that is enabled and not awaiting deletion",
    cannot_prove=(
        "disks of other kinds (instance store, RDS, EFS), or volumes in accounts that are not targets",
        "that a volume was encrypted before the time of asking",
        *aws_config_volumes.CANNOT_PROVE,
    ),
    second_source=aws_config_volumes.SECOND_SOURCE,
    no_second_source=aws_config_volumes.NO_SECOND_SOURCE,
    criteria=("CC6.1", "C1.1"),
)
