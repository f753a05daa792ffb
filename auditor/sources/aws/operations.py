"""The questions AWS may be asked. A check that needs a new one adds a row here, and nothing else changes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

import msgspec

from auditor.questions import Operation, Reply
from auditor.sources.aws.credential_report import ask_credential_report


class Paging(msgspec.Struct, frozen=True):
    """How an operation is paged: the parameter that takes the token, and the pointer that gives the next one.

    `truncated` points at what says whether there is more, in services that say it: it must agree with the token.
    """

    parameter: str
    token: str
    truncated: str = ""


class Caller(NamedTuple):
    """What a recipe has: the id of the account, a way to make one call, and a way to wait (seconds)."""

    account_id: str
    call: Callable[[AwsOperation], Reply]
    sleep: Callable[[float], None]


Recipe = Callable[["AwsOperation", Caller], Reply]


class AwsOperation(Operation, frozen=True, kw_only=True):
    """An API call, and what proves that an answer is really its answer.

    `root` is the XML root element ("" for JSON protocols), `required` the pointers every answer has, `closed` the
    shapes in which an unknown member is malformed, `hollow` those of them that may be empty, `fixed` the parameters
    that are always sent, `absent` the error codes by which the service says plainly that there is none, `owned` whether
    the account is sent as ExpectedBucketOwner. A question that takes several calls has a `recipe`, which makes them and
    gives one reply; `steps` are those calls that are not its own.
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
    steps: tuple[AwsOperation, ...] = ()
    recipe: Recipe | None = None

    @property
    def calls(self) -> int:
        """One, and one for each step before it."""
        return 1 + len(self.steps)

    @property
    def permissions(self) -> tuple[str, ...]:
        """The IAM actions that must be allowed: one for each of its calls that needs any."""
        return tuple(row.permission for row in (*self.steps, self) if row.permission)

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
        name="config.describe_configuration_recorders",
        summary="What AWS Config records in one region; an empty list where it is not in use.",
        permission="config:DescribeConfigurationRecorders",
        service="config",
        api="DescribeConfigurationRecorders",
        required=("/ConfigurationRecorders",),
    ),
    AwsOperation(
        name="config.describe_configuration_recorder_status",
        summary="Whether AWS Config is recording in one region now, and since when.",
        permission="config:DescribeConfigurationRecorderStatus",
        like="config.describe_configuration_recorders",
        service="config",
        api="DescribeConfigurationRecorderStatus",
        required=("/ConfigurationRecordersStatus",),
    ),
    AwsOperation(
        name="config.list_discovered_resources",
        summary="Every resource of one type that AWS Config knows in one region.",
        permission="config:ListDiscoveredResources",
        items="/resourceIdentifiers",
        service="config",
        api="ListDiscoveredResources",
        required=("/resourceIdentifiers",),
        fixed={"limit": 100},
        paging=Paging("nextToken", "/nextToken"),
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
    AwsOperation(
        name="iam.get_credential_report",
        summary="The root user and every IAM user, with their passwords, MFA and access keys; at most four hours old.",
        permission="iam:GetCredentialReport",
        dated="/GeneratedTime",
        service="iam",
        api="GetCredentialReport",
        root="GetCredentialReportResponse",
        required=("/Content", "/ReportFormat", "/GeneratedTime"),
        steps=(
            AwsOperation(
                name="iam.generate_credential_report",
                summary="Have the report made, where IAM has none that is less than four hours old.",
                permission="iam:GenerateCredentialReport",
                service="iam",
                api="GenerateCredentialReport",
                root="GenerateCredentialReportResponse",
                required=("/State",),
            ),
        ),
        recipe=ask_credential_report,
    ),
    AwsOperation(
        name="iam.get_account_summary",
        summary="How many IAM users the account has now, and whether its root user has MFA.",
        permission="iam:GetAccountSummary",
        service="iam",
        api="GetAccountSummary",
        root="GetAccountSummaryResponse",
        required=("/SummaryMap/Users", "/SummaryMap/AccountMFAEnabled"),
    ),
    AwsOperation(
        name="iam.list_users",
        summary="Every IAM user as of now, and when it was created.",
        permission="iam:ListUsers",
        items="/Users",
        like="iam.get_account_summary",
        service="iam",
        api="ListUsers",
        root="ListUsersResponse",
        required=("/Users", "/IsTruncated"),
        fixed={"MaxItems": 1000},
        paging=Paging("Marker", "/Marker", "/IsTruncated"),
    ),
    AwsOperation(
        name="iam.list_roles",
        summary="The roles of the account, or those below a path.",
        permission="iam:ListRoles",
        items="/Roles",
        service="iam",
        api="ListRoles",
        root="ListRolesResponse",
        required=("/Roles", "/IsTruncated"),
        fixed={"MaxItems": 1000},
        paging=Paging("Marker", "/Marker", "/IsTruncated"),
    ),
    AwsOperation(
        name="iam.list_saml_providers",
        summary="The SAML identity providers whose people may sign in through roles.",
        permission="iam:ListSAMLProviders",
        items="/SAMLProviderList",
        service="iam",
        api="ListSAMLProviders",
        root="ListSAMLProvidersResponse",
        required=("/SAMLProviderList",),
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
