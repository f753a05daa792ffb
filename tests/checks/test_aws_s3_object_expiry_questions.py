"""What the expiry of objects is asked of, by which parameters."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from auditor.answers import Answer
from auditor.checks.aws_s3_object_expiry import CHECK
from auditor.model import Unproven, Unreadable, not_applicable
from tests.checks.asking import DENIED, InMemory, paged, params, question, subjects_of
from tests.checks.lifecycle import (
    BUCKET,
    NEVER,
    abort,
    expire,
    rule,
    rules,
)

OTHER = {"Name": "website", "BucketRegion": "us-east-1"}
LIST = question("s3.list_buckets")
LIFECYCLE = question("s3.get_bucket_lifecycle_configuration", Bucket="exports", BucketRegion="eu-central-1")
VERSIONING = question("s3.get_bucket_versioning", Bucket="exports", BucketRegion="eu-central-1")
GOOD = rules(rule(expire(7), abort(7)))


def test_lifecycle_and_versioning_are_asked_of_the_named_buckets_only() -> None:
    source = InMemory({LIST: paged([OTHER], [BUCKET]), LIFECYCLE: GOOD, VERSIONING: Answer.literal(NEVER)})
    given = params(CHECK, buckets=["exports", "gone"], prefix="exports/", max_days=7)
    website, exports, gone = subjects_of(CHECK, given, source)
    assert CHECK.evaluate(website, given) == not_applicable("is not one of the named buckets")
    assert CHECK.evaluate(exports, given).outcome == "pass"
    with pytest.raises(Unproven, match="the account lists no such bucket"):
        CHECK.evaluate(gone, given)
    assert source.asked == [LIST, LIFECYCLE, VERSIONING]


@pytest.mark.parametrize(
    ("tags", "outcome"), [([], "not_applicable"), ([{"Key": "data", "Value": "export"}], "pass")], ids=["no", "yes"]
)
def test_lifecycle_and_versioning_are_asked_of_the_tagged_buckets_only(tags: list[Any], outcome: str) -> None:
    tagging = question("s3.get_bucket_tagging", Bucket="exports", BucketRegion="eu-central-1")
    source = InMemory(
        {
            LIST: paged([BUCKET]),
            tagging: Answer.literal({"TagSet": tags}),
            LIFECYCLE: GOOD,
            VERSIONING: Answer.literal(NEVER),
        }
    )
    given = params(CHECK, buckets={"key": "data", "value": "export"}, prefix="exports/", max_days=7)
    (subject,) = subjects_of(CHECK, given, source)
    assert CHECK.evaluate(subject, given).outcome == outcome
    assert source.asked == [LIST, tagging, *([LIFECYCLE, VERSIONING] if tags else [])]


@pytest.mark.parametrize("refused", [LIFECYCLE, VERSIONING], ids=["lifecycle", "versioning"])
def test_a_bucket_that_cannot_be_asked_is_an_error_and_the_population_goes_on(refused: Any) -> None:
    answers = {LIST: paged([BUCKET, OTHER]), LIFECYCLE: GOOD, VERSIONING: Answer.literal(NEVER)} | {refused: DENIED}
    given = params(CHECK, buckets=["exports"], prefix="exports/", max_days=7)
    exports, website = subjects_of(CHECK, given, InMemory(answers))
    with pytest.raises(Unreadable, match="AccessDenied"):
        CHECK.evaluate(exports, given)
    assert CHECK.evaluate(website, given) == not_applicable("is not one of the named buckets")


def test_a_page_that_cannot_be_read_ends_the_population_after_what_was_read() -> None:
    source = InMemory({LIST: paged([BUCKET], None), LIFECYCLE: GOOD, VERSIONING: Answer.literal(NEVER)})
    subjects = subjects_of(CHECK, params(CHECK, buckets=["exports"], max_days=7), source)
    assert next(subjects).resource.id == "exports"
    with pytest.raises(Unreadable, match="cut off"):
        next(subjects)


@pytest.mark.parametrize(
    "given",
    [
        {"max_days": 0},
        {"max_days": -1},
        {"max_days": "7"},
        {"max_days": 7.0},
        {"max_days": True},
        {"max_days": 7, "prefix": None},
        {"max_days": 7, "days": 7},
        {},
    ],
)
def test_parameters_are_strict(given: dict[str, Any]) -> None:
    with pytest.raises(msgspec.ValidationError):
        params(CHECK, buckets=["exports"], **given)


def test_without_a_prefix_the_whole_bucket_is_meant() -> None:
    assert params(CHECK, buckets=["exports"], max_days=7).prefix == ""
