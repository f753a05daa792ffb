"""A published page held against a policy pack: what no row speaks of, and which quotes are no longer there. Pure.

Compared are words: letter case, white space, quotation marks, dashes and other punctuation make no difference; numbers
and signs that carry a meaning (+, %, <) do. A quote may leave words out with `[…]`, but not the end of a sentence.
"""

from __future__ import annotations

import difflib
import re
import unicodedata
from collections.abc import Iterator, Sequence
from typing import Literal, NamedTuple

import msgspec

from auditor.model import Problem, UsageError
from auditor.page import Kind, Sentence
from auditor.policy import Pack, Policy, Quote
from auditor.results import Reference
from auditor.wording import or_known, quoted

State = Literal["covered", "changed", "uncovered", "apart"]
Fate = Literal["found", "changed", "vanished"]

GAP = re.compile(r"\[\s*(?:…|\.\.\.)\s*\]")
ALIKE = 0.5
"""Least share in common for a sentence to be what became of a quote: of the quote, and of both."""
COMMON = frozenset((
    "a", "an", "and", "are", "as", "at", "be", "by", "for", "from", "in", "is", "it", "its", "of", "on", "or", "our",
    "that", "the", "their", "these", "this", "to", "us", "we", "with", "you", "your",
))  # fmt: skip
"""Words that say little: they count a quarter of the others when sentences are likened."""
_APOSTROPHES = "'\u2018\u2019\u02bc"
_NO_APOSTROPHES = str.maketrans("", "", _APOSTROPHES)
_WORD = re.compile(rf"\w+(?:[.{_APOSTROPHES}]\w+)*|[%+<>=\u2264\u2265\u2260\u00b1\u00d7$\u20ac\u00a3&@\u00b0]")


class Passage(msgspec.Struct, frozen=True):
    """A sentence of the page: the rows that speak of it, and the words that none of them quotes."""

    text: str
    kind: Kind
    state: State
    quotes: tuple[Quote, ...] = ()
    left_over: tuple[str, ...] = ()


class Trace(msgspec.Struct, frozen=True):
    """What became of a quote; where it changed, the nearest sentence and the difference.

    In the difference `[-…-]` was quoted and is not there, `{+…+}` is there and was not quoted.
    """

    quote: Quote
    fate: Fate
    nearest: str = ""
    difference: str = ""


class Coverage(msgspec.Struct, frozen=True):
    """A whole page, and every quote of the pack whose source it is."""

    passages: tuple[Passage, ...]
    traces: tuple[Trace, ...]

    @property
    def complete(self) -> bool:
        """Whether every sentence has a row, and every quote is there."""
        return all(passage.state in ("covered", "apart") for passage in self.passages) and all(
            trace.fate == "found" for trace in self.traces
        )


class _Word(NamedTuple):
    """A word as it is compared, its place in the text, and whether punctuation stands before it."""

    norm: str
    start: int
    end: int
    after_punctuation: bool


def published(policy: Policy, wanted: str = "") -> tuple[Reference, list[Quote]]:
    """Return the one source that a policy quotes (or the one that is wanted), and every quote from it."""
    by_source: dict[str, list[Pack]] = {}
    for pack in policy.packs:
        by_source.setdefault(pack.source.url or pack.source.document, []).append(pack)
    if wanted and wanted not in by_source:
        there_is = or_known(wanted, by_source)
        raise UsageError(Problem(f"--source: no file of the pack quotes {quoted(wanted)}{there_is}"))
    if not wanted and len(by_source) > 1:
        known = ", ".join(sorted(by_source))
        raise UsageError(Problem(f"the pack quotes several sources: name that of the page with --source: {known}"))
    packs = by_source[wanted] if wanted else next(iter(by_source.values()))
    names = {pack.id for pack in packs}
    return packs[0].source, [quote for quote in policy.quotes if quote.pack in names]


def compare(sentences: Sequence[Sentence], wanted: Sequence[Quote]) -> Coverage:
    """Hold the sentences of a page against the quotes that a pack takes from it."""
    words = [_words(sentence.text) for sentence in sentences]
    covered: list[set[int]] = [set() for _ in sentences]
    rows: list[dict[Quote, None]] = [{} for _ in sentences]
    traces = []
    near: set[int] = set()
    for quote in wanted:
        fragments = [_words(fragment) for fragment in GAP.split(quote.text)]
        found = list(_occurrences(sentences, words, fragments))
        for number, position in found:
            covered[number].add(position)
            rows[number][quote] = None
        if found:
            traces.append(Trace(quote, "found"))
            continue
        trace, number = _nearest(quote, fragments, sentences, words)
        traces.append(trace)
        near |= {number} if trace.fate == "changed" else set()
    passages = []
    for number, sentence in enumerate(sentences):
        left_over = tuple(_runs(sentence.text, words[number], covered[number])) if rows[number] else ()
        state: State = "covered" if rows[number] else "changed" if number in near else "uncovered"
        if state == "uncovered" and sentence.kind != "sentence":
            state = "apart"
        passages.append(Passage(sentence.text, sentence.kind, state, tuple(rows[number]), left_over))
    return Coverage(tuple(passages), tuple(traces))


def _words(text: str) -> list[_Word]:
    words: list[_Word] = []
    end = 0
    for match in _WORD.finditer(text):
        norm = unicodedata.normalize("NFKC", match.group()).casefold().translate(_NO_APOSTROPHES)
        between = text[end : match.start()].strip()
        words.append(_Word(norm, match.start(), match.end(), bool(between) and not _is_dash(between)))
        end = match.end()
    return words


def _is_dash(text: str) -> bool:
    return all(unicodedata.category(char) == "Pd" for char in text)


def _occurrences(
    sentences: Sequence[Sentence], words: Sequence[Sequence[_Word]], fragments: Sequence[Sequence[_Word]]
) -> Iterator[tuple[int, int]]:
    """Yield sentence and position of every word of the page that a quote takes up, wherever it stands."""
    blocks: dict[int, list[tuple[int, int]]] = {}
    for number, sentence in enumerate(sentences):
        blocks.setdefault(sentence.block, []).extend((number, position) for position in range(len(words[number])))
    wanted = [[word.norm for word in fragment] for fragment in fragments if fragment]
    if not wanted:
        return
    for places in blocks.values():
        norms = [words[number][position].norm for number, position in places]
        for start in range(len(norms)):
            if norms[start : start + len(wanted[0])] != wanted[0]:
                continue
            taken = list(range(start, start + len(wanted[0])))
            for fragment in wanted[1:]:
                following = _find(norms, fragment, taken[-1] + 1)
                if following is None or places[following][0] != places[taken[-1]][0]:
                    break
                taken += range(following, following + len(fragment))
            else:
                yield from (places[index] for index in taken)


def _find(norms: Sequence[str], fragment: Sequence[str], start: int) -> int | None:
    ends = range(start, len(norms) - len(fragment) + 1)
    return next((index for index in ends if norms[index : index + len(fragment)] == fragment), None)


def _runs(text: str, words: Sequence[_Word], covered: set[int]) -> Iterator[str]:
    """Yield the stretches of a text that are in no quote."""
    run: list[_Word] = []
    for position, word in enumerate(words):
        if position in covered:
            if run:
                yield text[run[0].start : run[-1].end]
            run = []
        else:
            run.append(word)
    if run:
        yield text[run[0].start : run[-1].end]


def _nearest(
    quote: Quote, fragments: Sequence[Sequence[_Word]], sentences: Sequence[Sentence], words: Sequence[Sequence[_Word]]
) -> tuple[Trace, int]:
    """Return what became of a quote that is not there, and the number of the sentence it may have become."""
    best, nearest = 0.0, 0
    wanted = [fragment for fragment in fragments if fragment]
    for number, candidate in enumerate(words):
        windows = [_window(fragment, candidate) for fragment in wanted]
        whole = sum(map(_weight, wanted))
        weight = whole + sum(_weight(candidate[one.start : one.stop]) for one, _ in windows)
        shared = sum(common for _, common in windows)
        alike = 2 * shared / weight if shared >= ALIKE * whole and weight else 0.0
        if alike > best:
            best, nearest = alike, number
    if best < ALIKE:
        return Trace(quote, "vanished"), nearest
    parts = GAP.split(quote.text)
    there = sentences[nearest].text
    changes = [
        _difference(part, fragment, there, words[nearest], _window(fragment, words[nearest])[0])
        for part, fragment in zip(parts, fragments, strict=True)
        if fragment
    ]
    return Trace(quote, "changed", there, " […] ".join(changes)), nearest


def _weight(words: Sequence[_Word]) -> float:
    return sum(0.25 if word.norm in COMMON else 1.0 for word in words)


def _window(fragment: Sequence[_Word], candidate: Sequence[_Word]) -> tuple[range, float]:
    """Return the part of a sentence that a fragment resembles most, and the weight of the words in common."""
    matcher = difflib.SequenceMatcher(
        None, [word.norm for word in fragment], [word.norm for word in candidate], autojunk=False
    )
    blocks = [block for block in matcher.get_matching_blocks() if block.size]
    best, window, common = 0.0, range(0), 0.0
    for first in range(len(blocks)):
        for last in range(first, len(blocks)):
            chosen = blocks[first : last + 1]
            start, end = chosen[0].b, chosen[-1].b + chosen[-1].size
            shared = sum(_weight(candidate[block.b : block.b + block.size]) for block in chosen)
            alike = 2 * shared / (_weight(fragment) + _weight(candidate[start:end]))
            if alike > best:
                start -= _reach(candidate, start, -1, chosen[0].a)
                end += _reach(candidate, end, 1, len(fragment) - chosen[-1].a - chosen[-1].size)
                best, window, common = alike, range(start, end), shared
    return window, common


def _reach(candidate: Sequence[_Word], edge: int, step: int, missing: int) -> int:
    """Return how many words beyond an edge may stand for those of the quote that are missing: up to punctuation."""
    reach = 0
    while reach < missing:
        index = edge + reach if step > 0 else edge - reach - 1
        border = index if step > 0 else index + 1
        if not 0 <= index < len(candidate) or (border < len(candidate) and candidate[border].after_punctuation):
            break
        reach += 1
    return reach


def _difference(quoted: str, fragment: Sequence[_Word], there: str, words: Sequence[_Word], window: range) -> str:
    """Return the difference of a fragment and its window in words: `TLS [-1.2-]{+1.3+}`."""
    new = [words[index] for index in window]
    matcher = difflib.SequenceMatcher(
        None, [word.norm for word in fragment], [word.norm for word in new], autojunk=False
    )
    parts = []
    for tag, old_from, old_to, new_from, new_to in matcher.get_opcodes():
        old_text = quoted[fragment[old_from].start : fragment[old_to - 1].end] if old_to > old_from else ""
        new_text = there[new[new_from].start : new[new_to - 1].end] if new_to > new_from else ""
        if tag == "equal":
            parts.append(old_text)
        else:
            parts.append((f"[-{old_text}-]" if old_text else "") + (f"{{+{new_text}+}}" if new_text else ""))
    return " ".join(parts)
