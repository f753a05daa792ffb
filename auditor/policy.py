"""Policy packs: the claims a company publishes, and the tests that bear on each. YAML in, checked shapes out."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec

from auditor.checking import Check
from auditor.model import JSON, Problem, Severity, UsageError
from auditor.results import Criterion, Reference
from auditor.yamlfile import Document, convert, did_you_mean

ID = re.compile(r"[a-z][a-z0-9-]{0,79}")
Text = Annotated[str, msgspec.Meta(min_length=1)]
Day = Annotated[str, msgspec.Meta(pattern=r"^\d{4}-\d{2}-\d{2}$")]
LONGEST_WAIVER = dt.timedelta(days=366)

CRITERIA = frozenset(
    f"{series}.{number}"
    for series, count in {
        **{f"CC{n}": c for n, c in enumerate((5, 3, 4, 2, 3, 8, 5, 1, 2), 1)},
        "A1": 3,
        "C1": 2,
        "PI1": 5,
        "P1": 1,
        "P2": 1,
        "P3": 2,
        "P4": 3,
        "P5": 2,
        "P6": 7,
        "P7": 1,
        "P8": 1,
    }.items()
    for number in range(1, count + 1)
)
"""The ids of the Trust Services Criteria (2017, points of focus revised 2022). Their text is AICPA's."""


class CriterionRow(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A criterion and how much the claim supports it."""

    id: str
    support: Literal["direct", "partial"] = "direct"


class Population(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How many subjects a test must find; none at all is only believed with a reason."""

    min: Annotated[int, msgspec.Meta(ge=0)] = 1
    reason: str = ""


class Test(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One check applied to targets with parameters. `with` binds the check's further sources to targets."""

    __test__ = False  # pytest: this is a noun of auditing

    id: Text
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

    id: Text
    statement: Text
    interpretation: Text
    not_tested: list[Text] = []
    criteria: Annotated[list[CriterionRow], msgspec.Meta(min_length=1)]
    owner: Text
    tests: list[Test] = []


class WaiverRow(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An approved, dated, expiring acceptance of an exception."""

    id: Text
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
    """A duty of the customer, without which a control does not work."""

    id: Text
    statement: Text
    criteria: list[str]
    claims: list[str] = []


class SubserviceOrganization(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A vendor whose controls are carved out, and what is assumed of them (CSOCs)."""

    name: Text
    services: Text
    controls: list[Text]
    criteria: list[str]


class RegisterRows(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What the claims rest on beside tests."""

    cuecs: list[Cuec] = []
    subservice_organizations: list[SubserviceOrganization] = []


class Pack(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One policy file: the claims of one published question."""

    version: Literal[1]
    id: Text
    title: Text
    source: Reference
    claims: Annotated[list[Claim], msgspec.Meta(min_length=1)]
    waivers: list[WaiverRow] = []
    registers: RegisterRows = RegisterRows()


class Policy(msgspec.Struct, frozen=True):
    """All files of a pack; `files` maps each file's name to its text, to be copied into the run as it is."""

    packs: tuple[Pack, ...]
    files: dict[str, str]

    def claims(self) -> Iterator[tuple[Pack, Claim]]:
        """Every claim, with the file it stands in."""
        return ((pack, claim) for pack in self.packs for claim in pack.claims)

    def tests(self) -> Iterator[tuple[Claim, Test]]:
        """Every test, with the claim it bears on, in policy order."""
        return ((claim, test) for _, claim in self.claims() for test in claim.tests)


class Selectors(msgspec.Struct, frozen=True):
    """What a test may name as its target, when the settings are known."""

    ids: Mapping[str, str]
    tags: frozenset[str]
    types: frozenset[str]


def find_files(path: Path) -> list[Path]:
    """Return the policy files of a pack: the file itself, or every YAML file in the folder, sorted."""
    if path.is_file():
        return [path]
    files = sorted(file for file in path.glob("*") if file.suffix in (".yaml", ".yml")) if path.is_dir() else []
    if not files:
        raise UsageError(Problem("holds no policy file (*.yaml); name a policy folder with --policies", str(path)))
    return files


def load(path: Path, checks: Mapping[str, Check], selectors: Selectors | None = None) -> Policy:
    """Read a pack; `UsageError` carries every mistake in every file. Without selectors, targets are not checked."""
    documents = []
    texts = {}
    for file in find_files(path):
        try:
            text = file.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise UsageError(Problem(f"cannot be read: {error}", str(file))) from None
        documents.append(Document(str(file), text))
        texts[file.name] = text
    packs = []
    problems: list[Problem] = []
    for document in documents:
        pack, found = _pack(document, checks)
        problems += found
        if pack is not None:
            packs.append((document, pack))
    problems += _Across(packs, checks, selectors).problems()
    if problems:
        unique = dict.fromkeys(problems)
        raise UsageError(*sorted(unique, key=lambda problem: (problem.file, problem.line, problem.column)))
    return Policy(tuple(pack for _, pack in packs), texts)


def _pack(document: Document, checks: Mapping[str, Check]) -> tuple[Pack | None, list[Problem]]:
    if document.data is None:
        return None, document.problems
    pack, problems = convert(document, Pack)
    problems = [*document.problems, *problems]
    problems += _params(document, checks)
    return pack, problems


def _params(document: Document, checks: Mapping[str, Check]) -> list[Problem]:
    """Check every test's parameters against its check, as far as the file's shape allows to find them."""
    problems = []
    for path, test in _walk(document.data, ("claims", None, "tests", None)):
        check = checks.get(test.get("check", "")) if isinstance(test, dict) else None
        if check is None:
            continue
        if "params" in test:
            problems += convert(document, check.params, (*path, "params"))[1]
        else:
            missing = [field.name for field in msgspec.structs.fields(check.params) if field.required]
            if missing:
                problems.append(document.problem(f"params: missing {', '.join(map(repr, missing))}", path))
    return problems


def _walk(data: JSON, steps: Sequence[str | None], path: tuple[str | int, ...] = ()) -> Iterator[tuple[Any, JSON]]:
    """Yield the place and value of everything at a path in which None stands for every item of a list."""
    if not steps:
        yield path, data
    elif steps[0] is None:
        for index, item in enumerate(data if isinstance(data, list) else []):
            yield from _walk(item, steps[1:], (*path, index))
    elif isinstance(data, dict) and steps[0] in data:
        yield from _walk(data[steps[0]], steps[1:], (*path, steps[0]))


class _Across:
    """What can be wrong between the parts of well-formed files: ids, names and dates."""

    def __init__(
        self, packs: Sequence[tuple[Document, Pack]], checks: Mapping[str, Check], selectors: Selectors | None
    ) -> None:
        self._packs = packs
        self._checks = checks
        self._selectors = selectors
        self._claims = {claim.id for _, pack in packs for claim in pack.claims}
        self._tests = {test.id for _, pack in packs for claim in pack.claims for test in claim.tests}

    def problems(self) -> list[Problem]:
        """Return all of them."""
        return [*self._ids(), *self._claim_rows(), *self._waivers(), *self._registers()]

    def _ids(self) -> Iterator[Problem]:
        for what, steps in (
            ("pack", ("id",)),
            ("claim", ("claims", None, "id")),
            ("test", ("claims", None, "tests", None, "id")),
            ("waiver", ("waivers", None, "id")),
        ):
            seen: dict[str, str] = {}
            for document, _ in self._packs:
                for path, name in _walk(document.data, steps):
                    line, _ = document.line_column(path)
                    if not ID.fullmatch(name):
                        yield document.problem(f"{what} id {name!r} must match {ID.pattern}", path)
                    if name in seen:
                        yield document.problem(f"duplicate {what} id {name!r}, first at {seen[name]}", path)
                    seen.setdefault(name, f"{document.file}:{line}")

    def _claim_rows(self) -> Iterator[Problem]:
        for document, pack in self._packs:
            if not (pack.source.url or pack.source.document):
                yield document.problem("source: needs url or document", ("source",))
            for i, claim in enumerate(pack.claims):
                for k, row in enumerate(claim.criteria):
                    yield from self._criterion(document, row.id, ("claims", i, "criteria", k, "id"))
                for k, test in enumerate(claim.tests):
                    yield from self._test(document, test, ("claims", i, "tests", k))

    def _test(self, document: Document, test: Test, path: tuple[str | int, ...]) -> Iterator[Problem]:
        check = self._checks.get(test.check)
        if check is None:
            hint = did_you_mean(test.check, self._checks)
            yield document.problem(f"unknown check {test.check!r}{hint}", (*path, "check"))
        if test.population.min == 0 and not test.population.reason:
            yield document.problem("population: min 0 needs a reason", (*path, "population"))
        if check is not None:
            further = check.sources[1:]
            for name in test.with_:
                if name not in further:
                    hint = did_you_mean(name, further) or f"; it reads {', '.join(check.sources)}"
                    yield document.problem(f"{test.check} reads no source {name!r}{hint}", (*path, "with", name))
            for name in further:
                if name not in test.with_:
                    yield document.problem(f"{test.check} also reads {name!r}: bind it under `with`", path)
            if self._selectors is not None:
                for k, selector in enumerate(test.targets):
                    yield from self._selector(document, selector, check, (*path, "targets", k))

    def _selector(
        self, document: Document, selector: str, check: Check, path: tuple[str | int, ...]
    ) -> Iterator[Problem]:
        known = self._selectors
        if known is None or selector in known.types or selector in known.tags:
            return
        if selector not in known.ids:
            hint = did_you_mean(selector, {*known.ids, *known.types, *known.tags})
            yield document.problem(f"unknown target id, type or tag {selector!r}{hint}", path)
        elif known.ids[selector] != check.sources[0]:
            kind = known.ids[selector]
            yield document.problem(f"{check.id} reads {check.sources[0]}, but {selector!r} is of type {kind}", path)

    def _criterion(self, document: Document, name: str, path: tuple[str | int, ...]) -> Iterator[Problem]:
        if name not in CRITERIA:
            yield document.problem(f"unknown criterion {name!r}{did_you_mean(name, CRITERIA)}", path)

    def _waivers(self) -> Iterator[Problem]:
        for document, pack in self._packs:
            for i, waiver in enumerate(pack.waivers):
                yield from self._waiver(document, waiver, ("waivers", i))

    def _waiver(self, document: Document, waiver: WaiverRow, path: tuple[str | int, ...]) -> Iterator[Problem]:
        if waiver.test not in self._tests:
            hint = did_you_mean(waiver.test, self._tests)
            yield document.problem(f"unknown test {waiver.test!r}{hint}", (*path, "test"))
        if waiver.approved_by.casefold() == waiver.requested_by.casefold():
            yield document.problem("a waiver cannot be approved by who requested it", (*path, "approved_by"))
        if "*" in waiver.resource and waiver.max_matches is None:
            yield document.problem("a pattern needs max_matches", (*path, "resource"))
        days: dict[str, dt.date] = {}
        for name in ("approved_on", "expires"):
            try:
                days[name] = dt.date.fromisoformat(getattr(waiver, name))
            except ValueError as error:
                yield document.problem(f"{name}: {error}", (*path, name))
        if len(days) == len(("approved_on", "expires")):
            if days["expires"] - days["approved_on"] > LONGEST_WAIVER:
                yield document.problem("expires more than a year after it was approved", (*path, "expires"))
            if days["expires"] < days["approved_on"]:
                yield document.problem("expires before it was approved", (*path, "expires"))

    def _registers(self) -> Iterator[Problem]:
        for document, _ in self._packs:
            for register in ("cuecs", "subservice_organizations"):
                for path, name in _walk(document.data, ("registers", register, None, "criteria", None)):
                    yield from self._criterion(document, name, path)
            for path, name in _walk(document.data, ("registers", "cuecs", None, "claims", None)):
                if name not in self._claims:
                    yield document.problem(f"unknown claim {name!r}{did_you_mean(name, self._claims)}", path)


def json_schema(checks: Collection[Check]) -> dict[str, Any]:
    """Return the JSON Schema (2020-12) of a policy file, with the parameters of the known checks."""
    schema = msgspec.json.schema(Pack)
    ordered = sorted(checks, key=lambda check: check.id)
    shapes, definitions = msgspec.json.schema_components([check.params for check in ordered])
    schema["$defs"] |= definitions
    schema["$defs"]["Test"]["properties"]["check"] = {"enum": [check.id for check in ordered]}
    schema["$defs"]["Test"]["allOf"] = [
        {"if": {"properties": {"check": {"const": check.id}}}, "then": {"properties": {"params": shape}}}
        for check, shape in zip(ordered, shapes, strict=True)
    ]
    schema["$schema"] = "https://json-schema.org/draft/2020-12/schema"
    schema["$id"] = "urn:auditor:policy:1"
    return schema


def criteria_of(claim: Claim) -> tuple[Criterion, ...]:
    """Return a claim's criteria as reports print them."""
    return tuple(Criterion(row.id, row.support) for row in claim.criteria)
