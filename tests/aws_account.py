"""Running demo AWS accounts, asked as their auditor or their administrator. For the tests of the sandbox."""

from collections.abc import Callable
from typing import Any

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from auditor.sandbox.aws import AwsPart
from auditor.sandbox.aws_world import AwsWorld
from auditor.sandbox.part import Part

REGION = "eu-central-1"
EMPTY = AwsWorld(
    enabled_regions=[REGION, "eu-south-1", "us-east-1"],
    auditor_may=["s3:GetEncryptionConfiguration"],
    keys=[],
    volumes=[],
    buckets=[],
)
SESSION = boto3.Session()  # one: reading EC2's model takes a third of a second


def as_auditor(part: Part, service: str, region: str = REGION) -> Any:
    """A client of the auditor's user, made as the auditor makes it: of the target and the environment."""
    return SESSION.client(  # type: ignore[call-overload]
        service,
        region_name=region,
        endpoint_url=part.targets[0]["endpoint_url"],
        aws_access_key_id=part.environment["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=part.environment["AWS_SECRET_ACCESS_KEY"],
        config=Config(proxies={}, retries={"total_max_attempts": 1, "mode": "standard"}),
    )


def new_bucket(part: AwsPart, name: str, region: str = REGION) -> Any:
    """Create a bucket; return the administrator's client of its region."""
    s3 = part.client("s3", region)
    s3.create_bucket(Bucket=name, CreateBucketConfiguration={"LocationConstraint": region})
    return s3


def refusal(call: Callable[[], object]) -> tuple[str, int]:
    """The code and the HTTP status of the error that a call raises."""
    with pytest.raises(ClientError) as caught:
        call()
    return caught.value.response["Error"]["Code"], caught.value.response["ResponseMetadata"]["HTTPStatusCode"]


def wire(client: Any, operation: str, **parameters: object) -> tuple[str, dict[str, str]]:
    """The body and the headers of an answer as they were before botocore read them."""
    seen: list[dict[str, Any]] = []
    client.meta.events.register("before-parse.*.*", lambda response_dict, **_: seen.append(response_dict))
    getattr(client, operation)(**parameters)
    return seen[-1]["body"].decode(), dict(seen[-1]["headers"])
