"""A database takes no connection in clear, none of TLS 1.0 and 1.1, and shows a certificate its clients can verify.

On the basis of behaviour: each condition is tried on the wire at every declared endpoint, and every refusal is held
against something that the same endpoint accepts.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterator, Mapping
from typing import Annotated, Literal

import msgspec

from auditor.answers import Answer
from auditor.checking import Check, Source, Subject
from auditor.model import Basis, Resource, Unproven, Verdict, failed, not_applicable, passed

OLD = ("TLSv1.0", "TLSv1.1")
NO_AUTHORIZATION = "28000"  # invalid_authorization_specification: pg_hba.conf lets nobody in this way
CERTIFICATE_DEMANDED = "connection requires a valid client certificate"
SOON = dt.timedelta(days=30)
Moment = Annotated[dt.datetime, msgspec.Meta(tz=True)]
Handshake = Literal["accepted", "refused", "no_tls"]
OldHandshake = Literal[Handshake, "other_alert"]


class Params(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """None: the endpoints and the trust are the target's."""


def collect(params: Params, database: Source) -> Iterator[Subject]:  # noqa: ARG001 - every check has the same shape
    """Five conditions at every declared endpoint."""
    target = database.target
    certificate = "declared" if target.get("/client_certificate", bool) else "none"
    for door in target.items("/endpoints"):
        where = {"host": door.get("/host", str), "port": door.get("/port", int)}
        session = database.ask("wire.tls_startup", certificate=certificate, **where)
        newest = database.ask("wire.tls_handshake", version="TLSv1.3", **where)
        modern = [newest]
        if newest.readable and newest.get("/parsed/result", str) != "accepted":
            modern.append(database.ask("wire.tls_handshake", version="TLSv1.2", **where))
        clear = database.ask("wire.plaintext_startup", **where)
        yield Subject(_resource(where, "plaintext"), condition="plaintext", answer=clear, control=session)
        for version in OLD:
            old = database.ask("wire.old_tls", version=version, **where)
            yield Subject(_resource(where, version), condition="old", answer=old, control=modern[-1])
        yield Subject(_resource(where, "TLSv1.2+"), condition="modern", answer=newest, control=modern[-1])
        trust = None
        if target.get("/trust", str) != "none":
            trust = database.ask("wire.certificate_trust", **where)
        yield Subject(_resource(where, "certificate"), condition="certificate", answer=trust, target=target)


def evaluate(subject: Subject, params: Params) -> Verdict:  # noqa: ARG001 - every check has the same shape
    """Judge one condition of one endpoint."""
    return _CONDITIONS[subject.condition](subject)


def _plaintext(subject: Subject) -> Verdict:
    if subject.answer.get("/parsed/message", Literal["authentication", "error"]) == "authentication":
        return failed("lets a connection in clear go on to authentication")
    code, text = subject.answer.get("/parsed/sqlstate", str), subject.answer.get("/parsed/text", str)
    if code != NO_AUTHORIZATION:
        raise Unproven(f"refuses a connection in clear, but for another reason: {code} {text}", [subject.answer])
    if not _goes_on(subject.control):
        raise Unproven("refuses a connection in clear, but the same user over TLS as well", [subject.control])
    return passed("refuses a connection in clear, and lets the same user go on over TLS")


def _goes_on(session: Answer) -> bool:
    """Whether the server's rules have an entry for this user over TLS: it asks for a password, or for a certificate."""
    if session.get("/parsed/message", Literal["authentication", "error", "alert"]) == "authentication":
        return True
    return session.find("/parsed/text", str) == CERTIFICATE_DEMANDED


def _old(subject: Subject) -> Verdict:
    result = subject.answer.get("/parsed/result", OldHandshake)
    if result == "accepted":
        return failed(
            f"accepts {subject.answer.get('/parsed/version', str)} ({subject.answer.get('/parsed/cipher', str)})"
        )
    if result == "no_tls":
        raise Unproven("speaks no TLS at all, so it could not be asked which versions", [subject.answer])
    if result != "refused":
        name = subject.answer.get("/parsed/alert_name", str)
        raise Unproven(
            f"refuses, but with the alert {name} and not because of the version: another client may get through",
            [subject.answer],
        )
    if subject.control.get("/parsed/result", Handshake) != "accepted":
        raise Unproven("refuses this version, but TLS 1.2 and 1.3 as well", [subject.control])
    return passed("refuses this version because of the version")


def _modern(subject: Subject) -> Verdict:
    first, last = (part.get("/parsed/result", Handshake) for part in (subject.answer, subject.control))
    if "accepted" in (first, last):
        return passed(f"accepts {subject.control.get('/parsed/version', str)}")
    if last == "no_tls":
        return failed("speaks no TLS at all")
    return failed("accepts neither TLS 1.2 nor 1.3")


def _certificate(subject: Subject) -> Verdict:
    if subject.answer is None:
        subject.target.get("/trust", str)
        advice = "have clients verify the server: name its authorities (trust) and connect with sslmode=verify-full"
        return not_applicable("is not verified: the target's trust is none", advice=advice)
    if not subject.answer.get("/parsed/verified", bool):
        return failed(f"shows a certificate that its clients must refuse: {subject.answer.get('/parsed/reason', str)}")
    ends = subject.answer.get("/parsed/certificate/not_after", Moment)
    if ends < subject.as_of:
        return failed(f"shows a certificate that expired on {ends:%Y-%m-%d}")
    advice = f"renew the certificate before {ends:%Y-%m-%d}" if ends - subject.as_of < SOON else ""
    return passed(f"shows a certificate that verifies, until {ends:%Y-%m-%d}", advice=advice)


_CONDITIONS: Mapping[str, Callable[[Subject], Verdict]] = {
    "plaintext": _plaintext,
    "old": _old,
    "modern": _modern,
    "certificate": _certificate,
}


def _resource(where: Mapping[str, object], condition: str) -> Resource:
    return Resource("postgres.endpoint", f"{where['host']}:{where['port']}/{condition}")


CHECK = Check(
    id="postgres-tls",
    title="PostgreSQL speaks TLS 1.2 or 1.3 only, and nothing in clear",
    sources={
        "postgres": {
            "wire.tls_startup": 1,
            "wire.tls_handshake": 1,
            "wire.plaintext_startup": 1,
            "wire.old_tls": 2,
            "wire.certificate_trust": 0,
        }
    },
    shard="target",
    basis=Basis.BEHAVIOUR,
    params=Params,
    collect=collect,
    evaluate=evaluate,
    population=(
        "five conditions (plaintext, TLS 1.0, TLS 1.1, TLS 1.2 or later, certificate) at every endpoint that the "
        "target declares"
    ),
    proves=(
        "at the time of asking the endpoint refused a connection in clear and a TLS 1.0 and 1.1 handshake, accepted "
        "TLS 1.2 or 1.3, and showed a certificate valid for its name"
    ),
    cannot_prove=(
        "what another user, database or client address would meet: pg_hba.conf decides by these",
        "endpoints that the target does not declare",
        "sessions that were open before",
        "direct TLS without SSLRequest (PostgreSQL 17), which follows the same server settings",
        "dates against the server's clock where SQL could not be asked for it: they are then judged by ours",
    ),
    no_second_source="the endpoints are those that the target declares: there is no list that could be short",
    time_based=True,
    criteria=("CC6.7", "CC6.6"),
)
