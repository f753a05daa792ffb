"""Files of sample tokens, and what auditor.yaml may say of a token service."""

from __future__ import annotations

import datetime as dt
import hashlib
from pathlib import Path
from typing import Any

import msgspec
import pytest

from auditor.questions import Need, SecretRef
from auditor.sandbox.token_issuer import Issuer
from auditor.sources.clock import utcnow
from auditor.sources.tokens import SOURCE
from auditor.sources.tokens.operations import OPERATIONS
from auditor.sources.tokens.target import Mint, TokensTarget, Verify, declare
from tests.token_services import HOST, KEY, MINT, VERIFY, settings, source, token

# Samples


def samples(folder: Path, text: bytes | str) -> TokensTarget:
    (folder / "samples.txt").write_bytes(text if isinstance(text, bytes) else text.encode())
    return settings(mint=None, verify=None, samples="samples.txt")


def test_every_line_is_a_token_and_comments_are_none(tmp_path: Path) -> None:
    one_token, other = token(), token(60, iat=1)
    text = f"# a comment\n\n  {one_token}\r\n{other}\n{one_token}\n"
    with source(samples(tmp_path, text), folder=tmp_path) as one:
        reply = one.ask("samples")
    assert [item["sha256"] for item in reply.body["items"]] == [
        hashlib.sha256(part.encode()).hexdigest() for part in (one_token, other)
    ]
    assert {item["token"]["signature"] for item in reply.body["items"]} == {"verified"}
    assert one.concealed == [one_token, other]
    assert reply.raw_sha256 == hashlib.sha256(text.encode()).hexdigest()
    assert abs(dt.datetime.fromisoformat(reply.body["modified_at"]) - utcnow()) < dt.timedelta(minutes=1)


def test_a_line_that_is_no_token_is_an_item_that_says_why_and_others_stay(tmp_path: Path) -> None:
    wrong = Issuer("dir/A256GCM", KEY[::-1]).issue({})
    text = f"{token()}\nshort\n{wrong}\n{Issuer('HS256', 'x').issue({})}\n\xff\n"
    with source(samples(tmp_path, text), folder=tmp_path) as one:
        items = one.ask("samples").body["items"]
    assert ["unreadable" in item for item in items] == [False, True, True, False, True]
    assert items[3]["token"]["signature"] == "invalid"
    assert "short" not in one.concealed
    assert wrong in one.concealed
    assert wrong not in str(items)


def test_a_file_that_cannot_be_read_is_an_error(tmp_path: Path) -> None:
    target = samples(tmp_path, "")
    with source(target, folder=tmp_path) as one:
        assert one.ask("samples").body["items"] == []
        (tmp_path / "samples.txt").unlink()
        code, message = one.error("samples")
        assert code == "file"
        assert "samples.txt cannot be read: No such file" in message
        (tmp_path / "samples.txt").mkdir()
        assert one.error("samples")[0] == "file"
    with source(settings(samples="many.txt"), folder=tmp_path) as one:
        (tmp_path / "many.txt").write_text("".join(f"{number}\n" for number in range(1001)))
        assert "more than 1,000" in one.error("samples")[1]


# Settings


def test_what_is_declared_holds_no_secret_and_only_what_is_there() -> None:
    assert declare(settings()) == {
        "allow": ["mint"],
        "secret": True,
        "mint": {"url": MINT["url"], "customer": "test", "embed": "d7x2k9", "key_id": ""},
        "verify": {
            "url": VERIFY["url"],
            "method": "GET",
            "in": "header",
            "name": "X-Token",
            "scheme": "",
            "accepted": [200],
            "refused": [401, 403],
        },
    }
    assert declare(TokensTarget()) == {"allow": [], "secret": False}
    assert declare(TokensTarget(samples="x", jwks_url=f"{HOST}/jwks")).keys() == {
        "allow",
        "secret",
        "samples",
        "jwks_url",
    }


@pytest.mark.parametrize(
    "changes",
    [
        {"mint": {**MINT, "url": "http://api.explo.example/"}},
        {"mint": {**MINT, "url": "https://user:password@api.explo.example/"}},
        {"mint": {**MINT, "url": "https://api.explo.example/?token=x"}},
        {"mint": {**MINT, "token": "literal"}},
        {"mint": {**MINT, "header": "two words"}},
        {"mint": {**MINT, "scheme": "a b"}},
        {"jwks_url": "http://keys.example/"},
        {"jwks_url": "ftp://keys.example/"},
        {"verify": {**VERIFY, "url": "http://explo.example/"}},
        {"verify": {**VERIFY, "in": "path"}},
        {"verify": {**VERIFY, "in": "body"}},
        {"verify": {**VERIFY, "in": "query", "scheme": "Bearer"}},
        {"verify": {**VERIFY, "name": "no header:"}},
        {"verify": {**VERIFY, "name": " "}},
        {"verify": {**VERIFY, "accepted": [200, 401]}},
        {"verify": {**VERIFY, "accepted": []}},
        {"verify": {**VERIFY, "refused": []}},
        {"verify": {**VERIFY, "refused": [99]}},
        {"allow": ["delete"]},
        {"secret": "literal"},
        {"tokens": []},
    ],
)
def test_settings_that_make_no_sense_are_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(msgspec.ValidationError):
        settings(**changes)


def test_a_header_that_is_none_is_named() -> None:
    with pytest.raises(msgspec.ValidationError, match="name is not the name of a header"):
        settings(verify={**VERIFY, "name": "no header:"})


@pytest.mark.parametrize("host", ["127.0.0.1:8000", "localhost", "[::1]"])
def test_http_is_for_loopback(host: str) -> None:
    mint = Mint(url=f"http://{host}/x", token=SecretRef(env="X"))
    assert mint.header == "Explo-Authorization"
    assert Verify(url=f"http://{host}/x", method="POST", in_="body", name="jwt").accepted == (200,)


def test_what_to_set_up_is_said_for_what_is_asked() -> None:
    needs = [Need(operation=OPERATIONS[name], checks=("x",)) for name in ("mint", "verify")]
    text = SOURCE.grants["tokens"](settings(), needs)
    assert "test customer (test)" in text
    assert "allow: [mint]" in text
    assert "samples" not in text
    assert "samples" in SOURCE.grants["tokens"](None, [Need(operation=OPERATIONS["samples"], checks=("x",))])
    assert SOURCE.grants["tokens"](None, []) == ""
