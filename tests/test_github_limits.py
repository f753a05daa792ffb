"""GitHub's rate limits, and who is asked about what: waits stay within a budget, and a parameter within its table."""

from __future__ import annotations

import json
from collections.abc import Mapping

import pytest

from auditor.answers import Answer
from auditor.sources.github import contradiction, seconds_to_wait
from auditor.sources.http import Received
from tests.github_account import API, OWNER, Canned, github, organization, source

# Limits


def test_the_secondary_limit_is_waited_for() -> None:
    with github(organization()) as server, source(server.url) as one:
        server.secondary = [7, None]
        reply = one.one("membership")
    assert reply.status == "ok"
    assert one.slept == [7, 120]


def test_waiting_ends_with_the_budget() -> None:
    with github(organization()) as server, source(server.url) as one:
        server.secondary = [None] * 9
        code, message = one.error("membership")
        assert code == "rate_limit"
        assert "a wait of 240 s is beyond the 300 s a task may wait" in message
        assert one.slept == [60, 120]
        server.secondary = [200]
        assert one.error("membership")[0] == "rate_limit"  # one budget for all questions
    assert server.calls.total() == 4


def test_a_limit_that_never_ends_is_not_hammered() -> None:
    with github(organization()) as server, source(server.url) as one:
        server.secondary = [0] * 99
        assert one.error("membership")[0] == "rate_limit"
    assert server.calls.total() == 5
    assert one.slept == [1, 1, 1, 1]


def test_the_primary_limit_is_waited_for_within_the_budget() -> None:
    with github(organization(), limit=1) as server, source(server.url) as one:
        assert one.one("membership").status == "ok"
        code, message = one.error("membership")
        assert (code, "beyond" in message) == ("rate_limit", True)
        server.reset_at -= 3500

        def sleep(seconds: float) -> None:
            one.slept.append(seconds)
            server.used.clear()

        one.connection._https._sleep = sleep
        reply = one.one("membership")
    assert reply.status == "ok"
    assert [attempt.reason for attempt in reply.attempts] == ["rate_limit", ""]
    assert 90 < one.slept[0] <= 102


DATE = "Mon, 23 Nov 2026 12:00:00 GMT"
NOON = 1795435200


@pytest.mark.parametrize(
    ("status", "headers", "message", "expected"),
    [
        (403, {"retry-after": "30"}, "", 30.0),
        (429, {"retry-after": "0"}, "", 1.0),
        (403, {"x-ratelimit-remaining": "0", "x-ratelimit-reset": str(NOON + 9), "date": DATE}, "", 10.0),
        (403, {"x-ratelimit-remaining": "0", "x-ratelimit-reset": str(NOON - 9), "date": DATE}, "", 1.0),
        (429, {}, "", 60.0),
        (403, {}, "You have exceeded a secondary rate limit", 60.0),
        (403, {"x-ratelimit-remaining": "12"}, "Resource not accessible", None),
        (403, {"retry-after": "-1"}, "", None),
        (403, {"retry-after": "²"}, "", None),
        (401, {"retry-after": "30"}, "", None),
        (503, {"retry-after": "30"}, "", None),
    ],
)
def test_how_long_to_wait(status: int, headers: Mapping[str, str], message: str, expected: float | None) -> None:
    received = Received(status, headers, json.dumps({"message": message}).encode())
    assert seconds_to_wait(received, 1) == expected


# Identity and parameters


@pytest.mark.parametrize(("login", "expected"), [("explo", None), ("EXPLO", None), ("other", "declared organization")])
def test_another_organization_is_the_wrong_target(login: str, expected: str | None) -> None:
    found = contradiction(Answer.literal({"organization": "explo"}), Answer.literal({"organization": {"login": login}}))
    assert (found is None) is (expected is None)
    assert found is None or found.startswith(expected or "")


def test_a_parameter_that_is_not_in_the_table_is_refused() -> None:
    with source(API, transport=Canned()) as one:
        for params in ({"filter": "2fa"}, {"page": 2}):
            with pytest.raises(ValueError, match="does not know"):
                one.ask("members", **params)


def test_who_asks_is_one_call() -> None:
    with github(organization()) as server, source(server.url) as one:
        body = one.one("membership").body
    assert (body["role"], body["state"], body["user"]["id"]) == ("admin", "active", OWNER.id)
    assert server.calls.total() == 1
