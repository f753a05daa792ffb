"""Tokens are protected by a listed algorithm and live no longer than they may, or as long as was asked for.

On the basis of behaviour: a token is minted, and what it says is read. Tokens of a sample file lower it to records:
somebody chose them.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from typing import Annotated, Literal

import msgspec

from auditor.answers import Answer
from auditor.checking import Check, Source, Subject
from auditor.model import Basis, Resource, Unproven, Verdict, failed, passed

TOKEN = "tokens.token"  # noqa: S105 - a type of resource
MOST_SKEW = dt.timedelta(seconds=60)
MILLISECONDS_FROM = 1e11
"""More seconds than until the year 5000, and as many milliseconds as until 1973: who writes that means the latter."""
SCALE = ((31_556_952, "years"), (86_400, "days"), (3600, "hours"), (60, "minutes"))
ADVICE_IAT = "put iat into the token as well (RFC 7519 section 4.1.6): without it its age cannot be told from the token"
Moment = Annotated[dt.datetime, msgspec.Meta(tz=True)]
Kind = Literal["number", "missing", "out_of_range", "string", "boolean", "null", "array", "object"]
WRONG: dict[str, str] = {
    "missing": "has no exp: it never expires",
    "out_of_range": "has an exp that no clock will ever show: it never expires",
    "string": "has an exp that is text, and no number of seconds (RFC 7519 section 2)",
    "boolean": "has an exp that is true or false, and no number of seconds",
    "null": "has an exp that is null: it never expires",
    "array": "has an exp that is a list, and no number of seconds",
    "object": "has an exp that is an object, and no number of seconds",
}


class Params(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a token may be.

    `max_lifetime`: the longest it may live; `algorithms`: those of its header that are accepted, RS256, or dir/A256GCM
    of an encrypted one; `requested_lifetime`: where given, the only token is one that is minted with it, and must live
    that long; `tolerance`: how far any lifetime may be off.
    """

    max_lifetime: dt.timedelta
    algorithms: Annotated[tuple[str, ...], msgspec.Meta(min_length=1, examples=[["dir/A256GCM", "RS256"]])]
    requested_lifetime: dt.timedelta | None = None
    tolerance: dt.timedelta = dt.timedelta(seconds=2)


def collect(params: Params, tokens: Source) -> Iterator[Subject]:
    """One token as the service mints it by default, and those of the sample file; or the one that was asked for."""
    if params.requested_lifetime is not None:
        lifetime = msgspec.to_builtins(params.requested_lifetime)
        minted = tokens.ask("mint", lifetime=lifetime)
        yield Subject(Resource(TOKEN, "minted as requested"), token=minted, kind="requested")
        return
    mints, samples = tokens.target.has("/mint"), tokens.target.has("/samples")
    if not mints and not samples:
        raise Unproven("the target has neither mint nor samples, so there is no token to look at", [tokens.target])
    if mints:
        yield Subject(Resource(TOKEN, "minted"), token=tokens.ask("mint"), kind="minted")
    for sample in tokens.listing("samples") if samples else ():
        yield Subject(Resource(TOKEN, sample.get("/sha256", str)), token=sample, kind="sample")


def evaluate(subject: Subject, params: Params) -> Verdict:
    """Judge the algorithm, what protects the token, and how long it lives."""
    verdict = _judge(subject.token, subject.kind, params)
    return msgspec.structs.replace(verdict, basis=Basis.RECORDS) if subject.kind == "sample" else verdict


def _judge(token: Answer, kind: str, params: Params) -> Verdict:
    if kind == "sample" and (reason := token.find("/unreadable", str)) is not None:
        raise Unproven(f"cannot be read: {reason}", [token])
    algorithm = token.get("/token/algorithm", str)
    if algorithm == "none":
        return failed("is protected by nothing: its algorithm is none")
    if algorithm not in params.algorithms:
        return failed(f"is protected by {algorithm}, which is not among {', '.join(params.algorithms)}")
    protection = token.get("/token/signature", Literal["verified", "invalid", "no_key", "unchecked", "decrypted"])
    if protection in ("invalid", "no_key"):
        why = (
            "its signature is not of the declared key" if protection == "invalid" else "no declared key can be its key"
        )
        raise Unproven(f"{why}, so nobody knows whose token it is", [token])
    wrong = WRONG.get(token.get("/token/dates/exp/type", Kind))
    if wrong is not None:
        return failed(wrong)
    expires = token.get("/token/dates/exp/seconds", float)
    if expires > MILLISECONDS_FROM:
        return failed(f"expires {expires:,.0f} seconds after 1970: that is exp in milliseconds, or never")
    least, most = _lifetime(token, kind, expires)
    noted = "" if protection != "unchecked" else "; its signature was not checked, for no key is declared"
    advice = ADVICE_IAT if token.get("/token/dates/iat/type", Kind) != "number" else ""
    verdict = _compared(least, most, params, f"{algorithm}: lives {_span(least, most)}{noted}", advice)
    if isinstance(verdict, str):
        raise Unproven(verdict, [token])
    return verdict


def _compared(least: float, most: float, params: Params, lives: str, advice: str) -> Verdict | str:
    """Judge a lifetime that is known to be between `least` and `most` seconds; in words where that is too vague.

    How vague it may be is the tolerance, and the second that the service's clock is exact to.
    """
    tolerance, longest = params.tolerance.total_seconds(), params.max_lifetime.total_seconds()
    vague = most - least > tolerance + 1
    if least > longest + tolerance:
        return failed(f"{lives}, more than the {_words(longest)} it may")
    if vague and most > longest + tolerance:
        return f"{lives}, so it may live longer than the {_words(longest)} it may"
    if params.requested_lifetime is None:
        return passed(lives, advice=advice)
    asked = params.requested_lifetime.total_seconds()
    if least > asked + tolerance or most < asked - tolerance:
        return failed(f"{lives}, where {_words(asked)} were asked for")
    if vague and not asked - tolerance <= least <= most <= asked + tolerance:
        return f"{lives}, so it may not live the {_words(asked)} that were asked for"
    return passed(f"{lives}, as was asked for", advice=advice)


def _lifetime(token: Answer, kind: str, expires: float) -> tuple[float, float]:
    """Return the seconds a token lives, as the least and the most they can be.

    A sample says it itself: exp - iat. What was just minted lives from then on as well, whatever its iat says: the
    longer of both counts. When that was, the service's own clock says, to the second; the request took its time too.
    Where that clock and the iat differ by more than that, and by no more than clocks may, either may be right.
    """
    issued = None
    if token.get("/token/dates/iat/type", Kind) == "number":
        issued = token.get("/token/dates/iat/seconds", float)
    if kind == "sample":
        if issued is None:
            raise Unproven("says not when it was issued (iat), so nobody knows how long it lives", [token])
        least = most = expires - issued
    else:
        told, taken = _clocks(token)
        least, most = expires - (told + 1), expires - (told - taken)
        if issued is not None:
            lives = expires - issued
            agree = told - taken - 1 <= issued <= told + 1
            known = agree or abs(issued - told) > MOST_SKEW.total_seconds()
            least, most = max(least, lives) if known else min(least, lives), max(most, lives)
    if most <= 0:
        raise Unproven("is expired as soon as it is issued, so it says nothing of those that work", [token])
    return least, most


def _clocks(minted: Answer) -> tuple[float, float]:
    """Return when the service says it answered, and how many seconds the request took."""
    told = minted.find("/server_time", Moment)
    if told is None:
        raise Unproven("the service tells no time (Date), so nobody knows when the token was minted", [minted])
    before, after = minted.get("/minted_at/before", Moment), minted.get("/minted_at/after", Moment)
    skew = told - after
    if abs(skew) > MOST_SKEW:
        raise Unproven(f"the service's clock and ours differ by {skew.total_seconds():+,.0f} seconds", [minted])
    if not dt.timedelta(0) <= after - before <= MOST_SKEW:
        raise Unproven(f"minting took {after - before}, so nobody knows when the token was minted", [minted])
    return told.timestamp(), (after - before).total_seconds()


def _span(least: float, most: float) -> str:
    """Say a lifetime as exactly as it is known."""
    low = f"{least:,.0f}"
    return _words(most) if low == f"{most:,.0f}" else f"{low} to {_words(most)}"


def _words(seconds: float) -> str:
    for size, name in SCALE:
        if seconds >= 2 * size:
            return f"{seconds:,.0f} s ({seconds / size:,.1f} {name})"
    return f"{seconds:,.0f} s"


CHECK = Check(
    id="jwt-lifetime",
    title="Tokens are short-lived",
    sources={"tokens": {"mint": 0, "samples": 0}},
    shard="target",
    basis=Basis.BEHAVIOUR,
    params=Params,
    collect=collect,
    evaluate=evaluate,
    population=(
        "a token minted for the test customer as the service does by default, and each token of the sample file; with "
        "requested_lifetime only a token minted with it"
    ),
    proves=(
        "the token that the service minted is protected by a listed algorithm and expires within the longest lifetime, "
        "or after the one that was asked for"
    ),
    cannot_prove=(
        "that the service refuses the token once it is expired: see jwt-expiry-enforced",
        "the lifetime of tokens for other customers, or asked for with a longer lifetime",
        "the moment of minting more exactly than the service's clock, in whole seconds, and the request's own time",
        "which tokens a sample file leaves out, and whether they were issued when they say",
        "a signature, where no key is declared",
    ),
    no_second_source="a token is minted or taken from a file one by one: there is no list that could be short",
    time_based=True,
    criteria=("CC6.1", "CC6.6"),
)
