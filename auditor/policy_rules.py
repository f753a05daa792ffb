"""What can be wrong in a policy pack whose shape is right: ids, names, dates, and what the parts say of each other.

Reads the files as they are, so that a mistake in one place hides no mistake in another.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any

import msgspec

from auditor.checking import Check
from auditor.model import JSON, Problem
from auditor.wording import did_you_mean, one_of, or_known, quoted
from auditor.yamlfile import Document, Steps, check_shape, walk

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

CLAIMS = ("claims", None)
TESTS = (*CLAIMS, "tests", None)
WAIVERS = ("waivers", None)
CUECS = ("registers", "cuecs", None)
SUBSERVICES = ("registers", "subservice_organizations", None)
NOT_CLAIMS = ("not_claims", None)


class Selectors(msgspec.Struct, frozen=True):
    """What a test may name as its target, when the settings are known."""

    ids: Mapping[str, str]
    tags: frozenset[str]
    types: frozenset[str]


def problems(
    documents: Sequence[Document], checks: Mapping[str, Check], selectors: Selectors | None
) -> Iterator[Problem]:
    """Yield every mistake of the pack. Without selectors, it is not asked whether targets exist."""
    claims = {name for _, _, name in _texts(documents, *CLAIMS, "id")}
    tests = {name for _, _, name in _texts(documents, *TESTS, "id")}
    yield from _duplicates(documents)
    for document in documents:
        yield from _source(document)
        for path, test in walk(document.data, TESTS):
            if isinstance(test, dict):
                yield from _Test(document, path, test, checks, selectors).problems()
        for path, waiver in walk(document.data, WAIVERS):
            if isinstance(waiver, dict):
                yield from _waiver(document, path, waiver)
    for place in ((*CLAIMS, "criteria", None, "id"), (*CUECS, "criteria", None), (*SUBSERVICES, "criteria", None)):
        yield from _unknown(documents, place, "criterion", CRITERIA)
    yield from _unknown(documents, (*WAIVERS, "test"), "test", tests)
    yield from _unknown(documents, (*CUECS, "claims", None), "claim", claims)
    yield from _disclaimed(documents)


def required_params(check: Check) -> list[str]:
    """Return the parameters that a test of this check cannot leave out."""
    return [field.encode_name for field in msgspec.structs.fields(check.params) if field.required]


def _texts(documents: Sequence[Document], *steps: str | None) -> Iterator[tuple[Document, Steps, str]]:
    for document in documents:
        for path, value in walk(document.data, steps):
            if isinstance(value, str):
                yield document, path, value


def _duplicates(documents: Sequence[Document]) -> Iterator[Problem]:
    places = {"pack": (), "claim": CLAIMS, "test": TESTS, "waiver": WAIVERS, "CUEC": CUECS}
    for what, steps in places.items():
        first: dict[str, str] = {}
        for document, path, name in _texts(documents, *steps, "id"):
            if name in first:
                yield document.problem(f"duplicate {what} id {quoted(name)}, first at {first[name]}", path)
            first.setdefault(name, f"{document.file}:{document.place(path).line}")


def _unknown(
    documents: Sequence[Document], steps: tuple[str | None, ...], what: str, known: Collection[str]
) -> Iterator[Problem]:
    for document, path, name in _texts(documents, *steps):
        if name not in known:
            yield document.problem(f"unknown {what} {quoted(name)}{did_you_mean(name, known)}", path)


def _disclaimed(documents: Sequence[Document]) -> Iterator[Problem]:
    """Refuse a sentence that is said to be a claim, and to be none."""
    statements = {
        " ".join(text.split()): f"{document.file}:{document.place(path).line}"
        for document, path, text in _texts(documents, *CLAIMS, "statement")
    }
    for document, path, text in _texts(documents, *NOT_CLAIMS, "quote"):
        if place := statements.get(" ".join(text.split())):
            yield document.problem(f"quote: is the statement of a claim, at {place}: it cannot be both", path)


def _source(document: Document) -> Iterator[Problem]:
    for path, source in walk(document.data, ("source",)):
        if not isinstance(source, dict):
            continue
        if not source.get("url") and not source.get("document"):
            yield document.problem("source: needs a url or a document", path)
        url = source.get("url")
        if isinstance(url, str) and url and not url.startswith(("https://", "http://")):
            yield document.problem(f"url: {quoted(url)} does not begin with https://", (*path, "url"))
        if "retrieved" in source:
            yield from _day(document, (*path, "retrieved"), source["retrieved"])[1]


def _day(document: Document, path: Steps, value: JSON) -> tuple[dt.date | None, list[Problem]]:
    """Return the day that is written there; what is no text is the shape's matter."""
    if not isinstance(value, str):
        return None, []
    try:
        return dt.datetime.strptime(value, "%Y-%m-%d").replace(tzinfo=dt.UTC).date(), []
    except ValueError:
        return None, [document.problem(f"{path[-1]}: {quoted(value)} is not a day such as 2026-11-23", path)]


def _waiver(document: Document, path: Steps, waiver: Mapping[str, Any]) -> Iterator[Problem]:
    people = [waiver.get(name) for name in ("requested_by", "approved_by")]
    asked, agreed = (" ".join(name.split()).casefold() if isinstance(name, str) else "" for name in people)
    if asked and asked == agreed:
        yield document.problem("approved_by: nobody approves a waiver of their own", (*path, "approved_by"))
    resource = waiver.get("resource")
    if isinstance(resource, str) and "*" in resource and "max_matches" not in waiver:
        yield document.problem("resource: a pattern (*) needs max_matches beside it", (*path, "resource"))
    approved, wrong = _day(document, (*path, "approved_on"), waiver.get("approved_on"))
    expires, also_wrong = _day(document, (*path, "expires"), waiver.get("expires"))
    yield from (*wrong, *also_wrong)
    if approved and expires and expires < approved:
        yield document.problem("expires: is before the day of approval", (*path, "expires"))
    if approved and expires and expires > _a_year_after(approved):
        yield document.problem("expires: is more than a year after the day of approval", (*path, "expires"))


def _a_year_after(day: dt.date) -> dt.date:
    try:
        return day.replace(year=day.year + 1)
    except ValueError:  # the 29th of February
        return dt.date(day.year + 1, 3, 1)


class _Test:
    """One test: its check, parameters, population and targets."""

    def __init__(
        self,
        document: Document,
        path: Steps,
        test: Mapping[str, Any],
        checks: Mapping[str, Check],
        selectors: Selectors | None,
    ) -> None:
        self._document = document
        self._path = path
        self._test = test
        self._checks = checks
        self._known = selectors
        name = test.get("check")
        self._check = checks.get(name) if isinstance(name, str) else None

    def problems(self) -> Iterator[Problem]:
        """Yield every mistake of the test."""
        name = self._test.get("check")
        if isinstance(name, str) and name not in self._checks:
            yield self._problem(f"unknown check {quoted(name)}{did_you_mean(name, self._checks)}", "check")
        population = self._test.get("population")
        if isinstance(population, dict) and population.get("min") == 0 and not population.get("reason"):
            yield self._problem("population: min: 0 is only believed with a reason", "population")
        for index, selector in enumerate(_list(self._test.get("targets"))):
            if isinstance(selector, str):
                yield from self._target(selector, index)
        if self._check is not None:
            yield from self._params(self._check)
            yield from self._further(self._check)

    def _problem(self, message: str, *steps: str | int) -> Problem:
        return self._document.problem(message, (*self._path, *steps))

    def _params(self, check: Check) -> Iterator[Problem]:
        if "params" in self._test:
            yield from check_shape(self._document, check.params, (*self._path, "params"))
        elif missing := required_params(check):
            yield self._problem(f"{check.id} needs params: {', '.join(missing)}")

    def _further(self, check: Check) -> Iterator[Problem]:
        bound = self._test.get("with", {})
        if not isinstance(bound, dict):
            return
        further = check.further_sources
        for source, target in bound.items():
            if source not in further:
                there_is = or_known(source, further) or f"; it reads {one_of(check.sources)} only"
                yield self._problem(f"{check.id} reads no further source {quoted(source)}{there_is}", "with", source)
            elif self._known is not None and isinstance(target, str):
                yield from self._bound(self._known, check, source, target)
        for source in further:
            if source not in bound:
                yield self._problem(f"{check.id} also reads {source}: bind it, with: {{{source}: <target id>}}")

    def _bound(self, known: Selectors, check: Check, source: str, target: str) -> Iterator[Problem]:
        """Check what a further source is bound to; where there is no target to look at, none is missed."""
        kind = known.ids.get(target)
        if kind is None and check.target_type not in known.ids.values():
            return
        if kind is None or (kind != source and kind in known.types):
            of_its_type = [name for name, kind in known.ids.items() if kind == source]
            there_is = or_known(target, of_its_type) if of_its_type else "; auditor.yaml has no target of that type"
            yield self._problem(f"no {source} target has the id {quoted(target)}{there_is}", "with", source)

    def _target(self, name: str, index: int) -> Iterator[Problem]:
        """Check what a test names: an id or a type must be of the check's kind; a tag may be on anything."""
        known = self._known
        if known is None or name in known.tags:
            return
        kind = known.ids.get(name, name if name in known.types else None)
        if kind is None:
            hint = did_you_mean(name, {*known.ids, *known.types, *known.tags})
            yield self._problem(f"unknown target id, type or tag {quoted(name)}{hint}", "targets", index)
        elif self._check is not None and kind in known.types and self._check.target_type not in (kind, name):
            message = f"{self._check.id} reads {self._check.target_type} targets; {quoted(name)} is of type {kind}"
            yield self._problem(message, "targets", index)


def _list(value: JSON) -> list[JSON]:
    return value if isinstance(value, list) else []
