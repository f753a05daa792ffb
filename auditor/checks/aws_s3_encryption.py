"""Buckets encrypt new objects by default.

On the basis of configuration. Since 2023-01-05 S3 encrypts every new object with AES-256 whatever the bucket says
(S3 User Guide, "default encryption FAQ"); objects written before were not encrypted again.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Literal

import msgspec

from auditor.checking import Check, Source, Subject
from auditor.checks.s3_buckets import Selection, candidates, out_of_scope
from auditor.model import Basis, Unproven, Verdict, failed, passed

Algorithm = Literal["AES256", "aws:kms", "aws:kms:dsse"]
AnyAlgorithm = Literal[Algorithm, "aws:fsx", "aws:backup"]  # every word that S3 has for one


class Params(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`buckets`: names, or a tag; `algorithms`: the defaults that count as encrypted (all of them AES-256)."""

    buckets: Selection
    algorithms: Annotated[tuple[Algorithm, ...], msgspec.Meta(min_length=1)] = ("AES256", "aws:kms", "aws:kms:dsse")


def collect(params: Params, aws: Source) -> Iterator[Subject]:
    """Every bucket of the account, and of those in scope the default encryption."""
    for candidate in candidates(aws, params.buckets):
        if candidate.chosen:
            yield candidate.subject.plus(encryption=aws.ask("s3.get_bucket_encryption", **candidate.where))
        else:
            yield candidate.subject


def evaluate(subject: Subject, params: Params) -> Verdict:
    """Fail a bucket without a default, or with one that is not accepted."""
    if verdict := out_of_scope(subject, params.buckets):
        return verdict
    if subject.encryption.absent:
        return failed("has no default encryption")
    rules = subject.encryption.items("/ServerSideEncryptionConfiguration/Rules")
    if not rules:
        raise Unproven("answered with no encryption rule at all", [subject.encryption])
    found = [rule.get("/ApplyServerSideEncryptionByDefault/SSEAlgorithm", AnyAlgorithm) for rule in rules]
    refused = [algorithm for algorithm in found if algorithm not in params.algorithms]
    if refused:
        return failed(f"encrypts by default with {refused[0]}, which is none of {', '.join(params.algorithms)}")
    return passed(f"encrypts new objects by default with {found[0]}")


CHECK = Check(
    id="aws-s3-encryption",
    title="S3 buckets encrypt new objects by default",
    sources={"aws": {"s3.list_buckets": 1, "s3.get_bucket_tagging": 0, "s3.get_bucket_encryption": 0}},
    shard="account",
    basis=Basis.CONFIGURATION,
    params=Params,
    collect=collect,
    evaluate=evaluate,
    population="every bucket that s3:ListAllMyBuckets lists; in scope are those named, or carrying the tag",
    proves="an object written without asking for anything else is encrypted with AES-256",
    cannot_prove=(
        "the encryption of objects that were there before the default was set: S3 does not encrypt them again",
        "objects whose writer asked for another encryption",
        "directory buckets (S3 Express), which are not in this listing",
    ),
    no_second_source="S3 counts an account's buckets nowhere else: its listing stands alone",
)
