"""EBS: whether the key of a volume is the one that every earlier run saw."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from auditor.answers import Answer
from auditor.checking import Subject
from auditor.checks.aws_ebs_key_stability import CHECK, PAGE
from auditor.model import Citation, Outcome, Resource, Unproven, Unreadable, Verdict, failed, not_applicable, passed
from tests.checks.asking import (
    ABSENT,
    DENIED,
    InMemory,
    paged,
    params,
    question,
    reconciled_by,
    subjects_of,
    unreadable,
)
from tests.checks.earlier_runs import RUN, earlier, seen
from tests.checks.iam_report import ACCOUNT

A, B = (f"arn:aws:kms:eu-central-1:{ACCOUNT}:key/{name}" for name in "ab")
VOLUME: dict[str, Any] = {"VolumeId": "vol-1", "Encrypted": True, "KmsKeyId": A}
PLAIN: dict[str, Any] = {"VolumeId": "vol-1", "Encrypted": False}
LATER = "20261123T141502Z-00000002"


def past(*values: dict[str, Any], answers: int = 0, items: int = 0) -> dict[str, Any]:
    return {"runs": [], "unread": {"answers": answers, "items": items}, "resources": {"vol-1": list(values)}}


def judge(volume: dict[str, Any] | Answer, *values: dict[str, Any] | Answer, **unread: int) -> Verdict:
    answer = values[0] if values and isinstance(values[0], Answer) else Answer.literal(past(*values, **unread))  # type: ignore[arg-type]
    volume = volume if isinstance(volume, Answer) else Answer.literal(volume)
    return CHECK.evaluate(Subject(Resource("aws.ec2.volume", "vol-1"), volume=volume, past=answer), params(CHECK))


def test_a_volume_under_the_key_of_the_earlier_run_passes() -> None:
    assert judge(VOLUME, seen(A)) == passed(f"is under {A}, as in the earlier run that saw it, since {RUN}")


def test_how_many_runs_saw_it_so_is_said_and_since_which() -> None:
    verdict = judge(VOLUME, seen(A, runs=1234))
    assert verdict == passed(f"is under {A}, as in each of the 1,234 earlier runs that saw it, since {RUN}")


@pytest.mark.parametrize(
    ("unread", "said"),
    [
        ({"answers": 2}, "; 2 of their answers could not be read"),
        ({"items": 1}, "; 1 of their volumes could not be read"),
        ({"answers": 2, "items": 1}, "; 2 of their answers and 1 of their volumes could not be read"),
    ],
)
def test_what_earlier_runs_could_not_say_is_said(unread: dict[str, int], said: str) -> None:
    assert judge(VOLUME, seen(A), **unread).message.endswith(f"since {RUN}{said}")
    assert judge(VOLUME, **unread).message == f"first sight: no earlier run saw it{said}"


@pytest.mark.parametrize(
    ("volume", "values", "was", "run", "now"),
    [
        pytest.param(VOLUME, [seen(B)], f"under {B}", RUN, f"under {A}", id="another key"),
        pytest.param(VOLUME, [seen(A), seen(B, run=LATER)], f"under {B}", LATER, f"under {A}", id="and back again"),
        pytest.param(VOLUME, [seen(None)], "not encrypted", RUN, f"under {A}", id="encrypted since"),
        pytest.param(PLAIN, [seen(A)], f"under {A}", RUN, "not encrypted", id="not encrypted any more"),
        pytest.param(PLAIN, [seen(None), seen(A, run=LATER)], f"under {A}", LATER, "not encrypted", id="for a time"),
        pytest.param(VOLUME | {"KmsKeyId": "a"}, [seen(A)], f"under {A}", RUN, "under a", id="id instead of ARN"),
    ],
)
def test_another_key_in_any_earlier_run_fails_with_both_and_the_run(
    volume: dict[str, Any], values: list[dict[str, Any]], was: str, run: str, now: str
) -> None:
    place = "evidence/prod.eu-central-1.jsonl:3 of that run"
    assert judge(volume, *values) == failed(f"was {was} in the run {run}, and is {now} now ({place})")


def test_a_fail_cites_both_answers() -> None:
    trail: list[Citation] = []
    parts = {"volume": Answer.literal(VOLUME), "past": Answer.literal(past(seen(B)))}
    CHECK.evaluate(Subject(Resource("aws.ec2.volume", "vol-1"), **parts).judged(None, trail), params(CHECK))  # type: ignore[arg-type]
    assert {cite.pointer for cite in trail} >= {"/KmsKeyId", "/resources/vol-1/0/value", "/resources/vol-1/0/run"}


def test_a_volume_that_no_earlier_run_saw_is_apart() -> None:
    assert judge(VOLUME) == not_applicable("first sight: no earlier run saw it")


@pytest.mark.parametrize("values", [[], [seen(None)], [seen(None, runs=7)]])
def test_a_volume_that_never_had_a_key_is_apart(values: list[dict[str, Any]]) -> None:
    assert judge(PLAIN, *values) == not_applicable("is not encrypted: it has no key that could change")


@pytest.mark.parametrize(
    ("volume", "said"),
    [
        ({"VolumeId": "vol-1", "Encrypted": True}, "is encrypted, but names no key"),
        (PLAIN | {"KmsKeyId": A}, "names a key, but is not encrypted"),
    ],
)
def test_a_volume_that_contradicts_itself_is_unproven(volume: dict[str, Any], said: str) -> None:
    with pytest.raises(Unproven, match=said) as caught:
        judge(volume, seen(A))
    assert caught.value.cites == (Citation("literal", (1, 1)),)


@pytest.mark.parametrize("volume", [*unreadable(VOLUME, "/Encrypted"), *unreadable(VOLUME, "/KmsKeyId")])
def test_a_volume_that_cannot_be_read_is_unproven(volume: Answer) -> None:
    with pytest.raises(Unproven):
        judge(volume, seen(A))


PAST = past(seen(A))
OTHER = past(seen(B))


@pytest.mark.parametrize(
    "answer",
    [
        *unreadable(PAST, "/resources/vol-1/0/absent"),
        *unreadable(PAST, "/resources/vol-1/0/value"),
        *unreadable(PAST, "/resources/vol-1/0/runs"),
        *unreadable(PAST, "/resources/vol-1/0/run"),
        *unreadable(PAST, "/resources/vol-1"),
        *unreadable(PAST, "/unread/answers"),
        *unreadable(OTHER, "/resources/vol-1/0/value"),
        *unreadable(OTHER, "/resources/vol-1/0/run"),
        pytest.param(ABSENT, id="absent"),
        pytest.param(DENIED, id="denied"),
    ],
)
def test_earlier_runs_that_cannot_be_read_neither_pass_nor_fail(answer: Answer) -> None:
    with pytest.raises(Unreadable):
        judge(VOLUME, answer)


@pytest.mark.parametrize("given", [{"key": "x"}, {"runs": 3}])
def test_parameters_are_strict(given: dict[str, Any]) -> None:
    with pytest.raises(msgspec.ValidationError):
        params(CHECK, **given)


def collecting(aws: InMemory, runs: InMemory) -> Any:
    return subjects_of(CHECK, params(CHECK), aws, runs)


def volumes(first: int, last: int) -> list[Any]:
    return [VOLUME | {"VolumeId": f"vol-{number}"} for number in range(first, last + 1)]


def sources(*pages: Any, known: tuple[tuple[str, ...], ...]) -> tuple[InMemory, InMemory]:
    answers: dict[Any, Any] = {
        question("ec2.describe_volumes"): paged(*pages),
        question("config.describe_configuration_recorders"): Answer.literal({"ConfigurationRecorders": []}),
    }
    aws = InMemory(answers, target=Answer.literal({"account_id": ACCOUNT}), shard="here")
    return aws, InMemory({earlier(*ids): Answer.literal(past()) for ids in known})


def test_questions_go_with_pages_and_not_with_volumes() -> None:
    """Three questions for a thousand and one volumes, on however many pages EC2 put them."""
    names = [f"vol-{number}" for number in range(1, 2 * PAGE + 2)]
    parts = tuple(names[:PAGE]), tuple(names[PAGE : 2 * PAGE]), tuple(names[2 * PAGE :])
    aws, runs = sources(volumes(1, 7), [], volumes(8, 2 * PAGE + 1), known=parts)
    subjects = list(collecting(aws, runs))
    assert [subject.resource.id for subject in subjects] == names
    assert {subject.resource.region for subject in subjects} == {"here"}
    assert len(runs.asked) == 3


def test_a_region_without_volumes_asks_nothing_of_earlier_runs() -> None:
    aws, runs = sources([], known=())
    assert list(collecting(aws, runs)) == []
    assert runs.asked == []


def test_names_are_those_of_the_tags() -> None:
    tagged = VOLUME | {"Tags": [{"Key": "team", "Value": "a"}, {"Key": "Name", "Value": "database"}]}
    aws, runs = sources([tagged], known=(("vol-1",),))
    assert next(collecting(aws, runs)).resource == Resource("aws.ec2.volume", "vol-1", "database", "here")


@pytest.mark.parametrize("wrong", [None, [{"Encrypted": True}], [PLAIN | {"VolumeId": 7}]])
def test_what_cannot_be_listed_ends_the_population_after_what_was_read(wrong: Any) -> None:
    aws, runs = sources(volumes(1, 2), wrong, volumes(3, 3), known=(("vol-1", "vol-2"),))
    subjects = collecting(aws, runs)
    assert [next(subjects).resource.id, next(subjects).resource.id] == ["vol-1", "vol-2"]
    with pytest.raises(Unreadable):
        next(subjects)


def test_earlier_runs_that_do_not_verify_are_an_error_of_every_volume() -> None:
    aws, _ = sources(volumes(1, 2), known=())
    refused = Answer.literal(status="error", reason="unverified: a run is missing")
    for subject in collecting(aws, InMemory({earlier("vol-1", "vol-2"): refused})):
        with pytest.raises(Unreadable, match="unverified"):
            CHECK.evaluate(subject, params(CHECK))


def test_an_account_that_is_not_declared_is_nobodys() -> None:
    aws = InMemory({question("ec2.describe_volumes"): paged(volumes(1, 1))})
    with pytest.raises(Unreadable):
        next(collecting(aws, InMemory({})))


def test_first_sight_alone_supports_nothing() -> None:
    """A population of which every member is apart is empty, which the engine makes an error (tests/test_engine.py)."""
    assert judge(VOLUME).outcome is Outcome.NOT_APPLICABLE


def test_the_volumes_are_held_against_aws_config() -> None:
    aws, runs = sources(volumes(1, 2), known=(("vol-1", "vol-2"),))
    (held,) = reconciled_by(CHECK, params(CHECK), aws, runs)
    assert (held.listed, held.count(), held.note) == (2, None, "AWS Config does not record volumes in here")
