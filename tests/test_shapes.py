"""What people may write, read off msgspec types: in words, with descriptions and examples; the rules for our own."""

from __future__ import annotations

import datetime as dt
import enum
from typing import Annotated, Any, Literal

import msgspec
import pytest
from msgspec import inspect

from auditor import plugins, settings
from auditor.questions import SecretRef
from auditor.shapes import NoExample, every_key, example, in_words, in_yaml, keys, prose

STRUCTS: list[type[msgspec.Struct]] = [
    settings.File,
    settings.Entry,
    *dict.fromkeys(one.params for _, one in sorted(plugins.checks().items())),
    *dict.fromkeys(one.settings for _, one in sorted(plugins.sources().items())),
]
EVERY_STRUCT = pytest.mark.parametrize("struct", STRUCTS, ids=lambda struct: f"{struct.__module__}.{struct.__name__}")


@EVERY_STRUCT
def test_every_key_that_people_may_write_is_described(struct: type[msgspec.Struct]) -> None:
    silent = [key.name for key in every_key(struct) if not key.description]
    assert not silent, (
        f"nothing says what {', '.join(silent)} is for. A key is described by the clause that begins with its name, in "
        f"the docstring of its struct ({struct.__module__}.{struct.__name__}, or the struct inside it): "
        "`first`: what it is for; `second` and `third`: what they are for. A name inside a clause describes nothing"
    )


@EVERY_STRUCT
def test_every_key_that_people_may_write_has_an_example(struct: type[msgspec.Struct]) -> None:
    for key in every_key(struct):
        try:
            made = example(key.type, key.name)
        except NoExample as error:
            pytest.fail(f"{struct.__name__}: {key.name}: {error}; give its type msgspec.Meta(examples=[…])")
        assert made is not None


class Inner(msgspec.Struct):
    """What is inside. It is weighed. `weight`: in grams."""

    weight: Annotated[int, msgspec.Meta(gt=0)]


class Colour(enum.Enum):
    RED = "red"
    BLUE = "blue"


class Outer(msgspec.Struct):
    """Anything that a person may fill in.

    `first` and `second` (dotted): two of a kind. `mode` is how; it goes on here. `tags`: words; `in`: where; and
    `first` again.
    """

    first: Annotated[str, msgspec.Meta(min_length=1)]
    second: Annotated[str, msgspec.Meta(pattern="^a|b$")]
    mode: Literal["on", "off"] = "on"
    tags: Annotated[list[str], msgspec.Meta(min_length=2, max_length=3)] = msgspec.field(default_factory=lambda: ["a"])
    inner: Inner | None = None
    many: list[Inner] = []
    token: SecretRef | None = None
    ratio: Annotated[float, msgspec.Meta(ge=0, le=1, description="between the two")] = 0.5
    by_name: dict[str, int] = {}
    named: dict[str, Inner] = {}
    either: bool | int = True
    in_: Annotated[str, msgspec.Meta(max_length=9)] = msgspec.field(name="in", default="")
    colour: Colour = Colour.BLUE


def test_a_type_is_put_into_words() -> None:
    assert [
        (key.name, key.kind, "required" if key.required else in_yaml(key.default), key.description)
        for key in every_key(Outer)
    ] == [
        ("first", "text", "required", "two of a kind"),
        ("second", "text of the form `^a|b$`", "required", "two of a kind"),
        ("mode", "off or on", "'on'", "how; it goes on here"),
        ("tags", "a list (text), 2 or more, at most 3", "[a]", "words"),
        ("inner", "a mapping", "null", "What is inside"),
        ("inner.weight", "a whole number, more than 0", "required", "in grams"),
        ("many", "a list (a mapping)", "[]", "What is inside"),
        ("many[].weight", "a whole number, more than 0", "required", "in grams"),
        ("token", "a secret, by reference: {env: NAME} or {file: PATH}", "null", ""),
        ("ratio", "a number, at least 0, at most 1", "0.5", "between the two"),
        ("by_name", "a mapping (name: a whole number)", "{}", ""),
        ("named", "a mapping (name: a mapping)", "{}", "What is inside"),
        ("named.NAME.weight", "a whole number, more than 0", "required", "in grams"),
        ("either", "true or false or a whole number", "true", ""),
        ("in", "text, at most 9 characters", "''", "where; and `first` again"),
        ("colour", "red or blue", "blue", ""),
    ]
    assert next(keys(Outer)).described_with == ("first", "second")


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        (Any, "anything"),
        (list[Any], "a list"),
        (dict[str, Any], "a mapping"),
        (tuple[int, str], "a list (a whole number, then text)"),
        (dt.timedelta, "a length of time such as P1D (a day) or PT12H"),
        (dt.date, "a day such as 2026-11-23"),
        (dt.datetime, "a time such as 2026-11-23T12:00:00Z"),
        (Annotated[str, msgspec.Meta(pattern="^x", description="an x")], "an x"),
        (Annotated[str, msgspec.Meta(min_length=3)], "text, at least 3 characters"),
        (Annotated[list[int], msgspec.Meta(min_length=1)] | Inner, "a list (a whole number), 1 or more; or a mapping"),
        (complex, "anything"),
    ],
    ids=str,
)
def test_kinds_in_words(kind: Any, words: str) -> None:
    assert in_words(inspect.type_info(kind)) == words


@pytest.mark.parametrize(
    "kind",
    [
        Any, int, float, bool, str, dt.date, dt.datetime, dt.timedelta, Colour, Inner, SecretRef, tuple[int, str],
        dict[str, Inner], list[int] | None, Literal["b", "a"], Annotated[int, msgspec.Meta(gt=5)],
        Annotated[list[str], msgspec.Meta(min_length=3)], Annotated[float, msgspec.Meta(ge=0.5)],
        Annotated[str, msgspec.Meta(pattern="^https://")], Annotated[str, msgspec.Meta(pattern="^#", examples=["#1"])],
    ],
    ids=str,
)  # fmt: skip
def test_an_example_fits_its_type(kind: Any) -> None:
    msgspec.convert(example(inspect.type_info(kind), "one"), kind, strict=True)


def test_an_example_that_cannot_be_made_up_is_none() -> None:
    with pytest.raises(NoExample, match=r"no text of the form \^# could be made up"):
        example(inspect.type_info(Annotated[str, msgspec.Meta(pattern="^#")]), "one")
    with pytest.raises(NoExample, match="there is no example of CustomType"):
        example(inspect.type_info(complex), "one")


def said_of(docstring: str) -> tuple[dict[str, str], str]:
    """What a docstring says of the keys a to f, and of their struct."""
    struct = msgspec.defstruct("Struct", [(name, str) for name in "abcdef"], namespace={"__doc__": docstring})
    return {key.name: key.description for key in keys(struct) if key.description}, prose(struct)


@pytest.mark.parametrize(
    ("docstring", "of_keys", "of_the_struct"),
    [
        ("`a`: one, or `b`.", {"a": "one, or `b`"}, ""),
        ("`a`, `b` and `c`: three; `d` or `e`: two.", dict.fromkeys("abc", "three") | dict.fromkeys("de", "two"), ""),
        ("All of `a`. `b` is what; it goes on.", {"b": "what; it goes on"}, "All of `a`."),
        ("`a` (dotted): one; `z` is none of ours; `b`: two.", {"a": "one; `z` is none of ours", "b": "two"}, ""),
        ("`a` and `b` go together. Nobody else.", dict.fromkeys("ab", "`a` and `b` go together"), "Nobody else."),
        ("A thing.\n\n    `a`: over\n    two lines\n\n    `b` may be 1.5.",
         {"a": "over two lines", "b": "`b` may be 1.5"}, "A thing."),
        ("`a` are those; with `b` others.", {"a": "those; with `b` others"}, ""),
        ("", {}, ""),
    ],
)  # fmt: skip
def test_a_clause_that_begins_with_names_describes_them(
    docstring: str, of_keys: dict[str, str], of_the_struct: str
) -> None:
    assert said_of(docstring) == (of_keys, of_the_struct)


@pytest.mark.parametrize("value", [None, "", "on", "a: b", ["x" * 200], {"b": 1, "a": "Ü"}, 1.5, True, "- x"])
def test_a_value_in_yaml_is_one_line_and_read_back_as_itself(value: Any) -> None:
    text = in_yaml(value)
    assert "\n" not in text
    assert msgspec.yaml.decode(text) == value
