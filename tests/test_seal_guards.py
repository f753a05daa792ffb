"""The seal and its keys, word for word: what is covered, who comes before whom, and whose files are refused."""

from __future__ import annotations

import datetime as dt
import hashlib
import os
import re
import shutil
from pathlib import Path

import msgspec
import pytest
from cryptography.hazmat.primitives.asymmetric.ed448 import Ed448PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from auditor import envelope, keys, seal
from auditor.contents import Directory
from auditor.model import EvidenceError, UsageError
from auditor.results import PreviousRun
from tests.sealing import scope_of, seal_anew
from tests.test_verify import Sealed, make
from tests.tsa_server import Issuer

OF_NO_KIND = "-----BEGIN PUBLIC KEY-----\nMCowBQYDK2V3AyEA" + "A" * 43 + "=\n-----END PUBLIC KEY-----\n"
"""As a key of Ed25519 is written, but with the number of an algorithm that there is not."""
NOW = dt.datetime(2026, 11, 23, 12, 0, tzinfo=dt.UTC)
HOUR = dt.timedelta(hours=1)


@pytest.fixture(scope="module")
def once(tmp_path_factory: pytest.TempPathFactory) -> Sealed:
    return make(tmp_path_factory.mktemp("seals"))


@pytest.fixture
def folder(once: Sealed, tmp_path: Path) -> Path:
    """A copy of the folder of three runs."""
    return shutil.copytree(once.run.parent, tmp_path / "reports")


def runs(folder: Path) -> list[Path]:
    return sorted(folder.glob("2*"))


def previous(run: Path) -> PreviousRun:
    return PreviousRun(run.name, hashlib.sha256((run / seal.MANIFEST).read_bytes()).hexdigest())


@pytest.mark.parametrize(
    ("name", "covered"),
    [
        ("plan.json", True),
        ("policy/toys.yaml", True),
        ("policy/deep/er.yaml", True),
        ("evidence/s.main.jsonl", True),
        ("report.json", False),
        ("findings/s.main.jsonl", False),
        ("plan.json.orig", False),
        ("findings/plan.json", False),
        ("policy", False),
        ("evidence.statement.tsr", False),
        ("Evidence/s.main.jsonl", False),
    ],
)
def test_evidence_is_what_was_there_before_anybody_judged(name: str, covered: object) -> None:
    assert seal.is_evidence(name) is covered


def test_the_digest_of_policies_is_that_of_their_listing(tmp_path: Path) -> None:
    files = {"b.yaml": "two: ü\n", "a/z.yaml": "three\n", "B.yaml": "one\n"}
    for name, text in files.items():
        (tmp_path / "policy" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "policy" / name).write_text(text, encoding="utf-8")
    names = sorted(f"policy/{name}" for name in files)
    listing = "".join(f"{hashlib.sha256((tmp_path / name).read_bytes()).hexdigest()}  {name}\n" for name in names)
    assert seal.policy_sha256(files) == hashlib.sha256(listing.encode()).hexdigest()
    assert seal.sums(seal.subjects(Directory(tmp_path), reversed(names))).decode() == listing
    assert seal.sha256_file(tmp_path / names[0]) == listing[:64]


def test_the_last_run_is_the_one_with_the_highest_number(folder: Path) -> None:
    first, second, third = runs(folder)
    assert seal.latest_run(folder) == (previous(third), 3)
    assert seal.latest_run(folder, organization="Toys") == (previous(third), 3)
    assert seal.latest_run(folder, organization="Others") is None
    assert seal.latest_run(folder / third.name, strict=True) is None
    seal_anew(third, None, msgspec.structs.replace(scope_of(third), organization="Others"))
    assert seal.latest_run(folder, organization="Toys") == (previous(second), 2)
    assert seal.latest_run(folder, organization="Others") == (previous(third), 3)
    seal_anew(first, None, msgspec.structs.replace(scope_of(first), sequence=9))
    assert seal.latest_run(folder) == (previous(first), 9)


def test_what_is_no_finished_run_is_nobodys_predecessor(folder: Path) -> None:
    second, third = runs(folder)[1:]
    third.rename(third.with_name(f"{third.name}.old"))
    (folder / "notes.txt").touch()
    assert seal.latest_run(folder, strict=True) == (previous(second), 2)
    (second / seal.MANIFEST).unlink()  # interrupted before its end
    assert seal.latest_run(folder, strict=True) == (previous(runs(folder)[0]), 1)


@pytest.mark.parametrize("strict", [False, True])
def test_a_damaged_run_stops_only_whoever_has_to_know_the_last_one(folder: Path, strict: object) -> None:
    first, second, third = runs(folder)
    (first / seal.EVIDENCE).write_bytes(b"\xff")
    assert seal.latest_run(folder, strict=bool(strict)) == (previous(third), 3)  # it was not the last
    (third / seal.EVIDENCE).write_bytes(b"{}")
    if strict:
        with pytest.raises(EvidenceError, match=re.escape(f"{third / seal.EVIDENCE}: is no DSSE envelope: ")):
            seal.latest_run(folder, strict=True)
    else:
        assert seal.latest_run(folder) == (previous(second), 2)
    (second / seal.EVIDENCE).unlink()
    if strict:
        with pytest.raises(EvidenceError, match=re.escape(f"{third / seal.EVIDENCE}: is no DSSE envelope: ")):
            seal.latest_run(folder, strict=True)
    else:
        assert seal.latest_run(folder) is None
    shutil.rmtree(third)
    if strict:
        with pytest.raises(EvidenceError, match=re.escape(f"{second / seal.EVIDENCE}: cannot be read: No such")):
            seal.latest_run(folder, strict=True)


def test_of_two_runs_of_one_second_either_may_have_been_the_last(folder: Path) -> None:
    third = runs(folder)[2]
    damaged = shutil.copytree(third, third.with_name(third.name.partition("-")[0] + "-00000000"))
    assert damaged.name < third.name
    (damaged / seal.EVIDENCE).write_bytes(b"{}")
    assert seal.latest_run(folder) == (previous(third), 3)
    with pytest.raises(EvidenceError, match=re.escape(f"{damaged / seal.EVIDENCE}: is no DSSE envelope: ")):
        seal.latest_run(folder, strict=True)


def test_of_what_is_given_up_only_evidence_is_left(folder: Path) -> None:
    run = runs(folder)[0]
    kept = {path for path in run.rglob("*") if path.is_file() and seal.is_evidence(str(path.relative_to(run)))}
    assert kept
    for name in (seal.EVIDENCE, seal.MANIFEST, seal.SUMS):
        (run / f"{name}.partial").touch()
    seal.give_up(run)
    assert {path for path in run.rglob("*") if path.is_file()} == kept
    seal.give_up(run)  # there is nothing left to take away


# Envelopes


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b'{"_type":1}', "does not end with a newline"),
        (b"", "is no DSSE envelope: Input data was truncated"),
        (b"\xff", "is no DSSE envelope: JSON is malformed: invalid character (byte 0)"),
        (b"[" * 9_999, "is no DSSE envelope: Expected `object`, got `array`"),
        (
            b'{"payload": "","payloadType":"","signatures":[]}\n',
            "is not written canonically: white space, order of members or escapes differ",
        ),
        (
            b'{"payload":"","payloadType":"x","signatures":[]}\n',
            "its payloadType is 'x', not 'application/vnd.in-toto+json'",
        ),
        (
            b'{"payload":"","payloadType":"application/vnd.in-toto+json","signatures":[]}\n',
            "bears 0 signatures, not one",
        ),
    ],
)
def test_an_envelope_is_refused_in_words(data: bytes, reason: str) -> None:
    with pytest.raises(EvidenceError) as caught:
        envelope.open_envelope(data, lambda _: None)
    assert str(caught.value) == reason


@pytest.mark.parametrize(
    ("payload", "sig", "reason"),
    [
        ("é", "", "its payload is not base64"),
        ("YQ", "", "its payload is not base64"),
        ("YR==", "", "its payload is not canonical base64: bits that mean nothing are set"),
        ("YQ==", "%", "its signature is not base64"),
        ("YQ==", "YR==", "its signature is not canonical base64: bits that mean nothing are set"),
        ("YQ==", "YQ==", "is signed by a key that is not known: k"),
    ],
)
def test_what_an_envelope_holds_is_refused_in_words(payload: str, sig: str, reason: str) -> None:
    made = envelope.Envelope(payload, envelope.PAYLOAD_TYPE, (envelope.Signature("k", sig),))
    with pytest.raises(EvidenceError) as caught:
        envelope.open_envelope(msgspec.json.encode(made) + b"\n", lambda _: None)
    assert str(caught.value) == reason


@pytest.mark.parametrize("data", [b"", b"\xff", b"{}", b'{"payload":"\xc3\xa9","payloadType":"","signatures":[]}'])
def test_what_cannot_be_read_even_unverified_is_refused(data: bytes) -> None:
    with pytest.raises(EvidenceError, match=r"^is no DSSE envelope: "):
        envelope.payload_unverified(data)


def test_a_statement_is_refused_in_words(once: Sealed) -> None:
    for decode in (seal.decode_evidence, seal.decode_manifest):
        for payload in (b"", b"{}", b"\xff", b'{"more":' + b"[" * 9_999, b'{"_type":"\xff"}'):
            with pytest.raises(EvidenceError, match=r"^is no statement of a run: "):
                decode(payload)
    payload = envelope.payload_unverified((once.run / seal.MANIFEST).read_bytes())
    with pytest.raises(EvidenceError) as caught:
        seal.decode_manifest(payload + b" ")
    assert str(caught.value) == "is not written canonically: its bytes are not those that its content gives"


# Keys


@pytest.fixture
def made(tmp_path: Path) -> tuple[Path, Path]:
    private, public = tmp_path / "auditor.key", tmp_path / "auditor.keys.json"
    keys.generate(private, public, NOW)
    return private, public


def refused(call: object, *arguments: object) -> str:
    assert callable(call)
    with pytest.raises(UsageError) as caught:
        call(*arguments)
    return str(caught.value)


def test_a_private_key_is_refused_by_its_name(made: tuple[Path, Path], tmp_path: Path) -> None:
    private, public = made
    none = tmp_path / "none"
    assert refused(keys.read_private, none) == (
        f"{none}: cannot be read: No such file or directory; make one: auditor keys generate"
    )
    assert refused(keys.read_private, tmp_path) == f"{tmp_path}: is no file"
    os.mkfifo(tmp_path / "pipe")
    assert refused(keys.read_private, tmp_path / "pipe") == f"{tmp_path / 'pipe'}: is no file"
    private.chmod(0o640)
    assert refused(keys.read_private, private) == (
        f"{private}: others can read this private key (mode 0640); chmod 600 {private}"
    )
    private.chmod(0o600)
    assert refused(keys.generate, private, public, NOW) == (
        f"{private}: is there already; auditor keys rotate puts a new key in its place"
    )
    private.write_bytes(b"\xff\xfe no key")
    assert refused(keys.rotate, private, public, NOW + HOUR) == (
        f"{private}: holds no private key (PEM, PKCS#8, Ed25519); make one: auditor keys generate"
    )


def test_what_is_no_key_of_this_kind_is_refused_by_where_it_came_from() -> None:
    none = "here: holds no private key (PEM, PKCS#8, Ed25519); make one: auditor keys generate"
    other = Ed448PrivateKey.generate().private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
    unknown = other.replace("BQYDK2Vx", "BQYDK2V3")  # the number of an algorithm that there is not
    assert unknown != other
    assert refused(keys.parse_private, unknown, "here") == none
    assert refused(keys.parse_private, "not UTF-8: \udcff", "here") == none
    kind = "here: holds a key of another kind than Ed25519; make one: auditor keys generate"
    assert refused(keys.parse_private, other, "here") == kind


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
@pytest.mark.parametrize("owner", [1, 12345])
def test_a_private_key_of_another_user_is_refused(made: tuple[Path, Path], owner: int) -> None:
    os.chown(made[0], owner, -1)
    assert refused(keys.read_private, made[0]) == f"{made[0]}: this private key belongs to another user"


def test_a_key_that_cannot_be_rotated_is_refused_by_name(made: tuple[Path, Path], tmp_path: Path) -> None:
    private, public = made
    other = tmp_path / "other.key"
    unknown = keys.generate(other, tmp_path / "other.json", NOW)
    known = keys.load(public).keys[0]
    assert refused(keys.rotate, other, public, NOW) == f"{public}: does not know the key of {other} ({unknown.id})"
    assert refused(keys.rotate, private, public, NOW - HOUR) == (
        f"{public}: the key of {private} ({known.id}) is not valid now"
    )
    assert refused(keys.load, tmp_path / "none") == f"{tmp_path / 'none'}: cannot be read: No such file or directory"


def test_a_rotation_that_was_not_finished_is_told_by_name(made: tuple[Path, Path]) -> None:
    private, public = made
    waiting = private.with_name("auditor.key.new")
    waiting.touch()
    unfinished = f"is of a rotation that was not finished: where {public} has its key, put it in the place of {private}"
    assert refused(keys.rotate, private, public, NOW + HOUR) == f"{waiting}: {unfinished}; else remove it"


def test_a_key_that_could_not_be_added_to_the_key_file_is_none(tmp_path: Path) -> None:
    (tmp_path / "auditor.keys.json.new").mkdir()
    with pytest.raises(IsADirectoryError):
        keys.generate(tmp_path / "auditor.key", tmp_path / "auditor.keys.json", NOW)
    assert not (tmp_path / "auditor.key").exists()


def test_rotation_ends_no_other_key(made: tuple[Path, Path]) -> None:
    first, second = keys.rotate(*made, NOW + HOUR)
    assert keys.rotate(*made, NOW + 2 * HOUR)[0].id == second.id
    ends = {key.id: key.valid_until for key in keys.load(made[1]).keys}
    assert list(ends.values()) == [NOW + HOUR, NOW + 2 * HOUR, None]
    assert ends[first.id] == NOW + HOUR


def test_reading_a_key_leaves_nothing_open(made: tuple[Path, Path]) -> None:
    before = len(os.listdir("/proc/self/fd"))  # noqa: PTH208
    keys.read_private(made[0])
    made[0].chmod(0o666)
    refused(keys.read_private, made[0])
    assert len(os.listdir("/proc/self/fd")) == before  # noqa: PTH208


def test_keys_are_made_in_new_folders_and_never_through_a_link(tmp_path: Path) -> None:
    keys.generate(tmp_path / "a" / "b" / "auditor.key", tmp_path / "c" / "d" / "auditor.keys.json", NOW)
    text = (tmp_path / "c" / "d" / "auditor.keys.json").read_text()
    assert text.startswith('{\n  "schema": "auditor/keys/1",\n  "keys": [\n    {\n      "id"')
    assert text.endswith("}\n")
    (tmp_path / "link").symlink_to(tmp_path / "elsewhere")
    reason = f"{tmp_path / 'link'}: is a link to nothing; name the file itself"
    assert refused(keys.generate, tmp_path / "link", tmp_path / "more.json", NOW) == reason
    assert not (tmp_path / "elsewhere").exists()


def test_a_key_file_is_refused_by_its_name(made: tuple[Path, Path]) -> None:
    file = msgspec.json.decode(made[1].read_bytes())
    (key,) = file["keys"]

    def told(**members: object) -> str:
        return refused(keys.parse, msgspec.json.encode({**file, "keys": [{**key, **members}]}), "file")

    assert refused(keys.parse, b"\xff", "file").startswith("file: is no key file: ")
    for data in (b'{"keys":[{"id":' + b"[" * 9_999, b'{"keys":[{"id":"\xff"}]}'):
        assert refused(keys.parse, data, "file").startswith("file: is no key file: ")
    assert told(public=OF_NO_KIND) == f"file: key {key['id']} is no Ed25519 key in PEM"
    made[1].write_bytes(b"")
    assert refused(keys.load, made[1]) == f"{made[1]}: is no key file: Input data was truncated"
    assert told(public="x") == f"file: key {key['id']} is no Ed25519 key in PEM"
    assert told(id="x") == f"file: key x has another id than its public key gives: {key['id']}"
    wrong = f"file: key {key['id']} was never valid: its dates are the wrong way round"
    assert told(valid_until=key["valid_from"]) == wrong
    twice = msgspec.json.encode({**file, "keys": [key, key]})
    assert refused(keys.parse, twice, "file") == "file: names a key twice"


def test_an_authority_is_read_from_its_file_or_refused_by_name(made: tuple[Path, Path], tmp_path: Path) -> None:
    issuer = Issuer()
    file = tmp_path / "ca.pem"
    file.write_text(f"words before\n{issuer.pem}{issuer.pem}")
    assert keys.authorities(file) == (issuer.pem, issuer.pem)
    digest = hashlib.sha256(issuer.certificate.public_bytes(Encoding.DER)).hexdigest()
    assert keys.describe_authority(issuer.pem) == f"CN=Stamps of the World (SHA-256 {digest})"
    assert keys.add_authorities(file, made[1]) == (issuer.pem, issuer.pem)
    other = Issuer("Others")
    file.write_text(other.pem)
    keys.add_authorities(file, made[1])
    ring = keys.load(made[1])
    assert ring.timestamp_authorities == (issuer.pem, other.pem)
    assert len(ring.keys) == 1
    none = "holds no certificate (PEM) of a time-stamp authority"
    for text in (b"", b"words", issuer.pem.encode().replace(b"MII", b"%%%")):
        file.write_bytes(text)
        assert refused(keys.authorities, file) == f"{file}: {none}"
    file.write_bytes(b"\xff")
    assert refused(keys.authorities, file) == f"{file}: cannot be read: it is no text"
    file.unlink()
    assert refused(keys.add_authorities, file, made[1]) == f"{file}: cannot be read: No such file or directory"


def test_an_authority_that_is_no_single_certificate_spoils_the_key_file(made: tuple[Path, Path]) -> None:
    pem = Issuer().pem
    ring = keys.load(made[1])

    def with_authorities(*pems: str) -> bytes:
        return keys.to_json(msgspec.structs.replace(ring, timestamp_authorities=pems))

    assert keys.parse(with_authorities(pem), "file").timestamp_authorities == (pem,)
    reason = "file: a time-stamp authority in it is no single certificate, written as PEM usually is"
    for pems in ((pem + pem,), ("",), ("x",), (f"words\n{pem}",), (pem, "x")):
        assert refused(keys.parse, with_authorities(*pems), "file") == reason
