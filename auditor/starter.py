"""A working folder to begin with: settings, a policy pack and the schemas of both, for chosen types of source.

Everything in it follows from what is installed: a new check or source appears without a change here. What is laid out
is valid at once; a claim stays unproven until somebody has put the published words in.
"""

from __future__ import annotations

import json
import re
import textwrap
from collections.abc import Iterable, Iterator, Mapping, Sequence

import msgspec
import yaml

from auditor import fields, policy, settings
from auditor.checking import Check
from auditor.fields import Field
from auditor.model import JSON, Problem, UsageError
from auditor.policy_rules import CRITERIA
from auditor.questions import SourceType
from auditor.wording import one_of, or_known, quoted

_NOT_LAID_OUT = (fields.NoExample, msgspec.ValidationError)
WIDTH = 80
_NOTHING: tuple[JSON, ...] = (None, "", [], {}, ())
LONGEST = 80
"""Characters of a claim's or a test's id."""
IGNORED = (
    "# evidence names your systems, and keys open them: neither belongs here\nreports/\nsecrets/\n*.key\n*.pem\n.env\n"
)
SETTINGS_HEAD = """\
# yaml-language-server: $schema=policies/auditor.schema.json
#
# The systems to look at. Every value is an example: put your own in. A line
# "# text" explains the next one. A line "#key: value" is a setting that may be
# left out: take its # away to use it. A secret is never written here, only
# where it is found: {env: NAME} (a variable) or {file: PATH}.
version: 1

# as it is printed in reports
"""
PACK_HEAD = """\
# yaml-language-server: $schema=../policy.schema.json
#
# Claims about %s, and the tests that prove or refute them. A claim quotes
# the smallest part of your page that can be judged by itself. These are
# examples: each stays unproven until its statement is your page's own words
# and its not_tested is empty. Delete the claims that you do not publish.
version: 1
"""
AN_EXAMPLE = "whether this is published: it is an example (quote your page, then write [])"


class Starter(msgspec.Struct, frozen=True):
    """What to write: the text of each file by its path in the folder, and where the pack is."""

    files: Mapping[str, str]
    pack: str


def lay_out(
    organization: str,
    types: Sequence[str],
    today: str,
    checks: Mapping[str, Check],
    sources: Mapping[str, SourceType],
) -> Starter:
    """Return a folder for these types of source, or for every one that a check reads; `today` is a day of ISO 8601."""
    _refuse_unknown(types, sources)
    read = dict.fromkeys(check.target_type for check in checks.values())
    chosen = [name for name in sources if name in (types or read)]
    by_type = {name: [check for check in checks.values() if check.target_type == name] for name in chosen}
    if not any(by_type.values()):
        raise UsageError(Problem(f"--type: no check reads {one_of(chosen)}; types with checks: {one_of(sorted(read))}"))
    further = (source for found in by_type.values() for check in found for source in check.further_sources)
    targets = dict.fromkeys([*chosen, *further])
    pack = f"policies/{_slug(organization)}"
    files = {
        "auditor.yaml": _text(_settings(organization, [sources[name] for name in targets])),
        "policies/auditor.schema.json": _json(settings.json_schema(sources)),
        "policies/policy.schema.json": _json(policy.json_schema(list(checks.values()))),
        ".gitignore": IGNORED,
    }
    packs = {name: _pack(organization, name, found, today) for name, found in by_type.items()}
    files |= {f"{pack}/{_slug(name)}.yaml": text for name, text in packs.items() if text}
    if not any(packs.values()):
        names = one_of(check.id for found in by_type.values() for check in found)
        raise UsageError(Problem(f"no test by {names} could be laid out: auditor checks tells what their params are"))
    return Starter(files, pack)


def _refuse_unknown(types: Sequence[str], sources: Mapping[str, SourceType]) -> None:
    problems = [
        Problem(f"--type: there is no type of source {quoted(name)}{or_known(name, sources)}")
        for name in types
        if name not in sources
    ]
    if problems:
        raise UsageError(*problems)


def _settings(organization: str, kinds: Sequence[SourceType]) -> Iterator[str]:
    yield f"{SETTINGS_HEAD}organization: {_yaml(organization)}"
    yield ""
    targets = [list(_target(kind)) for kind in kinds]
    is_any = any(not line.strip().startswith("#") for target in targets for line in target)
    yield "targets:" if is_any else "targets: []"
    for target in targets:
        yield ""
        yield from target


def _target(kind: SourceType) -> Iterator[str]:
    try:
        values = _values(kind.settings, kind.example, kind.name)
    except _NOT_LAID_OUT as error:
        yield from _prose(f"A target of type {kind.name} could not be laid out ({error}): see the README.", "  ")
        return
    yield from _prose(fields.prose(kind.settings), "  ")
    yield f"  - id: {_slug(kind.name)}"
    yield f"    type: {_yaml(kind.name)}"
    yield from _prose("names by which tests may choose targets", "    ")
    yield "    #tags: [production]"
    yield from _members(kind.settings, values, kind.name, "    ", active=())


def _pack(organization: str, kind: str, checks: Sequence[Check], today: str) -> str:
    """Return one policy file, empty where it would hold no claim."""
    claims: list[str] = []
    explained = False
    for check in checks:
        try:
            values = _values(check.params, check.example, check.id)
        except _NOT_LAID_OUT as error:
            claims += _prose(f"A test by {check.id} could not be laid out ({error}): auditor checks tells more.", "  ")
            continue
        claims += [*_claim(check, values, explain=not explained), ""]
        explained = True
    return _text([*_head(organization, kind, today), *claims]) if explained else ""


def _head(organization: str, kind: str, today: str) -> Iterator[str]:
    yield f"{PACK_HEAD % kind}id: {_slug(organization)}-{_slug(kind)}"
    yield from _prose("the question on your page that these claims answer", "")
    yield f"title: {_yaml(f'How is {kind} secured?')}"
    yield "source:"
    yield f"  title: {_yaml(f'Security page of {organization}')}"
    yield from _prose("where it is published (or document: PATH, for a PDF or a contract)", "  ")
    yield "  url: https://www.example.com/security"
    yield from _prose("the day on which you last compared it: auditor policy coverage", "  ")
    yield f"  retrieved: {_yaml(today)}"
    yield ""
    yield "claims:"


def _claim(check: Check, params: Mapping[str, JSON], *, explain: bool) -> Iterator[str]:
    """One claim with one test; what each of its keys means is said in the first claim of a file."""

    def say(text: str, indent: str = "    ") -> list[str]:
        return _prose(text, indent) if explain else []

    yield f"  - id: {_slug(check.id, LONGEST)}"
    yield from say("the words of your page; […] stands for words left out")
    yield f"    statement: {_yaml(check.title)}"
    yield from say("what exactly is tested, and on which systems")
    yield "    interpretation: >-"
    yield from textwrap.wrap(
        f"In every target of type {check.target_type}: {_one_line(check.population)}. "
        f"A pass shows this: {_one_line(check.proves)}.",
        WIDTH, initial_indent=" " * 6, subsequent_indent=" " * 6, break_long_words=False, break_on_hyphens=False,
    )  # fmt: skip
    yield from say("words of the statement that nothing here tests: with any, the claim stays unproven")
    yield "    not_tested:"
    yield f"      - {_yaml(AN_EXAMPLE)}"
    yield from say("the Trust Services Criteria that it bears on; support is direct or partial")
    yield "    criteria:"
    for name in [name for name in check.criteria if name in CRITERIA] or ["CC6.1"]:
        yield f"      - {{id: {name}, support: partial}}"
    yield from say("who answers for it")
    yield "    owner: security@example.com"
    yield "    tests:"
    yield from _prose(f"By {check.basis.value}. Every report says what it cannot prove:", "      ")
    for limit in check.cannot_prove:
        yield from _prose(f"- {limit}", "      ", hanging="  ")
    yield f"      - id: {_slug(check.id, LONGEST)}"
    yield f"        check: {_yaml(check.id)}"
    yield from say("ids, types or tags of targets in auditor.yaml", " " * 8)
    yield f"        targets: [{_yaml(check.target_type)}]"
    if check.further_sources:
        bound = {source: _slug(source) for source in check.further_sources}
        yield from say("the check's other sources, by the ids of their targets", " " * 8)
        yield f"        with: {_yaml(bound)}"
    yield from say("critical, high, medium, low or info: it changes no verdict", " " * 8)
    yield "        severity: high"
    yield from say("how often it must run, and the oldest datum accepted: P1D is a day, PT12H 12 hours", " " * 8)
    yield "        cadence: P1D"
    yield "        max_age: P1D"
    defaults = [field.name for field in fields.fields(check.params) if field.default not in _NOTHING]
    if values := {**dict.fromkeys(defaults), **params}:
        yield "        params:"
        yield from _members(check.params, params, check.id, " " * 10, active=tuple(values))
    else:
        yield "        params: {}"


def _values(struct: type[msgspec.Struct], example: Mapping[str, JSON], name: str) -> dict[str, JSON]:
    """Return what must be written of a struct, and what its owner gave beside it; raises where that does not fit."""
    values = {
        field.name: example[field.name] if field.name in example else fields.example(field.type, f"{name}_{field.name}")
        for field in fields.fields(struct)
        if field.required or field.name in example
    }
    msgspec.convert(values, struct, strict=True)
    return values


def _members(
    struct: type[msgspec.Struct], values: Mapping[str, JSON], name: str, indent: str, *, active: Sequence[str]
) -> Iterator[str]:
    """Every member, explained: those with a value or in `active` as they count, the others behind a #."""
    before = ""
    for field in fields.fields(struct):
        if field.meaning != before:
            yield from _prose(field.meaning, indent)
        before = field.meaning
        try:
            value = values[field.name] if field.name in values else _optional(field, name)
        except fields.NoExample:
            yield f"{indent}#{field.name}:"
            continue
        mark = "" if field.name in values or field.name in active else "#"
        yield f"{indent}{mark}{field.name}: {_yaml(value)}"


def _optional(field: Field, name: str) -> JSON:
    """Return what to show of a member that may be left out: its default where that says something."""
    return fields.example(field.type, f"{name}_{field.name}") if field.default in _NOTHING else field.default


def _prose(text: str, indent: str, hanging: str = "") -> list[str]:
    return textwrap.wrap(
        _one_line(text), WIDTH, initial_indent=f"{indent}# ", subsequent_indent=f"{indent}# {hanging}",
        break_long_words=False, break_on_hyphens=False,
    )  # fmt: skip


def _one_line(text: str) -> str:
    return " ".join("".join(char if char.isprintable() else " " for char in text).split())


def _yaml(value: JSON) -> str:
    """Return a value in YAML on one line."""
    dumped = yaml.safe_dump(value, default_flow_style=True, allow_unicode=True, sort_keys=False, width=2**31)
    return str(dumped).removesuffix("...\n").rstrip("\n")


def _slug(text: str, longest: int = 41) -> str:
    """Return an id made of a name: small letters, digits and -, as long as a target's id may be."""
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).lstrip("-0123456789")[:longest].strip("-") or "pack"


def _text(lines: Iterable[str]) -> str:
    return "\n".join(lines).rstrip("\n") + "\n"


def _json(schema: JSON) -> str:
    return json.dumps(schema, indent=2) + "\n"
