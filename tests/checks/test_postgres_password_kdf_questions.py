"""What is asked about passwords, and that no group is judged before the counts are whole."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from auditor.answers import Answer
from auditor.checking import Subject
from auditor.checks.postgres_password_kdf import CHECK
from auditor.model import Citation, Unproven, Unreadable
from tests.checks.asking import DENIED, InMemory, drop, params, put, question, reconciled_by, subjects_of, unreadable
from tests.checks.password_groups import ACCEPT, given, group, pbkdf2, summary

TABLE = question("sql.password_kdf", table="public.auth_user", column="password")
FUNCTION = question("sql.password_kdf_function", function="audit.password_kdf")


def collected(body: Any, **where: str) -> list[Subject]:
    answer = body if isinstance(body, Answer) else Answer.literal(body)
    return list(subjects_of(CHECK, given(**where), InMemory({TABLE: answer, FUNCTION: answer})))


def test_every_group_is_a_subject_of_its_own() -> None:
    groups = [
        pbkdf2(users=1_200),
        pbkdf2(260_000, users=14),
        pbkdf2(bits=128, users=3),
        pbkdf2(salt=False, users=1),
        group("argon2id", memory_kib=102_400, iterations=2, parallelism=8, users=2),
        group("django_md5", 128, users=5),
        group("unusable", None, salt=None, users=4),
        group("null", None, salt=None, users=2),
    ]
    subjects = collected(summary(*groups))
    assert [subject.resource.id for subject in subjects] == [
        "public.auth_user.password/django:pbkdf2_sha256:iterations=390000:256",
        "public.auth_user.password/django:pbkdf2_sha256:iterations=260000:256",
        "public.auth_user.password/django:pbkdf2_sha256:iterations=390000:128",
        "public.auth_user.password/django:pbkdf2_sha256:iterations=390000:256:unsalted",
        "public.auth_user.password/django:argon2id:memory_kib=102400,iterations=2,parallelism=8:256",
        "public.auth_user.password/django:django_md5:128",
        "public.auth_user.password/django:unusable",
        "public.auth_user.password/none:null",
    ]
    assert {subject.resource.type for subject in subjects} == {"postgres.password-group"}
    verdicts = [CHECK.evaluate(subject, given()).outcome for subject in subjects]
    assert verdicts == ["pass", "fail", "fail", "fail", "fail", "fail", "not_applicable", "fail"]


@pytest.mark.parametrize(
    ("where", "asked"),
    [({"table": "public.auth_user", "column": "password"}, TABLE), ({"function": "audit.password_kdf"}, FUNCTION)],
    ids=["table", "function"],
)
def test_one_question_is_asked(where: dict[str, str], asked: Any) -> None:
    source = InMemory({asked: Answer.literal(summary(pbkdf2()))})
    (subject,) = subjects_of(CHECK, given(**where), source)
    assert CHECK.evaluate(subject, given(**where)).outcome == "pass"
    assert source.asked == [asked]


@pytest.mark.parametrize("kind", ["r", "p"])
def test_a_table_may_be_partitioned(kind: str) -> None:
    assert len(collected(summary(pbkdf2(), kind=kind))) == 1


def test_an_empty_table_has_no_population() -> None:
    assert collected(summary()) == []


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        *(
            pytest.param(summary(pbkdf2(), kind=kind), "it is not a table: a view may hide rows", id=f"kind {kind}")
            for kind in ("v", "m", "f", "c", "")
        ),
        pytest.param(summary(pbkdf2(), rls_active=True), "row level security may hide rows", id="row level security"),
    ],
)
def test_counts_from_which_rows_may_be_missing_prove_nothing(body: Any, reason: str) -> None:
    with pytest.raises(Unproven, match=reason) as caught:
        collected(body)
    assert caught.value.cites == (Citation("literal", (1, 1)),)


def counts(body: Any) -> tuple[int, int | None]:
    """Return how many rows the groups have, and how many the table."""
    (one,) = reconciled_by(CHECK, given(), InMemory({TABLE: Answer.literal(body)}))
    assert one.allowed == 0
    return one.listed, one.count()


def test_the_groups_are_held_against_the_total_of_the_same_statement() -> None:
    assert counts(summary(pbkdf2(users=1_200), pbkdf2(260_000, users=14))) == (1_214, 1_214)
    assert counts(summary()) == (0, 0)


def test_a_total_of_the_same_statement_is_not_told_as_a_second_source() -> None:
    (one,) = reconciled_by(CHECK, given(), InMemory({TABLE: Answer.literal(summary(pbkdf2()))}))
    assert one.source == "the same statement's count of all rows"
    assert one.note == "no second source: the total is of the same statement, and nothing else counts the rows"
    assert "nothing else counts the rows" in CHECK.no_second_source


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        pytest.param(summary(pbkdf2(), total=8), (7, 8), id="a row is missing"),
        pytest.param(summary(pbkdf2(), total=6), (7, 6), id="a row too many"),
        pytest.param(summary(total=1), (0, 1), id="every row is missing"),
        pytest.param(summary(pbkdf2(260_000), total=8), (7, 8), id="weak, and a row is missing"),
    ],
)
def test_where_they_differ_no_group_is_judged(body: Any, expected: tuple[int, int]) -> None:
    assert counts(body) == expected
    assert collected(body) == []


@pytest.mark.parametrize("body", [{"definition": None}, summary(pbkdf2())], ids=["not called", "called all the same"])
def test_a_function_that_is_not_the_published_one_proves_nothing(body: dict[str, Any]) -> None:
    body = body | {"mismatch": "its source is not the published text"}
    reason = "audit.password_kdf cannot be relied on: its source is not the published text"
    with pytest.raises(Unproven, match=reason) as caught:
        collected(body, function="audit.password_kdf")
    assert caught.value.cites == (Citation("literal", (1, 1)),)


@pytest.mark.parametrize("wrong", [None, False, "", {}])
def test_a_mismatch_of_whatever_kind_is_not_overlooked(wrong: Any) -> None:
    with pytest.raises(Unproven):
        collected(summary(pbkdf2()) | {"mismatch": wrong}, function="audit.password_kdf")


WHOLE = summary(pbkdf2(), group("unusable", None, salt=None))


@pytest.mark.parametrize(
    "answer",
    [
        *(
            parameter
            for name in ("schema", "table", "column", "kind", "rls_active", "total", "groups")
            for parameter in unreadable(WHOLE, f"/summary/{name}")
        ),
        *unreadable(WHOLE, "/summary"),
        *unreadable(WHOLE, "/summary/groups/0/users"),
        *unreadable(WHOLE, "/summary/groups/0/scheme"),
        *unreadable(WHOLE, "/summary/groups/0/encoding"),
        pytest.param(Answer.literal(None), id="no body"),
        pytest.param(Answer.literal({"definition": {}}), id="no summary"),
        pytest.param(DENIED, id="permission denied"),
    ],
)
def test_a_summary_that_cannot_be_read_has_no_population(answer: Answer) -> None:
    with pytest.raises(Unreadable):
        collected(answer)
    with pytest.raises(Unreadable):
        collected(answer, function="audit.password_kdf")


@pytest.mark.parametrize("name", ["cost", "digest_bits", "salt"])
def test_what_the_statement_does_not_say_of_a_group_is_an_error_of_that_group(name: str) -> None:
    """As where it says null: then the group has no such thing, which only `evaluate` can find to be wrong."""
    for body in (drop(WHOLE, f"/summary/groups/0/{name}"), put(WHOLE, f"/summary/groups/0/{name}", None)):
        first, second = collected(body)
        with pytest.raises(Unreadable):
            CHECK.evaluate(first, given())
        assert CHECK.evaluate(second, given()).outcome == "not_applicable"


@pytest.mark.parametrize("other", ["public.old_users.password", "app.auth_user.password", "public.auth_user.digest"])
def test_a_function_that_counts_another_table_proves_nothing(other: str) -> None:
    schema, table, column = other.split(".")
    body = summary(pbkdf2())
    body["summary"] |= {"schema": schema, "table": table, "column": column}
    with pytest.raises(Unproven, match=f"it counts {other}, but the policy names public.auth_user.password"):
        collected(body, function="audit.password_kdf")


# --- parameters -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "where",
    [
        {},
        {"table": "public.auth_user"},
        {"column": "password"},
        {"function": "audit.password_kdf"},
        {"function": "audit.password_kdf", "column": "password"},
        {"table": "public.auth_user", "column": ""},
        {"table": "user", "column": "password"},
        {"table": "a.b.c", "column": "password"},
        {"table": "public.auth_user", "column": "password", "function": "password_kdf"},
        {"table": "public.auth_user", "column": "password", "where": "is_active"},
    ],
)
def test_parameters_always_name_the_column(where: dict[str, Any]) -> None:
    with pytest.raises(msgspec.ValidationError):
        params(CHECK, accept=ACCEPT, min_bits=256, **where)


@pytest.mark.parametrize(
    ("accept", "min_bits"),
    [
        ({"pbkdf2_sha1": {"iterations": 1}}, 256),
        ({"pbkdf2_sha256": {}}, 256),
        ({"pbkdf2_sha256": {"iterations": 0}}, 256),
        ({"pbkdf2_sha256": {"iterations": "390000"}}, 256),
        ({"pbkdf2_sha256": {"iterations": 390_000, "rounds": 1}}, 256),
        ({"argon2id": {"memory_kib": 19_456, "lanes": 1}}, 256),
        ({"scrypt": {"n": 16_384, "N": 1}}, 256),
        ({"bcrypt": {"log2_rounds": 10, "rounds": 1}}, 256),
        ({"argon2id": {"iterations": 2}}, 256),
        (ACCEPT, 0),
        (ACCEPT, None),
        (None, 256),
    ],
)
def test_what_is_accepted_is_strict(accept: Any, min_bits: Any) -> None:
    with pytest.raises(msgspec.ValidationError):
        given(accept, min_bits)
