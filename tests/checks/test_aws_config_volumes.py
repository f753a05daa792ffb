"""Volumes held against AWS Config: when it is a second source, and which differences time explains."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest

from auditor.answers import Answer, Listing, Record
from auditor.checking import Reconciled
from auditor.checks.aws_config_volumes import KNOWN, RECORDERS, STATUS, reconciled
from auditor.model import JSON, Unproven, Unreadable
from tests.checks.asking import DENIED, InMemory, Question, drop, paged, put, question, unreadable
from tests.checks.passing import NOW

OLD = "2026-01-02T03:04:05+00:00"
EVERYTHING: dict[str, JSON] = {
    "name": "default",
    "recordingGroup": {"allSupported": True, "recordingStrategy": {"useOnly": "ALL_SUPPORTED_RESOURCE_TYPES"}},
}
WORKING: dict[str, JSON] = {
    "name": "default",
    "recording": True,
    "lastStatus": "Success",
    "lastStartTime": "2025-03-03T10:00:00+00:00",
}


def ago(**time: float) -> str:
    return (NOW - dt.timedelta(**time)).isoformat()


def volume(name: str, created: JSON = OLD, state: JSON = "in-use") -> dict[str, JSON]:
    return {"VolumeId": name, "CreateTime": created, "State": state}


def dated(body: JSON) -> Answer:
    return Answer(Record("literal", 1, "literal", "ok", body, dated=NOW))


def by_id(*ids: str) -> Question:
    return question("ec2.describe_volumes", Filters=[{"Name": "volume-id", "Values": list(ids)}])


def region(
    *volumes: JSON,
    known: list[str] | None = None,
    recorder: JSON = EVERYTHING,
    status: JSON = WORKING,
    looked_up: dict[Question, Listing] | None = None,
) -> InMemory:
    """A region with these volumes; `known`: what Config lists; `looked_up`: what EC2 has of ids it is asked for."""
    answers: dict[Question, Answer | Listing] = {
        question("ec2.describe_volumes"): paged(list(volumes)),
        question(RECORDERS): dated({"ConfigurationRecorders": [recorder] if recorder else []}),
        question(STATUS): dated({"ConfigurationRecordersStatus": [status]}),
        **(looked_up or {}),
    }
    if known is not None:
        items: list[JSON] = [{"resourceType": "AWS::EC2::Volume", "resourceId": name} for name in known]
        answers[question(KNOWN, resourceType="AWS::EC2::Volume")] = paged(items[:1], items[1:])
    return InMemory(answers, shard="eu-west-1")


def held(aws: InMemory) -> Reconciled:
    return reconciled(aws, aws.listing("ec2.describe_volumes"))


def numbers(one: Reconciled) -> tuple[int, int | None, int]:
    return one.listed, one.count(), one.allowed


# Whether Config is a second source at all


def of(**group: JSON) -> dict[str, JSON]:
    return {"name": "default", "recordingGroup": group}


INCLUSION, EXCLUSION = ({"useOnly": f"{word}_BY_RESOURCE_TYPES"} for word in ("INCLUSION", "EXCLUSION"))


@pytest.mark.parametrize(
    ("recorder", "records"),
    [
        pytest.param(EVERYTHING, True, id="all"),
        pytest.param(of(allSupported=True), True, id="all, as older recorders say it"),
        pytest.param(
            of(allSupported=False, resourceTypes=["AWS::EC2::Volume"]), True, id="these, as older ones say it"
        ),
        pytest.param(
            of(allSupported=False, resourceTypes=["AWS::S3::Bucket"]), False, id="others, as older ones say it"
        ),
        pytest.param(of(allSupported=False, resourceTypes=[]), False, id="nothing"),
        pytest.param(
            of(allSupported=False, resourceTypes=["AWS::EC2::Volume"], recordingStrategy=INCLUSION), True, id="these"
        ),
        pytest.param(
            of(allSupported=False, resourceTypes=["AWS::EC2::Instance"], recordingStrategy=INCLUSION),
            False,
            id="others",
        ),
        pytest.param(
            of(exclusionByResourceTypes={"resourceTypes": ["AWS::EC2::Volume"]}, recordingStrategy=EXCLUSION),
            False,
            id="all but these",
        ),
        pytest.param(
            of(exclusionByResourceTypes={"resourceTypes": ["AWS::S3::Bucket"]}, recordingStrategy=EXCLUSION),
            True,
            id="all but others",
        ),
        pytest.param(None, False, id="no recorder"),
    ],
)
def test_config_is_a_second_source_where_it_records_volumes(recorder: JSON, records: bool) -> None:  # noqa: FBT001
    aws = region(volume("vol-1"), known=["vol-1"] if records else None, recorder=recorder)
    one = held(aws)
    if records:
        assert numbers(one) == (1, 1, 0)
        assert one.source == "AWS Config"
    else:
        assert numbers(one) == (1, None, 0)
        assert one.note == "AWS Config does not record volumes in eu-west-1"
        assert aws.asked == [question("ec2.describe_volumes"), question(RECORDERS)]


@pytest.mark.parametrize(
    "recorder",
    [
        *unreadable(EVERYTHING, "/recordingGroup/recordingStrategy/useOnly", "EVERYTHING"),
        *unreadable(of(allSupported=True), "/recordingGroup/allSupported"),
        *unreadable(
            EVERYTHING | {"recordingMode": {"recordingFrequency": "DAILY"}},
            "/recordingMode/recordingFrequency",
            "WEEKLY",
        ),
    ],
)
def test_a_recorder_that_cannot_be_read_is_an_error(recorder: Answer) -> None:
    if not recorder.readable or recorder.record.redacted:
        return  # of the whole answer: below
    body = recorder.record.body
    if body in (drop(EVERYTHING, "/recordingGroup/recordingStrategy/useOnly"), EVERYTHING | {"recordingMode": {}}):
        return  # older recorders have neither
    with pytest.raises(Unreadable):
        held(region(volume("vol-1"), known=["vol-1"], recorder=body))


@pytest.mark.parametrize(
    ("status", "note"),
    [
        (WORKING | {"recording": False}, "is stopped"),
        (WORKING | {"lastStatus": "Failure"}, "says of its last work Failure"),
        (WORKING | {"lastStatus": "Pending"}, "says of its last work Pending"),
        (WORKING | {"lastStatus": "NotApplicable"}, "says of its last work NotApplicable"),
        (WORKING | {"lastStartTime": ago(minutes=59)}, "was started at 2026-11-23 11:01 UTC only"),
    ],
)
def test_a_recorder_that_is_not_at_work_is_no_second_source(status: JSON, note: str) -> None:
    aws = region(volume("vol-1"), status=status)
    one = held(aws)
    assert numbers(one) == (1, None, 0)
    assert one.note == f"AWS Config's recorder in eu-west-1 {note}"
    assert len(aws.asked) == 3


@pytest.mark.parametrize(
    "status",
    [
        *(
            put(WORKING, pointer, wrong)
            for pointer, wrong in [
                ("/name", "another"),
                ("/name", None),
                ("/recording", None),
                ("/recording", "true"),
                ("/lastStatus", "SUCCESS"),
                ("/lastStatus", None),
                ("/lastStartTime", "long ago"),
                ("/lastStartTime", 7),
            ]
        ),
        *(drop(WORKING, f"/{name}") for name in WORKING),
    ],
)
def test_a_status_that_cannot_be_read_is_an_error(status: JSON) -> None:
    with pytest.raises(Unproven):
        held(region(volume("vol-1"), known=["vol-1"], status=status))


@pytest.mark.parametrize("refused", [RECORDERS, STATUS, KNOWN])
def test_asked_and_refused_is_an_error(refused: str) -> None:
    aws = region(volume("vol-1"), known=["vol-1"])
    answers: dict[Any, Any] = dict(aws._answers)
    for asked, answer in answers.items():
        if asked[0] == refused:
            answers[asked] = paged(None) if isinstance(answer, Listing) else DENIED
    one = held(InMemory(answers, shard="eu-west-1"))
    with pytest.raises(Unreadable):
        one.count()


def test_a_page_of_config_that_cannot_be_read_is_an_error() -> None:
    aws = region(volume("vol-1"))
    known = paged([{"resourceId": "vol-1"}], None)
    answers = {**aws._answers, question(KNOWN, resourceType="AWS::EC2::Volume"): known}
    with pytest.raises(Unreadable):
        held(InMemory(answers)).count()


# Differences


def test_where_both_have_the_same_volumes_they_agree() -> None:
    aws = region(volume("vol-1"), volume("vol-2"), volume("vol-2"), known=["vol-2", "vol-1"])
    one = held(aws)
    assert numbers(one) == (2, 2, 0)
    assert (one.what, one.note) == ("volumes", "")
    assert len(aws.asked) == 4
    assert numbers(held(region(known=[]))) == (0, 0, 0)


DAILY = EVERYTHING | {"recordingMode": {"recordingFrequency": "DAILY"}}
DAILY_VOLUMES = EVERYTHING | {
    "recordingMode": {
        "recordingFrequency": "CONTINUOUS",
        "recordingModeOverrides": [
            {"resourceTypes": ["AWS::S3::Bucket"], "recordingFrequency": "CONTINUOUS"},
            {"resourceTypes": ["AWS::EC2::Volume"], "recordingFrequency": "DAILY"},
        ],
    }
}
DAILY_OTHERS = put(DAILY_VOLUMES, "/recordingMode/recordingModeOverrides/1/resourceTypes", ["AWS::EC2::Instance"])


@pytest.mark.parametrize(
    ("recorder", "created", "agree"),
    [
        (EVERYTHING, ago(minutes=59), True),
        (EVERYTHING, ago(minutes=60), False),
        (EVERYTHING, ago(days=300), False),
        (DAILY, ago(hours=47), True),
        (DAILY, ago(hours=48), False),
        (DAILY_VOLUMES, ago(hours=47), True),
        (DAILY_OTHERS, ago(hours=2), False),
    ],
)
def test_what_config_does_not_know_must_be_new(recorder: JSON, created: str, agree: bool) -> None:  # noqa: FBT001
    one = held(region(volume("vol-1"), volume("vol-2", created), known=["vol-1"], recorder=recorder))
    assert numbers(one) == (2, 1, 1 if agree else 0)
    assert one.note == (
        "too new for AWS Config or being deleted: 1" if agree else "unknown to AWS Config, though not new: vol-2"
    )


@pytest.mark.parametrize(("state", "allowed"), [("deleting", 1), ("deleted", 1), ("available", 0), ("error", 0)])
def test_or_be_on_its_way_out(state: str, allowed: int) -> None:
    one = held(region(volume("vol-1"), volume("vol-2", state=state), known=["vol-1"]))
    assert numbers(one) == (2, 1, allowed)


@pytest.mark.parametrize("created", [None, 7, "lately", "2026-11-23T11:00:00"])
def test_a_volume_of_unknown_age_explains_nothing(created: JSON) -> None:
    with pytest.raises(Unreadable):
        held(region(volume("vol-1", created), known=[]))


def test_what_ec2_no_longer_knows_by_its_id_was_deleted() -> None:
    one = held(region(volume("vol-1"), known=["vol-1", "vol-9"], looked_up={by_id("vol-9"): paged([])}))
    assert numbers(one) == (1, 2, 1)
    assert one.note == "still in AWS Config, and no longer in EC2 when asked for by id: 1"


def test_what_ec2_has_and_does_not_list_is_an_error_with_both_numbers() -> None:
    """Even if a page were short, or the whole list: asked for by its id, EC2 has it."""
    looked_up = {by_id("vol-8", "vol-9"): paged([volume("vol-9", ago(minutes=5))])}
    one = held(region(volume("vol-1"), known=["vol-1", "vol-8", "vol-9"], looked_up=looked_up))
    assert numbers(one) == (1, 3, 0)
    assert "EC2's list leaves out what EC2 has when asked for it: vol-9" in one.note
    assert "by id: 1" in one.note


def test_one_left_out_and_one_unknown_do_not_cancel_each_other_out() -> None:
    looked_up = {by_id("vol-9"): paged([volume("vol-9")])}
    for second in (volume("vol-2"), volume("vol-2", ago(minutes=1))):
        one = held(region(volume("vol-1"), second, known=["vol-1", "vol-9"], looked_up=looked_up))
        assert numbers(one) == (2, 3, 0)
        assert one.source == "EC2 and AWS Config together"


def test_two_deleted_do_not_make_up_for_one_that_is_unknown() -> None:
    aws = region(
        volume("vol-1"),
        volume("vol-2"),
        known=["vol-1", "vol-8", "vol-9"],
        looked_up={by_id("vol-8", "vol-9"): paged([])},
    )
    one = held(aws)
    assert numbers(one) == (2, 3, 0)
    assert one.note.startswith("unknown to AWS Config, though not new: vol-2; still in AWS Config")


def test_an_answer_of_unknown_time_proves_nothing() -> None:
    answers = {
        **region(volume("vol-1"), known=["vol-1"])._answers,
        question(RECORDERS): Answer.literal({"ConfigurationRecorders": [EVERYTHING]}),
    }
    with pytest.raises(Unproven, match="nobody knows when AWS Config was asked"):
        held(InMemory(answers))


def test_a_lookup_that_was_refused_is_an_error() -> None:
    with pytest.raises(Unreadable):
        held(region(volume("vol-1"), known=["vol-1", "vol-9"], looked_up={by_id("vol-9"): paged(None)}))


def test_a_lookup_that_answers_something_else_proves_nothing() -> None:
    looked_up = {by_id("vol-9"): paged([volume("vol-1"), volume("vol-7")])}
    with pytest.raises(Unproven, match="answers with others"):
        held(region(volume("vol-1"), known=["vol-1", "vol-9"], looked_up=looked_up))


def test_ids_are_looked_up_two_hundred_at_a_time() -> None:
    ids = [f"vol-{number:04}" for number in range(401)]
    looked_up = {by_id(*ids[first : first + 200]): paged([]) for first in (0, 200, 400)}
    one = held(region(known=ids, looked_up=looked_up))
    assert numbers(one) == (0, 401, 401)
    assert len(one.parts) == 7


def test_many_are_named_by_the_first() -> None:
    names = [f"vol-{number}" for number in range(5)]
    looked_up = {by_id(*names): paged([volume(name) for name in names])}
    assert "vol-0, vol-1, vol-2 and 2 more" in held(region(known=names, looked_up=looked_up)).note
