"""Keys: a private one is read only where nobody else can read it, and a key file is believed only where it is whole."""

from __future__ import annotations

import datetime as dt
import json
import os
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)

from auditor import keys
from auditor.model import Problem, UsageError

NOW = dt.datetime(2026, 11, 23, 12, 0, tzinfo=dt.UTC)
HOUR = dt.timedelta(hours=1)


@pytest.fixture
def made(tmp_path: Path) -> tuple[Path, Path]:
    private, public = tmp_path / "auditor.key", tmp_path / "auditor.keys.json"
    keys.generate(private, public, NOW)
    return private, public


def read(private: Path) -> keys.SigningKey:
    return keys.parse_private(keys.read_private(private), str(private))


def test_what_was_generated_can_be_used(made: tuple[Path, Path]) -> None:
    private, public = made
    (known,) = keys.load(public).keys
    key = read(private)
    assert (known.id, known.public, known.valid_from, known.valid_until) == (key.id, key.public, NOW, None)
    assert private.stat().st_mode & 0o777 == 0o600
    known.verify(key.sign(b"data"), b"data")


def test_the_fingerprint_is_the_one_openssl_works_out(made: tuple[Path, Path], tmp_path: Path) -> None:
    key = read(made[0])
    (tmp_path / "key.pem").write_text(key.public)
    command = "openssl pkey -pubin -in key.pem -outform DER | sha256sum"
    done = subprocess.run(["bash", "-c", command], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert done.stdout.split()[0] == key.id


def test_a_private_key_is_never_overwritten(made: tuple[Path, Path]) -> None:
    before = made[0].read_bytes()
    with pytest.raises(UsageError, match="rotate"):
        keys.generate(*made, NOW)
    assert made[0].read_bytes() == before


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660, 0o620, 0o610, 0o601, 0o777])
def test_a_private_key_that_others_may_touch_is_refused(made: tuple[Path, Path], mode: int) -> None:
    made[0].chmod(mode)
    with pytest.raises(UsageError, match="chmod 600"):
        keys.read_private(made[0])
    made[0].chmod(0o400)
    assert keys.read_private(made[0])  # the positive control


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
def test_a_private_key_of_another_user_is_refused(made: tuple[Path, Path]) -> None:
    os.chown(made[0], 12345, -1)
    with pytest.raises(UsageError, match="another user"):
        keys.read_private(made[0])


def test_what_is_no_private_key_is_refused_and_never_shown(tmp_path: Path) -> None:
    own = Ed25519PrivateKey.generate()
    encrypted = own.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"canary-passphrase"))
    other = generate_private_key(SECP256R1()).private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    public = own.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    for pem, reason in (
        (encrypted, "is encrypted"),
        (other, "of another kind"),
        (public, "holds no private key"),
        (b"canary", "holds no private key"),
    ):
        with pytest.raises(UsageError, match=reason) as caught:
            keys.parse_private(pem.decode(), "here")
        assert pem.decode().splitlines()[len(pem.splitlines()) // 2] not in str(caught.value)
    with pytest.raises(UsageError, match="No such file"):
        keys.read_private(tmp_path / "none")
    with pytest.raises(UsageError, match="is no file"):
        keys.read_private(tmp_path)


def test_private_and_public_keys_never_share_a_file(made: tuple[Path, Path], tmp_path: Path) -> None:
    """What is written second would be in the place of what was written first; also while it is being written."""
    folder, link = tmp_path / "new", tmp_path / "link"
    folder.mkdir()
    link.symlink_to(folder / "k")
    for private, public in (
        (folder / "k", folder / "../new/k"),
        (link, folder / "k"),
        (folder / "k.new", folder / "k"),
    ):
        with pytest.raises(UsageError, match="would be in one file") as caught:
            keys.generate(private, public, NOW)
        assert [problem.file for problem in caught.value.problems] == [str(private)]
        assert not list(folder.iterdir())
    before = made[0].read_bytes()
    with pytest.raises(UsageError, match="would be in one file"):
        keys.rotate(made[0], made[0], NOW + HOUR)
    assert made[0].read_bytes() == before
    assert sorted(path.name for path in tmp_path.glob("auditor.*")) == ["auditor.key", "auditor.keys.json"]
    keys.generate(folder / "k", folder / "k.json", NOW)  # the positive control


def test_of_a_file_that_is_no_key_not_all_is_read(tmp_path: Path) -> None:
    (tmp_path / "large").write_bytes(b"x" * (keys.MOST_OCTETS + 1))
    (tmp_path / "large").chmod(0o600)
    assert len(keys.read_private(tmp_path / "large")) == keys.MOST_OCTETS


def test_a_key_does_not_show_itself(made: tuple[Path, Path]) -> None:
    key = read(made[0])
    secret = made[0].read_text().splitlines()[1]
    assert secret not in repr(key) + str(key) + repr(vars(key))


def test_rotation_ends_one_key_and_begins_another(made: tuple[Path, Path]) -> None:
    first = read(made[0])
    old, new = keys.rotate(*made, NOW + HOUR)
    ring = keys.load(made[1])
    assert [key.id for key in ring.keys] == [old.id, new.id]
    assert (old.id, read(made[0]).id) == (first.id, new.id)
    assert made[0].stat().st_mode & 0o777 == 0o600
    assert [key.was_valid(NOW + HOUR) for key in ring.keys] == [False, True]
    assert [key.was_valid(NOW + HOUR - dt.timedelta(microseconds=1)) for key in ring.keys] == [True, False]
    assert [key.was_valid(NOW - HOUR) for key in ring.keys] == [False, False]
    assert sorted(path.name for path in made[0].parent.iterdir()) == ["auditor.key", "auditor.keys.json"]


def test_a_key_that_the_file_does_not_know_is_not_rotated(made: tuple[Path, Path], tmp_path: Path) -> None:
    keys.generate(tmp_path / "other.key", tmp_path / "other.json", NOW)
    before = made[1].read_bytes()
    with pytest.raises(UsageError, match="does not know"):
        keys.rotate(tmp_path / "other.key", made[1], NOW + HOUR)
    with pytest.raises(UsageError, match="is not valid now"):
        keys.rotate(*made, NOW - HOUR)
    assert made[1].read_bytes() == before
    (tmp_path / "kept.key").write_bytes(made[0].read_bytes())
    (tmp_path / "kept.key").chmod(0o600)
    keys.rotate(*made, NOW + HOUR)
    with pytest.raises(UsageError, match="is not valid now"):
        keys.rotate(tmp_path / "kept.key", made[1], NOW + 2 * HOUR)


def test_what_links_lead_to_is_replaced_and_links_stay(tmp_path: Path) -> None:
    """Else the old private key would stay where it is, and whoever reads the published key file would not know."""
    (tmp_path / "safe").mkdir()
    private, public = tmp_path / "auditor.key", tmp_path / "auditor.keys.json"
    public.symlink_to(tmp_path / "safe" / public.name)
    first = keys.generate(tmp_path / "safe" / private.name, public, NOW)
    private.symlink_to(tmp_path / "safe" / private.name)
    old, new = keys.rotate(private, public, NOW + HOUR)
    assert private.is_symlink()
    assert public.is_symlink()
    assert old.id == first.id
    assert read(tmp_path / "safe" / "auditor.key").id == new.id
    ring = keys.load(tmp_path / "safe" / "auditor.keys.json")
    assert [key.was_valid(NOW + HOUR) for key in ring.keys] == [False, True]
    keys.end(new.id, public, NOW + 2 * HOUR)
    assert public.is_symlink()


def test_keys_that_are_made_at_once_are_all_known(tmp_path: Path) -> None:
    public = tmp_path / "auditor.keys.json"
    with ThreadPoolExecutor(8) as pool:
        made = list(pool.map(lambda n: keys.generate(tmp_path / f"{n}.key", public, NOW), range(40)))
    assert {key.id for key in keys.load(public).keys} == {key.id for key in made}


def test_a_key_that_was_lost_counts_no_longer(made: tuple[Path, Path], tmp_path: Path) -> None:
    lost = read(made[0])
    kept = keys.generate(tmp_path / "second.key", made[1], NOW)
    assert keys.end(lost.id[:8], made[1], NOW + HOUR).id == lost.id
    ring = keys.load(made[1])
    assert [(key.id, key.valid_until) for key in ring.keys] == [(lost.id, NOW + HOUR), (kept.id, None)]
    file, short = str(made[1]), "name at least 8 characters of the fingerprint"
    for beginning, told, where in (
        (lost.id, f"key {lost.id} ended 2026-11-23 13:00:00 UTC", file),
        ("", f"'': {short}", ""),
        (kept.id[:7], f"'{kept.id[:7]}': {short}", ""),
        ("0" * 8, "knows no key whose id begins with '00000000'", file),
    ):
        with pytest.raises(UsageError) as caught:
            keys.end(beginning, made[1], NOW + HOUR)
        assert caught.value.problems == (Problem(told, where),)
    assert keys.load(made[1]) == ring
    keys.end(lost.id, made[1], NOW + HOUR / 2)  # sooner than was said
    assert keys.end(kept.id, made[1], NOW).valid_from == NOW  # it never was valid
    assert [key.id for key in keys.load(made[1]).keys] == [lost.id]


def test_a_beginning_of_several_ids_names_no_key(made: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keys, "LEAST_OF_ID", 0)
    assert keys.end("", made[1], NOW + HOUR).id == read(made[0]).id
    keys.generate(made[0].with_name("second.key"), made[1], NOW)
    with pytest.raises(UsageError, match="knows 2 keys whose id begins with ''"):
        keys.end("", made[1], NOW + HOUR)


def test_a_second_key_is_added_to_the_file(made: tuple[Path, Path], tmp_path: Path) -> None:
    keys.generate(tmp_path / "second.key", made[1], NOW)
    assert len(keys.load(made[1]).keys) == 2


def changed(path: Path, **members: Any) -> bytes:
    file = json.loads(path.read_bytes())
    file["keys"][0] |= members
    return json.dumps(file).encode()


@pytest.mark.parametrize(
    ("members", "reason"),
    [
        ({"id": "0" * 64}, "another id"),
        ({"public": "-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n"}, "no Ed25519 key"),
        ({"algorithm": "rsa"}, "no key file"),
        ({"valid_from": "2026-11-23T12:00:00"}, "no key file"),
        ({"valid_until": "2026-11-23T12:00:00Z"}, "never valid"),
        ({"valid_until": "2020-01-01T00:00:00Z"}, "never valid"),
        ({"valid_till": "2030-01-01T00:00:00Z"}, "no key file"),
    ],
)
def test_a_key_file_that_is_not_whole_is_refused(made: tuple[Path, Path], members: Any, reason: str) -> None:
    assert keys.parse(changed(made[1]), "file").keys  # the positive control
    with pytest.raises(UsageError, match=reason):
        keys.parse(changed(made[1], **members), "file")


def test_public_keys_of_other_kinds_and_keys_named_twice_are_refused(made: tuple[Path, Path], tmp_path: Path) -> None:
    other = generate_private_key(SECP256R1()).public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    with pytest.raises(UsageError, match="no Ed25519 key"):
        keys.parse(changed(made[1], public=other.decode()), "file")
    with pytest.raises(UsageError, match="no Ed25519 key"):
        keys.parse(changed(made[1], public=keys.load(made[1]).keys[0].public + "\n"), "file")
    file = json.loads(made[1].read_bytes())
    twice = json.dumps({**file, "keys": file["keys"] * 2}).encode()
    with pytest.raises(UsageError, match="twice"):
        keys.parse(twice, "file")
    for data in (b"", b"[]", b"\xff", b'{"schema":"auditor/keys/2","keys":[]}'):
        with pytest.raises(UsageError, match="no key file"):
            keys.parse(data, "file")
    with pytest.raises(UsageError, match="cannot be read"):
        keys.load(tmp_path / "none")
