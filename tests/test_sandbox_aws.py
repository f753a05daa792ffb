"""moto's corrections one by one, over HTTP: corrected it answers as AWS does, and as it comes it does not."""

import csv
import re
from collections.abc import Callable, Iterator
from datetime import timedelta
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import pytest
from botocore.exceptions import ClientError

from auditor.sandbox.aws import AwsPart, start_account
from auditor.sandbox.aws_world import ACCOUNT_ID
from auditor.sandbox.moto_corrections import CORRECTIONS
from auditor.sandbox.moto_iam_corrections import COLUMNS
from tests import aws_config_probes
from tests.aws_account import EMPTY, REGION, as_auditor, new_bucket, refusal, wire

AS_MOTO_COMES = ("-c", "from auditor.sandbox.moto_server import serve; serve()")
RULE = {"Status": "Enabled", "Filter": {"Prefix": "exports/"}, "Expiration": {"Days": 7}}


@pytest.fixture(scope="module")
def account(tmp_path_factory: pytest.TempPathFactory) -> Iterator[AwsPart]:
    """An empty account on moto as we correct it."""
    part = start_account(EMPTY, tmp_path_factory.mktemp("corrected"))
    yield part
    part.stop()


@pytest.fixture(scope="module")
def account_of_plain_moto(tmp_path_factory: pytest.TempPathFactory) -> Iterator[AwsPart]:
    """An empty account on moto as it comes."""
    part = start_account(EMPTY, tmp_path_factory.mktemp("plain"), AS_MOTO_COMES)
    yield part
    part.stop()


# One probe for each correction, by its name: it passes on AWS and on corrected moto, and fails on moto as it comes.


def describe_regions_lists_what_is_enabled(part: AwsPart) -> None:
    ec2 = part.client("ec2", REGION)
    listed = {region["RegionName"]: region["OptInStatus"] for region in ec2.describe_regions()["Regions"]}
    expected = dict.fromkeys(("eu-central-1", "us-east-1"), "opt-in-not-required")
    assert listed == {**expected, "eu-south-1": "opted-in"}
    every = ec2.describe_regions(AllRegions=True)["Regions"]
    disabled = {region["RegionName"] for region in every if region["OptInStatus"] == "not-opted-in"}
    assert len(every) == len(disabled) + 3
    assert "af-south-1" in disabled
    assert not [name for name in disabled if name.startswith(("cn-", "us-gov-"))]


def describe_volumes_pages(part: AwsPart) -> None:
    ec2 = part.client("ec2", "us-east-1")
    for _ in range(12):
        ec2.create_volume(AvailabilityZone="us-east-1a", Size=1)
    pages = list(ec2.get_paginator("describe_volumes").paginate(PaginationConfig={"PageSize": 5}))
    assert [len(page["Volumes"]) for page in pages] == [5, 5, 2]
    assert len({volume["VolumeId"] for page in pages for volume in page["Volumes"]}) == 12
    assert len(ec2.describe_volumes()["Volumes"]) == 12
    assert len(ec2.describe_volumes(MaxResults=1000)["Volumes"]) == 12
    assert refusal(lambda: ec2.describe_volumes(MaxResults=4)) == ("InvalidParameterValue", 400)
    assert refusal(lambda: ec2.describe_volumes(MaxResults=5, NextToken="made up")) == ("InvalidNextToken", 400)
    first = pages[0]["Volumes"][0]["VolumeId"]
    both = refusal(lambda: ec2.describe_volumes(MaxResults=5, VolumeIds=[first]))
    assert both == ("InvalidParameterCombination", 400)


def volumes_name_their_key_by_arn(part: AwsPart) -> None:
    kms, ec2 = part.client("kms", REGION), part.client("ec2", REGION)
    key = kms.create_key()["KeyMetadata"]
    kms.create_alias(AliasName="alias/mine", TargetKeyId=key["KeyId"])
    alias_arn = kms.list_aliases(KeyId=key["KeyId"])["Aliases"][0]["AliasArn"]
    for name in (key["Arn"], key["KeyId"], "alias/mine", alias_arn):
        volume = ec2.create_volume(AvailabilityZone=f"{REGION}a", Size=1, Encrypted=True, KmsKeyId=name)
        (described,) = ec2.describe_volumes(VolumeIds=[volume["VolumeId"]])["Volumes"]
        assert described["KmsKeyId"] == key["Arn"]


def keys_of_aws_say_so(part: AwsPart) -> None:
    kms, ec2 = part.client("kms", "eu-south-1"), part.client("ec2", "eu-south-1")
    volume = ec2.create_volume(AvailabilityZone="eu-south-1a", Size=1, Encrypted=True)
    key = kms.describe_key(KeyId=volume["KmsKeyId"])["KeyMetadata"]
    assert (key["KeyManager"], key["Arn"]) == ("AWS", volume["KmsKeyId"])
    assert kms.describe_key(KeyId="alias/aws/ebs")["KeyMetadata"]["Arn"] == volume["KmsKeyId"]
    # Where nothing used it yet, asking for it is its first use.
    first_use = part.client("kms", "us-east-1").describe_key(KeyId="alias/aws/ebs")["KeyMetadata"]
    assert first_use["KeyManager"] == "AWS"
    own = kms.create_key()["KeyMetadata"]["KeyId"]
    kms.create_alias(AliasName="alias/own", TargetKeyId=own)
    assert kms.describe_key(KeyId="alias/own")["KeyMetadata"]["KeyManager"] == "CUSTOMER"


def key_metadata_has_no_nulls(part: AwsPart) -> None:
    kms = part.client("kms", REGION)
    body, _ = wire(kms, "describe_key", KeyId=kms.create_key()["KeyMetadata"]["KeyId"])
    assert "null" not in body
    assert "SigningAlgorithms" not in body
    assert '"MultiRegion": false' in body
    assert '"KeyUsage": "ENCRYPT_DECRYPT"' in body


def kms_answers_are_json(part: AwsPart) -> None:
    _, headers = wire(part.client("kms", REGION), "describe_key", KeyId="alias/aws/ebs")
    assert headers["Content-Type"] == "application/x-amz-json-1.1"


def denials_are_worded_by_their_service(part: AwsPart) -> None:
    ec2, kms = as_auditor(part, "ec2"), as_auditor(part, "kms")
    assert refusal(ec2.describe_volumes) == ("UnauthorizedOperation", 403)
    assert refusal(ec2.describe_regions) == ("UnauthorizedOperation", 403)
    assert refusal(lambda: kms.describe_key(KeyId="alias/aws/ebs")) == ("AccessDeniedException", 400)
    config = as_auditor(part, "config")
    assert refusal(config.describe_configuration_recorders) == ("AccessDeniedException", 400)
    assert refusal(as_auditor(part, "s3").list_buckets) == ("AccessDenied", 403)


def list_buckets_pages_and_names_regions(part: AwsPart) -> None:
    regions = {"paged-b": "eu-south-1", "paged-a": REGION, "paged-c": REGION}
    for name, region in regions.items():
        new_bucket(part, name, region)
    s3 = part.client("s3", REGION)
    pages = list(s3.get_paginator("list_buckets").paginate(Prefix="paged-", PaginationConfig={"PageSize": 2}))
    assert [[bucket["Name"] for bucket in page["Buckets"]] for page in pages] == [["paged-a", "paged-b"], ["paged-c"]]
    assert pages[0]["Prefix"] == "paged-"
    assert {bucket["Name"]: bucket["BucketRegion"] for page in pages for bucket in page["Buckets"]} == regions
    assert not [bucket for bucket in s3.list_buckets()["Buckets"] if "BucketRegion" in bucket]


def lifecycle_rules_come_back_whole(part: AwsPart) -> None:
    s3 = new_bucket(part, "rules-whole")
    tags = [{"Key": "a", "Value": "<&>"}, {"Key": "b", "Value": ""}]
    sent: list[dict[str, Any]] = [
        {"ID": "size", "Filter": {"ObjectSizeGreaterThan": 5}},
        {"ID": "small", "Filter": {"ObjectSizeLessThan": 9}},
        {"ID": "both", "Filter": {"And": {"Prefix": "e/", "Tags": tags}}},
        {"ID": "three", "Filter": {"And": {"Prefix": "", "ObjectSizeGreaterThan": 5, "ObjectSizeLessThan": 9}}},
        {"ID": "all", "Filter": {}},
        {"ID": "prefix", "Filter": {"Prefix": ""}},
        {"ID": "tag", "Filter": {"Tag": {"Key": "a", "Value": "b"}}},
        {"ID": "legacy", "Prefix": "e/"},
    ]
    for rule in sent:
        rule |= {
            "Status": "Enabled",
            "Expiration": {"Days": 7},
            "NoncurrentVersionExpiration": {"NoncurrentDays": 1, "NewerNoncurrentVersions": 3},
            "AbortIncompleteMultipartUpload": {"DaysAfterInitiation": 2},
            "Transitions": [{"Days": 1, "StorageClass": "GLACIER"}],
        }
    s3.put_bucket_lifecycle_configuration(Bucket="rules-whole", LifecycleConfiguration={"Rules": sent})
    assert s3.get_bucket_lifecycle_configuration(Bucket="rules-whole")["Rules"] == sent
    s3.put_bucket_lifecycle_configuration(Bucket="rules-whole", LifecycleConfiguration={"Rules": [RULE]})
    (rule,) = s3.get_bucket_lifecycle_configuration(Bucket="rules-whole")["Rules"]
    assert {**RULE, "ID": rule["ID"]} == rule
    body, headers = wire(s3, "get_bucket_lifecycle_configuration", Bucket="rules-whole")
    assert ET.fromstring(body).tag == "{http://s3.amazonaws.com/doc/2006-03-01/}LifecycleConfiguration"  # noqa: S314
    assert headers["x-amz-transition-default-minimum-object-size"] == "all_storage_classes_128K"
    s3.delete_bucket_lifecycle(Bucket="rules-whole")
    gone = refusal(lambda: s3.get_bucket_lifecycle_configuration(Bucket="rules-whole"))
    assert gone == ("NoSuchLifecycleConfiguration", 404)


def impossible_lifecycle_rules_are_refused(part: AwsPart) -> None:
    s3 = new_bucket(part, "rules-impossible")

    def put(rule: dict[str, Any]) -> None:
        rules = {"Rules": [{"Status": "Enabled", "Filter": {}, **rule}]}
        s3.put_bucket_lifecycle_configuration(Bucket="rules-impossible", LifecycleConfiguration=rules)

    put({"Expiration": {"Days": 1}})
    invalid = ("InvalidArgument", 400)
    assert refusal(lambda: put({"Expiration": {"Days": 0}})) == invalid
    assert refusal(lambda: put({"NoncurrentVersionExpiration": {"NoncurrentDays": 0}})) == invalid
    assert refusal(lambda: put({"AbortIncompleteMultipartUpload": {"DaysAfterInitiation": 0}})) == invalid
    assert refusal(lambda: put({})) == ("InvalidRequest", 400)
    two = {"Prefix": "a", "ObjectSizeLessThan": 5}
    assert refusal(lambda: put({"Filter": two, "Expiration": {"Days": 1}})) == ("MalformedXML", 400)


def versioning_has_its_root_element(part: AwsPart) -> None:
    s3 = new_bucket(part, "versioned")
    for status in (None, "Enabled", "Suspended"):
        if status:
            s3.put_bucket_versioning(Bucket="versioned", VersioningConfiguration={"Status": status})
        assert s3.get_bucket_versioning(Bucket="versioned").get("Status") == status
        body, _ = wire(s3, "get_bucket_versioning", Bucket="versioned")
        assert ET.fromstring(body).tag == "{http://s3.amazonaws.com/doc/2006-03-01/}VersioningConfiguration"  # noqa: S314


def every_bucket_is_encrypted(part: AwsPart) -> None:
    def rules() -> Any:
        return s3.get_bucket_encryption(Bucket="encrypted")["ServerSideEncryptionConfiguration"]["Rules"]

    s3 = new_bucket(part, "encrypted")
    default = [{"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "AES256"}, "BucketKeyEnabled": False}]
    assert rules() == default
    by_kms = [{"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "aws:kms"}, "BucketKeyEnabled": True}]
    s3.put_bucket_encryption(Bucket="encrypted", ServerSideEncryptionConfiguration={"Rules": by_kms})
    assert rules() == by_kms
    s3.delete_bucket_encryption(Bucket="encrypted")
    assert rules() == default


def reading_the_encryption_is_its_own_action(part: AwsPart) -> None:
    new_bucket(part, "permitted").put_bucket_encryption(
        Bucket="permitted",
        ServerSideEncryptionConfiguration={
            "Rules": [{"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "AES256"}}]
        },
    )
    auditor = as_auditor(part, "s3")
    assert auditor.get_bucket_encryption(Bucket="permitted")
    assert refusal(lambda: auditor.get_bucket_versioning(Bucket="permitted")) == ("AccessDenied", 403)


def buckets_have_an_owner_and_a_region(part: AwsPart) -> None:
    s3 = new_bucket(part, "owned")
    s3.get_bucket_versioning(Bucket="owned", ExpectedBucketOwner=ACCOUNT_ID)
    stranger = "999999999999"
    assert refusal(lambda: s3.get_bucket_versioning(Bucket="owned", ExpectedBucketOwner=stranger)) == (
        "AccessDenied",
        403,
    )
    new_bucket(part, "elsewhere", "eu-south-1")
    statuses: list[int] = []
    s3.meta.events.register(
        "before-parse.*.*", lambda response_dict, **_: statuses.append(response_dict["status_code"])
    )
    s3.get_bucket_versioning(Bucket="elsewhere")
    assert statuses == [301, 200]


def credential_reports_are_kept(part: AwsPart) -> None:
    iam = part.client("iam", REGION)
    while iam.generate_credential_report()["State"] != "COMPLETE":
        pass
    report = iam.get_credential_report()
    told = report["ResponseMetadata"]["HTTPHeaders"]["date"]
    age = parsedate_to_datetime(told) - report["GeneratedTime"]
    assert timedelta(seconds=-1) <= age < timedelta(minutes=10)
    iam.create_user(UserName="of-after-the-report")
    assert iam.generate_credential_report()["State"] == "COMPLETE"
    again = iam.get_credential_report()
    assert (again["Content"], again["GeneratedTime"]) == (report["Content"], report["GeneratedTime"])


def report_of(part: AwsPart) -> list[dict[str, str]]:
    """The rows of the credential report."""
    iam = part.client("iam", REGION)
    while iam.generate_credential_report()["State"] != "COMPLETE":
        pass
    return list(csv.DictReader(iam.get_credential_report()["Content"].decode().splitlines(), strict=True))


def credential_reports_begin_with_root(part: AwsPart) -> None:
    root, *users = report_of(part)
    assert (root["user"], root["arn"]) == ("<root_account>", f"arn:aws:iam::{ACCOUNT_ID}:root")
    assert (root["password_enabled"], root["mfa_active"], root["access_key_1_active"]) == ("true", "true", "false")
    assert root["password_next_rotation"] == "not_supported"
    assert "<root_account>" not in {user["user"] for user in users}


def account_summaries_know_root(part: AwsPart) -> None:
    iam = part.client("iam", REGION)
    summary = iam.get_account_summary()["SummaryMap"]
    (root, *users) = report_of(part)
    assert (summary["AccountMFAEnabled"], root["mfa_active"]) == (1, "true")
    assert summary["AccountAccessKeysPresent"] == 0
    assert summary["Users"] == len(iam.list_users()["Users"]) >= len(users)


def list_users_pages(part: AwsPart) -> None:
    iam = part.client("iam", REGION)
    while len(iam.list_users()["Users"]) < 5:
        iam.create_user(UserName=f"listed-{len(iam.list_users()['Users'])}")
    count = len(iam.list_users()["Users"])
    pages = list(iam.get_paginator("list_users").paginate(PaginationConfig={"PageSize": 2}))
    assert [len(page["Users"]) for page in pages[:2]] == [2, 2]
    assert len({user["UserName"] for page in pages for user in page["Users"]}) == count
    assert [page["IsTruncated"] for page in pages] == [True] * (len(pages) - 1) + [False]


def credential_reports_are_in_the_words_of_iam(part: AwsPart) -> None:
    rows = report_of(part)
    assert list(rows[0]) == list(COLUMNS)
    auditor = next(row for row in rows if row["user"] == "auditor")
    assert (auditor["password_enabled"], auditor["mfa_active"], auditor["access_key_1_active"]) == (
        *("false", "false", "true"),
    )
    for column in ("password_last_used", "password_last_changed", "password_next_rotation"):
        assert auditor[column] == "N/A"
    assert {auditor[column] for column in COLUMNS if column.startswith("access_key_2_last")} == {"N/A"}
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", auditor["access_key_1_last_rotated"])


PROBES = [(globals() | vars(aws_config_probes))[correction.__name__] for correction in CORRECTIONS]


@pytest.mark.parametrize("probe", PROBES, ids=lambda probe: probe.__name__)
def test_the_corrected_server_answers_as_aws(account: AwsPart, probe: Callable[[AwsPart], None]) -> None:
    probe(account)


@pytest.mark.parametrize("probe", PROBES, ids=lambda probe: probe.__name__)
def test_moto_still_needs_the_correction(account_of_plain_moto: AwsPart, probe: Callable[[AwsPart], None]) -> None:
    with pytest.raises((AssertionError, ClientError, KeyError, pytest.fail.Exception)):
        probe(account_of_plain_moto)


def test_moto_lists_roles_and_providers_as_iam_does(account: AwsPart) -> None:
    """Nothing to correct: paths, pages, empty lists that are there, a marker only where there is more."""
    iam = account.client("iam", REGION)
    trust = '{"Version":"2012-10-17","Statement":[]}'
    empty, _ = wire(iam, "list_roles", PathPrefix="/reserved/")
    assert "<Roles/><IsTruncated>false</IsTruncated></ListRolesResult>" in empty
    assert "<SAMLProviderList/>" in wire(iam, "list_saml_providers")[0]
    for name in ("one", "two", "three"):
        iam.create_role(Path="/reserved/eu-central-1/", RoleName=name, AssumeRolePolicyDocument=trust)
    iam.create_role(RoleName="other", AssumeRolePolicyDocument=trust)
    pages = list(iam.get_paginator("list_roles").paginate(PathPrefix="/reserved/", PaginationConfig={"PageSize": 2}))
    assert [len(page["Roles"]) for page in pages] == [2, 1]
    assert [(page["IsTruncated"], "Marker" in page) for page in pages] == [(True, True), (False, False)]
    assert {role["RoleName"] for page in pages for role in page["Roles"]} == {"one", "two", "three"}
    iam.create_saml_provider(Name="okta", SAMLMetadataDocument="<EntityDescriptor/>".ljust(1000))
    (provider,) = iam.list_saml_providers()["SAMLProviderList"]
    assert provider["Arn"] == f"arn:aws:iam::{ACCOUNT_ID}:saml-provider/okta"
    for call in (as_auditor(account, "iam").list_roles, as_auditor(account, "iam").generate_credential_report):
        assert refusal(call) == ("AccessDenied", 403)


def test_there_is_no_report_before_one_was_asked_for(tmp_path: Path) -> None:
    part = start_account(EMPTY, tmp_path)
    try:
        iam = part.client("iam", REGION)
        assert refusal(iam.get_credential_report) == ("ReportNotPresent", 410)
        assert [iam.generate_credential_report()["State"] for _ in range(2)] == ["STARTED", "COMPLETE"]
    finally:
        part.stop()


def test_the_auditor_is_an_iam_user_whose_signature_is_checked(account: AwsPart) -> None:
    who = as_auditor(account, "sts").get_caller_identity()
    assert (who["Account"], who["Arn"]) == (ACCOUNT_ID, f"arn:aws:iam::{ACCOUNT_ID}:user/auditor")
    assert who["UserId"].startswith("AIDA")
    administrator = account.client("sts", REGION).get_caller_identity()
    assert administrator["Arn"] == f"arn:aws:iam::{ACCOUNT_ID}:user/administrator"
    right = account.environment["AWS_SECRET_ACCESS_KEY"]
    assert len(right) == 40
    assert "/" in right
    assert "+" in right
    account.environment["AWS_SECRET_ACCESS_KEY"] = "wrong"
    try:
        assert refusal(as_auditor(account, "sts").get_caller_identity) == ("SignatureDoesNotMatch", 403)
    finally:
        account.environment["AWS_SECRET_ACCESS_KEY"] = right


def test_answers_are_dated(account: AwsPart) -> None:
    assert "date" in account.client("ec2", REGION).describe_volumes()["ResponseMetadata"]["HTTPHeaders"]
