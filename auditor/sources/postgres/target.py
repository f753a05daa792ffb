"""A PostgreSQL database as a target: its settings, what may be known of it, and its identity."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec

from auditor.answers import Answer
from auditor.model import JSON
from auditor.questions import Identified, SecretRef

Name = Annotated[str, msgspec.Meta(min_length=1)]
Port = Annotated[int, msgspec.Meta(ge=1, le=65535)]


class CaTrust(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Trust the certificate authorities in a PEM file, and no others.

    `ca`: the file, relative to the settings.
    """

    ca: Annotated[Name, msgspec.Meta(examples=["certificates/server-ca.pem"])]


class CertificateFiles(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The client certificate that was issued to the auditor's user, and its key.

    `cert` and `key`: PEM files, relative to the settings.
    """

    cert: Annotated[Name, msgspec.Meta(examples=["certificates/auditor.crt"])]
    key: Annotated[Name, msgspec.Meta(examples=["certificates/auditor.key"])]


class Endpoint(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A further door to the same database: a proxy, a pooler, a replica.

    `host` and `port`: where it listens.
    """

    host: Annotated[Name, msgspec.Meta(examples=["pooler.example.com"])]
    port: Port = 5432


class PostgresTarget(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A PostgreSQL database.

    `host` and `port`: its first endpoint; every endpoint is probed. `dbname`: the database; `user` and `password`: of
    the role that asks; `trust`: how its clients verify the server: a file of authorities, the system's store, or none
    (then it is not verified here either, and the report advises against it). `endpoints`: further doors to the same
    database; `timeout`: seconds for each question.
    """

    host: Annotated[Name, msgspec.Meta(examples=["db.example.com"])]
    port: Port = 5432
    dbname: Annotated[Name, msgspec.Meta(examples=["app"])]
    user: Annotated[Name, msgspec.Meta(examples=["auditor"])]
    password: SecretRef | None = None
    trust: CaTrust | Literal["system", "none"] = "system"
    client_certificate: CertificateFiles | None = None
    endpoints: list[Endpoint] = []
    timeout: Annotated[float, msgspec.Meta(gt=0, le=300)] = 10.0

    def doors(self) -> list[Endpoint]:
        """Return every endpoint once, the first one first."""
        return list(dict.fromkeys([Endpoint(self.host, self.port), *self.endpoints]))


def declare(target: PostgresTarget) -> dict[str, JSON]:
    """Return what may be known of the database without any secret."""
    return {
        "dbname": target.dbname,
        "user": target.user,
        "trust": target.trust if isinstance(target.trust, str) else "ca",
        "client_certificate": target.client_certificate is not None,
        "endpoints": [{"host": door.host, "port": door.port} for door in target.doors()],
    }


def identified(declared: Answer, identity: Answer) -> Identified:
    """Say which database answered at which of the doors, and as whom it was asked."""
    first = declared.items("/endpoints")[0]
    return Identified(
        system=f"PostgreSQL at {first.get('/host', str)}:{first.get('/port', int)}",
        account=(
            f"database {identity.get('/database', str)} of PostgreSQL {identity.get('/server_version', str)} at "
            f"{identity.get('/server', str)}, as it says of itself"
        ),
        asker=f"role {identity.get('/user', str)}",
    )


def contradiction(declared: Answer, identity: Answer) -> str | None:
    """Say what differs between the declared user and database and those that answered; None where they agree."""
    for name, pointer in (("user", "/user"), ("database", "/dbname")):
        expected, actual = declared.get(pointer, str), identity.get(f"/{name}", str)
        if expected != actual:
            return f"declared {name} {expected!r}, but {actual!r} answered"
    return None
