"""The mutation tester itself: what it changes besides what mutmut does, and what it is told of survivors."""

from __future__ import annotations

import pytest
from mutmut.mutation import mutators
from mutmut.mutation.file_mutation import create_mutations

from tests import mutants


def changes(body: str, monkeypatch: pytest.MonkeyPatch) -> set[str]:
    """Return what each change to a function's body makes of the changed part."""
    monkeypatch.setattr("mutmut.mutation.file_mutation.mutation_operators", mutants.OPERATORS)
    indented = "".join(f"    {line}\n" for line in body.splitlines())
    module, mutations, _, _ = create_mutations("x.py", f"def f(a, b, c):\n{indented}")
    return {module.code_for_node(one.mutated_node).strip() for one in mutations}


@pytest.mark.parametrize(
    ("body", "wanted"),
    [
        ("if a:\n    raise E", {"pass"}),
        ("if a:\n    return b", {"if (a) and False:\n    return b"}),
        ("if a:\n    b()\nelse:\n    c()", {"None"}),
        ("return a or b", {"(a)", "(b)", "a and b"}),
        ("return a <= b <= c", {"a <= b", "b <= c", "< b", "< c"}),
        ("return [a for a in b if c if a]", {"for a in b if c", "for a in b if a"}),
        ("try:\n    a\nexcept E:\n    pass", {"except ():\n    pass"}),
        ("try:\n    a\nexcept (E, F):\n    pass", {"except (F,):\n    pass", "except (E, ):\n    pass"}),
        ("a.b()", {"None"}),
        ("yield a", {"yield from ()"}),
        ("yield from a", {"yield from ()"}),
        ("return 'word'", {"'XXwordXX'"}),
    ],
)
def test_guards_and_parts_of_them_are_taken_out(body: str, wanted: set[str], monkeypatch: pytest.MonkeyPatch) -> None:
    made = changes(body, monkeypatch)
    assert wanted <= made, made


def test_text_for_people_is_left_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    assert changes("return 'two words'", monkeypatch) == set()


def test_mutmut_is_given_all_of_them() -> None:
    """Its own, but for those of text, which are taken over."""
    kept = [change for _, change in mutators.mutation_operators if change is not mutators.operator_string]
    assert [change for _, change in mutants.OPERATORS][: len(kept)] == kept
    assert len(mutants.OPERATORS) == len(kept) + 8


def test_every_survivor_that_is_listed_says_why_it_is_harmless() -> None:
    listed = mutants.listed()
    assert len({one.identity for one in listed}) == len(listed)
    assert [one.identity for one in listed] == sorted(one.identity for one in listed)
    for one in listed:
        assert {line[:2] for line in one.change} <= {"- ", "+ "}
        assert len(one.why.split()) > 3
