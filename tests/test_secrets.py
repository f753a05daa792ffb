"""Canaries: no secret of any target, in any form it may take, occurs in a file of a run or in a log at -vv."""

from __future__ import annotations

import base64
import hashlib
import os
import re
import subprocess
import sys
import urllib.parse
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests
import yaml

from auditor import yamlcore
from tests.test_redact import nested
from tests.world_runs import PACK, Audited

CANARIES = {
    "AWS_SECRET_ACCESS_KEY": 'cánary-"aws"@/key+%\\7f',
    "AWS_SESSION_TOKEN": 'canary-token-"s"@/+ß-91a',
    "EXTERNAL_ID": 'canary:external"@/id-ü55',
    "GITHUB_TOKEN": "canary_pat_/+=@'%7f{x}~0123",
    "HEROKU_API_KEY": "canary-HRKU_/+=@'%7f{x}~4567",
    "EXPLO_API_TOKEN": "canary_api_/+=@'%7f{y}~4567",
    "EXPLO_EMBED_SECRET": 'cánary-"embed"@/secret+%\\7f-012',  # 32 bytes
    "EXPLO_RETIRED_EMBED_SECRET": 'cánary-"old"@/secret+%\\7f-01234',
    "APP_DB_AUDITOR_PASSWORD": 'canary-"päss"@/\'wörd%',
    "REPORTS_DB_AUDITOR_PASSWORD": 'canary-"päss"@/\'reports%',
}


def forms(secret: str) -> Iterator[bytes]:
    """Yield what a secret may look like in a file or a log."""
    raw = secret.encode()
    yield raw
    for safe in ("", "/", "@/"):
        yield urllib.parse.quote(secret, safe=safe).encode()
    yield urllib.parse.quote_plus(secret).encode()
    yield raw.hex().encode()
    yield repr(secret)[1:-1].encode()
    yield secret.encode("unicode_escape")
    for before in (b"", b"u:", b"us:", b"use:"):
        core = base64.b64encode(before + raw)[len(before) + 2 : -4]
        yield core
        yield core.replace(b"+", b"-").replace(b"/", b"_")
    yield from (form.encode() for form in nested(secret).values())


def found_in(secret: str, folder: Path, output: bytes) -> list[str]:
    texts = {str(path): path.read_bytes() for path in folder.rglob("*") if path.is_file()} | {"the log": output}
    assert any(len(text) > 1000 for text in texts.values())
    return [f"{form!r} in {name}" for name, text in texts.items() for form in forms(secret) if form in text]


def audit(config: Path, output: Path, variables: dict[str, str]) -> subprocess.CompletedProcess[bytes]:
    command = [
        sys.executable,
        "-m",
        "auditor",
        "run",
        "-vv",
        "-c",
        str(config),
        "--policies",
        str(PACK),
        "-o",
        str(output),
    ]
    return subprocess.run(command, env={**os.environ, **variables}, capture_output=True, check=False)


@pytest.mark.parametrize("name", ["healthy", "broken"])
def test_the_worlds_own_secrets_stay_secret(name: str, request: pytest.FixtureRequest, tmp_path: Path) -> None:
    """With the right secrets, so that everything is asked and answered."""
    world: Audited = request.getfixturevalue(name)
    secrets = {
        key: value for key, value in world.world.environment.items() if re.search("SECRET|PASSWORD|TOKEN|API_KEY", key)
    }
    assert len(secrets) >= 3
    result = audit(world.world.config, tmp_path, world.world.environment)
    assert result.returncode in (0, 1), result.stderr[-2000:]
    for secret in secrets.values():
        assert not found_in(secret, tmp_path, result.stdout + result.stderr)
    tokens = issued(world, tmp_path)
    assert len(tokens) >= 4
    texts = [*(path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()), result.stdout + result.stderr]
    for token in tokens:
        for part in (token, *(part for part in token.split(".")[1:] if len(part) > 20)):
            assert not [text for text in texts if part.encode() in text]


def issued(world: Audited, reports: Path) -> list[str]:
    """Return the tokens that the world's services minted for this run: a service tells who may mint."""
    settings = yaml.safe_load(world.world.config.read_text())
    found: list[str] = []
    evidence = b"".join(path.read_bytes() for path in reports.glob("*/evidence/*"))
    for target in settings["targets"]:
        if target["type"] == "tokens":
            url = target["mint"]["url"].replace("api/generate_jwt/", "issued")
            headers = {"Explo-Authorization": f"Token {world.world.environment[target['mint']['token']['env']]}"}
            found += requests.get(url, headers=headers, timeout=5).json()
    return [token for token in found if hashlib.sha256(token.encode()).hexdigest().encode() in evidence]


def test_canaries_as_every_secret_stay_secret_where_everything_fails(broken: Audited, tmp_path: Path) -> None:
    """With wrong secrets, so that every error path of every source speaks."""
    settings = yaml.safe_load(broken.world.config.read_text())
    for target in settings["targets"]:
        if "password" in target:
            assert target["password"]["env"] in CANARIES
        if target["type"] == "postgres":
            folder = broken.world.config.parent
            target["trust"] = (
                {"ca": str(folder / target["trust"]["ca"])} if isinstance(target["trust"], dict) else "none"
            )
            for part in ("cert", "key"):
                if "client_certificate" in target:
                    target["client_certificate"][part] = str(folder / target["client_certificate"][part])
        elif target["type"] == "aws":
            target["max_attempts"] = 1
            target["role_arn"] = "arn:aws:iam::123456789012:role/auditor"
            target["external_id"] = {"env": "EXTERNAL_ID"}
        elif "samples" in target:
            target["samples"] = str(broken.world.config.parent / target["samples"])
    config = tmp_path / "auditor.yaml"
    config.write_text(yamlcore.dump(settings))
    result = audit(config, tmp_path / "reports", {**broken.world.environment, **CANARIES})
    assert result.returncode in (1, 3), result.stderr[-2000:]
    assert b"Traceback" not in result.stdout
    for secret in CANARIES.values():
        assert not found_in(secret, tmp_path / "reports", result.stdout + result.stderr)


def test_the_search_itself_would_find_them(tmp_path: Path) -> None:
    """The positive control: each form, written to a file, is found."""
    for secret in CANARIES.values():
        for number, form in enumerate(forms(secret)):
            folder = tmp_path / f"{abs(hash(secret))}-{number}"
            folder.mkdir()
            (folder / "file").write_bytes(b"x" * 2000 + form)
            assert found_in(secret, folder, b"")
