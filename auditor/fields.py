"""What a msgspec type asks a person to fill in: each member, what it means, and an example that fits.

Everything is read off the type: a meaning stands in the docstring of its struct, in the clause that names the member
between backticks; an example in `msgspec.Meta(examples=[…])`, or it follows from the type.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import msgspec
from msgspec import inspect

from auditor.model import JSON
from auditor.questions import SecretRef
from auditor.wording import one_of

SECRET = "{env: NAME} or {file: PATH}, never the secret itself"  # noqa: S105 - how to refer to one
PLAUSIBLE = ("example", "https://www.example.com", "123456789012", "public.example", "us-east-1", "1")
"""Texts to try where a pattern wants a certain form."""
_CLAUSE = re.compile(r"(?<=[.;])\s+")


class NoExample(Exception):
    """Nothing that fits can be made up: the type needs `msgspec.Meta(examples=[…])`."""


class Field(msgspec.Struct, frozen=True, kw_only=True):
    """One member of a struct, as it is written in a file.

    `meaning` is empty where nothing says it; `default` is as it would be written.
    """

    name: str
    required: bool
    default: JSON
    meaning: str
    type: inspect.Type


def fields(struct: type[msgspec.Struct]) -> Iterator[Field]:
    """Yield the members of a struct, in their order."""
    for field in _info(struct).fields:
        default = None if field.default is msgspec.NODEFAULT else field.default
        if field.default_factory is not msgspec.NODEFAULT:
            default = field.default_factory()
        yield Field(
            name=field.encode_name,
            required=field.required,
            default=msgspec.to_builtins(default),
            meaning=_meaning(struct, field.encode_name) or _of_type(field.type),
            type=field.type,
        )


def example(kind: inspect.Type, name: str) -> JSON:
    """Return something that fits a type, as it would be written; `name` is what a secret's variable is called after."""
    for base in type(kind).__mro__:
        if base in _EXAMPLES:
            return _EXAMPLES[base](kind, name)
    raise NoExample(type(kind).__name__)


def _of_metadata(kind: inspect.Metadata, name: str) -> JSON:
    found = (kind.extra_json_schema or {}).get("examples")
    return found[0] if found else example(kind.type, name)


def _of_struct(kind: inspect.StructType, name: str) -> JSON:
    if kind.cls is SecretRef:
        return {"env": re.sub(r"\W+", "_", name).upper()}
    return {one.encode_name: example(one.type, f"{name}_{one.encode_name}") for one in kind.fields if one.required}


def _of_union(kind: inspect.UnionType, name: str) -> JSON:
    return example(next(one for one in kind.types if not isinstance(one, inspect.NoneType)), name)


def _of_text(kind: inspect.StrType, name: str) -> str:
    is_url = name.lower().endswith("url")
    for text in sorted(PLAUSIBLE, key=lambda text: is_url and not text.startswith("https:")):
        if kind.pattern is None or re.search(kind.pattern, text):
            return text
    raise NoExample(f"no text of the form {kind.pattern} could be made up")


_EXAMPLES: Mapping[type, Callable[[Any, str], JSON]] = {
    inspect.Metadata: _of_metadata,
    inspect.StructType: _of_struct,
    inspect.UnionType: _of_union,
    inspect.CollectionType: lambda kind, name: [example(kind.item_type, name)],
    inspect.DictType: lambda kind, name: {example(kind.key_type, name): example(kind.value_type, name)},
    inspect.LiteralType: lambda kind, _: kind.values[0],
    inspect.EnumType: lambda kind, _: msgspec.to_builtins(next(iter(kind.cls))),
    inspect.IntType: lambda kind, _: 1 if kind.ge is None else kind.ge,
    inspect.FloatType: lambda kind, _: 1.0 if kind.ge is None else kind.ge,
    inspect.StrType: _of_text,
    inspect.BoolType: lambda *_: True,
    inspect.AnyType: lambda *_: "example",
    inspect.TimeDeltaType: lambda *_: "P1D",
    inspect.DateType: lambda *_: "2026-11-23",
    inspect.DateTimeType: lambda *_: "2026-11-23T12:00:00Z",
}


def prose(struct: type[msgspec.Struct]) -> str:
    """Return what a struct is: the sentences of its docstring that are about no single member."""
    names = [field.encode_name for field in _info(struct).fields]
    sentences = re.split(r"(?<=\.)\s+", " ".join(_clauses(struct)))
    return " ".join(text for text in sentences if not any(f"`{name}`" in text for name in names))


def _meaning(struct: type[msgspec.Struct], name: str) -> str:
    """Return what the docstring of a struct says of a member: the clause that names it, to its sentence's end."""
    names = [field.encode_name for field in _info(struct).fields]
    said: list[str] = []
    for clause in _clauses(struct):
        if f"`{name}`" in clause:
            said = [clause]
        elif said and (said[-1].endswith(".") or any(f"`{other}`" in clause for other in names)):
            break
        elif said:
            said.append(clause)
    return re.sub(rf"^`{name}`(:| is) ", "", " ".join(said)).replace("`", "").rstrip(".;")


def _of_type(kind: inspect.Type) -> str:
    """Return what a type by itself says of a member."""
    if isinstance(kind, inspect.Metadata):
        return _of_type(kind.type)
    if isinstance(kind, inspect.CollectionType):
        return _of_type(kind.item_type)
    if isinstance(kind, inspect.UnionType):
        return next(filter(None, map(_of_type, kind.types)), "")
    if isinstance(kind, inspect.LiteralType):
        return one_of(kind.values)
    if isinstance(kind, inspect.StructType):
        return SECRET if kind.cls is SecretRef else prose(kind.cls).rstrip(".")
    return ""


def _clauses(struct: type[msgspec.Struct]) -> list[str]:
    return _CLAUSE.split(" ".join((struct.__doc__ or "").split()))


def _info(struct: type[msgspec.Struct]) -> inspect.StructType:
    info = inspect.type_info(struct)
    if not isinstance(info, inspect.StructType):
        raise TypeError(f"{struct.__name__} is no struct")
    return info
