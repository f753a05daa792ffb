"""Entries to be filled in, in YAML with every key explained: a target of auditor.yaml, a test of a policy pack.

Everything follows from the types of checks and sources. An entry is valid as it stands, and stays so where the mark of
an optional key (`#key: value`) is taken away.
"""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterator, Mapping, Sequence

import msgspec

from auditor.checking import Check
from auditor.model import JSON
from auditor.questions import SourceType
from auditor.shapes import Key, NoExample, example, in_yaml, keys, prose

WIDTH = 80
LONGEST_TARGET, LONGEST_TEST = 41, 80
"""Characters of a target's id, and of a claim's or a test's."""
_NOTHING: tuple[JSON, ...] = (None, "", [], {}, ())


def settings_entry(kind: SourceType, indent: str) -> list[str]:
    """Return a target of this type with every setting; `NoExample` says why there is none."""
    values = _values(kind.settings, kind.example, kind.name)
    return [
        *comment(prose(kind.settings), indent),
        f"{indent}- id: {slug(kind.name)}",
        f"{indent}  type: {in_yaml(kind.name)}",
        *comment("names by which tests may choose targets", f"{indent}  "),
        f"{indent}  #tags: [production]",
        *_members(kind.settings, values, kind.name, f"{indent}  "),
    ]


def policy_entry(check: Check, indent: str, *, explain: bool = True) -> list[str]:
    """Return a test by this check, its parameters explained; `NoExample` says why there is none.

    `explain` says what the keys mean that every test has.
    """
    values = _values(check.params, check.example, check.id)
    inner = f"{indent}  "

    def say(text: str) -> list[str]:
        return comment(text, inner) if explain else []

    lines = [
        f"{indent}- id: {slug(check.id, LONGEST_TEST)}",
        f"{inner}check: {in_yaml(check.id)}",
        *say("ids, types or tags of targets in auditor.yaml"),
        f"{inner}targets: [{in_yaml(check.target_type)}]",
    ]
    if check.further_sources:
        lines += say("the check's other sources, by the ids of their targets")
        lines.append(f"{inner}with: {in_yaml({source: slug(source) for source in check.further_sources})}")
    return [
        *lines,
        *say("critical, high, medium, low or info: it changes no verdict"),
        f"{inner}severity: high",
        *say("how often it must run, and the oldest datum accepted: P1D is a day, PT12H 12 hours"),
        f"{inner}cadence: P1D",
        f"{inner}max_age: P1D",
        *_params(check, values, inner),
    ]


def comment(text: str, indent: str, hanging: str = "") -> list[str]:
    """Return text as comments of lines that are read at 80 columns."""
    return textwrap.wrap(
        one_line(text), WIDTH, initial_indent=f"{indent}# ", subsequent_indent=f"{indent}# {hanging}",
        break_long_words=False, break_on_hyphens=False,
    )  # fmt: skip


def one_line(text: str) -> str:
    """Return text without what would break a line."""
    return " ".join("".join(char if char.isprintable() else " " for char in text).split())


def slug(text: str, longest: int = LONGEST_TARGET) -> str:
    """Return an id made of a name: small letters, digits and -."""
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).lstrip("-0123456789")[:longest].strip("-") or "pack"


def _params(check: Check, values: Mapping[str, JSON], indent: str) -> Iterator[str]:
    """Yield the parameters; where none must or need be written, they are one optional key."""
    known = list(keys(check.params))
    counted = {key.name: key.default for key in known if key.default not in _NOTHING} | {**values}
    if counted:
        yield f"{indent}params:"
        yield from _members(check.params, values, check.id, f"{indent}  ", counted=tuple(counted))
    elif known:
        for key in known:
            yield from comment(f"{key.name}: {key.description or key.kind}", indent)
        yield f"{indent}#params: {in_yaml({key.name: _shown(key, check.id) for key in known})}"


def _values(struct: type[msgspec.Struct], given: Mapping[str, JSON], name: str) -> dict[str, JSON]:
    """Return what must be written of a struct, and what its owner gave beside it."""
    values = {
        key.name: given[key.name] if key.name in given else example(key.type, f"{name}_{key.name}")
        for key in keys(struct)
        if key.required or key.name in given
    }
    try:
        msgspec.convert(values, struct, strict=True)
    except msgspec.ValidationError as error:
        raise NoExample(str(error)) from None
    return values


def _members(
    struct: type[msgspec.Struct], values: Mapping[str, JSON], name: str, indent: str, counted: Sequence[str] = ()
) -> Iterator[str]:
    """Yield every key, explained: those with a value or in `counted` as they count, the others behind a #."""
    before = ""
    for key in keys(struct):
        text = _explained(key)
        if text != before:
            yield from comment(text, indent)
        before = text
        mark = "" if key.name in values or key.name in counted else "#"
        try:
            value = values[key.name] if key.name in values else _shown(key, name)
        except NoExample:
            yield f"{indent}#{key.name}:"
        else:
            yield f"{indent}{mark}{key.name}: {in_yaml(value)}"


def _explained(key: Key) -> str:
    """Return what a comment says of a key: the same for all that are described together."""
    text = key.description or key.kind
    names = f"{' and '.join(key.described_with)}: " if len(key.described_with) > 1 and "`" not in text else ""
    return names + text.replace("`", "")


def _shown(key: Key, name: str) -> JSON:
    """Return what to show of a key that may be left out: its default where that says something."""
    return example(key.type, f"{name}_{key.name}") if key.default in _NOTHING else key.default
