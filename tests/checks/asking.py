"""A source in memory that answers what a test wrote and nothing else, and ways to damage a body."""

from __future__ import annotations

import copy
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import msgspec
import pytest

from auditor.answers import Answer, Listing, Record, Reference, pointer_tokens
from auditor.checking import Check, Reconciled, Source, Subject
from auditor.model import JSON, Unproven, Unreadable

Question = tuple[str, tuple[tuple[str, Any], ...]]

DENIED = Answer.literal(status="error", reason="AccessDenied: not authorised")
ABSENT = Answer.literal(status="absent")


def question(operation: str, /, **params: Any) -> Question:
    """Name one question."""
    return operation, tuple(sorted((name, _frozen(value)) for name, value in params.items()))


def _frozen(value: Any) -> Any:
    if isinstance(value, dict):
        return tuple(sorted((name, _frozen(member)) for name, member in value.items()))
    return tuple(map(_frozen, value)) if isinstance(value, list) else value


def params(check: Check, **given: JSON) -> Any:
    """Read a check's parameters as a policy gives them."""
    return msgspec.convert(given, check.params, strict=True)


class InMemory:
    """A `Source` over a table of answers. Asking what is not in the table is a mistake of the test, or of the check.

    `otherwise` answers what is not in the table where that is none: what is asked follows from damaged answers.
    """

    def __init__(
        self,
        answers: Mapping[Question, Answer | Listing],
        *,
        target: Answer = DENIED,
        shard: str = "main",
        otherwise: Answer | None = None,
    ) -> None:
        self._answers = answers
        self._otherwise = otherwise
        self.target = target
        self.shard = shard
        self.asked: list[Question] = []

    def ask(self, operation: str, /, **params: Any) -> Answer:
        """Answer one question; where a parameter cannot be read, it is not asked, and its answer an error."""
        try:
            resolved = {name: part.value() if isinstance(part, Reference) else part for name, part in params.items()}
        except Unreadable as error:
            return Answer.literal(status="error", reason=f"not asked: {error.reason}")
        answer = self._answer(operation, resolved)
        assert isinstance(answer, Answer), f"{operation} is asked as one answer, and written as a listing"
        return answer

    def listing(self, operation: str, /, **params: Any) -> Listing:
        """Answer one question with all its pages."""
        answer = self._answer(operation, params)
        if answer is self._otherwise is not None:
            return paged(None)
        assert isinstance(answer, Listing), f"{operation} is asked as a listing, and written as one answer"
        return answer

    def ask_each(self, operation: str, questions: Iterable[Mapping[str, Any]], /) -> Iterator[Answer]:
        """Answer several questions in their order."""
        return (self.ask(operation, **params) for params in questions)

    def _answer(self, operation: str, params: Mapping[str, Any]) -> Answer | Listing:
        asked = question(operation, **params)
        self.asked.append(asked)
        if self._otherwise is not None and asked not in self._answers:
            return self._otherwise
        assert asked in self._answers, f"nobody wrote an answer to {asked}"
        return self._answers[asked]


def subjects_of(check: Check, params: Any, *sources: Source) -> Iterator[Subject]:
    """Collect the subjects of a check, without what was counted twice."""
    return (found for found in check.collect(params, *sources) if isinstance(found, Subject))


def reconciled_by(check: Check, params: Any, *sources: Source) -> list[Reconciled]:
    """Collect what a check counted twice."""
    return [found for found in check.collect(params, *sources) if isinstance(found, Reconciled)]


def require_agreement(found: Reconciled) -> None:
    """Raise, as the engine makes an error, where the two counts differ or cannot be read."""
    counted = found.count()
    if counted is not None and abs(found.listed - counted) > found.allowed:
        raise Unproven(f"{found.what}: {found.listed} listed, {counted} counted")


def paged(*pages: list[JSON] | None) -> Listing:
    """Build a listing of several pages, each a list of items; None is a page that could not be read."""
    records = [
        Record("literal", line, "literal", "error", reason="cut off")
        if page is None
        else Record("literal", line, "literal", "ok", {"Items": page})
        for line, page in enumerate(pages, 1)
    ]
    return Listing(lambda: iter(records), "/Items", "literal", (1, len(records)))


def put(body: JSON, pointer: str, value: JSON) -> JSON:
    """Return the body with another value at `pointer`."""
    *way, last = pointer_tokens(pointer) or [""]
    if not pointer:
        return value
    changed = copy.deepcopy(body)
    place = changed
    for token in way:
        place = place[int(token)] if isinstance(place, list) else place[token]
    place[int(last) if isinstance(place, list) else last] = value
    return changed


def drop(body: JSON, pointer: str) -> JSON:
    """Return the body without what is at `pointer`."""
    *way, last = pointer_tokens(pointer)
    changed = copy.deepcopy(body)
    place = changed
    for token in way:
        place = place[int(token)] if isinstance(place, list) else place[token]
    del place[int(last) if isinstance(place, list) else last]
    return changed


def kind(value: JSON) -> str:
    """Name the JSON type of a value."""
    names = {type(None): "null", bool: "boolean", str: "string", list: "array", dict: "object"}
    return names.get(type(value), "number")


def other_kinds(value: JSON) -> list[JSON]:
    """Values of every other JSON type: empty ones, likely ones, and the value itself in a list."""
    candidates: list[JSON] = [None, False, True, 0, 1, "", "true", [], {}, [value]]
    return [candidate for candidate in candidates if kind(candidate) != kind(value)]


def unreadable(body: JSON, pointer: str, *wrong: JSON) -> list[pytest.ParameterSet]:
    """Every way in which a required value cannot be read, as parameters of a test.

    It is missing, null, of another type or redacted, its whole answer is refused, or it is one of `wrong`: values of
    the right type that it cannot have.
    """
    value = Answer.literal(body).get(pointer, Any)
    name = pointer.rpartition("/")[2]
    ways = {
        "missing": Answer.literal(drop(body, pointer)),
        "redacted": Answer.literal(body, redacted=(pointer,)),
        "refused": DENIED,
    }
    ways |= {repr(other): Answer.literal(put(body, pointer, other)) for other in [*other_kinds(value), *wrong]}
    return [pytest.param(answer, id=f"{name} {way}") for way, answer in ways.items()]
