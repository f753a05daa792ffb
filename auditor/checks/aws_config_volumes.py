"""The EBS volumes of a region, held against AWS Config where it records them: another service's list of their ids.

Ids are compared, not counts: a volume that EC2's listing leaves out and one that Config does not know yet would cancel
each other out. Config lags behind. What it lacks must be new, or on its way out; what it still has, EC2 is asked for by
its id: if EC2 has it then, its listing was not whole.

Sources: AWS Config API Reference, "RecordingGroup", "RecordingMode", "ConfigurationRecorderStatus" and
"ListDiscoveredResources"; EC2 API Reference, "DescribeVolumes" (the filter volume-id).
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable
from types import MappingProxyType
from typing import Annotated, Literal

import msgspec

from auditor.answers import Answer, Listing
from auditor.checking import Reconciled, Source
from auditor.model import Unproven

RECORDERS, STATUS = "config.describe_configuration_recorders", "config.describe_configuration_recorder_status"
KNOWN = "config.list_discovered_resources"
QUESTIONS = MappingProxyType({RECORDERS: 1, STATUS: 0, KNOWN: 0})
"""What a check asks that holds its volumes against AWS Config: where Config is off, one question."""
SECOND_SOURCE = "AWS Config lists the volumes that it knows (ListDiscoveredResources), in regions where it records them"
NO_SECOND_SOURCE = (
    "EC2 counts volumes nowhere, so where AWS Config does not record them its listing stands alone; Resource Explorer "
    "is not asked, for its index does not say how old it is, nor what its view leaves out"
)
CANNOT_PROVE = (
    "that no volume is missing from the listing, in regions where AWS Config does not record volumes",
    "a volume that EC2 neither lists nor has when asked for it by its id",
)

VOLUME = "AWS::EC2::Volume"
LAG = MappingProxyType({"CONTINUOUS": dt.timedelta(hours=1), "DAILY": dt.timedelta(days=2)})
"""How new a volume may be that Config does not know, by how often it records: it takes minutes, or up to a day."""
GOING = ("deleting", "deleted")
MOST_IDS = 200
"""EC2 takes no more values of one filter."""
MOST_NAMED = 3

Frequency = Literal["CONTINUOUS", "DAILY"]
Strategy = Literal["ALL_SUPPORTED_RESOURCE_TYPES", "INCLUSION_BY_RESOURCE_TYPES", "EXCLUSION_BY_RESOURCE_TYPES"]
RecorderStatus = Literal["Pending", "Success", "Failure", "NotApplicable"]
Moment = Annotated[dt.datetime, msgspec.Meta(tz=True)]


def reconciled(aws: Source, volumes: Listing) -> Reconciled:
    """Hold the listed volumes of the region against AWS Config; where it does not record them, say so."""
    ids = {volume.get("/VolumeId", str) for volume in volumes}
    recorders = aws.ask(RECORDERS)
    if not recorders.readable:
        return _asked(ids, volumes, recorders)
    found = recorders.items("/ConfigurationRecorders")
    recorder = next((one for one in found if _records_volumes(one)), None)
    if recorder is None:
        return _none(ids, f"AWS Config does not record volumes in {aws.shard}", volumes, recorders)
    status = aws.ask(STATUS)
    if not status.readable:
        return _asked(ids, volumes, recorders, status)
    lag = LAG[_frequency(recorder)]
    asked = _time_of(recorders)
    why_not = _not_at_work(status, recorder.get("/name", str), asked - lag)
    if why_not:
        return _none(ids, f"AWS Config's recorder in {aws.shard} {why_not}", volumes, recorders, status)
    listing = aws.listing(KNOWN, resourceType=VOLUME)
    if any(page.status == "error" for page in listing.records()):
        return _asked(ids, volumes, recorders, status, listing)
    known = {one.get("/resourceId", str) for one in listing}
    excused = {
        volume.get("/VolumeId", str)
        for volume in volumes
        if volume.get("/VolumeId", str) not in known
        and (volume.get("/State", str) in GOING or volume.get("/CreateTime", Moment) > asked - lag)
    }
    held = _compared(aws, ids, known, excused)
    return msgspec.structs.replace(held, parts=(volumes, recorders, status, listing, *held.parts))


def _compared(aws: Source, ids: set[str], known: set[str], excused: set[str]) -> Reconciled:
    """Compare the two lists; `excused`: what EC2 lists and Config need not know. Its parts are what EC2 was asked."""
    lookups = [
        aws.listing("ec2.describe_volumes", Filters=[{"Name": "volume-id", "Values": batch}])
        for batch in _batches(sorted(known - ids))
    ]
    left_out = {volume.get("/VolumeId", str) for lookup in lookups for volume in lookup}
    if not left_out <= known - ids:
        raise Unproven("EC2 was asked for some ids and answers with others", lookups)
    gone = known - ids - left_out
    unknown = ids - known - excused
    said = [
        f"EC2's list leaves out what EC2 has when asked for it: {_some(left_out)}" if left_out else "",
        f"unknown to AWS Config, though not new: {_some(unknown)}" if unknown else "",
        f"too new for AWS Config or being deleted: {len(excused)}" if excused else "",
        f"still in AWS Config, and no longer in EC2 when asked for by id: {len(gone)}" if gone else "",
    ]
    held = Reconciled(
        what="volumes",
        listed=len(ids),
        counted=len(known),
        source="AWS Config",
        allowed=0 if left_out or unknown else len(excused) + len(gone),
        note="; ".join(filter(None, said)),
        parts=tuple(lookups),
    )
    if (left_out or unknown) and len(ids) == len(known):  # as many, and not the same
        return msgspec.structs.replace(held, counted=len(ids | known), source="EC2 and AWS Config together")
    return held


def _none(ids: set[str], note: str, *parts: Answer | Listing) -> Reconciled:
    return Reconciled(what="volumes", listed=len(ids), counted=None, note=note, parts=parts)


def _asked(ids: set[str], *parts: Answer | Listing) -> Reconciled:
    """Return a reconciliation that cannot be read, for one of its parts was asked for in vain."""
    return Reconciled(what="volumes", listed=len(ids), counted=0, source="AWS Config", parts=parts)


def _records_volumes(recorder: Answer) -> bool:
    strategy = recorder.find("/recordingGroup/recordingStrategy/useOnly", Strategy)
    listed = recorder.find("/recordingGroup/resourceTypes", list[str]) or []
    excluded = recorder.find("/recordingGroup/exclusionByResourceTypes/resourceTypes", list[str]) or []
    if strategy is None:  # the strategy is younger than the two members that say the same
        return recorder.get("/recordingGroup/allSupported", bool) or VOLUME in listed
    if strategy == "INCLUSION_BY_RESOURCE_TYPES":
        return VOLUME in listed
    return strategy == "ALL_SUPPORTED_RESOURCE_TYPES" or VOLUME not in excluded


def _frequency(recorder: Answer) -> Frequency:
    """How often volumes are recorded: what is said of them, else what is said of everything, else all the time."""
    overrides = "/recordingMode/recordingModeOverrides"
    for override in recorder.items(overrides) if recorder.has(overrides) else []:
        if VOLUME in override.get("/resourceTypes", list[str]):
            return override.get("/recordingFrequency", Frequency)  # type: ignore[no-any-return]
    return recorder.find("/recordingMode/recordingFrequency", Frequency) or "CONTINUOUS"


def _not_at_work(status: Answer, name: str, since: dt.datetime) -> str:
    """Return why the recorder's list cannot be up to date; "" where it can."""
    found = status.items("/ConfigurationRecordersStatus")
    state = next((one for one in found if one.get("/name", str) == name), None)
    if state is None:
        raise Unproven(f"AWS Config does not say whether its recorder {name} is recording", [status])
    if not state.get("/recording", bool):
        return "is stopped"
    said = state.get("/lastStatus", RecorderStatus)
    if said != "Success":
        return f"says of its last work {said}"
    started = state.get("/lastStartTime", Moment)
    return f"was started at {started.astimezone(dt.UTC):%Y-%m-%d %H:%M} UTC only" if started > since else ""


def _time_of(answer: Answer) -> dt.datetime:
    if answer.record.dated is None:
        raise Unproven("nobody knows when AWS Config was asked", [answer])
    return answer.record.dated


def _batches(ids: list[str]) -> Iterable[list[str]]:
    return (ids[first : first + MOST_IDS] for first in range(0, len(ids), MOST_IDS))


def _some(ids: set[str]) -> str:
    more = len(ids) - MOST_NAMED
    return ", ".join(sorted(ids)[:MOST_NAMED]) + (f" and {more} more" if more > 0 else "")
