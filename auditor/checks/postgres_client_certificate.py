"""A database refuses clients without a certificate, and lets the same user in with the certificate it was issued.

On the basis of behaviour. PostgreSQL asks for a certificate in the handshake but never insists there: pg_hba.conf does,
after the StartupMessage. So a handshake proves nothing, and neither does the refusal of a foreign certificate. What
proves it is the refusal of a startup without one, for exactly that reason, beside the acceptance of a good one.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

import msgspec

from auditor.answers import Answer
from auditor.checking import Check, Source, Subject
from auditor.model import Basis, Resource, Unproven, Verdict, failed, passed

REFUSED = ("28000", "connection requires a valid client certificate")
Message = Literal["authentication", "error", "alert"]
CERTIFICATE_REQUIRED = 116  # TLS alert (RFC 8446 section 6.2): a proxy that insists in TLS itself


class Params(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """None: the endpoints, the user and its certificate are the target's."""


def collect(params: Params, database: Source) -> Iterator[Subject]:  # noqa: ARG001 - every check has the same shape
    """Every declared endpoint, asked without a certificate and with the good one."""
    for door in database.target.items("/endpoints"):
        where = {"host": door.get("/host", str), "port": door.get("/port", int)}
        yield Subject(
            Resource("postgres.endpoint", f"{where['host']}:{where['port']}"),
            without=database.ask("wire.tls_startup", certificate="none", **where),
            good=database.ask("wire.tls_startup", certificate="declared", **where),
        )


def evaluate(subject: Subject, params: Params) -> Verdict:  # noqa: ARG001 - every check has the same shape
    """Fail an endpoint that goes on without a certificate; believe a refusal only beside the good certificate."""
    if subject.without.get("/parsed/message", Message) == "authentication":
        return failed("lets a client without a certificate go on to authentication")
    if not _for_that_reason(subject.without):
        raise Unproven(f"refuses a client without a certificate, but {_reason(subject.without)}", [subject.without])
    if subject.good.get("/parsed/message", Message) != "authentication":
        raise Unproven(f"refuses the good certificate too: {_reason(subject.good)}", [subject.good])
    return passed("refuses a client without a certificate, and lets the same user go on with the good one")


def _for_that_reason(answer: Answer) -> bool:
    if answer.get("/parsed/message", Message) == "alert":
        return answer.get("/parsed/alert", int) == CERTIFICATE_REQUIRED
    return (answer.get("/parsed/sqlstate", str), answer.get("/parsed/text", str)) == REFUSED


def _reason(answer: Answer) -> str:
    if answer.get("/parsed/message", Message) == "alert":
        return f"with the TLS alert {answer.get('/parsed/alert_name', str)}"
    return f"with {answer.get('/parsed/sqlstate', str)} {answer.get('/parsed/text', str)}"


CHECK = Check(
    id="postgres-client-certificate",
    title="PostgreSQL demands a client certificate",
    sources={"postgres": {"wire.tls_startup": 2}},
    shard="target",
    basis=Basis.BEHAVIOUR,
    params=Params,
    collect=collect,
    evaluate=evaluate,
    population="every endpoint that the target declares",
    proves=(
        "at the time of asking the endpoint refused the auditor's user without a client certificate for exactly that "
        "reason, and let the same user go on to authentication with the certificate it was issued"
    ),
    cannot_prove=(
        "what another user, database or client address would meet: pg_hba.conf decides by these",
        "endpoints that the target does not declare",
        "that clients verify the server in turn",
        "a refusal worded in another language than English: it is then unproven, never passed",
    ),
    no_second_source="the endpoints are those that the target declares: there is no list that could be short",
    criteria=("CC6.7", "CC6.6"),
)
