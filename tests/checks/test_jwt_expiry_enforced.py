"""Tokens that must be refused, judged beside those that must be accepted."""

from __future__ import annotations

import pytest

from auditor.answers import Answer
from auditor.checks.jwt_expiry_enforced import CHECK
from auditor.model import JSON, Outcome, Unproven
from tests.checks.asking import DENIED, InMemory, Question, params, question, subjects_of, unreadable
from tests.checks.passing import NOW
from tests.checks.token_answers import SHORT, accepted, presented, refused

GIVEN: dict[str, JSON] = {"lifetime": "PT4S", "leeway": "PT1S", "max_wait": "PT30S"}
CONDITIONS = ("tampered", "foreign", "expired")
CONTROLS = ("fresh", "before", "after")
PAGE = "text/html (Sign in)"
CRASH = Answer.literal(status="error", reason="500: HTTP 500 Internal Server Error means nothing here")


def asking(**other: JSON | Answer) -> InMemory:
    """A token service as it should be, but for some answers."""
    other = {"garbage": refused(), **other}
    plain = {name: body for name, body in other.items() if not isinstance(body, Answer)}
    plain.setdefault("garbage", refused())
    answers: dict[Question, Answer] = {asked: Answer.literal(body) for asked, body in presented(**plain).items()}
    places = dict(
        zip([*presented(garbage=None)][2:], ("fresh", "before", *CONDITIONS, "garbage", "after"), strict=True)
    )
    for asked, name in places.items():
        answer = other.get(name)
        if isinstance(answer, Answer):
            answers[asked] = answer
    return InMemory(answers)


def found(**other: JSON | Answer) -> dict[str, str]:
    """Return the outcomes by subject."""
    return {name: outcome for name, (outcome, _) in said(**other).items()}


def said(**other: JSON | Answer) -> dict[str, tuple[str, str]]:
    """Return outcomes and messages by subject."""
    given = params(CHECK, **GIVEN)
    verdicts = {}
    for subject in subjects_of(CHECK, given, asking(**other)):
        try:
            verdict = CHECK.evaluate(subject.judged(NOW, []), given)
            verdicts[subject.resource.id] = (verdict.outcome.value, verdict.message)
        except Unproven as error:
            verdicts[subject.resource.id] = ("error", error.reason)
    return verdicts


def all_but(one: str, outcome: str, others: str = "pass") -> dict[str, str]:
    return {name: outcome if name == one else others for name in CONDITIONS}


def test_refusals_among_acceptances_pass() -> None:
    verdicts = said()
    assert {outcome for outcome, _ in verdicts.values()} == {"pass"}
    assert (
        verdicts["expired"][1]
        == "the token once it was expired was refused (403), and fresh ones accepted before and after"
    )


@pytest.mark.parametrize("condition", CONDITIONS)
def test_an_acceptance_fails_and_nothing_else_does(condition: str) -> None:
    assert found(**{condition: accepted()}) == all_but(condition, "fail")
    assert "was accepted (200), and what is no token was not" in said(**{condition: accepted()})[condition][1]


@pytest.mark.parametrize("condition", CONDITIONS)
def test_where_anything_is_accepted_the_url_is_none_for_tokens(condition: str) -> None:
    """A public page, or a portal that answers everything alike."""
    assert found(**{condition: accepted(), "garbage": accepted()}) == all_but(condition, "error")
    assert found(**{condition: accepted(), "garbage": CRASH}) == all_but(condition, "error")
    assert found(**{condition: accepted(), "garbage": accepted(content=PAGE)}) == all_but(condition, "fail")
    everything = (*CONDITIONS, *CONTROLS, "garbage")
    assert set(found(**dict.fromkeys(everything, accepted(content=PAGE))).values()) == {"error"}
    assert set(found(**dict.fromkeys(everything, accepted())).values()) == {"error"}


@pytest.mark.parametrize("condition", CONDITIONS)
def test_an_answer_of_another_kind_is_neither_accepted_nor_refused(condition: str) -> None:
    """A captive portal, or a page to sign in, with status 200."""
    assert found(**{condition: accepted(content=PAGE)}) == all_but(condition, "error")


@pytest.mark.parametrize("condition", CONDITIONS)
@pytest.mark.parametrize("answer", [CRASH, DENIED])
def test_an_answer_that_could_not_be_had_is_an_error(condition: str, answer: Answer) -> None:
    assert found(**{condition: answer}) == all_but(condition, "error")


@pytest.mark.parametrize("control", CONTROLS)
@pytest.mark.parametrize("body", [refused(), refused(403), CRASH, DENIED])
@pytest.mark.parametrize("others", ["refused", "accepted"])
def test_without_every_positive_control_nothing_is_proved(control: str, body: JSON | Answer, others: str) -> None:
    """Neither that refusals are refusals, nor that acceptances are."""
    answers: dict[str, JSON | Answer] = {} if others == "refused" else dict.fromkeys(CONDITIONS, accepted())
    verdicts = said(**{**answers, control: body})
    assert {outcome for outcome, _ in verdicts.values()} == {"error"}
    if body in (refused(), refused(403)):
        assert all("no positive control" in message for _, message in verdicts.values())


@pytest.mark.parametrize("control", CONTROLS)
@pytest.mark.parametrize("kind", [PAGE, "application/json (customer: string)", ""])
def test_controls_of_different_kinds_prove_nothing(control: str, kind: str) -> None:
    for answers in ({}, dict.fromkeys(CONDITIONS, accepted()), dict.fromkeys(CONDITIONS, accepted(content=kind))):
        assert set(found(**{**answers, control: accepted(content=kind)}).values()) == {"error"}


@pytest.mark.parametrize("control", ["fresh", "before"])
def test_where_fresh_tokens_are_refused_nothing_more_is_asked_and_nobody_waits(control: str) -> None:
    source = asking(**{control: refused()})
    list(subjects_of(CHECK, params(CHECK, **GIVEN), source))
    assert len(source.asked) == 4
    assert not [asked for asked in source.asked if ("moment", "expired") in asked[1]]


def test_each_question_is_asked_once_and_in_the_order_that_proves() -> None:
    source = asking()
    list(subjects_of(CHECK, params(CHECK, **GIVEN), source))
    assert source.asked == [*presented()]
    assert len(source.asked) == sum(CHECK.sources["tokens"].values()) == 8
    source = asking(tampered=accepted())
    list(subjects_of(CHECK, params(CHECK, **GIVEN), source))
    assert source.asked == [*presented(garbage=None)]


def test_a_token_that_could_not_be_minted_is_presented_nowhere() -> None:
    source = asking()
    for asked in (question("mint"), question("mint", lifetime="PT4S")):
        source = InMemory({**{q: Answer.literal(b) for q, b in presented().items()}, asked: DENIED})
        subjects = list(subjects_of(CHECK, params(CHECK, **GIVEN), source))
        assert [subject.resource.id for subject in subjects] == [*CONDITIONS]
        for subject in subjects:
            with pytest.raises(Unproven):
                CHECK.evaluate(subject.judged(NOW, []), params(CHECK, **GIVEN))


@pytest.mark.parametrize("pointer", ["/outcome", "/content", "/status"])
@pytest.mark.parametrize("name", [*CONDITIONS, *CONTROLS])
def test_a_member_that_cannot_be_read_never_makes_a_fault(pointer: str, name: str) -> None:
    for body in (accepted(), refused()):
        for case in unreadable(body, pointer, "maybe" if pointer == "/outcome" else None):
            try:
                verdicts = found(**{name: case.values[0]})
            except Unproven:  # a control while collecting: the population is incomplete
                continue
            if body == accepted() and name in CONDITIONS and pointer == "/status":
                assert verdicts[name] == "error"
            if name in CONTROLS or body != accepted():
                assert "fail" not in verdicts.values()


def test_the_verdict_cites_what_it_stands_on() -> None:
    given = params(CHECK, **GIVEN)
    subject = next(iter(subjects_of(CHECK, given, asking())))
    trail: list[object] = []
    verdict = CHECK.evaluate(subject.judged(NOW, trail), given)  # type: ignore[arg-type]
    assert verdict.outcome is Outcome.PASS
    assert len(trail) == 8  # outcome and kind of three controls, outcome and status of its own


def test_the_short_token_is_the_one_that_expires() -> None:
    short = [asked for asked in presented() if ("token", SHORT) in asked[1]]
    assert [dict(asked[1])["moment"] for asked in short] == ["fresh", "expired"]
