"""Whether the bytes AWS sent are really the answer that was asked for, before botocore turns them into Python.

botocore is lenient: `TRUE`, `1` and an empty element become False, an unknown filter becomes "all objects", a captive
portal's page becomes `{}`. So the raw XML is compared with the service model first: its root element, every boolean,
number, timestamp and base64, no element twice, no text between elements, and no unknown member in structures where one
would change the meaning.
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterable, Mapping
from typing import Any, NoReturn
from xml.etree import ElementTree as ET

from botocore.utils import parse_timestamp

from auditor.answers import Answer
from auditor.model import Unreadable
from auditor.questions import SourceFailure

_INTEGER = re.compile(r"-?[0-9]+")
_NUMBER = re.compile(r"-?[0-9]+(\.[0-9]+)?([eE][-+]?[0-9]+)?")
_LEAVES = {
    "boolean": re.compile(r"true|false"),
    "integer": _INTEGER,
    "long": _INTEGER,
    "float": _NUMBER,
    "double": _NUMBER,
    "timestamp": re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[-+]\d\d:\d\d)", re.ASCII),
}


def check_xml(body: bytes, root: str, shape: Any, *, closed: Iterable[str] = (), hollow: Iterable[str] = ()) -> None:
    """Raise `SourceFailure` with code `malformed` unless the body is this answer, strictly.

    `root` is the name of the root element, `shape` botocore's model of the output, `closed` the names of shapes in
    which an unknown member is malformed; they hold something, unless they are among `hollow`.
    """
    element = read_xml(body)
    if _local(element) != root:
        _refuse(f"expected <{root}>, got <{_local(element)}>")
    wrapper = shape.serialization.get("resultWrapper")
    if wrapper:  # the query protocol puts the output into an element of its own
        inner = [child for child in element if _local(child) == wrapper]
        if len(inner) != 1:
            _refuse(f"expected one <{wrapper}> in <{root}>, got {len(inner)}")
        element = inner[0]
    payload = shape.serialization.get("payload")
    shape = shape.members[payload] if payload else shape
    _Strict(frozenset(closed), frozenset(hollow)).structure(element, shape, root)


def check_json(body: bytes) -> None:
    """Raise `SourceFailure` with code `malformed` unless the body is a JSON object that names no member twice."""
    try:
        decoded = json.loads(body.decode(), object_pairs_hook=_distinct)
    except ValueError as error:
        _refuse(f"not JSON: {error}")
    if not isinstance(decoded, dict):
        _refuse("expected a JSON object")


def require(body: Any, pointers: Iterable[str]) -> None:
    """Raise `SourceFailure` with code `malformed` where a member is missing that every such answer has."""
    answer = Answer.literal(body)
    for pointer in pointers:
        try:
            answer.get(pointer, object)
        except Unreadable:
            _refuse(f"the answer has no {pointer}")


def read_xml(body: bytes) -> ET.Element:
    """Return the root element, decoded as botocore does it; `SourceFailure` where it is not XML as AWS writes it."""
    parser = ET.XMLParser(target=_Builder(), encoding="utf-8")  # noqa: S314 - no document type, so no entities
    try:
        parser.feed(body)
        root: ET.Element = parser.close()
    except ET.ParseError as error:
        _refuse(f"not XML: {error}")
    return root


class _Builder(ET.TreeBuilder):
    """Builds the tree of a document without a document type."""

    def doctype(self, name: str, *_: str | None) -> None:
        """Refuse."""
        _refuse(f"the answer declares the document type {name}, which AWS never does")


class _Strict:
    """Compares elements with the service model."""

    def __init__(self, closed: frozenset[str], hollow: frozenset[str]) -> None:
        self._closed = closed
        self._hollow = hollow

    def structure(self, element: ET.Element, shape: Any, path: str) -> None:
        members = _members(shape)
        seen: set[str] = set()
        _elements_only(element, path)
        if shape.name in self._closed and shape.name not in self._hollow and not len(element):
            _refuse(f"{path}: is empty, which could mean anything")
        for child in element:
            name = _local(child)
            member, repeats = members.get(name, (None, False))
            if member is None:
                if shape.name in self._closed:
                    _refuse(f"{path}: <{name}> is unknown, and could change what the rest means")
                continue
            if name in seen and not repeats:
                _refuse(f"{path}: <{name}> stands twice")
            seen.add(name)
            self._any(child, member, f"{path}/{name}")

    def _any(self, element: ET.Element, shape: Any, path: str) -> None:
        if shape.type_name == "structure":
            self.structure(element, shape, path)
        elif shape.type_name == "list":
            self._list(element, shape, path)
        elif shape.type_name == "map":
            self._map(element, shape, path)
        else:
            _leaf(element, shape.type_name, path)

    def _list(self, element: ET.Element, shape: Any, path: str) -> None:
        name = shape.member.serialization.get("name", "member")
        _elements_only(element, path)
        for child in element:
            if _local(child) != name:
                _refuse(f"{path}: expected <{name}>, got <{_local(child)}>")
            self._any(child, shape.member, f"{path}/{name}")

    def _map(self, element: ET.Element, shape: Any, path: str) -> None:
        names = [shape.key.serialization.get("name", "key"), shape.value.serialization.get("name", "value")]
        seen: set[str] = set()
        _elements_only(element, path)
        for entry in element:
            _elements_only(entry, f"{path}/{_local(entry)}")
            if sorted(map(_local, entry)) != sorted(names):
                _refuse(f"{path}: expected <{names[0]}> and <{names[1]}> in each entry")
            key, value = sorted(entry, key=lambda child: names.index(_local(child)))
            _leaf(key, shape.key.type_name, path)
            if (key.text or "") in seen:
                _refuse(f"{path}: the key {key.text} stands twice")
            seen.add(key.text or "")
            self._any(value, shape.value, f"{path}/{key.text}")


def _members(shape: Any) -> Mapping[str, tuple[Any, bool]]:
    """Return the members of a structure by the element they stand in; a flattened list repeats its element."""
    members: dict[str, tuple[Any, bool]] = {}
    for name, member in shape.members.items():
        if member.serialization.get("location"):
            continue  # in a header
        if member.type_name == "list" and member.serialization.get("flattened"):
            own_name = member.member.serialization.get("name")  # comes first in botocore's parser as well
            members[own_name or member.serialization.get("name", name)] = (member.member, True)
        else:
            members[member.serialization.get("name", name)] = (member, False)
    return members


def _leaf(element: ET.Element, kind: str, path: str) -> None:
    text = element.text or ""
    if len(element):
        _refuse(f"{path}: elements where {kind} was expected")
    if kind in _LEAVES and not _LEAVES[kind].fullmatch(text):
        _refuse(f"{path}: {text!r} is no {kind}")
    if kind == "timestamp":
        try:
            parse_timestamp(text)
        except ValueError:
            _refuse(f"{path}: {text!r} is no {kind}")
    if kind == "blob" and not _is_base64(text):
        _refuse(f"{path}: is no base64")


def _is_base64(text: str) -> bool:
    """Whether a text is base64 (RFC 4648 section 4), but for white space: botocore skips whatever else stands in it."""
    compact = re.sub(r"[ \t\r\n]", "", text)
    try:
        return base64.b64encode(base64.b64decode(compact, validate=True)).decode() == compact
    except ValueError:
        return False


def _elements_only(element: ET.Element, path: str) -> None:
    for text in (element.text, *(child.tail for child in element)):
        if text and not text.isspace():
            _refuse(f"{path}: text where elements were expected")


def _local(element: ET.Element) -> str:
    return element.tag.rpartition("}")[2]


def _distinct(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise ValueError("a member stands twice")
    return members


def _refuse(message: str) -> NoReturn:
    raise SourceFailure("malformed", message)
