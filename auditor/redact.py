"""Secrets never reach the disk: known values are masked in decoded data before a line is written, and in every log."""

from __future__ import annotations

import base64
import json
import re
import threading
import urllib.parse
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from auditor.answers import pointer_join
from auditor.model import JSON

MASK = "[redacted]"
SUBSTRING_MINIMUM = 8
"""A secret shorter than this is masked only where it is the whole value: as a substring it would hit by chance."""


def percent_forms(secret: str) -> Iterator[str]:
    """Yield the secret as it stands in URLs and forms (RFC 3986 section 2.1), every usual choice of safe characters."""
    for safe in ("", "/", "-_.!~*'()", "@:/"):
        quoted = urllib.parse.quote(secret, safe=safe)
        yield from (quoted, re.sub(r"%[0-9A-F]{2}", lambda match: match.group().lower(), quoted))
    yield urllib.parse.quote_plus(secret)
    yield "".join(f"%{octet:02X}" for octet in secret.encode())


def base64_forms(secret: str) -> Iterator[str]:
    """Yield the part of the secret's base64 (RFC 4648) that is the same whatever stands before and after it.

    Three alignments are possible within a longer encoded text, as in HTTP Basic's `user:password`; the characters at
    either end mix with the neighbours and are cut off.
    """
    raw = secret.encode()
    for offset in range(3):
        encoded = base64.b64encode(b"\0" * offset + raw).decode().rstrip("=")
        first = (8 * offset + 5) // 6
        last = 8 * (offset + len(raw)) // 6
        core = encoded[first:last]
        yield core
        yield core.replace("+", "-").replace("/", "_")


def text_forms(secret: str) -> Iterator[str]:
    """Yield the secret as serialisers write it: JSON with and without escapes, and Python's repr."""
    for ascii_only in (True, False):
        yield json.dumps(secret, ensure_ascii=ascii_only)[1:-1]
    yield repr(secret)[1:-1]
    yield ascii(secret)[1:-1]
    yield repr(secret.encode())[2:-1]


class Redactor:
    """Masks every secret it has been told of, in every encoding it may arrive in. Safe to share between threads."""

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        self._lock = threading.Lock()
        self._whole: frozenset[str] = frozenset()
        self._parts: frozenset[str] = frozenset()
        self._pattern: re.Pattern[str] | None = None
        for secret in secrets:
            self.conceal(secret)

    def conceal(self, secret: str) -> None:
        """Mask this value from now on."""
        if not secret:
            return
        raw = secret.encode()
        whole = {secret, *percent_forms(secret), raw.hex(), raw.hex().upper()}
        whole |= {base64.b64encode(raw).decode(), base64.urlsafe_b64encode(raw).decode()}
        whole |= {form.rstrip("=") for form in whole}
        parts: set[str] = set()
        if len(secret) >= SUBSTRING_MINIMUM:
            parts = whole | set(base64_forms(secret)) | set(text_forms(secret))
            parts |= {line for line in secret.splitlines() if len(line) >= SUBSTRING_MINIMUM and "-----" not in line}
            parts = {part for part in parts if len(part) >= SUBSTRING_MINIMUM}
        with self._lock:
            self._whole |= whole
            self._parts |= parts
            if self._parts:
                longest_first = sorted(self._parts, key=lambda part: (-len(part), part))
                self._pattern = re.compile("|".join(map(re.escape, longest_first)))

    def text(self, value: str) -> str:
        """Return the text with every known secret masked."""
        if value in self._whole:
            return MASK
        return self._pattern.sub(MASK, value) if self._pattern else value

    def scrub(self, body: JSON) -> tuple[JSON, tuple[str, ...]]:
        """Return the body with every known secret masked, and the pointers of the values that were changed."""
        changed: list[str] = []
        return self._scrub(body, "", changed), tuple(changed)

    def _scrub(self, value: JSON, pointer: str, changed: list[str]) -> JSON:
        if isinstance(value, str):
            masked = self.text(value)
            if masked != value:
                changed.append(pointer)
            return masked
        if isinstance(value, Mapping):
            return self._scrub_members(value, pointer, changed)
        if isinstance(value, list | tuple):
            return [self._scrub(item, pointer_join(pointer, index), changed) for index, item in enumerate(value)]
        return value

    def _scrub_members(self, members: Mapping[str, Any], pointer: str, changed: list[str]) -> dict[str, JSON]:
        result: dict[str, JSON] = {}
        for name, value in members.items():
            masked = self.text(name)
            if masked != name:
                changed.append(pointer)
            result[masked] = self._scrub(value, pointer_join(pointer, masked), changed)
        return result
