"""`auditor checks`, and `auditor checks show`: everything about one check, at 80 columns, and an entry to paste."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import msgspec
import pytest

from auditor import __version__, plugins, policy
from auditor.checking import Check
from auditor.cli import checks
from auditor.cli.checks import questions
from auditor.entries import policy_entry
from auditor.model import UsageError
from auditor.questions import SourceType
from auditor.shapes import every_key
from tests.cli_process import auditor
from tests.policy_words import check

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


OPTIONAL = re.compile(r"^( +)#(?=\w+: )")


def loaded(folder: Path, entry: Sequence[str], one: Check) -> policy.Test:
    path = folder / "pack.yaml"
    path.write_text(PACK.format(entry="\n".join(entry)))
    ((_, test),) = policy.load(path, {one.id: one}).tests()
    return test


@EVERY_CHECK
def test_the_entry_of_every_check_is_a_valid_test(name: str, tmp_path: Path) -> None:
    one = plugins.checks()[name]
    entry = policy_entry(one, "      ")
    test = loaded(tmp_path, entry, one)
    assert test.check == name
    assert {key.name for key in every_key(one.params) if "." not in key.name and key.required} <= set(test.params)
    everything = loaded(tmp_path, [OPTIONAL.sub(r"\1", line) for line in entry], one)
    assert set(everything.params) == {field.encode_name for field in msgspec.structs.fields(one.params)}


def test_an_entry_with_a_mistake_would_be_noticed(tmp_path: Path) -> None:
    one = plugins.checks()["aws-s3-object-expiry"]
    entry = [line.replace("max_days: 7", "max_days: seven") for line in policy_entry(one, "      ")]
    with pytest.raises(UsageError, match="max_days: must be a whole number"):
        loaded(tmp_path, entry, one)


class Optional(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`door`: its number; `lock`: who made it."""

    door: Annotated[int, msgspec.Meta(ge=7)] | None = None
    lock: str = ""


def test_parameters_of_which_none_need_be_written_are_one_optional_key(tmp_path: Path) -> None:
    one = check("a", "house", "papers", params=Optional)
    entry = policy_entry(one, "      ", explain=False)
    assert entry == [
        "      - id: a",
        "        check: a",
        "        targets: [house]",
        "        with: {papers: papers}",
        "        severity: high",
        "        cadence: P1D",
        "        max_age: P1D",
        "        # door: its number",
        "        # lock: who made it",
        "        #params: {door: 7, lock: example}",
    ]
    assert loaded(tmp_path, entry, one).params == {}
    everything = loaded(tmp_path, [OPTIONAL.sub(r"\1", line) for line in entry], one)
    assert everything.params == {"door": 7, "lock": "example"}


class Unguessable(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`door`: its number."""

    door: Annotated[str, msgspec.Meta(pattern=r"^#\d+$")]


def test_a_check_is_shown_without_an_entry_where_none_can_be_made_up() -> None:
    never: SourceType = plugins.sources()["github"]
    shown = list(checks._everything(check("a", "github", params=Unguessable), {"github": never}, "ours 1"))
    assert "        its number" in shown
    assert " ".join("".join(shown[-1:]).split()) == (
        r"none could be made up (no text of the form ^#\d+$ could be made up); the parameters are above"
    )


@EVERY_CHECK
def test_everything_about_every_check_is_shown(name: str, tmp_path: Path) -> None:
    shown = auditor("checks", "show", name, cwd=tmp_path)
    assert (shown.code, shown.err) == (0, "")
    assert all(len(line) <= 80 and line == line.rstrip() for line in shown.out.splitlines())
    one = plugins.checks()[name]
    flat = " ".join(shown.out.split())
    asked = list(questions(one, plugins.sources()))
    assert {(question.source, question.operation.name) for question in asked} == {
        (source, operation) for source, operations in one.sources.items() for operation in operations
    }
    rows = [
        text
        for question in asked
        for text in (question.operation.name, question.operation.summary, question.operation.permission)
    ]
    held = [f"second source: {one.second_source}"] if one.second_source else []
    held += [f"no second source: {one.no_second_source}"] if one.no_second_source else []
    assert held
    keys = [text for key in every_key(one.params) for text in (f"{key.name} (", key.kind, key.description)]
    for text in (
        name, one.title, one.population, one.proves, *one.cannot_prove, f"once per {one.shard}",
        f"by {one.basis.value}", f"comes from auditor {__version__}", *held, *rows, *keys,
    ):  # fmt: skip
        assert " ".join(text.split()) in flat, text
    assert "\n".join(policy_entry(one, "    ")) in shown.out


def test_the_list_says_where_each_check_comes_from(tmp_path: Path) -> None:
    shown = auditor("checks", cwd=tmp_path)
    assert (shown.code, shown.err) == (0, "")
    assert shown.out.count(f"    comes from auditor {__version__}\n") == len(plugins.checks())


def test_an_unknown_check_is_named_with_what_was_meant(tmp_path: Path) -> None:
    shown = auditor("checks", "show", "githb-mfa", cwd=tmp_path)
    assert (shown.code, shown.out) == (2, "")
    assert shown.err == "there is no check 'githb-mfa' (did you mean 'github-mfa'?)\n1 problem; nothing was run\n"
