"""Every stored password is a salted digest by an accepted function, of enough bits, at enough cost.

On the basis of records: what the table holds, counted inside the database by one statement; no digest leaves it. What
today's OWASP Password Storage Cheat Sheet asks for is advice, for it is another question than the claim.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Annotated

import msgspec

from auditor.answers import Answer
from auditor.checking import Check, Reconciled, Source, Subject
from auditor.model import Basis, Resource, Unproven, Verdict, failed, not_applicable, passed

Qualified = Annotated[str, msgspec.Meta(pattern=r"^[^.]+\.[^.]+$", description="a name with its schema: schema.name")]
Positive = Annotated[int, msgspec.Meta(ge=1)]
OWASP: Mapping[str, tuple[Mapping[str, int], ...]] = {
    "argon2id": tuple(
        {"memory_kib": memory, "iterations": passes, "parallelism": 1}
        for memory, passes in ((47_104, 1), (19_456, 2), (12_288, 3), (9_216, 4), (7_168, 5))
    ),
    "scrypt": tuple({"n": 2**log_n, "r": 8, "p": p} for log_n, p in ((17, 1), (16, 2), (15, 3), (14, 5), (13, 10))),
    "bcrypt": ({"log2_rounds": 10},),
    "bcrypt_sha256": ({"log2_rounds": 10},),
    "pbkdf2_sha256": ({"iterations": 600_000},),
    "pbkdf2_sha512": ({"iterations": 210_000},),
}
"""What OWASP's Password Storage Cheat Sheet asks for (2026-11): of several settings any one suffices."""


class Iterations(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Least cost of PBKDF2.

    `iterations`: how many times its hash is applied.
    """

    iterations: Positive


class Argon2(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Least cost of Argon2 (RFC 9106).

    `memory_kib`: its memory, in KiB; `iterations`: its passes; `parallelism`: its lanes.
    """

    memory_kib: Positive
    iterations: Positive = 1
    parallelism: Positive = 1


class Scrypt(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Least cost of scrypt (RFC 7914).

    `n`: the cost itself, not its logarithm; `r`: the size of its blocks; `p`: how many of them are mixed in parallel.
    """

    n: Positive
    r: Positive = 1
    p: Positive = 1


class Bcrypt(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Least cost of bcrypt.

    `log2_rounds`: the logarithm that stands in the hash.
    """

    log2_rounds: Positive


class Accepted(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The functions that are accepted, each with its least cost; any other fails."""

    pbkdf2_sha256: Iterations | None = None
    pbkdf2_sha512: Iterations | None = None
    argon2id: Argon2 | None = None
    scrypt: Scrypt | None = None
    bcrypt: Bcrypt | None = None
    bcrypt_sha256: Bcrypt | None = None


class Params(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`table`: where the passwords are, as schema.name; `column`: which of its columns holds them.

    `function`: the published function, as schema.name, that counts them for a role that may not read the table; without
    it the role reads the column itself. `accept`: the functions that are accepted, each with its least cost.
    `min_bits`: the least length of a digest.
    """

    table: Annotated[Qualified, msgspec.Meta(examples=["public.auth_user"])]
    column: Annotated[str, msgspec.Meta(min_length=1, examples=["password"])]
    function: Annotated[Qualified, msgspec.Meta(examples=["audit.password_kdf"])] | None = None
    accept: Annotated[Accepted, msgspec.Meta(examples=[{"pbkdf2_sha256": {"iterations": 600_000}}])]
    min_bits: Annotated[Positive, msgspec.Meta(examples=[256])]


def collect(params: Params, database: Source) -> Iterator[Subject | Reconciled]:
    """Every group of passwords that are stored alike, once the counts are known to be whole.

    Where groups and total of the one statement differ, nothing it counts is to be relied on: no group is judged.
    """
    if params.function is not None:
        answer = database.ask("sql.password_kdf_function", function=params.function)
        if answer.has("/mismatch"):
            mismatch = answer.get("/mismatch", str)
            raise Unproven(f"{params.function} cannot be relied on: {mismatch}", [answer])
    else:
        answer = database.ask("sql.password_kdf", table=params.table, column=params.column)
    name = ".".join(answer.get(f"/summary/{part}", str) for part in ("schema", "table", "column"))
    if name != f"{params.table}.{params.column}":
        raise Unproven(f"it counts {name}, but the policy names {params.table}.{params.column}", [answer])
    _require_whole(answer)
    groups = answer.items("/summary/groups")
    listed, total = sum(group.get("/users", int) for group in groups), answer.get("/summary/total", int)
    for group in groups if listed == total else ():
        yield Subject(Resource("postgres.password-group", _group_id(name, group)), group=group)
    yield Reconciled(
        what=f"rows of {params.table}, in all groups",
        listed=listed,
        counted=answer.at("/summary/total", int),
        source="the same statement's count of all rows",
        note="no second source: the total is of the same statement, and nothing else counts the rows",
        parts=(answer,),
    )


def _require_whole(answer: Answer) -> None:
    """Refuse counts from which rows may be missing."""
    if answer.get("/summary/kind", str) not in ("r", "p"):
        raise Unproven("it is not a table: a view may hide rows", [answer])
    if answer.get("/summary/rls_active", bool):
        raise Unproven("row level security may hide rows from the auditor", [answer])


def _group_id(name: str, group: Answer) -> str:
    text = f"{name}/{group.get('/encoding', str)}:{group.get('/scheme', str)}"
    cost = group.get("/cost", dict[str, int]) if _has_value(group, "/cost") else {}
    if cost:
        text += ":" + ",".join(f"{part}={value}" for part, value in cost.items())
    if _has_value(group, "/digest_bits"):
        text += f":{group.get('/digest_bits', int)}"
    if _has_value(group, "/salt") and not group.get("/salt", bool):
        text += ":unsalted"
    return text


def _has_value(group: Answer, pointer: str) -> bool:
    """Whether the member is there and not null: the statement answers null for what a scheme does not have."""
    return group.get("", dict).get(pointer[1:]) is not None


def evaluate(subject: Subject, params: Params) -> Verdict:
    """Fail a group whose scheme is not accepted, or that has less cost or fewer bits than asked, or no salt."""
    group = subject.group
    scheme, users = group.get("/scheme", str), f"{group.get('/users', int):,} users"
    if scheme == "unusable":
        return not_applicable(f"{users} have a password that cannot be used to sign in")
    if group.get("/encoding", str) == "none":
        stored = {"null": "no password at all (NULL)", "empty": "an empty password"}
        return failed(f"{users} have {stored.get(scheme, 'something stored that no password scheme writes')}")
    least = getattr(params.accept, scheme, None)
    if least is None:
        return failed(f"{users} have a password stored as {scheme}, which the policy does not accept")
    cost = {part: group.get(f"/cost/{part}", int) for part in least.__struct_fields__}
    fault = _fault(group, cost, least, params.min_bits)
    if fault:
        return failed(f"{users}: {scheme} {fault}")
    stated = ", ".join(f"{part} {value:,}" for part, value in cost.items())
    bits = group.get("/digest_bits", int)
    return passed(f"{users}: {scheme}, {stated}, {bits} bits, salted", advice=_advice(scheme, cost))


def _fault(group: Answer, cost: Mapping[str, int], least: msgspec.Struct, min_bits: int) -> str:
    """Say what an accepted scheme lacks, "" where it lacks nothing."""
    for part, value in cost.items():
        wanted = getattr(least, part)
        if value < wanted:
            return f"with {part} {value:,}, less than {wanted:,}"
    bits = group.get("/digest_bits", int)
    if bits < min_bits:
        return f"digests of {bits} bits, fewer than {min_bits}"
    return "" if group.get("/salt", bool) else "without a salt"


def _advice(scheme: str, cost: Mapping[str, int]) -> str:
    settings = OWASP.get(scheme, ())
    if any(all(cost[part] >= wanted for part, wanted in setting.items()) for setting in settings):
        return ""
    wanted = " or ".join(", ".join(f"{part} {least:,}" for part, least in setting.items()) for setting in settings[:2])
    return f"OWASP asks for {scheme} with at least {wanted} today" if wanted else ""


CHECK = Check(
    id="postgres-password-kdf",
    title="Passwords are stretched",
    sources={"postgres": {"sql.password_kdf_function": 0, "sql.password_kdf": 0}},
    shard="target",
    basis=Basis.RECORDS,
    params=Params,
    collect=collect,
    evaluate=evaluate,
    population="every row of the user table, counted in groups that are stored alike; the groups add up to the total",
    proves="every stored password has the form of a salted digest by an accepted function, of that size and that cost",
    cannot_prove=(
        "that a digest was really computed so: a value of the right form says how it claims to have been made",
        "passwords kept elsewhere: logs, backups, other tables, identity providers",
        "that the application checks passwords against this table",
    ),
    second_source="the same statement counts all rows of the table, and the groups add up to that",
    no_second_source="groups and total are of one statement, and nothing else counts the rows",
)
