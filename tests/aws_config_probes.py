"""A probe for each of moto's corrections in AWS Config, by its name: see tests/test_sandbox_aws.py."""

import json
from typing import Any

from auditor.sandbox.aws import AwsPart
from auditor.sandbox.aws_world import ACCOUNT_ID
from tests.aws_account import REGION, refusal, wire


def recorded(part: AwsPart, region: str) -> Any:
    """Switch Config on in a region; return the administrator's client of it."""
    config = part.client("config", region)
    role = f"arn:aws:iam::{ACCOUNT_ID}:role/config"
    config.put_configuration_recorder(ConfigurationRecorder={"name": "default", "roleARN": role})
    config.put_delivery_channel(DeliveryChannel={"name": "default", "s3BucketName": "config"})
    config.start_configuration_recorder(ConfigurationRecorderName="default")
    return config


def recorders_say_how_they_work(part: AwsPart) -> None:
    config = recorded(part, "us-east-1")
    (status,) = config.describe_configuration_recorder_status()["ConfigurationRecordersStatus"]
    assert (status["name"], status["recording"], status["lastStatus"]) == ("default", True, "Success")


def recorders_are_described_without_their_status(part: AwsPart) -> None:
    config = recorded(part, "eu-south-1")
    body, _ = wire(config, "describe_configuration_recorders")
    (recorder,) = json.loads(body)["ConfigurationRecorders"]
    assert "status" not in recorder
    assert recorder["recordingMode"]["recordingFrequency"] == "CONTINUOUS"
    config.delete_configuration_recorder(ConfigurationRecorderName="default")
    assert config.describe_configuration_recorders()["ConfigurationRecorders"] == []


def volumes_are_discovered(part: AwsPart) -> None:
    asked = {"resourceType": "AWS::EC2::Volume", "limit": 2}
    nowhere = part.client("config", "eu-south-1")
    assert nowhere.describe_configuration_recorders()["ConfigurationRecorders"] == []
    assert refusal(lambda: nowhere.list_discovered_resources(**asked)) == (
        "NoAvailableConfigurationRecorderException",
        400,
    )
    config, ec2 = recorded(part, REGION), part.client("ec2", REGION)
    for _ in range(5):
        ec2.create_volume(AvailabilityZone=f"{REGION}a", Size=1)
    listed = {volume["VolumeId"] for volume in ec2.describe_volumes()["Volumes"]}
    pages = list(
        config.get_paginator("list_discovered_resources").paginate(
            resourceType=asked["resourceType"], PaginationConfig={"PageSize": 2}
        )
    )
    assert len(pages) == -(-len(listed) // 2)
    assert {one["resourceId"] for page in pages for one in page["resourceIdentifiers"]} == listed
    unknown = refusal(lambda: config.list_discovered_resources(**asked, nextToken="made up"))
    assert unknown == ("InvalidNextTokenException", 400)


def config_answers_are_json(part: AwsPart) -> None:
    _, headers = wire(part.client("config", REGION), "describe_configuration_recorders")
    assert headers["Content-Type"] == "application/x-amz-json-1.1"
