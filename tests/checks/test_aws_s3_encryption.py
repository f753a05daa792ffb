"""Default encryption of buckets: which defaults count, and that only S3's plain word for none is a failure."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from auditor.answers import Answer
from auditor.checking import Subject
from auditor.checks.aws_s3_encryption import CHECK
from auditor.model import Citation, Resource, Unproven, Unreadable, Verdict, failed, not_applicable, passed
from tests.checks.asking import ABSENT, DENIED, InMemory, paged, params, question, subjects_of, unreadable

BUCKET = {"Name": "exports", "BucketRegion": "eu-central-1"}
OTHER = {"Name": "website", "BucketRegion": "us-east-1"}
TAG = {"key": "data", "value": "export"}
TAGGED = Answer.literal({"TagSet": [{"Key": "data", "Value": "export"}]})


def default(*algorithms: str) -> dict[str, Any]:
    rules = [{"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": algorithm}} for algorithm in algorithms]
    return {"ServerSideEncryptionConfiguration": {"Rules": rules}}


def judge(encryption: Answer, **given: Any) -> Verdict:
    subject = Subject(
        Resource("aws.s3.bucket", "exports"), bucket=Answer.literal(BUCKET), tagging=None, encryption=encryption
    )
    return CHECK.evaluate(subject, params(CHECK, buckets=["exports"], **given))


@pytest.mark.parametrize("algorithm", ["AES256", "aws:kms", "aws:kms:dsse"])
def test_every_default_of_aes_256_passes(algorithm: str) -> None:
    assert judge(Answer.literal(default(algorithm))) == passed(f"encrypts new objects by default with {algorithm}")


def test_of_several_rules_the_first_is_named() -> None:
    assert judge(Answer.literal(default("aws:kms", "AES256"))) == passed("encrypts new objects by default with aws:kms")


def test_what_stands_beside_the_default_changes_nothing() -> None:
    body = default("aws:kms")
    body["ServerSideEncryptionConfiguration"]["Rules"][0] |= {"BucketKeyEnabled": True}
    assert judge(Answer.literal(body)) == passed("encrypts new objects by default with aws:kms")


@pytest.mark.parametrize(
    ("body", "accepted", "refused"),
    [
        pytest.param(default("AES256"), ["aws:kms"], "AES256", id="not the one that is asked for"),
        pytest.param(default("aws:kms"), ["aws:kms:dsse"], "aws:kms", id="a name that begins alike"),
        pytest.param(default("aws:kms:dsse"), ["aws:kms"], "aws:kms:dsse", id="a longer name"),
        pytest.param(default("aws:fsx"), ["AES256", "aws:kms"], "aws:fsx", id="fsx"),
        pytest.param(default("aws:backup"), ["AES256"], "aws:backup", id="backup"),
        pytest.param(default("aws:kms", "AES256"), ["aws:kms"], "AES256", id="one rule of two"),
        pytest.param(default("aws:fsx", "aws:backup"), ["aws:kms"], "aws:fsx", id="both rules, the first is named"),
    ],
)
def test_a_default_that_is_not_accepted_fails(body: Any, accepted: list[str], refused: str) -> None:
    verdict = judge(Answer.literal(body), algorithms=accepted)
    assert verdict == failed(f"encrypts by default with {refused}, which is none of {', '.join(accepted)}")


def test_a_bucket_of_which_s3_says_plainly_that_it_has_no_default_fails() -> None:
    assert judge(ABSENT) == failed("has no default encryption")


def test_a_configuration_without_rules_is_unproven() -> None:
    with pytest.raises(Unproven, match="answered with no encryption rule at all") as caught:
        judge(Answer.literal(default()))
    assert caught.value.cites == (Citation("literal", (1, 1)),)


@pytest.mark.parametrize(
    "answer",
    [
        *unreadable(
            default("AES256"),
            "/ServerSideEncryptionConfiguration/Rules/0/ApplyServerSideEncryptionByDefault/SSEAlgorithm",
            *("aes256", "AES128", "none", "aws:kms "),
        ),
        *unreadable(
            default("AES256"), "/ServerSideEncryptionConfiguration/Rules/0/ApplyServerSideEncryptionByDefault", {}
        ),
        *unreadable(default("AES256"), "/ServerSideEncryptionConfiguration/Rules"),
        *unreadable(default("AES256"), "/ServerSideEncryptionConfiguration", {}),
        pytest.param(Answer.literal({}), id="another answer"),
        pytest.param(Answer.literal(None), id="no body"),
    ],
)
def test_a_default_that_cannot_be_read_neither_passes_nor_fails(answer: Answer) -> None:
    with pytest.raises(Unreadable):
        judge(answer)


def test_one_good_rule_does_not_hide_an_unreadable_one() -> None:
    body = default("AES256", "AES256")
    del body["ServerSideEncryptionConfiguration"]["Rules"][1]["ApplyServerSideEncryptionByDefault"]
    with pytest.raises(Unreadable):
        judge(Answer.literal(body))


@pytest.mark.parametrize("algorithms", [[], ["aws:fsx"], ["AES-256"], "AES256", None])
def test_only_algorithms_of_aes_256_can_be_accepted(algorithms: Any) -> None:
    with pytest.raises(msgspec.ValidationError):
        params(CHECK, buckets=["exports"], algorithms=algorithms)


def test_parameters_are_strict() -> None:
    with pytest.raises(msgspec.ValidationError):
        params(CHECK, buckets=["exports"], prefix="exports/")


ENCRYPTION = question("s3.get_bucket_encryption", Bucket="exports", BucketRegion="eu-central-1")


def test_the_default_is_asked_of_the_named_buckets_only() -> None:
    source = InMemory(
        {question("s3.list_buckets"): paged([OTHER], [BUCKET]), ENCRYPTION: Answer.literal(default("AES256"))}
    )
    given = params(CHECK, buckets=["exports", "gone"])
    website, exports, gone = subjects_of(CHECK, given, source)
    assert CHECK.evaluate(website, given) == not_applicable("is not one of the named buckets")
    assert CHECK.evaluate(exports, given) == passed("encrypts new objects by default with AES256")
    with pytest.raises(Unproven, match="the account lists no such bucket"):
        CHECK.evaluate(gone, given)
    assert [subject.resource.id for subject in (website, exports, gone)] == ["website", "exports", "gone"]
    assert source.asked == [question("s3.list_buckets"), ENCRYPTION]


@pytest.mark.parametrize(
    ("tagging", "outcome"),
    [
        pytest.param(ABSENT, not_applicable("does not carry the tag data=export"), id="no tags"),
        pytest.param(TAGGED, passed("encrypts new objects by default with AES256"), id="tagged"),
    ],
)
def test_the_default_is_asked_of_the_tagged_buckets_only(tagging: Answer, outcome: Verdict) -> None:
    asked_tags = question("s3.get_bucket_tagging", Bucket="exports", BucketRegion="eu-central-1")
    source = InMemory(
        {
            question("s3.list_buckets"): paged([BUCKET]),
            asked_tags: tagging,
            ENCRYPTION: Answer.literal(default("AES256")),
        }
    )
    given = params(CHECK, buckets=TAG)
    (subject,) = subjects_of(CHECK, given, source)
    assert CHECK.evaluate(subject, given) == outcome
    asked = [question("s3.list_buckets"), asked_tags, *([ENCRYPTION] if tagging is TAGGED else [])]
    assert source.asked == asked


def test_a_bucket_that_is_listed_twice_is_judged_twice_alike() -> None:
    source = InMemory({question("s3.list_buckets"): paged([BUCKET], [BUCKET]), ENCRYPTION: ABSENT})
    given = params(CHECK, buckets=["exports"])
    verdicts = [CHECK.evaluate(subject, given) for subject in subjects_of(CHECK, given, source)]
    assert verdicts == [failed("has no default encryption")] * 2


def test_a_bucket_that_cannot_be_asked_is_an_error_and_the_population_goes_on() -> None:
    second = question("s3.get_bucket_encryption", Bucket="website", BucketRegion="us-east-1")
    source = InMemory(
        {
            question("s3.list_buckets"): paged([BUCKET, OTHER]),
            ENCRYPTION: DENIED,
            second: Answer.literal(default("AES256")),
        }
    )
    given = params(CHECK, buckets=["exports", "website"])
    denied, fine = subjects_of(CHECK, given, source)
    with pytest.raises(Unreadable, match="AccessDenied"):
        CHECK.evaluate(denied, given)
    assert CHECK.evaluate(fine, given) == passed("encrypts new objects by default with AES256")


def test_a_page_that_cannot_be_read_ends_the_population_after_what_was_read() -> None:
    source = InMemory({question("s3.list_buckets"): paged([BUCKET], None), ENCRYPTION: ABSENT})
    subjects = subjects_of(CHECK, params(CHECK, buckets=["exports"]), source)
    assert next(subjects).resource.id == "exports"
    with pytest.raises(Unreadable, match="cut off"):
        next(subjects)
