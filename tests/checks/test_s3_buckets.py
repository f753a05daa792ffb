"""Which buckets an S3 test is about, and that nothing leaves the scope without a proof."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from auditor.answers import Answer, Listing
from auditor.checking import Subject
from auditor.checks.s3_buckets import Selection, Tag, candidates, out_of_scope
from auditor.model import Citation, Resource, Unproven, Unreadable, not_applicable
from tests.checks.asking import ABSENT, DENIED, InMemory, paged, question, unreadable

A = {"Name": "a", "BucketRegion": "eu-central-1"}
B = {"Name": "b", "BucketRegion": "us-east-1"}
ONE_TAG = {"TagSet": [{"Key": "data", "Value": "export"}]}
EXPORT = Tag("data", "export")
NOT_NAMED = not_applicable("is not one of the named buckets")
NOT_TAGGED = not_applicable("does not carry the tag data=export")
LIST = question("s3.list_buckets")


def tags(**values: str) -> Answer:
    return Answer.literal({"TagSet": [{"Key": name, "Value": value} for name, value in values.items()]})


def tagging(bucket: dict[str, str]) -> Any:
    return question("s3.get_bucket_tagging", Bucket=bucket["Name"], BucketRegion=bucket["BucketRegion"])


def found(source: InMemory, selection: Selection) -> list[tuple[Resource, bool, dict[str, object]]]:
    return [
        (candidate.subject.resource, candidate.chosen, candidate.where) for candidate in candidates(source, selection)
    ]


# --- by name ----------------------------------------------------------------------------------------------------------


def test_named_buckets_are_chosen_and_the_others_are_candidates_too() -> None:
    source = InMemory({LIST: paged([A], [B])})
    assert found(source, ["b"]) == [
        (Resource("aws.s3.bucket", "a", region="eu-central-1"), False, {"Bucket": "a", "BucketRegion": "eu-central-1"}),
        (Resource("aws.s3.bucket", "b", region="us-east-1"), True, {"Bucket": "b", "BucketRegion": "us-east-1"}),
    ]
    assert source.asked == [LIST]


def test_names_are_compared_whole_and_by_case() -> None:
    source = InMemory({LIST: paged([A])})
    chosen = {candidate.subject.resource.id: candidate.chosen for candidate in candidates(source, ["A", "aa", ""])}
    assert chosen == {"a": False, "A": False, "aa": False, "": False}


def test_a_bucket_that_is_listed_twice_is_chosen_twice() -> None:
    source = InMemory({LIST: paged([A], [A])})
    assert [chosen for _, chosen, _ in found(source, ["a"])] == [True, True]


def test_a_named_bucket_that_the_account_does_not_list_is_unproven_once_citing_the_listing() -> None:
    source = InMemory({LIST: paged([A], [B])})
    *_, missing = candidates(source, ["gone", "a", "gone"])
    assert (missing.subject.resource, missing.chosen) == (Resource("aws.s3.bucket", "gone"), False)
    with pytest.raises(Unproven, match="is named in the policy, but the account lists no such bucket") as caught:
        out_of_scope(missing.subject, ["gone", "a", "gone"])
    assert caught.value.cites == (Citation("literal", (1, 2)),)
    assert len(found(source, ["gone", "a", "gone"])) == 3


def test_no_bucket_is_missing_before_the_whole_listing_was_read() -> None:
    source = InMemory({LIST: paged([A], None)})
    rest = candidates(source, ["gone"])
    assert next(rest).subject.resource.id == "a"
    with pytest.raises(Unreadable, match="cut off"):
        next(rest)


def test_a_listing_that_was_refused_has_no_candidates() -> None:
    source = InMemory({LIST: Listing.literal(status="error", reason="AccessDenied")})
    with pytest.raises(Unreadable, match="AccessDenied"):
        list(candidates(source, ["a"]))


@pytest.mark.parametrize(
    ("bucket", "verdict"), [pytest.param(A, None, id="in scope"), pytest.param(B, NOT_NAMED, id="out of scope")]
)
def test_scope_by_name(bucket: dict[str, str], verdict: object) -> None:
    subject = Subject(Resource("aws.s3.bucket", "a"), bucket=Answer.literal(bucket), tagging=None)
    assert out_of_scope(subject, ["a", "c"]) == verdict


@pytest.mark.parametrize("bucket", unreadable(A, "/Name"))
def test_scope_by_name_needs_the_name(bucket: Answer) -> None:
    with pytest.raises(Unreadable):
        out_of_scope(Subject(Resource("aws.s3.bucket", "a"), bucket=bucket, tagging=None), ["a"])


# --- by tag -----------------------------------------------------------------------------------------------------------


def test_tagged_buckets_are_chosen_and_the_others_are_candidates_too() -> None:
    source = InMemory({LIST: paged([A], [B]), tagging(A): tags(data="export"), tagging(B): ABSENT})
    assert [(resource.id, chosen) for resource, chosen, _ in found(source, EXPORT)] == [("a", True), ("b", False)]
    assert source.asked == [LIST, tagging(A), tagging(B)]


TAGS = [
    pytest.param(tags(data="export"), None, id="the tag"),
    pytest.param(tags(team="x", data="export", z=""), None, id="among others"),
    pytest.param(tags(data="exports"), NOT_TAGGED, id="a longer value"),
    pytest.param(tags(data="Export"), NOT_TAGGED, id="another case"),
    pytest.param(tags(Data="export"), NOT_TAGGED, id="another key"),
    pytest.param(tags(export="data"), NOT_TAGGED, id="the wrong way round"),
    pytest.param(tags(data="log", kind="export"), NOT_TAGGED, id="key and value of different tags"),
    pytest.param(tags(), NOT_TAGGED, id="no tags"),
    pytest.param(ABSENT, NOT_TAGGED, id="plainly no tags"),
]


@pytest.mark.parametrize(("answer", "verdict"), TAGS)
def test_scope_by_tag(answer: Answer, verdict: object) -> None:
    subject = Subject(Resource("aws.s3.bucket", "a"), bucket=Answer.literal(A), tagging=answer)
    assert out_of_scope(subject, EXPORT) == verdict
    source = InMemory({LIST: paged([A]), tagging(A): answer})
    assert [chosen for _, chosen, _ in found(source, EXPORT)] == [verdict is None]


def test_a_bucket_whose_tags_cannot_be_read_is_an_error_and_the_population_goes_on() -> None:
    source = InMemory({LIST: paged([A, B]), tagging(A): DENIED, tagging(B): tags(data="export")})
    first, second = candidates(source, EXPORT)
    assert (first.chosen, second.chosen) == (False, True)
    with pytest.raises(Unreadable, match="AccessDenied"):
        out_of_scope(first.subject, EXPORT)


@pytest.mark.parametrize(
    "answer",
    [
        *unreadable(ONE_TAG, "/TagSet/0/Key"),
        *unreadable(ONE_TAG, "/TagSet/0/Value"),
        *unreadable(ONE_TAG, "/TagSet"),
        pytest.param(Answer.literal(None), id="no body"),
        pytest.param(Answer.literal({"TagSet": ["data=export"]}), id="tags of another shape"),
    ],
)
def test_tags_that_cannot_be_read_put_nothing_out_of_scope(answer: Answer) -> None:
    with pytest.raises(Unreadable):
        out_of_scope(Subject(Resource("aws.s3.bucket", "a"), bucket=Answer.literal(A), tagging=answer), EXPORT)


def test_a_page_that_cannot_be_read_ends_the_tagged_population_after_what_was_read() -> None:
    source = InMemory({LIST: paged([A], None, [B]), tagging(A): tags(data="export")})
    rest = candidates(source, EXPORT)
    assert next(rest).chosen
    with pytest.raises(Unreadable, match="cut off"):
        next(rest)


@pytest.mark.parametrize("selection", [["a"], EXPORT], ids=["by name", "by tag"])
@pytest.mark.parametrize(
    "bucket", [{"Name": "a"}, {"BucketRegion": "eu-central-1"}, A | {"Name": None}, A | {"BucketRegion": 7}, "a"]
)
def test_a_bucket_without_name_or_region_ends_the_population(selection: Selection, bucket: Any) -> None:
    with pytest.raises(Unreadable):
        list(candidates(InMemory({LIST: paged([bucket])}), selection))


# --- parameters -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("given", "selection"),
    [
        (["a", "b"], ["a", "b"]),
        ({"key": "data", "value": "export"}, EXPORT),
        ({"key": "data", "value": ""}, Tag("data", "")),
    ],
)
def test_a_selection_is_names_or_a_tag(given: Any, selection: Any) -> None:
    assert msgspec.convert(given, Selection, strict=True) == selection


@pytest.mark.parametrize(
    "given", [[], {}, {"key": "data"}, {"key": "", "value": "x"}, {"key": "a", "value": "b", "or": 1}, "a", [7]]
)
def test_nothing_else_is_a_selection(given: Any) -> None:
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert(given, Selection, strict=True)
