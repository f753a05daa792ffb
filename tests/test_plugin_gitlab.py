"""The source of the example plug-in, asked over loopback: paging that must be whole, refusals, limits, secrets."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec
import pytest

from auditor.answers import Answer
from auditor.questions import Opening, Reply, SecretRef
from auditor.sources.http import Received
from auditor_gitlab.source import OPERATIONS, GitlabConnection, GitlabTarget, allowance, contradiction, seconds_to_wait
from tests.gitlab_simulator import INVITE_TOKEN, OWNER, Gitlab, Person, running

CROWD = [Person(1, "ada", OWNER), *(Person(number, f"user-{number}") for number in range(2, 251))]


@contextmanager
def source(world: Gitlab, *, token: str = "", group: str = "") -> Iterator[GitlabConnection]:
    target = GitlabTarget(group=group or world.path, base_url=world.url, token=SecretRef(env="T"))
    opening = Opening(shard="main", secret=lambda _: token or world.token, conceal=lambda _: None, folder=Path())
    connection = GitlabConnection(target, opening)
    try:
        yield connection
    finally:
        connection.close()


def ask(world: Gitlab, operation: str, *, token: str = "", group: str = "") -> list[Reply]:
    with source(world, token=token, group=group) as connection:
        return list(connection.ask(OPERATIONS[operation], {}))


def error(replies: list[Reply]) -> str:
    """Return code and message of the last page, which must be the last."""
    assert [reply.last for reply in replies] == [False] * (len(replies) - 1) + [True]
    failure = replies[-1].error
    assert failure is not None
    return f"{failure.code}: {failure.message}"


def test_all_pages_are_read() -> None:
    with running(Gitlab(people=CROWD)) as world:
        pages = ask(world, "members")
    assert [len(page.body["items"]) for page in pages] == [100, 100, 50]
    assert [page.last for page in pages] == [False, False, True]
    assert all(page.raw_sha256 for page in pages)
    assert pages[0].allowance is not None
    assert (pages[0].allowance.remaining, pages[0].allowance.limit) == (1999, 2000)


def test_pages_that_hold_less_than_they_say_are_an_error() -> None:
    with running(Gitlab(people=CROWD, hidden=1)) as world:
        assert error(ask(world, "members")) == "malformed: the pages hold 249 items, but x-total says 250"
        world.hidden = 0
        assert ask(world, "members")[-1].status == "ok"
        world.without = ("X-Total", "X-Total-Pages")  # as GitLab does beyond 10,000
        assert ask(world, "members")[-1].status == "ok"


def test_a_page_that_only_one_header_names_is_not_left_out() -> None:
    with running(Gitlab(people=CROWD, without=("Link", "X-Total"))) as world:
        assert error(ask(world, "members")) == "malformed: x-next-page names a page that the Link header does not"


def test_the_token_of_an_invitation_is_never_kept() -> None:
    with running(Gitlab(invited=["new@example.com"])) as world:
        (page,) = ask(world, "invitations")
    assert page.body["items"][0]["invite_email"] == "new@example.com"
    assert INVITE_TOKEN.encode() not in msgspec.json.encode(page)
    assert page.dropped == ("/items/0/invite_token",)


def test_refusals_say_what_is_needed() -> None:
    people = [Person(1, "ada", OWNER), Person(2, "bao")]
    with running(Gitlab(people=people, asker=2)) as world:
        needs = "(needs a token with the scope read_api"
        assert error(ask(world, "group", token="wrong")) == f"401: 401 Unauthorized {needs})"
        assert error(ask(world, "group", group="other/place")) == f"404: 404 Group Not Found {needs})"
        assert error(ask(world, "invitations")) == f"403: 403 Forbidden {needs}, of an owner of the group)"
        assert ask(world, "members")[0].body["items"][0].keys() >= {"id", "access_level"}
        assert "two_factor_enabled" not in ask(world, "members")[0].body["items"][0]
        world.asker = 1
        assert ask(world, "members")[0].body["items"][0]["two_factor_enabled"] is True


def test_a_limit_is_waited_for_as_long_as_gitlab_says() -> None:
    slept: list[float] = []
    with running(Gitlab(limited=[{"Retry-After": "7"}, {}])) as world, source(world) as connection:
        connection._https._sleep = slept.append
        (reply,) = connection.ask(OPERATIONS["user"], {})
    assert reply.status == "ok"
    assert slept == [7, 60]
    at = "Thu, 26 Nov 2026 12:00:00 GMT"
    assert seconds_to_wait(Received(429, {"ratelimit-reset": "1795694410", "date": at}, b""), 1) == 11
    assert seconds_to_wait(Received(403, {"retry-after": "7"}, b""), 1) is None
    assert allowance(Received(200, {"ratelimit-remaining": "1"}, b"")) is None


def test_another_group_that_answers_is_the_wrong_target() -> None:
    declared = Answer.literal({"group": "Explo/Core"})
    assert contradiction(declared, Answer.literal({"full_path": "explo/core"})) is None
    assert contradiction(declared, Answer.literal({"full_path": "explo"})) == (
        "declared group Explo/Core, but explo answered"
    )


def test_a_question_with_parameters_is_none() -> None:
    with running(Gitlab()) as world, source(world) as connection, pytest.raises(TypeError):
        list(connection.ask(OPERATIONS["members"], {"query": "ada"}))
