"""Lifecycle rules and versioning as S3 answers them, and a bucket with them, judged."""

from __future__ import annotations

from typing import Any

from auditor.answers import Answer
from auditor.checking import Subject
from auditor.checks.aws_s3_object_expiry import CHECK
from auditor.model import Resource, Verdict
from tests.checks.asking import params

BUCKET = {"Name": "exports", "BucketRegion": "eu-central-1"}
TAG = {"Key": "expire", "Value": "true"}
NEVER: dict[str, Any] = {}
EVER, ONCE = {"Status": "Enabled"}, {"Status": "Suspended"}

Rule = dict[str, Any]


def expire(days: int) -> Rule:
    return {"Expiration": {"Days": days}}


def abort(days: int) -> Rule:
    return {"AbortIncompleteMultipartUpload": {"DaysAfterInitiation": days}}


def expire_older(days: int, **more: int) -> Rule:
    return {"NoncurrentVersionExpiration": {"NoncurrentDays": days, **more}}


def rule(*parts: Rule, status: str = "Enabled") -> Rule:
    """Build a rule; one that names no filter is for all objects under exports/."""
    whole: Rule = {"ID": "a rule", "Status": status}
    for part in parts:
        whole |= part
    return whole if "Filter" in whole or "Prefix" in whole else whole | {"Filter": {"Prefix": "exports/"}}


def filtered(**members: Any) -> Rule:
    return {"Filter": members}


def judge(
    lifecycle: Answer, versioning: Answer | None = None, *, prefix: str = "exports/", max_days: int = 7
) -> Verdict:
    subject = Subject(
        Resource("aws.s3.bucket", "exports"),
        bucket=Answer.literal(BUCKET),
        tagging=None,
        lifecycle=lifecycle,
        versioning=versioning or Answer.literal(NEVER),
    )
    return CHECK.evaluate(subject, params(CHECK, buckets=["exports"], prefix=prefix, max_days=max_days))


def rules(*listed: Rule) -> Answer:
    return Answer.literal({"Rules": list(listed)})
