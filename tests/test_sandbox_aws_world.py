"""Both AWS worlds: their truth is about what is there, and no process is left behind."""

import os
import select
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from auditor.sandbox import aws
from auditor.sandbox.aws import start_account, start_aws
from auditor.sandbox.aws_world import ACCOUNT_ID, read_aws_world
from auditor.sandbox.part import SandboxError
from tests.aws_account import EMPTY, REGION, as_auditor

ROOT = Path(__file__).parent.parent
WORLDS = ROOT / "auditor" / "sandbox" / "worlds"


@pytest.mark.parametrize("name", ["healthy", "broken"])
def test_the_truth_of_a_world_is_about_what_is_there(name: str, tmp_path: Path) -> None:
    part = start_aws(WORLDS / name, tmp_path)
    try:
        regions = [region["RegionName"] for region in as_auditor(part, "ec2").describe_regions()["Regions"]]
        volumes: dict[str, dict[str, Any]] = {}
        for region in regions:
            listed = as_auditor(part, "ec2", region).describe_volumes()["Volumes"]
            volumes |= {volume["VolumeId"]: volume | {"Region": region} for volume in listed}
        buckets = {bucket["Name"] for bucket in as_auditor(part, "s3").list_buckets()["Buckets"]}
        truths = {(truth.check, truth.resource): truth for truth in part.expected}
        assert len(truths) == len(part.expected)
        assert {resource for check, resource in truths if check == "aws-ebs-volume-encryption"} == volumes.keys()
        for check in ("aws-s3-object-expiry", "aws-s3-encryption"):
            assert {resource for name, resource in truths if name == check} == buckets
        for volume_id, volume in volumes.items():
            truth = truths["aws-ebs-volume-encryption", volume_id]
            key = as_auditor(part, "kms", volume["Region"])
            usable = volume["Encrypted"] and key.describe_key(KeyId=volume["KmsKeyId"])["KeyMetadata"]["Enabled"]
            assert (truth.outcome == "pass") is usable, truth
        told = {truth.resource: truth.outcome for truth in part.expected if truth.check == "aws-iam-mfa"}
        root = told.pop(f"arn:aws:iam::{ACCOUNT_ID}:root")  # no other call tells of its MFA
        assert root == ("pass" if name == "healthy" else "fail")
        newer = {user.arn for user in read_aws_world(WORLDS / name / "aws.yaml").users if user.after_report}
        assert told == {
            arn: access for arn, access in access_of(part.client("iam", REGION)).items() if arn not in newer
        }
        report = part.client("iam", REGION).get_credential_report() if newer else {"Content": b""}
        assert not [arn for arn in newer if arn in report["Content"].decode()]
        outcomes = {truth.outcome for truth in part.expected}
        assert outcomes == (
            {"pass", "not_applicable"} if name == "healthy" else {"pass", "fail", "error", "not_applicable", "manual"}
        )
        assert not [truth for truth in part.expected if (truth.outcome in ("fail", "error")) is not bool(truth.why)]
        assert {volume["State"] for volume in volumes.values()} == {"available", "in-use"}
        assert len({volume["Region"] for volume in volumes.values()}) >= 3
    finally:
        part.stop()


def access_of(iam: Any) -> dict[str, str]:
    """What is true of each user, provider and of Identity Center, by other calls than the auditor's."""
    truth = {}
    for user in iam.list_users()["Users"]:
        has_mfa = bool(iam.list_mfa_devices(UserName=user["UserName"])["MFADevices"])
        try:
            iam.get_login_profile(UserName=user["UserName"])
            truth[user["Arn"]] = "pass" if has_mfa else "fail"
        except iam.exceptions.NoSuchEntityException:
            truth[user["Arn"]] = "not_applicable"
    reserved = [role for role in iam.list_roles()["Roles"] if role["RoleName"].startswith("AWSReservedSSO_")]
    truth[ACCOUNT_ID] = "manual" if reserved else "not_applicable"
    for provider in iam.list_saml_providers()["SAMLProviderList"]:
        if "/AWSSSO_" not in provider["Arn"]:
            truth[provider["Arn"]] = "manual"
    return truth


def test_volumes_were_under_another_key_as_long_as_a_world_is_as_it_was(tmp_path: Path) -> None:
    """Those of which the world says so, and no other; afterwards everything is as it is."""
    part = start_aws(WORLDS / "broken", tmp_path)

    def keys() -> dict[str, str | None]:
        listed = [as_auditor(part, "ec2", region).describe_volumes()["Volumes"] for region in (REGION, "eu-west-1")]
        return {volume["VolumeId"]: volume.get("KmsKeyId") for volumes in listed for volume in volumes}

    try:
        now = keys()
        with part.as_it_was():
            before = keys()
        assert keys() == now
        changed = {name for name in now if now[name] != before[name]}
        assert changed == {
            truth.resource
            for truth in part.expected
            if (truth.check, truth.outcome) == ("aws-ebs-key-stability", "fail")
        }
        for name in changed:
            region = str(before[name]).split(":")[3]
            metadata = as_auditor(part, "kms", region).describe_key(KeyId=before[name])["KeyMetadata"]
            assert metadata["KeyManager"] == "AWS"
    finally:
        part.stop()


def is_gone(pid: int) -> bool:
    """Whether there is no such process (a zombie that only waits for its parent counts as none)."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    return "State:\tZ" in Path(f"/proc/{pid}/status").read_text(encoding="utf-8")


def test_stop_leaves_no_process_and_no_file(tmp_path: Path) -> None:
    part = start_account(EMPTY, tmp_path / "aws")
    assert not is_gone(part.server.pid)
    part.stop()
    assert is_gone(part.server.pid)
    assert list((tmp_path / "aws").iterdir()) == []
    part.stop()


def test_a_server_that_does_not_end_is_killed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(aws, "SECONDS_TO_END", 0.1)
    part = start_account(EMPTY, tmp_path, ("-c", "import signal; print(1, flush=True); signal.pause()"))
    assert not is_gone(part.server.pid)
    part.stop()
    assert is_gone(part.server.pid)


START_AND_WAIT = """
import sys
from pathlib import Path
from auditor.sandbox.aws import start_account
from tests.aws_account import EMPTY
part = start_account(EMPTY, Path(sys.argv[1]))
print(part.server.pid, flush=True)
sys.stdin.read()
"""


def test_the_server_dies_with_a_parent_that_is_killed(tmp_path: Path) -> None:
    command = [sys.executable, "-c", START_AND_WAIT, str(tmp_path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=ROOT) as parent:
        assert parent.stdout is not None
        pid = int(parent.stdout.readline())
        assert not is_gone(pid)
        # The end of a process that is not ours can only be watched: a pidfd becomes readable at that moment.
        descriptor = os.pidfd_open(pid)
        parent.send_signal(signal.SIGKILL)
    try:
        readable, _, _ = select.select([descriptor], [], [], 10)
    finally:
        os.close(descriptor)
    assert readable
    assert is_gone(pid)


def test_a_server_that_does_not_start_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(SandboxError, match=r"did not start: ZeroDivisionError.*auditor\[sandbox\]"):
        start_account(EMPTY, tmp_path, ("-c", "1 / 0"))


def test_the_configuration_of_the_user_does_not_matter(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {
        "AWS_PROFILE": "no-such-profile",
        "AWS_ENDPOINT_URL": "http://127.0.0.1:9",
        "HTTP_PROXY": "http://127.0.0.1:9",
        "MOTO_ACCOUNT_ID": "999999999999",
    }.items():
        monkeypatch.setenv(name, value)
    part = start_account(EMPTY, tmp_path)
    try:
        assert part.client("sts", REGION).get_caller_identity()["Account"] == ACCOUNT_ID
    finally:
        part.stop()


BUCKET = "{name: b, region: us-east-1, expected: {}}"
VOLUME = "name: v, size: 1, encrypted: true, expected: {}"
WRONG_WORLDS = {
    "aws.yaml:6:1: unknown key 'colour'": "colour: red",
    "aws.yaml:1:18: enabled_regions: must be a list, not text": "enabled_regions: x",
    "v is in us-west-1, which is not an enabled region": f"volumes: [{{{VOLUME}, region: us-west-1}}]",
    "AWS Config records in us-west-1, which is not an enabled region": (
        'recorders: [{region: us-west-1, since: "2025-01-01T00:00:00Z"}]'
    ),
    "v names the key k, which us-east-1 does not have": f"volumes: [{{{VOLUME}, region: us-east-1, key: k}}]",
    "v names the key old, which us-east-1 does not have": (
        f"volumes: [{{{VOLUME}, region: us-east-1, earlier_key: old}}]"
    ),
    "there are two b": f"buckets: [{BUCKET}, {BUCKET}]",
}


@pytest.mark.parametrize("message", WRONG_WORLDS)
def test_a_wrong_world_says_where_it_is_wrong(tmp_path: Path, message: str) -> None:
    base = {"enabled_regions": "[us-east-1]", "auditor_may": "[]", "keys": "[]", "volumes": "[]", "buckets": "[]"}
    name, _, value = WRONG_WORLDS[message].partition(": ")
    lines = [f"{key}: {text}" for key, text in (base | {name: value}).items()]
    (tmp_path / "aws.yaml").write_text("\n".join(lines))
    with pytest.raises(SandboxError) as caught:
        read_aws_world(tmp_path / "aws.yaml")
    assert message in str(caught.value)
    assert str(tmp_path) in str(caught.value)


def test_a_world_that_is_not_there_is_said() -> None:
    with pytest.raises(SandboxError, match="No such file"):
        start_aws(WORLDS / "perfect", Path("unused"))
