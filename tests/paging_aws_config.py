"""The AWS Config of paging_aws: recorders, their status, and the volumes that they know, as bytes."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from tests.paging_aws_words import CONTENT_TYPES, CREATED_EPOCH, Answer, error

TARGET = "StarlingDoveService."
NAME = "default"


@dataclass
class Config:
    """AWS Config in one region. `knows`: the ids of volumes; `group`: what is recorded."""

    knows: list[str] = field(default_factory=list)
    group: dict[str, Any] = field(default_factory=lambda: {"allSupported": True, "resourceTypes": []})
    recording: bool = True
    last_status: str = "Success"


def answer(body: dict[str, Any]) -> Answer:
    """An answer of AWS Config."""
    return Answer(200, json.dumps(body).encode(), {"Content-Type": CONTENT_TYPES["config"]})


def _recorders(aws: Any, call: Any) -> Answer:
    config = aws.state.config.get(call.region)
    role = f"arn:aws:iam::{aws.state.account_id}:role/config"
    found = [{"name": NAME, "roleARN": role, "recordingGroup": config.group}] if config else []
    return answer({"ConfigurationRecorders": found})


def _status(aws: Any, call: Any) -> Answer:
    config = aws.state.config.get(call.region)
    said = config and {"recording": config.recording, "lastStatus": config.last_status, "lastStartTime": CREATED_EPOCH}
    return answer({"ConfigurationRecordersStatus": [{"name": NAME, **said}] if said else []})


def _discovered(aws: Any, call: Any) -> Answer:
    config = aws.state.config.get(call.region)
    if config is None:
        code = "NoAvailableConfigurationRecorderException"
        return error(call.operation, 400, code, "Configuration Recorder not available.")
    kind = call.parameters["resourceType"]
    part, token = aws.page(call, len(config.knows), call.parameters.get("limit"), call.parameters.get("nextToken"))
    found = [{"resourceType": kind, "resourceId": name} for name in config.knows[part]]
    return answer({"resourceIdentifiers": found, **({"nextToken": token} if token else {})})


ANSWERS: dict[str, Callable[[Any, Any], Answer]] = {
    "DescribeConfigurationRecorders": _recorders,
    "DescribeConfigurationRecorderStatus": _status,
    "ListDiscoveredResources": _discovered,
}
