"""TLS: five conditions of an endpoint, each refusal believed only beside something that is accepted."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest

from auditor.answers import Answer
from auditor.checking import Subject
from auditor.checks.postgres_tls import CHECK
from auditor.model import Citation, Resource, Unproven, Unreadable, Verdict, failed, not_applicable, passed
from tests.checks.asking import DENIED, params, put, unreadable
from tests.checks.wire_answers import (
    DEMANDED,
    DISTRUSTED,
    NO_ENTRY,
    NO_TLS,
    REFUSED_IN_CLEAR,
    REFUSED_VERSION,
    SASL,
    TLS_1_0,
    TLS_1_2,
    TLS_1_3,
    TRUSTED,
    YEAR,
    alert,
    error,
    parsed,
    target,
    trusted,
)

NOW = dt.datetime(2026, 11, 23, 12, tzinfo=dt.UTC)


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


@pytest.mark.parametrize("control", [TLS_1_2, TLS_1_3], ids=["1.2", "1.3"])
def test_a_refusal_for_the_version_beside_a_newer_one_passes(control: Any) -> None:
    assert judge("old", REFUSED_VERSION, control) == passed("refuses this version because of the version")


@pytest.mark.parametrize("control", [TLS_1_3, REFUSED_VERSION, DENIED], ids=["good", "refused", "denied"])
def test_accepting_an_old_version_fails_whatever_newer_ones_do(control: Any) -> None:
    assert judge("old", TLS_1_0, control) == failed("accepts TLSv1.0 (TLS_ECDHE_ECDSA_WITH_AES_256_CBC_SHA)")


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


@pytest.mark.parametrize("control", [REFUSED_VERSION, NO_TLS], ids=["refused", "no TLS"])
def test_a_server_that_refuses_newer_versions_too_proves_nothing(control: Any) -> None:
    unproven("refuses this version, but TLS 1.2 and 1.3 as well", "old", REFUSED_VERSION, control)


@pytest.mark.parametrize(
    "answer",
    [
        *unreadable(REFUSED_VERSION, "/parsed/result", "Refused", "banana", ""),
        *unreadable(REFUSED_VERSION, "/parsed"),
        *unreadable(TLS_1_0, "/parsed/version"),
        *unreadable(TLS_1_0, "/parsed/cipher"),
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
        judge("old", REFUSED_VERSION, control)


# --- TLS 1.2 and 1.3 --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("answer", "control", "expected"),
    [
        pytest.param(TLS_1_3, TLS_1_3, passed("accepts TLSv1.3"), id="1.3"),
        pytest.param(REFUSED_VERSION, TLS_1_2, passed("accepts TLSv1.2"), id="1.2 only"),
        pytest.param(REFUSED_VERSION, REFUSED_VERSION, failed("accepts neither TLS 1.2 nor 1.3"), id="neither"),
        pytest.param(NO_TLS, NO_TLS, failed("speaks no TLS at all"), id="no TLS"),
    ],
)
def test_one_of_the_newer_versions_is_needed(answer: Any, control: Any, expected: Verdict) -> None:
    assert judge("modern", answer, control) == expected


@pytest.mark.parametrize("body", [TLS_1_3, REFUSED_VERSION, NO_TLS], ids=["accepted", "refused", "no TLS"])
@pytest.mark.parametrize("which", ["answer", "control"])
def test_a_newer_version_that_cannot_be_read_neither_passes_nor_fails(body: Any, which: str) -> None:
    for parameter in unreadable(body, "/parsed/result", "banana", "other_alert", "Accepted", ""):
        parts = {"answer": REFUSED_VERSION, "control": REFUSED_VERSION} | {which: parameter.values[0]}
        with pytest.raises(Unreadable):
            judge("modern", parts["answer"], parts["control"])


@pytest.mark.parametrize("control", unreadable(TLS_1_2, "/parsed/version"))
def test_the_version_that_is_reported_must_be_readable(control: Answer) -> None:
    with pytest.raises(Unreadable):
        judge("modern", REFUSED_VERSION, control)


# --- certificate ------------------------------------------------------------------------------------------------------


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
