"""What doctor says of real servers that refuse, are silent, wrong or gone: one case for each kind of trouble."""

from __future__ import annotations

import datetime as dt
import http.server
import json
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import trustme
import yaml

from auditor.doctor import Examination
from auditor.sources.postgres.connection import Transport
from tests.audit_fixture import account, retry_at_once, sign_in
from tests.audit_fixture import audit as audit_aws
from tests.cli_process import auditor, closed_port
from tests.examined import examine, of, reasons, states
from tests.github_account import SECRET, github, organization, people
from tests.paging_aws import PagingAws
from tests.policy_words import a_claim, a_pack, a_test
from tests.world_runs import PACK, Audited, environment

UNTOUCHED = "ready"
ACCOUNT: dict[str, Any] = {"id": "prod", "type": "aws", "account_id": "123456789012", "max_attempts": 1}
VOLUMES = a_test("ebs", "aws-ebs-volume-encryption", "aws")
BUCKETS = a_test("enc", "aws-s3-encryption", "aws", params={"buckets": {"key": "data", "value": "export"}})
MFA = a_test("mfa", "github-mfa", "github")


def examined(folder: Path, target: dict[str, Any], *tests: dict[str, Any], **how: Any) -> Examination:
    """Examine one target for these tests; nothing is written."""
    config = folder / "auditor.yaml"
    config.write_text(yaml.safe_dump({"version": 1, "organization": "Explo", "targets": [target]}))
    (folder / "pack.yaml").write_text(a_pack("p", a_claim("c", *tests)))
    before = sorted(folder.rglob("*"))
    found = examine(config, folder / "pack.yaml", **how)
    assert sorted(folder.rglob("*")) == before
    return found[target["id"]]


@contextmanager
def untrusted() -> Iterator[str]:
    """The URL of an HTTPS server whose certificate nobody here trusts."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    trustme.CA().issue_cert("127.0.0.1").configure_cert(context)
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), http.server.BaseHTTPRequestHandler)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    server.handle_error = lambda *_: None  # type: ignore[method-assign]  # a handshake that the client ends
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    try:
        yield f"https://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


# AWS


@pytest.fixture
def aws(monkeypatch: pytest.MonkeyPatch) -> Iterator[PagingAws]:
    """An account in which everything is allowed, of one volume with a key and two buckets."""
    sign_in(monkeypatch)
    retry_at_once(monkeypatch)
    with PagingAws(account()) as server:
        yield server


def of_aws(aws: PagingAws, folder: Path, **more: Any) -> Examination:
    return examined(folder, {**ACCOUNT, "endpoint_url": aws.url, **more}, VOLUMES, BUCKETS)


def error(code: str) -> str:
    return f"<ErrorResponse><Error><Code>{code}</Code><Message>m</Message></Error></ErrorResponse>"


def test_an_account_in_order_is_asked_each_question_once(aws: PagingAws, tmp_path: Path) -> None:
    found = of_aws(aws, tmp_path)
    assert found.ready, reasons(found)
    assert aws.calls == {
        "GetCallerIdentity": 1, "DescribeRegions": 1, "DescribeVolumes": 1, "DescribeKey": 1,
        "ListBuckets": 1, "GetBucketTagging": 1, "GetBucketEncryption": 1,
        "DescribeConfigurationRecorders": 1, "DescribeConfigurationRecorderStatus": 1,
    }  # fmt: skip
    assert found.skew is not None
    assert abs(found.skew) < dt.timedelta(seconds=5)


def test_what_no_bucket_in_scope_was_asked_for_is_tried_on_the_first(aws: PagingAws, tmp_path: Path) -> None:
    """No bucket carries the tag, so the check asks nobody for an encryption; doctor does, and is denied."""
    aws.state.buckets = aws.state.buckets[1:]
    aws.deny("GetBucketEncryption")
    found = of_aws(aws, tmp_path)
    assert aws.calls["GetBucketEncryption"] == 1
    assert states(found) == {"aws-ebs-volume-encryption": "ready", "aws-s3-encryption": "denied"}
    assert of(found, "aws-s3-encryption").symptoms[0].permission == "s3:GetEncryptionConfiguration"


IDENTITIES = {
    "ExpiredToken": "credentials",
    "InvalidClientTokenId": "credentials",
    "SignatureDoesNotMatch": "credentials",
    "RequestExpired": "clock skew",
    "Throttling": "rate limit",
    "AccessDenied": "denied",
    "InternalFailure": "error",
}


@pytest.mark.parametrize("code", IDENTITIES)
def test_codes_of_aws_mean_what_aws_says(aws: PagingAws, tmp_path: Path, code: str) -> None:
    aws.respond("GetCallerIdentity", 403, {"Content-Type": "text/xml"}, error(code))
    found = of_aws(aws, tmp_path)
    assert set(states(found).values()) == {IDENTITIES[code]}
    assert aws.calls == {"GetCallerIdentity": 1}


def test_another_account_is_the_wrong_target_and_asked_nothing_else(aws: PagingAws, tmp_path: Path) -> None:
    aws.state.account_id = "999999999999"
    found = of_aws(aws, tmp_path)
    assert set(states(found).values()) == {"wrong target"}
    assert "declared account 123456789012, but 999999999999 answered" in reasons(found)
    assert aws.calls == {"GetCallerIdentity": 1}


def test_a_throttled_question_is_a_rate_limit(aws: PagingAws, tmp_path: Path) -> None:
    aws.throttle("DescribeVolumes", times=9)
    found = of_aws(aws, tmp_path)
    assert states(found) == {"aws-ebs-volume-encryption": "rate limit", "aws-s3-encryption": "ready"}


def test_the_clock_of_aws_is_told(aws: PagingAws, tmp_path: Path) -> None:
    aws.date = dt.datetime.now(dt.UTC) + dt.timedelta(hours=1)
    skew = of_aws(aws, tmp_path).skew
    assert skew is not None
    assert abs(skew - dt.timedelta(hours=1)) < dt.timedelta(seconds=10)


def test_without_credentials_nobody_is_asked(aws: PagingAws, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    assert set(states(of_aws(aws, tmp_path)).values()) == {"credentials"}
    role = {"role_arn": "arn:aws:iam::123456789012:role/auditor", "external_id": {"env": "NOT_SET"}}
    sign_in(monkeypatch)
    found = of_aws(aws, tmp_path, **role)
    assert set(states(found).values()) == {"credentials"}
    assert "environment variable NOT_SET is not set" in reasons(found)
    assert aws.requests == []


def test_a_role_that_is_not_given_is_no_matter_of_the_network(aws: PagingAws, tmp_path: Path) -> None:
    role = {"role_arn": "arn:aws:iam::123456789012:role/auditor"}
    aws.respond("AssumeRole", 403, {"Content-Type": "text/xml"}, error("AccessDenied"))
    found = of_aws(aws, tmp_path, **role)
    assert set(states(found).values()) == {"credentials"}
    assert "needs sts:AssumeRole" in reasons(found)
    with closed_port() as port:
        gone = examined(tmp_path, {**ACCOUNT, **role, "endpoint_url": f"http://127.0.0.1:{port}"}, VOLUMES)
    assert states(gone) == {"aws-ebs-volume-encryption": "unreachable"}


def test_nobody_at_the_address_of_aws(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sign_in(monkeypatch)
    with closed_port() as port:
        found = examined(tmp_path, {**ACCOUNT, "endpoint_url": f"http://127.0.0.1:{port}"}, VOLUMES)
    assert states(found) == {"aws-ebs-volume-encryption": "unreachable"}
    with untrusted() as url:
        found = examined(tmp_path, {**ACCOUNT, "endpoint_url": url}, VOLUMES)
    assert states(found) == {"aws-ebs-volume-encryption": "certificate"}, reasons(found)


def test_an_audit_still_asks_everything(aws: PagingAws, tmp_path: Path) -> None:
    """The positive control of the counts above."""
    audit_aws(aws, tmp_path, "ebs", "encryption")
    assert aws.calls["GetBucketTagging"] == 2


# GitHub


def of_github(url: str, folder: Path, *, secret: str = SECRET, name: str = "explo") -> Examination:
    target = {"id": "code", "type": "github", "organization": name, "base_url": url, "token": {"env": "T"}}
    with environment({"T": secret}):
        return examined(folder, target, MFA)


def test_an_organization_in_order_is_ready_and_its_budget_is_told(tmp_path: Path) -> None:
    with github(organization(*people(250)), limit=5000) as server:
        found = of_github(server.url, tmp_path)
        assert found.ready, reasons(found)
        assert of(found, "github-mfa").untried == ()
        assert sorted(server.calls.values()) == [1] * 6
        assert found.allowance is not None
        assert (found.allowance.remaining, found.allowance.limit) == (4995, 5000)


GITHUB: dict[str, tuple[dict[str, Any], dict[str, Any], str, str]] = {
    "no scope": ({"members_read": False}, {}, "denied", "403: Resource not accessible"),
    "single sign-on": ({"sso": False}, {"saml": True}, "denied", "sso: SAML single sign-on"),
    "no member": ({"login": "stranger", "id": 9}, {}, "denied", "404: Not Found"),
}


@pytest.mark.parametrize("case", GITHUB)
def test_refusals_of_github(tmp_path: Path, case: str) -> None:
    token, parts, state, said = GITHUB[case]
    with github(organization(**parts), **token) as server:
        found = of_github(server.url, tmp_path)
        assert server.calls.total() == 1
    assert (states(found), found.remedy) == ({"github-mfa": state}, "github")
    assert said in reasons(found)


def test_a_member_who_is_no_owner_is_told(tmp_path: Path) -> None:
    with github(organization(*people(1)), login="user-100", id=100) as server:
        found = of_github(server.url, tmp_path)
        assert server.calls == {"/orgs/explo": 1, "/user/memberships/orgs/explo": 1}
    assert states(found) == {"github-mfa": "error"}
    assert "who asks is no owner" in reasons(found)


def test_a_token_that_github_does_not_know_is_a_matter_of_credentials(tmp_path: Path) -> None:
    with github(organization()) as server:
        found = of_github(server.url, tmp_path, secret="canary-of-somebody-else")
    assert states(found) == {"github-mfa": "credentials"}
    with environment({}):
        missing = examined(
            tmp_path,
            {"id": "code", "type": "github", "organization": "explo", "base_url": "http://127.0.0.1:1",
             "token": {"file": "no-such-file"}},
            MFA,
        )  # fmt: skip
    assert states(missing) == {"github-mfa": "credentials"}
    assert "no-such-file cannot be read" in reasons(missing)


def test_an_exhausted_limit_is_told_with_its_end_and_not_waited_for(tmp_path: Path) -> None:
    with github(organization(), limit=0) as server:
        server.reset_at = int(dt.datetime.now(dt.UTC).timestamp()) + 2  # a run would wait
        found = of_github(server.url, tmp_path)
        assert server.calls.total() == 1
    assert states(found) == {"github-mfa": "rate limit"}
    assert found.allowance is not None
    assert (found.allowance.remaining, found.allowance.limit) == (0, 0)
    assert found.allowance.resets_at == dt.datetime.fromtimestamp(server.reset_at, dt.UTC)


def test_nobody_at_the_address_of_github(tmp_path: Path) -> None:
    with github(organization()) as server:
        url = server.url
    assert states(of_github(url, tmp_path)) == {"github-mfa": "unreachable"}
    with untrusted() as url:
        assert states(of_github(url, tmp_path)) == {"github-mfa": "certificate"}


# PostgreSQL


def database(healthy: Audited, **changed: Any) -> dict[str, Any]:
    """The healthy world's database as a target, its files named wholly."""
    settings = yaml.safe_load(healthy.world.config.read_text())
    target: dict[str, Any] = next(one for one in settings["targets"] if one["type"] == "postgres")
    return {**target, **changed}


KDF, TLS, CERTIFICATE = "postgres-password-kdf", "postgres-tls", "postgres-client-certificate"
ACCEPT = {"min_bits": 256, "accept": {"pbkdf2_sha256": {"iterations": 390_000}}}
COLUMN = {"table": "public.auth_user", "column": "password"}
POSTGRES = (
    a_test("kdf", KDF, "postgres", params={**ACCEPT, **COLUMN, "function": "audit.password_kdf"}),
    a_test("tls", TLS, "postgres"),
    a_test("mtls", CERTIFICATE, "postgres"),
)


def look(healthy: Audited, folder: Path, *tests: dict[str, Any], how: Any = None, **changed: Any) -> Examination:
    """Examine the healthy world's database, changed; with its own secrets, whatever other world is up."""
    with environment(healthy.world.environment):
        return examined(folder, database(healthy, **changed), *(tests or POSTGRES), **(how or {}))


def of_postgres(healthy: Audited, folder: Path, **changed: Any) -> dict[str, str]:
    return states(look(healthy, folder, **changed))


def test_a_database_in_order_is_ready(healthy: Audited, tmp_path: Path) -> None:
    assert of_postgres(healthy, tmp_path) == {KDF: "ready", TLS: "ready", CERTIFICATE: "ready"}


def test_a_wrong_password_is_in_the_way_of_sql_only(healthy: Audited, tmp_path: Path) -> None:
    with environment({"WRONG": "not the password"}):
        found = of_postgres(healthy, tmp_path, password={"env": "WRONG"})
    assert found == {KDF: "credentials", TLS: "ready", CERTIFICATE: "ready"}
    assert of_postgres(healthy, tmp_path, password={"env": "NOT_SET"})[KDF] == "credentials"


def test_files_that_are_not_there(healthy: Audited, tmp_path: Path) -> None:
    nothing = {"cert": "no.crt", "key": "no.key"}
    found = of_postgres(healthy, tmp_path, client_certificate=nothing)
    assert found == {KDF: "credentials", TLS: "credentials", CERTIFICATE: "credentials"}


def test_a_certificate_that_is_not_trusted(healthy: Audited, tmp_path: Path) -> None:
    """The audit's own session is refused; that the probe verifies nothing is what its check is there to find."""
    foreign = tmp_path / "foreign.pem"
    trustme.CA().cert_pem.write_to_path(foreign)
    found = of_postgres(healthy, tmp_path, trust={"ca": str(foreign)})
    assert found == {KDF: "certificate", TLS: "ready", CERTIFICATE: "ready"}


def test_nobody_at_the_address_of_the_database(healthy: Audited, tmp_path: Path) -> None:
    with closed_port() as port:
        assert set(of_postgres(healthy, tmp_path, port=port, endpoints=[]).values()) == {"unreachable"}
    assert set(of_postgres(healthy, tmp_path, host="nowhere.invalid", endpoints=[]).values()) == {"unreachable"}


def test_a_role_that_is_not_let_in(healthy: Audited, tmp_path: Path) -> None:
    found = look(healthy, tmp_path, user="nobody")
    assert states(found)[KDF] == "denied"
    assert "no pg_hba.conf entry" in reasons(found)
    assert found.remedy == "postgres"


def test_a_column_that_may_not_be_read(healthy: Audited, tmp_path: Path) -> None:
    found = look(healthy, tmp_path, a_test("kdf", KDF, "postgres", params={**ACCEPT, **COLUMN}))
    assert states(found) == {KDF: "denied"}
    assert of(found, KDF).symptoms[0].permission == "SELECT on the password column"


def test_a_function_that_is_not_there_is_told(healthy: Audited, tmp_path: Path) -> None:
    params = {**ACCEPT, **COLUMN, "function": "audit.nothing"}
    found = look(healthy, tmp_path, a_test("kdf", KDF, "postgres", params=params))
    assert states(found) == {KDF: "error"}
    assert "audit.nothing cannot be relied on: there is no such function" in reasons(found)


class OtherClock(Transport):
    """The server's answers, an hour off."""

    def fetch(self, answer: Any) -> bytes:
        raw: bytes = answer()
        body = json.loads(raw)
        if "server_time" in body:
            moved = dt.datetime.fromisoformat(body["server_time"]) + dt.timedelta(hours=1)
            return json.dumps({**body, "server_time": moved.isoformat()}).encode()
        return raw


def test_a_clock_that_is_wrong_is_in_the_way_of_dates(healthy: Audited, tmp_path: Path) -> None:
    found = look(healthy, tmp_path, how={"transports": {"app-db": OtherClock()}})
    assert states(found) == {KDF: "ready", TLS: "clock skew", CERTIFICATE: "ready"}
    assert "differ by +3,600 seconds" in reasons(found) or "differ by +3,599 seconds" in reasons(found)


# As a command


def test_troubles_are_told_with_what_to_do(tmp_path: Path) -> None:
    with closed_port() as port:
        target = {"id": "db", "type": "postgres", "host": "127.0.0.1", "port": port, "dbname": "a", "user": "u"}
        entries = {"version": 1, "organization": "Explo", "targets": [{**target, "trust": "none"}]}
        (tmp_path / "auditor.yaml").write_text(yaml.safe_dump(entries))
        shown = auditor("doctor", "--policies", PACK, "--check", CERTIFICATE, cwd=tmp_path)
    assert (shown.code, shown.err) == (3, "")
    assert shown.out.startswith(
        "db (postgres): not ready\n"
        "  unreachable   postgres-client-certificate\n"
        f"      wire.tls_startup: refused: 127.0.0.1:{port}: no TCP connection: [Errno 111] Connection refused\n"
        "  unreachable: is the address right, the system up, and the way to it open (network, firewall,\n"
        "    proxy)?\n"
        "\n"
        "not tried\n"
    )
    assert "access-github-mfa: deselected on the command line" in shown.out
    assert shown.out.endswith("1 target: 1 not ready\n")
    assert [path.name for path in tmp_path.iterdir()] == ["auditor.yaml"]


def test_a_test_without_a_target_is_not_ready(healthy: Audited, tmp_path: Path) -> None:
    entries = {"version": 1, "organization": "Explo", "targets": [database(healthy)]}
    (tmp_path / "auditor.yaml").write_text(yaml.safe_dump(entries))
    arguments = ["doctor", "--policies", PACK]
    whole = auditor(*arguments, cwd=tmp_path, **healthy.world.environment)
    assert (whole.code, whole.out[-18:]) == (3, "1 target: 1 ready\n")
    selected = auditor(*arguments, "--check", KDF, cwd=tmp_path, **healthy.world.environment)
    assert selected.code == 0
    assert "no target" not in selected.out
