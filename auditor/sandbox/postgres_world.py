"""How the PostgreSQL half of a demo world is described: `postgres.yaml`, read strictly."""

from pathlib import Path
from typing import Literal

import msgspec

from auditor.sandbox.description import read
from auditor.sandbox.user_table import UserRows


class Record(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Part of a world's description: a misspelt key is an error."""


class Certificate(Record, frozen=True):
    """A server's certificate: the names it is for, whose authority issued it, and whether its time is over."""

    names: list[str]
    issuer: Literal["own", "foreign"] = "own"
    expired: bool = False


class ClientCertificate(Record, frozen=True):
    """A client certificate whose common name is the role; `name` is what targets and its files call it."""

    name: str
    role: str
    issuer: Literal["own", "foreign"] = "own"
    expired: bool = False


class Role(Record, frozen=True):
    """A role that may log in; `password` names the environment variable that holds it (None: it has none)."""

    name: str
    password: str | None = None


class Alteration(Record, frozen=True):
    """A change by hand to the published function: `find` must occur in its text."""

    find: str
    replace: str


class Database(Record, frozen=True):
    """A database with a table of users and the published function over it, which the role auditor may run."""

    name: str
    owner: str
    users: list[UserRows]
    function_altered: Alteration | None = None


class Server(Record, frozen=True):
    """One cluster. `settings` are postgresql.conf's, `hba` the lines of pg_hba.conf for TCP clients."""

    id: str
    settings: dict[str, str]
    hba: list[str]
    certificate: Certificate
    roles: list[Role]
    databases: list[Database]


class Target(Record, frozen=True):
    """An entry of auditor.yaml: `server` and `client_certificate` refer to this file, the port is known at start."""

    id: str
    server: str
    hosts: list[str]  # the first is the one the source connects to, the others are further doors
    dbname: str
    user: str
    password: str
    trust: Literal["own", "foreign", "system", "none"]
    client_certificate: str
    tags: list[str] = []


class EndpointTruth(Record, frozen=True):
    """What a check finds out at endpoints of a target; `subject` follows HOST:PORT in the resource id."""

    target: str
    check: str
    outcome: Literal["pass", "fail", "error"]
    subjects: tuple[str, ...] = ("",)
    hosts: list[str] | None = None  # None: every endpoint of the target
    why: str = ""


class PasswordGroup(Record, frozen=True):
    """Which group of users, as `password_group_id` names it."""

    encoding: str
    scheme: str
    cost: dict[str, int] = {}
    digest_bits: int | None = None
    salt: bool | None = None


class PasswordTruth(Record, frozen=True):
    """What the password check finds out about one group of users."""

    target: str
    group: PasswordGroup
    users: int
    outcome: Literal["pass", "fail", "error", "not_applicable"]
    why: str = ""


class TargetTruth(Record, frozen=True):
    """What a check finds out about a target as a whole."""

    target: str
    check: str
    outcome: Literal["fail", "error"]
    why: str


class Truth(Record, frozen=True):
    """Everything the checks must find out about this half of the world, and nothing else."""

    endpoints: list[EndpointTruth]
    passwords: list[PasswordTruth]
    targets: list[TargetTruth] = []


class PostgresWorld(Record, frozen=True):
    """The whole of `postgres.yaml`."""

    version: Literal[1]
    servers: list[Server]
    client_certificates: list[ClientCertificate]
    targets: list[Target]
    expect: Truth


def read_world(folder: Path) -> PostgresWorld:
    """Read `postgres.yaml` of a world's folder; every mistake in it is in the SandboxError, with its line."""
    return read(folder / "postgres.yaml", PostgresWorld)
