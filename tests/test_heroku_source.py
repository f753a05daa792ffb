"""The Heroku source: pages by Range and Next-Range, the rate limit, refusals, and a token that goes to one origin."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any

import pytest

from auditor.answers import Answer
from auditor.questions import Allowance, Need, Operation, SecretRef
from auditor.sources.heroku import OPERATIONS, SOURCE, HerokuTarget, allowance, contradiction, grant, seconds_to_wait
from auditor.sources.http import Received
from tests.github_account import Canned, answer
from tests.heroku_account import API, SECRET, enterprise, heroku, invitation, people, source, team

MEMBERS = "/teams/explo/members"
ADA = {
    "created_at": "2024-05-02T09:00:00Z",
    "email": "ada@explo.co",
    "federated": False,
    "updated_at": "2024-05-02T09:00:00Z",
}
FIRST = "email ..; max=1000;"
SECOND = "email ]m@explo.co..; max=1000;"


def asked(canned: Canned, operation: str = "members") -> tuple[str, str]:
    with source(API, transport=canned) as one:
        return one.error(operation)


# Pages


def test_2500_members_are_read_in_three_pages_and_no_more() -> None:
    with heroku(team(*people(2499))) as server, source(server.url) as one:
        replies = one.ask("members")
    assert [len(reply.body["items"]) for reply in replies] == [1000, 1000, 500]
    assert [reply.last for reply in replies] == [False, False, True]
    assert [reply.attempts[0].status for reply in replies] == [206, 206, 200]
    assert len({item["email"] for reply in replies for item in reply.body["items"]}) == 2500
    assert dict(server.calls) == {MEMBERS: 3}


@pytest.mark.parametrize("count", [0, 199, 200, 999])
def test_a_list_of_one_page_is_one_call(count: int) -> None:
    """More than the usual 200 as well: the most that a page may hold is asked for."""
    with heroku(team(*people(count))) as server, source(server.url) as one:
        assert len(one.one("members").body["items"]) == count + 1
    assert server.calls.total() == 1


def test_lists_whose_ranges_heroku_does_not_publish_are_followed_too() -> None:
    invited = [invitation(f"{number}@example.com") for number in range(450)]
    with heroku(team(invitations=invited), enterprise(*people(299))) as server, source(server.url) as one:
        assert [len(reply.body["items"]) for reply in one.ask("invitations")] == [200, 200, 50]
        assert [len(reply.body["items"]) for reply in one.ask("enterprise_members")] == [200, 100]


@pytest.mark.parametrize("following", [SECOND, "email ]ü..", "id [x..y;max=3", "anything at all"])
def test_the_next_range_is_sent_back_to_the_letter(following: str) -> None:
    canned = Canned(answer([ADA], 206, Next_Range=following), answer([ADA]))
    with source(API, transport=canned) as one:
        assert [reply.status for reply in one.ask("members")] == ["ok", "ok"]
    assert [request.headers["Range"] for request in canned.sent] == [FIRST, following]
    assert {str(request.url) for request in canned.sent} == {API + MEMBERS}


@pytest.mark.parametrize(
    ("canned", "reason"),
    [
        (Canned(answer([ADA], 206)), "no Next-Range says where"),
        (Canned(answer([ADA], 206, Next_Range="")), "no Next-Range says where"),
        (Canned(answer([ADA], 206, Next_Range=FIRST)), "never end"),
        (Canned(*[answer([ADA], 206, Next_Range=SECOND)] * 2), "never end"),
        (Canned(answer([ADA], 200, Next_Range=SECOND)), "and Next-Range that it goes on"),
        (Canned(answer([ADA], 206, Next_Range=SECOND), answer(b"[]", 204)), "HTTP 204 No Content is no answer"),
        (Canned(answer([ADA], 206, Next_Range=SECOND), answer(b"")), "not JSON"),
    ],
)
def test_pages_that_cannot_be_followed_are_malformed(canned: Canned, reason: str) -> None:
    """Never is the first page taken for the whole."""
    code, message = asked(canned)
    assert code == "malformed"
    assert reason in message


def test_a_page_with_a_line_break_in_its_next_range_asks_nothing_more() -> None:
    canned = Canned(answer([ADA], 206, Next_Range="email ]a..\r\nHost: evil.example"))
    assert asked(canned)[0] == "malformed"
    assert len(canned.sent) == 1


def test_a_part_of_something_that_is_no_list_is_malformed() -> None:
    for operation in ("team", "enterprise_account"):
        canned = Canned(answer({"id": "1", "name": "explo"}, 206, Next_Range=SECOND))
        assert asked(canned, operation)[0] == "malformed"


def test_the_version_of_each_question_is_named() -> None:
    for operation, version in (("members", "3"), ("invitations", "3.team-invitations"), ("enterprise_members", "3")):
        canned = Canned(answer([]))
        with source(API, transport=canned) as one:
            assert one.one(operation).status == "ok"
        headers = canned.sent[0].headers
        assert headers["Accept"] == f"application/vnd.heroku+json; version={version}"
        assert headers.get("Range") == (FIRST if operation == "members" else None)


def test_the_digest_is_of_the_bytes_on_the_wire() -> None:
    raw = b'[ {"created_at": "x", "email": "a", "federated": false, "updated_at": "x"} ]'
    with source(API, transport=Canned(answer(raw))) as one:
        reply = one.one("members")
    assert reply.raw_sha256 == hashlib.sha256(raw).hexdigest()
    assert reply.body["items"][0]["email"] == "a"


# The token


def test_the_token_is_a_bearer_token() -> None:
    canned = Canned(answer([]))
    with source(API, transport=canned) as one:
        one.one("invitations")
    assert canned.sent[0].headers["Authorization"] == f"Bearer {SECRET}"


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_is_not_followed(status: int) -> None:
    canned = Canned(answer({"id": "moved", "message": "Moved"}, status, Location="https://evil.example/"))
    code, message = asked(canned)
    assert code == str(status)
    assert "does not follow" in message
    assert len(canned.sent) == 1


def test_the_token_of_an_invitation_is_dropped_before_anything_is_kept() -> None:
    """Who has it may accept the invitation."""
    item = {"id": "i", "created_at": "x", "user": {"email": "x@example.com"}}
    with source(API, transport=Canned(answer([item | {"token": "614ae25a"}, item]), answer([item]))) as one:
        reply, control = one.one("invitations"), one.one("invitations")
    assert reply.body == {"items": [item, item]}
    assert (reply.dropped, control.dropped) == (("/items/0/token",), ())


# Refusals


def test_a_stranger_a_collaborator_a_wrong_token_and_a_wrong_name_are_told_apart() -> None:
    """Each beside the positive control: the same server answers who may ask."""
    with heroku(team(collaborators=["eve@example.com"])) as server:
        with source(server.url) as one:
            assert [one.one(name).status for name in ("team", "members", "invitations")] == ["ok"] * 3
        with source(server.url, secret="wrong") as one:
            code, message = one.error("team")
            assert code == "401"
            assert message == "unauthorized: Invalid credentials provided. (the token is unknown, expired or revoked)"
        with source(server.url, name="other") as one:
            code, message = one.error("team")
            assert (code, "none of this name, or none that the token may see" in message) == ("404", True)
    with heroku(team(), email="eve@example.com") as server, source(server.url) as one:
        code, message = one.error("team")
        assert code == "403"
        assert message.startswith("forbidden: You do not have access to the team explo. (needs OAuth scope read; ")
    with heroku(team(collaborators=["eve@example.com"]), email="eve@example.com") as server, source(server.url) as one:
        assert one.one("team").body["role"] == "collaborator"
        assert one.error("members")[0] == "403"


def test_a_scope_that_is_too_narrow_names_the_one_that_is_needed() -> None:
    for scope in ("read", "global"):
        with heroku(team(), scope=(scope,)) as server, source(server.url) as one:
            assert one.one("members").status == "ok"
    with heroku(team(), scope=("identity",)) as server, source(server.url) as one:
        code, message = one.error("members")
    assert (code, "needs OAuth scope read" in message) == ("403", True)


def test_a_second_factor_that_is_asked_for_is_said() -> None:
    with heroku(team(), challenged=True) as server, source(server.url) as one:
        code, message = one.error("members")
    assert code == "two_factor"
    assert "heroku authorizations:create" in message


def test_the_enterprise_account_is_asked_by_its_own_name() -> None:
    with heroku(team(), enterprise(*people(2))) as server:
        with source(server.url) as one:
            assert one.one("enterprise_account").body["permissions"] == ["view", "manage"]
            assert len(one.one("enterprise_members").body["items"]) == 3
        with source(server.url, above="other") as one:
            assert one.error("enterprise_members")[0] == "404"
        assert server.calls["/enterprise-accounts/other/members"] == 1
        with source(server.url, above=None) as one:
            assert one.error("enterprise_members") == (
                "not_declared",
                "not asked: the target names no enterprise_account",
            )
        assert server.calls.total() == 3


@pytest.mark.parametrize("status", [400, 402, 410, 416, 422, 500, 503])
def test_any_other_status_is_an_error_of_its_number(status: int) -> None:
    assert asked(Canned(answer({"id": "oh", "message": "Oh"}, status))) == (str(status), "oh: Oh")
    assert asked(Canned(answer(b"[[[", status)))[0] == str(status)


@pytest.mark.parametrize("status", [201, 202, 204, 207])
def test_a_success_that_is_neither_200_nor_206_is_malformed(status: int) -> None:
    assert asked(Canned(answer([], status)))[0] == "malformed"


# Bodies


def test_what_heroku_may_leave_out_or_null_is_kept_as_it_came() -> None:
    for more in ({}, {"two_factor_authentication": None, "identity_provider": None, "role": None}, {"unknown": [1]}):
        with source(API, transport=Canned(answer([ADA | more]))) as one:
            assert one.one("members").body == {"items": [ADA | more]}


@pytest.mark.parametrize("missing", sorted(ADA))
def test_what_the_published_schema_requires_must_be_there(missing: str) -> None:
    for body in ({**ADA, missing: None}, {**ADA, missing: 7}, {k: v for k, v in ADA.items() if k != missing}):
        assert asked(Canned(answer([body])))[0] == "malformed"


@pytest.mark.parametrize(
    ("operation", "body"),
    [
        ("members", {}),
        ("members", None),
        ("members", [None]),
        ("members", [ADA | {"two_factor_authentication": "true"}]),
        ("members", [ADA | {"two_factor_authentication": 1}]),
        ("members", [ADA | {"identity_provider": "acme"}]),
        ("team", []),
        ("team", {"id": "1"}),
        ("team", {"id": "1", "name": "explo", "role": 7}),
        ("team", {"id": "1", "name": "explo", "role": "admin", "type": "guild"}),
        ("team", {"id": "1", "name": "explo", "membership_limit": "25"}),
        ("invitations", [{"id": "1"}]),
        ("enterprise_account", {"id": "1", "name": "acme"}),
        ("enterprise_account", {"id": "1", "name": "acme", "permissions": [None]}),
        ("enterprise_members", [{"id": "1"}]),
        ("enterprise_members", [{"id": "1", "user": {"id": "1"}}]),
        ("enterprise_members", [{"id": "1", "user": {"email": "a"}, "two_factor_authentication": 0}]),
    ],
)
def test_a_body_of_another_shape_is_malformed(operation: str, body: Any) -> None:
    assert asked(Canned(answer(body)), operation)[0] == "malformed"


# The rate limit


def test_the_rate_limit_is_waited_for_and_then_asked_again() -> None:
    with heroku(team(), limit=1) as server, source(server.url) as one:
        assert one.one("team").allowance == Allowance(0)

        def sleep(seconds: float) -> None:
            one.slept.append(seconds)
            server.used.clear()

        one.connection._https._sleep = sleep
        reply = one.one("members")
    assert reply.status == "ok"
    assert [attempt.reason for attempt in reply.attempts] == ["rate_limit", ""]
    assert one.slept == [10]


def test_waiting_ends_with_the_tries_and_the_budget() -> None:
    with heroku(team(), limit=0) as server, source(server.url) as one:
        code, message = one.error("members")
        assert (code, message) == ("rate_limit", "rate_limit: Your account reached the API rate limit")
        assert one.slept == [10, 20, 40, 80]
        assert one.error("team")[0] == "rate_limit"
        assert sum(one.slept) == 300  # one budget for all questions
        assert "a wait of 10 s is beyond the 300 s a task may wait" in one.error("members")[1]
    assert server.calls.total() == 11


@pytest.mark.parametrize(
    ("status", "headers", "expected"),
    [
        (429, {}, 20.0),
        (429, {"retry-after": "7"}, 7.0),
        (429, {"retry-after": "0"}, 1.0),
        (429, {"retry-after": "-1"}, 20.0),
        (429, {"retry-after": "²"}, 20.0),
        (403, {"retry-after": "7"}, None),
        (503, {}, None),
        (200, {}, None),
    ],
)
def test_how_long_to_wait(status: int, headers: Mapping[str, str], expected: float | None) -> None:
    assert seconds_to_wait(Received(status, headers, b""), 2) == expected


@pytest.mark.parametrize(
    ("text", "expected"), [("2399", Allowance(2399)), ("", None), ("-1", None), ("²", None), ("1" * 30, None)]
)
def test_what_the_limit_leaves(text: str, expected: Allowance | None) -> None:
    assert allowance(Received(200, {"ratelimit-remaining": text}, b"")) == expected


# Settings, identity, permissions


@pytest.mark.parametrize("name", ["base_url", "data_base_url"])
@pytest.mark.parametrize("url", ["http://api.heroku.com", "ftp://x", "https://u:p@x", "https://x?a", "https://x:99999"])
def test_a_url_that_a_token_must_not_go_to_is_refused_by_name(name: str, url: str) -> None:
    urls: dict[str, Any] = {name: url}
    with pytest.raises(ValueError, match=f"^{name}: "):
        HerokuTarget(team="explo", token=SecretRef(env="T"), **urls)
    urls[name] = "https://heroku.example.com"
    assert getattr(HerokuTarget(team="explo", token=SecretRef(env="T"), **urls), name) == urls[name]


def test_nothing_but_the_declaration_is_published() -> None:
    target = HerokuTarget(team="explo", token=SecretRef(env="HEROKU_API_KEY"))
    assert SOURCE.declare(target) == {"team": "explo", "base_url": API}
    target = HerokuTarget(team="explo", enterprise_account="acme", token=SecretRef(env="HEROKU_API_KEY"))
    assert SOURCE.declare(target) == {"team": "explo", "enterprise_account": "acme", "base_url": API}


@pytest.mark.parametrize(("name", "expected"), [("explo", None), ("Explo", None), ("other", "declared team explo")])
def test_another_team_is_the_wrong_target(name: str, expected: str | None) -> None:
    found = contradiction(Answer.literal({"team": "explo"}), Answer.literal({"name": name}))
    assert (found is None) is (expected is None)
    assert found is None or found.startswith(expected or "")


def test_questions_that_are_not_in_the_table_are_refused() -> None:
    with source(API, transport=Canned()) as one:
        with pytest.raises(ValueError, match="knows no parameter"):
            one.ask("members", role="admin")
        with pytest.raises(TypeError, match="no operation of Heroku"):
            list(one.connection.ask(Operation(name="apps", summary=""), {}))


def needs(*names: str) -> Sequence[Need]:
    return [Need(operation=OPERATIONS[name], checks=("heroku-mfa",)) for name in names]


def test_the_grant_is_for_what_is_asked_of_this_target_and_no_more() -> None:
    team_only = HerokuTarget(team="explo", token=SecretRef(env="T"))
    both = HerokuTarget(team="explo", enterprise_account="acme", token=SecretRef(env="T"))
    text = grant(both, needs(*OPERATIONS))
    assert "heroku authorizations:create --description auditor --scope read --short" in text
    assert "--team explo --role member" in text
    assert "In the enterprise account acme it needs the permission view" in text
    assert [line[3:].strip() for line in text.splitlines() if "GET /" in line] == [
        f"GET {row.path.format(team='explo', enterprise_account='acme')}" for row in OPERATIONS.values()
    ]
    for settings, asked_for in ((team_only, [*OPERATIONS]), (both, ["team", "members"])):
        text = grant(settings, needs(*asked_for))
        assert "acme" not in text
        assert "enterprise-accounts" not in text
    assert "--team TEAM " in grant(None, needs("members"))
    assert all(len(line) <= 80 for line in grant(both, needs(*OPERATIONS)).splitlines())
    assert SOURCE.grants["heroku"] is grant
