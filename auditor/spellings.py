"""How a text may be spelled, and how to undo it: escapes, quotation marks, quoted-printable, base64, hexadecimal.

All of it is done on octets, which are held as text of the characters U+0000 to U+00FF, one for each: percent encoding
and base64 write octets, not characters, and patterns read text fastest. Whatever is undone can be told by its place in
the text that it was written in.
"""

from __future__ import annotations

import base64
import binascii
import functools
import html
import math
import re
import sys
from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple

Span = tuple[int, int]

DEPTH = 4
"""Spellings within each other that are undone: base64 of percent encoding, say, in a JSON text in a JSON text."""
SHORTEST_ENCODED = 16
"""Characters of base64 or hexadecimal that are looked into as a whole."""
LONGEST_LINE = 48
"""Characters that a line of base64 or hexadecimal has at least, where it is broken into lines (60 to 76, mostly)."""

_HEX = "[0-9A-Fa-f]"
_ESCAPE = re.compile(
    rf"[%\\&](?:(?:(?<=%)|(?<=\\)[xX])(?P<octet>{_HEX}{{2}})"
    rf"|(?<!&)u(?P<high>[dD][89abAB]{_HEX}{{2}})[\\%]u(?P<low>[dD][c-fC-F]{_HEX}{{2}})"
    rf"|(?<=\\)U(?P<long>00(?:0{_HEX}|10){_HEX}{{4}})|(?<!&)[uU](?P<short>{_HEX}{{4}})"
    rf"|(?<=\\)[ux]\{{(?P<braced>0?{_HEX}{{1,5}})\}}|(?<=\\)(?P<octal>[0-3][0-7]{{2}})"
    r"|(?<=\\)(?P<control>[bfnrt])|(?<=\\)(?P<itself>[ -/:-@\[-`{-~])"
    rf"|(?<=&)(?:#(?P<decimal>[0-9]{{1,7}})|#[xX](?P<number>{_HEX}{{1,6}})|(?P<name>[A-Za-z][A-Za-z0-9]{{1,31}}));)"
)
"""One octet or character as written in URLs (RFC 3986 section 2.1), JSON (RFC 8259 section 7), JavaScript, Python, C,
Perl, bash, HTML, and names in certificates (RFC 4514 section 2.4)."""
_CONTROL = {"b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t"}
_QUOTED_PRINTABLE = re.compile(r"=(?:(?P<octet>[0-9A-Fa-f]{2})|[ \t]*\r?\n)")
"""One octet, or a line break that is none (RFC 2045 section 6.7)."""
_MARKS = re.compile(r"'(?:\\''|\"'\"'|')|\"\"")
"""One quotation mark within others: doubled, as in SQL and CSV, or in a shell, where the marks around it end before."""
_WIDE = re.compile(r"[^\0]\0|\0[^\0]")
"""One character in UTF-16 of those below U+0100, whichever octet comes first."""
_CHARACTER = r"[\t\n\r -~]|[\xc2-\xdf][\x80-\xbf]|[\xe0-\xef][\x80-\xbf]{2}|[\xf0-\xf4][\x80-\xbf]{3}"
"""One in UTF-8 (RFC 3629 section 4): among any octets, many of them in a row are rare."""
_BETWEEN = " \t\r\n"
_STANDARD = str.maketrans("-_", "+/")
_DIGIT = "[A-Za-z0-9+/_-]"
_ENCODED = re.compile(rf"{_DIGIT}+={{0,2}}")
_ITEM = re.compile(rf"(?:0[xX]{_HEX}{{1,2}}|-?[0-9]{{1,3}})(?![0-9A-Za-z])")
"""One octet in a list; Java has signed ones."""
_OCTETS = re.compile(rf"(?:{_HEX}{{2}})+")
_BASE64_WHOLE = re.compile(rf"{_DIGIT}+={{0,2}}[{_BETWEEN}]*")
_LIST_WHOLE = re.compile(rf"[\[({{<{_BETWEEN}]*{_ITEM.pattern}(?:[,{_BETWEEN}]+{_ITEM.pattern})+[\])}}>{_BETWEEN}]*")
_HEXADECIMAL_WHOLE = re.compile(rf"(?:{_HEX}{{2}}[ :,+-]?)*{_HEX}{{2}}[{_BETWEEN}]*")


class Reading(NamedTuple):
    """One way to read a text: as these octets, of which some are text again, and where each stretch is written."""

    octets: str
    texts: Iterable[Span]
    places: Callable[[Iterable[Span]], Iterator[Span]]


class _Encoding(NamedTuple):
    """How octets are written in digits of so many bits, which stand in lines or words that are masked whole."""

    bits: int
    words: re.Pattern[str]
    decode: Callable[[str], bytes]


class _Patterns(NamedTuple):
    """What may be read otherwise; digits and lists of some length, on several lines perhaps; text among bytes.

    `wide` is text in UTF-16, but for an octet before it.
    """

    any: re.Pattern[str]
    base64: re.Pattern[str]
    hexadecimal: re.Pattern[str]
    apart: re.Pattern[str]
    listed: re.Pattern[str]
    text: re.Pattern[str]
    wide: re.Pattern[str]

    def texts(self, octets: str) -> Iterator[Span]:
        """Yield where there is text among octets."""
        for found in self.text.finditer(octets):
            yield found.span()
        for found in self.wide.finditer(octets):
            yield max(0, found.start() - 1), found.end()


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

    Nothing is looked for that has fewer than `shortest` octets.
    """
    patterns = _patterns(shortest)
    if not patterns.any.search(octets):
        return
    for unit, said in ((_ESCAPE, _said), (_QUOTED_PRINTABLE, _quoted), (_MARKS, _mark), (_WIDE, _narrow)):
        read = unit.sub(said, octets)
        if read != octets:
            yield Reading(read, [(0, len(read))], functools.partial(_units, octets, unit, said))
    for encoding, runs in (
        (_BASE64, patterns.base64),
        (_HEXADECIMAL, patterns.hexadecimal),
        (_HEXADECIMAL, patterns.apart),
    ):
        for run in runs.finditer(octets):
            digits = "".join(encoding.words.findall(run[0]))
            for skipped in range(math.lcm(8, encoding.bits) // encoding.bits):  # before it there may be something else
                raw = encoding.decode(digits[skipped:]).decode("latin-1")
                yield Reading(
                    raw, patterns.texts(raw), functools.partial(_words, octets, run.span(), encoding, skipped)
                )
    for run in patterns.listed.finditer(octets):
        raw = _of_list(run[0])
        yield Reading(raw, patterns.texts(raw), functools.partial(_items, octets, run.span()))


def encoded_octets(text: str) -> bytes | None:
    """Return the bytes that a text is the base64 or hexadecimal form of, as a whole; None where it is of none.

    What is short is no more than any word.
    """
    if len(text) < SHORTEST_ENCODED or not _ENCODED.fullmatch(text):
        return None
    if _OCTETS.fullmatch(text):
        return _of_hexadecimal(text)
    return None if len(text.rstrip("=")) % 4 == 1 else _of_base64(text)


def wholes(octets: str, depth: int = DEPTH) -> Iterator[str]:
    """Yield what a short text may stand for as a whole, itself among it."""
    yield octets
    if depth == 0:
        return
    inner = {unescaped(octets), _QUOTED_PRINTABLE.sub(_quoted, octets), _MARKS.sub(_mark, octets)}
    inner |= {_WIDE.sub(_narrow, octets)}
    inner -= {octets}
    if _BASE64_WHOLE.fullmatch(octets):
        digits = octets.rstrip(_BETWEEN).rstrip("=")
        raw = _of_base64(digits)
        if base64.b64encode(raw).decode().rstrip("=") == digits.translate(_STANDARD):  # no bits are left over
            inner.add(raw.decode("latin-1"))
    if _HEXADECIMAL_WHOLE.fullmatch(octets):
        inner.add(bytes.fromhex("".join(_HEXADECIMAL.words.findall(octets))).decode("latin-1"))
    if _LIST_WHOLE.fullmatch(octets):
        inner.add(_of_list(octets))
    for read in inner:
        yield from wholes(read, depth - 1)


@functools.cache
def _patterns(shortest: int) -> _Patterns:
    """Return the patterns for secrets of so many octets and more.

    What a run has to begin with is never longer than a line, however long the secrets are: for lines are what it may be
    broken into, and a search that looks far ahead and finds nothing does so again at the next character.
    """
    digits = min(-(-8 * shortest // 6), LONGEST_LINE)
    pairs = min(shortest, LONGEST_LINE // 2)
    least = min(shortest, LONGEST_LINE)
    item = "[-0-9][0-9A-Fa-fxX]{0,3}+"  # or something else as short: to be exact here takes twice as long
    listed = rf"{item}(?:[,{_BETWEEN}]++{item}){{{min(shortest, LONGEST_LINE // 4) - 1},}}+"
    apart = rf"{_HEX}{{2,4}}(?:[{_BETWEEN}:,+-]{{1,2}}{_HEX}{{2,4}}){{{pairs // 2 - 1},}}+"
    return _Patterns(
        re.compile(rf"[%\\&\0]|=(?:{_HEX}{{2}}|[{_BETWEEN}])|{_DIGIT}{{{digits}}}|{_MARKS.pattern}|{apart}|{listed}"),
        re.compile(rf"{_DIGIT}{{{digits},}}+(?:[{_BETWEEN}]++{_DIGIT}++)*+={{0,2}}"),
        re.compile(rf"{_HEX}{{{2 * pairs},}}+(?:[{_BETWEEN}]++{_HEX}++)*+"),
        re.compile(apart),
        re.compile(listed),
        re.compile(rf"(?:{_CHARACTER}){{{least},}}+"),
        re.compile(rf"(?:\0[^\0]){{{least - 1},}}+\0?"),
    )


def _of_base64(digits: str) -> bytes:
    """Return the octets of base64; bits that make no octet are left out, as is one digit too much."""
    plain = digits.rstrip("=").translate(_STANDARD)
    return binascii.a2b_base64(plain[: len(plain) - (len(plain) % 4 == 1)] + "==")


def _of_hexadecimal(digits: str) -> bytes:
    """Return the octets of hexadecimal, without half an octet at the end."""
    return bytes.fromhex(digits[: len(digits) // 2 * 2])


def _of_list(items: str) -> str:
    """Return the octets of a list of numbers."""
    return "".join(chr(int(item, 16 if "x" in item.lower() else 10) & 0xFF) for item in _ITEM.findall(items))


_BASE64 = _Encoding(6, re.compile(rf"[^{_BETWEEN}]+"), _of_base64)
_HEXADECIMAL = _Encoding(4, re.compile(rf"{_HEX}+"), _of_hexadecimal)


def _said(unit: re.Match[str]) -> str:
    """Return the octets that an escape stands for."""
    kind = str(unit.lastgroup)  # each way to write one has its group
    said = unit[kind]
    if kind in ("control", "itself"):
        return _CONTROL.get(said, said)
    if kind == "name":
        return octets_of(html.unescape(unit[0]))
    if kind == "low":
        return octets_of(bytes.fromhex(unit["high"] + said).decode("utf-16-be"))
    number = int(said, {"octal": 8, "decimal": 10}.get(kind, 16))
    if kind in ("octet", "octal"):
        return chr(number)
    return octets_of(chr(number)) if number <= sys.maxunicode else unit[0]


def _quoted(unit: re.Match[str]) -> str:
    return chr(int(unit["octet"], 16)) if unit["octet"] else ""


def _mark(unit: re.Match[str]) -> str:
    return unit[0][0]


def _narrow(unit: re.Match[str]) -> str:
    return octets_of(unit[0].strip("\0"))


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


def _words(octets: str, run: Span, encoding: _Encoding, skipped: int, spans: Iterable[Span]) -> Iterator[Span]:
    """Yield where stretches of what was decoded are written, the first digits being skipped: no word in part."""
    begins, ends, before = array("Q"), array("Q"), array("Q")
    count = 0
    for word in encoding.words.finditer(octets, *run):
        begins.append(word.start())
        ends.append(word.end())
        before.append(count)
        count += word.end() - word.start()
    for start, end in spans:
        first, last = skipped + 8 * start // encoding.bits, skipped + (8 * end - 1) // encoding.bits
        yield begins[bisect_right(before, first) - 1], ends[bisect_right(before, last) - 1]


def _items(octets: str, run: Span, spans: Iterable[Span]) -> Iterator[Span]:
    """Yield where stretches of what was listed are written: no number in part."""
    items = [item.span() for item in _ITEM.finditer(octets, *run)]
    for start, end in spans:
        yield items[start][0], items[end - 1][1]
