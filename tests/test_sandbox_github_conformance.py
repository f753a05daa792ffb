"""The GitHub of the demo worlds, asked by githubkit: a client generated from GitHub's own published description.

Each answer is read into the generated model of version 2026-03-10, which knows each required member and its type;
a member that the model does not know is none of GitHub's.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pydantic
import pytest
from githubkit import GitHub
from githubkit.exception import (
    PrimaryRateLimitExceeded,
    RateLimitExceeded,
    RequestFailed,
    SecondaryRateLimitExceeded,
)
from githubkit.response import Response

from auditor.sandbox import github_bodies
from auditor.sandbox.github import GithubSimulator, start_github
from auditor.sources.clock import utcnow
from tests.github_account import OWNER, SECRET, github, invitation, organization, people

WORLDS = Path(__file__).parent.parent / "auditor" / "sandbox" / "worlds"
ROLES = ("all", "admin", "member")
FILTERS = ("all", "2fa_disabled", "2fa_insecure")


@dataclass(frozen=True)
class Client:
    """githubkit on our server: the operations on organizations, of the version that we ask for."""

    rest: Any
    orgs: Any

    def pages(self, ask: Any, **parameters: Any) -> list[Any]:
        """Return the items of all pages, found by the links of each."""
        return list(self.rest.paginate(lambda **page: known(ask(**page)), **parameters))


@contextmanager
def asking(server: GithubSimulator, token: str = SECRET) -> Iterator[Client]:
    options: dict[str, Any] = {"http_cache": False, "auto_retry": False, "trust_env": False}
    with GitHub(token, base_url=server.url, **options) as github:
        yield Client(github.rest, github.rest("2026-03-10").orgs)


def known(response: Any) -> Any:
    """Return a response whose body has every member that GitHub requires, and none that GitHub does not have."""
    _compare(response.json(), response.parsed_data)
    return response


def _compare(raw: Any, parsed: Any) -> None:
    if isinstance(raw, list):
        for pair in zip(raw, parsed, strict=True):
            _compare(*pair)
    elif isinstance(parsed, pydantic.BaseModel):
        fields = type(parsed).model_fields
        unknown = raw.keys() - {field.alias or name for name, field in fields.items()}
        assert not unknown, f"{type(parsed).__name__} has no {sorted(unknown)}"
        for name, field in fields.items():
            _compare(raw.get(field.alias or name), getattr(parsed, name))
    elif raw is not None and not isinstance(parsed, dt.datetime):
        assert type(parsed) is type(raw), f"{raw!r} was read as {parsed!r}"


def refusal(caught: pytest.ExceptionInfo[RequestFailed]) -> tuple[int, str]:
    """Return status and message of a refusal that has the shape its operation declares for it."""
    response: Response[Any] = caught.value.response
    body = response.json()
    assert body["status"] == str(response.status_code)
    assert body["documentation_url"].startswith("https://docs.github.com/rest")
    if isinstance(response.parsed_data, pydantic.BaseModel):  # GitHub declares no model for some
        assert response.parsed_data.model_dump()["message"] == body["message"]
        assert body.keys() == {"message", "documentation_url", "status"}
    return response.status_code, body["message"]


@pytest.mark.parametrize("world", ["healthy", "broken"])
def test_every_answer_of_a_world_is_one_that_github_describes(world: str, tmp_path: Path) -> None:
    part = start_github(WORLDS / world, tmp_path)
    parsed = 0
    try:
        for target in part.targets:
            name, token = str(target["organization"]), part.environment[target["token"]["env"]]  # type: ignore[index]
            with asking(part.simulator, token) as client:
                parsed += every_question(client, name)
    finally:
        part.stop()
    assert parsed > 15


def every_question(client: Client, name: str) -> int:
    """Ask all that our source may ask, and more, as githubkit offers it; return how much of it was answered."""
    questions: list[Callable[[], Any]] = [
        lambda: client.orgs.get(name),
        lambda: client.orgs.get_membership_for_authenticated_user(name),
        *[lambda role=role: client.orgs.list_members(name, role=role) for role in ROLES],
        *[lambda only=only: client.orgs.list_members(name, filter_=only) for only in FILTERS],
        *[lambda only=only: client.orgs.list_outside_collaborators(name, filter_=only) for only in FILTERS],
        lambda: client.orgs.list_pending_invitations(name),
        *[
            lambda role=role: client.orgs.list_pending_invitations(name, role=role)
            for role in ("admin", "direct_member")
        ],
    ]
    answered = 0
    for ask in questions:
        try:
            answer = known(ask()).parsed_data
        except RequestFailed as failed:
            if failed.response.status_code not in (403, 404, 422):
                raise
        else:
            answered += len(answer) if isinstance(answer, list) else 1
    return answered


def test_pages_are_followed_by_their_links() -> None:
    invitations = [invitation(number) for number in range(900, 1131)]
    parts = {"outside_collaborators": people(101, 500), "invitations": invitations}
    with github(organization(*people(204), **parts)) as server, asking(server) as client:
        members = client.pages(client.orgs.list_members, org="explo", per_page=100)
        assert [one.id for one in members] == [OWNER.id, *range(100, 304)]
        assert server.calls == {"/orgs/explo/members": 1, "/organizations/5/members": 2}
        server.calls.clear()
        outside = client.pages(client.orgs.list_outside_collaborators, org="explo")
        assert [one.id for one in outside] == list(range(500, 601))
        assert sum(server.calls.values()) == 4  # 30 a page, where nothing else is asked for
        invited = client.pages(client.orgs.list_pending_invitations, org="explo", per_page=100)
        assert [one.id for one in invited] == list(range(900, 1131))


def test_filters_stay_in_the_links() -> None:
    with github(organization(*people(150, mfa="none"), *people(7, 900))) as server, asking(server) as client:
        listed = client.pages(client.orgs.list_members, org="explo", filter_="2fa_disabled", per_page=100)
        assert [one.id for one in listed] == list(range(100, 250))


def test_invitations_by_role() -> None:
    invited = [invitation(9, role="admin"), invitation(10, login="bao")]
    with github(organization(invitations=invited)) as server, asking(server) as client:
        (admin,) = known(client.orgs.list_pending_invitations("explo", role="admin")).parsed_data
        assert (admin.id, admin.login, admin.inviter.login) == (9, None, "ada")
        (member,) = known(client.orgs.list_pending_invitations("explo", role="direct_member")).parsed_data
        assert (member.id, member.login, member.role) == (10, "bao", "direct_member")


def test_the_requirement_is_what_the_model_allows() -> None:
    for value in (True, False, None, "absent"):
        with github(organization(requires_mfa=value)) as server, asking(server) as client:
            body = known(client.orgs.get("explo")).parsed_data
            given = "two_factor_requirement_enabled" in body.model_fields_set
            assert (body.two_factor_requirement_enabled if given else "absent") == value


def test_the_membership_says_who_asks_and_where() -> None:
    with github(organization()) as server, asking(server) as client:
        body = known(client.orgs.get_membership_for_authenticated_user("explo")).parsed_data
    assert (body.state, body.role, body.organization.login, body.user.login) == ("active", "admin", "explo", "ada")


def test_refusals_have_the_shape_that_is_declared() -> None:
    with github(organization(), login="eve", id=99) as server, asking(server) as client:
        with pytest.raises(RequestFailed) as caught:
            client.orgs.list_members("explo", filter_="2fa_disabled")
        assert refusal(caught) == (422, "Only owners can use this filter.")
        with pytest.raises(RequestFailed) as caught:
            client.orgs.get_membership_for_authenticated_user("explo")
        assert refusal(caught) == (404, "Not Found")
        with pytest.raises(RequestFailed) as caught:
            client.orgs.list_pending_invitations("explo")
        assert refusal(caught) == (404, "Not Found")
        with pytest.raises(RequestFailed) as caught:
            client.orgs.list_outside_collaborators("explo")
        assert refusal(caught) == (403, "Must be an organization owner.")
    with github(organization()) as server, asking(server, "wrong") as client:
        with pytest.raises(RequestFailed) as caught:
            client.orgs.get("explo")
        assert refusal(caught) == (401, "Bad credentials")
    with github(organization(saml=True), sso=False) as server, asking(server) as client:
        with pytest.raises(RequestFailed) as caught:
            client.orgs.get_membership_for_authenticated_user("explo")
        assert refusal(caught)[0] == 403
        assert not isinstance(caught.value, RateLimitExceeded)
        assert caught.value.response.headers["x-github-sso"].startswith("required; url=https://")


def test_an_unsupported_version_is_refused() -> None:
    with github(organization()) as server, asking(server) as client:
        with pytest.raises(RequestFailed) as caught:
            client.orgs.get("explo", headers={"X-GitHub-Api-Version": "2020-01-01"})
        assert refusal(caught)[0] == 400


def test_limits_are_read_as_githubs_are() -> None:
    with github(organization(), limit=3) as server, asking(server) as client:
        headers = client.orgs.get("explo").headers
        assert (headers["x-ratelimit-limit"], headers["x-ratelimit-used"]) == ("3", "1")
        reset = dt.datetime.fromtimestamp(int(headers["x-ratelimit-reset"]), dt.UTC)
        assert dt.timedelta() < reset - utcnow() <= dt.timedelta(hours=1)
        server.secondary = [3, None]
        with pytest.raises(SecondaryRateLimitExceeded) as secondary:
            client.orgs.get("explo")
        assert secondary.value.retry_after == dt.timedelta(seconds=3)
        with pytest.raises(SecondaryRateLimitExceeded) as secondary:  # remaining is 0 by now, and it says "secondary"
            client.orgs.get("explo")
        assert secondary.value.retry_after > dt.timedelta(minutes=30)
        with pytest.raises(PrimaryRateLimitExceeded) as primary:
            client.orgs.get("explo")
        assert primary.value.response.status_code == 403
        assert primary.value.retry_after > dt.timedelta(minutes=30)


@pytest.mark.parametrize(
    "change",
    [{"node_id": None}, {"site_admin": "no"}, {"id": "7"}, {"organizations_url": ...}, {"two_factor_enabled": True}],
)
def test_the_client_notices_what_is_otherwise(monkeypatch: pytest.MonkeyPatch, change: dict[str, Any]) -> None:
    """The positive control: null, mistyped, missing, and a member that GitHub does not have."""
    whole = github_bodies.simple_user

    def changed(base: str, login: str, number: int) -> dict[str, Any]:
        body = whole(base, login, number) | change
        return {name: value for name, value in body.items() if value is not ...}

    with github(organization()) as server, asking(server) as client:
        known(client.orgs.list_members("explo"))
        monkeypatch.setattr("auditor.sandbox.github.simple_user", changed)
        with pytest.raises((pydantic.ValidationError, AssertionError)):
            known(client.orgs.list_members("explo"))
