"""The words of AWS: what its services answer, on the wire. For paging_aws."""

import json
from dataclasses import dataclass, field
from typing import Any
from xml.sax.saxutils import escape

EC2_NAMESPACE = "http://ec2.amazonaws.com/doc/2016-11-15/"
S3_NAMESPACE = "http://s3.amazonaws.com/doc/2006-03-01/"
STS_NAMESPACE = "https://sts.amazonaws.com/doc/2011-06-15/"
REQUEST_ID = "59dbff89-35bd-4eac-99ed-be587EXAMPLE"
DECLARATION = '<?xml version="1.0" encoding="UTF-8"?>\n'
CREATED = "2026-01-02T03:04:05.000Z"
CREATED_EPOCH = 1767323045.0

ROLE_KEY = "ASIAROLEEXAMPLE"

SERVICE_OF = {
    "GetCallerIdentity": "sts",
    "AssumeRole": "sts",
    "DescribeRegions": "ec2",
    "DescribeVolumes": "ec2",
    "DescribeKey": "kms",
    "GenerateCredentialReport": "iam",
    "GetCredentialReport": "iam",
    "ListRoles": "iam",
    "ListSAMLProviders": "iam",
    "GetAccountSummary": "iam",
    "ListUsers": "iam",
    "DescribeConfigurationRecorders": "config",
    "DescribeConfigurationRecorderStatus": "config",
    "ListDiscoveredResources": "config",
}
CONTENT_TYPES = {
    "sts": "text/xml",
    "iam": "text/xml",
    "ec2": "text/xml;charset=UTF-8",
    "kms": "application/x-amz-json-1.1",
    "config": "application/x-amz-json-1.1",
    "s3": "application/xml",
}
THROTTLING = {
    "sts": (400, "Throttling", "Rate exceeded"),
    "iam": (400, "Throttling", "Rate exceeded"),
    "ec2": (503, "RequestLimitExceeded", "Request limit exceeded."),
    "kms": (400, "ThrottlingException", "Rate exceeded"),
    "config": (400, "ThrottlingException", "Rate exceeded"),
    "s3": (503, "SlowDown", "Please reduce your request rate."),
}
DENIAL = {
    "iam": (403, "AccessDenied", "User is not authorized to perform this action"),
    "sts": (403, "InvalidClientTokenId", "The security token included in the request is invalid."),
    "ec2": (403, "UnauthorizedOperation", "You are not authorized to perform this operation."),
    "kms": (400, "AccessDeniedException", "User is not authorized to perform: kms:DescribeKey"),
    "config": (400, "AccessDeniedException", "User is not authorized to perform this action"),
    "s3": (403, "AccessDenied", "Access Denied"),
}


@dataclass(frozen=True)
class Answer:
    """One HTTP answer. `cut`: it ends in the middle of the body; `silent`: nothing is said, and if `held`, for long."""

    status: int
    body: bytes
    headers: dict[str, str] = field(default_factory=dict)
    cut: bool = False
    silent: bool = False
    held: bool = False


def service_of(operation: str) -> str:
    """The service that an operation belongs to."""
    return SERVICE_OF.get(operation, "s3")


def element(name: str, content: str | int | bool | None) -> str:  # noqa: FBT001 - a leaf of XML
    """An element with a text, or nothing where there is none."""
    if content is None:
        return ""
    text = str(content).lower() if isinstance(content, bool) else escape(str(content))
    return f"<{name}>{text}</{name}>"


def xml(service: str, text: str, status: int = 200) -> Answer:
    """An answer in XML."""
    return Answer(status, (DECLARATION + text).encode(), {"Content-Type": CONTENT_TYPES[service]})


def error(operation: str, status: int, code: str, message: str) -> Answer:
    """A refusal, as the service of the operation words it."""
    service = service_of(operation)
    inner = element("Code", code) + element("Message", message)
    if service in ("kms", "config"):
        body = json.dumps({"__type": code, "message": message})
        return Answer(status, body.encode(), {"Content-Type": CONTENT_TYPES[service]})
    if service == "s3":
        return xml(service, f"<Error>{inner}<RequestId>{REQUEST_ID}</RequestId><HostId>host</HostId></Error>", status)
    if service == "ec2":
        text = f"<Response><Errors><Error>{inner}</Error></Errors><RequestID>{REQUEST_ID}</RequestID></Response>"
        return xml(service, text, status)
    inner = f"<Error><Type>Sender</Type>{inner}</Error><RequestId>{REQUEST_ID}</RequestId>"  # STS and IAM
    return xml(service, f'<ErrorResponse xmlns="{STS_NAMESPACE}">{inner}</ErrorResponse>', status)


def redirect(region: str, bucket: str) -> Answer:
    """S3's way to say that a bucket is in another region."""
    message = "The bucket you are attempting to access must be addressed using the specified endpoint."
    answer = error("GetBucketVersioning", 301, "PermanentRedirect", message)
    place = element("Endpoint", f"s3.{region}.amazonaws.com") + element("Bucket", bucket)
    body = answer.body.replace(b"<RequestId>", place.encode() + b"<RequestId>")
    return Answer(301, body, {**answer.headers, "x-amz-bucket-region": region})


def caller_identity(account_id: str, user: str) -> Answer:
    """Answer GetCallerIdentity."""
    arn = element("Arn", f"arn:aws:iam::{account_id}:user/{user}")
    who = arn + element("UserId", "AIDACKCEVSQ6C2EXAMPLE") + element("Account", account_id)
    text = f"<GetCallerIdentityResult>{who}</GetCallerIdentityResult>"
    text += f"<ResponseMetadata><RequestId>{REQUEST_ID}</RequestId></ResponseMetadata>"
    return xml("sts", f'<GetCallerIdentityResponse xmlns="{STS_NAMESPACE}">{text}</GetCallerIdentityResponse>')


def assumed_role(secret: str, token: str) -> Answer:
    """Answer AssumeRole."""
    given = element("AccessKeyId", ROLE_KEY) + element("SecretAccessKey", secret) + element("SessionToken", token)
    text = f"<Credentials>{given}{element('Expiration', '2099-01-01T00:00:00Z')}</Credentials>"
    text = f"<AssumeRoleResult>{text}</AssumeRoleResult>"
    return xml("sts", f'<AssumeRoleResponse xmlns="{STS_NAMESPACE}">{text}</AssumeRoleResponse>')


def ec2(operation: str, content: str) -> Answer:
    """An answer of EC2."""
    root = f"{operation}Response"
    return xml("ec2", f'<{root} xmlns="{EC2_NAMESPACE}"><requestId>{REQUEST_ID}</requestId>{content}</{root}>')


def regions(regions: list[tuple[str, str]]) -> Answer:
    """Answer DescribeRegions: names and opt-in statuses."""
    items = "".join(
        f"<item>{element('regionName', name)}{element('regionEndpoint', f'ec2.{name}.amazonaws.com')}"
        f"{element('optInStatus', status)}</item>"
        for name, status in regions
    )
    return ec2("DescribeRegions", f"<regionInfo>{items}</regionInfo>")


def volumes(region: str, volumes: list[dict[str, Any]], token: str | None) -> Answer:
    """Answer DescribeVolumes: the volumes of one page, and the token of the next."""
    items = "".join(
        "<item>"
        + element("volumeId", volume["volume_id"])
        + element("size", volume["size"])
        + "<snapshotId/>"
        + element("availabilityZone", f"{region}a")
        + element("status", volume["state"])
        + element("createTime", volume["create_time"])
        + "<attachmentSet/>"
        + element("volumeType", "gp3")
        + element("encrypted", volume["encrypted"])
        + element("kmsKeyId", volume["kms_key_id"])
        + element("multiAttachEnabled", content=False)
        + "</item>"
        for volume in volumes
    )
    return ec2("DescribeVolumes", f"<volumeSet>{items}</volumeSet>{element('nextToken', token)}")


def key(account_id: str, arn: str, manager: str, state: str) -> Answer:
    """Answer DescribeKey."""
    metadata: dict[str, object] = {
        "AWSAccountId": account_id,
        "KeyId": arn.rpartition("/")[2],
        "Arn": arn,
        "CreationDate": CREATED_EPOCH,
        "Enabled": state == "Enabled",
        "Description": "",
        "KeyUsage": "ENCRYPT_DECRYPT",
        "KeyState": state,
        "Origin": "AWS_KMS",
        "KeyManager": manager,
        "CustomerMasterKeySpec": "SYMMETRIC_DEFAULT",
        "KeySpec": "SYMMETRIC_DEFAULT",
        "EncryptionAlgorithms": ["SYMMETRIC_DEFAULT"],
        "MultiRegion": False,
    }
    if state == "PendingDeletion":
        metadata["DeletionDate"] = CREATED_EPOCH
    body = json.dumps({"KeyMetadata": metadata}, separators=(",", ":"))
    return Answer(200, body.encode(), {"Content-Type": CONTENT_TYPES["kms"]})


def s3(root: str, content: str) -> Answer:
    """An answer of S3."""
    return xml("s3", f'<{root} xmlns="{S3_NAMESPACE}">{content}</{root}>')


def buckets(buckets: list[tuple[str, str | None]], token: str | None, prefix: str | None) -> Answer:
    """Answer ListBuckets: names and regions of one page, and the token of the next."""
    items = "".join(
        f"<Bucket>{element('Name', name)}{element('CreationDate', CREATED)}{element('BucketRegion', region)}</Bucket>"
        for name, region in buckets
    )
    content = f"<Owner><ID>79a59df900b949e55d96a1e698fbaced</ID></Owner><Buckets>{items}</Buckets>"
    return s3("ListAllMyBucketsResult", content + element("ContinuationToken", token) + element("Prefix", prefix))


def lifecycle(rules: str | None) -> Answer:
    """Answer GetBucketLifecycleConfiguration."""
    if rules is None:
        message = "The lifecycle configuration does not exist"
        return error("GetBucketLifecycleConfiguration", 404, "NoSuchLifecycleConfiguration", message)
    return s3("LifecycleConfiguration", rules)


def versioning(status: str | None) -> Answer:
    """Answer GetBucketVersioning. No status: versioning was never on."""
    return s3("VersioningConfiguration", element("Status", status))


def encryption(algorithm: str | None, key_id: str | None) -> Answer:
    """Answer GetBucketEncryption."""
    if algorithm is None:
        code = "ServerSideEncryptionConfigurationNotFoundError"
        return error("GetBucketEncryption", 404, code, "The server side encryption configuration was not found")
    default = element("SSEAlgorithm", algorithm) + element("KMSMasterKeyID", key_id)
    default = f"<ApplyServerSideEncryptionByDefault>{default}</ApplyServerSideEncryptionByDefault>"
    rule = f"<Rule>{default}{element('BucketKeyEnabled', key_id is not None)}</Rule>"
    return s3("ServerSideEncryptionConfiguration", rule)


def tagging(tags: dict[str, str]) -> Answer:
    """Answer GetBucketTagging."""
    if not tags:
        return error("GetBucketTagging", 404, "NoSuchTagSet", "The TagSet does not exist")
    items = "".join(f"<Tag>{element('Key', name)}{element('Value', value)}</Tag>" for name, value in tags.items())
    return s3("Tagging", f"<TagSet>{items}</TagSet>")
