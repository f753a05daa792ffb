"""Bodies against botocore's own service models: what is AWS's answer, and what only looks like one."""

from __future__ import annotations

from functools import cache
from typing import Any

import pytest
from botocore.session import get_session

from auditor.questions import SourceFailure
from auditor.sources.aws.operations import OPERATIONS, AwsOperation
from auditor.sources.aws.strict import check_json, check_xml, read_xml, require

IDENTITY = "<Account>1</Account><Arn>a</Arn><UserId>u</UserId>"
STS = "<GetCallerIdentityResponse><GetCallerIdentityResult>{}</GetCallerIdentityResult></GetCallerIdentityResponse>"
VOLUMES = "<DescribeVolumesResponse><volumeSet><item>{}</item></volumeSet></DescribeVolumesResponse>"
RULE = "<LifecycleConfiguration><Rule><Status>Enabled</Status>{}</Rule></LifecycleConfiguration>"
ENCRYPTION = "<ServerSideEncryptionConfiguration><Rule>{}</Rule></ServerSideEncryptionConfiguration>"
VERSIONING = "<VersioningConfiguration>{}</VersioningConfiguration>"
BUCKETS = "<ListAllMyBucketsResult><Buckets><Bucket><Name>b</Name>{}</Bucket></Buckets></ListAllMyBucketsResult>"
SUMMARY = (
    "<GetAccountSummaryResponse><GetAccountSummaryResult><SummaryMap>{}</SummaryMap></GetAccountSummaryResult>"
    "</GetAccountSummaryResponse>"
)
SPEED = (
    "<DescribeInstanceTypesResponse><instanceTypeSet><item><processorInfo>"
    "<sustainedClockSpeedInGhz>{}</sustainedClockSpeedInGhz></processorInfo></item></instanceTypeSet>"
    "</DescribeInstanceTypesResponse>"
)
PRICE = (
    "<DescribeReservedInstancesResponse><reservedInstancesSet><item><fixedPrice>{}</fixedPrice></item>"
    "</reservedInstancesSet></DescribeReservedInstancesResponse>"
)
REPORT = (
    "<GetCredentialReportResponse><GetCredentialReportResult><Content>{}</Content></GetCredentialReportResult>"
    "</GetCredentialReportResponse>"
)
DOMAINS = "<ListDomainsResponse><ListDomainsResult>{}</ListDomainsResult></ListDomainsResponse>"

# Rows of operations that no check asks yet: for kinds of shapes that today's answers do not have.
FURTHER = {
    name: AwsOperation(name=name, summary="", service=service, api=api, root=f"{api}Response")
    for name, service, api in (
        ("iam.get_account_summary", "iam", "GetAccountSummary"),
        ("ec2.describe_instance_types", "ec2", "DescribeInstanceTypes"),
        ("ec2.describe_reserved_instances", "ec2", "DescribeReservedInstances"),
        ("sdb.list_domains", "sdb", "ListDomains"),
    )
}
ROWS: dict[str, Any] = {**OPERATIONS, **FURTHER}
SESSION = get_session()


@cache
def model(service: str) -> Any:
    return SESSION.get_service_model(service)


def output_shape(row: AwsOperation) -> Any:
    return model(row.service).operation_model(row.api).output_shape


def check(operation: str, body: str | bytes) -> None:
    row = ROWS[operation]
    data = body.encode() if isinstance(body, str) else body
    check_xml(data, row.root, output_shape(row), closed=row.closed, hollow=row.hollow)


def refusal(operation: str, body: str | bytes) -> str:
    with pytest.raises(SourceFailure) as caught:
        check(operation, body)
    assert caught.value.code == "malformed"
    return caught.value.message


GOOD = [
    ("sts.get_caller_identity", STS.format(IDENTITY)),
    ("sts.get_caller_identity", STS.format(IDENTITY + "<Later>tolerated: not a closed shape</Later>")),
    ("ec2.describe_volumes", VOLUMES.format("<encrypted>true</encrypted>")),
    ("ec2.describe_volumes", VOLUMES.format("<encrypted>false</encrypted><size>-8</size>")),
    ("ec2.describe_volumes", VOLUMES.format("\n  <encrypted>true</encrypted>\n  <!-- a comment -->\n")),
    ("ec2.describe_volumes", VOLUMES.format("<createTime>2026-01-02T03:04:05.678Z</createTime>")),
    ("ec2.describe_volumes", VOLUMES.format("<createTime>2026-01-02T03:04:05+01:00</createTime>")),
    ("ec2.describe_volumes", "<DescribeVolumesResponse><volumeSet/></DescribeVolumesResponse>"),
    ("ec2.describe_volumes", '<x:DescribeVolumesResponse xmlns:x="urn:y"><x:volumeSet/></x:DescribeVolumesResponse>'),
    ("s3.get_bucket_lifecycle_configuration", RULE.format("<Filter/><Expiration><Days>7</Days></Expiration>")),
    ("s3.get_bucket_lifecycle_configuration", RULE.format("<Filter><Prefix/></Filter>")),
    (
        "s3.get_bucket_lifecycle_configuration",
        RULE.format("<Filter><ObjectSizeLessThan>9223372036854775807</ObjectSizeLessThan></Filter>"),
    ),
    (
        "s3.get_bucket_lifecycle_configuration",  # flattened lists repeat: Rule, Transition, and Tag within And
        "<LifecycleConfiguration>"
        + 2
        * (
            "<Rule><Status>Disabled</Status><Filter><And><Tag><Key>a</Key><Value/></Tag><Tag><Key>b</Key><Value>c"
            "</Value></Tag></And></Filter><Transition><Days>1</Days></Transition><Transition><Days>2</Days></Transition>"
            "</Rule>"
        )
        + "</LifecycleConfiguration>",
    ),
    ("s3.get_bucket_encryption", ENCRYPTION.format("<BucketKeyEnabled>false</BucketKeyEnabled>")),
    ("s3.get_bucket_versioning", VERSIONING.format("")),
    ("s3.get_bucket_versioning", VERSIONING.format("<Status>Suspended</Status><MfaDelete>Disabled</MfaDelete>")),
    ("s3.get_bucket_tagging", "<Tagging><TagSet><Tag><Key>k</Key><Value/></Tag></TagSet></Tagging>"),
    ("s3.list_buckets", BUCKETS.format("<CreationDate>2026-01-02T03:04:05Z</CreationDate>")),
    ("iam.get_account_summary", SUMMARY.format("<entry><key>Users</key><value>3</value></entry>")),
    ("iam.get_account_summary", SUMMARY.format("<entry><value>3</value><key>Users</key></entry>")),
    ("sdb.list_domains", DOMAINS.format("<DomainName>a</DomainName><DomainName>b</DomainName>")),
    (  # what botocore reads from a header is nothing in the body
        "s3.get_bucket_lifecycle_configuration",
        RULE.format("").replace(
            "<Rule>", "<{0}><a/></{0}><Rule>".format("x-amz-transition-default-minimum-object-size")
        ),
    ),
    *[
        ("iam.get_credential_report", REPORT.format(text))
        for text in ("dXNlcixhcm4=", "", " dXNl\r\ncixh\tcm4=\n", "+/+/")
    ],
    *[("ec2.describe_instance_types", SPEED.format(number)) for number in ("2.5", "3", "-0.1", "1e3", "2.5E-7")],
    *[("ec2.describe_reserved_instances", PRICE.format(number)) for number in ("2.5", "0", "1e3")],
]


@pytest.mark.parametrize(("operation", "body"), GOOD)
def test_what_aws_sends_is_believed(operation: str, body: str) -> None:
    check(operation, body)


BAD = [
    *[
        ("ec2.describe_volumes", VOLUMES.format(f"<encrypted>{text}</encrypted>"), "is no boolean")
        for text in ("banana", "TRUE", "True", "1", "0", "yes", "", " true", "true\n", "truefalse")
    ],
    ("ec2.describe_volumes", VOLUMES.format("<encrypted/>"), "is no boolean"),
    ("ec2.describe_volumes", VOLUMES.format("<encrypted><true/></encrypted>"), "elements where boolean was expected"),
    ("ec2.describe_volumes", VOLUMES.format("<volumeId><b/></volumeId>"), "elements where string was expected"),
    ("ec2.describe_volumes", VOLUMES.format(2 * "<encrypted>true</encrypted>"), "<encrypted> stands twice"),
    ("ec2.describe_volumes", VOLUMES.format("banana"), "text where elements were expected"),
    ("ec2.describe_volumes", VOLUMES.format("<size>8</size>banana"), "text where elements were expected"),
    *[
        ("ec2.describe_volumes", VOLUMES.format(f"<size>{text}</size>"), "is no integer")
        for text in ("abc", "", "8.0", "+8", "0x8", "8 ", "1_000", "٨")
    ],
    *[
        ("ec2.describe_volumes", VOLUMES.format(f"<createTime>{text}</createTime>"), "is no timestamp")
        for text in (
            "banana",
            "",
            "1767323045",
            "2026-01-02",
            "2026-01-02T03:04:05",
            "٢٠٢٦-01-02T03:04:05Z",
            "2026-13-02T03:04:05Z",
            "Fri, 02 Jan 2026 03:04:05 GMT",
        )
    ],
    (
        "ec2.describe_volumes",
        "<DescribeVolumesResponse><volumeSet><volume/></volumeSet></DescribeVolumesResponse>",
        "expected <item>, got <volume>",
    ),
    (
        "ec2.describe_volumes",
        "<DescribeVolumesResponse><volumeSet>banana</volumeSet></DescribeVolumesResponse>",
        "text where elements were expected",
    ),
    (
        "ec2.describe_volumes",
        "<DescribeVolumesResponse><volumeSet/><volumeSet/></DescribeVolumesResponse>",
        "<volumeSet> stands twice",
    ),
    ("ec2.describe_volumes", "<DescribeRegionsResponse/>", "expected <DescribeVolumesResponse>"),
    ("ec2.describe_volumes", "<html><body>Please sign in</body></html>", "got <html>"),
    ("ec2.describe_volumes", "", "not XML"),
    ("ec2.describe_volumes", "<DescribeVolumesResponse><volumeSet>", "not XML"),
    ("ec2.describe_volumes", '{"Volumes": []}', "not XML"),
    ("ec2.describe_volumes", b"\xff\xfe\x00", "not XML"),
    ("sts.get_caller_identity", "<GetCallerIdentityResponse/>", "expected one <GetCallerIdentityResult>"),
    (
        "sts.get_caller_identity",
        STS.format(IDENTITY).replace(
            "</GetCallerIdentityResult>", "</GetCallerIdentityResult><GetCallerIdentityResult/>"
        ),
        "got 2",
    ),
    ("sts.get_caller_identity", STS.format(IDENTITY + "<Account>2</Account>"), "<Account> stands twice"),
    *[
        ("s3.get_bucket_lifecycle_configuration", RULE.format(text), message)
        for text, message in (
            ("<Filter><NewThing/></Filter>", "Rule/Filter: <NewThing> is unknown"),
            ("<Filter><And><Prefix>a</Prefix><NewThing/></And></Filter>", "Filter/And: <NewThing> is unknown"),
            ("<Filter><Tag><Key>a</Key><Value>b</Value><Not/></Tag></Filter>", "Filter/Tag: <Not> is unknown"),
            ("<NewThing/>", "Rule: <NewThing> is unknown"),
            ("<Expiration><Hours>1</Hours></Expiration>", "Expiration: <Hours> is unknown"),
            ("<Filter>banana</Filter>", "Rule/Filter: text where elements were expected"),
            ("<Filter><And/></Filter>", "Filter/And: is empty"),
            ("<Filter><Tag/></Filter>", "Filter/Tag: is empty"),
            ("<Expiration/>", "Rule/Expiration: is empty"),
            ("<NoncurrentVersionExpiration/>", "NoncurrentVersionExpiration: is empty"),
            ("<AbortIncompleteMultipartUpload/>", "AbortIncompleteMultipartUpload: is empty"),
            ("<Expiration><Days>abc</Days></Expiration>", "'abc' is no integer"),
            ("<Expiration><Days/></Expiration>", "'' is no integer"),
            ("<Expiration><Date>soon</Date></Expiration>", "'soon' is no timestamp"),
            ("<Filter><Prefix>a</Prefix><Prefix/></Filter>", "<Prefix> stands twice"),
            ("<Filter><ObjectSizeLessThan>1e3</ObjectSizeLessThan></Filter>", "is no long"),
            ("<Transition><Days>abc</Days></Transition>", "'abc' is no integer"),
        )
    ],
    ("s3.get_bucket_lifecycle_configuration", "<LifecycleConfiguration><Rule/></LifecycleConfiguration>", "is empty"),
    ("s3.get_bucket_encryption", ENCRYPTION.format("<BucketKeyEnabled>TRUE</BucketKeyEnabled>"), "is no boolean"),
    ("s3.get_bucket_versioning", VERSIONING.format("<State>Enabled</State>"), "<State> is unknown"),
    ("s3.get_bucket_versioning", VERSIONING.format("Enabled"), "text where elements were expected"),
    ("s3.list_buckets", BUCKETS.format("<CreationDate>yesterday</CreationDate>"), "is no timestamp"),
    *[
        ("iam.get_account_summary", SUMMARY.format(text), message)
        for text, message in (
            ("<entry><key>Users</key><value>many</value></entry>", "SummaryMap/Users: 'many' is no integer"),
            (2 * "<entry><key>Users</key><value>3</value></entry>", "the key Users stands twice"),
            ("<entry><key>Users</key></entry>", "expected <key> and <value>"),
            ("<entry><key>Users</key><value>3</value><value>4</value></entry>", "expected <key> and <value>"),
            ("<entry><key><b/></key><value>3</value></entry>", "elements where string was expected"),
            ("<entry>Users<key>Users</key><value>3</value></entry>", "text where elements were expected"),
            ("Users", "text where elements were expected"),
        )
    ],
    *[
        ("ec2.describe_instance_types", SPEED.format(number), "is no double")
        for number in ("fast", "", "NaN", "inf", ".5", "1.", "1e")
    ],
    ("ec2.describe_reserved_instances", PRICE.format("free"), "is no float"),
    ("sdb.list_domains", DOMAINS.format("<DomainName><b/></DomainName>"), "elements where string was expected"),
    ("iam.get_credential_report", REPORT.format("<b/>"), "elements where blob was expected"),
    *[
        ("iam.get_credential_report", REPORT.format(text), "Content: is no base64")
        for text in (
            "dXNlcixhcm4",
            "dXNlcixhcm4=!",
            "!dXNl",
            "dXN=lcix",
            "dXNlcixhcm5=",
            "-_-_",
            "banana",
            "é",
            "dXNl\u00a0",
        )
    ],
]


@pytest.mark.parametrize(("operation", "body", "message"), BAD)
def test_what_only_looks_like_an_answer_is_malformed(operation: str, body: str, message: str) -> None:
    assert message in refusal(operation, body)


@pytest.mark.parametrize(
    "body",
    [
        b"<!DOCTYPE html><DescribeVolumesResponse/>",
        b"<!-- " + 2000 * b"x" + b" --><!DOCTYPE a><DescribeVolumesResponse/>",
        b'<!DOCTYPE a [<!ENTITY e "t">]><DescribeVolumesResponse><nextToken>&e;</nextToken></DescribeVolumesResponse>',
        b'<!DOCTYPE a SYSTEM "file:///etc/passwd"><DescribeVolumesResponse/>',
    ],
)
def test_a_document_type_is_refused_wherever_it_stands(body: bytes) -> None:
    assert "declares the document type" in refusal("ec2.describe_volumes", body)


def test_what_only_quotes_a_document_type_is_believed() -> None:
    """The positive control of the test above: the words are no declaration in a text."""
    check("ec2.describe_volumes", VOLUMES.format("<volumeId><![CDATA[<!DOCTYPE a>]]></volumeId>"))


def test_bytes_are_read_in_the_encoding_that_botocore_reads_them_in() -> None:
    """Whatever it declares, botocore takes a body for UTF-8; so do we, or we would check another text."""
    declared = '<?xml version="1.0" encoding="ISO-8859-1"?><a>é</a>'.encode()
    assert read_xml(declared).text == "é"


@pytest.mark.parametrize("body", [b'{"KeyMetadata": {}}', b"{}", '{"a": "é", "b": [1, null]}'.encode()])
def test_a_json_object_is_believed(body: bytes) -> None:
    check_json(body)


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"", "not JSON"),
        (b"<html/>", "not JSON"),
        (b'{"KeyMetadata": {', "not JSON"),
        (b'{"a": "\xff"}', "not JSON"),
        (b"[]", "expected a JSON object"),
        (b"null", "expected a JSON object"),
        (b'"KeyMetadata"', "expected a JSON object"),
        (b'{"KeyMetadata": {"KeyState": "Disabled", "KeyState": "Enabled"}}', "a member stands twice"),
    ],
)
def test_other_json_is_malformed(body: bytes, message: str) -> None:
    with pytest.raises(SourceFailure, match=message) as caught:
        check_json(body)
    assert caught.value.code == "malformed"


def test_what_every_answer_has_must_be_there() -> None:
    require({"KeyMetadata": {"KeyId": "k", "KeyState": ""}}, ["/KeyMetadata/KeyId", "/KeyMetadata/KeyState"])
    for body in ({}, {"KeyMetadata": None}, {"KeyMetadata": {"KeyId": None}}, {"KeyMetadata": "k"}):
        with pytest.raises(SourceFailure, match="malformed: the answer has no /KeyMetadata/KeyId"):
            require(body, ["/KeyMetadata/KeyId"])


@pytest.mark.parametrize("operation", OPERATIONS)
def test_every_row_names_what_its_model_has(operation: str) -> None:
    """A misspelt shape or member would guard nothing."""
    row = OPERATIONS[operation]
    assert isinstance(row, AwsOperation)
    shape = output_shape(row)
    names: set[str] = set()
    _names_of_shapes(shape, names)
    assert set(row.closed) <= names
    assert set(row.hollow) <= set(row.closed)
    for pointer in (*row.required, row.items, row.paging.token if row.paging else ""):
        found = shape
        for token in pointer.split("/")[1:]:
            if found.type_name == "map":
                assert token in found.key.enum
                found = found.value
            else:
                found = found.members[token]
    request = model(row.service).operation_model(row.api).input_shape
    sent = [
        *row.fixed,
        *([row.paging.parameter] if row.paging else []),
        *(["ExpectedBucketOwner"] if row.owned else []),
    ]
    assert set(sent) <= set(request.members if request else ())
    assert bool(row.root) is (model(row.service).metadata["protocol"] != "json")


def _names_of_shapes(shape: Any, names: set[str]) -> None:
    if shape.name in names:
        return
    names.add(shape.name)
    members = shape.members.values() if shape.type_name == "structure" else ()
    for member in (*members, *([shape.member] if shape.type_name == "list" else [])):
        _names_of_shapes(member, names)
