"""Which buckets an S3 test is about: named ones, or those with a tag. The others are out of scope, with the proof."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, NamedTuple

import msgspec

from auditor.answers import Answer
from auditor.checking import Source, Subject
from auditor.model import Resource, Unproven, Verdict, not_applicable

TYPE = "aws.s3.bucket"


class Tag(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The tag that puts a bucket in scope.

    `key` and `value`: of the tag, to the letter.
    """

    key: Annotated[str, msgspec.Meta(min_length=1)]
    value: str


Names = Annotated[list[str], msgspec.Meta(min_length=1)]
Selection = Annotated[Names | Tag, msgspec.Meta(examples=[{"key": "data", "value": "export"}])]


class Candidate(NamedTuple):
    """One bucket of the account; `chosen` says whether the test is about it, as far as that could be read."""

    subject: Subject
    chosen: bool
    where: dict[str, object]


def candidates(aws: Source, selection: Selection) -> Iterator[Candidate]:
    """Every bucket of the account, then every named one that the account does not list.

    `where` holds the parameters that address the bucket in its own region.
    """
    buckets = aws.listing("s3.list_buckets")
    if isinstance(selection, Tag):
        tags = aws.ask_each("s3.get_bucket_tagging", (_where(bucket) for bucket in buckets))
        for bucket, tagging in zip(buckets, tags, strict=True):
            chosen = tagging.readable and not tagging.absent and _tagged(tagging, selection)
            yield Candidate(Subject(_resource(bucket), bucket=bucket, tagging=tagging), chosen, _where(bucket))
        return
    missing = dict.fromkeys(selection)
    for bucket in buckets:
        name = bucket.get("/Name", str)
        yield Candidate(Subject(_resource(bucket), bucket=bucket, tagging=None), name in selection, _where(bucket))
        missing.pop(name, None)
    for name in missing:
        yield Candidate(
            Subject(Resource(TYPE, name), bucket=None, tagging=None, buckets=buckets), chosen=False, where={}
        )


def out_of_scope(subject: Subject, selection: Selection) -> Verdict | None:
    """Return the verdict on a bucket the test is not about, None where it is; raises where that cannot be told."""
    if subject.bucket is None:
        raise Unproven("is named in the policy, but the account lists no such bucket", [subject.buckets])
    if isinstance(selection, Tag):
        if subject.tagging.absent or not _tagged(subject.tagging, selection):
            return not_applicable(f"does not carry the tag {selection.key}={selection.value}")
    elif subject.bucket.get("/Name", str) not in selection:
        return not_applicable("is not one of the named buckets")
    return None


def _resource(bucket: Answer) -> Resource:
    return Resource(TYPE, bucket.get("/Name", str), region=bucket.get("/BucketRegion", str))


def _where(bucket: Answer) -> dict[str, object]:
    return {"Bucket": bucket.get("/Name", str), "BucketRegion": bucket.get("/BucketRegion", str)}


def _tagged(tagging: Answer, tag: Tag) -> bool:
    return any(
        item.get("/Key", str) == tag.key and item.get("/Value", str) == tag.value for item in tagging.items("/TagSet")
    )
