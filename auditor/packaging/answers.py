"""The raw lines of evidence as pages: every line can be linked to, and every value in it that a finding cites.

A line is shown character by character as it stands in the segment, each member on a line of its own by the page's
style. Pages hold as many lines as fit; a line that is longer than a page goes on over several.
"""

from __future__ import annotations

import hashlib
import re
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Mapping
from typing import NamedTuple
from urllib.parse import quote

import msgspec
from markupsafe import Markup

from auditor.answers import pointer_join
from auditor.model import Citation
from auditor.packaging.site import inert

PAGE_BYTES = 900_000
"""What the lines of a page come to, markup included; with its head and style it stays below a megabyte."""
ROW_BYTES, LINE_BYTES = 20, 3_000
"""What the markup of a row comes to, and about what stands with a line."""
_KEY = re.compile(r'"(?:[^"\\]|\\.)*"(?=: )')
_ANSWER, _SUBJECT = b'{"kind":"answer"', b'{"kind":"subject"'


class Row(NamedTuple):
    """A part of a line that is shown in a row of its own; `opens` and `closes` say what it does to the nesting."""

    text: str | Markup
    anchor: str = ""
    opens: bool = False
    closes: bool = False


class Part(NamedTuple):
    """A line, or as much of it as stands on one page: `before` and `after` are how deep it is nested at its ends."""

    number: int
    raw: bytes
    rows: tuple[Row, ...]
    before: int
    after: int

    @property
    def is_first(self) -> bool:
        """Whether the line begins here."""
        return self.before == 0


class Page(NamedTuple):
    """One page of a segment: `number` counts from 1, `last` says that no further one follows."""

    number: int
    parts: tuple[Part, ...]
    last: bool


def anchor(line: int, pointer: str) -> str:
    """Return the name of a place on a page: of a line, or of a value in it."""
    return f"L{line}.{hashlib.sha256(pointer.encode()).hexdigest()[:10]}" if pointer else f"L{line}"


class Places:
    """Where each line of a segment stands among its pages, and each cited value of it."""

    def __init__(self, folder: str) -> None:
        self._folder = quote(folder)
        self._first: list[int] = []
        self._split: dict[str, int] = {}
        self._values: set[str] = set()

    def add(self, page: Page) -> None:
        """Take in the next page."""
        self._first.append(page.parts[0].number)
        for part in page.parts:
            anchors = [row.anchor for row in part.rows if row.anchor]
            self._values.update(anchors)
            if not part.is_first or part.after:
                self._split |= dict.fromkeys(anchors, page.number)
                if part.is_first:
                    self._split[anchor(part.number, "")] = page.number

    def href(self, cite: Citation) -> str:
        """Return the address of what is cited, from the root of the package; of its line where it has no own place."""
        line = cite.lines[0]
        name = anchor(line, cite.pointer)
        if name not in self._values:
            name = anchor(line, "")
        page = self._split.get(name) or max(1, bisect_right(self._first, line))
        return f"{self._folder}/{page}.html#{name}"


def paginate(lines: Iterable[bytes], cited: Mapping[int, set[str]], most: int = PAGE_BYTES) -> Iterator[Page]:
    """Yield the pages of a segment; `cited` are the pointers that findings cite, by line."""
    parts: list[Part] = []
    size, number = 0, 0
    for index, data in enumerate(lines, 1):
        line = data.rstrip(b"\n")
        rows: list[Row] = []
        before = depth = 0
        if parts and size + LINE_BYTES + len(line) > most:  # a line that fits on a page is not broken
            number += 1
            yield Page(number, tuple(parts), last=False)
            parts, size = [], 0
        size += LINE_BYTES
        for row in rows_of(line, cited.get(index, set())):
            markup = inert(row.text)
            cost = len(markup.encode()) + len(row.anchor) + ROW_BYTES
            if rows and size + cost > most:
                number += 1
                yield Page(number, (*parts, Part(index, line, tuple(rows), before, depth)), last=False)
                parts, rows, size, before = [], [], LINE_BYTES, depth
            rows.append(row._replace(text=markup))
            size += cost
            depth += row.opens - row.closes
        parts.append(Part(index, line, tuple(rows), before, depth))
    yield Page(number + 1, tuple(parts), last=True)


def rows_of(line: bytes, cited: set[str]) -> Iterator[Row]:
    """Yield a line of JSON in rows whose texts together are the line; values that are cited have an anchor.

    A pointer leads into the `body` of an answer, and into the whole of any other line.
    """
    text = line.decode("utf-8", "surrogateescape")
    if line.startswith(_SUBJECT):  # there are as many as members, and nobody cites what is in them
        yield Row(text)
        return
    try:
        rows = list(_rows(line, cited))
    except msgspec.DecodeError:
        rows = []
    yield from rows if rows and "".join(row.text for row in rows) == text else [Row(text)]


def _rows(line: bytes, cited: set[str]) -> Iterator[Row]:
    number = msgspec.json.decode(line, type=_Numbered).n
    base = "/body" if line.startswith(_ANSWER) else ""
    wanted = {base + pointer: anchor(number, pointer) for pointer in cited if pointer}
    stack: list[_Container] = []
    for indented in msgspec.json.format(line, indent=1).decode().split("\n"):
        shown = indented.lstrip(" ")
        if shown[0] in "}]":
            stack.pop()
            yield Row(shown, closes=True)
            continue
        pointer = ""
        if stack:
            token, shown = stack[-1].enter(shown)
            pointer = pointer_join(stack[-1].pointer, token) if wanted else ""
        opens = shown[-1] in "{["
        if opens:
            stack.append(_Container(pointer, is_list=shown[-1] == "["))
        yield Row(shown, wanted.get(pointer, ""), opens=opens)


class _Numbered(msgspec.Struct):
    n: int


class _Container:
    """An object or a list whose members are being read."""

    def __init__(self, pointer: str, *, is_list: bool) -> None:
        self.pointer = pointer
        self._is_list = is_list
        self._index = -1

    def enter(self, shown: str) -> tuple[str | int, str]:
        """Return the token of the next member, and its text as it stands in the line."""
        if self._is_list:
            self._index += 1
            return self._index, shown
        key = _KEY.match(shown)
        if key is None:
            raise msgspec.DecodeError("a member without a key")
        token: str = msgspec.json.decode(key[0])
        return token, f"{key[0]}:{shown[key.end() + 2 :]}"
