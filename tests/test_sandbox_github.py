"""The GitHub of the demo worlds, asked by an independent client: urllib, which knows nothing of our source."""

from __future__ import annotations

import json
import re
import urllib.error
import urllib.request
from email.message import Message
from pathlib import Path
from typing import Any

import pytest

from auditor.sandbox.github import GithubPart, GithubSimulator, start_github
from auditor.sandbox.part import SandboxError
from tests.github_account import OWNER, SECRET, github, invitation, organization, people

WORLDS = Path(__file__).parent.parent / "auditor" / "sandbox" / "worlds"


def get(server: GithubSimulator, path: str, *, token: str | None = SECRET, **headers: str) -> tuple[int, Message, Any]:
    """Return status, headers and body."""
    request = urllib.request.Request(path if path.startswith("http") else server.url + path)  # noqa: S310 - loopback
    for name, value in ({"Authorization": f"Bearer {token}"} if token else {}).items() | headers.items():
        request.add_header(name.replace("_", "-"), value)
    try:
        with urllib.request.urlopen(request, timeout=5) as response:  # noqa: S310 - loopback
            return response.status, response.headers, json.load(response)
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.headers, json.load(error)


def links(headers: Message) -> dict[str, str]:
    return {name: url for url, name in re.findall(r'<([^>]+)>; rel="(\w+)"', headers.get("Link", ""))}


def test_a_token_is_needed_and_must_be_known() -> None:
    with github(organization()) as server:
        assert get(server, "/orgs/explo", token=None)[0] == 401
        status, _, body = get(server, "/orgs/explo", token="wrong")
        assert (status, body["message"]) == (401, "Bad credentials")
        assert get(server, "/orgs/explo", User_Agent="")[0] == 403
        assert get(server, "/orgs/explo", X_GitHub_Api_Version="2020-01-01")[0] == 400
        assert get(server, "/orgs/explo", X_GitHub_Api_Version="2026-03-10")[0] == 200


def test_pages_are_linked_as_github_links_them() -> None:
    with github(organization(*people(204))) as server:
        status, headers, first = get(server, "/orgs/explo/members?per_page=100")
        assert (status, len(first)) == (200, 100)
        assert links(headers).keys() == {"next", "last"}
        assert links(headers)["next"] == f"{server.url}/organizations/5/members?per_page=100&page=2"
        _, headers, second = get(server, links(headers)["next"])
        assert links(headers).keys() == {"prev", "next", "last", "first"}
        _, headers, third = get(server, links(headers)["last"])
        assert links(headers).keys() == {"prev", "first"}
        assert len({one["id"] for one in first + second + third}) == 205
        assert len(get(server, "/orgs/explo/members")[2]) == 30
        assert len(get(server, "/orgs/explo/members?per_page=1000")[2]) == 100
        assert get(server, "/orgs/explo/members?page=99")[2] == []


@pytest.mark.parametrize("kind", ["members", "outside_collaborators"])
def test_owners_may_filter_by_mfa(kind: str) -> None:
    accounts = [*people(2, 10), *people(1, 20, mfa="none"), *people(3, 30, mfa="insecure")]
    parts = {"outside_collaborators": accounts} if kind == "outside_collaborators" else {}
    with github(organization(*([] if parts else accounts), **parts)) as server:

        def ids(name: str) -> set[int]:
            return {one["id"] for one in get(server, f"/orgs/explo/{kind}?filter={name}")[2]}

        assert ids("2fa_disabled") == {20}
        assert ids("2fa_insecure") == {30, 31, 32}
        assert ids("all") == {10, 11, 20, 30, 31, 32} | ({OWNER.id} if kind == "members" else set())
        assert get(server, f"/orgs/explo/{kind}?filter=mfa")[0] == 422
        (item, *_) = get(server, f"/orgs/explo/{kind}")[2]
        assert {"login", "id", "node_id", "type", "site_admin", "avatar_url", "organizations_url"} <= item.keys()
        assert not [name for name in item if "factor" in name or "mfa" in name]


@pytest.mark.parametrize("who", ["member", "stranger"])
def test_others_than_owners_may_not_filter_and_see_less_with_200(who: str) -> None:
    accounts = [*people(2, 10, public=True), *people(3, 20)]
    token: dict[str, Any] = {"login": "user-20", "id": 20} if who == "member" else {"login": "eve", "id": 99}
    with github(organization(*accounts), **token) as server:
        for kind in ("members", "outside_collaborators"):
            status, _, body = get(server, f"/orgs/explo/{kind}?filter=2fa_disabled")
            assert (status, body["message"]) == (422, "Only owners can use this filter.")
        status, _, body = get(server, "/orgs/explo/members")
        assert (status, len(body)) == (200, 6 if who == "member" else 2)
        assert get(server, "/orgs/explo/invitations")[0] == 404
        status, _, body = get(server, "/orgs/explo")
        assert status == 200
        assert "two_factor_requirement_enabled" not in body
        status, _, body = get(server, "/user/memberships/orgs/explo")
        assert (status, body.get("role")) == ((200, "member") if who == "member" else (404, None))


def test_the_requirement_is_true_false_null_or_missing() -> None:
    for value in (True, False, None, "absent"):
        with github(organization(requires_mfa=value)) as server:
            body = get(server, "/orgs/EXPLO")[2]
            assert body.get("two_factor_requirement_enabled", "absent") == value
            assert (body["login"], body["id"]) == ("explo", 5)


def test_the_membership_says_who_asks() -> None:
    with github(organization()) as server:
        body = get(server, "/user/memberships/orgs/explo")[2]
    assert (body["state"], body["role"]) == ("active", "admin")
    assert (body["organization"]["login"], body["user"]["login"]) == ("explo", "ada")


def test_invitations_are_listed_for_owners() -> None:
    with github(organization(invitations=[invitation(9), invitation(10, login="bao")])) as server:
        body = get(server, "/orgs/explo/invitations")[2]
    assert [(one["id"], one["login"], one["inviter"]["login"]) for one in body] == [
        (9, None, "ada"),
        (10, "bao", "ada"),
    ]


def test_limits_are_in_the_headers_and_are_kept() -> None:
    with github(organization(), limit=2) as server:
        _, headers, _ = get(server, "/orgs/explo")
        assert (headers["x-ratelimit-limit"], headers["x-ratelimit-remaining"]) == ("2", "1")
        assert len(headers["x-ratelimit-reset"]) == 10  # seconds
        get(server, "/orgs/explo")
        status, headers, body = get(server, "/orgs/explo")
        assert (status, headers["x-ratelimit-remaining"]) == (403, "0")
        assert "rate limit" in body["message"]
        server.limit = 10
        server.secondary = [3, None]
        assert get(server, "/orgs/explo")[1]["retry-after"] == "3"
        status, headers, body = get(server, "/orgs/explo")
        assert (status, headers["retry-after"]) == (403, None)
        assert "secondary rate limit" in body["message"]
        assert get(server, "/orgs/explo")[0] == 200


def test_single_sign_on_and_permissions_refuse_with_their_headers() -> None:
    with github(organization(saml=True), sso=False) as server:
        for path in ("/orgs/explo", "/orgs/explo/members", "/user/memberships/orgs/explo"):
            status, headers, _ = get(server, path)
            assert (status, headers["X-GitHub-SSO"].partition(";")[0]) == (403, "required")
    with github(organization(saml=True)) as server:
        assert get(server, "/orgs/explo/members")[0] == 200
    with github(organization(), members_read=False) as server:
        status, headers, _ = get(server, "/orgs/explo/members")
        assert (status, headers["X-Accepted-GitHub-Permissions"]) == (403, "members=read")


def test_what_is_not_there_is_not_found() -> None:
    with github(organization()) as server:
        for path in ("/", "/orgs/other", "/orgs/explo/teams", "/orgs/explo/members/", "/user"):
            assert get(server, path)[0] == 404


@pytest.mark.parametrize("name", ["healthy", "broken"])
def test_the_truth_of_a_world_is_about_what_is_there(name: str, tmp_path: Path) -> None:
    part = start_github(WORLDS / name, tmp_path)
    try:
        for target in part.targets:
            truth = {line.resource: line.outcome for line in part.expected if line.target == target["id"]}
            assert truth.pop(str(target["organization"]))
            if truth.get(str(target["id"])) == "error":
                continue
            for resource, outcome in truth.items():
                assert outcome == _outcome(part, target, resource), resource
            assert len(truth) == len(_ids(part, target, "all")) + len(_invited(part, target))
        for line in part.expected:
            assert (line.outcome in ("fail", "error")) is bool(line.why)
        assert not list(tmp_path.iterdir())
    finally:
        part.stop()
        part.stop()


def _ids(part: GithubPart, target: dict[str, Any], name: str) -> set[str]:
    token = part.environment[target["token"]["env"]]
    return {
        str(one["id"])
        for kind in ("members", "outside_collaborators")
        for one in get(part.simulator, f"/orgs/{target['organization']}/{kind}?filter={name}", token=token)[2]
    }


def _invited(part: GithubPart, target: dict[str, Any]) -> set[str]:
    token = part.environment[target["token"]["env"]]
    return {
        str(one["id"]) for one in get(part.simulator, f"/orgs/{target['organization']}/invitations", token=token)[2]
    }


def _outcome(part: GithubPart, target: dict[str, Any], resource: str) -> str:
    if resource in _invited(part, target):
        return "not_applicable"
    assert resource in _ids(part, target, "all")
    return "fail" if resource in _ids(part, target, "2fa_disabled") | _ids(part, target, "2fa_insecure") else "pass"


def test_a_misspelt_world_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "github.yaml").write_text("tokens: []\norganisations: []\n")
    with pytest.raises(SandboxError, match=r"github\.yaml"):
        start_github(tmp_path, tmp_path)
