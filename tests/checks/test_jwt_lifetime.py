"""Lifetimes of tokens: how long, since when, by whose clock, protected by what, and what is no lifetime at all."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest

from auditor.answers import Answer, Listing
from auditor.checking import Subject
from auditor.checks.jwt_lifetime import CHECK
from auditor.model import JSON, Basis, Outcome, Resource, Unproven, Verdict
from tests.checks.asking import ABSENT, DENIED, InMemory, paged, params, question, subjects_of, unreadable
from tests.checks.passing import NOW
from tests.checks.token_answers import AFTER, MINTED, MISSING, minted, number, token

DAY = 86_400
GIVEN: dict[str, JSON] = {"max_lifetime": "P1D", "algorithms": ["dir/A256GCM", "RS256"]}


def judged(body: JSON, kind: str = "minted", **given: JSON) -> Verdict:
    """Judge one token; `Unproven` where it cannot be told."""
    subject = Subject(Resource("tokens.token", "x"), token=Answer.literal(body), kind=kind)
    return CHECK.evaluate(subject.judged(NOW, []), params(CHECK, **{**GIVEN, **given}))


def unproven(body: JSON, kind: str = "minted", **given: JSON) -> str:
    with pytest.raises(Unproven) as error:
        judged(body, kind, **given)
    return error.value.reason


def collected(target: JSON, answers: dict[Any, Any], **given: JSON) -> dict[str, str]:
    """Return the kinds of the subjects by id, and under "" why there are no more."""
    found: dict[str, str] = {}
    try:
        for subject in subjects_of(
            CHECK, params(CHECK, **{**GIVEN, **given}), InMemory(answers, target=Answer.literal(target))
        ):
            found[subject.resource.id] = subject.kind
    except Unproven as error:
        found[""] = error.reason
    return found


# How long


@pytest.mark.parametrize(
    ("exp", "iat", "outcome", "words"),
    [
        (number(MINTED + DAY), MISSING, "pass", "lives 86,399 to 86,400 s (24.0 hours)"),
        (number(MINTED + DAY), number(MINTED), "pass", "lives 86,400 s (24.0 hours)"),
        (number(MINTED + 60), number(MINTED), "pass", "lives 60 s"),
        (number(MINTED + DAY + 0.7), MISSING, "pass", "lives 86,400 to 86,401 s"),
        (number(MINTED + DAY + 2), number(MINTED), "pass", "lives 86,402 s"),
        (number(MINTED + DAY + 3), number(MINTED), "fail", "lives 86,403 s (24.0 hours), more than the 86,400 s"),
        (number(MINTED + DAY + 3), MISSING, "pass", "lives 86,402 to 86,403 s"),
        (number(MINTED + DAY + 4), MISSING, "fail", "lives 86,403 to 86,404 s"),
        (number(MINTED + DAY + 18_000), MISSING, "fail", "(29.0 hours), more than"),
        (number(MINTED + 3650 * DAY), MISSING, "fail", "(10.0 years), more than"),
    ],
)
def test_a_lifetime_is_held_against_the_longest(exp: JSON, iat: JSON, outcome: str, words: str) -> None:
    verdict = judged(minted(exp, iat))
    assert verdict.outcome.value == outcome
    assert words in verdict.message
    assert verdict.basis is None  # the check's own: behaviour


@pytest.mark.parametrize("iat", [MINTED + 10 * DAY, MINTED + DAY, MINTED - 10 * DAY])
def test_neither_a_future_nor_an_old_iat_hides_a_long_life(iat: float) -> None:
    """The longer counts of what a token says of itself, and of what is left of it when it is minted."""
    verdict = judged(minted(number(max(iat, MINTED) + DAY / 2), number(iat)))
    assert verdict.outcome is Outcome.FAIL


def test_the_tolerance_is_the_policys() -> None:
    late = minted(number(MINTED + DAY + 30), number(MINTED))
    assert judged(late).outcome is Outcome.FAIL
    assert judged(late, tolerance="PT30S").outcome is Outcome.PASS


def test_a_missing_iat_is_worth_an_advice_and_no_more() -> None:
    assert "iat" in judged(minted()).advice
    assert judged(minted(iat=number(MINTED))).advice == ""
    assert "iat" in judged(minted(iat={"type": "string"})).advice


# As requested


@pytest.mark.parametrize(
    ("lives", "outcome"),
    [(3600, "pass"), (3602, "pass"), (3598, "pass"), (3603, "fail"), (3597, "fail"), (1, "fail"), (DAY, "fail")],
)
def test_a_requested_lifetime_must_be_the_lifetime(lives: int, outcome: str) -> None:
    body = minted(number(MINTED + lives), number(MINTED))
    verdict = judged(body, "requested", requested_lifetime="PT1H")
    assert verdict.outcome.value == outcome
    words = "as was asked for" if outcome == "pass" else "where 3,600 s (60.0 minutes) were asked for"
    assert words in verdict.message


def test_where_the_moment_of_minting_is_not_known_exactly_neither_is_the_lifetime() -> None:
    """Without iat: the second in which the service answered, and the time the request took, are allowed for."""
    outcomes = {
        lives: judged(minted(number(MINTED + lives)), "requested", requested_lifetime="PT1H").outcome.value
        for lives in (3597, 3598, 3603, 3604)
    }
    assert outcomes == {3597: "fail", 3598: "pass", 3603: "pass", 3604: "fail"}


def test_a_requested_lifetime_beyond_the_longest_is_too_long() -> None:
    body = minted(number(MINTED + 2 * DAY), number(MINTED))
    assert "more than" in judged(body, "requested", requested_lifetime="P2D").message


# What is no lifetime


@pytest.mark.parametrize(
    ("exp", "words"),
    [
        (MISSING, "has no exp: it never expires"),
        ({"type": "null"}, "null: it never expires"),
        ({"type": "out_of_range"}, "it never expires"),
        ({"type": "string"}, "is text"),
        ({"type": "boolean"}, "true or false"),
        ({"type": "array"}, "a list"),
        ({"type": "object"}, "an object"),
        (number((MINTED + DAY) * 1000.0), "1,795,686,400,000 seconds after 1970: that is exp in milliseconds"),
        (number(9e14), "in milliseconds, or never"),
    ],
)
@pytest.mark.parametrize("kind", ["minted", "requested", "sample"])
def test_what_is_no_lifetime_fails(exp: JSON, words: str, kind: str) -> None:
    given = {"requested_lifetime": "PT1H"} if kind == "requested" else {}
    verdict = judged(minted(exp, number(MINTED)), kind, **given)
    assert verdict.outcome is Outcome.FAIL
    assert words in verdict.message


@pytest.mark.parametrize("exp", [0.0, -1e15, MINTED - 1.0, MINTED - 0.3])
def test_a_token_that_is_expired_at_birth_says_nothing_of_those_that_work(exp: float) -> None:
    assert "is expired as soon as it is issued" in unproven(minted(number(exp)))


# What protects it


def test_an_algorithm_must_be_listed_and_none_never_is() -> None:
    verdict = judged(minted(algorithm="HS256", signature="verified"))
    assert verdict.outcome is Outcome.FAIL
    assert "HS256, which is not among dir/A256GCM, RS256" in verdict.message
    none = judged(minted(algorithm="none", signature="unchecked"), algorithms=["none"])
    assert (none.outcome, none.message) == (Outcome.FAIL, "is protected by nothing: its algorithm is none")


@pytest.mark.parametrize("exp", [MISSING, number(MINTED + 9 * DAY), number(MINTED + 60)])
@pytest.mark.parametrize("signature", ["invalid", "no_key"])
def test_a_signature_of_another_key_says_nothing_about_the_service(signature: str, exp: JSON) -> None:
    """The key that is declared may be the wrong one: neither pass nor fail."""
    assert "nobody knows whose token" in unproven(minted(exp, algorithm="RS256", signature=signature))


def test_a_signature_that_nobody_can_check_is_said() -> None:
    verdict = judged(minted(algorithm="RS256", signature="unchecked"))
    assert verdict.outcome is Outcome.PASS
    assert "its signature was not checked" in verdict.message


# Clocks


@pytest.mark.parametrize("seconds", [-3600, -61, 61, 3600])
@pytest.mark.parametrize("iat", [MISSING, number(MINTED)])
def test_where_clocks_differ_lifetimes_are_not_believed(seconds: int, iat: JSON) -> None:
    told = dt.datetime.fromtimestamp(MINTED + seconds, dt.UTC).isoformat()
    assert "clock and ours differ" in unproven(minted(iat=iat, server_time=told))


def test_without_any_clock_nobody_can_tell() -> None:
    assert "tells no time" in unproven(minted(server_time=None))


@pytest.mark.parametrize("after", ["2026-11-25T09:47:41.200000Z", "2026-11-25T09:46:39.000000Z"])
def test_a_request_that_took_too_long_or_less_than_nothing_tells_no_moment(after: str) -> None:
    body = minted()
    body["minted_at"] = {"before": "2026-11-25T09:46:40.100000Z", "after": after}
    assert "minting took" in unproven(body) or "differ" in unproven(body)


def test_what_needs_no_clock_fails_without_one() -> None:
    assert judged(minted(MISSING, server_time=None)).outcome is Outcome.FAIL


def slowly(seconds: float, exp: float, iat: JSON = None) -> dict[str, JSON]:
    """A token that was there so many seconds after it was asked for."""
    body = minted(number(exp), iat)
    before = dt.datetime.fromtimestamp(MINTED + 0.4 - seconds, dt.UTC).isoformat()
    body["minted_at"] = {"before": before, "after": AFTER}
    return body


@pytest.mark.parametrize("iat", [MISSING, number(MINTED)])
def test_a_minting_that_took_longer_than_the_tolerance_proves_no_limit_that_may_be_passed(iat: JSON) -> None:
    """It may have been minted when it was asked for, so that it lived longer than it may, or than was asked for."""
    assert "may live longer than the 86,400 s" in unproven(slowly(30, MINTED + DAY, iat))
    assert judged(slowly(30, MINTED + DAY - 60, iat)).outcome is Outcome.PASS
    assert judged(slowly(30, MINTED + DAY + 4, iat)).outcome is Outcome.FAIL
    assert judged(slowly(2, MINTED + DAY, iat)).outcome is Outcome.PASS
    requested = {"requested_lifetime": "PT4S"}
    assert "may not live the 4 s" in unproven(slowly(30, MINTED + 4, iat), "requested", **requested)
    assert judged(slowly(30, MINTED + 8, iat), "requested", **requested).outcome is Outcome.FAIL
    assert judged(slowly(2, MINTED + 4, iat), "requested", **requested).outcome is Outcome.PASS
    assert judged(slowly(30, MINTED + 4, iat), "requested", **requested, tolerance="PT30S").outcome is Outcome.PASS


@pytest.mark.parametrize("apart", [-50, -5, 5, 50])
def test_where_the_iat_and_the_services_clock_differ_a_little_neither_makes_a_fault_or_a_proof(apart: int) -> None:
    """A proxy with another clock writes the Date, or the iat is made up: both may be, so neither is believed."""
    body = minted(number(MINTED + apart + DAY), number(MINTED + apart))
    if apart > 0:
        assert "may live longer than the 86,400 s" in unproven(body)
    else:
        assert judged(body).outcome is Outcome.PASS  # by either it lives no longer
    short = minted(number(MINTED + apart + 60), number(MINTED + apart))
    assert "may not live the 60 s" in unproven(short, "requested", requested_lifetime="PT60S")
    assert judged(minted(number(MINTED + 3 * DAY), number(MINTED + apart))).outcome is Outcome.FAIL


# Samples


def test_a_sample_lives_from_its_iat_on_and_is_a_record() -> None:
    for lives, outcome in ((DAY, Outcome.PASS), (3 * DAY, Outcome.FAIL)):
        verdict = judged({"token": token(number(MINTED - 10 * DAY + lives), number(MINTED - 10 * DAY))}, "sample")
        assert (verdict.outcome, verdict.basis) == (outcome, Basis.RECORDS)


def test_a_sample_without_iat_cannot_be_told_even_where_it_is_long() -> None:
    for iat in (MISSING, {"type": "string"}, {"type": "null"}):
        assert "says not when it was issued" in unproven({"token": token(iat=iat)}, "sample")


def test_a_sample_that_cannot_be_read_is_an_error_with_its_reason() -> None:
    body = {"sha256": "aa", "unreadable": "unreadable: does not decrypt"}
    assert unproven(body, "sample") == "cannot be read: unreadable: does not decrypt"


# The population


BOTH = {"mint": {}, "samples": "x.txt"}
ANSWERS = {
    question("mint"): Answer.literal(minted()),
    question("samples"): paged([{"sha256": "aa"}, {"sha256": "bb"}]),
    question("mint", lifetime="PT3600S"): Answer.literal(minted()),
}


def test_what_is_declared_is_looked_at() -> None:
    assert collected(BOTH, ANSWERS) == {"minted": "minted", "aa": "sample", "bb": "sample"}
    assert collected({"mint": {}}, ANSWERS) == {"minted": "minted"}
    assert collected({"samples": "x.txt"}, ANSWERS) == {"aa": "sample", "bb": "sample"}
    assert "neither mint nor samples" in collected({"verify": {}}, ANSWERS)[""]
    assert collected(BOTH, ANSWERS, requested_lifetime="PT1H") == {"minted as requested": "requested"}


@pytest.mark.parametrize("answer", [DENIED, ABSENT])
def test_a_refused_minting_is_an_error(answer: Answer) -> None:
    (subject,) = subjects_of(
        CHECK, params(CHECK, **GIVEN), InMemory({question("mint"): answer}, target=Answer.literal({"mint": {}}))
    )
    with pytest.raises(Unproven):
        CHECK.evaluate(subject.judged(NOW, []), params(CHECK, **GIVEN))


def test_a_file_that_cannot_be_read_leaves_the_population_open() -> None:
    found = collected(BOTH, {**ANSWERS, question("samples"): Listing.literal(status="error", reason="no such file")})
    assert found.keys() == {"minted", ""}


@pytest.mark.parametrize(
    "pointer", ["/token/algorithm", "/token/signature", "/token/dates/exp/type", "/token/dates/exp/seconds"]
)
def test_a_token_that_cannot_be_read_is_an_error(pointer: str) -> None:
    for case in unreadable(minted(), pointer):
        answer: Any = case.values[0]
        subject = next(
            iter(
                subjects_of(
                    CHECK, params(CHECK, **GIVEN), InMemory({question("mint"): answer}, target=Answer.literal(BOTH))
                )
            )
        )
        with pytest.raises(Unproven):
            CHECK.evaluate(subject.judged(NOW, []), params(CHECK, **GIVEN))
