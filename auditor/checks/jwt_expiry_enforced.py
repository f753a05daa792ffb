"""A service refuses tokens that are expired, tampered with, or under a key that is not its own.

On the basis of behaviour: the tokens are presented. What is refused proves something only beside what is accepted: the
short-lived token while it was fresh, and a lasting one before and after, which shows that the door is still the same,
that nobody blocked us, and that tokens work more than once. What is accepted proves something only where the door does
not open to anything.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from typing import Annotated, Literal

import msgspec

from auditor.answers import Answer
from auditor.checking import Check, Source, Subject
from auditor.model import Basis, Resource, Unproven, Verdict, failed, passed

PRESENTED = "tokens.presented"
MOMENTS = {
    "tampered": "a token with one bit of its signature or tag turned",
    "foreign": "a token of the same content under a foreign key",
    "expired": "the token once it was expired",
}
CONTROLS = {
    "fresh": "the short-lived token while it was fresh",
    "before": "the lasting token before",
    "after": "the lasting token after",
}
Answered = Literal["accepted", "refused"]


class Params(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How long is waited, and how exactly.

    `lifetime`: what is asked for, so that nobody waits long; `leeway`: how long after its expiry it may still be
    accepted; `max_wait`: the longest wait for both.
    """

    lifetime: Annotated[dt.timedelta, msgspec.Meta(examples=["PT4S"])]
    leeway: dt.timedelta = dt.timedelta(seconds=1)
    max_wait: dt.timedelta = dt.timedelta(seconds=60)


def collect(params: Params, tokens: Source) -> Iterator[Subject]:
    """What must be refused, each with what must be accepted.

    The lasting token is the default one, which others may have asked for already. Both are minted before either is
    presented, so that a service where the next token ends the last one is noticed.
    """
    lasting = tokens.ask("mint")
    short = tokens.ask("mint", lifetime=msgspec.to_builtins(params.lifetime))
    fresh = _present(tokens, short, "fresh")
    before = _present(tokens, lasting, "fresh", purpose="before")
    answers: dict[str, Answer] = {}
    after = garbage = None
    if _is_accepted(fresh) and _is_accepted(before):  # else no refusal proves anything, and waiting is for nothing
        answers["tampered"] = _present(tokens, lasting, "tampered")
        answers["foreign"] = _present(tokens, lasting, "foreign")
        limits = {"leeway": params.leeway, "max_wait": params.max_wait}
        answers["expired"] = _present(tokens, short, "expired", **msgspec.to_builtins(limits))
        if any(_is_accepted(answer) for answer in answers.values()):
            garbage = _present(tokens, lasting, "garbage")
        after = _present(tokens, lasting, "fresh", purpose="after")
    for moment in MOMENTS:
        resource = Resource(PRESENTED, moment)
        answer = answers.get(moment)
        yield Subject(resource, answer=answer, fresh=fresh, before=before, after=after, garbage=garbage)


def _present(tokens: Source, minted: Answer, moment: str, **more: str) -> Answer:
    return tokens.ask("verify", token=minted.at("/token/sha256", str), moment=moment, **more)


def _is_accepted(answer: Answer) -> bool:
    return answer.readable and answer.get("/outcome", str) == "accepted"


def evaluate(subject: Subject, params: Params) -> Verdict:  # noqa: ARG001 - every check has the same shape
    """Pass a refusal among acceptances of one kind, and fail an acceptance of that kind."""
    kinds = [_accepted_kind(getattr(subject, name), words) for name, words in CONTROLS.items()]
    if kinds[1:] != kinds[:-1]:
        reason = "what fresh tokens open is not always of one kind, so something else may have answered"
        raise Unproven(reason, [getattr(subject, name) for name in CONTROLS])
    what = MOMENTS[subject.resource.id]
    outcome, status = subject.answer.get("/outcome", Answered), subject.answer.get("/status", int)
    if outcome == "refused":
        return passed(f"{what} was refused ({status}), and fresh ones accepted before and after")
    if subject.answer.get("/content", str) != kinds[0]:
        reason = (
            f"{what} was answered with {status}, but with something else than fresh ones: neither accepted nor refused"
        )
        raise Unproven(reason, [subject.answer, subject.fresh])
    if subject.garbage.get("/outcome", Answered) == "accepted" and subject.garbage.get("/content", str) == kinds[0]:
        reason = f"{what} was accepted ({status}), but so was what is no token at all: is this URL for tokens?"
        raise Unproven(reason, [subject.answer, subject.garbage])
    return failed(f"{what} was accepted ({status}), and what is no token was not")


def _accepted_kind(control: Answer, words: str) -> str:
    """Return of what kind the answer is, once it is an acceptance."""
    if control.get("/outcome", Answered) != "accepted":
        status = control.get("/status", int)
        raise Unproven(f"no positive control: {words} was refused ({status}), so no refusal proves anything", [control])
    return control.get("/content", str)


CHECK = Check(
    id="jwt-expiry-enforced",
    title="Expired, tampered and foreign tokens are refused",
    sources={"tokens": {"mint": 2, "verify": 6}},
    shard="target",
    basis=Basis.BEHAVIOUR,
    params=Params,
    collect=collect,
    evaluate=evaluate,
    population=(
        "three tokens presented at the target's verify URL: expired, tampered with, and under a foreign key; each with "
        "fresh tokens presented there before and after, and with no token at all where one was accepted"
    ),
    proves=(
        "the URL accepted tokens as they were minted, and refused one that had expired by the service's own clock, one "
        "with a bit of its signature or tag turned, and one of the same content under another key"
    ),
    cannot_prove=(
        "other URLs, servers behind the same one, and tokens for other customers",
        "that a token is refused between its expiry and the end of the leeway",
        "that a longer-lived token is refused at its end as well",
        "every other way to forge a token: algorithm none, or a public key taken for a shared secret",
    ),
    no_second_source="the three tokens are presented one by one: there is no list that could be short",
    criteria=("CC6.1", "CC6.6"),
)
