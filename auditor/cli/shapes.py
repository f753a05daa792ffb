"""What people may write where a msgspec type is read, in words: each key, its kind, default and description.

The description of a key is the sentence of its type's docstring that begins with its name in backquotes
(`` `max_days`: most days that … ``), or else the `description` of its `msgspec.Meta`.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import msgspec
import yaml

from auditor.model import JSON
from auditor.wording import SECRET, one_of

Schema = Mapping[str, Any]
SECRET_FORM = "a secret, by reference: {env: NAME} or {file: PATH}"  # noqa: S105 - the form, not a secret
DURATION = "a length of time such as P1D (a day) or PT12H"
WIDE = 10_000
"""So many columns that YAML breaks no line."""
_PLAIN = {"string": "text", "integer": "a whole number", "number": "a number", "boolean": "true or false"}
_SENTENCE = re.compile(r"(?<=[.;])\s+(?=`)")
_PARAGRAPH = re.compile(r"\n\s*\n")
_NAMES = re.compile(r"`(\w+)`(?: \([^)]*\))?(?:,? and |, )?")
_LIMITS = {
    "minimum": "at least {}",
    "exclusiveMinimum": "more than {}",
    "maximum": "at most {}",
    "exclusiveMaximum": "less than {}",
    "minLength": "at least {} characters",
    "maxLength": "at most {} characters",
    "minItems": "{} or more",
    "maxItems": "at most {}",
}


class Key(NamedTuple):
    """One key: its name (dotted where it is inside another), kind, default (None: required) and description."""

    name: str
    kind: str
    default: str | None
    description: str


class Shape:
    """A msgspec struct that people fill in."""

    def __init__(self, struct: type[msgspec.Struct]) -> None:
        (self._reference,), self._definitions = msgspec.json.schema_components([struct])
        self._documented = {name: kind.__doc__ or "" for name, kind in _structs(struct)}
        self._documented[struct.__name__] = inspect.getdoc(struct) or ""

    def keys(self) -> Iterator[Key]:
        """Yield every key, those inside others after them."""
        return self._keys(self._resolved(self._reference), "")

    def example(self, name: str) -> JSON:
        """Return a value that the key may have: the example of its `msgspec.Meta`, else the least there is."""
        return self._example(self._resolved(self._reference)["properties"][name])

    def default(self, name: str) -> JSON:
        """Return the value of a key that is left out."""
        return self._resolved(self._reference)["properties"][name].get("default")

    def _resolved(self, schema: Schema) -> Schema:
        return self._definitions[schema["$ref"].rpartition("/")[2]] if "$ref" in schema else schema

    def _keys(self, shape: Schema, prefix: str) -> Iterator[Key]:
        said = descriptions(self._documented.get(shape.get("title", ""), ""))
        for name, schema in shape.get("properties", {}).items():
            default = None if name in shape.get("required", ()) else in_yaml(schema.get("default"))
            inside = list(self._inner(schema))
            described = said.get(name) or _remark(schema) or self._summary(inside)
            yield Key(f"{prefix}{name}", self._kind(schema), default, described)
            for mark, inner in inside:
                yield from self._keys(inner, f"{prefix}{name}{mark}.")

    def _inner(self, schema: Schema) -> Iterator[tuple[str, Schema]]:
        """Yield the structs that a value may be, or may be a list of."""
        for choice in schema.get("anyOf", [schema]):
            mark, item = ("[]", choice["items"]) if isinstance(choice.get("items"), Mapping) else ("", choice)
            found = self._resolved(item)
            if "properties" in found and found.get("title") != SECRET:
                yield mark, found

    def _summary(self, inside: Sequence[tuple[str, Schema]]) -> str:
        """Return what the one struct that a value is says of itself, where it is one."""
        text = self._documented.get(inside[0][1].get("title", ""), "") if len(inside) == 1 else ""
        sentence = _PARAGRAPH.split(text)[0].partition(". ")[0]
        return " ".join(sentence.split()).rstrip(".")

    def _kind(self, schema: Schema) -> str:
        """Return the kind of a value in words."""
        if "anyOf" in schema:
            kinds = [self._kind(choice) for choice in schema["anyOf"] if choice.get("type") != "null"]
            return ("; or " if any("," in kind for kind in kinds) else " or ").join(dict.fromkeys(kinds))
        found = self._resolved(schema)
        if found.get("title") == SECRET:
            return SECRET_FORM
        if "enum" in found:
            return one_of(found["enum"])
        if found.get("format") == "duration":
            return DURATION
        return ", ".join([self._plain(found), *_limits(found)])

    def _plain(self, schema: Schema) -> str:
        """Return a plain type in words."""
        kind = schema.get("type")
        if kind == "array":
            return f"a list ({self._kind(schema['items'])})" if schema.get("items") else "a list"
        if kind == "object":
            values = schema.get("additionalProperties")
            return f"a mapping (name: {self._kind(values)})" if isinstance(values, Mapping) else "a mapping"
        if kind == "string" and "pattern" in schema:
            return str(schema.get("description", f"text of the form `{schema['pattern']}`"))
        return _PLAIN.get(str(kind), "anything")

    def _example(self, schema: Schema) -> JSON:
        if "examples" in schema:
            return schema["examples"][0]
        if "anyOf" in schema:
            return self._example(next(choice for choice in schema["anyOf"] if choice.get("type") != "null"))
        found = self._resolved(schema)
        if found.get("title") == SECRET:
            return {"env": "NAME"}
        if "enum" in found:
            return found["enum"][0]
        return self._least(found)

    def _least(self, schema: Schema) -> JSON:
        """Return the least value of a plain type."""
        match schema.get("type"):
            case "array":
                return [self._example(schema.get("items", {"type": "string"}))] * max(1, schema.get("minItems", 1))
            case "object":
                return {name: self._example(schema["properties"][name]) for name in schema.get("required", ())}
            case "integer" | "number":
                return schema.get("minimum", schema.get("exclusiveMinimum", 0) + 1)
            case "boolean":
                return True
            case _:
                return "P1D" if schema.get("format") == "duration" else "text"


def descriptions(docstring: str) -> dict[str, str]:
    """Return the sentences of a docstring that begin with names in backquotes, by each of these names."""
    found: dict[str, str] = {}
    for paragraph in _PARAGRAPH.split(docstring):
        for sentence in _SENTENCE.split(" ".join(paragraph.split())):
            names, rest = [], sentence
            while match := _NAMES.match(rest):
                names.append(match[1])
                rest = rest[match.end() :]
            said = rest[2:] if rest.startswith(": ") else sentence
            found |= {name: said.rstrip(".;") for name in names}
    return found


def in_yaml(value: JSON) -> str:
    """Return a value as it is written in YAML, on one line; "none" for nothing."""
    if value is None:
        return "none"
    text = yaml.safe_dump(value, default_flow_style=True, width=WIDE, allow_unicode=True)
    return str(text).removesuffix("\n").removesuffix("\n...")


def _remark(schema: Schema) -> str:
    """Return the description of a key; that of a pattern says what kind of text it is, and not what it is for."""
    return "" if "pattern" in schema else str(schema.get("description", ""))


def _limits(schema: Schema) -> Iterator[str]:
    return (
        words.format(schema[rule])
        for rule, words in _LIMITS.items()
        if rule in schema and (rule, schema[rule]) != ("minLength", 1)  # that text is not empty goes without saying
    )


def _structs(struct: type[msgspec.Struct]) -> Iterator[tuple[str, type]]:
    """Yield every struct inside another, by its name."""
    waiting: list[Any] = [msgspec.inspect.type_info(struct)]
    seen: set[type] = set()
    while waiting:
        info = waiting.pop()
        if isinstance(info, msgspec.inspect.StructType):
            if info.cls in seen:
                continue
            seen.add(info.cls)
            yield info.cls.__name__, info.cls
            waiting += [field.type for field in info.fields]
        elif isinstance(info, msgspec.inspect.Metadata):
            waiting.append(info.type)
        elif isinstance(info, msgspec.inspect.UnionType):
            waiting += info.types
        elif isinstance(info, msgspec.inspect.DictType):
            waiting.append(info.value_type)
        elif hasattr(info, "item_type"):
            waiting.append(info.item_type)
