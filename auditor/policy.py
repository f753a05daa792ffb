"""Policy packs: the claims a company publishes, and the tests that bear on each. YAML in, checked shapes out."""

from __future__ import annotations

import datetime as dt
import difflib
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple

import msgspec

from auditor import policy_rules as rules
from auditor.checking import Check
from auditor.model import JSON, Problem, Severity, UsageError
from auditor.policy_rules import Selectors
from auditor.results import Criterion, Reference
from auditor.schemas import published
from auditor.wording import one_of, unreadable
from auditor.yamlfile import Document, convert, in_order, is_other, read

__all__ = [
    "Claim",
    "Pack",
    "Place",
    "Policy",
    "Quote",
    "Selectors",
    "Test",
    "criteria_of",
    "find_files",
    "json_schema",
    "load",
]

MOST_HINTS = 3
SUFFIXES = (".yaml", ".yml")
A_PACK = "a policy pack is a folder of YAML files, or one of them (auditor policy new FOLDER lays one out)"
Text = Annotated[str, msgspec.Meta(pattern=r"\S", description="text that says something")]
Id = Annotated[
    str,
    msgspec.Meta(
        pattern=r"^[a-z][a-z0-9-]{0,79}$",
        description="an id: a small letter, then small letters, digits and -, 80 characters at most",
    ),
]
Day = Annotated[str, msgspec.Meta(pattern=r"^\d{4}-\d{2}-\d{2}$", description="a day such as 2026-11-23")]


class CriterionRow(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A criterion and how much the claim supports it."""

    id: str
    support: Literal["direct", "partial"] = "direct"


class Source(Reference, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Where the statements of a file were published."""


class Population(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How many subjects a test must find; none at all is only believed with a reason."""

    min: Annotated[int, msgspec.Meta(ge=0)] = 1
    reason: str = ""


class Test(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One check applied to targets with parameters. `with` binds the check's further sources to targets."""

    __test__ = False  # pytest: this is a noun of auditing

    id: Id
    check: Text
    targets: Annotated[list[Text], msgspec.Meta(min_length=1)]
    with_: dict[str, str] = msgspec.field(default_factory=dict, name="with")
    severity: Severity = Severity.HIGH
    cadence: dt.timedelta | None = None
    max_age: dt.timedelta | None = None
    params: dict[str, JSON] = {}
    population: Population = Population()


class Claim(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The smallest published fragment that can be judged by itself."""

    id: Id
    statement: Text
    interpretation: Text
    not_tested: list[Text] = []
    criteria: Annotated[list[CriterionRow], msgspec.Meta(min_length=1)]
    owner: Text
    tests: list[Test] = []


class WaiverRow(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An approved, dated, expiring acceptance of an exception."""

    id: Id
    test: Text
    resource: Text
    max_matches: Annotated[int, msgspec.Meta(ge=1)] | None = None
    reason: Text
    ticket: Text
    requested_by: Text
    approved_by: Text
    approved_on: Day
    expires: Day


class Cuec(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A duty of the customer, without which a control does not work. `quotes`: the published words that say so."""

    id: Id
    statement: Text
    criteria: list[Text]
    claims: list[Text] = []
    quotes: list[Text] | msgspec.UnsetType = msgspec.UNSET


class SubserviceOrganization(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A vendor whose controls are carved out, and what is assumed of them (CSOCs).

    `quotes`: published words that speak of the vendor's controls only.
    """

    name: Text
    services: Text
    controls: list[Text]
    criteria: list[Text]
    quotes: list[Text] | msgspec.UnsetType = msgspec.UNSET


class RegisterRows(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What the claims rest on beside tests."""

    cuecs: list[Cuec] = []
    subservice_organizations: list[SubserviceOrganization] = []


class NotClaim(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Published words that claim nothing about security, and why that is so: `auditor policy coverage` passes them."""

    quote: Text
    reason: Text


class Pack(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One policy file: the claims of one published question."""

    version: Literal[1]
    id: Id
    title: Text
    source: Source
    claims: Annotated[list[Claim], msgspec.Meta(min_length=1)]
    waivers: list[WaiverRow] = []
    registers: RegisterRows = RegisterRows()
    not_claims: list[NotClaim] = []


class Place(NamedTuple):
    """Where something stands in a policy file: its path as it was given, and the line, from 1."""

    file: str
    line: int


class Quote(msgspec.Struct, frozen=True):
    """Published words that a row of a pack is about: a claim's statement, a duty's or vendor's quote, or no claim.

    `row` is the id of the claim or CUEC, the name of the vendor, or the reason why it is no claim.
    """

    pack: str
    role: Literal["claim", "cuec", "subservice", "not_claim"]
    row: str
    text: str
    place: Place


class Policy(msgspec.Struct, frozen=True):
    """All files of a pack; `files` maps each file's name to its text, to be copied into the run as it is.

    `places` says where each claim begins, by its id; `quotes` are all published words that the pack names.
    """

    packs: tuple[Pack, ...]
    files: dict[str, str]
    places: dict[str, Place] = {}
    quotes: tuple[Quote, ...] = ()

    def claims(self) -> Iterator[tuple[Pack, Claim]]:
        """Every claim, with the file it stands in."""
        return ((pack, claim) for pack in self.packs for claim in pack.claims)

    def tests(self) -> Iterator[tuple[Claim, Test]]:
        """Every test, with the claim it bears on, in policy order."""
        return ((claim, test) for _, claim in self.claims() for test in claim.tests)


def find_files(path: Path) -> list[Path]:
    """Return the policy files of a pack: the file itself, or every YAML file in the folder, sorted."""
    try:
        inside = sorted(path.iterdir())
    except NotADirectoryError:
        return [path]
    except FileNotFoundError:
        raise UsageError(
            Problem(f"there is no such file or folder; {_hint(path.parent, path.name)}", str(path))
        ) from None
    except OSError as error:
        raise UsageError(Problem(unreadable(error), str(path))) from None
    files = [file for file in inside if file.suffix in SUFFIXES and not file.name.startswith(".")]
    if not files:
        raise UsageError(Problem(f"holds no policy file (*.yaml); {_hint(path)}", str(path)))
    return files


def _hint(folder: Path, wrong: str = "") -> str:
    """Return which packs there are in a folder, or which of them may have been meant."""
    try:
        packs = {one.name: f"{one}/" for one in sorted(folder.iterdir()) if any(one.glob("[!.]*.y*ml"))}
    except OSError:
        packs = {}
    if not packs:
        return A_PACK
    close = difflib.get_close_matches(wrong, packs, n=1) if wrong else list(packs)
    return f"did you mean {packs[close[0]]}?" if close else f"there is {one_of(list(packs.values())[:MOST_HINTS])}"


def is_plain(name: str) -> bool:
    """Whether a file's name means the same on every system, in every listing of digests and in every archive."""
    return name.isprintable() and not set("\\:") & set(name)


def load(path: Path, checks: Mapping[str, Check], selectors: Selectors | None = None) -> Policy:
    """Read a pack; `UsageError` carries every mistake in every file. Without selectors, targets are not checked."""
    documents: list[Document] = []
    packs: list[Pack] = []
    files: dict[str, str] = {}
    places: dict[str, Place] = {}
    quotes: list[Quote] = []
    problems: list[Problem] = []
    for file in find_files(path):
        document, found = read(file)
        problems += found
        if not is_plain(file.name):
            said = "has a name that is not kept alike everywhere (control characters, backslashes, colons): rename it"
            problems.append(Problem(said, document.file if document else ascii(str(file))))
        if document is not None and is_other(document, "targets", "claims"):
            said = "is a settings file, for it has targets and no claims; name it with -c"
            problems.append(Problem(said, document.file))
        elif document is not None and document.data is not None:
            documents.append(document)
            pack, found = convert(document, Pack)
            problems += found
            if pack is not None:
                packs.append(pack)
                files[file.name] = document.text
                places |= _places(document, pack)
                quotes += _quotes(document, pack)
    problems += rules.problems(documents, checks, selectors)
    if problems:
        raise UsageError(*in_order(problems))
    return Policy(tuple(packs), files, places, tuple(quotes))


def _places(document: Document, pack: Pack) -> dict[str, Place]:
    places = (document.place(("claims", index)) for index in range(len(pack.claims)))
    return {claim.id: Place(document.file, place.line) for claim, place in zip(pack.claims, places, strict=True)}


def _quotes(document: Document, pack: Pack) -> Iterator[Quote]:
    def place(*steps: str | int) -> Place:
        return Place(document.file, document.place(steps).line)

    for index, claim in enumerate(pack.claims):
        yield Quote(pack.id, "claim", claim.id, claim.statement, place("claims", index, "statement"))
    for index, duty in enumerate(pack.registers.cuecs):
        for number, text in enumerate(duty.quotes or ()):
            yield Quote(pack.id, "cuec", duty.id, text, place("registers", "cuecs", index, "quotes", number))
    for index, vendor in enumerate(pack.registers.subservice_organizations):
        for number, text in enumerate(vendor.quotes or ()):
            where = place("registers", "subservice_organizations", index, "quotes", number)
            yield Quote(pack.id, "subservice", vendor.name, text, where)
    for index, row in enumerate(pack.not_claims):
        yield Quote(pack.id, "not_claim", row.reason, row.quote, place("not_claims", index, "quote"))


def json_schema(checks: Collection[Check]) -> dict[str, Any]:
    """Return the JSON Schema (2020-12) of a policy file, with the parameters of the known checks."""
    ordered = sorted(checks, key=lambda check: check.id)
    (pack, *shapes), definitions = msgspec.json.schema_components([Pack, *(check.params for check in ordered)])
    test = definitions["Test"]
    test["properties"]["check"] = {"enum": [check.id for check in ordered]}
    test["allOf"] = [
        {
            "if": {"properties": {"check": {"const": check.id}}, "required": ["check"]},
            "then": {
                "properties": {"params": shape},
                "required": ["params"] if rules.required_params(check) else [],
            },
        }
        for check, shape in zip(ordered, shapes, strict=True)
    ]
    definitions["CriterionRow"]["properties"]["id"] = {"enum": sorted(rules.CRITERIA)}
    document = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": "urn:auditor:policy:1",
        **pack,
        "$defs": definitions,
    }
    plain: dict[str, Any] = published(document)
    return plain


def criteria_of(claim: Claim) -> tuple[Criterion, ...]:
    """Return a claim's criteria as reports print them."""
    return tuple(Criterion(row.id, row.support) for row in claim.criteria)
