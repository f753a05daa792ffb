"""What no check may do, whatever is wrong with what it reads: let it pass for good, or take it for a fault.

Each starts from a system in which everything passes and damages one thing. What a verdict had not read may be damaged
without effect; what it had read makes the outcome an error. The only exceptions are members whose absence is an answer
of its own: they are listed.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cached_property
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from auditor.answers import Answer, Record, pointer_join, resolve_pointer
from auditor.checking import Subject
from auditor.model import JSON, Citation, Outcome, Unproven
from auditor.plugins import checks
from tests.checks.asking import drop, kind, other_kinds, params, put
from tests.checks.passing import NOW, SYSTEMS, System

# Where a member is left out, S3 says something else by it: there were never versions; all objects; no such action.
MEANS_SOMETHING_WHERE_MISSING = {
    "versioning": {r"/Status": Outcome.PASS},
    "lifecycle": {
        r"/Rules/\d+/Filter/(And/)?Prefix": Outcome.PASS,
        r"/Rules/\d+/Expiration/Days": Outcome.FAIL,
        r"/Rules/\d+/NoncurrentVersionExpiration/NoncurrentDays": Outcome.FAIL,
        r"/Rules/\d+/AbortIncompleteMultipartUpload/DaysAfterInitiation": Outcome.FAIL,
    },
}


def judge(system: System, subject: Subject, trail: list[Citation] | None = None) -> Outcome:
    """Judge as the engine does: what cannot be told is an error; anything else that is raised is a mistake."""
    judged = subject.judged(NOW, trail if trail is not None else [])
    try:
        return system.check.evaluate(judged, params(system.check, **system.given)).outcome
    except Unproven:
        return Outcome.ERROR


def outcomes(system: System, changed: dict[Any, Record]) -> list[Outcome]:
    """Judge the whole system; where the population ends early, that is an error too."""
    subjects = system.collected(changed)
    found = []
    while True:
        try:
            found.append(judge(system, next(subjects)))
        except StopIteration:
            return found
        except Unproven:
            return [*found, Outcome.ERROR]


class Node:
    """One value that a subject of a system stands on: a part of it, and a place in there."""

    def __init__(self, system: System, subject: Subject, part: str, pointer: str) -> None:
        self.system, self.subject, self.part, self.pointer = system, subject, part, pointer
        self._answer: Answer = subject._parts[part]
        self.value: JSON = resolve_pointer(self._answer.get("", Any), pointer)  # null is a value as well
        self._where = self._answer.cite(pointer)

    def __repr__(self) -> str:
        return f"{self.system.name}: {self.subject.resource.id}: {self.part}{self.pointer}"

    @cached_property
    def is_read(self) -> bool:
        """Whether the verdict cites this value, or one within."""
        trail: list[Citation] = []
        assert judge(self.system, self.subject, trail) is Outcome.PASS
        within = self._where.pointer + "/"
        return any(cited.lines == self._where.lines and (cited.pointer + "/").startswith(within) for cited in trail)

    @property
    def expected(self) -> Outcome:
        """What is due where this value cannot be read."""
        return Outcome.ERROR if self.is_read else Outcome.PASS

    def outcome_with(self, **changes: Any) -> Outcome:
        """Judge the subject with changes to the record of this part, wherever the subject stands on it."""
        record = msgspec.structs.replace(self._answer.record, **changes)
        parts: dict[str, Any] = {
            name: Answer(record, part.cite().pointer)
            if isinstance(part, Answer) and part.record.line == record.line
            else part
            for name, part in self.subject._parts.items()
        }
        return judge(self.system, Subject(self.subject.resource, **parts))

    def outcome_of(self, value: JSON) -> Outcome:
        """Judge the subject with another value here."""
        return self.outcome_with(body=put(self._answer.record.body, self._where.pointer, value))

    def outcome_without(self) -> Outcome:
        """Judge the subject with this value missing."""
        return self.outcome_with(body=drop(self._answer.record.body, self._where.pointer))

    def outcome_redacted(self) -> Outcome:
        """Judge the subject with this value redacted."""
        return self.outcome_with(redacted=(self._where.pointer,))


def places(value: JSON, pointer: str = "") -> Iterator[str]:
    """Yield the pointer of every value, the whole first."""
    yield pointer
    pairs = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for name, inner in pairs:
        yield from places(inner, pointer_join(pointer, name))


NODES = [
    Node(system, subject, part, pointer)
    for system in SYSTEMS
    for subject in system.collected()
    for part, answer in subject._parts.items()
    if isinstance(answer, Answer)
    for pointer in places(answer.get("", Any))
]
LEAVES = [node for node in NODES if not isinstance(node.value, dict | list) or not node.value]
JUNK = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=3,
)


def test_every_check_has_a_system_and_every_subject_passes() -> None:
    """But for what is proved to be out of scope by an empty list."""
    assert {system.check.id for system in SYSTEMS} == set(checks())
    for system in SYSTEMS:
        found = outcomes(system, {})
        assert found, system.name
        assert set(found) - {Outcome.NOT_APPLICABLE} == {Outcome.PASS}, system.name


def test_every_verdict_reads_something_and_not_everything() -> None:
    """Or the properties below would say nothing."""
    for system in SYSTEMS:
        read = {node.is_read for node in LEAVES if node.system is system}
        assert True in read, system.name
    assert {node.is_read for node in LEAVES} == {True, False}


@pytest.mark.parametrize("system", SYSTEMS, ids=[system.name for system in SYSTEMS])
def test_any_answer_that_was_refused_makes_the_whole_an_error_and_nothing_a_fail(system: System) -> None:
    """So no test that asked a question can be proved without its answer."""
    for asked, record in system.records().items():
        refused = msgspec.structs.replace(record, status="error", reason="AccessDenied", body=None)
        found = outcomes(system, {asked: refused})
        assert Outcome.ERROR in found, asked
        assert Outcome.FAIL not in found, asked


def test_a_part_that_was_refused_is_an_error_of_the_subject_that_had_read_it() -> None:
    for node in NODES:
        if not node.pointer:
            assert node.outcome_with(status="error", reason="AccessDenied", body=None) is node.expected, node


def test_a_leaf_that_is_missing_is_an_error_if_it_was_read_unless_that_is_an_answer() -> None:
    seen = set()
    for node in LEAVES:
        if not node.pointer:
            continue
        expected = node.expected
        for pattern, outcome in MEANS_SOMETHING_WHERE_MISSING.get(node.part, {}).items():
            if node.is_read and re.fullmatch(pattern, node.pointer):
                expected = outcome
                seen.add(pattern)
        assert node.outcome_without() is expected, node
    assert seen == {pattern for patterns in MEANS_SOMETHING_WHERE_MISSING.values() for pattern in patterns}


def test_a_value_of_another_type_is_an_error_if_it_was_read() -> None:
    for node in NODES:
        for wrong in other_kinds(node.value):
            assert node.outcome_of(wrong) is node.expected, (node, wrong)


def test_a_value_that_was_redacted_is_an_error_if_it_was_read() -> None:
    """One that was not may be an error as well: a list with something redacted inside is not read either."""
    for node in NODES:
        assert node.outcome_redacted() in {Outcome.ERROR, node.expected}, node


@settings(max_examples=150, deadline=None)
@given(node=st.sampled_from(NODES), junk=JUNK)
def test_so_is_any_value_of_another_type(node: Node, junk: JSON) -> None:
    if kind(junk) != kind(node.value):
        assert node.outcome_of(junk) is node.expected


PLACES = [
    (system, asked, record, pointer)
    for system in SYSTEMS
    for asked, record in system.records().items()
    for pointer in places(record.body)
]


def test_collecting_from_a_damaged_answer_never_makes_a_fault_nor_raises_anything_else() -> None:
    """The same of the whole: what is read while collecting is in no citation, so only this can be said of it."""
    for system, asked, record, pointer in PLACES:
        for wrong in other_kinds(resolve_pointer(record.body, pointer)):
            found = outcomes(system, {asked: msgspec.structs.replace(record, body=put(record.body, pointer, wrong))})
            assert Outcome.FAIL not in found, (system.name, asked, pointer, wrong)
        outcomes(system, {asked: msgspec.structs.replace(record, redacted=(pointer,))})
        if pointer:
            outcomes(system, {asked: msgspec.structs.replace(record, body=drop(record.body, pointer))})


@settings(max_examples=150, deadline=None)
@given(place=st.sampled_from(PLACES), junk=JUNK)
def test_nor_does_collecting_from_any_value_of_another_type(place: Any, junk: JSON) -> None:
    system, asked, record, pointer = place
    if kind(junk) != kind(resolve_pointer(record.body, pointer)):
        found = outcomes(system, {asked: msgspec.structs.replace(record, body=put(record.body, pointer, junk))})
        assert Outcome.FAIL not in found
