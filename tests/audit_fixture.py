"""A whole audit of the paging AWS server: the real engine, the real source, real HTTP."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from botocore.awsrequest import AWSPreparedRequest, AWSResponse
from botocore.compat import HTTPHeaders

from auditor import plan, plugins, policy, settings
from auditor.engine import Audit, Plugins
from auditor.keys import SigningKey
from auditor.model import Outcome
from auditor.questions import Opening, Reply
from auditor.redact import Redactor
from auditor.results import Finding, Head
from auditor.sources.aws.connection import AwsConnection
from auditor.sources.aws.operations import OPERATIONS
from auditor.sources.aws.target import AwsTarget
from auditor.stored import StoredRun
from tests.paging_aws import Bucket, Key, PagingAws, State, Volume

SECRET = 'wJalr/XUtn+FEMI"K7MD@ENG-schlüssel'
REGION = "us-east-1"
KEY = f"arn:aws:kms:{REGION}:123456789012:key/0a1b2c3d-0000-4000-8000-000000000001"
TAG = {"key": "data", "value": "export"}
SHORT_LIVED = (
    "<Rule><ID>all</ID><Filter><Prefix>exports/</Prefix></Filter><Status>Enabled</Status>"
    "<Expiration><Days>7</Days></Expiration>"
    "<AbortIncompleteMultipartUpload><DaysAfterInitiation>7</DaysAfterInitiation></AbortIncompleteMultipartUpload>"
    "</Rule>"
)
TESTS: dict[str, tuple[str, dict[str, object]]] = {
    "ebs": ("aws-ebs-volume-encryption", {}),
    "keys": ("aws-ebs-key-stability", {}),
    "ebs-customer": ("aws-ebs-volume-encryption", {"key_manager": "CUSTOMER"}),
    "expiry": ("aws-s3-object-expiry", {"buckets": TAG, "prefix": "exports/", "max_days": 7}),
    "expiry-named": ("aws-s3-object-expiry", {"buckets": ["exports"], "prefix": "exports/", "max_days": 7}),
    "mfa": ("aws-iam-mfa", {}),
    "encryption": ("aws-s3-encryption", {"buckets": TAG}),
    "encryption-named": ("aws-s3-encryption", {"buckets": ["exports"]}),
}


def account(**parts: Any) -> State:
    """An account in which every test passes."""
    whole: dict[str, Any] = {
        "volumes": {REGION: [Volume("vol-1", kms_key_id=KEY)]},
        "keys": [Key(KEY)],
        "buckets": [
            Bucket("exports", REGION, SHORT_LIVED, tags={"data": "export"}),
            Bucket("logs", "eu-west-1", tags={"data": "logs"}),
        ],
    }
    return State(**{**whole, **parts})


def sign_in(monkeypatch: pytest.MonkeyPatch, *, secret: str = SECRET, token: str | None = None) -> None:
    """Set the credentials of the environment, and none from anywhere else."""
    for name in ("AWS_PROFILE", "AWS_REGION", "AWS_DEFAULT_REGION", "AWS_ENDPOINT_URL", "HTTP_PROXY", "http_proxy"):
        monkeypatch.delenv(name, raising=False)
    for name in ("AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"):
        monkeypatch.setenv(name, "/nonexistent")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIAEXAMPLE")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", secret)
    if token is None:
        monkeypatch.delenv("AWS_SESSION_TOKEN", raising=False)
    else:
        monkeypatch.setenv("AWS_SESSION_TOKEN", token)


def retry_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let botocore wait for nothing between two attempts."""
    monkeypatch.setattr("botocore.retries.standard.ExponentialBackoff.delay_amount", lambda *_: 0)


@dataclass(frozen=True)
class Audited:
    """What an audit left behind."""

    run: Path
    head: Head

    def findings(self, test: str = "") -> list[Finding]:
        stored = StoredRun(self.head, self.run / "evidence", self.run / "findings")
        return [finding for finding in stored.findings() if test in ("", finding.test)]

    def outcomes(self, test: str = "") -> dict[str, Outcome]:
        return {finding.resource.id: finding.outcome for finding in self.findings(test)}

    def message(self, resource: str, test: str = "") -> str:
        return next(finding.message for finding in self.findings(test) if finding.resource.id == resource)

    @property
    def claims(self) -> dict[str, str]:
        return {claim.id: claim.verdict.value for claim in self.head.claims}

    @property
    def scope(self) -> dict[str, str]:
        """What was not reached, and why."""
        return {item.task: item.error for item in self.head.run.scope if not item.reached}

    def answers(self, operation: str, shard: str = "account") -> list[dict[str, Any]]:
        lines = map(json.loads, (self.run / f"evidence/prod.{shard}.jsonl").read_bytes().splitlines())
        return [line for line in lines if line.get("operation") == operation]


def audit(
    aws: PagingAws,
    folder: Path,
    *tests: str,
    workers: int = 8,
    organization: str = "Explo",
    past: Mapping[str, Any] | None = None,
    key: SigningKey | None = None,
    **target: Any,
) -> Audited:
    """Audit the account; each of the named TESTS belongs to a claim of the same id.

    `past` are the settings of a target of earlier runs; the runs go to `runs`, and are signed with `key`.
    """
    found = Plugins(plugins.checks(), plugins.sources(), plugins.reports())
    entry = {"id": "prod", "type": "aws", "account_id": "123456789012", "endpoint_url": aws.url, "max_attempts": 1}
    entries = [{**entry, **target}, *([{"id": "past", "type": "runs", **past}] if past is not None else [])]
    text = json.dumps({"version": 1, "organization": organization, "targets": entries})
    (folder / "auditor.yaml").write_text(text)
    loaded = settings.load(folder / "auditor.yaml", found.sources)
    targets = plan.declare(loaded, found.sources)
    (folder / "pack.yaml").write_text(json.dumps(_pack(tests)))
    pack = policy.load(folder / "pack.yaml", found.checks, plan.selectors(targets, found.sources))
    planned = plan.make(pack, targets, loaded.organization, found.checks)
    redactor = Redactor()
    one = Audit(loaded, pack, planned, found, folder / "runs", formats=("json",), redactor=redactor, key=key)
    with ThreadPoolExecutor(workers) as pool:
        return Audited(*one.run(pool))


def _pack(tests: tuple[str, ...]) -> dict[str, object]:
    claims = []
    for name in tests:
        check, params = TESTS[name]
        test: dict[str, Any] = {
            "id": name,
            "check": check,
            "targets": ["aws"],
            "severity": "high",
            "cadence": "P1D",
            "max_age": "P1D",
        }
        if further := plugins.checks()[check].further_sources:
            test["with"] = dict.fromkeys(further, "past")
        claims.append(
            {
                "id": name,
                "statement": name,
                "interpretation": name,
                "criteria": [{"id": "CC6.1", "support": "direct"}],
                "owner": "security@example.com",
                "tests": [{**test, "params": params}],
            }
        )
    source = {"title": "t", "url": "https://example.com", "retrieved": "2026-11-23"}
    return {"version": 1, "id": "pack", "title": "t", "source": source, "claims": claims}


@contextmanager
def asking(
    aws: PagingAws, *, transport: Any = None, sleep: Callable[[float], None] = time.sleep, **target: Any
) -> Iterator[Any]:
    """Give a function that asks the source itself one operation, and returns its replies."""
    entry = {"account_id": "123456789012", "endpoint_url": aws.url, "max_attempts": 1, **target}
    opening = Opening(shard="account", secret=lambda _: "x", conceal=lambda _: None, folder=Path(), transport=transport)
    with closing(AwsConnection(AwsTarget(**entry), opening, sleep=sleep)) as connection:

        def ask(operation: str, **params: Any) -> list[Reply]:
            return list(connection.ask(OPERATIONS[operation], params))

        yield ask


class _Raw:
    def __init__(self, body: bytes) -> None:
        self._body = body

    def stream(self) -> Iterator[bytes]:
        yield self._body


def canned(request: AWSPreparedRequest, status: int, body: str, headers: dict[str, str]) -> AWSResponse:
    """Answer a request in the place of the network, for hosts that no test may reach."""
    return AWSResponse(request.url, status, HTTPHeaders.from_dict(headers), _Raw(body.encode()))
