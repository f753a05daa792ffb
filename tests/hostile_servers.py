"""Systems that were told every secret, and send them back in every form, wherever an answer has room for text."""

from __future__ import annotations

import json
import socket
import ssl
import struct
import tempfile
import threading
from collections import Counter
from collections.abc import Mapping
from contextlib import ExitStack, suppress
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any, Literal
from xml.sax.saxutils import escape

import trustme

from auditor.sandbox.http_server import HttpServer, reply
from auditor.sandbox.token_issuer import Issuer
from auditor.sources.clock import utcnow
from tests.canaries import forms, within_bytes
from tests.postgres_bytes import error

Manner = Literal["answer", "refuse", "redirect", "portal", "header"]
MANNERS: tuple[Manner, ...] = ("answer", "refuse", "redirect", "portal", "header")
"""Well-formed answers with more in them; errors; redirects; a page instead; headers that hold what they should not."""
HEADERS = ("Link", "Location", "Next-Range", "Retry-After", "Date", "WWW-Authenticate", "X-Request-Id", "Set-Cookie",
           "X-Amzn-ErrorType", "X-GitHub-SSO", "Age", "RateLimit-Remaining", "X-RateLimit-Reset")  # fmt: skip
SSL_REQUEST = struct.pack(">ii", 8, 80877103)


ISSUED = ("issued key", "issued token")
"""What a role gives: secrets that nobody knew before, and that only AWS can tell."""


def _said(secrets: Mapping[str, str]) -> dict[str, str]:
    return {f"{name}, {form}": text for name, secret in secrets.items() for form, text in forms(secret).items()}


class Hostile:
    """An HTTP server for GitHub, Heroku, AWS and a token service, each below a path of its own."""

    def __init__(self, secrets: Mapping[str, str], manner: Manner, account: str) -> None:
        self.manner = manner
        self.account = account
        self.asked: Counter[str] = Counter()
        shared = {name: secret for name, secret in secrets.items() if name not in ISSUED}
        self.said = _said(shared)
        self.said_by_aws = _said(secrets)
        self._issued = [secrets[name] for name in ISSUED]
        names = {text: name for name, text in self.said.items()}
        held = {f"{name}, {form}": text for name, one in shared.items() for form, text in within_bytes(one).items()}
        self.echo = {**self.said, **names, **held, "all": " ".join(self.said.values())}
        self._issuer = Issuer("HS256", secrets["EXPLO_EMBED_SECRET"])
        self._one = list(shared.values())
        self._server = HttpServer("hostile", self._answer, methods=("GET", "POST"))
        self.url = self._server.url

    def stop(self) -> None:
        self._server.stop()

    def _answer(self, handler: BaseHTTPRequestHandler) -> None:
        sent = handler.rfile.read(int(handler.headers.get("Content-Length", 0)))
        path = handler.path.partition("?")[0]
        kind = "aws" if "AWS4" in handler.headers.get("Authorization", "") else path.split("/")[1]
        self.asked[kind] += 1
        number = self.asked[kind]
        secret = self._one[number % len(self._one)].encode("ascii", "ignore").decode().replace("\n", " ")
        headers: dict[str, str] = {"Content-Type": "text/xml" if kind == "aws" else "application/json"}
        status, body = 200, json.dumps(self.echo).encode()
        if self.manner == "answer" or (kind == "aws" and b"AssumeRole" in sent):
            body = self._well_formed(kind, path, sent)
        elif self.manner == "refuse":
            status, body = (403, 401, 500, 404)[number % 4], self._refusal(kind, path)
        elif self.manner == "redirect":
            status, headers["Location"] = 302, f"https://elsewhere.example/{secret}"
        elif self.manner == "portal":
            headers["Content-Type"] = "text/html"
            body = f"<html><title>{escape(' '.join(self.said.values()))}</title></html>".encode()
        else:
            headers = dict.fromkeys(HEADERS, f"<{secret}>; rel=next") | {"Content-Type": f"{secret};x={secret}"}
        reply(handler, status, headers, body)

    def _well_formed(self, kind: str, path: str, sent: bytes) -> bytes:
        if kind == "aws":
            return self._of_aws(sent)
        person = {"id": 1, "login": "auditor", "email": self._one[0], "created_at": "2026-11-20T09:12:44Z", **self.echo}
        stranger = {**person, "id": 2, "login": self._one[1], "email": f"{self._one[2]}@explo.co", "role": self._one[3]}
        heroku = {"federated": False, "updated_at": "", "two_factor_authentication": True}
        bodies: dict[str, Any] = {
            "github/user/memberships/orgs/explo": {
                "state": "active", "role": "admin", "organization": {"id": 1, "login": "explo"}, "user": person,
            },
            "github/orgs/explo": {"id": 1, "login": "explo", "two_factor_requirement_enabled": True, **self.echo},
            "heroku/teams/explo": {"id": "1", "name": "explo", "role": "admin", "type": "team", **self.echo},
            "tokens/mint/": {"success": 1, "jwt": self._token(), **self.echo},
        }  # fmt: skip
        whole = bodies.get(path.lstrip("/"))
        if whole is None:
            whole = self.echo if kind == "tokens" else [{**person, **heroku}, {**stranger, **heroku}]
        return json.dumps(whole).encode()

    def _token(self) -> str:
        now = int(utcnow().timestamp())
        claims = {f"claim {name}": text for name, text in self.said.items()}
        return self._issuer.issue({"iat": now, "exp": now + 3600, **claims})

    def _refusal(self, kind: str, path: str) -> bytes:
        said = " ".join((self.said_by_aws if kind == "aws" else self.said).values())
        if kind != "aws":
            return json.dumps({"id": self._one[0], "message": said, "errors": self.echo, "path": path}).encode()
        inner = f"<Code>{escape(self._one[0])}</Code><Message>{escape(said)}</Message>"
        return f"<ErrorResponse><Error>{inner}</Error></ErrorResponse>".encode()

    def _of_aws(self, sent: bytes) -> bytes:
        arn = f"arn:aws:sts::{self.account}:assumed-role/auditor/{escape(' '.join(self.said_by_aws.values()))}"
        if b"AssumeRole" in sent:
            key, token = map(escape, self._issued)
            inner = (
                f"<Credentials><AccessKeyId>ASIAEXAMPLE</AccessKeyId><SecretAccessKey>{key}</SecretAccessKey>"
                f"<SessionToken>{token}</SessionToken><Expiration>2099-01-01T00:00:00Z</Expiration></Credentials>"
            )
            return _sts("AssumeRole", inner)
        if b"GetCallerIdentity" in sent:
            inner = f"<UserId>{escape(self._one[0])}</UserId><Account>{self.account}</Account><Arn>{arn}</Arn>"
            return _sts("GetCallerIdentity", inner)
        return self._refusal("aws", "")


def _sts(action: str, inner: str) -> bytes:
    space = "https://sts.amazonaws.com/doc/2011-06-15/"
    text = f"<{action}Response xmlns='{space}'><{action}Result>{inner}</{action}Result></{action}Response>"
    return text.encode()


class HostilePostgres:
    """Speaks TLS with a certificate that names a secret, and then refuses everybody in words that do."""

    def __init__(self, secrets: Mapping[str, str], manner: Manner) -> None:
        self._manner = manner
        self._said = [" ".join(forms(secret).values()).encode() for secret in secrets.values()]
        self._one = next(iter(secrets.values()))
        self._context = _tls("".join(char for char in self._one if char.isascii())[:60])
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._socket.getsockname()[1]
        self.asked = 0
        threading.Thread(target=self._serve, daemon=True).start()

    def stop(self) -> None:
        self._socket.close()

    def _serve(self) -> None:
        with suppress(OSError):
            while True:
                connection, _ = self._socket.accept()
                threading.Thread(target=self._speak, args=(connection,), daemon=True).start()

    def _speak(self, accepted: socket.socket) -> None:
        with ExitStack() as stack, suppress(OSError):
            connection = stack.enter_context(accepted)
            connection.settimeout(10)
            self.asked += 1
            first = connection.recv(4096)
            if first == SSL_REQUEST:
                if self._manner in ("portal", "header"):
                    connection.sendall(self._one.encode())
                    return
                connection.sendall(b"S")
                connection = stack.enter_context(self._context.wrap_socket(connection, server_side=True))
                connection.recv(4096)
            said = [self._said[(self.asked + number) % len(self._said)] for number in range(5)]
            fields = (kind + text for kind, text in zip((b"M", b"D", b"H", b"F", b"R"), said, strict=True))
            connection.sendall(error(b"SFATAL", b"VFATAL", b"C28P01", *fields))
            connection.recv(1)


def _tls(name: str) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    leaf = trustme.CA().issue_cert("localhost", common_name=name)
    with tempfile.TemporaryDirectory() as folder:
        key = Path(folder) / "pem"
        leaf.private_key_and_cert_chain_pem.write_to_path(key)
        context.load_cert_chain(key)
    return context
