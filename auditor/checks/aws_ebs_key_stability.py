"""Every EBS volume is under the key that every earlier run saw it under.

EC2 names, as a volume's `KmsKeyId`, the KMS key that wraps the volume's data key, always by its ARN (EC2 API Reference,
"Volume"); texts are compared as EC2 reports them. The wrapped data key itself is shown by no API of AWS. Whether the
key is the same as ever is seen from the company's own earlier runs, as far back and as often as these were made. So it
is on the basis of records: what was recorded then, sealed and unbroken. The first run that sees a volume can compare it
with nothing.
"""

from __future__ import annotations

from collections.abc import Iterator
from types import MappingProxyType

import msgspec

from auditor.answers import Answer, pointer_join
from auditor.checking import Check, Reconciled, Source, Subject, in_batches
from auditor.checks import aws_config_volumes
from auditor.model import Basis, Resource, Unproven, Verdict, failed, not_applicable, passed

VOLUMES, VOLUME, KEY = "ec2.describe_volumes", "/VolumeId", "/KmsKeyId"
SEEN = MappingProxyType({"items": "/Volumes", "id": VOLUME, "value": KEY, "flag": "/Encrypted"})
"""What is looked at in earlier runs; a volume that was encrypted there, and named no key, is none that had no key."""
PAGE = 500
"""Volumes of one question: as many as EC2 lists on a page."""


class Params(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """There is nothing to set."""


def collect(params: Params, aws: Source, runs: Source) -> Iterator[Subject | Reconciled]:  # noqa: ARG001 - as in every
    """Every EBS volume of the region, and what earlier runs saw of it: one question for each page of volumes."""
    account = {"type": "aws", "account_id": aws.target.get("/account_id", str)}
    volumes = aws.listing(VOLUMES)
    named = ((volume.get(VOLUME, str), volume) for volume in volumes)
    for page in in_batches(named, PAGE):
        ids = [name for name, _ in page]
        past = runs.ask("distinct", operation=VOLUMES, target=account, **SEEN, ids=ids)
        for name, volume in page:
            yield Subject(Resource("aws.ec2.volume", name, _name(volume), aws.shard), volume=volume, past=past)
    yield aws_config_volumes.reconciled(aws, volumes)


def evaluate(subject: Subject, params: Params) -> Verdict:  # noqa: ARG001 - every check has the same shape
    """Fail a volume whose key is not the one of every earlier run; one that no earlier run saw is apart."""
    key = subject.volume.find(KEY, str)
    if subject.volume.get("/Encrypted", bool) is not (key is not None):
        odd = "is encrypted, but names no key" if key is None else "names a key, but is not encrypted"
        raise Unproven(odd, [subject.volume])
    seen = subject.past.items(pointer_join("/resources", subject.resource.id))
    for other in seen:
        before = None if other.get("/absent", bool) else other.get("/value", str)
        if before != key:
            run, file, line = other.get("/run", str), other.get("/file", str), other.get("/line", int)
            return failed(
                f"was {_under(before)} in the run {run}, and is {_under(key)} now ({file}:{line} of that run)"
            )
    if key is None:
        return not_applicable("is not encrypted: it has no key that could change")
    if not seen:
        return not_applicable(f"first sight: no earlier run saw it{_unread(subject.past)}")
    count, since = seen[0].get("/runs", int), seen[0].get("/run", str)
    earlier = "the earlier run that saw it" if count == 1 else f"each of the {count:,} earlier runs that saw it"
    return passed(f"is under {key}, as in {earlier}, since {since}{_unread(subject.past)}")


def _under(key: str | None) -> str:
    return "not encrypted" if key is None else f"under {key}"


def _unread(past: Answer) -> str:
    """Say what earlier runs did not say: a run that was denied the answer saw nothing, and nothing changed in it."""
    answers, items = past.get("/unread/answers", int), past.get("/unread/items", int)
    counts = ((answers, "of their answers"), (items, "of their volumes"))
    parts = [f"{count:,} {what}" for count, what in counts if count]
    return f"; {' and '.join(parts)} could not be read" if parts else ""


def _name(volume: Answer) -> str:
    tags = volume.items("/Tags") if volume.has("/Tags") else []
    return next((tag.get("/Value", str) for tag in tags if tag.get("/Key", str) == "Name"), "")


CHECK = Check(
    id="aws-ebs-key-stability",
    title="EBS volumes stay under the same key",
    sources={"aws": {VOLUMES: 1, **aws_config_volumes.QUESTIONS}, "runs": {"distinct": 0}},
    shard="region",
    basis=Basis.RECORDS,
    params=Params,
    collect=collect,
    evaluate=evaluate,
    population=(
        "every encrypted EBS volume that ec2:DescribeVolumes lists in every enabled region, in whatever state, and "
        "that an earlier run saw"
    ),
    proves=(
        "the KMS key that EC2 names for the volume is the one of every earlier run that saw it; those runs are as they "
        "were sealed, and none is missing between them"
    ),
    cannot_prove=(
        "the volume's own data key, which no API of AWS shows: what is compared is the KMS key that wraps it",
        "a key that changed and changed back between two runs: it is looked at only as often as runs were made",
        "anything of the time before the first run that saw the volume; at first sight there is nothing to compare",
        "that KMS keeps the material of the key: automatic rotation adds new material under the same ARN",
        "that the last runs before this one were not all taken away: only a chain head kept elsewhere shows that",
        *aws_config_volumes.CANNOT_PROVE,
    ),
    second_source=aws_config_volumes.SECOND_SOURCE,
    no_second_source=aws_config_volumes.NO_SECOND_SOURCE,
    criteria=("CC6.1",),
)
