"""Lifecycle rules: which of them count, for which objects, and how long what they leave may live."""

from __future__ import annotations

import pytest

from auditor.answers import Answer
from auditor.model import Verdict, failed, passed
from tests.checks.asking import ABSENT
from tests.checks.lifecycle import (
    EVER,
    NEVER,
    ONCE,
    TAG,
    Rule,
    abort,
    expire,
    expire_older,
    filtered,
    judge,
    rule,
    rules,
)

NO_OBJECTS = "no enabled rule for the whole prefix expires objects"
NO_UPLOADS = "no enabled rule for the whole prefix expires unfinished uploads"
NO_VERSIONS = "no enabled rule for the whole prefix expires older versions"


def fault(*faults: str) -> Verdict:
    return failed(f"under 'exports/': {'; '.join(faults)}")


# --- how long ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("listed", "stated"),
    [
        pytest.param([rule(expire(7), abort(7))], ("7 days", "7 days"), id="exactly the limit"),
        pytest.param([rule(expire(1), abort(1))], ("1 day", "1 day"), id="one day"),
        pytest.param([rule(expire(3)), rule(abort(2))], ("3 days", "2 days"), id="each limit by a rule of its own"),
        pytest.param([rule(expire(30)), rule(expire(7), abort(7))], ("7 days", "7 days"), id="the earliest rule acts"),
        pytest.param([rule(expire(7), abort(7)), rule(expire(30))], ("7 days", "7 days"), id="a later rule is no harm"),
        pytest.param([rule(expire(7), abort(30)), rule(abort(1))], ("7 days", "1 day"), id="the earliest abort acts"),
        pytest.param(
            [rule(expire(7), abort(7)), rule(expire(1), status="Disabled")],
            ("7 days", "7 days"),
            id="beside a disabled",
        ),
        pytest.param(
            [rule(expire(7), abort(7), {"Transitions": [{"Days": 1, "StorageClass": "GLACIER"}]})],
            ("7 days", "7 days"),
            id="beside transitions",
        ),
    ],
)
def test_what_expires_in_time_passes(listed: list[Rule], stated: tuple[str, str]) -> None:
    objects, uploads = stated
    expected = passed(f"under 'exports/' expires objects after {objects}, unfinished uploads after {uploads}")
    assert judge(rules(*listed)) == expected


@pytest.mark.parametrize(
    ("listed", "expected"),
    [
        pytest.param(
            [rule(expire(8), abort(7))], fault("objects stay 8 days, longer than 7 days"), id="one day too long"
        ),
        pytest.param(
            [rule(expire(7), abort(8))],
            fault("unfinished uploads stay 8 days, longer than 7 days"),
            id="uploads one day too long",
        ),
        pytest.param(
            [rule(expire(30), abort(8))],
            fault("objects stay 30 days, longer than 7 days", "unfinished uploads stay 8 days, longer than 7 days"),
            id="both too long",
        ),
        pytest.param([rule(expire(7))], fault(NO_UPLOADS), id="uploads forgotten"),
        pytest.param([rule(abort(7))], fault(NO_OBJECTS), id="uploads only"),
        pytest.param([], fault(NO_OBJECTS, NO_UPLOADS), id="no rule"),
        pytest.param([rule(expire(7), abort(7), status="Disabled")], fault(NO_OBJECTS, NO_UPLOADS), id="disabled"),
        pytest.param(
            [rule({"Expiration": {"Date": "2026-03-01T00:00:00+00:00"}}, abort(7))], fault(NO_OBJECTS), id="a date"
        ),
        pytest.param(
            [rule({"Expiration": {"ExpiredObjectDeleteMarker": True}}, abort(7))], fault(NO_OBJECTS), id="markers only"
        ),
        pytest.param([rule(expire_older(1), abort(7))], fault(NO_OBJECTS), id="older versions only"),
        pytest.param(
            [rule({"Transitions": [{"Days": 1, "StorageClass": "GLACIER"}]}, abort(7))], fault(NO_OBJECTS), id="moved"
        ),
    ],
)
def test_what_may_stay_longer_fails(listed: list[Rule], expected: Verdict) -> None:
    assert judge(rules(*listed)) == expected


def test_a_limit_of_one_day_is_said_in_the_singular() -> None:
    expected = fault("objects stay 2 days, longer than 1 day")
    assert judge(rules(rule(expire(2), abort(1))), max_days=1) == expected


@pytest.mark.parametrize("versioning", [NEVER, EVER, ONCE])
def test_a_bucket_of_which_s3_says_plainly_that_it_has_no_lifecycle_fails(versioning: Rule) -> None:
    expected = failed("has no lifecycle configuration: nothing ever expires")
    assert judge(ABSENT, Answer.literal(versioning)) == expected


# --- older versions ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("versioning", [EVER, ONCE], ids=["enabled", "suspended"])
@pytest.mark.parametrize(
    ("listed", "expected"),
    [
        pytest.param(
            [rule(expire(3), expire_older(4), abort(7))],
            passed(
                "under 'exports/' expires objects after 3 days, unfinished uploads after 7 days, "
                "older versions after 7 days"
            ),
            id="exactly the limit together",
        ),
        pytest.param(
            [rule(expire(3), abort(7)), rule(expire_older(1)), rule(expire_older(90))],
            passed(
                "under 'exports/' expires objects after 3 days, unfinished uploads after 7 days, "
                "older versions after 4 days"
            ),
            id="by rules of their own",
        ),
        pytest.param(
            [rule(expire(1), expire_older(5, NewerNoncurrentVersions=3), abort(1)), rule(expire_older(2))],
            passed(
                "under 'exports/' expires objects after 1 day, unfinished uploads after 1 day, "
                "older versions after 3 days"
            ),
            id="a rule that keeps some beside one that does not",
        ),
        pytest.param(
            [rule(expire(3), expire_older(5), abort(7))],
            fault("older versions stay 8 days, longer than 7 days"),
            id="one day too long together",
        ),
        pytest.param(
            [rule(expire(8), expire_older(1), abort(7))],
            fault("objects stay 8 days, longer than 7 days", "older versions stay 9 days, longer than 7 days"),
            id="the current ones alone too long",
        ),
        pytest.param([rule(expire(7), abort(7))], fault(NO_VERSIONS), id="older versions forgotten"),
        pytest.param(
            [rule(expire(1), expire_older(1, NewerNoncurrentVersions=1), abort(1))],
            fault(NO_VERSIONS),
            id="keeps newer ones for ever",
        ),
        pytest.param(
            [rule(expire_older(1), abort(1))], fault(NO_OBJECTS, NO_VERSIONS), id="current ones are never made older"
        ),
        pytest.param(
            [rule({"Expiration": {"ExpiredObjectDeleteMarker": True}}, expire_older(1), abort(1))],
            fault(NO_OBJECTS, NO_VERSIONS),
            id="only markers expire",
        ),
        pytest.param(
            [rule(expire(1), abort(1)), rule(expire_older(1), status="Disabled")],
            fault(NO_VERSIONS),
            id="a disabled rule for them",
        ),
        pytest.param(
            [rule(expire(1), abort(1)), rule(expire_older(1), filtered(Prefix="exports/2024/"))],
            fault(NO_VERSIONS),
            id="a rule for some of them",
        ),
    ],
)
def test_where_versions_were_ever_kept_both_limits_add_up(
    listed: list[Rule], expected: Verdict, versioning: Rule
) -> None:
    assert judge(rules(*listed), Answer.literal(versioning)) == expected


def test_where_versions_were_never_kept_the_rules_for_them_do_not_matter() -> None:
    expected = passed("under 'exports/' expires objects after 7 days, unfinished uploads after 7 days")
    assert judge(rules(rule(expire(7), expire_older(90, NewerNoncurrentVersions=9), abort(7)))) == expected


# --- for which objects ------------------------------------------------------------------------------------------------

WHOLE = [
    pytest.param("exports/", filtered(Prefix="exports/"), id="equal"),
    pytest.param("exports/", filtered(Prefix="exports"), id="wider by the slash"),
    pytest.param("exports/", filtered(Prefix="e"), id="wider"),
    pytest.param("exports/", filtered(Prefix=""), id="empty prefix"),
    pytest.param("exports/", filtered(), id="empty filter"),
    pytest.param("exports/", filtered(And={"Prefix": "exports/"}), id="and, prefix only"),
    pytest.param("exports/", filtered(And={"Prefix": "exp"}), id="and, wider prefix"),
    pytest.param("exports/", filtered(And={}), id="and, empty"),
    pytest.param("exports/", {"Prefix": "exports/"}, id="legacy, equal"),
    pytest.param("exports/", {"Prefix": "exports"}, id="legacy, wider"),
    pytest.param("exports/", {"Prefix": ""}, id="legacy, all"),
    pytest.param("exports", filtered(Prefix="exports"), id="no slash, equal"),
    pytest.param("", filtered(), id="whole bucket, empty filter"),
    pytest.param("", filtered(Prefix=""), id="whole bucket, empty prefix"),
    pytest.param("", {"Prefix": ""}, id="whole bucket, legacy"),
]
PART = [
    pytest.param("exports/", filtered(Prefix="exports/2024/"), id="narrower"),
    pytest.param("exports/", filtered(Prefix="export/"), id="similar"),
    pytest.param("exports/", filtered(Prefix="Exports/"), id="another case"),
    pytest.param("exports/", filtered(Prefix="/exports/"), id="a slash in front"),
    pytest.param("exports/", filtered(Prefix="tmp/exports/"), id="somewhere else"),
    pytest.param("exports/", filtered(Prefix="exports/*"), id="no pattern"),
    pytest.param("exports", filtered(Prefix="exports/"), id="narrower by the slash"),
    pytest.param("", filtered(Prefix="exports/"), id="whole bucket, one prefix"),
    pytest.param("exports/", filtered(Tag=TAG), id="tag"),
    pytest.param("exports/", filtered(ObjectSizeGreaterThan=1), id="greater than"),
    pytest.param("exports/", filtered(ObjectSizeGreaterThan=0), id="greater than nothing"),
    pytest.param("exports/", filtered(ObjectSizeLessThan=1 << 40), id="less than"),
    pytest.param("exports/", filtered(And={"Prefix": "exports/2024/"}), id="and, narrower"),
    pytest.param("exports/", filtered(And={"Prefix": "exports/", "Tags": [TAG]}), id="and, prefix and tag"),
    pytest.param("exports/", filtered(And={"Tags": [TAG, TAG]}), id="and, tags without a prefix"),
    pytest.param("exports/", filtered(And={"Prefix": "exports/", "ObjectSizeGreaterThan": 0}), id="and, greater than"),
    pytest.param("exports/", filtered(And={"Prefix": "exports/", "ObjectSizeLessThan": 9}), id="and, less than"),
    pytest.param("exports/", {"Prefix": "exports/2024/"}, id="legacy, narrower"),
    pytest.param("exports/", {"Prefix": "export/"}, id="legacy, similar"),
]


@pytest.mark.parametrize(("prefix", "scope"), WHOLE)
def test_a_rule_for_the_whole_prefix_counts(prefix: str, scope: Rule) -> None:
    expected = passed(f"under {prefix!r} expires objects after 7 days, unfinished uploads after 7 days")
    assert judge(rules(rule(expire(7), abort(7), scope)), prefix=prefix) == expected


@pytest.mark.parametrize(("prefix", "scope"), PART)
def test_a_rule_for_a_part_of_it_does_not(prefix: str, scope: Rule) -> None:
    expected = failed(f"under {prefix!r}: {NO_OBJECTS}; {NO_UPLOADS}")
    assert judge(rules(rule(expire(1), abort(1), scope)), prefix=prefix) == expected


def test_parts_do_not_make_a_whole() -> None:
    halves = [rule(expire(1), abort(1), filtered(Prefix=f"exports/{letter}")) for letter in "ab"]
    sizes = [
        rule(expire(1), abort(1), filtered(ObjectSizeLessThan=100)),
        rule(expire(1), abort(1), filtered(ObjectSizeGreaterThan=99)),
    ]
    assert judge(rules(*halves, *sizes)) == fault(NO_OBJECTS, NO_UPLOADS)


def test_a_rule_for_a_part_shortens_nothing() -> None:
    short = rule(expire(1), abort(1), filtered(Prefix="exports/2024/"))
    long = rule(expire(30), abort(7))
    assert judge(rules(short, long)) == fault("objects stay 30 days, longer than 7 days")
