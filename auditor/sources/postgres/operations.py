"""The questions PostgreSQL may be asked: by SQL as a least-privilege role, and on the wire as any client could."""

from __future__ import annotations

from types import MappingProxyType

from auditor.questions import Operation

_ROWS = (
    Operation(
        name="sql.identity",
        summary="Which role, in which database, of which server.",
        permission="CONNECT on the database",
        needs_identity=False,
    ),
    Operation(
        name="sql.password_kdf",
        summary="How many passwords are stored how: groups and their total, counted in one statement.",
        permission="SELECT on the password column",
    ),
    Operation(
        name="sql.password_kdf_function",
        summary="The same by the published SECURITY DEFINER function, its source compared before it is called.",
        permission="EXECUTE on the published function",
    ),
    Operation(
        name="wire.plaintext_startup",
        summary="Ask an endpoint for a session in clear; stops at the first answer.",
        effect="probe",
        needs_identity=False,
    ),
    Operation(
        name="wire.old_tls",
        summary="Offer an endpoint nothing but TLS 1.0 or 1.1, by a ClientHello of our own.",
        effect="probe",
        needs_identity=False,
    ),
    Operation(
        name="wire.tls_handshake",
        summary="Shake hands with an endpoint in exactly one version of TLS.",
        effect="probe",
        needs_identity=False,
    ),
    Operation(
        name="wire.certificate_trust",
        summary="Verify an endpoint's certificate as the target's clients do: chain, name, dates.",
        effect="probe",
        needs_identity=False,
    ),
    Operation(
        name="wire.tls_startup",
        summary="Ask an endpoint for a session over TLS, with or without the client certificate; stops at the answer.",
        effect="probe",
        needs_identity=False,
    ),
)

OPERATIONS = MappingProxyType({row.name: row for row in _ROWS})
