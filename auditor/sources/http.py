"""JSON over HTTPS, asked with a token in a header: what every source that speaks it has in common.

The token goes to one origin (scheme, host, port: RFC 6454) and to no other: a redirect is never followed, and a next
page elsewhere is an error. Whatever the other side did is a reply; nothing here raises for it.
"""

from __future__ import annotations

import datetime as dt
import email.utils
import hashlib
import http.client
import json
import re
import threading
import time
import urllib.parse
from collections.abc import Callable, Iterator, Mapping
from types import MappingProxyType
from typing import Any, NoReturn

import msgspec

from auditor import __version__
from auditor.conversion import convert
from auditor.model import JSON
from auditor.questions import Allowance, Attempt, Failure, Reply, SourceFailure
from auditor.sources.clock import utcnow
from auditor.sources.exchange import Limit, limited_adapter

LOOPBACK = ("127.0.0.1", "::1", "localhost")
CONNECT_SECONDS, READ_SECONDS, EXCHANGE_SECONDS = 10.0, 30.0, 120.0
"""Longest wait for a connection, for the next bytes, and for a whole answer."""
MOST_ATTEMPTS = 5
"""However short the waits: a server that never gives in is not to be hammered."""
MOST_BYTES = 32 * 1024 * 1024
MOST_NESTED = 100
"""Levels of arrays and objects: an answer has few, and whatever reads it later calls itself for each of them."""
_CHUNK = 64 * 1024
_PORTS = {"https": 443, "http": 80}
_LINK = re.compile(r'\s*<([^<>\s]*)>((?:\s*;\s*[\w*-]+\s*=\s*(?:"[^"]*"|[^\s",;]+))*)\s*(?:,|$)')
_REL = re.compile(r';\s*rel\s*=\s*(?:"([^"]*)"|([^\s",;]+))', re.IGNORECASE)
_MEDIA = re.compile(r"[A-Za-z0-9][A-Za-z0-9!#$&^_.+-]{0,126}/[A-Za-z0-9][A-Za-z0-9!#$&^_.+-]{0,126}")
_TOKEN = re.compile(r"[\x21-\x7e]+")  # what a header's value may hold (RFC 9110 section 5.5), without spaces


class Received(msgspec.Struct, frozen=True):
    """What came back to one try: its status, headers (names in small letters), and the bytes of its body."""

    status: int
    headers: Mapping[str, str]
    raw: bytes

    @property
    def server_time(self) -> dt.datetime | None:
        """The time the server sent (RFC 9110 section 6.6.1); None where it cannot be read."""
        text = self.headers.get("date")
        try:
            sent = email.utils.parsedate_to_datetime(text) if text else None
            return sent and (sent.astimezone(dt.UTC) if sent.tzinfo else sent.replace(tzinfo=dt.UTC))
        except (ValueError, OverflowError):
            return None


class Asked(msgspec.Struct, frozen=True):
    """One question's reply, and what it was read from: None where nothing came back."""

    reply: Reply
    received: Received | None


Reading = Callable[[Received], JSON]
"""Turns what came back into the body that is kept; `SourceFailure` where it is no answer to the question."""
Patience = Callable[[Received, int], float | None]
"""Seconds to wait before the next try, given what came back to this one and how many there were; None: no more."""
Credential = Callable[[], Mapping[str, str]]
"""Returns the headers that say who asks; `SourceFailure` where the secret cannot be had."""
_NOTHING: Mapping[str, str] = MappingProxyType({})


def in_header(token: Callable[[], str], *, header: str = "Authorization", scheme: str = "Bearer") -> Credential:
    """Return a credential that is a token in a header, after a scheme (RFC 6750 section 2.1) unless that is empty."""

    def headers() -> Mapping[str, str]:
        text = token()
        if not _TOKEN.fullmatch(text):
            raise SourceFailure("secret", "the token holds a character that no HTTP header can carry")
        return {header: f"{scheme} {text}".strip()}

    return headers


def check_base_url(url: str, name: str = "base_url") -> None:
    """Raise ValueError unless a token may be sent to this URL: https, or http on this machine."""
    parts = urllib.parse.urlsplit(url)
    if parts.scheme not in _PORTS or not parts.hostname:
        raise ValueError(f"{name}: must be an https:// URL")
    if parts.scheme == "http" and parts.hostname not in LOOPBACK:
        raise ValueError(f"{name}: http:// is only for loopback; use https://")
    if parts.username is not None or parts.query or parts.fragment:
        raise ValueError(f"{name}: must have no user, query or fragment")
    try:
        _origin(url)
    except ValueError as error:  # a port that is none
        raise ValueError(f"{name}: {error}") from None


def _origin(url: str) -> tuple[str, str, int]:
    """Return scheme, host and port; ValueError where a URL has none of that."""
    parts = urllib.parse.urlsplit(url)
    if parts.scheme not in _PORTS or not parts.hostname or parts.username is not None:
        raise ValueError("names no host over http or https")
    return parts.scheme, parts.hostname, parts.port or _PORTS[parts.scheme]


class Https:
    """Asks one origin with one credential. Safe to share between threads.

    `credential` is called when a question is asked. `transport` stands in for the `send` of a requests adapter.
    `patience` says how long to wait where a server asks for it; all waiting of one connection stays within
    `budget` seconds, and beyond it the question is an error. `allowance` reads what a rate limit leaves.
    """

    def __init__(
        self,
        base_url: str,
        *,
        credential: Credential = lambda: _NOTHING,
        headers: Mapping[str, str] = _NOTHING,
        transport: Callable[..., Any] | None = None,
        patience: Patience = lambda *_: None,
        budget: float = 0.0,
        allowance: Callable[[Received], Allowance | None] = lambda _: None,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        import requests  # noqa: PLC0415 - a tenth of a second, which only an audit needs

        self._base = base_url.rstrip("/")
        self._origin = _origin(base_url)
        self._credential = credential
        self._headers = {"User-Agent": f"auditor/{__version__}", "Accept-Encoding": "identity", **headers}
        self._adapter = limited_adapter()
        self._send = transport or self._adapter.send
        self._session = requests.Session()  # knows the proxies and authorities of the environment; sends nothing
        self._session.trust_env = self._origin[0] == "https"  # a proxy would read the token of a plain request
        self._patience = patience
        self._allowance = allowance
        self._budget = self._left = budget
        self._sleep = sleep
        self._lock = threading.Lock()

    def url(self, path: str, query: Mapping[str, str | int] = MappingProxyType({})) -> str:
        """Return the URL of a path below the base, its segments already quoted."""
        return f"{self._base}{path}" + (f"?{urllib.parse.urlencode(query)}" if query else "")

    def ask(
        self,
        url: str,
        read: Reading,
        *,
        method: str = "GET",
        headers: Mapping[str, str] = _NOTHING,
        body: JSON = None,
    ) -> Asked:
        """Ask one URL, with a body where there is one (JSON, or octets as they are, whose type is then in `headers`).

        Tries again as long as patience and budget last.
        """
        sent = body if body is None or isinstance(body, bytes) else msgspec.json.encode(body)
        content = {} if sent is None else {"Content-Type": "application/json"}
        started = utcnow()
        attempts: list[Attempt] = []
        while True:
            at = utcnow()
            received: Received | None = None
            answer: JSON = None
            failure: Failure | None = None
            try:
                received = self._once(method, url, {**self._headers, **content, **headers}, sent)
                answer = read(received)
            except SourceFailure as error:
                failure = Failure(error.code, error.message)
            attempts.append(Attempt(at, received.status if received else 0, failure.code if failure else ""))
            wait = self._patience(received, len(attempts)) if received and failure else None
            wait = None if len(attempts) == MOST_ATTEMPTS else wait
            if failure is None or wait is None:
                break
            if not self._may_wait(wait):
                more = f"{failure.message}; a wait of {wait:.0f} s is beyond the {self._budget:.0f} s a task may wait"
                failure = Failure(failure.code, more)
                break
            self._sleep(wait)
        reply = Reply(
            status="error" if failure else "ok",
            started_at=started,
            ended_at=utcnow(),
            body=None if failure else answer,
            raw_sha256=hashlib.sha256(received.raw).hexdigest() if received else "",
            attempts=tuple(attempts),
            error=failure,
            server_time=received.server_time if received else None,
            allowance=self._allowance(received) if received else None,
        )
        return Asked(reply, received)

    def close(self) -> None:
        """Close every pooled connection."""
        self._session.close()
        self._adapter.close()

    def _may_wait(self, seconds: float) -> bool:
        """Take so many seconds from the budget, if it holds them."""
        with self._lock:
            if seconds > self._left:
                return False
            self._left -= seconds
            return True

    def _once(self, method: str, url: str, headers: Mapping[str, str], body: bytes | None) -> Received:
        """Send one request, and read the whole of what comes back."""
        import requests  # noqa: PLC0415 - see above

        try:
            elsewhere = _origin(url) != self._origin
        except ValueError:
            elsewhere = True
        if elsewhere:
            raise SourceFailure("other_host", "not asked: the token is for another scheme, host or port")
        signed = {**headers, **self._credential()}
        failure: SourceFailure | None = None
        with Limit(EXCHANGE_SECONDS) as limit:
            try:
                request = requests.Request(method, url, headers=signed, data=body).prepare()
                settings: dict[str, Any] = {}
                settings |= self._session.merge_environment_settings(url, {}, True, None, None)  # noqa: FBT003 - stream
                with self._send(request, timeout=(CONNECT_SECONDS, READ_SECONDS), **settings) as response:
                    names = {name.lower(): value for name, value in response.headers.items()}
                    raw = b"".join(_bounded(response.iter_content(_CHUNK)))
            except requests.RequestException as error:
                failure = self._explained(error)
            if limit.over:  # whatever the reader made of it: a body that was cut may look whole
                failure = SourceFailure("timeout", f"the answer was not whole after {EXCHANGE_SECONDS:.0f} s")
        if failure is not None:
            raise failure
        return Received(response.status_code, names, raw)

    def _explained(self, error: Any) -> SourceFailure:
        """Say why nothing came back, in a word of ours and the system's own reason; never quotes what was sent."""
        from requests import exceptions  # noqa: PLC0415 - see above
        from urllib3.exceptions import ReadTimeoutError  # noqa: PLC0415

        host = self._origin[1]
        inner = error.args[0] if error.args else None
        if isinstance(error, exceptions.Timeout) or isinstance(inner, ReadTimeoutError):
            return SourceFailure("timeout", f"{host} did not answer in time")
        if isinstance(error, exceptions.SSLError):
            return SourceFailure("tls", f"{host}: {_reason(error)}")
        if isinstance(error, exceptions.ProxyError):
            return SourceFailure("proxy", f"the proxy on the way to {host}: {_reason(error)}")
        if isinstance(error, exceptions.ChunkedEncodingError | exceptions.ContentDecodingError):
            return SourceFailure("malformed", "the body ended before it was whole")
        if isinstance(error, exceptions.ConnectionError):
            return SourceFailure("unreachable", f"{host} cannot be reached: {_reason(error)}")
        return SourceFailure("malformed", f"no answer in HTTP: {type(error).__name__}")


def _reason(error: BaseException) -> str:
    """Return the operating system's words where there are some among the causes, else the name of the innermost."""
    name = type(error).__name__
    cause: BaseException | None = error
    while cause is not None:
        name = type(cause).__name__
        if isinstance(cause, OSError) and cause.strerror:
            return str(cause.strerror)
        cause = cause.__cause__ or cause.__context__
    return name


def _bounded(chunks: Iterator[bytes]) -> Iterator[bytes]:
    """Yield a body as long as it is of a sensible size."""
    size = 0
    for chunk in chunks:
        size += len(chunk)
        if size > MOST_BYTES:
            refuse(f"the body is longer than {MOST_BYTES:,} bytes")
        yield chunk


def read_json(received: Received, shape: Any) -> JSON:
    """Return the body as it stands, once it is strict JSON (RFC 8259) of this msgspec type; else `malformed`.

    No member may stand twice, and no number be NaN. Members that `shape` does not name are kept and not looked at.
    """
    media = media_type(received)
    if media != "application/json" and not media.endswith("+json"):
        refuse(f"not JSON, but {media or 'of no stated kind'}")
    return parse_json(received.raw, shape)


def media_type(received: Received) -> str:
    """Return the media type of a body in small letters, without parameters; "" where none is stated.

    What is no media type (RFC 6838 section 4.2) is not quoted: cut or changed, a secret in it would not be known again.
    """
    media = received.headers.get("content-type", "").partition(";")[0].strip()
    return media.lower() if not media or _MEDIA.fullmatch(media) else "of a kind that is none"


def parse_json(raw: bytes, shape: Any) -> JSON:
    """Return strict JSON of this msgspec type, as `read_json` does, whatever it came in."""
    try:
        json.loads(raw.decode(), object_pairs_hook=_distinct)
        body = msgspec.json.decode(raw)  # stricter: no NaN, no half surrogates
        _check_nesting(body)
        convert(body, shape)
    except msgspec.ValidationError as error:
        refuse(f"not the answer that was asked for: {error}")
    except (ValueError, RecursionError) as error:
        refuse(f"not JSON: {type(error).__name__}")
    return body


def _check_nesting(body: JSON) -> None:
    level = [body]
    for _ in range(MOST_NESTED + 1):
        holders = [value for value in level if isinstance(value, dict | list)]
        if not holders:
            return
        level = [part for one in holders for part in (one.values() if isinstance(one, dict) else one)]
    refuse(f"nested more than {MOST_NESTED} deep")


def next_link(received: Received) -> str | None:
    """Return the URL of the next page (RFC 8288, rel=next), None on the last; `malformed` where it cannot be read."""
    text = received.headers.get("link", "")
    found = []
    position = 0
    while position < len(text):
        match = _LINK.match(text, position)
        if match is None:
            refuse("the Link header cannot be read, so nobody knows whether pages follow")
        relation = _REL.search(match[2])
        if relation and "next" in (relation[1] or relation[2] or "").lower().split():
            found.append(match[1])
        position = match.end()
    if len(found) > 1:
        refuse("the Link header names two next pages")
    return found[0] if found else None


def describe_status(status: int) -> str:
    """Return a status in words."""
    return f"HTTP {status} {http.client.responses.get(status, '')}".strip()


def stated_message(received: Received) -> str:
    """Return the `message` of an error's JSON body; "" where there is none."""
    try:
        body = msgspec.json.decode(received.raw)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return ""
    message = body.get("message") if isinstance(body, dict) else None
    return message if isinstance(message, str) else ""


def refuse(message: str) -> NoReturn:
    """Say that what came back is not an answer."""
    raise SourceFailure("malformed", message)


def _distinct(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise ValueError("a member stands twice")
    return members
