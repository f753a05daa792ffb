"""`auditor checks`, and `auditor checks show`: everything about one check, at 80 columns, and an entry to paste."""

from __future__ import annotations

import textwrap
from pathlib import Path
from typing import Annotated, Literal

import msgspec
import pytest

from auditor import __version__, plugins, policy
from auditor.cli.described import policy_entry, questions
from auditor.cli.shapes import Key, Shape, descriptions
from auditor.model import UsageError
from auditor.questions import SecretRef
from tests.cli_process import auditor

EVERY_CHECK = pytest.mark.parametrize("name", sorted(plugins.checks()))
PACK = """\
version: 1
id: p
title: t
source: {{title: s, url: "https://x.example"}}
claims:
  - id: c
    statement: we lock
    interpretation: every door
    criteria: [{{id: CC6.1}}]
    owner: me
    tests:
{entry}
"""


@EVERY_CHECK
@pytest.mark.parametrize("everything", [False, True], ids=["as shown", "with all that may be left out"])
def test_the_entry_of_every_check_is_a_valid_test(name: str, everything: bool, tmp_path: Path) -> None:  # noqa: FBT001 - parametrized
    check = plugins.checks()[name]
    entry = policy_entry(check, everything=everything)
    path = tmp_path / "pack.yaml"
    path.write_text(PACK.format(entry=textwrap.indent(entry, "      ")))
    ((_, test),) = policy.load(path, plugins.checks()).tests()
    assert test.check == name
    fields = {field.encode_name: field.required for field in msgspec.structs.fields(check.params)}
    assert set(test.params) == {field for field, required in fields.items() if required or everything}
    for field in fields:
        assert f"{field}: " in entry


def test_an_entry_with_a_mistake_would_be_noticed(tmp_path: Path) -> None:
    entry = policy_entry(plugins.checks()["aws-s3-object-expiry"]).replace("max_days: 7", "max_days: seven")
    path = tmp_path / "pack.yaml"
    path.write_text(PACK.format(entry=textwrap.indent(entry, "      ")))
    with pytest.raises(UsageError, match="max_days: must be a whole number"):
        policy.load(path, plugins.checks())


@EVERY_CHECK
def test_everything_about_every_check_is_shown(name: str, tmp_path: Path) -> None:
    shown = auditor("checks", "show", name, cwd=tmp_path)
    assert (shown.code, shown.err) == (0, "")
    assert all(len(line) <= 80 and line == line.rstrip() for line in shown.out.splitlines())
    check = plugins.checks()[name]
    flat = " ".join(shown.out.split())
    asked = list(questions(check, plugins.sources()))
    assert {(one.source, one.operation.name) for one in asked} == {
        (source, operation) for source, operations in check.sources.items() for operation in operations
    }
    rows = [text for one in asked for text in (one.operation.name, one.operation.summary, one.operation.permission)]
    keys = [text for key in Shape(check.params).keys() for text in (f"{key.name} (", key.kind, key.description)]  # noqa: SIM118 - no mapping
    for text in (
        name, check.title, check.population, check.proves, *check.cannot_prove, f"once per {check.shard}",
        f"by {check.basis.value}", f"comes from auditor {__version__}", *rows, *keys,
    ):  # fmt: skip
        assert " ".join(text.split()) in flat, text
    assert textwrap.indent(policy_entry(check), "    ") in shown.out


def test_the_list_says_where_each_check_comes_from(tmp_path: Path) -> None:
    shown = auditor("checks", cwd=tmp_path)
    assert (shown.code, shown.err) == (0, "")
    assert shown.out.count(f"    comes from auditor {__version__}\n") == len(plugins.checks())


def test_an_unknown_check_is_named_with_what_was_meant(tmp_path: Path) -> None:
    shown = auditor("checks", "show", "githb-mfa", cwd=tmp_path)
    assert (shown.code, shown.out) == (2, "")
    assert shown.err == "there is no check 'githb-mfa' (did you mean 'github-mfa'?)\n1 problem; nothing was run\n"


def test_what_may_be_written_is_described_for_every_check_and_source() -> None:
    """Say what a key is for in the docstring of its type: `` `key`: what it is for; `other`: … ``."""
    shapes = {f"check {one.id}": one.params for one in plugins.checks().values()}
    shapes |= {f"source {one.name}": one.settings for one in plugins.sources().values()}
    silent = [f"{name}: {key.name}" for name, shape in shapes.items() for key in Shape(shape).keys()  # noqa: SIM118
              if "." not in key.name and not key.description]  # fmt: skip
    assert silent == []


class Inner(msgspec.Struct):
    """What is inside. `weight`: in grams."""

    weight: Annotated[int, msgspec.Meta(gt=0)]


class Outer(msgspec.Struct):
    """Anything that a person may fill in.

    `first` and `second` (dotted): two of a kind; `mode` is how; it goes on here. `tags`: words.
    """

    first: Annotated[str, msgspec.Meta(min_length=1)]
    second: Annotated[str, msgspec.Meta(pattern="^a|b$")]
    mode: Literal["on", "off"] = "on"
    tags: Annotated[list[str], msgspec.Meta(max_length=3)] = []
    inner: Inner | None = None
    many: list[Inner] = []
    token: SecretRef | None = None
    ratio: Annotated[float, msgspec.Meta(ge=0, le=1, description="between the two")] = 0.5
    by_name: dict[str, int] = {}
    either: bool | int = True


def test_a_type_is_put_into_words() -> None:
    assert list(Shape(Outer).keys()) == [
        Key("first", "text", None, "two of a kind"),
        Key("second", "text of the form `^a|b$`", None, "two of a kind"),
        Key("mode", "off or on", "'on'", "`mode` is how; it goes on here"),
        Key("tags", "a list (text), at most 3", "[]", "words"),
        Key("inner", "a mapping", "none", "What is inside"),
        Key("inner.weight", "a whole number, more than 0", None, "in grams"),
        Key("many", "a list (a mapping)", "[]", "What is inside"),
        Key("many[].weight", "a whole number, more than 0", None, "in grams"),
        Key("token", "a secret, by reference: {env: NAME} or {file: PATH}", "none", ""),
        Key("ratio", "a number, at least 0, at most 1", "0.5", "between the two"),
        Key("by_name", "a mapping (name: a whole number)", "{}", ""),
        Key("either", "true or false or a whole number", "true", ""),
    ]


def test_only_names_at_the_start_of_a_sentence_are_described() -> None:
    assert descriptions("Summary of `all`. `a`: one, or `b`; `c`, `d` and `e`: three.\n\n    `f` is last.") == {
        "a": "one, or `b`", "c": "three", "d": "three", "e": "three", "f": "`f` is last",
    }  # fmt: skip
