"""The compact form of signed and encrypted tokens (RFC 7515 and 7516 section 7.1), taken apart strictly.

No base64 with padding, foreign characters or set bits that decode to nothing; no header that is not a JSON object with
each member once. What a lenient reader would mend is not what the service's own reader may have seen.
"""

from __future__ import annotations

import base64
import binascii
import re
from dataclasses import dataclass
from typing import Any, Literal

from auditor.model import JSON
from auditor.questions import SourceFailure
from auditor.sources.http import parse_json

MOST_CHARACTERS = 64 * 1024
_SEGMENT = re.compile(r"[A-Za-z0-9_-]*")
_KINDS: dict[int, Literal["jws", "jwe"]] = {3: "jws", 5: "jwe"}


@dataclass(frozen=True, repr=False)
class Compact:
    """A token taken apart: its segments as they stand, and the header they begin with. It is a secret."""

    segments: tuple[str, ...]
    format: Literal["jws", "jwe"]
    header: dict[str, Any]

    @property
    def signed(self) -> bytes:
        """What a signature is over (RFC 7515 section 5.1)."""
        return ".".join(self.segments[:2]).encode()

    @property
    def algorithm(self) -> str:
        """How it is protected, in a word: `RS256`, `none`; `dir/A256GCM` where it is encrypted."""
        name = str(self.header["alg"])
        return name if self.format == "jws" else f"{name}/{self.header['enc']}"


def take_apart(text: str) -> Compact:
    """Take a token apart; `SourceFailure` where it is none. No message quotes it."""
    segments = tuple(text.split("."))
    if len(text) > MOST_CHARACTERS or len(segments) not in _KINDS:
        raise unreadable("neither a signed token (three parts) nor an encrypted one (five)")
    header = read_object(decode(segments[0]), "header")
    names = ("alg",) if _KINDS[len(segments)] == "jws" else ("alg", "enc")
    if not all(isinstance(header.get(name), str) and header[name] for name in names):
        raise unreadable(f"the token's header names no {' and '.join(names)}")
    if len(names) == 1 and "/" in header["alg"]:  # would read as an encrypted one's (`algorithm`), to whoever trusts it
        raise unreadable("the token's header names no algorithm of a signed token")
    if "crit" in header:  # "if any … are not understood … the JWS is invalid" (RFC 7515 section 4.1.11)
        raise unreadable("the token's header demands an extension (crit) that is not known here")
    return Compact(segments, _KINDS[len(segments)], header)


def read_object(raw: bytes, what: str) -> dict[str, JSON]:
    """Return a JSON object; `SourceFailure` where it is none, or has a member twice."""
    try:
        found: dict[str, JSON] = parse_json(raw, dict[str, Any])
    except SourceFailure as failure:
        raise unreadable(f"the token's {what} cannot be read: {failure.message}") from None
    return found


def decode(segment: str) -> bytes:
    """Decode base64url without padding (RFC 7515 appendix C); one text only for the same bytes."""
    try:
        if _SEGMENT.fullmatch(segment):
            raw = base64.urlsafe_b64decode(segment + "=" * (-len(segment) % 4))
            if encode(raw) == segment:
                return raw
    except binascii.Error:
        pass
    raise unreadable("a part of the token is not base64url")


def encode(raw: bytes) -> str:
    """Encode as base64url without padding."""
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def unreadable(message: str) -> SourceFailure:
    """Say why a token cannot be read."""
    return SourceFailure("unreadable", message)
