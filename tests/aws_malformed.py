"""Answers of AWS that cannot be believed, each with what the finding must say of it."""

from __future__ import annotations

from tests import paging_aws_words as words
from tests.audit_fixture import KEY, REGION, SHORT_LIVED
from tests.paging_aws import Volume

XML = {"Content-Type": "text/xml"}
PORTAL = "<html><head><title>Welcome</title></head><body>Please sign in to use the network</body></html>"
WHOLE = words.volumes(REGION, [vars(Volume("vol-1", kms_key_id=KEY))], None).body.decode()
KEY_ANSWER = words.key("123456789012", KEY, "CUSTOMER", "Enabled").body.decode()
LIFECYCLE = words.lifecycle(SHORT_LIVED).body.decode()
IDENTITY = words.caller_identity("123456789012", "auditor").body.decode()
ABSENT = "<Error><Code>NoSuchLifecycleConfiguration</Code><Message>none</Message></Error>"
NO_DEFAULT = "<Error><Code>ServerSideEncryptionConfigurationNotFoundError</Code><Message>none</Message></Error>"

# The tests that read an answer of each operation, and the operation's name in the evidence.
READERS = {
    "DescribeRegions": ("ebs", "ec2.describe_regions"),
    "DescribeVolumes": ("ebs", "ec2.describe_volumes"),
    "DescribeKey": ("ebs", "kms.describe_key"),
    "ListBuckets": ("expiry", "s3.list_buckets"),
    "GetBucketTagging": ("expiry", "s3.get_bucket_tagging"),
    "GetBucketLifecycleConfiguration": ("expiry", "s3.get_bucket_lifecycle_configuration"),
    "GetBucketVersioning": ("expiry", "s3.get_bucket_versioning"),
    "GetBucketEncryption": ("encryption", "s3.get_bucket_encryption"),
}


def encrypted(text: str) -> str:
    assert "<encrypted>true</encrypted>" in WHOLE
    return WHOLE.replace("<encrypted>true</encrypted>", text)


def rule(text: str, instead_of: str) -> str:
    assert instead_of in LIFECYCLE
    return LIFECYCLE.replace(instead_of, text)


FILTER = "<Filter><Prefix>exports/</Prefix></Filter>"
Fault = tuple[str, int, str, str]  # operation, status, body, what the finding must say
MALFORMED: dict[str, Fault] = {
    **{
        f"encrypted {text}": ("DescribeVolumes", 200, encrypted(f"<encrypted>{text}</encrypted>"), "is no boolean")
        for text in ("banana", "TRUE", "1", "")
    },
    "encrypted twice": (
        "DescribeVolumes",
        200,
        encrypted("<encrypted>true</encrypted><encrypted>false</encrypted>"),
        "stands twice",
    ),
    "encrypted left out": ("DescribeVolumes", 200, encrypted(""), "/Volumes/0/Encrypted is missing"),
    "no volumeSet": (
        "DescribeVolumes",
        200,
        words.ec2("DescribeVolumes", "").body.decode(),
        "malformed: the answer has no /Volumes",
    ),
    "volumes in HTML": ("DescribeVolumes", 200, PORTAL, "expected <DescribeVolumesResponse>, got <html>"),
    "volumes of another root": (
        "DescribeVolumes",
        200,
        WHOLE.replace("DescribeVolumesResponse", "DescribeSnapshotsResponse"),
        "got <DescribeSnapshotsResponse>",
    ),
    "volumes empty": ("DescribeVolumes", 200, "", "malformed: not XML"),
    "volumes with a document type": (
        "DescribeVolumes",
        200,
        WHOLE.replace("<Describe", "<!DOCTYPE a><Describe", 1),
        "declares the document type a",
    ),
    "volumes with status 203": ("DescribeVolumes", 203, WHOLE, "HTTP 203 is no answer to DescribeVolumes"),
    "volumes with status 206": ("DescribeVolumes", 206, WHOLE, "HTTP 206 is no answer to DescribeVolumes"),
    "volumes with status 300": ("DescribeVolumes", 300, WHOLE, "HTTP 300 is no answer to DescribeVolumes"),
    "volumes with status 302": ("DescribeVolumes", 302, WHOLE, "302: "),
    "volumes refused, well-formed": ("DescribeVolumes", 403, WHOLE, "403: HTTP 403 Forbidden"),
    "volumes refused, empty": ("DescribeVolumes", 403, "", "403: HTTP 403 Forbidden"),
    "volumes refused in HTML": ("DescribeVolumes", 403, PORTAL, "(needs ec2:DescribeVolumes)"),
    "volumes: token expired": (
        "DescribeVolumes",
        400,
        words.error("DescribeVolumes", 400, "RequestExpired", "It has expired").body.decode(),
        "RequestExpired: It has expired",
    ),
    "volumes: 500": ("DescribeVolumes", 500, "", "500: Internal Server Error"),
    "volumes: 503 in HTML": ("DescribeVolumes", 503, PORTAL, "503: Service Unavailable"),
    "regions in HTML": ("DescribeRegions", 200, PORTAL, "expected <DescribeRegionsResponse>, got <html>"),
    "no regionInfo": (
        "DescribeRegions",
        200,
        words.ec2("DescribeRegions", "").body.decode(),
        "the answer has no /Regions",
    ),
    "key not JSON": ("DescribeKey", 200, PORTAL, "malformed: not JSON"),
    "key empty": ("DescribeKey", 200, "", "malformed: not JSON"),
    "key in a list": ("DescribeKey", 200, f"[{KEY_ANSWER}]", "expected a JSON object"),
    "key without metadata": ("DescribeKey", 200, "{}", "the answer has no /KeyMetadata/KeyId"),
    "key metadata null": ("DescribeKey", 200, '{"KeyMetadata": null}', "the answer has no /KeyMetadata/KeyId"),
    "key state twice": (
        "DescribeKey",
        200,
        KEY_ANSWER.replace('"KeyState":', '"KeyState":"Disabled","KeyState":'),
        "a member stands twice",
    ),
    "key state unknown": ("DescribeKey", 200, KEY_ANSWER.replace(':"Enabled"', ':"Resting"'), "/KeyMetadata/KeyState"),
    "key state a number": ("DescribeKey", 200, KEY_ANSWER.replace(':"Enabled"', ":7"), "/KeyMetadata/KeyState"),
    "key date a word": ("DescribeKey", 200, KEY_ANSWER.replace("1767323045.0", '"soon"'), "malformed: the body cannot"),
    "key refused, empty": ("DescribeKey", 403, "", "403: HTTP 403 Forbidden"),
    "key refused in HTML": ("DescribeKey", 400, PORTAL, "400: "),
    "key with an odd type": ("DescribeKey", 400, '{"__type": 7}', "400: "),
    "buckets in HTML": ("ListBuckets", 200, PORTAL, "expected <ListAllMyBucketsResult>, got <html>"),
    "buckets empty": ("ListBuckets", 200, "", "malformed: not XML"),
    "no Buckets": ("ListBuckets", 200, words.s3("ListAllMyBucketsResult", "").body.decode(), "has no /Buckets"),
    "bucket without a region": (
        "ListBuckets",
        200,
        words.buckets([("exports", None)], None, None).body.decode(),
        "/Buckets/0/BucketRegion is missing",
    ),
    "tags in HTML": ("GetBucketTagging", 200, PORTAL, "expected <Tagging>, got <html>"),
    "no TagSet": ("GetBucketTagging", 200, words.s3("Tagging", "").body.decode(), "the answer has no /TagSet"),
    "tag without a value": (
        "GetBucketTagging",
        200,
        words.s3("Tagging", "<TagSet><Tag><Key>data</Key></Tag></TagSet>").body.decode(),
        "/TagSet/0/Value is missing",
    ),
    "unknown filter": (
        "GetBucketLifecycleConfiguration",
        200,
        rule("<Filter><NewThing/></Filter>", FILTER),
        "<NewThing> is unknown",
    ),
    "unknown member in And": (
        "GetBucketLifecycleConfiguration",
        200,
        rule("<Filter><And><Prefix>exports/</Prefix><NewThing/></And></Filter>", FILTER),
        "<NewThing> is unknown",
    ),
    "empty And": (
        "GetBucketLifecycleConfiguration",
        200,
        rule("<Filter><And/></Filter>", FILTER),
        "Filter/And: is empty",
    ),
    "days a word": (
        "GetBucketLifecycleConfiguration",
        200,
        rule("<Days>abc</Days>", "<Days>7</Days>"),
        "'abc' is no integer",
    ),
    "empty expiration": (
        "GetBucketLifecycleConfiguration",
        200,
        rule("<Expiration/>", "<Expiration><Days>7</Days></Expiration>"),
        "Rule/Expiration: is empty",
    ),
    "rule status unknown": (
        "GetBucketLifecycleConfiguration",
        200,
        rule("<Status>Paused</Status>", "<Status>Enabled</Status>"),
        "/Rules/0/Status",
    ),
    "no rules": (
        "GetBucketLifecycleConfiguration",
        200,
        words.s3("LifecycleConfiguration", "").body.decode(),
        "the answer has no /Rules",
    ),
    "lifecycle in HTML": ("GetBucketLifecycleConfiguration", 200, PORTAL, "expected <LifecycleConfiguration>"),
    "lifecycle empty": ("GetBucketLifecycleConfiguration", 200, "", "malformed: not XML"),
    "lifecycle: 404 in HTML": ("GetBucketLifecycleConfiguration", 404, PORTAL, "404: "),
    "lifecycle: 404 empty": ("GetBucketLifecycleConfiguration", 404, "", "404: Not Found"),
    "lifecycle absent with 200": ("GetBucketLifecycleConfiguration", 200, ABSENT, "not as AWS says it (HTTP 200)"),
    "lifecycle absent with 403": ("GetBucketLifecycleConfiguration", 403, ABSENT, "not as AWS says it (HTTP 403)"),
    "lifecycle absent with 500": ("GetBucketLifecycleConfiguration", 500, ABSENT, "not as AWS says it (HTTP 500)"),
    "lifecycle absent in a page": (
        "GetBucketLifecycleConfiguration",
        404,
        f"<html>{ABSENT}</html>",
        "not as AWS says it (HTTP 404)",
    ),
    "lifecycle absent with a document type": (
        "GetBucketLifecycleConfiguration",
        404,
        f"<!DOCTYPE a>{ABSENT}",
        "not as AWS says it (HTTP 404)",
    ),
    "two error codes": (
        "GetBucketLifecycleConfiguration",
        404,
        ABSENT.replace("<Message>", "<Code>AccessDenied</Code><Message>"),
        "404: ",
    ),
    "an error that is a text": ("GetBucketLifecycleConfiguration", 404, "<a><Error>none</Error></a>", "404: "),
    "no such bucket": (
        "GetBucketLifecycleConfiguration",
        404,
        ABSENT.replace("NoSuchLifecycleConfiguration", "NoSuchBucket"),
        "NoSuchBucket: none",
    ),
    "another thing absent": ("GetBucketLifecycleConfiguration", 404, NO_DEFAULT, "NotFoundError: none"),
    "lifecycle denied": (
        "GetBucketLifecycleConfiguration",
        403,
        ABSENT.replace("NoSuchLifecycleConfiguration", "AccessDenied"),
        "AccessDenied: none (needs s3:GetLifecycleConfiguration)",
    ),
    "lifecycle throttled": (
        "GetBucketLifecycleConfiguration",
        503,
        ABSENT.replace("NoSuchLifecycleConfiguration", "SlowDown"),
        "SlowDown: none",
    ),
    "versioning in HTML": ("GetBucketVersioning", 200, PORTAL, "expected <VersioningConfiguration>, got <html>"),
    "versioning empty": ("GetBucketVersioning", 200, "", "malformed: not XML"),
    "versioning misspelt": (
        "GetBucketVersioning",
        200,
        words.s3("VersioningConfiguration", "<State>Enabled</State>").body.decode(),
        "<State> is unknown",
    ),
    "versioning status empty": (
        "GetBucketVersioning",
        200,
        words.s3("VersioningConfiguration", "<Status/>").body.decode(),
        "/Status",
    ),
    "versioning refused, well-formed": (
        "GetBucketVersioning",
        403,
        words.versioning(None).body.decode(),
        "403: HTTP 403 Forbidden",
    ),
    "encryption absent with 403": ("GetBucketEncryption", 403, NO_DEFAULT, "not as AWS says it (HTTP 403)"),
    "encryption in HTML": ("GetBucketEncryption", 200, PORTAL, "expected <ServerSideEncryptionConfiguration>"),
    "encryption empty": ("GetBucketEncryption", 200, "", "malformed: not XML"),
    "encryption without a rule": (
        "GetBucketEncryption",
        200,
        words.s3("ServerSideEncryptionConfiguration", "").body.decode(),
        "the answer has no /ServerSideEncryptionConfiguration/Rules",
    ),
    "encryption without an algorithm": (
        "GetBucketEncryption",
        200,
        words.s3("ServerSideEncryptionConfiguration", "<Rule/>").body.decode(),
        "SSEAlgorithm is missing",
    ),
}
