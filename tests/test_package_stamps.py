"""Packages of runs that a time-stamp authority saw: the commands of VERIFY.md, and what the pages say."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import msgspec
import pytest

from auditor import keys, plugins, seal, verify
from auditor.packaging.build import build
from auditor.packaging.opening import opened
from auditor.packaging.statement import verify_package
from auditor.sources.timestamp_authority import Authority
from tests import toy
from tests.test_package import unpack
from tests.test_package_recipe import blocks, sh
from tests.toy import World, claim
from tests.tsa_server import REAL_SUBJECT, Issuer, Query, Signer, authority, rejected

OLD = toy.NOW - dt.timedelta(days=1000)
"""When a certificate was valid that no longer is."""


class Stamped(msgspec.Struct, frozen=True):
    """A package of two runs, one with a time stamp and one without."""

    path: Path
    folder: Path
    ring: keys.KeyRing
    runs: list[Path]


@pytest.fixture(scope="module")
def once(tmp_path_factory: pytest.TempPathFactory) -> Stamped:
    folder = tmp_path_factory.mktemp("packed")
    issuer = Issuer()
    signer = Signer(folder / "signer", issuer, until=OLD + dt.timedelta(days=1))
    key = keys.generate(folder / "auditor.key", folder / "auditor.keys.json", OLD - dt.timedelta(days=1))
    (folder / "ca.pem").write_text(issuer.pem)
    keys.add_authorities(folder / "ca.pem", folder / "auditor.keys.json")
    runs = []
    for number in range(2):
        world = World([{"id": "b0", "closed": True}])
        world.clock = at = OLD + dt.timedelta(hours=number)

        def answer(raw: bytes, number: int = number, at: dt.datetime = at) -> bytes:
            query = Query.of(raw)
            return rejected("<b>sold out</b>") if number else signer.stamp(query.digest, at, query.nonce)

        with authority(answer) as server:
            asked = Authority(url=server.url, certificates=(issuer.pem,))
            test = claim("c", {"id": "t", "check": "boxes-locked"})
            runs.append(toy.audit(world, folder, test, key=key, authority=asked).run)
    ring = keys.load(folder / "auditor.keys.json")
    path = folder / "evidence.zip"
    build(runs, path, ring, key, plugins.sources())
    return Stamped(path, unpack(path, folder / "unpacked"), ring, runs)


def test_the_recipe_verifies_time_stamps_whose_certificate_is_long_over(once: Stamped) -> None:
    (recipe,) = (block for block in blocks(once.folder, "sh") if "openssl ts" in block)
    done = sh(once.folder, recipe)
    assert done.returncode == 0, done.stderr
    assert done.stdout == f"runs/{once.runs[0].name}: {OLD:%b %e %H:%M:%S %Y} GMT\nVerification: OK\n"
    assert once.runs[1].name not in recipe


@pytest.mark.parametrize("name", [seal.STAMP, seal.EVIDENCE])
def test_the_recipe_notices_a_changed_byte(once: Stamped, name: str) -> None:
    (recipe,) = (block for block in blocks(once.folder, "sh") if "openssl ts" in block)
    file = once.folder / "runs" / once.runs[0].name / name
    original = file.read_bytes()
    file.write_bytes(original[:-2] + bytes([original[-2] ^ 1]) + original[-1:])
    assert sh(once.folder, recipe).returncode != 0
    file.write_bytes(original)
    assert sh(once.folder, recipe).returncode == 0


def test_a_foreign_authority_fails_the_recipe(once: Stamped) -> None:
    (recipe,) = (block for block in blocks(once.folder, "sh") if "openssl ts" in block)
    file = once.folder / "keys" / "timestamp-authorities.pem"
    original = file.read_text()
    file.write_text(Issuer("Nobody").pem)
    assert sh(once.folder, recipe).returncode != 0
    file.write_text(original)


def test_every_recipe_holds(once: Stamped) -> None:
    """The certificate of the authority among the keys disturbs none."""
    assert sh(once.folder, "\n".join(blocks(once.folder, "sh")[:-1])).returncode == 0


def test_a_package_verifies_with_its_stamps(once: Stamped) -> None:
    with opened(once.path) as files:
        found = verify_package(files, once.ring).runs
    assert [one.stamped is not None for one in found] == [True, False]
    verify.require_timestamps(found[:1])
    with pytest.raises(verify.DoesNotVerify, match="sold out"):
        verify.require_timestamps(found)


def test_the_pages_say_who_dated_each_run(once: Stamped) -> None:
    stamped = f"time-stamped {OLD:%Y-%m-%d %H:%M:%S} UTC by {REAL_SUBJECT}"
    refused = "no time stamp: the authority did not grant it as asked: status 2 ("
    for name in ("index.html", "LIMITS.md"):
        text = (once.folder / name).read_text()
        assert stamped in text
        assert refused in text
        assert "<b>sold" not in text


@pytest.mark.parametrize(
    ("what", "name", "old", "new"),
    [
        ("sha256sum -c", "index.html", "Toys", "Boys"),
        ("sha256sum -c", "runs/RUN/evidence/s.main.jsonl", '"closed":true', '"closed":tRue'),
        ("-outform DER", "keys/KEY.pem", "MCow", "MCox"),
        ("pkeyutl -verify", "package.statement.json", '"payload":"eyJ', '"payload":"eyK'),
        ("pkeyutl -verify", "runs/RUN/evidence.statement.json", '"payload":"eyJ', '"payload":"eyK'),
        ("pkeyutl -verify", "runs/RUN/manifest.statement.json", '"sig":"', '"sig":"A'),
        ("pkeyutl -verify", "runs/RUN/manifest.statement.json", '"keyid":"', '"keyid":"0'),
        ("| cmp -", "SHA256SUMS", "  index.html", "  Index.html"),
        ("| cmp -", "runs/RUN/SHA256SUMS", "  plan.json", "  plam.json"),
    ],
)
def test_each_recipe_notices_what_it_is_for(once: Stamped, what: str, name: str, old: str, new: str) -> None:
    (recipe,) = (block for block in blocks(once.folder, "sh") if what in block)
    file = once.folder / name.replace("RUN", once.runs[0].name).replace("KEY", once.ring.keys[0].id)
    original = file.read_text()
    assert old in original
    file.write_text(original.replace(old, new, 1))
    assert sh(once.folder, recipe).returncode != 0
    file.write_text(original)
    assert sh(once.folder, recipe).returncode == 0
