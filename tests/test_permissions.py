"""`auditor permissions`: for which checks and targets, in which format; what is printed is read by what it is for."""

from __future__ import annotations

import io
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import hcl2
import msgspec
import pytest

from auditor import plugins
from auditor.model import JSON
from auditor.privileges import Use, needs
from auditor.questions import Need, Operation, SecretRef
from auditor.sources.aws.grants import actions, write_policy, write_terraform
from auditor.sources.aws.target import AwsTarget
from auditor.sources.github_grants import write_token
from tests.cli_process import Ended, auditor, database, settings
from tests.policy_words import a_claim, a_pack, a_test

ROLE = "arn:aws:iam::123456789012:role/auditor"
CHECKS, SOURCES = plugins.checks(), plugins.sources()
ACCOUNT: dict[str, Any] = {"id": "prod", "type": "aws", "account_id": "123456789012"}
S3 = {"s3:GetBucketTagging", "s3:ListAllMyBuckets"}


def permissions(folder: Path, *arguments: object, tests: Any = None, targets: Any = None) -> Ended:
    """Run the command in a folder with this pack (`pack`) and these settings, where they are given."""
    more: list[object] = []
    if tests is not None:
        (folder / "pack").mkdir(exist_ok=True)
        (folder / "pack" / "p.yaml").write_text(a_pack("p", a_claim("one", *tests)))
        more = ["--policies", "pack"]
    if targets is not None:
        settings(folder, *targets)
    return auditor("permissions", *arguments, *more, cwd=folder)


def granted(shown: Ended) -> list[str]:
    assert shown.code == 0, shown.err
    (statement,) = json.loads(shown.out)["Statement"]
    found: list[str] = statement["Action"]
    return found


ENCRYPTION = a_test("enc", "aws-s3-encryption", "aws", params={"buckets": ["exports"]})
VOLUMES = a_test("ebs", "aws-ebs-volume-encryption", "prod")


# For what


def test_without_a_pack_every_check_counts(tmp_path: Path) -> None:
    shown = permissions(tmp_path, "--format", "aws")
    assert set(granted(shown)) == {p for row in SOURCES["aws"].operations.values() for p in row.permissions}
    assert shown.err == f"for {len(CHECKS)} checks of this installation\n"


def test_a_check_that_is_not_in_the_pack_gets_nothing(tmp_path: Path) -> None:
    shown = permissions(tmp_path, "--format", "aws", tests=[ENCRYPTION])
    assert granted(shown) == sorted(S3 | {"s3:GetEncryptionConfiguration"})
    assert shown.err == "for 1 check of pack\n"


def test_the_selection_leaves_as_much_as_it_would_of_a_run(tmp_path: Path) -> None:
    tests = [ENCRYPTION, a_test("ebs", "aws-ebs-volume-encryption", "aws")]
    recorded = ("DescribeConfigurationRecorderStatus", "DescribeConfigurationRecorders", "ListDiscoveredResources")
    asked = ("ec2:DescribeRegions", "ec2:DescribeVolumes", "kms:DescribeKey")
    volumes = [*(f"config:{name}" for name in recorded), *asked]
    for chosen in (["--test", "ebs"], ["--check", "aws-ebs-volume-encryption"]):
        assert granted(permissions(tmp_path, "--format", "aws", *chosen, tests=tests)) == volumes
        assert granted(permissions(tmp_path, "--format", "aws", *chosen, tests=tests, targets=[ACCOUNT])) == volumes
    assert granted(permissions(tmp_path, "-f", "aws", "--claim", "one", tests=tests)) == sorted(
        {*volumes, *S3, "s3:GetEncryptionConfiguration"}
    )
    only = ["--check", "aws-ebs-volume-encryption"]
    assert granted(permissions(tmp_path, "-f", "aws", *only)) == volumes


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["-f", "awz"], "unknown format 'awz' (did you mean 'aws'?)"),
        (["--test", "x"], "--test: there is no test 'x'"),
        (["--target", "prod"], "--target: there is no target 'prod'"),
        (["--check", "aws-ebs-volume-encryptoin"], "did you mean 'aws-ebs-volume-encryption'?"),
        (["-c", "no.yaml"], "no.yaml: there is no such file"),
        (["--policies", "nowhere"], "nowhere: there is no such file or folder"),
        (["-f", "aws", "--check", "github-mfa"], "--format aws: none of the checks asks a system of that kind"),
    ],
)
def test_what_cannot_be_meant_is_told(arguments: list[str], said: str, tmp_path: Path) -> None:
    shown = permissions(tmp_path, *arguments)
    assert (shown.code, shown.out) == (2, "")
    assert said in shown.err


def test_each_target_gets_what_its_own_tests_need(tmp_path: Path) -> None:
    accounts = [ACCOUNT, {**ACCOUNT, "id": "lab"}]
    tests = [ENCRYPTION, VOLUMES]
    shown = permissions(tmp_path, "--format", "aws", tests=tests, targets=accounts)
    assert (shown.code, shown.out) == (2, "")
    assert "--format aws: prod, lab need different ones; choose one with --target" in shown.err
    lab = permissions(tmp_path, "--format", "aws", "--target", "lab", tests=tests, targets=accounts)
    assert granted(lab) == sorted(S3 | {"s3:GetEncryptionConfiguration"})
    same = permissions(tmp_path, "--format", "aws", tests=[ENCRYPTION], targets=accounts)
    assert granted(same) == granted(lab)


def test_settings_without_a_pack_concern_their_targets(tmp_path: Path) -> None:
    shown = permissions(tmp_path, targets=[database("db", 1)])
    assert shown.code == 0
    assert shown.out.startswith("db (postgres)\n")
    assert "aws" not in shown.out
    assert shown.err == "for 3 checks of this installation, on the targets of auditor.yaml\n"


# As a text


def test_the_text_goes_from_check_to_operation_to_permission(tmp_path: Path) -> None:
    shown = permissions(tmp_path, "--check", "aws-ebs-volume-encryption", "--check", "postgres-client-certificate")
    assert shown.out == (
        "aws\n"
        "  whatever is asked\n"
        "    sts.get_caller_identity: no permission\n"
        "        Who is asking, and in which account.\n"
        "    ec2.describe_regions: ec2:DescribeRegions\n"
        "        The regions that are enabled for the account.\n"
        "  aws-ebs-volume-encryption\n"
        "    ec2.describe_volumes: ec2:DescribeVolumes\n"
        "        Every EBS volume of one region, whatever its state.\n"
        "    kms.describe_key (where needed): kms:DescribeKey\n"
        "        One KMS key: who manages it, and whether it can be used.\n"
        "    config.describe_configuration_recorders: config:DescribeConfigurationRecorders\n"
        "        What AWS Config records in one region; an empty list where it is not in use.\n"
        "    config.describe_configuration_recorder_status (where needed):\n"
        "        config:DescribeConfigurationRecorderStatus\n"
        "        Whether AWS Config is recording in one region now, and since when.\n"
        "    config.list_discovered_resources (where needed): config:ListDiscoveredResources\n"
        "        Every resource of one type that AWS Config knows in one region.\n"
        "  to grant: auditor permissions --format aws\n"
        "  to grant: auditor permissions --format terraform\n"
        "\n"
        "postgres\n"
        "  whatever is asked\n"
        "    sql.identity: CONNECT on the database\n"
        "        Which role, in which database, of which server.\n"
        "  postgres-client-certificate\n"
        "    wire.tls_startup (probe): no permission\n"
        "        Ask an endpoint for a session over TLS, with or without the client certificate; stops at the\n"
        "        answer.\n"
        "  to grant: auditor permissions --format postgres\n"
        "\n"
    )


def test_every_check_operation_and_permission_is_in_the_text(tmp_path: Path) -> None:
    shown = permissions(tmp_path)
    words = shown.out.split()
    for check in CHECKS.values():
        assert check.id in words
        for kind, operations in check.sources.items():
            assert f"{kind}\n" in shown.out
            for operation in operations:
                assert {operation, f"{operation}:"} & set(words), operation
    assert all(line == line.rstrip() and len(line) <= 100 for line in shown.out.splitlines())


def test_every_format_has_a_name_of_its_own() -> None:
    names = [name for kind in SOURCES.values() for name in kind.grants]
    assert len(names) == len(set(names))
    assert "text" not in names
    assert {"aws", "terraform", "github", "postgres"} <= set(names)


# What is needed


def needed(kind: str, *checks: str, **params: Any) -> dict[str, Need]:
    uses = [Use(check=CHECKS[check], params=params.get(check.replace("-", "_"))) for check in checks]
    return {need.operation.name: need for need in needs(SOURCES[kind], uses)}


def test_needs_name_their_checks_and_the_parameters_of_tests() -> None:
    names: Mapping[str, JSON] = {"buckets": ["a"]}
    uses = [
        Use(check=CHECKS["aws-s3-encryption"], params=names),
        Use(check=CHECKS["aws-s3-encryption"], params={"buckets": ["a"]}),
        Use(check=CHECKS["aws-s3-object-expiry"], params={"max_days": 1}),
        Use(check=CHECKS["github-mfa"]),
    ]
    found = {need.operation.name: need for need in needs(SOURCES["aws"], uses)}
    assert found["s3.list_buckets"].checks == ("aws-s3-encryption", "aws-s3-object-expiry")
    assert found["s3.list_buckets"].params == ({"buckets": ["a"]}, {"max_days": 1})
    assert found["s3.get_bucket_encryption"].params == ({"buckets": ["a"]},)
    assert found["sts.get_caller_identity"].checks == ("aws-s3-encryption", "aws-s3-object-expiry")
    assert "ec2.describe_regions" not in found  # no check looks at each region
    assert list(found) == [name for name in SOURCES["aws"].operations if name in found]


def test_regions_are_listed_only_where_each_is_looked_at() -> None:
    assert "ec2.describe_regions" in needed("aws", "aws-ebs-volume-encryption")
    assert "ec2.describe_regions" not in needed("aws", "aws-s3-encryption")


def test_a_row_may_need_several_permissions() -> None:
    row = plugins.sources()["aws"].operations["iam.get_credential_report"]
    both = ("iam:GenerateCredentialReport", "iam:GetCredentialReport")
    assert row.permissions == both
    rows = (row, Operation(name="b", summary="", permission="a:B"), Operation(name="c", summary=""))
    found = tuple(Need(operation=one, checks=("x",)) for one in rows)
    assert actions(found) == ["a:B", *both]
    assert json.loads(write_policy(None, found))["Statement"][0]["Action"] == ["a:B", *both]


# Terraform


def terraform(text: str) -> dict[str, Any]:
    parsed: dict[str, Any] = hcl2.load(io.StringIO(text))
    return parsed


def bare(value: Any) -> Any:
    """A value as Terraform reads it: the parser keeps the quotes of literals."""
    return value.strip('"') if isinstance(value, str) else [bare(item) for item in value]


def test_terraform_means_the_same_policy(tmp_path: Path) -> None:
    shown = permissions(tmp_path, "--format", "terraform")
    parsed = terraform(shown.out)
    ((document,),) = ([one['"aws_iam_policy_document"'].values()] for one in parsed["data"])
    (found,) = document
    (statement,) = found["statement"]
    (expected,) = json.loads(permissions(tmp_path, "--format", "aws").out)["Statement"]
    assert bare(statement["actions"]) == expected["Action"]
    assert (bare(statement["sid"]), bare(statement["effect"])) == (expected["Sid"], expected["Effect"])
    assert bare(statement["resources"]) == [expected["Resource"]]
    (resource,) = parsed["resource"]
    assert resource['"aws_iam_policy"']['"auditor"']["policy"] == "${data.aws_iam_policy_document.auditor.json}"


def test_terraform_says_how_a_role_must_trust() -> None:
    whole = tuple(needed("aws", "aws-s3-encryption").values())
    plain = AwsTarget(account_id="123456789012")
    role = AwsTarget(account_id="123456789012", role_arn=ROLE)
    secret = AwsTarget(account_id="123456789012", role_arn=ROLE, external_id=SecretRef(env="EXTERNAL_ID"))
    texts = [write_terraform(target, whole) for target in (plain, role, secret)]
    assert texts[0] == write_terraform(None, whole)
    assert "trust" not in texts[0]
    assert ROLE in texts[1]
    assert "ExternalId" not in texts[1]
    assert 'values   = ["<what EXTERNAL_ID holds>"]' in texts[2]
    for text in texts:
        assert terraform(text)["resource"] == terraform(texts[0])["resource"]
    hint = "\n".join(line[2:] for line in texts[2].splitlines() if line.startswith("# ") or line == "#")
    trust = terraform(hint[hint.index("data ") :])["data"][0]['"aws_iam_policy_document"']['"auditor_trust"']
    assert bare(trust["statement"][0]["actions"]) == ["sts:AssumeRole"]


# GitHub


def test_the_token_is_described_for_the_organization() -> None:
    target = msgspec.convert({"organization": "explo-co", "token": {"env": "T"}}, SOURCES["github"].settings)
    text = write_token(target, tuple(needed("github", "github-mfa").values()))
    assert "an owner of the organization explo-co" in text
    assert "organization permissions:  Members: read-only" in text
    assert "scope:                     admin:org" in text
    assert "SAML single sign-on" in text
    assert all(len(line) <= 80 for line in text.splitlines())


def test_without_the_requirement_a_smaller_token_will_do() -> None:
    lists = [need for name, need in needed("github", "github-mfa").items() if name != "organization"]
    text = write_token(None, lists)
    assert "scope:                     read:org" in text
    assert "GitHub lists none" not in text
    assert "<organization>" in text
