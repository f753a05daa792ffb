"""What moto 5.2.5 gets wrong in the AWS Config calls that the AWS checks make. See moto_corrections for the rules."""

import datetime as dt
from collections.abc import Callable
from typing import Any

from moto.config.exceptions import InvalidNextTokenException, NoAvailableConfigurationRecorderException
from moto.config.models import DEFAULT_PAGE_SIZE, ConfigBackend, ConfigRecorderStatus
from moto.config.responses import ConfigResponse
from moto.ec2.models import ec2_backends

from auditor.sandbox.moto_replacement import replaces

SINCE: dict[str, dt.datetime] = {}
"""When the recorder of a region was started, as the world decides. Set by the server before it serves."""
VOLUME = "AWS::EC2::Volume"


def recorders_say_how_they_work() -> None:
    """Moto's recorder is PENDING for ever; Config's is Success once it has recorded something (RecorderStatus)."""
    start, start_recorder = ConfigRecorderStatus.start, ConfigBackend.start_configuration_recorder

    @replaces(ConfigRecorderStatus, "start")
    def start_now(self: ConfigRecorderStatus) -> None:
        start(self)
        self.last_status = "Success"

    @replaces(ConfigBackend, "start_configuration_recorder")
    def start_configuration_recorder(self: ConfigBackend, recorder_name: str) -> None:
        start_recorder(self, recorder_name)
        if self.region_name in SINCE:
            self.recorders[recorder_name].status.last_start_time = int(SINCE[self.region_name].timestamp())


def recorders_are_described_without_their_status() -> None:
    """Moto puts the status into the recorder, and drops how often it records; Config keeps the two apart.

    Both are written in the model: ConfigurationRecorder has no status, and a recordingMode.
    """
    described = ConfigBackend.describe_configuration_recorders

    @replaces(ConfigBackend, "describe_configuration_recorders")
    def describe_configuration_recorders(self: ConfigBackend, names: list[str] | None) -> list[dict[str, Any]]:
        mode = {"recordingFrequency": "CONTINUOUS", "recordingModeOverrides": []}
        recorders = ({**recorder, "recordingMode": mode} for recorder in described(self, names))
        return [{name: part for name, part in recorder.items() if name != "status"} for recorder in recorders]


def volumes_are_discovered() -> None:
    """Moto knows no volumes in ListDiscoveredResources; Config lists them, in pages, once there is a recorder."""
    discovered = ConfigBackend.list_discovered_resources

    @replaces(ConfigBackend, "list_discovered_resources")
    def list_discovered_resources(self: ConfigBackend, **asked: Any) -> dict[str, Any]:
        if not self.recorders:
            raise NoAvailableConfigurationRecorderException
        listed = discovered(self, **{**asked, "next_token": None})  # refuses limits that are too large
        if asked["resource_type"] != VOLUME:
            return listed
        ids = sorted(ec2_backends[self.account_id][self.region_name].volumes)
        first = _offset(asked["next_token"])
        last = first + (asked["limit"] or DEFAULT_PAGE_SIZE)
        page: dict[str, Any] = {
            "resourceIdentifiers": [{"resourceType": VOLUME, "resourceId": name} for name in ids[first:last]]
        }
        if last < len(ids):
            page["nextToken"] = str(last).encode().hex()
        return page


def config_answers_are_json() -> None:
    """Moto calls its JSON text/html; the protocol (json 1.1) says application/x-amz-json-1.1."""
    answer = ConfigResponse.call_action

    @replaces(ConfigResponse, "call_action")
    def call_action(self: ConfigResponse) -> Any:
        status, headers, body = answer(self)
        return status, {**headers, "Content-Type": "application/x-amz-json-1.1"}, body


def _offset(token: str | None) -> int:
    try:
        return int(bytes.fromhex(token)) if token else 0
    except ValueError:
        raise InvalidNextTokenException from None


CORRECTIONS: tuple[Callable[[], None], ...] = (
    recorders_say_how_they_work,
    recorders_are_described_without_their_status,
    volumes_are_discovered,
    config_answers_are_json,
)
