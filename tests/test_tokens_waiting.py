"""Fresh and expired tokens: what is waited for, for how long, and by whose clock."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest

from auditor.sources.clock import utcnow
from auditor.sources.tokens.connection import MOST_SKEW
from tests.github_account import Canned
from tests.token_services import ISSUER, Clock, answer, at, minted, running, service, settings, source, target, token


def expired(one: Any, handle: str, **more: str) -> Any:
    return one.ask("verify", token=handle, moment="expired", **{"leeway": "PT1S", "max_wait": "PT30S", **more})


@pytest.mark.parametrize(("leeway", "least"), [("PT1S", 4), ("PT3S", 6)])
@pytest.mark.parametrize("float_exp", [True, False])
def test_it_waits_until_the_token_is_expired_and_the_leeway_over(leeway: str, least: int, *, float_exp: bool) -> None:
    """By a clock that goes on when somebody waits."""
    clock = Clock()
    with (
        running(service(float_exp=float_exp), clock=clock.seconds) as server,
        source(target(server), clock=clock.now, sleep=clock.sleep) as one,
    ):
        handle = one.mint(lifetime="PT4S")
        assert one.ask("verify", token=handle, moment="fresh").body["outcome"] == "accepted"
        reply = expired(one, handle, leeway=leeway)
    assert reply.body["outcome"] == "refused"
    (slept,) = one.slept
    assert least - 0.5 < slept < least + 2.5


def test_an_expired_token_is_not_waited_for() -> None:
    with running() as server, source(target(server)) as one:
        handle = one.mint(lifetime="-PT60S")
        reply = expired(one, handle)
    assert reply.body["outcome"] == "refused"
    assert one.slept == []


def test_a_wait_over_the_limit_is_an_error_and_is_not_begun() -> None:
    canned = Canned(minted(token(60)))
    with source(settings(), transport=canned) as one:
        handle = one.mint()
        code, message = one.error("verify", token=handle, moment="expired", leeway="PT1S", max_wait="PT30S")
    assert code == "max_wait"
    assert "the wait may be 30 s" in message
    assert (one.slept, len(canned.sent)) == ([], 1)


@pytest.mark.parametrize("exp", ["1795600000", None, True, [], 1e20, 10**40])
def test_nobody_can_wait_for_an_exp_that_is_none(exp: Any) -> None:
    canned = Canned(minted(ISSUER.issue({"exp": exp})))
    with source(settings(), transport=canned) as one:
        assert (
            one.error("verify", token=one.mint(), moment="expired", leeway="PT1S", max_wait="PT30S")[0] == "unreadable"
        )
    with source(settings(), transport=Canned(minted(ISSUER.issue({})))) as one:
        assert (
            one.error("verify", token=one.mint(), moment="expired", leeway="PT1S", max_wait="PT30S")[0] == "unreadable"
        )


@pytest.mark.parametrize("seconds", [-3600, -MOST_SKEW - 2, MOST_SKEW + 2, 3600])
def test_where_clocks_differ_nobody_waits(seconds: float) -> None:
    told = at(utcnow() + dt.timedelta(seconds=seconds))
    with source(settings(), transport=Canned(minted(token(-60), Date=told))) as one:
        assert one.error("verify", token=one.mint(), moment="expired", leeway="PT1S", max_wait="PT30S")[0] == "clock"


@pytest.mark.parametrize("date", ["", "yesterday"])
def test_without_the_services_clock_nothing_is_proved(date: str) -> None:
    with source(settings(), transport=Canned(minted(token(-60), Date=date))) as one:
        handle = one.mint()
        assert one.error("verify", token=handle, moment="expired", leeway="PT1S", max_wait="PT30S")[0] == "clock"
    for moment in ("fresh", "tampered", "foreign", "garbage"):
        with source(settings(), transport=Canned(minted(), answer({}, Date=date))) as one:
            assert one.error("verify", token=one.mint(), moment=moment)[0] == "clock"


@pytest.mark.parametrize("status", [200, 401])
def test_an_answer_from_before_the_expiry_is_none_about_an_expired_token(status: int) -> None:
    """The service's own clock was behind what it had told: acceptance is no fault, and refusal no proof."""
    early = at(utcnow() - dt.timedelta(seconds=120))
    with source(settings(), transport=Canned(minted(token(-60)), answer({}, status, Date=early))) as one:
        assert one.error("verify", token=one.mint(), moment="expired", leeway="PT1S", max_wait="PT30S")[0] == "clock"


@pytest.mark.parametrize("moment", ["fresh", "tampered", "foreign", "garbage"])
@pytest.mark.parametrize("status", [200, 401])
def test_a_token_that_may_have_been_expired_already_proves_nothing(moment: str, status: int) -> None:
    for lives in (-60, 0):
        with source(settings(), transport=Canned(minted(token(lives)), answer({}, status))) as one:
            assert one.error("verify", token=one.mint(), moment=moment)[0] == "expired"
    with source(settings(), transport=Canned(minted(token(2.1)), answer({}, status))) as one:  # the positive control
        assert one.ask("verify", token=one.mint(), moment=moment).status == "ok"


def test_a_token_that_never_expires_is_fresh() -> None:
    with source(settings(), transport=Canned(minted(ISSUER.issue({})), answer({}))) as one:
        assert one.ask("verify", token=one.mint(), moment="fresh").body["outcome"] == "accepted"
