"""Who may ask for a session over TLS: PostgreSQL's refusals, those of proxies in front of it, and what is neither."""

from __future__ import annotations

import contextlib
import ssl
from collections.abc import Iterator

import pytest
import trustme
from cryptography.hazmat.primitives import serialization

from auditor.sources.postgres.session import Session
from auditor.sources.postgres.tls import ClientCertificate
from auditor.sources.postgres.wire import ProbeError
from tests.postgres_bytes import REFUSAL, SASL, failure, handshake, record, server_hello
from tests.postgres_servers import flipping, listening, saying, tls_proxy
from tests.postgres_world import World, session, world_of


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with world_of(tmp_path_factory.mktemp("certificates"), "default", "1.2 only", "no TLS") as made:
        yield made


def test_who_may_ask_for_a_session(world: World) -> None:
    port = world.ports["default"]
    for user in ("cert_user", "mtls_user"):
        refused = session(port, user).parsed
        assert (refused["sqlstate"], refused["text"]) == ("28000", "connection requires a valid client certificate")
        assert (refused["routine"], refused["tls_version"]) == ("ClientAuthentication", "TLSv1.3")
    assert session(port, "cert_user", world.client("cert_user")).parsed["name"] == "ok"
    assert session(port, "mtls_user", world.client("mtls_user")).parsed["name"] == "sasl"
    assert session(port, "scram_user").parsed["mechanisms"] == ["SCRAM-SHA-256-PLUS", "SCRAM-SHA-256"]
    assert "certificate_requested" not in session(port, "scram_user").parsed
    assert "no pg_hba.conf entry" in session(port, "clear_user").parsed["text"]
    mismatch = session(port, "cert_user", world.client("mtls_user")).parsed
    assert "certificate authentication failed" in mismatch["text"]
    assert failure(lambda: session(world.ports["no TLS"], "scram_user")).code == "no_tls"


def test_the_answer_is_kept_decrypted_and_ends_with_the_first_request(world: World) -> None:
    answer = session(world.ports["default"], "scram_user")
    assert answer.received == SASL
    answer = session(world.ports["default"], "cert_user", world.client("cert_user"))
    assert answer.received == b"R\0\0\0\x08\0\0\0\0"


@pytest.mark.parametrize(("name", "version"), [("default", "TLSv1.3"), ("1.2 only", "TLSv1.2")])
@pytest.mark.parametrize(("certificate", "alert"), [("foreign", "unknown_ca"), ("expired", "certificate_expired")])
def test_a_certificate_the_server_will_not_have_meets_an_alert(
    world: World, name: str, version: str, certificate: str, alert: str
) -> None:
    answer = session(world.ports[name], "scram_user", world.client(certificate))
    number = {"unknown_ca": 48, "certificate_expired": 45}[alert]
    requested = {"certificate_requested": True} if version == "TLSv1.2" else {}
    expected = {"message": "alert", "alert": number, "alert_name": alert, "tls_version": version}
    assert answer.parsed == expected | requested
    assert answer.received[:1] == b"S"
    assert session(world.ports[name], "scram_user", world.client("cert_user")).parsed["name"] == "sasl"


@pytest.mark.parametrize(
    ("version", "alert", "alert_name"),
    [(ssl.TLSVersion.TLSv1_3, 116, "certificate_required"), (ssl.TLSVersion.TLSv1_2, 40, "handshake_failure")],
)
def test_a_proxy_that_demands_a_certificate(world: World, version: ssl.TLSVersion, alert: int, alert_name: str) -> None:
    context = world.proxy_context(version)
    context.verify_mode = ssl.CERT_REQUIRED
    world.ca.configure_trust(context)
    with listening(tls_proxy(context, SASL)) as port:
        parsed = session(port, "scram_user").parsed
        assert (parsed["message"], parsed["alert"], parsed["alert_name"]) == ("alert", alert, alert_name)
        assert parsed.get("certificate_requested") is (True if alert == 40 else None)
        assert session(port, "scram_user", world.client("cert_user")).parsed["name"] == "sasl"
        context.verify_mode = ssl.CERT_NONE
        parsed = session(port, "scram_user").parsed
        assert parsed["name"] == "sasl"
        assert parsed.get("certificate_requested") is (False if alert == 40 else None)


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
@pytest.mark.parametrize("alert", [ssl.ALERT_DESCRIPTION_UNKNOWN_CA, ssl.ALERT_DESCRIPTION_INTERNAL_ERROR])
def test_an_alert_before_it_was_our_turn_is_not_about_our_certificate(
    world: World, version: ssl.TLSVersion, alert: int
) -> None:
    context = world.proxy_context(version)
    context.sni_callback = lambda *_arguments: alert
    with listening(tls_proxy(context, SASL)) as port:
        assert failure(lambda: session(port, "scram_user")).code == "handshake"
        context.sni_callback = None
        assert session(port, "scram_user").parsed["name"] == "sasl"


@pytest.mark.parametrize("requested", [True, False])
def test_an_alert_is_about_our_certificate_only_where_one_was_asked_for(world: World, *, requested: bool) -> None:
    leaf = world.ca.issue_cert("localhost", key_type=trustme.KeyType.RSA)
    der = ssl.PEM_cert_to_DER_cert(leaf.cert_chain_pems[0].bytes().decode())
    entry = len(der).to_bytes(3, "big") + der
    flight = server_hello(version=0x0303, cipher=0x002F) + handshake(11, len(entry).to_bytes(3, "big") + entry)
    if requested:
        flight += handshake(13, b"\1\1" + b"\0\4\4\1\4\3" + b"\0\0")
    stream = record(22, flight + handshake(14, b""), 0x0303) + record(21, b"\x02\x28", 0x0303)
    dial = saying(b"S", stream)
    if requested:
        expected = {"message": "alert", "alert": 40, "alert_name": "handshake_failure", "tls_version": "TLSv1.2"}
        answer = session(1, "scram_user", dial=dial)
        assert answer.parsed == expected | {"certificate_requested": True}
        assert answer.received == b"S" + stream
    else:
        assert failure(lambda: session(1, "scram_user", dial=dial)).code == "handshake"


def test_an_alert_behind_the_beginning_of_an_answer_decides_nothing(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    pieces = iter([REFUSAL[:9]])

    def more(_session: Session) -> bytes:
        for piece in pieces:
            return piece
        error = ssl.SSLError()
        error.reason = "TLSV1_ALERT_UNKNOWN_CA"
        raise error

    monkeypatch.setattr(Session, "more", more)
    assert failure(lambda: session(world.ports["default"], "scram_user")).code == "handshake"
    assert session(world.ports["default"], "scram_user").parsed["alert"] == 48


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_tls_closed_without_an_answer_is_no_answer(world: World, version: ssl.TLSVersion) -> None:
    context = world.proxy_context(version)
    for answer in (b"", SASL[:-1]):
        with listening(tls_proxy(context, answer, close=True)) as port:
            assert failure(lambda: session(port, "scram_user")).code == "closed"
    with listening(tls_proxy(context, SASL, close=True)) as port:
        assert session(port, "scram_user").parsed["name"] == "sasl"


@pytest.mark.parametrize("name", ["default", "1.2 only"])
def test_no_altered_byte_turns_a_refusal_into_a_session_or_an_alert(world: World, name: str) -> None:
    port = world.ports[name]
    for position in range(1, 1400, 31):
        with contextlib.suppress(ProbeError):
            parsed = session(port, "cert_user", dial=flipping(position)).parsed
            assert (parsed["message"], parsed["sqlstate"]) == ("error", "28000")


def test_a_client_certificate_that_cannot_be_shown_is_our_own_trouble(world: World) -> None:
    good, other = world.client("cert_user"), world.client("mtls_user")
    key = serialization.load_pem_private_key(good.key.read_bytes(), None)
    locked, missing, garbage = (world.folder / name for name in ("locked.key", "missing.key", "garbage.key"))
    locked.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.BestAvailableEncryption(b"secret"),
        )
    )
    garbage.write_bytes(b"no key")
    for certificate, blamed in (
        (ClientCertificate(good.cert, locked), locked),
        (ClientCertificate(good.cert, missing), missing),
        (ClientCertificate(missing, good.key), missing),
        (ClientCertificate(good.cert, world.folder), world.folder),
        (ClientCertificate(good.cert, garbage), garbage),
        (ClientCertificate(good.cert, other.key), other.key),
    ):
        caught = failure(lambda: session(world.ports["default"], "cert_user", certificate))  # noqa: B023 - called at once
        assert caught.code == "local"
        assert str(blamed) in str(caught)
        assert ("cannot be used together" in str(caught)) is (blamed in (garbage, other.key))
        assert ("is encrypted" in str(caught)) is (blamed == locked)
