"""Asks a time-stamp authority over HTTP (RFC 3161 section 3.4).

Plain http:// is allowed, as most authorities offer nothing else: what is sent is a digest and a random number, and what
comes back is signed, repeats both, and is checked before it is kept. Whoever stands in between can only keep it away.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec

from auditor import timestamps
from auditor.model import EvidenceError
from auditor.sources.http import Https, Received, describe_status, refuse
from auditor.timestamps import Stamped

MOST_BYTES = 1024 * 1024
"""A response has a few thousand."""
_ASKED = {"Content-Type": "application/timestamp-query", "Accept": "application/timestamp-reply"}


class Authority(msgspec.Struct, frozen=True, kw_only=True):
    """A time-stamp authority: where it is asked, and the certificates (PEM) that its own is issued under."""

    url: str
    certificates: tuple[str, ...]


def stamp(authority: Authority, data: bytes, *, transport: Callable[..., Any] | None = None) -> tuple[bytes, Stamped]:
    """Have data stamped; return the response as it is kept, and what it says. `EvidenceError` says why it was not.

    It is asked once, and for no longer than any system. `transport` stands in for the `send` of a requests adapter.
    """
    query = timestamps.query(data)
    connection = Https(authority.url, transport=transport)
    try:
        asked = connection.ask(authority.url, _read, method="POST", headers=_ASKED, body=query.der)
    finally:
        connection.close()
    if asked.reply.error is not None or asked.received is None:
        raise EvidenceError(asked.reply.error.message if asked.reply.error else "nothing came back")
    tsr = asked.received.raw
    return tsr, timestamps.check(tsr, data, authority.certificates, nonce=query.nonce)


def _read(received: Received) -> None:
    """See that it is the answer of an authority; what it says is looked at later."""
    if received.status != 200:  # noqa: PLR2004 - OK, RFC 9110
        refuse(f"it answered {describe_status(received.status)}")
    media = received.headers.get("content-type", "").partition(";")[0].strip().lower()
    if media != _ASKED["Accept"]:
        refuse(f"not a time stamp, but {media or 'of no stated kind'}")
    if len(received.raw) > MOST_BYTES:
        refuse(f"the body is longer than {MOST_BYTES:,} bytes")
