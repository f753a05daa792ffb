"""The second count of members: GitHub's GraphQL API, which says errors with 200, and the one of the demo worlds."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import graphql
import pytest
from githubkit import GitHub
from githubkit.exception import GraphQLFailed, PrimaryRateLimitExceeded, RequestFailed, SecondaryRateLimitExceeded

from auditor.doctor import trouble_of
from auditor.model import Outcome
from auditor.questions import Trouble
from auditor.sandbox.github import GithubSimulator, start_github
from auditor.sandbox.github_graphql import SCHEMA
from auditor.sources.github import SOURCE, allowance, seconds_to_wait
from auditor.sources.github_graphql import endpoint
from auditor.sources.github_operations import MEMBERS_COUNT
from auditor.sources.http import Received
from tests.github_account import API, SECRET, Canned, answer, github, organization, people, source
from tests.test_github_limits import DATE, NOON
from tests.test_github_run import audit

WORLDS = Path(__file__).parent.parent / "auditor" / "sandbox" / "worlds"
COUNTED = {"data": {"organization": {"login": "explo", "membersWithRole": {"totalCount": 12}}}}


def error(kind: str | None, message: str = "no", **more: Any) -> dict[str, Any]:
    return {**({"type": kind} if kind else {}), "message": message, **more}


def refused(*answers: Any) -> tuple[str, str]:
    with source(API, transport=Canned(*answers)) as one:
        return one.error("members_count")


# What is asked


@pytest.mark.parametrize(
    ("base_url", "expected"),
    [
        ("https://api.github.com", "https://api.github.com/graphql"),
        ("https://api.github.com/", "https://api.github.com/graphql"),
        ("https://api.explo.ghe.com", "https://api.explo.ghe.com/graphql"),
        ("https://github.explo.co/api/v3", "https://github.explo.co/api/graphql"),
        ("https://github.explo.co/api/v3/", "https://github.explo.co/api/graphql"),
        ("https://proxy.explo.co/v3", "https://proxy.explo.co/v3/graphql"),
    ],
)
def test_the_graphql_api_is_beside_the_rest_api(base_url: str, expected: str) -> None:
    assert endpoint(base_url) == expected
    canned = Canned(answer(COUNTED))
    with source(base_url, transport=canned) as one:
        assert one.one("members_count").body == COUNTED
    (request,) = canned.sent
    assert (request.method, request.url) == ("POST", expected)
    assert json.loads(request.body or b"") == {"query": MEMBERS_COUNT, "variables": {"login": "explo"}}
    assert request.headers["Authorization"] == f"Bearer {SECRET}"


def test_the_query_is_one_of_the_schema() -> None:
    schema = graphql.build_schema(SCHEMA)
    assert not graphql.validate(schema, graphql.parse(MEMBERS_COUNT))


@pytest.mark.parametrize("location", ["https://evil.example/graphql", f"{API}/elsewhere"])
def test_the_token_follows_no_redirect(location: str) -> None:
    canned = Canned(answer({}, 307, Location=location))
    with source(API, transport=canned) as one:
        assert one.error("members_count")[0] == "307"
    assert len(canned.sent) == 1


# What is no answer


@pytest.mark.parametrize("kind", ["FORBIDDEN", "INSUFFICIENT_SCOPES", "NOT_FOUND"])
@pytest.mark.parametrize("data", [{}, {"data": None}, {"data": {"organization": None}}, COUNTED])
def test_errors_are_an_error_whatever_data_stands_beside_them(kind: str, data: Any) -> None:
    code, message = refused(answer({**data, "errors": [error(kind, "you may not", path=["organization"])]}))
    assert code == kind
    assert message.startswith("you may not (needs fine-grained token: Members: read")
    assert trouble_of(SOURCE, code) is Trouble.DENIED


@pytest.mark.parametrize("kind", [None, "", "undefinedField", "A" * 99, "<script>", "X\n"])
def test_an_error_without_a_word_of_githubs_is_called_graphql(kind: str | None) -> None:
    assert refused(answer({"errors": [error(kind)]})) == ("graphql", "no")


@pytest.mark.parametrize("errors", [[], None, "no", [{}], [{"message": 7}], ["no"], {"message": "no"}])
def test_errors_that_cannot_be_read_are_malformed(errors: Any) -> None:
    assert refused(answer({**COUNTED, "errors": errors}))[0] == "malformed"


@pytest.mark.parametrize(
    "body",
    [
        {},
        [],
        {"data": None},
        {"data": {"organization": None}},
        {"data": {"organization": {"login": "explo"}}},
        {"data": {"organization": {"login": "explo", "membersWithRole": None}}},
        *[
            {"data": {"organization": {"login": "explo", "membersWithRole": {"totalCount": wrong}}}}
            for wrong in (None, "12", 12.5, True, -1)
        ],
    ],
)
def test_an_answer_without_a_count_is_malformed(body: Any) -> None:
    """An organization that is null, without an error, among them."""
    assert refused(answer(body))[0] == "malformed"


def test_single_sign_on_is_named() -> None:
    wall = error("FORBIDDEN", "Resource protected by organization SAML enforcement.", extensions={"saml_failure": True})
    for found in (answer({"data": {"organization": None}, "errors": [wall]}), answer(COUNTED, X_GitHub_SSO="required")):
        code, _ = refused(found)
        assert code == "sso"
        assert trouble_of(SOURCE, code) is Trouble.DENIED


# Limits


def test_the_primary_limit_is_said_with_200_and_waited_for() -> None:
    limited = {"errors": [error("RATE_LIMIT", "API rate limit already exceeded", code="graphql_rate_limit")]}
    headers: Any = {"x_ratelimit_remaining": "0", "x_ratelimit_reset": str(NOON + 9), "Date": DATE}
    with source(API, transport=Canned(answer(limited, **headers), answer(COUNTED))) as one:
        reply = one.one("members_count")
    assert one.slept == [10.0]
    assert [attempt.reason for attempt in reply.attempts] == ["rate_limit", ""]
    assert reply.body == COUNTED


@pytest.mark.parametrize(
    ("errors", "headers", "expected"),
    [
        ([error("RATE_LIMIT")], {}, 60.0),
        ([error("RATE_LIMITED")], {"x-ratelimit-remaining": "4999"}, 60.0),
        ([error("RESOURCE_LIMITS_EXCEEDED")], {}, 60.0),
        ([error("FORBIDDEN"), error("RATE_LIMIT")], {"retry-after": "7"}, 7.0),
        ([error(None, "You have exceeded a secondary rate limit.")], {"retry-after": "7"}, 7.0),
        ([error("FORBIDDEN")], {"retry-after": "7"}, None),
        ([], {"retry-after": "7"}, None),
        ("RATE_LIMIT", {"retry-after": "7"}, None),
    ],
)
def test_how_long_to_wait(errors: Any, headers: dict[str, str], expected: float | None) -> None:
    assert seconds_to_wait(Received(200, headers, json.dumps({"errors": errors}).encode()), 1) == expected
    assert seconds_to_wait(Received(200, headers, b"[]"), 1) is None


def test_a_limit_that_stays_is_an_error_of_that_name() -> None:
    with github(organization(), limit=0) as server, source(server.url) as one:
        code, message = one.error("members_count")
    assert code == "rate_limit"
    assert "already exceeded" in message
    assert trouble_of(SOURCE, code) is Trouble.RATE_LIMIT


def test_its_limit_is_none_of_the_rest_api() -> None:
    headers = {f"x-ratelimit-{name}": "7" for name in ("remaining", "limit", "reset")}
    assert allowance(Received(200, headers, b"")) is not None
    assert allowance(Received(200, {**headers, "x-ratelimit-resource": "core"}, b"")) is not None
    assert allowance(Received(200, {**headers, "x-ratelimit-resource": "graphql"}, b"")) is None


# Whole audits


@pytest.fixture(autouse=True)
def _signed_in(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GITHUB_CANARY", SECRET)


def test_both_counts_stand_in_the_report(tmp_path: Path) -> None:
    with github(organization(*people(204))) as server:
        found = audit(server, tmp_path)
    assert found.claims == {"mfa": "supported"}
    (row,) = found.head.claims[0].tests[0].reconciled
    assert row.words == "members of the organization: 205 listed, 205 counted by GitHub's GraphQL API"
    assert [cite.pointer for cite in row.evidence] == ["", "/data/organization/membersWithRole/totalCount"]
    first, last = row.evidence[0].lines
    assert last - first == 2  # the three pages of the list


def test_a_list_that_is_short_and_well_formed_is_found_out(tmp_path: Path) -> None:
    """The members that the REST API leaves out, as a filter of a proxy or a mistake of GitHub's would."""
    with github(organization(*people(3))) as server:
        server.intervene = lambda asking, body: body[:-1] if asking.path.endswith("/members") and body else body
        found = audit(server, tmp_path)
    assert found.claims == {"mfa": "unproven"}
    expected = (
        "population not reconciled: members of the organization: the list has 3, but GitHub's GraphQL API counts 4"
    )
    assert found.message("code") == expected
    assert found.outcomes()["100"] is Outcome.PASS


def test_a_count_that_is_refused_supports_nothing_and_a_fail_stays_one(tmp_path: Path) -> None:
    refusal = {"data": {"organization": None}, "errors": [error("FORBIDDEN", "not for you")]}
    for number, (mfa, claim) in enumerate((("secure", "unproven"), ("none", "refuted"))):
        folder = tmp_path / str(number)
        folder.mkdir()
        with github(organization(*people(1, mfa=mfa))) as server:
            server.intervene = lambda asking, body: refusal if asking.path == "/graphql" else body
            found = audit(server, folder)
        assert found.claims == {"mfa": claim}
        assert "not held against GitHub's GraphQL API: members_count(): FORBIDDEN: not for you" in found.message("code")


# The GraphQL API of the demo worlds, asked by githubkit


@contextmanager
def asking(server: GithubSimulator, token: str = SECRET) -> Iterator[Any]:
    options: dict[str, Any] = {"http_cache": False, "auto_retry": False, "trust_env": False}
    with GitHub(token, base_url=server.url, **options) as client:
        yield client.graphql


def total(ask: Any, login: str = "explo") -> int:
    count: int = ask(MEMBERS_COUNT, {"login": login})["organization"]["membersWithRole"]["totalCount"]
    return count


def failure(ask: Any, query: str = MEMBERS_COUNT, login: str = "explo") -> tuple[Any, str]:
    with pytest.raises(GraphQLFailed) as caught:
        ask(query, {"login": login})
    first = caught.value.response.errors[0]
    return first.type, first.message


@pytest.mark.parametrize("world", ["healthy", "broken"])
def test_a_world_counts_whom_it_lists(world: str, tmp_path: Path) -> None:
    part = start_github(WORLDS / world, tmp_path)
    counted = 0
    try:
        for target in part.targets:
            name, token = str(target["organization"]), part.environment[target["token"]["env"]]  # type: ignore[index]
            with GitHub(token, base_url=part.simulator.url, http_cache=False, trust_env=False) as client:
                try:
                    listed = list(client.rest.paginate(client.rest("2026-03-10").orgs.list_members, org=name))
                except RequestFailed:
                    assert failure(client.graphql, login=name)[0] == "FORBIDDEN"
                    continue
                assert total(client.graphql, name) == len(listed) > 0
                counted += 1
    finally:
        part.stop()
    assert counted


def test_strangers_are_told_of_public_members_only() -> None:
    members = [*people(2, 10, public=True), *people(3, 20), *people(1, 40, state="pending")]
    with github(organization(*members, *people(1, 50, role="billing_manager"))) as server, asking(server) as ask:
        assert total(ask) == total(ask, "EXPLO") == 6
    with github(organization(*members), login="user-20", id=20) as server, asking(server) as ask:
        assert total(ask) == 6
    with github(organization(*members), login="eve", id=99) as server, asking(server) as ask:
        assert total(ask) == 2


def test_refusals_have_the_types_of_githubs() -> None:
    with github(organization(), members_read=False) as server, asking(server) as ask:
        assert failure(ask) == ("FORBIDDEN", "Resource not accessible by personal access token")
    with github(organization(saml=True), sso=False) as server, asking(server) as ask:
        assert failure(ask)[0] == "FORBIDDEN"
    with github(organization()) as server, asking(server) as ask:
        expected = ("NOT_FOUND", "Could not resolve to an Organization with the login of 'nobody'.")
        assert failure(ask, login="nobody") == expected
        kind, message = failure(ask, "query { organization(login: 7) { login } }")
        assert kind is None
        assert "String cannot represent a non string value: 7" in message
    with github(organization()) as server, asking(server, "wrong") as ask:
        with pytest.raises(RequestFailed) as caught:
            ask(MEMBERS_COUNT, {"login": "explo"})
        assert caught.value.response.status_code == 401


def test_limits_are_read_as_githubs_are() -> None:
    with github(organization(), limit=1) as server, asking(server) as ask:
        server.secondary = [3]
        with pytest.raises(SecondaryRateLimitExceeded):
            ask(MEMBERS_COUNT, {"login": "explo"})
        with pytest.raises(PrimaryRateLimitExceeded) as caught:
            ask(MEMBERS_COUNT, {"login": "explo"})
        assert caught.value.response.status_code == 200
        assert caught.value.response.headers["x-ratelimit-resource"] == "graphql"
        assert not server.used


def test_only_the_graphql_api_is_posted_to() -> None:
    with github(organization()) as server, GitHub(SECRET, base_url=server.url, trust_env=False) as client:
        for method, path in (("POST", "/orgs/explo"), ("GET", "/graphql")):
            with pytest.raises(RequestFailed) as caught:
                client.request(method, path)
            assert caught.value.response.status_code == 404
