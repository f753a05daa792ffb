"""Whole audits of a GitHub organization: paging, the number of calls, who may not tell, secrets, and the guard."""

from __future__ import annotations

import json
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from auditor import plan, plugins, policy, settings
from auditor.engine import Audit, Plugins
from auditor.model import Outcome
from auditor.redact import Redactor
from auditor.sandbox.github import GithubSimulator
from auditor.sources import github as github_source
from auditor.sources.http import Received
from tests.audit_fixture import Audited
from tests.github_account import SECRET, github, organization, people
from tests.test_never_false import Experiment
from tests.world_runs import Audited as AuditedWorld

CALLS = {
    "/user/memberships/orgs/explo": 1,
    "/orgs/explo": 1,
    "/orgs/explo/members": 3,
    "/graphql": 1,
    "/orgs/explo/outside_collaborators": 3,
    "/orgs/explo/invitations": 1,
}


def audit(server: GithubSimulator, folder: Path, *tests: Mapping[str, Any], organization: str = "explo") -> Audited:
    """Audit the organization; each test is given by its parameters."""
    found = Plugins(plugins.checks(), plugins.sources(), plugins.reports())
    entry = {"id": "code", "type": "github", "organization": organization, "base_url": server.url}
    entries = [{**entry, "token": {"env": "GITHUB_CANARY"}}]
    (folder / "auditor.yaml").write_text(json.dumps({"version": 1, "organization": "Explo", "targets": entries}))
    loaded = settings.load(folder / "auditor.yaml", found.sources)
    targets = plan.declare(loaded, found.sources)
    common = {"check": "github-mfa", "targets": ["code"], "severity": "high", "cadence": "P1D", "max_age": "P1D"}
    claim = {
        "id": "mfa",
        "statement": "MFA",
        "interpretation": "MFA",
        "criteria": [{"id": "CC6.1", "support": "direct"}],
        "owner": "security@example.com",
        "tests": [{**common, "id": f"test-{i}", "params": given} for i, given in enumerate(tests or ({},))],
    }
    source = {"title": "t", "url": "https://example.com", "retrieved": "2026-11-23"}
    pack = {"version": 1, "id": "pack", "title": "t", "source": source, "claims": [claim]}
    (folder / "pack.yaml").write_text(json.dumps(pack))
    loaded_pack = policy.load(folder / "pack.yaml", found.checks, plan.selectors(targets, found.sources))
    planned = plan.make(loaded_pack, targets, loaded.organization, found.checks)
    one = Audit(loaded, loaded_pack, planned, found, folder / "runs", formats=("json",), redactor=Redactor())
    with ThreadPoolExecutor(2) as pool:
        return Audited(*one.run(pool))


@pytest.fixture(autouse=True)
def _signed_in(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GITHUB_CANARY", SECRET)


def test_nothing_is_asked_twice_however_many_tests_ask(tmp_path: Path) -> None:
    with github(organization(*people(3))) as server:
        found = audit(server, tmp_path, {}, {"allow_insecure": True}, {"allow_insecure": False})
    assert found.claims == {"mfa": "supported"}
    assert dict(server.calls) == CALLS


def test_every_account_of_every_page_becomes_a_finding(tmp_path: Path) -> None:
    members = [*people(248), *people(1, 5000, mfa="none")]
    with github(organization(*members, outside_collaborators=people(120, 9000))) as server:
        found = audit(server, tmp_path)
    outcomes = found.outcomes()
    assert len(outcomes) == 1 + 250 + 120
    assert {name for name, outcome in outcomes.items() if outcome is not Outcome.PASS} == {"5000"}
    assert found.claims == {"mfa": "refuted"}
    assert server.calls["/organizations/5/members"] == 2
    assert server.calls["/organizations/5/outside_collaborators"] == 1
    assert server.calls.total() == sum(CALLS.values()) + 3


def test_who_is_no_owner_supports_nothing(tmp_path: Path) -> None:
    for login, number in (("user-100", 100), ("stranger", 7)):
        folder = tmp_path / login
        folder.mkdir()
        with github(organization(*people(2, public=True)), login=login, id=number) as server:
            found = audit(server, folder)
        assert found.claims == {"mfa": "unproven"}
        assert set(found.outcomes().values()) == {Outcome.ERROR}


def test_another_organization_that_answers_is_the_wrong_target(tmp_path: Path) -> None:
    with github(organization()) as server:
        other = organization(login="other")
        server.intervene = lambda asking, body: (
            body | {"organization": {"login": other.login, "id": 6}} if "memberships" in asking.path else body
        )
        found = audit(server, tmp_path)
    assert found.claims == {"mfa": "unproven"}
    assert "wrong target: declared organization explo, but other answered" in found.message("code")


def test_a_filter_that_is_refused_is_named(tmp_path: Path) -> None:
    with github(organization(), members_read=False) as server:
        found = audit(server, tmp_path)
    assert found.claims == {"mfa": "unproven"}
    assert "Members: read" in found.message("code")


def test_the_token_is_in_no_file_whatever_is_echoed(tmp_path: Path) -> None:
    with github(organization(*people(2))) as server:
        server.intervene = lambda _, body: [{**one, "echo": SECRET} for one in body] if isinstance(body, list) else body
        found = audit(server, tmp_path)
    assert found.claims == {"mfa": "supported"}  # what was masked is of no account's flag, and nothing else is hidden
    assert b"[redacted]" in b"".join(path.read_bytes() for path in (found.run / "evidence").iterdir())
    for path in found.run.rglob("*"):
        assert path.is_dir() or SECRET.encode() not in path.read_bytes()


def test_without_the_guard_on_bodies_faults_become_verdicts(
    healthy: AuditedWorld, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The standing test over every answer notices: here any body that is not a list counts as an empty one."""

    def lenient(received: Received, shape: Any) -> Any:
        del shape
        try:
            return json.loads(received.raw)
        except ValueError:
            return []

    experiment = Experiment(healthy, tmp_path)
    task = next(task for task in experiment.tasks() if task.target == "code")
    assert not experiment.violations(task, ("break", "truncate"))
    monkeypatch.setattr(github_source, "read_json", lenient)
    assert any("passes although it asked" in line for line in experiment.violations(task, ("break", "truncate")))
