"""Secrets never reach the disk: known values are masked in decoded data before a line is written, and in every log.

Where nobody is to be named (`privacy: pseudonymous`), e-mail addresses become pseudonyms in the same places. A masked
value can no longer be read; a pseudonym can, for it is the same wherever the address stood.
"""

from __future__ import annotations

import json
import re
import sys
import textwrap
import threading
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from typing import Any, NamedTuple

from auditor.answers import pointer_join
from auditor.model import JSON
from auditor.pseudonyms import Pseudonyms, bytes_hold_address
from auditor.spellings import DEPTH, Span, encoded_octets, octets_of, readings, text_of, unescaped, wholes

MASK = "[redacted]"
LONGEST_MESSAGE = 1000
"""Characters that are kept of what a system said instead of an answer."""
SUBSTRING_MINIMUM = 8
"""A secret shorter than this is masked only where it is the whole value: as a substring it would hit by chance."""
NOTHING = re.compile("(?!)")
"""A pattern that matches nowhere."""
LONGEST_WHOLE = 256
"""Characters of a value that is looked at as a whole: of a short secret, each in many characters."""
_UNDONE = (unescaped, lambda octets: octets.replace("''", "'"), lambda octets: octets.replace('""', '"'))
"""What may become of a secret's own characters where others are undone: SQL doubles one mark, CSV the other, and the
reading halves both."""


def in_octets(text: str) -> Iterator[str]:
    """Yield the octets of a text in each usual encoding.

    Bytes that were no text when Python read the environment are among them as they were. Python writes what Latin-1 has
    as one octet, and PowerShell encodes UTF-16.
    """
    yield octets_of(text)
    yield "".join(char if char <= "\xff" else octets_of(char) for char in text)
    for encoding in ("utf-16-le", "utf-16-be"):
        yield text.encode(encoding, "surrogatepass").decode("latin-1")
    with suppress(UnicodeEncodeError):
        yield text.encode("utf-8", "surrogateescape").decode("latin-1")


def parts_of(secret: str) -> Iterator[str]:
    """Yield the octets that a secret is known by within others.

    Names of hosts and media types are in small letters, a message is put on one line, a form has `+` instead of blanks,
    and a file of several lines is quoted line by line. What looks like an escape or a doubled mark is one, where others
    are undone.
    """
    lines = (line for line in secret.splitlines() if "-----" not in line)
    for text in (secret, " ".join(secret.split()), *lines):
        if len(text) < SUBSTRING_MINIMUM:
            continue
        for written in (text, text.replace(" ", "+"), text.lower()):
            yield from in_octets(written)
            for undo in _UNDONE:
                octets = octets_of(written)
                for _ in range(DEPTH):
                    octets = undo(octets)
                    if len(octets) >= SUBSTRING_MINIMUM:
                        yield octets


class Kept(NamedTuple):
    """Data as they may be kept, and the pointers of what was masked, and of what holds pseudonyms instead of addresses.

    Where a name was changed, it is the pointer of the object.
    """

    body: JSON
    redacted: tuple[str, ...]
    pseudonymised: tuple[str, ...]


class _Known(NamedTuple):
    """What is masked: octets that are the whole of a value, and stretches of octets by how they start.

    Tokens of one issuer all start alike, so that the pattern of starts stays small however many there are; one pattern
    of all their octets would be compiled again, longer, for each.
    """

    wholes: frozenset[str]
    parts: Mapping[str, tuple[str, ...]]
    starts: re.Pattern[str]
    shortest: int

    def learn(self, secret: str) -> _Known:
        """Return what is masked once this secret is known."""
        if len(secret) < SUBSTRING_MINIMUM:
            octets = {*in_octets(secret), *in_octets(secret.replace(" ", "+"))}
            return self._replace(wholes=self.wholes | octets)
        octets = set(parts_of(secret))
        parts = dict(self.parts)
        for part in octets:
            start = part[:SUBSTRING_MINIMUM]
            parts[start] = tuple(sorted({*parts.get(start, ()), part}, key=lambda one: (-len(one), one)))
        more = parts.keys() > self.parts.keys()
        starts = re.compile("|".join(map(re.escape, sorted(parts)))) if more else self.starts
        return self._replace(parts=parts, starts=starts, shortest=min(self.shortest, *map(len, octets)))

    def is_whole(self, octets: str) -> bool:
        """Whether these octets are, as a whole, a secret that is too short to be looked for within others."""
        return bool(self.wholes) and len(octets) <= LONGEST_WHOLE and not self.wholes.isdisjoint(wholes(octets))

    def places(self, octets: str, texts: Iterable[Span], depth: int = DEPTH) -> list[Span]:
        """Return where secrets are, in whichever way they are written; in no order, and they may overlap.

        `texts`: which of the octets are text, so that they may be spelled.
        """
        if len(octets) < self.shortest:
            return []
        found = list(self._as_they_stand(octets))
        for begin, end in texts if depth else ():
            for reading in readings(octets[begin:end], self.shortest):
                inner = self.places(reading.octets, reading.texts, depth - 1)
                if inner:
                    found += ((begin + start, begin + stop) for start, stop in reading.places(inner))
        return found

    def _as_they_stand(self, octets: str) -> Iterator[Span]:
        found = self.starts.search(octets)
        while found is not None:
            at = found.start()
            part = next((part for part in self.parts[found.group()] if octets.startswith(part, at)), "")
            if part:
                yield at, at + len(part)
            found = self.starts.search(octets, at + 1)  # one secret may begin within another


class Redactor:
    """Masks every secret it has been told of, in every encoding it may arrive in. Safe to share between threads."""

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        self._lock = threading.Lock()
        self._known = _Known(frozenset(), {}, NOTHING, sys.maxsize)
        self._pseudonyms: Pseudonyms | None = None
        for secret in secrets:
            self.conceal(secret)

    def conceal(self, secret: str) -> None:
        """Mask this value from now on."""
        if secret:
            with self._lock:
                self._known = self._known.learn(secret)

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
        known, octets = self._known, octets_of(value)
        if known.is_whole(octets):
            return MASK
        pieces, end = [], 0
        for start, stop in sorted(known.places(octets, [(0, len(octets))])):
            if start >= end:
                pieces += [text_of(octets[end : _boundary(octets, start, -1)]), MASK]
            end = max(end, _boundary(octets, stop, 1))
        return "".join([*pieces, text_of(octets[end:])]) if pieces else value

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
            items = [self._scrub(item, f"{pointer}/{index}", changes) for index, item in enumerate(value)]
            return self._octets(items, pointer, changes)
        if not isinstance(value, str | int | float) or isinstance(value, bool):
            return value
        text = value if isinstance(value, str) else json.dumps(value)  # a secret of digits may come as a number
        kept = self._note(text, pointer, changes)
        return value if kept == text else kept

    def _octets(self, items: list[JSON], pointer: str, changes: _Changes) -> JSON:
        """Return a list as it may be kept: numbers may be the octets of a secret, each of which tells nothing alone."""
        if not items or not all(isinstance(item, int) for item in items):
            return items
        text = json.dumps(items)
        return items if self._note(text, pointer, changes) == text else MASK

    def _note(self, text: str, pointer: str, changes: _Changes) -> str:
        """Return a text as it may be kept, and note how it was changed.

        Bytes in base64 or hexadecimal cannot be changed in part, and still be what they were: they are masked whole.
        """
        masked = self._mask(text)
        if masked == text and self._pseudonyms is not None:
            raw = encoded_octets(text)
            masked = MASK if raw is not None and bytes_hold_address(raw) else text
        if masked != text:
            changes.redacted.append(pointer)
        if self._pseudonyms is None:
            return masked
        named = self._pseudonyms.text(masked)
        if named != masked:
            changes.pseudonymised.append(pointer)
        return named

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


def _boundary(octets: str, position: int, step: int) -> int:
    """Return the position, or the next in this direction, that is within no character (UTF-8)."""
    while "\x80" <= octets[position : position + 1] <= "\xbf":
        position += step
    return position
