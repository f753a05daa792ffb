"""What a msgspec type asks a person to fill in: each member, what it means, and an example that fits.

Everything is read off the type: a meaning stands in the docstring of its struct, in the clause that names the member
between backticks; an example in `msgspec.Meta(examples=[…])`, or it follows from the type.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

import msgspec
from msgspec import inspect

from auditor.model import JSON
from auditor.questions import SecretRef
from auditor.wording import one_of

SECRET = "{env: NAME} or {file: PATH}, never the secret itself"  # noqa: S105 - how to refer to one
PLAUSIBLE = ("example", "https://www.example.com", "123456789012", "public.example", "us-east-1", "1")
"""Texts to try where a pattern wants a certain form."""
_CLAUSE = re.compile(r"(?<=[.;])\s+")
_ALIKE: dict[type[inspect.Type], JSON] = {
    inspect.AnyType: "example",
    inspect.BoolType: True,
    inspect.TimeDeltaType: "P1D",
    inspect.DateType: "2026-11-23",
    inspect.DateTimeType: "2026-11-23T12:00:00Z",
}


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
        default = None if field.default is inspect.NODEFAULT else field.default
        if field.default_factory is not inspect.NODEFAULT:
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
    if isinstance(kind, inspect.Metadata):
        found = (kind.extra_json_schema or {}).get("examples")
        return found[0] if found else example(kind.type, name)
    if isinstance(kind, inspect.StructType):
        if kind.cls is SecretRef:
            return {"env": re.sub(r"\W+", "_", name).upper()}
        return {one.encode_name: example(one.type, f"{name}_{one.encode_name}") for one in kind.fields if one.required}
    if isinstance(kind, inspect.UnionType):
        return example(next(one for one in kind.types if not isinstance(one, inspect.NoneType)), name)
    if isinstance(kind, inspect.CollectionType):
        return [example(kind.item_type, name)]
    if isinstance(kind, inspect.DictType):
        return {example(kind.key_type, name): example(kind.value_type, name)}
    if isinstance(kind, inspect.LiteralType):
        return kind.values[0]
    if isinstance(kind, inspect.EnumType):
        return msgspec.to_builtins(next(iter(kind.cls)))
    if isinstance(kind, inspect.IntType | inspect.FloatType):
        return 1 if kind.ge is None else kind.ge
    if isinstance(kind, inspect.StrType):
        return _text(kind.pattern)
    if type(kind) in _ALIKE:
        return _ALIKE[type(kind)]
    raise NoExample(type(kind).__name__)


def _text(pattern: str | None) -> str:
    for text in PLAUSIBLE:
        if pattern is None or re.search(pattern, text):
            return text
    raise NoExample(f"a text of the form {pattern}")


def prose(struct: type[msgspec.Struct]) -> str:
    """Return what a struct is: the sentences of its docstring that are about no single member."""
    names = [field.encode_name for field in _info(struct).fields]
    sentences = re.split(r"(?<=\.)\s+", " ".join(_clauses(struct)))
    return " ".join(text for text in sentences if not any(f"`{name}`" in text for name in names))


def _meaning(struct: type[msgspec.Struct], name: str) -> str:
    """Return what the docstring of a struct says of a member: the clause that names it, up to the end of its sentence."""
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
