"""The GitHub source: paging, limits, refusals, and a token that goes to one origin only."""

from __future__ import annotations

import hashlib
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

import pytest
import requests

from auditor.questions import SecretRef, SourceFailure
from auditor.sandbox.github import NOT_AN_OWNER
from auditor.sources import http
from auditor.sources.github import GithubTarget
from auditor.sources.http import Received, in_header, next_link
from tests.fault_kinds import Exchange
from tests.github_account import API, SECRET, Canned, answer, github, organization, people, source


def asked(canned: Canned, operation: str = "members", **params: Any) -> tuple[str, str]:
    with source(API, transport=canned) as one:
        return one.error(operation, **params or {"filter": "all"})


# Paging


def test_every_page_is_read_once_and_no_more() -> None:
    with github(organization(*people(249))) as server, source(server.url) as one:
        replies = one.ask("members", filter="all")
    assert [len(reply.body["items"]) for reply in replies] == [100, 100, 50]
    assert [reply.last for reply in replies] == [False, False, True]
    assert len({item["id"] for reply in replies for item in reply.body["items"]}) == 250
    assert server.calls == {"/orgs/explo/members": 1, "/organizations/5/members": 2}
    assert all(reply.server_time is not None and reply.attempts[0].status == 200 for reply in replies)


@pytest.mark.parametrize("count", [0, 99])
def test_a_list_of_one_page_is_one_call(count: int) -> None:
    with github(organization(*people(count))) as server, source(server.url) as one:
        assert len(one.one("members", filter="all").body["items"]) == count + 1
    assert server.calls.total() == 1


def test_the_digest_is_of_the_bytes_on_the_wire() -> None:
    raw = b'[ {"id": 1, "login": "ada"} ]'
    with source(API, transport=Canned(answer(raw))) as one:
        reply = one.one("members", filter="all")
    assert reply.raw_sha256 == hashlib.sha256(raw).hexdigest()
    assert reply.body == {"items": [{"id": 1, "login": "ada"}]}


@pytest.mark.parametrize(
    "link",
    [
        "http://api.github.com/organizations/5/members?page=2",
        "https://api.github.com:8443/organizations/5/members?page=2",
        "https://api.github.com.evil.example/organizations/5/members?page=2",
        "https://evil.example/orgs/explo/members?page=2",
        "https://ada@api.github.com/organizations/5/members?page=2",
        "//api.github.com/x",
        "/organizations/5/members?page=2",
        "file:///etc/passwd",
        "",
    ],
)
def test_a_next_page_elsewhere_is_an_error_and_is_never_asked(link: str) -> None:
    canned = Canned(answer([{"id": 1, "login": "ada"}], Link=f'<{link}>; rel="next"'))
    with source(API, transport=canned) as one:
        replies = one.ask("members", filter="all")
    assert [str(request.url) for request in canned.sent] == [f"{API}/orgs/explo/members?filter=all&per_page=100"]
    assert [reply.status for reply in replies] == ["ok", "error"]
    assert replies[1].error is not None
    assert replies[1].error.code == "other_host"


@pytest.mark.parametrize(
    "link", ["rel=next", "<https://x", '<https://api.github.com/2>; rel="next" nonsense', "<a>;b;c"]
)
def test_a_link_header_that_cannot_be_read_is_malformed(link: str) -> None:
    assert asked(Canned(answer([], Link=link)))[0] == "malformed"


def test_two_next_pages_are_malformed() -> None:
    links = f'<{API}/2>; rel="next", <{API}/3>; rel="next"'
    assert asked(Canned(answer([], Link=links))) == ("malformed", "the Link header names two next pages")


def test_pages_that_go_in_a_circle_end() -> None:
    second = f"{API}/organizations/5/members?page=2"
    pages = [answer([{"id": 1, "login": "a"}], Link=f'<{second}>; rel="next"') for _ in range(2)]
    canned = Canned(*pages)
    assert "never end" in asked(canned)[1]
    assert len(canned.sent) == 2


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        ("", None),
        ('<https://x/2>; rel="next", <https://x/9>; rel="last"', "https://x/2"),
        ('<https://x/1>; rel="prev", <https://x/1>; rel="first"', None),
        ("<https://x/2>; rel=next", "https://x/2"),
        ('<https://x/2>; title="a, b"; rel="last next"', "https://x/2"),
    ],
)
def test_links_are_read_as_rfc_8288_writes_them(header: str, expected: str | None) -> None:
    assert next_link(Received(200, {"link": header}, b"")) == expected


# The token


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_is_not_followed(status: int) -> None:
    canned = Canned(answer({"message": "Moved"}, status, Location="https://evil.example/"))
    code, message = asked(canned)
    assert code == str(status)
    assert "does not follow" in message
    assert len(canned.sent) == 1


def test_the_token_is_sent_and_the_version_is_named() -> None:
    canned = Canned(answer([]))
    with source(API, transport=canned) as one:
        one.one("invitations")
    headers = canned.sent[0].headers
    assert headers["Authorization"] == f"Bearer {SECRET}"
    assert headers["X-GitHub-Api-Version"] == "2026-03-10"
    assert headers["User-Agent"].startswith("auditor/")


def test_netrc_does_not_replace_the_token(monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> None:
    (tmp_path / "netrc").write_text("machine api.github.com login x password y\n")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    canned = Canned(answer([]))
    with source(API, transport=canned) as one:
        one.one("invitations")
    assert canned.sent[0].headers["Authorization"] == f"Bearer {SECRET}"


def test_a_plain_request_to_loopback_passes_by_every_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    with github(organization()) as server, source(server.url) as one:
        assert one.one("membership").status == "ok"


@pytest.mark.parametrize("secret", ["line\nfeed-canary", "spa ce-canary", "schlüssel-canary", "\x00-canary"])
def test_a_token_that_no_header_can_carry_is_named_without_its_value(secret: str) -> None:
    canned = Canned()
    with source(API, transport=canned, secret=secret) as one:
        code, message = one.error("membership")
    assert code == "secret"
    assert "canary" not in message
    assert not canned.sent


def test_a_token_that_is_not_set_is_an_error_of_the_answer() -> None:
    def missing(_: Any) -> str:
        raise SourceFailure("secret", "environment variable T is not set")

    with source(API, transport=Canned()) as one:
        one.connection._https._credential = in_header(lambda: missing(None))
        assert one.error("membership") == ("secret", "environment variable T is not set")


@pytest.mark.parametrize(
    "url",
    [
        "http://github.example.com",
        "ftp://x",
        "api.github.com",
        "https://",
        "https://u:p@x",
        "https://x?a",
        "https://x#a",
        "https://x:99999",
    ],
)
def test_a_base_url_that_a_token_must_not_go_to_is_refused(url: str) -> None:
    with pytest.raises(ValueError, match=r"base_url|names no host|[Pp]ort"):
        GithubTarget(organization="explo", base_url=url, token=SecretRef(env="T"))


@pytest.mark.parametrize("url", ["https://github.example.com/api/v3", "http://127.0.0.1:80", "http://[::1]:80"])
def test_other_base_urls_are_fine(url: str) -> None:
    assert GithubTarget(organization="explo", base_url=url, token=SecretRef(env="T")).base_url == url


# Refusals


def test_a_filter_that_only_owners_may_use_is_an_error_naming_it() -> None:
    with github(organization(login="explo"), login="eve", id=9) as server, source(server.url) as one:
        code, message = one.error("members", filter="2fa_disabled")
    assert code == "422"
    assert message.startswith(NOT_AN_OWNER)
    assert "(needs " in message


def test_single_sign_on_is_named() -> None:
    with github(organization(saml=True), sso=False) as server, source(server.url) as one:
        for operation in ("membership", "organization", "invitations"):
            code, message = one.error(operation)
            assert code == "sso"
            assert "single sign-on" in message


def test_a_list_that_single_sign_on_made_short_is_an_error() -> None:
    canned = Canned(answer([], X_GitHub_SSO="partial-results; organizations=5"))
    assert asked(canned)[0] == "sso"


def test_a_missing_permission_a_wrong_token_and_a_stranger_are_told_apart() -> None:
    with github(organization(), members_read=False) as server, source(server.url) as one:
        code, message = one.error("members", filter="all")
        assert (code, "Members: read" in message) == ("403", True)
        assert one.one("organization").status == "ok"
    with github(organization()) as server, source(server.url, secret="wrong") as one:
        assert one.error("membership")[0] == "401"
    with github(organization(), login="eve", id=9) as server, source(server.url) as one:
        assert one.error("membership")[0] == "404"
    with github(organization()) as server, source(server.url, name="other") as one:
        assert one.error("organization")[0] == "404"


@pytest.mark.parametrize("status", [500, 502, 503, 400, 410, 418])
def test_any_other_status_is_an_error_of_its_number(status: int) -> None:
    assert asked(Canned(answer({"message": "Oh"}, status)))[0] == str(status)


@pytest.mark.parametrize("status", [201, 202, 204, 206])
def test_a_success_that_is_not_200_is_malformed(status: int) -> None:
    assert asked(Canned(answer([], status)))[0] == "malformed"


# Bodies


@pytest.mark.parametrize(
    "body",
    [
        b"", b"[", b"{}", b"null", b"[null]", b"[[]]", b'[{"id": 1}]', b'[{"login": "a"}]',
        b'[{"id": "1", "login": "a"}]',
        b'[{"id": 1, "login": null}]', b'[{"id": true, "login": "a"}]', b'[{"id": 1.5, "login": "a"}]',
        b'[{"id": 1, "id": 2, "login": "a"}]', b'[{"id": NaN, "login": "a"}]', b"[] []", b"\xff[]",
        b'[{"id": 1, "login": "\\ud800"}]', b"[" * 100_000, b"<html></html>",
    ],
)  # fmt: skip
def test_a_body_that_is_no_list_of_accounts_is_malformed(body: bytes) -> None:
    assert asked(Canned(answer(body)))[0] == "malformed"


def test_a_body_that_does_not_say_it_is_json_is_malformed() -> None:
    assert asked(Canned(Exchange(200, {"Content-Type": "text/html"}, b"[]")))[0] == "malformed"
    assert asked(Canned(Exchange(200, {}, b"[]")))[0] == "malformed"


@pytest.mark.parametrize("flag", ['"true"', "1", "[]"])
def test_a_requirement_that_is_no_boolean_is_malformed(flag: str) -> None:
    body = f'{{"id": 5, "login": "explo", "two_factor_requirement_enabled": {flag}}}'
    with source(API, transport=Canned(answer(body.encode()))) as one:
        assert one.error("organization")[0] == "malformed"


def test_null_and_missing_requirements_are_kept_as_they_came() -> None:
    for body in ({"id": 5, "login": "explo"}, {"id": 5, "login": "explo", "two_factor_requirement_enabled": None}):
        with source(API, transport=Canned(answer(body))) as one:
            assert one.one("organization").body == body


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (requests.exceptions.ConnectTimeout(), "timeout"),
        (requests.exceptions.ReadTimeout(), "timeout"),
        (requests.exceptions.SSLError(), "tls"),
        (requests.exceptions.ProxyError(), "proxy"),
        (requests.exceptions.ConnectionError(), "unreachable"),
        (requests.exceptions.ChunkedEncodingError(), "malformed"),
        (requests.exceptions.InvalidHeader(), "malformed"),
    ],
)
def test_what_the_network_does_has_a_word(error: Exception, code: str) -> None:
    with source(API, transport=Canned(error)) as one:
        reply = one.one("membership")
    assert reply.error is not None
    assert reply.error.code == code
    assert [(attempt.status, attempt.reason) for attempt in reply.attempts] == [(0, code)]


def test_a_closed_port_is_unreachable() -> None:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port = listener.getsockname()[1]
    with source(f"http://127.0.0.1:{port}") as one:
        assert one.error("membership") == ("unreachable", "127.0.0.1 cannot be reached: Connection refused")


@contextmanager
def saying(*parts: bytes) -> Iterator[str]:
    """Run a server that says this to its first caller, and yields its URL; after the last part it falls silent."""
    done = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            connection, _ = listener.accept()
            with connection:
                connection.recv(65536)
                connection.sendall(b"".join(parts))
                if not parts:
                    done.wait(5)

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        finally:
            done.set()
            thread.join()


HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"


@pytest.mark.parametrize(
    ("said", "code"),
    [
        ((HEAD, b"Content-Length: 100\r\n\r\n[]"), "malformed"),
        ((HEAD, b"Transfer-Encoding: chunked\r\n\r\n2\r\n[]\r\n"), "malformed"),
        ((HEAD, b"Content-Encoding: gzip\r\nContent-Length: 2\r\n\r\n[]"), "malformed"),
        ((b"SSH-2.0-OpenSSH\r\n",), "unreachable"),
        ((b"HTTP/1.1",), "unreachable"),
        ((), "timeout"),
    ],
)
def test_what_is_cut_late_or_not_http_is_an_error(
    said: tuple[bytes, ...], code: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Over a real socket, by the real adapter."""
    monkeypatch.setattr(http, "READ_SECONDS", 0.3)
    with saying(*said) as url, source(url) as one:
        assert one.error("invitations")[0] == code


@contextmanager
def dripping(head: bytes, piece: bytes, tail: bytes) -> Iterator[tuple[str, list[bytes]]]:
    """Run a server that says `piece` fifty times, while somebody listens; yield its URL and what it said."""
    done = threading.Event()
    said: list[bytes] = []
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            connection, _ = listener.accept()
            with connection, suppress(OSError):
                connection.recv(65536)
                connection.sendall(head)
                for _ in range(50):
                    connection.sendall(piece)
                    said.append(piece)
                    if done.wait(0.1):
                        return
                connection.sendall(tail)

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}", said
        finally:
            done.set()
            thread.join()


@pytest.mark.parametrize(
    ("head", "piece", "tail"),
    [
        (b"HTTP/1.1 200 OK\r\nX-Long: ", b"x", b"\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n[]"),
        (HEAD + b"Content-Length: 52\r\n\r\n", b" ", b"[]"),
        (HEAD + b"Transfer-Encoding: chunked\r\n\r\n34\r\n", b" ", b"[]\r\n0\r\n\r\n"),
        (HEAD + b"\r\n[]", b" ", b""),
    ],
    ids=["a header", "a body", "a chunk", "what would be whole if it ended now"],
)
def test_one_time_limit_bounds_a_server_that_drips(
    head: bytes, piece: bytes, tail: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No single wait is ever long."""
    monkeypatch.setattr(http, "EXCHANGE_SECONDS", 0.5)
    with dripping(head, piece, tail) as (url, said), source(url) as one:
        assert one.error("invitations")[0] == "timeout"
        assert len(said) < 50


def test_a_connection_that_is_used_again_has_its_own_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http, "EXCHANGE_SECONDS", 0.5)
    with github(organization(*people(3))) as server, source(server.url) as one:
        for _ in range(8):
            assert one.ask("members", filter="all")[-1].status == "ok"
            time.sleep(0.1)
