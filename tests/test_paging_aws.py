"""The paging AWS server, asked by boto3: an independent reader of what it says."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import Any

import boto3
import pytest
from botocore import UNSIGNED
from botocore.config import Config
from botocore.exceptions import ClientError, PaginationError
from botocore.parsers import ResponseParserError

from tests import paging_aws_config
from tests.paging_aws import Bucket, Key, PagingAws, State, Volume

SESSION = boto3.Session("AKIAEXAMPLE", "secret")  # one: reading EC2's model takes a third of a second
ARN = "arn:aws:kms:eu-west-1:123456789012:key/0a1b2c3d-0000-4000-8000-000000000001"
RULES = (
    "<Rule><ID>a</ID><Filter><And><Prefix>exports/</Prefix><ObjectSizeGreaterThan>5</ObjectSizeGreaterThan></And>"
    "</Filter><Status>Enabled</Status><Expiration><Days>7</Days></Expiration><NoncurrentVersionExpiration>"
    "<NoncurrentDays>1</NoncurrentDays><NewerNoncurrentVersions>3</NewerNoncurrentVersions>"
    "</NoncurrentVersionExpiration></Rule>"
)
Connect = Callable[..., Any]


@pytest.fixture
def aws() -> Iterator[PagingAws]:
    """A server with an account of three regions."""
    west = [Volume(f"vol-{number}", kms_key_id=ARN) for number in range(12)]
    state = State(
        volumes={"eu-west-1": west, "us-east-1": [Volume("vol-u", encrypted=False)], "ap-south-1": []},
        disabled_regions=["eu-south-1"],
        keys=[Key(ARN, manager="AWS", state="PendingDeletion")],
        buckets=[
            Bucket("logs", "us-east-1", versioning="Suspended", lifecycle=RULES, tags={"data": "export & more"}),
            Bucket("exports", "eu-west-1", encryption="aws:kms", kms_key_id=ARN),
            Bucket("exports-2", "eu-west-1", encryption=None),
        ],
    )
    with PagingAws(state) as server:
        yield server


@pytest.fixture
def connect(aws: PagingAws) -> Connect:
    """Makes a client of a service."""

    def client(service: str, region: str = "eu-west-1", attempts: int = 1) -> Any:
        retries = {"mode": "standard", "total_max_attempts": attempts}
        config = Config(proxies={}, retries=retries, s3={"addressing_style": "path"})  # type: ignore[arg-type]
        return SESSION.client(service, region_name=region, endpoint_url=aws.url, config=config)  # type: ignore[call-overload]

    return client


def code_of(call: Callable[[], object]) -> tuple[str, int]:
    """The code and the HTTP status of the error that a call raises."""
    with pytest.raises(ClientError) as caught:
        call()
    return caught.value.response["Error"]["Code"], caught.value.response["ResponseMetadata"]["HTTPStatusCode"]


def volume_ids(client: Any, page_size: int) -> list[list[str]]:
    """The ids of the volumes of each page."""
    pages = client.get_paginator("describe_volumes").paginate(PaginationConfig={"PageSize": page_size})
    return [[volume["VolumeId"] for volume in page["Volumes"]] for page in pages]


def test_the_caller_and_the_regions_are_told(connect: Connect) -> None:
    who = connect("sts").get_caller_identity()
    assert (who["Account"], who["Arn"]) == ("123456789012", "arn:aws:iam::123456789012:user/auditor")
    ec2 = connect("ec2")
    enabled = {region["RegionName"]: region["OptInStatus"] for region in ec2.describe_regions()["Regions"]}
    assert enabled == dict.fromkeys(("eu-west-1", "us-east-1", "ap-south-1"), "opt-in-not-required")
    every = ec2.describe_regions(AllRegions=True)["Regions"]
    assert [region["RegionName"] for region in every if region["OptInStatus"] == "not-opted-in"] == ["eu-south-1"]


def test_volumes_come_in_pages_of_what_was_asked_for(aws: PagingAws, connect: Connect) -> None:
    assert [len(page) for page in volume_ids(connect("ec2"), 5)] == [5, 5, 2]
    assert aws.calls["DescribeVolumes"] == 3
    assert volume_ids(connect("ec2"), 500) == [[f"vol-{number}" for number in range(12)]]


def test_a_page_is_never_larger_than_the_server_likes(aws: PagingAws, connect: Connect) -> None:
    aws.page_size = 7
    assert [len(page) for page in volume_ids(connect("ec2"), 500)] == [7, 5]


def test_more_than_500_volumes_never_fit_a_page(aws: PagingAws, connect: Connect) -> None:
    aws.state.volumes["ap-south-1"] = [Volume(f"vol-{number}") for number in range(501)]
    assert [len(page) for page in volume_ids(connect("ec2", "ap-south-1"), 1000)] == [500, 1]


def test_without_a_page_size_all_volumes_come_at_once(aws: PagingAws, connect: Connect) -> None:
    aws.page_size = 7
    assert len(connect("ec2").describe_volumes()["Volumes"]) == 12


def test_volumes_say_what_was_set(aws: PagingAws, connect: Connect) -> None:
    (volume,) = connect("ec2", "us-east-1").describe_volumes()["Volumes"]
    assert volume["Encrypted"] is False
    assert "KmsKeyId" not in volume
    assert volume["CreateTime"] == datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
    first = connect("ec2").describe_volumes()["Volumes"][0]
    assert (first["Encrypted"], first["KmsKeyId"], first["State"]) == (True, ARN, "in-use")
    assert connect("ec2", "ap-south-1").describe_volumes()["Volumes"] == []
    assert [call.region for call in aws.requests] == ["us-east-1", "eu-west-1", "ap-south-1"]


def test_a_region_that_is_not_enabled_is_refused(connect: Connect) -> None:
    assert code_of(connect("ec2", "eu-south-1").describe_volumes) == ("AuthFailure", 401)


def test_an_empty_page_may_come_before_the_rest(aws: PagingAws, connect: Connect) -> None:
    aws.empty_page("DescribeVolumes", times=2)
    assert [len(page) for page in volume_ids(connect("ec2"), 10)] == [0, 0, 10, 2]
    aws.empty_page("ListBuckets")
    pages = connect("s3").get_paginator("list_buckets").paginate(PaginationConfig={"PageSize": 3})
    assert [len(page.get("Buckets", [])) for page in pages] == [0, 3]


def test_a_repeated_token_is_noticed_by_botocore(aws: PagingAws, connect: Connect) -> None:
    aws.repeat_token("DescribeVolumes")
    with pytest.raises(PaginationError, match="same next token"):
        volume_ids(connect("ec2"), 500)


def test_what_the_server_does_not_understand_it_refuses(connect: Connect) -> None:
    ec2 = connect("ec2")
    assert code_of(lambda: ec2.describe_volumes(VolumeIds=["vol-1"])) == ("UnknownParameter", 400)
    assert code_of(lambda: ec2.describe_volumes(MaxResults=5, NextToken="made up")) == ("InvalidNextToken", 400)
    assert code_of(lambda: ec2.describe_volumes(MaxResults=4)) == ("InvalidParameterValue", 400)
    assert code_of(lambda: connect("s3").list_buckets(ContinuationToken="x")) == ("InvalidArgument", 400)
    assert code_of(ec2.describe_snapshots)[1] == 501
    assert code_of(lambda: connect("s3").get_bucket_acl(Bucket="exports"))[1] == 501


def test_keys_are_found_by_id_and_arn(connect: Connect) -> None:
    kms = connect("kms")
    for name in (ARN, ARN.rpartition("/")[2]):
        key = kms.describe_key(KeyId=name)["KeyMetadata"]
        assert (key["Arn"], key["KeyManager"], key["KeyState"]) == (ARN, "AWS", "PendingDeletion")
    assert code_of(lambda: kms.describe_key(KeyId="other")) == ("NotFoundException", 400)


def test_buckets_come_in_pages_sorted_and_with_regions(aws: PagingAws, connect: Connect) -> None:
    s3 = connect("s3")
    pages = list(s3.get_paginator("list_buckets").paginate(PaginationConfig={"PageSize": 2}))
    named = [[(bucket["Name"], bucket["BucketRegion"]) for bucket in page["Buckets"]] for page in pages]
    assert named == [[("exports", "eu-west-1"), ("exports-2", "eu-west-1")], [("logs", "us-east-1")]]
    assert aws.calls["ListBuckets"] == 2
    assert "BucketRegion" not in s3.list_buckets()["Buckets"][0]
    assert [bucket["Name"] for bucket in s3.list_buckets(Prefix="l")["Buckets"]] == ["logs"]
    assert [bucket["Name"] for bucket in s3.list_buckets(BucketRegion="us-east-1")["Buckets"]] == ["logs"]


def test_buckets_say_what_was_set(connect: Connect) -> None:
    s3, east = connect("s3"), connect("s3", "us-east-1")
    (rule,) = east.get_bucket_lifecycle_configuration(Bucket="logs")["Rules"]
    assert rule["Filter"] == {"And": {"Prefix": "exports/", "ObjectSizeGreaterThan": 5}}
    assert rule["NoncurrentVersionExpiration"] == {"NoncurrentDays": 1, "NewerNoncurrentVersions": 3}
    assert east.get_bucket_versioning(Bucket="logs")["Status"] == "Suspended"
    assert "Status" not in s3.get_bucket_versioning(Bucket="exports")
    assert east.get_bucket_tagging(Bucket="logs")["TagSet"] == [{"Key": "data", "Value": "export & more"}]
    (encryption,) = s3.get_bucket_encryption(Bucket="exports")["ServerSideEncryptionConfiguration"]["Rules"]
    assert encryption["ApplyServerSideEncryptionByDefault"] == {"SSEAlgorithm": "aws:kms", "KMSMasterKeyID": ARN}


@pytest.mark.parametrize(
    ("question", "bucket", "code"),
    [
        ("get_bucket_lifecycle_configuration", "exports", "NoSuchLifecycleConfiguration"),
        ("get_bucket_tagging", "exports", "NoSuchTagSet"),
        ("get_bucket_encryption", "exports-2", "ServerSideEncryptionConfigurationNotFoundError"),
        ("get_bucket_versioning", "gone", "NoSuchBucket"),
    ],
)
def test_what_a_bucket_does_not_have_is_said_plainly(connect: Connect, question: str, bucket: str, code: str) -> None:
    s3 = connect("s3")
    assert code_of(lambda: getattr(s3, question)(Bucket=bucket)) == (code, 404)


def test_the_owner_of_a_bucket_is_compared(connect: Connect) -> None:
    s3 = connect("s3")
    s3.get_bucket_versioning(Bucket="exports", ExpectedBucketOwner="123456789012")
    other = "999999999999"
    assert code_of(lambda: s3.get_bucket_versioning(Bucket="exports", ExpectedBucketOwner=other))[1] == 403


def test_a_bucket_of_another_region_is_redirected_to(aws: PagingAws, connect: Connect) -> None:
    assert connect("s3").get_bucket_versioning(Bucket="logs")["Status"] == "Suspended"
    assert [call.region for call in aws.requests] == ["eu-west-1", "us-east-1"]


def test_iam_tells_what_is_there(aws: PagingAws, connect: Connect) -> None:
    iam = connect("iam")
    assert iam.generate_credential_report()["State"] == "COMPLETE"
    report = iam.get_credential_report()
    assert report["Content"].decode() == aws.state.iam.report
    assert (report["ReportFormat"], report["GeneratedTime"]) == ("text/csv", aws.state.iam.generated)
    aws.state.iam.roles = ["/a/one", "/a/two", "/b/three"]
    pages = list(iam.get_paginator("list_roles").paginate(PathPrefix="/a/", PaginationConfig={"PageSize": 1}))
    assert [[role["RoleName"] for role in page["Roles"]] for page in pages] == [["one"], ["two"]]
    assert [page["IsTruncated"] for page in pages] == [True, False]
    aws.state.iam.saml_providers = ["okta"]
    (provider,) = iam.list_saml_providers()["SAMLProviderList"]
    assert provider["Arn"] == "arn:aws:iam::123456789012:saml-provider/okta"
    assert code_of(lambda: iam.list_roles(Marker="made up"))[1] == 400


OPERATIONS: dict[str, tuple[str, Callable[[Any], object]]] = {
    "GetCallerIdentity": ("sts", lambda sts: sts.get_caller_identity()),
    "DescribeVolumes": ("ec2", lambda ec2: ec2.describe_volumes()),
    "DescribeKey": ("kms", lambda kms: kms.describe_key(KeyId=ARN)),
    "ListBuckets": ("s3", lambda s3: s3.list_buckets()),
    "ListRoles": ("iam", lambda iam: iam.list_roles()),
    "GetBucketVersioning": ("s3", lambda s3: s3.get_bucket_versioning(Bucket="exports")),
}


@pytest.mark.parametrize("operation", OPERATIONS)
def test_throttling_is_of_the_kind_that_botocore_retries(
    aws: PagingAws, connect: Connect, operation: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    waits: list[float] = []
    monkeypatch.setattr("botocore.endpoint.time.sleep", waits.append)
    service, ask = OPERATIONS[operation]
    aws.throttle(operation, times=2)
    ask(connect(service, attempts=3))
    assert (len(waits), aws.calls[operation]) == (2, 3)


@pytest.mark.parametrize(
    ("operation", "refusal"),
    [
        ("GetCallerIdentity", ("InvalidClientTokenId", 403)),
        ("DescribeVolumes", ("UnauthorizedOperation", 403)),
        ("DescribeKey", ("AccessDeniedException", 400)),
        ("ListBuckets", ("AccessDenied", 403)),
        ("ListRoles", ("AccessDenied", 403)),
        ("GetBucketVersioning", ("AccessDenied", 403)),
    ],
)
def test_denials_have_the_codes_of_their_service(
    aws: PagingAws, connect: Connect, operation: str, refusal: tuple[str, int]
) -> None:
    service, ask = OPERATIONS[operation]
    ask(connect(service))
    aws.deny(operation)
    client = connect(service, attempts=3)
    assert code_of(lambda: ask(client)) == refusal
    assert aws.calls[operation] == 2


def test_answers_can_be_scheduled_for_one_region_or_bucket(aws: PagingAws, connect: Connect) -> None:
    aws.deny("DescribeVolumes", only="us-east-1")
    aws.deny("GetBucketVersioning", only="exports")
    connect("ec2").describe_volumes()
    assert code_of(connect("ec2", "us-east-1").describe_volumes)[0] == "UnauthorizedOperation"
    s3 = connect("s3")
    s3.get_bucket_versioning(Bucket="exports-2")
    assert code_of(lambda: s3.get_bucket_versioning(Bucket="exports"))[0] == "AccessDenied"


def test_any_bytes_can_be_the_answer_some_times(aws: PagingAws, connect: Connect) -> None:
    aws.respond("ListBuckets", 200, {"Content-Type": "text/html"}, "<html>Please log in</html>", times=1)
    s3 = connect("s3")
    assert "Buckets" not in s3.list_buckets()
    assert len(s3.list_buckets()["Buckets"]) == 3


def test_an_answer_can_be_cut(aws: PagingAws, connect: Connect) -> None:
    aws.respond("DescribeVolumes", body="<DescribeVolumesResponse/>", cut=True)
    with pytest.raises(ResponseParserError):
        connect("ec2").describe_volumes()


def test_a_misspelt_operation_is_an_error_of_the_test() -> None:
    with PagingAws() as server, pytest.raises(KeyError):
        server.deny("DescribeVolume")


def test_the_date_can_be_set(aws: PagingAws, connect: Connect) -> None:
    aws.date = datetime(2020, 2, 29, 12, 0, tzinfo=UTC)
    headers = connect("sts").get_caller_identity()["ResponseMetadata"]["HTTPHeaders"]
    assert headers["date"] == "Sat, 29 Feb 2020 12:00:00 GMT"
    aws.date = None
    headers = connect("sts").get_caller_identity()["ResponseMetadata"]["HTTPHeaders"]
    assert headers["date"] != "Sat, 29 Feb 2020 12:00:00 GMT"


def test_calls_are_counted_from_many_threads(aws: PagingAws, connect: Connect) -> None:
    clients = [connect("ec2", region) for region in ("eu-west-1", "us-east-1", "ap-south-1")] * 20
    with ThreadPoolExecutor(30) as pool:
        pages = list(pool.map(lambda client: len(client.describe_volumes()["Volumes"]), clients))
    assert sum(pages) == 20 * (12 + 1)
    assert aws.calls == {"DescribeVolumes": 60}


def test_a_request_without_a_signature_is_refused(aws: PagingAws) -> None:
    config = Config(proxies={}, s3={"addressing_style": "path"}, signature_version=UNSIGNED)
    anyone = SESSION.client("s3", region_name="eu-west-1", endpoint_url=aws.url, config=config)
    assert code_of(anyone.list_buckets) == ("MissingAuthenticationToken", 403)
    assert aws.calls == {}


def test_config_lists_what_it_knows_in_pages(aws: PagingAws, connect: Connect) -> None:
    config = connect("config")
    assert config.describe_configuration_recorders()["ConfigurationRecorders"] == []
    asked = {"resourceType": "AWS::EC2::Volume"}
    off = ("NoAvailableConfigurationRecorderException", 400)
    assert code_of(lambda: config.list_discovered_resources(**asked)) == off
    aws.state.config["eu-west-1"] = paging_aws_config.Config([f"vol-{number}" for number in range(7)])
    (recorder,) = config.describe_configuration_recorders()["ConfigurationRecorders"]
    assert recorder["recordingGroup"]["allSupported"] is True
    (status,) = config.describe_configuration_recorder_status()["ConfigurationRecordersStatus"]
    assert (status["name"], status["recording"], status["lastStatus"]) == ("default", True, "Success")
    assert status["lastStartTime"].year == 2026
    paginator = config.get_paginator("list_discovered_resources")
    pages = list(paginator.paginate(**asked, PaginationConfig={"PageSize": 3}))
    assert [len(page["resourceIdentifiers"]) for page in pages] == [3, 3, 1]
    assert connect("config", "us-east-1").describe_configuration_recorders()["ConfigurationRecorders"] == []
    aws.deny("DescribeConfigurationRecorders")
    assert code_of(config.describe_configuration_recorders) == ("AccessDeniedException", 400)


def test_volumes_are_found_by_their_ids_even_where_the_list_leaves_them_out(aws: PagingAws, connect: Connect) -> None:
    aws.state.volumes["eu-west-1"][3].hidden = True
    ec2 = connect("ec2")
    assert len(ec2.describe_volumes(MaxResults=500)["Volumes"]) == 11
    ids = {"Name": "volume-id", "Values": ["vol-3", "vol-4", "vol-none"]}
    found = ec2.describe_volumes(MaxResults=500, Filters=[ids])["Volumes"]
    assert [volume["VolumeId"] for volume in found] == ["vol-3", "vol-4"]


def test_users_are_counted_and_listed_in_pages(aws: PagingAws, connect: Connect) -> None:
    iam = connect("iam")
    assert iam.get_account_summary()["SummaryMap"]["Users"] == 2
    aws.state.iam.users = ["/people/ada", "/bao", "/cleo"]
    pages = list(iam.get_paginator("list_users").paginate(PaginationConfig={"PageSize": 2}))
    assert [[user["UserName"] for user in page["Users"]] for page in pages] == [["ada", "bao"], ["cleo"]]
    assert pages[0]["Users"][0]["Path"] == "/people/"
    assert iam.get_account_summary()["SummaryMap"]["Users"] == 3
