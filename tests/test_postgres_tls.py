"""TLS as real PostgreSQL servers, and proxies in front of them, speak it: versions, trust, client certificates."""

from __future__ import annotations

import base64
import contextlib
import datetime as dt
import itertools
import ssl
import subprocess
from collections.abc import Iterator
from typing import Literal

import pytest
import trustme
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization

from auditor.sources.postgres import tls
from auditor.sources.postgres.session import Session, make_context
from auditor.sources.postgres.tls import (
    CaFile,
    SystemStore,
    certificate_trust,
    old_tls,
    tls_handshake,
)
from auditor.sources.postgres.wire import Connection, Dial, ProbeError, Transcript, dial_tcp
from tests.postgres_bytes import SASL, failure
from tests.postgres_servers import as_if_at, cutting, first_only, flipping, listening, tls_proxy
from tests.postgres_world import LONG_AGO, SERVERS, World, session, world_of

OLD: tuple[Literal["TLSv1.0", "TLSv1.1"], ...] = ("TLSv1.0", "TLSv1.1")
NEW: tuple[Literal["TLSv1.2", "TLSv1.3"], ...] = ("TLSv1.2", "TLSv1.3")


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with world_of(tmp_path_factory.mktemp("certificates"), *SERVERS) as made:
        yield made


def handshake(port: int, version: Literal["TLSv1.2", "TLSv1.3"], dial: Dial = dial_tcp) -> Transcript:
    return tls_handshake(host="localhost", port=port, timeout=5, version=version, dial=dial)


def trusted(port: int, trust: tls.Trust, *, host: str = "127.0.0.1", dial: Dial = dial_tcp) -> Transcript:
    return certificate_trust(host=host, port=port, timeout=5, trust=trust, dial=dial)


# --- versions ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("version", OLD)
def test_old_versions_are_refused_accepted_or_neither(world: World, version: Literal["TLSv1.0", "TLSv1.1"]) -> None:
    def ask(name: str) -> dict[str, object]:
        return old_tls(host="127.0.0.1", port=world.ports[name], timeout=5, version=version).parsed

    assert ask("default") == {"result": "refused", "alert": 70, "alert_name": "protocol_version"}
    assert ask("old") == {"result": "accepted", "version": version, "cipher": "ECDHE-ECDSA-AES256-SHA"}
    # The version is enabled here; it is OpenSSL's security level that will not sign with SHA-1.
    assert ask("cautious") == {
        "result": "other_alert",
        "alert": 80,
        "alert_name": "internal_error",
        "server_hello": False,
    }
    assert ask("no TLS") == {"result": "no_tls"}


@pytest.mark.parametrize("version", NEW)
def test_new_versions_are_accepted_with_their_certificate(world: World, version: Literal["TLSv1.2", "TLSv1.3"]) -> None:
    parsed = handshake(world.ports["default"], version).parsed
    leaf = x509.load_pem_x509_certificate(world.server.cert_chain_pems[0].bytes())
    assert (parsed["result"], parsed["version"], parsed["bits"]) == ("accepted", version, 256)
    assert parsed["certificate"] == {
        "der_b64": base64.b64encode(leaf.public_bytes(serialization.Encoding.DER)).decode(),
        "subject": leaf.subject.rfc4514_string(),
        "issuer": leaf.issuer.rfc4514_string(),
        "serial_number": f"{leaf.serial_number:x}",
        "sans": ["DNS:localhost", "IP:127.0.0.1", "DNS:db.example.test"],
        "not_before": "2000-01-01T00:00:00Z",
        "not_after": "3000-01-01T00:00:00Z",
        "public_key": {"algorithm": "EC", "bits": 256},
        "signature_algorithm": "ECDSA_WITH_SHA256",
        "self_signed": False,
    }
    assert handshake(world.ports["no TLS"], version).parsed == {"result": "no_tls"}


def test_a_version_that_is_switched_off_is_refused(world: World) -> None:
    refused = {"result": "refused", "alert": 70, "alert_name": "protocol_version"}
    assert handshake(world.ports["1.2 only"], "TLSv1.3").parsed == refused
    assert handshake(world.ports["1.3 only"], "TLSv1.2").parsed == refused
    assert handshake(world.ports["1.2 only"], "TLSv1.2").parsed["result"] == "accepted"
    assert handshake(world.ports["1.3 only"], "TLSv1.3").parsed["result"] == "accepted"


def test_no_cipher_in_common_says_nothing_about_the_version(world: World) -> None:
    context = world.proxy_context(ssl.TLSVersion.TLSv1_2)
    context.set_ciphers("AES128-SHA256")  # wants an RSA key, and there is none
    with listening(tls_proxy(context, SASL)) as port:
        caught = failure(lambda: handshake(port, "TLSv1.2"))
        assert caught.code == "handshake"
        assert "40 (handshake_failure)" in str(caught)
        assert failure(lambda: session(port, "u")).code == "handshake"
        assert failure(lambda: trusted(port, CaFile(world.files["ca"]))).code == "handshake"
        context.set_ciphers("ALL")
        assert handshake(port, "TLSv1.2").parsed["result"] == "accepted"


def test_without_a_certificate_there_is_no_handshake_to_speak_of(world: World) -> None:
    context = world.proxy_context(ssl.TLSVersion.TLSv1_2)
    context.set_ciphers("AECDH-AES256-SHA:@SECLEVEL=0")  # anonymous: OpenSSL would "verify" it without complaint
    with listening(tls_proxy(context, SASL)) as port:
        assert failure(lambda: handshake(port, "TLSv1.2")).code == "handshake"
        assert failure(lambda: trusted(port, CaFile(world.files["ca"]))).code == "handshake"
        context.set_ciphers("ECDHE-ECDSA-AES256-SHA:@SECLEVEL=0")
        assert trusted(port, CaFile(world.files["ca"])).parsed["verified"] is True


def test_what_our_own_openssl_cannot_do_is_no_refusal(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    # What an openssl.cnf that leaves no common ground does to us: nothing is ever sent.
    unable = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    unable.check_hostname = False
    unable.verify_mode = ssl.CERT_NONE
    unable.minimum_version, unable.maximum_version = ssl.TLSVersion.TLSv1_3, ssl.TLSVersion.TLSv1_2
    with monkeypatch.context() as patch:
        patch.setattr(tls, "make_context", lambda *_arguments: unable)
        assert failure(lambda: handshake(world.ports["default"], "TLSv1.3")).code == "local"
        assert failure(lambda: session(world.ports["default"], "scram_user")).code == "local"
    with monkeypatch.context() as patch:
        patch.setattr(tls, "ANY_CIPHER", "no such cipher")
        assert failure(lambda: handshake(world.ports["default"], "TLSv1.2")).code == "local"


def test_what_our_own_policy_will_not_have_is_no_distrust(world: World) -> None:
    # The 1024 bits of RFC 2409, group 2, are too few for security level 2, and enough where nothing is at stake.
    prime = "FFFFFFFFFFFFFFFFC90FDAA22168C234C4C6628B80DC1CD129024E088A67CC74020BBEA63B139B22514A08798E3404DD"
    prime += "EF9519B3CD3A431B302B0A6DF25F14374FE1356D6D51C245E485B576625E7EC6F44C42E9A637ED6B0BFF5CB6F406B7ED"
    prime += "EE386BFB5A899FA5AE9F24117C4B1FE649286651ECE65381FFFFFFFFFFFFFFFF"
    path = world.folder / "dh.pem"
    parameters = b"\x30\x81\x87\x02\x81\x81\0" + bytes.fromhex(prime) + b"\x02\x01\x02"  # DER: prime, generator 2
    path.write_text(ssl.DER_cert_to_PEM_cert(parameters).replace("CERTIFICATE", "DH PARAMETERS"))
    context = world.proxy_context(ssl.TLSVersion.TLSv1_2)
    context.set_ciphers("DHE-RSA-AES128-GCM-SHA256:@SECLEVEL=0")
    world.ca.issue_cert("127.0.0.1", key_type=trustme.KeyType.RSA).configure_cert(context)
    context.load_dh_params(str(path))
    with listening(tls_proxy(context, SASL)) as port:
        assert failure(lambda: trusted(port, CaFile(world.files["ca"]))).code == "local"
        assert handshake(port, "TLSv1.2").parsed["cipher"] == "DHE-RSA-AES128-GCM-SHA256"


def test_a_version_that_was_not_asked_for_is_not_accepted(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tls, "make_context", lambda ciphers, *_versions: make_context(ciphers))
    assert failure(lambda: handshake(world.ports["default"], "TLSv1.2")).code == "malformed"
    assert handshake(world.ports["default"], "TLSv1.3").parsed["result"] == "accepted"


@pytest.mark.parametrize("version", NEW)
def test_a_handshake_cut_off_or_altered_is_never_a_refusal(
    world: World, version: Literal["TLSv1.2", "TLSv1.3"]
) -> None:
    port = world.ports["default"]
    size = len(handshake(port, version).received)
    # Signatures differ in length by a few bytes; the last record is longer than that.
    for after in (*range(12), *range(12, size - 20, 61), size - 20):
        assert failure(lambda: handshake(port, version, cutting(after))).code == "closed"  # noqa: B023 - called at once
    for position in range(1, size, 23):
        # Where a byte is protected by nothing and read by nobody (a record's version), the handshake goes through.
        with contextlib.suppress(ProbeError):
            assert handshake(port, version, flipping(position)).parsed["result"] == "accepted"


# --- trust ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["default", "1.2 only"])
@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "db.example.test", "DB.example.test."])
def test_a_certificate_is_trusted_for_its_names(world: World, name: str, host: str) -> None:
    answer = trusted(world.ports[name], CaFile(world.files["ca"]), host=host, dial=as_if_at(world.ports[name]))
    assert answer.parsed["verified"] is True
    assert answer.parsed["certificate"]["sans"] == ["DNS:localhost", "IP:127.0.0.1", "DNS:db.example.test"]


@pytest.mark.parametrize(
    ("name", "authority", "host", "code", "reason"),
    [
        ("default", "ca", "db.example.org", 62, "Hostname mismatch"),
        ("1.2 only", "ca", "db.example.org", 62, "Hostname mismatch"),
        ("default", "ca", "127.0.0.9", 64, "IP address mismatch"),
        ("default", "ca", "::1", 64, "IP address mismatch"),
        ("default", "foreign ca", "localhost", 19, "self-signed certificate in certificate chain"),
        ("1.2 only", "foreign ca", "localhost", 19, "self-signed certificate in certificate chain"),
        ("expired", "ca", "localhost", 10, "certificate has expired"),
    ],
)
def test_a_certificate_that_is_not_trusted_is_shown_with_the_reason(
    world: World, name: str, authority: str, host: str, code: int, reason: str
) -> None:
    port = world.ports[name]
    parsed = trusted(port, CaFile(world.files[authority]), host=host, dial=as_if_at(port)).parsed
    assert (parsed["verified"], parsed["verify_code"]) == (False, code)
    assert reason in parsed["reason"]
    assert parsed["certificate"]["sans"][:2] == ["DNS:localhost", "IP:127.0.0.1"]
    assert parsed["certificate"]["not_after"].startswith("2001" if name == "expired" else "3000")


def test_where_there_is_no_tls_nothing_is_trusted_or_distrusted(world: World) -> None:
    assert failure(lambda: trusted(world.ports["no TLS"], CaFile(world.files["ca"]))).code == "no_tls"


def test_without_anything_to_trust_nobody_is_asked(world: World) -> None:
    revocations = x509.CertificateRevocationListBuilder().issuer_name(x509.Name([]))
    revocations = revocations.last_update(LONG_AGO).next_update(LONG_AGO + dt.timedelta(days=1))
    key = serialization.load_pem_private_key(world.server.private_key_pem.bytes(), None)
    listed = revocations.sign(key, hashes.SHA256())  # type: ignore[arg-type]
    files = {
        "missing": None,
        "empty": b"",
        "garbage": b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
        "only revocations": listed.public_bytes(serialization.Encoding.PEM),
    }
    for name, content in files.items():
        path = world.folder / name
        if content is not None:
            path.write_bytes(content)
        caught = failure(lambda: trusted(world.ports["default"], CaFile(path)))  # noqa: B023 - called at once
        assert caught.code == "local"
        assert str(path) in str(caught)
    assert failure(lambda: trusted(world.ports["default"], CaFile(world.folder))).code == "local"
    assert failure(lambda: trusted(world.ports["default"], None)).code == "local"


def test_the_system_store_is_trusted_as_openssl_finds_it(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    port = world.ports["default"]
    hashed = world.folder / "hashed"
    hashed.mkdir()
    command = ["openssl", "x509", "-noout", "-subject_hash", "-in", str(world.files["ca"])]
    name = subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    monkeypatch.setenv("SSL_CERT_FILE", str(world.files["ca"]))
    monkeypatch.setenv("SSL_CERT_DIR", str(hashed))
    assert trusted(port, SystemStore()).parsed["verified"] is True
    monkeypatch.setenv("SSL_CERT_FILE", str(world.folder / "nowhere"))
    caught = failure(lambda: trusted(port, SystemStore()))
    assert caught.code == "local"
    assert "SSL_CERT" not in str(caught)
    (hashed / f"{name}.0").write_bytes(world.files["ca"].read_bytes())
    assert trusted(port, SystemStore()).parsed["verified"] is True
    monkeypatch.setenv("SSL_CERT_FILE", str(world.files["foreign ca"]))
    monkeypatch.setenv("SSL_CERT_DIR", str(world.folder / "nowhere"))
    assert trusted(port, SystemStore()).parsed["verify_code"] == 19


@pytest.mark.parametrize(("code", "outcome"), [(17, "local"), (70, "local"), (20, None)])
def test_a_verification_that_could_not_be_done_is_no_distrust(
    world: World, monkeypatch: pytest.MonkeyPatch, code: int, outcome: str | None
) -> None:
    calls = itertools.count()
    original = Session.handshake

    def handshake(session: Session) -> None:
        if next(calls):
            return original(session)
        error = ssl.SSLCertVerificationError()
        error.verify_code, error.verify_message = code, "as OpenSSL says"
        raise error

    monkeypatch.setattr(Session, "handshake", handshake)
    if outcome is None:
        assert trusted(world.ports["default"], CaFile(world.files["ca"])).parsed["verify_code"] == code
    else:
        assert failure(lambda: trusted(world.ports["default"], CaFile(world.files["ca"]))).code == outcome


def test_a_certificate_altered_on_the_way_is_not_distrust(world: World) -> None:
    # TLS 1.2 shows certificates in the clear: without care a flipped bit would read as "the signature does not verify".
    port, trust = world.ports["1.2 only"], CaFile(world.files["ca"])
    good = trusted(port, trust)
    der = base64.b64decode(good.parsed["certificate"]["der_b64"])
    position = good.received.index(der) + len(der) - 3
    assert failure(lambda: trusted(port, trust, dial=flipping(position))).code == "handshake"
    caught = failure(lambda: trusted(port, trust, dial=first_only(flipping(position))))
    assert caught.code == "malformed"
    assert "not the certificate that was rejected" in str(caught)


@pytest.mark.parametrize("name", ["default", "1.2 only"])
def test_no_altered_byte_turns_trust_into_distrust_or_back(world: World, name: str) -> None:
    port = world.ports[name]
    for authority, verified in (("ca", True), ("foreign ca", False)):
        trust = CaFile(world.files[authority])
        for position in range(1, len(trusted(port, trust).received), 41):
            with contextlib.suppress(ProbeError):
                assert trusted(port, trust, dial=flipping(position)).parsed["verified"] is verified


def test_distrust_stands_where_the_certificate_cannot_be_shown_again(world: World) -> None:
    trust = CaFile(world.files["foreign ca"])
    parsed = trusted(world.ports["default"], trust, dial=first_only(dial_tcp, then=cutting(0))).parsed
    assert (parsed["verified"], parsed["verify_code"], parsed["certificate_error"]) == (False, 19, "closed")
    dial = first_only(dial_tcp, then=cutting(0))
    assert failure(lambda: trusted(world.ports["1.2 only"], trust, dial=dial)).code == "closed"


def test_both_handshakes_share_one_deadline(world: World) -> None:
    given: list[float] = []

    def dial(host: str, port: int, timeout: float) -> Connection:
        given.append(timeout)
        return dial_tcp(host, port, timeout)

    assert trusted(world.ports["default"], CaFile(world.files["foreign ca"]), dial=dial).parsed["verified"] is False
    assert given[0] == 5
    assert 0 < given[1] < 5


def test_ipv6_addresses_are_dialled_and_verified(world: World) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    world.ca.issue_cert("::1").configure_cert(context)
    with listening(tls_proxy(context, SASL), host="::1") as port:
        assert trusted(port, CaFile(world.files["ca"]), host="::1").parsed["verified"] is True
        zone = trusted(port, CaFile(world.files["ca"]), host="::1%1", dial=lambda _h, p, t: dial_tcp("::1", p, t))
        assert zone.parsed["verified"] is True
