"""Packages, as one archive or unpacked: bytes and files are changed, and all that can be is made anew."""

from __future__ import annotations

import hashlib
import os
import shutil
import stat
import warnings
import zipfile
from collections.abc import Callable
from pathlib import Path
from random import Random

import msgspec

from auditor import envelope, keys, seal
from auditor.keys import KeyRing, PublicKey
from auditor.packaging.statement import KEYS, RUNS, STATEMENT, PackageStatement
from auditor.seal import Subject
from auditor.stored_zip import Writer
from tests.tampering import octets
from tests.tampering.chain import Chain, Tampering, Told
from tests.tampering.forging import disguised_as, parts, payload, written

Files = dict[str, bytes]
OUTSIDE = ("../escaped", "/tmp/escaped", "runs/../../escaped", "C:/escaped", "a\\..\\b", "a//b", "./a", "a/.", "")


def read(path: Path) -> Files:
    """The files of an archive."""
    with zipfile.ZipFile(path) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def write(path: Path, files: Files) -> None:
    """Write an archive exactly as it has to be."""
    with path.open("wb") as out:
        writer = Writer(out)
        for name in sorted(files, key=os.fsencode):
            writer.add(name, len(files[name]), [files[name]])
        writer.close()


def put(chain: Chain, files: Files, rng: Random) -> None:
    """Put files in the place of the package: as an archive, or unpacked."""
    path = chain.packed()
    if rng.random() < 0.6:
        write(path, files)
        return
    path.unlink()
    chain.package = path.with_suffix("")
    for name, data in files.items():
        place = chain.package / name
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(data)


def of_archive(change: Callable[[bytes, Random], bytes], *, at_end: bool = False) -> Tampering:
    """Make a tampering of a change to the bytes of the archive, or of its directory alone."""

    def tamper(chain: Chain, rng: Random) -> Told:
        path = chain.packed()
        data = path.read_bytes()
        place = data.index(b"PK\1\2") if at_end else 0
        changed = data[:place] + change(data[place:], rng)
        path.write_bytes(changed if changed != data else changed + b"\n")
        return Told()

    return tamper


def repacked(chain: Chain, rng: Random) -> Told:
    """Let another program pack the same files."""
    path = chain.packed()
    files = list(read(path).items())
    odd = rng.choice(["deflated", "order", "comment", "date", "mode", "folder"])
    if odd == "order":
        rng.shuffle(files)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED if odd == "deflated" else zipfile.ZIP_STORED) as archive:
        if odd == "folder":
            archive.mkdir("runs")
        for name, data in files:
            info = zipfile.ZipInfo(name, (2026, 11, 23, 12, 0, 0) if odd == "date" else (1980, 1, 1, 0, 0, 0))
            info.compress_type = archive.compression
            info.external_attr = (stat.S_IFREG | (0o755 if odd == "mode" else 0o644)) << 16
            archive.writestr(info, data)
        archive.comment = b"a comment" if odd == "comment" else b""
    return Told()


def hostile(chain: Chain, rng: Random) -> Told:
    """Add a file twice, one outside, a link, one that grows, or bytes before and after."""
    path = chain.packed()
    name = rng.choice([STATEMENT, KEYS, "index.html", f"{RUNS}/{chain.run(rng).name}/plan.json"])
    odd = rng.choice(["twice", "outside", "link", "bomb", "before", "after", "case"])
    if odd in ("before", "after"):
        data = path.read_bytes()
        path.write_bytes(b"#!/bin/sh\n" + data if odd == "before" else data + b"\0" * rng.randrange(1, 30))
        return Told()
    with warnings.catch_warnings(), zipfile.ZipFile(path, "a") as archive:
        warnings.simplefilter("ignore")
        info = zipfile.ZipInfo({"twice": name, "outside": rng.choice(OUTSIDE), "case": name.upper()}.get(odd, "more"))
        if odd == "link":
            info.external_attr = (stat.S_IFLNK | 0o777) << 16
        if odd == "bomb":
            info.compress_type = zipfile.ZIP_DEFLATED
        archive.writestr(info, b"/etc/passwd" if odd == "link" else b"\0" * (1 << 20 if odd == "bomb" else 9))
    return Told()


def change_file(files: Files, chain: Chain, rng: Random) -> set[str]:
    del chain
    name = rng.choice(sorted(files))
    changed = rng.choice(octets.CHANGES)(files[name], rng) if files[name] else b"x"
    files[name] = changed if changed != files[name] else changed + b"\n"
    return {name}


def change_page(files: Files, chain: Chain, rng: Random) -> set[str]:
    """Let a page say otherwise than the run behind it."""
    del chain
    name = rng.choice([one for one in sorted(files) if one.endswith((".html", ".csv", ".md"))])
    better = files[name].replace(b"fail", b"pass").replace(b"refuted", b"supported")
    files[name] = better if better != files[name] else better + b" "
    return {name}


def add_file(files: Files, chain: Chain, rng: Random) -> set[str]:
    run = chain.run(rng).name
    names = [
        "more.html",
        ".hidden",
        f"{RUNS}/more",
        f"{RUNS}/{run}/more",
        f"{RUNS}/{run}/evidence/s.more.jsonl",
        "a/b/c",
    ]
    name = rng.choice(names)
    files[name] = rng.choice([b"", rng.randbytes(9), files[rng.choice(sorted(files))]])
    return {name}


def remove_file(files: Files, chain: Chain, rng: Random) -> set[str]:
    del chain
    name = rng.choice(sorted(files))
    del files[name]
    return {name}


def rename_file(files: Files, chain: Chain, rng: Random) -> set[str]:
    del chain
    name = rng.choice(sorted(files))
    files[f"{name}x"] = files.pop(name)
    return {name}


def exchange_files(files: Files, chain: Chain, rng: Random) -> set[str]:
    del chain
    first, second = rng.sample(sorted(files), 2)
    while files[first] == files[second]:
        first, second = rng.sample(sorted(files), 2)
    files[first], files[second] = files[second], files[first]
    return {first, second}


def remove_run(files: Files, chain: Chain, rng: Random) -> set[str]:
    prefix = f"{RUNS}/{chain.run(rng).name}/"
    for name in [name for name in files if name.startswith(prefix)]:
        del files[name]
    return set()


def other_run(files: Files, chain: Chain, rng: Random) -> set[str]:
    """Put a run of the same key in the place of one, or beside those that are there."""
    run = chain.run(rng)
    lender, before = chain.other(rng, run), dict(files)
    if rng.random() < 0.5:
        remove_run(files, chain, rng)
    name = rng.choice([run.name, lender.name, lender.name])
    for path in lender.rglob("*"):
        if path.is_file():
            files[f"{RUNS}/{name}/{path.relative_to(lender).as_posix()}"] = path.read_bytes()
    if files == before:
        del files[f"{RUNS}/{name}/{seal.SUMS}"]
    return set()


def other_keys(files: Files, chain: Chain, rng: Random) -> set[str]:
    """Let the package bring the attacker's key as the company's."""
    del rng
    public = PublicKey(id=chain.foreign.id, public=chain.foreign.public, valid_from=chain.ring.keys[0].valid_from)
    files[KEYS] = keys.to_json(KeyRing(keys=(*chain.ring.keys, public)))
    return {KEYS}


def sealed_anew(files: Files, chain: Chain, rng: Random) -> None:
    """Make the list of digests and the statement of a package anew: bare, by another key, under the old signature."""
    old = files.get(STATEMENT)
    if old is None:
        return
    listed = tuple(
        Subject(name, {"sha256": hashlib.sha256(files[name]).hexdigest()})
        for name in sorted(files, key=os.fsencode)
        if name not in (STATEMENT, seal.SUMS)
    )
    files[seal.SUMS] = seal.sums(listed)
    try:
        statement = msgspec.json.decode(payload(old), type=PackageStatement)
    except (msgspec.DecodeError, ValueError):  # it was changed itself
        return
    said = msgspec.json.encode(msgspec.structs.replace(statement, subject=listed))
    way = rng.choice(["bare", "foreign", "disguised", "old"])
    if way == "bare":
        files[STATEMENT] = envelope.close(said, None)
    else:
        key = disguised_as(chain.foreign, parts(old)) if way == "disguised" else chain.foreign
        new = envelope.close(said, key)
        if way == "old":
            new = written(msgspec.structs.replace(parts(new), signatures=parts(old).signatures))
        files[STATEMENT] = new


def of_files(change: Callable[[Files, Chain, Random], set[str]]) -> Tampering:
    """Make a tampering of a change to the files; the archive is as it has to be, and half of the time sealed anew."""

    def tamper(chain: Chain, rng: Random) -> Told:
        files = read(chain.packed())
        before = dict(files)
        names = change(files, chain, rng)
        if rng.random() < 0.5:
            put(chain, files, rng)
            return Told(frozenset({*names, STATEMENT}) if names else frozenset())
        changed = dict(files)
        sealed_anew(files, chain, rng)
        put(chain, files if files != before else changed, rng)  # made anew, a changed statement may be itself again
        return Told(frozenset({*names, STATEMENT}))

    return tamper


def link_in_folder(chain: Chain, rng: Random) -> Told:
    """Put a link to the very same bytes in the place of an unpacked file."""
    path = chain.packed()
    with zipfile.ZipFile(path) as archive:
        archive.extractall(path.with_suffix(""))
    chain.package = path.with_suffix("")
    place = rng.choice(sorted(one for one in chain.package.rglob("*") if one.is_file()))
    away = chain.package.with_name("away")
    shutil.move(place, away)
    place.symlink_to(away)
    return Told(frozenset({place.relative_to(chain.package).as_posix()}))


FILES = (
    change_file,
    change_page,
    add_file,
    remove_file,
    rename_file,
    exchange_files,
    remove_run,
    other_run,
    other_keys,
)
KINDS: dict[str, Tampering] = {
    **{f"package: {change.__name__}": of_archive(change) for change in octets.CHANGES},
    **{f"package, directory: {change.__name__}": of_archive(change, at_end=True) for change in octets.CHANGES},
    **{f"package: {change.__name__}": of_files(change) for change in FILES},
    "package: repacked": repacked,
    "package: hostile": hostile,
    "package: link_in_folder": link_in_folder,
}
