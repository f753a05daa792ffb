"""A small world of PostgreSQL servers and certificates for the TLS probes."""

from __future__ import annotations

import contextlib
import datetime as dt
import ssl
from collections.abc import Iterator
from pathlib import Path

import msgspec
import trustme

from auditor.sources.postgres.tls import ClientCertificate, tls_startup
from auditor.sources.postgres.wire import Dial, Transcript, dial_tcp
from tests.postgres_servers import clusters

LONG_AGO = dt.datetime(2001, 1, 1, tzinfo=dt.UTC)

SERVERS = {
    "default": {},
    "old": {"ssl_min_protocol_version": "TLSv1", "ssl_ciphers": "ALL:@SECLEVEL=0"},
    "cautious": {"ssl_min_protocol_version": "TLSv1"},
    "no TLS": {"ssl": "off"},
    "1.2 only": {"ssl_max_protocol_version": "TLSv1.2"},
    "1.3 only": {"ssl_min_protocol_version": "TLSv1.3"},
    "expired": {},
}


class World(msgspec.Struct, frozen=True):
    """Servers by name with their ports, and files of certificates by name."""

    ca: trustme.CA
    ports: dict[str, int]
    files: dict[str, Path]
    server: trustme.LeafCert
    folder: Path

    def client(self, name: str) -> ClientCertificate:
        """A certificate whose common name is a role, or one that no server should have: foreign, expired."""
        return ClientCertificate(self.files[name], self.files[f"{name}.key"])

    def proxy_context(self, version: ssl.TLSVersion) -> ssl.SSLContext:
        """TLS as something else than PostgreSQL would speak it, with the same certificate."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = context.maximum_version = version
        self.server.configure_cert(context)
        return context


@contextlib.contextmanager
def world_of(folder: Path, *names: str) -> Iterator[World]:
    """Start the servers of these names; certificates go to `folder`."""
    ca, foreign = trustme.CA(), trustme.CA()
    server = ca.issue_cert("localhost", "127.0.0.1", "db.example.test")
    expired = ca.issue_cert("localhost", "127.0.0.1", not_after=LONG_AGO)
    files = {"ca": folder / "ca.pem", "foreign ca": folder / "foreign.pem"}
    ca.cert_pem.write_to_path(files["ca"])
    foreign.cert_pem.write_to_path(files["foreign ca"])
    for name, leaf in {
        "cert_user": ca.issue_cert(common_name="cert_user"),
        "mtls_user": ca.issue_cert(common_name="mtls_user"),
        "foreign": foreign.issue_cert(common_name="cert_user"),
        "expired": ca.issue_cert(common_name="cert_user", not_after=LONG_AGO),
    }.items():
        files[name], files[f"{name}.key"] = folder / f"{name}.pem", folder / f"{name}.key"
        leaf.cert_chain_pems[0].write_to_path(files[name])
        leaf.private_key_pem.write_to_path(files[f"{name}.key"])
    with clusters() as made:
        shown = {"expired": expired}
        ports = {name: made.start(name, ca, shown.get(name, server), **SERVERS[name]) for name in names}
        yield World(ca, ports, files, server, folder)


def session(port: int, user: str, certificate: ClientCertificate | None = None, dial: Dial = dial_tcp) -> Transcript:
    return tls_startup(
        host="localhost",
        port=port,
        timeout=5,
        user=user,
        database="app",
        client_certificate=certificate,
        dial=lambda _host, port, timeout: dial("127.0.0.1", port, timeout),
    )
