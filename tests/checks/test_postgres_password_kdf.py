"""Passwords: groups of rows stored alike, each judged by scheme, cost, size and salt, once the counts are whole."""

from __future__ import annotations

from typing import Any

import pytest

from auditor.answers import Answer
from auditor.checking import Subject
from auditor.checks.postgres_password_kdf import CHECK
from auditor.model import Resource, Unreadable, Verdict, failed, not_applicable, passed
from tests.checks.asking import put, unreadable
from tests.checks.password_groups import ACCEPT, ARGON2, BCRYPT, SCRYPT, given, group, pbkdf2


def judge(body: Any, accept: Any = ACCEPT, min_bits: int = 256) -> Verdict:
    answer = body if isinstance(body, Answer) else Answer.literal(body)
    return CHECK.evaluate(Subject(Resource("postgres.password-group", "g"), group=answer), given(accept, min_bits))


# --- pass, boundary, advice -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("body", "accept", "min_bits", "stated", "advice"),
    [
        pytest.param(
            pbkdf2(),
            ACCEPT,
            256,
            "pbkdf2_sha256, iterations 390,000, 256 bits",
            "OWASP asks for pbkdf2_sha256 with at least iterations 600,000 today",
            id="390,000 is what was published, and below today's advice",
        ),
        pytest.param(
            pbkdf2(599_999),
            ACCEPT,
            256,
            "pbkdf2_sha256, iterations 599,999, 256 bits",
            "OWASP asks for pbkdf2_sha256 with at least iterations 600,000 today",
            id="just below today's advice",
        ),
        pytest.param(
            pbkdf2(600_000), ACCEPT, 256, "pbkdf2_sha256, iterations 600,000, 256 bits", "", id="today's advice"
        ),
        pytest.param(
            pbkdf2(1_000_000, bits=512), ACCEPT, 256, "pbkdf2_sha256, iterations 1,000,000, 512 bits", "", id="more"
        ),
        pytest.param(
            group("pbkdf2_sha512", 512, iterations=1),
            {"pbkdf2_sha512": {"iterations": 1}},
            512,
            "pbkdf2_sha512, iterations 1, 512 bits",
            "OWASP asks for pbkdf2_sha512 with at least iterations 210,000 today",
            id="pbkdf2_sha512 below advice",
        ),
        pytest.param(
            group("argon2id", memory_kib=19_456, iterations=2, parallelism=1),
            ARGON2,
            256,
            "argon2id, memory_kib 19,456, iterations 2, parallelism 1, 256 bits",
            "",
            id="argon2id at its least",
        ),
        pytest.param(
            group("argon2id", memory_kib=19_455, iterations=1, parallelism=1),
            {"argon2id": {"memory_kib": 1}},
            256,
            "argon2id, memory_kib 19,455, iterations 1, parallelism 1, 256 bits",
            "OWASP asks for argon2id with at least memory_kib 47,104, iterations 1, parallelism 1 "
            "or memory_kib 19,456, iterations 2, parallelism 1 today",
            id="argon2id below advice in two parts",
        ),
        pytest.param(
            group("scrypt", 512, n=16_384, r=8, p=5),
            SCRYPT,
            256,
            "scrypt, n 16,384, r 8, p 5, 512 bits",
            "",
            id="scrypt at its least, which is as good as more memory and fewer lanes",
        ),
        pytest.param(
            group("scrypt", 512, n=131_072, r=8, p=1),
            SCRYPT,
            256,
            "scrypt, n 131,072, r 8, p 1, 512 bits",
            "",
            id="scrypt at today's advice",
        ),
        pytest.param(
            group("scrypt", 512, n=131_072, r=1, p=1),
            {"scrypt": {"n": 131_072}},
            256,
            "scrypt, n 131,072, r 1, p 1, 512 bits",
            "OWASP asks for scrypt with at least n 131,072, r 8, p 1 or n 65,536, r 8, p 2 today",
            id="scrypt with blocks of the least size",
        ),
        pytest.param(
            group("scrypt", 512, n=131_072, r=7, p=1),
            {"scrypt": {"n": 131_072}},
            256,
            "scrypt, n 131,072, r 7, p 1, 512 bits",
            "OWASP asks for scrypt with at least n 131,072, r 8, p 1 or n 65,536, r 8, p 2 today",
            id="scrypt with blocks just below advice",
        ),
        pytest.param(
            group("bcrypt", 184, log2_rounds=10), BCRYPT, 184, "bcrypt, log2_rounds 10, 184 bits", "", id="bcrypt"
        ),
        pytest.param(
            group("bcrypt", 184, log2_rounds=9),
            {"bcrypt": {"log2_rounds": 9}},
            184,
            "bcrypt, log2_rounds 9, 184 bits",
            "OWASP asks for bcrypt with at least log2_rounds 10 today",
            id="bcrypt below advice",
        ),
        pytest.param(
            group("bcrypt_sha256", 184, log2_rounds=12),
            {"bcrypt_sha256": {"log2_rounds": 12}},
            128,
            "bcrypt_sha256, log2_rounds 12, 184 bits",
            "",
            id="bcrypt_sha256",
        ),
    ],
)
def test_an_accepted_scheme_at_its_least_cost_and_size_passes(
    body: Any, accept: Any, min_bits: int, stated: str, advice: str
) -> None:
    assert judge(body, accept, min_bits) == passed(f"7 users: {stated}, salted", advice=advice)


def test_users_are_counted_in_thousands() -> None:
    assert judge(pbkdf2(600_000, users=1_234_567)).message.startswith("1,234,567 users: ")


# --- fail -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("body", "accept", "min_bits", "fault"),
    [
        pytest.param(
            pbkdf2(389_999), ACCEPT, 256, "pbkdf2_sha256 with iterations 389,999, less than 390,000", id="389,999"
        ),
        pytest.param(pbkdf2(1), ACCEPT, 256, "pbkdf2_sha256 with iterations 1, less than 390,000", id="one"),
        pytest.param(
            pbkdf2(bits=248), ACCEPT, 256, "pbkdf2_sha256 digests of 248 bits, fewer than 256", id="one octet short"
        ),
        pytest.param(
            pbkdf2(bits=24), ACCEPT, 256, "pbkdf2_sha256 digests of 24 bits, fewer than 256", id="three octets"
        ),
        pytest.param(
            pbkdf2(bits=256), ACCEPT, 257, "pbkdf2_sha256 digests of 256 bits, fewer than 257", id="asked more"
        ),
        pytest.param(pbkdf2(salt=False), ACCEPT, 256, "pbkdf2_sha256 without a salt", id="unsalted"),
        pytest.param(
            pbkdf2(1, bits=8, salt=False),
            ACCEPT,
            256,
            "pbkdf2_sha256 with iterations 1, less than 390,000",
            id="everything at once",
        ),
        pytest.param(
            group("argon2id", memory_kib=19_455, iterations=2, parallelism=1),
            ARGON2,
            256,
            "argon2id with memory_kib 19,455, less than 19,456",
            id="argon2id, memory",
        ),
        pytest.param(
            group("argon2id", memory_kib=102_400, iterations=1, parallelism=8),
            ARGON2,
            256,
            "argon2id with iterations 1, less than 2",
            id="argon2id, passes",
        ),
        pytest.param(
            group("argon2id", memory_kib=102_400, iterations=2, parallelism=1),
            {"argon2id": {"memory_kib": 1, "parallelism": 2}},
            256,
            "argon2id with parallelism 1, less than 2",
            id="argon2id, lanes",
        ),
        pytest.param(
            group("scrypt", 512, n=8_192, r=8, p=1),
            SCRYPT,
            256,
            "scrypt with n 8,192, less than 16,384",
            id="scrypt, n",
        ),
        pytest.param(
            group("scrypt", 512, n=16_384, r=7, p=1), SCRYPT, 256, "scrypt with r 7, less than 8", id="scrypt, r"
        ),
        pytest.param(
            group("bcrypt", 184, log2_rounds=9), BCRYPT, 184, "bcrypt with log2_rounds 9, less than 10", id="bcrypt"
        ),
        pytest.param(
            group("bcrypt", 184, log2_rounds=12), BCRYPT, 256, "bcrypt digests of 184 bits, fewer than 256", id="184"
        ),
    ],
)
def test_an_accepted_scheme_below_what_is_asked_fails(body: Any, accept: Any, min_bits: int, fault: str) -> None:
    assert judge(body, accept, min_bits) == failed(f"7 users: {fault}")


@pytest.mark.parametrize(
    "body",
    [
        group("pbkdf2_sha512", 512, iterations=1_000_000),
        group("pbkdf2_sha1", 160, iterations=1_000_000),
        group("argon2i", memory_kib=1 << 20, iterations=9, parallelism=9),
        group("bcrypt", 184, log2_rounds=31),
        group("django_md5", 128),
        group("md5_hex", 128, salt=False),
        group("sha256_hex", 256, salt=False),
        group("md5_crypt", 128),
        group("PBKDF2_SHA256", iterations=390_000),
        group("pbkdf2_sha256 ", iterations=390_000),
        group("table", iterations=390_000),
    ],
    ids=lambda body: str(body["scheme"]),
)
def test_a_scheme_that_is_not_accepted_fails_whatever_its_cost(body: Any) -> None:
    stored = f"7 users have a password stored as {body['scheme']}, which the policy does not accept"
    assert judge(body) == failed(stored)


@pytest.mark.parametrize(
    ("scheme", "stored"),
    [
        ("null", "no password at all (NULL)"),
        ("empty", "an empty password"),
        ("unrecognised", "something stored that no password scheme writes"),
        ("pbkdf2_sha256", "something stored that no password scheme writes"),
    ],
)
def test_what_is_no_password_scheme_fails(scheme: str, stored: str) -> None:
    body = put(group(scheme, None, salt=None), "/encoding", "none")
    assert judge(body) == failed(f"7 users have {stored}")


def test_passwords_that_cannot_be_used_are_apart() -> None:
    body = group("unusable", None, salt=None, users=1_000)
    assert judge(body) == not_applicable("1,000 users have a password that cannot be used to sign in")


# --- what cannot be read ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "body",
    [
        *unreadable(pbkdf2(), "/scheme"),
        *unreadable(pbkdf2(), "/encoding"),
        *unreadable(pbkdf2(), "/users"),
        *unreadable(pbkdf2(), "/cost"),
        *unreadable(pbkdf2(), "/cost/iterations", 390_000.0, 390_000.5),
        *unreadable(pbkdf2(), "/digest_bits", 256.0, 256.5),
        *unreadable(pbkdf2(), "/salt"),
        *unreadable(group("unusable", None, salt=None), "/scheme"),
        *unreadable(group("unusable", None, salt=None), "/users"),
        *unreadable(group("null", None, salt=None), "/encoding"),
        pytest.param(Answer.literal(put(pbkdf2(), "/cost", {"rounds": 390_000})), id="another cost"),
        pytest.param(Answer.literal(None), id="no body"),
        pytest.param(Answer.literal([pbkdf2()]), id="a list"),
    ],
)
def test_a_group_that_cannot_be_read_neither_passes_nor_fails(body: Answer) -> None:
    with pytest.raises(Unreadable):
        judge(body)


@pytest.mark.parametrize(
    ("body", "accept", "parts"),
    [
        (group("argon2id", memory_kib=19_456, iterations=2, parallelism=1), ARGON2, ["memory_kib", "parallelism"]),
        (group("scrypt", n=131_072, r=8, p=1), SCRYPT, ["n", "r", "p"]),
        (group("bcrypt", log2_rounds=12), BCRYPT, ["log2_rounds"]),
    ],
    ids=["argon2id", "scrypt", "bcrypt"],
)
def test_every_part_of_the_cost_must_be_readable(body: Any, accept: Any, parts: list[str]) -> None:
    for part in parts:
        for parameter in unreadable(body, f"/cost/{part}"):
            answer: Any = parameter.values[0]
            with pytest.raises(Unreadable):
                judge(answer, accept)
