"""Secrets never reach the disk: known values are masked in decoded data before a line is written, and in every log.

Where nobody is to be named (`privacy: pseudonymous`), e-mail addresses become pseudonyms in the same places. A masked
value can no longer be read; a pseudonym can, for it is the same wherever the address stood.
"""

from __future__ import annotations

import base64
import binascii
import html
import json
import re
import textwrap
import threading
import urllib.parse
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple

from auditor.answers import pointer_join
from auditor.model import JSON
from auditor.pseudonyms import Pseudonyms, bytes_hold_address

MASK = "[redacted]"
SHORTEST_ENCODED = 16
"""Characters of base64 or hexadecimal that are looked into."""
_BASE64 = re.compile(r"[A-Za-z0-9+/_-]+={0,2}")
_HEXADECIMAL = re.compile(r"(?:[0-9A-Fa-f]{2})+")
LONGEST_MESSAGE = 1000
"""Characters that are kept of what a system said instead of an answer."""
SUBSTRING_MINIMUM = 8
"""A secret shorter than this is masked only where it is the whole value: as a substring it would hit by chance."""


def percent_forms(secret: str) -> Iterator[str]:
    """Yield the secret as it stands in URLs and forms (RFC 3986 section 2.1), every usual choice of safe characters."""
    raw = _octets(secret)
    for safe in ("", "/", "-_.!~*'()", "@:/", ";,/?:@&=+$-_.!~*'()#"):
        quoted = urllib.parse.quote(raw, safe=safe)
        for spaced in (quoted, quoted.replace("%20", "+")):
            yield spaced
            yield re.sub(r"%[0-9A-F]{2}", lambda match: match.group().lower(), spaced)
    for octet in ("%{:02X}", "%{:02x}"):
        yield "".join(map(octet.format, raw))


def base64_forms(secret: str) -> Iterator[str]:
    """Yield the part of the secret's base64 (RFC 4648) that is the same whatever stands before and after it.

    Three alignments are possible within a longer encoded text, as in HTTP Basic's `user:password`; the characters at
    either end mix with the neighbours and are cut off.
    """
    raw = _octets(secret)
    for offset in range(3):
        encoded = base64.b64encode(b"\0" * offset + raw).decode()
        first = (8 * offset + 5) // 6
        last = 8 * (offset + len(raw)) // 6
        core = encoded[first:last]
        yield core
        yield core.replace("+", "-").replace("/", "_")


def text_forms(secret: str) -> Iterator[str]:
    """Yield the secret as serialisers write it: JSON, XML, Python's repr, and names in certificates (RFC 4514)."""
    for ascii_only in (True, False):
        escaped = json.dumps(secret, ensure_ascii=ascii_only)[1:-1]
        yield escaped
        yield escaped.replace("/", "\\/")
    for quote in (True, False):
        yield html.escape(secret, quote=quote)
    yield html.escape(secret).replace("&#x27;", "&apos;")
    for special in (r'([,+"\\<>;])', r'([,+"\\<>;=])'):
        yield re.sub(special, r"\\\1", secret)
    yield repr(secret)[1:-1]
    yield ascii(secret)[1:-1]
    yield repr(_octets(secret))[2:-1]


def encoded_octets(text: str) -> bytes | None:
    """Return the bytes that a text is the base64 or hexadecimal form of, as a whole; None where it is of none.

    What is short is no more than any word.
    """
    if len(text) < SHORTEST_ENCODED or not _BASE64.fullmatch(text):  # whose alphabet holds that of hexadecimal
        return None
    if _HEXADECIMAL.fullmatch(text):
        return bytes.fromhex(text)
    try:
        return base64.b64decode(text.replace("-", "+").replace("_", "/") + "==")  # too much padding is no matter
    except binascii.Error:
        return None


def _octets(secret: str) -> bytes:
    """Return the bytes of a secret; those that were no text when Python read the environment come back as they were."""
    return secret.encode("utf-8", "surrogateescape")


class Kept(NamedTuple):
    """Data as they may be kept, and the pointers of what was masked, and of what holds pseudonyms instead of addresses.

    Where a name was changed, it is the pointer of the object.
    """

    body: JSON
    redacted: tuple[str, ...]
    pseudonymised: tuple[str, ...]


class Redactor:
    """Masks every secret it has been told of, in every encoding it may arrive in. Safe to share between threads."""

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        self._lock = threading.Lock()
        self._whole: frozenset[str] = frozenset()
        self._parts: dict[str, tuple[str, ...]] = {}
        self._starts: re.Pattern[str] | None = None
        self._pseudonyms: Pseudonyms | None = None
        for secret in secrets:
            self.conceal(secret)

    def conceal(self, secret: str) -> None:
        """Mask this value from now on."""
        if not secret:
            return
        raw = _octets(secret)
        encoded = (base64.b64encode(raw).decode(), base64.urlsafe_b64encode(raw).decode())
        whole = {secret, *percent_forms(secret), raw.hex(), raw.hex().upper()}
        whole |= {*encoded, *(form.rstrip("=") for form in encoded)}
        parts: set[str] = set()
        if len(secret) >= SUBSTRING_MINIMUM:
            parts = whole | set(base64_forms(secret)) | set(text_forms(secret))
            parts |= {line for line in secret.splitlines() if "-----" not in line}
            parts.add(" ".join(secret.split()))  # as where a message is put on one line
            parts |= {part.lower() for part in parts}  # as where names of hosts and media types are
            parts = {part for part in parts if len(part) >= SUBSTRING_MINIMUM}
        with self._lock:
            self._whole |= whole
            self._learn(parts)

    def _learn(self, parts: Iterable[str]) -> None:
        """Take in what is masked as a substring, by how it starts.

        Tokens of one issuer all start alike, so that the pattern of starts stays small however many there are; one
        pattern of all their texts would be compiled again, longer, for each.
        """
        known = dict(self._parts)
        for part in parts:
            start = part[:SUBSTRING_MINIMUM]
            known[start] = tuple(sorted({*known.get(start, ()), part}, key=lambda one: (-len(one), one)))
        more = known.keys() > self._parts.keys()
        self._parts = known
        if more:
            self._starts = re.compile("|".join(map(re.escape, sorted(known))))

    def pseudonymise(self, pseudonyms: Pseudonyms) -> None:
        """Keep no e-mail address from now on, but its pseudonym."""
        self._pseudonyms = pseudonyms

    def reveal(self, params: Mapping[str, Any]) -> Mapping[str, Any]:
        """Return the parameters of a question as the system knows them; `SourceFailure` where nobody can tell."""
        if self._pseudonyms is None:
            return params
        return {name: self._pseudonyms.reveal(value) for name, value in params.items()}

    def text(self, value: str) -> str:
        """Return the text with every known secret masked, and no address where there are pseudonyms."""
        masked = self._mask(value)
        return masked if self._pseudonyms is None else self._pseudonyms.text(masked)

    def message(self, value: str) -> str:
        """Return what a system said as it may be kept; cut only now, lest a secret be cut and its rest not known."""
        return textwrap.shorten(self.text(value)[: 10 * LONGEST_MESSAGE], LONGEST_MESSAGE, placeholder=" …")

    def _mask(self, value: str) -> str:
        if value in self._whole:
            return MASK
        starts, parts = self._starts, self._parts
        if starts is None:
            return value
        found = starts.search(value)
        pieces, end = [], 0
        while found is not None:
            at = found.start()
            part = next((part for part in parts[found.group()] if value.startswith(part, at)), "")
            if part:
                pieces += [value[end:at], MASK]
                end = at + len(part)
            found = starts.search(value, end if part else at + 1)
        return "".join([*pieces, value[end:]])

    def scrub(self, body: JSON) -> tuple[JSON, tuple[str, ...]]:
        """Return the body as it may be kept, and the pointers of the values that were masked."""
        return self.keep(body)[:2]

    def keep(self, body: JSON) -> Kept:
        """Return the body as it may be kept, and what was changed in it."""
        changes = _Changes([], [], {})
        return Kept(self._scrub(body, "", changes), tuple(changes.redacted), tuple(changes.pseudonymised))

    def _scrub(self, value: JSON, pointer: str, changes: _Changes) -> JSON:
        if isinstance(value, Mapping):
            return self._scrub_members(value, pointer, changes)
        if isinstance(value, list | tuple):
            return [self._scrub(item, f"{pointer}/{index}", changes) for index, item in enumerate(value)]
        if not isinstance(value, str | int | float) or isinstance(value, bool):
            return value
        text = value if isinstance(value, str) else json.dumps(value)  # a secret of digits may come as a number
        kept = self._note(text, pointer, changes)
        return value if kept == text else kept

    def _note(self, text: str, pointer: str, changes: _Changes) -> str:
        """Return a text as it may be kept, and note how it was changed.

        Bytes in base64 or hexadecimal cannot be changed in part, and still be what they were: they are masked whole.
        """
        raw = encoded_octets(text)
        masked = MASK if raw is not None and self._is_to_be_hidden(raw) else self._mask(text)
        if masked != text:
            changes.redacted.append(pointer)
        if self._pseudonyms is None:
            return masked
        named = self._pseudonyms.text(masked)
        if named != masked:
            changes.pseudonymised.append(pointer)
        return named

    def _is_to_be_hidden(self, raw: bytes) -> bool:
        within = raw.decode("utf-8", "surrogateescape")
        return self._mask(within) != within or (self._pseudonyms is not None and bytes_hold_address(raw))

    def _scrub_members(self, members: Mapping[str, Any], pointer: str, changes: _Changes) -> dict[str, JSON]:
        """Change names as well; two that become the same are told apart, for nothing may be lost."""
        names = {name: changes.names.get(name) or self._name(name, changes) for name in members}
        if any(one.redacted for one in names.values()):
            changes.redacted.append(pointer)
        if any(one.pseudonymised for one in names.values()):
            changes.pseudonymised.append(pointer)
        result: dict[str, JSON] = {}
        for name, value in members.items():
            one = names[name]
            kept, token, count = one.kept, one.token, 1
            while kept in result or (kept != name and kept in members):
                count += 1
                kept = f"{one.kept} ({count})"
                token = pointer_join("", kept)
            result[kept] = self._scrub(value, pointer + token, changes)
        return result

    def _name(self, name: str, changes: _Changes) -> _Name:
        """Look at a name once, however many objects of a body have it."""
        of_name = _Changes([], [], {})
        kept = self._note(name, "", of_name)
        one = _Name(kept, pointer_join("", kept), bool(of_name.redacted), bool(of_name.pseudonymised))
        changes.names[name] = one
        return one


class _Name(NamedTuple):
    """A member's name as it is kept, the same as part of a pointer, and how it was changed."""

    kept: str
    token: str
    redacted: bool
    pseudonymised: bool


class _Changes(NamedTuple):
    """What was changed in a body so far, and the names that were looked at."""

    redacted: list[str]
    pseudonymised: list[str]
    names: dict[str, _Name]
