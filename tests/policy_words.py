"""A policy small enough to see through, and two checks for it: what the tests of policies and plans write with."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any, Literal

import msgspec

from auditor.checking import Check, Shard, Subject
from auditor.model import Basis, Verdict, passed
from auditor.policy import Selectors


class LockParams(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    strength: Annotated[int, msgspec.Meta(ge=1)]
    maker: Literal["abus", "yale"] = "abus"


class NoParams(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    pass


def collect(params: Any, *sources: Any) -> Iterator[Subject]:
    del params, sources
    yield from ()


def evaluate(subject: Subject, params: Any) -> Verdict:
    del subject, params
    return passed("fine")


def check(name: str, *sources: str, shard: Shard = "target", params: type[msgspec.Struct] = NoParams) -> Check:
    """A check of which only its head matters."""
    return Check(
        id=name,
        title=name,
        sources={source: {} for source in sources},
        shard=shard,
        basis=Basis.RECORDS,
        params=params,
        collect=collect,
        evaluate=evaluate,
        population="everything",
        proves="nothing",
        cannot_prove=(),
        no_second_source="nothing is counted",
    )


CHECKS = {
    one.id: one
    for one in (
        check("door-locked", "house", params=LockParams),
        check("keys-listed", "house", "papers"),
        check("room-tidy", "house", shard="region"),
        check("rent-paid", "house", shard="account"),
        check("paper-signed", "papers"),
    )
}
KNOWN = Selectors(
    ids={"home": "house", "cottage": "house", "files": "papers"},
    tags=frozenset({"inhabited"}),
    types=frozenset({"house", "papers"}),
)


def a_test(name: str, check: str, *targets: str, **more: object) -> dict[str, Any]:
    return {"id": name, "check": check, "targets": list(targets), **more}


def a_claim(name: str, *tests: dict[str, Any], **more: object) -> dict[str, Any]:
    return {
        "id": name,
        "statement": "we lock",
        "interpretation": "every door",
        "criteria": [{"id": "CC6.1"}],
        "owner": "me",
        "tests": list(tests),
        **more,
    }


def a_waiver(name: str, test: str, **more: object) -> dict[str, Any]:
    return {
        "id": name,
        "test": test,
        "resource": "door-1",
        "reason": "it is stuck",
        "ticket": "T-1",
        "requested_by": "ann",
        "approved_by": "bob",
        "approved_on": "2026-01-31",
        "expires": "2027-01-31",
        **more,
    }


def a_pack(name: str, *claims: dict[str, Any], **more: object) -> str:
    """The text of a policy file; JSON, which is YAML, each member of it on a line of its own."""
    pack = {
        "version": 1,
        "id": name,
        "title": "t",
        "source": {"title": "s", "url": "https://x"},
        "claims": list(claims),
    }
    return msgspec.json.format(msgspec.json.encode({**pack, **more}), indent=1).decode()
