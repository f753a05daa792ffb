"""What people may write where a msgspec struct is read: every key, its kind, default, description and an example.

All of it is read off the type. A key is described by the clause of its struct's docstring that begins with its name:

    A database. `host` and `port`: its first endpoint; every endpoint is probed. `mode` is how it is asked.

A clause ends with its sentence, or at the semicolon before the next one; what it says stands behind a colon, "is"
or "are". Sentences that begin with no key say what the struct itself is. Without a clause, the `description` of the
key's `msgspec.Meta` counts, or else what the one struct that stands there says of itself.

An example is that of `msgspec.Meta(examples=[…])`, or follows from the type.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

import msgspec
from msgspec import inspect

from auditor import yamlcore
from auditor.model import JSON
from auditor.questions import SecretRef
from auditor.wording import one_of

SECRET = "a secret, by reference: {env: NAME} or {file: PATH}"  # noqa: S105 - how to refer to one
DURATION = "a length of time such as P1D (a day) or PT12H"
PLAUSIBLE = ("example", "https://www.example.com", "123456789012", "public.example", "us-east-1", "1")
"""Texts to try where a pattern wants a certain form."""
UNBROKEN = 2**31
"""So many columns that YAML breaks no line."""
_PARAGRAPH = re.compile(r"\n\s*\n")
_SENTENCE = re.compile(r"(?<=\.)\s+")
_CLAUSE = re.compile(r"(?<=;)\s+(?=`)")
_NAME = re.compile(r"`(\w+)`(?: \([^)]*\))?(?:,? (?:and|or) (?=`)|, (?=`))?")
_LIMITS = {"ge": "at least {}", "gt": "more than {}", "le": "at most {}", "lt": "less than {}"}


class NoExample(Exception):
    """Nothing that fits can be made up: the type needs `msgspec.Meta(examples=[…])`."""


class Key(msgspec.Struct, frozen=True, kw_only=True):
    """One key of a struct, as it is written in a file: dotted where it is inside another.

    `default` is as it would be written; `described_with` are the keys that the same clause describes, itself included.
    `description` is empty where nothing says it.
    """

    name: str
    required: bool
    default: JSON
    description: str
    described_with: tuple[str, ...]
    type: inspect.Type

    @property
    def kind(self) -> str:
        """What kind of value it has, in words."""
        return in_words(self.type)


class _Clause(NamedTuple):
    """A part of a docstring: which keys it begins with (none: it is about the struct), and what it says."""

    keys: tuple[str, ...]
    said: str


def keys(struct: type[msgspec.Struct]) -> Iterator[Key]:
    """Yield the keys of a struct, in their order."""
    info = _info(struct)
    said = {name: clause for clause in _clauses(info) for name in clause.keys}
    for field in info.fields:
        name = field.encode_name
        default = None if field.default is msgspec.NODEFAULT else field.default
        if field.default_factory is not msgspec.NODEFAULT:
            default = field.default_factory()
        clause = said.get(name, _Clause((name,), _remark(field.type) or _of_the_one_inside(field.type)))
        yield Key(
            name=name,
            required=field.required,
            default=msgspec.to_builtins(default),
            description=clause.said,
            described_with=clause.keys,
            type=field.type,
        )


def every_key(struct: type[msgspec.Struct], prefix: str = "") -> Iterator[Key]:
    """Yield the keys of a struct, each followed by those inside it: `a`, `a.b`, `list[].b`, `mapping.NAME.b`."""
    for key in keys(struct):
        name = prefix + key.name
        yield msgspec.structs.replace(key, name=name)
        for mark, inner in _inside(key.type):
            yield from every_key(inner, f"{name}{mark}.")


def prose(struct: type[msgspec.Struct]) -> str:
    """Return what a struct says of itself: the sentences of its docstring that begin with no key."""
    return " ".join(f"{clause.said}." for clause in _clauses(_info(struct)) if not clause.keys)


def in_words(kind: inspect.Type) -> str:
    """Return what kind of value a type is, as the person who writes the file would say."""
    return str(_by_type(_KINDS, kind, lambda _: "anything")(kind))


def example(kind: inspect.Type, name: str) -> JSON:
    """Return something that fits a type, as it would be written; `name` is what a secret's variable is called after."""

    def nothing(*_: object) -> JSON:
        raise NoExample(f"there is no example of {type(kind).__name__}")

    return _by_type(_EXAMPLES, kind, nothing)(kind, name)


def in_yaml(value: JSON) -> str:
    """Return a value in YAML, on one line."""
    text = yamlcore.dump(value, default_flow_style=True, width=UNBROKEN)
    return str(text).removesuffix("...\n").rstrip("\n")


def _info(struct: type[msgspec.Struct]) -> inspect.StructType:
    info = inspect.type_info(struct)
    if not isinstance(info, inspect.StructType):
        raise TypeError(f"{struct.__name__} is no struct")
    return info


def _by_type(table: Mapping[type, Any], kind: inspect.Type, otherwise: Callable[..., Any]) -> Any:
    return next((table[base] for base in type(kind).__mro__ if base in table), otherwise)


def _clauses(info: inspect.StructType) -> Iterator[_Clause]:
    """Yield the parts of a struct's docstring."""
    known = {field.encode_name for field in info.fields}
    for paragraph in _PARAGRAPH.split(info.cls.__doc__ or ""):
        for sentence in _SENTENCE.split(" ".join(paragraph.split())):
            found: list[_Clause] = []
            for text in _CLAUSE.split(sentence):
                clause = _clause(text.rstrip(".;"), known)
                if found and not clause.keys:
                    clause = _Clause(found[-1].keys, f"{found.pop().said}; {clause.said}")
                found.append(clause)
            yield from (clause for clause in found if clause.said)


def _clause(text: str, known: set[str]) -> _Clause:
    names: list[str] = []
    rest = text
    while (match := _NAME.match(rest)) and match[1] in known:
        names.append(match[1])
        rest = rest[match.end() :]
    verb = re.match(": | is | are ", rest) if names else None
    return _Clause(tuple(names), rest[verb.end() :] if verb else text)


def _remark(kind: inspect.Type) -> str:
    """Return the description of a type; that of a pattern says what kind of text it is, and not what it is for."""
    if not isinstance(kind, inspect.Metadata) or getattr(kind.type, "pattern", None) is not None:
        return ""
    return str((kind.extra_json_schema or {}).get("description", ""))


def _of_the_one_inside(kind: inspect.Type) -> str:
    """Return what the one struct that a value is says of itself, where it is one."""
    inside = list(_inside(kind))
    return _SENTENCE.split(prose(inside[0][1]))[0].rstrip(".") if len(inside) == 1 else ""


def _inside(kind: inspect.Type) -> Iterator[tuple[str, type[msgspec.Struct]]]:
    """Yield the structs that a value may be or hold, and what stands between their keys and its name."""
    marked: tuple[str, tuple[inspect.Type, ...]] = ("", ())
    match kind:
        case inspect.StructType() if kind.cls is not SecretRef:
            yield "", kind.cls
        case inspect.Metadata():
            marked = "", (kind.type,)
        case inspect.UnionType():
            marked = "", kind.types
        case inspect.CollectionType():
            marked = "[]", (kind.item_type,)
        case inspect.TupleType():
            marked = "[]", kind.item_types
        case inspect.DictType():
            marked = ".NAME", (kind.value_type,)
    mark, types = marked
    for one in types:
        yield from ((mark + further, struct) for further, struct in _inside(one))


# In words


def _kind_of_metadata(kind: inspect.Metadata) -> str:
    said = (kind.extra_json_schema or {}).get("description")
    return str(said) if said and getattr(kind.type, "pattern", None) is not None else in_words(kind.type)


def _kind_of_union(kind: inspect.UnionType) -> str:
    kinds = [in_words(one) for one in kind.types if not isinstance(one, inspect.NoneType)]
    return ("; or " if any("," in one for one in kinds) else " or ").join(dict.fromkeys(kinds))


def _kind_of_text(kind: inspect.StrType) -> str:
    least = f"at least {kind.min_length} characters" if kind.min_length not in (None, 1) else ""
    most = f"at most {kind.max_length} characters" if kind.max_length is not None else ""
    form = "text" if kind.pattern is None else f"text of the form `{kind.pattern}`"
    return ", ".join(filter(None, (form, least, most)))  # that it is not empty goes without saying


def _kind_of_list(kind: inspect.CollectionType) -> str:
    items = "" if isinstance(kind.item_type, inspect.AnyType) else f" ({in_words(kind.item_type)})"
    least = f"{kind.min_length} or more" if kind.min_length is not None else ""
    most = f"at most {kind.max_length}" if kind.max_length is not None else ""
    return ", ".join(filter(None, (f"a list{items}", least, most)))


def _kind_of_number(word: str) -> Callable[[Any], str]:
    def kind_of(kind: inspect.IntType | inspect.FloatType) -> str:
        limits = ((words, getattr(kind, name)) for name, words in _LIMITS.items())
        return ", ".join([word, *(words.format(limit) for words, limit in limits if limit is not None)])

    return kind_of


def _kind_of_mapping(kind: inspect.DictType) -> str:
    return (
        "a mapping"
        if isinstance(kind.value_type, inspect.AnyType)
        else f"a mapping (name: {in_words(kind.value_type)})"
    )


_KINDS: Mapping[type, Callable[[Any], str]] = {
    inspect.Metadata: _kind_of_metadata,
    inspect.StructType: lambda kind: SECRET if kind.cls is SecretRef else "a mapping",
    inspect.UnionType: _kind_of_union,
    inspect.CollectionType: _kind_of_list,
    inspect.TupleType: lambda kind: f"a list ({', then '.join(map(in_words, kind.item_types))})",
    inspect.DictType: _kind_of_mapping,
    inspect.LiteralType: lambda kind: one_of(kind.values),
    inspect.EnumType: lambda kind: one_of(map(msgspec.to_builtins, kind.cls)),
    inspect.IntType: _kind_of_number("a whole number"),
    inspect.FloatType: _kind_of_number("a number"),
    inspect.StrType: _kind_of_text,
    inspect.BoolType: lambda _: "true or false",
    inspect.TimeDeltaType: lambda _: DURATION,
    inspect.DateType: lambda _: "a day such as 2026-11-23",
    inspect.DateTimeType: lambda _: "a time such as 2026-11-23T12:00:00Z",
}


# An example


def _example_of_metadata(kind: inspect.Metadata, name: str) -> JSON:
    found = (kind.extra_json_schema or {}).get("examples")
    return found[0] if found else example(kind.type, name)


def _example_of_struct(kind: inspect.StructType, name: str) -> JSON:
    if kind.cls is SecretRef:
        return {"env": re.sub(r"\W+", "_", name).upper()}
    return {one.encode_name: example(one.type, f"{name}_{one.encode_name}") for one in kind.fields if one.required}


def _example_of_union(kind: inspect.UnionType, name: str) -> JSON:
    return example(next(one for one in kind.types if not isinstance(one, inspect.NoneType)), name)


def _example_of_list(kind: inspect.CollectionType, name: str) -> JSON:
    return [example(kind.item_type, name)] * max(1, kind.min_length or 1)


def _example_of_number(kind: inspect.IntType | inspect.FloatType, _: str) -> JSON:
    if kind.ge is not None:
        return kind.ge
    return 1 if kind.gt is None else kind.gt + 1


def _example_of_text(kind: inspect.StrType, name: str) -> str:
    is_url = name.lower().endswith("url")
    for text in sorted(PLAUSIBLE, key=lambda text: is_url and not text.startswith("https:")):
        if kind.pattern is None or re.search(kind.pattern, text):
            return text
    raise NoExample(f"no text of the form {kind.pattern} could be made up")


_EXAMPLES: Mapping[type, Callable[[Any, str], JSON]] = {
    inspect.Metadata: _example_of_metadata,
    inspect.StructType: _example_of_struct,
    inspect.UnionType: _example_of_union,
    inspect.CollectionType: _example_of_list,
    inspect.TupleType: lambda kind, name: [example(one, name) for one in kind.item_types],
    inspect.DictType: lambda kind, name: {example(kind.key_type, name): example(kind.value_type, name)},
    inspect.LiteralType: lambda kind, _: kind.values[0],
    inspect.EnumType: lambda kind, _: msgspec.to_builtins(next(iter(kind.cls))),
    inspect.IntType: _example_of_number,
    inspect.FloatType: _example_of_number,
    inspect.StrType: _example_of_text,
    inspect.BoolType: lambda *_: True,
    inspect.AnyType: lambda *_: "example",
    inspect.TimeDeltaType: lambda *_: "P1D",
    inspect.DateType: lambda *_: "2026-11-23",
    inspect.DateTimeType: lambda *_: "2026-11-23T12:00:00Z",
}
