"""What checks read with: nothing unreadable has a value, every read is cited, and pages are one thing."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest

from auditor.answers import Answer, Listing, pointer_join, pointer_tokens
from auditor.checking import Subject
from auditor.model import Citation, Resource, Unreadable
from tests.checks.asking import ABSENT, DENIED, paged

BODY: Any = {
    "a": {"b": [{"c": 1}, {"c": None}], "d/e": {"~": True}, "01": "digits", "": "empty"},
    "text": "0123",
    "ab": "longer name",
}
NOW = dt.datetime(2026, 11, 23, tzinfo=dt.UTC)


def cited(pointer: str = "") -> Citation:
    return Citation("literal", (1, 1), pointer)


def followed(body: Any = BODY, *, redacted: tuple[str, ...] = ()) -> tuple[Answer, list[Citation]]:
    trail: list[Citation] = []
    return Answer.literal(body, redacted=redacted).read_into(trail), trail


@pytest.mark.parametrize(
    ("pointer", "value"),
    [
        ("/a/b/0/c", 1),
        ("/a/d~1e/~0", True),
        ("/a/01", "digits"),
        ("/a/", "empty"),
        ("/a/b", BODY["a"]["b"]),
        ("", BODY),
    ],
)
def test_a_value_that_is_there_is_read_and_cited(pointer: str, value: Any) -> None:
    answer, trail = followed()
    assert answer.get(pointer, Any) == value
    assert answer.find(pointer, Any) == value
    assert answer.has(pointer)
    assert trail == [cited(pointer)] * 3


@pytest.mark.parametrize("pointer", ["/b", "/a/b/2", "/a/b/0/d", "/a/d/e", "/A"])
def test_a_member_that_is_missing_is_none_only_to_find(pointer: str) -> None:
    answer, trail = followed()
    assert answer.find(pointer, int) is None
    assert not answer.has(pointer)
    assert trail == [cited()] * 2
    with pytest.raises(Unreadable, match=f"literal: {pointer} is missing") as caught:
        answer.get(pointer, int)
    assert caught.value.cites == (cited(),)


@pytest.mark.parametrize("pointer", ["/text/0", "/text/x", "/a/b/c", "/a/b/-", "/a/b/-1", "/a/b/0/c/d", "/a/b/1/c/d"])
def test_a_way_through_something_else_is_unreadable_even_to_find(pointer: str) -> None:
    answer, _ = followed()
    for read in (answer.get, answer.find):
        with pytest.raises(Unreadable, match=r"leads through .*, not an object"):
            read(pointer, Any)
    with pytest.raises(Unreadable):
        answer.has(pointer)


@pytest.mark.parametrize("kind", [int, str, Any, int | None], ids=str)
def test_null_is_unreadable_whatever_is_asked_for(kind: Any) -> None:
    answer, _ = followed()
    for read in (answer.get, answer.find):
        with pytest.raises(Unreadable, match="/a/b/1/c") as caught:
            read("/a/b/1/c", kind)
        assert caught.value.cites == (cited("/a/b/1/c"),)
    assert answer.has("/a/b/1/c")


@pytest.mark.parametrize(
    ("value", "kind"),
    [(True, int), (1, bool), (1, str), ("1", int), (1.0, int), ("x", list), ({}, list), ([], dict), ("true", bool)],
)
def test_types_are_strict(value: Any, kind: Any) -> None:
    answer, _ = followed({"v": value})
    for read in (answer.get, answer.find):
        with pytest.raises(Unreadable, match="/v: Expected"):
            read("/v", kind)


@pytest.mark.parametrize("pointer", ["", "/a", "/a/b", "/a/b/0", "/a/b/0/c"])
def test_what_is_redacted_what_is_above_and_what_is_below_is_unreadable(pointer: str) -> None:
    answer, trail = followed(redacted=("/a/b/0",))
    for read in (lambda: answer.get(pointer, Any), lambda: answer.find(pointer, Any), lambda: answer.has(pointer)):
        with pytest.raises(Unreadable, match=f"literal: {pointer or '/'} was redacted") as caught:
            read()
        assert caught.value.cites == (cited(pointer),)
    assert trail == []


@pytest.mark.parametrize("pointer", ["/a/b/1", "/a/01", "/text", "/ab"])
def test_what_stands_beside_something_redacted_is_readable(pointer: str) -> None:
    assert followed(redacted=("/a/b/0", "/a/0"))[0].has(pointer)


def test_a_list_is_read_item_by_item_around_what_is_redacted_in_it_and_never_as_a_value() -> None:
    body = {"items": [{"id": 1, "echo": "[redacted]"}, {"id": 2, "echo": "x"}, "[redacted]"]}
    answer, _ = followed(body, redacted=("/items/0/echo", "/items/2"))
    first, second, third = answer.items("/items")
    assert [first.get("/id", int), second.get("", dict)] == [1, {"id": 2, "echo": "x"}]
    for read in (
        lambda: first.get("/echo", str),
        lambda: first.get("", dict),
        lambda: third.get("", str),
        lambda: answer.get("/items", list),
        lambda: answer.get("", dict),
    ):
        with pytest.raises(Unreadable, match="was redacted"):
            read()


@pytest.mark.parametrize("masked", ["", "/items"])
def test_a_list_that_is_redacted_itself_or_stands_in_what_is_has_no_items(masked: str) -> None:
    answer, _ = followed({"items": [{"id": 1}]}, redacted=(masked,))
    with pytest.raises(Unreadable, match="was redacted"):
        answer.items("/items")


def test_an_answer_that_was_refused_has_nothing_to_read() -> None:
    assert not DENIED.readable
    for read in (
        lambda: DENIED.get("", Any),
        lambda: DENIED.find("", Any),
        lambda: DENIED.has(""),
        lambda: DENIED.absent,
    ):
        with pytest.raises(Unreadable, match="literal: AccessDenied: not authorised") as caught:
            read()
        assert caught.value.cites == (cited(),)


def test_a_refused_answer_cannot_be_read_even_where_it_has_a_body() -> None:
    refused = Answer.literal(BODY, status="error", reason="cut off")
    with pytest.raises(Unreadable, match="cut off"):
        refused.get("/text", str)


def test_absence_is_a_fact_that_is_cited_and_has_no_members() -> None:
    trail: list[Citation] = []
    absent = Answer.literal({"Error": {"Code": "NoSuchTagSet"}}, status="absent").read_into(trail)
    assert absent.readable
    assert absent.absent
    assert not Answer.literal({}).absent
    assert trail == [cited()]
    for read in (absent.get, absent.find):
        with pytest.raises(Unreadable, match="/TagSet is missing"):
            read("/TagSet", list)


def test_items_are_answers_of_their_own_with_the_same_trail() -> None:
    answer, trail = followed()
    first, second = answer.items("/a/b")
    assert first.get("/c", int) == 1
    assert second.cite("/c") == cited("/a/b/1/c")
    assert trail == [cited("/a/b"), cited("/a/b/0/c")]
    with pytest.raises(Unreadable):
        answer.items("/a")


def test_a_reference_is_read_when_it_is_asked_for() -> None:
    answer, _ = followed()
    assert answer.at("/a/b/0/c", int).value() == 1
    missing = answer.at("/b", int)
    with pytest.raises(Unreadable, match="/b is missing"):
        missing.value()


@pytest.mark.parametrize("tokens", [[], ["a"], ["a/b", "~", "~1", "/", ""], ["0"]])
def test_pointers_are_split_as_they_are_joined(tokens: list[str]) -> None:
    assert pointer_tokens(pointer_join("", *tokens)) == tokens


def test_the_escapes_are_those_of_rfc_6901() -> None:
    assert pointer_join("/base", "a/b", "m~n", 0) == "/base/a~1b/m~0n/0"
    assert pointer_tokens("/~01/~10") == ["~1", "/0"]


# --- listings and subjects --------------------------------------------------------------------------------------------


def test_a_listing_is_its_items_over_all_pages_cited_as_one() -> None:
    trail: list[Citation] = []
    listing = paged([1, 2], [], [3]).read_into(trail)
    assert [item.get("", int) for item in listing] == [1, 2, 3]
    assert listing.cite() == Citation("literal", (1, 3))
    del trail[:]
    listing.complete()
    assert trail == [Citation("literal", (1, 3))]
    assert [record.line for record in listing.records()] == [1, 2, 3]


def test_a_listing_with_a_page_that_cannot_be_read_is_not_complete_and_cites_nothing() -> None:
    trail: list[Citation] = []
    with pytest.raises(Unreadable, match="cut off"):
        paged([1], None).read_into(trail).complete()
    assert trail == []
    paged([1], [2]).complete()


def test_a_literal_listing_is_one_page() -> None:
    listing = Listing.literal("a", "b")
    assert [item.get("", str) for item in listing] == ["a", "b"]
    assert listing.cite() == cited()
    assert [item.cite() for item in listing] == [cited("/Items/0"), cited("/Items/1")]


def test_a_subject_notes_what_is_read_once_it_is_judged() -> None:
    collected = Subject(Resource("t", "i"), answer=Answer.literal(BODY), listing=paged([1]), word="x", none=None)
    with pytest.raises(RuntimeError, match="as_of is known only when judging"):
        collected.as_of  # noqa: B018 - reading is what is tried
    trail: list[Citation] = []
    judged = collected.plus(more=ABSENT).judged(NOW, trail)
    assert (judged.resource, judged.as_of, judged.word, judged.none) == (collected.resource, NOW, "x", None)
    assert judged.answer.get("/text", str) == "0123"
    assert judged.more.absent
    judged.listing.complete()
    assert trail == [cited("/text"), cited(), cited()]
    assert [record.status for record in judged.records()] == ["ok", "ok", "absent"]
    with pytest.raises(AttributeError, match="the subject has no part 'other'"):
        judged.other  # noqa: B018 - reading is what is tried
