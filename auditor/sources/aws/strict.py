"""Whether the bytes AWS sent are really the answer that was asked for, before botocore turns them into Python.

botocore is lenient: `TRUE`, `1` and an empty element become False, an unknown filter becomes "all objects", a captive
portal's page becomes `{}`. So the raw XML is compared with the service model first: its root element, every boolean,
number and timestamp, no scalar twice, and no unknown member in structures where one would change the meaning.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any
from xml.etree import ElementTree as ET

from botocore.utils import parse_timestamp

from auditor.questions import SourceFailure

_LEAVES = {
    "boolean": re.compile(r"true|false"),
    "integer": re.compile(r"-?[0-9]+"),
    "long": re.compile(r"-?[0-9]+"),
    "float": re.compile(r"-?[0-9]+(\.[0-9]+)?([eE][-+]?[0-9]+)?"),
    "double": re.compile(r"-?[0-9]+(\.[0-9]+)?([eE][-+]?[0-9]+)?"),
}


def check_xml(body: bytes, root: str, shape: Any, *, closed: Iterable[str] = (), wrapper: str = "") -> None:
    """Raise `SourceFailure` with code `malformed` unless the body is this answer, strictly.

    `root` is the name of the root element, `shape` botocore's model of the output, `closed` the names of shapes in
    which an unknown member is malformed, `wrapper` the element that holds the output in the query protocol.
    """
    if b"<!DOCTYPE" in body[:1024]:
        raise SourceFailure("malformed", "the answer declares a document type, which AWS never does")
    try:
        element = ET.fromstring(body)  # noqa: S314 - no document type, so no entities
    except ET.ParseError as error:
        raise SourceFailure("malformed", f"not XML: {error}") from None
    if _local(element) != root:
        raise SourceFailure("malformed", f"expected <{root}>, got <{_local(element)}>")
    if wrapper:
        inner = [child for child in element if _local(child) == wrapper]
        if len(inner) != 1:
            raise SourceFailure("malformed", f"expected one <{wrapper}> in <{root}>, got {len(inner)}")
        element = inner[0]
    payload = shape.serialization.get("payload")
    shape = shape.members[payload] if payload else shape
    _check_structure(element, shape, frozenset(closed), root)


def _local(element: ET.Element) -> str:
    return element.tag.rpartition("}")[2]


def _check(element: ET.Element, shape: Any, closed: frozenset[str], path: str) -> None:
    if shape.type_name == "structure":
        _check_structure(element, shape, closed, path)
    elif shape.type_name == "list":
        name = shape.member.serialization.get("name", "member")
        for child in element:
            if _local(child) != name:
                raise SourceFailure("malformed", f"{path}: expected <{name}>, got <{_local(child)}>")
            _check(child, shape.member, closed, f"{path}/{name}")
    elif shape.type_name != "map":
        _check_leaf(element, shape.type_name, path)


def _check_structure(element: ET.Element, shape: Any, closed: frozenset[str], path: str) -> None:
    members = _members(shape)
    seen: set[str] = set()
    for child in element:
        name = _local(child)
        member, repeats = members.get(name, (None, False))
        if member is None:
            if shape.name in closed:
                raise SourceFailure("malformed", f"{path}: <{name}> is unknown, and could change what the rest means")
            continue
        if name in seen and not repeats:
            raise SourceFailure("malformed", f"{path}: <{name}> stands twice")
        seen.add(name)
        _check(child, member, closed, f"{path}/{name}")
    if shape.name in closed and (element.text or "").strip():
        raise SourceFailure("malformed", f"{path}: text where elements were expected")


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


def _check_leaf(element: ET.Element, kind: str, path: str) -> None:
    text = element.text or ""
    if len(element):
        raise SourceFailure("malformed", f"{path}: elements where {kind} was expected")
    if kind in _LEAVES and not _LEAVES[kind].fullmatch(text):
        raise SourceFailure("malformed", f"{path}: {text!r} is no {kind}")
    if kind == "timestamp":
        try:
            parse_timestamp(text)
        except ValueError:
            raise SourceFailure("malformed", f"{path}: {text!r} is no timestamp") from None
