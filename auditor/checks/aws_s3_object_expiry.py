"""Objects under a prefix are gone within so many days: current ones, older versions, unfinished uploads.

On the basis of configuration: S3's lifecycle rules (S3 User Guide, "Expiring objects"). A rule counts when it is
enabled and its filter covers the whole prefix; a tag or size filter leaves objects out, `Date` rules expire only once,
and NewerNoncurrentVersions keeps versions forever. In a bucket that ever kept versions an expired object stays as a
non-current version, so both limits add up.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Literal

import msgspec

from auditor.answers import Answer
from auditor.checking import Check, Source, Subject
from auditor.checks.s3_buckets import Selection, candidates, out_of_scope
from auditor.model import Basis, Unproven, Verdict, failed, passed

Days = Annotated[int, msgspec.Meta(ge=1, examples=[7])]
PARTIAL = {"Tag": dict, "Tags": list, "ObjectSizeGreaterThan": int, "ObjectSizeLessThan": int}
KNOWN = {
    "/Filter": {"Prefix", "And", *PARTIAL},
    "/Filter/And": {"Prefix", *PARTIAL},
    "/Expiration": {"Days", "Date", "ExpiredObjectDeleteMarker"},
    "/NoncurrentVersionExpiration": {"NoncurrentDays", "NewerNoncurrentVersions"},
    "/AbortIncompleteMultipartUpload": {"DaysAfterInitiation"},
}
"""What a rule may hold there. S3 has added conditions before: one that is not known here could leave objects out."""


class Params(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`buckets`: names, or a tag; `prefix`: what the objects' keys begin with; `max_days`: their longest life."""

    buckets: Selection
    max_days: Annotated[Days, msgspec.Meta(examples=[7])]
    prefix: Annotated[str, msgspec.Meta(examples=["exports/"])] = ""


def collect(params: Params, aws: Source) -> Iterator[Subject]:
    """Every bucket of the account, and of those in scope the lifecycle rules and the versioning."""
    for candidate in candidates(aws, params.buckets):
        if candidate.chosen:
            yield candidate.subject.plus(
                lifecycle=aws.ask("s3.get_bucket_lifecycle_configuration", **candidate.where),
                versioning=aws.ask("s3.get_bucket_versioning", **candidate.where),
            )
        else:
            yield candidate.subject


def evaluate(subject: Subject, params: Params) -> Verdict:
    """Fail a bucket in which anything under the prefix may stay longer."""
    if verdict := out_of_scope(subject, params.buckets):
        return verdict
    versioned = subject.versioning.find("/Status", Literal["Enabled", "Suspended"]) is not None
    if subject.lifecycle.absent:
        return failed("has no lifecycle configuration: nothing ever expires")
    rules = [rule for rule in subject.lifecycle.items("/Rules") if _covers(rule, params.prefix)]
    current = _shortest(rules, "/Expiration/Days", unless=())
    older = _shortest(
        rules,
        "/NoncurrentVersionExpiration/NoncurrentDays",
        unless=("/NoncurrentVersionExpiration/NewerNoncurrentVersions",),
    )
    uploads = _shortest(rules, "/AbortIncompleteMultipartUpload/DaysAfterInitiation", unless=())
    lives = {"objects": current, "unfinished uploads": uploads}
    if versioned:
        lives["older versions"] = current + older if current is not None and older is not None else None
    faults = [_fault(what, days, params.max_days) for what, days in lives.items()]
    found = "; ".join(fault for fault in faults if fault)
    if found:
        return failed(f"under {params.prefix!r}: {found}")
    stated = ", ".join(f"{what} after {_days(days)}" for what, days in lives.items())
    return passed(f"under {params.prefix!r} expires {stated}")


def _covers(rule: Answer, prefix: str) -> bool:
    """Whether the rule is in force for every object under the prefix."""
    if rule.get("/Status", Literal["Enabled", "Disabled"]) == "Disabled":
        return False
    if rule.has("/Filter") is rule.has("/Prefix"):
        raise Unproven("a lifecycle rule has not exactly one of a filter and a prefix", [rule])
    if rule.has("/Prefix"):
        return prefix.startswith(rule.get("/Prefix", str))
    _require_known(rule, "/Filter")
    if len(rule.get("/Filter", dict)) > 1:
        raise Unproven("a lifecycle rule's filter has more than one member, so nobody knows which counts", [rule])
    if _is_partial(rule, "/Filter"):
        return False
    if not rule.has("/Filter/And"):
        return prefix.startswith(rule.find("/Filter/Prefix", str) or "")
    if _is_partial(rule, "/Filter/And"):
        return False
    return prefix.startswith(rule.find("/Filter/And/Prefix", str) or "")


def _is_partial(rule: Answer, place: str) -> bool:
    """Whether a filter there leaves objects out by tag or size."""
    _require_known(rule, place)
    return any(rule.find(f"{place}/{name}", kind) is not None for name, kind in PARTIAL.items())


def _require_known(rule: Answer, place: str) -> None:
    unknown = rule.get(place, dict).keys() - KNOWN[place]
    if unknown:
        raise Unproven(f"a lifecycle rule holds {min(unknown)} in its {place[1:]}, which is not known here", [rule])


def _shortest(rules: list[Answer], pointer: str, *, unless: tuple[str, ...]) -> int | None:
    """Return the fewest days any of the rules gives: where several apply, S3 acts on the earliest."""
    action = pointer.rpartition("/")[0]
    days = []
    for rule in rules:
        if rule.has(action):
            _require_known(rule, action)
        if rule.has(pointer) and all(rule.find(condition, int) is None for condition in unless):
            days.append(rule.get(pointer, Days))
    return min(days, default=None)


def _fault(what: str, days: int | None, limit: int) -> str:
    if days is None:
        return f"no enabled rule for the whole prefix expires {what}"
    return f"{what} stay {_days(days)}, longer than {_days(limit)}" if days > limit else ""


def _days(days: int | None) -> str:
    return "1 day" if days == 1 else f"{days} days"


CHECK = Check(
    id="aws-s3-object-expiry",
    title="S3 objects are short-lived",
    sources={
        "aws": {
            "s3.list_buckets": 1,
            "s3.get_bucket_tagging": 0,
            "s3.get_bucket_lifecycle_configuration": 0,
            "s3.get_bucket_versioning": 0,
        }
    },
    shard="account",
    basis=Basis.CONFIGURATION,
    params=Params,
    collect=collect,
    evaluate=evaluate,
    population="every bucket that s3:ListAllMyBuckets lists; in scope are those named, or carrying the tag",
    proves=(
        "S3 is told to delete everything under the prefix once it is max_days old, counted to the next midnight (UTC): "
        "current objects, older versions where the bucket ever kept any, and unfinished uploads"
    ),
    cannot_prove=(
        "when S3 acts: removal is queued, and AWS publishes no bound for it",
        "objects held by Object Lock, which a lifecycle rule does not delete",
        "copies outside the bucket: downloads, replicas, backups",
        "directory buckets (S3 Express), which are not in this listing",
    ),
    no_second_source="S3 counts an account's buckets nowhere else: its listing stands alone",
    criteria=("C1.2", "CC6.7"),
)
