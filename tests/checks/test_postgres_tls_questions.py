"""What an endpoint is asked about its TLS, and which condition a question without an answer leaves open."""

from __future__ import annotations

import datetime as dt
from typing import Any

import msgspec
import pytest

from auditor.answers import Answer
from auditor.checks.postgres_tls import CHECK
from auditor.model import Unproven, Unreadable
from tests.checks.asking import DENIED, InMemory, params, question, subjects_of, unreadable
from tests.checks.wire_answers import (
    NO_TLS,
    REFUSED_IN_CLEAR,
    REFUSED_VERSION,
    SASL,
    TLS_1_2,
    TLS_1_3,
    YEAR,
    target,
)

NOW = dt.datetime(2026, 11, 23, 12, tzinfo=dt.UTC)
DB, PROXY = {"host": "db", "port": 5432}, {"host": "proxy", "port": 6432}


def door(where: dict[str, Any], *, certificate: str = "none", trust: bool = True) -> dict[Any, Answer]:
    """Everything a good endpoint is asked, in that order, and what it answers."""
    answers = {
        question("wire.tls_startup", certificate=certificate, **where): SASL,
        question("wire.tls_handshake", version="TLSv1.3", **where): TLS_1_3,
        question("wire.plaintext_startup", **where): REFUSED_IN_CLEAR,
        question("wire.old_tls", version="TLSv1.0", **where): REFUSED_VERSION,
        question("wire.old_tls", version="TLSv1.1", **where): REFUSED_VERSION,
        **({question("wire.certificate_trust", **where): YEAR} if trust else {}),
    }
    return {asked: Answer.literal(body) for asked, body in answers.items()}


def outcomes(source: InMemory) -> dict[str, str]:
    """Judge every subject; "error" where that cannot be done."""
    found = {}
    for subject in subjects_of(CHECK, params(CHECK), source):
        assert subject.resource.type == "postgres.endpoint"
        try:
            found[subject.resource.id] = str(CHECK.evaluate(subject.judged(NOW, []), params(CHECK)).outcome)
        except Unproven:
            found[subject.resource.id] = "error"
    return found


GOOD = dict.fromkeys(["plaintext", "TLSv1.0", "TLSv1.1", "TLSv1.2+", "certificate"], "pass")


def at(name: str, results: dict[str, str]) -> dict[str, str]:
    return {f"{name}/{condition}": outcome for condition, outcome in results.items()}


def test_every_endpoint_is_asked_about_five_conditions() -> None:
    source = InMemory(door(DB) | door(PROXY), target=Answer.literal(target("ca", DB, PROXY)))
    assert outcomes(source) == at("db:5432", GOOD) | at("proxy:6432", GOOD)
    assert source.asked == [*door(DB), *door(PROXY)]


def test_the_control_shows_the_certificate_that_the_target_declares() -> None:
    answers = door(DB, certificate="declared")
    source = InMemory(answers, target=Answer.literal(target("system", client_certificate=True)))
    assert outcomes(source) == at("db:5432", GOOD)
    assert source.asked == list(answers)


def test_without_trust_nobody_is_asked_to_verify() -> None:
    source = InMemory(door(DB, trust=False), target=Answer.literal(target("none")))
    assert outcomes(source) == at("db:5432", GOOD | {"certificate": "not_applicable"})
    assert source.asked == list(door(DB, trust=False))


TLS_1_3_ASKED = question("wire.tls_handshake", version="TLSv1.3", **DB)
TLS_1_2_ASKED = question("wire.tls_handshake", version="TLSv1.2", **DB)


@pytest.mark.parametrize(
    ("second", "expected"),
    [
        pytest.param(TLS_1_2, GOOD, id="accepted"),
        pytest.param(
            REFUSED_VERSION, GOOD | {"TLSv1.0": "error", "TLSv1.1": "error", "TLSv1.2+": "fail"}, id="refused as well"
        ),
    ],
)
def test_tls_1_2_is_asked_where_1_3_is_refused(second: Any, expected: dict[str, str]) -> None:
    answers = door(DB) | {TLS_1_3_ASKED: Answer.literal(REFUSED_VERSION), TLS_1_2_ASKED: Answer.literal(second)}
    source = InMemory(answers, target=Answer.literal(target()))
    assert outcomes(source) == at("db:5432", expected)
    assert source.asked[:4] == [
        question("wire.tls_startup", certificate="none", **DB),
        TLS_1_3_ASKED,
        TLS_1_2_ASKED,
        question("wire.plaintext_startup", **DB),
    ]


def test_a_server_without_tls() -> None:
    """No session and no handshake: nothing about old versions can be told, but none of the new is spoken."""
    answers = door(DB) | {
        question("wire.tls_startup", certificate="none", **DB): Answer.literal(status="error", reason="no_tls"),
        TLS_1_3_ASKED: Answer.literal(NO_TLS),
        TLS_1_2_ASKED: Answer.literal(NO_TLS),
        question("wire.plaintext_startup", **DB): Answer.literal(SASL),
        question("wire.old_tls", version="TLSv1.0", **DB): Answer.literal(NO_TLS),
        question("wire.old_tls", version="TLSv1.1", **DB): Answer.literal(NO_TLS),
        question("wire.certificate_trust", **DB): Answer.literal(status="error", reason="no_tls"),
    }
    assert outcomes(InMemory(answers, target=Answer.literal(target()))) == at(
        "db:5432",
        {"plaintext": "fail", "TLSv1.0": "error", "TLSv1.1": "error", "TLSv1.2+": "fail", "certificate": "error"},
    )


@pytest.mark.parametrize(
    ("asked", "errors"),
    [
        pytest.param(question("wire.tls_startup", certificate="none", **DB), ["plaintext"], id="session"),
        pytest.param(TLS_1_3_ASKED, ["TLSv1.0", "TLSv1.1", "TLSv1.2+"], id="TLS 1.3"),
        pytest.param(question("wire.plaintext_startup", **DB), ["plaintext"], id="in clear"),
        pytest.param(question("wire.old_tls", version="TLSv1.0", **DB), ["TLSv1.0"], id="TLS 1.0"),
        pytest.param(question("wire.old_tls", version="TLSv1.1", **DB), ["TLSv1.1"], id="TLS 1.1"),
        pytest.param(question("wire.certificate_trust", **DB), ["certificate"], id="certificate"),
    ],
)
def test_a_question_without_an_answer_is_an_error_of_what_needs_it(asked: Any, errors: list[str]) -> None:
    source = InMemory(door(DB) | {asked: DENIED}, target=Answer.literal(target()))
    assert outcomes(source) == at("db:5432", GOOD | dict.fromkeys(errors, "error"))
    assert TLS_1_2_ASKED not in source.asked


@pytest.mark.parametrize(
    "declared",
    [
        *unreadable(target(), "/client_certificate"),
        *unreadable(target(), "/endpoints"),
        *unreadable(target(), "/endpoints/0/host"),
        *unreadable(target(), "/endpoints/0/port"),
    ],
)
def test_a_target_that_cannot_be_read_has_no_population(declared: Answer) -> None:
    source = InMemory({}, target=declared)
    with pytest.raises(Unreadable):
        outcomes(source)
    assert source.asked == []


@pytest.mark.parametrize("declared", unreadable(target(), "/trust"))
def test_a_trust_that_cannot_be_read_ends_the_population(declared: Answer) -> None:
    with pytest.raises(Unreadable):
        outcomes(InMemory(door(DB), target=declared))


def test_there_are_no_parameters() -> None:
    with pytest.raises(msgspec.ValidationError):
        params(CHECK, versions=["TLSv1.2"])
