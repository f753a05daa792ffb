"""How a text may be spelled, and how to undo it: escapes, quoted-printable, base64 and hexadecimal.

All of it is done on octets, which are held as text of the characters U+0000 to U+00FF, one for each: percent encoding
and base64 write octets, not characters, and patterns read text fastest. Whatever is undone can be told by its place in
the text that it was written in.
"""

from __future__ import annotations

import base64
import binascii
import functools
import html
import re
from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple

Span = tuple[int, int]

DEPTH = 4
"""Spellings within each other that are undone: base64 of percent encoding, say, in a JSON text in a JSON text."""
LONGEST_LINE = 48
"""Characters that a line of base64 or hexadecimal has at least, where it is broken into lines (60 to 76, mostly)."""

_HEX = "[0-9A-Fa-f]"
_ESCAPE = re.compile(
    rf"(?:%|\\[xX])(?P<octet>{_HEX}{{2}})|\\(?P<octal>[0-3][0-7]{{2}})"
    rf"|[\\%]u(?P<high>[dD][89abAB]{_HEX}{{2}})[\\%]u(?P<low>[dD][c-fC-F]{_HEX}{{2}})"
    rf"|\\U(?P<long>00(?:0{_HEX}|10){_HEX}{{4}})|[\\%][uU](?P<short>{_HEX}{{4}})|\\u\{{(?P<braced>0?{_HEX}{{1,5}})\}}"
    rf"|(?P<entity>&(?:#[0-9]{{1,7}}|#[xX]{_HEX}{{1,6}}|[A-Za-z][A-Za-z0-9]{{1,31}});)"
    r"|\\(?P<control>[bfnrt])|\\(?P<itself>[ \"'\\/,+<>;=#])"
)
"""One octet or character as written in URLs (RFC 3986 section 2.1), JSON (RFC 8259 section 7), JavaScript, Python, C,
HTML, and names in certificates (RFC 4514 section 2.4)."""
_CONTROL = {"b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t"}
_QUOTED_PRINTABLE = re.compile(r"=(?:(?P<octet>[0-9A-Fa-f]{2})|[ \t]*\r?\n)")
"""One octet, or a line break that is none (RFC 2045 section 6.7)."""
_BETWEEN = " \t\r\n"
_STANDARD = bytes.maketrans(b"-_", b"+/")
_DIGITS = "[A-Za-z0-9+/_-]"
_LINES = re.compile(rf"[^{_BETWEEN}]+")
_PAIRS = re.compile(rf"{_HEX}+")
_SHORT_BASE64 = re.compile(rf"({_DIGITS}+)={{0,2}}\s*")
_SHORT_HEXADECIMAL = re.compile(rf"(?:{_HEX}{{2}}[ :-]?)*{_HEX}{{2}}\s*")


class Reading(NamedTuple):
    """One way to read a text: as these octets, and where in the text stretches of them are written."""

    octets: str
    places: Callable[[Iterable[Span]], Iterator[Span]]


def octets_of(text: str) -> str:
    """Return the octets of a text in UTF-8; half a surrogate pair, which JSON may hold, has some as well."""
    return text if text.isascii() else text.encode("utf-8", "surrogatepass").decode("latin-1")


def text_of(octets: str) -> str:
    """Return the text that `octets_of` made octets of."""
    return octets if octets.isascii() else octets.encode("latin-1").decode("utf-8", "surrogatepass")


def unescaped(octets: str) -> str:
    """Return the octets without escapes; those that turn up only now stay."""
    return _ESCAPE.sub(_said, octets)


def readings(octets: str, shortest: int) -> Iterator[Reading]:
    """Yield the ways to read a text otherwise than it stands, by undoing one spelling.

    Nothing that holds fewer than `shortest` octets is decoded.
    """
    patterns = _patterns(shortest)
    if not patterns.any.search(octets):
        return
    for pattern, said in ((_ESCAPE, _said), (_QUOTED_PRINTABLE, _quoted)):
        read = pattern.sub(said, octets)
        if read != octets:
            yield Reading(read, functools.partial(_units, octets, pattern, said))
    for run in patterns.base64.finditer(octets):
        digits = run[0].encode("latin-1").translate(_STANDARD, f"{_BETWEEN}=".encode())
        for skipped in range(4):  # what stands before may belong to something else
            places = functools.partial(_groups, octets, run.span(), _LINES, (skipped, 6))
            yield Reading(_decoded(digits[skipped:]), places)
    for run in patterns.hexadecimal.finditer(octets):
        pairs = "".join(_PAIRS.findall(run[0]))
        for skipped in range(2):
            places = functools.partial(_groups, octets, run.span(), _PAIRS, (skipped, 4))
            whole = pairs[skipped : len(pairs) - (len(pairs) - skipped) % 2]
            yield Reading(bytes.fromhex(whole).decode("latin-1"), places)


def wholes(octets: str, depth: int = DEPTH) -> Iterator[str]:
    """Yield what a short text may stand for as a whole, itself among it."""
    yield octets
    if depth == 0:
        return
    for read in {unescaped(octets), _QUOTED_PRINTABLE.sub(_quoted, octets)} - {octets}:
        yield from wholes(read, depth - 1)
    encoded = _SHORT_BASE64.fullmatch(octets)
    if encoded:
        digits = encoded[1].encode().translate(_STANDARD)
        raw = _decoded(digits)
        if base64.b64encode(raw.encode("latin-1")).rstrip(b"=") == digits:  # not for bits that are left over
            yield from wholes(raw, depth - 1)
    if _SHORT_HEXADECIMAL.fullmatch(octets):
        yield from wholes(bytes.fromhex("".join(_PAIRS.findall(octets))).decode("latin-1"), depth - 1)


class _Patterns(NamedTuple):
    """What may be read otherwise, and where base64 and hexadecimal of some length stand, on several lines perhaps."""

    any: re.Pattern[str]
    base64: re.Pattern[str]
    hexadecimal: re.Pattern[str]


@functools.cache
def _patterns(shortest: int) -> _Patterns:
    digits = min(-(-8 * shortest // 6), LONGEST_LINE)
    pairs = min(shortest, LONGEST_LINE // 2)
    apart = rf"{_HEX}{{2,4}}(?:[{_BETWEEN}:-]{{1,2}}{_HEX}{{2,4}}){{{pairs // 2 - 1},}}+"
    return _Patterns(
        re.compile(rf"[%\\&]|=(?:{_HEX}{{2}}|[{_BETWEEN}])|{_DIGITS}{{{digits}}}|{apart}"),
        re.compile(rf"{_DIGITS}{{{digits},}}+(?:[{_BETWEEN}]++{_DIGITS}++)*+={{0,2}}"),
        re.compile(rf"{_HEX}{{{2 * pairs},}}+(?:[{_BETWEEN}]++{_HEX}++)*+|{apart}"),
    )


def _decoded(digits: bytes) -> str:
    """Return the octets of base64; bits that make no octet are left out, as is one digit too much."""
    whole = digits[: len(digits) - (len(digits) % 4 == 1)]
    return binascii.a2b_base64(whole + b"==").decode("latin-1")


def _said(unit: re.Match[str]) -> str:
    """Return the octets that an escape stands for."""
    kind, digits = unit.lastgroup or "", unit[unit.lastgroup or 0]
    if kind in ("control", "itself"):
        return _CONTROL.get(digits, digits)
    if kind in ("octet", "octal"):
        return chr(int(digits, 8 if kind == "octal" else 16))
    if kind == "entity":
        return octets_of(html.unescape(digits))
    if kind == "low":
        return octets_of(bytes.fromhex(unit["high"] + digits).decode("utf-16-be"))
    return octets_of(chr(int(digits, 16)))


def _quoted(unit: re.Match[str]) -> str:
    return chr(int(unit["octet"], 16)) if unit["octet"] else ""


def _units(
    octets: str, pattern: re.Pattern[str], said: Callable[[re.Match[str]], str], spans: Iterable[Span]
) -> Iterator[Span]:
    """Yield where stretches of what was undone unit by unit were written: no unit in part.

    Each unit has two marks, where it begins and ends, in what was read and in what was written.
    """
    read, written = array("Q", [0]), array("Q", [0])
    for unit in pattern.finditer(octets):
        begin = read[-1] + unit.start() - written[-1]
        read.extend((begin, begin + len(said(unit))))
        written.extend(unit.span())
    for start, end in spans:
        first, last = bisect_right(read, start) - 1, bisect_left(read, end) - 1
        yield (
            written[first] + (0 if first % 2 else start - read[first]),
            written[last + 1] if last % 2 else written[last] + end - read[last],
        )


def _groups(
    octets: str, run: Span, group: re.Pattern[str], encoding: tuple[int, int], spans: Iterable[Span]
) -> Iterator[Span]:
    """Yield where stretches of what was decoded are written: no line of base64 in part, no word of hexadecimal.

    `encoding`: how many digits were skipped, and how many bits each of the others has.
    """
    skipped, bits = encoding
    begins, ends, before = array("Q"), array("Q"), array("Q")
    count = 0
    for one in group.finditer(octets, *run):
        begins.append(one.start())
        ends.append(one.end())
        before.append(count)
        count += one.end() - one.start()
    for start, end in spans:
        first, last = skipped + 8 * start // bits, skipped + (8 * end - 1) // bits
        yield begins[bisect_right(before, first) - 1], ends[bisect_right(before, last) - 1]
