"""What moto 5.2.5 gets wrong in the S3 calls that the AWS checks make. See moto_corrections for the rules."""

import uuid
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Callable
from typing import Any

import xmltodict  # type: ignore[import-untyped]  # comes with moto, without types
from moto.core.responses import ActionResult
from moto.s3.exceptions import BucketAccessDeniedError, InvalidArgumentError, MalformedXML, S3ClientError
from moto.s3.models import FakeBucket, S3Backend
from moto.s3.responses import ACTION_MAP, S3Response

from auditor.sandbox.moto_replacement import replaces

XML_NAMESPACE = "http://s3.amazonaws.com/doc/2006-03-01/"
MAX_BUCKETS_CEILING = 10_000
ACTIONS_OF_A_RULE = frozenset(
    [
        "AbortIncompleteMultipartUpload",
        "Expiration",
        "NoncurrentVersionExpiration",
        "NoncurrentVersionTransition",
        "Transition",
    ]
)
POSITIVE_DAYS = (
    ("Expiration", "Days"),
    ("NoncurrentVersionExpiration", "NoncurrentDays"),
    ("AbortIncompleteMultipartUpload", "DaysAfterInitiation"),
)


def list_buckets_pages_and_names_regions() -> None:
    """Moto cuts the list at MaxBuckets without a ContinuationToken and gives no BucketRegion (facts A5.3).

    AWS sorts by name, returns a token while there is more, and the region "if the request contains at least one valid
    parameter" (Bucket.BucketRegion).
    """

    @replaces(S3Response, "all_buckets")
    def all_buckets(self: S3Response) -> Any:
        self.data["Action"] = "ListAllMyBuckets"
        self._authenticate_and_authorize_s3_action()
        prefix, region = self._get_param("prefix"), self._get_param("bucket-region")
        limit, token = self._get_param("max-buckets"), self._get_param("continuation-token")
        page_size = int(limit) if limit else MAX_BUCKETS_CEILING
        after = urlsafe_b64decode(token).decode() if token else ""
        found = self.backend.list_buckets(prefix=prefix, bucket_region=region, max_buckets=None)
        waiting = sorted((bucket for bucket in found if bucket.name > after), key=lambda bucket: bucket.name)
        page = waiting[:page_size]
        entries = [{"Name": bucket.name, "CreationDate": bucket.creation_date_ISO8601} for bucket in page]
        result: dict[str, Any] = {"Owner": {"ID": "bcaf1ffd86f41161ca5fb16fd081034f"}, "Buckets": entries}
        if prefix or region or limit or token:
            for entry, bucket in zip(entries, page, strict=True):
                entry["BucketRegion"] = bucket.region_name
        if len(waiting) > page_size:
            result["ContinuationToken"] = urlsafe_b64encode(page[-1].name.encode()).decode()
        if prefix:
            result["Prefix"] = prefix
        self.data["Action"] = "ListBuckets"
        return self.serialized(ActionResult(result))


def lifecycle_rules_come_back_whole() -> None:
    """Moto drops size filters and NewerNoncurrentVersions, so "small objects" reads back as "all objects" (facts A5.5).

    It also leaves a rule without an ID; S3 makes one up (LifecycleRule.ID). Here the rules are kept as they were sent.
    """
    put, get = FakeBucket.set_lifecycle, S3Response.get_bucket_lifecycle

    @replaces(FakeBucket, "set_lifecycle")
    def set_lifecycle(self: Any, rules: list[dict[str, Any]]) -> None:
        for rule in rules:
            rule.setdefault("ID", str(uuid.uuid4()))
        put(self, rules)
        self.lifecycle_as_sent = rules

    @replaces(S3Response, "get_bucket_lifecycle")
    def get_bucket_lifecycle(self: S3Response) -> Any:
        bucket: Any = self.backend.get_bucket(self.bucket_name)
        if not bucket.rules:
            return get(self)
        content = {"LifecycleConfiguration": {"@xmlns": XML_NAMESPACE, "Rule": bucket.lifecycle_as_sent}}
        headers = {"x-amz-transition-default-minimum-object-size": "all_storage_classes_128K"}
        return 200, headers, xmltodict.unparse(content)


def impossible_lifecycle_rules_are_refused() -> None:
    """Moto keeps rules that S3 refuses: Days 0, no action at all, two predicates in one Filter (facts A5.5).

    "The value must be a non-zero positive integer", "exactly one of" (LifecycleExpiration.Days, LifecycleRuleFilter).
    """
    put = FakeBucket.set_lifecycle

    @replaces(FakeBucket, "set_lifecycle")
    def set_lifecycle(self: FakeBucket, rules: list[dict[str, Any]]) -> None:
        for rule in rules:
            if not ACTIONS_OF_A_RULE & rule.keys():
                raise S3ClientError("InvalidRequest", "At least one action needs to be specified in a rule")
            if len(rule.get("Filter") or {}) > 1:
                raise MalformedXML
            for action, member in POSITIVE_DAYS:
                days = (rule.get(action) or {}).get(member)
                if days is not None and int(days) < 1:
                    message = f"'{member}' for {action} action must be a positive integer"
                    raise InvalidArgumentError(message, member, days)
        put(self, rules)


def versioning_has_its_root_element() -> None:
    """Moto's root element is GetBucketVersioningResponse; S3's is VersioningConfiguration (S3 API Reference)."""

    @replaces(S3Response, "get_bucket_versioning")
    def get_bucket_versioning(self: S3Response) -> Any:
        status = self.backend.get_bucket_versioning(self.bucket_name)
        configuration = {"@xmlns": XML_NAMESPACE, **({"Status": status} if status else {})}
        return 200, {}, xmltodict.unparse({"VersioningConfiguration": configuration})


def every_bucket_is_encrypted() -> None:
    """Moto says a new bucket has no default encryption; since 2023-01-05 it is AES256 (PutBucketEncryption, A5.4)."""
    get = S3Backend.get_bucket_encryption

    @replaces(S3Backend, "get_bucket_encryption")
    def get_bucket_encryption(self: S3Backend, bucket_name: str) -> dict[str, Any]:
        default = {"Rule": {"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "AES256"}}}
        return get(self, bucket_name) or default


def reading_the_encryption_is_its_own_action() -> None:
    """Moto asks for s3:ListBucket; the permission is s3:GetEncryptionConfiguration (GetBucketEncryption)."""
    ACTION_MAP["BUCKET"]["GET"]["encryption"] = "GetEncryptionConfiguration"


def buckets_have_an_owner_and_a_region() -> None:
    """Moto ignores ExpectedBucketOwner, and answers for a bucket of another region (facts A5.10).

    S3 answers 403 AccessDenied (ExpectedBucketOwner) and 301 PermanentRedirect (S3 User Guide, "Request routing").
    """
    answer = S3Response._bucket_response  # noqa: SLF001 - moto has no public place for it

    @replaces(S3Response, "_bucket_response")
    def bucket_response(self: S3Response, request: Any, full_url: str) -> Any:
        name = self.parse_bucket_name_from_url(request, full_url)
        bucket = self.backend.buckets.get(name)
        if bucket is not None:
            if self.headers.get("x-amz-expected-bucket-owner", bucket.account_id) != bucket.account_id:
                raise BucketAccessDeniedError(name)
            if bucket.region_name != self.region:
                error = {
                    "Code": "PermanentRedirect",
                    "Message": "The bucket you are attempting to access must be addressed using the specified endpoint."
                    " Please send all future requests to this endpoint.",
                    "Endpoint": f"s3.{bucket.region_name}.amazonaws.com",
                    "Bucket": name,
                }
                return 301, {"x-amz-bucket-region": bucket.region_name}, xmltodict.unparse({"Error": error})
        return answer(self, request, full_url)


CORRECTIONS: tuple[Callable[[], None], ...] = (
    list_buckets_pages_and_names_regions,
    lifecycle_rules_come_back_whole,
    impossible_lifecycle_rules_are_refused,
    versioning_has_its_root_element,
    every_bucket_is_encrypted,
    reading_the_encryption_is_its_own_action,
    buckets_have_an_owner_and_a_region,
)
