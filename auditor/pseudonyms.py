"""E-mail addresses become pseudonyms where nobody is to be named: a keyed hash, the same for the same address always.

A pseudonym is `p-<20 hex>@pseudonym.invalid`: the first digits of HMAC-SHA-256 (RFC 2104) over the organization, a line
feed and the address in folded case, so that whoever has the key can tell whose it is, and nobody else can. It is shaped
like an address, and `.invalid` is nobody's (RFC 2606). What counts as an address in running text is decided here, and
why is in .github/decisions/0022; one that is a pseudonym already stays as it is.
"""

from __future__ import annotations

import hashlib
import hmac
import html
import json
import re
import sys
import threading
import urllib.parse
from collections.abc import Iterator, Mapping
from typing import NamedTuple

from auditor.model import JSON
from auditor.questions import SourceFailure

DIGITS = 20
DOMAIN = "pseudonym.invalid"
LEAST_KEY = 16
"""Octets of a key: with fewer, whoever has a report could try keys."""
LONGEST = 1024
"""Characters on either side of an `@` that are looked at; an address has 254 octets (RFC 3696, erratum 1690)."""
PSEUDONYM = re.compile(rf"p-[0-9a-f]{{{DIGITS}}}@{re.escape(DOMAIN)}")

_LETTERS = (
    "\u00aa\u00b5\u00ba\u00c0-\u00d6\u00d8-\u00f6\u00f8-\u167f\u1681-\u1fff\u200c\u200d\u2070-\u218f\u2600-\u2fff\u3040-\ud7ff\ue000-\ufdff"
    "\uff10-\uff19\uff21-\uff3a\uff41-\uff5a\uff66-\uffef\U00010000-\U0010ffff"
)
"""Beyond ASCII, what names are written with (RFC 6531); no spaces, quotation marks, arrows or other punctuation."""
_LOCAL = re.compile(rf"[A-Za-z0-9_.+\-'~#{_LETTERS}]")
_OTHER_DOTS = "\uff0e\u3002\uff61"
"""Dots of a domain as well, where people write Chinese or Japanese (UTS 46)."""
_OTHER_DOT = re.compile(f"[{_OTHER_DOTS}]")
_IN_DOMAIN = re.compile(rf"[A-Za-z0-9\-.:\[\]{_OTHER_DOTS}{_LETTERS}]")
_AT = re.compile(r"[@\uff20\ufe6b]|%(?:25)*40|=40|\\u0040|\\x40|\\40|&(?:#0{0,5}64|#[xX]0{0,4}40|commat);")
_MAY_HOLD = re.compile(r"[@%\\&\uff20\ufe6b]|=40")
_TOP = re.compile(rf"[xX][nN]--[A-Za-z0-9-]+|[A-Za-z]{{2,63}}|[{_LETTERS}]{{2,63}}")
_AFTER_DOMAIN = re.compile(r"[:\[\]]")
_LITERAL = re.compile(r"\[(?:IPv6:)?[0-9A-Fa-f:.]{2,45}\]")
_IMAGE = re.compile(r"[0-9]x\.(?:png|jpe?g|gif|webp|svg)", re.IGNORECASE)
_LOGIN = re.compile(r"[A-Za-z0-9_.~+-]+|[A-Za-z0-9_~+-]+:[A-Za-z0-9_.~+-]+")
"""Before a URL's host, with a password perhaps. With a dot and a colon it may be a host and a port, and with any other
mark the URL may have ended."""
_ANOTHER_AT = re.compile(r"[^/?#\s\"'<>@]*@")
"""Within the authority of a URL (RFC 3986 section 3.2)."""

_HEX = "[0-9A-Fa-f]"
_PAIR = rf"\\u[dD][89abAB]{_HEX}{{2}}\\u[dD][c-fC-F]{_HEX}{{2}}"
_TURNED_PAIR = rf"{_HEX}{{2}}[c-fC-F][dD]u\\{_HEX}{{2}}[89abAB][dD]u\\"
_FORWARD = re.compile(
    rf"(?:%(?:25)*[89A-Fa-f]{_HEX})+|%(?:25)*[0-7]{_HEX}|{_PAIR}|\\U{_HEX}{{8}}|\\u{_HEX}{{4}}|\\x{_HEX}{{2}}|\\[+'.~-]"
    rf"|&(?:#[0-9]{{1,7}}|#[xX]{_HEX}{{1,6}}|[A-Za-z][A-Za-z0-9]{{1,31}});|[^%\\&]"
)
"""One character, in whichever way it is written: as itself, percent-encoded (twice, perhaps), or escaped as in JSON,
Python, LDAP and HTML."""
_BACKWARD = re.compile(
    rf"(?:{_HEX}[89A-Fa-f](?:52)*%)+|{_HEX}[0-7](?:52)*%|{_TURNED_PAIR}|{_HEX}{{8}}U\\|{_HEX}{{4}}u\\|{_HEX}{{2}}x\\|[+'.~-]\\"
    rf"|;(?:[0-9]{{1,7}}#|{_HEX}{{1,6}}[xX]#|[A-Za-z0-9]{{1,31}}[A-Za-z])&|(?![bfnrt]\\)[^%\\;]"
)
"""The same in text that is turned round; a letter that ends an escape (`\\n`) is no letter of a name."""
_PLAIN_LOCAL = re.compile(rf"[A-Za-z0-9_.+\-'~#{_LETTERS}]*")
_PLAIN_DOMAIN = re.compile(rf"[A-Za-z0-9\-.{_OTHER_DOTS}{_LETTERS}]*")
_QUOTES = ("\\u0022", "&quot;", "&#34;", "&#x22;", "%22", '\\"', '"')
_NO_BEGINNING = ".'#"
"""What no name begins with: a quotation mark, the end of a sentence, and what begins a fragment or a number. Within, a
`#` is how Entra ID names guests: `jane_example.com#EXT#@tenant.onmicrosoft.com`."""
_BYTES = re.compile(rb"[A-Za-z0-9_.+-]{2,64}@[A-Za-z0-9-]{2,63}(?:\.[A-Za-z0-9-]{1,63})*\.[A-Za-z]{2,24}")


class _Writing(NamedTuple):
    """How characters are written, forwards and backwards, and what begins or ends one that is written as several."""

    forward: re.Pattern[str]
    backward: re.Pattern[str]
    marks: tuple[str, ...]


_USUAL = _Writing(_FORWARD, _BACKWARD, ("%", "\\", "&", ";"))
_QUOTED_PRINTABLE = _Writing(
    re.compile(rf"(?:=[89A-Fa-f]{_HEX})+|=[0-7]{_HEX}|{_FORWARD.pattern}"),
    re.compile(rf"(?:{_HEX}[89A-Fa-f]=)+|{_HEX}[0-7]=|{_BACKWARD.pattern}"),
    (*_USUAL.marks, "="),
)
"""RFC 2045 section 6.7, where the `@` is written so, and only there: in `?email=ada@explo.co` there is no octet AD."""


class _Found(NamedTuple):
    """An address in text: where it begins and ends, how its `@` is written, and what it is."""

    start: int
    end: int
    at: str
    address: str


class Pseudonyms:
    """Makes the pseudonyms of one organization, and remembers whose they are. Safe to share between threads.

    The addresses that were met stay in memory as long as the run: a question about one of them has to name it.
    """

    def __init__(self, key: bytes, organization: str) -> None:
        if len(key) < LEAST_KEY:
            raise ValueError(f"has fewer than {LEAST_KEY} bytes; make one: openssl rand -hex 32")
        self._key = key
        self._organization = organization
        self._lock = threading.Lock()
        self._made: dict[str, str] = {}
        self._spelled: dict[str, str] = {}

    def __repr__(self) -> str:
        return f"Pseudonyms(of {self._organization})"

    def of(self, address: str) -> str:
        """Return the pseudonym of an address."""
        made = self._made.get(address)
        if made is None:
            text = f"{self._organization}\n{address.casefold()}".encode("utf-8", "surrogatepass")
            made = f"p-{hmac.digest(self._key, text, hashlib.sha256).hex()[:DIGITS]}@{DOMAIN}"
            with self._lock:
                self._made[address] = made
                if self._spelled.setdefault(made, address) != address:
                    self._spelled[made] = ""
        return made

    def text(self, text: str) -> str:
        """Return the text with a pseudonym for every address in it."""
        if not _MAY_HOLD.search(text):
            return text
        pieces, end = [], 0
        for found in _addresses(text):
            local, _, domain = self.of(found.address).partition("@")
            pieces += [text[end : found.start], local, found.at, domain]
            end = found.end
        return "".join([*pieces, text[end:]]) if pieces else text

    def reveal(self, value: JSON) -> JSON:
        """Return the parameters of a question with the addresses as the systems spell them.

        `SourceFailure` where this run has met no such address, or several spellings of it: asked by the wrong name, a
        system would say that there is none.
        """
        if isinstance(value, str):
            return PSEUDONYM.sub(lambda match: self._address_of(match[0]), value)
        if isinstance(value, Mapping):
            return {name: self.reveal(member) for name, member in value.items()}
        if isinstance(value, list | tuple):
            return [self.reveal(item) for item in value]
        return value

    def _address_of(self, pseudonym: str) -> str:
        address = self._spelled.get(pseudonym)
        if address is None:
            raise SourceFailure("pseudonym", f"not asked: {pseudonym} is of no address that this run has met")
        if not address:
            raise SourceFailure("pseudonym", f"not asked: the systems spell {pseudonym} in several ways")
        return address


def holds_address(text: str) -> bool:
    """Whether there is an address in the text that is no pseudonym."""
    return any(True for _ in _addresses(text))


def bytes_hold_address(raw: bytes) -> bool:
    """Whether an address is to be read among these bytes: a certificate's, say."""
    return _BYTES.search(raw) is not None


def _addresses(text: str) -> Iterator[_Found]:
    """Yield the addresses in a text that are no pseudonyms; none begins within one before it, or a pseudonym."""
    end = 0
    for at in _AT.finditer(text):
        found = _address(text, at, end) if at.start() >= end else None
        if found is not None:
            end = found.end
            if not PSEUDONYM.fullmatch(found.address):
                yield found


def _address(text: str, at: re.Match[str], since: int) -> _Found | None:
    """Return the address around an `@`, no part of it before `since`; None where it is none."""
    writing = _QUOTED_PRINTABLE if at[0] == "=40" else _USUAL
    end, domain = _domain(text, at.end(), writing)
    if not domain:
        return None
    length, local = _local(text[max(since, at.start() - LONGEST) : at.start()], writing)
    if not local:
        return None
    if at[0] == "@" and (_is_login(text, at.start()) or (local == "git" and _is_path(text, end))):
        return None
    return _Found(at.start() - length, end, at[0], f"{local}@{domain}")


def _is_login(text: str, position: int) -> bool:
    """Whether this is the last `@` of a URL's authority, and nothing but a login stands before it."""
    begin = text.rfind("://", max(0, position - LONGEST), position)
    if begin < 0 or text[max(0, begin - 6) : begin].lower() == "mailto":
        return False
    if not _LOGIN.fullmatch(text, begin + 3, position):
        return False
    return not _ANOTHER_AT.match(text, position + 1, position + LONGEST)


def _is_path(text: str, position: int) -> bool:
    """Whether the path of a repository follows (`git@host:path`), and no text."""
    return text[position : position + 1] == ":" and text[position + 1 : position + 2].strip() != ""


def _local(before: str, writing: _Writing) -> tuple[int, str]:
    """Return how many characters the local part takes at the end of this text, and what it is."""
    for quote in _QUOTES:
        if before.endswith(quote):
            return _in_quotes(before, quote)
    turned = before[::-1]
    plain = _PLAIN_LOCAL.match(turned)
    length = plain.end() if plain else 0
    if turned[length : length + 1] not in writing.marks:
        local = turned[:length][::-1].lstrip(_NO_BEGINNING)
        return len(local), local
    units: list[tuple[str, int]] = []
    length = 0
    while (unit := writing.backward.match(turned, length)) is not None:
        said, end = _said(unit[0][::-1]), unit.end()
        if "\ufffd" in said:  # no octet of a character: `50%ada` is a per cent sign and a name
            said, end = turned[length], length + 1
        if not all(map(_LOCAL.match, said)):
            break
        length = end
        units.append((said, length))
    while units and units[-1][0] in _NO_BEGINNING:
        units.pop()
    return (units[-1][1], "".join(said for said, _ in reversed(units))) if units else (0, "")


def _in_quotes(before: str, quote: str) -> tuple[int, str]:
    """Return length and text of a local part in quotation marks (RFC 5321 section 4.1.2), 0 where it is none."""
    end = len(before) - len(quote)
    start = before.rfind(quote, 0, end)
    while quote == '"' and start > 0 and before[start - 1] == "\\":
        start = before.rfind(quote, 0, start)
    inner = before[start + len(quote) : end]
    if start < 0 or "\n" in inner or not any(map(str.isalnum, inner)):
        return 0, ""
    plain = inner.replace('\\"', '"') if quote == '"' else "".join(_said(unit[0]) for unit in _FORWARD.finditer(inner))
    return len(before) - start, f'"{plain}"'


def _domain(text: str, start: int, writing: _Writing) -> tuple[int, str]:
    """Return where the domain ends that begins here, and what it is; "" where none does."""
    literal = _LITERAL.match(text, start)
    if literal is not None:
        return literal.end(), literal[0]
    plain = _PLAIN_DOMAIN.match(text, start, start + LONGEST)
    end = plain.end() if plain else start
    if text[end : end + 1] not in writing.marks or writing.forward.match(text, end) is None:
        domain = _valid(text[start:end])
        return start + len(domain), domain
    ends, said = [start], ""
    while len(said) < LONGEST and (unit := writing.forward.match(text, ends[-1])) is not None:
        if not all(map(_IN_DOMAIN.match, chars := _said(unit[0]))):
            break
        said += chars
        ends += [unit.end()] * len(chars)
    literal = _LITERAL.match(said)
    domain = literal[0] if literal else _valid(said)
    return ends[len(domain)], domain


def _valid(text: str) -> str:
    """Return the longest beginning of the text that is a domain of mail; "" where none is.

    After one, a dot of another script is the end of a sentence.
    """
    name = _AFTER_DOMAIN.split(text, maxsplit=1)[0]
    return _dotted(_OTHER_DOT.split(name, maxsplit=1)[0]) or _dotted(_OTHER_DOT.sub(".", name))


def _dotted(name: str) -> str:
    labels = name.split(".")
    for number in range(len(labels) - 1, 0, -1):
        before = labels[:number]
        if not all(before):
            continue
        top = _TOP.match(labels[number])
        if top is None or (number > 1 and all(label.isdecimal() for label in before)):
            continue  # a number of a version, 1.4.rc
        domain = ".".join([*before, top[0]])
        return "" if _IMAGE.match(domain) else domain
    return ""


def _said(unit: str) -> str:
    """Return what one unit of text stands for."""
    if len(unit) == 1:
        return unit
    if unit[0] in "%=":
        octets = re.sub("%(?:25)+", "%", unit.replace("=", "%"))
        return urllib.parse.unquote(octets, errors="replace")
    if unit[0] == "&":
        return html.unescape(unit)
    if unit[1] == "u":
        pair_or_one: str = json.loads(f'"{unit}"')
        return pair_or_one
    if unit[1] in "Ux":
        number = int.from_bytes(bytes.fromhex(unit[2:]))
        return chr(number) if number <= sys.maxunicode else "\ufffd"
    return unit[1]
