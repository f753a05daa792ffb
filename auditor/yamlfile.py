"""YAML files people edit: what they should look like is a msgspec type, and every mistake is named with its place."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any, TypeVar

import jsonschema
import msgspec
from jsonschema.exceptions import ValidationError
from msgspec import inspect

from auditor import wording, yamlcore
from auditor.model import JSON, Problem

T = TypeVar("T")
Steps = tuple[str | int, ...]

MAX_BYTES = 5_000_000


class Document:
    """One file: its text and data, where each value stands, and the mistakes met while reading it."""

    def __init__(self, file: str, text: str) -> None:
        self.file = file
        self.text = text
        self._reading = yamlcore.Reading(text)
        self.data: JSON = self._reading.data
        self.problems = [Problem(message, file, *place) for message, place in self._reading.mistakes]

    def problem(self, message: str, path: Sequence[str | int] = (), *, at_key: bool = False) -> Problem:
        """Describe a mistake at the value (or the key) at `path`, or at its nearest ancestor in the file."""
        where = tuple(path)
        if at_key and where in self._reading.keys:
            return Problem(message, self.file, *self._reading.keys[where])
        while where and where not in self._reading.values:
            where = where[:-1]
        return Problem(message, self.file, *self.place(where))

    def place(self, path: Sequence[str | int]) -> yamlcore.Place:
        """Return the place of the value at `path`."""
        return self._reading.values.get(tuple(path), yamlcore.Place(1, 1))


def read(path: Path, *, missing: str = "") -> tuple[Document | None, list[Problem]]:
    """Read a file; without a document there is one problem that says why it could not be opened or decoded.

    `missing` is what to say where there is no such file.
    """
    file = str(path)
    try:
        with path.open("rb") as handle:
            raw = handle.read(MAX_BYTES + 1)
        if len(raw) > MAX_BYTES:
            return None, [Problem(f"is larger than {MAX_BYTES:,} bytes", file)]
        document = Document(file, raw.decode("utf-8"))
    except UnicodeDecodeError as error:
        place = yamlcore.place_in(raw[: error.start].decode("utf-8"), error.start)
        return None, [Problem("is not UTF-8 text; save it as UTF-8", file, *place)]
    except ValueError:
        return None, [Problem("cannot be read: no such name is possible", file)]
    except OSError as error:
        is_missing = isinstance(error, FileNotFoundError) and missing
        return None, [Problem(missing if is_missing else wording.unreadable(error), file)]
    return document, document.problems


def is_other(document: Document, theirs: str, ours: str) -> bool:
    """Whether a file is of another kind: it has the key that only those have, and not the one that ours must have."""
    return isinstance(document.data, dict) and theirs in document.data and ours not in document.data


def in_order(problems: Iterable[Problem]) -> list[Problem]:
    """Return each problem once, file by file, from top to bottom."""
    return sorted(dict.fromkeys(problems), key=lambda problem: (problem.file, problem.line, problem.column))


def check_shape(
    document: Document, shape: Any, path: Sequence[str | int] = (), *, ignoring: Collection[str] = ()
) -> list[Problem]:
    """Return everything in the document, or its part at `path`, that does not fit the msgspec type.

    Keys in `ignoring` belong to somebody else and are not looked at.
    """
    part = _part(document, path, ignoring)
    found: dict[Problem, Steps] = {}
    for error in _validator(shape).iter_errors(part):
        for leaf in _leaves(error):
            where = (*path, *leaf.absolute_path)
            for message, key in wording.of_schema_error(leaf, where):
                at = (*where, key) if key else where
                found[document.problem(message, at, at_key=bool(key))] = where
    for struct, value, steps in _structs(_type_of(shape), part, tuple(path)):
        if (broken := _broken_rule(struct, value, steps, found.values())) is not None:
            message, at = broken
            found[document.problem(message, at)] = steps
    return list(found)


def convert(
    document: Document, shape: type[T], path: Sequence[str | int] = (), *, ignoring: Collection[str] = ()
) -> tuple[T | None, list[Problem]]:
    """Return the document, or its part at `path`, as `shape`; or every problem that prevents it."""
    if document.data is None:
        return None, []
    problems = check_shape(document, shape, path, ignoring=ignoring)
    if problems:
        return None, problems
    return msgspec.convert(_part(document, path, ignoring), shape, strict=True), []


def walk(data: JSON, steps: Sequence[str | None], path: Steps = ()) -> Iterator[tuple[Steps, JSON]]:
    """Yield the place and value of everything at a path in which None stands for every item of a list."""
    if not steps:
        yield path, data
    elif steps[0] is None:
        for index, item in enumerate(data if isinstance(data, list) else []):
            yield from walk(item, steps[1:], (*path, index))
    elif isinstance(data, dict) and steps[0] in data:
        yield from walk(data[steps[0]], steps[1:], (*path, steps[0]))


def _part(document: Document, path: Sequence[str | int], ignoring: Collection[str]) -> JSON:
    part = document.data
    for step in path:
        part = part[step]
    if ignoring and isinstance(part, dict):
        return {key: value for key, value in part.items() if key not in ignoring}
    return part


def _is_duration(text: object) -> bool:
    try:
        return not isinstance(text, str) or msgspec.convert(text, dt.timedelta) > dt.timedelta(0)
    except msgspec.ValidationError:
        return False


def _matches(_validator: object, pattern: str, instance: object, _schema: object) -> Iterator[ValidationError]:
    """Match as JSON Schema has it (ECMA 262): digits are ASCII, and `$` is not before a last newline."""
    python = pattern[:-1] + r"\Z" if pattern.endswith("$") else pattern
    if isinstance(instance, str) and not re.search(python, instance, re.ASCII):
        yield ValidationError("does not match")


_FORMATS = jsonschema.FormatChecker(formats=())
_FORMATS.checks("duration")(_is_duration)
_Strict = jsonschema.validators.extend(  # type: ignore[no-untyped-call]
    jsonschema.Draft202012Validator,
    {"pattern": _matches},
    type_checker=jsonschema.Draft202012Validator.TYPE_CHECKER.redefine(
        "integer", lambda _checker, value: isinstance(value, int) and not isinstance(value, bool)
    ),
)


@lru_cache(maxsize=256)
def _validator(shape: Any) -> Any:
    return _Strict(msgspec.json.schema(shape), format_checker=_FORMATS)


@lru_cache(maxsize=256)
def _type_of(shape: Any) -> inspect.Type:
    return inspect.type_info(shape)


def _structs(kind: inspect.Type, value: JSON, path: Steps) -> Iterator[tuple[type[msgspec.Struct], JSON, Steps]]:
    """Yield every part of the value that is to be a struct, the innermost first."""
    for part in _parts(kind, value, path):
        yield from _structs(*part)
    if isinstance(kind, inspect.StructType) and isinstance(value, dict):
        yield kind.cls, value, path


def _broken_rule(
    struct: type[msgspec.Struct], value: Mapping[str, JSON], path: Steps, wrong: Collection[Steps]
) -> tuple[str, Steps] | None:
    """Return what a rule that the struct states in code says of a value, and where; members known to be wrong apart.

    Such a message begins with the member's name where it is about one.
    """
    depth = len(path)
    apart = {where[depth] for where in wrong if where[:depth] == path and len(where) > depth}
    apart |= value.keys() - set(struct.__struct_encode_fields__) if path in wrong else set()
    required = {field.encode_name for field in msgspec.structs.fields(struct) if field.required}
    sound = {name: member for name, member in value.items() if name not in apart}
    if not required <= sound.keys():
        return None
    try:
        msgspec.convert(sound, struct, strict=True)
    except msgspec.ValidationError as error:
        message, _, _ = str(error).partition(" - at `")
        member, _, _ = message.partition(": ")
        if member in sound:
            return message, (*path, member)
        return None if apart else (wording.named(path, message), path)
    return None


def _parts(kind: inspect.Type, value: JSON, path: Steps) -> Iterator[tuple[inspect.Type, JSON, Steps]]:
    """Yield the types that a type is made of, each with the part of the value that it is about."""
    if isinstance(kind, inspect.Metadata):
        yield kind.type, value, path
    elif isinstance(kind, inspect.UnionType):
        yield from ((alternative, value, path) for alternative in kind.types)
    elif isinstance(kind, inspect.CollectionType) and isinstance(value, list):
        yield from ((kind.item_type, item, (*path, index)) for index, item in enumerate(value))
    elif isinstance(value, dict) and isinstance(kind, inspect.StructType | inspect.DictType):
        fields = {field.encode_name: field.type for field in getattr(kind, "fields", ())}
        rest = getattr(kind, "value_type", inspect.AnyType())
        yield from ((fields.get(name, rest), item, (*path, name)) for name, item in value.items())


def _leaves(error: ValidationError) -> Iterator[ValidationError]:
    """Yield the innermost errors: of alternatives, those of the one that was meant."""
    branches: dict[Any, list[ValidationError]] = {}
    for inner in error.context or ():
        branches.setdefault(inner.schema_path[0], []).append(inner)
    # An alternative of the right kind is the one that was meant: what is wrong with it is a detail, or further inside.
    meant = [branch for branch in branches.values() if not any(map(_is_of_another_kind, branch))]
    if not meant:
        yield error
    for inner in meant[0] if meant else ():
        yield from _leaves(inner)


def _is_of_another_kind(error: ValidationError) -> bool:
    return error.validator in ("type", "enum") and not error.path
