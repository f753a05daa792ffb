"""How a mistake is put into words: no Python, no schema language, nothing that could command a terminal."""

from __future__ import annotations

import difflib
import errno
import re
import unicodedata
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from auditor.model import JSON

if TYPE_CHECKING:
    from jsonschema.exceptions import ValidationError

MOST_QUOTED = 60
MOST_CHOICES = 12
SECRET = "SecretRef"  # noqa: S105 - the name of the shape, not a secret
"""The shape of a reference to a secret: what stands in its place is never shown, for it may be the secret."""
_USERINFO = re.compile(r"//[^/?#\s]*@")
_NUMBER = re.compile(r"[-+]?[0-9]+(\.[0-9]+)?", re.ASCII)


def harmless(text: str) -> str:
    """Return text that cannot command a terminal: control and direction characters made visible."""
    if text.isprintable():
        return text
    return "".join(
        f"\\u{ord(char):04x}" if unicodedata.category(char) in ("Cc", "Cf", "Cs", "Co", "Zl", "Zp") else char
        for char in text
    )


def quoted(text: str) -> str:
    """Return what somebody wrote, between quotes, cut short where it is long; a password in a URL is left out."""
    shown = harmless(_USERINFO.sub("//…@", text))
    return f"'{shown}'" if len(shown) <= MOST_QUOTED else f"'{shown[: MOST_QUOTED - 1]}…'"


def did_you_mean(wrong: str, known: Iterable[str]) -> str:
    """Return ` (did you mean 'x'?)` where something known is close, else an empty text."""
    folded = {name.casefold(): name for name in known}
    close = difflib.get_close_matches(wrong.casefold(), folded, n=1, cutoff=0.6)
    return f" (did you mean {quoted(folded[close[0]])}?)" if close else ""


def or_known(wrong: str, known: Iterable[str]) -> str:
    """Return what was meant where that can be guessed, else what there is; either way in words to append."""
    names = sorted(known)
    if hint := did_you_mean(wrong, names):
        return hint
    if not names:
        return ""
    more = ", …" if len(names) > MOST_CHOICES else ""
    return f"; known here: {', '.join(map(harmless, names[:MOST_CHOICES]))}{more}"


def one_of(choices: Iterable[JSON]) -> str:
    """Return a choice in words: `a, b or c`."""
    *most, last = [harmless(str(choice)) for choice in choices]
    return f"{', '.join(most)} or {last}" if most else last


KINDS = {
    "object": "a mapping (key: value)",
    "array": "a list",
    "string": "text",
    "integer": "a whole number",
    "number": "a number",
    "boolean": "true or false",
    "null": "nothing",
}
"""The types of JSON Schema, as the person who writes the file would say."""


def kind_of(value: JSON) -> str:
    """Return what a value is, without showing it: it may be a secret in the wrong place."""
    names = {dict: "a mapping", list: "a list", bool: str(value).lower(), type(None): "nothing", str: "text"}
    return names.get(type(value), "a number")


def wrong_kind(expected: str, value: JSON) -> str:
    """Say what stands where a value of a JSON Schema type should, and how to mend it where that is plain."""
    message = f"must be {KINDS.get(expected, expected)}, not {kind_of(value)}"
    if expected == "string" and isinstance(value, bool | int | float):
        return f"{message}: put it in quotes"
    if expected in ("integer", "number") and isinstance(value, str) and _NUMBER.fullmatch(value):
        return f"{message}: take the quotes away"
    return message


def unreadable(error: OSError) -> str:
    """Say why a file or folder could not be read, and what to do about it."""
    hints = {errno.EACCES: "; allow your account to read it", errno.EISDIR: "; name a file, not its folder"}
    return f"cannot be read: {error.strerror}{hints.get(error.errno or 0, '')}"


def counted(count: int, noun: str) -> str:
    """Return `1 problem`, `2 problems`."""
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


def named(path: Sequence[str | int], message: str) -> str:
    """Put the name of what a message is about before it."""
    if not path:
        return message
    *before, last = path
    if isinstance(last, str):
        return message if message.startswith(f"{last}: ") else f"{last}: {message}"
    return f"{before[-1] if before else 'list'} (item {last + 1}): {message}"


def of_schema_error(error: ValidationError, path: Sequence[str | int]) -> Iterator[tuple[str, str]]:
    """Yield each mistake that a JSON Schema error at `path` stands for, and the key it stands at ('': the value)."""
    found: Any = error.instance
    schema: Any = error.schema
    if error.validator == "additionalProperties":
        known = schema.get("properties", {})
        for extra in (key for key in found if key not in known):
            yield f"unknown key {quoted(extra)}{or_known(extra, known)}", extra
    elif error.validator == "required":
        # One error stands for one missing key: jsonschema names it only in its message.
        limit: Any = error.validator_value
        for missing in (key for key in limit if error.message.startswith(repr(key))):
            yield named(path, f"missing {quoted(missing)}"), ""
    else:
        yield named(path, _sentence(str(error.validator), error.validator_value, schema, found)), ""


def _sentence(rule: str, limit: Any, schema: Mapping[str, Any], found: Any) -> str:
    """Say what a value must be; `rule` and `limit` are the keyword of the JSON Schema that it breaks."""
    if rule == "anyOf":
        return _alternatives(limit, found)
    if rule == "enum":
        return _choice([one_of(limit)], limit, found)
    if rule == "type":
        return _SECRET if schema.get("title") == SECRET else wrong_kind(limit, found)
    form = schema.get("description") or _FORMS.get(schema.get("format", "")) or f"of the form {limit}"
    if rule in ("pattern", "format"):
        return f"{quoted(found)} is not {form}" if found.strip() else "must not be empty"
    words = "must not be empty" if found in ("", []) and limit == 1 else _LIMITS[rule]
    return words.format(limit=limit, found=found)


_SECRET = "a secret is never written here, only where it is found: {env: NAME} or {file: PATH}"  # noqa: S105
_FORMS = {"duration": "a length of time such as P1D (a day) or PT12H (12 hours)"}
_LIMITS = {
    "minLength": "must have at least {limit} characters",
    "maxLength": "must have at most {limit} characters",
    "minItems": "must have at least {limit} items",
    "maxItems": "must have at most {limit} items",
    "minimum": "must be at least {limit}, not {found}",
    "maximum": "must be at most {limit}, not {found}",
    "exclusiveMinimum": "must be more than {limit}, not {found}",
    "exclusiveMaximum": "must be less than {limit}, not {found}",
}


def _alternatives(schemas: Sequence[Mapping[str, Any]], found: JSON) -> str:
    """Say that a value is none of several kinds."""
    wanted: list[str] = []
    choices: list[JSON] = []
    for schema in schemas:
        name = str(schema.get("$ref", "")).rpartition("/")[2]
        if name == SECRET:
            return _SECRET
        if "enum" in schema:
            choices += schema["enum"]
            wanted += map(str, schema["enum"])
        elif schema.get("type") != "null":
            wanted.append(KINDS[str(schema.get("type", "object"))])
    if len(wanted) == 1 and not choices:
        kind = next(str(schema.get("type", "object")) for schema in schemas if schema.get("type") != "null")
        return wrong_kind(kind, found)
    return _choice(wanted, choices, found)


def _choice(wanted: Sequence[str], choices: Sequence[JSON], found: JSON) -> str:
    """Say what was wanted, and what was found where it can only be a misspelt word."""
    message = f"must be {one_of(wanted)}"
    if choices and isinstance(found, str):
        return f"{message}; not {quoted(found)}{did_you_mean(found, map(str, choices))}"
    is_number = isinstance(found, int | float) and not isinstance(found, bool)
    return f"{message}; not {found if choices and is_number else kind_of(found)}"
