"""Time stamps held against data and authorities, offline: what openssl stamped, what liars signed, and changed bits."""

from __future__ import annotations

import datetime as dt
import hashlib
import re
import subprocess
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from cryptography.x509.oid import ExtendedKeyUsageOID

from auditor import timestamps
from auditor.model import EvidenceError
from tests.tsa_server import (
    REAL_SUBJECT,
    Issuer,
    Query,
    Signer,
    der,
    granted,
    info,
    integer,
    pem_of,
    rejected,
    unsigned,
)

DATA = b'{"_type":"https://in-toto.io/Statement/v1"}\n'
DIGEST = hashlib.sha256(DATA).digest()
AT = dt.datetime(2026, 11, 23, 12, 0, tzinfo=dt.UTC)
ISSUER = Issuer()


@pytest.fixture(scope="module")
def signer(tmp_path_factory: pytest.TempPathFactory) -> Signer:
    return Signer(tmp_path_factory.mktemp("signer"), ISSUER)


def made(folder: Path, issuer: Issuer = ISSUER, **certificate: Any) -> Signer:
    return Signer(folder / "other", issuer, **certificate)


def check(tsr: bytes, data: bytes = DATA, *authorities: str, nonce: int | None = None) -> timestamps.Stamped:
    return timestamps.check(tsr, data, authorities or (ISSUER.pem,), nonce=nonce)


def refused(tsr: bytes, data: bytes = DATA, *authorities: str, nonce: int | None = None) -> str:
    with pytest.raises(EvidenceError) as caught:
        check(tsr, data, *authorities, nonce=nonce)
    return str(caught.value)


def test_what_an_authority_stamped_is_told(signer: Signer) -> None:
    before = dt.datetime.now(dt.UTC).replace(microsecond=0)
    query = timestamps.query(DATA)
    found = check(signer.answer(query.der), nonce=query.nonce)
    assert before <= found.at <= dt.datetime.now(dt.UTC)
    assert found.at.tzinfo is dt.UTC
    assert (found.authority, found.serial) == (REAL_SUBJECT, 0x4E56)


def test_the_query_is_what_openssl_reads(tmp_path: Path) -> None:
    query = timestamps.query(DATA)
    assert Query.of(query.der) == Query(query.der, DIGEST, query.nonce)
    assert timestamps.query(DATA).nonce != query.nonce
    (tmp_path / "query").write_bytes(query.der)
    said = subprocess.run(
        ["openssl", "ts", "-query", "-in", "query", "-text"], cwd=tmp_path, capture_output=True, text=True, check=True
    ).stdout
    assert "Hash Algorithm: sha256" in said
    assert "Certificate required: yes" in said
    assert f"Nonce: 0x{query.nonce:X}" in said.replace("Nonce: 0x0", "Nonce: 0x")


def openssl(folder: Path, tsr: bytes, authority: str, data: bytes = DATA) -> bool:
    """Whether `openssl ts -verify` takes a time stamp."""
    for name, content in (("tsr", tsr), ("data", data), ("ca", authority.encode())):
        (folder / name).write_bytes(content)
    command = ["openssl", "ts", "-verify", "-in", "tsr", "-data", "data", "-CAfile", "ca"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    assert ("Verification: OK" in done.stdout) == (done.returncode == 0)
    return done.returncode == 0


def test_openssl_takes_and_refuses_the_same(signer: Signer, tmp_path: Path) -> None:
    """Theirs is asked about every kind of stamp here: the second opinion on ours, and on the liars of these tests."""
    stranger, unfit = Issuer("Nobody"), made(tmp_path, usage=None)
    for tsr in (signer.answer(timestamps.query(DATA).der), signer.stamp(DIGEST, AT)):
        check(tsr)
        assert openssl(tmp_path, tsr, ISSUER.pem)
        assert refused(tsr, b"other")
        assert not openssl(tmp_path, tsr, ISSUER.pem, b"other")
        assert refused(tsr, DATA, stranger.pem)
        assert not openssl(tmp_path, tsr, stranger.pem)
    assert not openssl(tmp_path, unfit.stamp(DIGEST, AT), ISSUER.pem)
    assert not openssl(tmp_path, rejected(), ISSUER.pem)


def test_an_honest_hand_made_stamp_holds(signer: Signer) -> None:
    """The positive control of all that follow."""
    assert check(signer.stamp(DIGEST, AT, 77), nonce=77) == timestamps.Stamped(at=AT, authority=REAL_SUBJECT, serial=78)
    assert check(signer.stamp(DIGEST, AT)).at == AT
    assert check(signer.stamp(DIGEST, AT), DATA, Issuer("another").pem, ISSUER.pem).at == AT
    assert check(signer.stamp(DIGEST, AT), DATA, Issuer("another").pem + ISSUER.pem).at == AT


@pytest.mark.parametrize(
    ("tsr", "reason"),
    [
        (b"", "is no time stamp"),
        (b"<html>", "is no time stamp"),
        (b"0\x00", "is no time stamp"),
        (rejected(), "the authority did not grant it as asked: status 2 (not today)"),
        (der(0x30, der(0x30, integer(3))), "the authority did not grant it as asked: status 3"),
        (der(0x30, der(0x30, integer(0))), "its token cannot be read"),
        (granted(der(0x30, bytes.fromhex("06092a864886f70d010701"))), "is no time stamp"),
    ],
)
def test_what_is_no_granted_stamp_is_refused(tsr: bytes, reason: str) -> None:
    assert refused(tsr).startswith(reason)


def test_what_stands_after_it_is_noticed(signer: Signer) -> None:
    tsr = signer.stamp(DIGEST, AT)
    assert refused(tsr + b"\n").startswith("is no time stamp")
    assert refused(tsr[:-1]).startswith("is no time stamp")


def test_a_grant_with_changes_is_none(signer: Signer) -> None:
    """Status 1: the authority stamped something else than what it was asked to."""
    tsr = signer.stamp(DIGEST, AT)
    with_mods = tsr.replace(der(0x30, integer(0)), der(0x30, integer(1)), 1)
    assert refused(with_mods) == "the authority did not grant it as asked: status 1"


def test_a_stamp_of_other_data_is_refused(signer: Signer) -> None:
    assert refused(signer.stamp(hashlib.sha256(b"other").digest(), AT)).startswith("it stamps other data")
    assert refused(signer.stamp(b"", AT)).startswith("it stamps other data")


def test_longer_digests_are_taken_and_weak_ones_are_not(signer: Signer, tmp_path: Path) -> None:
    def stamped(algorithm: str) -> bytes:
        (tmp_path / "data").write_bytes(DATA)
        command = ["openssl", "ts", "-query", "-data", "data", f"-{algorithm}", "-cert"]
        return subprocess.run(command, cwd=tmp_path, capture_output=True, check=True).stdout

    for algorithm in ("sha256", "sha384", "sha512"):
        assert check(signer.answer(stamped(algorithm))).authority == REAL_SUBJECT
    sha1 = bytes.fromhex("300906052b0e03021a0500")
    weak = signer.stamp(hashlib.sha1(DATA).digest(), AT, algorithm=sha1)  # noqa: S324 - that is the point
    assert refused(weak) == "its digest is of an algorithm that is not taken: 1.3.14.3.2.26"


def test_an_old_answer_does_not_do_for_a_new_query(signer: Signer) -> None:
    assert refused(signer.stamp(DIGEST, AT, 77), nonce=78).startswith("it does not repeat the nonce")
    assert refused(signer.stamp(DIGEST, AT), nonce=78).startswith("it does not repeat the nonce")


def test_a_foreign_authority_is_refused(signer: Signer, tmp_path: Path) -> None:
    tsr = signer.stamp(DIGEST, AT)
    for stranger in (Issuer("Nobody"), Issuer()):  # of another name, and of the same
        assert refused(tsr, DATA, stranger.pem).startswith("its certificate is not of an authority that counts: ")
        other = made(tmp_path, stranger).stamp(DIGEST, AT)
        assert refused(other).startswith("its certificate is not of an authority that counts: ")
        check(other, DATA, stranger.pem)
    with pytest.raises(EvidenceError, match="there is no authority to hold it against"):
        timestamps.check(tsr, DATA, ())


@pytest.mark.parametrize(
    "certificate", [{"usage": None}, {"usage": ExtendedKeyUsageOID.CODE_SIGNING}, {"critical": False}], ids=str
)
def test_a_certificate_for_another_purpose_stamps_nothing(certificate: dict[str, Any], tmp_path: Path) -> None:
    unfit = made(tmp_path, **certificate)
    reason = "its certificate is not of an authority that counts: unsuitable certificate purpose"
    assert refused(unfit.stamp(DIGEST, AT)) == reason


def test_a_second_certificate_lends_neither_its_purpose_nor_its_name(signer: Signer, tmp_path: Path) -> None:
    """Of the same issuer and number as the one that signed, and issued by nobody."""
    nobody = Issuer()
    for one in (signer, made(tmp_path, usage=None)):
        real = one.certificate
        purpose = ExtendedKeyUsageOID.TIME_STAMPING
        decoy = nobody.signed(real.subject, real.public_key(), usage=purpose, number=real.serial_number)
        tsr = one.stamp(DIGEST, AT, certificates=lambda pem, decoy=decoy: pem + pem_of(decoy))  # type: ignore[misc]
        assert refused(tsr) == "holds 2 certificates of the one that signed it"


def test_one_signature_is_wanted_neither_none_nor_two(signer: Signer, tmp_path: Path) -> None:
    second = made(tmp_path)
    both = lambda pem: pem + pem_of(second.certificate)  # noqa: E731 - what goes into the token
    assert check(signer.stamp(DIGEST, AT, certificates=both)).at == AT  # a certificate that is not needed
    assert refused(signer.stamp(DIGEST, AT, certificates=both, also=second)) == "bears 2 signatures, not one"
    assert refused(granted(unsigned(info(DIGEST, AT)))) == "bears 0 signatures, not one"


def test_the_certificate_must_be_there(signer: Signer) -> None:
    without = signer.stamp(DIGEST, AT, certificates=lambda _: b"")
    assert refused(without) == "holds 0 certificates of the one that signed it"


def test_a_certificate_counts_as_long_as_it_is_valid_at_the_stamped_time(tmp_path: Path) -> None:
    """Not today: evidence is verified when the authority's certificate is long over."""
    old = made(tmp_path, until=dt.datetime(2025, 1, 1, tzinfo=dt.UTC))
    assert check(old.stamp(DIGEST, dt.datetime(2024, 12, 31, tzinfo=dt.UTC))).at.year == 2024
    expired = "its certificate is not of an authority that counts: certificate has expired"
    assert refused(old.stamp(DIGEST, dt.datetime(2025, 1, 2, tzinfo=dt.UTC))) == expired
    early = "its certificate is not of an authority that counts: certificate is not yet valid"
    assert refused(old.stamp(DIGEST, dt.datetime(2019, 1, 1, tzinfo=dt.UTC))).startswith(early)


def test_fractions_of_a_second_are_read(signer: Signer) -> None:
    assert check(signer.stamp(DIGEST, "20261123120000.25Z")).at.replace(microsecond=0) == AT


def test_what_is_signed_by_nobody_is_refused(signer: Signer) -> None:
    tsr = signer.stamp(DIGEST, AT)
    assert refused(tsr[:-1] + bytes([tsr[-1] ^ 1])) == "its signature does not hold"
    later = tsr.replace(b"20261123120000Z", b"20261124120000Z")
    assert later != tsr
    assert refused(later) == "its signature does not hold"


def test_a_changed_bit_is_noticed_or_says_nothing(signer: Signer) -> None:
    """Of each octet one bit, all of them in turn: whatever still holds says the same, and only where nobody signed."""
    query = timestamps.query(DATA)
    tsr = signer.answer(query.der)
    found = check(tsr)
    unnoticed = []
    reasons: Counter[str] = Counter()
    for place in range(len(tsr)):
        changed = bytearray(tsr)
        changed[place] ^= 1 << place % 8
        try:
            assert check(bytes(changed)) == found
            unnoticed.append(place)
        except EvidenceError as error:
            reasons[re.split(r"[:(]", str(error))[0]] += 1
    signed_content = tsr.index(DIGEST) - 40, tsr.index(DIGEST) + 80
    assert not [place for place in unnoticed if signed_content[0] <= place < signed_content[1]]
    assert reasons["its signature does not hold"] > 100
    assert len(unnoticed) < 30  # what an authority of openssl leaves unsigned: names of algorithms that nobody asks for


def test_dates_that_go_together() -> None:
    minute, hour = dt.timedelta(seconds=60), dt.timedelta(hours=1)
    for at in (AT, AT - minute, AT + minute, AT + hour):
        timestamps.check_time(at, AT, max(AT, at - minute))
    for at, said in (
        (AT - minute - dt.timedelta(seconds=1), "before the end of collection"),
        (AT + minute + dt.timedelta(seconds=1), "after the end of the run"),
    ):
        with pytest.raises(EvidenceError, match=said):
            timestamps.check_time(at, AT, AT)
    with pytest.raises(EvidenceError, match="more than an hour after the end of collection"):
        timestamps.check_time(AT + hour + dt.timedelta(seconds=1), AT, AT + 2 * hour)


def test_a_certificate_that_cannot_be_read_is_told(signer: Signer) -> None:
    tsr = signer.stamp(DIGEST, AT)
    version = bytes.fromhex("a003020102")  # of its certificate: the third
    place = tsr.index(version)
    assert refused(tsr[:place] + bytes.fromhex("a003020107") + tsr[place + 5 :]) == (
        "holds a certificate that cannot be read: InvalidVersion"
    )
