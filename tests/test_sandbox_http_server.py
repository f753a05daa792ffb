"""The HTTP server that simulators stand on: methods, name, date, and its end."""

from __future__ import annotations

import http.client
import urllib.parse
from http.server import BaseHTTPRequestHandler

import pytest

from auditor.sandbox.http_server import HttpServer, reply


def asked(server: HttpServer, method: str) -> tuple[int, dict[str, str], bytes]:
    """Ask once; names of headers in lower case."""
    connection = http.client.HTTPConnection(urllib.parse.urlsplit(server.url).netloc, timeout=5)
    try:
        connection.request(method, "/place?a=1", body=b"sent")
        answer = connection.getresponse()
        return answer.status, {name.lower(): value for name, value in answer.getheaders()}, answer.read()
    finally:
        connection.close()


def echo(handler: BaseHTTPRequestHandler) -> None:
    sent = handler.rfile.read(int(handler.headers["Content-Length"]))
    reply(handler, 207, {"X-Ours": "yes"}, f"{handler.command} {handler.path} {sent.decode()}".encode())


def test_only_the_methods_named_are_answered_under_its_name_and_date() -> None:
    server = HttpServer("ours", echo, methods=("POST",), clock=lambda: 1_795_000_000.5)
    try:
        status, headers, body = asked(server, "POST")
        refused, *_ = asked(server, "GET")
    finally:
        server.stop()
    assert (status, body, refused) == (207, b"POST /place?a=1 sent", 501)
    assert {name: headers[name] for name in ("x-ours", "date", "content-length")} == {
        "x-ours": "yes", "date": "Wed, 18 Nov 2026 11:06:40 GMT", "content-length": "20",
    }  # fmt: skip
    assert headers["server"].strip() == "ours"


def test_nobody_answers_once_it_is_stopped_and_a_second_stop_does_nothing() -> None:
    server = HttpServer("ours", echo)
    assert asked(server, "GET")[0] == 207
    server.stop()
    server.stop()
    with pytest.raises(ConnectionRefusedError):
        asked(server, "GET")
