"""TLS: five conditions of an endpoint, each refusal believed only beside something that is accepted."""

from __future__ import annotations

import datetime as dt
from typing import Any

import msgspec
import pytest

from auditor.answers import Answer
from auditor.checking import Subject
from auditor.checks.postgres_tls import CHECK
from auditor.model import Citation, Resource, Unproven, Unreadable, Verdict, failed, not_applicable, passed
from tests.checks.asking import DENIED, InMemory, params, put, question, unreadable

NOW = dt.datetime(2026, 11, 23, 12, tzinfo=dt.UTC)
DEMANDED = "connection requires a valid client certificate"
NO_ENTRY = 'no pg_hba.conf entry for host "10.0.0.1", user "auditor", database "app", no encryption'


def parsed(**said: Any) -> dict[str, Any]:
    return {"hex": "", "parsed": said}


def error(sqlstate: str, text: str) -> dict[str, Any]:
    return parsed(message="error", severity="FATAL", sqlstate=sqlstate, text=text)


def alert(number: int, name: str) -> dict[str, Any]:
    return parsed(message="alert", alert=number, alert_name=name)


def judge(condition: str, answer: Any, control: Any = None) -> Verdict:
    parts = {
        name: Answer.literal(part) if isinstance(part, dict) else part
        for name, part in {"answer": answer, "control": control}.items()
    }
    return CHECK.evaluate(
        Subject(Resource("postgres.endpoint", "db:5432"), as_of=NOW, condition=condition, **parts), params(CHECK)
    )


def unproven(reason: str, condition: str, answer: Any, control: Any = None) -> None:
    with pytest.raises(Unproven, match=reason) as caught:
        judge(condition, answer, control)
    assert type(caught.value) is Unproven
    assert caught.value.cites == (Citation("literal", (1, 1)),)


# --- in clear ---------------------------------------------------------------------------------------------------------

SASL = parsed(message="authentication", method=10, name="sasl", mechanisms=["SCRAM-SHA-256"])
TRUSTED = parsed(message="authentication", method=0, name="ok")
REFUSED_IN_CLEAR = error("28000", NO_ENTRY)


@pytest.mark.parametrize(
    "answer",
    [REFUSED_IN_CLEAR, error("28000", "pg_hba.conf rejects connection for host"), error("28000", "kein Eintrag")],
    ids=["no entry", "rejected", "in another language"],
)
@pytest.mark.parametrize(
    "control", [SASL, TRUSTED, error("28000", DEMANDED)], ids=["password", "trust", "certificate demanded"]
)
def test_a_refusal_in_clear_beside_a_session_over_tls_passes(answer: Any, control: Any) -> None:
    expected = passed("refuses a connection in clear, and lets the same user go on over TLS")
    assert judge("plaintext", answer, control) == expected


@pytest.mark.parametrize("answer", [SASL, TRUSTED, parsed(message="authentication", method=5, name="md5")])
@pytest.mark.parametrize("control", [SASL, DENIED], ids=["good", "denied"])
def test_going_on_in_clear_fails_whatever_tls_does(answer: Any, control: Any) -> None:
    assert judge("plaintext", answer, control) == failed("lets a connection in clear go on to authentication")


@pytest.mark.parametrize(
    ("code", "text"),
    [
        ("53300", "sorry, too many clients already"),
        ("57P03", "the database system is starting up"),
        ("3D000", 'database "app" does not exist'),
        ("28P01", "password authentication failed"),
        ("0A000", NO_ENTRY),
    ],
)
def test_a_refusal_in_clear_for_another_reason_is_unproven(code: str, text: str) -> None:
    unproven(f"for another reason: {code} {text}", "plaintext", error(code, text), SASL)


@pytest.mark.parametrize(
    "control",
    [
        REFUSED_IN_CLEAR,
        error("28000", DEMANDED.upper()),
        error("53300", "sorry, too many clients already"),
        alert(116, "certificate_required"),
        alert(48, "unknown_ca"),
    ],
    ids=["no entry at all", "nearly the words", "full", "alert 116", "alert 48"],
)
def test_a_refusal_in_clear_without_a_session_over_tls_is_unproven(control: Any) -> None:
    unproven("but the same user over TLS as well", "plaintext", REFUSED_IN_CLEAR, control)


@pytest.mark.parametrize(
    "answer",
    [
        *unreadable(REFUSED_IN_CLEAR, "/parsed/message", "alert", "ERROR", ""),
        *unreadable(REFUSED_IN_CLEAR, "/parsed/sqlstate"),
        *unreadable(REFUSED_IN_CLEAR, "/parsed/text"),
        *unreadable(REFUSED_IN_CLEAR, "/parsed"),
        *unreadable(SASL, "/parsed/message", "alert", "Authentication"),
        pytest.param(Answer.literal(None), id="no body"),
    ],
)
def test_an_answer_in_clear_that_cannot_be_read_neither_passes_nor_fails(answer: Answer) -> None:
    with pytest.raises(Unreadable):
        judge("plaintext", answer, SASL)


@pytest.mark.parametrize(
    "control",
    [
        *unreadable(SASL, "/parsed/message", "ok", "SASL"),
        *unreadable(SASL, "/parsed"),
        *(
            parameter
            for parameter in unreadable(error("28000", DEMANDED), "/parsed/text")
            if parameter.id != "text missing"  # as in an alert: then it did not go on, which is unproven
        ),
        pytest.param(Answer.literal(status="error", reason="no_tls: declined"), id="no TLS"),
    ],
)
def test_a_session_over_tls_that_cannot_be_read_is_no_control(control: Answer) -> None:
    with pytest.raises(Unreadable):
        judge("plaintext", REFUSED_IN_CLEAR, control)


# --- TLS 1.0 and 1.1 --------------------------------------------------------------------------------------------------

TLS_1_3 = parsed(result="accepted", version="TLSv1.3", cipher="TLS_AES_256_GCM_SHA384", bits=256)
TLS_1_2 = parsed(result="accepted", version="TLSv1.2", cipher="ECDHE-RSA-AES256-GCM-SHA384", bits=256)
REFUSED = parsed(result="refused", alert=70, alert_name="protocol_version")
NO_TLS = parsed(result="no_tls")
OLD = parsed(result="accepted", version="TLSv1.0", cipher="TLS_ECDHE_ECDSA_WITH_AES_256_CBC_SHA")


@pytest.mark.parametrize("control", [TLS_1_2, TLS_1_3], ids=["1.2", "1.3"])
def test_a_refusal_for_the_version_beside_a_newer_one_passes(control: Any) -> None:
    assert judge("old", REFUSED, control) == passed("refuses this version because of the version")


@pytest.mark.parametrize("control", [TLS_1_3, REFUSED, DENIED], ids=["good", "refused", "denied"])
def test_accepting_an_old_version_fails_whatever_newer_ones_do(control: Any) -> None:
    assert judge("old", OLD, control) == failed("accepts TLSv1.0 (TLS_ECDHE_ECDSA_WITH_AES_256_CBC_SHA)")


@pytest.mark.parametrize(
    ("number", "name"),
    [(80, "internal_error"), (40, "handshake_failure"), (71, "insufficient_security"), (86, "inappropriate_fallback")],
)
@pytest.mark.parametrize("server_hello", [False, True])
def test_a_refusal_by_another_alert_is_unproven(number: int, name: str, *, server_hello: bool) -> None:
    answer = parsed(result="other_alert", alert=number, alert_name=name, server_hello=server_hello)
    unproven(f"with the alert {name} and not because of the version", "old", answer, TLS_1_3)


def test_a_server_without_tls_could_not_be_asked_which_versions() -> None:
    unproven("speaks no TLS at all", "old", NO_TLS, NO_TLS)


@pytest.mark.parametrize("control", [REFUSED, NO_TLS], ids=["refused", "no TLS"])
def test_a_server_that_refuses_newer_versions_too_proves_nothing(control: Any) -> None:
    unproven("refuses this version, but TLS 1.2 and 1.3 as well", "old", REFUSED, control)


@pytest.mark.parametrize(
    "answer",
    [
        *unreadable(REFUSED, "/parsed/result", "Refused", "banana", ""),
        *unreadable(REFUSED, "/parsed"),
        *unreadable(OLD, "/parsed/version"),
        *unreadable(OLD, "/parsed/cipher"),
        *unreadable(parsed(result="other_alert", alert=80, alert_name="internal_error"), "/parsed/alert_name"),
        pytest.param(Answer.literal(None), id="no body"),
        pytest.param(Answer.literal(status="error", reason="local: no protocols available"), id="our side cannot ask"),
    ],
)
def test_an_old_version_that_cannot_be_read_neither_passes_nor_fails(answer: Answer) -> None:
    with pytest.raises(Unreadable):
        judge("old", answer, TLS_1_3)


@pytest.mark.parametrize(
    "control", [*unreadable(TLS_1_3, "/parsed/result", "Accepted", "banana"), *unreadable(TLS_1_3, "/parsed")]
)
def test_a_newer_version_that_cannot_be_read_is_no_control(control: Answer) -> None:
    with pytest.raises(Unreadable):
        judge("old", REFUSED, control)


# --- TLS 1.2 and 1.3 --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("answer", "control", "expected"),
    [
        pytest.param(TLS_1_3, TLS_1_3, passed("accepts TLSv1.3"), id="1.3"),
        pytest.param(REFUSED, TLS_1_2, passed("accepts TLSv1.2"), id="1.2 only"),
        pytest.param(REFUSED, REFUSED, failed("accepts neither TLS 1.2 nor 1.3"), id="neither"),
        pytest.param(NO_TLS, NO_TLS, failed("speaks no TLS at all"), id="no TLS"),
    ],
)
def test_one_of_the_newer_versions_is_needed(answer: Any, control: Any, expected: Verdict) -> None:
    assert judge("modern", answer, control) == expected


@pytest.mark.parametrize("body", [TLS_1_3, REFUSED, NO_TLS], ids=["accepted", "refused", "no TLS"])
@pytest.mark.parametrize("which", ["answer", "control"])
def test_a_newer_version_that_cannot_be_read_neither_passes_nor_fails(body: Any, which: str) -> None:
    for parameter in unreadable(body, "/parsed/result", "banana", "other_alert", "Accepted", ""):
        parts = {"answer": REFUSED, "control": REFUSED} | {which: parameter.values[0]}
        with pytest.raises(Unreadable):
            judge("modern", parts["answer"], parts["control"])


@pytest.mark.parametrize("control", unreadable(TLS_1_2, "/parsed/version"))
def test_the_version_that_is_reported_must_be_readable(control: Answer) -> None:
    with pytest.raises(Unreadable):
        judge("modern", REFUSED, control)


# --- certificate ------------------------------------------------------------------------------------------------------


def trusted(until: str) -> dict[str, Any]:
    return parsed(verified=True, version="TLSv1.3", certificate={"subject": "CN=db", "not_after": until})


DISTRUSTED = parsed(verified=False, verify_code=19, reason="self-signed certificate in certificate chain")
YEAR = trusted("2027-11-23T00:00:00Z")


@pytest.mark.parametrize(
    ("until", "day", "advice"),
    [
        pytest.param("2027-11-23T00:00:00Z", "2027-11-23", "", id="a year"),
        pytest.param("2026-12-23T12:00:00Z", "2026-12-23", "", id="30 days"),
        pytest.param(
            "2026-12-23T11:59:59Z", "2026-12-23", "renew the certificate before 2026-12-23", id="not quite 30 days"
        ),
        pytest.param("2026-11-23T12:00:00Z", "2026-11-23", "renew the certificate before 2026-11-23", id="this moment"),
        pytest.param("2027-11-23T01:00:00+02:00", "2027-11-23", "", id="another zone"),
    ],
)
def test_a_certificate_that_verifies_passes_and_is_advised_on_when_it_ends_soon(
    until: str, day: str, advice: str
) -> None:
    expected = passed(f"shows a certificate that verifies, until {day}", advice=advice)
    assert judge("certificate", trusted(until)) == expected


@pytest.mark.parametrize("until", ["2026-11-23T11:59:59Z", "2020-01-01T00:00:00Z"])
def test_a_certificate_that_has_expired_by_the_time_of_judging_fails(until: str) -> None:
    """It verified when it was asked for; `as_of` is the present for certificates (a what-if with a later one)."""
    assert judge("certificate", trusted(until)) == failed(f"shows a certificate that expired on {until[:10]}")


@pytest.mark.parametrize(
    "reason", ["certificate has expired", "Hostname mismatch", "self-signed certificate", "unable to get local issuer"]
)
def test_a_certificate_that_does_not_verify_fails(reason: str) -> None:
    expected = failed(f"shows a certificate that its clients must refuse: {reason}")
    assert judge("certificate", put(DISTRUSTED, "/parsed/reason", reason)) == expected


@pytest.mark.parametrize(
    "answer",
    [
        *unreadable(YEAR, "/parsed/verified"),
        *unreadable(YEAR, "/parsed"),
        *unreadable(YEAR, "/parsed/certificate"),
        *unreadable(YEAR, "/parsed/certificate/not_after", "soon", "2027-11-23", "2027-11-23T00:00:00", "1830384000"),
        *unreadable(DISTRUSTED, "/parsed/verified"),
        *unreadable(DISTRUSTED, "/parsed/reason"),
        pytest.param(
            Answer.literal(put(YEAR, "/parsed/certificate", {"der_b64": "", "unreadable": "ValueError: x"})),
            id="a certificate that does not parse",
        ),
    ],
)
def test_a_certificate_that_cannot_be_read_neither_passes_nor_fails(answer: Answer) -> None:
    with pytest.raises(Unreadable):
        judge("certificate", answer)


def target(trust: str = "ca", *doors: Any, client_certificate: Any = False) -> dict[str, Any]:
    endpoints = list(doors) or [{"host": "db", "port": 5432}]
    return {"trust": trust, "client_certificate": client_certificate, "endpoints": endpoints}


def without_trust(declared: Answer) -> Verdict:
    resource = Resource("postgres.endpoint", "db:5432/certificate")
    subject = Subject(resource, as_of=NOW, condition="certificate", answer=None, target=declared)
    return CHECK.evaluate(subject, params(CHECK))


def test_without_trust_the_certificate_is_out_of_scope_with_advice() -> None:
    advice = "have clients verify the server: name its authorities (trust) and connect with sslmode=verify-full"
    expected = not_applicable("is not verified: the target's trust is none", advice=advice)
    assert without_trust(Answer.literal(target("none"))) == expected


@pytest.mark.parametrize("declared", unreadable(target("none"), "/trust"))
def test_a_trust_that_cannot_be_read_puts_nothing_out_of_scope(declared: Answer) -> None:
    with pytest.raises(Unreadable):
        without_trust(declared)


# --- what is asked ----------------------------------------------------------------------------------------------------

DB, PROXY = {"host": "db", "port": 5432}, {"host": "proxy", "port": 6432}


def door(where: dict[str, Any], *, certificate: str = "none", trust: bool = True) -> dict[Any, Answer]:
    """Everything a good endpoint is asked, in that order, and what it answers."""
    answers = {
        question("wire.tls_startup", certificate=certificate, **where): SASL,
        question("wire.tls_handshake", version="TLSv1.3", **where): TLS_1_3,
        question("wire.plaintext_startup", **where): REFUSED_IN_CLEAR,
        question("wire.old_tls", version="TLSv1.0", **where): REFUSED,
        question("wire.old_tls", version="TLSv1.1", **where): REFUSED,
        **({question("wire.certificate_trust", **where): YEAR} if trust else {}),
    }
    return {asked: Answer.literal(body) for asked, body in answers.items()}


def outcomes(source: InMemory) -> dict[str, str]:
    """Judge every subject; "error" where that cannot be done."""
    found = {}
    for subject in CHECK.collect(params(CHECK), source):
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
            REFUSED, GOOD | {"TLSv1.0": "error", "TLSv1.1": "error", "TLSv1.2+": "fail"}, id="refused as well"
        ),
    ],
)
def test_tls_1_2_is_asked_where_1_3_is_refused(second: Any, expected: dict[str, str]) -> None:
    answers = door(DB) | {TLS_1_3_ASKED: Answer.literal(REFUSED), TLS_1_2_ASKED: Answer.literal(second)}
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
