"""Whole audits of a Heroku team: the number of calls, pages, who may not tell, secrets, and the guard on 206."""

from __future__ import annotations

import itertools
import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from requests import PreparedRequest, Response
from requests.adapters import HTTPAdapter

from auditor import notebook, plan, plugins, policy, settings
from auditor.engine import Audit, Plugins
from auditor.model import Outcome
from auditor.redact import Redactor
from auditor.sandbox import heroku_ranges
from auditor.sandbox.heroku import HerokuSimulator
from auditor.sandbox.heroku_world import Person
from auditor.sandbox.world import World
from auditor.sources import heroku as heroku_source
from tests.audit_fixture import Audited
from tests.fault_kinds import Exchange
from tests.faults_http import response_of
from tests.heroku_account import SECRET, enterprise, heroku, invitation, people, team
from tests.test_never_false import Experiment
from tests.world_runs import Audited as AuditedWorld


def world(server: HerokuSimulator, folder: Path, *, tests: int = 1, **target: Any) -> AuditedWorld:
    """Audit the team with so many tests of the same kind."""
    folder.mkdir(exist_ok=True)
    found = Plugins(plugins.checks(), plugins.sources(), plugins.reports())
    entry = {"id": "hosting", "type": "heroku", "team": "explo", "base_url": server.url, **target}
    entries = [{**entry, "token": {"env": "HEROKU_CANARY"}}]
    config = folder / "auditor.yaml"
    config.write_text(json.dumps({"version": 1, "organization": "Explo", "targets": entries}))
    loaded = settings.load(config, found.sources)
    targets = plan.declare(loaded, found.sources)
    common = {"check": "heroku-mfa", "targets": ["hosting"], "severity": "high", "cadence": "P1D", "max_age": "P1D"}
    claim = {
        "id": "mfa",
        "statement": "MFA",
        "interpretation": "MFA",
        "criteria": [{"id": "CC6.1", "support": "direct"}],
        "owner": "security@example.com",
        "tests": [{**common, "id": f"test-{number}"} for number in range(tests)],
    }
    source = {"title": "t", "url": "https://example.com", "retrieved": "2026-11-23"}
    (folder / "pack.yaml").write_text(
        json.dumps({"version": 1, "id": "pack", "title": "t", "source": source, "claims": [claim]})
    )
    pack = policy.load(folder / "pack.yaml", found.checks, plan.selectors(targets, found.sources))
    planned = plan.make(pack, targets, loaded.organization, found.checks)
    redactor = Redactor()
    one = Audit(loaded, pack, planned, found, folder / "runs", formats=("json",), redactor=redactor)
    with ThreadPoolExecutor(2) as pool:
        run, head = one.run(pool)
    around = World("one team", config, {"HEROKU_CANARY": SECRET}, [])
    return AuditedWorld(around, loaded, pack, planned, found, redactor, run, head)


def audit(server: HerokuSimulator, folder: Path, **more: Any) -> Audited:
    """Audit the team, for what the audit left behind."""
    whole = world(server, folder, **more)
    return Audited(whole.run, whole.head)


@pytest.fixture(autouse=True)
def _signed_in(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HEROKU_CANARY", SECRET)


def test_a_team_takes_three_calls_however_many_tests_ask(tmp_path: Path) -> None:
    with heroku(team(*people(3))) as server:
        found = audit(server, tmp_path, tests=3)
    assert found.claims == {"mfa": "supported"}
    assert dict(server.calls) == {"/teams/explo": 1, "/teams/explo/members": 1, "/teams/explo/invitations": 1}


def test_what_two_lists_say_of_each_other_stands_in_the_report(tmp_path: Path) -> None:
    with heroku(team(*people(3), invitations=[invitation("new@explo.co")])) as server:
        found = audit(server, tmp_path)
    assert found.claims == {"mfa": "supported"}
    (row,) = found.head.claims[0].tests[0].reconciled
    assert (row.listed, row.counted) == (4, 4)
    assert row.words == (
        "members of the team (collaborators apart): 4 listed, held against the pending invitations to it: "
        "4 of them are in no invitation that names an address"
    )
    assert len(row.evidence) == 2


def test_a_member_who_is_still_invited_leaves_the_claim_unproven(tmp_path: Path) -> None:
    with heroku(team(*people(3), invitations=[invitation("user-00001@explo.co")])) as server:
        found = audit(server, tmp_path)
    assert found.claims == {"mfa": "unproven"}
    expected = "4 listed, but held against the pending invitations to it: 3 of them are in no invitation"
    assert expected in found.message("hosting")


def test_an_enterprise_account_that_lacks_a_member_of_its_team_leaves_the_claim_unproven(tmp_path: Path) -> None:
    members = people(3)
    for missing, claim in ((0, "supported"), (1, "unproven")):
        folder = tmp_path / str(missing)
        with heroku(team(*members, enterprise_account="acme"), enterprise(*members[missing:])) as server:
            found = audit(server, folder, enterprise_account="acme")
        assert found.claims == {"mfa": claim}
    expected = "4 listed, but held against the enterprise account's list of members: 3 of them are in it"
    assert expected in found.message("hosting")
    assert Outcome.FAIL not in found.outcomes().values()


def test_an_enterprise_team_takes_four_calls(tmp_path: Path) -> None:
    with heroku(team(enterprise_account="acme"), enterprise(*people(2))) as server:
        found = audit(server, tmp_path, enterprise_account="acme")
    assert found.claims == {"mfa": "supported"}
    assert dict(server.calls) == {
        "/teams/explo": 1,
        "/teams/explo/members": 1,
        "/enterprise-accounts/acme": 1,
        "/enterprise-accounts/acme/members": 1,
    }


def test_every_member_of_every_page_becomes_a_finding(tmp_path: Path) -> None:
    last = Person(email="zoe@explo.co", mfa=False)
    with heroku(team(*people(2498), last, invitations=[invitation("new@explo.co")])) as server:
        found = audit(server, tmp_path)
    outcomes = found.outcomes()
    assert len(outcomes) == 2500 + 1
    assert [name for name, outcome in outcomes.items() if outcome is Outcome.FAIL] == ["zoe@explo.co"]
    assert found.claims == {"mfa": "refuted"}
    assert server.calls.total() == 2 + 3


def test_what_cannot_be_told_is_unproven(tmp_path: Path) -> None:
    """Each beside `supported` above, which only what is named here takes away."""
    unknown = {"absent": Person(email="a@explo.co", mfa="absent"), "null": Person(email="a@explo.co", mfa=None)}
    for name, member in unknown.items():
        with heroku(team(member)) as server:
            found = audit(server, tmp_path / name)
        assert found.claims == {"mfa": "unproven"}
        assert {name: one for name, one in found.outcomes().items() if one is not Outcome.PASS} == {
            "a@explo.co": Outcome.ERROR
        }
    with heroku(team(Person(email="f@explo.co", mfa=False, provider="acme-sso"))) as server:
        found = audit(server, tmp_path / "federated")
    assert found.claims == {"mfa": "unproven"}
    assert found.outcomes()["f@explo.co"] is Outcome.MANUAL


@pytest.mark.parametrize(
    ("token", "words"),
    [
        ({"scope": ("identity",)}, "needs OAuth scope read"),
        ({"revoked": True}, "expired or revoked"),
        ({"challenged": True}, "second factor"),
        ({"email": "eve@example.com"}, "who asks has the role collaborator"),
        ({"email": "stranger@example.com"}, "You do not have access to the team explo"),
    ],
)
def test_who_may_not_see_the_members_supports_nothing(token: dict[str, Any], words: str, tmp_path: Path) -> None:
    with heroku(team(collaborators=["eve@example.com"]), **token) as server:
        found = audit(server, tmp_path)
    assert found.claims == {"mfa": "unproven"}
    assert set(found.outcomes()) == {"hosting"}
    assert words in found.message("hosting")


def test_another_team_that_answers_is_the_wrong_target(tmp_path: Path) -> None:
    with heroku(team()) as server:
        server.intervene = lambda asking, body: body | {"name": "other"} if asking.path == "/teams/explo" else body
        found = audit(server, tmp_path)
    assert found.claims == {"mfa": "unproven"}
    assert "wrong target: declared team explo, but other answered" in found.message("hosting")
    assert server.calls.total() == 1


@pytest.mark.parametrize("bad", ["members", "invitations"])
def test_a_page_that_announces_more_and_does_not_say_where_is_not_the_last(bad: str, tmp_path: Path) -> None:
    def cut(asking: Any, body: Any) -> Any:
        if asking.path.endswith(bad):
            asking.status = 206
            asking.headers.pop("Next-Range", None)
        return body

    with heroku(team(*people(3))) as server:
        server.intervene = cut
        found = audit(server, tmp_path)
    assert found.claims == {"mfa": "unproven"}
    assert "no Next-Range says where" in found.message("hosting")


def test_the_token_is_in_no_file_whatever_is_echoed(tmp_path: Path) -> None:
    with heroku(team(*people(2))) as server:
        server.intervene = lambda _, body: [{**one, "echo": SECRET} for one in body] if isinstance(body, list) else body
        found = audit(server, tmp_path)
    assert found.claims == {"mfa": "unproven"}  # a membership is read as a whole, and part of each is masked
    assert "redacted" in found.message("ada@explo.co")
    for path in found.run.rglob("*"):
        assert path.is_dir() or SECRET.encode() not in path.read_bytes()


def test_faults_in_every_page_of_a_long_list_give_no_verdict(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The standing test over every answer, where a list has several pages."""
    monkeypatch.setattr(heroku_ranges, "MOST_MAX", 2)
    with heroku(team(*people(4))) as server:
        experiment = Experiment(world(server, tmp_path), tmp_path / "again")
        (task,) = experiment.tasks()
        asked = server.calls["/teams/explo/members"]
        assert not experiment.violations(task)
    assert (asked, server.calls["/teams/explo/members"]) == (3, 6)  # all pages were recorded once more, for the faults


def test_without_the_guard_on_206_the_first_page_stands_for_the_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the tests of pages above are for."""
    last = Person(email="zoe@explo.co", mfa=False)
    monkeypatch.setattr(heroku_ranges, "MOST_MAX", 2)
    with heroku(team(*people(2), last)) as server:
        assert audit(server, tmp_path / "guarded").claims == {"mfa": "refuted"}
        monkeypatch.setattr(heroku_source, "_next_range", lambda *_: ())
        assert audit(server, tmp_path / "unguarded").claims == {"mfa": "supported"}


@pytest.mark.parametrize("path", ["/teams/explo", "/teams/explo/members"])
def test_an_answer_that_is_nested_without_end_is_kept_as_malformed(
    path: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What JSON's reader still reads, what masks secrets in it cannot: the whole task was lost, and its evidence."""
    send = HTTPAdapter.send

    def nested(self: HTTPAdapter, request: PreparedRequest, **how: Any) -> Response:
        response = send(self, request, **how)
        if request.path_url == path:
            start, end, rest = response.content.rpartition(b"}")
            body = start + b', "more": ' + b"[" * depth + b"]" * depth + end + rest
            response = response_of(Exchange(200, {"Content-Type": "application/json"}, body))
        return response

    monkeypatch.setattr(HTTPAdapter, "send", nested)
    with heroku(team(*people(3))) as server:
        for depth, verdict in ((600, "unproven"), (50, "supported")):
            found = audit(server, tmp_path / str(depth))
            assert found.claims == {"mfa": verdict}
            evidence = (found.run / "evidence" / "hosting.main.jsonl").read_text()
            assert ("nested more than 100 deep" in evidence) is (depth > 100)


def test_pages_that_never_end_end_the_list_as_malformed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each range is another, so that no page comes twice."""
    send, pages = HTTPAdapter.send, itertools.count()

    def endless(self: HTTPAdapter, request: PreparedRequest, **how: Any) -> Response:
        response = send(self, request, **how)
        if "members" not in str(request.url):
            return response
        assert next(pages) < 50
        headers = {"Content-Type": "application/json", "Next-Range": f"email {next(pages)}..; max=1000"}
        return response_of(Exchange(206, headers, response.content))

    monkeypatch.setattr(HTTPAdapter, "send", endless)
    monkeypatch.setattr(notebook, "MOST_PAGES", 5)
    with heroku(team(*people(3))) as server:
        found = audit(server, tmp_path)
    assert found.claims == {"mfa": "unproven"}
    assert "malformed: more than 5 pages" in (found.run / "report.json").read_text()
