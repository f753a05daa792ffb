"""YAML text, read strictly and written: the core schema of YAML 1.2 and nothing else, with the place of every value.

PyYAML's own loader follows YAML 1.1, which reads account `012345670123` as octal, `no` as False and `2026-11-23` as a
date. Here those are a mistake, a text and a text. A number with a leading zero is a mistake, because readers of YAML
disagree about it and a sealed policy must mean the same to all of them. No message shows a value: it may be a secret.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from typing import Any, NamedTuple

import yaml
from yaml.reader import ReaderError

from auditor.model import JSON
from auditor.wording import quoted

Path = tuple[str | int, ...]

MAX_NODES = 200_000
"""Values of one file once its aliases are expanded: far above any policy, far below what exhausts memory."""
MAX_DEPTH = 64
MAX_INTEGER = 2**63
LONGEST_INTEGER = 32
"""Characters; Python refuses to read thousands of digits, and MAX_INTEGER has been passed long before."""

_PLAIN, _TEXT = "?", "tag:yaml.org,2002:str"
_CORE = "tag:yaml.org,2002:"
_CONSTANTS = dict.fromkeys(("", "~", "null", "Null", "NULL")) | {
    text: word == "true" for word in ("true", "false") for text in (word, word.title(), word.upper())
}
_INTEGER = re.compile(r"[-+]?(0|[1-9][0-9]*)|0o[0-7]+|0x[0-9a-fA-F]+", re.ASCII)
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|(0|[1-9][0-9]*)(\.[0-9]*)?)([eE][-+]?[0-9]+)?", re.ASCII)
_NOT_FINITE = re.compile(r"[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)", re.ASCII)
_LEADING_ZERO = re.compile(r"[-+]?0[0-9]+(\.[0-9]*)?([eE][-+]?[0-9]+)?", re.ASCII)
_BREAK = re.compile(r"\r\n|\r|\n")
_FORBIDDEN = re.compile("[^\t\n\r\x20-\x7e\xa0-\u2027\u202a-\ud7ff\ue000-\ufefe\uff00-\ufffd\U00010000-\U0010ffff]")
"""Not printable, or (U+0085, U+2028, U+2029) a line break to YAML 1.1 but not to 1.2."""


class Place(NamedTuple):
    """Where something stands in the text; both count from 1."""

    line: int
    column: int


class Mistake(NamedTuple):
    """What is wrong with the text, and where."""

    message: str
    place: Place


class Reading:
    """What a text says: its data, the place of each value and each key, and every mistake met on the way."""

    def __init__(self, text: str) -> None:
        self.data: JSON = None
        self.values: dict[Path, Place] = {}
        self.keys: dict[Path, Place] = {}
        self._mistakes: dict[Mistake, None] = {}
        self._nodes = 0
        try:
            node = _compose(text.removeprefix("\ufeff"))
            self.data = None if node is None else self._build(node, (), frozenset())
        except _Refused as refused:
            self._mistakes[refused.mistake] = None
        if self.data is None and not self._mistakes:
            self._mistakes[Mistake("the file is empty", Place(1, 1))] = None

    @property
    def mistakes(self) -> list[Mistake]:
        """Every mistake once, in the order of reading."""
        return list(self._mistakes)

    def _mistake(self, node: yaml.Node, message: str) -> None:
        self._mistakes[Mistake(message, _place(node.start_mark))] = None

    def _build(self, node: yaml.Node, path: Path, open_nodes: frozenset[int]) -> JSON:
        self._nodes += 1
        if self._nodes > MAX_NODES:
            raise _Refused(f"more than {MAX_NODES:,} values, aliases counted as often as used", node.start_mark)
        if id(node) in open_nodes:
            raise _Refused("an alias to something that contains it", node.start_mark)
        if len(path) > MAX_DEPTH:
            raise _Refused(f"nested more than {MAX_DEPTH} deep", node.start_mark)
        self.values[path] = _place(node.start_mark)
        inside = open_nodes | {id(node)}
        if isinstance(node, yaml.MappingNode):
            self._expect_tag(node, "map")
            return dict(self._members(node, path, inside))
        if isinstance(node, yaml.SequenceNode):
            self._expect_tag(node, "seq")
            return [self._build(item, (*path, index), inside) for index, item in enumerate(node.value)]
        return self._scalar(node)

    def _members(self, node: yaml.MappingNode, path: Path, inside: frozenset[int]) -> Iterator[tuple[str, JSON]]:
        first: dict[str, Place] = {}
        for key_node, value_node in node.value:
            key = key_node.value
            if not isinstance(key, str) or not key:
                self._mistake(key_node, "a key must be text")
            elif key == "<<" and key_node.tag == _PLAIN:
                self._mistake(key_node, "merge keys (<<) are not part of YAML 1.2: write the keys out")
            elif key in first:
                self._mistake(key_node, f"duplicate key {quoted(key)}, first on line {first[key].line}")
            else:
                first[key] = self.keys[(*path, key)] = _place(key_node.start_mark)
                self._expect_text(key_node)
                yield key, self._build(value_node, (*path, key), inside)

    def _expect_tag(self, node: yaml.Node, name: str) -> None:
        if node.tag != _CORE + name:
            self._mistake(node, "a tag is not allowed; a text that begins with ! is put in quotes")

    def _expect_text(self, node: yaml.Node) -> None:
        if node.tag != _PLAIN:
            self._expect_tag(node, "str")
        if any(char == "\0" or "\ud800" <= char <= "\udfff" for char in node.value):
            self._mistake(node, "holds an escape that stands for no character")

    def _scalar(self, node: yaml.Node) -> JSON:
        text: str = node.value
        self._expect_text(node)
        if node.tag != _PLAIN:
            return text
        if text in _CONSTANTS:
            return _CONSTANTS[text]
        if _LEADING_ZERO.fullmatch(text):
            self._mistake(node, "begins with 0: put it in quotes if it is text, leave the 0 out if it is a number")
        elif _NOT_FINITE.fullmatch(text):
            self._mistake(node, "no number to work with: put it in quotes if it is text")
        elif _INTEGER.fullmatch(text) or _FLOAT.fullmatch(text):
            return self._number(node, text)
        return text

    def _number(self, node: yaml.Node, text: str) -> int | float:
        number: int | float
        if not _INTEGER.fullmatch(text):
            number = float(text)
        elif len(text) <= LONGEST_INTEGER:
            number = int(text, 0)
        else:
            number = math.inf
        if not -MAX_INTEGER <= number < MAX_INTEGER and (isinstance(number, int) or math.isinf(number)):
            self._mistake(node, "too large a number: put it in quotes if it is text")
            return 0
        return number


class _Refused(Exception):
    """Reading cannot go on."""

    def __init__(self, message: str, place: yaml.Mark | Place) -> None:
        super().__init__(message)
        self.mistake = Mistake(message, place if isinstance(place, Place) else _place(place))


class _Composer(yaml.SafeLoader):
    """Composes nodes, and no more of them than are allowed; what a plain scalar means is read by us."""

    yaml_implicit_resolvers: dict[str, Any] = {}  # noqa: RUF012 - PyYAML reads it from the class

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self._depth = 0
        self._composed = 0

    def resolve(self, kind: type[yaml.Node], value: Any, implicit: Any) -> str:
        """Return a tag of our own for plain scalars, so that `!!str 1` and `1` stay apart."""
        if kind is yaml.ScalarNode:
            return _PLAIN if implicit[0] else _TEXT
        return str(super().resolve(kind, value, implicit))  # type: ignore[no-untyped-call]

    def compose_node(self, parent: yaml.Node | None, index: Any) -> yaml.Node | None:
        """Compose one node, unless it is one too many."""
        event = self.peek_event()  # type: ignore[no-untyped-call]
        self._depth += 1
        self._composed += 1
        if self._depth > MAX_DEPTH + 1:
            raise _Refused(f"nested more than {MAX_DEPTH} deep", event.start_mark)
        if self._composed > MAX_NODES:
            raise _Refused(f"more than {MAX_NODES:,} values", event.start_mark)
        if isinstance(event, yaml.ScalarEvent) and event.tag == "!":
            event.tag = _TEXT
        node = super().compose_node(parent, index)
        self._depth -= 1
        return node


def _compose(text: str) -> yaml.Node | None:
    if forbidden := _FORBIDDEN.search(text):
        number = f"U+{ord(forbidden.group()):04X}"
        raise _Refused(f"character {number} is not allowed in a YAML file", place_in(text, forbidden.start()))
    composer = None
    try:
        composer = _Composer(text)
        return composer.get_single_node()
    except ReaderError as error:  # the pattern above is the stricter one
        raise _Refused(str(error.reason), place_in(text, error.position)) from None
    except yaml.MarkedYAMLError as error:
        raise _Refused(_in_words(error), error.problem_mark or error.context_mark or Place(1, 1)) from None
    except (ValueError, OverflowError):  # PyYAML hands "\U00110000" to chr() as it is
        place = composer.get_mark() if composer else Place(1, 1)
        raise _Refused("an escape that stands for no character", place) from None
    finally:
        if composer is not None:
            composer.dispose()


def _in_words(error: yaml.MarkedYAMLError) -> str:
    problem = error.problem or "cannot be read"
    begun = f" on line {error.context_mark.line + 1}" if error.context_mark else ""
    known = {
        "but found another document": "a second document (---) begins here: one file holds one",
        "second occurrence": f"an anchor of this name was already set{begun}",
        "undefined alias": "an alias to nothing; a text that begins with * is put in quotes",
        "'\\t'": "a tab: YAML is indented with spaces",
        "found unexpected end of stream": f"a text in quotes that begins{begun} does not end",
        "mapping values are not allowed": "a second `: ` in one line, or a key indented too far; "
        "a text with `: ` in it is put in quotes",
    }
    for sign, words in known.items():
        if sign in problem:
            return words
    context = f" {error.context}" if error.context else ""
    since = f" that begins{begun}" if context and begun else ""
    return f"not YAML: {problem}{context}{since}; look at the indentation and quotes here and just above"


def _place(mark: yaml.Mark) -> Place:
    return Place(mark.line + 1, mark.column + 1)


def place_in(text: str, position: int) -> Place:
    """Return the place of a character of the text."""
    before = _BREAK.split(text[:position])
    return Place(len(before), len(before[-1]) + 1)


class _Dumper(yaml.SafeDumper):
    """Writes YAML 1.1, in which 12e45 is a text; whatever the core schema could take for a number is quoted."""

    def represent_text(self, text: str) -> yaml.ScalarNode:
        """Return the node of a text."""
        is_number = any(form.fullmatch(text) for form in (_INTEGER, _FLOAT, _NOT_FINITE, _LEADING_ZERO))
        return self.represent_scalar(_TEXT, text, style="'" if is_number else None)


_Dumper.add_representer(str, _Dumper.represent_text)


def dump(value: JSON, **how: Any) -> str:
    """Return a value as YAML that `read` and readers of YAML 1.1 understand alike; `how` is PyYAML's own."""
    return str(yaml.dump(value, Dumper=_Dumper, sort_keys=False, allow_unicode=True, **how))
