"""The demo world's own certificate authorities, and the certificates they issue: good ones and faulty ones.

Nothing here is ever trusted by the machine: a target names its CA file, and the keys live as long as the world.
"""

import os
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

from auditor.sandbox.part import SandboxError

try:
    import trustme
except ImportError as missing:
    raise SandboxError("The demo world needs trustme: pip install 'auditor[sandbox]'") from missing

# Fixed dates: what is expired stays expired without asking a clock.
EXPIRED_FROM = datetime(2024, 1, 1, tzinfo=UTC)
EXPIRED_ON = datetime(2025, 1, 1, tzinfo=UTC)


class Account(NamedTuple):
    """An operating system account that files or processes belong to."""

    uid: int
    gid: int
    name: str


class KeyPair(NamedTuple):
    """A certificate and its private key, both PEM."""

    certificate: bytes
    key: bytes

    def write(self, folder: Path, name: str, owner: Account | None = None) -> tuple[Path, Path]:
        """Write `name`.crt and `name`.key into a folder and give their paths; `owner` None is the caller."""
        certificate, key = folder / f"{name}.crt", folder / f"{name}.key"
        write_private(certificate, self.certificate, owner)
        write_private(key, self.key, owner)
        return certificate, key


class Authority:
    """A certificate authority of the demo world. Another instance is a foreign one."""

    def __init__(self, name: str) -> None:
        self._ca = trustme.CA(organization_name="auditor demo world", organization_unit_name=name)

    @property
    def certificate(self) -> bytes:
        """The authority's own certificate (PEM), which a target or a server trusts."""
        return self._ca.cert_pem.bytes()

    def server(self, names: Sequence[str], *, expired: bool = False) -> KeyPair:
        """Issue a server certificate for host names and IP addresses (its subject alternative names)."""
        return self._issue(*names, common_name=names[0], expired=expired)

    def client(self, role: str, *, expired: bool = False) -> KeyPair:
        """Issue a client certificate whose common name is the database role, as `clientcert=verify-full` wants."""
        return self._issue(f"{role}@example.com", common_name=role, expired=expired)

    def _issue(self, *names: str, common_name: str, expired: bool) -> KeyPair:
        leaf = self._ca.issue_cert(
            *names,
            common_name=common_name,
            organization_name="auditor demo world",
            not_before=EXPIRED_FROM if expired else None,
            not_after=EXPIRED_ON if expired else None,
        )
        chain = b"".join(blob.bytes() for blob in leaf.cert_chain_pems)
        return KeyPair(chain, leaf.private_key_pem.bytes())


def write_private(path: Path, data: bytes, owner: Account | None = None) -> None:
    """Write a new file that only its owner can read (0600): PostgreSQL and libpq refuse any other key."""
    # O_EXCL and O_NOFOLLOW: as root we write into a folder that an unprivileged account owns.
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
    with open(descriptor, "wb") as file:  # noqa: PTH123 - pathlib cannot open a descriptor
        file.write(data)
        if owner is not None:
            os.fchown(descriptor, owner.uid, owner.gid)
