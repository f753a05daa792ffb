"""EBS: encrypted or not, under which key, and in what state that key is."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from auditor.answers import Answer
from auditor.checking import Subject
from auditor.checks.aws_ebs_volume_encryption import CHECK
from auditor.model import Citation, Resource, Unproven, Unreadable, Verdict, failed, passed
from tests.checks.asking import ABSENT, DENIED, InMemory, paged, params, put, question, subjects_of, unreadable

KEY_ID = "arn:aws:kms:eu-central-1:123456789012:key/1"
VOLUME: dict[str, Any] = {"VolumeId": "vol-1", "Encrypted": True, "KmsKeyId": KEY_ID, "State": "in-use"}
PLAIN = {"VolumeId": "vol-2", "Encrypted": False}
KEY = {"KeyMetadata": {"KeyId": "1", "KeyState": "Enabled", "KeyManager": "AWS"}}


def key(state: str = "Enabled", manager: str = "AWS") -> dict[str, Any]:
    return {"KeyMetadata": {"KeyId": "1", "KeyState": state, "KeyManager": manager}}


def judge(volume: Answer, key: Answer | None, key_manager: str = "any") -> Verdict:
    subject = Subject(Resource("aws.ec2.volume", "vol-1"), volume=volume, key=key)
    return CHECK.evaluate(subject, params(CHECK, key_manager=key_manager))


@pytest.mark.parametrize(
    ("body", "wanted", "manager"),
    [
        pytest.param(key(), "any", "AWS", id="aws-key, any"),
        pytest.param(key(manager="CUSTOMER"), "any", "CUSTOMER", id="customer-key, any"),
        pytest.param(key(), "AWS", "AWS", id="aws-key, AWS"),
        pytest.param(key(manager="CUSTOMER"), "CUSTOMER", "CUSTOMER", id="customer-key, CUSTOMER"),
        pytest.param(key("Updating"), "any", "AWS", id="updating"),
    ],
)
def test_a_volume_under_a_usable_key_passes(body: dict[str, Any], wanted: str, manager: str) -> None:
    verdict = judge(Answer.literal(VOLUME), Answer.literal(body), wanted)
    assert verdict == passed(f"is encrypted (AES-256) under a key managed by {manager}")


@pytest.mark.parametrize(
    ("volume", "answer"),
    [
        pytest.param(PLAIN, None, id="no key"),
        pytest.param(PLAIN | {"KmsKeyId": KEY_ID}, Answer.literal(KEY), id="a key it does not use"),
        pytest.param(PLAIN, DENIED, id="the key cannot be asked"),
        pytest.param(PLAIN | {"State": "available"}, None, id="attached to nothing"),
    ],
)
def test_a_volume_that_is_not_encrypted_fails(volume: dict[str, Any], answer: Answer | None) -> None:
    assert judge(Answer.literal(volume), answer) == failed("is not encrypted")


@pytest.mark.parametrize(
    "state", ["Disabled", "PendingDeletion", "PendingReplicaDeletion", "PendingImport", "Unavailable", "Creating"]
)
def test_a_key_that_cannot_be_used_fails(state: str) -> None:
    verdict = judge(Answer.literal(VOLUME), Answer.literal(key(state)))
    assert verdict == failed(f"is encrypted under a key that cannot be used: its state is {state}")


@pytest.mark.parametrize(("manager", "wanted"), [("AWS", "CUSTOMER"), ("CUSTOMER", "AWS")])
def test_a_key_of_the_other_manager_fails(manager: str, wanted: str) -> None:
    verdict = judge(Answer.literal(VOLUME), Answer.literal(key(manager=manager)), wanted)
    assert verdict == failed(f"is encrypted under a key managed by {manager}, not {wanted}")


def test_an_encrypted_volume_that_names_no_key_is_unproven() -> None:
    with pytest.raises(Unproven, match="is encrypted, but names no key") as caught:
        judge(Answer.literal(VOLUME), None)
    assert caught.value.cites == (Citation("literal", (1, 1)),)


@pytest.mark.parametrize("volume", unreadable(VOLUME, "/Encrypted"))
def test_encrypted_must_be_a_boolean_that_is_there(volume: Answer) -> None:
    with pytest.raises(Unreadable):
        judge(volume, Answer.literal(KEY))


@pytest.mark.parametrize(
    "answer",
    [
        *unreadable(KEY, "/KeyMetadata/KeyState", "enabled", "ENABLED", "Sleeping"),
        *unreadable(KEY, "/KeyMetadata/KeyManager", "aws", "any"),
        *unreadable(KEY, "/KeyMetadata"),
        pytest.param(ABSENT, id="absent"),
        pytest.param(Answer.literal(None), id="no body"),
    ],
)
@pytest.mark.parametrize("wanted", ["any", "AWS", "CUSTOMER"])
def test_a_key_that_cannot_be_read_neither_passes_nor_fails(answer: Answer, wanted: str) -> None:
    with pytest.raises(Unreadable):
        judge(Answer.literal(VOLUME), answer, wanted)


@pytest.mark.parametrize("given", [{"key_manager": "aws"}, {"key_manager": None}, {"manager": "AWS"}])
def test_parameters_are_strict(given: dict[str, Any]) -> None:
    with pytest.raises(msgspec.ValidationError):
        params(CHECK, **given)


def test_without_parameters_any_manager_will_do() -> None:
    assert params(CHECK) == params(CHECK, key_manager="any")


RECORDERS = question("config.describe_configuration_recorders")
OFF = {RECORDERS: Answer.literal({"ConfigurationRecorders": []})}


def collected(source: InMemory) -> list[Subject]:
    return list(subjects_of(CHECK, params(CHECK), source))


def test_every_volume_of_every_page_is_a_subject_with_its_key() -> None:
    volumes: list[Any] = [
        VOLUME | {"Tags": [{"Key": "team", "Value": "a"}, {"Key": "Name", "Value": "database"}]},
        PLAIN | {"State": "available"},
        VOLUME | {"VolumeId": "vol-3", "State": "error", "Tags": []},
    ]
    asked_key = question("kms.describe_key", KeyId=KEY_ID)
    source = InMemory(
        {
            question("ec2.describe_volumes"): paged(volumes[:1], [], volumes[1:]),
            asked_key: Answer.literal(KEY),
            **OFF,
        },
        shard="eu-central-1",
    )
    subjects = collected(source)
    assert [subject.resource for subject in subjects] == [
        Resource("aws.ec2.volume", "vol-1", "database", "eu-central-1"),
        Resource("aws.ec2.volume", "vol-2", "", "eu-central-1"),
        Resource("aws.ec2.volume", "vol-3", "", "eu-central-1"),
    ]
    assert [subject.key is None for subject in subjects] == [False, True, False]
    assert source.asked == [question("ec2.describe_volumes"), asked_key, asked_key, RECORDERS]


def test_a_region_without_volumes_has_no_subjects_and_asks_for_no_key() -> None:
    source = InMemory({question("ec2.describe_volumes"): paged([]), **OFF})
    assert collected(source) == []
    assert source.asked == [question("ec2.describe_volumes"), RECORDERS]


@pytest.mark.parametrize("wrong", [None, 7, ["a"]])
def test_a_key_that_is_named_unreadably_is_an_error_of_that_volume_only(wrong: Any) -> None:
    volumes = [put(VOLUME, "/KmsKeyId", wrong), PLAIN]
    source = InMemory({question("ec2.describe_volumes"): paged(volumes), **OFF})
    first, second = collected(source)
    with pytest.raises(Unreadable, match=r"not asked: .*KmsKeyId"):
        CHECK.evaluate(first, params(CHECK))
    assert CHECK.evaluate(second, params(CHECK)) == failed("is not encrypted")
    assert source.asked == [question("ec2.describe_volumes"), RECORDERS]


def test_a_page_that_cannot_be_read_ends_the_population_after_what_was_read() -> None:
    source = InMemory({question("ec2.describe_volumes"): paged([PLAIN], None, [PLAIN])})
    subjects = subjects_of(CHECK, params(CHECK), source)
    assert next(subjects).resource.id == "vol-2"
    with pytest.raises(Unreadable, match="cut off"):
        next(subjects)


@pytest.mark.parametrize("wrong", [{"Encrypted": True}, PLAIN | {"VolumeId": None}, PLAIN | {"VolumeId": 7}, "vol-1"])
def test_a_volume_without_a_name_ends_the_population(wrong: Any) -> None:
    source = InMemory({question("ec2.describe_volumes"): paged([wrong])})
    with pytest.raises(Unreadable):
        collected(source)
