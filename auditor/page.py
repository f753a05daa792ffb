"""A published page as what it says, sentence by sentence: HTML, Markdown or plain text. Nothing is fetched.

Markdown (plain text is Markdown without marks) is turned into HTML first, so that there is one way to read. Read is
what stands in the body, hidden parts too (an answer that opens at a click is published); struck-out text is withdrawn.
Navigation, scripts, styles and pictures are not read. Where it is unclear whether a sentence ends, it ends: of two
sentences taken for one, a claim about the first would hide the second.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator
from pathlib import PurePath
from typing import TYPE_CHECKING, Literal

import msgspec

from auditor.model import Problem, UsageError

if TYPE_CHECKING:
    from bs4.element import PageElement, Tag

Kind = Literal["sentence", "question", "heading", "link"]

MARKUP = (".html", ".htm", ".xhtml")
SKIPPED = frozenset((
    "head", "title", "script", "style", "noscript", "template", "svg", "math", "nav", "iframe", "object", "canvas",
    "audio", "video", "picture", "img", "input", "select", "textarea", "del", "s", "strike",
))  # fmt: skip
NAVIGATION = frozenset(("navigation", "menu", "menubar", "toolbar", "tablist", "search"))
"""Values of `role` that say the same as `<nav>`, or that what follows are controls."""
INLINE = frozenset((
    "a", "abbr", "acronym", "b", "bdi", "bdo", "big", "cite", "code", "data", "dfn", "em", "font", "i", "ins", "kbd",
    "label", "mark", "q", "ruby", "rt", "rp", "samp", "small", "span", "strong", "sub", "sup", "time", "tt", "u", "var",
    "wbr",
))  # fmt: skip
HEADINGS = frozenset(("h1", "h2", "h3", "h4", "h5", "h6", "summary", "dt", "legend", "caption", "th"))
CONTROLS = frozenset(("a", "button"))
INVISIBLE = re.compile("[\u00ad\u200b-\u200f\u2060\ufeff]")
"""Soft hyphens, joiners, direction marks: in the text, but not to be seen."""
LONGEST_WRAPPED = 100
"""Characters of a line: with longer ones a text is not wrapped, and each of its lines is a paragraph."""
OPENING, CLOSING = "\"'\u2018\u201c([", "\"'\u2019\u201d\u00bb)]"
ALWAYS_SHORT = frozenset((
    "e.g", "i.e", "cf", "vs", "approx", "ca", "mr", "mrs", "ms", "dr", "prof", "st", "incl", "resp", "esp", "viz",
))  # fmt: skip
SHORT_BEFORE_A_NUMBER = frozenset((
    "no", "nos", "fig", "figs", "sec", "art", "para", "p", "pp", "ver", "v", "min", "max", "ch",
))  # fmt: skip
SHORT_BEFORE_SMALL_LETTERS = frozenset((
    "etc", "inc", "ltd", "co", "corp", "al", "jr", "sr", "u.s", "u.k", "e.u", "a.m", "p.m", "min", "max", "avg", "std",
))  # fmt: skip
"""Abbreviations, without their last stop: after it a sentence goes on, always or where something follows."""

_LOOKS_LIKE_HTML = re.compile(rb"<!doctype\s+html|<html[\s>]|<body[\s>]", re.IGNORECASE)
_SPACE = re.compile(r"\s+")
_BULLET = re.compile("\\s*[\u2022\u2023\u25aa\u25e6\u00b7\u25cf\u25cb\u2013\u2014]\\s*")
_PROSE = re.compile(rf"\s{{0,3}}(\w|\*\*|[{re.escape(OPENING)}])")
_END = re.compile(rf"[.!?\u2026]+[{re.escape(CLOSING)}]*(?=\s+(\S+))")
_ANSWER = re.compile(r"(?:yes|no)[.!,]?", re.IGNORECASE)


class Sentence(msgspec.Struct, frozen=True):
    """One sentence; `block` counts the paragraphs, list items and the like that sentences stand in.

    A question claims nothing; headings, and blocks that are a link and no more, are told apart, for one of them may.
    """

    text: str
    kind: Kind
    block: int


def read(raw: bytes, name: str = "") -> list[Sentence]:
    """Return the sentences of a page; `name` is its file's, empty for a stream. `UsageError` where there are none."""
    suffix = PurePath(name).suffix.lower()
    if raw.startswith(b"%PDF") or b"\0" in raw[:1024].replace(b"<\0", b""):
        raise _unusable("is no text; save the page as HTML, or copy its text into a file", name)
    if b"multipart/related" in raw[:2048]:
        raise _unusable("is a web archive (MHTML); save the page as HTML instead", name)
    is_html = suffix in MARKUP or _LOOKS_LIKE_HTML.search(raw[:4096]) or (not suffix and raw.lstrip().startswith(b"<"))
    blocks = _blocks(raw if is_html else _rendered(raw, name))
    sentences = [
        sentence
        for number, (text, kind) in enumerate(blocks)
        for line in _lines(text)
        for sentence in _sentences(line, kind, number)
    ]
    if not any(sentence.kind == "sentence" for sentence in sentences):
        hint = "a page that is drawn by scripts is saved from the browser once it is to be seen"
        raise _unusable(f"holds no sentence; {hint}", name)
    return sentences


def _unusable(reason: str, name: str) -> UsageError:
    return UsageError(Problem(reason, name or "the page on stdin"))


def _rendered(raw: bytes, name: str) -> str:
    """Return the HTML of a text in Markdown."""
    from markdown_it import MarkdownIt  # noqa: PLC0415 - only this command needs it

    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise _unusable("is not UTF-8 text; save it as UTF-8", name) from None
    return str(MarkdownIt("commonmark").enable(["table", "strikethrough"]).render(_spaced(text)))


def _spaced(text: str) -> str:
    """Set lines apart that are no wrapped paragraph: bullets, and those that end where the next word would have fitted.

    Text copied from a browser has a paragraph, a list item or a heading on each line, and no empty lines between.
    """
    lines = text.splitlines()
    widest = max((len(line) for line in lines if " " in line.strip()), default=0)
    spaced = lines[:1]
    for line, following in itertools.pairwise(lines):
        if _BULLET.match(following) or _is_set_apart(line, following, widest):
            spaced.append("")
        spaced.append(following)
    return "\n".join(spaced)


def _is_set_apart(line: str, following: str, widest: int) -> bool:
    """Whether a line of prose ends although the paragraph could go on; small letters go on."""
    if not _PROSE.match(following) or following.lstrip()[0].islower():
        return False
    if _BULLET.match(line) and _indentation(following) <= _indentation(line):
        return True
    fits = widest > LONGEST_WRAPPED or len(line) + len(following.split(maxsplit=1)[0]) < widest
    return fits and bool(_PROSE.match(line) or _BULLET.match(line))


def _indentation(line: str) -> int:
    return len(line) - len(line.lstrip())


def _blocks(html: str | bytes) -> Iterator[tuple[str, Kind]]:
    """Yield the text of each block, and what kind of text that is."""
    from bs4 import BeautifulSoup  # noqa: PLC0415 - only this command needs it

    text: list[str] = []
    kinds: list[Kind] = []
    for piece in _pieces(BeautifulSoup(_decoded(html), "html.parser")):
        if piece is not None:
            text.append(piece[0])
            kinds += [piece[1]] if piece[0].strip() else []
        elif text:
            yield "".join(text), _kind(kinds)
            text, kinds = [], []


def _decoded(html: str | bytes) -> str | bytes:
    """Return text where it is UTF-8, whatever it says of itself; else the parser finds out what it is."""
    try:
        return html if isinstance(html, str) else html.decode("utf-8-sig")
    except UnicodeDecodeError:
        return html


def _kind(kinds: list[Kind]) -> Kind:
    """Return the kind of a block from those of its pieces: it is a link only where all of it is one."""
    if "heading" in kinds:
        return "heading"
    return "link" if kinds and set(kinds) == {"link"} else "sentence"


def _pieces(root: Tag) -> Iterator[tuple[str, Kind] | None]:
    """Yield the pieces of text in order, None wherever a block begins or ends."""
    from bs4.element import CData, NavigableString, Tag  # noqa: PLC0415 - only this command needs it

    # No recursion: pages nest deeply.
    stack: list[tuple[Iterator[PageElement], Kind, bool]] = [(iter(root.children), "sentence", True)]
    while stack:
        children, kind, is_block = stack[-1]
        child = next(children, None)
        if child is None:
            stack.pop()
            yield from [None] if is_block else [("", kind)]
        elif isinstance(child, Tag):
            if _is_skipped(child):
                continue
            if child.name == "br":
                yield "\n", kind
                continue
            if child.name not in INLINE:
                yield None
            if child.name in ("sup", "sub"):
                yield " ", kind
            stack.append((iter(child.children), _inside(child, kind), child.name not in INLINE))
        elif type(child) in (NavigableString, CData):
            text = INVISIBLE.sub("", str(child))
            yield (text if child.find_parent("pre") else _SPACE.sub(" ", text)), kind


def _is_skipped(tag: Tag) -> bool:
    if tag.name in SKIPPED or str(tag.get("role", "")).lower() in NAVIGATION:
        return True
    return tag.name == "sup" and (tag.find("a") is not None or tag.find_parent("a") is not None)  # a footnote's mark


def _inside(tag: Tag, kind: Kind) -> Kind:
    """Return the kind of what stands in an element."""
    if tag.name in HEADINGS or tag.get("role") == "heading":
        return "heading"
    if kind == "sentence" and tag.name in CONTROLS:
        return "link"
    return kind


def _lines(text: str) -> Iterator[str]:
    """Yield the lines of a block (in HTML: what `<br>` sets apart); one that begins with a small letter is none."""
    lines: list[str] = []
    for line in text.split("\n"):
        bare = _BULLET.sub("", line, count=1) if _BULLET.match(line) else line
        if lines and bare.strip()[:1].islower() and bare is line:
            lines[-1] += f" {line}"
        else:
            lines.append(bare)
    return (" ".join(line.split()) for line in lines)


def _sentences(text: str, kind: Kind, block: int) -> Iterator[Sentence]:
    """Split the text of one block."""
    held = ""
    for part in _split(text):
        if not any(char.isalnum() for char in part):
            continue
        if _ANSWER.fullmatch(part) and not held:
            held = f"{part} "  # "Yes." says nothing without what follows
            continue
        yield _sentence(held + part, kind, block)
        held = ""
    if held:
        yield _sentence(held.strip(), kind, block)


def _sentence(text: str, kind: Kind, block: int) -> Sentence:
    bare = text.rstrip(CLOSING + " ")
    if bare.endswith("?"):
        return Sentence(text, "question", block)
    ends = kind == "link" and bare.endswith((".", "!"))  # a link that is a whole sentence is one
    return Sentence(text, "sentence" if ends else kind, block)


def _split(text: str) -> Iterator[str]:
    begin = 0
    for end in _END.finditer(text):
        if _is_end(text[begin : end.start()], end.group(), end.group(1)):
            yield text[begin : end.end()].strip()
            begin = end.end()
    yield text[begin:].strip()


def _is_end(before: str, mark: str, following: str) -> bool:
    """Whether a full stop (or the like) ends a sentence, between the text before it and the next word."""
    if "?" in mark or "!" in mark:
        return True
    word = before.rpartition(" ")[2].lstrip(OPENING).lower()
    if word in ALWAYS_SHORT or (word in SHORT_BEFORE_A_NUMBER and following[0].isdigit()):
        return False
    return not (word in SHORT_BEFORE_SMALL_LETTERS and following[0].islower())
