"""A working folder to begin with: settings, a policy pack and the schemas of both, for chosen types of source.

Everything in it follows from what is installed: a new check or source appears without a change here. What is laid out
is valid at once; a claim stays unproven until somebody has put the published words in.
"""

from __future__ import annotations

import json
import textwrap
from collections.abc import Iterable, Iterator, Mapping, Sequence

import msgspec

from auditor import policy, settings
from auditor.checking import Check
from auditor.entries import LONGEST_TEST, WIDTH, comment, one_line, policy_entry, settings_entry, slug
from auditor.model import JSON, Problem, UsageError
from auditor.policy_rules import CRITERIA
from auditor.questions import SourceType
from auditor.shapes import NoExample, in_yaml
from auditor.wording import one_of, or_known, quoted

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
    pack = f"policies/{slug(organization)}"
    files = {
        "auditor.yaml": _text(_settings(organization, [sources[name] for name in targets])),
        "policies/auditor.schema.json": _json(settings.json_schema(sources)),
        "policies/policy.schema.json": _json(policy.json_schema(list(checks.values()))),
        ".gitignore": IGNORED,
    }
    packs = {name: _pack(organization, name, found, today) for name, found in by_type.items()}
    files |= {f"{pack}/{slug(name)}.yaml": text for name, text in packs.items() if text}
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
    yield f"{SETTINGS_HEAD}organization: {in_yaml(organization)}"
    yield ""
    targets = [_target(kind) for kind in kinds]
    is_any = any(not line.strip().startswith("#") for target in targets for line in target)
    yield "targets:" if is_any else "targets: []"
    for target in targets:
        yield ""
        yield from target


def _target(kind: SourceType) -> list[str]:
    try:
        return settings_entry(kind, "  ")
    except NoExample as error:
        return comment(f"A target of type {kind.name} could not be laid out ({error}): see the README.", "  ")


def _pack(organization: str, kind: str, checks: Sequence[Check], today: str) -> str:
    """Return one policy file, empty where it would hold no claim."""
    claims: list[str] = []
    explained = False
    for check in checks:
        try:
            entry = policy_entry(check, "      ", explain=not explained)
        except NoExample as error:
            claims += comment(f"A test by {check.id} could not be laid out ({error}): auditor checks tells more.", "  ")
            continue
        claims += [*_claim(check, entry, explain=not explained), ""]
        explained = True
    return _text([*_head(organization, kind, today), *claims]) if explained else ""


def _head(organization: str, kind: str, today: str) -> Iterator[str]:
    yield f"{PACK_HEAD % kind}id: {slug(organization)}-{slug(kind)}"
    yield from comment("the question on your page that these claims answer", "")
    yield f"title: {in_yaml(f'How are the targets of type {kind} secured?')}"
    yield "source:"
    yield f"  title: {in_yaml(f'Security page of {organization}')}"
    yield from comment("where it is published (or document: PATH, for a PDF or a contract)", "  ")
    yield "  url: https://www.example.com/security"
    yield from comment("the day on which you last compared it: auditor policy coverage", "  ")
    yield f"  retrieved: {in_yaml(today)}"
    yield ""
    yield "claims:"


def _claim(check: Check, test: Sequence[str], *, explain: bool) -> Iterator[str]:
    """One claim with one test; what each of its keys means is said in the first claim of a file."""

    def say(text: str, indent: str = "    ") -> list[str]:
        return comment(text, indent) if explain else []

    yield f"  - id: {slug(check.id, LONGEST_TEST)}"
    yield from say("the words of your page; […] stands for words left out")
    yield f"    statement: {in_yaml(check.title)}"
    yield from say("what exactly is tested, and on which systems")
    yield "    interpretation: >-"
    yield from textwrap.wrap(
        f"In every target of type {check.target_type}: {one_line(check.population)}. "
        f"A pass shows this: {one_line(check.proves)}.",
        WIDTH, initial_indent=" " * 6, subsequent_indent=" " * 6, break_long_words=False, break_on_hyphens=False,
    )  # fmt: skip
    yield from say("words of the statement that nothing here tests: with any, the claim stays unproven")
    yield "    not_tested:"
    yield f"      - {in_yaml(AN_EXAMPLE)}"
    yield from say("the Trust Services Criteria that it bears on; support is direct or partial")
    yield "    criteria:"
    for name in [name for name in check.criteria if name in CRITERIA] or ["CC6.1"]:
        yield f"      - {{id: {name}, support: partial}}"
    yield from say("who answers for it")
    yield "    owner: security@example.com"
    yield "    tests:"
    yield from comment(f"By {check.basis.value}. Every report says what it cannot prove:", "      ")
    for limit in check.cannot_prove:
        yield from comment(f"- {limit}", "      ", hanging="  ")
    yield from test


def _text(lines: Iterable[str]) -> str:
    return "\n".join(lines).rstrip("\n") + "\n"


def _json(schema: JSON) -> str:
    return json.dumps(schema, indent=2) + "\n"
