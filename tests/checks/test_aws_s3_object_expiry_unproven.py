"""Lifecycle rules and versioning that cannot be read, or are not understood, neither pass nor fail."""

from __future__ import annotations

from typing import Any

import pytest

from auditor.answers import Answer
from auditor.model import Citation, Unproven, Unreadable
from tests.checks.asking import ABSENT, DENIED, other_kinds, put, unreadable
from tests.checks.lifecycle import (
    EVER,
    TAG,
    abort,
    expire,
    expire_older,
    filtered,
    judge,
    rule,
    rules,
)

FULL = {
    "Rules": [
        rule({"Transitions": []}, status="Disabled"),
        rule(expire(3), expire_older(4), abort(7), filtered(And={"Prefix": "exports/"})),
    ]
}


def test_the_body_that_is_damaged_below_passes() -> None:
    assert judge(Answer.literal(FULL), Answer.literal(EVER)).outcome == "pass"


@pytest.mark.parametrize(
    "lifecycle",
    [
        *unreadable(FULL, "/Rules/0/Status", "enabled", "disabled", "DISABLED", ""),
        *unreadable(FULL, "/Rules/1/Status", "enabled", "ENABLED", "On"),
        *unreadable(FULL, "/Rules"),
        pytest.param(Answer.literal({}), id="another answer"),
        pytest.param(Answer.literal(None), id="no body"),
        pytest.param(Answer.literal({"Rules": ["Enabled"]}), id="a rule of another shape"),
    ],
)
def test_rules_that_cannot_be_read_neither_pass_nor_fail(lifecycle: Answer) -> None:
    with pytest.raises(Unreadable):
        judge(lifecycle, Answer.literal(EVER))


@pytest.mark.parametrize(
    "pointer",
    [
        "/Rules/1/Expiration",
        "/Rules/1/Expiration/Days",
        "/Rules/1/NoncurrentVersionExpiration",
        "/Rules/1/NoncurrentVersionExpiration/NoncurrentDays",
        "/Rules/1/AbortIncompleteMultipartUpload",
        "/Rules/1/AbortIncompleteMultipartUpload/DaysAfterInitiation",
        "/Rules/1/Filter",
        "/Rules/1/Filter/And",
        "/Rules/1/Filter/And/Prefix",
    ],
)
def test_a_member_that_may_be_missing_must_be_right_where_it_is_there(pointer: str) -> None:
    value = Answer.literal(FULL).get(pointer, Any)
    impossible = [0, -1] if isinstance(value, int) else []
    for wrong in [*other_kinds(value), *impossible]:
        with pytest.raises(Unreadable):
            judge(Answer.literal(put(FULL, pointer, wrong)), Answer.literal(EVER))
    with pytest.raises(Unreadable, match="redacted"):
        judge(Answer.literal(FULL, redacted=(pointer,)), Answer.literal(EVER))


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("Filter/Prefix", "exports/"),
        ("Filter/Tag", TAG),
        ("Filter/ObjectSizeGreaterThan", 1),
        ("Filter/ObjectSizeLessThan", 1),
        ("Filter/And/Tags", [TAG]),
        ("Filter/And/ObjectSizeGreaterThan", 1),
        ("Filter/And/ObjectSizeLessThan", 1),
        ("NoncurrentVersionExpiration/NewerNoncurrentVersions", 1),
        ("Prefix", "exports/"),
    ],
)
def test_a_condition_that_is_unreadable_neither_passes_nor_fails(name: str, value: Any) -> None:
    body: Any = {"Rules": [rule(expire(1), expire_older(1), abort(1), {} if name == "Prefix" else filtered())]}
    if name == "Prefix":
        del body["Rules"][0]["Filter"]
    if "/And/" in name:
        body = put(body, "/Rules/0/Filter/And", {})
    for wrong in other_kinds(value):
        with pytest.raises(Unreadable):
            judge(Answer.literal(put(body, f"/Rules/0/{name}", wrong)), Answer.literal(EVER))


@pytest.mark.parametrize(
    ("place", "named"),
    [
        ("Filter", "Filter"),
        ("Filter/And", "Filter/And"),
        ("Expiration", "Expiration"),
        ("NoncurrentVersionExpiration", "NoncurrentVersionExpiration"),
        ("AbortIncompleteMultipartUpload", "AbortIncompleteMultipartUpload"),
    ],
)
def test_a_condition_that_s3_adds_one_day_is_not_taken_for_none(place: str, named: str) -> None:
    body = put(FULL, f"/Rules/1/{place}/StorageClassIs", "STANDARD")
    with pytest.raises(Unproven, match=f"holds StorageClassIs in its {named}, which is not known here") as caught:
        judge(Answer.literal(body), Answer.literal(EVER))
    assert caught.value.cites == (Citation("literal", (1, 1), "/Rules/1"),)


@pytest.mark.parametrize(
    ("where", "reason"),
    [
        ({}, "not exactly one of a filter and a prefix"),
        ({"Filter": {}, "Prefix": "other/"}, "not exactly one of a filter and a prefix"),
        ({"Filter": {"Prefix": "exports/"}, "Prefix": "exports/"}, "not exactly one of a filter and a prefix"),
        ({"Filter": {"Prefix": "other/", "And": {"Prefix": ""}}}, "more than one member"),
        ({"Filter": {"Prefix": "exports/", "Tag": {"Key": "a", "Value": "b"}}}, "more than one member"),
    ],
)
def test_a_rule_that_contradicts_itself_is_unproven(where: dict[str, object], reason: str) -> None:
    """S3 takes exactly one (facts of its API): which of two counts, nobody knows."""
    bare = {"Status": "Enabled", "Expiration": {"Days": 1}, **where}
    with pytest.raises(Unproven, match=reason) as caught:
        judge(rules(rule(expire(1), abort(1)), bare))
    assert caught.value.cites == (Citation("literal", (1, 1), "/Rules/1"),)


@pytest.mark.parametrize(
    "versioning",
    [
        DENIED,
        ABSENT,
        Answer.literal(EVER, redacted=("/Status",)),
        *(
            Answer.literal({"Status": wrong})
            for wrong in [*other_kinds("Enabled"), "enabled", "Disabled", "", "Suspended "]
        ),
        Answer.literal(None),
        Answer.literal([]),
        Answer.literal("Enabled"),
    ],
)
@pytest.mark.parametrize("lifecycle", [Answer.literal(FULL), ABSENT])
def test_versioning_that_cannot_be_read_neither_passes_nor_fails(versioning: Answer, lifecycle: Answer) -> None:
    with pytest.raises(Unreadable):
        judge(lifecycle, versioning)


def test_a_lifecycle_that_was_refused_is_not_the_absence_of_one() -> None:
    with pytest.raises(Unreadable, match="AccessDenied"):
        judge(DENIED)
