"""The questions AWS may be asked. A check that needs a new one adds a row here, and nothing else changes."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import msgspec

from auditor.questions import Operation


class Paging(msgspec.Struct, frozen=True):
    """How an operation is paged: the parameter that takes the token, and the pointer that gives the next one."""

    parameter: str
    token: str


class AwsOperation(Operation, frozen=True, kw_only=True):
    """An API call, and what proves that an answer is really its answer.

    `root` is the XML root element ("" for JSON protocols), `required` the pointers every answer has, `closed` the
    shapes in which an unknown member is malformed, `hollow` those of them that may be empty, `fixed` the parameters
    that are always sent, `absent` the error codes by which the service says plainly that there is none, `owned` whether
    the account is sent as ExpectedBucketOwner.
    """

    service: str
    api: str
    root: str = ""
    required: tuple[str, ...] = ()
    closed: tuple[str, ...] = ()
    hollow: tuple[str, ...] = ()
    fixed: Mapping[str, Any] = MappingProxyType({})
    paging: Paging | None = None
    absent: tuple[str, ...] = ()
    owned: bool = False

    @property
    def method(self) -> str:
        """The method of a boto3 client."""
        return self.name.partition(".")[2]


_LIFECYCLE = (
    "LifecycleRule",
    "LifecycleRuleFilter",
    "LifecycleRuleAndOperator",
    "LifecycleExpiration",
    "NoncurrentVersionExpiration",
    "AbortIncompleteMultipartUpload",
    "Tag",
)

_ROWS = (
    AwsOperation(
        name="sts.get_caller_identity",
        summary="Who is asking, and in which account.",
        permission="",  # always allowed, even where a policy denies it
        needs_identity=False,
        service="sts",
        api="GetCallerIdentity",
        root="GetCallerIdentityResponse",
        required=("/Account", "/Arn", "/UserId"),
    ),
    AwsOperation(
        name="ec2.describe_regions",
        summary="The regions that are enabled for the account.",
        permission="ec2:DescribeRegions",
        service="ec2",
        api="DescribeRegions",
        root="DescribeRegionsResponse",
        required=("/Regions",),
    ),
    AwsOperation(
        name="ec2.describe_volumes",
        summary="Every EBS volume of one region, whatever its state.",
        permission="ec2:DescribeVolumes",
        items="/Volumes",
        service="ec2",
        api="DescribeVolumes",
        root="DescribeVolumesResponse",
        required=("/Volumes",),
        fixed={"MaxResults": 500},
        paging=Paging("NextToken", "/NextToken"),
    ),
    AwsOperation(
        name="kms.describe_key",
        summary="One KMS key: who manages it, and whether it can be used.",
        permission="kms:DescribeKey",
        service="kms",
        api="DescribeKey",
        required=("/KeyMetadata/KeyId", "/KeyMetadata/KeyState"),
    ),
    AwsOperation(
        name="s3.list_buckets",
        summary="Every bucket of the account, with its region.",
        permission="s3:ListAllMyBuckets",
        items="/Buckets",
        service="s3",
        api="ListBuckets",
        root="ListAllMyBucketsResult",
        required=("/Buckets",),
        fixed={"MaxBuckets": 1000},  # without a parameter S3 leaves BucketRegion out
        paging=Paging("ContinuationToken", "/ContinuationToken"),
    ),
    AwsOperation(
        name="s3.get_bucket_tagging",
        summary="The tags of one bucket.",
        permission="s3:GetBucketTagging",
        service="s3",
        api="GetBucketTagging",
        root="Tagging",
        required=("/TagSet",),
        absent=("NoSuchTagSet",),
        owned=True,
    ),
    AwsOperation(
        name="s3.get_bucket_versioning",
        summary="Whether a bucket keeps versions, or ever did.",
        permission="s3:GetBucketVersioning",
        like="s3.get_bucket_tagging",
        service="s3",
        api="GetBucketVersioning",
        root="VersioningConfiguration",
        closed=("GetBucketVersioningOutput",),
        hollow=("GetBucketVersioningOutput",),  # versioning was never on
        owned=True,
    ),
    AwsOperation(
        name="s3.get_bucket_lifecycle_configuration",
        summary="When the objects of one bucket expire.",
        permission="s3:GetLifecycleConfiguration",
        like="s3.get_bucket_tagging",
        service="s3",
        api="GetBucketLifecycleConfiguration",
        root="LifecycleConfiguration",
        required=("/Rules",),
        closed=_LIFECYCLE,
        hollow=("LifecycleRuleFilter",),  # all objects
        absent=("NoSuchLifecycleConfiguration",),
        owned=True,
    ),
    AwsOperation(
        name="s3.get_bucket_encryption",
        summary="How a bucket encrypts new objects by default.",
        permission="s3:GetEncryptionConfiguration",
        like="s3.get_bucket_tagging",
        service="s3",
        api="GetBucketEncryption",
        root="ServerSideEncryptionConfiguration",
        required=("/ServerSideEncryptionConfiguration/Rules",),
        absent=("ServerSideEncryptionConfigurationNotFoundError",),
        owned=True,
    ),
)

ASSUME_ROLE = AwsOperation(
    name="sts.assume_role",
    summary="Temporary credentials of the target's role: how the source signs in. Its answer is a secret.",
    permission="sts:AssumeRole",
    service="sts",
    api="AssumeRole",
    root="AssumeRoleResponse",
    required=("/Credentials/AccessKeyId", "/Credentials/SecretAccessKey", "/Credentials/SessionToken"),
)
"""No question that a check may ask, and so not in the table."""

OPERATIONS = MappingProxyType({row.name: row for row in _ROWS})
