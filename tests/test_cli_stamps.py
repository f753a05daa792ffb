"""Time stamps as somebody at a terminal has them made and verified, by an authority that openssl runs."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from tests.cli_process import auditor, closed_port, database, policy, runs
from tests.tsa_server import REAL_SUBJECT, Issuer, Signer, authority

WHEN = r"20\d\d-\d\d-\d\d \d\d:\d\d:\d\d UTC"


class Working(msgspec.Struct, frozen=True):
    """A folder with a key, settings of a database that nobody can reach, and the URL of an authority."""

    folder: Path
    settings: dict[str, Any]

    def write(self, **timestamp: str) -> None:
        """Write the settings, the time stamp's own in place of what is there."""
        settings = {**self.settings, "seal": {**self.settings["seal"], "timestamp": timestamp}}
        (self.folder / "auditor.yaml").write_text(json.dumps(settings, indent=1))

    def run(self) -> Any:
        return auditor("run", "--policies", "pack", "-f", "json", cwd=self.folder)


@pytest.fixture
def work(tmp_path: Path) -> Iterator[Working]:
    issuer = Issuer()
    signer = Signer(tmp_path / "signer", issuer)
    (tmp_path / "ca.pem").write_text(issuer.pem)
    assert auditor("keys", "generate", cwd=tmp_path).code == 0
    policy(tmp_path / "pack", ("tls", "postgres-tls"))
    with closed_port() as port, authority(signer.answer) as server:
        key = {"key": {"file": "auditor.key"}}
        settings = {"version": 1, "organization": "Explo", "seal": key, "targets": [database("db", port)]}
        made = Working(tmp_path, settings)
        made.write(url=server.url, ca="ca.pem")
        yield made


def test_from_the_certificate_of_an_authority_to_a_stamp_that_is_verified(work: Working) -> None:
    refused = work.run()
    assert refused.code == 2
    assert "auditor.keys.json: does not know the time-stamp authority of ca.pem" in refused.err
    assert "auditor keys authority ca.pem" in refused.err
    assert not list((work.folder / "reports").glob("2*"))
    added = auditor("keys", "authority", "ca.pem", cwd=work.folder)
    assert added.code == 0
    assert "time stamps count that are issued under CN=Stamps of the World (SHA-256 " in added.out
    assert auditor("keys", "authority", "ca.pem", cwd=work.folder).code == 0  # a second time changes nothing
    shown = auditor("keys", "show", cwd=work.folder).out
    assert shown.count("time-stamp authority: CN=Stamps of the World (SHA-256 ") == 1
    assert (work.folder / "ca.pem").read_text() in auditor("keys", "show", "--pem", cwd=work.folder).out
    ended = work.run()
    assert ended.code == 3
    assert re.search(f"^time-stamped {WHEN} by {REAL_SUBJECT}$", ended.out, re.MULTILINE)
    verified = auditor("verify", "reports", "--require-timestamp", cwd=work.folder)
    assert (verified.code, verified.err) == (0, "")
    (run,) = runs(work.folder / "reports")
    assert re.match(f"{run.name}: verifies, number 1, signed by key [0-9a-f]+, time-stamped {WHEN} by", verified.out)


def test_a_run_without_a_stamp_says_why_and_is_refused_where_one_is_required(work: Working) -> None:
    auditor("keys", "authority", "ca.pem", cwd=work.folder)
    with closed_port() as port:
        work.write(url=f"http://127.0.0.1:{port}", ca="ca.pem")
        ended = work.run()
    assert ended.code == 3
    assert "no time stamp: 127.0.0.1 cannot be reached" in ended.out
    (run,) = runs(work.folder / "reports")
    verified = auditor("verify", run, "--keys", "auditor.keys.json", cwd=work.folder)
    assert verified.code == 0
    assert ", no time stamp: 127.0.0.1 cannot be reached" in verified.out
    required = auditor("verify", run, "--keys", "auditor.keys.json", "--require-timestamp", cwd=work.folder)
    assert (required.code, required.out) == (4, "")
    assert f"{run.name}/evidence.statement.tsr: no time stamp: 127.0.0.1 cannot be reached" in required.err


@pytest.mark.parametrize(
    ("timestamp", "said"),
    [
        ({"url": "ftp://example.com", "ca": "ca.pem"}, "timestamp.url: must be an https:// or http:// URL"),
        ({"url": "https://me:pw@example.com", "ca": "ca.pem"}, "timestamp.url: must have no user or fragment"),
        ({"url": "https://example.com/#x", "ca": "ca.pem"}, "timestamp.url: must have no user or fragment"),
        ({"url": "https://example.com", "ca": "none.pem"}, "none.pem: cannot be read"),
        ({"url": "https://example.com", "ca": "auditor.yaml"}, "holds no certificate"),
        ({"url": "https://example.com", "ca": "signer/signer.key"}, "holds no certificate"),
        ({"url": "https://example.com"}, "ca"),
    ],
)
def test_a_mistake_in_the_settings_is_told_before_anything_runs(
    work: Working, timestamp: dict[str, str], said: str
) -> None:
    work.write(**timestamp)
    ended = work.run()
    assert ended.code == 2
    assert said in ended.err
    assert not list((work.folder / "reports").glob("2*"))


def test_a_key_file_with_another_thing_than_a_certificate_is_refused(work: Working) -> None:
    auditor("keys", "authority", "ca.pem", cwd=work.folder)
    file = work.folder / "auditor.keys.json"
    ring = json.loads(file.read_bytes())
    (pem,) = ring["timestamp_authorities"]
    for wrong in ("", "x", pem + pem, pem.rstrip()):
        file.write_text(json.dumps({**ring, "timestamp_authorities": [wrong]}))
        ended = auditor("keys", "show", cwd=work.folder)
        assert ended.code == 2
        assert "a time-stamp authority in it is no single certificate, written as PEM usually is" in ended.err
