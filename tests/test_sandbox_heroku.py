"""The Heroku of the demo worlds, asked by clients that know nothing of our source: urllib, and heroku3 (PyPI).

The shapes of bodies are those of the JSON schema that Heroku publishes (github.com/heroku/platform-api, schema.json,
4f4f592): names and types of all members, and which of them are required, written down here by hand.
"""

from __future__ import annotations

import base64
import json
import urllib.error
import urllib.request
from email.message import Message
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import requests
from heroku3.api import HerokuCore

from auditor.sandbox.heroku import HerokuPart, HerokuSimulator, start_heroku
from auditor.sandbox.heroku_ranges import Unsatisfiable, cut
from auditor.sandbox.heroku_world import Person, Team
from auditor.sandbox.part import SandboxError
from tests.heroku_account import ADA, SECRET, enterprise, heroku, invitation, people, team

WORLDS = Path(__file__).parent.parent / "auditor" / "sandbox" / "worlds"
VERSION = "application/vnd.heroku+json; version=3"
INVITATIONS = f"{VERSION}.team-invitations"


def get(server: HerokuSimulator, path: str, *, token: str | None = SECRET, **headers: str) -> tuple[int, Message, Any]:
    """Return status, headers and body."""
    request = urllib.request.Request(server.url + path)  # noqa: S310 - loopback
    sent = {"Accept": VERSION} | ({"Authorization": f"Bearer {token}"} if token else {}) | headers
    for name, value in sent.items():
        request.add_header(name, value)
    try:
        with urllib.request.urlopen(request, timeout=5) as response:  # noqa: S310 - loopback
            return response.status, response.headers, json.load(response)
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.headers, json.load(error)


def refused(server: HerokuSimulator, path: str, **how: Any) -> tuple[int, str]:
    """Return status and id of an error, whose body has the members that Heroku's have."""
    status, _, body = get(server, path, **how)
    assert body.keys() == {"id", "message", "url"}
    return status, body["id"]


# The published shapes


def closed(required: str, **properties: Any) -> dict[str, Any]:
    """An object that has these members and no other; `required` names some of them, or is "all"."""
    names = [*properties] if required == "all" else required.split()
    return {"type": "object", "properties": properties, "required": names, "additionalProperties": False}


TEXT, FLAG, TIME = {"type": "string"}, {"type": "boolean"}, {"type": "string", "format": "date-time"}
UUID = {"type": "string", "format": "uuid"}
ROLE = {"enum": ["admin", "collaborator", "member", "owner", None]}
NAMED = closed("all", id=UUID, name=TEXT)
USER = closed("all", email=TEXT, id=UUID, name={"type": ["string", "null"]})
OWNER = closed("id type", id=UUID, name=TEXT, type={"enum": ["team", "enterprise-account"]})
PROVIDER = {"anyOf": [{"type": "null"}, closed("", id=UUID, name=TEXT, redacted=FLAG, owner=OWNER)]}
MEMBER = closed(
    "created_at email federated updated_at",
    created_at=TIME,
    email=TEXT,
    federated=FLAG,
    id=UUID,
    identity_provider=PROVIDER,
    role=ROLE,
    two_factor_authentication=FLAG,
    updated_at=TIME,
    user=USER,
)
INVITATION = closed("all", created_at=TIME, id=UUID, invited_by=USER, team=NAMED, role=ROLE, updated_at=TIME, user=USER)
TEAM = closed(
    "all",
    created_at=TIME,
    credit_card_collections=FLAG,
    default=FLAG,
    enterprise_account={"anyOf": [{"type": "null"}, NAMED]},
    id=UUID,
    identity_provider={"type": ["null", "object"]},
    membership_limit={"type": ["number", "null"]},
    name=TEXT,
    provisioned_licenses=FLAG,
    role=ROLE,
    type={"enum": ["enterprise", "team"]},
    updated_at=TIME,
)
ENTERPRISE = closed(
    "all",
    created_at=TIME,
    id=UUID,
    identity_provider={"type": ["null", "object"]},
    name=TEXT,
    partner_benefits=FLAG,
    permissions={"type": "array", "items": TEXT},
    trial=FLAG,
    updated_at=TIME,
)
PERMISSION = closed("", description=TEXT, name={"enum": ["view", "create", "manage", "billing"]})
ENTERPRISE_MEMBER = closed(
    "all",
    enterprise_account=NAMED,
    id=UUID,
    identity_provider=PROVIDER,
    permissions={"type": "array", "items": PERMISSION},
    two_factor_authentication=FLAG,
    user=closed("all", email=TEXT, id=UUID),
)
SHAPES = {
    "/teams/explo": TEAM,
    "/teams/explo/members": {"type": "array", "items": MEMBER},
    "/teams/explo/invitations": {"type": "array", "items": INVITATION},
    "/enterprise-accounts/acme": ENTERPRISE,
    "/enterprise-accounts/acme/members": {"type": "array", "items": ENTERPRISE_MEMBER},
}


@pytest.mark.parametrize("path", SHAPES)
def test_bodies_have_the_published_shapes(path: str) -> None:
    members = [*people(2), Person(email="f@explo.co", mfa=False, provider="acme-sso")]
    invited = [invitation("new@explo.co")]
    validator = jsonschema.Draft202012Validator(SHAPES[path], format_checker=jsonschema.FormatChecker())
    with heroku(team(*members, invitations=invited), enterprise(*members)) as server:
        status, _, body = get(server, path, Accept=INVITATIONS if "invitations" in path else VERSION)
    assert status == 200
    validator.validate(body)
    item = body[-1] if isinstance(body, list) else body
    assert not validator.is_valid([{**item, "more": 1}] if isinstance(body, list) else {**item, "more": 1})


def test_members_that_are_optional_really_are() -> None:
    members = [Person(email="a@explo.co", mfa="absent", provider="absent"), Person(email="b@explo.co", mfa=None)]
    with heroku(team(*members), enterprise(*members)) as server:
        for path in ("/teams/explo/members", "/enterprise-accounts/acme/members"):
            first, absent, null = sorted(get(server, path)[2], key=lambda one: one["user"]["email"] != "ada@explo.co")
            if absent["user"]["email"] != "a@explo.co":
                absent, null = null, absent
            assert first["two_factor_authentication"] is True
            assert {"two_factor_authentication", "identity_provider"}.isdisjoint(absent)
            assert null["two_factor_authentication"] is None


# Ranges


def test_pages_hold_200_or_as_many_as_are_asked_for_up_to_1000() -> None:
    with heroku(team(*people(1200))) as server:
        status, headers, body = get(server, "/teams/explo/members")
        assert (status, len(body)) == (206, 200)
        assert headers["Next-Range"] == "email ]user-00198@explo.co..; max=200;"
        assert headers["Content-Range"] == "email ada@explo.co..user-00198@explo.co"
        assert headers["Accept-Ranges"] == "email"
        for wanted, count in (("email ..; max=1000;", 1000), ("email ..; max=5000", 1000), ("email ..;max=7;", 7)):
            status, headers, body = get(server, "/teams/explo/members", Range=wanted)
            assert (status, len(body)) == (206, count)
        status, headers, body = get(server, "/teams/explo/members", Range="email ]user-01000@explo.co..; max=1000;")
        assert (status, len(body), headers["Next-Range"]) == (200, 199, None)
        assert body[0]["email"] == "user-01001@explo.co"


@pytest.mark.parametrize(
    "wanted", ["id ..; max=1000;", "email", "email ..; max=0;", "email ..; max=-1", "email ..; limit=3", "bytes=0-99"]
)
def test_what_a_list_cannot_be_ranged_by_is_refused(wanted: str) -> None:
    with heroku(team()) as server:
        assert refused(server, "/teams/explo/members", Range=wanted) == (416, "requested_range_not_satisfiable")


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [
        ("", "abcde"),
        ("n ..", "abcde"),
        ("n b..d", "bcd"),
        ("n ]b..d;", "cd"),
        ("n ..c; max=1000;", "abc"),
        ("n ..; order=desc;", "edcba"),
        ("n ]d..; order=desc,max=2;", "cb"),
        ("n x..; max=3;", ""),
    ],
)
def test_ranges_are_read_as_heroku_writes_them(wanted: str, expected: str) -> None:
    items = [{"n": letter} for letter in "cabed"]
    assert "".join(one["n"] for one in cut(wanted, items, "n").items) == expected
    with pytest.raises(Unsatisfiable):
        cut("m ..;", items, "n")


def test_an_independent_client_reads_every_page(capsys: pytest.CaptureFixture[str]) -> None:
    """By the client's own loop over Next-Range, both ways, with the token as the password of Basic authentication."""
    with heroku(team(*people(650))) as server, requests.Session() as session:
        session.trust_env = False
        client = HerokuCore(session)
        client._heroku_url = server.url
        assert client.authenticate(SECRET)
        for order in ("asc", "desc"):
            found = client._get_data(("teams", "explo", "members"), order_by="email", sort=order)
            emails = [one["email"] for one in found]
            assert emails == sorted(emails, reverse=order == "desc")
            assert len(set(emails)) == 651
        assert server.calls["/teams/explo/members"] == 8
        assert client._ratelimit_remaining == str(4500 - 8)  # asking for the limit does not count
    assert capsys.readouterr().out.count("chunked") == 6  # it says so whenever it goes on


# Refusals


def test_a_token_is_needed_and_must_be_known() -> None:
    basic = "Basic " + base64.b64encode(f":{SECRET}".encode()).decode()
    with heroku(team()) as server:
        assert refused(server, "/teams/explo", token=None) == (401, "unauthorized")
        assert refused(server, "/teams/explo", token="wrong") == (401, "unauthorized")
        assert get(server, "/teams/explo", token=None, Authorization=basic)[0] == 200
    with heroku(team(), revoked=True) as server:
        assert refused(server, "/teams/explo") == (401, "unauthorized")


@pytest.mark.parametrize("accept", ["", "*/*", "application/json", "application/vnd.heroku+json; version=2"])
def test_the_version_must_be_named(accept: str) -> None:
    with heroku(team()) as server:
        assert refused(server, "/teams/explo", Accept=accept) == (406, "not_acceptable")


def test_invitations_have_a_version_of_their_own_and_enterprise_teams_have_none() -> None:
    with heroku(team(invitations=[invitation("new@explo.co")])) as server:
        assert refused(server, "/teams/explo/invitations") == (404, "not_found")
        (found,) = get(server, "/teams/explo/invitations", Accept=INVITATIONS)[2]
        assert (found["user"]["email"], found["invited_by"]["email"]) == ("new@explo.co", "ada@explo.co")
    with heroku(team(enterprise_account="acme"), enterprise()) as server:
        assert refused(server, "/teams/explo/invitations", Accept=INVITATIONS) == (404, "not_found")


def test_who_asks_decides_what_is_shown() -> None:
    """A member everything, a collaborator the team alone, a stranger nothing."""
    paths = ("/teams/explo", "/teams/explo/members", "/enterprise-accounts/acme", "/enterprise-accounts/acme/members")
    shown = {
        "ada@explo.co": [200, 200, 200, 200],
        "bill@explo.co": [403, 403, 200, 403],
        "eve@example.com": [200, 403, 403, 403],
        "max@example.com": [403, 403, 403, 403],
    }
    above = enterprise(Person(email="bill@explo.co", permissions=("billing",)))
    for email, expected in shown.items():
        with heroku(team(collaborators=["eve@example.com"]), above, email=email) as server:
            assert [get(server, path)[0] for path in paths] == expected
            assert get(server, paths[0])[2].get("role") == (
                {"ada@explo.co": "admin", "eve@example.com": "collaborator"}
            ).get(email)


def test_scopes_and_challenges_refuse_with_their_ids() -> None:
    for scope, status in (("identity", 403), ("read", 200), ("read-protected", 200), ("global", 200)):
        with heroku(team(), scope=(scope,)) as server:
            assert get(server, "/teams/explo/members")[0] == status
    with heroku(team(), challenged=True) as server:
        assert refused(server, "/teams/explo") == (403, "two_factor")


def test_the_rate_limit_is_in_a_header_and_is_kept() -> None:
    with heroku(team(), limit=2) as server:
        assert get(server, "/teams/explo")[1]["RateLimit-Remaining"] == "1"
        assert get(server, "/account/rate-limits")[2] == {"remaining": 1}
        assert get(server, "/teams/explo")[1]["RateLimit-Remaining"] == "0"
        status, headers, body = get(server, "/teams/explo")
        assert (status, body["id"], headers["Retry-After"]) == (429, "rate_limit", None)
        assert get(server, "/account/rate-limits")[2] == {"remaining": 0}
        server.used.clear()
        assert get(server, "/teams/explo")[0] == 200


def test_what_is_not_there_is_not_found() -> None:
    with heroku(team(), enterprise()) as server:
        (found,) = {get(server, "/teams/explo")[2]["id"]}
        assert get(server, f"/teams/{found}/members")[0] == 200
        for path in ("/", "/teams/other", "/teams/explo/apps", "/enterprise-accounts/other", "/account"):
            assert refused(server, path) == (404, "not_found")


# Worlds


@pytest.mark.parametrize("name", ["healthy", "broken"])
def test_the_truth_of_a_world_is_about_what_is_there(name: str, tmp_path: Path) -> None:
    part = start_heroku(WORLDS / name, tmp_path)
    try:
        for target in part.targets:
            truth = {line.resource: line.outcome for line in part.expected if line.target == target["id"]}
            if truth.get(str(target["id"])) == "error":
                assert get(part.simulator, f"/teams/{target['team']}/members", token=_token(part, target))[0] in (
                    401,
                    403,
                )
                continue
            assert truth == _listed(part, target)
        for line in part.expected:
            assert (line.outcome in ("fail", "error", "manual")) is bool(line.why)
        assert not list(tmp_path.iterdir())
    finally:
        part.stop()
        part.stop()


def _token(part: HerokuPart, target: dict[str, Any]) -> str:
    return part.environment[target["token"]["env"]]


def _listed(part: HerokuPart, target: dict[str, Any]) -> dict[str, str]:
    """Return what a person would say of each item, reading what urllib got."""
    token = _token(part, target)
    team = get(part.simulator, f"/teams/{target['team']}", token=token)[2]
    found = get(part.simulator, f"/teams/{target['team']}/members", token=token)[2]
    outcomes = {}
    if team["type"] == "team":
        path = f"/teams/{target['team']}/invitations"
        invited = get(part.simulator, path, token=token, Accept=INVITATIONS)[2]
        outcomes = {one["id"]: "not_applicable" for one in invited}
    else:
        found += get(part.simulator, f"/enterprise-accounts/{target['enterprise_account']}/members", token=token)[2]
    for one in found:
        if one.get("federated", "identity_provider" not in one or one["identity_provider"]):
            outcome = "manual" if one.get("identity_provider") else "error"
        else:
            outcome = {True: "pass", False: "fail"}.get(one.get("two_factor_authentication"), "error")
        assert outcomes.setdefault(one["user"]["email"], outcome) == outcome
    return outcomes


def test_a_role_is_that_of_the_account_whatever_the_case() -> None:
    one = Team(name="t", target="t", token="T", members=[ADA], collaborators=["eve@example.com"])
    assert (one.role("ADA@explo.co"), one.role("eve@example.com"), one.role("max@explo.co")) == (
        "admin",
        "collaborator",
        None,
    )


def test_a_misspelt_world_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "heroku.yaml").write_text("tokens: []\nteam: []\n")
    with pytest.raises(SandboxError, match=r"heroku\.yaml"):
        start_heroku(tmp_path, tmp_path)
