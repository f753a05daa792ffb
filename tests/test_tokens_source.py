"""The source of token services: what it may create, waits for and never tells, and whose clock it believes."""

from __future__ import annotations

import datetime as dt
import hashlib
import json
import logging
from typing import Any

import msgspec
import pytest
import requests

from auditor.sandbox.token_issuer import Issuer
from auditor.sandbox.tokens import SIGN_IN
from auditor.sources.tokens.operations import OPERATIONS
from tests.fault_kinds import Exchange
from tests.github_account import Canned
from tests.token_services import (
    API_TOKEN,
    HOST,
    KEY,
    MINT,
    VERIFY,
    answer,
    minted,
    running,
    service,
    settings,
    source,
    target,
    token,
)

# Minting


def test_a_minted_token_is_kept_as_what_it_says_and_never_as_it_is() -> None:
    with running(service(float_exp=True)) as server, source(target(server)) as one:
        reply = one.ask("mint", lifetime="PT5M")
    (text,) = server.services["embed"].issued
    body = reply.body
    assert one.concealed == [text]
    assert not [part for part in text.split(".") if len(part) > 4 and part in str(reply)]
    assert body["token"]["sha256"] == hashlib.sha256(text.encode()).hexdigest()
    assert body["token"]["header"] == {"alg": "dir", "enc": "A256GCM", "kid": server.services["embed"].issuer.kid}
    assert body["token"]["claims"].keys() == {"cst", "dsh", "exp"}
    assert (body["requested"], body["token"]["signature"]) == ("PT5M", "decrypted")
    before, after, told = (
        dt.datetime.fromisoformat(value) for value in (*body["minted_at"].values(), body["server_time"])
    )
    assert before <= after <= reply.ended_at
    assert 299 <= body["token"]["dates"]["exp"]["seconds"] - told.timestamp() <= 302
    assert len(reply.raw_sha256) == 64
    assert json.loads(msgspec.json.encode(body)) == body


def test_what_is_sent_is_what_explo_documents() -> None:
    canned = Canned(minted(), minted())
    with source(settings(mint={**MINT, "key_id": "7c1b"}), transport=canned) as one:
        one.mint(lifetime="PT1H")
        one.mint()
    first, second = canned.sent
    assert (first.method, first.url) == ("POST", MINT["url"])
    assert first.headers["Explo-Authorization"] == f"Token {API_TOKEN}"
    body = {"provided_id": "test", "embed_id": "d7x2k9", "key_id": "7c1b"}
    assert json.loads(str(first.body, "utf-8") if isinstance(first.body, bytes) else "") == {
        **body,
        "expiration": "PT1H",
    }
    assert json.loads(str(second.body, "utf-8") if isinstance(second.body, bytes) else "") == body


@pytest.mark.parametrize(
    ("changes", "code", "words"),
    [
        ({"allow": []}, "not allowed", "allow: [mint]"),
        ({"mint": {**MINT, "customer": ""}}, "not allowed", "test customer"),
        ({"mint": {**MINT, "customer": " "}}, "not allowed", "test customer"),
        ({"mint": None}, "not declared", "no `mint`"),
    ],
)
def test_nothing_is_created_unless_the_target_allows_it_and_names_a_customer(
    changes: dict[str, Any], code: str, words: str
) -> None:
    canned = Canned(minted())
    with source(settings(**changes), transport=canned) as one:
        found = one.error("mint")
    assert (found[0], canned.sent) == (code, [])
    assert words in found[1]
    with source(settings(), transport=canned) as one:  # the positive control: with both, it is
        one.mint()
    assert len(canned.sent) == 1
    assert OPERATIONS["mint"].effect == "create"


@pytest.mark.parametrize("status", [204, 301, 302, 307, 308, 400, 401, 403, 404, 429, 500, 503])
def test_a_mint_that_refuses_is_an_error_and_is_not_asked_again(status: int) -> None:
    body = {"detail": "no"} if status != 400 else {"message": f"bad {API_TOKEN[:5]}"}
    canned = Canned(answer(body, status, Location="https://evil.example/", Retry_After="1"))
    with source(settings(), transport=canned) as one:
        assert one.error("mint")[0] == str(status)
    assert len(canned.sent) == 1


@pytest.mark.parametrize(
    "body",
    [
        {},
        [],
        {"success": 1},
        {"success": 1, "jwt": None},
        {"success": 1, "jwt": 7},
        {"success": 0, "jwt": "x"},
        {"success": True, "jwt": "x"},
        {"success": "1", "jwt": "x"},
        {"jwt": "x"},
        b'{"success": 1, "jwt": "a", "jwt": "b"}',
        b'{"success": 1, "jw',
        b"<html>Please sign in</html>",
        b"",
    ],
)
def test_what_is_no_minted_token_is_malformed(body: Any) -> None:
    with source(settings(), transport=Canned(answer(body))) as one:
        assert one.error("mint")[0] == "malformed"
    with source(settings(), transport=Canned(answer({"success": 1, "jwt": "x"}, Content_Type="text/html"))) as one:
        assert one.error("mint")[0] == "malformed"


@pytest.mark.parametrize("text", ["x", "a.b.c", "not a token of any kind", token() + "="])
def test_a_token_that_cannot_be_read_is_an_error_that_does_not_show_it(text: str) -> None:
    with source(settings(), transport=Canned(minted(text))) as one:
        assert one.error("mint")[0] == "unreadable"
        assert one.concealed == [text]


def test_a_secret_that_cannot_be_had_is_an_error() -> None:
    with source(settings(), transport=Canned(minted()), secrets={"API_TOKEN": "two\nlines", "KEY": KEY}) as one:
        assert one.error("mint")[0] == "secret"


# Public keys


def test_public_keys_are_asked_for_once_and_without_any_credential() -> None:
    with running(service("signed", protection="RS256", key="", secret="")) as server:
        with source(target(server, "signed")) as one:
            replies = [one.ask("mint") for _ in range(3)]
        assert {reply.body["token"]["signature"] for reply in replies} == {"verified"}
        assert server.calls == {"/signed/api/generate_jwt/": 3, "/signed/jwks.json": 1}
        with source(target(server, "signed", jwks_url=None)) as one:
            assert one.ask("mint").body["token"]["signature"] == "unchecked"
    canned = Canned(minted(Issuer("RS256").issue({})), answer({"keys": []}))
    with source(settings(secret=None, jwks_url="https://keys.example/jwks"), transport=canned) as one:
        one.mint()
    assert canned.sent[1].url == "https://keys.example/jwks"
    assert not [name for name in canned.sent[1].headers if "auth" in name.lower()]


@pytest.mark.parametrize(
    "bad", [answer({}), answer({"keys": [7]}), answer({"keys": []}, 403), answer({}, 302), answer(b"<html>")]
)
def test_public_keys_that_cannot_be_had_leave_no_signed_token_readable(bad: Exchange) -> None:
    canned = Canned(minted(Issuer("RS256").issue({})), bad, minted(Issuer("RS256").issue({})))
    with source(settings(secret=None, jwks_url="https://keys.example/jwks"), transport=canned) as one:
        for _ in range(2):
            assert one.error("mint")[1].startswith("jwks_url: ")
    assert len(canned.sent) == 3  # not asked for again


# Presenting


@pytest.mark.parametrize("where", ["header", "query", "body"])
@pytest.mark.parametrize("protection", ["dir/A256GCM", "ES256"])
def test_a_token_is_presented_where_the_target_says(where: Any, protection: Any) -> None:
    with running(service(presented=where, protection=protection)) as server, source(target(server)) as one:
        handle = one.mint()
        replies = {
            moment: one.ask("verify", token=handle, moment=moment) for moment in ("fresh", "tampered", "foreign")
        }
        garbage = one.ask("verify", token=handle, moment="garbage")
    bodies = {moment: reply.body for moment, reply in replies.items()}
    kind = "application/json (customer: string, dashboard: string, editable: boolean, rows: number)"
    assert bodies["fresh"] == {"status": 200, "outcome": "accepted", "content": kind}
    refused = {"status": 401, "outcome": "refused", "content": "application/json"}
    assert (bodies["tampered"], bodies["foreign"], garbage.body) == (refused, refused, refused)
    assert len(set(one.concealed)) == 4  # what is made of a token is a secret as well
    for text in one.concealed:
        assert text not in str(replies)
    assert server.calls == {"/embed/api/generate_jwt/": 1, "/embed/dashboard": 4} | (
        {"/embed/jwks.json": 1} if protection == "ES256" else {}
    )


def test_what_is_sent_goes_nowhere_else() -> None:
    canned = Canned(minted(), answer({}, 200))
    verify = {"url": f"{HOST}/x/", "method": "GET", "in": "header", "name": "Authorization", "scheme": "Bearer"}
    with source(settings(verify=verify), transport=canned) as one:
        one.ask("verify", token=one.mint(), moment="fresh")
    sent = canned.sent[1]
    assert (sent.method, sent.url) == ("GET", f"{HOST}/x/")
    assert sent.headers["Authorization"] == f"Bearer {one.concealed[0]}"
    assert sent.headers["Cache-Control"] == "no-cache, no-store"
    assert API_TOKEN not in str(sent.headers)


@pytest.mark.parametrize("status", [201, 204, 301, 302, 307, 400, 404, 429, 500, 503])
@pytest.mark.parametrize("moment", ["fresh", "tampered", "foreign", "garbage"])
def test_a_status_that_means_nothing_is_an_error_and_no_redirect_is_followed(status: int, moment: str) -> None:
    canned = Canned(minted(), answer({}, status, Location="https://evil.example/"))
    with source(settings(), transport=canned) as one:
        code, message = one.error("verify", token=one.mint(), moment=moment)
    assert code == str(status)
    assert "accepted [200], refused [401, 403]" in message
    assert len(canned.sent) == 2


def test_the_target_says_what_a_status_means() -> None:
    verify = {**VERIFY, "accepted": [204], "refused": [302, 404]}
    canned = Canned(minted(), answer(b"", 204, Content_Type=""), answer(b"", 302, Location="/login"))
    with source(settings(verify=verify), transport=canned) as one:
        handle = one.mint()
        bodies = [one.ask("verify", token=handle, moment=moment).body for moment in ("fresh", "tampered")]
    assert bodies == [
        {"status": 204, "outcome": "accepted", "content": "of no stated kind"},
        {"status": 302, "outcome": "refused", "content": "application/json"},
    ]


@pytest.mark.parametrize(
    ("body", "media", "kind"),
    [
        (b'{"b": 1, "a": null}', "application/json; charset=utf-8", "application/json (a: null, b: number)"),
        (b'{"a": {"b": 1}, "c": []}', "application/vnd.api+json", "application/vnd.api+json (a: object, c: array)"),
        (b"[1]", "application/json", "application/json (array)"),
        (b"{}", "application/json", "application/json (object)"),
        (SIGN_IN, "text/html; charset=utf-8", "text/html (Sign in to Explo)"),
        (b"<html><TITLE lang=en>\n Dash\n board </TITLE>", "TEXT/HTML", "text/html (Dash board)"),
        (b"<html>", "text/html", "text/html (without a title)"),
        (b"\x00", "image/png", "image/png"),
    ],
)
def test_what_a_token_opens_is_told_by_its_kind(body: bytes, media: str, kind: str) -> None:
    with source(settings(), transport=Canned(minted(), answer(body, Content_Type=media))) as one:
        assert one.ask("verify", token=one.mint(), moment="fresh").body["content"] == kind


def test_a_kind_with_very_many_members_is_told_by_its_digest() -> None:
    kinds = []
    for count in (500, 501):
        body = answer({f"member-{number}": 1 for number in range(count)})
        with source(settings(), transport=Canned(minted(), body)) as one:
            kinds.append(one.ask("verify", token=one.mint(), moment="fresh").body["content"])
    assert kinds[0] != kinds[1]
    assert max(map(len, kinds)) < 120


def test_a_page_without_end_of_its_title_is_read_once() -> None:
    """A page of a million titles that never end must not be searched a million times: that takes hours."""
    for begin in (b"<title>", b"<title", b"<TITLE >x"):
        page = answer(begin * 1_000_000, Content_Type="text/html")
        with source(settings(), transport=Canned(minted(), page)) as one:
            body = one.ask("verify", token=one.mint(), moment="fresh").body
        assert body["content"] == "text/html (without a title)"


@pytest.mark.parametrize("status", [400, 403, 500])
def test_a_refusal_that_is_nested_without_end_is_still_that_refusal(status: int) -> None:
    with source(settings(), transport=Canned(answer(b"[" * 100_000, status))) as one:
        assert one.error("mint")[0] == str(status)


@pytest.mark.parametrize("body", [b"", b"{", b'{"a": 1, "a": 2}', b"<html>", b'{"a": NaN}'])
def test_an_acceptance_in_json_that_is_none_is_malformed(body: bytes) -> None:
    with source(settings(), transport=Canned(minted(), answer(body))) as one:
        assert one.error("verify", token=one.mint(), moment="fresh")[0] == "malformed"


def test_a_refusal_is_its_status_whatever_it_says() -> None:
    with source(settings(), transport=Canned(minted(), answer(b"{", 403))) as one:
        assert one.ask("verify", token=one.mint(), moment="tampered").body["outcome"] == "refused"


def test_an_answer_out_of_a_cache_is_no_answer_of_the_service() -> None:
    canned = Canned(minted(), answer({}, Age="30"), answer({}, Age="0"))
    with source(settings(), transport=canned) as one:
        handle = one.mint()
        assert "cache" in one.error("verify", token=handle, moment="fresh")[1]
        assert one.ask("verify", token=handle, moment="fresh").status == "ok"


@pytest.mark.parametrize("error", [requests.exceptions.ReadTimeout(), requests.exceptions.ConnectionError()])
def test_no_error_shows_the_token(error: Exception) -> None:
    verify = {**VERIFY, "in": "query"}
    with source(settings(verify=verify), transport=Canned(minted(), error)) as one:
        one.error("verify", token=one.mint(), moment="fresh")


def test_only_a_token_that_was_minted_here_can_be_presented() -> None:
    with source(settings(), transport=Canned()) as one:
        assert one.error("verify", token="00" * 32, moment="fresh")[0] == "unknown"
    with source(settings(verify=None), transport=Canned()) as one:
        assert one.error("verify", token="00" * 32, moment="fresh")[0] == "not declared"
    with source(settings(), transport=Canned(minted())) as one:
        assert one.error("samples")[0] == "not declared"


def test_connections_that_fail_in_the_logs_do_not_show_the_token(caplog: pytest.LogCaptureFixture) -> None:
    """What urllib3 logs at DEBUG has the URL in it: the redactor knows the token by then."""
    caplog.set_level(logging.DEBUG)
    with running(service(presented="query")) as server, source(target(server)) as one:
        one.ask("verify", token=one.mint(), moment="fresh")
    assert one.concealed[0] in caplog.text  # the reason why it must be concealed before it is sent
