"""AWS accounts, asked through boto3."""

from __future__ import annotations

from contextlib import AbstractContextManager, closing
from typing import TYPE_CHECKING

from auditor.questions import Opening, SourceType
from auditor.sources.aws.grants import write_policy, write_terraform
from auditor.sources.aws.operations import OPERATIONS
from auditor.sources.aws.target import AwsTarget, contradiction, declare, identified, shards
from auditor.sources.aws.troubles import DENIED, TROUBLES

if TYPE_CHECKING:
    from auditor.sources.aws.connection import AwsConnection


def connect(target: AwsTarget, opening: Opening) -> AbstractContextManager[AwsConnection]:
    """Open an account for one task."""
    from auditor.sources.aws.connection import AwsConnection  # noqa: PLC0415 - boto3 is heavy: only where it is needed

    return closing(AwsConnection(target, opening))


SOURCE = SourceType(
    name="aws",
    settings=AwsTarget,
    operations=OPERATIONS,
    declare=declare,
    open=connect,
    where=("/endpoint_url",),
    identity="sts.get_caller_identity",
    identified=identified,
    contradiction=contradiction,
    fan_out="ec2.describe_regions",
    shards=shards,
    denied=DENIED,
    troubles=TROUBLES,
    grants={"aws": write_policy, "terraform": write_terraform},
    ambient=("AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_CONTAINER_AUTHORIZATION_TOKEN"),
)
