"""Whole audits of token services: calls counted, what is created only where it is allowed, secrets, and the guards."""

from __future__ import annotations

import json
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import Any

import msgspec
import pytest

from auditor import plan, plugins, policy, settings
from auditor.engine import Audit, Plugins
from auditor.model import Outcome
from auditor.redact import Redactor
from auditor.sandbox.tokens import TokenServices, settings_of
from auditor.sources.tokens import SOURCE, content
from auditor.sources.tokens.connection import TokensConnection
from auditor.sources.tokens.operations import OPERATIONS
from tests.audit_fixture import Audited
from tests.faults_tokens import TokensHarness
from tests.test_never_false import Experiment, _replies
from tests.token_services import API_TOKEN, KEY, SECRETS, Clock, running, service
from tests.world_runs import Audited as AuditedWorld
from tests.world_runs import environment

LIFETIME: dict[str, Any] = {"max_lifetime": "P1D", "algorithms": ["dir/A256GCM", "RS256"]}
TESTS: dict[str, tuple[str, dict[str, Any]]] = {
    "short": ("jwt-lifetime", LIFETIME),
    "configured": ("jwt-lifetime", {**LIFETIME, "requested_lifetime": "PT4S"}),
    "enforced": ("jwt-expiry-enforced", {"lifetime": "PT4S", "leeway": "PT1S", "max_wait": "PT30S"}),
}
MINT, DASHBOARD = "/embed/api/generate_jwt/", "/embed/dashboard"
ALL = {"short": "supported", "configured": "supported", "enforced": "supported"}


@pytest.fixture(autouse=True)
def _secrets(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, secret in SECRETS.items():
        monkeypatch.setenv(name, secret)


def audit(
    server: TokenServices, folder: Path, clock: Clock, *names: str, tests: Mapping[str, Any] = TESTS, **changes: Any
) -> Audited:
    """Audit every service with every test, or with those that are named; each belongs to a claim of its id."""
    found = Plugins(plugins.checks(), dict(plugins.sources()), plugins.reports())
    patient = msgspec.structs.replace(
        SOURCE,
        open=lambda target, opening: closing(TokensConnection(target, opening, clock=clock.now, sleep=clock.sleep)),
    )
    found = Plugins(found.checks, {**found.sources, "tokens": patient}, found.reports)
    entries = [{**settings_of(one, server.url, "API_TOKEN"), **changes} for one in server.services.values()]
    (folder / "auditor.yaml").write_text(json.dumps({"version": 1, "organization": "Explo", "targets": entries}))
    loaded = settings.load(folder / "auditor.yaml", found.sources)
    targets = plan.declare(loaded, found.sources)
    (folder / "pack.yaml").write_text(json.dumps(_pack({name: tests[name] for name in names or tests})))
    pack = policy.load(folder / "pack.yaml", found.checks, plan.selectors(targets, found.sources))
    planned = plan.make(pack, targets, loaded.organization, found.checks)
    one = Audit(loaded, pack, planned, found, folder / "runs", formats=("json",), redactor=Redactor())
    with ThreadPoolExecutor(2) as pool:
        return Audited(*one.run(pool))


def _pack(tests: Mapping[str, Any]) -> dict[str, Any]:
    common = {"targets": ["tokens"], "severity": "high", "cadence": "P1D", "max_age": "P1D"}
    claims = [
        {
            "id": name,
            "statement": name,
            "interpretation": name,
            "criteria": [{"id": "CC6.1", "support": "direct"}],
            "owner": "security@example.com",
            "tests": [{**common, "id": name, "check": check, "params": given}],
        }
        for name, (check, given) in tests.items()
    ]
    source = {"title": "t", "url": "https://example.com", "retrieved": "2026-11-23"}
    return {"version": 1, "id": "pack", "title": "t", "source": source, "claims": claims}


def test_three_claims_cost_two_tokens_and_six_questions(tmp_path: Path) -> None:
    clock = Clock()
    with running(clock=clock.seconds) as server:
        found = audit(server, tmp_path, clock)
    assert found.claims == ALL
    assert dict(server.calls) == {MINT: 2, DASHBOARD: 6}
    assert 4 < clock.ahead < 8  # it waited once


@pytest.mark.parametrize(
    ("name", "calls"), [("short", {MINT: 1}), ("configured", {MINT: 1}), ("enforced", {MINT: 2, DASHBOARD: 6})]
)
def test_one_claim_costs_no_more_than_it_takes(name: str, calls: dict[str, int], tmp_path: Path) -> None:
    clock = Clock()
    with running(clock=clock.seconds) as server:
        found = audit(server, tmp_path, clock, name)
    assert found.claims == {name: "supported"}
    assert dict(server.calls) == calls


def test_whether_the_door_opens_to_anything_is_asked_only_where_it_opened_wrongly(tmp_path: Path) -> None:
    clock = Clock()
    with running(service(faults=("accepts_expired",)), clock=clock.seconds) as server:
        found = audit(server, tmp_path, clock, "enforced")
    assert found.outcomes() == {"tampered": Outcome.PASS, "foreign": Outcome.PASS, "expired": Outcome.FAIL}
    assert dict(server.calls) == {MINT: 2, DASHBOARD: 7}


def test_a_door_that_refuses_fresh_tokens_is_not_asked_on(tmp_path: Path) -> None:
    clock = Clock()
    with running(service(faults=("refuses_all",)), clock=clock.seconds) as server:
        found = audit(server, tmp_path, clock, "enforced")
    assert found.claims == {"enforced": "unproven"}
    assert dict(server.calls) == {MINT: 2, DASHBOARD: 2}
    assert clock.ahead == 0


@pytest.mark.parametrize("changes", [{"allow": []}, {"mint": "without a customer"}])
def test_nothing_is_created_that_is_not_allowed(changes: dict[str, Any], tmp_path: Path) -> None:
    clock = Clock()
    with running(clock=clock.seconds) as server:
        if "mint" in changes:
            mint = settings_of(server.services["embed"], server.url, "API_TOKEN")["mint"]
            assert isinstance(mint, dict)
            changes = {"mint": {**mint, "customer": ""}}
        found = audit(server, tmp_path, clock, **changes)
        assert set(found.claims.values()) == {"unproven"}
        assert set(found.outcomes().values()) == {Outcome.ERROR}
        assert "not allowed: " in found.message("minted")
        assert dict(server.calls) == {}
        (again := tmp_path / "again").mkdir()
        assert audit(server, again, clock).claims == ALL  # the positive control
    assert server.calls[MINT] == 2


def test_a_public_page_is_neither_supported_nor_refuted(tmp_path: Path) -> None:
    """What opens without any token refutes nothing about tokens."""
    clock = Clock()
    with running(clock=clock.seconds) as server:
        page = 200, "application/json", b'{"status": "ok"}'
        server.services["embed"].dashboard = lambda text: page  # type: ignore[method-assign]  # noqa: ARG005
        found = audit(server, tmp_path, clock, "enforced")
    assert found.claims == {"enforced": "unproven"}
    assert "is this URL for tokens?" in found.message("expired")


def test_who_is_blocked_meanwhile_is_noticed(tmp_path: Path) -> None:
    """A firewall that had enough of us refuses everything from then on: no refusal is one of tokens."""
    clock = Clock()
    with running(clock=clock.seconds) as server:
        one, left = server.services["embed"], [2]

        def blocked(text: str) -> tuple[int, str, bytes]:
            left[0] -= 1
            return type(one).dashboard(one, text) if left[0] >= 0 else (403, "text/html", b"<h1>Forbidden</h1>")

        one.dashboard = blocked  # type: ignore[method-assign]
        found = audit(server, tmp_path, clock, "enforced")
    assert found.claims == {"enforced": "unproven"}
    assert "no positive control: the lasting token after was refused (403)" in found.message("tampered")


def test_no_secret_is_in_any_file(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    clock = Clock()
    faulty = service("loose", presented="query", faults=("accepts_expired", "checks_no_signature"))
    with running(service(presented="query"), faulty, service("x", secret=""), clock=clock.seconds) as server:
        found = audit(server, tmp_path, clock)
        issued = [text for one in server.services.values() for text in one.issued]
    assert len(issued) == 6
    files = {path: path.read_bytes() for path in found.run.rglob("*") if path.is_file()}
    assert any(b'"sha256"' in raw for raw in files.values())
    for secret in (*issued, API_TOKEN, KEY):
        assert not [path for path, raw in files.items() if secret.encode() in raw]
    parts = {part for text in issued for part in text.split(".")[1:] if len(part) > 8}
    assert parts
    for part in parts:
        assert not [path for path, raw in files.items() if part.encode() in raw]
    assert "Traceback" not in caplog.text


def test_without_the_kind_of_what_was_opened_a_portal_supports_claims(
    healthy: AuditedWorld, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The standing test over every answer notices the guard's absence: any 200 then counts as an acceptance."""
    experiment = Experiment(healthy, tmp_path)
    task = next(task for task in experiment.tasks() if task.target == "embed")
    assert not experiment.violations(task, ("break", "truncate", "mistype_word"))
    kind = "application/json (customer: string, dashboard: string, editable: boolean, rows: number)"
    monkeypatch.setattr(content, "describe", lambda _: kind)
    problems = experiment.violations(task, ("break", "truncate", "mistype_word"))
    assert any("passes although it asked" in line for line in problems), problems


def test_faults_are_put_into_answers_that_are_as_they_were(
    healthy: AuditedWorld, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The positive control of the harness: played back without a fault, every answer says what the record says."""
    monkeypatch.setattr(TokensHarness, "_change", lambda *given: given[2])
    experiment = Experiment(healthy, tmp_path)
    for name in ("embed", "embed-signed"):
        with environment(healthy.world.environment):
            harness = TokensHarness(experiment.context, name, "main")
            asked = 0
            for _, operation, params, recorded in _replies(healthy.run / f"evidence/{name}.main.jsonl").values():
                if operation != "samples":
                    pieces = harness.record(OPERATIONS[operation], params)
                    replies = harness.tampered(OPERATIONS[operation], params, pieces - 1, "break")
                    assert replies is not None
                    (reply,) = replies
                    body = recorded[0].body
                    assert (reply.status, reply.body.keys()) == ("ok", body.keys())
                    assert [reply.body.get(key) for key in ("status", "outcome", "content", "requested")] == [
                        body.get(key) for key in ("status", "outcome", "content", "requested")
                    ]
                    asked += 1
            harness.close()
        assert asked == 8


@pytest.mark.parametrize("apart", [-20.0, -3.0, 3.0, 20.0])
@pytest.mark.parametrize(("faults", "verdict"), [((), "supported"), (("accepts_expired",), "refuted")])
def test_who_tells_the_time_and_who_looks_at_tokens_may_have_different_clocks(
    tmp_path: Path, apart: float, faults: tuple[str, ...], verdict: str
) -> None:
    """A proxy writes the Date. Where the service behind it is late, its tokens live on, and that is no fault."""
    clock = Clock()
    given = {"lifetime": "PT40S", "leeway": "PT1S", "max_wait": "PT90S"}
    with running(service(faults=faults), clock=clock.seconds) as server:
        server.services["embed"].clock = lambda: clock.seconds() + apart
        found = audit(server, tmp_path, clock, tests={"enforced": ("jwt-expiry-enforced", given)})
    assert found.claims == {"enforced": verdict}
