"""YAML files people edit: strict loading, and every mistake reported at its line and column.

YAML 1.2 core scalars only: PyYAML's own loader follows YAML 1.1, which reads account `012345670123` as octal, `no` as
False and `2026-11-23` as a date. Duplicate keys are mistakes, and aliases are bounded.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Collection, Iterable, Iterator, Sequence
from functools import lru_cache
from typing import Any, TypeVar

import jsonschema
import msgspec
import yaml
from jsonschema.exceptions import ValidationError

from auditor.model import JSON, Problem

T = TypeVar("T")
Path = tuple[str | int, ...]

MAX_NODES = 200_000
"""Nodes of one file after aliases are expanded: far above any policy, far below what exhausts memory."""
MAX_BYTES = 5_000_000

_CORE_SCALARS = {
    "null": re.compile(r"~|null|Null|NULL|", re.ASCII),
    "bool": re.compile(r"true|True|TRUE|false|False|FALSE", re.ASCII),
    "int": re.compile(r"[-+]?(0|[1-9][0-9]*)|0o[0-7]+|0x[0-9a-fA-F]+", re.ASCII),
    "float": re.compile(
        r"[-+]?(\.[0-9]+|(0|[1-9][0-9]*)(\.[0-9]*)?)([eE][-+]?[0-9]+)?|[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)", re.ASCII
    ),
}


class _CoreLoader(yaml.SafeLoader):
    """Composes nodes only; scalars are read by us."""

    yaml_implicit_resolvers: dict[str, Any] = {}  # noqa: RUF012 - PyYAML reads it from the class


class Document:
    """One loaded file: its data, where each value stands, and the problems met while reading."""

    def __init__(self, file: str, text: str) -> None:
        self.file = file
        self.data: JSON = None
        self.problems: list[Problem] = []
        self._values: dict[Path, yaml.Mark] = {}
        self._keys: dict[Path, yaml.Mark] = {}
        self._nodes = 0
        self._read(text)

    def problem(self, message: str, path: Sequence[str | int] = (), *, at_key: bool = False) -> Problem:
        """Describe a mistake at the value (or the key) at `path`, or at its nearest ancestor in the file."""
        where = tuple(path)
        if at_key and where in self._keys:
            mark = self._keys[where]
            return Problem(message, self.file, mark.line + 1, mark.column + 1)
        while where and where not in self._values:
            where = where[:-1]
        line, column = self.line_column(where)
        return Problem(message, self.file, line, column)

    def line_column(self, path: Sequence[str | int]) -> tuple[int, int]:
        """Return the 1-based place of the value at `path`."""
        mark = self._values.get(tuple(path))
        return (mark.line + 1, mark.column + 1) if mark else (1, 1)

    def _read(self, text: str) -> None:
        if len(text) > MAX_BYTES:
            self.problems.append(Problem(f"larger than {MAX_BYTES:,} bytes", self.file))
            return
        try:
            node = yaml.compose(text, Loader=_CoreLoader)
        except yaml.MarkedYAMLError as error:
            mark = error.problem_mark or error.context_mark
            line, column = (mark.line + 1, mark.column + 1) if mark else (1, 1)
            what = " ".join(part for part in (error.context, error.problem) if part)
            self.problems.append(Problem(f"not YAML: {what}", self.file, line, column))
        except (yaml.YAMLError, RecursionError) as error:
            self.problems.append(Problem(f"not YAML: {error}", self.file, 1, 1))
        else:
            if node is None:
                self.problems.append(Problem("the file is empty", self.file, 1, 1))
            else:
                self._build_root(node)

    def _build_root(self, node: yaml.Node) -> None:
        try:
            self.data = self._build(node, (), frozenset())
        except _Stopped as stopped:
            self.problems.append(self._at(stopped.node, str(stopped)))
        except RecursionError:
            self.problems.append(self._at(node, "nested too deep"))

    def _at(self, node: yaml.Node, message: str) -> Problem:
        return Problem(message, self.file, node.start_mark.line + 1, node.start_mark.column + 1)

    def _build(self, node: yaml.Node, path: Path, open_nodes: frozenset[int]) -> JSON:
        self._nodes += 1
        if self._nodes > MAX_NODES:
            raise _Stopped(node, f"more than {MAX_NODES:,} values once aliases are expanded")
        if id(node) in open_nodes:
            raise _Stopped(node, "an alias to something that contains it")
        self._values[path] = node.start_mark
        inside = open_nodes | {id(node)}
        if isinstance(node, yaml.MappingNode):
            self._plain_tag(node, "map")
            return self._build_mapping(node, path, inside)
        if isinstance(node, yaml.SequenceNode):
            self._plain_tag(node, "seq")
            return [self._build(item, (*path, index), inside) for index, item in enumerate(node.value)]
        return self._scalar(node)

    def _build_mapping(self, node: yaml.MappingNode, path: Path, inside: frozenset[int]) -> dict[str, JSON]:
        result: dict[str, JSON] = {}
        for key_node, value_node in node.value:
            key = key_node.value if isinstance(key_node, yaml.ScalarNode) else None
            if key is None:
                self.problems.append(self._at(key_node, "a key must be plain text"))
                continue
            if key == "<<" and key_node.style is None:
                self.problems.append(self._at(key_node, "merge keys (<<) are not part of YAML 1.2"))
                continue
            if key in result:
                self.problems.append(self._at(key_node, f"duplicate key {key!r}"))
                continue
            self._keys[(*path, key)] = key_node.start_mark
            result[key] = self._build(value_node, (*path, key), inside)
        return result

    def _plain_tag(self, node: yaml.Node, expected: str) -> None:
        if node.tag != f"tag:yaml.org,2002:{expected}":
            self.problems.append(self._at(node, f"unexpected tag {node.tag}"))

    def _scalar(self, node: yaml.Node) -> JSON:
        value: str = node.value
        if node.tag not in ("tag:yaml.org,2002:str", "!"):
            self.problems.append(self._at(node, f"unexpected tag {node.tag}"))
        if isinstance(node, yaml.ScalarNode) and node.style is None:
            for kind, pattern in _CORE_SCALARS.items():
                if pattern.fullmatch(value):
                    return _core_value(kind, value)
        return value


class _Stopped(Exception):
    def __init__(self, node: yaml.Node, message: str) -> None:
        super().__init__(message)
        self.node = node


def _core_value(kind: str, text: str) -> JSON:
    if kind == "null":
        return None
    if kind == "bool":
        return text.lower() == "true"
    if kind == "int":
        return int(text, 0) if text[:2] in ("0o", "0x") else int(text)
    return float(
        text.replace(".inf", "inf").replace(".Inf", "inf").replace(".INF", "inf").lower().replace(".nan", "nan")
    )


def did_you_mean(wrong: str, known: Iterable[str]) -> str:
    """Return ` (did you mean 'x'?)` where something known is close, else an empty text."""
    close = difflib.get_close_matches(wrong, list(known), n=1, cutoff=0.6)
    return f" (did you mean {close[0]!r}?)" if close else ""


@lru_cache(maxsize=256)
def schema_of(shape: Any) -> dict[str, Any]:
    """Return the JSON Schema (2020-12) of a msgspec type."""
    return msgspec.json.schema(shape)


def check_shape(
    document: Document, shape: Any, path: Sequence[str | int] = (), *, ignoring: Collection[str] = ()
) -> list[Problem]:
    """Return everything in the document, or its part at `path`, that does not fit the msgspec type.

    Keys in `ignoring` belong to somebody else and are not looked at.
    """
    part = _part(document, path, ignoring)
    validator = jsonschema.Draft202012Validator(schema_of(shape))
    leaves = (leaf for error in validator.iter_errors(part) for leaf in _leaves(error))
    return [problem for leaf in leaves for problem in _describe(document, leaf, tuple(path))]


def convert(
    document: Document, shape: type[T], path: Sequence[str | int] = (), *, ignoring: Collection[str] = ()
) -> tuple[T | None, list[Problem]]:
    """Return the document, or its part at `path`, as `shape`; or every problem that prevents it."""
    problems = check_shape(document, shape, path, ignoring=ignoring)
    if problems:
        return None, problems
    try:
        return msgspec.convert(_part(document, path, ignoring), shape, strict=True), []
    except msgspec.ValidationError as error:
        message, _, where = str(error).partition(" - at `")
        steps = [int(index) if index else name for name, index in re.findall(r"\.([\w-]+)|\[(\d+)\]", where)]
        return None, [document.problem(message[:1].lower() + message[1:], (*path, *steps))]


def _part(document: Document, path: Sequence[str | int], ignoring: Collection[str]) -> JSON:
    part = document.data
    for step in path:
        part = part[step]
    if ignoring and isinstance(part, dict):
        return {key: value for key, value in part.items() if key not in ignoring}
    return part


def _leaves(error: ValidationError) -> Iterator[ValidationError]:
    """Yield the innermost errors: of alternatives, those of the one that fits best."""
    if error.validator not in ("anyOf", "oneOf") or not error.context:
        yield error
        return
    branches: dict[Any, list[ValidationError]] = {}
    for inner in error.context:
        branches.setdefault(inner.schema_path[0], []).append(inner)
    # A branch that fails only deeper inside is the one the author meant; `null` is nobody's intention.
    meant = max(branches.values(), key=lambda branch: (min(len(inner.path) for inner in branch), -len(branch)))
    if min(len(inner.path) for inner in meant) > 0 or any(inner.validator == "additionalProperties" for inner in meant):
        for inner in meant:
            yield from _leaves(inner)
    else:
        yield error


def _describe(document: Document, error: ValidationError, base: Path) -> Iterator[Problem]:
    path = (*base, *error.absolute_path)
    name = str(path[-1]) if path else "the file"
    value: Any = error.validator_value
    found: Any = error.instance
    if error.validator == "additionalProperties":
        schema: Any = error.schema
        known = schema.get("properties", {})
        for extra in (key for key in found if key not in known):
            yield document.problem(f"unknown key {extra!r}{did_you_mean(extra, known)}", (*path, extra), at_key=True)
    elif error.validator == "required":
        # One error stands for one missing key: jsonschema names it only in its message.
        missing = next(key for key in value if repr(key) in error.message)
        yield document.problem(f"{name}: missing {missing!r}", path)
    elif error.validator == "enum":
        choices = [str(choice) for choice in value]
        hint = did_you_mean(str(found), choices)
        yield document.problem(f"{name}: {found!r} is none of {', '.join(choices)}{hint}", path)
    elif error.validator == "type":
        yield document.problem(f"{name}: expected {value}, got {_kind(found)}", path)
    elif error.validator in ("anyOf", "oneOf"):
        yield document.problem(f"{name}: expected {_alternatives(value)}, got {_kind(found)}", path)
    else:
        yield document.problem(f"{name}: {error.message}", path)


def _kind(value: JSON) -> str:
    names = {
        dict: "an object",
        list: "a list",
        bool: "a boolean",
        int: "a number",
        float: "a number",
        type(None): "nothing",
    }
    return names.get(type(value), f"the text {value!r}" if isinstance(value, str) else type(value).__name__)


def _alternatives(schemas: Sequence[dict[str, Any]]) -> str:
    names = []
    for schema in schemas:
        if "enum" in schema:
            names.append(" or ".join(map(repr, schema["enum"])))
        elif "$ref" in schema:
            names.append("an object")
        else:
            names.append(str(schema.get("type", "something else")))
    return " or ".join(name for name in names if name != "null")
