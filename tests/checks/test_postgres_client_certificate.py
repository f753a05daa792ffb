"""Client certificates: only a refusal for exactly that reason proves anything, and only beside a good certificate."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from auditor.answers import Answer
from auditor.checking import Subject
from auditor.checks.postgres_client_certificate import CHECK
from auditor.model import Citation, Resource, Unproven, Unreadable, Verdict, failed, passed
from tests.checks.asking import DENIED, InMemory, params, put, question, subjects_of, unreadable
from tests.checks.wire_answers import (
    DEMANDED,
    REFUSED_WITHOUT,
    SASL,
    alert,
    authentication,
    error,
)

PASSED = passed("refuses a client without a certificate, and lets the same user go on with the good one")


def judge(without: Any, good: Any) -> Verdict:
    subject = Subject(
        Resource("postgres.endpoint", "db:5432"),
        without=without if isinstance(without, Answer) else Answer.literal(without),
        good=good if isinstance(good, Answer) else Answer.literal(good),
    )
    return CHECK.evaluate(subject, params(CHECK))


@pytest.mark.parametrize(
    "good", [SASL, authentication(0, "ok"), authentication(5, "md5"), authentication(3, "password")]
)
@pytest.mark.parametrize(
    "without", [REFUSED_WITHOUT, alert(116, "certificate_required")], ids=["by pg_hba.conf", "by TLS itself"]
)
def test_a_refusal_for_that_reason_beside_the_good_certificate_passes(without: Any, good: Any) -> None:
    assert judge(without, good) == PASSED


@pytest.mark.parametrize("without", [SASL, authentication(0, "ok"), authentication(5, "md5")])
@pytest.mark.parametrize(
    "good", [SASL, REFUSED_WITHOUT, alert(48, "unknown_ca"), DENIED], ids=["good", "error", "alert", "denied"]
)
def test_going_on_without_a_certificate_fails_whatever_the_good_one_meets(without: Any, good: Any) -> None:
    assert judge(without, good) == failed("lets a client without a certificate go on to authentication")


@pytest.mark.parametrize(
    ("without", "reason"),
    [
        pytest.param(
            error("28000", 'no pg_hba.conf entry for host "10.0.0.1", user "auditor", database "app", SSL encryption'),
            "with 28000 no pg_hba.conf entry for host",
            id="28000, nobody may come this way",
        ),
        pytest.param(
            error("28000", 'certificate authentication failed for user "auditor"'),
            "with 28000 certificate authentication failed",
            id="28000, another name in the certificate",
        ),
        pytest.param(
            error("28000", 'pg_hba.conf rejects connection for host "10.0.0.1"'),
            "with 28000 pg_hba.conf rejects",
            id="28000, rejected",
        ),
        pytest.param(
            error("28000", "Verbindung erfordert ein gültiges Client-Zertifikat"),
            "with 28000 Verbindung erfordert",
            id="28000, in another language",
        ),
        pytest.param(error("28000", DEMANDED + "."), "with 28000 connection requires", id="28000, nearly the words"),
        pytest.param(error("28000", ""), "with 28000 ", id="28000, no words"),
        pytest.param(error("28P01", DEMANDED), "with 28P01 connection requires", id="the words, another code"),
        pytest.param(
            error("53300", "sorry, too many clients already"), "with 53300 sorry, too many clients", id="full"
        ),
        pytest.param(error("57P03", "the database system is starting up"), "with 57P03 the database", id="starting"),
        pytest.param(error("3D000", 'database "app" does not exist'), "with 3D000 database", id="no database"),
        pytest.param(alert(48, "unknown_ca"), "with the TLS alert unknown_ca", id="alert 48"),
        pytest.param(alert(40, "handshake_failure"), "with the TLS alert handshake_failure", id="alert 40"),
        pytest.param(alert(42, "bad_certificate"), "with the TLS alert bad_certificate", id="alert 42"),
        pytest.param(alert(45, "certificate_expired"), "with the TLS alert certificate_expired", id="alert 45"),
        pytest.param(alert(115, "certificate_required"), "with the TLS alert", id="the name, another number"),
    ],
)
@pytest.mark.parametrize("good", [SASL, DENIED], ids=["good", "denied"])
def test_a_refusal_for_another_reason_is_unproven(without: Any, reason: str, good: Any) -> None:
    with pytest.raises(Unproven, match=f"refuses a client without a certificate, but {reason}") as caught:
        judge(without, good)
    assert caught.value.cites == (Citation("literal", (1, 1)),)


@pytest.mark.parametrize(
    ("good", "reason"),
    [
        pytest.param(REFUSED_WITHOUT, f"with 28000 {DEMANDED}", id="like everybody else"),
        pytest.param(
            error("28000", 'certificate authentication failed for user "auditor"'),
            "with 28000 certificate authentication failed",
            id="for its name",
        ),
        pytest.param(error("53300", "sorry, too many clients already"), "with 53300 sorry", id="for lack of room"),
        pytest.param(alert(48, "unknown_ca"), "with the TLS alert unknown_ca", id="for its issuer"),
        pytest.param(
            alert(116, "certificate_required"), "with the TLS alert certificate_required", id="as if not shown"
        ),
        pytest.param(alert(45, "certificate_expired"), "with the TLS alert certificate_expired", id="for its date"),
    ],
)
@pytest.mark.parametrize("without", [REFUSED_WITHOUT, alert(116, "certificate_required")], ids=["error", "alert"])
def test_a_refusal_of_the_good_certificate_too_is_unproven(without: Any, good: Any, reason: str) -> None:
    with pytest.raises(Unproven, match=f"refuses the good certificate too: {reason}") as caught:
        judge(without, good)
    assert caught.value.cites == (Citation("literal", (1, 1)),)


MESSAGES = ("banana", "ERROR", "Authentication", "")


@pytest.mark.parametrize(
    "without",
    [
        *unreadable(REFUSED_WITHOUT, "/parsed/message", *MESSAGES),
        *unreadable(REFUSED_WITHOUT, "/parsed/sqlstate"),
        *unreadable(REFUSED_WITHOUT, "/parsed/text"),
        *unreadable(REFUSED_WITHOUT, "/parsed"),
        *unreadable(SASL, "/parsed/message", *MESSAGES),
        *unreadable(alert(116, "certificate_required"), "/parsed/message", *MESSAGES),
        *unreadable(alert(116, "certificate_required"), "/parsed/alert"),
        *unreadable(alert(48, "unknown_ca"), "/parsed/alert_name"),
        pytest.param(Answer.literal(put(REFUSED_WITHOUT, "/parsed/message", "alert")), id="an error called an alert"),
        pytest.param(Answer.literal(put(alert(116, "x"), "/parsed/message", "error")), id="an alert called an error"),
        pytest.param(Answer.literal(None), id="no body"),
        pytest.param(Answer.literal(status="error", reason="no_tls: declined"), id="no TLS at all"),
        pytest.param(Answer.literal(status="error", reason="refused: no connection"), id="nobody there"),
    ],
)
def test_an_answer_without_a_certificate_that_cannot_be_read_neither_passes_nor_fails(without: Answer) -> None:
    with pytest.raises(Unreadable):
        judge(without, SASL)


@pytest.mark.parametrize(
    "good",
    [
        *unreadable(SASL, "/parsed/message", *MESSAGES),
        *unreadable(SASL, "/parsed"),
        *unreadable(REFUSED_WITHOUT, "/parsed/sqlstate"),
        *unreadable(REFUSED_WITHOUT, "/parsed/text"),
        *unreadable(alert(48, "unknown_ca"), "/parsed/alert_name"),
        pytest.param(Answer.literal(None), id="no body"),
        pytest.param(Answer.literal(status="error", reason="local: no client_certificate"), id="none declared"),
    ],
)
def test_an_answer_to_the_good_certificate_that_cannot_be_read_proves_nothing(good: Answer) -> None:
    with pytest.raises(Unreadable):
        judge(REFUSED_WITHOUT, good)


def startup(host: str, port: int, certificate: str) -> Any:
    return question("wire.tls_startup", host=host, port=port, certificate=certificate)


def declared(*doors: Any) -> Answer:
    return Answer.literal({"client_certificate": True, "trust": "ca", "endpoints": list(doors)})


def test_every_endpoint_is_asked_both_ways() -> None:
    answers = {
        startup("db", 5432, "none"): Answer.literal(REFUSED_WITHOUT),
        startup("db", 5432, "declared"): Answer.literal(SASL),
        startup("proxy", 6432, "none"): Answer.literal(SASL),
        startup("proxy", 6432, "declared"): DENIED,
    }
    source = InMemory(answers, target=declared({"host": "db", "port": 5432}, {"host": "proxy", "port": 6432}))
    first, second = subjects_of(CHECK, params(CHECK), source)
    assert first.resource == Resource("postgres.endpoint", "db:5432")
    assert second.resource == Resource("postgres.endpoint", "proxy:6432")
    assert CHECK.evaluate(first, params(CHECK)) == PASSED
    assert CHECK.evaluate(second, params(CHECK)).outcome == "fail"
    assert source.asked == list(answers)


def test_a_target_without_a_certificate_is_asked_all_the_same() -> None:
    """The source then answers that there is none to show, and nothing is proved."""
    nothing = Answer.literal(status="error", reason="local: the target declares no client_certificate")
    source = InMemory(
        {startup("db", 1, "none"): Answer.literal(REFUSED_WITHOUT), startup("db", 1, "declared"): nothing},
        target=Answer.literal({"client_certificate": False, "endpoints": [{"host": "db", "port": 1}]}),
    )
    (subject,) = subjects_of(CHECK, params(CHECK), source)
    with pytest.raises(Unreadable, match="declares no client_certificate"):
        CHECK.evaluate(subject, params(CHECK))


@pytest.mark.parametrize(
    "target",
    [
        DENIED,
        Answer.literal({}),
        declared({"host": "db"}),
        declared({"port": 5432}),
        declared({"host": "db", "port": "5432"}),
        declared({"host": None, "port": 5432}),
        declared("db:5432"),
    ],
)
def test_a_target_that_cannot_be_read_has_no_population(target: Answer) -> None:
    source = InMemory({}, target=target)
    with pytest.raises(Unreadable):
        list(subjects_of(CHECK, params(CHECK), source))
    assert source.asked == []


def test_there_are_no_parameters() -> None:
    with pytest.raises(msgspec.ValidationError):
        params(CHECK, user="auditor")
